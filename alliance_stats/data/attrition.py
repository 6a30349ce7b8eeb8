"""Who left, when, from which arm, and how unlike those who stayed they were at the start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.waves import Flags, Waves, groups, observed
from alliance_stats.errors import DataError

_COLUMNS = [
    "arm", "wave", "variable", "level", "stayed", "left", "known_stayed", "known_left",
    "mean_stayed", "sd_stayed", "mean_left", "sd_left", "standardised_difference",
]  # fmt: skip


def attrition_counts(
    frame: pd.DataFrame,
    waves: Waves,
    *,
    by: str | None = "arm",
    patient: str | None = None,
    time: str | None = None,
) -> pd.DataFrame:
    """How many patients of each arm were there at each wave, missed it, or had left for good.

    Parameters
    ----------
    frame, waves, patient, time
        As for `missing_patterns`.
    by : str, optional
        The column with the arm; None for everyone together.

    Returns
    -------
    DataFrame
        One row for each arm and wave: `arm` ("all" first), `wave`, `n` (patients at the start), `answered` (something at
        this wave), `missed` (nothing, but something later), `left` (nothing at this wave or later), `newly_left`
        (there at the wave before), `share_left`. `answered`, `missed` and `left` add up to `n`.

    Raises
    ------
    DataError
        If a column is absent, the keys are not unique, or a patient has no arm.

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": ["GE", "GE", "MCE"], "pain_4": [3, None, 4], "pain_8": [2, None, None]})
    >>> attrition_counts(frame, ["pain_4", "pain_8"]).query("arm == 'all'").drop(columns="arm")
         wave  n  answered  missed  left  newly_left  share_left
    0  pain_4  3         2       0     1           1    0.333333
    1  pain_8  3         1       0     2           1    0.666667
    """
    found = observed(frame, waves, [by] if by else [], "attrition_counts", patient=patient, time=time)
    answered, present = found.any_answer, found.here_or_later
    rows = []
    for arm, here in groups(found.patients, by, "attrition_counts"):
        n, before = int(here.sum()), 0
        for place, wave in enumerate(found.answered):
            seen = int((answered[:, place] & here).sum())
            left = int((~present[:, place] & here).sum())
            rows.append((arm, wave, n, seen, n - seen - left, left, left - before, left / n))
            before = left
    return pd.DataFrame(rows, columns=["arm", "wave", "n", "answered", "missed", "left", "newly_left", "share_left"])


def attrition_table(
    frame: pd.DataFrame,
    waves: Waves,
    baseline: Sequence[str],
    *,
    by: str | None = "arm",
    patient: str | None = None,
    time: str | None = None,
) -> pd.DataFrame:
    """Baseline characteristics of patients who had left by each wave beside those of patients who stayed.

    Parameters
    ----------
    frame, waves, patient, time
        As for `missing_patterns`.
    baseline : sequence of str
        Characteristics known before anyone left. Numbers are compared by their means, text and categories level by level.
    by : str, optional
        The column with the arm; None for everyone together.

    Returns
    -------
    DataFrame
        One row for each arm, wave and characteristic (or level of it): `arm`, `wave`, `variable`, `level` (empty for
        numbers), `stayed` and `left` (patients; whoever has no answer at this wave or later has left), `known_stayed` and
        `known_left` (those whose characteristic is known), `mean_stayed`, `sd_stayed`, `mean_left`, `sd_left` (for a level
        its share p and √(p(1 − p))) and `standardised_difference` (left minus stayed, in standard deviations).
        It is NaN where it cannot be computed: nobody on one side, one patient whose SD is unknown, or no spread
        on both sides with different means.

    Raises
    ------
    DataError
        If a column is absent, infinite, or neither numbers nor text, the keys are not unique, or a patient has no arm.

    Notes
    -----
    Numbers: d = (x̄_left − x̄_stayed)/√((s²_left + s²_stayed)/2), with n − 1 in the variances. Levels:
    d = (p_left − p_stayed)/√((p_left(1 − p_left) + p_stayed(1 − p_stayed))/2). Unlike a p-value, neither grows with the
    number of patients (Austin 2009, doi 10.1002/sim.3697).

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [30, 40, 50, 60], "pain_8": [3, 4, None, None]})
    >>> table = attrition_table(frame, ["pain_8"], ["age"], by=None)
    >>> table[["variable", "stayed", "left", "mean_stayed", "mean_left", "standardised_difference"]].round(2)
      variable  stayed  left  mean_stayed  mean_left  standardised_difference
    0      age       2     2         35.0       55.0                     2.83
    """
    names = _characteristics(baseline, by)
    found = observed(frame, waves, [*names, *([by] if by else [])], "attrition_table", patient=patient, time=time)
    values = {name: _characteristic(found.patients[name]) for name in names}
    rows = []
    for arm, here in groups(found.patients, by, "attrition_table"):
        for place, wave in enumerate(found.answered):
            stayed = found.here_or_later[:, place] & here
            left = ~found.here_or_later[:, place] & here
            for name, column in values.items():
                for level, numbers in _levels(column):
                    compared = _compared(numbers, stayed, left, bool(level))
                    rows.append((arm, wave, name, level, int(stayed.sum()), int(left.sum()), *compared))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _characteristics(baseline: Sequence[str], by: str | None) -> list[str]:
    if isinstance(baseline, str) or len(baseline) == 0:
        raise DataError(f'attrition_table: baseline={baseline!r}; give a list of columns, such as ["age", "sex"]')
    if by in baseline:
        raise DataError(f"attrition_table: {by!r} is both the arm and a characteristic; leave it out of baseline=")
    return list(baseline)


def _characteristic(column: pd.Series) -> pd.Series:
    """Numbers as doubles; anything with levels as a category."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = pd.Series(column.to_numpy(dtype="float64", na_value=np.nan), name=column.name)
        if np.isinf(numbers).any():
            raise DataError(
                f"attrition_table: column {column.name!r} holds an infinite value; mend it or make it missing"
            )
        return numbers
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise DataError(f"attrition_table: column {column.name!r} holds dates; turn them into numbers, such as age")
    return column.astype("category").reset_index(drop=True)


def _levels(column: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        yield "", column
        return
    for level in column.cat.categories:
        if bool((column == level).any()):
            yield str(level), (column == level).astype("float64").where(column.notna())


def _compared(numbers: pd.Series, stayed: Flags, left: Flags, share: bool) -> tuple[float, ...]:
    here, gone = numbers[stayed].dropna().to_numpy(), numbers[left].dropna().to_numpy()
    stay, leave = _moments(here, share), _moments(gone, share)
    return here.size, gone.size, *stay, *leave, standardised_difference(leave, stay)


def _moments(values: np.ndarray[Any, np.dtype[np.float64]], share: bool) -> tuple[float, float]:
    """Mean and standard deviation; of a share p, p and √(p(1 − p))."""
    if values.size == 0:
        return math.nan, math.nan
    mean = float(values.mean())
    if share:
        return mean, math.sqrt(mean * (1 - mean))
    if values.size == 1:
        return mean, math.nan
    # The mean of equal values may miss them by a bit, and fake a spread.
    return (float(values[0]), 0.0) if (values == values[0]).all() else (mean, float(values.std(ddof=1)))


def standardised_difference(one: tuple[float, float], other: tuple[float, float]) -> float:
    """(mean − mean)/√((sd² + sd²)/2); 0 where equal values do not spread, NaN where different ones do not.

    >>> standardised_difference((55.0, 6.0), (50.0, 8.0))
    0.7071067811865475
    """
    difference = one[0] - other[0]
    spread = math.sqrt((one[1] ** 2 + other[1] ** 2) / 2)
    if spread == 0:
        return 0.0 if difference == 0 else math.nan
    return difference / spread
