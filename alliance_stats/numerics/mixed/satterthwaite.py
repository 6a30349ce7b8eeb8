"""Satterthwaite's degrees of freedom for fixed effects of linear mixed models.

The variance v of a contrast depends on (θ, σ), whose covariance A is twice the inverse Hessian of the deviance; v is taken as
proportional to a χ² variable of 2v²/(g'Ag) degrees of freedom, g its gradient (Giesbrecht & Burns 1985, doi 10.2307/2530872).
Joint tests after Fai & Cornelius (1996, doi 10.1080/00949659608811740). The definitions are those of lmerTest (Kuznetsova,
Brockhoff & Christensen 2017, doi 10.18637/jss.v082.i13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from alliance_stats.numerics.mixed.parts import Evaluation

STEP = 3e-5  # of an element of θ, or of a tenth of its natural size: truncation and rounding are then both near 1e-9 of the df
FLAT = 1e-6  # eigenvalue of the Hessian, scaled to a unit diagonal, below which a direction is not identified
NO_VARIANCE = float(
    np.sqrt(np.finfo(float).eps)
)  # part of the largest variance below which a contrast repeats the others


class System(Protocol):
    """A nested or a crossed design whose criterion can be evaluated."""

    @property
    def scale(self) -> np.ndarray:
        """The natural size of each element of θ, which depends on the unit of its column of Z."""

    def evaluate(
        self, theta: np.ndarray, *, reml: bool = True, sigma2: float | None = None, gradient: bool = True
    ) -> Evaluation:
        """The criterion at θ, with its gradient; with ``sigma2`` given, not profiled over it."""


@dataclass(frozen=True)
class VarianceInformation:
    """How precisely the variance parameters (θ, σ), k + 1 of them, are known, and how Cov(β̂) changes with them.

    ``jacobian`` (k + 1, p, p) holds the derivatives of Cov(β̂); ``covariance`` (k + 1, k + 1) that of (θ, σ); ``flat`` is the
    number of directions left out because the criterion does not change along them, as on the ridge of a singular Λ.
    """

    jacobian: np.ndarray
    covariance: np.ndarray
    flat: int


@dataclass(frozen=True)
class FTest:
    """F statistic, its degrees of freedom, and the factor already applied to the Wald F (1 for Satterthwaite's test)."""

    statistic: float
    ndf: int
    ddf: float
    scale: float = 1.0


def variance_information(system: System, theta: np.ndarray, *, reml: bool = True) -> VarianceInformation:
    """Central differences of the analytic gradient at the optimum θ with σ² held; derivatives in σ are exact."""
    at = system.evaluate(theta, reml=reml)
    k, p, sigma = len(theta), len(at.beta), float(np.sqrt(at.sigma2))

    def slope_and_covariance(point: np.ndarray) -> np.ndarray:
        e = system.evaluate(point, reml=reml, sigma2=at.sigma2)
        return np.asarray(np.r_[e.gradient, at.sigma2 * e.inverse.ravel()])

    steps = STEP * np.maximum(np.abs(theta), system.scale / 10)
    pairs = [
        (slope_and_covariance(theta + h) - slope_and_covariance(theta - h)) / (2 * h.max()) for h in np.diag(steps)
    ]
    differences = np.array(pairs)
    hessian = _hessian(system, theta, at, differences[:, :k], reml)
    inverse, flat = _positive_inverse(hessian)
    unit = np.r_[np.ones(k), sigma]
    jacobian = np.concatenate([differences[:, k:].reshape(k, p, p), 2 * sigma * at.inverse[None]])
    return VarianceInformation(jacobian, 2 * inverse * np.outer(unit, unit), flat)


def _hessian(system: System, theta: np.ndarray, at: Evaluation, within: np.ndarray, reml: bool) -> np.ndarray:
    """In (θ, log σ). The criterion is a(θ) + ν log σ² + r(θ)/σ², so that gradients at two values of σ² give r'(θ)."""
    k = len(theta)
    elsewhere = system.evaluate(theta, reml=reml, sigma2=2 * at.sigma2)
    H = np.empty((k + 1, k + 1))
    H[:k, :k] = (within + within.T) / 2
    H[:k, k] = H[k, :k] = -4 * (at.gradient - elsewhere.gradient)
    H[k, k] = 4 * at.r / at.sigma2
    return H


def _positive_inverse(H: np.ndarray) -> tuple[np.ndarray, int]:
    """Inverse on the directions of positive curvature, and how many others there are."""
    diagonal = np.diag(H)
    unit = 1 / np.sqrt(np.maximum(diagonal, 1e-10 * diagonal.max()))
    value, vector = np.linalg.eigh(H * np.outer(unit, unit))
    kept = value > FLAT
    half = unit[:, None] * vector[:, kept] / np.sqrt(value[kept])
    return np.asarray(half @ half.T), int((~kept).sum())


def satterthwaite_df(info: VarianceInformation, covariance: np.ndarray, L: np.ndarray) -> np.ndarray:
    """Degrees of freedom 2v²/(g'Ag) of every row of L, shape (q, p); ``covariance`` is that of β̂.

    >>> mean_of_ten = VarianceInformation(np.array([[[0.2]]]), np.array([[1 / 18]]), 0)  # σ = 1, v = σ²/10, Var(σ̂) = σ²/18
    >>> satterthwaite_df(mean_of_ten, np.array([[0.1]]), np.ones(1)).round(3).tolist()
    [9.0]
    """
    L = np.atleast_2d(L)
    variance = np.einsum("ia,ab,ib->i", L, covariance, L)
    gradient = np.einsum("ia,kab,ib->ik", L, info.jacobian, L)
    return np.asarray(2 * variance**2 / np.einsum("ik,kl,il->i", gradient, info.covariance, gradient))


def satterthwaite_f(info: VarianceInformation, covariance: np.ndarray, L: np.ndarray, beta: np.ndarray) -> FTest:
    """Joint test of Lβ = 0; a row that repeats others does not count.

    The denominator's df depend a little on how the hypothesis is written: Fai and Cornelius rotate L to uncorrelated contrasts,
    and other rows rotate to others. lmerTest takes differences from a factor's first level.
    """
    rows = independent_contrasts(L, covariance)
    return FTest(float(np.mean((rows @ beta) ** 2)), len(rows), _joint_df(satterthwaite_df(info, covariance, rows)))


def independent_contrasts(L: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Uncorrelated contrasts of variance 1 that span the rows of L, as many as its rank."""
    L = np.atleast_2d(L)
    variance, vector = np.linalg.eigh(L @ covariance @ L.T)
    kept = variance > NO_VARIANCE * variance.max()
    return np.asarray((vector[:, kept] / np.sqrt(variance[kept])).T @ L)


def _joint_df(df: np.ndarray) -> float:
    """2E/(E − q), E = Σ df/(df − 2) being q times the mean of F; 2 where that mean does not exist."""
    if np.ptp(df) < 1e-8:
        return float(df.mean())
    if df.min() <= 2:
        return 2.0
    # E − q is Σ 2/(df − 2), written so because the difference loses digits where df are large.
    return float(np.sum(df / (df - 2)) / np.sum(1 / (df - 2)))
