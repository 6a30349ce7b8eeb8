"""What is missing and how: patterns over waves; for each item whether it was skipped, its wave missed or the patient gone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from alliance_stats.data.waves import Flags, Observed, Waves, groups, observed

MONOTONE = "left, not back"
INTERMITTENT = "missed, then back"


def missing_patterns(
    frame: pd.DataFrame, waves: Waves, *, by: str | None = None, patient: str | None = None, time: str | None = None
) -> pd.DataFrame:
    """How many patients have which pattern of answers over the waves.

    Parameters
    ----------
    frame : DataFrame
        One row a patient; with `time`, one row a patient and wave (a wave without a row is a missed one).
    waves : mapping or sequence of str
        The waves in their order and the columns of each, ``{"2 weeks": ["wai_1", "wai_2"], "8 weeks": ["pain_8"]}``, or
        columns that are waves of their own. With `time`: the columns that are asked at every wave.
    by : str, optional
        The column with the arm, for patterns by arm beside those of everyone ("all").
    patient, time : str, optional
        The columns that tell patients and waves apart; `time` says that the frame is long.

    Returns
    -------
    DataFrame
        One row for each pattern that occurs, the commonest first: `arm`; `pattern`, one sign a wave ("o" everything
        answered, "p" in part, "." nothing); `kind`; `n`; `share` (of the arm); `last_wave`, the last one with an answer.
        The kind is "complete", "items missing" (something at every wave), "left, not back" (monotone: answers up to a
        wave, none after it), "missed, then back" (intermittent: a wave without answers and a later one with), or
        "nothing answered".

    Raises
    ------
    DataError
        If a column is absent, the keys are not unique, or a patient has no arm.

    Examples
    --------
    >>> frame = pd.DataFrame({"pain_0": [3, 4, 5, 6], "pain_4": [2, None, None, 5], "pain_8": [1, None, 4, 5]})
    >>> missing_patterns(frame, ["pain_0", "pain_4", "pain_8"])[["pattern", "kind", "n", "last_wave"]]
      pattern               kind  n last_wave
    0     ooo           complete  2    pain_8
    1     o..     left, not back  1    pain_0
    2     o.o  missed, then back  1    pain_8
    """
    found = observed(frame, waves, [by] if by else [], "missing_patterns", patient=patient, time=time)
    patterns = _patterns(found)
    rows = []
    for arm, here in groups(found.patients, by, "missing_patterns"):
        counted = Counter(pattern for pattern, member in zip(patterns, here, strict=True) if member)
        for pattern, n in sorted(counted.items(), key=lambda item: (-item[1], _order(item[0]))):
            rows.append((arm, pattern, _kind(pattern), n, n / int(here.sum()), _last(pattern, list(found.answered))))
    return pd.DataFrame(rows, columns=["arm", "pattern", "kind", "n", "share", "last_wave"])


def _patterns(found: Observed) -> list[str]:
    signs = np.where(found.all_answers, "o", np.where(found.any_answer, "p", "."))
    return ["".join(row) for row in signs]


def _order(pattern: str) -> str:
    """Fewer and earlier waves first among patterns that are equally common."""
    return pattern.replace(".", "0").replace("p", "1").replace("o", "2")


def _kind(pattern: str) -> str:
    seen = pattern.rstrip(".")
    if not seen:
        return "nothing answered"
    if "." in seen:
        return INTERMITTENT
    if seen != pattern:
        return MONOTONE
    return "items missing" if "p" in pattern else "complete"


def _last(pattern: str, waves: list[str]) -> str:
    seen = pattern.rstrip(".")
    return waves[len(seen) - 1] if seen else ""


def missing_by_item(
    frame: pd.DataFrame, waves: Waves, *, by: str | None = None, patient: str | None = None, time: str | None = None
) -> pd.DataFrame:
    """For each item of each wave: answered, skipped, not asked because the wave was missed, or the patient had left.

    Parameters
    ----------
    frame, waves, by, patient, time
        As for `missing_patterns`.

    Returns
    -------
    DataFrame
        One row for each arm, wave and item: `arm`, `wave`, `item`, `n` (patients), `answered`, `skipped` (other items of
        the wave were answered), `wave_missed` (nothing at this wave, something later), `left` (nothing at this wave or
        later); the last four add up to `n`.

    Raises
    ------
    DataError
        If a column is absent, the keys are not unique, or a patient has no arm.

    Examples
    --------
    >>> frame = pd.DataFrame({"wai_1": [3, None, None, None], "wai_2": [4, 4, None, None], "pain_8": [1, 1, 1, None]})
    >>> missing_by_item(frame, {"week 2": ["wai_1", "wai_2"], "week 8": ["pain_8"]}).drop(columns="arm")
         wave    item  n  answered  skipped  wave_missed  left
    0  week 2   wai_1  4         1        1            1     1
    1  week 2   wai_2  4         2        0            1     1
    2  week 8  pain_8  4         3        0            0     1
    """
    found = observed(frame, waves, [by] if by else [], "missing_by_item", patient=patient, time=time)
    rows = []
    for arm, here in groups(found.patients, by, "missing_by_item"):
        for place, (wave, items) in enumerate(found.answered.items()):
            seen, present = found.any_answer[:, place], found.here_or_later[:, place]
            for item in items.columns:
                answered = items[item].to_numpy(dtype=bool)
                flags = (answered, seen & ~answered, present & ~seen, ~present)
                rows.append((arm, wave, item, int(here.sum()), *(_count(flag, here) for flag in flags)))
    return pd.DataFrame(rows, columns=["arm", "wave", "item", "n", "answered", "skipped", "wave_missed", "left"])


def _count(flags: Flags, here: Flags) -> int:
    return int((flags & here).sum())
