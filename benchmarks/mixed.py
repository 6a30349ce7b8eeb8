"""How fast mixed models are fitted, as ratios against lme4, mixedlm and statsmodels in one run.

    python benchmarks/mixed.py                     everything; about a quarter of an hour
    python benchmarks/mixed.py --only full_5000    one case, or several

Every fit runs in a process of its own on the same csv file: one fit to warm up, then the fits that are timed, the fastest of
which counts; reading the file does not. Ours is the whole `.fit()` with Satterthwaite's degrees of freedom; lme4's is
`lmer(calc.derivs=FALSE)` without any; mixedlm's is `lmer` and `satterthwaite_df`. Peak memory is that of the process, with
its libraries. The criteria must agree, or the ratio says nothing. The table goes into reports/benchmarks.md, between the
lines that mark it; a peer that is not there is left out and said so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from table import has_r, seconds, write_section

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "validation" / "data"
FULL = "y ~ within + between + time + arm + (1 + time | patient) + (1 + within | therapist)"
SESSIONS, CASELOAD = 8, 25


def therapy(patients: int, *, irregular: bool = False) -> pd.DataFrame:
    """Eight sessions a patient, 25 patients a therapist; the times fixed, or different for everyone."""
    rng = np.random.default_rng([patients, irregular])
    patient = np.repeat(np.arange(patients), SESSIONS)
    therapist, rows = patient // CASELOAD, patients * SESSIONS
    therapists = int(therapist.max()) + 1
    time = np.tile(np.arange(float(SESSIONS)), patients) + irregular * rng.uniform(-0.4, 0.4, rows)
    alliance = rng.normal(size=patients)[patient] + rng.normal(size=rows)
    between = pd.Series(alliance).groupby(patient).transform("mean").to_numpy()
    within, arm = alliance - between, (np.arange(patients) % 2)[patient]
    own = rng.normal(0, (1.0, 0.1), (patients, 2))[patient]
    shared = rng.normal(0, (0.5, 0.2), (therapists, 2))[therapist]
    y = 5 - 0.3 * within - 0.5 * between - 0.1 * time - 0.4 * arm + own[:, 0] + own[:, 1] * time
    y += shared[:, 0] + shared[:, 1] * within + rng.normal(size=rows)
    return pd.DataFrame(
        {
            "y": y,
            "within": within,
            "between": between,
            "time": time,
            "arm": arm,
            "patient": patient,
            "therapist": therapist,
        }
    )


def two_sessions() -> pd.DataFrame:
    """117 patients, before and after, with 1,000 responses to be fitted."""
    rng = np.random.default_rng(117)
    patient = np.repeat(np.arange(117), 2)
    data = pd.DataFrame({"patient": patient, "time": np.tile([0.0, 1.0], 117), "arm": patient % 2})
    responses = (
        5 - data["time"].to_numpy()[:, None] + rng.normal(size=(117, 1000))[patient] + rng.normal(size=(234, 1000))
    )
    return pd.concat([data, pd.DataFrame(responses, columns=[f"y{j}" for j in range(1000)])], axis=1).assign(
        y=responses[:, 0]
    )


def classic(name: str) -> pd.DataFrame:
    path = DATA / f"mixed_{name}.csv"
    return pd.read_csv(path if path.exists() else f"{path}.gz")


@dataclass(frozen=True)
class Case:
    """One model on one data set: `bar` is the ratio to lmer that is asked for, `repeats` how often each fits."""

    name: str
    what: str
    formula: str
    groups: tuple[str, ...]
    bar: float | None
    repeats: int
    peers: tuple[str, ...] = ("lmer", "mixedlm")


THERAPY = ("patient", "therapist")
SLOPES = "y ~ within + between + time + arm + (1 + time | patient)"
CASES = (
    Case("full_500", "500 patients, 20 therapists, 4,000 rows", FULL, THERAPY, None, 5),
    Case("full_5000", "5,000 patients, 200 therapists, 40,000 rows", FULL, THERAPY, 20, 3),
    Case("full_50000", "50,000 patients, 2,000 therapists, 400,000 rows", FULL, THERAPY, 50, 1),
    Case("irregular_5000", "the same at irregular sessions, 5,000 patients", FULL, THERAPY, 10, 3),
    Case("irregular_50000", "the same at irregular sessions, 50,000 patients", FULL, THERAPY, 10, 1),
    Case("patients_500", "patients alone, slopes over time, 4,000 rows", SLOPES, THERAPY, None, 5,
         ("lmer", "mixedlm", "statsmodels")),
    Case("insteval", "InstEval: 2,972 students crossed with 1,128 lecturers", "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
         ("s", "d", "dept"), 3, 1),
    Case("sleepstudy", "sleepstudy, 180 rows", "Reaction ~ Days + (Days | Subject)", ("Subject",), None, 20),
    Case("machines", "Machines, 54 rows", "score ~ Machine + (Machine | Worker)", ("Worker",), None, 20),
    Case("pastes", "Pastes, 60 rows", "strength ~ 1 + (1 | batch/cask)", ("batch", "cask"), None, 20),
    Case("penicillin", "Penicillin, crossed, 144 rows", "diameter ~ 1 + (1 | plate) + (1 | sample)", ("plate", "sample"),
         None, 20),
    Case("refits", "1,000 refits of 117 patients, before and after", "y ~ time * arm + (1 | patient)", ("patient",), 100, 1,
         ("lmer",)),
)  # fmt: skip


def data_for(case: Case) -> pd.DataFrame:
    if case.name == "refits":
        return two_sessions()
    kind, _, size = case.name.partition("_")
    return therapy(int(size), irregular=kind == "irregular") if size else classic(case.name)


def measured(case: Case, who: str, file: Path) -> dict[str, float]:
    """Seconds, criterion and peak memory (MB) of one package, fitted in a process of its own."""
    task = json.dumps({"file": str(file), "formula": case.formula, "groups": case.groups, "repeats": case.repeats,
                       "refits": case.name == "refits"})  # fmt: skip
    program = (
        ["Rscript", str(HERE / "mixed_lmer.R")]
        if who == "lmer"
        else [sys.executable, str(HERE / "mixed_worker.py"), who]
    )
    done = subprocess.run([*program, task], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case.name}, {who}: {done.stderr.strip()[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(case: Case, absent: set[str]) -> pd.DataFrame:
    """One row a package."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.csv"
        data_for(case).to_csv(file, index=False)
        rows = {who: measured(case, who, file) for who in ("ours", *case.peers) if who not in absent}
    found = pd.DataFrame(rows).T
    found.insert(0, "package", found.index)
    return found.assign(case=case.name)


def absent_peers() -> set[str]:
    """Peers that this machine does not have."""
    absent = set()
    if not has_r("lme4"):
        absent.add("lmer")
    probe = [sys.executable, "-c", "import mixedlm"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        absent.add("mixedlm")
    return absent


def lines(case: Case, found: pd.DataFrame) -> list[str]:
    """Rows of the table: a line a peer."""
    ours, out = found.loc["ours"], []
    for who in [who for who in found.index if who != "ours"]:
        peer = found.loc[who]
        ratio, gap = peer["seconds"] / ours["seconds"], ours["criterion"] - peer["criterion"]
        asked = case.bar if who == "lmer" else 1.0 if who == "mixedlm" else None
        verdict = "" if asked is None else "reached" if ratio >= asked else "missed"
        bar = "" if asked is None else f"{asked:g}"
        cells = [
            case.what, who, seconds(ours["seconds"]), seconds(peer["seconds"]), f"{ratio:.3g}", bar, verdict,
            f"{gap:+.0e}", f"{ours['megabytes']:.0f}", f"{peer['megabytes']:.0f}",
        ]  # fmt: skip
        out.append(f"| {' | '.join(cells)} |")
    return out


COLUMNS = (
    "model and data", "peer", "ours, s", "peer, s", "times faster", "asked", "", "our criterion − the peer's", "our peak, MB",
    "peer's, MB",
)  # fmt: skip
HEAD = (f"| {' | '.join(COLUMNS)} |", "|---|---|---:|---:|---:|---:|---|---:|---:|---:|")


def main() -> None:
    absent = absent_peers()
    write_section("mixed", HEAD, CASES, lambda case: lines(case, measure(case, absent)), absent, __doc__)


if __name__ == "__main__":
    main()
