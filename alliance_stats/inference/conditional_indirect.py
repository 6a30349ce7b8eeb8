"""The indirect effect along a moderator, for a figure in the manner of Johnson and Neyman."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.formula import is_factor
from alliance_stats.models.mediation import Mediation, MediationState
from alliance_stats.models.mediation_worlds import build_system
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.mediation_effects import NATURAL, effects, jacobian
from alliance_stats.numerics.mediation_resample import normal_draws, percentile_limits
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result

DRAWS = 5000


def conditional_indirect(
    result: Result, moderator: str, *, term: str = "indirect", at: Mapping[str, Any] | None = None, points: int = 41,
    interval: Literal["monte-carlo", "delta"] = "monte-carlo", rng: Seed = 1,
) -> pd.DataFrame:  # fmt: skip
    """An effect of a Mediation along the observed range of a numeric moderator, never beyond it.

    Parameters
    ----------
    result : a fitted Mediation; of several exposure contrasts the first is taken.
    moderator : a numeric predictor of any equation, neither exposure nor mediator.
    term : ``"indirect"``, ``"direct"``, ``"total"`` or another natural effect.
    at : values of other moderators; the others stay as the rows have them.
    points : values of the moderator, evenly spaced.
    interval : percentiles of 5,000 draws from the joint sampling distribution of the parameters, or the delta method.

    Returns the moderator, ``estimate std_error conf_low conf_high significant interval``; ``figures.johnson_neyman`` draws it.
    Raises AllianceError for a factor, DataError for a column that no equation has.

    Source: Preacher, Rucker & Hayes 2007, doi 10.1080/00273170701341316.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"arm": np.arange(200) % 2, "severity": rng.normal(size=200)})
    >>> data["alliance"] = (0.5 + 0.5 * data["severity"]) * data["arm"] + rng.normal(size=200)
    >>> data["pain"] = -0.6 * data["alliance"] + rng.normal(size=200)
    >>> fit = Mediation(["alliance ~ arm * severity"], "pain ~ arm + alliance", "arm", interval="delta").fit(data)
    >>> curve = conditional_indirect(fit, "severity", points=3, interval="delta")
    >>> curve["significant"].tolist()
    [False, True, True]
    """
    values = _range(result, moderator, term, points)
    state: MediationState = result.state
    drawn = normal_draws(state.phi, state.covariance, DRAWS, stream(rng, "conditional", moderator))
    found = []
    for value in values:
        system = build_system(
            state.equations, result.frame, result.model.exposure, state.contrasts[0], {**(at or {}), moderator: value},
            state.plan.systems[0].held, ratio=state.plan.systems[0].ratio,
        )  # fmt: skip
        row = state.plan.average_row
        estimate = float(effects(system, state.phi[None], average_row=row)[term][0])
        if interval == "delta":
            gradient = jacobian(system, state.phi, average_row=row)[term]
            se = float(np.sqrt(max(gradient @ state.covariance @ gradient, 0.0)))
            half = float(t_quantile((1 + result.model.level) / 2, np.inf)) * se
            found.append((estimate, se, estimate - half, estimate + half))
        else:
            made = effects(system, drawn, average_row=row)[term]
            low, high = percentile_limits(made[:, None], result.model.level)[:, 0]
            found.append((estimate, float(made.std(ddof=1)), float(low), float(high)))
    frame = pd.DataFrame(found, columns=["estimate", "std_error", "conf_low", "conf_high"])
    frame.insert(0, moderator, values)
    null = 1.0 if state.plan.systems[0].ratio else 0.0
    outside = (frame["conf_low"] > null) | (frame["conf_high"] < null)
    return frame.assign(significant=outside, interval=interval)


def _range(result: Result, moderator: str, term: str, points: int) -> np.ndarray:
    if type(result.model) is not Mediation:
        raise AllianceError(f"conditional_indirect needs a fitted Mediation, not {type(result.model).__name__}")
    state: MediationState = result.state
    mediators = [equation.response for equation in state.equations[:-1]]
    names = dict.fromkeys(name for equation in state.equations for name in equation.design.variables)
    require_columns(names, [moderator], "conditional_indirect")
    if moderator == result.model.exposure or moderator in mediators or is_factor(result.frame[moderator]):
        raise AllianceError(
            f"conditional_indirect: '{moderator}' is exposure, mediator or a factor; give a numeric moderator, or at={{…}} of "
            "Mediation for levels of a factor"
        )
    if term not in NATURAL or points < 2:
        raise AllianceError(f"conditional_indirect: term {term!r}, points {points}; use one of {', '.join(NATURAL)}")
    column = result.frame[moderator].to_numpy(dtype=float)
    return np.linspace(float(column.min()), float(column.max()), points)
