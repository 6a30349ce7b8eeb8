"""Leavers beside stayers: counts by hand, standardised differences from closed forms."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alliance_stats.data.attrition import attrition_counts, attrition_table, standardised_difference
from alliance_stats.data.flow import flow_frame
from alliance_stats.errors import DataError

NAN = np.nan


@pytest.fixture
def trial():
    """A and D stay, B misses week 4, C leaves after week 4, E and F leave at once."""
    return pd.DataFrame(
        {
            "patient": list("ABCDEF"),
            "arm": ["x", "x", "x", "y", "y", "y"],
            "age": [20, 30, 40, 50, 60, NAN],
            "sex": pd.array(["f", "f", "m", "m", "m", None], dtype="str"),
            "pain_4": [1, NAN, 3, 4, NAN, NAN],
            "pain_8": [1, 2, NAN, 4, NAN, NAN],
        }
    )


WAVES = ["pain_4", "pain_8"]


def test_counts(trial):
    assert attrition_counts(trial, WAVES, patient="patient").to_numpy().tolist() == [
        ["all", "pain_4", 6, 3, 1, 2, 2, 2 / 6],
        ["all", "pain_8", 6, 3, 0, 3, 1, 3 / 6],
        ["x", "pain_4", 3, 2, 1, 0, 0, 0.0],
        ["x", "pain_8", 3, 2, 0, 1, 1, 1 / 3],
        ["y", "pain_4", 3, 1, 0, 2, 2, 2 / 3],
        ["y", "pain_8", 3, 1, 0, 2, 0, 2 / 3],
    ]


def test_counts_agree_with_the_participant_flow(trial):
    counts = attrition_counts(trial, {"8 weeks": ["pain_8"]}).query("arm != 'all'")
    flow = flow_frame(trial, "arm", {"8 weeks": ["pain_8"]}, patient="patient").query("stage == '8 weeks'")
    assert counts["answered"].tolist() == flow["n"].tolist()
    with pytest.raises(DataError, match="flow_frame: key 'arm' occurs more than once"):
        flow_frame(trial, "arm", {"8 weeks": ["pain_8"]}, patient="arm")


def test_standardised_differences_by_hand(trial):
    """Week 8, everyone: A, B, D stay (20, 30, 50), C, E, F leave (40, 60, unknown).

    Means 100/3 and 50; variances 700/3 and 200; d = (50 − 100/3)/√((700/3 + 200)/2) = 1.13228…
    Shares of men 1/3 and 1; d = (1 − 1/3)/√((2/9 + 0)/2) = 2.
    """
    table = attrition_table(trial, WAVES, ["age", "sex"]).query("arm == 'all' and wave == 'pain_8'")
    age, women, men = table.itertuples()
    assert (age.stayed, age.left, age.known_stayed, age.known_left) == (3, 3, 3, 2)
    assert (age.mean_stayed, age.mean_left) == pytest.approx((100 / 3, 50), rel=1e-15)
    assert (age.sd_stayed, age.sd_left) == pytest.approx((math.sqrt(700 / 3), math.sqrt(200)), rel=1e-14)
    assert age.standardised_difference == pytest.approx((50 / 3) / math.sqrt(1300 / 6), rel=1e-14)
    assert (men.level, men.mean_stayed, men.mean_left, men.known_left) == ("m", pytest.approx(1 / 3), 1.0, 2)
    assert men.standardised_difference == pytest.approx(2, rel=1e-14)
    assert women.standardised_difference == pytest.approx(-2, rel=1e-14)


def test_a_printed_example():
    """Austin 2009: means 55 and 50 with SDs 6 and 8 differ by 5/√50 = 1/√2 standard deviations."""
    assert standardised_difference((55, 6), (50, 8)) == pytest.approx(1 / math.sqrt(2), rel=1e-15)


def test_what_cannot_be_computed_is_missing(trial):
    table = attrition_table(trial, WAVES, ["age"])
    nobody_left = table.query("arm == 'x' and wave == 'pain_4'").iloc[0]
    assert (nobody_left["left"], nobody_left["known_left"]) == (0, 0)
    assert np.isnan([nobody_left["mean_left"], nobody_left["standardised_difference"]]).all()
    one = table.query("arm == 'x' and wave == 'pain_8'").iloc[0]
    assert one["mean_left"] == 40
    assert math.isnan(one["sd_left"])
    assert math.isnan(one["standardised_difference"])


def test_no_spread():
    frame = pd.DataFrame({"same": [0.1] * 6, "other": [1.0, 1, 1, 2, 2, 2], "y": [1, 1, 1, NAN, NAN, NAN]})
    found = attrition_table(frame, ["y"], ["same", "other"], by=None)["standardised_difference"]
    assert found.iloc[0] == 0
    assert math.isnan(found.iloc[1])


def test_levels_are_those_that_occur_in_their_order(trial):
    ordered = trial.assign(sex=pd.Categorical(trial["sex"], ["m", "f", "x"]), smoker=[True, False] * 3)
    table = attrition_table(ordered, ["pain_8"], ["sex", "smoker"], by=None)
    assert table[["variable", "level"]].to_numpy().tolist() == [
        ["sex", "m"], ["sex", "f"], ["smoker", "False"], ["smoker", "True"],
    ]  # fmt: skip


def test_a_long_frame(trial):
    long = trial.melt(["patient", "arm", "age", "sex"], WAVES, "wave", "pain")
    found = attrition_table(long, ["pain"], ["age", "sex"], patient="patient", time="wave")
    pd.testing.assert_frame_equal(found, attrition_table(trial, WAVES, ["age", "sex"]))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"baseline": "age"}, "baseline='age'; give a list of columns"),
        ({}, {"baseline": []}, "give a list of columns"),
        ({}, {"baseline": ["agee"]}, r"no column 'agee' \(did you mean 'age'\?\)"),
        ({}, {"baseline": ["arm"]}, "'arm' is both the arm and a characteristic"),
        ({"age": [1, 2, 3, 4, 5, np.inf]}, {}, "column 'age' holds an infinite value"),
        ({"age": pd.Timestamp("2020-01-01")}, {}, "column 'age' holds dates; turn them into numbers"),
        ({"patient": "A"}, {"patient": "patient"}, "key 'patient' occurs more than once in 6 rows"),
    ],
)
def test_errors(trial, change, options, message):
    with pytest.raises(DataError, match=message):
        attrition_table(trial.assign(**change), WAVES, **{"baseline": ["age"], **options})


_ages = st.lists(st.tuples(st.integers(18, 90), st.booleans()), min_size=4, max_size=20)


@settings(deadline=None, max_examples=50)
@given(rows=_ages, shift=st.integers(-5, 5), scale=st.sampled_from([0.5, 2.0, 12.0]))
def test_units_do_not_matter_and_sides_change_the_sign(rows, shift, scale):
    age = np.array([age for age, _ in rows], dtype=float)
    left = np.array([gone for _, gone in rows])
    assume(left.sum() >= 2 and (~left).sum() >= 2)

    def difference(values, gone):
        frame = pd.DataFrame({"age": values, "y": np.where(gone, NAN, 1.0)})
        return attrition_table(frame, ["y"], ["age"], by=None)["standardised_difference"].iloc[0]

    d = difference(age, left)
    assert difference(scale * age + shift, left) == pytest.approx(d, rel=1e-9, abs=1e-12, nan_ok=True)
    assert difference(age, ~left) == pytest.approx(-d, rel=1e-12, abs=1e-12, nan_ok=True)
