"""From the text in a file's cells to numbers and missing values, with every change counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.data.imported import times
from alliance_stats.errors import DataError

# Compared in small letters. Codes such as 999 are not here: only the study knows them, and its ranges find them.
_WORDS = {"", ".", "na", "n/a", "n.a.", "n.a", "nan", "null", "<na>"}
# What a spreadsheet shows where a formula has no result.
_FAILED_FORMULAS = {"#n/a", "#null!", "#div/0!", "#num!", "#value!", "#ref!", "#name?"}
MISSING_WORDS = frozenset(_WORDS | _FAILED_FORMULAS)

POINT_NUMBER = r"(?:[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|Inf|INF))"
COMMA_NUMBER = POINT_NUMBER.replace(r"\.", ",")
EXACT = 2.0**53  # below this a double holds every whole number
# Numbers that would not come back as they were written: 007 as 7, a long card number rounded.
_CODE = r"(?:[+-]?(?:0[0-9]+|[0-9]{16,}))"


def typed_columns(frame: pd.DataFrame, decimal: str | None) -> tuple[pd.DataFrame, list[str]]:
    """Text columns as numbers where every value is one, and a sentence for each change that would not show.

    Raises DataError where the decimal mark of a column is not the one that was declared.
    """
    texts = {name: _without_missing_words(frame[name]) for name in frame.columns}
    _refuse_other_decimal_mark(texts, decimal)
    mark = decimal or "."
    notes: list[str] = []
    columns: dict[str, pd.Series] = {}
    for name, text in texts.items():
        columns[name] = _numbers(text, mark)
        notes += _missing_note(name, frame[name], text) + _code_note(name, columns[name], mark)
        columns[name], stray = _without_stray_spaces(name, columns[name])
        notes += stray
    return pd.DataFrame(columns, index=frame.index), notes


def whole_numbers(column: pd.Series) -> pd.Series:
    """The numbers as int64 where all are whole and none is missing, otherwise as float64.

    What a column holds decides, not how a format keeps it, so that every format gives the same frame.
    """
    if column.dtype == np.dtype("int64"):
        return column
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    whole = bool(((np.floor(values) == values) & (np.abs(values) < EXACT)).all())
    return pd.Series(values, index=column.index, name=column.name, dtype="int64" if whole else "float64")


def _without_missing_words(cells: pd.Series) -> pd.Series:
    return cells.mask(cells.str.strip().str.lower().isin(MISSING_WORDS))


def _numbers(text: pd.Series, mark: str) -> pd.Series:
    """The column as numbers where every observed value is one, otherwise as it was."""
    observed = text.dropna().str.strip()
    if observed.empty:
        return text.astype("float64")
    if not observed.str.fullmatch(_number(mark)).all() or observed.str.fullmatch(_CODE).any():
        return text
    # Python's own conversion gives back the very double that was written; a faster one may miss by a bit.
    as_written = observed.str.replace(mark, ".", regex=False).astype(object)
    return whole_numbers(as_written.astype("float64").reindex(text.index))


def _number(mark: str) -> str:
    return COMMA_NUMBER if mark == "," else POINT_NUMBER


def _missing_note(name: str, cells: pd.Series, text: pd.Series) -> list[str]:
    words = cells[text.isna()].str.strip().value_counts(sort=False).sort_index()
    if words.empty:
        return []
    counted = [f"{repr(word) if word else 'empty'} ({times(count)})" for word, count in words.items()]
    return [f"Column {name!r}: read as missing: {', '.join(counted)}."]


def _without_stray_spaces(name: str, column: pd.Series) -> tuple[pd.Series, list[str]]:
    """Text without spaces around it, which would make two patients of one, or two arms."""
    if pd.api.types.is_numeric_dtype(column):
        return column, []
    stripped = column.str.strip()
    count = int((stripped != column)[column.notna()].sum())
    if not count:
        return column, []
    return stripped, [f"Column {name!r}: stray spaces taken off {count} value{'s' * (count > 1)}."]


def _code_note(name: str, column: pd.Series, mark: str) -> list[str]:
    if pd.api.types.is_numeric_dtype(column):
        return []
    observed = column.dropna().str.strip()
    if not observed.str.fullmatch(_number(mark)).all():
        return []
    code = observed[observed.str.fullmatch(_CODE)].iloc[0]
    return [f"Column {name!r}: kept as text, because {code!r} would not come back from a number as written."]


def _refuse_other_decimal_mark(texts: dict[str, pd.Series], decimal: str | None) -> None:
    """A column of numbers under an undeclared mark is never guessed; decimal="." says that commas are text."""
    if decimal == ".":
        return
    marks = {name: _marks(text) for name, text in texts.items()}
    wrong = {name: found for name, found in marks.items() if found - {decimal or "."}}
    if not wrong:
        return
    columns = ", ".join(repr(name) for name in wrong)
    if decimal == ",":
        raise DataError(
            f'decimal points in columns {columns}, although decimal="," was given; '
            "write every number of the file with the same decimal mark"
        )
    mixed = [name for name, found in wrong.items() if len(found) > 1]
    raise DataError(
        f'numbers with a comma in columns {columns}, such as {_example(texts[next(iter(wrong))])!r}; pass decimal="," '
        'if the comma is the decimal mark, or decimal="." to keep these columns as text'
        + (f"; {', '.join(map(repr, mixed))} mix commas and points: use one mark in the file" if mixed else "")
    )


def _marks(text: pd.Series) -> set[str]:
    """The decimal marks in a column of which every observed value is a number under one mark or the other."""
    observed = text.dropna().str.strip()
    if not observed.str.fullmatch(f"(?:{POINT_NUMBER}|{COMMA_NUMBER})").all():
        return set()
    return {mark for mark in ".," if observed.str.contains(mark, regex=False).any()}


def _example(text: pd.Series) -> str:
    observed = text.dropna().str.strip()
    return str(observed[observed.str.contains(",", regex=False)].iloc[0])
