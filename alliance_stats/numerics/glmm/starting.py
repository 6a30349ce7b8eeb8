"""Where the search begins: a fit without random effects, its working response, and moments of that by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.likelihood import Likelihood
from alliance_stats.numerics.mixed.crossed import Crossed, build_crossed
from alliance_stats.numerics.mixed.effects import are_nested
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.mixed.tree import Tree, build_tree

LIMIT = 60
LEAST = 1e-3  # of the largest weight: rows whose outcome is certain would make the working response meaningless


@dataclass(frozen=True, eq=False)
class Plain:
    """A fit without random effects: β, η, working response and weights."""

    beta: np.ndarray
    eta: np.ndarray
    working: np.ndarray
    weights: np.ndarray


def plain_fit(X: np.ndarray, offset: np.ndarray, likelihood: Likelihood, eta: np.ndarray) -> Plain:
    """Newton's method with halved steps from η; the search ends where nothing more than 1e-10 of the criterion is gained.

    The weights are those of the overdispersed outcome: random effects are looked for on the scale of what they explain.
    """
    at = _working(likelihood, eta, offset)
    beta, value = np.zeros(X.shape[1]), np.inf
    for _ in range(LIMIT):
        root = np.sqrt(at[1])
        change = np.linalg.lstsq(X * root[:, None], at[0] * root)[0] - beta
        length = 1.0
        while True:
            eta = offset + X @ (beta + length * change)
            new = -2 * float(likelihood.inner(eta, 0.0).log_f.sum())
            if new <= value or length < 1e-4:
                break
            length /= 2
        beta, gained, value = beta + length * change, value - new, new
        at = _working(likelihood, eta, offset)
        if gained < 1e-10 * (abs(value) + 1):
            break
    working, weights = at
    spread = float(np.mean(weights * (working + offset - eta) ** 2))
    return Plain(beta, eta, working, weights / max(1.0, spread))


def _working(likelihood: Likelihood, eta: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inner = likelihood.inner(eta, 0.0)
    weights = np.maximum(inner.curvature, LEAST * float(inner.curvature.max()))
    return eta - offset + inner.score / weights, weights


def working_system(levels: Sequence[Level], X: np.ndarray, plain: Plain) -> Tree | Crossed:
    """The linear mixed model of the working response, whose moments, units and coordinates are those of the search."""
    build = build_tree if are_nested(levels) else build_crossed
    return build(levels, X, plain.working, plain.weights)


def separating(X: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A direction γ along which the likelihood grows for ever, or zeros: Xγ ≤ 0 in the rows that are ``low`` (none of the
    trials, or a count of 0), ≥ 0 in those that are ``high`` (all of the trials), 0 in the others.

    Found by linear programming (Konis 2007, Oxford thesis, ch. 4), over the different rows only.
    """
    from scipy.optimize import linprog

    scale = np.abs(X).max(axis=0)
    kind = np.where(high, 1.0, np.where(low, -1.0, 0.0))
    rows = np.unique(np.column_stack([kind, X / np.where(scale > 0, scale, 1.0)]), axis=0)
    kind, rows = rows[:, 0], rows[:, 1:]
    signed, level = rows[kind != 0] * kind[kind != 0, None], rows[kind == 0]
    if not len(signed):
        return np.zeros(X.shape[1])
    equal = {"A_eq": level, "b_eq": np.zeros(len(level))} if len(level) else {}
    found = linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs", **equal
    )
    if found.x is None or -found.fun < 1e-6:
        return np.zeros(X.shape[1])
    return np.asarray(np.where(np.abs(found.x) > 1e-6, found.x, 0.0) / np.where(scale > 0, scale, 1.0))
