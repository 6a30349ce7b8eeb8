"""Satterthwaite's degrees of freedom against lmerTest and against the definition with n × n matrices.

The other tests of mixed models take their cases, fits and dense matrices from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest
from golden.pinned import VALIDATION, data, difference, pinned
from scipy.linalg import block_diag

from alliance_stats.numerics.mixed.crossed import build_crossed
from alliance_stats.numerics.mixed.effects import are_nested, level_factors
from alliance_stats.numerics.mixed.optimise import minimise
from alliance_stats.numerics.mixed.parts import Evaluation, Level, template
from alliance_stats.numerics.mixed.satterthwaite import (
    VarianceInformation,
    satterthwaite_df,
    satterthwaite_f,
    variance_information,
)
from alliance_stats.numerics.mixed.tree import build_tree

SAME_OPTIMUM = 1e-9  # two optima of criteria flat to rounding; 1e-11 is reached
LMERTEST = 2e-6  # its second derivatives are differences of differences, good to 1e-6 by their change with the step
DIFFERENCES = 1e-7  # differences of the analytic gradient; 5e-9 is reached


@dataclass(frozen=True)
class Random:
    """Random effects of one factor: the columns whose combinations are its groups, and a formula for every correlated block."""

    factor: str
    blocks: tuple[str, ...] = ("1",)


@dataclass(frozen=True)
class Case:
    """A model of the pinned files; levels in the order of θ."""

    path: str
    fixed: str
    random: tuple[Random, ...]


SLEEP = {
    "slope": ("1 + Days",),
    "uncorrelated": ("1", "0 + Days"),
    "intercept": ("1",),
    "slope_only": ("0 + Days",),
}
THERAPY = "outcome ~ alliance_within + alliance_between + week + {arm}"
GROWTH, THERAPIST = Random("patient", ("1 + week",)), Random("therapist")
MACHINE = "score ~ {Machine}"
CAKE = "angle ~ {recipe} * {temperature}"
MODELS = {
    **{
        f"mixed_sleepstudy/{rows}/{name}": ("Reaction ~ Days", (Random("Subject", blocks),))
        for rows in ("complete", "subset_70")
        for name, blocks in SLEEP.items()
    },
    "mixed_classic/penicillin": ("diameter ~ 1", (Random("plate"), Random("sample"))),
    "mixed_classic/pastes": ("strength ~ 1", (Random("cask:batch"), Random("batch"))),
    "mixed_classic/orthodont": ("distance ~ age * {Sex}", (Random("Subject", ("1 + age",)),)),
    "mixed_classic/machines_nested": (MACHINE, (Random("Machine:Worker"), Random("Worker"))),
    "mixed_classic/machines_slopes": (MACHINE, (Random("Worker", ("1 + {Machine}",)),)),
    "mixed_classic/machines_cell_slopes": (MACHINE, (Random("Worker", ("0 + {Machine}",)),)),
    "mixed_classic/dyestuff": ("Yield ~ 1", (Random("Batch"),)),
    "mixed_classic/dyestuff2": ("Yield ~ 1", (Random("Batch"),)),
    "mixed_classic/cake": (CAKE, (Random("recipe:replicate"),)),
    "mixed_classic/cake_nested": (CAKE.replace("*", "+"), (Random("recipe:replicate"), Random("replicate"))),
    "mixed_therapy/growth": (THERAPY, (GROWTH, THERAPIST)),
    "mixed_therapy/therapist_slope": (THERAPY, (GROWTH, Random("therapist", ("1 + alliance_within",)))),
    "mixed_therapy/nested_reused_ids": (THERAPY, (Random("case:therapist"), THERAPIST)),
    "mixed_therapy/reused_ids_taken_as_crossed": (THERAPY, (THERAPIST, Random("case"))),
    "mixed_therapy/patient_only": (THERAPY, (Random("patient"),)),
    "mixed_therapy/both_slopes_uncorrelated": (
        THERAPY,
        (Random("patient", ("1", "0 + week", "0 + alliance_within")), THERAPIST),
    ),
    "mixed_therapy/two_slopes": (THERAPY, (Random("patient", ("1 + week + alliance_within",)), THERAPIST)),
    "mixed_therapy/singular_rank_two": (THERAPY, (Random("patient"), Random("therapist", ("0 + {arm}",)))),
    "mixed_therapy/singular_therapists": (THERAPY, (GROWTH, Random("therapist", ("1 + week",)))),
    "mixed_therapy/singular_three_slopes": (
        THERAPY,
        (Random("patient", ("1 + week + alliance_within",)), Random("therapist", ("1 + week + alliance_within",))),
    ),
    "mixed_therapy/interaction": ("outcome ~ alliance_between * {arm} + week * {arm}", (GROWTH, THERAPIST)),
    "mixed_therapy/weighted": (THERAPY, (Random("patient"), THERAPIST)),
}
PARTIAL = Random("therapist", ("0 + treated",))
CASES = [Case(f"{path}/{method}", *model) for path, model in MODELS.items() for method in ("reml", "ml")] + [
    Case("mixed_therapy/weighted/reml_slope", THERAPY, (GROWTH, THERAPIST)),
    Case("mixed_therapy/partial/reml", "outcome ~ treated * week + baseline", (Random("patient"), PARTIAL)),
    Case("mixed_therapy/partial/ml", "outcome ~ treated * week + baseline", (Random("patient"), PARTIAL)),
    Case("mixed_therapy/partial/post_reml", "outcome ~ treated + baseline", (PARTIAL,)),
]


def gold_of(case: Case) -> Any:
    """What R found, or None where R was not asked."""
    source, *path, last = case.path.split("/")
    return pinned(source, *path).get(last)


KNOWN = [case for case in CASES if gold_of(case) is not None]


def by_path(case: Case) -> str:
    """The name of a test."""
    return case.path


@dataclass(frozen=True)
class Fit:
    """A fitted case: levels, design, the optimum, and R's names of terms, coefficients, groups and random effects."""

    levels: Sequence[Level]
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    system: Any
    theta: np.ndarray
    at: Evaluation
    coefficients: Sequence[str]
    terms: Mapping[frozenset[str], slice]
    groups: Sequence[Sequence[str]]
    effects: Sequence[Sequence[str]]

    @property
    def covariance(self) -> np.ndarray:
        """Of β̂, as the model has it."""
        return np.asarray(self.at.sigma2 * self.at.inverse)


def coded(formula: str, contrast: str) -> str:
    """The formula with its factors in the given contrasts."""
    return re.sub(r"\{(\w+)\}", rf"C(\1, contr.{contrast})", formula)


def r_name(name: str) -> str:
    """R's name of a column."""
    name = re.sub(r"C\((\w+), [\w.]+\)(\[(T\.|S\.)?(\w+)\])?", r"\1\4", name)
    return "(Intercept)" if name == "Intercept" else name


def optimum(
    levels: Sequence[Level], X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None, *, reml: bool = True
) -> tuple[Any, np.ndarray]:
    """The system and the θ at which its criterion is smallest."""
    system: Any = (build_tree if are_nested(levels) else build_crossed)(levels, X, y, weights)

    def criterion(theta: np.ndarray) -> tuple[float, np.ndarray]:
        e = system.evaluate(theta, reml=reml)
        return e.value, e.gradient

    found = minimise(criterion, np.where(system.diagonal, 1.0, 0.0), system.diagonal)
    assert found.converged
    free = ~(system.diagonal & (np.abs(found.theta) < 1e-3 * system.scale))
    return system, polished(lambda theta: criterion(theta)[1], found.theta, free, 1e-4 * system.scale)


def polished(
    gradient: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, free: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """Newton steps beyond the optimiser's tolerance, so that what follows from θ is compared and not θ; zeros are exact."""
    theta = np.where(free, theta, 0.0)
    for _ in range(3):
        pairs = [(gradient(theta + h) - gradient(theta - h)) / (2 * h.max()) for h in np.diag(steps)]
        theta[free] -= np.linalg.solve(np.array(pairs)[np.ix_(free, free)], gradient(theta)[free])
    return theta


def frame_of(case: Case) -> pd.DataFrame:
    """The rows that R used."""
    gold = gold_of(case)
    frame = data(f"mixed_{gold['data']}")
    for random in case.random:
        columns = random.factor.split(":")
        parts = [frame[c].astype(object).where(frame[c].notna(), "none").astype(str) for c in columns]
        frame[random.factor] = [":".join(labels) for labels in zip(*parts, strict=True)]
    for name, values in (gold["levels"] or {}).items():
        frame[name] = pd.Categorical(frame[name].astype(str), [str(v) for v in values])
    words = {
        word for text in (case.fixed, *(b for r in case.random for b in r.blocks)) for word in re.findall(r"\w+", text)
    }
    frame = frame.dropna(subset=[c for c in frame.columns if c in words]).reset_index(drop=True)
    assert len(frame) == gold["n_obs"]
    return frame


@cache
def fitted(case: Case, contrast: str = "treatment") -> Fit:
    """The case fitted to R's data."""
    gold, frame = gold_of(case), frame_of(case)
    response, fixed = case.fixed.split(" ~ ")
    X = formulaic.model_matrix(coded(fixed, contrast), frame)
    levels, groups, effects = [], [], []
    for random in case.random:
        codes, labels = pd.factorize(frame[random.factor])
        Z = [formulaic.model_matrix(coded(block, "treatment"), frame) for block in random.blocks]
        levels.append(Level(codes, np.hstack([np.asarray(z, float) for z in Z]), *template([z.shape[1] for z in Z])))
        groups.append(list(labels))
        effects.append([r_name(c) for z in Z for c in z.columns])
    y, design = frame[response].to_numpy(float), np.asarray(X, float)
    weights = frame[gold["weights"]].to_numpy(float) if gold["weights"] else None
    reml = gold["method"] == "REML"
    system, theta = optimum(levels, design, y, weights, reml=reml)
    terms = {frozenset(r_name(str(t)).split(":")): at for t, at in X.model_spec.term_slices.items()}
    at = system.evaluate(theta, reml=reml)
    return Fit(levels, design, y, weights, system, theta, at, [r_name(c) for c in X.columns], terms, groups, effects)


def ordered(fit: Fit, rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    """R's numbers in the order of our coefficients."""
    found = {frozenset(row["term"].split(":")): row[column] for row in rows}
    names = [frozenset(name.split(":")) for name in fit.coefficients]
    assert set(found) == set(names)
    return np.array([found[name] for name in names])


def information(case: Case, fit: Fit) -> VarianceInformation:
    """Of a fitted case."""
    return variance_information(fit.system, fit.theta, reml=gold_of(case)["method"] == "REML")


def dense_columns(level: Level) -> np.ndarray:
    """Z of a level as (n, groups·q)."""
    groups = int(level.codes.max()) + 1
    Z = np.zeros((len(level.codes), groups, level.q))
    Z[np.arange(len(level.codes)), level.codes] = level.Z
    return Z.reshape(len(level.codes), -1)


def repeated(level: Level, block: np.ndarray) -> np.ndarray:
    """A (q, q) block for each group of a level, along the diagonal."""
    return np.asarray(block_diag(*[block] * (int(level.codes.max()) + 1)))


@dataclass(frozen=True)
class Dense:
    """V (n, n) = Σ γ_r G_r, written out; Zs and Ψ of all groups by level."""

    V: np.ndarray
    G: Sequence[np.ndarray]
    Zs: Sequence[np.ndarray]
    Psis: Sequence[np.ndarray]


def dense(levels: Sequence[Level], theta: np.ndarray, sigma2: float, weights: np.ndarray | None = None) -> Dense:
    """The definition of the model, with parameters in the order of θ and the residual variance last."""
    Zs = [dense_columns(level) for level in levels]
    Psis = [repeated(level, L @ L.T) for level, L in zip(levels, level_factors(levels, theta), strict=True)]
    residual = np.eye(len(Zs[0])) if weights is None else np.diag(1 / weights)
    V = sigma2 * (residual + sum(Z @ Psi @ Z.T for Z, Psi in zip(Zs, Psis, strict=True)))
    G = []
    for level, Z in zip(levels, Zs, strict=True):
        for row, column in zip(level.rows, level.columns, strict=True):
            E = np.zeros((level.q, level.q))
            E[row, column] = E[column, row] = 1
            G.append(Z @ repeated(level, E) @ Z.T)
    return Dense(V, [*G, residual], Zs, Psis)


def example(*, nested: bool, seed: int = 3, n: int = 90) -> tuple[list[Level], np.ndarray, np.ndarray]:
    """Three unbalanced factors with two, two uncorrelated and one random effects; rows and labels in no order."""
    rng = np.random.default_rng(seed)
    patient = rng.permutation(np.r_[np.arange(22), rng.integers(0, 22, n - 22)])
    therapist = (np.arange(22) % 6)[patient] if nested else rng.permutation(np.arange(n) % 6)
    site = (therapist % 3) if nested else rng.permutation(np.arange(n) % 3)
    one, t = np.ones(n), rng.normal(size=n)
    X = np.column_stack([one, t, rng.normal(size=n) + 5])
    levels = [
        Level(patient, np.column_stack([one, t]), *template([2])),
        Level(therapist, np.column_stack([one, t]), *template([1, 1])),
        Level(site, one[:, None], *template([1])),
    ]
    effects = [rng.normal(size=(level.codes.max() + 1, level.q)) for level in levels]
    y = X @ [1.0, 2.0, 0.5] + rng.normal(size=n)
    return levels, X, y + sum((level.Z * b[level.codes]).sum(axis=1) for level, b in zip(levels, effects, strict=True))


def observed_df(levels: Sequence[Level], X: np.ndarray, y: np.ndarray, theta: np.ndarray, sigma2: float) -> np.ndarray:
    """Of each coefficient, from the analytic Hessian of the REML criterion in the variances themselves."""
    d = dense(levels, theta, sigma2)
    W = np.linalg.inv(d.V)
    Phi = np.linalg.inv(X.T @ W @ X)
    P = W - W @ X @ Phi @ X.T @ W
    PG, U = [P @ G for G in d.G], np.column_stack([G @ P @ y for G in d.G])
    H = 2 * U.T @ P @ U - np.array([[np.sum(a * b.T) for b in PG] for a in PG])
    g = np.array([np.diag(Phi @ X.T @ W @ G @ W @ X @ Phi) for G in d.G]).T
    return np.asarray(2 * np.diag(Phi) ** 2 / np.einsum("ir,rs,is->i", g, 2 * np.linalg.inv(H), g))


def ratings() -> tuple[list[Level], np.ndarray, np.ndarray, list[list[str]]]:
    """73,421 ratings of lecturers (d) by students (s): the levels, the column of ones, the ratings, and the names of groups."""
    frame = pd.read_csv(VALIDATION / "data" / "mixed_insteval.csv.gz")
    codes, labels = zip(*[pd.factorize(frame[name].astype(str)) for name in ("s", "d")], strict=True)
    one = np.ones((len(frame), 1))
    return [Level(c, one, *template([1])) for c in codes], one, frame["y"].to_numpy(float), [list(x) for x in labels]


@pytest.mark.slow
def test_df_of_crossed_factors_in_large_data() -> None:
    gold = pinned("mixed_insteval", "intercept")
    levels, one, y, _ = ratings()
    system: Any = build_crossed(levels, one, y)
    theta = np.array([gold["theta"][f"{name}.(Intercept)"] for name in ("s", "d")])
    at = system.evaluate(theta)
    df = satterthwaite_df(variance_information(system, theta), at.sigma2 * at.inverse, one[:1])
    assert df == pytest.approx(gold["fixed"][0]["df"], rel=LMERTEST)


@pytest.mark.parametrize("case", KNOWN, ids=by_path)
def test_df_agree_with_lmertest(case: Case) -> None:
    fit, gold = fitted(case), gold_of(case)
    df = satterthwaite_df(information(case, fit), fit.covariance, np.eye(len(fit.at.beta)))
    assert difference(np.sqrt(np.diag(fit.covariance)), ordered(fit, gold["fixed"], "std_error")) < SAME_OPTIMUM
    assert difference(df, ordered(fit, gold["fixed"], "df")) < LMERTEST


def joint_hypothesis(fit: Fit, term: str) -> np.ndarray:
    """L of a term whose factor has contrasts that sum to zero: differences from the first level, as lmerTest has them.

    The rows matter: Fai and Cornelius rotate to independent contrasts, and which these are depends on the scale of the rows.
    """
    rows = np.eye(len(fit.at.beta))[fit.terms[frozenset(term.split(":"))]]
    levels = np.vstack([np.eye(len(rows)), -np.ones(len(rows))])
    return np.asarray((levels[1:] - levels[0]) @ rows)


@pytest.mark.parametrize("case", [case for case in KNOWN if gold_of(case)["type3"]], ids=by_path)
def test_joint_tests_agree_with_lmertest(case: Case) -> None:
    fit = fitted(case, "sum")
    info = information(case, fit)
    for row in gold_of(case)["type3"]["satterthwaite"]:
        L = joint_hypothesis(fit, row["term"])
        found = satterthwaite_f(info, fit.covariance, L, fit.at.beta)
        assert found.ndf == row["num_df"]
        assert found.ddf == pytest.approx(row["den_df"], rel=LMERTEST)
        assert found.statistic == pytest.approx(row["statistic"], rel=LMERTEST)


def test_balanced_data_give_the_analysis_of_variance() -> None:
    """The test of whole plots in a split-plot design, exactly (lmerTest's F is 6e-8 off)."""
    case = next(case for case in KNOWN if case.path == "mixed_classic/cake/reml")
    plots = data("mixed_cake").groupby(["recipe", "replicate"])["angle"].mean().unstack()
    between = plots.shape[1] * plots.mean(axis=1).var(ddof=1)
    within = plots.var(axis=1, ddof=1).mean()
    fit = fitted(case, "sum")
    found = satterthwaite_f(information(case, fit), fit.covariance, joint_hypothesis(fit, "recipe"), fit.at.beta)
    assert found.statistic == pytest.approx(between / within, rel=SAME_OPTIMUM)
    assert (found.ndf, found.ddf) == (2, pytest.approx(42, rel=DIFFERENCES))


@pytest.mark.parametrize("nested", [True, False])
def test_df_are_those_of_the_definition(nested: bool) -> None:
    levels, X, y = example(nested=nested)
    system, theta = optimum(levels, X, y)
    at = system.evaluate(theta)
    assert np.abs(theta[system.diagonal]).min() > 0.1  # inside, where df do not depend on the parametrisation
    df = satterthwaite_df(variance_information(system, theta), at.sigma2 * at.inverse, np.eye(3))
    assert difference(df, observed_df(levels, X, y, theta, at.sigma2)) < DIFFERENCES


def test_sleepstudy_as_published() -> None:
    case = next(case for case in KNOWN if case.path == "mixed_sleepstudy/subset_70/slope/reml")
    fit = fitted(case)
    df = satterthwaite_df(information(case, fit), fit.covariance, np.eye(2))
    assert df.round(3).tolist() == [13.124, 15.462]


def test_df_do_not_depend_on_the_units_of_z() -> None:
    levels, X, y = example(nested=True)
    _, theta = optimum(levels, X, y)
    small = Level(levels[0].codes, levels[0].Z / [1.0, 10_000.0], levels[0].rows, levels[0].columns)
    found = []
    for patient, unit in ((levels[0], 1.0), (small, 10_000.0)):
        system, at = build_tree([patient, *levels[1:]], X, y), theta * np.r_[1, unit, unit, np.ones(3)]
        e = system.evaluate(at)
        found.append(satterthwaite_df(variance_information(system, at), e.sigma2 * e.inverse, np.eye(3)))
    assert difference(found[1], found[0]) < DIFFERENCES


def test_a_direction_without_information_is_left_out() -> None:
    """One row a group: only the sum of the two variances is known, and the df are those of least squares."""
    rng = np.random.default_rng(5)
    X, y = np.column_stack([np.ones(40), rng.normal(size=40)]), rng.normal(size=40)
    system: Any = build_tree([Level(np.arange(40), np.ones((40, 1)), *template([1]))], X, y)
    at = system.evaluate(np.array([0.7]))
    info = variance_information(system, np.array([0.7]))
    assert info.flat == 1
    assert satterthwaite_df(info, at.sigma2 * at.inverse, np.eye(2)) == pytest.approx([38, 38], rel=1e-6)


def two_contrasts(first: float, second: float) -> tuple[VarianceInformation, np.ndarray]:
    """Independent contrasts of variances 2 and 1 with the given df."""
    jacobian = np.array([np.diag([2.0, 0.0]), np.diag([0.0, 1.0])])
    return VarianceInformation(jacobian, np.diag([2 / first, 2 / second]), 0), np.diag([2.0, 1.0])


def test_joint_df_match_the_mean_of_the_f_statistic() -> None:
    info, covariance = two_contrasts(10, 4)
    found = satterthwaite_f(info, covariance, np.eye(2), np.array([2.0, 3.0]))
    assert found.statistic == pytest.approx((4 / 2 + 9 / 1) / 2)
    assert found.ddf == pytest.approx(2 * 3.25 / (3.25 - 2))  # 10/8 + 4/2 = 3.25
    assert found.scale == 1.0


def test_joint_df_where_the_mean_does_not_exist() -> None:
    info, covariance = two_contrasts(10, 1.5)
    assert satterthwaite_f(info, covariance, np.eye(2), np.ones(2)).ddf == 2.0


def test_rows_that_repeat_others_do_not_count() -> None:
    info, covariance = two_contrasts(10, 4)
    beta = np.array([2.0, 3.0])
    once = satterthwaite_f(info, covariance, np.eye(2), beta)
    again = satterthwaite_f(info, covariance, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), beta)
    assert (again.ndf, again.statistic) == (once.ndf, pytest.approx(once.statistic, rel=1e-12))
    single = satterthwaite_f(info, covariance, np.array([[1.0, 0.0], [2.0, 0.0]]), beta)
    assert (single.ndf, single.ddf) == (1, pytest.approx(10, rel=1e-12))
