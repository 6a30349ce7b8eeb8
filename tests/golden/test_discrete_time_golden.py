"""DiscreteTimeModel against glm, sandwich and glmer (tightened), and completion probabilities against integrate()."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, data, pinned

from alliance_stats import Result
from alliance_stats.inference.compare import compare
from alliance_stats.inference.compare_mixed import mixture_p_value
from alliance_stats.inference.completion import completion_probability
from alliance_stats.models.discrete_time import DiscreteTimeModel

# In brackets the largest difference found. glm stops one step of Fisher scoring short of the optimum.
COEFFICIENT = 1e-7  # of a standard error (1e-8)
STD_ERROR = 2e-7  # relative (4e-8)
DEVIANCE = 1e-9  # absolute (3e-13 for glm, 1.4e-10 for glmer)
# glmer's optimum is found without derivatives, numDeriv differences its deviance.
MIXED_COEFFICIENT = 3e-5  # of a standard error (5e-6)
MIXED_STD_ERROR = 2e-6  # relative (2e-7)
SPREAD = 2e-4  # relative, of a standard deviation of 0.08 with a standard error of 0.4 (5e-5)
CHANCE = 3e-6  # absolute (6e-7); 1e-10 without therapists (6e-12)
CHANCE_ERROR = 1e-5  # relative (1.4e-6)

GLM, GLMER, STAYING = (pinned("discrete_time", part) for part in ("glm", "glmer", "staying"))


@cache
def sessions() -> pd.DataFrame:
    frame = data("survival_sessions")
    own = frame.groupby("id")["alliance"].transform("mean")
    return frame.assign(alliance_within=frame["alliance"] - own, alliance_between=own)


def plain(name: str, **options: Any) -> Result:
    rows = sessions()[sessions()["session"] < 12] if name == "periods" else sessions()
    return DiscreteTimeModel(GLM[name]["formula"], GLM[name]["link"], **options).fit(rows)


@cache
def mixed(name: str) -> Result:
    fit = GLMER[name]
    return DiscreteTimeModel(fit["formula"], fit["link"], fit["nAGQ"]).fit(sessions())


def check_rows(result: Result, fit: dict[str, Any], errors: str, tolerance: float, of_errors: float) -> None:
    rows = result.tidy().query("component == 'hazard'")
    assert len(rows) == len(fit["coefficients"])
    se = np.array(list(fit[errors].values()))
    assert_close(rows["estimate"] / se, np.array(list(fit["coefficients"].values())) / se, tolerance, 1.0)
    assert_close(rows["std_error"], se, of_errors)


@pytest.mark.parametrize("name", GLM)
def test_without_therapists(name: str) -> None:
    result, row = plain(name), plain(name).glance().iloc[0]
    check_rows(result, GLM[name], "std_error", COEFFICIENT, STD_ERROR)
    assert abs(row["deviance"] - GLM[name]["deviance"]) < DEVIANCE
    assert abs(row["aic"] - GLM[name]["aic"]) < DEVIANCE
    assert row["n_obs"] == GLM[name]["n"]


@pytest.mark.parametrize("name", GLM)
def test_clusters(name: str) -> None:
    """sandwich's default holds G/(G − 1); without it the errors are smaller by that factor of 20 therapists."""
    result = plain(name, cluster="therapist")
    check_rows(result, GLM[name], "cluster", COEFFICIENT, STD_ERROR)
    bare = np.array(list(GLM[name]["cluster_plain"].values()))
    assert_close(result.tidy()["std_error"] / np.sqrt(20 / 19), bare, STD_ERROR)


@pytest.mark.parametrize("name", GLMER)
def test_therapists(name: str) -> None:
    result = mixed(name)
    check_rows(result, GLMER[name], "std_error", MIXED_COEFFICIENT, MIXED_STD_ERROR)
    assert abs(result.glance()["deviance"].iloc[0] - GLMER[name]["deviance"]) < DEVIANCE
    assert_close(result.tidy().query("component == 'random'")["estimate"], [GLMER[name]["sd"]], SPREAD)


@pytest.mark.parametrize("name", STAYING)
def test_completion(name: str) -> None:
    result = plain("linear") if name == "glm" else mixed(name)
    for pin in STAYING[name]:
        new = pd.DataFrame({"alliance": [pin["alliance"]], "arm": [pin["arm"]]})
        found = completion_probability(result, new, pin["k"]).iloc[0]
        assert abs(found["estimate"] - pin["estimate"]) < (1e-10 if name == "glm" else CHANCE)
        assert_close([found["std_error"]], [pin["std_error"]], CHANCE_ERROR)
        assert found["conf_low"] < found["estimate"] < found["conf_high"]


def test_likelihood_ratio_of_therapists() -> None:
    """Half the p-value of χ²(1): the variance lies on its boundary under the smaller model."""
    rows = compare(plain("linear"), mixed("agq15"))
    change = GLM["linear"]["deviance"] - GLMER["agq15"]["deviance"]
    assert rows["statistic"].iloc[1] == pytest.approx(change, abs=DEVIANCE)
    assert rows["p_value"].iloc[1] == pytest.approx(mixture_p_value(change, 1), rel=1e-6)
    assert rows["mixture"].tolist() == [False, True]
    assert rows["method"].tolist() == ["ML", "AGQ(15)"]
    assert rows["n_parameters"].tolist() == [4, 5]
