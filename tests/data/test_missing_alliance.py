"""Alliance missing by design or by nonresponse, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.missing_alliance import missing_by_design
from alliance_stats.errors import DataError

NAN = np.nan


@pytest.fixture
def patients():
    """Rated; left at 2; items missing; nothing answered; sessions unknown; rated though sessions unknown."""
    return pd.DataFrame(
        {
            "patient": list("ABCDEF"),
            "arm": ["x", "x", "x", "y", "y", "y"],
            "sessions": [8, 2, 5, 3, NAN, NAN],
            "wai": [70, NAN, NAN, NAN, NAN, 60],
            "wai_1": [6, NAN, 6, NAN, NAN, 6],
            "wai_2": [6, NAN, NAN, NAN, NAN, 6],
        }
    )


def counts(table, unit="patient", arm="all"):
    return table.query("unit == @unit and arm == @arm").set_index("reason")["n"].to_dict()


def test_one_row_a_patient(patients):
    table = missing_by_design(
        patients, "wai", 3, attended="sessions", items=["wai_1", "wai_2"], by="arm", patient="patient"
    )
    assert counts(table) == {
        "rated": 2, "left before the first rating": 1, "items missing": 1, "nothing answered": 1, "sessions unknown": 1,
    }  # fmt: skip
    assert counts(table, arm="x") == {
        "rated": 1, "left before the first rating": 1, "items missing": 1, "nothing answered": 0, "sessions unknown": 0,
    }  # fmt: skip
    assert table.groupby("arm")["share"].sum().to_numpy() == pytest.approx(1)
    meanings = table.set_index("reason")["meaning"]
    assert meanings["left before the first rating"].iloc[0].startswith("missing by design: ")


def test_without_items_nonresponse_is_one_reason(patients):
    found = counts(missing_by_design(patients, "wai", 3, attended="sessions"))
    assert found == {"rated": 2, "left before the first rating": 1, "nothing answered": 2, "sessions unknown": 1}


def test_the_session_of_the_first_rating_decides(patients):
    unrated = patients.assign(wai=NAN)
    for first, left in ((1, 0), (3, 1), (4, 2), (9, 4)):
        assert (
            counts(missing_by_design(unrated, "wai", first, attended="sessions"))["left before the first rating"]
            == left
        )


@pytest.fixture
def sessions():
    """A is rated at 3 and skips 4; B leaves after 2; C answers items only; D answers nothing."""
    return pd.DataFrame(
        {
            "patient": ["A", "A", "A", "B", "B", "C", "C", "D"],
            "session": [1, 3, 4, 1, 2, 3, 4, 3],
            "arm": ["x", "x", "x", "x", "x", "y", "y", "y"],
            "wai": [NAN, 70, NAN, NAN, NAN, NAN, NAN, NAN],
            "wai_1": [NAN, 6, NAN, NAN, NAN, 6, NAN, NAN],
        }
    )


def test_one_row_a_session(sessions):
    table = missing_by_design(sessions, "wai", 3, patient="patient", session="session", items=["wai_1"], by="arm")
    assert counts(table) == {"rated": 1, "left before the first rating": 1, "items missing": 1, "nothing answered": 1}
    assert counts(table, unit="session") == {"rated": 1, "items missing": 1, "nothing answered": 3}
    assert counts(table, arm="y") == {
        "rated": 0,
        "left before the first rating": 0,
        "items missing": 1,
        "nothing answered": 1,
    }
    assert counts(table, unit="session", arm="x") == {"rated": 1, "items missing": 0, "nothing answered": 1}
    shuffled = sessions.sample(frac=1, random_state=4)
    again = missing_by_design(shuffled, "wai", 3, patient="patient", session="session", items=["wai_1"])
    assert counts(again) == counts(table)


def test_nobody_reached_a_rating(sessions):
    table = missing_by_design(sessions[sessions["session"] < 3], "wai", 3, patient="patient", session="session")
    assert counts(table) == {"rated": 0, "left before the first rating": 2, "nothing answered": 0}
    assert set(table["unit"]) == {"patient"}


def test_a_rating_before_the_first_is_refused(patients, sessions):
    with pytest.raises(
        DataError, match=r"column 'wai' or an item of it is rated before session 9 \(column 'sessions'\), in row 1;"
    ):
        missing_by_design(patients, "wai", 9, attended="sessions")
    with pytest.raises(
        DataError, match=r"rated before session 4 \(column 'session'\), in row 2; correct first_rating="
    ):
        missing_by_design(sessions, "wai", 4, patient="patient", session="session")
    with pytest.raises(DataError, match="an item of it is rated before session 6"):
        missing_by_design(patients.assign(wai=NAN).iloc[2:3], "wai", 6, attended="sessions", items=["wai_1"])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {}, "give attended= for one row a patient, or patient= and session="),
        ({}, {"attended": "sessions", "session": "sessions"}, "give attended= for one row a patient"),
        ({}, {"patient": "patient"}, "give attended= for one row a patient"),
        ({}, {"attended": "session"}, r"no column 'session' \(did you mean 'sessions'\?\)"),
        ({"sessions": "many"}, {"attended": "sessions"}, "column 'sessions' holds str values; give session numbers"),
        ({"patient": "A"}, {"attended": "sessions", "patient": "patient"}, "occurs more than once in 6 rows"),
        ({"arm": None}, {"attended": "sessions", "by": "arm"}, "column 'arm' is missing in 6 of 6 patients"),
    ],
)
def test_errors(patients, change, options, message):
    with pytest.raises(DataError, match=message):
        missing_by_design(patients.assign(**change), "wai", 3, **options)


def test_errors_of_sessions(sessions):
    changed = sessions.assign(arm=list("xyxyxyxy"))
    with pytest.raises(DataError, match="'arm' changes over time"):
        missing_by_design(changed, "wai", 3, patient="patient", session="session", by="arm")
    with pytest.raises(DataError, match="no rows"):
        missing_by_design(sessions.head(0), "wai", 3, patient="patient", session="session")
