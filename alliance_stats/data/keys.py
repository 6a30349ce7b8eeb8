"""The keys of a frame: each combination at most once, and none missing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from alliance_stats.errors import DataError, require_columns

_SHOWN = 5


def require_unique(frame: pd.DataFrame, keys: Sequence[str], where: str) -> None:
    """DataError where a key is absent, missing in a row, or shared by several rows; rows are counted from 1."""
    require_columns(frame.columns, keys, where)
    if not keys:
        return
    for key in keys:
        empty = _rows(frame[key].isna())
        if empty:
            raise DataError(
                f"{where}: key {key!r} is missing in {len(empty)} rows, such as row {empty[0]}; fill or remove them"
            )
    repeated = frame.duplicated(list(keys), keep=False)
    if repeated.any():
        shown = frame.loc[repeated, list(keys)].drop_duplicates().head(_SHOWN)
        values = "; ".join(", ".join(map(repr, map(str, row))) for row in shown.itertuples(index=False))
        rows = ", ".join(map(str, _rows(repeated)[:_SHOWN]))
        raise DataError(
            f"{where}: key {', '.join(map(repr, keys))} occurs more than once in {int(repeated.sum())} rows "
            f"({values}; rows {rows}{', …' if repeated.sum() > _SHOWN else ''}); keep one row for each"
        )


def _rows(where: pd.Series) -> list[int]:
    return [place for place, here in enumerate(where, start=1) if here]
