"""Tail probabilities and quantiles that stay accurate far out and are never exactly zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

SMALLEST = float(np.nextafter(0.0, 1.0))


def t_p_value(statistic: ArrayLike, df: ArrayLike) -> np.ndarray:
    """Two-sided p-value of a t statistic; the normal distribution where df is infinite.

    >>> print(t_p_value(2.0, 10).round(4))
    0.0734
    """
    t, df = np.broadcast_arrays(np.abs(np.asarray(statistic, dtype=float)), np.asarray(df, dtype=float))
    finite = np.where(np.isinf(df), 1.0, df)
    return never_zero(np.where(np.isinf(df), special.erfc(t / np.sqrt(2)), _upper_tail(t**2, np.ones_like(t), finite)))


def t_tail(statistic: ArrayLike, df: ArrayLike) -> np.ndarray:
    """One-sided p-value P(T > statistic)."""
    half = t_p_value(statistic, df) / 2
    return never_zero(np.where(np.asarray(statistic, dtype=float) > 0, half, 1 - half))


def t_quantile(probability: ArrayLike, df: ArrayLike) -> np.ndarray:
    """Quantile of Student's t; of the normal distribution where df is infinite."""
    p, df = np.broadcast_arrays(np.asarray(probability, dtype=float), np.asarray(df, dtype=float))
    student = special.stdtrit(np.where(np.isfinite(df), df, 1.0), p)
    return np.where(np.isinf(df), special.ndtri(p), np.where(np.isnan(df), np.nan, student))


def f_p_value(statistic: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> np.ndarray:
    """Upper tail of the F distribution; chi-squared over df1 where df2 is infinite."""
    f, d1, d2 = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (statistic, df1, df2)))
    finite = np.where(np.isinf(d2), 1.0, d2)
    f = np.maximum(f, 0)
    return never_zero(np.where(np.isinf(d2), special.chdtrc(d1, f * d1), _upper_tail(f, d1, finite)))


def _upper_tail(f: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> np.ndarray:
    """P(F > f) from the smaller of the two complementary arguments, so that neither loses its digits near 1."""
    with np.errstate(invalid="ignore", over="ignore"):
        near = special.betaincc(d1 / 2, d2 / 2, d1 * f / (d2 + d1 * f))
        far = special.betainc(d2 / 2, d1 / 2, d2 / (d2 + d1 * f))
    return np.asarray(np.where(d1 * f < d2, near, far))


def chi2_p_value(statistic: ArrayLike, df: ArrayLike) -> np.ndarray:
    """Upper tail of the chi-squared distribution."""
    return never_zero(special.chdtrc(np.asarray(df, dtype=float), np.asarray(statistic, dtype=float)))


def never_zero(p: ArrayLike) -> np.ndarray:
    """An underflowed p-value becomes the smallest positive double; missing stays missing."""
    p = np.asarray(p, dtype=float)
    return np.where(p <= 0, SMALLEST, np.minimum(p, 1.0))
