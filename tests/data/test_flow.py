"""Numbers of the participant flow, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.flow import flow_frame
from alliance_stats.errors import DataError

WAVES = {"baseline": ["pain_0"], "8 weeks": ["pain_8", "disability_8"]}


@pytest.fixture
def data():
    nan = np.nan
    return pd.DataFrame(
        {
            "arm": ["b", "a", "b", "a", "b"],
            "pain_0": [1, 2, 3, 4, 5.0],
            "pain_8": [1, nan, 3, 4, nan],
            "disability_8": [1, 2, nan, 4, nan],
        }
    )


def test_counts_and_reasons(data):
    assert flow_frame(data, "arm", WAVES).to_numpy().tolist() == [
        ["Randomised", "all", 5, ""],
        ["Randomised", "b", 3, ""],
        ["Randomised", "a", 2, ""],
        ["baseline", "b", 3, ""],
        ["baseline", "a", 2, ""],
        ["8 weeks", "b", 1, "2 without 8-week outcome"],
        ["8 weeks", "a", 1, "1 without 8-week outcome"],
    ]


def test_categories_keep_their_order_and_unused_ones_are_left_out(data):
    ordered = data.assign(arm=pd.Categorical(data["arm"], ["a", "b", "c"]))
    assert flow_frame(ordered, "arm", {})["arm"].tolist() == ["all", "a", "b"]


def test_every_patient_is_observed_or_given_as_missing(data):
    flow = flow_frame(data, "arm", WAVES)
    start = flow[flow.stage == "Randomised"].set_index("arm").n
    for row in flow[flow.stage != "Randomised"].itertuples():
        lost = int(row.reason.split()[0]) if row.reason else 0
        assert row.n + lost == start[row.arm]


@pytest.mark.parametrize(
    ("wave", "words"),
    [("12 months", "12-month outcome"), ("Follow-up", "follow-up"), ("1 year", "1-year outcome")],
)
def test_names_of_waves_in_reasons(wave, words):
    flow = flow_frame(pd.DataFrame({"arm": ["a"], "y": [np.nan]}), "arm", {wave: ["y"]})
    assert flow["reason"].iloc[-1] == f"1 without {words}"


@pytest.mark.parametrize(
    ("change", "waves", "message"),
    [
        ({}, {"8 weeks": ["pain_9"]}, "no column 'pain_9'"),
        ({}, {"8 weeks": "pain_8"}, "give a list of its columns"),
        ({}, {"8 weeks": []}, "give a list of its columns"),
        ({}, {"Randomised": ["pain_8"]}, "name of the first stage"),
        ({"arm": ["a", None, "a", "b", "b"]}, {}, "missing in 1 of 5 rows"),
        ({"arm": "all"}, {}, "means everyone"),
    ],
)
def test_errors(data, change, waves, message):
    with pytest.raises(DataError, match=message):
        flow_frame(data.assign(**change), "arm", waves)


def test_nobody(data):
    with pytest.raises(DataError, match="no rows"):
        flow_frame(data.head(0), "arm", WAVES)
