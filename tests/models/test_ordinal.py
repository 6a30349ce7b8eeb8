"""OrdinalModel: conformance, invariants, recovery, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS
from golden.pinned import data

from alliance_stats import (
    AllianceError,
    Centre,
    ConvergenceError,
    DataError,
    FormulaError,
    LinearModel,
    Result,
    anova,
    contrast,
    marginal_means,
    predict,
    simulate,
)
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.models.ordinal_checks import proportional_odds
from alliance_stats.models.ordinal_predict import category_probabilities, group_effects


@cache
def trial() -> pd.DataFrame:
    frame = data("adherence_trial").assign(arm=lambda d: np.where(d["arm"] == 1, "enhanced", "usual"))
    frame.loc[frame.index[::17], "severity"] = np.nan
    return frame.sample(frac=1, random_state=np.random.RandomState(1))


CASES: dict[str, OrdinalModel] = {
    "logit": OrdinalModel("rating ~ alliance * arm"),
    "probit": OrdinalModel("rating ~ alliance + severity", "probit", level=0.9),
    "cloglog": OrdinalModel("rating ~ poly(alliance, 2) + arm", "cloglog"),
    "laplace": OrdinalModel("rating ~ alliance + arm + (1 | therapist)"),
    "quadrature": OrdinalModel("rating ~ alliance + severity + (1 | therapist)", quadrature=5),
    "dependent": OrdinalModel("rating ~ alliance + I(2 * alliance) + arm"),
}


@cache
def fitted(name: str) -> Result:
    return CASES[name].fit(trial())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, check: Callable[..., Any]) -> None:
    check(fitted(name), CASES[name], trial(), trial().dropna().iloc[[3, 40, 77]])


def test_turning_the_scale_turns_the_signs() -> None:
    """Logit and probit are symmetric: 6 − rating has −β and the thresholds in reverse."""
    turned = trial().assign(rating=6 - trial()["rating"])
    for link in ("logit", "probit"):
        one, other = (OrdinalModel("rating ~ alliance + arm", link).fit(frame).state for frame in (trial(), turned))
        assert np.allclose(one.coefficients, -other.coefficients, rtol=1e-8)
        assert np.allclose(one.thresholds, -other.thresholds[::-1], rtol=1e-8)


def test_two_categories_are_a_logistic_regression() -> None:
    from alliance_stats.models.fractional import FractionalModel

    frame = trial().assign(high=(trial()["rating"] > 3).astype(int))
    ordinal, logit = (model("high ~ alliance + arm").fit(frame) for model in (OrdinalModel, FractionalModel))
    theirs = logit.tidy().set_index("term")["estimate"]
    ours = ordinal.tidy().set_index("term")["estimate"]
    assert np.allclose(ours[["alliance", "arm[T.usual]"]], theirs[["alliance", "arm[T.usual]"]], rtol=1e-8)
    assert np.isclose(ours["0|1"], -theirs["Intercept"], rtol=1e-8)
    assert np.allclose(predict(ordinal)["fitted"], predict(logit)["fitted"])
    with pytest.raises(AllianceError, match="two categories have one threshold"):
        proportional_odds(ordinal)


def test_without_predictors_probabilities_are_shares() -> None:
    fit = OrdinalModel("rating ~ 1").fit(trial())
    shares = trial()["rating"].value_counts(normalize=True).sort_index()
    assert np.allclose(category_probabilities(fit).iloc[0], shares, rtol=1e-10)


def test_many_nodes_against_a_fine_grid() -> None:
    """The likelihood of the quadrature's optimum, integrated by the trapezoidal rule on 4001 points."""
    from alliance_stats.numerics.ordinal import cumulative, logs

    fit = OrdinalModel("rating ~ alliance + (1 | therapist)", quadrature=25).fit(trial())
    state = fit.state
    model = cumulative(state.rating.codes, 5, state.design.matrix(fit.frame)[:, state.kept], "logit")
    phi, u = np.concatenate([state.thresholds, state.coefficients]), np.linspace(-9, 9, 4001)
    each = np.empty((len(u), len(state.groups)))
    for row, value in zip(each, u, strict=True):
        at = logs("logit", *model.ends(phi, state.sigma * value))
        assert at is not None
        row[:] = np.bincount(state.codes, at.value) - value**2 / 2 - np.log(2 * np.pi) / 2
    total = np.log(np.exp(each).sum(axis=0) * (u[1] - u[0])).sum()
    assert np.isclose(fit.glance()["log_likelihood"].iloc[0], total, rtol=0, atol=1e-7)


def test_probabilities_and_means_agree() -> None:
    for name in ("laplace", "logit"):
        fit = fitted(name)
        p = category_probabilities(fit)
        assert np.allclose(p.sum(axis=1), 1)
        assert np.allclose(p.to_numpy() @ np.arange(1.0, 6), predict(fit)["fitted"], rtol=1e-8)


def test_conditional_probabilities() -> None:
    fit = fitted("laplace")
    effects = group_effects(fit).set_index("at")["estimate"]
    best, worst = effects.idxmax(), effects.idxmin()
    new = pd.DataFrame({"alliance": 5.0, "arm": "usual", "therapist": [int(best), int(worst), 999]})
    found = category_probabilities(fit, new, groups="conditional")
    population = category_probabilities(fit, new)
    assert found["5"].iloc[0] > population["5"].iloc[0] > found["5"].iloc[1]
    assert np.allclose(found.iloc[2], population.iloc[2])
    with pytest.raises(AllianceError, match="with a random intercept"):
        category_probabilities(fitted("logit"), new, groups="conditional")
    with pytest.raises(AllianceError, match="groups is 'all'"):
        category_probabilities(fit, new, groups="all")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="no random intercept"):
        group_effects(fitted("logit"))
    with pytest.raises(AllianceError, match="not of LinearModel"):
        category_probabilities(LinearModel("rating ~ alliance").fit(trial()))


def test_delta_errors_with_therapists_against_differences() -> None:
    from alliance_stats.models.ordinal_predict import linear_part, mean_rating

    fit = fitted("laplace")
    state, frame = fit.state, fit.frame.head(4)
    X, _ = linear_part(fit, frame)
    base = np.concatenate([state.thresholds, state.coefficients, [state.sigma]])

    def mean(p: np.ndarray) -> np.ndarray:
        return mean_rating(state.link, state.rating, p[:4], X @ p[4:-1], p[-1]).mean

    steps = 1e-5 * np.eye(len(base))
    J = np.array([(mean(base + s) - mean(base - s)) / 2e-5 for s in steps]).T
    assert np.allclose(
        predict(fit, frame)["std_error"], np.sqrt(np.einsum("ij,jk,ik->i", J, state.joint, J)), rtol=1e-6
    )


def test_intervals_stay_on_the_scale() -> None:
    fit = fitted("dependent")
    rows = predict(fit, pd.DataFrame({"alliance": [-20.0, 30.0], "arm": "usual"}))
    assert rows["conf_low"].ge(1).all()
    assert rows["conf_high"].le(5).all()


def test_contrasts_and_tests() -> None:
    """The thresholds take the intercept's place: differences have meaning, single means on the latent scale have not."""
    fit = OrdinalModel("rating ~ alliance + arm").fit(trial())
    assert np.isclose(abs(contrast(fit, "arm")["estimate"].iloc[0]), abs(fit.tidy()["estimate"].iloc[1]))
    assert anova(fit)["p_value"].between(0, 1).all()
    with pytest.raises(AllianceError, match="cannot be estimated"):
        marginal_means(fit, "arm")


def test_proportional_odds_finds_what_is_not() -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"x": rng.integers(0, 2, 1500), "z": rng.normal(size=1500), "g": rng.integers(0, 30, 1500)})
    latent = frame["z"] + rng.logistic(size=1500) * np.where(frame["x"] == 1, 2.5, 1.0)  # x widens, and does not shift
    frame["rating"] = np.digitize(latent, [-1.5, 0, 1.5])
    for formula in ("rating ~ x + z", "rating ~ x + z + (1 | g)"):
        tests = proportional_odds(OrdinalModel(formula).fit(frame)).set_index("term")
        assert tests.loc["x", "p_value"] < 1e-6
        assert tests.loc["x", "df_num"] == 2


def test_proportional_odds_keeps_its_level() -> None:
    """5 % in 200 samples in which odds are proportional; three Monte Carlo errors are 4.6 points."""
    rng, rejected = np.random.default_rng(9), 0
    for _ in range(200):
        frame = pd.DataFrame({"x": rng.normal(size=150)})
        frame["rating"] = np.digitize(0.7 * frame["x"] + rng.logistic(size=150), [-1, 0, 1])
        rejected += proportional_odds(OrdinalModel("rating ~ x").fit(frame))["p_value"].iloc[0] < 0.05
    assert 0.004 < rejected / 200 < 0.096


def test_recovery_with_therapists() -> None:
    rng, found = np.random.default_rng(12), []
    for _ in range(24):
        g = np.repeat(np.arange(40), 8)
        frame = pd.DataFrame({"g": g, "x": rng.normal(size=320)})
        latent = 0.6 * frame["x"] + rng.normal(0, 0.8, 40)[g] + rng.logistic(size=320)
        frame["rating"] = np.digitize(latent, [-1, 0.5, 2])
        state = OrdinalModel("rating ~ x + (1 | g)").fit(frame).state
        found.append([*state.thresholds, *state.coefficients, state.sigma])
    estimates, truth = np.array(found), np.array([-1, 0.5, 2, 0.6, 0.8])
    error = estimates.std(axis=0) / np.sqrt(24)
    assert (np.abs(estimates.mean(axis=0) - truth)[:4] < 4 * error[:4]).all()
    assert (
        abs(estimates.mean(axis=0)[4] - 0.8) < 4 * error[4] + 0.02
    )  # maximum likelihood is low by about 1/(2 · groups)


def test_simulated_ratings_have_the_fitted_mean() -> None:
    fit = fitted("laplace")
    draws = simulate(fit, 800, rng=2)
    error = draws.mean(axis=1).std() / np.sqrt(800)
    assert abs(draws.mean() - fit.augment()["fitted"].mean()) < 4 * error


def test_a_variance_of_zero() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.tile(np.arange(6), 30), "x": rng.normal(size=180)})
    frame["rating"] = np.tile([1, 2, 3], 60)[np.argsort(np.argsort(frame["x"] + rng.normal(size=180)))]
    frame = pd.concat([frame.assign(g=k) for k in range(6)])  # every group the same patients
    fit = OrdinalModel("rating ~ x + (1 | g)").fit(frame)
    assert "estimated at the boundary" in fit.notes[-1]
    assert fit.glance()["singular"].iloc[0]
    plain = OrdinalModel("rating ~ x").fit(frame)
    assert np.isclose(fit.glance()["log_likelihood"].iloc[0], plain.glance()["log_likelihood"].iloc[0])
    assert fit.tidy().query("component == 'random'")["estimate"].iloc[0] == 0


def test_ordered_categories_and_unused_levels() -> None:
    names = ["never", "rarely", "sometimes", "often", "always", "cannot say"]
    codes = trial()["rating"].to_numpy() - 1
    column = pd.Categorical.from_codes(codes, names, ordered=True)
    fit = OrdinalModel("rating ~ alliance").fit(trial().assign(rating=column))
    plain = OrdinalModel("rating ~ alliance").fit(trial())
    assert fit.notes == (
        "no row has 'rating' at cannot say: the categories beside it share a threshold, and its probability is zero",
    )
    assert np.allclose(fit.tidy()["estimate"], plain.tidy()["estimate"])
    assert list(category_probabilities(fit).columns) == names[:5]
    assert "never|rarely" in fit.tidy()["term"].tolist()
    skipped = OrdinalModel("rating ~ alliance").fit(trial().assign(rating=trial()["rating"].replace(3, 2)))
    assert "no row has 'rating' at 3" in skipped.notes[0]
    assert skipped.state.rating.thresholds == ("1|2", "2|4", "4|5")
    assert skipped.state.rating.scores.tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (lambda d: d["rating"].map({1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}), "without an order"),
        (lambda d: d["rating"] + 0.5, "holds fractions in 360 rows"),
        (lambda d: 3, "is 3 in all 360 rows"),
        (lambda d: d["id"], "has 360 different values; a rating has few"),
    ],
)
def test_outcomes_refused(outcome: Callable[[pd.DataFrame], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        OrdinalModel("rating ~ alliance").fit(trial().assign(rating=outcome(trial())))


def test_refusals() -> None:
    frame = trial()
    with pytest.raises(FormulaError, match="thresholds take the intercept's place"):
        OrdinalModel("rating ~ 0 + alliance").fit(frame)
    with pytest.raises(FormulaError, match="a column, not an expression"):
        OrdinalModel("log(rating) ~ alliance").fit(frame)
    with pytest.raises(AllianceError, match="one random intercept"):
        OrdinalModel("rating ~ alliance + (1 + alliance | therapist)").fit(frame)
    with pytest.raises(AllianceError, match="one random intercept"):
        OrdinalModel("rating ~ alliance + (1 | therapist) + (1 | arm)").fit(frame)
    with pytest.raises(AllianceError, match="quadrature=5 is for a random intercept"):
        OrdinalModel("rating ~ alliance", quadrature=5).fit(frame)
    with pytest.raises(DataError, match="one group only"):
        OrdinalModel("rating ~ alliance + (1 | therapist)").fit(frame.assign(therapist=1))
    with pytest.raises(DataError, match="cannot be told apart from chance"):
        OrdinalModel("rating ~ alliance + (1 | id)").fit(frame)
    with pytest.raises(DataError, match="cannot estimate"):
        OrdinalModel("rating ~ alliance").fit(frame.head(5).assign(rating=[1, 2, 3, 4, 5]))
    with pytest.raises(AllianceError, match="is for OrdinalModel"):
        proportional_odds(LinearModel("rating ~ alliance").fit(frame))


def test_separation() -> None:
    """Complete, and quasi-complete: the highest category at one level alone."""
    frame = trial().assign(sure=(trial()["rating"] > 2).astype(float))
    with pytest.raises(ConvergenceError, match="'sure' separates the categories"):
        OrdinalModel("rating ~ alliance + sure").fit(frame.assign(rating=frame["rating"].clip(2, 3)))
    extreme = frame.assign(group=np.where(frame["rating"] == 5, "best", "other"))
    with pytest.raises(ConvergenceError, match=r"'group\[T.other\]' separates"):
        OrdinalModel("rating ~ group").fit(extreme)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link": "loglog"}, "link is 'loglog'"),
        ({"quadrature": 0}, "quadrature is 0"),
        ({"quadrature": True}, "quadrature is True"),
        ({"level": 95}, "level is 95"),
        ({"prepare": "Centre"}, "prepare is a str"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        OrdinalModel("rating ~ arm", **options)


def test_prepared() -> None:
    steps = (Centre("alliance", by="therapist", time="id"),)
    fit = OrdinalModel("rating ~ alliance_within + alliance_between", prepare=steps).fit(data("adherence_trial"))
    assert fit.tidy()["term"].tolist()[:2] == ["alliance_within", "alliance_between"]
    assert len(category_probabilities(fit, data("adherence_trial").head(20))) == 20


def test_units_do_not_matter() -> None:
    """A predictor in other units, with therapists: the search is in standard errors."""
    one = OrdinalModel("rating ~ alliance + (1 | therapist)").fit(trial())
    other = OrdinalModel("rating ~ alliance + (1 | therapist)").fit(
        trial().assign(alliance=1e4 * trial()["alliance"] + 5e5)
    )
    assert np.isclose(one.state.coefficients[0], 1e4 * other.state.coefficients[0], rtol=1e-6)
    assert np.isclose(one.state.sigma, other.state.sigma, rtol=1e-6)
