"""Linear combinations of the coefficients of a result: the arithmetic under contrasts, means and slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.distributions import f_p_value, never_zero, t_p_value, t_quantile
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.multiplicity import adjusted_p
from alliance_stats.result import Result, tidy_frame

Adjust = Literal["none", "holm", "bonferroni", "hochberg", "hommel", "BH", "BY"]


def combine(
    result: Result,
    weights: np.ndarray,
    terms: Sequence[str],
    *,
    at: Sequence[str] | str = "",
    null: float = 0.0,
    adjust: Adjust = "none",
    level: float | None = None,
) -> pd.DataFrame:
    """Tidy rows of weights @ coefficients; ``weights`` has one row a combination over all columns of the design.

    The rows are one family: p-values are adjusted over it. With ``"bonferroni"`` the intervals are simultaneous too;
    with the other methods they stay those of the single comparison. Raises AllianceError for a combination that the
    data cannot estimate.
    """
    L = estimable(result, weights, terms)
    estimate = L @ result.state.coefficients
    variance = np.einsum("ij,jk,ik->i", L, result.covariance.to_numpy(), L)
    std_error = np.sqrt(np.maximum(variance, 0))  # a singular covariance rounds to below zero
    df = result.model._df(result, L)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.isnan(df), np.nan, (estimate - null) / std_error)
    miss = 1 - (result.model.level if level is None else level)
    half = t_quantile(1 - miss / 2 / (len(L) if adjust == "bonferroni" else 1), df) * std_error
    return tidy_frame(
        term=terms, component="effect", at=at, estimate=estimate, std_error=std_error, statistic=t, df=df,
        p_value=adjusted(t_p_value(t, df), adjust), conf_low=estimate - half, conf_high=estimate + half,
        interval=np.where(np.isinf(df), "normal", "t"),
    )  # fmt: skip


def joint_test(result: Result, weights: np.ndarray, name: str) -> dict[str, float | str]:
    """F test that all rows of weights @ coefficients are zero, with the df of the result's covariance.

    With CR2 it is the approximate Hotelling test of Tipton & Pustejovsky (2015, doi 10.3102/1076998615606099).
    """
    L = independent_rows(estimable(result, weights, [name] * len(weights)))
    q, estimate = len(L), L @ result.state.coefficients
    V = L @ result.covariance.to_numpy() @ L.T
    scale = np.sqrt(np.maximum(np.diag(V), np.finfo(float).tiny))  # units must not look like a loss of rank
    unknown = np.isnan(result.model._df(result, L)).any()
    if unknown or np.linalg.matrix_rank(V / np.outer(scale, scale), hermitian=True) < q:
        raise AllianceError(
            f"{name}: {q} restrictions cannot be tested jointly with this covariance; too few clusters?"
        )
    df, factor = result.model._joint_df(result, L)
    if df <= 0:
        raise AllianceError(f"{name}: {q} restrictions cannot be tested jointly; the clusters leave {df:.1f} df")
    F = float(estimate @ np.linalg.solve(V, estimate)) / q * factor
    return {"term": name, "df_num": float(q), "df": df, "statistic": F, "p_value": float(f_p_value(F, q, df))}


def adjusted(p: np.ndarray, method: str) -> np.ndarray:
    """p-values adjusted for the number of comparisons.

    >>> adjusted(np.array([0.01, 0.03, 0.04]), "holm").round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    if method not in get_args(Adjust):
        raise AllianceError(f"adjust is {method!r}; use one of {', '.join(get_args(Adjust))}")
    if method == "none" or len(p) < 2:
        return p
    return never_zero(adjusted_p(p, method))


def estimable(result: Result, weights: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    """Weights on the coefficients that were kept; AllianceError where a combination rests on one left out."""
    L = np.atleast_2d(np.asarray(weights, dtype=float))
    off = np.abs(L @ result.state.null.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(L).max())
    if off.any():
        raise AllianceError(
            f"{list(terms)[int(np.flatnonzero(off)[0])]!r} cannot be estimated: it rests on terms that the data "
            "cannot tell apart (see the notes of the result)"
        )
    return np.asarray(L[:, result.state.kept])


def independent_rows(L: np.ndarray) -> np.ndarray:
    """Rows that are not combinations of rows above them."""
    return np.asarray(L[independent_columns(L.T)])
