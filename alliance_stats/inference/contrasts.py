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
from alliance_stats.inference.type_three import Hypothesis, effect_rows, hypotheses
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
    _require_one_equation(result, "marginal_means")
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
    _require_one_equation(result, "contrast")
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
    """Type III tests of every term: factors, numbers, and their interactions.

    Columns: ``term df_num df statistic p_value partial_eta_squared``, df being the denominator's: the model's own, so
    Satterthwaite's or Kenward and Roger's for a mixed model. With cluster-robust covariances the tests are Wald tests in F
    form.

    A factor is tested by the means of its levels, a number by its slope, an interaction by the differences of these, every
    cell of the other factors having the same weight; coding does not matter. In ``arm * week`` the test of ``week`` is of the
    mean of the slopes in the arms, and that of ``arm`` of the differences at week zero, as in lmerTest, car (with sum
    contrasts), SAS and SPSS: centre numbers, or set them with ``at={"week": 4}``. ``at={"sex": "female"}`` looks at one level
    of a factor.

    ``factors`` restricts the tests to these factors and the interactions among them. A term that the data cannot test, such as
    one that was left out of the fit, has missing numbers; asked for by ``factors`` it raises AllianceError.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3, 2, 2], "arm": ["a", "a", "b", "b", "c", "c"], "age": [3, 5, 4, 6, 5, 8]})
    >>> anova(LinearModel("pain ~ arm + age").fit(data))[["term", "df_num", "df", "statistic"]].round(2).to_dict("records")[0]
    {'term': 'arm', 'df_num': 2.0, 'df': 2.0, 'statistic': 9.7}
    """
    _require_one_equation(result, "anova")
    names = None if factors is None else _factors_of(result, as_names(factors))
    if hasattr(result.state.design, "slices"):
        wanted = [each for each in hypotheses(result, at) if names is None or _is_among(each, names)]
        tests = [_tested(result, each.rows, each.name, strict=names is not None) for each in wanted]
    else:
        tests = _of_printed_cells(result, names, at)
    if not tests:
        of = "beside the intercept" if names is None else f"of {', '.join(names)} alone"
        raise AllianceError(f"anova: the formula has no term {of}")
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


def _require_one_equation(result: Result, where: str) -> None:
    """AllianceError for a mediation, whose coefficients belong to several regressions."""
    equations = getattr(result.state, "equations", ())
    if equations:
        names = ", ".join(f"'{equation.response}'" for equation in equations)
        raise AllianceError(
            f"{where}: a {type(result.model).__name__} has several equations ({names}); its effects and paths are in tidy(), "
            "for one equation alone fit it as a LinearModel"
        )


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


def _factors_of(result: Result, names: list[str]) -> list[str]:
    """The named factors in the order of the formula; AllianceError for what is no factor with two levels or more."""
    levels, variables = result.state.design.levels, result.state.design.variables
    for name in names:
        if len(levels.get(name, ("", ""))) < 2 or (name in variables and name not in levels):
            raise AllianceError(f"anova: '{name}' is not a factor with two levels or more")
    require_columns(variables, names, "anova")
    return [name for name in variables if name in names]


def _is_among(hypothesis: Hypothesis, names: Sequence[str]) -> bool:
    return not hypothesis.numbers and hypothesis.factors <= set(names)


def _tested(result: Result, rows: np.ndarray, name: str, *, strict: bool) -> dict[str, float | str]:
    try:
        return joint_test(result, rows, name)
    except AllianceError:
        if strict:
            raise
        return {"term": name, "df_num": np.nan, "df": np.nan, "statistic": np.nan, "p_value": np.nan}


def _of_printed_cells(result: Result, names: list[str] | None, at: At | None) -> list[dict[str, float | str]]:
    """Tests of cell means, which have every interaction of their factors."""
    levels = result.state.design.levels
    names = [name for name in result.state.design.variables if len(levels[name]) > 1] if names is None else names
    cells, means = cell_weights(result, names, at, "equal")
    subsets = chain.from_iterable(combinations(names, k) for k in range(1, len(names) + 1))
    return [joint_test(result, effect_rows(cells, subset) @ means, ":".join(subset)) for subset in subsets]


def wald_test(result: Result, terms: Sequence[str]) -> pd.DataFrame:
    """Joint test that all coefficients of the named terms of the formula are zero, one row a term.

    The F test with the covariance of the result; ``anova``'s columns without the effect size.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3, 2, 2], "arm": ["a", "a", "b", "b", "c", "c"]})
    >>> wald_test(LinearModel("pain ~ arm").fit(data), ["arm"])[["term", "df_num", "df"]].to_dict("records")
    [{'term': 'arm', 'df_num': 2.0, 'df': 3.0}]
    """
    _require_one_equation(result, "wald_test")
    slices = getattr(result.state.design, "slices", {})
    unknown = [term for term in terms if term not in slices]
    if unknown:
        raise AllianceError(f"wald_test: no term {unknown[0]!r}; terms: {', '.join(slices)}")
    identity = np.eye(len(result.state.design.terms))
    return pd.DataFrame([joint_test(result, identity[slices[term]], term) for term in terms])
