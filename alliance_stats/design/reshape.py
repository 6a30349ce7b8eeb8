"""Steps that change what a row is: a patient's waves one under the other, or a patient's sessions in one row.

They follow the protocol of the other steps (``step(frame)``, ``step.learn(frame)``). The index of the new frame is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from alliance_stats.design.keys import Keys, moments, names, require_keys, require_numbers
from alliance_stats.errors import DataError, require_columns

Wave = str | int | float


@dataclass(frozen=True)
class Long:
    """One row a patient and wave, from one row a patient with a column for each wave.

    Parameters
    ----------
    columns : wave → column, in the order of time, e.g. ``{"before": "pain_before", "after": "pain_after"}``. Waves that are
        text become a categorical column in this order, numbers stay numbers.
    into : name of the new column with the values.
    by : the key of a row of the wide frame.
    time : name of the new column with the waves.
    optional : waves that the frame may lack. One whose column is absent or empty is left out.
    scores : further columns of numbers by wave, e.g. ``{"treated": {"before": 0, "after": 1}}``.

    The columns of the waves are dropped, all others repeated. A missing value keeps its row, so that models can count it.
    ``learn`` remembers which optional waves there were.

    Raises DataError for keys that are missing or shared, columns that are absent or not numeric, and names already taken.

    >>> wide = pd.DataFrame({"patient": [1, 2], "pain_before": [60.0, 50], "pain_after": [40.0, 45]})
    >>> Long({"before": "pain_before", "after": "pain_after"}, into="pain", time="when")(wide).to_dict("list")
    {'patient': [1, 1, 2, 2], 'when': ['before', 'after', 'before', 'after'], 'pain': [60.0, 40.0, 50.0, 45.0]}
    """

    columns: Mapping[Wave, str]
    into: str
    by: Keys = "patient"
    time: str = "wave"
    optional: tuple[Wave, ...] = ()
    scores: Mapping[str, Mapping[Wave, float]] = field(default_factory=dict)
    waves: tuple[Wave, ...] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len({isinstance(wave, str) for wave in self.columns}) != 1:
            raise DataError(
                f"{self._where}: columns={dict(self.columns)!r}; give waves that are all text or all numbers"
            )
        for name, by_wave in self.scores.items():
            absent = [wave for wave in self.columns if wave not in by_wave]
            if absent:
                raise DataError(f"{self._where}: scores give no {name!r} for the wave {absent[0]!r}")

    def learn(self, frame: pd.DataFrame) -> Self:
        """A copy that remembers the waves of this frame."""
        return replace(self, waves=self._present(frame))

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The long frame, the waves of a patient one under the other."""
        waves = self._present(frame) if self.waves is None else self.waves
        self._check(frame, waves)
        rest = frame.drop(columns=[name for name in self.columns.values() if name in frame])
        long = rest.iloc[np.repeat(np.arange(len(frame)), len(waves))].reset_index(drop=True)
        which = np.tile(np.arange(len(waves)), len(frame))
        values = frame[[self.columns[wave] for wave in waves]].to_numpy(dtype=float, na_value=np.nan).ravel()
        scores = {name: np.array([by_wave[wave] for wave in waves])[which] for name, by_wave in self.scores.items()}
        return long.assign(**{self.time: self._times(waves, which), self.into: values}, **scores)

    @property
    def _where(self) -> str:
        return f"Long(into={self.into!r})"

    def _times(self, waves: tuple[Wave, ...], which: np.ndarray) -> Any:
        if isinstance(waves[0], str):
            return pd.Categorical.from_codes(which.tolist(), categories=pd.Index([str(wave) for wave in waves]))
        return np.array(waves)[which]

    def _present(self, frame: pd.DataFrame) -> tuple[Wave, ...]:
        gone = [w for w in self.optional if self.columns[w] not in frame or frame[self.columns[w]].isna().all()]
        return tuple(wave for wave in self.columns if wave not in gone)

    def _check(self, frame: pd.DataFrame, waves: tuple[Wave, ...]) -> None:
        require_keys(frame, self.by, None, self._where)
        _require_one_row(frame, names(self.by), self._where)
        for wave in waves:
            require_numbers(frame, self.columns[wave], self._where)
        kept = [name for name in frame.columns if name not in self.columns.values()]
        taken = [name for name in (self.time, self.into, *self.scores) if name in kept]
        if taken:
            raise DataError(f"{self._where}: the frame has a column '{taken[0]}' already; choose another name")


@dataclass(frozen=True)
class PerPatient:
    """One row a patient, from one row a session: means of ratings over sessions, and what is the same in all sessions.

    Parameters
    ----------
    means : new column → (column, first session, last session), e.g. ``{"alliance_early": ("alliance", 3, 5)}``. The mean is
        over the ratings present between the two, both included; without any it is missing.
    keep : columns that hold one value a patient; a value that stands in one row only counts for the patient.
    optional : those of ``keep`` that the frame may lack.
    by, time : the keys of the long frame.

    Raises DataError for repeated keys, absent columns, and a column of ``keep`` with two values for a patient.

    >>> long = pd.DataFrame({"patient": [1, 1, 1, 2], "session": [1, 2, 3, 2], "alliance": [4.0, 5, 7, 6]})
    >>> PerPatient({"first": ("alliance", 1, 1), "later": ("alliance", 2, 3)})(long).to_dict("list")
    {'patient': [1, 2], 'first': [4.0, nan], 'later': [6.0, 6.0]}
    """

    means: Mapping[str, tuple[str, float, float]]
    keep: Sequence[str] = ()
    optional: Sequence[str] = ()
    by: Keys = "patient"
    time: str = "session"

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with one row a patient, in the order in which the patients first appear."""
        where, keys = "PerPatient", names(self.by)
        require_keys(frame, self.by, self.time, where)
        kept = [name for name in self.keep if name in frame or name not in self.optional]
        require_columns(frame.columns, kept, where)
        session = moments(frame, self.time, where)
        frame = frame.reset_index(drop=True)
        groups = frame.groupby(keys, sort=False, observed=True)
        self._require_constant(groups, kept)
        made = groups[kept].first() if kept else groups.size().to_frame("rows").drop(columns="rows")
        for new, (column, first, last) in self.means.items():
            require_numbers(frame, column, where)
            inside = frame[column].astype(float).where((session >= first) & (session <= last))
            made[new] = frame[keys].assign(rating=inside).groupby(keys, sort=False, observed=True)["rating"].mean()
        return made.reset_index()

    def _require_constant(self, groups: Any, kept: Sequence[str]) -> None:
        for name in kept:
            several = groups[name].nunique()
            if (several > 1).any():
                who = several.index[several > 1][0]
                raise DataError(
                    f"PerPatient: {', '.join(names(self.by))} {who} has {several.max()} values of '{name}', which is to be "
                    "the same in all sessions; correct it, or leave it out of keep"
                )


def _require_one_row(frame: pd.DataFrame, keys: list[str], where: str) -> None:
    repeated = frame.duplicated(keys, keep=False)
    if repeated.any():
        first = ", ".join(f"{k} {v}" for k, v in frame.loc[repeated, keys].iloc[0].items())
        raise DataError(f"{where}: {int(repeated.sum())} rows share their keys ({first}); keep one row for each")
