"""Links between the linear predictor η and the mean μ, with the derivatives of μ in η."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from scipy import special

Link = Literal["logit", "probit", "cloglog", "log"]
LARGEST = 30.0  # |η| beyond which a probability is 0 or 1 in double precision
EDGE = 1e-15  # a mean is kept this far from 0 and 1
ROOT_TWO_PI = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class Slopes:
    """μ and its first three derivatives in η."""

    mean: np.ndarray
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray


class LinkFunction(Protocol):
    """η → μ with derivatives, and back."""

    def mean(self, eta: np.ndarray) -> np.ndarray: ...
    def slopes(self, eta: np.ndarray) -> Slopes: ...
    def inverse(self, mean: np.ndarray) -> np.ndarray: ...


class Logit:
    """log(μ/(1 − μ)) = η."""

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(special.expit(eta), EDGE, 1 - EDGE))

    def slopes(self, eta: np.ndarray) -> Slopes:
        p = self.mean(eta)
        w = p * (1 - p)
        return Slopes(p, w, w * (1 - 2 * p), w * (1 - 6 * w))

    def inverse(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(special.logit(mean))


class Probit:
    """Φ⁻¹(μ) = η."""

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(special.ndtr(eta), EDGE, 1 - EDGE))

    def slopes(self, eta: np.ndarray) -> Slopes:
        density = np.exp(-eta * eta / 2) / ROOT_TWO_PI
        return Slopes(self.mean(eta), density, -eta * density, (eta * eta - 1) * density)

    def inverse(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(special.ndtri(mean))


class Cloglog:
    """log(−log(1 − μ)) = η: with it, discrete-time hazards are proportional."""

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(-np.expm1(-np.exp(np.minimum(eta, LARGEST))), EDGE, 1 - EDGE))

    def slopes(self, eta: np.ndarray) -> Slopes:
        a = np.exp(np.clip(eta, -700, 6.5))
        first = a * np.exp(-a)
        return Slopes(self.mean(eta), first, first * (1 - a), first * (1 - 3 * a + a * a))

    def inverse(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(-np.log1p(-mean)))


class Log:
    """log μ = η."""

    def mean(self, eta: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(np.minimum(eta, 700.0)))

    def slopes(self, eta: np.ndarray) -> Slopes:
        mu = self.mean(eta)
        return Slopes(mu, mu, mu, mu)

    def inverse(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(mean))


LINKS: dict[str, LinkFunction] = {"logit": Logit(), "probit": Probit(), "cloglog": Cloglog(), "log": Log()}
