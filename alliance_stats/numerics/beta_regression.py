"""Beta regression: mean μ by a link, precision φ by the logarithm.

With a = μφ, b = (1 − μ)φ and y* = log y − log(1 − y), E y* = ψ(a) − ψ(b): the score in η is φ(y* − E y*)dμ/dη, that in
log φ is φ{μ(y* − E y*) + log(1 − y) − ψ(b) + ψ(φ)}. Fisher scoring; the covariance is the inverse of the expected information,
as betareg's (Ferrari & Cribari-Neto 2004, doi 10.1080/0266476042000214501).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from alliance_stats.numerics.glmm.links import LINKS

LIMIT = 500
SMALL = 1e-20
STEEPEST = 30.0  # |log φ| beyond which the precision has no finite estimate


@dataclass(frozen=True, eq=False)
class BetaFit:
    """Coefficients (p + q,), mean's first; μ and φ of the rows; scores of the rows (n, p + q); inverse expected information."""

    coefficients: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    scores: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    converged: bool


def beta_fit(X: np.ndarray, Z: np.ndarray, y: np.ndarray, link: str) -> BetaFit:
    """Maximum likelihood from the columns X of the mean and Z of the log precision, each with full column rank.

    >>> y = np.array([0.2, 0.35, 0.3, 0.6, 0.55, 0.8])
    >>> X = np.column_stack([np.ones(6), np.arange(6)])
    >>> print(beta_fit(X, np.ones((6, 1)), y, "logit").coefficients.round(2).tolist())
    [-1.37, 0.49, 3.78]
    """
    theta = _start(X, Z, y, link)
    value, scores, info, mean, precision = _at(X, Z, y, link, theta)
    converged = False
    for _ in range(LIMIT):
        total = scores.sum(axis=0)
        step = np.linalg.solve(info, total)
        if float(step @ total) < SMALL * max(1.0, float(theta @ info @ theta)):
            converged = True
            break
        length, found = 1.0, None
        while length > 1e-8:
            found = _at(X, Z, y, link, theta + length * step)
            if found[0] >= value - 1e-12 * (abs(value) + 1):
                break
            length /= 2
        if found is None or length <= 1e-8:
            break
        theta = theta + length * step
        value, scores, info, mean, precision = found
    inverse = np.linalg.inv(info)
    return BetaFit(theta, mean, precision, scores, (inverse + inverse.T) / 2, value, converged)


def _start(X: np.ndarray, Z: np.ndarray, y: np.ndarray, link: str) -> np.ndarray:
    """Least squares on the link's scale; a common precision by moments."""
    function = LINKS[link]
    beta = np.linalg.lstsq(X, function.inverse(y))[0]
    at = function.slopes(X @ beta)
    error = (function.inverse(y) - X @ beta) * at.first
    mean = np.clip(at.mean, 1e-6, 1 - 1e-6)
    phi = float(np.mean(mean * (1 - mean)) / max(np.mean(error**2), 1e-12) - 1)
    return np.concatenate([beta, np.linalg.lstsq(Z, np.full(len(y), np.log(max(phi, 0.1))))[0]])


def _at(
    X: np.ndarray, Z: np.ndarray, y: np.ndarray, link: str, theta: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    slopes = LINKS[link].slopes(X @ theta[: X.shape[1]])
    mu, d = slopes.mean, slopes.first
    phi = np.exp(np.clip(Z @ theta[X.shape[1] :], -STEEPEST, STEEPEST))
    a, b = mu * phi, (1 - mu) * phi
    left, right = np.log(y), np.log1p(-y)
    value = float(np.sum((a - 1) * left + (b - 1) * right - special.betaln(a, b)))
    beyond = left - right - special.digamma(a) + special.digamma(b)
    tail = mu * beyond + right - special.digamma(b) + special.digamma(phi)
    scores = np.concatenate([X * (phi * beyond * d)[:, None], Z * (phi * tail)[:, None]], axis=1)
    one, two, both = (special.polygamma(1, v) for v in (a, b, phi))
    mm = phi**2 * (one + two) * d**2
    mp = phi**2 * d * (mu * (one + two) - two)
    pp = phi**2 * (mu**2 * (one + two) - 2 * mu * two + two - both)
    cross = X.T @ (Z * mp[:, None])
    info = np.block([[X.T @ (X * mm[:, None]), cross], [cross.T, Z.T @ (Z * pp[:, None])]])
    return value, scores, info, mu, phi
