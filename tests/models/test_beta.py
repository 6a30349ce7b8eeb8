"""BetaModel: conformance, recovery, the mean of its parts, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS
from golden.pinned import data

from alliance_stats import AllianceError, Centre, ConvergenceError, DataError, Result, contrast, predict, simulate
from alliance_stats.models.beta import BetaModel


@cache
def trial() -> pd.DataFrame:
    frame = data("adherence_trial").assign(arm=lambda d: np.where(d["arm"] == 1, "enhanced", "usual"))
    frame.loc[frame.index[::17], "severity"] = np.nan
    return frame.sample(frac=1, random_state=np.random.RandomState(1))


CASES: dict[str, BetaModel] = {
    "beta": BetaModel("share ~ alliance * arm"),
    "precision": BetaModel("share ~ alliance + arm", precision="~ arm + alliance", link="probit", level=0.9),
    "clusters": BetaModel("share ~ alliance + severity", vcov="CR1", cluster="therapist", link="cloglog"),
    "inflated": BetaModel("share_ends ~ alliance + arm", zero="~ alliance", one="~ 1"),
    "inflated clusters": BetaModel(
        "share_ends ~ poly(alliance, 2)", precision="arm", zero="1", one="arm", vcov="CR1", cluster="therapist"
    ),
    "dependent": BetaModel("share ~ alliance + I(2 * alliance) + arm"),
}


@cache
def fitted(name: str) -> Result:
    return CASES[name].fit(trial())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, check: Callable[..., Any]) -> None:
    check(fitted(name), CASES[name], trial(), trial().dropna().iloc[[3, 40, 77]])


def test_mean_is_that_of_all_parts() -> None:
    """In every cell of a saturated model the mean of simulated outcomes is the fitted one."""
    fit = BetaModel("share_ends ~ arm", precision="arm", zero="arm", one="arm").fit(trial())
    draws = simulate(fit, 2000, rng=3)
    error = draws.mean(axis=1).std() / np.sqrt(2000)
    assert abs(draws.mean() - fit.augment()["fitted"].mean()) < 4 * error
    for arm, rows in fit.augment().groupby("arm"):
        ends = (draws[:, (fit.frame["arm"] == arm).to_numpy()] == 1).mean()
        assert abs(ends - (rows["share_ends"] == 1).mean()) < 0.005  # saturated: the share of ones itself


def test_delta_errors_against_differences() -> None:
    """The standard error of a mean is that of a linear function: checked by refitting the gradient by differences."""
    from alliance_stats.models.beta_predict import combined

    fit = fitted("inflated")
    state, frame = fit.state, fit.frame.head(4)
    base = np.concatenate([part.coefficients for part in state.parts])

    def mean(theta: np.ndarray) -> np.ndarray:
        eta = {part.name: part.linear(frame)[0] @ theta[part.places] for part in state.parts}
        return combined(state.link, eta).mean

    steps = 1e-6 * np.eye(len(base))
    J = np.array([(mean(base + s) - mean(base - s)) / 2e-6 for s in steps]).T
    expected = np.sqrt(np.einsum("ij,jk,ik->i", J, state.joint, J))
    assert np.allclose(predict(fit, frame)["std_error"], expected, rtol=1e-6)


def test_recovery() -> None:
    """Bias within four Monte Carlo errors and standard errors that are those of the estimates, with 200 trials."""
    rng = np.random.default_rng(8)
    estimates, errors = [], []
    for _ in range(200):
        frame = pd.DataFrame({"alliance": rng.normal(size=150), "arm": rng.integers(0, 2, 150)})
        mu = 1 / (1 + np.exp(-0.3 - 0.5 * frame["alliance"]))
        phi = np.exp(1.5 + 0.5 * frame["arm"])
        frame["share"] = rng.beta(mu * phi, (1 - mu) * phi)
        fit = BetaModel("share ~ alliance", precision="arm").fit(frame[(frame["share"] > 0) & (frame["share"] < 1)])
        rows = fit.tidy()
        estimates.append(rows["estimate"])
        errors.append(rows["std_error"])
    found, truth = np.array(estimates), np.array([0.3, 0.5, 1.5, 0.5])
    monte_carlo = found.std(axis=0) / np.sqrt(200)
    assert (np.abs(found.mean(axis=0) - truth)[[0, 1, 3]] < 4 * monte_carlo[[0, 1, 3]]).all()
    assert abs(found.mean(axis=0)[2] - 1.5) < 0.06  # the precision of small samples is biased upwards, by about p/n
    assert np.allclose(np.mean(errors, axis=0) / found.std(axis=0), 1, atol=0.2)


def test_bounded_intervals() -> None:
    fit = BetaModel("share ~ alliance").fit(trial())
    rows = fit.model._predicted(fit, pd.DataFrame({"alliance": [-40.0, 5.0, 60.0]}))
    assert (rows["conf_low"] > 0).all()
    assert (rows["conf_high"] < 1).all()
    assert ((rows["conf_low"] < rows["fitted"]) & (rows["fitted"] < rows["conf_high"])).all()


def test_contrasts_are_on_the_scale_of_the_link() -> None:
    fit = BetaModel("share ~ alliance + arm").fit(trial())
    row = contrast(fit, "arm").iloc[0]
    assert np.isclose(abs(row["estimate"]), abs(fit.tidy().set_index("term").loc["arm[T.usual]", "estimate"]))


def test_prepared() -> None:
    steps = (Centre("alliance", by="therapist", time="id"),)
    fit = BetaModel("share ~ alliance_within + alliance_between", prepare=steps).fit(data("adherence_trial"))
    assert fit.tidy()["term"].tolist()[1:3] == ["alliance_within", "alliance_between"]


def test_missing_predictors_of_a_part() -> None:
    fit = BetaModel("share_ends ~ alliance", zero="severity", one="1").fit(trial())
    new = pd.DataFrame({"alliance": [5.0, 5.0], "severity": [0.0, np.nan]})
    assert predict(fit, new)["fitted"].isna().tolist() == [False, True]
    assert fit.notes[0] == "22 of 360 rows left out for missing values (severity 22)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link": "log"}, "link is 'log'"),
        ({"vcov": "HC3"}, "vcov is 'HC3'"),
        ({"vcov": "CR1"}, "vcov='CR1' alone"),
        ({"cluster": "therapist"}, "cluster='therapist' is not used"),
        ({"level": 95}, "level is 95"),
        ({"prepare": "Centre"}, "prepare is a str"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        BetaModel("share ~ arm", **options)


def test_refusals() -> None:
    frame = trial()
    with pytest.raises(DataError, match=r"'share' holds values outside 0 to 1 in 2 rows .*per cent"):
        BetaModel("share ~ arm").fit(frame.assign(share=frame["share"].where(frame["id"] > 2, 35.0)))
    with pytest.raises(DataError, match=r"exactly 0 in \d+ rows.*zero='~ 1'"):
        BetaModel("share_ends ~ arm").fit(frame)
    with pytest.raises(DataError, match=r"exactly 1 in \d+ rows.*one='~ 1'"):
        BetaModel("share_ends ~ arm", zero="~ 1").fit(frame)
    with pytest.raises(DataError, match="zero= is given, but outcome 'share' is 0 in no row"):
        BetaModel("share ~ arm", zero="~ 1").fit(frame)
    with pytest.raises(DataError, match="nothing to explain"):
        BetaModel("share ~ arm").fit(frame.assign(share=0.5))
    with pytest.raises(DataError, match="cannot estimate 5 coefficients"):
        BetaModel("share ~ alliance + arm + severity").fit(frame.dropna().head(5))
    with pytest.raises(AllianceError, match="BetaModel has no random effects"):
        BetaModel("share ~ arm + (1 | therapist)").fit(frame)
    with pytest.raises(AllianceError, match="precision is a int"):
        BetaModel("share ~ arm", precision=1).fit(frame)  # type: ignore[arg-type]


def test_separation_of_zeros() -> None:
    frame = trial().assign(never=lambda d: (d["share_ends"] == 0).astype(float))
    with pytest.raises(ConvergenceError, match=r"'zero\(never\)' separates"):
        BetaModel("share_ends ~ alliance", zero="never", one="1").fit(frame)


def test_lone_patient() -> None:
    frame = trial().assign(therapist=lambda d: d["therapist"].mask(d["id"] == 1, 999))
    fit = BetaModel("share ~ alliance", vcov="CR1", cluster="therapist").fit(frame)
    assert "1 of 25 clusters in 'therapist' hold one row only" in fit.notes[-1]
