"""DiscreteTimeModel: refusals, notes, known truths found again, and probabilities of completion against drawn therapists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import AllianceError, Centre, ConvergenceError, DataError, LinearModel, Result, predict, simulate
from alliance_stats.design.dropout import dropout_frame
from alliance_stats.inference.completion import completion_probability
from alliance_stats.models.discrete_time import DiscreteTimeModel

TRUTH = {"Intercept": -2.2, "session": -0.05, "alliance": -0.5}
SPREAD = 0.6


def therapy(rng: np.random.Generator, therapists: int = 30, patients: int = 12, planned: int = 8) -> pd.DataFrame:
    """Sessions at risk of patients in therapists; who leaves is at risk no more."""
    person = np.arange(therapists * patients)
    effect = rng.normal(0, SPREAD, therapists)[person // patients]
    own, rows, there = rng.normal(0, 1, len(person)), [], np.ones(len(person), dtype=bool)
    for session in range(1, planned + 1):
        alliance = own + rng.normal(0, 0.5, len(person))
        eta = TRUTH["Intercept"] + TRUTH["session"] * session + TRUTH["alliance"] * alliance + effect
        left = rng.random(len(person)) < -np.expm1(-np.exp(eta))
        rows.append(
            pd.DataFrame(
                {"patient": person, "therapist": person // patients, "session": session, "alliance": alliance,
                 "left": left.astype(int)}
            )[there]
        )  # fmt: skip
        there &= ~left
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return therapy(np.random.default_rng(5))


@pytest.fixture(scope="module")
def fit(rows: pd.DataFrame) -> Result:
    return DiscreteTimeModel("left ~ session + alliance + (1 | therapist)", patient="patient").fit(rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link": "probit"}, "link is 'probit'; use 'cloglog'"),
        ({"quadrature": 0}, "quadrature is 0"),
        ({"level": 95}, "level is 95"),
        ({"prepare": "Centre"}, "prepare is a str"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        DiscreteTimeModel("left ~ session", **options)


def test_what_is_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(AllianceError, match="without trials"):
        DiscreteTimeModel("left | trials(3) ~ session").fit(rows)
    with pytest.raises(AllianceError, match="cluster= and random effects"):
        DiscreteTimeModel("left ~ session + (1 | therapist)", cluster="therapist").fit(rows)
    with pytest.raises(AllianceError, match="quadrature=5 is for random effects"):
        DiscreteTimeModel("left ~ session", quadrature=5).fit(rows)
    with pytest.raises(DataError, match="values other than 0 and 1"):
        DiscreteTimeModel("left ~ session").fit(rows.assign(left=2 * rows["left"]))
    with pytest.raises(DataError, match="'left' is 0 in all"):
        DiscreteTimeModel("left ~ session").fit(rows.assign(left=0))
    with pytest.raises(DataError, match="one cluster"):
        DiscreteTimeModel("left ~ session", cluster="site").fit(rows.assign(site=1))
    with pytest.raises(DataError, match="is a list"):
        DiscreteTimeModel("left ~ session", patient="patient").fit([1])  # type: ignore[arg-type]


def test_a_patient_has_one_event(rows: pd.DataFrame) -> None:
    twice = pd.concat([rows, rows[rows["left"] == 1].head(2).assign(session=9)], ignore_index=True)
    with pytest.raises(
        DataError, match=r"2 patients have several events .patient .* has 2.; .* leave out the rows after"
    ):
        DiscreteTimeModel("left ~ session", patient="patient").fit(twice)
    assert DiscreteTimeModel("left ~ session").fit(twice).glance()["n_events"].iloc[0] == rows["left"].sum() + 2


def test_an_event_is_the_end_of_a_patient(rows: pd.DataFrame) -> None:
    first = rows[(rows["left"] == 1) & (rows["session"] < 8)].head(1)
    more = pd.concat([rows, first.assign(left=0, session=first["session"] + 1)], ignore_index=True)
    who = first["patient"].iloc[0]
    with pytest.raises(
        DataError, match=rf"an event is followed by more time \(1 rows, first in patient {who}\); .* by 'session'"
    ):
        DiscreteTimeModel("left ~ session", patient="patient").fit(more)
    with pytest.raises(DataError, match="by 'visit'"):
        DiscreteTimeModel("left ~ visit", patient="patient", session="visit").fit(
            more.rename(columns={"session": "visit"})
        )
    unknown = more.rename(columns={"session": "visit"})  # without the sessions' column the order is not known
    assert DiscreteTimeModel("left ~ visit", patient="patient").fit(unknown).glance()["n_obs"].iloc[0] == len(more)


def test_a_session_is_one_row_and_order_says_nothing(rows: pd.DataFrame) -> None:
    quiet = rows[rows["left"] == 0].head(1)
    with pytest.raises(DataError, match="1 rows repeat a 'session' of their patient"):
        DiscreteTimeModel("left ~ session", patient="patient").fit(pd.concat([rows, quiet], ignore_index=True))
    model = DiscreteTimeModel("left ~ session + alliance", patient="patient")
    shuffled = rows.sample(frac=1, random_state=np.random.RandomState(2))
    a, b = (model.fit(d).tidy()[["estimate", "std_error"]] for d in (rows, shuffled))
    assert np.allclose(a, b, rtol=1e-9)


def test_all_events_in_one_arm_separate(rows: pd.DataFrame) -> None:
    stayed = rows.groupby("patient")["left"].transform("max") == 0
    frame = rows.assign(arm=np.where(stayed & (rows["patient"] % 2 == 0), "MCE", "GE"))
    for random in ("", " + (1 | therapist)"):
        with pytest.raises(ConvergenceError, match=r"'arm\[T.MCE\]' separates .* the estimate is infinite"):
            DiscreteTimeModel(f"left ~ session + arm{random}").fit(frame)


def test_a_session_in_which_nobody_left_has_no_baseline(rows: pd.DataFrame) -> None:
    quiet = rows.assign(left=rows["left"].where(rows["session"] != 4, 0))
    with pytest.raises(ConvergenceError, match=r"'C\(session\)\[T.4\]' separates"):
        DiscreteTimeModel("left ~ C(session)").fit(quiet)


def test_a_free_baseline_is_the_share_that_left(rows: pd.DataFrame) -> None:
    """Kaplan–Meier's factors, whatever the link."""
    share = rows.groupby("session")["left"].mean().to_numpy()
    for link in ("cloglog", "logit"):
        free = DiscreteTimeModel("left ~ 0 + C(session)", link=link).fit(rows)  # type: ignore[arg-type]
        hazard = predict(free, pd.DataFrame({"session": range(1, 9)}))
        assert np.allclose(hazard["fitted"], share, rtol=1e-12)
        assert ((hazard["conf_low"] < share) & (share < hazard["conf_high"])).all()
        stayed = completion_probability(free, pd.DataFrame({"profile": ["all"]}), range(1, 9))
        assert np.allclose(stayed["estimate"], np.cumprod(1 - share), rtol=1e-12)
        greenwood = np.cumprod(1 - share) * np.sqrt(np.cumsum(share / (1 - share) / rows.groupby("session").size()))
        assert np.allclose(stayed["std_error"], greenwood, rtol=1e-6)  # differences of the probability


def test_losses_notes_and_definition(rows: pd.DataFrame) -> None:
    frame = rows.assign(twice=2 * rows["alliance"], alliance=rows["alliance"].mask(rows.index == 7))
    frame.attrs["definition"] = "dropout: left before the end"
    found = DiscreteTimeModel("left ~ alliance + twice").fit(frame)
    assert found.notes[0] == "dropout: left before the end"
    assert any("1 of" in note and "alliance 1" in note for note in found.notes)
    assert any("'twice' depends on other terms" in note for note in found.notes)
    with pytest.raises(DataError, match="cannot tell apart"):
        completion_probability(found, pd.DataFrame({"alliance": [0.0], "twice": [1.0]}), 2)


def test_from_sessions_attended_to_hazards_within_and_between() -> None:
    visits = data("survival_sessions").rename(columns={"id": "patient"})[
        ["patient", "therapist", "session", "alliance", "planned"]
    ]
    frame = dropout_frame(visits, planned="planned", completion="censored")
    model = DiscreteTimeModel(
        "dropped ~ session + alliance_within + alliance_between + (1 | therapist)",
        patient="patient",
        prepare=(Centre("alliance", by="patient"),),
    )
    found = model.fit(frame)
    assert found.notes[0] == frame.attrs["definition"]
    assert found.glance()["n_events"].iloc[0] == frame["dropped"].sum()
    assert found.tidy()["term"].tolist() == [
        "Intercept", "session", "alliance_within", "alliance_between", "sd(Intercept)",
    ]  # fmt: skip
    assert found.glance()["n_therapist"].iloc[0] == 20


def test_rows_and_glance(rows: pd.DataFrame, fit: Result) -> None:
    assert fit.tidy()["component"].tolist() == ["hazard"] * 3 + ["random"]
    assert list(fit.glance().columns[:3]) == ["n_obs", "n_events", "n_therapist"]
    plain = DiscreteTimeModel("left ~ session + alliance").fit(rows)
    assert "singular" not in plain.glance()
    assert plain.glance()["method"].iloc[0] == "ML"
    assert "fitted_population" not in plain.augment()
    with pytest.raises(AllianceError, match="has no groups here"):
        predict(plain, groups="population")


def test_no_variance_between_therapists_is_the_plain_fit() -> None:
    """Every therapist loses one of four patients in each session; standard errors differ by observed and expected only."""
    rows = pd.DataFrame(
        {"therapist": np.repeat(range(12), 8), "x": [0.0, 1] * 48, "left": [1, 1, 0, 0, 0, 0, 0, 0] * 12}
    )
    mixed = DiscreteTimeModel("left ~ x + (1 | therapist)", "logit").fit(rows)
    plain = DiscreteTimeModel("left ~ x", "logit").fit(rows)
    assert mixed.glance()["singular"].iloc[0]
    assert np.allclose(mixed.tidy()["estimate"][:2], plain.tidy()["estimate"], atol=1e-7)
    assert np.allclose(mixed.tidy()["std_error"][:2], plain.tidy()["std_error"], rtol=1e-6)
    new = pd.DataFrame({"x": [0.0, 1.0]})
    ours, theirs = (completion_probability(each, new, 5) for each in (mixed, plain))
    assert np.allclose(ours["estimate"], theirs["estimate"], atol=1e-7)
    assert np.allclose(ours["std_error"], theirs["std_error"], rtol=1e-5)


def test_simulated_events_follow_the_hazards(fit: Result) -> None:
    draws = simulate(fit, 2000, rng=3)
    error = draws.std(axis=0) / np.sqrt(2000)
    z = (draws.mean(axis=0) - fit.augment()["fitted_population"]) / error
    assert np.abs(z).max() < 5


def test_completion_is_averaged_over_therapists_not_session_by_session(fit: Result) -> None:
    """Against a million therapists drawn. Averaging each hazard first gives another, smaller number."""
    new = pd.DataFrame({"alliance": [-1.0, 1.0]})
    found = completion_probability(fit, new, 8)
    u = fit.tidy().query("component == 'random'")["estimate"].iloc[0] * np.random.default_rng(2).normal(size=1_000_000)
    for alliance, estimate in zip(new["alliance"], found["estimate"], strict=True):
        eta = [fit.state.coefficients @ [1, session, alliance] for session in range(1, 9)]
        stayed = np.exp(-np.exp(u) * np.exp(eta).sum())
        assert abs(estimate - stayed.mean()) < 4 * stayed.std() / 1000
        profile = pd.DataFrame({"alliance": alliance, "session": range(1, 9), "therapist": None})
        apart = (1 - predict(fit, profile, groups="population")["fitted"]).prod()
        assert estimate - apart > 0.01


def test_completion_with_patients_in_therapists_and_slopes(rows: pd.DataFrame) -> None:
    """Two directions along a path: against random effects drawn."""
    found = DiscreteTimeModel("left ~ session + alliance + (1 + session | therapist)").fit(rows)
    chance = completion_probability(found, pd.DataFrame({"alliance": [0.3]}), [3, 8])
    assert chance["estimate"].is_monotonic_decreasing
    (grouping,), rng = found.state.groupings, np.random.default_rng(7)
    L = np.zeros((2, 2))
    L[grouping.level.rows, grouping.level.columns] = found.state.theta
    b = rng.normal(size=(400_000, 2)) @ L.T
    total = np.zeros(len(b))
    for session in range(1, 9):
        total += np.exp(found.state.coefficients @ [1, session, 0.3] + b @ [1, session])
        if session in (3, 8):
            stayed = np.exp(-total)
            mine = chance.loc[chance["session"] == session, "estimate"].iloc[0]
            assert abs(mine - stayed.mean()) < 4 * stayed.std() / np.sqrt(len(b))


def test_paths_of_patients(rows: pd.DataFrame, fit: Result) -> None:
    """Predictors that change, rows in any order; a constant one is the profile's."""
    path = pd.DataFrame({"patient": 1, "session": [3, 1, 2], "alliance": [0.5, -1.0, 0.0]})
    found = completion_probability(fit, path, [1, 3], patient="patient")
    assert list(found.columns[:2]) == ["patient", "session"]
    typical = completion_probability(fit, path, 3, patient="patient", typical=True)["estimate"].iloc[0]
    hazards = predict(fit, path.assign(therapist=None), groups="typical")["fitted"]
    assert typical == pytest.approx((1 - hazards).prod(), rel=1e-12)
    same = completion_probability(fit, path.assign(alliance=0.2), 3, patient="patient")
    profile = completion_probability(fit, pd.DataFrame({"alliance": [0.2]}), 3)
    assert same["estimate"].iloc[0] == pytest.approx(profile["estimate"].iloc[0], rel=1e-12)
    later = completion_probability(fit, pd.DataFrame({"alliance": [0.2]}), 3, start=3, typical=True)["estimate"].iloc[0]
    assert later == pytest.approx(
        1 - predict(fit, pd.DataFrame({"session": [3], "alliance": [0.2]}), groups="typical")["fitted"].iloc[0]
    )


def test_completion_refuses(rows: pd.DataFrame, fit: Result) -> None:
    new = pd.DataFrame({"alliance": [0.2]})
    with pytest.raises(AllianceError, match="LinearModel has no hazard"):
        completion_probability(LinearModel("alliance ~ session").fit(rows), new)
    with pytest.raises(AllianceError, match="by_session is 0"):
        completion_probability(fit, new, 0)
    with pytest.raises(AllianceError, match=r"by_session is \[2.5\]"):
        completion_probability(fit, new, [2.5])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"predictors are missing in some sessions .alliance 3"):
        completion_probability(fit, pd.DataFrame({"alliance": [np.nan]}), 3)
    with pytest.raises(DataError, match="no column 'alliance'"):
        completion_probability(fit, pd.DataFrame({"bond": [1.0]}), 3)
    with pytest.raises(DataError, match="no DataFrame with rows"):
        completion_probability(fit, new.head(0), 3)
    path = pd.DataFrame({"patient": [1, 1, 2], "session": [1, 2, 2], "alliance": 0.0})
    with pytest.raises(DataError, match=r"1 patients .e.g. patient 2. do not have each session from 1 to 2"):
        completion_probability(fit, path, 2, patient="patient")


def test_known_truths_are_found_again() -> None:
    """Forty trials: mean estimates within 3 Monte Carlo standard errors, the probability of completion, too."""
    model = DiscreteTimeModel("left ~ session + alliance + (1 | therapist)", quadrature=5)
    new, found, inside = pd.DataFrame({"alliance": [0.0]}), [], 0
    u = SPREAD * np.random.default_rng(1).normal(size=200_000)
    eta = TRUTH["Intercept"] + TRUTH["session"] * np.arange(1, 7)
    truth = float(np.exp(-np.exp(u) * np.exp(eta).sum()).mean())
    for seed in range(40):
        fit = model.fit(therapy(np.random.default_rng([8, seed])))
        chance = completion_probability(fit, new, 6).iloc[0]
        inside += chance["conf_low"] < truth < chance["conf_high"]
        found.append([*fit.state.coefficients, chance["estimate"]])
    z = (np.mean(found, axis=0) - [*TRUTH.values(), truth]) / (np.std(found, axis=0, ddof=1) / np.sqrt(40))
    assert np.abs(z).max() < 3
    assert inside >= 33  # P(Binomial(40, .95) < 33) = .0006
