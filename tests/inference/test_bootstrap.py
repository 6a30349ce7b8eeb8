"""Bootstrap of mixed models: reproducible draws, known standard errors, resamples that fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats.errors import AllianceError
from alliance_stats.inference import bootstrap as module
from alliance_stats.inference.bootstrap import bootstrap, draws_p_value
from alliance_stats.inference.groups import icc
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result, estimate_row

FORMULA = "outcome ~ week + (1 | patient) + (1 | therapist)"


@pytest.fixture(scope="module")
def nested() -> Result:
    return MixedModel(FORMULA).fit(data("mixed_therapy"))


@pytest.fixture(scope="module")
def sleep() -> Result:
    return MixedModel("Reaction ~ Days + (Days | Subject)").fit(data("mixed_sleepstudy"))


@pytest.mark.parametrize("kind", ["parametric", "cluster"])
def test_standard_errors_are_near_those_of_the_model(sleep: Result, kind: str) -> None:
    """Balanced data: both estimate the same; the cluster bootstrap of 18 subjects is smaller by √(17/18)."""
    found = bootstrap(sleep, draws=300, kind=kind, progress=False).tidy()  # type: ignore[arg-type]
    fixed = found[found["component"] == "fixed"]
    model = sleep.tidy()[:2]
    shrunk = np.sqrt(17 / 18) if kind == "cluster" else 1.0
    # an SD from 300 draws has a relative error of 4.1 %; three of them
    assert fixed["std_error"].to_numpy() == pytest.approx(model["std_error"].to_numpy() * shrunk, rel=0.125)
    assert fixed["estimate"].to_numpy() == pytest.approx(model["estimate"].to_numpy(), rel=1e-8)
    assert fixed["p_value"].tolist() == [2 / 301, 2 / 301]


def test_rows_draws_and_notes(nested: Result) -> None:
    again = bootstrap(nested, draws=20, progress=False)
    assert isinstance(again.draws, pd.DataFrame)
    assert again.draws.shape == (20, 5)
    assert list(again.draws) == [
        "Intercept",
        "week",
        "sd(Intercept)|patient",
        "sd(Intercept)|therapist",
        "sd(residual)",
    ]
    rows = again.tidy()
    assert set(rows["interval"]) == {"percentile"}
    assert rows["p_value"].notna().tolist() == [True, True, False, False, False]
    assert rows[["statistic", "df"]].isna().all(axis=None)
    for row, column in zip(rows.itertuples(), again.draws.to_numpy().T, strict=True):
        assert (row.std_error, row.conf_low) == pytest.approx(
            (column.std(ddof=1), np.quantile(column, 0.025)), rel=1e-12
        )
    assert again.notes[-1] == "parametric bootstrap with 20 resamples"
    narrow = bootstrap(nested, draws=20, progress=False, level=0.5).tidy()
    assert (narrow["conf_low"] > rows["conf_low"]).all()


@pytest.mark.parametrize("kind", ["parametric", "cluster"])
def test_same_seed_same_draws(nested: Result, kind: str) -> None:
    one, more, other = (
        bootstrap(nested, draws=n, kind=kind, rng=seed, progress=False).draws  # type: ignore[arg-type]
        for n, seed in ((3, 5), (5, 5), (3, 6))
    )
    assert one is not None
    pd.testing.assert_frame_equal(one, more.head(3))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("kind", ["parametric", "cluster"])
def test_a_statistic_sees_the_same_resamples(nested: Result, kind: str) -> None:
    """Fitting afresh by the formula gives what the arrays give, up to where two searches end."""

    def both(fit: Result) -> dict[str, float]:
        return {"week": estimate_row(fit.tidy(), "week").estimate, "therapists": float(icc(fit)["icc"].iloc[1])}

    plain = MixedModel(FORMULA, df_method="normal").fit(data("mixed_therapy"))
    told = bootstrap(plain, both, draws=4, kind=kind, progress=False)  # type: ignore[arg-type]
    direct = bootstrap(plain, draws=4, kind=kind, progress=False).draws  # type: ignore[arg-type]
    assert told.draws is not None
    assert direct is not None
    assert told.draws["week"].tolist() == pytest.approx(direct["week"].tolist(), rel=1e-6)
    squares = direct.filter(like="sd(") ** 2
    share = squares["sd(Intercept)|therapist"] / squares.sum(axis=1)
    assert told.draws["therapists"].tolist() == pytest.approx(share.tolist(), rel=1e-4, abs=1e-6)
    assert told.tidy()["component"].tolist() == ["effect", "effect"]
    assert bootstrap(plain, lambda fit: 1.0, draws=2, progress=False).tidy()["term"].tolist() == ["statistic"]


def test_a_therapist_drawn_twice_is_two_therapists(nested: Result) -> None:
    codes = nested.state.groupings[-1].level.codes
    index, copies = module._resampled(codes, np.random.default_rng(1))
    assert len(np.unique(codes[index])) < len(np.unique(copies)) == codes.max() + 1
    for copy in np.unique(copies):
        therapist = codes[index[copies == copy]]
        assert (therapist == therapist[0]).all()
        assert len(therapist) == (codes == therapist[0]).sum()
    frame = module._relabelled(nested, index, copies)
    assert frame["therapist"].nunique() == codes.max() + 1
    assert frame.groupby("patient")["therapist"].nunique().max() == 1


def test_failed_resamples_are_counted(nested: Result) -> None:
    tried: list[int] = []

    def sometimes(fit: Result) -> float:
        tried.append(1)
        if len(tried) in (3, 5):
            raise AllianceError("no")
        return 1.0

    again = bootstrap(nested, sometimes, draws=6, progress=False)
    assert again.draws is not None
    assert len(again.draws) == 4
    assert again.notes[-1] == "2 of 6 resamples could not be fitted and were left out"

    def never(fit: Result) -> float:
        if fit is nested:
            return 1.0
        raise AllianceError("no")

    with pytest.raises(AllianceError, match="6 of 6 resamples"):
        bootstrap(nested, never, draws=6, progress=False)


def test_p_values_follow_the_rule() -> None:
    assert draws_p_value(np.array([1.0, 2, 3])) == 2 / 4
    assert draws_p_value(np.array([-1.0, 1, 2, 3, 4, 5, 6, 7, 8])) == 4 / 10
    assert draws_p_value(np.array([-1.0, 1])) == 1.0
    assert draws_p_value(np.ones(999)) == 2 / 1000


def test_what_cannot_be_resampled_is_refused(nested: Result) -> None:
    crossed = MixedModel("diameter ~ 1 + (1 | plate) + (1 | sample)").fit(data("mixed_penicillin"))
    with pytest.raises(AllianceError, match="crossed"):
        bootstrap(crossed, kind="cluster")
    with pytest.raises(AllianceError, match="use 'parametric' or 'cluster'"):
        bootstrap(nested, kind="rows")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="draws is 1"):
        bootstrap(nested, draws=1)
    with pytest.raises(AllianceError, match="level is 95"):
        bootstrap(nested, level=95)
    with pytest.raises(AllianceError, match="has no random effects"):
        bootstrap(LinearModel("outcome ~ week").fit(data("mixed_therapy")))
    partial = data("mixed_partial")
    partial["therapist"] = partial["therapist"].where(partial["treated"] == 1)
    fit = MixedModel("outcome ~ treated + (1 | patient) + (0 + treated | therapist)").fit(partial)
    with pytest.raises(AllianceError, match="some rows have no 'therapist'"):
        bootstrap(fit, kind="cluster")
    logged = MixedModel("log(Reaction) ~ Days + (1 | Subject)").fit(data("mixed_sleepstudy"))
    with pytest.raises(AllianceError, match="computed in the formula"):
        bootstrap(logged, lambda fit: 1.0, draws=2, progress=False)


def test_weights_go_with_their_rows() -> None:
    fit = MixedModel("outcome ~ week + (1 | patient)", weights="weight", df_method="normal").fit(data("mixed_therapy"))
    direct = bootstrap(fit, draws=2, kind="cluster", progress=False).draws
    told = bootstrap(fit, lambda again: again.state.sigma, draws=2, kind="cluster", progress=False).draws
    assert direct is not None
    assert told is not None
    assert told["statistic"].tolist() == pytest.approx(direct["sd(residual)"].tolist(), rel=1e-6)
    assert replace(fit, draws=None).draws is None
