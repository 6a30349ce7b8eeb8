"""A user's own frame as csv, codebook and Data Package, which frictionless accepts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from alliance_stats.data.codebook import codebook, datapackage
from alliance_stats.data.publish import write_codebook
from alliance_stats.data.reading import read_table
from alliance_stats.data.schema import check
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError

VARIABLES = (
    Variable("patient", "pseudonym", key=True),
    Variable("arm", "treatment", levels=("GE", "MCE")),
    Variable("item", "first item", range=(1, 3), integer=True),
    Variable("pain", "pain", range=(0, 10), unit="points"),
    Variable("diary", "days with a diary", optional=True),
)


@pytest.fixture
def frame(tmp_path):
    file = tmp_path / "trial.sav"
    pyreadstat.write_sav(
        pd.DataFrame(
            {
                "patient": ["A", "B", "C"],
                "arm": [1.0, 2.0, 1.0],
                "item": [1.0, 3.0, -9.0],
                "pain": [2.5, -9.0, np.nan],
            }
        ),
        str(file),
        variable_value_labels={
            "arm": {1.0: "GE", 2.0: "MCE"},
            "item": {1.0: "never", 3.0: "always", -9.0: "refused"},
            "pain": {0.0: "none", 10.0: "worst", -9.0: "refused", -8.0: "not asked"},
        },
        missing_ranges={"item": [-9], "pain": [{"lo": -9, "hi": -8}]},
    )
    return read_table(file, labels=["arm"])


def test_labels_and_missing_codes_stand_in_the_codebook(frame):
    assert codebook(VARIABLES, check(frame, VARIABLES)) == (
        "| name | meaning | unit | values | key | missing |\n"
        "|---|---|---|---|---|---|\n"
        "| patient | pseudonym |  |  | key | 0 |\n"
        "| arm | treatment |  | GE, MCE |  | 0 |\n"
        "| item | first item |  | whole numbers, 1 to 3; 1 = never, 3 = always |  | 1 (-9 refused: 1) |\n"
        "| pain | pain | points | 0 to 10; 0 = none, 10 = worst |  | 2 (-9 refused: 1, no code: 1) |\n"
        "| diary | days with a diary (optional) |  |  |  | absent |\n"
    )


def test_declared_codes_stand_in_the_codebook():
    pain = Variable("pain", "pain", range=(0, 10), labels={0: "none"}, missing_codes={99: "not asked"})
    checked = check(pd.DataFrame({"pain": [1, 99, None]}), [pain])
    assert "| 0 to 10; 0 = none |  | 2 (99 not asked: 1, no code: 1) |" in codebook([pain], checked)
    assert "0 to 10; 0 = none |  |\n" in codebook([pain])


def test_categories_of_the_data_package():
    """The standard: categories only for text and whole numbers, listing every value; labels where there are some."""
    variables = [
        Variable("arm", "arm", levels=("GE", "MCE")),
        Variable(
            "item", "item", range=(1, 3), integer=True, labels={1: "never", 3: "always"}, missing_codes={-9: "refused"}
        ),
        Variable("pain", "pain", range=(0, 10), labels={0: "none", 10: "worst"}),
        Variable("score", "score", range=(0, 1000), integer=True, labels={0: "none"}),
    ]
    fields = datapackage("t", "T", "t.csv", variables)["resources"][0]["schema"]["fields"]
    assert fields[0]["categories"] == ["GE", "MCE"]
    assert fields[0]["constraints"]["enum"] == ["GE", "MCE"]
    assert fields[1]["categories"] == [{"value": 1, "label": "never"}, {"value": 2}, {"value": 3, "label": "always"}]
    assert fields[1]["categoriesOrdered"] is True
    assert fields[1]["missingCodes"] == [{"value": -9, "label": "refused"}]
    assert "categories" not in fields[2]
    assert fields[2]["valueLabels"] == [{"value": 0, "label": "none"}, {"value": 10, "label": "worst"}]
    assert "categories" not in fields[3]


def test_a_frame_is_written_and_frictionless_accepts_it(frame, tmp_path):
    from frictionless import Package, system

    folder = tmp_path / "public" / "trial"
    files = write_codebook(frame, VARIABLES, folder, name="trial", title="A trial", description="Three patients.")
    assert [file.name for file in files] == ["trial.csv", "CODEBOOK.md", "datapackage.json"]
    assert files[0].read_bytes() == b"patient,arm,item,pain\nA,GE,1,2.5\nB,MCE,3,\nC,GE,,\n"
    assert files[1].read_text(encoding="utf-8").startswith("# A trial\n\nThree patients.\n\n| name |")
    package = json.loads(files[2].read_text(encoding="utf-8"))
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert package["simulated"] is False
    assert [field["name"] for field in package["resources"][0]["schema"]["fields"]] == [
        "patient",
        "arm",
        "item",
        "pain",
    ]
    with system.use_context(trusted=True):
        report = Package(str(files[2])).validate()
    assert report.valid, report.flatten(["type", "message"])
    assert not report.warnings
    files[0].write_bytes(files[0].read_bytes().replace(b"A,GE,1", b"A,GE,9"))
    with system.use_context(trusted=True):
        assert not Package(str(files[2])).validate().valid


def test_same_data_same_bytes_and_nothing_is_replaced_unasked(frame, tmp_path):
    first = [file.read_bytes() for file in write_codebook(frame, VARIABLES, tmp_path / "a", name="t", title="T")]
    second = [file.read_bytes() for file in write_codebook(frame, VARIABLES, tmp_path / "b", name="t", title="T")]
    assert first == second
    with pytest.raises(DataError, match=r"holds t\.csv, CODEBOOK\.md, datapackage\.json already; give another folder"):
        write_codebook(frame, VARIABLES, tmp_path / "a", name="t", title="T")
    write_codebook(frame, VARIABLES, tmp_path / "a", name="t", title="T", overwrite=True)


def test_what_is_not_declared_is_not_published(frame, tmp_path):
    with pytest.raises(DataError, match="columns 'birthday' are not declared"):
        write_codebook(frame.assign(birthday="1960-01-01"), VARIABLES, tmp_path / "a", name="t", title="T")
    with pytest.raises(DataError, match="name='My trial'; use small letters"):
        write_codebook(frame, VARIABLES, tmp_path / "a", name="My trial", title="T")
    with pytest.raises(DataError, match="not in the range 0 to 10"):
        write_codebook(frame.assign(pain=11), VARIABLES, tmp_path / "a", name="t", title="T")
    assert not (tmp_path / "a").exists()
