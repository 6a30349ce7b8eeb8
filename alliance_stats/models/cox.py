"""Cox's proportional hazards regression with time-varying predictors, strata, robust errors and frailty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError
from alliance_stats.formula import design_matrix
from alliance_stats.models.cox_fit import Hazard, fitted_hazard
from alliance_stats.models.cox_state import checked_options, log_hazard, simulated_events
from alliance_stats.models.frames import prepared
from alliance_stats.models.survival_response import (
    counted_as_censored,
    read_survival_formula,
    require_separate,
    survival_frame,
    survival_times,
)
from alliance_stats.result import Result

Ties = Literal["efron", "breslow"]
FrailtyFamily = Literal["gamma", "normal"]


@dataclass(frozen=True)
class CoxModel:
    """Cox regression of the hazard of an event, e.g. of dropping out, on a formula.

    Parameters
    ----------
    formula : ``"Surv(time, event) ~ alliance + arm"``, or with predictors that vary over time, one row an interval,
        ``"Surv(start, stop, dropped) ~ alliance + arm"``. A row is at risk at t where start < t ≤ stop. The event is 0 or 1,
        or a comparison: ``Surv(time, status == 'better')``.
    ties : ``"efron"`` or ``"breslow"``.
    cluster : column of clusters, e.g. ``"therapist"``; ``std_error`` is then that of Lin & Wei's sandwich, as R's.
    strata : column, or columns, whose groups have baseline hazards of their own.
    frailty : ``("gamma", "therapist")`` or ``("normal", "therapist")``: the groups share an unseen factor of the hazard.
    patient : column of patients with several intervals: they are checked not to overlap or to go on after an event.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Estimates are log hazard ratios with z statistics. A frailty has a row of its own: ``var(frailty)``, the variance of the
    gamma factor, or ``sd(Intercept)`` of the normal log-factor. Predictions are log hazard ratios to the mean of the
    predictors, without frailty.

    Sources: Cox 1972, doi 10.1111/j.2517-6161.1972.tb00899.x; Efron 1977, doi 10.1080/01621459.1977.10480613; Lin & Wei 1989,
    doi 10.1080/01621459.1989.10478874; Therneau, Grambsch & Pankratz 2003, doi 10.1198/1061860031365.

    >>> data = pd.DataFrame({"sessions": [2, 3, 5, 6, 7, 8], "left": [1, 1, 0, 1, 1, 0], "bond": [4.0, 5, 6, 3, 7, 6]})
    >>> CoxModel("Surv(sessions, left) ~ bond").fit(data).apa("bond")
    'b = −0.48, SE = 0.39, 95 % CI [−1.25, 0.29], z = −1.21, p = .225'
    """

    formula: str
    ties: Ties = "efron"
    cluster: str | None = None
    strata: str | tuple[str, ...] | None = None
    frailty: tuple[FrailtyFamily, str] | None = None
    patient: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.ties not in get_args(Ties):
            raise AllianceError(f"ties is {self.ties!r}; use 'efron' or 'breslow'")
        if self.frailty is not None:
            shaped = isinstance(self.frailty, tuple) and len(self.frailty) == 2
            if not shaped or self.frailty[0] not in get_args(FrailtyFamily):
                raise AllianceError(f"frailty is {self.frailty!r}; use ('gamma', 'column') or ('normal', 'column')")
            if self.cluster is not None:
                raise AllianceError("cluster= and frailty= answer the same question in two ways; use one of them")
        checked_options(self.level, self.prepare)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by partial likelihood, penalised where there is a frailty.

        Rows with a missing value in a column of the model are left out and counted in ``notes``, which open with the
        definition of dropout where the frame has one. Raises DataError for intervals and events that make no sense (see
        `survival_times`), FormulaError for formulas, and ConvergenceError where the likelihood is monotone, i.e. an estimate
        infinite.
        """
        surv, formula = read_survival_formula(self.formula)
        steps, frame = prepared(self.prepare, data)
        labels = [*self._strata, *(name for name in (self.cluster, self._group, self.patient) if name is not None)]
        frame, notes = survival_frame(frame, surv, formula.variables, labels, self.formula)
        times = survival_times(frame, surv)
        notes += counted_as_censored(frame[surv.event], surv, times.event)
        if self.patient is not None:
            notes += require_separate(frame, self.patient, times, surv.text)
        elif surv.start is not None:
            notes += ("patient= is not given: that intervals of a patient do not overlap was not checked",)
        design, X = design_matrix(formula, frame)
        return fitted_hazard(self, Hazard(frame, steps, design, X, times, notes))

    @property
    def _strata(self) -> tuple[str, ...]:
        if self.strata is None:
            return ()
        return (self.strata,) if isinstance(self.strata, str) else tuple(self.strata)

    @property
    def _group(self) -> str | None:
        return None if self.frailty is None else self.frailty[1]

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return log_hazard(result, frame)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """Events of the intervals of the fit: 1 with probability 1 − exp(−cumulative hazard of the interval)."""
        return simulated_events(result.state, rng, n)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return np.inf, 1.0
