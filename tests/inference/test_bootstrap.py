"""Bootstrap of mixed models: reproducible draws, known standard errors, resamples that fail."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats.errors import AllianceError
from alliance_stats.inference.bootstrap import bootstrap, draws_p_value
from alliance_stats.inference.groups import icc
from alliance_stats.inference.problem import problem
from alliance_stats.inference.resample import drawn_again, scheme
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
    given = problem(nested, "test")
    plan = scheme(nested, given, None)
    again = drawn_again(plan, np.random.default_rng(1))
    copies = again.copies[0]
    assert len(np.unique(codes[again.index])) < len(np.unique(copies)) == codes.max() + 1
    for copy in np.unique(copies):
        therapist = codes[again.index[copies == copy]]
        assert (therapist == therapist[0]).all()
        assert len(therapist) == (codes == therapist[0]).sum()
    frame = again.frame(nested, plan)
    assert frame["therapist"].nunique() == codes.max() + 1
    assert frame.groupby("patient")["therapist"].nunique().max() == 1


def test_patients_drawn_within_therapists_drawn(nested: Result) -> None:
    """Every copy of a therapist has as many patients as the therapist, each of them a patient of its own."""
    patient, therapist = (grouping.level.codes for grouping in nested.state.groupings)
    given = problem(nested, "test")
    plan = scheme(nested, given, ("therapist", "patient"))
    again = drawn_again(plan, np.random.default_rng(1))
    of_therapist, of_patient = again.copies
    for copy in np.unique(of_therapist):
        rows = again.index[of_therapist == copy]
        assert len(np.unique(therapist[rows])) == 1
        assert len(np.unique(of_patient[of_therapist == copy])) == len(
            np.unique(patient[therapist == therapist[rows[0]]])
        )
    for copy in np.unique(of_patient):
        rows = again.index[of_patient == copy]
        assert np.array_equal(np.sort(rows), np.flatnonzero(patient == patient[rows[0]]))
    levels = again.problem(given, plan).levels
    assert [len(np.unique(level.codes)) for level in levels] == [of_patient.max() + 1, of_therapist.max() + 1]
    frame = again.frame(nested, plan)
    assert frame["patient"].nunique() == of_patient.max() + 1
    assert frame["therapist"].nunique() == of_therapist.max() + 1


def balanced(therapists: int = 8, patients: int = 5, sessions: int = 3, spread: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = therapists * patients
    rows = pd.DataFrame(
        {"patient": np.repeat(range(n), sessions), "therapist": np.repeat(range(therapists), patients * sessions)}
    )
    rows["y"] = np.repeat(spread * rng.normal(size=therapists), patients * sessions) + np.repeat(
        rng.normal(size=n), sessions
    )
    return rows.assign(y=rows["y"] + rng.normal(size=len(rows)))


@pytest.mark.parametrize("resample", [None, ("therapist", "patient")])
def test_the_variance_of_a_mean_is_the_one_that_the_scheme_has(resample: tuple[str, str] | None) -> None:
    """In balanced data the intercept is the mean, whose variance over resamples is known in closed form.

    Therapists do not differ here, so that drawing their patients too nearly doubles it.
    """
    a, b, draws = 8, 5, 200
    rows = balanced(a, b, spread=0.0)
    fit = MixedModel("y ~ 1 + (1 | patient) + (1 | therapist)", df_method="normal").fit(rows)
    again = bootstrap(fit, draws=draws, kind="cluster", resample=resample, progress=False)
    assert again.draws is not None
    patients = rows.groupby(["therapist", "patient"])["y"].mean().to_numpy().reshape(a, b)
    between, inside = patients.mean(axis=1).var() / a, patients.var(axis=1).mean() / (a * b)
    expected = between + (inside if resample else 0.0)
    # a variance from 200 draws of a nearly normal mean has a relative error of √(2/200); three of them
    assert again.draws["Intercept"].var() == pytest.approx(expected, rel=3 * np.sqrt(2 / draws))
    assert again.notes[-1].endswith("of 'therapist', then of 'patient' within it" if resample else "of 'therapist'")


def test_patients_alone_stay_with_their_therapists(nested: Result) -> None:
    given = problem(nested, "test")
    plan = scheme(nested, given, "patient")
    again = drawn_again(plan, np.random.default_rng(1))
    patient, therapist = (level.codes for level in again.problem(given, plan).levels)
    original = nested.state.groupings[1].level.codes[again.index]
    assert len(np.unique(patient)) == len(nested.state.groupings[0].groups)
    assert (
        len(np.unique(np.column_stack([therapist, original]), axis=0))
        == len(np.unique(original))
        == therapist.max() + 1
    )
    frame = again.frame(nested, plan)
    assert frame["therapist"].tolist() == nested.frame["therapist"].iloc[again.index].tolist()
    assert frame["patient"].nunique() == len(np.unique(patient))


def test_labels_used_again_by_every_therapist() -> None:
    rows = balanced()
    rows["case"] = rows["patient"] % 5
    one = MixedModel("y ~ 1 + (1 | therapist/case)", df_method="normal").fit(rows)
    other = MixedModel("y ~ 1 + (1 | patient) + (1 | therapist)", df_method="normal").fit(rows)
    found = [
        bootstrap(
            fit, lambda again: again.state.sigma, 3, "cluster", progress=False, resample=("therapist", inner)
        ).draws
        for fit, inner in ((one, "therapist:case"), (other, "patient"))
    ]
    direct = bootstrap(other, draws=3, kind="cluster", progress=False, resample=("therapist", "patient")).draws
    assert found[0] is not None
    assert found[1] is not None
    assert direct is not None
    assert found[0]["statistic"].tolist() == pytest.approx(found[1]["statistic"].tolist(), rel=1e-6)
    assert found[0]["statistic"].tolist() == pytest.approx(direct["sd(residual)"].tolist(), rel=1e-6)


def test_a_factor_crossed_with_the_one_drawn_keeps_its_groups() -> None:
    fit = MixedModel("diameter ~ 1 + (1 | plate) + (1 | sample)", df_method="normal").fit(data("mixed_penicillin"))
    plan = scheme(fit, problem(fit, "test"), "plate")
    again = drawn_again(plan, np.random.default_rng(2))
    frame = again.frame(fit, plan)
    assert (frame["plate"].nunique(), frame["sample"].nunique()) == (24, 6)
    assert set(frame["sample"]) == set(fit.frame["sample"])
    direct = bootstrap(fit, draws=3, kind="cluster", resample="plate", progress=False).draws
    told = bootstrap(fit, lambda one: one.state.sigma, draws=3, kind="cluster", resample="plate", progress=False).draws
    assert direct is not None
    assert told is not None
    assert told["statistic"].tolist() == pytest.approx(direct["sd(residual)"].tolist(), rel=1e-6)


@pytest.mark.parametrize(("backend", "kind"), [("threading", "cluster"), ("loky", "parametric"), ("loky", "cluster")])
def test_the_same_numbers_in_several_processes(nested: Result, backend: str, kind: str) -> None:
    options = {"draws": 24, "kind": kind, "rng": np.random.default_rng(3), "progress": False}
    if kind == "cluster":
        options["resample"] = ("therapist", "patient")
    one = bootstrap(nested, **options).draws
    with joblib.parallel_config(backend=backend, n_jobs=2):
        other = bootstrap(nested, **options).draws
    assert one is not None
    assert other is not None
    assert one.to_numpy().tobytes() == other.to_numpy().tobytes()


@pytest.fixture(scope="module")
def unequal() -> Result:
    return MixedModel("outcome ~ week + (1 | patient)", residual_by="arm", df_method="normal").fit(
        data("mixed_therapy")
    )


def test_residual_variances_by_group_are_simulated_and_found_again(unequal: Result) -> None:
    """Their mean over the draws is that of the fit, their spread that of a variance of so many rows."""
    again = bootstrap(unequal, draws=60, progress=False)
    assert again.draws is not None
    rows = again.tidy().query("component == 'residual'").set_index("group")
    assert list(rows.index) == list(unequal.state.strata.levels)
    arms = unequal.frame["arm"]
    for arm, row in rows.iterrows():
        found = again.draws[f"sd(residual)|{arm}"]
        assert found.mean() == pytest.approx(
            row["estimate"], abs=3.5 * found.std() / np.sqrt(60) + 0.01 * row["estimate"]
        )
        free = (arms == arm).sum() - unequal.frame[arms == arm]["patient"].nunique()
        assert found.std() / row["estimate"] == pytest.approx(
            1 / np.sqrt(2 * free), rel=0.28
        )  # three Monte Carlo errors
    assert rows["p_value"].isna().all()


@pytest.mark.parametrize("kind", ["parametric", "cluster"])
def test_a_statistic_sees_the_same_residual_variances(unequal: Result, kind: str) -> None:
    def sds(fit: Result) -> dict[str, float]:
        rows = fit.tidy().query("component == 'residual'")
        return dict(zip(rows["group"], rows["estimate"], strict=True))

    told = bootstrap(unequal, sds, draws=4, kind=kind, progress=False).draws  # type: ignore[arg-type]
    direct = bootstrap(unequal, draws=4, kind=kind, progress=False).draws  # type: ignore[arg-type]
    assert told is not None
    assert direct is not None
    assert told.to_numpy() == pytest.approx(direct.filter(like="sd(residual)").to_numpy(), rel=1e-5)


def test_resamples_without_a_stratum_say_so() -> None:
    rows = balanced()
    rows["device"] = np.where(rows["therapist"] == 0, "old", "new")
    fit = MixedModel("y ~ 1 + (1 | patient) + (1 | therapist)", residual_by="device", df_method="normal").fit(rows)
    again = bootstrap(fit, draws=20, kind="cluster", progress=False)
    assert again.draws is not None
    absent = int(again.draws["sd(residual)|old"].isna().sum())
    assert 0 < absent < 20
    assert again.notes[-1] == f"'sd(residual)|old' is missing in {absent} resamples: its group had no rows there"
    assert again.draws["sd(residual)|new"].notna().all()


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
    with pytest.raises(
        AllianceError, match=r"crossed, no rows belong together; name the one to draw, .* resample='plate'"
    ):
        bootstrap(crossed, kind="cluster")
    with pytest.raises(AllianceError, match="'sample' does not lie within 'plate'"):
        bootstrap(crossed, kind="cluster", resample=("plate", "sample"))
    with pytest.raises(AllianceError, match="'therapist' does not lie within 'patient'"):
        bootstrap(nested, kind="cluster", resample=["patient", "therapist"])
    with pytest.raises(AllianceError, match="no grouping factor 'clinic'; factors: patient, therapist"):
        bootstrap(nested, kind="cluster", resample="clinic")
    with pytest.raises(AllianceError, match="names no factor"):
        bootstrap(nested, kind="cluster", resample=())
    with pytest.raises(AllianceError, match="is for kind='cluster'"):
        bootstrap(nested, resample="therapist")
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
