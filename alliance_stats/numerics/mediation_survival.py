"""Natural effects on the probability of an event by a fixed time, from normal mediators and a Cox model.

Given exposure x, mediators m and covariates c, the probability of the event by the time h is 1 − exp(−exp(η)) with
η = log H₀(h) + x′β, H₀ being the cumulative baseline hazard: log H₀(h) is a parameter like the others, the first of its
equation. Mediators that are normal and enter additively make η normal, so that one integral a row remains.

It is taken by the trapezoid rule with 73 nodes from −7.2 to 7.2 standard deviations: the integrand is an entire function of
the predictor, of moderate size within π/2 of the real line, and the error falls as exp(−π²/(0.2 σ)), 1e-9 at a standard
deviation σ of 2.5 on the log hazard scale. Gauss–Hermite with as many nodes is at 1e-5 there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.mediation import System, averaged, mediator_means, predictor, slope
from alliance_stats.numerics.mediation_effects import ROOM
from alliance_stats.numerics.mediation_effects import _differences as differences
from alliance_stats.numerics.survival.cox import CoxFit, expected, fit_cox, score_residuals
from alliance_stats.numerics.survival.newton import MonotoneError
from alliance_stats.numerics.survival.risk import CLOSE, RiskSets, risk_sets

STEP, REACH = 0.2, 36
NODES = STEP * np.arange(-REACH, REACH + 1)
WEIGHTS = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()
MOST = 700.0  # exp beyond it leaves double precision; the event is certain long before


@dataclass(frozen=True, eq=False)
class HorizonFit:
    """A Cox model read at one time: ``parameters`` are log H₀ at that time, of a row of zeros, and the log hazard ratios.

    ``covariance`` is theirs together (Tsiatis 1981, doi 10.1214/aos/1176345463), ``influence`` (rows, parameters) the change
    of them by each row to first order, so that its cross-product is the robust covariance.
    """

    parameters: np.ndarray
    covariance: np.ndarray
    influence: np.ndarray
    cox: CoxFit


def reached(times: np.ndarray, horizon: float) -> np.ndarray:
    """Whether times lie at or before the horizon, but for rounding."""
    return np.asarray(times <= horizon + CLOSE * max(1.0, horizon))


def fit_horizon(stop: np.ndarray, event: np.ndarray, X: np.ndarray, horizon: float) -> HorizonFit:
    """Cox regression (Efron ties) and its baseline at the horizon; X has no intercept. MonotoneError without a maximum."""
    risk = risk_sets(None, stop, event, np.zeros(len(stop), dtype=int))
    cox = fit_cox(risk, X)
    columns = X[:, cox.kept]
    covariance, influence = _joint(risk, columns, cox, horizon)
    return HorizonFit(_parameters(risk, columns, cox, horizon), covariance, influence, cox)


def refit_horizon(stop: np.ndarray, event: np.ndarray, X: np.ndarray, horizon: float, counts: np.ndarray) -> np.ndarray:
    """Parameters of one resample, whose rows are repeated; missing where it has no estimate.

    That is so without an event by the horizon, without anyone followed that far, and where the likelihood has no maximum.
    """
    rows = np.repeat(np.arange(len(stop)), counts.astype(int))
    missing = np.full(X.shape[1] + 1, np.nan)
    stop, event, X = stop[rows], event[rows], X[rows]
    by_then = reached(stop, horizon)
    if not event[by_then].any() or stop.max() + CLOSE * max(1.0, horizon) < horizon:
        return missing
    risk = risk_sets(None, stop, event, np.zeros(len(stop), dtype=int))
    try:
        cox = fit_cox(risk, X)
    except MonotoneError:
        return missing
    return _parameters(risk, X, cox, horizon) if len(cox.kept) == X.shape[1] else missing


def _parameters(risk: RiskSets, X: np.ndarray, cox: CoxFit, horizon: float) -> np.ndarray:
    """Hazards inside the fit are those of the row with the highest predictor."""
    inside = reached(risk.times[risk.at], horizon)
    log_hazard = np.log(cox.at.hazard[inside].sum()) - (X @ cox.coefficients).max()
    return np.append(log_hazard, cox.coefficients)


def _joint(risk: RiskSets, X: np.ndarray, cox: CoxFit, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """Covariance and influence of log H₀ and the coefficients; −``pull`` is the derivative of log H₀ in these."""
    at, V = cox.at, cox.covariance
    jump = at.hazard * reached(risk.times[risk.at], horizon)
    total = jump.sum()
    pull = jump @ at.means / total
    covariance = np.block(
        [[np.atleast_2d(jump @ jump / total**2 + pull @ V @ pull), -(pull @ V)[None]], [-(V @ pull)[:, None], V]]
    )
    own = -expected(risk, at, jump)
    own[risk.events] += (risk.tied(jump) / risk.ties)[risk.at]
    beta = score_residuals(risk, X, at) @ V
    return covariance, np.column_stack([own / total - beta @ pull, beta])


def event_probability(eta: np.ndarray) -> np.ndarray:
    """1 − exp(−exp(η)).

    >>> event_probability(np.array([-np.inf, np.log(np.log(2)), 1e9])).round(3).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.asarray(-np.expm1(-np.exp(np.minimum(eta, MOST))))


def natural_effects(
    system: System, phi: np.ndarray, weights: np.ndarray | None = None, *, average_row: bool = False
) -> dict[str, np.ndarray]:
    """Every natural and controlled effect of each draw of the joint parameters, shape (draws,); ``weights`` as counts."""
    system = averaged(system, weights, always=average_row) or system
    weights = None if average_row else weights
    rows = max(matrix.shape[-2] for world in system.worlds for equation in world for _, matrix in equation)
    size = len(phi) if average_row else max(1, int(ROOM / rows / len(NODES)))
    pieces = [
        _effects(system, phi[i : i + size], None if weights is None else weights[i : i + size])
        for i in range(0, len(phi), size)
    ]
    return {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}


def _effects(system: System, phi: np.ndarray, weights: np.ndarray | None) -> dict[str, np.ndarray]:
    mean = _averager(weights, len(phi))
    R = {(x, m): mean(counterfactual_probability(system, phi, x, m)) for x in (0, 1) for m in (0, 1)}
    values = [np.full((1, 1, 1), value) for value in system.held]
    beta = phi[:, system.blocks[-1].coefficients]
    held = [mean(event_probability(predictor(system.worlds[x][-1], beta, values))[..., 0]) for x in (0, 1)]
    return differences(R, held)


def _averager(weights: np.ndarray | None, draws: int) -> Callable[[np.ndarray], np.ndarray]:
    def mean(values: np.ndarray) -> np.ndarray:
        if weights is None or values.shape[1] == 1:
            return np.broadcast_to(values.mean(axis=1), draws)
        return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1))

    return mean


def counterfactual_probability(system: System, phi: np.ndarray, outcome: int, mediators: int) -> np.ndarray:
    """P(event by the horizon) under exposure ``outcome`` with the mediators of ``mediators``; shape (draws, rows or 1)."""
    eta, variance = predictor_moments(system, phi, outcome, mediators)
    return np.asarray(event_probability(eta + np.sqrt(variance) * NODES) @ WEIGHTS)


def predictor_moments(system: System, phi: np.ndarray, outcome: int, mediators: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of η over the mediators, each of whose errors is passed on to the outcome."""
    last = len(system.blocks) - 1
    means = mediator_means(system, phi, mediators)
    eta = predictor(system.worlds[outcome][last], phi[:, system.blocks[last].coefficients], means)
    reach: dict[int, np.ndarray] = {}
    variance: np.ndarray = np.zeros((1, 1, 1))
    for k in range(last - 1, -1, -1):
        column = system.blocks[k].variance
        assert column is not None
        reach[k] = slope(system, phi, outcome, last, k)
        for j in range(k + 1, last):
            reach[k] = reach[k] + reach[j] * slope(system, phi, mediators, j, k)
        variance = variance + reach[k] ** 2 * np.exp(phi[:, column])[:, None, None]
    return eta, variance
