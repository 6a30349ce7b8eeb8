"""Cumulative logit and probit regression: scores and information of many resamples, and one fit in full.

P(y ≤ j) = F(τ_j − xβ); the design has no intercept (McCullagh 1980, doi 10.1111/j.2517-6161.1980.tb01109.x).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from alliance_stats.numerics.mediation import Family, cdf

SMALL = 1e-300


def ordered_start(y: np.ndarray, family: Family) -> np.ndarray:
    """Thresholds that give the observed shares of the levels."""
    shares = np.array([np.mean(y <= level) for level in family.scores[:-1]])
    return np.asarray(special.logit(shares) if family.link == "logit" else special.ndtri(shares))


def ordered_steps(
    X: np.ndarray, y: np.ndarray, family: Family
) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function of parameters (resamples, τ and β) and counts that gives scores and expected information."""
    level = np.searchsorted(np.array(family.scores), y)
    J, p = len(family.scores), X.shape[1]

    def steps(theta: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share, edge = _edges(theta, X, J, family)
        information = np.zeros((len(theta), J - 1 + p, J - 1 + p))
        score = np.zeros((len(theta), J - 1 + p))
        for j in range(J):
            own = (level == j) * weights / share[..., j]
            score += _stacked(own, edge, j, X)
            _add_information(information, weights / share[..., j], edge, j, X)
        return score, information

    return steps


def ordered_parts(
    X: np.ndarray, y: np.ndarray, family: Family, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Covariance, influence, leverage (not defined: zero), predictor, fitted mean level and log-likelihood at the estimates."""
    level = np.searchsorted(np.array(family.scores), y)
    J = len(family.scores)
    share, edge = _edges(theta[None], X, J, family)
    own = share[0, np.arange(len(y)), level]
    rows = np.zeros((len(y), len(theta)))
    for j in range(J):
        at = level == j
        upper, lower = edge[0, at, j + 1] / own[at], edge[0, at, j] / own[at]
        if j < J - 1:
            rows[at, j] += upper
        if j > 0:
            rows[at, j - 1] -= lower
        rows[at, J - 1 :] -= (upper - lower)[:, None] * X[at]
    _, information = ordered_steps(X, y, family)(theta[None], np.ones((1, len(y))))
    classical = np.linalg.inv(information[0])
    fitted = share[0] @ np.array(family.scores)
    return classical, rows @ classical, np.zeros(len(y)), X @ theta[J - 1 :], fitted, float(np.log(own).sum())


def _edges(theta: np.ndarray, X: np.ndarray, J: int, family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the levels (resamples, rows, J) and densities at their edges (resamples, rows, J + 1), zero at both ends."""
    eta = theta[:, J - 1 :] @ X.T
    at = theta[:, None, : J - 1] - eta[..., None]
    below = cdf(family.link, at)
    density = below * (1 - below) if family.link == "logit" else np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
    zero = np.zeros((*eta.shape, 1))
    share = np.diff(np.concatenate([zero, below, zero + 1], axis=-1), axis=-1)
    return np.maximum(share, SMALL), np.concatenate([zero, density, zero], axis=-1)


def _stacked(weight: np.ndarray, edge: np.ndarray, j: int, X: np.ndarray) -> np.ndarray:
    J = edge.shape[-1] - 1
    found = np.zeros((len(weight), J - 1 + X.shape[1]))
    if j < J - 1:
        found[:, j] += (weight * edge[..., j + 1]).sum(axis=1)
    if j > 0:
        found[:, j - 1] -= (weight * edge[..., j]).sum(axis=1)
    found[:, J - 1 :] -= (weight * (edge[..., j + 1] - edge[..., j])) @ X
    return found


def _add_information(total: np.ndarray, weight: np.ndarray, edge: np.ndarray, j: int, X: np.ndarray) -> None:
    """Adds Σ w (∂P_j)(∂P_j)′/P_j; ∂P_j = f_j e_j − f_{j−1} e_{j−1} in τ and −(f_j − f_{j−1}) x in β."""
    J = edge.shape[-1] - 1
    upper, lower = edge[..., j + 1], edge[..., j]
    change = upper - lower
    pairs = [(j, upper, 1.0)] * (j < J - 1) + [(j - 1, lower, -1.0)] * (j > 0)
    for a, first, sign in pairs:
        for b, second, other in pairs:
            total[:, a, b] += sign * other * (weight * first * second).sum(axis=1)
        cross = -sign * (weight * first * change) @ X
        total[:, a, J - 1 :] += cross
        total[:, J - 1 :, a] += cross
    i, k = np.triu_indices(X.shape[1])
    square = (weight * change**2) @ (X[:, i] * X[:, k])
    total[:, J - 1 + i, J - 1 + k] += square
    off = i != k
    total[:, J - 1 + k[off], J - 1 + i[off]] += square[:, off]
