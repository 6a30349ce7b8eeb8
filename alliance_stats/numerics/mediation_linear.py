"""Linear regressions of many resamples at a time, and the small systems that every kind of regression solves.

Resamples are rows of counts. Designs are orthonormal (X = QR), so that the normal equations of a resample stay near the
identity and lose no digits; a resample whose design has lost rank is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alliance_stats.numerics.mediation_resample import BLOCK, summed

LOST = 1e-9  # eigenvalue of Q'WQ below which a resample has lost rank


def linear_resamples(
    designs: Sequence[np.ndarray], responses: Sequence[np.ndarray], counts: np.ndarray, *, likelihood: bool
) -> list[np.ndarray]:
    """Coefficients and log residual variance of each regression, shape (resamples, terms + 1).

    All regressions come from one matrix of cross-products, that of an orthonormal basis of their columns together, as
    equations share most of them. The residuals of the whole sample are regressed, not y: the small sums that remain lose
    nothing.
    """
    basis = _basis(np.column_stack([*designs, *responses]))
    i, j = np.triu_indices(basis.shape[1])
    sums = summed(counts, np.column_stack([basis[:, i] * basis[:, j], np.ones(len(basis))]))
    return [
        _regression(X, y, basis, sums[:, :-1], sums[:, -1] - (0 if likelihood else X.shape[1]))
        for X, y in zip(designs, responses, strict=True)
    ]


def _regression(X: np.ndarray, y: np.ndarray, basis: np.ndarray, sums: np.ndarray, free: np.ndarray) -> np.ndarray:
    Q, R = np.linalg.qr(X)
    gamma, p = Q.T @ y, X.shape[1]
    turn = _turned(basis.T @ np.column_stack([Q, y - Q @ gamma]))
    pieces = [turn @ sums[first : first + _many(p)].T for first in range(0, len(sums), _many(p))]
    moved, left = zip(*(_moved(piece.reshape(p + 1, p + 1, -1)) for piece in pieces), strict=True)
    beta = (gamma + np.concatenate(moved)) @ np.linalg.inv(R).T
    return np.column_stack([beta, np.log(np.maximum(np.concatenate(left), np.finfo(float).tiny) / free)])


def _moved(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regression of the last column on the others from their cross-products (columns, columns, resamples)."""
    pull = A[:-1, -1].T
    moved = solved(np.moveaxis(A[:-1, :-1], -1, 0), pull)
    return moved, A[-1, -1] - np.sum(moved * pull, axis=1)


def _basis(columns: np.ndarray) -> np.ndarray:
    U, size, _ = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), full_matrices=False)
    return np.asarray(U[:, size > np.finfo(float).eps * len(columns) * size[0]])


def _turned(T: np.ndarray) -> np.ndarray:
    """The matrix that takes the upper triangle of G, as a column, to all elements of T'GT."""
    (i, j), (a, b) = np.triu_indices(len(T)), np.indices((T.shape[1], T.shape[1])).reshape(2, -1)
    return np.asarray((T[i][:, a] * T[j][:, b] + (i != j)[:, None] * T[j][:, a] * T[i][:, b]).T)


def _many(p: int) -> int:
    """Systems of p unknowns worked on at once."""
    return BLOCK // (p + 1) ** 2 + 1


def symmetric(upper: np.ndarray, p: int) -> np.ndarray:
    """Matrices (resamples, p, p) from their upper triangles (resamples, elements)."""
    place = np.empty((p, p), dtype=int)
    i, j = np.triu_indices(p)
    place[i, j] = place[j, i] = np.arange(len(i))
    return np.moveaxis(upper.T[place], -1, 0)


def solved(G: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Solutions of G x = pull, shape (resamples, p), missing where G has lost rank."""
    with np.errstate(all="ignore"):
        found, sure = _eliminated(G, pull)
    if not sure.all():
        mended, ok = _mended(G[~sure])
        exact = np.linalg.solve(mended, pull[~sure][..., None])[..., 0]
        found[~sure] = np.where(ok[:, None], exact, np.nan)
    return found


def _eliminated(G: np.ndarray, pull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian elimination of all resamples side by side, and where its pivots alone prove full rank.

    Many small systems one by one cost more in calls than in arithmetic. Proof: p − 1 eigenvalues of a positive matrix
    multiply to at most (tr/(p − 1))^(p − 1) and none exceeds the trace, so the determinant bounds the smallest from below.
    """
    p = G.shape[1]
    A = np.concatenate([np.moveaxis(G, 0, -1), pull.T[:, None]], axis=1)
    for k in range(p):
        A[k, k + 1 :] /= A[k, k]
        A[k + 1 :, k + 1 :] -= A[k + 1 :, k, None] * A[k, None, k + 1 :]
    for k in reversed(range(p)):
        A[k, p] -= np.sum(A[k, k + 1 : p] * A[k + 1 :, p], axis=0)
    trace = np.log(np.trace(G, axis1=1, axis2=2))
    smallest = np.log(np.diagonal(A)).sum(axis=1) - (p - 1) * (trace - np.log(max(p - 1, 1)))
    return A[:, p].T.copy(), np.asarray(smallest > np.log(LOST) + trace)


def _mended(G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices without full rank are replaced by the identity and marked."""
    G = np.where(np.isfinite(G).all(axis=(1, 2), keepdims=True), G, 0.0)
    values = np.linalg.eigvalsh(G)
    ok = values[:, 0] > LOST * np.maximum(values[:, -1], np.finfo(float).tiny)
    return np.where(ok[:, None, None], G, np.eye(G.shape[1])), ok
