"""Scores worked out by hand, for every instrument and every missing rule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_stats.instruments.registry import KEYS, instrument
from alliance_stats.instruments.scoring import keyed_items, score

X = None
WAI = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]
WAI_S = {"goal": [4, 6, 10, 11], "task": [1, 2, 8, 12], "bond": [3, 5, 7, 9]}
HAQ = [1 if i in (4, 8, 11, 16, 19) else 6 for i in range(1, 20)]
RMDQ = [1] * 7 + [0] * 17
PCS = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]
HADS = [2, 1] * 7


def without(answers: list[Any], *items: int) -> list[Any]:
    """The same answers with some items unanswered."""
    return [X if i in items else answer for i, answer in enumerate(answers, start=1)]


# Every expected number is worked out by hand; NaN stands where the rule gives no score.
EXAMPLES: list[tuple[str, dict[str, Any], list[list[Any]], dict[str, list[float]]]] = [
    (
        "wai_sr",
        {"reverse": []},
        # 12 answered; 10 of 12: 28 · 12/10; 9 of 12: too few; nothing answered
        [WAI, without(WAI, 3, 12), without(WAI, 1, 3, 12), [X] * 12],
        {
            "total": [33, 33.6, np.nan, np.nan],
            "goal": [9, 9, 9, np.nan],
            "task": [10, np.nan, np.nan, np.nan],
            "bond": [14, np.nan, np.nan, np.nan],
        },
    ),
    (
        "wai_sr",
        {"reverse": [], "scale": "mean"},
        [WAI],
        {"total": [2.75], "goal": [2.25], "task": [2.5], "bond": [3.5]},
    ),
    (
        "wai_s",
        {"reverse": [4, 10], "subscales": WAI_S},
        [[7, 6, 5, 1, 4, 3, 2, 7, 6, 2, 5, 4]],  # item 4 becomes 7, item 10 becomes 6
        {"total": [62], "goal": [21], "task": [24], "bond": [17]},
    ),
    (
        "watoci",
        {"range": (1, 7), "reverse": [4, 10], "subscales": {"theory": [13, 14, 15, 16]}},
        # item 4: 2 → 6, item 10: 5 → 3, item 13: 7, thirteen of 5
        [[7 if i == 13 else 2 if i == 4 else 5 for i in range(1, 17)]],
        {"total": [81], "theory": [22]},
    ),
    (
        "haq_ii",
        {"range": (1, 6), "reverse": [4, 8, 11, 16, 19]},
        # best; all 6: 14 · 6 + 5 · 1; 16 of 19 with one 1: 91 · 19/16; 15 of 19
        [HAQ, [6] * 19, without([1 if i == 4 else a for i, a in enumerate(HAQ)], 1, 2, 3), without(HAQ, 1, 2, 3, 5)],
        {"total": [114, 89, 108.0625, np.nan]},
    ),
    (
        "care",
        {},
        # two unanswered: 35 · 10/8; three: excluded
        [[5, 4] * 5, without([5, 4] * 5, 1, 3), without([5, 4] * 5, 1, 2, 3)],
        {"total": [45, 43.75, np.nan]},
    ),
    (
        "ears",
        {"reverse": [2, 3, 5]},
        # 4 + 4 + 3 + 3 + 2 + 4; five of six: 16 · 6/5; four of six
        [[4, 0, 1, 3, 2, 4], [4, 0, 1, 3, 2, X], [4, 0, 1, 3, X, X]],
        {"total": [20, 19.2, np.nan]},
    ),
    ("siras", {"range": (1, 5), "reverse": []}, [[5, 4, 3], [5, 4, X]], {"total": [12, np.nan]}),
    (
        "rmdq",
        {"missing": "zero"},
        [RMDQ, without(RMDQ, *range(8, 25)), without(RMDQ, 1, 2), [X] * 24],
        {"total": [7, 7, 5, np.nan]},
    ),
    (
        "rmdq",
        {"missing": "prorate"},
        # 20 of 24: 7 · 24/20; 19 of 24
        [without(RMDQ, 21, 22, 23, 24), without(RMDQ, 20, 21, 22, 23, 24)],
        {"total": [8.4, np.nan]},
    ),
    ("rmdq", {"missing": "complete"}, [RMDQ, without(RMDQ, 24)], {"total": [7, np.nan]}),
    (
        "odi",
        {},
        # 21/50; 16/45; 4/5; nothing
        [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3], [0, 1, 2, 3, 4, X, 0, 1, 2, 3], [X] * 4 + [4] + [X] * 5, [X] * 10],
        {"total": [42, 100 * 16 / 45, 80, np.nan]},
    ),
    ("odi", {"scale": "sum"}, [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3]], {"total": [21]}),
    ("psfs", {}, [[2, 5, 8], [2, 5, X]], {"total": [5, np.nan]}),
    ("psfs", {"missing": 1}, [[2, 5, X], [2, X, X]], {"total": [3.5, np.nan]}),
    ("psfs", {"scale": "sum", "range": (1, 10)}, [[2, 5, 8], [1, 1, 1], [10, 10, 10]], {"total": [15, 3, 30]}),
    ("psfs", {}, [[4, 7, 9, 0]], {"total": [5]}),
    ("nprs", {}, [[7], [X]], {"total": [7, np.nan]}),
    (
        "tsk_17",
        {},
        # 13 · 1 + 4 · 4; 13 · 4 + 4 · 1; 14 of 17: 26 · 17/14; 13 of 17
        [[1] * 17, [4] * 17, without([1] * 17, 1, 2, 3), without([1] * 17, 1, 2, 3, 5)],
        {"total": [29, 56, 26 * 17 / 14, np.nan]},
    ),
    (
        "pseq",
        {},
        # 36; eight of ten: 25 · 10/8; seven of ten
        [[6, 5, 4, 3, 2, 1, 0, 6, 5, 4], [X, X, 4, 3, 2, 1, 0, 6, 5, 4], [X, X, X, 3, 2, 1, 0, 6, 5, 4]],
        {"total": [36, 31.25, np.nan]},
    ),
    (
        "pcs",
        {},
        # item 13 unanswered: 21 · 13/12, magnification 2 of 3; item 12: 22 · 13/12, helplessness 10 · 6/5
        [PCS, without(PCS, 13), without(PCS, 12)],
        {
            "total": [23, 22.75, 22 * 13 / 12],
            "rumination": [9, 9, 9],
            "magnification": [3, np.nan, 3],
            "helplessness": [11, 11, 12],
        },
    ),
    (
        "hads",
        {"reverse": []},
        # six of seven 2s: 12 · 7/6; five of seven
        [HADS, without(HADS, 1), without(HADS, 1, 3)],
        {"anxiety": [14, 14, np.nan], "depression": [7, 7, 7]},
    ),
    (
        "hads",
        {"reverse": [1, 3, 5, 6, 8, 10, 11, 13]},
        [[0] * 14],  # five items of anxiety and three of depression become 3
        {"anxiety": [15], "depression": [9]},
    ),
    ("gpe", {}, [[-3], [5], [X]], {"total": [-3, 5, np.nan]}),
    ("care", {"missing": "denominator"}, [without([5, 4] * 5, 1, 2, 3, 4)], {"total": [45]}),
    ("care", {"missing": 0}, [without([5, 4] * 5, 1)], {"total": [np.nan]}),
]


def frame_of(rows: list[list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[f"q{i}" for i in range(1, len(rows[0]) + 1)])


def test_every_instrument_has_an_example() -> None:
    assert {key for key, *_ in EXAMPLES} == set(KEYS)


@pytest.mark.parametrize(("key", "options", "rows", "expected"), EXAMPLES)
def test_scores_by_hand(
    key: str, options: dict[str, Any], rows: list[list[Any]], expected: dict[str, list[float]]
) -> None:
    frame = frame_of(rows).assign(patient=range(len(rows)))
    scored = score(frame, key, "q{}", **options)
    new = [name for name in scored.columns if name not in frame.columns]
    assert new == [f"{key}_{name}" for name in expected]
    for name, values in expected.items():
        # Sums and products of a few small numbers: the last bit or none.
        np.testing.assert_allclose(scored[f"{key}_{name}"], values, rtol=1e-15, atol=0)
    pd.testing.assert_frame_equal(scored[frame.columns], frame, check_exact=True)


def test_record_and_notes_say_what_was_done() -> None:
    frame = frame_of([WAI, without(WAI, 3, 12), without(WAI, 1, 3, 12), [X] * 12])
    frame.attrs["notes"] = ("read from a file",)
    scored = score(frame, "wai_sr", "q{}", reverse=[])
    record = scored.attrs["scoring"]["wai_sr"]
    assert record["passed"] == ["reverse"]
    assert record["reverse"] == []
    assert (record["range"], record["scale"], record["better"]) == ([1, 5], "sum", "higher")
    total = record["columns"]["wai_sr_total"]
    assert total == {
        "items": list(range(1, 13)), "range": [12, 60], "n": 2, "prorated": 1, "left_out": 1, "unanswered": 1,
    }  # fmt: skip
    assert record["columns"]["wai_sr_bond"]["range"] == [4, 20]
    assert scored.attrs["notes"][:2] == (
        "read from a file",
        "wai_sr_total: 1 row scored from the mean of the answered items (at least 10 of 12 answered); 1 row without a score "
        "(fewer than 10 of 12 answered); 1 row without a score (no item answered)",
    )
    assert any(
        note.startswith("wai_sr_bond: 2 rows without a score (fewer than 4 of 4") for note in scored.attrs["notes"]
    )
    assert frame.attrs == {"notes": ("read from a file",)}
    json.dumps(scored.attrs)  # survives a file


def test_a_second_rating_takes_another_name_and_keeps_the_first_record() -> None:
    frame = pd.concat([frame_of([WAI]).add_prefix("a_"), frame_of([WAI]).add_prefix("b_")], axis=1)
    first = score(frame, "wai_sr", "a_q{}", reverse=[])
    both = score(first, "wai_sr", "b_q{}", reverse=[], name="wai_late", scale="mean")
    assert both["wai_late_total"].tolist() == [2.75]
    assert list(both.attrs["scoring"]) == ["wai_sr", "wai_late"]


def test_items_may_be_a_list_padded_bool_or_nullable() -> None:
    listed = score(pd.DataFrame({"b": [1], "a": [5], "c": [2]}), "siras", ["a", "b", "c"], range=(1, 5), reverse=[])
    assert listed["siras_total"].tolist() == [8]
    padded = pd.DataFrame([[5] * 10], columns=[f"care_{i:02}" for i in range(1, 11)])
    assert score(padded, "care", "care_{:02}")["care_total"].tolist() == [50]
    yes = frame_of([[True, False] * 12])
    assert score(yes, "rmdq", "q{}")["rmdq_total"].tolist() == [12]
    gaps = frame_of([[X, 4] * 3]).astype("Int64")
    assert score(gaps, "ears", "q{}", reverse=[], missing=3)["ears_total"].tolist() == [24]


def test_a_single_column_needs_no_braces() -> None:
    scored = score(pd.DataFrame({"pain_0": [3, 8], "pain_8": [1, 2]}), "nprs", "pain_8", name="pain_after")
    assert scored["pain_after_total"].tolist() == [1, 2]


def test_values_passed_against_a_seen_key_are_noted() -> None:
    scored = score(frame_of([[1] * 10]), "care", "q{}", range=(0, 4))
    assert "care: range=[0, 4] was passed; the key has [1, 5] (seen)" in scored.attrs["notes"]
    assert scored.attrs["scoring"]["care"]["columns"]["care_total"]["range"] == [0, 40]
    same = score(frame_of([[1] * 10]), "care", "q{}", range=(1, 5), reverse=[])
    assert same.attrs["notes"] == ()


def test_subscales_of_the_tsk_17_come_only_when_passed() -> None:
    alone = score(frame_of([[1] * 17]), "tsk_17", "q{}")
    assert "no subscales are formed" in alone.attrs["notes"][-1]
    given = score(frame_of([[1] * 17]), "tsk_17", "q{}", subscales={"somatic": [3, 4, 5]})
    assert given["tsk_17_somatic"].tolist() == [6]
    assert given.attrs["notes"] == ()


def alliance(n: int, turned: tuple[int, ...] = (), seed: int = 1) -> pd.DataFrame:
    """Answers 1 to 7 to twelve items of one alliance, some of them worded the other way round."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 1)) + rng.normal(size=(n, 12))
    answers = np.clip(np.round(4 + 1.2 * latent), 1, 7)
    answers[:, [i - 1 for i in turned]] = 8 - answers[:, [i - 1 for i in turned]]
    return pd.DataFrame(answers, columns=[f"q{i}" for i in range(1, 13)])


def test_items_left_unreversed_are_noted_and_others_are_not() -> None:
    frame = alliance(80, turned=(4, 10))
    wrong = score(frame, "wai_s", "q{}", reverse=[], subscales=WAI_S)
    found = [note for note in wrong.attrs["notes"] if "wai_s_total" in note]
    assert [("'q4'" in note, "'q10'" in note) for note in found] == [(True, False), (False, True)]
    assert "runs against the rest of its scale (item–rest correlation -0." in found[0]
    right = score(frame, "wai_s", "q{}", reverse=[4, 10], subscales=WAI_S)
    assert right.attrs["notes"] == ()
    few = score(frame.head(9), "wai_s", "q{}", reverse=[], subscales={})
    assert few.attrs["notes"] == ()


def test_unrelated_items_are_rarely_noted() -> None:
    """Without any relation a note comes by chance in about 2.5 % of items: a two-sided 95 % limit, one side."""
    rng = np.random.default_rng(2)
    noted = 0
    for _ in range(60):
        frame = pd.DataFrame(rng.integers(1, 6, (60, 10)), columns=[f"q{i}" for i in range(1, 11)])
        noted += len(score(frame, "care", "q{}").attrs["notes"])
    assert abs(noted / 600 - 0.025) < 3 * np.sqrt(0.025 * 0.975 / 600)


def test_constant_items_are_no_trouble() -> None:
    scored = score(frame_of([[5] * 10] * 12), "care", "q{}")
    assert scored["care_total"].tolist() == [50] * 12
    assert scored.attrs["notes"] == ()


def test_keyed_items_are_checked_turned_and_otherwise_left() -> None:
    frame = alliance(5).assign(patient=list("abcde")).set_index("patient")
    keyed = keyed_items(frame, "wai_s", "q{}", reverse=[4])
    assert list(keyed.columns) == [f"q{i}" for i in range(1, 13)]
    assert (keyed["q4"] == 8 - frame["q4"]).all()
    pd.testing.assert_frame_equal(keyed.drop(columns="q4"), frame.drop(columns="q4"))
    # A rule that is not confirmed plays no part where nothing is summed.
    assert keyed_items(frame_of([without(RMDQ, 3)]), "rmdq", "q{}").isna().sum().sum() == 1


@given(order=st.permutations(list(range(12))), seed=st.integers(0, 1000))
def test_scores_do_not_depend_on_the_order_of_columns(order: list[int], seed: int) -> None:
    frame = alliance(20, seed=seed)
    frame.iloc[0, 3] = np.nan
    first = score(frame, "wai_s", "q{}", reverse=[4, 10], subscales=WAI_S)
    second = score(frame.iloc[:, order], "wai_s", "q{}", reverse=[4, 10], subscales=WAI_S)
    new = [name for name in first.columns if name not in frame.columns]
    pd.testing.assert_frame_equal(first[new], second[new], check_exact=True)


@given(turned=st.sets(st.integers(1, 12)), seed=st.integers(0, 1000))
def test_reversing_twice_is_no_reversal(turned: set[int], seed: int) -> None:
    frame = alliance(8, seed=seed)
    once = keyed_items(frame, "wai_s", "q{}", reverse=sorted(turned))
    twice = keyed_items(once, "wai_s", "q{}", reverse=sorted(turned))
    pd.testing.assert_frame_equal(twice, frame, check_exact=True)
    total = score(frame, "wai_s", "q{}", reverse=list(range(1, 13)), subscales={})["wai_s_total"]
    plain = score(frame, "wai_s", "q{}", reverse=[], subscales={})["wai_s_total"]
    assert (total + plain == 12 * 8).all()


@given(rows=st.permutations(list(range(15))))
def test_scores_do_not_depend_on_the_other_rows(rows: list[int]) -> None:
    frame = alliance(15)
    whole = score(frame, "wai_s", "q{}", reverse=[], subscales={})["wai_s_total"]
    part = score(frame.iloc[rows[:7]], "wai_s", "q{}", reverse=[], subscales={})["wai_s_total"]
    assert (whole.loc[part.index] == part).all()


@pytest.mark.parametrize("key", ["care", "pseq", "pcs", "odi", "tsk_17"])
def test_scores_stay_in_their_range(key: str) -> None:
    of, rng = instrument(key), np.random.default_rng(3)
    answers = rng.integers(of.answers.low, of.answers.high + 1, (200, of.items)).astype(float)
    answers[rng.random(answers.shape) < 0.1] = np.nan
    scored = score(pd.DataFrame(answers, columns=[f"q{i + 1}" for i in range(of.items)]), key, "q{}")
    for name, column in scored.attrs["scoring"][key]["columns"].items():
        low, high = column["range"]
        assert scored[name].dropna().between(low, high).all()
        assert scored[name].notna().sum() == column["n"]
        assert column["n"] + column["left_out"] + column["unanswered"] == 200
