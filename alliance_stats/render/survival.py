"""Who is still in treatment: survival and cumulative incidence with the numbers at risk, and the hazard session by session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import points, text_size
from alliance_stats.render.style import (
    GREY,
    INK,
    Look,
    canvas,
    checked,
    dress,
    give_height,
    house,
    legend_above,
    levels,
    looks,
    name_of,
    room,
    text_width,
    wrap,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 1.35  # lines of text from one line of the table to the next
BESIDE = 0.24  # share of the width that names of groups may take to the left of the axis


def survival(
    km: pd.DataFrame, *, start: float = 0.0, times: Sequence[float] | None = None, ax: Axes | None = None,
    xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Kaplan–Meier curves as steps with their bands, censored patients as ticks, numbers at risk under the axis.

    Parameters
    ----------
    km : a frame of ``kaplan_meier`` or ``landmark_curves``: columns ``group time n_risk n_censored survival conf_low
        conf_high``.
    start : where the curves start at 1: 0, or the landmark.
    times : ticks of the axis, at which the numbers at risk are given; without them some five whole numbers.
    ax : axes to draw on; without it a new figure of 85 mm.

    Bands end where a limit is missing, as at a survival of 0. Raises DataError where columns are absent.

    >>> km = pd.DataFrame({"group": "all", "time": [2.0, 3, 5], "n_risk": [4, 3, 1], "n_censored": [0, 1, 1],
    ...                    "survival": [0.75, 0.5, 0.5], "conf_low": [0.13, 0.06, 0.06], "conf_high": [0.96, 0.84, 0.84]})
    >>> ax = survival(km, times=[0, 2, 4])
    >>> [text.get_text() for text in ax.texts]
    ['At risk', '4', '4', '1']
    """
    checked(km, "survival", needed=["group"], numeric=["time", "n_risk", "survival", "conf_low", "conf_high"])
    groups = looks(levels(km["group"]), "survival")
    with house():
        new = ax is None
        ax = canvas(height=84)[0] if ax is None else ax
        handles = [_curve(ax, km[km["group"] == g], "survival", start, 1.0, look) for g, look in groups.items()]
        if "n_censored" in km:
            for group, look in groups.items():
                rows = km[(km["group"] == group) & (km["n_censored"] > 0)]
                ax.plot(rows["time"], rows["survival"], "|", color=look.colour, markersize=5, markeredgewidth=0.9)
        _finish(ax, km, start, times, xlabel, "share without the event" if ylabel is None else ylabel)
        _legend(ax, handles, groups)
        _table(ax, km, list(groups))
        if new:
            give_height(ax)
    return ax


def cumulative_incidence(
    curves: pd.DataFrame, *, start: float = 0.0, times: Sequence[float] | None = None,
    causes: Sequence[str] | None = None, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Cumulative incidence of every cause as steps with bands, numbers at risk under the axis.

    Parameters
    ----------
    curves : a frame of ``aalen_johansen``: columns ``group cause time n_risk incidence conf_low conf_high``.
    causes : those to draw, in order; without it all of them.
    start, times, ax, xlabel, ylabel : as for ``survival``.

    A curve is a group and a cause. Raises DataError for a cause that is not there and for more curves than can be told apart.

    >>> curves = pd.DataFrame({"group": "all", "cause": ["completed", "dropped"], "time": 3.0, "n_risk": 4,
    ...                        "incidence": [0.5, 0.25], "conf_low": [0.1, 0.05], "conf_high": [0.9, 0.6]})
    >>> ax = cumulative_incidence(curves, times=[0, 3])
    >>> [text.get_text() for text in ax.get_legend().get_texts()], [text.get_text() for text in ax.texts]
    (['completed', 'dropped'], ['At risk', '4', '4'])
    """
    checked(curves, "cumulative_incidence", needed=["group", "cause"],
            numeric=["time", "n_risk", "incidence", "conf_low", "conf_high"])  # fmt: skip
    names = levels(curves["cause"]) if causes is None else list(causes)
    absent = [name for name in names if name not in set(curves["cause"])]
    if absent:
        raise DataError(f"cumulative_incidence: no cause {absent[0]!r}; causes: {', '.join(levels(curves['cause']))}")
    groups = levels(curves["group"])
    lines = looks([(group, cause) for group in groups for cause in names], "cumulative_incidence")
    with house():
        new = ax is None
        ax = canvas(height=84)[0] if ax is None else ax
        handles = []
        for (group, cause), look in lines.items():
            rows = curves[(curves["group"] == group) & (curves["cause"] == cause)]
            handles.append(_curve(ax, rows, "incidence", start, 0.0, look, end=True))
        _finish(ax, curves, start, times, xlabel, "cumulative incidence" if ylabel is None else ylabel)
        legend_above(ax, handles, [_line_name(group, cause, len(groups), len(names)) for group, cause in lines])
        _table(ax, curves, groups)
        if new:
            give_height(ax)
    return ax


def at_risk(curves: pd.DataFrame, times: Sequence[float]) -> pd.DataFrame:
    """Numbers at risk at the given times, as they are printed under the axis: columns ``group time n_risk``.

    ``curves`` is a frame of ``kaplan_meier`` or ``aalen_johansen``. Who is at risk at a time is in treatment just before it;
    after the last time of a group nobody is. With late entries the number is that of the next time of the curve.

    >>> km = pd.DataFrame({"group": "all", "time": [2.0, 3, 5], "n_risk": [4, 3, 1]})
    >>> at_risk(km, [0, 3, 4, 6])["n_risk"].tolist()
    [4, 3, 1, 0]
    """
    checked(curves, "at_risk", needed=["group"], numeric=["time", "n_risk"])
    rows = []
    for group in levels(curves["group"]):
        found = curves[curves["group"] == group].drop_duplicates("time").sort_values("time")
        counts = np.append(found["n_risk"].to_numpy(), 0)
        at = np.searchsorted(found["time"].to_numpy(), np.asarray(times, dtype=float) - 1e-9)
        rows += [(group, time, int(n)) for time, n in zip(times, counts[at], strict=True)]
    return pd.DataFrame(rows, columns=["group", "time", "n_risk"])


def step_values(curves: pd.DataFrame, column: str, *, start: float, first: float) -> pd.DataFrame:
    """The corners of one step curve and its band: the rows with the starting point, at which the band has no width.

    >>> km = pd.DataFrame({"time": [2.0, 3], "survival": [0.75, 0.5], "conf_low": [0.1, 0.0], "conf_high": [1.0, 0.9]})
    >>> step_values(km, "survival", start=0, first=1.0)[["time", "survival"]].values.tolist()
    [[0.0, 1.0], [2.0, 0.75], [3.0, 0.5]]
    """
    names = ["time", column, "conf_low", "conf_high"]
    if float(curves["time"].min()) < start:
        raise DataError(f"survival curves: start={start:g} lies after the first time, {curves['time'].min():g}")
    head = pd.DataFrame([[float(start), first, first, first]], columns=names)
    return pd.concat([head, curves[names].astype(float).sort_values("time")], ignore_index=True)


def _curve(
    ax: Axes, rows: pd.DataFrame, column: str, start: float, first: float, look: Look, *, end: bool = False
) -> Any:
    """One curve with its band; ``end`` marks its last point, where a jump would else be lost in the frame."""
    from matplotlib.lines import Line2D

    steps = step_values(rows, column, start=start, first=first)
    ax.fill_between(
        steps["time"], steps["conf_low"], steps["conf_high"], step="post", color=look.colour, alpha=0.13, linewidth=0,
        zorder=2,
    )  # fmt: skip
    ax.step(
        steps["time"], steps[column], where="post", color=look.colour, linestyle=look.dashes, linewidth=1.5, zorder=3
    )
    marker = look.marker if end else ""
    ax.plot(steps["time"].iloc[-1], steps[column].iloc[-1], marker, color=look.colour, clip_on=False, zorder=4)
    return Line2D([], [], color=look.colour, linestyle=look.dashes, linewidth=1.5, marker=marker)


def _finish(
    ax: Axes, rows: pd.DataFrame, start: float, times: Sequence[float] | None, xlabel: str | None, ylabel: str
) -> None:
    from matplotlib.ticker import FixedLocator, PercentFormatter

    end = float(rows["time"].max())
    ax.xaxis.set_major_locator(FixedLocator(list(_ticks(start, end) if times is None else times)))
    ax.set_xlim(start, end + 0.02 * (end - start))
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    dress(ax, "session" if xlabel is None else xlabel, ylabel)


def _ticks(start: float, end: float) -> np.ndarray:
    """Some five whole numbers from the start on."""
    width = max((end - start) / 5, 1.0)
    size = 10.0 ** np.floor(np.log10(width))
    step = next(k * size for k in (1, 2, 5, 10) if k * size >= width * (1 - 1e-9))
    return np.arange(np.ceil(start), end + 1e-9, step)


def _legend(ax: Axes, handles: Sequence[Any], groups: dict[Any, Look]) -> None:
    if len(groups) > 1:
        legend_above(ax, handles, [name_of(group) for group in groups])


def _line_name(group: Any, cause: Any, n_groups: int, n_causes: int) -> str:
    parts = [name_of(cause)] if n_causes > 1 or n_groups == 1 else []
    return ": ".join([name_of(group)] * (n_groups > 1) + parts)


def _table(ax: Axes, curves: pd.DataFrame, groups: Sequence[Any]) -> None:
    """Numbers at risk under the label of the axis: names to the left where they fit, else a line of their own."""
    ticks = [float(tick) for tick in ax.get_xticks()]
    found = at_risk(curves, ticks)
    names = ["At risk"] if len(groups) == 1 else [name_of(group) for group in groups]
    beside = max(map(text_width, names)) <= BESIDE * room(ax)[0]
    half = max(text_width(f"{n}") for n in found["n_risk"]) / 2
    side, aside = ("right", -half - points(6)) if beside else ("left", -half)
    line = LINE * text_size()
    down = points(2.5) + 2.1 * text_size() + line * (ax.get_xlabel().count("\n") + 1)
    if len(groups) > 1:
        _write(ax, "At risk", (0, 0), (aside, -down), side)
        down += line
    for group, name in zip(groups, names, strict=True):
        text = name if beside else wrap(name, 0.8 * room(ax)[0])
        _write(ax, text, (0, 0), (aside, -down), side, GREY)
        down += 0.0 if beside else line * (text.count("\n") + 1)
        for row in found[found["group"] == group].itertuples():
            _write(ax, f"{row.n_risk}", (float(row.time), 0), (0, -down), "center", data=True)
        down += line


def _write(
    ax: Axes, text: str, where: tuple[float, float], offset: tuple[float, float], side: str, colour: str = INK, *,
    data: bool = False,
) -> None:  # fmt: skip
    transform = ax.get_xaxis_transform() if data else ax.transAxes
    ax.annotate(
        text, where, xycoords=transform, xytext=offset, textcoords="offset points", ha=side, va="top", fontsize=text_size(),
        color=colour, annotation_clip=False,
    )  # fmt: skip
