"""How many patients of each arm were observed at each wave: the numbers of a participant flow diagram."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from alliance_stats.data.keys import require_unique
from alliance_stats.errors import DataError, require_columns

ALL = "all"


def flow_frame(
    data: pd.DataFrame,
    arm: str,
    waves: Mapping[str, Sequence[str]],
    *,
    start: str = "Randomised",
    patient: str | None = None,
) -> pd.DataFrame:
    """Numbers randomised and observed, by arm and wave.

    Parameters
    ----------
    data : one row a patient.
    arm : column with the arm; every row needs one.
    waves : name of each wave and the columns that make it up, e.g. ``{"8 weeks": ["pain_8", "disability_8"]}``.
    start : name of the first stage.
    patient : column with the patients, to check that each has one row.

    Returns
    -------
    Columns ``stage arm n reason``. The first stage has a row for all patients and one for each arm; each
    wave has a row for each arm: n patients with every column of the wave observed, and as reason how many of the
    arm are without it. Waves are counted apart, so a patient who misses one and comes back counts again.

    Raises DataError where a column is absent, a row has no arm, a wave has no columns, or a patient has several rows.

    >>> data = pd.DataFrame({"arm": ["exercise", "usual", "exercise"], "pain_8": [4.0, 5.0, None]})
    >>> flow_frame(data, "arm", {"8 weeks": ["pain_8"]}).to_numpy().tolist()[2:4]
    [['Randomised', 'usual', 1, ''], ['8 weeks', 'exercise', 1, '1 without 8-week outcome']]
    """
    _check(data, arm, waves, start)
    require_unique(data, [patient] if patient else [], "flow_frame")
    arms = _arms(data[arm])
    rows: list[tuple[str, str, int, str]] = [(start, ALL, len(data), "")]
    rows += [(start, str(a), int((data[arm] == a).sum()), "") for a in arms]
    for wave, columns in waves.items():
        seen = data[list(columns)].notna().all(axis=1)
        for a in arms:
            here = seen[data[arm] == a]
            rows.append((str(wave), str(a), int(here.sum()), _reason(int((~here).sum()), str(wave))))
    return pd.DataFrame(rows, columns=["stage", "arm", "n", "reason"])


def _check(data: pd.DataFrame, arm: str, waves: Mapping[str, Sequence[str]], start: str) -> None:
    for wave, columns in waves.items():
        if isinstance(columns, str) or len(columns) == 0:
            raise DataError(f"flow_frame: wave {wave!r} has {columns!r}; give a list of its columns")
    require_columns(data.columns, [arm, *(name for columns in waves.values() for name in columns)], "flow_frame")
    if data.empty:
        raise DataError("flow_frame: the frame has no rows, so there is nobody to count")
    missing = int(data[arm].isna().sum())
    if missing:
        raise DataError(
            f"flow_frame: column {arm!r} is missing in {missing} of {len(data)} rows; every patient has an arm"
        )
    taken = [str(a) for a in data[arm].unique() if str(a) in ("", ALL)]
    if taken:
        raise DataError(f"flow_frame: column {arm!r} has the arm {taken[0]!r}, which means everyone here; rename it")
    if start in waves:
        raise DataError(f"flow_frame: the wave {start!r} has the name of the first stage; rename it")


def _arms(column: pd.Series[Any]) -> list[Any]:
    """Categories in their order, else by first appearance."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if bool((column == level).any())]
    return list(column.unique())


def _reason(lost: int, wave: str) -> str:
    """The wave "8 weeks" has an 8-week outcome; any other wave is what is lacking."""
    timed = re.sub(r"^(\d+) (\w+?)s?$", r"\1-\2 outcome", wave)
    lacking = timed if timed != wave else wave[:1].lower() + wave[1:]
    return f"{lost} without {lacking}" if lost else ""
