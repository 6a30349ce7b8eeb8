"""Missing codes that a study declares, such as 999: made missing before any rule is asked, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from alliance_stats.data.imported import Code, CodeRows, plain_code
from alliance_stats.data.missing_codes import attributes
from alliance_stats.data.parsing import as_numbers, as_text
from alliance_stats.data.readstat import counts, missing_note, rows_by_code
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError


def without_missing_codes(frame: pd.DataFrame, variables: Sequence[Variable]) -> pd.DataFrame:
    """A copy in which the declared codes are missing, with notes, counts and rows in `attrs`; or the frame itself."""
    found = {
        variable.name: codes
        for variable in variables
        if variable.missing_codes and variable.name in frame.columns
        for codes in [_codes(frame[variable.name], variable)]
        if codes.notna().any()
    }
    if not found:
        return frame
    masked = frame.copy()
    for name, codes in found.items():
        masked[name] = frame[name].mask(codes.notna())
    by_name = {variable.name: variable for variable in variables}
    rows = {name: _row_labels(codes) for name, codes in found.items()}
    meanings = {name: {plain_code(code): text for code, text in by_name[name].missing_codes.items()} for name in found}
    notes = [note for name in found for note in missing_note(name, counts(rows[name]), meanings[name], 0)]
    for key, added in {**attributes(rows, {}), "value_labels": meanings}.items():
        masked.attrs[key] = _merged(frame.attrs.get(key, {}), added)
    masked.attrs["notes"] = (*frame.attrs.get("notes", ()), *notes)
    return masked


def _codes(column: pd.Series, variable: Variable) -> pd.Series:
    """The code that each row carries, None where it carries a value."""
    if variable.kind == "number":
        declared: dict[Any, Code] = {float(code): plain_code(code) for code in variable.missing_codes}
        values = as_numbers(column)
    else:
        declared = {str(plain_code(code)): plain_code(code) for code in variable.missing_codes}
        values = as_text(column)
    return pd.Series([declared.get(value) for value in values], index=column.index, dtype=object)


def _row_labels(codes: pd.Series) -> CodeRows:
    """The rows of each code by their labels, under which they are found again in a part of the frame."""
    index = codes.index
    if not pd.api.types.is_integer_dtype(index.dtype) or not index.is_unique:
        raise DataError("check: missing codes need rows that are numbered once each; use reset_index(drop=True) first")
    found = rows_by_code(list(codes))
    return {code: tuple(int(label) for label in index[list(where)]) for code, where in found.items()}


def _merged(earlier: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """What was known of each column, with what is known now."""
    return {**earlier, **{name: {**earlier.get(name, {}), **codes} for name, codes in added.items()}}
