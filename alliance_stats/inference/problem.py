"""A mixed model on arrays, ready to be fitted again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.models.mixed import MixedModel, MixedState
from alliance_stats.models.mixed_strata import Strata, row_level
from alliance_stats.models.mixed_system import EXACT, fit_system
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mixed.crossed import Crossed, build_crossed
from alliance_stats.numerics.mixed.effects import are_nested, level_factors
from alliance_stats.numerics.mixed.many import fit_many
from alliance_stats.numerics.mixed.optimise import Optimum, fit
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.numerics.mixed.satterthwaite import VarianceInformation, variance_information
from alliance_stats.numerics.mixed.tree import Tree, build_tree
from alliance_stats.result import Result

SLACK = 1e-3  # largest gradient, relative to the criterion, at which a search that stopped early is believed


@dataclass(frozen=True, eq=False)
class Problem:
    """A mixed model on arrays: X (rows, p) of the terms that were kept, y (rows,), levels in the order of elimination.

    ``weights`` are those of the data. With ``strata`` the residual variances differ; such a model has no system of its own, but
    one for each choice of what the residual variances are counted from (``from_least``, ``from_floor``). ``sigma2`` is the
    residual variance where it is held.
    """

    X: np.ndarray
    y: np.ndarray
    levels: tuple[Level, ...]
    weights: np.ndarray | None
    reml: bool
    strata: Strata | None = None
    sigma2: float | None = None

    def system(self) -> Tree | Crossed:
        """What can be evaluated at any θ."""
        build = build_tree if are_nested(self.levels) else build_crossed
        return build(self.levels, self.X, self.y, self.weights)

    def rows(self, index: np.ndarray, levels: tuple[Level, ...]) -> Problem:
        """Some of the rows, some of them perhaps more than once, with levels made for them."""
        weights = None if self.weights is None else self.weights[index]
        strata = None if self.strata is None else replace(self.strata, codes=self.strata.codes[index])
        return replace(self, X=self.X[index], y=self.y[index], levels=levels, weights=weights, strata=strata)

    def from_least(self, strata: Strata) -> Problem:
        """The residual variances counted from that of the stratum which varies least."""
        level = row_level(strata, int(strata.ratios.argmin()), self.weights)
        return replace(self, levels=(level, *self.levels), strata=None)

    def from_floor(self, strata: Strata, floor: float) -> Problem:
        """All residual variances counted from floor², below each of them, which is held as if it were σ².

        σ_k² = floor²(1 + θ_k²) with a θ_k for every stratum: whichever comes to vary least, the model is the same.
        """
        Z = (strata.codes[:, None] == np.arange(len(strata.levels))).astype(float)
        if self.weights is not None:
            Z /= np.sqrt(self.weights)[:, None]
        level = Level(np.arange(len(Z)), Z, *template([1] * Z.shape[1]))
        return replace(self, levels=(level, *self.levels), strata=None, sigma2=floor**2)


@dataclass(frozen=True, eq=False)
class Solution:
    """θ, and the criterion, β and σ² there; with strata σ² is the least, and ``ratios`` are the σ_k relative to its root."""

    theta: np.ndarray
    value: float
    beta: np.ndarray
    sigma2: float
    ratios: np.ndarray = field(default_factory=lambda: np.ones(1))

    @property
    def deviations(self) -> np.ndarray:
        """Residual standard deviations; missing for a stratum without rows."""
        return np.asarray(np.sqrt(self.sigma2) * self.ratios)


def mixed_state(result: Result, where: str) -> MixedState:
    """The state of a mixed model; AllianceError for other models."""
    if not isinstance(result.model, MixedModel):
        raise AllianceError(f"{where}: {type(result.model).__name__} has no random effects; fit a MixedModel")
    state: MixedState = result.state
    return state


def problem(result: Result, where: str) -> Problem:
    """The arrays that a mixed model was fitted to."""
    state = mixed_state(result, where)
    X = state.design.matrix(result.frame)[:, state.kept]
    levels = tuple(grouping.level for grouping in state.groupings)
    weights = state.weights
    if state.strata is not None and weights is not None:
        weights = None if result.model.weights is None else weights / state.strata.weights
    return Problem(X, state.fitted + state.residual, levels, weights, result.model.method == "REML", state.strata)


def solve(given: Problem, start: np.ndarray | None = None) -> Solution:
    """The optimum; ConvergenceError where there is none or none was found. With strata the search has its own start."""
    if len(independent_columns(given.X)) < given.X.shape[1]:
        raise ConvergenceError("these rows cannot tell the fixed terms of the model apart")
    if fitted_exactly(given.X, given.y[:, None])[0]:
        raise ConvergenceError("the fixed terms fit the outcome exactly; no variance is left to be divided")
    try:
        return _solve(given, start) if given.strata is None else _solve_strata(given, given.strata)
    except np.linalg.LinAlgError as problem:
        raise ConvergenceError(f"the model cannot be fitted to these rows: {problem}") from problem


def _solve(given: Problem, start: np.ndarray | None) -> Solution:
    system = given.system()
    best = fit(system, reml=given.reml, start=start)
    return _believed(system, best, given.reml)


def _solve_strata(given: Problem, strata: Strata) -> Solution:
    """The strata that have rows; a variance is estimated from two rows or more."""
    rows = np.bincount(strata.codes, minlength=len(strata.levels))
    if (rows == 1).any():
        raise ConvergenceError(
            f"residual_by='{strata.name}': one row is left of group {strata.levels[np.flatnonzero(rows == 1)[0]]}"
        )
    present = np.flatnonzero(rows)
    ratios = np.full(len(rows), np.nan)
    if len(present) == 1:
        ratios[present] = 1.0
        return replace(_solve(replace(given, strata=None), None), ratios=ratios)
    own = Strata(
        strata.name,
        tuple(strata.levels[k] for k in present),
        np.searchsorted(present, strata.codes),
        np.ones(len(present)),
    )
    found = fit_system(given.levels, given.X, given.y, given.weights, own, reml=given.reml)
    assert found.strata is not None
    ratios[present] = found.strata.ratios
    return replace(_believed(found.system, found.optimum, given.reml), theta=found.theta, ratios=ratios)


def _believed(system: Tree | Crossed, best: Optimum, reml: bool) -> Solution:
    at = system.evaluate(best.theta, reml=reml)
    if not best.converged and np.abs(at.gradient).max() > SLACK * max(1.0, abs(at.value)):
        raise ConvergenceError(f"no optimum found in {best.evaluations} evaluations")
    return Solution(best.theta, at.value, at.beta, at.sigma2)


def solve_many(given: Problem, Y: np.ndarray, start: np.ndarray) -> list[Solution | None]:
    """The optimum for every column of Y (rows, R), None where there is none.

    With one grouping factor and one residual variance all are found at once, else one after the other: for the shared
    arithmetic every response must have the same residual variances, up to σ².
    """
    if len(given.levels) > 1 or given.strata is not None:
        return list(each(solve_or_none, ((replace(given, y=y), start) for y in Y.T)))
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


def each(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Results of the calls, in order: one after the other, or as ``joblib.parallel_config`` says."""
    from joblib import Parallel, delayed

    calls = (delayed(function)(*one) for one in arguments)
    yield from Parallel(return_as="generator")(calls)


def variance_parameters(result: Result) -> VarianceInformation:
    """Covariance of the variance parameters: that of the fit, or made now where the fit did without."""
    if result.state.information is not None:
        found: VarianceInformation = result.state.information
        return found
    given, theta = problem(result, "variance parameters"), result.state.theta
    if given.strata is not None:
        more = np.sqrt(np.delete(given.strata.ratios, given.strata.ratios.argmin()) ** 2 - 1)
        given, theta = given.from_least(given.strata), np.r_[more, theta]
    return variance_information(given.system(), theta, reml=given.reml)


def regrouped(
    levels: tuple[Level, ...], index: np.ndarray, copies: Sequence[np.ndarray | None] | None = None
) -> tuple[Level, ...]:
    """The levels of some rows, groups numbered anew; the same group of another of the level's copies is another group."""
    found = []
    for level, copy in zip(levels, copies or [None] * len(levels), strict=True):
        codes = level.codes[index]
        keys = codes if copy is None else codes + copy * (int(level.codes.max()) + 1)
        found.append(replace(level, codes=np.unique(keys, return_inverse=True)[1], Z=level.Z[index]))
    return tuple(found)


def pairs(level: Level) -> list[tuple[int, int]]:
    """Random effects of a level that may correlate, the later one first."""
    free = zip(level.rows.tolist(), level.columns.tolist(), strict=True)
    return sorted((i, j) for i, j in free if i != j)


def estimates(found: Solution, levels: tuple[Level, ...]) -> np.ndarray:
    """β, standard deviations and correlations, in the order of ``estimate_names``.

    A correlation is missing where a variance is zero.
    """
    values, sigma = [found.beta], float(np.sqrt(found.sigma2))
    for level, L in zip(levels, level_factors(levels, found.theta), strict=True):
        psi = L @ L.T
        sd = np.sqrt(np.diag(psi))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlations = [psi[i, j] / (sd[i] * sd[j]) for i, j in pairs(level)]
        values += [sigma * sd, np.array(correlations)]
    return np.concatenate([*values, found.deviations])
