"""Effects of a mediation with their intervals, each explained in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import one_column
from alliance_stats.render.forest import forest
from alliance_stats.render.style import checked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["effects", "worlds", "parts"]
MEANING: Mapping[str, str] = {
    "indirect": "Indirect: through the mediator",
    "direct": "Direct: not through the mediator",
    "total": "Total",
    "acme_control": "Indirect, had all been controls (ACME control)",
    "acme_treated": "Indirect, had all been treated (ACME treated)",
    "ade_control": "Direct, mediator as in controls (ADE control)",
    "ade_treated": "Direct, mediator as in treated (ADE treated)",
    "cde": "Direct, mediator held fixed (CDE)",
    "intref": "Interaction alone (INTref)",
    "intmed": "Interaction and mediation (INTmed)",
    "pie": "Mediation alone (PIE)",
    "excess_cde": "Direct, mediator held fixed (excess of CDE)",
    "proportion_mediated": "Proportion mediated",
}
CHOSEN: Mapping[Kind, tuple[str, ...]] = {
    "effects": ("indirect", "direct", "total"),
    "worlds": ("acme_control", "acme_treated", "ade_control", "ade_treated", "total"),
    "parts": ("cde", "intref", "intmed", "pie", "total"),
}


def effect_forest(
    estimates: pd.DataFrame, *, kind: Kind = "effects", ax: Axes | None = None, labels: Mapping[str, str] | None = None,
    reference: float = 0.0, xlabel: str | None = None, width: float | None = None,
) -> Axes:  # fmt: skip
    """Effects of a mediation with their intervals, each named in words.

    Parameters
    ----------
    estimates : tidy rows of a Mediation or of interventional effects.
    kind : ``"effects"``: indirect (each path where there are several, each moderator value), direct, total; ``"worlds"``: both
        indirect and both direct effects; ``"parts"``: the four parts of VanderWeele 2014.
    labels : other names, by term.
    reference : 0, or 1 for ratios.

    Raises DataError where the frame holds none of them.

    >>> rows = pd.DataFrame({"term": ["indirect", "direct", "total"], "component": "effect", "estimate": [-0.2, -0.1, -0.3],
    ...                      "conf_low": [-0.4, -0.3, -0.6], "conf_high": [-0.1, 0.1, 0.0]})
    >>> ax = effect_forest(rows, xlabel="Pain (points)")
    >>> [label.get_text().split(":")[0] for label in ax.get_yticklabels()]
    ['Indirect', 'Direct', 'Total']
    """
    rows, names = effect_rows(estimates, kind, labels)
    across = one_column() if width is None else width
    return forest(rows, ax=ax, labels=names, reference=reference, xlabel=xlabel or "effect", width=across)


def effect_rows(
    estimates: pd.DataFrame, kind: Kind = "effects", labels: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows that ``effect_forest`` draws, in their order, and what each term is called; differences of effects are left out.

    >>> rows = pd.DataFrame({"term": ["a", "total"], "component": ["path", "effect"], "estimate": 1.0, "conf_low": 0,
    ...                      "conf_high": 2})
    >>> effect_rows(rows)[0]["term"].tolist()
    ['total']
    """
    checked(estimates, "effect_forest", needed=["term", "component"], numeric=["estimate", "conf_low", "conf_high"])
    if kind not in CHOSEN:
        raise DataError(f"effect_forest: kind is {kind!r}; use one of {', '.join(CHOSEN)}")
    terms = estimates["term"].astype(str)
    wanted = terms.isin(CHOSEN[kind])
    if kind == "effects":
        wanted |= terms.str.startswith(("indirect(", "indirect, ", "direct, ")) & ~terms.str.contains(
            r"\)-", regex=True
        )
    rows = estimates[wanted & (estimates["component"] == "effect")]
    if "at" in rows:
        rows = rows[~rows["at"].str.contains(") - (", regex=False)]
    if rows.empty:
        raise DataError(f"effect_forest: no rows of kind={kind!r}; terms: {', '.join(terms.unique())}")
    if kind != "effects":
        order = {term: k for k, term in enumerate(CHOSEN[kind])}
        rows = rows.sort_values("term", key=lambda term: term.map(order), kind="stable")
    return rows, _called(rows["term"].astype(str), labels or {})


def _called(terms: pd.Series[str], labels: Mapping[str, str]) -> dict[str, str]:
    """Names of the effects: in words, paths by their mediators, and those that the caller wants otherwise."""
    paths = {term: _path_label(term) for term in terms if term.startswith("indirect(")}
    several = {"indirect": "Indirect: through the mediators together", "direct": "Direct: through none of them"}
    return {**MEANING, **(several if paths else {}), **paths, **labels}


def _path_label(term: str) -> str:
    inside = term.removeprefix("indirect(").removesuffix(")").replace("_", " ")
    return f"Indirect: through {inside.replace('>', ', then ')}"
