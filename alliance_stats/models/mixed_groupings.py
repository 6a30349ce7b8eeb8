"""The random part of a mixed model after it has met its data: grouping factors, their groups and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError, require_columns
from alliance_stats.formula import Design, Formula, design_matrix, read_formula
from alliance_stats.models.frames import analysis_frame
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mixed.effects import are_nested
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.random_terms import RandomTerm, group_codes


@dataclass(frozen=True, eq=False)
class Grouping:
    """One grouping factor: its terms, their designs and columns, and the groups' names.

    A row without a group, whose effects are all multiplied by zero, is counted to the first group, where it changes nothing.
    """

    name: str
    parts: tuple[str, ...]
    terms: tuple[RandomTerm, ...]
    designs: tuple[Design, ...]
    groups: tuple[str, ...]
    level: Level

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the random effects, in the order of the columns."""
        return tuple(name for design in self.designs for name in design.terms)


def known_groups(frame: pd.DataFrame, grouping: Grouping) -> np.ndarray:
    """Place of every row's group among the groups of the fit; −1 for a new group and for a missing label."""
    require_columns(frame.columns, grouping.parts, f"random effects of '{grouping.name}'")
    codes, names = group_codes(frame, grouping.parts)
    known = {name: i for i, name in enumerate(grouping.groups)}
    places: np.ndarray = np.array([*(known.get(name, -1) for name in names), -1])
    return np.asarray(places[codes])


def random_columns(frame: pd.DataFrame, grouping: Grouping) -> np.ndarray:
    """Z of a grouping factor for new rows, shape (rows, q)."""
    return np.concatenate([design.matrix(frame) for design in grouping.designs], axis=1)


def effects_formula(response: str, term: RandomTerm) -> Formula:
    """What stands on the left of the bar, as a formula that the closed list has passed."""
    return read_formula(f"{response} ~ {term.effects}")


def analysis_rows(
    data: pd.DataFrame, formula: Formula, terms: Sequence[RandomTerm], columns: Sequence[str], labels: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows that are complete in the columns, the labels and the groups of the terms, and notes on what was left out.

    A patient without a therapist is complete where the therapist's effects are multiplied by zero, as those of the
    untreated are in ``(0 + treated | therapist)``.
    """
    groups = list(dict.fromkeys(part for term in terms for part in term.parts))
    require_columns(data.columns, [*columns, *groups, *labels], f"formula {formula.text!r}")
    filled, idle = data, {}
    for name in groups:
        absent = data[name].isna().to_numpy()
        if name not in labels and absent.any() and not absent.all():
            own = [term for term in terms if name in term.parts]
            idle[name] = absent & ~_needed(data, formula, own, columns)
            filled = filled.assign(**{name: data[name].mask(idle[name], data[name].dropna().iloc[0])})
    complete, notes = analysis_frame(filled, columns, [*groups, *labels], formula.text)
    kept = filled[complete.columns].notna().all(axis=1).to_numpy()
    notes += tuple(
        f"{(rows & kept).sum()} rows without a '{name}' are used: its random effects are multiplied by zero there"
        for name, rows in idle.items()
        if (rows & kept).any()
    )
    return data.loc[kept, list(complete.columns)], notes


def _needed(data: pd.DataFrame, formula: Formula, terms: Sequence[RandomTerm], columns: Sequence[str]) -> np.ndarray:
    """Rows in which an effect of the terms is not multiplied by zero; incomplete rows only where that is so of all others."""
    frame, _ = analysis_frame(data.set_axis(range(len(data)), axis=0), columns, (), formula.text)
    needed = np.zeros(len(data), dtype=bool)
    for term in terms:
        _, Z = design_matrix(effects_formula(formula.response, term), frame)
        used = Z.any(axis=1)
        needed[frame.index] |= used
        needed |= used.all()
    return needed


def build_groupings(frame: pd.DataFrame, response: str, terms: Sequence[RandomTerm]) -> tuple[Grouping, ...]:
    """Terms with the same grouping factor together, each factor with its columns and the shape of its Λ.

    Raises DataError or FormulaError for effects that cannot be told apart from one another.
    """
    found = []
    for parts in dict.fromkeys(term.parts for term in terms):
        own = tuple(term for term in terms if term.parts == parts)
        made = [_columns(frame, response, term) for term in own]
        codes, groups = group_codes(frame, parts)
        if len(groups) < 2:
            raise DataError(f"grouping factor '{own[0].group}' has one group only; a random effect needs two or more")
        Z = np.concatenate([columns for _, columns in made], axis=1)
        if Z[codes < 0].any():
            raise DataError(
                f"'{own[0].group}' is missing in rows with random effects of it; drop those rows, or label them"
            )
        level = Level(np.maximum(codes, 0), Z, *template([columns.shape[1] for _, columns in made]))
        found.append(Grouping(own[0].group, parts, own, tuple(design for design, _ in made), groups, level))
    for a, b in combinations([(g, i) for g in found for i in range(len(g.terms))], 2):
        _require_apart(*a, *b)
    return tuple(found)


def _columns(frame: pd.DataFrame, response: str, term: RandomTerm) -> tuple[Design, np.ndarray]:
    design, Z = design_matrix(effects_formula(response, term), frame)
    if not Z.shape[1]:
        raise FormulaError(f"{term} has no effect; write (1 | {term.group}) for an intercept")
    if term.apart and Z.shape[1] > 1:
        raise FormulaError(
            f"({term.effects} || {term.group}): '||' keeps effects uncorrelated, each one column of numbers, but "
            f"this one makes {Z.shape[1]} ({', '.join(design.terms)}); use '|', or a term of its own for each"
        )
    dependent = np.setdiff1d(np.arange(Z.shape[1]), independent_columns(Z))
    if len(dependent):
        raise DataError(
            f"{term}: '{design.terms[dependent[0]]}' is constant, or a combination of the other effects; leave it out"
        )
    return design, Z


def _require_apart(one: Grouping, i: int, other: Grouping, j: int) -> None:
    """Two terms over the same groups may not hold the same effect: only the sum of its variances would be known."""
    if not _same_groups(one, other):
        return
    first, second = _part(one, i), _part(other, j)
    for (term, design, Z), (beside, _, within) in ((first, second), (second, first)):
        for name, z in zip(design.terms, Z.T, strict=True):
            if len(independent_columns(np.column_stack([within, z]))) == within.shape[1]:
                raise DataError(
                    f"{term} and {beside} have the same groups, and '{name}' is an effect of both; its two variances "
                    "cannot be told apart. Leave it out of one of them"
                )


def _same_groups(one: Grouping, other: Grouping) -> bool:
    if one is other or len(one.groups) != len(other.groups):
        return one is other
    return are_nested([one.level, other.level])


def _part(grouping: Grouping, i: int) -> tuple[RandomTerm, Design, np.ndarray]:
    ends = np.cumsum([len(design.terms) for design in grouping.designs])
    design = grouping.designs[i]
    return grouping.terms[i], design, grouping.level.Z[:, ends[i] - len(design.terms) : ends[i]]
