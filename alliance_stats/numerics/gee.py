"""Generalised estimating equations (Liang & Zeger 1986, doi 10.1093/biomet/73.1.13).

Clusters with the working covariance φ V^(½)R(α)V^(½), V = v(μ)/w. Moments of r = (y − μ)/√v(μ) as geepack has them:
φ = Σwr²/Σw, exchangeable α = Σ w_i w_j r_i r_j / φΣ w_i w_j over pairs, AR(1) α the least squares of r_i r_j/φ on α^|i − j|
with these weights. Small clusters: Mancl & DeRouen 2001, doi 10.1111/j.0006-341X.2001.00126.x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glm_sandwich import QuasiFit, quasi_fit, working

LIMIT = 200
SMALL = 1e-22
Rows = Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class GeeFit:
    """The whitened regression at the estimate, α, φ, and the two sandwich covariances, each (p, p)."""

    at: QuasiFit
    alpha: float
    scale: float
    robust: np.ndarray
    bias_reduced: np.ndarray
    converged: bool


def cluster_rows(codes: np.ndarray, time: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Rows of each cluster, in the order of time where there is one."""
    order = np.lexsort((np.arange(len(codes)) if time is None else time, codes))
    return tuple(np.split(order, np.flatnonzero(np.diff(codes[order])) + 1))


def gee_fit(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, link: str, family: str, correlation: str, rows: Rows,
    time: np.ndarray | None = None,
) -> GeeFit:  # fmt: skip
    """Scoring steps in turn with the moments of α and φ."""
    start = quasi_fit(X, y, weights, link, family)
    beta, converged, alpha, scale = start.coefficients, start.converged and correlation == "independence", 0.0, 1.0
    at = start
    for _ in range(LIMIT):
        scale = float(np.sum(at.residuals**2) / weights.sum())
        alpha = _alpha(at.residuals * np.sqrt(weights), weights, scale, rows, time, correlation)
        info, score, _, _ = _equations(at, rows, _inverses(correlation, alpha, rows, time))
        step = np.linalg.solve(info, score)
        if float(step @ info @ step) < SMALL * max(1.0, float(beta @ info @ beta)):
            converged = True
            break
        beta = beta + step
        at = working(X, y, weights, link, family, beta)
        if not np.isfinite(at.bread).all():
            break
    return _with_covariances(at, alpha, scale, converged, rows, _inverses(correlation, alpha, rows, time))


def _with_covariances(
    at: QuasiFit, alpha: float, scale: float, converged: bool, rows: Rows, inverse: Callable[[int], np.ndarray]
) -> GeeFit:
    info, _, scores, weighted = _equations(at, rows, inverse)
    M = np.linalg.inv(info)
    robust = M @ (scores.T @ scores) @ M
    corrected = np.zeros_like(scores)
    for g, r in enumerate(rows):
        hat = at.X[r] @ M @ weighted[g]
        corrected[g] = weighted[g] @ np.linalg.solve(np.eye(len(r)) - hat, at.residuals[r])
    reduced = M @ (corrected.T @ corrected) @ M
    return GeeFit(at, alpha, scale, (robust + robust.T) / 2, (reduced + reduced.T) / 2, converged)


def _equations(
    at: QuasiFit, rows: Rows, inverse: Callable[[int], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """ΣX*'R⁻¹X*, ΣX*'R⁻¹e*, its part from every cluster, and X*'R⁻¹ (X*, e* whitened)."""
    weighted = [at.X[r].T @ inverse(g) for g, r in enumerate(rows)]
    scores = np.array([w @ at.residuals[r] for w, r in zip(weighted, rows, strict=True)])
    info = np.sum([w @ at.X[r] for w, r in zip(weighted, rows, strict=True)], axis=0)
    return info, scores.sum(axis=0), scores, weighted


def _inverses(correlation: str, alpha: float, rows: Rows, time: np.ndarray | None) -> Callable[[int], np.ndarray]:
    if correlation == "independence":
        return lambda g: np.eye(len(rows[g]))
    return lambda g: np.linalg.inv(working_correlation(correlation, alpha, rows[g], time))


def working_correlation(correlation: str, alpha: float, r: np.ndarray, time: np.ndarray | None) -> np.ndarray:
    """R(α) of one cluster."""
    if correlation == "exchangeable":
        return np.full((len(r), len(r)), alpha) + (1 - alpha) * np.eye(len(r))
    at = np.arange(len(r)) if time is None else time[r]
    apart = np.abs(np.subtract.outer(at, at))
    return np.asarray(np.sign(alpha) ** apart * np.abs(alpha) ** apart)


def _alpha(
    products: np.ndarray, weights: np.ndarray, scale: float, rows: Rows, time: np.ndarray | None, correlation: str
) -> float:
    """α from w_i r_i, the rows' parts of the products of pairs, and their weights w_i."""
    if correlation == "independence":
        return 0.0
    if correlation == "exchangeable":
        of = float(sum(_pairs(weights[r]) for r in rows))
        return float(sum(_pairs(products[r]) for r in rows)) / of / scale if of else 0.0
    return _autoregressive(products, weights, scale, rows, time)


def _pairs(values: np.ndarray) -> float:
    """Σ v_i v_j over pairs."""
    return float((values.sum() ** 2 - (values**2).sum()) / 2) if len(values) > 1 else 0.0


def _autoregressive(parts: np.ndarray, weights: np.ndarray, scale: float, rows: Rows, time: np.ndarray | None) -> float:
    """The minimum of Σ w (z − α^k)² over pairs k steps apart, z = r_i r_j/φ: products are summed by their distance first."""
    from scipy.optimize import minimize_scalar

    apart, products, each = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for r in rows:
        i, j = np.triu_indices(len(r), 1)
        apart.append(np.abs(time[r][i] - time[r][j]) if time is not None else np.abs(i - j).astype(float))
        products.append(parts[r][i] * parts[r][j] / scale)
        each.append(weights[r][i] * weights[r][j])
    k, at = np.unique(np.concatenate(apart), return_inverse=True)
    if not len(k):
        return 0.0
    count, total = np.bincount(at, np.concatenate(each)), np.bincount(at, np.concatenate(products))

    def loss(alpha: float) -> float:
        power = np.sign(alpha) ** k * np.abs(alpha) ** k
        return float(count @ power**2 - 2 * total @ power) / float(count.sum())

    low = -0.99 if np.array_equal(k, np.round(k)) else 0.0
    return float(minimize_scalar(loss, bounds=(low, 0.99), method="bounded", options={"xatol": 1e-12}).x)
