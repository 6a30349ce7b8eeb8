"""How fast a bootstrapped mediation is, as ratios against pingouin, statsmodels, lavaan and nlme in one run.

    python benchmarks/mediation.py

X → M → Y with three covariates, 300 patients, 5,000 resamples. Ours is the whole `.fit()` (every effect, path and coefficient,
with percentile or BCa intervals). The fastest of several runs counts, after one to warm up. pingouin makes all 5,000
resamples and is timed in turn with ours; the slower peers make the number named and are scaled to 5,000 by the time of one
resample. 1-1-1 mediation: 100 patients with 8 sessions, 1,000 bootstrap refits of whole patients in one call, against 1,000
times one `lme()` of the stacked model. What is estimated must agree, or the ratio says nothing. The table goes into
reports/benchmarks.md, between the lines that mark it; a peer that is not there is left out and said so.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from table import REPORT, has_r, replace_section, seconds

from alliance_stats.models.mediation import Mediation
from alliance_stats.models.multilevel_mediation import MultilevelMediation

HERE = Path(__file__).resolve().parent
DRAWS, ROWS, ASKED = 5000, 300, 20
STATSMODELS, LAVAAN = 100, 200  # resamples that are timed
REFITS, PATIENTS, SESSIONS, ASKED_REFITS = 1000, 100, 8, 50
R_MEDIATION = 0.011  # seconds a simulation of R's mediation, as quoted for this size; not measured here
COVARIATES = ["severity", "age", "duration"]
COLUMNS = ("model and interval", "peer", "ours, s", "peer, s", "times faster", "asked", "", "our estimate − the peer's")
HEAD = (f"| {' | '.join(COLUMNS)} |", "|---|---|---:|---:|---:|---:|---|---:|")
Timed = tuple[float, float]


def patients() -> pd.DataFrame:
    """Treatment, alliance and pain with three covariates."""
    rng = np.random.default_rng(ROWS)
    data = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=COVARIATES)
    data["arm"] = np.arange(ROWS) % 2
    data["alliance"] = 0.4 * data["arm"] - 0.2 * data["severity"] + rng.normal(size=ROWS)
    data["pain"] = -0.4 * data["alliance"] - 0.1 * data["arm"] + 0.4 * data["severity"] + rng.normal(size=ROWS)
    return data


def sessions() -> pd.DataFrame:
    """Practice, alliance and relief of patients whose paths differ."""
    rng = np.random.default_rng(PATIENTS)
    patient = np.repeat(np.arange(PATIENTS), SESSIONS)
    own = rng.normal((0.5, 0.4, 0.2, 0.0, 0.0), (0.4, 0.4, 0.3, 0.6, 0.6), (PATIENTS, 5))[patient].T
    data = pd.DataFrame({"patient": patient, "practice": rng.normal(size=len(patient))})
    data["alliance"] = own[3] + own[0] * data["practice"] + rng.normal(size=len(patient))
    data["relief"] = own[4] + own[1] * data["alliance"] + own[2] * data["practice"] + rng.normal(size=len(patient))
    return data


def ours(data: pd.DataFrame, interval: str) -> float:
    more = " + ".join(COVARIATES)
    model = Mediation(
        [f"alliance ~ arm + {more}"], f"pain ~ arm + alliance + {more}", "arm", interval=interval, draws=DRAWS
    )
    return float(model.fit(data).tidy().set_index("term").loc["indirect", "estimate"])


def our_refits(data: pd.DataFrame) -> float:
    model = MultilevelMediation("practice", "alliance", "relief", center=False, interval="bootstrap", draws=REFITS)
    return float(model.fit(data, progress=False).glance()["log_likelihood"].iloc[0])


def pingouin(data: pd.DataFrame) -> float:
    from pingouin import mediation_analysis

    found = mediation_analysis(data, x="arm", m="alliance", y="pain", covar=COVARIATES, n_boot=DRAWS, seed=1)
    return float(found.set_index("path").loc["Indirect", "coef"])


def statsmodels(data: pd.DataFrame) -> float:
    from statsmodels.api import OLS
    from statsmodels.stats.mediation import Mediation as Peer

    more = " + ".join(COVARIATES)
    outcome = OLS.from_formula(f"pain ~ arm + alliance + {more}", data)
    mediator = OLS.from_formula(f"alliance ~ arm + {more}", data)
    np.random.seed(1)  # noqa: NPY002 - it draws from the global state
    Peer(outcome, mediator, "arm", "alliance").fit(n_rep=STATSMODELS, method="bootstrap")
    return float(mediator.fit().params["arm"] * outcome.fit().params["alliance"])


def once(run: Callable[[], float]) -> Timed:
    start = time.perf_counter()
    value = run()
    return time.perf_counter() - start, value


def in_turn(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, Timed]:
    """The fastest run of each after one to warm up; three of each in turn, so that other work disturbs all alike."""
    warm = {name: run() for name, run in runs.items()}
    times = [{name: min(once(run)[0] for _ in range(3)) for name, run in runs.items()} for _ in range(rounds)]
    return {name: (min(each[name] for each in times), value) for name, value in warm.items()}


def in_r(task: str, data: pd.DataFrame, resamples: int) -> Timed | None:
    """Seconds of one resample (lavaan) or one fit (lme), and what it found; None where R or the package is missing."""
    if not has_r({"lavaan": "lavaan", "lme": "nlme"}[task]):
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.csv"
        data.to_csv(file, index=False)
        program = ["Rscript", str(HERE / "mediation.R"), task, str(file), str(resamples)]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{task}: {done.stderr.strip()[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return float(found["seconds"]), float(found["value"])


def line(what: str, peer: str, mine: Timed, theirs: Timed, asked: int | None) -> str:
    ratio = theirs[0] / mine[0]
    verdict = "" if asked is None else "reached" if ratio >= asked else "missed"
    gap = "" if np.isnan(theirs[1]) else f"{mine[1] - theirs[1]:+.0e}"
    cells = [what, peer, seconds(mine[0]), seconds(theirs[0]), f"{ratio:.3g}", str(asked or ""), verdict, gap]
    return f"| {' | '.join(cells)} |"


def resampling() -> tuple[list[str], list[str]]:
    """Lines of the table for one row a patient, and peers that are absent."""
    data, rows, absent = patients(), [], []
    runs: dict[str, Callable[[], float]] = {
        "percentile": lambda: ours(data, "percentile"),
        "bca": lambda: ours(data, "bca"),
        "pingouin": lambda: pingouin(data),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pingouin's own
        found = in_turn(runs, 8)
        slow = in_turn({"statsmodels": lambda: statsmodels(data)}, 1)["statsmodels"]
    for interval in ("percentile", "bca"):
        rows.append(line(f"5,000 resamples, {interval}", "pingouin", found[interval], found["pingouin"], ASKED))
    mine = found["percentile"]
    others = {f"statsmodels ({STATSMODELS} resamples, scaled)": (slow[0] * DRAWS / STATSMODELS, slow[1])}
    lavaan = in_r("lavaan", data, LAVAAN)
    if lavaan is None:
        absent.append("lavaan")
    else:
        others[f"lavaan ({LAVAAN} resamples, scaled)"] = (lavaan[0] * DRAWS, lavaan[1])
    others["R's mediation (11 ms a simulation: quoted, not measured)"] = (R_MEDIATION * DRAWS, np.nan)
    return rows + [line("5,000 resamples, percentile", peer, mine, each, None) for peer, each in others.items()], absent


def refits() -> tuple[list[str], list[str]]:
    """Lines of the table for sessions within patients, and peers that are absent."""
    data = sessions()
    peer = in_r("lme", data, REFITS)
    if peer is None:
        return [], ["nlme"]
    mine = in_turn({"ours": lambda: our_refits(data)}, 1)["ours"]
    theirs = peer[0] * REFITS, peer[1]
    return [
        line("1-1-1, 1,000 bootstrap refits of 100 patients", "nlme (one lme(), scaled)", mine, theirs, ASKED_REFITS)
    ], []


def main() -> None:
    rows, absent = list(HEAD), []
    for measure in (resampling, refits):
        new, missing = measure()
        rows, absent = rows + new, absent + missing
        print(*new, sep="\n", flush=True)
    if absent:
        rows += ["", f"Not on this machine: {', '.join(sorted(absent))}."]
    replace_section(REPORT, "mediation", rows)


if __name__ == "__main__":
    main()
