"""Designs at exposure values: what the rows would look like had the exposure, a moderator or a mediator been set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import Design, is_factor
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
    rows = [frame.assign(**{exposure: value}, **settings) for value in (contrast.control, contrast.treated)]
    both = pd.concat(rows, ignore_index=True)
    control, treated = zip(*(_parts(equation, both, names) for equation in equations), strict=True)
    return System(tuple(equation.block for equation in equations), (control, treated), held, ratio)


def _parts(equation: Equation, both: pd.DataFrame, names: Sequence[str]) -> list[tuple[Part, ...]]:
    """Split a design into what multiplies each mediator, and each pair of mediators, by setting them to 0 and 1."""
    parents = equation.block.parents
    pairs = list(combinations(parents, 2))
    # A mediator that is 0 or 1 everywhere cannot be curved; others are tried beyond.
    beyond = {k: 2.0 if set(both[names[k]].unique()) - {0, 1} else 1.0 for k in parents}
    asked = [{}, *({k: 1.0} for k in parents), *({j: 1.0, k: 1.0} for j, k in pairs), beyond]
    found = []
    for base, *seen, last in _designs(equation, both, asked, names):
        singles = {k: matrix - base for k, matrix in zip(parents, seen, strict=False)}
        parts: list[tuple[tuple[int, ...], np.ndarray]] = [((), base), *(((k,), made) for k, made in singles.items())]
        for (j, k), matrix in zip(pairs, seen[len(parents) :], strict=True):
            parts.append(((j, k), matrix - base - singles[j] - singles[k]))
        kept = tuple((which, _compact(made)) for which, made in parts if not which or np.abs(made).max() > 1e-12)
        _require_linear(equation, kept, beyond, last, names)
        found.append(kept)
    return found


def _designs(
    equation: Equation, both: pd.DataFrame, asked: Sequence[Mapping[int, float]], names: Sequence[str]
) -> np.ndarray:
    """Designs of the two worlds at every asked value of the mediators, shape (worlds, asked, rows, terms).

    All of them are evaluated in one pass: a formula costs far more to set up than more rows do.
    """
    values = {names[k]: np.repeat([at.get(k, 0.0) for at in asked], len(both)) for k in equation.block.parents}
    made = _stacked(equation.design, both, len(asked), values)[:, equation.columns]
    return made.reshape(len(asked), 2, len(both) // 2, -1).swapaxes(0, 1)


def _stacked(design: Design, rows: pd.DataFrame, times: int, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The design of complete rows repeated as a whole, with columns replaced by ``values``.

    Plain numbers and their products are multiplied out without the machinery of formulas.
    """
    parts = [[] if term == "Intercept" else term.split(":") for term in design.terms]
    plain = {name for part in parts for name in part} <= set(design.variables) and not design.levels
    if not plain or any(":" in name for name in design.variables):
        return design.matrix(pd.concat([rows[list(design.variables)]] * times, ignore_index=True).assign(**values))
    fixed = {name: np.tile(rows[name].to_numpy(dtype=float), times) for name in design.variables if name not in values}
    numbers, one = {**fixed, **values}, np.ones(len(rows) * times)
    return np.column_stack([np.prod([one, *(numbers[name] for name in part)], axis=0) for part in parts])


def _require_linear(
    equation: Equation, parts: tuple[Part, ...], at: Mapping[int, float], seen: np.ndarray, names: Sequence[str]
) -> None:
    """AllianceError where the design beyond 0 and 1 is not the one that its parts make."""
    expected = sum((matrix * np.prod([at[k] for k in which]) for which, matrix in parts), np.zeros((1, 1)))
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
