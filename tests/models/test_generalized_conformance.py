"""Generalised mixed models through the checker of all models."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance import checker
from golden.pinned import data
from models.generalized_predicting import predict

from alliance_stats import Centre, Result
from alliance_stats.models.generalized import GeneralizedMixedModel

COMPLETED = "completed | trials(assigned) ~ alliance + arm + severity + (1 | therapist)"


@cache
def adherence() -> pd.DataFrame:
    frame = data("glmm_adherence").assign(arm=lambda d: np.where(d["arm"] == 1, "enhanced", "usual"))
    return frame.sample(frac=1, random_state=np.random.RandomState(1))


@cache
def sessions() -> pd.DataFrame:
    frame = data("glmm_sessions")
    frame.loc[frame.index[::17], "x"] = np.nan
    return frame.astype({"session": float})


@cache
def numbered() -> pd.DataFrame:
    """Sessions numbered in the order of the rows, as preparing steps want them."""
    return data("glmm_sessions")


CASES: dict[str, tuple[GeneralizedMixedModel, Callable[[], pd.DataFrame], list[int]]] = {
    "binomial": (GeneralizedMixedModel(COMPLETED), adherence, [3, 40, 77]),
    "quadrature": (GeneralizedMixedModel(COMPLETED, quadrature=9, level=0.9), adherence, [3, 40, 77]),
    "beta-binomial": (GeneralizedMixedModel(COMPLETED, "betabinomial", "cloglog"), adherence, [3, 40, 77]),
    "beta": (GeneralizedMixedModel("share ~ alliance * arm + (1 | therapist)", "beta"), adherence, [3, 40, 77]),
    "binary nested": (
        GeneralizedMixedModel("attended ~ x + session + (1 | patient) + (1 | therapist)", link="probit"),
        sessions,
        [3, 40, 77],
    ),
    "crossed slopes": (
        GeneralizedMixedModel("exercises ~ x + session + (1 + x | patient) + (1 | room)", "poisson", exposure="days"),
        sessions,
        [3, 40, 77],
    ),
    "negative binomial": (
        GeneralizedMixedModel("exercises ~ poly(session, 2) + (1 | patient)", "negativebinomial", exposure="days"),
        sessions,
        [3, 40, 77],
    ),
    "singular": (GeneralizedMixedModel("attended ~ x + session + (1 + session | room)"), sessions, [3, 40, 77]),
    "centred": (
        GeneralizedMixedModel(
            "attended ~ x_within + x_between + (1 | patient)", prepare=(Centre("x", by="patient", time="session"),)
        ),
        numbered,
        [3, 40, 77],
    ),
}


@cache
def fitted(name: str) -> Result:
    model, frame, _ = CASES[name]
    return model.fit(frame())


@pytest.mark.parametrize("check", checker.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "predict", predict)
    model, frame, rows = CASES[name]
    check(fitted(name), model, frame(), frame().iloc[rows])
