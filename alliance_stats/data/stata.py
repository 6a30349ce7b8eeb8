"""Reading Stata files: the extended missing values .a to .z become missing and stay known, dates become datetimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.dates import stata_dates
from alliance_stats.data.imported import Code, Imported, Options, plain_code
from alliance_stats.data.readstat import Column, as_floats, assembled, parse, rows_by_code


def read_stata(path: Path, options: Options) -> Imported:
    """Table, labels and missing codes of a .dta file."""
    cells, meta = parse(path, options, "read_dta")
    columns = {}
    for name, values in cells.items():
        if meta.readstat_variable_types[name] == "string":
            columns[name] = Column(pd.Series(values, dtype="str"), {}, 0)
        else:
            columns[name] = _numbers(values, meta.original_variable_types[name])
    labels = {name: _labels(found) for name, found in meta.variable_value_labels.items()}
    return assembled(columns, labels, meta, options.decimal)


def _numbers(cells: Sequence[Any], format: str) -> Column:
    """A letter in a column of numbers is an extended missing value."""
    codes: list[Code | None] = [f".{cell}" if isinstance(cell, str) else None for cell in cells]
    values = as_floats([None if isinstance(cell, str) else cell for cell in cells])
    dates = stata_dates(values, format)
    column = pd.Series(values) if dates is None else dates
    system = sum(code is None for code in codes) - int(column.notna().sum())
    return Column(column, rows_by_code(codes), system)


def _labels(found: Mapping[Any, str]) -> dict[Code, str]:
    return {f".{code}" if isinstance(code, str) else plain_code(code): text for code, text in found.items()}
