"""The same mixed model fitted again: to other responses, or without one group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.problem import (
    Problem,
    Solution,
    each,
    estimates,
    pairs,
    problem,
    regrouped,
    solve_many,
    solve_or_none,
)
from alliance_stats.models.mixed import Grouping
from alliance_stats.models.mixed_rows import residual_deviations
from alliance_stats.progress import bar
from alliance_stats.result import Result


def refit(result: Result, responses: np.ndarray | pd.DataFrame) -> pd.DataFrame:
    """Estimates of a mixed model for other responses of the same design, e.g. simulated ones.

    ``responses`` has shape (rows of the fit, R), one column a response. Returns one row a response: the fixed coefficients by
    name, standard deviations and correlations as ``sd(week)|patient``, ``sd(residual)`` (with ``residual_by`` one a group,
    ``sd(residual)|MCE``, estimated anew), ``criterion`` and ``converged``; the estimates of a response that cannot be fitted
    are missing. Raises DataError for responses of another shape.

    >>> from alliance_stats.models.mixed import MixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(20), 4), "week": np.tile(range(4), 20)})
    >>> data["pain"] = 6 - 0.5 * data["week"] + np.repeat(rng.normal(size=20), 4) + rng.normal(size=80)
    >>> fit = MixedModel("pain ~ week + (1 | patient)").fit(data)
    >>> refit(fit, np.column_stack([data["pain"], 10 * data["pain"]]))["sd(residual)"].round(2).tolist()
    [0.89, 8.88]
    """
    given = problem(result, "refit")
    columns = np.asarray(responses, dtype=float)
    if columns.ndim != 2 or len(columns) != len(given.y):
        raise DataError(f"refit: responses have shape {columns.shape}; give ({len(given.y)}, R), one column a response")
    if not np.isfinite(columns).all():
        raise DataError("refit: responses hold missing or infinite values; the design is that of complete rows")
    labels = estimate_labels(estimate_names(result))
    rows = [_row(found, given, labels) for found in solve_many(given, columns, result.state.theta)]
    index = responses.columns if isinstance(responses, pd.DataFrame) else range(columns.shape[1])
    return pd.DataFrame(rows, index=index)


def leave_one_out(result: Result, group: str, *, progress: bool = True) -> pd.DataFrame:
    """The fixed coefficients of a mixed model without each of its groups in turn, the most influential group first.

    ``group`` is a grouping factor, e.g. ``"therapist"``. One row a group left out and coefficient: ``at`` the group, ``n_obs``
    its rows, ``term``, ``estimate`` without it, ``change`` = without − with, ``change_se`` that in standard errors of the whole
    fit, and ``influence`` = change' V⁻¹ change / p over all coefficients (Cook's distance for groups; Demidenko & Stukel 2005,
    doi 10.1002/sim.1974). Variances are estimated anew, residual ones by group too. A coefficient that the remaining rows
    cannot estimate is missing, and its group comes first.

    Long work shows a progress bar unless ``progress`` is false. Raises AllianceError for an unknown factor, or where it has
    fewer than three groups.

    >>> from alliance_stats.models.mixed import MixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(list("abcdef"), 10), "pain": rng.normal(size=60)})
    >>> data.loc[data["therapist"] == "c", "pain"] += 5
    >>> leave_one_out(MixedModel("pain ~ 1 + (1 | therapist)").fit(data), "therapist")["at"].iloc[0]
    'c'
    """
    given, grouping = problem(result, "leave_one_out"), grouping_of(result, group, "leave_one_out")
    if len(grouping.groups) < 3:
        raise AllianceError(f"leave_one_out: '{group}' has {len(grouping.groups)} groups; at least three are needed")
    codes = np.where(members(result, grouping), grouping.level.codes, -1)
    n = len(grouping.groups)
    without = each(_without, ((given, codes, code, result.state.theta) for code in range(n)))
    found = list(bar(without, f"without each {group}", "fit", shown=progress, total=n))
    change = np.array(found) - result.state.coefficients
    V = result.covariance.to_numpy()
    influence = np.einsum("gi,ij,gj->g", change, np.linalg.inv(V), change) / len(V)
    order = np.argsort(np.where(np.isnan(influence), -np.inf, -influence), kind="stable")
    p, sizes = len(V), np.bincount(codes[codes >= 0])
    return pd.DataFrame(
        {
            "at": np.repeat(np.array(grouping.groups)[order], p),
            "n_obs": np.repeat(sizes[order], p),
            "term": list(result.covariance.index) * len(order),
            "estimate": np.array(found)[order].ravel(),
            "change": change[order].ravel(),
            "change_se": (change / np.sqrt(np.diag(V)))[order].ravel(),
            "influence": np.repeat(influence[order], p),
        }
    )


def grouping_of(result: Result, group: str, where: str) -> Grouping:
    """The grouping factor of that name; AllianceError, listing them, where there is none."""
    groupings: tuple[Grouping, ...] = getattr(result.state, "groupings", ())
    for grouping in groupings:
        if grouping.name == group:
            return grouping
    names = ", ".join(grouping.name for grouping in groupings)
    raise AllianceError(f"{where}: no grouping factor {group!r}; factors: {names}")


def members(result: Result, grouping: Grouping) -> np.ndarray:
    """Rows that belong to a group; a row without a label has effects that are all multiplied by zero."""
    labels = result.frame[list(grouping.parts)].notna().all(axis=1)
    return np.asarray(labels.to_numpy())


def estimate_labels(names: list[tuple[str, str, str]]) -> list[str]:
    """One unique name an estimate, e.g. ``sd(week)|patient``."""
    return [f"{term}|{group}" if group else term for term, _, group in names]


def estimate_names(result: Result) -> list[tuple[str, str, str]]:
    """Term, component and factor of every estimate, in the order of ``estimates``."""
    names = [(str(term), "fixed", "") for term in result.covariance.index]
    for grouping in result.state.groupings:
        effects = grouping.effects
        names += [(f"sd({effect})", "random", grouping.name) for effect in effects]
        names += [(f"cor({effects[j]},{effects[i]})", "correlation", grouping.name) for i, j in pairs(grouping.level)]
    return [*names, *(("sd(residual)", "residual", stratum) for stratum, _ in residual_deviations(result.state))]


def _row(found: Solution | None, given: Problem, labels: list[str]) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys([*labels, "criterion"], np.nan) | {"converged": False}
    values = dict(zip(labels, estimates(found, given.levels), strict=True))
    return values | {"criterion": found.value, "converged": True}


def _without(given: Problem, codes: np.ndarray, code: int, start: np.ndarray) -> np.ndarray:
    index = np.flatnonzero(codes != code)
    found = solve_or_none(given.rows(index, regrouped(given.levels, index)), start)
    return np.full(given.X.shape[1], np.nan) if found is None else found.beta
