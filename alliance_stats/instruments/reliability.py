"""Internal consistency of questionnaires: alpha and omega."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.instruments.checks import Scales, require_level, require_one_of, scales
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.numerics.reliability import (
    OneFactor,
    alpha_std_error,
    cronbach_alpha,
    feldt_interval,
    item_rest_of,
    minres_omega,
    omega_of_observed,
    omega_std_error,
    one_factor,
)
from alliance_stats.numerics.reliability import omega as implied_omega

Method = Literal["ml", "minres"]
Total = Literal["implied", "observed"]


def alpha(
    frame: pd.DataFrame,
    items: Scales,
    *,
    level: float = 0.95,
    interval: str = "feldt",
    draws: int = 1000,
    rng: Seed = 1,
) -> pd.DataFrame:
    """Cronbach's alpha of a scale, or of several.

    Parameters
    ----------
    frame : one row a questionnaire; reversed items already turned (see ``keyed_items``).
    items : pattern of the item columns (``"wai_{}"``), a list of columns, or either by name of the scale.
    level : confidence level.
    interval : ``"feldt"`` (F distribution; exact for normal, parallel items) or ``"bootstrap"`` (percentiles of rows drawn
        again).
    draws, rng : number of bootstrap draws, and their seed.

    Returns
    -------
    One row a scale: ``scale items n left_out estimate std_error conf_low conf_high interval standardised mean_r``. ``left_out``
    counts rows with a missing answer; ``std_error`` is the asymptotic one (Duhachek & Iacobucci 2004); ``standardised`` is
    alpha of the correlations and ``mean_r`` their mean. ``attrs["notes"]`` names items that run against their scale. Alpha
    assumes equal loadings: where they differ it is below ``omega``; it is no evidence of one factor.

    Raises DataError for absent columns, text, constant items, or fewer than 2 items or 3 complete rows.

    Sources: Cronbach 1951, doi 10.1007/BF02310555; Feldt 1965, doi 10.1007/BF02289499; R's psych::alpha.

    >>> rng = np.random.default_rng(1)
    >>> bond = rng.normal(size=100)
    >>> frame = pd.DataFrame({f"wai_{i}": bond + rng.normal(size=100) for i in (3, 5, 7, 9)})
    >>> alpha(frame, "wai_{}")[["items", "n", "estimate", "conf_low", "conf_high"]].round(2).to_dict("records")
    [{'items': 4, 'n': 100, 'estimate': 0.78, 'conf_low': 0.7, 'conf_high': 0.84}]
    """
    require_level(level)
    require_one_of("alpha: interval", interval, ("feldt", "bootstrap"))
    rows, notes = [], list[str]()
    for scale, columns, x, left_out in scales(frame, items, "alpha", 2):
        S, (n, k) = np.cov(x, rowvar=False), x.shape
        R = _correlations(S)
        value = cronbach_alpha(S)
        if interval == "feldt":
            low, high = feldt_interval(value, n, k, level)
        else:
            low, high = _percentiles(x, cronbach_alpha, scale, draws, rng, level, "alpha", notes)
        rows.append(
            (scale, k, n, left_out, value, alpha_std_error(S, n), low, high, _label(interval), cronbach_alpha(R),
             float(R[np.triu_indices(k, 1)].mean()))
        )  # fmt: skip
        notes += _against(scale, columns, item_rest_of(S), "item–rest correlation") + _lost(scale, left_out)
    names = ["scale", "items", "n", "left_out", "estimate", "std_error", "conf_low", "conf_high", "interval"]
    return _with_notes(pd.DataFrame(rows, columns=[*names, "standardised", "mean_r"]), notes)


def omega(
    frame: pd.DataFrame,
    items: Scales,
    *,
    method: Method = "ml",
    total: Total = "implied",
    level: float = 0.95,
    interval: str | None = None,
    draws: int = 1000,
    rng: Seed = 1,
) -> pd.DataFrame:
    """McDonald's omega of a scale with one common factor, or of several such scales.

    Parameters
    ----------
    frame, items, level, draws, rng : as for ``alpha``.
    method : ``"ml"``, maximum likelihood from the covariances (lavaan, semTools::compRelSEM), or ``"minres"``, least squares
        from the correlations (psych::omega with one factor, its ``omega.tot``), ω = 1 − Σu²/1'R1.
    total : with ``"ml"``, ω = (Σλ)² over ``"implied"``, (Σλ)² + Σψ (compRelSEM with obs.var = FALSE), or over
        ``"observed"``, the variance of the sum as it is (compRelSEM's default).
    interval : ``"delta"`` (on the logit scale, from the expected information; normal answers; for ``"ml"`` with ``"implied"``,
        where it is the default) or ``"bootstrap"`` (percentiles of rows drawn again; the default otherwise).

    Returns
    -------
    One row a scale: ``scale items n left_out estimate std_error conf_low conf_high interval method total``. The standard error
    of a bootstrap is the SD of its draws.

    Raises DataError as ``alpha`` does, for fewer than 3 items; ConvergenceError where an item has no variance of its own (a
    Heywood case) or the items have no common factor.

    Source: McDonald 1999, Test Theory, ch. 6.

    >>> rng = np.random.default_rng(1)
    >>> bond = rng.normal(size=100)
    >>> frame = pd.DataFrame({f"wai_{i}": bond + rng.normal(size=100) for i in (3, 5, 7, 9)})
    >>> omega(frame, "wai_{}")[["estimate", "conf_low", "conf_high"]].round(2).to_dict("records")
    [{'estimate': 0.79, 'conf_low': 0.71, 'conf_high': 0.85}]
    """
    require_level(level)
    interval = _omega_interval(method, total, interval)
    rows, notes = [], list[str]()
    for scale, columns, x, left_out in scales(frame, items, "omega", 3):
        S, n = np.cov(x, rowvar=False), len(x)
        value, loadings, fit = _omega(S, method, total)
        if np.isnan(value):
            raise ConvergenceError(
                f"omega: scale '{scale}' has no proper one-factor solution: {_improper(columns, loadings, S)}; use alpha, or "
                "leave out that item"
            )
        if interval == "delta":
            assert fit is not None
            std_error = omega_std_error(fit, n)
            low, high = _logit_interval(value, std_error, level)
        else:
            sample: list[float] = []
            low, high = _percentiles(
                x, lambda s: _omega(s, method, total)[0], scale, draws, rng, level, "omega", notes, sample
            )
            std_error = float(np.std(sample, ddof=1))
        rows.append(
            (scale, x.shape[1], n, left_out, value, std_error, low, high, _label(interval), method,
             total if method == "ml" else "observed")
        )  # fmt: skip
        notes += _against(scale, columns, loadings, "loading") + _lost(scale, left_out)
    names = ["scale", "items", "n", "left_out", "estimate", "std_error", "conf_low", "conf_high", "interval"]
    return _with_notes(pd.DataFrame(rows, columns=[*names, "method", "total"]), notes)


def _omega(S: np.ndarray, method: str, total: str) -> tuple[float, np.ndarray, OneFactor | None]:
    if method == "minres":
        value, loadings = minres_omega(_correlations(S))
        return value, loadings, None
    fit = one_factor(S)
    if not fit.proper:
        return np.nan, fit.loadings, fit
    return (implied_omega(fit) if total == "implied" else omega_of_observed(fit, S)), fit.loadings, fit


def _omega_interval(method: str, total: str, interval: str | None) -> str:
    require_one_of("omega: method", method, get_args(Method))
    require_one_of("omega: total", total, get_args(Total))
    closed = method == "ml" and total == "implied"
    chosen = ("delta" if closed else "bootstrap") if interval is None else interval
    require_one_of("omega: interval", chosen, ("delta", "bootstrap"))
    if chosen == "delta" and not closed:
        raise AllianceError("omega: interval='delta' is for method='ml' with total='implied'; use 'bootstrap'")
    return chosen


def _improper(columns: Sequence[str], loadings: np.ndarray, S: np.ndarray) -> str:
    worst = int(np.argmax(loadings**2 / np.diag(S)))
    return f"{columns[worst]!r} is left no variance of its own, or the items have no common factor"


def _percentiles(
    x: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    scale: str,
    draws: int,
    rng: Seed,
    level: float,
    where: str,
    notes: list[str],
    sample: list[float] | None = None,
) -> tuple[float, float]:
    """Percentile limits over rows drawn again; draws without a value are counted in the notes."""
    if draws < 2:
        raise AllianceError(f"{where}: draws is {draws}; at least 2 are needed, 1000 or more are sensible")
    generator, values = stream(rng, where, scale), sample if sample is not None else []
    for _ in range(draws):
        S = np.cov(x[generator.integers(len(x), size=len(x))], rowvar=False)
        values.append(statistic(S) if np.diag(S).min() > 0 and S.sum() > 0 else np.nan)
    kept = [value for value in values if np.isfinite(value)]
    if len(kept) < draws / 2:
        raise ConvergenceError(f"{where}: {draws - len(kept)} of {draws} resamples of '{scale}' have no value")
    if len(kept) < draws:
        notes.append(f"{scale}: {draws - len(kept)} of {draws} resamples have no value and are left out")
    values[:] = kept
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _logit_interval(value: float, std_error: float, level: float) -> tuple[float, float]:
    from scipy.special import expit, logit, ndtri

    half = ndtri((1 + level) / 2) * std_error / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def _correlations(S: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diag(S))
    return np.asarray(S / np.outer(sd, sd))


def _against(scale: str, columns: Sequence[str], values: np.ndarray, what: str) -> list[str]:
    return [
        f"{scale}: {column!r} runs against the other items ({what} {value:.2f}); is it reversed?"
        for column, value in zip(columns, values, strict=True)
        if value < 0
    ]


def _lost(scale: str, left_out: int) -> list[str]:
    return [f"{scale}: {left_out} row{'s' * (left_out > 1)} with a missing answer left out"] if left_out else []


def _label(interval: str) -> str:
    return "percentile" if interval == "bootstrap" else interval


def _with_notes(frame: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    frame.attrs["notes"] = tuple(notes)
    return frame
