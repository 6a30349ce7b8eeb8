"""Reading one sheet of an Excel workbook: which sheet, which row holds the names, and nothing lost on the way."""

from __future__ import annotations

import datetime as dt
import re
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.cell_objects import column_of_objects
from alliance_stats.data.imported import Imported, Options, optional_module, plain_code
from alliance_stats.data.names import plain_names
from alliance_stats.data.signatures import require_format
from alliance_stats.errors import DataError, suggestion

Rows = list[tuple[Any, ...]]

# What openpyxl and the archive under it raise on a damaged workbook.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
    OSError,
)
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >/]")


def read_excel(path: Path, options: Options) -> Imported:
    """Table and notes of one sheet; its name and the row of its column names may be given."""
    require_format(path)
    name, rows, notes = _sheet(path, options.sheet)
    place = _header(rows, options.header, name)
    if options.header:
        notes += [f"Left out {place} row{'s' * (place > 1)} above the header (row {place + 1})."] * bool(place)
    header, body = rows[place], rows[place + 1 :]
    body, tail = _without_empty_tail(body)
    width = max((_width(row) for row in [header, *body]), default=0)
    names, columns, empty = _columns(header, body, width)
    found, naming = plain_names(names)
    if not body:
        raise DataError(f"no rows: sheet {name!r} holds only a header, {', '.join(map(repr, found))}")
    frame: dict[str, pd.Series] = {}
    changes: list[str] = []
    for column, cells in zip(found, columns, strict=True):
        frame[column], said = column_of_objects(column, cells, options.decimal)
        changes += said
    return Imported(pd.DataFrame(frame), (*notes, *naming, *tail, *empty, *changes))


def _sheet(path: Path, wanted: str | None) -> tuple[str, Rows, list[str]]:
    """The sheet's name, all its rows, and which empty sheets were passed over."""
    openpyxl = optional_module("openpyxl", ".xlsx")
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # openpyxl's, on styles and drop-down lists, which are no data
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = {sheet.title: _rows(sheet) for sheet in book.worksheets if wanted in (None, sheet.title)}
            name, notes = _chosen(sheets, [sheet.title for sheet in book.worksheets], wanted)
            unsaved = _unsaved_formulas(openpyxl, path, name) if _has_formulas(path) else []
    except (*_DAMAGED, SyntaxError) as error:  # the parser of XML raises a SyntaxError
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"the workbook cannot be read ({words}); it is cut off or damaged, save it again") from None
    if unsaved:
        shown = ", ".join(unsaved[:10]) + (f" and {len(unsaved) - 10} more" if len(unsaved) > 10 else "")
        raise DataError(
            f"sheet {name!r} holds formulas without a saved result, in {shown}; open the workbook in Excel and save it, "
            "or paste the values over the formulas"
        )
    return name, sheets[name], notes


def _rows(sheet: Any) -> Rows:
    sheet.reset_dimensions()  # other programs write a size that is not the sheet's, and rows beyond it would be lost
    return list(sheet.iter_rows(values_only=True))


def _chosen(sheets: dict[str, Rows], titles: Sequence[str], wanted: str | None) -> tuple[str, list[str]]:
    named = ", ".join(map(repr, titles))
    if wanted is not None and wanted not in sheets:
        raise DataError(f"no sheet {wanted!r}{suggestion(wanted, titles)}; the workbook's sheets are {named}")
    filled = [title for title, rows in sheets.items() if any(_width(row) for row in rows)]
    if not filled:
        raise DataError(f"no rows: {f'sheet {wanted!r}' if wanted else 'every sheet'} is empty; the sheets are {named}")
    if len(filled) > 1:
        raise DataError(
            f"the workbook has several sheets, {', '.join(map(repr, filled))}; pass sheet= with one of them"
        )
    passed = [title for title in sheets if title not in filled]
    return filled[0], [f"Passed over the empty sheets {', '.join(map(repr, passed))}."] * bool(passed)


def _width(row: Sequence[Any]) -> int:
    """Cells up to the last one that holds something."""
    return max((place for place, cell in enumerate(row, start=1) if _filled(cell)), default=0)


def _filled(cell: Any) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def _header(rows: Rows, wanted: int | None, sheet: str) -> int:
    """The place of the row with the column names: the one asked for, else the first that is not empty."""
    if wanted is not None:
        if wanted > len(rows) or not _width(rows[wanted - 1]):
            raise DataError(
                f"header={wanted}: row {wanted} of sheet {sheet!r} is empty; give the row of the column names"
            )
        return wanted - 1
    place = next(place for place, row in enumerate(rows) if _width(row))
    names = sum(map(_filled, rows[place]))
    widest = max((sum(map(_filled, row)) for row in rows[place + 1 :]), default=0)
    if names == 1 < widest or 2 * names <= widest:
        below = next(n for n, row in enumerate(rows[place + 1 :], place + 2) if sum(map(_filled, row)) == widest)
        shown = ", ".join([repr(str(cell)[:40]) for cell in rows[place] if _filled(cell)][:5])
        raise DataError(
            f"row {place + 1} of sheet {sheet!r} holds {shown} above {widest} columns: a title or merged cells, not the "
            f"columns' names; pass header= with the number of the row that holds the names, such as header={below}"
        )
    return place


def _without_empty_tail(rows: Rows) -> tuple[Rows, list[str]]:
    last = len(rows)
    while last and not _width(rows[last - 1]):
        last -= 1
    # Rows that are only formatted hold no cell with a text; the others may have held something once.
    dropped = sum(any(cell is not None for cell in row) for row in rows[last:])
    return rows[:last], [f"Left out {dropped} wholly empty row{'s' * (dropped > 1)} at the end of the sheet."] * bool(
        dropped
    )


def _columns(header: Sequence[Any], body: Rows, width: int) -> tuple[list[str], list[list[Any]], list[str]]:
    """Names and cells of each column; a column with neither name nor value is left out."""
    names, columns, empty = [], [], 0
    for place in range(width):
        name = _at(header, place)
        cells = ["" if (cell := _at(row, place)) is None else cell for row in body]
        if not _filled(name) and not any(map(_filled, cells)):
            empty += 1
            continue
        names.append(_name(name))
        columns.append(cells)
    notes = [f"Left out {empty} wholly empty column{'s' * (empty > 1)} without a name."] * bool(empty)
    return names, columns, notes


def _at(row: Sequence[Any], place: int) -> Any:
    return row[place] if place < len(row) else None


def _name(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, (int, float)):
        return str(plain_code(cell))
    return cell.isoformat(" ").removesuffix(" 00:00:00") if isinstance(cell, dt.datetime) else str(cell)


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return any(_FORMULA.search(archive.read(name)) for name in sheets)


def _unsaved_formulas(openpyxl: Any, path: Path, name: str) -> list[str]:
    """Addresses of formulas whose result no program has saved, which would be read as empty cells."""
    found = []
    with path.open("rb") as formulas, path.open("rb") as results:
        asked = openpyxl.load_workbook(formulas, read_only=True)[name]
        saved = openpyxl.load_workbook(results, read_only=True, data_only=True)[name]
        asked.reset_dimensions()
        saved.reset_dimensions()
        for row, values in zip(asked.iter_rows(), saved.iter_rows(values_only=True), strict=True):
            found += [
                cell.coordinate
                for cell, value in zip(row, values, strict=True)
                if cell.data_type == "f" and value is None
            ]
    return found
