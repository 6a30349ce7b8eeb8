"""What type III tests are of: for every term of a formula, differences between the cells of its factors.

A term is some factors and some numbers. Terms with the same numbers belong together (the slopes of ``week`` in all arms): their
coefficients say how much the numbers count in a cell of the factors. Of these slopes (or means, if there are no numbers) a test
takes differences over the factors of its term and averages over the others, every cell with the same weight. Other numbers are
held at zero. So are SAS's type III hypotheses, which do not depend on how factors are coded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.formula import Design
from alliance_stats.formula_syntax import names_in
from alliance_stats.inference.grid import At, as_values, reference_grid
from alliance_stats.result import Result

MOST = 200_000  # rows of a design that are looked at
PARALLEL = 1e-9  # 1 − |cos| below which two columns depend on the numbers alike


@dataclass(frozen=True)
class Term:
    """A term of a formula: its factors, the expressions of its numbers, and its columns of the design.

    ``coded`` says whether any factor makes them, be it one that does not vary.
    """

    factors: frozenset[str]
    numbers: frozenset[str]
    columns: tuple[int, ...]
    coded: bool


@dataclass(frozen=True)
class Hypothesis:
    """A term by its factors and numbers, and rows w over the columns of the design with w'β = 0."""

    name: str
    factors: frozenset[str]
    numbers: frozenset[str]
    rows: np.ndarray


def effect_rows(cells: pd.DataFrame, subset: Sequence[str] | frozenset[str]) -> np.ndarray:
    """Rows of contrasts on the cells for one main effect or interaction: differences in the subset, averages elsewhere."""
    matrix = np.ones((1, 1))
    for name in cells.columns:
        k = cells[name].nunique()
        part = np.eye(k)[1:] - np.eye(k)[:1] if name in subset else np.full((1, k), 1 / k)
        matrix = np.kron(matrix, part)
    return matrix


def hypotheses(result: Result, at: At | None = None) -> list[Hypothesis]:
    """The hypotheses of a result with a formula, lower orders first, otherwise in the order of the formula.

    With each term come those contained in it: ``arm + arm:week`` has the tests of ``arm * week``, the same model. ``at`` sets
    numbers, or a factor to one level, which then is no term.
    """
    design, given = result.state.design, dict(at or {})
    reference_grid(result, given)  # refuses variables and levels that are not in the model
    terms = list(formula_terms(design, given))
    _require_apart(terms, given)
    cells = _cells(result, terms, given)
    places = {name: i for i, name in enumerate(design.variables)}

    def name(factors: frozenset[str], numbers: frozenset[str]) -> str:
        parts = [(places[part], part) for part in factors]
        parts += [(min(places[each] for each in names_in(part)), part.strip("`")) for part in numbers]
        return ":".join(part for _, part in sorted(parts))

    found: dict[tuple[frozenset[str], frozenset[str]], Hypothesis] = {}
    for term in terms:
        own = sorted(term.factors, key=lambda each: places[each])
        for subset in chain.from_iterable(combinations(own, k) for k in range(len(own) + 1)):
            key = (frozenset(subset), term.numbers)
            if key not in found and any(key):
                rows = _rows(result, terms, term.numbers, key[0], cells, given)
                found[key] = Hypothesis(name(*key), *key, rows)
    return sorted(found.values(), key=lambda each: len(each.factors) + len(each.numbers))


def formula_terms(design: Design, at: At) -> Iterator[Term]:
    """The terms that have columns; a factor of one level, or held at one, is none."""
    factors = design.spec.factor_contrasts
    for term, where in design.spec.term_slices.items():
        parts = [part for part in term.factors if part.eval_method.value != "literal"]
        names = [names_in(str(part.expr))[0] for part in parts if part in factors]
        varying = frozenset(name for name in names if len(design.levels[name]) > 1 and not _fixed(at, name))
        numbers = frozenset(str(part.expr) for part in parts if part not in factors)
        columns = tuple(range(where.start, where.stop))
        if columns:
            yield Term(varying, numbers, columns, bool(names))


def _fixed(at: At, name: str) -> bool:
    return name in at and len(as_values(at[name])) == 1


def _require_apart(terms: Sequence[Term], at: Mapping[str, Any]) -> None:
    """In a term such as ``arm:I(week * (arm == 'MCE'))`` the number differs between the cells of the factor."""
    factors = frozenset(name for term in terms for name in term.factors)
    for term in terms:
        for number in term.numbers:
            both = factors.intersection(names_in(number))
            if both and term.factors:
                name = sorted(both)[0]
                raise AllianceError(
                    f"anova: '{name}' is a factor, and part of the number {number!r} in an interaction with "
                    f"{', '.join(sorted(term.factors))}; test the terms with wald_test()"
                )
            if 0 < len(set(names_in(number)) - set(at)) < len(set(names_in(number))):
                raise AllianceError(f"anova: at= sets some of the variables of {number!r}; set all of them, or none")


def _cells(result: Result, terms: Sequence[Term], at: Mapping[str, Any]) -> pd.DataFrame:
    """Every combination of the levels of the factors."""
    design = result.state.design
    names = [name for name in design.variables if any(name in term.factors for term in terms)]
    levels = [as_values(at[name]) if name in at else list(design.levels[name]) for name in names]
    return pd.DataFrame(list(product(*levels)), columns=names)


def _rows(
    result: Result, terms: Sequence[Term], numbers: frozenset[str], factors: frozenset[str], cells: pd.DataFrame,
    at: Mapping[str, Any],
) -> np.ndarray:  # fmt: skip
    """Rows for one test: the columns with just these numbers, and with further ones that ``at`` sets."""
    alike = [term for term in terms if term.numbers == numbers]
    own = [j for term in alike for j in term.columns]
    further = [
        j for term in terms if numbers < term.numbers and _is_set(term.numbers - numbers, at) for j in term.columns
    ]
    width = len(result.state.design.terms)
    if not further and not any(term.coded for term in alike):
        return np.eye(width)[own]
    columns = np.array([*own, *further])
    values = _values(result, cells, numbers, at)[:, :, columns]
    effect = effect_rows(cells, factors)
    found = []
    for group in _alike(values):
        part = values[:, :, group]
        size = np.abs(part[:, :, group < len(own)]).max(axis=(1, 2), initial=0.0)
        rows = np.zeros((len(effect), width))
        rows[:, columns[group]] = effect @ part[size.argmax()] / size.max()
        found.append(rows)
    return np.concatenate(found)


def _is_set(numbers: frozenset[str], at: Mapping[str, Any]) -> bool:
    return all(name in at for number in numbers for name in names_in(number))


def _values(result: Result, cells: pd.DataFrame, numbers: frozenset[str], at: Mapping[str, Any]) -> np.ndarray:
    """The design in every cell, at several values of the numbers: (values, cells, columns). Plain numbers are set to 1."""
    design = result.state.design
    others = [name for name in design.variables if name not in cells]
    seen = result.frame[others].assign(**{str(name): _one(at, name) for name in others if name in at})
    plain = {number.strip("`") for number in numbers}
    if plain <= set(others):
        seen = seen.head(1).assign(**dict.fromkeys(plain, 1.0))
    seen = seen.drop_duplicates(ignore_index=True) if others else seen.head(1)
    kept = np.unique(np.linspace(0, len(seen) - 1, max(1, MOST // max(1, len(cells)))).astype(int))
    seen, n = seen.iloc[kept], max(1, len(cells))
    frame = pd.DataFrame({name: np.repeat(seen[name].to_numpy(), n) for name in others})
    frame = frame.assign(**{str(name): np.tile(cells[name].to_numpy(), len(seen)) for name in cells})
    return np.asarray(design.matrix(frame).reshape(len(seen), n, -1))


def _one(at: Mapping[str, Any], name: str) -> Any:
    values = as_values(at[name])
    if len(values) > 1:
        raise AllianceError(f"anova: at= gives {len(values)} values of '{name}'; give one")
    return values[0]


def _alike(values: np.ndarray) -> list[np.ndarray]:
    """Columns that depend on the numbers alike, as those of one column of a polynomial in all cells do."""
    cell = np.abs(values).sum(axis=0).argmax(axis=0)
    profiles = values[:, cell, np.arange(values.shape[2])]
    length = np.linalg.norm(profiles, axis=0)
    profiles = profiles / np.where(length > 0, length, 1.0)
    left, groups = np.flatnonzero(length > 0), []
    while len(left):
        same = 1 - np.abs(profiles[:, left].T @ profiles[:, left[0]]) < PARALLEL
        groups.append(left[same])
        left = left[~same]
    return groups
