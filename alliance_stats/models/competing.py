"""Regression of competing risks: the hazard of one cause, or Fine and Gray's model of its cumulative incidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import design_matrix
from alliance_stats.models.cox import Ties
from alliance_stats.models.cox_fine_gray import fitted_subdistribution
from alliance_stats.models.cox_fit import Hazard, fitted_hazard
from alliance_stats.models.cox_state import checked_options, log_hazard, simulated_events
from alliance_stats.models.frames import prepared
from alliance_stats.models.survival_response import (
    Times,
    event_kinds,
    read_survival_formula,
    require_separate,
    survival_frame,
    survival_times,
)
from alliance_stats.result import Result

Method = Literal["cause-specific", "fine-gray"]


@dataclass(frozen=True)
class CompetingRisksModel:
    """Regression of one cause of an end of therapy where there are others, e.g. dropping out beside completing.

    Parameters
    ----------
    formula : ``"Surv(time, status) ~ alliance + arm"``; ``status`` holds the kind of event, and 0, ``"censored"`` or
        ``"continuing"`` where there is none. ``Surv(start, stop, status)`` with ``method="cause-specific"``.
    cause : the kind of event, e.g. ``"dropped"``.
    method : ``"cause-specific"``, the hazard of the cause among those still there (other causes censor); or ``"fine-gray"``,
        the subdistribution hazard, whose coefficients speak of the cumulative incidence. Its standard errors are robust and
        allow for the estimated censoring weights, as cmprsk's crr.
    ties : ``"efron"`` or ``"breslow"`` of cause-specific hazards; ``"fine-gray"`` takes Breslow's, always.
    cluster : column of clusters of the standard errors.
    strata : columns whose groups have baseline hazards of their own (cause-specific only).
    patient : column of patients with several intervals, which are checked.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Source: Fine & Gray 1999, doi 10.1080/01621459.1999.10474144.

    >>> data = pd.DataFrame({"time": [1, 2, 3, 4, 5, 6], "end": ["dropped", "completed", "dropped", "censored", "completed",
    ...     "dropped"], "bond": [4.0, 3, 7, 5, 7, 5]})
    >>> CompetingRisksModel("Surv(time, end) ~ bond", cause="dropped", method="fine-gray").fit(data).apa("bond")
    'b = 0.027, SE = 0.34, 95 % CI [−0.64, 0.69], z = 0.08, p = .936'
    """

    formula: str
    cause: str | int
    method: Method
    ties: Ties = "efron"
    cluster: str | None = None
    strata: str | tuple[str, ...] | None = None
    patient: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise AllianceError(f"method is {self.method!r}; use 'cause-specific' or 'fine-gray'")
        if self.ties not in get_args(Ties):
            raise AllianceError(f"ties is {self.ties!r}; use 'efron' or 'breslow'")
        if self.method == "fine-gray" and self.strata is not None:
            raise AllianceError("strata= is for cause-specific hazards; method='fine-gray' has one baseline")
        checked_options(self.level, self.prepare)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by (weighted) partial likelihood.

        Rows with a missing value are left out and counted in ``notes``, which open with the definition of dropout where the
        frame has one, and say how often each kind of event occurred. Raises DataError, FormulaError and ConvergenceError as
        `CoxModel.fit`, and DataError for a cause without events.
        """
        surv, formula = read_survival_formula(self.formula)
        if surv.value is not None:
            raise AllianceError(
                f"formula {self.formula!r}: name the statuses' column alone and give cause={surv.value!r}"
            )
        steps, frame = prepared(self.prepare, data)
        labels = [*self._strata, *(name for name in (self.cluster, self.patient) if name is not None)]
        frame, notes = survival_frame(frame, surv, formula.variables, labels, self.formula)
        times = survival_times(frame, surv, kinds=True)
        kinds, names = event_kinds(frame[surv.event], self.cause, surv.text)
        counted = ", ".join(f"{name} {int((frame[surv.event] == name).sum())}" for name in names)
        notes += (f"cause {self.cause!r}; events: {counted}, censored {int((kinds == 0).sum())}",)
        if self.method == "fine-gray" and surv.start is not None:
            raise DataError(
                f"formula {self.formula!r}: method='fine-gray' takes Surv(time, status), one row a patient; with start and "
                "stop use method='cause-specific'"
            )
        if self.patient is not None:
            notes += require_separate(frame, self.patient, Times(times.start, times.stop, kinds), surv.text)
        design, X = design_matrix(formula, frame)
        if self.method == "fine-gray":
            given = Hazard(frame, steps, design, X, Times(None, times.stop, kinds), notes)
            return fitted_subdistribution(self, given)
        event = (kinds == 1).astype(int)
        return fitted_hazard(self, Hazard(frame, steps, design, X, Times(times.start, times.stop, event), notes))

    @property
    def _strata(self) -> tuple[str, ...]:
        if self.strata is None:
            return ()
        return (self.strata,) if isinstance(self.strata, str) else tuple(self.strata)

    @property
    def _group(self) -> str | None:
        return None

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return log_hazard(result, frame)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """Events of the cause in the intervals of the fit: 1 with probability 1 − exp(−cumulative hazard)."""
        return simulated_events(result.state, rng, n)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return np.inf, 1.0
