"""Published beside rerun: a verdict for every printed number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.data.rounding import decimals_of
from alliance_stats.errors import TargetError
from alliance_stats.study.declare import Analysis, Target

if TYPE_CHECKING:
    from alliance_stats.study.run import Run

COLUMNS = (
    "analysis", "term", "column", "kind", "decimals", "printed", "printed_low", "printed_high", "rerun", "truth", "verdict",
    "evidence", "source", "note",
)  # fmt: skip
CHECK_LIMIT = 3.29  # standard errors: 1 in 1,000 correct programs would fail one such check by chance
CHECK_P = 0.001


def comparison(run: Run) -> pd.DataFrame:
    """One row a target: the printed number, the rerun's, and the verdict.

    Verdicts on original data and printed tables: ``to the digit`` (rounds to the printed value), ``within rounding``
    (reachable from inputs rounded as printed), ``inside published interval``, ``same direction`` (sign, or the same side of
    5 % where only significance was printed; never of a count or share), ``differs``, ``not recoverable``. Simulated data check
    the code, never the paper: ``code check passed`` where the truth of the simulation lies within 3.29 standard errors of the
    rerun, else ``code check failed``. Targets of kind ``truth`` are there on simulated data only.
    """
    wanted = [t for t in run.study.targets if t.kind != "truth" or run.evidence == "simulated"]
    rows = [_row(run, target) for target in wanted]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(run: Run, target: Target) -> dict[str, Any]:
    name = target.analysis.split("/")[0]
    analysis = next((a for a in run.study.analyses if a.name == name), None)
    evidence = run.evidence if analysis is None else run.evidence_of(analysis)
    row = {
        "analysis": target.analysis, "term": target.term, "column": target.column, "kind": target.kind,
        "decimals": target.decimals,
        "printed": target.printed,
        "printed_low": target.low, "printed_high": target.high, "rerun": np.nan, "truth": np.nan,
        "evidence": evidence, "source": target.source, "note": target.note,
    }  # fmt: skip
    if target.kind == "not recoverable":
        return row | {"verdict": "not recoverable"}
    if name in run.skipped:
        return row | {"verdict": "not recoverable", "note": run.skipped[name]}
    if analysis is not None and name not in run.results:
        return row | {"verdict": "not recoverable", "note": "not analysed under the options chosen"}
    found = _look_up(run, target)
    if target.analysis == "data" and np.isnan(found["n"]):
        return row | {"verdict": "not recoverable", "note": f"the data do not name the {target.term}"}
    on_p = target.kind in ("significant", "not significant") and (evidence != "simulated" or "estimate" not in found)
    column = row["column"] = "p_value" if on_p else target.column
    row["rerun"] = found[column]
    if evidence == "simulated":
        return row | _code_check(run, target, found)
    return row | {"verdict": _verdict(run, analysis, target, float(found[column]))}


def _look_up(run: Run, target: Target) -> dict[str, Any]:
    """The row of the rerun that a target speaks of; TargetError where the study has none."""
    if target.analysis == "data":
        return {"n": _count(run, target.term)}
    if target.term == "" and target.analysis in run.results:
        return dict(run.results[target.analysis].statistics.iloc[0])
    frame = run.derived.get(target.analysis)
    if frame is None and target.analysis in run.results:
        frame = run.results[target.analysis].estimates
    if frame is None:
        raise TargetError(
            f"study '{run.study.key}': a target names the analysis '{target.analysis}', which is not there"
        )
    rows = frame[frame["term"] == target.term]
    if len(rows) != 1:
        known = ", ".join(map(str, frame["term"]))
        raise TargetError(
            f"study '{run.study.key}': '{target.analysis}' has {len(rows)} rows {target.term!r}; terms: {known}"
        )
    return dict(rows.iloc[0])


def _count(run: Run, term: str) -> float:
    """How many patients there are, or how many of what another column names, e.g. ``therapists``; missing without it."""
    if term == "patients":
        return float(run.patients)
    name = term.removesuffix("s")
    return float(run.data[name].nunique()) if name in run.data else np.nan


def _code_check(run: Run, target: Target, found: dict[str, Any]) -> dict[str, Any]:
    if target.analysis == "data":
        return {"truth": target.printed, "verdict": _checked(bool(found[target.column] == target.printed))}
    truth = run.truth
    if truth is None:
        raise TargetError(f"study '{run.study.key}': simulated data came without their truth")
    known = truth[(truth["analysis"] == target.analysis.split("/")[0]) & (truth["term"] == target.term)]
    if len(known) != 1:
        return {"verdict": "not recoverable", "note": "the simulation states no truth for this number"}
    value = float(known["value"].iloc[0])
    if "std_error" not in found:  # a joint test: all its coefficients are zero in truth, or the test should see it
        return {"truth": value, "verdict": _checked((found["p_value"] >= CHECK_P) == (value == 0))}
    off = abs(float(found["estimate"]) - value)
    return {"truth": value, "verdict": _checked(off <= CHECK_LIMIT * float(found["std_error"]) + 1e-9)}


def _checked(passed: bool) -> str:
    return "code check passed" if passed else "code check failed"


def _verdict(run: Run, analysis: Analysis | None, target: Target, value: float) -> str:
    if target.kind in ("significant", "not significant"):
        return "same direction" if (value < 0.05) == (target.kind == "significant") else "differs"
    printed = float(np.nan if target.printed is None else target.printed)
    if target.kind == "direction":
        return "same direction" if np.sign(value) == np.sign(printed) else "differs"
    half = 0.5 * 10.0**-target.decimals
    if abs(value - printed) <= half * (1 + 1e-9):
        return "to the digit"
    on_table = analysis is not None and analysis.table is not None
    if on_table and abs(value - printed) <= half + _reach(run, analysis, target, value):
        return "within rounding"
    if target.low is not None and target.high is not None and target.low <= value <= target.high:
        return "inside published interval"
    if target.kind == "size":
        return "differs"
    return "same direction" if np.sign(value) == np.sign(printed) else "differs"


def _reach(run: Run, analysis: Analysis | None, target: Target, value: float) -> float:
    """How far the rerun moves when every printed input moves by half its last digit, each in its worse direction."""
    assert analysis is not None
    table = run.study.tables[str(analysis.table)]
    total = 0.0
    for name in table.select_dtypes("float").columns:
        half = 0.5 * 10.0 ** -decimals_of(table[name])
        for row in table.index[table[name].notna()]:
            moved = [_value_with(run, analysis, target, table, row, name, step) for step in (-half, half)]
            total += max(abs(v - value) for v in moved)
    return total


def _value_with(
    run: Run, analysis: Analysis, target: Target, table: pd.DataFrame, row: Any, name: str, step: float
) -> float:
    moved = table.copy()
    moved.loc[row, name] += step
    result = analysis.model.fit(moved)
    inner = target.analysis.partition("/")[2]
    frame = analysis.derived[inner](result) if inner else result.estimates
    return float(frame.loc[frame["term"] == target.term, target.column].iloc[0])
