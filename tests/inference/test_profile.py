"""Profile likelihood intervals against roots found from lme4's deviance, and against the likelihood ratio test itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data, pinned
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import chi2

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.inference.profile import profile
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel

CLOSE = 1e-6  # R's roots were found to about 1e-7 of the interval's width
NAMES = {"sigma": "sd(residual)", "(Intercept)": "Intercept"}


def ours(name: str) -> str:
    """``cor_Days.(Intercept)|Subject`` → ``cor(Intercept,Days)``."""
    inner = name.split("|")[0].replace("(Intercept)", "Intercept")
    if inner.startswith("cor_"):
        late, early = inner[4:].split(".")
        return f"cor({early},{late})"
    return f"sd({inner[3:]})" if inner.startswith("sd_") else NAMES.get(name, name)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", ["sleepstudy", "dyestuff"])
def test_ends_are_the_exact_ones(name: str, method: str) -> None:
    expected = pinned("mixed_profile", name)
    fit = MixedModel(expected["formula"], method=method).fit(data(f"mixed_{name}"))  # type: ignore[arg-type]
    found = profile(fit).set_index("term")
    assert len(found) == len(expected["exact"])
    for row in expected["exact"]:
        mine = found.loc[ours(row["parameter"])]
        width = row["conf_high"] - row["conf_low"]
        for column in ("estimate", "conf_low", "conf_high"):
            assert mine[column] == pytest.approx(row[column], abs=CLOSE * width), (row["parameter"], column)


def test_a_coefficients_ends_are_where_the_likelihood_ratio_test_turns() -> None:
    rows = data("mixed_therapy").dropna(subset=["outcome"])
    fit = MixedModel("outcome ~ week + arm + (1 + week | patient) + (1 | therapist)", method="ML").fit(rows)
    found = profile(fit, "week", level=0.9).iloc[0]
    for end in (found["conf_low"], found["conf_high"]):
        held = MixedModel("rest ~ arm + (1 + week | patient) + (1 | therapist)", method="ML").fit(
            rows.assign(rest=rows["outcome"] - end * rows["week"])
        )
        rise = float(held.glance()["criterion"].iloc[0] - fit.glance()["criterion"].iloc[0])
        assert rise == pytest.approx(chi2.ppf(0.9, 1), abs=1e-6)  # two criteria, each good to 1e-8


def test_the_order_of_the_effects_does_not_matter() -> None:
    rows = data("mixed_therapy").dropna(subset=["outcome", "alliance_within"])
    rows["one"] = 1.0
    first = ("1 + week + alliance_within", "cor(week,alliance_within)")
    second = ("0 + alliance_within + week + one", "cor(alliance_within,week)")
    one, other = (
        profile(MixedModel(f"outcome ~ week + ({effects} | patient)").fit(rows), ["sd(week)", pair])
        for effects, pair in (first, second)
    )
    for term_one, term_other in (("sd(week)", "sd(week)"), ("cor(week,alliance_within)", "cor(alliance_within,week)")):
        a, b = one.set_index("term").loc[term_one], other.set_index("term").loc[term_other]
        assert [a["conf_low"], a["conf_high"]] == pytest.approx([b["conf_low"], b["conf_high"]], rel=1e-4)


def test_zero_is_the_lower_end_where_it_is_not_rejected() -> None:
    fit = MixedModel("Yield ~ 1 + (1 | Batch)").fit(data("mixed_dyestuff2"))
    found = profile(fit, "sd(Intercept)").iloc[0]
    assert (found["estimate"], found["conf_low"]) == pytest.approx((0, 0), abs=1e-6)
    # at the upper end the deviance of a one-way layout, in closed form, has risen by the quantile
    y = data("mixed_dyestuff2")["Yield"].to_numpy().reshape(6, 5)
    between, within = 5 * ((y.mean(axis=1) - y.mean()) ** 2).sum(), ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()

    def deviance(sd: float, s2: float) -> float:
        total = s2 + 5 * sd**2
        return float(24 * np.log(s2) + 6 * np.log(total) + within / s2 + between / total)

    s2 = np.geomspace(0.3, 3, 200001) * within / 24
    least = min(deviance(0, s) for s in [(within + between) / 30])
    curve = 24 * np.log(s2) + 6 * np.log(s2 + 5 * found["conf_high"] ** 2) + within / s2
    curve += between / (s2 + 5 * found["conf_high"] ** 2)
    assert curve.min() - least == pytest.approx(chi2.ppf(0.95, 1), abs=1e-6)  # a grid of 1e-5 in log σ²


def test_tidy_rows_and_names() -> None:
    fit = MixedModel("outcome ~ 1 + (1 | patient) + (1 | therapist)").fit(data("mixed_therapy"))
    found = profile(fit, "sd(Intercept)")
    assert found["group"].tolist() == ["patient", "therapist"]
    assert set(found["interval"]) == {"profile"}
    assert found[["std_error", "statistic", "df", "p_value"]].isna().all(axis=None)
    assert (
        profile(fit, ["sd(residual)"], level=0.5)["conf_low"].iloc[0]
        > profile(fit, ["sd(residual)"])["conf_low"].iloc[0]
    )


def test_what_cannot_be_profiled_is_refused() -> None:
    fit = MixedModel("Yield ~ 1 + (1 | Batch)").fit(data("mixed_dyestuff"))
    with pytest.raises(AllianceError, match=r"'sd\(week\)' is not a parameter; parameters: Intercept"):
        profile(fit, "sd(week)")
    with pytest.raises(AllianceError, match="level is 95"):
        profile(fit, level=95)
    with pytest.raises(AllianceError, match="has no random effects"):
        profile(LinearModel("y ~ 1").fit(pd.DataFrame({"y": [1.0, 2.0, 4.0]})))


def test_unequal_residual_variances_have_the_ends_of_nlme_and_of_the_dense_deviance() -> None:
    expected = pinned("profile_unequal", "small")
    fit = MixedModel(expected["formula"], residual_by=expected["strata"]).fit(data("mixed_therapy_small"))
    found = profile(fit)
    assert len(found) == len(expected["exact"])
    assert found["group"].tolist() == [row["group"] for row in expected["exact"]]
    for row, (_, mine) in zip(expected["exact"], found.iterrows(), strict=True):
        width = row["conf_high"] - row["conf_low"]
        for column in ("estimate", "conf_low", "conf_high"):
            assert mine[column] == pytest.approx(row[column], abs=CLOSE * width), (row["term"], column)


class Dense:
    """The deviance of (1 + week | patient) with residual variances by arm, from n × n matrices."""

    def __init__(self, rows: pd.DataFrame, weights: np.ndarray) -> None:
        arms = pd.get_dummies(rows["arm"]).to_numpy(dtype=float)
        self.X = np.column_stack([np.ones(len(rows)), rows["week"], arms[:, 1:]])
        self.y, self.arms, self.weights = rows["outcome"].to_numpy(), arms, weights
        same = (rows["patient"].to_numpy()[:, None] == rows["patient"].to_numpy()).astype(float)
        Z = self.X[:, :2]
        self.parts = [same * Z[:, [i]] * Z[:, j] for i, j in ((0, 0), (0, 1), (1, 1))]

    def __call__(self, v: np.ndarray, held: tuple[int, float] | None = None) -> float:
        """v = (sd, sd, correlation, σ of each arm); a coefficient may be held, the others are at their best."""
        psi = (v[0] ** 2, v[0] * v[1] * v[2], v[1] ** 2)
        V = self.parts[0] * psi[0] + (self.parts[1] + self.parts[1].T) * psi[1] + self.parts[2] * psi[2]
        V[np.diag_indices_from(V)] += self.arms @ v[3:] ** 2 / self.weights
        X, y = self.X, self.y
        if held is not None:
            X, y = np.delete(X, held[0], axis=1), y - held[1] * X[:, held[0]]
        c = cho_factor(V, lower=True)
        W = cho_solve(c, np.column_stack([X, y]))
        beta = np.linalg.solve(X.T @ W[:, :-1], X.T @ W[:, -1])
        left = y - X @ beta
        return float(
            2 * np.log(np.diag(c[0])).sum() + left @ (W[:, -1] - W[:, :-1] @ beta) + len(y) * np.log(2 * np.pi)
        )

    def least(self, start: np.ndarray, j: int | None = None, value: float = np.nan, beta: int | None = None) -> float:
        """The minimum, with element j of v or a coefficient held, by scipy with differenced gradients."""
        free = np.arange(len(start)) != (-1 if j is None else j)
        up, down = (np.log, np.log, np.arctanh, *[np.log] * 3), (np.exp, np.exp, np.tanh, *[np.exp] * 3)

        def deviance(u: np.ndarray) -> float:
            v = np.full(len(start), value)
            v[free] = [down[i](x) for i, x in zip(np.flatnonzero(free), u, strict=True)]
            return self(v, None if beta is None else (beta, value))

        first = np.array([up[i](start[i]) for i in np.flatnonzero(free)])
        for tolerance in (1e-3, 1e-5):
            found = minimize(deviance, first, method="BFGS", options={"gtol": tolerance})
            first = found.x
        return float(found.fun)


@pytest.mark.parametrize("level", [0.95, 0.999])
def test_ends_under_residual_by_are_where_a_brute_force_deviance_has_risen(level: float) -> None:
    """With prior weights; at .999 the strata change places along the path: the one that varied least no longer does."""
    rows = data("mixed_therapy_small").dropna(subset=["outcome"])
    fit = MixedModel(
        "outcome ~ week + arm + (1 + week | patient)", method="ML", residual_by="arm", weights="weight"
    ).fit(rows)
    dense, found = Dense(rows, rows["weight"].to_numpy()), profile(fit, level=level)
    v = found["estimate"].to_numpy()[4:]
    least = dense(v)
    assert least == pytest.approx(float(fit.glance()["criterion"].iloc[0]), abs=1e-8)
    which = range(len(found)) if level == 0.95 else range(7, 10)
    for i in which:
        row = found.iloc[i]
        for end in (row["conf_low"], row["conf_high"]):
            at = {"beta": i} if i < 4 else {"j": i - 4}
            rise = dense.least(v, value=end, **at) - least  # type: ignore[arg-type]
            assert rise == pytest.approx(chi2.ppf(level, 1), abs=1e-5), row[
                "term"
            ]  # differenced gradients: 1e-7 in the deviance
    if level == 0.999:
        residual = found[found["component"] == "residual"].set_index("group")
        assert residual.loc["SMT", "conf_low"] < residual.loc["GE", "estimate"] < residual.loc["SMT", "estimate"]


def test_one_stratum_twice_is_the_model_with_one_variance() -> None:
    """Strata that come out alike: their profiles are wider than that of one variance, the others are nearly unchanged."""
    rows = data("mixed_therapy").dropna(subset=["outcome"])
    rows["half"] = np.where(np.arange(len(rows)) % 2, "odd", "even")
    formula = "outcome ~ week + (1 | patient) + (1 | therapist)"
    apart, plain = MixedModel(formula, residual_by="half").fit(rows), MixedModel(formula).fit(rows)
    one, other = (profile(fit, ["week", "sd(residual)"]) for fit in (plain, apart))
    assert other["group"].tolist() == ["", "even", "odd"]
    assert other["estimate"].iloc[0] == pytest.approx(one["estimate"].iloc[0], rel=0.02)
    width = (other["conf_high"] - other["conf_low"]).to_numpy()
    assert width[0] == pytest.approx(float(one["conf_high"].iloc[0] - one["conf_low"].iloc[0]), rel=0.05)
    # each has half the rows: √2 times as wide
    assert width[1:] == pytest.approx(
        [np.sqrt(2) * float(one["conf_high"].iloc[1] - one["conf_low"].iloc[1])] * 2, rel=0.15
    )


def test_a_residual_variance_without_a_maximum_of_the_likelihood_is_refused() -> None:
    """Three rows, which a coefficient and two random intercepts fit ever better."""
    rows = data("mixed_therapy_small").dropna(subset=["outcome"])
    rows["device"] = np.where(np.arange(len(rows)) < 3, "b", "a")
    fit = MixedModel("outcome ~ week + (1 | patient)", residual_by="device").fit(rows)
    with pytest.raises(ConvergenceError, match=r"'sd\(residual\)' of 'b' goes to zero"):
        profile(fit, "sd(residual)")


def test_crossed_factors_and_zero_variances_under_residual_by() -> None:
    rows = data("mixed_dyestuff2")
    rows["half"] = np.where(np.arange(len(rows)) % 2, "odd", "even")
    found = profile(MixedModel("Yield ~ 1 + (1 | Batch)", residual_by="half").fit(rows), "sd(Intercept)").iloc[0]
    assert (found["estimate"], found["conf_low"]) == pytest.approx((0, 0), abs=1e-6)
    plates = data("mixed_penicillin")
    plates["half"] = np.where(np.arange(len(plates)) % 2, "odd", "even")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    one, other = (profile(MixedModel(formula, residual_by=by).fit(plates)) for by in (None, "half"))
    assert other["group"].tolist() == ["", "plate", "sample", "even", "odd"]
    columns = ["estimate", "conf_low", "conf_high"]  # the halves differ by 3 %: what else there is hardly changes
    np.testing.assert_allclose(other[columns][:3], one[columns][:3], rtol=5e-3)
