"""Reliability between and within patients, from a mixed model of item answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.inference.problem import mixed_state, variance_parameters
from alliance_stats.models.mixed import MixedState
from alliance_stats.models.mixed_system import at_boundary
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result

MEANINGS = {
    "R1F": "between patients, one session, sessions fixed",
    "RkF": "between patients, mean of k sessions, sessions fixed",
    "R1R": "between patients, one session of a random set",
    "RkR": "between patients, mean of k random sessions",
    "Rc": "change within patients",
    "RkRn": "between patients, mean of k sessions nested in patients",
    "Rcn": "change within patients, sessions nested in patients",
}
CROSSED = ("R1F", "RkF", "R1R", "RkR", "Rc")
NESTED = ("RkRn", "Rcn")
FORMULA = (
    "answer ~ 1 + (1 | patient) + (1 | session) + (1 | item) + (1 | patient:session) + (1 | patient:item) + "
    "(1 | session:item)"
)


@dataclass(frozen=True)
class _Roles:
    """Places of the variance components, in the order of the groupings; None where the model has no such factor."""

    patient: int | None
    session: int | None
    patient_session: int | None
    patient_item: int | None


def item_answers(frame: pd.DataFrame, items: Sequence[str], by: Sequence[str] = ("patient", "session")) -> pd.DataFrame:
    """One row an answer: the columns of ``by``, ``item`` and ``answer``, for a mixed model of the answers.

    ``items`` are the item columns (reversed ones turned) of a frame with one row a patient and session. Missing answers are
    left out by the model and counted in its notes. Raises DataError for absent columns and for rows that share their keys.

    >>> frame = pd.DataFrame({"patient": ["a", "a"], "session": [1, 2], "wai_1": [3, 4], "wai_2": [5, 5]})
    >>> item_answers(frame, ["wai_1", "wai_2"]).iloc[1].to_dict()
    {'patient': 'a', 'session': 2, 'item': 'wai_1', 'answer': 4}
    """
    keys, columns = list(by), [items] if isinstance(items, str) else list(items)
    require_columns(frame.columns, [*keys, *columns], "item_answers")
    if len(set(columns)) < max(len(columns), 2):
        raise DataError(
            f"item_answers: items= names {len(set(columns))} different columns; give two or more, each once"
        )
    taken = [name for name in ("item", "answer") if name in keys]
    if taken:
        raise DataError(f"item_answers: by= holds '{taken[0]}', which is a column of the answer; rename it first")
    if frame.duplicated(keys).any():
        raise DataError(
            f"item_answers: {int(frame.duplicated(keys, keep=False).sum())} rows share their {', '.join(keys)}; keep one row "
            "for each"
        )
    return frame.melt(keys, columns, var_name="item", value_name="answer")


def multilevel_reliability(
    result: Result,
    *,
    patient: str = "patient",
    session: str = "session",
    item: str = "item",
    sessions: int | None = None,
    items: int | None = None,
) -> pd.DataFrame:
    """How reliably the mean of a scale's items tells patients apart, and changes within them (generalisability theory).

    Parameters
    ----------
    result : a mixed model of item answers with random intercepts, from ``item_answers``. With the same sessions for everyone,
        ``"answer ~ 1 + (1 | patient) + (1 | session) + (1 | item) + (1 | patient:session) + (1 | patient:item) + (1 |
        session:item)"``; with sessions of the patient's own, ``"answer ~ 1 + (1 | patient/session)"``.
    patient, session, item : names of the three columns.
    sessions, items : k and m, numbers of sessions and of items; those in the data by default.

    Returns
    -------
    One row a coefficient: ``coefficient meaning sessions items estimate std_error conf_low conf_high interval n_patients
    n_obs``. R1F, RkF, R1R, RkR and Rc for crossed sessions, RkRn and Rcn for nested ones, with the names of
    psych::multilevel.reliability; a factor that the model lacks counts as zero and is named in ``attrs["notes"]``. Intervals
    are by the delta method on the logit scale; a variance at zero counts as known, so that they are then too narrow, and they
    are missing where the estimate is 0. ``bootstrap`` does without the approximation: its statistic may be ``lambda fit:
    multilevel_reliability(fit).set_index("coefficient")["estimate"].to_dict()``.

    Raises AllianceError for other models, random slopes, and factors with other roles.

    Source: Shrout & Lane 2012, in Handbook of Research Methods for Studying Daily Life, ch. 17; Cranford et al. 2006, doi
    10.1177/0146167206287721.

    >>> from alliance_stats.models.mixed import MixedModel
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"patient": np.repeat(range(30), 4), "session": np.tile(range(4), 30)})
    >>> alliance = np.repeat(rng.normal(size=30), 4) + 0.5 * rng.normal(size=120)
    >>> for i in (1, 2, 3):
    ...     frame[f"wai_{i}"] = alliance + 0.5 * rng.normal(size=120)
    >>> answers = item_answers(frame, ["wai_1", "wai_2", "wai_3"])
    >>> fit = MixedModel("answer ~ 1 + (1 | patient/session)").fit(answers)
    >>> multilevel_reliability(fit)[["coefficient", "estimate"]].round(2).to_dict("list")
    {'coefficient': ['RkRn', 'Rcn'], 'estimate': [0.89, 0.8]}
    """
    state = mixed_state(result, "multilevel_reliability")
    roles, nested, notes = _roles(state, patient, session, item)
    k, m = _sizes(result, patient, session, item, sessions, items)
    names = NESTED if nested else CROSSED
    values = _coefficients(state, state.theta, roles, k, m, nested)
    logit_se = _logit_std_error(result, roles, k, m, nested)
    half = float(t_quantile((1 + result.model.level) / 2, np.inf)) * logit_se
    inside = np.where((values > 0) & (values < 1), values, np.nan)
    logit = np.log(inside) - np.log1p(-inside)
    low, high = (1 / (1 + np.exp(-limit)) for limit in (logit - half, logit + half))
    table = pd.DataFrame(
        {
            "coefficient": names, "meaning": [MEANINGS[name] for name in names], "sessions": k, "items": m, "estimate": values,
            "std_error": logit_se * inside * (1 - inside), "conf_low": low, "conf_high": high, "interval": "delta",
            "n_patients": result.frame[patient].nunique(), "n_obs": len(result.frame),
        }
    )  # fmt: skip
    table.attrs["notes"] = (*notes, *_balance_notes(result, patient, session, sessions), *result.notes)
    return table


def _roles(state: MixedState, patient: str, session: str, item: str) -> tuple[_Roles, bool, list[str]]:
    wanted = {
        frozenset([patient]): "patient", frozenset([session]): "session", frozenset([item]): "item",
        frozenset([patient, session]): "patient_session", frozenset([patient, item]): "patient_item",
        frozenset([session, item]): "session_item",
    }  # fmt: skip
    found: dict[str, int] = {}
    for place, grouping in enumerate(state.groupings):
        role = wanted.get(frozenset(grouping.parts))
        if role is None or grouping.effects != ("Intercept",):
            what = "a random slope" if role else "a factor with no role here"
            raise AllianceError(
                f"multilevel_reliability: ({', '.join(grouping.effects)} | {grouping.name}) is {what}; fit {FORMULA!r}, or "
                "answer ~ 1 + (1 | patient/session), and name the columns in patient=, session= and item="
            )
        found[role] = place
    if not {"patient", "patient_session"} <= set(found):
        raise AllianceError(
            f"multilevel_reliability: the model needs (1 | {patient}) and (1 | {patient}:{session}); its factors are "
            f"{', '.join(grouping.name for grouping in state.groupings)}"
        )
    nested = set(found) == {"patient", "patient_session"}
    absent = [] if nested else [":".join(sorted(parts)) for parts, role in wanted.items() if role not in found]
    notes = [f"the model has no factor {', '.join(absent)}, whose variance counts as zero"] if absent else []
    at_zero = sorted(at_boundary(state.groupings, state.theta))
    if at_zero:
        notes.append(f"the variance of {', '.join(at_zero)} is estimated as zero; the intervals take it as known")
    places = [found.get(role) for role in ("patient", "session", "patient_session", "patient_item")]
    return _Roles(*places), nested, notes


def _sizes(
    result: Result, patient: str, session: str, item: str, sessions: int | None, items: int | None
) -> tuple[int, int]:
    """k and m: given, or counted; the items of a nested model are those answered in a session."""
    for name, value in (("sessions", sessions), ("items", items)):
        if value is not None and value < 1:
            raise AllianceError(f"multilevel_reliability: {name} is {value}; use a number of 1 or more")
    frame = result.frame
    if items is None:
        in_frame = item in frame.columns
        items = frame[item].nunique() if in_frame else int(frame.groupby([patient, session]).size().max())
    return (frame[session].nunique() if sessions is None else sessions), items


def _balance_notes(result: Result, patient: str, session: str, sessions: int | None) -> list[str]:
    per_patient = result.frame.groupby(patient)[session].nunique()
    if sessions is not None or per_patient.min() == per_patient.max():
        return []
    return [
        f"patients have {per_patient.min()} to {per_patient.max()} sessions; k is {result.frame[session].nunique()}: pass "
        "sessions= for the mean of another number"
    ]


def _coefficients(state: MixedState, theta: np.ndarray, roles: _Roles, k: int, m: int, nested: bool) -> np.ndarray:
    """The coefficients at any θ; variances are in units of the residual variance, which is 1."""
    variances = np.asarray(theta**2, dtype=float)

    def of(place: int | None) -> float:
        return 0.0 if place is None else float(variances[place])

    p, s, ps, pi = of(roles.patient), of(roles.session), of(roles.patient_session), of(roles.patient_item)
    if nested:
        return np.array([p / (p + ps / k + 1 / (k * m)), ps / (ps + 1 / m)])
    true = p + pi / m
    noise = np.array([1 / m, 1 / (k * m), s + ps + 1 / m, (s + ps) / k + 1 / (k * m)])
    return np.asarray(np.r_[true / (true + noise), ps / (ps + 1 / m)])


def _logit_std_error(result: Result, roles: _Roles, k: int, m: int, nested: bool) -> np.ndarray:
    """Of the logit of each coefficient, from the covariance of θ."""
    state: MixedState = result.state

    def logit(theta: np.ndarray) -> np.ndarray:
        values = _coefficients(state, theta, roles, k, m, nested)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(values) - np.log1p(-values))

    steps = 1e-6 * np.maximum(np.abs(state.theta), 0.1)
    with np.errstate(invalid="ignore"):
        slopes = np.array([(logit(state.theta + h) - logit(state.theta - h)) / (2 * h.max()) for h in np.diag(steps)])
        variance = np.einsum("ai,ab,bi->i", slopes, variance_parameters(result).covariance[:-1, :-1], slopes)
    return np.asarray(np.sqrt(np.maximum(variance, 0)))
