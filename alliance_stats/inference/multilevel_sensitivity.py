"""Sensitivity of a multilevel mediation: zeros, intervals, curves. ``multilevel_confounded`` derives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.mediation_rho import EDGE, root_between
from alliance_stats.inference.mediation_sensitivity import COLUMNS, RHO
from alliance_stats.inference.multilevel_confounded import Confounded, confounded_effects, undefined
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.multilevel_options import require_normal
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result


def multilevel_sensitivity(result: Result, term: str | None = None, alpha: float = 0.05) -> pd.DataFrame:
    """What ``sensitivity`` returns for a MultilevelMediation: ``term at measure value meaning level``, one row a measure.

    ``level`` says where an unmeasured cause of mediator and outcome is assumed: ``within`` groups the errors of the rows
    correlate, ``between`` groups the random intercepts; none on the other level. Rows: ``ρ of zero effect``, ``ρ of the
    interval`` and ``R² product, residual``, as for a Mediation. ``term`` is one indirect or direct effect (``c_prime…``) as
    ``tidy()`` names it; by default all.

    Not defined, and said so in ``meaning`` with a missing value: between groups with ``above=``, or where the mediator's or the
    outcome's intercepts do not vary. Raises AllianceError for a mediator in one piece in 2-1-1, for ``family=`` and for other
    terms.
    """
    if not 0 < alpha < 1:
        raise AllianceError(f"sensitivity: alpha is {alpha}; use 0 < alpha < 1")
    rows: list[tuple[str, str, str, float, str, str]] = []
    for effect in _chosen(result, term, "sensitivity"):
        why = undefined(result, effect)
        rows += (
            [(effect.term, effect.at, "ρ of zero effect", np.nan, why, effect.level)]
            if why
            else _rows(result, effect, alpha)
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, "level"])


def multilevel_sensitivity_curve(
    result: Result, term: str | None = None, rho: Sequence[float] = RHO, *, level: float | None = None
) -> pd.DataFrame:
    """An effect of a MultilevelMediation over correlations of errors on its level, for ``al.figures.sensitivity_curve``.

    Parameters
    ----------
    result : a fitted MultilevelMediation.
    term : an indirect or direct effect as ``tidy()`` names it; by default the first indirect one.
    rho : correlations between −1 and 1, of the rows' errors for effects within groups, of the intercepts for others.
    level : confidence level; that of the model by default.

    Returns columns ``term at rho estimate std_error conf_low conf_high interval``; standard errors by the delta method from all
    parameters jointly. At ρ = 0 the estimate is that of ``tidy()``. Raises AllianceError where ρ is not defined.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(60), 8), "practice": rng.normal(size=480)})
    >>> data["alliance"] = 0.5 * data["practice"] + rng.normal(size=480)
    >>> data["relief"] = 0.4 * data["alliance"] + rng.normal(size=480)
    >>> fit = MultilevelMediation("practice", "alliance", "relief", random=(), interval="delta").fit(data)
    >>> multilevel_sensitivity_curve(fit, "indirect_within", [-0.3, 0, 0.3])["estimate"].round(2).tolist()
    [0.28, 0.15, 0.02]
    """
    if any(not -1 < r < 1 for r in rho) or not len(rho):
        raise AllianceError(f"sensitivity_curve: rho holds {list(rho)}; give correlations between −1 and 1")
    effects = _chosen(result, term, "sensitivity_curve")
    effects = [effect for effect in effects if effect.term == effects[0].term]
    z = float(t_quantile((1 + (result.model.level if level is None else level)) / 2, np.inf))
    found = []
    for effect in effects:
        if why := undefined(result, effect):
            raise AllianceError(f"sensitivity_curve: {why}")
        for r in rho:
            estimate, se = effect.estimate(float(r))
            found.append(
                (effect.term, effect.at, float(r), estimate, se, estimate - z * se, estimate + z * se, "delta")
            )
    return pd.DataFrame(
        found, columns=["term", "at", "rho", "estimate", "std_error", "conf_low", "conf_high", "interval"]
    )


def _chosen(result: Result, term: str | None, where: str) -> list[Confounded]:
    model = result.model
    if not isinstance(model, MultilevelMediation):
        raise AllianceError(f"{where} needs a fitted MultilevelMediation, not {type(model).__name__}")
    require_normal(model, where)
    if model.design == "2-1-1" and not model.center:
        raise AllianceError(f"{where}: center=False mixes the levels of '{model.mediator}'; use center=True")
    effects = list(confounded_effects(result))
    terms = list(dict.fromkeys(effect.term for effect in effects))
    if term is not None and term not in terms:
        raise AllianceError(f"{where}: no effect {term!r}; use one of {', '.join(terms)}")
    return [effect for effect in effects if term in (None, effect.term)]


def _rows(result: Result, effect: Confounded, alpha: float) -> Iterator[tuple[str, str, str, float, str, str]]:
    model, rho = result.model, effect.zero()
    what = "errors of rows" if effect.level == "within" else f"levels of groups of '{model.group}'"
    where = f"{what} in {model.mediator} and {model.outcome}, none confounded on the other level"

    def row(measure: str, value: float, meaning: str) -> tuple[str, str, str, float, str, str]:
        return effect.term, effect.at, measure, value, meaning, effect.level

    told = f"the effect is zero where the {where}, correlate {rho:.3g}"
    yield row(
        "ρ of zero effect", rho, f"no correlation of the {where}, makes the effect zero" if np.isnan(rho) else told
    )
    reached = _interval_rho(effect, rho, alpha)
    told = f"the {100 * (1 - alpha):g} % interval takes in zero from a correlation of {reached:.3g} on"
    if np.isnan(reached):
        told = "no correlation brings the interval to zero"
    yield row("ρ of the interval", reached, told if reached else "the interval takes in zero without any confounder")
    if not np.isnan(rho):
        shares = "shares of both variances on this level that the confounder explains, multiplied"
        yield row("R² product, residual", rho**2, shares)


def _interval_rho(effect: Confounded, rho: float, alpha: float) -> float:
    """The correlation nearest to 0 at which the interval reaches zero; 0 where it does already."""
    z = float(t_quantile(1 - alpha / 2, np.inf))

    def gap(r: float) -> float:
        estimate, se = effect.estimate(r)
        return abs(estimate) - z * se

    if gap(0.0) <= 0:
        return 0.0
    if not np.isnan(rho):
        return root_between(gap, 0.0, rho)
    ends = [root_between(gap, 0.0, end) for end in (-EDGE, EDGE)]
    found = [end for end in ends if not np.isnan(end)]
    return min(found, key=abs) if found else float("nan")
