"""Rows to predict: of groups that were in the fit, whose means are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import require_columns
from alliance_stats.formula import Design, is_factor
from alliance_stats.models import multilevel_options as options
from alliance_stats.models.multilevel_rows import Parts, outcome_columns, slope_columns

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation


def known_rows(
    model: MultilevelMediation, fitted: pd.DataFrame, design: Design, frame: pd.DataFrame
) -> tuple[Parts, np.ndarray]:
    """Rows to predict and the outcome's columns, with the group means of the fit; missing for groups that were not in it."""
    names = [model.group, model.exposure, model.mediator]
    require_columns(frame.columns, names, "predict")
    x, m = (_as_fitted(fitted[name], frame[name]) for name in names[1:])
    old = [_as_fitted(fitted[name], fitted[name]) for name in names[1:]]
    codes, labels = options.codes_of(fitted, model.group)
    means = [np.append(np.bincount(codes, v) / np.bincount(codes), np.nan) for v in old]
    number = pd.Series(codes, index=fitted[model.group].to_numpy()).groupby(level=0).first()
    at = frame[model.group].map(number).fillna(-1).to_numpy(dtype=int)
    w = _as_fitted(fitted[model.moderator], frame[model.moderator]) if model.moderator else None
    matrix = design.matrix(frame)
    own = {term: column for term, column in zip(design.terms, matrix.T, strict=True) if _root(term) in model.covariates}
    parts = Parts(x, m, np.zeros(len(frame)), at, labels, means[0][at], means[1][at], own, w)
    return parts, np.column_stack(list(outcome_columns(model, parts)[0].values()))


def outcome_effects(model: MultilevelMediation, parts: Parts, effects: Sequence[str]) -> np.ndarray:
    """Columns of the random effects of the groups in rows of the outcome."""
    n = len(parts.x)
    columns = {effect: column[n:] for effect, column in slope_columns(model, parts).items()}
    columns[f"Intercept_{model.outcome}"] = np.ones(n)
    return np.column_stack([columns.get(effect, np.zeros(n)) for effect in effects])


def _root(term: str) -> str:
    return term.split("[", 1)[0].strip("`")


def _as_fitted(old: pd.Series[Any], new: pd.Series[Any]) -> np.ndarray:
    """Numbers as they are; one of the two labels of the fit as 0 and 1."""
    if not is_factor(old):
        return new.to_numpy(dtype=float)
    two = options.two_labels(old)
    return np.asarray(np.where(new == two[1], 1.0, np.where(new == two[0], 0.0, np.nan)))
