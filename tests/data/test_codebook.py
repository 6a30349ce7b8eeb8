from __future__ import annotations

import hashlib
import json

import pandas as pd
import pytest

from alliance_stats.data.codebook import codebook, csv_bytes, data_hash, datapackage
from alliance_stats.data.reading import read_table
from alliance_stats.data.schema import check
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError

VARIABLES = (
    Variable("patient", "pseudonym", key=True),
    Variable("week", "week of treatment", key=True, integer=True, range=(0, 8), unit="weeks"),
    Variable("pain", "pain | last week", range=(0, 10), unit="points"),
    Variable("arm", "treatment", levels=("MCE", "GE"), missing=False),
    Variable("age", "age at entry", integer=True, range=(18, float("inf")), unit="years"),
)


@pytest.fixture
def trial():
    frame = pd.DataFrame(
        {
            "patient": ["A", "A", "B"],
            "week": [1, 2, 1],
            "pain": [3.25, None, 10],
            "arm": ["GE", "GE", "MCE"],
            "age": [30, 30, None],
        }
    )
    return check(frame, VARIABLES)


def test_codebook_in_full(trial):
    assert codebook(VARIABLES, trial) == (
        "| name | meaning | unit | values | key | missing |\n"
        "|---|---|---|---|---|---|\n"
        "| patient | pseudonym |  |  | key | 0 |\n"
        "| week | week of treatment | weeks | whole numbers, 0 to 8 | key | 0 |\n"
        "| pain | pain \\| last week | points | 0 to 10 |  | 1 |\n"
        "| arm | treatment |  | MCE, GE |  | 0 |\n"
        "| age | age at entry | years | whole numbers, 18 or more |  | 1 |\n"
    )


def test_codebook_without_a_frame_counts_nothing():
    lines = codebook([Variable("n", "sessions", integer=True)]).splitlines()
    assert lines == [
        "| name | meaning | unit | values | key |",
        "|---|---|---|---|---|",
        "| n | sessions |  | whole numbers |  |",
    ]


def test_codebook_of_absent_columns(trial):
    optional = Variable("fear", "fear of\nmovement", optional=True)
    assert codebook([optional], trial).endswith("| fear | fear of movement (optional) |  |  |  | absent |\n")
    with pytest.raises(DataError, match="the frame has no column 'fear'"):
        codebook([Variable("fear", "fear of movement")], trial)


def test_csv_bytes_and_their_hash(trial):
    assert csv_bytes(trial) == b"patient,week,pain,arm,age\nA,1,3.25,GE,30\nA,2,,GE,30\nB,1,10.0,MCE,\n"
    assert data_hash(trial) == hashlib.sha256(csv_bytes(trial)).hexdigest()
    assert data_hash(trial.set_axis([5, 6, 7])) == data_hash(trial)
    assert data_hash(trial[::-1]) != data_hash(trial)
    assert data_hash(trial[trial.columns[::-1]]) != data_hash(trial)


def test_a_published_file_reads_back_as_it_was(trial, tmp_path):
    file = tmp_path / "trial.csv"
    file.write_bytes(csv_bytes(trial))
    again = check(read_table(file), VARIABLES)
    pd.testing.assert_frame_equal(again, trial)
    assert data_hash(again) == data_hash(trial)


def test_large_numbers_are_not_shortened():
    frame = pd.DataFrame({"x": [1e300, 2.0], "y": [2.0**60, 1.0], "z": [float("inf"), 1.0]})
    assert csv_bytes(frame) == b"x,y,z\n1e+300,1.152921504606847e+18,inf\n2.0,1.0,1.0\n"


def descriptor(**options):
    return datapackage("trial", "A trial", "trial.csv", VARIABLES, **options)


def test_descriptor():
    package = descriptor(description="Made up.", hash="ab12")
    assert package == json.loads(json.dumps(package, allow_nan=False))
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert (package["name"], package["title"], package["description"]) == ("trial", "A trial", "Made up.")
    assert package["simulated"] is True
    resource = package["resources"][0]
    assert (resource["path"], resource["hash"]) == ("trial.csv", "sha256:ab12")
    assert resource["schema"]["primaryKey"] == ["patient", "week"]
    assert resource["schema"]["missingValues"] == [""]
    fields = {field["name"]: field for field in resource["schema"]["fields"]}
    assert {name: field["type"] for name, field in fields.items()} == {
        "patient": "string", "week": "integer", "pain": "number", "arm": "string", "age": "integer",
    }  # fmt: skip
    assert fields["week"]["constraints"] == {"required": True, "minimum": 0, "maximum": 8}
    assert fields["pain"]["constraints"] == {"minimum": 0, "maximum": 10}
    assert fields["arm"]["constraints"] == {"required": True, "enum": ["MCE", "GE"]}
    assert fields["age"]["constraints"] == {"minimum": 18}
    assert fields["age"]["unit"] == "years"


def test_descriptor_of_real_data_without_hash():
    package = descriptor(simulated=False)
    assert package["simulated"] is False
    assert "hash" not in package["resources"][0]
    assert "description" not in package


def test_a_single_key_is_unique():
    package = datapackage("t", "T", "t.csv", [Variable("patient", "p", key=True), Variable("x", "x")])
    schema = package["resources"][0]["schema"]
    assert schema["primaryKey"] == ["patient"]
    assert [field["constraints"] for field in schema["fields"]] == [{"required": True, "unique": True}, {}]
    assert "primaryKey" not in datapackage("t", "T", "t.csv", [Variable("x", "x")])["resources"][0]["schema"]


def test_variables_declared_twice_are_refused():
    twice = [Variable("x", "x"), Variable("x", "x")]
    for function in (codebook, lambda variables: datapackage("t", "T", "t.csv", variables)):
        with pytest.raises(DataError, match="declared more than once: 'x'"):
            function(twice)


def frictionless_faults(folder, frame, hashed):
    """Types of the faults that frictionless finds in the file beside its descriptor."""
    from frictionless import Package, system

    (folder / "trial.csv").write_bytes(csv_bytes(frame))
    (folder / "datapackage.json").write_text(json.dumps(descriptor(hash=data_hash(hashed))), encoding="utf-8")
    with system.use_context(trusted=True):
        report = Package(str(folder / "datapackage.json")).validate()
    assert not report.warnings
    return {fault for (fault,) in report.flatten(["type"])}


def test_frictionless_accepts_the_published_file(trial, tmp_path):
    assert frictionless_faults(tmp_path, trial, hashed=trial) == set()


@pytest.mark.parametrize(
    ("column", "values", "faults"),
    [
        ("pain", [11, 0, 0], {"constraint-error"}),
        ("arm", ["GE", "XX", "MCE"], {"constraint-error"}),
        ("age", [30.5, 30, 30], {"type-error"}),
        ("week", [1, 1, 1], {"primary-key"}),
        ("patient", [None, "A", "B"], {"constraint-error"}),
    ],
)
def test_frictionless_finds_what_the_schema_finds(trial, tmp_path, column, values, faults):
    broken = trial.drop(columns=column).assign(**{column: values})[list(trial.columns)]
    with pytest.raises(DataError):
        check(broken, VARIABLES)
    assert frictionless_faults(tmp_path, broken, hashed=broken) == faults


def test_frictionless_finds_a_changed_file(trial, tmp_path):
    assert frictionless_faults(tmp_path, trial.assign(pain=1.0), hashed=trial) == {"hash-count"}
