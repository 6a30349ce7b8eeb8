"""Multilevel mediation with binary variables: effects of simulated interventions with known truth, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import alliance_stats as al
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.multilevel_paths import patient_paths
from alliance_stats.models.multilevel_binary import working_columns
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.multilevel_natural import build_worlds, natural_effects
from alliance_stats.result import TIDY, Result

SIZE = 6


def drawn(
    rng: np.random.Generator,
    groups: int,
    design: str,
    binary: tuple[bool, bool],
    worlds: tuple[float, float] | None = None,
) -> dict[str, np.ndarray]:
    """A trial; with ``worlds`` the outcome under exposure worlds[0] with the mediator under worlds[1], all else the same.

    In 1-1-1 one session of a patient moves and the patient's means stay those of the sessions as they were.
    """
    g = np.repeat(np.arange(groups), SIZE)
    n, upper = len(g), design == "2-1-1"
    x = (g % 2).astype(float) if upper else rng.integers(0, 2, n).astype(float)
    d, e, s = 0.7 * rng.normal(size=groups)[g], rng.normal(size=n), rng.normal(size=n)
    u, uniform, other = 0.8 * rng.normal(size=groups)[g], rng.random(n), rng.random(n)

    def mean(v: np.ndarray) -> np.ndarray:
        return (np.bincount(g, v) / SIZE)[g]

    def mediator(at: np.ndarray) -> np.ndarray:
        eta = -0.2 + 0.9 * at + 0.5 * s + d
        return (uniform < expit(eta)).astype(float) if binary[0] else eta + e

    def outcome(at: np.ndarray, m: np.ndarray, level: np.ndarray) -> np.ndarray:
        part = 0.7 * m if binary[0] else 0.4 * (m - level) + 0.9 * level
        eta = -0.5 + part + 0.5 * at + 0.3 * s + u
        return expit(eta) if worlds else ((other < expit(eta)).astype(float) if binary[1] else eta + rng.normal(size=n))

    if worlds is None:
        m = mediator(x)
        y = outcome(x, m, mean(m))
        return {"patient": g, "arm": x, "alliance": m, "done": y, "severity": s}
    seen, own, through = mean(mediator(x)), x * 0 + worlds[0], x * 0 + worlds[1]
    m = mediator(through)
    return {"y": outcome(own, m, mean(m) if upper else seen)}


def truth(design: str, binary: tuple[bool, bool]) -> dict[str, float]:
    """By brute force: the same 40,000 patients in three worlds."""
    both, cross, none = (
        drawn(np.random.default_rng(9), 40000, design, binary, worlds)["y"].mean()
        for worlds in ((1, 1), (1, 0), (0, 0))
    )
    return {"indirect": both - cross, "direct": cross - none, "total": both - none}


def fitted(data: pd.DataFrame, design: str, binary: tuple[bool, bool], **options: Any) -> Result:
    family = {name: "binomial" for name, yes in zip(("alliance", "done"), binary, strict=True) if yes}
    given = {"design": design, "random": (), "covariates": ("severity",), "draws": 300, "family": family} | options
    return MultilevelMediation("arm", "alliance", "done", **given).fit(data)


CASES = [(design, binary) for design in ("2-1-1", "1-1-1") for binary in ((False, True), (True, True))]


@pytest.mark.parametrize(("design", "binary"), CASES)
def test_effects_are_those_of_interventions(design: str, binary: tuple[bool, bool]) -> None:
    """Within 3.5 standard errors of 1,200 patients, small beside the effects themselves."""
    result = fitted(pd.DataFrame(drawn(np.random.default_rng(1), 1200, design, binary)), design, binary)
    rows, suffix = result.tidy().set_index("term"), "_within" if design == "1-1-1" else ""
    for name, value in truth(design, binary).items():
        row = rows.loc[f"{name}{suffix}"]
        assert abs(row.estimate - value) < 3.5 * row.std_error
        assert row.std_error < 0.03
        assert row.interval == "monte-carlo"
    assert rows.loc[f"total{suffix}", "estimate"] == pytest.approx(
        rows.loc[f"indirect{suffix}", "estimate"] + rows.loc[f"direct{suffix}", "estimate"], abs=1e-12
    )


@pytest.mark.parametrize(("design", "binary"), CASES)
def test_at_the_true_parameters_the_integrals_are_the_truth(design: str, binary: tuple[bool, bool]) -> None:
    """No sampling error but that of the brute force, .0006 at most."""
    result = fitted(pd.DataFrame(drawn(np.random.default_rng(2), 4000, design, binary)), design, binary, draws=2)
    state, true = result.state, {}
    for equation, values in ((state.mediator, MEDIATOR[binary[0]]), (state.outcome, OUTCOME[binary[0]])):
        found = [values[term.removesuffix("_within") if term.startswith("arm") else term] for term in equation.terms]
        true[equation.response] = np.r_[
            found, [0.7 if equation.response == "alliance" else 0.8], [] if equation.binary else [1.0]
        ]
    phi = np.r_[true["alliance"], true["done"]]
    worlds = build_worlds(result.model, working_columns(result.model, result.frame)[0], state.mediator, state.outcome)
    made = natural_effects(worlds, state.mediator, state.outcome, phi[None])[0]
    assert made == pytest.approx(list(truth(design, binary).values()), abs=0.003)


MEDIATOR = {yes: {"Intercept": -0.2, "arm": 0.9, "arm_between": 0.9, "severity": 0.5} for yes in (False, True)}
OUTCOME = {
    yes: {"Intercept": -0.5, "arm": 0.5, "arm_between": 0.5, "severity": 0.3}
    | ({"alliance": 0.7} if yes else {"alliance_within": 0.4, "alliance_between": 0.9})
    for yes in (False, True)
}  # fmt: skip


def test_a_binary_mediator_of_a_normal_outcome_moves_it_by_b_times_the_risk_difference() -> None:
    data = pd.DataFrame(drawn(np.random.default_rng(3), 300, "2-1-1", (True, False)))
    result = fitted(data, "2-1-1", (True, False), covariates=())
    rows, state = result.tidy().set_index("term"), result.state
    level, a, sd = state.mediator.parameters
    u = sd * np.random.default_rng(1).normal(size=400_000)
    risk = expit(level + a + u).mean() - expit(level + u).mean()
    assert rows.loc["indirect", "estimate"] == pytest.approx(rows.loc["b", "estimate"] * risk, abs=1e-3)
    assert rows.loc["direct", "estimate"] == pytest.approx(rows.loc["c_prime", "estimate"], abs=1e-12)


def test_result_keeps_the_glossary_and_its_seed() -> None:
    data = pd.DataFrame(drawn(np.random.default_rng(4), 80, "1-1-1", (False, True)))
    labels = data.assign(done=np.where(data["done"] == 1, "yes", "no"), arm=np.where(data["arm"] == 1, "b", "a"))
    result = fitted(labels, "1-1-1", (False, True))
    rows = result.tidy()
    assert tuple(rows.columns) == TIDY
    assert rows["term"].head(6).tolist() == [
        "a_within",
        "a_between",
        "b_within",
        "b_between",
        "c_prime_within",
        "c_prime_between",
    ]
    assert "'done': 0 is no, 1 is yes" in result.notes
    assert any("in probabilities" in note and "patient's means stay" in note for note in result.notes)
    assert repr(result) == repr(fitted(labels, "1-1-1", (False, True)))
    assert list(result.glance()[["n_obs", "n_patient"]].iloc[0]) == [480, 80]
    assert result.apa("indirect_within").startswith("b = ")
    numbers = fitted(data, "1-1-1", (False, True)).tidy()["estimate"]
    assert np.allclose(numbers, rows["estimate"], rtol=1e-9)
    assert list(result.covariance.columns) == rows.query("component == 'fixed'")["term"].tolist()


def test_exposures_with_many_values_move_by_one_unit() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame(drawn(rng, 150, "2-1-1", (False, True)))
    data["arm"] = rng.normal(size=150)[data["patient"]]
    one = fitted(data, "2-1-1", (False, True)).tidy().set_index("term")["estimate"]
    half = fitted(data.assign(arm=data["arm"] * 1000), "2-1-1", (False, True)).tidy().set_index("term")["estimate"]
    assert half["total"] == pytest.approx(one["total"] / 1000, rel=0.1, abs=1e-5)


def test_no_variance_of_intercepts_is_no_obstacle() -> None:
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"patient": np.repeat(np.arange(40), 5), "arm": np.repeat(np.arange(40) % 2, 5)})
    e = rng.normal(size=200)
    data["alliance"] = 0.5 * data["arm"] + e - 0.8 * (np.bincount(data["patient"], e) / 5)[data["patient"]]
    data["done"] = (rng.random(200) < expit(0.5 * data["alliance"])).astype(int)
    result = fitted(data, "2-1-1", (False, True), covariates=())
    assert result.glance()["singular"].iloc[0]
    assert np.isfinite(result.tidy().query("component == 'effect'")[["estimate", "std_error"]]).all(axis=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random": ("a",)}, "random intercepts only; use random="),
        ({"family": {"pain": "binomial"}}, "family names 'pain'"),
        ({"family": {"done": "poisson"}}, "family of 'done' is 'poisson'"),
        ({"moderator": "severity", "covariates": ()}, "moderator="),
        ({"above": "therapist"}, "above="),
        ({"interval": "bootstrap"}, "interval='bootstrap'"),
        ({"method": "REML"}, "method='REML'"),
        ({"design": "2-2-1"}, "design='2-2-1'"),
        ({"design": "2-1-1", "means": "latent"}, "means='latent'"),
        ({"family": 3}, "family is 3"),
    ],
)
def test_what_does_not_go_with_binary_variables_is_refused(options: dict[str, Any], message: str) -> None:
    given = {"random": (), "covariates": ("severity",), "family": {"done": "binomial"}} | options
    with pytest.raises(AllianceError, match=message):
        MultilevelMediation("arm", "alliance", "done", **given)


def test_data_that_are_not_binary_are_refused() -> None:
    data = pd.DataFrame(drawn(np.random.default_rng(7), 40, "1-1-1", (False, True)))
    with pytest.raises(DataError, match="'done' has values other than 0 and 1"):
        fitted(data.assign(done=data["done"] * 2), "1-1-1", (False, True))
    with pytest.raises(DataError, match="constant within every"):
        fitted(data.assign(arm=data["patient"] % 2), "1-1-1", (False, True))
    with pytest.raises(DataError, match="depends on other terms"):
        fitted(data.assign(severity=2 * data["arm"]), "1-1-1", (False, True))


def test_functions_for_normal_models_say_so() -> None:
    result = fitted(pd.DataFrame(drawn(np.random.default_rng(8), 60, "1-1-1", (False, True))), "1-1-1", (False, True))
    for call in (al.predict, al.sensitivity, patient_paths, lambda r: al.simulate(r, 2)):
        with pytest.raises(AllianceError, match="family="):
            call(result)
