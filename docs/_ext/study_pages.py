"""One page a study, written from its declaration: what a reader needs before a rerun."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from alliance_stats.data.codebook import codebook
from alliance_stats.render.numbers import number
from alliance_stats.render.table import rounded
from alliance_stats.study.declare import Analysis, Study, Target

EVIDENCE = (
    "The stand-in that `run()` uses is **simulated**. It checks the code, never the paper. Numbers of the paper are "
    "reached by a run on its data, or from what was printed."
)


def study_page(study: Study, report: bool) -> str:
    """The page as MyST markdown; ``report`` says whether the report of the stand-in is part of the site."""
    parts = [
        f"# {study.title}",
        f"`{study.key}` · {_citation(study)}",
        f"**Question.** {study.question}",
        f"**Design.** {study.design}",
        f"```{{admonition}} Evidence\n{EVIDENCE}\n```",
        _running(study),
        _report_link(study) if report else "",
        _options(study),
        "## Variables\n\n" + codebook(study.variables),
        _tables(study),
        _analyses(study),
        _estimands(study),
        _targets(study),
        _cautions(study),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def studies_index(studies: list[Study]) -> str:
    """The list of all studies, with its table of contents."""
    rows = [f"| [{study.key}]({study.key}.md) | {_cell(study.title)} | {_cell(study.question)} |" for study in studies]
    table = "\n".join(["| key | study | question |", "|---|---|---|", *rows])
    about = "Published designs, each declared once and rerun on anyone's data. " + EVIDENCE
    toc = "```{toctree}\n:hidden:\n\n" + "\n".join(f"{study.key} <{study.key}>" for study in studies) + "\n```"
    return f"# Studies\n\n{about} See [Rerun a published study on my data](../how_to/rerun_a_study.md).\n\n{table}\n\n{toc}\n"


def _citation(study: Study) -> str:
    return f"{study.citation} · [doi {study.doi}](https://doi.org/{study.doi})" if study.doi else study.citation


def _running(study: Study) -> str:
    options = "".join(f', {option.name}="{next(iter(option.choices))}"' for option in study.options)
    return (
        "## Run it\n\n```python\n"
        f'import alliance_stats as al\n\nrun = al.studies["{study.key}"].run()  # the simulated stand-in\n'
        f'run = al.studies["{study.key}"].run("mine.csv", rename={{"id": "patient"}}{options})\n'
        "run.comparison()  # printed beside rerun, with a verdict a row\n"
        f'run.report("{study.key}.html")\n```'
    )


def _report_link(study: Study) -> str:
    link = f'<a href="../reports/{study.key}.html">The report of a run on the simulated stand-in</a>'
    return f"```{{raw}} html\n<p>{link}, with its figures.</p>\n```"


def _options(study: Study) -> str:
    if not study.options:
        return ""
    lines = [
        f"**`{option.name}=`** {option.meaning}\n\n"
        + "\n".join(f"- `{key}`: {text}" for key, text in option.choices.items())
        for option in study.options
    ]
    return "### Options\n\nWhat a file does not show, and a run on your own data has to say.\n\n" + "\n\n".join(lines)


def _tables(study: Study) -> str:
    if not study.tables:
        return ""
    shown = [f"**{name}**\n\n{_markdown(rounded(table))}" for name, table in study.tables.items()]
    return "## Printed tables that are analysed\n\n" + "\n\n".join(shown)


def _analyses(study: Study) -> str:
    rows = [
        [
            study.labels.get(analysis.name, analysis.name),
            f"`{analysis.name}`",
            analysis.role,
            _model(analysis),
            analysis.estimand,
        ]
        for analysis in study.analyses
    ]
    return "## Analyses\n\n" + _markdown(pd.DataFrame(rows, columns=["analysis", "name", "role", "model", "estimand"]))


def _model(analysis: Analysis) -> str:
    name = type(analysis.model).__name__
    formula = getattr(analysis.model, "formula", "")
    on = f"printed table “{analysis.table}”" if analysis.table else (f"`{formula}`" if formula else "")
    return f"{name}: {on}" if on else name


def _estimands(study: Study) -> str:
    def one(name: str, estimand: Any) -> str:
        lines = [f"- {field}: {getattr(estimand, field)}" for field in estimand.__dataclass_fields__]
        return f"**{name}**\n\n" + "\n".join(lines)

    shown = "\n\n".join(one(name, estimand) for name, estimand in study.estimands.items())
    about = "What is to be estimated, in the attributes of ICH E9(R1), and what a causal reading would need."
    return f"## Estimands\n\n{about}\n\n{shown}"


def _targets(study: Study) -> str:
    if not study.targets:
        return ""
    rows = [
        [
            f"`{target.analysis}`",
            f"`{target.term}`",
            f"`{target.column}`",
            _printed(target),
            target.kind,
            _source(target),
        ]
        for target in study.targets
    ]
    table = _markdown(pd.DataFrame(rows, columns=["analysis", "term", "column", "printed", "kind", "source"]))
    return f"## Printed numbers\n\nWith each rerun they stand beside the new number, with a verdict.\n\n{table}"


def _printed(target: Target) -> str:
    if target.kind == "not recoverable" or target.printed is None:
        return "–"
    if target.kind == "direction":
        return "positive" if target.printed > 0 else "negative"
    limits = "" if target.low is None or target.high is None else f" ({number(target.low)} to {number(target.high)})"
    return f"{target.printed:.{target.decimals}f}{limits}".replace("-", "−")


def _source(target: Target) -> str:
    return f"{target.source}. {target.note}".strip(" .") + "." if target.source or target.note else ""


def _cautions(study: Study) -> str:
    if not study.cautions:
        return ""
    return "## Cautions\n\n" + "\n".join(f"- {caution}" for caution in study.cautions)


def _markdown(frame: pd.DataFrame) -> str:
    head = "| " + " | ".join(map(str, frame.columns)) + " |"
    rows = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in frame.itertuples(index=False)]
    return "\n".join([head, "|" + "---|" * len(frame.columns), *rows])


def _cell(value: Any) -> str:
    """Text of a table cell; a bar, as in (1 | therapist), would end the cell."""
    return re.sub(r"(?<!\\)\|", r"\\|", str(value)).replace("\n", " ")
