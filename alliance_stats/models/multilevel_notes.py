"""What a multilevel mediation says about itself: the quantity, its assumptions, and warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.models.multilevel_fit import Solved
from alliance_stats.models.multilevel_fit import at_zero as at_zero
from alliance_stats.models.multilevel_options import few_df, lagged_outcomes
from alliance_stats.models.multilevel_rows import Parts

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation

FEW = 30  # groups below which normal and resampling intervals are too narrow


def moderator_values(model: MultilevelMediation, frame: pd.DataFrame, parts: Parts) -> tuple[tuple[str, float], ...]:
    """Both values of a moderator that has two; else its mean and one standard deviation below and above it."""
    if parts.moderator is None:
        return (("", 0.0),)
    values = np.unique(parts.moderator)
    if len(values) > 2:
        mean, sd = float(parts.moderator.mean()), float(parts.moderator.std(ddof=1))
        values = np.array([mean - sd, mean, mean + sd])
    return tuple((f"{model.moderator} = {value:.4g}", float(value)) for value in values)


def about(model: MultilevelMediation, solved: Solved, flat: int) -> Iterator[str]:
    """Sentences in the order: what is estimated, what is assumed, what went to a boundary."""
    yield _estimand(model)
    if not model.center and model.design != "2-2-1":
        yield (
            f"center=False: '{model.mediator}' is in one piece, so that its paths mix what happens within '{model.group}' "
            "and between; center=True keeps the two apart"
        )
    missing = [path for path in ("a", "b") if model.design == "1-1-1" and path not in model.random]
    if missing:
        yield f"cov_ab is held at zero, as {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} the same for all"
    yield (
        f"assumed is no unmeasured cause of both {model.mediator} and {model.outcome}, on either level, and that "
        f"{model.mediator} lies between {model.exposure} and {model.outcome} in time; the data cannot show it"
    )
    yield from _dynamic(model)
    boundary = list(at_zero(solved))
    if boundary:
        yield (
            f"estimated at the boundary: {'; '.join(boundary)}. Standard errors treat what is there as known; the bootstrap "
            "does not"
        )
    elif flat:
        yield f"the likelihood is flat in {flat} directions of the variances; their standard errors are too small"
    top = solved.stack.groupings[-1]
    if model.interval == "bootstrap":
        then = f", then of '{model.group}' within it" if model.within else ""
        yield f"bootstrap with {model.draws} resamples of '{top.name}'{then}"
    if len(top.labels) < FEW:
        few = f"{len(top.labels)} groups of '{top.name}' are few"
        if model.small:
            yield f"{few}: limits from t with {few_df(len(top.labels)):.0f} degrees of freedom"
        else:
            yield f"{few}: 95 % intervals may be too narrow (.93 covered with 20 in simulations); small=True widens them"


def _dynamic(model: MultilevelMediation) -> Iterator[str]:
    """The bias of a lagged outcome beside random intercepts (Nickell 1981, doi 10.2307/1911408)."""
    for name in lagged_outcomes(model):
        yield (
            f"'{name}' is the outcome at an earlier session: beside the random intercept of '{model.group}' the paths are "
            "biased. In simulations with 300 patients a mediator without effect came out at .159 with 5 sessions and at .118 "
            "with 8 (rejected in 98 %), and a true effect of −.20 at −.03 and −.10; do not read the paths as effects"
        )


def _estimand(model: MultilevelMediation) -> str:
    if model.design == "1-1-1" and model.center:
        return (
            f"estimand: the effect of {model.exposure} on {model.outcome} through {model.mediator} within '{model.group}', "
            "averaged over its groups (indirect_within), and between their means (indirect_between)"
        )
    if model.design == "1-1-1":
        return f"estimand: the indirect effect averaged over the groups of '{model.group}', ab + cov_ab"
    which = "" if model.design == "2-2-1" else f", its level being the {model.means} mean" if model.center else ""
    return (
        f"estimand: the effect of {model.exposure} on {model.outcome} through {model.mediator} between groups of "
        f"'{model.group}'{which}; {model.exposure} does not vary within them and has no indirect effect there"
    )
