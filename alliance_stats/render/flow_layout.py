"""Where the boxes of a participant flow diagram lie: text wrapped to its box, boxes high enough for their text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import TEXT, points, text_size, two_columns
from alliance_stats.render.numbers import whole
from alliance_stats.render.style import checked, levels, name_of, records, wrap

TOTAL = ("", "all")
EDGE, GAP, PAD, BRANCH, NARROWEST, WIDEST = 1.0, 4.0, 1.5, 4.0, 25.0, 78.0  # mm for text of 8 pt
COLUMNS = ["kind", "stage", "arm", "text", "left", "top", "width", "height", "trunk"]
Box = dict[str, Any]


@dataclass(frozen=True)
class Sheet:
    """The measures of one diagram, in mm: gaps and padding go with the text's size (points)."""

    width: float
    size: float
    arms: tuple[str, ...]

    @property
    def gap(self) -> float:
        return GAP * self.size / TEXT

    @property
    def pad(self) -> float:
        return PAD * self.size / TEXT

    def column(self, arm: str) -> tuple[float, float, float]:
        """Left, width and trunk (where the arrow passes) of an arm's column; of the totals' for the arm ""."""
        n = len(self.arms)
        if arm == "":
            across = min(points(WIDEST), self.width - 2 * EDGE)
            return (self.width - across) / 2, across, self.width / 2
        across = min((self.width - 2 * EDGE - self.gap * (n - 1)) / n, points(WIDEST))
        left = (self.width - n * across - (n - 1) * self.gap) / 2 + self.arms.index(arm) * (across + self.gap)
        if across < points(NARROWEST):
            raise DataError(f"participant_flow: {n} arms do not fit in {self.width:.0f} mm; use a wider figure")
        # In narrow columns the boxes at the side need more than half of the width.
        return left, across, left + across * (0.5 if across > points(60) else 0.22)


def flow_boxes(flow: pd.DataFrame, *, width: float | None = None, size: float | None = None) -> pd.DataFrame:
    """What ``participant_flow`` draws: one row a box, in mm from the left and from the top.

    Columns: ``kind`` (total, arm, lost), ``stage arm text`` (wrapped for the box), ``left top width height`` and
    ``trunk``, where the arrow passes. ``width`` (mm) and ``size`` (of the text, points) are those of two columns of the style
    in use, unless told otherwise.

    Raises DataError where columns are absent, a number is missing, or a stage has two rows for one arm.

    >>> flow = pd.DataFrame({"stage": ["Randomised"], "arm": ["A"], "n": [30], "reason": [""]})
    >>> flow_boxes(flow)[["kind", "text"]].to_numpy().tolist()
    [['arm', 'A\\nRandomised\\nn = 30']]
    """
    rows = _checked(flow)
    arms = tuple(str(a) for a in levels(flow["arm"]) if str(a) not in TOTAL)
    sheet = Sheet(two_columns() if width is None else width, text_size() if size is None else size, arms)
    boxes: list[Box] = []
    for stage in map(str, levels(flow["stage"])):
        here = rows[rows["stage"] == stage]
        if not any(box["kind"] == "arm" for box in boxes):
            boxes += _level(here[here["arm"] == ""], boxes, sheet)
        boxes += _level(here[here["arm"] != ""], boxes, sheet)
    return pd.DataFrame(boxes, columns=COLUMNS)


def _checked(flow: pd.DataFrame) -> pd.DataFrame:
    """The rows with stage, arm and reason as text; the arm of totals is empty."""
    checked(flow, "participant_flow", needed=["stage", "arm", "reason"], numeric=["n"])
    if flow["n"].isna().any() or flow["stage"].isna().any():
        raise DataError("participant_flow: a row has no stage or no n; every box needs both")
    texts = {name: ["" if pd.isna(v) else str(v).strip() for v in flow[name]] for name in ("stage", "arm", "reason")}
    rows = flow.assign(**texts | {"arm": ["" if arm in TOTAL else arm for arm in texts["arm"]]})
    double = rows.duplicated(["stage", "arm"])
    if double.any():
        stage, arm = rows.loc[double, ["stage", "arm"]].iloc[0]
        raise DataError(f"participant_flow: more than one row for stage {stage!r} and arm {arm!r}; join their reasons")
    return rows


def _level(rows: pd.DataFrame, above: list[Box], sheet: Sheet) -> list[Box]:
    """The boxes of one stage, and over them those of the patients lost on the way to it."""
    top = max((box["top"] + box["height"] for box in above), default=EDGE - sheet.gap) + sheet.gap
    main = [_box(row, _main_text(row, above), sheet) for row in records(rows)]
    lost = [_side(row, sheet) for row in records(rows) if row["reason"]]
    band = max((box["height"] for box in lost), default=-sheet.gap)
    tall = max((box["height"] for box in main), default=0.0)
    lost = [box | {"top": top + (band - box["height"]) / 2} for box in lost]
    return [*lost, *(box | {"top": top + band + sheet.gap, "height": tall} for box in main)]


def _main_text(row: Box, above: list[Box]) -> str:
    """The first box of an arm names it; the stage is left out where the total just over it has named it."""
    first = row["arm"] != "" and not any(box["arm"] == row["arm"] for box in above)
    told = first and above and above[-1]["kind"] == "total" and above[-1]["stage"] == row["stage"]
    names = ([row["arm"]] if first else []) + ([] if told else [row["stage"]])
    return "\n".join([*map(name_of, names), f"n = {whole(float(row['n']))}"])


def _box(row: Box, text: str, sheet: Sheet) -> Box:
    left, across, trunk = sheet.column(row["arm"])
    box = {"kind": "arm" if row["arm"] else "total", "stage": row["stage"], "arm": row["arm"], "text": text}
    return _fitted(box | {"left": left, "width": across, "trunk": trunk}, sheet)


def _side(row: Box, sheet: Sheet) -> Box:
    """The box of those lost on the way, between the trunk and the right edge of the column."""
    left, across, trunk = sheet.column(row["arm"])
    box = {"kind": "lost", "stage": row["stage"], "arm": row["arm"], "text": row["reason"], "trunk": trunk}
    return _fitted(box | {"left": trunk + BRANCH, "width": left + across - trunk - BRANCH}, sheet)


def _fitted(box: Box, sheet: Sheet) -> Box:
    """The box with its text wrapped, and as high as that needs."""
    text = wrap(box["text"], (box["width"] - 2 * sheet.pad) / 25.4 * 72, sheet.size)
    return box | {"text": text, "height": (text.count("\n") + 1) * 1.3 * sheet.size / 72 * 25.4 + 2 * sheet.pad}
