"""The composed trial of a biological mechanism: its truth, what the analyses find of it, and that it is never evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.claims import claims, claims_evidence
from alliance_stats.studies.biomarker_mediation import STUDY
from alliance_stats.synthetic.biomarker import Mechanism, simulate_biomarker

ANALYSES = {analysis.name: analysis for analysis in STUDY.analyses}
TRIALS = 120


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


def test_the_truth_adds_up():
    trial, m = simulate_biomarker(rng=1), Mechanism()
    value = {term: trial.true_value("serial", term) for term in ("indirect", "direct", "total")}
    assert value["total"] == pytest.approx(value["indirect"] + value["direct"])
    assert value["indirect"] == pytest.approx(m.through_alliance + m.through_biomarker + m.through_both)
    assert m.through_both == pytest.approx(6.0 * 0.03 * -1.0)
    assert trial.true_value("alliance_biomarker", "indirect") == pytest.approx(-0.03)


def test_the_truth_is_what_moving_the_arm_alone_does():
    """Two trials of one seed that differ in the arm's direct effects alone differ by them, patient by patient."""
    own = simulate_biomarker(rng=3, missing=0.0).data
    moved = simulate_biomarker(rng=3, missing=0.0, arm_pain=-1.3).data
    treated = own["arm"] == "enhanced"
    np.testing.assert_allclose((moved["pain"] - own["pain"])[treated], -1.0, atol=1e-9)
    np.testing.assert_allclose((moved["pain"] - own["pain"])[~treated], 0.0, atol=1e-9)


def test_every_effect_is_recovered_with_its_coverage():
    rows = []
    for seed in range(TRIALS):
        trial = simulate_biomarker(rng=seed)
        for name in ("serial", "alliance_biomarker"):
            tidy = replace(ANALYSES[name].model, interval="delta").fit(trial.data).tidy()
            tidy = tidy[tidy["component"].isin(["effect", "path"])].set_index("term")
            for row in trial.truth[trial.truth["analysis"] == name].itertuples():
                found = tidy.loc[row.term]
                rows.append(
                    (name, row.term, found.estimate - row.value, found.conf_low <= row.value <= found.conf_high)
                )
    found = pd.DataFrame(rows, columns=["analysis", "term", "off", "covered"])
    for key, each in found.groupby(["analysis", "term"]):
        assert abs(each["off"].mean()) <= 3.5 * each["off"].std() / np.sqrt(TRIALS), (
            key
        )  # 18 terms, 3.5 Monte Carlo errors
        assert each["covered"].sum() >= 104, key  # fewer of 120 has a probability below .001 at .95


def test_leaving_alliance_out_gives_the_biomarker_too_much():
    model = replace(ANALYSES["without_alliance"].model, interval="delta")
    off = []
    for seed in range(40):
        trial = simulate_biomarker(rng=seed)
        tidy = model.fit(trial.data).tidy().set_index("term")
        off.append(tidy.loc["indirect", "estimate"] - (-0.18 - 0.05))  # through the biomarker, by any way to it
    assert np.mean(off) < -0.05
    assert abs(np.mean(off)) > 4 * np.std(off) / np.sqrt(len(off))


def test_the_run_checks_every_truth_and_prints_nothing_as_published(run):
    rows = run.comparison()
    assert len(rows) == len(STUDY.targets) == 17
    assert set(rows["verdict"]) == {"code check passed"}
    assert rows["printed"].isna().all()
    assert set(rows["evidence"]) == {"simulated"}


def test_on_data_of_ones_own_there_is_nothing_to_compare_with():
    run = STUDY.run(simulate_biomarker(rng=5).data)
    assert run.evidence == "original data"
    assert run.comparison().empty
    without = STUDY.run(simulate_biomarker(rng=5).data.drop(columns="therapist"))
    assert without.results["serial"].model.cluster is None
    assert (
        without.results["serial"].notes[0].startswith("therapist not measured; fitted as if patients were independent")
    )


def test_simulated_data_leave_the_claim_untested_and_original_data_do_not(run):
    row = claims([run]).set_index("claim").loc["C7"]
    assert row["verdict"] == "untested"
    assert row["supports"] == row["contradicts"] == row["leaves_open"] == 0
    assert row["code_check"] == "code check passed (2 rows)"
    assert "biomarker_mediation, simulated" in row["tests"]
    assert "biomarker_mediation" not in " ".join(claims_evidence("C7", [run])["study"])
    own = STUDY.run(simulate_biomarker(rng=5).data)
    added = claims_evidence("C7", [own]).set_index("id").loc["biomarker_mediation-serial"]
    assert added["design"] == "randomised"
    assert "alliance and biomarker were not" in added["note"]
    assert "z = ," not in added["recomputed"]


def test_impossible_trials_are_refused_and_seeds_repeat():
    assert simulate_biomarker(rng=2).data.equals(simulate_biomarker(rng=2).data)
    for wrong in ({"patients": 40}, {"therapists": 1}, {"missing": 0.95}, {"sd_pain": 0.0}, {"therapist_pain": -1.0}):
        with pytest.raises(al.AllianceError, match="use"):
            simulate_biomarker(**wrong)
