from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pandera.config import config_context

from alliance_stats.data.reading import read_table
from alliance_stats.data.schema import check, violations
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError

PATIENT = Variable("patient", "pseudonym", key=True)
WEEK = Variable("week", "week of treatment", key=True, integer=True, range=(0, 8))
PAIN = Variable("pain", "average pain", range=(0, 10), unit="points")
ARM = Variable("arm", "treatment", levels=("MCE", "GE"), missing=False)
AGE = Variable("age", "age", unit="years", integer=True)
TRIAL = (PATIENT, WEEK, PAIN, ARM, AGE)


def trial(**changed: object) -> pd.DataFrame:
    columns = {
        "patient": ["A", "A", "B", "B"],
        "week": [1, 2, 1, 2],
        "pain": [3.5, None, 0, 10],
        "arm": ["GE", "GE", "MCE", "MCE"],
        "age": [30, 30, 41, 41],
    }
    return pd.DataFrame(columns | changed)


def refusal(frame: pd.DataFrame, variables=TRIAL) -> list[str]:
    """The lines of the error."""
    with pytest.raises(DataError) as caught:
        check(frame, variables)
    return str(caught.value).splitlines()


def only_line(frame: pd.DataFrame, variables=TRIAL) -> str:
    head, *lines = refusal(frame, variables)
    assert head == "1 rule is broken (row 1 is the first row under the header):"
    assert len(lines) == 1, lines
    return lines[0]


def test_a_good_frame_gets_its_declared_types():
    frame = trial(other=["x", "y", "z", "w"]).set_axis([9, 7, 5, 3])
    before = frame.copy()
    checked = check(frame, TRIAL)
    assert [str(dtype) for dtype in checked.dtypes] == ["str", "int64", "float64", "category", "int64", "str"]
    assert list(checked["arm"].cat.categories) == ["MCE", "GE"]
    assert not checked["arm"].cat.ordered
    assert list(checked.index) == [9, 7, 5, 3]
    assert_frame_equal(checked.astype({"arm": "str"}), before.astype({"arm": "str"}))
    assert_frame_equal(frame, before)


def test_text_from_a_file_becomes_numbers_and_levels():
    frame = trial(
        patient=[" A", "A ", "B", "B"], week=["1", "02", "1", "2"], pain=["3.5", None, " 0", "1e1"],
        arm=["GE ", "GE", " MCE", "MCE"], age=["30", "30", "41", None],
    )  # fmt: skip
    expected = trial(age=[30, 30, 41, np.nan])
    assert_frame_equal(check(frame, TRIAL).astype({"arm": "str"}), expected)


@pytest.mark.parametrize("codes", [[0, 1, 1], [0.0, 1.0, 1.0], ["0", "1", "1"], pd.array([0, 1, 1], dtype="Int64")])
def test_numeric_codes_meet_their_levels(codes):
    checked = check(pd.DataFrame({"x": codes}), [Variable("x", "x", levels=("0", "1"))])
    assert checked["x"].tolist() == ["0", "1", "1"]


def test_missing_levels_stay_missing():
    checked = check(pd.DataFrame({"x": [0.0, None, 1.0]}), [Variable("x", "x", levels=("0", "1"))])
    assert checked["x"].isna().tolist() == [False, True, False]
    assert checked["x"].dropna().tolist() == ["0", "1"]


def test_nullable_and_logical_columns_are_numbers():
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [True, False]})
    checked = check(frame, [Variable("a", "a", integer=True), Variable("b", "b")])
    np.testing.assert_array_equal(checked["a"], [1.0, np.nan])
    assert checked["b"].tolist() == [1.0, 0.0]


def test_keys_stay_as_they_came():
    frame = pd.DataFrame({"patient": ["007", "7 "]})
    assert check(frame, [PATIENT])["patient"].tolist() == ["007", "7"]
    numbered = pd.DataFrame({"patient": [7, 8]})
    assert check(numbered, [PATIENT])["patient"].dtype == "int64"


def test_optional_columns_may_be_absent_but_are_checked_when_there():
    optional = Variable("fear", "fear", range=(0, 5), optional=True)
    check(trial(), [*TRIAL, optional])
    line = only_line(trial(fear=[1, 2, 3, 6]), [*TRIAL, optional])
    assert line == "- column 'fear': not in the range 0 to 5, row 4: 6"


def test_notes_of_the_reader_are_kept():
    frame = trial()
    frame.attrs["notes"] = ("one", "two")
    assert check(frame, TRIAL).attrs == {"notes": ("one", "two")}


def test_missing_column():
    head, line, columns = refusal(trial().rename(columns={"pain": "Pain"}))
    assert head.startswith("1 rule is broken")
    assert line == "- column 'pain': absent; did you mean 'Pain'? read the file with rename={\"Pain\": \"pain\"}"
    assert columns == "The table's columns are 'patient', 'week', 'Pain', 'arm', 'age'."


def test_missing_column_unlike_any_other():
    line = refusal(trial().drop(columns="pain"))[1]
    assert line == '- column \'pain\': absent; read the file with rename={"its name in the file": "pain"}'


def test_text_in_a_number():
    line = only_line(trial(pain=["abc", 3, "7 mm", "abc"]))
    assert line == "- column 'pain': text where a number is expected, rows 1, 3, 4: 'abc', '7 mm'"


def test_dates_are_no_numbers():
    line = only_line(trial(pain=pd.to_datetime(["2020-01-01"] * 4)))
    assert line == ("- column 'pain': text where a number is expected, rows 1, 2, 3, 4: '2020-01-01 00:00:00'")


def test_decimal_commas_in_a_number():
    line = only_line(trial(pain=["3,5", "3", "2.5", "0,25"]))
    assert (
        line == "- column 'pain': decimal comma in a number, rows 1, 4: '3,5', '0,25'; read the file with decimal=\",\""
    )


def test_out_of_range():
    assert only_line(trial(pain=[3, -1, 12, None])) == (
        "- column 'pain': not in the range 0 to 10 points, rows 2, 3: -1, 12"
    )
    check(trial(pain=[0, 10, 5, 5]), TRIAL)


def test_an_open_range():
    score = Variable("pain", "x", range=(0, float("inf")))
    assert (
        only_line(trial(pain=[3, -0.5, 12, 99]), [score]) == "- column 'pain': not in the range 0 or more, row 2: -0.5"
    )


def test_unknown_level():
    assert only_line(trial(arm=["GE", "ge", "XX", "MCE"])) == (
        "- column 'arm': unknown level, rows 2, 3: 'ge', 'XX'; allowed are 'MCE', 'GE'"
    )


def test_missing_values_where_every_row_needs_one():
    assert only_line(trial(arm=["GE", None, " ", "MCE"])) == (
        "- column 'arm': value missing where every row needs one, rows 2, 3"
    )
    assert only_line(trial(patient=["A", None, "B", ""])) == (
        "- column 'patient': value missing where every row needs one, rows 2, 4"
    )
    assert only_line(trial(week=[1, 2, 1, None])) == ("- column 'week': value missing where every row needs one, row 4")


def test_an_empty_text_is_an_unknown_level_where_values_may_be_missing():
    arm = Variable("arm", "treatment", levels=("MCE", "GE"))
    assert "unknown level, row 1: ''" in only_line(trial(arm=["", None, "GE", "GE"]), [arm])


def test_duplicated_keys():
    assert only_line(trial(week=[1, 1, 2, 2])) == (
        "- key 'patient', 'week': occurs more than once: ('A', 1) in rows 1, 2; ('B', 2) in rows 3, 4"
    )


def test_keys_are_compared_without_stray_spaces_and_zeros():
    frame = trial(patient=["A", "A ", "B", "B"], week=["1", "01", "1", "2"])
    assert only_line(frame) == "- key 'patient', 'week': occurs more than once: ('A', 1) in rows 1, 2"


def test_an_incomplete_key_is_not_a_duplicate():
    lines = refusal(trial(patient=[None, None, "B", "B"], week=[1, 1, 1, 2]))
    assert lines[1:] == ["- column 'patient': value missing where every row needs one, rows 1, 2"]


def test_many_duplicates_are_counted():
    frame = pd.DataFrame({"patient": [f"P{row // 12:02}" for row in range(144)]})
    line = only_line(frame, [PATIENT])
    assert line.startswith("- key 'patient': occurs more than once: 'P00' in rows 1, 2, 3")
    assert "10 and 2 more; 'P01' in rows 13" in line
    assert line.endswith("; 2 more")


def test_not_whole_and_infinite():
    lines = refusal(trial(age=[30.5, np.inf, -np.inf, 41]))
    assert lines[1:] == [
        "- column 'age': infinite value, rows 2, 3: inf, -inf",
        "- column 'age': not a whole number, row 1: 30.5",
    ]


def test_infinite_values_are_reported_once():
    assert only_line(trial(pain=[np.inf, 1, 2, 3])) == "- column 'pain': infinite value, row 1: inf"


def test_ten_rows_are_shown_and_the_others_counted():
    frame = pd.DataFrame({"pain": [99, *range(20, 33)]})
    assert only_line(frame, [PAIN]) == (
        "- column 'pain': not in the range 0 to 10 points, rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4 more: "
        "99, 20, 21, 22, 23, 24, 25, 26, 27, 28"
    )


def test_every_violation_comes_at_once(tmp_path):
    file = tmp_path / "trial.csv"
    file.write_text(
        'Patient,week,pain,arm,AGE\nA,1,3,GE,30\nA,1,abc,ge,30\nB,9,11,MCE,30.5\n,2,"2,5",,40\n',
        encoding="utf-8",
    )
    frame = read_table(file, rename={"Patient": "patient"})
    head, *lines = refusal(frame)
    assert head.startswith("9 rules are broken (row 1 is the first row under the header)")
    assert [line.split(",")[0] for line in lines] == [
        "- column 'patient': value missing where every row needs one",
        "- column 'week': not in the range 0 to 8",
        "- column 'pain': decimal comma in a number",
        "- column 'pain': text where a number is expected",
        "- column 'pain': not in the range 0 to 10 points",
        "- column 'arm': value missing where every row needs one",
        "- column 'arm': unknown level",
        "- column 'age': absent; did you mean 'AGE'? read the file with rename={\"AGE\": \"age\"}",
        "- key 'patient'",
        "The table's columns are 'patient'",
    ]


def test_an_empty_frame_keeps_the_rules():
    empty = trial().iloc[:0]
    assert list(check(empty, TRIAL).columns) == list(empty.columns)
    assert "'age': absent" in refusal(empty.drop(columns="age"))[1]


def test_duplicated_columns_in_a_frame():
    frame = pd.DataFrame([[1, 2]], columns=["pain", "pain"])
    with pytest.raises(DataError, match=r"duplicated column names: 'pain' \(columns 1, 2\)"):
        check(frame, [PAIN])


def test_a_column_may_bear_any_name():
    checked = check(pd.DataFrame({"self": [1], "index": [2]}), [Variable("self", "s"), Variable("index", "i")])
    assert checked.loc[0].to_dict() == {"self": 1.0, "index": 2.0}


def test_rules_hold_although_pandera_is_switched_off():
    with config_context(validation_enabled=False):
        assert "not in the range" in only_line(trial(pain=[11, 1, 1, 1]))


_cells = st.sampled_from(["3", "3,5", "abc", "11", None, 4.0, -1, float("inf"), 2.5, ""])
_rows = st.tuples(
    st.sampled_from(["A", "B ", " A", None]),
    st.sampled_from([1, 2, "1", 9, None]),
    _cells,
    st.sampled_from(["GE", "MCE ", "ge", None, ""]),
    _cells,
)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), rows=st.lists(_rows, min_size=1, max_size=8))
def test_row_order_does_not_change_the_violations(data, rows):
    frame = pd.DataFrame(rows, columns=["patient", "week", "pain", "arm", "age"], dtype=object)
    order = data.draw(st.permutations(range(len(rows))))
    back = {new: old + 1 for new, old in enumerate(order, start=1)}
    shuffled = {
        (found.column, found.rule): {back[row] for row in found.rows} for found in violations(frame.iloc[order], TRIAL)
    }
    assert shuffled == {(found.column, found.rule): set(found.rows) for found in violations(frame, TRIAL)}


START = Variable("treatment", "day of the first treatment", date=True, missing=False)
RATED = Variable("rated", "day of the alliance rating", date=True, not_before="treatment")


def test_dates_are_read_from_text_and_from_datetimes():
    frame = pd.DataFrame({"treatment": ["2024-01-31", " 2024-02-01"], "rated": pd.to_datetime(["2024-02-02", None])})
    checked = check(frame, [START, RATED])
    assert checked["treatment"].tolist() == [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-01")]
    assert checked["rated"].isna().tolist() == [False, True]


@pytest.mark.parametrize("wrong", ["31.01.2024", "2024-13-01", "soon", 45322])
def test_what_is_no_date(wrong):
    line = only_line(pd.DataFrame({"treatment": [wrong], "rated": [None]}), [START, RATED])
    assert line.startswith("- column 'treatment': no date, row 1: ")
    assert line.endswith("; write dates as 2024-03-31")


def test_a_rating_before_the_treatment():
    frame = pd.DataFrame({"treatment": ["2024-02-01"] * 3, "rated": ["2024-02-08", "2023-02-08", None]})
    assert only_line(frame, [START, RATED]) == (
        "- column 'rated': before 'treatment' of the same row, row 2: '2023-02-08'; correct 'rated' or 'treatment'"
    )


def test_numbers_have_an_order_too():
    first, last = Variable("first", "first session"), Variable("last", "last session", not_before="first")
    line = only_line(pd.DataFrame({"first": [1, 3, 2], "last": [1, 2, np.nan]}), [first, last])
    assert line == "- column 'last': before 'first' of the same row, row 2: 2; correct 'last' or 'first'"
    assert check(pd.DataFrame({"last": [1.0]}), [Variable("first", "", optional=True), last])["last"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Variable("d", "", date=True, range=(0, 1)), "date= reads days and times"),
        (lambda: Variable("d", "", levels=("a",), not_before="e"), "compares numbers or dates; this one is read as level"),
        (lambda: Variable("d", "", not_before="d"), "names the variable itself"),
        (lambda: check(pd.DataFrame({"rated": []}), [RATED]), "not_before='treatment' is not declared"),
        (lambda: check(pd.DataFrame(), [RATED, Variable("treatment", "")]), "not_before='treatment' is number"),
    ],
)  # fmt: skip
def test_declarations_of_dates(make, message):
    with pytest.raises(DataError, match=message):
        make()
