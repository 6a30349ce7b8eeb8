"""Discrete-time hazards: the chance of leaving therapy after each session, among those who are still there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.formula import build_design, read_formula, response
from alliance_stats.formula_syntax import names_in
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.models.generalized import GeneralizedMixedModel, GeneralizedState
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.generalized_fit import require_apart, require_shape
from alliance_stats.models.generalized_predict import Groups, Scale
from alliance_stats.models.generalized_response import LeftSide, Outcome, read_left, require_outcome
from alliance_stats.models.generalized_rows import glance_row
from alliance_stats.models.linear import cluster_codes
from alliance_stats.models.mixed_rows import fixed_rows
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.random_terms import split_bars
from alliance_stats.result import Result, tidy_frame

HazardLink = Literal["cloglog", "logit"]
BINOMIAL = FAMILIES["binomial"]
NEWTON = 10  # steps from the end of the search for β̂, which is within 1e-10 of the likelihood


@dataclass(frozen=True)
class DiscreteTimeModel:
    """Hazard of an event, e.g. of dropping out, in each session at risk, with or without random effects of therapists.

    Parameters
    ----------
    formula : outcome 1 in the session of the event, else 0, one row a session at risk (as ``dropout_frame`` makes them):
        ``"dropped ~ session + alliance + arm + (1 | therapist)"``. The baseline is what the formula makes it: constant
        (``1``), a line (``session``), or free in every session (``C(session)``).
    link : ``"cloglog"``, with which exp(estimate) is the hazard ratio of a proportional hazards model in grouped time, or
        ``"logit"``, with which it is an odds ratio of leaving in a session.
    quadrature : with random effects, 1 for Laplace's approximation or a number of adaptive Gauss–Hermite nodes.
    cluster : without random effects, the column of clusters of robust standard errors (factor G/(G − 1), sandwich's vcovCL).
    patient : column of patients, who are then checked to have one event at most, and no rows after it.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting, e.g.
        ``(Centre("alliance", by="patient"),)`` for effects within and between patients. A patient's mean contains ratings
        after the session at risk, and of fewer sessions for those who left; ``Lag`` and ratings of a baseline do not.
    level : confidence level of the intervals.
    session : column of sessions by which that check knows what is after an event, where the data have it.

    Without random effects standard errors are from the expected information, as R's glm; with them from the full Hessian.
    A session in which nobody left has no finite free baseline: join it with others, or use a line.

    Sources: Prentice & Gloeckler 1978, doi 10.2307/2529588 (cloglog and proportional hazards); Singer & Willett 1993, doi
    10.3102/10769986018002155.

    >>> data = pd.DataFrame({"session": [1, 2, 3, 1, 2, 1, 1, 2, 3, 1, 2, 3], "left": [0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]})
    >>> fit = DiscreteTimeModel("left ~ 1").fit(data)
    >>> fit.apa("Intercept")
    'b = −0.90, SE = 0.50, 95 % CI [−1.89, 0.084], z = −1.79, p = .073'
    """

    formula: str
    link: HazardLink = "cloglog"
    quadrature: int = 1
    cluster: str | None = None
    patient: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95
    session: str = "session"

    def __post_init__(self) -> None:
        if self.link not in get_args(HazardLink):
            raise AllianceError(f"link is {self.link!r}; use 'cloglog' (hazard ratios) or 'logit' (odds ratios)")
        self._mixed()

    @property
    def family(self) -> str:
        """Outcomes are 0 or 1."""
        return "binomial"

    @property
    def exposure(self) -> None:
        """Periods are of one length; others belong into the formula."""

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by maximum likelihood.

        Rows with a missing value are left out and counted in ``notes``, which open with the definition of dropout where the
        frame has one. Raises DataError for outcomes that are not 0 or 1 and for patients with two events, ConvergenceError
        where an estimate is infinite, AllianceError where ``cluster`` is given beside random effects.
        """
        left = read_left(self.formula)
        if left.trials is not None:
            raise AllianceError("DiscreteTimeModel: a session at risk is one row without trials(…); outcome 0 or 1")
        fixed, terms = split_bars(left.formula)
        if terms and self.cluster is not None:
            raise AllianceError("cluster= and random effects answer the same question in two ways; use one of them")
        if not terms and self.quadrature != 1:
            raise AllianceError(f"quadrature={self.quadrature} is for random effects, and {self.formula!r} has none")
        if self.patient is not None and isinstance(data, pd.DataFrame):
            _require_one_event(data, fixed, self.patient, self.session)
        found = self._mixed().fit(data) if terms else self._plain(data, fixed, left)
        hazard = found.estimates["component"].replace("fixed", "hazard").astype(found.estimates["component"].dtype)
        statistics = found.statistics.copy()
        statistics.insert(1, "n_events", int(found.state.outcome.y.sum()))
        definition = str(data.attrs.get("definition", ""))
        notes = (*((definition,) if definition else ()), *found.notes)
        return replace(
            found, model=self, estimates=found.estimates.assign(component=hazard), statistics=statistics, notes=notes
        )

    def _mixed(self) -> GeneralizedMixedModel:
        return GeneralizedMixedModel(
            self.formula, "binomial", self.link, self.quadrature, prepare=self.prepare, level=self.level
        )

    def _plain(self, data: pd.DataFrame, fixed: str, left: LeftSide) -> Result:
        formula = read_formula(fixed)
        steps, frame = prepared(self.prepare, data)
        frame, notes = analysis_frame(frame, formula.columns, (self.cluster,) if self.cluster else (), self.formula)
        design, X, y = build_design(formula, frame)
        outcome = Outcome(y, np.ones(len(y)), np.zeros(len(y)))
        require_outcome("binomial", y, left, outcome.trials, formula.response.strip("`"))
        kept = independent_columns(X)
        null = null_rows(X, kept)
        notes += tuple(
            f"'{design.terms[j]}' depends on other terms and was left out" for j in range(X.shape[1]) if j not in kept
        )
        X, terms = X[:, kept], [design.terms[j] for j in kept]
        require_shape((), X, outcome, BINOMIAL, 1)
        beta, V, value = _maximum(
            X, terms, outcome, self.link, cluster_codes(frame, self.cluster) if self.cluster else None
        )
        eta, none = X @ beta, np.zeros(0)
        fitted = LINKS[self.link].mean(eta)
        weights = BINOMIAL.likelihood(outcome, self.link).inner(eta, 0.0).curvature
        state = GeneralizedState(
            design, steps, (), left, self.link, beta, kept, null, none, V, np.nan, np.nan, (), outcome, fitted, None,
            y - fitted, weights, float(len(y) - len(beta)),
        )  # fmt: skip
        covariance = pd.DataFrame(V, index=terms, columns=terms)
        draft = Result(self, frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, notes)
        statistics = glance_row(draft, value, converged=True, singular=False)
        return replace(draft, estimates=fixed_rows(draft), statistics=statistics)

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return self._mixed()._predict(result, frame)

    def _predicted_in_groups(
        self, result: Result, frame: pd.DataFrame, *, groups: Groups, scale: Scale, std_error: np.ndarray | None
    ) -> pd.DataFrame:
        at: Groups = groups if result.state.groupings else "typical"
        return self._mixed()._predicted_in_groups(result, frame, groups=at, scale=scale, std_error=std_error)

    def _random_part(self, result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, int]]:
        return self._mixed()._random_part(result, frame)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """Outcomes of the sessions of the fit, each given that the patient was still there."""
        return self._mixed()._simulate(result, rng, n)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return np.inf, 1.0


def _maximum(
    X: np.ndarray, terms: list[str], outcome: Outcome, link: str, codes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """β̂, its covariance (robust where there are clusters) and −2 log likelihood, without random effects."""
    likelihood = BINOMIAL.likelihood(outcome, link)
    beta = require_apart(X, terms, outcome, BINOMIAL, link).beta
    for _ in range(NEWTON):
        inner = likelihood.inner(X @ beta, 0.0)
        change = np.linalg.solve((X * inner.curvature[:, None]).T @ X, X.T @ inner.score)
        beta = beta + change
        if np.abs(X @ change).max() < 1e-13:
            break
    inner = likelihood.inner(X @ beta, 0.0)
    weight = likelihood.outer(X @ beta, 0.0, inner).weight
    V = np.linalg.inv((X * weight[:, None]).T @ X)
    if codes is not None:
        groups = int(codes.max()) + 1
        scores = np.zeros((groups, X.shape[1]))
        np.add.at(scores, codes, X * inner.score[:, None])
        V = V @ (scores.T @ scores) @ V * groups / (groups - 1)
    return beta, (V + V.T) / 2, -2 * float(inner.log_f.sum() + likelihood.constant)


def _require_one_event(data: pd.DataFrame, fixed: str, patient: str, session: str) -> None:
    """DataError for patients with two events and, where the sessions are known, for rows after the event."""
    formula = read_formula(fixed)
    names = list(names_in(formula.response))
    require_columns(data.columns, chain(names, [patient]), "DiscreteTimeModel")
    there = data[[*names, patient]].notna().all(axis=1).to_numpy()
    rows = data[there]
    who, happened = rows[patient].to_numpy(), np.asarray(response(formula, rows))
    events = pd.Series(happened).groupby(who).sum()
    several = events[events > 1]
    if len(several):
        raise DataError(
            f"patient='{patient}': {len(several)} patients have several events ({patient} {several.index[0]} has "
            f"{several.iloc[0]:g}); a patient is at risk until the first, so leave out the rows after it"
        )
    if session not in data.columns or not pd.api.types.is_numeric_dtype(data[session]):
        return
    at = pd.Series(rows[session].to_numpy(dtype=float, na_value=np.nan))
    ended = at.where(happened == 1).groupby(who).transform("min")
    late = (at > ended).to_numpy()
    if late.any():
        raise DataError(
            f"patient='{patient}': an event is followed by more time ({int(late.sum())} rows, first in {patient} "
            f"{who[late][0]}); end a patient's rows at the first event, by '{session}'"
        )
    twice = pd.DataFrame({"who": who, "at": at}).dropna().duplicated()
    if twice.any():
        raise DataError(
            f"patient='{patient}': {int(twice.sum())} rows repeat a '{session}' of their patient; a session at risk is one row"
        )
