"""The mixed models pinned from lme4, lmerTest, pbkrtest and nlme: how they are found, refitted here and named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from golden.pinned import VALIDATION, golden, pinned

from alliance_stats import Result
from alliance_stats.models.mixed import MixedModel

FILES = ("mixed_sleepstudy", "mixed_classic", "mixed_therapy", "mixed_deficient")

# lme4 stops at relative changes of about 1e-7 in θ even when driven; the largest differences found here are 6e-11 for
# the criterion, 5e-7 for standard errors and standard deviations, and 3e-6 for degrees of freedom.
CRITERION = 1e-8  # absolute
SPREAD = 5e-6  # standard errors, standard deviations, correlations; estimates in standard errors
DF = 2e-5  # lmerTest and numDeriv: second derivatives

Fit = tuple[str, ...]  # file, then the keys


def fits(*files: str) -> list[Fit]:
    """Paths of all pinned fits."""
    return [(file, *path) for file in files for path in _paths(pinned(file))]


def _paths(value: Any) -> Iterator[tuple[str, ...]]:
    if "formula" in value:
        yield ()
        return
    for key, part in value.items():
        yield from ((key, *path) for path in _paths(part))


def name_of(fit: Fit) -> str:
    """For the names of tests."""
    return "-".join((fit[0].removeprefix("mixed_"), *fit[1:]))


@cache
def data_of(fit: Fit) -> pd.DataFrame:
    """The data of a fit, with the levels of its factors in R's order."""
    expected = pinned(*fit)
    frame = pd.read_csv(VALIDATION / golden(fit[0])["data"][expected["data"]])
    levels = expected["levels"] or {}
    return frame.assign(**{n: pd.Categorical(frame[n].astype(str), categories=of) for n, of in levels.items()})


@cache
def refitted(fit: Fit, df_method: Any = "satterthwaite") -> Result:
    expected = pinned(*fit)
    model = MixedModel(
        expected["formula"], method=expected["method"], df_method=df_method, weights=expected.get("weights")
    )
    return model.fit(data_of(fit))


def key(term: str, levels: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """One name for R's ``armMCE:week`` and ours, ``week:arm[T.MCE]``."""
    return frozenset(_part(part.replace(" ", ""), levels) for part in term.split(":"))


def _part(part: str, levels: Mapping[str, Sequence[str]]) -> str:
    if part == "(Intercept)":
        return "Intercept"
    if found := re.fullmatch(r"(\w+)\[(?:T\.)?(.+)\]", part):
        return f"{found[1]}={found[2]}"
    for factor, of in levels.items():
        if part.startswith(factor) and part[len(factor) :] in of:
            return f"{factor}={part[len(factor) :]}"
    return part


def keys(fit: Fit, terms: Iterable[str]) -> list[frozenset[str]]:
    """Names of terms that R and this package share."""
    return [key(term, pinned(*fit)["levels"] or {}) for term in terms]


def fixed(fit: Fit, result: Result, expected: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Our fixed rows and R's, in the same order."""
    ours, theirs = result.tidy().query("component == 'fixed'"), pd.DataFrame(expected)
    ours, theirs = ours.set_axis(keys(fit, ours["term"])), theirs.set_axis(keys(fit, theirs["term"]))
    assert set(ours.index) == set(theirs.index)
    return ours.loc[theirs.index], theirs


def matrix(fit: Fit, covariance: pd.DataFrame, expected: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Our covariance and R's, in the same order."""
    wanted = keys(fit, expected["terms"])
    order = [keys(fit, covariance.index).index(name) for name in wanted]
    return covariance.to_numpy()[np.ix_(order, order)], np.array(expected["values"])


def random(fit: Fit, rows: pd.DataFrame) -> dict[Any, float]:
    """Standard deviations and correlations by factor and effects; the residual's by None."""
    found: dict[Any, float] = {}
    for row in rows.itertuples():
        effects = re.fullmatch(r"(?:sd|cor)\((.*)\)", row.term)[1]
        if row.component == "residual":
            found[None] = row.estimate
        else:
            names = frozenset(keys(fit, effects.split(",")))
            found[frozenset(row.group.split(":")), names] = row.estimate
    return found


def pinned_random(fit: Fit) -> dict[Any, float]:
    """The same of R; no correlation where a variance is zero."""
    found: dict[Any, float] = {}
    for row in pinned(*fit)["random"]:
        effects = [name for name in (row["term1"], row["term2"]) if name]
        where = (frozenset(row["group"].split(":")), frozenset(keys(fit, effects)))
        if row["sd_or_cor"] is not None:
            found[None if row["group"] == "Residual" else where] = row["sd_or_cor"]
    return found


def type3_contrasts(fit: Fit, result: Result, term: str) -> np.ndarray:
    """The hypothesis of a type III test: differences between levels of the factors in the term, averages over the others."""
    levels = pinned(*fit)["levels"]
    inside = set(term.split(":"))
    cells = list(product(*levels.values()))
    rows = np.ones((1, 1))
    for factor, of in levels.items():
        k = len(of)
        rows = np.kron(rows, np.eye(k)[1:] - np.eye(k)[:1] if factor in inside else np.full((1, k), 1 / k))
    covariates = frozenset(inside - set(levels))
    names = keys(fit, result.state.design.terms)
    return rows @ np.array([[_in_cell(name, covariates, levels, cell) for name in names] for cell in cells])


def _in_cell(
    name: frozenset[str], covariates: frozenset[str], levels: Mapping[str, Any], cell: tuple[str, ...]
) -> float:
    here = {f"{factor}={level}" for factor, level in zip(levels, cell, strict=True)}
    numbers = frozenset(part for part in name if "=" not in part) - {"Intercept"}
    return float(numbers == covariates and all(part in here for part in name if "=" in part))
