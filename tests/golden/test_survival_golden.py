"""Survival models, curves and tests against R: survival and cmprsk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, data, difference, pinned

from alliance_stats import predict
from alliance_stats.inference.survival_curves import aalen_johansen, kaplan_meier, median_times, restricted_mean
from alliance_stats.inference.survival_tests import gray_test, log_rank
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_checks import (
    concordance,
    martingale_residuals,
    proportional_hazards,
    schoenfeld_residuals,
)
from alliance_stats.models.cox_curves import baseline_hazard, event_probabilities, frailties
from alliance_stats.result import Result

# Both reach the optimum of the same function in double precision: steps end at 1e-10 standard deviations here, and Newton's
# last step squares the error; sums over risk sets round at 1e-13.
NEWTON = 1e-9
CLOSED = 1e-11  # curves and tests are closed forms
THETA = 1e-6  # R's outer search stops where the likelihood, flat to 1e-11, no longer rises; ours at a root of its derivative
COUNTED = ("time", "n_risk", "n_event", "n_censored")
KINDS = (("log", "log"), ("loglog", "log-log"), ("plain", "plain"))

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "baseline": ("ends", "Surv(time, status == 1) ~ alliance1 + arm", {}),
    "cluster": ("ends", "Surv(time, status == 1) ~ alliance1 + arm", {"cluster": "therapist"}),
    "time_varying": ("sessions", "Surv(start, stop, drop) ~ alliance + arm", {}),
    "time_varying_cluster": ("sessions", "Surv(start, stop, drop) ~ alliance + arm", {"cluster": "therapist"}),
    "strata": ("mixed", "Surv(entry, time, status == 1) ~ x + z", {"strata": "site"}),
    "strata_cluster": (
        "mixed",
        "Surv(entry, time, status == 1) ~ x + z",
        {"strata": "site", "cluster": "therapist"},
    ),
    "factor": ("mixed", "Surv(time, status == 1) ~ x * z + site", {}),
    "lung": ("lung", "Surv(time, status) ~ age + sex + `ph.ecog`", {}),
    "lung_cluster": ("lung", "Surv(time, status) ~ age + sex", {"cluster": "inst"}),
    "pbc": ("pbc", "Surv(tstart, tstop, death) ~ log(bili) + log(albumin)", {}),
}
CASES = [(ties, name) for ties in ("efron", "breslow") for name in MODELS]


@cache
def fitted(ties: str, name: str) -> Result:
    frame, formula, options = MODELS[name]
    return CoxModel(formula, ties=ties, **options).fit(data(f"survival_{frame}"))


def ours(names: Sequence[str]) -> list[str]:
    return [name.replace("siteB", "site[T.B]").replace("siteC", "site[T.C]") for name in names]


def values(nested: Any) -> np.ndarray:
    """A pinned matrix or vector, null as missing."""
    return np.array(nested, dtype=float)


@pytest.mark.parametrize(("ties", "name"), CASES)
def test_cox_regression(ties: str, name: str) -> None:
    result, expected = fitted(ties, name), pinned("survival", "cox", ties, name)
    rows = result.tidy().set_index("term").loc[ours(expected["coef"])]
    se, glance = values(expected["se"]), result.glance().iloc[0]
    assert set(rows.index) == set(result.tidy()["term"])
    assert_close(rows["estimate"], list(expected["coef"].values()), NEWTON, se)
    assert_close(rows["std_error"], se, NEWTON)
    assert_close(result.state.log_likelihoods, expected["loglik"], CLOSED)
    assert_close([glance["aic"], glance["bic"]], [expected["aic"], expected["bic"]], CLOSED)
    if expected["naive_se"]:
        naive = pd.Series(np.sqrt(np.diag(result.state.naive)), index=result.covariance.index).loc[rows.index]
        assert_close(naive, expected["naive_se"], NEWTON)


@pytest.mark.parametrize(("ties", "name"), CASES)
def test_concordance(ties: str, name: str) -> None:
    found = concordance(fitted(ties, name)).iloc[0]
    expected = pinned("survival", "cox", ties, name, "concordance")
    assert_close([found["concordance"], found["std_error"]], expected, NEWTON)


@pytest.mark.parametrize(("ties", "name"), CASES)
def test_proportional_hazards(ties: str, name: str) -> None:
    found = proportional_hazards(fitted(ties, name)).set_index("term")
    expected = pinned("survival", "cox", ties, name, "zph")
    names = [{"GLOBAL": "all terms", "ph.ecog": "`ph.ecog`"}.get(term, term) for term in expected["terms"]]
    names = [name if name in found.index else name.strip("`") for name in names]
    assert_close(found.loc[names, "statistic"], expected["chisq"], NEWTON)
    assert found.loc[names, "df"].tolist() == expected["df"]


@pytest.mark.parametrize("transform", ["km", "identity", "log", "rank"])
def test_transformations_of_time(transform: str) -> None:
    found = proportional_hazards(fitted("efron", "factor"), transform=transform).set_index("term")["statistic"]
    assert_close(found.loc[["x", "z", "site", "x:z", "all terms"]], pinned("survival", "transforms", transform), NEWTON)


@pytest.mark.parametrize(("ties", "name"), CASES)
def test_martingale_residuals(ties: str, name: str) -> None:
    found = martingale_residuals(fitted(ties, name))["residual"].head(12)
    assert_close(found, pinned("survival", "cox", ties, name, "martingale"), NEWTON, 1.0)
    assert abs(martingale_residuals(fitted(ties, name))["residual"].sum()) < 1e-9  # they add up to zero


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_schoenfeld_residuals(ties: str) -> None:
    found = schoenfeld_residuals(fitted(ties, "time_varying"))
    for column, name in (("residual", "raw"), ("scaled", "scaled")):
        expected = values(pinned("survival", "cox", ties, "schoenfeld", name))
        mine = found[column].to_numpy().reshape(expected.shape)
        order = [np.lexsort(np.round(np.c_[m, found["time"][::2]], 8).T) for m in (mine, expected)]  # ties in any order
        assert_close(mine[order[0]], expected[order[1]], NEWTON, 1.0)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("robust", ["", "_cluster"])
def test_predictions_of_new_patients(ties: str, robust: str) -> None:
    result, expected = fitted(ties, f"time_varying{robust}"), pinned("survival", "cox", ties, f"prediction{robust}")
    new = pd.DataFrame({"alliance": [4, 5.5], "arm": [1, 0]})
    lp = predict(result, new)
    assert_close(lp["fitted"], expected["lp"], NEWTON, 0.1)
    assert_close(lp["std_error"], expected["lp_se"], NEWTON)
    for name, interval in KINDS:
        found = event_probabilities(result, new, [0, 1, 4, 7.5, 12], interval=interval)
        for column, key in (
            ("survival", "survival"),
            ("std_error", "std_error"),
            ("conf_low", "low"),
            ("conf_high", "high"),
        ):
            mine, theirs = found[column].to_numpy().reshape(2, 5).T, values(expected[name][key])
            known = (
                np.isfinite(theirs) & (np.arange(5) > 0)[:, None]
            )  # at time 0 R gives no log-log limits, and we give 1
            assert_close(mine[known], theirs[known], NEWTON)
            assert_close(mine[0], [0, 0] if column == "std_error" else [1, 1])
    hazard = baseline_hazard(result)
    assert_close(
        hazard["cumulative_hazard"],
        np.array(expected["hazard"])[values(expected["time"]) <= hazard["time"].max()],
        NEWTON,
    )


@pytest.mark.parametrize("family", ["gamma", "normal"])
def test_frailty_of_litters(family: str) -> None:
    result = CoxModel("Surv(time, status) ~ rx", frailty=(family, "litter")).fit(data("survival_rats"))
    check_frailty(result, f"rats_{family}", ["rx"])


@pytest.mark.parametrize("family", ["gamma", "normal"])
def test_frailty_of_kidney_patients(family: str) -> None:
    result = CoxModel("Surv(time, status) ~ age + sex", frailty=(family, "id")).fit(data("survival_kidney"))
    check_frailty(result, f"kidney_{family}", ["age", "sex"])


def check_frailty(result: Result, name: str, terms: list[str]) -> None:
    expected, rows = pinned("survival", "frailty", name), result.tidy()
    assert_close(rows["estimate"].head(len(terms)), list(expected["coef"].values()), THETA)
    assert_close(rows["std_error"].head(len(terms)), np.atleast_1d(expected["se"]), THETA)
    theta = rows["estimate"].iloc[-1] ** (1 if "gamma" in name else 2)
    assert_close([theta], [expected["theta"]], THETA)
    assert_close(frailties(result)["log_frailty"], expected["frail"], THETA, 1.0)
    if expected["c_loglik"] is not None:
        assert_close(result.glance()["log_likelihood"], [expected["c_loglik"]], CLOSED)  # flat in θ: agrees further


@pytest.mark.parametrize(
    ("frame", "formula", "group"),
    [
        ("ends", "Surv(time, status == 1) ~ alliance1 + arm", "therapist"),  # survival stops at θ = 5e-7, its lower end
        ("lung", "Surv(time, status) ~ age + sex", "inst"),  # 5e-9
    ],
)
def test_frailty_at_the_boundary(frame: str, formula: str, group: str) -> None:
    result = CoxModel(formula, frailty=("gamma", group)).fit(data(f"survival_{frame}"))
    assert result.tidy()["estimate"].iloc[-1] == 0
    assert result.glance()["singular"].iloc[0]


def test_the_default_of_r_keeps_the_diagonal_of_the_frailties_alone() -> None:
    expected = pinned("survival", "frailty", "rats_default")
    fit = CoxModel("Surv(time, status) ~ rx", frailty=("gamma", "litter")).fit(data("survival_rats")).tidy()
    assert_close(fit["estimate"], [expected["coef"], expected["theta"]], 1e-5)
    assert 1e-5 < difference(fit["std_error"].head(1), [expected["se"]]) < 1e-4


CURVES = [
    ("ends", "Surv(time, status == 1)", "tert"),
    ("lung", "Surv(time, status)", "sex"),
    ("entry", "Surv(entry, time, status == 1)", None),
]


@pytest.mark.parametrize(("name", "outcome", "by"), CURVES)
@pytest.mark.parametrize(("key", "interval"), KINDS)
def test_kaplan_meier(name: str, outcome: str, by: str | None, key: str, interval: str) -> None:
    expected = pinned("survival", "curves", name, key)
    found = kaplan_meier(data(f"survival_{'mixed' if name == 'entry' else name}"), outcome, by=by, interval=interval)
    if by == "tert":
        found = pd.concat([found[found["group"] == group] for group in ("low", "mid", "high")])
    for column in COUNTED:
        assert found[column].tolist() == expected[column], column
    assert_close(found["survival"], expected["survival"], CLOSED)
    assert_close(found["std_error"], expected["std_error"], CLOSED)
    for column, theirs in (("conf_low", expected["low"]), ("conf_high", expected["high"])):
        theirs = values(theirs)
        known = np.isfinite(theirs) & (found["survival"] < 1).to_numpy()
        assert_close(found[column].to_numpy()[known], theirs[known], CLOSED)
        assert (found[column].to_numpy()[(found["survival"] == 1).to_numpy()] == 1).all()


@pytest.mark.parametrize(("name", "by", "tau"), [("ends", "tert", 12), ("lung", "sex", 600)])
def test_restricted_means_and_their_difference(name: str, by: str, tau: float) -> None:
    outcome = "Surv(time, status == 1)"
    found = restricted_mean(data(f"survival_{name}"), outcome, tau=tau, by=by).set_index("group")
    expected = values(pinned("survival", "curves", f"rmst_{name}"))
    groups = ["low", "mid", "high"] if by == "tert" else ["1", "2"]
    assert_close(found.loc[groups, ["estimate", "std_error"]], expected, CLOSED)
    first, other = ("high", "low") if by == "tert" else ("1", "2")
    a, b = (expected[groups.index(group)] for group in (first, other))
    row = found.loc[f"{other} − {first}"]
    assert_close([row["estimate"], row["std_error"]], [b[0] - a[0], np.hypot(a[1], b[1])], CLOSED)


def test_median_times() -> None:
    km = kaplan_meier(data("survival_lung"), "Surv(time, status)", by="sex")
    found = median_times(km)[["time", "conf_low", "conf_high"]].to_numpy()
    assert np.array_equal(found, values(pinned("survival", "curves", "median_lung")), equal_nan=True)
    km = kaplan_meier(data("survival_ends"), "Surv(time, status == 1)", by="tert")
    found = median_times(km).set_index("group").loc[["low", "mid", "high"]].to_numpy(dtype=float)
    assert np.array_equal(found, values(pinned("survival", "curves", "median_ends")), equal_nan=True)


TESTS: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("ends", "ends", "Surv(time, status == 1)", "tert", {}),
    ("peto", "ends", "Surv(time, status == 1)", "tert", {"rho": 1}),
    ("lung", "lung", "Surv(time, status)", "sex", {}),
    ("strata", "mixed", "Surv(time, status == 1)", "site", {"strata": "z"}),
    ("strata_peto", "mixed", "Surv(time, status == 1)", "site", {"strata": "z", "rho": 1}),
]


@pytest.mark.parametrize(("name", "frame", "outcome", "by", "options"), TESTS)
def test_log_rank(name: str, frame: str, outcome: str, by: str, options: dict[str, Any]) -> None:
    expected = pinned("survival", "tests", name)
    test, groups = log_rank(data(f"survival_{frame}"), outcome, by=by, **options)
    order = ["low", "mid", "high"] if by == "tert" else list(groups["group"])
    assert_close(test["statistic"], [expected["chisq"]], CLOSED)
    assert_close(groups.set_index("group").loc[order, "n_event"], expected["obs"], CLOSED)
    assert_close(groups.set_index("group").loc[order, "expected"], expected["exp"], CLOSED)


def test_log_rank_with_late_entry_is_the_score_test_of_the_cox_model() -> None:
    """survdiff takes no late entry. Without ties the score test of Breslow's likelihood at β = 0 is the log-rank test."""
    frame = data("survival_mixed")
    rng = np.random.default_rng(1)
    frame["time"] = frame["time"] + rng.uniform(-0.4, 0.4, len(frame))
    frame["entry"] = frame["entry"] - 0.5
    frame = frame[frame["entry"] >= 0]
    test = log_rank(frame, "Surv(entry, time, status == 1)", by="z")[0]
    from alliance_stats.numerics.survival.cox import partial_likelihood
    from alliance_stats.numerics.survival.risk import risk_sets

    columns = (frame[name].to_numpy(dtype=float) for name in ("entry", "time"))
    sets = risk_sets(*columns, (frame["status"] == 1).to_numpy(), np.zeros(len(frame), dtype=int))
    at = partial_likelihood(sets, frame[["z"]].to_numpy(dtype=float), np.zeros(1))
    assert_close(test["statistic"], at.score**2 / at.information[0], CLOSED)


@pytest.mark.parametrize(
    ("name", "frame", "by", "options"),
    [
        ("gray", "ends", "tert", {}),
        ("gray_mixed", "mixed", "site", {}),
        ("gray_strata", "mixed", "site", {"strata": "z"}),
        ("gray_rho", "mixed", "site", {"rho": 1}),
    ],
)
def test_gray(name: str, frame: str, by: str, options: dict[str, Any]) -> None:
    found = gray_test(data(f"survival_{frame}"), "Surv(time, status)", by=by, **options)
    assert_close(found[["statistic", "p_value", "df"]], values(pinned("survival", "tests", name)), CLOSED)


@pytest.mark.parametrize(
    ("name", "frame", "outcome", "by"),
    [
        ("ends", "ends", "Surv(time, status)", None),
        ("mixed", "mixed", "Surv(time, status)", "site"),
    ],
)
def test_aalen_johansen(name: str, frame: str, outcome: str, by: str | None) -> None:
    expected = pinned("survival", "competing", name)
    found = aalen_johansen(data(f"survival_{frame}"), outcome, by=by)
    for j, cause in enumerate(("1", "2")):
        rows = found[found["cause"] == cause]
        assert rows["time"].tolist() == expected["time"]
        assert_close(rows["incidence"], values(expected["pstate"])[:, j], CLOSED)
        assert_close(rows["std_error"], values(expected["se"])[:, j], CLOSED, 1e-2)


def test_aalen_johansen_with_late_entry() -> None:
    """Greenwood's variance, as in etm; survival's infinitesimal jackknife is another number there."""
    found = aalen_johansen(data("survival_mixed"), "Surv(entry, time, status)")
    for cause in ("1", "2"):
        expected = pinned("survival", "competing", "entry_greenwood", f"CIF {cause}")
        rows = found[found["cause"] == cause].set_index("time").loc[expected["time"]]
        assert_close(rows["incidence"], expected["incidence"], CLOSED)
        assert_close(rows["std_error"] ** 2, expected["var"], CLOSED)
    jackknife = values(pinned("survival", "competing", "entry", "se"))[:, 0]
    assert 1e-3 < difference(found[found["cause"] == "1"]["std_error"], jackknife) < 0.05


def test_aalen_variance() -> None:
    expected = pinned("survival", "competing", "aalen")
    found = aalen_johansen(data("survival_mixed"), "Surv(time, status)", variance="aalen")
    for j, cause in enumerate(("1", "2")):
        rows = found[found["cause"] == cause]
        assert rows["time"].tolist() == expected["time"]
        assert_close(rows["incidence"], values(expected["est"])[j], CLOSED)
        assert_close(rows["std_error"] ** 2, values(expected["var"])[j], CLOSED)


@pytest.mark.parametrize(
    ("name", "frame", "columns", "cause", "new"),
    [
        ("ends", "ends", ["alliance1", "arm"], 1, [[4, 1], [5.5, 0]]),
        ("mixed", "mixed", ["x", "z"], 1, [[45, 1], [60, 0]]),
        ("mixed_other", "mixed", ["x", "z"], 2, [[45, 1], [60, 0]]),
    ],
)
def test_fine_gray(name: str, frame: str, columns: list[str], cause: int, new: list[list[float]]) -> None:
    expected = pinned("survival", "competing", "fine_gray", name)
    model = CompetingRisksModel(f"Surv(time, status) ~ {' + '.join(columns)}", cause=cause, method="fine-gray")
    result = model.fit(data(f"survival_{frame}"))
    rows = result.tidy()
    assert_close(rows["estimate"], expected["coef"], NEWTON, expected["se"])
    assert_close(rows["std_error"], expected["se"], NEWTON)
    scale = np.outer(expected["se"], expected["se"])
    assert_close(result.covariance.to_numpy(), values(expected["var"]), NEWTON, scale)
    assert_close(result.state.log_likelihoods, [expected["loglik_null"], expected["loglik"]], CLOSED)
    found = event_probabilities(result, pd.DataFrame(new, columns=columns), expected["time"])
    assert_close(found["probability"].to_numpy().reshape(2, -1).T, values(expected["incidence"]), NEWTON)


def test_cause_specific_hazards() -> None:
    first = CompetingRisksModel("Surv(time, status) ~ alliance1 + arm", cause=1, method="cause-specific")
    check_cause(first.fit(data("survival_ends")), "ends")
    other = CompetingRisksModel(
        "Surv(entry, time, status) ~ x + z", cause=2, method="cause-specific", cluster="therapist"
    )
    check_cause(other.fit(data("survival_mixed")), "mixed_other")


def check_cause(result: Result, name: str) -> None:
    expected, rows = pinned("survival", "competing", "cause_specific", name), result.tidy()
    assert_close(rows["estimate"], list(expected["coef"].values()), NEWTON, expected["se"])
    assert_close(rows["std_error"], expected["se"], NEWTON)
    assert_close(concordance(result)[["concordance", "std_error"]].iloc[0], expected["concordance"], NEWTON)
    assert_close(proportional_hazards(result)["statistic"], expected["zph"]["chisq"], NEWTON)
