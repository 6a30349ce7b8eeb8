"""Laplace's approximation and adaptive quadrature: against dense formulas, integrals and differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.glmm_designs import BETA, LEVELS, LIKELIHOODS, PSI, TIME, N, X, level, problem, theta_of

from alliance_stats.numerics.glmm.crossed import build_crossed
from alliance_stats.numerics.glmm.laplace import Evaluation, laplace
from alliance_stats.numerics.glmm.mode import Problem, find_mode
from alliance_stats.numerics.glmm.quadrature import quadrature
from alliance_stats.numerics.mixed.parts import Level, factors

TOLERANCE = 1e-9  # of the mode, so that differences are of the criterion and not of the iteration


def at(given: Problem, beta: np.ndarray, theta: np.ndarray, psi: float, points: int = 1) -> Evaluation:
    if points == 1:
        return laplace(given, beta, theta, psi, None, TOLERANCE)
    return quadrature(given, points, beta, theta, psi, None, TOLERANCE)


def differenced(given: Problem, theta: np.ndarray, points: int) -> np.ndarray:
    """The gradient in (β, ψ, θ) by central differences."""
    origin = np.r_[BETA, [PSI] * given.likelihood.dispersed, theta]

    def value(point: np.ndarray) -> float:
        psi = point[2] if given.likelihood.dispersed else PSI
        return at(given, point[:2], point[len(point) - len(theta) :], psi, points).value

    steps = 1e-5 * np.eye(len(origin))
    return np.array([(value(origin + h) - value(origin - h)) / 2e-5 for h in steps])


@pytest.mark.parametrize("family", LIKELIHOODS)
@pytest.mark.parametrize("design", LEVELS)
def test_gradient_of_laplace(design: str, family: str) -> None:
    given, theta = problem(LEVELS[design], LIKELIHOODS[family]), theta_of(LEVELS[design])
    found = at(given, BETA, theta, PSI)
    assert found.mode.settled
    assert np.allclose(found.gradient, differenced(given, theta, 1), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("points", [2, 7])
@pytest.mark.parametrize("family", LIKELIHOODS)
@pytest.mark.parametrize("design", ["one", "one slope"])
def test_gradient_of_quadrature(design: str, family: str, points: int) -> None:
    given, theta = problem(LEVELS[design], LIKELIHOODS[family]), theta_of(LEVELS[design])
    found = at(given, BETA, theta, PSI, points)
    assert np.allclose(found.gradient, differenced(given, theta, points), rtol=1e-6, atol=2e-6)


def dense(levels: list[Level], family: str, theta: np.ndarray) -> float:
    """−2 log likelihood from ZΛ as one matrix, its mode by Newton's method."""
    likelihood = LIKELIHOODS[family]
    Ls = factors(theta, [(each.q, each.rows, each.columns) for each in levels])
    blocks = []
    for each, L in zip(levels, Ls, strict=True):
        Z = np.zeros((N, int(each.codes.max()) + 1, each.q))
        Z[np.arange(N), each.codes] = each.Z @ L
        blocks.append(Z.reshape(N, -1))
    ZL, fixed = np.concatenate(blocks, axis=1), 0.1 * TIME + X @ BETA
    u = np.zeros(ZL.shape[1])
    for _ in range(50):
        inner = likelihood.inner(fixed + ZL @ u, PSI)
        H = np.eye(len(u)) + ZL.T @ (np.maximum(inner.curvature, 0)[:, None] * ZL)
        u = u + np.linalg.solve(H, ZL.T @ inner.score - u)
    inner = likelihood.inner(fixed + ZL @ u, PSI)
    weight = likelihood.outer(fixed + ZL @ u, PSI, inner).weight
    log_det = np.linalg.slogdet(np.eye(len(u)) + ZL.T @ (weight[:, None] * ZL))[1]
    return float(-2 * (inner.log_f.sum() + likelihood.constant) + u @ u + log_det)


@pytest.mark.parametrize("family", LIKELIHOODS)
@pytest.mark.parametrize("design", LEVELS)
def test_laplace_is_the_dense_formula(design: str, family: str) -> None:
    levels = LEVELS[design]
    found = at(problem(levels, LIKELIHOODS[family]), BETA, theta_of(levels), PSI)
    assert found.value == pytest.approx(dense(levels, family, theta_of(levels)), rel=1e-10)


@pytest.mark.parametrize("design", ["nested", "three levels"])
def test_nested_designs_as_crossed_ones(design: str) -> None:
    """Two ways of elimination, one criterion."""
    levels, theta = LEVELS[design], theta_of(LEVELS[design])
    groups = build_crossed(levels)
    given = Problem(X[groups.order], 0.1 * TIME[groups.order], LIKELIHOODS["probit"].rows(groups.order), groups)
    one, other = at(given, BETA, theta, PSI), at(problem(levels, LIKELIHOODS["probit"]), BETA, theta, PSI)
    assert one.value == pytest.approx(other.value, rel=1e-12)
    assert np.allclose(one.gradient, other.gradient, rtol=1e-7, atol=1e-7)


def integral(given: Problem, scale: float, z: np.ndarray, codes: np.ndarray) -> float:
    """−2 log likelihood by a fine grid in u."""
    u = np.linspace(-9, 9, 4001)
    total, fixed = 0.0, given.offset + given.X @ BETA
    for group in np.unique(codes):
        rows = np.flatnonzero(codes == group)
        likelihood = given.likelihood.rows(rows)
        each = likelihood.inner(fixed[rows] + scale * z[rows] * u[:, None], PSI).log_f.sum(axis=1) - u * u / 2
        top = each.max()
        total += top + np.log(np.exp(each - top).sum() * (u[1] - u[0]) / np.sqrt(2 * np.pi))
    return -2 * (total + given.likelihood.constant)


@pytest.mark.parametrize("family", LIKELIHOODS)
@pytest.mark.parametrize("design", ["one", "one slope"])
def test_quadrature_is_the_integral(design: str, family: str) -> None:
    """With 60 nodes to eight digits, and nearer with each step from Laplace's approximation on."""
    [own], likelihood = LEVELS[design], LIKELIHOODS[family]
    given = problem([own], likelihood)
    order = given.structure.order
    exact = integral(given, 0.7, own.Z[order, 0], own.codes[order])
    errors = [abs(at(given, BETA, np.array([0.7]), PSI, points).value - exact) for points in (1, 7, 60)]
    assert errors[2] < 1e-6
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize("family", LIKELIHOODS)
def test_one_node_is_laplace(family: str) -> None:
    given, theta = problem(LEVELS["one"], LIKELIHOODS[family]), np.array([0.7])
    one = quadrature(given, 1, BETA, theta, PSI, None, TOLERANCE)
    other = at(given, BETA, theta, PSI)
    assert one.value == pytest.approx(other.value, rel=1e-13)
    assert np.allclose(one.gradient, other.gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("design", LEVELS)
def test_without_variances_it_is_the_likelihood(design: str) -> None:
    """At Λ = 0 nothing is divided by zero, and the gradient in Λ is exactly zero."""
    likelihood = LIKELIHOODS["beta-binomial"]
    given, theta = problem(LEVELS[design], likelihood), 0 * theta_of(LEVELS[design])
    found = at(given, BETA, theta, PSI)
    plain = likelihood.inner(0.1 * TIME + X @ BETA, PSI).log_f.sum() + likelihood.constant
    assert found.value == pytest.approx(-2 * plain, rel=1e-13)
    assert not found.theta.any()


@pytest.mark.parametrize("family", LIKELIHOODS)
def test_the_mode_is_found_from_anywhere(family: str) -> None:
    """Also from starts at which whole steps overshoot, and with variances of any size."""
    given = problem(LEVELS["nested"], LIKELIHOODS[family])
    fixed = given.offset + given.X @ BETA
    rng = np.random.default_rng(1)
    for size in (0.01, 1.0, 8.0):
        Ls: list[Any] = factors(size * theta_of(LEVELS["nested"]), given.structure.shapes)
        first = find_mode(given, fixed, Ls, PSI, None, TOLERANCE)
        assert first.settled
        for spread in (1.0, 15.0):
            again = find_mode(given, fixed, Ls, PSI, spread * rng.normal(size=N), TOLERANCE)
            assert again.settled
            assert np.allclose(again.eta, first.eta, atol=1e-7)


def test_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(2).permutation(N)
    for design in ("nested", "crossed"):
        levels = LEVELS[design]
        blocks = {"nested": [[2], [1, 1]], "crossed": [[2], [2], [1]]}[design]
        mixed = [level(one.codes[order], one.Z[order], b) for one, b in zip(levels, blocks, strict=True)]
        groups = problem(mixed, LIKELIHOODS["logit"].rows(order)).structure
        rows = order[groups.order]
        given = Problem(X[rows], 0.1 * TIME[rows], LIKELIHOODS["logit"].rows(rows), groups)
        expected = at(problem(levels, LIKELIHOODS["logit"]), BETA, theta_of(levels), PSI).value
        assert at(given, BETA, theta_of(levels), PSI).value == pytest.approx(expected, rel=1e-12)
