"""Dependability: closed forms on balanced data, recovery on simulated therapies, Spearman–Brown on the printed number."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import alliance_stats as al
from alliance_stats.study.dependability import (
    needed_ratings,
    one_rating,
    over_sessions,
    patients_needed,
    sessions_needed,
    therapist_means,
)
from alliance_stats.study.explained import explained
from alliance_stats.study.printed_dependability import PrintedDependability, printed_needed, stepped_up

STUDY = al.studies["critschristoph2011"]
SIMULATE = partial(STUDY.simulate, missing=0.0)
TABLE = STUDY.tables["dependability"]
TRIALS = 120
BY_CHANCE = 0.0027  # three standard errors, two-sided


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


@pytest.fixture(scope="module")
def own():
    """A therapy of somebody's own, with other names."""
    return STUDY.simulate(rng=5).data.rename(columns={"patient": "id", "session": "visit", "alliance": "wai"})


def balanced(therapists: int, patients: int, sessions: int) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    t = np.repeat(rng.normal(size=therapists), patients * sessions)
    p = np.repeat(rng.normal(0, 1.5, therapists * patients), sessions)
    who = np.repeat(np.arange(therapists * patients), sessions)
    y = t + p + rng.normal(size=len(who))
    return pd.DataFrame(
        {"patient": who, "therapist": np.repeat(np.arange(therapists), patients * sessions), "alliance": y}
    )


def mean_squares(data: pd.DataFrame, sessions: int, patients: int) -> tuple[float, float, float]:
    of_patient = data.groupby(["therapist", "patient"])["alliance"].mean()
    of_therapist = of_patient.groupby("therapist").mean()
    error = data.groupby("patient")["alliance"].var().mean()
    return of_therapist.var() * patients * sessions, of_patient.groupby("therapist").var().mean() * sessions, error


def test_balanced_data_have_the_closed_form_of_the_analysis_of_variance():
    """With F the ratio of two mean squares, dependability is 1 − 1/F and the logit's SE F/(F − 1)·√(2/df₁ + 2/df₂)."""
    T, n, k = 12, 6, 5
    data = balanced(T, n, k)
    ms_t, ms_p, ms_e = mean_squares(data, k, n)
    fit = al.MixedModel("alliance ~ 1 + (1 | patient) + (1 | therapist)").fit(data)
    cases = [
        (over_sessions(fit, (k,)), ms_p / ms_e, T * (n - 1), T * n * (k - 1)),
        (therapist_means(fit, (k,), (n,)), ms_t / ms_p, T - 1, T * (n - 1)),
    ]
    for found, F, df1, df2 in cases:
        G, spread = 1 - 1 / F, F / (F - 1) * np.sqrt(2 / df1 + 2 / df2)
        assert found["estimate"].iloc[0] == pytest.approx(G, rel=1e-5)  # where the search for the optimum stops
        logit = np.log(found[["conf_low", "conf_high"]]) - np.log1p(-found[["conf_low", "conf_high"]])
        low, high = logit.iloc[0]
        assert high - low == pytest.approx(2 * 1.959964 * spread, rel=1e-3)  # Hessian by differences
        assert (low + high) / 2 == pytest.approx(np.log(F - 1), rel=1e-5)


def test_rows_are_those_of_dependability_and_needed_numbers_reach_the_threshold():
    data = balanced(12, 6, 5)
    fit = al.MixedModel("alliance ~ 1 + (1 | patient) + (1 | therapist)").fit(data)
    rows = over_sessions(fit, (1, 3, 9))
    np.testing.assert_allclose(
        rows["estimate"], al.dependability(fit, "patient", (1, 3, 9))["dependability"], rtol=1e-12
    )
    one = one_rating(fit).set_index("term")
    assert one["estimate"].sum() == pytest.approx(1)
    assert one.loc["error", "conf_low"] == pytest.approx(1 - one.loc["patients", "conf_high"])
    for threshold, row in zip((0.8, 0.9), sessions_needed(fit).itertuples(), strict=True):
        at, before = (al.dependability(fit, "patient", (max(int(m), 1),))["dependability"].iloc[0]
                      for m in (row.n_needed, row.n_needed - 1))  # fmt: skip
        assert at >= threshold
        assert row.n_needed == 1 or before < threshold
        assert stepped_up(one.loc["patients", "estimate"], row.estimate) == pytest.approx(threshold)
        assert row.conf_low < row.estimate < row.conf_high
    needed = patients_needed(fit, (0.8,), sessions=4).iloc[0]
    reached = al.dependability(fit, "therapist", (4,), (int(needed["n_needed"]),))["dependability"].iloc[0]
    assert reached >= 0.8


def test_no_variance_between_therapists_means_no_number_is_enough():
    data = balanced(6, 4, 5)
    centred = data.assign(alliance=data["alliance"] - data.groupby("therapist")["alliance"].transform("mean"))
    fit = al.MixedModel("alliance ~ 1 + (1 | patient) + (1 | therapist)").fit(centred)
    assert therapist_means(fit)["estimate"].eq(0).all()
    assert therapist_means(fit)["conf_low"].isna().all()
    assert np.isinf(patients_needed(fit)["estimate"]).all()
    assert over_sessions(fit)["conf_low"].notna().all()
    with pytest.raises(al.AllianceError, match="between 0 and 1"):
        needed_ratings(1.0, 0.9)


def test_intervals_of_dependability_cover_the_truth():
    hits = 0
    for seed in range(TRIALS):
        fit = al.MixedModel("alliance ~ 1 + (1 | patient) + (1 | therapist)").fit(SIMULATE(seed).data)
        row = over_sessions(fit, (1,)).iloc[0]
        hits += row["conf_low"] <= 0.77 <= row["conf_high"]
    assert binomtest(hits, TRIALS, 0.95).pvalue > BY_CHANCE


def test_coefficients_and_shares_of_the_outcome_are_recovered():
    rows = []
    for seed in range(TRIALS):
        trial = STUDY.simulate(seed, outcome_icc=0.0)
        data = STUDY.analyses[1].prepare[0](trial.data)
        for analysis, term in (("session3", "alliance_session3"), ("sessions3to9", "alliance_mean")):
            fit = al.LinearModel(f"depression_after ~ depression_before + {term}").fit(data)
            share = explained(fit, term).iloc[0]
            truth = [trial.true_value(analysis, name) for name in (term, "share of all variance")]
            b = fit.tidy().set_index("term").loc[term]
            rows.append((analysis, b["estimate"] - truth[0], b["conf_low"] <= truth[0] <= b["conf_high"],
                         share["conf_low"] <= truth[1] <= share["conf_high"]))  # fmt: skip
    table = pd.DataFrame(rows, columns=["analysis", "off", "covered", "share_covered"])
    for _, group in table.groupby("analysis"):
        assert abs(group["off"].mean()) <= 3 * group["off"].std() / np.sqrt(TRIALS)
        assert binomtest(int(group["covered"].sum()), TRIALS, 0.95).pvalue > BY_CHANCE
        assert binomtest(int(group["share_covered"].sum()), TRIALS, 0.95).pvalue > BY_CHANCE


def test_explained_is_the_difference_of_two_r_squared():
    data = STUDY.analyses[1].prepare[0](SIMULATE(3).data)
    fit, without = (
        al.LinearModel(f"depression_after ~ depression_before{x}").fit(data) for x in (" + alliance_mean", "")
    )
    found = explained(fit, "alliance_mean").set_index("term")["estimate"]
    full, rest = (result.statistics["r2_marginal"].iloc[0] for result in (fit, without))
    gain = full - rest
    assert found["share of all variance"] == pytest.approx(gain, rel=1e-9)
    assert found["share of the variance left"] == pytest.approx(gain / (1 - rest), rel=1e-9)
    with pytest.raises(al.AllianceError, match="classical"):
        explained(al.LinearModel("depression_after ~ alliance_mean", vcov="HC3").fit(data), "alliance_mean")


def test_spearman_brown_on_the_printed_number():
    fit = PrintedDependability().fit(TABLE)
    found = fit.tidy().set_index("term")["estimate"]
    assert found.loc[["1 session", "2 sessions", "3 sessions", "4 sessions"]].round(3).tolist() == [
        0.770,
        0.870,
        0.909,
        0.931,
    ]
    needed = printed_needed(fit).set_index("term")
    assert needed.loc["sessions for .80", ["n_at_least", "n_needed", "n_at_most"]].tolist() == [2, 2, 2]
    assert needed.loc["sessions for .90", ["n_at_least", "n_needed", "n_at_most"]].tolist() == [3, 3, 3]
    assert stepped_up(0.765, 3) > 0.90  # whatever .77 was rounded from
    with pytest.raises(al.AllianceError, match="2 rows"):
        PrintedDependability().fit(pd.concat([TABLE, TABLE]))
    with pytest.raises(al.AllianceError, match="no rows"):
        al.simulate(fit)


def test_the_printed_four_sessions_are_reported_as_not_following_from_the_printed_dependability(run):
    frame = run.comparison().set_index(["analysis", "term"])
    row = frame.loc[("printed/needed", "sessions for .90")]
    assert (row["verdict"], row["evidence"], row["rerun"]) == ("differs", "summary statistics", 3)
    assert frame.loc[("printed/needed", "sessions for .80"), "verdict"] == "to the digit"
    (audit,) = STUDY.audits.values()
    checks = audit().set_index("item")
    assert checks.loc["dependability of .90", "verdict"] == "inconsistent"
    assert ".692 to .750" in checks.loc["dependability of .90", "detail"]
    assert checks.loc["dependability of .80", "verdict"] == "consistent"
    assert stepped_up(0.6923, 4) == pytest.approx(0.9, abs=1e-3)
    assert stepped_up(0.75, 3) == pytest.approx(0.9, abs=1e-3)


def test_error_alone_does_not_make_the_printed_rise_of_explained_variance(run):
    shares = run.derived["printed/shares"].set_index("term")["estimate"]
    assert shares["expected, mean of 7 sessions"] == pytest.approx(0.047 * 0.95908 / 0.77, abs=1e-5)
    assert shares["expected, without error"] < 0.147 / 2
    therapists = run.derived["printed/therapist_shares"].set_index("term")["estimate"]
    assert therapists["60 patients reach .80"] == pytest.approx(0.0625)


def test_runs_on_a_file_of_ones_own_with_rename(own, tmp_path):
    path = tmp_path / "mine.csv"
    own.to_csv(path, index=False)
    run = STUDY.run(path, rename={"id": "patient", "visit": "session", "wai": "alliance"})
    assert run.evidence == "original data"
    assert set(run.results) == {a.name for a in STUDY.analyses}
    verdicts = run.comparison().set_index(["analysis", "term"])["verdict"]
    assert verdicts[("data", "patients")] == "to the digit"
    assert set(verdicts) <= {
        "to the digit",
        "within rounding",
        "inside published interval",
        "differs",
        "not recoverable",
    }
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "45 patients with" in page


def test_without_therapists_the_ratings_are_analysed_without_them(own):
    frame = own.rename(columns={"id": "patient", "visit": "session", "wai": "alliance"})
    for data, reason in (
        (frame.drop(columns="therapist"), "therapist not measured"),
        (frame.assign(therapist=np.where(frame["patient"] < 20, "A", "B")), "'therapist' has 2 groups, 3 needed"),
    ):
        run = STUDY.run(data)
        assert run.results["ratings"].model.formula == "alliance ~ 1 + (1 | patient)"
        assert run.results["ratings"].notes[0].startswith(reason)
        assert run.skipped["therapists"].startswith(reason)
        assert len(run.derived["ratings/therapist_means"]) == 0
    verdict = STUDY.run(frame.drop(columns="therapist")).comparison().set_index(["analysis", "term"])["verdict"]
    assert verdict[("data", "therapists")] == "not recoverable"


def test_rows_without_a_therapist_are_left_out_and_counted(own):
    frame = own.rename(columns={"id": "patient", "visit": "session", "wai": "alliance"})
    some = frame.assign(therapist=frame["therapist"].where(frame["patient"] > 3))
    lost = int((frame["patient"] <= 3).sum())
    run = STUDY.run(some)
    assert run.results["ratings"].notes[0] == f"{lost} of {len(frame)} rows without therapist left out"
    assert run.results["therapists"].notes[0] == f"{lost} of {len(frame)} rows without therapist left out"
    assert run.results["session3"].statistics["n_obs"].iloc[0] >= 43  # these need no therapist


def test_an_outcome_that_changes_within_a_patient_is_an_error(own):
    frame = own.rename(columns={"id": "patient", "visit": "session", "wai": "alliance"})
    with pytest.raises(al.DataError, match="values of 'depression_after'"):
        STUDY.run(frame.assign(depression_after=np.arange(len(frame), dtype=float)))


def test_patients_count_once_in_the_description(run):
    described = run.describe().set_index("variable")
    assert described.loc["depression_after", "n"] == 45
    assert described.loc["alliance", "n"] == run.data["alliance"].notna().sum()
    assert run.patients == 45
    with pytest.raises(al.AllianceError, match="no flow"):
        run.flow()


def test_within_and_between_therapists_say_what_they_rest_on(run):
    notes = " ".join(run.results["therapists"].notes)
    assert "9 therapists: the variance between them rests on at most 8 degrees of freedom" in notes
    assert "compares 9 therapists, not 45 patients" in notes
    assert run.results["therapists"].model.df_method == "kenward-roger"
    tidy = run.results["therapists"].tidy().set_index("term")
    contextual = run.derived["therapists/contextual"].iloc[0]
    difference = tidy.loc["alliance_mean_between", "estimate"] - tidy.loc["alliance_mean_within", "estimate"]
    assert contextual["estimate"] == pytest.approx(difference)
