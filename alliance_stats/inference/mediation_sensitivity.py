"""Sensitivity of mediation to an unmeasured cause of mediator and outcome: zeros, intervals, variance shares, curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.mediation_ratios import e_value_rows
from alliance_stats.inference.mediation_rho import WORLDS, Assumed, assumed_effects, explained, root_between, why_not
from alliance_stats.models.mediation import Mediation, MediationState
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result

Form = Literal["residual", "total"]
RHO = tuple(round(-0.95 + 0.05 * k, 2) for k in range(39))
COLUMNS = ("term", "at", "measure", "value", "meaning")


def mediation_sensitivity(
    result: Result, term: str | None = None, mediator: str | None = None, alpha: float = 0.05
) -> pd.DataFrame:
    """What ``sensitivity`` returns for a Mediation: columns ``term at measure value meaning``, one row a measure.

    - ``ρ of zero effect``: the correlation of the errors at which the effect vanishes, solved, not read off a grid.
    - ``ρ of the interval``: the correlation nearest to 0 at which the 1 − alpha interval takes in zero.
    - ``R² product, residual``: ρ², what the confounder explains of the residual variances of mediator and outcome,
      multiplied; ``R² product, total``: ρ² (1 − R²_M)(1 − R²_Y), of the whole variances.
    - ``E-value`` and ``E-value of the limit`` (binary and count outcomes): the risk ratio by which a confounder must be tied
      to both mediator and outcome to explain the effect, as a ratio of standardised means, or its interval, away.

    ``term`` is one effect; by default ``indirect`` and ``direct``, and ``acme_control`` where it is another one. With several
    mediators ``mediator`` names the one whose error is correlated with the outcome's.
    """
    state = _state(result, "sensitivity")
    if not 0 < alpha < 1:
        raise AllianceError(f"sensitivity: alpha is {alpha}; use 0 < alpha < 1")
    rows: list[tuple[str, str, str, float, str]] = []
    k = _mediator(state, mediator)
    reason = why_not(state, k)
    terms = [term] if term is not None else ["indirect", "direct"]
    _require_terms(terms)
    if not reason:
        terms += ["acme_control"] if term is None and _interacts(state, k) else []
        for name in terms:
            for assumed in assumed_effects(state, name, k):
                rows += _rows(assumed, state, alpha)
    elif not _is_ratio(state):
        raise AllianceError(f"sensitivity: {reason}")
    else:
        rows.append((terms[0], "", "ρ of zero effect", np.nan, f"not defined here: {reason}; E-values are"))
    if _is_ratio(state):
        rows += e_value_rows(result, [name for name in terms if name != "acme_control" or term], alpha)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sensitivity_curve(
    result: Result, term: str | None = None, rho: Sequence[float] = RHO, *, mediator: str | None = None,
    level: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """An effect of a mediation over correlations of the errors of mediator and outcome.

    Parameters
    ----------
    result : a fitted Mediation whose mediator is normal and whose outcome is normal or a probit, or a MultilevelMediation.
    term : ``"indirect"`` (or ``acme_treated``; the default), ``"acme_control"``, ``"direct"``, ``"ade_treated"``. Of several
        levels an indirect or direct effect as ``tidy()`` names it, by default the first indirect one: ρ is then the
        correlation of the rows' errors for effects within groups, of the intercepts for others.
    rho : correlations between −1 and 1.
    mediator : with several, the one whose error is correlated; the errors of the others are taken as independent of it.
    level : confidence level; that of the model by default.

    Returns columns ``term at rho estimate std_error conf_low conf_high interval``; standard errors by the delta method from
    the covariance of the model. At ρ = 0 the estimate is that of ``tidy()``. Raises AllianceError where ρ is not defined:
    other families, products of mediators, terms of the mediator's equation that the outcome's equation lacks.

    Source: Imai, Keele & Yamamoto 2010, doi 10.1214/10-STS321, theorem 4; Imai, Keele & Tingley 2010, doi 10.1037/a0020761.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"arm": np.arange(200) % 2})
    >>> data["alliance"] = 0.5 * data["arm"] + rng.normal(size=200)
    >>> data["pain"] = -0.6 * data["alliance"] + rng.normal(size=200)
    >>> fit = Mediation(["alliance ~ arm"], "pain ~ arm + alliance", "arm", interval="delta").fit(data)
    >>> sensitivity_curve(fit, rho=[-0.3, 0, 0.3])["estimate"].round(2).tolist()
    [-0.13, -0.28, -0.43]
    """
    if isinstance(result.model, MultilevelMediation):
        from alliance_stats.inference.multilevel_sensitivity import multilevel_sensitivity_curve

        return multilevel_sensitivity_curve(result, term, rho, level=level)
    state, term = _state(result, "sensitivity_curve"), term or "indirect"
    k = _mediator(state, mediator)
    _require_rho(state, k, "sensitivity_curve")
    _require_terms([term])
    if any(not -1 < r < 1 for r in rho) or not len(rho):
        raise AllianceError(f"sensitivity_curve: rho holds {list(rho)}; give correlations between −1 and 1")
    level = result.model.level if level is None else level
    z = float(t_quantile((1 + level) / 2, np.inf))
    found = []
    for assumed in assumed_effects(state, term, k):
        for r in rho:
            estimate, se = assumed.estimate(float(r))
            found.append((term, assumed.at, float(r), estimate, se, estimate - z * se, estimate + z * se, "delta"))
    names = ["term", "at", "rho", "estimate", "std_error", "conf_low", "conf_high", "interval"]
    return pd.DataFrame(found, columns=names)


def sensitivity_contours(
    result: Result, term: str = "indirect", form: Form = "residual", *, same_sign: bool | None = None,
    mediator: str | None = None, points: int = 41,
) -> pd.DataFrame:  # fmt: skip
    """An effect over the shares of variance that a confounder explains of the mediator and of the outcome.

    ``form`` ``"residual"``: of what the equations leave unexplained, ρ = ±√(R²_M R²_Y); ``"total"``: of the whole variances,
    ρ = ±√(R²_M R²_Y / ((1 − R²_M fitted)(1 − R²_Y fitted))), missing where that is beyond 1. ``same_sign`` says whether the
    confounder moves mediator and outcome in the same direction; by default the direction that takes the effect away.
    Of several contrasts of the exposure the first is taken.

    Returns columns ``term form same_sign r2_mediator r2_outcome rho estimate``.
    Source: Imai, Keele & Yamamoto 2010, doi 10.1214/10-STS321, section 5.
    """
    state = _state(result, "sensitivity_contours")
    k = _mediator(state, mediator)
    _require_rho(state, k, "sensitivity_contours")
    _require_terms([term])
    if form not in ("residual", "total") or points < 2:
        raise AllianceError(
            f"sensitivity_contours: form is {form!r}, points {points}; use 'residual' or 'total', 2 or more"
        )
    assumed = next(assumed_effects(state, term, k))
    left = (1.0, 1.0) if form == "residual" else tuple(1 - r2 for r2 in explained(state, k))
    zero = assumed.zero()
    positive = zero > 0 if same_sign is None else same_sign
    shares = [np.linspace(0, 0.98 * most, points) for most in left]
    r2_mediator, r2_outcome = (grid.ravel() for grid in np.meshgrid(*shares))
    rho = (1 if positive else -1) * np.sqrt(r2_mediator * r2_outcome / (left[0] * left[1]))
    estimate = [float(assumed.values(float(r), assumed.phi[None])[0]) for r in rho]
    return pd.DataFrame(
        {"term": term, "form": form, "same_sign": bool(positive), "r2_mediator": r2_mediator, "r2_outcome": r2_outcome,
         "rho": rho, "estimate": estimate}
    )  # fmt: skip


def _rows(assumed: Assumed, state: MediationState, alpha: float) -> Iterator[tuple[str, str, str, float, str]]:
    rho = assumed.zero()
    names = [equation.response for equation in state.equations]
    pair = f"{names[assumed.k]} and {names[-1]}"

    def row(measure: str, value: float, meaning: str) -> tuple[str, str, str, float, str]:
        return assumed.term, assumed.at, measure, value, meaning

    if np.isnan(rho):
        yield row("ρ of zero effect", np.nan, f"no correlation of the errors of {pair} makes the effect zero")
        return
    yield row("ρ of zero effect", rho, f"the effect is zero where the errors of {pair} correlate {rho:.3g}")
    reached = _interval_rho(assumed, rho, alpha)
    told = f"the {100 * (1 - alpha):g} % interval takes in zero from a correlation of {reached:.3g} on"
    yield row("ρ of the interval", reached, told if reached else "the interval takes in zero without any confounder")
    yield row(
        "R² product, residual", rho**2, "shares of the residual variances that the confounder explains, multiplied"
    )
    r2_mediator, r2_outcome = explained(state, assumed.k)
    yield row(
        "R² product, total", rho**2 * (1 - r2_mediator) * (1 - r2_outcome),
        "shares of the whole variances that the confounder explains, multiplied",
    )  # fmt: skip


def _interval_rho(assumed: Assumed, rho: float, alpha: float) -> float:
    """The correlation between 0 and the zero of the effect at which the interval reaches zero; 0 where it does already."""
    z = float(t_quantile(1 - alpha / 2, np.inf))

    def gap(r: float) -> float:
        estimate, se = assumed.estimate(r)
        return abs(estimate) - z * se

    return 0.0 if gap(0.0) <= 0 else root_between(gap, 0.0, rho)


def _state(result: Result, where: str) -> MediationState:
    if type(result.model) is not Mediation:  # the effects of its relatives are not natural effects
        raise AllianceError(f"{where} needs a fitted Mediation, not {type(result.model).__name__}")
    state: MediationState = result.state
    return state


def _mediator(state: MediationState, name: str | None) -> int:
    names = [equation.response for equation in state.equations[:-1]]
    if name is None and len(names) > 1:
        raise AllianceError(f"mediator: there are {len(names)}; name the one that is confounded: {', '.join(names)}")
    if name is not None and name not in names:
        raise AllianceError(f"mediator '{name}' is not in the model; mediators: {', '.join(names)}")
    return 0 if name is None else names.index(name)


def _require_terms(terms: Sequence[str]) -> None:
    for term in terms:
        if term not in WORLDS:
            raise AllianceError(f"sensitivity: no effect {term!r}; use one of {', '.join(WORLDS)}")


def _require_rho(state: MediationState, k: int, where: str) -> None:
    if reason := why_not(state, k):
        raise AllianceError(f"{where}: {reason}")


def _interacts(state: MediationState, k: int) -> bool:
    pairs = zip(assumed_effects(state, "acme_control", k), assumed_effects(state, "acme_treated", k), strict=True)
    return any(not np.isclose(a.estimate(0)[0], b.estimate(0)[0], rtol=1e-9, atol=0) for a, b in pairs)


def _is_ratio(state: MediationState) -> bool:
    return state.equations[-1].family.name in ("binomial", "poisson")
