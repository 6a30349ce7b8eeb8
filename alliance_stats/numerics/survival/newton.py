"""Newton's method on a partial likelihood, which tells an optimum from a likelihood that rises for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

STEPS, HALVINGS = 100, 30
STOP = 1e-10  # largest step, in standard deviations of the predictors, at which the search ends
ROUNDING = 1e-12  # of a log-likelihood beside its size
FLAT = 1e-7  # information beside that at β = 0 below which the likelihood is monotone
TINY = 1e-14  # of the information, below which it is rounding
FAR = (1.0, 2.0, 4.0)  # steps by which a flat direction is followed
SMALL = 1e-3  # a step, or twice a gain in likelihood, that is no rounding
RISING = 1e-8  # fall of the likelihood beside its size that is rounding of the direction
DEPENDENT = 1e-9  # information of a standardised column, an event, below which it says nothing of its own


class Point(Protocol):
    """A likelihood at one β."""

    @property
    def log_likelihood(self) -> float: ...
    @property
    def score(self) -> np.ndarray: ...
    @property
    def information(self) -> np.ndarray: ...


At = TypeVar("At", bound=Point)


class MonotoneError(ValueError):
    """The likelihood rises for ever along ``direction``, a combination of standardised columns."""

    def __init__(self, direction: np.ndarray) -> None:
        super().__init__("the partial likelihood has no maximum")
        self.direction = direction


def newton(evaluate: Callable[[np.ndarray], At], kept: np.ndarray, columns: int) -> tuple[np.ndarray, At]:
    """Maximum from β = 0 over the independent standardised columns ``kept``; MonotoneError, over all, where there is none."""
    try:
        return _newton(evaluate, len(kept))
    except MonotoneError as problem:
        full = np.zeros(columns)
        full[kept] = problem.direction
        raise MonotoneError(full) from problem


def _newton(evaluate: Callable[[np.ndarray], At], p: int) -> tuple[np.ndarray, At]:
    beta: np.ndarray = np.zeros(p)
    at = evaluate(beta)
    root = np.linalg.inv(np.linalg.cholesky(at.information))
    for _ in range(STEPS):
        value, vector = np.linalg.eigh(root @ at.information @ root.T)
        step = root.T @ (vector / np.maximum(value, TINY)) @ vector.T @ root @ at.score
        if value[0] < FLAT and np.abs(step).max() > SMALL and _rises(evaluate, beta, at, step):
            raise MonotoneError(step)
        gain = float(at.score @ step)
        at, taken = climbed(evaluate, beta, at, step)
        if not taken.any() and gain > SMALL:
            raise MonotoneError(step)  # hazards so far apart that they leave double precision
        beta = beta + taken
        if np.abs(taken).max() < STOP:
            return beta, at
    raise MonotoneError(step)


def _rises(evaluate: Callable[[np.ndarray], At], beta: np.ndarray, at: At, step: np.ndarray) -> bool:
    """Whether the likelihood is as high, or higher, far out along a step for which no information is left.

    Along a direction of separation the information falls as e^(−t) while Newton's step stays near 1; a step that went too far
    has gone flat as well, but beyond it the likelihood falls.
    """
    floor = at.log_likelihood - RISING * (1 + abs(at.log_likelihood))
    return all(evaluate(beta + t * step).log_likelihood >= floor for t in FAR)


def climbed(evaluate: Callable[[np.ndarray], At], beta: np.ndarray, at: At, step: np.ndarray) -> tuple[At, np.ndarray]:
    """The step, halved until the likelihood does not fall."""
    floor = at.log_likelihood - ROUNDING * (1 + abs(at.log_likelihood))
    for _ in range(HALVINGS):
        new = evaluate(beta + step)
        if new.log_likelihood >= floor:
            return new, step
        step = step / 2
    return at, np.zeros_like(step)


def estimable(information: np.ndarray, events: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns with information of their own, leftmost first, and the combinations of columns without any, a row each."""
    kept: list[int] = []
    null = []
    for j in range(len(information)):
        weights = np.linalg.solve(information[np.ix_(kept, kept)], information[kept, j]) if kept else np.zeros(0)
        if information[j, j] - information[j, kept] @ weights > DEPENDENT * events:
            kept.append(j)
            continue
        row = np.zeros(len(information))
        row[j], row[kept] = 1.0, -weights
        null.append(row)
    return np.array(kept, dtype=int), np.array(null).reshape(len(null), len(information))


def standardised(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns with mean 0 and standard deviation 1, their means, and their standard deviations (1 for a constant)."""
    centre, scale = X.mean(axis=0), X.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return (X - centre) / scale, centre, scale


def inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a positive definite matrix, exactly symmetric."""
    if not len(matrix):
        return matrix
    root = np.linalg.inv(np.linalg.cholesky(matrix))
    return np.asarray(root.T @ root)
