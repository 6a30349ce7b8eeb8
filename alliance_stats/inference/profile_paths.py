"""The deviance with one parameter held at a value and all others at their best.

A coefficient is held by moving its column to the outcome; σ by giving it. A standard deviation is that of the first effect
of its term once the effects are put in that order, sd = σλ₁₁; a correlation that of the first two, λ₂₁ = ρt,
λ₂₂ = √(1 − ρ²)t. Every order of the effects of a term is the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from alliance_stats.errors import ConvergenceError
from alliance_stats.inference.problem import Problem
from alliance_stats.numerics.mixed.crossed import Crossed
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.numerics.mixed.optimise import fit
from alliance_stats.numerics.mixed.parts import elements
from alliance_stats.numerics.mixed.tree import Tree

START = 0.05  # least size of the diagonal of Λ, beside its natural size, from which a search starts
FLAT = 1e-5  # gradient in natural units at which it ends: the deviance is then good to about its square
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
        at = self.given.system().evaluate(self.theta, reml=False, gradient=False)
        return 2 * float(np.sqrt(at.sigma2 * at.inverse[self.j, self.j]))

    def deviance(self, value: float) -> float:
        """With β_j = value."""
        y = self.given.y - value * self.given.X[:, self.j]
        held = replace(self.given, X=np.delete(self.given.X, self.j, axis=1), y=y)
        return fit(held.system(), reml=False, start=self.theta).value


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
        return _ordered(self.given, self.theta, self.place, (self.i,))

    @property
    def step(self) -> float:
        """A fifth of the estimate, or a little where that is zero."""
        own = self.ordered
        return float(self.sigma * max(0.2 * own.theta[own.first], 0.05 * own.system.scale[own.first]))

    def deviance(self, value: float) -> float:
        """With sd = value, over log σ and the other elements of θ."""
        own, n = self.ordered, len(self.given.y)
        free = np.arange(len(own.theta)) != own.first
        scale = own.system.scale[free]

        def criterion(point: np.ndarray) -> tuple[float, np.ndarray]:
            sigma, theta = float(np.exp(point[-1])), own.theta.copy()
            theta[free], theta[own.first] = point[:-1] * scale, value / sigma
            at = own.system.evaluate(theta, reml=False, sigma2=sigma**2)
            in_sigma = 2 * n - 2 * at.r / sigma**2 - at.gradient[own.first] * theta[own.first]
            return at.value, np.r_[at.gradient[free] * scale, in_sigma]

        return _least(criterion, np.r_[own.start[free] / scale, np.log(self.sigma)])


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
        return _ordered(self.given, self.theta, self.place, (self.i, self.j))

    def deviance(self, value: float) -> float:
        """With ρ = value, over the size t of the second row of Λ and the other elements of θ."""
        own, across = self.ordered, float(np.sqrt(1 - value**2))
        free = np.ones(len(own.theta), dtype=bool)
        free[[own.below, own.second]] = False
        scale, size = own.system.scale[free], own.system.scale[own.second]

        def criterion(point: np.ndarray) -> tuple[float, np.ndarray]:
            theta, t = own.theta.copy(), point[-1] * size
            theta[free], theta[own.below], theta[own.second] = point[:-1] * scale, value * t, across * t
            at = own.system.evaluate(theta, reml=False)
            in_t = value * at.gradient[own.below] + across * at.gradient[own.second]
            return at.value, np.r_[at.gradient[free] * scale, in_t * size]

        t = np.hypot(own.start[own.below], own.start[own.second])
        return _least(criterion, np.r_[own.start[free] / scale, t / size])


@dataclass(frozen=True, eq=False)
class Ordered:
    """A system with chosen effects first of their term; places in θ of λ₁₁, and of λ₂₁ and λ₂₂ of the term if it has them.

    ``start`` is θ with its zeros on the diagonal moved away, where the criterion is stationary whatever is held.
    """

    system: Tree | Crossed
    theta: np.ndarray
    start: np.ndarray
    first: int
    below: int
    second: int


def _ordered(given: Problem, theta: np.ndarray, place: int, chosen: tuple[int, ...]) -> Ordered:
    level = given.levels[place]
    top = int(level.columns[level.rows == chosen[0]].min())
    term = level.rows[level.columns == top]
    order = np.arange(level.q)
    order[term] = [*chosen, *(i for i in term if i not in chosen)]
    levels = list(given.levels)
    levels[place] = replace(level, Z=level.Z[:, order])
    Ls = level_factors(given.levels, theta)
    Ls[place] = _triangle(Ls[place][order])
    shapes = [(each.q, each.rows, each.columns) for each in levels]
    system = replace(given, levels=tuple(levels)).system()
    turned = elements(Ls, shapes)
    low = START * system.scale
    start = np.where(system.diagonal & (np.abs(turned) < low), low, turned)
    begin = sum(len(each.rows) for each in levels[:place])

    def at(row: int, column: int) -> int:
        found = np.flatnonzero((level.rows == row) & (level.columns == column))
        return begin + int(found[0]) if len(found) else -1

    return Ordered(system, turned, start, at(top, top), at(top + 1, top), at(top + 1, top + 1))


def _triangle(root: np.ndarray) -> np.ndarray:
    """The lower triangular root of root·root', without negative elements on the diagonal."""
    _, R = np.linalg.qr(root.T)
    return np.asarray(np.tril(R.T) * np.where(np.diag(R) < 0, -1.0, 1.0))


def _least(criterion: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray) -> float:
    from scipy.optimize import minimize

    found = minimize(criterion, start, jac=True, method="BFGS", options={"gtol": FLAT})
    if np.abs(found.jac).max(initial=0.0) > ENOUGH:
        raise ConvergenceError("profile: the deviance could not be minimised with a parameter held; use bootstrap()")
    return float(found.fun)
