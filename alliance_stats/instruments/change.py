"""Reliable change of single patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.instruments.answers import Items, item_columns, numbers
from alliance_stats.instruments.checks import require_level
from alliance_stats.instruments.instrument import Better, Instrument
from alliance_stats.instruments.registry import instrument
from alliance_stats.instruments.reliability import alpha
from alliance_stats.instruments.shares import grouped, share_columns

CATEGORIES = ("deteriorated", "unchanged", "improved", "recovered")


def reliable_change(
    frame: pd.DataFrame,
    before: str,
    after: str,
    *,
    key: str | Instrument | None = None,
    better: Better | None = None,
    reliability: float | None = None,
    items: Items | None = None,
    sd: float | None = None,
    cutoff: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Reliable change index and category of every patient.

    Parameters
    ----------
    frame : one row a patient. before, after : columns of the two scores.
    key, better : the instrument, from which the direction is taken, or the direction itself, ``"higher"`` or ``"lower"``.
    reliability : of the score, between 0 and 1; or items : the item columns at the first time, reversed ones turned, from which
        alpha is computed.
    sd : standard deviation of the first score; that of the rows with both scores (n − 1) unless given.
    cutoff : score at which a patient counts as recovered, see ``clinical_cutoff``.
    level : of the two-sided limit: .95 makes it 1.96.

    Returns
    -------
    Rows as in ``frame``: ``before after change rci category``. RCI = (after − before) / (√2·sd·√(1 − reliability)); positive
    is a rise of the score, whatever its direction. ``category`` (ordered) is deteriorated, unchanged or improved by |RCI|
    beyond the limit; with a ``cutoff`` those who improved and crossed it are recovered. Missing where a score is.
    ``attrs["notes"]`` says which sd and reliability were used and how many are missing.

    Raises AllianceError where direction or reliability is not given once; DataError for absent columns, text and no spread.

    Source: Jacobson & Truax 1991, doi 10.1037/0022-006X.59.1.12.

    >>> frame = pd.DataFrame({"pain_0": [8.0, 7, 5], "pain_8": [2.0, 6, 6]})
    >>> found = reliable_change(frame, "pain_0", "pain_8", better="lower", reliability=0.9, sd=2)
    >>> found[["change", "rci", "category"]].round(2).to_dict("list")
    {'change': [-6.0, -1.0, 1.0], 'rci': [-6.71, -1.12, 1.12], 'category': ['improved', 'unchanged', 'unchanged']}
    """
    require_level(level)
    sign = 1 if direction("reliable_change", key, better) == "higher" else -1
    first, last = scores(frame, [before, after], "reliable_change").T
    known = ~np.isnan(first) & ~np.isnan(last)
    spread, sd_words = _sd(first[known], sd)
    r, r_words = _reliability(frame, reliability, items)
    rci = (last - first) / (np.sqrt(2 * (1 - r)) * spread)
    from scipy.special import ndtri

    limit = float(ndtri((1 + level) / 2))
    category = np.select([sign * rci > limit, sign * rci < -limit], [2, 0], 1)
    if cutoff is not None:
        crossed = (sign * last >= sign * cutoff) & (sign * first < sign * cutoff)
        category = np.where((category == 2) & crossed, 3, category)
    used = list(CATEGORIES if cutoff is not None else CATEGORIES[:3])
    table = pd.DataFrame(
        {
            "before": first,
            "after": last,
            "change": last - first,
            "rci": rci,
            "category": pd.Categorical.from_codes(
                np.where(known, category, -1).astype(int), pd.Index(used), ordered=True
            ),
        },
        index=frame.index,
    )
    lost = int((~known).sum())
    table.attrs["notes"] = (
        f"change beyond {limit * np.sqrt(2 * (1 - r)) * spread:.3g} points is reliable: {sd_words}, {r_words}",
        *([f"{lost} row{'s' * (lost > 1)} without both scores: no category"] if lost else []),
    )
    return table


def clinical_cutoff(patients: tuple[float, float], healthy: tuple[float, float]) -> float:
    """Cut-off c, between the means of patients and of a healthy population, weighted by their SDs (Jacobson & Truax 1991).

    Both arguments are (mean, SD): c = (SD_h·M_p + SD_p·M_h) / (SD_h + SD_p). Raises AllianceError for an SD that is not
    positive.

    >>> round(clinical_cutoff((22, 6.2), (10, 4.1)), 2)
    14.78
    """
    for name, (_, spread) in (("patients", patients), ("healthy", healthy)):
        if not spread > 0:
            raise AllianceError(f"clinical_cutoff: {name}= has the SD {spread}; give (mean, SD) with an SD above 0")
    (mp, sp), (mh, sh) = patients, healthy
    return (sh * mp + sp * mh) / (sh + sp)


def change_summary(changes: pd.DataFrame, by: pd.Series[Any] | None = None, *, level: float = 0.95) -> pd.DataFrame:
    """How many patients fall in each category of ``reliable_change``, with Wilson's interval.

    ``by`` is a column of the same rows, e.g. ``frame["arm"]``. Columns: that of ``by``, ``category count n left_out share
    conf_low conf_high interval``. Raises DataError where the frame is none of ``reliable_change``, or its rows are
    not those of ``by``.

    >>> frame = pd.DataFrame({"pain_0": [8.0, 7, 5], "pain_8": [2.0, 6, 6]})
    >>> found = reliable_change(frame, "pain_0", "pain_8", better="lower", reliability=0.9, sd=2)
    >>> change_summary(found)[["category", "count", "n"]].to_dict("list")
    {'category': ['deteriorated', 'unchanged', 'improved'], 'count': [0, 2, 1], 'n': [3, 3, 3]}
    """
    require_level(level)
    require_columns(changes.columns, ["category"], "change_summary")
    if not isinstance(changes["category"].dtype, pd.CategoricalDtype):
        raise DataError("change_summary: 'category' is not that of reliable_change; pass the frame it returns")
    if by is not None and not by.index.equals(changes.index):
        raise DataError("change_summary: by= has other rows than the frame of changes; take it from the same data")
    codes = changes["category"].cat.codes.to_numpy()
    rows = []
    for labels, where in grouped(by, len(changes)):
        own = codes[where]
        n = int((own >= 0).sum())
        for place, name in enumerate(changes["category"].cat.categories):
            count = int((own == place).sum())
            rows.append({**labels, "category": name, **share_columns(count, n, len(own) - n, level)})
    return pd.DataFrame(rows)


def direction(where: str, key: str | Instrument | None, better: str | None) -> str:
    """``"higher"`` or ``"lower"``, from the instrument or as given; AllianceError where neither or both disagree."""
    if better not in (None, "higher", "lower"):
        raise AllianceError(f"{where}: better is {better!r}; use 'higher' or 'lower'")
    if key is None and better is None:
        raise AllianceError(f"{where}: which way is better? pass key= of the instrument, or better='higher' or 'lower'")
    own = None if key is None else instrument(key).better
    if own is not None and better not in (None, own):
        raise AllianceError(f"{where}: better={better!r}, but {own} scores of '{instrument(key).key}' are better")  # type: ignore[arg-type]
    return str(better or own)


def scores(frame: pd.DataFrame, columns: Sequence[str], where: str) -> np.ndarray:
    values = numbers(frame, item_columns(frame, columns, where), where)
    if np.isinf(values).any():
        raise DataError(f"{where}: a score is infinite; mend it or make it missing")
    return values


def _sd(first: np.ndarray, sd: float | None) -> tuple[float, str]:
    if sd is not None:
        if not sd > 0:
            raise AllianceError(f"reliable_change: sd is {sd}; give a number above 0")
        return float(sd), f"sd {sd:g} as passed"
    if len(first) < 2 or np.ptp(first) == 0:
        raise DataError("reliable_change: the first scores have no spread; pass sd=")
    spread = float(np.std(first, ddof=1))
    return spread, f"sd {spread:.3g} of the first score (n = {len(first)})"


def _reliability(frame: pd.DataFrame, reliability: float | None, items: Items | None) -> tuple[float, str]:
    if (reliability is None) == (items is None):
        raise AllianceError("reliable_change: pass either reliability= or items= (for alpha), and not both")
    if items is not None:
        found = alpha(frame, items)
        value = float(found["estimate"].iloc[0])
        if not 0 < value < 1:
            raise DataError(
                f"reliable_change: alpha of the items is {value:.3g}; turn reversed items, or pass reliability="
            )
        return value, f"reliability {value:.3g} (alpha of {found['items'].iloc[0]} items, n = {found['n'].iloc[0]})"
    assert reliability is not None
    if not 0 < reliability < 1:
        raise AllianceError(f"reliable_change: reliability is {reliability}; give a number between 0 and 1")
    return reliability, f"reliability {reliability:g} as passed"
