"""Cumulative link models: P(Y ≤ j) = F(θ_j − x'β − σu), u ~ N(0, 1) of a group.

The interval (a, b] of a row's category has probability F(b) − F(a), a = Aφ − σu and b = Bφ − σu linear in φ = (θ, β) or more,
±∞ at the ends. Its logarithm is concave for the links here (Pratt 1981, doi 10.1080/01621459.1981.10477613).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from alliance_stats.numerics.glmm.links import LINKS

LIMIT = 100
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Cumulative:
    """Rows of A and B (n, q), zero where the category has no lower or upper threshold, and the link."""

    lower: np.ndarray
    upper: np.ndarray
    bottom: np.ndarray
    top: np.ndarray
    link: str

    def ends(self, phi: np.ndarray, shift: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """a and b of every row; ``shift`` is what the linear predictor has besides."""
        a = np.where(self.bottom, -np.inf, self.lower @ phi - shift)
        return a, np.where(self.top, np.inf, self.upper @ phi - shift)


@dataclass(frozen=True, eq=False)
class Logs:
    """log{F(b) − F(a)} and its derivatives in a and b."""

    value: np.ndarray
    a: np.ndarray
    b: np.ndarray
    aa: np.ndarray
    ab: np.ndarray
    bb: np.ndarray


@dataclass(frozen=True, eq=False)
class CumulativeFit:
    """φ̂, the negative Hessian of the log-likelihood there, its value, and twice what a last step would gain."""

    phi: np.ndarray
    information: np.ndarray
    log_likelihood: float
    decrement: float
    converged: bool


def cumulative(category: np.ndarray, K: int, X: np.ndarray, link: str, nominal: np.ndarray | None = None) -> Cumulative:
    """Rows of A and B for categories 0 … K − 1, φ = (θ, threshold-specific effects of ``nominal``, β).

    Threshold-specific effects w'γ_j are added to θ_j, one block of K − 1 a column of ``nominal``.
    """
    n = len(category)
    W = np.ones((n, 1)) if nominal is None else np.column_stack([np.ones(n), nominal])
    made = []
    for at in (category - 1, category):
        inside = (at >= 0) & (at < K - 1)
        own = np.zeros((n, W.shape[1], K - 1))
        own[inside, :, at[inside]] = W[inside]
        made.append(np.column_stack([own.reshape(n, -1), np.where(inside[:, None], -X, 0.0)]))
    return Cumulative(made[0], made[1], category == 0, category == K - 1, link)


def density(link: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f = F' and f', zero at ±∞."""
    finite = np.isfinite(x)
    at = np.where(finite, x, 0.0)
    if link == "logit":
        first = special.expit(at) * special.expit(-at)
        second = -first * np.tanh(at / 2)
    else:
        slopes = LINKS[link].slopes(at)
        first, second = slopes.first, slopes.second
    return np.where(finite, first, 0.0), np.where(finite, second, 0.0)


def interval(link: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """F(b) − F(a) without loss of digits; not positive where b ≤ a."""
    with np.errstate(over="ignore", invalid="ignore"):
        if link == "logit":
            p = special.expit(b) * special.expit(-a) * -np.expm1(a - b)
        elif link == "probit":
            p = np.where(a > 0, special.ndtr(-a) - special.ndtr(-b), special.ndtr(b) - special.ndtr(a))
        else:
            low, high = np.exp(np.minimum(a, 700.0)), np.exp(np.minimum(b, 700.0))
            p = np.exp(-low) * -np.expm1(low - np.where(np.isposinf(b), np.inf, high))
    return np.asarray(np.where(b > a, p, -1.0))


def logs(link: str, a: np.ndarray, b: np.ndarray) -> Logs | None:
    """Derivatives of the log probabilities; None where thresholds are out of order."""
    p = interval(link, a, b)
    if (p < 0).any():
        return None
    p = np.maximum(p, TINY)
    (fa, sa), (fb, sb) = density(link, a), density(link, b)
    la, lb = -fa / p, fb / p
    return Logs(np.log(p), la, lb, -sa / p - la**2, -la * lb, sb / p - lb**2)


def fit_cumulative(model: Cumulative, start: np.ndarray) -> CumulativeFit:
    """Newton's method with halved steps from thresholds in order."""
    phi, at = start, logs(model.link, *model.ends(start))
    if at is None:
        raise np.linalg.LinAlgError("thresholds out of order")
    converged, decrement = False, np.inf
    for _ in range(LIMIT):
        info, score = _derivatives(model, at)
        step = np.linalg.lstsq(info, score, rcond=1e-14)[0]
        decrement = float(step @ score)
        if decrement < 1e-20 * max(1.0, float(phi @ info @ phi)):
            converged = True
            break
        length, new = 1.0, None
        while length > 1e-8:
            new = logs(model.link, *model.ends(phi + length * step))
            if new is not None and new.value.sum() >= at.value.sum() - 1e-12 * (abs(at.value.sum()) + 1):
                break
            length, new = length / 2, None
        if new is None:
            break
        phi, at = phi + length * step, new
    return CumulativeFit(phi, _derivatives(model, at)[0], float(at.value.sum()), decrement, converged)


def _derivatives(model: Cumulative, at: Logs) -> tuple[np.ndarray, np.ndarray]:
    A, B = model.lower, model.upper
    cross = B.T @ (A * at.ab[:, None])
    H = B.T @ (B * at.bb[:, None]) + A.T @ (A * at.aa[:, None]) + cross + cross.T
    return -(H + H.T) / 2, A.T @ at.a + B.T @ at.b


def first_thresholds(category: np.ndarray, K: int, link: str) -> np.ndarray:
    """Thresholds of a model without predictors: the link of the cumulative shares."""
    share = np.cumsum(np.bincount(category, minlength=K))[:-1] / len(category)
    return LINKS[link].inverse(share)
