"""Which models fit an outcome of adherence, and why; the choice is the user's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.adherence_outcome import CATEGORIES, AdherenceOutcome, read_outcome
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.result import Result

FEW = 40  # clusters below which the corrected covariance of estimating equations is written


@dataclass(frozen=True)
class Candidate:
    """A model that fits the outcome: the name by which it is chosen, why it fits, and its declaration."""

    name: str
    why: str
    model: Any

    @property
    def call(self) -> str:
        """The declaration as it is written, options that are not the default named."""
        shown = [repr(self.model.formula)]
        shown += [
            f"{field.name}={getattr(self.model, field.name)!r}"
            for field in fields(self.model)
            if field.name != "formula" and getattr(self.model, field.name) != field.default
        ]
        return f"al.{type(self.model).__name__}({', '.join(shown)})".replace("'", '"')


def adherence(
    frame: pd.DataFrame,
    *,
    outcome: str,
    predictors: str = "1",
    assigned: str | None = None,
    cluster: str | None = None,
    model: str | None = None,
) -> pd.DataFrame | Result:
    """The models that fit an outcome of adherence, one row each, or the fit of the one that is named.

    Parameters
    ----------
    frame : one row a patient (or session).
    outcome : the column: 0 and 1; sessions completed; a proportion; a rating in whole numbers or ordered categories.
    predictors : right-hand side of the formula, e.g. ``"alliance + arm"``.
    assigned : the column with the sessions assigned, where the outcome is sessions completed of these.
    cluster : the column with the clusters, e.g. ``"therapist"``.
    model : a name from the column ``model``; without it nothing is fitted and nothing is chosen.

    Returns
    -------
    A frame with the columns ``model why call``, in no order of merit, or the Result of the model named.

    Raises DataError for an outcome that no such model fits: proportions outside 0 to 1, more completed than assigned, fractions
    of sessions; AllianceError for a model that is not among those listed.

    >>> data = pd.DataFrame({"share": [0.2, 0.5, 1.0, 0.7, 0.0, 0.9], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> adherence(data, outcome="share", predictors="alliance")["model"].tolist()
    ['zero-one-inflated beta', 'fractional']
    """
    read = read_outcome(frame, outcome, predictors, assigned, cluster)
    found = _candidates(read)
    if model is None:
        table = {name: [getattr(each, name) for each in found] for name in ("name", "why", "call")}
        return pd.DataFrame(table).rename(columns={"name": "model"})
    for each in found:
        if each.name == model:
            fitted: Result = each.model.fit(frame)
            return fitted
    raise AllianceError(
        f"adherence: model {model!r} does not fit {read.support}; those that do: {', '.join(each.name for each in found)}"
    )


def _candidates(read: AdherenceOutcome) -> list[Candidate]:
    if read.support == "0 and 1":
        return [*_shares(read, "yes or no"), *_averaged(read)]
    if read.trials:
        return [*_sessions(read), *_averaged(read)]
    if read.support == "a proportion":
        return [*_proportions(read), *_averaged(read)]
    return _ratings(read)


def _shares(read: AdherenceOutcome, what: str) -> list[Candidate]:
    if not read.cluster:
        return []
    why = f"{what}; effects within a {read.cluster}, with a random intercept for every {read.cluster}"
    return [Candidate("binomial mixed", why, GeneralizedMixedModel(read.mixed))]


def _sessions(read: AdherenceOutcome) -> list[Candidate]:
    if not read.cluster:
        return []
    why = (
        f"completed of assigned, a random intercept for every {read.cluster}, and sessions of a patient that are alike "
        "(overdispersion)"
    )
    return [
        Candidate("beta-binomial mixed", why, GeneralizedMixedModel(read.mixed, "betabinomial")),
        *_shares(
            read, "completed of assigned; supposes that a patient's sessions are independent, and is too sure if not"
        ),
    ]


def _proportions(read: AdherenceOutcome) -> list[Candidate]:
    zeros, ones = read.ends
    robust: dict[str, Any] = {"vcov": "CR1", "cluster": read.cluster} if read.cluster else {}
    if zeros or ones:
        parts: dict[str, Any] = ({"zero": read.right} if zeros else {}) | ({"one": read.right} if ones else {})
        name = "-".join([*(["zero"] if zeros else []), *(["one"] if ones else [])]) + "-inflated beta"
        why = _why_inflated(zeros, ones)
        return [Candidate(name, why, BetaModel(read.fixed, **parts, **robust))]
    found = [
        Candidate("beta", "strictly between 0 and 1; supposes a beta distribution", BetaModel(read.fixed, **robust))
    ]
    if read.cluster:
        why = f"strictly between 0 and 1, with a random intercept for every {read.cluster}"
        found.append(Candidate("beta mixed", why, GeneralizedMixedModel(read.mixed, "beta")))
    return found


def _why_inflated(zeros: int, ones: int) -> str:
    counts = [f"{n} {name}{'s' * (n != 1)}" for n, name in ((zeros, "zero"), (ones, "one")) if n]
    have = "has a chance of its own" if zeros + ones == 1 else "have chances of their own"
    reason = (
        "not coming at all is another thing than coming less often"
        if zeros
        else "never missing is another thing than coming often"
    )
    return f"{' and '.join(counts)} {have}, as where {reason}"


def _averaged(read: AdherenceOutcome) -> list[Candidate]:
    """Models of the mean alone."""
    robust: dict[str, Any] = {"vcov": "CR2", "cluster": read.cluster} if read.cluster else {}
    why = "supposes the mean alone, 0 and 1 included; effects on the population's mean"
    found = [Candidate("fractional", why, FractionalModel(read.fixed, **robust))]
    if read.cluster:
        few: dict[str, Any] = {"vcov": "bias_reduced"} if read.clusters < FEW else {}
        why = f"effects on the population's mean, patients of a {read.cluster} equally correlated"
        found.append(Candidate("GEE", why, GEE(read.fixed, cluster=read.cluster, **few)))
    return found


def _ratings(read: AdherenceOutcome) -> list[Candidate]:
    found: list[Candidate] = []
    if read.cluster:
        why = f"ordered categories, the same odds at every threshold, a random intercept for every {read.cluster}"
        found.append(Candidate("ordinal mixed", why, OrdinalModel(read.mixed, quadrature=10)))
    else:
        found.append(
            Candidate("ordinal", "ordered categories, the same odds at every threshold", OrdinalModel(read.fixed))
        )
    robust: dict[str, Any] = {"vcov": "CR2", "cluster": read.cluster} if read.cluster else {"vcov": "HC3"}
    if read.support == CATEGORIES:  # names have no mean
        return found
    why = "takes the steps between categories as equal; the difference of mean ratings"
    return [*found, Candidate("linear", why, LinearModel(read.fixed, **robust))]
