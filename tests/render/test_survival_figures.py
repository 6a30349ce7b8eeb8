"""Survival, cumulative incidence and hazards: what is drawn is the frame, readable at both widths of a journal."""

from __future__ import annotations

from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from seen import assert_readable, boxes_of

from alliance_stats.errors import DataError
from alliance_stats.inference.survival_curves import aalen_johansen, kaplan_meier, landmark_curves
from alliance_stats.render import figures

LONG = {"exercise": "exercise under supervision of a physiotherapist", "usual care": "usual care of the family doctor"}


@cache
def patients(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    arm = np.where(np.arange(n) % 2, "usual care", "exercise")
    time = rng.geometric(np.where(arm == "exercise", 0.05, 0.09))
    status = np.where(time >= 12, "completed", np.where(rng.random(n) < 0.4, "better", "not better"))
    alliance = np.clip(np.round(rng.normal(5.7, 1.2, n), 1), 2, 7)
    frame = {"time": np.minimum(time, 12), "status": status, "dropped": (status != "completed").astype(int), "arm": arm}
    return pd.DataFrame({**frame, "long": [LONG[a] for a in arm], "alliance": alliance})


@cache
def km(by: str | None = "arm") -> pd.DataFrame:
    return kaplan_meier(patients(), "Surv(time, dropped)", by=by)


@cache
def incidence(by: str | None = None) -> pd.DataFrame:
    return aalen_johansen(patients(), "Surv(time, status)", by=by)


@cache
def chance() -> pd.DataFrame:
    x = np.linspace(2, 7, 30)
    parts = []
    for arm, slope in (("exercise", 0.7), ("usual care", 0.5)):
        low, mid, high = (1 / (1 + np.exp(-(slope * x - k))) for k in (2.5, 2.0, 1.5))
        parts.append(pd.DataFrame({"alliance": x, "arm": arm, "fitted": mid, "conf_low": low, "conf_high": high}))
    return pd.concat(parts, ignore_index=True)


def raw() -> pd.DataFrame:
    return patients().assign(completed=1 - patients()["dropped"])


DRAW = {
    "survival": lambda ax: figures.survival(km(), ax=ax),
    "one group": lambda ax: figures.survival(km(None), ax=ax),
    "long names": lambda ax: figures.survival(km("long"), ax=ax),
    "incidence": lambda ax: figures.cumulative_incidence(incidence(), ax=ax),
    "incidence by arm": lambda ax: figures.cumulative_incidence(
        incidence("arm"), causes=["better", "not better"], ax=ax
    ),
    "hazard": lambda ax: figures.session_hazard(figures.session_hazards(km()), ax=ax),
    "reference": lambda ax: figures.reference_hazard(
        figures.session_hazard(figures.session_hazards(km()), ax=ax), 0.028, "printed hazard, .028"
    ),
    "completion": lambda ax: figures.completion(chance(), raw(), by="arm", ceiling=7, ax=ax),
}


@pytest.mark.parametrize("width", [85, 174])
@pytest.mark.parametrize("name", DRAW)
def test_everything_is_readable_at_both_widths(name, width):
    assert_readable(DRAW[name](figures.canvas(width, 90)[0]))


@pytest.mark.parametrize("name", ["survival", "incidence", "hazard", "completion"])
def test_a_figure_of_its_own_is_readable_and_leaves_matplotlib_alone(name):
    before = dict(mpl.rcParams)
    ax = DRAW[name](None)
    assert_readable(ax)
    assert dict(mpl.rcParams) == before
    assert ax.get_position().height * ax.figure.get_size_inches()[1] * 25.4 > 35


def test_the_numbers_under_the_axis_are_those_at_risk():
    times = [0, 3, 6, 12]
    ax = figures.survival(km(), times=times)
    data = patients()
    for arm in ("exercise", "usual care"):
        expected = [int(((data["arm"] == arm) & (data["time"] >= max(t, 1))).sum()) for t in times]
        found = figures.at_risk(km(), times).query("group == @arm")["n_risk"].tolist()
        assert found == expected
    drawn = [text.get_text() for text in ax.texts]
    assert drawn == ["At risk", *(
        str(item) for arm in ("exercise", "usual care")
        for item in (arm, *figures.at_risk(km(), times).query("group == @arm")["n_risk"])
    )]  # fmt: skip
    boxes = boxes_of(ax)
    for text, box in boxes.items():
        if text in ax.texts:
            assert box.y1 < ax.xaxis.label.get_window_extent().y0 + 1  # under the label of the axis


def test_numbers_stand_under_their_ticks():
    ax = figures.survival(km(None), times=[0, 6, 12])
    boxes = boxes_of(ax)
    numbers = [box for text, box in boxes.items() if text in ax.texts and text.get_text() != "At risk"]
    middles = [(box.x0 + box.x1) / 2 for box in numbers]
    np.testing.assert_allclose(middles, [ax.transData.transform((t, 0))[0] for t in (0, 6, 12)], atol=1.5)


def test_after_the_last_time_nobody_is_at_risk_and_between_times_the_next_counts():
    frame = pd.DataFrame({"group": "all", "time": [2.0, 5.0], "n_risk": [9, 4]})
    assert figures.at_risk(frame, [0, 2, 2.5, 5, 5.5])["n_risk"].tolist() == [9, 9, 4, 4, 0]


def test_the_steps_drawn_are_the_curve_from_its_start():
    ax = figures.survival(km(None))
    line = ax.lines[0]
    rows = km(None)
    np.testing.assert_allclose(line.get_xdata(), [0, *rows["time"]])
    np.testing.assert_allclose(line.get_ydata(), [1, *rows["survival"]])
    assert line.get_drawstyle() == "steps-post"
    with pytest.raises(DataError, match="start=3 lies after the first time"):
        figures.survival(km(None), start=3)


def test_landmark_curves_start_at_the_landmark():
    curves = landmark_curves(patients(), "Surv(time, dropped)", landmark=2, alliance="alliance", cuts=[5.0, 6.5])
    ax = figures.survival(curves, start=2)
    assert ax.get_xlim()[0] == 2
    assert len(ax.get_legend().get_texts()) == 3
    assert_readable(ax)


def test_censored_patients_are_ticks_on_their_curve():
    frame = pd.DataFrame({"time": [1, 2, 2, 3, 4], "dropped": [1, 0, 1, 0, 1]})
    ax = figures.survival(kaplan_meier(frame, "Surv(time, dropped)"))
    ticks = [line for line in ax.lines if line.get_marker() == "|"]
    assert [list(t.get_xdata()) for t in ticks] == [[2.0, 3.0]]


def test_a_survival_of_zero_has_a_curve_without_a_band_at_its_end():
    frame = pd.DataFrame({"time": [1, 2, 3], "dropped": [1, 1, 1]})
    ax = figures.survival(kaplan_meier(frame, "Surv(time, dropped)"))
    assert ax.lines[0].get_ydata()[-1] == 0
    assert_readable(ax)


def test_incidences_of_all_causes_add_up_and_unknown_causes_are_named():
    ax = figures.cumulative_incidence(incidence())
    ends = [line.get_ydata()[-1] for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert sum(ends) == pytest.approx(1)
    with pytest.raises(DataError, match="no cause 'moved away'; causes: better, completed, not better"):
        figures.cumulative_incidence(incidence(), causes=["moved away"])


def test_hazards_are_shares_with_wilsons_interval():
    found = figures.session_hazards(km(None))
    for row in found.itertuples():
        expected = binomtest(row.n_event, row.n_risk).proportion_ci(method="wilson")
        np.testing.assert_allclose([row.conf_low, row.conf_high], [expected.low, expected.high], atol=1e-12)
        assert row.hazard == row.n_event / row.n_risk
    assert (1 - found["hazard"]).cumprod().tolist() == pytest.approx(km(None)["survival"].tolist())
    with pytest.raises(DataError, match="without anybody at risk"):
        figures.session_hazards(pd.DataFrame({"group": "a", "time": [1], "n_risk": [0], "n_event": [0]}))


def test_groups_of_hazards_stand_beside_each_other():
    ax = figures.session_hazard(figures.session_hazards(km()))
    a, b = (line.get_xdata() for line in ax.lines)
    np.testing.assert_allclose(np.asarray(b) - np.asarray(a), 0.16)


def test_completion_marks_the_ceiling_and_says_who_is_there():
    ax = figures.completion(chance(), raw(), by="arm", ceiling=7)
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    share = (patients()["alliance"] == 7).mean()
    assert entries[-1] == f"{100 * share:.0f} % at the scale maximum"
    assert entries[2] == f"completed ({int(raw()['completed'].sum())})"
    assert "scale maximum (7)" in [text.get_text() for text in ax.texts]


def test_what_is_no_probability_and_no_yes_or_no_is_refused():
    with pytest.raises(DataError, match="must be probabilities"):
        figures.completion(chance().assign(conf_high=1.2), by="arm")
    with pytest.raises(DataError, match="1 \\(completed\\) or 0"):
        figures.completion(chance(), raw().assign(completed=2), by="arm")
    with pytest.raises(DataError, match="go"):
        figures.completion(chance(), raw(), by="arm", ceiling=6)
    with pytest.raises(DataError, match="survival"):
        figures.survival(pd.DataFrame({"time": [1.0]}))
