"""The rows and the one line that a mixed model reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.mixed.parts import Evaluation, factors
from alliance_stats.result import Result, glance_frame, tidy_frame

if TYPE_CHECKING:
    from alliance_stats.models.mixed import MixedState
    from alliance_stats.models.mixed_groupings import Grouping


def fixed_rows(draft: Result) -> pd.DataFrame:
    """Tidy rows of the fixed coefficients, with the degrees of freedom of the model."""
    beta = draft.state.coefficients
    se = np.sqrt(np.diag(draft.covariance))
    df = draft.model._df(draft, np.eye(len(beta)))
    half = t_quantile((1 + draft.model.level) / 2, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        t = beta / se
    return tidy_frame(
        term=draft.covariance.index, component="fixed", estimate=beta, std_error=se, statistic=t,
        df=np.where(np.isinf(df), np.nan, df), p_value=t_p_value(t, df), conf_low=beta - half, conf_high=beta + half,
        interval=np.where(np.isinf(df), "normal", "t"),
    )  # fmt: skip


def random_rows(state: MixedState) -> pd.DataFrame:
    """Standard deviations and correlations of the random effects, finest factor first, and the residual's."""
    rows = [row for grouping, (_, _, psi) in zip(state.groupings, covariances(state), strict=True)
            for row in _of_grouping(grouping, psi)]  # fmt: skip
    rows += [("sd(residual)", "residual", stratum, sd) for stratum, sd in residual_deviations(state)]
    return tidy_frame(**dict(zip(("term", "component", "group", "estimate"), zip(*rows, strict=True), strict=True)))


def residual_deviations(state: MixedState) -> list[tuple[str, float]]:
    """Strata (one without a name where there are none) and their residual standard deviations."""
    return [("", state.sigma)] if state.strata is None else state.strata.deviations(state.sigma)


def residual_variance(state: MixedState) -> float:
    """σ²; with strata, the mean over the rows."""
    return state.sigma**2 * (1.0 if state.strata is None else state.strata.mean_square())


def covariances(state: MixedState) -> list[tuple[str, tuple[str, ...], np.ndarray]]:
    """Grouping factor, names of its effects, and their covariance matrix σ²Ψ."""
    shapes = [(g.level.q, g.level.rows, g.level.columns) for g in state.groupings]
    Ls = factors(state.theta, shapes)
    return [(g.name, g.effects, state.sigma**2 * L @ L.T) for g, L in zip(state.groupings, Ls, strict=True)]


def glance_row(draft: Result, at: Evaluation, *, converged: bool, singular: bool) -> pd.DataFrame:
    """Sizes, likelihood, ICC and R² (Nakagawa & Schielzeth 2013, with random slopes after Johnson 2014)."""
    state, model = draft.state, draft.model
    k = len(state.coefficients) + len(state.theta) + len(residual_deviations(state))
    n = len(state.fitted)
    random = random_variance(state)
    fixed = float(np.var(state.fitted_population, ddof=1))
    residual = residual_variance(state)
    total = fixed + random + residual
    counts = {"n_obs": n} | {f"n_{g.name.replace(':', '_')}": len(g.groups) for g in state.groupings}
    return glance_frame(
        counts, log_likelihood=-at.value / 2, criterion=at.value, deviance=at.value, aic=at.value + 2 * k,
        bic=at.value + np.log(n) * k, method=model.method, df_method=model.df_method, converged=converged,
        singular=singular, sigma=float(np.sqrt(residual)), icc=random / (random + residual), r2_marginal=fixed / total,
        r2_conditional=(fixed + random) / total,
    )  # fmt: skip


def random_variance(state: MixedState) -> float:
    """Variance of the random part of the outcome, averaged over the rows (Johnson 2014, doi 10.1111/2041-210X.12225)."""
    parts = [
        np.einsum("ij,jk,ik->i", g.level.Z, psi, g.level.Z).mean()
        for g, (_, _, psi) in zip(state.groupings, covariances(state), strict=True)
    ]
    return float(np.sum(parts))


def _of_grouping(grouping: Grouping, psi: np.ndarray) -> list[tuple[str, str, str, float]]:
    """Correlations are those of the same term; with a variance of zero there is none."""
    name, effects, level = grouping.name, grouping.effects, grouping.level
    sd = np.sqrt(np.maximum(np.diag(psi), 0))
    rows = [(f"sd({effect})", "random", name, float(s)) for effect, s in zip(effects, sd, strict=True)]
    for i, j in sorted(zip(level.rows.tolist(), level.columns.tolist(), strict=True)):
        if i != j and sd[i] > 0 and sd[j] > 0:
            correlation = float(np.clip(psi[i, j] / (sd[i] * sd[j]), -1, 1))
            rows.append((f"cor({effects[j]},{effects[i]})", "correlation", name, correlation))
    return rows
