"""Baseline summaries, standardised differences and correlations against R (validation/r/tables.R) and pingouin."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.tables.baseline_numbers import differences, summaries
from alliance_stats.tables.correlation_numbers import correlations, spreads

VALIDATION = Path(__file__).parents[2] / "validation"
PINNED: dict[str, Any] = json.loads((VALIDATION / "tables.json").read_text(encoding="utf-8"))["results"]
TIGHT = 1e-11  # closed forms in double precision; R prints 15 digits


def trial() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "data" / "trial_missing.csv")


def sessions() -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "data" / "mixed_therapy.csv")


def arms(frame: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    return [(arm, (frame["arm"] == arm).to_numpy()) for arm in sorted(frame["arm"].dropna().unique())]


def test_summaries_are_those_of_r() -> None:
    frame = trial()
    found = summaries(frame, ["alliance", "baseline", "sex"], arms(frame)).set_index(["group", "variable", "level"])
    for arm, variables in PINNED["baseline"]["summaries"].items():
        for name, numbers in variables.items():
            row = found.loc[(arm, name, "")]
            for column, value in numbers.items():
                assert row[column] == pytest.approx(value, rel=TIGHT), (arm, name, column)
    for arm, shares in PINNED["baseline"]["shares"].items():
        for level, share in shares.items():
            assert found.loc[(arm, "sex", level), "share"] == pytest.approx(share, rel=TIGHT)
    assert found["missing"].max() > 0


def test_standardised_differences_are_those_of_r() -> None:
    frame = trial()
    found = differences(frame, ["alliance", "baseline", "sex"], arms(frame))
    for pair, pinned in PINNED["baseline"]["differences"].items():
        first, second = pair.split("|")
        here = found[(found["first"] == first) & (found["second"] == second)]
        for name, numbers in pinned.items():
            rows = here[here["level"] == name] if name == "female" else here[here["variable"] == name]
            assert len(rows) == 1
            for column, value in numbers.items():
                assert rows[column].iloc[0] == pytest.approx(value, rel=1e-10, abs=TIGHT), (pair, name, column)


def test_correlations_are_those_of_r() -> None:
    found = correlations(trial(), ["alliance", "baseline", "outcome"]).set_index(["first", "second"])
    for pair, numbers in PINNED["correlation"]["total"].items():
        for column, value in numbers.items():
            assert found.loc[tuple(pair.split("|")), column] == pytest.approx(value, rel=TIGHT), (pair, column)


def test_nested_correlations_are_those_of_psych() -> None:
    names = ["alliance", "outcome", "week"]
    known = sessions()[["patient", *names]].dropna()
    found = correlations(known, names, within="patient").set_index(["kind", "first", "second"])
    for pair, numbers in PINNED["correlation"]["nested"].items():
        inside, between = (found.loc[(kind, *pair.split("|"))] for kind in ("within", "between"))
        assert inside["r"] == pytest.approx(numbers["within"], abs=TIGHT)
        assert between["r"] == pytest.approx(numbers["between"], abs=TIGHT)
        assert (inside["n"], inside["patients"]) == (numbers["n"], numbers["patients"])
        assert inside["conf_low"] == pytest.approx(numbers["within_low"], abs=TIGHT)
        assert inside["conf_high"] == pytest.approx(numbers["within_high"], abs=TIGHT)
    spread = spreads(known, names, within="patient").set_index("variable")
    for name, numbers in PINNED["correlation"]["spreads"].items():
        for column, value in numbers.items():
            assert spread.loc[name, column] == pytest.approx(value, rel=TIGHT), (name, column)


def test_the_within_correlation_is_the_repeated_measures_correlation() -> None:
    """Of pingouin, interval included, on the rows complete in the pair."""
    from pingouin import rm_corr

    frame = sessions()
    known = frame[["patient", "alliance", "outcome"]].dropna()
    # pingouin refuses patients with one row; they say nothing about correlations within patients
    several = known[known.groupby("patient")["patient"].transform("size") > 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pingouin 0.6 calls what pandas 3.1 will give up
        theirs = rm_corr(several, "alliance", "outcome", "patient").iloc[0]
    mine = correlations(several, ["alliance", "outcome"], within="patient").iloc[0]
    assert mine["r"] == pytest.approx(theirs["r"], abs=1e-9)
    low, high = next(theirs[name] for name in ("CI95", "CI95%") if name in theirs)
    assert (mine["conf_low"], mine["conf_high"]) == (pytest.approx(low, abs=5e-3), pytest.approx(high, abs=5e-3))


def test_deviations_that_are_rounding_errors_make_no_correlation() -> None:
    frame = pd.DataFrame({"patient": np.repeat(np.arange(20), 3)})
    frame["x"], frame["y"] = 14.58 + frame["patient"] * 0.1, 21.01 - frame["patient"] * 0.3
    found = correlations(frame, ["x", "y"], within="patient").set_index("kind")["r"]
    assert np.isnan(found["within"])
    assert found["between"] == pytest.approx(-1)
    assert np.isnan(correlations(frame.assign(x=0.1), ["x", "y"])["r"].iloc[0])


def test_small_and_equal_groups_have_no_difference_or_none_that_can_be_computed() -> None:
    frame = pd.DataFrame({"x": [1.0, 1, 1, 1], "z": [1.0, 2, np.nan, np.nan], "s": ["a", "a", "b", "b"]})
    halves = [("1", np.array([True, True, False, False])), ("2", np.array([False, False, True, True]))]
    found = differences(frame, ["x", "z", "s"], halves).set_index(["variable", "level"])["difference"]
    assert found["x", ""] == 0
    assert found.drop(("x", "")).isna().all()
