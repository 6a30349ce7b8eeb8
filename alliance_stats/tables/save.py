"""Tables as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alliance_stats.errors import AllianceError
from alliance_stats.tables.value import Format, Table
from alliance_stats.tables.write_docx import as_docx
from alliance_stats.tables.write_html import as_html, as_page
from alliance_stats.tables.write_latex import as_latex
from alliance_stats.tables.write_md import as_md
from alliance_stats.tables.write_typst import as_pdf, as_typst

WRITERS: dict[str, Callable[[Table], str | bytes]] = {
    "html": as_html, "latex": as_latex, "typst": as_typst, "docx": as_docx, "md": as_md, "pdf": as_pdf,
}  # fmt: skip
SUFFIXES: dict[str, Callable[[Table], str | bytes]] = {
    ".html": as_page, ".tex": as_latex, ".typ": as_typst, ".docx": as_docx, ".md": as_md, ".pdf": as_pdf,
}  # fmt: skip


def save_table(table: Table, path: str | Path) -> Path:
    """Write a table; the suffix chooses the format: .docx, .html, .tex, .typ, .pdf (by Typst) or .md.

    Parameters
    ----------
    table : what ``table``, ``baseline_table`` and the others return with ``to=None``.
    path : where to.

    Returns the path. The same table gives the same bytes. A .tex file holds a ``table`` environment to ``\\input``, with the
    packages that it needs in its first line. Raises AllianceError for another suffix, and where .docx or .pdf need a package
    that is not installed (``pip install 'alliance-stats[report]'``).

    >>> import tempfile
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"": ["Alliance"], "b": ["−0.42"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_table(Table(cells, ("", "b")), f"{folder}/table1.docx").name
    'table1.docx'
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise AllianceError(f"save_table: {path.name!r} ends in {path.suffix!r}; use one of {', '.join(SUFFIXES)}")
    made = SUFFIXES[path.suffix.lower()](table)
    path.write_bytes(made if isinstance(made, bytes) else made.encode())
    return path


def written(table: Table, kind: Format) -> str | bytes:
    """The table in one of the formats."""
    if kind not in WRITERS:
        raise AllianceError(f"to is {kind!r}; use one of {', '.join(WRITERS)}, or None for the table itself")
    return WRITERS[kind](table)


def finished(table: Table, to: Format | None) -> Table | str | bytes:
    """What the functions that make tables return."""
    return table if to is None else written(table, to)
