"""Regressions of one equation, once and for many resamples at a time.

Resamples are rows of counts, designs orthonormal as in ``mediation_linear``; a resample whose design has lost rank, or
whose likelihood has no maximum, is missing. Generalised models by Fisher scoring (McCullagh & Nelder 1989,
doi 10.1007/978-1-4899-3242-6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from alliance_stats.numerics.mediation import Family
from alliance_stats.numerics.mediation_linear import linear_resamples, solved, symmetric

ROOM = 4e6  # numbers held at once
FAR = 25.0  # a linear predictor of logit or probit beyond this is on its way to infinity
ROUNDS = 60
Steps = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Fit:
    """One equation at its estimates.

    ``parameters`` are the thresholds of an ordered response, the coefficients, and the log residual variance of a normal
    one. ``influence`` (rows, parameters) holds the change of the estimates by each row to first order, so that its
    cross-product is the robust covariance; ``leverage`` the diagonal of the weighted hat matrix.
    """

    parameters: np.ndarray
    classical: np.ndarray
    influence: np.ndarray
    leverage: np.ndarray
    eta: np.ndarray
    fitted: np.ndarray
    log_likelihood: float


def fit_equation(X: np.ndarray, y: np.ndarray, family: Family, *, likelihood: bool = False) -> Fit | None:
    """Estimates of one equation; None where the likelihood has no maximum. ``likelihood`` divides the residual sum by n."""
    Q, R = np.linalg.qr(X)
    if family.name == "gaussian":
        return _normal(Q, R, y, likelihood=likelihood)
    found = fit_resamples(X, y, family, np.ones((1, len(y))), None)[0]
    if np.isnan(found).any():
        return None
    return _generalised(X, y, family, found)


def fit_resamples(
    X: np.ndarray, y: np.ndarray, family: Family, weights: np.ndarray, start: Fit | None, *, likelihood: bool = False
) -> np.ndarray:
    """Parameters of every resample, shape (resamples, parameters); missing rows where there is no estimate."""
    if family.name == "gaussian":
        return linear_resamples([X], [y], weights, likelihood=likelihood)[0]
    size = max(1, int(ROOM / len(y) / max(1, len(family.scores))))
    pieces = [weights[i : i + size] for i in range(0, len(weights), size)]
    return np.concatenate([_scoring(X, y, family, piece, start) for piece in pieces])


def _normal(Q: np.ndarray, R: np.ndarray, y: np.ndarray, *, likelihood: bool) -> Fit:
    n, p = Q.shape
    inverse = np.linalg.inv(R)
    gamma = Q.T @ y
    e = y - Q @ gamma
    free = n if likelihood else n - p
    variance = max(float(e @ e) / free, np.finfo(float).tiny)
    classical = np.zeros((p + 1, p + 1))
    classical[:p, :p] = inverse @ inverse.T * variance
    classical[p, p] = 2 / free
    influence = np.column_stack([(Q * e[:, None]) @ inverse.T, (e**2 / variance - free / n) / n])
    log_likelihood = -n / 2 * (np.log(2 * np.pi * max(float(e @ e), np.finfo(float).tiny) / n) + 1)
    return Fit(
        np.append(inverse @ gamma, np.log(variance)), classical, influence, np.sum(Q**2, axis=1), Q @ gamma, Q @ gamma,
        float(log_likelihood),
    )  # fmt: skip


def _scoring(X: np.ndarray, y: np.ndarray, family: Family, weights: np.ndarray, start: Fit | None) -> np.ndarray:
    """Fisher scoring of all resamples together; those that have arrived leave the round."""
    Q, R = np.linalg.qr(X)
    steps, back, first = _problem(Q, R, y, family)
    theta = np.repeat(
        first[None] if start is None else back(start.parameters[None], inverse=True), len(weights), axis=0
    )
    done = np.zeros(len(weights), dtype=bool)
    for _ in range(ROUNDS):
        open_ = np.flatnonzero(~done & np.isfinite(theta).all(axis=1))
        if not len(open_):
            break
        score, information = steps(theta[open_], weights[open_])
        step = solved(information, score)
        longest = np.abs(step).max(axis=1)
        theta[open_] += step * np.minimum(1, 5 * np.sqrt(len(y)) / np.maximum(longest, 1e-300))[:, None]
        done[open_] = longest < 1e-9 * (1 + np.abs(theta[open_]).max(axis=1))
    theta[~done] = np.nan
    return np.where(_finite_predictor(Q, theta, weights, family)[:, None], back(theta), np.nan)


def _problem(
    Q: np.ndarray, R: np.ndarray, y: np.ndarray, family: Family
) -> tuple[Steps, Callable[..., np.ndarray], np.ndarray]:
    """Scores and information in the orthonormal coordinates, the way back to coefficients, and a start."""
    if family.name == "ordinal":
        from alliance_stats.numerics.mediation_ordered import ordered_start, ordered_steps

        lead = len(family.scores) - 1
        first = np.concatenate([ordered_start(y, family), np.zeros(Q.shape[1])])
        return ordered_steps(Q, y, family), lambda t, inverse=False: _rotated(t, R, lead, inverse=inverse), first
    first = Q.T @ (np.log(y + 0.5) if family.link == "log" else np.zeros(len(y)))
    return _glm_steps(Q, y, family), lambda t, inverse=False: _rotated(t, R, 0, inverse=inverse), first


def _rotated(theta: np.ndarray, R: np.ndarray, lead: int, *, inverse: bool) -> np.ndarray:
    part = theta[:, lead:]
    turned = part @ R.T if inverse else np.linalg.solve(R, part.T).T
    return np.concatenate([theta[:, :lead], turned], axis=1)


def _glm_steps(Q: np.ndarray, y: np.ndarray, family: Family) -> Steps:
    i, j = np.triu_indices(Q.shape[1])
    products = Q[:, i] * Q[:, j]

    def steps(theta: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pull, curve = glm_weights(theta @ Q.T, y, family)
        return (weights * pull) @ Q, symmetric((weights * curve) @ products, Q.shape[1])

    return steps


def glm_weights(eta: np.ndarray, y: np.ndarray, family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the log-likelihood of each row in its predictor, and the expected size of the second one."""
    if family.link == "log":
        mu = np.exp(np.minimum(eta, 50))
        return y - mu, mu
    if family.link == "logit":
        mu = special.expit(eta)
        return y - mu, mu * (1 - mu)
    # φ/Φ and φ/(1 − Φ) from logarithms: both tails of the probit keep their digits
    log_density = -(eta**2) / 2 - 0.5 * np.log(2 * np.pi)
    up, down = np.exp(log_density - special.log_ndtr(eta)), np.exp(log_density - special.log_ndtr(-eta))
    return np.where(y > 0, up, -down), up * down


def _finite_predictor(Q: np.ndarray, theta: np.ndarray, weights: np.ndarray, family: Family) -> np.ndarray:
    if family.name == "poisson":
        return np.asarray(np.isfinite(theta).all(axis=1))
    eta = theta[:, theta.shape[1] - Q.shape[1] :] @ Q.T
    largest = np.where(weights > 0, np.abs(eta), 0).max(axis=1)
    return np.asarray(largest < (FAR if family.link == "logit" else FAR / 2.5))


def _generalised(X: np.ndarray, y: np.ndarray, family: Family, theta: np.ndarray) -> Fit:
    if family.name == "ordinal":
        from alliance_stats.numerics.mediation_ordered import ordered_parts

        return Fit(theta, *ordered_parts(X, y, family, theta))
    eta = X @ theta
    pull, curve = glm_weights(eta, y, family)
    classical = np.linalg.inv((X * curve[:, None]).T @ X)
    influence = (X * pull[:, None]) @ classical
    leverage = np.einsum("ij,jk,ik->i", X, classical, X) * curve
    fitted, log_likelihood = _likelihood(eta, y, family)
    return Fit(theta, classical, influence, leverage, eta, fitted, log_likelihood)


def _likelihood(eta: np.ndarray, y: np.ndarray, family: Family) -> tuple[np.ndarray, float]:
    if family.link == "log":
        return np.exp(eta), float(np.sum(y * eta - np.exp(eta) - special.gammaln(y + 1)))
    if family.link == "logit":
        return special.expit(eta), float(-np.sum(np.logaddexp(0, np.where(y > 0, -eta, eta))))
    return special.ndtr(eta), float(np.sum(special.log_ndtr(np.where(y > 0, eta, -eta))))
