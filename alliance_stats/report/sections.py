"""The content of a report as values: sections of paragraphs, tables and figures, in the order of reading."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

import numpy as np
import pandas as pd

from alliance_stats.render.labels import capital, readable
from alliance_stats.render.numbers import percent
from alliance_stats.render.save import as_svg
from alliance_stats.report.blocks import Block, Section
from alliance_stats.report.figures import drawn
from alliance_stats.report.mediation_tables import is_mediation, term_name
from alliance_stats.report.reporting import checklist_blocks, methods_blocks
from alliance_stats.report.results import ACRONYMS, results, side_by_side
from alliance_stats.study.declare import Estimand, Evidence
from alliance_stats.study.registration import declaration_hash, deviations
from alliance_stats.study.run import Run
from alliance_stats.tables.replication import printed_text, rerun_text, truth_text
from alliance_stats.tables.styles import STYLES, unmarked

ABREAST = 3  # estimands in one table
PACKAGES = ("alliance_stats", "numpy", "pandas", "scipy", "statsmodels", "formulaic", "matplotlib")
LEVELS: dict[Evidence, str] = {
    "original data": "Individual data supplied by the analyst.",
    "summary statistics": "Numbers printed in the publication.",
    "simulated": "Data drawn by a program. They check the code, never the paper: nothing on this page that rests on them says "
    "anything about patients.",
}


def sections(run: Run, *, patients: bool = False) -> list[Section]:
    """All sections of a report; those without content are left out. ``patients``: show single patients as points."""
    found = [
        Section("Question", (Block(run.study.question), Block(f"{run.study.design.rstrip('.')}."))),
        Section("What this rests on", tuple(_evidence(run))),
        Section("Registration", tuple(_registration(run))),
        Section(f"{_compared(run)} beside rerun", tuple(_comparison(run))),
        Section("Figures", tuple(_figures(run, patients))),
        Section("Side by side", tuple(side_by_side(run))),
        Section("Read with care", tuple(Block(text) for text in run.study.cautions)),
        Section("Estimands", tuple(_estimands(run))),
        Section("Participants", tuple(_participants(run))),
        Section("Primary results", tuple(results(run, "primary"))),
        Section("Secondary results", tuple(results(run, "secondary"))),
        Section("Statistical methods", tuple(methods_blocks(run))),
        Section("Checklist", tuple(checklist_blocks(run))),
        Section("Audit of the printed numbers", tuple(_audits(run))),
        Section("How this was made", (Block(table=_provenance(run), caption="Data, software and options"),)),
    ]
    return [section for section in found if section.blocks]


def _evidence(run: Run) -> Iterator[Block]:
    used = {run.evidence_of(a): None for a in run.study.analyses if a.name in run.results}
    rows = [{"level of evidence": level, "meaning": LEVELS[level], "analyses": _names(run, level)} for level in used]
    yield Block(table=pd.DataFrame(rows), caption="What the numbers of each analysis rest on")
    for option in run.study.options:
        yield Block(
            f"{option.name.capitalize()}: {run.options[option.name]}. {option.choices[run.options[option.name]]}"
        )


def _registration(run: Run) -> Iterator[Block]:
    """What was declared before the data came, and every difference from it; nothing where there is no registration."""
    if run.study.registration is None:
        return
    changed = deviations(run.study)
    hashed = declaration_hash(run.study.registration)
    differ = "1 entry differs" if len(changed) == 1 else f"{len(changed)} entries differ"
    said = f"{differ} from it" if len(changed) else "The study is analysed as it was registered"
    yield Block(f"The study was declared beforehand; SHA-256 of that declaration: {hashed}. {said}.")
    if len(changed):
        yield Block(table=changed, caption="Deviations from the registration")


def _names(run: Run, level: Evidence) -> str:
    names = [a.name for a in run.study.analyses if a.name in run.results and run.evidence_of(a) == level]
    if len(names) == len(run.results):
        return "all"
    return "; ".join(run.label(name) for name in names)


def _estimands(run: Run) -> Iterator[Block]:
    """One column an estimand, as many side by side as can be read."""
    columns = [(run.label(name), _attributes(estimand)) for name, estimand in run.study.estimands.items()]
    parts = [dict(columns[first : first + ABREAST]) for first in range(0, len(columns), ABREAST)]
    for part in parts:
        of = f": {'; '.join(part)}" if len(parts) > 1 else ""
        yield Block(
            table=pd.DataFrame(part).rename_axis("attribute").reset_index(),
            caption=f"What is estimated, in the attributes of ICH E9(R1){of}",
        )


def _attributes(estimand: Estimand) -> dict[str, str]:
    return {
        "Population": estimand.population,
        "Contrast": estimand.contrast,
        "Outcome": estimand.outcome,
        "Time": estimand.time,
        "Intercurrent events": estimand.intercurrent,
        "Summary": estimand.summary,
        "Causal reading": estimand.causal,
    }


def _participants(run: Run) -> Iterator[Block]:
    rows = "" if run.patients == len(run.data) else f" with {len(run.data)} rows"
    yield Block(f"{run.patients} patients{rows}, from {run.source}.")
    frame = run.describe()
    shares = [
        percent(s) if np.isfinite(run.maximum(n)) else ""
        for n, s in zip(frame["variable"], frame["at_maximum"], strict=True)
    ]
    shown = frame.drop(columns=["scale_maximum"]).assign(at_maximum=shares)
    shown["variable"] = [
        run.label(n) if first else ""
        for n, first in zip(frame["variable"], ~frame["variable"].duplicated(), strict=True)
    ]
    top = "; “at maximum” is the share of patients at the end of the scale" if any(shares) else ""
    yield Block(table=shown.rename(columns=ACRONYMS), caption=f"The variables{' by arm' * bool(run.arms)}{top}")


def _figures(run: Run, patients: bool) -> Iterator[Block]:
    for figure in run.study.figures:
        with drawn(run, figure, patients=patients) as ax:
            svg = as_svg(ax, prefix=f"{run.study.key}-{figure.name}", title=figure.alt, description=figure.caption)
        yield Block(svg=svg, caption=figure.caption, figure=figure)


def _comparison(run: Run) -> Iterator[Block]:
    frame = run.comparison()
    if frame.empty:
        return
    counts = frame["verdict"].value_counts()
    yield Block(capital("; ".join(f"{verdict}: {n}" for verdict, n in counts.items())) + ".")
    yield Block(
        table=published_beside_rerun(frame, run.label, _terms(run, frame)),
        caption=f"{_compared(run)} beside rerun, number by number",
    )


def _compared(run: Run) -> str:
    """What reruns are compared with: printed numbers, or the truth of a design that no paper has."""
    return "Published" if any(target.kind != "truth" for target in run.study.targets) else "Truth"


def _terms(run: Run, frame: pd.DataFrame) -> list[str]:
    """Terms in words; those of a mediation as its tables name them."""
    return [
        term_name(term, run.results[name])
        if name in run.results and is_mediation(run.results[name])
        else readable(term)
        for name, term in zip(frame["analysis"], frame["term"], strict=True)
    ]


def published_beside_rerun(
    frame: pd.DataFrame, label: Callable[[str], str] = readable, terms: Sequence[str] | None = None
) -> pd.DataFrame:
    """The comparison for people: printed value with interval, rerun, verdict, source; ``terms`` in words where given."""
    return pd.DataFrame(
        {
            "analysis": ["participants" if n == "data" else label(n.split("/")[0]) for n in frame["analysis"]],
            "term": [readable(term) for term in frame["term"]] if terms is None else list(terms),
            "printed": [unmarked(printed_text(row, STYLES["apa"])) for row in frame.itertuples()],
            "rerun": [unmarked(rerun_text(row, STYLES["apa"])) for row in frame.itertuples()],
            "truth": [truth_text(row) for row in frame.itertuples()],
            "verdict": frame["verdict"].to_numpy(),
            "evidence": frame["evidence"].to_numpy(),
            "source": frame["source"].to_numpy(),
            "note": frame["note"].to_numpy(),
        }
    )


def _audits(run: Run) -> Iterator[Block]:
    for title, audit in run.study.audits.items():
        checks = audit()
        counts = checks["verdict"].value_counts()
        summary = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
        shown = checks[checks["verdict"] != "consistent"]
        yield Block(f"{title}: {len(checks)} checks ({summary}).")
        if len(shown):
            yield Block(table=shown, caption=f"{title}: checks that are not passed, or that cannot decide")


def _provenance(run: Run) -> pd.DataFrame:
    rows = [
        ("Data", run.source),
        ("SHA-256 of the data", run.data_hash),
        ("Evidence", run.evidence),
        *((f"Option {name}", value) for name, value in run.options.items()),
        *(("Reading", note) for note in run.notes),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in PACKAGES),
        ("Citation of the study", run.study.reference),
    ]
    return pd.DataFrame(rows, columns=["what", "value"])
