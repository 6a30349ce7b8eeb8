"""How strong an unmeasured confounder would have to be to change what an observational coefficient says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.effect_sizes import linear_parts
from alliance_stats.inference.grid import Names, as_names
from alliance_stats.inference.mediation_ratios import e_value
from alliance_stats.inference.mediation_sensitivity import mediation_sensitivity
from alliance_stats.inference.multilevel_sensitivity import multilevel_sensitivity
from alliance_stats.models.linear import LinearState
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.least_squares import least_squares
from alliance_stats.result import Result, estimate_row

LOG_RATIO = 0.91  # log risk ratio for one SD of a continuous outcome (Chinn 2000; VanderWeele & Ding 2017)
ROUNDING = 1e-12  # relative size below which a number is rounding
COLUMNS = (
    "measure", "benchmark", "multiple", "value", "r2_exposure", "r2_outcome", "estimate", "std_error", "statistic",
    "conf_low", "conf_high", "meaning",
)  # fmt: skip


@dataclass(frozen=True)
class Exposure:
    """One coefficient with its classical standard error, and what is asked about it."""

    name: str
    column: int
    estimate: float
    std_error: float
    df: float
    q: float
    alpha: float

    @property
    def f(self) -> float:
        """Partial Cohen's f of the exposure with the outcome, |t| / √df."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.abs(np.divide(self.estimate, self.std_error)) / np.sqrt(self.df))

    @property
    def critical_f(self) -> float:
        """Critical t over √df once the confounder has taken one degree of freedom."""
        return float(t_quantile(1 - self.alpha / 2, self.df - 1)) / float(np.sqrt(self.df - 1))


def sensitivity(
    result: Result,
    term: str | None = None,
    benchmarks: Names = (),
    multiples: Sequence[float] = (1, 2, 3),
    q: float = 1.0,
    alpha: float = 0.05,
    mediator: str | None = None,
) -> pd.DataFrame:
    """Sensitivity of one coefficient of a linear model, or of the effects of a mediation, to an unmeasured confounder.

    Parameters
    ----------
    result : a fitted LinearModel, or a Mediation: then ``term`` is an effect (by default the indirect and direct ones),
        ``mediator`` names one of several, and the frame is that of ``mediation_sensitivity``: correlations of the errors of
        mediator and outcome at which an effect vanishes, both R² forms, E-values. For a MultilevelMediation the frame is that
        of ``multilevel_sensitivity``: ``level`` is that on which confounding is assumed. The rest is for a LinearModel.
    term : the coefficient of the exposure as ``tidy()`` names it, e.g. ``"alliance"`` or ``"arm[T.MCE]"``.
    benchmarks : terms of the formula, or coefficients, to which a confounder is compared, e.g. ``["baseline"]``.
    multiples : how many times as strong as a benchmark the confounder is.
    q : share of the estimate that the confounder takes away; 1 is all of it.
    alpha : the intervals have level 1 − alpha.

    Returns
    -------
    One row a measure; ``value`` is the measure, ``meaning`` says it in words. ``r2_exposure`` and ``r2_outcome`` describe
    the confounder of the row: the share of what the model leaves unexplained of the exposure, and of the outcome (given
    the exposure too), that it explains. The columns from ``estimate`` to ``conf_high`` are what the model would have
    found with this confounder in it.

    - ``as fitted``: without a confounder.
    - ``partial R²`` of the exposure with the outcome, and ``extreme scenario``: the least ``r2_exposure`` that takes away
      q of the estimate if the confounder explains all the rest of the outcome.
    - ``robustness value``: confounders with both shares below it cannot take away q of the estimate; with ``(α = …)``,
      cannot bring (1 − q) of the estimate into the interval.
    - ``bound``: the worst confounder ``multiple`` times as strong as the benchmark, in the exposure and in the outcome.
    - ``E-value``: the risk ratio by which a confounder must be tied to both exposure and outcome to explain the
      estimate, and the limit of its interval nearest to no effect, away. The risk ratio of the estimate is approximated
      by exp(0.91 d), d being the effect in SDs of the outcome for one SD of the exposure, or from the lower to the
      higher value of an exposure with two.

    All but the E-values rest on the classical standard error, whatever the ``vcov`` of the model, because partial R² is
    made of the classical t; the limit of the E-value is that of the model's own covariance. A coefficient whose exposure
    also stands in an interaction is the effect at one value of the moderator; its sensitivity is, too.

    Sources: Cinelli & Hazlett (2020, doi 10.1111/rssb.12348); VanderWeele & Ding (2017, doi 10.7326/M16-2607).
    Raises AllianceError for other models, unknown terms, and fewer than two residual degrees of freedom.

    >>> from alliance_stats.models.linear import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 2, 3], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> rows = sensitivity(LinearModel("pain ~ alliance").fit(data), "alliance").set_index("measure")
    >>> rows.loc[["partial R²", "robustness value", "E-value"], "value"].round(2).to_dict()
    {'partial R²': 0.79, 'robustness value': 0.82, 'E-value': 3.92}
    """
    if isinstance(result.model, Mediation):
        return _of_mediation(result, term, as_names(benchmarks), q, alpha, mediator)
    if isinstance(result.model, MultilevelMediation):
        if len(as_names(benchmarks)) or q != 1 or mediator is not None:
            raise AllianceError(
                "sensitivity: benchmarks, q and mediator are not for a MultilevelMediation; leave them out"
            )
        return multilevel_sensitivity(result, term, alpha)
    state, X, y = linear_parts(result, "sensitivity")
    if term is None or mediator is not None:
        raise AllianceError("sensitivity: name the coefficient of the exposure as term=; mediator= is for a Mediation")
    exposure = _exposure(result, state, term, q, alpha)
    rows = [*_strength_rows(exposure), *_bound_rows(result, state, exposure, X, y, as_names(benchmarks), multiples)]
    return pd.DataFrame([*rows, *_e_value_rows(result, exposure, X, y)], columns=list(COLUMNS))


def _of_mediation(
    result: Result, term: str | None, benchmarks: Sequence[str], q: float, alpha: float, mediator: str | None
) -> pd.DataFrame:
    if benchmarks or q != 1:
        raise AllianceError("sensitivity: benchmarks and q are for a LinearModel; leave them out for a Mediation")
    return mediation_sensitivity(result, term, mediator, alpha)


def adjusted_estimate(exposure: Exposure, r2_exposure: float, r2_outcome: float) -> dict[str, float]:
    """Estimate, standard error, t and interval with a confounder of these partial R²s in the model, at its worst.

    From omitted-variable bias: |bias| = SE √df √(R²_Y R²_D / (1 − R²_D)) with R²_Y = R²_{Y~Z|D,X} and R²_D = R²_{D~Z|X};
    SE' = SE √((1 − R²_Y) / (1 − R²_D)) √(df / (df − 1)).
    """
    df, kept = exposure.df, 1 - r2_exposure
    bias = exposure.std_error * np.sqrt(df * r2_outcome * r2_exposure / kept)
    estimate = exposure.estimate - np.copysign(bias, exposure.estimate)
    std_error = exposure.std_error * np.sqrt((1 - r2_outcome) / kept * df / (df - 1))
    return _inference(exposure, float(estimate), float(std_error), df - 1)


def robustness_value(f: float) -> float:
    """The r with r / √(1 − r) = f: both partial R²s that a confounder needs to remove an effect of this partial f.

    >>> round(robustness_value(0.5), 3)
    0.39
    """
    return 2 / (1 + float(np.sqrt(1 + 4 / f**2))) if f > 0 else 0.0


def _exposure(result: Result, state: LinearState, term: str, q: float, alpha: float) -> Exposure:
    estimate_row(result.estimates, term)
    if term == "Intercept":
        raise AllianceError("sensitivity: the intercept is not an exposure; name another term")
    if not 0 < q <= 1 or not 0 < alpha < 1:
        raise AllianceError(f"sensitivity: q is {q} and alpha {alpha}; use 0 < q <= 1 and 0 < alpha < 1")
    if state.df_residual < 2:
        raise AllianceError(f"sensitivity: {state.df_residual} residual df; a confounder needs one of at least two")
    j = list(result.estimates["term"]).index(term)
    std_error = state.sigma * float(np.sqrt(state.bread[j, j]))
    column = int(state.kept[j])
    return Exposure(term, column, float(state.coefficients[j]), std_error, float(state.df_residual), q, alpha)


def _strength_rows(x: Exposure) -> Iterator[dict[str, Any]]:
    f = x.q * x.f
    away = "the whole estimate" if x.q == 1 else f"{100 * x.q:g} % of the estimate"
    fitted = _inference(x, x.estimate, x.std_error, x.df)
    yield _row("as fitted", f"{x.name} without a confounder, classical standard error") | fitted
    partial = _share(x.f)
    yield _row("partial R²", f"{x.name} explains {partial:.1%} of what the other terms leave of the outcome", partial)
    extreme = _share(f)
    told = f"a confounder of all the rest of the outcome needs {extreme:.1%} of the exposure to take away {away}"
    yield _row("extreme scenario", told, extreme) | _with_confounder(x, extreme, 1.0)
    value = robustness_value(f)
    told = f"a confounder needs {value:.1%} of both exposure and outcome to take away {away}"
    yield _row("robustness value", told, value) | _with_confounder(x, value, value)
    value, r2_outcome = _robustness_of_limit(x)
    reached = "0" if x.q == 1 else f"{100 * (1 - x.q):g} % of the estimate"
    told = f"a confounder needs up to {value:.1%} of both to make the interval reach {reached}"
    name = "robustness value (α = " + f"{x.alpha:g})".removeprefix("0")
    yield _row(name, told, value) | _with_confounder(x, value, r2_outcome)


def _robustness_of_limit(x: Exposure) -> tuple[float, float]:
    """The robustness value of the limit, and the partial R² with the outcome at which it is reached.

    The distance of the limit from (1 − q) of the estimate is q f − √(R²_Y R²_D / (1 − R²_D)) − f* √((1 − R²_Y) /
    (1 − R²_D)) in units of SE √df. The worst R²_Y is R²_D / (R²_D + f*²) where that is less than R²_D, because a
    confounder of the outcome also makes the standard error smaller.
    """
    f, critical = x.q * x.f, x.critical_f
    value = robustness_value(f - critical)
    if value <= 1 - critical**2:
        return value, value
    value = 1.0 if np.isinf(f) else (f**2 - critical**2) / (1 + f**2)
    return value, value / (value + critical**2)


def _bound_rows(
    result: Result, state: LinearState, x: Exposure, X: np.ndarray, y: np.ndarray, benchmarks: Sequence[str],
    multiples: Sequence[float],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    for name in benchmarks:
        columns = _columns_of(name, result, state, x)
        rest = np.setdiff1d(state.kept, [*columns, x.column])
        with_exposure = _partial_r2(X[:, rest], X[:, columns], X[:, x.column])
        with_outcome = _partial_r2(X[:, [*rest, x.column]], X[:, columns], y)
        for k in multiples:
            if not k > 0:
                raise AllianceError(f"sensitivity: multiples holds {k}; numbers above 0 are needed")
            yield _bound(x, name, float(k), with_exposure, with_outcome)


def _bound(x: Exposure, name: str, k: float, with_exposure: float, with_outcome: float) -> dict[str, Any]:
    """Partial R²s of a confounder Z, unrelated to the covariates, k times as strong as the benchmark B.

    k is R²_{D~Z|X₋B} / R²_{D~B|X₋B}, and likewise for the outcome given D. From Z ⊥ B follow R²_D = k r / (1 − r) and, as
    B and Z are tied once D is given, R²_{Z~B|D} = k r² / ((1 − k r)(1 − r)); the triangle inequality for the partial
    correlations bounds R²_Y (Cinelli & Hazlett 2020, section 4.4).
    """
    place = {"benchmark": name, "multiple": k}
    r, s = with_exposure, with_outcome
    if not k * r < 1 - r:
        told = f"impossible: {name} explains {r:.1%} of the exposure, so nothing can be {k:g} times as strong"
        return _row("bound", told) | place
    tied = k * r**2 / ((1 - k * r) * (1 - r))
    r2_outcome = (np.sqrt(k) + np.sqrt(tied)) ** 2 / (1 - tied) * s / (1 - s) if s < 1 else np.inf
    told = f"a confounder {k:g} times as strong as {name}"
    if r2_outcome > 1:
        told += ", which here means all the rest of the outcome"
    return _row("bound", told) | place | _with_confounder(x, k * r / (1 - r), min(float(r2_outcome), 1.0))


def _e_value_rows(result: Result, x: Exposure, X: np.ndarray, y: np.ndarray) -> Iterator[dict[str, Any]]:
    found = estimate_row(result.estimates, x.name)
    values = np.unique(X[:, x.column])
    two = len(values) == 2
    change = float(np.ptp(values)) if two else float(np.std(X[:, x.column], ddof=1))
    unit = f"from {values[0]:g} to {values[1]:g}" if two else f"for one SD ({change:.3g})"
    to_d = change / float(np.std(y, ddof=1))
    half = float(t_quantile(1 - x.alpha / 2, found.df)) * found.std_error
    ratio = float(np.exp(LOG_RATIO * x.estimate * to_d))
    told = f"d = {x.estimate * to_d:.3g} {unit} of {x.name}, a risk ratio of about {ratio:.3g}"
    yield _row("E-value", told, e_value(ratio))
    nearest = np.copysign(max(abs(x.estimate) - half, 0.0), x.estimate)
    ratio = float(np.exp(LOG_RATIO * nearest * to_d))
    told = (
        f"limit nearest to no effect, a risk ratio of about {ratio:.3g}" if nearest else "the interval holds no effect"
    )
    yield _row("E-value of the limit", told, e_value(ratio))


def _columns_of(name: str, result: Result, state: LinearState, x: Exposure) -> np.ndarray:
    """Kept columns of a term or a coefficient."""
    slices, names = state.design.slices, state.design.terms
    if name not in slices and name not in names:
        known = dict.fromkeys([*slices, *result.estimates["term"]])
        raise AllianceError(f"sensitivity: no benchmark {name!r}; possible: {', '.join(known)}")
    where = slices.get(name, slice(0, 0))
    columns = np.arange(where.start, where.stop) if name in slices else np.array([names.index(name)])
    columns = np.intersect1d(columns, state.kept)
    if name == "Intercept" or x.column in columns or not len(columns):
        raise AllianceError(f"sensitivity: benchmark {name!r} must be an estimated term other than {x.name!r}")
    return columns


def _partial_r2(rest: np.ndarray, added: np.ndarray, y: np.ndarray) -> float:
    """Share of what ``rest`` leaves of y that ``added`` explains; 0 where nothing is left."""
    before = least_squares(rest, y).residuals
    after = least_squares(np.column_stack([rest, added]), y).residuals
    left = before @ before
    return max(0.0, float(1 - after @ after / left)) if left > ROUNDING**2 * (y @ y) else 0.0


def _with_confounder(x: Exposure, r2_exposure: float, r2_outcome: float) -> dict[str, float]:
    strength = {"r2_exposure": r2_exposure, "r2_outcome": r2_outcome}
    return strength | (adjusted_estimate(x, r2_exposure, r2_outcome) if r2_exposure < 1 else {})


def _inference(x: Exposure, estimate: float, std_error: float, df: float) -> dict[str, float]:
    """Estimate, t and interval; a difference that is rounding alone becomes 0, and t is missing without a residual."""
    half = float(t_quantile(1 - x.alpha / 2, df)) * std_error
    found = [0.0 if abs(v) <= ROUNDING * abs(x.estimate) else v for v in (estimate, estimate - half, estimate + half)]
    t = found[0] / std_error if std_error > 0 else np.nan
    return {
        "estimate": found[0], "std_error": std_error, "statistic": t, "conf_low": found[1], "conf_high": found[2],
    }  # fmt: skip


def _row(measure: str, meaning: str, value: float = np.nan) -> dict[str, Any]:
    empty = dict.fromkeys(COLUMNS, np.nan)
    return empty | {"measure": measure, "benchmark": "", "value": value, "meaning": meaning}


def _share(f: float) -> float:
    """f² / (1 + f²), also for an infinite f."""
    return float(np.sin(np.arctan(f)) ** 2)
