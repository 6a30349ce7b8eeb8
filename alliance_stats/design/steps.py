"""Steps from frame to frame: centring, lags, change and trends.

A step is a frozen declaration; ``step(frame)`` returns a new frame with new columns, ``step.learn(frame)`` a copy that
remembers its constants, so that new data are treated as the old were. The order of steps matters in one place and is
fixed there: Lag and Lead come before Centre. Centring a lagged rating takes the mean of the ratings that are really used
as predictors; lagging a centred rating would subtract a mean that includes ratings of later sessions, and its within
part no longer sums to zero for a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np
import pandas as pd

from alliance_stats.design.keys import (
    Keys,
    moments,
    names,
    require_keys,
    require_numbers,
    require_same_ids,
    session_numbers,
)
from alliance_stats.errors import DataError, require_columns

CENTRED = ("_within", "_between", "_between_patient", "_between_therapist")


class Step(Protocol):
    """What every step can do."""

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A new frame with the columns of the step added."""

    def learn(self, frame: pd.DataFrame) -> Self:
        """A copy that remembers the constants of this frame."""


@dataclass(frozen=True)
class Centre:
    """Split a column into its parts within and between patients (person-mean centring).

    With ``by="patient"`` ``alliance`` gives ``alliance_within`` (rating − patient's mean) and ``alliance_between`` (the
    patient's mean). With ``by=("patient", "therapist")`` it gives ``alliance_within``, ``alliance_between_patient``
    (patient's mean − therapist's mean) and ``alliance_between_therapist`` (the mean of the therapist's patients' means,
    so that each patient counts once). ``grand_mean=True`` subtracts the mean of the highest level from the last part.

    Means are over the ratings present. New rows of a known patient or therapist use the mean learned; new patients
    use their own. Where the frame has the ``time`` column, each patient may have a session only once.

    Source: Enders & Tofighi 2007, doi 10.1037/1082-989X.12.2.121.

    >>> frame = pd.DataFrame({"patient": [1, 1, 2, 2], "alliance": [40.0, 50, 55, 57]})
    >>> Centre("alliance", by="patient")(frame)[["alliance_within", "alliance_between"]].round(1).to_dict("list")
    {'alliance_within': [-5.0, 5.0, -1.0, 1.0], 'alliance_between': [45.0, 45.0, 56.0, 56.0]}
    """

    column: str
    by: Keys
    time: str = "session"
    grand_mean: bool = False
    means: tuple[pd.Series[float], ...] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(names(self.by)) not in (1, 2):
            raise DataError(f"Centre: by={self.by!r} has {len(names(self.by))} levels; give one or two, inner first")

    def learn(self, frame: pd.DataFrame) -> Self:
        """A copy that remembers the means of the groups of this frame."""
        return replace(self, means=self._level_means(frame))

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A new frame with the within and between parts added."""
        levels = names(self.by)
        means = [self._mean_of_rows(frame, i) for i in range(len(levels))]
        parts = [frame[self.column], *means]
        between = ["_between"] if len(levels) == 1 else [f"_between_{name}" for name in levels]
        new = {f"{self.column}_within": parts[0] - parts[1]}
        new |= {f"{self.column}{between[i]}": parts[i + 1] - parts[i + 2] for i in range(len(levels) - 1)}
        new[f"{self.column}{between[-1]}"] = parts[-1] - (self._grand(frame) if self.grand_mean else 0.0)
        return frame.assign(**new)

    def _level_means(self, frame: pd.DataFrame) -> tuple[pd.Series[float], ...]:
        levels, where = names(self.by), f"Centre({self.column!r})"
        require_columns(frame.columns, [self.column, *levels], where)
        require_keys(frame, self.by, None, where)
        if self.time in frame.columns:
            require_keys(frame, levels[0], self.time, where)
        require_numbers(frame, self.column, where)
        keys = [frame[name].reset_index(drop=True) for name in levels]  # an index may bear the name of a key
        inner = frame[self.column].reset_index(drop=True).groupby(keys[0], observed=True).mean()
        if len(levels) == 1:
            return (inner,)
        owner = keys[1].groupby(keys[0], observed=True).nunique()
        if (owner > 1).any():
            raise DataError(
                f"{where}: {levels[0]} {owner.index[owner > 1][0]} has {owner.max()} {levels[1]}s; "
                f"a split at two levels needs each {levels[0]} in one {levels[1]}"
            )
        of = keys[1].groupby(keys[0], observed=True).first()
        return inner, inner.groupby(of, observed=True).mean()

    def _mean_of_rows(self, frame: pd.DataFrame, level: int) -> pd.Series[float]:
        own, name = self._level_means(frame)[level], names(self.by)[level]
        mean = frame[name].map(own).astype(float)
        if self.means is None:
            return mean
        require_same_ids(self.means[level].index, frame, name, f"Centre({self.column!r})")
        return frame[name].map(self.means[level]).astype(float).fillna(mean)

    def _grand(self, frame: pd.DataFrame) -> float:
        return float((self.means or self._level_means(frame))[-1].mean())


@dataclass(frozen=True)
class _Shift:
    column: str
    by: Keys = "patient"
    time: str = "session"
    k: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.k, int) or self.k < 1:
            raise DataError(f"{type(self).__name__}: k={self.k}; give a whole number of sessions, 1 or more")
        if self.column.endswith(CENTRED):
            raise DataError(
                f"{type(self).__name__}({self.column!r}): the column is already centred. Lag first, then centre: the mean "
                "of a patient must be that of the lagged ratings, or later sessions enter the predictor"
            )

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def _shifted(self, frame: pd.DataFrame, sessions: int, suffix: str) -> pd.DataFrame:
        where, keys = f"{type(self).__name__}({self.column!r})", [*names(self.by), self.time]
        require_columns(frame.columns, [self.column, *keys], where)
        require_keys(frame, self.by, self.time, where)
        ids = [frame[name] for name in names(self.by)]
        session = session_numbers(frame, self.time, where)
        here, there = (pd.MultiIndex.from_arrays([*ids, session - back]) for back in (0, sessions))
        found = frame[self.column].set_axis(here).reindex(there)
        return frame.assign(**{f"{self.column}_{suffix}{self.k}": found.set_axis(frame.index)})


class Lag(_Shift):
    """The value ``k`` sessions before, by session number: after a missed session it is missing.

    ``Lag("alliance")`` adds ``alliance_lag1``. Raises DataError for repeated keys, for session numbers that are not whole,
    and for a column that is already centred (see the module for the order).

    >>> frame = pd.DataFrame({"patient": [1, 1, 1], "session": [1, 2, 4], "alliance": [40.0, 44, 50]})
    >>> Lag("alliance")(frame)["alliance_lag1"].tolist()
    [nan, 40.0, nan]
    """

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A new frame with the lagged column added."""
        return self._shifted(frame, self.k, "lag")


class Lead(_Shift):
    """The value ``k`` sessions after, by session number; ``Lead("pain")`` adds ``pain_lead1``.

    >>> frame = pd.DataFrame({"patient": [1, 1, 1], "session": [1, 2, 4], "pain": [6.0, 5, 3]})
    >>> Lead("pain")(frame)["pain_lead1"].tolist()
    [5.0, nan, nan]
    """

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A new frame with the leading column added."""
        return self._shifted(frame, -self.k, "lead")


@dataclass(frozen=True)
class Change:
    """Change since a baseline: new value − baseline, so that a fall in pain is negative.

    ``baseline`` names the column of the baseline. Without it the baseline is each patient's value at the earliest
    session of the data (missing where that value is missing). The new column is ``pain_change``, or ``name``.

    >>> frame = pd.DataFrame({"pain_before": [60.0, 50], "pain_after": [40.0, 45]})
    >>> Change("pain_after", baseline="pain_before")(frame)["pain_after_change"].tolist()
    [-20.0, -5.0]
    """

    column: str
    baseline: str | None = None
    by: Keys = "patient"
    time: str = "session"
    name: str | None = None
    first: pd.Series[float] | None = field(default=None, repr=False, compare=False)

    def learn(self, frame: pd.DataFrame) -> Self:
        """A copy that remembers the patients' values at the earliest session."""
        return self if self.baseline else replace(self, first=self._first(frame))

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A new frame with the change added."""
        for name in [self.column, *([self.baseline] if self.baseline else [])]:
            require_numbers(frame, name, "Change")
        start = frame[self.baseline] if self.baseline else self._start(frame)
        return frame.assign(**{self.name or f"{self.column}_change": frame[self.column] - start})

    def _first(self, frame: pd.DataFrame) -> pd.Series[float]:
        where = f"Change({self.column!r})"
        require_keys(frame, self.by, self.time, where)
        require_numbers(frame, self.column, where)
        earliest = frame.iloc[np.argsort(moments(frame, self.time, where), kind="stable")]
        earliest = earliest.drop_duplicates(names(self.by))
        return earliest[self.column].astype(float).set_axis(pd.MultiIndex.from_frame(earliest[names(self.by)]))

    def _start(self, frame: pd.DataFrame) -> np.ndarray:
        known = self._first(frame)
        if self.first is not None:
            require_same_ids(self.first.index, frame, self.by, f"Change({self.column!r})")
            known = self.first.combine_first(known)
        return known.reindex(pd.MultiIndex.from_frame(frame[names(self.by)])).to_numpy()


@dataclass(frozen=True)
class Detrend:
    """What is left of a column after each patient's own straight line over the sessions.

    ``alliance`` gives ``alliance_detrended``. A patient needs at least three ratings; with fewer the value is missing.
    New rows of a known patient are measured against the line learned.

    Source: Curran & Bauer 2011, doi 10.1146/annurev.psych.093008.100356.

    >>> frame = pd.DataFrame({"patient": [1] * 4, "session": [1, 2, 3, 4], "alliance": [40.0, 44, 46, 50]})
    >>> Detrend("alliance")(frame)["alliance_detrended"].round(2).tolist()
    [-0.2, 0.6, -0.6, 0.2]
    """

    column: str
    by: Keys = "patient"
    time: str = "session"
    lines: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    def learn(self, frame: pd.DataFrame) -> Self:
        """A copy that remembers the patients' lines."""
        return replace(self, lines=self._lines(frame))

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A new frame with the detrended column added."""
        where, lines = f"Detrend({self.column!r})", self._lines(frame)
        if self.lines is not None:
            require_same_ids(self.lines.index, frame, self.by, where)
            lines = self.lines.combine_first(lines)
        line = lines.reindex(pd.MultiIndex.from_frame(frame[names(self.by)]))
        trend = line["level"].to_numpy() + line["slope"].to_numpy() * moments(frame, self.time, where)
        return frame.assign(
            **{f"{self.column}_detrended": frame[self.column].to_numpy(dtype=float, na_value=np.nan) - trend}
        )

    def _lines(self, frame: pd.DataFrame) -> pd.DataFrame:
        where = f"Detrend({self.column!r})"
        require_numbers(frame, self.column, where)
        require_keys(frame, self.by, self.time, where)
        y = frame[self.column].to_numpy(dtype=float, na_value=np.nan)
        seen = pd.DataFrame({"t": moments(frame, self.time, where), "y": y})
        seen = seen.where(seen.notna().all(axis=1))
        groups = [frame[name].reset_index(drop=True) for name in names(self.by)]
        mean = seen.groupby(groups, observed=True).mean()
        off = seen - seen.groupby(groups, observed=True).transform("mean")
        sums = pd.DataFrame({"ty": off["t"] * off["y"], "tt": off["t"] ** 2, "n": seen["y"].notna()})
        sums = sums.groupby(groups, observed=True).sum()
        slope = (sums["ty"] / sums["tt"]).where(sums["n"] >= 3)
        lines = pd.DataFrame({"level": mean["y"] - slope * mean["t"], "slope": slope})
        return lines.set_axis(pd.MultiIndex.from_frame(lines.index.to_frame(index=False)))


def checked_order(steps: Sequence[Step]) -> None:
    """DataError where a column is lagged after it was centred by an earlier step on the same column."""
    centred: set[str] = set()
    for step in steps:
        if isinstance(step, Centre):
            centred.add(step.column)
        elif isinstance(step, _Shift) and step.column in centred:
            raise DataError(
                f"prepare: {type(step).__name__}({step.column!r}) comes after Centre({step.column!r}); "
                f"{type(step).__name__} first and centre '{step.column}_{type(step).__name__.lower()}{step.k}'"
            )
