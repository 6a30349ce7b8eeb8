"""The stand-ins in data/synthetic come from their seeds, bit for bit, and describe themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.data.schema import check
from alliance_stats.study.stand_in import write_stand_in

SYNTHETIC = Path(__file__).parents[2] / "data" / "synthetic"
FILES = {"CODEBOOK.md", "datapackage.json", "parameters.csv", "truth.csv"}


@pytest.mark.parametrize("key", list(al.studies))
def test_committed_files_are_regenerated_bit_for_bit(key, tmp_path):
    written = write_stand_in(al.studies[key], tmp_path)
    assert {f.name for f in written} == FILES | {f"{key}.csv"}
    for file in written:
        assert file.read_bytes() == (SYNTHETIC / key / file.name).read_bytes(), file.name


@pytest.mark.parametrize("key", list(al.studies))
def test_the_file_equals_load_synthetic_and_fits_its_declaration(key):
    from_file = al.read_table(SYNTHETIC / key / f"{key}.csv")
    drawn = al.load_synthetic(key)
    variables = al.studies[key].variables
    pd.testing.assert_frame_equal(check(from_file, variables), check(drawn, variables))
    parameters = pd.read_csv(SYNTHETIC / key / "parameters.csv")
    assert parameters["source"].str.len().gt(0).all()


@pytest.mark.parametrize("key", list(al.studies))
def test_the_data_package_validates(key):
    from frictionless import Package, system

    with system.use_context(trusted=True):
        report = Package(str(SYNTHETIC / key / "datapackage.json")).validate()
    assert report.valid, report.flatten(["rowNumber", "fieldName", "message"])
    assert json.loads((SYNTHETIC / key / "datapackage.json").read_text(encoding="utf-8"))["simulated"] is True
