"""Conditional modes and their covariance against lme4 and against the formulae with n × n matrices."""

from __future__ import annotations

import numpy as np
import pytest
from golden.pinned import difference, pinned
from scipy.linalg import block_diag
from test_satterthwaite import KNOWN, Case, by_path, dense, example, fitted, gold_of, ratings

from alliance_stats.numerics.mixed import effects
from alliance_stats.numerics.mixed.effects import are_nested, conditional_covariance, conditional_modes
from alliance_stats.numerics.mixed.parts import Level, template

SAME_OPTIMUM = 1e-9  # of σ; two optima of criteria flat to rounding
ROUNDING = 1e-12  # inverses of 90 × 90 matrices against the recursion; 1e-14 is reached
THETA = np.array([0.8, 0.3, 0.5, 0.7, 0.4, 0.6])


@pytest.mark.parametrize("case", KNOWN, ids=by_path)
def test_modes_and_their_sd_agree_with_lme4(case: Case) -> None:
    fit, rows = fitted(case), gold_of(case)["ranef"]
    modes = conditional_modes(fit.levels, fit.X, fit.y, fit.theta, fit.at.beta, fit.weights)
    covariances = conditional_covariance(fit.levels, fit.theta, fit.weights)
    sigma = float(np.sqrt(fit.at.sigma2))
    assert {row["group"] for row in rows} == {random.factor for random in case.random}
    for row in rows:
        level = [random.factor for random in case.random].index(row["group"])
        group, effect = fit.groups[level].index(row["level"]), fit.effects[level].index(row["term"])
        sd = np.sqrt(fit.at.sigma2 * covariances[level][group, effect, effect])
        assert modes[level][group, effect] == pytest.approx(row["estimate"], abs=SAME_OPTIMUM * sigma)
        assert sd == pytest.approx(row["std_error"], abs=SAME_OPTIMUM * sigma)


@pytest.mark.slow
def test_thousands_of_crossed_groups() -> None:
    gold = pinned("mixed_insteval", "intercept")
    levels, one, y, labels = ratings()
    theta = np.array([gold["theta"][f"{name}.(Intercept)"] for name in ("s", "d")])
    modes = conditional_modes(levels, one, y, theta, np.array([gold["fixed"][0]["estimate"]]))
    covariances = conditional_covariance(levels, theta)
    for row in gold["ranef"]:
        level = ("s", "d").index(row["group"])
        group = labels[level].index(row["level"])
        assert modes[level][group, 0] == pytest.approx(row["estimate"], abs=SAME_OPTIMUM)
        sd = gold["sigma"] * np.sqrt(covariances[level][group, 0, 0])
        assert sd == pytest.approx(row["std_error"], rel=SAME_OPTIMUM)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("theta", [THETA, THETA * [1, 1, 0, 0, 1, 1], THETA * [0, 0, 0, 1, 1, 0]])
def test_the_best_linear_predictor(nested: bool, weighted: bool, theta: np.ndarray) -> None:
    """b̂ = ΨZ'V⁻¹(y − Xβ) and Ψ − ΨZ'V⁻¹ZΨ: unbalanced, labels in no order, and where variances are zero."""
    levels, X, y = example(nested=nested)
    assert are_nested(levels) == nested
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    beta = np.array([0.3, 1.0, -0.2])
    d = dense(levels, theta, 1.0, weights)
    Z, Psi = np.hstack(d.Zs), block_diag(*d.Psis)
    gain = Psi @ Z.T @ np.linalg.inv(d.V)
    b, C = gain @ (y - X @ beta), Psi - gain @ Z @ Psi
    modes = conditional_modes(levels, X, y, theta, beta, weights)
    covariances = conditional_covariance(levels, theta, weights)
    assert difference(np.concatenate([m.ravel() for m in modes]), b, np.abs(b).max()) < ROUNDING
    assert difference(block_diag(*[V for stack in covariances for V in stack]), C * same_group(levels), 1.0) < ROUNDING


def same_group(levels: list[Level]) -> np.ndarray:
    """1 where two random effects belong to one group of one level."""
    return np.asarray(
        block_diag(*[np.ones((level.q, level.q)) for level in levels for _ in range(level.codes.max() + 1)])
    )


def test_crossed_groups_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    levels, _, _ = example(nested=False)
    whole = conditional_covariance(levels, THETA)
    monkeypatch.setattr(effects, "CHUNK", 100)
    for part, all_at_once in zip(conditional_covariance(levels, THETA), whole, strict=True):
        assert difference(part, all_at_once, 1.0) < ROUNDING


def test_a_nested_design_in_the_wrong_order_is_solved_as_crossed() -> None:
    levels, X, y = example(nested=True)
    beta, turned = np.array([0.3, 1.0, -0.2]), [levels[1], levels[0], levels[2]]
    at = THETA[[3, 4, 0, 1, 2, 5]]
    right, wrong = conditional_modes(levels, X, y, THETA, beta), conditional_modes(turned, X, y, at, beta)
    for one, other in ((right[0], wrong[1]), (right[1], wrong[0]), (right[2], wrong[2])):
        assert difference(other, one, np.abs(one).max()) < ROUNDING


def test_the_mean_of_a_group_shrinks_by_its_reliability() -> None:
    """λ = τ²n/(τ²n + σ²) of the mean residual, and the conditional variance is (1 − λ)τ²."""
    codes, e = np.array([0, 0, 0, 1, 1, 2]), np.array([1.0, 2.0, 3.0, -1.0, -3.0, 4.0])
    level = Level(codes, np.ones((6, 1)), *template([1]))
    reliability = np.array([3, 2, 1]) * 0.25 / (np.array([3, 2, 1]) * 0.25 + 1)
    modes = conditional_modes([level], np.empty((6, 0)), e, np.array([0.5]), np.empty(0))
    covariance = conditional_covariance([level], np.array([0.5]))
    assert modes[0][:, 0] == pytest.approx(reliability * [2, -2, 4], rel=ROUNDING)
    assert covariance[0][:, 0, 0] == pytest.approx((1 - reliability) * 0.25, rel=ROUNDING)
