"""Files and embedded text: real text, own ids, alternative text, the right width."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pytest

from alliance_stats.errors import DataError
from alliance_stats.render import figures


def test_files_have_real_text_and_their_width(estimates, tmp_path):
    ax = figures.forest(estimates, xlabel="Pain < 3 & more")
    svg = figures.save_figure(ax, tmp_path / "a.svg", width=174)
    root = ElementTree.parse(svg).getroot()
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(174 / 25.4 * 72, abs=0.01)
    assert "Pain < 3 & more" in [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert ax.figure.get_figwidth() * 25.4 == pytest.approx(85, abs=1e-9)
    pdf = figures.save_figure(ax, str(tmp_path / "a.pdf")).read_bytes()
    assert b"/CIDFontType2" in pdf
    png = plt.imread(figures.save_figure(ax, tmp_path / "a.png"))
    assert png.shape[1] == pytest.approx(85 / 25.4 * 300, abs=1)
    with pytest.raises(DataError, match=r"'\.jpg'; use \.svg, \.pdf or \.png"):
        figures.save_figure(ax, tmp_path / "a.jpg")
    with pytest.raises(DataError, match="must be positive"):
        figures.save_figure(ax, tmp_path / "a.png", width=0)


def test_as_svg_stands_alone_in_a_page(curves, raw):
    ax = figures.interaction(curves, raw, x="alliance", by="arm", y="pain", ceiling=7, ylabel='url(#p) id="x" <b>')
    one = figures.as_svg(ax, prefix="one", title="Pain < 3 & more", description='"quoted"')
    two = figures.as_svg(ax, prefix="two")
    assert not re.search(r"<\?xml|<!DOCTYPE|<metadata", one)
    page = ElementTree.fromstring(f"<body>{one}{two}</body>")
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert {name.split("-")[0] for name in ids} == {"one", "two"}
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', re.sub(r">[^<]*<", "><", one)))
    assert used
    assert used <= set(ids)
    svg = page[0]
    assert (svg.get("role"), svg.get("aria-labelledby")) == ("img", "one-title one-desc")
    assert (svg[0].text, svg[1].text) == ("Pain < 3 & more", '"quoted"')
    assert page[1][0].text == 'url(#p) id="x" <b> against alliance'
    assert 'url(#p) id="x" <b>' in [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "*{" not in one.replace("#one *{", "")


@pytest.mark.parametrize("prefix", ["", "1a", "a b", 'a"', "ä"])
def test_a_prefix_that_cannot_be_an_id_is_refused(prefix):
    with pytest.raises(DataError, match="prefix"):
        figures.as_svg(figures.canvas()[0], prefix=prefix)


def test_text_that_would_be_cut_off_gets_a_layout(estimates, tmp_path):
    _, plain = plt.subplots(figsize=(4, 3))
    figures.forest(estimates, ax=plain)
    figure = plain.get_figure()
    assert figure.get_tightbbox().x0 < 0
    first = figures.save_figure(plain, tmp_path / "a.svg").read_bytes()
    box = figure.get_tightbbox()
    assert 0 <= box.x0 < box.x1 <= 4
    assert figures.save_figure(plain, tmp_path / "b.svg").read_bytes() == first


def test_a_layout_of_the_user_that_cuts_nothing_is_left_alone(tmp_path):
    figure, ax = plt.subplots()
    figure.subplots_adjust(left=0.3)
    figures.save_figure(ax, tmp_path / "a.svg")
    assert figure.get_layout_engine() is None
    assert ax.get_position().x0 == pytest.approx(0.3)


def test_every_figure_of_a_notebook_is_shown() -> None:
    """A notebook's backend turns interactive drawing on while the first figure is made; the house look must not undo it."""
    import nbclient
    import nbformat

    notebook = nbformat.v4.new_notebook()
    for source in ("import alliance_stats as al", *["ax = al.figures.canvas()[0]"] * 3):
        notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    shown = ["image/png" in output.get("data", {}) for cell in notebook.cells[1:] for output in cell.outputs]
    assert shown == [True, True, True]
