"""Participant flow: boxes of patients by stage and arm, after the CONSORT diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import SMALLEST, text_size, two_columns
from alliance_stats.render.flow_layout import EDGE, Box, flow_boxes
from alliance_stats.render.style import INK, canvas, house, records, room

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
HEAD = "-|>,head_length=0.3,head_width=0.15"


def participant_flow(flow: pd.DataFrame, *, ax: Axes | None = None, width: float | None = None) -> Axes:
    """Boxes from randomisation to the last wave, one column an arm, with those lost on the way at the side.

    Parameters
    ----------
    flow : columns ``stage`` (in order), ``arm``, ``n`` and ``reason`` (who was lost on the way to this stage;
        may be empty), one row a stage and arm, as ``flow_frame`` returns. Rows with arm "" or "all" are totals:
        boxes over the arms, up to the stage where the arms begin; later totals are not part of the diagram.
    ax : axes to draw on, with smaller text (down to 6 pt) where it is too small for that of the style; without it a
        new figure.
    width : mm of a new figure; without it two columns of the style in use.

    Source: Schulz, K. F., Altman, D. G., & Moher, D. (2010). CONSORT 2010. doi:10.1136/bmj.c332
    Raises DataError where columns are absent, a number is missing, a stage has two rows for one arm, or the
    axes are too small for the text.

    >>> flow = pd.DataFrame({"stage": ["Randomised"] * 3 + ["8 weeks"] * 2, "arm": ["all", "A", "B", "A", "B"],
    ...                      "n": [61, 30, 31, 26, 31], "reason": ["", "", "", "4 without 8-week outcome", ""]})
    >>> [text.get_text() for text in participant_flow(flow).texts][0]
    'Randomised\\nn = 61'
    """
    width = two_columns() if width is None else width
    boxes, size = (flow_boxes(flow, width=width), text_size()) if ax is None else _for_axes(flow, ax)
    tall = _bottom(boxes)
    with house():
        if ax is None:
            ax = canvas(width, tall)[0]
            layout: Any = ax.get_figure(root=True).get_layout_engine()  # type: ignore[union-attr]
            layout.set(w_pad=0, h_pad=0)
        else:
            width, tall = _millimetres(ax)
        ax.set_axis_off()
        ax.set_xlim(0, width)
        ax.set_ylim(tall, 0)
        for box in records(boxes):
            _draw_box(ax, box, size)
        for start, end in flow_arrows(boxes):
            arrow = {"arrowstyle": HEAD, "color": INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", end, start, arrowprops=arrow)
        for line in _elbow(boxes):
            ax.plot(*zip(*line, strict=True), color=INK, linewidth=0.8, solid_capstyle="butt", zorder=1)
    return ax


def flow_arrows(boxes: pd.DataFrame) -> list[tuple[Point, Point]]:
    """Start and end (mm) of the arrows down each column, and from the columns to the boxes at their side."""
    arrows = []
    for _, part in boxes[boxes["kind"] != "lost"].groupby(["kind", "arm"], sort=False):
        pairs = zip(records(part.iloc[:-1]), records(part.iloc[1:]), strict=True)
        arrows += [((a["trunk"], a["top"] + a["height"]), (a["trunk"], b["top"])) for a, b in pairs]
    for box in records(boxes[boxes["kind"] == "lost"]):
        middle = box["top"] + box["height"] / 2
        arrows.append(((box["trunk"], middle), (box["left"], middle)))
    _, first, level = _junction(boxes)
    return arrows + [((box["trunk"], level), (box["trunk"], box["top"])) for box in first]


def _elbow(boxes: pd.DataFrame) -> list[tuple[Point, Point]]:
    """Lines from the last total to above the arms."""
    total, first, level = _junction(boxes)
    if not first:
        return []
    trunks = [total["trunk"], *(box["trunk"] for box in first)]
    down = (total["trunk"], total["top"] + total["height"]), (total["trunk"], level)
    return [down, ((min(trunks), level), (max(trunks), level))]


def _junction(boxes: pd.DataFrame) -> tuple[Box, list[Box], float]:
    """The last total, the first box of each arm, and the height halfway between; nothing where one is absent."""
    totals = records(boxes[boxes["kind"] == "total"])
    arms = records(boxes[boxes["arm"] != ""])
    if not totals or not arms:
        return {}, [], 0.0
    first = {box["arm"]: box for box in reversed(arms) if box["kind"] == "arm"}
    bottom = totals[-1]["top"] + totals[-1]["height"]
    return totals[-1], list(first.values()), (bottom + min(box["top"] for box in arms)) / 2


def _for_axes(flow: pd.DataFrame, ax: Axes) -> tuple[pd.DataFrame, float]:
    """Boxes for axes of a given size: smaller text where that of the style is too tall."""
    across, available = _millimetres(ax)
    for size in np.arange(text_size(), SMALLEST - 0.1, -0.5).tolist():
        boxes = flow_boxes(flow, width=across, size=size)
        if _bottom(boxes) <= available:
            return boxes, size
    need = f"{_bottom(boxes):.0f} mm at {size:g} pt"
    raise DataError(f"participant_flow: the axes are {available:.0f} mm tall, the boxes {need}; use a taller figure")


def _bottom(boxes: pd.DataFrame) -> float:
    return float((boxes["top"] + boxes["height"]).max()) + EDGE


def _millimetres(ax: Axes) -> Point:
    across, tall = room(ax)
    return across / 72 * 25.4, tall / 72 * 25.4


def _draw_box(ax: Axes, box: Box, size: float) -> None:
    from matplotlib.patches import Rectangle

    face = "#EEF3F7" if box["kind"] == "total" else "white"
    style: dict[str, Any] = {"facecolor": face, "edgecolor": INK, "linewidth": 0.8, "zorder": 2}
    ax.add_patch(Rectangle((box["left"], box["top"]), box["width"], box["height"], **style))
    middle = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    ax.text(*middle, box["text"], ha="center", va="center", fontsize=size, color=INK, zorder=3, parse_math=False)
