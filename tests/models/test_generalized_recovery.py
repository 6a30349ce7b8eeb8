"""Known truths are found again, in a short run: thirty trials of every kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from alliance_stats.models.generalized import GeneralizedMixedModel

TRIALS = 30
Truth = dict[str, float]


def base(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Thirty therapists with 4 to 14 patients, arms within therapists; the linear predictor with its random part."""
    sizes = rng.integers(4, 15, 30)
    therapist = np.repeat(np.arange(30), sizes)
    n = len(therapist)
    frame = pd.DataFrame({"therapist": therapist, "alliance": rng.normal(size=n), "arm": rng.integers(0, 2, n)})
    eta = 0.2 + 0.4 * frame["alliance"] - 0.5 * frame["arm"] + 0.6 * rng.normal(size=30)[therapist]
    return frame, eta.to_numpy()


def logistic(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-eta))


def completed(rng: np.random.Generator) -> pd.DataFrame:
    frame, eta = base(rng)
    return frame.assign(assigned=12, done=rng.binomial(12, logistic(eta)))


def overdispersed(rng: np.random.Generator) -> pd.DataFrame:
    frame, eta = base(rng)
    share = rng.beta(6 * logistic(eta), 6 * (1 - logistic(eta)))
    return frame.assign(assigned=12, done=rng.binomial(12, share))


def counted(rng: np.random.Generator) -> pd.DataFrame:
    frame, eta = base(rng)
    return frame.assign(done=rng.poisson(np.exp(eta) * rng.gamma(2.5, 1 / 2.5, len(eta))))


def proportion(rng: np.random.Generator) -> pd.DataFrame:
    frame, eta = base(rng)
    return frame.assign(done=np.clip(rng.beta(6 * logistic(eta), 6 * (1 - logistic(eta))), 1e-9, 1 - 1e-9))


TRUTH = {"Intercept": 0.2, "alliance": 0.4, "arm": -0.5, "sd(Intercept)": 0.6}
RIGHT = " ~ alliance + arm + (1 | therapist)"
CASES: dict[str, tuple[GeneralizedMixedModel, Callable[[np.random.Generator], pd.DataFrame], Truth]] = {
    "binomial": (GeneralizedMixedModel("done | trials(assigned)" + RIGHT), completed, {}),
    "quadrature": (GeneralizedMixedModel("done | trials(assigned)" + RIGHT, quadrature=7), completed, {}),
    "beta-binomial": (
        GeneralizedMixedModel("done | trials(assigned)" + RIGHT, "betabinomial"),
        overdispersed,
        {"phi": 6.0},
    ),
    "negative binomial": (GeneralizedMixedModel("done" + RIGHT, "negativebinomial"), counted, {"theta": 2.5}),
    "beta": (GeneralizedMixedModel("done" + RIGHT, "beta"), proportion, {"phi": 6.0}),
}


@cache
def rows(name: str) -> pd.DataFrame:
    """Tidy rows of all trials."""
    model, make, _ = CASES[name]
    streams = np.random.SeedSequence(20261101).spawn(TRIALS)
    return pd.concat([model.fit(make(np.random.default_rng(s))).tidy() for s in streams], keys=range(TRIALS))


@pytest.mark.parametrize("name", CASES)
def test_estimates_are_centred_on_the_truth(name: str) -> None:
    """Within 3.5 Monte Carlo standard errors (14 to 25 comparisons); a variance of 30 therapists may be a few per cent low."""
    for term, truth in (TRUTH | CASES[name][2]).items():
        found = rows(name).query("term == @term")["estimate"]
        error = found.std() / np.sqrt(TRIALS)
        allowance = 0.05 * truth if term in ("sd(Intercept)", "phi", "theta") else 0.0
        assert abs(found.mean() - truth) < 3.5 * error + allowance, term


@pytest.mark.parametrize("name", CASES)
def test_standard_errors_are_the_spread(name: str) -> None:
    """Intervals hold the truth in 85 of 90 or so; below 78 would be a chance of 1 in 2,000."""
    fixed = rows(name).query("component == 'fixed'")
    truth = fixed["term"].map(TRUTH)
    held = ((fixed["conf_low"] < truth) & (truth < fixed["conf_high"])).sum()
    assert held >= 78
    for term in ("alliance", "arm"):
        own = fixed[fixed["term"] == term]
        assert 0.7 < own["std_error"].mean() / own["estimate"].std() < 1.45  # 3 standard errors of a spread of 30
