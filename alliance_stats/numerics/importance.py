"""Shares of R² of groups of predictors (LMG) from cross-products, many resamples at once.

The share of a group is the gain in R² when it enters, averaged over all orders of entry (Lindeman, Merenda & Gold 1980;
Grömping 2006, doi 10.18637/jss.v017.i01): the Shapley value of R². Each subset of groups costs one step from the subset
before it, and each step is taken for all resamples together, so the work is 2^groups and not groups!.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np

from alliance_stats.numerics.least_squares import TOLERANCE, independent_columns

DEPENDENT = 1e-10  # share of a column's squares left by the others, below which it adds nothing to them
CELLS = 2_000_000  # numbers in the largest array of a batch


def orthonormal(X: np.ndarray, *, centre: bool) -> np.ndarray:
    """A well-conditioned basis of the columns of X, shape (n, rank); with ``centre`` of their deviations from the mean.

    >>> orthonormal(np.array([[1.0, 5], [3, 5]]), centre=True).shape
    (2, 1)
    """
    length = np.linalg.norm(X, axis=0)
    deviations = X - X.mean(axis=0) if centre else X
    varying = deviations[:, np.linalg.norm(deviations, axis=0) > TOLERANCE * length]
    return np.asarray(np.linalg.qr(varying[:, independent_columns(varying)])[0])


def lmg(products: np.ndarray, fixed: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """Shares of R² of the groups, shape (groups, draws).

    Parameters
    ----------
    products : cross-products Z'Z of each draw, shape (q, q, draws), the outcome in the last column of Z. First come
        ``fixed[0]`` columns that define the total (the intercept), then ``fixed[1]`` that enter before every group.
    sizes : columns of each group, in the order of Z.

    A draw in which the outcome does not vary has nothing to share: its shares are 0.

    >>> Z = np.array([[1.0, 0, 1, 1], [1, 1, 0, 2], [1, 1, 1, 4], [1, 0, 0, 1]])
    >>> lmg((Z.T @ Z)[:, :, None], (1, 0), (1, 1)).ravel().round(3).tolist()
    [0.667, 0.167]
    """
    scale = np.einsum("iib->ib", products)
    C, scale = _sweep(products, scale, fixed[0])
    total = C[-1, -1]
    C, scale = _sweep(C, scale, fixed[1])
    unexplained = np.empty((2 ** len(sizes), products.shape[2]))
    _fill(unexplained, C, scale, sizes, 0, 0)
    varies = total > DEPENDENT * products[-1, -1]
    r2 = np.divide(-unexplained, total, out=np.zeros_like(unexplained), where=varies)
    return np.asarray(shapley_weights(len(sizes)) @ r2)


def shapley_weights(groups: int) -> np.ndarray:
    """Weights of the subsets in the Shapley value of each group, shape (groups, 2^groups); bit j of a subset is group j.

    >>> shapley_weights(2).tolist()
    [[-0.5, 0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]]
    """
    subsets = np.arange(2**groups)
    member = (subsets >> np.arange(groups)[:, None]) & 1
    size = member.sum(axis=0)
    others = np.where(member == 1, size - 1, size)
    orders = np.array([1 / (groups * comb(groups - 1, m)) for m in range(groups)])
    sign = np.where(member == 1, 1.0, -1.0)
    return np.asarray(sign * orders[np.minimum(others, groups - 1)])


def bootstrap_products(
    Z: np.ndarray, codes: np.ndarray | None, draws: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Cross-products of resampled rows, or of resampled clusters, in batches of shape (q, q, batch)."""
    q = Z.shape[1]
    squares = (Z[:, :, None] * Z[:, None, :]).reshape(len(Z), -1)
    if codes is not None:
        units = np.zeros((codes.max() + 1, q * q))
        np.add.at(units, codes, squares)
        squares = units
    n = len(squares)
    for size in batches(draws, n):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=size)
        yield np.ascontiguousarray((counts @ squares).T).reshape(q, q, size)


def permuted_products(
    Z: np.ndarray, columns: slice, codes: np.ndarray | None, draws: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Cross-products after the rows of some columns were shuffled together, in batches of shape (q, q, batch).

    With ``codes`` the columns are constant within clusters and the clusters are shuffled.
    """
    n, X = len(Z), Z[:, columns]
    first = np.arange(n) if codes is None else np.unique(codes, return_index=True)[1]
    units = X[first]
    products = Z.T @ Z
    for size in batches(draws, n * max(1, X.shape[1])):
        order = rng.permuted(np.tile(np.arange(len(units)), (size, 1)), axis=1)
        shuffled = units[order] if codes is None else units[order[:, codes]]
        batch = np.repeat(products[:, :, None], size, axis=2)
        batch[columns] = np.einsum("bnd,nq->dqb", shuffled, Z, optimize=True)
        batch[:, columns] = batch[columns].transpose(1, 0, 2)
        batch[columns, columns] = np.einsum("bnd,bne->deb", shuffled, shuffled, optimize=True)
        yield batch


def batches(draws: int, cells: int) -> Iterator[int]:
    """Sizes of batches that add up to the draws, so that a batch of ``cells`` numbers a draw stays small.

    >>> list(batches(5, 1_000_000))
    [2, 2, 1]
    """
    size = min(max(1, CELLS // cells), 1000)
    yield from (min(size, draws - start) for start in range(0, draws, size))


def _fill(
    unexplained: np.ndarray, C: np.ndarray, scale: np.ndarray, sizes: Sequence[int], group: int, subset: int
) -> None:
    """Unexplained squares of every subset: at each group one branch leaves it out, one partials it out."""
    if group == len(sizes):
        unexplained[subset] = C[-1, -1]
        return
    d = sizes[group]
    _fill(unexplained, C[d:, d:], scale[d:], sizes, group + 1, subset)
    _fill(unexplained, *_sweep(C, scale, d), sizes, group + 1, subset | 1 << group)


def _sweep(C: np.ndarray, scale: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """What is left of the cross-products after the first columns are partialled out of the others."""
    for _ in range(columns):
        pivot = C[0, 0]
        independent = pivot > DEPENDENT * scale[0]
        slopes = np.divide(C[0, 1:], pivot, out=np.zeros_like(C[0, 1:]), where=independent)
        C, scale = C[1:, 1:] - C[1:, :1] * slopes[None], scale[1:]
    return C, scale
