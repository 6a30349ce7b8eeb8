"""Competing risks: closed forms, bad input, and a simulation with known truth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.design.dropout import dropout_frame
from alliance_stats.errors import AllianceError, ConvergenceError, DataError
from alliance_stats.inference.survival_curves import kaplan_meier
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_checks import concordance, martingale_residuals
from alliance_stats.models.cox_curves import baseline_hazard, event_probabilities, hazard_ratios

STATUS = "Surv(time, status) ~ alliance + arm"


@cache
def ends() -> pd.DataFrame:
    """Dropout and completion in 200 patients, some censored, many ties."""
    rng = np.random.default_rng(8)
    alliance, arm = rng.normal(size=200), np.arange(200) % 2
    left, done, closed = rng.exponential(9 * np.exp(0.5 * alliance)), rng.uniform(4, 13, 200), rng.uniform(2, 16, 200)
    time = np.minimum(np.minimum(left, done), closed)
    status = np.select([closed == time, left == time], ["censored", "dropped"], "completed")
    frame = pd.DataFrame({"time": np.ceil(time), "alliance": alliance, "arm": arm, "therapist": np.arange(200) // 10})
    return frame.assign(status=pd.array(status, dtype="str"))


def fit(method: Any, data: pd.DataFrame, cause: Any = "dropped", formula: str = STATUS, **options: Any) -> Any:
    return CompetingRisksModel(formula, cause=cause, method=method, **options).fit(data)


def test_cause_specific_is_a_cox_model_of_the_cause() -> None:
    ours = fit("cause-specific", ends(), cluster="therapist")
    cox = CoxModel("Surv(time, status == 'dropped') ~ alliance + arm", cluster="therapist").fit(ends())
    assert ours.tidy().equals(cox.tidy())
    assert ours.covariance.equals(cox.covariance)
    assert concordance(ours).equals(concordance(cox))
    assert martingale_residuals(ours).equals(martingale_residuals(cox))


def test_other_causes_that_a_cox_model_censors_are_counted() -> None:
    notes = CoxModel("Surv(time, status == 'dropped') ~ alliance").fit(ends()).notes
    completed = int((ends()["status"] == "completed").sum())
    expected = (
        f"rows with another 'status' count as censored: completed {completed}; where these are events of their own, "
    )
    assert any(note.startswith(expected) for note in notes)
    assert kaplan_meier(ends(), "Surv(time, status == 'dropped')").attrs["notes"] == notes
    zero_one = ends().assign(event=lambda d: (d["status"] == "dropped").astype(int))
    assert CoxModel("Surv(time, event == 1) ~ alliance").fit(zero_one).notes == ()


def test_without_competing_events_fine_gray_is_breslow_with_a_robust_variance() -> None:
    """No weights are left; its covariance is then that of a Cox model whose clusters are the patients."""
    frame = ends().assign(
        status=lambda d: d["status"].where(d["status"] != "completed", "censored"), patient=range(200)
    )
    ours = fit("fine-gray", frame)
    cox = CoxModel("Surv(time, status == 'dropped') ~ alliance + arm", ties="breslow", cluster="patient").fit(frame)
    assert np.allclose(ours.tidy()["estimate"], cox.tidy()["estimate"], rtol=1e-10)
    assert np.allclose(ours.covariance, cox.covariance, rtol=1e-9)
    assert np.allclose(baseline_hazard(ours)["hazard"], baseline_hazard(cox)["hazard"], rtol=1e-10)


def test_without_censoring_the_competing_stay_at_risk_for_ever() -> None:
    """Then Fine and Gray's model is Cox's in which those who completed are at risk until the end."""
    frame = ends()[ends()["status"] != "censored"]
    stays = frame.assign(
        time=lambda d: d["time"].where(d["status"] == "dropped", 99.0), patient=range(len(frame)),
        event=lambda d: (d["status"] == "dropped").astype(int),
    )  # fmt: skip
    cox = CoxModel("Surv(time, event) ~ alliance + arm", ties="breslow", cluster="patient").fit(stays)
    ours = fit("fine-gray", frame)
    assert np.allclose(ours.tidy()["estimate"], cox.tidy()["estimate"], rtol=1e-10)
    assert np.allclose(ours.covariance, cox.covariance, rtol=1e-9)


def test_clusters_of_fine_gray_add_up_influence() -> None:
    """Clusters of one are none; every row twice in one cluster is every row once."""
    frame = ends().assign(patient=range(200))
    plain = fit("fine-gray", frame)
    assert np.allclose(fit("fine-gray", frame, cluster="patient").covariance, plain.covariance, rtol=1e-11)
    twice = pd.concat([frame, frame], ignore_index=True)
    assert np.allclose(fit("fine-gray", twice, cluster="patient").covariance, plain.covariance, rtol=1e-9)
    assert np.allclose(fit("fine-gray", twice).covariance, plain.covariance / 2, rtol=1e-9)


def test_statuses_are_text_numbers_or_categories() -> None:
    expected = fit("fine-gray", ends()).tidy()
    numbers = ends().assign(status=lambda d: d["status"].map({"censored": 0, "dropped": 1, "completed": 2}))
    assert fit("fine-gray", numbers, cause=1).tidy().equals(expected)
    floats = numbers.assign(status=lambda d: d["status"].astype(float))
    assert fit("fine-gray", floats, cause=1).tidy().equals(expected)
    assert fit("fine-gray", ends().astype({"status": "category"})).tidy().equals(expected)


def test_the_causes_are_counted_in_the_notes_after_the_definition() -> None:
    visits = pd.DataFrame({"patient": np.repeat(range(60), 3), "session": np.tile([1, 2, 3], 60)})
    visits = visits[visits["session"] <= 1 + visits["patient"] % 3]
    visits["alliance"] = visits["patient"] * 7 % 11
    visits["reason"] = np.where(visits["patient"] % 2, "better", "not better")
    frame = dropout_frame(visits, planned=3, completion="competing", cause="reason", form="patients")
    result = fit("fine-gray", frame, "not better", "Surv(time, status) ~ alliance")
    assert result.notes[0] == frame.attrs["definition"]
    assert result.notes[1] == "cause 'not better'; events: not better 20, better 20, completed 20, censored 0"
    assert frame.attrs["definition"] in repr(result)


@pytest.mark.parametrize("method", ["cause-specific", "fine-gray"])
def test_a_cause_without_events(method: str) -> None:
    with pytest.raises(
        DataError, match="cause 'moved' has no events; kinds of event in 'status': 'completed', 'dropped'"
    ):
        fit(method, ends(), "moved")
    with pytest.raises(DataError, match="no events; every 'status' is censored"):
        fit(method, ends().assign(status="censored"))


@pytest.mark.parametrize("method", ["cause-specific", "fine-gray"])
def test_all_events_of_the_cause_in_one_arm(method: str) -> None:
    frame = ends().assign(arm=lambda d: np.where(d["status"] == "dropped", 1, d["arm"]))
    with pytest.raises(ConvergenceError, match="monotone in 'arm'"):
        fit(method, frame)


def test_missing_values_are_counted() -> None:
    frame = ends().assign(
        alliance=lambda d: d["alliance"].mask(d.index < 7), status=lambda d: d["status"].mask(d.index == 9)
    )
    notes = fit("fine-gray", frame).notes
    assert "8 of 200 rows left out for missing values (status 1, alliance 7)" in notes


def test_what_fine_gray_does_not_take() -> None:
    frame = ends().assign(start=0.0)
    with pytest.raises(DataError, match=r"method='fine-gray' takes Surv\(time, status\)"):
        fit("fine-gray", frame, formula="Surv(start, time, status) ~ alliance")
    with pytest.raises(AllianceError, match="strata= is for cause-specific hazards"):
        fit("fine-gray", frame, strata="therapist")
    with pytest.raises(AllianceError, match="name the statuses' column alone and give cause='dropped'"):
        fit("fine-gray", frame, formula="Surv(time, status == 'dropped') ~ alliance")
    with pytest.raises(AllianceError, match="method is 'fg'"):
        fit("fg", frame)
    with pytest.raises(DataError, match="no term that could be estimated; for curves use aalen_johansen"):
        fit("fine-gray", frame, formula="Surv(time, status) ~ 1")
    with pytest.raises(AllianceError, match="needs a CoxModel or a cause-specific model"):
        concordance(fit("fine-gray", frame))
    with pytest.raises(AllianceError, match="the hazard of one cause alone gives no probability"):
        event_probabilities(fit("cause-specific", frame), frame.head(1), [3])


def test_dependent_terms_are_left_out() -> None:
    result = fit("fine-gray", ends(), formula="Surv(time, status) ~ alliance + I(alliance * 2) + arm")
    assert np.allclose(result.tidy()["estimate"], fit("fine-gray", ends()).tidy()["estimate"], rtol=1e-10)
    assert any("depends on other terms" in note for note in result.notes)


def test_time_varying_causes_are_checked_for_overlap() -> None:
    frame = pd.DataFrame(
        {"patient": [1, 1, 2, 3, 4], "start": [0, 1, 0, 0, 0], "stop": [1, 2, 2, 3, 4], "x": [1.0, 2, 3, 1, 2],
         "status": ["dropped", "censored", "completed", "dropped", "completed"]}
    )  # fmt: skip
    with pytest.raises(DataError, match="an event is followed by more time"):
        fit("cause-specific", frame, formula="Surv(start, stop, status) ~ x", patient="patient")


def test_recovery_of_a_subdistribution_hazard() -> None:
    """Fine and Gray's own model: F(t | x) = 1 − (1 − p(1 − e^−t))^exp(βx); bias within 3 Monte Carlo errors, 200 data sets."""
    rng, truth, p, found = np.random.default_rng(77), 0.6, 0.5, []
    for _ in range(200):
        x = rng.normal(size=250)
        ever = 1 - (1 - p) ** np.exp(truth * x)
        first = rng.random(250) < ever
        u = rng.random(250) * ever
        with np.errstate(invalid="ignore"):
            t1 = -np.log(1 - (1 - (1 - u) ** np.exp(-truth * x)) / p)
        time = np.where(first, t1, rng.exponential(1, 250))
        closed = rng.uniform(0.5, 3, 250)
        status = np.where(closed < time, 0, np.where(first, 1, 2))
        frame = pd.DataFrame({"time": np.minimum(time, closed), "status": status, "x": x})
        found.append(fit("fine-gray", frame, 1, "Surv(time, status) ~ x").tidy().iloc[0][["estimate", "std_error"]])
    table = pd.DataFrame(found).astype(float)
    assert abs(table["estimate"].mean() - truth) < 3 * table["estimate"].std() / np.sqrt(200)
    assert table["std_error"].mean() / table["estimate"].std() == pytest.approx(1, abs=3 / np.sqrt(400))


def test_hazard_ratios_of_the_subdistribution() -> None:
    result = fit("fine-gray", ends())
    assert np.allclose(hazard_ratios(result)["hazard_ratio"], np.exp(result.tidy()["estimate"]))
    found = event_probabilities(result, ends().head(2), [1, 5, 12])
    assert found["std_error"].isna().all()
    assert (np.diff(found["probability"].to_numpy().reshape(2, 3)) > 0).all()
