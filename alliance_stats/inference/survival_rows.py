"""Rows of a survival outcome with their groups, as the curves and tests of frames read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.models.survival_response import (
    counted_as_censored,
    event_kinds,
    read_surv,
    survival_frame,
    survival_times,
)
from alliance_stats.numerics.survival import curves


@dataclass(frozen=True, eq=False)
class Rows:
    """Complete rows: times, kinds of event (0 none), and groups."""

    start: np.ndarray | None
    stop: np.ndarray
    kinds: np.ndarray
    names: tuple[Any, ...]
    groups: np.ndarray
    labels: tuple[str, ...]
    frame: pd.DataFrame
    notes: tuple[str, ...]

    def each(self) -> Iterator[tuple[str, curves.Counts]]:
        """Counts of every group."""
        for g, label in enumerate(self.labels):
            mine = slice(None) if len(self.labels) == 1 else self.groups == g
            start = None if self.start is None else self.start[mine]
            yield label, curves.counts(self.stop[mine], self.kinds[mine], len(self.names), start)


def read_rows(
    frame: pd.DataFrame,
    outcome: str,
    by: str | None,
    *,
    kinds: bool = False,
    strata: str | None = None,
    settle: bool = True,
) -> Rows:
    """Complete rows of an outcome with their groups; DataError for what makes no sense."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"data is a {type(frame).__name__}; give a pandas DataFrame, one row a patient or an interval")
    surv = read_surv(outcome)
    if kinds and surv.value is not None:
        raise AllianceError(f"{outcome}: name the column of statuses alone; every cause is shown")
    labels = [name for name in (by, strata) if name is not None]
    rows, notes = survival_frame(frame, surv, [], labels, outcome)
    times = survival_times(rows, surv, kinds=kinds, settle=settle)
    codes, names = event_kinds(rows[surv.event], None, outcome) if kinds else (times.event, (1,))
    notes += () if kinds else counted_as_censored(rows[surv.event], surv, codes)
    if surv.start is not None:
        notes += ("that intervals of a patient do not overlap was not checked; CoxModel(…, patient=…) does",)
    groups, levels = (np.zeros(len(rows), dtype=int), ["all"]) if by is None else _groups(rows[by])
    return Rows(times.start, times.stop, codes, names, groups, tuple(levels), rows, notes)


def _groups(column: pd.Series[Any]) -> tuple[np.ndarray, list[str]]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories()
        return used.cat.codes.to_numpy(dtype=int), [str(level) for level in used.cat.categories]
    codes, levels = column.factorize(sort=True)
    return np.asarray(codes), [str(level) for level in levels]


def noted(frame: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """The frame with what was left out and defined, in its attrs."""
    frame.attrs = {"notes": tuple(notes)}
    return frame
