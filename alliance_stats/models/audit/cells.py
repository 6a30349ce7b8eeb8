"""The printed table of a paper, one row a cell, ready to be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.models.audit.printed import Finding, Printed, Range, cell_labels, printed_column, reach


@dataclass(frozen=True)
class Cell:
    """What is printed of one cell; None for what is not."""

    item: str
    n: float | None
    mean: Printed | None
    sd: Printed | None = None
    low: Printed | None = None
    high: Printed | None = None
    items: float | None = None


@dataclass(frozen=True)
class Interval:
    """A cell whose n, mean and limits are all printed."""

    item: str
    n: float
    mean: Printed
    low: Printed
    high: Printed

    @property
    def centre(self) -> Range:
        """Half-way between the limits."""
        return reach(lambda low, high: (low + high) / 2, self.low.range, self.high.range)

    @property
    def half_width(self) -> Range:
        """Half the distance between the limits."""
        return reach(lambda low, high: (high - low) / 2, self.low.range, self.high.range)

    @property
    def scaled(self) -> Range:
        """Half-width times √n: the same number in all cells under one pooled error term."""
        root = np.sqrt(self.n)
        return Range(self.half_width.low * root, self.half_width.high * root)

    @property
    def centred(self) -> bool:
        """Whether the printed mean can be the centre, and the limits are in their order."""
        return self.centre.meets(self.mean.range) and self.low.value <= self.high.value

    @property
    def decimals(self) -> int:
        """Decimals of the limits."""
        return max(self.low.decimals, self.high.decimals)

    def __str__(self) -> str:
        return f"{self.mean} ({self.low} to {self.high})"


def read_cells(
    table: pd.DataFrame, factors: Sequence[str], columns: Mapping[str, str | None], items: int | str | None,
    decimals: Mapping[str, int] | None,
) -> tuple[Cell, ...]:  # fmt: skip
    """Cells of a table. ``columns`` maps n, mean, sd, low, high to the columns that hold them, None for none."""
    named = {role: name for role, name in columns.items() if name is not None}
    wanted = [*factors, *named.values(), *([items] if isinstance(items, str) else [])]
    require_columns(table.columns, wanted, "audit")
    printed = {role: printed_column(table, name, decimals) for role, name in named.items()}
    each: Sequence[Any] = list(table[items]) if isinstance(items, str) else [items] * len(table)
    return tuple(
        Cell(item=label, n=_size(printed["n"][i], label), items=_count(each[i], label),
             **{role: printed[role][i] for role in named if role != "n"})
        for i, label in enumerate(cell_labels(table, factors))
    )  # fmt: skip


def as_interval(cell: Cell) -> Interval | None:
    """The cell as mean with limits, None where one of the numbers is not printed."""
    if cell.n is None or cell.mean is None or cell.low is None or cell.high is None:
        return None
    return Interval(cell.item, cell.n, cell.mean, cell.low, cell.high)


def pooled_sd(cells: Sequence[Cell]) -> tuple[Range, float] | None:
    """SD pooled by n − 1 and its degrees of freedom; None where an SD or n is not printed."""
    parts = [(c.sd.range, c.n - 1) for c in cells if c.sd is not None and c.n is not None and c.n > 1]
    if len(parts) < len(cells):
        return None
    df = sum(weight for _, weight in parts)
    low, high = (sum(w * max(end, 0) ** 2 for end, w in ends) for ends in
                 ([(r.low, w) for r, w in parts], [(r.high, w) for r, w in parts]))  # fmt: skip
    return Range(float(np.sqrt(low / df)), float(np.sqrt(high / df))), df


def untestable(check: str, cell: Cell) -> Finding:
    """The row of a check whose numbers are not all printed."""
    absent = [name for name in ("n", "mean", "low", "high") if getattr(cell, name) is None]
    return Finding(check, cell.item, "", "", "no power", f"not printed: {', '.join(absent)}")


def _size(n: Printed | None, label: str) -> float | None:
    if n is None:
        return None
    if n.value < 2 or n.value != round(n.value):
        raise DataError(f"{label}: n is {n.value:g}; a cell needs a whole number of at least 2 patients")
    return n.value


def _count(items: Any, label: str) -> float | None:
    if items is None or pd.isna(items):
        return None
    if items < 1 or items != round(items):
        raise DataError(f"{label}: items is {items}; give how many whole-number items a mean averages, e.g. 1 or 12")
    return float(items)
