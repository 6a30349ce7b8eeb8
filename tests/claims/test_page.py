"""The page of the claims: complete, self-contained, escaped, reproducible."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import alliance_stats as al
from alliance_stats.claims import claims, claims_evidence, frames
from alliance_stats.claims.declare import IDS, load_claims
from alliance_stats.claims.from_studies import study_of
from alliance_stats.report.claims import claims_html, report_claims


@pytest.fixture(scope="module")
def page():
    return claims_html(runs=())


def test_every_claim_with_its_verdict_and_every_finding_is_there(page):
    frame = claims(runs=())
    for row in frame.itertuples():
        assert f'<section id="{row.claim}" ' in page
        section = page.split(f'<section id="{row.claim}" ')[1].split("</section>")[0]
        assert row.verdict.capitalize() in section
        found = claims_evidence(row.claim)
        assert section.count('data-label="reading"') == len(found)
        for reading in set(found["reading"]):
            assert f">{reading}</td>" in section
    for verdict in ("supported", "mixed", "not supported", "untested"):
        assert f"<strong>{(frame['verdict'] == verdict).sum()}</strong> {verdict}" in page


def test_verdicts_come_before_the_claims(page):
    assert page.index('id="verdicts"') < page.index('id="rule"') < page.index('id="C1"')


def test_the_page_needs_nothing_from_elsewhere_and_its_links_lead_somewhere(page):
    for attribute in re.findall(r'\b(?:src|href)="([^"]*)"', page):
        assert attribute.startswith("#"), attribute
    assert "<script" not in page
    assert "@import" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) == {*IDS, "content"}


def test_same_runs_same_bytes_without_paths_dates_or_missing_numbers(page):
    assert claims_html(runs=()) == page
    assert not re.search(r"0x[0-9a-f]{6,}|/home/|/tmp/|/root/|\bnan\b|\bNone\b", page)
    assert not re.search(r"\d\.\d{5,}", re.sub(r"10\.\d{4,}/\S+", "", page))


def test_text_is_escaped(monkeypatch):
    nasty = "<script>alert(1)</script> & <b>"
    first, *others = load_claims()
    spoiled = replace(
        first,
        text=nasty,
        evidence=tuple(replace(e, finding=nasty, note=nasty, source=nasty) for e in first.evidence),
    )
    monkeypatch.setattr(frames, "load_claims", lambda: (spoiled, *others))
    monkeypatch.setattr(frames, "load_claim", lambda name: spoiled)
    page = claims_html(runs=())
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in page


def test_runs_appear_as_code_checks_or_as_evidence(tmp_path):
    study = study_of("fuentes2014")
    page = claims_html([study.run()])
    assert "code check passed (2 rows)" in page
    assert "It checks the code and counts for no verdict" in page
    own = study.run(study.simulate(rng=6).data, therapists="single")
    assert "fuentes2014, original data" in claims_html([own])
    assert "fuentes2014, original data" not in page


def test_the_file_and_its_refusals(tmp_path, page):
    assert report_claims(tmp_path / "claims.html", runs=()).read_text(encoding="utf-8") == page
    with pytest.raises(al.AllianceError, match=r"ends in '\.pdf'"):
        report_claims(tmp_path / "claims.pdf", runs=())
    with pytest.raises(al.AllianceError, match="no folder"):
        report_claims(tmp_path / "absent" / "claims.html", runs=())
