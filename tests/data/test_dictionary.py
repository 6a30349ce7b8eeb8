"""A data dictionary as a table: read back as it was written, and every fault named with its row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from alliance_stats.data.dictionary import draft_dictionary, read_dictionary, write_dictionary
from alliance_stats.data.reading import read_table
from alliance_stats.data.schema import check
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError
from alliance_stats.studies import REGISTRY

SOME = (
    Variable("patient", "pseudonym", key=True),
    Variable("session", "number of the session", key=True, integer=True, range=(1, float("inf"))),
    Variable("pain", "pain, last week", range=(0, 10), unit="points", missing_codes={-9: "refused", -8: "not asked"}),
    Variable("arm", "treatment", levels=("exercise", "advice; written"), missing=False),
    Variable("item", "an item", labels={1: "never", 7: "always"}, optional=True),
    Variable("rated", "day of the rating", date=True, not_before="begun"),
    Variable("begun", "day of the first session", date=True),
    Variable("therapist", "therapist", identifier=True),
)


def test_a_dictionary_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_dictionary(write_dictionary(SOME, tmp_path / "dictionary.csv")) == SOME


@pytest.mark.parametrize("key", list(REGISTRY))
def test_the_variables_of_every_study_fit_into_a_table(key: str, tmp_path: Path) -> None:
    variables = REGISTRY[key].variables
    assert read_dictionary(write_dictionary(variables, tmp_path / "dictionary.csv")) == variables


def test_a_spreadsheet_in_european_csv_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "dictionary.csv"
    file.write_text("\ufeffname;meaning;low;high\npain;Schmerz;0;10\n", encoding="utf-8")
    assert read_dictionary(file) == (Variable("pain", "Schmerz", range=(0, 10)),)


def test_every_fault_is_named_with_its_row(tmp_path: Path) -> None:
    file = tmp_path / "dictionary.csv"
    file.write_text(
        "name,meaning,low,high,key,labels\na,A,zero,,,\n,B,,,,\nc,C,,,perhaps,\nd,D,5,1,,\ne,E,,,,never\nf,F,,,,\nf,F,,,,\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError) as caught:
        read_dictionary(file)
    text = str(caught.value)
    for part in (
        "row 1: low is 'zero'", "row 2: no name", "row 3: key is 'perhaps'; write yes or no", "row 4: variable 'd': range=",
        "row 5: labels is 'never'; write 1 = never", "'f' is declared more than once",
    ):  # fmt: skip
        assert part in text


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dictionary.csv"
    file.write_text("name,meaning,Levels\na,A,x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"unknown column 'Levels' \(did you mean 'levels'\?\)"):
        read_dictionary(file)
    file.write_text("variable,meaning\na,A\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'name'"):
        read_dictionary(file)


def test_an_existing_dictionary_is_not_replaced(tmp_path: Path) -> None:
    file = write_dictionary(SOME, tmp_path / "dictionary.csv")
    before = file.read_bytes()
    with pytest.raises(DataError, match="exists"):
        write_dictionary(SOME[:1], file)
    assert file.read_bytes() == before


def test_a_draft_keeps_what_an_spss_file_says(tmp_path: Path) -> None:
    import pyreadstat

    frame = pd.DataFrame({"ID": ["a", "b", "c"], "arm": [1.0, 2.0, 1.0], "pain": [3.0, -9.0, 4.0]})
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(
        frame, str(file), column_labels=["", "Randomised arm", "Average pain"],
        variable_value_labels={"arm": {1: "exercise", 2: "advice"}, "pain": {-9: "refused"}}, missing_ranges={"pain": [-9]},
    )  # fmt: skip
    data = read_table(file)
    drafted = {variable.name: variable for variable in draft_dictionary(data)}
    assert drafted["ID"].identifier
    assert drafted["arm"].meaning == "Randomised arm"
    assert drafted["arm"].labels == {1: "exercise", 2: "advice"}
    assert drafted["pain"].missing_codes == {-9: "refused"}
    assert len(check(data, tuple(drafted.values()))) == 3
