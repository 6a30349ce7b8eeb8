"""The declaration of a study: what is asked, of which data, by which analyses, and which numbers were printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError
from alliance_stats.result import Model, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.study.run import Run
    from alliance_stats.synthetic.trial import Trial

Role = Literal["primary", "secondary"]
Kind = Literal["value", "size", "direction", "significant", "not significant", "not recoverable", "truth"]
Guideline = Literal["consort", "strobe"]
Evidence = Literal["original data", "summary statistics", "simulated"]
Derived = Callable[[Result], pd.DataFrame]
Remarks = Callable[[Result], tuple[str, ...]]


@dataclass(frozen=True)
class Estimand:
    """What is to be estimated, in the attributes of ICH E9(R1), and what a causal reading would need.

    ``population`` the patients; ``contrast`` the comparison or association; ``outcome`` the variable; ``time`` when it is
    measured; ``intercurrent`` how events after the start are handled; ``summary`` the measure; ``causal`` what licenses,
    or forbids, a causal reading.
    """

    population: str
    contrast: str
    outcome: str
    time: str
    intercurrent: str
    summary: str
    causal: str


@dataclass(frozen=True)
class Analysis:
    """One model with its estimand.

    ``derived`` names frames made from the result, e.g. ``{"arms": partial(contrast, by="arm")}``. ``table`` names a table of
    printed numbers that is analysed in place of the trial data. ``prepare`` are steps of this analysis alone, such as
    ``Long`` for repeated measures. ``needs`` are optional columns and ``groups`` grouping columns with the least number of
    groups, e.g. ``{"therapist": 3}``: rows without a group are left out and counted. Without them ``instead`` is fitted or,
    where there is none, the analysis is left out; ``otherwise`` says what that means. ``when`` restricts it to choices of the
    study's options. ``remarks`` makes sentences from the result, which join its notes.
    """

    name: str
    model: Model
    estimand: str
    role: Role = "primary"
    derived: Mapping[str, Derived] = field(default_factory=dict)
    table: str | None = None
    needs: tuple[str, ...] = ()
    otherwise: str = ""
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prepare: tuple[Step, ...] = ()
    groups: Mapping[str, int] = field(default_factory=dict)
    instead: Model | None = None
    remarks: Remarks | None = None


@dataclass(frozen=True)
class Target:
    """One printed number and where it was read.

    ``analysis`` is an analysis (``pain``) or a derived frame (``pain/effects``), ``term`` a row of it, ``column`` a column of
    the glossary. ``kind``: a ``value`` with its interval, a ``size`` (a count or share, whose sign says nothing), a
    ``direction`` (the sign of ``printed``), ``significant`` or ``not significant`` at 5 %, ``not recoverable`` with the
    reason in ``note``, or a ``truth``: printed nowhere, known in simulated data alone and compared there alone.
    """

    analysis: str
    term: str
    column: str
    printed: float | None
    decimals: int
    kind: Kind
    source: str
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Option:
    """A fact about a data set that the file does not show; each choice comes with the sentence it puts into the report."""

    name: str
    meaning: str
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Figure:
    """A figure of a run: ``draw(run, ax, points)`` draws it; ``alt`` says what is seen; ``size`` is width and height in mm.

    Without a size the drawing makes its own axes. ``points`` says whether single patients may be shown as points.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[Run, Axes | None, bool], Axes]
    size: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """A published design, declared once: the same declaration checks data, analyses them and writes the report.

    ``variables`` check the data and make the codebook; ``prepare`` are steps before the analyses; ``waves`` name the columns
    that a patient must have to be counted at a wave; ``arm`` names the columns of the treatment, ``()`` where there is one
    group; ``side_by_side`` are terms shown from every source; ``labels`` give analyses and derived frames their names in print;
    ``cautions`` stand on every report. ``guideline`` is that of its checklist: ``"consort"`` where patients or clusters were
    randomised to what is compared, else ``"strobe"``. ``registration`` is what was declared before the data came, as
    ``registered`` reads it; the report lists every difference from it.

    ``run()`` reruns it on its synthetic stand-in, ``run("mine.csv", rename={"id": "patient"})`` on anyone's data.
    """

    key: str
    title: str
    citation: str
    doi: str
    question: str
    design: str
    variables: tuple[Variable, ...]
    analyses: tuple[Analysis, ...]
    estimands: Mapping[str, Estimand]
    simulate: Callable[..., Trial]
    prepare: tuple[Step, ...] = ()
    targets: tuple[Target, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    waves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arm: str | tuple[str, ...] = "arm"
    start: str = "Randomised"
    outcomes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    audits: Mapping[str, Callable[[], pd.DataFrame]] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    side_by_side: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    guideline: Guideline = "strobe"
    registration: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        names = [analysis.name for analysis in self.analyses]
        if len(set(names)) < len(names):
            raise AllianceError(f"study '{self.key}': two analyses share a name; names: {', '.join(names)}")
        for analysis in self.analyses:
            if analysis.estimand not in self.estimands:
                raise AllianceError(f"study '{self.key}': analysis '{analysis.name}' names no declared estimand")
            if analysis.table is not None and analysis.table not in self.tables:
                raise AllianceError(f"study '{self.key}': analysis '{analysis.name}' names no table '{analysis.table}'")

    def run(
        self,
        data: Any = None,
        *,
        rename: Mapping[str, str] | None = None,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        encoding: str | None = None,
        decimal: str | None = None,
        progress: bool = True,
        **options: str,
    ) -> Run:
        """Rerun the study on a file or frame; without one, on its synthetic stand-in.

        Parameters
        ----------
        data : path of a file or a DataFrame, one row a patient (or a session, as declared); neither is changed.
        rename : the data's column names → the study's, e.g. ``{"id": "patient"}``.
        ranges : ranges that replace the declared ones, e.g. ``{"alliance": (16, 112)}`` for another form of the scale.
        encoding, decimal : how to read a text file, see ``read_table``.
        progress : whether long work shows a bar.
        options : the study's options, e.g. ``therapists="crossed"``; required with data of one's own.

        Raises DataError listing everything that is wrong with the data at once.
        """
        from alliance_stats.study.run import run_study

        reading = {"rename": rename, "encoding": encoding, "decimal": decimal}
        return run_study(self, data, reading=reading, ranges=ranges or {}, options=options, progress=progress)

    @property
    def reference(self) -> str:
        """The citation, with the DOI where there is one."""
        return f"{self.citation} · doi:{self.doi}" if self.doi else self.citation

    def __repr__(self) -> str:
        return f"Study {self.key}: {self.title}\n{self.citation}\n{self.question}"
