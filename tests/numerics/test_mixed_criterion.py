"""The criterion of mixed models, its gradient and β against the definition, and the ways to it against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mixed_designs import Design, any_design, dense, level, numbered, patients

from alliance_stats.numerics.mixed import leaves, pairs, tree
from alliance_stats.numerics.mixed.coordinates import basis, turn_of, turned
from alliance_stats.numerics.mixed.crossed import build_crossed
from alliance_stats.numerics.mixed.grouped import family, products, sums, times
from alliance_stats.numerics.mixed.leaves import Cells, Groups
from alliance_stats.numerics.mixed.parts import elements, eliminate, factors, small_inverse, template
from alliance_stats.numerics.mixed.tree import build_tree, nested_order
from alliance_stats.numerics.mixed.triangles import packed

CLOSE = 1e-9  # of a criterion of some hundreds, whose dense V has a condition of up to 1e5


def nested_design(seed: int, *, regular: bool = False, shuffled: bool = True, weighted: bool = False) -> Design:
    """Four levels: patients with slopes within therapists with slopes within clinics within two regions."""
    rng = np.random.default_rng(seed)
    patient, therapist, session = patients(rng, 48, 6 if regular else 5, 4, dropout=not regular)
    n = len(patient)
    x = rng.normal(size=n)
    clinic, region, one = therapist // 2, therapist // 4, np.ones((n, 1))
    X = np.column_stack([one, session, x])
    rows = rng.permutation(n) if shuffled else np.arange(n)
    levels = (
        level(patient, np.column_stack([one, session])),
        level(therapist, np.column_stack([one, x]), [1, 1]),
        level(clinic, one),
        level(region, one),
    )
    y = 3 + session + rng.normal(size=n) + rng.normal(size=48)[patient]
    levels = tuple(replace(each, codes=each.codes[rows], Z=each.Z[rows]) for each in levels)
    weights = rng.uniform(0.3, 3, n) if weighted else None
    return Design(levels, X[rows], y[rows], weights)


def crossed_design(seed: int, *, weighted: bool = False) -> Design:
    """Patients with slopes, crossed with therapists with slopes and with clinics."""
    rng = np.random.default_rng(seed)
    n = 150
    x, one = rng.normal(size=n), np.ones((n, 1))
    levels = (
        level(rng.integers(0, 25, n), np.column_stack([one, x])),
        level(rng.integers(0, 7, n), np.column_stack([one, x])),
        level(rng.integers(0, 5, n), one),
    )
    y = rng.normal(size=n) + rng.normal(size=7)[levels[1].codes]
    return Design(levels, np.column_stack([one, x]), y, rng.uniform(0.3, 3, n) if weighted else None)


DESIGNS = {
    "regular": nested_design(1, regular=True),
    "regular, sorted": nested_design(2, regular=True, shuffled=False),
    "dropout": nested_design(3),
    "weighted": nested_design(4, weighted=True),
    "crossed": crossed_design(5),
    "crossed, weighted": crossed_design(6, weighted=True),
}


@pytest.mark.parametrize("sigma2", [None, 1.3])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_definition(name: str, reml: bool, sigma2: float | None) -> None:
    design = DESIGNS[name]
    system = design.system()
    theta = np.random.default_rng(8).normal(size=len(system.diagonal))
    found = system.evaluate(theta, reml=reml, sigma2=sigma2)
    value, beta, inverse, r = dense(design, theta, reml=reml, sigma2=sigma2)
    assert found.value == pytest.approx(value, abs=CLOSE)
    assert found.r == pytest.approx(r, rel=1e-11)
    assert np.allclose(found.beta, beta, atol=1e-10)
    assert np.allclose(found.inverse, inverse, atol=1e-10)
    slopes = [central(lambda t: dense(design, t, reml=reml, sigma2=sigma2)[0], theta, j) for j in range(len(theta))]
    assert np.allclose(found.gradient, slopes, rtol=1e-5, atol=1e-5)  # the dense differences carry 1e-12/1e-6 of noise


def central(criterion: object, theta: np.ndarray, j: int, step: float = 1e-5) -> float:
    h = np.zeros(len(theta))
    h[j] = step
    return float((criterion(theta + h) - criterion(theta - h)) / (2 * step))  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(60))
def test_definition_on_random_designs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design, reml = any_design(rng), bool(rng.integers(2))
    system = design.system()
    theta = (
        rng.normal(size=len(system.diagonal))
        * system.scale
        * rng.choice([0.0, 1.0], len(system.diagonal), p=[0.2, 0.8])
    )
    found, expected = system.evaluate(theta, reml=reml), dense(design, theta, reml=reml)
    assert found.value == pytest.approx(expected[0], abs=CLOSE)
    assert np.allclose(found.beta, expected[1], atol=1e-9)
    for j, size in enumerate(system.scale):
        slope = central(lambda t: system.evaluate(t, reml=reml, gradient=False).value, theta, j, 1e-5 * size)
        assert found.gradient[j] * size == pytest.approx(slope * size, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", DESIGNS)
def test_no_random_effects_is_least_squares(name: str) -> None:
    design = DESIGNS[name]
    found = design.system().evaluate(np.zeros(len(design.system().diagonal)))
    w = np.ones(len(design.y)) if design.weights is None else design.weights
    beta = np.linalg.lstsq(design.X * np.sqrt(w)[:, None], design.y * np.sqrt(w))[0]
    assert np.allclose(found.beta, beta, atol=1e-11)
    assert np.array_equal(found.gradient, np.zeros(len(found.gradient)))


@pytest.mark.parametrize("name", ["regular", "crossed"])
def test_one_variance_at_zero(name: str) -> None:
    design = DESIGNS[name]
    system = design.system()
    for j in np.flatnonzero(system.diagonal):
        theta = np.full(len(system.diagonal), 0.4)
        theta[j] = 0.0
        assert system.evaluate(theta).value == pytest.approx(dense(design, theta)[0], abs=CLOSE)


def test_the_gradient_can_be_left_out() -> None:
    for design in DESIGNS.values():
        system = design.system()
        theta = np.full(len(system.diagonal), 0.3)
        without, with_it = system.evaluate(theta, gradient=False), system.evaluate(theta)
        assert without.gradient.shape == (0,)
        assert without.value == with_it.value


def test_cells_are_only_a_shorter_way(monkeypatch: pytest.MonkeyPatch) -> None:
    design = DESIGNS["regular"]
    cells = design.system()
    monkeypatch.setattr(tree, "gathered", lambda A, K, parents, _: Groups(A, K, parents))
    plain = design.system()
    assert isinstance(cells.finest, Cells)
    assert isinstance(plain.finest, Groups)
    theta = np.random.default_rng(3).normal(size=len(cells.diagonal))
    assert cells.evaluate(theta).value == pytest.approx(plain.evaluate(theta).value, abs=CLOSE)
    assert np.allclose(cells.evaluate(theta).gradient, plain.evaluate(theta).gradient, atol=CLOSE)
    assert np.allclose(cells.start(), plain.start(), atol=CLOSE)


def test_nearly_equal_groups_are_not_exchangeable() -> None:
    A = np.repeat(np.array([[[4.0, 6.0], [6.0, 14.0]]]), 40, axis=0)
    A[7, 1, 1] = np.nextafter(14.0, 15.0)
    order, starts, owner = leaves.exchangeable(A, family(np.array([0, 20]), 40))
    assert sorted(np.diff(np.r_[starts, 40])) == [1, 19, 20]
    assert owner.tolist() == [0, 0, 1]
    assert sorted(order[:20]) == list(range(20))


def test_colliding_hashes_join_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "_hash", lambda key, owner: np.zeros(len(key), dtype=np.uint64))
    rng = np.random.default_rng(2)
    A = rng.integers(1, 4, 60).astype(float)[:, None, None]
    parents = family(np.array([0, 25]), 60)
    order, starts, owner = leaves.exchangeable(A, parents)
    for a, b, parent in zip(starts, np.r_[starts[1:], 60], owner, strict=True):
        assert len(np.unique(A[order[a:b]])) == 1
        assert ((order[a:b] >= 25) == bool(parent)).all()


@pytest.mark.parametrize("name", [name for name in DESIGNS if not name.startswith("crossed")])
def test_a_nested_design_may_be_taken_as_crossed(name: str) -> None:
    design = DESIGNS[name]
    one = build_tree(design.levels, design.X, design.y, design.weights)
    other = build_crossed(design.levels, design.X, design.y, design.weights)
    theta = np.random.default_rng(4).normal(size=len(one.diagonal))
    a, b = one.evaluate(theta), other.evaluate(theta)
    assert a.value == pytest.approx(b.value, abs=CLOSE)
    assert np.allclose(a.gradient, b.gradient, atol=CLOSE)
    assert np.allclose(a.beta, b.beta, atol=CLOSE)
    assert np.allclose(one.scale, other.scale, rtol=1e-12)
    assert np.allclose(one.units, other.units, rtol=1e-12)


@pytest.mark.parametrize(("most", "full"), [(0, 1.0), (0, 0.0)], ids=["sparse", "full"])
def test_products_of_pairs_may_be_formed_anew(monkeypatch: pytest.MonkeyPatch, most: int, full: float) -> None:
    design = DESIGNS["crossed"]
    kept = design.system()
    monkeypatch.setattr(pairs, "MOST", most)
    monkeypatch.setattr(pairs, "FULL", full)
    anew = design.system()
    theta = np.random.default_rng(5).normal(size=len(kept.diagonal))
    assert anew.pairs.map is None
    assert kept.evaluate(theta).value == pytest.approx(anew.evaluate(theta).value, abs=CLOSE)
    assert np.allclose(kept.evaluate(theta).gradient, anew.evaluate(theta).gradient, atol=CLOSE)


def test_a_therapist_who_meets_a_patient_only_at_time_zero() -> None:
    """Elements of S may be exactly zero: they still belong to a pair."""
    rng = np.random.default_rng(6)
    patient, _, session = patients(rng, 20, 5, 3)
    Z = np.column_stack([np.ones(60), session])
    therapist = rng.integers(0, 4, 60)
    design = Design((level(patient, Z), level(therapist, Z)), Z, rng.normal(size=60))
    theta = rng.normal(size=6)
    assert not design.nested
    assert design.system().evaluate(theta).value == pytest.approx(dense(design, theta)[0], abs=CLOSE)


def test_more_random_effects_than_are_written_out() -> None:
    rng = np.random.default_rng(7)
    Z = rng.normal(size=(200, 8))
    design = Design((level(np.arange(200) % 10, Z),), np.ones((200, 1)), rng.normal(size=200))
    theta = rng.normal(size=36) / 3
    assert design.system().evaluate(theta).value == pytest.approx(dense(design, theta)[0], abs=CLOSE)


def test_no_fixed_effects() -> None:
    design = replace(DESIGNS["dropout"], X=np.empty((len(DESIGNS["dropout"].y), 0)))
    theta = np.full(7, 0.5)
    assert design.system().evaluate(theta).value == pytest.approx(dense(design, theta)[0], abs=CLOSE)


@pytest.mark.parametrize("name", ["dropout", "crossed"])
def test_large_means_and_calendar_years_cost_no_digits(name: str) -> None:
    design = DESIGNS[name]
    year = 2015 + design.X[:, 1] / 10
    plain = replace(design, X=np.column_stack([np.ones(len(year)), year - 2015]))
    far = replace(design, X=np.column_stack([np.ones(len(year)), year]), y=design.y + 1e6)
    theta = np.full(len(design.system().diagonal), 0.4)
    a, b = plain.system().evaluate(theta), far.system().evaluate(theta)
    assert b.value == pytest.approx(a.value, abs=1e-8)  # 1e6 keeps ten digits of y
    assert np.allclose(b.gradient, a.gradient, atol=1e-8)
    assert b.beta[1] == pytest.approx(a.beta[1], rel=1e-8)


@pytest.mark.parametrize("name", ["dropout", "crossed"])
def test_slopes_over_calendar_years_cost_no_digits(name: str) -> None:
    """b₀ + b₁t and b₀ − 2015b₁ + b₁(t + 2015) are the same random effects."""
    design = DESIGNS[name]
    first, *others = design.levels
    far = replace(first, Z=first.Z + np.array([0.0, 2015.0]))
    shift, L = np.array([[1.0, -2015.0], [0, 1]]), np.array([[0.8, 0.0], [0.3, 0.5]])
    theta = np.full(len(design.system().diagonal), 0.4)
    theta[:3] = packed(L)
    there = theta.copy()
    there[:3] = packed(np.linalg.cholesky(shift @ L @ L.T @ shift.T))
    other = replace(design, levels=(far, *others)).system()
    assert other.evaluate(there).value == pytest.approx(design.system().evaluate(theta).value, abs=1e-7)


def test_turned_effects() -> None:
    """R is lower triangular within blocks, and makes the columns of ZR⁻¹ orthonormal there."""
    rng = np.random.default_rng(1)
    Z = np.column_stack([np.ones(50), 2000 + rng.normal(size=50), rng.normal(size=50) * 1e-6])
    R = turn_of(Z, *template([2, 1]))
    W = turned(Z, R)
    assert np.array_equal(R, np.tril(R))
    assert R[2, :2].tolist() == [0, 0]
    assert np.allclose(W @ R, Z)
    assert np.mean(W[:, 2] ** 2) == pytest.approx(1.0)
    # the ridge of 1e-12 is seen through a correlation of 1 − 1e-7 of intercept and year
    assert np.allclose(W[:, :2].T @ W[:, :2] / 50, np.eye(2), atol=1e-4)


def test_columns_of_zeros_and_repeated_columns_of_z() -> None:
    one = np.ones(30)
    for Z in (np.column_stack([one, 0 * one]), np.column_stack([one, one])):
        R = turn_of(Z, *template([2]))
        assert np.allclose(turned(Z, R) @ R, Z)


def test_dependent_columns_are_refused() -> None:
    X = np.column_stack([np.ones(20), np.arange(20.0), 2 * np.arange(20.0) - 1])
    with pytest.raises(np.linalg.LinAlgError, match="dependent"):
        basis(X, np.zeros(20))


def test_names_of_groups_and_order_of_rows_do_not_matter() -> None:
    design, rng = DESIGNS["dropout"], np.random.default_rng(9)
    rows = rng.permutation(len(design.y))
    renamed = []
    for each in design.levels:
        names = rng.permutation(int(each.codes.max()) + 1)
        renamed.append(replace(each, codes=names[each.codes][rows], Z=each.Z[rows]))
    other = Design(tuple(renamed), design.X[rows], design.y[rows])
    theta = rng.normal(size=7)
    a, b = design.system().evaluate(theta), other.system().evaluate(theta)
    assert a.value == pytest.approx(b.value, abs=CLOSE)
    assert np.allclose(a.gradient, b.gradient, atol=CLOSE)


SIZES = {
    "equal": np.full(12, 5),
    "many rows": np.array([40, 3, 60, 17]),
    "few rows": np.array([1, 2, 1, 3, 2, 1, 1]),
    "one group": np.array([30]),
    "rows alone": np.ones(9, dtype=int),
}


@pytest.mark.parametrize("name", SIZES)
def test_sums_over_groups(name: str) -> None:
    rng, sizes = np.random.default_rng(1), SIZES[name]
    n, starts = int(sizes.sum()), np.cumsum(sizes) - sizes
    groups = family(starts, n)
    left, right, stack = rng.normal(size=(n, 3)), rng.normal(size=(n, 4)), rng.normal(size=(n, 2, 3))
    matrices = rng.normal(size=(len(sizes), 3, 3))
    parts = [slice(a, a + size) for a, size in zip(starts, sizes, strict=True)]
    assert np.allclose(products(left, right, groups), [left[part].T @ right[part] for part in parts], atol=1e-12)
    expected = [sum(each.T @ each for each in stack[part]) for part in parts]
    assert np.allclose(products(stack, stack, groups), expected, atol=1e-12)
    assert np.allclose(sums(stack, groups), [stack[part].sum(axis=0) for part in parts], atol=1e-12)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    assert np.allclose(times(stack, matrices, groups), stack @ matrices[owner], atol=1e-12)


@pytest.mark.parametrize("q", range(1, 9))
def test_small_inverse(q: int) -> None:
    half = np.random.default_rng(q).normal(size=(30, q, q + 2))
    V = np.eye(q) + half @ half.transpose(0, 2, 1)
    inverse, log_det = small_inverse(V)
    assert np.allclose(inverse, np.linalg.inv(V), rtol=1e-9, atol=1e-12)
    assert np.allclose(log_det, np.linalg.slogdet(V)[1], rtol=1e-12)


def test_elimination_is_a_regularised_inverse() -> None:
    rng = np.random.default_rng(1)
    half, L = rng.normal(size=(5, 3, 6)), np.tril(rng.normal(size=(3, 3)))
    A = half @ half.transpose(0, 2, 1)
    M, log_det = eliminate(A, L)
    assert np.allclose(M, np.linalg.inv(A + np.linalg.inv(L @ L.T)), rtol=1e-8)
    assert np.allclose(log_det, [np.linalg.slogdet(np.eye(3) + L.T @ each @ L)[1] for each in A])
    assert np.array_equal(eliminate(A, np.zeros((3, 3)))[0], np.zeros((5, 3, 3)))


def test_theta_and_factors() -> None:
    shapes = [(3, *template([2, 1])), (1, *template([1]))]
    theta = np.arange(1.0, 6.0)
    Ls = factors(theta, shapes)
    assert Ls[0].tolist() == [[1, 0, 0], [2, 3, 0], [0, 0, 4]]
    assert np.array_equal(elements(Ls, shapes), theta)


def test_nested_order() -> None:
    patient, therapist, _ = patients(np.random.default_rng(1), 20, 4, 3)
    assert nested_order([therapist, patient]) == [1, 0]
    assert nested_order([patient, numbered(np.arange(60) % 7)]) is None
