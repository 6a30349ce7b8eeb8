"""Checks of printed confidence intervals of means: against their means, and against those of the other cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from alliance_stats.models.audit.cells import Cell, Interval, as_interval, untestable
from alliance_stats.models.audit.printed import Finding, Printed, Range, span, verdict_of
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.render.numbers import fixed, number

FACTORS = (10.0, 100.0, 0.1, 0.01)


def interval_centres(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """The interval of a mean has the mean in its middle."""
    for cell in (c for c in cells if c.low or c.high):
        interval = as_interval(cell)
        if interval is None:
            yield untestable("interval centre", cell)
            continue
        wrong = "" if interval.centred else _off_centre(interval)
        recomputed = fixed(interval.centre.middle, interval.decimals + 1)
        yield Finding("interval centre", cell.item, str(interval), recomputed, verdict_of(not wrong), wrong)


def means_inside(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """A mean lies inside its own interval; outside, a power of ten may tell of a change of unit."""
    for interval in filter(None, map(as_interval, cells)):
        limits = Range(*sorted((interval.low.value, interval.high.value)))
        half = 0.5 * 10.0**-interval.decimals
        inside = interval.mean.range.meets(Range(limits.low - half, limits.high + half))
        detail = "" if inside else _unit_slip(interval, limits)
        yield Finding("mean inside interval", interval.item, str(interval), "", verdict_of(inside), detail)


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
