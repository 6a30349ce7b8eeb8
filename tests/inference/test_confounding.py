"""Sensitivity to confounding against regressions that hold the confounder, and against printed results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.confounding import Exposure, adjusted_estimate, e_value, robustness_value, sensitivity
from alliance_stats.models.linear import LinearModel
from alliance_stats.result import Result

EXACT = 1e-10  # both sides are least squares on a few well-conditioned columns
COLUMNS = ["estimate", "std_error", "statistic", "conf_low", "conf_high"]


def observed(seed: int = 1, n: int = 80, sign: float = 1.0) -> pd.DataFrame:
    """Alliance and pain, both moved by z, which the model does not know."""
    rng = np.random.default_rng(seed)
    z, baseline = rng.normal(size=n), rng.normal(size=n)
    arm = rng.choice(["GE", "MCE", "SMT"], n)
    alliance = 0.6 * z + 0.5 * baseline + 0.3 * (arm == "SMT") + rng.normal(size=n)
    pain = sign * (0.8 * alliance + 0.7 * z) + 0.4 * baseline + rng.normal(size=n)
    return pd.DataFrame({"pain": pain, "alliance": alliance, "baseline": baseline, "arm": arm, "z": z})


def residual(data: pd.DataFrame, formula: str) -> np.ndarray:
    return LinearModel(formula).fit(data).state.residual


def partial_r2(data: pd.DataFrame, left: str, right: str, added: str) -> float:
    before, after = residual(data, f"{left} ~ {right}"), residual(data, f"{left} ~ {right} + {added}")
    return float(1 - after @ after / (before @ before))


def row_of(result: Result, term: str) -> pd.Series:
    return result.tidy().set_index("term").loc[term]


def exposure(result: Result, term: str = "alliance", q: float = 1.0, alpha: float = 0.05) -> Exposure:
    row = row_of(result, term)
    return Exposure(term, 1, row["estimate"], row["std_error"], row["df"], q, alpha)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_adjusted_estimate_is_that_of_the_regression_with_the_confounder(sign: float) -> None:
    """z moves alliance and pain in the direction of the estimate, so that leaving it out is the worst case."""
    data = observed(sign=sign)
    short, long = (LinearModel(f"pain ~ alliance + baseline + arm{z}").fit(data) for z in ("", " + z"))
    with_exposure = partial_r2(data, "alliance", "baseline + arm", "z")
    with_outcome = partial_r2(data, "pain", "alliance + baseline + arm", "z")
    found = adjusted_estimate(exposure(short), with_exposure, with_outcome)
    assert [found[c] for c in COLUMNS] == pytest.approx(row_of(long, "alliance")[COLUMNS].tolist(), abs=EXACT)


def hidden(data: pd.DataFrame, r2_exposure: float, r2_outcome: float) -> np.ndarray:
    """A confounder with these partial R²s given baseline and arm, tied to both in the direction of the estimate."""
    d = residual(data, "alliance ~ baseline + arm")
    u = residual(data, "pain ~ alliance + baseline + arm")
    noise = residual(data.assign(noise=np.cos(np.arange(len(data)) ** 2.0)), "noise ~ pain + alliance + baseline + arm")
    d, u, noise = (v / np.sqrt(v @ v) for v in (d, u, noise))
    rest = np.sqrt(1 - r2_exposure)
    sign = np.sign(row_of(LinearModel("pain ~ alliance + baseline + arm").fit(data), "alliance")["estimate"])
    return np.sqrt(r2_exposure) * d + rest * (sign * np.sqrt(r2_outcome) * u + np.sqrt(1 - r2_outcome) * noise)


@pytest.mark.parametrize("q", [1.0, 0.4])
def test_a_confounder_as_strong_as_the_robustness_value_takes_the_estimate_away(q: float) -> None:
    data = observed(3)
    fit = LinearModel("pain ~ alliance + baseline + arm").fit(data)
    table = sensitivity(fit, "alliance", q=q).set_index("measure")
    row = table.loc["robustness value"]
    refit = LinearModel("pain ~ alliance + baseline + arm + z").fit(
        data.assign(z=hidden(data, row["value"], row["value"]))
    )
    left = (1 - q) * row_of(fit, "alliance")["estimate"]
    assert row_of(refit, "alliance")["estimate"] == pytest.approx(left, abs=EXACT)
    assert row["estimate"] == pytest.approx(left, abs=EXACT)
    extreme = table.loc["extreme scenario"]
    assert extreme["r2_outcome"] == 1
    assert extreme["estimate"] == pytest.approx(left, abs=EXACT)


@pytest.mark.parametrize(("q", "alpha"), [(1.0, 0.05), (0.4, 0.05), (1.0, 0.3)])
def test_a_confounder_as_strong_as_the_robustness_value_of_the_limit_reaches_it(q: float, alpha: float) -> None:
    data = observed(3)
    model = LinearModel("pain ~ alliance + baseline + arm", level=1 - alpha)
    fit = model.fit(data)
    rows = sensitivity(fit, "alliance", q=q, alpha=alpha)
    row = rows[rows["measure"].str.startswith("robustness value (")].iloc[0]
    refit = LinearModel("pain ~ alliance + baseline + arm + z", level=1 - alpha).fit(
        data.assign(z=hidden(data, row["r2_exposure"], row["r2_outcome"]))
    )
    left = (1 - q) * row_of(fit, "alliance")["estimate"]
    assert row_of(refit, "alliance")[COLUMNS].tolist() == pytest.approx(row[COLUMNS].tolist(), abs=EXACT)
    assert row["conf_low"] == pytest.approx(left, abs=EXACT)
    assert row["measure"] == f"robustness value (α = {str(alpha)[1:]})"


@pytest.mark.parametrize(("estimate", "df"), [(0.6, 40.0), (2.2, 5.0), (5.0, 8.0), (0.05, 40.0), (30.0, 3.0)])
def test_no_weaker_confounder_reaches_the_limit(estimate: float, df: float) -> None:
    """A search over all pairs of partial R²s below r; the worst reaches 0 at the robustness value and not before."""
    data = pd.DataFrame({"x": np.linspace(-1, 1, int(df) + 2)})
    noise = residual(data.assign(noise=np.sin(np.arange(len(data)) * 7.0)), "noise ~ x")
    fit = LinearModel("y ~ x").fit(data.assign(y=estimate * data["x"] + noise))
    x = exposure(fit, "x")

    def lowest(r: float) -> float:
        return min(adjusted_estimate(x, r, r2_outcome)["conf_low"] for r2_outcome in np.linspace(0, r, 4001))

    rows = sensitivity(fit, "x").set_index("measure")["value"]
    found = rows["robustness value (α = .05)"]
    if found > 0:
        assert found == pytest.approx(brentq(lowest, 1e-9, 1 - 1e-9, xtol=1e-12), abs=1e-7)  # the grid's own error
    else:
        assert lowest(1e-9) < 0
    assert found <= rows["robustness value"]


def benchmark_confounder(data: pd.DataFrame, k: float) -> np.ndarray:
    """z ⊥ baseline | arm with R²_{D~z} = k R²_{D~baseline} and R²_{Y~z|D} = k R²_{Y~baseline|D}, at its worst.

    z = a d + c u + noise, of length 1, from what the model leaves of alliance (d) and pain (u). With Y|D = β B|D + u and
    B|D = B − γ D, the product of z with Y|D is c |u|² − β γ a |d|², from which c follows.
    """
    d, u = residual(data, "alliance ~ baseline + arm"), residual(data, "pain ~ alliance + baseline + arm")
    noise = residual(data.assign(noise=np.cos(np.arange(len(data)) ** 2.0)), "noise ~ pain + alliance + baseline + arm")
    exposure, outcome = residual(data, "alliance ~ arm"), residual(data, "pain ~ alliance + arm")
    r2_exposure = k * partial_r2(data, "alliance", "arm", "baseline")
    r2_outcome = k * partial_r2(data, "pain", "alliance + arm", "baseline")
    beta = row_of(LinearModel("pain ~ alliance + arm + baseline").fit(data), "baseline")["estimate"]
    gamma = row_of(LinearModel("baseline ~ alliance + arm").fit(data), "alliance")["estimate"]
    assert beta * gamma > 0
    a = np.sqrt(r2_exposure * (exposure @ exposure)) / (d @ d)
    product = np.sqrt(r2_outcome * (outcome @ outcome) * (1 - r2_exposure))
    c = (product + beta * gamma * a * (d @ d)) / (u @ u)
    left = 1 - a**2 * (d @ d) - c**2 * (u @ u)
    return a * d + c * u + np.sqrt(left / (noise @ noise)) * noise


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_bound_is_reached_by_a_confounder_as_strong_as_the_benchmark(k: float) -> None:
    data = observed(5)
    data = data.assign(z=benchmark_confounder(data, k))
    fit = LinearModel("pain ~ alliance + baseline + arm").fit(data)
    row = sensitivity(fit, "alliance", "baseline", multiples=[k]).query("measure == 'bound'").iloc[0]
    assert partial_r2(data, "alliance", "baseline + arm", "z") == pytest.approx(row["r2_exposure"], abs=EXACT)
    assert partial_r2(data, "pain", "alliance + baseline + arm", "z") == pytest.approx(row["r2_outcome"], abs=EXACT)
    refit = LinearModel("pain ~ alliance + baseline + arm + z").fit(data)
    assert row[COLUMNS].tolist() == pytest.approx(row_of(refit, "alliance")[COLUMNS].tolist(), abs=1e-9)
    assert (row["benchmark"], row["multiple"]) == ("baseline", k)


def test_printed_results_of_cinelli_and_hazlett_2020() -> None:
    """Table 1 and figure 2: direct harm in Darfur, t = 4.184 on 783 df, and a confounder like gender."""
    x = Exposure("direct harm", 0, 0.09731582, 0.02325654, 783, 1.0, 0.05)
    assert round(100 * x.f**2 / (1 + x.f**2), 1) == 2.2
    assert round(100 * robustness_value(x.f), 1) == 13.9
    assert round(100 * robustness_value(x.f - x.critical_f), 1) == 7.6
    found = adjusted_estimate(x, 0.00916, 0.12464)
    assert [round(found[c], 3) for c in ("estimate", "std_error", "conf_low", "conf_high")] == [
        0.075,
        0.022,
        0.032,
        0.118,
    ]


def test_printed_e_values_of_vanderweele_and_ding_2017() -> None:
    """Maternal smoking: a risk ratio of 3.9, 95 % CI 1.8 to 8.7."""
    assert round(e_value(3.9), 2) == 7.26
    assert round(e_value(1.8), 1) == 3.0
    assert e_value(1 / 3.9) == pytest.approx(e_value(3.9), abs=EXACT)
    with pytest.raises(AllianceError, match="risk ratio is 0"):
        e_value(0)


def test_e_values_follow_from_d_of_one_sd_or_of_the_two_values() -> None:
    data = observed().assign(trained=lambda d: 2.0 * (d["z"] > 0))
    fit = LinearModel("pain ~ alliance + trained").fit(data)
    for term, change in (("alliance", data["alliance"].std()), ("trained", 2.0)):
        table = sensitivity(fit, term).set_index("measure")
        row, scale = row_of(fit, term), 0.91 * change / data["pain"].std()
        assert table.loc["E-value", "value"] == pytest.approx(e_value(np.exp(scale * row["estimate"])), abs=EXACT)
        wanted = e_value(np.exp(scale * row["conf_low"]))
        assert table.loc["E-value of the limit", "value"] == pytest.approx(wanted, abs=EXACT)
    assert "from 0 to 2 of trained" in table.loc["E-value", "meaning"]


def test_negative_effects_and_effects_within_chance() -> None:
    data = observed(sign=-1.0)
    fit = LinearModel("pain ~ alliance + baseline").fit(data)
    row = row_of(fit, "alliance")
    scale = 0.91 * data["alliance"].std() / data["pain"].std()
    table = sensitivity(fit, "alliance").set_index("measure")
    wanted = e_value(np.exp(scale * row["conf_high"]))
    assert table.loc["E-value of the limit", "value"] == pytest.approx(wanted, abs=EXACT)
    nothing = observed().assign(pain=lambda d: np.sin(np.arange(len(d)) * 9.0))
    table = sensitivity(LinearModel("pain ~ alliance").fit(nothing), "alliance").set_index("measure")["value"]
    assert table["E-value of the limit"] == 1
    assert table["robustness value (α = .05)"] == 0
    assert 0 < table["robustness value"] < 0.2


def test_partial_r2_is_classical_and_the_limit_of_the_e_value_is_the_models_own() -> None:
    data = observed()
    plain, robust = (LinearModel("pain ~ alliance + baseline", vcov=v).fit(data) for v in ("classical", "HC3"))
    first, second = (sensitivity(fit, "alliance", "baseline") for fit in (plain, robust))
    other = first["measure"] != "E-value of the limit"
    pd.testing.assert_frame_equal(first[other], second[other])
    scale = 0.91 * data["alliance"].std() / data["pain"].std()
    wanted = e_value(np.exp(scale * row_of(robust, "alliance")["conf_low"]))
    assert second["value"].iloc[-1] == pytest.approx(wanted, abs=EXACT)


def test_first_row_is_the_fit_and_a_factor_is_one_benchmark() -> None:
    data = observed()
    fit = LinearModel("pain ~ alliance + baseline + arm").fit(data)
    found = sensitivity(fit, "alliance", ["arm", "arm[T.SMT]"], multiples=[1])
    assert found["measure"].iloc[0] == "as fitted"
    assert found.loc[0, COLUMNS].tolist() == pytest.approx(row_of(fit, "alliance")[COLUMNS].tolist(), abs=EXACT)
    bounds = found[found["measure"] == "bound"].set_index("benchmark")
    for name, rest in (("arm", "baseline"), ("arm[T.SMT]", "baseline + mce")):
        coded = data.assign(mce=1.0 * (data["arm"] == "MCE"), smt=1.0 * (data["arm"] == "SMT"))
        r = partial_r2(coded, "alliance", rest, "mce + smt" if name == "arm" else "smt")
        assert bounds.loc[name, "r2_exposure"] == pytest.approx(r / (1 - r), abs=EXACT)


def test_impossible_and_capped_bounds_say_so() -> None:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"severity": rng.normal(size=40), "age": rng.normal(size=40)})
    data["alliance"] = 3 * data["severity"] + rng.normal(size=40)
    data["pain"] = data["alliance"] + 5 * data["age"] + 0.5 * rng.normal(size=40)
    fit = LinearModel("pain ~ alliance + severity + age").fit(data)
    found = sensitivity(fit, "alliance", ["severity", "age"], multiples=(1, 3))
    bounds = found[found["measure"] == "bound"]
    severity, age = (bounds[bounds["benchmark"] == name] for name in ("severity", "age"))
    assert severity[["r2_exposure", "estimate"]].isna().all(axis=None)
    assert severity["meaning"].str.contains("impossible: severity explains").all()
    assert age["r2_outcome"].tolist() == [1, 1]
    assert age["std_error"].tolist() == [0, 0]
    assert age["meaning"].str.contains("all the rest of the outcome").all()


def test_perfect_fit_cannot_be_explained_away() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 3, 4, 5, 6], "x": [2.0, 4, 6, 8, 10, 12], "w": [1.0, 0, 2, 1, 0, 2]})
    found = sensitivity(LinearModel("y ~ x + w").fit(data), "x", "w").set_index("measure")["value"]
    assert found[["partial R²", "robustness value"]].tolist() == pytest.approx([1, 1], abs=EXACT)


def test_one_column_without_intercept() -> None:
    data = observed()
    found = sensitivity(LinearModel("pain ~ 0 + alliance").fit(data), "alliance").set_index("measure")
    y, x = data["pain"], data["alliance"]
    assert found.loc["partial R²", "value"] == pytest.approx((x @ y) ** 2 / (x @ x) / (y @ y), abs=EXACT)
    both = sensitivity(LinearModel("pain ~ 0 + alliance + baseline").fit(data), "alliance", "baseline", multiples=[1])
    b = data["baseline"]
    r = (x @ b) ** 2 / (x @ x) / (b @ b)
    assert both.query("measure == 'bound'")["r2_exposure"].iloc[0] == pytest.approx(r / (1 - r), abs=EXACT)


@settings(deadline=None, max_examples=20)
@given(unit=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_units_and_row_order_leave_the_measures_equal(unit: float, seed: int) -> None:
    data = observed()
    changed = data.assign(pain=data["pain"] * unit + 1, alliance=data["alliance"] / unit).sample(
        frac=1, random_state=seed
    )
    first, second = (
        sensitivity(LinearModel("pain ~ alliance + baseline + arm").fit(d), "alliance", ["baseline", "arm"])
        for d in (data, changed)
    )
    same = ["value", "r2_exposure", "r2_outcome", "statistic"]
    # Zero in exact arithmetic at the extreme scenario, hence the absolute part.
    assert second[same].to_numpy() == pytest.approx(first[same].to_numpy(), rel=1e-7, abs=1e-7, nan_ok=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"term": "arm"}, "'arm' is not a term; terms: Intercept, alliance"),
        ({"term": "Intercept"}, "the intercept is not an exposure"),
        ({"term": "alliance", "benchmarks": "age"}, "no benchmark 'age'; possible: Intercept, alliance, arm"),
        ({"term": "alliance", "benchmarks": ["alliance"]}, "must be an estimated term other than 'alliance'"),
        ({"term": "arm[T.SMT]", "benchmarks": ["arm"]}, "must be an estimated term other than"),
        ({"term": "alliance", "benchmarks": "arm", "multiples": [0]}, "multiples holds 0"),
        ({"term": "alliance", "q": 0}, "q is 0"),
        ({"term": "alliance", "alpha": 5}, "alpha 5"),
    ],
)
def test_errors_name_the_argument(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        sensitivity(LinearModel("pain ~ alliance + arm").fit(observed()), **arguments)  # type: ignore[arg-type]


def test_other_models_few_rows_and_constant_outcomes_are_refused() -> None:
    few = pd.DataFrame({"y": [1.0, 3, 2], "x": [1.0, 2, 3]})
    fit = LinearModel("y ~ x").fit(few)
    with pytest.raises(AllianceError, match="1 residual df"):
        sensitivity(fit, "x")
    with pytest.raises(AllianceError, match="sensitivity needs a fitted LinearModel"):
        sensitivity(Result(object(), fit.frame, fit.state, fit.estimates, fit.statistics, fit.covariance), "x")
    with pytest.raises(DataError, match="the outcome 'pain' is 2 in every row"):
        sensitivity(LinearModel("pain ~ alliance").fit(observed().assign(pain=2.0)), "alliance")
