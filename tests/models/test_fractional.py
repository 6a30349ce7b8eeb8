"""FractionalModel: conformance, invariants, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS
from golden.pinned import data

from alliance_stats import AllianceError, ConvergenceError, DataError, LinearModel, Result, contrast, predict, simulate
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.numerics.glm_sandwich import cr2_weighted, quasi_fit

COMPLETED = "completed | trials(assigned) ~ alliance + arm"


@cache
def trial() -> pd.DataFrame:
    frame = data("adherence_trial").assign(arm=lambda d: np.where(d["arm"] == 1, "enhanced", "usual"))
    frame.loc[frame.index[::17], "severity"] = np.nan
    return frame.sample(frac=1, random_state=np.random.RandomState(1))


CASES: dict[str, FractionalModel] = {
    "HC1": FractionalModel("share_ends ~ alliance * arm"),
    "CR1": FractionalModel("share_ends ~ alliance + severity", "probit", "CR1", "therapist", level=0.9),
    "CR2": FractionalModel("share_ends ~ poly(alliance, 2) + arm", "cloglog", "CR2", "therapist"),
    "counts": FractionalModel(COMPLETED, vcov="CR2", cluster="therapist"),
    "dependent": FractionalModel("share ~ alliance + I(2 * alliance) + arm"),
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


@pytest.mark.parametrize(("vcov", "expected"), [("HC1", "residual"), ("CR1", "clusters - 1"), ("CR2", "satterthwaite")])
def test_every_result_names_its_df(vcov: str, expected: str) -> None:
    assert fitted(vcov).glance()["df_method"].iloc[0] == expected
    assert not {"aic", "log_likelihood"} & set(fitted(vcov).glance().columns)


def test_nothing_to_simulate_from() -> None:
    with pytest.raises(AllianceError, match="supposes a mean and no distribution"):
        simulate(fitted("HC1"), 2)


def test_cr2_of_a_constant_mean_is_that_of_the_linear_model() -> None:
    """With an intercept alone the working variance is constant, and CR2 that of the mean, by the slope of the link."""
    fractional = FractionalModel("share_ends ~ 1", vcov="CR2", cluster="therapist").fit(trial())
    linear = LinearModel("share_ends ~ 1", "CR2", "therapist").fit(trial())
    m = linear.tidy()["estimate"].iloc[0]
    ours, theirs = fractional.tidy().iloc[0], linear.tidy().iloc[0]
    assert np.isclose(ours["std_error"] * m * (1 - m), theirs["std_error"], rtol=1e-9)
    assert np.isclose(ours["df"], theirs["df"], rtol=1e-9)


def test_cr2_in_square_clusters_by_dense_formula() -> None:
    """A of the definition, with R's symmetric roots, in a design with unequal clusters and weights."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(6), [1, 2, 3, 5, 8, 9])
    X = np.column_stack([np.ones(28), rng.normal(size=28)])
    w = rng.integers(1, 9, 28).astype(float)
    y = rng.binomial(w.astype(int), 0.4) / w
    fit = quasi_fit(X, y, w, "logit")
    D, V = X * (fit.mean * (1 - fit.mean))[:, None], fit.variance
    M, total = np.linalg.inv(D.T @ (D / V[:, None])), np.zeros((2, 2))
    for g in range(6):
        r = codes == g
        root = np.diag(np.sqrt(V[r]))
        B = root @ (np.diag(V[r]) - D[r] @ M @ D[r].T) @ root
        value, vector = np.linalg.eigh(B)
        A = root @ vector @ np.diag(value**-0.5) @ vector.T @ root
        s = D[r].T @ np.diag(1 / V[r]) @ A @ (y - fit.mean)[r]
        total += np.outer(s, s)
    assert np.allclose(cr2_weighted(fit, codes).covariance(fit.residuals), M @ total @ M, rtol=1e-9)


def test_counts_and_shares_with_weights_are_the_same() -> None:
    """One row of ten sessions counts as ten rows of one, in the estimate."""
    frame = trial().head(60)
    once = FractionalModel(COMPLETED).fit(frame)
    parts = [
        pd.DataFrame(
            {"came": [1] * r.completed + [0] * (r.assigned - r.completed), "alliance": r.alliance, "arm": r.arm}
        )
        for r in frame.itertuples()
    ]
    many = FractionalModel("came ~ alliance + arm").fit(pd.concat(parts, ignore_index=True))
    assert np.allclose(once.tidy()["estimate"], many.tidy()["estimate"], rtol=1e-8)


def test_predictions_are_in_the_outcomes_unit() -> None:
    fit = fitted("counts")
    new = pd.DataFrame({"alliance": [5.0, 5.0, 5.0], "arm": "usual", "assigned": [10.0, 20.0, np.nan]})
    rows = predict(fit, new)
    assert np.isclose(rows["fitted"][1], 2 * rows["fitted"][0])
    assert np.isnan(rows["fitted"][2])
    bounded = fit.model._predicted(fit, new.head(2).assign(alliance=[-90.0, 90.0]))
    assert (bounded["conf_low"] >= 0).all()
    assert (bounded["conf_high"] <= new["assigned"].head(2)).all()
    with pytest.raises(DataError, match="'assigned'"):
        predict(fit, new.drop(columns="assigned"))
    with pytest.raises(AllianceError, match="scale is 'odds'"):
        fit.model._predicted(fit, new, scale="odds")
    linear = fit.model._predicted(fit, new.head(2), scale="link")
    mean = fit.model._predicted(fit, new.head(2), scale="mean")
    assert np.allclose(1 / (1 + np.exp(-linear["conf_low"])), mean["conf_low"])


def test_contrast_with_satterthwaite() -> None:
    row = contrast(fitted("counts"), "arm").iloc[0]
    own = fitted("counts").tidy().set_index("term").loc["arm[T.usual]"]
    assert np.isclose(row["df"], own["df"])
    assert 0 < row["df"] < 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link": "log"}, "link is 'log'; use one of logit, probit, cloglog"),
        ({"vcov": "HC3"}, "vcov is 'HC3'"),
        ({"vcov": "CR2"}, "needs cluster="),
        ({"cluster": "therapist"}, "not used by vcov='HC1'"),
        ({"level": 0}, "level is 0"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        FractionalModel("share ~ arm", **options)


def test_refusals() -> None:
    frame = trial()
    with pytest.raises(DataError, match=r"outside 0 to 1 in 1 row .*-0.1"):
        FractionalModel("share ~ arm").fit(frame.assign(share=frame["share"].where(frame["id"] > 1, -0.1)))
    with pytest.raises(DataError, match=r"above the trials \(assigned\) in 3 rows"):
        FractionalModel(COMPLETED).fit(frame.assign(completed=frame["completed"].where(frame["id"] > 3, 40)))
    with pytest.raises(DataError, match="'completed' holds fractions"):
        FractionalModel(COMPLETED).fit(frame.assign(completed=frame["completed"] / 2))
    with pytest.raises(DataError, match="all rows are in one cluster"):
        FractionalModel("share ~ arm", vcov="CR2", cluster="therapist").fit(frame.assign(therapist=1))
    with pytest.raises(DataError, match="fitted exactly"):
        FractionalModel("share ~ arm").fit(frame.assign(share=np.where(frame["arm"] == "usual", 0.3, 0.6)))
    with pytest.raises(DataError, match="nothing to explain"):
        FractionalModel("share ~ arm").fit(frame.assign(share=1.0))
    with pytest.raises(AllianceError, match="no random effects"):
        FractionalModel("share ~ arm + (1 | therapist)").fit(frame)


def test_separation() -> None:
    frame = trial().assign(came=lambda d: (d["alliance"] > 5).astype(float))
    with pytest.raises(ConvergenceError, match="'alliance' separates the outcomes"):
        FractionalModel("came ~ alliance").fit(frame)


def test_lone_patients_are_noted() -> None:
    frame = trial().assign(therapist=lambda d: d["therapist"].mask(d["id"] <= 2, 900 + d["id"]))
    fit = FractionalModel("share ~ alliance", vcov="CR2", cluster="therapist").fit(frame)
    assert fit.notes == (
        "2 of 26 clusters in 'therapist' hold one row only: nothing of what is alike within them is seen",
    )
    assert np.isfinite(fit.tidy()["std_error"]).all()
