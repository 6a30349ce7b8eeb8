"""Calibration, rootogram, and therapists on the scale of the outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data
from scipy import special

from alliance_stats import predict, random_effects
from alliance_stats.errors import AllianceError
from alliance_stats.inference import group_outcomes as module
from alliance_stats.inference.group_outcomes import group_outcomes
from alliance_stats.inference.observed_predicted import calibration, rootogram
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.ordinal import OrdinalModel

COMPLETED = "completed | trials(assigned) ~ alliance + arm + severity"


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    return data("adherence_trial")


@pytest.fixture(scope="module")
def mixed(trial: pd.DataFrame) -> Any:
    return GeneralizedMixedModel(f"{COMPLETED} + (1 | therapist)", "betabinomial").fit(trial)


def test_bins_hold_every_row_once(mixed: Any, trial: pd.DataFrame) -> None:
    bins = calibration(mixed, bins=6)
    assert list(bins) == ["predicted", "observed", "conf_low", "conf_high", "n_rows", "trials"]
    assert bins["n_rows"].tolist() == [60] * 6
    assert np.isclose((bins["observed"] * bins["trials"]).sum(), trial["completed"].sum())
    share = predict(mixed, scale="mean")["fitted"]
    lowest = share.rank() <= 60
    own = trial[lowest]
    assert np.isclose(bins["observed"].iloc[0], own["completed"].sum() / own["assigned"].sum())
    assert np.isclose(bins["predicted"].iloc[0], (share * trial["assigned"])[lowest].sum() / own["assigned"].sum())
    assert (np.diff(bins["predicted"]) > 0).all()
    population = calibration(mixed, bins=6, groups="population")
    assert np.ptp(population["predicted"]) < np.ptp(bins["predicted"])


def test_intervals_follow_the_spread_between_rows(mixed: Any, trial: pd.DataFrame) -> None:
    bins, own = calibration(mixed, bins=6), trial[predict(mixed, scale="mean")["fitted"].rank() <= 60]
    share = own["completed"].sum() / own["assigned"].sum()
    residual = own["completed"] - share * own["assigned"]
    error = np.sqrt((residual**2).sum() * 60 / 59) / own["assigned"].sum()
    low = special.expit(special.logit(share) - 2.000995 * error / (share * (1 - share)))  # t(59)
    assert np.isclose(bins["conf_low"].iloc[0], low, atol=1e-6)


def test_coverage_of_the_intervals() -> None:
    """Overdispersed sessions of a known share: 95 % of 400 intervals, whose Monte Carlo error is 1.1 %."""
    rng, held = np.random.default_rng(4), 0
    for _ in range(400):
        frame = pd.DataFrame({"assigned": rng.choice([8, 12, 16], 60), "x": rng.normal(size=60)})
        frame["completed"] = rng.binomial(frame["assigned"], rng.beta(3.0, 3.0, 60))
        fit = FractionalModel("completed | trials(assigned) ~ x").fit(frame)
        row = calibration(fit, bins=2).iloc[0]
        held += row["conf_low"] <= 0.5 <= row["conf_high"]
    assert 0.917 <= held / 400 <= 0.983


def test_zeros_and_ones_have_wilsons_interval() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": np.repeat([-1.0, 1.0], 40), "came": np.r_[np.zeros(38), 1, 1, rng.binomial(1, 0.9, 40)]})
    bins = calibration(FractionalModel("came ~ x").fit(frame), bins=2)
    assert bins[["conf_low", "conf_high"]].iloc[0].round(3).tolist() == [0.014, 0.165]  # Wilson, 2 of 40
    assert bins["n_rows"].tolist() == [40, 40]


def test_a_bin_without_spread() -> None:
    """Nobody with x = 0 came: the interval is that of rows, not of their sessions."""
    frame = pd.DataFrame(
        {"x": np.repeat([0.0, 1, 2], 20), "assigned": 10, "completed": np.r_[np.zeros(20), [1, 2] * 10, [6, 8] * 10]}
    )
    bins = calibration(FractionalModel("completed | trials(assigned) ~ x").fit(frame), bins=3)
    assert bins["observed"].tolist() == [0.0, 0.15, 0.7]
    assert bins["conf_low"].iloc[0] == 0
    assert 0.15 < bins["conf_high"].iloc[0] < 0.17  # Wilson, 0 of 20


@pytest.mark.parametrize(
    "model",
    [
        OrdinalModel("rating ~ alliance + arm"), LinearModel("rating ~ alliance"),
        BetaModel("share_ends ~ alliance", zero="1", one="1"), MixedModel("rating ~ alliance + (1 | therapist)"),
        GeneralizedMixedModel("completed ~ alliance + (1 | therapist)", "negativebinomial"),
    ],
)  # fmt: skip
def test_ratings_counts_and_scales(model: Any, trial: pd.DataFrame) -> None:
    fit = model.fit(trial)
    bins = calibration(fit, bins=5)
    name = model.formula.split(" ")[0]
    assert np.isclose((bins["observed"] * bins["n_rows"]).sum(), trial[name].sum())
    assert (bins["conf_low"] < bins["observed"]).all()
    assert (bins["observed"] < bins["conf_high"]).all()


def test_equal_predictions_stay_together(trial: pd.DataFrame) -> None:
    bins = calibration(FractionalModel("share ~ arm").fit(trial), bins=10)
    assert len(bins) == 2
    assert np.allclose(bins["predicted"], bins["observed"])


def test_rootogram_counts(mixed: Any, trial: pd.DataFrame) -> None:
    rows = rootogram(mixed, n=200)
    assert rows["observed"].tolist() == np.bincount(trial["completed"].astype(int), minlength=len(rows)).tolist()
    assert np.isclose(rows["expected"].sum(), 360)
    assert (rows["expected_low"] <= rows["expected"]).all()
    pd.testing.assert_frame_equal(rows, rootogram(mixed, n=200))
    inside = (rows["observed"] >= rows["expected_low"]) & (rows["observed"] <= rows["expected_high"])
    assert inside.mean() > 0.85


def test_rootogram_finds_what_the_family_does_not_make() -> None:
    """Patients who never begin, under a Poisson model: too many zeros, too few ones."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"therapist": np.repeat(range(20), 20), "done": rng.poisson(5, 400) * rng.binomial(1, 0.7, 400)}
    )
    rows = rootogram(GeneralizedMixedModel("done ~ 1 + (1 | therapist)", "poisson").fit(frame), n=200).set_index(
        "count"
    )
    assert rows.loc[0, "observed"] > rows.loc[0, "expected_high"]
    assert rows.loc[1, "observed"] < rows.loc[1, "expected_low"]


def test_rootogram_of_ratings_begins_at_the_lowest(trial: pd.DataFrame) -> None:
    rows = rootogram(OrdinalModel("rating ~ alliance").fit(trial), n=100)
    assert rows["count"].tolist() == [1, 2, 3, 4, 5]
    assert rows["observed"].tolist() == trial["rating"].value_counts().sort_index().tolist()


def test_groups_have_the_same_patients(mixed: Any) -> None:
    found, modes = group_outcomes(mixed, "therapist"), random_effects(mixed, "therapist")
    eta = predict(mixed, groups="typical", scale="link")["fitted"].to_numpy()
    assert found["at"].tolist() == modes["at"].tolist()
    for column in ("estimate", "conf_low", "conf_high"):
        expected = [special.expit(eta + b).mean() for b in modes[column]]
        assert np.allclose(found[column], expected, rtol=1e-12)
    assert np.allclose(found["reference"], special.expit(eta).mean())
    outside = (found["conf_low"] > found["reference"]) | (found["conf_high"] < found["reference"])
    assert outside.tolist() == ((modes["conf_low"] > 0) | (modes["conf_high"] < 0)).tolist()
    enhanced = group_outcomes(mixed, "therapist", at={"arm": 1})
    assert (enhanced["estimate"] > found["estimate"]).all()


def test_other_random_effects_are_averaged_over() -> None:
    sessions = data("glmm_sessions")
    fit = GeneralizedMixedModel("attended ~ x + session + (1 | patient) + (1 | therapist)").fit(sessions)
    found, modes = group_outcomes(fit, "therapist"), random_effects(fit, "therapist")
    eta = predict(fit, groups="typical", scale="link")["fitted"].to_numpy()
    sd = float(fit.tidy().query("group == 'patient'")["estimate"].iloc[0])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    spread = special.expit(eta[:, None] + modes["estimate"].iloc[0] + sd * nodes) @ (weights / weights.sum())
    assert np.isclose(found["estimate"].iloc[0], spread.mean(), rtol=1e-9)


def test_many_groups_are_interpolated(mixed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = group_outcomes(mixed, "therapist")
    monkeypatch.setattr(module, "NODES", 50)
    assert np.allclose(group_outcomes(mixed, "therapist")["estimate"], exact["estimate"], atol=1e-7)


def test_counts_and_a_variance_of_zero() -> None:
    sessions = data("glmm_sessions")
    fit = GeneralizedMixedModel("exercises ~ x + (1 | therapist)", "poisson").fit(sessions)
    found = group_outcomes(fit, "therapist")
    assert set(found["unit"]) == {"count"}
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"therapist": np.repeat(range(12), 20), "y": np.tile([0, 1], 120), "x": rng.normal(size=240)})
    none = group_outcomes(GeneralizedMixedModel("y ~ x + (1 | therapist)").fit(rows), "therapist")
    assert np.allclose(none[["estimate", "conf_low", "conf_high"]], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fit, d: calibration(fit, bins=1), "bins is 1; use 2 or more"),
        (lambda fit, d: calibration(fit, bins=100), "360 rows do not fill 100 bins of 5"),
        (lambda fit, d: rootogram(fit, n=10), "n is 10; use 100"),
        (lambda fit, d: rootogram(FractionalModel(COMPLETED).fit(d)), "no distribution; simulate from"),
        (lambda fit, d: rootogram(BetaModel("share ~ arm").fit(d)), "of 0 and 1 and of proportions see calibration"),
        (
            lambda fit, d: group_outcomes(LinearModel("share ~ arm").fit(d), "therapist"),
            "LinearModel is no Generalized",
        ),
        (lambda fit, d: group_outcomes(fit, "clinic"), "no grouping factor 'clinic'"),
        (
            lambda fit, d: group_outcomes(
                GeneralizedMixedModel(f"{COMPLETED} + (1 + severity | therapist)").fit(d), "therapist"
            ),
            "'therapist' has the effects Intercept, severity; it is for an intercept alone",
        ),
    ],
)
def test_refusals(call: Any, message: str, mixed: Any, trial: pd.DataFrame) -> None:
    with pytest.raises(AllianceError, match=message):
        call(mixed, trial)
