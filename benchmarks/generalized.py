"""How fast generalized mixed models are fitted, as ratios against lme4, glmmTMB, geepack and statsmodels in one run.

    python benchmarks/generalized.py                    everything; about five minutes
    python benchmarks/generalized.py --only sessions    one case, or several

Every fit runs in a process of its own on the same csv file, the fastest of the repeats counting; reading the file does not.
Ours is the whole `.fit()` with standard errors from the Hessian in coefficients and variances. glmer is timed with its
derivatives, from which its standard errors come, and without them. Deviances must agree, or coefficients where deviances are
not on one scale (glmer with several nodes, estimating equations), or the ratio says nothing. The table goes into
reports/benchmarks.md, between the lines that mark it; a peer that is not there is left out and said so.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from table import has_r, seconds, write_section

HERE = Path(__file__).resolve().parent
PATIENTS, SESSIONS, CASELOAD = 5000, 8, 25
X = "within + between + time + arm"


def sessions(patients: int = PATIENTS) -> pd.DataFrame:
    """Eight sessions a patient, attended or not, 25 patients a therapist; and how many of the eight (overdispersed)."""
    rng = np.random.default_rng([patients, 4])
    patient = np.repeat(np.arange(patients), SESSIONS)
    therapist = patient // CASELOAD
    alliance = rng.normal(size=patients)[patient] + rng.normal(size=len(patient))
    between = pd.Series(alliance).groupby(patient).transform("mean").to_numpy()
    frame = pd.DataFrame({"patient": patient, "therapist": therapist, "within": alliance - between, "between": between})
    frame = frame.assign(time=np.tile(np.arange(float(SESSIONS)), patients), arm=(np.arange(patients) % 2)[patient])
    eta = 0.8 + 0.3 * frame["within"] + 0.5 * frame["between"] - 0.1 * frame["time"] + 0.3 * frame["arm"]
    eta += rng.normal(size=patients)[patient] + rng.normal(0, 0.5, int(therapist.max()) + 1)[therapist]
    return frame.assign(attended=rng.binomial(1, 1 / (1 + np.exp(-eta))))


def completed(patients: int = PATIENTS) -> pd.DataFrame:
    """One row a patient: sessions completed of the 8 to 16 assigned, beta-binomial, 25 patients a therapist."""
    rng = np.random.default_rng([patients, 5])
    therapist = np.arange(patients) // CASELOAD
    frame = pd.DataFrame(
        {"therapist": therapist, "arm": np.arange(patients) % 2, "alliance": rng.normal(size=patients)}
    )
    effect = rng.normal(0, 0.45, int(therapist.max()) + 1)[therapist]
    share = 1 / (1 + np.exp(-0.2 - 0.45 * frame["alliance"] - 0.25 * frame["arm"] - effect))
    assigned = rng.choice([8, 10, 12, 16], patients)
    return frame.assign(assigned=assigned, completed=rng.binomial(assigned, rng.beta(6 * share, 6 * (1 - share))))


@dataclass(frozen=True)
class Case:
    """One model on one data set; ``bar`` is the ratio to glmer that is asked for, ``slow`` the repeats of the peers."""

    name: str
    what: str
    make: Callable[[], pd.DataFrame]
    outcome: str
    right: str
    groups: tuple[str, ...]
    peers: tuple[str, ...]
    trials: str | None = None
    family: str = "binomial"
    quadrature: int = 1
    bar: float | None = None
    slow: int = 1
    gee: bool = False

    @property
    def formula(self) -> str:
        """In this package's notation."""
        left = self.outcome if self.trials is None else f"{self.outcome} | trials({self.trials})"
        return f"{left} ~ {self.right}"


GLMER = ("glmer", "glmer, no derivatives")
CASES = (
    Case("sessions", "5,000 patients × 8 sessions, patients and therapists, Laplace", sessions, "attended",
         f"{X} + (1 | patient) + (1 | therapist)", ("patient", "therapist"), (*GLMER, "glmmTMB"), bar=5),
    Case("quadrature", "the same, patients alone, 9 nodes", sessions, "attended", f"{X} + (1 | patient)", ("patient",), GLMER,
         quadrature=9),
    Case("completed", "5,000 patients, completed of assigned, binomial", completed, "completed",
         "alliance + arm + (1 | therapist)", ("therapist",), (*GLMER, "glmmTMB"), trials="assigned", slow=3),
    Case("betabinomial", "the same, beta-binomial", completed, "completed", "alliance + arm + (1 | therapist)",
         ("therapist",), ("glmmTMB",), trials="assigned", family="betabinomial", slow=3),
    Case("gee", "5,000 patients × 8 sessions, exchangeable in patients, GEE", sessions, "attended", X, ("patient",),
         ("geepack", "statsmodels"), gee=True, slow=3),
)  # fmt: skip


def ours(task: dict[str, Any], data: pd.DataFrame) -> Callable[[], Any]:
    import alliance_stats as al

    if task["gee"]:
        return lambda: al.GEE(task["formula"], cluster=task["groups"][0]).fit(data)
    model = al.GeneralizedMixedModel(task["formula"], task["family"], quadrature=task["quadrature"])
    return lambda: model.fit(data)


def statsmodels(task: dict[str, Any], data: pd.DataFrame) -> Callable[[], Any]:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    structure, family = sm.cov_struct.Exchangeable, sm.families.Binomial()
    return lambda: smf.gee(task["formula"], task["groups"][0], data, cov_struct=structure(), family=family).fit()


def work(who: str, task: dict[str, Any]) -> dict[str, Any]:
    """Times one Python package in this process."""
    data = pd.read_csv(task["file"])
    fit = {"ours": ours, "statsmodels": statsmodels}[who](task, data)
    found, times = fit(), []
    for _ in range(task["repeats"]):
        start = time.perf_counter()
        found = fit()
        times.append(time.perf_counter() - start)
    if who == "ours":
        fixed = found.tidy().query("component == 'fixed'")["estimate"].tolist()
        deviance = None if task["gee"] else float(found.glance()["deviance"].iloc[0])
    else:
        fixed, deviance = found.params.tolist(), None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": min(times), "deviance": deviance, "coefficients": fixed, "megabytes": peak}


def measured(case: Case, who: str, file: Path) -> dict[str, Any]:
    """Seconds, deviance, coefficients and peak memory (MB) of one package, fitted in a process of its own."""
    task = {"file": str(file), "formula": case.formula, "outcome": case.outcome, "trials": case.trials, "right": case.right,
            "groups": case.groups, "family": case.family, "quadrature": case.quadrature, "gee": case.gee,
            "repeats": 5 if who == "ours" else case.slow}  # fmt: skip
    here = who in ("ours", "statsmodels")
    program = (
        [sys.executable, str(HERE / "generalized.py"), "--worker"] if here else ["Rscript", str(HERE / "generalized.R")]
    )
    done = subprocess.run([*program, who, json.dumps(task)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case.name}, {who}: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(case: Case, absent: set[str]) -> dict[str, dict[str, Any]]:
    """What each package says."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.csv"
        case.make().to_csv(file, index=False)
        return {who: measured(case, who, file) for who in ("ours", *case.peers) if who not in absent}


def absent_peers() -> set[str]:
    """Peers that this machine does not have."""
    absent = set()
    for library, names in (("lme4", GLMER), ("glmmTMB", ("glmmTMB",)), ("geepack", ("geepack",))):
        if not has_r(library):
            absent.update(names)
    return absent


def lines(case: Case, found: dict[str, dict[str, Any]]) -> list[str]:
    """Rows of the table: a line a peer."""
    own, out = found["ours"], []
    for who in [who for who in found if who != "ours"]:
        peer = found[who]
        ratio = peer["seconds"] / own["seconds"]
        asked = case.bar if who in GLMER else None
        verdict = "" if asked is None else "reached" if ratio >= asked else "missed"
        comparable = own["deviance"] is not None and peer["deviance"] is not None and case.quadrature == 1
        gap = f"{own['deviance'] - peer['deviance']:+.0e}" if comparable else ""
        apart = np.abs(np.subtract(own["coefficients"], peer["coefficients"])).max()
        cells = [
            case.what, who, seconds(own["seconds"]), seconds(peer["seconds"]), f"{ratio:.3g}",
            "" if asked is None else f"{asked:g}", verdict, gap, f"{apart:.0e}", f"{own['megabytes']:.0f}",
            f"{peer['megabytes']:.0f}",
        ]  # fmt: skip
        out.append(f"| {' | '.join(cells)} |")
    return out


COLUMNS = (
    "model and data", "peer", "ours, s", "peer, s", "times faster", "asked", "", "our deviance − the peer's",
    "coefficients apart, largest", "our peak, MB", "peer's, MB",
)  # fmt: skip
HEAD = (f"| {' | '.join(COLUMNS)} |", "|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|")


def main() -> None:
    absent = absent_peers()
    write_section("generalized", HEAD, CASES, lambda case: lines(case, measure(case, absent)), absent, __doc__)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        warnings.simplefilter("ignore")  # a peer's warnings are none of the table's
        print(json.dumps(work(sys.argv[2], json.loads(sys.argv[3]))))
    else:
        main()
