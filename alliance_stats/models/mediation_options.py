"""The options of a mediation model: their kinds, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from alliance_stats.errors import AllianceError, FormulaError, require_columns
from alliance_stats.models.mediation_covariance import Vcov
from alliance_stats.models.mediation_equations import Chain, Equation

if TYPE_CHECKING:
    from alliance_stats.models.mediation import Mediation

Interval = Literal["percentile", "bca", "monte-carlo", "delta", "product"]
Scale = Literal["response", "odds-ratio"]
Average = Literal["rows", "means"]

SURVIVAL_INTERVALS = ("percentile", "monte-carlo")
SURVIVAL_HELP = {
    "interval": "use 'percentile' (bootstrap) or 'monte-carlo'",
    "at": "effects at values of a moderator are not given; fit the groups apart",
    "scale": "effects are differences of probabilities; leave it out",
    "vcov": "use 'classical', 'HC0', or 'CR1' with cluster=",
}


def pairs_of(given: Any, name: str) -> tuple[tuple[str, Any], ...]:
    """A dictionary as a tuple of pairs, which can be hashed."""
    pairs = given.items() if isinstance(given, Mapping) else given
    if pairs is None:
        return ()
    try:
        return tuple((str(key), tuple(v) if isinstance(v, list | np.ndarray) else v) for key, v in pairs)
    except (TypeError, ValueError):
        raise AllianceError(f"{name} is {given!r}; give a dictionary with a column as its key") from None


def require_options(model: Mediation) -> None:
    """AllianceError for an option outside its range, or two that do not go together."""
    for name, allowed in (("interval", Interval), ("scale", Scale), ("average", Average)):
        if getattr(model, name) not in get_args(allowed):
            raise AllianceError(f"{name} is {getattr(model, name)!r}; use one of {', '.join(get_args(allowed))}")
    if model.vcov is not None and model.vcov not in get_args(Vcov):
        raise AllianceError(f"vcov is {model.vcov!r}; use one of {', '.join(get_args(Vcov))}")
    if not model.mediators:
        raise AllianceError("mediators is empty; give one formula a mediator, or use LinearModel")
    _require_cluster(model)
    if model.contrast is not None and (len(model.contrast) != 2 or model.contrast[0] == model.contrast[1]):
        raise AllianceError(f"contrast is {model.contrast!r}; give two different values, (control, treated)")
    if not isinstance(model.draws, int) or model.draws < 2:
        raise AllianceError(f"draws is {model.draws!r}; use 2 or more, 5000 for an interval")
    if not 0 < model.level < 1:
        raise AllianceError(f"level is {model.level}; use a number between 0 and 1, e.g. 0.95")


def _require_cluster(model: Mediation) -> None:
    clustered = model.vcov is not None and model.vcov.startswith("CR")
    if clustered and model.cluster is None:
        raise AllianceError(f"vcov={model.vcov!r} needs cluster=, the column that names the clusters")
    if model.cluster is not None and model.vcov is not None and not clustered:
        raise AllianceError(
            f"cluster={model.cluster!r} is not used by vcov={model.vcov!r}; use 'CR2', or leave vcov out"
        )
    if model.within and model.cluster is None:
        raise AllianceError("within=True needs cluster=, the column whose rows are drawn within")


def require_survival(model: Mediation, chain: Chain, *, natural: bool) -> None:
    """FormulaError or AllianceError where horizon and outcome do not go together, or an option is not for a time to an event.

    ``natural`` is whether the model is of natural effects, not one of its relatives.
    """
    surv = chain.surv
    if surv is None:
        if model.horizon is not None:
            raise AllianceError(f"horizon={model.horizon!r} is for an outcome 'Surv(time, event) ~ …'; leave it out")
        return
    where = f"formula {model.outcome!r}"
    if not natural:
        raise FormulaError(f"{where}: a time to an event has natural effects only; use Mediation")
    if surv.start is not None:
        raise FormulaError(f"{where}: late entry and time-varying columns are not taken; write Surv(time, event)")
    _require_horizon(model.horizon, where)
    if surv.stop in (model.exposure, *(name for f in chain.formulas[:-1] for name in f.columns)):
        raise FormulaError(
            f"{where}: '{surv.stop}' is the time of the outcome; it cannot be exposure, mediator or cause"
        )
    for name, family in zip(chain.responses, chain.families, strict=True):
        if family != "gaussian":
            raise AllianceError(
                f"family of '{name}' is {family!r}; with a time to an event mediators are normal, others not"
            )
    refused = {
        "interval": model.interval not in SURVIVAL_INTERVALS, "at": bool(model.at), "scale": model.scale != "response",
        "vcov": model.vcov in ("HC3", "CR2"),
    }  # fmt: skip
    for name in (name for name, bad in refused.items() if bad):
        raise AllianceError(f"{name}={getattr(model, name)!r} is not for a time to an event; {SURVIVAL_HELP[name]}")


def _require_horizon(horizon: float | None, where: str) -> None:
    if horizon is None:
        raise FormulaError(
            f"{where}: give horizon=, the time by which the probability of the event is compared, e.g. horizon=12 (or use the "
            "state at a fixed time, known for every row, as a binomial outcome)"
        )
    number = isinstance(horizon, int | float | np.number) and not isinstance(horizon, bool)
    if not number or not np.isfinite(horizon) or horizon <= 0:
        raise AllianceError(f"horizon is {horizon!r}; give a time above 0 within the follow-up, e.g. horizon=12")


def require_moderators(model: Mediation, chain: Chain) -> None:
    """AllianceError for a moderator that is exposure or mediator, DataError for one that no equation has."""
    predictors = tuple(dict.fromkeys(name for formula in chain.formulas for name in formula.variables))
    for name, _ in model.at:
        require_columns(predictors, [name], "at (the predictors of the equations)")
        if name == model.exposure or name in chain.mediators:
            raise AllianceError(f"at: '{name}' is the exposure or a mediator; give moderators or covariates")


def require_ratio(model: Mediation, outcome: Equation) -> None:
    """AllianceError where ratios have no meaning for the outcome."""
    if model.scale == "odds-ratio" and outcome.family.link not in ("logit", "log"):
        raise AllianceError(
            f"scale='odds-ratio' is for a binomial (logit) or poisson outcome; '{outcome.response}' is "
            f"{outcome.family.name} with link {outcome.family.link}"
        )
    if model.scale == "odds-ratio" and outcome.family.name == "ordinal":
        raise AllianceError(f"scale='odds-ratio' is not defined here for the ordered outcome '{outcome.response}'")


def held_values(equations: Sequence[Equation], asked: dict[str, Any]) -> np.ndarray:
    """Mediator values of the controlled direct effect: those asked for, else the mean (0 if binary)."""
    names = [equation.response for equation in equations[:-1]]
    require_columns(names, list(asked), "held (the mediators)")
    usual = [0.0 if equation.family.name == "binomial" else float(equation.y.mean()) for equation in equations[:-1]]
    return np.array([float(asked.get(name, value)) for name, value in zip(names, usual, strict=True)])
