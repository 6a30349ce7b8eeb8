"""Both equations of a multilevel mediation as one stacked model with selectors (Bauer, Preacher & Gil 2006, equation 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.formula import build_design, read_formula
from alliance_stats.models import multilevel_options as options
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mixed.parts import Level, template

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation

Columns = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Grouped:
    """A grouping factor: its labels, the names of its random effects, and their columns in the stacked rows."""

    name: str
    labels: tuple[str, ...]
    effects: tuple[str, ...]
    level: Level


@dataclass(frozen=True, eq=False)
class Stack:
    """The stacked rows, those of the mediator first.

    ``terms`` names the columns of X as ``response~term``; ``paths`` says which of them are paths, ``by`` which are their
    interactions with the moderator; ``equation`` (rows,) is 0 for the mediator and 1 for the outcome.
    """

    X: np.ndarray
    y: np.ndarray
    equation: np.ndarray
    terms: tuple[str, ...]
    paths: Mapping[str, int]
    by: Mapping[str, int]
    groupings: tuple[Grouped, ...]

    @property
    def levels(self) -> list[Level]:
        """Of the groupings, finest first."""
        return [grouping.level for grouping in self.groupings]


@dataclass(frozen=True, eq=False)
class Parts:
    """The variables of the complete rows as numbers, their groups, and columns of covariates."""

    x: np.ndarray
    m: np.ndarray
    y: np.ndarray
    codes: np.ndarray
    labels: tuple[str, ...]
    x_mean: np.ndarray
    m_mean: np.ndarray
    covariates: Columns
    moderator: np.ndarray | None

    def means(self, values: np.ndarray) -> np.ndarray:
        """Of the group of every row."""
        return np.asarray((np.bincount(self.codes, values) / np.bincount(self.codes))[self.codes])


def read_parts(model: MultilevelMediation, frame: pd.DataFrame) -> tuple[Parts, tuple[str, ...]]:
    """The variables checked against the design, and notes."""
    x, notes = options.numbers(frame, model.exposure, "exposure", labels=True)
    m, _ = options.numbers(frame, model.mediator, "mediator")
    y, _ = options.numbers(frame, model.outcome, "outcome")
    codes, labels = options.codes_of(frame, model.group)
    w = None
    if model.moderator:
        w, more = options.numbers(frame, model.moderator, "moderator", labels=True)
        notes += more
        if model.design != "1-1-1" and options.within_share(w, codes)[0] > options.CONSTANT:
            raise DataError(
                f"moderator '{model.moderator}' varies within groups of '{model.group}'; in design='{model.design}' the paths "
                "lie between them: use its group mean"
            )
    checked = frame.assign(**{model.exposure: x})
    notes += options.require_levels(model, checked, codes)
    x_mean, m_mean = (frame.assign(v=v).groupby(codes)["v"].transform("mean").to_numpy() for v in (x, m))
    return Parts(x, m, y, codes, labels, x_mean, m_mean, _covariates(model, frame), w), notes


def _covariates(model: MultilevelMediation, frame: pd.DataFrame) -> Columns:
    if not model.covariates:
        return {}
    quoted = " + ".join(f"`{name}`" for name in model.covariates)
    design, X, _ = build_design(read_formula(f"`{model.outcome}` ~ {quoted}"), frame)
    return {str(term): column for term, column in zip(design.terms[1:], X.T[1:], strict=True)}


def build_stack(model: MultilevelMediation, parts: Parts, frame: pd.DataFrame) -> Stack:
    """The stacked rows of the design."""
    first = _first_rows(parts.codes) if model.design == "2-2-1" else np.arange(len(parts.y))
    own, own_paths, own_by = _mediator_columns(model, parts)
    rest, rest_paths, rest_by = outcome_columns(model, parts)
    A = np.column_stack([column[first] for column in own.values()])
    B = np.column_stack(list(rest.values()))
    X = np.block([[A, np.zeros((len(A), B.shape[1]))], [np.zeros((len(B), A.shape[1])), B]])
    terms = (*(f"{model.mediator}~{name}" for name in own), *(f"{model.outcome}~{name}" for name in rest))
    _require_independent(X, terms)
    equation = np.repeat([0, 1], [len(A), len(B)])
    at = {f"{model.mediator}~{name}": i for i, name in enumerate(own)}
    at |= {f"{model.outcome}~{name}": len(own) + i for i, name in enumerate(rest)}
    paths = {path: at[f"{model.mediator}~{name}"] for path, name in own_paths.items()}
    paths |= {path: at[f"{model.outcome}~{name}"] for path, name in rest_paths.items()}
    by = {path: at[f"{model.mediator}~{name}"] for path, name in own_by.items()}
    by |= {path: at[f"{model.outcome}~{name}"] for path, name in rest_by.items()}
    groupings = tuple(_groupings(model, parts, frame, first, equation))
    return Stack(X, np.r_[parts.m[first], parts.y], equation, terms, paths, by, groupings)


def _first_rows(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes, return_index=True)[1]


Named = tuple[Columns, dict[str, str], dict[str, str]]


def _split(model: MultilevelMediation) -> bool:
    """Whether within and between parts of the mediator are predictors of their own."""
    return model.center and model.means == "manifest" and model.design != "2-2-1"


def _mediator_columns(model: MultilevelMediation, parts: Parts) -> Named:
    columns: Columns = {"Intercept": np.ones(len(parts.y))}
    paths: dict[str, str] = {}
    _add_exposure(model, parts, columns, paths, "a")
    by = _add_moderator(model, parts, columns, paths, ("a", "a_within"))
    columns |= (
        {name: parts.means(v) for name, v in parts.covariates.items()} if model.design == "2-2-1" else parts.covariates
    )
    return columns, paths, by


def outcome_columns(model: MultilevelMediation, parts: Parts) -> Named:
    """Columns of the outcome's equation, those that are paths, and their products with the moderator."""
    columns: Columns = {"Intercept": np.ones(len(parts.y))}
    paths: dict[str, str] = {}
    if _split(model):
        columns |= {f"{model.mediator}_within": parts.m - parts.m_mean, f"{model.mediator}_between": parts.m_mean}
        paths |= {"b_within": f"{model.mediator}_within", "b_between": f"{model.mediator}_between"}
    else:
        columns[model.mediator], paths["b"] = parts.m, model.mediator
    _add_exposure(model, parts, columns, paths, "c_prime")
    moderated = "b_between" if model.design == "2-1-1" and _split(model) else "b_within"
    by = _add_moderator(model, parts, columns, paths, ("b", moderated, "c_prime", "c_prime_within"))
    columns |= parts.covariates
    return columns, paths, by


def _add_exposure(model: MultilevelMediation, parts: Parts, columns: Columns, paths: dict[str, str], path: str) -> None:
    if model.design == "1-1-1" and model.center:
        columns |= {f"{model.exposure}_within": parts.x - parts.x_mean, f"{model.exposure}_between": parts.x_mean}
        paths |= {f"{path}_within": f"{model.exposure}_within", f"{path}_between": f"{model.exposure}_between"}
    else:
        columns[model.exposure], paths[path] = parts.x, model.exposure


def _add_moderator(
    model: MultilevelMediation, parts: Parts, columns: Columns, paths: dict[str, str], moderated: tuple[str, ...]
) -> dict[str, str]:
    """The moderator and its products with the paths that it moderates."""
    if parts.moderator is None or model.moderator is None:
        return {}
    columns[model.moderator], by = parts.moderator, {}
    for path in moderated:
        if path in paths and path.removesuffix("_within").removesuffix("_between") in model.moderates:
            name = f"{paths[path]}:{model.moderator}"
            columns[name], by[path] = columns[paths[path]] * parts.moderator, name
    return by


def _require_independent(X: np.ndarray, terms: tuple[str, ...]) -> None:
    kept = independent_columns(X)
    if len(kept) < X.shape[1]:
        lost = next(j for j in range(X.shape[1]) if j not in kept)
        raise DataError(f"'{terms[lost]}' depends on other terms of its equation; leave it out of the model")


def _groupings(
    model: MultilevelMediation, parts: Parts, frame: pd.DataFrame, first: np.ndarray, equation: np.ndarray
) -> Iterator[Grouped]:
    """Groups, then larger groups; effects in independent blocks as the design has them."""
    Sm, Sy = (equation == 0).astype(float), (equation == 1).astype(float)
    levels = {f"Intercept_{model.mediator}": Sm, f"Intercept_{model.outcome}": Sy}
    if model.design == "2-2-1":
        del levels[f"Intercept_{model.mediator}"]
    slopes = slope_columns(model, parts)
    effects = (*levels, *slopes)
    options.require_enough(model, len(parts.labels), effects, model.group, len(parts.y))
    Z = np.column_stack([*levels.values(), *slopes.values()])
    codes = np.r_[parts.codes[first], parts.codes]
    yield Grouped(model.group, parts.labels, effects, Level(codes, Z, *template(_blocks(model, len(effects)))))
    if model.above:
        options.require_nested(frame, model.group, model.above)
        above, labels = options.codes_of(frame, model.above)
        outer = {f"Intercept_{model.mediator}": Sm, f"Intercept_{model.outcome}": Sy}
        options.require_enough(model, len(labels), tuple(outer), model.above, len(parts.y))
        shape = template([1, 1] if _apart(model) else [2])
        yield Grouped(
            model.above, labels, tuple(outer), Level(np.r_[above[first], above], np.column_stack([Sm, Sy]), *shape)
        )


def _apart(model: MultilevelMediation) -> bool:
    """Whether the levels of mediator and outcome are uncorrelated.

    They are where the group mean of the mediator, or in 2-1-1 the mediator, is a predictor: then the correlation and that
    coefficient are the same thing twice. In 1-1-1 as Bauer, Preacher & Gil wrote it, and with latent means, they are not.
    """
    return model.means == "manifest" and (model.design != "1-1-1" or model.center)


def _blocks(model: MultilevelMediation, effects: int) -> list[int]:
    return [1, effects - 1] if _apart(model) and effects > 1 else [effects]


def slope_columns(model: MultilevelMediation, parts: Parts) -> Columns:
    """Stacked columns of the paths that vary over groups."""
    if model.design != "1-1-1":
        return {}
    x = parts.x - parts.x_mean if model.center else parts.x
    m = parts.m - parts.m_mean if model.center else parts.m
    none = np.zeros(len(x))
    columns = {"a": np.r_[x, none], "b": np.r_[none, m], "c_prime": np.r_[none, x]}
    return {path: columns[path] for path in options.PATHS if path in model.random}
