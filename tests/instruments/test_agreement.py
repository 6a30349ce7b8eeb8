"""Agreement of raters against psych::ICC, theory and edge cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import assert_close, pinned

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.instruments.agreement import rater_agreement
from alliance_stats.models.mixed import MixedModel

EXACT = 1e-11  # mean squares of a few ratings; R and this package differ in the order of sums


def ratings(values: Any) -> pd.DataFrame:
    x = np.asarray(values, dtype=float)
    return pd.DataFrame(x, columns=[f"rater_{j + 1}" for j in range(x.shape[1])])


@pytest.mark.parametrize(("case", "level"), [("shrout", 0.95), ("shrout", 0.9), ("retest", 0.95)])
def test_all_six_are_those_of_psych(case: str, level: float) -> None:
    expected = pinned("reliability", case, f"level_{100 * level:.0f}")
    found = rater_agreement(ratings(pinned("reliability", case, "ratings")), "rater_{}", level=level)
    assert found["coefficient"].tolist() == [row["coefficient"] for row in expected]
    for column in ("estimate", "statistic", "df1", "df2", "p_value", "conf_low", "conf_high"):
        assert_close(found[column], [row[column] for row in expected], EXACT)
    assert set(found["interval"]) == {"F"}


def test_shrout_and_fleiss_as_printed() -> None:
    found = rater_agreement(ratings(pinned("reliability", "shrout", "ratings")), "rater_{}")
    assert found["estimate"].round(2).tolist() == [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]


def test_standard_error_of_measurement() -> None:
    """Of two sittings, from their differences: √(mean d²/2) with the shift, SD(d)/√2 without."""
    x = np.asarray(pinned("reliability", "retest", "ratings"))
    found = rater_agreement(ratings(x), "rater_{}").set_index("coefficient")
    d = x[:, 1] - x[:, 0]
    assert found.loc["ICC1", "sem"] == pytest.approx(np.sqrt((d**2).mean() / 2))
    assert found.loc["ICC3", "sem"] == pytest.approx(d.std(ddof=1) / np.sqrt(2))
    assert found.loc["ICC3", "mdc95"] == pytest.approx(1.959964 * d.std(ddof=1), rel=1e-6)
    assert found.loc["ICC3k", "sem"] == pytest.approx(d.std(ddof=1) / 2)
    assert found.loc["ICC2", "sem"] == pytest.approx(
        np.sqrt(d.var(ddof=1) / 2 + (d.mean() ** 2 - d.var(ddof=1) / 40) / 2)
    )


def test_icc1_is_the_share_of_a_mixed_model() -> None:
    """Balanced data: REML variances are those of the mean squares."""
    from alliance_stats.inference.groups import icc

    frame = ratings(pinned("reliability", "retest", "ratings")).assign(patient=range(40))
    rows = frame.melt("patient", value_name="rating")
    share = icc(MixedModel("rating ~ 1 + (1 | patient)").fit(rows))["icc"][0]
    assert rater_agreement(frame, "rater_{}")["estimate"][0] == pytest.approx(share, rel=1e-6)


def test_intervals_cover_the_truth() -> None:
    """400 samples, ICC2 = .6 and ICC3 = .667 of four raters; bars of three Monte Carlo standard errors."""
    rng, held = np.random.default_rng(4), np.zeros(2)
    for _ in range(400):
        x = rng.normal(0, 1, (30, 1)) * np.sqrt(6) + rng.normal(0, 1, (1, 4)) + rng.normal(0, np.sqrt(3), (30, 4))
        found = rater_agreement(ratings(x), "rater_{}").set_index("coefficient")
        for place, (name, truth) in enumerate((("ICC2", 0.6), ("ICC3", 6 / 9))):
            held[place] += found.loc[name, "conf_low"] <= truth <= found.loc[name, "conf_high"]
    bar = 3 * np.sqrt(0.95 * 0.05 / 400)
    assert abs(held[1] / 400 - 0.95) < bar  # exact
    assert abs(held[0] / 400 - 0.95) < bar  # Satterthwaite's approximation


def test_order_shift_and_unit() -> None:
    frame = ratings(pinned("reliability", "shrout", "ratings"))
    plain = rater_agreement(frame, "rater_{}")
    moved = rater_agreement(10 + 3 * frame.iloc[::-1], ["rater_4", "rater_2", "rater_1", "rater_3"])
    numbers = ["estimate", "statistic", "p_value", "conf_low", "conf_high"]
    np.testing.assert_allclose(moved[numbers], plain[numbers], rtol=1e-12)
    np.testing.assert_allclose(moved["sem"], 3 * plain["sem"], rtol=1e-12)


def test_perfect_consistency_has_no_zero_p_value() -> None:
    found = rater_agreement(ratings([[1, 2], [2, 3], [4, 5], [7, 8]]), "rater_{}").set_index("coefficient")
    assert found.loc["ICC3", "estimate"] == pytest.approx(1, abs=1e-12)
    assert 0.9 < found.loc["ICC2", "estimate"] < 1
    assert (found["p_value"] > 0).all()
    same = rater_agreement(ratings([[1, 1], [2, 2], [4, 4]]), "rater_{}")
    assert same["estimate"].tolist() == [1.0] * 6
    assert same["sem"].tolist() == [0.0] * 6


def test_disagreement_is_negative_and_has_no_mean() -> None:
    found = rater_agreement(ratings([[1, 4], [2, 3], [3, 2], [4, 1]]), "rater_{}").set_index("coefficient")
    assert found.loc["ICC3", "estimate"] == pytest.approx(-1)
    assert found.loc["ICC3k", "estimate"] == -np.inf


def test_rows_with_a_missing_rating_are_counted() -> None:
    frame = ratings(pinned("reliability", "shrout", "ratings"))
    more = pd.concat([frame, pd.DataFrame({"rater_1": [5.0], "rater_2": [np.nan]})], ignore_index=True)
    found = rater_agreement(more, "rater_{}")
    assert found["left_out"].unique().tolist() == [1]
    assert found.attrs["notes"] == ("1 row with a missing rating left out",)
    assert found["estimate"].tolist() == rater_agreement(frame, "rater_{}")["estimate"].tolist()


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ([[1, 2], [2, 2], [3, 1]], {"ratings": ["rater_1"]}, "names 1 column; two or more raters"),
        ([[1, 2], [2, 2]], {}, "2 rows have all 2 ratings; at least 3"),
        ([[3, 3]] * 4, {}, "every rating is 3"),
        ([[1, 2], [2, np.inf], [3, 1]], {}, "a rating is infinite"),
        ([[1, 2], [2, 2], [3, 1]], {"level": 0}, "level is 0"),
        ([[1, 2], [2, 2], [3, 1]], {"ratings": ["rater_1", "rater_3"]}, "no column 'rater_3'"),
    ],
)
def test_errors(frame: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        rater_agreement(ratings(frame), **({"ratings": "rater_{}"} | options))


def test_text_is_refused() -> None:
    with pytest.raises(DataError, match="column 'rater_2' holds text"):
        rater_agreement(ratings([[1, 2], [2, 2], [3, 1]]).assign(rater_2="good"), "rater_{}")
