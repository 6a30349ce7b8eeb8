"""Fitted models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.render.numbers import fixed
from alliance_stats.render.scales import outcome_of, scale_of
from alliance_stats.render.sentence import COEFFICIENTS, places
from alliance_stats.render.table import decimals_for
from alliance_stats.result import Result
from alliance_stats.tables.model_fit import FIT, fit_cells, fit_names
from alliance_stats.tables.model_notes import Model, notes
from alliance_stats.tables.model_rows import Line, finite, is_bounded, lines, merged, require_terms
from alliance_stats.tables.save import finished
from alliance_stats.tables.styles import Style, StyleName, style_named, unmarked
from alliance_stats.tables.value import Format, Spanner, Table

Spread = Literal["ci", "se", "none"]
Place = Literal["below", "beside"]
EXACT = 1e-10  # share of an estimate below which its standard error is rounding
FEW = 2  # models up to which the intervals stand beside the estimates


def table(
    *results: Result, to: Format | None = None, style: StyleName = "apa", names: Sequence[str] = (),
    terms: Sequence[str] | None = None, labels: Mapping[str, str] | None = None, spread: Spread = "ci",
    place: Place | None = None, p: bool = False, exponentiate: bool = False, random: bool = True,
    fit: Sequence[str] = FIT, decimals: int | None = None, caveats: bool = True, title: str = "",
    number: int | None = 1,
) -> Any:  # fmt: skip
    """Fitted models in the columns of one table, their terms in its rows.

    Parameters
    ----------
    results : one or more fitted models, of any kinds.
    to : ``"html"``, ``"docx"``, ``"latex"``, ``"typst"``, ``"md"`` or ``"pdf"``; without it the table as a value, which Jupyter
        shows and ``save_table`` writes.
    style : ``"apa"`` (7th edition), ``"jama"`` or ``"ptj"`` (Physical Therapy Journal).
    names : headings of the models, by default ``Model 1: outcome``.
    terms : the coefficients and effects to print, in this order; by default all, of models of mediation the effects and paths.
    labels : names of terms for people, by term.
    spread : what stands with an estimate: its interval (``"ci"``), its standard error (``"se"``) or nothing (``"none"``).
    place : ``"beside"`` the estimate or ``"below"`` it; by default beside for one or two models.
    p : a column of p-values. Stars there are none.
    exponentiate : odds, hazard and rate ratios instead of coefficients, of the models that have them.
    random : the random part and the dispersion, too.
    fit : what of ``glance()`` stands at the bottom, where it applies; numbers of groups and events go with ``"n_obs"``.
    decimals : of estimates; by default two significant digits of the standard error, two decimals at least.
    caveats : the notes of the results, too: rows left out, boundary fits, assumptions.
    title, number : what stands above.

    The notes say what the numbers are: abbreviations, scale, how intervals and degrees of freedom were made, robust standard
    errors, and what was left out.

    Raises AllianceError where there is no result or something else than a result, where a term is in no model, and for
    ``exponentiate=True`` with standard errors, which belong to the coefficients.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [7.0, 6, 5, 6, 3, 2], "alliance": [10.0, 14, 18, 20, 24, 30]})
    >>> made = table(LinearModel("pain ~ alliance").fit(data), fit=("n_obs", "r2_marginal"))
    >>> made.body.iloc[1:].to_numpy().tolist()
    [['Alliance', '−0.255', '[−0.388, −0.122]'], ['n', '6', ''], ['R²', '.88', '']]
    """
    house = style_named(style)
    labels = dict(labels or {})
    models = _models(results, names, house, terms, labels, exponentiate, random)
    _check(results, terms, labels, spread, place, exponentiate)
    below = place == "below" or (place is None and len(models) > FEW)
    rows = merged([model.lines for model in models], terms)
    kinds = _kinds(spread, below, p)
    found = fit_names([model.result for model in models], fit)
    cells = [_row(line, models, kinds, house, decimals) for line in rows]
    cells += fit_cells([model.result for model in models], found, house, len(kinds))
    sections = [_section(line.section, models) for line in rows] + ["Fit"] * len(found)
    columns = ["", *(f"{m.name} | {kind}" for m in models for kind in kinds)]
    one = len(models) == 1
    made = Table(
        pd.DataFrame(cells, columns=pd.Index(columns), dtype=object),
        ("", *(_heading(m, kind, house, spread) for m in models for kind in kinds)),
        () if one and not names else tuple(_spanners(models, len(kinds))),
        tuple(sections) if len(set(sections)) > 1 else (),
        notes(models, house, spread=spread, fit=found, terms=terms, caveats=caveats),
        unmarked(title) or _title(models), number, style,
    )  # fmt: skip
    return finished(made, to)


def _models(
    results: Sequence[Result], names: Sequence[str], style: Style, terms: Sequence[str] | None, labels: Mapping[str, str],
    exponentiate: bool, random: bool,
) -> list[Model]:  # fmt: skip
    if not results or not all(isinstance(result, Result) for result in results):
        kinds = ", ".join(type(result).__name__ for result in results) or "nothing"
        raise AllianceError(f"table: give fitted models, as .fit(data) returns them; found {kinds}")
    if names and (isinstance(names, str) or len(names) != len(results) or len(set(names)) != len(names)):
        raise AllianceError(f"table: {len(results)} models need as many different names; found {names!r}")
    found = []
    for i, result in enumerate(results):
        scale, outcome = scale_of(result.model, result.state), outcome_of(result.model)
        name = unmarked(names[i]) if names else f"Model {i + 1}"
        heading = f"{name}: {outcome}" if outcome and not names else name
        shown = tuple(lines(result, style, terms, labels, random))
        found.append(Model(heading, name, result, scale, exponentiate and bool(scale.ratio), shown))
    return found


def _check(
    results: Sequence[Result], terms: Sequence[str] | None, labels: Mapping[str, str], spread: str, place: str | None,
    exponentiate: bool,
) -> None:  # fmt: skip
    if isinstance(terms, str):
        raise AllianceError(f"table: terms is {terms!r}; give a list of terms")
    require_terms(results, terms, labels)
    if spread not in get_args(Spread) or place not in (None, *get_args(Place)):
        raise AllianceError(
            f"table: spread is {spread!r}, place {place!r}; use 'ci', 'se' or 'none', and 'beside' or 'below'"
        )
    if exponentiate and spread == "se":
        raise AllianceError("table: a standard error belongs to the coefficient, not to its ratio; use spread='ci'")


def _kinds(spread: str, below: bool, p: bool) -> list[str]:
    apart = [spread] if spread != "none" and not below else []
    return [f"with {spread}" if below and spread != "none" else "estimate", *apart, *(["p"] if p else [])]


def _heading(model: Model, kind: str, style: Style, spread: str) -> str:
    if kind == "p":
        return style.symbol("p")
    interval = f"{100 * model.result.model.level:g}% CI" if spread == "ci" else style.symbol("SE")
    quantity = style.symbol(model.quantity) if model.quantity else "Estimate"
    if kind in ("ci", "se"):
        return interval
    opened, closed = style.brackets if spread == "ci" else ("(", ")")
    return f"{quantity}\n{opened}{interval}{closed}" if kind.startswith("with") else quantity


def _spanners(models: Sequence[Model], width: int) -> list[Spanner]:
    return [Spanner(model.heading, 1 + i * width, (i + 1) * width) for i, model in enumerate(models)]


def _section(name: str, models: Sequence[Model]) -> str:
    mixed = any((model.result.estimates["component"] == "random").any() for model in models)
    return "Fixed part" if name == "Coefficients" and mixed else name


def _title(models: Sequence[Model]) -> str:
    outcomes = list(dict.fromkeys(outcome_of(model.result.model) for model in models))
    what = f" of {outcomes[0]}" if len(outcomes) == 1 and outcomes[0] else ""
    return f"Estimates{what} from {len(models)} models" if len(models) > 1 else f"Estimates{what}"


def _row(line: Line, models: Sequence[Model], kinds: Sequence[str], style: Style, decimals: int | None) -> list[str]:
    rows = [next((found.row for found in model.lines if found.key == line.key), None) for model in models]
    scaled = [None if row is None else _scaled(row, model) for row, model in zip(rows, models, strict=True)]
    digits = decimals if decimals is not None else _decimals([values for values in scaled if values is not None])
    cells = [line.label]
    for row, values in zip(rows, scaled, strict=True):
        cells += [""] * len(kinds) if row is None or values is None else _cells(row, values, kinds, style, digits)
    return cells


def _scaled(row: Any, model: Model) -> np.ndarray:
    """Estimate, limits and standard error on the scale that is printed."""
    values = np.array([row.estimate, row.conf_low, row.conf_high, row.std_error], dtype=float)
    if not model.as_ratio or row.component not in COEFFICIENTS:
        return values
    with np.errstate(over="ignore"):
        ratio = np.exp(values)
    return np.array([*ratio[:3], ratio[0] * values[3]])


def _decimals(rows: Sequence[np.ndarray]) -> int | None:
    """As many as the most precise estimate of the row bears, four at most; None where none has a standard error to speak of."""
    errors = [float(error) for estimate, _, _, error in rows if error > EXACT * abs(estimate)]
    found = [d for error in errors if (d := decimals_for(error)) is not None]
    return min(max(found), 4) if found else None


def _cells(row: Any, values: np.ndarray, kinds: Sequence[str], style: Style, digits: int | None) -> list[str]:
    def text(value: float) -> str:
        if is_bounded(row):
            return style.bounded(value)
        return places(value) if digits is None or not np.isfinite(value) else fixed(value, digits)

    estimate, low, high, error = (float(value) for value in values)
    shown = {"estimate": text(estimate), "p": style.p_text(row.p_value), "ci": "", "se": ""}
    shown |= {"with ci": shown["estimate"], "with se": shown["estimate"]}
    if finite(low) or finite(high):
        shown["ci"] = style.interval(text(low), text(high), alone=True)
        shown["with ci"] += f"\n{style.interval(text(low), text(high))}"
    if finite(error):
        shown["se"] = text(error)
        shown["with se"] += f"\n({text(error)})"
    return [shown[kind] for kind in kinds]
