"""Models fitted again: to other responses, and without one group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.predict import simulate
from alliance_stats.inference.refit import leave_one_out, refit
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result

NESTED = "outcome ~ week + arm + (1 + week | patient) + (1 | therapist)"
SAME = 1e-5  # two searches from different starts end within 1e-6 of each other in θ


@pytest.fixture(scope="module")
def nested() -> Result:
    return MixedModel(NESTED).fit(data("mixed_therapy"))


def named(result: Result) -> dict[str, float]:
    rows = result.tidy()
    random = rows["component"].isin(["random", "correlation"])
    grouped = random | (rows["group"] != "")
    names = rows["term"].where(~grouped, rows["term"] + "|" + rows["group"])
    return dict(zip(names, rows["estimate"], strict=True)) | {"criterion": float(result.glance()["criterion"].iloc[0])}


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (NESTED, "therapy"),
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin"),
    ],
)
def test_each_response_is_fitted_as_a_fresh_model(formula: str, name: str, method: str) -> None:
    fit = MixedModel(formula, method=method, df_method="normal").fit(data(f"mixed_{name}"))  # type: ignore[arg-type]
    responses = simulate(fit, 2).T
    found = refit(fit, responses)
    outcome = formula.split(" ~ ")[0]
    for j in range(2):
        fresh = named(fit.model.fit(fit.frame.assign(**{outcome: responses[:, j]})))
        assert list(found.columns) == [*fresh, "converged"]
        assert found.iloc[j][list(fresh)].astype(float).to_dict() == pytest.approx(fresh, rel=SAME, abs=SAME)
    assert found["converged"].all()


def test_the_fits_own_response_gives_the_fit(nested: Result) -> None:
    own = refit(nested, pd.DataFrame({"again": nested.state.fitted + nested.state.residual}))
    assert list(own.index) == ["again"]
    assert own.loc["again"].drop("converged").astype(float).to_dict() == pytest.approx(named(nested), rel=SAME)


def test_a_response_without_residuals_is_not_converged() -> None:
    for formula in (NESTED, "outcome ~ week + (1 | patient)"):
        fit = MixedModel(formula, df_method="normal").fit(data("mixed_therapy"))
        found = refit(fit, np.column_stack([np.ones(len(fit.frame)), fit.state.fitted + fit.state.residual]))
        assert found["converged"].tolist() == [False, True]
        assert found.loc[0].drop("converged").isna().all()


def test_weights_are_kept() -> None:
    fit = MixedModel("outcome ~ week + (1 | patient)", weights="weight").fit(data("mixed_therapy"))
    own = refit(fit, (fit.state.fitted + fit.state.residual)[:, None]).iloc[0]
    assert own.drop("converged").astype(float).to_dict() == pytest.approx(named(fit), rel=SAME)


UNEQUAL = [
    ("outcome ~ week + arm + (1 | patient)", "therapy", "arm", None),
    (NESTED, "therapy", "arm", "weight"),
    ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", "half", None),
]


def unequal(formula: str, name: str, strata: str, weights: str | None, method: str = "REML") -> Result:
    rows = data(f"mixed_{name}")
    rows["half"] = np.where(np.arange(len(rows)) % 2, "odd", "even")
    model = MixedModel(formula, method=method, df_method="normal", residual_by=strata, weights=weights)  # type: ignore[arg-type]
    return model.fit(rows)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize(("formula", "name", "strata", "weights"), UNEQUAL)
def test_residual_variances_by_group_are_estimated_anew(
    formula: str, name: str, strata: str, weights: str | None, method: str
) -> None:
    """Also where another group varies least than in the fit: the second response has its residuals turned round."""
    fit = unequal(formula, name, strata, weights, method)
    drawn = simulate(fit, 2).T
    sizes = fit.state.strata.ratios[fit.state.strata.codes]
    drawn[:, 1] = fit.state.fitted + (drawn[:, 1] - fit.state.fitted) / sizes**2
    found = refit(fit, drawn)
    outcome = formula.split(" ~ ")[0]
    for j in range(2):
        fresh = named(fit.model.fit(fit.frame.assign(**{outcome: drawn[:, j]})))
        assert list(found.columns) == [*fresh, "converged"]
        assert found.iloc[j][list(fresh)].astype(float).to_dict() == pytest.approx(fresh, rel=SAME, abs=SAME)
    sds = found.filter(like="sd(residual)|").to_numpy(dtype=float)
    assert sds[0].argmin() != sds[1].argmin()
    own = refit(fit, (fit.state.fitted + fit.state.residual)[:, None]).iloc[0]
    assert own.drop("converged").astype(float).to_dict() == pytest.approx(named(fit), rel=SAME, abs=SAME)


def test_leaving_out_with_residual_variances_by_group() -> None:
    fit = unequal(*UNEQUAL[1])
    found = leave_one_out(fit, "therapist")
    for therapist in found["at"].unique()[:2]:
        beta = fit.model.fit(fit.frame[fit.frame["therapist"] != therapist]).tidy().query("component == 'fixed'")
        own = found[found["at"] == therapist]
        assert own["estimate"].tolist() == pytest.approx(beta["estimate"].tolist(), rel=SAME)


def test_a_stratum_that_goes_with_the_group_left_out() -> None:
    """The rest then has one residual variance, or those of the strata that are left; of a single row there is none."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"g": np.repeat(list("abcdef"), 8), "x": rng.normal(size=48)})
    rows["y"] = (
        rows["x"]
        + rng.normal(size=48) * np.where(rows["g"] == "a", 3, 1)
        + rows["g"].map(dict(zip("abcdef", rng.normal(size=6), strict=True)))
    )
    rows["device"] = np.where(rows["g"] == "a", "old", "new")
    formula = "y ~ x + (1 | g)"
    found = leave_one_out(MixedModel(formula, residual_by="device").fit(rows), "g").set_index("at")
    plain = MixedModel(formula).fit(rows[rows["g"] != "a"]).tidy()["estimate"].tolist()[:2]
    assert found.loc["a", "estimate"].tolist() == pytest.approx(plain, rel=SAME)
    rows.loc[[8, 16], "device"] = "third"
    single = leave_one_out(MixedModel(formula, residual_by="device").fit(rows), "g").set_index("at")
    assert single.loc[["b", "c"], "estimate"].isna().all()
    assert single.loc[["a", "d", "e", "f"], "estimate"].notna().all()


def test_responses_that_do_not_fit_the_design_are_refused(nested: Result) -> None:
    with pytest.raises(DataError, match=r"give \(\d+, R\)"):
        refit(nested, np.zeros(5))
    with pytest.raises(DataError, match="missing or infinite"):
        refit(nested, np.full((len(nested.frame), 1), np.nan))
    with pytest.raises(AllianceError, match="has no random effects"):
        refit(LinearModel("outcome ~ week").fit(data("mixed_therapy")), np.zeros((609, 1)))


def test_leaving_one_therapist_out_is_fitting_the_others(nested: Result) -> None:
    found = leave_one_out(nested, "therapist")
    therapist = found["at"].iloc[0]
    rest = nested.frame[nested.frame["therapist"] != therapist]
    fresh = nested.model.fit(rest)
    own = found[found["at"] == therapist].set_index("term")
    beta = fresh.tidy().query("component == 'fixed'").set_index("term")["estimate"]
    pd.testing.assert_series_equal(own["estimate"], beta, rtol=SAME, check_names=False)
    assert own["n_obs"].iloc[0] == len(nested.frame) - len(rest)
    change = beta - nested.tidy().query("component == 'fixed'").set_index("term")["estimate"]
    assert own["influence"].iloc[0] == pytest.approx(
        change @ np.linalg.inv(nested.covariance) @ change / len(beta), rel=1e-3, abs=1e-9
    )  # a small difference of estimates that are good to 1e-6
    assert found["influence"].is_monotonic_decreasing
    assert len(found) == len(beta) * nested.frame["therapist"].nunique()


def test_a_coefficient_that_rests_on_one_group_is_missing_without_it() -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"g": np.repeat(list("abcdef"), 8), "y": rng.normal(size=48)})
    rows["special"] = ((rows["g"] == "a") & (np.arange(48) % 2 == 0)).astype(float)
    found = leave_one_out(MixedModel("y ~ special + (1 | g)").fit(rows), "g")
    assert found["at"].iloc[0] == "a"
    assert found.loc[found["at"] == "a", "estimate"].isna().all()
    assert found.loc[found["at"] != "a", "estimate"].notna().all()


def test_leave_one_out_needs_a_factor_with_three_groups(nested: Result) -> None:
    with pytest.raises(AllianceError, match="no grouping factor 'clinic'"):
        leave_one_out(nested, "clinic")
    rows = data("mixed_sleepstudy")
    two = MixedModel("Reaction ~ Days + (1 | Subject)").fit(rows[rows["Subject"].isin([308, 309])])
    with pytest.raises(AllianceError, match="at least three"):
        leave_one_out(two, "Subject")
