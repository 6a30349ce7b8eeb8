"""A data dictionary: the declarations of the variables as a table that people fill in, in csv or a spreadsheet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.codebook import csv_bytes
from alliance_stats.data.reading import read_table
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError, suggestion

FLAGS = ("key", "integer", "optional", "missing", "identifier", "date")
COLUMNS = (
    "name", "meaning", "unit", "low", "high", "levels", "key", "integer", "optional", "missing", "identifier",
    "date", "not_before", "labels", "missing_codes",
)  # fmt: skip
MOST_LEVELS = 10  # of a text column that is drafted as categorical
_DEFAULTS = {f.name: f.default for f in fields(Variable)}


def read_dictionary(path: str | os.PathLike[str]) -> tuple[Variable, ...]:
    """Read the declarations of variables from a table with one row a variable (csv, tsv, xlsx).

    Columns: ``name`` and ``meaning`` (needed); ``unit``; ``low`` and ``high``, the ends of the range (one may be empty);
    ``levels``, the categories with ``|`` between them; ``labels`` and ``missing_codes``, as ``1 = never | 7 = always``;
    ``not_before``; and ``key integer optional missing identifier date``, each yes, no or empty (see `Variable`).

    Returns one `Variable` a row. Raises DataError naming every row that cannot be read and what to write there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "dictionary.csv"
    ...     _ = file.write_text("name,meaning,low,high,levels\\npain,Average pain,0,10,\\narm,Arm,,,exercise | advice\\n")
    ...     pain, arm = read_dictionary(file)
    >>> pain.range, arm.levels
    ((0.0, 10.0), ('exercise', 'advice'))
    """
    table = read_table(path)
    _check_columns(table, Path(path).name)
    text = table.map(lambda cell: "" if pd.isna(cell) else str(cell).strip())
    found, faults = [], []
    for number, row in enumerate(text.to_dict("records"), start=1):
        try:
            found.append(_variable({str(name): cell for name, cell in row.items()}))
        except DataError as problem:
            faults.append(f"row {number}: {problem}")
    repeated = sorted({v.name for v in found if [w.name for w in found].count(v.name) > 1})
    faults += [f"{name!r} is declared more than once" for name in repeated]
    if faults:
        raise DataError(f"{Path(path).name}: " + "; ".join(faults))
    return tuple(found)


def write_dictionary(variables: Sequence[Variable], path: str | os.PathLike[str]) -> Path:
    """Write declarations as a csv table that `read_dictionary` reads back; an existing file is not replaced.

    Raises DataError where the file exists.
    """
    file = Path(path)
    if file.exists():
        raise DataError(f"{file} exists; give another name, or remove it first")
    file.write_bytes(csv_bytes(pd.DataFrame([_row(v) for v in variables], columns=list(COLUMNS))))
    return file


def draft_dictionary(frame: pd.DataFrame) -> tuple[Variable, ...]:
    """A first dictionary of a frame, to be completed by hand.

    Names and kinds come from the columns, levels from short text columns, meanings, labels and missing codes from what
    an SPSS or Stata file said (see `read_table`). Ranges are not guessed: a range says what is possible, not what occurred.

    >>> [v.kind for v in draft_dictionary(pd.DataFrame({"arm": ["a", "b", "a"], "pain": [3.0, 4.0, 2.5]}))]
    ['level', 'number']
    """
    return tuple(_drafted(str(name), frame) for name in frame.columns)


def _drafted(name: str, frame: pd.DataFrame) -> Variable:
    column, said = frame[name], frame.attrs
    meaning = said.get("variable_labels", {}).get(name, "what was measured, in words")
    if pd.api.types.is_numeric_dtype(column):
        labels = said.get("value_labels", {}).get(name, {})
        absent = {code: labels.get(code, "missing") for code in said.get("user_missing", {}).get(name, {})}
        kept = {code: text for code, text in labels.items() if code not in absent and not isinstance(code, str)}
        return Variable(
            name, meaning, labels=kept, missing_codes={c: t for c, t in absent.items() if not isinstance(c, str)}
        )
    if pd.api.types.is_datetime64_any_dtype(column):
        return Variable(name, meaning, date=True)
    levels = sorted({str(value) for value in column.dropna()})
    if 0 < len(levels) <= MOST_LEVELS and len(levels) < column.notna().sum():
        return Variable(name, meaning, levels=tuple(levels))
    return Variable(name, meaning, identifier=True)


def _check_columns(table: pd.DataFrame, file: str) -> None:
    absent = [name for name in ("name", "meaning") if name not in table]
    if absent:
        raise DataError(f"{file}: no column {absent[0]!r}; a dictionary has the columns {', '.join(COLUMNS)}")
    unknown = [str(name) for name in table if name not in COLUMNS]
    if unknown:
        near = suggestion(unknown[0], COLUMNS)
        raise DataError(
            f"{file}: unknown column {unknown[0]!r}{near}; a dictionary has the columns {', '.join(COLUMNS)}"
        )


def _variable(cells: Mapping[str, str]) -> Variable:
    if not cells["name"]:
        raise DataError("no name; write the column's name, or remove the row")
    arguments: dict[str, Any] = {name: cells[name] for name in ("meaning", "unit", "not_before") if cells.get(name)}
    arguments |= {name: _flag(cells[name], name) for name in FLAGS if cells.get(name)}
    arguments |= {name: read(cells[name], name) for name, read in _LISTS.items() if cells.get(name)}
    if cells.get("low") or cells.get("high"):
        arguments["range"] = (_end(cells.get("low", ""), "-inf", "low"), _end(cells.get("high", ""), "inf", "high"))
    return Variable(cells["name"], **{"meaning": ""} | arguments)


def _flag(cell: str, name: str) -> bool:
    if cell.lower() not in ("yes", "no"):
        raise DataError(f"{name} is {cell!r}; write yes or no, or leave it empty")
    return cell.lower() == "yes"


def _end(cell: str, otherwise: str, name: str) -> float:
    try:
        return float(cell or otherwise)
    except ValueError:
        raise DataError(f"{name} is {cell!r}; write a number, or leave it empty") from None


def _levels(cell: str, name: str) -> tuple[str, ...]:
    return tuple(level.strip() for level in cell.split("|"))


def _codes(cell: str, name: str) -> dict[int | float | str, str]:
    pairs = [part.partition("=") for part in cell.split("|")]
    if not all(equals for _, equals, _ in pairs):
        raise DataError(f"{name} is {cell!r}; write 1 = never | 7 = always")
    return {_code(code.strip()): text.strip() for code, _, text in pairs}


def _code(text: str) -> int | float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value


_LISTS: dict[str, Callable[[str, str], Any]] = {"levels": _levels, "labels": _codes, "missing_codes": _codes}


def _row(variable: Variable) -> dict[str, str]:
    flags = {n: "yes" if getattr(variable, n) else "no" for n in FLAGS if getattr(variable, n) != _DEFAULTS[n]}
    low, high = variable.range or (float("-inf"), float("inf"))
    ends = {n: f"{end:.15g}" for n, end in (("low", low), ("high", high)) if abs(end) < float("inf")}
    codes = {
        name: " | ".join(f"{code} = {text}" for code, text in getattr(variable, name).items())
        for name in ("labels", "missing_codes")
    }
    return {
        "name": variable.name, "meaning": variable.meaning, "unit": variable.unit, "not_before": variable.not_before,
        "levels": " | ".join(variable.levels or ()), **ends, **flags, **codes,
    }  # fmt: skip
