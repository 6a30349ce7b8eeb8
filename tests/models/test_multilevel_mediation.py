"""Multilevel mediation: identities, intervals, boundaries, notes and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.multilevel_paths import patient_paths
from alliance_stats.models.multilevel_intervals import _one
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.numerics.mixed.leaves import Cells, Groups
from alliance_stats.numerics.mixed.optimise import fit as search
from alliance_stats.numerics.mixed.tree import build_tree
from alliance_stats.numerics.multilevel_mediation import descend, metric, redrawn
from alliance_stats.result import TIDY, Result
from tests.conformance.checker import check_result


def sessions(
    patients: int = 40, slopes: float = 0.35, seed: int = 1, therapists: int = 8, sizes: tuple[int, int] = (4, 10)
) -> pd.DataFrame:
    """Unbalanced sessions with paths .5 (a), .4 (b) and .2 (c′) that vary, a and b correlated .6."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(*sizes, size=patients))
    n = len(patient)
    u = slopes * rng.multivariate_normal([0, 0, 0], [[1, 0.6, 0], [0.6, 1, 0], [0, 0, 0.5]], patients)
    x = rng.normal(size=n) + 0.5 * rng.normal(size=patients)[patient]
    m = 0.6 * rng.normal(size=patients)[patient] + (0.5 + u[patient, 0]) * x + 0.8 * rng.normal(size=n)
    y = 0.5 * rng.normal(size=patients)[patient] + (0.4 + u[patient, 1]) * m + (0.2 + u[patient, 2]) * x
    return pd.DataFrame(
        {"patient": patient, "therapist": patient % therapists, "practice": x, "alliance": m,
         "relief": y + rng.normal(size=n), "sex": np.where(patient % 3 == 0, "male", "female"),
         "age": rng.normal(size=patients)[patient]}
    )  # fmt: skip


def trial(seed: int = 1) -> pd.DataFrame:
    """Patients of 30 therapists, half of them trained."""
    rng = np.random.default_rng(seed)
    therapist = np.repeat(np.arange(30), rng.integers(4, 12, size=30))
    n, arm = len(therapist), therapist % 2
    level = 0.5 * arm + 0.5 * rng.normal(size=30)[therapist]
    alliance = level + 0.8 * rng.normal(size=n)
    pain = -0.4 * level - 0.2 * (alliance - level) + 0.4 * rng.normal(size=30)[therapist] + rng.normal(size=n)
    fidelity = (0.4 * arm + 0.5 * rng.normal(size=30)[therapist]).round(4)
    return pd.DataFrame(
        {"therapist": therapist, "arm": arm, "alliance": alliance, "pain": pain, "fidelity": fidelity,
         "years": rng.normal(size=30)[therapist]}
    )  # fmt: skip


def model(**options: Any) -> MultilevelMediation:
    return MultilevelMediation("practice", "alliance", "relief", **({"interval": "delta"} | options))


def upper(**options: Any) -> MultilevelMediation:
    given = {"group": "therapist", "design": "2-1-1", "interval": "delta", "mediator": "alliance"} | options
    return MultilevelMediation("arm", outcome="pain", **given)


def values(result: Result) -> pd.Series:
    rows = result.tidy()
    return rows[rows["at"] == ""].drop_duplicates("term").set_index("term")["estimate"]


def test_indirect_effect_is_the_product_and_the_covariance() -> None:
    v = values(model(center=False).fit(sessions()))
    assert v["indirect"] == pytest.approx(v["a"] * v["b"] + v["cov_ab"], rel=1e-12)
    assert v["total"] == pytest.approx(v["indirect"] + v["c_prime"], rel=1e-12)
    assert v["cov_ab"] == pytest.approx(v["cor(a,b)"] * v["sd(a)"] * v["sd(b)"], rel=1e-9)
    spread = (
        v["b"] ** 2 * v["sd(a)"] ** 2 + v["a"] ** 2 * v["sd(b)"] ** 2 + v["sd(a)"] ** 2 * v["sd(b)"] ** 2
        + 2 * v["a"] * v["b"] * v["cov_ab"] + v["cov_ab"] ** 2
    )  # fmt: skip
    assert v["sd(indirect)"] == pytest.approx(np.sqrt(spread), rel=1e-12)


def test_within_paths_do_not_know_the_level_of_a_patient() -> None:
    data = sessions()
    moved = data.assign(
        practice=data["practice"] + data["patient"] % 7, alliance=data["alliance"] - 2 * (data["patient"] % 5)
    )
    one, other = values(model().fit(data)), values(model().fit(moved))
    for term in ("a_within", "b_within", "c_prime_within"):
        assert other[term] == pytest.approx(one[term], abs=0.03)
    assert abs(other["b_between"] - one["b_between"]) > 0.05


def test_units_change_the_paths_and_nothing_else() -> None:
    data = sessions()
    scaled = data.assign(practice=10 * data["practice"], alliance=data["alliance"] / 4, relief=3 * data["relief"] + 100)
    one, other = model().fit(data).tidy(), model().fit(scaled).tidy()
    for term, factor in (("a_within", 1 / 40), ("b_within", 12.0), ("indirect_within", 0.3), ("cov_ab", 0.3)):
        was, now = (rows[rows["term"] == term].iloc[0] for rows in (one, other))
        assert now.estimate == pytest.approx(factor * was.estimate, rel=1e-4)
        assert now.std_error == pytest.approx(factor * was.std_error, rel=1e-3)


def test_order_of_rows_and_names_of_patients_do_not_matter() -> None:
    data = sessions()
    mixed = data.sample(frac=1, random_state=1).assign(patient=lambda f: "p" + (1000 - f["patient"]).astype(str))
    assert np.allclose(values(model().fit(mixed)), values(model().fit(data)), rtol=1e-5, atol=1e-6)


def test_tidy_and_augment_hold_the_glossary() -> None:
    data = sessions()
    result = model(random=("a", "b")).fit(data)
    assert tuple(result.tidy().columns) == TIDY
    rows = result.augment()
    assert np.allclose(rows["fitted"] + rows["residual"], data["relief"])
    assert list(result.glance()[["n_obs", "n_patient"]].iloc[0]) == [len(data), 40]
    assert "MultilevelMediation" in repr(result)
    assert set(result.tidy().query("component == 'residual'")["equation"]) == {"alliance", "relief"}


PREPARED = (al.Centre("age", by="therapist"),)


@pytest.mark.parametrize(
    ("declared", "data"),
    [
        (model(), sessions()),
        (model(center=False, interval="monte-carlo", covariates=("sex",), draws=500), sessions()),
        (model(moderator="sex", random=("a", "b"), above="therapist"), sessions()),
        (
            model(random=(), interval="bootstrap", draws=20),
            sessions(slopes=0.0).assign(relief=lambda f: f["relief"].where(f.index % 17 > 0)),
        ),
        (model(random=("a", "b"), prepare=PREPARED, covariates=("age_between",)), sessions()),
        (model(random=(), interval="profile"), sessions()),
        (model(random=("a", "b"), moderator="age", moderates="a"), sessions()),
        (upper(means="latent"), trial()),
        (upper(method="ML"), trial()),
        (upper(design="2-2-1", mediator="fidelity"), trial()),
    ],
)
def test_results_keep_the_promises_of_every_model(declared: MultilevelMediation, data: pd.DataFrame) -> None:
    """All checks; a fit of patients' sessions predicts for the patients that it knows."""
    check_result(declared.fit(data), declared, data, data.iloc[:5])


def test_predictions_are_missing_for_patients_without_a_known_mean() -> None:
    data = sessions()
    result = model(random=("a", "b"), covariates=("sex",)).fit(data)
    new = pd.concat([data.iloc[:2], data.iloc[:1].assign(patient=999)], ignore_index=True)
    found = al.predict(result, new)
    assert np.allclose(found["fitted"][:2], result.state.fitted[:2])
    assert found["fitted"].isna().tolist() == [False, False, True]


def test_functions_of_results_that_do_not_apply_say_so() -> None:
    data = sessions()
    result = model(random=("a", "b")).fit(data)
    with pytest.raises(AllianceError, match="no random effects"):
        al.bootstrap(result)
    assert al.simulate(result, 3).shape == (3, len(data))
    assert result.apa("indirect_within").startswith("b = ")


def test_simulated_outcomes_have_the_moments_of_the_fit() -> None:
    result = model(random=("a", "b")).fit(sessions())
    drawn = result.model._simulate(result, np.random.default_rng(1), 400)
    left = drawn - result.state.fitted_population
    assert abs(left.mean()) < 0.1
    Z, codes = result.state.solved.stack.levels[0].Z, result.state.solved.stack.equation == 1
    v = values(result)
    implied = (
        v["sd(Intercept_relief)"] ** 2 + v["sd(b)"] ** 2 * np.mean(Z[codes, 3] ** 2) + result.state.solved.sigma[1] ** 2
    )
    assert left.var() == pytest.approx(implied, rel=0.1)


# Intervals


def test_monte_carlo_has_the_delta_standard_errors_and_the_same_seed_the_same_draws() -> None:
    data = sessions()
    exact = model().fit(data).tidy().set_index("term")
    made = replace(model(), interval="monte-carlo", draws=20000)
    drawn = made.fit(data, rng=3)
    rows = drawn.tidy().set_index("term")
    for term in ("indirect_within", "total_within", "cov_ab"):
        assert rows.loc[term, "std_error"] == pytest.approx(exact.loc[term, "std_error"], rel=0.03)
        assert rows.loc[term, "interval"] == "monte-carlo"
    assert drawn.draws is not None
    assert len(drawn.draws) == 20000
    pd.testing.assert_frame_equal(drawn.tidy(), made.fit(data, rng=3).tidy())
    assert not made.fit(data, rng=4).draws.equals(drawn.draws)


def test_standard_error_without_the_covariance_of_the_slopes_is_too_small() -> None:
    data = sessions(patients=80)
    rows = model(random=("a", "b")).fit(data).tidy().set_index("term")
    a, b = rows.loc["a_within"], rows.loc["b_within"]
    alone = np.sqrt(b.estimate**2 * a.std_error**2 + a.estimate**2 * b.std_error**2 + a.std_error**2 * b.std_error**2)
    assert rows.loc["indirect_within", "std_error"] > 1.05 * alone


@pytest.mark.parametrize("above", [None, "therapist"])
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("sizes", [(2, 5), (4, 10)])
def test_resampled_cross_products_are_those_of_resampled_rows(
    above: str | None, within: bool, sizes: tuple[int, int]
) -> None:
    """A tree drawn again has the gradient and solution of a tree built from the drawn rows."""
    solved = model(random=("a",), center=False, above=above).fit(sessions(sizes=sizes)).state.solved
    assert isinstance(solved.trees[0].finest, Groups if sizes == (2, 5) else Cells)
    tree, levels = solved.trees[solved.least], solved.stack.levels
    again = redrawn(tree, np.random.default_rng(5), within=within)
    rng = np.random.default_rng(5)
    codes = levels[0].codes
    if above is None:
        order = np.unique(codes)
        chosen, outer = order[rng.integers(len(order), size=len(order))], None
    else:
        home = np.array([levels[1].codes[codes == k][0] for k in range(codes.max() + 1)])
        members = [np.flatnonzero(home == t) for t in range(home.max() + 1)]
        top = rng.integers(len(members), size=len(members))
        sizes = np.array([len(members[t]) for t in top])
        picks = rng.integers(np.repeat(sizes, sizes)) if within else np.concatenate([np.arange(k) for k in sizes])
        chosen = np.array([members[t][k] for t, k in zip(np.repeat(top, sizes), picks, strict=True)])
        outer = np.repeat(np.arange(len(top)), sizes)
    index = np.concatenate([np.flatnonzero(codes == k) for k in chosen])
    copies = np.concatenate([np.full((codes == k).sum(), i) for i, k in enumerate(chosen)])
    row = replace(solved_row(solved), codes=np.arange(len(index)), Z=solved_row(solved).Z[index])
    made = [row, replace(levels[0], codes=copies, Z=levels[0].Z[index])]
    if outer is not None:
        made.append(replace(levels[1], codes=outer[copies], Z=levels[1].Z[index]))
    built = build_tree(made, solved.stack.X[index], solved.stack.y[index])
    for theta in (solved.theta, 1.2 * solved.theta):
        one, other = again.evaluate(theta), built.evaluate(theta)
        assert np.allclose(one.beta, other.beta, rtol=1e-8, atol=1e-9)
        assert one.sigma2 == pytest.approx(other.sigma2, rel=1e-9)
        assert np.allclose(one.gradient, other.gradient, rtol=1e-6, atol=1e-5)


def solved_row(solved: Any) -> Any:
    from alliance_stats.models.mixed_strata import Strata, row_level

    return row_level(Strata("equation", ("m", "y"), solved.stack.equation, np.ones(2)), solved.least, None)


def test_descent_of_resamples_ends_where_the_full_search_does() -> None:
    solved = model().fit(sessions()).state.solved
    near = metric(solved.trees[solved.least], solved.theta, reml=True)
    reached = 0
    for seed in range(15):
        tree = redrawn(solved.trees[solved.least], np.random.default_rng(seed))
        theta = descend(tree, near, reml=True)
        if theta is not None:
            reached += 1
            assert tree.evaluate(theta).value - search(tree, reml=True).value < 1e-4
    assert reached >= 12


def test_bootstrap_draws_patients_and_counts_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    data = sessions(patients=60)
    made = model(interval="bootstrap", draws=150, random=("a", "b"))
    result = made.fit(data, rng=2, progress=False)
    rows, exact = result.tidy().set_index("term"), model(random=("a", "b")).fit(data).tidy().set_index("term")
    assert rows.loc["indirect_within", "interval"] == "percentile"
    for term in ("a_within", "b_within", "indirect_within"):
        assert rows.loc[term, "std_error"] == pytest.approx(exact.loc[term, "std_error"], rel=0.35)
    assert rows.loc["indirect_within", "p_value"] <= 2 / 151
    pd.testing.assert_frame_equal(made.fit(data, rng=2, progress=False).draws, result.draws)
    assert capsys.readouterr().err == ""


def test_bootstrap_of_therapists_is_wider_where_they_differ() -> None:
    data = sessions(patients=60, therapists=12)
    shift = np.random.default_rng(3).normal(size=12)[data["therapist"]]
    data = data.assign(alliance=data["alliance"] + 1.5 * shift)
    options = {"interval": "bootstrap", "draws": 100, "random": ()}
    of_patients = model(**options).fit(data, progress=False)
    of_therapists = model(**options, above="therapist").fit(data, progress=False)
    both = model(**options, above="therapist", within=True).fit(data, progress=False)
    term = "alliance~Intercept"
    assert (
        of_therapists.tidy().set_index("term").loc[term, "std_error"]
        > of_patients.tidy().set_index("term").loc[term, "std_error"]
    )
    assert not both.draws.equals(of_therapists.draws)


@pytest.mark.parametrize("options", [{"means": "latent"}, {}, {"center": False}])
def test_bootstrap_of_clusters_in_2_1_1(options: dict[str, Any]) -> None:
    exact = upper(**options).fit(trial()).tidy().set_index("term")
    drawn = upper(interval="bootstrap", draws=100, **options).fit(trial(), progress=False).tidy().set_index("term")
    for term in ("a", "indirect", "total"):
        assert drawn.loc[term, "std_error"] == pytest.approx(exact.loc[term, "std_error"], rel=0.5)
        assert drawn.loc[term, "estimate"] == exact.loc[term, "estimate"]


def test_bootstrap_of_clusters_in_2_2_1() -> None:
    data = trial()
    result = upper(design="2-2-1", mediator="fidelity", interval="bootstrap", draws=60).fit(data, progress=False)
    once = data.drop_duplicates("therapist")
    exact = upper(design="2-2-1", mediator="fidelity").fit(data).tidy().set_index("term")
    assert result.draws["a"].std() == pytest.approx(exact.loc["a", "std_error"], rel=0.4)
    assert len(once) == result.glance()["n_therapist"].iloc[0]


def test_failed_resamples_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import alliance_stats.models.multilevel_intervals as module

    def sometimes(solved: Any, near: Any, rng: Any, i: int, within: bool) -> np.ndarray | None:
        return None if i % 4 == 0 else _one(solved, near, rng, i, within)

    monkeypatch.setattr(module, "_one", sometimes)
    result = model(interval="bootstrap", draws=20, random=()).fit(sessions(), progress=False)
    assert len(result.draws) == 15
    assert "5 of 20 resamples could not be fitted and were left out" in result.notes


# Patients' own paths


def test_patient_paths_and_their_covariance_are_hendersons() -> None:
    data, rng = sessions(), np.random.default_rng(2)
    for name in ("alliance", "relief"):
        data[name] += rng.normal(size=8)[data["therapist"]]
    result = model(center=False, random=("a", "b"), above="therapist").fit(data)
    assert not result.glance()["singular"].iloc[0]
    solved = result.state.solved
    stack = solved.stack
    W = np.diag(solved.sigma[stack.equation] ** -2.0)
    blocks, precision, psi = [stack.X], [np.zeros((stack.X.shape[1],) * 2)], _covariances(result)
    for level, G in zip(stack.levels, psi, strict=True):
        groups = level.codes.max() + 1
        wide = np.zeros((len(stack.y), groups, level.q))
        wide[np.arange(len(stack.y)), level.codes] = level.Z
        blocks.append(wide.reshape(len(stack.y), -1))
        precision.append(np.kron(np.eye(groups), np.linalg.inv(G)))
    A = np.concatenate(blocks, axis=1)
    P = np.zeros((A.shape[1],) * 2)
    start = 0
    for part in precision:
        P[start : start + len(part), start : start + len(part)] = part
        start += len(part)
    C = np.linalg.inv(A.T @ W @ A + P)
    solution = C @ A.T @ W @ stack.y
    L = np.zeros((2, A.shape[1]))
    patient, p, q = 3, stack.X.shape[1], stack.levels[0].q
    for i, path in enumerate(("a", "b")):
        L[i, stack.paths[path]] = 1
        L[i, p + patient * q + stack.groupings[0].effects.index(path)] = 1
    means, V = L @ solution, L @ C @ L.T
    rows = patient_paths(result).query("at == '3'").set_index("term")
    assert np.allclose(rows.loc[["a", "b"], "estimate"], means, rtol=1e-6)
    assert np.allclose(rows.loc[["a", "b"], "std_error"], np.sqrt(np.diag(V)), rtol=1e-6)
    assert rows.loc["a", "cov_ab"] == pytest.approx(V[0, 1], rel=1e-6)
    assert rows.loc["indirect", "estimate"] == pytest.approx(means.prod() + V[0, 1], rel=1e-6)


def _covariances(result: Result) -> list[np.ndarray]:
    from alliance_stats.models.multilevel_fit import factors

    return [L @ L.T for L in factors(result.state.solved)]


def test_predictions_hold_the_effects_of_patient_and_therapist() -> None:
    data, rng = sessions(), np.random.default_rng(2)
    for name in ("alliance", "relief"):
        data[name] += rng.normal(size=8)[data["therapist"]]
    one = model(random=(), above="therapist").fit(data)
    other = al.MixedModel(
        "relief ~ alliance_within + alliance_between + practice_within + practice_between + (1 | patient) + (1 | therapist)",
        prepare=(al.Centre("alliance", by="patient"), al.Centre("practice", by="patient")),
    ).fit(data)
    found, expected = al.predict(one, data), al.predict(other, data)
    assert np.allclose(found["fitted"], expected["fitted"], atol=1e-4)
    assert np.allclose(found["std_error"], expected["std_error"], rtol=1e-3)


def test_patient_paths_average_to_the_paths_of_all() -> None:
    result = model().fit(sessions(patients=80))
    paths, v = patient_paths(result).groupby("term")["estimate"].mean(), values(result)
    assert paths["a"] == pytest.approx(v["a_within"], abs=0.02)
    assert paths["indirect"] == pytest.approx(v["indirect_within"], abs=0.03)


def test_patient_paths_of_other_models_are_refused() -> None:
    with pytest.raises(AllianceError, match="1-1-1"):
        patient_paths(upper().fit(trial()))


# Moderators, covariates, labels


def test_moderated_paths_are_those_at_the_value() -> None:
    data = sessions()
    result = model(moderator="sex").fit(data)
    rows = result.tidy().set_index(["term", "at"])["estimate"]
    v = rows.xs("", level="at")
    for w in (0, 1):
        at = f"sex = {w}"
        a = v["alliance~practice_within"] + w * v["alliance~practice_within:sex"]
        b = v["relief~alliance_within"] + w * v["relief~alliance_within:sex"]
        assert rows["a_within", at] == pytest.approx(a)
        assert rows["indirect_within", at] == pytest.approx(a * b + v["cov_ab"])
    assert any("0 is female, 1 is male" in note for note in result.notes)
    found = model(moderator="age").fit(data).tidy()
    assert found.loc[found["term"] == "indirect_within", "at"].nunique() == 3


def test_covariates_of_both_kinds_enter_both_equations() -> None:
    terms = set(model(covariates=("age", "sex")).fit(sessions()).tidy()["term"])
    assert {"alliance~age", "relief~age", "alliance~sex[T.male]", "relief~sex[T.male]"} <= terms
    with pytest.raises(DataError, match="depends on other terms"):
        model(covariates=("age", "twice")).fit(sessions().assign(twice=lambda f: 2 * f["age"]))


def test_exposure_may_have_two_labels() -> None:
    data = trial()
    named = data.assign(arm=np.where(data["arm"] == 1, "trained", "control"))
    one, other = upper().fit(data), upper().fit(named)
    assert np.allclose(values(one), values(other))
    assert "'arm': 0 is control, 1 is trained" in other.notes
    with pytest.raises(DataError, match="3 labels"):
        upper().fit(data.assign(arm=np.array(list("abc"))[data["therapist"] % 3]))


def test_moderator_of_paths_between_clusters_belongs_to_the_cluster() -> None:
    data = trial()
    found = upper(moderator="years").fit(data).tidy()
    assert found.loc[found["term"] == "indirect", "at"].nunique() == 3
    with pytest.raises(DataError, match="varies within groups"):
        upper(moderator="noise").fit(data.assign(noise=np.arange(len(data)) % 5))


def test_mediator_of_the_cluster_is_regressed_once_a_cluster() -> None:
    data = trial()
    result = upper(design="2-2-1", mediator="fidelity").fit(data)
    once = data.drop_duplicates("therapist")
    slope = np.polyfit(once["arm"], once["fidelity"], 1)[0]
    assert values(result)["a"] == pytest.approx(slope, rel=1e-9)
    residual = result.tidy().query("term == 'sd(residual)' and equation == 'fidelity'")["estimate"].iloc[0]
    left = once["fidelity"] - np.polyval(np.polyfit(once["arm"], once["fidelity"], 1), once["arm"])
    assert residual == pytest.approx(np.sqrt((left**2).sum() / 28), rel=1e-6)


# Losses, boundaries, warnings


def test_missing_values_are_counted_once_for_both_equations() -> None:
    data = sessions()
    data.loc[[1, 5], "alliance"] = np.nan
    data.loc[[5, 9], "relief"] = np.nan
    data.loc[12, "practice"] = np.nan
    result = model(random=("a", "b")).fit(data)
    assert result.notes[0] == f"4 of {len(data)} rows left out for missing values (practice 1, alliance 2, relief 2)"
    assert result.glance()["n_obs"].iloc[0] == len(data) - 4
    again = model(random=("a", "b")).fit(data.dropna())
    assert np.allclose(values(result), values(again))


def test_slopes_that_do_not_vary_go_to_the_boundary_and_are_named() -> None:
    data = sessions(slopes=0.0, seed=7)
    result = model().fit(data)
    assert bool(result.glance()["singular"].iloc[0])
    assert any(note.startswith("estimated at the boundary") for note in result.notes)
    rows = result.tidy().set_index("term")
    assert np.isfinite(
        rows.loc["indirect_within", ["estimate", "std_error", "conf_low", "conf_high"]].astype(float)
    ).all()
    drawn = model(interval="bootstrap", draws=20).fit(data, progress=False)
    assert np.isfinite(drawn.draws.to_numpy()).all()
    assert patient_paths(result)["std_error"].notna().all()


def test_paths_held_the_same_leave_the_covariance_out() -> None:
    result = model(random=("a",)).fit(sessions())
    assert "cov_ab" not in set(result.tidy()["term"])
    assert any(note.startswith("cov_ab is held at zero, as b is the same") for note in result.notes)
    v = values(result)
    assert v["indirect_within"] == pytest.approx(v["a_within"] * v["b_within"])


def test_input_in_one_piece_is_said_to_be_conflated() -> None:
    assert any("mix what happens within" in note for note in model(center=False, random=()).fit(sessions()).notes)
    assert any("mix what happens within" in note for note in upper(center=False).fit(trial()).notes)
    assert not any("mix what happens within" in note for note in upper().fit(trial()).notes)


def test_few_clusters_are_said() -> None:
    assert any("'therapist' are few" in note for note in model(random=(), above="therapist").fit(sessions()).notes)


def test_groups_where_the_mediator_is_constant_are_counted() -> None:
    data = sessions()
    data.loc[data["patient"] < 3, "alliance"] = 1.0
    assert "mediator 'alliance' is constant within 3 of 40 groups of 'patient'" in model().fit(data).notes


# Refusals


def test_variables_on_the_wrong_level_are_refused() -> None:
    data, of_therapists = sessions(), trial()
    level = data.groupby("patient")["alliance"].transform("mean")
    with pytest.raises(DataError, match=r"mediator 'alliance' is constant within every 'patient'.*design='2-2-1'"):
        model().fit(data.assign(alliance=level))
    with pytest.raises(DataError, match=r"exposure 'age' is constant within every 'patient'.*design='2-1-1'"):
        MultilevelMediation("age", "alliance", "relief").fit(data)
    with pytest.raises(DataError, match=r"exposure 'practice' varies within 40 groups of 'patient'.*design='1-1-1'"):
        model(design="2-1-1").fit(data)
    with pytest.raises(DataError, match=r"mediator 'alliance' varies within .*design='2-1-1'"):
        upper(design="2-2-1").fit(of_therapists)
    with pytest.raises(DataError, match="is 1 in all rows"):
        upper().fit(of_therapists.assign(arm=1))


def test_too_few_clusters_for_the_slopes_are_refused() -> None:
    data = sessions()
    with pytest.raises(DataError, match=r"'patient' has 5 groups for 5 random effects"):
        model().fit(data[data["patient"] < 5])
    with pytest.raises(DataError, match="one group only"):
        model().fit(data[data["patient"] < 1])
    with pytest.raises(DataError, match="constant within every"):
        model(random=()).fit(data.drop_duplicates("patient"))


def test_larger_clusters_must_hold_the_smaller() -> None:
    data = sessions()
    with pytest.raises(DataError, match="must belong to one therapist"):
        model(above="therapist").fit(data.assign(therapist=np.arange(len(data)) % 4))
    with pytest.raises(DataError, match="cannot be told apart"):
        model(above="therapist", random=()).fit(data.assign(therapist=data["patient"]))


def test_labels_are_no_mediator() -> None:
    with pytest.raises(DataError, match=r"mediator 'sex' holds 2 labels .*give numbers$"):
        MultilevelMediation("practice", "sex", "relief").fit(sessions())
    with pytest.raises(DataError, match="no column 'alliances'"):
        MultilevelMediation("practice", "alliances", "relief").fit(sessions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "1-2-1"}, "design is '1-2-1'"),
        ({"interval": "bca"}, "interval is 'bca'"),
        ({"method": "OLS"}, "method is 'OLS'"),
        ({"random": ("a", "d")}, "random is"),
        ({"draws": 1}, "draws is 1"),
        ({"level": 95}, "level is 95"),
        ({"covariates": ("alliance",)}, "named twice"),
        ({"means": "latent"}, "means='manifest'"),
        ({"means": "latent", "design": "2-1-1", "moderator": "age"}, "moderator="),
        ({"means": "latent", "design": "2-1-1", "center": False}, "leave one out"),
        ({"within": True}, "within=True"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        MultilevelMediation("practice", "alliance", "relief", **options)


def test_declaration_is_a_value() -> None:
    one, other = model(random=["a", "b"], covariates="age"), model(random=("a", "b"), covariates=("age",))
    assert one == other
    assert hash(one) == hash(other)
    assert one.formula.startswith("alliance ~ practice + age; relief ~ alliance + practice + age (1-1-1 within patient")
