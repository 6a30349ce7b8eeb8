"""Checks of printed SDs against intervals, and of means of whole numbers against n."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from alliance_stats.models.audit.cells import Cell, Interval, as_interval, pooled_sd, untestable
from alliance_stats.models.audit.printed import Finding, Range, span
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.render.numbers import fixed


def sd_against_interval(cells: Sequence[Cell], level: float) -> Iterator[Finding]:
    """The half-width is quantile · SD / √n, with the SD of the cell or a pooled one, and a t or normal quantile."""
    for cell in (c for c in cells if c.sd and (c.low or c.high)):
        interval = as_interval(cell)
        if interval is None or cell.sd is None:
            yield untestable("sd against interval", cell)
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
            yield untestable("whole-number items", cell)
            continue
        total = cell.n * float(cell.items or 1)
        nearest = round(cell.mean.value * total) / total
        recomputed = fixed(nearest, cell.mean.decimals + 2)
        if 1 / total <= 10.0**-cell.mean.decimals * (1 + 1e-9):
            detail = f"every mean printed so can occur with n = {cell.n:g}; nothing is tested"
            yield Finding("whole-number items", cell.item, str(cell.mean), "", "no power", detail)
        elif Range(nearest, nearest).meets(cell.mean.range):
            yield Finding("whole-number items", cell.item, str(cell.mean), recomputed, "consistent", "")
        else:
            detail = f"no sum of whole numbers over n = {cell.n:g} gives this mean; nearest {recomputed}"
            yield Finding("whole-number items", cell.item, str(cell.mean), recomputed, "inconsistent", detail)


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
        return "no SD gives this interval; the number printed as SD looks like a standard error"
    fitting = (z * sd.middle / interval.half_width.middle) ** 2 if interval.half_width.middle > 0 else np.nan
    return f"neither the SD of the cell nor the pooled SD gives this interval (n near {fitting:.0f} would)"
