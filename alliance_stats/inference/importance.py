"""Relative importance: how much of the explained variance belongs to alliance, how much to treatment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.effect_sizes import linear_parts
from alliance_stats.inference.grid import Names, as_names
from alliance_stats.models.linear import LinearState, cluster_codes
from alliance_stats.numerics.importance import bootstrap_products, lmg, orthonormal, permuted_products
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.progress import bar
from alliance_stats.result import Result

MOST_GROUPS = 12  # 4096 subsets
COLUMNS = (
    "term", "component", "df", "estimate", "conf_low", "conf_high", "null", "adjusted", "p_value", "interval",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shares:
    """The cross-products problem of one model: Z holds intercept, ``always``, the groups and last the outcome."""

    names: tuple[str, ...]
    Z: np.ndarray
    fixed: tuple[int, int]
    sizes: tuple[int, ...]
    codes: np.ndarray | None

    def of(self, products: np.ndarray) -> np.ndarray:
        """Shares of the groups, shape (groups, draws)."""
        return lmg(products, self.fixed, self.sizes)

    def columns(self, group: int) -> slice:
        """Where the columns of a group are in Z."""
        start = sum(self.fixed) + sum(self.sizes[:group])
        return slice(start, start + self.sizes[group])


def relative_importance(
    result: Result,
    groups: Mapping[str, Names] | None = None,
    always: Names = (),
    draws: int = 1000,
    permutations: int = 1000,
    rng: Seed = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Shares of the outcome's variance that groups of terms explain, and the differences between these shares.

    The share of a group is its gain in R², averaged over all orders in which the groups can enter (LMG: Lindeman,
    Merenda & Gold 1980; Grömping 2006, doi 10.18637/jss.v017.i01), which is the Shapley value of R². The shares add up
    to the R² of the model, less that of the ``always`` terms.

    Parameters
    ----------
    result : a fitted LinearModel.
    groups : terms of the formula that count together, e.g. ``{"alliance": ["alliance", "alliance:arm"], "arm":
        ["arm"]}``; one group a term unless given. An interaction is a term like any other: outside the group of its
        main effects it may enter before them, takes part of their shares, and then depends on the coding (reference
        level, zero point of a scale).
    always : terms that enter before all groups and get no share, e.g. ``["baseline"]``.
    draws, permutations : bootstrap samples and, for each group, permutations.
    rng : seed; a group's permutations depend on the seed and its name alone.
    progress : whether long work shows a bar.

    Returns
    -------
    One row a group (component ``share``), then one a pair of groups (``difference``, term "alliance − arm"):

    - ``estimate``: the share, or the difference of two shares; ``df``: independent columns of the group.
    - ``null``: what the group would get by chance, about df / (n − 1): the mean share after the rows of its columns
      were shuffled together, outcome and other groups left as they are. ``adjusted`` is ``estimate`` less ``null``.
    - ``conf_low``, ``conf_high``: percentile interval of ``adjusted`` from the bootstrap of rows, or of whole clusters
      where the model has ``cluster=``, at the model's level.
    - ``p_value``: of a share, (1 + permutations with at least this share) / (1 + permutations); of a difference,
      min(1, 2 (1 + min(#≤0, #≥0)) / (1 + draws)) from the draws of the adjusted difference.

    The interval of a difference is cautious where both shares are near zero. With ``cluster=``, a group that is constant
    within clusters has its clusters shuffled; rows of other groups are shuffled singly, which is too optimistic for a
    predictor that mostly differs between clusters. Shares are descriptions, not effects: a randomised arm and an
    alliance that was only observed are not on an equal footing.

    Raises AllianceError for other models, unknown, unassigned or twice assigned terms, and more than 12 groups.

    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 2, 3], "alliance": [40.0, 44, 47, 50, 55, 60], "arm": list("ababab")})
    >>> from alliance_stats.models.linear import LinearModel
    >>> shares = relative_importance(LinearModel("pain ~ alliance + arm").fit(data), draws=99, permutations=99)
    >>> shares[["term", "component", "estimate"]].round(2).to_dict("split")["data"]
    [['alliance', 'share', 0.83], ['arm', 'share', 0.04], ['alliance − arm', 'difference', 0.79]]
    """
    _require_counts(draws=draws, permutations=permutations)
    problem = _problem(result, groups, always)
    resamples = draws + permutations * len(problem.names)
    with bar(None, "relative importance", "resample", shown=progress, total=resamples) as done:
        boot = _collect(
            problem, bootstrap_products(problem.Z, problem.codes, draws, stream(rng, "importance", "bootstrap")), done
        )
        chance = np.array([_null(problem, g, permutations, rng, done) for g in range(len(problem.names))])
    share = problem.of((problem.Z.T @ problem.Z)[:, :, None])[:, 0]
    level = result.model.level
    return pd.DataFrame(
        [*_share_rows(problem, share, boot, chance, level), *_difference_rows(problem, share, boot, chance, level)],
        columns=list(COLUMNS),
    )


def _problem(result: Result, groups: Mapping[str, Names] | None, always: Names) -> Shares:
    state, X, y = linear_parts(result, "relative_importance")
    first = as_names(always)
    assigned = _assigned(state, groups, first)
    centre = "Intercept" in state.design.slices
    base = np.ones((len(y), int(centre)))
    blocks = [orthonormal(_columns(state, X, terms), centre=centre) for terms in (first, *assigned.values())]
    outcome = y - y.mean() if centre else y
    Z = np.column_stack([base, *blocks, outcome / np.linalg.norm(outcome)])
    sizes = [block.shape[1] for block in blocks]
    cluster = result.model.cluster
    codes = cluster_codes(result.frame, cluster) if cluster else None
    return Shares(tuple(assigned), Z, (int(centre), sizes[0]), tuple(sizes[1:]), codes)


def _assigned(state: LinearState, groups: Mapping[str, Names] | None, always: Sequence[str]) -> dict[str, list[str]]:
    """Terms of each group, after checking that every term of the formula has one place."""
    terms = [name for name in state.design.slices if name != "Intercept"]
    given: Mapping[str, Names] = {name: [name] for name in terms if name not in always} if groups is None else groups
    assigned = {str(name): as_names(members) for name, members in given.items()}
    placed = [*always, *(term for members in assigned.values() for term in members)]
    _require_terms(placed, terms)
    twice = sorted({term for term in placed if placed.count(term) > 1})
    if twice:
        raise AllianceError(f"relative_importance: {', '.join(twice)} named more than once in groups and always")
    without = [term for term in terms if term not in placed]
    if without:
        raise AllianceError(f"relative_importance: {', '.join(without)} in no group; add to groups or to always")
    if not 0 < len(assigned) <= MOST_GROUPS or not all(assigned.values()):
        raise AllianceError(
            f"relative_importance: {len(assigned)} groups; 1 to {MOST_GROUPS} are possible, each with a term: "
            "join terms in groups, or move some to always"
        )
    return assigned


def _require_terms(placed: Sequence[str], terms: Sequence[str]) -> None:
    for name in placed:
        if name not in terms:
            near = get_close_matches(name, terms, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise AllianceError(f"relative_importance: no term {name!r}{hint}; terms: {', '.join(terms)}")


def _require_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise AllianceError(f"relative_importance: {name} is {count}; use a whole number from 1, e.g. 1000")


def _columns(state: LinearState, X: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    return np.column_stack([X[:, :0], *(X[:, state.design.slices[term]] for term in terms)])


def _collect(problem: Shares, batches: Iterator[np.ndarray], done: Any) -> np.ndarray:
    """Shares of all resamples, shape (groups, draws)."""
    found = []
    for products in batches:
        found.append(problem.of(products))
        done.update(products.shape[2])
    return np.concatenate(found, axis=1)


def _null(problem: Shares, group: int, permutations: int, rng: Seed, done: Any) -> np.ndarray:
    """Shares of one group when its columns have nothing to do with the outcome and the other groups."""
    where, codes = problem.columns(group), problem.codes
    generator = stream(rng, "importance", "permutation", problem.names[group])
    whole = codes if codes is not None and _constant_within(problem.Z[:, where], codes) else None
    shares = _collect(problem, permuted_products(problem.Z, where, whole, permutations, generator), done)
    return np.asarray(shares[group])


def _constant_within(X: np.ndarray, codes: np.ndarray) -> bool:
    first = np.unique(codes, return_index=True)[1]
    return bool(np.allclose(X, X[first][codes], rtol=0, atol=1e-12))


def _share_rows(
    problem: Shares, share: np.ndarray, boot: np.ndarray, chance: np.ndarray, level: float
) -> Iterator[tuple[Any, ...]]:
    for g, name in enumerate(problem.names):
        null = float(chance[g].mean())
        beyond = int(np.sum(chance[g] >= share[g] - 1e-12))
        low, high = _percentiles(boot[g] - null, level)
        p = (1 + beyond) / (1 + chance.shape[1])
        yield name, "share", problem.sizes[g], share[g], low, high, null, share[g] - null, p, "percentile"


def _difference_rows(
    problem: Shares, share: np.ndarray, boot: np.ndarray, chance: np.ndarray, level: float
) -> Iterator[tuple[Any, ...]]:
    null = chance.mean(axis=1)
    for i, j in combinations(range(len(problem.names)), 2):
        noise, difference = null[i] - null[j], share[i] - share[j]
        drawn = boot[i] - boot[j] - noise
        low, high = _percentiles(drawn, level)
        p = min(1.0, 2 * (1 + min(np.sum(drawn <= 0), np.sum(drawn >= 0))) / (1 + len(drawn)))
        term = f"{problem.names[i]} − {problem.names[j]}"
        yield term, "difference", np.nan, difference, low, high, noise, difference - noise, p, "percentile"


def _percentiles(drawn: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
