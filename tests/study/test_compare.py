"""Verdicts: each is reached by data made for it, and each of the others is not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.study.declare import Analysis, Target
from alliance_stats.study.targets import load_targets

STUDY = al.studies["fuentes2014"]
SOURCE = "made for the test"


def verdict(target: Target, study=STUDY) -> str:
    data = STUDY.simulate(rng=8).data
    run = replace(study, targets=(target,)).run(data, therapists="single")
    return str(run.comparison()["verdict"].iloc[0])


# Simulated for the test, exact: a mean fall in group AL of exactly 18.3.
AL_FALL = partial(Target, "pain_change/groups", "AL", "estimate", source=SOURCE)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (AL_FALL(18.3, 1, "value"), "to the digit"),
        (AL_FALL(18.34, 1, "value"), "to the digit"),
        (AL_FALL(18.36, 2, "value", low=17.0, high=19.0), "inside published interval"),
        (AL_FALL(25.0, 1, "value", low=24.0, high=26.0), "same direction"),
        (AL_FALL(-18.3, 1, "value"), "differs"),
        (AL_FALL(1, 0, "direction"), "same direction"),
        (AL_FALL(-1, 0, "direction"), "differs"),
        (AL_FALL(None, 0, "significant"), "same direction"),
        (AL_FALL(None, 0, "not significant"), "differs"),
        (AL_FALL(None, 0, "not recoverable", note="not public"), "not recoverable"),
        (Target("data", "patients", "n", 117, 0, "value", SOURCE), "to the digit"),
        (Target("data", "therapists", "n", 4, 0, "size", SOURCE), "to the digit"),
        (Target("data", "therapists", "n", 5, 0, "size", SOURCE), "differs"),
        (Target("data", "clinics", "n", 5, 0, "size", SOURCE), "not recoverable"),
        (AL_FALL(25.0, 1, "size"), "differs"),  # of a size the sign says nothing
        (AL_FALL(18.36, 2, "size", low=17.0, high=19.0), "inside published interval"),
        (Target("pain_by_therapist", "Intercept", "estimate", 1.0, 0, "value", SOURCE), "not recoverable"),
    ],
)
def test_verdict(target, expected):
    assert verdict(target) == expected


def test_within_rounding_uses_the_inputs_as_printed():
    """22.2 − 18.3 = 3.9 with inputs ± 0.05: 3.98 can be reached, 4.2 cannot."""
    near = Target("printed_pain/se_al", "SE − AL", "estimate", 3.98, 2, "value", SOURCE)
    far = Target("printed_pain/se_al", "SE − AL", "estimate", 4.2, 2, "value", SOURCE)
    assert verdict(near) == "within rounding"
    assert verdict(far) == "same direction"


def test_a_code_check_fails_where_the_truth_is_another():
    trial = STUDY.simulate()
    wrong = trial.truth.assign(value=trial.truth["value"] + 100)
    study = replace(STUDY, simulate=lambda: replace(trial, truth=wrong))
    verdicts = study.run().comparison().set_index("analysis")["verdict"]
    assert (verdicts.loc["pain_change/groups"] == "code check failed").all()
    sound = STUDY.run().comparison()
    assert (sound.loc[sound["kind"] == "value", "verdict"] == "code check passed").all()


@pytest.mark.parametrize("key", list(al.studies))
def test_every_target_of_a_stand_in_is_checked_or_not_public(key):
    frame = al.studies[key].run().comparison()
    public = frame[(frame["kind"] != "not recoverable") & (frame["evidence"] == "simulated")]
    assert len(public)
    assert (public["verdict"] == "code check passed").all(), public[public["verdict"] != "code check passed"]
    assert frame["source"].str.len().gt(0).all()
    assert frame.loc[frame["kind"] == "not recoverable", "note"].str.len().gt(0).all()


def test_a_target_that_names_nothing_is_an_error():
    with pytest.raises(al.TargetError, match="'nowhere'"):
        verdict(Target("nowhere", "a", "estimate", 1.0, 0, "value", SOURCE))
    with pytest.raises(al.TargetError, match="rows 'XX'; terms: AL"):
        verdict(Target("pain_change/groups", "XX", "estimate", 1.0, 0, "value", SOURCE))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pain,AL,estimate,1,0,guess,,,s,", "kind is 'guess'"),
        ("pain,AL,estimate,1,0,value,,,,", "needs its source"),
        ("pain,AL,estimate,,0,value,,,s,", "needs the printed number"),
        ("pain,AL,estimate,,0,size,,,s,", "needs the printed number"),
        ("pain,AL,estimate,,0,not recoverable,,,s,", "say in note why"),
    ],
)
def test_a_faulty_target_file_names_the_line(monkeypatch, tmp_path, line, message):
    header = "analysis,term,column,printed,decimals,kind,low,high,source,note"
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "x.csv").write_text(f"{header}\n{line}\n", encoding="utf-8")
    monkeypatch.setattr("alliance_stats.study.targets.files", lambda package: tmp_path)
    with pytest.raises(al.TargetError, match=rf"x.csv line 2: .*{message}"):
        load_targets("x")


def test_reach_refits_only_printed_tables():
    """An analysis of data has no printed inputs, so nothing near is called within rounding."""
    analysis = Analysis("pain", al.LinearModel("pain_reduction ~ treatment"), "groups")
    assert analysis.table is None
    assert verdict(AL_FALL(18.36, 2, "value")) == "same direction"


def test_comparison_columns_are_stable():
    frame = STUDY.run().comparison()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [
        "analysis", "term", "column", "kind", "decimals", "printed", "printed_low", "printed_high", "rerun", "truth",
        "verdict", "evidence", "source", "note",
    ]  # fmt: skip
