"""The descent to a stationary point of a criterion of Ψ = ΛΛ', by Newton's method and BFGS updates between fresh Hessians.

Near a singular Ψ, factors that differ much have nearly the same Ψ, and Newton's method in θ crawls along them: so its steps
with a fresh Hessian are taken in Ψ, and as soon as Ψ is nearly singular the singular one is tried, after which only the
columns that are not zero move. A sum over many rows carries rounding noise: nothing below it is called a gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alliance_stats.numerics.mixed.triangles import (
    Triangles,
    column_curvature,
    covariance_slope,
    moved,
    packed,
    unpacked,
)

Criterion = Callable[[np.ndarray], tuple[float, np.ndarray]]
NEARLY = 0.1  # standard deviation below which the singular Ψ is tried
SLOW = 0.5  # a step that leaves more than this part of the expected gain asks for a fresh Hessian
STEP = 1e-5  # of forward differences, in the units
ENDLESS = 1e5  # standard deviations, in those of the residual, beyond which there is no optimum that could be computed


@dataclass(frozen=True)
class Point:
    """θ in the units, the criterion and its gradient there."""

    theta: np.ndarray
    value: float
    slope: np.ndarray

    @property
    def noise(self) -> float:
        """A difference of the criterion that rounding makes."""
        return max(1e-11, 4e-15 * abs(self.value))

    @property
    def enough(self) -> float:
        """A gain that does not matter."""
        return max(1e-10, 2e-14 * abs(self.value))


class Counted:
    """The criterion in the units, with a count of its evaluations."""

    def __init__(self, criterion: Criterion, units: np.ndarray) -> None:
        self.criterion, self.units, self.count = criterion, units, 0

    def __call__(self, theta: np.ndarray) -> Point:
        self.count += 1
        value, slope = self.criterion(self.units @ theta)
        return Point(theta, value, self.units.T @ slope)


@dataclass(frozen=True)
class _Model:
    """The quadratic model: the inverse Hessian (made positive) of the elements that move, and the Hessian if it is fresh."""

    moving: np.ndarray
    inverse: np.ndarray
    hessian: np.ndarray | None

    def step(self, at: Point) -> np.ndarray:
        """To the minimum of the model."""
        step = np.zeros(len(at.theta))
        step[self.moving] = -self.inverse @ at.slope[self.moving]
        return step

    def gain(self, at: Point) -> float:
        """Twice the expected gain of the step."""
        slope = at.slope[self.moving]
        return float(slope @ self.inverse @ slope)

    def after(self, at: Point, new: Point, shape: Triangles) -> _Model | None:
        """The BFGS update; None where a fresh Hessian is worth its evaluations."""
        if self.gain(new) > SLOW * self.gain(at) or len(shape.moving(new.theta)) != len(self.moving):
            return None
        move, turn = (new.theta - at.theta)[self.moving], (new.slope - at.slope)[self.moving]
        bend = float(move @ turn)
        if bend <= 1e-12 * float(np.linalg.norm(move) * np.linalg.norm(turn)):
            return None
        V = np.eye(len(move)) - np.outer(move, turn) / bend
        return _Model(self.moving, V @ self.inverse @ V.T + np.outer(move, move) / bend, None)


def search(criterion: Counted, at: Point, shape: Triangles, *, limit: int = 200) -> tuple[Point, bool]:
    """The stationary point that is reached from a start, and whether it is one."""
    model, tried = None, np.inf
    for _ in range(limit):
        model = model or _fresh(criterion, at, shape.moving(at.theta))
        gain = model.gain(at)
        if gain < at.enough or np.abs(at.theta).max() > ENDLESS:
            return at, gain < at.enough
        new, whole = _next(criterion, at, model, shape)
        if new is None and model.hessian is not None:
            return at, gain < 1e-4
        if new is None:
            model = None
            continue
        model, at = model.after(at, new, shape) if whole else None, new
        smallest = shape.smallest(at.theta)
        if smallest < min(NEARLY, tried / 2):
            singular, tried = criterion(shape.truncated(at.theta)), smallest
            if singular.value <= at.value + at.noise:
                model, at, tried = None, singular, np.inf
    return at, False


def _fresh(criterion: Counted, at: Point, moving: np.ndarray) -> _Model:
    """A differenced Hessian; in its inverse negative curvature is turned round, and none at all is bounded from below."""
    H = differences(criterion, at, moving, STEP)
    if not len(moving):
        return _Model(moving, H, H)
    value, vector = np.linalg.eigh(H)
    size = np.maximum(np.abs(value), 1e-7 * np.abs(value).max() + 1e-12)
    return _Model(moving, vector / size @ vector.T, H)


def differences(criterion: Counted, at: Point, moving: np.ndarray, step: float) -> np.ndarray:
    """Forward differences of the gradient in the elements that move."""
    H = np.empty((len(moving), len(moving)))
    for row, j in zip(H, moving, strict=True):
        h = step * max(abs(at.theta[j]), 0.1)
        row[:] = (criterion(replaced(at.theta, j, at.theta[j] + h)).slope - at.slope)[moving] / h
    return (H + H.T) / 2


def _next(criterion: Counted, at: Point, model: _Model, shape: Triangles) -> tuple[Point | None, bool]:
    """A lower point, or None; and whether it is a whole step away."""
    if model.hessian is not None:
        new = _covariance_step(criterion, at, model, shape)
        if new is not None:
            return new, True
    return _line_search(criterion, at, model)


def _covariance_step(criterion: Counted, at: Point, model: _Model, shape: Triangles) -> Point | None:
    """Newton's step in the elements of the regular Ψ; None where it does not gain what it should."""
    regular, own = shape.regular(at.theta), np.zeros((len(at.theta), len(at.theta)))
    for block in regular:
        own[block, block] = column_curvature(covariance_slope(unpacked(at.theta[block]), unpacked(at.slope[block])))
    value, vector = np.linalg.eigh(model.hessian - own[np.ix_(model.moving, model.moving)])
    if not len(value):
        return None
    size = np.maximum(np.abs(value), 1e-6 * np.abs(value).max())
    change = np.zeros(len(at.theta))
    change[model.moving] = -(vector / size @ vector.T) @ at.slope[model.moving]
    gain = -float(at.slope @ change)
    for length in (1.0, 0.3, 0.1):
        theta = at.theta + length * change
        for block in regular:
            theta[block] = packed(moved(unpacked(at.theta[block]), length * unpacked(change[block])))
        if np.abs(theta - at.theta).max() < 2:
            new = criterion(theta)
            return new if new.value <= at.value - 0.1 * length * gain + at.noise else None
    return None


def _line_search(criterion: Counted, at: Point, model: _Model) -> tuple[Point | None, bool]:
    """Backtracking from a step of at most 0.9, or of the size of θ; None where nothing is gained beyond rounding."""
    step, gain = model.step(at), model.gain(at)
    length = first = min(1.0, max(0.9, 0.9 * float(np.abs(at.theta).max())) / float(np.abs(step).max()))
    for _ in range(30):
        new = criterion(at.theta + length * step)
        if new.value <= at.value - 1e-4 * length * gain + at.noise:
            return new, length == first == 1.0
        bend = 2 * (new.value - at.value + gain * length)
        length *= float(np.clip(gain * length / bend, 0.1, 0.5)) if np.isfinite(bend) and bend > 0 else 0.25
    return None, False


def replaced(theta: np.ndarray, where: Any, values: Any) -> np.ndarray:
    """A copy with other values at some places."""
    theta = theta.copy()
    theta[where] = values
    return theta
