"""Columns that come as typed cells (a sheet's, a parquet file's), brought under the rules that hold for text files."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.cells import EXACT, typed_columns, whole_numbers
from alliance_stats.data.imported import plain_code
from alliance_stats.errors import DataError

_WORDS = {"number": "number", "truth": "truth value", "moment": "date", "duration": "duration", "time": "time of day"}


def plain_columns(frame: pd.DataFrame, decimal: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The columns as int64, float64, text, datetime or duration, and a sentence for each change that would not show.

    Text columns go the way of a text file's: numbers, missing words, stray spaces and decimal marks.
    """
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.StringDtype)]
    read, notes = typed_columns(frame[texts].astype("str"), decimal)
    columns: dict[str, pd.Series] = {}
    for name in frame.columns:
        if name in texts:
            columns[name] = read[name]
        else:
            columns[name], changes = _plain(name, frame[name], decimal)
            notes += changes
    return pd.DataFrame(columns, index=frame.index), notes


def _plain(name: str, column: pd.Series, decimal: str | None) -> tuple[pd.Series, list[str]]:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        plain, notes = column_of_objects(name, list(column.astype(object)), decimal)
        return plain, [f"Column {name!r}: categories read as their values, without their order.", *notes]
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_object_dtype(dtype):
        return column_of_objects(name, list(column.astype(object)), decimal)
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return column.dt.as_unit("us"), []
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return whole_numbers(column), []
    raise _no_table(name, str(dtype))


def column_of_objects(name: str, cells: Sequence[Any], decimal: str | None) -> tuple[pd.Series, list[str]]:
    """One column of Python objects. None is missing without a word; text in it is read as a text file's would be."""
    texts = pd.Series([cell if isinstance(cell, str) else None for cell in cells], dtype="str")
    natives = [None if isinstance(cell, str) or _is_missing(cell) else cell for cell in cells]
    kinds = Counter(_kind(name, cell) for cell in natives if cell is not None)
    read, notes = typed_columns(pd.DataFrame({name: texts}), decimal)
    words = read[name]
    if not kinds:
        return words, notes
    numeric = pd.api.types.is_numeric_dtype(words)
    kind = next(iter(kinds)) if len(kinds) == 1 else "several"
    if kind == "number" and numeric and _exact(natives):
        return _numbers(words, natives), notes + _text_numbers_note(name, int(words.notna().sum()))
    if numeric and words.isna().all() and kind in ("truth", "moment", "duration"):
        column, changes = _typed(name, natives, kind)
        return column, notes + changes
    return _as_text(texts, words, natives), notes + _mixed_note(name, kinds, texts, words)


def _is_missing(cell: Any) -> bool:
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def _kind(name: str, cell: Any) -> str:
    if isinstance(cell, (bool, np.bool_)):
        return "truth"
    if isinstance(cell, (int, float, np.integer, np.floating, Decimal)):
        return "number"
    if isinstance(cell, (dt.date, np.datetime64)):  # a datetime is a date
        return "moment"
    if isinstance(cell, (dt.timedelta, np.timedelta64)):
        return "duration"
    if isinstance(cell, dt.time):
        return "time"
    raise _no_table(name, type(cell).__name__)


def _no_table(name: str, found: str) -> DataError:
    return DataError(
        f"column {name!r} holds values of the type {found}; write numbers, text or dates, one in each cell"
    )


def _exact(natives: Sequence[Any]) -> bool:
    """Whether all are held by their type: a whole number beyond 2^53 cannot stand in a column with missing values."""
    large = any(isinstance(cell, (int, np.integer)) and abs(int(cell)) >= EXACT for cell in natives)
    return not (large and any(cell is None for cell in natives))


def _numbers(words: pd.Series, natives: Sequence[Any]) -> pd.Series:
    if all(isinstance(cell, (int, np.integer)) for cell in natives):
        return pd.Series(natives, dtype="int64")
    values = pd.Series([np.nan if cell is None else float(cell) for cell in natives], dtype="float64")
    return whole_numbers(values.where(values.notna(), words.astype("float64")))


def _text_numbers_note(name: str, count: int) -> list[str]:
    return [f"Column {name!r}: {count} number{'s' * (count > 1)} stored as text read as numbers."] if count else []


def _typed(name: str, natives: Sequence[Any], kind: str) -> tuple[pd.Series, list[str]]:
    if kind == "truth":
        values = pd.Series([np.nan if cell is None else float(cell) for cell in natives], dtype="float64")
        return whole_numbers(values), [f"Column {name!r}: true and false read as 1 and 0."]
    if kind == "duration":
        return pd.Series(pd.to_timedelta(pd.Series(natives, dtype=object))).dt.as_unit("us"), []
    return pd.Series(pd.to_datetime(pd.Series(natives, dtype=object))).dt.as_unit("us"), []


def _as_text(texts: pd.Series, words: pd.Series, natives: Sequence[Any]) -> pd.Series:
    """Text where text stands, unless it is a missing word, and every other cell as a person would write it."""
    kept = texts.str.strip().where(words.notna())
    written = [None if cell is None else _written(cell) for cell in natives]
    return kept.where(kept.notna(), pd.Series(written, dtype="str"))


def _written(cell: Any) -> str:
    if isinstance(cell, (bool, np.bool_)):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if isinstance(cell, (float, np.floating, Decimal)):
        return str(plain_code(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ").removesuffix(" 00:00:00")
    return cell.isoformat() if isinstance(cell, (dt.date, dt.time)) else str(cell)


def _mixed_note(name: str, kinds: Counter[str], texts: pd.Series, words: pd.Series) -> list[str]:
    count = int(words.notna().sum())
    found = [(number, _WORDS[kind]) for kind, number in kinds.items()] + [(count, "text")] * bool(count)
    counted = [f"{number} {word}" if number == 1 else f"{number} {_plural(word)}" for number, word in found]
    return [f"Column {name!r}: kept as text, because it holds {' and '.join(counted)}."]


def _plural(word: str) -> str:
    return "times of day" if word == "time of day" else f"{word}s"
