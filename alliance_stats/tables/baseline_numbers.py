"""The numbers of a baseline table: summaries by group and standardised differences."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.attrition import standardised_difference
from alliance_stats.errors import DataError

SUMMARY = ("variable", "level", "group", "n", "missing", "mean", "sd", "median", "q1", "q3", "count", "share")
DIFFERENCE = ("variable", "level", "first", "second", "difference", "conf_low", "conf_high")
Groups = Sequence[tuple[str, np.ndarray]]


def summaries(
    frame: pd.DataFrame, variables: Sequence[str], groups: Groups, categorical: Collection[str] = ()
) -> pd.DataFrame:
    """One row a variable (or level of one) and group, among the patients whose value is known.

    Columns ``variable level group n missing mean sd median q1 q3 count share``: numbers have mean to q3 (sd with n − 1,
    quartiles by linear interpolation, R's type 7), levels ``count`` and ``share``.

    >>> frame = pd.DataFrame({"age": [30.0, 40, 50, None]})
    >>> summaries(frame, ["age"], [("All", np.ones(4, bool))])[["n", "missing", "mean", "sd", "q1"]].iloc[0].tolist()
    [3.0, 1.0, 40.0, 10.0, 35.0]
    """
    rows: list[dict[str, Any]] = []
    for name in variables:
        for level, values in parts(frame[name], is_categorical(frame[name], name in categorical)):
            for group, here in groups:
                known = values[here][~np.isnan(values[here])]
                row = {
                    "variable": name,
                    "level": level,
                    "group": group,
                    "n": known.size,
                    "missing": int(here.sum()) - known.size,
                }
                rows.append(row | (_share(known) if level else _spread(known)))
    return pd.DataFrame(rows, columns=list(SUMMARY))


def differences(
    frame: pd.DataFrame,
    variables: Sequence[str],
    groups: Groups,
    categorical: Collection[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """Standardised differences of every two groups, first less second.

    Numbers: (x̄₁ − x̄₂)/√((s₁² + s₂²)/2); levels: (p₁ − p₂)/√((p₁(1 − p₁) + p₂(1 − p₂))/2). The interval is d ± z·s with
    s² = (n₁ + n₂)/(n₁n₂) + d²/(2(n₁ + n₂)) (Austin 2009, doi 10.1002/sim.3697, after Hedges & Olkin 1985).

    >>> frame = pd.DataFrame({"age": [30.0, 40, 50, 60]})
    >>> halves = [("a", np.array([1, 1, 0, 0], bool)), ("b", np.array([0, 0, 1, 1], bool))]
    >>> differences(frame, ["age"], halves)["difference"].round(2).tolist()
    [-2.83]
    """
    z, rows = NormalDist().inv_cdf((1 + level) / 2), []
    for name in variables:
        for text, values in parts(frame[name], is_categorical(frame[name], name in categorical)):
            for (first, one), (second, other) in combinations(groups, 2):
                a, b = (values[here][~np.isnan(values[here])] for here in (one, other))
                d = standardised_difference(_moments(a, bool(text)), _moments(b, bool(text)))
                half = z * _error(d, a.size, b.size)
                rows.append((name, text, first, second, d, d - half, d + half))
    return pd.DataFrame(rows, columns=list(DIFFERENCE))


def is_categorical(column: pd.Series[Any], asked: bool) -> bool:
    """Whether a column is summarised by levels; DataError for dates and infinite numbers."""
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise DataError(f"baseline_table: column {column.name!r} holds dates; turn them into numbers, such as age")
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if number and np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
        raise DataError(f"baseline_table: column {column.name!r} holds an infinite value; mend it or make it missing")
    return asked or not number


def parts(column: pd.Series[Any], categorical: bool) -> Iterator[tuple[str, np.ndarray]]:
    """The numbers of a column, or for every level that occurs 1 where it holds, 0 where not, missing where unknown."""
    if not categorical:
        yield "", column.to_numpy(dtype=float, na_value=np.nan)
        return
    coded = column.astype("category")
    unknown = coded.isna().to_numpy()
    for level in coded.cat.categories:
        held = (coded == level).to_numpy(dtype=bool, na_value=False)
        if held.any():
            text = ("yes" if level else "no") if isinstance(level, bool | np.bool_) else str(level)
            yield text, np.where(unknown, np.nan, held.astype(float))


def _share(known: np.ndarray) -> dict[str, float]:
    return {"count": float(known.sum()), "share": float(known.mean()) if known.size else math.nan}


def _spread(known: np.ndarray) -> dict[str, float]:
    if not known.size:
        return {}
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75]).tolist()
    mean, sd = _moments(known, share=False)
    return {"mean": mean, "sd": sd, "median": median, "q1": q1, "q3": q3}


def _moments(known: np.ndarray, share: bool) -> tuple[float, float]:
    if not known.size:
        return math.nan, math.nan
    mean = float(known.mean())
    if share:
        return mean, math.sqrt(mean * (1 - mean))
    if known.size == 1:
        return mean, math.nan
    # The mean of equal values may miss them by a bit, and fake a spread.
    return (float(known[0]), 0.0) if (known == known[0]).all() else (mean, float(known.std(ddof=1)))


def _error(d: float, n: int, m: int) -> float:
    return math.sqrt((n + m) / (n * m) + d**2 / (2 * (n + m))) if n and m else math.nan
