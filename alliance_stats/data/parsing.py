"""One column under its declaration: its values in the declared type, and the rules that they have to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from alliance_stats.data.cells import COMMA_NUMBER, EXACT, POINT_NUMBER
from alliance_stats.data.variables import Variable

# A rule takes a column as it came and answers True for every value that keeps it.
ISO_DATE = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?"
Rule = Callable[[pd.Series], pd.Series]


def as_numbers(column: pd.Series) -> pd.Series:
    """The column as float64, with NaN for what is missing and for what is not a number."""
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype="float64", na_value=np.nan)
        return pd.Series(values, index=column.index, name=column.name)
    text = _stripped(column)
    return text.where(_matches(text, POINT_NUMBER)).astype(object).astype("float64")


def as_dates(column: pd.Series) -> pd.Series:
    """The column as datetimes, NaT for what is missing and for what is no date of the form 2024-03-31 (a time may follow)."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None) if column.dt.tz is not None else column
    if pd.api.types.is_numeric_dtype(column):
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us]")
    text = _stripped(column)
    return pd.to_datetime(text.where(_matches(text, ISO_DATE)), format="ISO8601", errors="coerce").astype(
        "datetime64[us]"
    )


def as_text(column: pd.Series) -> pd.Series:
    """The column as text without stray spaces; a whole number has no decimal point, so that 1.0 is level "1"."""
    return _stripped(without_point(column))


def without_point(column: pd.Series) -> pd.Series:
    """A float column that holds whole numbers only as Int64, so that it prints 1 and not 1.0; others as they are."""
    if not pd.api.types.is_float_dtype(column):
        return column
    observed = as_numbers(column).dropna()
    whole = (observed == np.floor(observed)) & (observed.abs() < EXACT)
    return column.astype("Int64") if whole.all() else column


def as_identifier(column: pd.Series) -> pd.Series:
    """Keys as they came; text without stray spaces, and missing where nothing is left."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column
    if pd.api.types.is_string_dtype(column):
        stripped = column.str.strip()
        return stripped.mask(stripped == "")
    if column.dtype == object:
        stripped = column.map(lambda value: value.strip() if isinstance(value, str) else value)
        return stripped.mask(stripped == "")
    return column


def typed(column: pd.Series, variable: Variable) -> pd.Series:
    """The column in its declared type; a value that has no place in it becomes missing.

    Whole numbers are int64 where none is missing, all other numbers float64.
    """
    if variable.kind == "identifier":
        return as_identifier(column)
    if variable.kind == "date":
        return as_dates(column)
    if variable.levels is not None:
        text = as_text(column)
        levels = pd.CategoricalDtype(list(variable.levels))
        return text.where(text.isin(variable.levels)).astype(levels)
    if variable.integer and isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return column.astype("int64")
    numbers = as_numbers(column)
    return numbers.astype("int64") if variable.integer and _fits_int64(numbers) else numbers


def key_table(frame: pd.DataFrame, variables: Sequence[Variable]) -> pd.DataFrame:
    """The key columns in their declared types; no column where a key that is not optional is absent."""
    keys = [variable for variable in variables if variable.key]
    if any(key.name not in frame.columns and not key.optional for key in keys):
        keys = []
    present = [key for key in keys if key.name in frame.columns]
    return pd.DataFrame({key.name: typed(frame[key.name], key) for key in present}, index=frame.index)


def rules(variable: Variable) -> dict[str, Rule]:
    """The rules that the declaration implies, by name, in the order in which breaches are listed."""
    found: dict[str, Rule] = {}
    if variable.required:
        found["missing"] = lambda column: as_identifier(column).notna()
    if variable.levels is not None:
        found["level"] = lambda column: as_text(column).isin(variable.levels or ()) | _absent(column, variable)
    if variable.kind == "date":
        found["date"] = lambda column: as_dates(column).notna() | _absent(column, variable)
    if variable.kind == "number":
        found["decimal comma"] = lambda column: ~_is_decimal_comma(column)
        found["text"] = lambda column: (
            as_numbers(column).notna() | _absent(column, variable) | _is_decimal_comma(column)
        )
        found["infinite"] = lambda column: ~np.isinf(as_numbers(column))
    if variable.integer:
        found["integer"] = _keeps(lambda numbers: numbers == np.floor(numbers))
    if variable.range is not None:
        low, high = variable.range
        found["range"] = _keeps(lambda numbers: numbers.between(low, high))
    return found


def _fits_int64(numbers: pd.Series) -> bool:
    return bool(((numbers == np.floor(numbers)) & (numbers.abs() < EXACT)).all())


def _keeps(rule: Rule) -> Rule:
    """A rule on finite numbers; the other values have broken a rule of their own already."""

    def keeps(column: pd.Series) -> pd.Series:
        numbers = as_numbers(column)
        kept: pd.Series = rule(numbers) | ~np.isfinite(numbers)
        return kept

    return keeps


def _absent(column: pd.Series, variable: Variable) -> pd.Series:
    """Missing values; an empty text counts as one where the rule on missing values reports it."""
    return as_identifier(column).isna() if variable.required else column.isna()


def _stripped(column: pd.Series) -> pd.Series:
    return column.astype("str").str.strip()


def _matches(text: pd.Series, pattern: str) -> pd.Series:
    return text.str.fullmatch(pattern).fillna(False).astype(bool)


def _is_decimal_comma(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return pd.Series(False, index=column.index)
    text = _stripped(column)
    return _matches(text, COMMA_NUMBER) & ~_matches(text, POINT_NUMBER)
