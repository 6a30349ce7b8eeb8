"""Many responses at once against one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from mixed_designs import level, patients

from alliance_stats.numerics.mixed import many
from alliance_stats.numerics.mixed.batch import build_batch
from alliance_stats.numerics.mixed.many import fit_many
from alliance_stats.numerics.mixed.optimise import fit
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.mixed.tree import build_tree

Case = tuple[Level, np.ndarray, np.ndarray, np.ndarray | None]


def case(seed: int, *, slopes: bool, dropout: bool, weighted: bool, sd: float, responses: int = 12) -> Case:
    """40 patients with up to 6 sessions, in random order."""
    rng = np.random.default_rng(seed)
    patient, _, session = patients(rng, 40, 5, 6, dropout=dropout)
    rows = rng.permutation(len(patient))
    patient, session, n = patient[rows], session[rows], len(patient)
    X = np.column_stack([np.ones(n), session, rng.normal(size=n)])
    one = level(patient, X[:, : 1 + slopes])
    b = rng.normal(size=(40, 1 + slopes, responses)) * sd
    Y = 50 + rng.normal(size=(n, responses)) + np.einsum("ij,ijr->ir", one.Z, b[patient])
    return one, X, Y, rng.uniform(0.5, 2, n) if weighted else None


CASES = [
    {"slopes": slopes, "dropout": dropout, "weighted": weighted, "sd": sd}
    for slopes in (False, True)
    for dropout in (False, True)
    for weighted in (False, True)
    for sd in (0.0, 0.3, 1.0)
]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_evaluations(options: dict[str, float], reml: bool) -> None:
    one, X, Y, weights = case(1, **options)  # type: ignore[arg-type]
    batch = build_batch(one, X, Y, weights, reml=reml)
    theta = np.random.default_rng(2).normal(size=(Y.shape[1], len(one.rows)))
    found = batch.evaluate(np.linalg.solve(batch.units, theta.T).T)
    for r, y in enumerate(Y.T):
        expected = build_tree([one], X, y, weights).evaluate(theta[r], reml=reml)
        assert found.value[r] == pytest.approx(expected.value, abs=1e-9)
        assert np.allclose(found.gradient[r], batch.units.T @ expected.gradient, atol=1e-8)
        assert found.sigma2[r] == pytest.approx(expected.sigma2, rel=1e-11)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_optima(options: dict[str, float]) -> None:
    one, X, Y, weights = case(3, **options)  # type: ignore[arg-type]
    found = fit_many([one], X, Y, weights)
    assert found.converged.all()
    for r, y in enumerate(Y.T):
        system = build_tree([one], X, y, weights)
        best = fit(system)
        at = system.evaluate(best.theta)
        assert found.value[r] == pytest.approx(best.value, abs=1e-8)
        assert np.allclose(found.theta[r], best.theta, atol=1e-4)
        assert np.allclose(found.beta[r], at.beta, atol=1e-5)
        assert np.allclose(found.inverse[r], at.inverse, rtol=1e-3, atol=1e-6)
        assert found.sigma2[r] == pytest.approx(at.sigma2, rel=1e-4)


def test_variances_of_zero_are_zero() -> None:
    one, X, Y, _ = case(4, slopes=False, dropout=False, weighted=False, sd=0.0, responses=400)
    theta = fit_many([one], X, Y).theta[:, 0]
    assert (theta[theta < 1e-3] == 0).all()
    assert 0.35 < (theta == 0).mean() < 0.75  # half of the estimates, and more in small samples


def test_parts_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    one, X, Y, _ = case(5, slopes=False, dropout=True, weighted=False, sd=0.5)
    whole = fit_many([one], X, Y)
    monkeypatch.setattr(many, "AT_ONCE", 5 * len(Y))
    parts = fit_many([one], X, Y)
    assert np.allclose(parts.value, whole.value, atol=1e-9)
    assert np.allclose(parts.theta, whole.theta, atol=1e-5)


@pytest.mark.parametrize("crossed", [False, True])
def test_more_than_one_factor(crossed: bool) -> None:
    rng = np.random.default_rng(6)
    patient, therapist, session = patients(rng, 30, 5, 4)
    if crossed:
        therapist = rng.permutation(therapist)
    levels = [level(patient, np.ones((120, 1))), level(therapist, np.ones((120, 1)))]
    X = np.column_stack([np.ones(120), session])
    Y = rng.normal(size=(120, 3)) + rng.normal(size=(30, 3))[patient]
    found = fit_many(levels, X, Y)
    for r, y in enumerate(Y.T):
        other = fit_many(levels, X, y[:, None])
        assert found.value[r] == other.value[0]
        assert found.theta[r].tolist() == other.theta[0].tolist()
