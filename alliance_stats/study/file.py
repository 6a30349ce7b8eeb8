"""A study declared in a file: TOML and a data dictionary, which name models, steps and functions but cannot run code."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance_stats.data.dictionary import read_dictionary
from alliance_stats.design.reshape import Long, PerPatient
from alliance_stats.design.steps import Centre, Change, Detrend, Lag, Lead
from alliance_stats.errors import AllianceError, DataError, suggestion
from alliance_stats.inference.contrasts import anova, contrast, marginal_means
from alliance_stats.inference.displays import contextual_effect
from alliance_stats.inference.groups import icc
from alliance_stats.inference.marginal_effects import average_marginal_effects
from alliance_stats.inference.slopes import simple_slopes
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_curves import hazard_ratios
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.render import figures
from alliance_stats.study.declare import Analysis, Estimand, Figure, Study
from alliance_stats.study.registration import REGISTRATION, registered
from alliance_stats.synthetic.dummy import dummy_trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alliance_stats.study.run import Run

MODELS = {model.__name__: model for model in (
    LinearModel, MixedModel, GeneralizedMixedModel, BetaModel, FractionalModel, GEE, OrdinalModel, CoxModel,
    DiscreteTimeModel, CompetingRisksModel, Mediation, MultilevelMediation,
)}  # fmt: skip
STEPS = {step.__name__: step for step in (Centre, Lag, Lead, Change, Detrend, Long, PerPatient)}
FUNCTIONS: dict[str, Callable[..., Any]] = {f.__name__: f for f in (
    anova, average_marginal_effects, contextual_effect, contrast, hazard_ratios, icc, marginal_means, simple_slopes,
)}  # fmt: skip
TEXTS = ("title", "citation", "doi", "question", "design", "start", "guideline")
LISTS = ("arm", "outcomes", "cautions", "side_by_side")
KNOWN = (*TEXTS, *LISTS, "key", "dictionary", "labels", "waves", "estimands", "prepare", "analyses")
DERIVED_SIZE = (174.0, 90.0)  # mm


def read_study(path: str | os.PathLike[str]) -> Study:
    """A study from a TOML file and the data dictionary that it names.

    The file holds the texts ``title question design citation doi``, ``dictionary`` (a csv or xlsx file beside it), the
    lists ``arm outcomes cautions``, and tables: ``[estimands.NAME]`` with the attributes of `Estimand`; ``[[prepare]]``
    with ``step`` and its arguments; ``[[analyses]]`` with ``name estimand model formula``, the other arguments of the
    model, and ``label role prepare needs groups otherwise derived`` as in `Analysis`. ``derived`` names functions of the
    result: ``[analyses.derived.slopes]`` with ``function = "simple_slopes"`` and its arguments. Names of models, steps and
    functions come from closed lists, so that a file cannot run code.

    Without data of its own the study runs on dummy data (see ``study.simulate``). Each primary analysis gets a forest plot. A
    ``registration.json`` beside the file is read too, so that the report lists the differences from it.

    Raises DataError (dictionary) or AllianceError, naming the entry, what was found and what to write.
    """
    file = Path(path)
    declared = _parsed(file)
    variables = read_dictionary(file.parent / _text(declared, "dictionary", file.name))
    analyses = tuple(_analysis(entry, number) for number, entry in enumerate(declared.get("analyses", ()), start=1))
    if not analyses:
        raise AllianceError(
            f"{file.name}: no [[analyses]]; declare at least one with name, estimand, model and formula"
        )
    named, registration = declared.get("estimands", {}), file.with_name(REGISTRATION)
    given: dict[str, Any] = {
        **{name: _text(declared, name, file.name) for name in ("title", "question", "design")},
        **{name: declared.get(name, "") for name in ("citation", "doi")},
        **{name: declared[name] for name in ("start", "guideline") if name in declared},
        **{name: tuple(_listed(declared[name])) for name in LISTS if name in declared},
        "key": declared.get("key", file.parent.resolve().name),
        "estimands": {name: _made(Estimand, entry, f"estimand '{name}'") for name, entry in named.items()},
        "waves": {name: tuple(columns) for name, columns in declared.get("waves", {}).items()},
        "labels": declared.get("labels", {}) | {e["name"]: e["label"] for e in declared["analyses"] if "label" in e},
    }
    return Study(
        variables=variables,
        analyses=analyses,
        simulate=partial(dummy_trial, variables, constant=_constant(analyses)),
        prepare=_steps(declared.get("prepare", ()), "prepare"),
        registration=registered(registration) if registration.is_file() else None,
        figures=tuple(_forest(a) for a in analyses if a.role == "primary"),
        **given,
    )


def _parsed(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataError(f"{file}: no such file; give the path of a study file, such as study.toml")
    try:
        declared = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise AllianceError(f"{file.name} is not a TOML file in UTF-8: {problem}") from None
    _known(declared, KNOWN, file.name)
    return declared


def _known(entry: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    names = list(known)
    for name in entry:
        if name not in names:
            raise AllianceError(
                f"{where}: unknown entry '{name}'{suggestion(name, names)}; known are {', '.join(names)}"
            )


def _text(declared: Mapping[str, Any], name: str, where: str) -> str:
    if not isinstance(declared.get(name), str) or not declared[name].strip():
        raise AllianceError(f'{where}: {name} is missing; write {name} = "…"')
    return str(declared[name])


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _made(kind: type, entry: Mapping[str, Any], where: str) -> Any:
    """A dataclass from an entry of the file; lists become tuples."""
    names = [f.name for f in fields(kind) if f.init and f.compare]
    _known(entry, names, where)
    try:
        return kind(**{name: _frozen(value) for name, value in entry.items()})
    except TypeError as problem:
        raise AllianceError(f"{where}: {str(problem).partition('() ')[2] or problem}") from None


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _steps(entries: Iterable[Mapping[str, Any]], where: str) -> tuple[Any, ...]:
    return tuple(
        _made(
            _chosen(STEPS, entry, "step", where),
            {k: v for k, v in entry.items() if k != "step"},
            f"{where}, {entry['step']}",
        )
        for entry in entries
    )


def _chosen(table: Mapping[str, Any], entry: Mapping[str, Any], name: str, where: str) -> Any:
    given = entry.get(name)
    if not isinstance(given, str) or given not in table:
        found = "missing" if given is None else f"{given!r}"
        raise AllianceError(
            f"{where}: {name} is {found}{suggestion(str(given), table)}; write one of {', '.join(table)}"
        )
    return table[given]


def _analysis(entry: Mapping[str, Any], number: int) -> Analysis:
    where = f"analysis {number}" + (f" '{entry['name']}'" if "name" in entry else "")
    for name in ("name", "estimand"):
        _text(entry, name, where)
    own = ("name", "estimand", "role", "needs", "groups", "otherwise")
    model = _chosen(MODELS, entry, "model", where)
    rest = {k: v for k, v in entry.items() if k not in (*own, "model", "label", "derived", "prepare")}
    if entry.get("role", "primary") not in ("primary", "secondary"):
        raise AllianceError(f"{where}: role is {entry['role']!r}; write primary or secondary")
    return Analysis(
        **{name: _frozen(entry[name]) for name in own if name in entry},
        model=_made(model, rest, f"{where}, {model.__name__}"),
        prepare=_steps(entry.get("prepare", ()), where),
        derived={name: _derived(made, f"{where}, derived '{name}'") for name, made in entry.get("derived", {}).items()},
    )


def _derived(entry: Mapping[str, Any], where: str) -> Callable[..., Any]:
    function = _chosen(FUNCTIONS, entry, "function", where)
    arguments = {name: _frozen(value) for name, value in entry.items() if name != "function"}
    _known(arguments, list(signature(function).parameters)[1:], f"{where}, {function.__name__}")
    return partial(function, **arguments)


def _constant(analyses: Iterable[Analysis]) -> frozenset[str]:
    """Columns that an analysis wants to hold one value a patient."""
    return frozenset(name for a in analyses for step in a.prepare if isinstance(step, PerPatient) for name in step.keep)


def _forest(analysis: Analysis) -> Figure:
    return Figure(
        f"{analysis.name}-forest", f"Estimates with 95 % intervals of the analysis “{analysis.name}”.",
        f"Forest plot of the estimates of {analysis.name}", partial(_draw_forest, analysis.name), size=DERIVED_SIZE,
    )  # fmt: skip


def _draw_forest(name: str, run: Run, ax: Axes | None, points: bool) -> Axes:
    return figures.forest(run.results[name].tidy(), ax=ax)
