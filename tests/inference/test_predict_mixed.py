"""Predictions of mixed models: for the groups of the fit, for new ones, and for the population."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data, pinned
from scipy.linalg import block_diag

from alliance_stats.design.steps import Centre
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.predict import predict
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.mixed_rows import covariances
from alliance_stats.result import Result

SLEEP = "Reaction ~ Days + (Days | Subject)"
NESTED = "outcome ~ week + arm + (1 + week | patient) + (1 | therapist)"
CROSSED = "diameter ~ 1 + (1 | plate) + (1 | sample)"


@pytest.fixture(scope="module")
def sleep() -> Result:
    return MixedModel(SLEEP).fit(data("mixed_sleepstudy"))


@pytest.fixture(scope="module")
def nested() -> Result:
    return MixedModel(NESTED).fit(data("mixed_therapy").head(250))


def henderson(result: Result) -> np.ndarray:
    """Standard errors of the rows of the fit, by inverting the dense mixed-model equations."""
    state = result.state
    X = state.design.matrix(result.frame)[:, state.kept]
    Z = [np.zeros((len(X), len(g.groups) * g.level.q)) for g in state.groupings]
    for z, grouping in zip(Z, state.groupings, strict=True):
        for i, code in enumerate(grouping.level.codes):
            z[i, code * grouping.level.q : (code + 1) * grouping.level.q] = grouping.level.Z[i]
    T = np.hstack([X, *Z])
    prior = [np.kron(np.eye(len(g.groups)), np.linalg.inv(psi)) for g, (_, _, psi) in
             zip(state.groupings, covariances(state), strict=True)]  # fmt: skip
    R = np.ones(len(X)) if state.weights is None else state.weights
    left = (T.T * R) @ T / state.sigma**2 + block_diag(np.zeros((X.shape[1],) * 2), *prior)
    return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", T, np.linalg.inv(left), T)))


def test_rows_of_the_fit_are_lme4s_fitted_values(sleep: Result) -> None:
    expected = pinned("mixed_sleepstudy", "complete", "slope", "reml")
    found = predict(sleep)
    assert (found["fitted"].to_numpy() == sleep.state.fitted).all()
    # lme4 stops when θ is good to 1e-6; the modes inherit it
    assert np.allclose(found["fitted"].head(10), expected["fitted"], rtol=1e-6)
    assert np.allclose(predict(sleep, groups="population")["fitted"].head(10), expected["population"], rtol=1e-9)


@pytest.mark.parametrize("kind", ["nested", "crossed", "one", "weighted", "by arm"])
def test_standard_errors_solve_the_mixed_model_equations(kind: str, nested: Result, sleep: Result) -> None:
    weighted = data("mixed_therapy").head(200)
    fits = {
        "nested": lambda: nested,
        "crossed": lambda: MixedModel(CROSSED).fit(data("mixed_penicillin")),
        "one": lambda: sleep,
        "weighted": lambda: MixedModel("outcome ~ week + (1 | patient)", weights="weight").fit(weighted),
        "by arm": lambda: MixedModel("outcome ~ week + (1 | patient)", residual_by="arm").fit(weighted),
    }
    fit = fits[kind]()
    assert np.allclose(predict(fit)["std_error"], henderson(fit), rtol=1e-8)  # inverses of condition up to 1e6


def test_rows_given_again_are_predicted_alike(nested: Result) -> None:
    again = predict(nested, nested.frame)
    assert np.allclose(again, predict(nested), rtol=1e-10)
    shuffled = nested.frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(predict(nested, shuffled), again.loc[shuffled.index], rtol=1e-10)


def test_new_groups_get_the_population_and_their_own_variance(sleep: Result) -> None:
    new = pd.DataFrame({"Days": [0.0, 4.0], "Subject": [999, 999]})
    found, population = predict(sleep, new), predict(sleep, new, groups="population")
    assert np.allclose(found["fitted"], population["fitted"], rtol=1e-12)
    psi = covariances(sleep.state)[0][2]
    between = [z @ psi @ z for z in np.array([[1.0, 0.0], [1.0, 4.0]])]
    assert np.allclose(found["std_error"] ** 2, population["std_error"] ** 2 + between, rtol=1e-10)


def test_a_new_patient_of_a_known_therapist_gets_the_therapists_effect(nested: Result) -> None:
    row = nested.frame.iloc[[0]].assign(patient="someone new")
    therapist = nested.state.groupings[1]
    effect = nested.state.modes[1][therapist.groups.index(str(row["therapist"].iloc[0]))][0]
    step = predict(nested, row)["fitted"] - predict(nested, row, groups="population")["fitted"]
    assert step.iloc[0] == pytest.approx(effect, rel=1e-9)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_label_is_a_new_group(sleep: Result, missing: float | None) -> None:
    new = pd.DataFrame({"Days": [1.0, 1.0], "Subject": [308, missing]})
    found = predict(sleep, new)
    assert found["fitted"].iloc[0] != found["fitted"].iloc[1]
    assert found["fitted"].iloc[1] == pytest.approx(predict(sleep, new, groups="population")["fitted"].iloc[1])
    assert found["std_error"].iloc[0] < found["std_error"].iloc[1]


def test_population_interval_uses_the_models_degrees_of_freedom(sleep: Result) -> None:
    found = predict(sleep, pd.DataFrame({"Days": [0.0]}), groups="population").iloc[0]
    row = sleep.tidy().iloc[0]
    assert found[["fitted", "std_error", "conf_low", "conf_high"]].tolist() == pytest.approx(
        row[["estimate", "std_error", "conf_low", "conf_high"]].tolist(), rel=1e-10
    )


def test_missing_predictors_give_missing_rows(nested: Result) -> None:
    rows = nested.frame.head(3).copy()
    rows.iloc[1, rows.columns.get_loc("week")] = np.nan
    assert predict(nested, rows).isna().all(axis=1).tolist() == [False, True, False]


def test_preparing_steps_are_applied_to_new_rows() -> None:
    trial = data("mixed_therapy").dropna(subset=["alliance"]).head(200)
    step = Centre("alliance", by="patient")
    fit = MixedModel("outcome ~ alliance_within + (1 | patient)", prepare=(step,)).fit(
        trial.drop(columns=["alliance_within", "alliance_between"])
    )
    raw = trial.drop(columns=["alliance_within", "alliance_between"])
    kept = raw.loc[fit.frame.index]
    assert np.allclose(predict(fit, raw).loc[kept.index, "fitted"], fit.state.fitted, rtol=1e-9)


def test_what_is_asked_for_must_make_sense(sleep: Result) -> None:
    linear = LinearModel("Reaction ~ Days").fit(data("mixed_sleepstudy"))
    with pytest.raises(AllianceError, match="groups='population' is for mixed models"):
        predict(linear, groups="population")
    with pytest.raises(AllianceError, match="use 'conditional' or 'population'"):
        predict(sleep, groups="both")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no column 'Subject'"):
        predict(sleep, pd.DataFrame({"Days": [1.0]}))
