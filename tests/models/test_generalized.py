"""GeneralizedMixedModel: what it refuses and why, what its notes say, its predictions and its simulations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import AllianceError, ConvergenceError, DataError, FormulaError, Result, predict, random_effects
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.generalized_predict import averaged

COMPLETED = "completed | trials(assigned) ~ alliance + arm + severity + (1 | therapist)"


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    return data("glmm_adherence")


@pytest.fixture(scope="module")
def sessions() -> pd.DataFrame:
    return data("glmm_sessions")


@pytest.fixture(scope="module")
def binomial(trial: pd.DataFrame) -> Result:
    return GeneralizedMixedModel(COMPLETED).fit(trial)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "gaussian"}, "family is 'gaussian'.*betabinomial"),
        ({"link": "log"}, "link is 'log'; family 'binomial' has logit, probit, cloglog"),
        ({"family": "poisson", "link": "logit"}, "link is 'logit'; family 'poisson' has log"),
        ({"quadrature": 0}, "quadrature is 0"),
        ({"quadrature": True}, "quadrature is True"),
        ({"quadrature": 2.5}, "quadrature is 2.5"),
        ({"exposure": "weeks"}, "exposure='weeks'.*not 'logit'"),
        ({"level": 95}, "level is 95"),
        ({"prepare": "Centre"}, "prepare is a str"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        GeneralizedMixedModel(COMPLETED, **options)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("completed | assigned ~ arm + (1 | therapist)", "completed | trials\\(assigned\\)"),
        ("completed | trials(assigned + 1) ~ arm + (1 | therapist)", "trials being a column or a number"),
        ("completed | trials(2 ~ arm + (1 | therapist)", "trials being a column or a number"),
        ("completed | arm | trials(assigned) ~ 1 + (1 | therapist)", "trials being a column or a number"),
    ],
)
def test_left_hand_sides(formula: str, message: str, trial: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match=message):
        GeneralizedMixedModel(formula).fit(trial)


def with_value(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The frame with other values in its first row."""
    frame = frame.astype(dict.fromkeys(values, float))
    for name, value in values.items():
        frame.loc[frame.index[0], name] = value
    return frame


@pytest.mark.parametrize(
    ("formula", "family", "values", "message"),
    [
        (COMPLETED, "binomial", {"completed": 99}, "'completed' holds values above the trials.*1 row .e.g. 99"),
        (COMPLETED, "binomial", {"completed": 2.5}, "'completed' holds fractions in 1 row .e.g. 2.5.*not shares"),
        (COMPLETED, "betabinomial", {"completed": -1}, "'completed' holds values below 0"),
        (COMPLETED, "binomial", {"assigned": 0, "completed": 0}, "'assigned' holds values below 1.*leave out rows"),
        (COMPLETED, "binomial", {"assigned": 12.5}, "'assigned' holds fractions"),
        ("share ~ arm + (1 | therapist)", "beta", {"share": 1.2}, "'share' holds values outside 0 to 1.*not per cent"),
        ("share ~ arm + (1 | therapist)", "beta", {"share": 0}, "'share' holds values of exactly 0 or 1"),
        (
            "share ~ arm + (1 | therapist)",
            "binomial",
            {},
            "'share' holds values other than 0 and 1 in 360 rows.*trials",
        ),
        ("completed ~ arm + (1 | therapist)", "poisson", {"completed": 1.5}, "'completed' holds fractions.*exposure"),
        (
            "completed ~ arm + (1 | therapist)",
            "negativebinomial",
            {"completed": -2},
            "'completed' holds values below 0",
        ),
        ("completed ~ arm + (1 | therapist)", "betabinomial", {}, "'betabinomial' needs a number of trials"),
    ],
)
def test_outcomes_that_no_family_made(
    formula: str, family: str, values: dict[str, float], message: str, trial: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=message):
        GeneralizedMixedModel(formula, family).fit(with_value(trial, **values))


@pytest.mark.parametrize(
    ("formula", "family", "values", "message"),
    [
        (COMPLETED, "binomial", {"completed": 0}, "'completed' is 0 in all 360 rows"),
        ("arm ~ alliance + (1 | therapist)", "binomial", {"arm": 1}, "'arm' is 1 in all 360 rows"),
        ("completed ~ arm + (1 | therapist)", "poisson", {"completed": 0}, "'completed' is 0 in all 360 rows"),
        ("share ~ arm + (1 | therapist)", "beta", {"share": 0.4}, "'share' is 0.4 in all 360 rows"),
        ("completed | trials(1) ~ arm + (1 | therapist)", "betabinomial", {"completed": 1}, "with one trial a row"),
        ("completed ~ arm + (1 | therapist)", "poisson", {"therapist": 3}, "one group only"),
    ],
)
def test_nothing_to_explain(
    formula: str, family: str, values: dict[str, float], message: str, trial: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=message):
        GeneralizedMixedModel(formula, family).fit(trial.assign(**values))


def test_what_else_is_refused(trial: pd.DataFrame, sessions: pd.DataFrame) -> None:
    with pytest.raises(AllianceError, match="has no random effect"):
        GeneralizedMixedModel("arm ~ alliance").fit(trial)
    with pytest.raises(AllianceError, match="family 'poisson' has no trials"):
        GeneralizedMixedModel(COMPLETED, "poisson").fit(trial)
    for random in ("(1 | patient) + (1 | therapist)", "(1 + x | patient)"):
        with pytest.raises(AllianceError, match="quadrature=9 needs one grouping factor with one random effect"):
            GeneralizedMixedModel(f"attended ~ x + {random}", quadrature=9).fit(sessions)
    with pytest.raises(DataError, match="asks for 360 random effects from 360 rows"):
        GeneralizedMixedModel("arm ~ alliance + (1 | row)").fit(trial.assign(row=range(len(trial))))
    with pytest.raises(DataError, match="'weeks' holds values of zero or below"):
        GeneralizedMixedModel("completed ~ arm + (1 | therapist)", "poisson", exposure="weeks").fit(
            trial.assign(weeks=0.0)
        )
    with pytest.raises(DataError, match="'weeks' holds str values"):
        GeneralizedMixedModel("completed ~ arm + (1 | therapist)", "poisson", exposure="weeks").fit(
            trial.assign(weeks="1")
        )
    with pytest.raises(DataError, match="no column 'weeks'"):
        GeneralizedMixedModel("completed ~ arm + (1 | therapist)", "poisson", exposure="weeks").fit(trial)


def test_an_effect_of_each_row_is_overdispersion(trial: pd.DataFrame) -> None:
    """With several trials a row, its own random effect can be estimated."""
    rows = trial.assign(row=range(len(trial)))
    fit = GeneralizedMixedModel(COMPLETED + " + (1 | row)").fit(rows)
    assert fit.tidy().query("group == 'row'")["estimate"].iloc[0] > 0.5


def test_complete_separation_names_the_column(trial: pd.DataFrame) -> None:
    apart = trial.assign(done=(trial["alliance"] > 5).astype(int))
    with pytest.raises(ConvergenceError, match=r"^'alliance' separates the outcomes.*estimate is infinite"):
        GeneralizedMixedModel("done ~ alliance + (1 | therapist)").fit(apart)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_quasi_separation_names_the_level(link: str, trial: pd.DataFrame) -> None:
    """All patients of one site stayed; the others went both ways."""
    site = np.where(trial["severity"] > 1, "north", "south")
    stayed = np.where(site == "north", 1, trial["arm"])
    with pytest.raises(ConvergenceError, match=r"'site\[T.south\]' separates"):
        GeneralizedMixedModel("stayed ~ site + (1 | therapist)", link=link).fit(trial.assign(site=site, stayed=stayed))


def test_counts_that_are_all_zero_in_one_level(trial: pd.DataFrame) -> None:
    site = np.where(trial["severity"] > 1, "north", "south")
    rows = trial.assign(site=site, count=np.where(site == "north", 0, trial["completed"]))
    with pytest.raises(ConvergenceError, match=r"'site\[T.south\]' separates.*only zeros"):
        GeneralizedMixedModel("count ~ site + (1 | therapist)", "poisson").fit(rows)


def test_large_effects_are_not_separation() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=400) * 3
    rows = pd.DataFrame({"x": x, "g": np.arange(400) % 20, "y": rng.binomial(1, 1 / (1 + np.exp(-3 * x)))})
    fit = GeneralizedMixedModel("y ~ x + (1 | g)").fit(rows)
    assert 1.5 < fit.tidy().query("term == 'x'")["estimate"].iloc[0] < 6


def test_therapists_with_one_patient_or_one_outcome_are_fine(trial: pd.DataFrame) -> None:
    """Caseloads of one, and therapists all of whose patients stayed or went."""
    rng = np.random.default_rng(8)
    codes = np.r_[np.arange(30), np.repeat(np.arange(30, 36), 15)]
    effect = np.r_[rng.normal(size=30), -8, -8, 8, 8, 0, 0][codes]
    rows = pd.DataFrame(
        {"therapist": codes, "x": rng.normal(size=120), "y": rng.binomial(1, 1 / (1 + np.exp(-effect)))}
    )
    fit = GeneralizedMixedModel("y ~ x + (1 | therapist)").fit(rows)
    assert fit.glance()["converged"].iloc[0]
    assert np.isfinite(random_effects(fit)["estimate"]).all()


def test_patients_who_never_change_make_the_variance_infinite() -> None:
    rows = pd.DataFrame({"patient": np.repeat(range(40), 10), "y": np.repeat(np.arange(40) % 2, 10)})
    with pytest.raises(ConvergenceError, match=r"never changes within any 'patient'.*goes to infinity"):
        GeneralizedMixedModel("y ~ 1 + (1 | patient)").fit(rows)
    rows.loc[3, "y"] = 1
    with pytest.raises(ConvergenceError, match=r"\(1 \| patient\)': a variance of the random effects goes to infinity"):
        GeneralizedMixedModel("y ~ 1 + (1 | patient)", quadrature=15).fit(rows)


def test_random_effects_too_large_for_laplace_are_noted() -> None:
    """Thirty-two of forty patients never change; the integral's optimum is elsewhere."""
    rows = pd.DataFrame({"patient": np.repeat(range(40), 10), "y": np.repeat(np.arange(40) % 2, 10)})
    rows.loc[rows.index[:80:10], "y"] = 1 - rows["y"]
    laplace, fine = (GeneralizedMixedModel("y ~ 1 + (1 | patient)", quadrature=k).fit(rows) for k in (1, 60))
    assert any("of 'patient' vary by" in note and "quadrature" in note for note in laplace.notes)
    assert any("60 nodes may be too few" in note for note in fine.notes)
    sd, exact = (fit.tidy().query("component == 'random'")["estimate"].iloc[0] for fit in (laplace, fine))
    assert sd > 5
    assert abs(sd / exact - 1) > 0.1


def test_a_variance_of_zero_is_noted() -> None:
    """Every therapist has the same share: standard errors are those without therapists."""
    rows = pd.DataFrame({"therapist": np.repeat(range(10), 4), "x": [0.0, 0, 1, 1] * 10, "y": [0, 1, 1, 1] * 10})
    fit = GeneralizedMixedModel("y ~ x + (1 | therapist)").fit(rows.assign(y=[0, 1, 1, 0] * 10))
    assert fit.glance()["singular"].iloc[0]
    assert "boundary" in fit.notes[-1]
    intercept = fit.tidy().iloc[0]
    assert intercept["estimate"] == pytest.approx(0, abs=1e-8)
    assert intercept["std_error"] == pytest.approx(np.sqrt(4 / 20), rel=1e-6)  # of a logit of ½ from 20 rows


def test_overdispersion_that_is_not_there_is_noted(sessions: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)
    rows = sessions.assign(count=rng.binomial(8, 0.5, len(sessions)))
    fit = GeneralizedMixedModel("count ~ x + (1 | patient)", "negativebinomial").fit(rows)
    plain = GeneralizedMixedModel("count ~ x + (1 | patient)", "poisson").fit(rows)
    assert any("no overdispersion: theta goes to infinity" in note for note in fit.notes)
    assert fit.glance()["deviance"].iloc[0] == pytest.approx(plain.glance()["deviance"].iloc[0], abs=1e-2)
    assert np.allclose(fit.tidy()["estimate"][:2], plain.tidy()["estimate"][:2], atol=1e-3)


def test_losses_are_counted(trial: pd.DataFrame) -> None:
    rows = trial.assign(twice=2 * trial["alliance"], assigned=trial["assigned"].where(trial.index != 5))
    fit = GeneralizedMixedModel(COMPLETED.replace("arm", "arm + twice")).fit(rows)
    assert any("1 of 360 rows left out for missing values (assigned 1)" in note for note in fit.notes)
    assert any("'twice' depends on other terms" in note for note in fit.notes)


def test_trials_as_a_number_or_a_column(trial: pd.DataFrame) -> None:
    ten = trial.assign(completed=np.minimum(trial["completed"], 10), assigned=10)
    one = GeneralizedMixedModel(COMPLETED).fit(ten)
    other = GeneralizedMixedModel(COMPLETED.replace("assigned", "10")).fit(ten)
    pd.testing.assert_frame_equal(one.tidy(), other.tidy())


def test_grouped_and_single_trials_agree(trial: pd.DataFrame) -> None:
    """Sessions one a row instead of a sum: the same estimates, a likelihood without the binomial coefficients."""
    few = trial.head(60)
    single = few.loc[few.index.repeat(few["assigned"])]
    place = np.concatenate([np.arange(m) for m in few["assigned"]])
    single = single.assign(attended=(place < single["completed"]).astype(int))
    one = GeneralizedMixedModel("completed | trials(assigned) ~ alliance + (1 | therapist)").fit(few).tidy()
    other = GeneralizedMixedModel("attended ~ alliance + (1 | therapist)").fit(single).tidy()
    assert np.allclose(one["estimate"], other["estimate"], atol=1e-5)
    assert np.allclose(one["std_error"][:2], other["std_error"][:2], rtol=1e-4)


def test_shift_scale_and_relabelling(trial: pd.DataFrame, binomial: Result) -> None:
    moved = trial.assign(
        alliance=(trial["alliance"] - 4000) / 1000, therapist=trial["therapist"].map(lambda i: f"T{97 * i % 101}")
    ).sample(frac=1, random_state=np.random.RandomState(3))
    one, other = binomial.tidy(), GeneralizedMixedModel(COMPLETED).fit(moved).tidy()
    assert other["estimate"][1] == pytest.approx(1000 * one["estimate"][1], rel=1e-5)
    assert np.allclose(one["estimate"][2:], other["estimate"][2:], rtol=1e-5)
    assert np.allclose(one["std_error"][2:4], other["std_error"][2:4], rtol=1e-5)


def test_population_is_the_average_over_therapists(trial: pd.DataFrame, binomial: Result) -> None:
    """Against a million therapists drawn; the typical therapist is further from a half."""
    new = trial.head(3)
    population, typical = (predict(binomial, new, groups=g, scale="mean")["fitted"] for g in ("population", "typical"))
    eta = predict(binomial, new, groups="typical", scale="link")["fitted"].to_numpy()
    sd = binomial.tidy().query("component == 'random'")["estimate"].iloc[0]
    drawn = 1 / (1 + np.exp(-(eta[:, None] + sd * np.random.default_rng(1).normal(size=1_000_000))))
    assert np.allclose(population, drawn.mean(axis=1), atol=4 * drawn.std(axis=1).max() / 1000)
    assert (np.abs(typical - 0.5) > np.abs(population - 0.5)).all()
    assert np.allclose(typical, 1 / (1 + np.exp(-eta)))


def test_scales(trial: pd.DataFrame, binomial: Result) -> None:
    response, mean, link = (predict(binomial, trial, scale=s) for s in ("response", "mean", "link"))
    assert np.allclose(response, mean.mul(trial["assigned"], axis=0))
    assert np.allclose(mean["fitted"], 1 / (1 + np.exp(-link["fitted"])))
    assert np.allclose(mean["conf_low"], 1 / (1 + np.exp(-link["conf_low"])), atol=1e-10)
    assert np.allclose(response["fitted"], binomial.augment()["fitted"])
    new = trial.head(2).drop(columns="assigned")
    assert predict(binomial, new, scale="mean")["fitted"].notna().all()
    with pytest.raises(DataError, match="'assigned'"):
        predict(binomial, new)
    with pytest.raises(AllianceError, match="scale is 'logit'"):
        predict(binomial, new, scale="logit")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="groups is 'zero'"):
        predict(binomial, new, groups="zero", scale="mean")  # type: ignore[arg-type]


def test_standard_error_of_the_population(trial: pd.DataFrame, binomial: Result) -> None:
    """The delta method in β and θ, against differences of the average in every parameter."""
    state, new = binomial.state, trial.head(1)
    x = state.design.matrix(new)[0]

    def average(parameters: np.ndarray) -> float:
        eta, variance = np.array([x @ parameters[:-1]]), parameters[-1:] ** 2
        return float(averaged("logit", eta, variance)[0][0])

    origin = np.r_[state.coefficients, state.theta]
    slope = np.array([(average(origin + h) - average(origin - h)) / 2e-5 for h in 1e-5 * np.eye(len(origin))])
    expected = np.sqrt(slope @ state.joint @ slope)
    assert predict(binomial, new, groups="population", scale="mean")["std_error"].iloc[0] == pytest.approx(
        expected, rel=1e-6
    )


def test_exposure_is_in_counts(sessions: pd.DataFrame) -> None:
    fit = GeneralizedMixedModel("exercises ~ x + (1 | patient)", "poisson", exposure="days").fit(sessions)
    new = sessions.head(4)
    once, twice = predict(fit, new), predict(fit, new.assign(days=2 * new["days"]))
    assert np.allclose(twice["fitted"], 2 * once["fitted"])
    assert np.allclose(twice["std_error"], 2 * once["std_error"])


@pytest.mark.parametrize(
    ("outcome", "family", "link"), [("exercises", "poisson", "log"), ("attended", "binomial", "cloglog")]
)
def test_another_unit_of_exposure_moves_the_intercept(
    outcome: str, family: str, link: str, sessions: pd.DataFrame
) -> None:
    """Weeks instead of days; with the complementary log-log link the hazard, not the chance, is multiplied."""
    model = GeneralizedMixedModel(f"{outcome} ~ x + (1 | patient)", family, link, exposure="days")
    days, weeks = (model.fit(sessions.assign(days=sessions["days"] / unit)).tidy() for unit in (1, 7))
    assert weeks["estimate"][0] == pytest.approx(days["estimate"][0] + np.log(7), abs=1e-5)
    assert np.allclose(weeks["estimate"][1:], days["estimate"][1:], atol=1e-5)
    assert np.allclose(weeks["std_error"][1:2], days["std_error"][1:2], rtol=1e-5)


@pytest.mark.parametrize("family", ["binomial", "betabinomial", "beta", "poisson", "negativebinomial"])
def test_simulated_outcomes_have_the_fitted_means(family: str, trial: pd.DataFrame, sessions: pd.DataFrame) -> None:
    """New therapists are drawn every time: the mean is the population's, and outcomes of one therapist move together."""
    from alliance_stats import simulate

    counts = family in ("poisson", "negativebinomial")
    formula = "exercises ~ x + (1 | therapist)" if counts else COMPLETED
    formula = "share ~ alliance + (1 | therapist)" if family == "beta" else formula
    fit = GeneralizedMixedModel(formula, family).fit(sessions if counts else trial)
    draws = simulate(fit, 2000, rng=4)
    error = draws.std(axis=0) / np.sqrt(2000)
    z = (draws.mean(axis=0) - fit.augment()["fitted_population"]) / error
    assert np.abs(z).max() < 5
    total = pd.DataFrame(draws.T).groupby(fit.frame["therapist"].to_numpy()).mean().iloc[0]
    alone = draws.var(axis=0)[(fit.frame["therapist"] == fit.frame["therapist"].min()).to_numpy()]
    assert total.var() > 1.2 * alone.mean() / len(alone)


def test_random_effects(binomial: Result) -> None:
    rows = random_effects(binomial)
    assert len(rows) == 24
    assert (rows["component"] == "random").all()
    assert ((rows["conf_low"] < rows["estimate"]) & (rows["estimate"] < rows["conf_high"])).all()
    sizes = binomial.frame.groupby("therapist").size()
    by_size = rows.set_index(rows["at"].astype(int))["std_error"]
    assert by_size[sizes.idxmax()] < by_size[sizes.idxmin()]
    sd = binomial.tidy().query("component == 'random'")["estimate"].iloc[0]
    assert (rows["std_error"] < sd).all()


def test_glance(binomial: Result) -> None:
    row = binomial.glance().iloc[0]
    assert row["deviance"] == -2 * row["log_likelihood"]
    assert row["aic"] == pytest.approx(row["deviance"] + 2 * 5)
    sd = binomial.tidy().query("component == 'random'")["estimate"].iloc[0]
    assert row["icc"] == pytest.approx(sd**2 / (sd**2 + np.pi**2 / 3))
    assert 0 < row["r2_marginal"] < row["r2_conditional"] < 1


def test_shares_of_variance_of_counts(sessions: pd.DataFrame) -> None:
    """Nakagawa, Johnson & Schielzeth (2017): log(1 + 1/λ + 1/θ); none where none is agreed on."""
    fit = GeneralizedMixedModel("exercises ~ x + (1 | patient)", "negativebinomial").fit(sessions)
    rows = fit.tidy().set_index("term")["estimate"]
    own = np.log1p(1 / sessions["exercises"].mean() + 1 / rows["theta"])
    random = rows["sd(Intercept)"] ** 2
    assert fit.glance()["icc"].iloc[0] == pytest.approx(random / (random + own))
    shares = data("glmm_adherence")
    assert "icc" not in GeneralizedMixedModel("share ~ arm + (1 | therapist)", "beta").fit(shares).glance()


def test_few_therapists_are_said_where_they_alone_differ(trial: pd.DataFrame) -> None:
    few = trial[trial["therapist"].isin(trial["therapist"].unique()[:12])]
    codes = few["therapist"].astype("category").cat.codes
    told = "'school' differs only between the 12 groups of 'therapist'"
    fit = GeneralizedMixedModel("completed | trials(assigned) ~ alliance + school + (1 | therapist)").fit(
        few.assign(school=codes % 2)
    )
    assert sum(told in note for note in fit.notes) == 1
    within = GeneralizedMixedModel("completed | trials(assigned) ~ alliance + (1 | therapist)").fit(few)
    assert not any("differs only between" in note for note in within.notes)
