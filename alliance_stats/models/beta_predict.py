"""Means of beta models from all of their parts, and draws from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.result import Result

if TYPE_CHECKING:
    from alliance_stats.models.beta import BetaState


@dataclass(frozen=True, eq=False)
class Combined:
    """(1 − P0){P1 + (1 − P1)μ}, its derivatives in the linear predictors of the parts, and μ, P0 and P1 themselves."""

    mean: np.ndarray
    slopes: Mapping[str, np.ndarray]
    inside: np.ndarray
    zero: np.ndarray
    one: np.ndarray


def combined(link: str, eta: Mapping[str, np.ndarray]) -> Combined:
    """The mean of all parts; without a part for them, zeros and ones have no chance.

    >>> print(combined("logit", {"fixed": np.array([0.0]), "one": np.array([0.0])}).mean)
    [0.75]
    """
    at, absent = LINKS[link].slopes(eta["fixed"]), np.full(len(eta["fixed"]), -np.inf)
    zero, one = (special.expit(eta.get(name, absent)) for name in ("zero", "one"))
    given_some = one + (1 - one) * at.mean
    slopes = {
        "fixed": (1 - zero) * (1 - one) * at.first,
        "zero": -zero * (1 - zero) * given_some,
        "one": (1 - zero) * one * (1 - one) * (1 - at.mean),
    }
    return Combined((1 - zero) * given_some, slopes, at.mean, zero, one)


def mean_and_derivatives(result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean of every row and its derivatives in the coefficients of all parts, shape (rows, coefficients)."""
    state: BetaState = result.state
    linear = {part.name: part.linear(frame) for part in state.parts}
    found = combined(state.link, {name: eta for name, (_, eta) in linear.items()})
    J = np.zeros((len(frame), len(state.joint)))
    for part in state.parts:
        if part.name in found.slopes:
            J[:, part.places] = found.slopes[part.name][:, None] * linear[part.name][0]
    return found.mean, J


def mean_frame(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """``fitted std_error df``, the error by the delta method over the coefficients of all parts."""
    state: BetaState = result.state
    mean, J = mean_and_derivatives(result, frame)
    error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, state.joint, J), 0))
    error = np.where(np.isnan(mean), np.nan, error)
    return pd.DataFrame({"fitted": mean, "std_error": error, "df": state.df}, index=frame.index)


def predicted(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """Columns ``fitted std_error conf_low conf_high``, intervals between 0 and 1."""
    rows = mean_frame(result, frame)
    mean, error = rows["fitted"].to_numpy(), rows["std_error"].to_numpy()
    half = t_quantile((1 + result.model.level) / 2, result.state.df) * error / (mean * (1 - mean))
    centre = special.logit(mean)
    return rows.drop(columns="df").assign(conf_low=special.expit(centre - half), conf_high=special.expit(centre + half))


def drawn(result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
    """New proportions, shape (n, rows), with their zeros and ones."""
    state: BetaState = result.state
    linear = {part.name: part.linear(result.frame)[1] for part in state.parts}
    found, phi = combined(state.link, linear), np.exp(linear["precision"])
    shape = (n, len(phi))
    values = rng.beta(found.inside * phi, (1 - found.inside) * phi, shape)
    values = np.clip(values, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)  # a draw inside is neither 0 nor 1
    values = np.where(rng.random(shape) < found.one, 1.0, values)
    return np.asarray(np.where(rng.random(shape) < found.zero, 0.0, values))
