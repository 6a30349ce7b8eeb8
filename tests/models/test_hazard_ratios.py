"""Ratios of Cox, competing-risks and discrete-time models, named for what they are, and drawn."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import AllianceError, Result
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_curves import hazard_ratios
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.render import figures

RATIOS = ["conf_low", "conf_high"]


@cache
def discrete(link: Any = "cloglog", random: str = " + (1 | therapist)") -> Result:
    return DiscreteTimeModel(f"drop ~ session + alliance + arm{random}", link).fit(data("survival_sessions"))


@pytest.mark.parametrize("random", ["", " + (1 | therapist)"])
@pytest.mark.parametrize(("link", "name"), [("cloglog", "hazard_ratio"), ("logit", "odds_ratio")])
def test_ratios_of_discrete_time_hazards_are_named_by_their_link(link: str, name: str, random: str) -> None:
    fit = discrete(link, random)
    found, rows = hazard_ratios(fit), fit.tidy().query("component == 'hazard' and term != 'Intercept'")
    assert found.columns.tolist() == ["term", name, "conf_low", "conf_high", "p_value"]
    assert found["term"].tolist() == ["session", "alliance", "arm"]
    assert np.allclose(found[[name, *RATIOS]], np.exp(rows[["estimate", *RATIOS]]))
    assert found["p_value"].tolist() == rows["p_value"].tolist()


def test_ratios_of_rows_to_a_reference() -> None:
    fit = discrete()
    low, high = (pd.DataFrame({"session": [4], "alliance": [x], "arm": [0]}) for x in (5.0, 6.0))
    assert np.allclose(hazard_ratios(fit, high, low), hazard_ratios(fit).query("term == 'alliance'").iloc[:, 1:4])
    to_mean = hazard_ratios(fit, pd.concat([low, high, high.assign(alliance=np.nan)]))
    middle = data("survival_sessions")[["session", "alliance", "arm"]].mean()
    b = fit.tidy().set_index("term")["estimate"]
    expected = np.exp(
        b["session"] * (4 - middle["session"]) + b["alliance"] * (5 - middle["alliance"]) - b["arm"] * middle["arm"]
    )
    assert to_mean["hazard_ratio"].iloc[0] == pytest.approx(expected)
    assert to_mean.iloc[2].isna().all()


def test_the_hazard_ratio_of_grouped_time_is_near_that_of_coxs_model() -> None:
    """Complementary log–log with a free baseline is Cox's model in grouped time; both estimate one ratio."""
    rows = data("survival_sessions").query("session < 12")
    free = DiscreteTimeModel("drop ~ C(session) + alliance + arm").fit(rows)
    cox = CoxModel("Surv(start, stop, drop) ~ alliance + arm", patient="id").fit(rows)
    a, b = (hazard_ratios(fit).set_index("term").loc["alliance"] for fit in (free, cox))
    assert a["hazard_ratio"] == pytest.approx(b["hazard_ratio"], rel=0.005)
    assert (a["conf_high"] / a["conf_low"]) == pytest.approx(b["conf_high"] / b["conf_low"], rel=0.01)


@pytest.mark.parametrize("method", ["cause-specific", "fine-gray"])
def test_ratios_of_competing_risks(method: Any) -> None:
    fit = CompetingRisksModel("Surv(time, status) ~ alliance1 + arm", cause=1, method=method).fit(data("survival_ends"))
    found = hazard_ratios(fit)
    assert np.allclose(found[["hazard_ratio", *RATIOS]], np.exp(fit.tidy()[["estimate", *RATIOS]]))
    new = pd.DataFrame({"alliance1": [5.0, 6.0], "arm": [1, 1]})
    assert np.allclose(hazard_ratios(fit, new, new.head(1)).iloc[1], found.iloc[0, 1:4].astype(float))


def test_a_dependent_term_has_no_ratio_where_the_data_cannot_speak() -> None:
    rows = data("survival_sessions").assign(twice=lambda d: 2 * d["alliance"])
    fit = DiscreteTimeModel("drop ~ alliance + twice").fit(rows)
    new = pd.DataFrame({"alliance": [5.0, 5.0], "twice": [10.0, 3.0]})
    assert hazard_ratios(fit, new)["hazard_ratio"].isna().tolist() == [False, True]


def test_other_models_have_none() -> None:
    fit = GeneralizedMixedModel("drop ~ alliance + (1 | therapist)").fit(data("survival_sessions"))
    with pytest.raises(
        AllianceError, match="needs a CoxModel, a CompetingRisksModel or a DiscreteTimeModel, not a Gen"
    ):
        hazard_ratios(fit)


def test_a_forest_of_hazards_draws_no_standard_deviations() -> None:
    rows = figures.forest_rows(discrete().tidy())
    assert rows["label"].tolist() == ["Session", "Alliance", "Arm"]
    assert np.allclose(rows["estimate"], discrete().tidy()["estimate"].iloc[1:4])
    ratios = hazard_ratios(discrete()).rename(columns={"hazard_ratio": "estimate"})
    assert len(figures.forest(ratios, reference=1).texts) == 3
