"""Shared frailty in Cox models by penalised likelihood, as survival's frailty().

The log-frailties ω of q groups are coefficients with a penalty: (1/θ) Σ (e^ω − ω − 1) for gamma frailties with mean 1 and
variance θ, Σ ω²/(2θ) for normal ω. For gamma, θ maximises the integrated likelihood; for normal, θ solves the REML equation
θ = (Σω² + tr V_ωω)/q. Therneau, Grambsch & Pankratz 2003, doi 10.1198/1061860031365. The information of the frailties is kept
whole, not as its diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, gammaln

from alliance_stats.numerics.survival.cox import FEWEST, Partial, denominators, expected
from alliance_stats.numerics.survival.newton import STEPS, climbed, inverse
from alliance_stats.numerics.survival.risk import RiskSets

SMALLEST, LARGEST = 1e-5, 1e4  # range in which θ is looked for
SETTLED = 1e-9  # step of the coefficients at which the search ends


@dataclass(frozen=True, eq=False)
class FrailtyFit:
    """Penalised maximum: coefficients, log-frailties, their joint covariance, and the variance θ of the frailty."""

    coefficients: np.ndarray
    frailties: np.ndarray
    covariance: np.ndarray
    theta: float
    penalised: float
    integrated: float
    at: Partial


@dataclass(frozen=True, eq=False)
class _Groups:
    risk: RiskSets
    X: np.ndarray
    codes: np.ndarray
    q: int
    family: str
    deaths: np.ndarray


def fit_frailty(
    risk: RiskSets, X: np.ndarray, codes: np.ndarray, family: str, tried: Callable[[], object] = lambda: None
) -> FrailtyFit:
    """Fit with gamma or normal frailty of the groups ``codes`` (0 … q − 1); θ = 0 is found, too.

    ``tried`` is called after every value of θ.
    """
    from scipy.optimize import brentq

    q = int(codes.max()) + 1
    groups = _Groups(risk, X, codes, q, family, np.bincount(codes[risk.events], minlength=q).astype(float))
    held = [solve(groups, SMALLEST, np.zeros(X.shape[1] + q))]

    def slope(log_theta: float) -> float:
        held.append(
            solve(groups, float(np.exp(log_theta)), np.concatenate([held[-1].coefficients, held[-1].frailties]))
        )
        tried()
        return _equation(groups, held[-1])

    low, high = np.log(SMALLEST), np.log(LARGEST)
    if _equation(groups, held[0]) <= 0:
        return replace(held[0], theta=0.0)
    grid = np.arange(low + 2, high, 2.0)
    for point in grid:
        if slope(point) <= 0:
            high = point
            break
        low = point
    else:
        return held[-1]
    root = brentq(slope, low, high, xtol=1e-12, rtol=1e-12)
    return solve(groups, float(np.exp(root)), np.concatenate([held[-1].coefficients, held[-1].frailties]))


def _equation(groups: _Groups, fit: FrailtyFit) -> float:
    """Above zero where θ should be larger: the derivative of the integrated likelihood in θ, or the REML residual."""
    omega, theta = fit.frailties, fit.theta
    if groups.family == "normal":
        p = len(fit.coefficients)
        return float((omega @ omega + np.trace(fit.covariance[p:, p:])) / (theta * groups.q) - 1)
    nu, d = 1 / theta, groups.deaths
    penalty = float((omega - np.exp(omega) + 1).sum())
    correction = np.log(nu / (nu + d)) + digamma(nu + d) - digamma(nu)
    return -(penalty + float(correction.sum()))  # d/dν, with the sign of d/dθ


def _integrated(groups: _Groups, penalised: float, theta: float) -> float:
    """Penalised likelihood plus the gamma integral's correction; not defined for normal frailty."""
    if groups.family == "normal":
        return np.nan
    nu, d = 1 / theta, groups.deaths
    return penalised + float((d - (nu + d) * np.log1p(d / nu) - d * np.log(nu) + gammaln(nu + d) - gammaln(nu)).sum())


def solve(groups: _Groups, theta: float, start: np.ndarray) -> FrailtyFit:
    """Newton's method in β and ω at a given θ."""
    p, b = groups.X.shape[1], start
    at = _penalised(groups, b, theta)
    for _ in range(STEPS):
        at, step = climbed(lambda b: _penalised(groups, b, theta), b, at, np.linalg.solve(at.information, at.score))
        b = b + step
        if np.abs(step).max() < SETTLED:
            value, V = at.log_likelihood, inverse(at.information)
            return FrailtyFit(b[:p], b[p:], V, theta, value, _integrated(groups, value, theta), at)
    raise ArithmeticError("the penalised likelihood did not converge")


def _penalised(groups: _Groups, b: np.ndarray, theta: float) -> Partial:
    """Penalised likelihood, its score and information in (β, ω)."""
    p = groups.X.shape[1]
    at, omega = _joint(groups, b), b[p:]
    with np.errstate(over="ignore"):
        grown = np.exp(omega)
    if groups.family == "normal":
        penalty, first, second = omega @ omega / 2 / theta, omega / theta, np.full(groups.q, 1 / theta)
    else:
        penalty, first, second = (grown - omega - 1).sum() / theta, (grown - 1) / theta, grown / theta
    score, H = at.score.copy(), at.information.copy()
    score[p:] -= first
    H[np.arange(p, len(b)), np.arange(p, len(b))] += second
    return replace(at, log_likelihood=at.log_likelihood - float(penalty), score=score, information=H)


def _joint(groups: _Groups, b: np.ndarray) -> Partial:
    """Partial likelihood, score and information with an indicator column for each group, never formed a row."""
    risk, X, codes, q = groups.risk, groups.X, groups.codes, groups.q
    p = X.shape[1]
    eta = X @ b[:p] + b[p:][codes]
    top = float(eta.max())
    r = np.exp(np.maximum(eta - top, FEWEST))
    denominator = denominators(risk, r)
    hazard, own = 1 / denominator, r[risk.events]
    S1 = np.hstack([risk.sums(X * r[:, None]), _group_sums(groups, r)])
    D1 = np.hstack([risk.tied(X[risk.events] * own[:, None]), _group_ties(groups, own)])
    means = (S1[risk.at] - risk.share[:, None] * D1[risk.at]) * hazard[:, None]
    log_likelihood = float((eta[risk.events] - top).sum() - np.log(denominator).sum())
    W = expected(risk, Partial(log_likelihood, np.empty(0), np.empty(0), r, hazard, means))
    crossed = np.stack([np.bincount(codes, W * x, q) for x in X.T], axis=0)
    H = np.block([[(X * W[:, None]).T @ X, crossed], [crossed.T, np.diag(np.bincount(codes, W, q))]]) - means.T @ means
    score = np.concatenate([X[risk.events].sum(axis=0), groups.deaths]) - means.sum(axis=0)
    return Partial(log_likelihood, score, H, r, hazard, means[:, :p])


def _group_sums(groups: _Groups, r: np.ndarray) -> np.ndarray:
    """Σ r over the risk set within each group, shape (K, q)."""
    risk, q = groups.risk, groups.q
    size = (len(risk.times) + 1) * q
    change = np.bincount(risk.hi * q + groups.codes, r, size) - np.bincount(risk.lo * q + groups.codes, r, size)
    return np.asarray(np.maximum(np.cumsum(change.reshape(-1, q)[:0:-1], axis=0)[::-1], 0))


def _group_ties(groups: _Groups, own: np.ndarray) -> np.ndarray:
    risk, q = groups.risk, groups.q
    return np.bincount(risk.at * q + groups.codes[risk.events], own, len(risk.times) * q).reshape(-1, q)
