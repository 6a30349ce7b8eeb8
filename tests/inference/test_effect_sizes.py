"""Standardised effects against R, scipy's noncentral t, and refits in other units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import ndtr

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.effect_sizes import cohens_d, noncentrality, small_sample_factor, standardised_effects
from alliance_stats.models.linear import LinearModel
from alliance_stats.result import Result, tidy_frame

VALIDATION = Path(__file__).parents[2] / "validation"
STANDARDISED = json.loads((VALIDATION / "inference_linear.json").read_text())["results"]["standardised"]
SUMMARIES = json.loads((VALIDATION / "summaries.json").read_text())["results"]
EXACT = 1e-10  # closed forms of least-squares numbers printed with 15 digits
ROOT = 2e-9  # R's pnct stops summing at errors of 1e-12, and its slope in the noncentrality is as small as 0.001


def trial() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "data" / "trial.csv")


def additive(**options: Any) -> Result:
    return LinearModel("outcome ~ alliance + arm + baseline", **options).fit(trial())


def r_names(frame: pd.DataFrame, column: str) -> dict[str, float]:
    return {term.replace("[T.", "").replace("]", ""): v for term, v in zip(frame["term"], frame[column], strict=True)}


def test_standardised_effects_agree_with_r() -> None:
    found = standardised_effects(additive())
    by_name = found.set_index(found["term"].str.replace("[T.", "").str.replace("]", ""))
    coefficients = list(STANDARDISED["beta_all_columns"])
    assert by_name["beta"][coefficients].to_dict() == pytest.approx(STANDARDISED["beta_all_columns"], abs=EXACT)
    assert by_name["partial_r"][coefficients].to_dict() == pytest.approx(STANDARDISED["partial_correlation"], abs=EXACT)
    for term, expected in STANDARDISED["by_term"].items():
        assert by_name["partial_r2"][term] == pytest.approx(expected["partial_r_squared"], abs=EXACT)
        assert by_name["f2"][term] == pytest.approx(expected["cohen_f2"], abs=EXACT)
    assert found["term"].tolist() == ["alliance", "arm[T.MCE]", "arm[T.SMT]", "baseline", "arm"]
    assert by_name.loc["arm", "beta":"partial_r_high"].isna().all()


def test_beta_is_the_coefficient_of_standardised_variables() -> None:
    data = trial()
    columns = ["outcome", "alliance", "baseline"]
    scaled = (data[columns] - data[columns].mean()) / data[columns].std()
    refit = LinearModel("outcome ~ alliance + baseline").fit(scaled).tidy().iloc[1:]
    found = standardised_effects(LinearModel("outcome ~ alliance + baseline").fit(data))
    for column, wanted in (("beta", "estimate"), ("beta_low", "conf_low"), ("beta_high", "conf_high")):
        assert found[column].to_numpy() == pytest.approx(refit[wanted].to_numpy(), abs=EXACT)


def test_partial_r_is_the_correlation_of_residuals() -> None:
    data = trial()
    left = [LinearModel(f"{v} ~ arm + baseline").fit(data).augment()["residual"] for v in ("outcome", "alliance")]
    found = standardised_effects(additive()).set_index("term").loc["alliance"]
    assert found["partial_r"] == pytest.approx(np.corrcoef(*left)[0, 1], abs=EXACT)


@pytest.mark.parametrize("pair", ["enhanced_limited_active", "enhanced_limited_sham", "limited_active_enhanced_sham"])
def test_two_groups_agree_with_r(pair: str) -> None:
    data = pd.read_csv(VALIDATION / "data" / "factorial.csv")
    expected = SUMMARIES["pairs"][pair]
    cell = data["treatment"] + " " + data["alliance"]
    both = data.assign(first=(cell == expected["first"]).astype(float))[
        cell.isin([expected["first"], expected["second"]])
    ]
    fit = LinearModel("change ~ first").fit(both)
    found = cohens_d(fit, fit.tidy().iloc[[1]]).iloc[0]
    size = expected["effect_size"]
    assert [found["d"], found["g"]] == pytest.approx([size["d"], size["g"]], abs=EXACT)
    limits = found[["d_low", "d_high", "g_low", "g_high"]].tolist()
    assert limits == pytest.approx([size[k] for k in ("conf_low", "conf_high", "g_conf_low", "g_conf_high")], abs=ROOT)
    whole = standardised_effects(fit).iloc[0]
    assert whole[["d", "d_low", "d_high"]].tolist() == pytest.approx(
        found[["d", "d_low", "d_high"]].tolist(), abs=EXACT
    )


def test_published_groups_of_chen_2019() -> None:
    expected = SUMMARIES["chen2019"]
    row, size = expected["pooled"], expected["effect_size"]
    sigma = row["std_error"] / np.sqrt(1 / 54 + 1 / 73)
    fit = Result(
        LinearModel("y ~ x"),
        pd.DataFrame(),
        None,
        tidy_frame(term=[]),
        pd.DataFrame({"sigma": [sigma]}),
        pd.DataFrame(),
    )
    rows = tidy_frame(term=["difference"], **{k: [row[k]] for k in ("estimate", "std_error", "df")})
    found = cohens_d(fit, rows).iloc[0]
    wanted = [size[k] for k in ("d", "conf_low", "conf_high", "g", "g_conf_low", "g_conf_high")]
    assert found[["d", "d_low", "d_high", "g", "g_low", "g_high"]].tolist() == pytest.approx(wanted, abs=ROOT)


def noncentral_cdf(t: float, df: float, delta: float) -> float:
    """P(T ≤ t) as a mean over the chi distribution of the estimated SD: a second way to the same number."""
    chi = stats.chi(df)
    points = [max(0.0, np.sqrt(df) - 9), np.sqrt(df) + 9]
    return quad(lambda s: ndtr(t * s / np.sqrt(df) - delta) * chi.pdf(s), *points, epsabs=1e-13, limit=400)[0]


@pytest.mark.parametrize("df", [1.0, 2.0, 7.3, 49.0, 180.0, 5000.0])
@pytest.mark.parametrize("t", [-12.0, -1.2, 0.0, 0.3, 2.0, 5.13, 60.0])
def test_noncentrality_inverts_the_distribution(t: float, df: float) -> None:
    low, high = (float(v[0]) for v in noncentrality(np.array([t]), df, 0.95))
    assert low < high
    for delta, p in ((low, 0.975), (high, 0.025)):
        assert stats.nct.cdf(t, df, delta) == pytest.approx(p, abs=1e-11)
        assert noncentral_cdf(t, df, delta) == pytest.approx(p, abs=1e-10)


def test_noncentrality_is_continuous_where_the_normal_part_is_left_out() -> None:
    """What is left out widens the interval of δ/t by some 2 √(df/2) / t²."""
    for df in (1.0, 5.0, 180.0, 5000.0):
        near, far = (np.array(noncentrality(np.array([t]), df, 0.95)) / t for t in (9999.999, 10000.001))
        assert near == pytest.approx(far, abs=3 * np.sqrt(df / 2) / 1e8)


def test_noncentrality_without_df_is_normal_and_keeps_missing() -> None:
    low, high = noncentrality(np.array([1.5, np.nan, np.inf]), np.array([np.inf, 5, 5]), 0.95)
    assert [low[0], high[0]] == pytest.approx([1.5 - stats.norm.ppf(0.975), 1.5 + stats.norm.ppf(0.975)], abs=EXACT)
    assert np.isnan(low[1])
    assert high[2] == np.inf


def test_interval_of_d_excludes_zero_where_the_test_rejects() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        data = pd.DataFrame({"y": rng.normal(size=12), "arm": ["a"] * 6 + ["b"] * 6})
        data.loc[6:, "y"] += 1.2
        fit = LinearModel("y ~ arm").fit(data)
        row = standardised_effects(fit).iloc[0]
        rejects = fit.tidy()["p_value"].iloc[1] < 0.05
        assert (row["d_low"] > 0 or row["d_high"] < 0) == rejects
        assert (row["partial_r_low"] > 0 or row["partial_r_high"] < 0) == rejects


def test_interval_of_d_covers_the_true_difference() -> None:
    """2,000 trials of two arms of 10: 3 Monte Carlo errors are 1.5 points."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.8, 1, (2000, 10)), rng.normal(0, 1, (2000, 10))
    pooled = np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / 2)
    unit = np.sqrt(1 / 5)
    low, high = noncentrality((a.mean(axis=1) - b.mean(axis=1)) / (pooled * unit), 18, 0.95)
    coverage = np.mean((low * unit <= 0.8) & (high * unit >= 0.8))
    assert abs(coverage - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 2000)


def test_hedges_g_is_unbiased() -> None:
    """20,000 trials of two arms of 4: the mean of g is the true difference, that of d is 15 % above it."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, (20000, 4)), rng.normal(0, 1, (20000, 4))
    d = (a.mean(axis=1) - b.mean(axis=1)) / np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / 2)
    g = small_sample_factor(np.array([6.0])) * d
    error = g.std() / np.sqrt(20000)
    assert abs(g.mean() - 1) < 3 * error
    assert d.mean() - 1 > 9 * error


def test_small_sample_factor_has_limits() -> None:
    J = small_sample_factor(np.array([1.0, 2.0, 1e9, np.inf]))
    assert np.isnan(J[0])
    assert J[1] == pytest.approx(1 / np.sqrt(np.pi), abs=EXACT)
    assert J[2:] == pytest.approx([1 - 0.75e-9, 1], abs=1e-13)


def test_robust_models_keep_their_interval_for_beta_and_the_classical_t_for_the_rest() -> None:
    plain, robust = (standardised_effects(additive(vcov=v)) for v in ("classical", "HC3"))
    same = [c for c in plain.columns if c not in ("beta_low", "beta_high")]
    pd.testing.assert_frame_equal(plain[same], robust[same])
    row, tidy = robust.iloc[0], additive(vcov="HC3").tidy().iloc[1]
    assert row["beta_low"] / row["beta"] == pytest.approx(tidy["conf_low"] / tidy["estimate"], abs=EXACT)


def test_small_sample_factor_uses_the_df_of_sigma() -> None:
    fit = additive(vcov="CR2", cluster="therapist")
    found = cohens_d(fit, fit.tidy().iloc[1:])
    assert (found["g"] / found["d"]).to_numpy() == pytest.approx(small_sample_factor(np.array([135.0]))[0], abs=EXACT)


def test_labels_of_contrasts_are_kept_where_they_say_something() -> None:
    fit = additive()
    rows = tidy_frame(term=["a", "a"], at=["week 1", "week 2"], estimate=[1.0, 2.0], std_error=1.0, df=135.0)
    assert list(cohens_d(fit, rows).columns) == ["term", "at", "d", "d_low", "d_high", "g", "g_low", "g_high"]
    assert list(cohens_d(fit, fit.tidy()).columns)[:2] == ["term", "d"]


def test_level_widens_the_intervals() -> None:
    fit = additive()
    narrow, wide = standardised_effects(fit, level=0.8).iloc[0], standardised_effects(fit).iloc[0]
    for name in ("beta", "d", "partial_r"):
        assert (
            wide[f"{name}_low"] < narrow[f"{name}_low"] < narrow[name] < narrow[f"{name}_high"] < wide[f"{name}_high"]
        )
    assert cohens_d(fit, fit.tidy(), level=0.8)["d_low"].iloc[1] == pytest.approx(narrow["d_low"], abs=EXACT)


def test_perfect_fit_has_partial_correlations_of_one() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 3, 4, 5], "x": [2.0, 4, 6, 8, 10]})
    row = standardised_effects(LinearModel("y ~ x").fit(data)).iloc[0]
    assert row[["beta", "partial_r", "partial_r2"]].tolist() == pytest.approx([1, 1, 1], abs=EXACT)
    assert row["f2"] > 1e20


def test_one_residual_df_dropped_columns_and_no_intercept() -> None:
    few = pd.DataFrame({"y": [1.0, 3, 2], "x": [1.0, 2, 3]})
    assert standardised_effects(LinearModel("y ~ x").fit(few)).drop(columns="term").notna().all(axis=None)
    data = trial().assign(twice=lambda d: 2 * d["alliance"])
    kept = standardised_effects(LinearModel("outcome ~ alliance + twice").fit(data))
    assert kept["term"].tolist() == ["alliance"]
    cells = standardised_effects(LinearModel("outcome ~ 0 + arm").fit(data))
    assert cells["term"].tolist() == ["arm[GE]", "arm[MCE]", "arm[SMT]", "arm"]
    y = data["outcome"]
    within = y - data.groupby("arm")["outcome"].transform("mean")
    assert cells["partial_r2"].iloc[3] == pytest.approx(1 - (within @ within) / (y @ y), abs=EXACT)
    assert standardised_effects(LinearModel("outcome ~ 1").fit(data)).empty


@settings(deadline=None, max_examples=25)
@given(unit=st.floats(1e-3, 1e3), seed=st.integers(0, 2**31))
def test_units_and_row_order_change_d_of_a_slope_alone(unit: float, seed: int) -> None:
    data = trial()
    changed = data.assign(outcome=data["outcome"] / unit + unit, alliance=unit * data["alliance"])
    first = standardised_effects(additive())
    second = standardised_effects(
        LinearModel("outcome ~ alliance + arm + baseline").fit(changed.sample(frac=1, random_state=seed % 1000))
    )
    numbers = first.drop(columns="term").to_numpy().copy()
    numbers[0, 3:6] /= unit
    assert second.drop(columns="term").to_numpy() == pytest.approx(numbers, rel=1e-7, nan_ok=True)


def test_errors_name_what_is_wrong() -> None:
    fit = additive()
    other = Result(object(), fit.frame, fit.state, fit.estimates, pd.DataFrame({"n_obs": [140]}), fit.covariance)
    with pytest.raises(AllianceError, match="standardised_effects needs a fitted LinearModel, not object"):
        standardised_effects(other)
    with pytest.raises(AllianceError, match="the residual SD of the object is nan"):
        cohens_d(other, fit.tidy(), level=0.95)
    with pytest.raises(DataError, match="no column 'std_error'"):
        cohens_d(fit, fit.tidy().drop(columns="std_error"))
    with pytest.raises(AllianceError, match="level is 95"):
        standardised_effects(fit, level=95)
    with pytest.raises(DataError, match="the outcome 'outcome' is 1 in every row"):
        standardised_effects(LinearModel("outcome ~ alliance").fit(trial().assign(outcome=1.0)))
