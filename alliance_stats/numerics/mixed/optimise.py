"""Newton's method for a criterion of Ψ = ΛΛ', with an analytic gradient in the free elements θ of Λ.

Three things make this criterion unlike others. It does not change when a column of Λ turns its sign, so that a column of
zeros is always stationary and looks converged: it is believed only after a look beside it. Near a singular Ψ, factors that
differ much have nearly the same Ψ, and Newton's method in θ crawls along them: so its steps with a fresh Hessian are taken
in Ψ, and as soon as Ψ is nearly singular the singular one is tried, after which only the columns that are not zero move.
And a sum over many rows carries rounding noise: nothing below it is called a gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alliance_stats.numerics.mixed.parts import Evaluation
from alliance_stats.numerics.mixed.triangles import (
    Triangles,
    column_curvature,
    covariance_slope,
    moved,
    packed,
    triangles,
    unpacked,
)

Criterion = Callable[[np.ndarray], tuple[float, np.ndarray]]
BESIDE = (0.1, 0.5)  # where to look beside a zero, in units of the scale
DOWNHILL = (0.1, 0.02, 4e-3, 8e-4, 1e-4)  # lengths tried along negative curvature at a zero
NEARLY = 0.1  # standard deviation below which the singular Ψ is tried
SLOW = 0.5  # a step that leaves more than this part of the expected gain asks for a fresh Hessian
STEP = 1e-5  # of forward differences, in units of the scale


class System(Protocol):
    """What can be fitted: a tree or a crossed system."""

    @property
    def diagonal(self) -> np.ndarray: ...
    @property
    def scale(self) -> np.ndarray: ...
    def start(self) -> np.ndarray: ...
    def evaluate(
        self, theta: np.ndarray, *, reml: bool = True, sigma2: float | None = None, gradient: bool = True
    ) -> Evaluation: ...


@dataclass(frozen=True)
class Optimum:
    """Where the search ended: θ, the criterion, its gradient, evaluations used, and whether it converged."""

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    evaluations: int
    converged: bool


def fit(system: System, *, reml: bool = True, sigma2: float | None = None, start: np.ndarray | None = None) -> Optimum:
    """The minimum of a system's criterion, from its own starting values unless others are given."""

    def criterion(theta: np.ndarray) -> tuple[float, np.ndarray]:
        at = system.evaluate(theta, reml=reml, sigma2=sigma2)
        return at.value, at.gradient

    return minimise(criterion, system.start() if start is None else start, system.diagonal, scale=system.scale)


def minimise(
    criterion: Criterion, start: np.ndarray, diagonal: np.ndarray, *, scale: np.ndarray | None = None, rounds: int = 5
) -> Optimum:
    """The minimum, looked at from beside every zero before it is believed; the diagonal of Λ is made positive.

    ``diagonal`` says which elements of θ stand on the diagonal of Λ, rows of lower triangles one after the other; ``scale`` is
    the size of θ at which a random effect varies as much as the residual (ones, if it is not given).
    """
    scale = np.ones(len(start)) if scale is None else scale
    counted, shape = _Counted(criterion, scale), triangles(diagonal)
    found, converged = _search(counted, counted(start / scale), shape)
    for _ in range(rounds):
        found = _canonical(counted, found, shape)
        beside = _beside_zero(counted, found, shape)
        if beside is None:
            break
        again, settled = _search(counted, beside, shape)
        if again.value > found.value - found.enough:
            break
        found, converged = again, settled
    sign = shape.positive(found.theta)
    return Optimum(sign * found.theta * scale, found.value, sign * found.slope / scale, counted.count, converged)


def differenced_hessian(gradient: Callable[[np.ndarray], np.ndarray], theta: np.ndarray) -> np.ndarray:
    """Central differences of an analytic gradient, shape (k, k), or (k, …) for any array function."""
    steps = 1e-4 * np.maximum(np.abs(theta), 0.1)
    rows = [(gradient(theta + h) - gradient(theta - h)) / (2 * h.max()) for h in np.diag(steps)]
    return np.array(rows)


@dataclass(frozen=True)
class _Point:
    """θ in units of the scale, the criterion and its gradient there."""

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


class _Counted:
    """The criterion in units of the scale, with a count of its evaluations."""

    def __init__(self, criterion: Criterion, scale: np.ndarray) -> None:
        self.criterion, self.scale, self.count = criterion, scale, 0

    def __call__(self, theta: np.ndarray) -> _Point:
        self.count += 1
        value, slope = self.criterion(theta * self.scale)
        return _Point(theta, value, slope * self.scale)


@dataclass(frozen=True)
class _Model:
    """The quadratic model: the inverse Hessian (made positive) of the elements that move, and the Hessian if it is fresh."""

    moving: np.ndarray
    inverse: np.ndarray
    hessian: np.ndarray | None

    def step(self, at: _Point) -> np.ndarray:
        step = np.zeros(len(at.theta))
        step[self.moving] = -self.inverse @ at.slope[self.moving]
        return step

    def gain(self, at: _Point) -> float:
        """Twice the expected gain of the step."""
        slope = at.slope[self.moving]
        return float(slope @ self.inverse @ slope)

    def after(self, at: _Point, new: _Point, shape: Triangles) -> _Model | None:
        """The BFGS update; None where a fresh Hessian is worth its evaluations."""
        if self.gain(new) > SLOW * self.gain(at) or len(shape.moving(new.theta)) != len(self.moving):
            return None
        move, turn = (new.theta - at.theta)[self.moving], (new.slope - at.slope)[self.moving]
        bend = float(move @ turn)
        if bend <= 1e-12 * float(np.linalg.norm(move) * np.linalg.norm(turn)):
            return None
        V = np.eye(len(move)) - np.outer(move, turn) / bend
        return _Model(self.moving, V @ self.inverse @ V.T + np.outer(move, move) / bend, None)


def _search(criterion: _Counted, at: _Point, shape: Triangles, *, limit: int = 200) -> tuple[_Point, bool]:
    """The stationary point that is reached from a start, and whether it is one."""
    model, tried = None, np.inf
    for _ in range(limit):
        model = model or _fresh(criterion, at, shape.moving(at.theta))
        gain = model.gain(at)
        if gain < at.enough:
            return at, True
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


def _fresh(criterion: _Counted, at: _Point, moving: np.ndarray) -> _Model:
    """Forward differences of the gradient; negative curvature is turned round, none at all is bounded from below."""
    H = _differences(criterion, at, moving, STEP)
    if not len(moving):
        return _Model(moving, H, H)
    value, vector = np.linalg.eigh(H)
    size = np.maximum(np.abs(value), 1e-7 * np.abs(value).max() + 1e-12)
    return _Model(moving, vector / size @ vector.T, H)


def _differences(criterion: _Counted, at: _Point, moving: np.ndarray, step: float) -> np.ndarray:
    H = np.empty((len(moving), len(moving)))
    for row, j in zip(H, moving, strict=True):
        h = step * max(abs(at.theta[j]), 0.1)
        row[:] = (criterion(_replaced(at.theta, j, at.theta[j] + h)).slope - at.slope)[moving] / h
    return (H + H.T) / 2


def _next(criterion: _Counted, at: _Point, model: _Model, shape: Triangles) -> tuple[_Point | None, bool]:
    """A lower point, or None; and whether it is a whole step away."""
    if model.hessian is not None:
        new = _covariance_step(criterion, at, model, shape)
        if new is not None:
            return new, True
    return _line_search(criterion, at, model)


def _covariance_step(criterion: _Counted, at: _Point, model: _Model, shape: Triangles) -> _Point | None:
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
    gain, theta = -float(at.slope @ change), at.theta + change
    for block in regular:
        theta[block] = packed(moved(unpacked(at.theta[block]), unpacked(change[block])))
    if np.abs(theta - at.theta).max() > 2:
        return None
    new = criterion(theta)
    return new if new.value <= at.value - 0.1 * gain + at.noise else None


def _line_search(criterion: _Counted, at: _Point, model: _Model) -> tuple[_Point | None, bool]:
    """Backtracking from a step of at most 0.9 in any element; None where nothing is gained beyond rounding."""
    step, gain = model.step(at), model.gain(at)
    length = first = min(1.0, 0.9 / float(np.abs(step).max()))
    for _ in range(30):
        new = criterion(at.theta + length * step)
        if new.value <= at.value - 1e-4 * length * gain + at.noise:
            return new, length == first == 1.0
        bend = 2 * (new.value - at.value + gain * length)
        length *= float(np.clip(gain * length / bend, 0.1, 0.5)) if np.isfinite(bend) and bend > 0 else 0.25
    return None, False


def _canonical(criterion: _Counted, at: _Point, shape: Triangles) -> _Point:
    """Without the random effects that hardly vary, where leaving them out costs nothing."""
    theta = shape.canonical(at.theta)
    if np.array_equal(shape.moving(theta), shape.moving(at.theta)):
        return at
    new = criterion(theta)
    return new if new.value <= at.value + 10 * at.enough else at


def _beside_zero(criterion: _Counted, at: _Point, shape: Triangles) -> _Point | None:
    """A better start beside a column of zeros: along negative curvature, or lower at some distance."""
    still = np.setdiff1d(np.arange(len(at.theta)), shape.moving(at.theta))
    if not len(still):
        return None
    value, vector = np.linalg.eigh(_differences(criterion, at, still, 1e-3))
    downhill = value[0] < -max(1e-6 * np.abs(value).max(), 1e-8 * abs(at.value))
    trials = [_replaced(at.theta, still, length * vector[:, 0]) for length in DOWNHILL if downhill]
    at_corners = np.intersect1d(still, shape.corners(at.theta))
    trials += [_replaced(at.theta, j, size) for j in at_corners for size in BESIDE]
    for trial in trials:
        new = criterion(trial)
        if new.value < at.value - 10 * at.enough:
            return new
    return criterion(trials[0]) if downhill else None


def _replaced(theta: np.ndarray, where: Any, values: Any) -> np.ndarray:
    theta = theta.copy()
    theta[where] = values
    return theta
