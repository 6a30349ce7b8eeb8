"""Raw points with what summarises them: residuals, and means by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.style import (
    GREY,
    INK,
    LOOKS,
    MANY,
    Look,
    canvas,
    checked,
    dress,
    give_height,
    house,
    left_out,
    legend_above,
    levels,
    looks,
    name_of,
    nothing,
    room,
    text_width,
    wrap,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def residuals(
    augmented: pd.DataFrame, *, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None
) -> Axes:
    """Residual against fitted value, with a zero line and a running median.

    ``augmented`` has the columns ``fitted residual``, as ``Result.augment()`` returns them. A median that bends
    away from 0 says that a straight line misses something. Raises DataError where a column is absent or empty.

    >>> frame = pd.DataFrame({"fitted": [1.0, 2.0, 3.0], "residual": [0.2, -0.4, 0.1]})
    >>> residuals(frame, ylabel="Residual (points)").get_ylabel()
    'Residual (points)'
    """
    median = running_median(augmented)
    drawn = augmented.dropna(subset=["fitted", "residual"])
    with house():
        new = ax is None
        ax = canvas()[0] if ax is None else ax
        ax.axhline(0, color=INK, linewidth=0.7, zorder=1)
        points = ax.scatter(
            drawn["fitted"], drawn["residual"], s=9, facecolors="none", edgecolors=GREY, linewidths=0.6, alpha=0.7,
            rasterized=len(drawn) > MANY,
        )  # fmt: skip
        (line,) = ax.plot(median["fitted"], median["median"], color=LOOKS[1].colour, linestyle="-")
        dress(ax, "fitted value" if xlabel is None else xlabel, name_of("residual") if ylabel is None else ylabel)
        lost = left_out(augmented, ["fitted", "residual"])
        labels = [f"residual (n = {len(drawn)})", "running median", *([lost] if lost else [])]
        legend_above(ax, [points, line, nothing()][: len(labels)], labels)
        if new:
            give_height(ax)
    return ax


def running_median(
    frame: pd.DataFrame, x: str = "fitted", y: str = "residual", *, share: float = 0.3, points: int = 50
) -> pd.DataFrame:
    """Median of y among the rows nearest in x, at quantiles of x.

    Parameters
    ----------
    frame : numeric columns x and y; rows where one is missing are left out.
    share : share of the rows in each window, at least five rows; rows tied in distance all count.
    points : at most so many values of x.

    Returns the columns x, ``median`` and ``n`` (rows in the window). Raises DataError where nothing is complete.

    >>> frame = pd.DataFrame({"fitted": range(9), "residual": [0, 0, 9, 0, 1, 1, 1, 9, 1]})
    >>> running_median(frame, points=3)["median"].tolist()
    [0.0, 1.0, 1.0]
    """
    checked(frame, "running_median", numeric=[x, y])
    whole = frame[[x, y]].dropna().astype(float)
    if whole.empty:
        raise DataError(f"running_median: no row has both {x!r} and {y!r}")
    at, values = whole[x].to_numpy(), whole[y].to_numpy()
    size = min(max(int(np.ceil(share * len(at))), 5), len(at))
    centres = np.unique(np.quantile(at, np.linspace(0, 1, points), method="nearest"))
    rows = []
    for centre in centres:
        distance = np.abs(at - centre)
        near = distance <= np.partition(distance, size - 1)[size - 1]
        rows.append((centre, np.median(values[near]), int(near.sum())))
    return pd.DataFrame(rows, columns=[x, "median", "n"])


def group_means(
    means: pd.DataFrame, raw: pd.DataFrame | None = None, *, x: str, by: str | None = None, y: str | None = None,
    ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Means with their intervals, beside the raw points where there are any.

    Parameters
    ----------
    means : one row a group: factor columns ``x`` (and ``by``), ``estimate conf_low conf_high``.
    raw : data with the same factor columns and the numeric column ``y``.
    x, by : names of the factors along the axis and side by side; by tells groups apart by colour and marker.
    ax : axes to draw on; without it a new figure of 85 mm.

    Raises DataError where columns are absent, a group of raw has no mean, or a group has two.

    >>> means = pd.DataFrame({"arm": ["usual care", "exercise"], "estimate": [5.1, 3.8], "conf_low": [4.4, 3.1],
    ...                       "conf_high": [5.8, 4.5]})
    >>> [text.get_text() for text in group_means(means, x="arm", ylabel="Pain (0–10)").get_xticklabels()]
    ['usual care', 'exercise']
    """
    factors = [x] if by is None else [x, by]
    spots = _spots(means, raw, factors, y)
    groups = looks(levels(means[by]), "group_means") if by else {None: LOOKS[0]}
    with house():
        new = ax is None
        ax = canvas()[0] if ax is None else ax
        if raw is not None and y is not None:
            _draw_raw(ax, raw_points(raw, spots, factors, y), groups, by, tinted=by is not None)
        handles = [_draw_means(ax, spots if by is None else spots[spots[by] == g], groups[g]) for g in groups]
        _name_categories(ax, [name_of(level) for level in levels(means[x])])
        dress(ax, name_of(x) if xlabel is None else xlabel, name_of(y or "estimate") if ylabel is None else ylabel)
        lost = "" if raw is None or y is None else left_out(raw, [*factors, y])
        labels = [name_of(g) for g in groups] if by else (["mean"] if lost else [])
        if labels:
            legend_above(ax, [*handles, *([nothing()] if lost else [])], [*labels, *([lost] if lost else [])])
        if new:
            give_height(ax)
    return ax


def _name_categories(ax: Axes, names: list[str]) -> None:
    """Names under their slots: in lines, or upright where a word is wider than the slot."""
    slot = 0.72 * room(ax)[0] / len(names)
    upright = max(text_width(word) for name in names for word in name.split(" ")) > slot
    texts = [wrap(name, 80 if upright else slot) for name in names]
    ax.set_xticks(range(len(names)), texts, parse_math=False, rotation=90 if upright else 0)
    ax.set_xlim(-0.5, len(names) - 0.5)


def raw_points(raw: pd.DataFrame, spots: pd.DataFrame, factors: list[str], y: str) -> pd.DataFrame:
    """Where the raw points go: the factor columns, ``position`` along the axis and y; complete rows only."""
    complete = raw[[*factors, y]].dropna()
    low, high = complete[y].min(), complete[y].max()
    parts = []
    for row in spots.to_dict("records"):
        here = complete[(complete[factors] == [row[name] for name in factors]).all(axis=1)].sort_values(y)
        offsets = swarm(here[y].to_numpy(float), low, high, width=0.56 * row["slot"], step=row["slot"] * 0.07)
        parts.append(here.assign(position=row["centre"] - 0.1 * row["slot"] + offsets))
    return pd.concat(parts, ignore_index=True)


def swarm(values: np.ndarray[Any, Any], low: float, high: float, *, width: float, step: float) -> np.ndarray[Any, Any]:
    """Sideways offsets that keep near values apart: by rank within 30 bands of [low, high], no random numbers.

    ``values`` must be sorted. Points of a band lie at 0, +1, −1, +2, −2 … steps; a full band is drawn closer.

    >>> swarm(np.array([1.0, 1.0, 1.0, 9.0]), 0, 10, width=1, step=0.25).tolist()
    [0.0, 0.25, -0.25, 0.0]
    """
    bands = np.floor(30 * (values - low) / ((high - low) or 1.0)).astype(int)
    rank = np.arange(len(bands)) - np.searchsorted(bands, bands)
    side = np.where(rank % 2 == 1, (rank + 1) // 2, -(rank // 2))
    widest = max(int(np.abs(side).max(initial=0)), 1)
    return side * min(step, width / 2 / widest)


def _spots(means: pd.DataFrame, raw: pd.DataFrame | None, factors: list[str], y: str | None) -> pd.DataFrame:
    """The means with the place of each: ``centre`` of its slot, ``slot`` width, ``position`` of the mean."""
    checked(means, "group_means", needed=factors, numeric=["estimate", "conf_low", "conf_high"])
    if means.duplicated(factors).any():
        raise DataError(
            f"group_means: more than one mean for {means.loc[means.duplicated(factors), factors].iloc[0].to_dict()}"
        )
    along = {name: k for k, name in enumerate(levels(means[factors[0]]))}
    aside = {name: k for k, name in enumerate(levels(means[factors[-1]]))} if len(factors) == 2 else {}
    slot = 0.86 / max(len(aside), 1)
    dodge = [(aside[name] - (len(aside) - 1) / 2) * slot for name in means[factors[-1]]] if aside else 0.0
    centre = np.array([float(along[name]) for name in means[factors[0]]]) + dodge
    if raw is not None:
        _check_raw(means, raw, factors, y)
    return means.assign(centre=centre, slot=slot, position=centre + (0.0 if raw is None else 0.34 * slot))


def _check_raw(means: pd.DataFrame, raw: pd.DataFrame, factors: list[str], y: str | None) -> None:
    if y is None:
        raise DataError("group_means: raw= needs y=, the name of its column to draw")
    checked(raw, "group_means", needed=factors, numeric=[y])
    known = set(means[factors].itertuples(index=False, name=None))
    strange = [g for g in raw[factors].dropna().drop_duplicates().itertuples(index=False, name=None) if g not in known]
    if strange:
        raise DataError(
            f"group_means: raw has {dict(zip(factors, strange[0], strict=True))}, which has no row in means"
        )


def _draw_raw(ax: Axes, points: pd.DataFrame, groups: dict[Any, Look], by: str | None, *, tinted: bool) -> None:
    y = points.columns[-2]
    crowded = len(points) > 40 * points[list(points.columns[:-2])].drop_duplicates().shape[0]
    for group, look in groups.items():
        part = points if by is None else points[points[by] == group]
        ax.scatter(
            part["position"], part[y], s=4 if crowded else 7, marker=look.marker, facecolors="none", linewidths=0.5, alpha=0.65,
            edgecolors=look.colour if tinted else GREY, zorder=1, rasterized=len(part) > MANY,
        )  # fmt: skip


def _draw_means(ax: Axes, rows: pd.DataFrame, look: Look) -> Any:
    ax.vlines(rows["position"], rows["conf_low"], rows["conf_high"], color=look.colour, linewidth=1.5, zorder=3)
    return ax.scatter(rows["position"], rows["estimate"], s=30, marker=look.marker, color=look.colour, zorder=4)
