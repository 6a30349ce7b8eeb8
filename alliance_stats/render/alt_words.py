"""Words for alternative texts: numbers, ranges, lists and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from alliance_stats.render.numbers import number, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPOKEN = 8  # rows that are named one by one


def xlabel(ax: Axes) -> str:
    """The label of the horizontal axis on one line."""
    return " ".join(ax.get_xlabel().split())


def ylabel(ax: Axes) -> str:
    """The label of the vertical axis on one line."""
    return " ".join(ax.get_ylabel().split())


def span(values: Iterable[Any]) -> str:
    """Lowest and highest of some numbers, missing ones left out.

    >>> span([3.0, None, 1.5, 7])
    '1.50 to 7.00'
    """
    known = pd.Series(list(values), dtype=float).dropna()
    return f"{number(float(known.min()))} to {number(float(known.max()))}" if len(known) else "no numbers"


def listed(words: Sequence[str]) -> str:
    """Words with commas and an "and".

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def counted(n: int, what: str) -> str:
    """A number and its noun.

    >>> counted(1, "patient"), counted(3, "patient")
    ('1 patient', '3 patients')
    """
    return f"{n} {what}{'s' * (n != 1)}"


def interval(row: Any) -> str:
    """``estimate [low, high]`` of a row with these columns.

    >>> interval({"estimate": 1.234, "conf_low": 0.5, "conf_high": 2.0})
    '1.23 [0.50, 2.00]'
    """
    return with_interval(row["estimate"], row["conf_low"], row["conf_high"])


def excluding(rows: pd.DataFrame, value: float | None) -> str:
    """How many intervals exclude a value, as a sentence; empty without a value.

    >>> excluding(pd.DataFrame({"conf_low": [1.0, -1], "conf_high": [2.0, 1]}), 0)
    ' 1 of 2 intervals exclude 0.'
    """
    if value is None:
        return ""
    known = rows.dropna(subset=["conf_low", "conf_high"])
    out = int(((known["conf_low"] > value) | (known["conf_high"] < value)).sum())
    return f" {out} of {len(known)} intervals exclude {value:g}."


def layers(**parts: pd.DataFrame | None) -> pd.DataFrame:
    """Frames below each other, told apart by ``layer``; absent and empty ones are left out.

    >>> layers(curve=pd.DataFrame({"x": [1]}), observed=None)
    layer  x
    0  curve  1
    """
    named = {name: part for name, part in parts.items() if part is not None and len(part)}
    frames = []
    for name, part in named.items():
        frame = part.reset_index(drop=True)
        frame.insert(0, "layer", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
