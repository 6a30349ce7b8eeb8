"""The deviance with one parameter held at a value and all others at their best.

A coefficient is held by moving its column to the outcome; σ by giving it. A standard deviation is that of the first effect
of its term once the effects are put in that order, sd = σλ₁₁; a correlation that of the first two, λ₂₁ = ρt,
λ₂₂ = √(1 − ρ²)t. Every order of the effects of a term is the same model.

With unequal residual variances θ holds those of all strata too, counted from a floor that stands in the place of σ
(``Problem.from_floor``): there is no σ left to minimise over, and a stratum's standard deviation is held as that of a random
effect of every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from alliance_stats.errors import ConvergenceError
from alliance_stats.inference.effect_order import Ordered, ordered
from alliance_stats.inference.problem import Problem
from alliance_stats.models.mixed_strata import Strata
from alliance_stats.numerics.mixed.optimise import fit

FLAT = 1e-5  # gradient in natural units at which it ends: the deviance is then good to about its square
NEARLY_ZERO = 1e-2  # of a residual standard deviation's excess over its floor
ENOUGH = 1e-2  # gradient at which it may end where rounding allows no better


class Path(Protocol):
    """One parameter: its bounds, a first step away from the estimate, and the deviance where it is held."""

    @property
    def bounds(self) -> tuple[float, float]: ...
    @property
    def step(self) -> float: ...
    def deviance(self, value: float) -> float: ...


@dataclass(frozen=True, eq=False)
class FixedPath:
    """A fixed coefficient, column j of X."""

    given: Problem
    j: int
    theta: np.ndarray
    bounds: tuple[float, float] = (-np.inf, np.inf)

    @property
    def step(self) -> float:
        """Two standard errors."""
        at = self.given.system().evaluate(self.theta, reml=False, sigma2=self.given.sigma2, gradient=False)
        return 2 * float(np.sqrt(at.sigma2 * at.inverse[self.j, self.j]))

    def deviance(self, value: float) -> float:
        """With β_j = value."""
        y = self.given.y - value * self.given.X[:, self.j]
        held = replace(self.given, X=np.delete(self.given.X, self.j, axis=1), y=y)
        best = fit(held.system(), reml=False, sigma2=held.sigma2, start=self.theta)
        require_above_floor(held, best.theta)
        return best.value


@dataclass(frozen=True, eq=False)
class SigmaPath:
    """The residual standard deviation."""

    given: Problem
    theta: np.ndarray
    sigma: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Zero itself has no likelihood."""
        return 1e-6 * self.sigma, np.inf

    @property
    def step(self) -> float:
        """Two standard errors, as if σ² were a mean square of n terms."""
        return self.sigma * float(np.sqrt(2 / len(self.given.y)))

    def deviance(self, value: float) -> float:
        """With σ = value."""
        return fit(self.given.system(), reml=False, sigma2=value**2, start=self.theta).value


@dataclass(frozen=True, eq=False)
class DeviationPath:
    """The standard deviation of random effect i of a level."""

    given: Problem
    place: int
    i: int
    theta: np.ndarray
    sigma: float
    bounds: tuple[float, float] = (0.0, np.inf)

    @cached_property
    def ordered(self) -> Ordered:
        """The model with effect i first of its term."""
        return ordered(self.given, self.theta, self.place, (self.i,))

    @property
    def step(self) -> float:
        """A fifth of the estimate, or a little where that is zero."""
        own = self.ordered
        return float(self.sigma * max(0.2 * own.theta[own.first], 0.05 * own.system.scale[own.first]))

    def deviance(self, value: float) -> float:
        """With sd = value, over the other elements of θ, and log σ unless σ is given."""
        own, n, given = self.ordered, len(self.given.y), self.given.sigma2
        free = np.arange(len(own.theta)) != own.first
        scale = own.system.scale[free]

        def criterion(point: np.ndarray) -> tuple[float, np.ndarray]:
            sigma, theta = float(np.exp(point[-1]) if given is None else np.sqrt(given)), own.theta.copy()
            theta[free], theta[own.first] = point[: len(scale)] * scale, value / sigma
            at = own.system.evaluate(theta, reml=False, sigma2=sigma**2)
            in_sigma = 2 * n - 2 * at.r / sigma**2 - at.gradient[own.first] * theta[own.first]
            return at.value, np.r_[at.gradient[free] * scale, in_sigma][: len(point)]

        start = own.start[free] / scale
        least, point = _least(criterion, start if given is not None else np.r_[start, np.log(self.sigma)])
        require_above_floor(self.given, _filled(own.theta, free, point[: len(scale)] * scale))
        return least


@dataclass(frozen=True, eq=False)
class StratumPath:
    """The residual standard deviation of stratum k, at its estimate ``sigma``."""

    given: Problem
    strata: Strata
    k: int
    floor: float
    theta: np.ndarray
    sigma: float

    @property
    def bounds(self) -> tuple[float, float]:
        """At a hundredth of the estimate the deviance has risen beyond any quantile: by 10,000 for a single row."""
        return 0.01 * self.sigma, np.inf

    @property
    def step(self) -> float:
        """Two standard errors, as if σ_k² were a mean square of its rows."""
        return self.sigma * float(np.sqrt(2 / np.sum(self.strata.codes == self.k)))

    def deviance(self, value: float) -> float:
        """With σ_k = value, the floor lowered to half of it where that is less."""
        floor = min(self.floor, value / 2)
        theta = self.theta * (self.floor / floor)
        theta[: len(self.strata.levels)] = np.sqrt(self.sigmas**2 / floor**2 - 1)
        whole = self.given.from_floor(self.strata, floor)
        return DeviationPath(whole, 0, self.k, theta, floor).deviance(float(np.sqrt(value**2 - floor**2)))

    @property
    def sigmas(self) -> np.ndarray:
        """Of all strata, at the estimates."""
        return np.asarray(self.floor * np.hypot(1.0, self.theta[: len(self.strata.levels)]))


@dataclass(frozen=True, eq=False)
class CorrelationPath:
    """The correlation of random effects i and j of a level."""

    given: Problem
    place: int
    i: int
    j: int
    theta: np.ndarray
    bounds: tuple[float, float] = (-1.0, 1.0)
    step: float = 0.25

    @cached_property
    def ordered(self) -> Ordered:
        """The model with effects i and j first of their term."""
        return ordered(self.given, self.theta, self.place, (self.i, self.j))

    def deviance(self, value: float) -> float:
        """With ρ = value, over the size t of the second row of Λ and the other elements of θ."""
        own, across = self.ordered, float(np.sqrt(1 - value**2))
        free = np.ones(len(own.theta), dtype=bool)
        free[[own.below, own.second]] = False
        scale, size = own.system.scale[free], own.system.scale[own.second]

        def criterion(point: np.ndarray) -> tuple[float, np.ndarray]:
            theta, t = own.theta.copy(), point[-1] * size
            theta[free], theta[own.below], theta[own.second] = point[:-1] * scale, value * t, across * t
            at = own.system.evaluate(theta, reml=False, sigma2=self.given.sigma2)
            in_t = value * at.gradient[own.below] + across * at.gradient[own.second]
            return at.value, np.r_[at.gradient[free] * scale, in_t * size]

        t = np.hypot(own.start[own.below], own.start[own.second])
        least, point = _least(criterion, np.r_[own.start[free] / scale, t / size])
        require_above_floor(self.given, _filled(own.theta, free, point[:-1] * scale))
        return least


def require_above_floor(given: Problem, theta: np.ndarray) -> None:
    """ConvergenceError where a residual variance came down to the floor from which it is counted."""
    if given.sigma2 is not None and np.abs(theta[: given.levels[0].q]).min() < NEARLY_ZERO:
        raise ConvergenceError(
            "profile: with a parameter held, the residual variance of a group of residual_by goes to zero; use bootstrap()"
        )


def _filled(theta: np.ndarray, where: np.ndarray, values: np.ndarray) -> np.ndarray:
    theta = theta.copy()
    theta[where] = values
    return theta


def _least(criterion: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray) -> tuple[float, np.ndarray]:
    from scipy.optimize import minimize

    found = minimize(criterion, start, jac=True, method="BFGS", options={"gtol": FLAT})
    if np.abs(found.jac).max(initial=0.0) > ENOUGH:
        raise ConvergenceError("profile: the deviance could not be minimised with a parameter held; use bootstrap()")
    return float(found.fun), np.asarray(found.x)
