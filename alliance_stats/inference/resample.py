"""Whole groups drawn again with replacement: in one stage, or therapists first and then patients within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.problem import Problem, regrouped
from alliance_stats.inference.refit import grouping_of, members
from alliance_stats.models.mixed import Grouping
from alliance_stats.numerics.mixed.effects import are_nested
from alliance_stats.result import Result

Names = str | Sequence[str]


@dataclass(frozen=True, eq=False)
class Scheme:
    """The factors that are drawn, coarsest first, and for every factor of the model within how many of them it lies.

    A factor within none keeps its groups: one that is coarser than those drawn, or crossed with them.
    """

    drawn: tuple[Grouping, ...]
    depths: tuple[int, ...]

    def __str__(self) -> str:
        return ", then of ".join(f"'{grouping.name}'" for grouping in self.drawn) + " within it" * (len(self.drawn) > 1)


@dataclass(frozen=True, eq=False)
class Resample:
    """Rows, some of them more than once, and the number of the copy that each belongs to, one row of ``copies`` a stage."""

    index: np.ndarray
    copies: np.ndarray

    def problem(self, given: Problem, scheme: Scheme) -> Problem:
        """The rows as a model to fit; copies of a group are groups of their own."""
        copies = [self.copies[depth - 1] if depth else None for depth in scheme.depths]
        return given.rows(self.index, regrouped(given.levels, self.index, copies))

    def frame(self, result: Result, scheme: Scheme) -> pd.DataFrame:
        """The rows with the labels of their groups made the copy's own."""
        frame = result.frame.iloc[self.index].reset_index(drop=True)
        labels = {
            name: pd.Series(self.copies[depth - 1].astype(str)) + ":" + frame[name].astype(str)
            for name, depth in column_depths(result, scheme.depths).items()
            if depth
        }
        return frame.assign(**labels)


def scheme(result: Result, given: Problem, factors: Names | None) -> Scheme:
    """The factors to draw, checked: each within the one before it, and the copies of their groups to be told apart."""
    if factors is None and not are_nested(given.levels):
        raise AllianceError(
            "bootstrap: the grouping factors are crossed, no rows belong together; name the one to draw, e.g. "
            f"resample='{result.state.groupings[0].name}', or use kind='parametric'"
        )
    groupings: tuple[Grouping, ...] = result.state.groupings
    drawn = groupings[-1:] if factors is None else _named(result, [factors] if isinstance(factors, str) else [*factors])
    depths = tuple(sum(are_nested([each.level, outer.level]) for outer in drawn) for each in groupings)
    for grouping, depth in zip(groupings, depths, strict=True):
        if depth and not members(result, grouping).all():
            raise AllianceError(
                f"bootstrap: some rows have no '{grouping.name}' and cannot be drawn with one; use kind='parametric'"
            )
    columns = column_depths(result, depths)
    for grouping, depth in zip(groupings, depths, strict=True):
        if depth and max((columns.get(part, 0) for part in grouping.parts), default=0) < depth:
            raise AllianceError(
                f"bootstrap: '{grouping.name}' is a predictor too, and its copies cannot be told apart; "
                "use kind='parametric'"
            )
    return Scheme(drawn, depths)


def drawn_again(scheme: Scheme, rng: np.random.Generator) -> Resample:
    """As many groups as there are, with replacement; in further stages as many as the group drawn before holds.

    >>> again = resample(np.array([[0, 0, 1]]), np.random.default_rng(1))
    >>> again.index.tolist(), again.copies.tolist()
    ([0, 1, 2], [[0, 0, 1]])
    """
    return resample(np.array([grouping.level.codes for grouping in scheme.drawn]), rng)


def resample(codes: np.ndarray, rng: np.random.Generator) -> Resample:
    """Rows drawn by the groups of each stage, codes (stages, rows)."""
    parts: list[tuple[np.ndarray, tuple[int, ...]]] = [(np.arange(codes.shape[1]), ())]
    for stage in codes:
        chosen = [(rows, copies) for whole, copies in parts for rows in _drawn(whole, stage[whole], rng)]
        parts = [(rows, (*copies, number)) for number, (rows, copies) in enumerate(chosen)]
    numbers = np.array([copies for _, copies in parts]).T
    return Resample(
        np.concatenate([rows for rows, _ in parts]), np.repeat(numbers, [len(rows) for rows, _ in parts], axis=1)
    )


def column_depths(result: Result, depths: Sequence[int]) -> dict[str, int]:
    """For each column of labels the stage whose copies it is to name; 0 where it keeps its labels.

    A column of several factors goes with the one that lies within fewest, and the others are told apart by their further
    columns.
    """
    found: dict[str, int] = {}
    for grouping, depth in zip(result.state.groupings, depths, strict=True):
        for name in _free_parts(result, grouping):
            found[name] = min(depth, found.get(name, depth))
    return found


def _named(result: Result, factors: list[str]) -> tuple[Grouping, ...]:
    found = tuple(grouping_of(result, name, "bootstrap: resample=") for name in factors)
    if not found:
        raise AllianceError("bootstrap: resample= names no factor; leave it out, or name a grouping factor")
    for outer, inner in pairwise(found):
        if inner is outer or not are_nested([inner.level, outer.level]):
            raise AllianceError(
                f"bootstrap: resample={tuple(factors)}: '{inner.name}' does not lie within '{outer.name}'; name nested "
                "factors, coarsest first, or one of them"
            )
    return found


def _drawn(rows: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    order = np.argsort(codes, kind="stable")
    groups = np.split(rows[order], np.flatnonzero(np.diff(codes[order])) + 1)
    return [groups[i] for i in rng.integers(len(groups), size=len(groups))]


def _free_parts(result: Result, grouping: Grouping) -> list[str]:
    """Columns of a factor that are labels only, not predictors too, nor strata of the residual variance."""
    taken = {*result.state.design.variables, result.model.residual_by}
    taken.update(name for each in result.state.groupings for design in each.designs for name in design.variables)
    return [name for name in grouping.parts if name not in taken]
