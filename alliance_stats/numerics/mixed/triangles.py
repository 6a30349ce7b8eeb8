"""θ as the lower triangles of block-diagonal factors: ΛΛ' = Ψ seen from θ, at and near the boundary where Ψ is singular."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

ZERO = 1e-9  # a singular value of Λ below this is zero
TINY = 1e-3  # a pivot below this may as well be zero
FALL = 0.1  # part of a variance that a step leaves at least: one that falls to zero at once has to be found again


@dataclass(frozen=True)
class Triangles:
    """Where the lower triangles lie in θ; all of θ is in units of its scale."""

    blocks: tuple[slice, ...]

    def factors(self, theta: np.ndarray) -> list[np.ndarray]:
        """The lower triangular matrices."""
        return [unpacked(theta[block]) for block in self.blocks]

    def corners(self, theta: np.ndarray) -> np.ndarray:
        """Where the diagonals lie."""
        places = np.arange(len(theta))
        return np.concatenate([np.diag(L) for L in self.factors(places)]).astype(int)

    def moving(self, theta: np.ndarray) -> np.ndarray:
        """The elements in columns that are not zero: the others have a gradient of exactly zero."""
        used = [packed(np.broadcast_to(L.any(axis=0), L.shape)) for L in self.factors(theta)]
        return np.flatnonzero(np.concatenate(used))

    def regular(self, theta: np.ndarray) -> list[slice]:
        """The blocks that are well described by Ψ: no zero pivots, or none that is small beside columns of zeros."""
        found = []
        for block, L in zip(self.blocks, self.factors(theta), strict=True):
            pivots = np.abs(np.diag(L))[L.any(axis=0)]
            if len(pivots) and pivots.min() > (1e-6 if len(pivots) == len(L) else 10 * TINY):
                found.append(block)
        return found

    def smallest(self, theta: np.ndarray) -> float:
        """The smallest standard deviation, in any direction of the random effects, that is not zero."""
        values = np.concatenate([np.linalg.svd(L, compute_uv=False) for L in self.factors(theta)])
        return float(values[values > ZERO].min(initial=np.inf))

    def truncated(self, theta: np.ndarray) -> np.ndarray:
        """θ with that standard deviation set to zero."""
        limit = self.smallest(theta) * (1 + 1e-9)
        return self._changed(theta, lambda L: _without_direction(L, limit))

    def canonical(self, theta: np.ndarray, least: float = TINY) -> np.ndarray:
        """θ without the random effects that hardly vary given those before them."""
        return self._changed(theta, lambda L: semidefinite_root(L @ L.T, least, drop=True))

    def other_view(self, theta: np.ndarray, least: float) -> np.ndarray:
        """θ without small pivots beside columns of zeros, where a direction that lowers the criterion may be hidden."""
        return self._changed(
            theta, lambda L: L if L.any(axis=0).all() else semidefinite_root(L @ L.T, least, drop=True)
        )

    def positive(self, theta: np.ndarray) -> np.ndarray:
        """The signs, one for every element, that make the diagonals positive."""
        signs = [packed(np.broadcast_to(np.where(np.diag(L) < 0, -1.0, 1.0), L.shape)) for L in self.factors(theta)]
        return np.concatenate(signs)

    def _changed(self, theta: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return np.concatenate([packed(change(L)) for L in self.factors(theta)])


def triangles(diagonal: np.ndarray) -> Triangles:
    """The triangles from the places of their diagonals: a row of a triangle is one longer than the last.

    >>> triangles(np.array([True, False, True, True])).blocks
    (slice(0, 3, None), slice(3, 4, None))
    """
    begins, run = [], 0
    for place, on in enumerate(diagonal):
        if on and run == 0:
            begins.append(place)
        run = 0 if on else run + 1
    return Triangles(tuple(slice(a, b) for a, b in zip(begins, [*begins[1:], len(diagonal)], strict=True)))


def unpacked(part: np.ndarray) -> np.ndarray:
    """The lower triangular matrix of a block of θ."""
    q = int(np.sqrt(2 * len(part)))
    L = np.zeros((q, q))
    L[np.tril_indices(q)] = part
    return L


def packed(L: np.ndarray) -> np.ndarray:
    """The lower triangle, row after row."""
    return L[np.tril_indices(len(L))]


def semidefinite_root(psi: np.ndarray, least: float, *, drop: bool = False) -> np.ndarray:
    """The lower triangular root with a column of zeros for every pivot below ``least``², and with ``drop`` a row as well.

    >>> semidefinite_root(np.array([[0.0, 0.0], [0.0, 4.0]]), 1e-3).tolist()
    [[0.0, 0.0], [0.0, 2.0]]
    """
    rest, L = psi.copy(), np.zeros_like(psi)
    for j in range(len(psi)):
        if rest[j, j] > least**2:
            L[j:, j] = rest[j:, j] / np.sqrt(rest[j, j])
            rest -= np.outer(L[:, j], L[:, j])
        elif drop:
            rest[j], rest[:, j] = 0.0, 0.0
    return L


def _without_direction(L: np.ndarray, limit: float) -> np.ndarray:
    U, s, _ = np.linalg.svd(L)
    if s.min() > limit or s.max() <= ZERO:
        return L
    return semidefinite_root((U * np.where(s <= limit, 0.0, s) ** 2) @ U.T, 1e-7)


def covariance_slope(L: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """S with ∂f = ⟨S, ∂Ψ⟩ from the lower triangle of 2SΛ.

    Where Λ has columns of zeros, Ψ is known from its rows and columns with a pivot; S is zero in the others.
    """
    used, S = np.flatnonzero(np.diag(L)), np.zeros_like(L)
    for k, own in _dependent(L):
        S[k, own] = S[own, k] = slope[k, own] / 2 @ np.linalg.inv(L[np.ix_(own, own)])
    rest = L.copy()
    rest[used] = 0.0
    at = np.ix_(used, used)
    half = np.linalg.inv(L[at])
    W = np.tril(L[at].T @ np.tril((slope - 2 * S @ rest)[at])) / 2
    S[at] = half.T @ (W + np.tril(W, -1).T) @ half
    return S


def _dependent(L: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The rows without a pivot, and the pivots above each."""
    used = np.flatnonzero(np.diag(L))
    for k in np.setdiff1d(np.arange(len(L)), used):
        yield int(k), used[used < k]


def column_curvature(S: np.ndarray) -> np.ndarray:
    """The part of the Hessian in Λ that comes from Ψ = ΛΛ' alone: 2S for elements in one column."""
    rows, columns = np.tril_indices(len(S))
    return np.asarray(2 * S[np.ix_(rows, rows)] * (columns[:, None] == columns))


def moved(L: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The factor of ΛΛ' + ∂ΛΛ' + Λ∂Λ', in which no variance is allowed to fall below ``FALL`` of what it was."""
    psi, used, found = L @ L.T + change @ L.T + L @ change.T, np.flatnonzero(np.diag(L)), np.zeros_like(L)
    own = L[np.ix_(used, used)]
    relative = np.linalg.solve(own, np.linalg.solve(own, psi[np.ix_(used, used)]).T)
    value, vector = np.linalg.eigh((relative + relative.T) / 2)
    root = own @ vector * np.sqrt(np.maximum(value, FALL))
    found[np.ix_(used, used)] = semidefinite_root(root @ root.T, 1e-7)
    for k, own in _dependent(L):
        found[k, own] = np.linalg.lstsq(found[np.ix_(own, own)], psi[own, k])[0]
    return found
