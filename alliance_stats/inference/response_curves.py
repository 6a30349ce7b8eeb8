"""The expected outcome, and the effect of a predictor on it, along another predictor: shares and counts, not logits.

Every row of the fit is set to one value of the predictor after the other; means are averaged over the rows and, where there are
random effects, over their distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.inference.grid import At
from alliance_stats.inference.marginal_effects import SMALL, Over, Unit, average_marginal_effects, average_outcomes
from alliance_stats.models import beta_predict, ordinal_predict
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.marginal_predict import linear_predictor
from alliance_stats.models.marginal_rows import new_trials
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glm_sandwich import QUASI_LINKS
from alliance_stats.result import Result

POINTS = 41


def outcome_curve(
    result: Result, x: str, by: str | None = None, *, at: At | None = None, groups: Over = "population",
    scale: Unit = "mean", points: int = POINTS, values: Sequence[float] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Expected outcome along the observed range of ``x``, averaged over the rows of the fit.

    ``figures.outcome_curve`` draws it.

    Parameters
    ----------
    result : a fit of any model of adherence: `GeneralizedMixedModel`, `BetaModel`, `FractionalModel`, `GEE`, `OrdinalModel`
        (its mean rating), or a `LinearModel`, `MixedModel` or `DiscreteTimeModel`.
    x : a number among the predictors.
    by : a factor: a curve for each level, over the range observed in it.
    at : other predictors set to a value in every row, e.g. ``{"arm": "enhanced"}``.
    groups : of a mixed model, ``"population"``, averaged over the therapists, or ``"typical"``, random effects of zero.
    scale : ``"mean"``, a share or count, or ``"response"``, e.g. sessions completed of those assigned in the rows.
    points : how many values of x; or ``values``, these and no others.

    Returns columns ``x``, ``by``, ``fitted conf_low conf_high``. Intervals are pointwise, by the delta method on the scale of
    the link, with the model's degrees of freedom. Raises AllianceError where x is a factor or by a number.

    >>> data = pd.DataFrame({"share": [0.0, 0.4, 0.5, 0.9, 0.8, 1.0], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> fit = FractionalModel("share ~ alliance").fit(data)
    >>> outcome_curve(fit, "alliance", points=3).round(2)
       alliance  fitted  conf_low  conf_high
    0      40.0    0.11      0.01       0.53
    1      50.0    0.75      0.35       0.94
    2      60.0    0.99      0.35       1.00
    """
    _require(result, [x, *([by] if by else [])], "outcome_curve")
    _require_number(result, x, "outcome_curve")
    levels: Sequence[Any] = _levels(result).get(by, ()) if by else (None,)
    if not levels:
        raise AllianceError(f"outcome_curve: by='{by}' is a number; give a factor, or set it with at=")
    curves = []
    for level in levels:
        grid = np.linspace(*_range(result, x, by, level), points) if values is None else np.array(values, dtype=float)
        fixed = dict(at or {}) | ({by: level} if by else {})
        found = _averages(result, x, grid, fixed, groups, scale)
        curves.append(found.assign(**{x: grid, **({by: level} if by else {})}))
    return pd.concat(curves, ignore_index=True)[[x, *([by] if by else []), "fitted", "conf_low", "conf_high"]]


def effect_curve(
    result: Result, variable: str, along: str, *, values: Sequence[Any] | None = None, step: float | None = None,
    at: At | None = None, groups: Over = "population", scale: Unit = "mean", points: int = POINTS,
) -> pd.DataFrame:  # fmt: skip
    """Average marginal effect of a predictor along another one, or along itself; what ``figures.effect_curve`` draws.

    A straight line of logits is a curve of shares: near the ends of the scale the same coefficient moves fewer sessions.

    Parameters
    ----------
    result : as for ``average_marginal_effects``.
    variable : the predictor whose effect is asked for; a factor of two levels, or a number.
    along : a number among the predictors, which may be ``variable`` itself.
    values, step, at, groups : as for ``average_marginal_effects``; ``values`` are two.

    Returns columns ``along``, ``estimate conf_low conf_high significant``, over the observed range. Raises AllianceError where
    ``along`` is a factor, or the effect is more than one.

    >>> from alliance_stats import GeneralizedMixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(20), 20), "alliance": rng.normal(5, 1, 400)})
    >>> data["came"] = rng.binomial(1, 1 / (1 + np.exp(4 - data["alliance"] - np.repeat(rng.normal(0, 0.5, 20), 20))))
    >>> fit = GeneralizedMixedModel("came ~ alliance + (1 | therapist)").fit(data)
    >>> effect_curve(fit, "alliance", "alliance", points=3)["estimate"].round(1).tolist()
    [0.1, 0.2, 0.0]
    """
    _require(result, [variable, along], "effect_curve")
    _require_number(result, along, "effect_curve")
    if variable == along and (values is not None or step is not None):
        raise AllianceError(
            f"effect_curve: along '{along}' itself the effect is the slope there; leave values= and step= out"
        )
    low, high = _range(result, along, None, None)
    grid = np.linspace(low, high, points)
    h = SMALL * float(result.frame[along].std()) if variable == along else 0.5
    frames = [
        average_marginal_effects(
            result, variable, values=(value - h, value + h) if variable == along else values, step=step, groups=groups,
            at=at if variable == along else {**(at or {}), along: value}, scale=scale,
        )
        for value in grid
    ]  # fmt: skip
    if len(frames[0]) > 1:
        raise AllianceError(f"effect_curve: '{variable}' has {len(frames[0])} effects; choose two levels with values=")
    rows = pd.concat(frames, ignore_index=True)[["estimate", "conf_low", "conf_high"]] / (2 * h)
    rows.insert(0, along, grid)
    return rows.assign(significant=(rows["conf_low"] > 0) | (rows["conf_high"] < 0))


def _averages(result: Result, x: str, values: np.ndarray, fixed: At, groups: Over, scale: Unit) -> pd.DataFrame:
    """Columns ``fitted conf_low conf_high``."""
    if not isinstance(result.model, BetaModel | FractionalModel | GEE | OrdinalModel):
        rows = average_outcomes(result, x, values, at=fixed, groups=groups, scale=scale)
        return rows[["estimate", "conf_low", "conf_high"]].rename(columns={"estimate": "fitted"})
    if groups != "population":
        raise AllianceError(f"outcome_curve: groups={groups!r} is for GeneralizedMixedModel and MixedModel")
    base = result.frame.assign(**fixed)
    found = [_mean(result, base.assign(**{x: value}), scale) for value in values]
    mean, J, size = (np.array(part) for part in zip(*found, strict=True))
    joint = getattr(result.state, "joint", None)
    V = result.covariance.to_numpy() if joint is None else joint
    error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, V, J), 0))
    half = t_quantile((1 + result.model.level) / 2, _df(result, J)) * error
    low, high = _interval(result, mean / size, half / size)
    return pd.DataFrame({"fitted": mean, "conf_low": size * low, "conf_high": size * high})


def _mean(result: Result, frame: pd.DataFrame, scale: Unit) -> tuple[float, np.ndarray, float]:
    """Average over the rows, its derivatives in the parameters, and the average size of what is counted."""
    size = np.ones(len(frame))
    if isinstance(result.model, BetaModel):
        mean, J = beta_predict.mean_and_derivatives(result, frame)
    elif isinstance(result.model, OrdinalModel):
        mean, J = ordinal_predict.mean_and_derivatives(result, frame)
    else:
        X, eta, _ = linear_predictor(result, frame)
        slopes = QUASI_LINKS[result.state.link].slopes(eta)
        mean, J = slopes.mean, slopes.first[:, None] * X
        size = new_trials(result.state.left, frame) if scale == "response" else size
    if np.isnan(mean).any():
        raise AllianceError("the means rest on terms that the data cannot tell apart (see the notes of the result)")
    return float((size * mean).mean()), size @ J / len(size), float(size.mean())


def _df(result: Result, J: np.ndarray) -> np.ndarray:
    if isinstance(result.model, FractionalModel | GEE):
        return np.asarray(result.model._df(result, J))
    return np.full(len(J), float(getattr(result.state, "df", np.inf)))


def _interval(result: Result, mean: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric on the scale of the link; of a rating on the logit of its place between the extreme scores."""
    if isinstance(result.model, FractionalModel | GEE):
        function = QUASI_LINKS[result.state.link]
        centre = function.inverse(mean)
        reach = half / np.maximum(np.abs(function.slopes(centre).first), 1e-300)
        return function.mean(centre - reach), function.mean(centre + reach)
    scores = result.state.rating.scores if isinstance(result.model, OrdinalModel) else np.array([0.0, 1.0])
    width = float(np.ptp(scores))
    place = np.clip((mean - scores[0]) / width, 1e-12, 1 - 1e-12)
    reach = half / width / (place * (1 - place))
    low, high = (scores[0] + width * special.expit(special.logit(place) + side * reach) for side in (-1, 1))
    return low, high


def _range(result: Result, x: str, by: str | None, level: Any) -> tuple[float, float]:
    seen = result.frame[x] if by is None else result.frame.loc[result.frame[by] == level, x]
    return float(seen.min()), float(seen.max())


def _designs(result: Result) -> list[Any]:
    """Designs of the mean and, in a beta model, of its other parts."""
    return [
        result.state.design,
        *(part.design for part in getattr(result.state, "parts", ()) if hasattr(part, "design")),
    ]


def _levels(result: Result) -> dict[str, Any]:
    return {name: found for design in _designs(result) for name, found in design.levels.items()}


def _require(result: Result, names: Sequence[str], where: str) -> None:
    if not hasattr(result.state, "design"):
        raise AllianceError(f"{where}: {type(result.model).__name__} has no mean on the scale of its outcome here")
    variables = [name for design in _designs(result) for name in design.variables]
    require_columns(list(dict.fromkeys(variables)), names, where)


def _require_number(result: Result, x: str, where: str) -> None:
    if x in _levels(result):
        raise AllianceError(f"{where}: '{x}' is a factor; give a number, and use average_outcomes for the levels")
