"""Mediational E-values: natural effects on an outcome of yes and no, or a count, as ratios; what could explain them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alliance_stats.errors import AllianceError
from alliance_stats.inference.mediation_rho import WORLDS
from alliance_stats.models.mediation import MediationState
from alliance_stats.models.mediation_plan import Target
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.mediation import System, averaged, counterfactual
from alliance_stats.result import Result

TINY = 1e-30  # complex step
Row = tuple[str, str, str, float, str]


def e_value(ratio: float) -> float:
    """E-value of a risk ratio: RR + √(RR (RR − 1)), of its inverse where it is below 1.

    VanderWeele & Ding (2017, doi 10.7326/M16-2607).

    >>> round(e_value(3.9), 2), e_value(1.0)
    (7.26, 1.0)
    """
    if not ratio > 0:
        raise AllianceError(f"e_value: the risk ratio is {ratio}; a number above 0 is needed")
    above = max(ratio, 1 / ratio)
    return float(above + np.sqrt(above * (above - 1)))


def e_value_rows(result: Result, terms: Sequence[str], alpha: float) -> list[Row]:
    """E-values of the ratio and of the end of its interval nearest to 1 (Smith & VanderWeele 2019,
    doi 10.1097/EDE.0000000000001064).

    Ratios are of standardised probabilities (or rates) with a delta-method interval on the logarithm; with
    ``scale="odds-ratio"`` they are the odds ratios of the result, which stand for risk ratios under its rare outcome.
    """
    state: MediationState = result.state
    rows: list[Row] = []
    for term in terms:
        for target in state.plan.targets:
            if target.term == term and len(target.parts) == 1:
                rows += _of_target(result, state, target, alpha)
    return rows


def _of_target(result: Result, state: MediationState, target: Target, alpha: float) -> list[Row]:
    system = state.plan.systems[target.parts[0][1]]
    log, se = _log_ratio(system, state, target.term)
    what = "odds ratio (rare outcome)" if system.ratio else "ratio of means"
    half = float(t_quantile(1 - alpha / 2, np.inf)) * se
    nearest = np.copysign(max(abs(log) - half, 0.0), log)
    told = (
        f"limit nearest to no effect, a {what} of {np.exp(nearest):.3g}" if nearest else "the interval holds no effect"
    )
    return [
        (target.term, target.at, "E-value", e_value(float(np.exp(log))), f"a {what} of {np.exp(log):.3g}"),
        (target.term, target.at, "E-value of the limit", e_value(float(np.exp(nearest))), told),
    ]


def _log_ratio(system: System, state: MediationState, term: str) -> tuple[float, float]:
    """Logarithm of the ratio and its delta-method standard error."""
    short = averaged(system, None, always=True) if state.plan.average_row else None
    used = system if short is None else short
    first, second = WORLDS[term]

    def log(phi: np.ndarray) -> complex:
        top, below = (counterfactual(used, phi[None], x, m).mean() for x, m in (first, second))
        return complex(np.log(top) - np.log(below))

    steps = 1j * TINY * np.eye(len(state.phi))
    gradient = np.array([log(state.phi + step).imag for step in steps]) / TINY
    variance = float(gradient @ state.covariance @ gradient)
    return log(state.phi + 0j).real, float(np.sqrt(max(variance, 0.0)))
