"""Resampling counts, and what is read off the draws: percentile and BCa limits and p-values.

Efron 1987, doi 10.1080/01621459.1987.10478410 (BCa).
"""

from __future__ import annotations

import numpy as np
from scipy import special


def row_counts(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each row is drawn, shape (draws, n).

    >>> row_counts(4, 2, np.random.default_rng(1)).sum(axis=1).tolist()
    [4.0, 4.0]
    """
    return _counted(rng.integers(n, size=(draws, n)), n)


def cluster_counts(codes: np.ndarray, draws: int, rng: np.random.Generator, *, within: bool) -> np.ndarray:
    """Counts of rows when whole clusters are drawn; ``within`` draws the rows of each cluster drawn again, too."""
    groups = int(codes.max()) + 1
    clusters = row_counts(groups, draws, rng)
    if not within:
        return np.asarray(clusters[:, codes])
    counts = np.empty((draws, len(codes)))
    for g in range(groups):
        rows = np.flatnonzero(codes == g)
        times = (clusters[:, g] * len(rows)).astype(int)
        counts[:, rows] = rng.multinomial(times, np.full(len(rows), 1 / len(rows)))
    return counts


def percentile_limits(draws: np.ndarray, level: float) -> np.ndarray:
    """Quantiles of each column, shape (2, columns)."""
    return np.asarray(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0))


def bca_limits(draws: np.ndarray, estimate: np.ndarray, jackknife: np.ndarray, level: float) -> np.ndarray:
    """Limits corrected for bias and for a standard error that changes with the estimate, shape (2, columns)."""
    B = len(draws)
    share = ((draws < estimate).sum(axis=0) + 0.5 * (draws == estimate).sum(axis=0)) / B
    z0 = special.ndtri(np.clip(share, 0.5 / B, 1 - 0.5 / B))
    away = jackknife.mean(axis=0) - jackknife
    spread = np.sum(away**2, axis=0)
    scale = 6 * np.maximum(spread, np.finfo(float).tiny) ** 1.5
    acceleration = np.where(spread > 0, np.sum(away**3, axis=0) / np.maximum(scale, np.finfo(float).tiny), 0.0)
    z = special.ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))[:, None] + z0
    at = special.ndtr(z0 + z / (1 - acceleration * z))
    return np.array([[np.quantile(column, p) for column, p in zip(draws.T, row, strict=True)] for row in at])


def draws_p_values(draws: np.ndarray, null: np.ndarray) -> np.ndarray:
    """min(1, 2(1 + min(#≤null, #≥null))/(1 + B)) of each column.

    >>> draws_p_values(np.array([[0.2], [0.5], [0.1], [0.4]]), np.zeros(1)).tolist()
    [0.4]
    """
    tail = np.minimum((draws <= null).sum(axis=0), (draws >= null).sum(axis=0))
    return np.asarray(np.minimum(1.0, 2 * (1 + tail) / (1 + len(draws))))


def normal_draws(mean: np.ndarray, covariance: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws from a normal distribution whose covariance may be singular."""
    value, vector = np.linalg.eigh(covariance)
    root = vector * np.sqrt(np.maximum(value, 0))
    return np.asarray(mean + rng.standard_normal((draws, len(mean))) @ root.T)


def _counted(drawn: np.ndarray, n: int) -> np.ndarray:
    draws = len(drawn)
    flat = (drawn + n * np.arange(draws)[:, None]).ravel()
    return np.bincount(flat, minlength=draws * n).reshape(draws, n).astype(float)
