"""LinearModel against R's lm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden.pinned import EXACT, TAIL, assert_close, assert_matrix, assert_rows, data, pinned, term

from alliance_stats import LinearModel, Result, compare, predict
from alliance_stats.numerics.distributions import t_quantile

CASES = ("interaction", "transforms", "arm_only", "polynomial", "missing", "rank_deficient")


def fitted(case: str) -> Result:
    return LinearModel(pinned("linear_model", case, "formula")).fit(
        data("trial_missing" if case == "missing" else "trial")
    )


@pytest.mark.parametrize("case", CASES)
def test_coefficients(case: str) -> None:
    expected = pinned("linear_model", case, "coefficients")
    rows = fitted(case).tidy()
    assert rows["term"].tolist() == [term(row["term"]) for row in expected]
    assert_rows(rows, expected)
    assert (rows["interval"] == "t").all()
    assert (rows["component"] == "fixed").all()


@pytest.mark.parametrize("case", CASES)
def test_covariance(case: str) -> None:
    assert_matrix(fitted(case).covariance, pinned("linear_model", case, "vcov"))


@pytest.mark.parametrize("case", CASES)
def test_facts_of_the_fit(case: str) -> None:
    expected, found = pinned("linear_model", case), fitted(case).glance().iloc[0]
    same = {
        "sigma": "sigma", "r2_marginal": "r_squared", "r2_adjusted": "r_squared_adjusted",
        "log_likelihood": "log_likelihood", "aic": "aic", "bic": "bic", "df_residual": "df_residual",
    }  # fmt: skip
    for ours, theirs in same.items():
        assert_close(found[ours], expected[theirs])
    assert found["n_obs"] == expected["n_obs"]
    assert_close(found["deviance"], -2 * expected["log_likelihood"])


@pytest.mark.parametrize("case", CASES)
def test_fitted_and_residual(case: str) -> None:
    expected, rows = pinned("linear_model", case), fitted(case).augment()
    scale = expected["sigma"]
    assert_close(rows["fitted"].head(10), expected["fitted"], EXACT, scale)
    assert_close(rows["residual"].head(10), expected["residual"], EXACT, scale)
    assert_close(float((rows["residual"] ** 2).sum()), expected["rss"])


@pytest.mark.parametrize("case", CASES)
def test_overall_f(case: str) -> None:
    expected, large = pinned("linear_model", case, "f"), fitted(case)
    found = compare(LinearModel("outcome ~ 1").fit(large.frame), large).iloc[1]
    assert_close(found[["statistic", "df_num", "df"]], [expected[k] for k in ("statistic", "df1", "df2")])
    assert_close(found["p_value"], expected["p_value"], TAIL)


def test_spline() -> None:
    expected = pinned("linear_model", "spline")
    fit = LinearModel(expected["formula"].replace("splines::", "")).fit(data("trial"))
    assert_close(fit.augment()["fitted"], expected["fitted"], EXACT, fit.glance()["sigma"].iloc[0])
    assert_close(float((fit.augment()["residual"] ** 2).sum()), expected["rss"])
    assert fit.state.df_residual == expected["df_residual"]


def test_missing_rows_are_left_out_and_counted() -> None:
    expected, fit = pinned("linear_model", "missing"), fitted("missing")
    assert set(range(expected["n_rows"])) - set(fit.augment().index) == set(expected["rows_dropped"])
    assert fit.notes[0].startswith(f"{expected['n_dropped']} of {expected['n_rows']} rows left out")


def test_dependent_term_is_left_out_and_named() -> None:
    expected, fit = pinned("linear_model", "rank_deficient"), fitted("rank_deficient")
    lost = [term(name) for name, value in expected["coef"].items() if value is None]
    assert lost == ["I(2 * baseline)"]
    assert set(fit.tidy()["term"]) == {term(name) for name in expected["coef"]} - set(lost)
    assert fit.notes == (f"'{lost[0]}' depends on other terms and was left out",)


def test_prediction() -> None:
    expected = pd.DataFrame(pinned("linear_model", "prediction"))
    fit = fitted("interaction")
    found = predict(fit, expected[["alliance", "arm", "baseline"]])
    for ours, theirs in {"fitted": "estimate", "std_error": "std_error"}.items():
        assert_close(found[ours], expected[theirs], EXACT, expected["std_error"])
    for name in ("conf_low", "conf_high"):
        assert_close(found[name], expected[name], EXACT, expected["std_error"])
    spread = np.sqrt(found["std_error"] ** 2 + fit.state.sigma**2) * t_quantile(0.975, fit.state.df_residual)
    assert_close(found["fitted"] - spread, expected["prediction_low"])
    assert_close(found["fitted"] + spread, expected["prediction_high"])


def test_attach_of_data_does_not_matter() -> None:
    """Basis functions learn their constants in fitting: predicting one row alone gives what it had among all."""
    for case in ("polynomial", "transforms"):
        fit = fitted(case)
        alone = [predict(fit, fit.frame.iloc[[i]])["fitted"].iloc[0] for i in (0, 7, 139)]
        assert_close(alone, fit.augment()["fitted"].iloc[[0, 7, 139]], EXACT, fit.state.sigma)
