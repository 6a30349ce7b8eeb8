"""Sections of reports/benchmarks.md, each written by one program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def seconds(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def replace_section(path: Path, name: str, rows: Sequence[str]) -> None:
    """Put rows between `<!-- name -->` and `<!-- end name -->`."""
    text, begin, end = path.read_text(encoding="utf-8"), f"<!-- {name} -->", f"<!-- end {name} -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{path}: no lines {begin} and {end}")
    path.write_text("\n".join([f"{before}{begin}", "", *rows, "", f"{end}{after}"]), encoding="utf-8")
