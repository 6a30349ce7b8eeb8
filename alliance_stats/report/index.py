"""The page that lists claims and studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alliance_stats.claims import claims as claims_frame
from alliance_stats.report.claims import VERDICTS
from alliance_stats.report.page import render
from alliance_stats.study.run import Run

ORDER = (
    "to the digit", "within rounding", "inside published interval", "same direction", "differs", "not recoverable",
    "code check passed", "code check failed",
)  # fmt: skip
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")


def write_index(runs: Sequence[Run], path: Path, *, claims: bool = False) -> Path:
    """Write the index: the claims with their verdicts where there is their page, then the studies with theirs."""
    entries = [_entry(run) for run in runs]
    found = {verdict for entry in entries for verdict in entry["verdicts"]}
    verdicts = [verdict for verdict in ORDER if verdict in found]
    told = _claims(runs) if claims else None
    path.write_text(render("index.html", entries=entries, verdicts=verdicts, claims=told), encoding="utf-8")
    return path


def _entry(run: Run) -> dict[str, Any]:
    counts = run.comparison()["verdict"].value_counts()
    return {
        "key": run.study.key,
        "title": run.study.title,
        "citation": run.study.citation,
        "question": run.study.question,
        "evidence": run.evidence,
        "printed": any(analysis.table for analysis in run.study.analyses),
        "verdicts": {str(verdict): int(n) for verdict, n in counts.items()},
    }


def _claims(runs: Sequence[Run]) -> dict[str, Any]:
    counts = claims_frame(runs)["verdict"].value_counts()
    total = int(counts.sum())
    named = NUMBERS[total] if total < len(NUMBERS) else str(total)
    return {
        "title": f"{named} claims about the alliance",
        "counts": [(verdict, int(counts.get(verdict, 0))) for verdict in VERDICTS],
    }
