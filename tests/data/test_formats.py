"""The same table in every format gives the same frame, and a file is only ever read."""

from __future__ import annotations

import os
import time

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from alliance_stats.data.codebook import csv_bytes, data_hash
from alliance_stats.data.reading import READERS, read_table
from alliance_stats.errors import DataError

FORMATS = ("csv", "tsv", "parquet", "sav", "zsav", "dta", "xlsx")


def write(frame: pd.DataFrame, file) -> None:
    """The frame as another program would export it: SPSS keeps every number as a double."""
    match file.suffix:
        case ".csv":
            file.write_bytes(csv_bytes(frame))
        case ".tsv":
            frame.to_csv(file, sep="\t", index=False)
        case ".parquet":
            frame.to_parquet(file)
        case ".sav" | ".zsav":
            doubles = frame.astype(dict.fromkeys(frame.select_dtypes("number"), "float64"))
            pyreadstat.write_sav(doubles, str(file), compress=file.suffix == ".zsav")
        case ".dta":
            frame.to_stata(file, write_index=False, version=118)
        case ".xlsx":
            frame.to_excel(file, index=False)


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "patient": ["P1", "P2", "P3", "P4"],
            "card": ["007", "012", "100", "0"],
            "arm": pd.array(["GE", "MCE", None, "GE"], dtype="str"),
            "week": [1, 2, 3, 4],
            "item": [1.0, np.nan, 3.0, 7.0],
            "pain": [3.1, 0.123456789012345, np.nan, -1e-7],
            "größe": [170.5, 180.25, 165.0, 190.0],
        }
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_frame(table, tmp_path, suffix):
    file = tmp_path / f"trial.{suffix}"
    write(table, file)
    read = read_table(file)
    assert_frame_equal(read, table)
    assert [str(dtype) for dtype in read.dtypes] == ["str", "str", "str", "int64", "float64", "float64", "float64"]
    assert data_hash(read) == data_hash(table)


def test_formats_cover_the_readers():
    assert set(FORMATS) == {suffix.removeprefix(".") for suffix in READERS}


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_are_renamed_in_every_format(table, tmp_path, suffix):
    file = tmp_path / f"trial.{suffix.upper()}"
    write(table, file.with_suffix(f".{suffix}"))
    if not file.exists():
        file.with_suffix(f".{suffix}").rename(file)
    assert list(read_table(file, rename={"patient": "id"}).columns)[:2] == ["id", "card"]
    with pytest.raises(DataError, match=r"rename: the file has no column 'Patient' \(did you mean 'patient'\?\)"):
        read_table(file, rename={"Patient": "id"})


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_is_never_touched(table, tmp_path, suffix):
    file = tmp_path / f"trial.{suffix}"
    write(table, file)
    os.utime(file, ns=(1_000_000_000, 1_000_000_000))
    file.chmod(0o444)
    before = file.read_bytes(), file.stat().st_mtime_ns, sorted(tmp_path.iterdir())
    read_table(file)
    with pytest.raises(DataError):
        read_table(file, rename={"nobody": "x"})
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_words_spaces_and_commas_follow_the_same_rules(tmp_path, suffix):
    raw = pd.DataFrame({"patient": ["A", " B", "C"], "pain": ["3", "N/A", "4.5"], "arm": ["GE", "n.a.", "#DIV/0!"]})
    file = tmp_path / f"trial.{suffix}"
    if suffix == "csv":
        file.write_text('patient,pain,arm\nA,3,GE\n" B",N/A,n.a.\nC,4.5,#DIV/0!\n', encoding="utf-8")
    else:
        write(raw, file)
    read = read_table(file)
    assert read["pain"].tolist()[::2] == [3.0, 4.5]
    assert read["patient"].tolist() == ["A", "B", "C"]
    assert read["arm"].isna().tolist() == [False, True, True]
    notes = read.attrs["notes"]
    assert "Column 'pain': read as missing: 'N/A' (1 time)." in notes
    assert "Column 'arm': read as missing: '#DIV/0!' (1 time), 'n.a.' (1 time)." in notes
    # A delimited file's leading spaces are the delimiter's; those of the other formats belong to the cell.
    if suffix not in ("csv", "tsv"):
        assert "Column 'patient': stray spaces taken off 1 value." in notes


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != "csv"])
def test_decimal_commas_in_text(tmp_path, suffix):
    file = tmp_path / f"trial.{suffix}"
    write(pd.DataFrame({"patient": ["A", "B"], "pain": ["3,5", "4"]}), file)
    with pytest.raises(DataError, match="numbers with a comma in columns 'pain', such as '3,5'"):
        read_table(file)
    assert read_table(file, decimal=",")["pain"].tolist() == [3.5, 4.0]
    assert read_table(file, decimal=".")["pain"].tolist() == ["3,5", "4"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_three_hundred_columns_are_read_at_once(tmp_path, suffix):
    wide = pd.DataFrame({f"item_{i}": np.arange(40) % 7 + (i % 2) / 2 for i in range(300)})
    file = tmp_path / f"wide.{suffix}"
    write(wide, file)
    started = time.process_time()
    read = read_table(file)
    assert time.process_time() - started < 10  # it takes below 1 s; the bound is for a busy machine
    assert read.shape == (40, 300)
    assert_frame_equal(read, wide.apply(lambda c: c.astype("int64") if (c == c.round()).all() else c))


@pytest.mark.parametrize("suffix", ["parquet", "sav", "zsav", "dta", "xlsx"])
def test_a_missing_package_is_named(table, tmp_path, suffix, monkeypatch):
    file = tmp_path / f"trial.{suffix}"
    write(table, file)
    monkeypatch.setattr("alliance_stats.data.imported.import_module", _absent)
    with pytest.raises(
        DataError, match=r"need the package \w+, which is not installed; run pip install 'alliance_stats\[io\]'"
    ):
        read_table(file)


def _absent(name: str):
    raise ImportError(name)


@pytest.mark.parametrize("option", ["sheet", "header"])
def test_options_of_sheets_are_refused_elsewhere(table, tmp_path, option):
    file = tmp_path / "trial.csv"
    write(table, file)
    with pytest.raises(DataError, match=f"{option}= is for .xlsx files; a .csv file has no sheets"):
        read_table(file, **{option: "Data" if option == "sheet" else 2})


def test_encoding_is_refused_where_it_does_nothing(table, tmp_path):
    file = tmp_path / "trial.parquet"
    write(table, file)
    with pytest.raises(DataError, match=r"encoding= is not for \.parquet files"):
        read_table(file, encoding="cp1252")


_texts = st.text(st.characters(codec="utf-8", categories=("L", "Nd", "P", "S")), min_size=1, max_size=8)
# openpyxl, which writes the workbook here, keeps 15 digits of a number; Excel itself keeps all of them.
_numbers = st.none() | st.floats(-1e6, 1e6).map(lambda number: float(f"{number:.15g}"))
_rows = st.lists(
    st.tuples(_texts.filter(lambda text: "," not in text), st.none() | st.integers(-9, 99), _numbers),
    min_size=1,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(rows=_rows)
def test_values_survive_every_format(tmp_path, rows):
    frame = pd.DataFrame(
        {
            # A letter in front keeps texts from being numbers or words for missing values.
            "text": pd.array([f"t{text}" for text, _, _ in rows], dtype="str"),
            "whole": np.array([np.nan if whole is None else whole for _, whole, _ in rows], dtype="float64"),
            "number": np.array([np.nan if number is None else number for _, _, number in rows], dtype="float64"),
        }
    )
    frames = []
    for suffix in ("csv", "parquet", "sav", "dta", "xlsx"):
        file = tmp_path / f"round.{suffix}"
        write(frame, file)
        frames.append(read_table(file))
    for read in frames:
        assert_frame_equal(read, frames[0], check_exact=True)
        np.testing.assert_array_equal(read["number"].to_numpy(dtype="float64"), frame["number"].to_numpy())
        assert read["text"].tolist() == frame["text"].tolist()
