"""Differences in the probability of staying, against glm, glmer with integrate(), and Cox's model as a Poisson regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, data, pinned

from alliance_stats import Result
from alliance_stats.inference.completion import completion_difference, completion_probability
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_curves import event_probabilities
from alliance_stats.models.discrete_time import DiscreteTimeModel

MIXED = "drop ~ session + alliance + arm + (1 | therapist)"
COX = "Surv(start, stop, drop) ~ alliance + arm"
MODELS: dict[str, Any] = {
    "glm": DiscreteTimeModel("drop ~ session + alliance + arm"),
    "laplace": DiscreteTimeModel(MIXED),
    "agq15": DiscreteTimeModel(MIXED, quadrature=15),
    "logit15": DiscreteTimeModel(MIXED, "logit", 15),
    "cox": CoxModel(COX, ties="breslow", patient="id"),
}
# Differences of the probabilities in R (numDeriv) and here; glmer's optimum is found without derivatives. In brackets found.
ESTIMATE = {"glm": 1e-9, "cox": 1e-9}  # absolute (7e-11 and 1e-15); else 3e-6 (9e-7)
ERROR = {"glm": 1e-7, "cox": 1e-8}  # relative (7e-9 and 3e-10); else 1e-5 (6e-7)


def fitted(name: str) -> Result:
    result: Result = MODELS[name].fit(data("survival_sessions"))
    return result


@pytest.mark.parametrize("name", MODELS)
def test_differences_between_patients(name: str) -> None:
    new = pd.DataFrame({"alliance": [7.0, 7.0], "arm": [0, 1]})
    found = completion_difference(fitted(name), new, [3, 11], reference=pd.DataFrame({"alliance": [3.0], "arm": [0]}))
    found = found.set_index(["session", "arm"])
    for pin in pinned("completion", name):
        row = found.loc[(pin["k"], pin["arm"])]
        assert abs(row["estimate"] - pin["estimate"]) < ESTIMATE.get(name, 3e-6)
        assert_close([row["std_error"]], [pin["std_error"]], ERROR.get(name, 1e-5))
        assert row["statistic"] == pytest.approx(row["estimate"] / row["std_error"])
        assert row["conf_high"] - row["conf_low"] == pytest.approx(2 * 1.959963984540054 * row["std_error"])


@pytest.mark.parametrize("options", [{}, {"cluster": "therapist"}, {"ties": "breslow"}, {"strata": "arm"}])
def test_probabilities_of_a_cox_model_are_those_of_its_curves(options: dict[str, Any]) -> None:
    """`event_probabilities` is compared with survfit in test_survival_golden."""
    formula = COX if "strata" not in options else "Surv(start, stop, drop) ~ alliance"
    fit = CoxModel(formula, **options).fit(data("survival_sessions"))
    new = pd.DataFrame({"alliance": [4.0, 5.5], "arm": [1, 0]})
    stratum = "arm=1" if "strata" in options else None
    ours = completion_probability(fit, new, [3, 11], stratum=stratum)
    theirs = event_probabilities(fit, new, [3, 11], stratum=stratum)
    assert ours["session"].tolist() == [3, 11, 3, 11]
    for mine, other in (("estimate", "survival"), *((name, name) for name in ("std_error", "conf_low", "conf_high"))):
        assert np.allclose(ours[mine], theirs[other], rtol=1e-10)
