"""A mixed model on arrays, ready to be fitted again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.models.mixed import MixedModel, MixedState
from alliance_stats.models.mixed_system import EXACT
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mixed.crossed import Crossed, build_crossed
from alliance_stats.numerics.mixed.effects import are_nested, level_factors
from alliance_stats.numerics.mixed.many import fit_many
from alliance_stats.numerics.mixed.optimise import fit
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.mixed.satterthwaite import VarianceInformation, variance_information
from alliance_stats.numerics.mixed.tree import Tree, build_tree
from alliance_stats.result import Result

SLACK = 1e-3  # largest gradient, relative to the criterion, at which a search that stopped early is believed


@dataclass(frozen=True, eq=False)
class Problem:
    """A mixed model on arrays: X (rows, p) of the terms that were kept, y (rows,), levels in the order of elimination."""

    X: np.ndarray
    y: np.ndarray
    levels: tuple[Level, ...]
    weights: np.ndarray | None
    reml: bool

    def system(self) -> Tree | Crossed:
        """What can be evaluated at any θ."""
        build = build_tree if are_nested(self.levels) else build_crossed
        return build(self.levels, self.X, self.y, self.weights)

    def rows(self, index: np.ndarray, levels: tuple[Level, ...]) -> Problem:
        """Some of the rows, some of them perhaps more than once, with levels made for them."""
        weights = None if self.weights is None else self.weights[index]
        return replace(self, X=self.X[index], y=self.y[index], levels=levels, weights=weights)


@dataclass(frozen=True, eq=False)
class Solution:
    """θ, and the criterion, β and σ² there."""

    theta: np.ndarray
    value: float
    beta: np.ndarray
    sigma2: float


def mixed_state(result: Result, where: str) -> MixedState:
    """The state of a mixed model; AllianceError for other models and for unequal residual variances."""
    if not isinstance(result.model, MixedModel):
        raise AllianceError(f"{where}: {type(result.model).__name__} has no random effects; fit a MixedModel")
    if getattr(result.state, "strata", None) is not None:
        raise AllianceError(f"{where}: models with residual_by= cannot be fitted again here; leave residual_by out")
    state: MixedState = result.state
    return state


def problem(result: Result, where: str) -> Problem:
    """The arrays that a mixed model was fitted to."""
    state = mixed_state(result, where)
    X = state.design.matrix(result.frame)[:, state.kept]
    levels = tuple(grouping.level for grouping in state.groupings)
    return Problem(X, state.fitted + state.residual, levels, state.weights, result.model.method == "REML")


def solve(given: Problem, start: np.ndarray | None = None) -> Solution:
    """The optimum; ConvergenceError where there is none or none was found."""
    if len(independent_columns(given.X)) < given.X.shape[1]:
        raise ConvergenceError("these rows cannot tell the fixed terms of the model apart")
    if fitted_exactly(given.X, given.y[:, None])[0]:
        raise ConvergenceError("the fixed terms fit the outcome exactly; no variance is left to be divided")
    try:
        system = given.system()
        best = fit(system, reml=given.reml, start=start)
        at = system.evaluate(best.theta, reml=given.reml)
    except np.linalg.LinAlgError as problem:
        raise ConvergenceError(f"the model cannot be fitted to these rows: {problem}") from problem
    if not best.converged and np.abs(at.gradient).max() > SLACK * max(1.0, abs(at.value)):
        raise ConvergenceError(f"no optimum found in {best.evaluations} evaluations")
    return Solution(best.theta, at.value, at.beta, at.sigma2)


def solve_many(given: Problem, Y: np.ndarray, start: np.ndarray) -> list[Solution | None]:
    """The optimum for every column of Y (rows, R), all at once with one grouping factor; None where there is none."""
    if len(given.levels) > 1:
        return [solve_or_none(replace(given, y=y), start) for y in Y.T]
    left = np.flatnonzero(~fitted_exactly(given.X, Y))
    found: list[Solution | None] = [None] * Y.shape[1]
    if len(left):
        many = fit_many(given.levels, given.X, np.ascontiguousarray(Y[:, left]), given.weights, reml=given.reml)
        for i, r in enumerate(left):
            if many.converged[i]:
                found[r] = Solution(many.theta[i], float(many.value[i]), many.beta[i], float(many.sigma2[i]))
    return found


def fitted_exactly(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Which columns of Y leave residuals that are rounding."""
    left = Y - X @ np.linalg.lstsq(X, Y)[0]
    return np.asarray((left**2).sum(axis=0) <= EXACT**2 * (Y**2).sum(axis=0))


def solve_or_none(given: Problem, start: np.ndarray) -> Solution | None:
    try:
        return solve(given, start)
    except ConvergenceError:
        return None


def variance_parameters(result: Result) -> VarianceInformation:
    """Covariance of the variance parameters: that of the fit, or made now where the fit did without."""
    if result.state.information is not None:
        found: VarianceInformation = result.state.information
        return found
    given = problem(result, "variance parameters")
    return variance_information(given.system(), result.state.theta, reml=given.reml)


def regrouped(levels: tuple[Level, ...], index: np.ndarray, copies: np.ndarray | None = None) -> tuple[Level, ...]:
    """The levels of some rows, groups numbered anew; the same group of another copy is another group."""
    found = []
    for level in levels:
        codes = level.codes[index]
        keys = codes if copies is None else codes + copies * (int(level.codes.max()) + 1)
        found.append(replace(level, codes=np.unique(keys, return_inverse=True)[1], Z=level.Z[index]))
    return tuple(found)


def pairs(level: Level) -> list[tuple[int, int]]:
    """Random effects of a level that may correlate, the later one first."""
    free = zip(level.rows.tolist(), level.columns.tolist(), strict=True)
    return sorted((i, j) for i, j in free if i != j)


def estimates(found: Solution, levels: tuple[Level, ...]) -> np.ndarray:
    """β, standard deviations and correlations, in the order of ``estimate_names``; missing where a variance is zero."""
    values, sigma = [found.beta], float(np.sqrt(found.sigma2))
    for level, L in zip(levels, level_factors(levels, found.theta), strict=True):
        psi = L @ L.T
        sd = np.sqrt(np.diag(psi))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlations = [psi[i, j] / (sd[i] * sd[j]) for i, j in pairs(level)]
        values += [sigma * sd, np.array(correlations)]
    return np.concatenate([*values, [sigma]])
