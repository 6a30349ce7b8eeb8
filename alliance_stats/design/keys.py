"""The keys of a long frame: who, and at which session; each pair at most once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns

Keys = str | tuple[str, ...]


def names(keys: Keys) -> list[str]:
    """One name or several, as a list."""
    return [keys] if isinstance(keys, str) else list(keys)


def require_keys(frame: pd.DataFrame, by: Keys, time: str | None, where: str) -> None:
    """DataError where keys are missing or where two rows share them."""
    keys = [*names(by), *([time] if time else [])]
    require_columns(frame.columns, keys, where)
    empty = [name for name in keys if frame[name].isna().any()]
    if empty:
        raise DataError(f"{where}: {int(frame[empty[0]].isna().sum())} rows have no '{empty[0]}'; fill or remove them")
    repeated = frame.duplicated(keys, keep=False)
    if time and repeated.any():
        first = frame.loc[repeated, keys].drop_duplicates().head(5).to_dict("records")
        shown = "; ".join(", ".join(f"{k} {v}" for k, v in row.items()) for row in first)
        raise DataError(f"{where}: {int(repeated.sum())} rows share their keys ({shown}); keep one row for each")


def require_numbers(frame: pd.DataFrame, column: str, where: str) -> None:
    """DataError where a column is absent or does not hold numbers."""
    require_columns(frame.columns, [column], where)
    if not pd.api.types.is_numeric_dtype(frame[column]):
        raise DataError(f"{where}: '{column}' holds {frame[column].dtype} values; turn it into numbers first")


def require_same_ids(learned: pd.Index[Any], frame: pd.DataFrame, by: Keys, where: str) -> None:
    """DataError where ids were numbers in the data of the fit and are text now, or the other way round.

    Otherwise every patient of the new data would pass for a new one.
    """
    for i, name in enumerate(names(by)):
        if len(frame) and _are_numbers(learned.get_level_values(i)) != _are_numbers(pd.Index(frame[name])):
            raise DataError(
                f"{where}: '{name}' does not have the type it had in the fit; make both numbers or both text"
            )


def _are_numbers(ids: pd.Index[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(ids.astype(object).infer_objects())


def moments(frame: pd.DataFrame, time: str, where: str) -> np.ndarray:
    """Sessions or weeks as numbers, dates as days since 2000; DataError where they are text."""
    values = frame[time]
    if pd.api.types.is_datetime64_any_dtype(values):
        values = (values - pd.Timestamp("2000-01-01", tz=values.dt.tz)) / pd.Timedelta(days=1)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: '{time}' must hold numbers or dates")
    return numbers


def session_numbers(frame: pd.DataFrame, time: str, where: str) -> pd.Series[int]:
    """The sessions as whole numbers; DataError where they are not."""
    values = pd.to_numeric(frame[time], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all() or not np.array_equal(values, np.round(values)):
        raise DataError(f"{where}: '{time}' must hold whole session numbers, for a step to the session before or after")
    return pd.Series(values.astype(int), index=frame.index)
