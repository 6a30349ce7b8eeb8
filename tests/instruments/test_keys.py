"""The keys of the instruments: complete, consistent, each part with a status and a source."""

from __future__ import annotations

from typing import get_args

import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.instruments.instrument import Instrument, Rule, Scale, Status, possible
from alliance_stats.instruments.registry import INSTRUMENTS, KEYS, instrument

# Lowest and highest score of the scale that comes first, and the number of items, as printed.
PRINTED = {
    "wai_sr": (12, 12, 60), "wai_s": (12, 12, 84), "watoci": (16, 16, 112), "haq_ii": (19, 19, 114), "care": (10, 10, 50),
    "ears": (6, 0, 24), "siras": (3, 3, 15), "rmdq": (24, 0, 24), "odi": (10, 0, 100), "psfs": (3, 0, 10),
    "nprs": (1, 0, 10), "tsk_17": (17, 17, 68), "pseq": (10, 0, 60), "pcs": (13, 0, 52), "gpe": (1, -5, 5),
}  # fmt: skip
LOWER = {"rmdq", "odi", "nprs", "tsk_17", "pcs", "hads"}
CONFIRMED = {"care", "rmdq", "odi", "psfs", "nprs", "tsk_17", "pseq", "pcs", "gpe"}


def test_the_mapping_holds_every_instrument() -> None:
    assert list(INSTRUMENTS) == list(KEYS)
    assert len(INSTRUMENTS) == 16
    assert "care" in INSTRUMENTS
    assert "CARE" not in INSTRUMENTS
    assert repr(INSTRUMENTS).count("\n") == 15
    assert instrument(INSTRUMENTS["care"]) is INSTRUMENTS["care"]


@pytest.mark.parametrize("key", KEYS)
def test_numbers_are_items_and_words_are_known(key: str) -> None:
    of = instrument(key)
    assert of.key == key
    groups = dict(of.subscales.items or {})
    for numbers in [of.reverse.items or (), *of.reverse.choices, *groups.values()]:
        assert set(numbers) <= set(range(1, of.items + 1))
        assert len(set(numbers)) == len(numbers)
    assert {of.answers.status, of.reverse.status, of.subscales.status, of.missing.status} <= set(get_args(Status))
    assert {fact.status for fact in of.facts} <= set(get_args(Status))
    assert of.missing.rule in get_args(Rule)
    assert set(of.scales) <= set(get_args(Scale))
    assert (of.better == "lower") == (key in LOWER)
    for part in (of.answers, of.reverse, of.subscales, of.missing, *of.facts):
        assert part.source.strip()
    assert all(fact.amounts for fact in of.facts if fact.kind in ("mic", "mdc", "cut-off"))
    # What is not seen has no value that could be used by mistake.
    assert not any(fact.amounts for fact in of.facts if fact.status != "seen")


@pytest.mark.parametrize("key", PRINTED)
def test_possible_scores_are_the_printed_ones(key: str) -> None:
    of, (items, low, high) = instrument(key), PRINTED[key]
    assert of.items == items
    assert possible(of.scales[0], of.answers.low, of.answers.high, of.items) == (low, high)


@pytest.mark.parametrize("key", KEYS)
def test_only_what_was_seen_counts_as_confirmed(key: str) -> None:
    of = instrument(key)
    seen = {of.answers.status, of.reverse.status} == {"seen"} and (
        of.subscales.status == "seen" or of.subscales.optional
    )
    assert seen == (key in CONFIRMED)


def test_subscales_of_the_wai_sr_share_out_its_items() -> None:
    groups = instrument("wai_sr").subscales.items
    assert groups is not None
    assert sorted(number for numbers in groups.values() for number in numbers) == list(range(1, 13))
    assert instrument("wai_sr").columns("q{:02}", "goal") == ["q04", "q06", "q08", "q11"]
    assert len(instrument("wai_sr").columns("q{}")) == 12


def test_minimal_important_changes_are_those_printed() -> None:
    amounts = {key: [(v, f.unit) for f in instrument(key).facts_of("mic") for v in f.amounts] for key in KEYS}
    points = {key: [value for value, unit in pairs if unit == "points"] for key, pairs in amounts.items() if pairs}
    assert points == {
        "ears": [5.5], "rmdq": [5, 5.5], "odi": [10, 13, 12], "psfs": [1.3, 2.3, 2.7], "nprs": [2, 1.5, 3.5], "gpe": [2.5],
    }  # fmt: skip
    percent = {key for key, pairs in amounts.items() if (30, "percent") in pairs}
    assert percent == {"rmdq", "odi", "nprs"}


def test_the_repr_tells_structure_status_and_source() -> None:
    text = " ".join(repr(instrument("haq_ii")).split())
    assert text.startswith("Revised Helping Alliance Questionnaire (HAQ-II)")
    for part in ("19 items, answered 1 to 6 (from memory", "reversed: 4, 8, 11, 16, 19 (inferred", "higher is better"):
        assert part in text
    assert max(len(line) for key in KEYS for line in repr(instrument(key)).splitlines()) <= 112
    assert "0x" not in text


def test_facts_are_a_table() -> None:
    table = instrument("odi").fact_table()
    assert list(table.columns) == ["kind", "text", "population", "status", "source"]
    assert len(table) == len(instrument("odi").facts) == 5


def test_keys_are_frozen() -> None:
    of = instrument("pcs")
    with pytest.raises(AttributeError):
        of.items = 12  # type: ignore[misc]
    with pytest.raises(TypeError):
        of.subscales.items["other"] = (1,)  # type: ignore[index]


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(AllianceError, match=r"no instrument 'tsk17' \(did you mean 'tsk_17'\?\); instruments: wai_sr"):
        instrument("tsk17")
    with pytest.raises(AllianceError, match=r"no scale 'bonds' .did you mean 'bond'"):
        instrument("wai_sr").columns("q{}", "bonds")
    assert isinstance(INSTRUMENTS["hads"], Instrument)
