"""Panels: letters, sizes, shared legends, and files of the whole."""

from __future__ import annotations

from functools import partial

import matplotlib.pyplot as plt
import pytest
from drawn import EXAMPLES, estimates, lines
from seen import assert_readable

from alliance_stats.errors import DataError
from alliance_stats.render import figures
from alliance_stats.render.described import alt_text, figure_data
from alliance_stats.render.figure_style import STYLES, figure_style
from alliance_stats.render.panels import panels

FOUR = ["forest", "interaction", "survival", "path_diagram"]
LINES = [partial(figures.interaction, lines(), x="alliance", by="arm", ylabel=name) for name in ("Pain", "Disability")]


def letters_of(figure):
    return [part.get_suptitle() for part in figure.subfigs]


@pytest.mark.parametrize("style", list(STYLES))
def test_panels_are_readable_and_as_wide_as_the_style_says(style):
    with figure_style(style) as chosen:
        figure, axes = panels([EXAMPLES[name] for name in FOUR])
        assert float(figure.get_figwidth()) * 25.4 == pytest.approx(chosen.double)
        for ax in axes:
            assert_readable(ax)
            box = ax.figure.bbox
            figure.draw_without_rendering()
            assert box.x0 - 1 <= ax.get_tightbbox().x0
            assert ax.get_tightbbox().x1 <= box.x1 + 1, "no panel reaches into another"
        assert letters_of(figure) == ["A", "B", "C", "D"]
        title = figure.subfigs[0]._suptitle
        assert title.get_fontsize() == chosen.letter
        assert (title.get_fontweight() == "bold") == chosen.letter_bold
        assert title.get_ha() == {"left": "left", "centre": "center"}[chosen.letter_at]
    assert len(plt.get_fignums()) == 1, "figures drawn for their height are closed"


def test_a_last_row_may_be_shorter_and_one_panel_takes_all_columns():
    figure, axes = panels([EXAMPLES["forest"]] * 3)
    assert len(axes) == 3
    assert len([text for text in letters_of(figure) if text]) == 3
    figure, (ax,) = panels([EXAMPLES["forest"]], width="single", letters=False)
    assert letters_of(figure) == [""]
    assert float(figure.get_figwidth()) * 25.4 == pytest.approx(85)
    assert_readable(ax)


def test_words_and_rows_of_all_panels():
    figure, (a, b) = panels(LINES)
    assert alt_text(figure) == f"Panel A: {alt_text(a)} Panel B: {alt_text(b)}"
    rows = figure_data(figure)
    assert rows.groupby("panel").size().to_dict() == {"A": 50, "B": 50}


def test_a_shared_legend_stands_once_over_all():
    figure, axes = panels(LINES, legend="shared", height=70)
    assert [ax.get_legend() for ax in axes] == [None, None]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["usual care", "exercise"]
    figure.draw_without_rendering()
    lowest = legend.get_window_extent().y0
    assert all(part._suptitle.get_window_extent().y1 <= lowest + 1 for part in figure.subfigs)
    assert float(figure.get_figheight()) * 25.4 == pytest.approx(70)


def test_legends_that_differ_are_not_shared():
    with pytest.raises(DataError, match=r"differ: \['usual care', 'exercise'\] and \['residual"):
        panels([LINES[0], EXAMPLES["residuals"]], legend="shared")
    with pytest.raises(DataError, match="no panel has one"):
        panels([partial(figures.forest, estimates())] * 2, legend="shared")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="0 panels"):
        panels([])
    with pytest.raises(DataError, match="a panel needs 40 mm"):
        panels(LINES * 3, columns=5)
    with pytest.raises(DataError, match="width is 'wide'"):
        panels(LINES, width="wide")


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_files_of_panels_are_reproducible(kind, tmp_path):
    first, second = (panels([EXAMPLES[name] for name in FOUR[1:3]])[0] for _ in range(2))
    a = figures.save_figure(first, tmp_path / f"a.{kind}").read_bytes()
    assert a == figures.save_figure(second, tmp_path / f"b.{kind}").read_bytes()
    assert a == figures.save_figure(first, tmp_path / f"c.{kind}").read_bytes(), "a second writing differs"
