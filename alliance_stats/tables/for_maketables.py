"""Results for the package maketables, which asks models for a frame of coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from alliance_stats.render.labels import readable
from alliance_stats.render.scales import outcome_of
from alliance_stats.render.sentence import COEFFICIENTS
from alliance_stats.result import Result

COLUMNS = {
    "estimate": "b",
    "std_error": "se",
    "statistic": "t",
    "p_value": "p",
    "conf_low": "ci95l",
    "conf_high": "ci95u",
}
STATISTICS = {
    "N": "n_obs",
    "ll": "log_likelihood",
    "aic": "aic",
    "bic": "bic",
    "r2": "r2_marginal",
    "adj_r2": "r2_adjusted",
}


@dataclass(frozen=True, eq=False)
class ForMaketables:
    """A result as maketables (0.2) reads it: ``maketables.ETable([ForMaketables(fit)])``.

    Its columns ``ci95l`` and ``ci95u`` hold the interval at the level of the model, whatever the name says. maketables marks
    p-values with stars where ``coef_fmt`` says ``b*``; write ``coef_fmt="b:.2f \\n [ci95l:.2f, ci95u:.2f]"`` to have none.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [7.0, 6, 5, 6, 3, 2], "alliance": [10.0, 14, 18, 20, 24, 30]})
    >>> found = ForMaketables(LinearModel("pain ~ alliance").fit(data))
    >>> found.__maketables_coef_table__["b"].round(2).to_dict()
    {'Intercept': 9.77, 'alliance': -0.26}
    """

    result: Result

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        rows = self.result.estimates
        rows = rows[rows["component"].isin((*COEFFICIENTS, "effect"))]
        names = [readable(term) + (f" ({at})" if at else "") for term, at in zip(rows["term"], rows["at"], strict=True)]
        found = rows[list(COLUMNS)].rename(columns=COLUMNS)
        found.index = pd.Index(names, name="Coefficient")
        return found

    def __maketables_stat__(self, key: str) -> Any:
        name = STATISTICS.get(key, key)
        return self.result.statistics[name].iloc[0] if name in self.result.statistics else None

    @property
    def __maketables_depvar__(self) -> str:
        return outcome_of(self.result.model)

    @property
    def __maketables_fixef_string__(self) -> None:
        return None

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        model = self.result.model
        return {"vcov_type": getattr(model, "vcov", "model-based"), "clustervar": getattr(model, "cluster", None)}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return [key for key, name in STATISTICS.items() if name in self.result.statistics]
