"""Value labels: columns stay codes, for scoring, or become their labels, for arms and the like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from alliance_stats.data.imported import Code, plain_code
from alliance_stats.errors import DataError, require_columns

Choice = str | Sequence[str]
Labels = Mapping[str, Mapping[Code, str]]


def check_choice(labels: Choice) -> None:
    """Refuse (DataError) a choice that is neither one of the two words nor a list of columns."""
    if isinstance(labels, str) and labels not in ("codes", "labels"):
        raise DataError(f'labels={labels!r}: pass "codes", "labels" or a list of columns, such as labels=[{labels!r}]')


def labelled(frame: pd.DataFrame, value_labels: Labels, labels: Choice) -> tuple[pd.DataFrame, list[str]]:
    """The frame with the chosen columns as their labels, and a sentence for each that was asked for and stays codes.

    A column that was named is refused (DataError) where its labels cannot stand for its codes; under "labels" it stays.
    """
    if labels == "codes":
        return frame, []
    named = [] if isinstance(labels, str) else list(labels)
    require_columns(frame.columns, named, "labels=")
    notes: list[str] = []
    shown = frame.copy()
    for name in named or value_labels:
        fault = _fault(frame[name], value_labels.get(name, {}))
        if not fault:
            shown[name] = _as_labels(frame[name], value_labels[name])
        elif named:
            raise DataError(f"labels=: column {name!r} {fault}; leave it out, so that it stays codes")
        else:
            notes.append(f"Column {name!r}: kept as codes, because it {fault}.")
    return shown, notes


def _fault(column: pd.Series, labels: Mapping[Code, str]) -> str:
    if not labels:
        return "has no value labels in the file"
    repeated = [text for text, count in Counter(text.strip() for text in labels.values()).items() if count > 1]
    if repeated:
        return f"has the label {repeated[0]!r} for more than one code"
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        return "holds dates"
    without = [code for value in column.dropna().unique() if (code := plain_code(value)) not in labels]
    if not without:
        return ""
    shown = ", ".join(str(code) for code in without[:10])
    return f"holds {len(without)} value{'s' * (len(without) > 1)} without a label: {shown}"


def _as_labels(column: pd.Series, labels: Mapping[Code, str]) -> pd.Series:
    texts = [None if pd.isna(value) else labels[plain_code(value)].strip() for value in column]
    return pd.Series(texts, index=column.index, dtype="str")
