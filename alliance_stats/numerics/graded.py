"""Graded responses: integer item answers from a latent trait, and the exact distribution of their sum."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr

NODES = 201  # Gauss–Hermite nodes: for twelve five-point items the mean is then exact to 1e-12, the shares to 1e-8


def graded_items(
    latent: np.ndarray, thresholds: np.ndarray, loading: float, rng: np.random.Generator, items: int
) -> np.ndarray:
    """Answers 1 … k to parallel items, shape (n, items), in the normal-ogive graded response model.

    An item is answered from loading·latent + √(1 − loading²)·e, e ~ N(0, 1): its option is one more than the number of
    the k − 1 increasing thresholds that this exceeds. A shift of the answers is ``thresholds - shift`` for all, or
    ``latent + shift / loading`` for some.

    Source: Samejima 1969, doi 10.1007/BF03372160.

    >>> graded_items(np.array([-9.0, 0.0, 9.0]), np.array([-1.0, 1.0]), 0.99, np.random.default_rng(1), 2).tolist()
    [[1, 1], [2, 2], [3, 3]]
    """
    noise = rng.standard_normal((len(latent), items))
    underlying = loading * np.asarray(latent, dtype=float)[:, None] + np.sqrt(1 - loading**2) * noise
    return np.asarray(1 + np.searchsorted(np.asarray(thresholds, dtype=float), underlying))


def total_distribution(thresholds: np.ndarray, loading: float, items: int) -> np.ndarray:
    """Probabilities of the totals items, items + 1, …, items·k when the latent trait is N(0, 1).

    Given the trait the items are independent, so that the total has the generating function of one item to the power
    of their number; it is averaged over the trait and inverted by the discrete Fourier transform.

    >>> total_distribution(np.array([0.0]), 0.0, 2).round(3).tolist()
    [0.25, 0.5, 0.25]
    """
    options = _option_probabilities(thresholds, loading)
    size = items * (options.shape[1] - 1) + 1
    generating = np.fft.fft(options, n=size, axis=1) ** items
    weights = _quadrature()[1]
    return np.clip(np.fft.ifft(weights @ generating).real, 0.0, 1.0)


def share_at_maximum(thresholds: np.ndarray, loading: float, items: int) -> float:
    """Probability that every item gets its highest option.

    >>> round(share_at_maximum(np.array([0.0]), 0.0, 2), 3)
    0.25
    """
    weights = _quadrature()[1]
    return float(weights @ _option_probabilities(thresholds, loading)[:, -1] ** items)


def shift_for_maximum(share: float, thresholds: np.ndarray, loading: float, items: int) -> float:
    """The shift s at which the share of totals at the maximum under ``thresholds - s`` is the one wanted.

    >>> thresholds = np.array([-2.0, -1.2, -0.3, 0.7])
    >>> round(shift_for_maximum(0.25, thresholds, np.sqrt(0.8), 12), 2)
    0.8
    """
    from scipy.optimize import brentq

    thresholds = np.asarray(thresholds, dtype=float)
    found = brentq(lambda s: share_at_maximum(thresholds - s, loading, items) - share, -10.0, 10.0, xtol=1e-12)
    return float(found)


def _option_probabilities(thresholds: np.ndarray, loading: float) -> np.ndarray:
    """P(option | latent) at the quadrature nodes, shape (NODES, k)."""
    nodes = _quadrature()[0]
    above = ndtr((loading * nodes[:, None] - np.asarray(thresholds, dtype=float)) / np.sqrt(1 - loading**2))
    edges = np.hstack([np.ones((NODES, 1)), above, np.zeros((NODES, 1))])
    return np.asarray(edges[:, :-1] - edges[:, 1:])


@lru_cache(maxsize=1)
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the standard normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()
