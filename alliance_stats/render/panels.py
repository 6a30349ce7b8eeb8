"""Several figures in one: panels with letters, in one size of text, on one grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from alliance_stats.errors import DataError
from alliance_stats.render.described import letter
from alliance_stats.render.figure_style import FigureStyle, points, style_in_use, text_size
from alliance_stats.render.style import INK, LETTER, house

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[..., "Axes"]
NARROWEST = 40.0  # mm of one panel with text of 8 pt


def panels(
    draws: Sequence[Draw], *, columns: int = 2, width: float | Literal["single", "double"] = "double",
    height: float | None = None, legend: Literal["own", "shared"] = "own", letters: bool = True,
) -> tuple[Figure, tuple[Axes, ...]]:  # fmt: skip
    """A figure of several panels A, B, C …, each drawn by a function of ``al.figures``.

    Parameters
    ----------
    draws : what draws each panel, from left to right and from top to bottom: ``partial(al.figures.forest, rows)`` (of
        functools), or any function with the argument ``ax``.
    columns : number of panels side by side.
    width : mm, or one or two columns of the style in use.
    height : mm of the whole figure; without it each row is as high as its highest panel would be alone, for which every
        panel is drawn twice.
    legend : ``"shared"`` puts one legend over all panels instead of one over each; they must have the same entries.
    letters : whether the panels have letters, in size, weight and place of the style in use.

    Returns the figure, for ``save_figure``, ``alt_text`` and ``figure_data``, and the axes in the order of ``draws``. Raises
    DataError where there is nothing to draw, panels would be narrower than 40 mm, or legends that are to be shared differ.

    >>> from functools import partial
    >>> import pandas as pd
    >>> from alliance_stats.render import figures
    >>> rows = pd.DataFrame({"term": ["alliance"], "estimate": [-0.4], "conf_low": [-0.7], "conf_high": [-0.1]})
    >>> figure, axes = panels([partial(figures.forest, rows, xlabel=name) for name in ("Pain", "Disability")])
    >>> [ax.get_xlabel() for ax in axes], round(float(figure.get_figwidth() * 25.4))
    (['Pain', 'Disability'], 174)
    """
    style, across = style_in_use(), _across(width)
    columns = min(columns, len(draws))
    _check(draws, columns, across)
    alone = replace(style, single=across / columns, double=across / columns)
    tall = [height] if height is not None else _heights(draws, columns, alone, letters=letters)
    with house():
        figure, axes = _grid(len(draws), columns, across, tall, letters=letters)
        for draw, ax in zip(draws, axes, strict=True):
            draw(ax=ax)
        if legend == "shared":
            _share_legend(figure, axes, grow=height is None)
    return figure, axes


def _across(width: float | str) -> float:
    style = style_in_use()
    named = {"single": style.single, "double": style.double}
    if isinstance(width, str):
        if width not in named:
            raise DataError(f"panels: width is {width!r}; use 'single', 'double' or a number of mm")
        return named[width]
    return width


def _check(draws: Sequence[Draw], columns: int, across: float) -> None:
    if not draws or columns < 1:
        raise DataError(f"panels: {len(draws)} panels in {columns} columns; one or more of both are needed")
    least = points(NARROWEST)
    if across / columns < least:
        raise DataError(f"panels: {columns} columns in {across:g} mm; a panel needs {least:g} mm, so use fewer columns")


def _heights(draws: Sequence[Draw], columns: int, alone: FigureStyle, *, letters: bool) -> list[float]:
    """mm of each row: those of its highest panel when it is a figure of its own, and of the letters."""
    from matplotlib.pyplot import close

    found = []
    with alone:
        for draw in draws:
            figure: Any = draw(ax=None).get_figure(root=True)
            found.append(float(figure.get_figheight()) * 25.4)
            close(figure)
    above = LETTER * alone.letter / 72 * 25.4 if letters else 0.0
    return [max(found[k : k + columns]) + above for k in range(0, len(found), columns)]


def _grid(n: int, columns: int, across: float, tall: list[float], *, letters: bool) -> tuple[Figure, tuple[Axes, ...]]:
    """A figure with a part for each panel, so that no panel takes width from another for its labels."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(across / 25.4, sum(tall) / 25.4), layout="constrained")
    rows = -(-n // columns)
    parts = figure.subfigures(rows, columns, squeeze=False, height_ratios=tall if len(tall) == rows else None)
    shown = list(parts.flat)[:n]
    if letters:
        for k, part in enumerate(shown):
            _letter(part, letter(k))
    return figure, tuple(part.subplots() for part in shown)


def _letter(part: Any, text: str) -> None:
    style = style_in_use()
    where = {"x": 0.5, "ha": "center"} if style.letter_at == "centre" else {"x": 0.0, "ha": "left"}
    weight = "bold" if style.letter_bold else "normal"
    part.suptitle(text, fontsize=style.letter, fontweight=weight, color=INK, **where)


def _share_legend(figure: Figure, axes: Sequence[Axes], *, grow: bool) -> None:
    """One legend over all panels, for which the figure grows."""
    legends = [legend for legend in (ax.get_legend() for ax in axes) if legend is not None]
    entries = [[" ".join(text.get_text().split()) for text in legend.get_texts()] for legend in legends]
    other = next((texts for texts in entries if texts != entries[0]), None)
    if not entries or other is not None:
        what = f"differ: {entries[0]} and {other}" if entries else "are absent: no panel has one"
        raise DataError(f"panels: legends that are to be shared {what}; use legend='own'")
    handles = [handle for handle in legends[0].legend_handles if handle is not None]
    for legend in legends:
        legend.remove()
    shared = figure.legend(
        handles, ["-"] * len(handles), loc="outside upper left", ncols=len(handles), frameon=False, handlelength=2.4,
        fontsize=text_size(),
    )  # fmt: skip
    for entry, text in zip(shared.get_texts(), entries[0], strict=True):
        entry.set_parse_math(False)
        entry.set_text(text)
    if grow:
        figure.set_figheight(figure.get_figheight() + 2 * text_size() / 72)
