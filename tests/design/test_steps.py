"""Steps: what they compute, what they refuse, and that neither row order nor names of patients matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance_stats import Centre, Change, DataError, Detrend, Lag, Lead, LinearModel, predict
from alliance_stats.design.steps import Step

NA = float("nan")
few = settings(max_examples=12)  # for each of ten steps
STEPS: list[Any] = [
    Centre("alliance", by="patient"),
    Centre("alliance", by=("patient", "therapist")),
    Centre("alliance", by=("patient", "therapist"), grand_mean=True),
    Lag("alliance"),
    Lag("alliance", k=2),
    Lead("alliance"),
    Lead("alliance", k=3, by=("patient", "therapist")),
    Change("alliance"),
    Change("alliance", baseline="before", name="gain"),
    Detrend("alliance"),
]
REFUSING = [step for step in STEPS if not (isinstance(step, Change) and step.baseline)]


def frame() -> pd.DataFrame:
    """Three patients of two therapists: a gap, a missing rating, one patient with a single session."""
    return pd.DataFrame(
        {
            "patient": [1, 1, 1, 2, 2, 2, 3],
            "therapist": ["A", "A", "A", "A", "A", "A", "B"],
            "session": [1, 2, 3, 1, 2, 4, 1],
            "alliance": [40.0, 44, 48, 55, NA, 61, 50],
            "before": [10.0, 10, 10, 20, 20, 20, NA],
        }
    )


def trial(seed: int, patients: int = 8) -> pd.DataFrame:
    """Long data with gaps and missing ratings, in no particular order of rows."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"patient": np.repeat(np.arange(patients), 6), "session": np.tile(np.arange(1, 7), patients)})
    rows["therapist"] = np.array(list("ABC"))[rows["patient"] % 3]
    rows["alliance"] = np.where(rng.random(len(rows)) < 0.15, NA, rng.normal(50, 8, len(rows)).round(1))
    rows["before"] = rng.normal(50, 8, patients)[rows["patient"]]
    return rows[rng.random(len(rows)) < 0.85].sample(frac=1, random_state=seed)


def added(step: Step, data: pd.DataFrame) -> pd.DataFrame:
    """The columns that a step adds."""
    made = step(data)
    assert list(made.columns[: data.shape[1]]) == list(data.columns)
    return made.iloc[:, data.shape[1] :]


def close(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=1e-12, atol=1e-10)


# ---- Centre


def test_centre_by_patient() -> None:
    made = added(Centre("alliance", by="patient"), frame())
    assert made["alliance_within"].tolist() == pytest.approx([-4, 0, 4, -3, NA, 3, 0], nan_ok=True)
    assert made["alliance_between"].tolist() == [44, 44, 44, 58, 58, 58, 50]


def test_centre_at_two_levels_counts_each_patient_once() -> None:
    made = added(Centre("alliance", by=("patient", "therapist")), frame())
    assert made["alliance_within"].tolist() == pytest.approx([-4, 0, 4, -3, NA, 3, 0], nan_ok=True)
    assert made["alliance_between_patient"].tolist() == [-7, -7, -7, 7, 7, 7, 0]
    assert made["alliance_between_therapist"].tolist() == [51] * 6 + [50]


@pytest.mark.parametrize(("by", "highest"), [("patient", (44 + 58 + 50) / 3), (("patient", "therapist"), 50.5)])
def test_grand_mean_is_that_of_the_highest_level(by: Any, highest: float) -> None:
    plain, centred = (added(Centre("alliance", by=by, grand_mean=g), frame()) for g in (False, True))
    assert np.allclose(plain.iloc[:, -1] - centred.iloc[:, -1], highest)
    close(plain.iloc[:, :-1], centred.iloc[:, :-1])


@given(st.integers(0, 10_000))
def test_parts_add_up_and_within_parts_sum_to_zero(seed: int) -> None:
    data = trial(seed)
    for step in STEPS[:2]:
        made = added(step, data)
        assert np.allclose(made.sum(axis=1)[data["alliance"].notna()], data["alliance"].dropna())
        sums = made["alliance_within"].groupby(data["patient"]).sum()
        assert np.allclose(sums, 0, atol=1e-9)
    by_therapist = added(STEPS[1], data).assign(**data[["patient", "therapist"]]).drop_duplicates("patient")
    assert np.allclose(by_therapist.groupby("therapist")["alliance_between_patient"].sum(), 0, atol=1e-9)


def test_a_patient_without_ratings_has_no_parts() -> None:
    made = added(Centre("alliance", by="patient"), frame().assign(alliance=[NA, NA, NA, 1, 2, 3, 4]))
    assert made.head(3).isna().all(axis=None)
    assert made.tail(4).notna().all(axis=None)


def test_centre_learns_the_means_of_known_patients_and_uses_the_own_mean_of_new_ones() -> None:
    new = pd.DataFrame({"patient": [1, 9, 9], "therapist": ["A", "A", "Z"], "alliance": [50.0, 60, 70]})
    made = added(Centre("alliance", by="patient").learn(frame()), new)
    assert made["alliance_within"].tolist() == [6, -5, 5]
    assert made["alliance_between"].tolist() == [44, 65, 65]
    new = new.assign(patient=[1, 9, 10])
    made = added(Centre("alliance", by=("patient", "therapist"), grand_mean=True).learn(frame()), new)
    assert made["alliance_between_patient"].tolist() == [44 - 51, 60 - 51, 0]
    assert made["alliance_between_therapist"].tolist() == [51 - 50.5, 51 - 50.5, 70 - 50.5]


def test_centre_of_the_same_rows_is_the_same_after_learning() -> None:
    for step in STEPS:
        close(added(step, frame()), added(step.learn(frame()), frame()))


@pytest.mark.parametrize("by", [(), ("a", "b", "c")])
def test_centre_has_one_level_or_two(by: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="give one or two"):
        Centre("alliance", by=by)


def test_a_patient_of_two_therapists_is_refused() -> None:
    with pytest.raises(DataError, match="patient 1 has 2 therapists"):
        Centre("alliance", by=("patient", "therapist"))(frame().assign(therapist=list("ABAAAAB")))


# ---- Lag and Lead


def test_lag_and_lead_use_session_numbers() -> None:
    expected = {
        Lag("alliance"): [NA, 40, 44, NA, 55, NA, NA],
        Lag("alliance", k=2): [NA, NA, 40, NA, NA, NA, NA],
        Lag("alliance", k=3): [NA, NA, NA, NA, NA, 55, NA],
        Lead("alliance"): [44, 48, NA, NA, NA, NA, NA],
        Lead("alliance", k=2): [48, NA, NA, NA, 61, NA, NA],
    }
    for step, values in expected.items():
        made = added(step, frame())
        assert list(made.columns) == [f"alliance_{type(step).__name__.lower()}{step.k}"]
        assert made.iloc[:, 0].tolist() == pytest.approx(values, nan_ok=True), step


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_lead_undoes_lag(seed: int, k: int) -> None:
    data = trial(seed)
    back = Lead(f"alliance_lag{k}", k=k)(Lag("alliance", k=k)(data))[f"alliance_lag{k}_lead{k}"]
    known = back.notna()
    assert (back[known] == data.loc[known, "alliance"]).all()
    pairs = data.merge(data.assign(session=data["session"] + k), on=["patient", "session"])
    assert added(Lag("alliance", k=k), data).iloc[:, 0].count() == pairs["alliance_y"].count()


@pytest.mark.parametrize("k", [0, -1, 1.5, "2"])
def test_k_is_a_whole_number(k: Any) -> None:
    for step in (Lag, Lead):
        with pytest.raises(DataError, match="give a whole number of sessions"):
            step("alliance", k=k)


@pytest.mark.parametrize("sessions", [[1, 2, 2.5, 1, 2, 4, 1], list("abcabcd"), [1, 2, np.inf, 1, 2, 4, 1]])
def test_lag_needs_whole_session_numbers(sessions: list[Any]) -> None:
    with pytest.raises(DataError, match="'session' must hold whole session numbers"):
        Lag("alliance")(frame().assign(session=sessions))


def test_sessions_that_are_numbers_as_text_are_numbers() -> None:
    late = frame().assign(session=frame()["session"] + 8)  # 9, 10, 11: in order as numbers only
    text = late.assign(session=late["session"].astype(str))
    for step in (Lag("alliance"), Change("alliance"), Detrend("alliance")):
        close(added(step, text), added(step, late))


def test_names_of_keys_do_not_meet_names_of_columns() -> None:
    for name in ("lag", "index", "level_0", "alliance_lag1x", "key_0", "value"):
        renamed = frame().rename(columns={"patient": name})
        close(added(Lag("alliance", by=name), renamed), added(Lag("alliance"), frame()))


def test_lag_of_text_and_categories_and_nullable_numbers() -> None:
    words = pd.Series(list("abcdefg"))
    for column in (words, words.astype("category"), pd.Series([1, 2, 3, 4, 5, 6, 7], dtype="Int64")):
        made = added(Lag("alliance"), frame().assign(alliance=column)).iloc[:, 0]
        assert made.dtype == column.dtype
        assert made.dropna().tolist() == [column[0], column[1], column[3]]


# ---- Change and Detrend


def test_change_since_the_earliest_session() -> None:
    assert added(Change("alliance"), frame()).iloc[:, 0].tolist() == pytest.approx([0, 4, 8, 0, NA, 6, 0], nan_ok=True)
    shuffled = frame().iloc[[2, 6, 1, 5, 0, 3, 4]]
    close(added(Change("alliance"), shuffled).sort_index(), added(Change("alliance"), frame()))
    missing = frame().assign(alliance=[NA, 44, 48, 55, NA, 61, 50])
    assert added(Change("alliance"), missing).iloc[:3, 0].isna().all()


def test_change_since_a_column() -> None:
    made = added(Change("alliance", baseline="before", name="gain"), frame())
    assert made["gain"].tolist() == pytest.approx([30, 34, 38, 35, NA, 41, NA], nan_ok=True)


def test_change_of_dates() -> None:
    days = pd.to_datetime("2021-12-30") + pd.to_timedelta(frame()["session"], unit="D")
    for step in (Change("alliance"), Detrend("alliance")):
        close(added(step, frame().assign(session=days)), added(step, frame()))
        learned = step.learn(frame().assign(session=days))
        later = frame().assign(session=days).iloc[[2]]  # dates are counted from a fixed day, not from the first row
        close(added(learned, later), added(step, frame()).iloc[[2]])


def test_change_learns_the_start_of_known_patients() -> None:
    new = pd.DataFrame({"patient": [1, 9, 9], "session": [5, 3, 4], "alliance": [50.0, 60, 70]})
    assert added(Change("alliance").learn(frame()), new).iloc[:, 0].tolist() == [10, 0, 10]


def test_detrend_is_the_residual_of_the_own_line() -> None:
    made = added(Detrend("alliance"), frame())["alliance_detrended"]
    assert made[:3].tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert made[3:].isna().all()  # two ratings and one make no line


@given(st.integers(0, 10_000))
def test_detrended_parts_are_uncorrelated_with_time(seed: int) -> None:
    data = trial(seed).dropna()
    made = Detrend("alliance")(data).dropna()
    for _, rows in made.groupby("patient"):
        line = np.polyfit(rows["session"], rows["alliance"], 1)
        assert np.allclose(rows["alliance_detrended"], rows["alliance"] - np.polyval(line, rows["session"]), atol=1e-8)


def test_detrend_learns_the_lines_of_known_patients() -> None:
    new = pd.DataFrame({"patient": [1, 9], "session": [5, 1], "alliance": [60.0, 60]})
    made = added(Detrend("alliance").learn(frame()), new).iloc[:, 0]
    assert made.tolist() == pytest.approx([60 - (40 + 4 * 4), NA], nan_ok=True)


# ---- what every step promises


@pytest.mark.parametrize("step", REFUSING, ids=repr)
def test_repeated_keys_are_refused_and_named(step: Step) -> None:
    doubled = pd.concat([frame(), frame().iloc[[1]]], ignore_index=True)
    with pytest.raises(DataError, match="2 rows share their keys") as raised:
        step(doubled)
    assert "patient 1" in str(raised.value)
    assert "session 2" in str(raised.value)
    with pytest.raises(DataError, match="share their keys"):
        step.learn(doubled)(doubled)


@pytest.mark.parametrize("key", ["patient", "session"])
@pytest.mark.parametrize("step", REFUSING, ids=repr)
def test_missing_keys_are_refused(step: Step, key: str) -> None:
    with pytest.raises(DataError, match=f"1 rows have no '{key}'"):
        step(frame().assign(**{key: frame()[key].where(frame().index != 2)}))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_absent_columns_are_named(step: Any) -> None:
    for name in ("alliance", *([step.baseline] if getattr(step, "baseline", None) else ["patient"])):
        with pytest.raises(DataError, match=f"no column '{name}'"):
            step(frame().rename(columns={name: f"{name}s"}))


@pytest.mark.parametrize("step", [step for step in STEPS if not isinstance(step, Lag | Lead)], ids=repr)
def test_text_is_refused(step: Step) -> None:
    with pytest.raises(DataError, match="'alliance' holds str values"):
        step(frame().assign(alliance="50"))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_data_are_left_as_they_were(step: Step) -> None:
    data, before = frame(), frame()
    made = step.learn(data)(data)
    made.loc[:, "alliance"] = 0.0
    pd.testing.assert_frame_equal(data, before)


@pytest.mark.parametrize("step", STEPS, ids=repr)
@pytest.mark.parametrize(
    "index",
    [[5, 3, 9, 1, 0, 7, 2], list("gfedcba"), [0, 0, 0, 0, 0, 0, 0], pd.MultiIndex.from_product([["a"], range(7)]),
         pd.Index([1, 1, 1, 2, 2, 2, 3], name="patient"), pd.Index(range(7), name="session"),
     pd.date_range("2020-01-01", periods=7)],
    ids=["numbers", "text", "repeated", "two levels", "named like a key", "named like the time", "dates"],
)  # fmt: skip
def test_any_index_is_kept(step: Step, index: Any) -> None:
    plain, other = frame(), frame().set_axis(pd.Index(index) if isinstance(index, list) else index)
    made = step.learn(other)(other)
    assert made.index.equals(other.index)
    assert made.index.names == other.index.names
    close(made.reset_index(drop=True), step(plain))


KEYS: dict[str, Any] = {
    "text": lambda ids: ids.map(lambda i: f"p{i}"),
    "padded text": lambda ids: ids.astype(str).str.zfill(3),
    "categories": lambda ids: ids.astype("category"),
    "categories of text": lambda ids: ids.astype(str).astype("category"),
    "unused categories": lambda ids: pd.Categorical(ids, categories=[9, 3, 2, 1, 0]),
    "floats": lambda ids: ids.astype(float),
    "nullable": lambda ids: ids.astype("Int64"),
    "pyarrow": lambda ids: ids.astype(str).astype("string[pyarrow]"),
    "objects": lambda ids: ids.astype(str).astype(object),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_ids_of_any_type(step: Step, kind: str) -> None:
    other = frame().assign(patient=lambda d: KEYS[kind](d["patient"]))
    close(added(step, other), added(step, frame()))
    close(added(step.learn(other), other), added(step, frame()))
    close(added(step.learn(other), other.iloc[:0]), added(step, frame()).iloc[:0])


@pytest.mark.parametrize("step", [STEPS[0], STEPS[1], STEPS[7], STEPS[9]], ids=repr)
def test_ids_that_change_their_type_are_refused(step: Step) -> None:
    """Otherwise known patients would pass for new ones."""
    text = frame().assign(patient=lambda d: d["patient"].astype(str))
    for old, new in ((frame(), text), (text, frame())):
        with pytest.raises(DataError, match="'patient' does not have the type it had in the fit"):
            step.learn(old)(new)
    close(added(step.learn(text), text.astype({"patient": "category"})), added(step, frame()))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_nullable_numbers(step: Step) -> None:
    made = added(step, frame().convert_dtypes())
    close(made.astype(float), added(step, frame()).astype(float))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_learned_steps_compare_and_print_as_declared(step: Step) -> None:
    learned = step.learn(frame())
    assert learned == step
    assert hash(learned) == hash(step)
    assert repr(learned) == repr(step)


@few
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_order_of_rows_does_not_matter(step: Step, seed: int, random: Any) -> None:
    data = trial(seed)
    order = random.sample(range(len(data)), len(data))
    close(step(data).iloc[order], step(data.iloc[order]))


@few
@given(st.integers(0, 10_000), st.permutations(range(8)))
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_names_of_patients_do_not_matter(step: Step, seed: int, names: list[int]) -> None:
    data = trial(seed)
    renamed = data.assign(patient=[f"patient {names[i]}" for i in data["patient"]])
    close(added(step, data), added(step, renamed))


@few
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-1000, 1000))
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_units_and_origin(step: Any, seed: int, scale: float, shift: float) -> None:
    """Parts within a patient keep no origin; means and lagged values carry it along."""
    data = trial(seed)
    other = data.assign(alliance=scale * data["alliance"] + shift, before=scale * data["before"] + shift)
    made, expected = added(step, other), scale * added(step, data)
    carried = [
        name for name in made if "_lag" in name or "_lead" in name or name.endswith(("_between", "_between_therapist"))
    ]
    if not getattr(step, "grand_mean", False):
        expected[carried] += shift
    pd.testing.assert_frame_equal(made, expected, rtol=1e-9, atol=1e-7)


@few
@given(st.integers(0, 10_000), st.integers(-50, 50))
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_origin_of_time_does_not_matter(step: Step, seed: int, shift: int) -> None:
    data = trial(seed)
    later = data.assign(session=data["session"] + shift)
    pd.testing.assert_frame_equal(added(step, data), added(step, later), rtol=1e-7, atol=1e-7)


# ---- the order of steps


def test_lag_comes_before_centre() -> None:
    for late in (Lag("alliance"), Lead("alliance", k=2)):
        with pytest.raises(DataError, match="comes after Centre") as raised:
            LinearModel("pain ~ x", prepare=(Centre("alliance", by="patient"), late)).fit(frame())
        assert f"'alliance_{type(late).__name__.lower()}{late.k}'" in str(raised.value)
    for name in ("alliance_within", "alliance_between", "alliance_between_patient", "alliance_between_therapist"):
        for step in (Lag, Lead):
            with pytest.raises(DataError, match="already centred"):
                step(name)


def test_lag_then_centre_takes_the_mean_of_the_lagged_ratings() -> None:
    made = Centre("alliance_lag1", by="patient")(Lag("alliance")(frame()))
    assert made.loc[:2, "alliance_lag1_between"].tolist() == [42, 42, 42]
    assert made.loc[:2, "alliance_lag1_within"].tolist() == pytest.approx([NA, -2, 2], nan_ok=True)


def test_steps_on_other_columns_may_come_in_any_order() -> None:
    data = trial(3).assign(pain=lambda d: np.arange(len(d)) % 7 * 1.0)
    prepare = (Centre("before", by="patient"), Lag("alliance"), Centre("alliance_lag1", by="patient"))
    fit = LinearModel("pain ~ alliance_lag1_within + before_between", prepare=prepare).fit(data)
    assert fit.notes
    assert "alliance_lag1_within" in fit.frame


def test_constants_are_learned_in_fitting_and_used_in_predicting() -> None:
    data = trial(5, patients=20).assign(pain=lambda d: np.arange(len(d)) % 7 * 1.0)
    fit = LinearModel("pain ~ alliance_within + alliance_between", prepare=(Centre("alliance", by="patient"),)).fit(
        data
    )
    b = fit.tidy().set_index("term")["estimate"]
    mean = data.groupby("patient")["alliance"].mean()[4]
    new = pd.DataFrame({"patient": [4], "alliance": [mean + 3]})  # one row: its own mean would make the within part 0
    expected = b["Intercept"] + 3 * b["alliance_within"] + mean * b["alliance_between"]
    assert predict(fit, new)["fitted"].iloc[0] == pytest.approx(expected)
