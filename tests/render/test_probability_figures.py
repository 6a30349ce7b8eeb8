"""Expected shares, effects on them, therapists side by side, calibration and rootogram."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from seen import assert_readable, texts_of

from alliance_stats.errors import DataError
from alliance_stats.render import figures
from alliance_stats.render.described import alt_text, figure_data


def curve_of(by: bool = False) -> pd.DataFrame:
    x = np.linspace(2, 7, 20)
    lines = [
        pd.DataFrame({"alliance": x, "arm": arm, "fitted": 1 / (1 + np.exp(-shift - 0.6 * (x - 5)))})
        for arm, shift in (("enhanced", 0.5), ("usual care", 0.0))[: 1 + by]
    ]
    return pd.concat(lines, ignore_index=True).assign(
        conf_low=lambda d: d.fitted * 0.8, conf_high=lambda d: d.fitted**0.7
    )


def patients(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    alliance = np.clip(np.round(5.6 + rng.normal(0, 1.3, n), 1), 2, 7)
    share = np.round(rng.beta(3, 2, n) * 12) / 12
    return pd.DataFrame(
        {"alliance": alliance, "arm": np.where(np.arange(n) % 2, "enhanced", "usual care"), "share": share}
    )


def effect() -> pd.DataFrame:
    x = np.linspace(2, 7, 21)
    frame = pd.DataFrame({"alliance": x, "estimate": 0.02 + 0.01 * x})
    frame = frame.assign(conf_low=frame.estimate - 0.06, conf_high=frame.estimate + 0.06)
    return frame.assign(significant=frame.conf_low > 0)


def groups_of(n: int, unit: str = "share") -> pd.DataFrame:
    estimate = np.linspace(0.2, 0.85, n) * (1 if unit == "share" else 10)
    reach, middle = (0.12, 0.55) if unit == "share" else (1.2, 5.5)
    frame = pd.DataFrame({"group": "therapist", "at": [f"therapist_{k + 1}" for k in range(n)], "term": "Intercept"})
    return frame.assign(
        estimate=estimate, conf_low=estimate - reach, conf_high=estimate + reach, reference=middle, unit=unit
    )


def bins() -> pd.DataFrame:
    p = np.linspace(0.25, 0.8, 8)
    frame = pd.DataFrame({"predicted": p, "observed": p + 0.04 * np.sin(9 * p), "n_rows": [20, 21] * 4})
    return frame.assign(conf_low=frame.observed - 0.09, conf_high=frame.observed + 0.09)


def counts() -> pd.DataFrame:
    expected = 60 * np.exp(-((np.arange(17) - 8) ** 2) / 30)
    frame = pd.DataFrame({"count": np.arange(17), "observed": np.r_[14, np.round(expected[1:])], "expected": expected})
    return frame.assign(expected_low=np.floor(expected * 0.6), expected_high=np.ceil(expected * 1.4) + 1)


DRAW = {
    "outcome": lambda ax=None: figures.outcome_curve(
        curve_of(), x="alliance", ceiling=7, ax=ax, ylabel="sessions completed"
    ),
    "outcome_raw": lambda ax=None: figures.outcome_curve(
        curve_of(), patients(), x="alliance", y="share", ceiling=7, ax=ax, ylabel="sessions completed of those assigned"
    ),
    "outcome_by": lambda ax=None: figures.outcome_curve(
        curve_of(by=True), patients(), x="alliance", by="arm", y="share", ceiling=7, ax=ax
    ),
    "effect": lambda ax=None: figures.effect_curve(
        effect(), x="alliance", observed=patients()["alliance"], ceiling=7, ax=ax
    ),
    "groups": lambda ax=None: figures.group_outcomes(groups_of(12), ax=ax),
    "groups_many": lambda ax=None: figures.group_outcomes(groups_of(120), ax=ax),
    "groups_counts": lambda ax=None: figures.group_outcomes(groups_of(8, "count"), ax=ax),
    "calibration": lambda ax=None: figures.calibration(bins(), ax=ax),
    "rootogram": lambda ax=None: figures.rootogram(counts(), ax=ax, xlabel="sessions completed"),
}


@pytest.fixture(params=list(DRAW))
def draw(request):
    return DRAW[request.param]


@pytest.mark.parametrize("size", [None, (85, 110), (174, 120)])
def test_every_text_is_inside_the_figure_and_free(draw, size):
    ax = None if size is None else figures.canvas(*size)[0]
    drawn = draw(ax)
    assert ax is None or drawn is ax
    assert len(plt.get_fignums()) == 1
    assert_readable(drawn)


def test_house_look(draw):
    before = dict(mpl.rcParams)
    ax = draw()
    assert dict(mpl.rcParams) == before
    assert ax.get_title() == ""
    assert round(ax.figure.get_figwidth() * 25.4) == 85
    assert {text.get_fontsize() for text in texts_of(ax)} == {8.0}


def test_same_bytes_each_time_whatever_the_users_settings(draw):
    svg = figures.as_svg(draw())
    with plt.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "black"}):
        assert figures.as_svg(draw()) == svg


def test_words_and_rows_for_those_who_do_not_see_it(draw):
    ax = draw()
    assert len(alt_text(ax)) > 60
    assert "nan" not in alt_text(ax)
    assert len(figure_data(ax)) > 0


def legend_of(ax):
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


def test_the_curve_is_in_per_cent_and_the_ceiling_is_told():
    ax = DRAW["outcome_raw"]()
    raw = patients()
    top = (raw["alliance"] == 7).mean()
    assert legend_of(ax) == [f"expected ({100 * top:.0f} % at maximum)"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    assert [text.get_text() for text in ax.texts] == ["scale maximum (7)"]
    line = next(line for line in ax.lines if len(line.get_xdata()) == 20)
    assert np.allclose(line.get_ydata(), curve_of()["fitted"])
    cloud = next(c for c in ax.collections if isinstance(c, PathCollection))
    assert len(cloud.get_offsets()) == len(raw)
    low, high = ax.get_ylim()
    assert low < 0
    assert high > 1, "points at 0 and 100 % are whole"


def test_ratings_keep_their_own_axis():
    rows = curve_of().assign(
        **{name: lambda d, name=name: 1 + 4 * d[name] for name in ("fitted", "conf_low", "conf_high")}
    )
    ax = figures.outcome_curve(rows, x="alliance", share=False, ylabel="mean rating (1–5)")
    assert not any("%" in label.get_text() for label in ax.get_yticklabels())
    with pytest.raises(DataError, match="of counts and ratings use share=False"):
        figures.outcome_curve(rows, x="alliance")


def test_effects_are_in_percentage_points():
    ax = DRAW["effect"]()
    ax.figure.canvas.draw()
    ticks = [label.get_text() for label in ax.get_yticklabels()]
    assert "5" in ticks
    assert "scale maximum (7)" in [text.get_text() for text in ax.texts]
    assert "interval excludes 0: 4.25 to 7.00" in legend_of(ax)[1]
    assert "between 4.00 and 9.00" in alt_text(ax)
    plain = figures.effect_curve(effect(), x="alliance", share=False)
    plain.figure.canvas.draw()
    assert "0.050" in [label.get_text() for label in plain.get_yticklabels()]


def test_therapists_stand_at_their_share():
    ax, rows = DRAW["groups"](), groups_of(12)
    ticks = {text.get_text(): place for text, place in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)}
    assert ticks["40 %"] + 0.55 == pytest.approx(0.4)
    segments = [path for c in ax.collections if isinstance(c, LineCollection) for path in c.get_segments()]
    lowest = min(segments, key=lambda path: path[0][1])
    assert np.allclose(lowest[:, 0] + 0.55, [rows["conf_low"].iloc[0], rows["conf_high"].iloc[0]])
    outside = int(((rows["conf_low"] > 0.55) | (rows["conf_high"] < 0.55)).sum())
    assert legend_of(ax) == [
        f"interval excludes 55 % ({outside} of 12)",
        f"interval includes 55 % ({12 - outside} of 12)",
    ]
    assert ax.get_yticklabels()[0].get_text() == "therapist 1"
    assert figure_data(ax)["estimate"].iloc[0] == pytest.approx(0.2)
    assert "therapist" in ax.get_xlabel()
    assert legend_of(DRAW["groups_counts"]())[0].startswith("interval excludes 5.50 (")


def test_ticks_stay_between_nothing_and_everything():
    rows = groups_of(6).assign(conf_low=0.01, conf_high=0.99)
    ax = figures.group_outcomes(rows)
    values = np.asarray(ax.get_xticks()) + 0.55
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-9


def test_therapists_who_do_not_differ():
    rows = groups_of(5).assign(estimate=0.55, conf_low=0.55, conf_high=0.55)
    ax = figures.group_outcomes(rows)
    assert legend_of(ax) == ["variance estimated as zero: all are 55 %"]
    assert_readable(ax)


def test_bins_and_the_line_on_which_they_agree():
    ax = DRAW["calibration"]()
    assert legend_of(ax) == ["observed in 8 bins of 20 to 21 rows, with interval", "observed = predicted"]
    diagonal, dots = ax.lines
    assert np.allclose(diagonal.get_xdata(), diagonal.get_ydata())
    assert np.allclose(dots.get_xydata(), bins()[["predicted", "observed"]])
    assert ax.get_xlim() == ax.get_ylim()
    with pytest.raises(DataError, match="share=False"):
        figures.calibration(bins() * 10)
    wide = figures.calibration(bins() * 10, share=False)
    assert not any("%" in label.get_text() for label in wide.get_xticklabels())


def test_bars_and_points_on_the_square_root():
    ax, rows = DRAW["rootogram"](), counts()
    assert [bar.get_height() for bar in ax.patches] == rows["observed"].tolist()
    assert np.allclose(ax.lines[0].get_ydata(), rows["expected"])
    assert ax.get_yscale() == "function"
    assert "1 of 17 counts lie outside 95 % of the simulations: 0." in alt_text(ax)
    heights = ax.transData.transform([(0, 0), (0, 16), (0, 64)])[:, 1]
    assert heights[2] - heights[0] == pytest.approx(2 * (heights[1] - heights[0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda f: figures.outcome_curve(f, x="x"), lambda f: figures.effect_curve(f, x="x"), figures.group_outcomes,
        figures.calibration, figures.rootogram,
    ],
)  # fmt: skip
def test_empty_frames_and_absent_columns_say_so(call):
    names = [
        "x", "fitted", "conf_low", "conf_high", "estimate", "significant", "group", "at", "term", "reference", "unit",
        "predicted", "observed", "n_rows", "count", "expected", "expected_low", "expected_high",
    ]  # fmt: skip
    with pytest.raises(DataError, match="no rows"):
        call(pd.DataFrame({name: pd.Series(dtype=float) for name in names}))
    with pytest.raises(DataError, match="no column"):
        call(pd.DataFrame({"other": [1]}))
    assert not plt.get_fignums(), "no figure is left behind by an error"


def test_several_references_are_refused():
    both = pd.concat([groups_of(3), groups_of(3).assign(reference=0.4)])
    with pytest.raises(DataError, match="'reference' has several values"):
        figures.group_outcomes(both)
