"""Lonsdale 2017: the printed P beside that of twelve centres, and recovery where centres are randomised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import alliance_stats as al
from alliance_stats.studies.lonsdale2017 import EFFECT, READINGS, STUDY, CentreMeans, PatientMeans
from alliance_stats.synthetic.lonsdale import simulate_lonsdale

ANALYSES = {a.name: a for a in STUDY.analyses}
TRIALS = 60


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


def test_the_three_readings_are_scipys(run):
    rows = run.results["printed"].tidy().set_index("term")
    by_z, by_t = 0.31 / stats.norm.ppf(0.975), 0.31 / stats.t.ppf(0.975, 10)
    expected = [2 * stats.norm.sf(0.41 / by_z), 2 * stats.t.sf(0.41 / by_z, 10), 2 * stats.t.sf(0.41 / by_t, 10)]
    np.testing.assert_allclose(rows.loc[list(READINGS), "p_value"], expected, rtol=1e-9)
    assert np.round(expected, 3).tolist() == [0.010, 0.027, 0.015]
    np.testing.assert_allclose(rows.loc[READINGS[0], ["conf_low", "conf_high"]].astype(float), [0.10, 0.72], atol=1e-12)
    np.testing.assert_allclose(rows.loc[READINGS[2], ["conf_low", "conf_high"]].astype(float), [0.10, 0.72], atol=1e-12)


def test_the_printed_p_is_that_of_twelve_centres_only_if_the_interval_was_made_with_t(run):
    verdicts = run.comparison().set_index("term")["verdict"]
    assert [verdicts[name] for name in READINGS] == ["to the digit", "differs", "to the digit"]
    (audit,) = STUDY.audits.values()
    checks = audit().set_index("item")["verdict"]
    assert [checks[name] for name in READINGS] == ["consistent", "inconsistent", "consistent"]


def test_the_interval_is_narrower_than_that_of_255_independent_ratings(run):
    values = run.derived["printed/precision"]["estimate"].to_numpy()
    np.testing.assert_allclose(values[:3], [0.41 / 0.28, 0.31 / 1.959964, 2 * (0.41 / 0.28) / np.sqrt(255)], rtol=1e-6)
    assert values[1] < values[2] < values[3]


def trials(icc: float, count: int) -> pd.DataFrame:
    rows = []
    for seed in range(count):
        data = simulate_lonsdale(rng=seed, centre_icc=icc).data
        for name in ("robust", "means", "naive"):
            frame = data
            for step in ANALYSES[name].prepare:
                frame = step(frame)
            row = ANALYSES[name].model.fit(frame).tidy().set_index("term").loc[EFFECT]
            rows.append((name, row["estimate"] - 0.41, row["conf_low"] <= 0.41 <= row["conf_high"]))
    return pd.DataFrame(rows, columns=["name", "off", "covered"])


def test_the_effect_is_recovered_and_ignoring_centres_is_too_sure():
    found = trials(0.05, 150)
    covered = found.groupby("name")["covered"].sum()
    for name in ("robust", "means"):
        off = found.loc[found["name"] == name, "off"]
        assert abs(off.mean()) <= 3 * off.std() / np.sqrt(len(off)), name
        assert covered[name] >= 132, name  # fewer of 150 has a probability below .001 at a coverage of .95
    assert covered["naive"] < 120  # 80 %


def test_the_mixed_model_recovers_the_effect_with_few_degrees_of_freedom():
    rows = []
    for seed in range(8):
        tidy = ANALYSES["centres"].model.fit(simulate_lonsdale(rng=seed).data).tidy().set_index("term").loc[EFFECT]
        rows.append((tidy["estimate"] - 0.41, tidy["df"], tidy["std_error"]))
    off, df, error = np.array(rows).T
    assert abs(off.mean()) <= 3 * off.std(ddof=1) / np.sqrt(len(off))
    assert np.all((df > 5) & (df < 255))
    assert np.all(error > 0.1)


def test_centres_in_two_arms_are_refused():
    data = simulate_lonsdale(rng=1).data
    with pytest.raises(al.DataError, match="centres are randomised as a whole"):
        CentreMeans()(data.assign(arm=np.where(data["patient"] % 2, "control", "training")))


def test_means_of_centres_count_each_patient_once():
    data = simulate_lonsdale(rng=1).data
    means = CentreMeans()(data)
    assert len(means) == 12
    one = data[data["centre"] == "C01"].groupby("patient")["adherence"].mean()
    row = means.set_index("centre").loc["C01"]
    assert row["adherence"] == pytest.approx(one.mean())
    assert row["patients"] == one.notna().sum()


def test_data_of_ones_own_run_with_and_without_therapists(tmp_path):
    own = simulate_lonsdale(rng=2).data.rename(columns={"patient": "id"})
    own.to_csv(tmp_path / "mine.csv", index=False)
    run = STUDY.run(tmp_path / "mine.csv", rename={"id": "patient"})
    assert run.evidence == "original data"
    assert "12 centres were randomised" in run.results["centres"].notes[-1]
    without = STUDY.run(own.drop(columns="therapist"), rename={"id": "patient"})
    assert without.results["centres"].notes[0].startswith("therapist not measured")
    assert "n_therapist" not in without.results["centres"].statistics
    assert without.report(tmp_path / "page.html").exists()


def test_impossible_trials_are_refused_and_seeds_repeat():
    assert simulate_lonsdale(rng=2).data.equals(simulate_lonsdale(rng=2).data)
    for wrong in ({"centres": 2}, {"therapists": 5}, {"patient_icc": 0.97}, {"missing": 0.95}, {"sd": 0.0}):
        with pytest.raises(al.AllianceError, match="use"):
            simulate_lonsdale(**wrong)


def test_autonomy_support_carries_what_the_generator_says():
    """Paths between and within physiotherapists, from the latent and from the observed means."""
    rows = []
    for seed in range(60):
        trial = simulate_lonsdale(rng=seed, patients=500)  # enough that no variance is estimated as zero
        data = PatientMeans()(trial.data)
        for name in ("mediated", "mediated_manifest"):
            tidy = (
                replace(ANALYSES[name].model, interval="delta")
                .fit(data)
                .tidy()
                .drop_duplicates("term")
                .set_index("term")
            )
            for row in trial.truth[trial.truth["analysis"] == name].itertuples():
                rows.append((name, row.term, tidy.loc[row.term, "estimate"] - row.value))
            rows.append((name, "manifest b", tidy.loc["b_between", "estimate"] - 0.6))
    found = pd.DataFrame(rows, columns=["analysis", "term", "off"])
    z = found.groupby(["analysis", "term"])["off"].agg(lambda off: off.mean() / (off.std() / np.sqrt(len(off))))
    for term in ("a", "b_within", "total"):
        assert abs(z["mediated", term]) < 3.3, term
        assert abs(z["mediated_manifest", term]) < 3.3, term
    for term in ("b_between", "indirect", "c_prime"):
        assert abs(z["mediated", term]) < 3.3, term
    assert z["mediated_manifest", "manifest b"] < -4  # the mean of few ratings is drawn towards b_within


def test_the_effect_and_the_spread_of_adherence_are_as_given_whatever_runs_through_support():
    """The mediator explains a part of the shares; it adds none."""
    sds = [[simulate_lonsdale(rng=seed, support_between=b, support_within=w).data.query("week == 1")
            .groupby("arm")["adherence"].std().mean() for seed in range(40)] for b, w in ((0.0, 0.0), (0.6, 0.3))]  # fmt: skip
    assert np.mean(sds[0]) == pytest.approx(np.mean(sds[1]), rel=0.03)
    with pytest.raises(al.AllianceError, match=r"therapist_icc is 0\.0: what runs through autonomy support"):
        simulate_lonsdale(therapist_icc=0.0)


def test_without_autonomy_support_the_mediation_is_left_out():
    own = simulate_lonsdale(rng=2).data
    run = STUDY.run(own.drop(columns="autonomy_support"))
    assert set(run.skipped) == {"mediated", "mediated_manifest"}
    assert "what runs through it cannot be told" in run.skipped["mediated"]
    assert "mediated" not in set(run.comparison()["analysis"])


def test_the_paper_prints_no_mediated_effect_and_the_page_says_so(run):
    rows = run.comparison().set_index(["analysis", "term"])
    assert np.isnan(rows.loc[("mediated", "indirect"), "printed"])
    assert "prints no mediated effect" in run.results["mediated"].notes[-1]
    assert any("prints no effect through autonomy support" in caution for caution in STUDY.cautions)


def test_patient_means_want_one_value_a_patient():
    data = simulate_lonsdale(rng=1).data
    means = PatientMeans()(data)
    assert len(means) == 255
    one = data[data["patient"] == 7]
    assert means.set_index("patient").loc[7, "adherence"] == pytest.approx(one["adherence"].mean())
    data.loc[0, "autonomy_support"] += 1
    with pytest.raises(al.DataError, match="patient 1 has two values of 'autonomy_support'"):
        PatientMeans()(data)
