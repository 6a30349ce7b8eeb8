"""Checks of a table with one row a cell: mean, SD and interval against each other and against those of other cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.models.audit_printed import Finding, Printed, Range, cell_labels, printed_column, reach, span
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.render.numbers import fixed, number

FACTORS = (10.0, 100.0, 0.1, 0.01)


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


def interval_centres(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """The interval of a mean has the mean in its middle."""
    for cell in (c for c in cells if c.low and c.high):
        interval = as_interval(cell)
        if interval is None:
            yield _untestable("interval centre", cell)
            continue
        wrong = "" if interval.centred else _off_centre(interval)
        recomputed = fixed(interval.centre.middle, interval.decimals + 1)
        verdict = "inconsistent" if wrong else "consistent"
        yield Finding("interval centre", cell.item, str(interval), recomputed, verdict, wrong)


def means_inside(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """A mean lies inside its own interval; outside, a power of ten may tell of a change of unit."""
    for interval in filter(None, map(as_interval, cells)):
        limits = Range(*sorted((interval.low.value, interval.high.value)))
        half = 0.5 * 10.0**-interval.decimals
        inside = interval.mean.range.meets(Range(limits.low - half, limits.high + half))
        detail = "" if inside else _unit_slip(interval, limits)
        verdict = "consistent" if inside else "inconsistent"
        yield Finding("mean inside interval", interval.item, str(interval), "", verdict, detail)


def half_widths(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """Intervals from one pooled error term have half-widths in proportion to 1/√n.

    Unequal ones are no error by themselves, because each interval may have the SD of its own cell. So a single cell
    that differs from all others counts as inconsistent only where its mean is off the centre of its interval as well.
    """
    whole = [i for i in map(as_interval, cells) if i is not None]
    if len(whole) < 2:
        return
    printed = ", ".join(span(i.half_width, i.decimals + 1) for i in whole)
    common = _common(whole)
    if common is not None:
        df = sum(i.n for i in whole) - len(whole)
        sd = common.middle / float(t_quantile((1 + level) / 2, df))
        detail = f"intervals look made with one pooled error term, SD about {number(sd)}"
        yield Finding("half-widths", "all cells", printed, number(sd), "consistent", detail)
        return
    odd = [(i, others) for i in whole if not i.centred and (others := _common([o for o in whole if o is not i]))]
    if len(whole) > 2 and len(odd) == 1:
        yield _odd_half_width(*odd[0])
    else:
        detail = "intervals were not made with one pooled error term; SDs of the cells themselves would explain that"
        yield Finding("half-widths", "all cells", printed, "", "consistent", detail)


def sd_against_interval(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """The half-width is quantile · SD / √n, with the SD of the cell or a pooled one, and a t or normal quantile."""
    for cell in (c for c in cells if c.sd and c.low and c.high):
        interval = as_interval(cell)
        if interval is None or cell.sd is None:
            yield _untestable("sd against interval", cell)
            continue
        routes = _routes(cell.sd.range, interval.n, cells, level)
        fitting = [name for name, half in routes.items() if half.meets(interval.half_width)]
        decimals = interval.decimals + 1
        text = "; ".join(f"{name}: {span(half, decimals)}" for name, half in routes.items())
        printed = f"SD {cell.sd}, half-width {fixed(interval.half_width.middle, decimals)}"
        if fitting:
            yield Finding("sd against interval", cell.item, printed, text, "consistent", f"reached with {fitting[0]}")
        else:
            detail = _sd_hint(cell.sd.range, interval, level)
            yield Finding("sd against interval", cell.item, printed, text, "inconsistent", detail)


def whole_number_totals(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """A mean of whole-number items is a multiple of 1/(n · items) (GRIM, Brown & Heathers 2017)."""
    for cell in (c for c in cells if c.items is not None):
        if cell.n is None or cell.mean is None:
            yield _untestable("whole-number items", cell)
            continue
        total = cell.n * float(cell.items or 1)
        nearest = round(cell.mean.value * total) / total
        recomputed = fixed(nearest, cell.mean.decimals + 2)
        if 1 / total <= 10.0**-cell.mean.decimals * (1 + 1e-9):
            detail = f"every mean with {cell.mean.decimals} decimals can occur with n = {cell.n:g}; nothing is tested"
            yield Finding("whole-number items", cell.item, str(cell.mean), "", "no power", detail)
        elif Range(nearest, nearest).meets(cell.mean.range):
            yield Finding("whole-number items", cell.item, str(cell.mean), recomputed, "consistent", "")
        else:
            detail = f"no sum of whole numbers over n = {cell.n:g} gives this mean; nearest {recomputed}"
            yield Finding("whole-number items", cell.item, str(cell.mean), recomputed, "inconsistent", detail)


CELL_CHECKS: tuple[Callable[[Sequence[Cell], float], Iterator[Finding]], ...] = (
    interval_centres, means_inside, half_widths, sd_against_interval, whole_number_totals,
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


def _routes(sd: Range, n: float, cells: Sequence[Cell], level: float) -> dict[str, Range]:
    """Half-widths in all the ways an author may have made them."""
    pooled = pooled_sd(cells) if len(cells) > 1 else None
    quantiles = {f"t({n - 1:g})": n - 1.0} | ({f"t({pooled[1]:g})": pooled[1]} if pooled else {}) | {"z": np.inf}
    sds = {"own SD": sd} | ({"pooled SD": pooled[0]} if pooled else {})
    probability = (1 + level) / 2
    factors = {name: float(t_quantile(probability, df)) / np.sqrt(n) for name, df in quantiles.items()}
    return {f"{s}, {q}": Range(sds[s].low * f, sds[s].high * f) for s in sds for q, f in factors.items()}


def _sd_hint(sd: Range, interval: Interval, level: float) -> str:
    z = float(t_quantile((1 + level) / 2, np.inf))
    t = float(t_quantile((1 + level) / 2, interval.n - 1))
    if Range(sd.low * z, sd.high * t).meets(interval.half_width):
        return "no SD gives this interval; the number printed as SD is a standard error"
    fitting = (z * sd.middle / interval.half_width.middle) ** 2 if interval.half_width.middle > 0 else np.nan
    return f"neither the SD of the cell nor the pooled SD gives this interval (n near {fitting:.0f} would)"


def _off_centre(interval: Interval) -> str:
    if interval.low.value > interval.high.value:
        found = "the lower limit is above the upper one"
    else:
        offset = interval.centre.middle - interval.mean.value
        side = "above" if offset > 0 else "below"
        found = f"the centre is {fixed(abs(offset), interval.decimals + 1)} {side} the mean"
    flips = [f"with {name} = {value} it is at the mean" for name, value, i in _sign_flips(interval) if i.centred]
    return "; ".join([found, *flips])


def _odd_half_width(interval: Interval, others: Range) -> Finding:
    root = np.sqrt(interval.n)
    decimals = interval.decimals + 1
    expected = span(Range(others.low / root, others.high / root), decimals)
    cured = [
        f"with {name} = {value} the interval is centred at the printed mean and as wide as the others: "
        "a lost minus sign is likely"
        for name, value, i in _sign_flips(interval)
        if i.centred and i.scaled.meets(others)
    ]
    side = "narrower" if interval.scaled.high < others.low else "wider"
    detail = "; ".join([f"{side} than the others, which agree on one pooled error term, and off its mean", *cured])
    printed = fixed(interval.half_width.middle, decimals)
    return Finding("half-widths", interval.item, printed, expected, "inconsistent", detail)


def _sign_flips(interval: Interval) -> Iterator[tuple[str, Printed, Interval]]:
    low, high = (replace(limit, value=-limit.value) for limit in (interval.low, interval.high))
    yield "low", low, replace(interval, low=low)
    yield "high", high, replace(interval, high=high)


def _unit_slip(interval: Interval, limits: Range) -> str:
    quarter = (limits.high - limits.low) / 4
    middle = Range(limits.middle - quarter, limits.middle + quarter)
    # Around zero any division would succeed, and tell nothing.
    if limits.low <= 0 <= limits.high:
        return "the mean lies outside its own interval"
    for factor in FACTORS:
        mean = interval.mean.value * factor
        if middle.low <= mean <= middle.high:
            sign = f"× {factor:.0f}" if factor > 1 else f"÷ {1 / factor:.0f}"
            return f"the mean lies outside its own interval, but {mean:g} ({sign}) in its middle: units are mixed"
    return "the mean lies outside its own interval"


def _common(intervals: Sequence[Interval]) -> Range | None:
    """What the scaled half-widths have in common, None where they have nothing."""
    scaled = [i.scaled for i in intervals]
    low, high = max(s.low for s in scaled), min(s.high for s in scaled)
    return Range(min(low, high), high) if low <= high * (1 + 1e-9) else None


def _untestable(check: str, cell: Cell) -> Finding:
    absent = [name for name in ("n", "mean", "sd", "low", "high") if getattr(cell, name) is None]
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
