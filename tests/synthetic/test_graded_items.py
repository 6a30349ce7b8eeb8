"""The item generator has the marginals of real alliance scales, and its exact distribution is that of its draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from alliance_stats.numerics.graded import graded_items, share_at_maximum, shift_for_maximum, total_distribution

THRESHOLDS = np.array([-2.0, -1.2, -0.3, 0.7])
LOADING = float(np.sqrt(0.8))
TOTALS = np.arange(12, 61)
N = 400_000


def moments(shift: float) -> tuple[float, float, float, float]:
    """Mean, SD, skewness and share at 60 of the exact distribution."""
    p = total_distribution(THRESHOLDS - shift, LOADING, 12)
    mean = p @ TOTALS
    sd = np.sqrt(p @ (TOTALS - mean) ** 2)
    return float(mean), float(sd), float(p @ (TOTALS - mean) ** 3 / sd**3), float(p[-1])


def test_marginals_at_the_shift_of_a_short_alliance_scale():
    mean, sd, skewness, at_maximum = moments(0.8)
    # Half a unit of the last printed digit, and for the mean (52.546 against 52.6) the error of a simulated one.
    assert mean == pytest.approx(52.6, abs=0.06)
    assert sd == pytest.approx(8.0, abs=0.05)
    assert skewness == pytest.approx(-1.2, abs=0.05)
    assert at_maximum == pytest.approx(0.25, abs=0.005)


def test_marginals_at_a_higher_shift():
    assert moments(1.4)[3] == pytest.approx(0.49, abs=0.005)


@pytest.mark.parametrize("shift", [0.0, 0.8, 1.4])
def test_draws_follow_the_exact_distribution(shift):
    rng = np.random.default_rng(1)
    totals = graded_items(rng.standard_normal(N), THRESHOLDS - shift, LOADING, rng, 12).sum(axis=1)
    mean, sd, _, at_maximum = moments(shift)
    kurtosis = float(np.mean((totals - mean) ** 4) / sd**4)
    assert totals.mean() == pytest.approx(mean, abs=3 * sd / np.sqrt(N))
    assert totals.var() == pytest.approx(sd**2, abs=3 * sd**2 * np.sqrt((kurtosis - 1) / N))
    assert np.mean(totals == 60) == pytest.approx(at_maximum, abs=3 * np.sqrt(at_maximum * (1 - at_maximum) / N))


def test_two_items_have_the_probabilities_of_the_bivariate_normal():
    below = multivariate_normal(cov=[[1, 0.8], [0.8, 1]]).cdf([0.7, 0.7])
    p = total_distribution(np.array([0.7]), LOADING, 2)
    assert p[0] == pytest.approx(below, abs=1e-5)  # the error of scipy's bivariate integral


def test_distribution_is_one():
    p = total_distribution(THRESHOLDS, LOADING, 12)
    assert p.shape == (49,)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p[-1] == pytest.approx(share_at_maximum(THRESHOLDS, LOADING, 12), abs=1e-12)


@pytest.mark.parametrize("share", [0.12, 0.25, 0.5])
def test_shift_gives_the_share_asked_for(share):
    shift = shift_for_maximum(share, THRESHOLDS, LOADING, 12)
    assert share_at_maximum(THRESHOLDS - shift, LOADING, 12) == pytest.approx(share, abs=1e-9)


def test_a_shift_of_the_latent_is_a_shift_of_the_thresholds():
    latent = np.random.default_rng(2).standard_normal(500)
    by_latent = graded_items(latent + 0.8 / LOADING, THRESHOLDS, LOADING, np.random.default_rng(3), 12)
    by_thresholds = graded_items(latent, THRESHOLDS - 0.8, LOADING, np.random.default_rng(3), 12)
    np.testing.assert_array_equal(by_latent, by_thresholds)


def test_items_correlate_as_the_squared_loading():
    rng = np.random.default_rng(4)
    high = graded_items(rng.standard_normal(N), np.array([0.0]), LOADING, rng, 2) == 2
    agree = 0.5 + np.arcsin(0.8) / np.pi  # both signs alike at correlation .8
    assert np.mean(high[:, 0] == high[:, 1]) == pytest.approx(agree, abs=3 * np.sqrt(agree * (1 - agree) / N))
