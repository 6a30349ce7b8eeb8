"""Tables as Typst, alone or as a page of pdf."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alliance_stats.errors import AllianceError
from alliance_stats.tables.styles import runs
from alliance_stats.tables.value import INDENT, Table, blocks, spanner_row, widths

SPECIAL = re.compile(r"([\\#$*_`<>@\[\]~=+\-/\"'.:])")
EPOCH = 315532800  # 1 January 1980, as in the reports
WIDE = 78  # characters of the widest lines together, beyond which the page lies on its side
MANY = 120


def as_typst(table: Table) -> str:
    """A block with the title, ``#table`` with three rules, and the notes."""
    width = len(table.headings)
    rows = [*_spanners(table), f"  {_cells(list(table.headings))},", "  table.hline(stroke: 0.4pt),"]
    header = "\n".join(f"  {line}" for line in rows)
    body = []
    for group, here in blocks(table):
        if group:
            body.append(f"  table.cell(colspan: {width}, align: left)[#strong[{typst(group)}]],")
        body += [f"  {_cells([INDENT * bool(group) + row[0], *row[1:]])}," for row in here]
    align = "(left" + ", center" * (width - 1) + ",)"
    lines = [
        *_title(table), "#table(", f"  columns: {width}, align: {align}, stroke: none, inset: (x: 4pt, y: 3pt),",
        "  table.hline(stroke: 0.8pt),", f"  table.header(\n{header}\n  ),", *body, "  table.hline(stroke: 0.8pt),", ")",
        *_notes(table),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def as_pdf(table: Table) -> bytes:
    """A4 page, on its side where the table is wide, with real text and no dates."""
    compiler = _compiler()
    size = sum(widths(table))
    page = f'#set page(paper: "a4", flipped: {str(size > WIDE).lower()}, margin: 20mm)'
    text = f'#set document(date: none)\n{page}\n#set text(font: "DejaVu Sans", size: {7 if size > MANY else 9}pt, lang: "en")\n'
    with TemporaryDirectory() as folder:
        source = Path(folder) / "table.typ"
        source.write_text(text + as_typst(table), encoding="utf-8")
        fonts = compiler.Fonts(include_system_fonts=False, font_paths=[_fonts()])
        return bytes(compiler.compile(str(source), root=folder, font_paths=fonts, timestamp=EPOCH))


def typst(text: str) -> str:
    """Escaped text with its italics.

    >>> print(typst("5 % of #x_1"))
    5 % of \\#x\\_1
    """
    made = "".join(f"#emph[{_literal(part)}]" if slanted else _literal(part) for part, slanted in runs(text))
    return made.replace("\n", " \\\n").replace(INDENT, "#h(1em)")


def _literal(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)


def _cells(cells: list[str]) -> str:
    return ", ".join(f"[{typst(cell)}]" for cell in cells)


def _spanners(table: Table) -> list[str]:
    if not table.spanners:
        return []
    cells = [f"table.cell(colspan: {n}, align: center)[{typst(label)}]" for label, n in spanner_row(table)]
    rules = [f"table.hline(start: {s.first}, end: {s.last + 1}, stroke: 0.3pt)" for s in table.spanners]
    return [f"  {', '.join(cells)},", f"  {', '.join(rules)},"]


def _title(table: Table) -> list[str]:
    return [f"#{'strong' if bold else 'emph'}[{typst(line)}]\n" for line, bold in table.above]


def _notes(table: Table) -> list[str]:
    return ["", f"#text(size: 0.85em)[{typst(table.below)}]"] if table.below else []


def _compiler() -> Any:
    try:
        import typst as compiler
    except ImportError:
        raise AllianceError("save_table: pdf needs the package 'typst'; pip install 'alliance-stats[report]'") from None
    return compiler


def _fonts() -> str:
    from matplotlib import get_data_path

    return str(Path(get_data_path()) / "fonts" / "ttf")
