"""GEE: conformance, invariants, coverage with few clusters, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS
from golden.pinned import data

from alliance_stats import AllianceError, ConvergenceError, DataError, LinearModel, Result, predict, simulate
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE

COMPLETED = "completed | trials(assigned) ~ alliance + arm"


@cache
def trial() -> pd.DataFrame:
    frame = data("adherence_trial").assign(arm=lambda d: np.where(d["arm"] == 1, "enhanced", "usual"))
    frame["wave"] = frame.groupby("therapist").cumcount() + 1.0
    frame.loc[frame.index[::17], "severity"] = np.nan
    return frame.sample(frac=1, random_state=np.random.RandomState(1))


CASES: dict[str, GEE] = {
    "exchangeable": GEE("share_ends ~ alliance * arm", cluster="therapist"),
    "counts": GEE(COMPLETED, cluster="therapist", vcov="bias_reduced", level=0.9),
    "ar1": GEE("share_ends ~ alliance + severity", "binomial", "therapist", "ar1", "probit", time="wave"),
    "independence": GEE("rating ~ alliance + arm", "gaussian", "therapist", "independence"),
    "poisson": GEE("completed ~ poly(alliance, 2) + arm", "poisson", "therapist"),
    "dependent": GEE("share ~ alliance + I(2 * alliance) + arm", cluster="therapist"),
}


@cache
def fitted(name: str) -> Result:
    return CASES[name].fit(trial())


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check.__name__ != "check_simulate"],
    ids=lambda check: check.__name__.removeprefix("check_"),
)
@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, check: Callable[..., Any]) -> None:
    check(fitted(name), CASES[name], trial(), trial().dropna().iloc[[3, 40, 77]])


def test_nothing_to_simulate_from() -> None:
    with pytest.raises(AllianceError, match="no distribution"):
        simulate(fitted("ar1"), 2)


def test_independence_is_the_cluster_sandwich() -> None:
    """CR1 without its G/(G − 1), of the linear and of the fractional model."""
    pairs = [
        (fitted("independence"), LinearModel("rating ~ alliance + arm", "CR1", "therapist").fit(trial())),
        (
            GEE(COMPLETED, cluster="therapist", correlation="independence").fit(trial()),
            FractionalModel(COMPLETED, vcov="CR1", cluster="therapist").fit(trial()),
        ),
    ]
    for gee, sandwich in pairs:
        assert np.allclose(gee.tidy()["estimate"], sandwich.tidy()["estimate"], rtol=1e-9)
        assert np.allclose(gee.covariance, sandwich.covariance * 23 / 24, rtol=1e-8)


def test_order_of_rows_and_names_of_clusters_do_not_matter() -> None:
    frame = trial().sample(frac=1, random_state=np.random.RandomState(3))
    frame["therapist"] = "T" + frame["therapist"].astype(str)
    for name in ("exchangeable", "ar1", "counts"):
        again = CASES[name].fit(frame)
        assert np.allclose(again.tidy()["estimate"], fitted(name).tidy()["estimate"], rtol=1e-7)
        assert np.allclose(again.covariance, fitted(name).covariance, rtol=1e-6)


def test_ar1_counts_the_distance_in_time() -> None:
    """Balanced panels whose residuals are AR(1) with .6: found, also where visits are missing."""
    rng = np.random.default_rng(1)
    e = np.empty((300, 6))
    e[:, 0] = rng.normal(size=300)
    for t in range(1, 6):
        e[:, t] = 0.6 * e[:, t - 1] + 0.8 * rng.normal(size=300)
    frame = pd.DataFrame({"patient": np.repeat(range(300), 6), "visit": np.tile(range(6), 300), "pain": e.ravel()})
    frame["x"] = rng.normal(size=1800)
    kept = frame[rng.random(1800) > 0.3]
    for rows in (frame, kept):
        fit = GEE("pain ~ x", "gaussian", "patient", "ar1", time="visit").fit(rows)
        assert abs(fit.state.alpha - 0.6) < 0.08


def test_few_clusters() -> None:
    """The corrected covariance is larger, has t quantiles at clusters − terms, and the plain one warns."""
    plain = GEE(COMPLETED, cluster="therapist").fit(trial())
    assert any(note.startswith("24 clusters: robust standard errors are too small") for note in plain.notes)
    corrected = fitted("counts")
    assert (corrected.tidy()["std_error"].iloc[:3] > plain.tidy()["std_error"].iloc[:3]).all()
    assert corrected.glance()["df_method"].iloc[0] == "clusters - terms"
    assert (corrected.tidy()["df"].iloc[:3] == 21).all()
    assert plain.glance()["df_method"].iloc[0] == "normal"


def test_type_one_error_with_twelve_clusters() -> None:
    """A covariate of the therapist without effect: 5 % of 300 for the corrected covariance, more for the plain one."""
    rng = np.random.default_rng(5)
    rejected = {"robust": 0, "bias_reduced": 0}
    therapist = np.repeat(np.arange(12), 10)
    for _ in range(300):
        frame = pd.DataFrame({"therapist": therapist, "x": rng.normal(size=12)[therapist]})
        eta = rng.normal(0, 0.5, 12)[therapist]
        frame["came"] = rng.binomial(1, 1 / (1 + np.exp(-eta)))
        for vcov in rejected:
            p = GEE("came ~ x", cluster="therapist", vcov=vcov).fit(frame).tidy()["p_value"].iloc[1]  # type: ignore[arg-type]
            rejected[vcov] += int(p < 0.05)
    assert rejected["bias_reduced"] / 300 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert rejected["robust"] / 300 > 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_predictions_stay_inside() -> None:
    rows = predict(fitted("dependent"), pd.DataFrame({"alliance": [-40.0, 50.0], "arm": "usual"}))
    assert rows["conf_low"].ge(0).all()
    assert rows["conf_high"].le(1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "beta"}, "family is 'beta'"),
        ({"link": "log"}, "link is 'log'; family 'binomial' has logit"),
        ({"correlation": "unstructured"}, "correlation is 'unstructured'"),
        ({"vcov": "CR2"}, "vcov is 'CR2'"),
        ({"cluster": ""}, "GEE needs cluster="),
        ({"correlation": "ar1"}, "'ar1' needs time="),
        ({"time": "wave"}, "does not use time='wave'"),
        ({"level": 2}, "level is 2"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        GEE("share ~ arm", **({"cluster": "therapist"} | options))


def test_refusals() -> None:
    frame = trial()
    with pytest.raises(DataError, match="outside 0 to 1"):
        GEE("share ~ arm", cluster="therapist").fit(frame.assign(share=frame["share"] + 0.5))
    with pytest.raises(DataError, match=r"above the trials \(assigned\)"):
        GEE(COMPLETED, cluster="therapist").fit(frame.assign(completed=40))
    with pytest.raises(DataError, match="3 clusters cannot support 3 terms"):
        GEE(COMPLETED, cluster="therapist").fit(frame.assign(therapist=frame["id"] % 3))
    with pytest.raises(DataError, match="all rows are in one cluster"):
        GEE(COMPLETED, cluster="therapist").fit(frame.assign(therapist=1))
    with pytest.raises(DataError, match="same time twice in a cluster"):
        GEE("share ~ arm", cluster="therapist", correlation="ar1", time="arm01").fit(frame.assign(arm01=1))
    with pytest.raises(DataError, match="holds str values; numbers are needed"):
        GEE("share ~ arm", cluster="therapist", correlation="ar1", time="label").fit(frame.assign(label="a"))
    with pytest.raises(AllianceError, match="has no trials"):
        GEE("completed | trials(assigned) ~ arm", "poisson", cluster="therapist").fit(frame)
    with pytest.raises(AllianceError, match="no random effects"):
        GEE("share ~ arm + (1 | therapist)", cluster="therapist").fit(frame)
    with pytest.raises(ConvergenceError, match="'alliance' separates"):
        GEE("came ~ alliance", cluster="therapist").fit(frame.assign(came=(frame["alliance"] > 5).astype(float)))


def test_lone_patients_are_noted() -> None:
    frame = trial().assign(therapist=lambda d: d["therapist"].mask(d["id"] == 1, 999))
    for vcov in ("robust", "bias_reduced"):
        fit = GEE(COMPLETED, cluster="therapist", vcov=vcov).fit(frame)  # type: ignore[arg-type]
        assert fit.notes[0].startswith("1 of 25 clusters in 'therapist' hold one row only")
    alone = GEE("share ~ arm", cluster="id").fit(frame)  # every patient a cluster: HC0
    plain = FractionalModel("share ~ arm").fit(frame)
    assert np.allclose(alone.covariance, plain.covariance * 358 / 360, rtol=1e-8)
