"""Repeated measures and therapists in Ferreira 2013 and Fuentes 2014."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import alliance_stats as al
from alliance_stats.study.declare import Analysis
from alliance_stats.study.therapists import therapist_remarks

FERREIRA, FUENTES = al.studies["ferreira2013"], al.studies["fuentes2014"]
TRIALS = 60
BY_CHANCE = 0.0027


@pytest.fixture(scope="module")
def ferreira():
    return FERREIRA.run()


@pytest.fixture(scope="module")
def random_trial():
    """Not the exact stand-in: whole numbers, baselines that differ between groups."""
    return FUENTES.simulate(rng=11, exact=False).data


def only(study, *names: str):
    return replace(study, analyses=tuple(a for a in study.analyses if a.name in names), targets=())


@pytest.mark.parametrize("name", ["pain", "ppt"])
def test_time_by_group_is_the_contrast_of_change_scores(random_trial, name):
    """Two complete ratings and a patient intercept: estimates, standard errors and df are those of the change scores."""
    run = FUENTES.run(random_trial, therapists="crossed")
    for frame in ("effects", "se_al", "groups"):
        repeated, change = run.derived[f"{name}_course/{frame}"], run.derived[f"{name}_change/{frame}"]
        assert repeated["term"].tolist() == change["term"].tolist()
        for column in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
            np.testing.assert_allclose(repeated[column], change[column], rtol=2e-4, atol=1e-9)
    adjusted = run.derived[f"{name}/effects"]["std_error"]
    assert (run.derived[f"{name}_course/effects"]["std_error"] > adjusted).all()


def test_a_patient_with_one_rating_stays_in_the_repeated_measures(random_trial):
    data = random_trial.assign(pain_after=random_trial["pain_after"].where(random_trial["patient"] > 10))
    run = FUENTES.run(data, therapists="single")
    assert run.results["pain_change"].statistics["n_obs"].iloc[0] == 107
    assert run.results["pain_course"].statistics["n_obs"].iloc[0] == 224
    assert run.results["pain_course"].statistics["n_patient"].iloc[0] == 117


def test_therapists_enter_where_the_option_says_there_are_several(random_trial):
    single = FUENTES.run(random_trial, therapists="single")
    assert "pain_therapists" not in single.results
    crossed = FUENTES.run(random_trial, therapists="crossed")
    notes = " ".join(crossed.results["pain_therapists"].notes)
    assert "4 therapists: the variance between them rests on at most 3 degrees of freedom" in notes
    assert "worked in one level" not in notes


def test_nested_therapists_leave_the_condition_few_degrees_of_freedom():
    data = FUENTES.simulate(rng=11, exact=False, therapists="nested").data
    data["pain_after"] += 6.0 * (data["therapist"].astype("category").cat.codes % 2)  # therapists differ
    data["pain_after"] = data["pain_after"].clip(0, 100)
    run = FUENTES.run(data, therapists="nested")
    effects = run.derived["pain_therapists/effects"].set_index("term")
    naive = run.derived["pain/effects"].set_index("term")
    assert effects.loc["enhanced − limited", "df"] < 5  # 4 therapists, 2 conditions
    assert effects.loc["enhanced − limited", "std_error"] > 2 * naive.loc["enhanced − limited", "std_error"]
    assert effects.loc["active − sham", "df"] > 100  # crossed with therapists
    notes = " ".join(run.results["pain_therapists"].notes)
    assert "every therapist worked in one level of 'alliance' only (limited: 2, enhanced: 2)" in notes
    assert "about 33, 20 and 12 %" in notes
    assert "one level of 'treatment'" not in notes


def test_two_therapists_are_too_few(random_trial):
    two = random_trial.assign(therapist=np.where(random_trial["patient"] % 2, "A", "B"))
    run = FUENTES.run(two, therapists="crossed")
    assert run.skipped["pain_therapists"].startswith("'therapist' has 2 groups, 3 needed")


def test_ferreira_course_has_therapists_at_the_end_and_a_variance_for_each_wave(ferreira):
    tidy = ferreira.results["psfs_course"].tidy()
    assert tidy.loc[tidy["component"] == "residual", "group"].tolist() == ["baseline", "session 2", "8 weeks"]
    assert tidy.loc[tidy["group"] == "therapist", "term"].tolist() == ["sd(ended)"]
    assert ferreira.results["psfs_course"].statistics["n_patient"].iloc[0] == 182  # those without 8 weeks stay in
    changes = ferreira.derived["psfs_course/changes"].set_index("term")["estimate"]
    assert changes["8 weeks − baseline"] == pytest.approx(
        changes["session 2 − baseline"] + changes["8 weeks − session 2"]
    )


def test_ferreira_without_session_2_and_without_therapists():
    data = FERREIRA.simulate(rng=6).data
    waves = [name for name in data if name.endswith("_session2")]
    run = FERREIRA.run(data.drop(columns=[*waves, "therapist"]))
    assert run.derived["psfs_course/changes"]["term"].tolist() == ["8 weeks − baseline"]
    course = run.results["psfs_course"]
    assert "therapist" not in course.model.formula
    assert course.notes[0].startswith("therapist not measured; fitted without therapists")
    assert not any("degrees of freedom" in note for note in course.notes)
    assert "what lies between therapists cannot be looked at" in run.skipped["rmdq_therapists"]


def test_ferreira_therapists_are_told_apart_within_and_between(ferreira):
    result = ferreira.results["psfs_therapists"]
    within = result.frame.groupby(ferreira.data.loc[result.frame.index, "therapist"])["alliance_between"].nunique()
    assert (within == 1).all()
    assert result.tidy().set_index("term").loc["alliance_between", "df"] < 13  # 12 therapists
    assert result.tidy().set_index("term").loc["alliance_within", "df"] > 100
    assert ferreira.derived["psfs_therapists/caseload"]["n_groups"].iloc[0] == 12


@pytest.mark.parametrize("key", ["psfs_therapists", "psfs_course"])
def test_the_truth_of_the_levels_comes_back(key):
    """Continuous outcomes, for which the truth holds; no path from early improvement to the alliance."""
    study, rows = only(FERREIRA, key), []
    for seed in range(TRIALS):
        trial = FERREIRA.simulate(rng=seed, integer=False)
        analysis: Analysis = study.analyses[0]
        data = trial.data
        for step in analysis.prepare:
            data = step(data)
        result = analysis.model.fit(data)
        frame = result.tidy() if key == "psfs_therapists" else analysis.derived["changes"](result)
        known = trial.truth[trial.truth["analysis"] == key].set_index("term")["value"]
        found = frame[frame["term"].isin(known.index)].set_index("term")
        assert set(found.index) == set(known.index)
        covered = (found["conf_low"] <= known[found.index]) & (known[found.index] <= found["conf_high"])
        rows.append(pd.DataFrame({"off": found["estimate"] - known[found.index], "covered": covered}))
    for _, group in pd.concat(rows).groupby(level=0):
        assert abs(group["off"].mean()) <= 3 * group["off"].std() / np.sqrt(TRIALS)
        assert binomtest(int(group["covered"].sum()), TRIALS, 0.95).pvalue > BY_CHANCE


def test_early_improvement_shows_as_change_before_the_rating():
    trial = FERREIRA.simulate(rng=8, n=1500, early_improvement="strong")
    run = only(FERREIRA, "psfs_course").run(trial.data)
    changes = run.derived["psfs_course/changes"].set_index("term")
    assert changes.loc["session 2 − baseline", "p_value"] < 1e-6


def test_a_secondary_analysis_that_cannot_be_fitted_does_not_take_the_others_with_it():
    data = FERREIRA.simulate(rng=6).data
    flat = data.assign(rmdq_baseline=5.0, rmdq_session2=5.0, rmdq_8w=5.0)
    run = only(FERREIRA, "psfs", "rmdq_course").run(flat)
    assert "nothing to explain" in run.skipped["rmdq_course"]
    assert "psfs" in run.results
    with pytest.raises(al.DataError):
        only(FERREIRA, "psfs").run(data.assign(psfs_8w=5.0))


def test_partly_nested_therapists_are_named():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {"therapist": np.repeat(list("abcdef"), 10), "arm": np.tile(["x", "y"], 30), "y": rng.normal(size=60)}
    )
    data.loc[data["therapist"].isin(["a", "b"]), "arm"] = "x"
    fit = al.MixedModel("y ~ arm + (1 | therapist)").fit(data)
    assert any(
        "2 of 6 therapists worked in one level of 'arm' only" in note for note in therapist_remarks(fit, ("arm",))
    )
    assert therapist_remarks(al.LinearModel("y ~ arm").fit(data), ("arm",)) == ()
