"""From sessions attended to the frames of survival analysis, with dropout and completion defined in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.dropout_rows import as_intervals, as_patients, periods_at_risk, planned_sessions
from alliance_stats.design.keys import require_keys, session_numbers
from alliance_stats.errors import AllianceError, DataError, require_columns

Completion = Literal["competing", "censored"]
Form = Literal["intervals", "patients"]
Missed = Literal["empty", "carried"]
PlannedSession = Literal["kept", "left out"]
MADE = ("start", "stop", "time", "dropped", "status")
COUNTED = ("n_attended", "n_planned")
CONTINUING, CENSORED, COMPLETED, DROPPED, UNKNOWN = "continuing", "censored", "completed", "dropped", "cause unknown"
WHERE = "dropout_frame"


@dataclass(frozen=True, eq=False)
class _Ends:
    """One row a patient: first and last session counted, planned number, and status at the end."""

    table: pd.DataFrame
    sentences: tuple[str, ...]


def dropout_frame(
    frame: pd.DataFrame,
    *,
    planned: str | int,
    completion: Completion,
    patient: str = "patient",
    session: str = "session",
    cause: str | None = None,
    ongoing: str | None = None,
    attended: str | None = None,
    missed: Missed = "empty",
    form: Form = "intervals",
    planned_session: PlannedSession = "kept",
) -> pd.DataFrame:
    """Person-periods with (start, stop] intervals, or one row a patient, from a frame with one row a session attended.

    A patient drops out at the last session attended where that comes before the planned number of sessions, and completes at
    the planned number. Order comes from session numbers, never from rows.

    Parameters
    ----------
    frame : one row a patient and session; each pair once.
    planned : the column with a patient's planned number of sessions, or one number for all.
    completion : what a completed therapy is: ``"competing"``, an event that ends the risk of dropping out, or
        ``"censored"``, an end of observation by design. There is no default: the choice is part of the question.
    patient, session : the key columns; sessions are whole numbers from 1.
    cause : column with the reason of those who dropped out, e.g. better or not better, one a patient. The reasons become
        values of ``status`` and can be analysed apart; dropouts without one are ``"cause unknown"``.
    ongoing : column that is 1 (true) for patients still in therapy when the data were closed; they are censored at their last
        session.
    attended : column that is 0 (false) in rows of sessions that were missed; without it every row is a session attended.
    missed : sessions missed between two attended ones are person-periods at risk: their ratings stay ``"empty"``, or are
        ``"carried"`` forward from the session before. Columns that never vary in a patient are filled either way.
    form : ``"intervals"``, one row for each session a patient was at risk, with ``start`` = session − 1 and ``stop`` =
        session, so that a rating at a session speaks for leaving after it; ``"patients"``, one row a patient with ``start``,
        ``time``, the columns of the first session, and ``n_attended`` of ``n_planned`` sessions, which is what models of
        adherence take as attendance.
    planned_session : the last planned session of who completed is a row in which nobody can drop out, a structural zero.
        ``"kept"``, it holds the event of completing and carries curves to the planned end; Cox models do not feel it.
        ``"left out"``, for hazards by session (`DiscreteTimeModel`), which it would make too low; intervals with
        ``completion="censored"`` only.

    Returns
    -------
    The columns of the frame and ``start``, ``stop`` (or ``time``), ``dropped`` (1 in the last period of who dropped out) and
    ``status`` (``continuing``, then ``dropped`` or the cause, ``completed`` or ``censored``). A patient whose first session in
    the data is not 1 enters late. ``attrs["definition"]`` holds the definition with its counts; every model and curve of the
    frame repeats it. As time counts sessions attended, who is rated at session 3 is at risk from ``start`` = 2 on:
    ``landmark=2`` in `landmark_curves` keeps those who left right after the rating.

    Raises DataError for repeated keys, sessions that are not whole numbers from 1, planned numbers or causes that vary within a
    patient, and columns whose names are needed.

    >>> visits = pd.DataFrame({"patient": [1, 1, 2, 2, 2], "session": [1, 2, 3, 1, 2], "alliance": [40, 38, 55, 50, 52]})
    >>> frame = dropout_frame(visits, planned=3, completion="competing")
    >>> frame[["patient", "start", "stop", "dropped", "status"]].values.tolist()
    [[1, 0, 1, 0, 'continuing'], [1, 1, 2, 1, 'dropped'], [2, 0, 1, 0, 'continuing'], [2, 1, 2, 0, 'continuing'],
     [2, 2, 3, 0, 'completed']]
    """
    for name, value, allowed in (
        ("completion", completion, get_args(Completion)),
        ("missed", missed, get_args(Missed)),
        ("form", form, get_args(Form)),
        ("planned_session", planned_session, get_args(PlannedSession)),
    ):
        if value not in allowed:
            raise AllianceError(f"{WHERE}: {name} is {value!r}; use one of {', '.join(map(repr, allowed))}")
    if planned_session == "left out" and (form != "intervals" or completion != "censored"):
        raise AllianceError(
            f"{WHERE}: planned_session='left out' needs form='intervals' and completion='censored'; the event of completing "
            "lies in the planned session"
        )
    _require_names_free(frame, (*MADE, *COUNTED) if form == "patients" else MADE)
    rows = _sessions(frame, patient, session, attended)
    if isinstance(planned, str):
        require_columns(frame.columns, [planned], WHERE)
    ends = _ends(rows, patient, session, planned, completion, cause, ongoing)
    table = ends.table.assign(until=ends.table["end"] - int(planned_session == "left out") * ends.table["done"])
    periods, notes = periods_at_risk(rows, table, patient, session, missed)
    if form == "intervals":
        notes += planned_sessions(table, planned_session)
    made = (
        as_patients(periods, patient, session, table) if form == "patients" else as_intervals(periods, session, table)
    )
    made.attrs = {**frame.attrs, "definition": "; ".join([*ends.sentences, *notes])}
    return made


def _require_names_free(frame: pd.DataFrame, made: tuple[str, ...]) -> None:
    taken = [name for name in made if name in frame.columns]
    if taken:
        raise DataError(f"{WHERE}: column '{taken[0]}' would be overwritten; rename it")


def _sessions(frame: pd.DataFrame, patient: str, session: str, attended: str | None) -> pd.DataFrame:
    """Attended rows in order of patient (as they first appear) and session."""
    require_keys(frame, patient, session, WHERE)
    if not len(frame):
        raise DataError(f"{WHERE}: the frame has no rows; give one row a session attended")
    number = session_numbers(frame, session, WHERE)
    if (number < 1).any():
        raise DataError(f"{WHERE}: '{session}' holds {int(number.min())}; number the sessions from 1")
    rows = frame.assign(**{session: number})
    if attended is not None:
        rows = rows[_flags(frame, attended)]
        absent = frame[patient].nunique() - rows[patient].nunique()
        if absent:
            raise DataError(
                f"{WHERE}: {absent} patients attended no session at all; leave them out or say when they left"
            )
    return rows.iloc[np.lexsort((rows[session].to_numpy(), np.asarray(rows[patient].factorize()[0])))].reset_index(
        drop=True
    )


def _flags(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column of 0 and 1 or true and false, as booleans."""
    require_columns(frame.columns, [column], WHERE)
    values = frame[column]
    if values.isna().any() or not values.isin([0, 1]).all():
        found = ", ".join(sorted({str(v) for v in values.unique() if v not in (0, 1)})[:5])
        raise DataError(f"{WHERE}: column '{column}' holds {found}; it must be 1 (true) or 0 (false) in every row")
    return values.astype(bool).to_numpy()


def _ends(
    rows: pd.DataFrame, patient: str, session: str, planned: str | int, completion: str, cause: str | None,
    ongoing: str | None,
) -> _Ends:  # fmt: skip
    """Where each patient's therapy ends, and how."""
    by = rows.groupby(patient, sort=False, observed=True)
    table = pd.DataFrame({"first": by[session].min(), "last": by[session].max()})
    table["planned"] = _one_each(rows, patient, planned) if isinstance(planned, str) else planned
    _require_counts(table, planned)
    done = table["last"] >= table["planned"]
    table["beyond"] = (table["last"] - table["planned"]).clip(lower=0)
    table["end"] = np.where(done, table["planned"], table["last"]).astype(int)
    still = pd.Series(False, index=table.index)
    if ongoing is not None:
        flags = rows.assign(**{ongoing: _flags(rows, ongoing)}).groupby(patient, sort=False, observed=True)[ongoing]
        still = (flags.max() & ~done).astype(bool)
    dropped = ~done & ~still
    reasons = pd.Series(DROPPED, index=table.index, dtype="str")
    if cause is not None:
        reasons = _one_each(rows, patient, cause, missing=True)
        reasons = reasons.map(str, na_action="ignore").fillna(UNKNOWN).astype("str")
        _require_new(reasons[dropped], cause)
    ended = COMPLETED if completion == "competing" else CENSORED
    table["status"] = np.select([dropped, done], [reasons, ended], CENSORED)
    inside = rows[session].to_numpy() <= rows[patient].map(table["end"]).to_numpy()
    table["attended"] = rows[inside].groupby(patient, sort=False, observed=True).size()
    table["dropped"], table["done"] = dropped.astype(int), done.astype(int)
    outside = int((table["first"] > table["planned"]).sum())
    if outside:
        raise DataError(
            f"{WHERE}: {outside} patients have their first session after the planned number; correct '{session}'"
        )
    return _Ends(table, _sentences(table, done, still, planned, completion, cause))


def _one_each(rows: pd.DataFrame, patient: str, column: str, *, missing: bool = False) -> pd.Series[Any]:
    """The one value of each patient in a column; DataError where there are two, or none and one is needed."""
    require_columns(rows.columns, [column], WHERE)
    by = rows.groupby(patient, sort=False, observed=True)[column]
    several = by.nunique() > 1
    if several.any():
        raise DataError(
            f"{WHERE}: '{column}' has several values in {int(several.sum())} patients "
            f"({patient} {several.index[several][0]}); give one a patient"
        )
    values = by.first()
    if not missing and values.isna().any():
        raise DataError(f"{WHERE}: {int(values.isna().sum())} patients have no '{column}'; fill it or remove them")
    return values


def _require_counts(table: pd.DataFrame, planned: str | int) -> None:
    values = pd.to_numeric(table["planned"], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all() or (values < 1).any() or (values != np.round(values)).any():
        raise DataError(f"{WHERE}: planned={planned!r} must be whole numbers of sessions, 1 or more")


def _require_new(reasons: pd.Series[Any], cause: str) -> None:
    clash = sorted(set(reasons) & {CONTINUING, CENSORED, COMPLETED})
    if clash:
        raise DataError(
            f"{WHERE}: '{cause}' holds {clash[0]!r} for who dropped out; that word has another meaning here"
        )


def _sentences(
    table: pd.DataFrame, done: pd.Series[bool], still: pd.Series[bool], planned: str | int, completion: str,
    cause: str | None,
) -> tuple[str, ...]:  # fmt: skip
    which = f"'{planned}'" if isinstance(planned, str) else str(planned)
    as_what = "a competing event" if completion == "competing" else "censored by design"
    left = table["dropped"].astype(bool)
    out = [
        f"dropout: the last session attended comes before the planned number ({which}); of {len(table)} patients "
        f"{int(left.sum())} dropped out, {int(done.sum())} completed ({as_what}), {int(still.sum())} were still in therapy "
        "(censored)"
    ]
    if cause is not None:
        found = table.loc[left, "status"].value_counts(sort=False).sort_index()
        out.append(f"causes of dropout from '{cause}': " + ", ".join(f"{name} {n}" for name, n in found.items()))
    else:
        out.append("causes of dropout are not told apart")
    return tuple(out)
