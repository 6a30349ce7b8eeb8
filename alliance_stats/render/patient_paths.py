"""The paths of each patient in a multilevel mediation: a line a patient, and the distribution of their indirect effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.alt_words import counted, span, ylabel
from alliance_stats.render.caterpillar_rows import interval_name
from alliance_stats.render.described import Described, Given
from alliance_stats.render.numbers import with_intervals
from alliance_stats.render.style import (
    GREY,
    INK,
    LOOKS,
    canvas,
    checked,
    dress,
    give_height,
    house,
    legend_above,
    nothing,
)
from alliance_stats.render.trajectories import spaced

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

PLACES = {"a": 0.0, "b": 1.0, "indirect": 2.0}
TICKS = ("aⱼ\nto the\nmediator", "bⱼ\nto the\noutcome", "aⱼbⱼ\nindirect")
WIDE = 0.75  # of the space between two columns, taken by the distribution
GAP = 0.06  # from the column to the distribution
POINTS = 200  # at which the density is drawn


def patient_paths(
    frame: pd.DataFrame, average: pd.DataFrame | None = None, *, most: int = 80, ax: Axes | None = None,
    ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Each patient's paths a and b as points joined by a line, and beside them the distribution of the product.

    Parameters
    ----------
    frame : tidy rows with the terms ``a b indirect`` and the patient in ``at``, as ``patient_paths(fit)`` returns.
    average : tidy rows of the fit; its ``indirect_within`` (or ``indirect``) is drawn over the distribution with its interval.
    most : of more patients the lines of so many are drawn, evenly spaced over the indirect effects; the distribution is of all.
    ax : axes to draw on; without it a new figure of 85 mm.
    ylabel : by default "path".

    Raises DataError where columns or terms are absent, or fewer than two patients have all paths.

    >>> frame = pd.DataFrame({"term": ["a", "b", "indirect"] * 3, "at": list("111222333"),
    ...                       "estimate": [0.5, 0.4, 0.2, 0.3, 0.5, 0.15, 0.6, 0.2, 0.12]})
    >>> ax = patient_paths(frame)
    >>> ax.get_legend().get_texts()[0].get_text()
    'patient (n = 3)'
    """
    lines = patient_path_lines(frame)
    chosen = spaced(len(lines), most)
    with house():
        new = ax is None
        ax = canvas(height=95)[0] if ax is None else ax
        ax.axhline(0, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        thin = ax.plot(list(PLACES.values()), lines.iloc[chosen].to_numpy().T, color=GREY, linewidth=0.5, alpha=0.6)
        shown = "" if len(chosen) == len(lines) else f", {len(chosen)} drawn"
        entries: list[tuple[Artist, str]] = [(thin[0], f"patient (n = {len(lines)}{shown})")]
        entries += [(_density(ax, lines["indirect"].to_numpy()), "distribution of aⱼbⱼ")]
        if average is not None:
            entries += _average(ax, average)
        ax.set_xticks(list(PLACES.values()), TICKS)
        ax.set_xlim(-0.25, PLACES["indirect"] + WIDE + 0.15)
        dress(ax, "", "path" if ylabel is None else ylabel)
        legend_above(ax, [handle for handle, _ in entries], [text for _, text in entries])
        if new:
            give_height(ax, 50)
    return ax


def patient_path_lines(frame: pd.DataFrame) -> pd.DataFrame:
    """What is drawn: columns ``a b indirect``, one row a patient, ordered by the indirect effect.

    >>> frame = pd.DataFrame({"term": ["a", "b", "indirect"] * 2, "at": list("111222"),
    ...                       "estimate": [0.5, 0.4, 0.2, 0.3, 0.5, 0.15]})
    >>> patient_path_lines(frame).index.tolist()
    ['2', '1']
    """
    checked(frame, "patient_paths", needed=["term", "at"], numeric=["estimate"])
    absent = [term for term in PLACES if term not in set(frame["term"])]
    if absent:
        raise DataError(f"patient_paths: column 'term' has no {absent[0]!r}; give the frame of patient_paths(fit)")
    rows = frame[frame["term"].isin(list(PLACES))]
    if rows.duplicated(["at", "term"]).any():
        raise DataError("patient_paths: a patient has two rows of one path; give the frame of one fit")
    wide = rows.pivot(index="at", columns="term", values="estimate")[list(PLACES)].dropna()
    if len(wide) < 2:
        raise DataError(f"patient_paths: {len(wide)} patients have all of a, b and indirect; two or more are needed")
    return wide.sort_values("indirect", kind="stable").rename_axis(None, axis=1)


def _density(ax: Axes, values: np.ndarray) -> Artist:
    """Half of a violin to the right of the last column, and a mark a patient; marks alone where all are the same."""
    at, look = PLACES["indirect"], LOOKS[0]
    ax.plot(np.full(len(values), at), values, linestyle="none", marker="_", markersize=5, color=look.colour, alpha=0.5)
    spread = min(values.std(ddof=1), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.349 or np.inf)
    width = 0.9 * spread * len(values) ** -0.2  # Silverman's rule
    if not width > 1e-12 * max(np.abs(values).max(), 1e-300):
        return nothing()
    y = np.linspace(values.min() - 3 * width, values.max() + 3 * width, POINTS)
    height = np.exp(-(((y[:, None] - values) / width) ** 2) / 2).sum(axis=1)
    far = at + GAP + (WIDE - GAP) * height / height.max()
    return ax.fill_betweenx(y, at + GAP, far, color=look.colour, alpha=0.35, linewidth=0)


def _average(ax: Axes, average: pd.DataFrame) -> list[tuple[Artist, str]]:
    checked(average, "patient_paths", needed=["term"], numeric=["estimate", "conf_low", "conf_high"])
    rows = average[average["term"].isin(["indirect_within", "indirect"])]
    if len(rows) != 1:
        raise DataError(f"patient_paths: average has {len(rows)} rows indirect_within or indirect; give fit.tidy()")
    row = rows.iloc[0]
    at = PLACES["indirect"] + WIDE / 2
    whisker = ax.errorbar(
        [at], [row["estimate"]], [[row["estimate"] - row["conf_low"]], [row["conf_high"] - row["estimate"]]], color=INK,
        marker="o", markersize=4, capsize=3, linewidth=1.2, linestyle="none",
    )  # fmt: skip
    name = interval_name(rows.assign(interval=rows.get("interval", "")))
    return [(whisker.lines[0], f"average indirect effect ({name})"), (nothing(), with_intervals(rows)[0])]


def tell_patient_paths(ax: Axes, given: Given) -> Described:
    """How many patients, where their paths and indirect effects lie, and the average."""
    lines = patient_path_lines(given["frame"])
    spans = "; ".join(f"{name} {span(lines[term])}" for term, name in zip(PLACES, ("a", "b", "indirect"), strict=True))
    legend: Any = ax.get_legend()
    texts = [" ".join(text.get_text().split()) for text in legend.get_texts()]
    average = "" if given["average"] is None else f" {texts[-2].capitalize()}: {texts[-1]}."
    start = (
        f"{ylabel(ax)} of {counted(len(lines), 'patient')}, a line each, and the distribution of the product. Range: "
    )
    return Described(f"{start}{spans}.{average}", lines.rename_axis("at").reset_index())
