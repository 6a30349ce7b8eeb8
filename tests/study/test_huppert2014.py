"""Huppert 2014: printed exp(b) follow from b; the printed slopes are recovered at both levels; who is at risk, and when."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.studies.huppert2014 import RATED, STUDY, TABLE, AtRisk
from alliance_stats.synthetic.huppert import PATIENT, SCALES, THERAPIST, simulate_huppert

ANALYSES = {a.name: a for a in STUDY.analyses}
TRIALS = 12


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


def test_every_printed_ratio_follows_from_its_coefficient(run):
    (audit,) = STUDY.audits.values()
    checks = audit()
    assert len(checks) == 7
    assert set(checks["verdict"]) == {"consistent"}
    rows = run.comparison()
    rows = rows[rows["analysis"] == "printed"]
    assert len(rows) == 7
    assert set(rows["verdict"]) == {"to the digit"}
    wrong = TABLE.assign(exp_b=TABLE["exp_b"] + 0.02)
    from alliance_stats.studies.huppert2014 import _checks

    assert {row["verdict"] for row in _checks(wrong)} == {"inconsistent"}


def test_the_intercept_is_a_hazard_of_028_a_session(run):
    risk = run.derived["printed/risk"].set_index("term")["estimate"]
    assert risk["rate a session, exp(b)"] == pytest.approx(0.0282, abs=5e-5)
    assert risk["probability, complementary log–log"] == pytest.approx(1 - np.exp(-np.exp(-3.57)))
    assert risk["left after 8 such sessions"] == pytest.approx(1 - np.exp(-8 * np.exp(-3.57)))


@pytest.mark.parametrize("level", [PATIENT, THERAPIST])
def test_ratings_of_each_level_carry_all_printed_slopes_at_once(level):
    """Regression of the log hazard on one scale alone: cov(weights'x, s'x)/var(s'x)."""
    V, w = level.covariance, level.weights
    assert np.linalg.eigvalsh(V).min() > 0
    for scale, s in {"task": (1, 0, 0), "bond": (0, 1, 0), "goal": (0, 0, 1), "total": (1, 1, 1)}.items():
        s = np.array(s)
        assert s @ V @ w / (s @ V @ s) == pytest.approx(getattr(level, scale), abs=1e-12)


@cache
def fits():
    """Twelve trials of 1,500 patients of 75 therapists, the total and the goal."""
    rows = []
    for seed in range(TRIALS):
        trial = simulate_huppert(rng=seed, patients=1500, therapists=75)
        for name in ("total", "goal"):
            analysis = ANALYSES[name]
            tidy = analysis.model.fit(analysis.prepare[0](trial.data)).tidy().set_index("term")
            for term in (f"wai_{name}_within", f"wai_{name}_between"):
                row, truth = tidy.loc[term], trial.true_value(name, term)
                rows.append((term, row["estimate"] - truth, row["conf_low"] <= truth <= row["conf_high"]))
    return pd.DataFrame(rows, columns=["term", "off", "covered"])


def test_printed_slopes_are_recovered_at_both_levels():
    for term, group in fits().groupby("term"):
        assert abs(group["off"].mean()) <= 3 * group["off"].std() / np.sqrt(TRIALS), term
        assert group["covered"].sum() >= 9, term  # fewer has a probability below .001 at a coverage of .95


def test_who_is_at_risk_is_counted_from_the_rating_to_the_session_before_the_last(run):
    data = STUDY.simulate().data
    periods = AtRisk(("wai_total",))(data)
    assert periods["session"].min() == RATED
    assert periods["session"].max() == 10
    last = data.groupby("patient")["session"].max()
    assert periods["dropped"].sum() == (last < 11).sum()
    assert len(periods) == np.minimum(last, 10).sub(RATED - 1).sum()
    once = periods.drop_duplicates("patient")
    means = once.groupby("therapist")["wai_total_within"].mean()
    assert means.abs().max() < 1e-9  # each patient counts once, however long the stay
    assert "at risk after sessions 3 to 10" in run.results["total"].notes[0]


def test_patients_who_left_before_the_rating_are_left_out_and_counted():
    data = STUDY.simulate().data
    early = pd.DataFrame({"patient": [901, 902, 902], "therapist": "T01", "session": [1, 1, 2]})
    periods = AtRisk(("wai_total",))(pd.concat([data, early], ignore_index=True))
    assert periods["patient"].nunique() == 133
    assert "2 patients had left before session 3" in periods.attrs["definition"]
    with pytest.raises(al.DataError, match="nobody is there at session 3"):
        AtRisk(("wai_total",))(data[data["session"] < 3])


def test_code_checks_pass_and_no_standard_error_is_recovered(run):
    frame = run.comparison()
    simulated = frame[frame["evidence"] == "simulated"]
    assert set(simulated["verdict"]) == {"code check passed", "not recoverable"}
    lacking = frame[frame["verdict"] == "not recoverable"].set_index("term")["note"]
    assert lacking["wai_total_within"] == "no standard errors are printed in the table"
    assert lacking["wai_goal_within"] == "left blank in the table"
    assert run.results["printed"].tidy()["std_error"].isna().all()
    ratios = run.derived["total/ratios"].set_index("term")["estimate"]
    assert ratios["wai_total_within"] == pytest.approx(
        np.exp(run.results["total"].tidy().set_index("term").loc["wai_total_within", "estimate"])
    )


def test_logit_and_complementary_log_log_agree_with_small_hazards(run):
    a, b = (run.results[name].tidy().set_index("term") for name in ("total", "total_logit"))
    off = (a["estimate"] - b["estimate"]).abs() / a["std_error"]
    assert off[["wai_total_within", "wai_total_between"]].max() < 0.05


def test_data_of_ones_own_run_with_rename(tmp_path):
    own = STUDY.simulate(rng=4, patients=90, therapists=9).data.rename(
        columns={"patient": "id", "wai_total": "alliance"}
    )
    own.to_csv(tmp_path / "mine.csv", index=False)
    run = STUDY.run(tmp_path / "mine.csv", rename={"id": "patient", "alliance": "wai_total"})
    assert run.evidence == "original data"
    assert set(run.results) == set(ANALYSES)
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "90 patients with" in page


def test_impossible_trials_are_refused_and_seeds_repeat():
    assert simulate_huppert(rng=2).data.equals(simulate_huppert(rng=2).data)
    assert not simulate_huppert(rng=2).data.equals(simulate_huppert(rng=3).data)
    for wrong in ({"therapists": 1}, {"patients": 30}, {"planned": 4}, {"intercept": 1.0}, {"therapist_sd": -1.0}):
        with pytest.raises(al.AllianceError, match="use"):
            simulate_huppert(**wrong)
    assert set(simulate_huppert().truth["analysis"]) == {"null", *SCALES}
