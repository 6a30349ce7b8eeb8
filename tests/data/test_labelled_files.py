"""SPSS and Stata files: labels, user-missing codes, dates; and the codes that a study declares itself."""

from __future__ import annotations

import copy
import pickle
import struct

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from alliance_stats.data.dates import spss_dates, stata_dates
from alliance_stats.data.missing_codes import missing_codes
from alliance_stats.data.reading import read_table
from alliance_stats.data.schema import check
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError

VALUE_LABELS = {
    "arm": {1.0: "GE", 2.0: "MCE", 9.0: "not randomised"},
    "pain": {0.0: "no pain", 10.0: "worst pain", -9.0: "refused"},
    "item": {1.0: "never", 2.0: "always"},
    "site": {"N": "north", "S": "south", "XX": "unknown"},
}


@pytest.fixture
def sav(tmp_path):
    frame = pd.DataFrame(
        {
            "ID": ["A", "B", "C", "D", "E"],
            "arm": [1.0, 2.0, 1.0, 9.0, np.nan],
            "pain": [1.5, -9.0, -8.0, 7.0, np.nan],
            "item": [1.0, 2.0, 2.0, 1.0, 1.0],
            "site": ["N", "XX", "S", "N", "S"],
        }
    )
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(
        frame,
        str(file),
        column_labels={"arm": " treatment arm ", "pain": "average pain"},
        variable_value_labels=VALUE_LABELS,
        missing_ranges={"arm": [9], "pain": [{"lo": -9, "hi": -8}], "site": ["XX"]},
    )
    return file


def test_user_missing_values_are_missing_and_known(sav):
    frame = read_table(sav, rename={"ID": "patient"})
    expected = pd.DataFrame(
        {
            "patient": ["A", "B", "C", "D", "E"],
            "arm": [1.0, 2.0, 1.0, np.nan, np.nan],
            "pain": [1.5, np.nan, np.nan, 7.0, np.nan],
            "item": [1, 2, 2, 1, 1],
            "site": pd.array(["N", None, "S", "N", "S"], dtype="str"),
        }
    )
    assert_frame_equal(frame, expected)
    assert frame.attrs["user_missing"] == {"arm": {9: 1}, "pain": {-9: 1, -8: 1}, "site": {"XX": 1}}
    assert frame.attrs["system_missing"] == {"arm": 1, "pain": 1}
    assert frame.attrs["variable_labels"] == {"arm": "treatment arm", "pain": "average pain"}
    assert frame.attrs["value_labels"] == VALUE_LABELS
    assert [type(code) for code in frame.attrs["value_labels"]["arm"]] == [int, int, int]
    assert frame.attrs["notes"] == (
        "Column 'arm': read as missing by their codes: 9 'not randomised' (1 time); system-missing (1 time).",
        "Column 'pain': read as missing by their codes: -9 'refused' (1 time), -8 (1 time); system-missing (1 time).",
        "Column 'site': read as missing by their codes: XX 'unknown' (1 time).",
    )


def test_the_codes_of_missing_cells_are_listed(sav):
    frame = read_table(sav, rename={"pain": "pain_0"})
    assert missing_codes(frame).to_numpy().tolist() == [
        [3, "arm", 9, "not randomised"],
        [1, "pain_0", -9, "refused"],
        [2, "pain_0", -8, ""],
        [1, "site", "XX", "unknown"],
    ]
    for row in missing_codes(frame).itertuples():
        assert pd.isna(frame.loc[row.row, row.column])


def test_the_codes_follow_rows_and_columns_that_are_kept(sav):
    frame = read_table(sav)
    assert missing_codes(frame.loc[[3, 1], ["pain", "site"]])[["row", "column"]].to_numpy().tolist() == [
        [1, "pain"], [1, "site"],
    ]  # fmt: skip
    assert missing_codes(frame.sort_values("pain").head(2))["row"].tolist() == [3]
    assert missing_codes(pickle.loads(pickle.dumps(copy.deepcopy(frame)))).equals(missing_codes(frame))
    assert missing_codes(pd.DataFrame({"x": [1]})).columns.tolist() == ["row", "column", "code", "label"]


def test_codes_of_other_rows_are_never_given(sav):
    frame = read_table(sav)
    with pytest.raises(DataError, match="column 'arm', row label 3 was missing when the frame was read"):
        missing_codes(frame.iloc[::-1].reset_index(drop=True).assign(arm=[1, 2, 3, 4, 5]))
    with pytest.raises(DataError, match="row labels occur more than once"):
        missing_codes(frame.set_axis([0, 0, 1, 2, 3]))


def test_columns_stay_codes_or_become_labels(sav):
    assert read_table(sav)["item"].tolist() == [1, 2, 2, 1, 1]
    chosen = read_table(sav, rename={"arm": "treatment"}, labels=["treatment", "site"])
    assert chosen["treatment"].tolist()[:3] == ["GE", "MCE", "GE"]
    assert chosen["treatment"].isna().tolist() == [False, False, False, True, True]
    assert str(chosen["treatment"].dtype) == "str"
    assert chosen["site"].tolist()[2:] == ["south", "north", "south"]
    assert chosen["item"].tolist() == [1, 2, 2, 1, 1]


def test_all_labels_leave_scales_with_named_ends_alone(sav):
    frame = read_table(sav, labels="labels")
    assert frame["item"].tolist() == ["never", "always", "always", "never", "never"]
    assert frame["pain"].tolist()[0] == 1.5
    assert "Column 'pain': kept as codes, because it holds 2 values without a label: 1.5, 7." in frame.attrs["notes"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("item", r"labels='item': pass \"codes\", \"labels\" or a list of columns, such as labels=\['item'\]"),
        (["itme"], r"labels=: no column 'itme' \(did you mean '\w+'\?\)"),
        (["ID"], "labels=: column 'ID' has no value labels in the file; leave it out"),
        (["pain"], "labels=: column 'pain' holds 2 values without a label: 1.5, 7; leave it out"),
    ],
)
def test_labels_that_cannot_be(sav, labels, message):
    with pytest.raises(DataError, match=message):
        read_table(sav, labels=labels)


def test_one_label_for_two_codes_is_no_label(tmp_path):
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(
        pd.DataFrame({"x": [1.0, 2.0]}), str(file), variable_value_labels={"x": {1.0: "yes", 2.0: "yes "}}
    )
    with pytest.raises(DataError, match="column 'x' has the label 'yes' for more than one code"):
        read_table(file, labels=["x"])


def test_text_that_holds_numbers_has_its_labels_under_numbers(tmp_path):
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(
        pd.DataFrame({"x": ["1", "2"]}), str(file), variable_value_labels={"x": {"1": "no", "2": "yes"}}
    )
    frame = read_table(file)
    assert frame["x"].tolist() == [1, 2]
    assert frame.attrs["value_labels"] == {"x": {1: "no", 2: "yes"}}
    assert read_table(file, labels=["x"])["x"].tolist() == ["no", "yes"]


_codes = st.lists(st.sampled_from([1.0, 2.0, 3.5, -9.0, -8.0, 99.0, None]), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(codes=_codes)
def test_a_file_with_labels_and_missing_codes_comes_back_equal(tmp_path, codes):
    """Values and missing codes together make the column that was written."""
    written = np.array([np.nan if code is None else code for code in codes], dtype="float64")
    file = tmp_path / "round.sav"
    labels = {"x": {1.0: "low", -9.0: "refused", 99.0: "lost"}}
    missing = {"x": [{"lo": -9, "hi": -8}, 99]}
    pyreadstat.write_sav(pd.DataFrame({"x": written}), str(file), variable_value_labels=labels, missing_ranges=missing)
    frame = read_table(file)
    restored = frame["x"].astype("float64")
    cells = missing_codes(frame)
    for cell in cells.itertuples():
        assert pd.isna(restored.loc[cell.row])
        restored.loc[cell.row] = cell.code
        assert cell.label == labels["x"].get(cell.code, "")
    np.testing.assert_array_equal(restored.to_numpy(), written)
    assert set(cells["code"]) <= {-9, -8, 99}
    assert frame.attrs["system_missing"].get("x", 0) == codes.count(None)
    assert frame.attrs["value_labels"] == labels


def test_an_open_range_of_missing_values(tmp_path):
    file = tmp_path / "trial.sav"
    lowest = -1.7976931348623155e308  # how SPSS writes LOWEST
    frame = pd.DataFrame({"x": [-1.0, -500.0, 3.0]})
    pyreadstat.write_sav(frame, str(file), missing_ranges={"x": [{"lo": lowest, "hi": -1}]})
    assert read_table(file).attrs["user_missing"] == {"x": {-500: 1, -1: 1}}


def test_labels_survive_parquet(sav, tmp_path):
    frame = read_table(sav)
    file = tmp_path / "trial.parquet"
    frame.to_parquet(file)
    again = read_table(file)
    assert_frame_equal(again, frame)
    assert again.attrs["value_labels"] == frame.attrs["value_labels"]
    assert again.attrs["variable_labels"] == frame.attrs["variable_labels"]
    assert read_table(file, labels=["item"])["item"].tolist()[:2] == ["never", "always"]


def test_dates_of_spss_files(tmp_path):
    moments = pd.to_datetime(["2020-02-29 13:45:10", None, "1901-12-31", "2150-01-01"], format="ISO8601")
    frame = pd.DataFrame({"moment": moments, "day": [d.date() if pd.notna(d) else None for d in moments]})
    frame["clock"] = pd.Series([pd.Timestamp("2020-01-01 10:00").time(), None, None, None], dtype=object)
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(frame, str(file))
    read = read_table(file)
    assert [str(dtype) for dtype in read.dtypes] == ["datetime64[us]", "datetime64[us]", "timedelta64[us]"]
    assert read["moment"].tolist() == frame["moment"].tolist()
    assert read["day"].tolist() == [d.normalize() if pd.notna(d) else pd.NaT for d in moments]
    assert read["clock"].iloc[0] == pd.Timedelta(hours=10)
    assert read.attrs["system_missing"] == {"moment": 1, "day": 1, "clock": 3}


def test_a_missing_code_among_dates(tmp_path):
    file = tmp_path / "trial.sav"
    frame = pd.DataFrame({"day": [13_800_000_000.0, 99.0]})
    pyreadstat.write_sav(frame, str(file), variable_format={"day": "DATE11"}, missing_ranges={"day": [99]})
    read = read_table(file)
    # 13.8e9 seconds after 14 October 1582, by Python's own calendar
    assert read["day"].iloc[0] == pd.Timestamp("1582-10-14") + pd.Timedelta(seconds=13_800_000_000)
    assert missing_codes(read)["code"].tolist() == [99]


def test_numbers_that_are_no_dates_stay_numbers():
    assert spss_dates(np.array([1e300]), "DATE11") is None
    assert stata_dates(np.array([1e300]), "%td") is None
    assert spss_dates(np.array([1.0]), "F8.2") is None


@pytest.mark.parametrize("unit", ["tc", "td", "tw", "tm", "tq", "th"])
def test_dates_of_stata_files_are_those_of_pandas(tmp_path, unit):
    moments = pd.Series(pd.to_datetime(["2021-07-01", "1960-01-01", "1955-01-01", "2024-01-01"]))
    file = tmp_path / "trial.dta"
    pd.DataFrame({"d": moments}).to_stata(file, write_index=False, convert_dates={"d": unit}, version=118)
    # Stata counts its weeks anew in each year; pandas reads them by its own rule, from the same numbers.
    assert read_table(file)["d"].tolist() == pd.read_stata(file)["d"].tolist()
    if unit != "tw":
        assert read_table(file)["d"].tolist() == moments.tolist()


@pytest.fixture
def dta(tmp_path):
    frame = pd.DataFrame({"arm": [1, 2, "a", "z", 1], "ID": ["A", "B ", "a", "z", "E"]})
    file = tmp_path / "trial.dta"
    pyreadstat.write_dta(
        frame,
        str(file),
        column_labels={"arm": "treatment arm"},
        variable_value_labels={"arm": {1: "GE", 2: "MCE", "a": "refused"}},
        missing_user_values={"arm": ["a", "z"]},
    )
    return file


def test_extended_missing_values_of_stata(dta):
    frame = read_table(dta, labels=["arm"])
    assert frame["arm"].tolist()[:2] == ["GE", "MCE"]
    assert frame["arm"].isna().tolist() == [False, False, True, True, False]
    assert frame["ID"].tolist() == ["A", "B", "a", "z", "E"]
    assert frame.attrs["user_missing"] == {"arm": {".a": 1, ".z": 1}}
    assert frame.attrs["value_labels"] == {"arm": {1: "GE", 2: "MCE", ".a": "refused"}}
    assert frame.attrs["notes"] == (
        "Column 'ID': stray spaces taken off 1 value.",
        "Column 'arm': read as missing by their codes: .a 'refused' (1 time), .z (1 time).",
    )
    assert missing_codes(frame).to_numpy().tolist() == [[2, "arm", ".a", "refused"], [3, "arm", ".z", ""]]


def test_extended_missing_values_beside_plain_ones_and_fractions(tmp_path):
    """Doubles are patched by hand: 0x7fe0 000… is Stata's ".", each letter adds 1 to the third byte."""
    file = tmp_path / "trial.dta"
    pd.DataFrame({"x": [1.5, 12345.678, 98765.432, np.nan]}).to_stata(file, write_index=False, version=118)
    content = file.read_bytes()
    for value, code in ((12345.678, 0x7FE0_0100_0000_0000), (98765.432, 0x7FE0_1A00_0000_0000)):
        assert content.count(struct.pack("<d", value)) == 1
        content = content.replace(struct.pack("<d", value), struct.pack("<Q", code))
    file.write_bytes(content)
    frame = read_table(file)
    np.testing.assert_array_equal(frame["x"], [1.5, np.nan, np.nan, np.nan])
    assert frame.attrs["user_missing"] == {"x": {".a": 1, ".z": 1}}
    assert frame.attrs["system_missing"] == {"x": 1}


def test_whole_numbers_beside_missing_ones(tmp_path):
    """The parser's own frame holds 4790751808299466752 in place of the missing value."""
    file = tmp_path / "trial.dta"
    frame = pd.DataFrame({"x": [1, "a", np.nan]})
    pyreadstat.write_dta(frame, str(file), missing_user_values={"x": ["a"]})
    read = read_table(file)
    np.testing.assert_array_equal(read["x"], [1, np.nan, np.nan])
    assert read.attrs["system_missing"] == {"x": 1}


# Codes that a study declares, for files that know none


PAIN = Variable(
    "pain", "pain", range=(0, 10), missing_codes={99: "not asked", -9: "refused"}, labels={0: "none", 10: "worst"}
)


def test_declared_codes_are_missing_before_any_rule():
    frame = pd.DataFrame({"patient": ["A", "B", "C", "D"], "pain": ["3", "99", "-9", "99.0"]})
    checked = check(frame, [Variable("patient", "p", key=True), PAIN])
    np.testing.assert_array_equal(checked["pain"], [3, np.nan, np.nan, np.nan])
    assert checked.attrs["user_missing"] == {"pain": {-9: 1, 99: 2}}
    assert checked.attrs["notes"] == (
        "Column 'pain': read as missing by their codes: -9 'refused' (1 time), 99 'not asked' (2 times).",
    )
    assert missing_codes(checked[["pain"]].iloc[2:])["row"].tolist() == [2, 3]
    assert frame.attrs == {}
    assert frame["pain"].tolist() == ["3", "99", "-9", "99.0"]


def test_declared_codes_of_levels_and_identifiers():
    variables = [
        Variable("arm", "arm", levels=("GE", "MCE"), missing_codes={"9": "none"}),
        Variable("therapist", "t", identifier=True, missing_codes={999: "unknown"}),
    ]
    checked = check(pd.DataFrame({"arm": ["GE", "9"], "therapist": [999, 12]}), variables)
    assert checked["arm"].isna().tolist() == [False, True]
    assert checked["therapist"].isna().tolist() == [True, False]


def test_a_required_value_cannot_be_a_missing_code():
    variable = Variable("pain", "pain", range=(0, 10), missing=False, missing_codes={99: "not asked"})
    with pytest.raises(DataError, match="column 'pain': value missing where every row needs one, row 2"):
        check(pd.DataFrame({"pain": [1, 99]}), [variable])


def test_declared_codes_join_those_of_the_file(sav):
    frame = read_table(sav)
    checked = check(
        frame, [Variable("pain", "pain", missing_codes={7: "unsure"}), Variable("item", "i", missing_codes={2: "no"})]
    )
    assert checked.attrs["user_missing"]["pain"] == {-9: 1, -8: 1, 7: 1}
    assert checked.attrs["user_missing"]["item"] == {2: 2}
    assert checked.attrs["user_missing"]["arm"] == {9: 1}
    assert len(missing_codes(checked)) == len(missing_codes(frame)) + 3


def test_declared_codes_need_numbered_rows():
    with pytest.raises(DataError, match=r"use reset_index\(drop=True\) first"):
        check(pd.DataFrame({"pain": [1, 99]}, index=["a", "b"]), [PAIN])
    assert check(pd.DataFrame({"pain": [1, 2]}, index=["a", "b"]), [PAIN])["pain"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": {"a": "x"}}, "labels= names text among its codes, but the variable holds numbers"),
        ({"labels": ["never"]}, "is not a mapping from codes to texts"),
        ({"missing_codes": {9: 3}}, "is not a mapping from codes to texts"),
        ({"labels": {1: "x", 2: "x"}}, "labels= use 'x' for more than one code"),
        ({"levels": ("a",), "labels": {1: "x"}}, "levels= are texts that say what they mean"),
        ({"levels": ("a",), "missing_codes": {"a": "x"}}, "'a' cannot be both a level and a missing code"),
    ],
)
def test_declarations_of_codes_that_contradict_themselves(arguments, message):
    with pytest.raises(DataError, match=message):
        Variable("x", "x", **arguments)


def test_variables_with_codes_are_hashable():
    assert len({PAIN, PAIN}) == 1
