"""The closed list: what may stand in a formula, checked before anything is evaluated.

The whole formula is parsed as an expression and each part compared with a list of functions and operators, so that a
formula from a file can never run other code, nor keep the computer busy with powers and products that multiply out to
millions of terms.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from math import comb
from typing import NoReturn

from alliance_stats.errors import FormulaError

BASES = frozenset(["bs", "cc", "cr", "cs", "poly"])
FUNCTIONS = BASES | frozenset(
    ["C", "I", "abs", "center", "contr", "exp", "log", "log10", "log2", "scale", "sqrt", "standardize"]
)
CONTRASTS = frozenset(["Diff", "Helmert", "Poly", "Sum", "Treatment", "diff", "helmert", "poly", "sum", "treatment"])
LARGEST_POWER = 10
LARGEST_BASIS = 50  # columns of a spline or polynomial
LONGEST = 5000  # characters
MOST_TERMS = 1000
QUOTED = re.compile(r"`([^`]+)`")
PROTECTED = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"")
NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.keyword, ast.List, ast.Tuple,
    ast.Attribute, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.Compare,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip
# What users of R would write, and what it is here.
INSTEAD = {
    "factor": "C(column) for a categorical column",
    "ordered": "C(column) for a categorical column",
    "offset": "exposure='column' of GeneralizedMixedModel",
    "cbind": "completed | trials(assigned) at the left of the formula",
    "ns": "cr(x, df=3) or bs(x, df=3)",
    "rcs": "cr(x, df=3) or bs(x, df=3)",
    "s": "cr(x, df=3) or bs(x, df=3)",
}


def checked_sides(text: str) -> tuple[str, str]:
    """Left and right of the tilde, with powers as Python writes them.

    Raises FormulaError, with the formula and the place, for anything outside the closed list.

    >>> checked_sides("pain ~ log(alliance) + I(week^2)")
    ('pain', 'log(alliance) + I(week**2)')
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise FormulaError(f"formula: give a text of at most {LONGEST} characters, e.g. 'outcome ~ alliance + arm'")
    masked = _masked(text)
    left, tilde, right = masked.partition("~")
    if not tilde or not left.strip() or not right.strip() or "~" in right:
        raise FormulaError(f"formula {text!r}: write it as 'outcome ~ predictors', with one '~'")
    cut = len(left)
    if "|" in right:
        place = masked.index("|", cut)
        raise FormulaError(_at(text, place, "a bar '|' declares random effects, which this model does not have"))
    outcome, predictors = _tree(text, masked, 0, cut), _tree(text, masked, cut + 1, len(masked))
    if not _is_column(outcome) and not isinstance(outcome, ast.Call):
        raise FormulaError(_at(text, 0, "the outcome is one column or one function; write arithmetic inside I()"))
    _require_distinct([*ast.walk(outcome), *ast.walk(predictors)], text)
    return _python_powers(text[:cut], left).strip(), _python_powers(text[cut + 1 :], right).strip()


def recheck(expression: str, text: str) -> None:
    """Check an expression as formulaic has read it: nothing else will be evaluated."""
    for node in ast.walk(ast.parse(QUOTED.sub("quoted", expression), mode="eval")):
        if problem := _problem(node):
            raise FormulaError(f"formula {text!r}: {problem}")


def names_in(expression: str) -> tuple[str, ...]:
    """Columns an expression reads: one bare name, or the names in a call that are not functions or contrasts."""
    if "(" not in QUOTED.sub("", expression):
        return (expression.strip("`"),) if not re.fullmatch(r"[\d.]+", expression) else ()
    nodes = list(ast.walk(ast.parse(QUOTED.sub("None", expression), mode="eval")))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    words = {id(call.func) for call in calls} | {id(n.value) for n in nodes if isinstance(n, ast.Attribute)}
    words |= {id(argument) for call in calls if _called(call) == "C" for argument in call.args[1:]}
    bare = [node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in words]
    return tuple(dict.fromkeys((*QUOTED.findall(expression), *bare)))


def _require_distinct(nodes: list[ast.AST], text: str) -> None:
    """A column would hide the function of its name, and a number in backticks is taken for a number."""
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    functions = {id(call.func) for call in calls}
    columns = {n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in functions} | set(QUOTED.findall(text))
    for name in columns & FUNCTIONS & {_called(call) for call in calls}:
        raise FormulaError(f"formula {text!r}: '{name}' is a column and a function here; rename the column")
    for found in re.finditer(r"``|`[\d.]+`", text):
        raise FormulaError(_at(text, found.start(), "this would be read as a number or as nothing; rename the column"))


def _masked(text: str) -> str:
    """The formula at the same length, names in backticks and texts in quotes as letters, white space as spaces."""

    def letters(found: re.Match[str]) -> str:
        mark, n = found[0][0], len(found[0])
        return "q" * n if mark == "`" else mark + "q" * (n - 2) + mark

    return re.sub(r"\s", " ", PROTECTED.sub(letters, text))


def _tree(text: str, masked: str, start: int, stop: int) -> ast.expr:
    """Syntax tree of one side; FormulaError, with the place, for what is outside the closed list."""
    side = masked[start:stop].replace("%in%", "@   ").replace(":", "@")
    start += len(side) - len(side.lstrip())
    places = [start + i for i, c in enumerate(side.lstrip()) for _ in range(2 if c == "^" else 1)]
    code = side.strip().replace("^", "**")

    def refuse(node: ast.AST, problem: str) -> NoReturn:
        before = code.encode()[: getattr(node, "col_offset", 0)].decode()
        raise FormulaError(_at(text, places[len(before)], problem))

    try:
        tree = ast.parse(code, mode="eval").body
        if _count(tree, refuse) > MOST_TERMS:
            refuse(tree, f"this multiplies out to more than {MOST_TERMS} terms")
    except SyntaxError as problem:
        place = places[min(max((problem.offset or 1) - 1, 0), len(places) - 1)]
        converted = re.search(r"\bas\.\w+\s*\(", code)
        hint = (
            f"write {INSTEAD['factor']}, and make numbers before"
            if converted
            else "unusual names of columns stand in `backticks`"
        )
        raise FormulaError(_at(text, place, f"this cannot be read; {hint}")) from None
    except (ValueError, RecursionError, MemoryError) as problem:
        raise FormulaError(f"formula {text[:50]!r} … is too long or nested too deeply") from problem
    return tree


def _count(node: ast.AST, refuse: Callable[[ast.AST, str], NoReturn]) -> int:
    """Upper bound of the terms that a formula makes when it is multiplied out; refuses what is no term."""
    if isinstance(node, ast.Call):
        for part in ast.walk(node):
            if problem := _problem(part):
                refuse(part if hasattr(part, "col_offset") else node, problem)
        return 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _count(node.operand, refuse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power, n = node.right, _count(node.left, refuse)
        if not (isinstance(power, ast.Constant) and isinstance(power.value, int) and 0 < power.value <= LARGEST_POWER):
            refuse(power, f"a power must be a whole number between 1 and {LARGEST_POWER}")
        return sum([comb(n, k) for k in range(1, power.value + 1)])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.MatMult | ast.Div):
        a, b = _count(node.left, refuse), _count(node.right, refuse)
        return a + b if isinstance(node.op, ast.Add | ast.Sub) else a + b + a * b
    if not _is_column(node) and not (isinstance(node, ast.Constant) and node.value in (0, 1)):
        refuse(node, f"{_kind(node)} is not allowed here")
    return 1


def _problem(node: ast.AST) -> str:
    """What is wrong with a part of a function call, or nothing."""
    if not isinstance(node, NODES):
        return f"{_kind(node)} is not allowed in a formula"
    if isinstance(node, ast.Attribute) and not (
        isinstance(node.value, ast.Name) and node.value.id == "contr" and node.attr in CONTRASTS
    ):
        return "a dot is only allowed in contr.treatment, contr.sum and their like"
    if isinstance(node, ast.Call):
        return _problem_of_call(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _small_power(node.right):
        return f"a power must be a number between -{LARGEST_POWER} and {LARGEST_POWER}"
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else []
    if any(
        isinstance(s, ast.List | ast.Tuple) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
    ):
        return "only numbers can be added and multiplied"
    return ""


def _problem_of_call(call: ast.Call) -> str:
    if _called(call) not in FUNCTIONS | CONTRASTS:
        way = INSTEAD.get(_called(call))
        hint = f"; write {way}" if way else ""
        return f"the function '{_called(call)}' is not one of {', '.join(sorted(FUNCTIONS))}{hint}"
    sizes = [*call.args[1:2], *(k.value for k in call.keywords if k.arg in ("df", "degree"))]
    if _called(call) in BASES and any(not _is_number_up_to(size, LARGEST_BASIS) for size in sizes):
        return f"'{_called(call)}' makes a number of columns between 1 and {LARGEST_BASIS}"
    return ""


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "?")


def _is_column(node: ast.AST) -> bool:
    """A name, also with dots as R allows them."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_column(node.value))


def _kind(node: ast.AST) -> str:
    return f"{node.value!r}" if isinstance(node, ast.Constant) else type(node).__name__


def _small_power(node: ast.expr) -> bool:
    return _is_number_up_to(node.operand if isinstance(node, ast.UnaryOp) else node, LARGEST_POWER)


def _is_number_up_to(node: ast.expr, largest: int) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and abs(node.value) <= largest


def _python_powers(text: str, masked: str) -> str:
    """Inside a function call ``^`` means a power, as in R; outside it stays the operator of formulas."""
    calls: list[bool] = []
    out: list[str] = []
    for i, (character, seen) in enumerate(zip(text, masked, strict=True)):
        if seen == "(":
            calls.append(any(calls) or bool(re.search(r"\w\s*$", masked[:i])))
        elif seen == ")" and calls:
            calls.pop()
        out.append("**" if seen == "^" and any(calls) else character)
    return "".join(out)


def _at(text: str, column: int, problem: str) -> str:
    """The message with the formula below it and a caret under the place."""
    line = re.sub(r"\s", " ", text)
    return f"formula {text!r}: {problem}\n  {line}\n  {' ' * column}^"
