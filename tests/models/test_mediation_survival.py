"""Mediation of a time to an event: effects, coefficients, intervals, and what is refused."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from alliance_stats import (
    AllianceError,
    ConvergenceError,
    CoxModel,
    DataError,
    FormulaError,
    LinearModel,
    Mediation,
    agrema,
    calibration,
    compare,
    conditional_indirect,
    event_probabilities,
    interventional_effects,
    methods_text,
    predict,
    rootogram,
    sensitivity,
    simulate,
)
from alliance_stats.models.linear import cluster_codes
from alliance_stats.numerics.mediation_resample import cluster_counts, row_counts
from alliance_stats.numerics.mediation_survival import (
    NODES,
    WEIGHTS,
    counterfactual_probability,
    event_probability,
    fit_horizon,
    refit_horizon,
)
from alliance_stats.numerics.random import stream
from alliance_stats.result import Result

VALIDATION = Path(__file__).parents[2] / "validation"
M, Y = "alliance ~ arm + severity", "Surv(time, dropped) ~ arm * alliance + severity"
HORIZON = 8


@cache
def trial(n: int = 120, rate: float = 0.1) -> pd.DataFrame:
    """Whole weeks, so that events are tied; unequal arms and therapists; leaving in a way that says nothing."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"arm": (np.arange(n) % 3 > 0).astype(int), "severity": rng.normal(size=n)})
    frame["therapist"] = [f"t{k}" for k in rng.integers(15, size=n)]
    frame["alliance"] = 50 + 3 * frame["arm"] - frame["severity"] + 5 * rng.normal(size=n)
    frame["trust"] = 2 * frame["arm"] + 0.2 * (frame["alliance"] - 50) + rng.normal(size=n)
    log_hazard = 0.3 * frame["arm"] - 0.08 * (frame["alliance"] - 50) + 0.3 * frame["severity"]
    event = rng.exponential(size=n) / (rate * np.exp(log_hazard))
    left = rng.uniform(4, 20, size=n)
    return frame.assign(time=np.ceil(np.minimum(event, left)), dropped=(event <= left).astype(int))


def declared(mediators: Any = M, outcome: str = Y, **options: Any) -> Mediation:
    given = {"exposure": "arm", "horizon": HORIZON, "interval": "monte-carlo", "draws": 50} | options
    return Mediation(mediators, outcome, **given)


@cache
def fitted(**options: Any) -> Result:
    return declared(**options).fit(trial())


def effects(result: Result) -> pd.Series:
    rows = result.tidy().query("component == 'effect'")
    return rows.set_index("term")["estimate"]


def named(R: dict[tuple[int, int], float]) -> dict[str, float]:
    """Effects from the four probabilities, in words of their definitions."""
    total = R[1, 1] - R[0, 0]
    indirect, direct = R[1, 1] - R[1, 0], R[1, 0] - R[0, 0]
    pure = R[0, 1] - R[0, 0]
    return {
        "total": total, "indirect": indirect, "acme_treated": indirect, "tnie": indirect, "direct": direct, "pnde": direct,
        "ade_control": direct, "acme_control": pure, "pnie": pure, "pie": pure, "ade_treated": R[1, 1] - R[0, 1],
        "tnde": R[1, 1] - R[0, 1], "intmed": indirect - pure, "proportion_mediated": indirect / total,
    }  # fmt: skip


def cox_log_hazards(frame: pd.DataFrame, formula: str, rows: pd.DataFrame, horizon: float) -> np.ndarray:
    """log H of rows at the horizon by CoxModel alone."""
    found = event_probabilities(CoxModel(formula).fit(frame), rows, [horizon])
    return np.log(-np.log(found["survival"].to_numpy()))


def test_effects_are_the_integrals_that_define_them() -> None:
    """Against adaptive quadrature row by row, with baseline and coefficients of CoxModel and LinearModel."""
    frame, linear = trial(), LinearModel(M).fit(trial())
    sigma = float(np.sqrt((linear.state.residual**2).sum() / linear.state.df_residual))
    R = {}
    for x, world in product((0, 1), (0, 1)):
        means = predict(linear, frame.assign(arm=world))["fitted"].to_numpy()
        at = [cox_log_hazards(frame, Y, frame.assign(arm=x, alliance=means + k), HORIZON) for k in (0, 1)]
        slope = (at[1] - at[0])[0]
        made = [
            quad(lambda z, e=e, s=slope: -np.expm1(-np.exp(e + s * sigma * z)) * norm.pdf(z), -10, 10, epsabs=1e-12)[0]
            for e in at[0]
        ]
        R[x, world] = float(np.mean(made))
    ours = effects(fitted())
    for name, value in named(R).items():
        assert ours[name] == pytest.approx(value, abs=1e-9), name
    held = float(frame["alliance"].mean())
    sides = [-np.expm1(-np.exp(cox_log_hazards(frame, Y, frame.assign(arm=x, alliance=held), HORIZON))) for x in (0, 1)]
    assert ours["cde"] == pytest.approx(float(np.mean(sides[1] - sides[0])), abs=1e-9)
    assert ours["intref"] == pytest.approx(ours["pnde"] - ours["cde"], abs=1e-12)


def test_effects_are_those_of_simulated_potential_outcomes() -> None:
    """Two million people whose mediators and events are drawn, each in all worlds; within four standard errors."""
    rng, n = np.random.default_rng(5), 2_000_000
    result = fitted(mediators=("alliance ~ arm",), outcome="Surv(time, dropped) ~ arm * alliance")
    (mediator, outcome) = result.state.equations
    noise, clock = mediator.sigma * rng.standard_normal(n), rng.exponential(size=n)
    intercept, shift = mediator.coefficients
    log_hazard, b = outcome.coefficients[0], dict(zip(outcome.terms[1:], outcome.coefficients[1:], strict=True))

    def event(x: int, world: int) -> np.ndarray:
        m = intercept + shift * world + noise
        return clock < np.exp(log_hazard + b["arm"] * x + b["alliance"] * m + b["arm:alliance"] * x * m)

    R = {(x, m): event(x, m) for x in (0, 1) for m in (0, 1)}
    ours = effects(result)
    for name, (first, second) in {
        "indirect": ((1, 1), (1, 0)),
        "direct": ((1, 0), (0, 0)),
        "pnie": ((0, 1), (0, 0)),
    }.items():
        difference = R[first].astype(float) - R[second]
        assert abs(difference.mean() - ours[name]) < 4 * difference.std() / np.sqrt(n), name


@pytest.mark.parametrize("serial", [False, True])
def test_several_mediators_are_integrated_together(serial: bool) -> None:
    """Against a grid over both errors; with ``serial`` the second mediator depends on the first."""
    formulas = ("alliance ~ arm", "trust ~ arm + alliance" if serial else "trust ~ arm")
    result = fitted(mediators=formulas, outcome="Surv(time, dropped) ~ arm * alliance + trust")
    first, second, outcome = result.state.equations
    g, h = first.coefficients, np.append(second.coefficients, 0.0)
    b = dict(zip(outcome.terms, outcome.coefficients, strict=True))
    z, w = np.polynomial.legendre.leggauss(200)
    z, w = 9 * z, 9 * w * norm.pdf(9 * z)

    def probability(x: int, world: int) -> float:
        m = (g[0] + g[1] * world + first.sigma * z)[:, None]
        t = h[0] + h[1] * world + h[2] * m + second.sigma * z[None, :]
        eta = b["Intercept"] + b["arm"] * x + (b["alliance"] + b["arm:alliance"] * x) * m + b["trust"] * t
        return float(w @ -np.expm1(-np.exp(eta)) @ w)

    ours = effects(result)
    for name, value in named({(x, m): probability(x, m) for x in (0, 1) for m in (0, 1)}).items():
        assert ours[name] == pytest.approx(value, abs=1e-9), name
    assert "effects are those of all mediators together" in result.notes


@pytest.mark.parametrize("sigma", [0.01, 0.5, 1.5, 2.5])
@pytest.mark.parametrize("eta", [-8.0, -2.0, 0.0, 2.0])
def test_the_73_nodes_are_exact_to_1e8(eta: float, sigma: float) -> None:
    assert len(NODES) == 73
    whole = quad(lambda z: -np.expm1(-np.exp(eta + sigma * z)) * norm.pdf(z), -12, 12, epsabs=1e-13, limit=400)[0]
    assert float(event_probability(eta + sigma * NODES) @ WEIGHTS) == pytest.approx(whole, abs=1e-8)


def test_coefficients_are_those_of_the_models_alone() -> None:
    rows = fitted().tidy().query("component == 'fixed'").set_index("term")
    for prefix, alone in (("alliance", LinearModel(M).fit(trial())), ("dropped", CoxModel(Y).fit(trial()))):
        for row in alone.tidy().itertuples():
            mine = rows.loc[f"{prefix}~{row.term}"]
            for name in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
                assert mine[name] == pytest.approx(getattr(row, name), rel=1e-8), (row.term, name)
    paths = fitted().tidy().query("component == 'path'").set_index("term")["estimate"]
    assert paths.index.tolist() == ["a", "c_prime", "b"]
    assert paths.tolist() == rows.loc[["alliance~arm", "dropped~arm", "dropped~alliance"], "estimate"].tolist()
    assert "dropped~Intercept" not in rows.index


def test_predictions_are_those_of_the_cox_model() -> None:
    """Probability and standard error (Tsiatis) by the horizon, with tied events."""
    new = trial().iloc[[3, 14, 90]]
    ours, theirs = predict(fitted(), new), event_probabilities(CoxModel(Y).fit(trial()), new, [HORIZON])
    assert ours["fitted"].to_numpy() == pytest.approx(theirs["probability"].to_numpy(), rel=1e-9)
    assert ours["std_error"].to_numpy() == pytest.approx(theirs["std_error"].to_numpy(), rel=1e-7)
    drawn = simulate(fitted(), 400, rng=1)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean(axis=0) == pytest.approx(fitted().state.fitted, abs=5 * 0.5 / np.sqrt(400))


def test_clusters_and_robust_errors() -> None:
    """CR1 is the sandwich of CoxModel with G/(G − 1); of log H₀, influence is what leaving a row out changes."""
    frame = trial()
    rows = fitted(cluster="therapist").tidy().query("component == 'fixed'").set_index("term")
    theirs = CoxModel(Y, cluster="therapist").fit(frame).tidy().set_index("term")["std_error"]
    groups = frame["therapist"].nunique()
    for term, value in theirs.items():
        assert rows.loc[f"dropped~{term}", "std_error"] == pytest.approx(
            value * np.sqrt(groups / (groups - 1)), rel=1e-8
        )
    X, stop, event = frame[["arm", "alliance"]].to_numpy(float), frame["time"].to_numpy(), frame["dropped"].to_numpy()
    fit, n = fit_horizon(stop, event, X, HORIZON), len(frame)
    left = np.array([refit_horizon(stop, event, X, HORIZON, np.arange(n) != i) for i in range(n)])
    for j in range(3):
        assert np.corrcoef(fit.influence[:, j], left[:, j])[0, 1] < -0.98
    assert np.abs(fit.influence.sum(axis=0)).max() < 1e-8


def test_a_resample_is_a_fit_to_its_rows() -> None:
    """The first resample of the bootstrap, with and without clusters, fitted as data of its own."""
    for cluster, draws in ((None, 3), ("therapist", 3)):
        result = declared(interval="percentile", draws=draws, cluster=cluster).fit(trial())
        rng = stream(1, "mediation", "percentile")
        codes = cluster_codes(trial(), "therapist")
        counts = (
            row_counts(len(codes), draws, rng) if cluster is None else cluster_counts(codes, draws, rng, within=False)
        )
        again = trial().iloc[np.repeat(np.arange(len(codes)), counts[0].astype(int))].reset_index(drop=True)
        held = {"alliance": float(trial()["alliance"].mean())}
        alone = effects(declared(held=held, draws=2).fit(again))
        assert result.draws.iloc[0].to_numpy() == pytest.approx(
            alone[result.draws.columns].to_numpy(), rel=1e-6, abs=1e-9
        )


def test_the_two_intervals_agree_where_they_should() -> None:
    """Standard errors of the bootstrap and of the joint normal distribution, in 400 patients, within a sixth."""
    frame = trial(400)
    rows = [declared(interval=kind, draws=600).fit(frame).tidy() for kind in ("percentile", "monte-carlo")]
    first, second = (r.query("component == 'effect'").set_index("term")["std_error"] for r in rows)
    for name in ("indirect", "direct", "total"):
        assert first[name] == pytest.approx(second[name], rel=1 / 6), name


def test_a_rare_event_has_the_product_as_its_indirect_log_hazard_ratio() -> None:
    """VanderWeele 2011: without an interaction the log ratios of the probabilities are a b and c′; not of a common event."""
    off = []
    for rate, horizon in ((0.0005, 4), (0.1, 12)):
        model = declared("alliance ~ arm", "Surv(time, dropped) ~ arm + alliance", horizon=horizon)
        result = model.fit(trial(3000, rate))
        (system,), phi = result.state.effects.systems, result.state.phi[None]
        R = {(x, m): float(counterfactual_probability(system, phi, x, m)[0, 0]) for x, m in ((1, 1), (1, 0), (0, 0))}
        path = result.tidy().query("component == 'path'").set_index("term")["estimate"]
        ratios = np.log([R[1, 1] / R[1, 0], R[1, 0] / R[0, 0]])
        off.append(np.abs(ratios / [path["a"] * path["b"], path["c_prime"]] - 1).max())
    assert off[0] < 0.01
    assert off[1] > 0.3


def test_exposures_of_every_kind() -> None:
    frame = trial().assign(arm=lambda d: np.where(d["severity"] > 0.7, "C", np.where(d["arm"] == 1, "B", "A")))
    result = declared("alliance ~ arm", "Surv(time, dropped) ~ arm + alliance").fit(frame)
    rows = result.tidy().query("term == 'indirect'")
    assert rows["at"].tolist() == ["arm: B - A", "arm: C - A"]
    chosen = declared("alliance ~ arm", "Surv(time, dropped) ~ arm + alliance", contrast=("A", "C")).fit(frame)
    assert effects(chosen)["indirect"] == pytest.approx(rows["estimate"].iloc[1], rel=1e-12)
    numeric = declared(
        "trust ~ alliance", "Surv(time, dropped) ~ alliance + trust", exposure="alliance", contrast=(45, 55)
    )
    assert np.isfinite(effects(numeric.fit(trial()))).all()
    means = effects(declared(average="means").fit(trial()))
    assert means["total"] != pytest.approx(effects(fitted())["total"], rel=1e-3)


def test_an_exposure_without_a_path_of_its_own() -> None:
    result = declared("alliance ~ arm", "Surv(time, dropped) ~ alliance").fit(trial())
    found = effects(result)
    assert found["direct"] == 0
    assert found["indirect"] == found["total"]
    assert any("direct effect is zero by declaration" in note for note in result.notes)


def test_what_the_result_says_of_itself() -> None:
    text = " ".join(declared(randomised=True).fit(trial()).notes)
    for said in (
        "on the probability of the event of Surv(time, dropped) by time = 8", "averaged over the 120 rows",
        "no ratio of hazards is decomposed", "doi 10.1097/EDE.0b013e31821db37e", "hazards are proportional",
        "censoring is independent", "'time' must run from when alliance was measured", "randomised: arm has no confounders",
    ):  # fmt: skip
        assert said in text, said
    frame = trial()
    early, lost = (int(((frame["time"] <= 8) & (frame["dropped"] == 1)).sum()),
                   int(((frame["time"] < 8) & (frame["dropped"] == 0)).sum()))  # fmt: skip
    assert f"by 8: {early} of {int(frame['dropped'].sum())} events, {lost} rows censored" in text
    assert "few" not in text
    glance = fitted().glance()
    assert glance[["n_obs", "n_events"]].iloc[0].tolist() == [120, int(frame["dropped"].sum())]
    assert "log_likelihood" not in glance


def test_rows_left_out_and_other_kinds_of_event_are_counted() -> None:
    frame = trial().assign(end=lambda d: np.where(d["dropped"] == 1, "dropped", "censored"))
    frame.loc[frame.index[:7], "end"] = "moved"
    frame.loc[frame.index[20:23], "time"] = np.nan
    result = declared(outcome="Surv(time, end == 'dropped') ~ arm * alliance + severity").fit(frame)
    text = " ".join(result.notes)
    assert "3 of 120 rows left out for missing values (time 3)" in text
    assert "count as censored: moved 7" in text
    assert effects(result)["indirect"] != effects(fitted())["indirect"]


def test_resamples_without_an_estimate_are_counted() -> None:
    """Two events by the horizon: some resamples have none."""
    frame = trial(60, 0.02)
    times = np.sort(frame["time"][frame["dropped"] == 1].unique())
    result = declared("alliance ~ arm", "Surv(time, dropped) ~ arm + alliance", horizon=times[0], interval="percentile",
                      draws=200).fit(frame)  # fmt: skip
    lost = [note for note in result.notes if "of 200 resamples gave no estimate" in note]
    assert len(lost) == 1
    assert len(result.draws) == 200 - int(lost[0].split()[0])


def test_rounding_of_the_horizon() -> None:
    """0.1 + 0.2 is an event time of 0.3."""
    frame = trial().assign(time=lambda d: d["time"] / 10)
    first, second = (effects(declared(horizon=h).fit(frame)) for h in (0.3, 0.1 + 0.2))
    assert first.tolist() == second.tolist()


def test_relatives_and_analyses_that_do_not_apply() -> None:
    with pytest.raises(AllianceError, match="not defined here for a time to an event"):
        sensitivity(fitted())
    with pytest.raises(AllianceError, match="not defined here for a time to an event"):
        conditional_indirect(fitted(), "severity")
    with pytest.raises(FormulaError, match="natural effects only"):
        interventional_effects(
            trial(), exposure="arm", confounder="trust ~ arm", mediator="alliance ~ arm + trust",
            outcome="Surv(time, dropped) ~ arm + trust + alliance", horizon=8, interval="percentile",
        )  # fmt: skip
    table = agrema(fitted()).set_index("item")["known"]
    assert len(table) == 25
    assert "by time = 8" in table[9]
    assert "hazards are proportional" in table[11]
    assert "dropped survival" in table[12]
    assert table[19].startswith("none from the result")


def test_plot_and_sentence() -> None:
    ax = fitted().plot()
    assert ax.get_figure() is not None
    assert re.search(r"^indirect = |b = |indirect", fitted().apa("indirect"))
    assert "by the time 8" in repr(declared())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no horizon": ({"horizon": None}, "give horizon="),
    "horizon of text": ({"horizon": "8"}, "horizon is '8'; give a time above 0"),
    "horizon zero": ({"horizon": 0}, "horizon is 0; give a time above 0"),
    "horizon infinite": ({"horizon": np.inf}, "give a time above 0"),
    "horizon of a mean": ({"outcome": "severity ~ arm + alliance", "mediators": "alliance ~ arm"}, "horizon=8 is for"),
    "late entry": ({"outcome": "Surv(start, time, dropped) ~ arm + alliance"}, "late entry and time-varying"),
    "bca": ({"interval": "bca"}, "interval='bca' is not for a time to an event; use 'percentile'"),
    "delta": ({"interval": "delta"}, "interval='delta' is not for a time to an event"),
    "at": ({"at": {"severity": "sd"}}, "is not for a time to an event"),
    "scale": ({"scale": "odds-ratio"}, "scale='odds-ratio' is not for a time to an event"),
    "HC3": ({"vcov": "HC3"}, "vcov='HC3' is not for a time to an event"),
    "family": ({"family": {"alliance": "poisson"}}, "mediators are normal"),
    "time as cause": ({"mediators": "alliance ~ arm + time"}, "'time' is the time of the outcome"),
    "time as predictor": ({"outcome": "Surv(time, dropped) ~ arm + alliance + time"}, "part of the outcome and a predictor"),
    "event as cause": ({"mediators": "alliance ~ arm + dropped"}, "the outcome 'dropped' cannot predict a mediator"),
    "strata": ({"outcome": "Surv(time, dropped) ~ arm + alliance + strata(severity)"}, "is not a function of formulas"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_declarations_that_are_refused(case: str) -> None:
    options, message = REFUSED[case]
    with pytest.raises(AllianceError, match=re.escape(message)):
        declared(**options)


def changed(**columns: Callable[[pd.DataFrame], Any]) -> Callable[[], pd.DataFrame]:
    return lambda: trial().assign(**columns)


BAD: dict[str, tuple[Callable[[], pd.DataFrame], dict[str, Any], type[Exception], str]] = {
    "beyond": (trial, {"horizon": 30}, DataError, "horizon=30 lies beyond the follow-up: the longest 'time' is 19"),
    "too early": (trial, {"horizon": 0.5}, DataError, "horizon=0.5: no event by then (the first is at 1)"),
    "no events": (changed(dropped=lambda d: 0), {}, DataError, "no events in 120 complete rows"),
    "negative": (changed(time=lambda d: d["time"] - 3), {}, DataError, "'time' is negative"),
    "event of 2": (changed(dropped=lambda d: d["dropped"] + 1), {}, DataError, "it must be 1 (event) and 0 (censored)"),
    "one arm": (
        changed(dropped=lambda d: d["dropped"] * d["arm"]), {"outcome": "Surv(time, dropped) ~ arm + alliance"},
        ConvergenceError, "monotone in 'arm'",
    ),
    "twice": (
        changed(double=lambda d: 2 * d["severity"]), {"outcome": f"{Y} + double"}, DataError, "'double' depends on other terms",
    ),
    "no baseline": (trial, {"outcome": "Surv(time, dropped) ~ 0 + arm + alliance"}, FormulaError, "the baseline hazard is"),
    "product of mediators": (
        trial, {"mediators": ("alliance ~ arm", "trust ~ arm"), "outcome": "Surv(time, dropped) ~ arm + alliance * trust"},
        AllianceError, "a product of two mediators",
    ),
    "curve": (trial, {"outcome": "Surv(time, dropped) ~ arm + I(alliance^2)"}, AllianceError, "enters by a curve"),
    "CR2": (trial, {"vcov": "CR2", "cluster": "therapist"}, AllianceError, "vcov='CR2' is not for a time"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_data_that_are_refused(case: str) -> None:
    data, options, error, message = BAD[case]
    with pytest.raises(error, match=re.escape(message)):
        declared(**options).fit(data())


@pytest.fixture(scope="module")
def script() -> ModuleType:
    name = "recovery_mediation_survival"
    spec = importlib.util.spec_from_file_location(name, VALIDATION / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_short_recovery(script: ModuleType) -> None:
    """Sixty trials with an interaction: no bias beyond four standard errors, coverage no worse than 85 %."""
    setting = next(s for s in script.GRID if s.name == "interaction")
    table = script.cell(setting, "monte-carlo", 60)
    assert (table["bias"].abs() < 4 * table["bias_error"]).all()
    assert (table["coverage"] >= 0.85).all()


def test_long_recovery(script: ModuleType) -> None:
    """300 trials, 30 rows: bias within 3.5 standard errors, coverage within three binomial ones (1.3 %) of 95 %."""
    table = pd.read_csv(VALIDATION / "recovery_mediation_survival.csv")
    assert set(table["name"]) == {s.name for s in script.GRID}
    assert (table["trials"] == 300).all()
    assert (table["bias"].abs() < 3.5 * table["bias_error"]).all()
    assert ((table["coverage"] - 0.95).abs() < 3 * 0.0126).all()
    for s in script.GRID:
        mine = table[table["name"] == s.name].drop_duplicates("effect").set_index("effect")["truth"]
        assert mine.to_dict() == pytest.approx(script.truth(s), abs=1e-4)
    none = table[(table["name"] == "no path b") & (table["effect"] == "indirect")]
    assert (none["rejected"] <= 0.05 + 3 * 0.0126).all()


def test_what_asks_for_residuals_or_a_sensitivity_says_that_there_is_none() -> None:
    fit = declared().fit(trial())
    for function in (calibration, rootogram):
        with pytest.raises(AllianceError, match="Mediation has no residuals"):
            function(fit)
    with pytest.raises(AllianceError, match="compare: Mediation of this outcome"):
        compare(fit, fit)
    known = agrema(fit).set_index("item")["known"]
    assert known[15] == "none by the package for times to an event; for the authors"
    assert known[19].startswith("none from the result")
    assert "mediators regressed by ordinary least squares and the outcome by Cox regression" in " ".join(
        methods_text(fit).split()
    )
