"""Quasi-likelihood fits of a mean, and the robust covariances that go with them.

With weights w the working variance of a row is V = v(μ)/w. A fit is reported whitened: X* = V^(−½) dμ/dη X and
e* = V^(−½)(y − μ), so that (X*'X*)⁻¹X*'e* is the next step of Fisher scoring and robust covariances are those of a linear model
(Papke & Wooldridge 1996, doi 10.1002/(SICI)1099-1255(199611)11:6<619::AID-JAE418>3.0.CO;2-1). CR2 after Pustejovsky & Tipton
2018, doi 10.1080/07350015.2016.1247004, with V as working model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.links import LINKS, LinkFunction, Slopes
from alliance_stats.numerics.sandwich import SINGULAR, BiasReduced

LIMIT = 100
SMALL = 1e-24  # squared length of a step, beside that of the coefficients in units of their errors


class Identity:
    """μ = η."""

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.asarray(eta, dtype=float)

    def slopes(self, eta: np.ndarray) -> Slopes:
        zero = np.zeros_like(eta, dtype=float)
        return Slopes(np.asarray(eta, dtype=float), zero + 1, zero, zero)

    def inverse(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(mean, dtype=float)


QUASI_LINKS: dict[str, LinkFunction] = {**LINKS, "identity": Identity()}


@dataclass(frozen=True, eq=False)
class QuasiFit:
    """Coefficients (p,), linear predictor, mean and working variance (n,), whitened X (n, p) and residuals (n,), (X*'X*)⁻¹."""

    coefficients: np.ndarray
    eta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    X: np.ndarray
    residuals: np.ndarray
    bread: np.ndarray
    converged: bool


def variance_function(family: str, mean: np.ndarray) -> np.ndarray:
    """v(μ) of the binomial, Poisson or normal family, for one unit of weight."""
    if family == "binomial":
        return np.asarray(mean * (1 - mean))
    return mean if family == "poisson" else np.ones(len(mean))


def quasi_likelihood(family: str, y: np.ndarray, mean: np.ndarray, weights: np.ndarray) -> float:
    """Σ w ∫ (y − μ)/v(μ) dμ, up to what does not depend on μ."""
    if family == "binomial":
        return float(np.sum(weights * (y * np.log(mean) + (1 - y) * np.log1p(-mean))))
    if family == "poisson":
        return float(np.sum(weights * (y * np.log(mean) - mean)))
    return float(-np.sum(weights * (y - mean) ** 2) / 2)


def quasi_fit(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, link: str, family: str = "binomial",
    offset: np.ndarray | float = 0.0,
) -> QuasiFit:  # fmt: skip
    """Fisher scoring with halved steps.

    >>> X = np.array([[1.0, 0], [1, 0], [1, 1], [1, 1]])
    >>> fit = quasi_fit(X, np.array([0.2, 0.4, 0.5, 0.7]), np.ones(4), "logit")
    >>> print(fit.mean.round(3).tolist())
    [0.3, 0.3, 0.6, 0.6]
    """
    function = QUASI_LINKS[link]
    start = function.inverse(_inside(family, y, weights)) - offset
    root = np.sqrt(weights)
    beta = np.linalg.lstsq(X * root[:, None], start * root)[0]
    value, converged = quasi_likelihood(family, y, function.mean(offset + X @ beta), weights), False
    for _ in range(LIMIT):
        at = working(X, y, weights, link, family, beta, offset)
        score = at.X.T @ at.residuals
        step = at.bread @ score
        length = 1.0
        while length > 1e-6:
            new = quasi_likelihood(family, y, function.mean(offset + X @ (beta + length * step)), weights)
            if new >= value - 1e-12 * (abs(value) + 1):
                break
            length /= 2
        beta, value = beta + length * step, new
        if float(step @ score) < SMALL * max(1.0, float(beta @ np.linalg.solve(at.bread, beta))):
            converged = True
            break
    at = working(X, y, weights, link, family, beta, offset)
    return QuasiFit(
        at.coefficients, at.eta, at.mean, at.variance, at.X, at.residuals, at.bread, converged
    )  # fmt: skip


def working(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, link: str, family: str, beta: np.ndarray,
    offset: np.ndarray | float = 0.0,
) -> QuasiFit:  # fmt: skip
    """The whitened regression at given coefficients."""
    eta = offset + X @ beta
    slopes = QUASI_LINKS[link].slopes(eta)
    variance = variance_function(family, slopes.mean) / weights
    root = np.sqrt(variance)
    white = X * (slopes.first / root)[:, None]
    bread = np.linalg.inv(white.T @ white)
    bread = (bread + bread.T) / 2
    return QuasiFit(beta, eta, slopes.mean, variance, white, (y - slopes.mean) / root, bread, True)


def _inside(family: str, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Outcomes moved off the ends of their range, where the search begins (as R's glm does)."""
    if family == "binomial":
        return np.asarray((weights * y + 0.5) / (weights + 1))
    return np.maximum(y, 0.1) if family == "poisson" else y


def hc1(X: np.ndarray, residuals: np.ndarray, bread: np.ndarray) -> np.ndarray:
    """Heteroscedasticity-robust covariance times n/(n − p)."""
    n, p = X.shape
    half = (X * residuals[:, None]) @ bread
    return np.asarray(half.T @ half * (n / (n - p)))


def cr2_weighted(fit: QuasiFit, codes: np.ndarray) -> BiasReduced:
    """CR2 of a weighted fit whose working variances V differ within clusters, as clubSandwich's for glm objects.

    A = V^(½)·[V^(½)(V − XMX')V^(½)]^(−½)·V^(½) is the symmetric choice of clubSandwich; with equal variances it is that of
    ``sandwich.cr2``. Directions of a cluster without residual are left out.
    """
    order = np.argsort(codes, kind="stable")
    rows = tuple(np.split(order, np.flatnonzero(np.diff(codes[order])) + 1))
    return BiasReduced(fit.X, fit.bread, rows, tuple(_adjusted(fit.X[r], fit.bread, fit.variance[r]) for r in rows))


def _adjusted(X: np.ndarray, bread: np.ndarray, variance: np.ndarray) -> np.ndarray:
    v = variance / variance.mean()
    hat = np.eye(len(X)) - X @ bread @ X.T
    value, vector = np.linalg.eigh(v[:, None] * hat * v)
    free = value > SINGULAR * value.max(initial=0.0)
    scale = np.divide(1.0, np.sqrt(np.maximum(value, 0)), out=np.zeros_like(value), where=free)
    return np.asarray(v[:, None] * ((vector * scale) @ vector.T) @ X)
