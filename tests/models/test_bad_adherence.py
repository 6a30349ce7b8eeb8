"""Outcomes of adherence that no model can explain, and therapists who say little: the same answer from every model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import category_probabilities
from alliance_stats.errors import ConvergenceError, DataError
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.ordinal import OrdinalModel

COMPLETED = "completed | trials(assigned) ~ alliance"
MIXED = f"{COMPLETED} + (1 | therapist)"
SESSIONS: dict[str, Any] = {
    "binomial mixed": GeneralizedMixedModel(MIXED),
    "beta-binomial mixed": GeneralizedMixedModel(MIXED, "betabinomial"),
    "fractional": FractionalModel(COMPLETED, vcov="CR2", cluster="therapist"),
    "GEE": GEE(COMPLETED, cluster="therapist"),
}
SHARES: dict[str, Any] = {
    "beta": BetaModel("share ~ alliance"),
    "beta mixed": GeneralizedMixedModel("share ~ alliance + (1 | therapist)", "beta"),
    "fractional": FractionalModel("share ~ alliance"),
    "GEE": GEE("share ~ alliance", cluster="therapist"),
}


@pytest.fixture
def trial() -> pd.DataFrame:
    return data("adherence_trial")


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("family", ["nobody came", "everybody came always"])
def test_nothing_to_explain(name: str, family: str, trial: pd.DataFrame) -> None:
    same = trial.assign(completed=0 if family == "nobody came" else trial["assigned"])
    with pytest.raises(DataError, match="in all 360 rows; there is nothing to explain"):
        SESSIONS[name].fit(same)


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("completed", lambda d: d["assigned"] + (d["id"] < 4), r"above the trials \(assigned\) in 3 rows"),
        ("completed", lambda d: d["completed"] + 0.5 * (d["id"] == 1), "'completed' holds fractions in 1 row"),
        ("completed", lambda d: d["completed"].where(d["id"] > 2, -1), "values below 0"),
        ("assigned", lambda d: d["assigned"].where(d["id"] > 2, 0), "'assigned' holds values below 1"),
    ],
)
def test_sessions_that_cannot_be(name: str, column: str, change: Any, message: str, trial: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=message):
        SESSIONS[name].fit(trial.assign(**{column: change(trial)}))


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.2, 1.2, 45.0])
def test_proportions_outside_their_range(name: str, value: float, trial: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'share' holds values outside 0 to 1 in 1 row"):
        SHARES[name].fit(trial.assign(share=trial["share"].where(trial["id"] > 1, value)))


@pytest.mark.parametrize("name", SHARES)
def test_proportions_that_are_all_zero(name: str, trial: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"is 0 in all 360 rows|exactly 0"):
        SHARES[name].fit(trial.assign(share=0.0))


@pytest.mark.parametrize("family", ["binomial", "betabinomial"])
def test_complete_separation(family: str, trial: pd.DataFrame) -> None:
    """Everybody above an alliance of 5 came always, everybody else never."""
    rows = trial.assign(completed=np.where(trial["alliance"] > 5, trial["assigned"], 0))
    with pytest.raises(ConvergenceError, match="'alliance' separates the outcomes"):
        GeneralizedMixedModel(MIXED, family).fit(rows)


def test_one_arm_in_which_nobody_came(trial: pd.DataFrame) -> None:
    rows = trial.assign(
        completed=trial["completed"].where(trial["arm"] == 1, 0), arm=trial["arm"].map({0: "usual", 1: "new"})
    )
    for model in (GeneralizedMixedModel, FractionalModel):
        formula = "completed | trials(assigned) ~ arm" + (
            " + (1 | therapist)" if model is GeneralizedMixedModel else ""
        )
        with pytest.raises(ConvergenceError, match=r"'arm\[T.usual\]' separates the outcomes"):
            model(formula).fit(rows)


def test_a_therapist_with_one_patient_is_no_obstacle(trial: pd.DataFrame) -> None:
    """The lone patient says little of the therapist, whose effect is drawn towards zero more than any other's."""
    rows = trial.assign(therapist=trial["therapist"].mask(trial["id"] == 1, 99))
    for model in (
        *(SESSIONS[name] for name in list(SESSIONS)[:2]),
        OrdinalModel("rating ~ alliance + (1 | therapist)"),
    ):
        fit, whole = model.fit(rows), model.fit(trial)
        assert fit.glance()["converged"].iloc[0]
        slope = [each.tidy().set_index("term").loc["alliance", ["estimate", "std_error"]] for each in (fit, whole)]
        assert abs(slope[0]["estimate"] - slope[1]["estimate"]) < 0.1 * slope[1]["std_error"]
    from alliance_stats import random_effects

    effects = random_effects(SESSIONS["beta-binomial mixed"].fit(rows)).set_index("at")["std_error"]
    assert effects.idxmax() == "99"


def test_only_therapists_with_one_patient(trial: pd.DataFrame) -> None:
    """Then therapist and patient are one, which is the overdispersion itself."""
    for family in ("binomial", "betabinomial"):
        model = GeneralizedMixedModel("completed | trials(assigned) ~ alliance + (1 | id)", family)
        if family == "binomial":
            assert np.isfinite(model.fit(trial).tidy()["estimate"]).all()
            continue
        with pytest.raises(DataError, match="asks for 360 random effects from 360 rows"):
            model.fit(trial)
    with pytest.raises(DataError, match="asks for 360 random effects"):
        GeneralizedMixedModel("share ~ alliance + (1 | id)", "beta").fit(trial)


def test_an_unused_category_is_noted_with_therapists_too(trial: pd.DataFrame) -> None:
    names = ["never", "rarely", "sometimes", "often", "always", "more than asked"]
    column = pd.Categorical.from_codes(trial["rating"] - 1, names, ordered=True)
    fit = OrdinalModel("rating ~ alliance + (1 | therapist)").fit(trial.assign(rating=column))
    assert "no row has 'rating' at more than asked" in fit.notes[0]
    assert list(category_probabilities(fit)) == names[:5]
    assert np.allclose(category_probabilities(fit).sum(axis=1), 1)
