"""Courses of single patients over the population's curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.random_terms import group_codes
from alliance_stats.render.style import (
    GREY,
    LOOKS,
    MANY,
    Look,
    canvas,
    checked,
    dress,
    give_height,
    house,
    left_out,
    legend_above,
    levels,
    looks,
    name_of,
    nothing,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MARKS = 6  # markers along a population curve


def trajectories(
    curve: pd.DataFrame, raw: pd.DataFrame | None = None, *, x: str, y: str | None = None,
    patient: str | Sequence[str] = "patient", by: str | None = None, fitted: bool = False, most: int = 60,
    ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """The population's curve with its confidence band, over the courses of single patients.

    Parameters
    ----------
    curve : columns ``x``, ``fitted conf_low conf_high`` and, with it, ``by``: what ``curve(fit, x, by)`` returns.
    raw : rows with the columns x, ``y``, ``patient`` and by: the data, or ``fit.augment()``, the rows of the fit.
    patient : the column that names the patients; several where only together they do, e.g. ("therapist", "case").
    by : factor whose levels have a curve each, told apart by colour, marker and line style.
    fitted : patients' lines are the model's fitted values (the column ``fitted`` of raw), the observed values points.
    most : of more patients so many are drawn, always the same ones (see ``patient_lines``), and the legend says so.
    ax : axes to draw on; without it a new figure of 85 mm.

    The curve is that of the average patient (random effects zero) at one value of the other predictors; patients have
    their own, so in a model with further predictors the two need not lie over each other.
    Raises DataError where columns are absent, raw has groups without a curve, or a patient has two rows at one x.

    >>> curve = pd.DataFrame({"week": [0, 4], "fitted": [6, 4.0], "conf_low": [5, 3.0], "conf_high": [7, 5.0]})
    >>> raw = pd.DataFrame({"patient": list("aabb"), "week": [0, 4, 0, 4], "pain": [5, 3, 7, 6]})
    >>> ax = trajectories(curve, raw, x="week", y="pain", ylabel="Pain (0–10)")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['population curve and confidence band', 'observed, one line a patient (2 patients)']
    """
    groups = _groups(curve, x, by)
    lines = None if raw is None else _lines(raw, groups, x, y, patient, by, most, fitted=fitted)
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        if lines is not None:
            for group, look in groups.items():
                part = lines if by is None else lines[lines[by] == group]
                _courses(ax, part[part["drawn"]], x, str(y), look if by else Look(GREY, "o", "-"), fitted=fitted)
        handles = [
            _curve(ax, (curve if by is None else curve[curve[by] == g]).sort_values(x), x, groups[g]) for g in groups
        ]
        labels = _labels(groups, lines, by)
        if lines is not None and raw is not None:
            more = _patients_entries(lines, raw, [x, str(y), *_names(patient), *([by] if by else [])], fitted=fitted)
            handles, labels = [*handles, *(h for h, _ in more)], [*labels, *(text for _, text in more)]
        dress(ax, name_of(x) if xlabel is None else xlabel, name_of(y or "fitted") if ylabel is None else ylabel)
        ax.margins(x=0.02)
        legend_above(ax, handles, labels)
        if new:
            give_height(ax)
    return ax


def patient_lines(
    raw: pd.DataFrame, *, x: str, y: str, patient: str | Sequence[str] = "patient", by: str | None = None,
    most: int = 60,
) -> pd.DataFrame:  # fmt: skip
    """The complete rows of patients in the order of x: columns ``line`` (patient), by, x, y, ``fitted`` if it is there, and
    ``drawn``.

    Of more than ``most`` patients those drawn are spaced evenly over all in the order of ``by``, mean y and name: arms
    keep their shares, high and low patients too, and neither the order of the rows nor a random number matters.

    >>> raw = pd.DataFrame({"patient": list("abcd"), "week": 0, "pain": [1, 8, 4, 6]})
    >>> lines = patient_lines(raw, x="week", y="pain", most=2)
    >>> lines.loc[lines["drawn"], "line"].tolist()
    ['b', 'c']
    """
    names, factors = _names(patient), [by] if by else []
    if most < 1:
        raise DataError(f"trajectories: most is {most}; give the number of patients to draw, 1 or more")
    checked(raw, "trajectories", needed=[*names, *factors], numeric=[x, y])
    complete = raw.dropna(subset=[*names, *factors, x, y])
    if complete.empty:
        raise DataError(f"trajectories: no row has all of {', '.join([*names, *factors, x, y])}")
    codes, labels = group_codes(complete, tuple(names))
    kept = [*factors, x, y, *(["fitted"] if "fitted" in complete and "fitted" not in (x, y) else [])]
    lines = complete[kept].reset_index(drop=True)
    lines.insert(0, "line", np.array(labels)[codes])
    twice = lines[lines.duplicated(["line", *factors, x])]
    if len(twice):
        raise DataError(
            f"trajectories: patient {twice['line'].iloc[0]} has several rows at {x} = {name_of(twice[x].iloc[0])}; name all "
            'columns that tell patients apart, e.g. patient=("therapist", "case"), or take means first'
        )
    drawn = lines["line"].isin(_sample(lines, y, by, most))
    return lines.assign(drawn=drawn).sort_values(["line", x], ignore_index=True)


def spaced(n: int, most: int) -> np.ndarray[Any, Any]:
    """At most so many of the places 0 … n − 1, evenly spaced.

    >>> spaced(10, 3).tolist(), spaced(2, 3).tolist()
    ([1, 5, 8], [0, 1])
    """
    size = min(n, most)
    return np.floor((np.arange(size) + 0.5) * n / max(size, 1)).astype(int)


def _sample(lines: pd.DataFrame, y: str, by: str | None, most: int) -> list[str]:
    means = lines.groupby("line", sort=True)[y].mean().to_frame("mean").reset_index()
    means["arm"] = 0
    if by is not None:
        places = {level: k for k, level in enumerate(sorted(levels(lines[by]), key=str))}
        own = lines.assign(arm=[places[level] for level in lines[by]]).groupby("line", sort=True)["arm"].min()
        means["arm"] = own.to_numpy()
    ordered = means.sort_values(["arm", "mean", "line"])["line"].tolist()
    return [ordered[k] for k in spaced(len(ordered), most)]


def _groups(curve: pd.DataFrame, x: str, by: str | None) -> dict[Any, Look]:
    keys = [by] if by else []
    checked(curve, "trajectories", needed=keys, numeric=[x, "fitted", "conf_low", "conf_high"])
    if curve.duplicated([*keys, x]).any():
        raise DataError(
            f"trajectories: the curve has several rows at one {x}; name the factor that tells them apart, by="
        )
    return looks(levels(curve[by]), "trajectories") if by else {None: LOOKS[0]}


def _lines(
    raw: pd.DataFrame, groups: dict[Any, Look], x: str, y: str | None, patient: str | Sequence[str], by: str | None,
    most: int, *, fitted: bool,
) -> pd.DataFrame:  # fmt: skip
    if y is None:
        raise DataError("trajectories: raw= needs y=, the name of its column to draw")
    if fitted:
        checked(raw, "trajectories: fitted=True draws the frame of fit.augment()", numeric=["fitted"])
    lines = patient_lines(raw, x=x, y=y, patient=patient, by=by, most=most)
    strange = [level for level in levels(lines[by]) if level not in groups] if by else []
    if strange:
        raise DataError(f"trajectories: column {by!r} of raw has {strange[0]!r}; the curve has {list(groups)}")
    return lines


def _courses(ax: Axes, rows: pd.DataFrame, x: str, y: str, look: Look, *, fitted: bool) -> None:
    from matplotlib.collections import LineCollection

    height = "fitted" if fitted else y
    paths = [part[[x, height]].to_numpy(float) for _, part in rows.groupby("line", sort=True)]
    ax.add_collection(
        LineCollection(paths, colors=look.colour, linewidths=0.5, alpha=0.35, zorder=1, rasterized=len(rows) > MANY)
    )
    ax.scatter(
        rows[x], rows[y], s=5, marker=look.marker, facecolors="none", edgecolors=look.colour, linewidths=0.4, alpha=0.45,
        zorder=1.5, rasterized=len(rows) > MANY,
    )  # fmt: skip


def _curve(ax: Axes, rows: pd.DataFrame, x: str, look: Look) -> Artist:
    from matplotlib.lines import Line2D

    ax.fill_between(rows[x], rows["conf_low"], rows["conf_high"], color=look.colour, alpha=0.22, linewidth=0, zorder=2)
    ax.plot(
        rows[x], rows["fitted"], color=look.colour, linestyle=look.dashes, linewidth=1.8, marker=look.marker, markersize=5,
        markeredgecolor="white", markeredgewidth=0.6, markevery=spaced(len(rows), MARKS).tolist(), zorder=4,
    )  # fmt: skip
    return Line2D([], [], color=look.colour, linestyle=look.dashes, linewidth=1.8, marker=look.marker, markersize=5)


def _labels(groups: dict[Any, Look], lines: pd.DataFrame | None, by: str | None) -> list[str]:
    if by is None:
        return ["population curve and confidence band"]
    if lines is None:
        return [name_of(group) for group in groups]
    sizes = {group: int(lines.loc[lines[by] == group, "line"].nunique()) for group in groups}
    return [f"{name_of(group)} ({n if n else 'no'} patient{'s' * (n != 1)})" for group, n in sizes.items()]


def _patients_entries(
    lines: pd.DataFrame, raw: pd.DataFrame, columns: list[str], *, fitted: bool
) -> list[tuple[Artist, str]]:
    """Legend entries on the patients: what their lines are, how many, and what could not be drawn."""
    from matplotlib.lines import Line2D

    n, drawn = lines["line"].nunique(), lines.loc[lines["drawn"], "line"].nunique()
    count = f"{drawn} of {n} patients drawn" if drawn < n else f"{n} patients"
    what = "fitted, one line a patient; points observed" if fitted else "observed, one line a patient"
    thin: Artist = Line2D([], [], color=GREY, linewidth=0.6, marker="o", markersize=2.5, fillstyle="none")
    lost = left_out(raw, columns)
    return [(thin, f"{what} ({count})"), *([(nothing(), lost)] if lost else [])]


def _names(patient: str | Sequence[str]) -> list[str]:
    return [patient] if isinstance(patient, str) else list(patient)
