"""Cox models on bad input, on separated data, and against closed forms and simulations with known truth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats import contrast, predict
from alliance_stats.design.dropout import dropout_frame
from alliance_stats.errors import AllianceError, ConvergenceError, DataError, FormulaError
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_checks import concordance, proportional_hazards, schoenfeld_residuals
from alliance_stats.models.cox_curves import baseline_hazard, event_probabilities, frailties, hazard_ratios
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.survival_response import read_surv

TIMED = "Surv(start, stop, dropped) ~ alliance"


@cache
def intervals() -> pd.DataFrame:
    """Ninety patients with up to four intervals each, two sites."""
    rng = np.random.default_rng(3)
    rows = []
    for patient in range(90):
        for k in range(4):
            alliance = rng.normal()
            left = rng.random() < 0.15 * np.exp(-0.6 * alliance)
            rows.append((patient, patient // 9, patient % 2, float(k), k + 1.0, alliance, int(left)))
            if left:
                break
    return pd.DataFrame(rows, columns=["patient", "therapist", "site", "start", "stop", "alliance", "dropped"])


def changed(row: int, **values: Any) -> pd.DataFrame:
    frame = intervals().copy()
    for name, value in values.items():
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("row", "values", "message"),
    [
        (5, {"stop": -1.0, "start": -2.0}, r"'stop' is negative in 1 rows \(first: row 5\)"),
        (5, {"start": 9.0}, r"'stop' comes before 'start' in 1 rows \(first: row 5\)"),
        (5, {"start": 1.0, "stop": 1.0}, "an interval without length in 1 rows"),
        (5, {"dropped": 2}, "the event 'dropped' holds .*2; it must be 1"),
        (5, {"stop": np.inf}, "column 'stop' holds infinite values"),
    ],
)
def test_bad_rows_are_named(row: int, values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        CoxModel(TIMED).fit(changed(row, **values))


def test_overlapping_intervals_and_time_after_an_event_need_the_patient() -> None:
    frame = intervals()
    first = frame.index[frame["start"] == 1][0]
    overlapping = changed(first, start=0.5)
    with pytest.raises(DataError, match=r"intervals of one patient overlap \(1 times, first in patient \d+\)"):
        CoxModel(TIMED, patient="patient").fit(overlapping)
    assert any("was not checked" in note for note in CoxModel(TIMED).fit(overlapping).notes)
    with pytest.raises(DataError, match="an event is followed by more time"):
        CoxModel(TIMED, patient="patient").fit(changed(first - 1, dropped=1))
    gap = CoxModel(TIMED, patient="patient").fit(changed(first, start=1.5))
    assert "1 gaps between intervals of a patient; nobody is at risk in a gap" in gap.notes


def test_sessions_out_of_order_change_nothing() -> None:
    model = CoxModel(TIMED, patient="patient", cluster="therapist")
    straight = model.fit(intervals()).tidy()
    shuffled = model.fit(intervals().sample(frac=1, random_state=np.random.RandomState(1))).tidy()
    assert np.allclose(straight["estimate"], shuffled["estimate"], rtol=1e-12)
    assert np.allclose(straight["std_error"], shuffled["std_error"], rtol=1e-10)


def test_no_events() -> None:
    with pytest.raises(DataError, match=r"no events in \d+ complete rows"):
        CoxModel(TIMED).fit(intervals().assign(dropped=0))


@pytest.mark.parametrize("start", ["Surv(start, stop, dropped)", "Surv(stop, dropped)"])
def test_all_events_in_one_arm_are_separation(start: str) -> None:
    frame = intervals().assign(arm=lambda d: np.where(d["dropped"] == 1, "GE", np.where(d["patient"] % 2, "GE", "MCE")))
    with pytest.raises(ConvergenceError, match=r"the likelihood is monotone in 'arm\[T.MCE\]'.*estimate is infinite"):
        CoxModel(f"{start} ~ alliance + arm").fit(frame)


def test_separation_along_a_combination_names_its_terms() -> None:
    frame = pd.DataFrame({"time": np.arange(1.0, 13), "event": 1, "x": np.tile([0.0, 1, 2], 4), "z": 0.0})
    frame["z"] = -2 * frame["x"] - frame["time"] + np.tile([0.3, -0.2], 6)  # the earlier the event, the larger 2x + z
    with pytest.raises(ConvergenceError, match="monotone in 'x', 'z'"):
        CoxModel("Surv(time, event) ~ x + z").fit(frame)


def test_separation_is_found_where_a_linear_program_finds_it() -> None:
    """Some d has (x_i − x_e)′d ≤ 0 for all events e and rows i at risk, not all zero: then, and only then, no maximum."""
    from scipy.optimize import linprog

    from alliance_stats.numerics.survival.cox import fit_cox
    from alliance_stats.numerics.survival.newton import MonotoneError
    from alliance_stats.numerics.survival.risk import risk_sets

    rng, found = np.random.default_rng(4), {True: 0, False: 0}
    for _ in range(150):
        n, p = int(rng.integers(8, 60)), int(rng.integers(1, 4))
        X = rng.normal(size=(n, p))
        X[:, 0] = rng.random(n) < rng.uniform(0.1, 0.5)
        stop = np.ceil(rng.exponential(3 * np.exp(-X @ rng.normal(0, 1.5, p))))
        start = np.floor(stop * rng.random(n) * (rng.random(n) < 0.4))
        event = rng.random(n) < rng.uniform(0.2, 1)
        rows = [X[(start < stop[e]) & (stop >= stop[e])] - X[e] for e in np.flatnonzero(event)]
        away = np.concatenate([*rows, np.zeros((1, p))])
        program = linprog(away.sum(axis=0), A_ub=away, b_ub=np.zeros(len(away)), bounds=[(-1, 1)] * p)
        separated = bool(program.fun < -1e-7)
        found[separated] += 1
        try:
            if event.any():
                fit_cox(risk_sets(start, stop, event, np.zeros(n, dtype=int)), X)
            said = False
        except MonotoneError:
            said = True
        assert said == separated
    assert min(found.values()) > 10


def test_a_strong_effect_is_no_separation() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=400)
    frame = pd.DataFrame({"time": rng.exponential(np.exp(-4 * x)), "event": 1, "x": x})
    row = CoxModel("Surv(time, event) ~ x").fit(frame).tidy().iloc[0]
    assert abs(row["estimate"] - 4) < 3 * row["std_error"]


def test_missing_values_are_counted_and_the_definition_is_repeated() -> None:
    visits = intervals().assign(session=lambda d: d["stop"].astype(int))[["patient", "session", "alliance", "site"]]
    frame = dropout_frame(visits, planned=4, completion="censored")
    frame.loc[[2, 7], "alliance"] = np.nan
    notes = CoxModel("Surv(start, stop, dropped) ~ alliance", patient="patient").fit(frame).notes
    assert notes[0] == frame.attrs["definition"]
    assert notes[0].startswith("dropout: the last session attended comes before the planned number (4); of 90 patients")
    assert f"2 of {len(frame)} rows left out for missing values (alliance 2)" in notes


def test_the_two_forms_of_a_dropout_frame_agree() -> None:
    visits = intervals().assign(session=lambda d: d["stop"].astype(int))[["patient", "session", "site"]]
    long = dropout_frame(visits, planned=4, completion="censored")
    short = dropout_frame(visits, planned=4, completion="censored", form="patients")
    a = CoxModel("Surv(start, stop, dropped) ~ site").fit(long).tidy()
    b = CoxModel("Surv(time, dropped) ~ site").fit(short).tidy()
    assert np.allclose(a[["estimate", "std_error"]], b[["estimate", "std_error"]], rtol=1e-11)


def test_splitting_an_interval_changes_nothing() -> None:
    """A row cut in two at a time without an event is the same row: entries are open, ends closed."""
    frame = intervals()
    early, late = frame.assign(stop=frame["start"] + 0.5, dropped=0), frame.assign(start=frame["start"] + 0.5)
    halves = pd.concat([early, late], ignore_index=True)
    whole, cut = (CoxModel(TIMED, cluster="patient").fit(d) for d in (frame, halves))
    assert np.allclose(whole.covariance, cut.covariance, rtol=1e-11)
    assert np.allclose(whole.tidy()["estimate"], cut.tidy()["estimate"], rtol=1e-11)
    assert np.allclose(concordance(whole), concordance(cut), rtol=1e-9)


def test_an_interval_that_starts_at_an_event_is_not_at_risk_there() -> None:
    frame = pd.DataFrame({"start": [0, 0, 2], "stop": [2, 3, 3], "event": [1, 1, 0], "x": [1.0, 0, 5]})
    fit = CoxModel("Surv(start, stop, event) ~ x").fit(frame.assign(x=[1.0, 0, 0.5]))
    by_hand = -np.log(1 + np.exp(-1 * fit.tidy()["estimate"].iloc[0]))  # at 2: x = 1 against 0 alone
    by_hand -= np.log(1 + np.exp(0.5 * fit.tidy()["estimate"].iloc[0]))  # at 3: x = 0 against ½
    assert fit.glance()["log_likelihood"].iloc[0] == pytest.approx(by_hand, rel=1e-12)


def test_times_that_differ_by_rounding_are_tied() -> None:
    time = np.array([0.1 + 0.2, 0.3, 0.7, 0.9, 0.6 + 0.1, 1.2])
    frame = pd.DataFrame({"time": time, "event": [1, 1, 1, 0, 1, 1], "x": [1.0, 3, 2, 5, 4, 2]})
    rounded = frame.assign(time=frame["time"].round(6))
    a, b = (CoxModel("Surv(time, event) ~ x").fit(d).tidy() for d in (frame, rounded))
    assert a.equals(b)


def test_strata_with_their_own_constant_leave_it_out() -> None:
    fit = CoxModel(f"{TIMED} + site", strata="site").fit(intervals())
    assert fit.tidy()["term"].tolist() == ["alliance"]
    assert any(
        note.startswith("'site' depends on other terms, or does not vary among patients at risk") for note in fit.notes
    )


def test_strata_of_two_columns_are_their_combinations() -> None:
    frame = intervals().assign(both=lambda d: d["site"].astype(str) + d["therapist"].astype(str))
    a = CoxModel(TIMED, strata=("site", "therapist")).fit(frame)
    b = CoxModel(TIMED, strata="both").fit(frame)
    assert np.allclose(a.tidy()["estimate"], b.tidy()["estimate"], rtol=1e-12)
    assert len(baseline_hazard(a)["stratum"].unique()) <= frame["both"].nunique()
    with pytest.raises(AllianceError, match="stratum is None; use one of 'site=0, therapist=0'"):
        event_probabilities(a, frame.head(1), [1])


def test_events_are_columns_or_comparisons() -> None:
    frame = intervals().assign(
        gone=lambda d: d["dropped"] == 1, end=lambda d: np.where(d["dropped"] == 1, "left", "stayed"),
        code=lambda d: d["dropped"] + 1,
    )  # fmt: skip
    expected = CoxModel(TIMED).fit(frame).tidy()
    for event in ("gone", "end == 'left'", "code == 2", "`end`=='left'"):
        assert CoxModel(f"Surv(start, stop, {event}) ~ alliance").fit(frame).tidy().equals(expected)
    with pytest.raises(DataError, match=r"the event 'code' holds 1, 2; .*code == …"):
        CoxModel("Surv(start, stop, code) ~ alliance").fit(frame)
    with pytest.raises(DataError, match="no events"):
        CoxModel("Surv(start, stop, end == 'gone') ~ alliance").fit(frame)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("dropped ~ alliance", "is no survival outcome; write"),
        ("Surv(stop) ~ alliance", "Surv has 1 arguments"),
        ("Surv(stop, stop) ~ alliance", "a column is named twice"),
        ("Surv(log(stop), dropped) ~ alliance", r"'log\(stop\)' is no column"),
        ("Surv(stop, dropped == left) ~ alliance", "compared with the event without quotes; write 'left'"),
        ("Surv(stop, dropped)", "with one '~'"),
        ("Surv(stop, dropped) ~ alliance + strata(site)", "give the model strata='column' instead"),
        ("Surv(stop, dropped) ~ alliance + cluster(site)", "give the model cluster='column' instead"),
        ("Surv(stop, dropped) ~ alliance + frailty(site)", r"give the model frailty=\('gamma', 'column'\) instead"),
        ("Surv(stop, dropped) ~ tt(alliance)", "time-varying effects are not fitted"),
        ("Surv(stop, dropped) ~ alliance + stop", "'stop' is part of the outcome and a predictor, too"),
        ("Surv(stop, dropped) ~ alliance + (1 | site)", "declares random effects"),
    ],
)
def test_formulas_that_cannot_be_read(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        CoxModel(formula).fit(intervals())


def test_odd_names_stand_in_backticks() -> None:
    assert read_surv("Surv(`t, 0`, stop, `left == 1`)").columns == ("t, 0", "stop", "left == 1")
    frame = intervals().rename(columns={"dropped": "left early", "alliance": "WAI.total"})
    fit = CoxModel("Surv(start, stop, `left early`) ~ WAI.total").fit(frame)
    assert np.allclose(fit.tidy()["estimate"], CoxModel(TIMED).fit(intervals()).tidy()["estimate"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ties": "exact"}, "ties is 'exact'"),
        ({"frailty": "gamma"}, "frailty is 'gamma'; use"),
        ({"frailty": ("t", "site")}, "use .'gamma', 'column'."),
        ({"frailty": ("gamma", "site"), "cluster": "site"}, "use one of them"),
        ({"level": 95}, "level is 95"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        CoxModel(TIMED, **options)


def test_what_cannot_be_estimated_at_all() -> None:
    with pytest.raises(DataError, match="no term that could be estimated"):
        CoxModel("Surv(stop, dropped) ~ 1").fit(intervals())
    with pytest.raises(DataError, match="in one cluster"):
        CoxModel(TIMED, cluster="one").fit(intervals().assign(one=1))
    with pytest.raises(DataError, match="has one group"):
        CoxModel(TIMED, frailty=("gamma", "one")).fit(intervals().assign(one=1))
    with pytest.raises(DataError, match="times must be numbers"):
        CoxModel("Surv(when, dropped) ~ alliance").fit(intervals().assign(when="late"))


def test_hazard_ratios_of_rows_and_terms() -> None:
    fit = CoxModel(f"{TIMED} + site").fit(intervals())
    b = fit.tidy().set_index("term")
    terms = hazard_ratios(fit).set_index("term")
    assert np.allclose(terms["hazard_ratio"], np.exp(b["estimate"]))
    assert np.allclose(terms["conf_low"], np.exp(b["conf_low"]))
    new = pd.DataFrame({"alliance": [1.0, 2.0, np.nan], "site": [0, 0, 1]}, index=[7, 8, 9])
    found = hazard_ratios(fit, new, new.head(1))
    assert found.index.tolist() == [7, 8, 9]
    assert np.allclose(
        found.loc[8], terms.loc["alliance", ["hazard_ratio", "conf_low", "conf_high"]].to_numpy(dtype=float)
    )
    assert found.loc[7].tolist() == [1, 1, 1]
    assert found.loc[9].isna().all()
    assert np.allclose(np.log(hazard_ratios(fit, new)["hazard_ratio"].head(2)), predict(fit, new)["fitted"].head(2))


def test_contrasts_work_without_an_intercept() -> None:
    frame = intervals().assign(arm=lambda d: np.array(["GE", "MCE", "SMT"])[d["patient"] % 3])
    fit = CoxModel(f"{TIMED} + arm").fit(frame)
    rows = contrast(fit, "arm", adjust="none").set_index("term")
    b = fit.tidy().set_index("term")["estimate"]
    assert rows.loc["SMT − MCE", "estimate"] == pytest.approx(b["arm[T.SMT]"] - b["arm[T.MCE]"])
    assert (rows["interval"] == "normal").all()


def test_probabilities_beyond_the_data_are_missing() -> None:
    fit = CoxModel(TIMED).fit(intervals())
    found = event_probabilities(fit, pd.DataFrame({"alliance": [0.0]}), [0, 2, 4, 5])
    assert found["survival"].notna().tolist() == [True, True, True, False]
    assert (found["survival"] + found["probability"]).dropna().eq(1).all()
    assert found["survival"].iloc[0] == 1
    inside = found.dropna()
    assert ((inside["conf_low"] <= inside["survival"]) & (inside["survival"] <= inside["conf_high"])).all()


def test_functions_of_results_name_what_they_cannot_do() -> None:
    frail = CoxModel(TIMED, frailty=("normal", "therapist")).fit(intervals())
    for function in (proportional_hazards, concordance, schoenfeld_residuals):
        with pytest.raises(AllianceError, match="not defined for a frailty fit"):
            function(frail)
    with pytest.raises(AllianceError, match="this fit has none"):
        frailties(CoxModel(TIMED).fit(intervals()))
    linear = LinearModel("alliance ~ site").fit(intervals())
    for function in (proportional_hazards, hazard_ratios, baseline_hazard):
        with pytest.raises(AllianceError, match=r"not .*LinearModel"):
            function(linear)
    with pytest.raises(AllianceError, match="an event at time 0"):
        proportional_hazards(
            CoxModel("Surv(stop, dropped) ~ alliance").fit(intervals().assign(stop=lambda d: d["stop"] - 1)),
            transform="log",
        )


@pytest.mark.parametrize("family", ["gamma", "normal"])
def test_frailty_that_is_not_there_is_the_plain_model(family: Any) -> None:
    frame = intervals().assign(group=np.arange(len(intervals())) % 7)
    plain, frail = CoxModel(TIMED).fit(frame), CoxModel(TIMED, frailty=(family, "group")).fit(frame)
    assert frail.glance()["singular"].iloc[0]
    assert any("the frailty of 'group' has a variance of zero" in note for note in frail.notes)
    assert frail.tidy().iloc[0]["estimate"] == plain.tidy().iloc[0]["estimate"]
    assert frail.tidy().iloc[1]["estimate"] == 0
    assert (frailties(frail)["frailty"] == 1).all()


def test_concordance_counts_pairs() -> None:
    """Against the definition, pair by pair."""
    frame = (
        intervals().sample(60, random_state=np.random.RandomState(5)).assign(alliance=lambda d: d["alliance"].round(1))
    )
    fit = CoxModel(TIMED, strata="site").fit(frame)
    eta = fit.state.fitted
    start, stop, event, site = (frame[name].to_numpy() for name in ("start", "stop", "dropped", "site"))
    pairs = [0, 0, 0]
    for i in np.flatnonzero(event):
        there = (site == site[i]) & (start < stop[i]) & ((stop > stop[i]) | ((stop == stop[i]) & (event == 0)))
        for j in np.flatnonzero(there):
            pairs[0 if eta[i] > eta[j] else 1 if eta[i] < eta[j] else 2] += 1
    assert concordance(fit)[["n_concordant", "n_discordant", "n_tied"]].iloc[0].tolist() == pairs


def simulated(rng: np.random.Generator, patients: int) -> pd.DataFrame:
    """Alliance rated at each session; the hazard between sessions is .1 exp(−.5 alliance + .3 arm)."""
    alliance = rng.normal(size=(patients, 1)) + rng.normal(0, 0.5, (patients, 8))
    arm = np.arange(patients) % 2
    rate = 0.1 * np.exp(-0.5 * alliance + 0.3 * arm[:, None])
    wait = rng.exponential(1 / rate)
    left = wait < 1
    last = np.where(left.any(axis=1), left.argmax(axis=1), 7)
    patient, session = np.nonzero(np.arange(8) <= last[:, None])
    return pd.DataFrame(
        {
            "start": session, "stop": session + np.minimum(wait, 1)[patient, session], "dropped": left[patient, session],
            "alliance": alliance[patient, session], "arm": arm[patient], "patient": patient,
        }
    )  # fmt: skip


def test_recovery_of_a_time_varying_effect() -> None:
    """Bias within 3 Monte Carlo standard errors, coverage of 95 % intervals within 3 of theirs, in 300 data sets."""
    rng, truth, found = np.random.default_rng(20240), np.array([-0.5, 0.3]), []
    model = CoxModel("Surv(start, stop, dropped) ~ alliance + arm", patient="patient")
    for _ in range(300):
        found.append(model.fit(simulated(rng, 150)).tidy()[["estimate", "conf_low", "conf_high"]].to_numpy())
    estimate, low, high = np.moveaxis(np.array(found), 2, 0)
    error = estimate - truth
    assert (np.abs(error.mean(axis=0)) < 3 * error.std(axis=0) / np.sqrt(300)).all()
    covered = ((low <= truth) & (truth <= high)).mean(axis=0)
    assert (np.abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 300)).all()
