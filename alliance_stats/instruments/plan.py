"""What a score will do: the parts of the key that were seen, and those that the user passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from alliance_stats.errors import AllianceError, suggestion
from alliance_stats.instruments.instrument import Instrument, Missing, Rule, Scale, group_list, number_list

WORDS = {
    "from memory": "known from memory only",
    "not seen": "in no source that was read",
    "inferred": "inferred, not from a key",
    "derived": "derived, it depends on your form",
}


@dataclass(frozen=True)
class Plan:
    """Everything a score needs. ``passed`` names the arguments that the user gave."""

    instrument: Instrument
    items: int
    scale: Scale
    low: int
    high: int
    reverse: tuple[int, ...]
    subscales: Mapping[str, tuple[int, ...]]
    missing: Missing
    passed: tuple[str, ...]

    def groups(self) -> dict[str, tuple[int, ...]]:
        """Item numbers by scale, the total first."""
        total = {"total": tuple(range(1, self.items + 1))} if self.instrument.total else {}
        return total | dict(self.subscales)


def make_plan(
    instrument: Instrument,
    items: int,
    *,
    scale: str | None,
    reverse: Sequence[int] | None,
    subscales: Mapping[str, Sequence[int]] | None,
    bounds: Sequence[int] | None,
    missing: str | int | None,
) -> Plan:
    """The plan for so many item columns; AllianceError for arguments that do not fit, and for parts not confirmed."""
    chosen = _scale(instrument, scale, items)
    given = {"range": bounds, "reverse": reverse, "subscales": subscales, "missing": missing}
    _require_confirmed(instrument, chosen, given)
    low, high = (instrument.answers.low, instrument.answers.high) if bounds is None else _bounds(instrument, bounds)
    turned = instrument.reverse.items if reverse is None else _numbers("reverse", reverse, items, instrument)
    groups = dict(instrument.subscales.items or {}) if subscales is None else _groups(subscales, items, instrument)
    plan = Plan(
        instrument, items, chosen, low, high, turned or (), groups,
        instrument.missing if missing is None else _missing(instrument, missing),
        tuple(name for name, value in given.items() if value is not None),
    )  # fmt: skip
    if not plan.groups():
        raise AllianceError(
            f"score: '{instrument.key}' has no total, and subscales= is empty; there is nothing to score"
        )
    return _checked_zero(plan)


def differences(plan: Plan) -> list[str]:
    """Sentences on what was passed although the key, as seen, says something else."""
    key = plan.instrument
    seen = {
        "range": (key.answers.status, (key.answers.low, key.answers.high), (plan.low, plan.high)),
        "reverse": (key.reverse.status, tuple(sorted(key.reverse.items or ())), tuple(sorted(plan.reverse))),
        "subscales": (key.subscales.status, dict(key.subscales.items or {}), dict(plan.subscales)),
    }
    return [
        f"{key.key}: {name}={_plain(ours)} was passed; the key has {_plain(theirs)} (seen)"
        for name, (status, theirs, ours) in seen.items()
        if name in plan.passed and status == "seen" and theirs != ours
    ]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return str({name: list(numbers) for name, numbers in value.items()})
    return str(list(value))


def _require_confirmed(instrument: Instrument, scale: Scale, given: Mapping[str, Any]) -> None:
    doubts = {"range": _range_doubt(instrument, scale), "reverse": _reverse_doubt(instrument)}
    doubts["subscales"] = _subscale_doubt(instrument)
    open_ = [f"- {doubt}" for name, doubt in doubts.items() if doubt and given[name] is None]
    if open_:
        head = f"score: parts of the key of '{instrument.key}' are not confirmed; check your form and pass them:"
        raise AllianceError("\n".join([head, *open_]))


def _range_doubt(instrument: Instrument, scale: Scale) -> str:
    answers = instrument.answers
    odd = answers.unconfirmed.get(scale)
    if odd is not None:
        ways = " or ".join(f"range={tuple(bounds)}" for bounds in odd["ranges"])
        return f"range, for the {scale}: {odd['source']}; pass {ways}"
    if answers.status == "seen":
        return ""
    found = f"{answers.low} to {answers.high}"
    return f"range: {found} is {WORDS[answers.status]} ({answers.source}); pass range=({answers.low}, {answers.high})"


def _reverse_doubt(instrument: Instrument) -> str:
    part = instrument.reverse
    if part.status == "seen":
        return ""
    about = f"{WORDS[part.status]} ({part.source})"
    choices = [part.items] if part.items is not None else part.choices
    ways = " or ".join(f"reverse={list(choice)}" for choice in choices) or "reverse=[the reversed items]"
    found = f"items {number_list(part.items)}, {about}" if part.items else f"none, {about}"
    return f"reverse: {about if part.items is None else found}; pass {ways}"


def _subscale_doubt(instrument: Instrument) -> str:
    part = instrument.subscales
    if part.status == "seen" or part.optional:
        return ""
    about = f"{WORDS[part.status]} ({part.source})"
    if part.items is None:
        return f'subscales: {about}; pass subscales={{"name": [items], …}}, or subscales={{}} for the total alone'
    way = {name: list(numbers) for name, numbers in part.items.items()}
    return f"subscales: {group_list(part.items)}, {about}; pass subscales={way}, or subscales={{}} for the total alone"


def _scale(instrument: Instrument, scale: str | None, items: int) -> Scale:
    chosen = instrument.scales[0] if scale is None else scale
    if chosen not in instrument.scales:
        known = ", ".join(map(repr, instrument.scales))
        raise AllianceError(f"score: scale is {scale!r}; '{instrument.key}' is scored as {known}")
    if instrument.any_number and chosen == "sum" and items != instrument.items:
        raise AllianceError(
            f"score: the sum of '{instrument.key}' needs {instrument.items} columns, not {items}; use scale='mean'"
        )
    return chosen


def _bounds(instrument: Instrument, bounds: Sequence[int]) -> tuple[int, int]:
    fine = isinstance(bounds, tuple | list) and len(bounds) == 2 and all(_whole(b) for b in bounds)
    if not fine or bounds[0] >= bounds[1]:
        raise AllianceError(
            f"score: range={bounds!r}; give the lowest and the highest option of an item as whole numbers, e.g. "
            f"({instrument.answers.low}, {instrument.answers.high})"
        )
    return int(bounds[0]), int(bounds[1])


def _numbers(name: str, given: Sequence[int], items: int, instrument: Instrument) -> tuple[int, ...]:
    if isinstance(given, str) or not all(_whole(number) and 1 <= number <= items for number in given):
        raise AllianceError(
            f"score: {name}={given!r}; give the numbers of items of '{instrument.key}', 1 to {items}, e.g. [1, 2]"
        )
    if len(set(given)) < len(given):
        raise AllianceError(f"score: {name}={list(given)} names an item more than once")
    return tuple(int(number) for number in given)


def _groups(given: Mapping[str, Sequence[int]], items: int, instrument: Instrument) -> dict[str, tuple[int, ...]]:
    if not isinstance(given, Mapping):
        raise AllianceError(f'score: subscales={given!r}; give item numbers by name, e.g. {{"bond": [3, 5]}}')
    odd = [name for name in given if not isinstance(name, str) or not name.isidentifier() or name == "total"]
    if odd:
        raise AllianceError(f"score: subscales= names {odd[0]!r}; use a plain name other than 'total'")
    empty = [name for name, numbers in given.items() if not list(numbers)]
    if empty:
        raise AllianceError(f"score: subscales= gives {empty[0]!r} no items")
    return {name: _numbers(f"subscales[{name!r}]", n, items, instrument) for name, n in given.items()}


def _missing(instrument: Instrument, missing: str | int) -> Missing:
    if _whole(missing) and int(missing) >= 0:
        return Missing("at most", "passed", "passed as missing=", int(missing))
    rules: list[Rule] = [rule for rule in get_args(Rule) if rule != "at most"]
    chosen = next((rule for rule in rules if rule == missing), None)
    if chosen is None:
        near = suggestion(str(missing), rules)
        raise AllianceError(
            f"score: missing={missing!r}{near}; use {', '.join(map(repr, rules))}, or how many items may be unanswered"
        )
    return replace(instrument.missing, rule=chosen, status="passed", source="passed as missing=")


def _checked_zero(plan: Plan) -> Plan:
    if plan.missing.rule == "zero" and plan.low != 0:
        raise AllianceError(
            f"score: missing='zero', but the options start at {plan.low}; 0 is no answer of '{plan.instrument.key}'"
        )
    return plan


def _whole(value: Any) -> bool:
    return not isinstance(value, bool | str) and hasattr(value, "__index__")
