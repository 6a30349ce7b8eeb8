"""The optimum of −2 log likelihood in β, ψ and θ: with β and ψ minimised out at every θ, θ is searched like that of a linear
mixed model, zeros of Λ looked at from beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.laplace import Evaluation, laplace
from alliance_stats.numerics.glmm.likelihood import Likelihood
from alliance_stats.numerics.glmm.mode import Problem
from alliance_stats.numerics.glmm.profile import BOUNDS, Criterion, Profile, Setting
from alliance_stats.numerics.glmm.quadrature import quadrature
from alliance_stats.numerics.glmm.starting import Plain, working_system
from alliance_stats.numerics.glmm.structure import Structure, structure
from alliance_stats.numerics.mixed.optimise import minimise
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.threads import blas_threads

ENDLESS = 50.0  # standard deviation in the linear predictor that is none: chances of 1 to e^50


@dataclass(frozen=True, eq=False)
class Fitted:
    """The optimum: β, ψ (0 without one), θ, the evaluation there and the number of evaluations.

    ``at_bound`` is a ψ beyond which the criterion does not change; ``endless`` a θ that left for infinity.
    """

    setting: Setting
    beta: np.ndarray
    psi: float
    theta: np.ndarray
    at: Evaluation
    evaluations: int
    converged: bool
    at_bound: bool
    endless: bool


def fit(
    levels: Sequence[Level],
    X: np.ndarray,
    offset: np.ndarray,
    likelihood: Likelihood,
    plain: Plain,
    points: int = 1,
    psi: float = 1.5,
) -> Fitted:
    """Levels in order (nested ones finest first), rows as the user has them; ``psi`` is where the dispersion starts."""
    groups = structure(levels)
    with blas_threads(groups.dense):
        return _fit(levels, X, offset, likelihood, plain, points, psi, groups)


def _fit(
    levels: Sequence[Level], X: np.ndarray, offset: np.ndarray, likelihood: Likelihood, plain: Plain, points: int,
    psi: float, groups: Structure,
) -> Fitted:  # fmt: skip
    system = working_system(levels, X, plain)
    turn = system.basis.turn
    own = Problem((X @ turn)[groups.order], offset[groups.order], likelihood.rows(groups.order), groups)
    evaluate: Criterion = laplace if points == 1 else _with_points(points)
    profile = Profile(Setting(own, turn, evaluate), np.linalg.solve(turn, system.basis.origin), psi, plain.weights)
    found = minimise(profile, system.start(), system.diagonal, scale=system.units)
    at, settled = profile.at(found.theta), profile.settled
    bound = bool(likelihood.dispersed and profile.psi >= BOUNDS[1])
    return Fitted(
        profile.setting, turn @ profile.beta, profile.psi, found.theta, at, profile.count, found.converged and settled,
        bound, found.endless or _runaway(found.theta, levels),
    )  # fmt: skip


def _with_points(points: int) -> Criterion:
    def evaluate(given: Problem, *arguments: object) -> Evaluation:
        return quadrature(given, points, *arguments)  # type: ignore[arg-type]

    return evaluate


def _runaway(theta: np.ndarray, levels: Sequence[Level]) -> bool:
    sizes = np.concatenate([np.sqrt(np.mean(level.Z**2, axis=0))[level.rows] for level in levels])
    return bool((np.abs(theta) * sizes).max() > ENDLESS)
