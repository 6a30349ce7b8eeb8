"""Running a study: data in, results, comparison and report out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.codebook import data_hash
from alliance_stats.data.describe import describe
from alliance_stats.data.flow import flow_frame
from alliance_stats.data.reading import read_table
from alliance_stats.data.schema import check
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.render.labels import readable
from alliance_stats.result import TIDY, Result
from alliance_stats.study.analyse import analyse
from alliance_stats.study.compare import comparison
from alliance_stats.study.declare import Analysis, Evidence, Study
from alliance_stats.study.methods import run_methods
from alliance_stats.study.stand_in import known_truth


@dataclass(frozen=True, eq=False)
class Run:
    """One rerun of a study.

    ``results`` by analysis, ``derived`` frames by ``analysis/name``, ``skipped`` analyses with the reason, ``evidence`` the
    level of the data, ``truth`` what is true in simulated data (else None), ``data`` the frame that was analysed.
    """

    study: Study
    data: pd.DataFrame
    evidence: Evidence
    source: str
    data_hash: str
    options: Mapping[str, str]
    results: Mapping[str, Result]
    derived: Mapping[str, pd.DataFrame]
    skipped: Mapping[str, str]
    truth: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def comparison(self) -> pd.DataFrame:
        """Published beside rerun, one row a target, with a verdict and the level of evidence it rests on."""
        return comparison(self)

    def evidence_of(self, analysis: Analysis) -> Evidence:
        """The level of evidence of one analysis: printed tables are summary statistics whatever the data are."""
        return "summary statistics" if analysis.table is not None else self.evidence

    def across(self, term: str) -> pd.DataFrame:
        """One effect from every analysis that has it, side by side, with the level of evidence."""
        rows = []
        for analysis in self.study.analyses:
            for name, frame in self.frames_of(analysis).items():
                found = frame[frame["term"] == term] if "term" in frame else frame.iloc[:0]
                found = found.dropna(subset=["std_error", "conf_low"]) if {*TIDY} <= {*found} else found.iloc[:0]
                if len(found):
                    kept = found[[c for c in TIDY if c in found and not (found[c].astype(str) == "").all()]]
                    rows.append(kept.assign(analysis=name, evidence=self.evidence_of(analysis)))
        if not rows:
            raise AllianceError(f"no analysis of '{self.study.key}' has a term {term!r}")
        frame = pd.concat(rows, ignore_index=True)
        return frame[["analysis", "evidence", *[c for c in frame if c not in ("analysis", "evidence", "term")]]]

    def frames_of(self, analysis: Analysis) -> dict[str, pd.DataFrame]:
        """The tidy frame of an analysis and the frames derived from it, by name."""
        if analysis.name not in self.results:
            return {}
        derived = {k: v for k, v in self.derived.items() if k.startswith(f"{analysis.name}/")}
        return {analysis.name: self.results[analysis.name].tidy(), **derived}

    @property
    def arms(self) -> list[str]:
        """The columns of the treatment, none where there is one group."""
        return [self.study.arm] if isinstance(self.study.arm, str) else list(self.study.arm)

    @property
    def patients(self) -> int:
        """Number of patients, whether a row is a patient or a session."""
        key = self.key
        return len(self.data) if key is None else int(self.data[key].nunique())

    @property
    def key(self) -> str | None:
        """The column that names the patient: the first key of the study."""
        return next((v.name for v in self.study.variables if v.key and v.name in self.data), None)

    def flow(self) -> pd.DataFrame:
        """Participants by arm and wave, as a frame for the flow diagram; of data with one row a patient and arms."""
        if not self.arms or self.patients < len(self.data):
            raise AllianceError(
                f"flow: '{self.study.key}' has no arms, or more than one row a patient; there is no flow"
            )
        arm = self.data[self.arms].astype(str).agg(", ".join, axis=1)
        return flow_frame(self.data.assign(arm=arm), "arm", self.study.waves, start=self.study.start)

    def describe(self) -> pd.DataFrame:
        """Mean, SD, skew and share at the scale's maximum of the outcomes, by arm.

        Where a row is a session, variables that hold one value a patient are described with one row a patient.
        """
        limits = {n: m for n in self.study.outcomes if np.isfinite(m := self.maximum(n))}
        once, often = self._by_patient()
        frames = [
            describe(frame, self.arms, list(columns), {n: limits[n] for n in columns if n in limits})
            for frame, columns in (once, often)
            if columns
        ]
        found = pd.concat(frames, ignore_index=True)
        place = {name: i for i, name in enumerate(self.study.outcomes)}
        return found.sort_values("variable", key=lambda names: names.map(place), kind="stable", ignore_index=True)

    def _by_patient(self) -> tuple[tuple[pd.DataFrame, tuple[str, ...]], tuple[pd.DataFrame, tuple[str, ...]]]:
        """The outcomes that hold one value a patient, on one row a patient; the others, on all rows."""
        outcomes = self.study.outcomes
        if self.key is None or self.patients == len(self.data):
            return (self.data, outcomes), (self.data, ())
        groups = self.data.groupby(self.key, sort=False, observed=True)
        constant = tuple(name for name in outcomes if (groups[name].nunique() <= 1).all())
        return (groups.first().reset_index(), constant), (
            self.data,
            tuple(name for name in outcomes if name not in constant),
        )

    def maximum(self, name: str) -> float:
        """The end of a variable's scale, missing where none is declared."""
        ranges = {v.name: v.range for v in self.study.variables}
        limits = ranges.get(name)
        return np.nan if limits is None else float(limits[1])

    def label(self, name: str) -> str:
        """The name in print of an analysis, a derived frame, a variable or a term."""
        meanings = {variable.name: variable.meaning for variable in self.study.variables}
        return self.study.labels.get(name) or meanings.get(name) or readable(name)

    def methods_text(self) -> str:
        """The statistical methods as paragraphs for a paper: estimands, models, tests, missing data, multiplicity, software."""
        return "\n\n".join(run_methods(self))

    def report(self, path: str | Path, *, patients: bool = False) -> Path:
        """Write the report; the suffix decides on the format (.html).

        Single patients appear as points in the figures only for simulated data, or when asked for with ``patients=True``.
        """
        from alliance_stats.report import write_report

        return write_report(self, Path(path), patients=patients)

    def __repr__(self) -> str:
        done = ", ".join(self.results)
        left = "".join(f"\nNot run: {name}: {reason}" for name, reason in self.skipped.items())
        return (
            f"Run of {self.study.key} on {self.source} ({self.evidence}), {len(self.data)} rows\nAnalyses: {done}{left}"
        )


def run_study(
    study: Study,
    data: Any,
    *,
    reading: Mapping[str, Any],
    ranges: Mapping[str, tuple[float, float]],
    options: Mapping[str, str],
    progress: bool = True,
) -> Run:
    """What ``Study.run`` does."""
    truth: pd.DataFrame | None
    if data is None:
        trial = study.simulate()
        frame, truth, source = trial.data, trial.truth, f"the synthetic stand-in (seed {trial.seed})"
        options = {option.name: next(iter(option.choices)) for option in study.options} | dict(options)
    else:
        frame, source = _read(data, reading)
        truth = known_truth(study, data, frame)
    _check_options(study, options)
    declared = tuple(replace(v, range=ranges[v.name]) if v.name in ranges else v for v in study.variables)
    checked = check(frame, declared)
    prepared = checked
    for step in study.prepare:
        prepared = step(prepared)
    made = analyse(study, prepared, options, progress=progress)
    return Run(
        replace(study, variables=declared),
        prepared,
        "original data" if truth is None else "simulated",
        source,
        data_hash(checked[[v.name for v in declared if v.name in checked]]),
        options,
        made.results,
        made.derived,
        made.skipped,
        truth,
        tuple(frame.attrs.get("notes", ())),
    )


def _read(data: Any, reading: Mapping[str, Any]) -> tuple[pd.DataFrame, str]:
    if isinstance(data, pd.DataFrame):
        rename = dict(reading["rename"] or {})
        absent = [name for name in rename if name not in data]
        if absent:
            raise DataError(f"rename: the data have no column '{absent[0]}'; columns: {', '.join(map(str, data))}")
        return data.rename(columns=rename), "a data frame"
    return read_table(data, **reading), f"the file {Path(data).name}"


def _check_options(study: Study, options: Mapping[str, str]) -> None:
    known = {option.name: option for option in study.options}
    for name in options:
        if name not in known:
            raise AllianceError(f"study '{study.key}' has no option '{name}'; options: {', '.join(known) or 'none'}")
    for name, option in known.items():
        if options.get(name) not in option.choices:
            choices = "; ".join(f"{name}='{key}': {text}" for key, text in option.choices.items())
            found = f"is {options[name]!r}" if name in options else "is needed"
            raise AllianceError(f"option '{name}' {found} ({option.meaning}). Choose one of {choices}")
