"""The house look: colour with marker and line style, sizes of the style in use, all inside a context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.render.figure_style import COLUMN, points, style_in_use, text_size
from alliance_stats.render.wrapping import text_width as text_width
from alliance_stats.render.wrapping import wrap as wrap

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

LETTER = 1.6  # lines of its own size that the letter of a panel takes
MANY = 5000  # points beyond which they are a picture in a vector file, with the text still text
INK, GREY = "#333333", "#767676"
HOUSE: dict[str, Any] = {
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "lines.linewidth": 1.3,
    "lines.markersize": 4.5, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": INK,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "figure.dpi": 150,
    "svg.fonttype": "none", "svg.hashsalt": "alliance_stats", "pdf.fonttype": 42, "savefig.dpi": 300,
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How one group is drawn: never told apart by colour alone."""

    colour: str
    marker: str
    dashes: Any


# Okabe & Ito (2008), Color Universal Design; the yellow last, as it is faint on white.
LOOKS = (
    Look("#0072B2", "o", "-"), Look("#D55E00", "s", (0, (4, 1.5))), Look("#009E73", "^", (0, (1, 1.2))),
    Look("#CC79A7", "D", (0, (5, 1.5, 1, 1.5))), Look("#000000", "v", (0, (8, 2))),
    Look("#E69F00", "P", (0, (3, 1, 1, 1, 1, 1))), Look("#56B4E9", "X", (0, (2, 2))),
    Look("#F0E442", "*", (0, (6, 1, 2, 1))),
)  # fmt: skip


@contextmanager
def house() -> Iterator[None]:
    """The house look on top of matplotlib's defaults, for the time of the block only.

    Whether figures show themselves is no part of the look: a notebook turns that on with its first figure, and it stays on.
    """
    import matplotlib.style

    interactive = matplotlib.is_interactive()
    try:
        with matplotlib.style.context(["default", HOUSE, style_in_use().settings]):
            try:
                yield
            finally:
                interactive = matplotlib.is_interactive()
    finally:
        matplotlib.interactive(interactive)


def canvas(width: float | None = None, height: float | None = None, columns: int = 1) -> tuple[Axes, ...]:
    """An empty figure in the house look, and its axes from left to right.

    Parameters
    ----------
    width : mm, e.g. 174; without it one column of the style in use, 85 unless told otherwise.
    height : mm; without it, 0.72 of the width of one panel. Without a width it is that for a column of 85 mm, and grows with
        that of the style.
    columns : number of panels side by side.

    Raises DataError where a size is not positive.

    >>> left, right = canvas(174, columns=2)
    >>> [round(float(side) * 25.4) for side in left.figure.get_size_inches()]
    [174, 63]
    """
    import matplotlib.pyplot as plt

    across = style_in_use().single if width is None else width
    # A figure of one panel over two columns needs not be twice as high.
    grown = min(across / COLUMN, points(1.25)) if width is None else 1.0
    tall = 0.72 * across / max(columns, 1) if height is None else height * grown
    if across <= 0 or tall <= 0 or columns < 1:
        raise DataError(f"canvas: width {across}, height {tall} (mm) and columns {columns} must be positive")
    with house():
        figure = plt.figure(figsize=(across / 25.4, tall / 25.4), layout="constrained")
        return tuple(figure.subplots(1, columns, squeeze=False)[0])


def looks(groups: Sequence[Any], where: str) -> dict[Any, Look]:
    """A look for each group, in order; DataError where there are more groups than looks."""
    if len(groups) > len(LOOKS):
        raise DataError(f"{where}: {len(groups)} groups; {len(LOOKS)} can be told apart, so draw fewer or use panels")
    return dict(zip(groups, LOOKS, strict=False))


def checked(frame: pd.DataFrame, where: str, *, needed: Sequence[str] = (), numeric: Sequence[str] = ()) -> None:
    """DataError where columns are absent, the frame is empty, or a column to be drawn holds no numbers."""
    require_columns(frame.columns, [*needed, *numeric], where)
    if frame.empty:
        raise DataError(f"{where}: the frame has no rows, so there is nothing to draw")
    for name in numeric:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f"{where}: column {name!r} holds {frame[name].iloc[0]!r}; numbers are needed")


def levels(column: pd.Series[Any]) -> list[Any]:
    """Levels as they are drawn: categories in their order, numbers ascending, text by first appearance."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if bool((column == level).any())]
    found = list(column.dropna().unique())
    return sorted(found) if pd.api.types.is_numeric_dtype(column) else found


def name_of(level: Any) -> str:
    """A level or column as text for people: underscores as blanks, numbers without trimmings.

    >>> name_of("pain_week_8"), name_of(4.0)
    ('pain week 8', '4')
    """
    if isinstance(level, bool | np.bool_):
        return "yes" if level else "no"
    return f"{level:g}" if isinstance(level, float) else str(level).replace("_", " ")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, each as a mapping by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def dress(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Spines, tick sizes and labels, also for axes made outside the house context."""
    weight, size = style_in_use().weight, text_size()
    ax.spines[["top", "right"]].set_visible(False)
    for spine in ax.spines.values():
        spine.set_linewidth(0.6 * weight)
    ax.tick_params(labelsize=size, length=points(2.5), pad=points(3.5), width=0.6 * weight, color=INK, labelcolor=INK)
    for axis, label, along in zip((ax.xaxis, ax.yaxis), (xlabel, ylabel), room(ax), strict=True):
        axis.set_label_text(wrap(label, 0.75 * along), fontsize=size, color=INK)


def give_height(ax: Axes, least: float = 36.0) -> None:
    """A new figure grows where its labels and legend leave less than so many mm (with 8 pt text) to the data."""
    least = points(least)
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()
    across, tall = figure.get_size_inches()
    figure.set_size_inches(across, tall + max(least / 25.4 - ax.get_position().height * tall, 0.0))


def room(ax: Axes) -> tuple[float, float]:
    """Width and height in points of the place that the axes and their labels have in the figure."""
    box, dpi = ax.figure.bbox, ax.figure.dpi
    across, tall = float(box.width / dpi * 72), float(box.height / dpi * 72)
    if ax.figure.get_suptitle():
        tall -= LETTER * style_in_use().letter
    spec = ax.get_subplotspec()
    if spec is None or ax.get_figure(root=True).get_layout_engine() is None:  # type: ignore[union-attr]
        return float(ax.get_position().width) * across, float(ax.get_position().height) * tall
    grid = spec.get_gridspec()
    return across * _share(grid.get_width_ratios(), spec.colspan), tall * _share(grid.get_height_ratios(), spec.rowspan)


def _share(ratios: Any, taken: range) -> float:
    """Part of the figure's width or height that rows or columns of a grid take."""
    return float(sum(ratios[k] for k in taken) / sum(ratios))


def legend_above(ax: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend over the axes, where no data are: side by side where it fits, else one entry a line."""
    size = text_size()
    ticks = max((text_width(label.get_text()) for label in ax.get_yticklabels()), default=0.0)
    across = max(room(ax)[0] - ticks - 1.4 * size * (ax.get_ylabel().count("\n") + 1) - 2 * size, 9 * size)
    texts = [wrap(label, across - 4.6 * size) for label in labels]
    side_by_side = sum(text_width(label) + 5 * size for label in labels) < across
    # A leading underscore would hide the entry, so the texts are set after the legend is made.
    legend = ax.legend(
        handles, ["-"] * len(texts), ncols=len(texts) if side_by_side else 1, loc="lower left",
        bbox_to_anchor=(0, 1), frameon=False, handlelength=2.4, columnspacing=1.2, borderaxespad=0.3, fontsize=size,
    )  # fmt: skip
    for text, entry in zip(texts, legend.get_texts(), strict=True):
        entry.set_parse_math(False)
        entry.set_text(text)


def left_out(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """A legend line on the rows that cannot be drawn; empty where all can."""
    lost = int(frame[list(columns)].isna().any(axis=1).sum())
    return f"{lost} of {len(frame)} rows incomplete, not drawn" if lost else ""


def nothing() -> Artist:
    """A handle for a legend line without a mark."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none")
