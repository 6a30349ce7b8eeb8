"""Every figure of al.figures: alternative text and rows kept with it, the style obeyed, files that a journal takes."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pypdf
import pytest
from drawn import EXAMPLES, averages, courses, estimates, figure_names, first, lines, mediation, patients
from matplotlib.text import Text
from PIL import Image
from seen import assert_readable, texts_of

from alliance_stats.errors import DataError
from alliance_stats.render import figures
from alliance_stats.render.described import alt_text, figure_data
from alliance_stats.render.figure_style import STYLES, figure_style

STYLE_NAMES = list(STYLES)


@pytest.fixture(params=figure_names())
def name(request):
    assert request.param in EXAMPLES, f"give al.figures.{request.param} an example in drawn.py"
    return request.param


def test_the_examples_are_those_of_the_figures():
    assert sorted(EXAMPLES) == figure_names()


def test_every_figure_says_what_it_shows(name):
    ax, again = first(EXAMPLES[name]()), first(EXAMPLES[name]())
    words = alt_text(ax)
    assert words == alt_text(again)
    assert words.endswith(".")
    assert words[0].isupper() or words[0].isdigit()
    assert 40 < len(words) < 1200
    assert re.search(r"\d", words), "no number"
    assert not re.search(r"\d\.\d{4,}|nan|None|\[T\.|  ", words), words
    assert "_" not in words


def test_every_figure_keeps_its_rows(name):
    drawn = EXAMPLES[name]()
    for ax in drawn if isinstance(drawn, tuple) else (drawn,):
        rows = figure_data(ax)
        assert len(rows)
        assert len(set(rows.columns)) == rows.shape[1]
        assert rows.select_dtypes("number").shape[1]
        rows.iloc[0, 0] = rows.iloc[-1, 0]
        assert figure_data(ax) is not rows
    assert len(figure_data(ax.get_figure(root=True)))


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_every_figure_obeys_the_style(name, style):
    with figure_style(style) as chosen:
        ax = first(EXAMPLES[name]())
        assert_readable(ax)
        sizes = {round(text.get_fontsize(), 6) for text in texts_of(ax)}
        assert sizes <= {chosen.text, chosen.text - 1}
        assert all(text.get_fontsize() >= 6 for text in ax.findobj(Text) if text.get_text())
        assert (len(sizes) == 1) == (name != "sensitivity_contours")
        across = float(ax.get_figure(root=True).get_figwidth()) * 25.4
        assert min(abs(across - chosen.single), abs(across - chosen.double)) < 0.01


def test_every_svg_has_its_words_and_text_that_is_text(name, tmp_path):
    ax = first(EXAMPLES[name]())
    path = figures.save_figure(ax, tmp_path / "a.svg")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}desc").text == alt_text(ax.get_figure(root=True))
    assert root.find(f"{space}title").text
    assert root.get("role") == "img"
    assert len(list(root.iter(f"{space}text"))) >= len(texts_of(ax)) / 2


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
@pytest.mark.parametrize("chosen", ["path_diagram", "interaction", "caterpillars"])
def test_the_same_figure_has_the_same_bytes_and_no_date(chosen, kind, tmp_path):
    one, two = (first(EXAMPLES[chosen]()) for _ in range(2))
    a = figures.save_figure(one, tmp_path / f"a.{kind}").read_bytes()
    assert a == figures.save_figure(two, tmp_path / f"b.{kind}").read_bytes()
    assert a == figures.save_figure(one, tmp_path / f"a.{kind}").read_bytes(), "a second writing differs"
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate|[Mm]atplotlib v?\d", a)


@pytest.mark.parametrize("chosen", ["forest", "path_diagram", "participant_flow", "survival", "sensitivity_contours"])
def test_a_pdf_embeds_its_fonts_and_carries_the_words(chosen, tmp_path):
    ax = first(EXAMPLES[chosen]())
    reader = pypdf.PdfReader(figures.save_figure(ax, tmp_path / "a.pdf"))
    assert reader.metadata["/Subject"] == alt_text(ax.get_figure(root=True))
    assert "/CreationDate" not in reader.metadata
    fonts = [font.get_object() for font in reader.pages[0]["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
        assert "DejaVuSans" in inner["/BaseFont"]
        assert "/FontFile2" in inner["/FontDescriptor"], "TrueType, embedded"


def test_a_png_has_300_dots_an_inch_and_carries_the_words(tmp_path):
    ax = figures.forest(estimates())
    with Image.open(figures.save_figure(ax, tmp_path / "a.png")) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert image.size[0] == pytest.approx(85 / 25.4 * 300, abs=1)
        assert image.text["Description"] == alt_text(ax)


def test_rows_and_words_are_written_beside_the_figure(tmp_path):
    ax = figures.interaction(lines(), patients(), x="alliance", by="arm", y="pain_week_8")
    figures.save_figure(ax, tmp_path / "a.svg", data=True, alt=True)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), figure_data(ax), check_exact=True)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == alt_text(ax) + "\n"
    with pytest.raises(DataError, match=r"no function of al\.figures"):
        figures.save_figure(figures.canvas()[0], tmp_path / "b.svg", data=True)
    assert not (tmp_path / "b.svg").exists()


def test_layers_are_the_frames_that_were_given():
    ax = figures.interaction(lines(), patients(), x="alliance", by="arm", y="pain_week_8")
    rows = figure_data(ax)
    curve = rows[rows["layer"] == "curve"]
    np.testing.assert_array_equal(curve[["alliance", "fitted"]], lines()[["alliance", "fitted"]])
    observed = rows[rows["layer"] == "observed"]
    np.testing.assert_array_equal(observed["pain_week_8"], patients()["pain_week_8"])
    assert "patient" not in rows, "only columns that are drawn"


def test_only_patients_that_are_drawn_are_kept():
    ax = figures.trajectories(lines("week", 0, 5), courses(), x="week", y="pain", by="arm", most=10)
    assert figure_data(ax)["line"].nunique() == 10
    assert "the courses of 10 of 90 patients" in alt_text(ax)


def test_numbers_of_the_words_are_those_of_the_frame():
    words = alt_text(figures.forest(estimates(), xlabel="Pain", reference=None))
    assert words == (
        "Forest plot of 4 estimates of Pain with their intervals. Alliance within: −0.21 [−0.51, 0.09]; Alliance between: "
        "−0.82 [−1.12, −0.52]; Arm: exercise: −1.14 [−1.44, −0.84]; Week × arm: exercise: −0.32 [−0.62, −0.02]."
    )
    words = alt_text(figures.group_means(averages(), x="week", by="arm", ylabel="Pain"))
    assert words.startswith(
        "Means of Pain by week and arm, with intervals. 0, usual care: 6.20 [5.70, 6.70]; 0, exercise"
    )


def test_a_line_added_to_a_figure_is_told_too():
    ax = EXAMPLES["reference_hazard"]()
    assert alt_text(ax).startswith("Hazard of leaving with intervals")
    assert alt_text(ax).endswith("A dotted line at 0.06: printed hazard, .06.")
    assert figure_data(ax).query("layer == 'reference'")["value"].tolist() == [0.06]
    bare = figures.reference_hazard(figures.canvas()[0], 0.5, "half")
    assert alt_text(bare) == "A dotted line at 0.5: half."


def test_axes_that_nothing_drew_have_no_words():
    with pytest.raises(DataError, match=r"alt_text: no function of al\.figures"):
        alt_text(plt.subplots()[1])
    with pytest.raises(DataError, match=r"figure_data: no function of al\.figures"):
        figure_data(plt.figure())


def test_a_path_diagram_says_how_intervals_were_made_in_words():
    assert EXAMPLES["path_diagram"]().texts[-1].get_text().endswith("intervals: delta method")
    mixed = mediation().assign(interval=lambda d: np.where(d["component"] == "path", "t", "monte-carlo"))
    told = figures.path_diagram(mixed, exposure="arm", ax=figures.canvas(174)[0]).texts[-1].get_text()
    assert told.endswith("intervals: t distribution (arrows), Monte Carlo (effects)")


def test_a_path_diagram_is_saved_as_it_is_drawn(tmp_path):
    """Writing must not give the axes, which are all of the figure, the place that a layout would."""
    ax = EXAMPLES["path_diagram"]()
    figures.save_figure(ax, tmp_path / "a.png")
    assert ax.get_position().bounds == (0, 0, 1, 1)
    assert_readable(ax)


def test_the_gallery_page_names_every_figure(name):
    page = (Path(__file__).parents[2] / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page
    assert f"al.figures.{name}(" in page


def test_the_gallery_notebook_draws_every_figure(name):
    notebook = json.loads((Path(__file__).parents[2] / "notebooks" / "90_gallery.ipynb").read_text(encoding="utf-8"))
    code = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert re.search(rf"al\.figures\.{name}\b", code)
