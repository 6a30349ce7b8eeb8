"""Nested models compared, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.compare import Test, compare
from alliance_stats.render.numbers import fixed, whole
from alliance_stats.result import Result
from alliance_stats.tables.model_notes import estimation
from alliance_stats.tables.save import finished
from alliance_stats.tables.styles import Style, StyleName, style_named, unmarked
from alliance_stats.tables.value import Format, Table


def comparison_table(
    *results: Result, names: Sequence[str] = (), test: Test | None = None, refit: bool = True, to: Format | None = None,
    style: StyleName = "apa", title: str = "Comparison of models", number: int | None = 1,
) -> Any:  # fmt: skip
    """Nested models from the smallest to the largest, each tested against the one above it.

    Parameters
    ----------
    results : two fitted models or more; each is a special case of the next.
    names : what the rows are called, by default the formulas.
    test, refit : as for ``compare``, whose numbers these are.
    to, style, title, number : as for ``table``.

    Columns: n, number of parameters or residual degrees of freedom, log-likelihood, AIC, BIC, and χ² (or F), its degrees of
    freedom and p. Fits by REML are compared by ML, unless ``refit=False``; then the log-likelihood is the restricted one. A
    variance on the boundary is tested with the mixture that the note names.

    Raises AllianceError as ``compare`` does.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], "x": [1.0, 2, 3, 4, 5], "z": [0.0, 1, 0, 1, 1]})
    >>> made = comparison_table(*(LinearModel(f"y ~ {right}").fit(data) for right in ("x", "x + z")), names=("A", "B"))
    >>> made.body[["", "F", "df", "p"]].to_numpy().tolist()
    [['A', '', '', ''], ['B', '0.84', '1, 2', '.456']]
    """
    house = style_named(style)
    if len(results) < 2:
        raise AllianceError(f"comparison_table: needs two fitted models or more; found {len(results)}")
    if names and (isinstance(names, str) or len(names) != len(results)):
        raise AllianceError(f"comparison_table: {len(results)} models need as many names; found {names!r}")
    found = compare(*results, test=test, refit=refit)
    by_f = bool(found["df"].notna().any())
    statistic = "F" if by_f else "χ²"
    size = "n_parameters" if "n_parameters" in found else "df_residual"
    labels = [unmarked(name) for name in (names or found["model"])]
    rows = [_row(label, row, size, by_f, house) for label, (_, row) in zip(labels, found.iterrows(), strict=True)]
    keys = ["", "n", size, "log_likelihood", "aic", "bic", statistic, "df", "p"]
    heads = [
        "Model", house.symbol("n"), "Parameters" if size == "n_parameters" else f"Residual {house.symbol('df')}",
        "Log-likelihood", "AIC", "BIC", house.symbol(statistic), house.symbol("df"), house.symbol("p"),
    ]  # fmt: skip
    cells = pd.DataFrame(rows, columns=pd.Index(keys), dtype=object)
    made = Table(
        cells, tuple(heads), notes=_notes(found, house, by_f), title=unmarked(title), number=number, style=style
    )
    return finished(made, to)


def _row(label: str, row: Any, size: str, by_f: bool, style: Style) -> list[str]:
    facts = [whole(row["n_obs"]), whole(row[size]), fixed(-row["deviance"] / 2), fixed(row["aic"]), fixed(row["bic"])]
    if pd.isna(row["df_num"]):
        return [label, *facts, "", "", ""]
    df = f"{whole(row['df_num'])}, {whole(row['df'])}" if by_f else whole(row["df_num"])
    return [label, *facts, fixed(row["statistic"]), df, style.p_text(row["p_value"])]


def _notes(found: pd.DataFrame, style: Style, by_f: bool) -> tuple[str, ...]:
    short = {"AIC": "Akaike information criterion", "BIC": "Bayesian information criterion", "df": "degrees of freedom"}
    notes = [style.abbreviations(short), "Each model is tested against the one above it."]
    if "method" in found:
        methods = " and ".join(map(estimation, dict.fromkeys(found["method"])))
        notes.append(f"Likelihood ratio tests of fits by {methods}.")
    elif not by_f:
        notes.append("Likelihood ratio tests.")
    if "reference" in found:
        laws = [f"row {i + 1}: {law}" for i, law in enumerate(found["reference"]) if law]
        notes.append(f"Distribution under the smaller model: {'; '.join(laws)}.")
    return tuple(notes)
