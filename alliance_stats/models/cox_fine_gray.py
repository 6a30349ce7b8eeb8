"""From the arrays of Fine and Gray's model to its result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.models.cox_fit import Hazard
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
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.numerics.survival.fine_gray import FineGrayFit, fit_fine_gray, subdistribution
from alliance_stats.numerics.survival.newton import MonotoneError
from alliance_stats.result import Result, glance_frame


def fitted_subdistribution(model: Any, given: Hazard) -> Result:
    """The result of Fine and Gray's model; ``given.times.event`` is 0 censored, 1 the cause, 2 another."""
    X, kinds = predictors(given.design, given.X), given.times.event
    names = [given.design.terms[j] for j in columns_of(given.design)]
    try:
        fit = fit_fine_gray(subdistribution(given.times.stop, kinds), X)
    except MonotoneError as problem:
        raise monotone(problem.direction, names, model.formula) from problem
    if not len(fit.kept):
        raise DataError(f"formula {model.formula!r}: no term that could be estimated; for curves use aalen_johansen")
    terms = [names[j] for j in fit.kept]
    V = fit.covariance
    if model.cluster is not None:
        codes = cluster_codes(given.frame, model.cluster)
        sums = np.stack([np.bincount(codes, column) for column in fit.influence.T], axis=1)
        V = sums.T @ sums
    covariance = pd.DataFrame(V, index=terms, columns=terms)
    estimates = coefficient_rows(terms, fit.coefficients, np.sqrt(np.diag(V)), model.level)
    notes = (*given.notes, *left_out(names, fit.kept))
    state = _state(given, X, fit, V)
    return Result(model, given.frame, state, estimates, _glance(model, given, fit), covariance, None, notes)


def _state(given: Hazard, X: np.ndarray, fit: FineGrayFit, V: np.ndarray) -> CoxState:
    centred, columns = X - fit.centre, np.array(columns_of(given.design), dtype=int)
    eta = centred[:, fit.kept] @ fit.coefficients
    stop, kinds = given.times.stop, given.times.event
    times = np.unique(stop[kinds == 1])
    hazard = fit.hazard * float(np.exp(fit.centre[fit.kept] @ fit.coefficients))
    passed = np.concatenate([[0.0], np.cumsum(hazard)])[np.searchsorted(times, stop, side="right")]
    strata = np.zeros(len(times), dtype=int)
    return CoxState(
        given.design, given.steps, fit.coefficients, columns[fit.kept], widened(given.design, fit.null),
        null_rows(centred, independent_columns(centred)), fit.centre, V,
        Baseline(times, strata, hazard, None, None, ("",), float(stop.max())), (kinds == 1).astype(int),
        passed * np.exp(eta), eta, (fit.log_likelihood_null, fit.log_likelihood),
    )  # fmt: skip


def _glance(model: Any, given: Hazard, fit: FineGrayFit) -> pd.DataFrame:
    kinds = given.times.event
    counts = {"n_obs": len(given.frame), "n_events": int((kinds == 1).sum()), "n_competing": int((kinds == 2).sum())}
    for name in (model.patient, model.cluster):
        if name is not None:
            counts[f"n_{name}"] = int(given.frame[name].nunique())
    return glance_frame(
        counts, log_likelihood=fit.log_likelihood, deviance=-2 * fit.log_likelihood,
        method="weighted partial likelihood (Fine–Gray)", df_method="normal", converged=True,
    )  # fmt: skip
