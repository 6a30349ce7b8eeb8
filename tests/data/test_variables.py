from __future__ import annotations

import dataclasses

import pytest

from alliance_stats.data.variables import Variable, bounds_in_words, check_declarations
from alliance_stats.errors import DataError


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "number"),
        ({"key": True}, "identifier"),
        ({"key": True, "integer": True}, "number"),
        ({"key": True, "range": (1, 20)}, "number"),
        ({"levels": ("GE", "MCE")}, "level"),
        ({"levels": ("GE", "MCE"), "key": True}, "level"),
    ],
)
def test_kind_follows_from_the_declaration(options, kind):
    assert Variable("x", "x", **options).kind == kind


def test_keys_and_variables_without_missing_values_are_required():
    assert Variable("x", "x", key=True).required
    assert Variable("x", "x", missing=False).required
    assert not Variable("x", "x").required


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"range": (10, 0)}, "range=(10, 0) has no value in it"),
        ({"range": (float("nan"), 1)}, "has no value in it"),
        ({"levels": "GE"}, "is not a tuple of texts"),
        ({"levels": ()}, "is not a tuple of texts"),
        ({"levels": (1, 2)}, "is not a tuple of texts"),
        ({"levels": ("GE", "GE")}, "names 'GE' more than once"),
        ({"levels": ("GE ", "MCE")}, "stray spaces"),
        ({"levels": ("GE", "")}, "empty text"),
        ({"levels": ("GE",), "integer": True}, "range= and integer= cannot be given too"),
        ({"levels": ("GE",), "range": (0, 1)}, "range= and integer= cannot be given too"),
    ],
)
def test_contradictions_are_refused(options, fragment):
    with pytest.raises(DataError) as caught:
        Variable("arm", "treatment", **options)
    assert str(caught.value).startswith("variable 'arm': ")
    assert fragment in str(caught.value)


def test_a_name_is_declared_once():
    with pytest.raises(DataError, match=r"variables declared more than once: 'x'$"):
        check_declarations([Variable("x", "one"), Variable("y", "two"), Variable("x", "three")])


def test_variable_is_a_value():
    assert Variable("x", "x", levels=("a",)) == Variable("x", "x", levels=("a",))
    assert hash(Variable("x", "x")) == hash(Variable("x", "x"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Variable("x", "x").name = "y"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 10, "0 to 10"),
        (-2.5, 120000000, "-2.5 to 120000000"),
        (0, float("inf"), "0 or more"),
        (float("-inf"), 10, "at most 10"),
        (float("-inf"), float("inf"), "any number"),
    ],
)
def test_bounds_in_words(low, high, words):
    assert bounds_in_words(low, high) == words
