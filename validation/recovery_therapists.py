"""Sessions in patients in ten therapists: type I error and coverage with Kenward–Roger, Satterthwaite, z, and no therapist.

    python validation/recovery_therapists.py --trials 5000

recovery_therapists.csv   a row a therapist share of the variance, method and coefficient

Caseloads run from 3 to 20, patients leave between the second and the sixth session. Alliance and training of the therapists
have no effect; alliance within and between patients and time have one. The outcome is drawn from the parts of the observed
alliance, so that the truth of every coefficient is known exactly.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.distributions import t_p_value

HERE = Path(__file__).parent
CASELOADS = (3, 4, 5, 6, 8, 8, 10, 12, 14, 20)
SESSIONS = 6
TRUTH: Mapping[str, float] = {
    "within": -0.15,
    "patient_part": -0.10,
    "therapist_part": 0.0,
    "training": 0.0,
    "week": -0.3,
}
FIXED = f"outcome ~ {' + '.join(TRUTH)}"
THREE_LEVELS = f"{FIXED} + (1 + week | patient) + (1 | therapist)"
TWO_LEVELS = f"{FIXED} + (1 + week | patient)"
SHARES = (0.0, 0.05, 0.15)
PATIENT, SLOPE, RESIDUAL = 1.5, 0.3, 1.5
Z = 1.959963984540054
Row = tuple[str, str, float, float, float, float, float, bool]
DRAW = ["method", "term", "estimate", "std_error", "df", "conf_low", "conf_high", "rejected"]


def trial(share: float, rng: np.random.Generator) -> pd.DataFrame:
    """One trial; ``share`` is the therapists' part of the outcome's variance at the first session."""
    therapist_of = np.repeat(np.arange(len(CASELOADS)), CASELOADS)
    stayed = rng.integers(2, SESSIONS + 1, len(therapist_of))
    patient = np.repeat(np.arange(len(therapist_of)), stayed)
    week = np.concatenate([np.arange(float(n)) for n in stayed])
    frame = pd.DataFrame({"patient": patient, "therapist": therapist_of[patient], "week": week})
    alliance = rng.normal(0, 2, len(CASELOADS))[frame["therapist"]] + rng.normal(0, 4, len(stayed))[patient]
    frame["alliance"] = alliance + rng.normal(0, 3, len(frame))
    by_patient = frame.groupby("patient")["alliance"].transform("mean")
    by_therapist = frame.groupby("therapist")["alliance"].transform("mean")
    trained = rng.permutation(np.arange(len(CASELOADS)) % 2)
    frame = frame.assign(
        within=frame["alliance"] - by_patient, patient_part=by_patient - by_therapist,
        therapist_part=by_therapist - by_therapist.mean(), training=trained[frame["therapist"]],
    )  # fmt: skip
    spread = np.sqrt(share / (1 - share) * (PATIENT**2 + RESIDUAL**2))
    own = rng.normal(0, (PATIENT, SLOPE), (len(stayed), 2))[patient]
    frame["outcome"] = (
        6 + sum(frame[name] * value for name, value in TRUTH.items()) + own[:, 0] + own[:, 1] * week
        + rng.normal(0, spread, len(CASELOADS))[frame["therapist"]] + rng.normal(0, RESIDUAL, len(frame))
    )  # fmt: skip
    return frame


def estimates(share: float, seed: np.random.SeedSequence) -> list[Row]:
    """The coefficients of one trial by each method."""
    data = trial(share, np.random.default_rng(seed))
    fits = {
        "Kenward–Roger": MixedModel(THREE_LEVELS, df_method="kenward-roger").fit(data),
        "Satterthwaite": MixedModel(THREE_LEVELS).fit(data),
        "therapist ignored": MixedModel(TWO_LEVELS).fit(data),
    }
    rows: list[Row] = []
    for method, fit in fits.items():
        found = fit.tidy().set_index("term")
        for term in TRUTH:
            e = found.loc[term]
            rows.append((method, term, e.estimate, e.std_error, e.df, e.conf_low, e.conf_high, bool(e.p_value < 0.05)))
            if method == "Satterthwaite":
                low, high = e.estimate - Z * e.std_error, e.estimate + Z * e.std_error
                rejected = bool(t_p_value(e.estimate / e.std_error, np.inf) < 0.05)
                rows.append(("z", term, e.estimate, e.std_error, np.inf, low, high, rejected))
    return rows


def summary(share: float, draws: pd.DataFrame, trials: int, seed: int) -> pd.DataFrame:
    """Bias, coverage and rejections of every method and coefficient."""
    draws = draws.assign(truth=draws["term"].map(TRUTH))
    draws["covered"] = draws["truth"].between(draws["conf_low"], draws["conf_high"])
    groups = draws.groupby(["method", "term"], sort=False)
    table = groups.agg(
        truth=("truth", "first"), mean_estimate=("estimate", "mean"), empirical_sd=("estimate", "std"),
        mean_std_error=("std_error", "mean"), median_df=("df", "median"), coverage=("covered", "mean"),
        rejection_rate=("rejected", "mean"), trials=("estimate", "count"),
    ).reset_index()  # fmt: skip
    if (table["trials"] != trials).any():
        raise RuntimeError(f"therapist share {share}: some trials gave no estimate")
    mc_se = table["empirical_sd"] / np.sqrt(trials)
    table.insert(0, "therapist_share", share)
    return table.assign(bias_in_mc_se=(table["mean_estimate"] - table["truth"]) / mc_se, seed=seed)


def recovery(trials: int, jobs: int, seed: int, shares: Sequence[float] = SHARES) -> pd.DataFrame:
    """The table for some shares of the therapists."""
    frames = []
    for share in shares:
        seeds = np.random.SeedSequence([seed, round(1000 * share)]).spawn(trials)
        runs = Parallel(n_jobs=jobs)(delayed(partial(estimates, share))(s) for s in seeds)
        draws = pd.DataFrame([row for rows in runs for row in rows], columns=DRAW)
        frames.append(summary(share, draws, trials, seed))
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    table = recovery(options.trials, options.jobs, options.seed)
    table.to_csv(HERE / "recovery_therapists.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
