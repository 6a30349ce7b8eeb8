"""What the figures of mixed models draw: residuals and random effects, slopes within and between patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.inference.combine import combine
from alliance_stats.inference.contrasts import contrast
from alliance_stats.inference.grid import At, cell_weights
from alliance_stats.inference.groups import random_effects
from alliance_stats.inference.prediction_error import conditional_std_error
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.mixed_rows import covariances
from alliance_stats.random_terms import group_codes
from alliance_stats.result import Result

Segments = Literal["fitted", "observed"]
NOTHING = 1e-10  # of a variance: what is left of it by rounding
PARTS = ("between", "within", "contextual")


def residuals(result: Result) -> pd.DataFrame:
    """The rows of ``augment()`` with the residuals in standard deviations: ``sigma standardised studentised``.

    Of a mixed model the residual is the conditional one, y − Xβ̂ − Zb̂. ``sigma`` is the residual standard deviation of the
    row: with ``residual_by`` each group has its own, with weights it is σ/√weight. ``standardised`` = residual ÷ sigma, the
    Pearson residual of nlme (Pinheiro & Bates 2000, doi 10.1007/b98882, section 4.3). It varies less than a standard normal,
    as b̂ and β̂ take up a part of every residual. ``studentised`` = residual ÷ √(sigma² − s²), s² the variance of the prediction
    error of Xβ + Zb (Henderson 1975, doi 10.2307/2529430), has variance 1 given the variances: the one for lines at ±1.96
    and normal quantiles. In a linear model it is R's ``rstandard``; it is missing where a row is fitted exactly.
    Raises AllianceError where a result has no residuals, or all rows are fitted exactly.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 2, 3], "week": [0, 1, 2, 3]})
    >>> residuals(LinearModel("pain ~ week").fit(data))[["standardised", "studentised"]].round(2).head(1).to_dict("list")
    {'standardised': [0.17], 'studentised': [0.31]}
    """
    state = result.state
    if getattr(state, "residual", None) is None or not hasattr(state, "sigma"):
        raise AllianceError(f"residuals: {type(result.model).__name__} has no residuals with a standard deviation")
    if not state.sigma > 0:
        raise AllianceError("residuals: the residual standard deviation is 0: the model fits its data exactly")
    weights = getattr(state, "weights", None)
    sigma = state.sigma / np.sqrt(np.ones(len(state.residual)) if weights is None else weights)
    own = sigma**2 - _error_variance(result)
    sd = np.sqrt(np.where(own > NOTHING * sigma**2, own, np.nan))
    return result.augment().assign(sigma=sigma, standardised=state.residual / sigma, studentised=state.residual / sd)


def standardised_random_effects(result: Result, group: str | None = None) -> pd.DataFrame:
    """The rows of ``random_effects`` with ``standardised``, each mode divided by its own standard deviation.

    That is √(ψ − v), ψ the variance of the effect between groups and v the conditional variance (``std_error`` squared):
    a mode varies less than the effect, the less the fewer rows its group has, so that modes of groups of different size
    can only be laid beside one normal distribution after this division ("diagnostic standard error"; Langford & Lewis 1998,
    doi 10.1111/1467-985X.00094). It takes the fixed coefficients as known. Missing where the variance of the effect is zero
    and where a group's rows say nothing of it.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(200), 4)})
    >>> data["pain"] = np.repeat(rng.normal(size=200), 4) + rng.normal(size=800)
    >>> fit = MixedModel("pain ~ 1 + (1 | patient)").fit(data)
    >>> print(round(standardised_random_effects(fit)["standardised"].std(), 2))
    1.0
    """
    rows = random_effects(result, group)
    spread = {
        (name, effect): psi[k, k]
        for name, effects, psi in covariances(result.state)
        for k, effect in enumerate(effects)
    }
    between = np.array([spread[key] for key in zip(rows["group"], rows["term"], strict=True)])
    own = between - rows["std_error"].to_numpy() ** 2
    sd = np.sqrt(np.where(own > NOTHING * between, own, np.nan))
    return rows.assign(standardised=rows["estimate"] / sd)


def contextual_effect(
    result: Result, column: str, *, patient: str | Sequence[str] = "patient", at: At | None = None,
    level: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Slope of a predictor between patients, its average slope within patients, and their difference.

    Parameters
    ----------
    result : a model with the parts that ``Centre(column, by=…)`` makes, e.g. ``alliance_within`` and ``alliance_between``
        (or ``alliance_between_patient``, where patients are within therapists).
    column : the predictor, e.g. ``"alliance"``.
    patient : name of the patients, as in Centre.
    at : values of moderators; others are held at their mean, factors averaged with equal weights.
    level : confidence level; without it that of the model.

    Returns three tidy rows, ``between within contextual``. The contextual effect, between − within, is the difference
    between two patients with the same rating whose means differ by one unit (Enders & Tofighi 2007, doi
    10.1037/1082-989X.12.2.121); it equals the coefficient of the mean beside the uncentred rating. With a random slope
    the within slope is the average one. Means of few ratings draw the between slope towards the within one (Lüdtke et
    al. 2008, doi 10.1037/a0012869). The three rows are not one family: p-values are not adjusted.

    Raises DataError where a part is not in the model, AllianceError where one of them enters curved.

    >>> from alliance_stats import Centre
    >>> data = pd.DataFrame({"patient": np.repeat(range(6), 3), "alliance": np.tile([1.0, 2, 4], 6) + np.repeat(range(6), 3)})
    >>> data["pain"] = 9 - data["alliance"] / 2 - np.repeat(range(6), 3) + np.tile([0.1, -0.2, 0.2, 0, 0.1, -0.1], 3)
    >>> parts = Centre("alliance", "patient")(data)
    >>> fit = MixedModel("pain ~ alliance_within + alliance_between + (1 | patient)").fit(parts)
    >>> contextual_effect(fit, "alliance")[["term", "estimate"]].round(1).to_dict("list")
    {'term': ['between', 'within', 'contextual'], 'estimate': [-1.5, -0.5, -1.0]}
    """
    within, between = _names(result, column, _keys(patient))
    slopes = [_slope(result, name, at or {}) for name in (between, within)]
    terms = result.state.design.terms
    weights = {
        name: dict(zip(terms, row.tolist(), strict=True))
        for name, row in zip(PARTS, [*slopes, slopes[0] - slopes[1]], strict=True)
    }
    return contrast(result, weights=weights, at=at, adjust="none", level=level)


def within_between(
    result: Result, column: str, *, patient: str | Sequence[str] = "patient", at: At | None = None,
    segments: Segments = "fitted", points: int = 50,
) -> pd.DataFrame:  # fmt: skip
    """What the figure of slopes within and between patients draws, one row a point.

    Parameters
    ----------
    result, column, patient, at : as in ``contextual_effect``; ``patient`` may be several columns that together name them.
    segments : slope of each patient's own line: ``"fitted"``, the average with the random slopes of the patient's groups
        (all alike in a model without), or ``"observed"``, least squares in the patient's own rows.
    points : number of points of the line between patients.

    Columns ``part at``, the predictor, the outcome, ``conf_low conf_high n adjusted_for``. ``part`` is

    - ``patient``: mean of a patient's rows of the fit, ``at`` the name, ``n`` the rows;
    - ``segment``: both ends of the patient's own line through that point, over one standard deviation of the patient's own
      ratings to either side (or as far as they reach); none where they do not vary;
    - ``between``: the line between patients over the observed means, with the interval of its height;
    - ``within``: the average line within patients, through the point of the average patient, over the central 95 % of
      the deviations of ratings from their means.

    Where the model has other predictors (``adjusted_for``) a mean is the line between patients at that patient's predictor
    plus the mean of y − Xβ̂: the outcome at the predictors' reference values. Raises DataError where patients have more than
    one value of the part between them, or rows have no patient.

    >>> data = pd.DataFrame({"patient": np.repeat(range(6), 3), "alliance_within": np.tile([-1.0, 0, 1], 6)})
    >>> data["alliance_between"] = data["patient"] * 2.0
    >>> data["pain"] = 9 - data["alliance_within"] - data["patient"] + np.tile([0.1, -0.2, 0.2, 0, 0.1, -0.1], 3)
    >>> fit = MixedModel("pain ~ alliance_within + alliance_between + (1 | patient)").fit(data)
    >>> within_between(fit, "alliance")["part"].value_counts().to_dict()
    {'between': 50, 'segment': 12, 'patient': 6, 'within': 2}
    """
    if segments not in get_args(Segments):
        raise AllianceError(f"within_between: segments is {segments!r}; use 'fitted' or 'observed'")
    keys, held = _keys(patient), dict(at or {})
    within, between = _names(result, column, keys)
    slopes = {name: _slope(result, name, held) for name in (within, between)}
    patients = _patients(result, within, between, keys, slopes[within], segments)
    centre = float(patients["x"].mean())
    _, base = cell_weights(result, [], {**held, between: centre, within: 0.0}, "equal")

    def line(values: np.ndarray, name: str) -> pd.DataFrame:
        rows = combine(result, base + np.outer(values, slopes[name]), [name] * len(values))
        frame = pd.DataFrame({"x": centre + values, "y": rows["estimate"]})
        return frame.assign(conf_low=rows["conf_low"], conf_high=rows["conf_high"])

    patients["y"] += line(patients["x"].to_numpy() - centre, between)["y"].to_numpy()
    ends = np.quantile(result.frame[within], [0.025, 0.975])
    parts = {
        "patient": patients[["at", "x", "y", "n"]],
        "segment": _segments(patients),
        "between": line(np.linspace(patients["x"].min(), patients["x"].max(), points) - centre, between),
        "within": line(ends, within),
    }
    others = [name for name in result.state.design.variables if name not in (within, between)]
    columns = {"x": column, "y": result.state.design.formula.response}
    frame = pd.concat([rows.assign(part=name) for name, rows in parts.items()], ignore_index=True)
    frame = frame.reindex(columns=["part", "at", "x", "y", "conf_low", "conf_high", "n"])
    return frame.fillna({"at": ""}).assign(adjusted_for=_listed(others)).rename(columns=columns)


def _error_variance(result: Result) -> np.ndarray:
    """Variance of the prediction error of the expected outcome of each row, random effects included."""
    if isinstance(result.model, MixedModel):
        return np.asarray(conditional_std_error(result, result.frame) ** 2)
    state = result.state  # the covariance of a linear model may be a robust one
    X = state.design.matrix(result.frame)[:, state.kept]
    return np.asarray(state.sigma**2 * np.einsum("ij,jk,ik->i", X, state.bread, X))


def _keys(patient: str | Sequence[str]) -> tuple[str, ...]:
    return (patient,) if isinstance(patient, str) else tuple(patient)


def _names(result: Result, column: str, keys: tuple[str, ...]) -> tuple[str, str]:
    """Names of the parts within and between patients, which must be numbers in the model."""
    design = result.state.design
    fine, plain = f"{column}_between_{keys[-1]}", f"{column}_between"
    found = (f"{column}_within", fine if fine in design.variables else plain)
    require_columns(design.variables, found, f"{column!r} within and between (see Centre)")
    factors = [name for name in found if name in design.levels]
    if factors:
        raise AllianceError(f"'{factors[0]}' is a factor; a slope needs a number")
    return found


def _slope(result: Result, name: str, at: At) -> np.ndarray:
    """Weights of the slope on the columns of the design, at the mean of the other variables."""
    seen = result.frame[name].to_numpy(dtype=float)
    middle = float(seen.mean())
    h = min(float(seen.std()), middle - float(seen.min()), float(seen.max()) - middle) or 1.0
    low, centre, near, high = (
        cell_weights(result, [], {**at, name: middle + step}, "equal")[1][0] for step in (-h, 0.0, h / 2, h)
    )
    slope = np.asarray((high - low) / (2 * h))
    scale = 1e-9 * max(np.abs(low).max(), np.abs(high).max(), np.abs(slope).max())
    if not np.allclose([high - centre, near - centre], [h * slope, h / 2 * slope], rtol=1e-9, atol=scale):
        raise AllianceError(f"'{name}' enters curved, so it has no one slope; use simple_slopes() at chosen values")
    return slope


def _patients(
    result: Result, within: str, between: str, keys: tuple[str, ...], slope: np.ndarray, segments: Segments
) -> pd.DataFrame:
    """One row a patient: ``at x y n slope low high``, y being the mean residual from the population's line."""
    frame, state = result.frame, result.state
    require_columns(frame.columns, keys, "within_between: patient")
    codes, labels = group_codes(frame, keys)
    if (codes < 0).any():
        raise DataError(f"within_between: {(codes < 0).sum()} rows of the fit have no {' or '.join(keys)}")
    population = state.fitted if state.fitted_population is None else state.fitted_population
    rows = pd.DataFrame({
        "code": codes, "x": frame[between].to_numpy(float), "w": frame[within].to_numpy(float),
        "residual": state.fitted + state.residual - population, "random": _random_slopes(result, within),
    })  # fmt: skip
    of = rows.groupby("code")
    found = of.agg(x=("x", "mean"), y=("residual", "mean"), n=("x", "size"), low=("w", "min"), high=("w", "max"))
    spread = of["w"].std()
    found = found.assign(low=np.maximum(found["low"], -spread), high=np.minimum(found["high"], spread))
    apart = (of["x"].max() - of["x"].min()).to_numpy()
    if apart.max() > 1e-9 * rows["x"].abs().max():
        name = labels[int(np.unique(codes)[apart.argmax()])]
        raise DataError(
            f"within_between: '{between}' is not the same in all rows of {':'.join(keys)} {name}; "
            "name all columns that tell patients apart, or centre by the patient"
        )
    average = float(slope[state.kept] @ state.coefficients)
    own = of["random"].mean() if segments == "fitted" else _own_slopes(rows)
    return found.assign(at=np.array(labels)[found.index], slope=average + own)


def _random_slopes(result: Result, within: str) -> np.ndarray:
    """What the random effects of a row's groups add to the slope within patients."""
    groupings = getattr(result.state, "groupings", ())
    varying = any(within in design.variables for grouping in groupings for design in grouping.designs)
    if not isinstance(result.model, MixedModel) or not varying:
        return np.zeros(len(result.frame))
    shifted = result.frame.assign(**{within: result.frame[within] + 1})
    more, now = (result.model._random_part(result, frame)[0] for frame in (shifted, result.frame))
    return np.asarray(more - now)


def _own_slopes(rows: pd.DataFrame) -> pd.Series:
    """Least squares of the residual on the deviations, patient by patient; missing where ratings do not vary."""
    w = rows["w"] - rows.groupby("code")["w"].transform("mean")
    sums = pd.DataFrame({"code": rows["code"], "wr": w * rows["residual"], "ww": w**2}).groupby("code").sum()
    return (sums["wr"] / sums["ww"]).where(sums["ww"] > NOTHING * float((rows["w"] ** 2).max()))


def _segments(patients: pd.DataFrame) -> pd.DataFrame:
    drawn = patients[(patients["high"] > patients["low"]) & patients["slope"].notna()]
    ends = [
        drawn[["at"]].assign(x=drawn["x"] + drawn[end], y=drawn["y"] + drawn["slope"] * drawn[end])
        for end in ("low", "high")
    ]
    return pd.concat(ends).sort_index(kind="stable")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
