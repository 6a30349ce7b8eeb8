"""Binomial outcomes: successes y of m trials. At the ends the formulae are those that lose no digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from alliance_stats.numerics.glmm.likelihood import NONE, Inner, Outer

HALF_LOG_TWO_PI = float(0.5 * np.log(2 * np.pi))


def log_choose(m: np.ndarray, y: np.ndarray) -> float:
    """Σ log (m over y)."""
    return float((special.gammaln(m + 1) - special.gammaln(y + 1) - special.gammaln(m - y + 1)).sum())


@dataclass(frozen=True, eq=False)
class _Binomial:
    y: np.ndarray
    m: np.ndarray

    @property
    def dispersed(self) -> bool:
        return False

    @cached_property
    def constant(self) -> float:
        return log_choose(self.m, self.y)

    def log_f_psi(self, eta: np.ndarray, psi: float) -> np.ndarray:
        return NONE


@dataclass(frozen=True, eq=False)
class BinomialLogit(_Binomial):
    """s = y − mp, w = mp(1 − p)."""

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        small = np.exp(-np.abs(eta))
        upper = 1 / (1 + small)
        p = np.where(eta >= 0, upper, small * upper)
        log_f = self.y * eta - self.m * (np.maximum(eta, 0) + np.log1p(small))
        mean = self.m * p
        return Inner(log_f, self.y - mean, self.m * (small * upper * upper))

    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer:
        return Outer(inner.curvature, inner.curvature * -np.tanh(eta / 2))

    def rows(self, order: np.ndarray) -> BinomialLogit:
        return BinomialLogit(self.y[order], self.m[order])


@dataclass(frozen=True, eq=False)
class BinomialProbit(_Binomial):
    """With r(η) = φ(η)/Φ(η): s = y r(η) − (m − y) r(−η), and r' = −r(η + r)."""

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        (up, log_up), (down, log_down) = _mills(eta), _mills(-eta)
        failures = self.m - self.y
        curvature = self.y * up * (eta + up) + failures * down * (down - eta)
        return Inner(self.y * log_up + failures * log_down, self.y * up - failures * down, curvature)

    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer:
        up, down = _mills(eta)[0], _mills(-eta)[0]
        weight = self.m * up * down
        return Outer(weight, weight * (down - up - 2 * eta))

    def rows(self, order: np.ndarray) -> BinomialProbit:
        return BinomialProbit(self.y[order], self.m[order])


@dataclass(frozen=True, eq=False)
class BinomialCloglog(_Binomial):
    """With a = exp(η) and t = a/(exp(a) − 1): s = yt − (m − y)a, and dt/dη = t(1 − t − a)."""

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        a, t, log_p = _hazard(eta)
        failures = self.m - self.y
        log_f = self.y * log_p - failures * a
        return Inner(log_f, self.y * t - failures * a, failures * a - self.y * t * (1 - t - a))

    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer:
        a, t, _ = _hazard(eta)
        weight = self.m * a * t
        return Outer(weight, weight * (2 - t - a))

    def rows(self, order: np.ndarray) -> BinomialCloglog:
        return BinomialCloglog(self.y[order], self.m[order])


def _mills(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ/Φ and log Φ."""
    log_cdf = special.log_ndtr(eta)
    return np.exp(-eta * eta / 2 - HALF_LOG_TWO_PI - log_cdf), log_cdf


def _hazard(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a, t and log p; a is kept below 700, where exp(a) still is a number."""
    a = np.exp(np.clip(eta, -700, 6.5))
    grown = np.expm1(a)
    return a, a / grown, np.log(grown) - a
