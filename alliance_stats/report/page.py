"""A report as one self-contained html page."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from alliance_stats.render.table import as_html
from alliance_stats.report.blocks import Block
from alliance_stats.report.sections import LEVELS, sections
from alliance_stats.study.run import Run


def report_html(run: Run, *, patients: bool = False) -> str:
    """The page as text. No patient-level rows unless asked for, no date, nothing from elsewhere; text is escaped."""
    found = sections(run, patients=patients)
    return render(
        "report.html",
        title=run.study.title,
        subtitle=run.study.reference,
        evidence=run.evidence,
        warning=LEVELS["simulated"] if run.evidence == "simulated" else "",
        sections=[(section, [_block(block) for block in section.blocks]) for section in found],
    )


def render(template: str, **values: Any) -> str:
    """A template of the package filled with values, which are escaped unless marked as html."""
    return str(_environment().get_template(template).render(**values, style=_style()))


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = files("alliance_stats.report") / "templates"
    return Environment(
        loader=FileSystemLoader(str(folder)), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


@cache
def _style() -> Any:
    from markupsafe import Markup

    return Markup((files("alliance_stats.report") / "templates" / "style.css").read_text(encoding="utf-8"))


def _block(block: Block) -> Any:
    """A block as safe html: tables and figures are made here from escaped parts, text is escaped by the template."""
    from markupsafe import Markup, escape

    if block.table is not None:
        table = scrolling(as_html(block.table, caption=block.caption, row_heads=True), block.caption)
        if not block.folded:
            return Markup(table)
        return Markup(f"<details><summary>{escape(block.caption)}</summary>{table}</details>")
    if block.svg:
        label = f"Figure: {block.figure.alt if block.figure else block.caption}"
        return Markup(f"<figure>{scrolling(block.svg, label)}<figcaption>{escape(block.caption)}</figcaption></figure>")
    return Markup(f"<p>{escape(block.text)}</p>")


def scrolling(content: str, label: str) -> str:
    """A region that scrolls sideways, reached by the keyboard and named for screen readers."""
    from markupsafe import escape

    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'
