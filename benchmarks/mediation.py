"""How fast a bootstrapped mediation is, as a ratio against pingouin in one run.

    python benchmarks/mediation.py

X → M → Y with three covariates, 300 patients, 5,000 resamples. Ours is the whole `.fit()` (every effect, path and coefficient,
with percentile or BCa intervals), theirs `pingouin.mediation_analysis` (bias-corrected intervals); one run to warm up, then the
fastest of several. The indirect effects must agree, or the ratio says nothing. The table goes into reports/benchmarks.md,
between the lines that mark it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from table import replace_section, seconds

from alliance_stats.models.mediation import Mediation

HERE = Path(__file__).resolve().parent
DRAWS, ROWS, ASKED = 5000, 300, 20
COVARIATES = ["severity", "age", "duration"]
COLUMNS = ("intervals", "peer", "ours, s", "peer, s", "times faster", "asked", "", "our indirect effect − the peer's")
HEAD = (f"| {' | '.join(COLUMNS)} |", "|---|---|---:|---:|---:|---:|---|---:|")


def patients() -> pd.DataFrame:
    """Treatment, alliance and pain with three covariates."""
    rng = np.random.default_rng(ROWS)
    data = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=COVARIATES)
    data["arm"] = np.arange(ROWS) % 2
    data["alliance"] = 0.4 * data["arm"] - 0.2 * data["severity"] + rng.normal(size=ROWS)
    data["pain"] = -0.4 * data["alliance"] - 0.1 * data["arm"] + 0.4 * data["severity"] + rng.normal(size=ROWS)
    return data


def ours(data: pd.DataFrame, interval: str) -> float:
    more = " + ".join(COVARIATES)
    model = Mediation(
        [f"alliance ~ arm + {more}"], f"pain ~ arm + alliance + {more}", "arm", interval=interval, draws=DRAWS
    )
    return float(model.fit(data).tidy().set_index("term").loc["indirect", "estimate"])


def theirs(data: pd.DataFrame) -> float:
    from pingouin import mediation_analysis

    found = mediation_analysis(data, x="arm", m="alliance", y="pain", covar=COVARIATES, n_boot=DRAWS, seed=1)
    return float(found.set_index("path").loc["Indirect", "coef"])


def fastest(run: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Seconds of the fastest run after one to warm up, and the number found."""
    value, times = run(), []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times), value


def main() -> None:
    data, rows = patients(), list(HEAD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pingouin's own
        peer, theirs_found = fastest(lambda: theirs(data), 2)
    for interval in ("percentile", "bca"):
        mine, found = fastest(lambda interval=interval: ours(data, interval), 5)  # type: ignore[misc]
        ratio = peer / mine
        verdict = "reached" if ratio >= ASKED else "missed"
        cells = [interval, "pingouin", seconds(mine), seconds(peer), f"{ratio:.3g}", str(ASKED), verdict,
                 f"{found - theirs_found:+.0e}"]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    replace_section(HERE.parent / "reports" / "benchmarks.md", "mediation", rows)


if __name__ == "__main__":
    main()
