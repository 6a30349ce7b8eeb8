"""MixedModel against lme4, lmerTest and pbkrtest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.mixed_pinned import (
    CRITERION,
    DF,
    FILES,
    SPREAD,
    Fit,
    fits,
    fixed,
    keys,
    matrix,
    name_of,
    pinned_random,
    random,
    refitted,
    type3_contrasts,
)
from golden.pinned import assert_close, pinned

from alliance_stats import Result, anova
from alliance_stats.inference.combine import joint_test
from alliance_stats.inference.groups import random_effects

ALL = fits(*FILES)
REML = [fit for fit in ALL if pinned(*fit)["kenward_roger"] is not None]
TYPE3 = [fit for fit in ALL if pinned(*fit)["type3"] is not None]
TYPE3_KR = [fit for fit in TYPE3 if pinned(*fit)["type3"]["kenward_roger"] is not None]
WITH_R2 = [fit for fit in ALL if pinned(*fit)["r2"] is not None]
every_fit = pytest.mark.parametrize("fit", ALL, ids=name_of)


def test_no_fit_is_missing() -> None:
    by_file = [sum(fit[0] == file for fit in ALL) for file in FILES]
    assert by_file == [16, 20, 22, 4]
    assert (len(REML), len(TYPE3), len(TYPE3_KR), len(WITH_R2)) == (36, 31, 17, 59)


@every_fit
def test_criterion(fit: Fit) -> None:
    expected, found = pinned(*fit), refitted(fit).glance().iloc[0]
    assert abs(found["criterion"] - expected["criterion"]) < CRITERION
    assert abs(found["log_likelihood"] - expected["log_likelihood"]) < CRITERION
    assert abs(found["aic"] - expected["aic"]) < CRITERION
    assert abs(found["bic"] - expected["bic"]) < CRITERION
    assert_close(found["sigma"], expected["sigma"], SPREAD)
    assert found["singular"] == expected["singular"]
    assert found["n_obs"] == expected["n_obs"]


@every_fit
def test_sizes_and_losses(fit: Fit) -> None:
    expected, result = pinned(*fit), refitted(fit)
    found = result.glance().iloc[0]
    groups = {frozenset(name.split(":")): n for name, n in expected["groups"].items()}
    assert {frozenset(g.name.split(":")): len(g.groups) for g in result.state.groupings} == groups
    assert [found[f"n_{g.name.replace(':', '_')}"] for g in result.state.groupings] == [
        groups[frozenset(g.name.split(":"))] for g in result.state.groupings
    ]
    lost = [note for note in result.notes if "rows left out" in note]
    assert len(lost) == (expected["n_dropped"] > 0)
    assert all(note.startswith(f"{expected['n_dropped']} of ") for note in lost)
    dropped = [note.split("'")[1] for note in result.notes if "depends on other terms" in note]
    assert keys(fit, dropped) == keys(fit, expected["dropped_terms"])
    assert any("boundary" in note for note in result.notes) == expected["singular"]


@every_fit
def test_fixed_coefficients(fit: Fit) -> None:
    ours, theirs = fixed(fit, refitted(fit), pinned(*fit)["fixed"])
    assert_close(ours["estimate"], theirs["estimate"], SPREAD, theirs["std_error"])
    assert_close(ours["std_error"], theirs["std_error"], SPREAD)
    assert_close(ours["df"], theirs["df"], DF)
    assert_close(ours["statistic"], theirs["statistic"], SPREAD, 1.0)
    # p-values multiply the error of the statistic by about t², which is 8,000 at the most.
    assert_close(np.log(ours["p_value"]), np.log(theirs["p_value"]), DF, 1.0)


@every_fit
def test_covariance(fit: Fit) -> None:
    ours, theirs = matrix(fit, refitted(fit).covariance, pinned(*fit)["vcov"])
    assert_close(ours, theirs, 2 * SPREAD, np.sqrt(np.outer(np.diag(theirs), np.diag(theirs))))


@every_fit
def test_random_rows(fit: Fit) -> None:
    ours, theirs = random(fit, refitted(fit).tidy().query("component != 'fixed'")), pinned_random(fit)
    assert set(ours) == set(theirs)
    sigma = refitted(fit).state.sigma  # a variance of zero is one of 1e-21 in lme4
    scale = [1.0 if where and len(where[1]) == 2 else 1e-3 * sigma for where in theirs]
    assert_close([ours[where] for where in theirs], list(theirs.values()), SPREAD, scale)


@pytest.mark.parametrize("fit", REML, ids=name_of)
def test_kenward_roger(fit: Fit) -> None:
    expected, result = pinned(*fit), refitted(fit, "kenward-roger")
    ours, theirs = fixed(fit, result, expected["kenward_roger"])
    assert_close(ours["std_error"], theirs["std_error"], SPREAD)
    assert_close(ours["df"], theirs["df"], DF)
    assert_close(ours["statistic"], theirs["statistic"], SPREAD, 1.0)
    a, b = matrix(fit, result.covariance, expected["kenward_roger_vcov"])
    assert_close(a, b, 2 * SPREAD, np.sqrt(np.outer(np.diag(b), np.diag(b))))


@pytest.mark.parametrize("fit", TYPE3, ids=name_of)
def test_type_3_satterthwaite(fit: Fit) -> None:
    assert_type3(fit, "satterthwaite")


@pytest.mark.parametrize("fit", TYPE3_KR, ids=name_of)
def test_type_3_kenward_roger(fit: Fit) -> None:
    assert_type3(fit, "kenward-roger")


def assert_type3(fit: Fit, df_method: str) -> None:
    """Tests by ``anova`` at covariates of zero, and by the contrasts it rests on."""
    result, levels = refitted(fit, df_method), pinned(*fit)["levels"]
    covariates = [name for name in result.state.design.variables if name not in levels]
    by_factor = anova(result, at=dict.fromkeys(covariates, 0.0)).set_index("term")
    tested = []
    for row in pinned(*fit)["type3"][df_method.replace("-", "_")]:
        found = joint_test(result, type3_contrasts(fit, result, row["term"]), row["term"])
        if row["term"] in by_factor.index:
            tested.append(row["term"])
            found = by_factor.loc[row["term"]].to_dict()
        assert found["df_num"] == row["num_df"]
        assert_close(found["df"], row["den_df"], DF)
        assert_close(found["statistic"], row["statistic"], 2 * SPREAD, 1.0)
        assert_close(found["p_value"], row["p_value"], 1e-3)
    assert tested == list(by_factor.index)


@every_fit
def test_conditional_modes(fit: Fit) -> None:
    theirs = pd.DataFrame(pinned(*fit)["ranef"])
    result = refitted(fit)
    ours = {(g, at, name): row for g, at, name, row in _named(fit, result)}
    scale = refitted(fit).state.sigma
    for row in theirs.itertuples():
        group = next(name for name in {g for g, _, _ in ours} if set(name.split(":")) == set(row.group.split(":")))
        level = dict(zip(row.group.split(":"), row.level.split(":"), strict=True))
        found = ours[group, ":".join(level[part] for part in group.split(":")), keys(fit, [row.term])[0]]
        assert_close(found.estimate, row.estimate, SPREAD, scale)
        assert_close(found.std_error, row.std_error, SPREAD, scale)


def _named(fit: Fit, result: Result) -> Iterator[tuple[str, str, frozenset[str], Any]]:
    for row in random_effects(result).itertuples():
        yield row.group, row.at, keys(fit, [row.term])[0], row


@every_fit
def test_fitted_population_and_residual(fit: Fit) -> None:
    expected, rows = pinned(*fit), refitted(fit).augment().head(10)
    scale = expected["sigma"]
    assert_close(rows["fitted"], expected["fitted"], SPREAD, scale)
    assert_close(rows["fitted_population"], expected["population"], SPREAD, scale)
    assert_close(rows["residual"], expected["residual"], SPREAD, scale)


@pytest.mark.parametrize("fit", WITH_R2, ids=name_of)
def test_r2_and_icc(fit: Fit) -> None:
    expected, found = pinned(*fit), refitted(fit).glance().iloc[0]
    assert_close(found["r2_marginal"], expected["r2"]["marginal"], 2 * SPREAD, 1.0)
    assert_close(found["r2_conditional"], expected["r2"]["conditional"], 2 * SPREAD)
    assert_close(found["icc"], sum(row["share"] for row in expected["icc"]), 2 * SPREAD, 0.1)
