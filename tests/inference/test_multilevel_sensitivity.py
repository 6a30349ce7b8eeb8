"""Sensitivity of multilevel mediation: the fit with correlated errors, with a correlation held, with known confounders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import alliance_stats as al
from alliance_stats.errors import AllianceError
from alliance_stats.inference.mediation_reporting import agrema
from alliance_stats.inference.multilevel_confounded import confounded_effects
from alliance_stats.inference.multilevel_sensitivity import multilevel_sensitivity_curve
from alliance_stats.models.mixed_strata import Strata, row_level
from alliance_stats.models.multilevel_fit import factors
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.mixed.tree import build_tree
from alliance_stats.render.numbers import fixed
from alliance_stats.result import Result


def sessions(
    patients: int = 40, size: tuple[int, int] = (6, 7), seed: int = 1, inner: float = 0.0, outer: float = 0.0
) -> pd.DataFrame:
    """Paths .5, .4 and .2; a cause ``u`` of both within patients, ``v`` between them, each of variance 1."""
    rng = np.random.default_rng(seed)
    p = np.repeat(np.arange(patients), rng.integers(*size, size=patients))
    n = len(p)
    slopes = 0.4 * rng.multivariate_normal([0, 0, 0], [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]], patients)
    u, v = rng.normal(size=n), rng.normal(size=patients)[p]
    x = rng.normal(size=n) + 0.4 * rng.normal(size=patients)[p]
    m = (0.5 + slopes[p, 0]) * x + 0.7 * rng.normal(size=patients)[p] + outer * v + inner * u + 0.8 * rng.normal(size=n)
    y = 0.7 * rng.normal(size=patients)[p] + outer * v + inner * u + (0.4 + slopes[p, 1]) * m + (0.2 + slopes[p, 2]) * x
    return pd.DataFrame({"patient": p, "practice": x, "alliance": m, "relief": y + rng.normal(size=n), "u": u, "v": v})


def fitted(data: pd.DataFrame, **options: Any) -> Result:
    return MultilevelMediation("practice", "alliance", "relief", **({"interval": "delta"} | options)).fit(data)


def zero(result: Result, term: str) -> float:
    return float(al.sensitivity(result, term).set_index("measure").loc["ρ of zero effect", "value"])


def at(result: Result, term: str, rho: float) -> float:
    return float(multilevel_sensitivity_curve(result, term, [rho])["estimate"].iloc[0])


def deviance(result: Result, beta: np.ndarray, G: np.ndarray, sd: np.ndarray, rho: float) -> float:
    """−2 log likelihood of the stacked rows with the errors of a row correlated, patient by patient."""
    stack, total = result.state.solved.stack, 0.0
    level, n = stack.levels[0], len(stack.y) // 2
    for k in range(level.codes.max() + 1):
        rows = np.flatnonzero(level.codes[:n] == k)
        rows = np.r_[rows, rows + n]
        R = np.outer(sd, sd) * np.array([[1, rho], [rho, 1]])
        V = level.Z[rows] @ G @ level.Z[rows].T + np.kron(R, np.eye(len(rows) // 2))
        e = stack.y[rows] - stack.X[rows] @ beta
        total += np.linalg.slogdet(2 * np.pi * V)[1] + e @ np.linalg.solve(V, e)
    return float(total)


@pytest.mark.parametrize("rho", [-0.4, 0.3, 0.6])
def test_within_patients_the_fit_is_the_optimum_with_correlated_errors(rho: float) -> None:
    """The paths at ρ, with the intercepts and slopes that go with them, have the same likelihood, and no slope of it."""
    result = fitted(sessions(size=(4, 9)), center=False, method="ML")
    solved = result.state.solved
    beta, G, sd = solved.at.beta.copy(), factors(solved)[0] @ factors(solved)[0].T, solved.sigma.copy()
    where, effects = solved.stack.paths, solved.stack.groupings[0].effects
    shift = rho / np.sqrt(1 - rho**2) * sd[1] / sd[0]
    T = np.eye(5)
    T[1, 0] = T[effects.index("c_prime"), effects.index("a")] = shift
    b, a, c = (where[path] for path in ("b", "a", "c_prime"))
    level = [list(solved.stack.terms).index(f"{name}~Intercept") for name in ("alliance", "relief")]
    beta[[b, c]] = at(result, "indirect", rho), at(result, "c_prime", rho)
    beta[b] = (beta[b] - result.tidy().set_index("term").loc["cov_ab", "estimate"]) / beta[a]
    beta[level[1]] += shift * beta[level[0]]
    G, sd[1] = T @ G @ T.T, sd[1] / np.sqrt(1 - rho**2)
    here = deviance(result, beta, G, sd, rho)
    assert here == pytest.approx(solved.at.value, abs=1e-6)
    root = np.linalg.cholesky(G + 1e-12 * np.eye(5))
    for k in range(len(beta)):
        h = 1e-3 * np.eye(len(beta))[k]
        assert abs(deviance(result, beta + h, G, sd, rho) - deviance(result, beta - h, G, sd, rho)) < 1e-4
    for i, j in zip(*np.tril_indices(5), strict=True):
        h = np.zeros((5, 5))
        h[i, j] = 1e-3
        up, down = ((root + s * h) @ (root + s * h).T for s in (1, -1))
        assert abs(deviance(result, beta, up, sd, rho) - deviance(result, beta, down, sd, rho)) < 1e-4


def test_offsets_of_the_outcome_give_the_same_paths() -> None:
    """δ e_M, the mediator's error within patients, is taken out of the outcome, and the model fitted again."""
    data, rho = sessions(patients=60, size=(4, 9)), 0.3
    result = fitted(data, random=("b",))
    sigma, a = result.state.solved.sigma, result.tidy().set_index("term").loc["a_within", "estimate"]
    shift = rho / np.sqrt(1 - rho**2) * sigma[1] / sigma[0]
    x, m = (data[name] - data.groupby("patient")[name].transform("mean") for name in ("practice", "alliance"))
    rows = fitted(data.assign(relief=data["relief"] - shift * (m - a * x)), random=("b",)).tidy().set_index("term")
    for term in ("indirect_within", "c_prime_within"):
        assert rows.loc[term, "estimate"] == pytest.approx(at(result, term, rho), abs=1e-5)


def held_correlation(result: Result, rho: float) -> float:
    """b_between of the model whose intercepts of mediator and outcome correlate by ρ, fitted as such."""
    solved = result.state.solved
    level = solved.stack.levels[0]
    rows, columns = np.r_[level.rows, 1], np.r_[level.columns, 0]
    strata = Strata("equation", ("m", "y"), solved.stack.equation, np.ones(2))
    tree = build_tree(
        [row_level(strata, solved.least, None), replace(level, rows=rows, columns=columns)], solved.stack.X, solved.stack.y
    )  # fmt: skip
    own = 1 + int(np.flatnonzero((level.rows == 1) & (level.columns == 1))[0])
    slope = rho / np.sqrt(1 - rho**2)

    def criterion(theta: np.ndarray) -> tuple[float, np.ndarray]:
        made = tree.evaluate(np.r_[theta, slope * theta[own]], reml=False)
        gradient = made.gradient[:-1].copy()
        gradient[own] += slope * made.gradient[-1]
        return made.value, gradient

    theta = minimize(criterion, solved.theta, jac=True, method="BFGS", options={"gtol": 1e-5}).x
    beta = tree.evaluate(np.r_[theta, slope * theta[own]], reml=False).beta
    return float(beta[solved.stack.paths["b_between"]])


@pytest.mark.parametrize(("size", "close"), [((6, 7), 0.004), ((2, 14), 0.03)])
@pytest.mark.parametrize("rho", [-0.5, 0.3])
def test_between_means_the_path_is_that_of_a_fit_with_the_correlation_held(
    size: tuple[int, int], close: float, rho: float
) -> None:
    """The same for patients with equally many sessions, near for 2 to 13 sessions."""
    result = fitted(sessions(patients=120, size=size), method="ML", random=())
    a = result.tidy().set_index("term").loc["a_between", "estimate"]
    assert at(result, "indirect_between", rho) / a == pytest.approx(held_correlation(result, rho), abs=close)
    moved = at(result, "indirect_between", rho) / a - result.tidy().set_index("term").loc["b_between", "estimate"]
    assert abs(moved) > 0.1


def test_a_known_confounder_within_patients_is_undone() -> None:
    """ρ of the errors that the cause u leaves behind: 1 / √(1.64 · 2), with loadings 1 of u."""
    data = sessions(patients=300, size=(8, 9), inner=1.0)
    result = fitted(data, random=("a", "b", "c_prime"))
    rows = result.tidy().set_index("term")
    truth, rho = 0.5 * 0.4 + 0.08, 1 / np.sqrt(1.64 * 2)
    own = 3 * rows.loc["indirect_within", "std_error"]
    assert rows.loc["indirect_within", "estimate"] - truth > 2 * own
    assert at(result, "indirect_within", rho) == pytest.approx(truth, abs=own)
    assert at(result, "c_prime_within", rho) == pytest.approx(0.2, abs=3 * rows.loc["c_prime_within", "std_error"])
    known = fitted(data, covariates=("u",)).tidy().set_index("term").loc["indirect_within", "estimate"]
    assert at(result, "indirect_within", rho) == pytest.approx(known, abs=own)


@pytest.mark.parametrize("means", ["manifest", "latent"])
def test_a_known_confounder_between_patients_is_undone(means: str) -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(400), 8)
    arm, v = (g % 2).astype(float), rng.normal(size=400)[g]
    level = 0.5 * arm + 0.6 * v + 0.6 * rng.normal(size=400)[g]
    alliance = level + rng.normal(size=len(g))
    seen = level if means == "latent" else (np.bincount(g, alliance) / 8)[g]
    pain = 0.5 * seen + 0.6 * v + 0.5 * rng.normal(size=400)[g] + 0.2 * (alliance - seen) + rng.normal(size=len(g))
    data = pd.DataFrame({"therapist": g, "arm": arm, "alliance": alliance, "pain": pain})
    result = MultilevelMediation(
        "arm", "alliance", "pain", group="therapist", design="2-1-1", means=means, interval="delta"
    ).fit(data)
    rho, rows = 0.36 / np.sqrt((0.36 + 0.36) * (0.36 + 0.25)), result.tidy().set_index("term")
    own = 3 * rows.loc["indirect", "std_error"]
    assert rows.loc["indirect", "estimate"] > 0.25 + 0.1
    assert at(result, "indirect", rho) == pytest.approx(0.25, abs=own)


def test_a_known_confounder_of_clusters_in_2_2_1_is_undone() -> None:
    rng = np.random.default_rng(4)
    g, v = np.repeat(np.arange(500), 6), rng.normal(size=500)
    arm = (np.arange(500) % 2).astype(float)
    fidelity = 0.5 * arm + 0.6 * v + 0.6 * rng.normal(size=500)
    pain = (0.5 * fidelity + 0.6 * v + 0.5 * rng.normal(size=500))[g] + rng.normal(size=len(g))
    data = pd.DataFrame({"therapist": g, "arm": arm[g], "fidelity": fidelity[g], "pain": pain})
    result = MultilevelMediation("arm", "fidelity", "pain", group="therapist", design="2-2-1", interval="delta").fit(
        data
    )
    rho = 0.36 / np.sqrt(0.72 * 0.61)
    assert at(result, "indirect", rho) == pytest.approx(
        0.25, abs=3 * result.tidy().set_index("term").loc["indirect", "std_error"]
    )


def test_rows_say_level_zero_and_limit() -> None:
    result = fitted(sessions(patients=120))
    rows = al.sensitivity(result)
    assert list(rows.columns) == ["term", "at", "measure", "value", "meaning", "level"]
    assert dict(zip(rows["term"], rows["level"], strict=True)) == {
        "indirect_within": "within", "c_prime_within": "within", "indirect_between": "between", "c_prime_between": "between"
    }  # fmt: skip
    for term in ("indirect_within", "c_prime_within", "indirect_between"):
        assert at(result, term, zero(result, term)) == pytest.approx(0, abs=1e-12)
        assert at(result, term, 0.0) == pytest.approx(result.tidy().set_index("term").loc[term, "estimate"], rel=1e-12)
    limit = float(rows[rows["measure"] == "ρ of the interval"].set_index("term").loc["indirect_within", "value"])
    curve = multilevel_sensitivity_curve(result, "indirect_within", [limit]).iloc[0]
    assert min(abs(curve["conf_low"]), abs(curve["conf_high"])) < 1e-9
    assert 0 < limit < zero(result, "indirect_within")
    assert rows["meaning"].str.contains("none confounded on the other level").sum() >= 3
    total = at(result, "indirect_within", 0.4) + at(result, "c_prime_within", 0.4)
    assert total == pytest.approx(result.tidy().set_index("term").loc["total_within", "estimate"], rel=1e-12)


def test_standard_errors_at_rho_are_those_of_draws_of_all_parameters() -> None:
    result = fitted(sessions(patients=120))
    phi = np.random.default_rng(1).multivariate_normal(result.state.parameters, result.state.covariance, 40000)
    effect = next(confounded_effects(result))
    assert effect.estimate(0.3)[1] == pytest.approx(effect.values(0.3, phi).std(), rel=0.03)


def test_curve_can_be_drawn() -> None:
    result = fitted(sessions(patients=120))
    curve = multilevel_sensitivity_curve(result)
    assert set(curve["term"]) == {"indirect_within"}
    ax = al.figures.sensitivity_curve(curve, zero=zero(result, "indirect_within"))
    assert "no effect at ρ" in ax.get_legend().get_texts()[1].get_text()


def test_with_a_moderator_every_value_has_its_zero() -> None:
    data = sessions(patients=60).assign(sex=lambda f: np.where(f["patient"] % 2, "m", "f"))
    result = fitted(data, moderator="sex", random=("a", "b"))
    rows = al.sensitivity(result, "indirect_within")
    found = rows[rows["measure"] == "ρ of zero effect"]
    assert found["at"].tolist() == ["sex = 0", "sex = 1"]
    assert found["value"].nunique() == 2


def test_what_is_not_defined_is_said() -> None:
    data = sessions().assign(therapist=lambda f: f["patient"] % 8)
    rows = al.sensitivity(fitted(data, above="therapist", random=()))
    between = rows[rows["level"] == "between"]
    assert between["value"].isna().all()
    assert between["meaning"].str.contains("above='therapist'").all()
    with pytest.raises(AllianceError, match="intercepts of both groupings"):
        multilevel_sensitivity_curve(fitted(data, above="therapist", random=()), "indirect_between")
    flat = data.assign(
        relief=np.random.default_rng(1).permutation(
            data["relief"] - data.groupby("patient")["relief"].transform("mean")
        )
    )
    assert al.sensitivity(fitted(flat, random=()), "indirect_between")["meaning"].str.contains("do not vary").all()


def test_refusals_name_what_there_is() -> None:
    result = fitted(sessions(), random=())
    with pytest.raises(AllianceError, match="no effect 'indirect'; use one of indirect_within"):
        al.sensitivity(result, "indirect")
    with pytest.raises(AllianceError, match="benchmarks, q and mediator"):
        al.sensitivity(result, benchmarks=["age"])
    with pytest.raises(AllianceError, match="alpha is 5"):
        al.sensitivity(result, alpha=5)
    with pytest.raises(AllianceError, match="between −1 and 1"):
        multilevel_sensitivity_curve(result, rho=[1.0])
    with pytest.raises(AllianceError, match="not LinearModel"):
        multilevel_sensitivity_curve(al.LinearModel("relief ~ practice").fit(sessions()))
    whole = MultilevelMediation("v", "alliance", "relief", design="2-1-1", center=False, interval="delta").fit(
        sessions()
    )
    with pytest.raises(AllianceError, match="mixes the levels"):
        al.sensitivity(whole)


def test_agrema_names_the_zero_of_every_level() -> None:
    fit = fitted(sessions(), random=())
    known = agrema(fit).set_index("item").loc[19, "known"]
    zeros = al.sensitivity(fit).query("measure == 'ρ of zero effect' and level == 'within'").set_index("term")["value"]
    assert f"indirect_within is zero at ρ = {fixed(zeros['indirect_within'])} within groups" in known
