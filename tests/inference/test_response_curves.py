"""Expected outcomes and effects along a predictor, for every model of adherence."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data
from scipy import special, stats

from alliance_stats import average_marginal_effects, average_outcomes, predict
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.response_curves import effect_curve, outcome_curve
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.beta_predict import mean_and_derivatives
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.ordinal import OrdinalModel

X = "alliance + severity + arm"
COMPLETED = f"completed | trials(assigned) ~ {X}"
MODELS: dict[str, Any] = {
    "mixed": GeneralizedMixedModel(f"{COMPLETED} + (1 | therapist)"),
    "beta-binomial": GeneralizedMixedModel(f"{COMPLETED} + (1 | therapist)", "betabinomial"),
    "beta": BetaModel(f"share_ends ~ {X}", zero="severity", one="alliance", vcov="CR1", cluster="therapist"),
    "fractional": FractionalModel(COMPLETED, vcov="CR2", cluster="therapist"),
    "gee": GEE(COMPLETED, cluster="therapist", vcov="bias_reduced"),
    "gee counts": GEE(f"completed ~ {X}", "poisson", cluster="therapist"),
    "ordinal": OrdinalModel(f"rating ~ {X}"),
    "ordinal mixed": OrdinalModel(f"rating ~ {X} + (1 | therapist)", quadrature=7),
    "linear": LinearModel(f"share ~ {X}"),
}


@cache
def trial() -> pd.DataFrame:
    frame = data("adherence_trial")
    frame.loc[3, "severity"] = np.nan
    return frame.assign(arm=np.where(frame["arm"] == 1, "enhanced", "usual"))


@cache
def fitted(name: str):  # type: ignore[no-untyped-def]
    return MODELS[name].fit(trial())


@pytest.mark.parametrize("name", MODELS)
def test_means_are_averages_of_predictions(name: str) -> None:
    fit = fitted(name)
    curve = outcome_curve(fit, "alliance", by="arm", points=4)
    assert list(curve) == ["alliance", "arm", "fitted", "conf_low", "conf_high"]
    options: dict[str, Any] = {"groups": "population"} if getattr(fit.state, "groupings", ()) else {}
    scaled: dict[str, Any] = {} if name in ("beta", "ordinal", "ordinal mixed", "linear") else {"scale": "mean"}
    for row in curve.itertuples():
        rows = predict(fit, fit.frame.assign(alliance=row.alliance, arm=row.arm), **options, **scaled)
        assert np.isclose(row.fitted, rows["fitted"].mean(), rtol=1e-10)
        assert row.conf_low < row.fitted < row.conf_high
    for arm, own in curve.groupby("arm"):
        seen = fit.frame.loc[fit.frame["arm"] == arm, "alliance"]
        assert [own["alliance"].min(), own["alliance"].max()] == [seen.min(), seen.max()]


@pytest.mark.parametrize("name", ["mixed", "linear"])
def test_the_same_numbers_as_average_outcomes(name: str) -> None:
    fit = fitted(name)
    curve = outcome_curve(fit, "alliance", at={"arm": "usual"}, points=3)
    rows = average_outcomes(fit, "alliance", curve["alliance"].to_numpy(), at={"arm": "usual"}, scale="mean")
    pd.testing.assert_frame_equal(
        curve[["fitted", "conf_low", "conf_high"]],
        rows[["estimate", "conf_low", "conf_high"]].rename(columns={"estimate": "fitted"}),
    )


@pytest.mark.parametrize("name", ["mixed", "fractional", "gee"])
def test_sessions_are_shares_of_those_assigned(name: str) -> None:
    fit = fitted(name)
    sessions = outcome_curve(fit, "alliance", scale="response", points=3)
    for row in sessions.itertuples():
        new = fit.frame.assign(alliance=row.alliance)
        assert np.isclose(
            row.fitted, predict(fit, new, **({"groups": "population"} if name == "mixed" else {}))["fitted"].mean()
        )
    assert (sessions["conf_high"] < fit.frame["assigned"].mean()).all()


def test_limits_of_the_beta_mean() -> None:
    """Symmetric on the logit, with t of the clusters: 24 therapists, 23 degrees of freedom."""
    fit = fitted("beta")
    row = outcome_curve(fit, "alliance", values=[6.0]).iloc[0]
    _, J = mean_and_derivatives(fit, fit.frame.assign(alliance=6.0))
    error = np.sqrt(J.mean(axis=0) @ fit.state.joint @ J.mean(axis=0))
    half = stats.t.ppf(0.975, 23) * error / (row["fitted"] * (1 - row["fitted"]))
    expected = special.expit(special.logit(row["fitted"]) + np.array([-half, half]))
    assert np.allclose(row[["conf_low", "conf_high"]], expected, rtol=1e-10)


def test_derivatives_of_the_beta_mean() -> None:
    fit, h = fitted("beta"), 1e-6
    mean, J = mean_and_derivatives(fit, fit.frame)
    for part in fit.state.parts:
        for k, place in enumerate(range(part.places.start, part.places.stop)):
            moved = []
            for side in (-h, h):
                part.coefficients[k] += side
                moved.append(mean_and_derivatives(fit, fit.frame)[0])
                part.coefficients[k] -= side
            assert np.allclose((moved[1] - moved[0]) / (2 * h), J[:, place], atol=1e-8)
    assert np.isfinite(mean).all()


def test_effects_along_the_alliance() -> None:
    fit = fitted("beta-binomial")
    arm = effect_curve(fit, "arm", "alliance", points=3)
    assert list(arm) == ["alliance", "estimate", "conf_low", "conf_high", "significant"]
    for row in arm.itertuples():
        rows = average_marginal_effects(fit, "arm", at={"alliance": row.alliance}, scale="mean")
        assert np.allclose(
            rows[["estimate", "conf_low", "conf_high"]].iloc[0], [row.estimate, row.conf_low, row.conf_high]
        )
    slope = effect_curve(fit, "alliance", "alliance", points=41)
    curve = outcome_curve(fit, "alliance", points=41)
    steps = np.gradient(curve["fitted"], curve["alliance"])
    assert np.allclose(slope["estimate"][1:-1], steps[1:-1], rtol=2e-3)
    assert (slope["significant"] == (slope["conf_low"] > 0)).all()
    step = effect_curve(fit, "severity", "alliance", step=1, points=2)
    assert (step["estimate"] < 0).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: outcome_curve(fitted("mixed"), "arm"), AllianceError, "'arm' is a factor; give a number"),
        (lambda: outcome_curve(fitted("mixed"), "alliance", by="severity"), AllianceError, "by='severity' is a number"),
        (lambda: outcome_curve(fitted("mixed"), "bond"), DataError, "no column 'bond'"),
        (lambda: outcome_curve(fitted("gee"), "alliance", groups="typical"), AllianceError, "groups='typical' is for"),
        (lambda: effect_curve(fitted("mixed"), "arm", "arm"), AllianceError, "'arm' is a factor"),
        (
            lambda: effect_curve(fitted("mixed"), "alliance", "alliance", step=1),
            AllianceError,
            "leave values= and step=",
        ),
        (lambda: effect_curve(fitted("gee"), "arm", "alliance"), AllianceError, "GEE has no mean"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
