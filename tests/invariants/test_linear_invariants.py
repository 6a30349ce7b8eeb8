"""What may not change a linear model, and what may change it in one way only; for every covariance."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats import (
    LinearModel,
    Result,
    anova,
    compare,
    contrast,
    johnson_neyman,
    marginal_means,
    predict,
    simple_slopes,
)
from alliance_stats.inference.combine import joint_test

VCOV = ("classical", "HC3", "CR1", "CR1S", "CR2")
FORMULA = "pain ~ alliance * arm + baseline"
NUMBERS = ["estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]
ROUNDING = (
    1e-7  # units up to 10⁴ apart and origins up to 10³ cost up to eight of sixteen digits in a product of columns
)
every_vcov = pytest.mark.parametrize("vcov", VCOV)
few = settings(max_examples=5)  # for each of five covariances
seeds = st.integers(0, 20)  # few data sets, so that the fits that are compared with are made once
units = st.sampled_from([-100.0, -1.0, 0.01, 0.5, 3.0, 100.0])
origins = st.floats(-1000, 1000)


@cache
def trial(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    therapist = rng.integers(0, 9, 60)
    frame = pd.DataFrame(
        {
            "therapist": therapist,
            "arm": rng.permutation(np.repeat(["GE", "MCE", "SMT"], 20)),
            "alliance": rng.normal(50, 8, 60),
            "baseline": rng.normal(60, 10, 60),
        }
    )
    noise = rng.normal(size=60) * (1 + (frame["arm"] == "SMT")) + rng.normal(size=9)[therapist]
    return frame.assign(pain=5 - 0.05 * frame["alliance"] + 0.03 * frame["baseline"] + noise)


def model(vcov: Any, formula: str = FORMULA) -> LinearModel:
    return LinearModel(formula, vcov=vcov, cluster="therapist" if vcov.startswith("CR") else None)


@cache
def fitted(vcov: str, seed: int, formula: str = FORMULA) -> Result:
    return model(vcov, formula).fit(trial(seed))


def close(one: Any, other: Any, scale: Any = 0.0) -> None:
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    bound = ROUNDING * np.maximum(np.maximum(np.abs(other), np.asarray(scale, dtype=float)), 1e-300)
    assert (np.abs(one - other) <= bound).all(), (one, other)


def same_rows(one: pd.DataFrame, other: pd.DataFrame, by: float = 1.0, where: Any = slice(None)) -> None:
    """Rows agree, estimates being ``by`` times those of the other; a negative unit swaps the limits."""
    one, other = one.iloc[where], other.iloc[where]
    se = other["std_error"].to_numpy() * abs(by)
    close(one["estimate"], by * other["estimate"], se)
    close(one["std_error"], se)
    close(one["statistic"], np.sign(by) * other["statistic"], 1.0)
    close(one["df"], other["df"])
    close(one["p_value"], other["p_value"])
    limits = ["conf_low", "conf_high"] if by > 0 else ["conf_high", "conf_low"]
    close(one["conf_low"], by * other[limits[0]], se)
    close(one["conf_high"], by * other[limits[1]], se)


@every_vcov
@few
@given(seeds, st.randoms(use_true_random=False))
def test_order_of_rows(vcov: str, seed: int, random: Any) -> None:
    data, expected = trial(seed), fitted(vcov, seed)
    found = model(vcov).fit(data.iloc[random.sample(range(60), 60)])
    same_rows(found.tidy(), expected.tidy())
    close(found.augment()["residual"].sort_index(), expected.augment()["residual"], 1.0)
    close(found.glance()["log_likelihood"], expected.glance()["log_likelihood"])


@every_vcov
@few
@given(seeds, st.permutations(["a", "bb", "C c", "d", "10", "9", "x:y", "(z)", "é"]))
def test_names_of_clusters(vcov: str, seed: int, names: list[str]) -> None:
    found = model(vcov).fit(trial(seed).assign(therapist=lambda d: d["therapist"].map(lambda i: names[i])))
    same_rows(found.tidy(), fitted(vcov, seed).tidy())


@every_vcov
@few
@given(seeds, st.sampled_from([("1", "2", "3"), ("a", "b b", "c:c"), ("Ä", "Ö", "Ü"), ("x", "y", "z")]))
def test_names_of_levels_in_the_same_order(vcov: str, seed: int, names: tuple[str, ...]) -> None:
    new = dict(zip(["GE", "MCE", "SMT"], names, strict=True))
    data = trial(seed).assign(arm=lambda d: d["arm"].map(new))
    for other in (data, data.astype({"arm": "category"}), data.astype({"arm": object})):
        found, expected = model(vcov).fit(other), fitted(vcov, seed)
        same_rows(found.tidy(), expected.tidy())
        terms = expected.tidy()["term"].str.replace(r"\[T\.(\w+)\]", lambda m: f"[T.{new[m[1]]}]", regex=True)
        assert found.tidy()["term"].tolist() == terms.tolist()


@every_vcov
@few
@given(seeds, st.permutations(["GE", "MCE", "SMT"]))
def test_another_reference_level(vcov: str, seed: int, order: list[str]) -> None:
    """Other coefficients, the same model: fit, predictions, means, slopes, tests and contrasts stay."""
    data, expected = trial(seed), fitted(vcov, seed)
    found = model(vcov).fit(data.assign(arm=pd.Categorical(data["arm"], order)))
    close(found.augment()["fitted"], expected.augment()["fitted"])
    close(found.glance()["bic"], expected.glance()["bic"])
    same_rows(
        marginal_means(found, "arm").set_index("arm", drop=False).loc[["GE", "MCE", "SMT"]],
        marginal_means(expected, "arm"),
    )
    at = {"arm": ["GE", "MCE", "SMT"]}
    same_rows(simple_slopes(found, "alliance", at=at), simple_slopes(expected, "alliance", at=at))
    weights = {"others − GE": {"GE": -1, "MCE": 0.5, "SMT": 0.5}}
    same_rows(contrast(found, "arm", weights), contrast(expected, "arm", weights))
    close(anova(found)[["statistic", "df"]], anova(expected)[["statistic", "df"]])
    close(predict(found, data.head(4)), predict(expected, data.head(4)), 1.0)


@every_vcov
@few
@given(seeds, units, origins)
def test_unit_and_origin_of_the_outcome(vcov: str, seed: int, unit: float, origin: float) -> None:
    data, expected = trial(seed), fitted(vcov, seed)
    found = model(vcov).fit(data.assign(pain=unit * data["pain"] + origin))
    scale = expected.tidy()["std_error"] * abs(unit)
    shift = origin * (expected.tidy()["term"] == "Intercept")
    close(found.tidy()["std_error"], scale, abs(origin) * 1e-6)
    close(found.tidy()["estimate"], unit * expected.tidy()["estimate"] + shift, scale + abs(origin) * 1e-6)
    if abs(origin) < 100 * abs(unit):
        same_rows(found.tidy(), expected.tidy(), unit, slice(1, None))
        close(found.glance()["r2_marginal"], expected.glance()["r2_marginal"])


@every_vcov
@few
@given(seeds, units)
def test_unit_of_a_predictor(vcov: str, seed: int, unit: float) -> None:
    data, expected = trial(seed), fitted(vcov, seed)
    found = model(vcov).fit(data.assign(alliance=unit * data["alliance"]))
    slopes = expected.tidy()["term"].str.contains("alliance").to_numpy()
    same_rows(found.tidy(), expected.tidy(), 1 / unit, slopes)
    same_rows(found.tidy(), expected.tidy(), 1.0, ~slopes)
    close(found.glance()["aic"], expected.glance()["aic"])


@every_vcov
@few
@given(seeds, st.floats(-100, 100))
def test_origin_of_a_predictor(vcov: str, seed: int, origin: float) -> None:
    data, expected = trial(seed), fitted(vcov, seed)
    found = model(vcov).fit(data.assign(alliance=data["alliance"] - origin, baseline=data["baseline"] + origin))
    slopes = expected.tidy()["term"].str.contains("alliance|baseline").to_numpy()
    same_rows(found.tidy(), expected.tidy(), 1.0, slopes)
    same_rows(marginal_means(found, "arm"), marginal_means(expected, "arm"))
    joint = [joint_test(fit, np.eye(7)[slopes], "slopes")["statistic"] for fit in (found, expected)]
    close(joint[0], joint[1])


@every_vcov
@few
@given(seeds)
def test_columns_that_add_nothing(vcov: str, seed: int) -> None:
    """Terms that depend on others are left out with a note and change nothing."""
    expected, doubled = fitted(vcov, seed), fitted(vcov, seed, FORMULA + " + I(alliance - 2 * baseline)")
    same_rows(doubled.tidy(), expected.tidy())
    assert len(doubled.notes) == 1
    assert "depends on other terms" in doubled.notes[0]


@every_vcov
@few
@given(seeds, st.integers(1, 20))
def test_incomplete_rows_add_nothing(vcov: str, seed: int, rows: int) -> None:
    data = trial(seed)
    for name in ("pain", "alliance", "arm"):
        holes = data.sample(rows, random_state=seed).assign(**{name: None}).astype({"pain": float, "alliance": float})
        found = model(vcov).fit(pd.concat([data, holes]))
        same_rows(found.tidy(), fitted(vcov, seed).tidy())
        assert found.notes == (f"{rows} of {60 + rows} rows left out for missing values ({name} {rows})",)


@pytest.mark.parametrize("vcov", ["classical", "HC3", "CR2"])
@few
@given(seeds)
def test_one_term_compared_is_its_t_squared(vcov: str, seed: int) -> None:
    large, small = fitted(vcov, seed), fitted(vcov, seed, "pain ~ alliance * arm")
    row = large.tidy().set_index("term").loc["baseline"]
    found = compare(small, large).iloc[1]
    close(found["statistic"], row["statistic"] ** 2)
    close(found["df"], row["df"])
    close(found["p_value"], row["p_value"])


@every_vcov
@few
@given(seeds)
def test_pairs_do_not_depend_on_the_direction(vcov: str, seed: int) -> None:
    fit = fitted(vcov, seed)
    one = contrast(fit, "arm", {"d": {"MCE": 1, "GE": -1}})
    other = contrast(fit, "arm", {"d": {"MCE": -1, "GE": 1}})
    same_rows(one, other, -1.0)


@few
@given(seeds, st.sampled_from([0.8, 0.95, 0.99]))
def test_johnson_neyman_regions_agree_with_the_slopes_inside(seed: int, level: float) -> None:
    fit = LinearModel("pain ~ alliance * baseline", level=level).fit(trial(seed))
    regions = johnson_neyman(fit, "alliance", "baseline")
    assert (regions["significant"].to_numpy()[1:] != regions["significant"].to_numpy()[:-1]).all()
    for row in regions.itertuples():
        inside = np.linspace(row.low, row.high, 9)[1:-1]
        p = simple_slopes(fit, "alliance", at={"baseline": inside})["p_value"]
        assert ((p < 1 - level) == row.significant).all()
    close(regions["share"].sum(), 1.0)
