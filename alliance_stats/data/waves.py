"""What each patient answered at each wave, from a frame with one row a patient or one row a patient and wave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.keys import require_unique
from alliance_stats.errors import DataError, require_columns

ALL = "all"
Waves = Mapping[str, Sequence[str]] | Sequence[str]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Observed:
    """Answers of each patient: ``answered[wave]`` has a row a patient and a column an item of that wave.

    ``patients`` holds what belongs to a patient (arm, baseline characteristics), row by row alike.
    """

    answered: dict[str, pd.DataFrame]
    patients: pd.DataFrame

    @property
    def any_answer(self) -> Flags:
        """Whether something was answered, patients by waves."""
        return np.column_stack([items.any(axis=1) for items in self.answered.values()])

    @property
    def all_answers(self) -> Flags:
        """Whether everything was answered, patients by waves."""
        return np.column_stack([items.all(axis=1) for items in self.answered.values()])

    @property
    def here_or_later(self) -> Flags:
        """Whether something was answered at this wave or a later one: whoever has nothing more has left."""
        later: Flags = np.maximum.accumulate(self.any_answer[:, ::-1], axis=1)[:, ::-1]
        return later


def observed(
    frame: pd.DataFrame, waves: Waves, kept: Sequence[str], where: str, *, patient: str | None, time: str | None
) -> Observed:
    """Answers by wave; `kept` are columns that belong to the patient.

    With `time`, the frame has a row for each patient and wave, and `waves` names the columns answered at each.
    Raises DataError where columns are absent, keys are not unique, or a patient's own column changes over time.
    """
    if frame.empty:
        raise DataError(f"{where}: the frame has no rows, so there is nobody to count")
    if time is None:
        return _wide(frame, waves, kept, where, patient)
    if patient is None:
        raise DataError(f"{where}: time={time!r} needs patient= too, the column that tells whose rows they are")
    return _long(frame, waves, kept, where, patient, time)


def _wide(frame: pd.DataFrame, waves: Waves, kept: Sequence[str], where: str, patient: str | None) -> Observed:
    named = waves_by_name(waves, where)
    require_columns(frame.columns, [*kept, *(name for columns in named.values() for name in columns)], where)
    if patient is not None:
        require_unique(frame, [patient], where)
    answered = {wave: frame[columns].notna().reset_index(drop=True) for wave, columns in named.items()}
    return Observed(answered, frame[list(kept)].reset_index(drop=True))


def waves_by_name(waves: Waves, where: str) -> dict[str, list[str]]:
    """Waves in their order with their columns; a column alone is a wave of its own."""
    if isinstance(waves, str) or len(waves) == 0:
        raise DataError(f'{where}: waves={waves!r}; give columns in their order, or {{"8 weeks": ["pain_8"], …}}')
    named = waves if isinstance(waves, Mapping) else {name: [name] for name in waves}
    for wave, columns in named.items():
        if isinstance(columns, str) or len(columns) == 0:
            raise DataError(f"{where}: wave {wave!r} has {columns!r}; give a list of its columns")
    return {str(wave): list(columns) for wave, columns in named.items()}


def _long(frame: pd.DataFrame, waves: Waves, kept: Sequence[str], where: str, patient: str, time: str) -> Observed:
    if isinstance(waves, (str, Mapping)) or len(waves) == 0:
        raise DataError(f"{where}: with time={time!r}, waves= is the list of columns answered at each, not {waves!r}")
    columns = list(waves)
    require_columns(frame.columns, [*kept, *columns], where)
    require_unique(frame, [patient, time], where)
    _refuse_changing(frame, kept, where, patient)
    patients = frame.drop_duplicates(patient)
    order = pd.Index(patients[patient])
    times = sorted(frame[time].unique())
    answered = {}
    for moment in times:
        rows = frame[frame[time] == moment].set_index(patient)[columns].notna()
        answered[str(moment)] = rows.reindex(order, fill_value=False).reset_index(drop=True)
    return Observed(answered, patients[list(kept)].reset_index(drop=True))


def _refuse_changing(frame: pd.DataFrame, kept: Sequence[str], where: str, patient: str) -> None:
    for name in kept:
        changing = frame.groupby(patient, observed=True)[name].nunique(dropna=False)
        count = int((changing > 1).sum())
        if count:
            raise DataError(
                f"{where}: {name!r} changes over time in {count} patients; it has to be one value for each patient"
            )


def groups(patients: pd.DataFrame, by: str | None, where: str) -> list[tuple[str, Flags]]:
    """Everyone, then each arm (categories in their order, else by first appearance), and who belongs to it."""
    everyone = [(ALL, np.ones(len(patients), dtype=bool))]
    if by is None:
        return everyone
    column = patients[by]
    missing = int(column.isna().sum())
    if missing:
        raise DataError(
            f"{where}: column {by!r} is missing in {missing} of {len(patients)} patients; every patient has one"
        )
    if (column.astype(str) == ALL).any():
        raise DataError(f"{where}: column {by!r} holds {ALL!r}, which means everyone here; rename it")
    levels = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column.unique()
    arms = [(str(level), (column == level).to_numpy(dtype=bool)) for level in levels]
    return everyone + [(name, here) for name, here in arms if here.any()]
