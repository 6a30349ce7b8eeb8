"""How fast survival models are fitted, as ratios against R's survival in one run.

    python benchmarks/survival.py                  everything; about two minutes
    python benchmarks/survival.py --only cox       one case, or several

Every fit runs in a process of its own on the same csv file: one fit to warm up, then the fits that are timed, the fastest of
which counts; reading the file does not. Ours is the whole `.fit()`, or the whole curve with its intervals; theirs is `coxph` or
`survfit`. The numbers compared (a log-likelihood, or a sum of the curve) must agree, or the ratio says nothing. The pass of
sorting that Kaplan–Meier is measured by is one `sort_values` of its two columns. The table goes into
reports/benchmarks.md, between the lines that mark it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from table import has_r, seconds, write_section

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Case:
    """One model or curve; `asked` is the ratio theirs/ours that is asked for."""

    name: str
    what: str
    kind: str
    formula: str
    asked: float | None
    repeats: int
    cluster: str | None = None
    frailty: str | None = None


TIMED = "Surv(start, stop, dropped) ~ alliance + pain + arm"
CASES = (
    Case("cox", "Cox, alliance time-varying, 100,000 intervals", "cox", TIMED, 0.5, 5),
    Case("cox_cluster", "the same with clusters of therapists", "cox", TIMED, 0.5, 5, "therapist"),
    Case("cox_continuous", "Cox at 20,000 distinct event times, 100,000 intervals", "cox",
         "Surv(begun, ended, dropped) ~ alliance + pain + arm", 0.5, 3),
    Case("frailty", "Cox with gamma frailty of 60 therapists, 12,000 intervals", "cox", TIMED, None, 3, None, "therapist"),
    Case("kaplan_meier", "Kaplan–Meier, 1,000,000 rows, all times distinct", "km", "Surv(time, dropped)", None, 3),
    Case("kaplan_meier_tied", "Kaplan–Meier, 1,000,000 rows, 30 sessions", "km", "Surv(session, dropped)", None, 3),
)  # fmt: skip


def intervals(rows: int, therapists: int) -> pd.DataFrame:
    """Sessions of patients who leave sooner where the alliance is low, cut at the number of rows."""
    rng = np.random.default_rng([rows, therapists])
    patients = rows // 3
    shape = (patients, 12)
    bond, effect = rng.normal(size=(patients, 1)), rng.normal(0, 0.4, therapists)
    therapist = rng.integers(therapists, size=patients)
    alliance, pain = bond + rng.normal(0, 0.6, shape), rng.normal(size=shape)
    hazard = 0.08 * np.exp(-0.5 * alliance + 0.2 * pain + effect[therapist][:, None])
    leaves = rng.random(shape) < 1 - np.exp(-hazard)
    last = np.where(leaves.any(axis=1), leaves.argmax(axis=1), 11)
    patient, session = np.nonzero(np.arange(12) <= last[:, None])
    moment = rng.uniform(0.001, 0.999, shape)
    frame = pd.DataFrame(
        {
            "patient": patient, "therapist": therapist[patient], "arm": patient % 2, "start": session, "stop": session + 1,
            "begun": session, "ended": np.where(leaves[patient, session], session + moment[patient, session], session + 1.0),
            "alliance": alliance[patient, session], "pain": pain[patient, session],
            "dropped": leaves[patient, session].astype(int),
        }
    )  # fmt: skip
    return frame.head(rows)


def times(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(rows)
    time = rng.exponential(10, rows)
    return pd.DataFrame({"time": time, "session": np.ceil(time).clip(max=30), "dropped": rng.integers(2, size=rows)})


def data_for(case: Case) -> pd.DataFrame:
    if case.kind == "km":
        return times(1_000_000)
    return intervals(12_000, 60) if case.frailty else intervals(100_000, 500)


def measured(case: Case, who: str, file: Path) -> dict[str, float]:
    """Seconds and the number compared, of one package in a process of its own."""
    task = json.dumps({"file": str(file)} | asdict(case))
    program = ["Rscript", str(HERE / "survival.R")] if who == "survival" else [sys.executable, __file__, "--worker"]
    done = subprocess.run([*program, task], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case.name}, {who}: {done.stderr.strip()[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def worker(text: str) -> None:
    """Fit one case and print seconds, the number compared, and the seconds of one sorting."""
    import time

    from alliance_stats.inference.survival_curves import kaplan_meier
    from alliance_stats.models.cox import CoxModel

    task = json.loads(text)
    data = pd.read_csv(task["file"])

    def fit() -> float:
        if task["kind"] == "km":
            return float(kaplan_meier(data, task["formula"])["survival"].sum())
        frailty = ("gamma", task["frailty"]) if task["frailty"] else None
        result = CoxModel(task["formula"], cluster=task["cluster"], frailty=frailty).fit(data)
        return float(result.glance()["log_likelihood"].iloc[0])

    column = task["formula"].split("(")[1].split(",")[0]
    value, taken, sorting = fit(), [], []
    for _ in range(task["repeats"]):
        begin = time.perf_counter()
        fit()
        between = time.perf_counter()
        data[[column, "dropped"]].sort_values(column)
        sorting.append(time.perf_counter() - between)
        taken.append(between - begin)
    print(json.dumps({"seconds": min(taken), "value": value, "sorting": min(sorting)}))


def line(case: Case, with_r: bool) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.csv"
        data_for(case).to_csv(file, index=False)
        ours = measured(case, "ours", file)
        theirs = measured(case, "survival", file) if with_r else None
    ratio = "" if theirs is None else f"{theirs['seconds'] / ours['seconds']:.3g}"
    verdict = "" if theirs is None or case.asked is None else "reached" if float(ratio) >= case.asked else "missed"
    sorts, sort_verdict = "", ""
    if case.kind == "km":
        sorts = f"{ours['seconds'] / ours['sorting']:.2g}"
        sort_verdict = "reached" if ours["seconds"] < 2 * ours["sorting"] else "missed"
    cells = [
        case.what, seconds(ours["seconds"]), "" if theirs is None else seconds(theirs["seconds"]), ratio,
        "" if case.asked is None else f"{case.asked:g}", verdict,
        "" if theirs is None else f"{abs(ours['value'] - theirs['value']) / abs(theirs['value']):.0e}", sorts,
        "2" if sorts else "", sort_verdict,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


COLUMNS = ("model and data", "ours, s", "survival, s", "times faster", "asked", "", "relative difference", "passes of sorting",
           "asked below", "")  # fmt: skip
HEAD = (f"| {' | '.join(COLUMNS)} |", "|---|---:|---:|---:|---:|---|---:|---:|---:|---|")


def main() -> None:
    with_r = has_r("survival")
    write_section("survival", HEAD, CASES, lambda case: [line(case, with_r)], [] if with_r else ["survival"], __doc__)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2])
    else:
        main()
