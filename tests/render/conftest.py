"""Plausible frames for each figure; every test starts and ends without open figures."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt
from seen import ARMS, LONG


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")
    yield
    plt.close("all")


@pytest.fixture
def estimates():
    return pd.DataFrame(
        {
            "term": ["Intercept", "alliance_within", "arm[T.exercise]", LONG, "sd(Intercept)"],
            "component": ["fixed"] * 4 + ["random"],
            "estimate": [5.0, -0.42, -1.2, 12.5, 1.1],
            "conf_low": [4.0, -0.71, -2.5, 9.5, 0.9],
            "conf_high": [6.0, -0.13, 0.1, 15.5, 1.3],
        }
    )


@pytest.fixture
def raw():
    rng = np.random.default_rng(4)
    arm = np.repeat(["usual care", "exercise"], 40)
    alliance = np.clip(np.round(5.6 + rng.normal(0, 1.2, 80), 1), 1, 7)
    pain = np.clip(np.round(8 - 0.6 * alliance + rng.normal(0, 1.5, 80)), 0, 10)
    return pd.DataFrame({"arm": arm, "alliance": alliance, "pain": pain})


@pytest.fixture
def curves():
    x = np.linspace(2, 7, 20)
    lines = [pd.DataFrame({"alliance": x, "arm": arm, "fitted": 8 - b * x}) for arm, b in ARMS.items()]
    return pd.concat(lines).assign(conf_low=lambda d: d.fitted - 0.5, conf_high=lambda d: d.fitted + 0.5)


@pytest.fixture
def means():
    weeks = pd.MultiIndex.from_product([[0, 4, 8], list(ARMS)], names=["week", "arm"]).to_frame(index=False)
    return weeks.assign(
        estimate=np.linspace(6, 3, 6), conf_low=lambda d: d.estimate - 1, conf_high=lambda d: d.estimate + 1
    )


@pytest.fixture
def curve():
    z = np.linspace(2, 7, 11)
    frame = pd.DataFrame({"alliance": z, "estimate": 0.9 - 0.4 * z})
    frame = frame.assign(conf_low=frame.estimate - 0.6, conf_high=frame.estimate + 0.6)
    return frame.assign(significant=frame.conf_high < 0)


@pytest.fixture
def flow():
    arms = ["alliance-enhanced interferential", "limited interferential", "sham, enhanced", "sham_limited"]
    rows = [
        ("Assessed for eligibility", "all", 512, ""),
        ("Randomised", "", 117, "395 excluded: not eligible or declined"),
    ]
    for k, stage in enumerate(["Randomised", "4 weeks", "8 weeks", "12 months"]):
        rows += [(stage, a, 30 - k - j, f"{j} without 8-week outcome" if k * j else "") for j, a in enumerate(arms)]
    return pd.DataFrame(rows, columns=["stage", "arm", "n", "reason"])
