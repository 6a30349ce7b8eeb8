"""What a run can say to an item of a reporting guideline; an empty text where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from alliance_stats.models.mediation import Mediation
from alliance_stats.render.labels import readable
from alliance_stats.render.numbers import fixed, with_intervals
from alliance_stats.report.mediation_tables import is_mediation, primary
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Estimand, Role
from alliance_stats.study.method_words import method_of
from alliance_stats.study.methods import lower, missing_sentences
from alliance_stats.study.run import Run

MOST = 8  # estimates of one analysis in a cell; the tables have the rest
SHOWN = ("fixed", "effect", "hazard")


def title(run: Run) -> str:
    """The title, and the abstract that is not there."""
    return f"title of this report: “{run.study.title}”"


def question(run: Run) -> str:
    """The question."""
    return run.study.question


def design(run: Run) -> str:
    """The design."""
    return run.study.design


def population(run: Run) -> str:
    """The populations of the estimands."""
    return _each(run, lambda e: e.population) + "; criteria, recruitment and follow-up are for the authors"


def contrasts(run: Run) -> str:
    """The contrasts of the estimands."""
    return _each(run, lambda e: e.contrast) + "; the treatments in detail are for the authors"


def outcomes(run: Run) -> str:
    """Outcome, time and summary of the estimands, and which analyses are primary."""
    primary = "; ".join(f"“{run.label(a.name)}”" for a in _done(run, "primary"))
    return f"{_each(run, lambda e: f'{e.outcome} ({lower(e.time)}; {lower(e.summary)})')}; primary analyses: {primary}"


def variables(run: Run) -> str:
    """Names in the data, without items and keys."""
    names = [v.name for v in run.study.variables if v.name in _used(run)]
    return f"in the models: {', '.join(names)}; which are confounders, and why, is for the authors" if names else ""


def measurement(run: Run) -> str:
    """Meaning and unit of the variables in the models."""
    told = [
        f"{v.name}: {v.meaning}{f' ({v.unit})' if v.unit else ''}" for v in run.study.variables if v.name in _used(run)
    ]
    return "; ".join(told)


def quantitative(run: Run) -> str:
    """How numbers enter the models."""
    numbers = [n for n in _used(run) if n in run.data and pd.api.types.is_numeric_dtype(run.data[n])]
    return f"as numbers, without grouping: {', '.join(numbers)}" if numbers else ""


def methods(run: Run) -> str:
    """The models and how they were fitted; the full paragraph is a section of the report."""
    found = [method_of(run.results[a.name]) for a in run.study.analyses if a.name in run.results]
    named = dict.fromkeys(f"{m.name}{f', {m.estimation}' if m.estimation else ''}" for m in found)
    return f"{'; '.join(named)}; in full in the section Statistical methods"


def interactions(run: Run) -> str:
    """The models with products."""
    having = [
        f for a in _done(run) if any(sign in (f := _formula(run.results[a.name])).partition("~")[2] for sign in "*:")
    ]
    return f"interactions in: {'; '.join(dict.fromkeys(having))}" if having else "no model has an interaction"


def missing(run: Run) -> str:
    """What was done about missing values."""
    return " ".join(missing_sentences(run))


def sensitivity(run: Run) -> str:
    """Frames on unmeasured confounding, and mediation analyses, which have their own."""
    told = [run.label(name) for name in run.derived if name.rpartition("/")[2] in ("unmeasured", "sensitivity")]
    told += ["correlated errors of mediator and outcome"] if _mediated(run) else []
    return "; ".join(dict.fromkeys(told))


def numbers(run: Run) -> str:
    """Patients in the data, by arm where there are arms, and rows in every analysis."""
    by = ""
    if run.arms and run.key is not None and set(run.arms) <= {*run.data}:
        once = run.data.drop_duplicates(run.key)
        counts = once.groupby(run.arms, observed=True).size()
        labels = [", ".join(map(str, i)) if isinstance(i, tuple) else str(i) for i in counts.index]
        by = f" ({', '.join(f'{label} {n}' for label, n in zip(labels, counts, strict=True))})"
    return f"{run.patients} patients in the data ({run.evidence}){by}; {analysed(run)}"


def analysed(run: Run) -> str:
    """Rows of every analysis."""
    sizes: dict[int, list[str]] = {}
    for analysis in _done(run):
        sizes.setdefault(int(run.results[analysis.name].statistics["n_obs"].iloc[0]), []).append(
            run.label(analysis.name)
        )
    told = [
        f"{n} rows in {'; '.join(names) if len(names) <= 3 else f'{len(names)} analyses'}" for n, names in sizes.items()
    ]
    return "analysed: " + "; ".join(told) if told else "no rows of data were analysed"


def characteristics(run: Run) -> str:
    """Where the table of the variables is."""
    names = ", ".join(run.study.outcomes)
    return f"table in the section Participants: {names}; further characteristics are for the authors" if names else ""


def missing_values(run: Run) -> str:
    """Missing values by variable."""
    lost = {n: int(run.data[n].isna().sum()) for n in (v.name for v in run.study.variables) if n in run.data}
    told = [f"{name} {n}" for name, n in lost.items() if n]
    return f"of {len(run.data)} rows: {', '.join(told)}" if told else f"none in {len(run.data)} rows"


def estimates(run: Run) -> str:
    """Estimates of the primary analyses with their intervals."""
    parts = []
    for analysis in _done(run, "primary", printed=True):
        told = list(_numbers(run.results[analysis.name]))
        more = f" and {len(told) - MOST} more" if len(told) > MOST else ""
        parts += [f"{run.label(analysis.name)}: {'; '.join(told[:MOST])}{more}"] if told else []
    return ". ".join(parts) + (f". Evidence: {run.evidence}" if parts else "")


def secondary(run: Run) -> str:
    """The secondary analyses by name."""
    names = [run.label(a.name) for a in _done(run, "secondary", printed=True)]
    return f"{'; '.join(names)}; which were planned is for the authors" if names else ""


def cautions(run: Run) -> str:
    """The cautions of the report."""
    return " ".join(run.study.cautions)


def sharing(run: Run) -> str:
    """Code and the hash of the data."""
    return (
        f"statistical code: the study '{run.study.key}' of alliance_stats; SHA-256 of the data {run.data_hash}; where data can "
        "be had is for the authors"
    )


def _numbers(result: Result) -> Iterator[str]:
    rows = result.tidy()
    rows = rows[rows["component"].isin(SHOWN) & ~rows["term"].str.endswith("Intercept")]
    if rows["component"].eq("effect").any():
        rows = rows[rows["component"] == "effect"]
    if is_mediation(result):
        rows = rows[primary(rows)]
    limited = rows["conf_low"].notna()
    told = with_intervals(rows[limited])
    for term, at, number in zip(rows.loc[limited, "term"], rows.loc[limited, "at"], told, strict=True):
        yield f"{readable(term)}{f' ({at})' if at else ''} {number}"
    for term, value in zip(rows.loc[~limited, "term"], rows.loc[~limited, "estimate"], strict=True):
        yield f"{readable(term)} {fixed(value)}"


def _each(run: Run, part: Callable[[Estimand], str]) -> str:
    """A part of every estimand, each text once."""
    return "; ".join(dict.fromkeys(part(estimand) for estimand in run.study.estimands.values()))


def _done(run: Run, role: Role | None = None, *, printed: bool = False) -> list[Analysis]:
    """Analyses that were run; those of printed tables only when asked for."""
    return [
        a for a in run.study.analyses
        if a.name in run.results and (role is None or a.role == role) and (printed or a.table is None)
    ]  # fmt: skip


def _mediated(run: Run) -> bool:
    return any(type(result.model) is Mediation for result in run.results.values())


def _formula(result: Result) -> str:
    return str(getattr(result.model, "formula", ""))


def _used(run: Run) -> Iterable[str]:
    """Columns of the data that stand in a model."""
    return dict.fromkeys(str(n) for a in _done(run) for n in run.results[a.name].frame.columns)
