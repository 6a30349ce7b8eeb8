"""Reliable change, responders, floor and ceiling: worked examples, R, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import pinned
from hypothesis import given
from hypothesis import strategies as st

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.instruments.change import change_summary, clinical_cutoff, reliable_change
from alliance_stats.instruments.reliability import alpha
from alliance_stats.instruments.responders import responders
from alliance_stats.instruments.scoring import score
from alliance_stats.instruments.shares import floor_ceiling, wilson

MEANING = "individual change, not a between-group margin"


def trial() -> pd.DataFrame:
    """RMDQ before and after in two arms, one patient without the second score, one who starts at 0."""
    return pd.DataFrame(
        {
            "before": [15.0, 12, 10, 8, 20, 0],
            "after": [10.0, 6, 9, 14, np.nan, 0],
            "arm": ["a", "a", "a", "b", "b", "b"],
        }
    )


def test_reliable_change_is_that_of_jacobson_and_truax() -> None:
    expected = pinned("reliability", "change")
    frame = pd.DataFrame({"before": [22.0], "after": [14.0]})
    options = {"reliability": expected["reliability"], "sd": expected["sd"], "better": "lower"}
    found = reliable_change(frame, "before", "after", **options)
    assert found["rci"][0] == pytest.approx(-expected["rci"], rel=1e-12)
    assert found["category"].tolist() == ["improved"]
    cutoff = clinical_cutoff((22, 6.2), (10, 4.1))
    assert cutoff == pytest.approx(expected["cutoff"], rel=1e-12)
    assert reliable_change(frame, "before", "after", cutoff=cutoff, **options)["category"].tolist() == ["recovered"]


def test_categories_by_hand() -> None:
    """√2 · 5 · √(1 − .9) = 2.236: beyond 4.38 points a change is reliable."""
    found = reliable_change(trial(), "before", "after", key="rmdq", reliability=0.9, sd=5, cutoff=6)
    assert found["category"].tolist()[:4] == ["improved", "recovered", "unchanged", "deteriorated"]
    assert pd.isna(found["category"][4])
    assert found["rci"][0] == pytest.approx(-5 / np.sqrt(5))
    assert found.attrs["notes"] == (
        "change beyond 4.38 points is reliable: sd 5 as passed, reliability 0.9 as passed",
        "1 row without both scores: no category",
    )
    assert list(found["category"].cat.categories) == ["deteriorated", "unchanged", "improved", "recovered"]
    wide = reliable_change(trial(), "before", "after", key="rmdq", reliability=0.9, sd=5, level=0.99)
    assert wide["category"].tolist()[:4] == ["unchanged", "improved", "unchanged", "deteriorated"]


def test_who_starts_beyond_the_cutoff_does_not_recover() -> None:
    frame = pd.DataFrame({"before": [5.0, 12.0], "after": [0.0, 6.0]})
    found = reliable_change(frame, "before", "after", better="lower", reliability=0.9, sd=4, cutoff=6)
    assert found["category"].tolist() == ["improved", "recovered"]


def test_sd_and_reliability_may_be_estimated() -> None:
    rng = np.random.default_rng(1)
    latent = rng.normal(size=60)
    frame = pd.DataFrame({f"q{i}": latent + rng.normal(size=60) for i in range(1, 6)})
    frame["before"] = frame.sum(axis=1)
    frame["after"] = frame["before"] - 3 + rng.normal(size=60)
    found = reliable_change(frame, "before", "after", better="lower", items="q{}")
    r = alpha(frame, "q{}")["estimate"][0]
    expected = (frame["after"] - frame["before"]) / (frame["before"].std() * np.sqrt(2 * (1 - r)))
    np.testing.assert_allclose(found["rci"], expected, rtol=1e-12)
    assert f"sd {frame['before'].std():.3g} of the first score (n = 60)" in found.attrs["notes"][0]
    assert f"reliability {r:.3g} (alpha of 5 items, n = 60)" in found.attrs["notes"][0]


@given(seed=st.integers(0, 1000), shift=st.floats(-20, 20))
def test_direction_and_shift(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(10, 4, (25, 2)), columns=["before", "after"])
    options: dict[str, Any] = {"reliability": 0.8, "sd": 4}
    lower = reliable_change(frame, "before", "after", better="lower", **options)
    higher = reliable_change(shift - frame, "before", "after", better="higher", **options)
    assert lower["category"].tolist() == higher["category"].tolist()
    np.testing.assert_allclose(lower["rci"], -higher["rci"], rtol=0, atol=1e-12)


def test_without_true_change_one_in_twenty_is_called_reliable() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(0, np.sqrt(0.8), 4000)
    frame = pd.DataFrame({name: true + rng.normal(0, np.sqrt(0.2), 4000) for name in ("before", "after")})
    found = reliable_change(frame, "before", "after", better="higher", reliability=0.8, sd=1)
    assert abs((found["category"] != "unchanged").mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_summary_by_arm() -> None:
    frame = trial()
    found = reliable_change(frame, "before", "after", key="rmdq", reliability=0.9, sd=5)
    table = change_summary(found, frame["arm"])
    assert table[["arm", "category", "count", "n", "left_out"]].to_numpy().tolist() == [
        ["a", "deteriorated", 0, 3, 0], ["a", "unchanged", 1, 3, 0], ["a", "improved", 2, 3, 0],
        ["b", "deteriorated", 1, 2, 1], ["b", "unchanged", 1, 2, 1], ["b", "improved", 0, 2, 1],
    ]  # fmt: skip
    assert change_summary(found)["count"].tolist() == [1, 2, 2]
    with pytest.raises(DataError, match="by= has other rows"):
        change_summary(found, frame["arm"].head(3))
    with pytest.raises(DataError, match="no column 'category'"):
        change_summary(frame)


@pytest.mark.parametrize("case", pinned("reliability", "wilson"))
def test_wilson_is_that_of_prop_test(case: dict[str, Any]) -> None:
    assert wilson(case["count"], case["n"], 0.95) == pytest.approx(case["interval"], abs=1e-12)


def test_wilson_of_nobody_is_missing() -> None:
    assert np.isnan(wilson(0, 0, 0.95)).all()


def test_responders_by_every_printed_criterion() -> None:
    table = responders(trial(), "after", "before", key="rmdq", by="arm")
    assert table[["criterion", "arm", "count", "n", "left_out"]].to_numpy().tolist() == [
        ["5 points lower", "a", 2, 3, 0], ["5 points lower", "b", 0, 2, 1],
        ["30 % lower", "a", 2, 3, 0], ["30 % lower", "b", 0, 1, 2],  # who starts at 0 has no percentage
        ["5.5 points lower", "a", 1, 3, 0], ["5.5 points lower", "b", 0, 2, 1],
    ]  # fmt: skip
    assert set(table["better"]) == {"lower"}
    assert set(table["meaning"]) == {MEANING}
    assert "Ostelo 2008" in table["source"][0]
    assert "disc herniation" in table["source"][4]
    assert MEANING in table.attrs["notes"][0]
    assert MEANING in str(table.to_string())


def test_responders_with_values_of_ones_own() -> None:
    third = responders(trial(), "after", "before", key="rmdq", percent=100 / 3)
    assert third["count"].tolist() == [2]  # 15 → 10 is a third, to rounding
    assert third["source"].tolist() == ["passed as percent="]
    gain = pd.DataFrame({"before": [1.3, 2.0], "after": [2.4, 2.0]})
    assert responders(gain, "after", "before", better="higher", mic=1.1)["count"].tolist() == [1]
    assert responders(gain, "after", "before", key="psfs")["criterion"].tolist() == [
        "1.3 points higher", "2.3 points higher", "2.7 points higher",
    ]  # fmt: skip


def test_a_rating_of_change_has_no_before() -> None:
    table = responders(pd.DataFrame({"gpe": [3, 2, 5, np.nan]}), "gpe", key="gpe")
    assert table[["criterion", "count", "n", "left_out"]].to_numpy().tolist() == [["2.5 or higher", 2, 3, 1]]
    with pytest.raises(AllianceError, match="before= is missing; only a rating of change, such as 'gpe'"):
        responders(trial(), "after", key="rmdq")


def test_groups_without_a_label_are_a_group() -> None:
    frame = trial().assign(arm=["a", "a", None, "b", "b", "b"])
    table = responders(frame, "after", "before", better="lower", mic=5, by="arm")
    assert table["arm"].tolist() == ["a", "b", "(missing)"]
    assert table["n"].sum() + table["left_out"].sum() == 6


def test_floor_and_ceiling_of_scored_scales() -> None:
    rows = [[5] * 12, [5] * 12, [1] * 12, [5] * 11 + [4], [np.nan] * 12]
    frame = pd.DataFrame(rows, columns=[f"wai_{i}" for i in range(1, 13)]).assign(arm=list("aabba"))
    table = floor_ceiling(score(frame, "wai_sr", "wai_{}", reverse=[]), by="arm")
    total = table[table["scale"] == "wai_sr_total"]
    assert total[["arm", "n", "missing", "minimum", "maximum", "floor", "ceiling"]].to_numpy().tolist() == [
        ["a", 2, 1, 12, 60, 0.0, 1.0],
        ["b", 2, 0, 12, 60, 0.5, 0.0],
    ]
    assert total["ceiling_low"].tolist() == pytest.approx([wilson(2, 2, 0.95)[0], 0])
    assert list(table["scale"].unique()) == ["wai_sr_total", "wai_sr_goal", "wai_sr_task", "wai_sr_bond"]
    # A prorated mean at the end of its scale counts as the end.
    mean = pd.DataFrame({"x": [0.1 * 3 / 0.1, 3.0, 1.0]})
    assert floor_ceiling(mean, {"x": (0, 3)})["ceiling"][0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: reliable_change(f, "before", "after", reliability=0.9), "which way is better"),
        (lambda f: reliable_change(f, "before", "after", better="up", reliability=0.9), "better is 'up'"),
        (
            lambda f: reliable_change(f, "before", "after", key="rmdq", better="higher", reliability=0.9),
            "but lower scores of",
        ),
        (lambda f: reliable_change(f, "before", "after", key="rmdq"), "pass either reliability= or items="),
        (lambda f: reliable_change(f, "before", "after", key="rmdq", reliability=1.0), "reliability is 1.0"),
        (lambda f: reliable_change(f, "before", "after", key="rmdq", reliability=0.9, sd=0), "sd is 0"),
        (lambda f: reliable_change(f.assign(before=3.0), "before", "after", key="rmdq", reliability=0.9), "no spread"),
        (
            lambda f: reliable_change(f, "befor", "after", key="rmdq", reliability=0.9),
            "no column 'befor' .did you mean",
        ),
        (lambda f: reliable_change(f, "arm", "after", key="rmdq", reliability=0.9), "column 'arm' holds text"),
        (
            lambda f: reliable_change(f, "before", "before", key="rmdq", reliability=0.9),
            "names 'before' more than once",
        ),
        (lambda f: clinical_cutoff((20, 0), (10, 4)), "patients= has the SD 0"),
        (lambda f: responders(f, "after", "before", better="lower"), "no instrument is given; pass mic="),
        (lambda f: responders(f, "after", "before", key="pseq"), "none was seen for 'pseq'; pass mic="),
        (lambda f: responders(f, "after", "before", key="rmdq", mic=5, percent=30), "mic= or percent=, not both"),
        (lambda f: responders(f, "after", "before", key="rmdq", mic=-5), "mic is -5; give the size of the change"),
        (lambda f: responders(f, "after", "before", key="rmdq", by="group"), "responders: by=: no column 'group'"),
        (lambda f: floor_ceiling(f), "holds no score made by score.*pass ranges="),
        (lambda f: floor_ceiling(f, {"before": (24, 0)}), "the range of 'before' is .24, 0."),
        (lambda f: floor_ceiling(f, {"before": (0, 18)}), "'before' holds 20 in row 5, outside 0 to 18"),
        (lambda f: floor_ceiling(f, {"before": (0, 24)}, level=1), "level is 1"),
    ],
)
def test_errors_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        call(trial())
