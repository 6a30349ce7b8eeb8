"""What the functions of scales ask of their arguments, and the complete rows of each scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, suggestion
from alliance_stats.instruments.answers import Items, item_columns, numbers

Scales = Items | Mapping[str, Items]


def scales(
    frame: pd.DataFrame, items: Scales, where: str, fewest: int
) -> Iterator[tuple[str, list[str], np.ndarray, int]]:
    """Name, columns, complete rows and number of incomplete ones of every scale."""
    named = items if isinstance(items, Mapping) else {"total": items}
    if not named:
        raise DataError(f"{where}: items= names no scale")
    for scale, own in named.items():
        label = f"{where}: '{scale}'" if isinstance(items, Mapping) else where
        columns = item_columns(frame, own, label)
        x = numbers(frame, columns, label)
        complete = x[~np.isnan(x).any(axis=1)]
        require_rows(complete, columns, label, fewest)
        yield scale, columns, complete, len(x) - len(complete)


def require_rows(x: np.ndarray, columns: Sequence[str], where: str, fewest: int) -> None:
    if len(columns) < fewest:
        raise DataError(f"{where}: {len(columns)} item; at least {fewest} are needed ({', '.join(columns)})")
    if len(x) < 3:
        raise DataError(f"{where}: {len(x)} rows have all {len(columns)} items; at least 3 are needed")
    if np.isinf(x).any():
        raise DataError(f"{where}: an item holds an infinite value; mend it or make it missing")
    flat = [name for name, spread in zip(columns, np.ptp(x, axis=0), strict=True) if spread == 0]
    if flat:
        raise DataError(
            f"{where}: {', '.join(map(repr, flat))} is the same in all {len(x)} complete rows; leave it out of items="
        )
    if np.ptp(x.sum(axis=1)) == 0:
        raise DataError(f"{where}: the sum of the items is the same in all rows; is an item there with its reverse?")


def require_one_of(what: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise AllianceError(f"{what} is {value!r}{suggestion(str(value), known)}; use {' or '.join(map(repr, known))}")


def require_level(level: float) -> None:
    if not 0 < level < 1:
        raise AllianceError(f"level is {level}; use a number between 0 and 1, e.g. 0.95")
