"""Cox's partial likelihood with Efron's or Breslow's treatment of ties, by Newton's method.

With r = exp(xβ) and S(t) = Σ r over the risk set, the l-th of d tied events has the denominator S − (l/d) D, D = Σ r over the
tied events (Efron 1977, doi 10.1080/01621459.1977.10480613). The second moments are never formed a time: Σ_t S₂(t)/S(t) is
one weighted cross-product X′WX, in which the weight of a row is the cumulative hazard it has passed through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.survival.newton import estimable, inverse, newton, standardised
from alliance_stats.numerics.survival.risk import RiskSets

FEWEST = -690.0  # exp below it leaves double precision


@dataclass(frozen=True, eq=False)
class Partial:
    """The partial likelihood at one β: ``hazard`` is 1/denominator and ``means`` the weighted mean of X, an event each."""

    log_likelihood: float
    score: np.ndarray
    information: np.ndarray
    relative: np.ndarray
    hazard: np.ndarray
    means: np.ndarray


@dataclass(frozen=True, eq=False)
class CoxFit:
    """Maximum of the partial likelihood over the columns ``kept``; ``covariance`` is the inverse information."""

    coefficients: np.ndarray
    covariance: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    centre: np.ndarray
    log_likelihood: float
    log_likelihood_null: float
    at: Partial


def partial_likelihood(risk: RiskSets, X: np.ndarray, beta: np.ndarray, offset: np.ndarray | float = 0.0) -> Partial:
    """Log-likelihood, score and information of rows X, shape (n, p)."""
    eta = X @ beta + offset
    top = float(eta.max(initial=FEWEST))
    r = np.exp(np.maximum(eta - top, FEWEST))
    denominator = denominators(risk, r)
    hazard, own = 1 / denominator, r[risk.events]
    S1, D1 = risk.sums(X * r[:, None]), risk.tied(X[risk.events] * own[:, None])
    means = (S1[risk.at] - risk.share[:, None] * D1[risk.at]) * hazard[:, None]
    log_likelihood = float((eta[risk.events] - top).sum() - np.log(denominator).sum())
    score = X[risk.events].sum(axis=0) - means.sum(axis=0)
    scaled = Partial(log_likelihood, score, np.empty(0), r, hazard, means)
    return Partial(log_likelihood, score, information(risk, X, scaled), r, hazard, means)


def denominators(risk: RiskSets, r: np.ndarray) -> np.ndarray:
    """Efron's denominators, one an event. An event is in its own risk set, so that rounding cannot take them to zero."""
    tied = risk.tied(r[risk.events])
    S0 = np.maximum(risk.sums(r), tied)
    return np.asarray(S0[risk.at] - risk.share * tied[risk.at])


def expected(risk: RiskSets, at: Partial, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Events expected of each row, its cumulative hazard; with ``weights``, one an event, a weighted sum of them."""
    hazard = at.hazard * weights
    passed = risk.spread(risk.tied(hazard))
    passed[risk.events] -= risk.tied(hazard * risk.share)[risk.at]
    return np.asarray(at.relative * passed)


def information(risk: RiskSets, X: np.ndarray, at: Partial, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Σ of the covariances of X over the risk sets, one an event, times ``weights``."""
    W, weighted = expected(risk, at, weights), at.means * np.reshape(weights, (-1, 1))
    return np.asarray((X * W[:, None]).T @ X - weighted.T @ at.means)


def score_residuals(risk: RiskSets, X: np.ndarray, at: Partial) -> np.ndarray:
    """Each row's share of the score, ∫ (x − x̄) dM, shape (n, p); their sum is the score."""
    event = np.zeros(len(X))
    event[risk.events] = 1.0
    residuals = X * (event - expected(risk, at))[:, None]
    residuals += at.relative[:, None] * risk.spread(risk.tied(at.means * at.hazard[:, None]))
    own = risk.tied(at.means * (at.hazard * risk.share)[:, None])[risk.at] * at.relative[risk.events, None]
    residuals[risk.events] -= own + (risk.tied(at.means) / risk.ties[:, None])[risk.at]
    return np.asarray(residuals)


def fit_cox(risk: RiskSets, X: np.ndarray) -> CoxFit:
    """Maximise the partial likelihood; dependent columns, the rightmost of them, are left out.

    Raises MonotoneError where the likelihood has no maximum.
    """
    Z, centre, scale = standardised(X)
    start = partial_likelihood(risk, Z, np.zeros(Z.shape[1]))
    kept, null = estimable(start.information, len(risk.events))
    if not len(kept):
        none = np.zeros((0, 0))
        return CoxFit(np.zeros(0), none, kept, null, centre, start.log_likelihood, start.log_likelihood, start)
    columns = Z[:, kept]
    beta, at = newton(lambda b: partial_likelihood(risk, columns, b), kept, X.shape[1])
    s = scale[kept]
    means = at.means * s + centre[kept]
    full = Partial(at.log_likelihood, at.score / s, at.information / np.outer(s, s), at.relative, at.hazard, means)
    return CoxFit(
        beta / s, inverse(at.information) / np.outer(s, s), kept, null / scale, centre, at.log_likelihood,
        start.log_likelihood, full,
    )  # fmt: skip


def cluster_covariance(residuals: np.ndarray, bread: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sandwich of Lin & Wei (1989, doi 10.1080/01621459.1989.10478874) with the scores added up over clusters, as R's."""
    sums = np.stack([np.bincount(codes, column) for column in (residuals @ bread).T], axis=1)
    return np.asarray(sums.T @ sums)
