"""Functions of results on generalised mixed models: predict, random_effects, caseload, icc and compare."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data, pinned

from alliance_stats import (
    AllianceError,
    GeneralizedMixedModel,
    LinearModel,
    MixedModel,
    Result,
    caseload,
    compare,
    dependability,
    icc,
    predict,
    random_effects,
)
from alliance_stats.models.discrete_time import DiscreteTimeModel

DONE = "completed | trials(assigned) ~ alliance + arm + severity + (1 | therapist)"
GLMER = pinned("glmm", "glmer")


@cache
def fitted(formula: str, family: str = "binomial", name: str = "glmm_sessions", **options: Any) -> Result:
    return GeneralizedMixedModel(formula, family, **options).fit(data(name))


def nested() -> Result:
    return fitted("attended ~ x + session + (1 | patient) + (1 | therapist)")


def test_groups_known_unknown_average_and_typical() -> None:
    """A known therapist has an own share; a new one has that of the average, further from ½ is the typical one's."""
    fit, rows = fitted(DONE, name="glmm_adherence"), data("glmm_adherence").head(6)
    own, average, typical = (
        predict(fit, rows, groups=each, scale="mean") for each in ("conditional", "population", "typical")
    )
    strange = predict(fit, rows.assign(therapist=999), scale="mean")
    assert np.allclose(strange["fitted"], average["fitted"], rtol=1e-12)
    assert (own["fitted"] - average["fitted"]).abs().max() > 0.02
    assert ((typical["fitted"] - 0.5).abs() > (average["fitted"] - 0.5).abs()).all()
    bare = rows.drop(columns="therapist")
    pd.testing.assert_frame_equal(predict(fit, bare, groups="population", scale="mean"), average)
    for frame in (own, average, typical, strange):
        assert ((frame["conf_low"] > 0) & (frame["conf_high"] < 1)).all()
        assert ((frame["conf_low"] < frame["fitted"]) & (frame["fitted"] < frame["conf_high"])).all()


def test_linear_models_have_one_scale() -> None:
    rows = data("mixed_therapy")
    mixed = MixedModel("outcome ~ week + (1 | patient)").fit(rows)
    pd.testing.assert_frame_equal(predict(mixed, groups="typical"), predict(mixed, groups="population"))
    pd.testing.assert_frame_equal(predict(mixed, scale="link"), predict(mixed))
    with pytest.raises(AllianceError, match="groups='typical' is for mixed models"):
        predict(LinearModel("outcome ~ week").fit(rows), groups="typical")


def test_random_effects() -> None:
    """Their numbers are those pinned from glmer in the golden tests."""
    fit = nested()
    assert set(random_effects(fit)["group"]) == {"patient", "therapist"}
    own = random_effects(fit, "therapist")
    assert set(own["group"]) == {"therapist"}
    assert len(own) == 12
    with pytest.raises(AllianceError, match="no grouping factor 'clinic'"):
        random_effects(fit, "clinic")


def test_caseload_counts_patients() -> None:
    rows = caseload(nested(), "therapist").set_index("of")
    truth = data("glmm_sessions").groupby("therapist")["patient"].nunique()
    assert rows.loc["patient", ["min", "median", "max"]].tolist() == [truth.min(), truth.median(), truth.max()]


def test_icc_on_the_latent_scale() -> None:
    fit, pins = nested(), {row["group"]: row["value"] ** 2 for row in GLMER["nested"]["random"]}
    rows = icc(fit).set_index("group")
    total = sum(pins.values()) + np.pi**2 / 3
    for name, variance in pins.items():
        assert rows.loc[name, "icc"] == pytest.approx(variance / total, rel=1e-4)  # glmer's variances: 4e-5
    assert rows.loc["residual", "variance"] == pytest.approx(np.pi**2 / 3)
    assert rows["icc"].sum() == pytest.approx(1)
    assert rows.loc["patient", "correlation"] == pytest.approx(
        rows.loc["patient", "icc"] + rows.loc["therapist", "icc"]
    )
    assert ((rows["conf_low"] < rows["icc"]) & (rows["icc"] < rows["conf_high"])).all()
    assert rows["icc"].iloc[:2].sum() == pytest.approx(fit.glance()["icc"].iloc[0])


def test_icc_interval_by_hand() -> None:
    """One variance: logit of the share is log(θ²/v), whose derivative in θ is 2/θ."""
    fit = fitted("attended ~ x + (1 | patient)", link="probit")
    row, theta = icc(fit).iloc[0], fit.state.theta[0]
    error = 2 / theta * np.sqrt(fit.state.joint[-1, -1])
    assert row["icc"] == pytest.approx(theta**2 / (theta**2 + 1))
    assert row["std_error"] == pytest.approx(error * row["icc"] * (1 - row["icc"]), rel=1e-6)


def test_icc_refusals_and_zero_variances() -> None:
    beta = fitted("share ~ arm + (1 | therapist)", "beta", "glmm_adherence")
    with pytest.raises(AllianceError, match="'beta' has no agreed variance"):
        icc(beta)
    with pytest.raises(AllianceError, match="no residual variance"):
        dependability(nested())
    plain = DiscreteTimeModel("drop ~ alliance").fit(data("survival_sessions"))
    for function in (icc, random_effects):
        with pytest.raises(AllianceError, match="has no random effects"):
            function(plain)
    rows = pd.DataFrame({"therapist": np.repeat(range(12), 8), "x": [0.0, 1] * 48, "y": [1, 1, 0, 0, 1, 0, 0, 1] * 12})
    zero = icc(GeneralizedMixedModel("y ~ x + (1 | therapist)").fit(rows)).iloc[0]
    assert zero["icc"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(zero["conf_low"])


def test_likelihood_ratio_of_a_random_effect() -> None:
    """glmer's deviances of the nested and of the crossed model with patients in common."""
    small = fitted("attended ~ x + session + (1 | patient)")
    rows = compare(small, nested())
    change = small.glance()["deviance"].iloc[0] - GLMER["nested"]["deviance"]
    assert rows["statistic"].iloc[1] == pytest.approx(change, abs=1e-5)  # 1.1e-6 in either deviance
    assert rows["mixture"].tolist() == [False, True]
    assert rows["p_value"].iloc[1] == pytest.approx(rows["p_chi2"].iloc[1] / 2)
    assert rows["reference"].iloc[1] == "½χ²(0) + ½χ²(1)"
    assert rows["n_parameters"].tolist() == [4, 5]
    assert rows["aic"].tolist() == [small.glance()["aic"].iloc[0], nested().glance()["aic"].iloc[0]]


def test_likelihood_ratio_of_fixed_terms_and_slopes() -> None:
    small, large = fitted("exercises ~ x + (1 | patient)", "negativebinomial"), None
    large = fitted("exercises ~ x * session + (1 | patient)", "negativebinomial")
    rows = compare(small, large)
    assert rows["df_num"].iloc[1] == 2
    assert not rows["mixture"].any()
    assert rows["n_parameters"].tolist() == [4, 6]
    slope = compare(
        fitted("attended ~ x + session + (1 | therapist)"), fitted("attended ~ x + session + (1 + x | therapist)")
    )
    assert slope["reference"].iloc[1] == "½χ²(1) + ½χ²(2)"
    assert slope["df_num"].iloc[1] == 2


def test_what_cannot_be_compared() -> None:
    small, large = fitted("attended ~ x + (1 | patient)"), fitted("attended ~ x + session + (1 | patient)")
    sessions = data("glmm_sessions")
    refused: list[tuple[Result, Result, str]] = [
        (large, small, "is not nested in"),
        (small, small, "smaller model first"),
        (fitted("attended ~ x + (1 | patient)", link="probit"), large, "binomial with probit, the other binomial with logit"),
        (fitted("attended ~ x + (1 | patient)", quadrature=9), large, "quadrature=9 and 1"),
        (fitted("exercises ~ x + (1 | patient)", "poisson"), fitted("exercises ~ x + (1 | patient)", "negativebinomial"),
         "different ones compare aic"),
        (fitted("exercises ~ x + (1 | patient)", "poisson"),
         fitted("exercises ~ x + session + (1 | patient)", "poisson", exposure="days"), "different exposures"),
        (GeneralizedMixedModel("attended ~ x + (1 | patient)").fit(sessions.head(100)), large, "different rows"),
        (GeneralizedMixedModel("other ~ x + (1 | patient)").fit(sessions.assign(other=1 - sessions["attended"])), large,
         "different outcomes"),
        (fitted("attended ~ x + (1 | room)"), large, "random effects of .* are not all in"),
        (LinearModel("attended ~ x").fit(sessions), large, "LinearModel has another likelihood"),
        (MixedModel("attended ~ x + (1 | patient)").fit(sessions), large, "MixedModel has another likelihood"),
    ]  # fmt: skip
    for one, other, message in refused:
        with pytest.raises(AllianceError, match=message):
            compare(one, other)
    with pytest.raises(AllianceError, match="likelihood ratio tests only"):
        compare(small, large, test="F")
    trials = data("glmm_adherence")
    more = GeneralizedMixedModel(DONE).fit(trials.assign(assigned=trials["assigned"] + 1))
    with pytest.raises(AllianceError, match="different trials"):
        compare(fitted(DONE.replace(" + severity", ""), name="glmm_adherence"), more)
    hazards = data("survival_sessions")
    robust = DiscreteTimeModel("drop ~ alliance", cluster="therapist").fit(hazards)
    with pytest.raises(AllianceError, match="takes rows as independent"):
        compare(robust, DiscreteTimeModel("drop ~ alliance + session").fit(hazards))
