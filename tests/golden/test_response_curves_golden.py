"""Average outcomes over a predictor, and outcomes therapist by therapist, against R."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden.pinned import assert_close, data, pinned
from scipy import special, stats

from alliance_stats.inference.group_outcomes import group_outcomes
from alliance_stats.inference.response_curves import outcome_curve
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.ordinal import OrdinalModel

X = "alliance + arm + severity"
SCORING = 1e-9  # both sides solve score equations in double precision (2e-11)
DIFFERENCES = 1e-8  # R's derivatives of the mean rating are differences (3e-10)
MODE = 1e-6  # glmer's optimum is found without derivatives: 1e-5 of a standard error of .06 (2e-7)


def limits(pin: list[dict[str, float]], low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Estimate and limits of every pinned mean, symmetric on the logit of its place between two ends."""
    mean, error = (np.array([row[name] for row in pin]) for name in ("estimate", "std_error"))
    df = np.array([row.get("df", np.inf) for row in pin])
    place = (mean - low) / (high - low)
    reach = stats.t.ppf(0.975, df) * error / (high - low) / (place * (1 - place))
    ends = [low + (high - low) * special.expit(special.logit(place) + side * reach) for side in (-1, 1)]
    return np.column_stack([mean, *ends])


FITS: dict[str, tuple[Any, float, float]] = {
    "fractional": (FractionalModel(f"completed | trials(assigned) ~ {X}", vcov="CR2", cluster="therapist"), 0, 1),
    "gee": (GEE(f"share_ends ~ {X}", cluster="therapist"), 0, 1),
    "ordinal": (OrdinalModel(f"rating ~ {X}"), 1, 5),
}


@pytest.mark.parametrize("name", FITS)
def test_average_outcomes(name: str) -> None:
    model, low, high = FITS[name]
    curve = outcome_curve(model.fit(data("adherence_trial")), "alliance", values=pinned("response_curves", "grid"))
    expected = limits(pinned("response_curves", name), low, high)
    assert_close(curve[["fitted", "conf_low", "conf_high"]], expected, DIFFERENCES if name == "ordinal" else SCORING)


def test_group_outcomes_against_glmer() -> None:
    fit = GeneralizedMixedModel(f"completed | trials(assigned) ~ {X} + (1 | therapist)").fit(data("glmm_adherence"))
    found, pin = group_outcomes(fit, "therapist").set_index("at"), pinned("response_curves", "groups")
    for column in ("estimate", "conf_low", "conf_high"):
        assert_close(found.loc[pin["names"], column], np.array(pin[column]), 20 * MODE)
    assert_close(found["reference"].iloc[:1], [pin["reference"]], MODE)
    assert set(found["unit"]) == {"share"}
