"""Frames as text and as html: columns that say nothing are left out, numbers are rounded, text is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.render.numbers import fixed, number, p_value, whole

HEADINGS = {
    "std_error": "std. error",
    "p_value": "p",
    "df_num": "df (effect)",
    "conf_low": "low",
    "conf_high": "high",
}
ON_THE_SCALE = ("estimate", "std_error", "conf_low", "conf_high", "limit", "smallest_margin", "null", "adjusted")
ALIKE = 20  # ratio of standard errors up to which a column keeps one number of decimals
TWO_DECIMALS = ("statistic", "skew")


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text, for people.

    p-values in APA style, degrees of freedom and counts whole; in a row with a standard error the estimate and its limits
    carry the same decimals, two significant digits of the standard error at least; everything else three significant digits.

    >>> rounded(pd.DataFrame({"term": ["arm"], "estimate": [0.123456], "std_error": [0.0123], "p_value": [1e-9]}))
      term estimate std. error       p
    0  arm    0.123      0.012  < .001
    """
    shown = frame.loc[:, [not _empty(frame[name]) for name in frame.columns]]
    places = _places(shown)
    text = {_heading(str(n)): _cells_of(str(n), shown[n], places) for n in shown.columns}
    return pd.DataFrame(text, index=frame.index, dtype=object)


def as_text(frame: pd.DataFrame) -> str:
    """Aligned columns for a terminal, text to the left and numbers to the right."""
    shown, right = rounded(frame), right_aligned(frame)
    columns = [_column([name, *shown[name]], right=r) for name, r in zip(shown.columns, right, strict=True)]
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def as_html(frame: pd.DataFrame, *, caption: str = "", row_heads: bool = False) -> str:
    """A table with escaped text; number cells carry the class ``n`` for alignment.

    With ``row_heads`` the first cell of a row is its heading, so that a screen reader says which row a number is in; an empty
    one, under the heading of the row above, stays a cell.
    """
    shown = rounded(frame)
    classes = [' class="n"' if right else "" for right in right_aligned(frame)]
    head = "".join(f'<th scope="col"{c}>{escape(n)}</th>' for n, c in zip(shown.columns, classes, strict=True))
    body = "".join(f"<tr>{_cells(row, classes, head=row_heads)}</tr>" for row in shown.itertuples(index=False))
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Sequence[Any], classes: Sequence[str], *, head: bool) -> str:
    cells = [f"<td{c}>{escape(str(v))}</td>" for v, c in zip(row, classes, strict=True)]
    if head and str(row[0]):
        cells[0] = f'<th scope="row"{classes[0]}>{escape(str(row[0]))}</th>'
    return "".join(cells)


def right_aligned(frame: pd.DataFrame) -> list[bool]:
    """Which of the columns that are shown hold numbers."""
    kept = [name for name in frame.columns if not _empty(frame[name])]
    return [pd.api.types.is_numeric_dtype(frame[name]) for name in kept]


def _empty(column: pd.Series[Any]) -> bool:
    return len(column) > 0 and bool(column.isna().all() or (column.astype(str) == "").all())


def _heading(name: str) -> str:
    return HEADINGS.get(name, name.replace("_", " "))


def _cells_of(name: str, column: pd.Series[Any], places: list[int | None]) -> list[str]:
    if name in ON_THE_SCALE:
        return [number(v) if p is None else fixed(v, p) for v, p in zip(column, places, strict=True)]
    if name in TWO_DECIMALS:
        return [fixed(value, 2) for value in column]
    if name.startswith("p_") or name.endswith("_p"):
        write: Callable[[Any], str] = p_value
    else:
        write = whole if name.startswith(("df", "n_")) or name == "n" else number
    return [value if isinstance(value, str) else write(value) for value in column]


def _places(frame: pd.DataFrame) -> list[int | None]:
    """Decimals of each row from its standard error, the same for all where these are alike; None where there is none."""
    if "std_error" not in frame:
        return [None] * len(frame)
    errors = frame["std_error"].astype(float)
    known = errors[np.isfinite(errors) & (errors > 0)]
    if len(known) and known.max() / known.min() <= ALIKE:
        return [decimals_for(float(known.median()))] * len(frame)
    return [decimals_for(value) for value in errors]


def decimals_for(std_error: float) -> int | None:
    """Decimals that show two significant digits of a standard error, two at least below 10; None where it is 0 or missing.

    >>> [decimals_for(error) for error in (0.0123, 0.5, 12.0, 0.0)]
    [3, 2, 1, None]
    """
    if not np.isfinite(std_error) or std_error <= 0:
        return None
    size = math.floor(math.log10(std_error * 1.0000001))
    return max(2 - max(size, 0), 0) if size >= 0 else min(max(2, 1 - size), 8)


def _column(cells: list[str], *, right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]
