"""Estimates with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import SMALLEST, one_column, points, text_size
from alliance_stats.render.labels import capital, readable
from alliance_stats.render.numbers import with_intervals
from alliance_stats.render.style import (
    GREY,
    INK,
    LOOKS,
    canvas,
    checked,
    dress,
    house,
    name_of,
    room,
    text_width,
    wrap,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ("", "fixed", "effect", "hazard")
NARROW = 28.0  # lines of text; in narrower figures names and numbers leave room for three ticks
AXIS = 38.0  # points of height for the axis and its label, with text of 8 pt


def forest(
    estimates: pd.DataFrame, *, ax: Axes | None = None, reference: float | None = 0.0,
    labels: Mapping[str, str] | None = None, exclude: Collection[str] = ("Intercept",), xlabel: str | None = None,
    width: float | None = None,
) -> Axes:  # fmt: skip
    """Points with intervals from top to bottom, the numbers at the right.

    Parameters
    ----------
    estimates : rows in the columns of the glossary: ``term estimate conf_low conf_high``, and where they are
        there ``component equation group at``, which become part of the row's label.
    ax : axes to draw on; without it a new figure, its height fitted to the rows.
    reference : value of the dashed line (0 for differences and slopes, 1 for ratios), or None.
    labels : names of terms for people, by term.
    exclude : terms that are not drawn.
    xlabel : name and unit of the estimates.
    width : mm of a new figure; without it one column of the style in use.

    A row without an interval has a hollow point; an interval without an end has an arrow at the edge.

    Raises DataError where columns are absent or no rows are left.

    >>> rows = pd.DataFrame({"term": ["alliance", "arm"], "estimate": [-0.4, 1.2], "conf_low": [-0.7, -0.1],
    ...                      "conf_high": [-0.1, 2.5]})
    >>> ax = forest(rows, labels={"alliance": "Alliance (per point)"}, xlabel="Pain (points, 0–10)")
    >>> [text.get_text() for text in ax.texts]
    ['−0.40 [−0.70, −0.10]', '1.2 [−0.1, 2.5]']
    """
    from matplotlib.ticker import MaxNLocator

    rows = forest_rows(estimates, labels=labels, exclude=exclude)
    width = one_column() if width is None else width
    with house():
        new = ax is None
        ax = canvas(width, 40)[0] if ax is None else ax
        names, numbers = _texts(rows, room(ax)[0])
        tall = np.array([max(a.count("\n"), b.count("\n")) * 1.15 + 1.9 for a, b in zip(names, numbers, strict=True)])
        dress(ax, name_of("estimate") if xlabel is None else xlabel, "")
        below = points(AXIS) + 1.25 * text_size() * ax.get_xlabel().count("\n")
        if new:
            ax.figure.set_size_inches(width / 25.4, (tall.sum() * text_size() + below) / 72)  # type: ignore[union-attr]
        # In axes that are too low for the rows the text becomes smaller instead of running together.
        size = min(text_size(), max((room(ax)[1] - below) / tall.sum(), SMALLEST))
        y = np.cumsum(tall) - tall / 2
        _marks(ax, rows, y, reference)
        ax.set_ylim(tall.sum(), 0)
        ax.set_yticks(y, names, parse_math=False)
        ax.xaxis.set_major_locator(
            MaxNLocator(nbins=4 if room(ax)[0] > NARROW * text_size() else 3, steps=[1, 2, 5, 10])
        )
        for at, text in zip(y, numbers, strict=True):
            ax.text(1.04, at, text, transform=ax.get_yaxis_transform(), va="center", fontsize=size, color=INK)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0, pad=6, labelsize=size)
    return ax


def forest_rows(
    estimates: pd.DataFrame, *, labels: Mapping[str, str] | None = None, exclude: Collection[str] = ("Intercept",)
) -> pd.DataFrame:
    """What ``forest`` draws: ``label estimate conf_low conf_high numbers``, one row a line.

    Rows with component ``fixed``, ``hazard`` or ``effect`` are kept; a frame that has none of these is taken as it is.

    >>> rows = pd.DataFrame({"term": ["alliance:arm[T.exercise]"], "estimate": [12.5], "conf_low": [9.5],
    ...                      "conf_high": [15.5]})
    >>> forest_rows(rows).loc[0, ["label", "numbers"]].tolist()
    ['Alliance × arm: exercise', '12.5 [9.5, 15.5]']
    """
    checked(estimates, "forest", needed=["term"], numeric=["estimate", "conf_low", "conf_high"])
    rows = estimates[~estimates["term"].isin(list(exclude))]
    if "component" in rows and rows["component"].isin(SHOWN).any():
        rows = rows[rows["component"].isin(SHOWN)]
    if rows.empty:
        raise DataError(f"forest: no rows are left; terms: {', '.join(map(str, estimates['term']))}; see exclude=")
    drawn = rows[["estimate", "conf_low", "conf_high"]].astype(float).reset_index(drop=True)
    drawn.insert(0, "label", _labels(rows, labels or {}))
    return drawn.assign(numbers=with_intervals(drawn))


def _labels(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """Name of the term, with what tells the rows of one term apart."""
    more = [name for name in ("equation", "group", "at") if name in rows]
    parts = {name: rows[name].fillna("").astype(str).tolist() for name in more}
    if len(set(parts.get("equation", []))) < 2:
        parts.pop("equation", None)
    texts = [labels.get(term, readable(str(term))) for term in rows["term"]]
    responses = parts.pop("equation", [""] * len(texts))
    texts = [
        f"{name_of(response)}: {text}" if response else text for response, text in zip(responses, texts, strict=True)
    ]
    for column in parts.values():
        texts = [f"{text}, {name_of(value)}" if value else text for text, value in zip(texts, column, strict=True)]
    return [text if term in labels else capital(text) for term, text in zip(rows["term"], texts, strict=True)]


def _texts(rows: pd.DataFrame, across: float) -> tuple[list[str], list[str]]:
    """Labels and numbers, broken so that at least a third of the width is left to the points."""
    numbers, labels = list(rows["numbers"]), list(rows["label"])
    if _widest(numbers) > 0.42 * across or _widest(numbers) + _widest(labels) > 0.75 * across:
        numbers = [text.replace(" [", "\n[") for text in numbers]
    return [wrap(label, max(0.62 * across - _widest(numbers), 0.15 * across)) for label in labels], numbers


def _widest(texts: list[str]) -> float:
    return max(text_width(line) for text in texts for line in text.split("\n"))


def _marks(ax: Axes, rows: pd.DataFrame, y: np.ndarray[Any, Any], reference: float | None) -> None:
    look = LOOKS[0]
    values = rows[["estimate", "conf_low", "conf_high"]].to_numpy()
    shown = np.append(values[np.isfinite(values)], [] if reference is None else [reference])
    low, high = (shown.min(), shown.max()) if len(shown) else (0.0, 1.0)
    pad = 0.06 * (high - low) or 0.5
    low, high = low - pad, high + pad
    ax.set_xlim(low, high)
    if reference is not None:
        ax.axvline(reference, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    ax.hlines(y, np.clip(values[:, 1], low, high), np.clip(values[:, 2], low, high), color=look.colour, linewidth=1.3)
    for open_end, edge, marker in ((values[:, 1] == -np.inf, low, "<"), (values[:, 2] == np.inf, high, ">")):
        if open_end.any():
            ax.plot(np.full(open_end.sum(), edge), y[open_end], marker, color=look.colour, clip_on=False, markersize=4)
    bare = np.isnan(values[:, 1:]).any(axis=1)
    for rows_of, face in ((~bare, look.colour), (bare, "white")):
        if rows_of.any():
            ax.scatter(values[rows_of, 0], y[rows_of], s=22, facecolors=face, edgecolors=look.colour, zorder=3)
