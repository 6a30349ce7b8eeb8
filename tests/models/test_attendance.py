"""Alliance, dropout and attendance with effects of therapists: sessions attended of those planned, by models of adherence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats import GeneralizedMixedModel, adherence
from alliance_stats.design.dropout import dropout_frame
from alliance_stats.models.discrete_time import DiscreteTimeModel

ATTENDS, LEAVES, PLANNED = 0.4, -0.5, 10
OPTIONS = {"outcome": "n_attended", "assigned": "n_planned", "predictors": "alliance", "cluster": "therapist"}


def patients(rng: np.random.Generator, therapists: int = 30, of_each: int = 15) -> pd.DataFrame:
    therapist = np.arange(therapists * of_each) // of_each
    alliance = rng.normal(0, 0.5, therapists)[therapist] + rng.normal(size=len(therapist))
    return pd.DataFrame({"patient": np.arange(len(therapist)), "therapist": therapist, "alliance": alliance})


def sessions(rng: np.random.Generator, people: pd.DataFrame, came: np.ndarray) -> pd.DataFrame:
    """One row a session attended; the first always is."""
    came = came.copy()
    came[:, 0] = True
    patient, session = np.nonzero(came)
    return people.iloc[patient].assign(session=session + 1).reset_index(drop=True)


def stayed(rng: np.random.Generator, people: pd.DataFrame) -> pd.DataFrame:
    """Nobody misses a session; some leave."""
    effect = rng.normal(0, 0.4, people["therapist"].max() + 1)[people["therapist"]]
    hazard = -np.expm1(-np.exp(-2.5 + LEAVES * people["alliance"].to_numpy() + effect))
    leaves = rng.random((len(people), PLANNED)) < hazard[:, None]
    return sessions(rng, people, np.cumsum(leaves, axis=1) - leaves == 0)


def present(rng: np.random.Generator, people: pd.DataFrame) -> pd.DataFrame:
    """Nobody leaves; sessions after the first are missed now and then, by some patients more than by others."""
    effect = rng.normal(0, 0.4, people["therapist"].max() + 1)[people["therapist"]]
    p = 1 / (1 + np.exp(-0.8 - ATTENDS * people["alliance"].to_numpy() - effect))
    own = rng.beta(5 * p, 5 * (1 - p))
    return sessions(rng, people, rng.random((len(people), PLANNED)) < own[:, None])


def test_attendance_is_a_count_of_the_planned_sessions() -> None:
    rng = np.random.default_rng(4)
    visits = present(rng, patients(rng))
    ends = dropout_frame(visits, planned=PLANNED, completion="competing", form="patients")
    assert ends["n_attended"].sum() == len(visits)
    assert (ends["n_attended"] <= ends["time"]).all()
    assert "beta-binomial mixed" in set(adherence(ends, **OPTIONS)["model"])
    chosen = adherence(ends, **OPTIONS, model="beta-binomial mixed").tidy().set_index("term")
    written = GeneralizedMixedModel("n_attended | trials(n_planned) ~ alliance + (1 | therapist)", "betabinomial").fit(
        ends
    )
    assert chosen.loc["alliance", "estimate"] == pytest.approx(
        written.tidy().set_index("term").loc["alliance", "estimate"]
    )
    assert chosen.loc["alliance", "conf_low"] > 0


def test_alliance_on_dropout_and_on_attendance_with_therapists() -> None:
    """Fifteen trials of each kind: the slopes are found again within 3 Monte Carlo standard errors."""
    found = []
    for seed in range(15):
        rng = np.random.default_rng([9, seed])
        people = patients(rng)
        rows = dropout_frame(stayed(rng, people), planned=PLANNED, completion="censored", planned_session="left out")
        leaves = DiscreteTimeModel("dropped ~ alliance + (1 | therapist)", patient="patient").fit(rows)
        ends = dropout_frame(present(rng, people), planned=PLANNED, completion="censored", form="patients")
        after = ends.assign(
            n_attended=ends["n_attended"] - 1, n_planned=PLANNED - 1
        )  # the first was attended by design
        attends = adherence(after, **OPTIONS, model="beta-binomial mixed")
        found.append([fit.tidy().set_index("term").loc["alliance", "estimate"] for fit in (leaves, attends)])
    z = (np.mean(found, axis=0) - [LEAVES, ATTENDS]) / (np.std(found, axis=0, ddof=1) / np.sqrt(15))
    assert np.abs(z).max() < 3
