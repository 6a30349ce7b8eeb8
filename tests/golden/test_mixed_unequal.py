"""Residual variances by group against nlme's varIdent, with Satterthwaite's and Kenward and Roger's df from dense formulas."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.mixed_pinned import CRITERION, DF, SPREAD, Fit, data_of, fits, fixed, keys, matrix, name_of
from golden.pinned import assert_close, pinned

from alliance_stats import Result, predict, simulate
from alliance_stats.inference.groups import random_effects
from alliance_stats.models.mixed import MixedModel

ALL = fits("mixed_unequal")
REML = [fit for fit in ALL if pinned(*fit)["method"] == "REML"]
every_fit = pytest.mark.parametrize("fit", ALL, ids=name_of)
by_method = pytest.mark.parametrize(
    ("fit", "df_method"),
    [*((fit, "satterthwaite") for fit in ALL), *((fit, "kenward-roger") for fit in REML)],
    ids=lambda value: value if isinstance(value, str) else name_of(value),
)


@cache
def fitted(fit: Fit, df_method: Any = "satterthwaite") -> Result:
    expected, data = pinned(*fit), data_of(fit)
    random = expected["random_formula"].removeprefix("~").replace("cluster", "therapist")
    if expected["strata"] == "status":
        data = data.assign(status=np.where(data["treated"] == 1, "treated", "untreated"))
    return MixedModel(
        f"{expected['formula']} + ({random})",
        method=expected["method"],
        df_method=df_method,
        residual_by=expected["strata"],
    ).fit(data)


def test_no_fit_is_missing() -> None:
    assert (len(ALL), len(REML)) == (6, 3)


@every_fit
def test_criterion(fit: Fit) -> None:
    expected, found = pinned(*fit), fitted(fit).glance().iloc[0]
    for name in ("criterion", "log_likelihood", "aic"):
        assert abs(found[name] - expected[name]) < CRITERION, name
    if expected["method"] == "ML":  # nlme's BIC of a REML fit counts rows less fixed terms, lme4's all rows
        assert abs(found["bic"] - expected["bic"]) < CRITERION
    assert found["n_obs"] == expected["n_obs"]


@every_fit
def test_standard_deviations(fit: Fit) -> None:
    expected, rows = pinned(*fit), fitted(fit).tidy().query("component != 'fixed'")
    residual = rows[rows["component"] == "residual"]
    assert set(residual["term"]) == {"sd(residual)"}
    assert dict(zip(residual["group"], residual["estimate"], strict=True)) == pytest.approx(
        expected["sigma"], rel=SPREAD
    )
    assert list(residual["group"]) == list(expected["sigma"])
    ours = rows.loc[rows["component"] != "residual", "estimate"]
    assert_close(ours, [row["sd_or_cor"] for row in expected["random"]], SPREAD, 0.1)


@by_method
def test_fixed_coefficients(fit: Fit, df_method: str) -> None:
    expected, result = pinned(*fit), fitted(fit, df_method)
    kr = df_method == "kenward-roger"
    ours, theirs = fixed(fit, result, expected["kenward_roger" if kr else "fixed_lme"])
    df = pd.DataFrame(expected["kenward_roger" if kr else "satterthwaite"])["df"]
    assert_close(ours["estimate"], theirs["estimate"], SPREAD, theirs["std_error"])
    assert_close(ours["std_error"], theirs["std_error"], SPREAD)
    assert_close(ours["df"], df, DF)
    a, b = matrix(fit, result.covariance, expected["kenward_roger_vcov" if kr else "vcov"])
    assert_close(a, b, 2 * SPREAD, np.sqrt(np.outer(np.diag(b), np.diag(b))))


@every_fit
def test_fitted_residuals_and_modes(fit: Fit) -> None:
    expected, result = pinned(*fit), fitted(fit)
    rows, scale = result.augment().head(10), result.state.sigma
    assert_close(rows["fitted"], expected["fitted"], SPREAD, scale)
    assert_close(rows["fitted_population"], expected["population"], SPREAD, scale)
    assert_close(rows["residual"], expected["residual"], SPREAD, scale)
    pearson = rows["residual"] * np.sqrt(result.state.weights[:10]) / result.state.sigma
    assert_close(pearson, expected["residual_pearson"], SPREAD, 1.0)
    modes = random_effects(result).set_index(["at", "term"])["estimate"]
    for row in expected["ranef"]:
        (term,) = keys(fit, [row["term"]])
        assert_close(modes.loc[row["level"], *term], row["estimate"], SPREAD, scale)


def test_whatever_the_order_of_the_levels() -> None:
    """Which stratum varies least is found, not assumed."""
    fit = ("mixed_unequal", "intercept", "reml")
    data = data_of(fit)
    turned = data.assign(stratum=data["arm"].astype(str).map({"GE": "c", "MCE": "b", "SMT": "a"}))
    model = MixedModel(fitted(fit).model.formula, residual_by="stratum")
    again = model.fit(turned)
    assert abs(again.glance()["criterion"].iloc[0] - pinned(*fit)["criterion"]) < CRITERION
    sds = again.tidy().query("component == 'residual'").set_index("group")["estimate"]
    assert list(sds.index) == ["a", "b", "c"]
    assert_close(sds, [pinned(*fit)["sigma"][arm] for arm in ("SMT", "MCE", "GE")], SPREAD)


def test_the_group_that_varies_most_may_have_the_least_residual_variance() -> None:
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(60), 6)
    arm = np.where(patient < 30, "a", "b")
    level = rng.normal(size=60)[patient] * np.where(arm == "a", 8.0, 0.5)
    data = pd.DataFrame(
        {"patient": patient, "arm": arm, "pain": level + rng.normal(size=360) * np.where(arm == "a", 1, 2)}
    )
    fit = MixedModel("pain ~ 1 + (1 | patient)", residual_by="arm").fit(data)
    sds = fit.tidy().query("component == 'residual'").set_index("group")["estimate"]
    assert sds["a"] == pytest.approx(1, abs=0.15)
    assert sds["b"] == pytest.approx(2, abs=0.3)
    assert fit.state.information.flat == 0


def test_prior_weights_multiply() -> None:
    """Weights that undo the differences leave one residual variance."""
    fit = ("mixed_unequal", "intercept", "reml")
    data, sigma = data_of(fit), pinned(*fit)["sigma"]
    undone = data.assign(w=1 / data["arm"].astype(str).map(sigma) ** 2)
    result = MixedModel(fitted(fit).model.formula, residual_by="arm", weights="w").fit(undone)
    sds = result.tidy().query("component == 'residual'")["estimate"]
    assert_close(sds, [1.0, 1.0, 1.0], 1e-4)
    assert_close(result.tidy()["estimate"].head(6), fitted(fit).tidy()["estimate"].head(6), SPREAD)


def test_predictions_and_simulation() -> None:
    fit = ("mixed_unequal", "intercept", "reml")
    result, sigma = fitted(fit), pinned(*fit)["sigma"]
    assert_close(predict(result)["fitted"], result.state.fitted, 1e-12)
    spread = simulate(result, 400, rng=2).var(axis=0)
    arms = result.frame["arm"].astype(str).to_numpy()
    found = {arm: spread[arms == arm].mean() for arm in sigma}
    assert found["SMT"] - found["GE"] == pytest.approx(sigma["SMT"] ** 2 - sigma["GE"] ** 2, rel=0.2)
    assert found["MCE"] - found["GE"] == pytest.approx(sigma["MCE"] ** 2 - sigma["GE"] ** 2, rel=0.3)
