"""Marginal means, contrasts between them, tests of factors, and non-inferiority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.inference.combine import Adjust, combine, joint_test
from alliance_stats.inference.grid import At, Names, as_names, cell_names, cell_weights, describe_at
from alliance_stats.numerics.distributions import t_tail
from alliance_stats.result import Result

Weights = Literal["pairwise", "reference"] | Mapping[str, Mapping[Any, float]]


def marginal_means(
    result: Result, by: Names, *, at: At | None = None, weights: str = "equal", adjust: Adjust = "none"
) -> pd.DataFrame:
    """Means of the outcome at the levels of one factor or of several, the other variables held as in a reference grid.

    Numbers are held at their mean, other factors averaged with equal weights (``"proportional"``: by their shares in the
    data); ``at`` sets variables, e.g. ``at={"baseline": 50}``. Returns the columns of ``by`` followed by those of the
    glossary. Same conventions as R's emmeans (Searle, Speed & Milliken 1980, doi 10.1080/00031305.1980.10483031).

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3, 2, 2], "arm": ["a", "a", "b", "b", "c", "c"]})
    >>> marginal_means(LinearModel("pain ~ arm").fit(data), "arm")[["arm", "estimate"]].round(1).to_dict("list")
    {'arm': ['a', 'b', 'c'], 'estimate': [5.5, 3.5, 2.0]}
    """
    cells, L = cell_weights(result, as_names(by), at, weights)
    rows = combine(result, L, cell_names(cells), at=describe_at(at), adjust=adjust)
    return pd.concat([cells, rows], axis=1)


def contrast(
    result: Result,
    by: Names | None = None,
    weights: Weights = "pairwise",
    *,
    at: At | None = None,
    average: str = "equal",
    null: float = 0.0,
    adjust: Adjust = "holm",
    level: float | None = None,
) -> pd.DataFrame:
    """Differences and other combinations of marginal means, or of coefficients, as one family of comparisons.

    With ``by`` the weights are on the cells of these factors: ``"pairwise"``, ``"reference"`` (each level against the
    first), or ``{"SE − AL": {"SE": 1, "AL": -1}}``; a cell of two factors is a tuple, ``("sham", "enhanced")``. Without
    ``by`` they are on coefficients: ``{"slope in MCE": {"alliance": 1, "alliance:arm[T.MCE]": 1}}``.

    p-values are adjusted over the family by ``adjust`` (Holm unless said otherwise). Raises AllianceError for a cell
    or term that does not exist and for combinations that the data cannot estimate.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3, 2, 2], "arm": ["a", "a", "b", "b", "c", "c"]})
    >>> found = contrast(LinearModel("pain ~ arm").fit(data), "arm", "reference")
    >>> found[["term", "estimate"]].round(1).to_dict("list")
    {'term': ['b − a', 'c − a'], 'estimate': [-2.0, -3.5]}
    """
    if by is None:
        names, L = _of_coefficients(result, weights)
    else:
        cells, means = cell_weights(result, as_names(by), at, average)
        names, C = _of_cells([tuple(cell) for cell in cells.itertuples(index=False)], cell_names(cells), weights)
        L = C.reshape(-1, len(cells)) @ means
    if not names:
        raise AllianceError("contrast: nothing to compare; give weights, or a factor with two levels or more")
    return combine(result, L, names, at=describe_at(at), null=null, adjust=adjust, level=level)


def anova(result: Result, factors: Names | None = None, *, at: At | None = None) -> pd.DataFrame:
    """Type III tests of factors and their interactions, every cell of the other factors with equal weight.

    Covariates are held at their mean (or ``at``). Columns: ``term df_num df statistic p_value partial_eta_squared``,
    df being the denominator's. ``factors`` defaults to all factors of the formula. With cluster-robust covariances the
    tests are Wald tests in F form.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3, 2, 2], "arm": ["a", "a", "b", "b", "c", "c"]})
    >>> anova(LinearModel("pain ~ arm").fit(data))[["term", "df_num", "df", "statistic"]].round(2).to_dict("records")
    [{'term': 'arm', 'df_num': 2.0, 'df': 3.0, 'statistic': 18.5}]
    """
    levels = result.state.design.levels
    names = [name for name in levels if len(levels[name]) > 1] if factors is None else as_names(factors)
    for name in names:
        if len(levels.get(name, ("", ""))) < 2 or (name in result.state.design.variables and name not in levels):
            raise AllianceError(f"anova: '{name}' is not a factor with two levels or more")
    if not names:
        raise AllianceError("anova: the formula has no factors; use compare() or the p-values of the terms")
    require_columns(result.state.design.variables, names, "anova")
    names = [name for name in result.state.design.variables if name in names]  # the order of the cells
    cells, means = cell_weights(result, names, at, "equal")
    subsets = chain.from_iterable(combinations(names, k) for k in range(1, len(names) + 1))
    tests = [joint_test(result, _effect(cells, subset) @ means, ":".join(subset)) for subset in subsets
             if _is_modelled(result, subset)]  # fmt: skip
    if not tests:
        raise AllianceError(f"anova: the formula has no term of {', '.join(names)} alone")
    frame = pd.DataFrame(tests)
    explained = frame["df_num"] * frame["statistic"]
    return frame.assign(partial_eta_squared=explained / (explained + frame["df"]))


def non_inferiority(
    contrasts: pd.DataFrame, *, margin: float | None = None, higher_is_better: bool = True, alpha: float = 0.025
) -> pd.DataFrame:
    """Whether differences (new − reference) are no worse than a margin, one-sided at ``alpha``.

    Adds ``limit`` (the end of the 1 − 2·alpha interval on the worse side) and ``smallest_margin``, the smallest margin at
    which non-inferiority would be concluded (0 where the difference is favourable throughout); with a ``margin`` > 0 in the
    outcome's units also ``p_non_inferiority`` and ``verdict``. The margin belongs into the protocol: one chosen after the
    data proves nothing. Source: Piaggio et al. 2012, doi 10.1001/jama.2012.87802.
    """
    from alliance_stats.numerics.distributions import t_quantile

    if margin is not None and margin <= 0:
        raise AllianceError(f"margin is {margin}; give a positive number in the units of the outcome")
    sign = 1.0 if higher_is_better else -1.0
    gain, se, df = sign * contrasts["estimate"], contrasts["std_error"], contrasts["df"].to_numpy()
    limit = gain - t_quantile(1 - alpha, df) * se
    frame = contrasts[["term", "estimate", "std_error", "df"]].assign(
        limit=sign * limit, smallest_margin=np.maximum(-limit, 0.0)
    )
    if margin is None:
        return frame
    p = t_tail((gain + margin) / se, df)
    verdict = np.where(p < alpha, "non-inferior", "not shown")
    return frame.assign(margin=margin, p_non_inferiority=p, verdict=verdict)


def _of_coefficients(result: Result, weights: Weights) -> tuple[list[str], np.ndarray]:
    if isinstance(weights, str):
        raise AllianceError(f"contrast: weights={weights!r} needs by=, the factor whose levels are compared")
    terms = list(result.state.design.terms)
    L = np.zeros((len(weights), len(terms)))
    for row, chosen in zip(L, weights.values(), strict=True):
        for term, weight in chosen.items():
            if term not in terms:
                raise AllianceError(f"contrast: no coefficient {term!r}; coefficients: {', '.join(terms)}")
            row[terms.index(term)] = weight
    return list(weights), L


def _of_cells(cells: Sequence[tuple[Any, ...]], names: Sequence[str], weights: Weights) -> tuple[list[str], np.ndarray]:
    identity = np.eye(len(cells))
    if weights == "pairwise":
        pairs = [(i, j) for j, i in combinations(range(len(cells)), 2)]
    elif weights == "reference":
        pairs = [(i, 0) for i in range(1, len(cells))]
    elif isinstance(weights, str):
        raise AllianceError(f"contrast: weights is {weights!r}; use 'pairwise', 'reference' or a mapping")
    else:
        return list(weights), np.array([_cell_row(cells, names, chosen) for chosen in weights.values()])
    return [f"{names[i]} − {names[j]}" for i, j in pairs], np.array([identity[i] - identity[j] for i, j in pairs])


def _cell_row(cells: Sequence[tuple[Any, ...]], names: Sequence[str], chosen: Mapping[Any, float]) -> np.ndarray:
    row = np.zeros(len(cells))
    for cell, weight in chosen.items():
        key = cell if isinstance(cell, tuple) else (cell,)
        if key not in cells:
            raise AllianceError(f"contrast: no cell {cell!r}; cells: {'; '.join(names)}")
        row[cells.index(key)] = weight
    return row


def _effect(cells: pd.DataFrame, subset: Sequence[str]) -> np.ndarray:
    """Rows of contrasts on the cells for one main effect or interaction: differences in the subset, averages elsewhere."""
    matrix = np.ones((1, 1))
    for name in cells.columns:
        k = cells[name].nunique()
        part = np.eye(k)[1:] - np.eye(k)[:1] if name in subset else np.full((1, k), 1 / k)
        matrix = np.kron(matrix, part)
    return matrix


def _is_modelled(result: Result, subset: Sequence[str]) -> bool:
    """An interaction is tested only where the design has one; printed cell means have them all."""
    design = result.state.design
    if not hasattr(design, "slices"):
        return True
    wanted = set(subset)
    return any(wanted <= {_plain(part) for part in term.split(":")} for term in design.slices)


def _plain(part: str) -> str:
    """The variable in a term such as ``C(arm, Sum)``."""
    return (part[2:].split(",")[0].rstrip(")").strip() if part.startswith("C(") else part).strip("`")


def wald_test(result: Result, terms: Sequence[str]) -> pd.DataFrame:
    """Joint test that all coefficients of the named terms of the formula are zero, one row a term.

    The F test with the covariance of the result; ``anova``'s columns without the effect size.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3, 2, 2], "arm": ["a", "a", "b", "b", "c", "c"]})
    >>> wald_test(LinearModel("pain ~ arm").fit(data), ["arm"])[["term", "df_num", "df"]].to_dict("records")
    [{'term': 'arm', 'df_num': 2.0, 'df': 3.0}]
    """
    slices = getattr(result.state.design, "slices", {})
    unknown = [term for term in terms if term not in slices]
    if unknown:
        raise AllianceError(f"wald_test: no term {unknown[0]!r}; terms: {', '.join(slices)}")
    identity = np.eye(len(result.state.design.terms))
    return pd.DataFrame([joint_test(result, identity[slices[term]], term) for term in terms])
