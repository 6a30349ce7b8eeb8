"""Mediation of a time to an event: the fit, its state and its rows. ``numerics.mediation_survival`` has the effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError, FormulaError
from alliance_stats.formula import Design, design_matrix
from alliance_stats.models import mediation_intervals as intervals
from alliance_stats.models import mediation_notes as remarks
from alliance_stats.models.cox_state import monotone
from alliance_stats.models.mediation_covariance import joint_covariance
from alliance_stats.models.mediation_equations import Chain, Equation, build_equations
from alliance_stats.models.mediation_intervals import _from_draws, _on_complete, _require_half, _usable
from alliance_stats.models.mediation_options import held_values
from alliance_stats.models.mediation_paths import coefficient_rows, path_rows
from alliance_stats.models.mediation_plan import Maker, Plan, make_plan
from alliance_stats.models.mediation_survival_notes import survival_notes
from alliance_stats.models.mediation_worlds import Contrast
from alliance_stats.models.survival_response import Surv, Times, survival_times
from alliance_stats.numerics.mediation import Block, Family
from alliance_stats.numerics.mediation_fit import Fit
from alliance_stats.numerics.mediation_linear import linear_resamples
from alliance_stats.numerics.mediation_resample import percentile_limits
from alliance_stats.numerics.mediation_survival import (
    HorizonFit,
    event_probability,
    fit_horizon,
    natural_effects,
    reached,
    refit_horizon,
)
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.numerics.survival.newton import MonotoneError
from alliance_stats.progress import bar
from alliance_stats.result import Result, glance_frame

if TYPE_CHECKING:
    from alliance_stats.models.mediation import Mediation

PIECE = 50  # resamples between two moves of the progress bar


@dataclass(frozen=True, eq=False)
class SurvivalPlan(Plan):
    """Effects on the probability of the event by the horizon, in place of effects on a mean."""

    def values(self, phi: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Every effect of every draw, shape (draws, effects)."""
        made = [natural_effects(system, phi, weights, average_row=self.average_row) for system in self.systems]
        return np.column_stack([made[s][str(key)] for target in self.targets for _, s, key in target.parts])


@dataclass(frozen=True, eq=False)
class SurvivalState:
    """Equations (the outcome last, with log H₀ at ``horizon`` in place of its intercept), parameters and effects.

    ``fitted`` is the probability of the event by the horizon of each row with its own exposure and mediators.
    """

    design: Design
    steps: tuple[Step, ...]
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    fitted: np.ndarray
    equations: tuple[Equation, ...]
    contrasts: tuple[Contrast, ...]
    phi: np.ndarray
    covariance: np.ndarray
    effects: SurvivalPlan
    horizon: float
    df_residual: float = float("inf")
    residual: None = None
    fitted_population: None = None

    @property
    def plan(self) -> NoReturn:
        """AllianceError for analyses that vary the equations of a mediation: they know means, not hazards."""
        raise AllianceError(
            "not defined here for a time to an event: neither correlations of the errors of mediator and outcome (a Cox model "
            "has no error) nor effects along a moderator; with the state at the horizon known for every row, use it as an "
            "outcome with family='probit'"
        )


def fit_survival(
    model: Mediation, chain: Chain, frame: pd.DataFrame, contrasts: tuple[Contrast, ...], codes: np.ndarray | None,
    steps: tuple[Step, ...], notes: tuple[str, ...], rng: Seed,
) -> Result:  # fmt: skip
    """The result of a model whose outcome is ``Surv(time, event) ~ …``; errors as those of ``Mediation.fit``."""
    assert chain.surv is not None
    assert model.horizon is not None
    times = survival_times(frame, chain.surv)
    _require_follow_up(times, chain.surv, model.horizon)
    first = replace(chain, formulas=chain.formulas[:-1], responses=chain.mediators, families=chain.families[:-1])
    mediators = build_equations(first, frame, likelihood=model.vcov == "ml")
    equations = (
        *mediators,
        _outcome(chain, frame, times, model.horizon, sum(len(e.fit.parameters) for e in mediators)),
    )
    phi = np.concatenate([equation.fit.parameters for equation in equations])
    vcov = model.vcov or ("classical" if codes is None else "CR1")
    covariance = joint_covariance(equations, vcov, codes)
    held = held_values(equations, dict(model.held))
    maker = Maker(equations, frame, model.exposure, held, ratio=False, average_row=model.average == "means")
    plan = _plan(maker, contrasts, phi)
    found = _inference(model, plan, equations, times, phi, covariance, codes, rng)
    fixed, V = _fixed(equations, covariance, vcov, codes, model.level)
    rows = [
        intervals.effect_rows(plan, plan.values(phi[None])[0], found),
        path_rows(equations, model.exposure, fixed, None),
    ]
    notes += (*survival_notes(model, chain.surv, maker, contrasts, times, codes), *found.notes)
    notes += remarks.share_note(plan.targets, found.limits)
    state = _state(equations, steps, contrasts, phi, covariance, plan, model.horizon)
    statistics = _glance(model, frame, times)
    return Result(model, frame, state, pd.concat([*rows, fixed], ignore_index=True), statistics, V, found.draws, notes)


def predicted(state: SurvivalState, frame: pd.DataFrame) -> pd.DataFrame:
    """Probability of the event by the horizon of rows with their own exposure and mediators, errors by the delta method."""
    outcome = state.equations[-1]
    X = outcome.design.matrix(frame)[:, outcome.columns]
    V = state.covariance[outcome.block.coefficients, outcome.block.coefficients]
    eta = X @ outcome.coefficients
    slope = np.exp(np.minimum(eta, 7.0) - np.exp(np.minimum(eta, 7.0)))  # exp(−e⁷) is zero
    std_error = slope * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, V, X), 0))
    return pd.DataFrame({"fitted": event_probability(eta), "std_error": std_error, "df": np.inf}, index=frame.index)


def _require_follow_up(times: Times, surv: Surv, horizon: float) -> None:
    last = float(times.stop.max())
    if not reached(np.array([horizon]), last)[0]:
        raise DataError(
            f"horizon={horizon:g} lies beyond the follow-up: the longest '{surv.stop}' is {last:g}; what happens later is not "
            "in the data"
        )
    first = float(times.stop[times.event > 0].min())
    if not reached(np.array([first]), horizon)[0]:
        raise DataError(f"horizon={horizon:g}: no event by then (the first is at {first:g}); take a later time")


def _outcome(chain: Chain, frame: pd.DataFrame, times: Times, horizon: float, at: int) -> Equation:
    """The Cox regression as an equation whose first coefficient is log H₀ at the horizon."""
    formula = chain.formulas[-1]
    design, X = design_matrix(formula, frame)
    if "Intercept" not in design.terms:
        raise FormulaError(f"formula {formula.text!r}: the baseline hazard is the intercept; leave '0 +' or '- 1' out")
    first = design.terms.index("Intercept")
    columns = np.array([first, *(j for j in range(len(design.terms)) if j != first)])
    X = X[:, columns]
    found = _maximum(times, X[:, 1:], horizon, [design.terms[j] for j in columns[1:]], formula.text)
    eta = X @ found.parameters
    parents = tuple(k for k, name in enumerate(chain.mediators) if name in formula.variables)
    block = Block(Family("survival", "cloglog"), slice(at, at + X.shape[1]), None, slice(at, at), parents)
    fit = Fit(
        found.parameters, found.covariance, found.influence, np.full(len(X), np.nan), eta, event_probability(eta),
        found.cox.log_likelihood,
    )  # fmt: skip
    early = reached(times.stop, horizon) & (times.event > 0)
    return Equation(chain.responses[-1], design, columns, X, early.astype(float), fit, block)


def _maximum(times: Times, X: np.ndarray, horizon: float, terms: Sequence[str], text: str) -> HorizonFit:
    try:
        found = fit_horizon(times.stop, times.event, X, horizon)
    except MonotoneError as problem:
        raise monotone(problem.direction, terms, text) from problem
    lost = ", ".join(f"'{terms[j]}'" for j in range(len(terms)) if j not in found.cox.kept)
    if lost:
        raise DataError(
            f"formula {text!r}: {lost} depends on other terms, or does not vary among patients at risk together; take it out"
        )
    return found


def _plan(maker: Maker, contrasts: Sequence[Contrast], phi: np.ndarray) -> SurvivalPlan:
    plan = make_plan(maker, contrasts, {}, phi)
    if any(system.kind != "normal" for system in plan.systems):
        raise AllianceError("a product of two mediators is not taken with a time to an event; leave it out")
    return SurvivalPlan(plan.systems, plan.targets, plan.average_row)


def _inference(
    model: Mediation, plan: SurvivalPlan, equations: Sequence[Equation], times: Times, phi: np.ndarray,
    covariance: np.ndarray, codes: np.ndarray | None, rng: Seed,
) -> intervals.Inference:  # fmt: skip
    generator = stream(rng, "mediation", model.interval)
    if model.interval == "monte-carlo":
        return intervals.monte_carlo(plan, phi, covariance, model.level, model.draws, generator)
    sampling = intervals.Sampling(len(times.stop), codes, model.within)
    made = np.concatenate(list(_resampled(model, plan, equations, times, sampling, generator)))
    kept = made[_usable(made)]
    _require_half(len(kept), model.draws)
    return _from_draws(plan, kept, percentile_limits(kept, model.level), "percentile", model.draws)


def _resampled(
    model: Mediation, plan: SurvivalPlan, equations: Sequence[Equation], times: Times, sampling: intervals.Sampling,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:  # fmt: skip
    """Effects of all resamples; every equation is fitted to the same ones, whose rows also make the averages."""
    *mediators, outcome = equations
    horizon, X = float(model.horizon or 0.0), outcome.X[:, 1:]
    designs, responses = [e.X for e in mediators], [e.y for e in mediators]
    with bar(None, "bootstrap", "draw", shown=True, total=model.draws) as done:
        for first in range(0, model.draws, PIECE):
            counts = sampling.counts(min(PIECE, model.draws - first), rng)
            linear = linear_resamples(designs, responses, counts, likelihood=model.vcov == "ml")
            cox = [refit_horizon(times.stop, times.event, X, horizon, row) for row in counts]
            yield _on_complete(plan, np.column_stack([*linear, np.array(cox)]), counts)
            done.update(len(counts))


def _fixed(
    equations: Sequence[Equation], covariance: np.ndarray, vcov: str, codes: np.ndarray | None, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coefficients and their covariance, without the baseline."""
    every = coefficient_rows(equations, covariance, vcov, codes, level)
    where = np.concatenate([np.arange(len(covariance))[equation.block.coefficients] for equation in equations])
    kept = (every["term"] != f"{equations[-1].response}~Intercept").to_numpy()
    rows = every[kept].reset_index(drop=True)
    V = covariance[np.ix_(where[kept], where[kept])]
    return rows, pd.DataFrame(V, index=list(rows["term"]), columns=list(rows["term"]))


def _state(
    equations: tuple[Equation, ...], steps: tuple[Step, ...], contrasts: tuple[Contrast, ...], phi: np.ndarray,
    covariance: np.ndarray, plan: SurvivalPlan, horizon: float,
) -> SurvivalState:  # fmt: skip
    last = equations[-1]
    null = np.zeros((0, len(last.columns)))
    return SurvivalState(
        last.design, steps, last.coefficients, last.columns, null, last.fit.fitted, equations, contrasts, phi, covariance, plan,
        horizon,
    )  # fmt: skip


def _glance(model: Mediation, frame: pd.DataFrame, times: Times) -> pd.DataFrame:
    """No likelihood: that of the mediators is full, that of the outcome partial, and they do not add up."""
    counts = {"n_obs": len(frame), "n_events": int(times.event.sum())}
    counts |= {f"n_{model.cluster}": int(frame[model.cluster].nunique())} if model.cluster else {}
    return glance_frame(counts, method="OLS and partial likelihood, efron ties", df_method="normal", converged=True)
