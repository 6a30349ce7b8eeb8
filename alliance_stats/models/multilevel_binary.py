"""Multilevel mediation with a binary mediator or outcome: the fit and its rows. ``multilevel_natural`` has the effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import DataError
from alliance_stats.formula import Design
from alliance_stats.models import multilevel_options as options
from alliance_stats.models.multilevel_equations import Fitted, fit_equation
from alliance_stats.models.multilevel_intervals import Inference, effect_rows
from alliance_stats.models.multilevel_natural import build_worlds, is_divided, mediator_terms, natural_effects
from alliance_stats.models.multilevel_paths import Quantity
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.mediation_resample import normal_draws
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result, glance_frame, tidy_frame

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation


@dataclass(frozen=True, eq=False)
class BinaryState:
    """Both equations and the outcome's rows; ``parameters`` are those of the mediator's equation, then of the outcome's."""

    mediator: Fitted
    outcome: Fitted
    parameters: np.ndarray
    covariance: np.ndarray
    fitted: np.ndarray
    fitted_population: None
    residual: np.ndarray
    steps: tuple[Step, ...]
    design: Design


def fit_binary(
    model: MultilevelMediation, frame: pd.DataFrame, steps: tuple[Step, ...], notes: tuple[str, ...], rng: Seed
) -> Result:
    """The result of a model with ``family``; errors as those of ``MultilevelMediation.fit``."""
    working, more = working_columns(model, frame)
    m, y = (
        fit_equation(working, response, right, model.group, binary) for response, right, binary in _equations(model)
    )
    phi = np.r_[m.parameters, y.parameters]
    apart = np.zeros((len(m.parameters), len(y.parameters)))
    V = np.block([[m.covariance, apart], [apart.T, y.covariance]])
    effects = _effects(model, phi, V, working, m, y, rng)
    fixed = pd.concat([_fixed_rows(model, equation) for equation in (m, y)], ignore_index=True)
    estimates = pd.concat([_path_rows(model, fixed), effects.rows, fixed, _random_rows(model, m, y)], ignore_index=True)
    p, q = len(m.terms), len(m.parameters)
    keep = np.r_[np.arange(p), q + np.arange(len(y.terms))]
    covariance = pd.DataFrame(V[np.ix_(keep, keep)], index=fixed["term"].tolist(), columns=fixed["term"].tolist())
    state = BinaryState(m, y, phi, V, y.fitted, None, y.y - y.fitted, steps, model.outcome_design(working))
    notes += (*more, *m.notes, *y.notes, *_about(model), *effects.notes)
    return Result(model, frame, state, estimates, _glance(model, m, y), covariance, effects.draws, notes)


def working_columns(model: MultilevelMediation, frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns of both equations: numbers, and parts within and between groups; checked against the design."""
    binary = dict(model.family)
    notes: tuple[str, ...] = ()
    made = frame.copy()
    for name, role in ((model.exposure, "exposure"), (model.mediator, "mediator"), (model.outcome, "outcome")):
        made[name], more = options.numbers(frame, name, role, labels=role == "exposure" or name in binary)
        notes += more
        if name in binary and not set(made[name]) <= {0.0, 1.0}:
            raise DataError(
                f"{role} '{name}' has values other than 0 and 1; family 'binomial' needs these, or two labels"
            )
    codes, labels = options.codes_of(frame, model.group)
    notes += options.require_levels(model, made, codes)
    options.require_enough(model, len(labels), (f"Intercept_{model.outcome}",), model.group, len(made))
    for name in (model.exposure, model.mediator):
        mean = made[name].groupby(codes).transform("mean")
        made[f"{name}_between"], made[f"{name}_within"] = mean, made[name] - mean
    return made, notes


def _equations(model: MultilevelMediation) -> Iterator[tuple[str, list[str], bool]]:
    """Response, predictors and whether it is binary, of both equations."""
    x = [model.exposure]
    if model.design == "1-1-1" and model.center:
        x = [f"{model.exposure}_within", f"{model.exposure}_between"]
    m = [f"{model.mediator}_within", f"{model.mediator}_between"] if is_divided(model) else [model.mediator]
    binary = dict(model.family)
    yield model.mediator, [*x, *model.covariates], model.mediator in binary
    yield model.outcome, [*m, *x, *model.covariates], model.outcome in binary


def _effects(
    model: MultilevelMediation, phi: np.ndarray, V: np.ndarray, working: pd.DataFrame, m: Fitted, y: Fitted, rng: Seed
) -> Inference:
    worlds = build_worlds(model, working, m, y)
    suffix = "_within" if model.design == "1-1-1" and model.center else ""
    unused: Callable[[np.ndarray], np.ndarray] = np.asarray
    wanted = [Quantity(f"{name}{suffix}", "effect", unused) for name in ("indirect", "direct", "total")]
    drawn = normal_draws(phi, V, model.draws, stream(rng, "multilevel", "binary"))
    estimate, made = (natural_effects(worlds, m, y, rows) for rows in (phi[None], drawn))
    return effect_rows(wanted, estimate[0], made, model.level, "monte-carlo", model.draws, "draws")


def _fixed_rows(model: MultilevelMediation, equation: Fitted) -> pd.DataFrame:
    p = len(equation.terms)
    beta, se = equation.parameters[:p], np.sqrt(np.diag(equation.covariance)[:p])
    half = t_quantile((1 + model.level) / 2, np.inf) * se
    return tidy_frame(
        term=[f"{equation.response}~{term}" for term in equation.terms], component="fixed", equation=equation.response,
        estimate=beta, std_error=se, statistic=beta / se, p_value=t_p_value(beta / se, np.full(p, np.inf)),
        conf_low=beta - half, conf_high=beta + half, interval="normal",
    )  # fmt: skip


def _path_rows(model: MultilevelMediation, fixed: pd.DataFrame) -> pd.DataFrame:
    """The coefficients that are paths, on the scale of their equation (log odds where the response is binary)."""
    x, m = model.exposure, model.mediator
    parts = ("_within", "_between") if model.design == "1-1-1" and model.center else ("",)
    named = {f"{m}~{x}{part}": f"a{part}" for part in parts}
    named |= {f"{model.outcome}~{term}": f"b{term.removeprefix(m)}" for term in mediator_terms(model)}
    named |= {f"{model.outcome}~{x}{part}": f"c_prime{part}" for part in parts}
    rows = fixed[fixed["term"].isin(list(named))]
    return rows.assign(term=rows["term"].map(named), component="path")


def _random_rows(model: MultilevelMediation, m: Fitted, y: Fitted) -> pd.DataFrame:
    rows = []
    for equation in (m, y):
        p = len(equation.terms)
        rows.append(
            (f"sd(Intercept_{equation.response})", "random", model.group, equation.response, equation.parameters[p])
        )
        if not equation.binary:
            rows.append(("sd(residual)", "residual", "", equation.response, equation.parameters[p + 1]))
    names = ("term", "component", "group", "equation", "estimate")
    return tidy_frame(**dict(zip(names, zip(*rows, strict=True), strict=True)))


def _glance(model: MultilevelMediation, m: Fitted, y: Fitted) -> pd.DataFrame:
    """Of both equations together: their likelihoods are multiplied."""
    value, k = m.deviance + y.deviance, len(m.parameters) + len(y.parameters)
    singular = any(equation.parameters[len(equation.terms)] < options.CONSTANT**0.5 for equation in (m, y))
    counts = {"n_obs": len(y.y), f"n_{model.group}": y.groups}
    return glance_frame(
        counts, log_likelihood=-value / 2, deviance=value, aic=value + 2 * k, bic=value + float(np.log(2 * len(y.y))) * k,
        method="ML", df_method="normal", converged=True, singular=singular,
    )  # fmt: skip


def _about(model: MultilevelMediation) -> Iterator[str]:
    binary = dict(model.family)
    scale = "probabilities" if model.outcome in binary else f"the units of {model.outcome}"
    move = "one session's exposure moves, the patient's means stay" if model.design == "1-1-1" and model.center else ""
    yield (
        f"estimand: natural effects of {model.exposure} on {model.outcome} through {model.mediator} in {scale}, averaged over "
        f"the rows and over random intercepts of '{model.group}'{'; ' + move if move else ''}; paths are on the scale of "
        "their equation"
    )
    if model.mediator in binary:
        where = f"within and between groups of '{model.group}'"
        yield f"'{model.mediator}' is binary and enters in one piece: b is taken to be the same {where}"
    yield (
        f"assumed is no unmeasured cause of both {model.mediator} and {model.outcome}, on either level, that the intercepts of "
        f"both equations are independent, and that {model.mediator} lies between {model.exposure} and {model.outcome} in time"
    )
