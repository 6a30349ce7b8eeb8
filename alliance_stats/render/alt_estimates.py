"""What figures of estimates say: forest plots, caterpillars, path diagrams and means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.render.alt_words import SPOKEN, counted, excluding, interval, layers, listed, xlabel, ylabel
from alliance_stats.render.caterpillar_rows import caterpillar_rows, chosen_rows, interval_name
from alliance_stats.render.described import Described, Given
from alliance_stats.render.forest import forest_rows
from alliance_stats.render.mediation import effect_rows
from alliance_stats.render.numbers import number
from alliance_stats.render.path_texts import effects_shown, names_of, path_rows
from alliance_stats.render.style import levels, name_of, records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tell_forest(ax: Axes, given: Given) -> Described:
    """Every estimate with its interval; of many the lowest and the highest."""
    return _forest(ax, forest_rows(given["estimates"], labels=given["labels"], exclude=given["exclude"]), given)


def tell_effects(ax: Axes, given: Given) -> Described:
    """The effects of a mediation, as ``tell_forest`` does."""
    rows, names = effect_rows(given["estimates"], given["kind"], given["labels"])
    return _forest(ax, forest_rows(rows, labels=names), given)


def _forest(ax: Axes, rows: pd.DataFrame, given: Given) -> Described:
    said = [f"{row['label']}: {row['numbers']}" for row in records(rows)]
    if len(said) > SPOKEN:
        known = rows.dropna(subset=["estimate"]).sort_values("estimate", kind="stable")
        ends = [f"{row['label']}: {row['numbers']}" for row in records(known.iloc[[0, -1]])]
        said = [f"lowest, {ends[0]}", f"highest, {ends[1]}"]
    each = "its interval" if len(rows) == 1 else "their intervals"
    start = f"Forest plot of {counted(len(rows), 'estimate')} of {xlabel(ax)} with {each}. "
    return Described(start + "; ".join(said) + "." + excluding(rows, given["reference"]), rows)


def tell_caterpillar(ax: Axes, given: Given) -> Described:
    """Number of groups, lowest and highest."""
    rows = caterpillar_rows(given["effects"], group=given["group"], term=given["term"], sort_by=given["sort_by"])
    return _caterpillar(rows, given["effects"])


def tell_caterpillars(ax: Axes, given: Given) -> Described:
    """As ``tell_caterpillar``, for the effect that these axes hold."""
    rows = chosen_rows(given["effects"], "group", given["group"])
    terms = levels(rows["term"])
    term = terms[ax.get_subplotspec().colspan.start]  # type: ignore[union-attr]
    return _caterpillar(caterpillar_rows(rows, term=term, sort_by=given["sort_by"] or terms[0]), rows)


def _caterpillar(rows: pd.DataFrame, effects: pd.DataFrame) -> Described:
    term, group = rows["term"].iloc[0], name_of(rows["group"].iloc[0])
    kind = interval_name(effects[effects["term"] == term])
    ends = records(rows.sort_values("estimate", kind="stable").iloc[[0, -1]])
    low, high = (f"{number(row['estimate'])} ({name_of(row['at'])})" for row in ends)
    start = f"Caterpillar plot of {name_of(term)} by {group}: conditional modes of {counted(len(rows), 'group')} with {kind}s"
    return Described(f"{start}, from {low} to {high}.{excluding(rows, 0)}", rows)


def tell_paths(ax: Axes, given: Given) -> Described:
    """Boxes, every arrow with its coefficient, and the effects."""
    rows = path_rows(given["estimates"])
    labels = given["labels"] or {}
    names = names_of(rows, given["exposure"], labels)
    through = listed([name for box, name in names.items() if box.startswith("m")])
    arrows = [f"{'c′' if row['term'] == 'c_prime' else row['term']} = {row['numbers']}" for row in records(rows)]
    effects = [f"{name}: {numbers}" for name, numbers in effects_shown(given["estimates"], labels)]
    start = f"Path diagram from {names['x']} through {through} to {names['y']}. "
    return Described(start + "; ".join([*arrows, *effects]) + ".", rows)


def tell_means(ax: Axes, given: Given) -> Described:
    """Every mean with its interval."""
    means, raw, factors = given["means"], given["raw"], [n for n in (given["x"], given["by"]) if n]
    shown = means[[*factors, "estimate", "conf_low", "conf_high"]]
    points = None if raw is None or given["y"] is None else raw[[*factors, given["y"]]].dropna()
    said = [f"{', '.join(name_of(row[n]) for n in factors)}: {interval(row)}" for row in records(shown)]
    if len(said) > 2 * SPOKEN:
        ends = records(shown.sort_values("estimate", kind="stable").iloc[[0, -1]])
        said = [f"{', '.join(name_of(row[n]) for n in factors)}: {interval(row)}" for row in ends]
    by = f" and {name_of(given['by'])}" if given["by"] else ""
    start = f"Means of {ylabel(ax)} by {xlabel(ax)}{by}, with intervals. "
    over = "" if points is None else f" Beside them the {counted(len(points), 'observation')}."
    data = shown if points is None else layers(mean=shown, observed=points)
    return Described(start + "; ".join(said) + "." + over, data.reset_index(drop=True))
