"""Strange data: each is fitted rightly, with a note, or refused with a message that says what to do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats import (
    AllianceError,
    Centre,
    DataError,
    FormulaError,
    LinearModel,
    Result,
    anova,
    compare,
    contrast,
    marginal_means,
    predict,
    simple_slopes,
)

VCOV = ("classical", "HC3", "CR1", "CR1S", "CR2")
every_vcov = pytest.mark.parametrize("vcov", VCOV)


def patients(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=24), "x": rng.integers(1, 9, 24).astype(float), "arm": ["a", "b", "c"] * 8,
            "g": np.repeat(list("pqrstu"), 4),
        }
    )  # fmt: skip
    return frame.assign(**columns)


def fit(formula: str = "y ~ x", vcov: Any = "classical", data: pd.DataFrame | None = None, **columns: Any) -> Result:
    frame = patients() if data is None else data
    return LinearModel(formula, vcov=vcov, cluster="g" if vcov.startswith("CR") else None).fit(frame.assign(**columns))


# ---- too little to estimate


@every_vcov
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_as_many_terms_as_rows(vcov: str, rows: int) -> None:
    with pytest.raises(DataError, match=f"{rows} complete rows cannot estimate"):
        fit("y ~ x + I(x^2)", vcov, patients(x=np.arange(24.0)).head(rows))


@every_vcov
def test_one_cluster_or_none(vcov: str) -> None:
    if vcov.startswith("CR"):
        with pytest.raises(DataError, match="cluster='g': all rows are in one cluster"):
            fit(vcov=vcov, g="a")
        with pytest.raises(DataError, match="no row is complete in y, x, g"):
            fit(vcov=vcov, g=None)
        with pytest.raises(DataError, match="no column 'g'"):
            LinearModel("y ~ x", vcov=vcov, cluster="g").fit(patients().drop(columns="g"))  # type: ignore[arg-type]


@pytest.mark.parametrize("vcov", ["CR1", "CR1S", "CR2"])
def test_missing_clusters_are_left_out_and_counted(vcov: str) -> None:
    holes = patients()["g"].where(np.arange(24) % 5 > 0)
    found, expected = fit(vcov=vcov, g=holes), fit(vcov=vcov, data=patients(g=holes).dropna())
    pd.testing.assert_frame_equal(found.tidy(), expected.tidy())
    assert found.notes == ("5 of 24 rows left out for missing values (g 5)",)
    assert found.glance()["n_g"].iloc[0] == 6


def test_no_rows() -> None:
    for data in (patients().head(0), patients(x=np.nan), patients(y=[np.nan, 1] * 12, x=[1, np.nan] * 12)):
        with pytest.raises(DataError, match="no row is complete in y, x"):
            fit(data=data)


@pytest.mark.parametrize("formula", ["y ~ 0", "y ~ 0 + zero"])
def test_no_terms(formula: str) -> None:
    with pytest.raises(DataError, match="no term that could be estimated"):
        fit(formula, zero=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vcov": "CR2"}, "needs cluster="),
        ({"vcov": "HC3", "cluster": "g"}, "is not used by vcov='HC3'"),
        ({"vcov": "hc3"}, "use one of classical, HC3, CR1, CR1S, CR2"),
        ({"level": 95}, "use a number between 0 and 1"),
        ({"level": 0}, "use a number between 0 and 1"),
        ({"level": np.nan}, "use a number between 0 and 1"),
        ({"prepare": Centre("x", by="g")}, "give a tuple of steps"),
    ],
)
def test_declarations_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        LinearModel("y ~ x", **options)


# ---- outcomes


@every_vcov
@pytest.mark.parametrize("y", [3.0, 0.0, -1e6])
def test_constant_outcome(vcov: str, y: float) -> None:
    found = fit("y ~ x * arm", vcov, y=y)
    assert found.augment()["fitted"].to_numpy() == pytest.approx(np.full(24, y), abs=1e-9 * abs(y))
    if y:
        assert any("fitted exactly" in note for note in found.notes)
    assert ((found.tidy()["p_value"] > 0) | found.tidy()["p_value"].isna()).all()
    assert repr(found)
    assert found._repr_html_()


@every_vcov
def test_perfect_fit(vcov: str) -> None:
    found = fit("y ~ x", vcov, y=lambda d: 2 * d["x"] - 1)
    assert found.tidy()["estimate"].tolist() == pytest.approx([-1, 2])
    assert found.tidy()["std_error"].max() < 1e-12
    assert any("fitted exactly" in note for note in found.notes)
    assert found.apa("x")


def test_a_fit_that_is_good_is_not_called_exact() -> None:
    assert fit(y=lambda d: 1e6 + 2 * d["x"] + 1e-4 * patients()["y"]).notes == ()


@pytest.mark.parametrize(
    "y",
    [list("abcdef") * 4, [True, False] * 12, pd.array([True, None] * 12, dtype="boolean"), pd.Categorical([1, 2] * 12)],
)
def test_outcome_that_is_no_number(y: Any) -> None:
    with pytest.raises(FormulaError, match=r"the outcome 'y' holds .* values, a number is needed"):
        fit(y=y)


def test_true_and_false_as_one_and_zero() -> None:
    assert fit(y=[1, 0] * 12).tidy()["estimate"].notna().all()


# ---- columns


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e60])
@pytest.mark.parametrize("name", ["x", "y"])
def test_infinite_values(name: str, value: float) -> None:
    with pytest.raises(DataError, match=f"column '{name}' holds infinite values"):
        fit(**{name: lambda d: d[name].where(d.index > 0, value)})


@pytest.mark.parametrize("size", [1e-40, 1e40])
@every_vcov
def test_huge_and_tiny_units(vcov: str, size: float) -> None:
    found = fit("y ~ x + arm", vcov, y=lambda d: d["y"] * size, x=lambda d: d["x"] / size)
    expected = fit("y ~ x + arm", vcov)
    assert found.tidy()["statistic"].to_numpy() == pytest.approx(expected.tidy()["statistic"].to_numpy(), rel=1e-9)
    assert found.tidy()["p_value"].to_numpy() == pytest.approx(expected.tidy()["p_value"].to_numpy(), rel=1e-9)


DATES = {
    "dates": pd.date_range("2020-01-01", periods=24),
    "dates of a zone": pd.date_range("2020-01-01", periods=24, tz="Europe/Berlin"),
    "durations": pd.to_timedelta(np.arange(24), unit="D"),
    "months": pd.period_range("2020-01", periods=24, freq="M"),
    "days as objects": pd.Series([dt.date(2020, 1, i + 1) for i in range(24)], dtype=object),
    "intervals": pd.interval_range(0, 24),
    "times": pd.Series([dt.time(i) for i in range(24)], dtype=object),
}


@pytest.mark.parametrize("kind", DATES)
@pytest.mark.parametrize("name", ["x", "y"])
def test_dates(kind: str, name: str) -> None:
    with pytest.raises(DataError, match=f"column '{name}' holds dates or times; turn it into a number first"):
        fit(**{name: DATES[kind]})


OBJECTS = {
    "numbers as objects": pd.Series(np.arange(24.0), dtype=object),
    "mixed": pd.Series([1, "a"] * 12, dtype=object),
    "lists": pd.Series([[1]] * 24, dtype=object),
    "complex": np.arange(24) + 1j,
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_columns_of_objects(kind: str) -> None:
    with pytest.raises(DataError, match=r"column 'x' holds .* values .*turn it into numbers or into text"):
        fit(x=OBJECTS[kind])


@pytest.mark.parametrize(
    "kind",
    ["int8", "uint8", "int16", "int64", "float32", "Int8", "Int64", "UInt16", "Float64", "int32[pyarrow]", "double[pyarrow]"],
)  # fmt: skip
@every_vcov
def test_types_of_numbers(kind: str, vcov: str) -> None:
    found, expected = fit("y ~ x + I(x^3)", vcov, x=lambda d: d["x"].astype(kind)), fit("y ~ x + I(x^3)", vcov)
    pd.testing.assert_frame_equal(found.tidy(), expected.tidy(), check_exact=True)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "float64", "double[pyarrow]"])
def test_missing_numbers_of_any_type(kind: str) -> None:
    holes = patients()["x"].where(np.arange(24) % 6 > 0)
    found, expected = fit(x=holes.astype(kind)), fit(data=patients(x=holes).dropna())
    pd.testing.assert_frame_equal(found.tidy(), expected.tidy(), check_exact=True)
    assert found.notes == ("4 of 24 rows left out for missing values (x 4)",)


@pytest.mark.parametrize("kind", [object, "str", "string", "string[pyarrow]", "category"])
@every_vcov
def test_types_of_text(kind: Any, vcov: str) -> None:
    found = fit("y ~ x * arm", vcov, arm=lambda d: d["arm"].astype(kind), g=lambda d: d["g"].astype(kind))
    pd.testing.assert_frame_equal(found.tidy(), fit("y ~ x * arm", vcov).tidy(), check_exact=True)


@pytest.mark.parametrize("kind", ["bool", "boolean", object, "bool[pyarrow]"])
def test_types_of_true_and_false(kind: Any) -> None:
    found = fit("y ~ late", late=lambda d: (d["x"] > 4).astype(kind))
    expected = fit("y ~ late", late=lambda d: (d["x"] > 4).astype(float))
    assert found.tidy()["term"].tolist() == ["Intercept", "late[T.True]"]
    assert found.tidy()["estimate"].tolist() == pytest.approx(expected.tidy()["estimate"].tolist())
    for new in ([True, False], np.array([True, False]), pd.array([True, False], dtype="boolean"), [1, 0]):
        values = predict(found, pd.DataFrame({"late": new}))["fitted"]
        assert values.tolist() == pytest.approx(predict(expected, pd.DataFrame({"late": [1.0, 0]}))["fitted"].tolist())


@pytest.mark.parametrize("kind", ["int64", "int8", "float64", "Int64"])
def test_numbers_as_a_factor_meet_new_rows_of_any_type(kind: str) -> None:
    found = fit("y ~ C(week) * x", week=lambda d: (np.arange(24) % 3 + 1).astype(float)).state.design.levels["week"]
    assert found == (1.0, 2.0, 3.0)
    made = fit("y ~ C(week) + x", week=lambda d: pd.array(np.arange(24) % 3 + 1, dtype=kind))
    new = pd.DataFrame({"week": pd.array([3, 1, 2], dtype="int64"), "x": 2.0})
    for other in ("int64", "float64", "Int64", "int8"):
        pd.testing.assert_frame_equal(predict(made, new.astype({"week": other})), predict(made, new))
    with pytest.raises(DataError, match=r"column 'week' has levels \['4'\]"):
        predict(made, new.assign(week=4))


def test_factor_with_one_level() -> None:
    found = fit("y ~ x + one", one="a")
    assert found.tidy()["term"].tolist() == ["Intercept", "x"]
    assert found.notes == ("'one' has one level only and no effect",)
    np.testing.assert_allclose(found.tidy()["estimate"], fit().tidy()["estimate"])
    with pytest.raises(AllianceError, match="nothing to compare"):
        contrast(found, "one")
    with pytest.raises(AllianceError, match="not a factor with two levels"):
        anova(found, "one")


def test_levels_that_are_lost_with_incomplete_rows_are_named() -> None:
    found = fit("y ~ x + arm", x=lambda d: d["x"].where(d["arm"] != "c"))
    assert found.notes == ("8 of 24 rows left out for missing values (x 8)", "'arm' has no complete row with c")
    assert (
        found.tidy()["term"].tolist() == ["Intercept", "arm[T.b]", "x"] or "arm[T.b]" in found.tidy()["term"].tolist()
    )
    with pytest.raises(DataError, match=r"column 'arm' has levels \['c'\]"):
        predict(found, patients())


def test_categories_without_rows() -> None:
    ordered = pd.CategoricalDtype(["z", "c", "b", "y", "a"], ordered=True)
    found = fit("y ~ x + arm", arm=lambda d: d["arm"].astype(ordered))
    assert found.tidy()["term"].tolist()[-2:] == ["arm[T.b]", "arm[T.a]"] or "arm[T.a]" in found.tidy()["term"].tolist()
    np.testing.assert_allclose(found.augment()["fitted"], fit("y ~ x + arm").augment()["fitted"])
    assert marginal_means(found, "arm")["arm"].tolist() == ["c", "b", "a"]
    new = patients(arm=lambda d: d["arm"].astype(ordered))
    np.testing.assert_allclose(predict(found, new)["fitted"], found.augment()["fitted"])
    with pytest.raises(DataError, match=r"levels \['z'\]"):
        predict(found, new.assign(arm=pd.Categorical(["z"] * 24, ordered.categories)))


@pytest.mark.parametrize("name", ["x", "y", "g"])
def test_two_columns_of_one_name(name: str) -> None:
    double = pd.concat([patients(), patients()[[name]]], axis=1)
    with pytest.raises(DataError, match=f"2 columns are called '{name}'"):
        fit(vcov="CR1", data=double) if name == "g" else LinearModel("y ~ x").fit(double)
    if name == "x":
        with pytest.raises(DataError, match="2 columns are called 'x'"):
            predict(fit(), double)


def test_other_columns_may_hold_anything() -> None:
    other = patients(when=DATES["dates"], what=OBJECTS["mixed"], z=OBJECTS["complex"], inf=np.inf)
    other = pd.concat([other, other[["when"]]], axis=1)
    pd.testing.assert_frame_equal(LinearModel("y ~ x").fit(other).tidy(), fit().tidy())
    assert predict(fit(), other).notna().all(axis=None)


@pytest.mark.parametrize("data", [None, {"y": [1.0, 2], "x": [1.0, 2]}, [[1, 2]], np.ones((4, 2)), "trial.csv"])
def test_data_that_are_no_frame(data: Any) -> None:
    with pytest.raises(DataError, match="give a pandas DataFrame"):
        LinearModel("y ~ x").fit(data)
    if data is not None:
        with pytest.raises(DataError, match="give a pandas DataFrame"):
            predict(fit(), data)


def test_misspelt_columns_are_hinted_at() -> None:
    with pytest.raises(DataError, match=r"no column 'arms' \(did you mean 'arm'\?\); columns: y, x, arm, g"):
        fit("y ~ arms")


@pytest.mark.parametrize("name", ["Intercept", "fitted", "residual"])
def test_names_that_results_use_themselves(name: str) -> None:
    with pytest.raises(FormulaError, match="rename the column"):
        LinearModel(f"y ~ `{name}`").fit(patients().rename(columns={"x": name}))


# ---- rows


@every_vcov
def test_repeated_index(vcov: str) -> None:
    data = patients().set_axis([0, 0, 1] * 8)
    found = fit("y ~ x * arm", vcov, data)
    pd.testing.assert_frame_equal(found.tidy(), fit("y ~ x * arm", vcov).tidy())
    assert found.augment().index.tolist() == [0, 0, 1] * 8
    holes = data.assign(x=data["x"].where(np.arange(24) != 1))
    rows = predict(found, holes)
    assert rows.index.tolist() == data.index.tolist()
    assert rows["fitted"].isna().tolist() == [i == 1 for i in range(24)]
    np.testing.assert_allclose(rows["fitted"].drop(index=0), found.augment()["fitted"].drop(index=0))


@every_vcov
def test_nothing_to_predict(vcov: str) -> None:
    found = fit("y ~ x * arm", vcov)
    assert predict(found, patients().head(0)).shape == (0, 4)
    assert predict(found, patients(x=np.nan)).isna().all(axis=None)


@pytest.mark.parametrize("x", [["a"] * 24, ["1"] * 24, [True, "b"] * 12, DATES["dates"]])
def test_text_where_the_fit_had_numbers(x: Any) -> None:
    with pytest.raises(DataError, match=r"column 'x' holds .* values; it held numbers in the data of the fit"):
        predict(fit(), patients(x=x))


def test_infinite_new_rows() -> None:
    with pytest.raises(DataError, match="x is not finite"):
        predict(fit(), patients(x=np.inf))


# ---- covariances that know nothing of an estimate


@every_vcov
def test_estimate_without_any_noise_of_its_own(vcov: str) -> None:
    """The mean of one patient (HC3) or one cluster (CR) is fitted exactly: no test, no interval, no false p < .001."""
    rows = (np.arange(24) == 0) if vcov == "HC3" else (patients()["g"] == "p").to_numpy()
    found = fit("y ~ 0 + C(own)", vcov, own=np.where(rows, "own", "rest"))
    own = found.tidy().set_index("term").loc["C(own)[own]"]
    assert np.isfinite(own["estimate"])
    if vcov == "classical":
        assert own["p_value"] < 1
        return
    assert own[["statistic", "df", "p_value", "conf_low", "conf_high"]].isna().all()
    assert predict(found, pd.DataFrame({"own": ["own"]}))[["conf_low", "conf_high"]].isna().all(axis=None)
    assert marginal_means(found, "own")["p_value"].isna().tolist() == [True, False]
    rest = found.tidy().set_index("term").loc["C(own)[rest]"]
    assert rest[["statistic", "df", "p_value", "conf_low", "conf_high"]].notna().all()
    assert any("standard error of 'C(own)[own]'" in note for note in found.notes)


@pytest.mark.parametrize("vcov", ["CR1", "CR1S", "CR2"])
def test_predictor_that_is_the_same_as_two_clusters(vcov: str) -> None:
    data = patients(g=lambda d: np.where(d.index < 12, "p", "q"), side=np.repeat([0.0, 1.0], 12))
    found = fit("y ~ side", vcov, data)
    assert found.tidy()[["statistic", "p_value", "conf_low"]].isna().all(axis=None)
    with pytest.raises(AllianceError, match="cannot be tested jointly"):
        compare(fit("y ~ 1", data=data), found)


@pytest.mark.parametrize("vcov", VCOV)
def test_joint_tests_do_not_depend_on_units(vcov: str) -> None:
    data = patients(z=lambda d: np.cos(np.arange(24)))
    F = [
        compare(fit("y ~ 1", data=d), fit("y ~ x + z", vcov, d))["statistic"].iloc[1]
        for d in (data, data.assign(x=data["x"] * 1e-12), data.assign(x=data["x"] * 1e12))
    ]
    np.testing.assert_allclose(F, F[0], rtol=1e-8)


# ---- looking at a model in unusual places


def test_slopes_of_curved_terms_stay_within_the_data() -> None:
    data = patients(dose=np.exp(np.linspace(-3, 5, 24)))  # its mean minus its standard deviation is negative
    found = fit("y ~ log(dose) + arm", data=data)
    slope = found.tidy().set_index("term").loc["log(dose)", "estimate"] / data["dose"].mean()
    assert simple_slopes(found, "dose", at={"arm": ["a"]})["estimate"].iloc[0] == pytest.approx(slope, rel=1e-7)
    spline = fit("y ~ bs(x, df=4) + arm", data=data)
    assert np.isfinite(simple_slopes(spline, "x", at={"arm": ["a"]})["estimate"].iloc[0])


def test_average_over_everything() -> None:
    found = fit("y ~ x * arm")
    slope = simple_slopes(found, "x", at={})
    per_arm = simple_slopes(found, "x", at={"arm": ["a", "b", "c"]})
    assert slope["estimate"].tolist() == pytest.approx([per_arm["estimate"].mean()])


@pytest.mark.parametrize("kind", ["category", object, "str", "string[pyarrow]"])
def test_shares_of_the_data_for_any_type_of_factor(kind: Any) -> None:
    found = fit("y ~ arm * late", arm=lambda d: d["arm"].astype(kind), late=lambda d: d["x"] > 3)
    expected = fit("y ~ arm * late", late=lambda d: (d["x"] > 3).map({True: "yes", False: "no"}))
    ours, theirs = (marginal_means(f, "arm", weights="proportional")["estimate"] for f in (found, expected))
    assert ours.tolist() == pytest.approx(theirs.tolist())


@pytest.mark.parametrize("empty", [{}, []])
def test_nothing_to_contrast(empty: Any) -> None:
    with pytest.raises(AllianceError, match="nothing to compare"):
        contrast(fit("y ~ arm"), "arm", {})


def test_anova_of_what_is_no_factor() -> None:
    found = fit("y ~ x * arm + I(g == 'p')")
    for name in ("zz", "g"):
        with pytest.raises(AllianceError):
            anova(found, name)
    assert anova(found)["term"].tolist() == ["x", "arm", "I(g == 'p')", "x:arm"]
    assert anova(fit())["term"].tolist() == ["x"]


def test_hc3_says_nothing_of_what_one_row_alone_speaks_for() -> None:
    """A level with one patient has leverage 1 and no residual; R's sandwich gives NaN."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": rng.normal(size=60), "site": ["a"] * 40 + ["b"] * 19 + ["c"]})
    fit = LinearModel("y ~ x + site", vcov="HC3").fit(frame)
    rows = fit.tidy().set_index("term")
    assert rows.loc["site[T.c]", ["std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]].isna().all()
    assert any("'site[T.c]' cannot be estimated" in note for note in fit.notes)
    without = LinearModel("y ~ x + site", vcov="HC3").fit(frame[frame["site"] != "c"]).tidy().set_index("term")
    for term in ("Intercept", "x", "site[T.b]"):
        assert rows.loc[term, "std_error"] == pytest.approx(without.loc[term, "std_error"], rel=1e-9)  # rounding
    assert np.isnan(anova(fit).set_index("term").loc["site", "p_value"])
