"""Average marginal effects: R's integrals, closed forms, brute force over drawn random effects, and refusals."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, data, pinned
from scipy import special

from alliance_stats import (
    AllianceError,
    DataError,
    GeneralizedMixedModel,
    LinearModel,
    MixedModel,
    Result,
    contrast,
    predict,
)
from alliance_stats.inference.marginal_effects import average_marginal_effects, average_outcomes
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.discrete_time import DiscreteTimeModel

# Two optimisers and numDeriv's Hessian lie between the two sides; in brackets the largest difference found.
MEAN = 3e-6  # relative (6e-7)
ERROR = 5e-6  # relative (8e-7)
FITS: dict[str, tuple[str, str, str | None, int, str]] = {
    "completed": (
        "completed | trials(assigned) ~ alliance * arm + severity + (1 | therapist)",
        "binomial",
        None,
        1,
        "",
    ),
    "attended": ("attended ~ x + late + (1 | patient)", "binomial", "probit", 25, ""),
    "exercises": ("exercises ~ x * late + (1 | patient)", "poisson", None, 1, ""),
}


@cache
def sessions() -> pd.DataFrame:
    frame = data("glmm_sessions")
    return frame.assign(late=(frame["session"] > 3).astype(int), phase=np.where(frame["session"] > 3, "late", "early"))


@cache
def fitted(name: str) -> Result:
    formula, family, link, nodes, _ = FITS[name]
    rows = data("glmm_adherence") if name == "completed" else sessions()
    return GeneralizedMixedModel(formula, family, link, nodes).fit(rows)


@pytest.mark.parametrize("groups", ["population", "typical"])
@pytest.mark.parametrize("name", ["completed", "completed_share", "attended", "exercises"])
def test_against_integrals_and_differences_in_r(name: str, groups: Any) -> None:
    scale: Any = "mean" if name == "completed_share" else "response"
    fit, pins = fitted(name.removesuffix("_share")), pinned("marginal_effects", name, groups)
    level, slope = ("arm", "alliance") if name.startswith("completed") else ("late", "x")
    options = {"groups": groups, "scale": scale}
    rows = pd.concat(
        [
            average_outcomes(fit, level, (0, 1), **options),
            average_marginal_effects(fit, level, values=(0, 1), **options),
            average_marginal_effects(fit, slope, **options),
            average_marginal_effects(fit, slope, step=1, **options),
        ]
    )
    order = ["mean_0", "mean_1", "difference", "slope", "unit"]
    size = max(pins[key]["estimate"] for key in order[:2])
    assert_close(rows["estimate"], [pins[key]["estimate"] for key in order], MEAN, size)
    assert_close(rows["std_error"], [pins[key]["std_error"] for key in order], ERROR)
    assert rows["at"].tolist() == [f"{level} = 0", f"{level} = 1", "1 − 0", "derivative", "+1"]


def test_closed_form_of_the_probit() -> None:
    """E Φ(η + σu) = Φ(η/√(1 + σ²)): means, derivatives, and the delta method on that formula by differences."""
    fit = fitted("attended")
    X, p = fit.state.design.matrix(fit.frame), len(fit.state.coefficients)

    def slope(parameters: np.ndarray) -> float:
        shrunk = parameters[:p] / np.sqrt(1 + parameters[p] ** 2)
        density = np.exp(-((X @ shrunk) ** 2) / 2) / np.sqrt(2 * np.pi)
        return float(density.mean() * shrunk[1])

    origin = np.r_[fit.state.coefficients, fit.state.theta]
    gradient = np.array([(slope(origin + h) - slope(origin - h)) / 2e-5 for h in 1e-5 * np.eye(p + 1)])
    row = average_marginal_effects(fit, "x").iloc[0]
    assert row["estimate"] == pytest.approx(slope(origin), rel=1e-7)
    assert row["std_error"] == pytest.approx(np.sqrt(gradient @ fit.state.joint @ gradient), rel=1e-6)
    assert row["statistic"] == pytest.approx(row["estimate"] / row["std_error"])
    assert row["conf_high"] == pytest.approx(row["estimate"] + special.ndtri(0.975) * row["std_error"])


def test_slopes_that_vary_over_therapists_by_brute_force() -> None:
    """The predictor moves the random part as well: against 2,000,000 drawn effects, and their differences in θ."""
    formula = "attended ~ x + phase + (1 + x | therapist) + (1 | room)"
    fit = GeneralizedMixedModel(formula).fit(sessions())
    found = average_marginal_effects(fit, "x", step=1).iloc[0]
    rows, rng = fit.frame.head(4), np.random.default_rng(4)
    draws = {g.name: rng.normal(size=(500_000, g.level.q)) for g in fit.state.groupings}
    for frame in (rows, rows.assign(x=rows["x"] + 1)):
        eta = fit.state.design.matrix(frame) @ fit.state.coefficients
        start, each = 0, np.repeat(eta[:, None], 500_000, axis=1)
        for g in fit.state.groupings:
            L = np.zeros((g.level.q, g.level.q))
            L[g.level.rows, g.level.columns] = fit.state.theta[start : start + len(g.level.rows)]
            start += len(g.level.rows)
            Z = np.column_stack([np.ones(4), frame["x"]])[:, : g.level.q]
            each += Z @ L @ draws[g.name].T
        shares = special.expit(each)
        mine = predict(fit, frame, groups="population")["fitted"].to_numpy()
        assert (np.abs(mine - shares.mean(axis=1)) < 4 * shares.std(axis=1) / np.sqrt(500_000)).all()
    both = [predict(fit, fit.frame.assign(x=fit.frame["x"] + move), groups="population") for move in (0, 1)]
    assert found["estimate"] == pytest.approx((both[1]["fitted"] - both[0]["fitted"]).mean(), rel=1e-10)


def test_levels_pairs_and_other_predictors_set() -> None:
    rows = sessions().assign(arm=np.array(["sham", "guided", "alone"])[np.arange(len(sessions())) % 3])
    fit = GeneralizedMixedModel("exercises ~ arm * phase + x + (1 | patient)", "poisson", exposure="days").fit(rows)
    means = average_outcomes(fit, "arm", at={"phase": "late"})
    assert means["at"].tolist() == [
        "arm = alone, phase = late",
        "arm = guided, phase = late",
        "arm = sham, phase = late",
    ]
    a, b, c = means["estimate"]
    pairs = average_marginal_effects(fit, "arm", contrasts="pairwise", at={"phase": "late"}, adjust="holm")
    assert pairs["at"].tolist() == [
        f"{pair}; phase = late" for pair in ("guided − alone", "sham − alone", "sham − guided")
    ]
    assert np.allclose(pairs["estimate"], [b - a, c - a, c - b])
    bare = average_marginal_effects(fit, "arm", contrasts="pairwise", at={"phase": "late"})
    assert (pairs["p_value"] >= bare["p_value"]).all()
    assert average_marginal_effects(fit, "arm", values=("sham", "alone"), at={"phase": "late"})["estimate"].iloc[
        0
    ] == pytest.approx(a - c)
    assert ((means["conf_low"] > 0) & (means["conf_low"] < means["estimate"])).all()


def test_linear_models_have_t_intervals() -> None:
    frame = data("trial")
    fit = LinearModel("outcome ~ arm + baseline").fit(frame)
    ours, theirs = average_marginal_effects(fit, "arm"), contrast(fit, "arm", "reference", adjust="none")
    for column in ("estimate", "std_error", "df", "p_value", "conf_low"):
        assert np.allclose(ours[column], theirs[column], rtol=1e-9)
    assert (ours["interval"] == "t").all()
    mixed = MixedModel("outcome ~ week * arm + (1 | patient)").fit(data("mixed_therapy"))
    slope = average_marginal_effects(mixed, "week").iloc[0]
    assert np.isfinite([slope["estimate"], slope["std_error"], slope["df"]]).all()


def test_without_random_effects_and_at_a_variance_of_zero() -> None:
    """One formula, mean of h'(η) b, for a hazard without therapists; a variance of zero changes nothing."""
    frame = data("survival_sessions")
    plain = DiscreteTimeModel("drop ~ session + alliance", "logit").fit(frame)
    hazard = predict(plain)["fitted"]
    found = average_marginal_effects(plain, "alliance").iloc[0]
    assert found["estimate"] == pytest.approx((hazard * (1 - hazard)).mean() * plain.state.coefficients[2], rel=1e-7)
    rows = pd.DataFrame({"therapist": np.repeat(range(12), 8), "x": [0.0, 1] * 48, "y": [1, 1, 0, 0, 1, 0, 0, 1] * 12})
    singular = GeneralizedMixedModel("y ~ x + (1 | therapist)").fit(rows)
    assert singular.glance()["singular"].iloc[0]
    both = [average_marginal_effects(singular, "x", groups=groups) for groups in ("population", "typical")]  # type: ignore[arg-type]
    assert np.allclose(both[0]["estimate"], both[1]["estimate"], atol=1e-7)
    assert np.allclose(both[0]["std_error"], both[1]["std_error"], rtol=1e-5)


def test_refusals() -> None:
    fit = fitted("exercises")
    with pytest.raises(DataError, match="no column 'y'"):
        average_marginal_effects(fit, "y")
    with pytest.raises(AllianceError, match="groups is 'all'"):
        average_marginal_effects(fit, "x", groups="all")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="scale is 'link'"):
        average_marginal_effects(fit, "x", scale="link")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="contrasts is 'all'"):
        average_marginal_effects(fit, "x", contrasts="all")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="step is 0"):
        average_marginal_effects(fit, "x", step=0)
    with pytest.raises(AllianceError, match="step=1 is for numbers"):
        average_marginal_effects(fit, "x", step=1, values=(0, 1))
    with pytest.raises(AllianceError, match="'x' has one value here"):
        average_marginal_effects(fit, "x", values=(1,))
    with pytest.raises(AllianceError, match="'x' is a number; give values="):
        average_outcomes(fit, "x")
    text = GeneralizedMixedModel("exercises ~ phase + (1 | patient)", "poisson").fit(sessions())
    with pytest.raises(DataError, match="'phase' has no level 'middle'; levels: early, late"):
        average_outcomes(text, "phase", ["middle"])
    cox = CoxModel("Surv(time, dropped) ~ x").fit(
        pd.DataFrame({"time": [2, 3, 5, 6, 7, 8], "dropped": [1, 1, 0, 1, 1, 0], "x": [4.0, 5, 6, 3, 7, 6]})
    )
    with pytest.raises(AllianceError, match="CoxModel has no mean"):
        average_marginal_effects(cox, "x")


def test_terms_that_the_data_cannot_tell_apart() -> None:
    rows = sessions().assign(twice=lambda d: 2 * d["x"])
    fit = GeneralizedMixedModel("exercises ~ x + twice + (1 | patient)", "poisson").fit(rows)
    with pytest.raises(AllianceError, match="cannot tell apart"):
        average_marginal_effects(fit, "x")


@pytest.mark.parametrize("place", [0.1, 44.1, 1e3 / 3])
def test_the_derivative_at_a_value_of_the_predictor_itself(place: float) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(44, 6, 97)})
    frame["y"] = frame["x"] ** 2 / 50 + rng.normal(size=97)
    fit = LinearModel("y ~ x + I(x**2)").fit(frame)
    slope, bend = fit.tidy()["estimate"].iloc[1:]
    (row,) = average_marginal_effects(fit, "x", at={"x": place}).itertuples()
    assert row.estimate == pytest.approx(
        slope + 2 * bend * place, rel=1e-6
    )  # rounding of two predictions 1e-5 SD apart
