"""What the outcome of the same patients would be with each therapist: random effects on the scale of the outcome."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.grid import At
from alliance_stats.inference.groups import random_effects
from alliance_stats.inference.refit import grouping_of
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.generalized_predict import averaged_mean, linear_part, population_variance
from alliance_stats.models.mixed_groupings import random_columns
from alliance_stats.result import Result, tidy_frame

NODES = 201  # values of a random effect between which the mean, a smooth curve, is interpolated


def group_outcomes(result: Result, group: str, *, at: At | None = None) -> pd.DataFrame:
    """Expected share or count of each therapist (or other group) with the same patients; ``figures.caterpillar`` draws it.

    Parameters
    ----------
    result : a fitted `GeneralizedMixedModel` in which the group has a random intercept alone.
    group : the grouping factor, e.g. ``"therapist"``.
    at : predictors set to a value in every row, e.g. ``{"arm": "enhanced"}``.

    Returns
    -------
    Tidy rows, ``at`` the group's name, and the columns ``reference``, the outcome at a random effect of zero, and ``unit``,
    ``"share"`` or ``"count"``. The estimate is the mean over all rows of the fit as if each belonged to this group, so that
    groups are compared with the same patients; other random effects are averaged over. Estimate and interval are those of the
    conditional mode carried over: an interval excludes the reference where that of the mode excludes 0. They hold
    coefficients and variances fixed.

    Raises AllianceError for other models, an unknown group, and a group with random slopes.

    >>> from alliance_stats import GeneralizedMixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(list("abcdef"), 40), "assigned": 10})
    >>> data["completed"] = rng.binomial(10, np.repeat([0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 40))
    >>> fit = GeneralizedMixedModel("completed | trials(assigned) ~ 1 + (1 | therapist)").fit(data)
    >>> group_outcomes(fit, "therapist")["estimate"].round(1).tolist()
    [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    """
    if not isinstance(result.state, GeneralizedState):
        raise AllianceError(
            f"group_outcomes: {type(result.model).__name__} is no GeneralizedMixedModel; see random_effects()"
        )
    grouping = grouping_of(result, group, "group_outcomes")
    if grouping.effects != ("Intercept",):
        raise AllianceError(
            f"group_outcomes: '{group}' has the effects {', '.join(grouping.effects)}; it is for an intercept alone"
        )
    effects = random_effects(result, group)
    outcome = _outcome_of(result, group, at)
    limits = effects[["estimate", "conf_low", "conf_high"]].to_numpy()
    values = _interpolated(outcome, limits)
    rows = tidy_frame(
        term=effects["term"], component="effect", group=group, at=effects["at"], estimate=values[:, 0],
        conf_low=values[:, 1], conf_high=values[:, 2], interval="normal",
    )  # fmt: skip
    unit = "count" if result.state.link == "log" else "share"
    return rows.assign(reference=float(outcome(np.zeros(1))[0]), unit=unit)


def _outcome_of(result: Result, group: str, at: At | None) -> Callable[[np.ndarray], np.ndarray]:
    """Mean over the rows of the fit as a function of the group's random effect, (values,) → (values,)."""
    state: GeneralizedState = result.state
    frame = result.frame.assign(**dict(at or {}))
    _, eta = linear_part(result, frame)
    if np.isnan(eta).any():
        raise AllianceError("group_outcomes: the rows rest on terms that the data cannot tell apart (see the notes)")
    codes = [np.full(len(frame), 0 if grouping.name == group else -1) for grouping in state.groupings]
    variance = population_variance(state, [random_columns(frame, g) for g in state.groupings], codes)
    different, counts = np.unique(np.column_stack([eta, variance]), axis=0, return_counts=True)

    def outcome(effects: np.ndarray) -> np.ndarray:
        means = [averaged_mean(state.link, different[:, 0] + b, different[:, 1]) for b in effects]
        return np.array([counts @ mean / counts.sum() for mean in means])

    return outcome


def _interpolated(outcome: Callable[[np.ndarray], np.ndarray], effects: np.ndarray) -> np.ndarray:
    if effects.size <= NODES or np.ptp(effects) == 0:
        return outcome(effects.ravel()).reshape(effects.shape)
    from scipy.interpolate import CubicSpline

    nodes = np.linspace(effects.min(), effects.max(), NODES)
    return np.asarray(CubicSpline(nodes, outcome(nodes))(effects))
