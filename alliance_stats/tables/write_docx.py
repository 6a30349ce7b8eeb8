"""Tables for Word and LibreOffice, by python-docx: real table, repeated headings, no vertical rules."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from alliance_stats.errors import AllianceError
from alliance_stats.tables.styles import runs
from alliance_stats.tables.value import INDENT, Table, blocks, spanner_row, widths

FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can hold; the same table has the same bytes
FONT, SIZE, SMALL = "Times New Roman", 10, 9
ACROSS = 80  # characters of the table that an upright page holds; a wider one lies on its side
WIDTH = 0.62  # of a character to the size of the font, with room for a substitute that is wider
LONGEST = 46  # characters of a column beyond which its text is wrapped


def as_docx(table: Table) -> bytes:
    """The bytes of a document with the title, the table and its notes."""
    document = new_document(wide=too_wide(table))
    add_table(document, table)
    return saved(document)


def too_wide(table: Table) -> bool:
    """Whether a page must lie on its side for the table."""
    return sum(widths(table)) > ACROSS


def add_table(document: Any, table: Table) -> None:
    """Title, table and notes at the end of a document of python-docx."""
    for line, bold in table.above:
        _paragraph(document, [(part, slanted or not bold) for part, slanted in runs(line)], bold=bold, after=4)
    grid = document.add_table(rows=0, cols=len(table.headings))
    grid.autofit = False
    _heads(grid, table)
    for group, rows in blocks(table):
        if group:
            cell = _row(grid, [group])[0]
            _write(cell, group, bold=True)
        for row in rows:
            _fill(_row(grid, row), [INDENT * bool(group) + row[0], *row[1:]])
    _rule(grid.rows[-1].cells, bottom=8)
    _set_widths(document, grid, table)
    if table.below:
        _paragraph(document, runs(table.below), size=SMALL, before=4)


def new_document(*, wide: bool) -> Any:
    """An empty document of python-docx, A4, upright or on its side; AllianceError where the package is missing."""
    try:
        from docx import Document
    except ImportError:
        raise AllianceError("docx needs the package 'python-docx'; pip install 'alliance-stats[report]'") from None
    from docx.shared import Mm, Pt

    document = Document()
    style, section = document.styles["Normal"], document.sections[0]
    style.font.name, style.font.size = FONT, Pt(SIZE)
    across, tall = (297, 210) if wide else (210, 297)
    section.page_width, section.page_height = Mm(across), Mm(tall)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(20)
    if wide:
        from docx.enum.section import WD_ORIENT

        section.orientation = WD_ORIENT.LANDSCAPE
    return document


def _heads(grid: Any, table: Table) -> None:
    """One or two rows of headings, repeated on every page."""
    if table.spanners:
        cells, at = _row(grid, table.headings), 0
        for label, n in spanner_row(table):
            merged = cells[at].merge(cells[at + n - 1]) if n > 1 else cells[at]
            _write(merged, label, centre=True)
            if label:
                _rule([merged], bottom=4)
            at += n
    heads = _row(grid, table.headings)
    _fill(heads, list(table.headings))
    for cell in heads:
        _rule([cell], bottom=6)
    _rule(grid.rows[0].cells, top=8)
    for row in grid.rows:
        _mark(row._tr.get_or_add_trPr(), "w:tblHeader")


def _row(grid: Any, texts: Any) -> list[Any]:
    row = grid.add_row()
    _mark(row._tr.get_or_add_trPr(), "w:cantSplit")
    cells = list(row.cells)
    if len(texts) == 1 and len(cells) > 1:
        return [cells[0].merge(cells[-1])]
    return cells


def _fill(cells: list[Any], texts: list[str]) -> None:
    for i, (cell, text) in enumerate(zip(cells, texts, strict=True)):
        _write(cell, text, centre=i > 0)


def _write(cell: Any, text: str, *, centre: bool = False, bold: bool = False) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    paragraph = cell.paragraphs[0]
    _tight(paragraph)
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER if centre else WD_ALIGN_PARAGRAPH.LEFT
    indents = len(text) - len(text.lstrip(INDENT))
    if indents:  # as the paragraph's, so that a second line stands under the first
        paragraph.paragraph_format.left_indent, text = Pt(SIZE * indents), text[indents:]
    for part, slanted in runs(text):
        run = paragraph.add_run(part)
        run.italic, run.bold = slanted or None, bold or None


def _paragraph(
    document: Any,
    parts: list[tuple[str, bool]],
    *,
    bold: bool = False,
    size: int = SIZE,
    before: int = 0,
    after: int = 0,
) -> None:
    from docx.shared import Pt

    paragraph = document.add_paragraph()
    _tight(paragraph, before, after)
    for part, slanted in parts:
        run = paragraph.add_run(part)
        run.italic, run.bold, run.font.size = slanted or None, bold or None, Pt(size)


def _tight(paragraph: Any, before: int = 1, after: int = 1) -> None:
    from docx.shared import Pt

    paragraph.paragraph_format.space_before, paragraph.paragraph_format.space_after = Pt(before), Pt(after)


def _rule(cells: Any, **sides: int) -> None:
    """Rules at the sides of cells, in eighths of a point."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    for cell in cells:
        properties = cell._tc.get_or_add_tcPr()
        borders = properties.find(qn("w:tcBorders"))
        if borders is None:
            borders = OxmlElement("w:tcBorders")
            properties.append(borders)
        for side, size in sorted(sides.items(), reverse=True):
            line = OxmlElement(f"w:{side}")
            for name, value in (("val", "single"), ("sz", str(size)), ("space", "0"), ("color", "000000")):
                line.set(qn(f"w:{name}"), value)
            borders.insert(0, line) if side == "top" else borders.append(line)


def _mark(properties: Any, tag: str) -> None:
    from docx.oxml import OxmlElement

    properties.append(OxmlElement(tag))


def _set_widths(document: Any, grid: Any, table: Table) -> None:
    """Columns as wide as what stands in them, the whole no wider than the page."""
    from docx.shared import Pt

    section = document.sections[0]
    across = section.page_width - section.left_margin - section.right_margin
    natural = [min(width, LONGEST) * Pt(SIZE) * WIDTH for width in widths(table)]
    found = [int(width * min(across / sum(natural), 1.0)) for width in natural]
    for column, width in zip(grid.columns, found, strict=True):
        column.width = width
    for row in grid.rows:
        seen = set()
        for cell, width in zip(row.cells, found, strict=True):
            if cell._tc not in seen and cell._tc.grid_span == 1:
                cell.width = width
            seen.add(cell._tc)


def saved(document: Any) -> bytes:
    """The document with one date in every part of the archive and in its properties."""
    from datetime import datetime

    properties = document.core_properties
    properties.author = properties.comments = properties.title = ""
    properties.created = properties.modified = datetime(*FIRST_DAY)
    raw, made = io.BytesIO(), io.BytesIO()
    document.save(raw)
    with zipfile.ZipFile(raw) as given, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for item in given.infolist():
            info = zipfile.ZipInfo(item.filename, FIRST_DAY)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, given.read(item))
    return made.getvalue()
