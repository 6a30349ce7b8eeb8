"""Interactions and Johnson–Neyman: lines, bands, points, regions and the scale's maximum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from seen import ARMS, assert_readable, boxes_of

from alliance_stats.errors import DataError
from alliance_stats.render import figures


def test_interaction_lines_bands_and_points(curves, raw):
    ax = figures.interaction(curves, raw, x="alliance", by="arm", y="pain", ceiling=7, xlabel="Alliance (1–7)")
    for (arm, part), line, band in zip(curves.groupby("arm", sort=False), ax.lines, ax.collections, strict=False):
        np.testing.assert_array_equal(line.get_xydata(), part[["alliance", "fitted"]])
        edges = band.get_paths()[0].vertices
        assert edges[:, 1].min() == part["conf_low"].min()
        assert arm in ARMS
    assert len({line.get_linestyle() for line in ax.lines[:2]} | {str(ax.lines[1]._unscaled_dash_pattern)}) >= 2
    drawn = np.vstack([cloud.get_offsets() for cloud in ax.collections[2:]])
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, raw[["alliance", "pain"]].to_numpy().tolist()))
    assert ax.lines[2].get_xdata() == [7, 7]
    assert ax.texts[0].get_text() == "scale maximum (7)"


def test_share_at_the_maximum_is_told_by_group(curves):
    raw = pd.DataFrame(
        {"alliance": [7, 7, 5, 3, 7, 4.0, 5, np.nan], "arm": ["exercise"] * 4 + ["usual care"] * 4, "pain": 1.0}
    )
    shares = figures.at_maximum(raw, x="alliance", by="arm", ceiling=7)
    assert shares["share"].tolist() == [0.5, 1 / 3]
    assert shares["n"].tolist() == [4, 3]
    ax = figures.interaction(curves, raw, x="alliance", by="arm", y="pain", ceiling=7)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["usual care (33 % at maximum)", "exercise (50 % at maximum)", "1 of 8 rows incomplete, not drawn"]


def test_the_legend_and_the_ceiling_keep_clear_of_the_data(curves, raw):
    ax = figures.interaction(curves, raw, x="alliance", by="arm", y="pain", ceiling=7)
    boxes = boxes_of(ax)
    renderer = ax.figure.canvas.get_renderer()
    assert ax.get_legend().get_window_extent(renderer).y0 >= ax.get_window_extent(renderer).y1
    right_of_data = ax.transData.transform((7, 0))[0]
    assert boxes[ax.texts[0]].x0 > right_of_data


def test_interaction_errors(curves, raw):
    with pytest.raises(DataError, match=r"ceiling=6, but column 'alliance' goes up to 7"):
        figures.interaction(curves, x="alliance", by="arm", ceiling=6)
    with pytest.raises(DataError, match="'sham'"):
        figures.interaction(curves, raw.assign(arm="sham"), x="alliance", by="arm", y="pain")
    with pytest.raises(DataError, match="raw= needs y="):
        figures.interaction(curves, raw, x="alliance", by="arm")


# Johnson–Neyman


def test_johnson_neyman_marks_the_significant_region(curve):
    regions = figures.significant_regions(curve, "alliance")
    expected = curve.alliance[curve.significant]
    assert regions.to_numpy().tolist() == [[expected.min(), expected.max()]]
    ax = figures.johnson_neyman(curve, x="alliance", ylabel="Effect")
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (expected.min(), expected.max())
    assert ax.lines[0].get_xdata().tolist() == [expected.min(), expected.max()]
    np.testing.assert_array_equal(ax.lines[2].get_xydata(), curve[["alliance", "estimate"]])
    assert "interval excludes 0: 4.00 to 7.00" in ax.get_legend().get_texts()[1].get_text().replace("\n", " ")


def test_johnson_neyman_with_two_given_regions_and_a_rug(curve):
    regions = pd.DataFrame({"low": [2.0, 6.0], "high": [3.0, 7.0], "share": [0.1, 0.25]})
    ax = figures.johnson_neyman(curve, regions, x="alliance", observed=[2, 3.5, np.nan, 6.5, 7])
    assert len(ax.patches) == 2
    assert ax.lines[-1].get_xdata().tolist() == [2, 3.5, 6.5, 7]
    text = ax.get_legend().get_texts()[1].get_text().replace("\n", " ")
    assert text == "interval excludes 0: 2.00 to 3.00 (10 % of 4 values) and 6.00 to 7.00 (25 % of 4 values)"
    assert_readable(ax)


def test_johnson_neyman_without_a_region_says_so(curve):
    ax = figures.johnson_neyman(curve.assign(significant=False), x="alliance")
    assert not ax.patches
    assert "includes 0 everywhere" in ax.get_legend().get_texts()[1].get_text().replace("\n", " ")
    with pytest.raises(DataError, match="True or False"):
        figures.johnson_neyman(curve.assign(significant=0.5), x="alliance")
