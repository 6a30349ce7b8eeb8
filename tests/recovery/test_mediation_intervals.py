"""Intervals of the indirect effect: a short run here, the long one as a table; which interval fails where."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from alliance_stats import Mediation

VALIDATION = Path(__file__).parents[2] / "validation"
LONG = 4000
ERROR = float(np.sqrt(0.05 * 0.95 / LONG))
INTERVALS = {"percentile", "bca", "monte-carlo", "delta", "product"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recovery_mediation", VALIDATION / "recovery_mediation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recovery_mediation"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "recovery_mediation.csv")


def rows(table: pd.DataFrame, interval: str, **where: float) -> pd.DataFrame:
    found = table[table["interval"] == interval]
    for name, value in ({"interaction": 0.0, "reliability": 1.0} | where).items():
        found = found[np.isclose(found[name], value)]
    assert len(found)
    return found


def test_short_run(script):
    """Where both paths are large at n = 200 every interval is near its level."""
    found = script.cell(script.Setting(200, 0.39, 0.39), 200, 1)
    assert set(found["interval"]) == INTERVALS
    for row in found.itertuples():
        assert binomtest(round(row.coverage * row.trials), row.trials, 0.95).pvalue > 0.001, row.interval


@pytest.mark.parametrize("interaction", [0.0, 0.25])
def test_the_arrays_are_the_model(script, interaction):
    """One trial of the script through Mediation itself, where x = 1 against −1 is twice a unit."""
    s = script.Setting(60, 0.39, 0.39, interaction, 0.7)
    x, m, y = script.trial(s, np.random.default_rng(3))
    a, b, v_a, v_b = script.paths(script.products(s, x, m, y).sum(axis=0), s.n)
    outcome = "y ~ x * m" if interaction else "y ~ x + m"
    model = Mediation(["m ~ x"], outcome, "x", interval="delta")
    row = model.fit(pd.DataFrame({"x": x, "m": m, "y": y})).tidy().set_index("term").loc["acme_treated"]
    assert 2 * a * b == pytest.approx(row["estimate"], rel=1e-10)
    assert 2 * np.sqrt(a**2 * v_b + b**2 * v_a) == pytest.approx(row["std_error"], rel=1e-10)


def test_long_run_is_long_and_complete(table, script):
    assert (table["trials"] >= LONG).all()
    assert set(table["interval"]) == INTERVALS
    assert len(table) == len(script.GRID) * len(INTERVALS)
    assert set(table["n"]) == {50, 100, 200}
    assert set(table["reliability"]) == {1.0, 0.7}
    assert np.allclose(table["coverage"] + table["truth_below"] + table["truth_above"], 1)


@pytest.mark.parametrize("interval", ["percentile", "monte-carlo", "product"])
def test_three_intervals_keep_the_level(table, interval):
    """Type I error at a = 0, b = 0 or both: never above 6 %, and far below 5 % where the other path is weak, too."""
    none = table[(table["interval"] == interval) & (table["truth"] == 0)]
    assert none["rejection_rate"].max() <= 0.06
    assert none.loc[(none["a"] == 0) & (none["b"] == 0) & (none["interaction"] == 0), "rejection_rate"].max() < 0.005


def test_bca_rejects_too_often_with_one_strong_path(table):
    one = table[(table["interval"] == "bca") & (table["truth"] == 0) & (table["interaction"] == 0)]
    one = one[one["a"] + one["b"] == 0.39]
    assert one["rejection_rate"].max() > 0.05 + 6 * ERROR
    assert one["rejection_rate"].max() < 0.10
    assert rows(table, "bca", a=0.14, b=0.39)["coverage"].min() < 0.92


def test_delta_has_little_power_and_misses_on_one_side(table):
    weak = {"a": 0.14, "b": 0.14, "n": 200}
    delta, drawn = (rows(table, name, **weak).iloc[0] for name in ("delta", "percentile"))
    assert delta["rejection_rate"] < 0.5 * drawn["rejection_rate"]
    assert delta["coverage"] < 0.92
    assert delta["truth_above"] > 5 * delta["truth_below"]
    none = table[(table["interval"] == "delta") & (table["truth"] == 0)]
    assert none["rejection_rate"].max() < 0.05


def test_large_paths_are_covered_by_all(table):
    for interval in INTERVALS:
        found = rows(table, interval, a=0.39, b=0.39, n=200)["coverage"].iloc[0]
        assert abs(found - 0.95) <= 4 * ERROR if interval != "delta" else found > 0.93


def test_no_interval_mends_an_unreliable_mediator(table):
    """At a reliability of .7 the effect is too small by 30 %: coverage falls with the sample."""
    for interval in INTERVALS:
        found = rows(table, interval, reliability=0.7, a=0.39, b=0.39).set_index("n")["coverage"]
        assert found[200] < 0.80
        assert found[50] > found[200]
    shrunk = rows(table, "delta", reliability=0.7, a=0.39, b=0.39, n=200).iloc[0]
    # The mean of 4,000 estimates knows the shrinking to about .001.
    assert shrunk["mean_estimate"] == pytest.approx(0.7 * shrunk["truth"], abs=0.004)
