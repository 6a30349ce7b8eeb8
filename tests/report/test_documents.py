"""Reports as docx, pdf and md, read again by other programs' readers."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

import alliance_stats as al
from alliance_stats.errors import AllianceError
from alliance_stats.report.sections import sections

NASTY = "<script>alert(1)</script> *x* $y$ #z @w [l](http://e.org) `c` \\input{a} | b"


@pytest.fixture(scope="module")
def run():
    run = al.studies["fuentes2014"].run()
    study = replace(run.study, question=NASTY, cautions=(NASTY,), labels={**run.study.labels, "pain": NASTY})
    return replace(run, study=study)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for suffix in ("docx", "pdf", "md"):
        assert run.report(folder / f"r.{suffix}") == folder / f"r.{suffix}"
    return folder


def blocks(run):
    return [block for section in sections(run) for block in section.blocks]


def test_docx_holds_every_heading_table_and_figure(run, folder):
    import docx

    document = docx.Document(str(folder / "r.docx"))
    headings = [p.text for p in document.paragraphs if p.style.name == "Heading 1"]
    assert headings == [section.title for section in sections(run)]
    assert len(document.tables) == sum(block.table is not None for block in blocks(run))
    assert len(document.inline_shapes) == len(run.study.figures)
    assert NASTY in [p.text for p in document.paragraphs]
    page = document.sections[0]
    assert page.page_width > page.page_height
    assert all(
        shape.width <= page.page_width - page.left_margin - page.right_margin for shape in document.inline_shapes
    )


def test_docx_tables_have_the_numbers_of_the_page(run, folder):
    import docx

    table = next(t for t in docx.Document(str(folder / "r.docx")).tables if t.cell(0, 0).text == "analysis")
    printed = {row.cells[2].text for row in table.rows}
    assert {"18.3 [14.3, 20.3]", "not public"} <= printed
    styles = {p.style.name for row in table.rows for cell in row.cells for p in cell.paragraphs}
    assert styles == {"Compact"}  # an empty cell is no higher than the others


def test_pdf_text_can_be_read(run, folder):
    import pypdf

    reader = pypdf.PdfReader(folder / "r.pdf")
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    for section in sections(run):
        assert section.title in text
    assert "<script>alert(1)</script> *x* $y$ #z @w" in text
    assert "18.3 [14.3, 20.3]" in text
    assert reader.metadata.title == run.study.title
    assert "/CreationDate" not in reader.metadata
    assert "http://e.org" not in str([page.get("/Annots") for page in reader.pages])


def test_md_is_markdown_whose_text_is_text(run, folder):
    text = (folder / "r.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {run.study.title}\n")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [s.title for s in sections(run)]
    assert "<script>" not in text
    for figure in run.study.figures:
        file = f"r_files/{run.study.key}-{figure.name}.svg"
        assert f"]({file})" in text
        assert (folder / file).is_file()


@pytest.mark.parametrize("suffix", ["docx", "pdf", "md"])
def test_same_run_same_bytes_without_paths_of_a_machine(run, folder, tmp_path, suffix):
    again = run.report(tmp_path / f"r.{suffix}").read_bytes()
    assert again == (folder / f"r.{suffix}").read_bytes()
    if suffix == "md":
        assert b"/tmp/" not in again


def test_a_missing_package_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(AllianceError, match=r"needs the package 'typst'; pip install 'alliance-stats\[report\]'"):
        run.report(tmp_path / "r.pdf")


def test_an_unknown_suffix(run, tmp_path):
    with pytest.raises(AllianceError, match=r"'r.odt' ends in '.odt'; use one of .html, .docx, .pdf, .md"):
        run.report(tmp_path / "r.odt")
