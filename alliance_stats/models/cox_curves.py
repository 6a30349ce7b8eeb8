"""What a fitted Cox model says in hazard ratios, baseline hazards, probabilities and frailties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.models.cox_state import CoxState, centre, spoken_for
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.survival.curves import limits
from alliance_stats.result import Result

Interval = Literal["log-log", "log", "plain"]


def hazard_ratios(
    result: Result, new: pd.DataFrame | None = None, reference: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Hazard ratios with intervals: of each coefficient, or of new rows to a reference row.

    Parameters
    ----------
    result : a fitted `CoxModel`; a `CompetingRisksModel` (cause-specific hazards, or those of the subdistribution under
        ``"fine-gray"``); or a `DiscreteTimeModel`, with random effects at the same therapist. Under its link ``"logit"`` the
        ratios are odds ratios of leaving in a session, and the column is named so.
    new : rows with the predictors; without them, one row a coefficient. The intercept of a discrete-time hazard is no ratio
        and is left out.
    reference : one row with the predictors; without it, the mean of the predictors in the fit.

    Returns ``term hazard_ratio conf_low conf_high p_value`` for coefficients, ``hazard_ratio conf_low conf_high`` with the
    index of ``new`` for rows (missing where a predictor is, or where the data cannot speak); ``odds_ratio`` instead of
    ``hazard_ratio`` for odds ratios. Raises AllianceError for other models.

    >>> from alliance_stats.models.cox import CoxModel
    >>> data = pd.DataFrame({"sessions": [2, 3, 5, 6, 7, 8], "left": [1, 1, 0, 1, 1, 0], "bond": [4.0, 5, 6, 3, 7, 6]})
    >>> fit = CoxModel("Surv(sessions, left) ~ bond").fit(data)
    >>> hazard_ratios(fit)[["term", "hazard_ratio"]].round(2).values.tolist()
    [['bond', 0.62]]
    """
    discrete = isinstance(result.model, DiscreteTimeModel)
    if not discrete:
        _state(result, "hazard_ratios", "a CoxModel, a CompetingRisksModel or a DiscreteTimeModel")
    ratio = "odds_ratio" if discrete and result.model.link == "logit" else "hazard_ratio"
    if new is None:
        wanted = result.estimates["component"].isin(["fixed", "hazard"]) & (result.estimates["term"] != "Intercept")
        rows = result.estimates[wanted].reset_index(drop=True)
        columns = ((ratio, "estimate"), ("conf_low", "conf_low"), ("conf_high", "conf_high"))
        ratios = {name: np.exp(rows[column]) for name, column in columns}
        return pd.DataFrame({"term": rows["term"]} | ratios | {"p_value": rows["p_value"]})
    if reference is not None and len(reference) != 1:
        raise DataError(f"hazard_ratios: reference has {len(reference)} rows; give one")
    columns_of = discrete_rows if discrete else rows_of
    at = _middle(result) if reference is None else columns_of(result, reference)[0]
    away = columns_of(result, new) - at
    log_ratio = away @ result.state.coefficients
    std_error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", away, result.covariance.to_numpy(), away), 0))
    half = t_quantile((1 + result.model.level) / 2, np.inf) * std_error
    return pd.DataFrame(
        {ratio: np.exp(log_ratio), "conf_low": np.exp(log_ratio - half), "conf_high": np.exp(log_ratio + half)},
        index=new.index,
    )


def baseline_hazard(result: Result) -> pd.DataFrame:
    """Cumulative hazard with all predictors at zero (factors at their first level): ``stratum time hazard cumulative_hazard``.

    ``hazard`` is the increment at each event time, Efron's or Breslow's as the ties of the fit; R's
    ``basehaz(centered=FALSE)``. Under ``"fine-gray"`` it is the subdistribution's.
    """
    state = _state(result, "baseline_hazard")
    base = state.baseline
    hazard = base.hazard * np.exp(-centre(state) @ state.coefficients)
    names = np.array(base.labels, dtype=object)[base.strata]
    table = pd.DataFrame({"stratum": pd.array(names, dtype="str"), "time": base.times, "hazard": hazard})
    return table.assign(cumulative_hazard=table.groupby("stratum", sort=False)["hazard"].cumsum())


def event_probabilities(
    result: Result,
    new: pd.DataFrame,
    times: Sequence[float],
    *,
    stratum: str | None = None,
    interval: Interval = "log-log",
) -> pd.DataFrame:
    """Probability of no event by given times, and of an event, for new rows whose predictors stay as they are.

    Parameters
    ----------
    result : a fitted `CoxModel` or `CompetingRisksModel`.
    new : rows with the predictors.
    times : times, e.g. session numbers.
    stratum : of a stratified fit, one of the names in `baseline_hazard`.
    interval : ``"log-log"``, ``"log"`` (R's default) or ``"plain"``.

    Returns ``row time survival probability std_error conf_low conf_high``; ``probability`` is 1 − survival, and standard error
    and interval are those of survival (Tsiatis 1981, doi 10.1214/aos/1176345463; with ``cluster=`` the robust covariance).
    Under ``"fine-gray"`` ``probability`` is the cumulative incidence of the cause and no interval is given; of a
    cause-specific hazard alone it is no probability in a world with other causes, and an AllianceError is raised. Times beyond
    the last of the data are missing.
    """
    state = _state(result, "event_probabilities")
    if interval not in get_args(Interval):
        raise AllianceError(f"interval is {interval!r}; use one of {', '.join(get_args(Interval))}")
    if getattr(result.model, "method", "") == "cause-specific":
        raise AllianceError(
            "event_probabilities: the hazard of one cause alone gives no probability where there are others; use "
            "method='fine-gray', or aalen_johansen"
        )
    mine = state.baseline.strata == stratum_number(state, stratum)
    at = np.asarray(times, dtype=float)
    upto = np.searchsorted(state.baseline.times[mine], at, side="right")
    away = rows_of(result, new) - centre(state)
    scale = np.exp(away @ state.coefficients)[:, None]
    total = scale * running(state.baseline.hazard[mine])[upto]
    survival = np.exp(-total)
    low = high = error = np.full(survival.shape, np.nan)
    if state.baseline.variance is not None and state.baseline.means is not None:
        spread = running(state.baseline.variance[mine])[upto] + _quadratic(result, state, mine, upto, away)
        variance = scale**2 * spread
        error = survival * np.sqrt(variance)
        low, high = limits(survival, variance, interval, result.model.level)
    beyond = at > state.baseline.last
    columns = {
        "survival": survival,
        "probability": 1 - survival,
        "std_error": error,
        "conf_low": low,
        "conf_high": high,
    }
    return pd.DataFrame(
        {"row": np.repeat(new.index, len(at)), "time": np.tile(at, len(new))}
        | {name: np.where(beyond, np.nan, values).ravel() for name, values in columns.items()}
    )


def frailties(result: Result) -> pd.DataFrame:
    """Log-frailty of each group with its standard error, and the factor on the hazard it stands for.

    Columns ``group level log_frailty std_error frailty``. Raises AllianceError for a fit without frailty.
    """
    state = _state(result, "frailties")
    if state.log_frailties is None:
        raise AllianceError("frailties: this fit has none; declare frailty=('gamma', 'column')")
    return pd.DataFrame(
        {
            "group": pd.array([result.model._group] * len(state.groups), dtype="str"), "level": list(state.groups),
            "log_frailty": state.log_frailties, "std_error": state.frailty_errors, "frailty": np.exp(state.log_frailties),
        }
    )  # fmt: skip


def rows_of(result: Result, new: pd.DataFrame) -> np.ndarray:
    """Columns of the coefficients of a hazard model, after the steps of the fit; missing where a predictor is."""
    state: CoxState = result.state
    new, complete = _complete(result, new)
    out = np.full((len(new), len(state.kept)), np.nan)
    if complete.any():
        rows = state.design.matrix(new[complete])
        out[complete] = np.where(spoken_for(state, rows)[:, None], rows[:, state.kept], np.nan)
    return out


def discrete_rows(result: Result, new: pd.DataFrame) -> np.ndarray:
    """The same of a discrete-time hazard, whose first column may be an intercept."""
    state: GeneralizedState = result.state
    new, complete = _complete(result, new)
    out = np.full((len(new), len(state.kept)), np.nan)
    if complete.any():
        rows = state.design.matrix(new[complete])
        off = np.abs(rows @ state.null.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(rows).max(initial=0.0))
        out[complete] = np.where(off[:, None], np.nan, rows[:, state.kept])
    return out


def stratum_number(state: CoxState, name: str | None) -> int:
    """The place of a stratum among the names of the baseline; without a name, the only one."""
    labels = state.baseline.labels
    if name is None and len(labels) == 1:
        return 0
    if name not in labels:
        raise AllianceError(f"stratum is {name!r}; use one of {', '.join(map(repr, labels))}")
    return labels.index(name)


def running(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, … increments."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


def _state(result: Result, where: str, needed: str = "a CoxModel or a CompetingRisksModel") -> CoxState:
    if not isinstance(result.state, CoxState):
        raise AllianceError(f"{where}: needs {needed}, not a {type(result.model).__name__}")
    return result.state


def _complete(result: Result, new: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows after the steps of the fit, and which of them have all predictors."""
    for step in result.state.steps:
        new = step(new)
    needed = list(result.state.design.variables)
    require_columns(new.columns, needed, "new")
    return new, new[needed].notna().all(axis=1).to_numpy()


def _middle(result: Result) -> np.ndarray:
    """Means of the predictors in the fit."""
    if isinstance(result.state, CoxState):
        return centre(result.state)
    return np.asarray(result.state.design.matrix(result.frame)[:, result.state.kept].mean(axis=0))


def _quadratic(result: Result, state: CoxState, mine: np.ndarray, upto: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Variance from the coefficients: q′Vq, q = Σ (x̄ − x) dΛ, shape (rows, times)."""
    base = state.baseline
    assert base.means is not None
    q = running(base.means[mine])[upto] - away[:, None, :] * running(base.hazard[mine])[upto][:, None]
    return np.asarray(np.einsum("rtj,jk,rtk->rt", q, result.covariance.to_numpy(), q))
