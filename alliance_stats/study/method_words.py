"""How a model was estimated and tested, in the words of a methods section: one function a model class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alliance_stats.result import Result
from alliance_stats.study.formula_words import formula_words
from alliance_stats.tables.model_notes import ROBUST, estimation

TESTS: Mapping[str, str] = {
    "residual": "t distributions on the residual degrees of freedom",
    "satterthwaite": "t distributions with Satterthwaite's degrees of freedom",
    "kenward-roger": "t distributions with Kenward–Roger degrees of freedom and standard errors",
    "clusters - 1": "t distributions on the number of clusters less one",
    "normal": "the normal distribution",
}
LINKS = {"logit": "logit", "probit": "probit", "cloglog": "complementary log–log", "log": "log", "identity": "identity"}
FAMILIES = {
    "gaussian": "linear", "binomial": "binomial", "betabinomial": "beta-binomial", "poisson": "Poisson",
    "negativebinomial": "negative binomial", "beta": "beta",
}  # fmt: skip


@dataclass(frozen=True)
class Method:
    """What analyses by one method share.

    ``name`` the model, as the start of a sentence; ``estimation`` how it was fitted; ``errors`` a clause on standard errors, ""
    where nothing is to be said; ``tests`` the reference distribution; ``intervals`` a further sentence; ``verb`` "were" where
    the name is a plural.
    """

    name: str
    estimation: str = ""
    errors: str = ""
    tests: str = ""
    intervals: str = ""
    verb: str = "was"


def method_of(result: Result) -> Method:
    """The method of a result; a model without words of its own is named by its class."""
    name = type(result.model).__name__
    return WORDS[name](result) if name in WORDS else Method(f"A model of class {name}", tests=_tests(result))


def what_of(result: Result) -> str:
    """What was modelled, in words and notation; the reckoning in words where there are no rows behind it."""
    model = result.model
    if type(model).__name__ == "MultilevelMediation":
        return f"{formula_of_paths(model)}: {model.formula.rpartition(' (')[0]}"
    if type(model).__name__ == "SummaryStatistics":
        factors = [model.factors] if isinstance(model.factors, str) else list(model.factors)
        return f"groups by {' and '.join(name.replace('_', ' ') for name in factors)}"
    formula = str(getattr(model, "formula", ""))
    if "~" not in formula:
        return formula
    words = [formula_words(part) for part in formula.split("; ")]
    return f"{words[0]} ({formula})" if len(words) == 1 else f"{'; '.join(words)}: {formula}"


def formula_of_paths(model: Any) -> str:
    """Exposure, mediator and outcome of a multilevel mediation."""
    beside = f", adjusted for {', '.join(model.covariates)}" if model.covariates else ""
    words = [text.replace("_", " ") for text in (model.exposure, model.outcome, model.mediator)]
    return f"the effect of {words[0]} on {words[1]} through {words[2]}{beside}"


def _tests(result: Result) -> str:
    return TESTS.get(str(result.statistics.get("df_method", [""])[0]), "")


def _errors(model: Any) -> str:
    if model.vcov in ROBUST:
        return f"were {ROBUST[model.vcov]}{f' by {model.cluster}' if model.cluster else ''}"
    return "were model-based"


def _likelihood(result: Result) -> str:
    return f"fitted by {estimation(str(result.statistics['method'].iloc[0]))}"


def _linear(result: Result) -> Method:
    return Method("Linear regression", _likelihood(result), _errors(result.model), _tests(result))


def _mixed(result: Result) -> Method:
    model = result.model
    more = f", with residual variances by {model.residual_by}" if model.residual_by else ""
    more += f", weighted by {model.weights}" if model.weights else ""
    return Method("A linear mixed model", _likelihood(result) + more, "", _tests(result))


def _generalized(result: Result) -> Method:
    model = result.model
    default = "log" if model.family in ("poisson", "negativebinomial") else "logit"
    name = f"A {FAMILIES[model.family]} mixed model with {LINKS[model.link or default]} link"
    return Method(name, _likelihood(result), "were from the observed information of all parameters", _tests(result))


def _discrete(result: Result) -> Method:
    model = result.model
    name = f"A discrete-time hazard model with {LINKS[model.link]} link"
    errors = f"were cluster-robust by {model.cluster}" if model.cluster else ""
    return Method(name, _likelihood(result), errors, _tests(result))


def _cox(result: Result) -> Method:
    model = result.model
    kind = "A Cox proportional hazards model" if type(model).__name__ == "CoxModel" else "A model of competing risks"
    more = f", stratified by {model.strata}" if model.strata else ""
    estimation = f"fitted by partial likelihood with {model.ties.capitalize()}'s handling of ties{more}"
    return Method(
        kind, estimation, f"were robust by {model.cluster}" if model.cluster else "were model-based", _tests(result)
    )


def _regression(kind: str) -> Callable[[Result], Method]:
    """Words for a regression with a link and a choice of standard errors."""

    def words(result: Result) -> Method:
        model = result.model
        link = getattr(model, "link", None)
        name = f"{kind}{f' with {LINKS.get(link, link)} link' if link else ''}"
        errors = _errors(model) if hasattr(model, "vcov") and model.vcov != "robust" else ""
        return Method(name, _likelihood(result), errors, _tests(result))

    return words


def _gee(result: Result) -> Method:
    model = result.model
    name = f"Generalized estimating equations ({FAMILIES[model.family]}, {model.correlation} working correlation)"
    errors = f"were {'sandwich estimates' if model.vcov == 'robust' else model.vcov} by {model.cluster}"
    return Method(name, "", errors, _tests(result), verb="were")


def _summary(result: Result) -> Method:
    model = result.model
    spread = "SDs" if model.sd else "confidence limits"
    error = "one error variance for all groups" if model.error == "pooled" else "an error variance for each group"
    return Method(f"Analysis of printed means, numbers of patients and {spread}", f"with {error}", "", _tests(result))


def _printed(result: Result) -> Method:
    return Method("Recomputation from printed numbers", "without rows of data")


def _mediation(result: Result) -> Method:
    model = result.model
    errors = "of paths were model-based"
    vcov = model.vcov or ("CR2" if model.cluster and result.statistics["method"].iloc[0] == "OLS" else None)
    if vcov in ROBUST or model.cluster:
        errors = f"of paths were {ROBUST[vcov or 'CR1']}{f' by {model.cluster}' if model.cluster else ''}"
    whole = (
        f", whole clusters ({model.cluster}) together"
        if model.cluster and model.interval in ("percentile", "bca")
        else ""
    )
    return Method(
        "Causal mediation analysis",
        f"with {_fitted_by(result)}",
        errors,
        _tests(result),
        f"Natural indirect and direct effects had {100 * model.level:g}% {interval_words(model)}{whole}",
    )


def _fitted_by(result: Result) -> str:
    """How the equations of a mediation were fitted."""
    method = str(result.statistics["method"].iloc[0])
    if method.startswith("OLS and partial likelihood"):
        return "mediators regressed by ordinary least squares and the outcome by Cox regression"
    return f"each of its regressions fitted by {'ordinary least squares' if method == 'OLS' else 'maximum likelihood'}"


def _multilevel(result: Result) -> Method:
    model = result.model
    means = f" with {model.means} means" if model.design == "2-1-1" else ""
    means += " and binary variables" if model.family else ""
    clusters = f"clusters {model.group}{f' within {model.above}' if model.above else ''}"
    name = f"Multilevel mediation analysis ({model.design}{means}, {clusters})"
    return Method(name, f"with both equations in one model {_likelihood(result)}", "", _tests(result),
                  f"Paths and effects had {100 * model.level:g}% {interval_words(model)}")  # fmt: skip


def interval_words(model: Any) -> str:
    """How the intervals of a mediation were made, with the number of draws.

    >>> from alliance_stats.models.mediation import Mediation
    >>> interval_words(Mediation(["alliance ~ arm"], "pain ~ arm + alliance", "arm"))
    'percentile bootstrap intervals from 5,000 resamples'
    """
    draws = f"{model.draws:,}"
    return {
        "percentile": f"percentile bootstrap intervals from {draws} resamples",
        "bca": f"bias-corrected and accelerated bootstrap intervals from {draws} resamples",
        "bootstrap": f"percentile bootstrap intervals from {draws} resamples of whole clusters",
        "monte-carlo": f"Monte Carlo intervals from {draws} draws of the parameters",
        "delta": "intervals by the delta method",
        "product": "intervals from the distribution of the product",
        "profile": "profile-likelihood intervals",
    }[model.interval]


WORDS: Mapping[str, Callable[[Result], Method]] = {
    "LinearModel": _linear, "MixedModel": _mixed, "GeneralizedMixedModel": _generalized, "DiscreteTimeModel": _discrete,
    "CoxModel": _cox, "CompetingRisksModel": _cox, "BetaModel": _regression("Beta regression"),
    "FractionalModel": _regression("Fractional regression"),
    "OrdinalModel": _regression("Cumulative link (ordinal) regression"),
    "GEE": _gee, "SummaryStatistics": _summary, "PrintedNumbers": _printed, "PrintedDependability": _printed,
    "Mediation": _mediation, "MultilevelMediation": _multilevel, "InterventionalEffects": _mediation,
}  # fmt: skip
