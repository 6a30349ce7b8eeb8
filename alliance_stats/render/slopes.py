"""Two slopes of one predictor: that between patients and that within them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.caterpillar_rows import interval_name
from alliance_stats.render.figure_style import text_size
from alliance_stats.render.numbers import with_intervals
from alliance_stats.render.style import (
    GREY,
    LOOKS,
    MANY,
    canvas,
    checked,
    dress,
    give_height,
    house,
    legend_above,
    name_of,
    nothing,
    room,
    text_width,
)  # fmt: skip
from alliance_stats.render.trajectories import spaced

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

PARTS = ("patient", "segment", "between", "within")
LEGEND = 10.0  # lines beside the text of a legend: handle, axis label and tick labels
EFFECTS = ("between", "within", "contextual")


def within_between(
    frame: pd.DataFrame, effects: pd.DataFrame, *, x: str, y: str, most: int = 60, ax: Axes | None = None,
    xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Patients' means with the line between patients, each patient's own short line, and the average slope within.

    Parameters
    ----------
    frame : columns ``part at``, x, y, ``conf_low conf_high n adjusted_for``, as ``within_between(fit, x)`` returns them.
    effects : tidy rows with the terms ``between``, ``within`` and ``contextual``, as ``contextual_effect(fit, x)`` returns;
        their numbers stand in the legend.
    x, y : columns of predictor and outcome in frame.
    most : of more patients the lines of so many are drawn, spaced evenly over their means; all means are drawn.
    ax : axes to draw on; without it a new figure of 85 mm.

    Raises DataError where columns, parts or terms are absent.

    >>> frame = pd.DataFrame({"part": ["patient"] * 2 + ["segment"] * 2 + ["between"] * 2 + ["within"] * 2,
    ...     "at": ["a", "b", "a", "a", "", "", "", ""], "alliance": [4, 6, 3, 5, 4, 6, 4.5, 5.5],
    ...     "pain": [6, 3, 6.2, 5.8, 6, 3, 4.7, 4.3], "conf_low": 1.0, "conf_high": 8.0})
    >>> effects = pd.DataFrame({"term": ["between", "within", "contextual"], "estimate": [-1.5, -0.2, -1.3],
    ...                         "conf_low": [-2.1, -0.4, -1.9], "conf_high": [-0.9, 0.0, -0.7]})
    >>> ax = within_between(frame, effects, x="alliance", y="pain")
    >>> ax.get_legend().get_texts()[3].get_text()
    'contextual: −1.30 [−1.90, −0.70]'
    """
    parts, numbers = _parts(frame, x, y), _numbers(effects)
    ends = parts["segment"]
    names = list(dict.fromkeys(ends.sort_values([x, "at"])["at"]))
    shown = [names[k] for k in spaced(len(names), most)]
    held = str(frame["adjusted_for"].iloc[0]) if "adjusted_for" in frame else ""
    with house():
        new = ax is None
        ax = canvas(height=95)[0] if ax is None else ax
        _segments(ax, ends[ends["at"].isin(shown)], x, y)
        points = _means(ax, parts["patient"], x, y)
        between, within = (_line(ax, parts[name], x, y, k) for k, name in enumerate(("between", "within")))
        default = name_of(y) + (" (adjusted)" if held else "")
        dress(ax, name_of(x) if xlabel is None else xlabel, default if ylabel is None else ylabel)
        intervals = interval_name(effects[effects["term"].isin(EFFECTS)]) + "s"
        entries = [
            (nothing(), f"average slopes ({intervals}); contextual = between − within"),
            *_slope_entries(ax, dict(zip(EFFECTS, (between, within, nothing()), strict=True)), numbers),
            (points, f"patient's mean (n = {len(parts['patient'])})"),
            *([(_thin(), _own(len(shown), len(names)))] if names else []),
            *([(nothing(), f"adjusted for {name_of(held)}")] if held else []),
        ]
        legend_above(ax, [handle for handle, _ in entries], [text for _, text in entries])
        if new:
            give_height(ax, 50)
    return ax


def _parts(frame: pd.DataFrame, x: str, y: str) -> dict[str, pd.DataFrame]:
    checked(frame, "within_between", needed=["part", "at"], numeric=[x, y, "conf_low", "conf_high"])
    parts = {name: frame[frame["part"] == name] for name in PARTS}
    absent = [name for name in PARTS if parts[name].empty and name != "segment"]
    if absent:
        raise DataError(f"within_between: column 'part' has no {absent[0]!r}; give the frame of within_between(fit, …)")
    return parts


def _numbers(effects: pd.DataFrame) -> dict[str, str]:
    """What the legend says of each slope: its name, and estimate with interval."""
    checked(effects, "within_between", needed=["term"], numeric=["estimate", "conf_low", "conf_high"])
    rows = effects.set_index("term", drop=False)
    absent = [term for term in EFFECTS if list(rows.index).count(term) != 1]
    if absent:
        raise DataError(f"within_between: effects need one row {absent[0]!r}; terms: {', '.join(map(str, rows.index))}")
    return dict(zip(EFFECTS, with_intervals(rows.loc[list(EFFECTS)]), strict=True))


def _slope_entries(ax: Axes, handles: dict[str, Artist], numbers: dict[str, str]) -> list[tuple[Artist, str]]:
    """One line a slope where it fits, else a second one for the numbers: a line never ends inside an interval."""
    found: list[tuple[Artist, str]] = []
    for name, handle in handles.items():
        line = f"{name}: {numbers[name]}"
        fits = text_width(line) <= room(ax)[0] - LEGEND * text_size()
        found += [(handle, line)] if fits else [(handle, f"{name}:"), (nothing(), numbers[name])]
    return found


def _own(drawn: int, n: int) -> str:
    return "patients' own slopes" + (f" ({drawn} of {n} drawn)" if drawn < n else "")


def _segments(ax: Axes, ends: pd.DataFrame, x: str, y: str) -> None:
    from matplotlib.collections import LineCollection

    paths = [part[[x, y]].to_numpy(float) for _, part in ends.groupby("at", sort=True)]
    ax.add_collection(LineCollection(paths, colors=GREY, linewidths=0.6, alpha=0.6, zorder=1))


def _means(ax: Axes, rows: pd.DataFrame, x: str, y: str) -> Artist:
    return ax.scatter(
        rows[x], rows[y], s=9 if len(rows) <= 150 else 5, facecolors="none", edgecolors=GREY, linewidths=0.7, zorder=2,
        rasterized=len(rows) > MANY,
    )  # fmt: skip


def _line(ax: Axes, rows: pd.DataFrame, x: str, y: str, k: int) -> Artist:
    """The line of one part; only that between patients has a band, as the other would hide it."""
    look, rows = LOOKS[k], rows.sort_values(x)
    if k == 0:
        ax.fill_between(
            rows[x], rows["conf_low"], rows["conf_high"], color=look.colour, alpha=0.18, linewidth=0, zorder=3
        )
    (line,) = ax.plot(
        rows[x], rows[y], color=look.colour, linestyle=look.dashes, linewidth=2.0, marker=look.marker, markersize=4.5,
        markevery=[0, len(rows) - 1], zorder=5,
    )  # fmt: skip
    return line


def _thin() -> Artist:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=GREY, linewidth=0.6)
