"""Sampling covariance of the parameters of all equations together.

Model-based ones take the errors of two normal responses of which neither predicts the other, such as those of parallel
mediators, as correlated by what their residuals share (lavaan with ``m1 ~~ m2``; Zellner 1962, doi
10.1080/01621459.1962.10480664); all other blocks are independent of one another. Robust ones stack the influence of each row
(or cluster) on every equation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from alliance_stats.errors import AllianceError
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.numerics import sandwich

Vcov = Literal["classical", "ml", "HC0", "HC3", "CR1", "CR2"]


def joint_covariance(equations: Sequence[Equation], vcov: str, codes: np.ndarray | None) -> np.ndarray:
    """Covariance of the stacked parameters, shape (parameters, parameters).

    Raises AllianceError for CR2 with an equation that is not normal.
    """
    if vcov in ("classical", "ml"):
        return _model_based(equations, likelihood=vcov == "ml")
    if vcov in ("HC0", "HC3"):
        rows = np.column_stack([_influence(equation, leverage=vcov == "HC3") for equation in equations])
        return np.asarray(rows.T @ rows)
    assert codes is not None
    groups = int(codes.max()) + 1
    if vcov == "CR1":
        summed = np.column_stack([_summed(equation.fit.influence, codes) for equation in equations])
        return np.asarray(summed.T @ summed * groups / (groups - 1))
    adjusted = np.column_stack([_bias_reduced(equation, codes) for equation in equations])
    return np.asarray(adjusted.T @ adjusted)


def degrees_of_freedom(equation: Equation, vcov: str, codes: np.ndarray | None) -> np.ndarray:
    """Degrees of freedom of each coefficient; infinite for generalised models and maximum likelihood."""
    n, p = equation.X.shape
    if equation.family.name != "gaussian" or vcov == "ml":
        return np.full(p, np.inf)
    if codes is None or not vcov.startswith("CR"):
        return np.full(p, float(n - p))
    if vcov == "CR1":
        return np.full(p, float(codes.max()))
    return sandwich.cr2(equation.X, _bread(equation.X), codes).satterthwaite(np.eye(p))


def _model_based(equations: Sequence[Equation], *, likelihood: bool) -> np.ndarray:
    joint = _blocks([equation.fit.classical for equation in equations])
    ends = np.cumsum([len(equation.fit.classical) for equation in equations])
    for (j, one), (k, other) in combinations(enumerate(equations), 2):
        if _parallel(one, other):
            shared = _shared(one, other, likelihood=likelihood)
            here, there = (slice(end - size, end) for end, size in ((ends[j], len(shared)), (ends[k], shared.shape[1])))
            joint[here, there], joint[there, here] = shared, shared.T
    return joint


def _parallel(one: Equation, other: Equation) -> bool:
    """Whether both responses are normal and neither predicts the other."""
    apart = one.response not in other.design.variables and other.response not in one.design.variables
    return apart and one.family.name == other.family.name == "gaussian"


def _shared(one: Equation, other: Equation, *, likelihood: bool) -> np.ndarray:
    """Covariance of coefficients and log variances of two equations whose errors go together."""
    n, p = one.X.shape
    q = other.X.shape[1]
    free = n if likelihood else np.sqrt((n - p) * (n - q))
    left, right = one.y - one.fit.fitted, other.y - other.fit.fitted
    shared = np.zeros((p + 1, q + 1))
    shared[:p, :q] = left @ right / free * (_bread(one.X) @ (one.X.T @ other.X) @ _bread(other.X))
    shared[p, q] = 2 / free * (left @ right) ** 2 / max((left @ left) * (right @ right), np.finfo(float).tiny)
    return shared


def _influence(equation: Equation, *, leverage: bool) -> np.ndarray:
    if not leverage:
        return equation.fit.influence
    if equation.family.name == "ordinal":
        raise AllianceError(f"vcov='HC3' is not defined for the ordered response '{equation.response}'; use 'HC0'")
    free = 1 - equation.fit.leverage
    scale = np.divide(1.0, free, out=np.zeros_like(free), where=free > sandwich.SINGULAR)
    p = equation.X.shape[1]
    rows = equation.fit.influence.copy()
    rows[:, :p] *= scale[:, None]
    return rows


def _summed(influence: np.ndarray, codes: np.ndarray) -> np.ndarray:
    total = np.zeros((int(codes.max()) + 1, influence.shape[1]))
    np.add.at(total, codes, influence)
    return total


def _bias_reduced(equation: Equation, codes: np.ndarray) -> np.ndarray:
    if equation.family.name != "gaussian":
        raise AllianceError(f"vcov='CR2' is for normal responses; '{equation.response}' is not: use vcov='CR1'")
    bread = _bread(equation.X)
    reduced = sandwich.cr2(equation.X, bread, codes)
    residual = equation.y - equation.fit.fitted
    scores = np.array([a.T @ residual[r] for a, r in zip(reduced.adjusted, reduced.rows, strict=True)])
    return np.column_stack([scores @ bread, _summed(equation.fit.influence[:, -1:], codes)])


def _bread(X: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(np.linalg.qr(X)[1])
    return np.asarray(inverse @ inverse.T)


def _blocks(parts: Sequence[np.ndarray]) -> np.ndarray:
    size = sum(len(part) for part in parts)
    joint, at = np.zeros((size, size)), 0
    for part in parts:
        joint[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return joint
