"""One table in every format: text escaped, same bytes, read back."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.tables.save import SUFFIXES, WRITERS, save_table
from alliance_stats.tables.styles import italic, runs
from alliance_stats.tables.value import Spanner, Table, blocks, spanner_row

NASTY = "a<b>&amp;\"'50% $x$ #1 _u_ *s* [q] {z} \\n ~t ^h `c` | @r = + - / 1. //k"


def nasty(style: str = "apa") -> Table:
    cells = pd.DataFrame(
        {
            "": [NASTY, f"{italic('SD')} of x", "n"],
            "b": ["−0.42\n[−0.61, −0.23]", "2.0", "100"],
            "p": ["< .001", "", ""],
            "c": ["1", "2", "3"],
        }
    )
    heads = ("", f"{italic('b')}\n[95% CI]", italic("p"), "OR")
    return Table(
        cells, heads, (Spanner(NASTY, 1, 2), Spanner("Model 2", 3, 3)), ("Fixed", "Random", "Random"),
        (NASTY, "Second."), NASTY, 2, style,
    )  # fmt: skip


class Text(HTMLParser):
    """The text of a page, its style sheets left out, and the tags seen."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.hidden = "", [], False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.hidden = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self.hidden else data


@pytest.mark.parametrize("style", ["apa", "jama", "ptj"])
@pytest.mark.parametrize("kind", WRITERS)
def test_same_table_same_bytes(kind: str, style: str) -> None:
    assert WRITERS[kind](nasty(style)) == WRITERS[kind](nasty(style))
    assert WRITERS[kind](nasty(style)) != WRITERS[kind](nasty("jama" if style == "apa" else "apa"))


def test_docx_bytes_do_not_depend_on_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    first = nasty().to("docx")
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert nasty().to("docx") == first


def test_html_is_escaped_and_reads_as_it_was_written() -> None:
    page = Text()
    page.feed(str(nasty().to("html")))
    assert "b" not in page.tags
    for text in (NASTY, "Table 2", "Second.", "Fixed", "Random", "SD of x"):
        assert text in page.text, text
    assert page.text.count(NASTY) == 4  # title, heading, label, note
    assert page.tags.count("em") >= 4
    assert "&lt;&nbsp;.001" in str(nasty().to("html"))  # not broken at the end of a line
    assert nasty()._repr_html_() == nasty().to("html")


def test_docx_is_read_again_by_python_docx() -> None:
    from docx import Document

    made = nasty().to("docx")
    assert isinstance(made, bytes)
    document = Document(io.BytesIO(made))
    (grid,) = document.tables
    rows = [[cell.text for cell in row.cells] for row in grid.rows]
    assert rows[0] == ["", NASTY, NASTY, "Model 2"]  # the heading spans two cells
    assert rows[1] == ["", "b\n[95% CI]", "p", "OR"]
    assert rows[2] == ["Fixed"] * 4
    assert rows[3] == [NASTY, "−0.42\n[−0.61, −0.23]", "< .001", "1"]
    assert [row[0] for row in rows[4:]] == ["Random", "SD of x", "n"]
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts == ["Table 2", NASTY, f"Note. {NASTY} Second."]
    italics = [run.text for run in grid.rows[5].cells[0].paragraphs[0].runs if run.italic]
    assert italics == ["SD"]
    xml = document.element.xml
    assert xml.count("w:tblHeader") == 2
    assert not re.search(r"<w:(left|right|insideV) w:val", xml)


def test_pdf_is_compiled_and_read_again(tmp_path: Path) -> None:
    from pypdf import PdfReader

    save_table(nasty(), tmp_path / "t.pdf")
    text = " ".join(page.extract_text() for page in PdfReader(tmp_path / "t.pdf").pages)
    flat = re.sub(r"\s+", "", text)
    assert flat.count(re.sub(r"\s+", "", NASTY)) == 4
    for part in ("Table 2", "[−0.61, −0.23]", "< .001", "SD of x", "Note. ", "Second."):
        assert part.replace(" ", "") in flat, part


def test_latex_is_balanced_and_has_as_many_cells_in_every_row() -> None:
    text = str(nasty().to("latex"))
    environments = re.findall(r"\\(begin|end)\{(\w+)\}", text)
    opened: list[str] = []
    for what, name in environments:
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert len(environments) == 8
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    depth = [bare[: i + 1].count("{") - bare[: i + 1].count("}") for i in range(len(bare))]
    assert min(depth) >= 0
    assert depth[-1] == 0
    assert bare.count("$") % 2 == 0
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    for line in body.split("\n"):
        cells = re.sub(r"\\makecell\[t\]\{.*?\}(?= &| \\\\)", "x", line.replace(r"\&", ""))
        if cells.endswith(r"\\"):
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d)\}", cells))
            assert cells.count("&") + 1 + spans == 4, line
    assert "<" not in text
    assert "|" not in re.findall(r"\\begin\{tabular\}\{(.*)\}", text)[0]


def test_markdown_keeps_its_columns() -> None:
    lines = [line for line in str(nasty().to("md")).split("\n") if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert r"\*s\*" in lines[3]
    assert "<br>" in lines[3]


def test_files_have_the_format_of_their_suffix(tmp_path: Path) -> None:
    heads = {
        ".html": b"<!doctype html>", ".docx": b"PK", ".tex": b"% \\usepackage", ".typ": b"#strong", ".pdf": b"%PDF",
        ".md": b"**Table 2**",
    }  # fmt: skip
    assert set(heads) == set(SUFFIXES)
    for suffix, head in heads.items():
        assert save_table(nasty(), tmp_path / f"t{suffix}").read_bytes().startswith(head)
    with pytest.raises(AllianceError, match=r"ends in '\.xlsx'; use one of \.html"):
        save_table(nasty(), tmp_path / "t.xlsx")
    with pytest.raises(AllianceError, match="to is 'word'; use one of html"):
        nasty().to("word")  # type: ignore[arg-type]


def test_a_package_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name, kind in (("docx", "docx"), ("typst", "pdf")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(AllianceError, match=r"alliance-stats\[report\]"):
                WRITERS[kind](nasty())


def test_a_table_refuses_what_cannot_be_printed() -> None:
    cells = pd.DataFrame({"": list("abc"), "x": list("123")})
    refused = [
        ({"headings": ("",)}, "as many headings"),
        ({"groups": ("g", "h")}, "as many groups"),
        ({"groups": ("g", "", "g")}, "as many groups"),
        ({"groups": ("g", "h", "g")}, "stand together"),
        ({"spanners": (Spanner("s", 1, 2),)}, "spans columns that are not there"),
        ({"spanners": (Spanner("s", 0, 1), Spanner("t", 1, 1))}, "are spanned"),
        ({"style": "vancouver"}, "use one of apa, jama, ptj"),
    ]
    for change, message in refused:
        with pytest.raises(AllianceError, match=message):
            Table(**{"cells": cells, "headings": ("", "x")} | change)


def test_parts_of_a_table() -> None:
    table = nasty()
    assert [group for group, _ in blocks(table)] == ["Fixed", "Random"]
    assert spanner_row(table) == [("", 1), (NASTY, 2), ("Model 2", 1)]
    assert table.body.iloc[1, 0] == "SD of x"
    assert runs("x \ue000 y") == [("x ", False), (" y", False)]  # a mark without its end is none
    assert table.with_notes("Third.").notes[-1] == "Third."
    assert "Table 2" in repr(table)
