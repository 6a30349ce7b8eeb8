"""The parts of a beta model: the mean, the precision, and the chances of 0 and of 1, each with columns of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError, DataError, require_columns
from alliance_stats.formula import Design, Formula, design_matrix, read_formula
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.generalized_fit import require_apart
from alliance_stats.models.generalized_response import Outcome
from alliance_stats.models.marginal_rows import dropped
from alliance_stats.numerics.beta_regression import STEEPEST, beta_fit
from alliance_stats.numerics.glm_sandwich import quasi_fit
from alliance_stats.numerics.least_squares import independent_columns, null_rows


@dataclass(frozen=True, eq=False)
class Part:
    """One linear predictor: its name, design, the columns kept, and where its coefficients stand among all."""

    name: str
    design: Design
    kept: np.ndarray
    null: np.ndarray
    coefficients: np.ndarray
    places: slice

    @property
    def terms(self) -> list[str]:
        """Names of the coefficients; those of other parts than the mean carry the part's name, as ``zero(alliance)``."""
        names = [self.design.terms[j] for j in self.kept]
        return names if self.name == "fixed" else [f"{self.name}({name})" for name in names]

    def linear(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Rows of X and the linear predictor, missing where the data of the fit cannot speak or a predictor is missing."""
        require_columns(frame.columns, self.design.variables, f"predict ({self.name})")
        known = frame[list(self.design.variables)].notna().all(axis=1).to_numpy()
        X, eta = np.full((len(frame), len(self.kept)), np.nan), np.full(len(frame), np.nan)
        if known.any():
            rows = self.design.matrix(frame[known])
            off = np.abs(rows @ self.null.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(rows).max(initial=0.0))
            X[known] = rows[:, self.kept]
            eta[known] = np.where(off, np.nan, X[known] @ self.coefficients)
        return X, eta


@dataclass(frozen=True, eq=False)
class Fitted:
    """All parts, scores of the rows (n, k), the inverse information (k, k), and the log-likelihoods of the parts."""

    parts: tuple[Part, ...]
    scores: np.ndarray
    inverse: np.ndarray
    log_likelihoods: dict[str, float]
    notes: tuple[str, ...]


def part_formula(outcome: str, text: str, argument: str) -> Formula:
    """``"~ arm"`` or ``"arm"`` as a formula that the closed list has passed."""
    if not isinstance(text, str):
        raise AllianceError(
            f"{argument} is a {type(text).__name__}; give the right-hand side of a formula, e.g. '~ arm'"
        )
    return read_formula(f"{outcome} ~ {text.strip().removeprefix('~').strip() or '1'}")


def fit_parts(formulas: dict[str, Formula], frame: pd.DataFrame, y: np.ndarray, link: str) -> Fitted:
    """The likelihood falls apart: 0 or not; 1 or not, given not 0; the value strictly inside."""
    inside = (y > 0) & (y < 1)
    rows = {"fixed": inside, "precision": inside, "zero": np.full(len(y), True), "one": y > 0}
    designs = {name: design_matrix(formula, frame) for name, formula in formulas.items()}
    kept = {name: independent_columns(X[rows[name]]) for name, (_, X) in designs.items()}
    notes = tuple(
        f"'{design.terms[j]}' depends on other terms{'' if name == 'fixed' else f' of {name}'} and was left out"
        for name, (design, X) in designs.items()
        for j in dropped(X, kept[name])
    )
    columns = {name: X[:, kept[name]] for name, (_, X) in designs.items()}
    names = {name: [design.terms[j] for j in kept[name]] for name, (design, _) in designs.items()}
    pieces = [_inside(columns["fixed"][inside], columns["precision"][inside], y[inside], link, inside)]
    pieces += [
        _end(columns[name], (y == end).astype(float), rows[name], names[name], name)
        for name, end in (("zero", 0.0), ("one", 1.0))
        if name in formulas
    ]
    return _joined(designs, kept, rows, pieces, notes)


@dataclass(frozen=True, eq=False)
class _Piece:
    names: tuple[str, ...]
    coefficients: np.ndarray
    scores: np.ndarray
    inverse: np.ndarray
    log_likelihood: float


def _inside(X: np.ndarray, Z: np.ndarray, y: np.ndarray, link: str, rows: np.ndarray) -> _Piece:
    if len(y) <= X.shape[1] + Z.shape[1]:
        raise DataError(
            f"{len(y)} rows strictly between 0 and 1 cannot estimate {X.shape[1] + Z.shape[1]} coefficients"
        )
    if np.ptp(y) == 0:
        raise DataError(f"the outcome is {y[0]:g} in all rows strictly between 0 and 1; there is nothing to explain")
    try:
        fit = beta_fit(X, Z, y, link)
    except np.linalg.LinAlgError as problem:
        raise ConvergenceError(f"beta regression: no optimum found ({problem})") from problem
    if not fit.converged or (np.abs(np.log(fit.precision)) >= STEEPEST).any():
        raise ConvergenceError(
            "beta regression: no optimum found; the precision may be infinite, or predictors badly scaled"
        )
    scores = np.zeros((len(rows), fit.scores.shape[1]))
    scores[rows] = fit.scores
    return _Piece(("fixed", "precision"), fit.coefficients, scores, fit.covariance, fit.log_likelihood)


def _end(X: np.ndarray, at: np.ndarray, rows: np.ndarray, terms: Sequence[str], name: str) -> _Piece:
    """A logistic regression on the rows that it is about."""
    own, ones = X[rows], np.ones(int(rows.sum()))
    require_apart(
        own, [f"{name}({term})" for term in terms], Outcome(at[rows], ones, 0 * ones), FAMILIES["binomial"], "logit"
    )
    fit = quasi_fit(own, at[rows], ones, "logit")
    if not fit.converged:
        raise ConvergenceError(f"{name}: no optimum found; use fewer predictors in {name}=")
    scores = np.zeros((len(rows), X.shape[1]))
    scores[rows] = fit.X * fit.residuals[:, None]
    chance = np.where(at[rows] == 1, fit.mean, 1 - fit.mean)
    return _Piece((name,), fit.coefficients, scores, fit.bread, float(np.log(chance).sum()))


def _joined(
    designs: dict[str, tuple[Design, np.ndarray]], kept: dict[str, np.ndarray], rows: dict[str, np.ndarray],
    pieces: Sequence[_Piece], notes: tuple[str, ...],
) -> Fitted:  # fmt: skip
    coefficients = np.concatenate([piece.coefficients for piece in pieces])
    inverse = np.zeros((len(coefficients), len(coefficients)))
    parts, start = [], 0
    for piece in pieces:
        at = slice(start, start + len(piece.coefficients))
        inverse[at, at] = piece.inverse
        for name in piece.names:
            end = start + len(kept[name])
            design, X = designs[name]
            null = null_rows(X[rows[name]], kept[name])
            parts.append(Part(name, design, kept[name], null, coefficients[start:end], slice(start, end)))
            start = end
    likelihoods = {piece.names[0]: piece.log_likelihood for piece in pieces}
    return Fitted(tuple(parts), np.concatenate([p.scores for p in pieces], axis=1), inverse, likelihoods, notes)
