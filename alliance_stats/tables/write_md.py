"""Tables as Markdown, and as aligned text for a terminal."""

from __future__ import annotations

import re

from alliance_stats.tables.styles import runs, unmarked
from alliance_stats.tables.value import INDENT, Table, blocks

MARKS = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def as_md(table: Table) -> str:
    """GitHub's Markdown: headings over several columns become part of each heading below them."""
    heads = [_inline(head) for head in flat_headings(table)]
    lines = [_line(heads), _line([":--", *[":-:"] * (len(heads) - 1)])]
    for group, rows in blocks(table):
        if group:
            lines.append(_line([f"**{_inline(group)}**", *[""] * (len(heads) - 1)]))
        lines += [_line([_inline(cell) for cell in row]) for row in rows]
    above = [f"**{_inline(line)}**" if bold else f"*{_inline(line)}*" for line, bold in table.above]
    return "\n\n".join(part for part in (*above, "\n".join(lines), _inline(table.below)) if part) + "\n"


def as_plain(table: Table) -> str:
    """Aligned columns of text."""
    rows = [[unmarked(head) for head in flat_headings(table)]]
    for group, here in blocks(table):
        rows += [[unmarked(group), *[""] * (len(rows[0]) - 1)]] * bool(group)
        rows += [[unmarked(cell).replace("\n", " ") for cell in row] for row in here]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    above = [unmarked(table.headline)] if table.headline else []
    return "\n".join([*above, *lines, *map(unmarked, table.notes)])


def flat_headings(table: Table) -> list[str]:
    """The headings in one line, each after what spans it: ``Model 1: b``."""
    over = {i: s.label for s in table.spanners for i in range(s.first, s.last + 1)}
    pairs = [(over.get(i, ""), head) for i, head in enumerate(table.headings)]
    return [": ".join(part for part in pair if part).replace("\n", " ") for pair in pairs]


def _inline(text: str) -> str:
    parts = [(MARKS.sub(r"\\\1", part), slanted) for part, slanted in runs(text)]
    joined = "".join(f"*{part}*" if slanted else part for part, slanted in parts)
    return joined.replace("\n", "<br>").replace(INDENT, "&emsp;")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
