"""The results of a run in a report: estimates of every analysis, what was derived from them, and their notes."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from alliance_stats.render.labels import capital, readable
from alliance_stats.report.blocks import Block
from alliance_stats.report.mediation_tables import is_mediation, mediation_blocks
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Role
from alliance_stats.study.printed_numbers import PrintedNumbers
from alliance_stats.study.run import Run

ACRONYMS = {"sd": "SD", "icc": "ICC"}


def results(run: Run, role: Role) -> Iterator[Block]:
    """Every primary or secondary analysis: its estimates, what was derived from them, and its notes."""
    for analysis in run.study.analyses:
        if analysis.role == role and analysis.name in run.results:
            yield from _result(run, analysis)
        elif analysis.role == role and analysis.name in run.skipped:
            yield Block(f"{run.label(analysis.name)}: not analysed. {run.skipped[analysis.name]}.")


def _result(run: Run, analysis: Analysis) -> Iterator[Block]:
    result = run.results[analysis.name]
    formula = getattr(result.model, "formula", "printed means")
    title = f"{capital(run.label(analysis.name))} ({run.evidence_of(analysis)}): {formula}; {_size(result)}"
    if is_mediation(result):
        yield from mediation_blocks(result, title)
    else:
        yield Block(table=_tidy(result.estimates), caption=title)
    for name, frame in run.frames_of(analysis).items():
        if name != analysis.name:
            yield Block(table=_tidy(frame), caption=_title(run, name))
    for note in result.notes:
        yield Block(f"Note: {note}.")


def _size(result: Result) -> str:
    """``n = 117``, for a mixed model the numbers of groups too: ``n = 234; patient: 117``; of a table of numbers, how many."""
    if isinstance(result.model, PrintedNumbers) and result.model.size is len:
        return f"from {len(result.frame)} printed numbers"
    counts = {str(name): float(n) for name, n in result.statistics.iloc[0].items() if str(name).startswith("n_")}
    groups = [f"{name[2:]}: {n:.0f}" for name, n in counts.items() if name != "n_obs"]
    return "; ".join([f"n = {counts['n_obs']:.0f}", *groups])


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    shown = frame.drop(columns=[c for c in ("component", "interval") if c in frame])
    shown = shown.assign(term=[readable(t) for t in shown["term"]]) if "term" in shown else shown
    return shown.rename(columns=ACRONYMS)


def _title(run: Run, name: str) -> str:
    return capital(": ".join(run.label(part) for part in name.split("/")))


def side_by_side(run: Run) -> Iterator[Block]:
    """One term as every analysis estimates it."""
    for term in run.study.side_by_side:
        frame = run.across(term)
        shown = frame.assign(analysis=[run.label(name.split("/")[0]) for name in frame["analysis"]])
        yield Block(table=_tidy(shown), caption=f"{capital(readable(term))}, from every analysis")
