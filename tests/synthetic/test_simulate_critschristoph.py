"""Psychotherapy with a rating every session: reproducible, with the variances and explained shares it promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.design.reshape import PerPatient
from alliance_stats.errors import AllianceError
from alliance_stats.synthetic import simulate_critschristoph

N, STAFF = 20_000, 4_000
PER_PATIENT = PerPatient(
    {"session3": ("alliance", 3, 3), "sessions3to9": ("alliance", 3, 9)}, keep=("depression_before", "depression_after")
)


@pytest.fixture(scope="module")
def large():
    return simulate_critschristoph(3, patients=N, therapists=STAFF)


def test_same_seed_same_bytes():
    first, second = simulate_critschristoph(3), simulate_critschristoph(3)
    assert first.data.to_csv() == second.data.to_csv()
    assert first.truth.to_csv() == second.truth.to_csv()
    assert first.data.to_csv() != simulate_critschristoph(4).data.to_csv()


def test_columns_rows_and_caseloads():
    data = simulate_critschristoph().data
    assert list(data.columns) == [
        "patient", "therapist", "session", "alliance", "depression_before", "depression_after",
    ]  # fmt: skip
    assert data["patient"].nunique() == 45
    loads = data.groupby("therapist")["patient"].nunique()
    assert len(loads) == 9
    assert loads.max() >= 2 * loads.min()
    lengths = data.groupby("patient")["session"].agg(["min", "max", "count"])
    assert (lengths["min"] == 1).all()
    assert lengths["max"].between(10, 16).all()
    assert (lengths["max"] == lengths["count"]).all()
    assert (data.groupby("patient")[["therapist", "depression_before", "depression_after"]].nunique() == 1).all().all()


@pytest.mark.parametrize(
    ("option", "touched"),
    [
        ({"explained": 0.1}, {"depression_after"}),
        ({"outcome_icc": 0.2}, {"depression_after"}),
        ({"missing": 0.0}, {"alliance"}),
        ({"items": True}, {"alliance"}),
        ({"dependability": 0.5}, {"alliance", "depression_after"}),
    ],
)
def test_an_option_changes_only_what_it_is_about(option, touched):
    plain, other = simulate_critschristoph(3).data, simulate_critschristoph(3, **option).data
    assert {name for name in plain if not plain[name].equals(other[name])} == touched


def test_variances_of_a_rating(large):
    """Method of moments on the first ten sessions, which all patients have; without missing ratings."""
    data = simulate_critschristoph(3, patients=N, therapists=STAFF, missing=0.0).data
    ten = data[data["session"] <= 10]
    within = ten.groupby("patient")["alliance"].var().mean()
    means = ten.groupby("patient")["alliance"].mean()
    staff = ten.groupby("patient")["therapist"].first()
    inside = means.groupby(staff).var().mean()
    patient, error = inside - within / 10, within
    assert error / 64 == pytest.approx(0.23, rel=0.01)  # Monte Carlo error of a variance: √(2/180,000) = 0.3 %
    assert patient / (patient + error) == pytest.approx(0.77, abs=0.006)  # 3 × .002
    between = means.groupby(staff).mean().var() - (inside * (1 / staff.value_counts()).mean())
    assert between / 64 == pytest.approx(1 / 15, abs=0.02)  # 3 × √(2/4000) of a variance of .23 beside it


@pytest.mark.parametrize("column", ["session3", "sessions3to9"])
def test_explained_shares_and_slopes(large, column):
    frame = PER_PATIENT(large.data).dropna()
    y = frame["depression_after"]
    X = np.column_stack([np.ones(len(frame)), frame["depression_before"], frame[column]])
    full, rest = (np.linalg.lstsq(X[:, :k], y)[1][0] for k in (3, 2))
    total = ((y - y.mean()) ** 2).sum()
    share, left = (rest - full) / total, (rest - full) / rest
    assert share == pytest.approx(large.true_value(column, "share of all variance"), abs=0.009)  # 3 × 2√(share/n)
    assert left == pytest.approx(large.true_value(column, "share of the variance left"), abs=0.0105)
    term = "alliance_session3" if column == "session3" else "alliance_mean"
    slope = np.linalg.lstsq(X, y)[0][2]
    assert slope == pytest.approx(large.true_value(column, term), abs=3 * 10 / np.sqrt(N) / 8)
    assert y.std() == pytest.approx(10, rel=0.02)


def test_truth_follows_spearman_brown_and_the_printed_share():
    trial = simulate_critschristoph(1)
    assert [round(trial.true_value("ratings", f"{k} sessions"), 3) for k in (2, 3, 4)] == [0.870, 0.909, 0.931]
    assert trial.true_value("session3", "share of all variance") == pytest.approx(0.047)
    complete = simulate_critschristoph(1, missing=0.0)
    gain = complete.true_value("sessions3to9", "share of all variance") / 0.047
    assert gain == pytest.approx((1 + 1 / 15) / (0.77 + 1 / 15 + 0.23 / 7))


def test_items_are_whole_with_the_ceiling_and_have_no_truth():
    trial = simulate_critschristoph(3, patients=3000, therapists=1000, items=True, ceiling=0.4, missing=0.0)
    assert trial.truth.empty
    rating = trial.data["alliance"]
    assert rating.between(12, 60).all()
    assert (rating % 1 == 0).all()
    by_patient = (rating == 60).groupby(trial.data["patient"]).mean()
    assert by_patient.mean() == pytest.approx(
        0.4, abs=3 * by_patient.std() / np.sqrt(3000) * 1.3
    )  # 3 patients a therapist


def test_parameters_name_their_sources():
    parameters = simulate_critschristoph().parameters
    assert parameters["source"].str.len().gt(0).all()
    assert pd.Series(["dependability", "explained", "therapist_variance"]).isin(parameters["name"]).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"therapists": 0}, "0 therapists"),
        ({"patients": 5, "therapists": 9}, "5 patients of 9 therapists"),
        ({"sessions": 9}, "sessions is 9"),
        ({"dependability": 1.0}, "dependability is 1"),
        ({"ceiling": 0.0}, "ceiling 0"),
        ({"therapist_variance": -0.1}, "therapist_variance is -0.1"),
        ({"explained": 0.7}, "explained is 0.7"),
        ({"outcome_icc": 1.0}, "outcome_icc"),
        ({"missing": 0.6}, "missing is 0.6"),
    ],
)
def test_options_outside_their_range(option, message):
    with pytest.raises(AllianceError, match=message):
        simulate_critschristoph(**option)
