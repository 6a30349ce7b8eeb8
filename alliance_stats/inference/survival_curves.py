"""Survival curves, as functions of frames: one row a patient, or one an interval.

The outcome is written as in `CoxModel`: ``"Surv(time, dropped)"``, ``"Surv(start, stop, dropped)"``, or with a status of
several kinds for competing risks. Rows with a missing value are left out and counted; ``attrs["notes"]`` of every frame says
so, after the definition of dropout where the data have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.survival_rows import noted, read_rows
from alliance_stats.models.survival_response import read_surv, survival_frame, survival_times
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.survival import curves

Interval = Literal["log-log", "log", "plain"]
Variance = Literal["greenwood", "aalen"]
KM_COLUMNS = ("group", "time", "n_risk", "n_event", "n_censored", "survival", "std_error", "conf_low", "conf_high")


def kaplan_meier(
    frame: pd.DataFrame, outcome: str, *, by: str | None = None, interval: Interval = "log-log", level: float = 0.95
) -> pd.DataFrame:
    """Kaplan–Meier curves: the probability of no event by each time, with the at-risk table.

    Parameters
    ----------
    frame : one row a patient, or an interval.
    outcome : e.g. ``"Surv(time, dropped)"``; with ``start`` a row is at risk where start < t ≤ stop.
    by : column of groups, each with a curve of its own.
    interval : ``"log-log"``, ``"log"`` (R's default) or ``"plain"``, pointwise.
    level : confidence level.

    Returns one row a group and distinct time: ``group time n_risk n_event n_censored survival std_error conf_low conf_high``;
    the standard error is Greenwood's. Raises DataError for times and events that make no sense, and where there is no event.

    >>> visits = pd.DataFrame({"time": [2, 3, 3, 5], "dropped": [1, 1, 0, 0]})
    >>> kaplan_meier(visits, "Surv(time, dropped)")[["time", "n_risk", "survival"]].values.tolist()
    [[2.0, 4.0, 0.75], [3.0, 3.0, 0.5], [5.0, 1.0, 0.5]]
    """
    _require(interval, get_args(Interval), "interval", level)
    rows = read_rows(frame, outcome, by, settle=False)
    parts = []
    for label, found in rows.each():
        survival, variance = curves.product_limit(found)
        low, high = curves.limits(survival, variance, interval, level)
        with np.errstate(invalid="ignore"):
            error = np.where(survival > 0, survival * np.sqrt(variance), 0.0)
        parts.append(
            _counted(label, found.times, found.at_risk, {"n_event": found.any_event, "n_censored": found.censored},
                     {"survival": survival, "std_error": error, "conf_low": low, "conf_high": high})
        )  # fmt: skip
    return noted(_together(parts), rows.notes)


def median_times(km: pd.DataFrame, *, share: float = 0.5) -> pd.DataFrame:
    """When the given share of each group has had the event: the first time at which the curve, or a limit, reaches 1 − share.

    ``km`` is a frame of `kaplan_meier`. Columns ``group time conf_low conf_high``, missing where the curve stays above. Where
    the curve runs along that height exactly, the middle of the stretch is taken, as R does.

    >>> visits = pd.DataFrame({"time": [2, 3, 4, 5], "dropped": [1, 1, 1, 0]})
    >>> median_times(kaplan_meier(visits, "Surv(time, dropped)"))["time"].tolist()
    [3.5]
    """
    if not 0 < share < 1:
        raise AllianceError(f"share is {share}; use a number between 0 and 1")
    out = []
    for group, rows in km.groupby("group", sort=False):
        found = [_reached(rows["time"].to_numpy(), rows[name].to_numpy(), 1 - share)
                 for name in ("survival", "conf_low", "conf_high")]  # fmt: skip
        out.append({"group": group, "time": found[0], "conf_low": found[1], "conf_high": found[2]})
    return noted(pd.DataFrame(out).astype({"group": "str"}), km.attrs.get("notes", ()))


def aalen_johansen(
    frame: pd.DataFrame, outcome: str, *, by: str | None = None, variance: Variance = "greenwood", level: float = 0.95
) -> pd.DataFrame:
    """Cumulative incidence of every kind of event, with competing events taken for what they are.

    Parameters
    ----------
    frame, by, level : as for `kaplan_meier`.
    outcome : e.g. ``"Surv(time, status)"``; ``status`` is 0, ``"censored"`` or ``"continuing"`` without an event.
    variance : ``"greenwood"``, of multinomial increments (survival's; binomial without censoring), or ``"aalen"`` (cmprsk's).

    Returns one row a group, cause and distinct time, ``group cause time n_risk n_event incidence std_error conf_low
    conf_high``, with log-log intervals of 1 − incidence. Source: Aalen & Johansen 1978; Gray 1988, doi 10.1214/aos/1176350951.

    >>> ends = pd.DataFrame({"time": [2, 3, 3, 5], "status": ["dropped", "completed", "dropped", "completed"]})
    >>> aalen_johansen(ends, "Surv(time, status)").query("cause == 'dropped'")["incidence"].tolist()
    [0.25, 0.5, 0.5]
    """
    _require(variance, get_args(Variance), "variance", level)
    rows = read_rows(frame, outcome, by, kinds=True, settle=False)
    parts = []
    for label, found in rows.each():
        for kind, name in enumerate(rows.names):
            F, spread = curves.cumulative_incidence(found, kind)
            if variance == "aalen":
                spread = curves.aalen_variance(found, kind)
            stay = 1 - F
            log_variance = np.divide(spread, stay**2, out=np.zeros_like(F), where=stay > 0)
            low, high = curves.limits(stay, log_variance, "log-log", level)
            curve = {"incidence": F, "std_error": np.sqrt(spread), "conf_low": 1 - high, "conf_high": 1 - low}
            part = _counted(label, found.times, found.at_risk, {"n_event": found.events[kind]}, curve)
            part.insert(1, "cause", pd.Series(str(name), index=part.index, dtype="str"))
            parts.append(part)
    return noted(_together(parts), rows.notes)


def restricted_mean(
    frame: pd.DataFrame, outcome: str, *, tau: float, by: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Mean time without the event up to ``tau`` (area under Kaplan–Meier), in each group, and differences to the first.

    Columns ``group tau estimate std_error conf_low conf_high statistic p_value``; rows "b − a" are the differences, with their
    z tests. Raises AllianceError where ``tau`` lies beyond the last time of a group. Source: Uno et al. 2014, doi
    10.1200/JCO.2014.55.2208.

    >>> visits = pd.DataFrame({"time": [2, 3, 3, 5], "dropped": [1, 1, 0, 0]})
    >>> restricted_mean(visits, "Surv(time, dropped)", tau=4)[["estimate", "std_error"]].round(3).values.tolist()
    [[3.25, 0.415]]
    """
    if not tau > 0:
        raise AllianceError(f"tau is {tau}; give a time above 0")
    rows = read_rows(frame, outcome, by, settle=False)
    out = []
    for label, found in rows.each():
        if tau > found.times[-1]:
            raise AllianceError(
                f"tau={tau:g} lies beyond the last time of group {label!r}, {found.times[-1]:g}; take less"
            )
        mean, spread = curves.restricted_mean(found.times, curves.product_limit(found)[0], found, tau)
        out.append((label, mean, spread))
    lines = [(label, mean, spread, False) for label, mean, spread in out]
    lines += [(f"{b} − {out[0][0]}", mean - out[0][1], spread + out[0][2], True) for b, mean, spread in out[1:]]
    half, table = float(t_quantile((1 + level) / 2, np.inf)), []
    for label, estimate, spread, tested in lines:
        se = float(np.sqrt(spread))
        z = estimate / se if tested and se > 0 else np.nan
        table.append(
            (label, tau, estimate, se, estimate - half * se, estimate + half * se, z, float(t_p_value(z, np.inf)))
        )
    names = ["group", "tau", "estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value"]
    return noted(pd.DataFrame(table, columns=names).astype({"group": "str"}), rows.notes)


def landmark_curves(
    frame: pd.DataFrame, outcome: str, *, landmark: float, alliance: str, cuts: Sequence[float],
    labels: Sequence[str] | None = None, interval: Interval = "log-log", level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Kaplan–Meier curves by alliance from the session at which it was rated, for patients still there.

    Parameters
    ----------
    frame : one row a patient.
    outcome : ``"Surv(time, dropped)"``.
    landmark : the session of the rating; who has left, or is censored, by then is not in the curves. Curves that start earlier
        would credit a group with time it had to survive to be rated.
    alliance : column of the rating.
    cuts : cut-points, in the units of the rating, that are declared and not taken from the data; a value equal to a cut-point
        belongs to the upper group. Quantiles fail where many patients share the maximum; ``attrs["notes"]`` gives that share.
    labels : names of the groups, one more than cuts.

    Columns as `kaplan_meier`; times stay on their scale. Source: Anderson, Cain & Gelber 1983, doi 10.1200/JCO.1983.1.11.710.
    """
    surv = read_surv(outcome)
    if surv.start is not None:
        raise AllianceError(
            "landmark_curves takes Surv(time, event), one row a patient; with start and stop use CoxModel"
        )
    points = [float(cut) for cut in cuts]
    if not points or points != sorted(set(points)):
        raise AllianceError(f"cuts is {list(cuts)}; give one or more cut-points in rising order")
    names = list(labels) if labels is not None else _between(alliance, points)
    if len(names) != len(points) + 1 or len(set(names)) < len(names):
        raise AllianceError(f"labels: {len(names)} names for {len(points) + 1} groups; give one each")
    rows, notes = survival_frame(frame, surv, [alliance], [], outcome)
    if not pd.api.types.is_numeric_dtype(rows[alliance]):
        raise DataError(f"landmark_curves: '{alliance}' holds {rows[alliance].dtype} values; cut-points need numbers")
    times = survival_times(rows, surv)
    there = times.stop > landmark
    if not there.any():
        raise DataError(f"landmark_curves: nobody is there after {landmark:g}; choose an earlier landmark")
    values = rows[alliance].to_numpy(dtype=float)[there]
    code = np.searchsorted(points, values, side="right")
    made = pd.DataFrame(
        {"start": float(landmark), "time": times.stop[there], "event": times.event[there],
         "group": pd.Categorical(np.array(names, dtype=object)[code], categories=names, ordered=True)}
    )  # fmt: skip
    top = float(np.mean(values == values.max()))
    said = (
        f"landmark {landmark:g}: {int((~there).sum())} of {len(there)} patients had left or were censored by then "
        f"({int(times.event[~there].sum())} events) and are not in the curves",
        f"groups of '{alliance}' by the declared cut-points {', '.join(f'{p:g}' for p in points)}; "
        f"{100 * top:.0f} % of patients share the highest value, {values.max():g}",
    )
    km = kaplan_meier(made, "Surv(start, time, event)", by="group", interval=interval, level=level)
    return noted(km, (*notes, *said))


def _between(name: str, points: list[float]) -> list[str]:
    inner = [f"{a:g} ≤ {name} < {b:g}" for a, b in pairwise(points)]
    return [f"{name} < {points[0]:g}", *inner, f"{name} ≥ {points[-1]:g}"]


def _counted(
    label: str, times: np.ndarray, at_risk: np.ndarray, counts: dict[str, np.ndarray], curve: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Rows of one group; columns stay the arrays that they are."""
    whole = {name: n.astype(int) for name, n in ({"n_risk": at_risk} | counts).items()}
    group = pd.array([label], dtype="str").repeat(len(times))
    return pd.DataFrame({"group": group, "time": times} | whole | curve, copy=False)


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame; a single part of a million rows is not copied."""
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _reached(times: np.ndarray, curve: np.ndarray, height: float) -> float:
    tolerance = float(np.sqrt(np.finfo(float).eps))
    under = np.flatnonzero(curve < height + tolerance)
    if not len(under):
        return np.nan
    first = under[0]
    below = np.flatnonzero(curve < curve[first])
    if abs(curve[first] - height) < tolerance and len(below):
        return float((times[first] + times[below[0]]) / 2)
    return float(times[first])


def _require(value: str, allowed: tuple[str, ...], name: str, level: float) -> None:
    if value not in allowed:
        raise AllianceError(f"{name} is {value!r}; use one of {', '.join(map(repr, allowed))}")
    if not 0 < level < 1:
        raise AllianceError(f"level is {level}; use a number between 0 and 1, e.g. 0.95")
