"""Counts with a log link: Poisson, and negative binomial with variance μ + μ²/θ (glmmTMB's nbinom2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from alliance_stats.numerics.glmm.likelihood import NONE, Inner, Outer

LARGEST = 50.0  # η above which a mean is no count any more, and grows no faster than η


@dataclass(frozen=True, eq=False)
class PoissonLog:
    """s = y − μ, w = μ."""

    y: np.ndarray

    @property
    def dispersed(self) -> bool:
        return False

    @cached_property
    def constant(self) -> float:
        return -float(special.gammaln(self.y + 1).sum())

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        mu = np.exp(np.minimum(eta, LARGEST))
        beyond = np.maximum(eta - LARGEST, 0.0)
        return Inner(self.y * eta - mu * (1 + beyond), self.y - mu, mu)

    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer:
        return Outer(inner.curvature, inner.curvature)

    def log_f_psi(self, eta: np.ndarray, psi: float) -> np.ndarray:
        return NONE

    def rows(self, order: np.ndarray) -> PoissonLog:
        return PoissonLog(self.y[order])


@dataclass(frozen=True, eq=False)
class NegativeBinomialLog:
    """With π = μ/(μ + θ), θ = exp(ψ): s = y − (y + θ)π, w = (y + θ)π(1 − π)."""

    y: np.ndarray

    @property
    def dispersed(self) -> bool:
        return True

    @cached_property
    def constant(self) -> float:
        return -float(special.gammaln(self.y + 1).sum())

    def inner(self, eta: np.ndarray, psi: float) -> Inner:
        y, theta, share = self.y, np.exp(psi), special.expit(eta - psi)
        shape = special.gammaln(y + theta) - special.gammaln(theta)
        # log(μ + θ) = ψ + log(1 + exp(η − ψ))
        log_f = shape + y * (eta - psi) - (y + theta) * np.logaddexp(0.0, eta - psi)
        weight = (y + theta) * share
        return Inner(log_f, y - weight, weight * (1 - share))

    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer:
        theta, share = np.exp(psi), special.expit(eta - psi)
        w = inner.curvature
        return Outer(
            w, w * (1 - 2 * share), self.log_f_psi(eta, psi), w - theta * share,
            theta * share * (1 - share) - w * (1 - 2 * share),
        )  # fmt: skip

    def log_f_psi(self, eta: np.ndarray, psi: float) -> np.ndarray:
        y, theta = self.y, np.exp(psi)
        share = special.expit(eta - psi)
        slope = theta * (special.digamma(y + theta) - special.digamma(theta))
        return np.asarray(slope - theta * np.logaddexp(0.0, eta - psi) + (y + theta) * share - y)

    def rows(self, order: np.ndarray) -> NegativeBinomialLog:
        return NegativeBinomialLog(self.y[order])
