"""Multilevel mediation in 20 to 200 clusters: a short run of the right analysis here, the long one as a table."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from scipy.stats import binomtest

VALIDATION = Path(__file__).parents[2] / "validation"
LONG, CLUSTERS = 2000, (20, 50, 100, 200)
MCSE = (0.95 * 0.05 / LONG) ** 0.5
RIGHT, EFFECTS = "right, monte-carlo", ("indirect_within", "total_within", "indirect_between", "total_between")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recovery_clusters", VALIDATION / "recovery_multilevel_clusters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recovery_clusters"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "recovery_multilevel_clusters.csv").set_index(["analysis", "effect", "clusters"])


def test_short_run(script: ModuleType) -> None:
    trials = 40
    found = script.summary(script.simulated(trials, seed=2, clusters=[50]), trials).set_index(["analysis", "effect"])
    assert (found["failed"] == 0).all()
    for effect in EFFECTS:
        row = found.loc[(RIGHT, effect)]
        assert abs(row["bias"]) <= 3 * row["bias_mcse"]
        assert binomtest(round(row["coverage"] * trials), trials, 0.95).pvalue > 0.001
    assert found.loc[("conflated, monte-carlo", "indirect_between"), "coverage"] < 0.2


def test_long_run_has_every_cell(table: pd.DataFrame) -> None:
    assert (table["trials"] + table["failed"] == LONG).all()
    assert (table["failed"] <= 0.01 * LONG).all()
    assert set(table.index.get_level_values("clusters")) == set(CLUSTERS)
    assert len(table) == len(CLUSTERS) * 6 * len(EFFECTS)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("clusters", CLUSTERS)
def test_right_analysis_is_unbiased(table: pd.DataFrame, clusters: int, effect: str) -> None:
    row = table.loc[(RIGHT, effect, clusters)]
    assert abs(row["bias"]) <= 3 * row["bias_mcse"]


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("clusters", CLUSTERS)
def test_right_analysis_covers_and_few_clusters_need_t(table: pd.DataFrame, clusters: int, effect: str) -> None:
    """Normal limits are a little too narrow with 20 and 50 clusters; those from t reach 95 % to three Monte Carlo errors."""
    plain, small = (table.loc[(name, effect, clusters)] for name in (RIGHT, "right, small, monte-carlo"))
    assert plain["coverage"] > {20: 0.92, 50: 0.93, 100: 0.935, 200: 0.935}[clusters]
    assert abs(small["coverage"] - 0.95) <= 3 * MCSE
    assert small["coverage"] >= plain["coverage"]
    assert small["bias"] == plain["bias"]


@pytest.mark.parametrize("clusters", CLUSTERS)
def test_what_each_mistake_costs(table: pd.DataFrame, clusters: int) -> None:
    def cell(analysis: str, effect: str) -> pd.Series:
        return table.loc[(analysis, effect, clusters)]

    known = cell("variances as known, monte-carlo", "indirect_within")
    assert known["coverage"] < 0.92
    assert known["mean_std_error"] < 0.9 * known["sd"]
    omitted = cell("slopes omitted, monte-carlo", "indirect_within")
    assert omitted["bias"] < -0.03
    assert omitted["coverage"] < 0.75
    conflated = cell("conflated, monte-carlo", "indirect_between")
    assert conflated["bias"] > 0.4
    assert conflated["coverage"] < 0.01
    assert cell("conflated, monte-carlo", "indirect_within")["bias"] < -0.02
