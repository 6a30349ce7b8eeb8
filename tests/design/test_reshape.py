"""What a row is: long from wide, one row a patient from sessions; nothing lost, keys unique, optional waves learned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.design.reshape import Long, PerPatient
from alliance_stats.errors import DataError
from alliance_stats.models.linear import LinearModel

LONG = Long(
    {"before": "pain_0", "middle": "pain_1", "after": "pain_2"}, into="pain", optional=("middle",),
    scores={"treated": {"before": 0, "middle": 1, "after": 1}},
)  # fmt: skip


@pytest.fixture
def wide() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient": ["b", "a", "c"],
            "arm": list("xyx"),
            "pain_0": [6.0, 5, 7],
            "pain_1": [5.0, np.nan, 6],
            "pain_2": [3, 4, 2],
        },
        index=[7, 7, 1],
    )


def test_every_value_finds_its_patient_and_wave(wide):
    long = LONG(wide)
    assert long.index.tolist() == list(range(9))
    assert list(long.columns) == ["patient", "arm", "wave", "pain", "treated"]
    back = long.pivot(index="patient", columns="wave", values="pain")
    np.testing.assert_array_equal(
        back.loc[wide["patient"], ["before", "middle", "after"]].to_numpy(),
        wide[["pain_0", "pain_1", "pain_2"]].to_numpy(dtype=float),
    )
    assert long["wave"].cat.categories.tolist() == ["before", "middle", "after"]
    assert long.loc[long["wave"] == "before", "treated"].eq(0).all()
    assert long["pain"].isna().sum() == 1  # a missing value keeps its row


@pytest.mark.parametrize("lost", [lambda w: w.drop(columns="pain_1"), lambda w: w.assign(pain_1=np.nan)])
def test_an_optional_wave_may_be_absent_or_empty(wide, lost):
    long = LONG(lost(wide))
    assert long["wave"].cat.categories.tolist() == ["before", "after"]
    assert len(long) == 6


def test_learning_fixes_the_waves_for_new_data(wide):
    learned = LONG.learn(wide.drop(columns="pain_1"))
    assert learned(wide)["wave"].cat.categories.tolist() == ["before", "after"]
    with pytest.raises(DataError, match="pain_1"):
        LONG.learn(wide)(wide.drop(columns="pain_1"))


def test_waves_that_are_numbers_stay_numbers(wide):
    long = Long({0: "pain_0", 8: "pain_2"}, into="pain", time="week")(wide.drop(columns="pain_1"))
    assert long["week"].tolist() == [0, 8] * 3


def test_in_the_preparing_steps_of_a_model(wide):
    fit = LinearModel("pain ~ treated", prepare=(LONG,)).fit(wide)
    assert fit.statistics["n_obs"].iloc[0] == 8
    means = LONG(wide).groupby("treated")["pain"].mean()
    assert fit.tidy()["estimate"].tolist() == pytest.approx([means[0], means[1] - means[0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.assign(patient=["a", "a", "c"]), "2 rows share their keys .patient a"),
        (lambda w: w.assign(patient=[None, "a", "c"]), "1 rows have no 'patient'"),
        (lambda w: w.drop(columns="pain_2"), "pain_2"),
        (lambda w: w.assign(pain_2=list("abc")), "'pain_2' holds"),
        (lambda w: w.assign(pain=1.0), "has a column 'pain' already"),
        (lambda w: w.assign(treated=1.0), "has a column 'treated' already"),
    ],
)
def test_faults_of_the_wide_frame(wide, change, message):
    with pytest.raises(DataError, match=message):
        LONG(change(wide))


def test_faults_of_the_declaration():
    with pytest.raises(DataError, match="all text or all numbers"):
        Long({"before": "a", 2: "b"}, into="pain")
    with pytest.raises(DataError, match="give no 'treated' for the wave 'after'"):
        Long({"before": "a", "after": "b"}, into="pain", scores={"treated": {"before": 0}})


@pytest.fixture
def sessions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient": [2, 2, 2, 1, 1, 3],
            "session": [1, 3, 4, 1, 2, 9],
            "alliance": [40.0, np.nan, 50, 60, 62, 30],
            "outcome": [5.0, np.nan, np.nan, 7, 7, np.nan],
        }
    )


def test_means_over_sessions_and_values_of_the_patient(sessions):
    per = PerPatient({"first": ("alliance", 1, 2), "later": ("alliance", 3, 4)}, keep=("outcome",))(sessions)
    assert per["patient"].tolist() == [2, 1, 3]
    np.testing.assert_array_equal(per["outcome"], [5, 7, np.nan])  # known in one row, known of the patient
    np.testing.assert_array_equal(per["first"], [40, 61, np.nan])
    np.testing.assert_array_equal(per["later"], [50, np.nan, np.nan])


def test_optional_columns_are_kept_where_there_are_any(sessions):
    step = PerPatient({"first": ("alliance", 1, 2)}, keep=("therapist", "outcome"), optional=("therapist",))
    assert "therapist" not in step(sessions)
    assert step.learn(sessions) == step
    assert step(sessions.assign(therapist="T"))["therapist"].tolist() == ["T"] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.assign(session=1), "5 rows share their keys"),
        (lambda s: s.assign(outcome=range(6)), "patient 2 has 3 values of 'outcome'"),
        (lambda s: s.drop(columns="outcome"), "outcome"),
        (lambda s: s.assign(alliance="x"), "'alliance' holds"),
        (lambda s: s.assign(session=[None, 3, 4, 1, 2, 9]), "1 rows have no 'session'"),
    ],
)
def test_faults_of_the_long_frame(sessions, change, message):
    with pytest.raises(DataError, match=message):
        PerPatient({"first": ("alliance", 1, 2)}, keep=("outcome",))(change(sessions))
