"""What a formula may not do: run other code, hang, or fail with anything but a FormulaError that shows the place."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats import AllianceError, FormulaError, LinearModel
from alliance_stats.formula import build_design, read_formula

CODE = [
    "__import__('os')", "__import__('os').system('touch pwned')", "I(__import__('os'))", "{__import__('os')}",
    "eval('1')", "exec('1')", "open('/etc/passwd')", "log(eval('1'))", "getattr(x, 'real')", "type(x)", "print(x)",
    "I(x.real)", "I(x.values.tolist())", "C(arm, contr.sum.__init__)", "C.__class__(x)", "I(x).real", "x.mean()",
    "I(lambda: 1)", "I((lambda: 1)())", "(lambda: 1)()", "lambda: x",
    "x[0]", "I(x[0])", "I(x[0:1])", "I({1: 2})", "I({x})", "{x + 1}", "[x]", "I([v for v in (1,)])", "I({v for v in (1,)})",
    "I((v for v in (1,)))", "I({v: v for v in (1,)})", "I(f'{x}')", "f'{x}'", "I(x := 2)", "(x := 2)", "I(*x)", "I(await x)",
    "I((yield))", "I(x if a else b)", "I(x and a)", "I(not x)", "I(x @ a)", "I(x // 2)", "I(x % 2)", "I(x & a)", "I(x << 2)",
    "I(x is a)", "I(x in a)", "np.log(x)", "I(np.log(x))", "numpy.log(x)", "log1p(x)", "lag(x, 1)", "hashed(arm, levels=3)",
    "I(`x`.real)", "I(`x`(1))", "`x`(1)", "f`x`(1)", "C(arm, contr.SAS)", "C(arm, contr.Other('b'))", "Q('x')",
]  # fmt: skip
COSTLY = [
    "9**9**9", "I(9**9**9)", "I(x^9^9)", "I(x**99999)", "x^99999", "x**99999", "(a+b)^100000000", "(a+b)**9**9", "I(9^9^9^9)",
    "I(x^(9^9))", "I(2^x)", "I(x^1e9)", "I(x^x)", "poly(x, 999999999)", "poly(x, 10**9)", "poly(x, degree=999999999)",
    "bs(x, df=999999999)", "bs(x, 999999999)", "cr(x, df=999999999)", "bs(x, df=9, degree=999999)", "I('a'*999999999)",
    "I([x]*999999999)", "I((x,)*999999999)", "I(999999999*'a')", "*".join(f"v{i}" for i in range(30)),
    "(" + "+".join(f"v{i}" for i in range(30)) + ")^10", "/".join(f"v{i}" for i in range(30)), "((a+b+x)^10*(a+b+x)^10)^10",
    "(" * 5000 + "x" + ")" * 5000, "I(" * 2000 + "x" + ")" * 2000, "log(" * 900 + "x" + ")" * 900, "I(" + "-" * 4000 + "x)",
    "-" * 4900 + "x", "+".join(["x"] * 100_000), "x" * 10_000, "9" * 4800, "I(" + "9" * 4800 + ")",
]  # fmt: skip
MALFORMED = [
    "", " ", "x +", "+", "x a", "x,a", "(x", "x)", "I(x", "I x)", "x; a", "x # a", "x \\ a", "x ~ a", "x \x00",
    "I(x\x00)", "'x'", '"x"', "`x", "x`", "``", "I(``)", "a`b`", "I(a`b`)", "x $ a", "x ? a", "x @ a", "x %% a",
    "x && a", "1x", "x²", ".", "...", "2*x", "2:x", "x + 3", "-1.5", "x^1.5", "x^-1", "x^a", "x^0", "I()", "log()",
    "I(x, a)", "`1`", "`3.5` + x", "x | arm", "(1 | arm)", "x || arm", "I(x | a)", "y", "y + x", "Intercept",
    "fitted + x", "log + log(x)", "log(`log`)", "abs*abs(x)",
]  # fmt: skip
PATIENTS = pd.DataFrame(
    {
        "y": [1.0, 2, 4, 3, 6, 5, 3, 2], "x": [1.0, 2, 3, 4, 5, 6, 3, 1], "a": [1.0, 2, 1, 2, 5, 1, 1, 1],
        "b": [3.0, 1, 2, 2, 1, 1, 5, 1], "arm": list("aabbccac"), "log": 1.0,
    }
)  # fmt: skip


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("code", CODE)
def test_code_is_refused(code: str, side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    formula = f"y ~ a + {code}" if side == "right" else f"{code} ~ a"
    with pytest.raises(FormulaError) as raised:
        read_formula(formula)
    assert repr(formula) in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", COSTLY, ids=lambda code: code[:24])
def test_costly_formulas_are_refused_at_once(code: str) -> None:
    start = time.perf_counter()
    with pytest.raises(FormulaError):
        read_formula(f"y ~ {code}")
    assert time.perf_counter() - start < 5  # they would take minutes, or memory that no computer has


@pytest.mark.parametrize(
    "code", ["+".join(["x"] * 800), "I(" + "+".join(["x"] * 2000) + ")", "I(" + "(" * 80 + "x" + ")" * 80 + ")"]
)
def test_long_formulas_are_fitted_or_refused(code: str) -> None:
    try:
        LinearModel(f"y ~ {code}").fit(PATIENTS)
    except AllianceError as problem:
        assert "y ~ " in str(problem)  # noqa: PT017


@pytest.mark.parametrize("right", MALFORMED)
def test_malformed(right: str) -> None:
    """Refused in reading or, where only the data can tell, in fitting; always with the formula in the message."""
    formula = f"y ~ {right}"
    with pytest.raises(AllianceError) as raised:
        LinearModel(formula).fit(PATIENTS)
    message = str(raised.value)
    assert repr(formula) in message
    assert "\x1b" not in message
    assert "⧛" not in message


@pytest.mark.parametrize(
    "left",
    ["", " ", "y + x", "y * 2", "-y", "y^2", "1", "0", "y:x", "'y'", "I(1)", "log(2)", "y | x", "(y", "poly(y, 2)", "y,x"],
)  # fmt: skip
def test_outcomes(left: str) -> None:
    with pytest.raises(FormulaError, match="formula"):
        LinearModel(f"{left} ~ a").fit(PATIENTS)


@pytest.mark.parametrize("formula", [None, 5, ["y ~ x"], b"y ~ x", {"y": "x"}])
def test_not_a_text(formula: object) -> None:
    with pytest.raises(FormulaError, match="give a text"):
        LinearModel(formula).fit(PATIENTS)  # type: ignore[arg-type]


@pytest.mark.parametrize("formula", ["y", "x + a", "y ~ x ~ a", "~ x", "y ~", "~"])
def test_one_tilde(formula: str) -> None:
    with pytest.raises(FormulaError, match="with one '~'"):
        read_formula(formula)


@pytest.mark.parametrize(
    ("formula", "place"),
    [
        ("y ~ x + eval(a)", "eval"),
        ("y ~ x + np.log(a)", "np"),
        ("y ~ log(a) + log1p(a)", "log1p"),
        ("y ~ x + I(a.real)", "a.real"),
        ("y ~ x + I(a^99)", "a^99"),
        ("y ~ I(x^2) + I(a^2) + (a + b)^99", "99"),
        ("y ~ `log(x` + x[0]", "x[0]"),
        ("y ~ Bündnis + größer(x)", "größer"),
        ("y ~ x + (1 | arm)", "|"),
        ("y ~ I(x^2) + 7", "7"),
        ("y ~ x +\n  eval(a)", "eval"),
        ("y ~ x + $a", "$"),
        ("eval(y) ~ x", "eval"),
        ("y ~ x + `1`", "`1`"),
    ],
)
def test_a_caret_points_at_the_place(formula: str, place: str) -> None:
    with pytest.raises(FormulaError) as raised:
        read_formula(formula)
    *_, line, pointer = str(raised.value).split("\n")
    assert line == "  " + formula.replace("\n", " ")
    assert pointer.strip() == "^"
    assert pointer.index("^") - 2 == formula.index(place)


PIECES = [
    "x", "a", "b", "arm", "`x`", "log", "I", "C", "contr", ".", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", ":", "^",
    "**", "~", "|", "'", '"', "`", ",", "=", "1", "2", "9", "0", " ", "lambda", "__import__", "eval",
    "%in%", "\n", "@", "#", "\\", "é",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_any_text_is_read_or_refused(pieces: list[str]) -> None:
    """No formula, however strange, raises anything but an error of this package."""
    formula = "y ~ " + "".join(pieces)
    try:
        parsed = read_formula(formula)
        absent = set(parsed.columns) - set(PATIENTS)
        assert all(name in formula for name in absent)
        build_design(parsed, PATIENTS.assign(**dict.fromkeys(absent, PATIENTS["b"]))[list(parsed.columns)])
    except AllianceError:
        return


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("y ~ factor(th)", r"write C\(column\)"),
        ("y ~ as.factor(th)", r"write C\(column\)"),
        ("y ~ x + offset(log(t))", "write exposure='column'"),
        ("cbind(k, n) ~ x", r"write completed \| trials\(assigned\)"),
        ("y ~ ns(x, 3)", r"write cr\(x, df=3\)"),
    ],
)
def test_what_users_of_r_write_is_answered_with_what_it_is_here(text: str, way: str) -> None:
    with pytest.raises(FormulaError, match=way):
        read_formula(text)
