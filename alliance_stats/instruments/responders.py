"""Patients whose change reaches a minimal important change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.instruments.change import direction, scores
from alliance_stats.instruments.checks import require_level
from alliance_stats.instruments.instrument import Better, Fact, Instrument
from alliance_stats.instruments.registry import instrument
from alliance_stats.instruments.shares import grouped, share_columns

MEANING = "individual change, not a between-group margin"
SLACK = 1e-9  # relative room for the rounding of scores made by division


def responders(
    frame: pd.DataFrame,
    after: str,
    before: str | None = None,
    *,
    key: str | Instrument | None = None,
    better: Better | None = None,
    mic: float | None = None,
    percent: float | None = None,
    by: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of patients whose own change reaches a minimal important change (MIC).

    Parameters
    ----------
    frame : one row a patient. after : the later score; before : the earlier one (none for a rating of change such as GPE).
    key : the instrument: direction and, unless ``mic`` or ``percent`` is given, every MIC that was seen for it, a row each.
    better : the direction, ``"higher"`` or ``"lower"``, without a key.
    mic, percent : a change in points, or in percent of the earlier score.
    by : column of groups, e.g. ``"arm"``. level : confidence level.

    Returns
    -------
    One row a criterion and group: the column of ``by``, ``criterion`` (improvement by at least so much), ``better``, ``count n
    left_out share conf_low conf_high interval`` (Wilson), ``source``, and ``meaning``: a MIC is about individual change, and no
    margin for a difference between groups. Rows without the scores are left out; with percent also those that start at 0.

    Raises AllianceError where no direction or no MIC is known; DataError for absent columns and text.

    >>> frame = pd.DataFrame({"pain_0": [8, 7, 5, 6], "pain_8": [2, 6, 6, 4], "arm": list("aabb")})
    >>> responders(frame, "pain_8", "pain_0", better="lower", mic=2)[["criterion", "count", "n", "meaning"]].to_dict("records")
    [{'criterion': '2 points lower', 'count': 2, 'n': 4, 'meaning': 'individual change, not a between-group margin'}]
    """
    require_level(level)
    side = direction("responders", key, better)
    if before is None and (key is None or not instrument(key).is_change):
        raise AllianceError("responders: before= is missing; only a rating of change, such as 'gpe', does without it")
    values = scores(frame, [after] if before is None else [after, before], "responders")
    if by is not None:
        require_columns(frame.columns, [by], "responders: by=")
    gain = (1 if side == "higher" else -1) * (values[:, 0] - (values[:, 1] if before is not None else 0))
    rows = []
    for amount, unit, source in _criteria(key, mic, percent):
        if unit == "percent" and before is None:
            continue
        # Starting at 0 there is no percentage; a negative start is none of a scale that begins at 0.
        start = np.where(values[:, -1] > 0, values[:, -1], np.nan)
        size = 100 * gain / start if unit == "percent" else gain
        for labels, where in grouped(None if by is None else frame[by], len(frame)):
            own = size[where]
            known = ~np.isnan(own)
            count = int((own[known] >= amount * (1 - SLACK)).sum())
            criterion = (
                f"{amount:g} {'%' if unit == 'percent' else 'points'} {side}" if before else f"{amount:g} or {side}"
            )
            shares = share_columns(count, int(known.sum()), int((~known).sum()), level)
            rows.append(
                {**labels, "criterion": criterion, "better": side, **shares, "source": source, "meaning": MEANING}
            )
    table = pd.DataFrame(rows)
    table.attrs["notes"] = (f"the shares are of {MEANING}",)
    return table


def _criteria(key: str | Instrument | None, mic: float | None, percent: float | None) -> list[tuple[float, str, str]]:
    if mic is not None and percent is not None:
        raise AllianceError("responders: pass mic= or percent=, not both")
    for name, value in (("mic", mic), ("percent", percent)):
        if value is not None:
            if not value > 0:
                raise AllianceError(f"responders: {name} is {value}; give the size of the change, above 0")
            return [(value, "percent" if name == "percent" else "points", f"passed as {name}=")]
    known: Sequence[Fact] = () if key is None else [f for f in instrument(key).facts_of("mic") if f.status == "seen"]
    if not known:
        about = "no instrument is given" if key is None else f"none was seen for '{instrument(key).key}'"
        raise AllianceError(f"responders: {about}; pass mic= in points, or percent= of the earlier score")
    return [(value, fact.unit, _cited(fact)) for fact in known for value in fact.amounts]


def _cited(fact: Fact) -> str:
    return f"{fact.population}: {fact.source}" if fact.population else fact.source
