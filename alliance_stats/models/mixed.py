"""Linear mixed models: lme4's models with lmerTest's and pbkrtest's inference."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import Design, build_design, is_factor, read_formula
from alliance_stats.models.frames import prepared
from alliance_stats.models.mixed_groupings import Grouping as Grouping
from alliance_stats.models.mixed_groupings import analysis_rows, build_groupings, effects_formula
from alliance_stats.models.mixed_groupings import known_groups as known_groups
from alliance_stats.models.mixed_groupings import random_columns as random_columns
from alliance_stats.models.mixed_notes import dynamic_panel
from alliance_stats.models.mixed_rows import fixed_rows, glance_row, random_rows
from alliance_stats.models.mixed_strata import Strata, read_strata, stratified_kenward_roger
from alliance_stats.models.mixed_system import (
    Fitted,
    at_boundary,
    fit_system,
    ordered,
    require_estimable,
    require_optimum,
)
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.numerics.mixed.effects import conditional_modes
from alliance_stats.numerics.mixed.kenward_roger import KenwardRoger, kenward_roger, kr_df, kr_test
from alliance_stats.numerics.mixed.parts import Evaluation, Level, factors
from alliance_stats.numerics.mixed.satterthwaite import (
    VarianceInformation,
    satterthwaite_df,
    satterthwaite_f,
    variance_information,
)
from alliance_stats.random_terms import split_bars
from alliance_stats.result import Result, tidy_frame

Method = Literal["REML", "ML"]
DfMethod = Literal["satterthwaite", "kenward-roger", "normal"]


@dataclass(frozen=True, eq=False)
class MixedState:
    """What is needed to predict from a mixed model, test with it and simulate from it."""

    design: Design
    steps: tuple[Step, ...]
    groupings: tuple[Grouping, ...]
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    theta: np.ndarray
    sigma: float
    information: VarianceInformation | None
    kenward_roger: KenwardRoger | None
    modes: tuple[np.ndarray, ...]
    fitted: np.ndarray
    fitted_population: np.ndarray
    residual: np.ndarray
    df_residual: float
    weights: np.ndarray | None
    strata: Strata | None = None


@dataclass(frozen=True)
class MixedModel:
    """Linear mixed model for sessions within patients within therapists, nested or crossed.

    Parameters
    ----------
    formula : lme4's notation, e.g. ``"pain ~ alliance_within + week + (1 + week | patient) + (1 | therapist)"``.
    method : ``"REML"`` or ``"ML"``.
    df_method : degrees of freedom and, with ``"kenward-roger"``, standard errors: ``"satterthwaite"`` (lmerTest),
        ``"kenward-roger"`` (pbkrtest; REML only) or ``"normal"`` (none).
    weights : column of observation weights; the residual variance of a row is σ² ÷ weight.
    residual_by : column whose groups have residual standard deviations of their own, e.g. ``"arm"`` (as nlme's varIdent).
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Sources: Bates et al. 2015, doi 10.18637/jss.v067.i01; Kuznetsova et al. 2017, doi 10.18637/jss.v082.i13 (Satterthwaite);
    Kenward & Roger 1997, doi 10.2307/2533558.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(30), 4), "week": np.tile(range(4), 30)})
    >>> data["pain"] = 6 - 0.5 * data["week"] + np.repeat(rng.normal(size=30), 4) + rng.normal(size=120)
    >>> fit = MixedModel("pain ~ week + (1 | patient)").fit(data)
    >>> fit.tidy()[["term", "estimate", "df"]].round(2).to_dict("list")["term"]
    ['Intercept', 'week', 'sd(Intercept)', 'sd(residual)']
    """

    formula: str
    method: Method = "REML"
    df_method: DfMethod = "satterthwaite"
    weights: str | None = None
    residual_by: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise AllianceError(f"method is {self.method!r}; use 'REML' or 'ML'")
        if self.df_method not in get_args(DfMethod):
            raise AllianceError(f"df_method is {self.df_method!r}; use one of {', '.join(get_args(DfMethod))}")
        if self.df_method == "kenward-roger" and self.method == "ML":
            raise AllianceError("df_method='kenward-roger' rests on REML; use method='REML', or 'satterthwaite'")
        if not isinstance(self.prepare, tuple | list):
            raise AllianceError(f"prepare is a {type(self.prepare).__name__}; give a tuple of steps, e.g. (Centre(…),)")
        if not 0 < self.level < 1:
            raise AllianceError(f"level is {self.level}; use a number between 0 and 1, e.g. 0.95")

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by restricted or full maximum likelihood.

        Rows with a missing value in a column of the model are left out and counted in ``notes``; so are fixed terms that
        the data cannot tell apart, and variances estimated as zero. A missing group is no loss where all its effects are
        multiplied by zero: ``(0 + treated | therapist)`` needs no therapist of the untreated. Raises DataError or FormulaError
        where data and formula do not fit, ConvergenceError where no optimum was found.
        """
        fixed, terms = split_bars(self.formula)
        if not terms:
            raise AllianceError(f"formula {self.formula!r} has no random effect; write (1 | group), or use LinearModel")
        formula = read_formula(fixed)
        inner = [effects_formula(formula.response, term).variables for term in terms]
        columns = [*formula.columns, *chain(*inner), *([self.weights] if self.weights else [])]
        steps, frame = prepared(self.prepare, data)
        labels = (self.residual_by,) if self.residual_by else ()
        frame, notes = analysis_rows(frame, formula, terms, list(dict.fromkeys(columns)), labels)
        design, X, y = build_design(formula, frame)
        kept = independent_columns(X)
        notes += tuple(
            f"'{design.terms[j]}' depends on other terms and was left out" for j in range(X.shape[1]) if j not in kept
        )
        groupings = build_groupings(frame, formula.response, terms)
        notes += dynamic_panel(design, groupings)
        return self._solve(frame, steps, design, X, kept, y, groupings, notes)

    def _solve(
        self, frame: pd.DataFrame, steps: tuple[Step, ...], design: Design, X: np.ndarray, kept: np.ndarray, y: np.ndarray,
        groupings: tuple[Grouping, ...], notes: tuple[str, ...],
    ) -> Result:  # fmt: skip
        weights = _weights(frame, self.weights)
        strata = read_strata(frame, self.residual_by) if self.residual_by else None
        require_estimable(groupings, X[:, kept], y)
        groupings = ordered(groupings)
        levels, reml = [grouping.level for grouping in groupings], self.method == "REML"
        found = fit_system(levels, X[:, kept], y, weights, strata, reml=reml)
        at = found.system.evaluate(found.optimum.theta, reml=reml)
        require_optimum(found.optimum, at, self.formula, strata)
        state = self._state(steps, design, X, kept, y, groupings, found, at, weights)
        return self._result(frame, state, at, found.optimum.converged, notes)

    def _state(
        self, steps: tuple[Step, ...], design: Design, X: np.ndarray, kept: np.ndarray, y: np.ndarray,
        groupings: tuple[Grouping, ...], found: Fitted, at: Evaluation, prior: np.ndarray | None,
    ) -> MixedState:  # fmt: skip
        levels, theta, strata = [grouping.level for grouping in groupings], found.theta, found.strata
        weights = prior if strata is None else strata.weights * (1.0 if prior is None else prior)
        modes = conditional_modes(levels, X[:, kept], y, theta, at.beta, weights)
        population = X[:, kept] @ at.beta
        fitted = population + sum(
            np.einsum("ij,ij->i", level.Z, b[level.codes]) for level, b in zip(levels, modes, strict=True)
        )
        kr, info = None, None
        if self.df_method == "kenward-roger":
            kr = _kenward_roger(levels, X[:, kept], theta, at.sigma2, prior, strata)
        if self.df_method == "satterthwaite":
            info = variance_information(found.system, found.optimum.theta, reml=self.method == "REML")
        return MixedState(
            design, steps, groupings, at.beta, kept, null_rows(X, kept), theta, float(np.sqrt(at.sigma2)), info, kr,
            tuple(modes), fitted, population, y - fitted, float(len(y) - len(kept)), weights, strata,
        )  # fmt: skip

    def _result(
        self, frame: pd.DataFrame, state: MixedState, at: Evaluation, converged: bool, notes: tuple[str, ...]
    ) -> Result:
        terms = [state.design.terms[j] for j in state.kept]
        matrix = at.inverse * at.sigma2 if state.kenward_roger is None else state.kenward_roger.adjusted
        covariance = pd.DataFrame(matrix, index=terms, columns=terms)
        draft = Result(self, frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, notes)
        random, zero = random_rows(state), at_boundary(state.groupings, state.theta)
        if zero:
            notes += (f"estimated at the boundary (a variance of zero or a correlation of ±1): {', '.join(zero)}",)
        estimates = pd.concat([fixed_rows(draft), random], ignore_index=True)
        statistics = glance_row(draft, at, converged=converged, singular=bool(zero))
        return Result(self, frame, state, estimates, statistics, covariance, None, notes)

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        state: MixedState = result.state
        rows = state.design.matrix(frame)
        X, V = rows[:, state.kept], result.covariance.to_numpy()
        off = np.abs(rows @ state.null.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(rows).max(initial=0.0))
        fitted = np.where(off, np.nan, X @ state.coefficients)
        std_error = np.where(off, np.nan, np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, V, X), 0)))
        return pd.DataFrame({"fitted": fitted, "std_error": std_error, "df": self._df(result, X)}, index=frame.index)

    def _random_part(self, result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, int]]:
        """Sum of the random effects of the rows, zero for groups that were not in the fit, and how many rows those are."""
        total, unknown = np.zeros(len(frame)), {}
        for grouping, modes in zip(result.state.groupings, result.state.modes, strict=True):
            at, Z = known_groups(frame, grouping), random_columns(frame, grouping)
            total += np.where(at >= 0, np.einsum("ij,ij->i", Z, modes[at]), 0.0)
            unknown[grouping.name] = int((at < 0).sum())
        return total, unknown

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """New patients and therapists every time: random effects are drawn anew (parametric bootstrap)."""
        state: MixedState = result.state
        y = np.repeat(state.fitted_population[None], n, axis=0)
        shapes = [(g.level.q, g.level.rows, g.level.columns) for g in state.groupings]
        for grouping, L in zip(state.groupings, factors(state.theta, shapes), strict=True):
            b = state.sigma * rng.standard_normal((n, len(grouping.groups), grouping.level.q)) @ L.T
            y += np.einsum("nij,ij->ni", b[:, grouping.level.codes], grouping.level.Z)
        noise = rng.standard_normal(y.shape) * state.sigma
        return y + (noise if state.weights is None else noise / np.sqrt(state.weights))

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        state: MixedState = result.state
        if state.kenward_roger is not None:
            return kr_df(state.kenward_roger, weights)
        if state.information is not None:
            return satterthwaite_df(state.information, result.covariance.to_numpy(), weights)
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        state: MixedState = result.state
        if state.kenward_roger is not None:
            test = kr_test(state.kenward_roger, weights, state.coefficients)
            return test.ddf, test.scale
        if state.information is not None:
            covariance = result.covariance.to_numpy()
            return satterthwaite_f(state.information, covariance, weights, state.coefficients).ddf, 1.0
        return np.inf, 1.0


def _weights(frame: pd.DataFrame, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    if is_factor(frame[name]):
        raise DataError(f"weights: column '{name}' holds {frame[name].dtype} values; weights are numbers above zero")
    values = frame[name].to_numpy(dtype=float)
    if (values <= 0).any():
        raise DataError(f"weights: column '{name}' holds values of zero or below; remove those rows or correct them")
    return values


def _kenward_roger(
    levels: list[Level],
    X: np.ndarray,
    theta: np.ndarray,
    sigma2: float,
    weights: np.ndarray | None,
    strata: Strata | None,
) -> KenwardRoger:
    try:
        if strata is not None:
            return stratified_kenward_roger(levels, X, theta, sigma2, weights, strata)
        return kenward_roger(levels, X, theta, sigma2, weights)
    except ValueError as problem:
        raise AllianceError(f"df_method='kenward-roger': {problem}") from problem
