"""Formulas: what a user may write, and the design matrix it makes.

The notation is that of R; formulaic builds the matrix. Before anything is evaluated every term is parsed and compared
with a closed list of functions and operators, so that a formula from a file can never run other code.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError

FUNCTIONS = frozenset(
    [
        "C",
        "I",
        "abs",
        "bs",
        "cc",
        "center",
        "contr",
        "cr",
        "cs",
        "exp",
        "log",
        "log10",
        "log2",
        "poly",
        "scale",
        "sqrt",
        "standardize",
    ]
)
CONTRASTS = frozenset(["Diff", "Helmert", "Poly", "Sum", "Treatment", "diff", "helmert", "poly", "sum", "treatment"])
CONTEXT: Mapping[str, Any] = {"sqrt": np.sqrt, "abs": np.abs}
LARGEST_POWER = 10
QUOTED = re.compile(r"`([^`]+)`")
NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.keyword, ast.List, ast.Tuple,
    ast.Attribute, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.Compare,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip


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
        return tuple(dict.fromkeys((*_names_in(self.response), *self.variables)))


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
        for name, levels in self.levels.items():
            _require_known_levels(frame, name, levels)
        return _finite(self.spec.get_model_matrix(_plain(frame, self.levels), context=dict(CONTEXT)), self.formula)

    def __getstate__(self) -> dict[str, Any]:
        return {"formula": self.formula, "spec": self.spec, "levels": self.levels}


def read_formula(text: str) -> Formula:
    """Check a formula and split it at the tilde.

    Raises FormulaError, with the formula and the place, for anything outside the closed list.

    >>> read_formula("pain ~ alliance * arm + I(week^2)").columns
    ('pain', 'alliance', 'arm', 'week')
    """
    left, tilde, right = text.partition("~")
    if not tilde or not left.strip() or not right.strip() or "~" in right:
        raise FormulaError(f"formula {text!r}: write it as 'outcome ~ predictors', with one '~'")
    right = _python_powers(right.strip())
    parsed = _parse(right, text)
    factors = list(_factors(parsed))
    response = _python_powers(left.strip())
    _check_expression(QUOTED.sub("quoted", response), text)
    variables = tuple(dict.fromkeys(name for factor in factors for name in _variables(factor, text)))
    categorical = frozenset(n for f in factors if f.expr.startswith("C(") for n in _variables(f, text))
    return Formula(text, response, right, variables, categorical)


def build_design(formula: Formula, frame: pd.DataFrame) -> tuple[Design, np.ndarray, np.ndarray]:
    """Design, matrix X of shape (rows, terms) and response y of shape (rows,) from complete rows."""
    from formulaic import Formula as Formulaic

    levels = {name: _levels(frame[name]) for name in formula.variables if is_factor(frame[name])}
    levels |= {name: tuple(np.unique(frame[name])) for name in formula.factors if name not in levels}
    matrix = Formulaic(formula.right).get_model_matrix(
        _plain(frame, levels), na_action="raise", output="pandas", context=dict(CONTEXT)
    )
    design = Design(formula, matrix.model_spec, levels)
    return design, _finite(matrix, formula), response(formula, frame)


def response(formula: Formula, frame: pd.DataFrame) -> np.ndarray:
    """The left-hand side evaluated on the rows of a frame, shape (rows,)."""
    from formulaic import Formula as Formulaic

    names = _names_in(formula.response)
    for name in names:
        if is_factor(frame[name]):
            raise FormulaError(f"formula {formula.text!r}: the outcome '{name}' is text, a number is needed")
    matrix = Formulaic(f"0 + {formula.response}").get_model_matrix(frame, output="pandas", context=dict(CONTEXT))
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


def _plain(frame: pd.DataFrame, levels: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    """Factors as categories in the learned order, so that the columns never depend on the rows at hand."""
    factors = {n: pd.Categorical(frame[n], categories=list(v)) for n, v in levels.items() if is_factor(frame[n])}
    return frame.assign(**factors)


def _require_known_levels(frame: pd.DataFrame, name: str, levels: tuple[Any, ...]) -> None:
    if name not in frame:
        raise DataError(f"column '{name}' is missing from the new data; it is needed by the formula")
    unknown = sorted({str(v) for v in frame[name].unique() if v not in levels})
    if unknown:
        raise DataError(
            f"column '{name}' has levels {unknown} that were not in the data of the fit; "
            f"known levels: {[str(v) for v in levels]}"
        )


def _finite(matrix: pd.DataFrame, formula: Formula) -> np.ndarray:
    values = np.asarray(matrix, dtype=float)
    bad = [str(name) for name, ok in zip(matrix.columns, np.isfinite(values).all(axis=0), strict=True) if not ok]
    if bad:
        raise DataError(
            f"formula {formula.text!r}: {', '.join(bad)} is not finite in some rows "
            "(a logarithm of zero, a division by zero?); transform or correct the column first"
        )
    return values


def _parse(right: str, text: str) -> Any:
    from formulaic import Formula as Formulaic

    if "|" in QUOTED.sub("", right):
        raise FormulaError(_at(text, "|", "a bar '|' declares random effects, which this model does not have"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return Formulaic(right)
    except Exception as problem:
        raise FormulaError(f"formula {text!r} cannot be read: {problem}") from problem


def _factors(parsed: Any) -> Iterator[Any]:
    for term in parsed:
        yield from (factor for factor in term.factors if factor.eval_method.value != "literal")


def _variables(factor: Any, text: str) -> tuple[str, ...]:
    if factor.eval_method.value == "lookup":
        return (str(factor.expr).strip("`"),)
    _check_expression(QUOTED.sub("quoted", factor.expr), text)
    return _names_in(factor.expr)


def _names_in(expression: str) -> tuple[str, ...]:
    """Columns an expression reads: its bare names that are not functions, and names in backticks."""
    tree = ast.parse(QUOTED.sub("None", expression), mode="eval")
    bare = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in FUNCTIONS | CONTRASTS]
    return tuple(dict.fromkeys((*QUOTED.findall(expression), *bare)))


def _check_expression(expression: str, text: str) -> None:
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError) as problem:
        raise FormulaError(_at(text, expression, f"{expression!r} is not an expression")) from problem
    for node in ast.walk(tree):
        _check_node(node, text)


def _check_node(node: ast.AST, text: str) -> None:
    if not isinstance(node, NODES):
        raise FormulaError(f"formula {text!r}: {type(node).__name__} is not allowed in a formula")
    if isinstance(node, ast.Attribute) and not (
        isinstance(node.value, ast.Name) and node.value.id == "contr" and node.attr in CONTRASTS
    ):
        raise FormulaError(_at(text, node.attr, "a dot is only allowed in contr.treatment, contr.sum and their like"))
    if isinstance(node, ast.Call) and _called(node) not in FUNCTIONS | CONTRASTS:
        raise FormulaError(
            _at(text, _called(node), f"the function '{_called(node)}' is not one of {', '.join(sorted(FUNCTIONS))}")
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _small_power(node.right):
        raise FormulaError(_at(text, "^", f"a power must be a number between -{LARGEST_POWER} and {LARGEST_POWER}"))


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "?")


def _small_power(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and abs(node.value) <= LARGEST_POWER


def _python_powers(text: str) -> str:
    """Inside a function call ``^`` means a power, as in R; outside it stays the operator of formulas."""
    calls: list[bool] = []
    out: list[str] = []
    for i, character in enumerate(text):
        if character == "(":
            calls.append(any(calls) or bool(re.search(r"\w\s*$", text[:i])))
        elif character == ")" and calls:
            calls.pop()
        out.append("**" if character == "^" and any(calls) else character)
    return "".join(out)


def _at(text: str, place: str, problem: str) -> str:
    """The message with the formula below it and a caret under the place."""
    column = text.find(place)
    pointer = f"\n  {text}\n  {' ' * column}^" if column >= 0 else ""
    return f"formula {text!r}: {problem}{pointer}"
