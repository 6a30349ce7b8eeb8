"""Multilevel mediation: a short recovery run here, the long one as a table."""

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
LONG = 2000
RIGHT = ["slopes vary, monte-carlo", "slopes vary, delta", "latent, monte-carlo"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recovery_multilevel", VALIDATION / "recovery_multilevel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recovery_multilevel"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "recovery_multilevel.csv").set_index("analysis")


def test_short_run(script: ModuleType) -> None:
    trials = 25
    found = script.summary(script.simulated(trials, seed=2), trials).set_index("analysis")
    assert (found["failed"] == 0).all()
    for analysis in RIGHT:
        row = found.loc[analysis]
        assert abs(row["bias"]) <= 3 * row["bias_mcse"]
        assert binomtest(round(row["coverage"] * trials), trials, 0.95).pvalue > 0.001


def test_long_run_is_unbiased_and_covers(table: pd.DataFrame) -> None:
    assert (table["trials"] + table["failed"] == LONG).all()
    assert (table["failed"] <= 0.01 * LONG).all()
    for analysis in RIGHT:
        row = table.loc[analysis]
        assert abs(row["bias"]) <= 3 * row["bias_mcse"]
        assert row["coverage"] == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / LONG))
    for analysis in RIGHT[:2]:
        assert table.loc[analysis, "mean_std_error"] == pytest.approx(table.loc[analysis, "sd"], rel=0.05)


def test_long_run_shows_what_is_lost(table: pd.DataFrame) -> None:
    """Without random slopes the effect lacks σ_ab; taking σ_ab as known, and the mediator in one piece, miss too often."""
    assert table.loc["slopes the same, delta", "bias"] < -0.02
    assert table.loc["slopes the same, delta", "coverage"] < 0.80
    assert table.loc["slopes vary, delta, cov_ab known", "coverage"] < 0.91
    assert table.loc["latent, delta", "coverage"] < 0.93  # its limits are symmetric, the product of two paths is not
    assert table.loc["undivided, delta", "coverage"] < 0.90
    assert abs(table.loc["latent, delta", "bias"]) < abs(table.loc["manifest, delta", "bias"])
