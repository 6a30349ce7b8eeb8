"""Resampling counts, and what is read off the draws: percentile and BCa limits and p-values.

Efron 1987, doi 10.1080/01621459.1987.10478410 (BCa).
"""

from __future__ import annotations

import numpy as np
from scipy import special

BLOCK = 50_000  # counts held at once: what fits the cache is counted and summed twice as fast


def row_counts(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each row is drawn, shape (draws, n).

    >>> row_counts(4, 2, np.random.default_rng(1)).sum(axis=1).tolist()
    [4, 4]
    """
    counts = np.empty((draws, n), dtype=np.uint16 if n < 65_536 else np.uint32)
    size = max(1, BLOCK // n)
    place = n * np.arange(size)[:, None]
    for first in range(0, draws, size):
        piece = counts[first : first + size]
        drawn = rng.integers(n, size=piece.shape)
        drawn += place[: len(piece)]
        piece[:] = np.bincount(drawn.ravel(), minlength=piece.size).reshape(piece.shape)
    return counts


def summed(counts: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """counts @ columns, shape (draws, columns); counts become doubles a block at a time.

    >>> summed(np.array([[2, 0], [1, 1]]), np.array([[0.5], [1.5]])).tolist()
    [[1.0], [2.0]]
    """
    found = np.empty((len(counts), columns.shape[1]))
    size = max(1, BLOCK // counts.shape[1])
    for first in range(0, len(counts), size):
        found[first : first + size] = counts[first : first + size] @ columns
    return found


def cluster_counts(codes: np.ndarray, draws: int, rng: np.random.Generator, *, within: bool) -> np.ndarray:
    """Counts of rows when whole clusters are drawn; ``within`` draws the rows of each cluster drawn again, too."""
    groups = int(codes.max()) + 1
    clusters = row_counts(groups, draws, rng)
    if not within:
        return np.asarray(clusters[:, codes])
    counts = np.empty((draws, len(codes)))
    for g in range(groups):
        rows = np.flatnonzero(codes == g)
        times = clusters[:, g].astype(int) * len(rows)
        counts[:, rows] = rng.multinomial(times, np.full(len(rows), 1 / len(rows)))
    return counts


def percentile_limits(draws: np.ndarray, level: float) -> np.ndarray:
    """Quantiles of each column, shape (2, columns)."""
    return _quantiles(draws, np.array([[(1 - level) / 2], [(1 + level) / 2]]))


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
    return _quantiles(draws, at)


def _quantiles(draws: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Linear quantiles of each column, ``probability`` (ends, columns or 1); one sort serves all ends."""
    ordered = np.sort(draws.T, axis=1)
    at = probability * (len(draws) - 1)
    below = np.broadcast_to(at.astype(int), (len(at), len(ordered)))
    columns, above = np.arange(len(ordered)), np.minimum(below + 1, len(draws) - 1)
    low, high = ordered[columns, below], ordered[columns, above]
    return np.where(np.isnan(ordered[:, -1]), np.nan, low + (at - below) * (high - low))


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
