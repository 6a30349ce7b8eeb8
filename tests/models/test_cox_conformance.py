"""Hazard models through the checker that every model passes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS

from alliance_stats import Centre, Lag
from alliance_stats.design.dropout import dropout_frame
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel


@cache
def visits() -> pd.DataFrame:
    """Sessions attended by 80 patients of 8 therapists, planned for 8, who leave sooner where the alliance is low."""
    rng = np.random.default_rng(12)
    rows = []
    for patient in range(80):
        bond, arm = rng.normal(5, 1), ["GE", "MCE", "SMT"][patient % 3]
        for session in range(1, 9):
            alliance = round(bond + 0.1 * session + rng.normal(0, 0.5), 2)
            rows.append((patient, patient // 10, arm, session, alliance))
            if rng.random() < 1 / (1 + np.exp(1.5 + 0.5 * (alliance - 5))):
                break
    frame = pd.DataFrame(rows, columns=["patient", "therapist", "arm", "session", "alliance"])
    frame["pain"] = rng.normal(5, 2, len(frame)).round(2)
    return frame


@cache
def periods() -> pd.DataFrame:
    return dropout_frame(visits(), planned=8, completion="censored")


@cache
def ends() -> pd.DataFrame:
    frame = dropout_frame(visits(), planned=6, completion="competing", form="patients")
    return frame.assign(alliance=frame["alliance"].mask(frame.index == 5))


LAGGED = (Lag("alliance"), Centre("alliance_lag1", by="patient"))
TIMED = "Surv(start, stop, dropped) ~"
CASES: dict[str, tuple[Any, pd.DataFrame]] = {
    "time-varying": (CoxModel(f"{TIMED} alliance + arm", patient="patient"), periods()),
    "breslow and clusters": (CoxModel(f"{TIMED} alliance * arm", ties="breslow", cluster="therapist"), periods()),
    "strata": (CoxModel(f"{TIMED} alliance + pain", strata="arm", level=0.9), periods()),
    "gamma frailty": (CoxModel(f"{TIMED} alliance", frailty=("gamma", "therapist")), periods()),
    "normal frailty": (CoxModel(f"{TIMED} alliance", frailty=("normal", "patient")), periods()),
    "prepared": (CoxModel(f"{TIMED} alliance_lag1_within + alliance_lag1_between", prepare=LAGGED), periods()),
    "dependent terms": (CoxModel(f"{TIMED} alliance + pain + I(2 * alliance) + C(arm)"), periods()),
    "missing": (CoxModel("Surv(time, dropped) ~ alliance + arm"), ends()),
    "spline": (CoxModel("Surv(time, dropped) ~ bs(pain, df=3) + scale(alliance)"), ends()),
    "cause-specific": (
        CompetingRisksModel("Surv(time, status) ~ alliance + arm", cause="dropped", method="cause-specific"),
        ends(),
    ),
    "fine-gray": (
        CompetingRisksModel("Surv(time, status) ~ alliance + arm", cause="dropped", method="fine-gray"),
        ends(),
    ),
    "fine-gray clusters": (
        CompetingRisksModel(
            "Surv(time, status) ~ alliance", cause="completed", method="fine-gray", cluster="therapist"
        ),
        ends(),
    ),
}


def new_rows(name: str, data: pd.DataFrame) -> pd.DataFrame:
    """Rows with complete predictors; of prepared models all sessions of two patients."""
    if name == "prepared":
        return data[data["patient"].isin([7, 21])]
    return data.iloc[[3, 14, 60]]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, check: Any) -> None:
    model, data = CASES[name]
    check(model.fit(data), model, data, new_rows(name, data))
