"""The truth of the three-arm trial comes back: a short run here, the long one as committed tables."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

VALIDATION = Path(__file__).parents[2] / "validation"
TRIALS = 200
LONG = 5000
PRIMARY = {"psfs", "gpe", "pain", "rmdq"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recovery_ferreira", VALIDATION / "recovery_ferreira.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recovery_ferreira"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def early() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "early_improvement.csv")


@pytest.fixture(scope="module")
def ceilings() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "ceilings.csv")


def rate(table: pd.DataFrame, **where: object) -> float:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return float(table["rejection_rate"].iloc[0])


def test_short_run_recovers_the_truth(script):
    block = script.BLOCKS[0]
    psfs = script.Block("short", block.options, {"psfs": block.formulas["psfs"]}, block.vcov)
    table = script.recovery(TRIALS, 1, 1, [psfs])
    assert table["term"].tolist() == ["alliance", "arm[T.MCE]", "arm[T.SMT]"]
    assert (table["bias_in_mc_se"].abs() <= 3).all()
    for coverage in table["coverage"]:
        assert binomtest(round(coverage * TRIALS), TRIALS, 0.95).pvalue > 0.0027  # three standard errors, two-sided


def test_short_run_shows_the_confounding_by_early_improvement(script):
    table = script.early_improvement(TRIALS, 1, 1, ["strong"])
    naive = rate(table, outcome="psfs", whole_numbers=False, adjustment="baseline")
    adjusted = rate(table, outcome="psfs", whole_numbers=False, adjustment="baseline and outcome at the rating")
    assert naive - adjusted > 3 * np.sqrt(0.5 / TRIALS)  # three standard errors of a difference of two rates, at most


def test_long_run_covers_every_analysis():
    table = pd.read_csv(VALIDATION / "recovery_ferreira.csv")
    assert (table["trials"] >= LONG).all()
    assert table["seed"].nunique() == 1
    assert set(table.loc[table["vcov"] == "classical", "analysis"]) >= PRIMARY
    assert set(table.loc[table["vcov"] == "CR2", "analysis"]) == PRIMARY
    assert {"psfs_at_rating", "gpe_by_arm", "rmdq_by_arm"} <= set(table["analysis"])


def test_long_run_has_no_bias():
    table = pd.read_csv(VALIDATION / "recovery_ferreira.csv")
    bias = table["mean_estimate"] - table["truth"]
    np.testing.assert_allclose(bias, table["bias"], atol=1e-5)  # six significant digits of numbers below 10
    assert (bias.abs() <= 3 * table["empirical_sd"] / np.sqrt(table["trials"])).all()


def test_long_run_has_95_percent_coverage():
    """Monte Carlo standard error of a coverage: √(c(1 − c)/trials) (Morris, White & Crowther 2019, doi 10.1002/sim.8086)."""
    table = pd.read_csv(VALIDATION / "recovery_ferreira.csv")
    mc_se = np.sqrt(table["coverage"] * (1 - table["coverage"]) / table["trials"])
    np.testing.assert_allclose(mc_se, table["coverage_mc_se"], rtol=1e-4)  # six printed digits
    assert ((table["coverage"] - 0.95).abs() <= 3 * mc_se).all()


def test_adjustment_for_the_outcome_at_the_rating_keeps_the_level(early):
    assert (early["trials"] >= LONG).all()
    adjusted = early[(early["adjustment"] == "baseline and outcome at the rating") & ~early["whole_numbers"]]
    off = early[early["early_improvement"] == "off"]
    assert len(adjusted) == 9
    assert len(off) == 18
    for rows in (adjusted, off):
        assert ((rows["rejection_rate"] - 0.05).abs() <= 3 * np.sqrt(0.05 * 0.95 / rows["trials"])).all()


@pytest.mark.parametrize("whole_numbers", [False, True])
@pytest.mark.parametrize("outcome", ["psfs", "pain", "rmdq"])
@pytest.mark.parametrize("level", ["moderate", "strong"])
def test_adjustment_for_the_baseline_alone_is_worse_than_none(early, level, outcome, whole_numbers):
    where = {"early_improvement": level, "outcome": outcome, "whole_numbers": whole_numbers}
    unadjusted, baseline = (rate(early, **where, adjustment=name) for name in ("unadjusted", "baseline"))
    assert 0.1 < unadjusted < baseline


def test_moderate_reverse_path_has_the_rates_it_is_set_for(early):
    """About 18 % unadjusted and 38 % adjusted for the baseline alone."""
    where = {"early_improvement": "moderate", "outcome": "psfs", "whole_numbers": False}
    assert rate(early, **where, adjustment="unadjusted") == pytest.approx(0.18, abs=0.02)
    assert rate(early, **where, adjustment="baseline") == pytest.approx(0.38, abs=0.02)


def test_ceilings_that_differ_make_interactions(ceilings):
    assert (ceilings["trials"] >= LONG).all()
    equal = ceilings[ceilings["shares"] == "equal"]
    assert ((equal["rejection_rate"] - 0.05).abs() <= 3 * np.sqrt(0.05 * 0.95 / equal["trials"])).all()
    for shares in ("rising", "one arm"):
        weak, middle, strong = (rate(ceilings, shares=shares, alliance_effect=b) for b in (0.15, 0.30, 0.45))
        assert weak < middle < strong
        assert middle > 0.07
