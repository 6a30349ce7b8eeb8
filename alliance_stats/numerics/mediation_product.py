"""Distribution of the product of two jointly normal estimates, and the interval that it gives an indirect effect.

P(UV ≤ q) = ∫ P(V ≤ q/u | u) dP(u) for u > 0, and the other tail for u < 0 (Meeker & Escobar 1994; Tofighi & MacKinnon 2011,
doi 10.3758/s13428-011-0076-x). The integrand turns sharply near u = 0, so the panels shrink towards it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import special

REACH = 10.0  # standard deviations of the first factor


def product_cdf(q: float, mean: np.ndarray, covariance: np.ndarray) -> float:
    """P(UV ≤ q) for (U, V) normal with that mean (2,) and covariance (2, 2).

    >>> round(product_cdf(0.1, np.array([0.2, 0.4]), np.eye(2)), 4)
    0.5772
    """
    sd = float(np.sqrt(covariance[0, 0]))
    slope = covariance[0, 1] / covariance[0, 0]
    rest = float(np.sqrt(covariance[1, 1] - slope * covariance[0, 1]))
    u, weight = _nodes(float(mean[0]), sd)
    z = (q / u - mean[1] - slope * (u - mean[0])) / rest
    inside = special.ndtr(np.where(u > 0, z, -z))
    density = np.exp(-0.5 * ((u - mean[0]) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    return float(np.sum(weight * density * inside))


def product_interval(mean: np.ndarray, covariance: np.ndarray, level: float) -> tuple[float, float]:
    """Quantiles of the product that leave (1 − level)/2 on either side."""
    from scipy.optimize import brentq

    centre, sd = product_moments(mean, covariance)
    ends = []
    for probability in ((1 - level) / 2, (1 + level) / 2):
        width = 4 * sd
        while product_cdf(centre - width, mean, covariance) > probability:
            width *= 2
        low, width = centre - width, 4 * sd
        while product_cdf(centre + width, mean, covariance) < probability:
            width *= 2
        gap = lambda q, p=probability: product_cdf(q, mean, covariance) - p  # noqa: E731
        ends.append(float(brentq(gap, low, centre + width, xtol=1e-13 * sd, rtol=1e-14)))
    return ends[0], ends[1]


def product_moments(mean: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the product."""
    (u, v), (a, c), b = mean, covariance[0], covariance[1, 1]
    return float(u * v + c), float(np.sqrt(u**2 * b + v**2 * a + 2 * u * v * c + a * b + c**2))


def product_p_value(mean: np.ndarray, covariance: np.ndarray) -> float:
    """Twice the smaller tail beyond zero."""
    below = product_cdf(0.0, mean, covariance)
    return float(min(1.0, 2 * min(below, 1 - below)))


def _nodes(mean: float, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes on panels that shrink towards zero and cover ten standard deviations about the mean."""
    x, w = np.polynomial.legendre.leggauss(12)
    far = max(abs(mean - REACH * sd), abs(mean + REACH * sd))
    near = np.concatenate([[0.0], np.geomspace(1e-9 * far, 2 * sd, 64)])
    edges = np.concatenate([near, np.arange(2 * sd, far, 0.25 * sd)[1:], [far]])
    panels = [(-b, -a) for a, b in pairwise(edges)]
    panels += [(a, b) for a, b in pairwise(edges)]
    low, high = np.array([p for p in panels if p[1] > mean - REACH * sd and p[0] < mean + REACH * sd]).T
    half, middle = (high - low) / 2, (high + low) / 2
    return (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()
