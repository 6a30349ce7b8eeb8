"""Studies of one's own: a folder that runs as it is, a declaration that cannot run code, a registration with its deviations."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from alliance_stats.__main__ import main
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.models.mixed import MixedModel
from alliance_stats.project import new_project
from alliance_stats.studies import REGISTRY
from alliance_stats.study.declare import Analysis
from alliance_stats.study.file import read_study
from alliance_stats.study.registration import declaration, declaration_hash, deviations, register, registered

FORMULA = "pain ~ alliance_within + alliance_between + session + arm + (1 | patient) + (1 | therapist)"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new_project(tmp_path / "trial")
    return tmp_path / "trial"


def edited(project: Path, before: str, after: str) -> Path:
    file = project / "study.toml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    return file


def test_a_new_folder_runs_as_it_is(project: Path) -> None:
    study = read_study(project / "study.toml")
    run = study.run()
    assert run.evidence == "simulated"
    assert list(run.results) == ["pain", "attendance"]
    expected = MixedModel(FORMULA).fit(run.data)
    pd.testing.assert_frame_equal(run.results["pain"].tidy(), expected.tidy())
    assert len(run.results["attendance"].frame) == run.patients == 80
    written = {run.report(project / f"report.{kind}").suffix for kind in ("html", "docx", "md")}
    assert written == {".html", ".docx", ".md"}


def test_the_notebook_of_a_new_folder_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    names: dict[str, object] = {}
    for cell in nbformat.read(project / "analysis.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    assert (project / "report.html").is_file()


def test_dummy_data_do_not_depend_on_added_variables(project: Path) -> None:
    before = read_study(project / "study.toml").simulate().data
    with (project / "dictionary.csv").open("a", encoding="utf-8") as file:
        file.write("fear,Fear of movement,,0,10,,,,,,,,,,\n")
    pd.testing.assert_frame_equal(read_study(project / "study.toml").simulate().data.drop(columns="fear"), before)


def test_a_folder_with_files_is_left_alone(project: Path) -> None:
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    with pytest.raises(AllianceError, match="not an empty folder"):
        new_project(project)
    assert before == {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}


def test_a_dictionary_is_drafted_from_data(tmp_path: Path) -> None:
    new_project(tmp_path / "trial", pd.DataFrame({"ID": ["a", "b", "c"], "schmerz": [1, 2, 3]}))
    text = (tmp_path / "trial" / "dictionary.csv").read_text(encoding="utf-8")
    assert "schmerz" in text
    assert (tmp_path / "trial" / "dictionary_example.csv").is_file()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            'model = "MixedModel"',
            'model = "Mixedmodel"',
            r"analysis 1 'pain': model is 'Mixedmodel' \(did you mean 'MixedModel'",
        ),
        ('model = "MixedModel"', 'model = "__import__"', "model is '__import__'"),
        ('step = "Centre"', 'step = "Center"', r"step is 'Center' \(did you mean 'Centre'"),
        ('estimand = "within"', 'estimand = "withing"', "names no declared estimand"),
        ('by = "patient"', 'by = "patient"\nfactor = 2', "prepare, Centre: unknown entry 'factor'"),
        (
            'label = "Pain at the session"',
            'methode = "ML"',
            r"MixedModel: unknown entry 'methode' \(did you mean 'method'",
        ),
        ('title = "Working alliance and pain over the sessions of a trial"', "", "title is missing"),
        ('role = "secondary"', 'role = "third"', "role is 'third'; write primary or secondary"),
        ('causal = "Only if', "#", "estimand 'within': missing 1 required positional argument: 'causal'"),
        ('key = "my_study"', "key = my study", "not a TOML file"),
        ('dictionary = "dictionary.csv"', 'dictionary = "dict.csv"', "no such file"),
        (f'formula = "{FORMULA}"', "formula = \"pain ~ __import__('os').getcwd()\"", "getcwd|__import__"),
    ],
)
def test_a_faulty_declaration_is_named(project: Path, before: str, after: str, message: str) -> None:
    file = edited(project, before, after)
    with pytest.raises(AllianceError, match=message):
        read_study(file).run()


def test_functions_of_results_come_from_a_closed_list(project: Path) -> None:
    text = (project / "study.toml").read_text(encoding="utf-8")
    added = '[analyses.derived.icc]\nfunction = "icc"\n\n[[analyses]]\nname = "attendance"'
    (project / "study.toml").write_text(text.replace('[[analyses]]\nname = "attendance"', added), encoding="utf-8")
    assert "pain/icc" in read_study(project / "study.toml").run().derived
    with pytest.raises(AllianceError, match="function is 'eval'"):
        read_study(edited(project, 'function = "icc"', 'function = "eval"'))
    with pytest.raises(AllianceError, match="icc: unknown entry 'path'"):
        read_study(edited(project, 'function = "eval"', 'function = "icc"\npath = "x"'))


def test_a_registration_lists_what_changed(project: Path) -> None:
    file = project / "study.toml"
    assert (
        main_output(["register", str(file)]).splitlines()[1].endswith(declaration_hash(declaration(read_study(file))))
    )
    study = read_study(file)
    assert study.registration == declaration(study)
    assert deviations(study).empty
    changed = read_study(edited(project, "session + arm + (1 | patient)", "arm + (1 | patient)"))
    frame = deviations(changed)
    assert frame[["part", "item", "declares"]].to_numpy().tolist() == [["analyses", "pain", "model formula"]]
    assert "session" in frame["registered"][0]
    assert "session" not in frame["now"][0]
    added = replace(
        changed, analyses=(*study.analyses, Analysis("post_hoc", MixedModel("pain ~ arm + (1 | patient)"), "within"))
    )
    rows = deviations(added)
    assert set(rows["item"]) == {"post_hoc"}
    assert set(rows["registered"]) == {""}


def test_a_registration_is_never_replaced_and_knows_when_it_was_changed(project: Path) -> None:
    file = project / "registration.json"
    study = read_study(project / "study.toml")
    register(study, file)
    before = file.read_bytes()
    register(study, file)
    assert file.read_bytes() == before
    with pytest.raises(AllianceError, match="another declaration and is not replaced"):
        register(replace(study, question="Another?"), file)
    content = json.loads(before)
    content["declaration"]["question"] = "Another?"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(AllianceError, match="changed after it was written"):
        registered(file)
    with pytest.raises(AllianceError, match="changed after it was written"):
        read_study(project / "study.toml")
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(AllianceError, match="not a registration"):
        registered(file)
    with pytest.raises(AllianceError, match="has no registration"):
        deviations(study)


@pytest.mark.parametrize("key", list(REGISTRY))
def test_every_study_can_be_registered(key: str, tmp_path: Path) -> None:
    study = REGISTRY[key]
    assert deviations(study, register(study, tmp_path / "registration.json")).empty


def test_the_commands_of_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "study.toml" in main_output(["new", "trial"])
    monkeypatch.chdir(tmp_path / "trial")
    assert "pain (primary)" in main_output(["describe", "study.toml"])
    main_output(["simulate", "study.toml", "--out", "data"])
    assert "simulated" in main_output(["run", "study.toml", "data/my_study/my_study.csv", "--out", "report.html"])
    assert (tmp_path / "trial" / "report.html").is_file()


def test_a_data_file_of_ones_own_is_checked_and_analysed(project: Path) -> None:
    frame = read_study(project / "study.toml").simulate(rng=7).data
    frame.to_csv(project / "data" / "trial.csv", index=False)
    run = read_study(project / "study.toml").run(project / "data" / "trial.csv")
    assert run.evidence == "original data"
    frame.assign(pain=12).to_csv(project / "data" / "trial.csv", index=False)
    with pytest.raises(DataError, match="pain"):
        read_study(project / "study.toml").run(project / "data" / "trial.csv")


def main_output(arguments: list[str]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(arguments)
    return out.getvalue()


def test_the_report_lists_deviations(project: Path) -> None:
    assert "Registration" not in report_of(project)
    register(read_study(project / "study.toml"), project / "registration.json")
    page = report_of(project)
    assert "The study is analysed as it was registered." in page
    assert declaration_hash(declaration(read_study(project / "study.toml"))) in page
    edited(project, "session + arm + (1 | patient)", "arm + (1 | patient)")
    page = report_of(project)
    assert "1 entries differ" not in page
    assert "1 entry differs from it" in page
    assert "Deviations from the registration" in page


def report_of(project: Path) -> str:
    return read_study(project / "study.toml").run().report(project / "report.html").read_text(encoding="utf-8")
