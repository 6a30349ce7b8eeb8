"""Rows of a dropout frame: sessions at risk or patients, from the sessions attended and how each therapy ended."""

from __future__ import annotations

import numpy as np
import pandas as pd


def periods_at_risk(
    rows: pd.DataFrame, ends: pd.DataFrame, patient: str, session: str, missed: str
) -> tuple[pd.DataFrame, list[str]]:
    """All sessions at risk, those missed in between included, and what was added or left out."""
    beyond, notes = int((rows[session] > rows[patient].map(ends["end"])).sum()), []
    if beyond:
        notes.append(f"{beyond} sessions after the planned number are left out")
    inside = rows[rows[session] <= rows[patient].map(ends["until"])]
    length = (ends["until"] - ends["first"] + 1).to_numpy()
    full = pd.DataFrame({patient: ends.index.repeat(length)})
    full[session] = (
        np.repeat(ends["first"].to_numpy(), length) + full.groupby(patient, sort=False).cumcount().to_numpy()
    )
    added = len(full) - len(inside)
    if added:
        inside = _filled(inside, full, patient, session, missed)
        what = "their ratings are missing" if missed == "empty" else "their ratings are carried forward"
        notes.append(f"{added} missed sessions between attended ones are at risk, {what}")
    late = int((ends["first"] > 1).sum())
    if late:
        notes.append(f"{late} patients enter late, with a first session after 1")
    return inside.reset_index(drop=True), notes


def planned_sessions(ends: pd.DataFrame, planned_session: str) -> list[str]:
    """What is said about the planned last session, in which nobody can drop out."""
    done = int(ends["done"].sum())
    if not done:
        return []
    if planned_session == "kept":
        return [
            f"{done} rows are of a planned last session, in which nobody can drop out: for hazards by session leave them out "
            "(planned_session='left out')"
        ]
    never = int((ends["until"] < ends["first"]).sum())
    gone = f"; {never} patients have no other session and are never at risk" if never else ""
    return [f"{done} rows of a planned last session, in which nobody can drop out, are left out{gone}"]


def _filled(inside: pd.DataFrame, full: pd.DataFrame, patient: str, session: str, missed: str) -> pd.DataFrame:
    """Rows for missed sessions; what never varies in a patient is known for them, too."""
    columns = [name for name in inside.columns if name not in (patient, session)]
    varies = inside.groupby(patient, sort=False, observed=True)[columns].nunique().max() > 1
    wide = full.merge(inside, on=[patient, session], how="left")[list(inside.columns)]
    known = columns if missed == "carried" else [name for name in columns if not varies[name]]
    if known:
        wide[known] = wide.groupby(patient, sort=False, observed=True)[known].ffill()
    for name in known:  # whole numbers stay whole where nothing is missing
        if wide[name].notna().all():
            wide[name] = wide[name].astype(inside[name].dtype)
    return wide


def as_intervals(periods: pd.DataFrame, session: str, ends: pd.DataFrame) -> pd.DataFrame:
    """One row a session at risk; how therapy ended stands in the last one."""
    length = (ends["until"] - ends["first"] + 1).to_numpy()
    last, there = np.cumsum(length) - 1, length > 0
    dropped, status = np.zeros(len(periods), dtype=int), np.full(len(periods), "continuing", dtype=object)
    dropped[last[there]], status[last[there]] = ends["dropped"][there], ends["status"][there]
    return periods.assign(
        start=periods[session] - 1, stop=periods[session], dropped=dropped, status=pd.array(status, dtype="str")
    )


def as_patients(periods: pd.DataFrame, patient: str, session: str, ends: pd.DataFrame) -> pd.DataFrame:
    """One row a patient, with the columns of the first session."""
    first = periods.drop_duplicates(patient).reset_index(drop=True)
    return first.assign(
        start=first[session] - 1, time=ends["end"].to_numpy(), n_attended=ends["attended"].to_numpy(),
        n_planned=ends["planned"].to_numpy(dtype=int), dropped=ends["dropped"].to_numpy(),
        status=pd.array(ends["status"].to_numpy(), dtype="str"),
    )  # fmt: skip
