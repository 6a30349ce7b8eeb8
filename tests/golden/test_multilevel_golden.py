"""Multilevel mediation against nlme::lme() (stacked, varIdent), glmmTMB and lavaan's two-level models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.inference.multilevel_paths import patient_paths
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.result import Result
from tests.golden.pinned import assert_close, data, pinned

LME = 1e-4  # lme() stops at a log likelihood that is up to 7e-8 from the optimum; variances are known to its root there
LIKELIHOOD = 1e-6
LAVAAN = 2e-5  # lavaan's optimiser stops at about five digits
NAMES = {"Sm": "alliance~Intercept", "Sy": "relief~Intercept"}
RAW = NAMES | {"a": "alliance~practice", "b": "relief~alliance", "c_prime": "relief~practice"}
WIDE = NAMES | {
    "a": "alliance~practice_within", "ab": "alliance~practice_between", "b": "relief~alliance_within",
    "bb": "relief~alliance_between", "c_prime": "relief~practice_within", "cb": "relief~practice_between",
}  # fmt: skip
EFFECTS = {"Sm": "Intercept_alliance", "Sy": "Intercept_relief", "a": "a", "b": "b", "c_prime": "c_prime"}


def fitted(**options: Any) -> Result:
    given = {"center": False, "interval": "delta"} | options
    return MultilevelMediation("practice", "alliance", "relief", **given).fit(data("multilevel_111"))


def upper(**options: Any) -> Result:
    given = {"group": "therapist", "interval": "delta", "mediator": "alliance", "outcome": "outcome"} | options
    return MultilevelMediation("arm", **given).fit(data("multilevel_211"))


def by_term(result: Result) -> pd.DataFrame:
    rows = result.tidy()
    return rows[rows["component"] != "random"].set_index("term")


def assert_stacked(result: Result, expected: dict[str, Any], names: dict[str, str]) -> None:
    rows = by_term(result)
    terms = [names[key] for key in expected["fixed"]]
    assert_close(rows.loc[terms, "estimate"], list(expected["fixed"].values()), LME)
    assert_close(rows.loc[terms, "std_error"], list(expected["std_error"].values()), LME)
    assert_close(result.glance()["log_likelihood"], [expected["log_likelihood"]], LIKELIHOOD)
    residual = rows.loc["sd(residual)"].set_index("equation")["estimate"]
    assert_close(residual[["alliance", "relief"]], list(expected["sigma"].values()), LME)
    for group, psi in expected["covariance"].items():
        assert_random(result, group, psi)


def assert_random(result: Result, group: str, psi: dict[str, Any]) -> None:
    """Standard deviations and correlations that there are; correlations are judged on the scale of 1."""
    rows = (
        result.tidy().query("group == @group and component in ('random', 'correlation')").set_index("term")["estimate"]
    )
    values, effects = np.array(psi["values"]), [EFFECTS[key] for key in psi["terms"]]
    sd = np.sqrt(np.diag(values))
    assert_close(rows[[f"sd({effect})" for effect in effects]], sd, LME)
    for i, one in enumerate(effects):
        for j, other in enumerate(effects[:i]):
            found = rows.get(f"cor({other},{one})", rows.get(f"cor({one},{other})", 0.0))
            assert_close(found, values[i, j] / (sd[i] * sd[j]), LME, scale=1.0)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("random", [("a", "b", "c_prime"), ("a", "b")])
def test_stacked_model_in_all_parameters(method: str, random: tuple[str, ...]) -> None:
    expected = pinned("multilevel_lme", "two" if len(random) == 2 else "raw", method)
    assert_stacked(fitted(method=method, random=random), expected, RAW)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_within_and_between_paths(method: str) -> None:
    expected = pinned("multilevel_lme", "centred", method)
    result = fitted(method=method, center=True)
    assert_stacked(result, expected, WIDE)
    rows, b = by_term(result)["estimate"], expected["fixed"]
    cov = expected["covariance"]["patient"]["values"][2][3]
    assert_close(rows["indirect_within"], b["a"] * b["b"] + cov, LME)
    assert_close(rows["indirect_between"], b["ab"] * b["bb"], LME)
    assert_close(rows["total_within"], b["a"] * b["b"] + cov + b["c_prime"], LME)
    assert_close(rows["b_contextual"], b["bb"] - b["b"], LME)


def test_patients_within_therapists() -> None:
    assert_stacked(fitted(above="therapist", random=("a", "b")), pinned("multilevel_lme", "above", "REML"), RAW)


def test_standard_errors_from_all_parameters_jointly() -> None:
    """Those of paths are glmmTMB's, which inverts the information in coefficients and variances; lme() has .069 for b."""
    rows, expected = by_term(fitted(method="ML", random=("a", "b"))), pinned("multilevel_lme", "joint")
    assert_close(
        rows.loc[["a", "b", "c_prime"], "std_error"], [expected["std_error"][p] for p in ("a", "b", "c_prime")], LME
    )


def test_standard_error_of_the_indirect_effect_holds_that_of_the_covariance() -> None:
    result = fitted(method="ML", random=("a", "b"))
    rows = result.tidy().set_index("term")
    a, b = rows.loc["a"], rows.loc["b"]
    cov = pinned("multilevel_lme", "joint", "ab")
    fixed = (
        b.estimate**2 * a.std_error**2 + a.estimate**2 * b.std_error**2 + a.std_error**2 * b.std_error**2
        + 2 * a.estimate * b.estimate * cov + cov**2
    )  # fmt: skip
    V = result.state.covariance
    positions = [list(result.state.solved.stack.terms).index(t) for t in ("alliance~practice", "relief~alliance")]
    slope = np.zeros(len(V))
    slope[positions] = b.estimate, a.estimate
    place = len(result.state.solved.stack.terms) + 8  # covariance of the third and fourth effect in the lower triangle
    both = rows.loc["cov_ab", "std_error"] ** 2 + 2 * slope @ V[:, place]
    assert_close(rows.loc["indirect", "std_error"], np.sqrt(fixed + both), LME)
    assert rows.loc["indirect", "std_error"] > 1.05 * np.sqrt(fixed)


def test_paths_of_patients_are_fixed_and_random_parts() -> None:
    expected = pinned("multilevel_lme", "modes")
    result = fitted()
    paths, rows = patient_paths(result), result.tidy().set_index("term")["estimate"]
    for path in ("a", "b", "c_prime"):
        own = paths[paths["term"] == path].set_index("at")["estimate"]
        assert_close(own[expected["patient"]] - rows[path], expected[path], LME, scale=rows[f"sd({path})"])


def test_latent_means_are_those_of_the_two_level_model() -> None:
    expected = pinned("multilevel_lavaan", "latent")
    result = upper(design="2-1-1", means="latent")
    rows = by_term(result)
    for term in ("a", "b_between", "b_within", "c_prime", "indirect", "total"):
        assert_close(rows.loc[term, "estimate"], expected[term]["estimate"], LAVAAN)
        assert_close(rows.loc[term, "std_error"], expected[term]["std_error"], LAVAAN)
    residual = rows.loc["sd(residual)", "estimate"] ** 2
    assert_close(residual, [expected["s2m"]["estimate"], expected["s2y"]["estimate"]], LAVAAN)
    assert_close(result.glance()["log_likelihood"], [expected["log_likelihood"]], 1e-9)


def test_mediator_of_the_cluster_is_that_of_the_two_level_model() -> None:
    expected = pinned("multilevel_lavaan", "upper")
    result = upper(design="2-2-1", mediator="fidelity", outcome="later", method="ML")
    rows = by_term(result)
    for term in ("a", "b", "c_prime", "indirect", "total"):
        assert_close(rows.loc[term, "estimate"], expected[term]["estimate"], LAVAAN)
        assert_close(rows.loc[term, "std_error"], expected[term]["std_error"], LAVAAN)
    assert_close(result.glance()["log_likelihood"], [expected["log_likelihood"]], 1e-9)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_manifest_and_conflated_means_equation_by_equation(method: str) -> None:
    m, y, mixed = (pinned("multilevel_lme", "means", method, key) for key in ("mediator", "outcome", "conflated"))
    rows = by_term(upper(design="2-1-1", method=method))["estimate"]
    a, b = m["fixed"]["arm"], y["fixed"]["mean"]
    assert_close(rows[["a", "b_between", "b_within"]], [a, b, y["fixed"]["within"]], 1e-6)
    assert_close(rows[["c_prime", "indirect"]], [y["fixed"]["arm"], a * b], 1e-6)
    whole = by_term(upper(design="2-1-1", method=method, center=False))["estimate"]
    assert_close(whole[["b", "indirect"]], [mixed["fixed"]["alliance"], a * mixed["fixed"]["alliance"]], 1e-6)


def test_three_answers_to_three_questions() -> None:
    """Generated with an indirect effect of −.20: the latent mean gives −.268, the manifest −.232, one piece −.119."""
    found = [
        by_term(upper(design="2-1-1", method="ML", **options)).loc["indirect", "estimate"]
        for options in ({"means": "latent"}, {}, {"center": False})
    ]
    assert np.round(found, 3).tolist() == [-0.268, -0.232, -0.119]
