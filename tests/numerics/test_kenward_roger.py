"""Kenward–Roger against pbkrtest and against the definition with n × n matrices."""

from __future__ import annotations

import numpy as np
import pytest
from golden.pinned import difference
from test_satterthwaite import KNOWN, Case, Fit, by_path, dense, example, fitted, gold_of, joint_hypothesis, ordered

from alliance_stats.numerics.mixed.kenward_roger import LARGEST, KenwardRoger, kenward_roger, kr_df, kr_test
from alliance_stats.numerics.mixed.parts import Level, template

SAME_OPTIMUM = 1e-9  # two optima of criteria flat to rounding; 2e-11 is reached
ROUNDING = 1e-10  # inverses of 90 × 90 matrices against sums over groups; 1e-12 is reached
LMERTEST = 1e-6  # its F of a refitted model is up to 6e-8 from the exact one in balanced data
ADJUSTED = [case for case in KNOWN if gold_of(case)["kenward_roger"]]
JOINT = [
    case for case in ADJUSTED if (gold_of(case)["type3"] or {}).get("kenward_roger")
]  # pbkrtest leaves weights out
THETA = np.array([0.8, 0.3, 0.5, 0.7, 0.4, 0.6])


def of(fit: Fit) -> KenwardRoger:
    """Of a fitted case."""
    return kenward_roger(fit.levels, fit.X, fit.theta, fit.at.sigma2, fit.weights)


@pytest.mark.parametrize("case", ADJUSTED, ids=by_path)
def test_standard_errors_and_df_agree_with_pbkrtest(case: Case) -> None:
    fit, gold = fitted(case), gold_of(case)["kenward_roger"]
    kr = of(fit)
    assert difference(kr.covariance, fit.covariance, np.abs(fit.covariance).max()) < ROUNDING
    assert difference(np.sqrt(np.diag(kr.adjusted)), ordered(fit, gold, "std_error")) < SAME_OPTIMUM
    assert difference(kr_df(kr, np.eye(len(fit.at.beta))), ordered(fit, gold, "df")) < SAME_OPTIMUM


@pytest.mark.parametrize("case", ADJUSTED, ids=by_path)
def test_covariances_agree_with_pbkrtest(case: Case) -> None:
    fit, gold = fitted(case), gold_of(case)["kenward_roger_vcov"]
    names = [frozenset(name.split(":")) for name in fit.coefficients]
    at = [[frozenset(name.split(":")) for name in gold["terms"]].index(name) for name in names]
    expected = np.array(gold["values"])[np.ix_(at, at)]
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert difference(of(fit).adjusted, expected, size) < SAME_OPTIMUM


@pytest.mark.parametrize("case", JOINT, ids=by_path)
def test_joint_tests_agree_with_pbkrtest(case: Case) -> None:
    fit = fitted(case, "sum")
    kr = of(fit)
    for row in gold_of(case)["type3"]["kenward_roger"]:
        found = kr_test(kr, joint_hypothesis(fit, row["term"]), fit.at.beta)
        assert found.ndf == row["num_df"]
        assert found.ddf == pytest.approx(row["den_df"], rel=LMERTEST)
        assert found.scale == pytest.approx(row["scaling"], rel=LMERTEST)
        assert found.statistic == pytest.approx(row["statistic"], rel=LMERTEST)


def test_sleepstudy_as_published() -> None:
    kr = of(fitted(next(case for case in KNOWN if case.path == "mixed_sleepstudy/subset_70/slope/reml")))
    assert kr_df(kr, np.eye(2)).round(3).tolist() == [13.223, 13.926]
    assert np.sqrt(np.diag(kr.adjusted)).round(3).tolist() == [8.258, 1.593]


def defined(
    levels: list[Level], X: np.ndarray, theta: np.ndarray, sigma2: float, weights: np.ndarray | None
) -> tuple[KenwardRoger, list[np.ndarray]]:
    """Kenward and Roger's formulae as they stand in the paper; their P beside it."""
    d = dense(levels, theta, sigma2, weights)
    V, r = np.linalg.inv(d.V), range(len(d.G))
    Phi = np.linalg.inv(X.T @ V @ X)
    P = [-X.T @ V @ G @ V @ X for G in d.G]
    Q = [[X.T @ V @ G @ V @ other @ V @ X for other in d.G] for G in d.G]

    def information(i: int, j: int) -> float:
        own = np.trace(V @ d.G[i] @ V @ d.G[j]) - 2 * np.trace(Phi @ Q[i][j]) + np.trace(Phi @ P[i] @ Phi @ P[j])
        return float(own) / 2

    W = np.linalg.inv(np.array([[information(i, j) for j in r] for i in r]))
    inner = sum(W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in r for j in r)
    return KenwardRoger(Phi, Phi + 2 * Phi @ inner @ Phi, np.array([-Phi @ p @ Phi for p in P]), W), P


def defined_test(kr: KenwardRoger, P: list[np.ndarray], L: np.ndarray, beta: np.ndarray) -> tuple[float, float, float]:
    """F, m and λ by the paper's formulae."""
    q, r, Phi = len(L), range(len(P)), kr.covariance
    T = [L.T @ np.linalg.inv(L @ Phi @ L.T) @ L @ Phi @ p @ Phi for p in P]
    A1 = sum(kr.W[i, j] * np.trace(T[i]) * np.trace(T[j]) for i in r for j in r)
    A2 = sum(kr.W[i, j] * np.trace(T[i] @ T[j]) for i in r for j in r)
    B, g = (A1 + 6 * A2) / (2 * q), ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = (c / (3 * q + 2 * (1 - g)) for c in (g, q - g, q + 2 - g))
    mean, variance = 1 / (1 - A2 / q), 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    m = 4 + (q + 2) / (q * variance / (2 * mean**2) - 1)
    scale = m / (mean * (m - 2))
    return scale / q * float(L @ beta @ np.linalg.solve(L @ kr.adjusted @ L.T, L @ beta)), m, scale


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("theta", [THETA, THETA * [1, 1, 0, 0, 1, 1], THETA * [0, 0, 0, 1, 1, 1]])
def test_the_definition(nested: bool, weighted: bool, theta: np.ndarray) -> None:
    """Unbalanced, with and without weights, crossed, and where variances are zero."""
    levels, X, _ = example(nested=nested)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    kr = kenward_roger(levels, X, theta, 2.3, weights)
    expected, P = defined(levels, X, theta, 2.3, weights)
    for name in ("covariance", "adjusted", "jacobian", "W"):
        size = np.abs(getattr(expected, name)).max()
        assert difference(getattr(kr, name), getattr(expected, name), size) < ROUNDING
    beta, L = np.array([0.3, -0.4, 0.2]), np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    found = kr_test(kr, L, beta)
    assert (found.statistic, found.ddf, found.scale) == pytest.approx(defined_test(expected, P, L, beta), rel=1e-9)
    for row, df in zip(L, kr_df(kr, L), strict=True):
        _, m, scale = defined_test(expected, P, row[None], beta)
        assert (df, 1.0) == pytest.approx((m, scale), rel=1e-9)


def test_rows_that_repeat_others_do_not_count() -> None:
    levels, X, _ = example(nested=True)
    kr, beta = kenward_roger(levels, X, THETA, 2.3), np.array([0.3, -0.4, 0.2])
    L = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    once, again = kr_test(kr, L, beta), kr_test(kr, np.vstack([L, L.sum(axis=0)]), beta)
    assert again.ndf == 2
    assert (again.statistic, again.ddf, again.scale) == pytest.approx((once.statistic, once.ddf, once.scale), rel=1e-10)
    single = kr_test(kr, np.array([[0.0, 1.0, 0.0], [0.0, 2.0, 0.0]]), beta)
    assert (single.ndf, single.scale) == (1, 1.0)
    assert single.ddf == pytest.approx(float(kr_df(kr, L[:1])[0]), rel=1e-10)


def test_a_calendar_year_costs_no_digits() -> None:
    levels, X, _ = example(nested=True)
    year = np.round(4 * X[:, 1])
    near, far = (np.column_stack([X, year + shift]) for shift in (0, 2024))
    one, other = (kenward_roger(levels, design, THETA, 2.3) for design in (near, far))
    L = np.eye(4)[1:]
    assert difference(kr_df(other, L), kr_df(one, L)) < 1e-8  # the year itself is rounded to 1e-13 of 2024
    assert difference(np.diag(other.adjusted)[1:], np.diag(one.adjusted)[1:]) < 1e-8


def test_a_variance_hidden_by_the_fixed_effects_is_left_out() -> None:
    """A factor of one group is the intercept again: the df of the slopes are those without it."""
    levels, X, _ = example(nested=True)
    one = Level(np.zeros(len(X), dtype=int), np.ones((len(X), 1)), *template([1]))
    L = np.eye(3)[1:]
    without, with_it = (
        kenward_roger(*case, 2.3) for case in ((levels, X, THETA), ([*levels, one], X, np.r_[THETA, 0.5]))
    )
    assert difference(kr_df(with_it, L), kr_df(without, L)) < 1e-8


def test_too_many_crossed_effects_are_refused() -> None:
    groups = LARGEST + 1
    first, second = np.repeat(np.arange(groups), 2), np.tile(np.arange(groups), 2)
    one = np.ones((2 * groups, 1))
    levels = [Level(codes, one, *template([1])) for codes in (first, second)]
    with pytest.raises(ValueError, match=f"dense matrices of the {groups} random effects .* at most {LARGEST}"):
        kenward_roger(levels, one, np.ones(2), 1.0)


def test_as_many_nested_effects_are_not() -> None:
    """Balanced, so that the df of the mean are the therapists less one."""
    therapists = LARGEST + 1
    one, row = np.ones((4 * therapists, 1)), np.arange(4 * therapists)
    levels = [Level(codes, one, *template([1])) for codes in (row // 2, row // 4)]
    assert kr_df(kenward_roger(levels, one, np.ones(2), 1.0), one[:1]) == pytest.approx(therapists - 1, rel=1e-9)
