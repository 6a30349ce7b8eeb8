"""Observed against predicted: shares and means in bins of the prediction, and how often every count occurred."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from alliance_stats.errors import AllianceError
from alliance_stats.inference.predict import Groups, predict
from alliance_stats.models.generalized_response import read_trials
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result

AT_ONCE = 1_000_000  # numbers held at once
FEW = 5  # rows of a bin below which its interval says nothing


def calibration(result: Result, *, bins: int = 10, groups: Groups | None = None) -> pd.DataFrame:
    """Observed outcome in bins of equal size of the predicted one; what ``figures.calibration`` draws.

    Parameters
    ----------
    result : a fit whose outcome has a mean: shares, sessions of those assigned, counts, proportions, ratings, or a scale.
    bins : how many; rows with equal predictions stay together, so there may be fewer.
    groups : of a mixed model, ``"conditional"`` (its default: at the therapists' modes), ``"population"`` or ``"typical"``.

    Returns
    -------
    ``predicted observed conf_low conf_high n_rows trials``, a row a bin. Outcomes of several trials are shares of all trials of
    the bin. Intervals are Wilson's for outcomes of 0 and 1; else they come from the spread between the rows (t, n − 1 df, for
    shares on the logit), which is right however alike the trials of a row are. Rows are taken as independent given the
    prediction: of rows in patients the intervals are too narrow. The predictions are those of the data that were fitted, so
    that agreement shows the form of the model to be apt, not how well it predicts new patients.

    Raises AllianceError for fewer than two bins, or bins of fewer than five rows.

    >>> from alliance_stats import FractionalModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"alliance": rng.normal(5, 1, 300), "assigned": 10})
    >>> data["completed"] = rng.binomial(10, 1 / (1 + np.exp(5 - data["alliance"])))
    >>> fit = FractionalModel("completed | trials(assigned) ~ alliance").fit(data)
    >>> calibration(fit, bins=2)[["predicted", "observed", "n_rows"]].round(1).to_dict("list")
    {'predicted': [0.3, 0.6], 'observed': [0.3, 0.6], 'n_rows': [150, 150]}
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
        raise AllianceError(f"calibration: bins is {bins!r}; use 2 or more")
    predicted, observed, size = _rows(result, groups)
    if len(predicted) < FEW * bins:
        raise AllianceError(f"calibration: {len(predicted)} rows do not fill {bins} bins of {FEW}; use fewer bins")
    shares = _is_share(result)
    rank = pd.Series(predicted / size).rank(method="average").to_numpy()  # the same for equal predictions
    codes = np.floor(bins * (rank - 0.5) / len(rank))
    rows = []
    for code in np.unique(codes):
        own = codes == code
        low, high = _limits(observed[own], size[own], result.model.level, shares=shares)
        total = size[own].sum()
        rows.append((predicted[own].sum() / total, observed[own].sum() / total, low, high, int(own.sum()), total))
    names = ["predicted", "observed", "conf_low", "conf_high", "n_rows", "trials"]
    return pd.DataFrame(rows, columns=names)


def rootogram(result: Result, *, n: int = 500, rng: Seed = 1) -> pd.DataFrame:
    """How often every count occurred and how often it does under the model; what ``figures.rootogram`` draws.

    Parameters
    ----------
    result : a fit of counts, of sessions completed of those assigned, or of ratings: whole numbers from which can be simulated.
    n : simulated data sets, random effects drawn anew.

    Returns ``count observed expected expected_low expected_high``: rows in the data and on average in the simulations, with the
    limits that hold 95 % of them. Coefficients are taken as known, though the same data gave them.

    Raises AllianceError for outcomes of 0 and 1, fractions, and models that cannot be simulated from.
    Source: Kleiber & Zeileis 2016, doi 10.1080/00031305.2016.1173590.

    >>> from alliance_stats import GeneralizedMixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(20), 10), "exercises": rng.poisson(1, 200)})
    >>> rows = rootogram(GeneralizedMixedModel("exercises ~ 1 + (1 | therapist)", "poisson").fit(data), n=100)
    >>> rows["observed"].tolist()
    [71, 80, 29, 16, 3, 0, 1, 0]
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 100:
        raise AllianceError(f"rootogram: n is {n!r}; use 100 simulations or more")
    outcome = _outcome(result)
    if (np.abs(outcome - np.round(outcome)) > 1e-6).any() or np.unique(np.round(outcome)).size < 3:
        raise AllianceError("rootogram: it is for counts and ratings; of 0 and 1 and of proportions see calibration()")
    observed, low = np.round(outcome).astype(int), int(np.round(outcome).min())
    source, block = stream(rng, "rootogram"), max(1, AT_ONCE // len(outcome))
    drawn = []
    for start in range(0, n, block):
        for y in np.asarray(result.model._simulate(result, source, min(block, n - start))):
            low = min(low, int(y.min()))
            drawn.append(np.bincount(np.round(y).astype(int)))
    highest = max(int(observed.max()) + 1, *(len(counts) for counts in drawn))
    counts = np.array([np.pad(each, (0, highest - len(each))) for each in drawn])
    limits = np.quantile(counts, [0.025, 0.975], axis=0)
    frame = pd.DataFrame(
        {
            "count": np.arange(highest), "observed": np.bincount(observed, minlength=highest), "expected": counts.mean(axis=0),
            "expected_low": limits[0], "expected_high": limits[1],
        }
    )  # fmt: skip
    seen = np.flatnonzero(
        (frame["observed"] > 0) | (frame["expected_high"] > 0)
    )  # beyond, one simulation in forty or fewer
    return frame.iloc[low : seen.max() + 1].reset_index(drop=True)


def _rows(result: Result, groups: Groups | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted and observed outcome of every row in the outcome's unit, and the number of trials."""
    options = {} if groups is None else {"groups": groups}
    predicted = predict(result, **options)["fitted"].to_numpy()  # type: ignore[arg-type]
    left = getattr(result.state, "left", None)
    size = read_trials(left, result.frame) if left is not None else np.ones(len(predicted))
    return predicted, _outcome(result), size


def _outcome(result: Result) -> np.ndarray:
    """The outcome of the fit: what was fitted and what was left."""
    if getattr(result.state, "residual", None) is None:
        raise AllianceError(f"{type(result.model).__name__} has no residuals to compare with what it predicts")
    return np.asarray(result.state.fitted + result.state.residual, dtype=float)


def _is_share(result: Result) -> bool:
    """Whether the outcome lies between 0 and 1 by its model."""
    family = getattr(result.model, "family", None)
    if family is not None:
        return family in ("binomial", "betabinomial", "beta")
    return type(result.model).__name__ in ("BetaModel", "FractionalModel")


def _limits(y: np.ndarray, size: np.ndarray, level: float, *, shares: bool) -> tuple[float, float]:
    n, total = len(y), float(size.sum())
    mean = float(y.sum() / total)
    if shares and (np.isin(y, (0.0, 1.0)) & (size == 1)).all():
        return wilson(mean, n, level)
    error = float(np.sqrt(((y - mean * size) ** 2).sum() * n / max(n - 1, 1))) / total
    if shares and (error == 0 or mean in (0.0, 1.0)):
        return wilson(mean, n, level)  # no spread to go by: as if every row were one trial, which is careful
    reach = float(t_quantile((1 + level) / 2, max(n - 1.0, 1.0))) * error
    if not shares:
        return mean - reach, mean + reach
    centre, reach = special.logit(mean), reach / (mean * (1 - mean))
    return float(special.expit(centre - reach)), float(special.expit(centre + reach))


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share of n (1927, doi 10.1080/01621459.1927.10502953).

    >>> [round(limit, 3) for limit in wilson(0.05, 40)]
    [0.014, 0.165]
    """
    z = float(t_quantile((1 + level) / 2, np.inf))
    centre, reach = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = (centre - reach) / (1 + z * z / n), (centre + reach) / (1 + z * z / n)
    return 0.0 if share == 0 else float(low), 1.0 if share == 1 else float(high)
