"""What SPSS and Stata files have in common: one parser, labels, and missing values that say why they are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.cell_objects import plain_columns
from alliance_stats.data.imported import Code, CodeRows, Imported, Options, optional_module, times
from alliance_stats.data.names import plain_names
from alliance_stats.data.signatures import require_format
from alliance_stats.errors import DataError

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Column:
    """One column freed of its user-missing codes, and the rows (from 0) that carried them."""

    cells: pd.Series
    missing_rows: CodeRows
    system_missing: int


def parse(path: Path, options: Options, reader: str) -> tuple[dict[str, list[Any]], Any]:
    """The cells of each column as Python objects, and what the file says of its columns."""
    require_format(path)
    suffix = path.suffix.lower()
    pyreadstat = optional_module("pyreadstat", suffix)
    read = getattr(pyreadstat, reader)
    try:
        _require_possible_rows(path, read(str(path), metadataonly=True, encoding=options.encoding)[1].number_rows)
        # Numbers as they stand in the file: pyreadstat's own frames spoil whole numbers beside missing ones.
        cells, meta = read(
            str(path),
            user_missing=True,
            disable_datetime_conversion=True,
            output_format="dict",
            encoding=options.encoding,
        )
    except UnicodeError:
        raise _encoding(options) from None
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as error:
        if "encoding" in str(error) or "convert string" in str(error):
            raise _encoding(options) from None
        raise DataError(
            f"the {suffix} file cannot be read ({error}); it is cut off or damaged, copy or export it again"
        ) from None
    if not meta.column_names or not len(cells[meta.column_names[0]]):
        raise DataError(f"no rows: the file holds only column names, {', '.join(map(repr, meta.column_names))}")
    return {name: list(cells[name]) for name in meta.column_names}, meta


def _require_possible_rows(path: Path, rows: int | None) -> None:
    """A damaged count of rows would have the parser make room for billions of them before it looks for one."""
    with path.open("rb") as file:
        deflated = file.read(4) == b"$FL3"
    size = path.stat().st_size
    # A row takes a byte at the least; the deflation of .zsav files makes at most 1032 bytes of one.
    if rows is not None and rows > size * (1032 if deflated else 1):
        raise DataError(f"the file says that it holds {rows} rows, more than its {size} bytes can; it is damaged")


def _encoding(options: Options) -> DataError:
    tried = f"encoding={options.encoding!r}" if options.encoding else "the encoding that the file names"
    return DataError(f'its texts cannot be read with {tried}; pass encoding=, such as encoding="cp1252"')


def assembled(
    columns: Mapping[str, Column], labels: Mapping[str, Mapping[Code, str]], meta: Any, decimal: str | None
) -> Imported:
    """The table, its labels and a note for each column with missing codes."""
    names, notes = plain_names(columns)
    found = dict(zip(names, columns.values(), strict=True))
    value_labels = {new: dict(labels[old]) for new, old in zip(names, columns, strict=True) if labels.get(old)}
    texts = {new: meta.column_names_to_labels.get(old) for new, old in zip(names, columns, strict=True)}
    frame, changes = plain_columns(pd.DataFrame({name: column.cells for name, column in found.items()}), decimal)
    for name, column in found.items():
        changes += missing_note(name, counts(column.missing_rows), value_labels.get(name, {}), column.system_missing)
    return Imported(
        frame,
        (*notes, *changes),
        value_labels={name: _fitting(frame[name], coded) for name, coded in value_labels.items()},
        variable_labels={name: text.strip() for name, text in texts.items() if text and text.strip()},
        missing_rows={name: column.missing_rows for name, column in found.items() if column.missing_rows},
        system_missing={name: column.system_missing for name, column in found.items() if column.system_missing},
    )


def counts(rows: CodeRows) -> dict[Code, int]:
    """How many rows carry each code."""
    return {code: len(where) for code, where in rows.items()}


def missing_note(name: str, counts: Mapping[Code, int], labels: Mapping[Code, str], system: int) -> list[str]:
    """Which codes were read as missing and how often, and how many cells had no code."""
    coded = [f"{code} {labels[code]!r}" if code in labels else str(code) for code in counts]
    parts = [f"{text} ({times(count)})" for text, count in zip(coded, counts.values(), strict=True)]
    without = [f"system-missing ({times(system)})"] * bool(system)
    if not parts:
        return [f"Column {name!r}: {without[0]}."] if without else []
    return [
        f"Column {name!r}: read as missing by their codes: {', '.join(parts)}{'; ' * bool(system)}{''.join(without)}."
    ]


def rows_by_code(codes: Sequence[Code | None]) -> CodeRows:
    """The rows that carry each code, codes in order: numbers first, then text."""
    counted = Counter(code for code in codes if code is not None)
    rows: dict[Code, list[int]] = {code: [] for code in sorted(counted, key=lambda code: (isinstance(code, str), code))}
    for row, code in enumerate(codes):
        if code is not None:
            rows[code].append(row)
    return {code: tuple(where) for code, where in rows.items()}


def as_floats(cells: Sequence[Any]) -> Array:
    """Numbers as doubles, NaN where there is none."""
    return np.array([np.nan if cell is None else cell for cell in cells], dtype="float64")


def _fitting(column: pd.Series, labels: Mapping[Code, str]) -> dict[Code, str]:
    """Codes of the type that the column has: text codes of a column that holds numbers become numbers."""
    if not pd.api.types.is_numeric_dtype(column):
        return dict(labels)
    return {_number(code): text for code, text in labels.items()}


def _number(code: Code) -> Code:
    if isinstance(code, str):
        try:
            number = float(code)
        except ValueError:
            return code
        return int(number) if number.is_integer() else number
    return code
