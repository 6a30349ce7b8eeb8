"""What figures of fitted curves say: interactions, courses, slopes, and how far an effect withstands a confounder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from alliance_stats.render.alt_words import counted, interval, layers, listed, span, xlabel, ylabel
from alliance_stats.render.curves import significant_regions
from alliance_stats.render.described import Described, Given
from alliance_stats.render.numbers import number, percent
from alliance_stats.render.style import levels, name_of, records
from alliance_stats.render.trajectories import patient_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = ["fitted", "conf_low", "conf_high"]


def tell_interaction(ax: Axes, given: Given) -> Described:
    """Where each group's line starts and ends."""
    x, by, raw = given["x"], given["by"], given["raw"]
    curves = given["curves"][[by, x, *BAND]]
    points = None if raw is None else raw[[by, x, given["y"]]].dropna()
    over = "" if points is None else f" Under the lines {counted(len(points), 'observation')}."
    start = f"{ylabel(ax)} against {xlabel(ax)} ({span(curves[x])}) by {name_of(by)}, fitted lines with bands. "
    data = curves if points is None else layers(curve=curves, observed=points)
    return Described(start + said_lines(curves, x, by) + over + said_maximum(given), data.reset_index(drop=True))


def tell_completion(ax: Axes, given: Given) -> Described:
    """Where each group's chance starts and ends, and how many completed."""
    x, y, by, raw = given["x"], given["y"], given["by"], given["raw"]
    factors = [by] if by else []
    curves = given["curves"]
    curves = curves if "fitted" in curves else curves.rename(columns={"estimate": "fitted"})
    curves = curves[[*factors, x, *BAND]]
    points = None if raw is None else raw[[*(f for f in factors if f in raw), x, y]].dropna()
    done = "" if points is None else f" {int(points[y].sum())} of {counted(len(points), 'patient')} completed."
    start = f"Predicted probability: {ylabel(ax)} against {xlabel(ax)} ({span(curves[x])}), with bands. "
    data = curves if points is None else layers(curve=curves, patient=points)
    return Described(
        start + said_lines(curves, x, by, share=True) + done + said_maximum(given), data.reset_index(drop=True)
    )


def said_maximum(given: Given) -> str:
    """The line at the scale's maximum, where there is one."""
    return "" if given["ceiling"] is None else f" A line marks the scale maximum, {given['ceiling']:g}."


def said_lines(curves: pd.DataFrame, x: str, by: str | None, *, share: bool = False) -> str:
    """Where the line of each group starts and ends, as a sentence."""
    said = percent if share else number
    parts = []
    for group in levels(curves[by]) if by else [None]:
        rows = (curves if by is None else curves[curves[by] == group]).sort_values(x)
        ends = f"from {said(float(rows['fitted'].iloc[0]))} to {said(float(rows['fitted'].iloc[-1]))}"
        parts.append(ends if by is None else f"{name_of(group)}: {ends}")
    return "; ".join(parts).capitalize() + "." if by is None else "; ".join(parts) + "."


def tell_johnson_neyman(ax: Axes, given: Given) -> Described:
    """The range of the effect, and the regions where its interval excludes the reference."""
    x, curve = given["x"], given["curve"]
    regions = significant_regions(curve, x) if given["regions"] is None else given["regions"]
    spans = [f"{number(row['low'])} to {number(row['high'])}" for row in records(regions)]
    value = f"{given['reference']:g}"
    where = f"from {listed(spans)}" if spans else "nowhere in this range"
    start = f"{ylabel(ax)} against {xlabel(ax)} ({span(curve[x])}), with its band: {span(curve['estimate'])}."
    data = curve[[x, "estimate", "conf_low", "conf_high", "significant"]]
    return Described(f"{start} The interval excludes {value} {where}.", data.reset_index(drop=True))


def tell_trajectories(ax: Axes, given: Given) -> Described:
    """Where the population's curves start and end, and how many patients lie under them."""
    x, by, raw = given["x"], given["by"], given["raw"]
    factors = [by] if by else []
    curve = given["curve"][[*factors, x, *BAND]]
    start = (
        f"{ylabel(ax)} against {xlabel(ax)} ({span(curve[x])}), population curve{'s' * (by is not None)} with bands. "
    )
    if raw is None:
        return Described(start + said_lines(curve, x, by), curve.reset_index(drop=True))
    names = {"x": x, "y": given["y"], "patient": given["patient"], "by": by, "most": given["most"]}
    lines = patient_lines(raw, **names)
    shown = lines[lines["drawn"]].drop(columns="drawn")
    if not given["fitted"]:
        shown = shown.drop(columns="fitted", errors="ignore")
    n, drawn = lines["line"].nunique(), shown["line"].nunique()
    under = f" Under them the courses of {drawn} of {counted(n, 'patient')}."
    return Described(start + said_lines(curve, x, by) + under, layers(curve=curve, patient=shown))


def tell_slopes(ax: Axes, given: Given) -> Described:
    """The slopes between and within patients, and their difference."""
    frame, effects, x = given["frame"], given["effects"], given["x"]
    rows = {row["term"]: row for row in records(effects)}
    said = "; ".join(f"{name} {interval(rows[name])}" for name in ("between", "within", "contextual"))
    means = frame[frame["part"] == "patient"]
    start = f"{ylabel(ax)} against {xlabel(ax)} ({span(means[x])}): means of {counted(len(means), 'patient')}, "
    kept = frame[["part", "at", x, given["y"], "conf_low", "conf_high"]]
    return Described(
        f"{start}the line between them and the slope within them. Slopes: {said}.", kept.reset_index(drop=True)
    )


def tell_sensitivity_curve(ax: Axes, given: Given) -> Described:
    """The effect without confounding, its range, and where it vanishes."""
    line = given["curve"].sort_values("rho")
    near = records(line.iloc[[int(line["rho"].abs().argmin())]])[0]
    legend: Any = ax.get_legend()
    zero = [t.get_text() for t in legend.get_texts() if "ρ =" in t.get_text()]
    ends = f" {' '.join(zero[0].split()).capitalize()}." if zero else " It vanishes nowhere on the curve."
    start = f"{ylabel(ax)} against the {xlabel(ax)} ({span(line['rho'])}), with its band: {span(line['estimate'])}"
    at = f"; at ρ = {number(near['rho'], 2)} {interval(near)}."
    return Described(start + at + ends, line[["rho", "estimate", "conf_low", "conf_high"]].reset_index(drop=True))


def tell_contours(ax: Axes, given: Given) -> Described:
    """The effect without a confounder, and whether it can vanish."""
    frame = given["frame"]
    first = records(frame.sort_values(["r2_mediator", "r2_outcome"]).head(1))[0]
    vanishes = frame["estimate"].min() < 0 < frame["estimate"].max()
    end = "A dashed line shows where the effect vanishes." if vanishes else "The effect vanishes nowhere on the grid."
    start = f"Lines of equal effect over the {xlabel(ax)} and the {ylabel(ax)} that a confounder explains, "
    lone = f"Without a confounder the effect is {number(float(first['estimate']), 2)}."
    ranges = f"{span(frame['r2_mediator'])} and {span(frame['r2_outcome'])}. "
    return Described(f"{start}{ranges}{lone} {end}", frame.reset_index(drop=True))
