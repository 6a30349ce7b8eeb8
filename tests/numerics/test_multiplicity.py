"""Adjusted p-values against statsmodels, which does the same more slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats.numerics.multiplicity import METHODS, adjusted_p

THEIRS = {"hochberg": "simes-hochberg", "BH": "fdr_bh", "BY": "fdr_by"}


@pytest.mark.parametrize("method", METHODS[1:])
@given(st.lists(st.floats(1e-12, 1), min_size=2, max_size=9))
@settings(deadline=None, max_examples=40)
def test_statsmodels(method: str, values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.array(values)
    expected = multipletests(p, method=THEIRS.get(method, method))[1]
    assert np.allclose(adjusted_p(p, method), expected, rtol=1e-12, atol=0)


def test_missing_values_do_not_count() -> None:
    p = np.array([0.02, np.nan, 0.04])
    assert np.allclose(adjusted_p(p, "bonferroni"), [0.04, np.nan, 0.08], equal_nan=True)
    assert adjusted_p(np.array([0.3]), "holm").tolist() == [0.3]
