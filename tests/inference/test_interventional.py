"""Interventional effects: product of coefficients, a known truth by brute force, resampling, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from alliance_stats import AllianceError, LinearModel, sensitivity
from alliance_stats.inference.interventional import InterventionalEffects, interventional_effects

FORMULAS = {
    "exposure": "arm", "confounder": "relief ~ arm + severity", "mediator": "alliance ~ arm + relief + severity",
    "outcome": "pain ~ arm + relief + alliance + severity",
}  # fmt: skip
CROSSED = FORMULAS | {"outcome": "pain ~ arm * alliance + relief * alliance + severity"}
TERMS = ["indirect", "direct", "total"]


def pain(arm: Any, relief: Any, alliance: Any, severity: Any) -> Any:
    return -0.2 * arm - 0.4 * relief - 0.5 * alliance - 0.3 * arm * alliance + 0.2 * relief * alliance + 0.3 * severity


def trial(n: int, seed: int, *, crossed: bool = False, clusters: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "severity": rng.normal(size=n)})
    own = rng.normal(0, 0.8, clusters) if clusters else np.zeros(1)
    clinic = rng.integers(len(own), size=n)
    frame["clinic"] = clinic
    frame["relief"] = 0.8 * frame["arm"] + 0.3 * frame["severity"] + rng.normal(size=n)
    frame["alliance"] = 0.3 * frame["arm"] + 0.5 * frame["relief"] + rng.normal(size=n) + own[clinic]
    straight = -0.2 * frame["arm"] - 0.4 * frame["relief"] - 0.5 * frame["alliance"] + 0.3 * frame["severity"]
    values = pain(frame["arm"], frame["relief"], frame["alliance"], frame["severity"]) if crossed else straight
    return frame.assign(pain=values + rng.normal(size=n) + own[clinic])


def effects(frame: pd.DataFrame, formulas: dict[str, str] = FORMULAS, **options: Any) -> pd.DataFrame:
    result = interventional_effects(frame, **formulas, **{"interval": "delta"} | options)
    return result.tidy().query("component == 'effect'").set_index("term")


def test_product_of_coefficients() -> None:
    frame = trial(300, 1)
    L, M, Y = (
        LinearModel(FORMULAS[k]).fit(frame).tidy().set_index("term")["estimate"]
        for k in ("confounder", "mediator", "outcome")
    )
    expected = {
        "indirect": (M["arm"] + M["relief"] * L["arm"]) * Y["alliance"],
        "direct": Y["arm"] + Y["relief"] * L["arm"],
        "indirect, beside the confounder": M["arm"] * Y["alliance"],
        "indirect, through the confounder": M["relief"] * L["arm"] * Y["alliance"],
        "direct, beside the confounder": Y["arm"],
        "direct, through the confounder": Y["relief"] * L["arm"],
        "total": LinearModel("pain ~ arm + severity").fit(frame).tidy().set_index("term")["estimate"]["arm"],
    }
    found = effects(frame)["estimate"]
    for term, value in expected.items():
        assert found[term] == pytest.approx(value, rel=1e-9), term


def truth(n: int = 2_000_000) -> dict[str, float]:
    """The interventions carried out: the mediator drawn from an arm, given severity, whatever the patient's own relief."""
    rng = np.random.default_rng(9)
    severity, e_relief, e_drawn, e_alliance = rng.normal(size=(4, n))
    mean = {}
    for x, drawn in ((0, 0), (1, 0), (1, 1)):
        relief = 0.8 * x + 0.3 * severity + e_relief
        other = 0.8 * drawn + 0.3 * severity + e_drawn  # relief of another patient alike in severity
        mean[x, drawn] = float(pain(x, relief, 0.3 * drawn + 0.5 * other + e_alliance, severity).mean())
    return {"indirect": mean[1, 1] - mean[1, 0], "direct": mean[1, 0] - mean[0, 0], "total": mean[1, 1] - mean[0, 0]}


def test_known_truth_with_products_of_exposure_confounder_and_mediator() -> None:
    """4 standard errors of 100,000 patients; the brute force adds some .001."""
    found, right = effects(trial(100_000, 2, crossed=True), CROSSED), truth()
    for term in TERMS:
        assert abs(found.loc[term, "estimate"] - right[term]) <= 4 * np.hypot(found.loc[term, "std_error"], 0.001), term


def test_delta_intervals_cover() -> None:
    right = {"indirect": -0.5 * (0.3 + 0.5 * 0.8), "direct": -0.2 - 0.4 * 0.8}
    inside = dict.fromkeys(right, 0)
    for seed in range(150):
        found = effects(trial(120, 100 + seed))
        for term, value in right.items():
            inside[term] += found.loc[term, "conf_low"] <= value <= found.loc[term, "conf_high"]
    for count in inside.values():
        assert binomtest(int(count), 150, 0.95).pvalue > 0.001


@pytest.mark.parametrize("interval", ["percentile", "bca", "monte-carlo"])
def test_drawn_intervals_agree_with_the_delta_method(interval: str) -> None:
    frame = trial(400, 3, crossed=True)
    expected, found = effects(frame, CROSSED), effects(frame, CROSSED, interval=interval, draws=1000)
    assert (found["interval"] == interval).all()
    # 1,000 draws know a standard error to 2 %; the bootstrap also varies the covariates and does not assume equal variances.
    assert found["std_error"].to_numpy() == pytest.approx(expected["std_error"].to_numpy(), rel=0.15)
    assert found["estimate"].to_numpy() == pytest.approx(expected["estimate"].to_numpy(), rel=1e-9)


def test_clusters_are_resampled_whole() -> None:
    """Clinics differ in alliance and pain together: a confounder that whole clinics bring or leave."""
    frame = trial(400, 4, clusters=20)
    alone = effects(frame, interval="percentile", draws=1000)
    whole = effects(frame, interval="percentile", draws=1000, cluster="clinic")
    assert (whole["estimate"] == alone["estimate"]).all()
    assert not np.allclose(whole["std_error"], alone["std_error"], rtol=0.02)
    b = interventional_effects(frame, **FORMULAS, interval="delta", cluster="clinic").tidy().set_index("term")
    assert b.loc["pain~alliance", "std_error"] > 0


def test_several_confounders_and_levels() -> None:
    frame = trial(300, 5)
    frame["hope"] = (0.4 * frame["arm"] + np.random.default_rng(1).normal(size=300) > 0).astype(int)
    frame["group"] = np.where(frame["arm"] == 1, "SE", np.where(frame.index % 4 == 0, "AL", "AE"))
    found = interventional_effects(
        frame, exposure="group", confounder=["relief ~ group", "hope ~ group"], mediator="alliance ~ group + relief + hope",
        outcome="pain ~ group * alliance + relief + hope", family={"hope": "binomial"}, interval="delta",
    ).tidy()  # fmt: skip
    rows = found[(found["component"] == "effect") & found["term"].isin(TERMS)]
    assert rows["at"].nunique() == 2
    for _, part in rows.groupby("at"):
        by = part.set_index("term")["estimate"]
        assert by["indirect"] + by["direct"] == pytest.approx(by["total"], abs=1e-12)


def test_missing_values_are_counted_and_the_estimand_is_told() -> None:
    frame = trial(200, 6)
    frame.loc[:9, "relief"] = np.nan
    result = interventional_effects(frame, **FORMULAS, interval="delta", randomised=True)
    text = repr(result)
    assert "10 of 200 rows left out" in text
    assert "randomised" in text
    assert "relief, which arm changes" in text
    assert "estimand: how much" not in text, "the natural effects' estimand is not this one"
    with pytest.raises(AllianceError, match="InterventionalEffects"):
        sensitivity(result)


def test_refusals() -> None:
    frame = trial(200, 7).assign(better=lambda d: (d["pain"] < 0).astype(int))
    with pytest.raises(AllianceError, match="lacks 'relief'"):
        interventional_effects(frame, **FORMULAS | {"mediator": "alliance ~ arm"})
    with pytest.raises(AllianceError, match="'better' is binomial"):
        interventional_effects(
            frame, **FORMULAS | {"outcome": "better ~ arm + relief + alliance"}, family={"better": "binomial"}
        )
    with pytest.raises(AllianceError, match="interval is 'product'"):
        interventional_effects(frame, **FORMULAS, interval="product")
    with pytest.raises(AllianceError, match="confounder is empty"):
        InterventionalEffects(["alliance ~ arm"], "pain ~ arm + alliance", "arm").fit(frame)
    with pytest.raises(AllianceError, match="product of two confounders"):
        interventional_effects(
            frame.assign(hope=frame["severity"]), exposure="arm", confounder=["relief ~ arm", "hope ~ arm"],
            mediator="alliance ~ arm + relief + hope", outcome="pain ~ arm + alliance + relief * hope",
        )  # fmt: skip
