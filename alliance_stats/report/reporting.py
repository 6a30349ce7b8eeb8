"""The sections that help to write the paper: statistical methods, and the checklists of reporting guidelines."""

from __future__ import annotations

from collections.abc import Iterator

from alliance_stats.report.blocks import Block
from alliance_stats.report.checklists import Guideline, checklist, guideline_of, mediations
from alliance_stats.study.methods import run_methods
from alliance_stats.study.run import Run


def methods_blocks(run: Run) -> Iterator[Block]:
    """The paragraphs of ``Run.methods_text``."""
    for paragraph in run_methods(run):
        yield Block(paragraph)


def checklist_blocks(run: Run) -> Iterator[Block]:
    """The checklist of the study's guideline, and AGReMA for every mediation analysis, folded."""
    yield Block(
        "What this page knows of each item; the rest is for the authors. The items are paraphrased: the statements themselves, "
        "with their explanations, are what a paper should be checked against."
    )
    yield Block(table=checklist(run), caption=_caption(guideline_of(run.study.guideline)), folded=True)
    for analysis in mediations(run):
        caption = f"{_caption(guideline_of('agrema'))} — {run.label(analysis.name)}"
        yield Block(table=checklist(run, "agrema", analysis.name), caption=caption, folded=True)


def _caption(guideline: Guideline) -> str:
    return f"{guideline.name} ({guideline.reference}, doi:{guideline.doi})"
