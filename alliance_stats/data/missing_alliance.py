"""Why an alliance rating is missing: by design, because the patient left before the first one, or by nonresponse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.data.keys import require_unique
from alliance_stats.data.waves import groups
from alliance_stats.errors import DataError, require_columns

_WHERE = "missing_by_design"
RATED = "rated"
LEFT_BEFORE = "left before the first rating"
ITEMS = "items missing"
NOTHING = "nothing answered"
UNKNOWN = "sessions unknown"
_MEANINGS = {
    RATED: "an alliance score is there",
    LEFT_BEFORE: "missing by design: the patient had no session at which the alliance was rated",
    ITEMS: "item nonresponse: some items were answered, too few for a score",
    NOTHING: "nonresponse: the patient was there to rate the alliance, and answered nothing",
    UNKNOWN: "cannot be told: how many sessions the patient attended is missing",
}


def missing_by_design(
    frame: pd.DataFrame,
    alliance: str,
    first_rating: float,
    *,
    attended: str | None = None,
    patient: str | None = None,
    session: str | None = None,
    items: Sequence[str] = (),
    by: str | None = None,
) -> pd.DataFrame:
    """How many patients lack an alliance score by design, and how many by nonresponse.

    Patients who leave before the first rating have no alliance to be missing: an analysis of alliance speaks of patients
    who stayed until then, and imputing the others would invent a relationship they never rated.

    Parameters
    ----------
    frame : DataFrame
        One row a patient with `attended`, or one row for each attended session with `patient` and `session`.
    alliance : str
        The column with the alliance score.
    first_rating : float
        The session of the first rating, such as 3.
    attended : str
        The column with the number of the last session attended (one row a patient).
    patient, session : str
        The columns with the patient and the number of the session (one row for each session attended).
    items : sequence of str
        The items of the score, to tell single missing items from no answer at all.
    by : str, optional
        The column with the arm.

    Returns
    -------
    DataFrame
        `unit`, `arm` ("all" first), `reason`, `n`, `share` (of the unit in the arm) and `meaning`. Unit "patient" counts
        each patient once: rated at least once; "left before the first rating"; "items missing"; "nothing answered";
        "sessions unknown". With one row a session, unit "session" counts the attended sessions from the first rating on
        by the same reasons. Every reason that can occur has a row, also with n = 0.

    Raises
    ------
    DataError
        If a column is absent, the keys are not unique, numbers of sessions are not numbers, or an alliance score stands
        at a session before `first_rating`.

    Examples
    --------
    >>> frame = pd.DataFrame({"sessions": [8, 2, 5, 1], "wai": [70, None, None, None]})
    >>> missing_by_design(frame, "wai", 3, attended="sessions")[["reason", "n", "share"]]
                             reason  n  share
    0                         rated  1   0.25
    1  left before the first rating  2   0.50
    2              nothing answered  1   0.25
    3              sessions unknown  0   0.00
    """
    columns = [alliance, *items, *([by] if by else [])]
    if frame.empty:
        raise DataError(f"{_WHERE}: the frame has no rows, so there is nobody to count")
    if attended is not None and session is None:
        require_columns(frame.columns, [attended, *columns], _WHERE)
        require_unique(frame, [patient] if patient else [], _WHERE)
        return _counted(_reasons(frame, alliance, attended, items, first_rating), frame, by, "patient", bool(items))
    if attended is None and patient is not None and session is not None:
        require_columns(frame.columns, columns, _WHERE)
        require_unique(frame, [patient, session], _WHERE)
        return _by_session(frame, alliance, first_rating, patient, session, items, by)
    raise DataError(f"{_WHERE}: give attended= for one row a patient, or patient= and session= for one row a session")


def _by_session(
    frame: pd.DataFrame,
    alliance: str,
    first_rating: float,
    patient: str,
    session: str,
    items: Sequence[str],
    by: str | None,
) -> pd.DataFrame:
    reasons = _reasons(frame, alliance, session, items, first_rating)
    asked = reasons != LEFT_BEFORE
    sessions = _counted(reasons[asked], frame[asked], by, "session", bool(items)) if asked.any() else None
    # A patient counts by the best of his sessions: rated, then items, then nothing; without any, as gone before.
    rank = reasons.map({RATED: 0, ITEMS: 1, NOTHING: 2, LEFT_BEFORE: 3})
    best = rank.groupby(frame[patient].to_numpy(), sort=False).min()
    patients = frame.drop_duplicates(patient)
    if by is not None and (frame.groupby(patient, observed=True)[by].nunique(dropna=False) > 1).any():
        raise DataError(f"{_WHERE}: {by!r} changes over time; it has to be one value for each patient")
    found = best.reindex(patients[patient].to_numpy()).map({0: RATED, 1: ITEMS, 2: NOTHING, 3: LEFT_BEFORE})
    counted = _counted(found.set_axis(patients.index), patients, by, "patient", bool(items))
    counted = counted[counted["reason"] != UNKNOWN]
    if sessions is None:
        return counted.reset_index(drop=True)
    possible = sessions[~sessions["reason"].isin([UNKNOWN, LEFT_BEFORE])]
    return pd.concat([counted, possible], ignore_index=True)


def _reasons(frame: pd.DataFrame, alliance: str, sessions: str, items: Sequence[str], first_rating: float) -> pd.Series:
    reached = _session_numbers(frame[sessions])
    rated = frame[alliance].notna().to_numpy()
    some = frame[list(items)].notna().any(axis=1).to_numpy() if items else np.zeros(len(frame), dtype=bool)
    early = (rated | some) & (reached < first_rating)
    if early.any():
        rows = [place for place, here in enumerate(early, start=1) if here]
        shown = ", ".join(map(str, rows[:10])) + (f" and {len(rows) - 10} more" if len(rows) > 10 else "")
        raise DataError(
            f"{_WHERE}: column {alliance!r} or an item of it is rated before session {first_rating:g} "
            f"(column {sessions!r}), in row {shown}; correct first_rating= or the data"
        )
    chosen = np.select(
        [rated, np.isnan(reached), reached < first_rating, some], [RATED, UNKNOWN, LEFT_BEFORE, ITEMS], NOTHING
    )
    return pd.Series(chosen, index=frame.index)


def _session_numbers(column: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(f"{_WHERE}: column {column.name!r} holds {column.dtype} values; give session numbers")
    return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))


def _counted(reasons: pd.Series, frame: pd.DataFrame, by: str | None, unit: str, items: bool) -> pd.DataFrame:
    possible = [reason for reason in _MEANINGS if items or reason != ITEMS]
    rows = []
    for arm, here in groups(frame, by, _WHERE):
        for reason in possible:
            n = int((reasons[here] == reason).sum())
            rows.append((unit, arm, reason, n, n / int(here.sum()), _MEANINGS[reason]))
    return pd.DataFrame(rows, columns=["unit", "arm", "reason", "n", "share", "meaning"])
