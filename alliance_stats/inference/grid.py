"""Reference grids: the rows at which a fitted model is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.result import Result

Names = str | Sequence[str]
At = Mapping[str, Any]


def as_names(names: Names) -> list[str]:
    """One name or several, as a list."""
    return [names] if isinstance(names, str) else list(names)


def as_values(value: Any) -> list[Any]:
    """One value or several, as a list."""
    return (
        list(value) if isinstance(value, Sequence | np.ndarray | pd.Series) and not isinstance(value, str) else [value]
    )


def reference_grid(result: Result, at: At | None = None) -> pd.DataFrame:
    """Every combination of factor levels, numbers at their mean; ``at`` sets variables to given values."""
    design, at = result.state.design, dict(at or {})
    require_columns(design.variables, at, "at")
    choices = {name: as_values(at[name]) if name in at else _default(result, name) for name in design.variables}
    for name in at:
        _known_levels(design.levels, name, choices[name])
    return pd.DataFrame(list(product(*choices.values())), columns=list(choices))


def cell_weights(result: Result, by: Sequence[str], at: At | None, weights: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Cells of the factors ``by`` and, for each, its row of the design averaged over the other factors.

    ``weights="equal"`` gives every level of the other factors the same weight, ``"proportional"`` its share of the data.
    """
    require_columns(result.state.design.variables, by, "by")
    grid = reference_grid(result, at)
    X = result.state.design.matrix(grid)
    share = _shares(result, grid, [n for n in result.state.design.levels if n not in by], weights)
    cells = grid[list(by)].drop_duplicates(ignore_index=True) if by else grid[[]].head(1)
    rows = []
    for cell in cells.itertuples(index=False):
        inside = _same(grid, by, cell)
        rows.append(np.average(X[inside], axis=0, weights=share[inside]))
    return cells, np.array(rows)


def describe_at(at: At | None) -> str:
    """The ``at`` column: ``arm = MCE, baseline = 5.3``."""
    return ", ".join(f"{name} = {_short(value)}" for name, value in (at or {}).items())


def cell_names(cells: pd.DataFrame) -> list[str]:
    """Names of the rows of a grid: ``active, enhanced``."""
    return [", ".join(_short(value) for value in cell) for cell in cells.itertuples(index=False)]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _default(result: Result, name: str) -> list[Any]:
    levels = result.state.design.levels
    return list(levels[name]) if name in levels else [float(result.frame[name].mean())]


def _known_levels(levels: Mapping[str, Sequence[Any]], name: str, values: Sequence[Any]) -> None:
    unknown = [value for value in values if name in levels and value not in levels[name]]
    if unknown:
        raise AllianceError(f"at: '{name}' has no level {unknown[0]!r}; levels: {', '.join(map(str, levels[name]))}")


def _shares(result: Result, grid: pd.DataFrame, others: Sequence[str], weights: str) -> np.ndarray:
    if weights not in ("equal", "proportional"):
        raise AllianceError(f"weights is {weights!r}; use 'equal' or 'proportional'")
    share: np.ndarray = np.ones(len(grid))
    if weights == "proportional" and others:
        patients = np.broadcast_to(getattr(result.state, "sizes", 1.0), len(result.frame))  # printed cells have sizes
        rows = [_same(result.frame, others, row) for row in grid[list(others)].itertuples(index=False)]
        share = np.array([patients[row].sum() for row in rows]) / patients.sum()
    return share


def _same(frame: pd.DataFrame, names: Sequence[str], values: Sequence[Any]) -> np.ndarray:
    same = [frame[name].to_numpy() == value for name, value in zip(names, values, strict=True)]
    return np.asarray(np.logical_and.reduce([np.ones(len(frame), dtype=bool), *same]))
