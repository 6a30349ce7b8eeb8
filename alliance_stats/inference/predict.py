"""Predictions for new rows and simulated responses."""

from __future__ import annotations

from inspect import signature
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.inference.prediction_error import conditional_std_error
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result

Groups = Literal["conditional", "population", "typical"]
Scale = Literal["response", "mean", "link"]
COLUMNS = ["fitted", "std_error", "conf_low", "conf_high"]


def predict(
    result: Result, new: pd.DataFrame | None = None, *, groups: Groups = "conditional", scale: Scale = "response"
) -> pd.DataFrame:
    """Expected outcome for new rows (or the rows of the fit), with standard error and interval of the mean.

    Parameters
    ----------
    result : a fitted model.
    new : rows with the predictors and, for conditional predictions of a mixed model, the columns of the groups.
    groups : of a mixed model, ``"conditional"`` adds the random effects of the groups that were in the fit; a group that was
        not, or a missing label, gets the population's prediction. ``"population"`` is the average over all groups,
        ``"typical"`` a group whose random effects are zero: the same for a linear mixed model, not for shares and counts.
    scale : of models with a link, ``"response"`` is in the outcome's unit (successes of the trials, so that their column is
        needed), ``"mean"`` the share or count, ``"link"`` the linear predictor, on which the population is at random effects of
        zero. For models without a link all are the same.

    New rows pass through the preparing steps with the constants learned in fitting. A row with a missing predictor, or
    one that the data of the fit cannot speak for, gets a missing prediction. Columns ``fitted std_error conf_low
    conf_high``, in the order and with the index of ``new``.

    Standard errors of the population's mean come with the model's degrees of freedom. Those of conditional predictions are
    of the group's own mean, β and b jointly, given the estimated variances (Henderson 1975, doi 10.2307/2529430), with normal
    intervals; for a new group they contain the variance between groups. With a link they are by the delta method, those of
    averages over the groups with the uncertainty of the variances, and intervals are made on the scale of the link.

    Raises DataError for an absent column or an unknown level, AllianceError for ``groups`` without groups.

    >>> from alliance_stats import LinearModel
    >>> fit = LinearModel("pain ~ week").fit(pd.DataFrame({"pain": [6.0, 5, 3], "week": [0, 1, 2]}))
    >>> predict(fit, pd.DataFrame({"week": [4]})).round(2).to_dict("list")
    {'fitted': [0.17], 'std_error': [0.9], 'conf_low': [-11.24], 'conf_high': [11.57]}
    """
    _require_options(result, groups, scale)
    if new is not None and not isinstance(new, pd.DataFrame):
        raise DataError(f"predict: new is a {type(new).__name__}; give a pandas DataFrame")
    frame = result.frame if new is None else _prepared(result, new)
    needed = _needed(result, groups, scale)
    require_columns(frame.columns, needed, "predict")
    complete = frame[needed].notna().all(axis=1).to_numpy()
    rows = pd.DataFrame(np.nan, index=frame.index, columns=COLUMNS)
    if complete.any():  # by position: an index may repeat its labels
        found = _of_complete(result, frame[complete], groups, scale, own=new is None)
        rows.loc[complete] = found[COLUMNS].to_numpy()
    return rows


def _of_complete(result: Result, frame: pd.DataFrame, groups: Groups, scale: Scale, *, own: bool) -> pd.DataFrame:
    """Predictions of prepared rows without missing predictors; ``own`` where they are the rows of the fit."""
    conditional = groups == "conditional" and _has_groups(result)
    error = conditional_std_error(result, frame) if conditional else None
    if hasattr(result.model, "_predicted_in_groups"):
        made: pd.DataFrame = result.model._predicted_in_groups(
            result, frame, groups=groups, scale=scale, std_error=error
        )
        return made
    if hasattr(result.model, "_predicted"):
        options = {"scale": scale} if _has_scales(result) else {}
        made = result.model._predicted(result, frame, **options)
        return made
    rows: pd.DataFrame = result.model._predict(result, frame)
    if error is not None:
        fitted = result.state.fitted if own else rows["fitted"] + result.model._random_part(result, frame)[0]
        rows = rows.assign(fitted=fitted, std_error=np.where(rows["fitted"].isna(), np.nan, error), df=np.inf)
    half = t_quantile((1 + result.model.level) / 2, rows["df"]) * rows["std_error"]
    return rows.assign(conf_low=rows["fitted"] - half, conf_high=rows["fitted"] + half)


def _prepared(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    for step in result.state.steps:
        frame = step(frame)
    return frame


def _needed(result: Result, groups: Groups, scale: Scale) -> list[str]:
    """Predictors, trials and exposure that must not be missing; a missing group is a new group."""
    names = list(result.state.design.variables)
    averaged = groups == "population" and hasattr(result.model, "_predicted_in_groups")
    if _has_groups(result) and (groups == "conditional" or averaged):
        names += [name for g in result.state.groupings for design in g.designs for name in design.variables]
    if scale == "response" and getattr(result.state, "left", None) is not None:
        names += result.state.left.columns
    exposure = getattr(result.model, "exposure", None)
    return list(dict.fromkeys([*names, *([exposure] if exposure else [])]))


def _has_scales(result: Result) -> bool:
    """Whether the model itself can be asked for a scale."""
    if hasattr(result.model, "_predicted_in_groups"):
        return True
    return hasattr(result.model, "_predicted") and "scale" in signature(result.model._predicted).parameters


def _has_groups(result: Result) -> bool:
    return bool(getattr(result.state, "groupings", ()))


def _require_options(result: Result, groups: str, scale: str) -> None:
    name = type(result.model).__name__
    if groups not in get_args(Groups):
        raise AllianceError(f"predict: groups is {groups!r}; use 'conditional' or 'population', or 'typical'")
    if scale not in get_args(Scale):
        raise AllianceError(f"predict: scale is {scale!r}; use 'response', 'mean' or 'link'")
    if groups != "conditional" and not _has_groups(result):
        raise AllianceError(f"predict: groups={groups!r} is for mixed models; {name} has no groups here")
    if scale != "response" and not (_has_scales(result) or isinstance(result.model, LinearModel | MixedModel)):
        raise AllianceError(f"predict: scale={scale!r} is for models of an outcome's mean; {name} has one scale only")


def simulate(result: Result, n: int = 1, *, rng: Seed = 1) -> np.ndarray:
    """Responses drawn from the fitted model, shape (n, rows of the fit); same seed, same numbers."""
    return np.asarray(result.model._simulate(result, stream(rng, "simulate"), n))
