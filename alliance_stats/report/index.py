"""The page that lists all studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alliance_stats.report.page import render
from alliance_stats.study.run import Run


def write_index(runs: Sequence[Run], path: Path, *, claims: bool = False) -> Path:
    """Write the index: the page of claims where there is one, and an entry a study with question, evidence and verdicts."""
    entries = [
        {
            "key": run.study.key,
            "title": run.study.title,
            "citation": run.study.citation,
            "question": run.study.question,
            "evidence": run.evidence,
            "verdicts": [(str(v), int(n)) for v, n in run.comparison()["verdict"].value_counts().items()],
        }
        for run in runs
    ]
    path.write_text(render("index.html", entries=entries, claims=claims), encoding="utf-8")
    return path
