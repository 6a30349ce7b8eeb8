"""Sessions completed of those assigned by patients in 10, 25 and 60 therapists: coverage and type I error, method by method.

    python validation/recovery_adherence.py --trials 2000

recovery_adherence.csv   a row a number of therapists, method and coefficient

Caseloads run from 3 to 20, a patient is assigned 8 to 16 sessions, and a patient's sessions are alike (beta-binomial, φ = 6);
the therapists' standard deviation of .45 is .06 of the variance on the logit scale. Alliance within and between therapists has
an effect; severity of the patients and training of the therapists have none. Models with therapists estimate the effect at a
given therapist; the others the effect on the population's mean, whose true value is the fit of their mean to the true means
of 100,000 patients, integrated over the therapists. Where an effect is zero, both are.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from alliance_stats.errors import ConvergenceError
from alliance_stats.inference.wild_bootstrap import wild_bootstrap
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.generalized_fit import estimate, require_apart
from alliance_stats.models.generalized_response import Outcome
from alliance_stats.models.mixed_groupings import Grouping
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.glm_sandwich import cr2_weighted, quasi_fit
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.numerics.sandwich import cr1
from alliance_stats.result import Result

HERE = Path(__file__).parent
THERAPISTS = (10, 25, 60)
CASELOADS = (3, 4, 5, 6, 8, 8, 10, 12, 14, 20)
ASSIGNED = (8, 10, 12, 16)
INTERCEPT, SPREAD, PRECISION = 0.2, 0.45, 6.0
TRUTH: Mapping[str, float] = {"within": 0.45, "severity": 0.0, "between": 0.6, "training": 0.0}
OF_THERAPISTS = ("between", "training")
FORMULA = f"completed | trials(assigned) ~ {' + '.join(TRUTH)}"
POPULATION = 100_000
WILD = 999
Row = tuple[str, str, float, float, float, float, float, bool, bool]
DRAW = ["method", "term", "truth", "estimate", "std_error", "df", "p_value", "covered", "rejected"]


def trial(therapists: int, rng: np.random.Generator) -> pd.DataFrame:
    """One trial; ``fixed`` is the linear predictor without the therapists."""
    therapist = np.repeat(np.arange(therapists), np.resize(CASELOADS, therapists))
    n = len(therapist)
    frame = pd.DataFrame({"therapist": therapist, "severity": rng.normal(size=n), "assigned": rng.choice(ASSIGNED, n)})
    frame["alliance"] = rng.normal(0, 0.5, therapists)[therapist] + rng.normal(0, 0.9, n)
    mean = frame.groupby("therapist")["alliance"].transform("mean")
    frame = frame.assign(within=frame["alliance"] - mean, between=mean)
    frame["training"] = rng.permutation(np.arange(therapists) % 2)[therapist]
    fixed = INTERCEPT + sum(frame[name] * value for name, value in TRUTH.items())
    share = 1 / (1 + np.exp(-fixed - rng.normal(0, SPREAD, therapists)[therapist]))
    own = rng.beta(PRECISION * share, PRECISION * (1 - share))
    return frame.assign(fixed=fixed, completed=rng.binomial(frame["assigned"], own))


def population_truth(therapists: int, seed: int) -> dict[str, float]:
    """The coefficients of the logistic model of the mean that is nearest to the truth, averaged over therapists."""
    rng = np.random.default_rng([seed, therapists, 1])
    frames, rows = [], 0
    while rows < POPULATION:
        frames.append(trial(therapists, rng))
        rows += len(frames[-1])
    data = pd.concat(frames)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    eta = data["fixed"].to_numpy()[:, None] + SPREAD * nodes
    mean = (1 / (1 + np.exp(-eta))) @ (weights / weights.sum())
    found = quasi_fit(_matrix(data), mean, data["assigned"].to_numpy(float), "logit").coefficients[1:]
    return {term: float(b) if TRUTH[term] else 0.0 for term, b in zip(TRUTH, found, strict=True)}


def estimates(therapists: int, population: Mapping[str, float], seed: np.random.SeedSequence) -> list[Row]:
    """The coefficients of one trial by each method."""
    data = trial(therapists, np.random.default_rng(seed))
    return [*_mixed(data, "betabinomial"), *_mixed(data, "binomial"), *_averaged(data, population)]


def _mixed(data: pd.DataFrame, family: str) -> list[Row]:
    """Coefficients with a random intercept for every therapist, z; and t with as many df as the level of the term leaves."""
    X, codes, name = _matrix(data), data["therapist"].to_numpy(), {"betabinomial": "beta-binomial"}.get(family, family)
    J, n = int(codes.max()) + 1, len(codes)
    level = Level(codes, np.ones((n, 1)), *template([1]))
    grouping = Grouping("therapist", ("therapist",), (), (), tuple(map(str, range(J))), level)
    y, m = data["completed"].to_numpy(float), data["assigned"].to_numpy(float)
    outcome = Outcome(y, m, np.zeros(n))
    try:
        plain = require_apart(X, ["Intercept", *TRUTH], outcome, FAMILIES[family], "logit")
        found = estimate((grouping,), X, outcome, FAMILIES[family], "logit", plain, 1, FORMULA)
    except ConvergenceError:
        return [(f"{name} mixed, {kind}", term, TRUTH[term], *[np.nan] * 4, False, False)
                for kind in ("z", "t")[: 1 + (family != "binomial")] for term in TRUTH]  # fmt: skip
    beta, error = found.beta[1:], np.sqrt(np.diag(found.joint))[1 : X.shape[1]]
    rows = _rows(f"{name} mixed, z", TRUTH, beta, error, np.full(len(beta), np.inf))
    if family != "binomial":
        top = 1 + len(OF_THERAPISTS)
        df = np.array([J - top if term in OF_THERAPISTS else n - J - len(TRUTH) + len(OF_THERAPISTS) for term in TRUTH])
        rows += _rows(f"{name} mixed, t", TRUTH, beta, error, df.astype(float))
    return rows


def _averaged(data: pd.DataFrame, truth: Mapping[str, float]) -> list[Row]:
    """Logistic regression of the share: naive, with clusters, corrected for few of them, and by the wild bootstrap."""
    fit = FractionalModel(FORMULA, vcov="CR2", cluster="therapist").fit(data)
    at, codes = fit.state.at, data["therapist"].to_numpy()
    beta, groups, p = at.coefficients[1:], int(codes.max()) + 1, len(TRUTH) + 1
    corrected = cr2_weighted(at, codes)
    covariances = {
        "naive binomial": (at.bread, np.full(p, np.inf)),
        "cluster sandwich CR1": (cr1(at.X, at.residuals, at.bread, codes, small=False), np.full(p, groups - 1.0)),
        "fractional CR2": (corrected.covariance(at.residuals), corrected.satterthwaite(np.eye(p))),
    }
    rows = [
        row
        for method, (V, df) in covariances.items()
        for row in _rows(method, truth, beta, np.sqrt(np.diag(V))[1:], df[1:])
    ]
    return rows + [_wild(fit, term, truth[term]) for term in TRUTH]


def _wild(fit: Result, term: str, truth: float) -> Row:
    """A value is covered where the test of it does not reject; zero is tested apart where it is not the truth."""
    at_truth = wild_bootstrap(fit, term, null=truth, draws=_draws(fit), interval=False)
    at_zero = at_truth if truth == 0 else wild_bootstrap(fit, term, draws=_draws(fit), interval=False)
    p = float(at_zero["p_value"].iloc[0])
    covered = bool(at_truth["p_value"].iloc[0] > 0.05)
    return "wild bootstrap", term, truth, float(at_zero["estimate"].iloc[0]), np.nan, np.nan, p, covered, p < 0.05


def _draws(fit: Result) -> int:
    """All 1,024 sign changes of ten therapists."""
    return 1024 if fit.frame["therapist"].nunique() == 10 else WILD


def _rows(method: str, truth: Mapping[str, float], beta: np.ndarray, error: np.ndarray, df: np.ndarray) -> list[Row]:
    p, reach = t_p_value(beta / error, df), t_quantile(0.975, df) * error
    return [
        (method, term, truth[term], b, e, d, q, bool(abs(b - truth[term]) <= r), bool(q < 0.05))
        for term, b, e, d, q, r in zip(TRUTH, beta, error, df, p, reach, strict=True)
    ]


def _matrix(data: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(data)), data[list(TRUTH)].to_numpy(float)])


def summary(therapists: int, draws: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Bias, coverage and rejections of every method and coefficient, of the trials in which the method gave an estimate."""
    trials = draws.groupby(["method", "term"], sort=False).size().iloc[0]
    groups = draws.dropna(subset="estimate").groupby(["method", "term"], sort=False)
    table = groups.agg(
        truth=("truth", "first"), mean_estimate=("estimate", "mean"), empirical_sd=("estimate", "std"),
        mean_std_error=("std_error", "mean"), median_df=("df", "median"), coverage=("covered", "mean"),
        rejection_rate=("rejected", "mean"), fitted=("estimate", "count"),
    ).reset_index()  # fmt: skip
    for name in ("coverage", "rejection_rate"):
        share = table[name]
        table.insert(list(table).index(name) + 1, f"{name}_mc_se", np.sqrt(share * (1 - share) / table["fitted"]))
    mc_se = table["empirical_sd"] / np.sqrt(table["fitted"])
    table.insert(0, "therapists", therapists)
    return table.assign(trials=trials, bias_in_mc_se=(table["mean_estimate"] - table["truth"]) / mc_se, seed=seed)


def recovery(trials: int, jobs: int, seed: int, therapists: Sequence[int] = THERAPISTS) -> pd.DataFrame:
    """The table for some numbers of therapists."""
    frames = []
    for number in therapists:
        population = population_truth(number, seed)
        seeds = np.random.SeedSequence([seed, number]).spawn(trials)
        runs = Parallel(n_jobs=jobs)(delayed(partial(estimates, number, population))(s) for s in seeds)
        frames.append(summary(number, pd.DataFrame([row for rows in runs for row in rows], columns=DRAW), seed))
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=2025)
    options = parser.parse_args()
    table = recovery(options.trials, options.jobs, options.seed)
    table.to_csv(HERE / "recovery_adherence.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
