"""What figures of the course of a trial say: who took part, who is still there, who leaves when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.render.alt_words import counted, layers, span, xlabel, ylabel
from alliance_stats.render.described import Described, Given, alt_text, figure_data, is_described
from alliance_stats.render.numbers import percent, whole
from alliance_stats.render.style import levels, name_of, records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMITS = ["conf_low", "conf_high"]
TOTAL = ("", "all")


def tell_flow(ax: Axes, given: Given) -> Described:
    """Every stage with its numbers, arm by arm."""
    flow = given["flow"]
    parts = []
    for stage in levels(flow["stage"]):
        rows = records(flow[flow["stage"] == stage])
        said = [
            whole(float(row["n"])) if str(row["arm"]) in TOTAL else f"{name_of(row['arm'])} {whole(float(row['n']))}"
            for row in rows
        ]
        lost = [str(row["reason"]).strip() for row in rows if not pd.isna(row["reason"]) and str(row["reason"]).strip()]
        parts.append(
            f"{name_of(stage)}: {', '.join(said)}" + (f" (lost on the way: {', '.join(lost)})" if lost else "")
        )
    kept = flow[["stage", "arm", "n", "reason"]].reset_index(drop=True)
    return Described("Participant flow, number of patients by stage. " + "; ".join(parts) + ".", kept)


def tell_survival(ax: Axes, given: Given) -> Described:
    """Who was at risk first, and the share left at the end, of each group."""
    km = given["km"]
    said = [
        f"{_group(group)}{_ends(km[km['group'] == group], 'survival')} of {_first(km[km['group'] == group])}"
        for group in levels(km["group"])
    ]
    times = f"{xlabel(ax)} {given['start']:g} to {km['time'].max():g}"
    start = f"Kaplan–Meier curves ({ylabel(ax)}) over {times}, with bands. "
    kept = [n for n in ("group", "time", "n_risk", "n_event", "n_censored", "survival", *LIMITS) if n in km]
    return Described(start + "; ".join(said) + ".", km[kept].reset_index(drop=True))


def tell_incidence(ax: Axes, given: Given) -> Described:
    """The incidence of every cause at the end, of each group."""
    curves = given["curves"]
    causes = levels(curves["cause"]) if given["causes"] is None else list(given["causes"])
    shown = curves[curves["cause"].isin(causes)]
    said = []
    for group in levels(shown["group"]):
        for cause in causes:
            rows = shown[(shown["group"] == group) & (shown["cause"] == cause)]
            said.append(f"{_group(group)}{name_of(cause)} {_ends(rows, 'incidence')}")
    start = f"Cumulative incidence with bands over {xlabel(ax)} {given['start']:g} to {shown['time'].max():g}. "
    kept = shown[["group", "cause", "time", "n_risk", "incidence", *LIMITS]]
    return Described(start + "; ".join(said) + ".", kept.reset_index(drop=True))


def tell_hazard(ax: Axes, given: Given) -> Described:
    """The highest hazard of each group, and when it is."""
    frame = given["hazards"]
    said = []
    for group in levels(frame["group"]):
        top = records(frame[frame["group"] == group].sort_values("hazard", ascending=False, kind="stable").head(1))[0]
        said.append(f"{_group(group)}highest {percent(top['hazard'])} at {xlabel(ax)} {top['time']:g}")
    start = f"{ylabel(ax)} with intervals, at {xlabel(ax)} {frame['time'].min():g} to {frame['time'].max():g}. "
    kept = frame[["group", "time", "hazard", *LIMITS]]
    return Described(start + "; ".join(said) + ".", kept.reset_index(drop=True))


def tell_reference(ax: Axes, given: Given) -> Described:
    """What the axes said before, and the line."""
    line = pd.DataFrame({"label": [given["label"]], "value": [float(given["value"])]})
    words = f"A dotted line at {given['value']:g}: {given['label']}."
    if not is_described(ax):
        return Described(words, line)
    old = figure_data(ax)
    below = pd.concat([old, line.assign(layer="reference")]) if "layer" in old else layers(drawn=old, reference=line)
    return Described(f"{alt_text(ax)} {words}", below.reset_index(drop=True))


def _group(group: object) -> str:
    return "" if group == "all" else f"{name_of(group)}: "


def _first(rows: pd.DataFrame) -> str:
    return counted(int(rows.sort_values("time")["n_risk"].iloc[0]), "patient")


def _ends(rows: pd.DataFrame, column: str) -> str:
    """The last value with its interval, which may be missing."""
    last = records(rows.sort_values("time").tail(1))[0]
    limits = f" [{percent(last['conf_low'])}, {percent(last['conf_high'])}]" if pd.notna(last["conf_low"]) else ""
    return f"{percent(last[column])}{limits} at the end ({span([last['time']]).split(' to ')[0]})"
