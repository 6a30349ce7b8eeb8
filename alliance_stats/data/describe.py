"""Descriptive statistics in one tidy table, with the share of values at the scale's end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from alliance_stats.data.names import refuse_doubles, suggestion
from alliance_stats.errors import DataError

MISSING_GROUP = "(missing)"
STATISTICS = ("n", "missing", "mean", "sd", "skew", "minimum", "maximum", "at_maximum", "scale_maximum")


def describe(
    frame: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    maximum: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Count, centre, spread, skewness and ceiling of numeric columns, whole or by group.

    Parameters
    ----------
    frame : DataFrame
        One row for each observation.
    by : str or sequence of str, optional
        Columns that make the groups; rows without a group are a group of their own, "(missing)".
    columns : str or sequence of str, optional
        The columns to describe, in their units; by default every numeric one that is not in `by`.
    maximum : mapping, optional
        The largest value that a scale allows, by column: ``{"wai_sr_total": 60}``.

    Returns
    -------
    DataFrame
        One row for each column and group: `variable`, the columns of `by`, `n` (observed values), `missing`,
        `mean`, `sd` (n − 1), `skew`, `minimum`, `maximum` (observed), `at_maximum` (share of the observed values
        that equal `scale_maximum`), and `scale_maximum` (from the argument, otherwise the largest value
        in the whole column, so that the groups share it). What cannot be computed is NaN: `sd` below 2
        values, `skew` below 3 or without spread.

    Raises
    ------
    DataError
        If a column is absent, not numeric or infinite, if a value exceeds its declared maximum, or if a
        column of `by` bears a name of the table's own.

    Notes
    -----
    `skew` is the adjusted Fisher–Pearson coefficient, G1 = n/((n − 1)(n − 2)) Σ((x − x̄)/s)³, which SPSS prints
    (Joanes & Gill 1998, doi 10.1111/1467-9884.00122).

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": ["GE", "GE", "MCE", "MCE"], "wai": [60, 48, 60, None]})
    >>> describe(frame, by="arm", maximum={"wai": 60})[["variable", "arm", "n", "missing", "mean", "at_maximum"]]
      variable  arm  n  missing  mean  at_maximum
    0      wai   GE  2        0  54.0         0.5
    1      wai  MCE  1        1  60.0         1.0
    """
    groupers = _as_names(by)
    chosen = _numeric_columns(frame, groupers) if columns is None else _as_names(columns)
    _refuse(frame, groupers, chosen, maximum or {})
    groups = list(_groups(frame, groupers))
    rows = []
    for name in chosen:
        values = _values(frame, name)
        end = _scale_maximum(name, values, maximum or {})
        rows += [{"variable": name, **labels, **_statistics(values[where], end)} for labels, where in groups]
    table = pd.DataFrame(rows, columns=["variable", *groupers, *STATISTICS])
    return table.astype({"n": "int64", "missing": "int64"})


def _as_names(names: str | Sequence[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _numeric_columns(frame: pd.DataFrame, groupers: Sequence[str]) -> list[str]:
    found = [name for name in frame.columns if name not in groupers and _is_numeric(frame[name])]
    if not found:
        raise DataError("describe: no numeric column to describe; name some in columns=")
    return found


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _refuse(
    frame: pd.DataFrame, groupers: Sequence[str], chosen: Sequence[str], maximum: Mapping[str, float]
) -> None:
    names = [str(name) for name in frame.columns]
    refuse_doubles(names, "rename them before describing")
    for argument, wanted, present in (
        ("by", groupers, names),
        ("columns", chosen, names),
        ("maximum", list(maximum), list(chosen)),
    ):
        absent = [name for name in wanted if name not in present]
        if absent:
            hints = "".join(suggestion(name, present) for name in absent)
            raise DataError(
                f"describe: {argument}= names {', '.join(map(repr, absent))}, which is not among "
                f"{', '.join(map(repr, present))}{hints}"
            )
    ...
