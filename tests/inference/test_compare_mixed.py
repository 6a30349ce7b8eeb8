"""Likelihood ratio tests of nested mixed models against lme4's criteria."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data, pinned
from scipy.optimize import brentq
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from alliance_stats.errors import AllianceError
from alliance_stats.inference.compare import compare
from alliance_stats.inference.compare_mixed import mixture_p_value
from alliance_stats.inference.refit import refit
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.random import stream
from alliance_stats.result import Result

# Both optimisers stop when the criterion is good to about 1e-9; a small statistic is a difference of two such numbers.
CRITERION = 1e-8


@cache
def fit(formula: str, name: str, method: str) -> Result:
    columns = data(f"mixed_{name}")
    if name == "therapy":
        columns = columns.dropna(subset=["outcome", "alliance_within"])
    if "|" not in formula:
        return LinearModel(formula).fit(columns)
    return MixedModel(formula, method=method, df_method="normal").fit(columns)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(pinned("mixed_comparison")))
def test_statistics_and_p_values_are_lme4s(name: str) -> None:
    expected = deepcopy(pinned("mixed_comparison", name))
    pair = [fit(expected[key], expected["data"], expected["method"]) for key in ("null", "alternative")]
    table = compare(*pair, refit=expected["method"] == "ML")
    small, large = table.to_dict("records")
    assert table["method"].tolist() == [expected["method"]] * 2
    assert table["n_parameters"].tolist() == [expected["df_null"], expected["df_alternative"]]
    assert table["deviance"].tolist() == pytest.approx(
        [expected["criterion_null"], expected["criterion_alternative"]], abs=CRITERION
    )
    assert table["aic"].tolist() == pytest.approx(expected["aic"], abs=CRITERION)
    if name == "batch_reml":  # R counts n − p rows for the BIC of a linear model under REML, and n for that of lmer
        expected["bic"][0] += 2 * np.log(30 / 29)
    assert table["bic"].tolist() == pytest.approx(expected["bic"], abs=CRITERION)
    assert (small["statistic"] != small["statistic"], large["df_num"]) == (True, expected["df"])
    assert large["statistic"] == pytest.approx(expected["statistic"], abs=2 * CRITERION)
    assert large["p_chi2"] == pytest.approx(expected["p_value"], rel=CRITERION)
    mixture = expected["mixture"]
    assert large["mixture"] == (mixture is not None)
    assert large["p_value"] == pytest.approx((mixture or expected)["p_value"], rel=CRITERION)


def test_reml_fits_are_fitted_again_by_ml() -> None:
    formulas = ("Reaction ~ 1 + (Days | Subject)", "Reaction ~ Days + (Days | Subject)")
    by_reml = compare(*(fit(formula, "sleepstudy", "REML") for formula in formulas))
    by_ml = compare(*(fit(formula, "sleepstudy", "ML") for formula in formulas))
    pd.testing.assert_frame_equal(by_reml, by_ml)


def test_more_than_two_models_and_several_random_effects_at_once() -> None:
    formulas = ("Reaction ~ Days", "Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)")
    chain = compare(*(fit(formula, "sleepstudy", "ML") for formula in formulas))
    assert chain["mixture"].tolist() == [False, True, True]
    assert chain["df_num"].tolist()[1:] == [1, 2]
    jump = compare(fit(formulas[0], "sleepstudy", "ML"), fit(formulas[2], "sleepstudy", "ML")).iloc[1]
    assert (jump["mixture"], jump["df_num"], jump["p_value"] == jump["p_chi2"]) == (False, 3, True)
    assert jump["statistic"] == pytest.approx(chain["statistic"].sum())


def test_the_null_distribution_of_a_balanced_design_is_the_exact_one() -> None:
    """2000 outcomes without groups; the statistic is a function of F, which gives its distribution without simulation."""
    J, n, draws = 20, 5, 2000
    y = stream(1, "null").normal(size=(J * n, draws))
    rows = pd.DataFrame({"g": np.repeat(range(J), n), "y": y[:, 0]})
    larger = refit(MixedModel("y ~ 1 + (1 | g)", method="ML", df_method="normal").fit(rows), y)
    statistic = J * n * (np.log(2 * np.pi * y.var(axis=0)) + 1) - larger["criterion"].to_numpy()
    p = np.array([mixture_p_value(each, 1) for each in statistic])

    def exact(F: float) -> float:
        between, within = (J - 1) * F, J * (n - 1)
        total = J * n * np.log((between + within) / (J * n))
        return float(total - within * np.log(within / (J * (n - 1))) - J * np.log(between / J))

    edge = J / (J - 1)  # the variance is 0 where MSB (J − 1)/J ≤ MSW
    reject = brentq(lambda F: mixture_p_value(exact(F), 1) - 0.05, edge + 1e-6, 5)
    for found, expected in (((statistic < 1e-6).mean(), f_distribution.cdf(edge, J - 1, J * (n - 1))),
                            ((p < 0.05).mean(), f_distribution.sf(reject, J - 1, J * (n - 1)))):  # fmt: skip
        assert found == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / draws))


def test_the_mixture_has_its_level_with_many_groups() -> None:
    """Its law holds for many groups: exactly .05 in the limit, where χ²(1) has .025."""
    assert mixture_p_value(chi2.ppf(0.9, 1), 1) == pytest.approx(0.05, rel=1e-12)
    normal = stream(2, "limit").normal(size=(3, 20000))
    cone = np.maximum(normal[0], 0) ** 2 + (normal[1:] ** 2).sum(axis=0)  # a variance and two covariances
    rejected = np.mean([mixture_p_value(each, 3) < 0.05 for each in cone])
    assert rejected == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 20000))


@pytest.mark.parametrize("name", sorted(pinned("mixed_nested")))
def test_compound_symmetry_within_unstructured_covariances(name: str) -> None:
    """No terms in common, nested all the same; inside the larger family, so that lme4's χ² is the law."""
    expected = pinned("mixed_nested", name)
    rows = data(f"mixed_{expected['data']}")
    factors = {
        column: rows[column].astype(str)
        for column in ("Worker", "recipe", "replicate", "temperature")
        if column in rows
    }
    if "temperature" in rows:
        del factors["temperature"]
    pair = [
        MixedModel(expected[key], method="ML", df_method="normal").fit(rows.assign(**factors))
        for key in ("null", "alternative")
    ]
    table = compare(*pair)
    large = table.iloc[1]
    assert table["n_parameters"].tolist() == expected["n_parameters"]
    assert table["deviance"].tolist() == pytest.approx(expected["deviance"], abs=CRITERION)
    assert large["statistic"] == pytest.approx(expected["statistic"], abs=2 * CRITERION)
    assert (large["df_num"], large["mixture"]) == (expected["df"], False)
    assert large["p_value"] == large["p_chi2"] == pytest.approx(expected["p_value"], rel=1e-6)
    assert large["reference"] == f"χ²({expected['df']}), provided that no variance of the smaller model is zero"


def machines(random: str) -> Result:
    rows = data("mixed_machines").astype({"Worker": str})
    dummies = {name: (rows["Machine"] == name).astype(float) for name in "ABC"}
    return MixedModel(f"score ~ Machine + {random}", method="ML", df_method="normal").fit(rows.assign(**dummies))


@pytest.mark.parametrize(
    ("small", "large", "reference"),
    [
        ("(1 | Worker)", "(1 | Worker/Machine)", "½χ²(0) + ½χ²(1)"),
        ("(1 | Worker)", "(Machine | Worker)", "χ²(5), too large: 2 variances are zero in the smaller model"),
        ("(1 | Worker:Machine)", "(0 + A + B + C || Worker)", "χ²(2), provided"),
        ("(1 | Worker:Machine)", "(Machine | Worker)", "χ²(5), provided"),
        ("(0 + A + B + C || Worker)", "(Machine | Worker)", "χ²(3)"),
        ("(1 | Worker) + (0 + A | Worker)", "(1 + A | Worker)", "χ²(1)"),
    ],
)
def test_the_law_is_that_of_the_place_in_the_larger_family(small: str, large: str, reference: str) -> None:
    found = compare(machines(small), machines(large))["reference"]
    assert found[0] == ""
    assert found[1].startswith(reference)
    assert ("provided" in found[1]) == ("provided" in reference)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("(1 | Worker:Machine)", "(1 + A | Worker)"),
        ("(1 | Worker/Machine)", "(0 + A + B + C || Worker)"),
        ("(0 + A + B + C || Worker)", "(1 | Worker/Machine)"),
        ("(0 + A || Worker) + (1 | Worker:Machine)", "(1 | Worker/Machine)"),
    ],
)
def test_covariances_that_are_no_special_case_are_refused(small: str, large: str) -> None:
    """Independent effects lack the covariance of (1 | Worker); (1 + A | Worker) does not tell B and C apart."""
    with pytest.raises(AllianceError, match="nor is their covariance a special case"):
        compare(machines(small), machines(large))


def test_a_covariance_that_needs_a_negative_variance_is_refused() -> None:
    """J_Worker is Σ of all elements: of (A − B) and (A + B) apart no covariance of the two is made, nor less than none."""
    rows = data("mixed_machines").astype({"Worker": str})
    rows = rows[rows["Machine"] != "C"]
    rows["up"], rows["down"] = 1.0, np.where(rows["Machine"] == "A", 1.0, -1.0)
    rows["A"] = (rows["Machine"] == "A").astype(float)
    fits = {
        random: MixedModel(f"score ~ Machine + {random}", method="ML", df_method="normal").fit(rows)
        for random in ("(0 + A | Worker)", "(1 | Worker:Machine)", "(1 | Worker/Machine)", "(0 + up + down || Worker)")
    }
    # AA' = ½(AA' + BB') + ½(AA' − BB'): the last is no covariance that the larger model has
    with pytest.raises(AllianceError, match="nor is their covariance"):
        compare(fits["(0 + A | Worker)"], fits["(1 | Worker/Machine)"])
    # 2(AA' + BB') = uu' + dd' and uu' itself: two variances in two, but dd' alone is the difference of the two
    with pytest.raises(AllianceError, match="nor is their covariance"):
        compare(fits["(0 + up + down || Worker)"], fits["(1 | Worker/Machine)"])
    with pytest.raises(AllianceError, match="must have more parameters"):
        compare(fits["(1 | Worker/Machine)"], fits["(0 + up + down || Worker)"])


def test_the_null_distribution_inside_the_larger_family_is_chi_squared() -> None:
    """60 workers on 3 machines, compound symmetry: the test of (Machine | Worker) has its level."""
    rows = pd.DataFrame([(w, m) for w in range(60) for m in "ABC" for _ in range(3)], columns=["Worker", "Machine"])
    rng, draws = stream(1, "nested"), 320
    u = rng.normal(size=(60, draws))[rows["Worker"]]
    v = rng.normal(size=(180, draws))[np.arange(len(rows)) // 3]
    y = u + v + rng.normal(size=(len(rows), draws))
    found = []
    for random in ("(1 | Worker/Machine)", "(Machine | Worker)"):
        fit = MixedModel(f"score ~ Machine + {random}", method="ML", df_method="normal").fit(rows.assign(score=y[:, 0]))
        found.append(refit(fit, y)["criterion"].to_numpy())
    statistic = found[0] - found[1]
    # χ²(4) has mean 4 and variance 8; ½χ²(3) + ½χ²(4) would have mean 3.5, more than three Monte Carlo errors (0.47) away
    assert statistic.mean() == pytest.approx(4, abs=3 * np.sqrt(8 / draws))
    assert (statistic > chi2.ppf(0.8, 4)).mean() == pytest.approx(0.2, abs=3 * np.sqrt(0.2 * 0.8 / draws))


SLEEP = "Reaction ~ Days + (Days | Subject)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compare(fit(SLEEP, "sleepstudy", "ML"), fit(SLEEP, "sleepstudy", "ML")), "must have more parameters"),
        (lambda: compare(fit("Reaction ~ Days + (1 | Subject)", "sleepstudy_70", "ML"), fit(SLEEP, "sleepstudy", "ML")),
         "different rows"),
        (lambda: compare(fit("Reaction ~ Days + (1 | Subject)", "sleepstudy", "ML"),
                         fit("Reaction ~ 1 + (Days | Subject)", "sleepstudy", "ML")), "is not nested in"),
        (lambda: compare(fit("Reaction ~ Days + (0 + Days | Subject)", "sleepstudy", "ML"),
                         fit("Reaction ~ Days + I(Days^2) + (1 | Subject)", "sleepstudy", "ML")), "not all in"),
        (lambda: compare(fit("Reaction ~ 1 + (Days | Subject)", "sleepstudy", "REML"), fit(SLEEP, "sleepstudy", "REML"),
                         refit=False), "different fixed terms"),
        (lambda: compare(fit(SLEEP, "sleepstudy", "ML"), fit("Reaction ~ Days + I(Days^2)", "sleepstudy", "ML")),
         "give the smaller model first"),
        (lambda: compare(fit("Reaction ~ Days + (1 | Subject)", "sleepstudy", "ML"), fit(SLEEP, "sleepstudy", "REML"),
                         refit=False), "some models are fitted by REML"),
        (lambda: compare(fit("Reaction ~ Days + (1 | Subject)", "sleepstudy", "ML"), fit(SLEEP, "sleepstudy", "ML"),
                         test="F"), "likelihood ratio tests only"),
        (lambda: compare(LinearModel("Reaction ~ Days", vcov="HC3").fit(data("mixed_sleepstudy")),
                         fit(SLEEP, "sleepstudy", "ML")), "has no likelihood"),
    ],
)  # fmt: skip
def test_models_that_cannot_be_compared_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        make()


def test_weights_must_be_the_same() -> None:
    rows = data("mixed_therapy").dropna(subset=["outcome"])
    plain = MixedModel("outcome ~ 1 + (1 | patient)", df_method="normal").fit(rows)
    weighted = MixedModel("outcome ~ week + (1 | patient)", weights="weight", df_method="normal").fit(rows)
    with pytest.raises(AllianceError, match="different weights"):
        compare(plain, weighted)


def test_outcomes_must_be_the_same() -> None:
    rows = data("mixed_sleepstudy")
    other = MixedModel("Reaction ~ Days + (1 | Subject)").fit(rows.assign(Reaction=rows["Reaction"] + 1))
    with pytest.raises(AllianceError, match="different outcomes"):
        compare(other, fit(SLEEP, "sleepstudy", "REML"))


def test_unequal_residual_variances_are_tested_by_their_number() -> None:
    rows = data("mixed_therapy").dropna(subset=["outcome"])
    formula = "outcome ~ week + arm + (1 | patient)"
    equal = MixedModel(formula, df_method="normal").fit(rows)
    by_arm = MixedModel(formula, df_method="normal", residual_by="arm").fit(rows)
    last = compare(equal, by_arm, refit=False).iloc[1]
    assert (last["df_num"], last["mixture"]) == (2, False)
    criteria = [float(fit.glance()["criterion"].iloc[0]) for fit in (equal, by_arm)]
    assert last["statistic"] == pytest.approx(criteria[0] - criteria[1], rel=1e-12)
    assert last["aic"] == pytest.approx(float(by_arm.glance()["aic"].iloc[0]), rel=1e-12)
    with pytest.raises(AllianceError, match="residual_by='arm', the larger None"):
        compare(by_arm, MixedModel("outcome ~ week * arm + (1 | patient)").fit(rows))
