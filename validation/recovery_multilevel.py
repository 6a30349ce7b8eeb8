"""Multilevel mediation: bias and coverage of indirect effects, and what is lost by leaving a part of the model out.

    python validation/recovery_multilevel.py --trials 2000

recovery_multilevel.csv   a row a design, analysis and interval

1-1-1: patients with 8 sessions; a_j and b_j vary and correlate (σ_ab .06), M = d_M + a_j X + e, Y = d_Y + b_j M + c′_j X + e;
the indirect effect of one unit of X within patients is .5 × .4 + .06 = .26. Analyses: all slopes random; no random slopes;
all slopes random with a standard error that takes σ_ab as known ("delta, cov_ab known"). 2-1-1: 60 therapists with 4 to 14
patients, half of them trained, indirect effect between therapists .5 × −.4 = −.20, slope within −.25; latent, manifest and
undivided mediator.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import ConvergenceError
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.multilevel_mediation import product_variance
from alliance_stats.numerics.random import stream
from alliance_stats.result import Result

HERE = Path(__file__).parent
Z = 1.959963984540054
TRUTH = {"1-1-1": 0.26, "2-1-1": -0.20}
SD, RHO = np.array([0.4, 0.3, 0.2]), 0.5


def sessions(rng: np.random.Generator, patients: int) -> pd.DataFrame:
    """Eight sessions a patient; σ_ab = .4 × .3 × .5 = .06."""
    patient = np.repeat(np.arange(patients), 8)
    n = len(patient)
    u = SD * rng.multivariate_normal(np.zeros(3), [[1, RHO, 0], [RHO, 1, 0], [0, 0, 1]], patients)
    d = 0.6 * rng.multivariate_normal(np.zeros(2), [[1, 0.3], [0.3, 1]], patients)
    x = rng.normal(size=n) + 0.5 * rng.normal(size=patients)[patient]
    m = d[patient, 0] + (0.5 + u[patient, 0]) * x + 0.8 * rng.normal(size=n)
    y = d[patient, 1] + (0.4 + u[patient, 1]) * m + (0.2 + u[patient, 2]) * x + rng.normal(size=n)
    return pd.DataFrame({"patient": patient, "practice": x, "alliance": m, "relief": y})


def trial(rng: np.random.Generator, therapists: int) -> pd.DataFrame:
    """Patients of therapists, every other one trained."""
    therapist = np.repeat(np.arange(therapists), rng.integers(4, 15, size=therapists))
    n, arm = len(therapist), therapist % 2
    level = 0.5 * arm + 0.5 * rng.normal(size=therapists)[therapist]
    alliance = level + 0.8 * rng.normal(size=n)
    pain = -0.4 * level - 0.25 * (alliance - level) - 0.2 * arm + 0.5 * rng.normal(size=therapists)[therapist]
    return pd.DataFrame({"therapist": therapist, "arm": arm, "alliance": alliance, "relief": pain + rng.normal(size=n)})


def judged(result: Result, term: str) -> tuple[float, float, float, float]:
    """Estimate, standard error and limits of a term."""
    row = result.tidy().set_index("term").loc[term]
    return tuple(float(row[name]) for name in ("estimate", "std_error", "conf_low", "conf_high"))  # type: ignore[return-value]


def without_covariance(result: Result) -> tuple[float, float, float, float]:
    """The interval when the covariance of the slopes is taken as known."""
    rows, V = result.tidy().set_index("term"), result.covariance
    terms = ["alliance~practice_within", "relief~alliance_within"]
    a, b = rows.loc[["a_within", "b_within"], "estimate"]
    (va, cab), (_, vb) = V.loc[terms, terms].to_numpy()
    estimate, se = rows.loc["indirect_within", "estimate"], float(np.sqrt(product_variance(a, b, va, vb, cab)))
    return float(estimate), se, float(estimate) - Z * se, float(estimate) + Z * se


def repeated(rng: np.random.Generator, patients: int = 100) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """The analyses of one 1-1-1 data set."""
    data = sessions(rng, patients)
    full = MultilevelMediation("practice", "alliance", "relief", draws=2000)
    exact = MultilevelMediation("practice", "alliance", "relief", interval="delta").fit(data)
    yield "slopes vary, monte-carlo", judged(full.fit(data, rng=int(rng.integers(2**31))), "indirect_within")
    yield "slopes vary, delta", judged(exact, "indirect_within")
    yield "slopes vary, delta, cov_ab known", without_covariance(exact)
    fixed = MultilevelMediation("practice", "alliance", "relief", interval="delta", random=())
    yield "slopes the same, delta", judged(fixed.fit(data), "indirect_within")


def upper(rng: np.random.Generator, therapists: int = 60) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """The analyses of one 2-1-1 data set."""
    data = trial(rng, therapists)
    seed = int(rng.integers(2**31))
    latent = {"means": "latent", "interval": "monte-carlo", "draws": 2000}
    for name, options in (
        ("latent, monte-carlo", latent), ("latent, delta", {"means": "latent"}), ("manifest, delta", {}),
        ("undivided, delta", {"center": False}),
    ):  # fmt: skip
        given: dict[str, Any] = {"group": "therapist", "design": "2-1-1", "interval": "delta"} | options
        yield name, judged(MultilevelMediation("arm", "alliance", "relief", **given).fit(data, rng=seed), "indirect")


ANALYSES = {"1-1-1": repeated, "2-1-1": upper}


def simulated(trials: int, seed: int = 1, designs: Sequence[str] = tuple(ANALYSES)) -> pd.DataFrame:
    """Every analysis of every trial, one row each; trials without an estimate are counted by their absence."""
    rows = []
    for design in designs:
        for i in range(trials):
            try:
                made = list(ANALYSES[design](stream(seed, "recovery", design, i)))
            except ConvergenceError:
                continue
            rows += [(design, analysis, *numbers) for analysis, numbers in made]
    return pd.DataFrame(rows, columns=["design", "analysis", "estimate", "std_error", "low", "high"])


def summary(made: pd.DataFrame, trials: int) -> pd.DataFrame:
    """Mean, bias with its Monte Carlo error, standard deviation, mean standard error and coverage."""
    rows = []
    for (design, analysis), part in made.groupby(["design", "analysis"], sort=False):
        truth, n = TRUTH[str(design)], len(part)
        inside = ((part["low"] <= truth) & (truth <= part["high"])).mean()
        rows.append(
            {
                "design": design, "analysis": analysis, "trials": n, "failed": trials - n, "truth": truth,
                "bias": part["estimate"].mean() - truth, "bias_mcse": part["estimate"].std() / np.sqrt(n),
                "sd": part["estimate"].std(), "mean_std_error": part["std_error"].mean(), "coverage": inside,
                "coverage_mcse": np.sqrt(inside * (1 - inside) / n),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    asked = parser.parse_args()
    summary(simulated(asked.trials), asked.trials).round(4).to_csv(HERE / "recovery_multilevel.csv", index=False)
