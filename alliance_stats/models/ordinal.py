"""Cumulative link models of ratings, with a random intercept of one factor where one is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, FormulaError
from alliance_stats.formula import Design, design_matrix, read_formula
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.models.marginal_rows import coefficient_rows, dropped, require_options
from alliance_stats.models.mixed_groupings import analysis_rows
from alliance_stats.models.ordinal_fit import Estimated, estimate
from alliance_stats.models.ordinal_outcome import Rating, read_rating
from alliance_stats.models.ordinal_predict import bounded_frame, drawn, mean_frame, mean_rating
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.random_terms import RandomTerm, group_codes, split_bars
from alliance_stats.result import Result, glance_frame, tidy_frame

LINKS = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}  # variance of the latent variable


@dataclass(frozen=True, eq=False)
class OrdinalState:
    """What is needed to predict from an ordinal model, to test with it and to simulate from it.

    ``joint`` is the covariance of (thresholds, coefficients, σ), σ being zero without random effects; ``off`` the combinations
    of columns that are zero in the data, ``null`` these and the intercept, which the thresholds contain.
    """

    design: Design
    steps: tuple[Step, ...]
    rating: Rating
    link: str
    coefficients: np.ndarray
    thresholds: np.ndarray
    sigma: float
    kept: np.ndarray
    off: np.ndarray
    null: np.ndarray
    joint: np.ndarray
    parts: tuple[str, ...]
    groups: tuple[str, ...]
    codes: np.ndarray
    modes: np.ndarray
    spread: np.ndarray
    deviance: float
    fitted: np.ndarray
    residual: np.ndarray
    fitted_population: None = None


@dataclass(frozen=True)
class OrdinalModel:
    """Regression of a rating: P(rating ≤ j) = F(θ_j − x'β), so that a positive coefficient means higher ratings.

    Parameters
    ----------
    formula : e.g. ``"siras ~ alliance + arm + (1 | therapist)"``; one random intercept at most. The outcome holds whole
        numbers or ordered categories.
    link : ``"logit"`` (proportional odds), ``"probit"`` or ``"cloglog"``.
    quadrature : with a random intercept 1 for Laplace's approximation, k > 1 for adaptive Gauss–Hermite quadrature with k
        nodes.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    ``fitted`` is the mean rating, averaged over therapists where they are random: categories count by their numbers, ordered
    categories by their places 1, 2, …. Probabilities of the categories: ``category_probabilities``; whether effects are the
    same at all thresholds: ``proportional_odds``.

    Sources: McCullagh 1980, doi 10.1111/j.2517-6161.1980.tb01109.x; Christensen's R package ordinal (clm, clmm).

    >>> data = pd.DataFrame({"siras": [1, 2, 1, 3, 2, 3, 2, 3], "alliance": [40.0, 41, 44, 47, 50, 52, 55, 60]})
    >>> OrdinalModel("siras ~ alliance").fit(data).tidy()[["term", "component"]].to_dict("list")
    {'term': ['alliance', '1|2', '2|3'], 'component': ['fixed', 'threshold', 'threshold']}
    """

    formula: str
    link: str = "logit"
    quadrature: int = 1
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise AllianceError(f"link is {self.link!r}; use one of {', '.join(LINKS)}")
        if isinstance(self.quadrature, bool) or not isinstance(self.quadrature, int) or not 1 <= self.quadrature <= 100:
            raise AllianceError(f"quadrature is {self.quadrature!r}; use 1 (Laplace), or a number of nodes up to 100")
        require_options(self.prepare, self.level)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by maximum likelihood.

        Rows with a missing value in a column of the model are left out and counted in ``notes``; so are categories that never
        occur and a variance estimated as zero. Raises DataError for outcomes without order, ConvergenceError for a predictor
        that separates the categories.
        """
        fixed, terms = split_bars(self.formula)
        _require_intercept(self.formula, terms, self.quadrature)
        formula = read_formula(fixed)
        steps, frame = prepared(self.prepare, data)
        if terms:
            frame, notes = analysis_rows(frame, formula, terms, formula.columns, ())
        else:
            frame, notes = analysis_frame(frame, formula.columns, (), self.formula)
        rating, unused = read_rating(formula, frame)
        design, X = design_matrix(formula, frame)
        if "Intercept" not in design.terms:
            raise FormulaError(f"formula {self.formula!r}: thresholds take the intercept's place; leave '0 +' out")
        kept = independent_columns(X)
        notes += (*unused, *(f"'{design.terms[j]}' depends on other terms and was left out" for j in dropped(X, kept)))
        off = null_rows(X, kept)
        own = kept[kept != design.terms.index("Intercept")]
        codes, groups = group_codes(frame, terms[0].parts) if terms else (np.zeros(len(X), dtype=int), ())
        found = estimate(X[:, own], rating, codes, groups, self, [design.terms[j] for j in own])
        parts = terms[0].parts if terms else ()
        state = self._state(frame, steps, design, rating, own, off, found, parts, groups, codes)
        return self._result(frame, state, found, (*notes, *found.notes))

    def _state(
        self, frame: pd.DataFrame, steps: tuple[Step, ...], design: Design, rating: Rating, kept: np.ndarray, off: np.ndarray,
        found: Estimated, parts: tuple[str, ...], groups: tuple[str, ...], codes: np.ndarray,
    ) -> OrdinalState:  # fmt: skip
        k = len(rating.thresholds)
        intercept = np.eye(len(design.terms))[[design.terms.index("Intercept")]]
        eta = design.matrix(frame)[:, kept] @ found.phi[k:]
        fitted = mean_rating(self.link, rating, found.phi[:k], eta, found.sigma).mean
        return OrdinalState(
            design, steps, rating, self.link, found.phi[k:], found.phi[:k], found.sigma, kept, off,
            np.concatenate([off, intercept]), found.joint, parts, groups, codes, found.modes, found.spread, found.deviance,
            fitted, rating.scores[rating.codes] - fitted,
        )  # fmt: skip

    def _result(self, frame: pd.DataFrame, state: OrdinalState, found: Estimated, notes: tuple[str, ...]) -> Result:
        terms = [state.design.terms[j] for j in state.kept]
        k, p = len(state.thresholds), len(terms)
        V = state.joint[k : k + p, k : k + p]
        covariance = pd.DataFrame(V, index=terms, columns=terms)
        parts = [coefficient_rows(terms, state.coefficients, V, np.inf, self.level)] if p else []
        parts += [self._thresholds(state)]
        if state.parts:
            parts.append(
                tidy_frame(
                    term=["sd(Intercept)"], component="random", group=":".join(state.parts), estimate=[state.sigma],
                    std_error=[np.sqrt(state.joint[-1, -1]) if state.sigma else np.nan],
                )
            )  # fmt: skip
        estimates = pd.concat(parts, ignore_index=True)
        return Result(self, frame, state, estimates, self._glance(state, found), covariance, None, notes)

    def _thresholds(self, state: OrdinalState) -> pd.DataFrame:
        """Where they lie is no hypothesis: no tests."""
        k = len(state.thresholds)
        rows = coefficient_rows(
            state.rating.thresholds, state.thresholds, state.joint[:k, :k], np.inf, self.level, "threshold"
        )
        return rows.assign(statistic=np.nan, p_value=np.nan)

    def _glance(self, state: OrdinalState, found: Estimated) -> pd.DataFrame:
        n, k = len(state.fitted), len(state.thresholds) + len(state.coefficients) + bool(state.parts)
        counts = {"n_obs": n} | ({f"n_{'_'.join(state.parts)}": len(state.groups)} if state.parts else {})
        method = "ML" if not state.parts else "Laplace" if self.quadrature == 1 else f"AGQ({self.quadrature})"
        value, variance = found.deviance, state.sigma**2
        extra = {"singular": state.sigma == 0, "icc": variance / (variance + LINKS[self.link])} if state.parts else {}
        return glance_frame(
            counts, log_likelihood=-value / 2, criterion=value, deviance=value, aic=value + 2 * k,
            bic=value + np.log(n) * k, method=method, df_method="normal", converged=True, **extra,
        )  # fmt: skip

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return mean_frame(result, frame)

    def _predicted(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        """Intervals between the lowest and the highest category."""
        return bounded_frame(result, frame)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        return drawn(result, rng, n)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return np.inf, 1.0


def _require_intercept(text: str, terms: tuple[RandomTerm, ...], quadrature: int) -> None:
    if len(terms) > 1 or any(term.effects.replace(" ", "") not in ("1", "1+0", "0+1") for term in terms):
        found = ", ".join(map(str, terms))
        raise AllianceError(f"formula {text!r}: OrdinalModel has one random intercept, (1 | group); found {found}")
    if quadrature > 1 and not terms:
        raise AllianceError(f"quadrature={quadrature} is for a random intercept; write (1 | group), or leave it out")
