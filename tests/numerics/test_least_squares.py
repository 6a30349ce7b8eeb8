"""Least squares: the solution, and the dependent columns that are found, named and left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_stats.numerics.least_squares import independent_columns, least_squares

ROUNDING = 1e-10  # well-conditioned designs of a few columns


def design(rng: np.random.Generator, n: int = 30, p: int = 4) -> np.ndarray:
    return np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])


@given(st.integers(0, 10_000))
def test_normal_equations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = design(rng), rng.normal(size=30)
    fit = least_squares(X, y)
    assert np.allclose(X.T @ fit.residuals, 0, atol=ROUNDING)
    assert np.allclose(fit.fitted + fit.residuals, y)
    assert np.allclose(fit.bread @ X.T @ X, np.eye(4), atol=ROUNDING)
    assert fit.kept.tolist() == [0, 1, 2, 3]
    assert fit.null.shape == (0, 4)


@given(st.integers(0, 10_000), st.permutations(range(6)))
def test_dependent_columns(seed: int, order: list[int]) -> None:
    """Whatever the order: rank many columns are kept, the rest are combinations of kept columns to their left."""
    rng = np.random.default_rng(seed)
    X = design(rng)
    X = np.column_stack([X, X[:, 1] - 2 * X[:, 2], np.zeros(30)])[:, order]
    y = rng.normal(size=30)
    fit = least_squares(X, y)
    assert len(fit.kept) == np.linalg.matrix_rank(X) == 4
    assert np.allclose(X @ fit.null.T, 0, atol=ROUNDING)
    assert np.linalg.matrix_rank(fit.null) == 2
    full = np.linalg.lstsq(X, y, rcond=None)[0]
    assert np.allclose(X @ full, fit.fitted, atol=ROUNDING)
    for dropped in set(range(6)) - set(fit.kept):
        left = X[:, :dropped]
        assert np.linalg.matrix_rank(np.column_stack([left, X[:, dropped]])) == (
            np.linalg.matrix_rank(left) if dropped else 0
        )


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e150])
def test_units_do_not_decide_what_is_dependent(scale: float) -> None:
    X = design(np.random.default_rng(1)) * [1.0, scale, 1.0, 1 / scale]
    assert independent_columns(X).tolist() == [0, 1, 2, 3]


def test_more_columns_than_rows() -> None:
    X = np.random.default_rng(1).normal(size=(3, 5))
    assert independent_columns(X).tolist() == [0, 1, 2]


def test_nothing_to_estimate() -> None:
    fit = least_squares(np.zeros((4, 2)), np.arange(4.0))
    assert fit.kept.tolist() == []
    assert fit.residuals.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert np.array_equal(fit.null, np.eye(2))
