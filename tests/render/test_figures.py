"""What holds for every figure: readable, reproducible, in the house look, clear in its errors."""

from __future__ import annotations

import re
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from seen import LONG, assert_readable, texts_of

from alliance_stats.errors import DataError
from alliance_stats.render import figures
from alliance_stats.render.style import house, legend_above, text_width, wrap


def draw_all(estimates, raw, curves, means, curve, flow):
    augmented = pd.DataFrame({"fitted": raw["alliance"], "residual": raw["pain"] - raw["pain"].mean()})
    by_arm = means[means.week == 0].drop(columns="week")
    return {
        "forest": lambda ax=None: figures.forest(estimates, ax=ax),
        "residuals": lambda ax=None: figures.residuals(augmented, ax=ax),
        "group_means": lambda ax=None: figures.group_means(by_arm, raw, x="arm", y="pain", ax=ax),
        "group_means_by": lambda ax=None: figures.group_means(means, x="week", by="arm", ax=ax),
        "interaction": lambda ax=None: figures.interaction(
            curves, raw, x="alliance", by="arm", y="pain", ceiling=7, ax=ax
        ),
        "johnson_neyman": lambda ax=None: figures.johnson_neyman(curve, x="alliance", observed=raw["alliance"], ax=ax),
        "participant_flow": lambda ax=None: figures.participant_flow(flow, ax=ax),
    }


NAMES = list(draw_all(*[pd.DataFrame({"week": [0], "alliance": [1], "pain": [1]})] * 6))


@pytest.fixture(params=NAMES)
def draw(request, estimates, raw, curves, means, curve, flow):
    return draw_all(estimates, raw, curves, means, curve, flow)[request.param]


def test_every_text_is_inside_the_figure_and_free(draw):
    assert_readable(draw())


def test_readable_on_given_axes(draw):
    assert_readable(draw(figures.canvas(174, 150)[0]))


def test_readable_side_by_side(draw):
    assert_readable(draw(figures.canvas(2 * 174, 150, columns=2)[1]))


def test_the_given_axes_are_used(draw):
    (ax,) = figures.canvas(174, 150)
    assert draw(ax) is ax
    assert len(plt.get_fignums()) == 1


def test_house_look_without_ax(draw):
    before = dict(mpl.rcParams)
    ax = draw()
    assert dict(mpl.rcParams) == before
    assert ax.get_title() == ""
    assert not ax.axison or not (ax.spines["top"].get_visible() or ax.spines["right"].get_visible())
    assert {text.get_fontsize() for text in texts_of(ax)} == {8.0}


def test_spines_and_sizes_on_foreign_axes(estimates):
    with plt.rc_context({"font.size": 20, "axes.spines.top": True}):
        _, foreign = plt.subplots()
        ax = figures.residuals(pd.DataFrame({"fitted": [1.0, 2], "residual": [0.0, 1]}), ax=foreign)
    assert not ax.spines["top"].get_visible()
    assert {text.get_fontsize() for text in texts_of(ax)} == {8.0}


def test_the_look_does_not_depend_on_the_settings_of_the_user(draw):
    plain = figures.as_svg(draw())
    with plt.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "black", "svg.fonttype": "path"}):
        assert figures.as_svg(draw()) == plain


def test_svg_is_reproducible(draw):
    first, second = draw(), draw()
    svg = figures.as_svg(first)
    assert svg == figures.as_svg(second)
    assert svg == figures.as_svg(first), "a second writing differs"


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_file_bytes_are_reproducible(estimates, tmp_path, kind):
    first, second = figures.forest(estimates), figures.forest(estimates)
    a = figures.save_figure(first, tmp_path / f"a.{kind}").read_bytes()
    assert a == figures.save_figure(second, tmp_path / f"b.{kind}").read_bytes()
    assert a == figures.save_figure(first, tmp_path / f"c.{kind}").read_bytes(), "a second writing differs"
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate|[Mm]atplotlib v?\d", a)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: figures.forest(f),
        lambda f: figures.residuals(f),
        lambda f: figures.group_means(f, x="x"),
        lambda f: figures.interaction(f, x="x", by="by"),
        lambda f: figures.johnson_neyman(f, x="x"),
        lambda f: figures.participant_flow(f),
        lambda f: figures.at_maximum(f, x="x", by="by", ceiling=7),
    ],
)
def test_empty_frames_and_absent_columns_say_so(call):
    names = [
        "term",
        "estimate",
        "conf_low",
        "conf_high",
        "fitted",
        "residual",
        "x",
        "by",
        "significant",
        "stage",
        "arm",
        "n",
        "reason",
    ]
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in names})
    with pytest.raises(DataError, match="no rows"):
        call(empty)
    with pytest.raises(DataError, match="no column"):
        call(pd.DataFrame({"other": [1]}))
    assert not plt.get_fignums(), "no figure is left behind by an error"


def test_forest_with_nothing_left(estimates):
    with pytest.raises(DataError, match=r"no rows are left.*see exclude="):
        figures.forest(estimates.head(1))


def test_names_of_data_are_never_read_as_mathematics_or_hidden():
    names = ["_a", "cost $1 to $2"]
    means = pd.DataFrame({"g": names, "estimate": [1.0, 2], "conf_low": [0.0, 1], "conf_high": [2.0, 3]})
    svg = figures.as_svg(figures.group_means(means, x="g"))
    assert "cost $1 to $2" in svg
    ax = figures.group_means(means.assign(x="x"), x="x", by="g")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "cost $1 to $2"]


def test_wrap_keeps_every_character_and_the_width():
    for text in (LONG, "x" * 90, "13 without 8-week outcome", "a b", ""):
        lines = wrap(text, 60).split("\n")
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert max(map(text_width, lines)) <= 60


def test_legend_entries_keep_a_leading_underscore():
    (ax,) = figures.canvas()
    with house():
        legend_above(ax, ax.plot([0, 1], [0, 1]), ["_hidden"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["_hidden"]


def test_canvas_measures():
    left, right = figures.canvas(174, 60, columns=2)
    assert left.figure is right.figure
    assert [round(v * 25.4) for v in left.figure.get_size_inches()] == [174, 60]
    with pytest.raises(DataError, match="positive"):
        figures.canvas(0)


def test_the_modules_are_imported_without_matplotlib():
    code = "import sys, alliance_stats.render.figures, alliance_stats.data.flow; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
