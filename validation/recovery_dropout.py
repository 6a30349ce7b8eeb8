"""Immortal time, and alliance of therapists: what analyses of dropout make of known truths.

    python validation/recovery_dropout.py --trials 2000

recovery_dropout_immortal.csv     a row a scenario, method and quantity
recovery_dropout_therapists.csv   a row a number of therapists, truth, method and coefficient

Immortal time. 150 patients, twelve planned sessions, a hazard of .05 a session; ratings rise by .1 SD a session, so that who
stays longer has a higher mean of the ratings given. The naive analyses take that mean for a number known at the start. The
landmark is session 3: its rating, and patients who came to it, at risk from then on. With an effect, ratings are without
error, so that the landmark and the rating of every session have the same truth.

Therapists. Caseloads of 3 to 20 (mean 8), twelve sessions, a hazard of .08 a session, therapists' effects on the log hazard
with an SD of .5. The hazard is drawn from the parts of the observed alliance, so that each coefficient's truth is known. It
is constant and nothing changes over sessions: a patient's sessions are one binomial row, with the same likelihood.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from alliance_stats.numerics.glmm.binomial import BinomialCloglog
from alliance_stats.numerics.glmm.hessian import joint_hessian
from alliance_stats.numerics.glmm.search import fit as fit_mixed
from alliance_stats.numerics.glmm.starting import plain_fit
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.survival.cox import cluster_covariance, fit_cox, score_residuals
from alliance_stats.numerics.survival.curves import counts, product_limit
from alliance_stats.numerics.survival.frailty import fit_frailty
from alliance_stats.numerics.survival.risk import RiskSets, risk_sets

HERE = Path(__file__).parent
Z = 1.959963984540054
PLANNED, RATED, PATIENTS = 12, 3, 150
UNTIL = 9  # session up to which the naive curves are compared
IMMORTAL, TREATED = 0.05, 0.08  # hazards a session
SCENARIOS = {  # log hazard ratio an SD, rise of the ratings a session, SD of a rating around the patient's own
    "no effect": (0.0, 0.1, 0.5),
    "no effect, ratings do not rise": (0.0, 0.0, 0.5),
    "effect of −.5 by SD": (-0.5, 0.1, 0.0),
}
CASELOADS = (3, 4, 5, 6, 7, 7, 8, 9, 11, 20)
THERAPISTS, EFFECTS = (10, 25, 60), (0.0, -0.5)
WITHIN, SPREAD = -0.3, 0.5
Row = tuple[str, str, float, float, float]


def ends(hazard: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Last session attended, and whether it came before the planned one; ``hazard`` (patients, sessions)."""
    leaves = rng.random(hazard.shape) < -np.expm1(-hazard)
    left = leaves.any(axis=1)
    return np.where(left, leaves.argmax(axis=1) + 1, PLANNED).astype(float), left


def slope(start: np.ndarray | None, stop: np.ndarray, event: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Log hazard ratio and standard error of one predictor."""
    risk = risk_sets(start, stop, event, np.zeros(len(stop), dtype=int))
    found = fit_cox(risk, x[:, None].astype(float))
    return float(found.coefficients[0]), float(np.sqrt(found.covariance[0, 0]))


def staying(start: np.ndarray | None, stop: np.ndarray, event: np.ndarray) -> tuple[float, float]:
    """Kaplan–Meier at the session of comparison, and its variance."""
    found = counts(stop, event.astype(int), 1, start)
    survival, variance = product_limit(found)
    k = np.searchsorted(found.times, UNTIL, side="right") - 1
    return float(survival[k]), float(survival[k] ** 2 * variance[k])


def thirds(x: np.ndarray) -> np.ndarray:
    """0, 1, 2 by the tertiles of the patients."""
    return np.searchsorted(np.quantile(x, [1 / 3, 2 / 3]), x)


def immortal_trial(scenario: str, rng: np.random.Generator) -> Iterator[Row]:
    """Method, quantity, truth, estimate and standard error of one trial."""
    effect, rise, noise = SCENARIOS[scenario]
    own = rng.normal(size=PATIENTS)
    ratings = own[:, None] + rise * np.arange(PLANNED) + rng.normal(0, noise, (PATIENTS, PLANNED))
    hazard = IMMORTAL * np.exp(effect * own)[:, None] * (np.arange(PLANNED) < PLANNED - 1)
    last, left = ends(hazard, rng)
    attended = np.arange(1, PLANNED + 1) <= last[:, None]
    mean = (ratings * attended).sum(axis=1) / last
    there = last >= RATED
    patient, session = np.nonzero(attended)
    lone = {"mean of all ratings, taken for known at the start": (None, last, left, mean)}
    entry = np.full(int(there.sum()), RATED - 1.0)
    lone["landmark at the rating of session 3"] = (entry, last[there], left[there], ratings[there, RATED - 1])
    stop, gone = session + 1.0, left[patient] & (session + 1 == last[patient])
    yield (
        "rating of every session, (start, stop]",
        "log hazard ratio by SD",
        effect,
        *slope(session.astype(float), stop, gone, ratings[patient, session]),
    )
    for method, (start, time, event, x) in lone.items():
        yield method, "log hazard ratio by SD", effect, *slope(start, time, event, x)
        if effect:
            continue  # the truth of groups is not the slope's
        third = thirds(x)
        ends_of = third != 1
        entered = None if start is None else start[ends_of]
        yield (
            method,
            "log hazard ratio, top against bottom third",
            0.0,
            *slope(entered, time[ends_of], event[ends_of], third[ends_of] == 2),
        )
        (top, a), (bottom, b) = (
            staying(None if start is None else start[third == k], time[third == k], event[third == k]) for k in (2, 0)
        )
        yield method, f"Kaplan–Meier at session {UNTIL}, top less bottom third", 0.0, top - bottom, np.sqrt(a + b)


def therapist_trial(therapists: int, effect: float, rng: np.random.Generator) -> Iterator[Row]:
    """As `immortal_trial`; coefficients of alliance within and between therapists."""
    sizes = np.resize(CASELOADS, therapists)
    codes = np.repeat(np.arange(therapists), sizes)
    alliance = rng.normal(0, 1, therapists)[codes] + rng.normal(0, 1.5, len(codes))
    mean = (np.bincount(codes, alliance) / sizes)[codes]
    X = np.column_stack([alliance - mean, mean - mean.mean()])
    truth = {"within": WITHIN, "between": effect}
    log_hazard = np.log(TREATED) + X @ list(truth.values()) + rng.normal(0, SPREAD, therapists)[codes]
    last, left = ends(np.exp(log_hazard)[:, None] * (np.arange(PLANNED) < PLANNED - 1), rng)
    found = {"discrete time, therapist intercept (Laplace)": discrete(X, last, left, codes)}
    risk = risk_sets(None, last, left, np.zeros(len(last), dtype=int))
    cox = fit_cox(risk, X)
    robust = cluster_covariance(score_residuals(risk, X, cox.at), cox.covariance, codes)
    found["Cox, therapists ignored"] = cox.coefficients, cox.covariance
    found["Cox, clusters of therapists"] = cox.coefficients, robust
    found["Cox, gamma frailty of therapists"] = shared(
        risk, X - X.mean(axis=0), codes, cox.coefficients, cox.covariance
    )
    for method, (beta, V) in found.items():
        for j, (name, value) in enumerate(truth.items()):
            yield method, name, value, float(beta[j]), float(np.sqrt(V[j, j]))


def discrete(X: np.ndarray, last: np.ndarray, left: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Complementary log–log hazards with a random intercept; after the last planned session nobody can leave."""
    n, m = len(last), np.minimum(last, PLANNED - 1)
    columns, none = np.column_stack([np.ones(n), X]), np.zeros(n)
    likelihood = BinomialCloglog(left.astype(float), m)
    plain = plain_fit(columns, none, likelihood, np.full(n, np.log(left.sum() / m.sum())))
    level = Level(codes, np.ones((n, 1)), np.zeros(1, dtype=int), np.zeros(1, dtype=int))
    found = fit_mixed([level], columns, none, likelihood, plain)
    if not found.converged:
        raise RuntimeError("a trial without an optimum")
    moving = np.flatnonzero(np.abs(found.theta) > 1e-4)  # at a variance of zero the mixed derivatives are zero
    return found.beta[1:], (2 * np.linalg.inv(joint_hessian(found, moving)[0]))[1:3, 1:3]


def shared(
    risk: RiskSets, X: np.ndarray, codes: np.ndarray, beta: np.ndarray, V: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gamma frailty; without variance it is the Cox model itself."""
    found = fit_frailty(risk, X, codes, "gamma")
    return (beta, V) if found.theta == 0 else (found.coefficients, found.covariance[:2, :2])


def summary(draws: pd.DataFrame) -> pd.DataFrame:
    """Bias, coverage and rejections of z with their Monte Carlo standard errors, by method and quantity."""
    draws = draws.assign(
        covered=(draws["estimate"] - draws["truth"]).abs() <= Z * draws["std_error"],
        rejected=draws["estimate"].abs() > Z * draws["std_error"],
    )
    groups = draws.groupby(["method", "quantity"], sort=False)
    table = groups.agg(
        truth=("truth", "first"), mean_estimate=("estimate", "mean"), empirical_sd=("estimate", "std"),
        mean_std_error=("std_error", "mean"), coverage=("covered", "mean"), rejection_rate=("rejected", "mean"),
        trials=("estimate", "count"),
    ).reset_index()  # fmt: skip
    root = np.sqrt(table["trials"])
    table.insert(4, "bias", table["mean_estimate"] - table["truth"])
    table.insert(5, "bias_mc_se", table["empirical_sd"] / root)
    for name in ("coverage", "rejection_rate"):
        at = table.columns.get_loc(name) + 1
        table.insert(at, f"{name}_mc_se", np.sqrt(table[name] * (1 - table[name])) / root)
    return table


def _table(trials: int, seeds: np.random.SeedSequence, one: object) -> pd.DataFrame:
    rows = [row for seed in seeds.spawn(trials) for row in one(np.random.default_rng(seed))]  # type: ignore[operator]
    found = summary(pd.DataFrame(rows, columns=["method", "quantity", "truth", "estimate", "std_error"]))
    if (found["trials"] != trials).any():
        raise RuntimeError("some trials gave no estimate")
    return found


def immortal(trials: int, seed: int, scenarios: Sequence[str] = tuple(SCENARIOS)) -> pd.DataFrame:
    """The table of immortal time."""
    frames = []
    for name in scenarios:
        seeds = np.random.SeedSequence([seed, list(SCENARIOS).index(name)])
        found = _table(trials, seeds, lambda rng, name=name: immortal_trial(name, rng))
        found.insert(0, "scenario", name)
        frames.append(found)
    return pd.concat(frames, ignore_index=True).assign(seed=seed)


def therapists(
    trials: int, seed: int, numbers: Sequence[int] = THERAPISTS, effects: Sequence[float] = EFFECTS
) -> pd.DataFrame:
    """The table of therapists' alliance."""
    frames = []
    for n in numbers:
        for effect in effects:
            seeds = np.random.SeedSequence([seed, n, round(-100 * effect)])
            found = _table(trials, seeds, lambda rng, n=n, effect=effect: therapist_trial(n, effect, rng))
            found.insert(0, "therapists", n)
            found.insert(1, "between_effect", effect)
            frames.append(found)
    return pd.concat(frames, ignore_index=True).assign(seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2014)
    options = parser.parse_args()
    for name, make in (("immortal", immortal), ("therapists", therapists)):
        table = make(options.trials, options.seed)
        table.to_csv(HERE / f"recovery_dropout_{name}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
