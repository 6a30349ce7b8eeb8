"""The 2×2 trial: printed means to the last digit where asked, random otherwise, always on its scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.models.linear import LinearModel
from alliance_stats.synthetic import simulate_fuentes

PAIN = {"AL": 18.3, "SL": 10.3, "AE": 31.4, "SE": 22.2}
PPT = {"AL": 1.2, "SL": 0.3, "AE": 2.0, "SE": 1.7}
COLUMNS = [
    "patient", "therapist", "group", "treatment", "alliance", "pain_before", "pain_after", "ppt_before", "ppt_after",
]  # fmt: skip


def with_gains(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(pain=data["pain_before"] - data["pain_after"], ppt=data["ppt_after"] - data["ppt_before"])


def pooled_sd(data: pd.DataFrame, column: str) -> float:
    residual = data[column] - data.groupby("group")[column].transform("mean")
    return float(np.sqrt((residual**2).sum() / (len(data) - 4)))


def test_same_seed_same_bytes():
    assert simulate_fuentes(3).data.to_csv() == simulate_fuentes(3).data.to_csv()
    assert simulate_fuentes(3).data.to_csv() != simulate_fuentes(4).data.to_csv()


def test_columns_rows_and_groups():
    data = simulate_fuentes().data
    assert list(data.columns) == COLUMNS
    assert data["group"].value_counts().to_dict() == {"AL": 30, "SL": 29, "AE": 29, "SE": 29}
    letters = data["treatment"].str[0].str.upper() + data["alliance"].str[0].str.upper()
    assert (letters == data["group"]).all()


@pytest.mark.parametrize("seed", [1, 2, 2014])
@pytest.mark.parametrize("role", ["crossed", "nested", "single"])
def test_exact_trial_has_the_printed_means_and_the_implied_sd(seed, role):
    data = with_gains(simulate_fuentes(seed, exact=True, therapists=role).data)
    means = data.groupby("group")[["pain", "ppt"]].mean()
    for group in PAIN:
        assert means.loc[group, "pain"] == pytest.approx(PAIN[group], abs=1e-9)
        assert means.loc[group, "ppt"] == pytest.approx(PPT[group], abs=1e-9)
    assert pooled_sd(data, "pain") == pytest.approx(8.3, abs=1e-9)
    assert pooled_sd(data, "ppt") == pytest.approx(1.2, abs=1e-9)
    assert data[["pain_before", "pain_after"]].stack().between(0, 100).all()
    assert (data[["ppt_before", "ppt_after"]] >= 0).all().all()


def test_adjustment_changes_no_contrast_of_an_exact_trial():
    trial = simulate_fuentes(exact=True)
    fit = LinearModel("pain ~ C(group, contr.treatment(base='AL')) + pain_before").fit(with_gains(trial.data))
    found = fit.tidy().set_index("term")["estimate"].filter(like="SE").iloc[0]
    assert found == pytest.approx(trial.true_value("pain", "SE − AL"), abs=1e-9)


@pytest.mark.parametrize("exact", [False, True])
def test_values_stay_on_the_scale_over_many_trials(exact):
    for seed in range(100):
        data = simulate_fuentes(seed, exact=exact, per_group={"AL": 200, "SL": 200, "AE": 200, "SE": 200}).data
        assert data[["pain_before", "pain_after"]].stack().between(0, 100).all()
        assert (data[["ppt_before", "ppt_after"]] >= 0).all().all()


def test_random_trial_has_whole_millimetres_and_tenths_of_a_kilogram():
    data = simulate_fuentes(5).data
    pain, ppt = data[["pain_before", "pain_after"]], data[["ppt_before", "ppt_after"]]
    assert (pain == pain.round()).all().all()
    assert (ppt == ppt.round(1)).all().all()


def test_random_trial_has_the_means_within_monte_carlo_error():
    size = 5000
    data = with_gains(simulate_fuentes(6, per_group=dict.fromkeys(PAIN, size), therapists="single").data)
    means = data.groupby("group")[["pain", "ppt"]].mean()
    for group in PAIN:
        assert means.loc[group, "pain"] == pytest.approx(PAIN[group], abs=3 * 8.3 / np.sqrt(size))
        assert means.loc[group, "ppt"] == pytest.approx(PPT[group], abs=3 * 1.2 / np.sqrt(size))
    # normal SDs within three standard errors; rounding to whole mm adds 1/12 to the variance of 68.9
    assert pooled_sd(data, "pain") == pytest.approx(8.3, abs=3 * 8.3 / np.sqrt(8 * size))
    assert pooled_sd(data, "ppt") == pytest.approx(1.2, abs=3 * 1.2 / np.sqrt(8 * size))


def test_truth_holds_the_contrasts_of_the_printed_means():
    trial = simulate_fuentes()
    for analysis, values in {"pain": (12.5, 8.6, 1.2, 3.9), "ppt": (1.1, 0.6, -0.6, 0.5)}.items():
        for term, value in zip(("enhanced − limited", "active − sham", "interaction", "SE − AL"), values, strict=True):
            assert trial.true_value(analysis, term) == pytest.approx(value, abs=1e-9)
            assert trial.true_value(f"{analysis}_change", term) == pytest.approx(value, abs=1e-9)


def test_crossed_therapists_treat_in_every_group():
    data = simulate_fuentes(therapists="crossed").data
    assert (pd.crosstab(data["therapist"], data["group"]) > 0).to_numpy().all()
    assert data["therapist"].nunique() == 4


def test_nested_therapists_keep_to_one_alliance_condition():
    data = simulate_fuentes(therapists="nested").data
    table = pd.crosstab(data["therapist"], data["alliance"]) > 0
    assert (table.sum(axis=1) == 1).all()
    assert table.sum().to_dict() == {"enhanced": 2, "limited": 2}
    assert (pd.crosstab(data["therapist"], data["treatment"]) > 0).to_numpy().all()


def test_a_single_therapist_treats_everybody():
    assert simulate_fuentes(therapists="single").data["therapist"].unique().tolist() == ["T01"]


def test_nested_therapists_make_the_alliance_contrast_noisier():
    """By theory patients bring 8.3²(1/n₁ + 1/n₀), of which ICC moves to the therapists, two in each condition."""
    contrasts = {role: [_alliance_contrast(seed, role) for seed in range(400)] for role in ("nested", "single")}
    variance = {role: float(np.var(values, ddof=1)) for role, values in contrasts.items()}
    patients = 8.3**2 * (1 / 59 + 1 / 58)
    expected = {"single": patients, "nested": 0.95 * patients + 0.05 * 8.3**2 * (1 / 2 + 1 / 2)}
    for role, value in expected.items():
        assert variance[role] == pytest.approx(value, rel=3 * np.sqrt(2 / 400))


def _alliance_contrast(seed: int, role: str) -> float:
    data = with_gains(simulate_fuentes(seed, therapists=role).data)
    means = data.groupby("group")["pain"].mean()
    return float((means["AE"] + means["SE"] - means["AL"] - means["SL"]) / 2)


def test_switching_the_therapists_leaves_the_groups_and_baselines_alone():
    one, other = simulate_fuentes(7).data, simulate_fuentes(7, therapists="single").data
    for name in ("group", "ppt_before", "pain_before"):
        assert one[name].equals(other[name])


def test_every_parameter_has_a_source():
    parameters = simulate_fuentes().parameters.set_index("name")
    assert parameters.index.is_unique
    assert parameters.loc["pain_AE", "source"].startswith("Fuentes 2014")
    assert "derived" in parameters.loc["pain_sd", "source"]
    assert parameters.loc["pain_before_mean", "source"] == "assumed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"therapists": "shared"}, "therapists is 'shared'"),
        ({"therapists": "nested", "n_therapists": 3}, "n_therapists is 3"),
        ({"n_therapists": 1}, "n_therapists is 1"),
        ({"per_group": {"AL": 30}}, "give a number for each of AL, SL, AE, SE"),
        ({"per_group": {"AL": 1, "SL": 29, "AE": 29, "SE": 29}}, "per_group of AL is 1"),
    ],
)
def test_options_outside_their_range_are_refused(options, words):
    with pytest.raises(AllianceError, match=words):
        simulate_fuentes(**options)
