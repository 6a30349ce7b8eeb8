"""Forest: the marks are at the numbers of the frame, and the numbers are beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from seen import assert_readable

from alliance_stats.render import figures


def test_forest_rows_and_marks_agree(estimates):
    rows = figures.forest_rows(estimates)
    ax = figures.forest(estimates, xlabel="Pain (points)")
    expected = estimates.iloc[1:4]
    np.testing.assert_array_equal(
        rows[["estimate", "conf_low", "conf_high"]], expected[["estimate", "conf_low", "conf_high"]]
    )
    lines, points = ax.collections
    ends = np.array([segment[:, 0] for segment in lines.get_segments()])
    np.testing.assert_array_equal(ends, expected[["conf_low", "conf_high"]])
    np.testing.assert_array_equal(points.get_offsets()[:, 0], expected["estimate"])
    assert np.all(np.diff(points.get_offsets()[:, 1]) > 0)
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first row is on top"
    assert ax.lines[0].get_xdata() == [0, 0]
    assert ax.get_xlabel() == "Pain (points)"
    assert [text.get_text().replace("\n", " ") for text in ax.texts] == rows["numbers"].tolist()


def test_forest_labels(estimates):
    assert figures.forest_rows(estimates)["label"].tolist()[:2] == ["Alliance within", "Arm: exercise"]
    named = figures.forest_rows(estimates, labels={"alliance_within": "Alliance (own change)"})
    assert named["label"].iloc[0] == "Alliance (own change)"
    rows = pd.DataFrame(
        {
            "term": ["indirect"] * 2, "component": "effect", "equation": ["pain", "disability"], "group": "",
            "at": ["arm = a", ""], "estimate": [1.0, 2.0], "conf_low": [0.0, 1.0], "conf_high": [2.0, 3.0],
        }
    )  # fmt: skip
    assert figures.forest_rows(rows)["label"].tolist() == ["Pain: indirect, arm = a", "Disability: indirect"]
    coded = estimates.assign(term=["C(arm, Sum)[S.exercise]", *estimates["term"].iloc[1:]])
    assert figures.forest_rows(coded)["label"].iloc[0] == "Arm: exercise"  # as in tables
    own = figures.forest_rows(estimates, labels={"alliance_within": "sleep"})
    assert own["label"].iloc[0] == "sleep"


def test_a_frame_of_random_rows_alone_is_drawn(estimates):
    assert figures.forest_rows(estimates[estimates.component == "random"])["label"].tolist() == ["sd(Intercept)"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((12.5, 9.5, 15.5), "12.5 [9.5, 15.5]"),
        ((-0.421, -0.711, -0.131), "−0.42 [−0.71, −0.13]"),
        ((-0.11, -0.21, -0.004), "−0.110 [−0.210, −0.004]"),
        ((0.0031, np.nan, np.nan), "0.00310"),
        ((0.5, -np.inf, 1.2), "0.500 [−∞, 1.20]"),
        ((1160.0, 900.0, 1420.0), "1160 [900, 1420]"),
        ((np.nan, np.nan, np.nan), "not estimated"),
    ],
)
def test_numbers_carry_two_digits_of_the_half_width(values, text):
    row = pd.DataFrame([("a", *values)], columns=["term", "estimate", "conf_low", "conf_high"])
    assert figures.forest_rows(row)["numbers"].tolist() == [text]


def test_missing_intervals_are_hollow_and_open_ones_have_an_arrow():
    rows = pd.DataFrame(
        {
            "term": ["a", "b", "c"],
            "estimate": [1.0, 2, 3],
            "conf_low": [0.5, np.nan, -np.inf],
            "conf_high": [1.5, np.nan, 4],
        }
    )
    ax = figures.forest(rows, reference=None)
    _, filled, hollow = ax.collections
    assert filled.get_offsets()[:, 0].tolist() == [1, 3]
    assert hollow.get_offsets()[:, 0].tolist() == [2]
    assert to_hex(hollow.get_facecolors()[0]) == "#ffffff"
    (arrow,) = ax.lines
    assert (arrow.get_marker(), arrow.get_xdata()[0]) == ("<", ax.get_xlim()[0])


def test_forest_with_long_labels_leaves_room_for_the_points(estimates):
    rows = estimates.assign(component="fixed", estimate=-1000.25, conf_low=-2000.5, conf_high=-0.25)
    ax = figures.forest(rows, exclude=())
    assert_readable(ax)
    assert ax.get_position().width > 0.2
    assert round(ax.figure.get_figwidth() * 25.4) == 85


def test_forest_in_low_axes_has_smaller_text(estimates):
    ax = figures.forest(estimates, ax=figures.canvas(85, 35)[0])
    assert 5 <= ax.texts[0].get_fontsize() < 8
    assert_readable(ax)
