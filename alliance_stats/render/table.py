"""Frames as text and as html: columns that say nothing are left out, numbers are rounded, text is escaped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import pandas as pd

from alliance_stats.render.numbers import number, p_value, whole

HEADINGS = {
    "std_error": "std. error",
    "p_value": "p",
    "p_adjusted": "p (adjusted)",
    "conf_low": "low",
    "conf_high": "high",
}


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text, for people: p-values in APA style, other numbers to three significant digits.

    >>> rounded(pd.DataFrame({"term": ["arm"], "estimate": [0.123456], "p_value": [1e-9]}))
      term estimate       p
    0  arm    0.123  < .001
    """
    shown = frame.loc[:, [not _empty(frame[name]) for name in frame.columns]]
    text = {HEADINGS.get(str(n), str(n)): [_writer(str(n))(v) for v in shown[n]] for n in shown.columns}
    return pd.DataFrame(text, index=frame.index, dtype=object)


def as_text(frame: pd.DataFrame) -> str:
    """Aligned columns for a terminal, text to the left and numbers to the right."""
    shown, right = rounded(frame), _right_aligned(frame)
    columns = [_column([name, *shown[name]], right=r) for name, r in zip(shown.columns, right, strict=True)]
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def as_html(frame: pd.DataFrame, *, caption: str = "") -> str:
    """A table with escaped text; number cells carry the class ``n`` for alignment."""
    shown = rounded(frame)
    classes = [' class="n"' if right else "" for right in _right_aligned(frame)]
    head = "".join(f'<th scope="col"{c}>{escape(n)}</th>' for n, c in zip(shown.columns, classes, strict=True))
    body = "".join(f"<tr>{_cells(row, classes)}</tr>" for row in shown.itertuples(index=False))
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Sequence[Any], classes: Sequence[str]) -> str:
    return "".join(f"<td{c}>{escape(str(v))}</td>" for v, c in zip(row, classes, strict=True))


def _right_aligned(frame: pd.DataFrame) -> list[bool]:
    kept = [name for name in frame.columns if not _empty(frame[name])]
    return [pd.api.types.is_numeric_dtype(frame[name]) for name in kept]


def _empty(column: pd.Series[Any]) -> bool:
    return len(column) > 0 and bool(column.isna().all() or (column.astype(str) == "").all())


def _writer(name: str) -> Callable[[Any], str]:
    return p_value if name in {"p_value", "p_adjusted"} else whole if name.startswith(("df", "n_")) else number


def _column(cells: list[str], *, right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]
