"""Item columns: found by a pattern or a list, and checked answer by answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns, suggestion

SHOWN = 10
Items = str | Sequence[str]


def item_columns(frame: pd.DataFrame, items: Items, where: str, count: int | None = None) -> list[str]:
    """Names of the item columns, in the order of the items.

    ``items`` is a pattern with braces for the number, ``"wai_{}"`` or ``"wai_{:02}"``, or a list of columns. With ``count``
    there must be that many; without, a pattern stands for every column that fits it, by number. Raises DataError where
    columns are absent, doubled, or of another number.
    """
    columns = _from_pattern(frame, items, where, count) if isinstance(items, str) else list(items)
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise DataError(f"{where}: items= names {', '.join(map(repr, repeated))} more than once")
    if not columns or (count is not None and len(columns) != count):
        raise DataError(
            f"{where}: items= names {len(columns)} columns; {'one or more' if count is None else count} are needed"
        )
    require_columns(frame.columns, columns, where)
    return columns


def _from_pattern(frame: pd.DataFrame, pattern: str, where: str, count: int | None) -> list[str]:
    fields = _fields(pattern, where)
    if fields == 0:
        if count not in (None, 1):
            raise AllianceError(
                f'{where}: items={pattern!r} has no {{}} for the number of the item; write items="{pattern}_{{}}", or a list'
            )
        return [pattern]
    present = _numbered(frame, pattern)
    if not present:
        raise DataError(f"{where}: items={pattern!r} fits no column{_near(frame, pattern)}; columns: {_names(frame)}")
    if count is None:
        return [present[number] for number in sorted(present)]
    return [pattern.format(number) for number in range(1, count + 1)]


def _fields(pattern: str, where: str) -> int:
    try:
        fields = [name for _, name, _, _ in Formatter().parse(pattern) if name is not None]
        pattern.format(1)
    except (ValueError, IndexError, KeyError) as problem:
        raise AllianceError(
            f'{where}: items={pattern!r} cannot be filled with item numbers; write one {{}}, as in "wai_{{}}"'
        ) from problem
    if len(fields) > 1:
        raise AllianceError(f'{where}: items={pattern!r} has {len(fields)} braces; write one {{}}, as in "wai_{{}}"')
    return len(fields)


def _numbered(frame: pd.DataFrame, pattern: str) -> dict[int, str]:
    """Columns that fit a pattern, by number."""
    head, _, _, _ = next(iter(Formatter().parse(pattern)))
    found = {}
    for name in map(str, frame.columns):
        digits = re.match(r"\d+", name[len(head) :]) if name.startswith(head) else None
        if digits and pattern.format(int(digits[0])) == name:
            found[int(digits[0])] = name
    return found


def _near(frame: pd.DataFrame, pattern: str) -> str:
    padded = pattern.replace("{}", "{:02}")
    if _numbered(frame, padded):
        return f" (did you mean items={padded!r}?)"
    return suggestion(pattern.format(1), list(map(str, frame.columns)))


def _names(frame: pd.DataFrame) -> str:
    names = list(map(str, frame.columns))
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(names[:40]) + more


def numbers(frame: pd.DataFrame, columns: Sequence[str], where: str) -> np.ndarray:
    """The columns as numbers, shape (rows, columns), missing ones NaN; DataError naming every column that holds text."""
    parts = [_column(frame[name]) for name in columns]
    text = [
        f"- column {name!r} holds text ({_texts(frame[name])}), not numbers; recode the options to numbers first"
        for name, values in zip(columns, parts, strict=True)
        if values is None
    ]
    if text:
        raise DataError("\n".join([f"{where}:", *text]))
    return np.column_stack([values for values in parts if values is not None])


def _column(column: pd.Series[Any]) -> np.ndarray | None:
    if column.dtype == object:
        column = column.convert_dtypes()
    if column.isna().all():
        return np.full(len(column), np.nan)
    if isinstance(column.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(column):
        return None
    return column.to_numpy(dtype=float, na_value=np.nan)


def _texts(column: pd.Series[Any]) -> str:
    values = [repr(str(value)) for value in column.dropna().unique()[:3]]
    return ", ".join(values)


def require_answers(values: np.ndarray, columns: Sequence[str], low: float, high: float, where: str) -> None:
    """DataError naming every column with answers outside the range or between the options, and the rows.

    Rows are counted from 1; at most ten are shown for each column.
    """
    given = ~np.isnan(values)
    outside = given & ((values < low) | (values > high))
    with np.errstate(invalid="ignore"):
        between = given & ~outside & (values != np.round(values))
    lines = [
        f"- column {name!r}: {what}, {_cells(values[:, j], bad[:, j])}"
        for j, name in enumerate(columns)
        for what, bad in ((f"not in the range {low:g} to {high:g}", outside), ("not a whole number", between))
        if bad[:, j].any()
    ]
    if lines:
        advice = "A code for missing or 'does not apply' must be made missing first; another coding goes into range=."
        raise DataError("\n".join([f"{where} (row 1 is the first row):", *lines, advice]))


def _cells(column: np.ndarray, bad: np.ndarray) -> str:
    rows = np.flatnonzero(bad)
    shown = ", ".join(str(row + 1) for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    values = ", ".join(dict.fromkeys(f"{column[row]:g}" for row in rows[:SHOWN]))
    return f"row{'s' * (len(rows) > 1)} {shown}{more}: {values}"
