"""Generalised linear mixed models: lme4's glmer and glmmTMB's dispersed families, with full-Hessian standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError
from alliance_stats.formula import Design, build_design, read_formula
from alliance_stats.models.frames import prepared
from alliance_stats.models.generalized_families import FAMILIES, Family, read_family
from alliance_stats.models.generalized_fit import Estimated, estimate, require_apart, require_change, require_shape
from alliance_stats.models.generalized_predict import (
    Groups,
    Scale,
    averaged_mean,
    linear_part,
    population_variance,
    predicted,
)
from alliance_stats.models.generalized_response import (
    LeftSide,
    Outcome,
    read_exposure,
    read_left,
    read_trials,
    require_outcome,
)
from alliance_stats.models.generalized_rows import glance_row, precision_rows
from alliance_stats.models.mixed_groupings import (
    Grouping,
    analysis_rows,
    build_groupings,
    effects_formula,
    known_groups,
    random_columns,
)
from alliance_stats.models.mixed_notes import dynamic_panel, few_groups
from alliance_stats.models.mixed_rows import fixed_rows, random_rows
from alliance_stats.models.mixed_system import at_boundary, ordered
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.random_terms import split_bars
from alliance_stats.result import Result, tidy_frame


@dataclass(frozen=True, eq=False)
class GeneralizedState:
    """What is needed to predict from a generalised mixed model, and to simulate from it.

    ``theta`` are the free elements of Λ on the scale of the linear predictor, whose residual ``sigma`` is 1 by convention;
    ``weights`` the curvature of the log-likelihood at the modes, with which ``modes`` and their covariances are those of a
    linear mixed model; ``joint`` the covariance of (β̂, θ̂), zero for elements of θ at a variance of zero.
    """

    design: Design
    steps: tuple[Step, ...]
    groupings: tuple[Grouping, ...]
    left: LeftSide
    link: str
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    theta: np.ndarray
    joint: np.ndarray
    dispersion: float
    dispersion_error: float
    modes: tuple[np.ndarray, ...]
    outcome: Outcome
    fitted: np.ndarray
    fitted_population: np.ndarray | None
    residual: np.ndarray
    weights: np.ndarray
    df_residual: float
    sigma: float = 1.0
    strata: None = field(default=None, repr=False)
    information: None = field(default=None, repr=False)
    kenward_roger: None = field(default=None, repr=False)


@dataclass(frozen=True)
class GeneralizedMixedModel:
    """Mixed model for binary outcomes, sessions completed of sessions assigned, counts and proportions.

    Parameters
    ----------
    formula : lme4's notation. Successes of trials are written ``"completed | trials(assigned) ~ alliance + (1 | therapist)"``.
    family : ``"binomial"``, ``"betabinomial"`` (precision φ), ``"poisson"``, ``"negativebinomial"`` (variance μ + μ²/θ) or
        ``"beta"`` (precision φ, proportions strictly between 0 and 1).
    link : ``"logit"`` (default), ``"probit"`` or ``"cloglog"`` for shares, ``"log"`` for counts.
    quadrature : 1 for Laplace's approximation; k > 1 for adaptive Gauss–Hermite quadrature with k nodes, which needs one
        grouping factor with one random effect (as glmer's ``nAGQ``).
    exposure : column of the time or number at risk of a row; its logarithm is an offset (links log and cloglog).
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Standard errors are from the Hessian of −2 log likelihood in the coefficients, the variances and the dispersion together,
    by differences of the analytic gradient. For binomial outcomes the determinant in Laplace's approximation holds expected
    weights, as in lme4; for dispersed families the observed curvature, as in glmmTMB. With the logit both are the same.

    Sources: Bates et al. 2015, doi 10.18637/jss.v067.i01; Brooks et al. 2017, doi 10.32614/RJ-2017-066 (dispersed families);
    Pinheiro & Chao 2006, doi 10.1198/106186006X96962 (quadrature).

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(30), 8), "alliance": rng.normal(size=240), "assigned": 10})
    >>> share = 1 / (1 + np.exp(-data["alliance"] - np.repeat(rng.normal(size=30), 8)))
    >>> data["completed"] = rng.binomial(10, share)
    >>> fit = GeneralizedMixedModel("completed | trials(assigned) ~ alliance + (1 | therapist)").fit(data)
    >>> fit.tidy()["term"].tolist()
    ['Intercept', 'alliance', 'sd(Intercept)']
    >>> print(fit.tidy()["estimate"].round(1).tolist())
    [-0.3, 0.9, 0.9]
    """

    formula: str
    family: str = "binomial"
    link: str | None = None
    quadrature: int = 1
    exposure: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        _, link = read_family(self.family, self.link)
        if isinstance(self.quadrature, bool) or not isinstance(self.quadrature, int) or not 1 <= self.quadrature <= 100:
            raise AllianceError(f"quadrature is {self.quadrature!r}; use 1 (Laplace), or a number of nodes up to 100")
        if self.exposure is not None and link not in ("log", "cloglog"):
            raise AllianceError(
                f"exposure={self.exposure!r}: its logarithm belongs to links log and cloglog, not {link!r}"
            )
        if not isinstance(self.prepare, tuple | list):
            raise AllianceError(f"prepare is a {type(self.prepare).__name__}; give a tuple of steps, e.g. (Centre(…),)")
        if not 0 < self.level < 1:
            raise AllianceError(f"level is {self.level}; use a number between 0 and 1, e.g. 0.95")

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by maximum likelihood.

        Rows with a missing value in a column of the model are left out and counted in ``notes``; so are fixed terms that
        the data cannot tell apart, and variances estimated as zero. Raises DataError for outcomes that the family cannot
        have made, FormulaError where formula and data do not fit, ConvergenceError where an estimate is infinite, as with
        a predictor that separates the outcomes, or where no optimum was found.
        """
        left = read_left(self.formula)
        fixed, terms = split_bars(left.formula)
        if not terms:
            raise AllianceError(f"formula {self.formula!r} has no random effect; write (1 | group)")
        formula = read_formula(fixed)
        inner = [effects_formula(formula.response, term).variables for term in terms]
        extra = [*left.columns, *([self.exposure] if self.exposure else [])]
        steps, frame = prepared(self.prepare, data)
        columns = list(dict.fromkeys([*formula.columns, *chain(*inner), *extra]))
        frame, notes = analysis_rows(frame, formula, terms, columns, ())
        design, X, y = build_design(formula, frame)
        outcome = self._outcome(frame, left, y, formula.response)
        kept = independent_columns(X)
        notes += tuple(
            f"'{design.terms[j]}' depends on other terms and was left out" for j in range(X.shape[1]) if j not in kept
        )
        groupings = ordered(build_groupings(frame, formula.response, terms))
        notes += dynamic_panel(design, groupings)
        family, link = read_family(self.family, self.link)
        require_shape(groupings, X[:, kept], outcome, family, self.quadrature)
        require_change(groupings, outcome, family)
        plain = require_apart(X[:, kept], [design.terms[j] for j in kept], outcome, family, link)
        found = estimate(groupings, X[:, kept], outcome, family, link, plain, self.quadrature, self.formula)
        notes += few_groups(X[:, kept], [design.terms[j] for j in kept], groupings)
        null = null_rows(X, kept)
        state = self._state(steps, design, X[:, kept], kept, null, outcome, groupings, left, link, found)
        return self._result(frame, state, found, (*notes, *found.notes))

    def _outcome(self, frame: pd.DataFrame, left: LeftSide, y: np.ndarray, name: str) -> Outcome:
        family = FAMILIES[self.family]
        if left.trials is not None and (family.counts or self.family == "beta"):
            raise AllianceError(
                f"family {self.family!r} has no trials; leave '| trials({left.trials})' out of the formula"
            )
        trials = read_trials(left, frame)
        require_outcome(self.family, y, left, trials, name.strip("`"))
        return Outcome(y, trials, read_exposure(frame, self.exposure))

    def _state(
        self, steps: tuple[Step, ...], design: Design, X: np.ndarray, kept: np.ndarray, null: np.ndarray, outcome: Outcome,
        groupings: tuple[Grouping, ...], left: LeftSide, link: str, found: Estimated,
    ) -> GeneralizedState:  # fmt: skip
        fixed = outcome.offset + X @ found.beta
        fitted = outcome.size * LINKS[link].mean(fixed + found.random)
        draft = GeneralizedState(
            design, steps, groupings, left, link, found.beta, kept, null, found.theta, found.joint, found.dispersion,
            found.dispersion_error, found.modes, outcome, fitted, fitted, outcome.y - fitted, found.weights,
            float(len(X) - len(found.beta)),
        )  # fmt: skip
        nobody = [np.full(len(X), -1)] * len(groupings)
        variance = population_variance(draft, [g.level.Z for g in groupings], nobody)
        population = outcome.size * averaged_mean(link, fixed, variance)
        return GeneralizedState(**{**draft.__dict__, "fitted_population": population})

    def _result(self, frame: pd.DataFrame, state: GeneralizedState, found: Estimated, notes: tuple[str, ...]) -> Result:
        terms = [state.design.terms[j] for j in state.kept]
        p = len(terms)
        covariance = pd.DataFrame(state.joint[:p, :p], index=terms, columns=terms)
        draft = Result(self, frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, notes)
        zero = at_boundary(state.groupings, state.theta)
        if zero:
            notes += (f"estimated at the boundary (a variance of zero or a correlation of ±1): {', '.join(zero)}",)
        random = random_rows(state)  # type: ignore[arg-type]
        random = random[random["component"] != "residual"]
        estimates = pd.concat([fixed_rows(draft), random, *precision_rows(draft)], ignore_index=True)
        statistics = glance_row(draft, found.value, converged=found.converged, singular=bool(zero))
        return Result(self, frame, state, estimates, statistics, covariance, None, notes)

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        """The linear predictor at random effects of zero; for the scale of the outcome see ``_predicted_in_groups``."""
        X, eta = linear_part(result, frame)
        variance = np.einsum("ij,jk,ik->i", X, result.covariance.to_numpy(), X)
        error = np.where(np.isnan(eta), np.nan, np.sqrt(np.maximum(variance, 0)))
        return pd.DataFrame({"fitted": eta, "std_error": error, "df": np.inf}, index=frame.index)

    def _predicted_in_groups(
        self, result: Result, frame: pd.DataFrame, *, groups: Groups, scale: Scale, std_error: np.ndarray | None
    ) -> pd.DataFrame:
        """Columns ``fitted std_error conf_low conf_high`` of prepared, complete rows on the scale asked for."""
        return predicted(result, frame, groups=groups, scale=scale, std_error=std_error)

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
        state: GeneralizedState = result.state
        X = state.design.matrix(result.frame)[:, state.kept]
        eta = np.repeat((state.outcome.offset + X @ state.coefficients)[None], n, axis=0)
        levels: Sequence[Grouping] = state.groupings
        for grouping, L in zip(levels, level_factors([g.level for g in levels], state.theta), strict=True):
            b = rng.standard_normal((n, len(grouping.groups), grouping.level.q)) @ L.T
            eta += np.einsum("nij,ij->ni", b[:, grouping.level.codes], grouping.level.Z)
        family: Family = FAMILIES[self.family]
        return family.draw(rng, LINKS[state.link].mean(eta), state.outcome.trials, state.dispersion)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return np.inf, 1.0
