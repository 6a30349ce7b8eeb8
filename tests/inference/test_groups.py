"""Random effects, shares of variance, caseloads and dependability."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data, pinned, term

from alliance_stats.errors import AllianceError
from alliance_stats.inference.groups import caseload, dependability, icc, random_effects
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result

CASES = {
    "sleepstudy": ("mixed_sleepstudy", "complete", "slope", "reml"),
    "subset": ("mixed_sleepstudy", "subset_70", "slope", "ml"),
    "therapy": ("mixed_therapy", "interaction", "reml"),
    "reused ids": ("mixed_therapy", "nested_reused_ids", "reml"),
    "penicillin": ("mixed_classic", "penicillin", "reml"),
    "pastes": ("mixed_classic", "pastes", "ml"),
    "machines": ("mixed_classic", "machines_slopes", "reml"),
    "dyestuff": ("mixed_classic", "dyestuff", "ml"),
}


@cache
def fitted(name: str) -> tuple[Result, dict[str, Any]]:
    expected = pinned(*CASES[name])
    rows = data(f"mixed_{expected['data']}")
    for column, levels in (expected["levels"] or {}).items():
        rows[column] = pd.Categorical(rows[column], categories=levels)
    return MixedModel(expected["formula"], method=expected["method"]).fit(rows), expected


@pytest.mark.parametrize("name", [name for name in CASES if name != "machines"])
def test_random_effects_are_lme4s(name: str) -> None:
    fit, expected = fitted(name)
    frame = random_effects(fit).set_index(["group", "at", "term"])
    for row in expected["ranef"]:
        found = frame.loc[_key(fit, row)]
        # lme4 stops when θ is good to about 1e-6; modes and their deviations inherit it
        assert found["estimate"] == pytest.approx(row["estimate"], rel=2e-5, abs=2e-5 * row["std_error"])
        assert found["std_error"] == pytest.approx(row["std_error"], rel=2e-5)


def _key(fit: Result, row: dict[str, Any]) -> tuple[str, str, str]:
    """lme4 writes ``case:therapist``, this package the coarser factor first."""
    names = [grouping.name for grouping in fit.state.groupings]
    turned = row["group"] not in names
    swap = (lambda label: ":".join(reversed(label.split(":")))) if turned else str
    return swap(row["group"]), swap(row["level"]), term(row["term"])


@pytest.mark.parametrize("name", list(CASES))
def test_shares_of_variance_and_r2(name: str) -> None:
    fit, expected = fitted(name)
    found = icc(fit)
    shares = {row["group"]: row for row in expected["icc"]}
    for row in found.iloc[:-1].to_dict("records"):
        turned = ":".join(reversed(row["group"].split(":")))
        wanted = shares[row["group"] if row["group"] in shares else turned]
        assert row["icc"] == pytest.approx(wanted["share"], rel=1e-5)  # θ to 1e-6, squared
        assert row["correlation"] == pytest.approx(wanted["correlation"], rel=1e-5)
    assert found["icc"].sum() == pytest.approx(1, rel=1e-12)
    r2 = fit.glance().iloc[0]
    assert r2["r2_marginal"] == pytest.approx(expected["r2"]["marginal"], rel=1e-5)
    assert r2["r2_conditional"] == pytest.approx(expected["r2"]["conditional"], rel=1e-5)


def test_the_interval_of_a_balanced_icc_has_its_closed_form() -> None:
    """One-way, J groups of n: by REML Var(logit ICC) = 2/(J − 1) (λ/(λ − 1))² (1 + (J − 1)/(J(n − 1))), λ = E(MSB)/E(MSW).

    It is the delta method with the independent mean squares of the analysis of variance.
    """
    rng = np.random.default_rng(3)
    J, n = 30, 4
    rows = pd.DataFrame({"g": np.repeat(range(J), n), "y": np.repeat(rng.normal(size=J), n) + rng.normal(size=J * n)})
    y = rows["y"].to_numpy().reshape(J, n)
    msb, msw = n * y.mean(axis=1).var(ddof=1), (y - y.mean(axis=1, keepdims=True)).var() * n / (n - 1)
    ratio = msb / msw
    share = (ratio - 1) / (ratio - 1 + n)
    logit_se = np.sqrt((ratio / (ratio - 1)) ** 2 * (2 / (J - 1) + 2 / (J * (n - 1))))
    half = 1.959963984540054 * logit_se
    found = icc(MixedModel("y ~ 1 + (1 | g)").fit(rows)).iloc[0]
    assert found["icc"] == pytest.approx(share, rel=1e-6)
    # the Hessian is a difference quotient, good to about 1e-7
    assert found["conf_low"] == pytest.approx(1 / (1 + np.exp(half) * (1 - share) / share), rel=1e-5)
    assert found["conf_high"] == pytest.approx(1 / (1 + np.exp(-half) * (1 - share) / share), rel=1e-5)
    assert found["std_error"] == pytest.approx(logit_se * share * (1 - share), rel=1e-5)


def test_intervals_do_not_depend_on_the_df_method() -> None:
    rows = data("mixed_sleepstudy")
    one, other = (
        MixedModel("Reaction ~ Days + (Days | Subject)", df_method=m).fit(rows) for m in ("normal", "satterthwaite")
    )
    pd.testing.assert_frame_equal(icc(one), icc(other))


def test_no_interval_at_the_boundary() -> None:
    fit = MixedModel("Yield ~ 1 + (1 | Batch)").fit(data("mixed_dyestuff2"))
    found = icc(fit)
    assert found["icc"].tolist() == pytest.approx([0, 1], abs=1e-12)
    assert found[["std_error", "conf_low", "conf_high"]].isna().all(axis=None)


def test_random_effects_of_one_factor() -> None:
    fit, _ = fitted("reused ids")
    assert set(random_effects(fit, "therapist")["group"]) == {"therapist"}
    assert len(random_effects(fit, "therapist")) == fit.glance()["n_therapist"].iloc[0]


def test_caseload_counts_rows_and_patients() -> None:
    fit, _ = fitted("therapy")
    found = caseload(fit, "therapist").set_index("of")
    by_hand = fit.frame.groupby("therapist")["patient"].agg(["size", "nunique"])
    for of, column in (("rows", "size"), ("patient", "nunique")):
        wanted = by_hand[column]
        assert found.loc[of, ["n_groups", "min", "median", "max"]].tolist() == [
            len(wanted), wanted.min(), wanted.median(), wanted.max(),
        ]  # fmt: skip
    assert caseload(fit, "patient").set_index("of").loc["therapist", ["min", "max"]].tolist() == [1, 1]


def test_rows_without_a_therapist_are_no_ones_caseload() -> None:
    rows = data("mixed_partial")
    rows["therapist"] = rows["therapist"].where(rows["treated"] == 1)
    fit = MixedModel("outcome ~ treated * week + baseline + (1 | patient) + (0 + treated | therapist)").fit(rows)
    found = caseload(fit, "therapist").set_index("of")
    treated = rows[rows["treated"] == 1]
    assert found.loc["rows", "max"] == treated.groupby("therapist").size().max()
    assert found.loc["patient", "min"] == treated.groupby("therapist")["patient"].nunique().min()


def test_dependability_by_hand() -> None:
    rows = data("mixed_therapy").dropna(subset=["alliance"])
    fit = MixedModel("alliance ~ 1 + (1 | patient) + (1 | therapist)").fit(rows)
    p, t, e = icc(fit)["variance"]
    found = dependability(fit, ratings=(1, 3))
    assert found["dependability"].tolist() == pytest.approx([p / (p + e), p / (p + e / 3)], rel=1e-12)
    assert found["patients"].isna().all()
    above = dependability(fit, "therapist", ratings=(2,), patients=(5, 60))
    assert above["dependability"].tolist() == pytest.approx(
        [t / (t + p / 5 + e / 10), t / (t + p / 60 + e / 120)], rel=1e-12
    )
    assert above[["patients", "ratings"]].to_numpy().tolist() == [[5, 2], [60, 2]]


def test_dependability_of_the_published_shares() -> None:
    """A patients' share of .77 with 23 % error: two sessions are enough for .80 (Crits-Christoph et al. 2011)."""
    fit = _with_shares(0.77)
    found = dependability(fit, ratings=(1, 2, 3, 4))["dependability"]
    assert found.round(3).tolist() == [0.77, 0.87, 0.909, 0.931]


def _with_shares(share: float) -> Result:
    """An exact two-way table: mean squares that give the share without error."""
    a = np.repeat(np.array([-1.0, 1.0] * 20), 2)
    e = np.tile(np.array([-1.0, 1.0]), 40)
    within = 1 - share
    a *= np.sqrt((share + within / 2) * 39 / 40)
    return MixedModel("y ~ 1 + (1 | patient)").fit(
        pd.DataFrame({"patient": np.repeat(range(40), 2), "y": a + e * np.sqrt(within / 2)})
    )


def test_what_cannot_be_answered_is_refused() -> None:
    linear = LinearModel("Reaction ~ Days").fit(data("mixed_sleepstudy"))
    for ask in (icc, random_effects):
        with pytest.raises(AllianceError, match="has no random effects"):
            ask(linear)
    slope, _ = fitted("sleepstudy")
    with pytest.raises(AllianceError, match="no grouping factor 'therapist'; factors: Subject"):
        caseload(slope, "therapist")
    with pytest.raises(AllianceError, match="random slope"):
        dependability(slope, "Subject")
    with pytest.raises(AllianceError, match="crossed"):
        dependability(fitted("penicillin")[0], "plate")
    with pytest.raises(AllianceError, match="1 or more"):
        dependability(fitted("dyestuff")[0], "Batch", ratings=(0, 1))
