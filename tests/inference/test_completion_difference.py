"""Differences in completing: their limits, late starts, what Cox models and therapists do, and what is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import AllianceError, DataError, LinearModel, Result
from alliance_stats.inference.completion import completion_difference, completion_probability
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.render import figures

LOW, HIGH = pd.DataFrame({"alliance": [3.0]}), pd.DataFrame({"alliance": [7.0]})


@cache
def discrete(therapists: bool = True) -> Result:
    return DiscreteTimeModel(f"drop ~ session + alliance{' + (1 | therapist)' * therapists}").fit(
        data("survival_sessions")
    )


@cache
def cox() -> Result:
    return CoxModel("Surv(start, stop, drop) ~ alliance", patient="id").fit(data("survival_sessions"))


@pytest.mark.parametrize("make", [discrete, cox])
def test_the_estimate_is_the_difference_of_probabilities(make) -> None:
    both = completion_probability(make(), pd.concat([LOW, HIGH]), [5, 11])["estimate"].to_numpy().reshape(2, 2)
    found = completion_difference(make(), HIGH, [5, 11], reference=LOW)
    assert np.allclose(found["estimate"], both[1] - both[0], atol=1e-14)
    same = completion_difference(make(), pd.concat([LOW, HIGH]), [5, 11])
    pd.testing.assert_frame_equal(same, found)
    turned = completion_difference(make(), LOW, [5, 11], reference=HIGH)
    assert np.allclose(turned[["estimate", "statistic"]], -found[["estimate", "statistic"]])
    assert np.allclose(turned["std_error"], found["std_error"])


@pytest.mark.parametrize("make", [discrete, cox])
def test_what_two_probabilities_share_is_taken_into_account(make) -> None:
    """A profile does not differ from itself; near ones differ by much less than their errors would say apart."""
    itself = completion_difference(make(), LOW, 11, reference=LOW).iloc[0]
    assert (itself["estimate"], itself["std_error"]) == (0, 0)
    assert np.isnan(itself["p_value"])
    near = pd.DataFrame({"alliance": [3.05]})
    alone = completion_probability(make(), LOW, 11)["std_error"].iloc[0]
    assert completion_difference(make(), near, 11, reference=LOW)["std_error"].iloc[0] < 0.05 * alone


def test_a_small_step_is_the_slope() -> None:
    """(S(x + h) − S(x))/h and its error, against dS/dx = −e^{xβ}Λβ S without therapists."""
    fit, h = discrete(therapists=False), 1e-4
    found = completion_difference(fit, LOW + h, 11, reference=LOW).iloc[0]
    beta = fit.state.coefficients
    total = np.exp(beta[0] + beta[1] * np.arange(1, 12) + beta[2] * 3).sum()
    assert found["estimate"] / h == pytest.approx(-np.exp(-total) * total * beta[2], rel=1e-3)


def test_given_that_a_patient_was_there_at_a_session() -> None:
    whole, early = (completion_probability(cox(), LOW, k)["estimate"].iloc[0] for k in (11, 3))
    late = completion_probability(cox(), LOW, 11, start=4)["estimate"].iloc[0]
    assert late == pytest.approx(whole / early, rel=1e-12)


def test_therapists_are_averaged_over_unless_typical() -> None:
    mean = completion_difference(discrete(), HIGH, 11, reference=LOW)["estimate"].iloc[0]
    typical = completion_difference(discrete(), HIGH, 11, reference=LOW, typical=True)["estimate"].iloc[0]
    assert mean != typical
    assert mean == pytest.approx(typical, abs=0.01)  # the therapists of these data hardly differ


@pytest.mark.parametrize("make", [discrete, cox])
def test_the_chance_of_completing_is_drawn_over_the_alliance_with_its_ceiling(make) -> None:
    x = np.linspace(3, 7, 30)
    curve = completion_probability(make(), pd.DataFrame({"alliance": x}), [5, 11]).rename(
        columns={"estimate": "fitted"}
    )
    ends = data("survival_ends").assign(
        alliance=lambda d: d["alliance1"], completed=lambda d: (d["status"] != 1).astype(int)
    )
    ends["alliance"] = ends["alliance"].clip(3, 7)
    ax = figures.completion(curve[curve["session"] == 11], ends, ceiling=7)
    assert np.allclose(ax.lines[0].get_ydata(), curve.loc[curve["session"] == 11, "fitted"])
    assert any("at the scale maximum" in text.get_text() for text in ax.get_legend().get_texts())
    with pytest.raises(DataError, match="curves hold 2 sessions; give the rows of one"):
        figures.completion(curve, ends, ceiling=7)


def test_what_is_refused() -> None:
    frame = data("survival_sessions")
    with pytest.raises(DataError, match="new has one profile; give two or more, or a reference"):
        completion_difference(cox(), LOW, 11)
    with pytest.raises(DataError, match="reference has 2 profiles; give one"):
        completion_difference(cox(), LOW, 11, reference=pd.concat([LOW, HIGH]))
    with pytest.raises(DataError, match="session 20 lies beyond the last time of the data, 12"):
        completion_probability(cox(), LOW, 20)
    with pytest.raises(DataError, match="some rows of new miss a predictor"):
        completion_probability(cox(), pd.DataFrame({"alliance": [np.nan]}), 5)
    with pytest.raises(DataError, match="no DataFrame with rows"):
        completion_probability(cox(), LOW.head(0), 5)
    with pytest.raises(AllianceError, match="a Cox model takes predictors that stay"):
        completion_probability(cox(), LOW, 5, patient="id")
    with pytest.raises(AllianceError, match="stratum= is for Cox models"):
        completion_probability(discrete(), LOW, 5, stratum="arm=1")
    frail = CoxModel("Surv(start, stop, drop) ~ alliance", frailty=("normal", "therapist")).fit(frame)
    with pytest.raises(AllianceError, match="takes a CoxModel without frailty"):
        completion_probability(frail, LOW, 5)
    cause = CompetingRisksModel("Surv(start, stop, drop) ~ alliance", cause=1, method="cause-specific").fit(frame)
    for result in (cause, LinearModel("alliance ~ arm").fit(frame)):
        with pytest.raises(AllianceError, match="has no hazard of a session; fit a DiscreteTimeModel or a CoxModel"):
            completion_difference(result, HIGH, 5, reference=LOW)
