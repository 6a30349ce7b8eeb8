"""p-values adjusted for a family of comparisons, as R's `p.adjust` does; missing ones do not count."""

from __future__ import annotations

import numpy as np

METHODS = ("none", "holm", "bonferroni", "hochberg", "hommel", "BH", "BY")


def adjusted_p(p: np.ndarray, method: str) -> np.ndarray:
    """Adjusted p-values, shape (n,); ``method`` is one of ``METHODS``.

    Sources: Holm 1979 (doi 10.2307/4615733); Hochberg 1988 (doi 10.1093/biomet/75.4.800); Hommel 1988
    (doi 10.1093/biomet/75.2.383); Benjamini & Hochberg 1995 (doi 10.1111/j.2517-6161.1995.tb02031.x); Benjamini & Yekutieli
    2001 (doi 10.1214/aos/1013699998).

    >>> adjusted_p(np.array([0.01, np.nan, 0.03, 0.04]), "holm").round(3).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    known = ~np.isnan(p)
    found: np.ndarray = p.copy()
    found[known] = _of_complete(p[known], method)
    return found


def _of_complete(p: np.ndarray, method: str) -> np.ndarray:
    n, order = len(p), np.argsort(p, kind="stable")
    rank, ordered = np.arange(1, len(p) + 1), p[order]
    if method == "none" or n < 2:
        return p
    if method == "bonferroni":
        return np.asarray(np.minimum(1.0, n * p))
    if method == "holm":
        steps = np.maximum.accumulate((n - rank + 1) * ordered)
    elif method == "hochberg":
        steps = _from_largest((n - rank + 1) * ordered)
    elif method == "hommel":
        steps = _hommel(ordered)
    else:
        share = float(np.sum(1 / rank)) if method == "BY" else 1.0
        steps = _from_largest(share * n / rank * ordered)
    found = np.empty(n)
    found[order] = np.minimum(1.0, steps)
    return found


def _from_largest(steps: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum.accumulate(steps[::-1])[::-1])


def _hommel(p: np.ndarray) -> np.ndarray:
    """Of ordered p: the largest, over sets of m, of what Simes' test of the set makes of each."""
    n = len(p)
    found = np.full(n, np.min(n * p / np.arange(1, n + 1)))
    for m in range(n - 1, 1, -1):
        least = np.min(m * p[n - m + 1 :] / np.arange(2, m + 1))
        candidate = np.empty(n)
        candidate[: n - m + 1] = np.minimum(m * p[: n - m + 1], least)
        candidate[n - m + 1 :] = candidate[n - m]
        found = np.maximum(found, candidate)
    return np.asarray(np.maximum(found, p))
