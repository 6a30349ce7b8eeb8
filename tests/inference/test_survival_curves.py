"""Curves and tests of frames: closed forms, invariances, notes, and what is refused. Numbers of R: tests/golden."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_stats.design.dropout import dropout_frame
from alliance_stats.errors import AllianceError, DataError, FormulaError
from alliance_stats.inference.survival_curves import (
    aalen_johansen,
    kaplan_meier,
    landmark_curves,
    median_times,
    restricted_mean,
)
from alliance_stats.inference.survival_tests import gray_test, log_rank
from alliance_stats.numerics.survival.curves import counts

OUTCOME = "Surv(time, dropped)"


@cache
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    n = 150
    frame = pd.DataFrame({"time": rng.integers(1, 13, n), "arm": np.array(["GE", "MCE", "SMT"])[np.arange(n) % 3]})
    frame["status"] = pd.array(np.array(["censored", "dropped", "completed"])[rng.integers(3, size=n)], dtype="str")
    frame["dropped"] = (frame["status"] == "dropped").astype(int)
    frame["site"] = rng.integers(2, size=n)
    frame["alliance"] = np.minimum(rng.normal(52, 8, n).round(), 60)
    return frame


def test_without_censoring_curves_are_shares() -> None:
    frame = patients().assign(dropped=1)
    km = kaplan_meier(frame, OUTCOME)
    shares = [(frame["time"] > t).mean() for t in km["time"]]
    assert np.allclose(km["survival"], shares, atol=1e-15)
    assert np.allclose(km["std_error"], np.sqrt(np.array(shares) * (1 - np.array(shares)) / len(frame)), atol=1e-15)


def test_aalen_johansen_adds_up_with_kaplan_meier() -> None:
    aj = aalen_johansen(patients(), "Surv(time, status)", by="arm")
    total = aj.groupby(["group", "time"])["incidence"].sum()
    km = kaplan_meier(patients().assign(any=patients()["status"] != "censored"), "Surv(time, any)", by="arm")
    assert np.allclose(total, 1 - km.set_index(["group", "time"])["survival"], atol=1e-14)
    assert aj["cause"].unique().tolist() == ["completed", "dropped"]


@pytest.mark.parametrize("variance", ["greenwood", "aalen"])
def test_one_kind_of_event_is_kaplan_meier(variance: Any) -> None:
    frame = patients().assign(time=lambda d: np.arange(len(d)) + 1.0)  # no ties: the two variances are one
    aj = aalen_johansen(frame, OUTCOME, variance=variance)
    km = kaplan_meier(frame, OUTCOME)
    assert np.allclose(1 - aj["incidence"], km["survival"], atol=1e-13)
    if variance == "greenwood":
        assert np.allclose(aj["std_error"], km["std_error"], atol=1e-12)


def test_intervals_of_a_patient_are_the_patient() -> None:
    visits = pd.DataFrame({"patient": np.repeat(np.arange(50), 6), "session": np.tile(np.arange(1, 7), 50)})
    visits = visits[visits["session"] <= 1 + visits["patient"] * 5 % 7]
    long = dropout_frame(visits, planned=6, completion="competing")
    short = dropout_frame(visits, planned=6, completion="competing", form="patients")
    a, b = kaplan_meier(long, "Surv(start, stop, dropped)"), kaplan_meier(short, OUTCOME)
    kept = ["time", "n_risk", "n_event", "survival", "std_error", "conf_low"]
    pd.testing.assert_frame_equal(a[kept], b[kept])
    a, b = aalen_johansen(long, "Surv(start, stop, status)"), aalen_johansen(short, "Surv(time, status)")
    assert np.allclose(a[["incidence", "std_error"]], b[["incidence", "std_error"]], atol=1e-14)
    assert a.attrs["notes"][0] == long.attrs["definition"]


@given(st.permutations(range(30)), st.floats(0.1, 50))
def test_order_of_rows_and_unit_of_time_say_nothing(order: list[int], unit: float) -> None:
    frame = patients().head(30)
    other = frame.iloc[list(order)].assign(time=lambda d: d["time"] * unit)
    a, b = kaplan_meier(frame, OUTCOME, by="arm"), kaplan_meier(other, OUTCOME, by="arm")
    pd.testing.assert_frame_equal(a.drop(columns="time"), b.drop(columns="time"))
    assert np.allclose(a["time"] * unit, b["time"])
    one, two = (log_rank(d, OUTCOME, by="arm")[0]["statistic"].iloc[0] for d in (frame, other))
    assert one == pytest.approx(two, rel=1e-9)
    one, two = (gray_test(d, "Surv(time, status)", by="arm")["statistic"] for d in (frame, other))
    assert np.allclose(one, two, rtol=1e-9)


def test_two_groups_by_hand() -> None:
    """Freireich's trial of 6-MP in the form of textbooks: observed 9 and 21, expected 19.25 and 10.75, χ² = 16.79."""
    treated = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    events = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    frame = pd.DataFrame(
        {"time": treated + placebo, "event": events + [1] * 21, "arm": ["6-MP"] * 21 + ["placebo"] * 21}
    )
    test, groups = log_rank(frame, "Surv(time, event)", by="arm")
    assert groups["n_event"].tolist() == [9, 21]
    assert groups["expected"].round(2).tolist() == [19.25, 10.75]
    assert test["statistic"].round(2).tolist() == [16.79]
    assert median_times(kaplan_meier(frame, "Surv(time, event)", by="arm"))["time"].tolist() == [23, 8]


def test_a_stratum_of_one_group_adds_nothing() -> None:
    frame = patients()
    alone = frame[frame["arm"] == "GE"].assign(site=9)
    a = log_rank(frame, OUTCOME, by="arm", strata="site")[0]
    b = log_rank(pd.concat([frame, alone]), OUTCOME, by="arm", strata="site")[0]
    assert np.allclose(a, b, rtol=1e-12)


def test_a_group_without_events_has_a_flat_curve() -> None:
    frame = patients().assign(dropped=lambda d: d["dropped"].where(d["arm"] != "GE", 0))
    rows = kaplan_meier(frame, OUTCOME, by="arm").query("group == 'GE'")
    assert (rows[["survival", "conf_low", "conf_high"]] == 1).all(axis=None)
    assert (rows["std_error"] == 0).all()
    assert log_rank(frame, OUTCOME, by="arm")[0]["df"].tolist() == [2]


def test_a_curve_that_reaches_zero_has_no_limits_there() -> None:
    km = kaplan_meier(pd.DataFrame({"time": [1, 2], "dropped": [1, 1]}), OUTCOME)
    assert km["survival"].tolist() == [0.5, 0]
    assert km["std_error"].iloc[1] == 0
    assert km[["conf_low", "conf_high"]].iloc[1].isna().all()


def test_categories_keep_their_order() -> None:
    frame = patients().assign(arm=lambda d: pd.Categorical(d["arm"], ["SMT", "GE", "MCE", "none"]))
    assert kaplan_meier(frame, OUTCOME, by="arm")["group"].unique().tolist() == ["SMT", "GE", "MCE"]


def test_missing_values_are_counted_in_the_notes() -> None:
    frame = patients().assign(
        arm=lambda d: d["arm"].mask(d.index < 4), time=lambda d: d["time"].astype(float).mask(d.index == 9)
    )
    km = kaplan_meier(frame, OUTCOME, by="arm")
    assert km.attrs["notes"] == ("5 of 150 rows left out for missing values (time 1, arm 4)",)
    assert km.groupby("group")["n_risk"].max().sum() == 145


def test_restricted_mean_of_a_single_group_has_no_difference() -> None:
    found = restricted_mean(patients(), OUTCOME, tau=6)
    assert found["group"].tolist() == ["all"]
    assert found[["statistic", "p_value"]].isna().all(axis=None)
    by_arm = restricted_mean(patients(), OUTCOME, tau=6, by="arm")
    assert by_arm["group"].tolist() == ["GE", "MCE", "SMT", "MCE − GE", "SMT − GE"]
    assert by_arm["p_value"].notna().tolist() == [False] * 3 + [True] * 2


def test_landmark_curves_start_at_the_rating_and_say_what_they_leave_out() -> None:
    frame = patients()
    found = landmark_curves(
        frame, OUTCOME, landmark=3, alliance="alliance", cuts=[48, 56], labels=["low", "middle", "high"]
    )
    later = frame[frame["time"] > 3]
    assert found["time"].min() > 3
    assert found.groupby("group")["n_risk"].max().to_dict() == {
        "low": int((later["alliance"] < 48).sum()),
        "middle": int(later["alliance"].between(48, 56, inclusive="left").sum()),
        "high": int((later["alliance"] >= 56).sum()),
    }
    assert found["group"].unique().tolist() == ["low", "middle", "high"]
    left, top = int((frame["time"] <= 3).sum()), 100 * (later["alliance"] == 60).mean()
    said = found.attrs["notes"]
    assert said[0].startswith(f"landmark 3: {left} of 150 patients had left or were censored by then")
    assert (
        said[1]
        == f"groups of 'alliance' by the declared cut-points 48, 56; {top:.0f} % of patients share the highest value, 60"
    )
    alone = kaplan_meier(later[later["alliance"] < 48], OUTCOME)
    assert np.allclose(found.query("group == 'low'")["survival"], alone["survival"])


def test_groups_of_cut_points_are_named_by_them() -> None:
    found = landmark_curves(patients(), OUTCOME, landmark=2, alliance="alliance", cuts=[48, 56])
    assert found["group"].unique().tolist() == ["alliance < 48", "48 ≤ alliance < 56", "alliance ≥ 56"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuts": []}, "give one or more cut-points"),
        ({"cuts": [56, 48]}, "in rising order"),
        ({"cuts": [48], "labels": ["a"]}, "1 names for 2 groups"),
        ({"landmark": 99}, "nobody is there after 99"),
        ({"alliance": "arm"}, "cut-points need numbers"),
        ({"alliance": "bond"}, "no column 'bond'"),
    ],
)
def test_landmarks_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        landmark_curves(patients(), OUTCOME, **({"landmark": 3, "alliance": "alliance", "cuts": [48]} | options))


def test_what_is_refused() -> None:
    frame = patients()
    with pytest.raises(DataError, match="no events"):
        kaplan_meier(frame.assign(dropped=0), OUTCOME)
    with pytest.raises(DataError, match="'time' is negative in 150 rows"):
        kaplan_meier(frame.assign(time=-1), OUTCOME)
    with pytest.raises(DataError, match="an interval without length"):
        kaplan_meier(frame.assign(start=frame["time"]), "Surv(start, time, dropped)")
    with pytest.raises(FormulaError, match="no survival outcome"):
        kaplan_meier(frame, "time")
    with pytest.raises(AllianceError, match="interval is 'logit'"):
        kaplan_meier(frame, OUTCOME, interval="logit")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="level is 95"):
        kaplan_meier(frame, OUTCOME, level=95)
    with pytest.raises(DataError, match="a test needs two or more groups; there is only 'GE'"):
        log_rank(frame[frame["arm"] == "GE"], OUTCOME, by="arm")
    with pytest.raises(DataError, match="late entry"):
        gray_test(frame.assign(start=0), "Surv(start, time, status)", by="arm")
    with pytest.raises(AllianceError, match="every cause is shown"):
        aalen_johansen(frame, "Surv(time, status == 'dropped')")
    with pytest.raises(AllianceError, match="tau=40 lies beyond the last time of group 'all', 12"):
        restricted_mean(frame, OUTCOME, tau=40)
    with pytest.raises(AllianceError, match="tau is 0"):
        restricted_mean(frame, OUTCOME, tau=0)
    with pytest.raises(AllianceError, match="share is 1"):
        median_times(kaplan_meier(frame, OUTCOME), share=1)
    with pytest.raises(DataError, match="give a pandas DataFrame"):
        kaplan_meier([1, 2], OUTCOME)  # type: ignore[arg-type]


def test_overlapping_intervals_cannot_be_seen_by_a_curve_and_it_says_so() -> None:
    frame = patients().assign(start=0)
    km = kaplan_meier(frame, "Surv(start, time, dropped)")
    assert km.attrs["notes"] == (
        "that intervals of a patient do not overlap was not checked; CoxModel(…, patient=…) does",
    )
    assert kaplan_meier(frame, OUTCOME).attrs["notes"] == ()


@given(
    st.lists(st.tuples(st.sampled_from([0.0, -0.0, 0.3, 0.1 + 0.2, 1.0, 2.5, 1e-9, 1e6]), st.booleans()), min_size=1)
)
def test_counts_by_the_bits_of_the_times_are_those_by_their_places(rows: list[tuple[float, bool]]) -> None:
    """One kind of event is sorted with the bits of the time; two kinds, of which one never occurs, by places."""
    stop, event = np.array([t for t, _ in rows]), np.array([int(e) for _, e in rows])
    bits, places = counts(stop, event, 1), counts(stop, event, 2)
    assert np.array_equal(bits.times, places.times)
    assert np.array_equal(bits.at_risk, places.at_risk)
    assert np.array_equal(bits.events[0], places.events[0])
    assert np.array_equal(bits.censored, places.censored)
    assert not places.events[1].any()


def test_groups_that_never_meet_cannot_be_compared() -> None:
    frame = pd.DataFrame({"start": [0, 0, 5, 5], "time": [2, 3, 7, 8], "dropped": [1, 1, 1, 1], "arm": list("aabb")})
    with pytest.raises(DataError, match="never at risk together"):
        log_rank(frame, "Surv(start, time, dropped)", by="arm")
