"""Predicted means of models without random effects, with standard errors by the delta method."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.marginal_rows import new_trials
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glm_sandwich import QUASI_LINKS
from alliance_stats.result import Result

Scale = Literal["response", "mean", "link"]


def linear_predictor(result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of X of the terms that were kept, Xβ̂ and its standard error, missing where the data cannot speak."""
    state = result.state
    rows = state.design.matrix(frame)
    off = np.abs(rows @ state.null.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(rows).max(initial=0.0))
    X = rows[:, state.kept]
    variance = np.einsum("ij,jk,ik->i", X, result.covariance.to_numpy(), X)
    return X, np.where(off, np.nan, X @ state.coefficients), np.where(off, np.nan, np.sqrt(np.maximum(variance, 0)))


def mean_frame(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """``fitted std_error df`` in the unit of the outcome: successes of the trials where there are any."""
    X, eta, error = linear_predictor(result, frame)
    slopes = QUASI_LINKS[result.state.link].slopes(eta)
    size = new_trials(result.state.left, frame)
    columns = {"fitted": size * slopes.mean, "std_error": size * np.abs(slopes.first) * error}
    return pd.DataFrame(columns | {"df": result.model._df(result, X)}, index=frame.index)


def predicted(result: Result, frame: pd.DataFrame, *, scale: Scale = "response") -> pd.DataFrame:
    """Columns ``fitted std_error conf_low conf_high``, intervals made on the scale of the link and carried over.

    ``"response"`` is in the outcome's unit (successes of the trials), ``"mean"`` a share, ``"link"`` the linear predictor.
    """
    if scale not in ("response", "mean", "link"):
        raise AllianceError(f"predict: scale is {scale!r}; use 'response', 'mean' or 'link'")
    X, eta, error = linear_predictor(result, frame)
    half = t_quantile((1 + result.model.level) / 2, result.model._df(result, X)) * error
    columns: dict[str, Any] = {"fitted": eta, "std_error": error, "conf_low": eta - half, "conf_high": eta + half}
    if scale != "link":
        function = QUASI_LINKS[result.state.link]
        size = new_trials(result.state.left, frame) if scale == "response" else np.ones(len(frame))
        slope = np.abs(function.slopes(eta).first)
        columns = {name: size * function.mean(value) for name, value in columns.items()}
        columns["std_error"] = size * slope * error
    return pd.DataFrame(columns, index=frame.index)
