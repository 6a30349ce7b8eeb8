"""Every model through the one checker; a new model is one more line in CASES."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS, check_result

from alliance_stats import Centre, Lag, LinearModel, Mediation, Result
from alliance_stats.inference.interventional import InterventionalEffects
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.mixed import MixedModel

DATA = Path(__file__).parents[2] / "validation" / "data"


class Case(NamedTuple):
    """A declaration, the data it is fitted to and rows with complete predictors."""

    model: Any
    data: pd.DataFrame
    new: pd.DataFrame


@cache
def trial() -> pd.DataFrame:
    frame = pd.read_csv(DATA / "trial.csv").set_index("patient")
    return frame.assign(
        responder=frame["outcome"] > 0,
        severity=pd.Categorical(pd.cut(frame["baseline"], [0, 50, 65, 200], labels=["mild", "moderate", "severe"])),
        week=np.arange(len(frame)) % 4,
    )


@cache
def sessions() -> pd.DataFrame:
    """Thirty patients, six sessions each but for gaps, rows not in order."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"patient": np.repeat(np.arange(30), 6), "session": np.tile(np.arange(1, 7), 30)})
    frame["therapist"] = frame["patient"] // 6
    frame["alliance"] = 50 + rng.normal(size=30)[frame["patient"]] * 5 + rng.normal(size=len(frame)) * 3
    frame["pain"] = 6 - 0.1 * frame["alliance"] - 0.2 * frame["session"] + rng.normal(size=len(frame))
    return frame.sample(frac=0.9, random_state=np.random.RandomState(1))


def patients(*numbers: int) -> pd.DataFrame:
    """All sessions of some patients."""
    return sessions()[sessions()["patient"].isin(numbers)].sort_values("patient", kind="stable")


def linear(formula: str, data: Callable[[], pd.DataFrame] = trial, **options: Any) -> Case:
    return Case(LinearModel(formula, **options), data(), trial().iloc[[3, 14, 90]])


def clustered(formula: str, vcov: Any, **options: Any) -> Case:
    return linear(formula, vcov=vcov, cluster="therapist", **options)


def missing() -> pd.DataFrame:
    return pd.read_csv(DATA / "trial_missing.csv").set_index("patient")


def renamed(names: dict[str, str], formula: str, **options: Any) -> Case:
    case = linear(formula, **options)
    return Case(case.model, case.data.rename(columns=names), case.new.rename(columns=names))


def retyped(types: dict[str, Any], formula: str, **options: Any) -> Case:
    case = linear(formula, **options)
    return Case(case.model, case.data.astype(types), case.new.astype(types))


CENTRED = (Centre("alliance", by="patient"),)
LAGGED = (Lag("alliance"), Centre("alliance_lag1", by=("patient", "therapist"), grand_mean=True))


def prepared(formula: str, prepare: Any, new: pd.DataFrame, **options: Any) -> Case:
    return Case(LinearModel(formula, prepare=prepare, **options), sessions(), new)


@cache
def therapy(name: str = "therapy") -> pd.DataFrame:
    """Sessions in patients in therapists, with missing ratings; `partial`: untreated patients have no therapist."""
    return pd.read_csv(DATA / f"mixed_{name}.csv")


def mixed(formula: str, data: Callable[[], pd.DataFrame] = therapy, **options: Any) -> Case:
    return Case(MixedModel(formula, **options), data(), data().iloc[[3, 14, 90]])


def one_patient(frame: pd.DataFrame) -> pd.DataFrame:
    """All sessions of a patient, so that steps by patient find their rows."""
    return frame[frame["patient"] == frame["patient"].iloc[0]]


def centred_mixed(formula: str, *steps: Any, **options: Any) -> Case:
    data = therapy().drop(columns=["alliance_within", "alliance_between"])
    return Case(MixedModel(formula, prepare=steps, **options), data, one_patient(data))


@cache
def mediated() -> pd.DataFrame:
    """Treatment, alliance and pain, with a second mediator, yes-or-no and count outcomes."""
    return pd.read_csv(DATA / "mediation_trial.csv")


def mediation(mediators: str | list[str], outcome: str, exposure: str = "arm", **options: Any) -> Case:
    kind = options.pop("kind", Mediation)
    texts = [mediators] if isinstance(mediators, str) else mediators
    return Case(
        kind(texts, outcome, exposure, **{"interval": "delta"} | options), mediated(), mediated().iloc[[3, 14, 90]]
    )


def mediation_of_time(outcome: str, **options: Any) -> Case:
    """Weeks until half of the patients, those with more pain sooner, have left."""
    frame = mediated().assign(
        weeks=lambda d: 1 + d["pain"].rank(ascending=False, method="first") // 10, left=lambda d: np.arange(len(d)) % 2
    )
    given = {"horizon": 10, "interval": "percentile", "draws": 40} | options
    return Case(Mediation("alliance ~ arm + severity", outcome, "arm", **given), frame, frame.iloc[[3, 14, 90]])


@cache
def adherence() -> pd.DataFrame:
    frame = pd.read_csv(DATA / "glmm_adherence.csv")
    frame = frame.assign(arm=np.where(frame["arm"] == 1, "enhanced", "usual"))
    return frame.sample(frac=1, random_state=np.random.RandomState(1))


@cache
def attendance() -> pd.DataFrame:
    """Sessions numbered in the order of the rows, as preparing steps want them."""
    return pd.read_csv(DATA / "glmm_sessions.csv")


@cache
def attendance_missing() -> pd.DataFrame:
    frame = attendance()
    return frame.assign(x=frame["x"].mask(np.arange(len(frame)) % 17 == 0), session=frame["session"].astype(float))


@cache
def periods() -> pd.DataFrame:
    """Sessions at risk of dropping out, 300 patients of 20 therapists."""
    frame = pd.read_csv(DATA / "survival_sessions.csv")
    return frame.assign(stage=np.minimum(frame["session"], 10))


def generalized(
    formula: str, family: str = "binomial", data: Callable[[], pd.DataFrame] = attendance_missing, **options: Any
) -> Case:
    return Case(GeneralizedMixedModel(formula, family, **options), data(), data().iloc[[3, 40, 77]])


def hazards(formula: str, **options: Any) -> Case:
    return Case(DiscreteTimeModel(formula, **options), periods(), periods().iloc[[3, 40, 77]])


COMPLETED = "completed | trials(assigned) ~ alliance + arm + severity + (1 | therapist)"
FULL = "outcome ~ alliance * arm + baseline"
WITHIN = "outcome ~ alliance_within + alliance_between + week + arm"
CASES: dict[str, Case] = {
    "classical": linear(FULL),
    "HC3": linear(FULL, vcov="HC3"),
    "CR1": clustered(FULL, "CR1"),
    "CR1S": clustered(FULL, "CR1S"),
    "CR2": clustered(FULL, "CR2", level=0.9),
    "missing values": linear(FULL, missing),
    "missing values CR2": Case(LinearModel(FULL, vcov="CR2", cluster="therapist"), missing(), linear(FULL).new),
    "dependent terms": linear("outcome ~ arm + baseline + I(2 * baseline)"),
    "factors only": linear("outcome ~ arm * sex"),
    "cell means": linear("outcome ~ 0 + arm:sex", vcov="HC3"),
    "intercept only": linear("outcome ~ 1"),
    "without an intercept": linear("outcome ~ 0 + baseline"),
    "transforms": linear("log(baseline) ~ alliance + I(alliance^2) + sqrt(week + 1)"),
    "polynomial": linear("outcome ~ poly(alliance, 2) * arm"),
    "spline": linear("outcome ~ bs(alliance, df=4) + arm", vcov="HC3"),
    "scaled": linear("outcome ~ scale(alliance) + center(baseline)"),
    "contrasts": linear("outcome ~ C(arm, Treatment('SMT')) + C(sex, Sum)"),
    "numbers as a factor": linear("outcome ~ C(week) + baseline"),
    "true and false": clustered("outcome ~ responder * arm", "CR2"),
    "categories": linear("outcome ~ severity * alliance"),
    "text of pyarrow": retyped({"arm": "string[pyarrow]"}, FULL),
    "nullable numbers": retyped(
        {"alliance": "Float64", "week": "Int64", "responder": "boolean"}, "outcome ~ alliance + week + responder"
    ),
    "small numbers": retyped({"week": "int8", "baseline": "float32"}, "outcome ~ I(week^2) + baseline"),
    "names with spaces": renamed(
        {"alliance": "alliance at 2", "arm": "my arm"}, "outcome ~ `alliance at 2` * `my arm`"
    ),
    "names with marks": renamed(
        {"alliance": "<b>x", "baseline": "a&b \"c\" 'd'"}, "outcome ~ `<b>x` + `a&b \"c\" 'd'`"
    ),
    "names like formulas": renamed(
        {"alliance": "x:y", "baseline": "a + b^2", "arm": "f(x"}, "outcome ~ `x:y` * `f(x` + I(`a + b^2`^2)"
    ),
    "names with dots": renamed({"alliance": "WAI.total", "outcome": "pain.post"}, "pain.post ~ WAI.total + arm"),
    "names of functions": renamed({"alliance": "log", "arm": "C", "baseline": "sum"}, "outcome ~ log + C + I(sum^2)"),
    "foreign names": renamed({"alliance": "Bündnis", "arm": "群"}, "outcome ~ Bündnis * 群"),
    "centred": prepared("pain ~ alliance_within + alliance_between + session", CENTRED, patients(2, 17)),
    "lagged and centred": prepared(
        "pain ~ alliance_lag1_within + alliance_lag1_between_patient + session",
        LAGGED,
        patients(2, 17).assign(patient=lambda d: d["patient"] + 100, therapist=9),
        vcov="CR2",
        cluster="therapist",
    ),
    "mixed": mixed(f"{WITHIN} + (1 | patient)"),
    "mixed nested slopes": mixed(f"{WITHIN} + (1 + week | patient) + (1 + alliance_within | therapist)"),
    "mixed uncorrelated": mixed(f"{WITHIN} + (week || patient)"),
    "mixed crossed": mixed("outcome ~ week * arm + (1 | therapist) + (1 | case)", level=0.9),
    "mixed nested by formula": mixed("outcome ~ week + (1 | therapist/case)", method="ML"),
    "mixed slopes of factors": mixed("outcome ~ week + arm + (1 | patient) + (0 + arm | therapist)"),
    "mixed boundary": mixed(
        f"{WITHIN} + (1 + week | patient) + (1 + week | therapist)", lambda: therapy("therapy_small")
    ),
    "mixed ML": mixed(f"{WITHIN} + (1 + week | patient) + (1 | therapist)", method="ML"),
    "mixed Kenward-Roger": mixed(f"{WITHIN} + (1 + week | patient) + (1 | therapist)", df_method="kenward-roger"),
    "mixed normal": mixed(f"{WITHIN} + (1 + week | patient)", df_method="normal"),
    "mixed weights": mixed(f"{WITHIN} + (1 | patient)", weights="weight"),
    "mixed residual variances": mixed(f"{WITHIN} + (1 + week | patient)", residual_by="arm"),
    "mixed residual variances Kenward-Roger": mixed(
        f"{WITHIN} + (1 | patient)", residual_by="arm", weights="weight", df_method="kenward-roger"
    ),
    "mixed without a group": mixed(
        "outcome ~ treated * week + baseline + (1 | patient) + (0 + treated | therapist)", lambda: therapy("partial")
    ),
    "mixed dependent terms": mixed("outcome ~ week + I(2 * week) + arm + (1 | patient)"),
    "mixed transforms": mixed("outcome ~ poly(week, 2) + scale(alliance) + (1 + center(week) | patient)"),
    "mixed centred": centred_mixed(
        f"{WITHIN} + (1 + alliance_within | patient)", Centre("alliance", by="patient"), df_method="kenward-roger"
    ),
    "mixed lagged outcome": centred_mixed("outcome ~ outcome_lag1 + week + (1 | patient)", Lag("outcome")),
    "mixed names": Case(
        MixedModel("`the outcome` ~ `x:y` + (1 + `x:y` | `a/b`)"),
        therapy().rename(columns={"outcome": "the outcome", "week": "x:y", "patient": "a/b"}),
        therapy().rename(columns={"outcome": "the outcome", "week": "x:y", "patient": "a/b"}).iloc[[5, 8, 200]],
    ),
    "mediation": mediation(
        "alliance ~ arm + severity", "pain ~ arm + alliance + severity", interval="percentile", draws=200
    ),
    "mediation interaction": mediation(
        "alliance ~ arm * w", "pain ~ arm * alliance + w", at={"w": "sd"}, randomised=True
    ),
    "mediation serial clusters": mediation(
        ["alliance ~ arm", "trust ~ arm + alliance"], "pain ~ arm + alliance + trust", cluster="therapist"
    ),
    "mediation of levels": mediation("alliance ~ group", "pain ~ group + alliance", "group", interval="product"),
    "mediation logit": mediation("alliance ~ arm", "responder ~ arm + alliance", family={"responder": "binomial"}),
    "mediation odds ratio": mediation(
        "alliance ~ arm", "responder ~ arm * alliance", family={"responder": "binomial"}, scale="odds-ratio"
    ),
    "mediation of time": mediation_of_time("Surv(weeks, left) ~ arm * alliance + severity"),
    "mediation of time in clusters": mediation_of_time(
        "Surv(weeks, left == 1) ~ arm + alliance", cluster="therapist", within=True, randomised=True
    ),
    "mediation of time at means": mediation_of_time(
        "Surv(weeks, left) ~ arm + alliance + C(group)", interval="monte-carlo", average="means"
    ),
    "interventional": mediation(
        ["alliance ~ arm + severity", "trust ~ arm + alliance + severity"],
        "pain ~ arm * trust + alliance + severity",
        kind=InterventionalEffects,
        interval="bca",
        draws=200,
    ),
    "generalized binomial": generalized(COMPLETED, data=adherence),
    "generalized quadrature": generalized(COMPLETED, data=adherence, quadrature=9, level=0.9),
    "generalized beta-binomial": generalized(COMPLETED, "betabinomial", adherence, link="cloglog"),
    "generalized beta": generalized("share ~ alliance * arm + (1 | therapist)", "beta", adherence),
    "generalized binary nested": generalized("attended ~ x + session + (1 | patient) + (1 | therapist)", link="probit"),
    "generalized crossed slopes": generalized(
        "exercises ~ x + session + (1 + x | patient) + (1 | room)", "poisson", exposure="days"
    ),
    "generalized negative binomial": generalized(
        "exercises ~ poly(session, 2) + (1 | patient)", "negativebinomial", exposure="days"
    ),
    "generalized singular": generalized("attended ~ x + session + (1 + session | room)"),
    "generalized centred": generalized(
        "attended ~ x_within + x_between + (1 | patient)",
        data=attendance,
        prepare=(Centre("x", by="patient", time="session"),),
    ),
    "hazards": hazards("drop ~ session + alliance + arm", patient="id"),
    "hazards of every session": hazards("drop ~ 0 + C(stage) + alliance", link="logit", level=0.9),
    "hazards with clusters": hazards("drop ~ session * alliance + I(2 * session)", cluster="therapist"),
    "hazards of therapists": hazards("drop ~ session + alliance + (1 | therapist)", quadrature=9),
    "hazards centred": Case(
        DiscreteTimeModel(
            "drop ~ alliance_within + alliance_between + (1 | therapist)", prepare=(Centre("alliance", by="id"),)
        ),
        periods(),
        periods()[periods()["id"] == 4],
    ),
}


@cache
def fitted(name: str) -> Result:
    return CASES[name].model.fit(CASES[name].data)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, check: Callable[..., None]) -> None:
    check(fitted(name), *CASES[name])


def test_the_checker_runs_all_checks() -> None:
    check_result(fitted("classical"), *CASES["classical"])


def test_the_checker_notices() -> None:
    """A result whose tidy frame, covariance or notes are off does not pass."""
    result, case = fitted("classical"), CASES["classical"]
    rows = result.estimates
    broken: dict[str, Any] = {
        "estimates": rows.assign(p_value=0.0),
        "covariance": result.covariance * 2,
        "statistics": result.statistics.assign(favourite=1),
        "notes": ["a list"],
        "frame": result.frame.iloc[::-1],
    }
    for name, value in broken.items():
        spoilt = Result(**{field: getattr(result, field) for field in result.__dataclass_fields__} | {name: value})
        with pytest.raises((AssertionError, ValueError)):
            check_result(spoilt, *case)
    for wrong in (rows.assign(conf_low=rows["conf_high"] + 1), rows.drop(columns="at"), rows.assign(component="other")):
        spoilt = Result(
            **{field: getattr(result, field) for field in result.__dataclass_fields__} | {"estimates": wrong}
        )
        with pytest.raises(AssertionError):
            check_result(spoilt, *case)
