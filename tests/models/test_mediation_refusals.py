"""What Mediation and process_model refuse, and what the message says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError, ConvergenceError, DataError, FormulaError
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.process_models import process_model

DATA = Path(__file__).parents[2] / "validation" / "data"
M, Y = ("alliance ~ arm",), "pain ~ arm + alliance"
BINARY = {"responder": "binomial"}


@cache
def trial() -> pd.DataFrame:
    return pd.read_csv(DATA / "mediation_trial.csv")


def declared(**options: Any) -> Mediation:
    return Mediation(**{"mediators": M, "outcome": Y, "exposure": "arm", "interval": "delta", **options})


DECLARATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "mediator is exposure": ({"mediators": ["arm ~ severity"]}, "mediator 'arm' is the exposure"),
    "mediator is outcome": ({"mediators": ["pain ~ arm"]}, "mediator 'pain' is the outcome"),
    "exposure is outcome": ({"exposure": "pain"}, "is the outcome, too"),
    "outcome predicts": ({"mediators": ["alliance ~ arm + pain"]}, "'pain' cannot predict a mediator"),
    "no exposure": ({"exposure": "amr"}, "exposure='amr' (did you mean 'arm'?) is in none of the equations"),
    "mediator without cause": ({"mediators": ["alliance ~ severity"]}, "neither the exposure 'arm' nor an earlier mediator"),
    "idle mediator": ({"outcome": "pain ~ arm"}, "mediator 'alliance' predicts nothing"),
    "cycle": (
        {"mediators": ["alliance ~ arm + trust", "trust ~ arm + alliance"], "outcome": "pain ~ arm + alliance + trust"},
        "'alliance', 'trust' depend on one another in a circle",
    ),
    "twice": ({"mediators": ["alliance ~ arm", "alliance ~ arm + w"]}, "'alliance' has two equations"),
    "computed mediator": ({"mediators": ["log(alliance) ~ arm"], "outcome": Y}, "a mediator is a column"),
    "none": ({"mediators": []}, "mediators is empty"),
    "family": ({"family": {"pain": "weibull"}}, "family of 'pain' is 'weibull'; possible are 'gaussian'"),
    "family of nobody": ({"family": {"pian": "poisson"}}, "'pian' (did you mean 'pain'?) is no response"),
    "family shape": ({"family": "binomial"}, "give a dictionary"),
    "interval": ({"interval": "wald"}, "interval is 'wald'; use one of percentile, bca"),
    "scale": ({"scale": "logit"}, "scale is 'logit'; use one of response"),
    "average": ({"average": "median"}, "average is 'median'"),
    "vcov": ({"vcov": "HC9"}, "vcov is 'HC9'"),
    "vcov without cluster": ({"vcov": "CR2"}, "needs cluster="),
    "cluster not used": ({"vcov": "HC3", "cluster": "therapist"}, "is not used by vcov='HC3'"),
    "within": ({"within": True}, "within=True needs cluster="),
    "same contrast": ({"contrast": (1, 1)}, "give two different values"),
    "long contrast": ({"contrast": (1, 2, 3)}, "give two different values"),
    "draws": ({"draws": 1}, "draws is 1"),
    "level": ({"level": 95}, "level is 95"),
}  # fmt: skip


@pytest.mark.parametrize("case", DECLARATIONS)
def test_declarations_that_are_refused(case: str) -> None:
    options, message = DECLARATIONS[case]
    with pytest.raises(AllianceError, match=re.escape(message)):
        declared(**options)


def test_a_survival_outcome_needs_a_horizon() -> None:
    with pytest.raises(FormulaError, match="use the state at a fixed time"):
        declared(outcome="Surv(week, left) ~ arm + alliance")
    with pytest.raises(AllianceError, match="a ratio of hazards is no natural effect"):
        declared(family={"pain": "cox"})


def one_arm(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(arm=1)


def separated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(responder=(frame["alliance"] > 4.5).astype(int))


def same(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


FITS: dict[str, tuple[dict[str, Any], Callable[[pd.DataFrame], pd.DataFrame], type[AllianceError], str]] = {
    "one level": ({}, one_arm, DataError, "exposure='arm' is 1 in every row"),
    "level not in the data": ({"contrast": (0, 2)}, same, DataError, "'arm' has no row with 2; levels: 0, 1"),
    "levels of a number": (
        {"mediators": ["alliance ~ w"], "outcome": "pain ~ w + alliance", "exposure": "w", "contrast": ("low", "high")}, same,
        DataError, "'w' holds numbers",
    ),
    "separation": (
        {"outcome": "responder ~ arm + alliance", "family": BINARY}, separated, ConvergenceError,
        "separates the levels of 'responder' completely",
    ),
    "separated mediator": (
        {"mediators": ["bonded ~ arm"], "outcome": "pain ~ arm + bonded", "family": {"bonded": "probit"}},
        lambda frame: frame.assign(bonded=frame["arm"]), ConvergenceError, "separates the levels of 'bonded'",
    ),
    "not binary": ({"family": {"alliance": "binomial"}}, same, DataError, "'alliance' with family 'binomial' must be 0 or 1"),
    "not counts": ({"family": {"pain": "poisson"}}, same, DataError, "must be a count"),
    "too many levels": ({"family": {"pain": "ordered logit"}}, same, DataError, "at most 20"),
    "constant mediator": ({}, lambda frame: frame.assign(alliance=3.0), DataError, "'alliance' is 3 in every row"),
    "constant moderator": (
        {"mediators": ["alliance ~ arm * w"], "at": {"w": "sd"}}, lambda frame: frame.assign(w=1.0), DataError,
        "moderator 'w' is 1.0 in every row",
    ),
    "unknown moderator": ({"at": {"sverity": [0]}}, same, DataError, "no column 'sverity'"),
    "moderator is mediator": ({"at": {"alliance": [0]}}, same, AllianceError, "is the exposure or a mediator"),
    "moderator values": ({"mediators": ["alliance ~ arm * w"], "at": {"w": "quartiles"}}, same, AllianceError, "'percentiles'"),
    "held": ({"held": {"w": 1}}, same, DataError, "no column 'w'"),
    "curved": ({"outcome": "pain ~ arm + alliance + I(alliance^2)"}, same, AllianceError, "enters by a curve"),
    "dependent": ({"mediators": ["alliance ~ arm + I(2 * arm)"]}, same, DataError, "depends on other terms"),
    "few rows": ({}, lambda frame: frame.iloc[:3].assign(arm=[0, 1, 1]), DataError, "cannot estimate 3 terms"),
    "nothing complete": ({}, lambda frame: frame.assign(pain=np.nan), DataError, "no row is complete"),
    "true and false": ({}, lambda frame: frame.assign(alliance=frame["alliance"] > 4), FormulaError, "a number is needed"),
    "one cluster": ({"cluster": "therapist"}, lambda frame: frame.assign(therapist=1), DataError, "in one cluster"),
    "few clusters for BCa": (
        {"cluster": "therapist", "interval": "bca"}, lambda frame: frame.assign(therapist=frame["therapist"] % 6), DataError,
        "has 6 clusters; interval='bca' needs 10 or more",
    ),
    "CR2 of a logit": (
        {"outcome": "responder ~ arm + alliance", "family": BINARY, "vcov": "CR2", "cluster": "therapist"}, same,
        AllianceError, "use vcov='CR1'",
    ),
    "odds ratio of means": ({"scale": "odds-ratio"}, same, AllianceError, "is for a binomial (logit) or poisson outcome"),
    "HC3 of an ordered response": (
        {"outcome": "mood ~ arm + alliance", "family": {"mood": "ordered logit"}, "vcov": "HC3"}, same, AllianceError,
        "use 'HC0'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FITS)
def test_fits_that_are_refused(case: str) -> None:
    options, change, error, message = FITS[case]
    with pytest.raises(error, match=re.escape(message)):
        declared(**options).fit(change(trial()))


def test_bootstrap_that_mostly_fails_gives_no_number() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"arm": [1] + [0] * 11, "m": rng.normal(size=12), "y": rng.normal(size=12)})
    frame["c"] = [0, 1] + [0] * 10
    model = Mediation(["m ~ arm + c"], "y ~ arm + m + c", "arm", draws=300)
    with pytest.raises(ConvergenceError, match="fewer than half of the 300 draws"):
        model.fit(frame)


def test_few_clusters_are_noted() -> None:
    frame = trial().assign(therapist=trial()["therapist"] % 6)
    notes = declared(cluster="therapist").fit(frame).notes
    assert any("6 clusters are few" in note for note in notes)


PROCESS: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"number": 99, "m": "m"}, "number is 99; use 1, 4, 5"),
    "no mediator": ({"number": 4}, "m is missing"),
    "no moderator": ({"number": 7, "m": "m"}, "w is missing"),
    "moderator too many": ({"number": 4, "m": "m", "w": "w"}, "has no moderator w"),
    "second moderator": ({"number": 7, "m": "m", "w": "w", "z": "z"}, "no second moderator z"),
    "serial needs two": ({"number": 6, "m": "m"}, "two mediators or more"),
    "moderation alone": ({"number": 1, "m": "m", "w": "w"}, "has no mediator"),
}


@pytest.mark.parametrize("case", PROCESS)
def test_process_models_that_are_refused(case: str) -> None:
    options, message = PROCESS[case]
    with pytest.raises(AllianceError, match=re.escape(message)):
        process_model(options.pop("number"), x="x", y="y", **options)


EQUATIONS = {
    4: ("m ~ x + c", "y ~ x + m + c"),
    5: ("m ~ x + c", "y ~ x * w + m + c"),
    7: ("m ~ x * w + c", "y ~ x + m + c"),
    8: ("m ~ x * w + c", "y ~ x * w + m + c"),
    14: ("m ~ x + c", "y ~ x + m * w + c"),
    15: ("m ~ x + c", "y ~ x * w + m * w + c"),
    58: ("m ~ x * w + c", "y ~ x + m * w + c"),
    59: ("m ~ x * w + c", "y ~ x * w + m * w + c"),
}


@pytest.mark.parametrize("number", EQUATIONS)
def test_process_numbers_are_these_equations(number: int) -> None:
    model = process_model(number, x="x", m="m", y="y", w=None if number == 4 else "w", covariates=["c"])
    assert repr(model).splitlines()[1:] == [f"  {line}" for line in EQUATIONS[number]]


def test_process_models_one_and_six() -> None:
    assert process_model(1, x="x", y="y", w="w", covariates=["c"]) == LinearModel("y ~ x * w + c")
    model = process_model(6, x="x", m=["m1", "m2", "m3"], y="y")
    assert isinstance(model, Mediation)
    assert model.mediators == ("m1 ~ x", "m2 ~ x + m1", "m3 ~ x + m1 + m2")
