"""From item answers to the scores of a questionnaire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.instruments.answers import Items, item_columns, numbers, require_answers
from alliance_stats.instruments.instrument import Instrument, Missing, possible
from alliance_stats.instruments.plan import Plan, differences, make_plan
from alliance_stats.instruments.registry import instrument
from alliance_stats.numerics.reliability import item_rest

FEWEST = 10  # complete rows below which a negative item–rest correlation says nothing
NORMAL = 1.96


def score(
    frame: pd.DataFrame,
    key: str | Instrument,
    items: Items,
    *,
    scale: str | None = None,
    reverse: Sequence[int] | None = None,
    subscales: Mapping[str, Sequence[int]] | None = None,
    range: tuple[int, int] | None = None,
    missing: str | int | None = None,
    name: str | None = None,
) -> pd.DataFrame:
    """A copy of the frame with the scores of one questionnaire: ``<key>_total`` and one column a subscale.

    Parameters
    ----------
    frame : one row a questionnaire, the items as numbers in columns of their own.
    key : the instrument, e.g. ``"wai_sr"``; see ``instruments``.
    items : pattern of the item columns with braces for the number, ``"wai_{}"``, or a list of columns in the order of the
        items.
    scale : ``"sum"``, ``"mean"`` or, for the ODI, ``"percent"``; the instrument's own by default.
    reverse : numbers of the reversed items; ``[]`` for none.
    subscales : item numbers by subscale; ``{}`` for the total alone.
    range : lowest and highest option of an item.
    missing : ``"prorate"`` (mean of the answered items where at least 80 % of the scale's are answered), ``"complete"`` (no
        score with an unanswered item), ``"denominator"`` (mean of the answered items), ``"zero"``, or the number of items of
        a scale that may be unanswered; the instrument's own rule by default, proration where it has none.
    name : start of the new columns, by default the key; another one for a second rating in the same row.

    ``reverse``, ``subscales`` and ``range`` must be passed where the key has not been confirmed by a source; the error says
    what to pass.

    Returns
    -------
    The frame with the new columns. ``attrs["notes"]`` gains sentences on prorated and missing scores, on values passed against
    the key, and on items that run against their scale and may want reversing. ``attrs["scoring"][name]`` records what was done:
    the items, the range, what was reversed, what was passed, and for each new column its possible range and its counts.

    Raises AllianceError for arguments that do not fit and parts not confirmed; DataError for absent or doubled columns, text,
    and answers outside the range or between options, with the rows.

    >>> frame = pd.DataFrame({f"wai_{i}": [5, 4] for i in range(1, 13)})
    >>> scored = score(frame, "wai_sr", items="wai_{}", reverse=[])
    >>> scored[["wai_sr_total", "wai_sr_goal", "wai_sr_task", "wai_sr_bond"]].iloc[1].tolist()
    [48.0, 16.0, 16.0, 16.0]
    >>> scored.attrs["scoring"]["wai_sr"]["passed"]
    ['reverse']
    """
    of = instrument(key)
    answers, columns, plan = _read(frame, of, items, scale, reverse, subscales, range, missing)
    prefix = of.key if name is None else name
    names = {group: f"{prefix}_{group}" for group in plan.groups()}
    _refuse_existing(frame, list(names.values()))
    _require_known_rule(answers, plan)
    new, record, notes = {}, {}, differences(plan)
    for group, members in plan.groups().items():
        part = answers[:, [number - 1 for number in members]]
        new[names[group]], counts = scale_score(part, plan)
        lowest, highest = possible(plan.scale, plan.low, plan.high, len(members))
        record[names[group]] = {"items": list(members), "range": [lowest, highest], **counts}
        notes += _count_notes(names[group], counts, plan.missing, len(members))
        notes += _direction_notes(names[group], part, [columns[number - 1] for number in members])
    if of.subscales.optional and subscales is None:
        notes.append(f"{of.key}: no subscales are formed: {of.subscales.source}; pass subscales= for them")
    scored = frame.assign(**new)
    scored.attrs["notes"] = (*frame.attrs.get("notes", ()), *notes)
    scored.attrs["scoring"] = frame.attrs.get("scoring", {}) | {prefix: _record(plan, columns, record)}
    return scored


def keyed_items(
    frame: pd.DataFrame,
    key: str | Instrument,
    items: Items,
    *,
    reverse: Sequence[int] | None = None,
    range: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """The item columns alone, checked as ``score`` checks them and with the reversed ones turned: what ``alpha`` needs.

    Raises as ``score`` does.

    >>> frame = pd.DataFrame({f"tsk_{i}": [1, 3] for i in range(1, 18)})
    >>> keyed_items(frame, "tsk_17", items="tsk_{}")[["tsk_3", "tsk_4"]].to_numpy().tolist()
    [[1.0, 4.0], [3.0, 2.0]]
    """
    of = instrument(key)
    # Subscales play no part here, and neither does a rule for missing answers.
    alone: dict[str, list[int]] | None = None if of.subscales.status == "seen" or not of.total else {}
    answers, columns, _ = _read(frame, of, items, None, reverse, alone, range, None)
    return pd.DataFrame(answers, columns=columns, index=frame.index)


def scale_score(answers: np.ndarray, plan: Plan) -> tuple[np.ndarray, dict[str, int]]:
    """Scores of the rows from the keyed answers to one scale's items, and how many were prorated or left out."""
    items = answers.shape[1]
    answered = (~np.isnan(answers)).sum(axis=1)
    enough = answered >= plan.missing.smallest(items)
    given = np.nansum(answers, axis=1)
    full = given if plan.missing.rule == "zero" else given * items / np.maximum(answered, 1)
    full = np.where(enough, full, np.nan)
    if plan.scale == "mean":
        full = full / items
    elif plan.scale == "percent":
        full = 100 * (full - plan.low * items) / (items * (plan.high - plan.low))
    counts = {
        "n": int(enough.sum()),
        "prorated": int((enough & (answered < items)).sum()),
        "left_out": int((~enough & (answered > 0)).sum()),
        "unanswered": int((answered == 0).sum()),
    }
    return full, counts


def _read(
    frame: pd.DataFrame,
    of: Instrument,
    items: Items,
    scale: str | None,
    reverse: Sequence[int] | None,
    subscales: Mapping[str, Sequence[int]] | None,
    bounds: tuple[int, int] | None,
    missing: str | int | None,
) -> tuple[np.ndarray, list[str], Plan]:
    """Keyed answers of shape (rows, items), their columns, and the plan."""
    where = f"score: '{of.key}'"
    columns = item_columns(frame, items, where, None if of.any_number else of.items)
    plan = make_plan(
        of, len(columns), scale=scale, reverse=reverse, subscales=subscales, bounds=bounds, missing=missing
    )
    answers = numbers(frame, columns, where)
    require_answers(answers, columns, plan.low, plan.high, where)
    turned = [number - 1 for number in plan.reverse]
    answers[:, turned] = plan.low + plan.high - answers[:, turned]
    return answers, columns, plan


def _refuse_existing(frame: pd.DataFrame, names: Sequence[str]) -> None:
    there = [name for name in names if name in frame.columns]
    if there:
        raise DataError(
            f"score: the frame already has {', '.join(map(repr, there))}; rename or drop it, or pass name= for other columns"
        )


def _require_known_rule(answers: np.ndarray, plan: Plan) -> None:
    """A rule from memory may not fill gaps unasked; without gaps it changes nothing."""
    rule = plan.missing
    gaps = np.isnan(answers)
    partly = int((gaps.any(axis=1) & ~gaps.all(axis=1)).sum())
    if partly and rule.status in ("from memory", "inferred"):
        raise AllianceError(
            f"score: '{plan.instrument.key}' has {partly} rows with unanswered items, and its rule ({rule.words()}) is known "
            f"from memory only; pass missing={rule.rule!r} for it, or 'prorate', 'complete', or how many may be unanswered"
        )


def _count_notes(name: str, counts: Mapping[str, int], rule: Missing, items: int) -> list[str]:
    least = rule.smallest(items)
    how = "scored with 0 for unanswered items" if rule.rule == "zero" else "scored from the mean of the answered items"
    parts = [
        (counts["prorated"], f"{how} (at least {least} of {items} answered)"),
        (counts["left_out"], f"without a score (fewer than {least} of {items} answered)"),
        (counts["unanswered"], "without a score (no item answered)"),
    ]
    found = [f"{count} row{'s' * (count > 1)} {text}" for count, text in parts if count]
    return [f"{name}: {'; '.join(found)}"] if found else []


def _direction_notes(name: str, answers: np.ndarray, columns: Sequence[str]) -> list[str]:
    """Items whose correlation with the rest of their scale is below zero beyond chance."""
    complete = answers[~np.isnan(answers).any(axis=1)]
    if len(complete) < FEWEST or answers.shape[1] < 3:
        return []
    r = item_rest(complete)
    bound = np.tanh(np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)) + NORMAL / np.sqrt(len(complete) - 3))
    return [
        f"{name}: {column!r} runs against the rest of its scale (item–rest correlation {value:.2f}, n = {len(complete)}); "
        "check whether it is reversed, and see reverse="
        for column, value, high in zip(columns, r, bound, strict=True)
        if high < 0
    ]


def _record(plan: Plan, columns: Sequence[str], scores: Mapping[str, Any]) -> dict[str, Any]:
    """Plain lists and texts, which survive a file."""
    return {
        "instrument": plan.instrument.key,
        "items": list(columns),
        "scale": plan.scale,
        "range": [plan.low, plan.high],
        "reverse": list(plan.reverse),
        "subscales": {name: list(numbers) for name, numbers in plan.subscales.items()},
        "missing": plan.missing.words(),
        "passed": list(plan.passed),
        "better": plan.instrument.better,
        "columns": dict(scores),
    }
