"""Styles: what they set, where they hold, and what they refuse."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from drawn import EXAMPLES, estimates
from matplotlib.collections import PathCollection
from matplotlib.font_manager import findfont

from alliance_stats.errors import DataError
from alliance_stats.render import figures
from alliance_stats.render.figure_style import SHIPPED, STYLES, FigureStyle, figure_style, style_in_use, text_size
from alliance_stats.render.style import LOOKS
from alliance_stats.render.wrapping import text_width, wrap


@pytest.fixture(autouse=True)
def _as_it_was():
    before = style_in_use()
    yield
    before.use()


def test_a_style_holds_in_its_block_and_blocks_nest():
    with figure_style("slides"):
        assert text_size() == 12
        with figure_style("apa"):
            assert text_size() == 9
        assert text_size() == 12
    assert text_size() == 8


def test_a_style_ends_with_its_block_also_after_an_error():
    with pytest.raises(DataError), figure_style("slides"):
        figures.forest(pd.DataFrame({"term": []}))
    assert style_in_use().name == "ptj"


def test_use_is_for_good_and_blocks_go_before_it():
    figure_style("apa").use()
    assert text_size() == 9
    with figure_style("slides"):
        assert text_size() == 12
    assert text_size() == 9


def test_a_style_is_a_decorator():
    @figure_style("apa")
    def draw():
        return figures.residuals(pd.DataFrame({"fitted": [1.0, 2, 3], "residual": [0.1, -0.2, 0.0]}))

    assert draw().xaxis.label.get_fontsize() == 9
    assert text_size() == 8


@pytest.mark.parametrize("name", list(STYLES))
def test_styles_leave_matplotlib_alone(name):
    before = dict(mpl.rcParams)
    with figure_style(name):
        EXAMPLES["residuals"]()
        assert dict(mpl.rcParams) == before


def test_the_journal_widths():
    assert {name: (style.single, style.double) for name, style in STYLES.items()} == {
        "ptj": (85, 174), "apa": (85, 174), "slides": (112, 230),
    }  # fmt: skip
    with figure_style("ptj", single=174):
        tall, across = (float(side) * 25.4 for side in EXAMPLES["residuals"]().figure.get_size_inches()[::-1])
    assert across == pytest.approx(174)
    assert tall < 140, "twice the width is not twice the height"


def test_what_is_no_style_is_refused():
    with pytest.raises(DataError, match="no style 'nature'; there are ptj, apa, slides"):
        figure_style("nature")
    with pytest.raises(DataError, match="no field 'colour'"):
        figure_style("ptj", colour="red")
    with pytest.raises(DataError, match="6 points or more"):
        figure_style("ptj", text=5)
    with pytest.raises(DataError, match="positive"):
        figure_style("ptj", single=0)
    with pytest.raises(DataError, match="Arial"):
        figure_style("ptj", font="Arial")
    with pytest.raises(DataError, match="letter_at"):
        FigureStyle("own", letter_at="below")


@pytest.mark.parametrize("font", SHIPPED)
def test_fonts_come_with_matplotlib(font):
    assert mpl.get_data_path() in findfont(font, fallback_to_default=False)
    with figure_style("ptj", font=font):
        svg = figures.as_svg(EXAMPLES["forest"]())
    assert f"'{font}'" in svg or f'"{font}"' in svg or f"{font}," in svg


def test_widths_of_text_are_those_of_the_style():
    plain = text_width("alliance")
    with figure_style("ptj", text=16):
        assert text_width("alliance") == pytest.approx(2 * plain, rel=0.02)
        assert wrap("working alliance", 80) == "working\nalliance"
    assert wrap("working alliance", 80) == "working alliance"


def test_what_stands_in_brackets_stays_together_where_it_fits():
    assert wrap("interval excludes 0 (13 of 18)", 110) == "interval excludes 0\n(13 of 18)"
    assert wrap("outside (13 of 18)", 30) == "outside\n(13 of\n18)"


def test_lines_and_marks_are_heavier_on_slides():
    ax = EXAMPLES["residuals"]()
    with figure_style("slides"):
        heavy = EXAMPLES["residuals"]()
    for one, two in zip(ax.lines, heavy.lines, strict=True):
        assert two.get_linewidth() == pytest.approx(1.5 * one.get_linewidth())
    one, two = (next(c for c in a.collections if isinstance(c, PathCollection)) for a in (ax, heavy))
    np.testing.assert_allclose(two.get_sizes(), 2.25 * one.get_sizes())
    assert heavy.spines["left"].get_linewidth() == pytest.approx(0.9)


def test_what_was_on_the_axes_keeps_its_weight():
    with figure_style("slides"):
        (ax,) = figures.canvas()
        (mine,) = ax.plot([0, 1], [0, 1], linewidth=2)
        figures.forest(estimates(), ax=ax)
        assert mine.get_linewidth() == 2


def test_no_two_groups_share_a_colour_a_marker_or_a_line():
    for values in (
        [look.colour for look in LOOKS],
        [look.marker for look in LOOKS],
        [str(look.dashes) for look in LOOKS],
    ):
        assert len(set(values)) == len(LOOKS)
