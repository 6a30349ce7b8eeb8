"""From a user's data to the rows and columns that a model uses, with every loss counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step, checked_order
from alliance_stats.errors import DataError, require_columns
from alliance_stats.formula import is_factor

LARGEST = 1e50  # beyond it the products of the covariances overflow


def prepared(steps: Sequence[Step], data: pd.DataFrame) -> tuple[tuple[Step, ...], pd.DataFrame]:
    """Steps that have learned their constants from the data, in order, and the data they made."""
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"data is a {type(data).__name__}; give a pandas DataFrame, one row a patient or a session")
    checked_order(steps)
    learned = []
    for step in steps:
        learned.append(step.learn(data))
        data = learned[-1](data)
    return tuple(learned), data


def analysis_frame(
    data: pd.DataFrame, columns: Sequence[str], labels: Sequence[str], formula: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Complete rows of the columns of a model and of its labels (clusters, groups), and notes that say what was left out.

    Raises DataError for a column that is absent, infinite or not of a usable type, and where no complete row remains.
    """
    wanted = list(dict.fromkeys([*columns, *labels]))
    require_columns(data.columns, wanted, f"formula {formula!r}")
    frame = data[wanted]
    for name in columns:
        _require_usable(frame[name], name)
    complete = frame.notna().all(axis=1)
    if not complete.any():
        raise DataError(f"formula {formula!r}: no row is complete in {', '.join(wanted)}")
    kept = frame[complete]
    return kept, (*_missing_note(frame, complete), *_lost_levels(frame, kept))


def _require_usable(column: pd.Series[Any], name: str) -> None:
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind.startswith(("date", "time", "period", "interval")):
        raise DataError(
            f"column '{name}' holds dates or times; turn it into a number first, e.g. weeks since the start"
        )
    if kind == "complex" or (column.dtype == object and kind not in ("string", "boolean", "empty")):
        raise DataError(
            f"column '{name}' holds {kind} values (dtype {column.dtype}); turn it into numbers or into text"
        )
    if not is_factor(column) and (np.abs(column.to_numpy(dtype=float, na_value=np.nan)) > LARGEST).any():
        raise DataError(
            f"column '{name}' holds infinite values, or larger than {LARGEST:g}; set them to missing or correct them"
        )


def _missing_note(frame: pd.DataFrame, complete: pd.Series[bool]) -> tuple[str, ...]:
    lost = int((~complete).sum())
    if not lost:
        return ()
    each = ", ".join(f"{name} {n}" for name, n in frame.isna().sum().items() if n)
    return (f"{lost} of {len(frame)} rows left out for missing values ({each})",)


def _lost_levels(frame: pd.DataFrame, kept: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    for name in frame.columns:
        if is_factor(frame[name]):
            lost = sorted(set(map(str, frame[name].dropna().unique())) - set(map(str, kept[name].unique())))
            if lost:
                notes.append(f"'{name}' has no complete row with {', '.join(lost)}")
    return tuple(notes)
