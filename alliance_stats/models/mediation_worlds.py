"""Designs at exposure values: what the rows would look like had the exposure, a moderator or a mediator been set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import is_factor
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.numerics.mediation import Part, System

CURVED = 1e-8  # relative departure from linearity in the mediators
LABELS = {"sd": "mean − SD, mean, mean + SD", "percentiles": "16th, 50th and 84th percentile"}


@dataclass(frozen=True)
class Contrast:
    """Two exposure values that are compared, and how the comparison is called (empty where there is only one)."""

    control: Any
    treated: Any
    label: str = ""


def exposure_contrasts(
    frame: pd.DataFrame, exposure: str, asked: Sequence[Any] | None, factors: frozenset[str]
) -> tuple[Contrast, ...]:
    """The comparison asked for; else every level with the first, the two values, or one unit above the mean.

    Raises DataError where the exposure has one value or lacks a level asked for.
    """
    column = frame[exposure]
    values = _levels(column)
    if len(values) < 2:
        raise DataError(f"exposure='{exposure}' is {values[0]} in every row; two values at least are needed")
    discrete = is_factor(column) or exposure in factors or len(values) == 2
    if asked is not None:
        if not discrete and not all(isinstance(value, int | float | np.number) for value in asked):
            raise DataError(f"contrast: '{exposure}' holds numbers; give two numbers, not {tuple(asked)!r}")
        for value in asked if discrete else ():
            if value not in values:
                raise DataError(
                    f"contrast: '{exposure}' has no row with {value!r}; levels: {', '.join(map(str, values[:12]))}"
                )
        return (Contrast(asked[0], asked[1]),)
    if not discrete:
        mean = float(column.mean())
        return (Contrast(mean, mean + 1),)
    if len(values) == 2:
        return (Contrast(values[0], values[1]),)
    return tuple(Contrast(values[0], value, f"{exposure}: {value} - {values[0]}") for value in values[1:])


def moderator_values(frame: pd.DataFrame, name: str, asked: Any) -> list[Any]:
    """Values of a moderator at which effects are given.

    ``"sd"`` is the mean and one standard deviation either side, ``"percentiles"`` the 16th, 50th and 84th; of a factor or a
    column with two values both stand for all its levels.
    """
    column = frame[name]
    levels = _levels(column)
    if len(levels) < 2:
        raise DataError(f"at: moderator '{name}' is {levels[0]} in every row and moderates nothing; take it out")
    if isinstance(asked, str):
        if asked not in LABELS:
            raise AllianceError(f"at: '{name}' is {asked!r}; give values, 'sd' or 'percentiles'")
        if is_factor(column) or len(levels) == 2:
            return levels
        if asked == "percentiles":
            return [float(v) for v in np.percentile(column, [16, 50, 84])]
        mean, sd = float(column.mean()), float(column.std())
        return [mean - sd, mean, mean + sd]
    given = list(asked) if isinstance(asked, list | tuple | np.ndarray) else [asked]
    for value in given if is_factor(column) else ():
        if value not in levels:
            raise DataError(f"at: '{name}' has no row with {value!r}; levels: {', '.join(map(str, levels))}")
    return given


def build_system(
    equations: Sequence[Equation],
    frame: pd.DataFrame,
    exposure: str,
    contrast: Contrast,
    settings: Mapping[str, Any],
    held: np.ndarray,
    *,
    ratio: bool,
) -> System:
    """The equations at the two exposure values, with moderators set as given and all other columns as they are."""
    names = [equation.response for equation in equations[:-1]]
    worlds = []
    for value in (contrast.control, contrast.treated):
        rows = frame.assign(**{exposure: value}, **settings)
        worlds.append(tuple(_parts(equation, rows, names) for equation in equations))
    return System(tuple(equation.block for equation in equations), (worlds[0], worlds[1]), held, ratio)


def _parts(equation: Equation, rows: pd.DataFrame, names: Sequence[str]) -> tuple[Part, ...]:
    """Split a design into what multiplies each mediator, and each pair of mediators, by setting them to 0 and 1."""
    parents = equation.block.parents

    def at(values: Mapping[int, float]) -> np.ndarray:
        made = equation.design.matrix(rows.assign(**{names[k]: values.get(k, 0.0) for k in parents}))
        return made[:, equation.columns]

    base = at({})
    singles = {k: at({k: 1.0}) - base for k in parents}
    found: list[tuple[tuple[int, ...], np.ndarray]] = [((), base), *(((k,), matrix) for k, matrix in singles.items())]
    for j, k in combinations(parents, 2):
        found.append(((j, k), at({j: 1.0, k: 1.0}) - base - singles[j] - singles[k]))
    kept = tuple((which, _compact(matrix)) for which, matrix in found if not which or np.abs(matrix).max() > 1e-12)
    _require_linear(equation, kept, at, rows, names)
    return kept


def _require_linear(
    equation: Equation, parts: tuple[Part, ...], at: Any, rows: pd.DataFrame, names: Sequence[str]
) -> None:
    """At values beyond 0 and 1; a mediator with these two values alone cannot be curved."""
    free = {k: 2.0 for k in equation.block.parents if set(rows[names[k]].unique()) - {0, 1}}
    free |= {k: 1.0 for k in equation.block.parents if k not in free}
    if not free:
        return
    expected = sum((matrix * np.prod([free[k] for k in which]) for which, matrix in parts), np.zeros((1, 1)))
    seen = at(free)
    if np.abs(seen - expected).max() > CURVED * (1 + np.abs(seen).max()):
        inside = ", ".join(f"'{names[k]}'" for k in equation.block.parents)
        raise AllianceError(
            f"formula {equation.design.formula.text!r}: a mediator ({inside}) enters by a curve, by levels or in a product of "
            "three; effects are exact for mediators that enter linearly and in products of two"
        )


def _compact(matrix: np.ndarray) -> np.ndarray:
    """One row where all rows are the same."""
    return matrix[:1] if len(matrix) and np.ptp(matrix, axis=0).max(initial=0.0) == 0 else matrix


def _levels(column: pd.Series[Any]) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.remove_unused_categories().cat.categories)
    return sorted(column.unique().tolist())
