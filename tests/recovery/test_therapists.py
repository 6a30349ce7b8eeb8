"""Ten therapists: what Kenward–Roger, Satterthwaite, z, and no therapist do; a short run here, the long one as a table."""

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
LONG = 5000
THERAPIST_LEVEL = ["therapist_part", "training"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recovery_therapists", VALIDATION / "recovery_therapists.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recovery_therapists"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "recovery_therapists.csv")


def test_short_run(script):
    trials = 30
    found = script.recovery(trials, 1, 1, [0.05])
    assert (found["bias_in_mc_se"].abs() <= 4).all()  # 20 rows, of which four have the same data
    kr = found[found["method"] == "Kenward–Roger"]
    for coverage in kr["coverage"]:
        assert binomtest(round(coverage * trials), trials, 0.95).pvalue > 0.0027


def test_long_run_is_long_and_unbiased(table):
    assert (table["trials"] >= LONG).all()
    assert sorted(table["therapist_share"].unique()) == [0.0, 0.05, 0.15]
    assert (table["bias_in_mc_se"].abs() <= 3).all()


ERROR = float(np.sqrt(0.05 * 0.95 / LONG))


def rows(table, method, share, column="coverage", terms=THERAPIST_LEVEL):
    found = table[(table["method"] == method) & (table["therapist_share"] == share) & table["term"].isin(terms)]
    assert len(found) == len(terms)
    return found[column]


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_satterthwaite_keeps_its_level_at_the_therapists(table, share):
    assert (rows(table, "Satterthwaite", share).sub(0.95).abs() <= 3 * ERROR).all()
    assert (rows(table, "Satterthwaite", share, "rejection_rate").sub(0.05).abs() <= 3 * ERROR).all()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
def test_kenward_roger_is_never_too_sure(table, share):
    """With ten therapists it is too careful where they hardly vary: coverage .99 at no variance, .96 at 15 %."""
    assert (rows(table, "Kenward–Roger", share) >= 0.95 - 3 * ERROR).all()


@pytest.mark.parametrize(("share", "z", "ignored"), [(0.05, 0.07, 0.12), (0.15, 0.08, 0.25)])
def test_z_and_no_therapist_are_too_sure(table, share, z, ignored):
    assert (rows(table, "z", share, "rejection_rate") > z).all()
    assert (rows(table, "therapist ignored", share, "rejection_rate") > ignored).all()


def test_effects_within_therapists_need_no_therapist(table):
    within = ["within", "week"]
    for share in (0.0, 0.05, 0.15):
        for method in ("Kenward–Roger", "Satterthwaite", "therapist ignored"):
            assert (rows(table, method, share, terms=within).sub(0.95).abs() <= 3 * ERROR).all()
