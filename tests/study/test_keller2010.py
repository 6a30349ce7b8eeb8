"""Keller 2010: what n the printed correlations need, and their recovery as r, beta-binomial and binomial."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import alliance_stats as al
from alliance_stats.studies.keller2010 import STUDY, ExposureShare, fewest_patients, fisher_interval, p_of_r
from alliance_stats.synthetic.keller import simulate_keller, true_slopes

TRIALS = 60


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


def test_p_and_interval_are_scipys():
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    y = 0.4 * x + rng.normal(size=60)
    found = stats.pearsonr(x, y)
    assert p_of_r(found.statistic, 60) == pytest.approx(found.pvalue, rel=1e-9)
    np.testing.assert_allclose(fisher_interval(found.statistic, 60), found.confidence_interval(0.95), rtol=1e-9)


@pytest.mark.parametrize(("r", "n"), [(0.32, 39), (0.19, 107)])
def test_fewest_patients_is_the_first_n_below_the_threshold(r, n):
    assert fewest_patients(r) == n
    assert p_of_r(r, n) < 0.05 <= p_of_r(r, n - 1)


def test_the_printed_page_says_what_is_recoverable(run):
    rounding = run.derived["printed/rounding"]
    assert rounding[["n_at_least", "n_needed", "n_at_most"]].to_numpy().tolist() == [[37, 39, 40], [102, 107, 113]]
    (audit,) = STUDY.audits.values()
    checks = audit()
    assert set(checks["verdict"]) == {"no power"}
    frame = run.comparison()
    assert (frame["verdict"] == "not recoverable").sum() == 2
    assert set(frame["verdict"]) == {"code check passed", "not recoverable"}
    with pytest.raises(al.AllianceError, match="patients, too"):
        fewest_patients(0.001)


def test_the_printed_correlations_are_those_of_the_population():
    data = simulate_keller(rng=5, patients=200_000, therapists=4_000).data
    share = ExposureShare()(data)
    # standard errors (1 − r²)/√n: .0028 in 100,000 and .0022 in 200,000, and a little more with therapists
    assert np.corrcoef(share["alliance"], share["share"])[0, 1] == pytest.approx(0.32, abs=0.01)
    assert np.corrcoef(data["alliance"], data["completed"])[0, 1] == pytest.approx(0.19, abs=0.008)


def test_slopes_of_the_beta_binomial_and_binomial_models_are_recovered():
    rows = []
    for seed in range(TRIALS):
        trial = simulate_keller(rng=seed, patients=600, therapists=30)
        for analysis in STUDY.analyses[2:4]:
            data = trial.data
            for step in analysis.prepare:
                data = step(data)
            row = analysis.model.fit(data).tidy().set_index("term").loc["alliance"]
            truth = trial.true_value(analysis.name, "alliance")
            rows.append((analysis.name, row["estimate"] - truth, row["conf_low"] <= truth <= row["conf_high"]))
    for name, group in pd.DataFrame(rows, columns=["name", "off", "covered"]).groupby("name"):
        assert abs(group["off"].mean()) <= 3 * group["off"].std() / np.sqrt(TRIALS), name
        assert group["covered"].sum() >= 49, name  # fewer has a probability below .001 at a coverage of .95


def test_the_correlation_is_pearsons_and_its_interval_fishers(run):
    data = ExposureShare()(run.data)
    found = stats.pearsonr(data["alliance"], data["share"])
    row = run.derived["adherence_r/correlation"].iloc[0]
    limits = found.confidence_interval(0.95)
    np.testing.assert_allclose(
        row[["estimate", "p_value", "conf_low", "conf_high"]].astype(float),
        [found.statistic, found.pvalue, *limits],
        rtol=1e-8,
    )


def test_without_therapists_the_correlations_remain():
    own = simulate_keller(rng=6).data.drop(columns="therapist").rename(columns={"alliance": "wai"})
    run = STUDY.run(own, rename={"wai": "alliance"})
    assert run.evidence == "original data"
    assert set(run.results) == {"adherence_r", "completion_r", "completion", "printed"}
    assert run.results["completion"].notes[0].startswith("therapist not measured; fitted without therapists")
    assert run.skipped["adherence"].startswith("therapist not measured")


def test_the_report_without_therapists_still_draws(tmp_path):
    own = simulate_keller(rng=6).data.drop(columns="therapist")
    page = STUDY.run(own).report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == len(STUDY.figures)


def test_wrong_exposures_and_impossible_correlations_are_refused():
    data = simulate_keller(rng=6).data
    with pytest.raises(al.DataError, match="did more than assigned"):
        ExposureShare()(data.assign(done=data["assigned"] + 1))
    with pytest.raises(al.DataError, match="no patient in exposure"):
        ExposureShare()(data[data["treatment"] == "sertraline"])
    with pytest.raises(al.AllianceError, match="r_adherence is"):
        true_slopes(0.99, 0.1)
    with pytest.raises(al.AllianceError, match="4 patients or more"):
        simulate_keller(patients=20)
