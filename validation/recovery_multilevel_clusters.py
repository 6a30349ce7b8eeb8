"""Multilevel mediation in 20 to 200 clusters of 5 to 10 rows: bias and coverage on both levels, beside three mistakes.

    python validation/recovery_multilevel_clusters.py --trials 2000

recovery_multilevel_clusters.csv   a row a number of clusters, analysis and effect

Sessions of patients (1-1-1). The exposure has a patient's level x̄_j and deviations that sum to zero; M = d_M + .5 x̄ +
a_j (x − x̄) + e, Y = d_Y − .4 M̄ + b_j (M − M̄) + .1 x̄ + .2 (x − x̄) + e, with E a_j = .5, E b_j = .4, σ_ab = .06. Within
patients the indirect effect is .5 × .4 + .06 = .26 and the total one .46; between them .5 × −.4 = −.20 and −.10.

- right: levels apart, slopes of a and b random; Monte Carlo limits from the covariance of all parameters, and delta limits;
- right, small: the same Monte Carlo limits with ``small=True``, from t with as many degrees of freedom as clusters less three;
- variances as known: the same fit, Monte Carlo draws of the coefficients alone, so that σ_ab stands as estimated;
- slopes omitted: levels apart, paths the same for all patients;
- conflated: exposure and mediator in one piece, slopes random; its one effect judged against the truth of either level.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from alliance_stats.errors import ConvergenceError
from alliance_stats.models.multilevel_fit import Solved, joint_covariance, parameters, solve
from alliance_stats.models.multilevel_intervals import Inference, delta, monte_carlo
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.multilevel_options import few_df
from alliance_stats.models.multilevel_paths import Quantity, quantities
from alliance_stats.models.multilevel_rows import build_stack, read_parts
from alliance_stats.numerics.random import stream

HERE = Path(__file__).parent
CLUSTERS = (20, 50, 100, 200)
TRUTH = {"indirect_within": 0.26, "total_within": 0.46, "indirect_between": -0.2, "total_between": -0.1}
CONFLATED = {"indirect": ("indirect_within", "indirect_between"), "total": ("total_within", "total_between")}
SD, RHO, DRAWS = np.array([0.4, 0.3]), 0.5, 1000
Row = tuple[str, str, float, float, float, float]


def sessions(rng: np.random.Generator, patients: int) -> pd.DataFrame:
    """Five to ten sessions a patient."""
    sizes = rng.integers(5, 11, size=patients)
    p = np.repeat(np.arange(patients), sizes)
    n = len(p)

    def mean(v: np.ndarray) -> np.ndarray:
        return (np.bincount(p, v) / sizes)[p]

    u = SD * rng.multivariate_normal(np.zeros(2), [[1, RHO], [RHO, 1]], patients)
    level, inner = 0.8 * rng.normal(size=patients)[p], rng.normal(size=n)
    inner = inner - mean(inner)
    m = 0.6 * rng.normal(size=patients)[p] + 0.5 * level + (0.5 + u[p, 0]) * inner + 0.8 * rng.normal(size=n)
    above = 0.6 * rng.normal(size=patients)[p] - 0.4 * mean(m) + 0.1 * level
    y = above + (0.4 + u[p, 1]) * (m - mean(m)) + 0.2 * inner + rng.normal(size=n)
    return pd.DataFrame({"patient": p, "practice": level + inner, "alliance": m, "relief": y})


def solved(data: pd.DataFrame, **options: object) -> tuple[Solved, tuple[Quantity, ...]]:
    """A fit without its table: the optimum, and the derived numbers wanted of it."""
    model = MultilevelMediation("practice", "alliance", "relief", **({"random": ("a", "b")} | options))  # type: ignore[arg-type]
    stack = build_stack(model, read_parts(model, data)[0], data)
    wanted = tuple(q for q in quantities(model, stack, (("", 0.0),)) if q.component == "effect")
    return solve(stack, ("alliance", "relief"), reml=True), wanted


def rows_of(name: str, made: Inference) -> Iterator[Row]:
    """Effects with the names of the truth that they are held against."""
    for row in made.rows.itertuples():
        for effect in CONFLATED.get(str(row.term), (str(row.term),)):
            yield name, effect, row.estimate, row.std_error, row.conf_low, row.conf_high


def known_variances(found: Solved) -> np.ndarray:
    """The covariance of all parameters with that of the variances left out."""
    p = len(found.at.beta)
    V = np.zeros((len(parameters(found)),) * 2)
    V[:p, :p] = found.at.inverse * found.at.sigma2
    return V


def analyses(rng: np.random.Generator, patients: int) -> Iterator[Row]:
    """All analyses of one data set."""
    data, seed = sessions(rng, patients), int(rng.integers(2**31))
    found, wanted = solved(data)
    phi, (V, _) = parameters(found), joint_covariance(found)
    yield from rows_of("right, monte-carlo", monte_carlo(wanted, phi, V, 0.95, DRAWS, seed))
    yield from rows_of("right, delta", delta(wanted, phi, V, 0.95, second=True))
    few = monte_carlo(wanted, phi, V, 0.95, DRAWS, seed, few_df(patients))
    yield from rows_of("right, small, monte-carlo", few)
    held = monte_carlo(wanted, phi, known_variances(found), 0.95, DRAWS, seed)
    yield from rows_of("variances as known, monte-carlo", held)
    for name, options in (
        ("slopes omitted, monte-carlo", {"random": ()}),
        ("conflated, monte-carlo", {"center": False}),
    ):
        found, wanted = solved(data, **options)
        made = monte_carlo(wanted, parameters(found), joint_covariance(found)[0], 0.95, DRAWS, seed)
        yield from rows_of(name, made)


def simulated(trials: int, seed: int = 1, clusters: Sequence[int] = CLUSTERS) -> pd.DataFrame:
    """Every effect of every analysis and trial; trials without an optimum are counted by their absence."""
    rows = []
    for patients in clusters:
        for i in range(trials):
            try:
                made = list(analyses(stream(seed, "recovery", "clusters", patients, i), patients))
            except ConvergenceError:
                continue
            rows += [(patients, *numbers) for numbers in made]
    return pd.DataFrame(rows, columns=["clusters", "analysis", "effect", "estimate", "std_error", "low", "high"])


def summary(made: pd.DataFrame, trials: int) -> pd.DataFrame:
    """Bias, standard deviation and coverage, each with its Monte Carlo error, and the mean standard error."""
    rows = []
    for (clusters, analysis, effect), part in made.groupby(["clusters", "analysis", "effect"], sort=False):
        truth, n, sd = TRUTH[str(effect)], len(part), part["estimate"].std()
        inside = ((part["low"] <= truth) & (truth <= part["high"])).mean()
        rows.append(
            {
                "clusters": clusters, "analysis": analysis, "effect": effect, "trials": n, "failed": trials - n,
                "truth": truth, "bias": part["estimate"].mean() - truth, "bias_mcse": sd / np.sqrt(n), "sd": sd,
                "sd_mcse": sd / np.sqrt(2 * (n - 1)), "mean_std_error": part["std_error"].mean(), "coverage": inside,
                "coverage_mcse": np.sqrt(inside * (1 - inside) / n),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    asked = parser.parse_args()
    found = summary(simulated(asked.trials), asked.trials).round(4)
    found.to_csv(HERE / "recovery_multilevel_clusters.csv", index=False)
