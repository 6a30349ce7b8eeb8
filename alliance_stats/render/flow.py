"""Participant flow: boxes of patients by stage and arm, after the CONSORT diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.numbers import whole
from alliance_stats.render.style import INK, SIZE, canvas, checked, house, levels, name_of, records, room, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOTAL = ("", "all")
EDGE, GAP, PAD, WIDEST = 1.0, 5.0, 1.6, 78.0  # mm: figure edge, between boxes, inside a box, widest box
COLUMNS = ["kind", "stage", "arm", "text", "left", "top", "width", "height", "trunk"]


def participant_flow(flow: pd.DataFrame, *, ax: Axes | None = None, width: float = 174.0) -> Axes:
    """Boxes from randomisation to the last wave, one column an arm, with those lost on the way at the side.

    Parameters
    ----------
    flow : columns ``stage`` (in order), ``arm``, ``n`` and ``reason`` (who was lost on the way to this stage;
        may be empty), one row a stage and arm, as ``flow_frame`` returns. Rows with arm "" or "all" are totals:
        boxes over the arms, up to the stage where the arms begin; later totals are not part of the diagram.
    ax : axes to draw on, measured as they stand; without it a new figure.
    width : mm of a new figure.

    Source: Schulz, K. F., Altman, D. G., & Moher, D. (2010). CONSORT 2010. doi:10.1136/bmj.c332
    Raises DataError where columns are absent, a number is missing, a stage has two rows for one arm, or the
    axes are too small for the text.

    >>> flow = pd.DataFrame({"stage": ["Randomised"] * 3 + ["8 weeks"] * 2, "arm": ["all", "A", "B", "A", "B"],
    ...                      "n": [61, 30, 31, 26, 31], "reason": ["", "", "", "4 without 8-week outcome", ""]})
    >>> [text.get_text() for text in participant_flow(flow).texts][0]
    'Randomised\\nn = 61'
    """
    with house():
        boxes, size = (flow_boxes(flow, width=width), SIZE) if ax is None else _fitted(flow, ax)
        tall = float((boxes["top"] + boxes["height"]).max()) + EDGE
        if ax is None:
            ax = canvas(width, tall)[0]
            ax.figure.set_layout_engine("none")  # type: ignore[union-attr]
            ax.set_position((0, 0, 1, 1))
            across = width
        else:
            across, available = _millimetres(ax)
            tall = max(tall, available)
        ax.set_axis_off()
        ax.set_xlim(0, across)
        ax.set_ylim(tall, 0)
        for row in records(boxes):
            _box(ax, row, size)
        for start, end in _arrows(boxes):
            ax.annotate("", end, start, arrowprops=ARROW)
        for start, end in _elbow(boxes):
            ax.plot([start[0], end[0]], [start[1], end[1]], color=INK, linewidth=0.8, solid_capstyle="butt", zorder=1)
    return ax


ARROW = {
    "arrowstyle": "-|>,head_length=0.3,head_width=0.15",
    "color": INK,
    "linewidth": 0.8,
    "shrinkA": 0,
    "shrinkB": 0,
}


def flow_boxes(flow: pd.DataFrame, *, width: float = 174.0, size: float = SIZE) -> pd.DataFrame:
    """What ``participant_flow`` draws: one row a box, in mm from the left and from the top.

    Columns: ``kind`` (total, arm, lost), ``stage arm text`` (wrapped for the box), ``left top width height`` and
    ``trunk``, where the arrow passes. ``size`` is the text's in points.

    >>> flow = pd.DataFrame({"stage": ["Randomised"], "arm": ["A"], "n": [30], "reason": [""]})
    >>> flow_boxes(flow)[["kind", "text"]].to_numpy().tolist()
    [['arm', 'A\\nRandomised\\nn = 30']]
    """
    rows = _checked(flow)
    arms = [str(a) for a in levels(flow["arm"]) if str(a) not in TOTAL]
    column = _columns(arms, width)
    started = rows[~rows["arm"].isin(TOTAL)]["stage"].tolist()[:1]
    boxes: list[dict[str, Any]] = []
    top, begun = EDGE, False
    for stage in map(str, levels(flow["stage"])):
        here = rows[rows["stage"] == stage]
        for total in (True, False):
            part = here[here["arm"].isin(TOTAL) == total]
            if part.empty or (total and begun):
                continue
            added = _level(part, column, total=total, top=top, size=size, names=_names(boxes, stage, total, started))
            boxes += added
            top = max(box["top"] + box["height"] for box in added) + GAP
            begun = begun or not total
    return pd.DataFrame(boxes, columns=COLUMNS)


def _checked(flow: pd.DataFrame) -> pd.DataFrame:
    checked(flow, "participant_flow", needed=["stage", "arm", "reason"], numeric=["n"])
    if flow["n"].isna().any() or flow["stage"].isna().any():
        raise DataError("participant_flow: a row has no stage or no n; every box needs both")
    texts = {name: [str(v) for v in flow[name].astype(object).where(flow[name].notna(), "")] for name in COLUMNS[1:3]}
    rows = flow.assign(
        **texts, reason=[str(v).strip() for v in flow["reason"].astype(object).where(flow["reason"].notna(), "")]
    )
    double = rows.duplicated(["stage", "arm"])
    if double.any():
        stage, arm = rows.loc[double, ["stage", "arm"]].iloc[0]
        raise DataError(f"participant_flow: more than one row for stage {stage!r} and arm {arm!r}; join their reasons")
    return rows


def _columns(arms: list[Any], width: float) -> dict[Any, tuple[float, float, float]]:
    """Left, width and trunk of each arm's column, and of the totals' under the key None."""
    across = min((width - 2 * EDGE - GAP * (len(arms) - 1)) / max(len(arms), 1), WIDEST)
    start = (width - len(arms) * across - GAP * (len(arms) - 1)) / 2
    # With three arms or more the boxes at the side need more than half of a column.
    trunk = across * (0.5 if len(arms) < 3 else 0.22)
    places = {a: (start + k * (across + GAP), across, start + k * (across + GAP) + trunk) for k, a in enumerate(arms)}
    middle = min(WIDEST, width - 2 * EDGE)
    return places | {None: ((width - middle) / 2, middle, width / 2)}


def _names(boxes: list[dict[str, Any]], stage: Any, total: bool, started: list[Any]) -> tuple[bool, bool]:
    """Whether the boxes of a level name their arm (the first ones) and their stage (unless the total just did)."""
    first = not total and stage in started
    return first, not (first and boxes and boxes[-1]["kind"] == "total" and boxes[-1]["stage"] == stage)


def _level(
    rows: pd.DataFrame, column: dict[Any, tuple[float, float, float]], *, total: bool, top: float, size: float,
    names: tuple[bool, bool],
) -> list[dict[str, Any]]:  # fmt: skip
    """The boxes of one stage, and over them those of the patients lost on the way."""
    lost, main = [], []
    for row in records(rows):
        left, across, trunk = column[None if total else row["arm"]]
        common = {"stage": row["stage"], "arm": "" if total else row["arm"], "trunk": trunk}
        if row["reason"]:
            side = trunk + 4.0
            lost.append({**common, "kind": "lost", "left": side, "width": left + across - side, "text": row["reason"]})
        lines = (
            [name_of(row["arm"])] * names[0] + [name_of(row["stage"])] * names[1] + [f"n = {whole(float(row['n']))}"]
        )
        main.append(
            {**common, "kind": "total" if total else "arm", "left": left, "width": across, "text": "\n".join(lines)}
        )
    return [*_placed(lost, top, size), *_placed(main, top + (_tallest(lost, size) + GAP if lost else 0.0), size)]


def _placed(boxes: list[dict[str, Any]], top: float, size: float) -> list[dict[str, Any]]:
    tall = _tallest(boxes, size)
    return [box | {"top": top, "height": tall, "text": _inside(box, size)} for box in boxes]


def _inside(box: dict[str, Any], size: float) -> str:
    return wrap(box["text"], (box["width"] - 2 * PAD) / 25.4 * 72, size)


def _tallest(boxes: list[dict[str, Any]], size: float) -> float:
    lines = max((_inside(box, size).count("\n") + 1 for box in boxes), default=0)
    return (lines * 1.3 * size) / 72 * 25.4 + 2 * PAD


def _fitted(flow: pd.DataFrame, ax: Axes) -> tuple[pd.DataFrame, float]:
    """Boxes for axes of a given size: smaller text, down to 5 pt, where 8 pt is too tall."""
    across, available = _millimetres(ax)
    for size in (SIZE, 7.0, 6.0, 5.0):
        boxes = flow_boxes(flow, width=across, size=size)
        tall = float((boxes["top"] + boxes["height"]).max()) + EDGE
        if tall <= available:
            return boxes, size
    raise DataError(
        f"participant_flow: the axes are {available:.0f} mm tall, the boxes need {tall:.0f}; use a taller figure"
    )


def _millimetres(ax: Axes) -> tuple[float, float]:
    across, tall = room(ax)
    return across / 72 * 25.4, tall / 72 * 25.4


def _box(ax: Axes, row: dict[str, Any], size: float) -> None:
    from matplotlib.patches import Rectangle

    face = "#EEF3F7" if row["kind"] == "total" else "white"
    style: dict[str, Any] = {"facecolor": face, "edgecolor": INK, "linewidth": 0.8, "zorder": 2}
    ax.add_patch(Rectangle((row["left"], row["top"]), row["width"], row["height"], **style))
    at = (row["left"] + row["width"] / 2, row["top"] + row["height"] / 2)
    ax.text(*at, row["text"], ha="center", va="center", fontsize=size, color=INK, zorder=3, parse_math=False)


def _arrows(boxes: pd.DataFrame) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Arrows down each column, and from the column to the boxes at its side."""
    arrows = []
    for _, part in boxes[boxes["kind"] != "lost"].groupby(["kind", "arm"], sort=False):
        pairs = zip(records(part.iloc[:-1]), records(part.iloc[1:]), strict=True)
        arrows += [((a["trunk"], a["top"] + a["height"]), (a["trunk"], b["top"])) for a, b in pairs]
    for box in records(boxes[boxes["kind"] == "lost"]):
        middle = box["top"] + box["height"] / 2
        arrows.append(((box["trunk"], middle), (box["left"], middle)))
    totals, first = _ends(boxes)
    for box in first:
        arrows += [((box["trunk"], totals["top"] + totals["height"] + GAP / 2), (box["trunk"], box["top"]))]
    return arrows


def _elbow(boxes: pd.DataFrame) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Lines from the last total to above the arms."""
    total, first = _ends(boxes)
    if not first:
        return []
    low = total["top"] + total["height"] + GAP / 2
    trunks = [box["trunk"] for box in first] + [total["trunk"]]
    return [((total["trunk"], low - GAP / 2), (total["trunk"], low)), ((min(trunks), low), (max(trunks), low))]


def _ends(boxes: pd.DataFrame) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The last total and the first box of each arm; nothing where there are no totals."""
    totals = records(boxes[boxes["kind"] == "total"])
    first = records(boxes[boxes["kind"] == "arm"].drop_duplicates("arm"))
    return (totals[-1], first) if totals else ({}, [])
