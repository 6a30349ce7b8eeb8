"""Files that R wrote, against what R's package foreign, another parser, finds in them (tests/data/from_r/make.R)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alliance_stats.data.missing_codes import missing_codes
from alliance_stats.data.reading import read_table

FOLDER = Path(__file__).parent / "from_r"


@pytest.fixture(scope="module")
def expected():
    return json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def numbers(values):
    return np.array([np.nan if value is None else value for value in values], dtype="float64")


def texts(column):
    return ["" if pd.isna(text) else text for text in column]


def test_spss(expected):
    frame, spss = read_table(FOLDER / "trial.sav"), expected["spss"]
    assert texts(frame["patient"]) == spss["patient"]
    for name in ("arm", "pain"):
        np.testing.assert_array_equal(frame[name], numbers(spss[name]))
        restored = frame[name].astype("float64")
        for cell in missing_codes(frame[[name]]).itertuples():
            restored[cell.row] = cell.code
        np.testing.assert_array_equal(restored, numbers(spss[f"{name}_raw"]))
    seconds = (frame["visit"] - pd.Timestamp("1582-10-14")) / pd.Timedelta(seconds=1)
    np.testing.assert_array_equal(seconds, numbers(spss["visit_seconds"]))
    labels = {int(code): text for text, code in spss["arm_labels"].items()}
    assert frame.attrs["value_labels"]["arm"] == labels
    assert frame.attrs["variable_labels"]["arm"] == spss["arm_label"]


def test_stata(expected):
    frame, stata = read_table(FOLDER / "trial.dta"), expected["stata"]
    assert texts(frame["patient"]) == [text.strip() for text in stata["patient"]]
    np.testing.assert_array_equal(frame["arm"], numbers(stata["arm"]))
    found = dict(missing_codes(frame)[["row", "code"]].itertuples(index=False))
    assert found == {row: code for row, code in enumerate(stata["arm_missing"]) if code != "."}
    days = [None if pd.isna(day) else f"{day:%Y-%m-%d}" for day in frame["visit"]]
    assert days == stata["visit"]
    assert frame.attrs["value_labels"]["arm"] == {1: "usual care", 2: "enhanced", ".r": "refused"}
