"""Conditional modes of the random effects of a generalised mixed model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.mixed.effects import conditional_covariance
from alliance_stats.result import Result, tidy_frame


def conditional_modes(result: Result) -> pd.DataFrame:
    """Modes of the random effects given the outcomes and the estimates, with standard deviations and intervals.

    One row a group and effect, ``group`` the factor and ``at`` the group's name; tidy columns, on the scale of the linear
    predictor. The standard deviations are those of the normal approximation at the mode and hold coefficients and
    variances fixed, as lme4's ``condVar`` does.

    >>> from alliance_stats.models.generalized import GeneralizedMixedModel
    >>> data = pd.DataFrame({"therapist": list("aaaabbbbcccc"), "sessions": [4, 6, 5, 7, 1, 2, 1, 3, 9, 8, 7, 9]})
    >>> fit = GeneralizedMixedModel("sessions ~ 1 + (1 | therapist)", "poisson").fit(data)
    >>> conditional_modes(fit)[["at", "estimate"]].round(1).to_dict("list")
    {'at': ['a', 'b', 'c'], 'estimate': [0.2, -0.7, 0.6]}
    """
    state = result.state
    spread = conditional_covariance([g.level for g in state.groupings], state.theta, state.weights)
    reach = t_quantile((1 + result.model.level) / 2, np.inf)
    frames = []
    for grouping, modes, blocks in zip(state.groupings, state.modes, spread, strict=True):
        names, q = grouping.effects, grouping.level.q
        sd = np.sqrt(np.diagonal(blocks, axis1=1, axis2=2)).ravel()
        frames.append(
            tidy_frame(
                term=list(names) * len(grouping.groups), component="random", group=grouping.name,
                at=np.repeat(np.array(grouping.groups, dtype=object), q), estimate=modes.ravel(), std_error=sd,
                conf_low=modes.ravel() - reach * sd, conf_high=modes.ravel() + reach * sd, interval="normal",
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)
