"""Random effects in a formula: the bars, what may stand on either side, and the groups that labels make."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import DataError, FormulaError
from alliance_stats.formula import read_formula
from alliance_stats.models.mixed_groupings import effects_formula
from alliance_stats.random_terms import RandomTerm, group_codes, split_bars


def terms(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(term.effects, term.parts) for term in split_bars(text)[1]]


@pytest.mark.parametrize(
    ("bar", "expected"),
    {
        "(1 | g)": [("1", ("g",))],
        "(1+x|g)": [("1+x", ("g",))],
        "( 1  +  x | g )": [("1  +  x", ("g",))],
        "(x | g)": [("x", ("g",))],
        "(0 + x | g)": [("0 + x", ("g",))],
        "(x - 1 | g)": [("x - 1", ("g",))],
        "(x*z | g)": [("x*z", ("g",))],
        "(0 + x:z | g)": [("0 + x:z", ("g",))],
        "(log(x) + I(x^2) | g)": [("log(x) + I(x^2)", ("g",))],
        "(x || g)": [("1", ("g",)), ("0 + x", ("g",))],
        "(1 + x + z || g)": [("1", ("g",)), ("0 + x", ("g",)), ("0 + z", ("g",))],
        "(0 + x || g)": [("0 + x", ("g",))],
        "(x + 0 || g)": [("0 + x", ("g",))],
        "(x - 1 || g)": [("0 + x", ("g",))],
        "(-1 + x || g)": [("0 + x", ("g",))],
        "(1 + x + z + x:z || g)": [("1", ("g",)), ("0 + x", ("g",)), ("0 + z", ("g",)), ("0 + x:z", ("g",))],
        "(1 + I(x*z) || g)": [("1", ("g",)), ("0 + I(x*z)", ("g",))],
        "(1 | a/b)": [("1", ("a",)), ("1", ("a", "b"))],
        "(1 | a / b / c)": [("1", ("a",)), ("1", ("a", "b")), ("1", ("a", "b", "c"))],
        "(1 | a:b)": [("1", ("a", "b"))],
        "(1 | a:b:c)": [("1", ("a", "b", "c"))],
        "(1 | a/b:c)": [("1", ("a",)), ("1", ("a", "b", "c"))],
        "(1 | a:b/c)": [("1", ("a", "b")), ("1", ("a", "b", "c"))],
        "(x || a/b)": [("1", ("a",)), ("0 + x", ("a",)), ("1", ("a", "b")), ("0 + x", ("a", "b"))],
        "(1 | `my group`)": [("1", ("my group",))],
        "(1 | `a/b`)": [("1", ("a/b",))],
        "(1 | `a:b`/`c|d`)": [("1", ("a:b",)), ("1", ("a:b", "c|d"))],
        "(1 + `x | y` | g)": [("1 + `x | y`", ("g",))],
        "(1 + `a+b` || g)": [("1", ("g",)), ("0 + `a+b`", ("g",))],
        "(1 | clinic.id)": [("1", ("clinic.id",))],
        "(1 | Überweiser/群)": [("1", ("Überweiser",)), ("1", ("Überweiser", "群"))],
        "(1 | g) + (0 + x | g)": [("1", ("g",)), ("0 + x", ("g",))],
        "(1 | g)\n+ (1 | h)": [("1", ("g",)), ("1", ("h",))],
    }.items(),
)
def test_bars(bar: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert terms(f"y ~ x + {bar}") == expected


@pytest.mark.parametrize(
    ("text", "fixed"),
    {
        "y ~ x + (1 | g)": "y ~ x",
        "y ~ (1 | g)": "y ~ 1",
        "y ~ 1 + (1 | g)": "y ~ 1",
        "y ~ (1 | g) + x": "y ~ x",
        "y ~ x + (1 | g) + z": "y ~ x + z",
        "y ~ 0 + x + (1 | g)": "y ~ 0 + x",
        "y ~ x + (1 | g) - 1": "y ~ x - 1",
        "y ~ (x + z) + (1 | g)": "y ~ (x + z)",
        "y ~ x * (a + b) + (1 | g)": "y ~ x * (a + b)",
        "log(y) ~ I(x - 1) + (1 | g)": "log(y) ~ I(x - 1)",
        "`a|b` ~ `c ~ d` + (1 | g)": "`a|b` ~ `c ~ d`",
        "y ~ C(arm, Treatment('a|b')) + (1 | g)": "y ~ C(arm, Treatment('a|b'))",
        "y ~ x": "y ~ x",
    }.items(),
)
def test_the_fixed_part(text: str, fixed: str) -> None:
    found = " ".join(split_bars(text)[0].split())
    assert found == fixed
    read_formula(found)


@pytest.mark.parametrize(
    "bar",
    [
        "1 | g", "x | g", "x * (1 | g)", "(1 | g):x", "(1 | g) * (1 | h)", "((1 | g))", "(1 | (g))", "(1 | g + h)",
        "(1 | g*h)", "(1 | g^2)", "(1 | C(g))", "(1 | factor(g))", "(1 | 3)", "(1 | g.)x", "(1 | )", "( | g)", "(1 | g /)",
        "(1 | / g)", "(1 | g:)", "(1 | g h)", "(1 | 'g')", "(1 + (1 | h) | g)", "(1 | g | h)", "(1 ||| g)", "(1 | -g)",
        "(1 | __import__('os').system('true'))", "(1 | g[0])", "(1 | g; h)", "(1 | lambda: 0)", "(1 | ``)",
    ],
)  # fmt: skip
def test_what_is_not_a_random_term(bar: str) -> None:
    with pytest.raises(FormulaError, match="write"):
        split_bars(f"y ~ x + {bar}")


def test_a_minus_before_a_random_term() -> None:
    with pytest.raises(FormulaError, match="write random effects in parentheses"):
        split_bars("y ~ x - (1 | g)")


@pytest.mark.parametrize("effects", ["x*z", "(x + z)^2", "x/z", "x - z", "1 + x %in% z"])
def test_a_double_bar_wants_plain_sums(effects: str) -> None:
    with pytest.raises(FormulaError, match="joined by plus signs"):
        split_bars(f"y ~ x + ({effects} || g)")


@pytest.mark.parametrize(
    "effects",
    [
        "__import__('os').system('true')", "open('x')", "exec('1')", "x.__class__()", "eval('x')", "(lambda: x)()",
        "[x for x in z]", "x if z else x", "print(x)", "x @ z", "globals()",
    ],
)  # fmt: skip
def test_the_closed_list_holds_inside_bars(effects: str) -> None:
    with pytest.raises(FormulaError):
        effects_formula("y", split_bars(f"y ~ x + ({effects} | g)")[1][0])


def test_the_outcome_cannot_be_a_random_effect() -> None:
    with pytest.raises(FormulaError, match="the outcome 'y' is a predictor"):
        effects_formula("y", RandomTerm("1 + y", ("g",)))


def test_text_of_a_term() -> None:
    (term,) = split_bars("y ~ (1 + x | a:b)")[1]
    assert str(term) == "(1 + x | a:b)"
    assert term.group == "a:b"


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("labels", "codes", "names"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        ([3, 1, 3], [1, 0, 1], ("1", "3")),
        ([3.0, 1.0, 3.0], [1, 0, 1], ("1", "3")),
        ([3.0, np.nan, 1.0], [1, -1, 0], ("1", "3")),
        ([True, False, True], [1, 0, 1], ("False", "True")),
        (["b", None, "a"], [1, -1, 0], ("a", "b")),
        (pd.Categorical(["b", "a", "b"], categories=["c", "b", "a"]), [0, 1, 0], ("b", "a")),
        (pd.array([2, None, 1], dtype="Int64"), [1, -1, 0], ("1", "2")),
        (pd.to_datetime(["2026-01-02", "2026-01-01", "2026-01-02"]), [1, 0, 1], None),
    ],
)
def test_groups_of_labels(labels: object, codes: list[int], names: tuple[str, ...] | None) -> None:
    found, called = group_codes(frame(g=labels), ("g",))
    assert found.tolist() == codes
    assert names is None or called == names


def test_combined_groups() -> None:
    data = frame(a=["x", "x", "y", "y", None, "y"], b=[1, 2, 1, 1, 1, np.nan])
    codes, names = group_codes(data, ("a", "b"))
    assert names == ("x:1", "x:2", "y:1")
    assert codes.tolist() == [0, 1, 2, 2, -1, -1]


def test_three_factors_combined() -> None:
    data = frame(a=[1, 1, 2, 2], b=["u", "v", "u", "u"], c=[1, 1, 1, 2])
    codes, names = group_codes(data, ("a", "b", "c"))
    assert names == ("1:u:1", "1:v:1", "2:u:1", "2:u:2")
    assert codes.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [0.5, np.inf, -np.inf])
def test_measurements_are_not_groups(value: float) -> None:
    with pytest.raises(DataError, match="grouping factor 'g' holds fractions"):
        group_codes(frame(g=[1.0, 2.0, value]), ("g",))
