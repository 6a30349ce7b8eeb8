"""Profile likelihood intervals against roots found from lme4's deviance, and against the likelihood ratio test itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data, pinned
from scipy.stats import chi2

from alliance_stats.errors import AllianceError
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
