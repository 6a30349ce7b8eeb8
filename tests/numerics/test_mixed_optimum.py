"""Optima of mixed models: against R, against mixedlm, against many starts, and how soon they are found."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mixed_designs import Design, any_design, effects, level, patients

from alliance_stats.numerics.mixed.optimise import Optimum, fit, minimise
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.numerics.mixed.triangles import (
    column_curvature,
    covariance_slope,
    moved,
    packed,
    semidefinite_root,
    triangles,
    unpacked,
)

VALIDATION = Path(__file__).parents[2] / "validation"
SAME = 1e-4  # of a deviance: far below what any comparison of models can notice


def golden(name: str, *path: str) -> dict[str, object]:
    found = json.loads((VALIDATION / f"mixed_{name}.json").read_text(encoding="utf-8"))["results"]
    for key in path:
        found = found[key]
    return dict(found)


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(VALIDATION / "data" / f"mixed_{name}").dropna()


def codes(column: pd.Series) -> np.ndarray:
    return np.asarray(pd.factorize(column)[0])


def indicators(column: pd.Series) -> np.ndarray:
    return np.asarray(pd.get_dummies(column), dtype=float)


def one(frame: pd.DataFrame, *columns: str) -> np.ndarray:
    return np.column_stack([np.ones(len(frame)), frame[list(columns)]])


def sleepstudy() -> Design:
    d = data("sleepstudy_70.csv")
    return Design((level(codes(d["Subject"]), one(d, "Days")),), one(d, "Days"), d["Reaction"].to_numpy())


def penicillin() -> Design:
    d = data("penicillin.csv")
    return Design(
        (level(codes(d["plate"]), one(d)), level(codes(d["sample"]), one(d))), one(d), d["diameter"].to_numpy(float)
    )


def pastes() -> Design:
    d = data("pastes.csv")
    return Design(
        (level(codes(d["batch"] + d["cask"]), one(d)), level(codes(d["batch"]), one(d))),
        one(d),
        d["strength"].to_numpy(),
    )


def orthodont() -> Design:
    d = data("orthodont.csv").assign(female=lambda d: 1.0 * (d["Sex"] == "Female"))
    X = np.column_stack([one(d, "age", "female"), d["age"] * d["female"]])
    return Design((level(codes(d["Subject"]), one(d, "age")),), X, d["distance"].to_numpy())


def machines() -> Design:
    d = data("machines.csv")
    kinds = indicators(d["Machine"])
    return Design((level(codes(d["Worker"]), kinds),), kinds, d["score"].to_numpy())


def dyestuff2() -> Design:
    d = data("dyestuff2.csv")
    return Design((level(codes(d["Batch"]), one(d)),), one(d), d["Yield"].to_numpy())


def therapy(
    patient: tuple[str, ...], therapist: tuple[str, ...] | None, *, weighted: bool = False, small: bool = False
) -> Design:
    d = data("therapy_small.csv" if small else "therapy.csv")
    X = np.column_stack([indicators(d["arm"]), d[["alliance_within", "alliance_between", "week"]]])
    arms = indicators(d["arm"]) if therapist is None else one(d, *therapist)
    levels = level(codes(d["patient"]), one(d, *patient)), level(codes(d["therapist"]), arms)
    return Design(levels, X, d["outcome"].to_numpy(), d["weight"].to_numpy() if weighted else None)


R = {
    "sleepstudy": (sleepstudy, ("sleepstudy", "subset_70", "slope")),
    "penicillin": (penicillin, ("classic", "penicillin")),
    "pastes": (pastes, ("classic", "pastes")),
    "orthodont": (orthodont, ("classic", "orthodont")),
    "machines": (machines, ("classic", "machines_cell_slopes")),
    "dyestuff2": (dyestuff2, ("classic", "dyestuff2")),
    "growth": (lambda: therapy(("week",), ()), ("therapy", "growth")),
    "therapist slope": (lambda: therapy(("week",), ("alliance_within",)), ("therapy", "therapist_slope")),
    "two slopes": (lambda: therapy(("week", "alliance_within"), ()), ("therapy", "two_slopes")),
    "rank two": (lambda: therapy((), None), ("therapy", "singular_rank_two")),
    "three slopes": (
        lambda: therapy(("week", "alliance_within"), ("week", "alliance_within")),
        ("therapy", "singular_three_slopes"),
    ),
    "no therapists": (lambda: therapy(("week",), ("week",), small=True), ("therapy", "singular_therapists")),
    "weighted": (lambda: therapy((), (), weighted=True), ("therapy", "weighted")),
}


CASES = [(name, method) for name, (_, path) in R.items() for method in ("reml", "ml") if method in golden(*path)]


def test_no_case_is_missing() -> None:
    assert len(CASES) == 24


@pytest.mark.parametrize(("name", "method"), CASES)
def test_lme4(name: str, method: str) -> None:
    """lme4, its optimiser tightened, stops within 1e-6 of the optimum in these cases, and never below ours."""
    make, path = R[name]
    expected = golden(*path)[method]
    found = fit(make().system(), reml=method == "reml")
    assert found.converged
    assert found.value == pytest.approx(expected["criterion"], abs=1e-6)
    if not expected["singular"]:
        theirs = np.sort(np.abs(list(expected["theta"].values())))
        assert np.allclose(np.sort(np.abs(found.theta)), theirs, atol=1e-4)


def test_insteval() -> None:
    """73,421 ratings of 1,128 lecturers by 2,972 students."""
    d = data("insteval.csv.gz")
    levels = level(codes(d["s"]), one(d)), level(codes(d["d"]), one(d))
    expected = golden("insteval", "intercept")
    found = fit(Design(levels, one(d), d["y"].to_numpy(float)).system())
    assert found.value == pytest.approx(expected["criterion"], abs=1e-5)
    assert np.allclose(found.theta, list(expected["theta"].values()), atol=1e-5)
    assert found.evaluations <= 25


def starts(rng: np.random.Generator, design: Design, number: int) -> list[np.ndarray]:
    system = design.system()
    size, diagonal = system.scale, system.diagonal
    k = len(size)
    return [
        size * np.where(diagonal, np.exp(rng.normal(size=k) - 0.5), 0.3 * rng.normal(size=k)) for _ in range(number)
    ]


def without_variance(rng: np.random.Generator) -> Design:
    """Patients of therapists, of whose variances at least one is zero, or whose correlation is ±1."""
    patient, therapist, session = patients(rng, int(rng.integers(30, 80)), 6, 5, dropout=bool(rng.integers(2)))
    n, kind = len(patient), rng.choice(["intercept", "slope", "correlation", "therapists", "all"])
    x = rng.normal(size=n)
    Z = np.column_stack([np.ones(n), session])
    first, second = level(patient, Z), level(therapist, np.column_stack([np.ones(n), x])[:, : int(rng.integers(1, 3))])
    sd = {"intercept": [0, 0.5], "slope": [1, 0], "correlation": [0, 0], "therapists": [1, 0.4], "all": [0, 0]}[kind]
    y = rng.normal(size=n) + effects(rng, first, np.array(sd))
    if kind == "correlation":
        y += rng.normal(size=patient.max() + 1)[patient] * (1 + rng.choice([-0.3, 0.3]) * session)
    if kind in ("intercept", "slope"):
        y += effects(rng, second, np.array([0.0, 0.5])[: second.q])
    return Design((first, second), np.column_stack([Z, x]), y)


@pytest.mark.parametrize("seed", range(72))
def test_variances_of_zero(seed: int) -> None:
    """No start leads to a worse optimum, and none to a zero that is not a minimum."""
    rng = np.random.default_rng(seed)
    design, reml = without_variance(rng), bool(rng.integers(2))
    system = design.system()
    nothing = np.zeros(len(system.diagonal))
    begun = [system.start(), 1.0 * system.diagonal, nothing, *starts(rng, design, 5)]
    found = [fit(system, reml=reml, start=start) for start in begun]
    assert all(each.converged for each in found)
    best = min(each.value for each in found)
    assert [each.value - best for each in found] == pytest.approx([0.0] * len(found), abs=SAME)
    assert found[0].evaluations <= 100
    assert_minimum(design, found[0], reml=reml)


def assert_minimum(design: Design, found: Optimum, *, reml: bool) -> None:
    """Nothing lower near by, in any direction."""
    system, rng = design.system(), np.random.default_rng(0)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(10):
            theta = found.theta + size * system.scale * rng.normal(size=len(found.theta))
            assert system.evaluate(theta, reml=reml, gradient=False).value > found.value - 1e-8


def compared(design: Design, *, reml: bool) -> float:
    """How much lower mixedlm's optimum is than ours, once the criteria are seen to agree at its θ."""
    mixedlm = pytest.importorskip("mixedlm")
    formula, frame = as_formula(design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mixedlm warns of few groups and of singular fits
        theirs = mixedlm.lmer(formula, frame, REML=reml)
    system = design.system()
    assert system.evaluate(theirs.theta, reml=reml).value == pytest.approx(theirs.get_deviance(), abs=1e-6)
    found = fit(system, reml=reml)
    assert found.converged
    return found.value - float(theirs.get_deviance())


def parameters(design: Design) -> int:
    return sum(len(each.rows) for each in design.levels)


def test_mixedlm() -> None:
    """40 random designs of up to 4 parameters, 5 of more: its optimum is never the better one."""
    rngs = (np.random.default_rng(seed) for seed in range(400))
    designs = [(any_design(rng), bool(rng.integers(2))) for rng in rngs]
    few = [each for each in designs if parameters(each[0]) <= 4][-40:]
    many = [each for each in designs if parameters(each[0]) > 4][-5:]
    assert len(few) + len(many) == 45
    assert max(compared(design, reml=reml) for design, reml in few + many) < SAME


def test_mixedlm_in_the_long_run() -> None:
    """400 designs, 80 of them with 5 to 9 parameters: the table of validation/mixedlm_designs.py."""
    table = pd.read_csv(Path(__file__).parents[2] / "validation" / "mixedlm_designs.csv")
    assert len(table) == 400
    assert (table["parameters"] > 4).sum() == 80
    assert table["ours_minus_theirs"].max() < SAME


def as_formula(design: Design) -> tuple[str, pd.DataFrame]:
    frame = pd.DataFrame({"y": design.y})
    names = {}
    for Z in (design.X, *(each.Z for each in design.levels)):
        for column in Z.T[1:]:
            name = names.setdefault(column.tobytes(), f"x{len(names)}")
            frame[name] = column
    fixed = ["1", *(names[column.tobytes()] for column in design.X.T[1:])]
    terms = []
    for number, each in enumerate(design.levels):
        frame[f"g{number}"] = [f"{code:04d}" for code in each.codes]
        effects = ["1", *(names[column.tobytes()] for column in each.Z.T[1:])]
        bar = "||" if each.q > 1 and len(each.rows) == each.q else "|"
        terms.append(f"({' + '.join(effects)} {bar} g{number})")
    return f"y ~ {' + '.join([*fixed, *terms])}", frame


def test_few_evaluations() -> None:
    """2 parameters within 25 evaluations, 6 within 50, whether variances are zero or not."""
    for seed, (therapists, slopes) in enumerate([(0.4, 0.3), (0.0, 0.3), (0.4, 0.0), (0.0, 0.0)]):
        for dropout in (False, True):
            six = growth(seed, therapists, slopes, dropout=dropout)
            two = Design(tuple(Level(each.codes, each.Z[:, :1], *template([1])) for each in six.levels), six.X, six.y)
            assert fit(six.system()).evaluations <= 50
            assert fit(two.system()).evaluations <= 25


def growth(seed: int, therapists: float, slopes: float, *, dropout: bool) -> Design:
    """500 patients of 20 therapists."""
    rng = np.random.default_rng(seed)
    patient, therapist, session = patients(rng, 500, 25, 8, dropout=dropout)
    n = len(patient)
    within, between = rng.normal(size=n).round(1), rng.normal(size=500)[patient]
    first = level(patient, np.column_stack([np.ones(n), session]))
    second = level(therapist, np.column_stack([np.ones(n), within]))
    noise = rng.normal(size=n) + effects(rng, first, np.array([1.0, 0.2]))
    y = noise + effects(rng, second, np.array([therapists, slopes]))
    return Design((first, second), np.column_stack([np.ones(n), within, between, session]), y)


@pytest.mark.slow
def test_few_evaluations_at_any_size() -> None:
    """Rounding noise grows with the rows; the search must not chase it."""
    rng = np.random.default_rng(1)
    patient, therapist, session = patients(rng, 20_000, 25, 8)
    n = len(patient)
    within = rng.normal(size=n).round(1)
    first = level(patient, np.column_stack([np.ones(n), session]))
    second = level(therapist, np.column_stack([np.ones(n), within]))
    y = (
        1e4
        + rng.normal(size=n)
        + effects(rng, first, np.array([1.0, 0.2]))
        + effects(rng, second, np.array([0.0, 0.3]))
    )
    found = fit(Design((first, second), np.column_stack([np.ones(n), within, session]), y).system())
    assert found.converged
    assert found.evaluations <= 50


def test_units_do_not_matter() -> None:
    """Days or years: θ, the search and its length change as they should."""
    plain = growth(1, 0.4, 0.3, dropout=True)
    unit = np.array([1.0, 365.0])
    first, second = plain.levels
    other = Design((Level(first.codes, first.Z * unit, first.rows, first.columns), second), plain.X, 1000 * plain.y)
    a, b = fit(plain.system(), reml=False), fit(other.system(), reml=False)
    assert b.value - 2 * len(plain.y) * np.log(1000) == pytest.approx(a.value, abs=1e-7)
    assert np.allclose(b.theta, a.theta / np.array([1, 365, 365, 1, 1, 1]), rtol=1e-4, atol=1e-7)
    assert abs(b.evaluations - a.evaluations) <= 6


def test_slopes_over_calendar_years() -> None:
    """Where time begins to count changes θ, but neither the optimum nor the way to it."""
    plain = growth(1, 0.4, 0.3, dropout=True)
    first, second = plain.levels
    for begin in (5.0, 2015.0):
        other = Level(first.codes, first.Z + np.array([0.0, begin]), first.rows, first.columns)
        a, b = fit(plain.system()), fit(Design((other, second), plain.X, plain.y).system())
        assert b.converged
        assert b.value == pytest.approx(a.value, abs=1e-6)
        assert b.evaluations <= a.evaluations + 15
        assert np.allclose(b.theta[3:], a.theta[3:], atol=1e-4)


def test_the_diagonal_comes_out_positive() -> None:
    system = growth(2, 0.4, 0.3, dropout=False).system()
    expected = fit(system)
    found = fit(system, start=-expected.theta)
    assert (found.theta[system.diagonal] > 0).all()
    assert np.allclose(found.theta, expected.theta, atol=1e-5)
    assert np.allclose(found.gradient, system.evaluate(found.theta).gradient, atol=1e-9)


def test_a_given_residual_variance() -> None:
    design = growth(3, 0.4, 0.3, dropout=True)
    system = design.system()
    free = fit(system)
    s2 = system.evaluate(free.theta).sigma2
    given = fit(system, sigma2=s2)
    assert given.value == pytest.approx(free.value, abs=1e-8)
    assert np.allclose(given.theta, free.theta, atol=1e-5)


def test_a_saddle_at_zero_is_left() -> None:
    """(x² − 0.01)² is stationary at 0, where every search begins and none may end."""
    found = minimise(lambda x: (float((x[0] ** 2 - 0.01) ** 2), 4 * x * (x**2 - 0.01)), np.zeros(1), np.array([True]))
    assert found.theta[0] == pytest.approx(0.1, abs=1e-5)
    assert found.converged


def test_a_lower_minimum_beside_zero_is_found() -> None:
    """x²(x² − 0.25)² − 0.05x⁴ has a minimum at 0 and a lower one near 0.5."""

    def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
        u = float(x[0] ** 2)
        return u * (u - 0.25) ** 2 - 0.05 * u**2, 2 * x * ((u - 0.25) * (3 * u - 0.25) - 0.1 * u)

    found = minimise(criterion, np.array([0.05]), np.array([True]))
    assert found.value < -0.003


def test_groups_that_do_not_vary_within() -> None:
    """Without residual variance there is no optimum: the search ends soon, and says so."""
    group = np.repeat(np.arange(10), 3)
    y = np.random.default_rng(1).normal(size=10)[group]
    design = Design((level(group, np.ones((30, 1))),), np.ones((30, 1)), y)
    found = fit(design.system())
    assert not found.converged
    assert found.evaluations < 100


def test_effects_that_cannot_be_told_apart() -> None:
    """A column of zeros, the same column twice, the same factor twice: an optimum none the less."""
    rng = np.random.default_rng(1)
    group, one = np.repeat(np.arange(10), 4), np.ones((40, 1))
    y = rng.normal(size=40) + rng.normal(size=10)[group]
    expected = fit(Design((level(group, one),), one, y).system()).value
    for levels in (
        (level(group, np.column_stack([one, 0 * one])),),
        (level(group, np.column_stack([one, one])),),
        (level(group, one), level(group, one)),
    ):
        found = fit(Design(levels, one, y).system())
        assert found.converged
        assert found.value == pytest.approx(expected, abs=1e-6)


def test_triangles_of_theta() -> None:
    shape = triangles(np.array([True, False, True, False, False, True, True, True, False, True]))
    assert [block.stop - block.start for block in shape.blocks] == [6, 1, 3]
    theta = np.array([1.0, 2, 0, 3, 0, 4, 0, 5, 6, -7])
    assert shape.moving(theta).tolist() == [0, 1, 3, 5, 7, 8, 9]
    assert shape.corners(theta).tolist() == [0, 2, 5, 6, 7, 9]
    assert shape.positive(theta).tolist() == [1, 1, 1, 1, 1, 1, 1, 1, 1, -1]


def test_semidefinite_roots() -> None:
    L = np.array([[0.0, 0, 0], [0, 2, 0], [0, 1, 0]])
    assert np.allclose(semidefinite_root(L @ L.T, 1e-7), L, atol=1e-12)
    turned = np.array([[1e-5, 0.0], [0.3, 0.4]])
    assert np.allclose(semidefinite_root(turned @ turned.T, 1e-3, drop=True), [[0, 0], [0, 0.5]], atol=1e-8)


def test_covariance_slope() -> None:
    """For f = ⟨S, ΛΛ'⟩ the slope in Λ is 2SΛ, and the Hessian is the part that Newton's method in Ψ leaves out."""
    rng = np.random.default_rng(1)
    S, theta = rng.normal(size=(3, 3)), rng.normal(size=6)
    S, L = S + S.T, unpacked(theta)
    assert np.allclose(covariance_slope(L, np.tril(2 * S @ L)), S)
    assert np.allclose(column_curvature(S) @ theta, packed(2 * S @ L))


def test_covariance_slope_beside_columns_of_zeros() -> None:
    """Rows 1 and 3 of Λ have no pivot: ∂f is known from the rows and columns that have one."""
    rng = np.random.default_rng(2)
    S, L = rng.normal(size=(4, 4)), np.tril(rng.normal(size=(4, 4)))
    S, L[:, [0, 2]] = S + S.T, 0.0
    S[0], S[:, 0] = 0.0, 0.0
    S[2, 2], S[2, 3], S[3, 2] = 0.0, 0.0, 0.0
    assert np.allclose(covariance_slope(L, np.tril(2 * S @ L)), S)


def test_a_step_in_psi() -> None:
    """The factor moves with Ψ to first order, and leaves a tenth of a variance that would fall to zero or below."""
    rng = np.random.default_rng(3)
    for L in (np.tril(rng.normal(size=(3, 3))), np.array([[0.0, 0, 0], [0, 2, 0], [0, 1, 0]])):
        change = np.tril(rng.normal(size=(3, 3))) * L.any(axis=0)
        near, straight = moved(L, 1e-6 * change), L + 1e-6 * change
        assert np.allclose(near @ near.T, straight @ straight.T, atol=1e-10)
    assert np.allclose(moved(np.eye(2), np.diag([-5.0, 0.0])), np.diag([np.sqrt(0.1), 1.0]))
