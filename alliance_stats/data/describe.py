"""Descriptive statistics in one tidy table, with the share of values at the scale's end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.names import refuse_doubles
from alliance_stats.errors import DataError, require_columns

Array = np.ndarray[Any, np.dtype[np.float64]]

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


def _refuse(frame: pd.DataFrame, groupers: Sequence[str], chosen: Sequence[str], maximum: Mapping[str, float]) -> None:
    if frame.empty:
        raise DataError("describe: the table has no rows")
    names = [str(name) for name in frame.columns]
    refuse_doubles(names, "rename them before describing")
    refuse_doubles(groupers, "name each column once in by=")
    require_columns(names, groupers, "describe: by=")
    require_columns(names, chosen, "describe: columns=")
    require_columns(chosen, maximum, "describe: maximum=")
    taken = [name for name in groupers if name in ("variable", *STATISTICS)]
    if taken:
        raise DataError(f"describe: by={', '.join(map(repr, taken))} is a column of the answer; rename it first")
    text = [name for name in chosen if not _is_numeric(frame[name])]
    if text:
        raise DataError(f"describe: {', '.join(map(repr, text))} not numeric; describe numbers only")


def _groups(frame: pd.DataFrame, groupers: list[str]) -> Iterator[tuple[dict[str, object], np.ndarray[Any, Any]]]:
    """Each group's labels and the positions of its rows, in sorted order, the missing ones last."""
    if not groupers:
        yield {}, np.arange(len(frame))
        return
    codes = frame.groupby(groupers, dropna=False, observed=True, sort=True).ngroup().to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    for where in np.split(order, starts):
        first = frame[groupers].iloc[where[0]]
        yield {name: MISSING_GROUP if pd.isna(first[name]) else first[name] for name in groupers}, where


def _values(frame: pd.DataFrame, name: str) -> Array:
    values = frame[name].to_numpy(dtype="float64", na_value=np.nan)
    if np.isinf(values).any():
        raise DataError(f"describe: column {name!r} holds an infinite value; mend it or make it missing")
    return values


def _scale_maximum(name: str, values: Array, maximum: Mapping[str, float]) -> float:
    observed = values[~np.isnan(values)]
    if name not in maximum:
        return float(observed.max()) if observed.size else float("nan")
    end = float(maximum[name])
    above = observed[observed > end + _slack(end)]
    if above.size:
        raise DataError(
            f"describe: column {name!r} holds {above.max():g}, above the maximum {end:g} declared for it; "
            "correct maximum= or the data"
        )
    return end


def _slack(end: float) -> float:
    """Room for the rounding of a score that was made by division, so that a full score counts as full."""
    return 1e-9 * abs(end)


def _statistics(values: Array, end: float) -> dict[str, float]:
    # Sorted, so that the order of the rows cannot move the last digit of a sum.
    observed = np.sort(values[~np.isnan(values)])
    n = observed.size
    if n == 0:
        nothing = dict.fromkeys(STATISTICS, float("nan"))
        return nothing | {"n": 0, "missing": values.size, "scale_maximum": end}
    sd, skew = _spread(observed)
    return {
        "n": n,
        "missing": values.size - n,
        "mean": float(observed.mean()),
        "sd": sd,
        "skew": skew,
        "minimum": float(observed[0]),
        "maximum": float(observed[-1]),
        "at_maximum": float((observed >= end - _slack(end)).mean()),
        "scale_maximum": end,
    }


def _spread(observed: Array) -> tuple[float, float]:
    """Standard deviation (n − 1) and adjusted Fisher–Pearson skewness of the values."""
    n = observed.size
    if n < 2:
        return float("nan"), float("nan")
    if observed[0] == observed[-1]:  # the mean of equal values may miss them by a bit and fake a spread
        return 0.0, float("nan")
    deviations = observed - observed.mean()
    largest = np.abs(deviations).max()  # taken out, so that squares and cubes neither vanish nor overflow
    unit = deviations / largest
    sd = np.sqrt((unit**2).sum() / (n - 1))
    skew = n / ((n - 1) * (n - 2)) * ((unit / sd) ** 3).sum() if n > 2 else float("nan")
    return float(largest * sd), float(skew)
