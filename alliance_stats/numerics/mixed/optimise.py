"""Optima of a criterion of Ψ = ΛΛ', from an analytic gradient in the free elements θ of Λ.

The criterion does not change when a column of Λ turns its sign, so that a column of zeros is always stationary and looks
converged: what a search ends at is believed only after a look beside every such column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from alliance_stats.numerics.mixed.parts import Evaluation
from alliance_stats.numerics.mixed.search import (
    ENDLESS,
    NEARLY,
    Counted,
    Criterion,
    Point,
    differences,
    replaced,
    search,
)
from alliance_stats.numerics.mixed.triangles import Triangles, triangles

BESIDE = (0.1, 0.5)  # where to look beside a zero, in the units
DOWNHILL = (0.1, 0.02, 4e-3, 8e-4, 1e-4)  # lengths tried along negative curvature at a zero
COSTLY = 0.01  # rise of the criterion up to which a small pivot is left out to look beside zeros


class System(Protocol):
    """What can be fitted: a tree or a crossed system."""

    @property
    def diagonal(self) -> np.ndarray: ...
    @property
    def units(self) -> np.ndarray: ...
    def start(self) -> np.ndarray: ...
    def evaluate(
        self, theta: np.ndarray, *, reml: bool = True, sigma2: float | None = None, gradient: bool = True
    ) -> Evaluation: ...


@dataclass(frozen=True)
class Optimum:
    """Where the search ended: θ, the criterion, its gradient, evaluations used, and whether it converged.

    ``endless`` is a search that left for infinity, as it does where the random effects explain the outcome exactly.
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    evaluations: int
    converged: bool
    endless: bool = False


def fit(system: System, *, reml: bool = True, sigma2: float | None = None, start: np.ndarray | None = None) -> Optimum:
    """The minimum of a system's criterion, from its own starting values unless others are given."""

    def criterion(theta: np.ndarray) -> tuple[float, np.ndarray]:
        at = system.evaluate(theta, reml=reml, sigma2=sigma2)
        return at.value, at.gradient

    return minimise(criterion, system.start() if start is None else start, system.diagonal, scale=system.units)


def minimise(
    criterion: Criterion, start: np.ndarray, diagonal: np.ndarray, *, scale: np.ndarray | None = None, rounds: int = 5
) -> Optimum:
    """The minimum, looked at from beside every zero before it is believed; the diagonal of Λ is made positive.

    ``diagonal`` says which elements of θ stand on the diagonal of Λ, rows of lower triangles one after the other. ``scale`` is
    the size of θ (k,) at which a random effect varies as much as the residual, ones if it is not given; or the matrix (k, k)
    that makes θ from such coordinates, in which Λ is lower triangular as well.
    """
    units = np.eye(len(start)) if scale is None else np.diag(scale) if scale.ndim == 1 else scale
    counted, shape = Counted(criterion, units), triangles(diagonal)
    found, converged = search(counted, counted(np.linalg.solve(units, start)), shape)
    for _ in range(rounds):
        found = _canonical(counted, found, shape)
        beside = _beside_zero(counted, found, shape)
        if beside is None:
            break
        again, settled = search(counted, beside, shape)
        if again.value > found.value - found.enough:
            break
        found, converged = again, settled
    sign = shape.positive(found.theta)
    theta, slope = units @ (sign * found.theta), np.linalg.solve(units.T, sign * found.slope)
    endless = bool(np.abs(found.theta).max(initial=0.0) > ENDLESS)
    return Optimum(theta, found.value, slope, counted.count, converged, endless)


def differenced_hessian(gradient: Callable[[np.ndarray], np.ndarray], theta: np.ndarray) -> np.ndarray:
    """Central differences of an analytic gradient, shape (k, k), or (k, …) for any array function."""
    steps = 1e-4 * np.maximum(np.abs(theta), 0.1)
    rows = [(gradient(theta + h) - gradient(theta - h)) / (2 * h.max()) for h in np.diag(steps)]
    return np.array(rows)


def _canonical(criterion: Counted, at: Point, shape: Triangles) -> Point:
    """Without the random effects that hardly vary, where leaving them out costs nothing."""
    theta = shape.canonical(at.theta)
    if np.array_equal(shape.moving(theta), shape.moving(at.theta)):
        return at
    new = criterion(theta)
    return new if new.value <= at.value + 10 * at.enough else at


def _beside_zero(criterion: Counted, at: Point, shape: Triangles) -> Point | None:
    """A better start beside a column of zeros, seen from the point itself or without a small pivot beside such a column."""
    limit = at.value - 10 * at.enough
    found = _lower_beside(criterion, at, limit, shape, BESIDE)
    theta = shape.other_view(at.theta, NEARLY)
    if found is not None or np.array_equal(shape.moving(theta), shape.moving(at.theta)):
        return found
    view = criterion(theta)
    return _lower_beside(criterion, view, limit, shape, ()) if view.value < at.value + COSTLY else None


def _lower_beside(
    criterion: Counted, at: Point, limit: float, shape: Triangles, distances: Sequence[float]
) -> Point | None:
    """A point below the limit along negative curvature or at some distance; without one, a point along the curvature."""
    still = np.setdiff1d(np.arange(len(at.theta)), shape.moving(at.theta))
    if not len(still):
        return None
    value, vector = np.linalg.eigh(differences(criterion, at, still, 1e-3))
    downhill = value[0] < -max(1e-6 * np.abs(value).max(), 1e-8 * abs(at.value))
    trials = [replaced(at.theta, still, length * vector[:, 0]) for length in DOWNHILL if downhill]
    at_corners = np.intersect1d(still, shape.corners(at.theta))
    trials += [replaced(at.theta, j, size) for j in at_corners for size in distances]
    for trial in trials:
        new = criterion(trial)
        if new.value < limit:
            return new
    return criterion(trials[0]) if downhill else None
