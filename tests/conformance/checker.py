"""The one checker that every model passes: what a Result promises, whatever the model."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError, fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats import AllianceError, DataError, Result, predict, simulate
from alliance_stats.formula import response
from alliance_stats.numerics.distributions import t_p_value
from alliance_stats.result import COMPONENTS, GLANCE, TEXT, TIDY

INTERVALS = {"t", "normal", "percentile", "bca", "monte-carlo", "delta", "product", "profile", ""}
SYMMETRIC = {"t", "normal", "delta"}  # intervals that hold their estimate by construction
ROUNDING = 1e-9  # beside the size of the numbers: sums of a few hundred products
HTML = {"p", "strong", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li"}


def check_result(result: Result, model: Any, data: pd.DataFrame, new: pd.DataFrame) -> None:
    """All checks. ``result`` is ``model.fit(data)``; ``new`` holds rows with complete predictors."""
    for check in CHECKS:
        check(result, model, data, new)


def check_tidy(result: Result, *_: Any) -> None:
    rows = result.tidy()
    assert tuple(rows.columns) == TIDY
    assert len(rows)
    for name in TIDY:
        assert rows[name].dtype == ("str" if name in TEXT else np.float64), name
    assert not rows[list(TEXT)].isna().any(axis=None)
    assert set(rows["component"]) <= set(COMPONENTS)
    assert set(rows["interval"]) <= INTERVALS
    assert not rows.duplicated(["term", "component", "group", "equation", "at"]).any()
    assert rows["estimate"].notna().all()
    assert (rows["std_error"].dropna() >= 0).all()


def check_p_values_and_intervals(result: Result, *_: Any) -> None:
    rows = result.tidy()
    p = rows["p_value"].dropna()
    assert ((p > 0) & (p <= 1)).all()
    limits = rows[rows["conf_low"].notna() & rows["conf_high"].notna()]
    assert (limits["conf_low"] <= limits["conf_high"]).all()
    assert (limits["interval"] != "").all()
    inside = limits[limits["interval"].isin(SYMMETRIC)]
    assert ((inside["conf_low"] <= inside["estimate"]) & (inside["estimate"] <= inside["conf_high"])).all()
    tested = rows[rows["statistic"].notna() & rows["interval"].isin(["t", "normal"])]
    df = np.where(tested["interval"] == "normal", np.inf, tested["df"])
    assert np.allclose(tested["p_value"], t_p_value(tested["statistic"], df), rtol=ROUNDING, atol=0)


def check_glance(result: Result, *_: Any) -> None:
    row = result.glance()
    assert len(row) == 1
    counts = [name for name in row.columns if name.startswith("n_")]
    assert row.columns.is_unique
    assert set(row.columns) - set(counts) <= set(GLANCE)
    assert list(row.columns[: len(counts)]) == counts
    assert counts[0] == "n_obs"
    assert all(pd.api.types.is_integer_dtype(row[name]) for name in counts)
    assert row["n_obs"].iloc[0] == len(result.frame)
    assert row["converged"].iloc[0]


def check_augment(result: Result, _: Any, data: pd.DataFrame, *__: Any) -> None:
    rows = result.augment()
    used = data.index.isin(rows.index)
    assert rows.index.equals(data.index[used])
    if len(rows) < len(data):
        assert any("rows left out" in note for note in result.notes)
    for name in data.columns.intersection(rows.columns):
        pd.testing.assert_series_equal(rows[name], data.loc[used, name])
    assert np.isfinite(rows["fitted"]).all()
    if "residual" in rows:
        y = response(result.state.design.formula, result.frame)
        assert np.allclose(rows["fitted"] + rows["residual"], y, rtol=ROUNDING, atol=ROUNDING * np.abs(y).max())


def check_text(result: Result, model: Any, data: pd.DataFrame, *_: Any) -> None:
    text = repr(result)
    assert text == repr(model.fit(data.copy()))
    for forbidden in ("0x", str(Path.cwd()), str(Path.home()), "nan", "None", "dtype", "..."):
        assert forbidden not in text, forbidden
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d", text), "a date or a time"
    assert not re.search(r"\.\d{9}|\d{11}", text), "digits that carry nothing"
    assert type(model).__name__ in text
    for note in result.notes:
        assert note in text
    for term in result.tidy()["term"]:
        assert term in text


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"class", "scope"}


def check_html(result: Result, model: Any, data: pd.DataFrame, *_: Any) -> None:
    html = result._repr_html_()
    assert html == model.fit(data)._repr_html_()
    assert _Tags(html).tags <= HTML


def check_notes(result: Result, *_: Any) -> None:
    assert isinstance(result.notes, tuple)
    assert all(isinstance(note, str) and note for note in result.notes)


def check_covariance(result: Result, *_: Any) -> None:
    fixed, V = result.tidy().query("component in ('fixed', 'hazard')"), result.covariance
    assert list(V.index) == list(V.columns) == fixed["term"].tolist()
    values = V.to_numpy()
    assert np.isfinite(values).all()
    assert np.allclose(values, values.T, rtol=ROUNDING, atol=ROUNDING * np.abs(values).max())
    scale = np.sqrt(np.diag(values))
    correlation = values / np.outer(scale, scale)
    assert np.linalg.eigvalsh(correlation).min() > -ROUNDING
    assert np.allclose(scale, fixed["std_error"], rtol=ROUNDING, atol=0)


def check_pickle(result: Result, _: Any, __: pd.DataFrame, new: pd.DataFrame) -> None:
    again: Result = pickle.loads(pickle.dumps(result))
    for ours, theirs in zip(_frames(result), _frames(again), strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert repr(again) == repr(result)
    assert again.notes == result.notes
    pd.testing.assert_frame_equal(predict(again, new), predict(result, new), check_exact=True)


def check_predict_own_rows(result: Result, _: Any, data: pd.DataFrame, *__: Any) -> None:
    rows = result.augment()
    for found in (predict(result), predict(result, data).loc[rows.index]):
        assert list(found.columns) == ["fitted", "std_error", "conf_low", "conf_high"]
        assert found.index.equals(rows.index)
        assert np.allclose(found["fitted"], rows["fitted"], rtol=ROUNDING, atol=ROUNDING * rows["fitted"].abs().max())
        assert (found["std_error"] >= 0).all()


def check_predict_new_rows(result: Result, _: Any, __: pd.DataFrame, new: pd.DataFrame) -> None:
    before, shuffled = new.copy(deep=True), new.iloc[::-1]
    found, made = predict(result, new), new
    for step in result.state.steps:
        made = step(made)
    complete = made[_predictors(result)].notna().all(axis=1)
    assert complete.any()
    assert found.index.equals(new.index)
    assert (found.notna().all(axis=1) == complete).all()
    assert (found.isna().all(axis=1) == ~complete).all()
    pd.testing.assert_frame_equal(predict(result, shuffled), found.iloc[::-1])
    pd.testing.assert_frame_equal(new, before)
    assert len(predict(result, new.head(0))) == 0


def check_predict_missing(result: Result, _: Any, __: pd.DataFrame, new: pd.DataFrame) -> None:
    full = predict(result, new)
    blank = np.arange(len(new)) == np.flatnonzero(full["fitted"].notna())[0]
    for name in _raw(_predictors(result), result, new):
        found = predict(result, new.assign(**{name: new[name].astype(object).where(~blank).convert_dtypes()}))
        assert found.loc[blank].isna().all(axis=None), name
        pd.testing.assert_frame_equal(found.loc[~blank], full.loc[~blank])


def check_predict_unknown_level(result: Result, _: Any, __: pd.DataFrame, new: pd.DataFrame) -> None:
    for name in _raw(result.state.design.levels, result, new):
        with pytest.raises(DataError, match=re.escape(f"'{name}'") + ".*new level"):
            predict(result, new.assign(**{name: "new level"}))


def check_predict_new_groups(result: Result, _: Any, __: pd.DataFrame, new: pd.DataFrame) -> None:
    """A group that was not in the fit, and no group, get the population's prediction; the others keep theirs."""
    if not _groups(result) or _raw(_groups(result), result, new) != _groups(result):
        return  # no groups, or a preparing step needs them: other groups would have other predictors
    population = predict(result, new, groups="population")["fitted"]
    for stranger in ("nobody", None):
        unknown = new.assign(**dict.fromkeys(_groups(result), stranger))
        pd.testing.assert_series_equal(predict(result, unknown)["fitted"], population, rtol=ROUNDING, atol=ROUNDING)
    if not result.glance()["singular"].iloc[0]:
        assert (predict(result, new)["fitted"] - population).abs().max() > ROUNDING


def check_predict_absent_column(result: Result, _: Any, __: pd.DataFrame, new: pd.DataFrame) -> None:
    for name in _raw([*_predictors(result), *_groups(result)], result, new):
        with pytest.raises(DataError, match=re.escape(f"'{name}'")):
            predict(result, new.drop(columns=name))


def check_simulate(result: Result, *_: Any) -> None:
    draws = simulate(result, 3, rng=11)
    assert draws.shape == (3, len(result.frame))
    assert np.isfinite(draws).all()
    assert np.array_equal(draws, simulate(result, 3, rng=11))
    assert not np.array_equal(draws, simulate(result, 3, rng=12))


def check_data_untouched(_: Result, model: Any, data: pd.DataFrame, new: pd.DataFrame) -> None:
    before = data.copy(deep=True)
    again = model.fit(data)
    predict(again, data)
    again.frame.iloc[:, 0] = again.frame.iloc[0, 0]
    pd.testing.assert_frame_equal(data, before)


def check_repeatable(result: Result, model: Any, data: pd.DataFrame, *_: Any) -> None:
    for first, second in zip(_frames(result), _frames(model.fit(data)), strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)


def check_frozen(result: Result, model: Any, *_: Any) -> None:
    for value in (result, model, result.state):
        name = fields(value)[0].name
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)
    assert model == replace(model)
    assert hash(model) == hash(replace(model))
    for method in (result.tidy, result.glance, result.augment):
        expected, mine = method(), method()
        for name in mine.select_dtypes("number"):
            mine.loc[:, name] = 0
        pd.testing.assert_frame_equal(method(), expected)


def check_apa(result: Result, *_: Any) -> None:
    fixed = result.tidy().query("component in ('fixed', 'hazard')")
    for row in fixed.itertuples():
        sentence = result.apa(row.term)
        assert sentence.startswith("b = ")
        assert "nan" not in sentence
        if np.isfinite(row.p_value):
            assert re.search(r"p (= \.\d{3}|[<>] \.\d{3})$", sentence), sentence
    with pytest.raises(AllianceError, match="is not a term") as raised:
        result.apa("no such term")
    assert all(term in str(raised.value) for term in fixed["term"])


def _predictors(result: Result) -> list[str]:
    """Columns that a prediction reads: of the fixed part, and of the random effects where there are any."""
    designs = [design for grouping in getattr(result.state, "groupings", ()) for design in grouping.designs]
    return list(dict.fromkeys(name for design in (result.state.design, *designs) for name in design.variables))


def _groups(result: Result) -> list[str]:
    """Columns of grouping factors."""
    groupings = getattr(result.state, "groupings", ())
    return list(dict.fromkeys(part for grouping in groupings for part in grouping.parts))


def _raw(names: Iterable[str], result: Result, new: pd.DataFrame) -> list[str]:
    """Those of the names that the new rows hold and that no preparing step uses as a key."""
    keys = {
        key for step in result.state.steps for key in (step.time, *([step.by] if isinstance(step.by, str) else step.by))
    }
    return [name for name in names if name in new.columns and name not in keys]


def _frames(result: Result) -> tuple[pd.DataFrame, ...]:
    return result.tidy(), result.glance(), result.augment(), result.covariance


CHECKS: tuple[Callable[..., None], ...] = (
    check_tidy, check_p_values_and_intervals, check_glance, check_augment, check_text, check_html, check_notes,
    check_covariance, check_pickle, check_predict_own_rows, check_predict_new_rows, check_predict_missing,
    check_predict_unknown_level, check_predict_new_groups, check_predict_absent_column, check_simulate,
    check_data_untouched, check_repeatable, check_frozen, check_apa,
)  # fmt: skip
