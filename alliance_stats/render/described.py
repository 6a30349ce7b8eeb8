"""What a figure says, in words and as a frame, kept with its axes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.weight import marks_of, thicken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

P = ParamSpec("P")
Drawn = TypeVar("Drawn")
Given = Mapping[str, Any]
ATTRIBUTE = "_alliance"


@dataclass(frozen=True)
class Described:
    """The text for those who do not see the figure, and the rows that are drawn."""

    alt: str
    data: pd.DataFrame


def described(tell: Callable[[Axes, Given], Described]) -> Callable[[Callable[P, Drawn]], Callable[P, Drawn]]:
    """A figure function whose axes keep what ``tell`` says of them, drawn in the weight of the style.

    ``tell`` is given each of the axes and the arguments of the call by name, defaults included.
    """

    def wrapper(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
        signature = inspect.signature(draw)

        @wraps(draw)
        def drawn(*args: P.args, **kwargs: P.kwargs) -> Drawn:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            before = marks_of(given.arguments.get("ax"))
            found = draw(*args, **kwargs)
            axes: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
            for ax in axes:
                thicken(ax, before)
                told = tell(ax, given.arguments)
                setattr(ax, ATTRIBUTE, replace(told, alt=told.alt[:1].upper() + told.alt[1:]))
            return found

        return drawn

    return wrapper


def is_described(drawn: Axes | Figure | SubFigure) -> bool:
    """Whether a function of ``al.figures`` has drawn on these axes, or on any of this figure.

    >>> from alliance_stats.render.style import canvas
    >>> is_described(canvas()[0])
    False
    """
    return bool(_described(drawn))


def alt_text(drawn: Axes | Figure | SubFigure) -> str:
    """Alternative text of a figure: what it shows, range, groups and main numbers, in plain sentences.

    Parameters
    ----------
    drawn : axes that a function of ``al.figures`` returned, or a figure; of several panels each is named by its letter.

    The sentences are made from the rows that are drawn, the same each time. Raises DataError for axes that no function of
    ``al.figures`` drew.

    >>> from alliance_stats.render import figures
    >>> rows = pd.DataFrame({"term": ["alliance"], "estimate": [-0.4], "conf_low": [-0.7], "conf_high": [-0.1]})
    >>> alt_text(figures.forest(rows, xlabel="Pain (points)"))
    'Forest plot of 1 estimate of Pain (points) with its interval. Alliance: −0.40 [−0.70, −0.10]. 1 of 1 intervals exclude 0.'
    """
    found = _kept(drawn, "alt_text")
    if len(found) == 1:
        return found[0].alt
    return " ".join(f"Panel {letter(k)}: {one.alt}" for k, one in enumerate(found))


def figure_data(drawn: Axes | Figure | SubFigure) -> pd.DataFrame:
    """The rows that a figure draws.

    Parameters
    ----------
    drawn : axes that a function of ``al.figures`` returned, or a figure; of several panels with the column ``panel``.

    Where a figure draws several things over each other the column ``layer`` tells them apart. Figures that show single
    patients hold their rows. Raises DataError for axes that no function of ``al.figures`` drew.

    >>> from alliance_stats.render import figures
    >>> rows = pd.DataFrame({"term": ["alliance"], "estimate": [-0.4], "conf_low": [-0.7], "conf_high": [-0.1]})
    >>> figure_data(figures.forest(rows))["numbers"].tolist()
    ['−0.40 [−0.70, −0.10]']
    """
    found = _kept(drawn, "figure_data")
    if len(found) == 1:
        return found[0].data.copy()
    parts = [one.data.reset_index(drop=True) for one in found]
    for k, part in enumerate(parts):
        part.insert(0, "panel", letter(k))
    return pd.concat(parts, ignore_index=True)


def letter(k: int) -> str:
    """The letter of the k-th panel, from 0.

    >>> letter(0), letter(2)
    ('A', 'C')
    """
    return chr(ord("A") + k)


def _described(drawn: Axes | Figure | SubFigure) -> list[Described]:
    axes = getattr(drawn, "axes", None)
    found = [getattr(ax, ATTRIBUTE, None) for ax in (axes if isinstance(axes, list) else [drawn])]
    return [one for one in found if one is not None]


def _kept(drawn: Axes | Figure | SubFigure, where: str) -> list[Described]:
    found = _described(drawn)
    if not found:
        raise DataError(
            f"{where}: no function of al.figures has drawn on these axes; give what such a function returned"
        )
    return found
