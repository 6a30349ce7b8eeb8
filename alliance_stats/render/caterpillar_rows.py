"""The rows of a caterpillar plot: conditional modes of one factor and one effect, from the lowest to the highest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.numerics.distributions import t_p_value
from alliance_stats.render.style import checked, levels

LIMITS = ["estimate", "conf_low", "conf_high"]


def caterpillar_rows(
    effects: pd.DataFrame, *, group: str | None = None, term: str | None = None, sort_by: str | None = None
) -> pd.DataFrame:
    """What ``caterpillar`` draws: ``position group at term estimate conf_low conf_high excludes_zero``, from the lowest.

    Ties are in the order of the names.

    >>> effects = pd.DataFrame({"group": "therapist", "at": ["a", "b"], "term": "Intercept", "estimate": [0.5, -0.9],
    ...                         "conf_low": [-0.1, -1.4], "conf_high": [1.1, -0.4]})
    >>> caterpillar_rows(effects)[["position", "at", "excludes_zero"]].to_numpy().tolist()
    [[1, 'b', True], [2, 'a', False]]
    """
    checked(effects, "caterpillar", needed=["group", "at", "term"], numeric=LIMITS)
    of_group = chosen_rows(effects, "group", group)
    rows = chosen_rows(of_group, "term", term)
    order = rows if sort_by is None else chosen_rows(of_group, "term", sort_by)
    twice = pd.concat([rows.loc[rows["at"].duplicated(), "at"], order.loc[order["at"].duplicated(), "at"]])
    if len(twice):
        raise DataError(f"caterpillar: group {twice.iloc[0]!r} has more than one row; give it one a term")
    incomplete = int(rows[LIMITS].isna().any(axis=1).sum())
    if incomplete:
        raise DataError(f"caterpillar: {incomplete} groups have no estimate or interval; leave those rows out")
    place = order.sort_values(["estimate", "at"])["at"].tolist()
    unplaced = set(rows["at"]) - set(place)
    if unplaced:
        raise DataError(
            f"caterpillar: {len(unplaced)} groups have no row {sort_by!r} to sort by; choose another sort_by="
        )
    drawn = rows.set_index("at").reindex(place).dropna(subset=LIMITS).reset_index()
    drawn = drawn[["group", "at", "term", *LIMITS]]
    drawn.insert(0, "position", np.arange(1, len(drawn) + 1))
    return drawn.assign(excludes_zero=(drawn["conf_low"] > 0) | (drawn["conf_high"] < 0))


def interval_name(rows: pd.DataFrame) -> str:
    """``95 % interval``, the level being that of the half-widths in standard errors; ``interval`` where they tell none.

    >>> interval_name(pd.DataFrame({"std_error": [1.0], "conf_low": [-1.96], "conf_high": [1.96]}))
    '95 % interval'
    """
    kinds = set(rows["interval"]) if "interval" in rows else set()
    if "std_error" not in rows or not kinds <= {"t", "normal"}:
        return "interval"
    known = rows[rows["std_error"].gt(0) & rows[["conf_low", "conf_high"]].notna().all(axis=1)]
    df = known["df"].fillna(np.inf) if "df" in known else np.inf
    found = 100 * (1 - t_p_value((known["conf_high"] - known["conf_low"]) / 2 / known["std_error"], df))
    return f"{found[0]:.3g} % interval" if len(found) and np.ptp(found) < 0.01 else "interval"


def chosen_rows(rows: pd.DataFrame, column: str, value: str | None) -> pd.DataFrame:
    """The rows of one level of ``group`` or ``term``; DataError where it is unknown, or not told though there are several."""
    found = levels(rows[column])
    if value is None and len(found) > 1:
        raise DataError(f"caterpillar: column '{column}' has {', '.join(map(str, found))}; choose one with {column}=")
    if value is not None and value not in found:
        raise DataError(f"caterpillar: no {column} {value!r}; there are {', '.join(map(str, found))}")
    return rows if value is None else rows[rows[column] == value]
