"""Rows of the paths (a, b, c, c′) and of every coefficient of the equations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.formula_syntax import names_in
from alliance_stats.models.mediation_covariance import degrees_of_freedom, joint_covariance
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mediation import Block
from alliance_stats.numerics.mediation_fit import fit_equation
from alliance_stats.result import tidy_frame


def coefficient_rows(
    equations: Sequence[Equation], covariance: np.ndarray, vcov: str, codes: np.ndarray | None, level: float
) -> pd.DataFrame:
    """Every coefficient of every equation, named ``response~term``, as a term stands in several equations."""
    columns: dict[str, list[Any]] = {name: [] for name in ("terms", "responses", "estimate", "std_error", "df")}
    for equation in equations:
        V = covariance[equation.block.coefficients, equation.block.coefficients]
        columns["terms"] += [f"{equation.response}~{term}" for term in equation.terms]
        columns["responses"] += [equation.response] * len(equation.terms)
        columns["estimate"] += list(equation.coefficients)
        columns["std_error"] += list(np.sqrt(np.diag(V)))
        columns["df"] += list(degrees_of_freedom(equation, vcov, codes))
    estimate, std_error, df = (np.array(columns[name]) for name in ("estimate", "std_error", "df"))
    return _rows(columns["terms"], "fixed", columns["responses"], estimate, std_error, df, level)


def path_rows(
    equations: Sequence[Equation], exposure: str, coefficients: pd.DataFrame, total: pd.DataFrame | None
) -> pd.DataFrame:
    """Coefficients under the names of paths, and ``total`` below them.

    a: exposure to mediator; d: mediator to later mediator; b: mediator to outcome; c_prime: exposure to outcome.
    Numbered by mediator where there are several; with exposure levels in brackets where there are more than two.
    """
    mediators = [equation.response for equation in equations[:-1]]
    several = len(mediators) > 1
    found: list[tuple[str, str, str]] = []
    for k, equation in enumerate(equations):
        outcome = k == len(mediators)
        number = str(k + 1) if several else ""
        base = "c_prime" if outcome else f"a{number}"
        found += [(name, equation.response, term) for name, term in _main(equation, exposure, base)]
        for j in equation.block.parents:
            base = (f"b{j + 1}" if several else "b") if outcome else f"d{k + 1}{j + 1}"
            found += [(name, equation.response, term) for name, term in _main(equation, mediators[j], base)]
    place = {term: row for row, term in enumerate(coefficients["term"])}
    rows = coefficients.iloc[[place[f"{response}~{term}"] for _, response, term in found]]
    named = rows.assign(term=[name for name, _, _ in found], component="path")
    return named if total is None else pd.concat([named, total], ignore_index=True)


def total_rows(
    equations: Sequence[Equation], exposure: str, vcov: str, codes: np.ndarray | None, level: float
) -> pd.DataFrame | None:
    """c: the outcome on the exposure and covariates, mediators left out; None where that regression has no estimate."""
    outcome = equations[-1]
    mediators = {equation.response for equation in equations[:-1]}
    kept = np.array([j for j, term in enumerate(outcome.terms) if not mediators & _variables(term)], dtype=int)
    X = outcome.X[:, kept]
    if not len(kept) or len(independent_columns(X)) < len(kept):
        return None
    fit = fit_equation(X, outcome.y, outcome.family, likelihood=vcov == "ml")
    if fit is None:
        return None
    lead = len(outcome.family.scores) - 1 if outcome.family.name == "ordinal" else 0
    where = slice(lead, lead + len(kept))
    variance = lead + len(kept) if outcome.family.name == "gaussian" else None
    block = Block(outcome.family, where, variance, slice(0, lead), ())
    alone = Equation(outcome.response, outcome.design, outcome.columns[kept], X, outcome.y, fit, block)
    V = joint_covariance([alone], vcov, codes)[where, where]
    df = degrees_of_freedom(alone, vcov, codes)
    names = _main(alone, exposure, "c")
    at = [alone.terms.index(term) for _, term in names]
    if not at:
        return None
    std_error = np.sqrt(np.diag(V))[at]
    terms = [name for name, _ in names]
    return _rows(terms, "path", outcome.response, alone.coefficients[at], std_error, df[at], level)


def _rows(
    terms: Sequence[str], component: str, response: str | Sequence[str], estimate: np.ndarray, std_error: np.ndarray,
    df: np.ndarray, level: float,
) -> pd.DataFrame:  # fmt: skip
    half = t_quantile((1 + level) / 2, df) * std_error
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.isnan(df), np.nan, estimate / std_error)
    return tidy_frame(
        term=terms, component=component, equation=response, estimate=estimate, std_error=std_error, statistic=t,
        df=np.where(np.isinf(df), np.nan, df), p_value=t_p_value(t, df), conf_low=estimate - half,
        conf_high=estimate + half, interval=np.where(np.isinf(df), "normal", "t"),
    )  # fmt: skip


def _main(equation: Equation, variable: str, base: str) -> list[tuple[str, str]]:
    """The columns that a variable has to itself, and their names as paths."""
    own = [term for term in equation.terms if ":" not in term and _variables(term) == {variable}]
    if len(own) < 2:
        return [(base, term) for term in own]
    return [(f"{base}[{_level(term)}]", term) for term in own]


def _variables(term: str) -> set[str]:
    if term == "Intercept":
        return set()
    plain = [re.sub(r"\[[^\]]*\]$", "", part) for part in term.split(":")]
    return {name for part in plain for name in names_in(part)}


def _level(term: str) -> str:
    found = re.search(r"\[(?:T\.)?([^\]]*)\]$", term)
    return found[1] if found else term
