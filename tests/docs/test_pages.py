"""The pages of the documentation: their examples run, and nothing public is without a place."""

from __future__ import annotations

import doctest
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import alliance_stats as al
from alliance_stats.result import GLANCE, TIDY

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
MODEL_PAGES = {
    "LinearModel": "linear", "MixedModel": "mixed", "GeneralizedMixedModel": "generalized_mixed", "BetaModel": "beta",
    "FractionalModel": "fractional", "GEE": "gee", "OrdinalModel": "ordinal", "CoxModel": "cox",
    "DiscreteTimeModel": "discrete_time", "CompetingRisksModel": "competing_risks", "Mediation": "mediation",
    "MultilevelMediation": "multilevel_mediation", "SummaryStatistics": "summary_statistics",
}  # fmt: skip
# Written when the site is gathered, from the code and from files elsewhere in the project.
GATHERED = {"api", "studies", "notebooks", "validation.md", "changelog.md", "contributing.md"}


def of_the_site(name: str) -> ModuleType:
    """A module of docs/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def examples(page: Path) -> str:
    return "\n".join(block for block in BLOCK.findall(page.read_text(encoding="utf-8")) if ">>>" in block)


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.stem)
def test_the_examples_of_a_page_give_what_they_show(page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(examples(page), {}, page.name, str(page), 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    found = runner.run(test, out=report.append)
    assert found.attempted > 0
    assert found.failed == 0, "".join(report)


@pytest.mark.parametrize("name", MODEL_PAGES)
def test_a_model_page_has_its_mathematics_an_example_and_what_it_cannot_do(name: str) -> None:
    page = DOCS / "models" / f"{MODEL_PAGES[name]}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert "$$" in text
    assert examples(page)
    for heading in (
        "Model",
        "Estimation",
        "Degrees of freedom and intervals",
        "Assumptions",
        "Example",
        "What it cannot do",
    ):
        assert f"\n## {heading}\n" in text, heading


def test_every_model_has_a_page() -> None:
    fitted = {name for name in al.__all__ if hasattr(getattr(al, name), "fit")}
    assert fitted - {"InterventionalEffects"} == set(MODEL_PAGES)  # that one is reached by interventional_effects


def test_every_public_name_has_a_place_of_its_own_in_the_reference() -> None:
    groups = of_the_site("api_groups")
    placed = groups.grouped(al.__all__)
    assert placed.get("other", ()) == (), "give these names a group in docs/_ext/api_groups.py"
    shown = [name for names in placed.values() for name in names]
    assert sorted(shown) == sorted(al.__all__)


def test_a_name_without_a_group_is_shown_under_other() -> None:
    assert of_the_site("api_groups").grouped(["contrast", "brand_new"])["other"] == ("brand_new",)


def test_the_reference_shows_every_name_and_every_figure() -> None:
    of_the_site("api_groups")
    of_the_site("study_pages")
    pages = of_the_site("assemble").api_pages()
    text = "\n".join(pages.values())
    wanted = [*al.__all__, *(f"figures.{name}" for name in al.figures.__all__)]
    missing = [name for name in wanted if f"## {name}\n" not in text and name != "figures"]
    assert missing == []


@pytest.mark.parametrize("key", list(al.studies))
def test_every_study_has_a_page_with_its_question_variables_analyses_and_cautions(key: str) -> None:
    study = al.studies[key]
    page = of_the_site("study_pages").study_page(study, report=False)
    assert study.question in page
    assert f'al.studies["{key}"].run("mine.csv"' in page
    for variable in study.variables:
        assert f"\n| {variable.name} |" in page, variable.name
    for analysis in study.analyses:
        assert f"| `{analysis.name}` |" in page, analysis.name
    assert page.count("\n| `") >= len(study.targets)
    for caution in study.cautions:
        assert f"- {caution}" in page


def test_the_glossary_explains_every_column() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert [name for name in (*TIDY, *GLANCE) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_lead_to_pages(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        place = (page.parent / target).resolve()
        gathered = place.relative_to(DOCS.resolve().parent).parts[:2] in {("docs", name) for name in GATHERED}
        assert gathered or place.exists() or place.with_suffix(".md").exists(), f"{page.name}: {target}"


def test_docstrings_keep_stars_bars_and_the_meaning_of_parameters() -> None:
    as_rst = of_the_site("docstrings").as_rst
    lines = [
        "Draws.",
        "",
        "Parameters",
        "----------",
        "name : str",
        "    The *name*.",
        "by : (1 | therapist)",
        "",
        "After_ them.",
    ]
    assert as_rst(lines) == [
        "Draws.", "", ".. rubric:: Parameters", "", "**name** (str)", "    The \\*name\\*.", "", "**by**",
        "    (1 \\| therapist)", "", "After\\_ them.",
    ]  # fmt: skip


def test_formulas_become_mathml_without_the_network() -> None:
    mathml = of_the_site("offline_math").mathml
    shown, inline = mathml([(r"\hat\beta = \frac{1}{2}", True), ("x_i", False)])
    assert shown.startswith('<math display="block"')
    assert "<mfrac>" in shown
    assert "<msub><mi>x</mi><mi>i</mi></msub>" in inline
    with pytest.raises(ValueError, match="pandoc cannot read"):
        mathml([(r"\begin{nothing}", True)])
