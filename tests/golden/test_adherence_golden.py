"""Models of adherence against betareg, glmmTMB, sandwich, clubSandwich, geepack and ordinal (and statsmodels)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, data, pinned

from alliance_stats import Result, anova
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.models.ordinal_checks import proportional_odds
from alliance_stats.models.ordinal_predict import category_probabilities, group_effects

# Both sides solve score equations by scoring in double precision. In brackets the largest difference found.
SCORING = 1e-9  # relative (2e-10; betareg's own steps stop at 1e-8 of the score)
CLOGLOG = 5e-8  # glm stops by the deviance, which is flat to second order (2e-8)
LIKELIHOOD = 1e-9  # absolute, of log-likelihoods of some hundreds (5e-11)
# clmm searches by differences and stops at gradients of up to 4e-4; its Hessian, by differences too, moves by 1e-4 with the
# tolerance of its modes, ours by 1e-8 with the width of the differences.
CLMM = 5e-5  # (3e-5)
CLMM_SE = 1e-4  # (4e-5)
# glmmTMB's search ends where 1e-10 of the log-likelihood is left to gain: √2e-10 of a standard error.
TMB = 1.5e-5
X = "alliance + arm + severity"


@cache
def trial() -> pd.DataFrame:
    frame = data("adherence_trial")
    return frame.assign(wave=frame.groupby("therapist").cumcount() + 1.0)


@cache
def wine() -> pd.DataFrame:
    return data("adherence_wine").astype({"judge": str, "bottle": str})


def values(*path: str) -> np.ndarray:
    return np.array(list(pinned("adherence", *path).values()), dtype=float)


def rows(result: Result, component: str = "fixed") -> pd.DataFrame:
    return result.tidy().query("component == @component").reset_index(drop=True)


def log_likelihood(result: Result) -> float:
    return float(result.glance()["log_likelihood"].iloc[0])


def test_beta_against_betareg() -> None:
    fit, pin = BetaModel(f"share ~ {X}").fit(trial()), pinned("adherence", "betareg", "constant")
    expected, se = (np.array(list(pin[name].values())) for name in ("coefficients", "std_error"))
    fixed, phi = rows(fit), rows(fit, "precision").iloc[0]
    assert_close(fixed["estimate"], expected[:4], SCORING, se[:4])
    assert_close(fixed["std_error"], se[:4], SCORING)
    assert_close([phi["estimate"], phi["std_error"]], [expected[4], se[4]], SCORING)
    assert abs(log_likelihood(fit) - pin["log_likelihood"]) < LIKELIHOOD


def test_beta_with_varying_precision_against_betareg() -> None:
    fit, pin = BetaModel(f"share ~ {X}", precision="~ arm").fit(trial()), pinned("adherence", "betareg", "varying")
    expected, se = (np.array(list(pin[name].values())) for name in ("coefficients", "std_error"))
    both = pd.concat([rows(fit), rows(fit, "precision")])
    assert both["term"].tolist()[4:] == ["precision(Intercept)", "precision(arm)"]
    assert_close(both["estimate"], expected, SCORING, se)
    assert_close(both["std_error"], se, SCORING)
    assert abs(log_likelihood(fit) - pin["log_likelihood"]) < LIKELIHOOD


def test_beta_with_clusters_against_betareg() -> None:
    """sandwich's CR0, times G/(G − 1) = 24/23."""
    fit = BetaModel(f"share ~ {X}", vcov="CR1", cluster="therapist").fit(trial())
    found = np.append(rows(fit)["std_error"], rows(fit, "precision")["std_error"])
    assert_close(found * np.sqrt(23 / 24), values("betareg", "constant", "CR0"), SCORING)
    assert (rows(fit)["df"] == 23).all()


@pytest.mark.parametrize(("name", "precision"), [("constant", None), ("varying", "~ arm")])
def test_beta_against_glmmtmb(name: str, precision: str | None) -> None:
    fit = BetaModel(f"share ~ {X}", precision=precision).fit(trial())
    found = np.concatenate([part.coefficients for part in fit.state.parts])
    expected = np.append(values("glmmTMB", name, "coefficients"), values("glmmTMB", name, "precision"))
    assert_close(
        found / values("glmmTMB", name, "observed_se"), expected / values("glmmTMB", name, "observed_se"), TMB, 1.0
    )
    assert abs(log_likelihood(fit) - pinned("adherence", "glmmTMB", name, "log_likelihood")) < LIKELIHOOD


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_beta_against_statsmodels(link: str) -> None:
    from statsmodels.genmod.families import links
    from statsmodels.othermod.betareg import BetaModel as Theirs

    fit = BetaModel(f"share ~ {X}", link=link).fit(trial())
    matrix = fit.state.design.matrix(fit.frame)
    of = {"logit": links.Logit(), "probit": links.Probit(), "cloglog": links.CLogLog()}[link]
    theirs = Theirs(trial()["share"].to_numpy(), matrix, link=of).fit(disp=False, method="newton", tol=1e-12)
    assert_close(np.append(rows(fit)["estimate"], fit.state.parts[1].coefficients), theirs.params, 1e-6, 0.1)
    assert abs(log_likelihood(fit) - theirs.llf) < 1e-8


def test_zero_one_inflated_beta() -> None:
    """glm and glmmTMB part by part; −135.766 in all."""
    fit = BetaModel(f"share_ends ~ {X}", zero=X, one=X).fit(trial())
    for name in ("zero", "one"):
        assert_close(rows(fit, name)["estimate"], values("inflated", name, "coefficients"), SCORING, 0.1)
        assert_close(rows(fit, name)["std_error"], values("inflated", name, "std_error"), 1e-7)
        assert rows(fit, name)["term"].iloc[1] == f"{name}(alliance)"
    se = values("inflated", "inside", "observed_se")[:4]
    assert_close(rows(fit)["estimate"] / se, values("inflated", "inside", "coefficients") / se, TMB, 1.0)
    assert abs(log_likelihood(fit) - pinned("adherence", "inflated", "log_likelihood")) < LIKELIHOOD
    assert round(log_likelihood(fit), 3) == -135.766


FRACTIONAL = {"share_logit": "logit", "share_probit": "probit", "share_cloglog": "cloglog", "counts_logit": "logit"}


@pytest.mark.parametrize("name", FRACTIONAL)
@pytest.mark.parametrize("vcov", ["HC1", "CR1", "CR2"])
def test_fractional(name: str, vcov: Any) -> None:
    left = "share_ends" if name.startswith("share") else "completed | trials(assigned)"
    tolerance = CLOGLOG if name.endswith("cloglog") else SCORING
    cluster = None if vcov == "HC1" else "therapist"
    fit = FractionalModel(f"{left} ~ {X}", FRACTIONAL[name], vcov, cluster).fit(trial())
    found = rows(fit)
    assert_close(found["estimate"], values("fractional", name, "coefficients"), tolerance, 0.1)
    assert_close(found["std_error"], values("fractional", name, vcov), tolerance)
    assert_close(fit.glance()["sigma"] ** 2, [pinned("adherence", "fractional", name, "dispersion")], tolerance)
    if vcov != "CR2":
        assert (found["df"] == (356 if vcov == "HC1" else 23)).all()
        return
    assert_close(found["df"], values("fractional", name, "CR2_df"), tolerance)
    assert_close(found["p_value"], values("fractional", name, "CR2_p"), 50 * tolerance)  # t² times that of t
    joint = pinned("adherence", "fractional", name, "joint")
    from alliance_stats.inference.combine import joint_test

    tested = joint_test(fit, np.eye(4)[1:3], "alliance and arm")
    assert_close([tested["statistic"], tested["df"]], [joint["F"], joint["df"]], 10 * tolerance)
    assert anova(fit)["df"].gt(0).all()


GEES: dict[str, tuple[str, str, str]] = {
    "share_exchangeable": ("share_ends", "binomial", "exchangeable"),
    "share_ar1": ("share_ends", "binomial", "ar1"),
    "share_independence": ("share_ends", "binomial", "independence"),
    "counts_exchangeable": ("completed | trials(assigned)", "binomial", "exchangeable"),
    "rating_exchangeable": ("rating", "gaussian", "exchangeable"),
    "completed_exchangeable": ("completed", "poisson", "exchangeable"),
}


def gee(name: str, vcov: Any = "robust") -> Result:
    left, family, correlation = GEES[name]
    time = "wave" if correlation == "ar1" else None
    model = GEE(f"{left} ~ {X}", family, "therapist", correlation, vcov=vcov, time=time)  # type: ignore[arg-type]
    return model.fit(trial().sample(frac=1, random_state=np.random.RandomState(5)))


@pytest.mark.parametrize("name", GEES)
def test_gee_against_geepack(name: str) -> None:
    fit, pin = gee(name), pinned("adherence", "gee", name)
    assert_close(rows(fit)["estimate"], values("gee", name, "coefficients"), SCORING, 0.1)
    assert_close(rows(fit)["std_error"], values("gee", name, "std_error"), SCORING)
    assert_close(fit.glance()["sigma"] ** 2, [pin["scale"]], SCORING)
    if pin["alpha"] is not None:
        assert_close(rows(fit, "correlation")["estimate"], [pin["alpha"]], SCORING)


@pytest.mark.parametrize("name", ["share_independence", "rating_exchangeable", "completed_exchangeable"])
def test_bias_reduced_against_statsmodels(name: str) -> None:
    """Its moments have other denominators, so that α is given to it; the covariance is then a function of the same numbers."""
    import statsmodels.api as sm

    fit = gee(name, "bias_reduced")
    families = {
        "binomial": sm.families.Binomial(),
        "gaussian": sm.families.Gaussian(),
        "poisson": sm.families.Poisson(),
    }
    structure = sm.cov_struct.Independence() if name.endswith("independence") else sm.cov_struct.Exchangeable()
    if not name.endswith("independence"):
        structure.dep_params = fit.state.alpha
    y, matrix = fit.frame[GEES[name][0]].to_numpy(float), fit.state.design.matrix(fit.frame)
    theirs = sm.GEE(
        y, matrix, groups=fit.frame["therapist"].to_numpy(), family=families[GEES[name][1]], cov_struct=structure,
        update_dep=False,
    ).fit(cov_type="bias_reduced", ctol=1e-12, maxiter=500)  # fmt: skip
    assert_close(rows(fit)["estimate"], theirs.params, 1e-8, 0.1)
    assert_close(rows(fit)["std_error"], np.sqrt(np.diag(theirs.cov_robust_bc)), 1e-8)
    assert (rows(fit)["df"] == 20).all()


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("name", ["trial", "wine"])
def test_ordinal_against_clm(name: str, link: str) -> None:
    frame, formula = (trial(), f"rating ~ {X}") if name == "trial" else (wine(), "rating ~ temp + contact")
    fit, pin = OrdinalModel(formula, link).fit(frame), pinned("adherence", "ordinal", "clm", name, link)
    both = pd.concat([rows(fit, "threshold"), rows(fit)])
    expected, se = (np.array(list(pin[part].values())) for part in ("coefficients", "std_error"))
    assert_close(both["estimate"], expected, SCORING, se)
    assert_close(both["std_error"], se, SCORING)
    assert abs(log_likelihood(fit) - pin["log_likelihood"]) < LIKELIHOOD
    # R's first rows are those of the trial ordered by therapist.
    first = (frame.sort_values(["therapist", "id"]) if name == "trial" else frame).head(5)
    assert_close(category_probabilities(fit, first), np.array(pin["fitted"]), 1e-8)
    tests = proportional_odds(fit).set_index("term")
    for term, test in pin["nominal"].items():
        assert_close(tests.loc[term, "statistic"], test["statistic"], 1e-8, 1.0)
        assert tests.loc[term, "df_num"] == test["df"]
    assert set(tests.index) == set(pin["nominal"])


CLMMS = {
    "trial_1": ("trial", "logit", 1),
    "trial_10": ("trial", "logit", 10),
    "trial_probit_7": ("trial", "probit", 7),
    "trial_cloglog_7": ("trial", "cloglog", 7),
    "wine_1": ("wine", "logit", 1),
    "wine_10": ("wine", "logit", 10),
}


@pytest.mark.parametrize("name", CLMMS)
def test_ordinal_with_therapists_against_clmm(name: str) -> None:
    of, link, nodes = CLMMS[name]
    formula = f"rating ~ {X} + (1 | therapist)" if of == "trial" else "rating ~ temp + contact + (1 | judge)"
    fit = OrdinalModel(formula, link, nodes).fit(trial() if of == "trial" else wine())
    pin = pinned("adherence", "ordinal", "clmm", name)
    both = pd.concat([rows(fit, "threshold"), rows(fit)])
    se = values("ordinal", "clmm", name, "std_error")
    assert_close(both["estimate"], values("ordinal", "clmm", name, "coefficients"), CLMM, se)
    assert_close(both["std_error"], se, CLMM_SE)
    assert_close(rows(fit, "random")["estimate"], [pin["sd"]], CLMM)
    if nodes > 1:
        assert abs(log_likelihood(fit) - pin["log_likelihood"]) < 1e-6
        assert log_likelihood(fit) > pin["log_likelihood"] - 1e-8  # the optimum is not missed
    modes = group_effects(fit).assign(at=lambda d: pd.to_numeric(d["at"])).sort_values("at")["estimate"]
    assert_close(modes, pin["modes"], 1e-4, np.std(pin["modes"]))


@pytest.mark.parametrize("name", ["trial_1", "wine_1"])
def test_laplace_against_the_formula_written_out(name: str) -> None:
    """clmm's own value is off by 3e-6 (wine): its modes are a Newton step short of the maximum."""
    from alliance_stats.numerics.ordinal import cumulative
    from alliance_stats.numerics.ordinal_random import Setting

    formula = f"rating ~ {X} + (1 | therapist)" if name == "trial_1" else "rating ~ temp + contact + (1 | judge)"
    fit = OrdinalModel(formula).fit(trial() if name == "trial_1" else wine())
    state, pin = fit.state, pinned("adherence", "ordinal", "clmm", name)
    rows_of = cumulative(state.rating.codes, 5, state.design.matrix(fit.frame)[:, state.kept], "logit")
    setting = Setting(rows_of, state.codes, len(state.groups), 1)
    theirs = values("ordinal", "clmm", name, "coefficients")
    assert abs(setting.deviance(theirs, pin["sd"]) / -2 - pin["written_out"]) < 1e-8
    assert 0 < log_likelihood(fit) - pin["written_out"] < 1e-6


def test_the_naive_analysis_is_too_sure() -> None:
    """Binomial .036, cluster-robust .057 (CR2), beta-binomial mixed .059."""
    robust = FractionalModel(f"completed | trials(assigned) ~ {X}", vcov="CR2", cluster="therapist").fit(trial())
    mixed = GeneralizedMixedModel(f"completed | trials(assigned) ~ {X} + (1 | therapist)", "betabinomial").fit(trial())
    naive = np.sqrt(np.diag(robust.state.at.bread))[1]
    found = [float(rows(fit)["std_error"].iloc[1]) for fit in (robust, mixed)]
    assert [round(value, 3) for value in (naive, *found)] == [0.036, 0.057, 0.059]
