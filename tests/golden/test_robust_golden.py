"""Robust covariances, their degrees of freedom and joint tests against sandwich and clubSandwich."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden.pinned import EXACT, TAIL, assert_close, assert_matrix, assert_rows, data, pinned, term

from alliance_stats import LinearModel, Result, compare, contrast
from alliance_stats.inference.combine import joint_test
from alliance_stats.numerics.distributions import t_p_value

CASES = ("interaction", "arm_only")
SINGULAR = ("large", "middle", "single_patient")
VCOV = ("CR1", "CR1S", "CR2")
ROWS = {"CR1": "cr1_naive_t", "CR1S": "cr1s_satterthwaite", "CR2": "cr2_satterthwaite"}
WALD = {
    "interaction_arm": ["arm[T.MCE]", "arm[T.SMT]"],
    "interaction_alliance_arm": ["alliance:arm[T.MCE]", "alliance:arm[T.SMT]"],
    "interaction_all_slopes": ["alliance", "alliance:arm[T.MCE]", "alliance:arm[T.SMT]"],
    "arm_only_arm": ["arm[T.MCE]", "arm[T.SMT]"],
}


def clustered(formula: str, vcov: Any, **columns: Any) -> Result:
    return LinearModel(formula, vcov=vcov, cluster="therapist").fit(data("trial").assign(**columns))


def case(name: str, vcov: Any) -> Result:
    formula = pinned("robust", name, "formula")
    return LinearModel(formula, vcov="HC3").fit(data("trial")) if vcov == "HC3" else clustered(formula, vcov)


def singular(name: str, vcov: Any, formula: str = "") -> Result:
    expected = pinned("robust", "singular", name)
    one = (data("trial")["therapist"] == expected["therapist"]).astype(float)
    return clustered(formula or pinned("robust", "singular", "formula"), vcov, by_one_therapist=one)


@pytest.mark.parametrize("name", CASES)
def test_hc3(name: str) -> None:
    expected, fit = pinned("robust", name, "hc"), case(name, "HC3")
    assert_matrix(fit.covariance, expected["vcov"])
    assert_rows(fit.tidy(), expected["coefficients"])
    assert fit.tidy()["term"].tolist() == [term(row["term"]) for row in expected["coefficients"]]
    assert_close(fit.tidy()["std_error"], list(expected["std_error"]["HC3"].values()))


@pytest.mark.parametrize("vcov", VCOV)
@pytest.mark.parametrize("name", CASES)
def test_cluster_matrix(name: str, vcov: str) -> None:
    fit = case(name, vcov)
    assert_matrix(fit.covariance, pinned("robust", name, "cluster", "vcov", vcov))
    assert fit.glance()["n_therapist"].iloc[0] == pinned("robust", name, "cluster", "n_clusters")


@pytest.mark.parametrize("name", CASES)
def test_cr1_is_cr0_with_one_factor(name: str) -> None:
    groups = pinned("robust", name, "cluster", "n_clusters")
    plain = np.array(pinned("robust", name, "cluster", "vcov", "CR0", "values"))
    found = case(name, "CR1").covariance.to_numpy()
    assert_close(found, plain * groups / (groups - 1), EXACT, np.sqrt(np.outer(np.diag(plain), np.diag(plain))))


@pytest.mark.parametrize("name", CASES)
def test_cr2_satterthwaite(name: str) -> None:
    assert_rows(case(name, "CR2").tidy(), pinned("robust", name, "cluster", "cr2_satterthwaite"))


@pytest.mark.parametrize("name", CASES)
def test_cr1_with_clusters_minus_one(name: str) -> None:
    assert_rows(case(name, "CR1").tidy(), pinned("robust", name, "cluster", "cr1_naive_t"))


@pytest.mark.parametrize("name", CASES)
def test_cr1s_with_clusters_minus_one(name: str) -> None:
    """Stata's df are used here, so that of R's CR1S rows with Satterthwaite's df only the first columns are targets."""
    expected, rows = pinned("robust", name, "cluster", "cr1s_satterthwaite"), case(name, "CR1S").tidy()
    assert_rows(rows, expected, ["estimate", "std_error", "statistic"])
    assert (rows["df"] == pinned("robust", name, "cluster", "n_clusters") - 1).all()
    assert_close(rows["p_value"], t_p_value([row["statistic"] for row in expected], 10), TAIL)


def test_cr1s_is_vcov_cl() -> None:
    assert_matrix(case("interaction", "CR1S").covariance, pinned("robust", "vcov_cl_hc1"))


@pytest.mark.parametrize("name", WALD)
def test_hotelling(name: str) -> None:
    expected, fit = pinned("robust", "wald", name), case("arm_only" if name.startswith("arm") else "interaction", "CR2")
    terms = list(fit.state.design.terms)
    found = joint_test(fit, np.eye(len(terms))[[terms.index(t) for t in WALD[name]]], name)
    htz, q = expected["htz"], expected["htz"]["df1"]
    assert_close([found["statistic"], found["df"], found["df_num"]], [htz["statistic"], htz["df2"], q])
    assert_close(found["p_value"], htz["p_value"], TAIL)
    factor = htz["df2"] / (htz["df2"] + q - 1)
    for plain in ("naive_f", "chi_sq"):  # the same quadratic form without the factor of the approximation
        assert_close(found["statistic"] / factor, expected[plain]["statistic"])


def test_compare_gives_the_hotelling_test() -> None:
    small = LinearModel("outcome ~ alliance + arm + baseline").fit(data("trial"))
    found = compare(small, case("interaction", "CR2")).iloc[1]
    htz = pinned("robust", "wald", "interaction_alliance_arm", "htz")
    assert_close(found[["statistic", "df_num", "df"]], [htz["statistic"], htz["df1"], htz["df2"]])
    assert_close(found["p_value"], htz["p_value"], TAIL)


def test_contrasts() -> None:
    expected, fit = pinned("robust", "contrast"), case("interaction", "CR2")
    weights = {
        row["term"]: dict(zip(fit.state.design.terms, values, strict=True))
        for row, values in zip(expected["rows"], expected["coefficients"], strict=True)
    }
    found = contrast(fit, weights=weights, adjust="none")
    assert found["term"].tolist() == list(weights)
    assert_rows(found, expected["rows"])


@pytest.mark.parametrize("vcov", VCOV)
@pytest.mark.parametrize("name", SINGULAR)
def test_dummy_of_one_cluster(name: str, vcov: str) -> None:
    """I − H of that therapist is singular: the directions without a residual are left out."""
    expected, fit = pinned("robust", "singular", name), singular(name, vcov)
    assert_matrix(fit.covariance, expected["vcov"][vcov])
    columns = ["estimate", "std_error", "statistic"]
    if vcov != "CR1S":
        columns += ["df", "p_value", "conf_low", "conf_high"]
    assert_rows(fit.tidy(), expected[ROWS[vcov]], columns)


def test_dummy_of_one_cluster_does_not_depend_on_centring() -> None:
    """An absolute cut-off for zero eigenvalues would move these df in the third digit."""
    formula = "outcome ~ by_one_therapist + baseline"
    slopes = pinned("robust", "singular", "large", "cr2_satterthwaite")[1:]
    assert_rows(singular("large", "CR2", formula).tidy().iloc[1:], slopes)
    faulty = pinned("robust", "singular", "spoilt", "cr2_satterthwaite")[1]["df"]
    assert abs(slopes[0]["df"] - faulty) > 0.005
