"""Sensitivity of mediation: against medsens, the likelihood at a fixed correlation, and confounders that are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, data, pinned
from scipy.optimize import minimize
from scipy.stats import norm

from alliance_stats import (
    AllianceError,
    DataError,
    LinearModel,
    Mediation,
    Result,
    contrast,
    marginal_means,
    sensitivity,
)
from alliance_stats import anova as anova_table
from alliance_stats import wald_test as wald
from alliance_stats.inference.conditional_indirect import conditional_indirect
from alliance_stats.inference.mediation_ratios import e_value
from alliance_stats.inference.mediation_reporting import agrema
from alliance_stats.inference.mediation_rho import assumed_effects
from alliance_stats.inference.mediation_sensitivity import sensitivity_contours, sensitivity_curve

M, Y = "alliance ~ arm + severity", "pain ~ arm + alliance + severity"
PROBIT = {"responder": "probit"}
# medsens iterates its weights to a tolerance of its own: its step from ρ = 0 is off by 7e-5 at ρ = .9 and 5e-7 at .1.
ITERATED = 1e-4


def exact(mean: np.ndarray, covariance: np.ndarray, n: int, names: list[str]) -> pd.DataFrame:
    """Rows whose means and covariances (over n − 1) are these, exactly."""
    z = np.random.default_rng(5).normal(size=(n, len(mean)))
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return pd.DataFrame(z @ np.linalg.cholesky(covariance).T + mean, columns=names)


@cache
def jobs(vcov: str) -> Result:
    p = pinned("mediation_sensitivity")
    frame = exact(np.array(p["mean"]), np.array(p["covariance"]), p["n"], p["columns"])
    return Mediation(
        ["job_seek ~ treat + econ_hard + sex + age"], "depress2 ~ treat + job_seek + econ_hard + sex + age", "treat",
        contrast=(0, 1), interval="delta", vcov=vcov,
    ).fit(frame)  # fmt: skip


@cache
def fitted(outcome: str = Y, family: str = "", **options: str) -> Result:
    name = outcome.split(" ~ ")[0]
    model = Mediation([M], outcome, "arm", interval="delta", family={name: family} if family else (), **options)
    return model.fit(data("mediation_trial"))


def value(frame: pd.DataFrame, measure: str, term: str = "indirect") -> float:
    rows = frame[(frame["measure"] == measure) & (frame["term"] == term)]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


def test_jobs_curve_is_that_of_medsens() -> None:
    p = pinned("mediation_sensitivity")
    curve = sensitivity_curve(jobs("ml"), rho=p["rho"])
    size = np.abs(np.array(p["acme"]) - p["acme_at_zero"])
    assert_close(curve["estimate"], p["acme"], ITERATED, size)
    assert_close(sensitivity_curve(jobs("ml"), "direct", p["rho"])["estimate"], p["ade"], ITERATED, size)
    # Its standard errors are by maximum likelihood at each ρ; near the zero of the effect they are off by 3 %.
    theirs = (np.array(p["upper"]) - np.array(p["lower"])) / 2
    ours = (curve["conf_high"] - curve["conf_low"]).to_numpy() / 2
    assert np.abs(ours - theirs).max() <= 0.001 * theirs.max()
    assert_close(ours[np.abs(np.array(p["rho"])) < 0.25][1:], theirs[np.abs(np.array(p["rho"])) < 0.25][1:], 0.001)


def test_jobs_zero_is_solved() -> None:
    found = sensitivity(jobs("classical"))
    assert value(found, "ρ of zero effect") == pytest.approx(-0.27347, abs=5e-6)
    p = pinned("mediation_sensitivity")
    rho = value(found, "ρ of zero effect")
    left = (1 - p["r2_mediator"]) * (1 - p["r2_outcome"])
    assert_close(value(found, "R² product, residual"), rho**2, 1e-12)
    assert_close(value(found, "R² product, total"), rho**2 * left, 1e-9)
    assert value(found, "ρ of the interval") == 0, "the interval of the effect holds zero as it is"


def test_closed_form_with_residual_correlation() -> None:
    """ACME(ρ) = (a s₁/s₂){ρ̃ − ρ√((1 − ρ̃²)/(1 − ρ²))} from separate regressions."""
    frame = data("mediation_trial")
    m, total = LinearModel(M).fit(frame), LinearModel("pain ~ arm + severity").fit(frame)
    e_m, e_y = m.augment()["residual"], total.augment()["residual"]
    tilde = float(np.corrcoef(e_m, e_y)[0, 1])
    a = float(m.tidy().set_index("term").loc["arm", "estimate"])
    rho = np.array([-0.8, -0.3, 0.0, 0.5, 0.9])
    expected = a * e_y.std() / e_m.std() * (tilde - rho * np.sqrt((1 - tilde**2) / (1 - rho**2)))
    assert_close(sensitivity_curve(fitted(), rho=rho)["estimate"], expected, 1e-10)
    assert_close(value(sensitivity(fitted()), "ρ of zero effect"), tilde, 1e-10)


def test_zero_without_confounder_is_the_fit() -> None:
    for result in (
        fitted(),
        fitted("pain ~ arm * alliance + severity"),
        fitted("responder ~ arm * alliance + severity", "probit"),
    ):
        rows = result.tidy().query("component == 'effect' and at == ''").set_index("term")
        for term in ("indirect", "acme_control", "direct", "ade_treated"):
            found = sensitivity_curve(result, term, [0.0])
            assert_close(found["estimate"], [rows.loc[term, "estimate"]], 1e-12)
            assert_close(found["std_error"], [rows.loc[term, "std_error"]], 1e-9)


def likelihood_slopes(frame: pd.DataFrame, rho: float) -> tuple[float, float, float]:
    """a, b and b of the product at the maximum of the bivariate normal likelihood with this correlation, found by search."""
    x, s, m, y = (frame[name].to_numpy(float) for name in ("arm", "severity", "alliance", "pain"))
    one = np.ones(len(x))
    A, B = np.column_stack([one, x, s]), np.column_stack([one, x, s, m, x * m])

    def loss(theta: np.ndarray) -> float:
        e, u = (m - A @ theta[:3]) / np.exp(theta[8]), (y - B @ theta[3:8]) / np.exp(theta[9])
        return float(theta[8] + theta[9] + np.mean(e**2 - 2 * rho * e * u + u**2) / 2 / (1 - rho**2))

    start = np.concatenate([np.linalg.lstsq(A, m)[0], np.linalg.lstsq(B, y)[0], [0.0, 0.0]])
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}).x
    return float(found[1]), float(found[6]), float(found[7])


@pytest.mark.parametrize("rho", [-0.6, 0.4])
def test_interaction_against_the_likelihood_at_a_fixed_correlation(rho: float) -> None:
    a, b, h = likelihood_slopes(data("mediation_trial"), rho)
    result = fitted("pain ~ arm * alliance + severity", vcov="ml")
    for term, slope in (("acme_control", b), ("acme_treated", b + h)):
        # BFGS stops at a gradient of 1e-9; the effects are about .1.
        assert_close(sensitivity_curve(result, term, [rho])["estimate"], [a * slope], 1e-5)


def confounded(n: int, family: str) -> tuple[pd.DataFrame, float, float]:
    """A trial in which u moves mediator and outcome; the correlation of the errors and the true effect among the exposed."""
    rng = np.random.default_rng(7)
    arm, u = np.arange(n) % 2, rng.normal(size=n)
    m = 0.5 * arm + 0.6 * u + 0.8 * rng.normal(size=n)
    line = -0.4 * m - 0.2 * arm + 0.2 * arm * m
    e = 0.5 * u + np.sqrt(0.75) * rng.normal(size=n)
    frame = pd.DataFrame({"arm": arm, "alliance": m, "pain": line + e, "responder": (line + e > 0).astype(int)})
    if family == "gaussian":
        return frame, 0.3, 0.5 * -0.2
    spread = np.sqrt(1 + 0.2**2 - 2 * 0.2 * 0.3)  # of e − .2 e_M among the exposed
    first, second = (norm.cdf((-0.2 - 0.2 * mean) / spread) for mean in (0.5, 0.0))
    return frame, 0.3, float(first - second)


@pytest.mark.parametrize(("family", "outcome"), [("gaussian", "pain"), ("probit", "responder")])
def test_the_true_correlation_recovers_the_true_effect(family: str, outcome: str) -> None:
    frame, rho, truth = confounded(100_000, family)
    result = Mediation(
        ["alliance ~ arm"], f"{outcome} ~ arm * alliance", "arm", family={outcome: family}, interval="delta"
    ).fit(frame)
    naive, right = (sensitivity_curve(result, rho=[r]).iloc[0] for r in (0.0, rho))
    assert abs(right["estimate"] - truth) <= 3 * right["std_error"]
    assert abs(naive["estimate"] - truth) > 10 * naive["std_error"], "the confounder matters"


def test_standard_error_is_that_of_drawn_parameters() -> None:
    result = fitted("pain ~ arm * alliance + severity")
    (effect,) = assumed_effects(result.state, "acme_control", 0)
    rng = np.random.default_rng(2)
    drawn = rng.multivariate_normal(effect.phi, effect.covariance, 20_000)
    spread = effect.values(0.4, drawn).std()
    # 20,000 draws know a standard deviation to 0.5 %; the delta method leaves out the product of two errors, some 2 % here.
    assert effect.estimate(0.4)[1] == pytest.approx(spread, rel=0.04)


def test_probit_zero_and_latent_shares() -> None:
    result = fitted("responder ~ arm + alliance + severity", "probit")
    found = sensitivity(result)
    rho = value(found, "ρ of zero effect")
    b = float(result.tidy().set_index("term").loc["b", "estimate"]) * result.state.equations[0].sigma
    assert_close(rho, b / np.sqrt(1 + b**2), 1e-9)
    assert abs(sensitivity_curve(result, rho=[rho])["estimate"].iloc[0]) < 1e-12
    assert {"E-value", "E-value of the limit"} <= set(found["measure"])


def test_interval_rho_is_where_the_interval_ends() -> None:
    found = sensitivity(fitted(), "indirect", alpha=0.1)
    rho = value(found, "ρ of the interval")
    assert 0 < abs(rho) < abs(value(found, "ρ of zero effect"))
    row = sensitivity_curve(fitted(), rho=[rho], level=0.9).iloc[0]
    assert min(abs(row["conf_low"]), abs(row["conf_high"])) < 1e-9


def test_contours_hold_the_curve() -> None:
    for form in ("residual", "total"):
        frame = sensitivity_contours(fitted(), form=form, points=5)
        assert len(frame) == 25
        assert_close(frame["estimate"].iloc[0], fitted().tidy().set_index("term").loc["indirect", "estimate"], 1e-12)
        some = frame.iloc[[6, 18]]
        assert_close(some["estimate"], sensitivity_curve(fitted(), rho=list(some["rho"]))["estimate"], 1e-12)
    r2_mediator, r2_outcome = (
        1
        - LinearModel(text).fit(data("mediation_trial")).augment()["residual"].var() / data("mediation_trial")[y].var()
        for text, y in ((M, "alliance"), (Y, "pain"))
    )
    total = sensitivity_contours(fitted(), form="total", points=5)
    assert_close(
        total["rho"] ** 2 * (1 - r2_mediator) * (1 - r2_outcome), total["r2_mediator"] * total["r2_outcome"], 1e-9, 1.0
    )
    assert total["same_sign"].iloc[0] == (value(sensitivity(fitted()), "ρ of zero effect") > 0)


@pytest.mark.parametrize(("scale", "columns"), [("response", 1), ("odds-ratio", 0)])
def test_e_values_of_a_binary_outcome(scale: str, columns: int) -> None:
    result = fitted("responder ~ arm + alliance + severity", "binomial", scale=scale)
    found = sensitivity(result)
    ratio = float(result.tidy().set_index("term").loc["indirect", "estimate"])
    if columns:
        frame = data("mediation_trial")
        state = result.state
        p = {}
        for x in (0, 1):  # E over M of expit, by 2,001 quantiles of the normal
            mean = state.equations[0].design.matrix(frame.assign(arm=x)) @ state.equations[0].coefficients
            z = norm.ppf((np.arange(2001) + 0.5) / 2001)
            b = dict(zip(state.equations[1].terms, state.equations[1].coefficients, strict=True))
            line = b["Intercept"] + b["arm"] + b["severity"] * frame["severity"].to_numpy() + b["alliance"] * mean
            draws = line[:, None] + b["alliance"] * state.equations[0].sigma * z
            p[x] = float((1 / (1 + np.exp(-draws))).mean())
        ratio = p[1] / p[0]
    assert value(found, "E-value") == pytest.approx(e_value(ratio), rel=2e-3 if columns else 1e-9)
    row = found[found["measure"] == "ρ of zero effect"].iloc[0]
    assert np.isnan(row["value"])
    assert "logit" in row["meaning"]
    limit = value(found, "E-value of the limit")
    assert 1 <= limit <= value(found, "E-value")


def test_several_mediators_need_a_name() -> None:
    result = Mediation(
        [M, "trust ~ arm + alliance + severity"], "pain ~ arm + alliance + trust + severity", "arm", interval="delta"
    ).fit(data("mediation_trial"))
    with pytest.raises(AllianceError, match="alliance, trust"):
        sensitivity(result)
    for name in ("alliance", "trust"):
        rows = sensitivity_curve(result, rho=[0.0, 0.3], mediator=name)
        assert_close(rows["estimate"].iloc[0], result.tidy().set_index("term").loc["indirect", "estimate"], 1e-12)
    direct = [sensitivity_curve(result, t, [0.3], mediator="trust")["estimate"].iloc[0] for t in ("indirect", "direct")]
    total = result.tidy().query("term == 'total'")["estimate"].iloc[0]
    assert_close(sum(direct), total, 1e-12)
    with pytest.raises(AllianceError, match="'pain' is not in the model"):
        sensitivity(result, mediator="pain")


def test_refusals() -> None:
    lacking = Mediation(["alliance ~ arm * w"], "pain ~ arm + alliance", "arm", interval="delta").fit(
        data("mediation_trial")
    )
    with pytest.raises(AllianceError, match=r"lacks 'w', 'arm:w'"):
        sensitivity(lacking)
    binary = Mediation(
        ["bonded ~ arm"], "pain ~ arm + bonded", "arm", family={"bonded": "binomial"}, interval="delta"
    ).fit(data("mediation_trial"))
    with pytest.raises(AllianceError, match="'bonded' is binomial"):
        sensitivity(binary)
    with pytest.raises(AllianceError, match="no effect 'c'"):
        sensitivity(fitted(), "c")
    with pytest.raises(AllianceError, match="benchmarks"):
        sensitivity(fitted(), benchmarks=["severity"])
    with pytest.raises(AllianceError, match="between −1 and 1"):
        sensitivity_curve(fitted(), rho=[1.0])
    with pytest.raises(AllianceError, match="residual"):
        sensitivity_contours(fitted(), form="partial")  # type: ignore[arg-type]
    line = LinearModel("pain ~ arm").fit(data("mediation_trial"))
    with pytest.raises(AllianceError, match="not LinearModel"):
        sensitivity_curve(line)
    with pytest.raises(AllianceError, match="term="):
        sensitivity(line)


def test_functions_of_one_equation_refuse_a_mediation() -> None:
    calls = (
        lambda r: contrast(r, weights={"x": {"arm": 1}}), lambda r: wald(r, ["arm"]), anova_table,
        lambda r: marginal_means(r, "arm"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(AllianceError, match="several equations"):
            call(fitted())


def test_conditional_indirect_is_the_conditional_effect() -> None:
    frame = data("mediation_trial")
    at = [float(frame["w"].min()), float(frame["w"].max())]
    model = Mediation(["alliance ~ arm * w"], "pain ~ arm + alliance * w", "arm", interval="delta", at={"w": at})
    result = model.fit(frame)
    curve = conditional_indirect(result, "w", points=2, interval="delta")
    rows = result.tidy().query("term == 'indirect' and at.str.startswith('w')")
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        assert_close(curve[column], rows[column].iloc[:2], 1e-10)
    drawn = conditional_indirect(result, "w", points=2)
    rows = (
        replace(model, interval="monte-carlo").fit(frame).tidy().query("term == 'indirect' and at.str.startswith('w')")
    )
    # Two sets of 5,000 draws know a standard deviation to 1.4 % of each other, more for the heavy tails of a product.
    assert_close(drawn["std_error"], rows["std_error"].iloc[:2], 0.06)
    assert drawn["significant"].dtype == bool
    for wrong in ("arm", "alliance"):
        with pytest.raises(AllianceError, match=f"'{wrong}'"):
            conditional_indirect(result, wrong)
    with pytest.raises(DataError, match="'mood'"):
        conditional_indirect(result, "mood")


def test_agrema_names_every_item_and_says_what_is_known() -> None:
    frame = data("mediation_trial")
    frame.loc[:4, "pain"] = np.nan
    table = agrema(Mediation([M], Y, "arm", cluster="therapist", draws=200, randomised=True).fit(frame))
    assert table["item"].tolist() == list(range(1, 26))
    known = table.set_index("item")["known"]
    assert "16 clusters (therapist)" in known[13]
    assert "5 of 240 rows left out" in known[17]
    assert "randomised: arm has no confounders" in known[11]
    assert "200 draws" in known[14]
    assert known[18].startswith("indirect ")
    assert "ρ of zero effect" in known[19]
    assert (table.loc[table["source"] == "authors", "known"] == "for the authors").all()
    assert (table.loc[table["source"] != "authors", "known"] != "for the authors").all()
    with pytest.raises(AllianceError, match="LinearModel"):
        agrema(LinearModel("pain ~ arm").fit(frame))
