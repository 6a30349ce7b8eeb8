"""Rows of coefficients and variances of a multilevel mediation, and its one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.models.multilevel_fit import Solved, factors
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.result import glance_frame, tidy_frame

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation


def fixed_rows(model: MultilevelMediation, solved: Solved) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every coefficient of both equations with normal tests, named ``response~term``; and their covariance."""
    terms, beta = list(solved.stack.terms), solved.at.beta
    V = solved.at.inverse * solved.at.sigma2
    se = np.sqrt(np.diag(V))
    half, infinite = t_quantile((1 + model.level) / 2, np.inf) * se, np.full(len(beta), np.inf)
    rows = tidy_frame(
        term=terms, component="fixed", equation=[term.split("~", 1)[0] for term in terms], estimate=beta, std_error=se,
        statistic=beta / se, p_value=t_p_value(beta / se, infinite), conf_low=beta - half, conf_high=beta + half,
        interval="normal",
    )  # fmt: skip
    return rows, pd.DataFrame(V, index=terms, columns=terms)


def random_rows(model: MultilevelMediation, solved: Solved) -> pd.DataFrame:
    """Standard deviations and correlations of the random effects, and the residual one of each equation."""
    rows: list[tuple[str, str, str, str, float]] = []
    for grouping, L in zip(solved.stack.groupings, factors(solved), strict=True):
        psi, level, name = L @ L.T, grouping.level, grouping.name
        sd = np.sqrt(np.diag(psi))
        rows += [
            (f"sd({e})", "random", name, _equation(model, e), float(s))
            for e, s in zip(grouping.effects, sd, strict=True)
        ]
        for i, j in sorted(zip(level.rows.tolist(), level.columns.tolist(), strict=True)):
            if i != j and sd[i] > 0 and sd[j] > 0:
                term = f"cor({grouping.effects[j]},{grouping.effects[i]})"
                rows.append((term, "correlation", name, "", float(np.clip(psi[i, j] / (sd[i] * sd[j]), -1, 1))))
    names = (model.mediator, model.outcome)
    rows += [("sd(residual)", "residual", "", name, float(s)) for name, s in zip(names, solved.sigma, strict=True)]
    names_of = ("term", "component", "group", "equation", "estimate")
    return tidy_frame(**dict(zip(names_of, zip(*rows, strict=True), strict=True)))


def _equation(model: MultilevelMediation, effect: str) -> str:
    return model.mediator if effect in ("a", f"Intercept_{model.mediator}") else model.outcome


def glance_row(model: MultilevelMediation, solved: Solved, n: int, *, singular: bool) -> pd.DataFrame:
    """Sizes and likelihood of the stacked model, of which ``bic`` counts the stacked rows."""
    value, rows = solved.at.value, len(solved.stack.y)
    k = len(solved.at.beta) + len(solved.theta) + 1
    counts = {"n_obs": n} | {f"n_{grouping.name}": len(grouping.labels) for grouping in solved.stack.groupings}
    return glance_frame(
        counts, log_likelihood=-value / 2, criterion=value, deviance=value, aic=value + 2 * k,
        bic=value + float(np.log(rows)) * k, method="REML" if model.reml else "ML", df_method="normal",
        converged=solved.converged, singular=singular,
    )  # fmt: skip
