"""What the engine asks of a family: the log-likelihood of every row in η, and its derivatives.

``curvature`` is −∂²log f/∂η². The determinant of the Laplace approximation takes ``weight``: the curvature itself or, as lme4
does for binomial outcomes with links other than the logit, its expectation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

NONE = np.zeros(0)


@dataclass(frozen=True)
class Inner:
    """Of every row: log f, its derivative in η (the score) and its curvature."""

    log_f: np.ndarray
    score: np.ndarray
    curvature: np.ndarray


@dataclass(frozen=True)
class Outer:
    """Of every row: the weight in the determinant, its derivative in η, and derivatives in the dispersion parameter ψ.

    Those are empty for families without one.
    """

    weight: np.ndarray
    weight_slope: np.ndarray
    log_f_psi: np.ndarray = field(default_factory=lambda: NONE)
    score_psi: np.ndarray = field(default_factory=lambda: NONE)
    weight_psi: np.ndarray = field(default_factory=lambda: NONE)


class Likelihood(Protocol):
    """A family with its data; arrays η may have leading axes before that of the rows. ψ is on the log scale."""

    @property
    def dispersed(self) -> bool:
        """Whether there is a ψ."""

    @property
    def constant(self) -> float:
        """What the log-likelihood has in it that depends on neither η nor ψ."""

    def inner(self, eta: np.ndarray, psi: float) -> Inner: ...
    def outer(self, eta: np.ndarray, psi: float, inner: Inner) -> Outer: ...
    def log_f_psi(self, eta: np.ndarray, psi: float) -> np.ndarray: ...
    def rows(self, order: np.ndarray) -> Likelihood: ...
