"""A table for print as a value, from which every format is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.tables.styles import Style, italic, style_named, unmarked

Format = Literal["html", "latex", "typst", "docx", "md", "pdf"]
INDENT = "\u2003"  # before the label of a row that belongs to the one above

MARGIN = 3  # characters between columns


@dataclass(frozen=True)
class Spanner:
    """A heading over the columns ``first`` to ``last``, counted from 0 with the column of the labels."""

    label: str
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of text with all that is printed around them.

    Attributes
    ----------
    cells : one row a line of the table, all text; the first column holds the labels. Statistical symbols carry marks for
        italics; ``body`` is the same frame without them.
    headings : one a column.
    spanners : headings over several columns.
    groups : the heading of the block that each row stands in, one a row, or none at all.
    notes : sentences under the table.
    title, number, style : what stands above, and the journal's habits: ``"apa"``, ``"jama"`` or ``"ptj"``.

    ``table.to("docx")`` gives the table as bytes, ``table.to("html")``, ``"latex"``, ``"typst"`` and ``"md"`` as text;
    ``save_table`` writes a file.

    >>> cells = pd.DataFrame({"": ["Alliance"], "b": ["−0.42"]})
    >>> print(Table(cells, ("", "b"), title="Pain", notes=("b is a slope.",)).to("md"))
    **Table 1**
    <BLANKLINE>
    *Pain*
    <BLANKLINE>
    |  | b |
    | :-- | :-: |
    | Alliance | −0.42 |
    <BLANKLINE>
    *Note.* b is a slope.
    <BLANKLINE>
    """

    cells: pd.DataFrame
    headings: tuple[str, ...]
    spanners: tuple[Spanner, ...] = ()
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    title: str = ""
    number: int | None = 1
    style: str = "apa"

    def __post_init__(self) -> None:
        style_named(self.style)
        rows, columns = self.cells.shape
        if len(self.headings) != columns or not self.cells.columns.is_unique:
            raise AllianceError(f"Table: {columns} columns need as many headings and different names")
        if self.groups and (len(self.groups) != rows or not all(self.groups)):
            raise AllianceError(f"Table: {rows} rows need as many groups with names, or none; found {len(self.groups)}")
        starts = [g for g, before in zip(self.groups, ("", *self.groups), strict=False) if g != before]
        if len(starts) != len(set(starts)):
            raise AllianceError("Table: the rows of a group must stand together")
        at = -1
        for spanner in self.spanners:
            if not at < spanner.first <= spanner.last < columns:
                raise AllianceError(
                    f"Table: the heading {spanner.label!r} spans columns that are not there or are spanned"
                )
            at = spanner.last

    @property
    def journal(self) -> Style:
        """The habits of the journal."""
        return style_named(self.style)

    @property
    def body(self) -> pd.DataFrame:
        """The cells without marks, under the names of the columns."""
        return self.cells.map(unmarked)

    @property
    def name(self) -> str:
        """``Table 1``, or nothing."""
        return "" if self.number is None else f"Table {self.number}"

    @property
    def headline(self) -> str:
        """Number and title in one line."""
        return ". ".join(part for part in (self.name, self.title) if part)

    @property
    def above(self) -> tuple[tuple[str, bool], ...]:
        """The lines over the table, each with whether it is bold; else it is in italics."""
        lines = ((self.name, True), (self.title, False)) if self.journal.title_apart else ((self.headline, True),)
        return tuple(line for line in lines if line[0])

    @property
    def below(self) -> str:
        """The notes as a paragraph, after the word that the journal has before them; empty where there are none."""
        lead = [italic(self.journal.note)] if self.journal.note else []
        return " ".join([*lead, *self.notes]) if self.notes else ""

    @property
    def id(self) -> str:
        """An id that the content gives, so that the same table has the same bytes."""
        parts = [self.title, *self.headings, *self.notes, *self.groups, *self.cells.to_numpy().ravel().tolist()]
        return "t" + sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:10]

    def with_notes(self, *notes: str) -> Table:
        """The table with more notes under it."""
        return replace(self, notes=(*self.notes, *(unmarked(note) for note in notes)))

    def to(self, kind: Format) -> str | bytes:
        """The table as ``"html"``, ``"latex"``, ``"typst"`` or ``"md"`` text, or as the bytes of a ``"docx"`` or ``"pdf"``."""
        from alliance_stats.tables.save import written

        return written(self, kind)

    def _repr_html_(self) -> str:
        from alliance_stats.tables.write_html import as_html

        return as_html(self)

    def __repr__(self) -> str:
        from alliance_stats.tables.write_md import as_plain

        return as_plain(self)


def blocks(table: Table) -> list[tuple[str, list[list[str]]]]:
    """The rows of cells under the heading of their block; one block without a heading where there are none.

    >>> cells = pd.DataFrame({"": list("abc")})
    >>> blocks(Table(cells, ("",), groups=("x", "x", "y")))
    [('x', [['a'], ['b']]), ('y', [['c']])]
    """
    found: list[tuple[str, list[list[str]]]] = []
    for group, row in zip(table.groups or [""] * len(table.cells), table.cells.to_numpy().tolist(), strict=True):
        if not found or found[-1][0] != group:
            found.append((group, []))
        found[-1][1].append([str(cell) for cell in row])
    return found


def spanner_row(table: Table) -> list[tuple[str, int]]:
    """Label and width of every cell of the row of spanners, empty ones between them."""
    cells, at = [], 0
    for spanner in table.spanners:
        cells += [("", 1)] * (spanner.first - at) + [(spanner.label, spanner.last - spanner.first + 1)]
        at = spanner.last + 1
    return cells + [("", 1)] * (len(table.headings) - at)


def widths(table: Table) -> list[int]:
    """Characters that each column needs: its longest line and a margin.

    >>> widths(Table(pd.DataFrame({"": ["Alliance"], "b": ["−0.42"]}), ("", "b")))
    [11, 8]
    """
    columns = [[head, *table.cells.iloc[:, i]] for i, head in enumerate(table.headings)]
    return [
        max(len(unmarked(line)) for cell in column for line in str(cell).split("\n")) + MARGIN for column in columns
    ]
