"""The optimum of generalised mixed models: none is missed, at zero variances neither, and the Hessian is that of the value."""

from __future__ import annotations

import numpy as np
import pytest
from numerics.glmm_designs import LEVELS, LIKELIHOODS, N, X, level
from scipy.optimize import minimize

from alliance_stats.numerics.glmm.binomial import BinomialLogit
from alliance_stats.numerics.glmm.counts import NegativeBinomialLog, PoissonLog
from alliance_stats.numerics.glmm.hessian import joint_hessian
from alliance_stats.numerics.glmm.likelihood import Likelihood
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.glmm.precision import BetaBinomial
from alliance_stats.numerics.glmm.search import Fitted, fit
from alliance_stats.numerics.glmm.starting import plain_fit, separating
from alliance_stats.numerics.mixed.parts import Level


def fitted(levels: list[Level], X: np.ndarray, likelihood: Likelihood, plain: Likelihood, points: int = 1) -> Fitted:
    zeros = np.zeros(len(X))
    return fit(levels, X, zeros, likelihood, plain_fit(X, zeros, plain, zeros), points)


def from_everywhere(found: Fitted, dispersed: bool) -> float:
    """The lowest value that BFGS in (β̃, ψ, θ) reaches from several θ."""
    given, evaluate, p = found.setting.problem, found.setting.evaluate, len(found.beta)
    beta, best = np.linalg.solve(found.setting.turn, found.beta), np.inf

    def criterion(point: np.ndarray) -> tuple[float, np.ndarray]:
        psi = float(np.clip(point[p], -6, 12)) if dispersed else 0.0
        at = evaluate(given, point[:p], point[p + dispersed :], psi)
        return at.value, at.gradient

    for size in (0.05, 0.5, 1.5):
        theta = size * np.ones(len(found.theta))
        start = np.r_[beta, [1.0] * dispersed, theta]
        best = min(best, float(minimize(criterion, start, jac=True, method="BFGS", options={"gtol": 1e-5}).fun))
    return best


def small_trial(seed: int) -> tuple[list[Level], np.ndarray, np.ndarray, np.ndarray]:
    """Levels, X, successes and trials: 4 to 9 therapists with 1 to 12 patients; variances from none to large."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 13, rng.integers(4, 10))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    n = len(codes)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    spread = rng.choice([0.0, 0.2, 0.6, 1.5])
    trials = rng.integers(2, 9, n).astype(float)
    eta = X @ [0.2, 0.4] + spread * rng.normal(size=len(sizes))[codes] * (1 + 0.5 * X[:, 1])
    y = rng.binomial(trials.astype(int), 1 / (1 + np.exp(-eta))).astype(float)
    return [level(codes, X.copy(), [2])], X, y, trials


@pytest.mark.parametrize("seed", range(40))
def test_no_search_from_elsewhere_ends_lower(seed: int) -> None:
    """Random slopes with few clusters: most of these data sets have their optimum at or near a boundary."""
    levels, X, y, trials = small_trial(seed)
    likelihood = BinomialLogit(y, trials)
    found = fitted(levels, X, likelihood, likelihood)
    assert found.converged
    assert found.at.value < from_everywhere(found, dispersed=False) + 1e-7


@pytest.mark.parametrize("seed", range(12))
def test_dispersed_families_too(seed: int) -> None:
    levels, X, y, trials = small_trial(seed)
    levels = [level(levels[0].codes, np.ones((len(y), 1)), [1])]
    likelihood = BetaBinomial(y, trials, LINKS["logit"])
    found = fitted(levels, X, likelihood, BinomialLogit(y, trials))
    assert found.at.value < from_everywhere(found, dispersed=True) + 1e-6


def test_without_overdispersion_the_dispersion_stops_at_its_bound() -> None:
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(20), 5)
    X, y = np.ones((100, 1)), np.repeat(rng.integers(2, 6, 20), 5).astype(float)
    found = fitted([level(codes, X, [1])], X, NegativeBinomialLog(y), PoissonLog(y))
    plain = fitted([level(codes, X, [1])], X, PoissonLog(y), PoissonLog(y))
    assert found.at_bound
    assert found.at.value == pytest.approx(plain.at.value, abs=5e-3)  # Σμ²/φ at the bound: 0.002
    assert np.allclose(found.beta, plain.beta, atol=1e-4)


@pytest.mark.parametrize("points", [1, 9])
@pytest.mark.parametrize("family", ["logit", "probit", "negative binomial"])
def test_hessian_is_that_of_the_value(family: str, points: int) -> None:
    """Second differences of the value err by h² (8e-5 found); the differenced gradient knows its own error, the asymmetry."""
    plain = LIKELIHOODS["poisson" if family == "negative binomial" else "logit"]
    found = fitted(LEVELS["one"], X, LIKELIHOODS[family], plain, points)
    H, asymmetry = joint_hessian(found, np.arange(1))
    assert asymmetry < 1e-5
    setting, dispersed = found.setting, LIKELIHOODS[family].dispersed
    origin = np.r_[found.beta, [found.psi] * dispersed, found.theta]
    steps = 2e-3 * np.eye(len(origin))

    def value(point: np.ndarray) -> float:
        psi = float(point[2]) if dispersed else 0.0
        beta = np.linalg.solve(setting.turn, point[:2])
        return setting.evaluate(setting.problem, beta, point[-1:], psi, None, 1e-9).value

    expected = [
        [
            (value(origin + a + b) - value(origin + a - b) - value(origin - a + b) + value(origin - a - b)) / 1.6e-5
            for b in steps
        ]
        for a in steps
    ]
    scale = np.sqrt(np.outer(np.diag(H), np.diag(H)))
    assert np.abs((H - expected) / scale).max() < 2e-4


def test_crossed_design_with_many_effects() -> None:
    """Forty rooms crossed with sixty patients: the same optimum whichever is eliminated."""
    rng = np.random.default_rng(2)
    patient, room = LEVELS["one"][0], level(rng.integers(0, 40, N), np.ones((N, 1)), [1])
    likelihood = LIKELIHOODS["logit"]
    one = fitted([patient, room], X, likelihood, likelihood)
    other = fitted([room, patient], X, likelihood, likelihood)
    assert one.at.value == pytest.approx(other.at.value, abs=1e-8)
    assert np.allclose(one.beta, other.beta, atol=1e-6)


def test_separating_directions() -> None:
    """Complete, quasi-complete and none; a row of the middle rules a direction out."""
    one, x = np.ones(6), np.array([-3.0, -2, -1, 1, 2, 3])
    low = np.array([True, True, True, False, False, False])
    both = np.column_stack([one, x])
    assert separating(both, low, ~low)[1] > 0
    touching = np.column_stack([one, [0.0, 0, 0, 0, 1, 1]])
    assert separating(
        touching, np.array([1, 0, 1, 0, 0, 0], dtype=bool), np.array([0, 1, 0, 1, 1, 1], dtype=bool)
    ).any()
    mixed = np.array([True, False, True, False, True, False])
    assert not separating(both, mixed, ~mixed).any()
    assert not separating(both, low & (x < -2.5), np.zeros(6, dtype=bool)).any()
