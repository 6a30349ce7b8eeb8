"""Reports: self-contained, escaped, reproducible, without patients unless asked for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import alliance_stats as al
from alliance_stats.report.index import write_index
from alliance_stats.report.page import report_html

KEYS = list(al.studies)


@pytest.fixture(scope="module")
def runs():
    return {key: al.studies[key].run() for key in KEYS}


@pytest.fixture(scope="module")
def pages(runs):
    return {key: report_html(run) for key, run in runs.items()}


@pytest.mark.parametrize("key", KEYS)
def test_a_page_holds_every_part(pages, key):
    for part in (
        "Question", "What this rests on", "Estimands", "Participants", "Primary results", "Figures",
        "beside rerun", "Statistical methods", "Checklist", "Read with care",
        "SHA-256 of the data", "Python", "alliance_stats", "seed",
    ):  # fmt: skip
        assert part in pages[key], part
    assert pages[key].count("<svg") == len(al.studies[key].figures)
    assert "They check the code, never the paper" in pages[key]
    if al.studies[key].audits:
        assert "Audit of the printed numbers" in pages[key]


@pytest.mark.parametrize("key", KEYS)
def test_a_page_needs_nothing_from_elsewhere(pages, key):
    for attribute in re.findall(r'\b(?:src|href)="([^"]*)"', pages[key]):
        assert attribute.startswith("#"), attribute
    assert "<script" not in pages[key]
    assert "@import" not in pages[key]
    ids = re.findall(r'\bid="([^"]+)"', pages[key])
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"', pages[key])
    assert set(links) <= set(ids)


@pytest.mark.parametrize("key", KEYS)
def test_same_run_same_bytes(pages, key):
    again = report_html(al.studies[key].run())
    assert again == pages[key]
    assert not re.search(r"0x[0-9a-f]{6,}|/home/|/tmp/|/root/", again)


def test_free_text_is_escaped():
    study = al.studies["fuentes2014"]
    nasty = "<script>alert(1)</script> & <b>"
    changed = replace(study, title=nasty, question=nasty, cautions=(nasty,), labels={"pain": nasty})
    page = report_html(changed.run())
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in page


def test_levels_and_columns_of_a_users_file_are_escaped(tmp_path):
    data = al.studies["ferreira2013"].simulate(rng=6).data.assign(therapist="<img src=x>")
    page = report_html(al.studies["ferreira2013"].run(data))
    assert "<img" not in page


def test_patients_are_points_only_when_asked_for():
    own = al.studies["fuentes2014"].simulate(rng=6).data
    data = own.assign(patient=[f"secret-{i}" for i in own["patient"]])
    run = al.studies["fuentes2014"].run(data, therapists="crossed")
    assert run.evidence == "original data"
    closed, opened = report_html(run), report_html(run, patients=True)
    assert "secret-" not in closed
    assert "secret-" not in opened
    assert opened.count("<use") > closed.count("<use") + 100


def test_a_report_of_original_data_says_so(tmp_path):
    data = al.studies["fuentes2014"].simulate(rng=6).data
    path = al.studies["fuentes2014"].run(data, therapists="single").report(tmp_path / "page.html")
    page = path.read_text(encoding="utf-8")
    assert "One therapist gave all sessions" in page
    assert "Evidence: simulated" not in page


def test_unknown_suffix_and_absent_folder(runs, tmp_path):
    with pytest.raises(al.AllianceError, match=r"ends in '.xyz'"):
        runs["fuentes2014"].report(tmp_path / "page.xyz")
    with pytest.raises(al.AllianceError, match="no folder"):
        runs["fuentes2014"].report(tmp_path / "absent" / "page.html")


def test_the_index_links_every_report_and_counts_verdicts(runs, tmp_path):
    page = write_index(list(runs.values()), tmp_path / "index.html").read_text(encoding="utf-8")
    for key, run in runs.items():
        row = page.split(f'<tr><th scope="row"><a href="{key}.html"')[1].split("</tr>")[0]
        counts = [int(n) for n in re.findall(r'<td class="n">(\d+)</td>', row)]
        assert sum(counts) == len(run.comparison())
    assert "code check passed" in page
    assert "claims.html" not in page


def test_the_index_has_the_claims_first(runs, tmp_path):
    page = write_index(list(runs.values()), tmp_path / "index.html", claims=True).read_text(encoding="utf-8")
    assert page.index("Eleven claims about the alliance") < page.index("Studies</h2>")
    counts = [int(n) for n in re.findall(r"<li><strong>(\d+)</strong>", page)]
    assert sum(counts) == 11


def test_printed_zeros_at_the_end_are_kept():
    from alliance_stats.report.sections import published_beside_rerun

    run = al.studies["huppert2014"].run()
    frame = run.comparison()
    one = frame[(frame["printed"] == -0.10) & (frame["decimals"] == 2)]
    assert list(published_beside_rerun(one)["printed"]) == ["−0.10"] * len(one)
    assert len(one)
