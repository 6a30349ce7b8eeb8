"""Multilevel mediation: moderators and their index, lagged outcomes, few clusters, slopes without variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.result import Result

MODERATED = {"a": 0.3, "b": -0.2}


def sessions(
    patients: int = 60, seed: int = 1, slopes: float = 0.3, moderated: dict[str, float] | None = None
) -> pd.DataFrame:
    """Paths .5 + w·(moderated a) and .4 + w·(moderated b), σ_ab = half the variance of the slopes."""
    rng, by = np.random.default_rng(seed), moderated or {"a": 0.0, "b": 0.0}
    p = np.repeat(np.arange(patients), rng.integers(5, 9, size=patients))
    n, w = len(p), rng.normal(size=patients)[p]
    u = slopes * rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], patients)
    x = rng.normal(size=n)
    m = 0.6 * rng.normal(size=patients)[p] + (0.5 + by["a"] * w + u[p, 0]) * x + 0.3 * w + 0.8 * rng.normal(size=n)
    y = 0.6 * rng.normal(size=patients)[p] + (0.4 + by["b"] * w + u[p, 1]) * m + 0.2 * x + rng.normal(size=n)
    return pd.DataFrame(
        {"patient": p, "therapist": p % 10, "practice": x, "alliance": m, "relief": y, "severity": w, "arm": 1.0 * (p % 2)}
    )  # fmt: skip


def fitted(data: pd.DataFrame, **options: Any) -> Result:
    given = {"random": ("a", "b"), "interval": "delta"} | options
    return MultilevelMediation("practice", "alliance", "relief", **given).fit(data)


def by_value(result: Result, term: str = "indirect_within") -> pd.Series:
    rows = result.tidy()
    return rows[rows["term"] == term].set_index("at")["estimate"]


def row(result: Result, term: str) -> Any:
    return result.tidy().query("at == ''").drop_duplicates("term").set_index("term").loc[term]


# Moderators


def test_conditional_effects_and_index_are_recovered() -> None:
    """σ_ab = .045; with a alone moderated the index is a_w b."""
    data = sessions(patients=400, moderated={"a": 0.3, "b": 0.0})
    result = fitted(data, moderator="severity", moderates="a")
    index = row(result, "index(severity)")
    assert index.estimate == pytest.approx(0.3 * 0.4, abs=3 * index.std_error)
    for name, value in by_value(result).items():
        w = float(name.split("=")[1])
        own = result.tidy().query("at == @name and term == 'indirect_within'").iloc[0]
        assert value == pytest.approx((0.5 + 0.3 * w) * 0.4 + 0.045, abs=3 * own.std_error)


def test_paths_at_values_are_those_of_the_moderator_moved_there() -> None:
    """The path at w is the coefficient when w is subtracted from the moderator, as one does by hand."""
    data = sessions(moderated=MODERATED)
    result = fitted(data, moderator="severity")
    for name in by_value(result).index:
        moved = fitted(data.assign(severity=data["severity"] - float(name.split("=")[1])), moderator="severity")
        fixed = moved.tidy().query("component == 'fixed'").set_index("term")["estimate"]
        assert by_value(result, "a_within")[name] == pytest.approx(fixed["alliance~practice_within"], abs=1e-3)
        assert by_value(result, "b_within")[name] == pytest.approx(fixed["relief~alliance_within"], abs=1e-3)


def test_moderated_2_1_1_is_the_product_of_two_mixed_models() -> None:
    """Equations without a common random effect, fitted apart."""
    data = sessions(moderated=MODERATED)
    data["mean"] = data.groupby("patient")["alliance"].transform("mean")
    data["own"] = data["alliance"] - data["mean"]
    m = MixedModel("alliance ~ arm * severity + (1 | patient)", df_method="normal").fit(data).tidy()
    y = (
        MixedModel("relief ~ own + arm * severity + mean * severity + (1 | patient)", df_method="normal")
        .fit(data)
        .tidy()
    )
    m, y = (rows.drop_duplicates("term").set_index("term")["estimate"] for rows in (m, y))
    model = MultilevelMediation("arm", "alliance", "relief", design="2-1-1", moderator="severity", interval="delta")
    for name, value in by_value(model.fit(data), "indirect").items():
        w = float(name.split("=")[1])
        product = (m["arm"] + w * m["arm:severity"]) * (
            y["mean"] + w * y["severity:mean" if "severity:mean" in y else "mean:severity"]
        )
        assert value == pytest.approx(product, abs=1e-3)


def test_therapists_moderate_paths_of_patients() -> None:
    data = sessions(moderated=MODERATED)
    data["experience"] = np.random.default_rng(2).normal(size=10)[data["therapist"]]
    result = fitted(data, moderator="experience", moderates=("b", "c_prime"), above="therapist")
    low, _, high = by_value(result)
    names = by_value(result).index
    span = float(names[2].split("=")[1]) - float(names[0].split("=")[1])
    assert row(result, "index(experience)").estimate == pytest.approx((high - low) / span, rel=1e-3)


def test_index_of_two_moderated_paths_is_the_difference_of_two_values() -> None:
    data = sessions(moderated=MODERATED).assign(sex=lambda f: np.where(f["patient"] % 2, "m", "f"))
    both = fitted(data, moderator="sex")
    low, high = by_value(both)
    assert row(both, "index(sex)").estimate == pytest.approx(high - low, rel=1e-9)
    curved = by_value(fitted(data, moderator="severity"), "index(severity)")
    assert " - " in curved.index[0]
    assert "index(severity)" not in set(fitted(data, moderator="severity", moderates="c_prime").tidy()["term"])


def test_moderated_paths_are_named_once_each() -> None:
    for wrong in ((), ("a", "a"), ("d",)):
        with pytest.raises(AllianceError, match="moderates is"):
            MultilevelMediation("practice", "alliance", "relief", moderator="severity", moderates=wrong)


# Lagged outcomes


def test_a_lagged_outcome_is_refused_unless_one_insists() -> None:
    data = sessions()
    data["session"] = data.groupby("patient").cumcount()
    data = al.Lag("relief", by="patient", time="session")(data)
    for options in (
        {"covariates": ("relief_lag1",)},
        {"moderator": "relief_lag1"},
        {"covariates": ("relief_lag1_within",)},
    ):
        with pytest.raises(AllianceError, match=r"'relief_lag1.*dynamic=True"):
            fitted(data, **options)
    result = fitted(data, covariates=("relief_lag1",), dynamic=True, random=())
    note = next(note for note in result.notes if "dynamic" in note or "earlier session" in note)
    assert ".159 with 5 sessions" in note
    assert "'patient'" in note
    with pytest.raises(AllianceError, match="earlier session"):
        MultilevelMediation("relief_lag1", "alliance", "relief")
    assert not any("earlier session" in text for text in fitted(sessions(), random=()).notes)


def test_a_mediator_without_effect_seems_to_act_beside_a_lagged_outcome() -> None:
    """It follows the outcome's past, and does nothing: within patients its path comes out above zero."""
    rng, patients = np.random.default_rng(1), 300
    level = rng.normal(size=patients)
    y, rows = level + rng.normal(size=patients), []
    for _ in range(5):
        x = rng.normal(size=patients)
        m = 0.5 * y + 0.5 * x + rng.normal(size=patients)
        new = level + 0.3 * y + rng.normal(size=patients)
        rows.append(pd.DataFrame({"patient": np.arange(patients), "x": x, "m": m, "y_lag1": y, "y": new}))
        y = new
    model = MultilevelMediation("x", "m", "y", covariates=("y_lag1",), dynamic=True, random=(), interval="delta")
    path = row(model.fit(pd.concat(rows)), "b_within")
    assert abs(path.estimate) > 4 * path.std_error


# Data that cannot bear the model


def test_a_constant_mediator_and_a_varying_exposure_are_refused() -> None:
    data = sessions()
    with pytest.raises(DataError, match=r"mediator 'severity' is constant within every 'patient'.*'2-2-1'"):
        MultilevelMediation("practice", "severity", "relief").fit(data)
    with pytest.raises(DataError, match=r"exposure 'practice' varies within 60 groups.*'1-1-1'"):
        fitted(data, design="2-1-1")


def test_fewer_clusters_than_slopes_are_refused_and_few_are_noted() -> None:
    data = sessions()
    with pytest.raises(DataError, match="4 groups for 4 random effects"):
        fitted(data[data["patient"] < 4])
    assert any("12 groups of 'patient' are few" in note for note in fitted(data[data["patient"] < 12], random=()).notes)


def test_slopes_that_do_not_vary_are_noted() -> None:
    rng = np.random.default_rng(7)
    data = sessions(patients=30, slopes=0.0)
    data["alliance"] = 0.5 * data["practice"] + rng.normal(size=len(data))
    data["relief"] = 0.4 * data["alliance"] + rng.normal(size=len(data))
    result = fitted(data, random=("a", "b", "c_prime"))
    assert result.glance()["singular"].iloc[0]
    assert any(note.startswith("estimated at the boundary") for note in result.notes)
    assert np.isfinite(result.tidy().query("component == 'effect'")[["estimate", "conf_low", "conf_high"]]).all(
        axis=None
    )


def test_one_piece_says_that_it_mixes_levels() -> None:
    result = fitted(sessions(), center=False)
    assert any("mix what happens within 'patient' and between" in note for note in result.notes)
    assert not any("mix what happens" in note for note in fitted(sessions()).notes)


def test_few_clusters_have_wider_limits_from_t() -> None:
    """18 patients: 15 degrees of freedom."""
    data = sessions(patients=18)
    plain, small = (fitted(data, small=yes) for yes in (False, True))
    assert any("small=True" in note for note in plain.notes)
    assert any("t with 15 degrees of freedom" in note for note in small.notes)
    for term in ("a_within", "indirect_within", "indirect_between"):
        one, other = row(plain, term), row(small, term)
        ratio = (other.conf_high - other.conf_low) / (one.conf_high - one.conf_low)
        assert ratio == pytest.approx(2.131450 / 1.959964, rel=1e-5)
        assert other.p_value > one.p_value
    assert row(small, "a_within").interval == "t"
    drawn = fitted(data, small=True, interval="monte-carlo", draws=20000)
    exact, made = row(small, "total_within"), row(drawn, "total_within")
    assert made.conf_high - made.conf_low == pytest.approx(exact.conf_high - exact.conf_low, rel=0.05)
    for wrong in ("profile", "bootstrap"):
        with pytest.raises(AllianceError, match="small=True"):
            fitted(data, small=True, interval=wrong)
