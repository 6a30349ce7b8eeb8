"""The keys of a long frame: who, and at which session; each pair at most once."""

from __future__ import annotations

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


def session_numbers(frame: pd.DataFrame, time: str, where: str) -> pd.Series[int]:
    """The sessions as whole numbers; DataError where they are not."""
    values = pd.to_numeric(frame[time], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all() or not np.array_equal(values, np.round(values)):
        raise DataError(f"{where}: '{time}' must hold whole session numbers, for a step to the session before or after")
    return pd.Series(values.astype(int), index=frame.index)
