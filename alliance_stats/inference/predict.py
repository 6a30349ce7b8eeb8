"""Predictions for new rows and simulated responses."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.inference.prediction_error import conditional_std_error
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result

Groups = Literal["conditional", "population"]


def predict(result: Result, new: pd.DataFrame | None = None, *, groups: Groups = "conditional") -> pd.DataFrame:
    """Expected outcome for new rows (or the rows of the fit), with standard error and interval of the mean.

    Parameters
    ----------
    result : a fitted model.
    new : rows with the predictors and, for conditional predictions of a mixed model, the columns of the groups.
    groups : of a mixed model, ``"conditional"`` adds the random effects of the groups that were in the fit; a group that was
        not, or a missing label, gets the population's prediction. ``"population"`` leaves all random effects out.

    New rows pass through the preparing steps with the constants learned in fitting. A row with a missing predictor, or
    one that the data of the fit cannot speak for, gets a missing prediction. Columns ``fitted std_error conf_low
    conf_high``, in the order and with the index of ``new``.

    Standard errors of the population's mean come with the model's degrees of freedom. Those of conditional predictions are
    of the group's own mean, β and b jointly, given the estimated variances (Henderson 1975, doi 10.2307/2529430), with normal
    intervals; for a new group they contain the variance between groups.

    Raises DataError for an absent column or an unknown level, AllianceError for ``groups="population"`` without groups.

    >>> from alliance_stats import LinearModel
    >>> fit = LinearModel("pain ~ week").fit(pd.DataFrame({"pain": [6.0, 5, 3], "week": [0, 1, 2]}))
    >>> predict(fit, pd.DataFrame({"week": [4]})).round(2).to_dict("list")
    {'fitted': [0.17], 'std_error': [0.9], 'conf_low': [-11.24], 'conf_high': [11.57]}
    """
    _require_groups(result, groups)
    if new is not None and not isinstance(new, pd.DataFrame):
        raise DataError(f"predict: new is a {type(new).__name__}; give a pandas DataFrame")
    frame = result.frame if new is None else _prepared(result, new)
    conditional = groups == "conditional" and isinstance(result.model, MixedModel)
    needed = _needed(result, conditional=conditional)
    require_columns(frame.columns, needed, "predict")
    complete = frame[needed].notna().all(axis=1)
    rows = pd.DataFrame(np.nan, index=frame.index, columns=["fitted", "std_error", "df"])
    if complete.any():  # by position: an index may repeat its labels
        found = _conditional(result, frame[complete]) if conditional else result.model._predict(result, frame[complete])
        rows.loc[complete.to_numpy()] = found[rows.columns].to_numpy()
    if conditional and new is None:
        rows["fitted"] = result.state.fitted
    half = t_quantile((1 + result.model.level) / 2, rows["df"]) * rows["std_error"]
    return rows.assign(conf_low=rows["fitted"] - half, conf_high=rows["fitted"] + half).drop(columns="df")


def _conditional(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """The population's prediction with the random effects of known groups."""
    rows: pd.DataFrame = result.model._predict(result, frame)
    std_error = np.where(rows["fitted"].isna(), np.nan, conditional_std_error(result, frame))
    return rows.assign(
        fitted=rows["fitted"] + result.model._random_part(result, frame)[0], std_error=std_error, df=np.inf
    )


def _prepared(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    for step in result.state.steps:
        frame = step(frame)
    return frame


def _needed(result: Result, *, conditional: bool) -> list[str]:
    """Predictors that must not be missing; a missing group is a new group."""
    names = list(result.state.design.variables)
    if conditional:
        names += [name for g in result.state.groupings for design in g.designs for name in design.variables]
    return list(dict.fromkeys(names))


def _require_groups(result: Result, groups: str) -> None:
    if groups not in get_args(Groups):
        raise AllianceError(f"predict: groups is {groups!r}; use 'conditional' or 'population'")
    if groups == "population" and not isinstance(result.model, MixedModel):
        raise AllianceError(
            f"predict: groups='population' is for mixed models; {type(result.model).__name__} has no groups"
        )


def simulate(result: Result, n: int = 1, *, rng: Seed = 1) -> np.ndarray:
    """Responses drawn from the fitted model, shape (n, rows of the fit); same seed, same numbers."""
    return np.asarray(result.model._simulate(result, stream(rng, "simulate"), n))
