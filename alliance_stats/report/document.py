"""A report as pandoc's document tree: text stays text in every format, so that nothing in it can be markup.

The tree is made of plain lists and dicts in the shape of pandoc-types 1.23 (https://hackage.haskell.org/package/pandoc-types).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from alliance_stats.render.table import right_aligned, rounded
from alliance_stats.report.blocks import Block, Section

Node = dict[str, Any]
API = [1, 23, 1]
PLAIN = ["", [], []]
WIDEST = 34  # characters of a column beyond which its text is wrapped
EMPTY: list[Node] = [{"t": "Str", "c": "\u00a0"}]  # in Word a cell without text has the height of body text
MARGIN = 6  # characters that the margins of a cell take


def document(
    title: str,
    subtitle: str,
    warning: str,
    sections: Sequence[Section],
    images: Mapping[str, str],
    *,
    level: int = 1,
    across: int | None = None,
) -> Node:
    """The tree of a report.

    ``images`` says where the file of every figure is, ``level`` that of the sections' headings; with ``across``, the number of
    characters in a line of the page, tables have columns as wide as what stands in them.
    """
    blocks = [_paragraph(subtitle)]
    if warning:
        blocks.append({"t": "BlockQuote", "c": [{"t": "Para", "c": [{"t": "Strong", "c": _words(warning)}]}]})
    for section in sections:
        blocks.append({"t": "Header", "c": [level, [section.anchor, [], []], _words(section.title)]})
        blocks += [_block(block, images, across) for block in section.blocks]
    return {
        "pandoc-api-version": API,
        "meta": {"title": {"t": "MetaInlines", "c": _words(title)}},
        "blocks": blocks,
    }


def _block(block: Block, images: Mapping[str, str], across: int | None) -> Node:
    if block.table is not None:
        return table(block.table, block.caption, across)
    if block.figure is not None:
        image = {"t": "Image", "c": [PLAIN, _words(block.figure.alt), [images[block.figure.name], ""]]}
        caption = [None, [{"t": "Plain", "c": _words(block.caption)}]]
        return {"t": "Figure", "c": [PLAIN, caption, [{"t": "Plain", "c": [image]}]]}
    return _paragraph(block.text)


def table(frame: pd.DataFrame, caption: str = "", across: int | None = None) -> Node:
    """A frame as a table with rounded numbers, right-aligned where a column holds numbers."""
    shown = rounded(frame)
    sides = [{"t": "AlignRight" if right else "AlignLeft"} for right in right_aligned(frame)]
    title = [None, [{"t": "Plain", "c": _words(caption)}] if caption else []]
    head = [PLAIN, [_row(list(shown.columns))]]
    body = [PLAIN, 0, [], [_row(row) for row in shown.itertuples(index=False)]]
    widths = [{"t": "ColWidthDefault"}] * len(sides) if across is None else _widths(shown, across)
    columns = [[side, width] for side, width in zip(sides, widths, strict=True)]
    return {"t": "Table", "c": [PLAIN, title, columns, head, [body], [PLAIN, []]]}


def _widths(shown: pd.DataFrame, across: int) -> list[Node]:
    """Shares of the line: as long as the longest cell, up to ``WIDEST`` characters where no word is longer."""
    natural = [max(_natural(str(cell)) for cell in [name, *shown[name]]) + MARGIN for name in shown.columns]
    return [{"t": "ColWidth", "c": width / max(across, sum(natural))} for width in natural]


def _natural(text: str) -> int:
    return max(min(len(text), WIDEST), *map(len, text.split()), 1) if text else 1


def _row(cells: Sequence[Any]) -> list[Any]:
    return [
        PLAIN,
        [[PLAIN, {"t": "AlignDefault"}, 1, 1, [{"t": "Plain", "c": _words(str(cell)) or EMPTY}]] for cell in cells],
    ]


def _paragraph(text: str) -> Node:
    return {"t": "Para", "c": _words(text)}


def _words(text: str) -> list[Node]:
    found: list[Node] = []
    for word in text.split():
        found += [{"t": "Space"}] * bool(found) + [{"t": "Str", "c": word}]
    return found
