"""The optimum of the stacked model, and the covariance of all of its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.errors import ConvergenceError
from alliance_stats.models.mixed_strata import Strata, by_spread, row_level
from alliance_stats.models.mixed_system import SINGULAR
from alliance_stats.models.multilevel_rows import Stack
from alliance_stats.numerics.mixed.optimise import Optimum, fit
from alliance_stats.numerics.mixed.parts import Evaluation
from alliance_stats.numerics.mixed.satterthwaite import variance_information
from alliance_stats.numerics.mixed.tree import Tree, build_tree
from alliance_stats.numerics.multilevel_mediation import covariance_parameters

STEP = 1e-4  # of an element of θ, or of a tenth of its natural size
BELIEVED = 1e-3  # largest gradient, relative to the criterion, at which a search that stopped early is believed


@dataclass(frozen=True, eq=False)
class Solved:
    """The stacked model at its optimum.

    ``trees`` count the residual variance of one equation from that of the other: the mediator's from the outcome's or the
    other way round; ``least`` says which equation the ``theta`` is counted from, its first element being √(ratio² − 1).
    """

    stack: Stack
    trees: tuple[Tree, ...]
    least: int
    theta: np.ndarray
    at: Evaluation
    reml: bool
    converged: bool

    @property
    def sigma(self) -> np.ndarray:
        """Residual standard deviations of mediator and outcome."""
        found = np.full(2, np.sqrt(self.at.sigma2))
        found[1 - self.least] *= np.hypot(1.0, self.theta[0])
        return np.asarray(found)


def solve(stack: Stack, names: tuple[str, str], *, reml: bool) -> Solved:
    """The optimum; ConvergenceError where there is none, or none was found."""
    strata = Strata("equation", names, stack.equation, np.ones(2))
    try:
        trees = tuple(build_tree([row_level(strata, least, None), *stack.levels], stack.X, stack.y) for least in (0, 1))
        first = next(by_spread(strata, stack.y - stack.X @ np.linalg.lstsq(stack.X, stack.y)[0]))
        blank = Solved(stack, trees, first, np.empty(0), trees[0].evaluate(trees[0].start(), reml=reml), reml, False)
        return solve_tree(blank)
    except np.linalg.LinAlgError as problem:
        raise ConvergenceError(
            f"the stacked model cannot be fitted: {problem}; name fewer effects in random="
        ) from problem


def solve_tree(given: Solved, start: np.ndarray | None = None) -> Solved:
    """The optimum from the equation that was taken to vary least, or from the other where that shows to be the least."""
    best: tuple[int, Optimum] | None = None
    for least in (given.least, 1 - given.least):
        found = fit(given.trees[least], reml=given.reml, start=start)
        if best is None or found.value < best[1].value:
            best = least, found
        if abs(found.theta[0]) > SINGULAR:
            break
        start = None
    assert best is not None
    least, optimum = best
    at = given.trees[least].evaluate(optimum.theta, reml=given.reml)
    slack = float(np.abs(at.gradient).max()) / max(1.0, abs(at.value))
    if optimum.endless or (not optimum.converged and slack > BELIEVED):
        raise ConvergenceError(
            "no optimum of the stacked model was found: a residual variance may be going to zero. Name fewer effects in "
            "random=, or bring the variables to similar scales"
        )
    return replace(given, least=least, theta=optimum.theta, at=at, converged=optimum.converged)


def parameters(solved: Solved) -> np.ndarray:
    """Fixed coefficients, lower triangles of the covariances of the groupings, residual variances."""
    return np.asarray(
        np.r_[solved.at.beta, covariance_parameters(_variances(solved), solved.stack.levels, 2, solved.least)]
    )


def turned(solved: Solved, least: int) -> np.ndarray:
    """θ counted from the residual variance of that equation; its first element is zero where the other varies less."""
    if least == solved.least:
        return solved.theta
    return np.asarray(np.r_[0.0, solved.theta[1:] * solved.sigma[solved.least] / solved.sigma[least]])


def joint_covariance(solved: Solved) -> tuple[np.ndarray, int]:
    """Of all parameters, from the curvature of the criterion in all of them, and how many directions are flat.

    The mediator is a response and a predictor, so that coefficients and variances are not independent as those of a usual mixed
    model are: β̂ moves with the variances, which adds D Cov(θ̂, σ̂) D' to its covariance, D = ∂β̂/∂(θ, σ). Under ML the whole is
    the inverse of the observed information.
    """
    tree = solved.trees[solved.least]
    info = variance_information(tree, solved.theta, reml=solved.reml)
    t, step = _variances(solved), 1e-30
    moved = [covariance_parameters(t + h, solved.stack.levels, 2, solved.least) for h in 1j * step * np.eye(len(t))]
    D = np.zeros((len(solved.at.beta), len(t)))
    for j, h in enumerate(np.diag(STEP * np.maximum(np.abs(solved.theta), tree.scale / 10))):
        up, down = (
            tree.evaluate(point, reml=solved.reml, gradient=False) for point in (solved.theta + h, solved.theta - h)
        )
        D[:, j] = (up.beta - down.beta) / (2 * h[j])
    J = np.vstack([D, np.array(moved).imag.T / step])
    V = J @ info.covariance @ J.T
    p = len(solved.at.beta)
    V[:p, :p] += solved.at.inverse * solved.at.sigma2
    return np.asarray((V + V.T) / 2), info.flat


def _variances(solved: Solved) -> np.ndarray:
    return np.asarray(np.r_[solved.theta, np.sqrt(solved.at.sigma2)])


def factors(solved: Solved) -> list[np.ndarray]:
    """σΛ of every grouping."""
    found, start = [], 1
    for level in solved.stack.levels:
        L = np.zeros((level.q, level.q))
        L[level.rows, level.columns] = solved.theta[start : start + len(level.rows)] * np.sqrt(solved.at.sigma2)
        found.append(L)
        start += len(level.rows)
    return found


def at_zero(solved: Solved) -> Iterator[str]:
    """What is estimated at the boundary: effects without variance, and groupings with a correlation of ±1."""
    for grouping, L in zip(solved.stack.groupings, factors(solved), strict=True):
        size = np.sqrt(np.mean(grouping.level.Z**2, axis=0)) / np.sqrt(solved.at.sigma2)
        none = [e for e, row, s in zip(grouping.effects, L, size, strict=True) if np.linalg.norm(row) * s < SINGULAR]
        yield from (f"sd({effect}) of {grouping.name} is zero" for effect in none)
        if not none and (np.abs(np.diag(L)) * size < SINGULAR).any():
            yield f"a correlation of {grouping.name} is ±1"
