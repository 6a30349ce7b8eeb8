"""Checks of printed sums and differences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.models.audit.printed import Finding, Printed, Range, read_printed, verdict_of
from alliance_stats.render.numbers import fixed

SIGNED = re.compile(r"\s*([+-]?)\s*(\d+\.?\d*|\.\d+)\s*")


def declared_totals(totals: Any) -> Iterator[Finding]:
    """Sums and differences: what the parts give beside what is printed.

    Whole numbers are counts, hence exact; with decimals, or with ``kind="rounded"``, every part and the total stand
    for all values that round to them.
    """
    frame = pd.DataFrame(totals)
    require_columns(frame.columns, ["item", "parts", "printed"], "totals")
    for row in frame.to_dict("records"):
        item = str(row["item"])
        printed = read_printed(row["printed"], f"totals: {item}")
        parts = _parts(row["parts"], item)
        kind = row.get("kind")
        if printed is None or not parts:
            detail = "not reproducible from what is printed: the total or its parts are missing"
            yield Finding("sum", item, "" if printed is None else str(printed), "", "no power", detail)
        else:
            yield _total(item, parts, printed, _is_rounded(kind, [*parts, printed], item))


def _total(item: str, parts: list[Printed], printed: Printed, rounded: bool) -> Finding:
    ranges = [p.range if rounded else Range(p.value, p.value) for p in parts]
    found = Range(sum(r.low for r in ranges), sum(r.high for r in ranges))
    target = printed.range if rounded else Range(printed.value, printed.value)
    decimals = max(p.decimals for p in (*parts, printed))
    total = sum(p.value for p in parts)
    off = fixed(abs(total - printed.value), decimals)
    agrees = found.meets(target)
    exact = abs(total - printed.value) < 0.5 * 10.0**-decimals
    wrong = f"off by {off}" + ("" if rounded else " as counts; kind='rounded' declares rounded numbers")
    detail = "" if exact else (f"differs from the rounded numbers by {off}, within rounding" if agrees else wrong)
    recomputed = f"{_written(parts)} = {fixed(total, decimals)}"
    return Finding("sum", item, str(printed), recomputed, verdict_of(agrees), detail)


def _parts(cell: Any, item: str) -> list[Printed]:
    """Parts from a text such as ``"5.13 - 4.89"`` or from a sequence of numbers; what is subtracted is negative."""
    if isinstance(cell, str):
        text = cell.replace("\N{MINUS SIGN}", "-").strip()
        found = [(m[1], m[2]) for m in SIGNED.finditer(text)]
        if not found or SIGNED.sub("", text) or any(not sign for sign, _ in found[1:]):
            raise DataError(f"totals: {item}: parts is {cell!r}; write numbers with + and −, e.g. '54 + 73'")
        cell = [sign + digits for sign, digits in found]
    elif not isinstance(cell, list | tuple):
        raise DataError(f"totals: {item}: parts is {cell!r}; write '54 + 73' or give a tuple of numbers")
    read = [read_printed(part, f"totals: {item}") for part in cell]
    return [] if None in read else [part for part in read if part is not None]


def _is_rounded(kind: Any, numbers: list[Printed], item: str) -> bool:
    if kind is None or pd.isna(kind):
        return any(number.decimals > 0 for number in numbers)
    if kind not in ("counts", "rounded"):
        raise DataError(f"totals: {item}: kind is {kind!r}; use 'counts' or 'rounded'")
    return bool(kind == "rounded")


def _written(parts: list[Printed]) -> str:
    first, *rest = parts
    signed = [f"{'−' if p.value < 0 else '+'} {str(p).lstrip('−')}" for p in rest]
    return " ".join([str(first), *signed])
