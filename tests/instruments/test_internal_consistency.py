"""Alpha and omega against psych, lavaan and semTools; their intervals against simulation with known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, pinned
from hypothesis import given
from hypothesis import strategies as st

from alliance_stats.errors import AllianceError, ConvergenceError, DataError
from alliance_stats.instruments.item_statistics import item_statistics
from alliance_stats.instruments.reliability import alpha, omega
from alliance_stats.numerics.reliability import (
    feldt_interval,
    item_rest,
    minres_omega,
    omega_of_observed,
    omega_std_error,
    one_factor,
)
from alliance_stats.numerics.reliability import omega as implied_omega

SCALES = list(pinned("reliability", "scales"))
EXACT = 1e-12  # both are a few sums of one matrix
WHERE_LAVAAN_STOPS = 1e-6  # nlminb leaves a gradient near 3e-7; the optimum itself is checked below
WHERE_OPTIM_STOPS = 1e-9  # BFGS of the minres criterion, restarted twenty times


def with_covariance(S: np.ndarray, n: int, seed: int = 1) -> pd.DataFrame:
    """Rows whose covariance matrix is S to rounding."""
    z = np.random.default_rng(seed).normal(size=(n, len(S)))
    z = z - z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T
    return pd.DataFrame(z @ np.linalg.cholesky(S).T, columns=[f"q{i + 1}" for i in range(len(S))])


def one_factor_items(n: int, loadings: np.ndarray, seed: int) -> pd.DataFrame:
    """Standardised items with one common factor."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) * loadings + rng.normal(size=(n, len(loadings))) * np.sqrt(1 - loadings**2)
    return pd.DataFrame(x, columns=[f"q{i + 1}" for i in range(len(loadings))])


@pytest.mark.parametrize("name", SCALES)
def test_alpha_is_that_of_psych(name: str) -> None:
    expected = pinned("reliability", "scales", name)
    frame = with_covariance(np.array(expected["covariance"]), expected["n"])
    row = alpha(frame, "q{}").iloc[0]
    assert (row["items"], row["n"], row["left_out"], row["interval"]) == (
        len(expected["items"]),
        expected["n"],
        0,
        "feldt",
    )
    for column, value in (
        ("estimate", "alpha"), ("std_error", "std_error"), ("standardised", "standardised"), ("mean_r", "mean_r"),
    ):  # fmt: skip
        assert_close(row[column], expected[value], EXACT)
    assert_close(row[["conf_low", "conf_high"]].astype(float), expected["feldt"], EXACT)
    items = item_statistics(frame, "q{}")
    assert_close(items["item_rest"], expected["item_rest"], EXACT)
    assert_close(items["alpha_without"], expected["alpha_without"], EXACT)
    assert_close(item_rest(frame.to_numpy()), expected["item_rest"], EXACT)


@pytest.mark.parametrize("name", SCALES)
def test_omega_is_that_of_lavaan_semtools_and_psych(name: str) -> None:
    expected = pinned("reliability", "scales", name)
    S = np.array(expected["covariance"])
    frame = with_covariance(S, expected["n"])
    row = omega(frame, "q{}").iloc[0]
    assert (row["interval"], row["method"], row["total"]) == ("delta", "ml", "implied")
    assert_close(row["estimate"], expected["omega"], WHERE_LAVAAN_STOPS)
    assert_close(row["estimate"], expected["omega_implied_semtools"], WHERE_LAVAAN_STOPS)
    assert_close(row["std_error"], expected["omega_std_error"], WHERE_LAVAAN_STOPS)
    assert_close(row[["conf_low", "conf_high"]].astype(float), expected["omega_logit"], WHERE_LAVAAN_STOPS)
    assert_close(omega_of_observed(one_factor(S), S), expected["omega_observed_semtools"], WHERE_LAVAAN_STOPS)
    observed = omega(frame, "q{}", total="observed", draws=2).iloc[0]
    assert_close(observed["estimate"], expected["omega_observed_semtools"], WHERE_LAVAAN_STOPS)
    least_squares = omega(frame, "q{}", method="minres", draws=2).iloc[0]
    assert_close(least_squares["estimate"], expected["omega_minres"], WHERE_OPTIM_STOPS)
    assert_close(least_squares["estimate"], expected["omega_psych"], 1e-7)  # psych stops at the default of L-BFGS-B
    assert (least_squares["interval"], least_squares["total"]) == ("percentile", "observed")


@pytest.mark.parametrize("name", SCALES)
def test_the_factor_is_at_the_optimum(name: str) -> None:
    """Numerical gradient of the likelihood, by a criterion written anew."""
    S = np.array(pinned("reliability", "scales", name)["covariance"])
    fit = one_factor(S)

    def criterion(point: np.ndarray) -> float:
        k = len(S)
        Sigma = np.outer(point[:k], point[:k]) + np.diag(point[k:])
        return float(np.log(np.linalg.det(Sigma)) + np.trace(np.linalg.inv(Sigma) @ S))

    at = np.r_[fit.loadings, fit.unique]
    slope = [(criterion(at + h) - criterion(at - h)) / 2e-5 for h in 1e-5 * np.eye(len(at))]
    assert np.abs(slope).max() < 1e-8  # rounding of the criterion, near 10, over the step
    assert fit.loadings.sum() > 0


def test_three_items_have_a_closed_form() -> None:
    loadings, unique = np.array([0.9, 0.6, 1.2]), np.array([0.5, 0.8, 0.3])
    S = np.outer(loadings, loadings) + np.diag(unique)
    fit = one_factor(S)
    np.testing.assert_allclose(fit.loadings, loadings, rtol=1e-10)
    np.testing.assert_allclose(fit.unique, unique, rtol=1e-9)
    assert implied_omega(fit) == pytest.approx(2.7**2 / (2.7**2 + 1.6), rel=1e-10)
    sd = np.sqrt(np.diag(S))
    value, found = minres_omega(S / np.outer(sd, sd))
    np.testing.assert_allclose(found, loadings / sd, rtol=1e-8)
    assert value == pytest.approx(1 - (unique / sd**2).sum() / (S / np.outer(sd, sd)).sum(), rel=1e-8)


def test_equal_loadings_make_omega_alpha() -> None:
    S = np.full((5, 5), 0.4) + 0.6 * np.eye(5)
    frame = with_covariance(S, 80)
    assert omega(frame, "q{}")["estimate"][0] == pytest.approx(alpha(frame, "q{}")["estimate"][0], rel=1e-9)


@given(
    unit=st.floats(0.01, 100), shift=st.floats(-50, 50), order=st.permutations(list(range(6))), seed=st.integers(0, 500)
)
def test_units_and_order_change_nothing(unit: float, shift: float, order: list[int], seed: int) -> None:
    loadings = np.array([0.8, 0.7, 0.6, 0.75, 0.65, 0.7])
    frame = one_factor_items(120, loadings, seed)
    changed = (shift + unit * frame).iloc[:, order].sample(frac=1, random_state=seed)
    names = list(changed.columns)
    for function in (alpha, omega):
        first, second = function(frame, "q{}").iloc[0], function(changed, names).iloc[0]
        for column in ("estimate", "std_error", "conf_low", "conf_high"):
            # A shift of 50 against an SD of .01 costs four of sixteen digits, squared.
            assert second[column] == pytest.approx(first[column], rel=1e-7)


def test_intervals_cover_the_truth() -> None:
    """400 samples with known alpha and omega; bars are three Monte Carlo standard errors of a coverage of .95."""
    loadings, n = np.full(6, 0.7), 60
    truth = 6**2 * 0.49 / (6**2 * 0.49 + 6 * 0.51)
    held = np.zeros((400, 2))
    for i in range(400):
        S = np.cov(one_factor_items(n, loadings, 1000 + i).to_numpy(), rowvar=False)
        value = 6 / 5 * (1 - np.trace(S) / S.sum())
        low, high = feldt_interval(value, n, 6, 0.95)
        held[i, 0] = low <= truth <= high
        fit = one_factor(S)
        value, se = implied_omega(fit), omega_std_error(fit, n)
        half = 1.959964 * se / (value * (1 - value))
        logit = np.log(truth / (1 - truth)) - np.log(value / (1 - value))
        held[i, 1] = abs(logit) <= half
    bar = 3 * np.sqrt(0.95 * 0.05 / 400)
    assert abs(held[:, 0].mean() - 0.95) < bar  # exact for parallel normal items
    assert abs(held[:, 1].mean() - 0.95) < bar  # asymptotic: .946 in 4,000 samples


def test_bootstrap_is_seeded_named_and_near_the_formula() -> None:
    frame = one_factor_items(300, np.full(5, 0.7), 5)
    once, again, other = (alpha(frame, "q{}", interval="bootstrap", draws=300, rng=rng).iloc[0] for rng in (1, 1, 2))
    assert once.equals(again)
    assert once["conf_low"] != other["conf_low"]
    assert once["interval"] == "percentile"
    feldt = alpha(frame, "q{}").iloc[0]
    # Percentiles of 300 draws: their Monte Carlo error is about a tenth of the width.
    width = feldt["conf_high"] - feldt["conf_low"]
    assert abs(once["conf_low"] - feldt["conf_low"]) < 0.4 * width
    assert abs(once["conf_high"] - feldt["conf_high"]) < 0.4 * width
    drawn = omega(frame, "q{}", interval="bootstrap", draws=200).iloc[0]
    assert drawn["std_error"] == pytest.approx(
        omega(frame, "q{}")["std_error"][0], rel=0.25
    )  # 200 draws: SE of an SD 5 %


def test_several_scales_missing_answers_and_item_statistics() -> None:
    frame = one_factor_items(50, np.full(6, 0.7), 6)
    frame.iloc[3, 0] = frame.iloc[4, 1] = np.nan
    both = alpha(frame, {"first": ["q1", "q2", "q3"], "second": ["q4", "q5", "q6"]})
    assert both[["scale", "n", "left_out"]].to_numpy().tolist() == [["first", 48, 2], ["second", 50, 0]]
    assert both.attrs["notes"] == ("first: 2 rows with a missing answer left out",)
    items = item_statistics(frame, "q{}")
    assert items["missing"].tolist() == [1, 1, 0, 0, 0, 0]
    assert items["mean"].tolist() == pytest.approx(frame.mean().tolist())
    assert items["sd"].tolist() == pytest.approx(frame.std().tolist())
    two = alpha(frame, ["q4", "q5"])
    r = frame["q4"].corr(frame["q5"])
    assert two["standardised"][0] == pytest.approx(2 * r / (1 + r))
    assert item_statistics(frame, ["q4", "q5"])["alpha_without"].isna().all()


def test_items_that_run_against_the_others_are_noted() -> None:
    frame = one_factor_items(100, np.full(5, 0.7), 7)
    frame["q2"] = -frame["q2"]
    assert (
        "total: 'q2' runs against the other items (item–rest correlation -0." in alpha(frame, "q{}").attrs["notes"][0]
    )
    assert "total: 'q2' runs against the other items (loading -0." in omega(frame, "q{}").attrs["notes"][0]


def test_a_heywood_case_gives_no_number() -> None:
    # Three of the items alone would give the first a loading of √(.8 · .8 / .5) > 1.
    R = np.array([[1, 0.8, 0.8, 0.1], [0.8, 1, 0.5, 0.1], [0.8, 0.5, 1, 0.1], [0.1, 0.1, 0.1, 1]])
    frame = with_covariance(R, 60)
    for method in ("ml", "minres"):
        with pytest.raises(
            ConvergenceError, match=r"no proper one-factor solution: 'q1' is left no variance of its own"
        ):
            omega(frame, "q{}", method=method)


@pytest.mark.parametrize(
    ("function", "change", "options", "message"),
    [
        (alpha, {}, {"items": "p{}"}, "alpha: items='p{}' fits no column"),
        (alpha, {}, {"items": ["q1"]}, "1 item; at least 2 are needed"),
        (omega, {}, {"items": ["q1", "q2"]}, "2 item; at least 3 are needed"),
        (alpha, {}, {"items": {}}, "items= names no scale"),
        (alpha, {}, {"items": {"bond": ["q1", "q9"]}}, "alpha: 'bond': no column 'q9'"),
        (alpha, {"q1": 3.0}, {}, "'q1' is the same in all 20 complete rows"),
        (alpha, {"q1": "often"}, {}, "column 'q1' holds text"),
        (alpha, {"q1": np.nan}, {}, "0 rows have all 4 items"),
        (alpha, {"q1": np.inf}, {}, "infinite"),
        (alpha, {}, {"level": 95}, "level is 95"),
        (alpha, {}, {"interval": "bootstrp"}, "interval is 'bootstrp' .did you mean 'bootstrap'"),
        (alpha, {}, {"interval": "bootstrap", "draws": 1}, "draws is 1"),
        (omega, {}, {"method": "uls"}, "method is 'uls'; use 'ml' or 'minres'"),
        (omega, {}, {"total": "all"}, "total is 'all'; use 'implied' or 'observed'"),
        (
            omega,
            {},
            {"interval": "delta", "total": "observed"},
            "interval='delta' is for method='ml' with total='implied'",
        ),
    ],
)
def test_errors_name_the_argument(function: Any, change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    frame = one_factor_items(20, np.full(4, 0.8), 8).assign(**change)
    with pytest.raises(AllianceError, match=message):
        function(frame, **({"items": "q{}"} | options))


def test_an_item_with_its_own_reverse_is_refused() -> None:
    frame = pd.DataFrame({"q1": [1.0, 2, 3, 4], "q2": [4.0, 3, 2, 1]})
    with pytest.raises(DataError, match="the sum of the items is the same in all rows"):
        alpha(frame, "q{}")
