from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from alliance_stats.data.codebook import csv_bytes, data_hash
from alliance_stats.data.reading import READERS, read_table
from alliance_stats.errors import DataError


@pytest.fixture
def write(tmp_path):
    """Writes a file into a folder of its own and returns its path."""

    def writer(content: str | bytes, name: str = "trial.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return file

    return writer


def refusal(*arguments, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_table(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("patient,pain\nA,3.5\nB,4\n", "a.csv"),
        ("patient;pain\nA;3.5\nB;4\n", "a.csv"),
        ("patient\tpain\nA\t3.5\nB\t4\n", "a.csv"),
        ("patient\tpain\nA\t3.5\nB\t4\n", "a.tsv"),
        ("patient,pain\r\nA,3.5\r\nB,4\r\n", "a.CSV"),
        ("patient,pain\rA,3.5\rB,4", "a.csv"),
        ("\ufeffpatient,pain\nA,3.5\nB,4\n", "a.csv"),
        (" patient , pain\nA, 3.5\nB ,4\n\n", "a.csv"),
        ('"patient","pain"\n"A","3.5"\n"B","4"\n', "a.csv"),
    ],
)
def test_dialects_give_the_same_table(write, content, name):
    frame = read_table(write(content, name))
    frame["patient"] = frame["patient"].str.strip()
    assert_frame_equal(frame, pd.DataFrame({"patient": ["A", "B"], "pain": [3.5, 4.0]}))


def test_types_are_integer_number_or_text(write):
    frame = read_table(write("i,n,m,t,all\n1,1.5,1,a,\n-2,1e-3,,2,\n"))
    assert [str(dtype) for dtype in frame.dtypes] == ["int64", "float64", "float64", "str", "float64"]
    assert frame["n"].tolist() == [1.5, 0.001]


def test_a_separator_inside_quotes_or_the_header_does_not_mislead(write):
    frame = read_table(write('patient;"pain, 0-10";note\nA;3;"x; y, z"\n'))
    assert list(frame.columns) == ["patient", "pain, 0-10", "note"]
    assert frame.loc[0, "note"] == "x; y, z"


def test_semicolons_with_decimal_commas(write):
    file = write("patient;pain;week\nA;3,5;1\nB;-,5;2\nC;1,2e3;3\n")
    frame = read_table(file, decimal=",")
    assert frame["pain"].tolist() == [3.5, -0.5, 1200.0]
    assert frame["week"].tolist() == [1, 2, 3]


def test_undeclared_decimal_commas_are_refused_by_column(write):
    file = write("patient;pain;score;sites\nA;3,5;1;neck, arm\nB;4;2,25;back\n")
    message = refusal(file)
    assert "numbers with a comma in columns 'pain', 'score', such as '3,5'" in message
    assert 'pass decimal=","' in message
    assert "sites" not in message


def test_commas_stay_text_when_the_point_is_declared(write):
    frame = read_table(write("patient;sites\nA;1,2\nB;3,4\n"), decimal=".")
    assert frame["sites"].tolist() == ["1,2", "3,4"]


def test_mixed_decimal_marks_are_refused(write):
    file = write("patient;pain\nA;3,5\nB;2.5\n")
    assert "'pain' mix commas and points" in refusal(file)
    assert "decimal points in columns 'pain', although decimal=\",\" was given" in refusal(file, decimal=",")


def test_decimal_must_be_a_mark(write):
    assert "decimal=';' is not a decimal mark" in refusal(write("a\n1\n"), decimal=";")


def test_missing_words_are_counted_in_notes(write):
    frame = read_table(write("patient,pain,arm\nA,N/A,GE\nB,,n.a.\nC,.,GE\nD,NA,\nE,,MCE\nF,3,NaN\n"))
    assert frame["pain"].tolist()[-1] == 3.0
    assert frame["pain"].isna().sum() == 5
    assert frame["arm"].isna().tolist() == [False, True, False, True, False, True]
    assert frame.attrs["notes"] == (
        "Column 'pain': read as missing: empty (2 times), '.' (1 time), 'N/A' (1 time), 'NA' (1 time).",
        "Column 'arm': read as missing: empty (1 time), 'NaN' (1 time), 'n.a.' (1 time).",
    )


def test_a_table_without_changes_has_no_notes(write):
    assert read_table(write("a,b\n1,x\n")).attrs == {"notes": ()}


def test_codes_keep_their_zeros_and_digits(write):
    frame = read_table(write("patient,card\n007,1234567890123456789\n012,1\n"))
    assert frame["patient"].tolist() == ["007", "012"]
    assert frame["card"].tolist() == ["1234567890123456789", "1"]
    assert frame.attrs["notes"] == (
        "Column 'patient': kept as text, because '007' would not come back from a number as written.",
        "Column 'card': kept as text, because '1234567890123456789' would not come back from a number as written.",
    )


def test_empty_last_rows_are_left_out_and_said_so(write):
    frame = read_table(write("patient,pain\nA,1\n,\nB,2\n,\n , \n"))
    assert len(frame) == 3
    assert frame["patient"].isna().tolist() == [False, True, False]
    assert frame.attrs["notes"][0] == "Left out 2 wholly empty rows at the end of the file."


def test_a_column_without_a_name_gets_one(write):
    frame = read_table(write('"","pain"\n"1",3\n"2",4\n'), rename={"unnamed_1": "row"})
    assert list(frame.columns) == ["row", "pain"]
    assert frame.attrs["notes"] == ("Column 1 has no name in the file and is called 'unnamed_1'.",)


def test_rename_to_the_names_of_the_study(write):
    frame = read_table(write(" ID ,VAS\nA,1\n"), rename={"ID": "patient", "VAS": "pain"})
    assert list(frame.columns) == ["patient", "pain"]


def test_rename_can_swap(write):
    frame = read_table(write("a,b\n1,2\n"), rename={"a": "b", "b": "a"})
    assert frame.loc[0].to_dict() == {"b": 1, "a": 2}


def test_rename_of_an_absent_column(write):
    message = refusal(write("id,pain\nA,1\n"), rename={"ID": "patient", "zzz": "week"})
    assert "the file has no column 'ID' (did you mean 'id'?), 'zzz'" in message
    assert message.endswith("its columns are 'id', 'pain'")


def test_rename_onto_an_existing_column(write):
    message = refusal(write("id,patient\nA,1\n"), rename={"id": "patient"})
    assert "duplicated column names: 'patient' (columns 1, 2); choose other names in rename=" in message


def test_duplicated_columns_after_stripping(write):
    assert "duplicated column names: 'pain' (columns 1, 3)" in refusal(write("pain,week, pain \n1,2,3\n"))


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "the file is empty"), (b"\n \n", "the file is empty"), (b"\xef\xbb\xbf", "the file is empty"),
     (b"patient,pain\n", "only a header, 'patient', 'pain'"), (b"patient,pain\n,\n", "only a header")],
)  # fmt: skip
def test_empty_files(write, content, found):
    message = refusal(write(content))
    assert "no rows" in message
    assert found in message


def test_wrong_encoding_names_the_byte(write):
    message = refusal(write("patient,größe\nA,1\n".encode("cp1252")))
    assert "not UTF-8 text: byte position 10 (byte 0xf6, line 1)" in message
    assert 'encoding="cp1252"' in message


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "latin-1"])
def test_a_declared_encoding_is_used(write, encoding):
    frame = read_table(write("patient,größe\nÄ,1\n".encode(encoding)), encoding=encoding)
    assert_frame_equal(frame, pd.DataFrame({"patient": ["Ä"], "größe": [1]}))


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_utf16_is_recognised(write, mark, encoding):
    content = "\ufeffpatient,pain\nA,1\n".encode(mark)
    assert 'pass encoding="utf-16"' in refusal(write(content), encoding=encoding)


def test_a_wrong_declared_encoding(write):
    assert "not ASCII text: byte position 2" in refusal(write("größe\n1\n"), encoding="ascii")
    assert "encoding='klingon' is unknown" in refusal(write("a\n1\n"), encoding="klingon")


@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_binary_content(write, encoding):
    message = refusal(write(b"PK\x03\x04\x14\x00\x08\xff"), encoding=encoding)
    assert "binary content (a NUL byte at position 5)" in message
    assert "export it as csv" in message


def test_unknown_suffix(write):
    assert "unknown suffix '.ods'; known are " + ", ".join(sorted(READERS)) in refusal(write("a\n1\n", "a.ods"))
    assert "unknown suffix ''" in refusal(write("a\n1\n", "trial"))


def test_missing_file(write, tmp_path):
    write("a\n1\n", "Trial.csv")
    assert "no such file; did you mean 'Trial.csv'?" in refusal(tmp_path / "trail.csv")
    assert "no such file; check the path" in refusal(tmp_path / "qqqqqqqqqqqqqqqqq")
    assert "no folder" in refusal(tmp_path / "nowhere" / "trial.csv")


def test_folder(tmp_path):
    assert "a folder, not a file" in refusal(tmp_path)


def test_ragged_lines(write):
    message = refusal(write("patient,pain\nA,3\nB,4,5\nC\n"))
    assert "the header has 2 fields separated by ',', but line 3 has 3, line 4 has 1" in message


def test_ragged_lines_are_counted_beyond_ten(write):
    assert "and 2 more lines differ" in refusal(write("a,b\n" + "1,2,3\n" * 12))


def test_quotes_that_never_close(write):
    assert "cannot be split into fields" in refusal(write('a,b\n1,"2\n3,4\n'))
    assert "cannot be split into fields" in refusal(write('a,b\n1,"' + "2\n" * 100_000))


def test_errors_begin_with_the_file(write):
    file = write("a,a\n1,2\n")
    assert refusal(file).startswith(f"{file}: ")


def state(file):
    return file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode, sorted(file.parent.iterdir())


@pytest.mark.parametrize("content", ["patient;pain\nA;NA\n;\n", "a,b\n1,2\n", "patient;pain\nA;3,5\n", "a,a\n1,2\n"])
def test_the_file_is_never_touched(write, content):
    file = write(content)
    os.utime(file, ns=(1_000_000_000, 1_000_000_000))
    file.chmod(0o444)
    before = state(file)
    if "3,5" in content or "a,a" in content:
        refusal(file)
    else:
        read_table(file, rename={"patient": "a"} if "patient" in content else None)
    assert state(file) == before


# Neither end of the range of double is spared: a value must come back as the very bits that were written.
_numbers = st.lists(st.floats(allow_nan=False) | st.none(), min_size=2, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(values=_numbers)
def test_numbers_survive_the_round_trip_exactly(tmp_path, values):
    frame = pd.DataFrame({"patient": [f"P{row}" for row in range(len(values))]})
    frame["value"] = np.array(values, dtype="float64")
    file = tmp_path / "round.csv"
    file.write_bytes(csv_bytes(frame))
    read = read_table(file)
    np.testing.assert_array_equal(read["value"].to_numpy(dtype="float64"), frame["value"].to_numpy())
    assert data_hash(read) == data_hash(frame)
