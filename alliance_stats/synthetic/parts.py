"""Parts that the generators share: allocation, caseloads, items lost, integers on a scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit

from alliance_stats.errors import AllianceError


def allocated(n: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    """Equal random allocation: codes 0 … levels − 1 for n patients, the first levels taking the remainder."""
    return rng.permutation(np.arange(n) % levels)


def caseloads(n: int, therapists: int, rng: np.random.Generator) -> np.ndarray:
    """Therapist codes of n patients, in random order; the busiest therapist has three times the patients of the least.

    >>> np.bincount(caseloads(60, 4, np.random.default_rng(1))).tolist()
    [22, 18, 13, 7]
    """
    weights = np.linspace(3.0, 1.0, therapists)
    ends = np.round(n * np.cumsum(weights) / weights.sum()).astype(int)
    return rng.permutation(np.searchsorted(ends, np.arange(n), side="right"))


def correlated(n: int, columns: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Standard normal columns with one correlation, shape (n, columns)."""
    shared, own = rng.standard_normal((n, 1)), rng.standard_normal((n, columns))
    return np.asarray(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)


def prorated(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the answered items times their number, shape (n,), and the share that is missing.

    Somebody without any answer gets the missing value.
    """
    answered = ~np.isnan(answers)
    count = answered.sum(axis=1)
    total = np.where(answered, answers, 0.0).sum(axis=1)
    share = 1 - count / answers.shape[1]
    return np.where(count > 0, total * answers.shape[1] / np.maximum(count, 1), np.nan), share


def on_scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Whole numbers within the scale."""
    return np.asarray(np.clip(np.round(values), low, high)) + 0.0  # no negative zeros


def heaped(values: np.ndarray, heaps: Sequence[float], share: float, rng: np.random.Generator) -> np.ndarray:
    """Answers one beside a heap move onto it with the probability ``share``."""
    moves = rng.random(len(values)) < share
    for heap in heaps:
        values = np.where(moves & (np.abs(values - heap) == 1), heap, values)
    return values


def missing_at_end(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Who misses the last visit, True with probability expit(logits)."""
    return np.asarray(rng.random(len(logits)) < expit(logits))


def require_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """AllianceError for an option outside its list."""
    if value not in choices:
        raise AllianceError(f"{name} is {value!r}; use one of {', '.join(map(repr, choices))}")


def require_share(name: str, value: float, most: float = 1.0) -> None:
    """AllianceError for a number outside [0, most)."""
    if not 0 <= value < most:
        raise AllianceError(f"{name} is {value}; use a number from 0 to below {most:g}")


def expected_share(logits: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean of expit(logits(z)) over z ~ N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    return float(weights @ expit(logits(nodes)) / weights.sum())
