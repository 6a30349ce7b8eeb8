"""The path diagram of a mediation: boxes, arrows, and on every arrow its coefficient with the interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.render.figure_style import one_column, points, text_size
from alliance_stats.render.path_texts import effect_lines, kind_of, names_of, path_rows
from alliance_stats.render.style import INK, LOOKS, canvas, checked, house, room, text_width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
# Centres of the boxes as shares of the width and height: exposure x, mediators m1, m2, outcome y.
PLACES: Mapping[str, Mapping[str, Point]] = {
    "one": {"x": (0.0, 0.0), "m1": (0.5, 1.0), "y": (1.0, 0.0)},
    "parallel": {"x": (0.0, 0.5), "m1": (0.5, 1.0), "m2": (0.5, 0.0), "y": (1.0, 0.5)},
    "serial": {"x": (0.0, 0.0), "m1": (0.0, 1.0), "m2": (1.0, 1.0), "y": (1.0, 0.0)},
}
ROWS = {"one": 2, "parallel": 3, "serial": 2}
# Points between rows of boxes where the text has 8: room for the labels of the arrows.
GAPS = {"one": 54.0, "parallel": 46.0, "serial": 92.0}
# Where between the centres of its boxes a label stands; the diagonals of a serial diagram cross in the middle.
ALONG = {"a2": 0.27, "b1": 0.73}
WIDE = 47.5  # lines from which a coefficient and its interval stand on one line


@dataclass(frozen=True)
class Arrow:
    """One path: its name, the boxes at its ends, and the lines of its label."""

    name: str
    start: str
    end: str
    text: str


def path_diagram(
    estimates: pd.DataFrame, *, exposure: str, labels: Mapping[str, str] | None = None, ax: Axes | None = None,
    width: float | None = None,
) -> Axes:  # fmt: skip
    """Boxes for exposure, mediators and outcome; arrows with coefficient and interval; the effects below.

    Parameters
    ----------
    estimates : tidy rows of a Mediation with one mediator, two parallel or two serial ones: ``term component equation estimate
        conf_low conf_high``.
    exposure : the column of the exposure, which stands in the left box.
    labels : names of columns for people, e.g. ``{"arm": "Enhanced alliance"}``.
    ax : axes to draw on; without it a new figure.
    width : mm of a new figure; without it one column of the style in use.

    With products in the equations the arrows are effects at zero of the other variable, and the figure says so. Raises
    DataError for more mediators, and for an exposure of more than two levels.

    >>> rows = pd.DataFrame({"term": ["a", "b", "c_prime", "indirect"], "component": ["path"] * 3 + ["effect"],
    ...     "equation": ["alliance", "pain", "pain", ""], "estimate": [0.5, -0.6, -0.1, -0.3],
    ...     "conf_low": [0.2, -0.8, -0.4, -0.5], "conf_high": [0.8, -0.4, 0.2, -0.1]})
    >>> texts = [text.get_text().split(chr(10))[0] for text in path_diagram(rows, exposure="arm").texts]
    >>> [text for text in texts if text]
    ['arm', 'alliance', 'pain', 'a = 0.50', 'b = −0.60', 'c′ = −0.10', 'indirect effect: −0.30 [−0.50, −0.10]']
    """
    checked(
        estimates,
        "path_diagram",
        needed=["term", "component", "equation"],
        numeric=["estimate", "conf_low", "conf_high"],
    )
    rows, width = path_rows(estimates), one_column() if width is None else width
    kind = kind_of(rows)
    names = names_of(rows, exposure, labels or {})
    with house():
        new = ax is None
        ax = canvas(width)[0] if ax is None else ax
        ax.set_axis_off()
        across = width / 25.4 * 72 if new else room(ax)[0]
        texts = {box: wrap(name, 0.25 * across) for box, name in names.items()}
        lines = effect_lines(estimates, rows, labels or {}, across)
        foot = _line() * (lines.count("\n") + 1.8)
        if new:
            _fit(ax, width, foot + _needed(texts, kind))
        tall = float(ax.figure.get_figheight() * 72) if new else room(ax)[1]  # type: ignore[union-attr]
        ax.set_xlim(0, across)
        ax.set_ylim(0, tall)
        arrows = _arrows(rows, kind, wide=across > WIDE * text_size())
        # The labels of upright arrows are as wide as they are, and stand over the middle of the boxes.
        least = max(_widest(arrow.text) for arrow in arrows) / 2 if kind == "serial" else 0.0
        centres, halves = _boxes(ax, PLACES[kind], texts, (across, tall - foot), foot, least)
        for arrow in arrows:
            _draw(ax, arrow, centres, halves, kind)
        ax.text(
            4, 4, lines, fontsize=text_size(), color=INK, va="bottom", ha="left", linespacing=1.25, parse_math=False
        )
    return ax


def _arrows(rows: pd.DataFrame, kind: str, *, wide: bool) -> list[Arrow]:
    found = []
    for term, numbers in zip(rows["term"], rows["numbers"], strict=True):
        number = term[1:] if term != "c_prime" else ""
        start, end = {
            "a": ("x", f"m{number or 1}"), "b": (f"m{number or 1}", "y"), "c": ("x", "y"),
            "d": (f"m{number[1:]}", f"m{number[:1]}"),
        }[term[0]]  # fmt: skip
        name = "c′" if term == "c_prime" else term
        text = f"{name} = {numbers}"
        found.append(Arrow(term, start, end, text if wide and kind != "serial" else text.replace(" [", "\n[")))
    return found


def _line() -> float:
    """Points from one line of text to the next."""
    return 1.25 * text_size()


def _widest(text: str) -> float:
    return max(text_width(line) for line in text.split("\n"))


def _half_height(texts: Mapping[str, str]) -> float:
    return max(text.count("\n") + 1 for text in texts.values()) * _line() / 2 + 5


def _needed(texts: Mapping[str, str], kind: str) -> float:
    """Height of the diagram in points, so that labels lie between the rows of boxes."""
    return 2 * ROWS[kind] * _half_height(texts) + (ROWS[kind] - 1) * points(GAPS[kind]) + 4


def _fit(ax: Axes, width: float, points: float) -> None:
    """A new figure as high as needed, its axes all of it: a diagram has no tick labels to make room for."""
    figure: Any = ax.get_figure(root=True)
    figure.set_layout_engine("none")
    figure.set_size_inches(width / 25.4, points / 72)
    ax.set_position((0, 0, 1, 1))


def _boxes(
    ax: Axes, places: Mapping[str, Point], texts: Mapping[str, str], size: Point, foot: float, least: float
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]]]:
    """Boxes drawn; their centres and half sizes in points."""
    from matplotlib.patches import FancyBboxPatch

    across, tall = size
    widest = max(max(_widest(text) for text in texts.values()) / 2 + 6, least + 2)
    highest = _half_height(texts)
    centres, halves = {}, {}
    for box, text in texts.items():
        x, y = places[box]
        centre = np.array(
            [widest + 2 + x * (across - 2 * widest - 4), foot + highest + 2 + y * (tall - 2 * highest - 4)]
        )
        half = np.array([widest, highest])
        ax.add_patch(
            FancyBboxPatch(
                (centre[0] - half[0] + 2, centre[1] - half[1] + 2), 2 * half[0] - 4, 2 * half[1] - 4, boxstyle="round,pad=2",
                facecolor="white", edgecolor=INK, linewidth=0.9, zorder=3,
            )
        )  # fmt: skip
        ax.text(
            centre[0],
            centre[1],
            text,
            ha="center",
            va="center",
            fontsize=text_size(),
            color=INK,
            zorder=4,
            parse_math=False,
        )
        centres[box], halves[box] = centre, half
    return centres, halves


def _draw(
    ax: Axes,
    arrow: Arrow,
    centres: Mapping[str, np.ndarray[Any, Any]],
    halves: Mapping[str, np.ndarray[Any, Any]],
    kind: str,
) -> None:
    """An arrow from border to border, and its label on it, on white."""
    start, end = centres[arrow.start], centres[arrow.end]
    way = end - start
    tail, head = start + way * _leaves(way, halves[arrow.start]), end - way * _leaves(way, halves[arrow.end])
    ax.annotate(
        "", tuple(head), tuple(tail), zorder=2,
        arrowprops={"arrowstyle": "-|>", "color": LOOKS[0].colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    share = ALONG.get(arrow.name, 0.5)
    at = start + share * way if arrow.name in ALONG and kind == "serial" else (tail + head) / 2
    ax.text(
        at[0], at[1], arrow.text, ha="center", va="center", fontsize=text_size(), color=INK, zorder=5, linespacing=1.15,
        parse_math=False, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
    )  # fmt: skip


def _leaves(way: np.ndarray[Any, Any], half: np.ndarray[Any, Any]) -> float:
    """Share of the way at which it leaves a box."""
    with np.errstate(divide="ignore"):
        return float(np.min(np.where(way != 0, half / np.abs(way), np.inf)))
