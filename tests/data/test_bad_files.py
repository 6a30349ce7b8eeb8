"""Files that are not what they seem end in one sentence that says what they are and what to do."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from alliance_stats.data.reading import READERS, read_table
from alliance_stats.errors import DataError

PROGRAM = b"MZ\x90\x00\x03\x00\x00\x00" + bytes(range(256)) * 8


@pytest.fixture
def file_of(tmp_path):
    def writer(content: bytes, name: str):
        file = tmp_path / name
        file.write_bytes(content)
        return file

    return writer


def refusal(file, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_table(file, **options)
    assert caught.value.__cause__ is None
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    return message


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sound file of each binary format."""
    folder = tmp_path_factory.mktemp("whole")
    frame = pd.DataFrame({"id": [f"P{i}" for i in range(60)], "x": np.linspace(0, 1, 60)})
    pyreadstat.write_sav(frame, str(folder / "a.sav"), row_compress=True)
    pyreadstat.write_sav(frame, str(folder / "b.sav"))
    pyreadstat.write_sav(frame, str(folder / "a.zsav"), compress=True)
    pyreadstat.write_dta(frame, str(folder / "a.dta"), variable_value_labels={"x": {1: "one"}})
    pyreadstat.write_dta(frame, str(folder / "b.dta"), version=12)
    frame.to_parquet(folder / "a.parquet")
    frame.to_excel(folder / "a.xlsx", index=False)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_no_bytes(file_of, suffix):
    message = refusal(file_of(b"", f"trial{suffix}"))
    assert "no rows: the file is empty" in message


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_a_program(file_of, suffix):
    message = refusal(file_of(PROGRAM, f"setup{suffix}"))
    assert ("a Windows program" in message) or ("binary content (a NUL byte at position 3)" in message)
    assert "whatever its suffix" in message


@pytest.mark.parametrize("name", ["a.sav", "b.sav", "a.zsav", "a.dta", "b.dta", "a.parquet", "a.xlsx"])
def test_wherever_a_file_is_cut_off_it_is_refused(file_of, whole, name):
    content = whole[name]
    assert len(read_table(file_of(content, name))) == 60
    cuts = sorted({1, 3, 4, 8, 12, 30, 64, *range(100, len(content), max(1, len(content) // 60)), len(content) - 1})
    for cut in cuts:
        message = refusal(file_of(content[:cut], name))
        assert re.search("cut off|empty|not a |its first bytes|cannot be read|version", message), (cut, message)


@pytest.mark.parametrize("name", ["a.sav", "a.dta", "a.parquet", "a.xlsx"])
def test_damage_in_the_middle_never_ends_in_a_traceback(file_of, whole, name):
    rng = np.random.default_rng(3)
    for _ in range(25):
        content = bytearray(whole[name])
        start = int(rng.integers(20, len(content) - 20))
        content[start : start + 8] = rng.bytes(8)
        try:
            frame = read_table(file_of(bytes(content), name))
        except DataError as error:
            assert str(error)  # noqa: PT017  most damage is found, some only changes a value
        else:
            assert frame.shape[1] >= 1


@pytest.mark.parametrize(
    ("name", "suffix", "found"),
    [
        ("a.sav", ".dta", "an SPSS file (.sav)"),
        ("a.zsav", ".parquet", "a compressed SPSS file (.zsav)"),
        ("a.dta", ".sav", "a Stata file (.dta)"),
        ("a.parquet", ".xlsx", "a parquet file"),
        ("a.xlsx", ".sav", "a zip archive, as .xlsx files are"),
    ],
)
def test_a_wrong_suffix_is_told_by_the_first_bytes(file_of, whole, name, suffix, found):
    message = refusal(file_of(whole[name], f"trial{suffix}"))
    assert f"not a {suffix} file, whatever its suffix: its first bytes are those of {found}" in message
    assert "name the suffix that it really has" in message


def test_a_compressed_spss_file_may_bear_either_suffix(file_of, whole):
    assert len(read_table(file_of(whole["a.zsav"], "trial.sav"))) == 60


def test_text_under_a_binary_suffix(file_of):
    message = refusal(file_of(b"patient,pain\nA,1\n", "trial.xlsx"))
    assert "its first bytes are 70 61 74 69 65 6e 74 2c, of no format known here" in message
    assert "an XML or HTML page" in refusal(file_of(b"<html><table>", "trial.xlsx"))


def test_an_old_or_protected_workbook(file_of):
    container = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    message = refusal(file_of(container + "Workbook".encode("utf-16-le"), "trial.xlsx"))
    assert "an old Excel workbook (.xls) with the suffix .xlsx" in message
    message = refusal(file_of(container + "EncryptedPackage".encode("utf-16-le"), "trial.xlsx"))
    assert "protected by a password; take the password off" in message


@pytest.mark.parametrize("version", [105, 112, 114])
def test_versions_of_stata_files_are_recognised(file_of, whole, version):
    content = bytes([version]) + whole["b.dta"][1:200]
    assert "cannot be read" in refusal(file_of(content, "trial.dta"))  # cut off, but of a version that is known


def test_an_unknown_version_of_a_stata_file(file_of, whole):
    message = refusal(file_of(whole["a.dta"].replace(b"<release>119<", b"<release>121<"), "trial.dta"))
    assert "a Stata file of version 121, which is not known here" in message
    assert "saveold" in message
    assert "of version 103" in refusal(file_of(b"\x67" + whole["b.dta"][1:], "trial.dta"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_names_the_encoding_to_pass(file_of, encoding):
    file = file_of("patient,pain\nA,1\nB,2\n".encode(encoding), "trial.csv")
    assert f'UTF-16 text without a byte-order mark; pass encoding="{encoding}"' in refusal(file)
    assert read_table(file, encoding=encoding)["pain"].tolist() == [1, 2]


def test_a_file_without_rows(file_of, tmp_path):
    empty = pd.DataFrame({"id": pd.array([], dtype="str"), "x": pd.array([], dtype="float64")})
    empty.to_parquet(tmp_path / "e.parquet")
    pyreadstat.write_sav(empty, str(tmp_path / "e.sav"))
    empty.to_stata(tmp_path / "e.dta", write_index=False)
    empty.to_excel(tmp_path / "e.xlsx", index=False)
    for suffix in ("parquet", "sav", "dta", "xlsx"):
        message = refusal(tmp_path / f"e.{suffix}")
        assert "no rows: " in message
        assert "'id', 'x'" in message


def test_cells_that_hold_lists(tmp_path):
    file = tmp_path / "nested.parquet"
    pd.DataFrame({"id": [1, 2], "scores": [[1, 2], [3]]}).to_parquet(file)
    assert "column 'scores' holds values of the type ndarray; write numbers, text or dates" in refusal(file)


def test_an_encoding_that_cannot_read_the_names(tmp_path):
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(pd.DataFrame({"id": ["größe"]}), str(file))
    assert 'pass encoding=, such as encoding="cp1252"' in refusal(file, encoding="ascii")
