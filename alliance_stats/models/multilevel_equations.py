"""One equation with a random intercept, normal or logit, by maximum likelihood: all parameters with their covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.formula import Design, build_design, read_formula
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mixed.optimise import fit as optimum
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.numerics.mixed.satterthwaite import variance_information
from alliance_stats.numerics.mixed.tree import build_tree
from alliance_stats.random_terms import group_codes

NODES = 7  # of adaptive quadrature: Laplace is poor with few rows a group


@dataclass(frozen=True, eq=False)
class Fitted:
    """An equation: ``parameters`` are the coefficients, the SD of the intercepts and, of a normal one, the residual SD."""

    response: str
    binary: bool
    terms: tuple[str, ...]
    design: Design
    parameters: np.ndarray
    covariance: np.ndarray
    deviance: float
    y: np.ndarray
    fitted: np.ndarray
    groups: int
    notes: tuple[str, ...]


def fit_equation(frame: pd.DataFrame, response: str, right: Sequence[str], group: str, binary: bool) -> Fitted:
    """The equation ``response ~ right + (1 | group)``; DataError where its terms depend on one another."""
    fixed = f"`{response}` ~ " + " + ".join(f"`{name}`" for name in right)
    design, X, y = build_design(read_formula(fixed), frame)
    kept = independent_columns(X)
    if len(kept) < X.shape[1]:
        lost = next(term for j, term in enumerate(design.terms) if j not in kept)
        raise DataError(f"'{response}~{lost}' depends on other terms of its equation; leave it out of the model")
    terms = tuple(term.replace("`", "") for term in design.terms)
    formula = f"{fixed} + (1 | `{group}`)"
    return (_logit if binary else _normal)(frame, formula, response, group, terms, design, X, y)


def _logit(
    frame: pd.DataFrame, formula: str, response: str, group: str, terms: tuple[str, ...], design: Design, X: np.ndarray,
    y: np.ndarray,
) -> Fitted:  # fmt: skip
    result = GeneralizedMixedModel(formula, quadrature=NODES).fit(frame)
    state = result.state
    values = np.r_[state.coefficients, np.abs(state.theta)]
    return Fitted(
        response, True, terms, design, values, state.joint, -2 * float(result.glance()["log_likelihood"].iloc[0]), y,
        state.fitted, len(state.groupings[0].groups), _named(response, result.notes),
    )  # fmt: skip


def _normal(
    frame: pd.DataFrame, formula: str, response: str, group: str, terms: tuple[str, ...], design: Design, X: np.ndarray,
    y: np.ndarray,
) -> Fitted:  # fmt: skip
    """Coefficients and standard deviations are uncorrelated under ML; those of (θ, σ) are turned into (θσ, σ)."""
    codes, labels = group_codes(frame, (group,))
    tree = build_tree([Level(codes, np.ones((len(y), 1)), *template([1]))], X, y)
    theta = optimum(tree, reml=False).theta
    at, info = tree.evaluate(theta, reml=False), variance_information(tree, theta, reml=False)
    sigma, p = float(np.sqrt(at.sigma2)), X.shape[1]
    turn = np.array([[sigma, theta[0]], [0.0, 1.0]])
    V = np.zeros((p + 2, p + 2))
    V[:p, :p], V[p:, p:] = at.inverse * at.sigma2, turn @ info.covariance @ turn.T
    result = MixedModel(formula, method="ML", df_method="normal").fit(frame)
    return Fitted(
        response, False, terms, design, np.r_[at.beta, sigma * theta[0], sigma], V, at.value, y, result.state.fitted,
        len(labels), _named(response, result.notes),
    )  # fmt: skip


def _named(response: str, notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{response}: {note}" for note in notes)
