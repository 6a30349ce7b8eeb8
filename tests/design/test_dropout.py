"""From sessions attended to dropout: definitions, counts, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.design.dropout import dropout_frame
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.models.discrete_time import DiscreteTimeModel

VISITS = pd.DataFrame(
    {
        "patient": ["a", "a", "b", "b", "b", "c", "d", "d"],
        "session": [1, 2, 1, 2, 3, 1, 1, 3],
        "alliance": [40.0, 38, 55, 50, 52, 30, 44, 46],
        "arm": ["GE", "GE", "MCE", "MCE", "MCE", "GE", "MCE", "MCE"],
        "planned": [3, 3, 3, 3, 3, 4, 5, 5],
        "reason": ["better", "better", None, None, None, "not better", None, None],
        "open": [0, 0, 0, 0, 0, 0, 1, 1],
    }
)
VISITS["arm"] = VISITS["arm"].astype("str")


def ends(frame: pd.DataFrame) -> dict[str, tuple[int, int, str]]:
    """Patient → time, dropped, status."""
    columns = frame[["time", "dropped", "status"]].itertuples(index=False, name=None)
    return dict(zip(frame["patient"], columns, strict=True))


def test_one_row_a_patient() -> None:
    found = dropout_frame(VISITS, planned="planned", completion="competing", form="patients")
    expected = {"a": (2, 1, "dropped"), "b": (3, 0, "completed"), "c": (1, 1, "dropped"), "d": (3, 1, "dropped")}
    assert ends(found) == expected
    assert found["alliance"].tolist() == [40, 55, 30, 44]  # of the first session
    assert found["start"].tolist() == [0, 0, 0, 0]


def test_completion_is_competing_or_censored_by_choice() -> None:
    found = dropout_frame(VISITS, planned="planned", completion="censored", form="patients")
    assert ends(found)["b"] == (3, 0, "censored")
    assert "1 completed (censored by design)" in found.attrs["definition"]
    with pytest.raises(TypeError, match="completion"):
        dropout_frame(VISITS, planned="planned")  # type: ignore[call-arg]


def test_person_periods() -> None:
    found = dropout_frame(VISITS[VISITS["patient"] != "d"], planned="planned", completion="competing")
    assert found[["patient", "session", "start", "stop", "dropped"]].to_numpy().tolist() == [
        ["a", 1, 0, 1, 0], ["a", 2, 1, 2, 1],
        ["b", 1, 0, 1, 0], ["b", 2, 1, 2, 0], ["b", 3, 2, 3, 0],
        ["c", 1, 0, 1, 1],
    ]  # fmt: skip
    assert found["status"].tolist() == ["continuing", "dropped", "continuing", "continuing", "completed", "dropped"]
    assert not found.duplicated(["patient", "session"]).any()


def test_causes_are_apart_and_unknown_ones_counted() -> None:
    found = dropout_frame(VISITS, planned="planned", completion="competing", cause="reason", form="patients")
    assert {patient: end[2] for patient, end in ends(found).items()} == {
        "a": "better", "b": "completed", "c": "not better", "d": "cause unknown",
    }  # fmt: skip
    assert "causes of dropout from 'reason': better 1, cause unknown 1, not better 1" in found.attrs["definition"]
    assert "causes of dropout are not told apart" in dropout_frame(
        VISITS, planned=3, completion="competing"
    ).attrs["definition"]  # fmt: skip


def test_patients_still_in_therapy_are_censored() -> None:
    found = dropout_frame(VISITS, planned="planned", completion="competing", ongoing="open", form="patients")
    assert ends(found)["d"] == (3, 0, "censored")
    assert (
        "2 dropped out, 1 completed (a competing event), 1 were still in therapy (censored)"
        in found.attrs["definition"]
    )


@pytest.mark.parametrize(("missed", "rating"), [("empty", np.nan), ("carried", 44.0)])
def test_missed_sessions_are_at_risk(missed: Any, rating: float) -> None:
    found = dropout_frame(VISITS, planned="planned", completion="competing", missed=missed)
    row = found[(found["patient"] == "d") & (found["session"] == 2)].iloc[0]
    assert (row["start"], row["stop"], row["dropped"], row["arm"], row["planned"]) == (1, 2, 0, "MCE", 5)
    assert np.array_equal([row["alliance"]], [rating], equal_nan=True)
    assert "1 missed sessions between attended ones are at risk" in found.attrs["definition"]


def test_order_of_rows_says_nothing() -> None:
    options: dict[str, Any] = {"planned": "planned", "completion": "competing", "cause": "reason"}
    for form in ("intervals", "patients"):
        straight = dropout_frame(VISITS, **options, form=form)
        shuffled = dropout_frame(VISITS.iloc[[7, 3, 1, 6, 0, 5, 2, 4]], **options, form=form)
        keys = ["patient"] + (["session"] if form == "intervals" else [])
        pd.testing.assert_frame_equal(
            straight.sort_values(keys, ignore_index=True), shuffled.sort_values(keys, ignore_index=True)
        )


def test_sessions_after_the_planned_number_are_left_out_and_counted() -> None:
    found = dropout_frame(VISITS, planned=2, completion="competing", form="patients")
    assert ends(found)["b"] == (2, 0, "completed")
    assert "2 sessions after the planned number are left out" in found.attrs["definition"]


def test_a_late_first_session_is_a_late_entry() -> None:
    found = dropout_frame(VISITS.drop(index=6), planned="planned", completion="competing")
    rows = found[found["patient"] == "d"]
    assert rows[["start", "stop"]].to_numpy().tolist() == [[2, 3]]
    assert "1 patients enter late" in found.attrs["definition"]


def test_rows_of_sessions_not_attended_are_no_attendance() -> None:
    told = VISITS.assign(came=[1, 0, 1, 1, 1, 1, 1, 1])
    found = dropout_frame(told, planned=3, completion="competing", attended="came", form="patients")
    assert ends(found)["a"] == (1, 1, "dropped")


def test_categories_and_an_odd_index_change_nothing() -> None:
    plain = dropout_frame(VISITS, planned=3, completion="competing")
    odd = VISITS.assign(patient=VISITS["patient"].astype("category")).set_axis([5] * len(VISITS))
    found = dropout_frame(odd, planned=3, completion="competing")
    assert found.drop(columns="patient").equals(plain.drop(columns="patient"))
    assert found["patient"].astype(str).tolist() == plain["patient"].tolist()


def test_the_data_stay_as_they_were() -> None:
    before = VISITS.copy(deep=True)
    dropout_frame(VISITS, planned=3, completion="competing", missed="carried")
    pd.testing.assert_frame_equal(VISITS, before)
    assert "definition" not in VISITS.attrs


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"completion": "event"}, "completion is 'event'; use one of 'competing', 'censored'"),
        ({}, {"missed": "dropped"}, "missed is 'dropped'"),
        ({}, {"form": "wide"}, "form is 'wide'"),
        ({}, {"planned_session": "dropped"}, "planned_session is 'dropped'"),
        ({}, {"planned": 0}, "planned=0 must be whole numbers of sessions"),
        ({}, {"planned": 2.5}, "planned=2.5 must be whole numbers"),
        ({}, {"planned": "plan"}, "no column 'plan'"),
        ({"planned": [3, 4, 3, 3, 3, 4, 5, 5]}, {"planned": "planned"}, "\'planned\' has several values in 1 patients"),
        ({"planned": [np.nan, np.nan, 3, 3, 3, 4, 5, 5]}, {"planned": "planned"}, "1 patients have no 'planned'"),
        ({"session": [1, 1, 1, 2, 3, 1, 1, 3]}, {}, "2 rows share their keys"),
        ({"session": [1, 2, 1, 2, 3, 0, 1, 3]}, {}, "'session' holds 0; number the sessions from 1"),
        ({"session": [1, 2.5, 1, 2, 3, 1, 1, 3]}, {}, "whole session numbers"),
        ({"session": [1, np.nan, 1, 2, 3, 1, 1, 3]}, {}, "1 rows have no 'session'"),
        ({"start": 0}, {}, "column 'start' would be overwritten"),
        ({"reason": list("xyxxxxxx")}, {"cause": "reason"}, "'reason' has several values in 1 patients"),
        ({"reason": "completed"}, {"cause": "reason"}, "'reason' holds 'completed' for who dropped out"),
        ({"open": 2}, {"ongoing": "open"}, "column 'open' holds 2; it must be 1"),
        ({"session": [4, 5, 1, 2, 3, 1, 1, 3]}, {}, "1 patients have their first session after the planned number"),
        ({"came": [0, 0, 1, 1, 1, 1, 1, 1]}, {"attended": "came"}, "1 patients attended no session at all"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises((AllianceError, DataError), match=message):
        dropout_frame(VISITS.assign(**change), **({"planned": 3, "completion": "competing"} | options))


def test_the_planned_session_is_a_structural_zero_and_is_kept_or_left_out() -> None:
    kept = dropout_frame(VISITS, planned=3, completion="censored")
    assert kept.query("patient == 'b'")["stop"].tolist() == [1, 2, 3]
    assert "2 rows are of a planned last session, in which nobody can drop out" in kept.attrs["definition"]
    found = dropout_frame(VISITS, planned=3, completion="censored", planned_session="left out")
    assert found[["patient", "stop", "dropped", "status"]].to_numpy().tolist() == [
        ["a", 1, 0, "continuing"], ["a", 2, 1, "dropped"],
        ["b", 1, 0, "continuing"], ["b", 2, 0, "censored"],
        ["c", 1, 1, "dropped"],
        ["d", 1, 0, "continuing"], ["d", 2, 0, "censored"],
    ]  # fmt: skip
    said = found.attrs["definition"]
    assert "2 rows of a planned last session, in which nobody can drop out, are left out" in said
    assert "never at risk" not in said
    only = dropout_frame(VISITS, planned=1, completion="censored", planned_session="left out")
    assert len(only) == 0
    assert "4 patients have no other session and are never at risk" in only.attrs["definition"]
    mixed = dropout_frame(
        VISITS.assign(planned=VISITS["patient"].map({"a": 1, "b": 3, "c": 1, "d": 4})), planned="planned",
        completion="censored", planned_session="left out",
    )  # fmt: skip
    assert mixed[["patient", "stop", "status"]].to_numpy().tolist() == [
        ["b", 1, "continuing"], ["b", 2, "censored"], ["d", 1, "continuing"], ["d", 2, "continuing"], ["d", 3, "dropped"],
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{"form": "patients"}, {"completion": "competing"}])
def test_the_event_of_completing_lies_in_the_planned_session(options: dict[str, Any]) -> None:
    with pytest.raises(AllianceError, match="needs form='intervals' and completion='censored'"):
        dropout_frame(VISITS, **({"planned": 3, "completion": "censored", "planned_session": "left out"} | options))


def test_a_hazard_by_session_is_the_share_that_left_without_the_planned_session() -> None:
    """Hazard .1 after each of sessions 1 to 5: with the sixth, in which nobody can leave, it comes out too low."""
    rng = np.random.default_rng(12)
    last = np.minimum(rng.geometric(0.1, 4000), 6)
    visits = pd.DataFrame(
        {"patient": np.repeat(np.arange(4000), last), "session": np.concatenate([np.arange(1, n + 1) for n in last])}
    )
    hazard = {}
    for choice in ("kept", "left out"):
        rows = dropout_frame(visits, planned=6, completion="censored", planned_session=choice)  # type: ignore[arg-type]
        fit = DiscreteTimeModel("dropped ~ 1").fit(rows)
        hazard[choice] = 1 - np.exp(-np.exp(fit.tidy()["estimate"].iloc[0]))
        assert any("in which nobody can drop out" in note for note in fit.notes)
    assert abs(hazard["left out"] - 0.1) < 3 * np.sqrt(0.1 * 0.9 / 16_000)
    assert hazard["kept"] < 0.09


def test_sessions_attended_of_those_planned_are_counted() -> None:
    found = dropout_frame(VISITS, planned="planned", completion="competing", form="patients").set_index("patient")
    assert found["n_attended"].to_dict() == {"a": 2, "b": 3, "c": 1, "d": 2}  # d came to sessions 1 and 3
    assert found["n_planned"].to_dict() == {"a": 3, "b": 3, "c": 4, "d": 5}
    beyond = dropout_frame(VISITS, planned=2, completion="competing", form="patients").set_index("patient")
    assert beyond["n_attended"].to_dict() == {"a": 2, "b": 2, "c": 1, "d": 1}
    with pytest.raises(DataError, match="column 'n_attended' would be overwritten"):
        dropout_frame(VISITS.assign(n_attended=1), planned=2, completion="competing", form="patients")


def test_no_rows() -> None:
    with pytest.raises(DataError, match="no rows"):
        dropout_frame(VISITS.head(0), planned=3, completion="competing")
