"""The equations of a mediation model: read, checked, put in causal order and fitted to one set of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError, DataError, FormulaError, suggestion
from alliance_stats.formula import Design, Formula, build_design, read_formula
from alliance_stats.models.survival_response import Surv, read_survival_formula
from alliance_stats.numerics.least_squares import independent_columns
from alliance_stats.numerics.mediation import Block, Family
from alliance_stats.numerics.mediation_fit import Fit, fit_equation

FAMILIES: Mapping[str, tuple[str, str]] = {
    "gaussian": ("gaussian", "identity"),
    "binomial": ("binomial", "logit"),
    "logit": ("binomial", "logit"),
    "probit": ("binomial", "probit"),
    "poisson": ("poisson", "log"),
    "ordered logit": ("ordinal", "logit"),
    "ordered probit": ("ordinal", "probit"),
}
MOST_LEVELS = 20
POSSIBLE = "possible are " + ", ".join(f"'{name}'" for name in FAMILIES)

TIME = "a time to an event is an outcome 'Surv(time, event) ~ …' with horizon=; a ratio of hazards is no natural effect"


@dataclass(frozen=True)
class Chain:
    """The formulas, mediators in causal order and the outcome last, and what is special about them.

    ``surv`` holds the columns of a time to an event; the response of its formula is the column of the event.
    """

    formulas: tuple[Formula, ...]
    responses: tuple[str, ...]
    families: tuple[str, ...]
    surv: Surv | None = None

    @property
    def mediators(self) -> tuple[str, ...]:
        """Names of the mediators in causal order."""
        return self.responses[:-1]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that an equation reads."""
        return tuple(dict.fromkeys(name for formula in self.formulas for name in formula.columns))


@dataclass(frozen=True, eq=False)
class Equation:
    """One regression in its data: ``X`` (rows, terms), ``y`` (rows,), its fit, and the place of its parameters among all."""

    response: str
    design: Design
    columns: np.ndarray
    X: np.ndarray
    y: np.ndarray
    fit: Fit
    block: Block

    @property
    def family(self) -> Family:
        """Distribution and link."""
        return self.block.family

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns of ``X``."""
        return tuple(self.design.terms[j] for j in self.columns)

    @property
    def coefficients(self) -> np.ndarray:
        """Regression coefficients, without thresholds and residual variance."""
        lead = len(self.family.scores) - 1 if self.family.name == "ordinal" else 0
        return np.asarray(self.fit.parameters[lead : lead + self.X.shape[1]])

    @property
    def sigma(self) -> float:
        """Residual standard deviation of a normal response, else missing."""
        return float(np.exp(self.fit.parameters[-1] / 2)) if self.family.name == "gaussian" else float("nan")


def read_chain(mediators: Sequence[str], outcome: str, exposure: str, family: Mapping[str, str]) -> Chain:
    """Formulas in causal order.

    Raises AllianceError where the equations do not form a chain from the exposure through the mediators to the outcome.
    """
    surv, last = _read_outcome(outcome)
    by_name: dict[str, Formula] = {}
    for text in mediators:
        formula = read_formula(text)
        name = formula.response.strip("`")
        if name not in formula.columns:
            raise FormulaError(f"formula {text!r}: a mediator is a column, not '{name}'; make the column first")
        if name in by_name:
            raise AllianceError(f"mediator '{name}' has two equations; give it one")
        by_name[name] = formula
    target = last.columns[0]
    _require_roles(by_name, last, target, exposure)
    order = _causal_order(by_name)
    _require_links(by_name, last, order, exposure)
    responses = (*order, target)
    _require_families(family, responses)
    formulas = (*(by_name[name] for name in order), last)
    return Chain(formulas, responses, tuple(family.get(n, "gaussian") for n in responses), surv)


def _read_outcome(outcome: str) -> tuple[Surv | None, Formula]:
    if isinstance(outcome, str) and outcome.lstrip().startswith("Surv("):
        return read_survival_formula(outcome)
    return None, read_formula(outcome)


def _require_roles(by_name: Mapping[str, Formula], last: Formula, target: str, exposure: str) -> None:
    if exposure == target:
        raise AllianceError(f"exposure='{exposure}' is the outcome, too; they must be two columns")
    for name, formula in by_name.items():
        if name == exposure:
            raise AllianceError(
                f"mediator '{name}' is the exposure, too; the mediator lies between exposure and outcome"
            )
        if name == target:
            raise AllianceError(
                f"mediator '{name}' is the outcome, too; the mediator lies between exposure and outcome"
            )
        if target in formula.variables:
            raise AllianceError(f"formula {formula.text!r}: the outcome '{target}' cannot predict a mediator")
    if not any(exposure in formula.variables for formula in (*by_name.values(), last)):
        names = [n for formula in (*by_name.values(), last) for n in formula.variables]
        raise AllianceError(
            f"exposure='{exposure}'{suggestion(exposure, names)} is in none of the equations; add it to them"
        )


def _causal_order(by_name: Mapping[str, Formula]) -> tuple[str, ...]:
    order: list[str] = []
    while len(order) < len(by_name):
        ready = [n for n, f in by_name.items() if n not in order and not (set(f.variables) & set(by_name)) - set(order)]
        if not ready:
            left = ", ".join(f"'{name}'" for name in by_name if name not in order)
            raise AllianceError(f"the mediators {left} depend on one another in a circle; take one of the arrows out")
        order.append(ready[0])
    return tuple(order)


def _require_links(by_name: Mapping[str, Formula], last: Formula, order: Sequence[str], exposure: str) -> None:
    for name in order:
        if not {exposure, *order} & set(by_name[name].variables):
            raise AllianceError(
                f"formula {by_name[name].text!r}: neither the exposure '{exposure}' nor an earlier mediator is in it"
            )
        later = [last, *(by_name[n] for n in order if n != name)]
        if not any(name in formula.variables for formula in later):
            raise AllianceError(f"mediator '{name}' predicts nothing; add it to the outcome formula {last.text!r}")


def _require_families(family: Mapping[str, str], responses: Sequence[str]) -> None:
    for name, asked in family.items():
        if name not in responses:
            raise AllianceError(
                f"family: '{name}'{suggestion(name, responses)} is no response; responses: {', '.join(responses)}"
            )
        if asked not in FAMILIES:
            raise AllianceError(f"family of '{name}' is {asked!r}; {POSSIBLE} ({TIME})")


def build_equations(chain: Chain, frame: pd.DataFrame, *, likelihood: bool) -> tuple[Equation, ...]:
    """Every equation fitted to the same complete rows.

    Raises DataError for a response its family cannot have, for dependent terms and too few rows, ConvergenceError where a
    likelihood has no maximum (separation).
    """
    equations: list[Equation] = []
    at = 0
    for formula, response, asked in zip(chain.formulas, chain.responses, chain.families, strict=True):
        design, X, y = build_design(formula, frame)
        family = _family(asked, y, response)
        terms = np.array([j for j, term in enumerate(design.terms) if family.name != "ordinal" or term != "Intercept"])
        _require_rank(X, design, formula)
        fit = fit_equation(X[:, terms], y, family, likelihood=likelihood)
        if fit is None:
            raise ConvergenceError(_no_maximum(formula.text, response, family))
        parents = tuple(k for k, name in enumerate(chain.mediators) if name in formula.variables)
        block = _block(family, at, len(terms), parents)
        equations.append(Equation(response, design, terms, X[:, terms], y, fit, block))
        at += len(fit.parameters)
    return tuple(equations)


def _block(family: Family, at: int, p: int, parents: tuple[int, ...]) -> Block:
    lead = len(family.scores) - 1 if family.name == "ordinal" else 0
    first = at + lead
    return Block(
        family, slice(first, first + p), first + p if family.name == "gaussian" else None, slice(at, first), parents
    )


def _no_maximum(text: str, response: str, family: Family) -> str:
    if family.name == "poisson":
        return f"formula {text!r}: the Poisson regression of '{response}' did not converge; rescale or drop predictors"
    return (
        f"formula {text!r}: the likelihood has no maximum: some combination of predictors separates the levels of "
        f"'{response}' completely; drop a predictor or join its levels"
    )


def _family(asked: str, y: np.ndarray, response: str) -> Family:
    name, link = FAMILIES[asked]
    values = np.unique(y)
    if len(values) < 2:
        raise DataError(f"'{response}' is {values[0]:g} in every row; nothing can be estimated")
    if name == "binomial" and not set(values) <= {0.0, 1.0}:
        raise DataError(
            f"'{response}' with family '{asked}' must be 0 or 1; found {', '.join(f'{v:g}' for v in values[:5])}"
        )
    if name == "poisson" and ((y < 0).any() or (y != np.round(y)).any()):
        raise DataError(f"'{response}' with family 'poisson' must be a count (0, 1, 2 …)")
    if name == "ordinal":
        if len(values) > MOST_LEVELS:
            raise DataError(
                f"'{response}' with family '{asked}' has {len(values)} levels; at most {MOST_LEVELS} are used"
            )
        return Family(name, link, tuple(values.tolist()))
    counts = np.arange(np.ceil(y.max() + 10 * np.sqrt(y.max()) + 20)) if name == "poisson" else ()
    return Family(name, link, tuple(float(c) for c in counts))


def _require_rank(X: np.ndarray, design: Design, formula: Formula) -> None:
    kept = independent_columns(X)
    if len(kept) < X.shape[1]:
        lost = ", ".join(f"'{design.terms[j]}'" for j in range(X.shape[1]) if j not in kept)
        raise DataError(f"formula {formula.text!r}: {lost} depends on other terms (or never varies); take it out")
    if len(X) <= X.shape[1]:
        raise DataError(f"formula {formula.text!r}: {len(X)} complete rows cannot estimate {X.shape[1]} terms")
