"""Probability of no event in a Cox model, with what carries its errors from one row, or time, to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_curves import rows_of, running, stratum_number
from alliance_stats.models.cox_state import CoxState, centre
from alliance_stats.result import Result


def staying(
    result: Result, new: pd.DataFrame, times: Sequence[float], *, after: float, stratum: str | None, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """S(t) of each new row given that it was there at ``after``, shape (rows, times), and its root, (rows, times, 1 + p).

    The covariance of two of these numbers at one time is the product of their roots: one column for the baseline, p for the
    coefficients (Tsiatis 1981, doi 10.1214/aos/1176345463). Raises AllianceError for frailty fits, whose therapists are not in
    that covariance, DataError for times beyond the data and missing predictors.
    """
    state: CoxState = result.state
    if not isinstance(result.model, CoxModel) or state.log_frailties is not None:
        raise AllianceError(
            f"{where}: takes a CoxModel without frailty; for effects of therapists fit a DiscreteTimeModel with "
            "(1 | therapist), or a CoxModel with cluster="
        )
    base, at = state.baseline, np.asarray(times, dtype=float)
    if (at > base.last).any():
        raise DataError(f"{where}: session {at.max():g} lies beyond the last time of the data, {base.last:g}")
    away = rows_of(result, new) - centre(state)
    if np.isnan(away).any():
        raise DataError(f"{where}: some rows of new miss a predictor, or rest on terms the data cannot tell apart")
    mine = base.strata == stratum_number(state, stratum)
    assert base.variance is not None
    assert base.means is not None
    first = np.searchsorted(base.times[mine], after, side="right")
    upto = np.searchsorted(base.times[mine], at, side="right")
    hazard, spread, means = (
        running(part[mine])[upto] - running(part[mine])[first] for part in (base.hazard, base.variance, base.means)
    )
    scale = np.exp(away @ state.coefficients)[:, None]
    survival = np.exp(-scale * hazard)
    q = (means - away[:, None, :] * hazard[:, None]) @ np.linalg.cholesky(result.covariance.to_numpy())
    shared = np.broadcast_to(np.sqrt(spread)[:, None], (len(new), len(at), 1))
    return survival, (scale * survival)[:, :, None] * np.concatenate([shared, q], axis=2)
