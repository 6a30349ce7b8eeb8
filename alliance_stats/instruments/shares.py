"""Shares with Wilson's interval, by group; floor and ceiling of scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.instruments.answers import numbers
from alliance_stats.instruments.checks import require_level

SLACK = 1e-9  # of the scale's length: a mean or percentage at the end may miss it by its rounding


def wilson(count: int, n: int, level: float) -> tuple[float, float]:
    """Wilson's interval of a share (1927, doi 10.1080/01621459.1927.10502953); NaN for n = 0.

    >>> print(np.round(wilson(0, 20, 0.95), 3))
    [0.    0.161]
    """
    from scipy.special import ndtri

    if n == 0:
        return np.nan, np.nan
    z2, p = float(ndtri((1 + level) / 2)) ** 2, count / n
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n**2)))
    low, high = (p + z2 / (2 * n) - half) / (1 + z2 / n), (p + z2 / (2 * n) + half) / (1 + z2 / n)
    # Rounding leaves 1e-17 where the limit is 0 or 1 exactly.
    return float(low if count else 0.0), float(high if count < n else 1.0)


def share_columns(count: int, n: int, left_out: int, level: float) -> dict[str, Any]:
    """``count n left_out share conf_low conf_high interval`` of one group."""
    low, high = wilson(count, n, level)
    share = count / n if n else np.nan
    found = {"count": count, "n": n, "left_out": left_out, "share": share}
    return found | {"conf_low": low, "conf_high": high, "interval": "wilson"}


def grouped(by: pd.Series[Any] | None, size: int) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Labels and rows of every group, in order; rows without a group are a group of their own, called (missing)."""
    if by is None:
        yield {}, np.arange(size)
        return
    codes, labels = pd.factorize(by, sort=True)
    for place, label in enumerate(labels):
        yield {str(by.name): label}, np.flatnonzero(codes == place)
    if (codes < 0).any():
        yield {str(by.name): "(missing)"}, np.flatnonzero(codes < 0)


def floor_ceiling(
    frame: pd.DataFrame,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    *,
    by: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of patients at the lowest and at the highest possible score of each scale.

    Parameters
    ----------
    frame : with score columns.
    ranges : lowest and highest possible score by column; by default those of every score that ``score`` added to the frame.
    by : column of groups, e.g. ``"arm"``: arms with different shares at the maximum fake an interaction.
    level : confidence level.

    Returns
    -------
    One row a scale and group: ``scale``, the column of ``by``, ``n missing minimum maximum floor floor_low floor_high ceiling
    ceiling_low ceiling_high interval``; floor and ceiling are shares of the n scores, with Wilson's interval.

    Raises AllianceError where no range is known; DataError for absent columns, and scores outside their range.

    >>> frame = pd.DataFrame({"wai_sr_total": [60, 60, 48, 51], "arm": list("aabb")})
    >>> floor_ceiling(frame, {"wai_sr_total": (12, 60)}, by="arm")[["arm", "n", "ceiling"]].to_dict("list")
    {'arm': ['a', 'b'], 'n': [2, 2], 'ceiling': [1.0, 0.0]}
    """
    require_level(level)
    known = _known_ranges(frame) if ranges is None else dict(ranges)
    require_columns(frame.columns, [*known, *([] if by is None else [by])], "floor_ceiling")
    rows = []
    for scale, (lowest, highest) in known.items():
        if not lowest < highest:
            raise AllianceError(
                f"floor_ceiling: the range of '{scale}' is ({lowest}, {highest}); give (lowest, highest)"
            )
        values, room = numbers(frame, [scale], "floor_ceiling")[:, 0], SLACK * (highest - lowest)
        outside = (values < lowest - room) | (values > highest + room)
        if outside.any():
            raise DataError(
                f"floor_ceiling: '{scale}' holds {values[outside][0]:g} in row {int(np.flatnonzero(outside)[0]) + 1}, outside "
                f"{lowest:g} to {highest:g}; correct ranges= or the data"
            )
        for labels, where in grouped(None if by is None else frame[by], len(frame)):
            own = values[where]
            row = _ends(own[~np.isnan(own)], lowest, highest, room, level)
            missing = int(np.isnan(own).sum())
            rows.append({"scale": scale, **labels, "n": len(own) - missing, "missing": missing, **row})
    return pd.DataFrame(rows)


def _known_ranges(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    found = {
        name: tuple(column["range"])
        for record in frame.attrs.get("scoring", {}).values()
        for name, column in record["columns"].items()
        if name in frame.columns
    }
    if not found:
        raise AllianceError(
            'floor_ceiling: the frame holds no score made by score(); pass ranges={"wai_sr_total": (12, 60)}'
        )
    return found


def _ends(values: np.ndarray, lowest: float, highest: float, room: float, level: float) -> dict[str, Any]:
    n = len(values)
    row: dict[str, Any] = {"minimum": lowest, "maximum": highest}
    for name, count in (
        ("floor", int((values <= lowest + room).sum())),
        ("ceiling", int((values >= highest - room).sum())),
    ):
        low, high = wilson(count, n, level)
        row |= {name: count / n if n else np.nan, f"{name}_low": low, f"{name}_high": high}
    return row | {"interval": "wilson"}
