"""Running a study: options, evidence, skipped analyses, and one's own data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.study.stand_in import write_stand_in

KEYS = list(al.studies)


@pytest.fixture(scope="module")
def runs():
    return {key: al.studies[key].run() for key in KEYS}


@pytest.fixture
def ferreira_csv(tmp_path):
    """A trial of somebody's own: the same columns, other numbers."""
    trial = al.studies["ferreira2013"].simulate(rng=5)
    path = tmp_path / "mine.csv"
    trial.data.rename(columns={"patient": "id", "alliance": "wai_total"}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("key", KEYS)
def test_a_stand_in_run_is_simulated_and_complete(runs, key):
    run = runs[key]
    assert run.evidence == "simulated"
    assert all("not separable from early improvement" in reason for reason in run.skipped.values())
    assert {a.name for a in run.study.analyses if a.role == "primary"} <= set(run.results)


def test_own_data_run_with_rename_equals_the_same_frame(ferreira_csv):
    before = ferreira_csv.read_bytes()
    study = al.studies["ferreira2013"]
    run = study.run(ferreira_csv, rename={"id": "patient", "wai_total": "alliance"})
    frame = pd.read_csv(ferreira_csv).rename(columns={"id": "patient", "wai_total": "alliance"})
    same = study.run(frame)
    assert run.evidence == same.evidence == "original data"
    for name, result in run.results.items():
        pd.testing.assert_frame_equal(result.tidy(), same.results[name].tidy())
    assert ferreira_csv.read_bytes() == before


def test_a_run_refits_what_the_model_alone_gives(ferreira_csv):
    run = al.studies["ferreira2013"].run(ferreira_csv, rename={"id": "patient", "wai_total": "alliance"})
    frame = pd.read_csv(ferreira_csv).rename(columns={"wai_total": "alliance"})
    alone = al.LinearModel("psfs_8w ~ alliance + arm + psfs_baseline").fit(frame)
    np.testing.assert_allclose(run.results["psfs"].tidy()["estimate"], alone.tidy()["estimate"], rtol=1e-12)


def test_what_was_not_measured_is_skipped_with_the_reason():
    data = al.studies["ferreira2013"].simulate(rng=6).data
    run = al.studies["ferreira2013"].run(data.drop(columns=["pain_session2", "therapist"]))
    levels = {f"{name}_therapists" for name in ("psfs", "gpe", "pain", "rmdq")}
    assert set(run.skipped) == {
        "pain_at_rating",
        "gpe_at_rating",
        *levels,
    }  # no effect rating at session 2 in the stand-in
    assert "not separable from early improvement" in run.skipped["pain_at_rating"]
    assert "therapist not measured" in run.skipped["psfs_therapists"]
    assert "psfs_at_rating" in run.results


def test_fuentes_asks_how_therapists_relate_to_conditions():
    data = al.studies["fuentes2014"].simulate(rng=6).data
    with pytest.raises(al.AllianceError, match=r"option 'therapists' is needed.*crossed.*nested.*single"):
        al.studies["fuentes2014"].run(data)
    with pytest.raises(al.AllianceError, match="option 'therapists' is 'some'"):
        al.studies["fuentes2014"].run(data, therapists="some")
    with pytest.raises(al.AllianceError, match="has no option 'therapist'"):
        al.studies["fuentes2014"].run(data, therapist="single")
    nested = al.studies["fuentes2014"].run(data, therapists="nested")
    assert "pain_by_therapist" in nested.results
    assert "pain_within_therapists" not in nested.results


def test_another_form_of_the_scale_needs_its_range():
    data = al.load_synthetic("ferreira2013")
    wide = data.assign(alliance=data["alliance"] * 1.4)
    with pytest.raises(al.DataError, match=r"'alliance'.*12 to 60"):
        al.studies["ferreira2013"].run(wide)
    run = al.studies["ferreira2013"].run(wide, ranges={"alliance": (16.8, 84)})
    assert run.maximum("alliance") == 84


def test_simulated_data_never_pass_for_a_trial(tmp_path):
    study = al.studies["ferreira2013"]
    assert study.run(al.load_synthetic("ferreira2013")).evidence == "simulated"
    renamed = al.load_synthetic("ferreira2013").assign(patient=lambda d: d["patient"] + 1000)
    assert study.run(renamed.drop(columns="therapist")).evidence == "simulated"
    write_stand_in(study, tmp_path, rng=99)
    run = study.run(tmp_path / "ferreira2013.csv")
    assert run.evidence == "simulated"
    assert set(run.comparison()["verdict"]) <= {"code check passed", "code check failed", "not recoverable"}


def test_across_shows_one_effect_from_every_source(runs):
    rows = runs["fuentes2014"].across("SE − AL").set_index("analysis")
    # Arithmetic on printed numbers: 22.2 − 18.3; centres 21.95 − 17.30; 22.00 − 18.17; 1.7 − 1.2.
    expected = {
        "printed_pain/se_al": (3.9, -0.4, 8.2),
        "printed_pain_centres/se_al": (4.65, 0.4, 8.9),
        "printed_ppt/se_al": (0.5, -0.1, 1.1),
    }
    for name, numbers in expected.items():
        found = rows.loc[name, ["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found, numbers, atol=0.0501)  # printed to one decimal
        assert rows.loc[name, "evidence"] == "summary statistics"
    with pytest.raises(al.AllianceError, match="no analysis"):
        runs["fuentes2014"].across("nobody")


def test_a_study_with_a_fault_in_its_declaration_is_refused():
    from dataclasses import replace

    study = al.studies["fuentes2014"]
    with pytest.raises(al.AllianceError, match="share a name"):
        replace(study, analyses=(*study.analyses, study.analyses[0]))
    with pytest.raises(al.AllianceError, match="names no declared estimand"):
        replace(study, estimands={})


def test_unknown_study_lists_the_known():
    with pytest.raises(al.AllianceError, match="ferreira2013, fuentes2014"):
        al.studies["ferreira2031"]
