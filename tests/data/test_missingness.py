"""Patterns of missing waves and items, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from alliance_stats.data.attrition import attrition_counts
from alliance_stats.data.missingness import missing_by_item, missing_patterns
from alliance_stats.errors import DataError

NAN = np.nan
WAVES = {"week 2": ["wai_1", "wai_2"], "week 4": ["pain_4"], "week 8": ["pain_8"]}


@pytest.fixture
def wide():
    """Complete; an item skipped; left after week 2; missed week 4; missed week 4 and an item; never seen; late starter."""
    return pd.DataFrame(
        {
            "patient": list("ABCDEFG"),
            "arm": ["x", "x", "x", "y", "y", "y", "y"],
            "wai_1": [1, 1, 1, 1, NAN, NAN, NAN],
            "wai_2": [2, NAN, 2, 2, 2, NAN, NAN],
            "pain_4": [3, 3, NAN, NAN, NAN, NAN, 3],
            "pain_8": [4, 4, NAN, 4, 4, NAN, NAN],
        }
    )


def test_every_kind_of_pattern(wide):
    found = missing_patterns(wide, WAVES).set_index("pattern")
    assert found["kind"].to_dict() == {
        "...": "nothing answered",
        ".o.": "missed, then back",
        "p.o": "missed, then back",
        "poo": "items missing",
        "o..": "left, not back",
        "o.o": "missed, then back",
        "ooo": "complete",
    }
    assert found["n"].tolist() == [1] * 7
    assert found["last_wave"].to_dict()["o.."] == "week 2"
    assert found["last_wave"].to_dict()["..."] == ""
    assert found["share"].tolist() == pytest.approx([1 / 7] * 7)


def test_patterns_by_arm(wide):
    found = missing_patterns(wide, WAVES, by="arm", patient="patient")
    assert found.groupby("arm", sort=False)["n"].sum().to_dict() == {"all": 7, "x": 3, "y": 4}
    assert found.groupby("arm", sort=False)["share"].sum().to_numpy() == pytest.approx(1)
    ordered = wide.assign(arm=pd.Categorical(wide["arm"], ["z", "y", "x"]))
    assert missing_patterns(ordered, WAVES, by="arm")["arm"].unique().tolist() == ["all", "y", "x"]


def test_the_commonest_pattern_comes_first():
    frame = pd.DataFrame({"a": [1, 1, 1, NAN], "b": [NAN, 1, NAN, 1]})
    assert missing_patterns(frame, ["a", "b"])[["pattern", "n"]].to_numpy().tolist() == [
        ["o.", 2],
        [".o", 1],
        ["oo", 1],
    ]


def test_items(wide):
    found = missing_by_item(wide, WAVES).set_index("item")[["answered", "skipped", "wave_missed", "left"]]
    assert found.T.to_dict("list") == {
        "wai_1": [4, 1, 1, 1],
        "wai_2": [4, 1, 1, 1],
        "pain_4": [3, 0, 2, 2],
        "pain_8": [4, 0, 0, 3],
    }


def test_a_long_frame_gives_what_the_wide_one_gives(wide):
    long = wide.melt(["patient", "arm"], ["pain_4", "pain_8"], "wave", "pain")
    week = long["wave"].str.removeprefix("pain_").astype(int)
    long = long.assign(week=week).dropna(subset="pain").sample(frac=1, random_state=1)
    # Those who answered nothing have no row at all, so they are unknown to the long frame.
    there = wide[wide[["pain_4", "pain_8"]].notna().any(axis=1)]
    wanted = missing_patterns(there, ["pain_4", "pain_8"])[["pattern", "kind", "n"]]
    found = missing_patterns(long, ["pain"], patient="patient", time="week")[["pattern", "kind", "n"]]
    assert_frame_equal(found, wanted)
    assert missing_by_item(long, ["pain"], patient="patient", time="week")["wave"].tolist() == ["4", "8"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"waves": ["pain_9"]}, r"missing_patterns: no column 'pain_9' \(did you mean"),
        ({}, {"waves": "pain_4"}, "give columns in their order"),
        ({}, {"waves": {"w": "pain_4"}}, "wave 'w' has 'pain_4'; give a list of its columns"),
        ({}, {"waves": []}, "give columns in their order"),
        (
            {"patient": list("AABCDEF")},
            {"patient": "patient"},
            r"key 'patient' occurs more than once in 2 rows \('A'; rows 1, 2\)",
        ),
        ({"patient": [None, *"BCDEFG"]}, {"patient": "patient"}, "key 'patient' is missing in 1 rows, such as row 1"),
        ({"arm": [None, *"xxyyyy"]}, {"by": "arm"}, "column 'arm' is missing in 1 of 7 patients"),
        ({"arm": "all"}, {"by": "arm"}, "column 'arm' holds 'all', which means everyone here"),
        ({}, {"time": "pain_4", "waves": ["pain_8"]}, "needs patient= too"),
        ({}, {"time": "pain_4", "patient": "patient"}, "waves= is the list of columns answered at each"),
    ],
)
def test_errors(wide, change, options, message):
    with pytest.raises(DataError, match=message):
        missing_patterns(wide.assign(**change), **{"waves": WAVES, **options})


def test_errors_of_long_frames():
    long = pd.DataFrame({"patient": ["A", "A", "B"], "week": [1, 2, 1], "pain": [1, 2, 3], "arm": ["x", "y", "x"]})
    with pytest.raises(DataError, match="'arm' changes over time in 1 patients"):
        missing_patterns(long, ["pain"], by="arm", patient="patient", time="week")
    with pytest.raises(
        DataError, match=r"key 'patient', 'week' occurs more than once in 2 rows \('A', '1'; rows 1, 2\)"
    ):
        missing_patterns(long.assign(week=1).head(2), ["pain"], patient="patient", time="week")


def test_nobody():
    with pytest.raises(DataError, match="no rows, so there is nobody to count"):
        missing_patterns(pd.DataFrame({"x": []}), ["x"])


_cells = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(cells=_cells, waves=st.sampled_from([["a", "b", "c", "d"], {"1": ["a", "b"], "2": ["c"], "3": ["d"]}]))
def test_everyone_is_counted_once(cells, waves):
    frame = pd.DataFrame(np.where(cells, 1.0, NAN), columns=list("abcd"))
    patterns = missing_patterns(frame, waves)
    assert patterns["n"].sum() == len(frame)
    items = missing_by_item(frame, waves)
    assert (items[["answered", "skipped", "wave_missed", "left"]].sum(axis=1) == len(frame)).all()
    counts = attrition_counts(frame, waves, by=None)
    assert (counts[["answered", "missed", "left"]].sum(axis=1) == len(frame)).all()
    assert counts["newly_left"].sum() == counts["left"].iloc[-1]
    assert (counts["newly_left"] >= 0).all()
    # The last wave: whoever has no answer there has left, and nobody can have come back.
    assert counts["missed"].iloc[-1] == 0
    assert_frame_equal(patterns, missing_patterns(frame.sample(frac=1, random_state=0), waves))
