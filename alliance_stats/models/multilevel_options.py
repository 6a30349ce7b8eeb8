"""The options of multilevel mediation, and what is refused: in the declaration and in the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import is_factor
from alliance_stats.random_terms import group_codes

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation

Kind = Literal["1-1-1", "2-1-1", "2-2-1"]
Interval = Literal["monte-carlo", "bootstrap", "profile", "delta"]
Means = Literal["manifest", "latent"]
Method = Literal["REML", "ML"]
PATHS = ("a", "b", "c_prime")
CONSTANT = 1e-10  # part of a column's variance within groups below which it is constant there


def require_options(model: MultilevelMediation) -> None:
    """AllianceError for an option outside its range, or two that do not go together."""
    _require_choices(model)
    _require_columns_apart(model)
    if not set(model.random) <= set(PATHS) or len(set(model.random)) < len(model.random):
        raise AllianceError(f"random is {model.random!r}; use some of {', '.join(PATHS)}, each once, or () for none")
    if not isinstance(model.draws, int) or model.draws < 2:
        raise AllianceError(f"draws is {model.draws!r}; use 2 or more, 1000 for a bootstrap, 20000 for Monte Carlo")
    if not 0 < model.level < 1:
        raise AllianceError(f"level is {model.level}; use a number between 0 and 1, e.g. 0.95")
    _require_interval(model)
    if model.means == "latent":
        _require_latent(model)
    _require_moderates(model)
    require_no_lag(model)
    if model.family:
        require_family(model)


def _require_choices(model: MultilevelMediation) -> None:
    for name, allowed in (("design", Kind), ("interval", Interval), ("means", Means), ("method", Method)):
        value = getattr(model, name)
        if value not in get_args(allowed) and not (name == "method" and value is None):
            raise AllianceError(f"{name} is {value!r}; use one of {', '.join(get_args(allowed))}")


def _require_interval(model: MultilevelMediation) -> None:
    if model.interval == "profile" and model.method == "REML":
        raise AllianceError("interval='profile' is of the likelihood; leave method out, or use method='ML'")
    if model.small and (model.interval not in ("delta", "monte-carlo") or model.family):
        raise AllianceError("small=True is for interval='delta' or 'monte-carlo', without family=")
    if model.within and (model.above is None or model.interval != "bootstrap"):
        raise AllianceError("within=True is for interval='bootstrap' with above=, whose groups are drawn first")


def few_df(groups: int) -> float:
    """Degrees of freedom for few clusters: those of a regression on exposure and mediator between them."""
    return float(max(groups - 3, 1))


def _require_moderates(model: MultilevelMediation) -> None:
    if (
        not model.moderates
        or not set(model.moderates) <= set(PATHS)
        or len(set(model.moderates)) < len(model.moderates)
    ):
        raise AllianceError(f"moderates is {model.moderates!r}; use some of {', '.join(PATHS)}, each once")


def lagged_outcomes(model: MultilevelMediation) -> tuple[str, ...]:
    """Covariates, or a moderator, that are the outcome at an earlier session by the names that ``Lag`` and ``Centre`` give."""
    named = re.compile(rf"{re.escape(model.outcome)}_lag\d+(_|$)")
    others = (model.exposure, *model.covariates, *([model.moderator] if model.moderator else []))
    return tuple(name for name in others if named.match(name))


def require_no_lag(model: MultilevelMediation) -> None:
    """AllianceError for a lagged outcome beside the intercepts of the groups, unless ``dynamic=True`` insists on it."""
    lagged = lagged_outcomes(model)
    if lagged and not model.dynamic:
        raise AllianceError(
            f"'{lagged[0]}' is the outcome at an earlier session; beside the random intercept of '{model.group}' its "
            "coefficient and the paths are biased (a dynamic panel). Leave it out, use a cross-lagged panel model with "
            "random intercepts, or insist with dynamic=True, which prints the bias"
        )


def require_family(model: MultilevelMediation) -> None:
    """AllianceError for a family that the model does not have, or an option that does not go with a binary variable."""
    for name, family in model.family:
        if name not in (model.mediator, model.outcome):
            raise AllianceError(
                f"family names '{name}'; use the mediator '{model.mediator}' or the outcome '{model.outcome}'"
            )
        if family != "binomial":
            raise AllianceError(f"family of '{name}' is {family!r}; use 'binomial', or leave a normal variable out")
    if model.design == "1-1-1" and model.random:
        raise AllianceError(
            f"random is {model.random!r}: with a binary mediator or outcome there are random intercepts only; use random=()"
        )
    refused = (
        (model.design == "2-2-1", "design='2-2-1'"), (model.above is not None, "above="), (bool(model.moderator), "moderator="),
        (model.means == "latent", "means='latent'"), (model.method == "REML", "method='REML'"),
        (model.interval != "monte-carlo", f"interval={model.interval!r}"),
    )  # fmt: skip
    for wrong, option in refused:
        if wrong:
            raise AllianceError(
                f"{option} does not go with family=; binary models have interval='monte-carlo' and ML alone"
            )


def require_normal(model: MultilevelMediation, where: str) -> None:
    """AllianceError for a function that binary mediators and outcomes do not have."""
    if model.family:
        raise AllianceError(
            f"{where}: a MultilevelMediation with family= gives effects alone; fit its equations with GeneralizedMixedModel"
        )


def _require_columns_apart(model: MultilevelMediation) -> None:
    names = [model.exposure, model.mediator, model.outcome, model.group, *([model.above] if model.above else [])]
    names += [*model.covariates, *([model.moderator] if model.moderator else [])]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise AllianceError(
            f"'{twice[0]}' is named twice; exposure, mediator, outcome, groups and covariates must differ"
        )


def _require_latent(model: MultilevelMediation) -> None:
    if model.design == "1-1-1":
        raise AllianceError(
            "means='latent' is for the designs 2-1-1 and 2-2-1; with random slopes in 1-1-1 use means='manifest'"
        )
    if model.moderator:
        raise AllianceError("moderator= needs observed means; use means='manifest'")
    if not model.center:
        raise AllianceError("center=False keeps the mediator in one piece; means='latent' divides it: leave one out")


def require_nested(frame: pd.DataFrame, group: str, above: str) -> None:
    """DataError unless every group lies within one larger group, and there are fewer of those."""
    homes = frame.groupby(group, observed=True)[above].nunique()
    if (homes > 1).any():
        raise DataError(
            f"above='{above}': {group} {homes.index[homes > 1][0]} has {int(homes.max())} values of it; every {group} must "
            f"belong to one {above}. Give a {group} of its own to each treatment, or leave above out"
        )
    if len(homes) <= frame[above].nunique():
        raise DataError(f"above='{above}': there is one {group} to each {above}; the two cannot be told apart")


def within_share(values: np.ndarray, codes: np.ndarray) -> tuple[float, int]:
    """Part of a column's variance that lies within groups, and in how many groups it is constant."""
    means = np.bincount(codes, values) / np.bincount(codes)
    squares = np.bincount(codes, (values - means[codes]) ** 2)
    total = float(((values - values.mean()) ** 2).sum())
    if total == 0:
        return 0.0, len(means)
    return float(squares.sum()) / total, int((squares <= CONSTANT * total / len(means)).sum())


def require_levels(model: MultilevelMediation, frame: pd.DataFrame, codes: np.ndarray) -> tuple[str, ...]:
    """DataError where a variable does not vary on the level that the design gives it; notes on groups where it does not."""
    notes: list[str] = []
    roles = (model.exposure, "exposure"), (model.mediator, "mediator"), (model.outcome, "outcome")
    for name, role in roles:
        if np.ptp(frame[name].to_numpy(dtype=float)) == 0:
            raise DataError(f"{role} '{name}' is {frame[name].iloc[0]:g} in all rows; there is nothing to explain")
    for (name, role), level in zip(roles[:2], model.design.split("-")[:2], strict=True):
        share, constant = within_share(frame[name].to_numpy(dtype=float), codes)
        if level == "1" and share <= CONSTANT:
            raise DataError(_constant(model, name, role))
        if level == "2" and share > CONSTANT:
            raise DataError(_varying(model, name, role, int(codes.max()) + 1 - constant))
        if level == "1" and constant:
            notes.append(
                f"{role} '{name}' is constant within {constant} of {codes.max() + 1} groups of '{model.group}'"
            )
    return tuple(notes)


def _constant(model: MultilevelMediation, name: str, role: str) -> str:
    other = "2-1-1" if role == "exposure" else "2-2-1"
    return (
        f"{role} '{name}' is constant within every '{model.group}', so that design='{model.design}' has no path within "
        f"them; use design='{other}'"
    )


def _varying(model: MultilevelMediation, name: str, role: str, groups: int) -> str:
    other = "1-1-1" if role == "exposure" else "2-1-1"
    return (
        f"{role} '{name}' varies within {groups} groups of '{model.group}', but design='{model.design}' has it on the level "
        f"of '{model.group}'; use design='{other}', or correct '{name}'"
    )


def require_enough(model: MultilevelMediation, groups: int, effects: Sequence[str], name: str, rows: int) -> None:
    """DataError for fewer groups than a covariance of their effects needs, or no repeated rows."""
    if groups <= len(effects):
        raise DataError(
            f"'{name}' has {groups} groups for {len(effects)} random effects ({', '.join(effects)}); name fewer in random=, "
            "or use more groups"
        )
    if rows <= groups:
        raise DataError(f"'{name}' has one row a group; without repeated rows use Mediation")


def numbers(frame: pd.DataFrame, name: str, role: str, *, labels: bool = False) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column as numbers; with ``labels`` one of two labels as 0 and 1, said in a note."""
    column = frame[name]
    if not is_factor(column):
        return column.to_numpy(dtype=float), ()
    present = two_labels(column)
    if not labels or len(present) != 2:
        what = f"{len(present)} labels ({', '.join(map(str, present[:4]))})"
        raise DataError(f"{role} '{name}' holds {what}; give numbers{', or two labels' if labels else ''}")
    return (column == present[1]).to_numpy(dtype=float), (f"'{name}': 0 is {present[0]}, 1 is {present[1]}",)


def two_labels(column: pd.Series[Any]) -> list[Any]:
    """The labels of a column in their order: that of a categorical, else sorted."""
    found: Any = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else sorted(column.unique())
    return [level for level in found if (column == level).any()]


def codes_of(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Groups of the rows and their labels; DataError for one group only."""
    codes, labels = group_codes(frame, (name,))
    if len(labels) < 2:
        raise DataError(f"'{name}' has one group only ({', '.join(labels)}); two or more are needed")
    return codes, labels
