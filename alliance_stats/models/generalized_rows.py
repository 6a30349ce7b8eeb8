"""The rows and the one line that a generalised mixed model reports beside those of its fixed and random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.mixed_rows import random_variance
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result, glance_frame, tidy_frame

if TYPE_CHECKING:
    from alliance_stats.models.generalized import GeneralizedState

LARGEST = 100.0  # of the half width of the interval of a log dispersion that the data leave open


def precision_rows(draft: Result) -> list[pd.DataFrame]:
    """The dispersion parameter, its interval made on the log scale; nothing for families without one."""
    state: GeneralizedState = draft.state
    name = FAMILIES[draft.model.family].dispersion
    if not name:
        return []
    value, error = state.dispersion, state.dispersion_error
    half = float(t_quantile((1 + draft.model.level) / 2, np.inf)) * error
    reach = float(np.exp(np.minimum(half, LARGEST)))
    return [
        tidy_frame(
            term=[name], component="precision", estimate=[value], std_error=[value * error], conf_low=[value / reach],
            conf_high=[value * reach], interval="normal" if np.isfinite(error) else "",
        )
    ]  # fmt: skip


def glance_row(draft: Result, value: float, *, converged: bool, singular: bool) -> pd.DataFrame:
    """Sizes, likelihood, ICC and R² on the scale of the linear predictor (Nakagawa, Johnson & Schielzeth 2017)."""
    state: GeneralizedState = draft.state
    model, n = draft.model, len(state.fitted)
    family = FAMILIES[model.family]
    k = len(state.coefficients) + len(state.theta) + bool(family.dispersion)
    counts = {"n_obs": n} | {f"n_{g.name.replace(':', '_')}": len(g.groups) for g in state.groupings}
    method = "Laplace" if model.quadrature == 1 else f"AGQ({model.quadrature})"
    mixed = {"singular": singular, **_shares(draft)} if state.groupings else {}
    return glance_frame(
        counts, log_likelihood=-value / 2, criterion=value, deviance=value, aic=value + 2 * k,
        bic=value + np.log(n) * k, method=method if mixed else "ML", df_method="normal", converged=converged, **mixed,
    )  # fmt: skip


def _shares(draft: Result) -> dict[str, float | bool]:
    """ICC and R², where the family has a variance of its own on the scale of the linear predictor."""
    state: GeneralizedState = draft.state
    family = FAMILIES[draft.model.family]
    own = family.own_variance(state.link, float(state.outcome.y.mean()), state.dispersion)
    if not np.isfinite(own):
        return {}
    X = state.design.matrix(draft.frame)[:, state.kept]
    fixed, random = float(np.var(X @ state.coefficients, ddof=1)), random_variance(state)  # type: ignore[arg-type]
    total = fixed + random + own
    return {"icc": random / (random + own), "r2_marginal": fixed / total, "r2_conditional": (fixed + random) / total}
