"""Residuals and group means: every raw point is drawn, beside what summarises it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from seen import ARMS, assert_readable

from alliance_stats.errors import DataError
from alliance_stats.render import figures
from alliance_stats.render.style import LOOKS


def test_running_median_is_the_median_of_the_nearest():
    frame = pd.DataFrame({"fitted": np.arange(40.0), "residual": np.random.default_rng(1).normal(size=40)})
    median = figures.running_median(frame, share=0.25)
    for row in median.itertuples():
        distance = (frame.fitted - row.fitted).abs()
        near = frame.residual[distance <= distance.nsmallest(10).max()]
        assert row.median == near.median()
        assert row.n == len(near)
    shuffled = figures.running_median(frame.sample(frac=1, random_state=2), share=0.25)
    pd.testing.assert_frame_equal(median, shuffled)


def test_residuals_draw_the_points_the_median_and_what_is_missing():
    frame = pd.DataFrame({"fitted": [3.0, 1, 2, np.nan], "residual": [0.5, -1, 0.2, 1]})
    ax = figures.residuals(frame)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), frame.iloc[:3])
    median = figures.running_median(frame)
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), median[["fitted", "median"]])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["residual (n = 3)", "running median", "1 of 4 rows incomplete, not drawn"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("fitted value", "residual")


# group means


def test_group_means_equal_the_frame(means):
    ax = figures.group_means(means, x="week", by="arm", ylabel="Pain (0–10)")
    dots = [c for c in ax.collections if not isinstance(c, LineCollection)]
    for arm, points in zip(ARMS, dots, strict=True):
        part = means[means.arm == arm]
        np.testing.assert_array_equal(points.get_offsets()[:, 1], part["estimate"])
        assert np.round(points.get_offsets()[:, 0]).tolist() == [0, 1, 2]
    segments = [s for c in ax.collections if c not in dots for s in c.get_segments()]
    np.testing.assert_array_equal(sorted(s[0, 1] for s in segments), sorted(means["conf_low"]))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "4", "8"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == list(ARMS)
    assert ax.get_ylabel() == "Pain (0–10)"


def test_groups_differ_by_marker_and_colour(means):
    ax = figures.group_means(means, x="week", by="arm")
    handles = [c for c in ax.collections if not isinstance(c, LineCollection)]
    assert len({to_hex(h.get_facecolors()[0]) for h in handles}) == 2
    assert len({h.get_paths()[0].vertices.shape for h in handles}) == 2
    assert len({str(look.dashes) for look in LOOKS}) == len({look.marker for look in LOOKS}) == len(LOOKS)


def test_every_raw_point_is_drawn_beside_its_mean(means, raw):
    by_arm = means[means.week == 0].drop(columns="week")
    ax = figures.group_means(by_arm, raw, x="arm", y="pain")
    swarm, mean = ax.collections[0], ax.collections[-1]
    drawn = np.asarray(swarm.get_offsets())
    assert sorted(drawn[:, 1]) == sorted(raw["pain"])
    for k, arm in enumerate(ARMS):
        here = drawn[np.round(drawn[:, 0]) == k]
        assert sorted(here[:, 1]) == sorted(raw.pain[raw.arm == arm])
        assert here[:, 0].max() < mean.get_offsets()[k, 0] < k + 0.5
    assert len(np.unique(drawn, axis=0)) == len(drawn), "equal values lie side by side"


def test_raw_points_do_not_depend_on_the_order_of_the_rows(means, raw):
    by_arm = means[means.week == 0].drop(columns="week")
    a = figures.as_svg(figures.group_means(by_arm, raw, x="arm", y="pain"))
    shuffled = raw.sample(frac=1, random_state=3)
    assert figures.as_svg(figures.group_means(by_arm, shuffled, x="arm", y="pain")) == a


def test_group_means_errors(means, raw):
    with pytest.raises(DataError, match="no column 'wek'"):
        figures.group_means(means, x="wek", by="arm")
    with pytest.raises(DataError, match="more than one mean"):
        figures.group_means(means, x="week")
    by_arm = means[means.week == 0]
    with pytest.raises(DataError, match="raw= needs y="):
        figures.group_means(by_arm, raw, x="arm")
    with pytest.raises(DataError, match="'sham'"):
        figures.group_means(by_arm, raw.replace({"arm": {"exercise": "sham"}}), x="arm", y="pain")
    with pytest.raises(DataError, match="column 'estimate' holds 'a'"):
        figures.group_means(by_arm.assign(estimate="a"), x="arm")
    many = pd.DataFrame({"arm": range(9), "week": 0, "estimate": 1.0, "conf_low": 0.0, "conf_high": 2.0})
    with pytest.raises(DataError, match="9 groups"):
        figures.group_means(many, x="week", by="arm")


def test_names_wider_than_their_slot_stand_upright():
    many = pd.DataFrame(
        {"g": [f"physiotherapist_{k}" for k in range(8)], "estimate": 1.0, "conf_low": 0.0, "conf_high": 2.0}
    )
    ax = figures.group_means(many, x="g")
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {90}
    assert_readable(ax)


def test_a_new_figure_grows_where_the_legend_leaves_no_room():
    many = pd.DataFrame(
        {"g": [f"clinic_number_{k}" for k in range(8)], "estimate": 1.0, "conf_low": 0.0, "conf_high": 2.0}
    )
    ax = figures.group_means(many.assign(x=True), x="x", by="g")
    assert_readable(ax)
    assert ax.get_position().height * ax.figure.get_figheight() * 25.4 > 30
    assert [label.get_text() for label in ax.get_xticklabels()] == ["yes"]
