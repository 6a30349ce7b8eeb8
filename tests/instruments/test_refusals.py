"""What scoring refuses, and in which words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.instruments.scoring import keyed_items, score


def care(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({f"care_{i}": [4, 5, 3] for i in range(1, 11)}).assign(**columns)


def numbered(items: int, value: int = 1) -> pd.DataFrame:
    return pd.DataFrame([[value] * items] * 3, columns=[f"q{i}" for i in range(1, items + 1)])


@pytest.mark.parametrize(
    ("key", "items", "parts"),
    [
        ("wai_sr", 12, ["reverse: none, known from memory only", "pass reverse=[]"]),
        (
            "wai_s",
            12,
            ["pass reverse=[4, 10]", "pass subscales={'goal': [4, 6, 10, 11]", "or subscales={}"],
        ),
        (
            "watoci",
            16,
            ["pass range=(1, 7)", "reverse: in no source that was read", 'pass subscales={"name": [items], …}'],
        ),
        ("haq_ii", 19, ["pass range=(1, 6)", "inferred, not from a key", "pass reverse=[4, 8, 11, 16, 19]"]),
        ("ears", 6, ["in no source that was read", "pass reverse=[2, 3, 5] or reverse=[1, 4, 6]"]),
        ("siras", 3, ["pass range=(1, 5)", "pass reverse=[]"]),
        ("hads", 14, ["it depends on your form", "pass reverse=[] or reverse=[1, 3, 5, 6, 8, 10, 11, 13]"]),
    ],
)
def test_parts_not_confirmed_are_asked_for_together(key: str, items: int, parts: list[str]) -> None:
    with pytest.raises(AllianceError) as caught:
        score(numbered(items), key, "q{}")
    message = str(caught.value)
    assert message.startswith(f"score: parts of the key of '{key}' are not confirmed; check your form and pass them:")
    for part in parts:
        assert part in message


def test_each_part_must_be_passed() -> None:
    with pytest.raises(AllianceError, match=r"- subscales: goal") as caught:
        score(numbered(12), "wai_s", "q{}", reverse=[4, 10])
    assert "- reverse" not in str(caught.value)
    assert score(numbered(12), "wai_s", "q{}", reverse=[4, 10], subscales={})["wai_s_total"].tolist() == [24.0] * 3
    with pytest.raises(AllianceError, match=r"pass reverse=\[\]"):
        keyed_items(numbered(12), "wai_sr", "q{}")


def test_the_sum_of_the_psfs_asks_for_its_range() -> None:
    with pytest.raises(AllianceError, match=r"printed as 3 to 30 .*pass range=\(1, 10\) or range=\(0, 10\)"):
        score(numbered(3), "psfs", "q{}", scale="sum")
    with pytest.raises(AllianceError, match="the sum of 'psfs' needs 3 columns, not 4; use scale='mean'"):
        score(numbered(4), "psfs", "q{}", scale="sum", range=(0, 10))


def test_a_missing_rule_from_memory_is_asked_for_only_where_there_are_gaps() -> None:
    whole = numbered(24)
    assert score(whole, "rmdq", "q{}")["rmdq_total"].tolist() == [24.0] * 3
    with pytest.raises(
        AllianceError, match=r"2 rows with unanswered items.*from memory only; pass missing='zero' for it"
    ):
        score(whole.assign(q3=[np.nan, 1, 1], q9=[1, 1, np.nan]), "rmdq", "q{}")
    empty = pd.concat([whole, whole.iloc[:1] * np.nan], ignore_index=True)
    assert score(empty, "rmdq", "q{}")["rmdq_total"].isna().tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "cares"}, "no instrument 'cares' .did you mean 'care'"),
        ({"scale": "percent"}, "scale is 'percent'; 'care' is scored as 'sum', 'mean'"),
        ({"items": "empathy_{}"}, "items='empathy_{}' fits no column; columns: care_1, care_2"),
        ({"items": "car_{}"}, "items='car_{}' fits no column .did you mean 'care_1'"),
        ({"items": "care"}, "items='care' has no {} for the number of the item; write items=\"care_{}\", or a list"),
        ({"items": "care_{}_{}"}, "cannot be filled with item numbers; write one {}"),
        ({"items": "care_{}{0"}, "cannot be filled with item numbers"),
        ({"items": ["care_1", "care_2"]}, "items= names 2 columns; 10 are needed"),
        ({"items": ["care_1"] * 10}, "items= names 'care_1' more than once"),
        ({"reverse": [0]}, r"reverse=\[0\]; give the numbers of items of 'care', 1 to 10"),
        ({"reverse": [11]}, r"reverse=\[11\]; give the numbers"),
        ({"reverse": "care_4"}, "reverse='care_4'; give the numbers"),
        ({"reverse": [True]}, r"reverse=\[True\]; give the numbers"),
        ({"reverse": [4, 4]}, r"reverse=\[4, 4\] names an item more than once"),
        ({"range": (5, 1)}, r"range=\(5, 1\); give the lowest and the highest option"),
        ({"range": 5}, "range=5; give the lowest and the highest option"),
        ({"range": (0.5, 5)}, r"range=\(0.5, 5\); give the lowest"),
        ({"subscales": {"total": [1]}}, "subscales= names 'total'; use a plain name other than 'total'"),
        ({"subscales": {"warm th": [1]}}, "subscales= names 'warm th'"),
        ({"subscales": {"warmth": []}}, "subscales= gives 'warmth' no items"),
        ({"subscales": {"warmth": [12]}}, r"subscales\['warmth'\]=\[12\]; give the numbers"),
        ({"subscales": [1, 2]}, r"subscales=\[1, 2\]; give item numbers by name"),
        ({"missing": "mean"}, "missing='mean'; use 'prorate', 'denominator', 'zero', 'complete'"),
        ({"missing": "prorata"}, "missing='prorata' .did you mean 'prorate'"),
        ({"missing": -1}, "missing=-1; use"),
        ({"missing": "zero"}, "missing='zero', but the options start at 1; 0 is no answer of 'care'"),
    ],
)
def test_arguments_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    given = {"key": "care", "items": "care_{}"} | options
    with pytest.raises(AllianceError, match=message):
        score(care(), **given)


def test_an_instrument_without_total_needs_a_subscale() -> None:
    with pytest.raises(AllianceError, match="'hads' has no total, and subscales= is empty"):
        score(numbered(14), "hads", "q{}", reverse=[], subscales={})


def test_absent_columns_are_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"score: 'care': no column 'care_7' .did you mean"):
        score(care().drop(columns="care_7"), "care", "care_{}")


def test_doubled_columns_are_refused() -> None:
    double = pd.concat([care(), care()[["care_2"]]], axis=1)
    with pytest.raises(DataError, match="2 columns are called 'care_2'"):
        score(double, "care", "care_{}")


def test_columns_that_exist_are_not_overwritten() -> None:
    with pytest.raises(DataError, match="the frame already has 'care_total'; rename or drop it, or pass name="):
        score(care(care_total=1), "care", "care_{}")


def test_padding_is_guessed() -> None:
    frame = care().rename(columns=lambda name: re.sub(r"_(\d)$", r"_0\1", name))
    with pytest.raises(DataError, match=r"no column 'care_1'.*'care_2'"):
        score(frame, "care", "care_{}")  # care_10 fits, the others do not
    with pytest.raises(DataError, match=r"fits no column \(did you mean items='care_\{:02\}'\?\)"):
        score(frame.drop(columns="care_10"), "care", "care_{}")


def test_answers_outside_the_range_are_shown_by_column_row_and_value() -> None:
    frame = care(care_2=[4, 9, 0], care_5=[6, 5, 3])
    with pytest.raises(DataError) as caught:
        score(frame, "care", "care_{}")
    assert str(caught.value).splitlines() == [
        "score: 'care' (row 1 is the first row):",
        "- column 'care_2': not in the range 1 to 5, rows 2, 3: 9, 0",
        "- column 'care_5': not in the range 1 to 5, row 1: 6",
        "A code for missing or 'does not apply' must be made missing first; another coding goes into range=.",
    ]


def test_at_most_ten_rows_are_shown() -> None:
    frame = pd.concat([care(care_1=99)] * 5, ignore_index=True)
    with pytest.raises(DataError, match="rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 5 more: 99"):
        score(frame, "care", "care_{}")


def test_infinite_and_fractional_answers() -> None:
    with pytest.raises(DataError, match="column 'care_1': not in the range 1 to 5, row 1: inf"):
        score(care(care_1=[np.inf, 4, 4]), "care", "care_{}")
    with pytest.raises(DataError, match=r"column 'care_3': not a whole number, rows 1, 2: 3.5, 2.25"):
        score(care(care_3=[3.5, 2.25, 3]), "care", "care_{}")


@pytest.mark.parametrize(
    "column",
    [
        ["often", "never", "often"],
        ["4", "5", "3"],
        pd.Categorical(["often", "never", "often"]),
        pd.Series(["often", 4, None], dtype=object),
    ],
)
def test_option_labels_are_refused(column: Any) -> None:
    with pytest.raises(
        DataError, match=r"column 'care_4' holds text \('(often|4)'.*recode the options to numbers first"
    ):
        score(care(care_4=column), "care", "care_{}")


def test_mixed_columns_of_numbers_are_read() -> None:
    scored = score(care(care_4=pd.Series([4, None, 3], dtype=object)), "care", "care_{}")
    assert scored["care_total"].tolist() == [40, 50, 30]
