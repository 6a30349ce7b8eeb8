"""Printed numbers as what they stand for: every value that rounds to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.numbers import fixed

Verdict = Literal["inconsistent", "no power", "consistent"]
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")


class Finding(NamedTuple):
    """One row of an audit."""

    check: str
    item: str
    printed: str
    recomputed: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Range:
    """A closed interval of values."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The value half-way."""
        return self.low + (self.high - self.low) / 2 if self.high > self.low else self.low

    def meets(self, other: Range) -> bool:
        """Whether the two have a value in common; a last digit of binary arithmetic never decides."""
        slack = 1e-12 + 1e-9 * min(max(abs(self.low), abs(self.high)), max(abs(other.low), abs(other.high)))
        return self.low <= other.high + slack and other.low <= self.high + slack

    def size(self) -> Range:
        """Absolute values of the range."""
        ends = sorted((abs(self.low), abs(self.high)))
        return Range(0.0 if self.low <= 0 <= self.high else ends[0], ends[1])


@dataclass(frozen=True)
class Printed:
    """A number with the decimals it was printed with."""

    value: float
    decimals: int

    @property
    def range(self) -> Range:
        """All values that round to the number, whichever way halves are rounded."""
        half = 0.5 * 10.0**-self.decimals
        return Range(self.value - half, self.value + half)

    def __str__(self) -> str:
        return fixed(self.value, self.decimals)


def verdict_of(agrees: bool) -> Verdict:
    """The verdict of a check that could fail."""
    return "consistent" if agrees else "inconsistent"


def reach(function: Callable[..., Any], *ranges: Range) -> Range:
    """Values a function takes over ranges of its arguments, for functions that are monotone in each of them.

    >>> reach(lambda a, b: a - b, Range(5.125, 5.135), Range(4.885, 4.895)).low.__round__(3)
    0.23
    """
    grids = np.meshgrid(*((r.low, r.middle, r.high) for r in ranges))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.asarray(function(*grids), dtype=float)
    return Range(float(np.nanmin(values)), float(np.nanmax(values)))


def span(values: Range, decimals: int) -> str:
    """A range as text: one number where both ends print alike."""
    low, high = fixed(values.low, decimals), fixed(values.high, decimals)
    return low if low == high else f"{low} to {high}"


def read_printed(cell: Any, where: str, decimals: int | None = None) -> Printed | None:
    """A table cell as a printed number, None where it is missing.

    Text speaks for itself: ``"10.0"`` has one decimal, ``".71"`` two. A float has the decimals of its shortest form,
    so 10.0 has none. ``decimals`` overrides both. Raises DataError for text that is no number.
    """
    if cell is None or (not isinstance(cell, str) and pd.isna(cell)):
        return None
    text = cell.strip().replace("\N{MINUS SIGN}", "-") if isinstance(cell, str) else ""
    if isinstance(cell, str) and not NUMBER.fullmatch(text):
        raise DataError(f"{where}: {cell!r} is not a number; write it as printed, with a decimal point, e.g. '0.30'")
    value = float(text or cell)
    if not np.isfinite(value):
        raise DataError(f"{where}: {cell!r} is not a finite number; correct it or leave the cell empty")
    own = len(text.partition(".")[2]) if isinstance(cell, str) else _shortest_decimals(value)
    return Printed(value, own if decimals is None else decimals)


def printed_column(
    table: pd.DataFrame, name: str, decimals: Mapping[str, int] | None = None
) -> tuple[Printed | None, ...]:
    """A column of one table: its floats share the decimals of the most precise of them."""
    given = (decimals or {}).get(name)
    cells = [read_printed(cell, f"column '{name}'", given) for cell in table[name]]
    spoken = [isinstance(cell, str) for cell in table[name]]
    shared = max((c.decimals for c, s in zip(cells, spoken, strict=True) if c and not s), default=0)
    return tuple(
        Printed(c.value, shared) if c and not s and given is None else c for c, s in zip(cells, spoken, strict=True)
    )


def cell_labels(rows: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Names of cells.

    >>> cell_labels(pd.DataFrame({"arm": ["active"], "alliance": ["limited"]}), ("arm", "alliance"))
    ['arm=active, alliance=limited']
    """
    levels = rows[list(factors)].itertuples(index=False, name=None)
    return [", ".join(f"{name}={level}" for name, level in zip(factors, row, strict=True)) for row in levels]


def _shortest_decimals(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
