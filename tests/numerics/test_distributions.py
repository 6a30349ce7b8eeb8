"""Tail probabilities far out, against scipy.stats, on the scale of their logarithm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from alliance_stats.numerics.distributions import (
    SMALLEST,
    chi2_p_value,
    f_p_value,
    never_zero,
    t_p_value,
    t_quantile,
    t_tail,
)

T = np.concatenate([[1e-9, 1e-4, 0.01, 0.3, 1.0], np.linspace(1.5, 200, 60)])
DF = np.array([1.0, 1.3, 2.0, 3.7, 5.97954, 10.0, 30.0, 133.0, 1000.0])
HUGE = np.array([1e6, 1e9, 1e13])
# The logarithm of a probability of size e^-L carries L rounding errors of double precision, and those of t² df.
LOG = 1e-12


def log_difference(p: np.ndarray, log_reference: np.ndarray) -> float:
    """Largest relative difference of logarithms where doubles can hold the probability."""
    held = log_reference > np.log(1e-300)
    return float(np.max(np.abs(np.log(p[held]) - log_reference[held]) / np.maximum(-log_reference[held], 1.0)))


@pytest.mark.parametrize("df", [*DF, *HUGE])
def test_t_p_value(df: float) -> None:
    p, reference = t_p_value(T, df), stats.t.logsf(T, df) + np.log(2)
    # near zero scipy's own Cauchy distribution (df 1) is good to 1e-9 only; the closed form below is better
    assert log_difference(p, reference) < (1e-8 if df == 1 else LOG)
    assert (p > 0).all()
    assert (np.diff(p) <= 0).all()


def test_t_p_value_of_one_and_two_df_in_closed_form() -> None:
    assert np.allclose(t_p_value(T, 1), 2 * np.arctan(1 / T) / np.pi, rtol=1e-11, atol=0)
    z = T / np.sqrt(2 + T**2)
    assert np.allclose(t_p_value(T, 2), (2 / (2 + T**2)) / (1 + z), rtol=1e-13, atol=0)


def test_t_with_infinite_df_is_normal() -> None:
    z = np.linspace(0, 37, 50)
    assert np.allclose(t_p_value(z, np.inf), 2 * stats.norm.sf(z), rtol=1e-12, atol=0)
    near = z[z < 5]  # further out the two differ by t⁴ / (4 df)
    assert np.allclose(t_p_value(near, 1e13), 2 * stats.norm.sf(near), rtol=1e-10, atol=0)
    assert np.allclose(t_quantile([0.5, 0.975, 0.9999], np.inf), stats.norm.ppf([0.5, 0.975, 0.9999]), rtol=1e-15)


@pytest.mark.parametrize("df2", [1.0, 2.0, 4.81710127311, 30.0, 133.0, 1000.0, np.inf])
@pytest.mark.parametrize("df1", [1.0, 2.0, 3.0, 12.0])
def test_f_p_value(df1: float, df2: float) -> None:
    f = np.array([1e-8, 0.01, 0.5, 1, 1.17, 5, 40, 1e3, 4e4])
    logs = stats.f.logsf(f, df1, df2) if np.isfinite(df2) else stats.chi2.logsf(f * df1, df1)
    p = f_p_value(f, df1, df2)
    assert log_difference(p, logs) < LOG
    assert (p > 0).all()


@pytest.mark.parametrize("df", [1.0, 2.0, 4.81710127311, 133.0, *HUGE])
def test_f_of_two_df_in_closed_form(df: float) -> None:
    f = np.array([1e-4, 0.01, 0.5, 1, 5, 40, 300])
    assert log_difference(f_p_value(f, 2, df), -df / 2 * np.log1p(2 * f / df)) < LOG


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 40.0])
def test_chi2_p_value(df: float) -> None:
    x = np.array([1e-8, 0.1, 1, 10, 100, 1000, 1e5])
    p = chi2_p_value(x, df)
    assert log_difference(p, stats.chi2.logsf(x, df)) < LOG
    assert (p > 0).all()


def test_f_of_one_df_is_t_squared() -> None:
    for df in (*DF, *HUGE):
        assert np.allclose(f_p_value(T**2, 1, df), t_p_value(T, df), rtol=1e-13, atol=0)


def test_an_underflowed_p_value_is_the_smallest_double() -> None:
    assert t_p_value(200, 1000) > 0
    assert t_p_value(1e6, 1000) == SMALLEST
    assert t_p_value(np.inf, 5) == t_p_value(-np.inf, 5) == SMALLEST
    assert f_p_value(1e12, 3, 1000) == SMALLEST
    assert chi2_p_value(1e6, 2) == SMALLEST
    assert np.isnan(t_p_value(np.nan, 5))
    assert np.isnan(t_p_value(2.0, np.nan))
    assert t_p_value(0.0, 7) == f_p_value(0.0, 2, 7) == f_p_value(-1.0, 2, 7) == chi2_p_value(0.0, 2) == 1.0


def test_never_zero_keeps_what_is_missing() -> None:
    found = never_zero([0.0, -1e-20, 0.3, 1 + 1e-15, np.nan])
    assert found[:4].tolist() == [SMALLEST, SMALLEST, 0.3, 1.0]
    assert np.isnan(found[4])


@pytest.mark.parametrize("df", DF[1:])
def test_one_tail(df: float) -> None:
    assert log_difference(t_tail(T, df), stats.t.logsf(T, df)) < LOG
    assert np.allclose(t_tail(T, df) + t_tail(-T, df), 1, rtol=1e-15)
    assert t_tail(0.0, df) == 0.5


@pytest.mark.parametrize("df", [0.3, *DF])
def test_quantile_inverts_the_tail(df: float) -> None:
    p = np.array([0.6, 0.95, 0.975, 0.995, 0.99999])
    assert np.allclose(t_p_value(t_quantile(p, df), df), 2 * (1 - p), rtol=1e-10, atol=0)
    assert np.allclose(t_quantile(1 - p, df), -t_quantile(p, df), rtol=1e-9, atol=0)
    assert np.isnan(t_quantile(0.975, np.nan))
