"""Sections of reports/benchmarks.md, each written by one program."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

REPORT = Path(__file__).parents[1] / "reports" / "benchmarks.md"


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


def has_r(package: str) -> bool:
    """Whether this machine has R with the package (and with jsonlite, which answers)."""
    probe = ["Rscript", "-e", f"library({package}); library(jsonlite)"]
    return (
        shutil.which("Rscript") is not None and not subprocess.run(probe, capture_output=True, check=False).returncode
    )


def write_section(
    name: str,
    head: Sequence[str],
    cases: Iterable[Any],
    lines: Callable[[Any], Sequence[str]],
    absent: Iterable[str],
    about: str,
) -> None:
    """Measure the cases asked for on the command line (``--only``) and print their rows; all of them become the section."""
    cases = list(cases)
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[case.name for case in cases])
    chosen, rows = parser.parse_args().only, list(head)
    for case in cases:
        if chosen is None or case.name in chosen:
            new = list(lines(case))
            rows += new
            print(*new, sep="\n", flush=True)
    if missing := sorted(absent):
        rows += ["", f"Not on this machine: {', '.join(missing)}."]
    if chosen is None:
        replace_section(REPORT, name, rows)
