"""What the declared studies give to the claims: printed tables reanalysed, original data, and checks of code on stand-ins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.claims.declare import Check, Claim, Evidence, load_claims
from alliance_stats.claims.recompute import Recomputed
from alliance_stats.data.rounding import decimals_of
from alliance_stats.errors import TargetError
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.progress import bar
from alliance_stats.render.numbers import fixed
from alliance_stats.study.compare import CHECK_LIMIT
from alliance_stats.study.declare import Analysis, Study
from alliance_stats.study.run import Run


def study_of(key: str) -> Study:
    """A declared study by its key."""
    study = import_module(f"alliance_stats.studies.{key}").STUDY
    assert isinstance(study, Study)
    return study


@cache
def from_printed_table(run: tuple[str, str, str]) -> Recomputed:
    """The row (study, analysis/frame, term) of an analysis of a printed table, by the study's own declaration."""
    key, path, term = run
    (study, analysis), inner = _declared(run), path.partition("/")[2]
    result = analysis.model.fit(study.tables[str(analysis.table)])
    row = _row(analysis.derived[inner](result) if inner else result.estimates, term, f"{key}: {path}")
    return _recomputed(
        row, f"reanalysis of a printed table in study {key}: {study.labels.get(analysis.name, analysis.name)}"
    )


def printed_audit(run: tuple[str, str, str]) -> tuple[int, str]:
    """How many checks the intervals, means and SDs of a printed table allow, and which of them fail."""
    study, analysis = _declared(run)
    assert isinstance(analysis.model, SummaryStatistics)
    found = analysis.model.audit(study.tables[str(analysis.table)])
    wrong = found[found["verdict"] == "inconsistent"]
    told = [f"{check}: {', '.join(map(_level, of['item']))}" for check, of in wrong.groupby("check", sort=False)]
    return int((found["verdict"] != "no power").sum()), "; ".join(told)


def printed_table(run: tuple[str, str, str]) -> str:
    """The cells of a printed table in words: n, mean, and SD or limits."""
    study, analysis = _declared(run)
    assert isinstance(analysis.model, SummaryStatistics)
    model, table = analysis.model, study.tables[str(analysis.table)]
    factors = [model.factors] if isinstance(model.factors, str) else list(model.factors)
    labels = table["group"] if "group" in table else table[factors].astype(str).agg(", ".join, axis=1)
    means, spreads = _fixed(table[model.mean]), _spreads(table, model)
    size = model.n.replace("_", " ")
    rows = zip(labels, means, spreads, table[model.n], strict=True)
    return "; ".join(f"{label}: {mean} ({spread}), {size} {n}" for label, mean, spread, n in rows)


def _spreads(table: pd.DataFrame, model: SummaryStatistics) -> list[str]:
    if model.sd is not None:
        return [f"SD {text}" for text in _fixed(table[model.sd])]
    lows, highs = _fixed(table[str(model.low)]), _fixed(table[str(model.high)])
    return [f"{low} to {high}" for low, high in zip(lows, highs, strict=True)]


def _fixed(column: pd.Series[Any]) -> list[str]:
    """Numbers with the decimals of the most precise of them; two where they were computed."""
    decimals = min(decimals_of(column), 2)
    return [fixed(float(value), decimals) for value in column]


def _level(item: str) -> str:
    """The levels of a cell without the names of their factors."""
    return " ".join(part.partition("=")[2] or part for part in item.split(", "))


def _declared(run: tuple[str, str, str]) -> tuple[Study, Analysis]:
    key, path, _ = run
    study, name = study_of(key), path.partition("/")[0]
    analysis = next((a for a in study.analyses if a.name == name), None)
    if analysis is None or analysis.table is None:
        raise TargetError(f"evidence: study '{key}' has no analysis '{name}' of a printed table")
    return study, analysis


def from_original_data(claim: Claim, runs: Iterable[Run]) -> list[tuple[Evidence, Recomputed]]:
    """Rows of runs on original data that speak of the claim."""
    found = []
    for run in (run for run in runs if run.evidence == "original data"):
        for check in claim.checks:
            frame = _frame(run, check.analysis) if check.study == run.study.key and check.counts else None
            if frame is not None:
                evidence = Evidence(
                    f"{run.study.key}-{check.analysis}", f"{run.study.key}, original data", f"{check.analysis}: {check.term}",
                    (check.part,), check.design, "run", run.source, favours=check.favours,
                    note="; ".join(filter(None, ("analysed by the study's run", check.note))),
                )  # fmt: skip
                row = _row(frame, check.term, f"{run.study.key}: {check.analysis}")
                found.append((evidence, _recomputed(row, "run of the study on original data")))
    return found


def code_check(claim: Claim, runs: Iterable[Run]) -> str:
    """Whether the analyses that test the claim find the truth of simulated data: it says nothing of the claim.

    ``code check passed`` where every row that has a known truth lies within 3.29 standard errors of it, ``code check failed``
    where one does not; empty where no such row was run.
    """
    known = {run.study.key: run for run in runs if run.evidence == "simulated"}
    offs = [_off(check, known[check.study]) for check in claim.checks if check.study in known]
    offs = [off for off in offs if np.isfinite(off)]
    if not offs:
        return ""
    passed = max(offs) <= CHECK_LIMIT
    return f"code check {'passed' if passed else 'failed'} ({len(offs)} row{'s' * (len(offs) != 1)})"


@cache
def stand_ins() -> tuple[Run, ...]:
    """Runs of the studies that the claims name, on their synthetic stand-ins; made once."""
    keys = dict.fromkeys(check.study for claim in load_claims() for check in claim.checks)
    return tuple(study_of(key).run(progress=False) for key in bar(keys, "claims", "study", shown=True))


def _off(check: Check, run: Run) -> float:
    """Distance of a rerun from the truth in standard errors; missing where the truth is not known."""
    frame, truth = _frame(run, check.analysis), run.truth
    if frame is None or truth is None or "std_error" not in frame:
        return float("nan")
    known = truth[(truth["analysis"] == check.analysis.partition("/")[0]) & (truth["term"] == check.term)]
    if len(known) != 1:
        return float("nan")
    row = _row(frame, check.term, f"{check.study}: {check.analysis}")
    return abs(float(row["estimate"]) - float(known["value"].iloc[0])) / float(row["std_error"])


def _frame(run: Run, path: str) -> pd.DataFrame | None:
    return run.derived[path] if path in run.derived else run.results[path].estimates if path in run.results else None


def _row(frame: pd.DataFrame, term: str, where: str) -> Mapping[Any, Any]:
    rows: Sequence[Mapping[Any, Any]] = frame[frame["term"] == term].to_dict("records")
    if len(rows) != 1:
        raise TargetError(
            f"evidence: {where} has {len(rows)} rows {term!r}; terms: {', '.join(map(str, frame['term']))}"
        )
    return rows[0]


def _recomputed(row: Mapping[Any, Any], how: str) -> Recomputed:
    more = {
        to: float(row[name]) for name, to in (("statistic", "statistic"), ("df", "df"), ("p_value", "p")) if name in row
    }
    estimate, low, high = (float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    return Recomputed("difference", estimate, low, high, how, more)
