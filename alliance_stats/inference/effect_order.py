"""A model with chosen random effects first of their term; every order of the effects of a term is the same model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.inference.problem import Problem
from alliance_stats.numerics.mixed.crossed import Crossed
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.numerics.mixed.parts import elements
from alliance_stats.numerics.mixed.tree import Tree

START = 0.05  # least size of the diagonal of Λ, beside its natural size, from which a search starts


@dataclass(frozen=True, eq=False)
class Ordered:
    """A system with chosen effects first of their term; places in θ of λ₁₁, and of λ₂₁ and λ₂₂ of the term if it has them.

    ``start`` is θ with its zeros on the diagonal moved away, where the criterion is stationary whatever is held.
    """

    system: Tree | Crossed
    theta: np.ndarray
    start: np.ndarray
    first: int
    below: int
    second: int


def ordered(given: Problem, theta: np.ndarray, place: int, chosen: tuple[int, ...]) -> Ordered:
    """The model with the chosen effects of level ``place`` first of their term, and θ there."""
    level = given.levels[place]
    top = int(level.columns[level.rows == chosen[0]].min())
    term = level.rows[level.columns == top]
    order = np.arange(level.q)
    order[term] = [*chosen, *(i for i in term if i not in chosen)]
    levels = list(given.levels)
    levels[place] = replace(level, Z=level.Z[:, order])
    Ls = level_factors(given.levels, theta)
    Ls[place] = _triangle(Ls[place][order])
    shapes = [(each.q, each.rows, each.columns) for each in levels]
    system = replace(given, levels=tuple(levels)).system()
    turned = elements(Ls, shapes)
    low = START * system.scale
    start = np.where(system.diagonal & (np.abs(turned) < low), low, turned)
    begin = sum(len(each.rows) for each in levels[:place])

    def at(row: int, column: int) -> int:
        found = np.flatnonzero((level.rows == row) & (level.columns == column))
        return begin + int(found[0]) if len(found) else -1

    return Ordered(system, turned, start, at(top, top), at(top + 1, top), at(top + 1, top + 1))


def _triangle(root: np.ndarray) -> np.ndarray:
    """The lower triangular root of root·root', without negative elements on the diagonal."""
    _, R = np.linalg.qr(root.T)
    return np.asarray(np.tril(R.T) * np.where(np.diag(R) < 0, -1.0, 1.0))
