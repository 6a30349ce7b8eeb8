"""Formulas: what a user writes, and the design matrix it makes.

The notation is that of R; formulaic builds the matrix. What may stand in a formula is in ``formula_syntax``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError
from alliance_stats.formula_syntax import checked_sides, names_in, recheck

RESERVED = frozenset(["Intercept", "fitted", "fitted_population", "residual"])
CONTEXT: Mapping[str, Any] = {"sqrt": np.sqrt, "abs": np.abs}


@dataclass(frozen=True)
class Formula:
    """A checked two-sided formula: its text, the response and the columns it needs."""

    text: str
    response: str
    right: str
    variables: tuple[str, ...]
    factors: frozenset[str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Response and predictors, in the order in which they appear."""
        return tuple(dict.fromkeys((*names_in(self.response), *self.variables)))


@dataclass(frozen=True)
class Design:
    """The fixed part of a formula after it has met its data: it makes the same columns from new rows."""

    formula: Formula
    spec: Any
    levels: Mapping[str, tuple[Any, ...]]

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns, ``Intercept`` first where there is one."""
        return tuple(str(name) for name in self.spec.column_names)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Columns of each term of the formula, e.g. ``{"arm": slice(1, 3)}``."""
        found = {str(term): where for term, where in self.spec.term_slices.items()}
        return {("Intercept" if name == "1" else name): where for name, where in found.items()}

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the data that the right-hand side reads."""
        return self.formula.variables

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """Design matrix of new rows, shape (rows, terms), with the constants learned in fitting."""
        for name in self.variables:
            _require_known(frame, name, self.levels.get(name))
        plain = _plain(frame, self.formula, self.levels)
        made = _evaluated(lambda: self.spec.get_model_matrix(plain, context=dict(CONTEXT)), self.formula)
        return _finite(made, self.formula)

    def __getstate__(self) -> dict[str, Any]:
        return {"formula": self.formula, "spec": self.spec, "levels": self.levels}


def read_formula(text: str) -> Formula:
    """Check a formula and split it at the tilde.

    Raises FormulaError, with the formula and the place, for anything outside the closed list.

    >>> read_formula("pain ~ alliance * arm + I(week^2)").columns
    ('pain', 'alliance', 'arm', 'week')
    """
    return _read(text) if isinstance(text, str) else _read.__wrapped__(text)


@lru_cache(maxsize=256)
def _read(text: str) -> Formula:
    outcome, right = checked_sides(text)
    factors = list(_factors(_parse(right, text)))
    variables = tuple(dict.fromkeys(name for factor in factors for name in _variables(factor, text)))
    categorical = frozenset(n for f in factors if f.expr.startswith("C(") for n in _variables(f, text))
    for name in RESERVED.intersection((*names_in(outcome), *variables)):
        raise FormulaError(f"formula {text!r}: '{name}' is a name that results use themselves; rename the column")
    if not names_in(outcome):
        raise FormulaError(f"formula {text!r}: the left-hand side names no column")
    if outcome.strip("`") in variables:
        raise FormulaError(f"formula {text!r}: the outcome '{outcome}' is a predictor, too")
    return Formula(text, outcome, right, variables, categorical)


def build_design(formula: Formula, frame: pd.DataFrame) -> tuple[Design, np.ndarray, np.ndarray]:
    """Design, matrix X of shape (rows, terms) and response y of shape (rows,) from complete rows."""
    return *design_matrix(formula, frame), response(formula, frame)


def design_matrix(formula: Formula, frame: pd.DataFrame) -> tuple[Design, np.ndarray]:
    """Design and matrix X of shape (rows, terms) of the right-hand side from complete rows."""
    from formulaic import Formula as Formulaic

    levels = {name: _levels(frame[name]) for name in formula.variables if is_factor(frame[name])}
    levels |= {n: tuple(np.unique(frame[n].to_numpy()).tolist()) for n in formula.factors if n not in levels}
    make = Formulaic(formula.right).get_model_matrix
    plain = _plain(frame, formula, levels)
    # Rows are complete here; what is missing after a transformation is found, and named, in the matrix.
    options: dict[str, Any] = {"na_action": "ignore", "output": "pandas", "context": dict(CONTEXT)}
    matrix = _evaluated(lambda: make(plain, **options), formula)
    design = Design(formula, matrix.model_spec, levels)
    return design, _finite(matrix, formula)


def response(formula: Formula, frame: pd.DataFrame) -> np.ndarray:
    """The left-hand side evaluated on the rows of a frame, shape (rows,)."""
    from formulaic import Formula as Formulaic

    names = names_in(formula.response)
    for name in names:
        if is_factor(frame[name]):
            raise FormulaError(
                f"formula {formula.text!r}: the outcome '{name}' holds {frame[name].dtype} values, a number is needed "
                "(for true and false: 1 and 0)"
            )
    plain = pd.DataFrame({name: _number(frame[name]) for name in names}, index=frame.index)
    if formula.response.strip("`") in names:
        return _finite(plain, formula)[:, 0]
    options: dict[str, Any] = {"na_action": "ignore", "output": "pandas", "context": dict(CONTEXT)}
    make = Formulaic(f"0 + {formula.response}").get_model_matrix
    matrix = _evaluated(lambda: make(plain, **options), formula)
    if matrix.shape[1] != 1:
        raise FormulaError(f"formula {formula.text!r}: the left-hand side makes {matrix.shape[1]} columns, not 1")
    return _finite(matrix, formula)[:, 0]


def is_factor(column: pd.Series[Any]) -> bool:
    """Whether a column is categorical: text, categories or true/false."""
    return not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _levels(column: pd.Series[Any]) -> tuple[Any, ...]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(column.cat.remove_unused_categories().cat.categories)
    return tuple(sorted(column.unique()))


def _plain(frame: pd.DataFrame, formula: Formula, levels: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    """Numbers as doubles (small integers overflow), factors as categories in the learned order."""
    plain = {n: _factor(frame[n], n in formula.factors, levels[n]) if n in levels else _number(frame[n])
             for n in formula.variables}  # fmt: skip
    return pd.DataFrame(plain, index=frame.index)


def _number(column: pd.Series[Any]) -> np.ndarray:
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))


def _factor(column: pd.Series[Any], declared: bool, levels: tuple[Any, ...]) -> Any:
    """Numbers in ``C()`` stay numbers, of the type they had in the data of the fit."""
    if declared and not is_factor(column):
        return _number(column).astype(type(levels[0]))
    return pd.Categorical(column.astype(object), categories=list(levels))


def _require_known(frame: pd.DataFrame, name: str, levels: tuple[Any, ...] | None) -> None:
    if name not in frame:
        raise DataError(f"column '{name}' is missing from the new data; it is needed by the formula")
    if levels is None:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f"column '{name}' holds {frame[name].dtype} values; it held numbers in the data of the fit")
        return
    unknown = sorted({str(v) for v in frame[name].unique() if v not in levels})
    if unknown:
        raise DataError(
            f"column '{name}' has levels {unknown} that were not in the data of the fit; "
            f"known levels: {[str(v) for v in levels]}"
        )


def _finite(matrix: pd.DataFrame, formula: Formula) -> np.ndarray:
    values: np.ndarray = _evaluated(lambda: np.asarray(matrix, dtype=float), formula)
    bad = [str(name) for name, ok in zip(matrix.columns, np.isfinite(values).all(axis=0), strict=True) if not ok]
    if bad:
        raise DataError(
            f"formula {formula.text!r}: {', '.join(bad)} is not finite in some rows "
            "(a logarithm of zero, a division by zero?); transform or correct the column first"
        )
    return values


def _evaluated(make: Callable[[], Any], formula: Formula) -> Any:
    """What formulaic makes of the data; its many kinds of failure become one that names the formula."""
    try:
        with np.errstate(all="ignore"):
            return make()
    except Exception as problem:
        raise DataError(f"formula {formula.text!r} does not fit the data: {_sentence(problem)}") from problem


def _parse(right: str, text: str) -> Any:
    from formulaic import Formula as Formulaic

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return Formulaic(right)
    except Exception as problem:
        raise FormulaError(f"formula {text!r} cannot be read: {_sentence(problem)}") from problem


def _factors(parsed: Any) -> Iterator[Any]:
    for term in parsed:
        yield from (factor for factor in term.factors if factor.eval_method.value != "literal")


def _variables(factor: Any, text: str) -> tuple[str, ...]:
    if factor.eval_method.value == "lookup":
        return (str(factor.expr).strip("`"),)
    recheck(factor.expr, text)
    return names_in(factor.expr)


def _sentence(problem: Exception) -> str:
    """The first line of a message, without the codes that colour a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(problem)).split("\n")[0]
