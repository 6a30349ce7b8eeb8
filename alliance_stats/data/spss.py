"""Reading SPSS files: user-missing values become missing and stay known, dates become datetimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.dates import spss_dates
from alliance_stats.data.imported import Code, Imported, Options, plain_code
from alliance_stats.data.readstat import Array, Column, as_floats, assembled, parse, rows_by_code

Ranges = Sequence[Mapping[str, Any]]


def read_spss(path: Path, options: Options) -> Imported:
    """Table, labels and missing codes of a .sav or .zsav file."""
    cells, meta = parse(path, options, "read_sav")
    columns = {}
    for name, values in cells.items():
        ranges = meta.missing_ranges.get(name, [])
        if meta.readstat_variable_types[name] == "string":
            columns[name] = _text(values, ranges)
        else:
            columns[name] = _numbers(as_floats(values), ranges, meta.original_variable_types[name])
    labels = {
        name: {plain_code(code): text for code, text in found.items()}
        for name, found in meta.variable_value_labels.items()
    }
    return assembled(columns, labels, meta, options.decimal)


def _text(cells: Sequence[str | None], ranges: Ranges) -> Column:
    missing = {str(found["lo"]).strip() for found in ranges}
    codes: list[Code | None] = [
        cell.strip() if cell is not None and cell.strip() in missing else None for cell in cells
    ]
    texts = [None if code is not None else cell for cell, code in zip(cells, codes, strict=True)]
    return Column(pd.Series(texts, dtype="str"), rows_by_code(codes), 0)


def _numbers(values: Array, ranges: Ranges, format: str) -> Column:
    user_missing = np.zeros(values.shape, dtype=bool)
    for found in ranges:
        user_missing |= (values >= float(found["lo"])) & (values <= float(found["hi"]))
    codes = [plain_code(value) if here else None for value, here in zip(values, user_missing, strict=True)]
    kept = np.where(user_missing, np.nan, values)
    dates = spss_dates(kept, format)
    column = pd.Series(kept) if dates is None else dates
    return Column(column, rows_by_code(codes), int(np.isnan(values).sum()))
