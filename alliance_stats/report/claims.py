"""The page of the claims: verdicts first, then each claim with its evidence for and against."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.claims import claims, claims_evidence
from alliance_stats.errors import AllianceError
from alliance_stats.report.page import render
from alliance_stats.study.run import Run

VERDICTS = ("supported", "mixed", "not supported", "untested")
MARKS = {"supported": "●", "mixed": "◐", "not supported": "○", "untested": "–"}
GROUPS = (
    ("Weighed", ("supports", "leaves open", "contradicts")),
    ("Not weighed", ("speaks for", "speaks against", "neutral")),
)
FITS = {"fits": "The printed numbers fit together.", "does not fit": "The printed numbers do not fit together"}


def report_claims(path: str | Path, runs: Sequence[Run] | None = None) -> Path:
    """Write the claims with their verdicts and evidence as one self-contained html page; same runs, same bytes.

    ``runs`` as in ``claims``: by default the studies run on their stand-ins for the code checks. Raises AllianceError for
    another suffix than .html and for a folder that does not exist.
    """
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise AllianceError(f"report_claims: '{path.name}' ends in '{path.suffix}'; use .html")
    if not path.parent.is_dir():
        raise AllianceError(f"report_claims: there is no folder '{path.parent}'; make it first")
    path.write_text(claims_html(runs), encoding="utf-8")
    return path


def claims_html(runs: Sequence[Run] | None = None) -> str:
    """The page as text; every word of it is escaped."""
    frame = claims(runs)
    counts = Counter(frame["verdict"])
    entries = [_entry(row, claims_evidence(row["claim"], runs or ())) for row in frame.to_dict("records")]
    return render(
        "claims.html", entries=entries, marks=MARKS, counts=[(verdict, counts[verdict]) for verdict in VERDICTS]
    )


def _entry(row: dict[Any, Any], evidence: pd.DataFrame) -> dict[str, Any]:
    groups = []
    for title, readings in GROUPS:
        chosen = [r for reading in readings for r in evidence[evidence["reading"] == reading].to_dict("records")]
        if chosen:
            groups.append((title, [_finding(finding) for finding in chosen]))
    return {**row, "tests": row["tests"].split("; "), "groups": groups}


def _together(text: str) -> str:
    """Signs stay on one line with what stands on both sides of them."""
    for sign in ("=", "<"):
        text = text.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return text


def _finding(row: dict[Any, Any]) -> dict[str, Any]:
    fit = FITS.get(row["fit"], "")
    detail = f": {row['fit_detail']}." if row["fit"] == "does not fit" else ""
    note = f"{row['note'][0].upper()}{row['note'][1:]}." if row["note"] else ""
    together = {name: _together(row[name]) for name in ("printed", "recomputed")}
    return {
        **row, **together, "fit_said": f"{fit}{detail}", "misfit": row["fit"] == "does not fit", "note_said": note,
        "css": re.sub(r"\W+", "-", row["reading"]),
    }  # fmt: skip
