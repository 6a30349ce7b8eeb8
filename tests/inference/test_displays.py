"""Frames of the figures of mixed models: residuals, standardised random effects, slopes within and between patients."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.mixed_pinned import SPREAD, Fit, data_of, fits, name_of, refitted
from golden.pinned import pinned

from alliance_stats import Centre, LinearModel, MixedModel, Result, SummaryStatistics, contrast, predict
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.displays import (
    contextual_effect,
    residuals,
    standardised_random_effects,
    within_between,
)
from alliance_stats.inference.groups import random_effects

MODEL = "pain ~ alliance_within + alliance_between + {}"


def course(patients: int = 40, therapists: int = 8, weeks: int = 6, seed: int = 3) -> pd.DataFrame:
    """Unbalanced courses: ratings and outcomes of patients of therapists, a seventh of the rows absent."""
    rng = np.random.default_rng(seed)
    patient, week = np.repeat(np.arange(patients), weeks), np.tile(np.arange(float(weeks)), patients)
    therapist, mean = patient % therapists, rng.normal(5, 0.8, patients)[patient]
    alliance = mean + rng.normal(0, 0.6, len(patient))
    slope = rng.normal(-0.3, 0.2, patients)[patient]
    pain = 6 - 0.2 * week + rng.normal(0, 1, patients)[patient] + rng.normal(0, 0.5, therapists)[therapist]
    pain += slope * (alliance - mean) - 0.8 * (mean - 5) + rng.normal(0, 0.9, len(patient))
    frame = pd.DataFrame({
        "patient": patient, "case": patient // therapists, "therapist": [f"t{k}" for k in therapist], "week": week,
        "arm": np.where(patient % 2 == 0, "usual", "exercise"), "alliance": alliance, "pain": pain,
        "w": rng.uniform(0.5, 2, len(patient)),
    })  # fmt: skip
    kept = frame[rng.random(len(frame)) > 1 / 7].reset_index(drop=True)
    return Centre("alliance", by="patient", time="week")(kept)


@cache
def fitted(random: str, **options: Any) -> Result:
    return MixedModel(MODEL.format(random), **options).fit(course())


# residuals


@pytest.mark.parametrize("fit", fits("mixed_unequal"), ids=name_of)
def test_standardised_residuals_are_nlmes_pearson_residuals(fit: Fit) -> None:
    expected, data = pinned(*fit), data_of(fit)
    random = expected["random_formula"].removeprefix("~").replace("cluster", "therapist")
    if expected["strata"] == "status":
        data = data.assign(status=np.where(data["treated"] == 1, "treated", "untreated"))
    model = MixedModel(f"{expected['formula']} + ({random})", method=expected["method"], residual_by=expected["strata"])
    found = residuals(model.fit(data))["standardised"].head(10)
    # nlme stops at about 1e-6 of its parameters; residuals are counted in standard deviations
    assert found.to_numpy() == pytest.approx(np.array(expected["residual_pearson"]), rel=0, abs=5e-5)


@pytest.mark.parametrize(
    ("random", "options"),
    [
        ("week + (1 | patient)", {}),
        ("week + (1 + alliance_within | patient) + (1 | therapist)", {"method": "ML"}),
        ("arm + (1 | therapist) + (1 | week)", {"weights": "w"}),
        ("arm + (1 | patient)", {"residual_by": "arm", "weights": "w"}),
    ],
)
def test_studentised_residuals_are_those_of_dense_matrices(random: str, options: dict[str, Any]) -> None:
    """Var(y − Xβ̂ − Zb̂) = R P R, P = V⁻¹ − V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹."""
    fit = fitted(random, **options)
    state, found = fit.state, residuals(fit)
    R = np.diag(found["sigma"].to_numpy() ** 2)
    V = R.copy()
    psi = _covariances(fit)
    for grouping in state.groupings:
        same = grouping.level.codes[:, None] == grouping.level.codes
        V += same * (grouping.level.Z @ psi[grouping.name] @ grouping.level.Z.T)
    X = state.design.matrix(fit.frame)
    VX = np.linalg.solve(V, X)
    P = np.linalg.inv(V) - VX @ np.linalg.solve(X.T @ VX, VX.T)
    wanted = state.residual / np.sqrt(np.diag(R @ P @ R))
    assert found["studentised"].to_numpy() == pytest.approx(wanted, rel=1e-8)  # two inversions of V


def _covariances(fit: Result) -> dict[str, np.ndarray]:
    """Covariance matrices of the random effects from the printed standard deviations and correlations."""
    rows = fit.tidy()
    found = {}
    for grouping in fit.state.groupings:
        own = rows[rows["group"] == grouping.name].set_index("term")["estimate"]
        sd = np.array([own[f"sd({effect})"] for effect in grouping.effects])
        matrix = np.diag(sd**2)
        if len(sd) == 2:
            first, second = grouping.effects
            matrix[0, 1] = matrix[1, 0] = own.get(f"cor({first},{second})", 0.0) * sd[0] * sd[1]
        found[grouping.name] = matrix
    return found


@pytest.mark.parametrize("options", [{}, {"vcov": "CR2", "cluster": "therapist"}])
def test_studentised_residuals_of_a_linear_model(options: dict[str, Any]) -> None:
    fit = LinearModel("pain ~ alliance + arm", **options).fit(course())
    found = residuals(fit)
    X = np.column_stack([np.ones(len(found)), found["alliance"], found["arm"] == "usual"]).astype(float)
    left = np.eye(len(X)) - X @ np.linalg.pinv(X)
    e = left @ found["pain"].to_numpy()
    sigma = np.sqrt(e @ e / (len(X) - 3))
    assert found["sigma"].to_numpy() == pytest.approx(sigma, rel=1e-10)
    assert found["studentised"].to_numpy() == pytest.approx(e / sigma / np.sqrt(np.diag(left)), rel=1e-9)
    assert found["standardised"].to_numpy() == pytest.approx(e / sigma, rel=1e-9, abs=1e-11)


def test_studentised_residuals_vary_by_one_and_standardised_by_less() -> None:
    """Recovery, with three Monte Carlo standard errors of a mean square of 2400 residuals of 600 patients."""
    rng = np.random.default_rng(11)
    data = pd.DataFrame({"patient": np.repeat(range(600), 4), "week": np.tile(np.arange(4.0), 600)})
    data["pain"] = data["week"] + np.repeat(rng.normal(0, 2, 600), 4) + rng.normal(0, 1.5, 2400)
    found = residuals(MixedModel("pain ~ week + (1 | patient)").fit(data))
    error = 3 * np.sqrt(2 / 1800)  # three free residuals a patient
    assert abs((found["studentised"] ** 2).mean() - 1) < error
    assert (found["standardised"] ** 2).mean() == pytest.approx(0.78, abs=error)  # 1 − λ/4, λ = 4·4/(4·4 + 2.25)


def test_rows_left_out_of_the_fit_have_no_residual() -> None:
    data = course()
    data.loc[[3, 10, 11], "pain"] = np.nan
    found = residuals(MixedModel(MODEL.format("(1 | patient)")).fit(data))
    assert list(found.index) == [i for i in data.index if i not in (3, 10, 11)]
    assert found[["sigma", "standardised", "studentised"]].notna().all(axis=None)


def test_a_row_that_is_fitted_exactly_has_no_studentised_residual() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 4, 3, 9], "x": [1.0, 2, 3, 4, 5], "own": [0, 0, 0, 0, 1]})
    found = residuals(LinearModel("y ~ x + own").fit(data))
    assert found["studentised"].isna().tolist() == [False] * 4 + [True]


def test_residuals_that_do_not_exist_are_refused() -> None:
    printed = pd.DataFrame({"group": ["a", "b"], "n": [20, 20], "mean": [3.0, 4], "sd": [1.0, 1]})
    with pytest.raises(AllianceError, match="SummaryStatistics has no residuals"):
        residuals(SummaryStatistics(sd="sd").fit(printed))
    exact = LinearModel("y ~ 1").fit(pd.DataFrame({"y": [2.0, 2.0, 2.0]}))
    with pytest.raises(AllianceError, match="fits its data exactly"):
        residuals(exact)


# random effects


def test_standardised_modes_vary_by_one_whatever_the_size_of_the_group() -> None:
    """Therapists with one patient beside therapists with eight; the error is that of 800 squares, three times."""
    rng = np.random.default_rng(7)
    sizes = np.tile([1, 8], 400)
    therapist = np.repeat(np.arange(800), sizes)
    data = pd.DataFrame({"therapist": therapist})
    data["pain"] = rng.normal(0, 0.8, 800)[therapist] + rng.normal(0, 1, len(therapist))
    found = standardised_random_effects(MixedModel("pain ~ 1 + (1 | therapist)").fit(data))
    for size in (1, 8):
        own = found["standardised"].to_numpy()[sizes == size]
        assert abs((own**2).mean() - 1) < 3 * np.sqrt(2 / 400)
    spread = found["estimate"].to_numpy()
    assert spread[sizes == 1].std() < 0.75 * spread[sizes == 8].std()


def test_standardised_modes_by_hand_with_slopes_and_crossed_factors() -> None:
    fit = fitted("week + (1 + week | patient) + (1 | therapist)")
    found, modes = standardised_random_effects(fit), random_effects(fit)
    sd = fit.tidy().set_index(["group", "term"])["estimate"]
    between = np.array([sd[g, f"sd({t})"] for g, t in zip(modes["group"], modes["term"], strict=True)])
    assert found["standardised"].to_numpy() == pytest.approx(
        (modes["estimate"] / np.sqrt(between**2 - modes["std_error"] ** 2)).to_numpy(), rel=1e-9
    )
    only = standardised_random_effects(fit, "therapist")
    assert set(only["group"]) == {"therapist"}
    assert list(found.columns) == [*modes.columns, "standardised"]


def test_a_variance_of_zero_has_no_standardised_modes() -> None:
    data = pd.DataFrame({"therapist": np.repeat(range(10), 6), "y": np.tile([-1.0, 1, 0, 2, -2, 0], 10)})
    fit = MixedModel("y ~ 1 + (1 | therapist)").fit(data)
    found = standardised_random_effects(fit)
    assert (found["estimate"] == 0).all()
    assert found["standardised"].isna().all()


# contextual effect


@pytest.mark.parametrize("path", [("growth", "reml"), ("therapist_slope", "ml"), ("nested_reused_ids", "reml")])
def test_contextual_effect_is_that_of_lme4s_coefficients(path: tuple[str, ...]) -> None:
    fit = ("mixed_therapy", *path)
    expected = pinned(*fit)
    b = {row["term"]: row["estimate"] for row in expected["fixed"]}
    names = expected["vcov"]["terms"]
    L = np.array([(name == "alliance_between") - (name == "alliance_within") for name in names], dtype=float)
    std_error = np.sqrt(L @ np.array(expected["vcov"]["values"]) @ L)
    found = contextual_effect(refitted(fit), "alliance").set_index("term")
    assert list(found.index) == ["between", "within", "contextual"]
    assert found.loc["contextual", "std_error"] == pytest.approx(std_error, rel=SPREAD)
    wanted = [b["alliance_between"], b["alliance_within"], b["alliance_between"] - b["alliance_within"]]
    assert found["estimate"].to_numpy() == pytest.approx(np.array(wanted), rel=0, abs=SPREAD * std_error)


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward-roger"])
def test_contextual_effect_is_the_coefficient_of_the_mean_beside_the_rating(df_method: Any) -> None:
    """The same model in other coordinates, degrees of freedom and interval included."""
    random = "week + (1 | patient) + (1 | therapist)"
    found = contextual_effect(fitted(random, df_method=df_method), "alliance").iloc[2]
    other = MixedModel(f"pain ~ alliance + alliance_between + {random}", df_method=df_method).fit(course()).tidy()
    wanted = other.set_index("term").loc["alliance_between"]
    for name in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
        assert found[name] == pytest.approx(wanted[name], rel=1e-5), name  # two optima, each to about 1e-7 in θ


def test_contextual_effect_with_moderators() -> None:
    data = course()
    fit = MixedModel("pain ~ (alliance_within + alliance_between) * arm + (1 | patient)").fit(data)
    b = fit.tidy().set_index("term")["estimate"]
    usual = contextual_effect(fit, "alliance", at={"arm": "usual"})
    assert usual["estimate"].tolist()[:2] == pytest.approx(
        [b[f"alliance_{part}"] + b[f"alliance_{part}:arm[T.usual]"] for part in ("between", "within")], rel=1e-10
    )
    assert usual["at"].tolist() == ["arm = usual"] * 3
    mean = contextual_effect(fit, "alliance")["estimate"]
    both = [contextual_effect(fit, "alliance", at={"arm": arm})["estimate"] for arm in ("usual", "exercise")]
    assert mean.to_numpy() == pytest.approx(((both[0] + both[1]) / 2).to_numpy(), rel=1e-10)
    narrow = contextual_effect(fit, "alliance", level=0.5)
    assert (narrow["conf_high"] - narrow["conf_low"] < usual["conf_high"] - usual["conf_low"]).all()


def test_contextual_effect_at_the_patients_of_therapists() -> None:
    data = Centre("alliance", by=("patient", "therapist"), time="week")(course().drop(columns="alliance_between"))
    fit = MixedModel(
        "pain ~ alliance_within + alliance_between_patient + alliance_between_therapist + (1 | patient) + (1 | therapist)"
    ).fit(data)
    found = contextual_effect(fit, "alliance")
    wanted = contrast(fit, weights={"c": {"alliance_between_patient": 1, "alliance_within": -1}}, adjust="none")
    assert found["estimate"].iloc[2] == pytest.approx(wanted["estimate"].iloc[0], rel=1e-12)
    assert within_between(fit, "alliance")["part"].eq("patient").sum() == 40


def test_slopes_that_do_not_exist_are_refused() -> None:
    data = course()
    cubic = MixedModel("pain ~ alliance_within + I(alliance_within^3) + alliance_between + (1 | patient)").fit(data)
    with pytest.raises(AllianceError, match=r"'alliance_within' enters curved.*simple_slopes"):
        contextual_effect(cubic, "alliance")
    with pytest.raises(DataError, match="no column 'bond_within'"):
        contextual_effect(cubic, "bond")
    half = MixedModel("pain ~ alliance_within + (1 | patient)").fit(data)
    with pytest.raises(DataError, match="no column 'alliance_between'"):
        within_between(half, "alliance")
    split = data.assign(alliance_between=np.where(data["alliance_between"] > 5, "high", "low"))
    with pytest.raises(AllianceError, match="'alliance_between' is a factor"):
        contextual_effect(MixedModel(MODEL.format("(1 | patient)")).fit(split), "alliance")


# the frame of slopes within and between


def test_patients_means_are_the_raw_ones_where_nothing_else_is_in_the_model() -> None:
    fit = fitted("(1 | patient)")
    frame = within_between(fit, "alliance")
    points = frame[frame["part"] == "patient"].set_index("at")
    raw = course().groupby(course()["patient"].astype(str))[["alliance", "pain"]].agg(["mean", "size"])
    assert points["alliance"].to_numpy() == pytest.approx(
        raw["alliance", "mean"].loc[points.index].to_numpy(), rel=1e-12
    )
    assert points["pain"].to_numpy() == pytest.approx(raw["pain", "mean"].loc[points.index].to_numpy(), rel=1e-10)
    assert points["n"].tolist() == raw["pain", "size"].loc[points.index].tolist()
    assert (frame["adjusted_for"] == "").all()


def test_lines_are_the_models_predictions() -> None:
    fit = fitted("week * arm + (1 + alliance_within | patient) + (1 | therapist)")
    frame = within_between(fit, "alliance", at={"arm": "usual", "week": 2.0}, points=7)
    line = frame[frame["part"] == "between"]
    new = pd.DataFrame({"alliance_within": 0.0, "alliance_between": line["alliance"], "week": 2.0, "arm": "usual"})
    wanted = predict(fit, new, groups="population")
    for ours, theirs in (("pain", "fitted"), ("conf_low", "conf_low"), ("conf_high", "conf_high")):
        assert line[ours].to_numpy() == pytest.approx(wanted[theirs].to_numpy(), rel=1e-9)
    means = frame.loc[frame["part"] == "patient", "alliance"]
    assert (line["alliance"].min(), line["alliance"].max()) == pytest.approx((means.min(), means.max()))
    effects = contextual_effect(fit, "alliance").set_index("term")["estimate"]
    ends = frame.loc[frame["part"] == "within", ["alliance", "pain"]].to_numpy()
    slope = (ends[1, 1] - ends[0, 1]) / (ends[1, 0] - ends[0, 0])
    assert slope == pytest.approx(effects["within"], rel=1e-9)
    at_centre = ends[0, 1] + slope * (means.mean() - ends[0, 0])
    assert at_centre == pytest.approx(np.interp(means.mean(), line["alliance"], line["pain"]), rel=1e-9)
    assert set(frame["adjusted_for"]) == {"week and arm"}


def test_adjusted_means_are_the_line_plus_the_mean_residual() -> None:
    fit = fitted("week + (1 | patient)")
    frame = within_between(fit, "alliance")
    points = frame[frame["part"] == "patient"].set_index("at")
    rows = fit.augment()
    b = fit.tidy().set_index("term")["estimate"]
    reference = b["Intercept"] + b["alliance_between"] * rows["alliance_between"] + b["week"] * rows["week"].mean()
    adjusted = reference + rows["pain"] - rows["fitted_population"]
    wanted = adjusted.groupby(rows["patient"].astype(str)).mean()
    assert points["pain"].to_numpy() == pytest.approx(wanted.loc[points.index].to_numpy(), rel=1e-10)


def _slopes(frame: pd.DataFrame) -> pd.Series:
    ends = frame[frame["part"] == "segment"].groupby("at")[["alliance", "pain"]]
    return ends.apply(lambda part: (part["pain"].iloc[1] - part["pain"].iloc[0]) / np.ptp(part["alliance"]))


def test_segments_have_the_patients_fitted_slopes() -> None:
    fit = fitted("week + (1 + alliance_within | patient) + (0 + alliance_within | therapist)")
    found = _slopes(within_between(fit, "alliance"))
    modes = random_effects(fit)
    slopes = modes[modes["term"] == "alliance_within"].set_index(["group", "at"])["estimate"]
    owner = course().assign(patient=lambda d: d["patient"].astype(str)).groupby("patient")["therapist"].first()
    average = contextual_effect(fit, "alliance")["estimate"].iloc[1]
    wanted = [average + slopes["patient", at] + slopes["therapist", owner[at]] for at in found.index]
    assert found.to_numpy() == pytest.approx(np.array(wanted), rel=1e-8)
    assert found.nunique() == 40
    parallel = _slopes(within_between(fitted("week + (1 | patient)"), "alliance"))
    assert np.ptp(parallel) < 1e-10


def test_segments_have_the_patients_observed_slopes() -> None:
    frame = within_between(fitted("(1 | patient)"), "alliance", segments="observed")
    found = _slopes(frame)
    for at, rows in course().groupby("patient"):
        assert found[str(at)] == pytest.approx(np.polyfit(rows["alliance"], rows["pain"], 1)[0], rel=1e-7)
    ends = frame[frame["part"] == "segment"].groupby("at")["alliance"].agg(np.ptp)
    ratings = course().groupby(course()["patient"].astype(str))["alliance"]
    assert (ends <= 2 * ratings.std() + 1e-12).all()
    inside = frame[frame["part"] == "segment"].groupby("at")["alliance"].agg(["min", "max"])
    assert (inside["min"] >= ratings.min() - 1e-9).all()
    assert (inside["max"] <= ratings.max() + 1e-9).all()


def test_patients_with_one_rating_are_points_without_a_line() -> None:
    data = course()
    data = data[(data["patient"] > 2) | ~data.duplicated("patient")]
    data = Centre("alliance", by="patient", time="week")(data)
    frame = within_between(MixedModel(MODEL.format("(1 | patient)")).fit(data), "alliance", segments="observed")
    assert set(frame.loc[frame["part"] == "patient", "at"]) == {str(k) for k in range(40)}
    assert set(frame.loc[frame["part"] == "segment", "at"]) == {str(k) for k in range(3, 40)}
    assert frame.loc[(frame["part"] == "patient") & (frame["at"] == "1"), "n"].tolist() == [1]


def test_missing_outcomes_and_prepared_models() -> None:
    """The step centres anew what is predicted for; the frame must rest on the rows as they were fitted."""
    data = course().drop(columns=["alliance_within", "alliance_between"])
    data.loc[::9, "pain"] = np.nan
    step = Centre("alliance", by="patient", time="week")
    random = "week + (1 + alliance_within | patient)"
    prepared = MixedModel(MODEL.format(random), prepare=(step,)).fit(data)
    by_hand = MixedModel(MODEL.format(random)).fit(step(data))
    frame = within_between(prepared, "alliance")
    pd.testing.assert_frame_equal(frame, within_between(by_hand, "alliance"))
    assert frame["n"].sum() == data["pain"].notna().sum()


def test_reused_names_of_patients_are_noticed() -> None:
    fit = MixedModel(MODEL.format("(1 | therapist/case)")).fit(course())
    with pytest.raises(DataError, match=r"'alliance_between' is not the same in all rows of case"):
        within_between(fit, "alliance", patient="case")
    frame = within_between(fit, "alliance", patient=("therapist", "case"))
    assert frame["part"].eq("patient").sum() == 40
    assert "t0:1" in set(frame["at"])
    with pytest.raises(DataError, match="no column 'person'"):
        within_between(fit, "alliance", patient="person")
    with pytest.raises(AllianceError, match="segments is 'raw'"):
        within_between(fit, "alliance", patient=("therapist", "case"), segments="raw")  # type: ignore[arg-type]


def test_a_linear_model_with_clusters_has_the_same_figure() -> None:
    fit = LinearModel("pain ~ alliance_within + alliance_between", vcov="CR2", cluster="patient").fit(course())
    frame = within_between(fit, "alliance")
    assert frame["part"].value_counts().to_dict() == {"patient": 40, "segment": 80, "between": 50, "within": 2}
    b = fit.tidy().set_index("term")["estimate"]
    assert contextual_effect(fit, "alliance")["estimate"].iloc[2] == pytest.approx(
        b["alliance_between"] - b["alliance_within"], rel=1e-10
    )
    assert _slopes(frame).to_numpy() == pytest.approx(b["alliance_within"], rel=1e-8)
