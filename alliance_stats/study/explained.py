"""The share of the outcome's variance that one predictor explains beyond the others, with an interval."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.linear import LinearModel
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result, estimate_row, tidy_frame


def explained(result: Result, term: str) -> pd.DataFrame:
    """What a term adds to R², of all variance and of the variance that the other terms leave.

    The share of the rest is the squared partial correlation r². Its interval is Fisher's z for a partial correlation, on
    n − q − 3 with q other predictors, squared: it starts at 0 where the interval of r spans 0. The share of all variance is
    r² times the part that the others leave, which the interval takes as known. Standard errors are of the delta method, and
    too small where r is near 0.

    Source: Fisher 1924 (partial correlations); Cohen, Cohen, West & Aiken 2003, chapter 3.

    Raises AllianceError for other models than a LinearModel with classical standard errors.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"before": rng.normal(size=60), "alliance": rng.normal(size=60)})
    >>> data["after"] = 0.5 * data["before"] - 0.5 * data["alliance"] + rng.normal(size=60)
    >>> found = explained(LinearModel("after ~ before + alliance").fit(data), "alliance")
    >>> found[["term", "estimate", "conf_low", "conf_high"]].round(2).to_dict("records")[0]
    {'term': 'share of all variance', 'estimate': 0.12, 'conf_low': 0.01, 'conf_high': 0.29}
    """
    if not isinstance(result.model, LinearModel) or result.model.vcov != "classical":
        raise AllianceError("explained: needs a LinearModel with classical standard errors")
    row, df = estimate_row(result.estimates, term), result.state.df_residual
    r = float(row.statistic / np.sqrt(row.statistic**2 + df))
    left = (1 - _r_squared(result)) / (1 - r**2)
    spread = 1 / np.sqrt(df - 1)  # df = n − q − 2
    half = t_quantile((1 + result.model.level) / 2, np.inf) * spread
    low, high = np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
    ends = np.array([0.0 if low <= 0 <= high else min(low**2, high**2), max(low**2, high**2)])
    error = 2 * abs(r) * (1 - r**2) * spread
    scale = np.array([left, 1.0])
    return tidy_frame(
        term=["share of all variance", "share of the variance left"], component="effect", estimate=scale * r**2,
        std_error=scale * error, conf_low=scale * ends[0], conf_high=scale * ends[1], interval="normal",
    )  # fmt: skip


def _r_squared(result: Result) -> float:
    y = result.state.fitted + result.state.residual
    return 1 - float(result.state.residual @ result.state.residual / ((y - y.mean()) @ (y - y.mean())))
