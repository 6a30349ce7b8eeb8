"""Long simulations of the synthetic three-arm trial: is the truth recovered, and what goes wrong where it cannot be?

    python validation/recovery_ferreira.py --trials 5000

recovery_ferreira.csv   bias and coverage of every coefficient whose truth is known
early_improvement.csv   how often an alliance without effect is "significant", by what the model adjusts for
ceilings.csv            how often alliance × arm is "significant" without one, where arms differ at the top of the rating
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from alliance_stats.models.linear import LinearModel
from alliance_stats.numerics.distributions import t_p_value
from alliance_stats.numerics.least_squares import least_squares
from alliance_stats.synthetic import simulate_ferreira
from alliance_stats.synthetic.ferreira_numbers import REVERSE

HERE = Path(__file__).parent
DRAW = ["analysis", "term", "value", "estimate", "std_error", "conf_low", "conf_high"]
NO_THERAPISTS: Mapping[str, Any] = {"alliance_icc": 0.0, "outcome_icc": 0.0}
REPEATED = ("psfs", "pain", "rmdq")
ADJUSTMENTS: Mapping[str, tuple[str, ...]] = {
    "unadjusted": (),
    "baseline": ("baseline",),
    "baseline and outcome at the rating": ("baseline", "session2"),
}
PRIMARY = {
    "psfs": "psfs_8w ~ alliance + arm + psfs_baseline",
    "gpe": "gpe_8w ~ alliance + arm",
    "pain": "pain_8w ~ alliance + arm + pain_baseline",
    "rmdq": "rmdq_8w ~ alliance + arm + rmdq_baseline",
}
AT_RATING = {f"{y}_at_rating": f"{y}_8w ~ alliance + arm + {y}_baseline + {y}_session2" for y in REPEATED}
BY_ARM = {f"{y}_by_arm": f"{y}_8w ~ alliance * arm + {y}_baseline" for y in REPEATED}
GPE_BY_ARM = {"gpe_by_arm": "gpe_8w ~ alliance * arm"}


@dataclass(frozen=True)
class Block:
    """Analyses of trials simulated in one way, with the standard errors that suit it."""

    name: str
    options: Mapping[str, Any]
    formulas: Mapping[str, str]
    vcov: str
    cluster: str | None = None


# Where the slopes differ by arm, a model with one slope has unequal residual variances: it needs robust standard errors.
BLOCKS = (
    Block(
        "no therapist effects, one slope", {**NO_THERAPISTS, "interaction": "none"},
        {**PRIMARY, **AT_RATING, **BY_ARM, **GPE_BY_ARM}, "classical",
    ),
    Block("no therapist effects, slopes of GPE by arm", NO_THERAPISTS, GPE_BY_ARM, "classical"),
    Block("no therapist effects, slopes of GPE by arm, pooled", NO_THERAPISTS, {"gpe": PRIMARY["gpe"]}, "HC3"),
    Block("therapist effects, slopes of GPE by arm", {}, PRIMARY, "CR2", "therapist"),
)  # fmt: skip
CEILINGS: Mapping[str, Mapping[str, float]] = {
    "equal": {"GE": 0.25, "MCE": 0.25, "SMT": 0.25},
    "rising": {"GE": 0.12, "MCE": 0.25, "SMT": 0.50},
    "one arm": {"GE": 0.12, "MCE": 0.12, "SMT": 0.50},
}


def recovery(trials: int, jobs: int, seed: int, blocks: Sequence[Block] = BLOCKS) -> pd.DataFrame:
    """Bias and coverage of every true coefficient in the models of the blocks."""
    frames = []
    for block in blocks:
        runs = _runs(partial(_estimates, block), trials, jobs, [seed, _number(block.name)])
        draws = pd.DataFrame([row for rows in runs for row in rows], columns=DRAW)
        frames.append(_summary(draws, block, trials, seed))
    return pd.concat(frames, ignore_index=True)


def _estimates(block: Block, seed: np.random.SeedSequence) -> list[tuple[Any, ...]]:
    trial = simulate_ferreira(rng=seed, integer=False, items=False, **block.options)
    rows = []
    for analysis, formula in block.formulas.items():
        fit = LinearModel(formula, vcov=block.vcov, cluster=block.cluster).fit(trial.data)
        found = fit.tidy().set_index("term")[["estimate", "std_error", "conf_low", "conf_high"]].T.to_dict("list")
        truth = trial.truth[(trial.truth["analysis"] == analysis) & trial.truth["term"].isin(found)]
        rows += [
            (analysis, term, value, *found[term]) for term, value in zip(truth["term"], truth["value"], strict=True)
        ]
    return rows


def _summary(draws: pd.DataFrame, block: Block, trials: int, seed: int) -> pd.DataFrame:
    draws = draws.assign(covered=draws["value"].between(draws["conf_low"], draws["conf_high"]))
    groups = draws.groupby(["analysis", "term"], sort=False)
    table = groups.agg(
        truth=("value", "mean"), mean_estimate=("estimate", "mean"), empirical_sd=("estimate", "std"),
        mean_std_error=("std_error", "mean"), coverage=("covered", "mean"), trials=("estimate", "count"),
    ).reset_index()  # fmt: skip
    if (table["trials"] != trials).any():
        raise RuntimeError(f"{block.name}: some trials gave no estimate")
    bias = table["mean_estimate"] - table["truth"]
    mc_se = table["empirical_sd"] / np.sqrt(trials)
    coverage_mc_se = np.sqrt(table["coverage"] * (1 - table["coverage"]) / trials)
    table = table.assign(bias=bias, mc_se=mc_se, bias_in_mc_se=bias / mc_se, coverage_mc_se=coverage_mc_se)
    table = table.assign(block=block.name, vcov=block.vcov, seed=seed)
    return table[
        ["block", "vcov", "analysis", "term", "truth", "mean_estimate", "bias", "mc_se", "bias_in_mc_se", "empirical_sd",
         "mean_std_error", "coverage", "coverage_mc_se", "trials", "seed"]
    ]  # fmt: skip


def early_improvement(trials: int, jobs: int, seed: int, levels: Sequence[str] = tuple(REVERSE)) -> pd.DataFrame:
    """Rejection of the true hypothesis that the alliance has no effect, by reverse path and adjustment.

    Whole numbers within a scale measure the outcome at the rating with some error, so that adjusting for it leaves a
    trace of confounding; continuous values do not.
    """
    rows = []
    for level, integer in product(levels, (False, True)):
        one = partial(_alliance_tests, level, integer)
        draws = np.array(_runs(one, trials, jobs, [seed, _number(level)]))
        row = {"early_improvement": level, "reverse_path": REVERSE[level], "whole_numbers": integer}
        for (j, outcome), (k, adjustment) in product(enumerate(REPEATED), enumerate(ADJUSTMENTS)):
            estimates, p = draws[:, j, k].T
            found = {"outcome": outcome, "adjustment": adjustment, "mean_estimate": estimates.mean()}
            rows.append(row | found | _rate(p, trials, seed))
    return pd.DataFrame(rows)


def _alliance_tests(level: str, integer: bool, seed: np.random.SeedSequence) -> list[list[tuple[float, float]]]:
    """Estimate and p of the alliance, by outcome and adjustment."""
    trial = simulate_ferreira(
        rng=seed, early_improvement=level, alliance_effect=dict.fromkeys(("gpe", *REPEATED), 0.0), interaction="none",
        integer=integer, items=False, **NO_THERAPISTS,
    )  # fmt: skip
    columns = {name: trial.data[name].to_numpy() for name in trial.data}
    return [
        [
            _test(columns, f"{y}_8w", ["alliance", *(f"{y}_{when}" for when in visits)])
            for visits in ADJUSTMENTS.values()
        ]
        for y in REPEATED
    ]


def _test(data: Mapping[str, np.ndarray], outcome: str, columns: list[str]) -> tuple[float, float]:
    X, y = _arrays(data, outcome, columns)
    fit = least_squares(X, y)
    df = len(y) - X.shape[1]
    se = np.sqrt(fit.bread[1, 1] * (fit.residuals @ fit.residuals) / df)
    return fit.coefficients[1], float(t_p_value(fit.coefficients[1] / se, df))


def ceilings(trials: int, jobs: int, seed: int) -> pd.DataFrame:
    """Rejection of the true hypothesis that the latent alliance acts alike in all arms, by shares at the maximum."""
    rows = []
    for slope in (0.15, 0.30, 0.45):
        for name, shares in CEILINGS.items():
            key = [seed, _number(f"{name} {slope}")]
            p = np.array(_runs(partial(_interaction_test, slope, shares), trials, jobs, key))
            row = {"shares": name} | {f"ceiling_{arm}": share for arm, share in shares.items()}
            rows.append(row | {"outcome": "psfs", "alliance_effect": slope} | _rate(p, trials, seed))
    return pd.DataFrame(rows)


def _interaction_test(slope: float, shares: Mapping[str, float], seed: np.random.SeedSequence) -> float:
    """p of the joint test of alliance × arm."""
    from scipy.stats import f

    trial = simulate_ferreira(
        rng=seed, alliance_effect={"psfs": slope}, interaction="none", ceiling=shares, acts_through="latent",
        items=False, **NO_THERAPISTS,
    )  # fmt: skip
    X, y = _arrays({name: trial.data[name].to_numpy() for name in trial.data}, "psfs_8w", ["alliance", "psfs_baseline"])
    full = least_squares(np.column_stack([X, X[:, 1] * X[:, -2], X[:, 1] * X[:, -1]]), y).residuals
    without = least_squares(X, y).residuals
    df = len(y) - X.shape[1] - 2
    statistic = (without @ without - full @ full) / 2 / (full @ full / df)
    return float(f.sf(statistic, 2, df))


def _arrays(data: Mapping[str, np.ndarray], outcome: str, columns: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Complete rows: intercept, columns and the two arms beside GE; the outcome."""
    arms = [(data["arm"] == arm).astype(float) for arm in ("MCE", "SMT")]
    X = np.column_stack([np.ones(len(data["arm"])), *(data[name] for name in columns), *arms])
    complete = ~np.isnan(X).any(axis=1) & ~np.isnan(data[outcome])
    return X[complete], data[outcome][complete]


def _rate(p: np.ndarray, trials: int, seed: int) -> dict[str, Any]:
    rate = float(np.mean(p < 0.05))
    mc_se = np.sqrt(rate * (1 - rate) / trials)
    return {"rejection_rate": rate, "mc_se": mc_se, "n": 182, "level": 0.05, "trials": trials, "seed": seed}


def _runs(one: Callable[[np.random.SeedSequence], Any], trials: int, jobs: int, key: list[int]) -> list[Any]:
    seeds = np.random.SeedSequence(key).spawn(trials)
    return list(Parallel(n_jobs=jobs, batch_size=25)(delayed(one)(seed) for seed in seeds))


def _number(name: str) -> int:
    """A whole number from a name, so that no block shares its draws with another."""
    return int.from_bytes(name.encode()[:32])


TABLES = {
    "recovery": (recovery, "recovery_ferreira.csv"),
    "early": (early_improvement, "early_improvement.csv"),
    "ceilings": (ceilings, "ceilings.csv"),
}


def main() -> None:
    """Write the tables beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2013)
    parser.add_argument("--tables", nargs="+", choices=sorted(TABLES), default=list(TABLES))
    asked = parser.parse_args()
    for name in asked.tables:
        make, file = TABLES[name]
        make(asked.trials, asked.jobs, asked.seed).to_csv(HERE / file, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
