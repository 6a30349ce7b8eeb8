"""GeneralizedMixedModel against glmer (tightened) and glmmTMB."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from golden.pinned import assert_close, data, difference, pinned

from alliance_stats import Result, random_effects
from alliance_stats.models.generalized import GeneralizedMixedModel

# glmer's mode is found to tolPwrss = 1e-13 and its optimum by a search without derivatives, glmmTMB's with analytic
# gradients. In brackets the largest difference found.
DEVIANCE = 5e-6  # (1.1e-6)
COEFFICIENT = 5e-5  # of a standard error (1.4e-5)
STD_ERROR = 2e-4  # relative; lme4 differences the deviance (7e-5)
SPREAD = 2e-5  # relative, standard deviations of random effects and dispersion (5e-6)
MODE = 2e-5  # of the standard deviation of the modes
TMB_DEVIANCE = 2e-8  # (4.5e-9)
TMB_SE = 5e-6  # (9e-7)

GLMER, TMB = pinned("glmm", "glmer"), pinned("glmm", "glmmTMB")
LAPLACE = [name for name, fit in GLMER.items() if fit["nAGQ"] == 1]
FAMILY = {"nbinom2": "negativebinomial"}


def ours(text: str) -> tuple[str, str | None]:
    """The formula in our notation, and the exposure."""
    text = re.sub(r"^cbind\((\w+), (\w+) - \w+\)", r"\1 | trials(\2)", text)
    exposure = re.search(r" \+ offset\(log\((\w+)\)\)", text)
    return text.replace(exposure[0], "") if exposure else text, exposure[1] if exposure else None


@cache
def refitted(program: str, name: str) -> Result:
    fit = pinned("glmm", program, name)
    formula, exposure = ours(fit["formula"])
    model = GeneralizedMixedModel(
        formula, FAMILY.get(fit["family"], fit["family"]), fit["link"], fit.get("nAGQ", 1), exposure=exposure
    )
    return model.fit(data(fit["data"]))


def term(name: str) -> str:
    name = re.sub(r"^(period|YEAR)(\w+)$", r"\1[T.\2]", name)
    return "Intercept" if name == "(Intercept)" else name


def check_fixed(result: Result, fit: dict[str, Any], coefficient: float, std_error: float) -> None:
    rows = result.tidy().query("component == 'fixed'").set_index("term")
    names = [term(name) for name in fit["coefficients"]]
    assert list(rows.index) == names
    se = np.array(list(fit["std_error"].values()))
    assert_close(rows["estimate"] / se, np.array(list(fit["coefficients"].values())) / se, coefficient, 1.0)
    assert_close(rows["std_error"], se, std_error)
    assert (rows["interval"] == "normal").all()
    assert rows["df"].isna().all()


@pytest.mark.parametrize("name", LAPLACE)
def test_laplace_deviance(name: str) -> None:
    found = refitted("glmer", name).glance().iloc[0]
    assert abs(found["deviance"] - GLMER[name]["deviance"]) < DEVIANCE
    assert found["method"] == "Laplace"
    assert found["converged"]


@pytest.mark.parametrize("name", GLMER)
def test_coefficients_and_standard_errors(name: str) -> None:
    """With more nodes, too, where glmer's log-likelihood is on a scale of its own."""
    check_fixed(refitted("glmer", name), GLMER[name], COEFFICIENT, STD_ERROR)


@pytest.mark.parametrize("name", GLMER)
def test_random_part(name: str) -> None:
    rows = refitted("glmer", name).tidy().query("component in ('random', 'correlation')")
    found = {(row.group, row.term): row.estimate for row in rows.itertuples()}
    for pin in GLMER[name]["random"]:
        first, second = term(pin["first"]), pin["second"] and term(pin["second"])
        label = f"cor({first},{second})" if second else f"sd({first})"
        assert_close(found.pop((pin["group"], label)), pin["value"], SPREAD)
    assert not found


@pytest.mark.parametrize("name", GLMER)
def test_random_effects(name: str) -> None:
    """Modes, and (canonical links, where curvature and weight are one) their deviations, of each factor's first effect."""
    rows = random_effects(refitted("glmer", name))
    for group, pins in GLMER[name]["modes"].items():
        mine = rows[(rows["group"] == group) & (rows["term"] == rows["term"].iloc[0])]
        expected = np.array(list(pins.values())) if isinstance(pins, dict) else np.array(pins)
        assert_close(mine["estimate"], expected, MODE, np.std(expected))
        if GLMER[name]["link"] in ("logit", "log") and GLMER[name]["mode_sd"].get(group):
            assert_close(mine["std_error"], np.array(GLMER[name]["mode_sd"][group]), SPREAD)


@pytest.mark.parametrize("name", TMB)
def test_glmmtmb(name: str) -> None:
    fit, result = TMB[name], refitted("glmmTMB", name)
    assert abs(result.glance()["deviance"].iloc[0] - fit["deviance"]) < TMB_DEVIANCE
    check_fixed(result, fit, COEFFICIENT, TMB_SE)
    rows = result.tidy()
    for pin in fit["sd"]:
        mine = rows[(rows["group"] == pin["group"]) & (rows["term"] == f"sd({term(pin['term'])})")]
        assert_close(mine["estimate"], [pin["value"]], SPREAD)
    precision = rows.query("component == 'precision'")
    assert len(precision) == (fit["log_dispersion_se"] is not None)
    if len(precision):
        assert_close(precision["estimate"], [fit["dispersion"]], SPREAD)
        assert_close(precision["std_error"] / precision["estimate"], [fit["log_dispersion_se"]], SPREAD)


def test_the_naive_analysis_is_too_sure() -> None:
    """Beta-binomial with therapists: .4491 (.0590) where the binomial without either gives .036."""
    row = refitted("glmmTMB", "betabinomial").tidy().query("term == 'alliance'").iloc[0]
    assert round(row["estimate"], 4) == 0.4491
    assert round(row["std_error"], 4) == 0.0590
    binomial = refitted("glmer", "completed").tidy().query("term == 'alliance'").iloc[0]
    assert row["std_error"] / binomial["std_error"] > 1.5


def test_more_nodes_change_little_from_nine_on() -> None:
    one, nine, many = (refitted("glmer", f"cbpp{tail}").tidy()["estimate"] for tail in ("", "_agq9", "_agq25"))
    assert difference(nine, many) < 1e-3 < difference(one, many)
