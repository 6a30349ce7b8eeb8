from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from scipy import stats

from alliance_stats.data.describe import describe
from alliance_stats.errors import DataError


@pytest.fixture
def trial():
    return pd.DataFrame(
        {
            "arm": ["MCE", "GE", "GE", None, "MCE", "GE"],
            "week": [1, 1, 2, 1, 2, 2],
            "wai": [60, 48, 60, 55, None, 51],
            "done": [True, False, True, True, True, False],
        }
    )


def test_by_hand():
    row = describe(pd.DataFrame({"x": [1.0, 2.0, 6.0, None]})).iloc[0]
    # Mean 3; deviations −2, −1, 3; s² = 14/2; G1 = 3/(2·1) · (−8 − 1 + 27)/7^1.5.
    assert row["variable"] == "x"
    assert (row["n"], row["missing"], row["mean"], row["minimum"], row["maximum"]) == (3, 1, 3, 1, 6)
    assert row["sd"] == pytest.approx(math.sqrt(7), rel=1e-14)
    assert row["skew"] == pytest.approx(1.5 * 18 / 7**1.5, rel=1e-14)
    assert row["at_maximum"] == pytest.approx(1 / 3, rel=1e-15)
    assert row["scale_maximum"] == 6


def test_columns_of_the_table(trial):
    table = describe(trial, by=["arm", "week"])
    assert list(table.columns) == [
        "variable", "arm", "week", "n", "missing", "mean", "sd", "skew", "minimum", "maximum", "at_maximum",
        "scale_maximum",
    ]  # fmt: skip
    assert str(table["n"].dtype) == str(table["missing"].dtype) == "int64"


def test_groups_are_sorted_and_rows_without_a_group_are_kept(trial):
    table = describe(trial, by="arm", columns="wai", maximum={"wai": 60})
    assert table["arm"].tolist() == ["GE", "MCE", "(missing)"]
    assert table["n"].tolist() == [3, 1, 1]
    assert table["missing"].tolist() == [0, 1, 0]
    assert table["n"].sum() + table["missing"].sum() == len(trial)
    np.testing.assert_allclose(table["at_maximum"], [1 / 3, 1, 0], rtol=1e-15)


def test_categories_keep_their_order(trial):
    trial["arm"] = pd.Categorical(trial["arm"], categories=["MCE", "none", "GE"])
    assert describe(trial, by="arm", columns="wai")["arm"].tolist() == ["MCE", "GE", "(missing)"]


def test_two_groupers_with_missing_labels(trial):
    trial.loc[0, "week"] = np.nan
    table = describe(trial, by=["arm", "week"], columns=["wai"])
    labels = list(table[["arm", "week"]].itertuples(index=False, name=None))
    assert labels == [("GE", 1), ("GE", 2), ("MCE", 2), ("MCE", "(missing)"), ("(missing)", 1)]
    assert (table["n"] + table["missing"]).tolist() == [1, 2, 1, 1, 1]


def test_numeric_columns_are_chosen_and_logical_ones_are_not(trial):
    assert describe(trial)["variable"].tolist() == ["week", "wai"]
    assert describe(trial, by="week")["variable"].tolist() == ["wai", "wai"]


def test_the_scale_maximum_is_shared_by_the_groups(trial):
    table = describe(trial, by="week", columns="wai")
    assert table["maximum"].tolist() == [60, 60]
    observed = describe(trial[trial["wai"] != 60], by="week", columns="wai")
    assert observed["maximum"].tolist() == [55, 51]
    assert observed["scale_maximum"].tolist() == [55, 55]
    declared = describe(trial, columns="wai", maximum={"wai": 63})
    assert declared["at_maximum"].tolist() == [0]
    assert declared["scale_maximum"].tolist() == [63]


def test_a_full_score_that_was_made_by_division_is_full():
    below, above = 4.35 * 100, 0.1 * 3 * 1000 + 135
    assert below < 435 < above
    row = describe(pd.DataFrame({"x": [below, above, 434.9]}), maximum={"x": 435}).iloc[0]
    assert row["at_maximum"] == pytest.approx(2 / 3, rel=1e-15)


def test_too_few_values():
    table = describe(pd.DataFrame({"none": [np.nan, np.nan], "one": [1, np.nan], "two": [1.0, 2.0]}))
    assert table["n"].tolist() == [0, 1, 2]
    assert table["sd"].isna().tolist() == [True, True, False]
    assert table["skew"].isna().all()
    assert table["at_maximum"].isna().tolist() == [True, False, False]


def test_no_spread_has_no_skew():
    row = describe(pd.DataFrame({"x": [0.1] * 7})).iloc[0]
    assert row["sd"] == 0
    assert math.isnan(row["skew"])


def test_nullable_columns():
    table = describe(pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64")}))
    assert table.loc[0, ["n", "missing", "mean"]].tolist() == [1 + 1, 1, 2]


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (
            {"by": "Arm"},
            "by=: no column 'Arm' (did you mean 'arm'?)",
        ),
        ({"columns": ["wai", "x"]}, "columns=: no column 'x'"),
        ({"columns": "wai", "maximum": {"week": 8}}, "maximum=: no column 'week'"),
        ({"columns": "arm"}, "'arm' not numeric"),
        ({"columns": "done"}, "'done' not numeric"),
        ({"maximum": {"wai": 55}}, "column 'wai' holds 60, above the maximum 55"),
        ({"by": ["arm", "arm"]}, "duplicated column names: 'arm'"),
    ],
)
def test_refusals(trial, options, fragment):
    with pytest.raises(DataError) as caught:
        describe(trial, **options)
    assert fragment in str(caught.value)


def test_refused_frames(trial):
    with pytest.raises(DataError, match="column 'wai' holds an infinite value"):
        describe(trial.assign(wai=np.inf))
    with pytest.raises(DataError, match="no numeric column"):
        describe(trial[["arm"]])
    with pytest.raises(DataError, match="no rows"):
        describe(trial.iloc[:0])
    with pytest.raises(DataError, match="by='n' is a column of the answer"):
        describe(trial.rename(columns={"arm": "n"}), by="n")


_scores = st.lists(st.integers(-1000, 1000).map(lambda tenth: tenth / 10), min_size=3, max_size=30)


@settings(deadline=None)
@given(values=_scores)
def test_skew_is_the_one_of_scipy(values):
    assume(len(set(values)) > 1)
    row = describe(pd.DataFrame({"x": values})).iloc[0]
    # A few additions apart: 1e-9 is far above rounding and far below any other definition of skewness.
    assert row["skew"] == pytest.approx(stats.skew(values, bias=False), rel=1e-9, abs=1e-9)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)


_grouped = st.lists(
    st.tuples(st.sampled_from(["GE", "MCE", None]), st.integers(0, 60) | st.none()), min_size=1, max_size=20
)


@settings(deadline=None)
@given(data=st.data(), rows=_grouped)
def test_row_order_does_not_matter_to_the_last_bit(data, rows):
    arms, scores = zip(*rows, strict=True)
    frame = pd.DataFrame({"arm": pd.array(arms, dtype="str"), "wai": np.array(scores, dtype="float64") / 7})
    order = data.draw(st.permutations(range(len(rows))))
    assert_frame_equal(describe(frame.iloc[order], by="arm"), describe(frame, by="arm"), check_exact=True)


@settings(deadline=None)
@given(values=_scores, scale=st.sampled_from([0.01, 0.5, 10, 1e6]), shift=st.integers(-100, 100))
def test_a_change_of_units(values, scale, shift):
    assume(len(set(values)) > 1)
    plain = describe(pd.DataFrame({"x": values}), maximum={"x": 100}).iloc[0]
    moved = describe(pd.DataFrame({"x": np.multiply(values, scale) + shift}), maximum={"x": 100 * scale + shift}).iloc[
        0
    ]
    # Up to 1e5 units of the last place are lost where the shift is large beside the spread.
    size = 1e-9 * (abs(shift) + 100 * scale)
    for name in ("mean", "minimum", "maximum", "scale_maximum"):
        assert moved[name] == pytest.approx(plain[name] * scale + shift, rel=1e-9, abs=size)
    assert moved["sd"] == pytest.approx(plain["sd"] * scale, rel=1e-9, abs=size)
    assert moved["skew"] == pytest.approx(plain["skew"], rel=1e-6, abs=1e-6)
    assert (moved["n"], moved["missing"], moved["at_maximum"]) == (
        plain["n"],
        plain["missing"],
        plain["at_maximum"],
    )
