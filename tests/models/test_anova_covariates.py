"""Type III tests of every term, covariates included, against lmerTest's and car's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.mixed_pinned import DF, SPREAD
from golden.pinned import EXACT, TAIL, assert_close, data, pinned

from alliance_stats.errors import AllianceError
from alliance_stats.inference.compare import compare
from alliance_stats.inference.contrasts import anova, wald_test
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result

MIXED = pinned("anova_covariates", "mixed")
LINEAR = pinned("anova_covariates", "linear")


def therapy(expected: dict[str, Any]) -> pd.DataFrame:
    rows = data("mixed_therapy").dropna(subset=["outcome", "alliance"])
    return rows[rows["site"] != expected["without_site"]] if expected["without_site"] else rows


def ours(term: str) -> str:
    """``I(week^2)`` → ``I(week ** 2)``."""
    return term.replace("^", " ** ")


def assert_type3(found: pd.DataFrame, expected: list[dict[str, Any]], tolerance: float, df: float, tail: float) -> None:
    names = [ours(row["term"]) for row in expected]
    assert found["term"].tolist() == names
    assert found["df_num"].tolist() == [row["num_df"] for row in expected]
    assert_close(found["df"], [row["den_df"] for row in expected], df)
    assert_close(found["statistic"], [row["statistic"] for row in expected], tolerance, 1.0)
    assert_close(found["p_value"], [row["p_value"] for row in expected], tail)


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("name", sorted(MIXED))
def test_every_term_is_lmertests(name: str, df_method: str) -> None:
    expected = MIXED[name]
    fit = MixedModel(expected["formula"], df_method=df_method).fit(therapy(expected))  # type: ignore[arg-type]
    # p-values far out multiply the error of F, some of them are 1e-40
    assert_type3(anova(fit), expected["type3"][df_method.replace("-", "_")], 2 * SPREAD, DF, 1e-3)


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_every_term_is_cars(name: str) -> None:
    expected = LINEAR[name]
    assert_type3(anova(LinearModel(expected["formula"]).fit(data("trial"))), expected["type3"], EXACT, EXACT, 10 * TAIL)


def trial(formula: str, **changes: Any) -> Result:
    return LinearModel(formula).fit(data("trial").assign(**changes))


NUMBERS = ["df_num", "df", "statistic", "p_value"]


@pytest.mark.parametrize(
    "other",
    [
        "outcome ~ C(arm, Sum) * sex * baseline",
        "outcome ~ C(arm, Helmert) * C(sex, Sum) * baseline",
        "outcome ~ sex * baseline * arm",
        "outcome ~ 0 + arm:sex + arm:sex:baseline",
    ],
)
def test_coding_order_and_parametrisation_do_not_matter(other: str) -> None:
    one, again = anova(trial("outcome ~ arm * sex * baseline")), anova(trial(other))
    assert len(one) == 7
    again = again.assign(term=[frozenset(term.split(":")) for term in again["term"]]).set_index("term")
    for row in one.to_dict("records"):
        found = again.loc[[frozenset(row["term"].split(":"))]].iloc[0]
        assert_close(found[NUMBERS], [row[name] for name in NUMBERS], 1e-9)


def test_factors_are_tested_at_zero_of_the_covariate_or_where_it_is_set() -> None:
    """To set a covariate is to count it from there."""
    plain = trial("outcome ~ arm * sex * baseline + alliance")
    shifted = trial("outcome ~ arm * sex * baseline + alliance", baseline=lambda d: d["baseline"] - 45.0)
    pd.testing.assert_frame_equal(anova(plain, at={"baseline": 45.0}), anova(shifted), rtol=1e-8)
    assert not np.allclose(anova(plain)["statistic"][0], anova(shifted)["statistic"][0], rtol=0.01)
    squared = "outcome ~ arm * (baseline + I(baseline^2))"
    set_at = anova(trial(squared), at={"baseline": 45.0}).set_index("term")
    counted = anova(trial(squared, baseline=lambda d: d["baseline"] - 45.0)).set_index("term")
    assert_close(set_at.loc["arm", "statistic"], counted.loc["arm", "statistic"], 1e-6)


def test_numbers_set_inside_interactions_of_numbers() -> None:
    plain = trial("outcome ~ alliance * baseline")
    shifted = trial("outcome ~ alliance * baseline", baseline=lambda d: d["baseline"] - 45.0)
    found, expected = anova(plain, at={"baseline": 45.0}).set_index("term"), anova(shifted).set_index("term")
    assert_close(found.loc["alliance", "statistic"], expected.loc["alliance", "statistic"], 1e-8)


def test_one_level_of_a_factor() -> None:
    """Women are the reference level, so that their interaction is that of the coefficients."""
    fit = trial("outcome ~ arm * sex * baseline")
    found = anova(fit, at={"sex": "female"}).set_index("term")
    assert list(found.index) == ["arm", "baseline", "arm:baseline"]
    assert_close(found.loc["arm:baseline", "statistic"], wald_test(fit, ["arm:baseline"])["statistic"][0], 1e-9)
    other = anova(
        trial("outcome ~ arm * sex * baseline", sex=lambda d: d["sex"].map({"female": "b", "male": "a"})),
        at={"sex": "b"},
    )
    assert_close(found[NUMBERS], other[NUMBERS], 1e-8)


def test_a_highest_order_term_is_what_the_model_loses_without_it() -> None:
    full = trial("outcome ~ arm * poly(baseline, 3) + sex * alliance")
    found = anova(full).set_index("term")
    for term, without in (("arm:poly(baseline, 3)", "outcome ~ arm + poly(baseline, 3) + sex * alliance"),
                          ("sex:alliance", "outcome ~ arm * poly(baseline, 3) + sex + alliance")):  # fmt: skip
        lost = compare(trial(without), full).iloc[1]
        assert_close(found.loc[term, NUMBERS].astype(float), lost[NUMBERS].astype(float), 1e-8)


def test_a_spline_counts_as_one_term() -> None:
    found = anova(trial("outcome ~ arm * bs(baseline, df=4)")).set_index("term")
    assert found["df_num"].to_dict() == {"arm": 2.0, "bs(baseline, df=4)": 4.0, "arm:bs(baseline, df=4)": 8.0}
    lost = compare(trial("outcome ~ arm + bs(baseline, df=4)"), trial("outcome ~ arm * bs(baseline, df=4)")).iloc[1]
    assert_close(found.loc["arm:bs(baseline, df=4)", "statistic"], lost["statistic"], 1e-8)


def test_terms_that_the_data_cannot_test_are_missing_and_named_when_asked_for() -> None:
    rows = data("mixed_therapy").dropna(subset=["outcome", "alliance"])
    fit = MixedModel("outcome ~ arm * site + week + I(2 * week + 1) + (1 | patient)").fit(rows)
    found = anova(fit).set_index("term")
    tested = found["statistic"].notna()
    assert tested.to_dict() == dict.fromkeys(
        ["arm", "site", "week", "I(2 * week + 1)", "arm:site"], False
    )  # SMT has no site C
    assert anova(MixedModel("outcome ~ arm + site + week + I(2 * week + 1) + (1 | patient)").fit(rows)).set_index(
        "term"
    )["statistic"].notna().to_dict() == {"arm": True, "site": True, "week": False, "I(2 * week + 1)": False}
    with pytest.raises(AllianceError, match="arm"):
        anova(fit, ["arm"])


def test_zero_variances_residual_strata_and_normal_tests() -> None:
    rows = data("mixed_therapy").dropna(subset=["outcome", "alliance"])
    flat = MixedModel("outcome ~ arm * week + (1 | patient) + (0 + arm | therapist)").fit(rows)
    strata = MixedModel("outcome ~ arm * week + (1 | patient)", residual_by="arm").fit(rows)
    normal = MixedModel("outcome ~ arm * week + (1 | patient)", df_method="normal").fit(rows)
    for fit in (flat, strata, normal):
        found = anova(fit)
        assert found["term"].tolist() == ["arm", "week", "arm:week"]
        assert found[["statistic", "p_value"]].notna().all(axis=None)
    assert np.isinf(anova(normal)["df"]).all()


def test_robust_covariances() -> None:
    fit = LinearModel("outcome ~ arm * baseline", vcov="CR2", cluster="therapist").fit(data("trial"))
    found = anova(fit).set_index("term")
    assert_close(
        found.loc["arm:baseline", "statistic"],
        wald_test(fit, [list(fit.state.design.slices)[-1]])["statistic"][0],
        1e-9,
    )


def test_names_with_spaces_and_only_an_intercept() -> None:
    rows = data("trial").rename(columns={"baseline": "pain before"})
    found = anova(LinearModel("outcome ~ arm * `pain before`").fit(rows))
    assert found["term"].tolist() == ["arm", "pain before", "arm:pain before"]
    assert_close(found["statistic"], anova(trial("outcome ~ arm * baseline"))["statistic"], 1e-9)
    with pytest.raises(AllianceError, match="no term beside the intercept"):
        anova(trial("outcome ~ 1"))


@pytest.mark.parametrize(
    ("formula", "at", "message"),
    [
        ("outcome ~ arm * baseline", {"week": 1}, "week"),
        ("outcome ~ arm * baseline", {"arm": "placebo"}, "no level 'placebo'"),
        ("outcome ~ arm * baseline", {"baseline": [40, 50]}, "2 values of 'baseline'"),
        ("outcome ~ arm * I(baseline * alliance)", {"baseline": 40}, "some of the variables"),
        ("outcome ~ arm + sex:I(baseline * (arm == 'MCE'))", None, "'arm' is a factor, and part of the number"),
    ],
)
def test_what_cannot_be_set_is_refused(formula: str, at: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        anova(trial(formula), at=at)
