"""Groups from the lowest to the highest: conditional modes of random effects with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.caterpillar_rows import LIMITS, caterpillar_rows, chosen_rows, interval_name
from alliance_stats.render.figure_style import one_column, points, text_size, two_columns
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
    levels,
    name_of,
    nothing,
    room,
    text_width,
    wrap,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

AROUND = 9.5  # lines of height for axis, label and legend of given axes
LOWEST, HIGHEST, PITCH = 60.0, 150.0, 0.42  # mm of axes without names, and of each of their groups
NARROWEST = 40.0  # mm of one panel of several
ZERO = "variance estimated as zero: every difference is 0"


def caterpillar(
    effects: pd.DataFrame, *, group: str | None = None, term: str | None = None, sort_by: str | None = None,
    most: int = 40, ax: Axes | None = None, width: float | None = None, xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Random effects of therapists (or other groups) with their intervals, sorted, and a line at zero.

    Parameters
    ----------
    effects : columns ``group at term estimate conf_low conf_high``, as ``random_effects`` returns them.
    group : the grouping factor to draw; needed where the frame has several.
    term : the effect to draw, e.g. ``"Intercept"`` or ``"week"``; needed where the frame has several.
        ``caterpillars`` draws all of them side by side.
    sort_by : the effect whose size gives the order; that which is drawn, unless told otherwise.
    most : groups are named up to this number, and where the given axes have room; the axis says so where they are not.
    ax : axes to draw on; without it a new figure, its height fitted to the groups.
    width : mm of a new figure; without it one column of the style in use.

    Groups whose interval excludes 0 have a filled point and a thicker line. A conditional mode is drawn towards zero by
    as much as the group has few rows: neither order nor interval is a test of one therapist against another.
    Raises DataError where columns are absent, a choice is missing or unknown, or a group has two rows.

    >>> effects = pd.DataFrame({"group": "therapist", "at": list("abc"), "term": "Intercept",
    ...     "estimate": [0.5, -0.9, 0.1], "conf_low": [0.1, -1.4, -0.3], "conf_high": [0.9, -0.4, 0.5]})
    >>> [label.get_text() for label in caterpillar(effects).get_yticklabels()]
    ['b', 'c', 'a']
    """
    rows = caterpillar_rows(effects, group=group, term=term, sort_by=sort_by)
    interval = interval_name(effects[effects["term"] == rows["term"].iloc[0]])
    width = one_column() if width is None else width
    with house():
        new = ax is None
        across = width / 25.4 * 72 if ax is None else room(ax)[0]
        texts, pitch = _names(rows, across, most)
        if ax is not None and pitch * len(rows) > room(ax)[1] - AROUND * text_size():
            texts = []
        tall = _height(rows, pitch)
        ax = canvas(width, tall + points(30))[0] if ax is None else ax
        along = f"{_xlabel(rows)} (conditional mode, {interval})" if xlabel is None else xlabel
        dress(ax, _beside(along, across, texts), _ylabel(rows, named=bool(texts)) if ylabel is None else ylabel)
        _marks(ax, rows)
        _name_groups(ax, rows, [max(text.split("\n"), key=text_width) for text in texts])
        _legend(ax, rows)  # reckons with the width of the names, which must be lines for that
        _name_groups(ax, rows, texts)
        if new:
            give_height(ax, tall)
    return ax


def caterpillars(
    effects: pd.DataFrame,
    *,
    group: str | None = None,
    sort_by: str | None = None,
    most: int = 40,
    width: float | None = None,
) -> tuple[Axes, ...]:
    """A ``caterpillar`` for every effect of one factor, side by side in a new figure, the groups in one order.

    The order is that of ``sort_by``, without it of the first effect, so that the other panels show whether the
    groups with high intercepts have high slopes. One legend stands over all panels. Raises DataError as ``caterpillar``
    does, and where ``width`` (mm; without it two columns)
    leaves less than 40 mm to a panel.

    >>> effects = pd.DataFrame({"group": "therapist", "at": ["a", "a", "b", "b"], "term": ["Intercept", "week"] * 2,
    ...     "estimate": [0.5, -0.1, -0.5, 0.2], "conf_low": [0.1, -0.3, -0.9, 0], "conf_high": [0.9, 0.1, -0.1, 0.4]})
    >>> [ax.get_xlabel().split(":")[0] for ax in caterpillars(effects)]
    ['Intercept', 'week']
    """
    checked(effects, "caterpillars", needed=["group", "term"])
    chosen = chosen_rows(effects, "group", group)
    terms = levels(chosen["term"])
    width = two_columns() if width is None else width
    if width < NARROWEST * len(terms):
        raise DataError(f"caterpillars: {len(terms)} panels do not fit into {width:g} mm; widen it, or draw one term=")
    parts = [caterpillar_rows(chosen, term=term, sort_by=sort_by or terms[0]) for term in terms]
    with house():
        across = width / 25.4 * 72 / len(terms)
        texts, pitch = _names(parts[0], across, most)
        tall = _height(parts[0], pitch)
        panels = canvas(width, tall + points(30), columns=len(terms))
        for ax, rows in zip(panels, parts, strict=True):
            shown = texts if ax is panels[0] else [""] * len(texts)
            dress(
                ax, _beside(_xlabel(rows), across, shown), _ylabel(rows, named=bool(texts)) if ax is panels[0] else ""
            )
            _marks(ax, rows)
            _name_groups(ax, rows, shown)
            if _is_zero(rows):
                _legend(ax, rows)
        _shared_legend(panels, interval_name(chosen))
        give_height(panels[0], tall)
    return panels


def _names(rows: pd.DataFrame, across: float, most: int) -> tuple[list[str], float]:
    """Names in a third of the width, and the points of height that each group needs; nothing where there are too many."""
    if len(rows) > most:
        return [], 0.0
    texts = [wrap(name_of(at), 0.33 * across) for at in rows["at"]]
    return texts, 1.4 * text_size() * max(text.count("\n") + 1 for text in texts)


def _height(rows: pd.DataFrame, pitch: float) -> float:
    """Height in mm of the axes of a new figure."""
    if pitch:
        return max(pitch * (len(rows) + 0.4) * 25.4 / 72, 20.0)
    return float(np.clip(points(PITCH * len(rows)), points(LOWEST), points(HIGHEST)))


def _beside(label: str, across: float, texts: list[str]) -> str:
    """The label of the axis no wider than the axes, which the names make narrower."""
    names = max((text_width(line) for text in texts for line in text.split("\n")), default=0.0)
    return wrap(label, min(max(across - names - 5 * text_size(), 10 * text_size()), 0.74 * across))


def _xlabel(rows: pd.DataFrame) -> str:
    return f"{name_of(rows['term'].iloc[0])}: difference from the average {name_of(rows['group'].iloc[0])}"


def _ylabel(rows: pd.DataFrame, *, named: bool) -> str:
    left = "" if named else ", names left out"
    return f"{name_of(rows['group'].iloc[0])} ({len(rows)} groups{left})"


def _name_groups(ax: Axes, rows: pd.DataFrame, texts: list[str]) -> None:
    ax.set_ylim(0.3, len(rows) + 0.7)
    ax.set_yticks(rows["position"] if texts else [], texts, parse_math=False)
    ax.tick_params(axis="y", length=0, pad=3)


def _marks(ax: Axes, rows: pd.DataFrame) -> None:
    values = np.append(rows[LIMITS].to_numpy(float).ravel(), 0.0)
    pad = 0.05 * float(np.ptp(values)) or 1.0
    ax.set_xlim(values.min() - pad, values.max() + pad)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    crowd = min(1.0, 60 / len(rows))
    for outside, colour, face in ((False, GREY, "white"), (True, LOOKS[0].colour, LOOKS[0].colour)):
        part = rows[rows["excludes_zero"] == outside]
        if len(part):
            ax.hlines(
                part["position"], part["conf_low"], part["conf_high"], color=colour, zorder=2 + outside,
                linewidth=max((1.6 if outside else 0.9) * crowd, 0.4), rasterized=len(rows) > MANY,
            )  # fmt: skip
            ax.scatter(
                part["estimate"], part["position"], s=max(18 * crowd, 3), facecolors=face, edgecolors=colour,
                linewidths=max(0.9 * crowd, 0.4), zorder=4 + outside, rasterized=len(rows) > MANY,
            )  # fmt: skip


def _legend(ax: Axes, rows: pd.DataFrame) -> None:
    if _is_zero(rows):
        legend_above(ax, [nothing()], [ZERO])
        return
    n, outside = len(rows), int(rows["excludes_zero"].sum())
    labels = [f"interval excludes 0 ({outside} of {n})", f"interval includes 0 ({n - outside} of {n})"]
    legend_above(ax, _handles(), labels)


def _is_zero(rows: pd.DataFrame) -> bool:
    return not rows[LIMITS].to_numpy().any()


def _shared_legend(panels: tuple[Axes, ...], interval: str) -> None:
    """Over all panels, which are too narrow for legends of their own."""
    figure: Any = panels[0].figure
    labels = [f"{interval} excludes 0", f"{interval} includes 0"]
    figure.legend(
        _handles(), labels, loc="outside upper left", ncols=1, frameon=False, handlelength=2.4, fontsize=text_size()
    )


def _handles() -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=LOOKS[0].colour, marker="o", linewidth=1.6),
        Line2D([], [], color=GREY, marker="o", linewidth=0.9, markerfacecolor="white"),
    ]
