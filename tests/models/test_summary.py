"""Cell means from printed numbers: closed forms, R, invariances, refusals and the published examples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.result import TIDY, Result

GOLDEN = json.loads((Path(__file__).parents[2] / "validation" / "summaries.json").read_text())["results"]
FUENTES_N = {"AL": 30, "SL": 29, "AE": 29, "SE": 29}
BY_SD = SummaryStatistics(sd="sd")
BY_LIMITS = SummaryStatistics(low="low", high="high")


def fuentes(means: list[float], low: list[float], high: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"group": list(FUENTES_N), "n": list(FUENTES_N.values()), "mean": means, "low": low, "high": high}
    )


PAIN = fuentes([18.3, 10.3, 31.4, 22.2], [14.3, 6.6, 27.2, 18.9], [20.3, 12.7, 33.3, 25.0])
PPT = fuentes([1.2, 0.3, 2.0, 1.7], [0.7, 0.2, 1.6, 1.3], [1.6, 0.8, 2.5, 2.1])


def combination(result: Result, weights: list[float]) -> dict[str, float]:
    """One linear combination with its interval, from the numbers a result gives."""
    w = np.array([weights], dtype=float)
    estimate = (w @ result.state.coefficients).item()
    std_error = float(np.sqrt((w @ result.covariance.to_numpy() @ w.T).item()))
    df = float(result.model._df(result, w)[0])
    half = stats.t.ppf((1 + result.model.level) / 2, df) * std_error
    t = estimate / std_error
    return {"estimate": estimate, "std_error": std_error, "statistic": t, "df": df,
            "p_value": 2 * stats.t.sf(abs(t), df), "conf_low": estimate - half, "conf_high": estimate + half}  # fmt: skip


def joint_p(result: Result, weights: np.ndarray) -> tuple[float, float, float]:
    """F, denominator df and p of the joint test of all rows of weights."""
    d = weights @ result.state.coefficients
    wald = d @ np.linalg.solve(weights @ result.covariance.to_numpy() @ weights.T, d)
    df2, factor = result.model._joint_df(result, weights)
    f = wald / len(weights) * factor
    return f, df2, stats.f.sf(f, len(weights), df2)


def golden_cells() -> pd.DataFrame:
    return pd.DataFrame(GOLDEN["cells"])


FACTORIAL = SummaryStatistics(("treatment", "alliance"), sd="sd")


# ---- R -------------------------------------------------------------------------------------------------------------
# The golden table holds cell statistics in full precision, so only rounding in the last bits separates the two.


@pytest.mark.parametrize(("error", "key"), [("pooled", "pooled"), ("separate", "welch")])
@pytest.mark.parametrize("name", list(GOLDEN["contrasts"]))
def test_contrasts_are_those_of_r(name, error, key):
    result = replace(FACTORIAL, error=error).fit(golden_cells())
    expected = GOLDEN["contrasts"][name]
    found = combination(result, expected["weights"])
    for column, value in expected[key].items():
        assert found[column] == pytest.approx(value, rel=1e-8), column


def test_pooled_sd_and_one_way_test_are_those_of_r():
    result = FACTORIAL.fit(golden_cells())
    assert result.state.sigma == pytest.approx(GOLDEN["pooled_sd"], rel=1e-12)
    f, df2, p = joint_p(result, np.eye(4)[1:] - np.eye(4)[0])
    expected = GOLDEN["one_way"]
    assert (f, df2, p) == pytest.approx((expected["statistic"], expected["df2"], expected["p_value"]), rel=1e-8)


def test_joint_test_with_separate_variances_is_the_one_way_test_of_welch():
    result = replace(FACTORIAL, error="separate").fit(golden_cells())
    f, df2, p = joint_p(result, np.eye(4)[1:] - np.eye(4)[0])
    expected = GOLDEN["one_way_welch"]
    assert (f, df2, p) == pytest.approx((expected["statistic"], expected["df2"], expected["p_value"]), rel=1e-8)


def test_joint_test_of_the_factorial_effects_is_that_of_r():
    result = FACTORIAL.fit(golden_cells())
    effects = {"alliance": [1, -1, 1, -1], "treatment": [1, 1, -1, -1], "treatment:alliance": [1, -1, -1, 1]}
    for row in GOLDEN["type3"]:
        f, df2, p = joint_p(result, np.array([effects[row["term"]]], dtype=float))
        assert (f, df2, p) == pytest.approx((row["statistic"], row["df2"], row["p_value"]), rel=1e-8)


@pytest.mark.parametrize(("error", "key"), [("pooled", "pooled"), ("separate", "welch")])
def test_chen_2019_difference_is_that_of_r(error, key):
    chen = GOLDEN["chen2019"]
    table = pd.DataFrame({"group": ["telehealth", "in person"], "n": chen["n"], "mean": chen["mean"], "sd": chen["sd"]})
    found = combination(replace(BY_SD, error=error).fit(table), [1, -1])
    for column, value in chen[key].items():
        assert found[column] == pytest.approx(value, rel=1e-8), column


# ---- closed forms --------------------------------------------------------------------------------------------------

sizes = st.integers(2, 200)
sds = st.floats(0.1, 50)
means = st.floats(-100, 100)


@given(st.tuples(means, sds, sizes), st.tuples(means, sds, sizes), st.booleans())
@settings(deadline=None)
def test_two_cells_are_the_two_sample_t_test(a, b, equal):
    table = pd.DataFrame([a, b], columns=["mean", "sd", "n"]).assign(group=["a", "b"])
    result = replace(BY_SD, error="pooled" if equal else "separate").fit(table)
    found = combination(result, [1, -1])
    expected = stats.ttest_ind_from_stats(a[0], a[1], a[2], b[0], b[1], b[2], equal_var=equal)
    # Rounding in a difference of two large means is relative to the means.
    assert found["statistic"] == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found["p_value"] == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@given(st.lists(st.tuples(means, sds, sizes), min_size=2, max_size=6), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_joint_test_of_one_row_has_the_degrees_of_freedom_of_satterthwaite(rows, seed):
    table = pd.DataFrame(rows, columns=["mean", "sd", "n"]).assign(group=range(len(rows)))
    result = replace(BY_SD, error="separate").fit(table)
    w = np.random.default_rng(seed).normal(size=(1, len(rows)))
    df, factor = result.model._joint_df(result, w)
    assert df == pytest.approx(float(result.model._df(result, w)[0]), rel=1e-6)
    assert factor == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("interval_df", "df"), [("pooled", [113] * 4), ("group", [29, 28, 28, 28]), ("normal", [np.inf] * 4)]
)
def test_limits_give_back_the_sd_they_were_made_from(interval_df, df):
    n, sd = np.array(list(FUENTES_N.values())), np.array([7.5, 8.0, 9.0, 8.5])
    quantile = np.array([stats.norm.ppf(0.975) if np.isinf(d) else stats.t.ppf(0.975, d) for d in df])
    half = quantile * sd / np.sqrt(n)
    table = fuentes([18.3, 10.3, 31.4, 22.2], list(np.array([18.3, 10.3, 31.4, 22.2]) - half), [0.0] * 4)
    table["high"] = table["mean"] + half
    from_limits = replace(BY_LIMITS, interval_df=interval_df).fit(table)
    from_sd = BY_SD.fit(table.assign(sd=sd))
    pd.testing.assert_frame_equal(from_limits.tidy(), from_sd.tidy(), rtol=1e-9)


def test_another_level_is_used_to_read_and_to_make_intervals():
    half = stats.t.ppf(0.95, 57) * 8.0 * np.sqrt([1 / 30, 1 / 29])
    table = pd.DataFrame({"group": ["a", "b"], "n": [30, 29], "mean": [18.0, 10.0]})
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    result = replace(BY_LIMITS, level=0.90).fit(table)
    assert result.state.sigma == pytest.approx(8.0, rel=1e-9)
    np.testing.assert_allclose(result.tidy()["conf_low"], table["low"], rtol=1e-9)


# ---- invariances ---------------------------------------------------------------------------------------------------

tables = st.lists(st.tuples(means, sds, sizes), min_size=2, max_size=6).map(
    lambda rows: pd.DataFrame(rows, columns=["mean", "sd", "n"]).assign(group=[f"g{i}" for i in range(len(rows))])
)


@given(tables, st.randoms(use_true_random=False), st.sampled_from(["pooled", "separate"]))
@settings(deadline=None)
def test_order_and_names_of_cells_change_nothing_else(table, random, error):
    model = replace(BY_SD, error=error)
    plain = model.fit(table).tidy()
    order = list(range(len(table)))
    random.shuffle(order)
    renamed = table.iloc[order].assign(group=[f"z{i}" for i in order])
    other = model.fit(renamed).tidy()
    expected = plain.iloc[order].reset_index(drop=True).drop(columns="term")
    # Sums in another order differ in the last bits.
    pd.testing.assert_frame_equal(other.drop(columns="term"), expected, rtol=1e-9)
    assert other["term"].to_list() == [f"group=z{i}" for i in order]


@given(tables, st.floats(0.01, 100), st.sampled_from(["pooled", "separate"]))
@settings(deadline=None)
def test_a_change_of_unit_scales_estimates_and_leaves_tests_alone(table, unit, error):
    model = replace(BY_SD, error=error)
    plain = model.fit(table).tidy()
    scaled = model.fit(table.assign(mean=table["mean"] * unit, sd=table["sd"] * unit)).tidy()
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        # A limit near zero is a difference of large numbers, hence the absolute part.
        np.testing.assert_allclose(scaled[column], plain[column] * unit, rtol=1e-9, atol=1e-9 * unit * 100)
    for column in ("statistic", "df"):
        # The absolute part is for means of 1e-300, which lose their digits when divided.
        np.testing.assert_allclose(scaled[column], plain[column], rtol=1e-9, atol=1e-12)


# ---- published examples --------------------------------------------------------------------------------------------


def test_fuentes_2014_intervals_imply_a_pooled_sd_of_about_eight_millimetres():
    result = BY_LIMITS.fit(PAIN)
    assert round(result.state.sigma, 1) == 8.3
    assert result.glance()[["n_obs", "n_cells", "df_residual"]].iloc[0].to_list() == [117, 4, 113]
    alliance = combination(result, [-0.5, -0.5, 0.5, 0.5])
    current = combination(result, [0.5, -0.5, 0.5, -0.5])
    interaction = combination(result, [-1, 1, 1, -1])
    assert [round(c["estimate"], 2) for c in (alliance, current, interaction)] == [12.5, 8.6, 1.2]
    assert [round(c["std_error"], 2) for c in (alliance, current, interaction)] == [1.53, 1.53, 3.07]


def rounded_difference(result: Result, weights: list[float]) -> tuple[float, float, float]:
    found = combination(result, weights)
    return round(found["estimate"], 2), round(found["conf_low"], 1), round(found["conf_high"], 1)


def test_sham_enhanced_minus_active_limited_depends_on_the_source():
    weights = [-1, 0, 0, 1]
    assert rounded_difference(BY_LIMITS.fit(PAIN), weights) == (3.9, -0.4, 8.2)
    centres = PAIN.assign(mean=(PAIN["low"] + PAIN["high"]) / 2)
    assert rounded_difference(BY_LIMITS.fit(centres), weights) == (4.65, 0.4, 8.9)
    assert rounded_difference(BY_LIMITS.fit(PPT), weights) == (0.5, -0.1, 1.1)
    # The lost minus sign of the smallest group makes no difference to the rounded interval.
    assert rounded_difference(BY_LIMITS.fit(PPT.assign(low=[0.7, -0.2, 1.6, 1.3])), weights) == (0.5, -0.1, 1.1)


def test_sham_enhanced_minus_active_limited_from_congress_effect_sizes():
    """SDs are mean over effect size; the published interval pools the two groups compared."""
    means = np.array([18.17, 22.00])
    table = pd.DataFrame({"group": ["AL", "SE"], "n": [30, 29], "mean": means, "sd": means / [1.8, 1.6]})
    assert rounded_difference(BY_SD.fit(table), [-1, 1]) == (3.83, -2.4, 10.1)


# ---- what a result holds -------------------------------------------------------------------------------------------


def test_result_keeps_the_contract_of_a_model():
    result = FACTORIAL.fit(golden_cells())
    tidy = result.tidy()
    assert list(tidy.columns) == list(TIDY)
    assert tidy["term"].iloc[0] == "treatment=active, alliance=enhanced"
    assert set(tidy["component"]) == {"fixed"}
    design = result.state.design
    assert design.levels == {"treatment": ("active", "sham"), "alliance": ("enhanced", "limited")}
    assert design.variables == ("treatment", "alliance")
    assert result.state.steps == ()
    assert result.state.null.shape == (0, 4)
    np.testing.assert_array_equal(result.state.kept, np.arange(4))
    np.testing.assert_array_equal(result.augment()["fitted"], golden_cells()["mean"])
    assert result.covariance.to_numpy()[0, 1] == 0
    assert result.glance()["method"].item() == "summary statistics"
    assert "sigma" not in replace(FACTORIAL, error="separate").fit(golden_cells()).glance()


def test_levels_follow_the_order_of_the_table():
    assert BY_LIMITS.fit(PAIN).state.design.levels == {"group": ("AL", "SL", "AE", "SE")}


def test_prediction_gives_mean_and_standard_error_of_the_cell():
    result = BY_LIMITS.fit(PAIN)
    new = pd.DataFrame({"group": ["SE", "AL", "SE"]}, index=[7, 8, 9])
    found = result.model._predict(result, new)
    assert found["fitted"].to_dict() == {7: 22.2, 8: 18.3, 9: 22.2}
    assert found["df"].to_list() == [113.0] * 3
    by_group = result.tidy().set_index("term")["std_error"]
    np.testing.assert_allclose(found["std_error"], by_group[["group=SE", "group=AL", "group=SE"]], rtol=1e-12)
    with pytest.raises(DataError, match=r"group=XX are not in the table; known cells: group=AL"):
        result.model._predict(result, pd.DataFrame({"group": ["XX"]}))


def test_simulated_means_have_the_standard_errors_of_the_fit():
    result = BY_LIMITS.fit(PAIN)
    draws = result.model._simulate(result, np.random.default_rng(1), 20_000)
    assert draws.shape == (20_000, 4)
    std_error = result.tidy()["std_error"].to_numpy()
    # Three Monte Carlo standard errors of a mean, and of an SD, over 20,000 draws.
    assert (np.abs(draws.mean(axis=0) - PAIN["mean"]) < 3 * std_error / np.sqrt(20_000)).all()
    np.testing.assert_allclose(draws.std(axis=0, ddof=1), std_error, rtol=3 / np.sqrt(2 * 20_000))


def test_cells_as_text_are_read_as_numbers():
    text = PAIN.assign(mean=["18.3", "10.3", "31.4", "22.2"], low=["14.3", "6.6", "27.2", "18.9"])
    pd.testing.assert_frame_equal(BY_LIMITS.fit(text).tidy(), BY_LIMITS.fit(PAIN).tidy())
    minus = PPT.assign(low=["0.7", "\N{MINUS SIGN}0.2", "1.6", "1.3"])
    assert BY_LIMITS.fit(minus).frame["low"].to_list() == [0.7, -0.2, 1.6, 1.3]


def test_fitting_leaves_the_table_alone():
    before = PAIN.copy()
    BY_LIMITS.fit(PAIN)
    pd.testing.assert_frame_equal(PAIN, before)


def test_a_mean_outside_its_limits_is_said_in_a_note():
    result = BY_LIMITS.fit(PAIN.assign(mean=[1.83, 10.3, 31.4, 22.2]))
    assert result.notes == ("group=AL: the mean lies outside its own interval; audit() says more",)
    assert BY_LIMITS.fit(PAIN).notes == ()


# ---- refusals ------------------------------------------------------------------------------------------------------

ROWS = PAIN.assign(sd=[8.0, 8.1, 8.2, 8.3])


@pytest.mark.parametrize(
    ("model", "table", "message"),
    [
        (BY_SD, ROWS.drop(columns="sd"), "no column 'sd'"),
        (BY_SD, ROWS.assign(n=[1, 29, 29, 29]), "column 'n' in group=AL is not a whole number of at least 2"),
        (BY_SD, ROWS.assign(n=[30.5, 29, 29, 29]), "column 'n' in group=AL is not a whole number"),
        (BY_SD, ROWS.assign(sd=[8.0, 0.0, 8.2, -1.0]), "column 'sd' in group=SL; group=SE is not above zero"),
        (BY_LIMITS, ROWS.assign(low=[14.3, 12.7, 27.2, 18.9]), "column 'low' in group=SL is not below 'high'"),
        (BY_SD, ROWS.assign(group=["AL", "AL", "AE", "SE"]), "group=AL appears more than once"),
        (SummaryStatistics(), ROWS, "neither is given; give sd= alone"),
        (SummaryStatistics(sd="sd", low="low", high="high"), ROWS, "both are given; give sd= alone"),
        (BY_SD, ROWS.assign(mean=[18.3, None, 31.4, 22.2]), "'mean' has missing values"),
        (BY_SD, ROWS.assign(group=["AL", None, "AE", "SE"]), "'group' has missing values"),
        (BY_SD, ROWS.assign(mean=["18.3", "ten", "31.4", "22.2"]), "column 'mean': 'ten' is not a number"),
        (BY_SD, ROWS.assign(mean=[18.3, np.inf, 31.4, 22.2]), "column 'mean': inf is not a finite number"),
        (BY_SD, ROWS.iloc[:0], "the table has no rows"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(model, table, message):
    with pytest.raises(DataError, match=message):
        model.fit(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": "welch"}, "error is 'welch'; use one of pooled, separate"),
        ({"interval_df": "t"}, "interval_df is 't'"),
        ({"low": "low"}, "low and high belong together"),
        ({"factors": ()}, "factors is empty"),
        ({"level": 95}, "level is 95"),
    ],
)
def test_declarations_that_mean_nothing_are_refused(options, message):
    with pytest.raises(AllianceError, match=message):
        SummaryStatistics(**options)


def test_separate_errors_do_not_follow_from_limits_of_a_common_error_term():
    with pytest.raises(AllianceError, match="contradicts interval_df='pooled'"):
        replace(BY_LIMITS, error="separate").fit(PAIN)
    result = replace(BY_LIMITS, error="separate", interval_df="group").fit(PAIN)
    np.testing.assert_allclose(result.tidy()["conf_high"] - result.tidy()["conf_low"], PAIN["high"] - PAIN["low"])
