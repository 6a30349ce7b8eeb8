"""Robust covariances against their definitions, written out with the large matrices that the package avoids."""

from __future__ import annotations

import numpy as np
import pytest

from alliance_stats.numerics.sandwich import cr1, cr2, hc3

ROUNDING = 1e-10  # products of a few dozen numbers of size 1


def example(seed: int = 1, sizes: tuple[int, ...] = (1, 2, 3, 7, 12, 5)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = np.column_stack([np.ones(len(codes)), rng.normal(size=len(codes)), rng.normal(size=len(sizes))[codes]])
    return X, rng.normal(size=len(codes)), codes


def inverse_root(matrix: np.ndarray) -> np.ndarray:
    value, vector = np.linalg.eigh(matrix)
    return vector @ np.diag([1 / np.sqrt(v) if v > 1e-10 else 0.0 for v in value]) @ vector.T


def residual_maker(X: np.ndarray) -> np.ndarray:
    return np.eye(len(X)) - X @ np.linalg.inv(X.T @ X) @ X.T


def definition(X: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
    """Rows of (X'X)⁻¹ X_g' A_g (I − H)_g, one matrix (p, n) a cluster."""
    maker, bread = residual_maker(X), np.linalg.inv(X.T @ X)
    blocks = [np.flatnonzero(codes == g) for g in range(codes.max() + 1)]
    return [bread @ X[b].T @ inverse_root(maker[np.ix_(b, b)]) @ maker[b] for b in blocks]


def test_hc3() -> None:
    X, y, _ = example()
    e, h = residual_maker(X) @ y, 1 - np.diag(residual_maker(X))
    bread = np.linalg.inv(X.T @ X)
    meat = X.T @ np.diag((e / (1 - h)) ** 2) @ X
    assert np.allclose(hc3(X, e, bread), bread @ meat @ bread, atol=ROUNDING)


@pytest.mark.parametrize("small", [True, False])
def test_cr1(small: bool) -> None:
    X, y, codes = example()
    e, bread, (n, p), groups = residual_maker(X) @ y, np.linalg.inv(X.T @ X), X.shape, codes.max() + 1
    scores = [X[codes == g].T @ e[codes == g] for g in range(groups)]
    factor = groups / (groups - 1) * ((n - 1) / (n - p) if small else 1)
    expected = bread @ sum(np.outer(s, s) for s in scores) @ bread * factor
    assert np.allclose(cr1(X, e, bread, codes, small=small), expected, atol=ROUNDING)


def test_cr1_of_single_rows_is_hc1() -> None:
    X, y, _ = example()
    e, bread, (n, p) = residual_maker(X) @ y, np.linalg.inv(X.T @ X), X.shape
    hc1 = bread @ (X.T * e**2) @ X @ bread * n / (n - p)
    assert np.allclose(cr1(X, e, bread, np.arange(n), small=True), hc1, atol=ROUNDING)


def test_cr2_of_single_rows_is_hc2() -> None:
    X, y, _ = example()
    e, h, bread = residual_maker(X) @ y, 1 - np.diag(residual_maker(X)), np.linalg.inv(X.T @ X)
    hc2 = bread @ (X.T * (e**2 / (1 - h))) @ X @ bread
    assert np.allclose(cr2(X, bread, np.arange(len(X))).covariance(e), hc2, atol=ROUNDING)


def dummy_of_one_cluster() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y, codes = example()
    X[:, 2] = codes == 4
    return X, y, codes


CASES = [example(1), example(2, (4, 4, 4, 4)), example(3, (25, 1, 1, 1)), dummy_of_one_cluster()]


@pytest.mark.parametrize("case", CASES, ids=["unequal", "equal", "lopsided", "singular"])
def test_cr2(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    X, y, codes = case
    e, bread = residual_maker(X) @ y, np.linalg.inv(X.T @ X)
    expected = sum(np.outer(part @ y, part @ y) for part in definition(X, codes))
    assert np.allclose(cr2(X, bread, codes).covariance(e), expected, atol=ROUNDING)


@pytest.mark.parametrize("case", CASES, ids=["unequal", "equal", "lopsided", "singular"])
def test_satterthwaite(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """df = 2 mean² / variance of the quadratic form y'Qy for independent normal y."""
    X, _, codes = case
    parts, bread = definition(X, codes), np.linalg.inv(X.T @ X)
    L = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, -2, 0.5]])
    found = cr2(X, bread, codes).satterthwaite(L)
    for row, df in zip(L, found, strict=True):
        Q = sum(np.outer(row @ part, row @ part) for part in parts)
        assert df == pytest.approx(np.trace(Q) ** 2 / np.trace(Q @ Q), rel=1e-9)


def test_cr2_is_unbiased_under_its_working_model() -> None:
    X, _, codes = example()
    expected = sum(part @ part.T for part in definition(X, codes))
    assert np.allclose(expected, np.linalg.inv(X.T @ X), atol=ROUNDING)


def test_hotelling_of_one_row_is_satterthwaite() -> None:
    X, _, codes = example()
    reduced = cr2(X, np.linalg.inv(X.T @ X), codes)
    for row in np.eye(3):
        assert reduced.hotelling(row[None, :]) == pytest.approx(reduced.satterthwaite(row[None, :])[0], rel=1e-10)


def test_hotelling_does_not_depend_on_how_the_restrictions_are_written() -> None:
    X, _, codes = example()
    reduced = cr2(X, np.linalg.inv(X.T @ X), codes)
    L = np.array([[0.0, 1, 0], [0, 0, 1]])
    turned = np.array([[2.0, 1], [-1, 3]]) @ L
    assert reduced.hotelling(turned) == pytest.approx(reduced.hotelling(L), rel=1e-9)


def test_order_of_rows_and_names_of_clusters_do_not_matter() -> None:
    X, y, codes = example()
    bread, e, rng = np.linalg.inv(X.T @ X), residual_maker(X) @ y, np.random.default_rng(5)
    rows, names = rng.permutation(len(y)), rng.permutation(codes.max() + 1)
    expected = cr2(X, bread, codes)
    found = cr2(X[rows], bread, names[codes][rows])
    assert np.allclose(found.covariance(e[rows]), expected.covariance(e), atol=ROUNDING)
    assert np.allclose(found.satterthwaite(np.eye(3)), expected.satterthwaite(np.eye(3)), rtol=1e-9)
