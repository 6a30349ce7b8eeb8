"""From the arrays of a hazard model to its result: Cox regression, and the cause-specific hazards of competing risks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import ConvergenceError, DataError
from alliance_stats.formula import Design
from alliance_stats.models.cox_state import (
    Baseline,
    CoxState,
    coefficient_rows,
    columns_of,
    left_out,
    monotone,
    predictors,
    widened,
)
from alliance_stats.models.linear import cluster_codes
from alliance_stats.models.survival_response import Times
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.numerics.survival.cox import (
    CoxFit,
    Partial,
    cluster_covariance,
    expected,
    fit_cox,
    partial_likelihood,
    score_residuals,
)
from alliance_stats.numerics.survival.frailty import FrailtyFit, fit_frailty
from alliance_stats.numerics.survival.newton import MonotoneError
from alliance_stats.numerics.survival.risk import RiskSets, risk_sets
from alliance_stats.progress import bar
from alliance_stats.result import Result, glance_frame, tidy_frame


@dataclass(frozen=True, eq=False)
class Hazard:
    """Complete rows of a hazard model, checked, with the matrix of its design."""

    frame: pd.DataFrame
    steps: tuple[Step, ...]
    design: Design
    X: np.ndarray
    times: Times
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Solved:
    """The fit, the likelihood at it on the columns kept (``at``), and a frailty where there is one."""

    fit: CoxFit
    at: Partial
    coefficients: np.ndarray
    covariance: np.ndarray
    naive: np.ndarray
    frailty: FrailtyFit | None = None
    levels: tuple[Any, ...] = ()
    codes: np.ndarray | None = None


def stratum_codes(frame: pd.DataFrame, strata: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Strata as integers, and their names."""
    if not strata:
        return np.zeros(len(frame), dtype=int), ("",)
    by = frame.groupby(list(strata), sort=True, observed=True)
    names = [key if isinstance(key, tuple) else (key,) for key, _ in by]
    labels = tuple(", ".join(f"{name}={value}" for name, value in zip(strata, key, strict=True)) for key in names)
    return np.asarray(by.ngroup()), labels


def risk_of(model: Any, frame: pd.DataFrame, times: Times) -> RiskSets:
    """Risk sets of the rows of a fit."""
    codes = stratum_codes(frame, model._strata)[0]
    return risk_sets(times.start, times.stop, times.event, codes, efron=model.ties == "efron")


def fitted_hazard(model: Any, given: Hazard) -> Result:
    """The result of a Cox model: partial likelihood, sandwich or frailty, baseline hazard."""
    risk, X = risk_of(model, given.frame, given.times), predictors(given.design, given.X)
    solved = _solve(model, given, risk, X)
    names = [given.design.terms[j] for j in columns_of(given.design)]
    terms = [names[j] for j in solved.fit.kept]
    state = _state(model, given, risk, X, solved)
    notes = given.notes + left_out(names, solved.fit.kept) + _frailty_notes(model, solved)
    covariance = pd.DataFrame(solved.covariance, index=terms, columns=terms)
    std_error = np.sqrt(np.diag(solved.covariance))
    estimates = pd.concat(
        [coefficient_rows(terms, solved.coefficients, std_error, model.level), _frailty_row(model, solved)],
        ignore_index=True,
    )
    return Result(model, given.frame, state, estimates, _glance(model, given, solved), covariance, None, notes)


def _solve(model: Any, given: Hazard, risk: RiskSets, X: np.ndarray) -> _Solved:
    names = [given.design.terms[j] for j in columns_of(given.design)]
    try:
        fit = fit_cox(risk, X)
    except MonotoneError as problem:
        raise monotone(problem.direction, names, model.formula) from problem
    if not len(fit.kept):
        raise DataError(
            f"formula {model.formula!r}: no term that could be estimated; for curves without predictors use kaplan_meier"
        )
    if model._group is not None:
        return _with_frailty(model, given, risk, X, fit)
    columns, V = X[:, fit.kept], fit.covariance
    if model.cluster is None:
        return _Solved(fit, fit.at, fit.coefficients, V, V)
    codes = cluster_codes(given.frame, model.cluster)
    robust = cluster_covariance(score_residuals(risk, columns, fit.at), V, codes)
    return _Solved(fit, fit.at, fit.coefficients, robust, V)


def _with_frailty(model: Any, given: Hazard, risk: RiskSets, X: np.ndarray, fit: CoxFit) -> _Solved:
    codes, levels = given.frame[model._group].factorize(sort=True)
    if len(levels) < 2:
        raise DataError(f"frailty: '{model._group}' has one group; a variance between groups needs two or more")
    columns = X[:, fit.kept] - fit.centre[fit.kept]
    try:
        with bar(None, "frailty", "value of θ", shown=True) as done:
            found = fit_frailty(risk, columns, np.asarray(codes), model.frailty[0], tried=done.update)
    except (ArithmeticError, np.linalg.LinAlgError) as problem:
        raise ConvergenceError(
            f"formula {model.formula!r}: no variance of the frailty of '{model._group}' was found; too few events a group?"
        ) from problem
    p = len(fit.kept)
    if found.theta == 0:
        return _Solved(fit, fit.at, fit.coefficients, fit.covariance, fit.covariance, found, tuple(levels), codes)
    V = found.covariance[:p, :p]
    offset = found.frailties[codes]
    at = partial_likelihood(risk, X[:, fit.kept], found.coefficients, offset)
    return _Solved(fit, at, found.coefficients, V, V, found, tuple(levels), codes)


def _state(model: Any, given: Hazard, risk: RiskSets, X: np.ndarray, solved: _Solved) -> CoxState:
    fit, at, beta = solved.fit, solved.at, solved.coefficients
    columns, kept = np.array(columns_of(given.design), dtype=int), fit.kept
    centred = X - fit.centre
    dependence = null_rows(centred, independent_columns(centred))
    groups: dict[str, Any] = {}
    if solved.frailty is not None:
        found, p = solved.frailty, len(kept)
        none = found.theta == 0
        omega = np.zeros(len(found.frailties)) if none else found.frailties
        errors = np.zeros(len(omega)) if none else np.sqrt(np.diag(found.covariance)[p:])
        groups = {"theta": found.theta, "groups": solved.levels, "log_frailties": omega, "frailty_errors": errors}
    return CoxState(
        given.design, given.steps, beta, columns[kept], widened(given.design, fit.null), dependence, fit.centre,
        solved.naive, _baseline(model, given, risk, X, solved), given.times.event, expected(risk, at),
        centred[:, kept] @ beta, (fit.log_likelihood_null, _log_likelihood(solved)), **groups,
    )  # fmt: skip


def _baseline(model: Any, given: Hazard, risk: RiskSets, X: np.ndarray, solved: _Solved) -> Baseline:
    """Efron's (or Breslow's) increments at the means of the predictors; scaled by e^(η − top) inside `Partial`."""
    at, kept = solved.at, solved.fit.kept
    omega: np.ndarray | float = 0.0
    if solved.frailty is not None and solved.frailty.theta > 0:
        omega = solved.frailty.frailties[solved.codes]
    eta = X[:, kept] @ solved.coefficients + omega
    factor = float(np.exp(solved.fit.centre[kept] @ solved.coefficients - eta.max()))
    hazard = at.hazard * factor  # of a row at the means
    return Baseline(
        risk.times, risk.strata, risk.tied(hazard), risk.tied(hazard**2),
        risk.tied((at.means - solved.fit.centre[kept]) * hazard[:, None]), stratum_codes(given.frame, model._strata)[1],
        float(given.times.stop.max()),
    )  # fmt: skip


def _log_likelihood(solved: _Solved) -> float:
    if solved.frailty is None or solved.frailty.theta == 0:
        return solved.fit.log_likelihood
    return solved.frailty.integrated


def _frailty_row(model: Any, solved: _Solved) -> pd.DataFrame:
    if solved.frailty is None:
        return tidy_frame(term=[])
    gamma, theta = model.frailty[0] == "gamma", solved.frailty.theta
    return tidy_frame(
        term=["var(frailty)" if gamma else "sd(Intercept)"], component="random", group=model._group,
        estimate=[theta if gamma else np.sqrt(theta)],
    )  # fmt: skip


def _frailty_notes(model: Any, solved: _Solved) -> tuple[str, ...]:
    if solved.frailty is None:
        return ()
    if solved.frailty.theta == 0:
        return (f"estimated at the boundary: the frailty of '{model._group}' has a variance of zero",)
    return ("standard errors take the variance of the frailty as known",)


def _glance(model: Any, given: Hazard, solved: _Solved) -> pd.DataFrame:
    events, k = int(given.times.event.sum()), len(solved.fit.kept)
    counts = {"n_obs": len(given.frame), "n_events": events}
    labels = [model.patient, model.cluster, model._group, *model._strata]
    counts |= {f"n_{name}": int(given.frame[name].nunique()) for name in labels if name is not None}
    values: dict[str, Any] = {}
    log_likelihood = _log_likelihood(solved)
    if np.isfinite(log_likelihood):
        k += int(solved.frailty is not None)
        values = {
            "log_likelihood": log_likelihood, "deviance": -2 * log_likelihood, "aic": 2 * k - 2 * log_likelihood,
            "bic": np.log(events) * k - 2 * log_likelihood,
        }  # fmt: skip
    elif solved.frailty is not None:
        values = {"criterion": -2 * solved.frailty.penalised}
    if solved.frailty is not None:
        values["singular"] = solved.frailty.theta == 0
    method = (
        "partial likelihood" if solved.frailty is None else f"penalised partial likelihood, {model.frailty[0]} frailty"
    )
    return glance_frame(counts, method=f"{method}, {model.ties} ties", df_method="normal", converged=True, **values)
