"""The command line, run in process: what it prints, and how it ends on bad files."""

from __future__ import annotations

import pytest

import alliance_stats as al
from alliance_stats.__main__ import main


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out, out.err


@pytest.fixture
def csv(tmp_path):
    """Own data as text, with a way to spoil it."""
    frame = al.studies["ferreira2013"].simulate(rng=7).data.drop(columns=[f"wai_{i}" for i in range(1, 13)])

    def write(change=lambda text: text, name="mine.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(change(frame.to_csv(index=False)).encode(encoding))
        return path

    write.frame = frame
    return write


def test_list_and_describe(capsys):
    code, out, _ = call(capsys, "list")
    assert code == 0
    assert all(key in out for key in al.studies)
    code, out, _ = call(capsys, "describe", "fuentes2014")
    assert code == 0
    assert all(v.name in out for v in al.studies["fuentes2014"].variables)
    assert "therapists=nested" in out


def test_run_prints_the_comparison_and_writes_the_report(capsys, csv, tmp_path):
    path = csv()
    before = path.read_bytes()
    code, out, _ = call(capsys, "run", "ferreira2013", path, "--out", tmp_path / "r.html")
    assert code == 0
    assert "original data" in out
    assert "same direction" in out
    assert (tmp_path / "r.html").is_file()
    assert path.read_bytes() == before


def test_options_and_renames_on_the_command_line(capsys, tmp_path):
    data = al.studies["fuentes2014"].simulate(rng=3).data.rename(columns={"patient": "id"})
    path = tmp_path / "own.csv"
    data.to_csv(path, index=False)
    code, _, err = call(capsys, "run", "fuentes2014", path, "--rename", "id=patient")
    assert code == 1
    assert "option 'therapists' is needed" in err
    code, out, _ = call(capsys, "run", "fuentes2014", path, "--rename", "id=patient", "--option", "therapists=single")
    assert code == 0
    assert "117 rows" in out


def spoil_column(name, value):
    def change(text):
        lines = text.splitlines()
        where = lines[0].split(",").index(name)
        cells = lines[3].split(",")
        cells[where] = value
        lines[3] = ",".join(cells)
        return "\n".join(lines) + "\n"

    return change


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda t: t.replace("psfs_8w", "function_8w", 1), ["psfs_8w", "absent", "rename"]),
        (spoil_column("pain_8w", "seven"), ["pain_8w", "text", "row", "3", "seven"]),
        (spoil_column("pain_8w", "17"), ["pain_8w", "0 to 10", "row", "3", "17"]),
        (spoil_column("patient", "2"), ["patient", "more than once"]),
        (spoil_column("arm", "XX"), ["arm", "XX", "GE"]),
        (lambda t: "", ["empty"]),
        (lambda t: t.splitlines()[0] + "\n", ["no rows"]),
        (lambda t: t.replace(",", ";").replace(".", ","), ["decimal"]),
    ],
    ids=["missing column", "text in a number", "out of range", "duplicated key", "unknown level", "empty file",
         "header only", "decimal commas"],
)  # fmt: skip
def test_a_bad_file_ends_with_what_is_wrong_and_no_traceback(capsys, csv, change, messages):
    path = csv(change)
    before = path.read_bytes()
    code, out, err = call(capsys, "run", "ferreira2013", path)
    assert code == 1
    assert "Traceback" not in out + err
    for message in messages:
        assert message in err, (message, err)
    assert path.read_bytes() == before


def test_wrong_encoding_names_the_way_out(capsys, csv):
    path = csv(spoil_column("therapist", "Müller"), encoding="cp1252")
    code, _, err = call(capsys, "run", "ferreira2013", path)
    assert code == 1
    assert "cp1252" in err
    code, _, _ = call(capsys, "run", "ferreira2013", path, "--encoding", "cp1252")
    assert code == 0


def test_all_violations_are_listed_at_once(capsys, csv):
    path = csv(lambda t: spoil_column("pain_8w", "17")(spoil_column("arm", "XX")(t)))
    _, _, err = call(capsys, "run", "ferreira2013", path)
    assert "pain_8w" in err
    assert "arm" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nobody2020"), "no study 'nobody2020'"),
        (("run", "ferreira2013", "absent.csv"), "absent.csv"),
        (("run", "ferreira2013", "--rename", "id"), "write it as NAME=VALUE"),
        (("run", "ferreira2013", "--scale", "alliance=12"), "COLUMN=LOW:HIGH"),
        (("run", "ferreira2013", "--option", "therapists=single"), "has no option"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(capsys, arguments, message):
    code, _, err = call(capsys, *arguments)
    assert code == 1
    assert message in err


def test_simulate_writes_the_same_bytes_for_the_same_seed(capsys, tmp_path):
    for name in ("a", "b"):
        assert call(capsys, "simulate", "ferreira2013", "--seed", "4", "--out", tmp_path / name)[0] == 0
    first, second = (sorted((tmp_path / name / "ferreira2013").iterdir()) for name in ("a", "b"))
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_report_writes_all_studies_and_the_index(capsys, tmp_path):
    assert call(capsys, "report", "--out", tmp_path)[0] == 0
    pages = {"index.html", "claims.html", *(f"{k}.html" for k in al.studies)}
    assert {f.name for f in tmp_path.iterdir()} == {"figures", *pages}
    assert "claims.html" in (tmp_path / "index.html").read_text(encoding="utf-8")
