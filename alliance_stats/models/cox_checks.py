"""Whether a fitted Cox model holds: proportional hazards, concordance, residuals."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.cox_fit import risk_of
from alliance_stats.models.cox_state import CoxState, centre
from alliance_stats.models.survival_response import Times, read_survival_formula, survival_times
from alliance_stats.numerics.distributions import chi2_p_value, t_quantile
from alliance_stats.numerics.survival import checks
from alliance_stats.numerics.survival.cox import Partial, partial_likelihood
from alliance_stats.numerics.survival.curves import counts, product_limit
from alliance_stats.numerics.survival.risk import RiskSets
from alliance_stats.result import Result

Transform = Literal["km", "identity", "log", "rank"]


def proportional_hazards(result: Result, *, transform: Transform = "km") -> pd.DataFrame:
    """Test of proportional hazards, term by term and for all: does a log hazard ratio change with g(time)?

    ``transform`` is g: ``"km"`` (1 − Kaplan–Meier, the default of R's cox.zph, which the tests equal), ``"identity"``,
    ``"log"`` or ``"rank"``. Columns ``term statistic df p_value``; statistics are χ² of score tests, the last row is
    "all terms". Raises AllianceError for frailty fits. Source: Therneau & Grambsch 2000, doi 10.1007/978-1-4757-3294-8.

    >>> from alliance_stats.models.cox import CoxModel
    >>> data = pd.DataFrame({"sessions": [2, 3, 5, 6, 7, 8], "left": [1, 1, 0, 1, 1, 0], "bond": [4.0, 5, 6, 3, 7, 6]})
    >>> proportional_hazards(CoxModel("Surv(sessions, left) ~ bond").fit(data)).round(2).values.tolist()
    [['bond', 0.13, 1, 0.72], ['all terms', 0.13, 1, 0.72]]
    """
    if transform not in get_args(Transform):
        raise AllianceError(f"transform is {transform!r}; use one of {', '.join(get_args(Transform))}")
    times, risk, X, at = _refitted(result, "proportional_hazards")
    state: CoxState = result.state
    found = {
        name: [j for j, k in enumerate(state.kept) if of.start <= k < of.stop]
        for name, of in state.design.slices.items()
    }
    terms = {name: columns for name, columns in found.items() if columns}
    tests = checks.score_tests(risk, X, at, _transformed(times, risk, transform), list(terms.values()))
    table = pd.DataFrame(tests, columns=["statistic", "df"])
    table["p_value"] = chi2_p_value(table["statistic"], table["df"])
    return pd.concat([pd.Series([*terms, "all terms"], name="term", dtype="str"), table], axis=1)


def schoenfeld_residuals(result: Result) -> pd.DataFrame:
    """For each event and coefficient, the predictor minus its mean in the risk set; scaled, a log hazard ratio over time.

    Columns ``row time term residual scaled``, one row an event and term; ``row`` is the label of the event's row. ``scaled`` is
    residual × covariance × events + coefficient (Grambsch & Therneau 1994, doi 10.1093/biomet/81.3.515).
    """
    _, risk, X, at = _refitted(result, "schoenfeld_residuals")
    state: CoxState = result.state
    residual = checks.schoenfeld(risk, X, at)
    scaled = residual @ state.naive * len(residual) + state.coefficients
    p = len(state.kept)
    return pd.DataFrame(
        {
            "row": np.repeat(result.frame.index[risk.events], p), "time": np.repeat(risk.times[risk.at], p),
            "term": pd.array(list(result.covariance.index) * len(residual), dtype="str"),
            "residual": residual.ravel(), "scaled": scaled.ravel(),
        }
    )  # fmt: skip


def martingale_residuals(result: Result) -> pd.DataFrame:
    """Events observed minus expected of each row of the fit: ``event expected residual``, with the index of the rows."""
    state = _cox_state(result, "martingale_residuals")
    return pd.DataFrame(
        {"event": state.event, "expected": state.expected, "residual": state.event - state.expected},
        index=result.frame.index,
    )


def concordance(result: Result) -> pd.DataFrame:
    """Share of pairs in which the patient with the earlier event had the higher predicted hazard (Harrell's C).

    One row: ``concordance std_error conf_low conf_high n_concordant n_discordant n_tied``. Pairs are counted at each event time
    within strata; equal predictions count half. The standard error is the infinitesimal jackknife's, over clusters where the
    fit has them. Raises AllianceError for frailty fits.
    """
    _, risk, X, _ = _refitted(result, "concordance")
    found = checks.concordance(risk, X @ result.state.coefficients)
    influence = found.influence
    if result.model.cluster is not None:
        influence = np.bincount(result.frame[result.model.cluster].factorize()[0], influence)
    std_error = float(np.sqrt(influence @ influence))
    half = float(t_quantile((1 + result.model.level) / 2, np.inf)) * std_error
    return pd.DataFrame(
        [
            {
                "concordance": found.estimate, "std_error": std_error, "conf_low": found.estimate - half,
                "conf_high": found.estimate + half, "n_concordant": int(found.concordant),
                "n_discordant": int(found.discordant), "n_tied": int(found.tied),
            }
        ]
    )  # fmt: skip


def _cox_state(result: Result, where: str) -> CoxState:
    if not isinstance(result.state, CoxState) or getattr(result.model, "method", "") == "fine-gray":
        raise AllianceError(f"{where}: needs a CoxModel or a cause-specific model, not {_name(result.model)}")
    return result.state


def _name(model: Any) -> str:
    method = getattr(model, "method", "")
    return f"{type(model).__name__}(method={method!r})" if method else type(model).__name__


def _refitted(result: Result, where: str) -> tuple[Times, RiskSets, np.ndarray, Partial]:
    """Times, risk sets, centred columns and the likelihood at the estimate of a fit without frailty."""
    state = _cox_state(result, where)
    if state.log_frailties is not None:
        raise AllianceError(f"{where}: is not defined for a frailty fit; use cluster= instead of frailty=")
    surv = read_survival_formula(result.model.formula)[0]
    times = survival_times(result.frame, surv, kinds=True)
    times = Times(times.start, times.stop, state.event)
    risk = risk_of(result.model, result.frame, times)
    X = state.design.matrix(result.frame)[:, state.kept] - centre(state)
    return times, risk, X, partial_likelihood(risk, X, state.coefficients)


def _transformed(times: Times, risk: RiskSets, transform: str) -> np.ndarray:
    """g at each event, in the order of the events."""
    at = np.asarray(risk.times[risk.at])
    if transform == "identity":
        return at
    if transform == "log":
        if (at <= 0).any():
            raise AllianceError("transform='log': an event at time 0 has no logarithm; use 'km' or 'rank'")
        return np.asarray(np.log(at))
    if transform == "rank":
        from scipy.stats import rankdata

        return np.asarray(rankdata(times.stop)[risk.events])
    found = counts(times.stop, times.event, 1, times.start)
    survival = np.concatenate([[1.0], product_limit(found)[0]])
    return np.asarray(1 - survival[np.searchsorted(found.times, at)])
