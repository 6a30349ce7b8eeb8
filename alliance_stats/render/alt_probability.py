"""What figures of expected shares and counts say, and those that set them against what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alliance_stats.render.alt_curves import said_lines, said_maximum
from alliance_stats.render.alt_words import counted, layers, span, xlabel, ylabel
from alliance_stats.render.caterpillar_rows import caterpillar_rows
from alliance_stats.render.described import Described, Given
from alliance_stats.render.numbers import number, percent
from alliance_stats.render.style import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tell_outcome_curve(ax: Axes, given: Given) -> Described:
    """Where each group's curve starts and ends."""
    x, by, raw = given["x"], given["by"], given["raw"]
    factors = [by] if by else []
    curves = given["curves"][[*factors, x, "fitted", "conf_low", "conf_high"]]
    points = None if raw is None else raw[[*factors, x, given["y"]]].dropna()
    lines = said_lines(curves, x, by, share=given["share"])
    over = "" if points is None else f" Under it {counted(len(points), 'observation')}."
    start = f"Expected outcome: {ylabel(ax)} against {xlabel(ax)} ({span(curves[x])}), with bands. "
    data = curves if points is None else layers(curve=curves, observed=points)
    return Described(f"{start}{lines}{over}{said_maximum(given)}", data.reset_index(drop=True))


def tell_effect_curve(ax: Axes, given: Given) -> Described:
    """The range of the effect, and for how much of it the band excludes zero."""
    x, curve = given["x"], given["curve"].sort_values(given["x"])
    low, high = float(curve["estimate"].min()), float(curve["estimate"].max())
    if given["share"]:
        low, high = 100 * low, 100 * high
    out = f"The band excludes 0 at {int(curve['significant'].sum())} of {counted(len(curve), 'point')}."
    start = f"{ylabel(ax)} against {xlabel(ax)} ({span(curve[x])}): between {number(low)} and {number(high)}."
    data = curve[[x, "estimate", "conf_low", "conf_high", "significant"]]
    return Described(f"{start} {out}", data.reset_index(drop=True))


def tell_group_outcomes(ax: Axes, given: Given) -> Described:
    """The lowest, the highest, and how many intervals exclude the outcome with a therapist in the middle."""
    groups = given["groups"]
    said, reference = _said(groups["unit"].iloc[0] == "share"), float(groups["reference"].iloc[0])
    limits = ["estimate", "conf_low", "conf_high"]
    away = groups.assign(**{name: groups[name] - reference for name in limits})
    rows = caterpillar_rows(away, group=given["group"])
    rows = rows.rename(columns={"excludes_zero": "excludes_reference"})
    rows = rows.assign(reference=reference, **{name: rows[name] + reference for name in limits})
    ends = [f"{name_of(rows[column].iloc[k])}" for column, k in (("at", 0), ("at", -1))]
    spread = f"from {said(rows['estimate'].iloc[0])} ({ends[0]}) to {said(rows['estimate'].iloc[-1])} ({ends[1]})"
    out = f"{int(rows['excludes_reference'].sum())} of {len(rows)} intervals exclude {said(reference)}."
    factor = name_of(rows["group"].iloc[0])
    return Described(f"{xlabel(ax)}, sorted, for {counted(len(rows), factor)}: {spread}. {out}", rows)


def tell_calibration(ax: Axes, given: Given) -> Described:
    """How many intervals hold what was predicted."""
    bins = given["bins"]
    said = _said(given["share"])
    held = ((bins["conf_low"] <= bins["predicted"]) & (bins["predicted"] <= bins["conf_high"])).sum()
    ends = [
        f"predicted {said(row['predicted'])}, observed {said(row['observed'])}"
        for _, row in bins.iloc[[0, -1]].iterrows()
    ]
    text = f"{ylabel(ax)} against {xlabel(ax)} in {len(bins)} bins of the prediction. Lowest: {ends[0]}; highest: {ends[1]}."
    return Described(f"{text} {held} of {len(bins)} intervals hold the prediction.", bins.reset_index(drop=True))


def tell_rootogram(ax: Axes, given: Given) -> Described:
    """How many counts lie outside what the model simulates."""
    rows = given["counts"]
    outside = rows[(rows["observed"] < rows["expected_low"]) | (rows["observed"] > rows["expected_high"])]
    which = f": {', '.join(f'{value:g}' for value in outside['count'])}" if 0 < len(outside) <= 6 else ""
    ends = f"{rows['count'].min():g} to {rows['count'].max():g}"
    start = f"Rows with each count ({xlabel(ax)}, {ends}), observed and expected under the model."
    text = f"{start} {len(outside)} of {len(rows)} counts lie outside 95 % of the simulations{which}."
    return Described(text, rows.reset_index(drop=True))


def _said(share: Any) -> Any:
    return percent if share else number
