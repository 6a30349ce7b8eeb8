"""Least squares with the dependent columns found, named and left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

TOLERANCE = 1e-7  # relative length below which R's lm, too, calls a column dependent


@dataclass(frozen=True)
class LeastSquares:
    """Solution of min ‖y − Xβ‖² over the independent columns of X.

    ``kept`` holds the indices of these columns, ``bread`` is (X'X)⁻¹ on them; each row of ``null`` is a combination
    of all columns that is zero in the data, so that w'β is estimable only where null @ w = 0.
    """

    coefficients: np.ndarray
    bread: np.ndarray
    fitted: np.ndarray
    residuals: np.ndarray
    kept: np.ndarray
    null: np.ndarray


def least_squares(X: np.ndarray, y: np.ndarray) -> LeastSquares:
    """Fit by QR; of dependent columns the leftmost are kept, as in R.

    >>> fit = least_squares(np.array([[1.0, 0, 0], [1, 1, 2], [1, 2, 4]]), np.array([1.0, 2, 3]))
    >>> fit.kept.tolist(), fit.coefficients.round(3).tolist()
    ([0, 1], [1.0, 1.0])
    """
    kept = independent_columns(X)
    Q, R = np.linalg.qr(X[:, kept])
    coefficients = solve_triangular(R, Q.T @ y)
    inverse = solve_triangular(R, np.eye(len(kept)))
    fitted = X[:, kept] @ coefficients
    return LeastSquares(coefficients, inverse @ inverse.T, fitted, y - fitted, kept, null_rows(X, kept))


def independent_columns(X: np.ndarray) -> np.ndarray:
    """Indices of the columns that are not combinations of columns to their left."""
    length = np.linalg.norm(X, axis=0)
    kept = np.flatnonzero(length > 0)
    while len(kept):
        diagonal = np.abs(np.diag(np.linalg.qr(X[:, kept] / length[kept], mode="r")))
        short = np.flatnonzero(diagonal < TOLERANCE)
        beyond = np.arange(len(diagonal), len(kept))  # more columns than rows
        if not len(short) and not len(beyond):
            break
        kept = np.delete(kept, short[0] if len(short) else beyond)
    return kept


def null_rows(X: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Combinations of all columns that are zero in the data, one row a column that was left out."""
    dropped = np.setdiff1d(np.arange(X.shape[1]), kept)
    rows = np.zeros((len(dropped), X.shape[1]))
    rows[np.arange(len(dropped)), dropped] = 1.0
    if len(dropped):
        Q, R = np.linalg.qr(X[:, kept])
        rows[:, kept] = -solve_triangular(R, Q.T @ X[:, dropped]).T
    return rows
