"""Mediation against lavaan, psych, CMAverse, RMediation and integrals in plain R."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import VALIDATION, assert_close, data, golden, leaves, pinned

from alliance_stats.models.mediation import Mediation
from alliance_stats.models.process_models import process_model
from alliance_stats.numerics.mediation_product import product_cdf, product_interval, product_moments
from alliance_stats.numerics.mediation_resample import bca_limits

SEARCHED = 1e-6  # lavaan's and polr's optimisers stop at a relative change of the likelihood, not of the estimates
WRITTEN = 1e-10  # CMAverse's numbers are pinned at 12 digits
GLM = 1e-5  # R's glm stops early (1e-8 of the deviance) and takes its covariance from the round before
FILES = {"mediation_lavaan": 250, "mediation_exact": 300, "mediation_fourway": 290, "mediation_product": 60}


@cache
def trial() -> pd.DataFrame:
    return data("mediation_trial")


def effects(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Effect and path rows by term; conditional ones by term and position."""
    return model.fit(frame).tidy().query("component in ('effect', 'path')")


def numbers(row: dict[str, float]) -> list[float]:
    return [row["estimate"], row["std_error"]]


def by_term(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    return effects(model, frame).query("at == ''").set_index("term")


@pytest.mark.parametrize(("name", "size"), FILES.items())
def test_files_hold_their_provenance_and_do_not_shrink(name: str, size: int) -> None:
    file = golden(name)
    assert file["name"] == name
    assert file["r_version"]
    assert file["packages"]
    assert all((VALIDATION / path).is_file() for path in dict(file["data"]).values())
    assert len(list(leaves(file["results"]))) >= size


@pytest.mark.parametrize(("vcov", "key"), [("ml", "ml"), ("HC0", "mlr")])
def test_lavaan_tutorial(vcov: Any, key: str) -> None:
    rows = by_term(Mediation(["M ~ X"], "Y ~ X + M", "X", vcov=vcov, interval="delta"), data("mediation_tutorial"))
    expected = pinned("mediation_lavaan", "tutorial", key)
    for ours, theirs in {"indirect": "ab", "total": "total", "a": "M~X", "b": "Y~M", "c_prime": "Y~X"}.items():
        for column in ("estimate", "std_error"):
            assert_close(rows.loc[ours, column], expected[theirs][column], SEARCHED)
        if vcov == "ml":
            assert_close(
                rows.loc[ours, "conf_low"], expected[theirs]["conf_low"], SEARCHED, expected[theirs]["std_error"]
            )


def test_lavaan_log_likelihood_of_the_tutorial() -> None:
    fit = Mediation(["M ~ X"], "Y ~ X + M", "X", interval="delta").fit(data("mediation_tutorial"))
    assert_close(
        fit.glance()["log_likelihood"].iloc[0], pinned("mediation_lavaan", "tutorial", "log_likelihood"), SEARCHED
    )


MODERATED = (5, 7, 8, 14, 15, 58, 59)


@pytest.mark.parametrize("number", MODERATED)
def test_process_models_with_a_moderator(number: int) -> None:
    model = process_model(
        number, x="arm", m="alliance", y="pain", w="w", covariates=["severity"], vcov="ml", interval="delta"
    )
    expected = pinned("mediation_lavaan", "process", str(number))
    rows = effects(model, trial())
    for name in ("indirect", "direct"):
        conditional = rows[(rows["term"] == name) & rows["at"].str.startswith("w = ")]
        assert len(conditional) == 3
        for column in ("estimate", "std_error"):
            values = [expected[f"{name}{i}"][column] for i in (1, 2, 3)]
            assert_close(conditional[column], values, SEARCHED, expected[f"{name}2"]["std_error"])
    index = rows[rows["term"] == "index(w)"]
    assert len(index) == ("index" in expected)
    if "index" in expected:
        assert_close(
            index[["estimate", "std_error"]].iloc[0],
            numbers(expected["index"]),
            SEARCHED,
        )
    pairs = rows[(rows["term"] == "indirect") & rows["at"].str.startswith("(")]
    if number == 5:  # the moderator is on the direct path only: indirect effects do not differ
        assert pairs.empty
    else:
        widest = pairs.iloc[1]
        assert_close(
            [widest.estimate, widest.std_error],
            numbers(expected["difference"]),
            SEARCHED,
        )


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (4, {"i1": "indirect(alliance)", "i2": "indirect(trust)", "difference": "indirect(alliance)-indirect(trust)"}),
        (6, {"i1": "indirect(alliance)", "i2": "indirect(trust)", "i12": "indirect(alliance>trust)"}),
    ],
)
def test_process_models_with_two_mediators(number: int, names: dict[str, str]) -> None:
    model = process_model(
        number, x="arm", m=["alliance", "trust"], y="pain", covariates=["severity"], vcov="ml", interval="delta"
    )
    rows = by_term(model, trial())
    expected = pinned("mediation_lavaan", "process", str(number))
    for theirs, ours in {**names, "indirect": "indirect", "total": "total"}.items():
        assert_close(
            rows.loc[ours, ["estimate", "std_error"]],
            numbers(expected[theirs]),
            SEARCHED,
        )


def test_index_of_moderated_moderated_mediation() -> None:
    model = Mediation(
        ["alliance ~ arm * w * z"],
        "pain ~ arm + alliance",
        "arm",
        at={"w": [0, 1], "z": [0, 1]},
        vcov="ml",
        interval="delta",
    )
    rows = effects(model, trial()).set_index(["term", "at"])
    expected = pinned("mediation_lavaan", "double")
    for theirs, ours in {
        "index_wz": ("index(w:z)", ""), "index_w0": ("index(w)", "z = 0"), "index_w1": ("index(w)", "z = 1")
    }.items():  # fmt: skip
        assert_close(
            rows.loc[ours, ["estimate", "std_error"]],
            numbers(expected[theirs]),
            SEARCHED,
        )


FOURWAY = {
    "linear_linear": ("y", "alliance", {}, {}),
    "linear_logistic": ("y", "hi", {"hi": "binomial"}, {"average": "means"}),
    "logistic_linear": ("resp", "alliance", {"resp": "binomial"}, {"scale": "odds-ratio"}),
    "logistic_logistic": ("resp", "hi", {"resp": "binomial", "hi": "binomial"}, {"scale": "odds-ratio"}),
}
TOTALS = {
    "te": "total", "pm": "proportion_mediated", "Rte": "total", "ERcde": "excess_cde", "ERintref": "intref",
    "ERintmed": "intmed", "ERpnie": "pie",
}  # fmt: skip
DOUBTFUL = {("logistic_linear", "ERcde"), ("logistic_linear", "ERintref")}


@pytest.mark.parametrize("name", FOURWAY)
def test_four_way_decomposition_against_cmaverse(name: str) -> None:
    y, m, family, options = FOURWAY[name]
    model = Mediation(
        [f"{m} ~ arm + sev"], f"{y} ~ arm * {m} + sev", "arm", family=family, interval="delta",
        held={m: 4.5 if m == "alliance" else 1}, **options,
    )  # fmt: skip
    rows, expected = by_term(model, data("mediation_fourway")), pinned("mediation_fourway", name)
    seen = 0
    for theirs, value in expected["est"].items():
        ours = TOTALS.get(theirs, theirs.removeprefix("R"))
        if ours not in rows.index:
            continue
        seen += 1
        assert_close(rows.loc[ours, "estimate"], value, 1e-8 if name.startswith("logistic") else WRITTEN, 0.01)
        if (name, theirs) not in DOUBTFUL:
            assert_close(rows.loc[ours, "std_error"], expected["se"][theirs], GLM)
            assert_close(rows.loc[ours, "conf_low"], expected["lo"][theirs], GLM, expected["se"][theirs])
            assert_close(rows.loc[ours, "conf_high"], expected["hi"][theirs], GLM, expected["se"][theirs])
            far = rows.loc[ours, "statistic"] ** 2  # a p-value multiplies the error of z by about z²
            assert_close(rows.loc[ours, "p_value"], expected["p"][theirs], GLM * (1 + far), 1e-12)
    assert seen >= 9


def test_excess_risk_of_the_controlled_effect_has_its_own_standard_error() -> None:
    """CMAverse gives .194 for .515 on its data; here the derivative is taken numerically in R."""
    model = Mediation(
        ["alliance ~ arm + severity"], "responder ~ arm * alliance + severity", "arm", family={"responder": "binomial"},
        scale="odds-ratio", held={"alliance": 4.5}, interval="delta",
    )  # fmt: skip
    row, expected = by_term(model, trial()).loc["excess_cde"], pinned("mediation_exact", "delta", "excess_cde")
    assert_close([row.estimate, row.std_error], [expected["estimate"], expected["std_error"]], 1e-8)


EXACT_CASES: dict[str, Mediation] = {
    "logit": Mediation(
        ["alliance ~ arm + severity"], "responder ~ arm * alliance + severity", "arm", family={"responder": "binomial"},
        interval="delta",
    ),
    "probit": Mediation(
        ["alliance ~ arm + severity"], "responder ~ arm * alliance + severity", "arm", family={"responder": "probit"},
        interval="delta",
    ),
    "poisson": Mediation(
        ["alliance ~ arm + severity"], "visits ~ arm + alliance", "arm", family={"visits": "poisson"}, interval="delta"
    ),
    "serial": Mediation(
        ["bonded ~ arm + alliance + severity", "alliance ~ arm + severity"],
        "responder ~ arm * bonded + alliance + severity", "arm", family={"bonded": "binomial", "responder": "binomial"},
        interval="delta",
    ),
    "count_mediator": Mediation(
        ["visits ~ arm + severity"], "responder ~ arm + visits", "arm", family={"visits": "poisson", "responder": "logit"},
        interval="delta",
    ),
    "ordered_mediator": Mediation(
        ["stars ~ arm + severity"], "pain ~ arm * stars + severity", "arm", family={"stars": "ordered logit"},
        interval="delta",
    ),
    "ordered_outcome": Mediation(
        ["trust ~ arm + severity"], "mood ~ arm + trust + severity", "arm", family={"mood": "ordered probit"},
        interval="delta",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT_CASES)
def test_natural_effects_against_integrals(name: str) -> None:
    """Integrals to 1e-12; polr searches, and its estimates are good to about 1e-7."""
    rows, expected = by_term(EXACT_CASES[name], trial()), pinned("mediation_exact", "exact", name)
    tolerance = SEARCHED if name.startswith("ordered") else 1e-9
    for effect, value in expected.items():
        assert_close(rows.loc[effect, "estimate"], value, tolerance, 0.1)


def test_every_pinned_case_is_used() -> None:
    assert set(pinned("mediation_exact", "exact")) == {*EXACT_CASES, "ordered_fit"}
    assert set(pinned("mediation_lavaan", "process")) == {"4", "6", *map(str, MODERATED)}
    assert set(pinned("mediation_fourway")) == set(FOURWAY)


def test_ordered_regression_against_polr() -> None:
    fit = EXACT_CASES["ordered_outcome"].fit(trial())
    expected = pinned("mediation_exact", "exact", "ordered_fit")
    equation = fit.state.equations[-1]
    assert_close(equation.fit.log_likelihood, expected["log_likelihood"], 1e-10)
    assert_close(equation.coefficients, list(expected["coefficients"].values()), 1e-5)
    assert_close(equation.fit.parameters[:3], list(expected["thresholds"].values()), 1e-5)
    # polr inverts the observed information, here the expected one is: equal to first order only
    se = np.sqrt(np.diag(equation.fit.classical))
    assert_close(np.append(se[3:], se[:3]), list(expected["std_errors"].values()), 0.03)


def test_delta_standard_errors_of_probit_effects() -> None:
    rows, expected = by_term(EXACT_CASES["probit"], trial()), pinned("mediation_exact", "delta", "probit")
    for effect, value in expected["std_error"].items():
        assert_close(rows.loc[effect, "estimate"], expected["estimate"][effect], 1e-9)
        assert_close(rows.loc[effect, "std_error"], value, 1e-8)


@pytest.mark.parametrize("vcov", ["HC0", "HC3", "CR1", "CR2"])
def test_robust_covariance_stacks_the_equations(vcov: Any) -> None:
    cluster = "therapist" if vcov.startswith("CR") else None
    model = Mediation(
        ["alliance ~ arm + severity"],
        "pain ~ arm + alliance + severity",
        "arm",
        vcov=vcov,
        cluster=cluster,
        interval="delta",
    )
    found, expected = model.fit(trial()).tidy(), pinned("mediation_exact", "robust", vcov)
    indirect = found.loc[found["term"] == "indirect", "std_error"].iloc[0]
    assert_close(indirect, expected["product"] if vcov == "CR2" else expected, 1e-9)
    for name in ("alliance", "pain") if vcov == "CR2" else ():
        rows = found.query(f"component == 'fixed' and equation == '{name}'")
        assert_close(rows["std_error"], expected[name]["std_error"], 1e-9)
        assert_close(rows["df"], expected[name]["df"], 1e-7)


def cell(name: str, table: str, row: str, column: str) -> float:
    matrix = pinned("mediation_exact", "psych", name, table)
    terms = pinned("mediation_exact", "psych", name, table.removesuffix("_se"))[
        "terms"
    ]  # standard errors have no names
    columns = {"single": ["reaction"], "parallel": ["reaction"], "garcia": ["liking"]}[name]
    columns = ["importance", "pmi"] if table.startswith("a") and name == "parallel" else columns
    columns = {"single": ["pmi"], "garcia": ["respappr"]}.get(name, columns) if table.startswith("a") else columns
    return float(np.reshape(matrix["values"][terms.index(row)], -1)[columns.index(column)])


def test_tal_or_with_two_mediators() -> None:
    model = Mediation(
        ["importance ~ cond", "pmi ~ cond"], "reaction ~ cond + importance + pmi", "cond", interval="delta"
    )
    rows = by_term(model, data("mediation_talor"))
    for path, place in {
        "a1": ("a", "cond", "importance"), "a2": ("a", "cond", "pmi"), "b1": ("b", "importance", "reaction"),
        "b2": ("b", "pmi", "reaction"), "c_prime": ("b", "cond", "reaction"), "c": ("total", "cond", "reaction"),
    }.items():  # fmt: skip
        table, row, column = place
        assert_close(rows.loc[path, "estimate"], cell("parallel", table, row, column), 1e-9)
        assert_close(rows.loc[path, "std_error"], cell("parallel", f"{table}_se", row, column), 1e-9)
    assert_close(rows.loc["indirect", "estimate"], 0.3922990, 1e-6)


def test_tal_or_with_one_mediator_as_published() -> None:
    """Hayes's running example: a = .477, b = .506, ab = .241, c' = .254."""
    model = Mediation(["pmi ~ cond"], "reaction ~ cond + pmi", "cond", interval="delta")
    rows = by_term(model, data("mediation_talor"))["estimate"]
    assert rows[["a", "b", "indirect", "c_prime", "c"]].round(3).tolist() == [0.477, 0.506, 0.241, 0.254, 0.496]


def test_moderated_mediation_of_garcia() -> None:
    frame = data("mediation_garcia")
    model = Mediation(
        ["respappr ~ prot2 * sexism"],
        "liking ~ prot2 * sexism + respappr",
        "prot2",
        interval="delta",
        at={"sexism": [4, 5]},
    )
    rows = effects(model, frame).set_index("term")
    a, b = cell("garcia", "a", "prot2*sexism", "respappr"), cell("garcia", "b", "respappr", "liking")
    assert_close(rows.loc["index(sexism)", "estimate"], a * b, 1e-9)
    assert_close(rows.loc["b", "std_error"], cell("garcia", "b_se", "respappr", "liking"), 1e-9)


def test_bootstrap_spread_of_tal_or_agrees_with_psych() -> None:
    """Both 5,000 resamples: standard deviations of draws have a Monte Carlo error of 1 % each, quantiles a little more."""
    rows = by_term(Mediation(["pmi ~ cond"], "reaction ~ cond + pmi", "cond"), data("mediation_talor"))
    theirs = float(np.reshape(pinned("mediation_exact", "psych", "single", "boot_sd")["values"], -1)[0])
    assert_close(rows.loc["indirect", "std_error"], theirs, 0.05)


@pytest.mark.parametrize("name", ["doc", "a", "b", "c"])
def test_distribution_of_the_product_against_rmediation(name: str) -> None:
    """RMediation's quantiles stop at 1e-5 of a standard deviation or so (2e-5 in 'doc'); its distribution function is finer."""
    case = pinned("mediation_product", name)
    mean = np.array([case["input"]["mu.x"], case["input"]["mu.y"]])
    sd = np.array([case["input"]["se.x"], case["input"]["se.y"]])
    V = np.outer(sd, sd) * np.array([[1, case["input"]["rho"]], [case["input"]["rho"], 1]])
    estimate, spread = product_moments(mean, V)
    assert_close([estimate, spread], [case["dop"]["Estimate"], case["sd_exact"]], 1e-10)
    assert_close([product_cdf(q, mean, V) for q in case["cdf_q"]], case["cdf"], 3e-6, 1.0)
    limits = product_interval(mean, V, 0.95)
    assert_close(limits, case["dop"]["95% CI"], 3e-5, spread)
    assert_close([product_cdf(limit, mean, V) for limit in limits], [0.025, 0.975], 1e-10)
    assert_close(product_interval(mean[::-1], V[::-1, ::-1], 0.95), limits, 1e-9, spread)


def test_bca_limits_against_the_formula_in_r() -> None:
    case = pinned("mediation_exact", "bca")
    x = np.array(case["x"])
    jackknife = np.array([np.delete(x, i).mean() for i in range(len(x))])
    limits = bca_limits(np.array(case["draws"])[:, None], np.array([x.mean()]), jackknife[:, None], 0.90)
    assert_close(limits[:, 0], case["limits"], 1e-12)
