"""Shares with a precision φ = exp(ψ): beta-binomial successes of trials, and beta proportions; a = μφ, b = (1 − μ)φ.

Derivatives are taken in μ and carried to η by the chain rule. Neither log-likelihood is concave in η everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from alliance_stats.numerics.glmm.binomial import log_choose
from alliance_stats.numerics.glmm.likelihood import Inner, Outer
from alliance_stats.numerics.glmm.links import LinkFunction


def _trigamma(x: np.ndarray) -> np.ndarray:
    return np.asarray(special.zeta(2, x))


def _tetragamma(x: np.ndarray) -> np.ndarray:
    return np.asarray(-2 * special.zeta(3, x))


@dataclass(frozen=True)
class _InMean:
    """Derivatives in μ: first, second, third; and in φ of log f, of the first and of the second."""

    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    log_f_phi: np.ndarray
    first_phi: np.ndarray
    second_phi: np.ndarray


@dataclass(frozen=True, eq=False)
class _Shared:
    y: np.ndarray
    m: np.ndarray
    link: LinkFunction

    @property
    def dispersed(self) -> bool:
        return True

    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer:
        at, phi = self.link.slopes(eta), np.exp(psi)
        d = self._in_mean(at.mean, phi)
        third = d.third * at.first**3 + 3 * d.second * at.first * at.second + d.first * at.third
        curvature_phi = -(d.second_phi * at.first**2 + d.first_phi * at.second)
        return Outer(inner.curvature, -third, phi * d.log_f_phi, phi * d.first_phi * at.first, phi * curvature_phi)

    def log_f_psi(self, eta: np.ndarray, psi: float) -> np.ndarray:
        phi = np.exp(psi)
        return np.asarray(phi * self._in_mean(self.link.mean(eta), phi).log_f_phi)

    def _in_mean(self, mu: np.ndarray, phi: float) -> _InMean:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class BetaBinomial(_Shared):
    """Successes y of m; the variance is mμ(1 − μ)(φ + m)/(φ + 1)."""

    @cached_property
    def constant(self) -> float:
        return log_choose(self.m, self.y)

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        at, phi = self.link.slopes(eta), np.exp(psi)
        y, rest, a, b = self.y, self.m - self.y, at.mean * phi, (1 - at.mean) * phi
        log_f = special.betaln(y + a, rest + b) - special.betaln(a, b)
        first = phi * (_rise(special.digamma, a, y) - _rise(special.digamma, b, rest))
        second = phi**2 * (_rise(_trigamma, a, y) + _rise(_trigamma, b, rest))
        return Inner(log_f, first * at.first, -(second * at.first**2 + first * at.second))

    def _in_mean(self, mu: np.ndarray, phi: float) -> _InMean:
        y, rest, a, b = self.y, self.m - self.y, mu * phi, (1 - mu) * phi
        one = _rise(special.digamma, a, y), _rise(special.digamma, b, rest)
        two = _rise(_trigamma, a, y), _rise(_trigamma, b, rest)
        three = _rise(_tetragamma, a, y), _rise(_tetragamma, b, rest)
        log_f_phi = mu * one[0] + (1 - mu) * one[1] + special.digamma(phi) - special.digamma(self.m + phi)
        first, second = phi * (one[0] - one[1]), phi**2 * (two[0] + two[1])
        return _InMean(
            first, second, phi**3 * (three[0] - three[1]), log_f_phi,
            first / phi + phi * (mu * two[0] - (1 - mu) * two[1]),
            2 * second / phi + phi**2 * (mu * three[0] + (1 - mu) * three[1]),
        )  # fmt: skip

    def rows(self, order: np.ndarray) -> BetaBinomial:
        return BetaBinomial(self.y[order], self.m[order], self.link)


@dataclass(frozen=True, eq=False)
class Beta(_Shared):
    """Proportions y strictly between 0 and 1; the variance is μ(1 − μ)/(1 + φ). ``m`` is not used."""

    @cached_property
    def constant(self) -> float:
        return 0.0

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        at, phi = self.link.slopes(eta), np.exp(psi)
        a, b = at.mean * phi, (1 - at.mean) * phi
        log_f = (a - 1) * np.log(self.y) + (b - 1) * np.log1p(-self.y) - special.betaln(a, b)
        first = phi * (special.logit(self.y) - special.digamma(a) + special.digamma(b))
        second = -(phi**2) * (_trigamma(a) + _trigamma(b))
        return Inner(log_f, first * at.first, -(second * at.first**2 + first * at.second))

    def _in_mean(self, mu: np.ndarray, phi: float) -> _InMean:
        a, b = mu * phi, (1 - mu) * phi
        up, down = np.log(self.y) - special.digamma(a), np.log1p(-self.y) - special.digamma(b)
        two, three = (_trigamma(a), _trigamma(b)), (_tetragamma(a), _tetragamma(b))
        first, second = phi * (up - down), -(phi**2) * (two[0] + two[1])
        return _InMean(
            first, second, -(phi**3) * (three[0] - three[1]), special.digamma(phi) + mu * up + (1 - mu) * down,
            first / phi - phi * (mu * two[0] - (1 - mu) * two[1]),
            2 * second / phi - phi**2 * (mu * three[0] + (1 - mu) * three[1]),
        )  # fmt: skip

    def rows(self, order: np.ndarray) -> Beta:
        return Beta(self.y[order], self.m[order], self.link)


def _rise(function: Callable[[np.ndarray], np.ndarray], start: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.asarray(function(start + by) - function(start))
