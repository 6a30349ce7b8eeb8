"""Functions of a fitted linear model against stats, emmeans, car and lmtest."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import EXACT, ROOT, TAIL, assert_close, assert_rows, data, flipped, pinned, term

import alliance_stats as al
from alliance_stats.inference.combine import adjusted

FULL = "outcome ~ alliance * arm + baseline"
ADDITIVE = "outcome ~ alliance + arm + baseline"
ARMS = ("GE", "MCE", "SMT")
SLOPES = {  # later − earlier, as differences of coefficients
    "MCE − GE": {"alliance:arm[T.MCE]": 1},
    "SMT − GE": {"alliance:arm[T.SMT]": 1},
    "SMT − MCE": {"alliance:arm[T.SMT]": 1, "alliance:arm[T.MCE]": -1},
}


def trial(formula: str, **options: Any) -> al.Result:
    return al.LinearModel(formula, **options).fit(data("trial"))


def factorial() -> al.Result:
    return al.LinearModel("change ~ treatment * alliance").fit(data("factorial"))


def expected(*path: str) -> Any:
    return pinned("inference_linear", *path)


@pytest.mark.parametrize(
    ("key", "formulas"),
    [("f_two_models", [ADDITIVE, FULL]), ("f_three_models", ["outcome ~ baseline", ADDITIVE, FULL])],
)
def test_compare_f(key: str, formulas: list[str]) -> None:
    want, fits = pd.DataFrame(expected("compare", key)), [trial(formula) for formula in formulas]
    found = al.compare(*fits)
    assert found["model"].tolist() == formulas
    assert_close(found["df_residual"], want["df_residual"])
    assert found.loc[0, ["statistic", "df_num", "df", "p_value"]].isna().all()
    assert_close(found.loc[1:, ["statistic", "df_num"]], want.loc[1:, ["statistic", "df"]])
    assert (found.loc[1:, "df"] == want["df_residual"].iloc[-1]).all()
    assert_close(found.loc[1:, "p_value"], want.loc[1:, "p_value"], TAIL)
    assert_close([float(fit.state.residual @ fit.state.residual) for fit in fits], want["rss"])


def test_compare_likelihood_ratio() -> None:
    want, found = expected("compare", "lr"), al.compare(trial(ADDITIVE), trial(FULL), test="LRT")
    assert_close(found["deviance"], [-2 * value for value in want["log_likelihood"]])
    assert_close(found.loc[1, ["statistic", "df_num"]], [want["statistic"], want["df"]], TAIL)  # a small difference
    assert_close(found.loc[1, "p_value"], want["p_value"], TAIL)
    assert_close((found["aic"] - found["deviance"]) / 2, want["n_parameters"], TAIL)


@pytest.mark.parametrize(("key", "vcov"), [("interaction_2df", "classical"), ("interaction_2df_hc3", "HC3")])
def test_compare_wald(key: str, vcov: Any) -> None:
    want, found = expected("compare", key), al.compare(trial(ADDITIVE), trial(FULL, vcov=vcov)).iloc[1]
    assert_close(found[["statistic", "df_num", "df"]], [want["statistic"], want["df1"], want["df2"]])
    assert_close(found["p_value"], want["p_value"], TAIL)


@pytest.mark.parametrize(
    ("key", "at"), [("arm", None), ("arm_at_alliance_45_baseline_60", {"alliance": 45, "baseline": 60})]
)
def test_marginal_means(key: str, at: Any) -> None:
    found = al.marginal_means(trial(FULL), "arm", at=at)
    assert found["arm"].tolist() == list(ARMS)
    assert_rows(found, expected("marginal", key))


def test_covariates_are_held_at_their_means() -> None:
    assert_close(data("trial")[["alliance", "baseline"]].mean(), list(expected("marginal", "covariate_means").values()))
    means = al.marginal_means(trial(FULL), "arm", at=expected("marginal", "covariate_means"))
    assert_rows(means, expected("marginal", "arm"))


@pytest.mark.parametrize("adjust", ["none", "bonferroni"])
def test_pairs_of_means(adjust: Any) -> None:
    found = al.contrast(trial(FULL), "arm", adjust=adjust)
    assert found["term"].tolist() == list(SLOPES)
    assert_rows(found, [flipped(row) for row in expected("marginal", "arm_pairs", adjust)])


def test_holm_adjusts_p_and_leaves_the_intervals() -> None:
    found = al.contrast(trial(FULL), "arm")
    assert_close(found["p_value"], expected("marginal", "arm_pairs", "holm_p"), TAIL)
    single = [flipped(row) for row in expected("marginal", "arm_pairs", "none")]
    assert_rows(found, single, ["estimate", "std_error", "statistic", "df", "conf_low", "conf_high"])


def test_reference_contrasts() -> None:
    found = al.contrast(trial(FULL), "arm", "reference", adjust="none")
    assert_rows(found, [flipped(row) for row in expected("marginal", "arm_pairs", "none")[:2]])


def test_custom_contrasts() -> None:
    weights = {"active - GE": {"GE": -1, "MCE": 0.5, "SMT": 0.5}, "SMT - MCE": {"MCE": -1, "SMT": 1}}
    want = expected("marginal", "arm_custom")
    assert [row["contrast"] for row in want] == list(weights)
    assert_rows(al.contrast(trial(FULL), "arm", weights, adjust="none"), want)


@pytest.mark.parametrize("weights", ["equal", "proportional"])
def test_means_over_another_factor(weights: Any) -> None:
    fit = trial("outcome ~ arm * sex + baseline")
    assert_rows(al.marginal_means(fit, "arm", weights=weights), expected("marginal", "by_sex", weights))
    pairs = al.contrast(fit, "arm", average=weights, adjust="none")
    assert_rows(pairs, [flipped(row) for row in expected("marginal", "by_sex_pairs", weights)])


def test_simple_slopes() -> None:
    found = al.simple_slopes(trial(FULL), "alliance", at={"arm": list(ARMS)})
    assert found["at"].tolist() == [f"arm = {arm}" for arm in ARMS]
    assert_rows(found, expected("marginal", "slopes"))


@pytest.mark.parametrize("adjust", ["none", "bonferroni"])
def test_pairs_of_slopes(adjust: Any) -> None:
    found = al.contrast(trial(FULL), weights=SLOPES, adjust=adjust)
    assert_rows(found, [flipped(row) for row in expected("marginal", "slope_pairs", adjust)])


def test_pairs_of_slopes_holm() -> None:
    assert_close(
        al.contrast(trial(FULL), weights=SLOPES)["p_value"], expected("marginal", "slope_pairs", "holm_p"), TAIL
    )


def test_two_by_two() -> None:
    fit, want = factorial(), expected("two_by_two")
    cells = al.marginal_means(fit, ["treatment", "alliance"]).set_index(["treatment", "alliance"], drop=False)
    order = [(row["treatment"], row["alliance"]) for row in want["cells"]]
    assert_rows(cells.loc[order], want["cells"])
    for factor in ("treatment", "alliance"):
        assert_rows(al.marginal_means(fit, factor), want[factor])
        pairs = al.contrast(fit, factor, adjust="none")
        assert_rows(pairs, [flipped(row) for row in want[f"{factor}_pairs"]])


def test_simple_effects_in_the_two_by_two() -> None:
    want = expected("two_by_two", "alliance_within_treatment")
    at = {"treatment": [row["treatment"] for row in want]}
    found = al.simple_slopes(factorial(), "alliance", at=at)
    assert_rows(found, [flipped(row) for row in want])
    turned = al.simple_slopes(factorial(), "alliance", at=at, difference=("limited", "enhanced"))
    assert_rows(turned, want)


def test_interaction_of_the_two_by_two() -> None:
    weights = {
        "interaction": {
            ("active", "enhanced"): 1, ("sham", "enhanced"): -1, ("active", "limited"): -1, ("sham", "limited"): 1,
        }
    }  # fmt: skip
    found = al.contrast(factorial(), ["treatment", "alliance"], weights, adjust="none")
    assert_rows(found, expected("two_by_two", "interaction"))


@pytest.mark.parametrize(
    "formula",
    ["change ~ treatment * alliance", "change ~ alliance * C(treatment, Sum)", "change ~ 0 + treatment:alliance"],
)
def test_type_three(formula: str) -> None:
    """Type III tests do not depend on how the factors are coded, nor on the order in which they are named."""
    want = {row["term"]: row for row in expected("two_by_two", "type3")}
    fit = al.LinearModel(formula).fit(data("factorial"))
    for factors in (None, ["treatment", "alliance"], ["alliance", "treatment"]):
        found = al.anova(fit, factors)
        assert len(found) == 3
        for row in found.itertuples():
            r = want.get(row.term) or want[":".join(reversed(row.term.split(":")))]
            assert_close([row.statistic, row.df_num, row.df], [r["statistic"], r["df"], want["Residuals"]["df"]])
            assert_close(row.p_value, r["p_value"], TAIL)
            explained = r["sum_of_squares"] / (r["sum_of_squares"] + want["Residuals"]["sum_of_squares"])
            assert_close(row.partial_eta_squared, explained)


def test_type_three_of_unequal_factors() -> None:
    """Three levels by two, in either order: a test of the whole model's difference from the additive one."""
    fit = trial("outcome ~ sex * C(arm, Sum)")
    found = al.anova(fit, ["arm", "sex"]).set_index("term")
    want = al.compare(trial("outcome ~ arm + sex"), fit).iloc[1]
    assert_close(found.loc["sex:arm", "statistic"], want["statistic"])
    assert found["df_num"].to_dict() == {"sex": 1, "arm": 2, "sex:arm": 2}


def moderated(alpha: float = 0.05) -> al.Result:
    return trial("outcome ~ alliance * baseline", level=1 - alpha)


def test_moderated_model() -> None:
    want = expected("johnson_neyman", "coefficients")
    assert moderated().tidy()["term"].tolist() == [term(row["term"]) for row in want]
    assert_rows(moderated().tidy(), want)


@pytest.mark.parametrize("which", range(4))
def test_johnson_neyman(which: int) -> None:
    want, (low, high) = expected("johnson_neyman", "boundaries")[which], expected("johnson_neyman", "moderator_range")
    found = al.johnson_neyman(moderated(want["alpha"]), "alliance", "baseline")
    roots = [root for root in want["roots"] or [] if low < root < high]
    assert_close([found["low"].iloc[0], found["high"].iloc[-1]], [low, high])
    assert_close(found["high"].iloc[:-1], roots, ROOT)
    assert (found["low"].iloc[1:].to_numpy() == found["high"].iloc[:-1].to_numpy()).all()
    middle = (found["low"] + found["high"]) / 2
    parabola = want["A"] * middle**2 + want["B"] * middle + want["C"]
    assert found["significant"].tolist() == (parabola > 0).tolist()
    assert_close(found["share"].sum(), 1.0)
    seen = data("trial")["baseline"]
    assert_close(found["share"].iloc[0], (seen < found["high"].iloc[0]).mean() if roots else 1.0)


def test_johnson_neyman_levels_give_every_kind_of_region() -> None:
    regions = [
        al.johnson_neyman(moderated(row["alpha"]), "alliance", "baseline")["significant"].tolist()
        for row in expected("johnson_neyman", "boundaries")
    ]
    assert regions == [[True, False, True], [False, True], [False, True], [False]]


def test_slopes_along_a_number() -> None:
    want = expected("johnson_neyman", "simple_slopes")
    found = al.simple_slopes(moderated(), "alliance", at={"baseline": [row["baseline"] for row in want]})
    assert_rows(found, want)


def test_slope_curve_meets_the_boundaries() -> None:
    frame = al.slope_curve(moderated(), "alliance", "baseline")
    regions = al.johnson_neyman(moderated(), "alliance", "baseline")
    for a, b in pairwise(range(len(frame))):
        if frame["significant"].iloc[a] != frame["significant"].iloc[b]:
            assert frame["baseline"].iloc[a] <= regions["high"].iloc[0] <= frame["baseline"].iloc[b]
    assert frame["significant"].nunique() == 2


@pytest.mark.parametrize("method", ["holm", "hochberg", "BH", "BY", "bonferroni", "hommel"])
def test_adjusted_p_values(method: str) -> None:
    raw = np.array(expected("p_adjust", "p_value"))
    assert_close(adjusted(raw, method), expected("p_adjust", method))
    order = np.random.default_rng(1).permutation(len(raw))
    assert_close(adjusted(raw[order], method), np.array(expected("p_adjust", method))[order])


def test_standardised_table_rests_on_the_same_fit() -> None:
    want, fit = expected("standardised"), trial(ADDITIVE)
    assert_rows(fit.tidy(), want["coefficients"])
    assert_close(fit.glance()["r2_marginal"].iloc[0], want["r_squared"])


PAIRS = ("enhanced_limited_active", "enhanced_limited_sham", "limited_active_enhanced_sham")


@pytest.mark.parametrize("pair", PAIRS)
def test_non_inferiority(pair: str) -> None:
    """The lower of the two one-sided tests of an equivalence test is the test of non-inferiority."""
    want = pinned("summaries", "pairs", pair)
    patients = data("factorial").assign(cell=lambda d: d["treatment"] + " " + d["alliance"])
    fit = al.LinearModel("change ~ cell").fit(patients[patients["cell"].isin([want["first"], want["second"]])])
    rows = al.contrast(fit, "cell", {"first − second": {want["first"]: 1, want["second"]: -1}}, adjust="none")
    assert_rows(rows, [want["pooled"]])
    tost = want["equivalence_pooled"]
    found = al.non_inferiority(rows, margin=tost["margin"], alpha=0.05).iloc[0]
    assert_close(found["p_non_inferiority"], tost["p_lower"], TAIL)
    assert_close(found["limit"], tost["conf_low_90"], EXACT, found["std_error"])
    assert found["verdict"] == ("non-inferior" if tost["p_lower"] < 0.05 else "not shown")
    other = al.non_inferiority(rows, margin=tost["margin"], alpha=0.05, higher_is_better=False).iloc[0]
    assert_close(other["p_non_inferiority"], tost["p_upper"], TAIL)
    assert_close(other["limit"], tost["conf_high_90"], EXACT, found["std_error"])


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_smallest_margin_is_where_the_test_turns(higher_is_better: bool) -> None:
    rows = al.contrast(trial(FULL), "arm", adjust="none")
    smallest = al.non_inferiority(rows, higher_is_better=higher_is_better)
    for i in np.flatnonzero(smallest["smallest_margin"] > 0):
        margin = smallest["smallest_margin"].iloc[i]
        found = al.non_inferiority(rows.iloc[[i]], margin=margin, higher_is_better=higher_is_better)
        assert_close(found["p_non_inferiority"], [0.025])
    assert (smallest["smallest_margin"] > 0).any()
