"""What predict does with a generalised mixed model: complete rows, their standard errors, and the scale asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alliance_stats import Result
from alliance_stats.errors import require_columns
from alliance_stats.inference.prediction_error import conditional_std_error
from alliance_stats.models.generalized_predict import predicted


def predict(
    result: Result, new: pd.DataFrame | None = None, *, groups: Any = "conditional", scale: Any = "response"
) -> pd.DataFrame:
    frame = result.frame if new is None else new
    if new is not None:
        for step in result.state.steps:
            frame = step(frame)
    names = list(result.state.design.variables)
    if groups != "typical":
        names += [name for g in result.state.groupings for design in g.designs for name in design.variables]
    names += [*(result.state.left.columns if scale == "response" else ())]
    names += [result.model.exposure] if result.model.exposure else []
    needed = list(dict.fromkeys(names))
    require_columns(frame.columns, needed, "predict")
    complete = frame[needed].notna().all(axis=1)
    rows = pd.DataFrame(np.nan, index=frame.index, columns=["fitted", "std_error", "conf_low", "conf_high"])
    if complete.any():
        own = frame[complete]
        error = conditional_std_error(result, own) if groups == "conditional" else None
        rows.loc[complete.to_numpy()] = predicted(result, own, groups=groups, scale=scale, std_error=error).to_numpy()
    return rows
