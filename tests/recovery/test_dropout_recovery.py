"""Immortal time, and alliance of therapists: what analyses of dropout make of known truths; short runs, and the long tables."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from alliance_stats.models.cox import CoxModel
from alliance_stats.models.discrete_time import DiscreteTimeModel

VALIDATION = Path(__file__).parents[2] / "validation"
LONG = 2000
ERROR = float(np.sqrt(0.05 * 0.95 / LONG))
NAIVE, LANDMARK = "mean of all ratings, taken for known at the start", "landmark at the rating of session 3"
VARYING, SLOPE = "rating of every session, (start, stop]", "log hazard ratio by SD"
DISCRETE, IGNORED = "discrete time, therapist intercept (Laplace)", "Cox, therapists ignored"
CLUSTERS, FRAILTY = "Cox, clusters of therapists", "Cox, gamma frailty of therapists"
NULL, EFFECT = "no effect", "effect of −.5 by SD"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recovery_dropout", VALIDATION / "recovery_dropout.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recovery_dropout"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def immortal() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "recovery_dropout_immortal.csv")


@pytest.fixture(scope="module")
def therapists() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "recovery_dropout_therapists.csv")


def test_short_run_of_immortal_time(script):
    trials = 60
    found = script.immortal(trials, 1, [NULL, EFFECT]).set_index(["scenario", "method", "quantity"])
    valid = found[found.index.get_level_values("method") != NAIVE]
    assert (valid["bias"].abs() <= 4 * valid["bias_mc_se"]).all()
    for coverage in valid["coverage"]:
        assert binomtest(round(coverage * trials), trials, 0.95).pvalue > 0.0027
    assert found.loc[(NULL, NAIVE, SLOPE), "bias"] < -0.15
    assert found.loc[(NULL, NAIVE, SLOPE), "rejection_rate"] > 0.25


def test_short_run_of_therapists(script):
    trials = 40
    found = script.therapists(trials, 1, [25], [0.0])
    between = found[found["quantity"] == "between"].set_index("method")
    assert (between["bias"].abs() <= 4 * between["bias_mc_se"]).all()
    for method in (DISCRETE, FRAILTY):
        assert binomtest(round(between.loc[method, "coverage"] * trials), trials, 0.93).pvalue > 0.0027


def test_the_arrays_of_a_trial_are_the_models(script):
    """One trial by the models themselves: a row a session for the hazard, a row a patient for Cox's model."""
    rows = {(m, q): (b, s) for m, q, _, b, s in script.therapist_trial(25, -0.5, np.random.default_rng(3))}
    rng = np.random.default_rng(3)
    sizes = np.resize(script.CASELOADS, 25)
    codes = np.repeat(np.arange(25), sizes)
    alliance = rng.normal(0, 1, 25)[codes] + rng.normal(0, 1.5, len(codes))
    mean = (np.bincount(codes, alliance) / sizes)[codes]
    X = np.column_stack([alliance - mean, mean - mean.mean()])
    log_hazard = np.log(script.TREATED) + X @ [script.WITHIN, -0.5] + rng.normal(0, script.SPREAD, 25)[codes]
    last, left = script.ends(np.exp(log_hazard)[:, None] * (np.arange(12) < 11), rng)
    one = pd.DataFrame(
        {"therapist": codes, "within": X[:, 0], "between": X[:, 1], "time": last, "left": left.astype(int)}
    )
    at_risk = np.minimum(last, 11).astype(int)
    many = one.loc[one.index.repeat(at_risk)].assign(session=np.concatenate([np.arange(1, n + 1) for n in at_risk]))
    many["left"] = many["left"] * (many["session"] == many["time"])
    found = {
        DISCRETE: DiscreteTimeModel("left ~ within + between + (1 | therapist)").fit(many),
        CLUSTERS: CoxModel("Surv(time, left) ~ within + between", cluster="therapist").fit(one),
        FRAILTY: CoxModel("Surv(time, left) ~ within + between", frailty=("gamma", "therapist")).fit(one),
    }
    for method, fit in found.items():
        tidy = fit.tidy().set_index("term")
        for term in ("within", "between"):
            expected = tidy.loc[term, ["estimate", "std_error"]].to_numpy(dtype=float)
            np.testing.assert_allclose(rows[method, term], expected, rtol=1e-4)  # differenced Hessians


def test_the_long_runs_are_long(immortal, therapists):
    assert (immortal["trials"] >= LONG).all()
    assert (therapists["trials"] >= LONG).all()
    assert sorted(therapists["therapists"].unique()) == [10, 25, 60]


def test_landmark_and_time_varying_rating_are_unbiased_and_keep_their_level(immortal):
    valid = immortal[immortal["method"].isin([LANDMARK, VARYING])]
    assert len(valid) == 10
    assert (valid["bias"].abs() <= 3 * valid["bias_mc_se"]).all()
    assert (valid["coverage"].sub(0.95).abs() <= 3 * ERROR).all()
    null = valid[valid["truth"] == 0]
    assert (null["rejection_rate"].sub(0.05).abs() <= 3 * ERROR).all()


def test_a_mean_over_the_stay_carries_immortal_time(immortal):
    naive = immortal[immortal["method"] == NAIVE].set_index(["scenario", "quantity"])
    found = naive.loc[NULL]
    assert len(found) == 3
    assert (found["rejection_rate"] > 0.4).all()
    assert found.loc[SLOPE, "bias"] < -0.2
    assert naive.loc[(EFFECT, SLOPE), "coverage"] < 0.6
    flat = naive.loc["no effect, ratings do not rise"]  # it is the rise of the ratings that does it
    assert (flat["rejection_rate"].sub(0.05).abs() <= 3 * ERROR).all()


def between(table, method, n, column):
    rows = table[(table["method"] == method) & (table["therapists"] == n) & (table["quantity"] == "between")]
    assert len(rows) == 2
    return rows[column]


@pytest.mark.parametrize("method", [DISCRETE, FRAILTY])
def test_therapists_in_the_model_cover(therapists, method):
    """With 60 therapists as they should; with ten the z interval is too short by the few therapists."""
    assert (between(therapists, method, 60, "coverage") >= 0.95 - 3 * ERROR - 0.01).all()
    assert (between(therapists, method, 10, "coverage") > 0.88).all()


@pytest.mark.parametrize("n", [10, 25, 60])
def test_therapists_ignored_are_too_sure(therapists, n):
    null = therapists[(therapists["between_effect"] == 0) & (therapists["quantity"] == "between")]
    rates = null[null["therapists"] == n].set_index("method")["rejection_rate"]
    assert rates[IGNORED] > 0.15
    assert rates[DISCRETE] < rates[IGNORED] - 3 * ERROR
    assert rates[FRAILTY] < rates[IGNORED] - 3 * ERROR


def test_effects_within_therapists_cover_whatever_is_done_with_therapists(therapists):
    rows = therapists[(therapists["quantity"] == "within") & therapists["method"].isin([DISCRETE, FRAILTY])]
    assert len(rows) == 12
    assert (rows["coverage"] > 0.93).all()
