"""β and ψ minimised out of −2 log likelihood at given θ.

A BFGS model of β and ψ is kept from one θ to the next, so that two or three evaluations are enough. The gradient of what is
left in θ is the partial one (the envelope theorem).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.laplace import Evaluation
from alliance_stats.numerics.glmm.mode import Problem
from alliance_stats.numerics.mixed.parts import factors

ENOUGH = 1e-13  # expected gain in β and ψ that ends the inner search: an error of 3e-7 standard errors
ROUNDING = 1e-9  # expected gain below which a search that gets no further is at the end of the digits
LIMIT = 60
BOUNDS = (-7.0, 12.0)  # of ψ, the log of a dispersion parameter; at the upper one there is no overdispersion
LONGEST = 2.0  # step in ψ

Criterion = Callable[..., Evaluation]


@dataclass(frozen=True, eq=False)
class Setting:
    """A problem in coordinates in which the weighted columns of X are orthonormal, β = turn·β̃, and how it is approximated."""

    problem: Problem
    turn: np.ndarray
    evaluate: Criterion


class Profile:
    """The criterion of θ, minimised over x = (β̃, ψ); the next θ starts from the last x, mode and model of the curvature."""

    def __init__(self, setting: Setting, beta: np.ndarray, psi: float, weights: np.ndarray) -> None:
        self.setting, self.count, self.settled = setting, 0, False
        dispersed = setting.problem.likelihood.dispersed
        self.x = np.r_[beta, psi] if dispersed else beta
        self.p, self.weights = len(beta), weights[setting.problem.structure.order]
        self.random: np.ndarray | None = None
        self.inverse: np.ndarray | None = None

    @property
    def beta(self) -> np.ndarray:
        """β̃."""
        return np.asarray(self.x[: self.p])

    @property
    def psi(self) -> float:
        """ψ, 0 without one."""
        return float(self.x[self.p]) if len(self.x) > self.p else 0.0

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        at = self.at(theta)
        return at.value, at.theta

    def at(self, theta: np.ndarray) -> Evaluation:
        """The evaluation at the best x for this θ."""
        at = self._evaluate(self.x, theta)
        if self.inverse is None:
            self.inverse = self._curvature(self.x, theta, at)
        self.settled, fresh, least, stalled = False, False, np.inf, 0
        for _ in range(LIMIT):
            slope = self._slope(at)
            step = self._step(slope)
            gain = -float(step @ slope)
            least, stalled = min(gain, least), stalled + 1 if gain > least / 2 else 0
            if gain < ENOUGH or (gain < ROUNDING * max(1.0, 1e-5 * abs(at.value)) and stalled > 3):
                self.settled = True
                break
            new, x = self._line(at, theta, step, gain)
            if new is None:
                if fresh:
                    break
                self.inverse, fresh = self._curvature(self.x, theta, at), True
                continue
            self._learn(x - self.x, self._slope(new, x) - slope)
            self.x, at, self.random = x, new, new.mode.random
        self.random = at.mode.random
        return at

    def _evaluate(self, x: np.ndarray, theta: np.ndarray) -> Evaluation:
        self.count += 1
        psi = float(x[self.p]) if len(x) > self.p else 0.0
        return self.setting.evaluate(self.setting.problem, x[: self.p], theta, psi, self.random)

    def _slope(self, at: Evaluation, x: np.ndarray | None = None) -> np.ndarray:
        """In x; a ψ at its bound that pulls outwards has none."""
        slope, x = np.r_[at.beta, at.psi], self.x if x is None else x
        if len(x) > self.p:
            low, high = BOUNDS
            if (x[-1] >= high and slope[-1] < 0) or (x[-1] <= low and slope[-1] > 0):
                slope[-1] = 0.0
        return np.asarray(slope)

    def _step(self, slope: np.ndarray) -> np.ndarray:
        assert self.inverse is not None
        step = -self.inverse @ slope
        if len(step) > self.p:
            if slope[-1] == 0 and (self.x[-1] >= BOUNDS[1] or self.x[-1] <= BOUNDS[0]):
                step[-1] = 0.0
            step *= min(1.0, LONGEST / max(abs(step[-1]), 1e-300))
        return np.asarray(step)

    def _line(
        self, at: Evaluation, theta: np.ndarray, step: np.ndarray, gain: float
    ) -> tuple[Evaluation | None, np.ndarray]:
        noise, length, x = max(1e-11, 1e-14 * abs(at.value)), 1.0, self.x
        for _ in range(12):
            x = self.x + length * step
            if len(x) > self.p:
                x[-1] = np.clip(x[-1], *BOUNDS)
            new = self._evaluate(x, theta)
            if new.value <= at.value - 1e-4 * length * gain + noise:
                return new, x
            length /= 3
        return None, x

    def _learn(self, move: np.ndarray, turn: np.ndarray) -> None:
        """The BFGS update."""
        bend = float(move @ turn)
        if bend <= 1e-10 * float(np.linalg.norm(move) * np.linalg.norm(turn)):
            return
        assert self.inverse is not None
        V = np.eye(len(move)) - np.outer(move, turn) / bend
        self.inverse = V @ self.inverse @ V.T + np.outer(move, move) / bend

    def _curvature(self, x: np.ndarray, theta: np.ndarray, at: Evaluation) -> np.ndarray:
        """Inverse of 2X̃'(W − WZMZ'W)X̃, and of a difference of the gradient for ψ, made positive."""
        problem = self.setting.problem
        H = np.zeros((len(x), len(x)))
        w = np.maximum(at.mode.inner.curvature, 0.05 * self.weights) if len(x) > self.p else at.mode.inner.curvature
        factor = problem.structure.factor(w, factors(theta, problem.structure.shapes))
        weighted = problem.X * w[:, None]
        solved = np.column_stack([factor.solve(column) for column in weighted.T])
        H[: self.p, : self.p] = 2 * (problem.X.T @ weighted - weighted.T @ solved)
        if len(x) > self.p:
            moved = self._evaluate(x + np.r_[np.zeros(self.p), 1e-4], theta)
            H[-1] = H[:, -1] = (np.r_[moved.beta, moved.psi] - np.r_[at.beta, at.psi]) / 1e-4
        value, vector = np.linalg.eigh((H + H.T) / 2)
        size = np.maximum(np.abs(value), 1e-6 * np.abs(value).max())
        return np.asarray(vector / size @ vector.T)
