"""Relative importance against R, all orders of entry, theory of the null, and its own invariances."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats import progress
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference import importance
from alliance_stats.inference.importance import relative_importance
from alliance_stats.models.linear import LinearModel
from alliance_stats.numerics.importance import bootstrap_products, lmg, orthonormal, permuted_products, shapley_weights
from alliance_stats.numerics.random import stream
from alliance_stats.result import Result

VALIDATION = Path(__file__).parents[2] / "validation"
GOLDEN = json.loads((VALIDATION / "importance.json").read_text())["results"]
EXACT = 1e-12  # both are sums of R² of the same least-squares problems, accurate to a few units of 1e-16
FEW = {"draws": 20, "permutations": 20}


def golden_data(name: str) -> pd.DataFrame:
    data = pd.read_csv(VALIDATION / "data" / f"{name.split('_')[0]}.csv")
    return data.rename(columns=lambda column: column.replace(".", "_"))


def trial(seed: int = 1, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm = rng.choice(["GE", "MCE", "SMT"], n)
    baseline = rng.normal(50, 10, n)
    alliance = 30 + 0.3 * baseline + rng.normal(0, 6, n)
    pain = 0.1 * alliance + 0.05 * baseline + (arm == "SMT") + rng.normal(0, 1.5, n)
    return pd.DataFrame(
        {"pain": pain, "alliance": alliance, "arm": arm, "baseline": baseline, "age": rng.normal(size=n)}
    )


def r_squared(X: np.ndarray, y: np.ndarray, total: float) -> float:
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0] if X.shape[1] else y
    return 1 - float(residual @ residual) / total


def by_all_orders(fit: Result, groups: dict[str, list[str]], always: list[str]) -> list[float]:
    """The definition: mean gain over every order, each subset fitted anew."""
    design = fit.state.design
    X, y = design.matrix(fit.frame), fit.state.fitted + fit.state.residual
    constant = "Intercept" in design.slices
    total = float(np.sum((y - y.mean() * constant) ** 2))

    def r2(terms: list[str]) -> float:
        return r_squared(np.column_stack([X[:, :0], *(X[:, design.slices[t]] for t in terms)]), y, total)

    gains: dict[str, list[float]] = {name: [] for name in groups}
    for order in permutations(groups):
        entered = ["Intercept"] * constant + always
        for name in order:
            gains[name].append(r2(entered + groups[name]) - r2(entered))
            entered = entered + groups[name]
    return [float(np.mean(gains[name])) for name in groups]


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["component"] == "share"].set_index("term")


@pytest.mark.parametrize("name", list(GOLDEN))
def test_agrees_with_r(name: str) -> None:
    expected = GOLDEN[name]
    terms = [term.replace(".", "_") for term in (*expected["always"], *expected["groups"])]
    fit = LinearModel(f"{expected['response']} ~ {' + '.join(terms)}").fit(golden_data(name))
    found = shares(relative_importance(fit, always=expected["always"], **FEW))
    wanted = {term.replace(".", "_"): share for term, share in expected["lmg"].items()}
    assert found["estimate"].to_dict() == pytest.approx(wanted, abs=EXACT)
    assert found["estimate"].sum() == pytest.approx(expected["r_squared"] - expected["r_squared_always"], abs=EXACT)


@pytest.mark.parametrize(
    ("formula", "groups", "always"),
    [
        ("pain ~ alliance * arm + baseline + age", None, []),
        ("pain ~ alliance * arm + baseline", {"alliance": ["alliance", "alliance:arm"], "arm": ["arm"]}, ["baseline"]),
        ("pain ~ 0 + alliance + baseline + age", None, ["age"]),
        ("pain ~ poly(alliance, 3) + I(alliance^2) + age", None, []),
        ("pain ~ alliance", None, []),
    ],
)
def test_agrees_with_all_orders_of_entry(formula: str, groups: dict[str, list[str]] | None, always: list[str]) -> None:
    fit = LinearModel(formula).fit(trial())
    terms = [name for name in fit.state.design.slices if name != "Intercept" and name not in always]
    expected = by_all_orders(fit, groups or {name: [name] for name in terms}, always)
    found = shares(relative_importance(fit, groups, always, **FEW))
    assert found["estimate"].to_numpy() == pytest.approx(expected, abs=1e-10)  # powers of alliance are nearly dependent


def test_shapley_weights_are_those_of_the_definition() -> None:
    weights, value = shapley_weights(4), np.random.default_rng(2).normal(size=16)
    gain = np.zeros(4)
    for order in permutations(range(4)):
        entered = 0
        for group in order:
            gain[group] += (value[entered | 1 << group] - value[entered]) / 24
            entered |= 1 << group
    assert weights @ value == pytest.approx(gain, abs=1e-14)


def test_bootstrap_products_are_those_of_repeated_rows_and_clusters() -> None:
    Z = np.random.default_rng(3).normal(size=(12, 3))
    codes = np.repeat([0, 1, 2, 3], [1, 2, 4, 5])
    for clusters, units in ((None, [[i] for i in range(12)]), (codes, [np.flatnonzero(codes == g) for g in range(4)])):
        products = np.concatenate(list(bootstrap_products(Z, clusters, 5, stream(1, "a"))), axis=2)
        counts = stream(1, "a").multinomial(len(units), np.full(len(units), 1 / len(units)), size=5)
        for b in range(5):
            rows = np.concatenate([np.tile(unit, k) for unit, k in zip(units, counts[b], strict=True)]).astype(int)
            assert products[:, :, b] == pytest.approx(Z[rows].T @ Z[rows], abs=1e-12)


def test_resample_without_a_level_is_fitted_by_what_is_left() -> None:
    fit = LinearModel("pain ~ arm + alliance").fit(trial(4, 12))
    X, y = fit.state.design.matrix(fit.frame), fit.frame["pain"].to_numpy()
    Z = np.column_stack([np.ones(12), orthonormal(X[:, 1:3], centre=True), orthonormal(X[:, 3:], centre=True), y])
    rows = np.flatnonzero((fit.frame["arm"] != "MCE").to_numpy())
    found = lmg((Z[rows].T @ Z[rows])[:, :, None], (1, 0), (2, 1)).sum()
    assert found == pytest.approx(
        r_squared(X[rows], y[rows], float(np.sum((y[rows] - y[rows].mean()) ** 2))), abs=1e-10
    )


def test_permuted_products_are_those_of_shuffled_rows() -> None:
    Z = np.random.default_rng(5).normal(size=(9, 4))
    products = np.concatenate(list(permuted_products(Z, slice(1, 3), None, 6, stream(1, "p"))), axis=2)
    order = stream(1, "p").permuted(np.tile(np.arange(9), (6, 1)), axis=1)
    for b in range(6):
        shuffled = Z.copy()
        shuffled[:, 1:3] = Z[order[b], 1:3]
        assert products[:, :, b] == pytest.approx(shuffled.T @ shuffled, abs=1e-12)


def test_whole_clusters_are_shuffled_where_a_group_is_constant_in_them() -> None:
    codes = np.array([2, 0, 0, 1, 1, 1, 2])
    Z = np.column_stack([np.array([5.0, 7.0, 11.0])[codes], np.arange(7.0)])
    products = np.concatenate(list(permuted_products(Z, slice(0, 1), codes, 40, stream(1, "c"))), axis=2)
    possible = {float(np.array(v)[codes] @ np.arange(7.0)) for v in permutations([5.0, 7.0, 11.0])}
    assert set(products[0, 1].round(9)) == {round(v, 9) for v in possible}


def test_null_share_of_noise_is_df_over_n_less_one() -> None:
    """n = 182, alliance 1 df and arm 2 df; the mean of 20 × 100 shares has a standard error of 0.0002."""
    rng, nulls = np.random.default_rng(6), []
    for seed in range(20):
        data = pd.DataFrame({"y": rng.normal(size=182), "alliance": rng.normal(size=182)})
        data["arm"] = rng.choice(["a", "b", "c"], 182)
        fit = LinearModel("y ~ alliance + arm").fit(data)
        nulls.append(shares(relative_importance(fit, rng=seed, draws=1, permutations=100))["null"].to_numpy())
    mean, error = np.mean(nulls, axis=0), np.std(nulls, axis=0) / np.sqrt(20)
    assert error.max() < 4e-4
    assert np.abs(mean - [1 / 181, 2 / 181]).max() < 3 * error.max()
    assert mean == pytest.approx([0.0056, 0.0110], abs=3 * error.max())


def test_a_predictor_of_therapists_is_judged_by_the_number_of_therapists() -> None:
    rng = np.random.default_rng(8)
    therapist = np.repeat(np.arange(12), 20)
    data = pd.DataFrame({"therapist": therapist, "trained": (therapist < 6).astype(float), "age": rng.normal(size=240)})
    data["y"] = rng.normal(size=12)[therapist] + rng.normal(size=240)
    between = data.groupby("therapist")["y"].transform("mean").var(ddof=0) / data["y"].var(ddof=0)
    fit = LinearModel("y ~ trained + age", vcov="CR2", cluster="therapist").fit(data)
    null = shares(relative_importance(fit, draws=10))["null"]
    assert null["trained"] == pytest.approx(between / 11, rel=0.15)  # and not 1/239 = 0.004
    assert null["age"] == pytest.approx(1 / 239, rel=0.15)


def test_columns_follow_from_the_draws() -> None:
    fit = LinearModel("pain ~ alliance + arm + baseline", level=0.9).fit(trial())
    found = relative_importance(fit, always=["baseline"], draws=200, permutations=99, rng=5)
    problem = importance._problem(fit, None, ["baseline"])
    boot = np.concatenate(
        [problem.of(b) for b in bootstrap_products(problem.Z, None, 200, stream(5, "importance", "bootstrap"))], axis=1
    )
    table = found.set_index("term")
    drawn = boot[0] - boot[1] - (table.loc["alliance", "null"] - table.loc["arm", "null"])
    row = table.loc["alliance − arm"]
    assert [row["conf_low"], row["conf_high"]] == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=EXACT)
    assert row["p_value"] == min(1, 2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / 201)
    assert row["adjusted"] == pytest.approx(table.loc["alliance", "adjusted"] - table.loc["arm", "adjusted"], abs=EXACT)
    assert np.isnan(row["df"])
    assert row["component"] == "difference"
    assert table["df"].iloc[:2].tolist() == [1, 2]
    share = table.loc["arm"]
    assert [share["conf_low"], share["conf_high"]] == pytest.approx(
        np.quantile(boot[1], [0.05, 0.95]) - share["null"], abs=EXACT
    )
    chance = problem.of(
        np.concatenate(
            list(
                permuted_products(
                    problem.Z, problem.columns(1), None, 99, stream(5, "importance", "permutation", "arm")
                )
            ),
            axis=2,
        )
    )[1]
    assert share["null"] == pytest.approx(chance.mean(), abs=EXACT)
    assert share["p_value"] == (1 + (chance >= share["estimate"]).sum()) / 100
    assert list(found.columns) == list(importance.COLUMNS)


def test_same_seed_same_frame_and_another_seed_another_interval() -> None:
    fit = LinearModel("pain ~ alliance + arm").fit(trial())
    first, again, other = (relative_importance(fit, rng=seed, **FEW) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert first["conf_low"].iloc[0] != other["conf_low"].iloc[0]


@pytest.mark.slow
def test_difference_interval_covers_equal_shares() -> None:
    """Alliance and arm each explain 8 % beyond baseline; 200 trials, so 3 Monte Carlo errors are 4.6 points."""
    rng, step = np.random.default_rng(7), np.sqrt(1.5 * 0.08)
    covered = 0
    for seed in range(200):
        arm = rng.integers(0, 3, 182)
        data = pd.DataFrame({"baseline": rng.normal(size=182), "alliance": rng.normal(size=182)})
        data["arm"] = np.array(["a", "b", "c"])[arm]
        noise = np.sqrt(0.64) * rng.normal(size=182)
        data["y"] = np.sqrt(0.2) * data["baseline"] + np.sqrt(0.08) * data["alliance"] + step * (arm - 1) + noise
        fit = LinearModel("y ~ alliance + arm + baseline").fit(data)
        row = relative_importance(fit, always="baseline", draws=200, permutations=50, rng=seed).iloc[2]
        covered += row["conf_low"] <= 0 <= row["conf_high"]
    assert abs(covered / 200 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 200)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    unit=st.floats(1e-4, 1e4),
    shift=st.floats(-1e3, 1e3),
    new=st.permutations(["a", "b", "c"]),
)
def test_row_order_labels_and_units_leave_shares_equal(seed: int, unit: float, shift: float, new: list[str]) -> None:
    data = trial(seed, 30)
    renamed = data["arm"].map(dict(zip(["GE", "MCE", "SMT"], new, strict=True)))
    changed = data.assign(
        pain=shift + unit * data["pain"], alliance=shift - data["alliance"] / unit, arm=renamed
    ).sample(frac=1, random_state=seed % 1000)
    formula = "pain ~ baseline + arm + alliance"
    first, second = (
        shares(relative_importance(LinearModel(formula).fit(d), draws=1, permutations=1)) for d in (data, changed)
    )
    # A shift of 1e3 against an SD of 1e-3 costs six of sixteen digits.
    assert second["estimate"].to_numpy() == pytest.approx(first["estimate"].to_numpy(), abs=1e-8)
    order = shares(
        relative_importance(LinearModel("pain ~ alliance + baseline + arm").fit(data), draws=1, permutations=1)
    )
    assert order["estimate"][first.index].to_numpy() == pytest.approx(first["estimate"].to_numpy(), abs=1e-10)


def test_perfect_fit_shares_all_of_the_variance() -> None:
    data = trial().assign(pain=lambda d: 2 * d["alliance"] - d["age"])
    found = shares(relative_importance(LinearModel("pain ~ alliance + age").fit(data), **FEW))
    assert found["estimate"].sum() == pytest.approx(1, abs=EXACT)
    assert found["p_value"]["alliance"] == 1 / 21


def test_dependent_terms_share_equally_and_a_constant_gets_nothing() -> None:
    data = trial().assign(double=lambda d: 2 * d["alliance"] + 1, same=3.0)
    found = shares(relative_importance(LinearModel("pain ~ alliance + double + same").fit(data), **FEW))
    assert found["estimate"]["alliance"] == pytest.approx(found["estimate"]["double"], abs=EXACT)
    assert found["df"].to_dict() == {"alliance": 1, "double": 1, "same": 0}
    assert found.loc["same", ["estimate", "null"]].tolist() == pytest.approx([0, 0], abs=EXACT)
    assert found["p_value"]["same"] == 1


def test_unused_levels_do_not_count() -> None:
    data = trial()
    used = shares(relative_importance(LinearModel("pain ~ arm + alliance").fit(data), **FEW))
    data["arm"] = pd.Categorical(data["arm"], ["AA", "GE", "MCE", "SMT"])
    wider = shares(relative_importance(LinearModel("pain ~ arm + alliance").fit(data), **FEW))
    pd.testing.assert_frame_equal(used, wider)
    assert used["df"]["arm"] == 2


def test_few_rows_give_finite_numbers() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 2, 5], "x": [1.0, 2, 4, 3], "z": [0.0, 0, 0, 1]})
    found = relative_importance(LinearModel("y ~ x + z").fit(data), rng=2, draws=400, permutations=400)
    assert np.isfinite(found.drop(columns="df").select_dtypes("number").to_numpy()).all()
    assert found["p_value"].between(0, 1).all()


def test_progress_is_shown_for_long_work_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = LinearModel("pain ~ alliance + arm").fit(trial())
    relative_importance(fit, **FEW)
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    relative_importance(fit, progress=False, **FEW)
    assert capsys.readouterr().err == ""
    relative_importance(fit, **FEW)
    assert "relative importance:   0%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"always": ["alliace"]}, "no term 'alliace' .did you mean 'alliance'"),
        ({"groups": {"a": ["alliance"], "b": ["arm", "alliance"]}}, "alliance named more than once"),
        ({"groups": {"a": ["alliance"]}, "always": ["alliance", "arm"]}, "alliance named more than once"),
        ({"groups": {"a": "alliance"}}, "arm in no group"),
        ({"groups": {"a": ["alliance", "arm"], "b": []}}, "each with a term"),
        ({"always": ["alliance", "arm"]}, "0 groups"),
        ({"draws": 0}, "draws is 0"),
        ({"permutations": -1}, "permutations is -1"),
    ],
)
def test_errors_name_the_argument(options: dict[str, object], message: str) -> None:
    fit = LinearModel("pain ~ alliance + arm").fit(trial())
    with pytest.raises(AllianceError, match=message):
        relative_importance(fit, **options)  # type: ignore[arg-type]


def test_too_many_groups_other_models_and_constant_outcomes_are_refused() -> None:
    rng = np.random.default_rng(9)
    wide = pd.DataFrame(rng.normal(size=(40, 14)), columns=["y", *(f"x{i}" for i in range(13))])
    fit = LinearModel("y ~ " + " + ".join(wide.columns[1:])).fit(wide)
    with pytest.raises(AllianceError, match="13 groups; 1 to 12"):
        relative_importance(fit)
    assert len(shares(relative_importance(fit, always="x0", draws=2, permutations=2))) == 12
    other = Result(object(), fit.frame, fit.state, fit.estimates, fit.statistics, fit.covariance)
    with pytest.raises(AllianceError, match="needs a fitted LinearModel, not object"):
        relative_importance(other)
    with pytest.raises(DataError, match="the outcome 'pain' is 3 in every row"):
        relative_importance(LinearModel("pain ~ age").fit(trial().assign(pain=3.0)))
