"""Patients' own paths drawn: what is drawn, what the legend says, and that it can be read at one column and two."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from seen import assert_readable

from alliance_stats import DataError, Result
from alliance_stats.inference.multilevel_paths import patient_paths
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.render import figures
from alliance_stats.render.described import alt_text


@cache
def fitted(slopes: float = 0.4) -> Result:
    rng = np.random.default_rng(1)
    p = np.repeat(np.arange(90), 7)
    own = slopes * rng.normal(size=(90, 2))[p]
    x = rng.normal(size=len(p))
    m = (0.5 + own[:, 0]) * x + rng.normal(size=len(p))
    y = (0.4 + own[:, 1]) * m + rng.normal(size=len(p))
    data = pd.DataFrame({"patient": p, "practice": x, "alliance": m, "relief": y})
    return MultilevelMediation("practice", "alliance", "relief", random=("a", "b"), interval="delta").fit(data)


@pytest.mark.parametrize("width", [85, 174])
@pytest.mark.parametrize("ylabel", [None, "Relief (points of 100) for one more session of practice"])
def test_patient_paths_are_readable(width, ylabel):
    ax = figures.canvas(width, 95)[0]
    assert_readable(figures.patient_paths(patient_paths(fitted()), fitted().tidy(), ax=ax, ylabel=ylabel))


def test_every_patient_has_a_line_until_there_are_too_many():
    frame = patient_paths(fitted())
    lines = figures.patient_path_lines(frame)
    assert len(lines) == 90
    assert lines["indirect"].is_monotonic_increasing
    drawn = [line for line in figures.patient_paths(frame, most=200).lines if len(line.get_xdata()) == 3]
    assert np.allclose([line.get_ydata() for line in drawn], lines.to_numpy())
    few = figures.patient_paths(frame, most=30)
    assert sum(len(line.get_xdata()) == 3 for line in few.lines) == 30
    assert few.get_legend().get_texts()[0].get_text() == "patient (n = 90, 30 drawn)"


def test_average_and_words_are_those_of_the_fit():
    result = fitted()
    ax = figures.patient_paths(patient_paths(result), result.tidy())
    row = result.tidy().set_index("term").loc["indirect_within"]
    assert ax.get_legend().get_texts()[-1].get_text().startswith(f"{row.estimate:.3f} [")
    assert ax.collections[0].get_paths()[0].vertices[:, 0].min() > 2
    told = alt_text(ax)
    assert "90 patients" in told
    assert f"{row.estimate:.3f} [" in told
    plain = figures.patient_paths(patient_paths(result))
    assert len(plain.get_legend().get_texts()) == 2


def test_patients_with_the_same_effect_have_marks_and_no_distribution():
    frame = pd.DataFrame({"term": ["a", "b", "indirect"] * 3, "at": list("111222333"), "estimate": [0.5, 0.4, 0.2] * 3})
    assert not [c for c in figures.patient_paths(frame).collections if len(c.get_paths()[0].vertices) > 100]


def test_other_frames_are_refused():
    frame = patient_paths(fitted())
    with pytest.raises(DataError, match="no 'b'"):
        figures.patient_paths(frame[frame["term"] != "b"])
    with pytest.raises(DataError, match="two rows of one path"):
        figures.patient_paths(pd.concat([frame, frame]))
    with pytest.raises(DataError, match="two or more"):
        figures.patient_paths(frame[frame["at"] == "1"])
    with pytest.raises(DataError, match="average has 0 rows"):
        figures.patient_paths(frame, fitted().tidy().query("term == 'a_within'"))
