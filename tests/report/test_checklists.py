"""Checklists: complete, numbered as the guidelines number them, filled where the run knows and nowhere else."""

from __future__ import annotations

import re

import pytest

import alliance_stats as al
from alliance_stats.inference.mediation_reporting import AUTHORS
from alliance_stats.report.checklists import CONSORT, STROBE, checklist, guideline_of, mediations
from alliance_stats.report.sections import sections

STROBE_ITEMS = str.split(
    "1a 1b 2 3 4 5 6a 6b 7 8 9 10 11 12a 12b 12c 12d 12e 13a 13b 13c 14a 14b 14c 15 16a 16b 16c 17 18 19 20 21 22"
)
CONSORT_ITEMS = str.split(
    "1a 1b 2 3 4 5a 5b 6 7 8 9 10 11 12a 12b 13 14 15 16a 16b 17a 17b 18 19 20a 20b 21a 21b 21c 21d 22a 22b 23a 23b 24a 24b "
    "25 26 27 28 29 30"
)


@pytest.fixture(scope="module")
def runs():
    return {key: al.studies[key].run() for key in al.studies}


@pytest.mark.parametrize(("name", "items"), [("strobe", STROBE_ITEMS), ("consort", CONSORT_ITEMS)])
def test_items_are_those_of_the_guideline(name, items):
    guideline = guideline_of(name)
    assert [item for _, item, _ in guideline.items] == items
    assert guideline.doi.startswith("10.")
    assert guideline.reference
    assert guideline.licence
    assert set(STROBE if name == "strobe" else CONSORT) <= set(items)


@pytest.mark.parametrize("key", list(al.studies))
def test_every_study_has_its_checklist(runs, key):
    run = runs[key]
    table = checklist(run)
    assert list(table.columns) == ["section", "item", "asks", "known", "source"]
    assert set(table["source"]) <= {"result", "in part", "authors"}
    assert ((table["source"] == "authors") == (table["known"] == AUTHORS)).all()
    assert (table["source"] != "authors").sum() >= 10
    told = " ".join(table["known"])
    assert not re.search(r"\bnan\b|\bNone\b|0x|/tmp|,;|;;|\(\)", told)
    assert run.study.question in told
    assert f"({run.evidence})" in told


def test_randomised_studies_of_this_checkout_name_consort():
    assert {key for key in ("biomarker_mediation", "lonsdale2017") if al.studies[key].guideline == "consort"} == {
        "biomarker_mediation", "lonsdale2017",
    }  # fmt: skip
    assert al.studies["ferreira2013"].guideline == "strobe"


def test_what_is_filled_are_the_numbers_of_the_run(runs):
    run = runs["lonsdale2017"]
    known = checklist(run).set_index("item")["known"]
    assert "255 patients in the data (simulated) (control 104, training 151)" in known["22a"]
    assert "adherence 156" in known["22b"]
    estimate = run.results["centres"].tidy().set_index("term").loc["arm[T.training]"]
    assert (
        f"arm: training {estimate['estimate']:.2f} [{estimate['conf_low']:.2f}, {estimate['conf_high']:.2f}]"
        in known["26"]
    )
    assert "SHA-256" in known["4"]


def test_the_first_estimates_of_a_mediation_are_its_main_effects(runs):
    known = checklist(runs["biomarker_mediation"]).set_index("item")["known"]["26"]
    assert "indirect " in known
    assert "acme" not in known


def test_agrema_of_every_mediation(runs):
    run = runs["biomarker_mediation"]
    assert [a.name for a in mediations(run)] == ["serial", "alliance_biomarker", "without_alliance"]
    table = checklist(run, "agrema", "serial")
    assert len(table) == 25
    known = table.set_index("item")["known"]
    assert "(error of alliance)" in known["19"]
    assert "(error of biomarker)" in known["19"]
    assert "24 clusters (therapist)" in known["13"]


def test_agrema_of_a_multilevel_mediation(runs):
    known = checklist(runs["lonsdale2017"], "agrema").set_index("item")
    assert "exposure arm on level 2, mediator autonomy_support on level 1" in known.loc["13", "known"]
    assert "53 groups of therapist in 12 groups of centre" in known.loc["13", "known"]
    assert "latent means" in known.loc["13", "known"]
    assert known.loc["19", "known"].startswith("none from the result: ρ of zero effect is not defined here")
    assert "indirect " in known.loc["18", "known"]
    assert "boundary" in known.loc["20", "known"]


def test_what_cannot_be_made_is_refused(runs):
    with pytest.raises(al.AllianceError, match="no checklist 'prisma'; use one of strobe, consort, agrema"):
        checklist(runs["chen2019"], "prisma")
    with pytest.raises(al.AllianceError, match="'chen2019' has no mediation analysis"):
        checklist(runs["chen2019"], "agrema")
    with pytest.raises(al.AllianceError, match="'means' is no mediation analysis; use one of mediated"):
        checklist(runs["lonsdale2017"], "agrema", "means")
    with pytest.raises(al.AllianceError, match="for guideline='agrema' alone"):
        checklist(runs["lonsdale2017"], "consort", "mediated")


def test_a_report_folds_its_checklists_and_shows_the_methods(runs):
    found = {section.title: section.blocks for section in sections(runs["biomarker_mediation"])}
    folded = [block for block in found["Checklist"] if block.folded]
    assert [block.caption.split(" (")[0] for block in folded] == ["CONSORT 2025", "AGReMA", "AGReMA", "AGReMA"]
    assert (
        "\n\n".join(block.text for block in found["Statistical methods"]) == runs["biomarker_mediation"].methods_text()
    )


def test_primary_effects_come_first_and_the_rest_is_folded(runs):
    found = {section.title: section.blocks for section in sections(runs["biomarker_mediation"])}
    first, paths, *others = [block for block in found["Primary results"] if block.table is not None]
    assert list(first.table["effect"]) == [
        "Indirect effect (through all mediators)", "Direct effect (through none)", "Total effect", "Proportion mediated",
        "Through alliance alone", "Through biomarker alone", "Through alliance, then biomarker",
    ]  # fmt: skip
    assert "arm → alliance (a1)" in set(paths.table["path"])
    assert "alliance → biomarker (d21)" in set(paths.table["path"])
    assert [block.folded for block in others] == [False, False, True, True]
    assert others[0].caption.startswith("Sensitivity")
    terms = set(first.table["effect"]) | set(others[2].table["effect"])
    effects = runs["biomarker_mediation"].results["serial"].tidy().query("component == 'effect'")
    assert len(terms) == len(effects)


def test_a_correlation_of_summaries_is_not_shown_as_two_patients(runs):
    captions = [b.caption for s in sections(runs["keller2010"]) for b in s.blocks]
    assert not any(re.search(r"\bn = 2\b", caption) for caption in captions)
    assert any("from 2 printed numbers" in caption for caption in captions)
