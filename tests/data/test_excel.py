"""Workbooks: sheets, titles above the header, formulas, mixed cells."""

from __future__ import annotations

import datetime as dt

import openpyxl
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from alliance_stats.data.reading import read_table
from alliance_stats.errors import DataError

ROWS = (("patient", "pain"), ("A", 3), ("B", 4.5))
FRAME = pd.DataFrame({"patient": ["A", "B"], "pain": [3, 4.5]})


@pytest.fixture
def save(tmp_path):
    def saver(*sheets, change=lambda book: None):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets:
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        change(book)
        file = tmp_path / "trial.xlsx"
        book.save(file)
        return file

    return saver


def refusal(*arguments, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_table(*arguments, **options)
    return str(caught.value)


def test_one_sheet_needs_no_name(save):
    file = save(("Data", ROWS), ("Sheet2", ()))
    frame = read_table(file)
    assert_frame_equal(frame, FRAME)
    assert frame.attrs["notes"] == ("Passed over the empty sheets 'Sheet2'.",)


def test_several_sheets_are_named(save):
    file = save(("Baseline", ROWS), ("Week 8", ROWS))
    assert "the workbook has several sheets, 'Baseline', 'Week 8'; pass sheet= with one of them" in refusal(file)
    assert_frame_equal(read_table(file, sheet="Week 8"), FRAME)
    message = refusal(file, sheet="baseline")
    assert "no sheet 'baseline' (did you mean 'Baseline'?); the workbook's sheets are 'Baseline', 'Week 8'" in message


def test_empty_sheets(save):
    assert "every sheet is empty; the sheets are 'A', 'B'" in refusal(save(("A", ()), ("B", ((None, " "),))))
    assert "sheet 'B' is empty" in refusal(save(("A", ROWS), ("B", ())), sheet="B")


def test_a_merged_title_above_the_header(save):
    rows = (("Trial of alliance, 2024",), (), *ROWS)
    file = save(("Data", rows), change=lambda book: book["Data"].merge_cells("A1:B1"))
    message = refusal(file)
    assert "row 1 of sheet 'Data' holds 'Trial of alliance, 2024' above 2 columns: a title or merged cells" in message
    assert message.endswith("such as header=3")
    frame = read_table(file, header=3)
    assert_frame_equal(frame, FRAME)
    assert frame.attrs["notes"] == ("Left out 2 rows above the header (row 3).",)


def test_groups_of_columns_above_the_header(save):
    rows = (("", "Baseline", None, "8 weeks", None), ("patient", "p1", "p2", "q1", "q2"), ("A", 1, 2, 3, 4))
    message = refusal(save(("Data", rows)))
    assert "holds 'Baseline', '8 weeks' above 5 columns" in message
    assert "header=2" in message


def test_rows_before_the_table_may_be_empty(save):
    assert_frame_equal(read_table(save(("Data", ((), (), *ROWS)))), FRAME)


@pytest.mark.parametrize("header", [0, -1, True, "1", 1.0])
def test_header_is_the_number_of_a_row(save, header):
    assert "is not the number of a row" in refusal(save(("Data", ROWS)), header=header)


def test_header_beyond_the_table(save):
    assert "row 9 of sheet 'Data' is empty; give the row of the column names" in refusal(save(("Data", ROWS)), header=9)


def test_one_column_is_a_table(save):
    assert read_table(save(("Data", (("pain",), (1,), (2,)))))["pain"].tolist() == [1, 2]


def test_formulas_without_a_saved_result(save):
    rows = (("a", "b", "sum"), (1, 2, "=A2+B2"), (3, 4, "=A3+B3"))
    message = refusal(save(("Data", rows)))
    assert (
        "sheet 'Data' holds formulas without a saved result, in C2, C3; open the workbook in Excel and save it"
        in message
    )


def test_formulas_of_another_sheet_do_no_harm(save):
    file = save(("Data", ROWS), ("Sums", (("x",), ("=1+1",))))
    assert_frame_equal(read_table(file, sheet="Data"), FRAME)


def test_formulas_with_a_saved_result_are_values(tmp_path, save):
    """Excel writes the result beside the formula; so does this patch of the sheet."""
    import zipfile

    file = save(("Data", (("a", "twice"), (1, "=A2*2"))))
    saved = tmp_path / "saved.xlsx"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(saved, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                assert b"<v></v>" in content or b"<v />" in content or b"<v/>" in content
                content = (
                    content.replace(b"<v></v>", b"<v>2</v>")
                    .replace(b"<v />", b"<v>2</v>")
                    .replace(b"<v/>", b"<v>2</v>")
                )
            new.writestr(name, content)
    assert read_table(saved)["twice"].tolist() == [2]


def test_empty_rows_and_columns(save):
    rows = (
        ("patient", None, "pain", None),
        ("A", None, 3, None),
        (None, None, None, None),
        ("B", None, 4, 7),
        ("", " ", None),
    )
    frame = read_table(save(("Data", rows)))
    assert list(frame.columns) == ["patient", "pain", "unnamed_3"]
    assert len(frame) == 3
    assert frame.attrs["notes"] == (
        "Column 3 has no name in the file and is called 'unnamed_3'.",
        "Left out 1 wholly empty row at the end of the sheet.",
        "Left out 1 wholly empty column without a name.",
        "Column 'patient': read as missing: empty (1 time).",
        "Column 'pain': read as missing: empty (1 time).",
        "Column 'unnamed_3': read as missing: empty (2 times).",
    )


def test_a_wrong_size_in_the_file_loses_no_rows(save):
    def wrong(book):
        book["Data"].calculate_dimension = lambda: "A1"

    assert_frame_equal(read_table(save(("Data", ROWS), change=wrong)), FRAME)


def test_mixed_cells(save):
    rows = (
        ("number", "yes", "date", "mixed", "code", "clock"),
        (3, True, dt.datetime(2024, 5, 1), 3, 7, dt.time(10, 30)),
        ("4.5", False, dt.date(2024, 5, 2), "a lot", "007", None),
        ("NA", None, None, 2.5, 12.0, None),
        (None, True, None, dt.datetime(2024, 5, 1), None, None),
    )
    frame = read_table(save(("Data", rows)))
    assert frame["number"].tolist()[:2] == [3, 4.5]
    assert frame["yes"].tolist()[:2] == [1.0, 0.0]
    assert str(frame["date"].dtype) == "datetime64[us]"
    assert frame["mixed"].tolist() == ["3", "a lot", "2.5", "2024-05-01"]
    assert frame["code"].tolist()[:3] == ["7", "007", "12"]
    assert frame["clock"].iloc[0] == "10:30:00"
    notes = frame.attrs["notes"]
    assert "Column 'number': read as missing: empty (1 time), 'NA' (1 time)." in notes
    assert "Column 'number': 1 number stored as text read as numbers." in notes
    assert "Column 'yes': true and false read as 1 and 0." in notes
    assert "Column 'mixed': kept as text, because it holds 2 numbers and 1 date and 1 text." in notes
    assert "Column 'code': kept as text, because '007' would not come back from a number as written." in notes


def test_doubled_and_numeric_names(save):
    assert "duplicated column names: 'pain' (columns 1, 2)" in refusal(save(("Data", (("pain", " pain "), (1, 2)))))
    assert list(read_table(save(("Data", ((2020, 1.5), (1, 2))))).columns) == ["2020", "1.5"]
    frame = read_table(save(("Data", ((" pain ", "x"), (1, 2)))))
    assert frame.attrs["notes"] == ("Column 'pain': stray spaces or a byte-order mark taken off its name.",)


def test_only_a_header(save):
    assert "no rows: sheet 'Data' holds only a header, 'patient', 'pain'" in refusal(save(("Data", ROWS[:1])))
