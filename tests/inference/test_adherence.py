"""adherence(): what it lists for every support, that its calls are what it fits, and that it never chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

import alliance_stats
from alliance_stats import AllianceError, DataError, Result
from alliance_stats.inference.adherence import adherence
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.ordinal import OrdinalModel


class _Al:
    """The names as a user has them."""

    BetaModel, FractionalModel, GEE, OrdinalModel = BetaModel, FractionalModel, GEE, OrdinalModel
    LinearModel, GeneralizedMixedModel = alliance_stats.LinearModel, alliance_stats.GeneralizedMixedModel


def trial() -> pd.DataFrame:
    frame = data("adherence_trial")
    names = ["never", "rarely", "sometimes", "often", "always"]
    frame["siras"] = pd.Categorical.from_codes(frame["rating"] - 1, names, ordered=True)
    return frame.assign(
        came=(frame["completed"] > 4).astype(int),
        no_one=frame["share_ends"].clip(upper=0.99),
        no_zero=frame["share_ends"].clip(0.01),
    )


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "0 and 1": ({"outcome": "came", "cluster": "therapist"}, ["binomial mixed", "fractional", "GEE"]),
    "0 and 1, alone": ({"outcome": "came"}, ["fractional"]),
    "counts": (
        {"outcome": "completed", "assigned": "assigned", "cluster": "therapist"},
        ["beta-binomial mixed", "binomial mixed", "fractional", "GEE"],
    ),
    "counts, alone": ({"outcome": "completed", "assigned": "assigned"}, ["fractional"]),
    "inside": ({"outcome": "share", "cluster": "therapist"}, ["beta", "beta mixed", "fractional", "GEE"]),
    "inside, alone": ({"outcome": "share"}, ["beta", "fractional"]),
    "both ends": (
        {"outcome": "share_ends", "cluster": "therapist"},
        ["zero-one-inflated beta", "fractional", "GEE"],
    ),
    "zeros": ({"outcome": "no_one"}, ["zero-inflated beta", "fractional"]),
    "ones": ({"outcome": "no_zero"}, ["one-inflated beta", "fractional"]),
    "rating": ({"outcome": "rating", "cluster": "therapist"}, ["ordinal mixed", "linear"]),
    "rating, alone": ({"outcome": "rating"}, ["ordinal", "linear"]),
    "categories": ({"outcome": "siras"}, ["ordinal"]),
    "categories, clustered": ({"outcome": "siras", "cluster": "therapist"}, ["ordinal mixed"]),
}


@pytest.mark.parametrize("name", CASES)
def test_lists_and_fits(name: str) -> None:
    options, expected = CASES[name]
    table = adherence(trial(), predictors="alliance + arm", **options)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["model", "why", "call"]
    assert table["model"].tolist() == expected
    assert table["why"].str.len().gt(20).all()
    for row in table.itertuples():
        result = adherence(trial(), predictors="alliance + arm", model=str(row.model), **options)
        assert isinstance(result, Result)
        written = eval(str(row.call), {"al": _Al})  # what a user would paste
        assert written == result.model
        assert {"alliance", "arm"} <= set(result.tidy()["term"])


def test_never_chooses() -> None:
    with pytest.raises(AllianceError, match="'ordinal' does not fit a proportion; those that do: beta, fractional"):
        adherence(trial(), outcome="share", model="ordinal")


def test_why_names_what_was_counted() -> None:
    table = adherence(trial(), outcome="share_ends")
    assert isinstance(table, pd.DataFrame)
    zeros, ones = ((trial()["share_ends"] == end).sum() for end in (0, 1))
    assert f"{zeros} zeros and {ones} ones" in table["why"].iloc[0]


def test_ones_alone_are_not_told_as_zeros() -> None:
    frame = trial().assign(share=lambda d: d["share"].mask(d["id"] <= 3, 1.0))
    table = adherence(frame, outcome="share")
    assert isinstance(table, pd.DataFrame)
    assert table["model"].iloc[0] == "one-inflated beta"
    assert (
        table["why"].iloc[0]
        == "3 ones have chances of their own, as where never missing is another thing than coming often"
    )
    zero = adherence(frame.assign(share=frame["share"].where(frame["id"] > 3, [0.0] + [0.5] * 359)), outcome="share")
    assert isinstance(zero, pd.DataFrame)
    assert zero["why"].iloc[0].startswith("1 zero has a chance of its own, as where not coming at all")


def test_few_clusters_get_the_corrected_covariance() -> None:
    few = adherence(trial(), outcome="share", cluster="therapist")
    many = adherence(trial(), outcome="share", cluster="id")
    assert isinstance(few, pd.DataFrame)
    assert isinstance(many, pd.DataFrame)
    assert "bias_reduced" in few["call"].iloc[-1]
    assert "bias_reduced" not in many["call"].iloc[-1]


def test_missing_values_do_not_hide_the_support() -> None:
    frame = trial().assign(share=lambda d: d["share"].where(d["id"] % 5 > 0))
    table = adherence(frame, outcome="share")
    assert isinstance(table, pd.DataFrame)
    assert table["model"].tolist() == ["beta", "fractional"]


@pytest.mark.parametrize(
    ("column", "values", "options", "message"),
    [
        ("share", lambda d: 100 * d["share"], {}, r"outside 0 to 1 in \d+ rows.*divide per cent by 100"),
        ("share", lambda d: d["share"] - 0.5, {}, "outside 0 to 1"),
        ("share", lambda d: 0.5, {}, "is 0.5 in all 360 rows"),
        ("share", lambda d: d["id"], {}, "sessions completed need assigned="),
        ("share", lambda d: "often", {}, "without an order"),
        ("share", lambda d: np.nan, {}, "no row is complete"),
        (
            "completed",
            lambda d: d["assigned"] + (d["id"] < 3),
            {"assigned": "assigned"},
            "in 2 rows values above 'assigned'",
        ),
        ("completed", lambda d: d["share"], {"assigned": "assigned"}, "in 360 rows fractions; give sessions completed"),
        ("completed", lambda d: -1, {"assigned": "assigned"}, "values below 0"),
        (
            "completed",
            lambda d: 0,
            {"assigned": "assigned"},
            "'completed' is 0 in all 360 rows; there is nothing to explain",
        ),
        ("completed", lambda d: d["assigned"], {"assigned": "assigned"}, "is all of those assigned in all 360 rows"),
        ("share", lambda d: 0.0, {}, "is 0 in all 360 rows"),
        ("assigned", lambda d: 0, {"assigned": "assigned"}, "values below 1; leave out rows"),
        ("assigned", lambda d: 16.5, {"assigned": "assigned"}, "'assigned' has in 360 rows fractions"),
        ("assigned", lambda d: "ten", {"assigned": "assigned"}, "numbers are needed"),
        ("completed", lambda d: "all", {"assigned": "assigned"}, "sessions completed are whole numbers"),
        ("therapist", lambda d: 1, {"cluster": "therapist"}, "has one group only"),
    ],
)
def test_refusals(column: str, values: Any, options: dict[str, str], message: str) -> None:
    frame = trial()
    outcome = "completed" if "assigned" in options else "share"
    with pytest.raises(DataError, match=message):
        adherence(frame.assign(**{column: values(frame)}), outcome=outcome, **options)


def test_absent_column() -> None:
    with pytest.raises(DataError, match=r"no column 'shar' .*did you mean 'share'"):
        adherence(trial(), outcome="shar")
