"""What a formula means: columns in order, powers, factors, constants learned, names in backticks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats import DataError, FormulaError
from alliance_stats.formula import Design, build_design, read_formula

RNG = np.random.default_rng(8)
PATIENTS = pd.DataFrame(
    {
        "y": RNG.normal(size=12), "x": RNG.normal(size=12) + 5, "a": np.arange(12.0) + 1, "b": RNG.normal(size=12),
        "arm": list("MSGMSGMSGMSG"), "sex": ["f", "m"] * 6, "week": [1, 2, 3, 1, 2, 3] * 2,
    }
)  # fmt: skip


def design(formula: str, frame: pd.DataFrame = PATIENTS) -> tuple[Design, np.ndarray]:
    parsed = read_formula(formula)
    made, X, _ = build_design(parsed, frame[list(parsed.columns)])
    return made, X


def terms(formula: str, frame: pd.DataFrame = PATIENTS) -> tuple[str, ...]:
    return design(formula, frame)[0].terms


def test_columns_come_in_the_order_of_their_names() -> None:
    assert read_formula("y ~ b + arm * x + a").columns == ("y", "b", "arm", "x", "a")
    assert read_formula("log(y) ~ I(b^2) + log(x) + b").columns == ("y", "b", "x")
    assert read_formula("`my y` ~ `a b` + C(`a b`) + I(`z z` / `q`)").columns == ("my y", "a b", "z z", "q")
    assert read_formula("y ~ 1").columns == ("y",)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ 1", ["Intercept"]),
        ("y ~ x - 1", ["x"]),
        ("y ~ 0 + x", ["x"]),
        ("y ~ x + x", ["Intercept", "x"]),
        ("y ~ x * a", ["Intercept", "x", "a", "x:a"]),
        ("y ~ x / a", ["Intercept", "x", "x:a"]),
        ("y ~ x:a", ["Intercept", "x:a"]),
        ("y ~ (a + b)^2", ["Intercept", "a", "b", "a:b"]),
        ("y ~ (a + b)**2", ["Intercept", "a", "b", "a:b"]),
        ("y ~ (a + b + x)^2 - a:b", ["Intercept", "a", "b", "x", "a:x", "b:x"]),
        ("y ~ arm", ["Intercept", "arm[T.M]", "arm[T.S]"]),
        ("y ~ 0 + arm", ["arm[G]", "arm[M]", "arm[S]"]),
        ("y ~ arm * sex", ["Intercept", "arm[T.M]", "arm[T.S]", "sex[T.m]", "arm[T.M]:sex[T.m]", "arm[T.S]:sex[T.m]"]),
        ("y ~ C(week)", ["Intercept", "C(week)[T.2]", "C(week)[T.3]"]),
        ("y ~ x +\n  a", ["Intercept", "x", "a"]),
    ],
)
def test_terms(formula: str, expected: list[str]) -> None:
    assert list(terms(formula)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I(x^2)", "I(x**2)"),
        ("I(x ^ 2)", "I(x**2)"),
        ("I((x + a)^2)", "I((x + a)**2)"),
        ("log(x^2)", "log(x**2)"),
        ("I(x^-1)", "I(1 / x)"),
        ("I(week^-1)", "I(1 / week)"),
        ("I(`x`^2)", "I(x**2)"),
        ("(a + b)^2 + I(x^2)", "a * b + I(x**2)"),
        ("C(arm, Treatment('S'))", "C(arm, contr.treatment('S'))"),
        ('C(arm, Treatment("S"))', "C(arm, contr.treatment('S'))"),
        ("C(arm, Sum)", "C(arm, contr.sum)"),
        ("sqrt(x)", "I(x**0.5)"),
        ("abs(b)", "sqrt(b^2)"),
    ],
)
def test_two_ways_of_writing_make_the_same_columns(one: str, other: str) -> None:
    assert np.allclose(design(f"y ~ {one}")[1], design(f"y ~ {other}")[1], rtol=1e-14, atol=1e-14)


def test_reference_level() -> None:
    assert terms("y ~ C(arm, Treatment('S'))")[1:] == ("C(arm, Treatment('S'))[T.G]", "C(arm, Treatment('S'))[T.M]")
    ordered = PATIENTS.assign(arm=pd.Categorical(PATIENTS["arm"], ["S", "M", "G"], ordered=True))
    assert terms("y ~ arm", ordered) == ("Intercept", "arm[T.M]", "arm[T.G]")
    unused = PATIENTS.assign(arm=pd.Categorical(PATIENTS["arm"], ["Z", "S", "Y", "M", "G"]))
    assert terms("y ~ arm", unused) == ("Intercept", "arm[T.M]", "arm[T.G]")


def test_text_in_quotes_is_left_alone() -> None:
    frame = PATIENTS.assign(arm=PATIENTS["arm"].replace({"S": "a^b|c~d", "M": "`x`:(y"}))
    assert terms("y ~ C(arm, Treatment('a^b|c~d'))", frame)[0] == "Intercept"
    assert design("y ~ I(arm == 'a^b|c~d')", frame)[1][:, 1].sum() == 4


def test_slices_of_terms() -> None:
    found = design("y ~ arm * x")[0].slices
    assert found == {"Intercept": slice(0, 1), "arm": slice(1, 3), "x": slice(3, 4), "arm:x": slice(4, 6)}


@pytest.mark.parametrize(
    "right",
    ["scale(x)", "center(x)", "standardize(x)", "poly(x, 3)", "bs(x, df=4)", "cr(x, df=3)", "C(week, Sum)", "arm * log(x)"],
)  # fmt: skip
def test_constants_are_learned_once(right: str) -> None:
    """One new row alone makes the columns that it made among all rows."""
    made, X = design(f"y ~ {right}")
    for i in (0, 5, 11):
        assert np.allclose(made.matrix(PATIENTS.iloc[[i]]), X[[i]], rtol=1e-12, atol=1e-12)
    assert made.matrix(PATIENTS.iloc[::-1]).shape == X.shape


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "float32", "Int8", "Float64", "int16[pyarrow]"])
def test_small_numbers_do_not_overflow(kind: str) -> None:
    values = [100, 110, 120, 90, 80, 70, 60, 50, 40, 30, 20, 10]
    narrow, wide = (PATIENTS.assign(x=pd.array(values, dtype=k)) for k in (kind, "float64"))
    for right in ("I(x^3)", "poly(x, 2)", "I(x * x)", "I(x^-2)", "I(x + 100)"):
        assert np.array_equal(design(f"y ~ {right}", narrow)[1], design(f"y ~ {right}", wide)[1])
    parsed = read_formula("I(x^3) ~ 1")
    assert np.array_equal(build_design(parsed, narrow[["x"]])[2], np.array(values, dtype=float) ** 3)


@pytest.mark.parametrize(
    "right", ["log(b)", "sqrt(b)", "I(1 / (a - 3))", "exp(a * 1000)", "poly(log(b), 2)", "log(a - 1)"]
)
def test_what_is_not_finite_is_named(right: str) -> None:
    with pytest.raises(DataError, match="is not finite in some rows"):
        design(f"y ~ x + {right}")


@pytest.mark.parametrize("left", ["log(b)", "sqrt(b)", "I(1 / (a - 3))", "log(a - 1)"])
def test_an_outcome_that_is_not_finite_is_named(left: str) -> None:
    """Rows where the outcome cannot be computed are never dropped in silence."""
    with pytest.raises(DataError, match="is not finite in some rows"):
        design(f"{left} ~ x")


@pytest.mark.parametrize(
    "right", ["C(arm, contr.treatment('zz'))", "bs(x, df=1)", "I(arm + x)", "log(arm)", "scale(arm)", "I('x')"]
)
def test_what_does_not_fit_the_data_is_said(right: str) -> None:
    with pytest.raises((DataError, FormulaError), match="formula") as raised:
        design(f"y ~ {right}")
    assert f"y ~ {right}" in str(raised.value)


def test_rows_beyond_the_knots_are_refused() -> None:
    made, _ = design("y ~ bs(x, df=4)")
    with pytest.raises(DataError, match="bs"):
        made.matrix(PATIENTS.assign(x=1e3))


@pytest.mark.parametrize(
    "name", ["C", "I", "log", "sum", "diff", "contr", "poly", "scale", "self", "x.y", "Treatment", "bs", "np"]
)
@pytest.mark.parametrize("role", ["outcome", "number", "factor", "power"])
def test_columns_with_the_names_of_functions(name: str, role: str) -> None:
    source = {"outcome": "y", "number": "x", "power": "x", "factor": "arm"}[role]
    formula = {
        "outcome": f"{name} ~ a",
        "number": f"y ~ {name} + a",
        "factor": f"y ~ {name} * a",
        "power": f"y ~ I(`{name}`^2)",
    }
    plain = formula[role].replace(f"`{name}`", source).replace(name, source)
    renamed = PATIENTS.rename(columns={source: name})
    if role == "power" and name == "I":
        with pytest.raises(FormulaError, match="'I' is a column and a function here"):
            read_formula(formula[role])
        return
    assert np.array_equal(design(formula[role], renamed)[1], design(plain)[1])
    parsed = read_formula(formula[role])
    assert np.array_equal(build_design(parsed, renamed)[2], build_design(read_formula(plain), PATIENTS)[2])


@pytest.mark.parametrize(
    "name",
    ["a b", "a+b", "a:b", "a~b", "a|b", "a^b", "a(b", "a)b", "a'b", 'a"b', "a,b", "a\\b", "ä ö", "1a", "%"],
)
@pytest.mark.parametrize(
    "right", ["`{}` + a", "`{}` * arm", "I(`{}`^2)", "log(`{}`) + `{}`", "poly(`{}`, 2)", "(`{}` + a)^2"]
)
def test_names_in_backticks(name: str, right: str) -> None:
    renamed = PATIENTS.rename(columns={"x": name})
    ours, X = design("y ~ " + right.replace("{}", name), renamed)
    assert np.array_equal(X, design("y ~ " + right.replace("`{}`", "x"))[1])
    assert name in ours.variables
