"""Texts, tables and figures in one file: in their order, escaped, with alternative texts, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.models.linear import LinearModel
from alliance_stats.render import figures
from alliance_stats.result import Result
from alliance_stats.tables.document import write_document
from alliance_stats.tables.models import table


@pytest.fixture
def fit() -> Result:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"alliance": rng.normal(size=40), "pain": rng.normal(size=40)})
    return LinearModel("pain ~ alliance").fit(data)


def test_a_document_holds_its_parts_in_their_order(fit: Result, tmp_path: Path) -> None:
    from docx import Document

    forest = figures.forest(fit.tidy())
    parts = ("# Results", "Alliance < pain & more.", table(fit, title="Pain"), forest, "Figure 1. Estimates.")
    file = write_document(tmp_path / "results.docx", *parts)
    document = Document(str(file))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts[0] == "Results"
    assert document.paragraphs[0].style.name == "Heading 1"
    assert texts[1] == "Alliance < pain & more."
    assert texts[-1] == "Figure 1. Estimates."
    assert "Alliance" in [row.cells[0].text.strip() for row in document.tables[0].rows]
    (picture,) = document.inline_shapes
    assert abs(picture.width.mm - forest.get_figure(root=True).get_size_inches()[0] * 25.4) < 0.1
    assert "alliance" in picture._inline.docPr.get("descr").lower()
    assert file.read_bytes() == write_document(tmp_path / "again.docx", *parts).read_bytes()


def test_a_page_is_escaped_and_shows_its_parts(fit: Result, tmp_path: Path) -> None:
    parts = ("# <script>alert(1)</script>", "a < b", table(fit), figures.forest(fit.tidy()))
    file = write_document(tmp_path / "results.html", *parts)
    page = file.read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.index("a &lt; b") < page.index("<table") < page.index("<svg")
    assert file.read_bytes() == write_document(tmp_path / "again.html", *parts).read_bytes()


def test_other_files_and_parts_are_refused(fit: Result, tmp_path: Path) -> None:
    with pytest.raises(AllianceError, match=r"ends in '\.doc'; use \.docx or \.html"):
        write_document(tmp_path / "results.doc", "Results")
    with pytest.raises(AllianceError, match="part 2 is a Result; give texts, tables"):
        write_document(tmp_path / "results.docx", "Results", fit)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
