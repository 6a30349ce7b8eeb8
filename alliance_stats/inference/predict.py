"""Predictions for new rows and simulated responses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result


def predict(result: Result, new: pd.DataFrame | None = None) -> pd.DataFrame:
    """Expected outcome for new rows (or the rows of the fit), with standard error and interval of the mean.

    New rows pass through the preparing steps with the constants learned in fitting. A row with a missing predictor, or
    one that the data of the fit cannot speak for, gets a missing prediction. Columns ``fitted std_error conf_low
    conf_high``, in the order and with the index of ``new``. Raises DataError for an absent column or an unknown level.

    >>> from alliance_stats import LinearModel
    >>> fit = LinearModel("pain ~ week").fit(pd.DataFrame({"pain": [6.0, 5, 3], "week": [0, 1, 2]}))
    >>> predict(fit, pd.DataFrame({"week": [4]})).round(2).to_dict("list")
    {'fitted': [0.17], 'std_error': [0.9], 'conf_low': [-11.24], 'conf_high': [11.57]}
    """
    if new is not None and not isinstance(new, pd.DataFrame):
        raise DataError(f"predict: new is a {type(new).__name__}; give a pandas DataFrame")
    if new is None:
        frame = result.frame
    else:
        frame = new
        for step in result.state.steps:
            frame = step(frame)
    require_columns(frame.columns, result.state.design.variables, "predict")
    complete = frame[list(result.state.design.variables)].notna().all(axis=1)
    rows = pd.DataFrame(np.nan, index=frame.index, columns=["fitted", "std_error", "df"])
    if complete.any():  # by position: an index may repeat its labels
        rows.loc[complete.to_numpy()] = result.model._predict(result, frame[complete])[rows.columns].to_numpy()
    half = t_quantile((1 + result.model.level) / 2, rows["df"]) * rows["std_error"]
    return rows.assign(conf_low=rows["fitted"] - half, conf_high=rows["fitted"] + half).drop(columns="df")


def simulate(result: Result, n: int = 1, *, rng: Seed = 1) -> np.ndarray:
    """Responses drawn from the fitted model, shape (n, rows of the fit); same seed, same numbers."""
    return np.asarray(result.model._simulate(result, stream(rng, "simulate"), n))
