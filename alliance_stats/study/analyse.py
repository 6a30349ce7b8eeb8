"""The analyses of a study on one frame: what was fitted, and what was not, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from alliance_stats.errors import ConvergenceError, DataError
from alliance_stats.progress import bar
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Study


@dataclass(frozen=True, eq=False)
class Analysed:
    """Results by analysis, derived frames by ``analysis/name``, and the reasons of what was not analysed."""

    results: dict[str, Result] = field(default_factory=dict)
    derived: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def analyse(study: Study, frame: pd.DataFrame, options: Mapping[str, str], *, progress: bool = True) -> Analysed:
    """Every analysis that the options ask for.

    A secondary analysis that the data cannot carry (too few groups, no optimum) is left out with the reason and does not take
    the others with it; a primary one raises.
    """
    made = Analysed()
    for analysis in bar(study.analyses, study.key, "analysis", shown=progress):
        if any(options.get(name) not in choices for name, choices in analysis.when.items()):
            continue
        absent = lacking(analysis, frame)
        if absent and analysis.instead is None:
            made.skipped[analysis.name] = f"{absent}; {analysis.otherwise}"
            continue
        try:
            result = _fitted(study, analysis, frame, absent)
            frames = {f"{analysis.name}/{name}": make(result) for name, make in analysis.derived.items()}
        except (ConvergenceError, DataError) as problem:
            if analysis.role == "primary":
                raise
            made.skipped[analysis.name] = str(problem).rstrip(".")
            continue
        made.results[analysis.name] = result
        made.derived.update(frames)
    return made


def lacking(analysis: Analysis, frame: pd.DataFrame) -> str:
    """What an analysis needs and the data do not have, in words; empty where nothing is lacking."""
    absent = [name for name in (*analysis.needs, *analysis.groups) if name not in frame or frame[name].isna().all()]
    if absent:
        return f"{', '.join(absent)} not measured"
    few = [(name, n, least) for name, least in analysis.groups.items() if (n := frame[name].nunique()) < least]
    return "; ".join(f"'{name}' has {n} group{'s' * (n > 1)}, {least} needed" for name, n, least in few)


def _fitted(study: Study, analysis: Analysis, frame: pd.DataFrame, absent: str) -> Result:
    model = analysis.instead if absent and analysis.instead is not None else analysis.model
    given = frame if analysis.table is None else study.tables[analysis.table]
    notes = [f"{absent}; {analysis.otherwise}"] if absent else []
    if not absent and analysis.groups:
        grouped = given.dropna(subset=list(analysis.groups))
        lost = len(given) - len(grouped)
        notes += [f"{lost} of {len(given)} rows without {' or '.join(analysis.groups)} left out"] if lost else []
        given = grouped
    for step in analysis.prepare:
        given = step(given)
    result = model.fit(given)
    remarks = analysis.remarks(result) if analysis.remarks is not None else ()
    return replace(result, notes=(*notes, *result.notes, *remarks))
