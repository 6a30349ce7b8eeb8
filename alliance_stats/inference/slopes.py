"""Simple slopes, curves and Johnson–Neyman regions: the effect of one variable along another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.inference.combine import Adjust, combine
from alliance_stats.inference.grid import At, cell_weights, describe_at
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result

GRID = 401


def simple_slopes(
    result: Result, focal: str, *, at: At, adjust: Adjust = "none", difference: tuple[Any, Any] | None = None
) -> pd.DataFrame:
    """Effect of ``focal`` on the outcome at each combination of the moderators' values in ``at``.

    The effect of a number is its slope (a change of one unit), that of a factor the difference between the two levels in
    ``difference`` (reference first; needed where there are more than two). Other numbers are held at their mean, other
    factors averaged with equal weights. Glossary columns, with the moderators in ``at``.
    Source: Aiken & West 1991, Multiple Regression: Testing and Interpreting Interactions.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"y": [1.0, 2, 3, 1, 3, 6], "x": [1.0, 2, 3, 1, 2, 3], "arm": list("aaabbb")})
    >>> simple_slopes(LinearModel("y ~ x * arm").fit(data), "x", at={"arm": ["a", "b"]})[["at", "estimate"]].round(2)
            at  estimate
    0  arm = a       1.0
    1  arm = b       2.5
    """
    _require_one_equation(result, "simple_slopes")
    points, L = _slope_rows(result, focal, at, difference)
    name = focal if focal not in result.state.design.levels else _difference_name(result, focal, difference)
    return combine(
        result,
        L,
        [name] * len(L),
        at=[describe_at(dict(zip(map(str, points), row, strict=True))) for row in points.itertuples(index=False)],
        adjust=adjust,
    )


def slope_curve(
    result: Result, focal: str, moderator: str, *, difference: tuple[Any, Any] | None = None, points: int = 101
) -> pd.DataFrame:
    """The simple slope along the observed range of a numeric moderator, never beyond it.

    Columns: the moderator, ``estimate conf_low conf_high significant``.
    """
    low, high = _observed_range(result, moderator)
    values = np.linspace(low, high, points)
    rows = simple_slopes(result, focal, at={moderator: values}, difference=difference)
    frame = rows[["estimate", "conf_low", "conf_high"]].assign(significant=_excess(rows, result.model.level) > 0)
    frame.insert(0, moderator, values)
    return frame


def johnson_neyman(
    result: Result, focal: str, moderator: str, *, difference: tuple[Any, Any] | None = None
) -> pd.DataFrame:
    """Where along the moderator the effect of ``focal`` differs from zero, within the observed range only.

    One row a region from left to right: ``low high significant sign share``; ``share`` is the share of the rows of the
    data in the region. Boundaries outside the observed range are not shown: they would be extrapolation. Boundaries are
    roots of |t(w)| = critical value, which for constant df is the closed form of Johnson & Neyman (Bauer & Curran 2005,
    doi 10.1207/s15327906mbr4003_5).
    """
    low, high = _observed_range(result, moderator)

    def excess(values: np.ndarray) -> np.ndarray:
        rows = simple_slopes(result, focal, at={moderator: values}, difference=difference)
        return _excess(rows, result.model.level)

    edges = [low, *_roots(excess, low, high), high]
    middle = np.array([(a + b) / 2 for a, b in pairwise(edges)])
    rows = simple_slopes(result, focal, at={moderator: middle}, difference=difference)
    seen = result.frame[moderator].to_numpy(dtype=float)
    inside = [((seen >= a) & ((seen < b) | (b == high))).mean() for a, b in pairwise(edges)]
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "significant": excess(middle) > 0,
            "sign": np.where(rows["estimate"] > 0, "positive", "negative"),
            "share": inside,
        }
    )


def curve(result: Result, x: str, by: str | None = None, *, at: At | None = None, points: int = 50) -> pd.DataFrame:
    """Expected outcome along the observed range of ``x``, for each level of ``by`` over that level's own range.

    Columns: ``x``, ``by``, ``fitted conf_low conf_high``; what the interaction figure draws.
    """
    _require_one_equation(result, "curve")
    require_columns(result.state.design.variables, [x, *([by] if by else [])], "curve")
    _observed_range(result, x)
    groups: Sequence[Any] = result.state.design.levels.get(by, ()) if by else (None,)
    if by and not groups:
        raise AllianceError(f"curve: '{by}' is a number; give a factor, or look at slope_curve()")
    return pd.concat([_curve_of(result, x, by, group, at, points) for group in groups], ignore_index=True)


def _curve_of(result: Result, x: str, by: str | None, group: Any, at: At | None, points: int) -> pd.DataFrame:
    seen = result.frame[x] if by is None else result.frame.loc[result.frame[by] == group, x]
    values = np.linspace(float(seen.min()), float(seen.max()), points)
    fixed = dict(at or {}) | {x: values} | ({by: group} if by else {})
    _, L = cell_weights(result, [x], fixed, "equal")
    rows = combine(result, L, [x] * len(L))
    frame = pd.DataFrame({x: values, **({by: group} if by else {}), "fitted": rows["estimate"]})
    return frame.assign(conf_low=rows["conf_low"], conf_high=rows["conf_high"])


def _slope_rows(
    result: Result, focal: str, at: At, difference: tuple[Any, Any] | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """The moderators' values, one row a combination, and the weights of the slope there."""
    design = result.state.design
    require_columns(design.variables, [focal, *at], "simple_slopes")
    if focal in at:
        raise AllianceError(f"simple_slopes: '{focal}' is the focal variable and cannot stand in at=")

    def rows(value: Any) -> np.ndarray:
        return cell_weights(result, list(at), {**at, focal: value}, "equal")[1]

    points, _ = cell_weights(result, list(at), at, "equal")
    if focal in design.levels:
        reference, treated = _levels(result, focal, difference)
        return points, rows(treated) - rows(reference)
    low, high = _observed_range(result, focal)
    x = float(result.frame[focal].mean())
    h = min(float(result.frame[focal].std()), x - low, high - x) or 1.0  # a logarithm is defined within the data
    below, middle, above = (rows(x + step) for step in (-h, 0.0, h))
    if not np.allclose(below + above, 2 * middle, rtol=1e-9, atol=1e-9 * np.abs(middle).max()):
        h *= 1e-4  # curved in the focal variable: the slope at its mean
        below, above = rows(x - h), rows(x + h)
    return points, (above - below) / (2 * h)


def _levels(result: Result, focal: str, difference: tuple[Any, Any] | None) -> tuple[Any, Any]:
    levels = result.state.design.levels[focal]
    if difference is None and len(levels) == 2:
        return levels[0], levels[1]
    if difference is None or not set(difference) <= set(levels):
        raise AllianceError(f"'{focal}': give difference=(reference, level) from {', '.join(map(str, levels))}")
    return difference


def _difference_name(result: Result, focal: str, difference: tuple[Any, Any] | None) -> str:
    reference, treated = _levels(result, focal, difference)
    return f"{treated} − {reference}"


def _require_one_equation(result: Result, what: str) -> None:
    if isinstance(result.model, Mediation):
        raise AllianceError(
            f"{what} is for models of one equation, not {type(result.model).__name__}; use conditional_indirect() for an "
            "effect along a moderator, at={…} of the model for chosen values, or fit the equation alone with LinearModel"
        )
    if isinstance(result.model, MultilevelMediation):
        raise AllianceError(
            f"{what} is for models of one equation, not MultilevelMediation; its moderator=… gives effects at values, or fit "
            "the equation alone with MixedModel"
        )


def _observed_range(result: Result, moderator: str) -> tuple[float, float]:
    _require_one_equation(result, "simple slopes")
    require_columns(result.state.design.variables, [moderator], "moderator")
    if moderator in result.state.design.levels:
        raise AllianceError(f"moderator '{moderator}' is a factor; use simple_slopes(at={{'{moderator}': [...]}})")
    return float(result.frame[moderator].min()), float(result.frame[moderator].max())


def _excess(rows: pd.DataFrame, level: float) -> np.ndarray:
    """|t| − critical value: positive where the effect differs from zero."""
    critical = t_quantile((1 + level) / 2, rows["df"].to_numpy())
    return np.asarray(rows["statistic"].abs().to_numpy() - critical)


def _roots(excess: Any, low: float, high: float) -> list[float]:
    from scipy.optimize import brentq

    values = np.linspace(low, high, GRID)
    signs = np.sign(excess(values))
    crossings = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    found = [brentq(lambda w: excess(np.array([w]))[0], values[i], values[i + 1], xtol=1e-12) for i in crossings]
    return [float(root) for root in found]
