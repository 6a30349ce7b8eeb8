"""The mode of the random effects given β, Λ and ψ, by penalised iteratively reweighted least squares with halved steps.

A point on the way is a pair (d, Zb) of vectors over the rows with b = ΛΛ'Z'd, so that u'u = d·Zb without a division by Λ; the
pairs form a line between any two of them, on which steps are halved. At the mode d is the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.likelihood import Inner, Likelihood
from alliance_stats.numerics.glmm.structure import Factored, Structure

LIMIT = 100
SETTLED = 1e-5  # step in η after which one more, being of its square, is rounding
FAR = 1.0  # step in η after which a start is compared with one from zero
NEAR = 0.1  # step in η below which rows with negative curvature are taken as they are


@dataclass(frozen=True, eq=False)
class Problem:
    """A model on arrays, rows in the order of the structure: X (rows, p), offset (rows,), the family with its data."""

    X: np.ndarray
    offset: np.ndarray
    likelihood: Likelihood
    structure: Structure


@dataclass(frozen=True, eq=False)
class Mode:
    """Zb and η at the mode, u'u, the likelihood's rows there, and H at the curvature."""

    random: np.ndarray
    eta: np.ndarray
    penalty: float
    inner: Inner
    factor: Factored
    settled: bool


@dataclass(frozen=True, eq=False)
class _Point:
    dual: np.ndarray | None
    random: np.ndarray
    inner: Inner
    value: float


def find_mode(
    given: Problem,
    fixed: np.ndarray,
    Ls: Sequence[np.ndarray],
    psi: float,
    start: np.ndarray | None = None,
    tolerance: float = SETTLED,
) -> Mode:
    """From ``start``, the Zb of a mode nearby, or from zero where there is none or it leads nowhere."""
    rows = len(fixed)
    origin = None if start is not None else _point(given, fixed, psi, np.zeros(rows), np.zeros(rows))
    at = origin or _point(given, fixed, psi, None, start if start is not None else np.zeros(rows))
    size, settled = np.inf if start is None else 0.0, False
    for _ in range(LIMIT):
        at, size, whole = _stepped(given, fixed, Ls, psi, at, size)
        if origin is None and not size < FAR:
            origin = _point(given, fixed, psi, np.zeros(rows), np.zeros(rows))
            at, size = (at, size) if at.value <= origin.value else (origin, np.inf)
        if size < (tolerance if whole else 1e-4 * tolerance):
            settled = True
            break
    assert at.dual is not None
    factor = given.structure.factor(at.inner.curvature, Ls)
    return Mode(at.random, fixed + at.random, float(at.dual @ at.random), at.inner, factor, settled)


def _stepped(
    given: Problem, fixed: np.ndarray, Ls: Sequence[np.ndarray], psi: float, at: _Point, last: float
) -> tuple[_Point, float, bool]:
    """The next point, the size of the step in η, and whether it was Newton's: far from the mode no curvature is negative."""
    w = at.inner.curvature
    whole = last <= NEAR or bool(w.min() >= 0)
    factor = given.structure.factor(w if whole else np.maximum(w, 0), Ls)
    if not np.isfinite(factor.log_det):
        whole, factor = False, given.structure.factor(np.maximum(w, 0), Ls)
    w = w if whole else np.maximum(w, 0)
    target = w * at.random + at.inner.score
    random = factor.solve(target)
    dual = target - w * random
    length = 1.0
    new = _point(given, fixed, psi, dual, random)
    while at.dual is not None and not new.value <= at.value + 1e-12 * abs(at.value) and length > 1e-6:
        length /= 2
        half = at.dual + length * (dual - at.dual), at.random + length * (random - at.random)
        new = _point(given, fixed, psi, *half)
    # A step of d leaves d² to go, which tells in the gradient by √w.
    return new, float((np.abs(random - at.random) * np.sqrt(1 + np.sqrt(np.abs(w)))).max()), whole


def _point(given: Problem, fixed: np.ndarray, psi: float, dual: np.ndarray | None, random: np.ndarray) -> _Point:
    """A start without a dual is of another Λ: its value is not known."""
    inner = given.likelihood.inner(fixed + random, psi)
    value = np.inf if dual is None else -2 * float(inner.log_f.sum()) + float(dual @ random)
    return _Point(dual, random, inner, value)
