"""Resampled mediation equations against the plain way: one regression, one formula, one matrix at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.inference.slopes import curve, johnson_neyman, simple_slopes, slope_curve
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.mediation_worlds import build_system
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.mediation import averaged
from alliance_stats.numerics.mediation_linear import linear_resamples, solved
from alliance_stats.numerics.mediation_resample import cluster_counts, percentile_limits, row_counts, summed

ROUNDING = 1e-9  # condition numbers stay below 1e4


def drawn(n: int, draws: int, seed: int = 1) -> np.ndarray:
    return row_counts(n, draws, np.random.default_rng(seed))


def one_by_one(X: np.ndarray, y: np.ndarray, counts: np.ndarray, *, likelihood: bool) -> np.ndarray:
    """Least squares on the rows themselves, repeated as often as drawn."""
    found = []
    for count in counts:
        rows = np.repeat(np.arange(len(y)), count)
        beta, _, rank, _ = np.linalg.lstsq(X[rows], y[rows], rcond=1e-7)
        free = len(rows) - (0 if likelihood else X.shape[1])
        left = float(np.sum((y[rows] - X[rows] @ beta) ** 2))
        full = rank == X.shape[1]
        found.append([*beta, np.log(left / free)] if full else [np.nan] * (X.shape[1] + 1))
    return np.array(found)


@pytest.mark.parametrize("likelihood", [False, True])
def test_equations_that_share_columns(likelihood: bool) -> None:
    rng = np.random.default_rng(2)
    shared = np.column_stack([np.ones(60), rng.normal(50, 1, (60, 2))])
    first = shared @ [1.0, 2.0, 0.1] + rng.normal(size=60)
    X = np.column_stack([shared, first])
    second = 1000 + X @ [1.0, 0.0, 0.0, 0.5] + rng.normal(size=60)
    counts = drawn(60, 40)
    together = linear_resamples([shared, X], [first, second], counts, likelihood=likelihood)
    assert np.allclose(together[0], one_by_one(shared, first, counts, likelihood=likelihood), rtol=ROUNDING, atol=1e-7)
    assert np.allclose(together[1], one_by_one(X, second, counts, likelihood=likelihood), rtol=ROUNDING, atol=1e-7)


def test_resamples_without_a_rare_level_are_missing_and_the_others_exact() -> None:
    """The level stands in two of 24 rows: about one resample in eight has lost it."""
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(24), np.arange(24) < 2, rng.normal(size=24)]).astype(float)
    y, counts = rng.normal(size=24), drawn(24, 400)
    lost = counts[:, :2].sum(axis=1) == 0
    assert 20 < lost.sum() < 100
    found = linear_resamples([X], [y], counts, likelihood=False)[0]
    assert (np.isnan(found).all(axis=1) == lost).all()
    assert not np.isnan(found[~lost]).any()
    assert np.allclose(found[~lost], one_by_one(X, y, counts[~lost], likelihood=False), rtol=ROUNDING, atol=ROUNDING)


def test_small_residuals_keep_their_digits() -> None:
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(80), rng.normal(size=80)])
    e = rng.normal(size=80)
    counts = drawn(80, 20)
    variance = [
        linear_resamples([X], [X @ [3.0, 5.0] + s * e], counts, likelihood=False)[0][:, -1] for s in (1.0, 1e-7)
    ]
    assert np.allclose(variance[0] + 2 * np.log(1e-7), variance[1], atol=1e-7)


def test_solutions_at_the_edge_of_rank() -> None:
    """An eigenvalue ratio just above 1e-9 is solved, just below it is missing, whatever the neighbours are."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 4)))[0]
    sizes = np.array(
        [[1, 1, 1, 1], [1, 1, 1, 1.1e-9], [1, 1, 1, 0.9e-9], [1, 1, 1, 0], [4e5, 1, 1, 1], [np.nan, 1, 1, 1]]
    )
    G = np.array([turn @ np.diag(size) @ turn.T for size in sizes])
    found = solved(G, np.ones((6, 4)))
    assert np.isnan(found).all(axis=1).tolist() == [False, False, True, True, False, True]
    for row in (0, 4):
        assert np.allclose(G[row] @ found[row], 1.0, atol=1e-9)
    assert np.allclose(G[1] @ found[1], 1.0, atol=1e-6)


def test_counts_and_their_sums() -> None:
    n, draws = 700, 300  # several blocks of each
    counts = drawn(n, draws)
    again = np.random.default_rng(1).integers(n, size=(draws, n))
    assert (counts == [np.bincount(row, minlength=n) for row in again]).all()
    columns = np.random.default_rng(6).normal(size=(n, 3))
    assert np.allclose(summed(counts, columns), [columns[row].sum(axis=0) for row in again], atol=1e-10)
    large = drawn(70_000, 2)
    assert (large.sum(axis=1) == 70_000).all()


def test_limits_are_linear_quantiles() -> None:
    draws = np.random.default_rng(12).normal(size=(101, 3))
    draws[4, 2] = np.nan
    expected = np.quantile(draws, [0.03, 0.97], axis=0)
    assert np.allclose(percentile_limits(draws, 0.94), expected, rtol=1e-13, equal_nan=True)
    assert percentile_limits(draws[:1], 0.9)[:, :2].tolist() == [draws[0, :2].tolist()] * 2


@pytest.mark.parametrize("within", [False, True])
def test_counts_of_unequal_clusters(within: bool) -> None:
    codes = np.repeat([0, 1, 2], [1, 5, 9])
    counts = cluster_counts(codes, 200, np.random.default_rng(7), within=within)
    sizes = np.array([[row[codes == g].sum() / (codes == g).sum() for g in range(3)] for row in counts])
    assert (sizes == sizes.round()).all()
    assert (sizes.sum(axis=1) == 3).all()


FORMULAS = {
    "plain": ("alliance ~ arm * w", "pain ~ arm * alliance + w:alliance + w"),
    "learned": ("alliance ~ arm + scale(w)", "pain ~ arm * alliance + poly(w, 2) + bs(z, df=4)"),
    "levels": ("alliance ~ arm + C(k)", "pain ~ arm * alliance + C(k):alliance + label"),
    "no intercept": ("alliance ~ 0 + arm + w", "pain ~ 0 + arm + alliance + I(w^2)"),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_worlds_are_the_designs_of_rows_with_values_set(name: str) -> None:
    """The parts put together give the design that the formula itself makes of the rows of that world."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(size=(50, 3)), columns=["w", "z", "alliance"])
    frame["arm"], frame["k"], frame["label"] = np.arange(50) % 2, np.arange(50) % 3, list("uvwxy") * 10
    frame["pain"] = frame["alliance"] + rng.normal(size=50)
    mediator, outcome = FORMULAS[name]
    state = Mediation([mediator], outcome, "arm", interval="delta").fit(frame).state
    settings = {} if name == "learned" else {"w": 0.7}
    system = build_system(state.equations, frame, "arm", state.contrasts[0], settings, np.zeros(1), ratio=False)
    for x, world in enumerate(system.worlds):
        for equation, parts in zip(state.equations, world, strict=True):
            for m in (0.0, -1.3):
                made = sum(matrix * m ** len(which) for which, matrix in parts)
                expected = equation.design.matrix(frame.assign(arm=x, alliance=m, **settings))
                assert np.allclose(np.broadcast_to(made, expected.shape), expected, atol=1e-12)


def test_means_of_the_rows_of_each_resample() -> None:
    rng = np.random.default_rng(9)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["w", "alliance", "pain"]).assign(arm=np.arange(40) % 2)
    state = Mediation(["alliance ~ arm * w"], "pain ~ arm + alliance + w", "arm", interval="delta").fit(frame).state
    system, counts = state.plan.systems[0], drawn(40, 6)
    short = averaged(system, counts)
    assert short is not None
    for world, mean in zip(system.worlds, short.worlds, strict=True):
        for parts, means in zip(world, mean, strict=True):
            for (_, matrix), (_, row) in zip(parts, means, strict=True):
                if len(matrix) == 1:
                    assert row is matrix
                else:
                    assert np.allclose(row[:, 0], counts @ matrix / 40, atol=1e-14)


def test_slopes_refuse_a_chain_of_equations() -> None:
    rng = np.random.default_rng(10)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["w", "alliance", "pain"]).assign(arm=np.arange(40) % 2)
    fit = Mediation(["alliance ~ arm * w"], "pain ~ arm * w + alliance", "arm", interval="delta").fit(frame)
    for call in (
        lambda: simple_slopes(fit, "arm", at={"w": [0, 1]}),
        lambda: johnson_neyman(fit, "arm", "w"),
        lambda: slope_curve(fit, "arm", "w"),
        lambda: curve(fit, "w"),
    ):
        with pytest.raises(AllianceError, match=r"not Mediation; use conditional_indirect\(\)"):
            call()


def test_slopes_refuse_multilevel_mediation() -> None:
    frame = pd.DataFrame(np.random.default_rng(11).normal(size=(80, 3)), columns=["practice", "alliance", "relief"])
    frame["patient"] = np.repeat(np.arange(10), 8)
    model = MultilevelMediation("practice", "alliance", "relief", random=(), interval="delta")
    with pytest.raises(AllianceError, match="moderator=… gives effects at values"):
        simple_slopes(model.fit(frame), "practice", at={"alliance": [0, 1]})
