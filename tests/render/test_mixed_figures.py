"""Figures of mixed models: caterpillars, courses of patients, residuals, slopes within and between patients."""

from __future__ import annotations

from functools import cache

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from scipy.stats import binom
from seen import assert_readable, boxes_of, texts_of

from alliance_stats import Centre, LinearModel, MixedModel, curve, random_effects
from alliance_stats.errors import DataError
from alliance_stats.inference.displays import (
    contextual_effect,
    residuals,
    standardised_random_effects,
    within_between,
)
from alliance_stats.render import figures
from alliance_stats.render.caterpillar_rows import interval_name

RANDOM = "(1 + week | patient) + (1 + alliance_within | therapist)"
TEXT = "pain ~ alliance_within + alliance_between + week * arm + "


@cache
def course(patients: int = 120, therapists: int = 24, weeks: int = 6, seed: int = 5) -> pd.DataFrame:
    """A trial with weekly ratings; one outcome in twenty is missing."""
    rng = np.random.default_rng(seed)
    n = patients * weeks
    patient, week = np.repeat(np.arange(patients), weeks), np.tile(np.arange(float(weeks)), patients)
    therapist, arm = patient % therapists, np.where(patient % 2 == 0, "usual care", "exercise")
    mean = np.clip(rng.normal(5.2, 0.8, patients), 2, 6.6)[patient]
    alliance = np.clip(mean + rng.normal(0, 0.6, n), 1, 7).round(2)
    pain = 6 - 0.15 * week - 0.2 * week * (arm == "exercise") + rng.normal(0, 1, patients)[patient]
    pain += rng.normal(0, 0.12, patients)[patient] * week + rng.normal(0, 0.5, therapists)[therapist]
    pain += rng.normal(-0.3, 0.25, therapists)[therapist] * (alliance - mean) - 0.8 * (mean - 5) + rng.normal(0, 0.9, n)
    names = {"patient": [f"P{k:03d}" for k in patient], "therapist": [f"therapist_{k + 1}" for k in therapist]}
    frame = pd.DataFrame({**names, "arm": arm, "week": week, "alliance": alliance, "pain": pain})
    frame.loc[rng.random(n) < 0.05, "pain"] = np.nan
    return Centre("alliance", by="patient", time="week")(frame)


@cache
def fit(random: str = RANDOM, residual_by: str | None = None):
    return MixedModel(TEXT + random, residual_by=residual_by).fit(course())


def effects_of(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    estimate = rng.normal(size=n)
    frame = pd.DataFrame({"group": "therapist", "at": [f"T{k:03d}" for k in range(n)], "term": "Intercept"})
    return frame.assign(estimate=estimate, conf_low=estimate - 0.8, conf_high=estimate + 0.8)


def draw_all():
    frame, slopes, effects = residuals(fit()), within_between(fit(), "alliance"), contextual_effect(fit(), "alliance")
    lines, by_arm = curve(fit(), "week"), curve(fit(), "week", by="arm")
    modes, many = random_effects(fit(), "therapist"), effects_of(300)
    names = {"x": "week", "y": "pain"}
    return {
        "caterpillar": lambda ax=None: figures.caterpillar(modes, term="Intercept", ax=ax),
        "caterpillar_many": lambda ax=None: figures.caterpillar(many, ax=ax),
        "trajectories": lambda ax=None: figures.trajectories(lines, course(), **names, ax=ax),
        "trajectories_by": lambda ax=None: figures.trajectories(by_arm, fit().augment(), **names, by="arm", ax=ax),
        "trajectories_fitted": lambda ax=None: figures.trajectories(
            lines, fit().augment(), **names, fitted=True, ax=ax
        ),
        "curve_alone": lambda ax=None: figures.trajectories(by_arm, x="week", by="arm", ax=ax),
        "residuals_fitted": lambda ax=None: figures.residuals_fitted(frame, ax=ax),
        "residuals_by": lambda ax=None: figures.residuals_fitted(frame, column="standardised", by="arm", ax=ax),
        "quantiles": lambda ax=None: figures.quantiles(figures.normal_quantiles(frame["studentised"]), ax=ax),
        "within_between": lambda ax=None: figures.within_between(slopes, effects, x="alliance", y="pain", ax=ax),
    }


NAMES = [
    "caterpillar", "caterpillar_many", "trajectories", "trajectories_by", "trajectories_fitted", "curve_alone",
    "residuals_fitted", "residuals_by", "quantiles", "within_between",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def draw(request):
    return draw_all()[request.param]


def legend_of(ax):
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


def lines_in(ax):
    return [path for c in ax.collections if isinstance(c, LineCollection) for path in c.get_segments()]


def clouds_in(ax):
    return [c for c in ax.collections if isinstance(c, PathCollection)]


# what holds for each of them


def test_every_figure_is_tried():
    assert list(draw_all()) == NAMES


@pytest.mark.parametrize("size", [None, (85, 110), (174, 150)])
def test_every_text_is_inside_the_figure_and_free(draw, size):
    ax = None if size is None else figures.canvas(*size)[0]
    drawn = draw(ax)
    assert ax is None or drawn is ax
    assert len(plt.get_fignums()) == 1
    assert_readable(drawn)


def test_readable_side_by_side(draw):
    assert_readable(draw(figures.canvas(2 * 174, 150, columns=2)[1]))


def test_house_look(draw):
    before = dict(mpl.rcParams)
    ax = draw()
    assert dict(mpl.rcParams) == before
    assert ax.get_title() == ""
    assert round(ax.figure.get_figwidth() * 25.4) == 85
    assert [ax.spines[side].get_visible() for side in ("top", "right")] == [False, False]
    assert {text.get_fontsize() for text in texts_of(ax)} == {8.0}


def test_same_bytes_each_time_whatever_the_users_settings(draw):
    first = draw()
    svg = figures.as_svg(first)
    assert svg == figures.as_svg(first), "a second writing differs"
    with plt.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "black", "lines.marker": "x"}):
        assert figures.as_svg(draw()) == svg


@pytest.mark.parametrize(
    "call",
    [
        figures.caterpillar, figures.caterpillars, figures.residuals_fitted, figures.quantiles,
        lambda f: figures.trajectories(f, x="x"), lambda f: figures.patient_lines(f, x="x", y="y"),
        lambda f: figures.within_between(f, effects_of(3), x="x", y="y"),
    ],
)  # fmt: skip
def test_empty_frames_and_absent_columns_say_so(call):
    names = [
        "group", "at", "term", "estimate", "conf_low", "conf_high", "fitted", "studentised", "theoretical", "observed",
        "level", "x", "y", "part", "patient",
    ]  # fmt: skip
    with pytest.raises(DataError, match="no rows"):
        call(pd.DataFrame({name: pd.Series(dtype=float) for name in names}))
    with pytest.raises(DataError, match="no column"):
        call(pd.DataFrame({"other": [1]}))
    assert not plt.get_fignums(), "no figure is left behind by an error"


# caterpillar


def test_caterpillar_rows_are_sorted_and_told():
    modes = random_effects(fit(), "therapist")
    rows = figures.caterpillar_rows(modes, term="Intercept")
    own = modes[modes["term"] == "Intercept"]
    assert rows["estimate"].tolist() == sorted(own["estimate"])
    assert rows["position"].tolist() == list(range(1, 25))
    assert rows["excludes_zero"].tolist() == (rows["conf_low"] * rows["conf_high"] > 0).tolist()
    shuffled = figures.caterpillar_rows(modes.sample(frac=1, random_state=1), term="Intercept")
    pd.testing.assert_frame_equal(rows, shuffled)


def test_caterpillar_draws_the_rows():
    modes = random_effects(fit(), "therapist")
    rows = figures.caterpillar_rows(modes, term="Intercept")
    ax = figures.caterpillar(modes, term="Intercept")
    drawn = np.vstack([cloud.get_offsets() for cloud in clouds_in(ax)])
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, rows[["estimate", "position"]].to_numpy().tolist()))
    ends = sorted((s[0, 1], s[0, 0], s[1, 0]) for s in lines_in(ax))
    np.testing.assert_array_equal(ends, rows[["position", "conf_low", "conf_high"]])
    assert [label.get_text() for label in ax.get_yticklabels()] == [at.replace("_", " ") for at in rows["at"]]
    assert ax.lines[0].get_xdata() == [0, 0]
    outside = int(rows["excludes_zero"].sum())
    assert outside
    assert legend_of(ax) == [f"interval excludes 0 ({outside} of 24)", f"interval includes 0 ({24 - outside} of 24)"]
    assert ax.get_xlabel().replace("\n", " ") == (
        "Intercept: difference from the average therapist (conditional mode, 95 % interval)"
    )


def test_groups_off_zero_differ_by_fill_colour_and_line():
    inside, outside = clouds_in(figures.caterpillar(effects_of(20)))
    assert to_hex(inside.get_facecolors()[0]) == "#ffffff"
    assert (
        to_hex(outside.get_facecolors()[0]) == to_hex(outside.get_edgecolors()[0]) != to_hex(inside.get_edgecolors()[0])
    )
    widths = [c.get_linewidths()[0] for c in plt.gca().collections if isinstance(c, LineCollection)]
    assert widths[1] > widths[0]


@pytest.mark.parametrize("n", [1, 2, 40, 41, 300, 2000])
def test_names_up_to_forty_groups_and_a_count_beyond(n):
    ax = figures.caterpillar(effects_of(n))
    named = n <= 40
    assert len(ax.get_yticklabels()) == (n if named else 0)
    assert ax.get_ylabel().replace("\n", " ") == f"therapist ({n} groups{'' if named else ', names left out'})"
    assert sum(len(cloud.get_offsets()) for cloud in clouds_in(ax)) == n
    assert ax.figure.get_figheight() * 25.4 < 230, "fits on a page"
    assert_readable(ax)


def test_names_are_left_out_where_given_axes_have_no_room():
    ax = figures.caterpillar(effects_of(30), ax=figures.canvas(85, 80)[0])
    assert ax.get_ylabel().replace("\n", " ") == "therapist (30 groups, names left out)"
    assert_readable(ax)
    assert len(figures.caterpillar(effects_of(30), most=10).get_yticklabels()) == 0


def test_long_names_are_broken_without_overlap():
    long = effects_of(8).assign(at=lambda d: "physiotherapist of the university clinic number " + d["at"])
    ax = figures.caterpillar(long)
    assert_readable(ax)
    boxes = boxes_of(ax)
    assert max(boxes[label].width for label in ax.get_yticklabels()) < 0.36 * ax.figure.bbox.width


def test_a_variance_of_zero_is_said():
    data = pd.DataFrame({"therapist": np.repeat(range(10), 6), "y": np.tile([-1.0, 1, 0, 2, -2, 0], 10)})
    ax = figures.caterpillar(random_effects(MixedModel("y ~ 1 + (1 | therapist)").fit(data)))
    assert legend_of(ax) == ["variance estimated as zero: every difference is 0"]
    assert ax.get_xlim()[0] < 0 < ax.get_xlim()[1]
    assert_readable(ax)


def test_therapists_with_one_patient_are_drawn():
    data = course().drop_duplicates("therapist", keep="first")
    more = course()[course()["therapist"].isin(["therapist_1", "therapist_2", "therapist_3"])]
    rows = pd.concat([data, more]).drop_duplicates().dropna()
    ax = figures.caterpillar(random_effects(MixedModel("pain ~ week + (1 | therapist)").fit(rows)))
    assert len(ax.get_yticklabels()) == rows["therapist"].nunique() == 24


def test_panels_of_intercepts_and_slopes_have_one_order():
    modes = random_effects(fit(), "therapist")
    for width in (85, 174):
        left, right = figures.caterpillars(modes, width=width)
        order = [label.get_text() for label in left.get_yticklabels()]
        rows = figures.caterpillar_rows(modes, term="alliance_within", sort_by="Intercept")
        assert [name.replace("\n", " ") for name in order] == [at.replace("_", " ") for at in rows["at"]]
        drawn = np.vstack([cloud.get_offsets() for cloud in clouds_in(right)])
        assert drawn[np.argsort(drawn[:, 1]), 0].tolist() == rows["estimate"].tolist()
        assert not rows["estimate"].is_monotonic_increasing
        assert {label.get_text() for label in right.get_yticklabels()} == {""}
        assert [text.get_text() for text in left.figure.legends[0].get_texts()] == [
            "95 % interval excludes 0", "95 % interval includes 0",
        ]  # fmt: skip
        assert_readable(left)
        assert_readable(right)
        assert round(left.figure.get_figwidth() * 25.4) == width
    by_slope = figures.caterpillars(modes, sort_by="alliance_within")
    drawn = np.vstack([cloud.get_offsets() for cloud in clouds_in(by_slope[1])])
    assert (np.diff(drawn[np.argsort(drawn[:, 1]), 0]) > 0).all()


def test_panels_of_many_groups_and_of_a_zero_variance():
    many = pd.concat(
        [effects_of(300), effects_of(300, 2).assign(term="week", estimate=0.0, conf_low=0.0, conf_high=0.0)]
    )
    left, right = figures.caterpillars(many)
    assert "300 groups, names left out" in left.get_ylabel().replace("\n", " ")
    assert right.get_ylabel() == ""
    assert legend_of(right) == ["variance estimated as zero: every difference is 0"]
    assert_readable(left)
    assert_readable(right)


def test_caterpillar_choices_are_asked_for():
    crossed = random_effects(fit("(1 + week | patient) + (1 | therapist)"))
    with pytest.raises(DataError, match="column 'group' has patient, therapist; choose one with group="):
        figures.caterpillar(crossed)
    with pytest.raises(DataError, match="column 'term' has Intercept, week; choose one with term="):
        figures.caterpillar(crossed, group="patient")
    with pytest.raises(DataError, match="no term 'weak'; there are Intercept, week"):
        figures.caterpillar(crossed, group="patient", term="weak")
    with pytest.raises(DataError, match="'T000' has more than one row"):
        figures.caterpillar(pd.concat([effects_of(3), effects_of(3)]))
    with pytest.raises(DataError, match="2 groups have no estimate or interval"):
        figures.caterpillar(effects_of(5).assign(conf_low=lambda d: d["conf_low"].where(d["at"] > "T001")))
    with pytest.raises(DataError, match="1 groups have no row 'week' to sort by"):
        figures.caterpillar(
            pd.concat([effects_of(3), effects_of(2).assign(term="week")]), term="Intercept", sort_by="week"
        )
    fewer = pd.concat([effects_of(2), effects_of(3, 4).assign(term="week")])
    assert len(figures.caterpillar_rows(fewer, term="Intercept", sort_by="week")) == 2
    terms = pd.concat([effects_of(5).assign(term=term) for term in "abc"])
    with pytest.raises(DataError, match="3 panels do not fit into 85 mm"):
        figures.caterpillars(terms, width=85)
    assert not plt.get_fignums()
    assert figures.caterpillar(crossed, group="therapist").get_ylabel() == "therapist (24 groups)"


def test_the_level_of_an_interval_is_read_from_it():
    modes = random_effects(MixedModel("pain ~ week + (1 | therapist)", level=0.9).fit(course()))
    assert interval_name(modes) == "90 % interval"
    assert interval_name(contextual_effect(fit(), "alliance", level=0.99)) == "99 % interval"
    assert interval_name(modes.assign(interval="percentile")) == "interval"
    assert interval_name(modes.assign(conf_low=modes["conf_low"] - np.arange(24))) == "interval"
    assert interval_name(modes.assign(std_error=0.0)) == "interval"
    assert interval_name(effects_of(3)) == "interval"


# courses


def test_population_curves_and_bands_by_arm():
    by_arm = curve(fit(), "week", by="arm")
    ax = figures.trajectories(by_arm, x="week", by="arm")
    assert len(ax.lines) == 2
    for (_, part), line, band in zip(by_arm.groupby("arm", sort=False), ax.lines, ax.collections, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), part[["week", "fitted"]])
        edges = band.get_paths()[0].vertices[:, 1]
        assert (edges.min(), edges.max()) == (part["conf_low"].min(), part["conf_high"].max())
    looks = [(line.get_color(), line.get_marker(), str(line._unscaled_dash_pattern)) for line in ax.lines]
    assert all(one != other for one, other in zip(*looks, strict=True))
    assert legend_of(ax) == list(by_arm["arm"].unique())


def test_every_course_is_drawn_up_to_sixty_patients():
    raw = course()[course()["patient"] < "P060"]
    ax = figures.trajectories(curve(fit(), "week"), raw, x="week", y="pain")
    known = raw.dropna()
    paths = {tuple(map(tuple, path.tolist())) for path in lines_in(ax)}
    assert paths == {tuple(map(tuple, p[["week", "pain"]].to_numpy().tolist())) for _, p in known.groupby("patient")}
    points = np.vstack([cloud.get_offsets() for cloud in clouds_in(ax)])
    assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, known[["week", "pain"]].to_numpy().tolist()))
    assert legend_of(ax)[1:] == [
        "observed, one line a patient (60 patients)",
        f"{len(raw) - len(known)} of {len(raw)} rows incomplete, not drawn",
    ]


def test_a_sample_of_many_patients_is_counted_even_and_always_the_same():
    lines = figures.patient_lines(course(), x="week", y="pain", by="arm")
    drawn = lines[lines["drawn"]]
    assert drawn["line"].nunique() == 60
    assert drawn.drop_duplicates("line")["arm"].value_counts().to_dict() == {"usual care": 30, "exercise": 30}
    shuffled = figures.patient_lines(course().sample(frac=1, random_state=2), x="week", y="pain", by="arm")
    pd.testing.assert_frame_equal(lines, shuffled)
    for _, part in lines.groupby("arm"):
        means = part.groupby("line")["pain"].mean().rank()
        assert np.diff(sorted(means[part.loc[part["drawn"], "line"].unique()])).max() <= 3, "evenly over the range"
    ax = figures.trajectories(curve(fit(), "week", by="arm"), course(), x="week", y="pain", by="arm")
    assert len(lines_in(ax)) == 60
    assert legend_of(ax)[:3] == [
        "exercise (60 patients)", "usual care (60 patients)", "observed, one line a patient (60 of 120 patients drawn)",
    ]  # fmt: skip


def test_fitted_lines_with_observed_points():
    rows = fit().augment()
    ax = figures.trajectories(curve(fit(), "week"), rows, x="week", y="pain", fitted=True, most=500)
    paths = sorted(map(tuple, np.vstack(lines_in(ax)).tolist()))
    assert paths == sorted(map(tuple, rows[["week", "fitted"]].to_numpy().tolist()))
    points = np.vstack([cloud.get_offsets() for cloud in clouds_in(ax)])
    assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, rows[["week", "pain"]].to_numpy().tolist()))
    assert legend_of(ax)[1] == "fitted, one line a patient; points observed (120 patients)"


def test_an_arm_without_patients_and_patients_without_an_arm():
    by_arm = curve(fit(), "week", by="arm")
    raw = course().dropna()
    one = figures.trajectories(by_arm, raw[raw["arm"] == "exercise"], x="week", y="pain", by="arm")
    assert legend_of(one)[:2] == ["exercise (60 patients)", "usual care (no patients)"]
    lost = raw.assign(arm=raw["arm"].where(raw["patient"] != "P000"))
    ax = figures.trajectories(by_arm, lost, x="week", y="pain", by="arm")
    assert legend_of(ax)[1] == "usual care (59 patients)"
    assert legend_of(ax)[-1] == f"{(raw['patient'] == 'P000').sum()} of {len(raw)} rows incomplete, not drawn"
    with pytest.raises(DataError, match="column 'arm' of raw has 'usual care'"):
        figures.trajectories(by_arm[by_arm["arm"] == "exercise"], raw, x="week", y="pain", by="arm")


def test_one_observation_of_a_patient_is_a_point():
    raw = course().dropna().drop_duplicates("patient")
    ax = figures.trajectories(curve(fit(), "week"), raw, x="week", y="pain", most=200)
    assert sum(len(cloud.get_offsets()) for cloud in clouds_in(ax)) == 120


def test_courses_that_cannot_be_drawn_say_why():
    line, raw = curve(fit(), "week"), course()
    with pytest.raises(DataError, match="raw= needs y="):
        figures.trajectories(line, raw, x="week")
    with pytest.raises(DataError, match=r"several rows at one week; name the factor.*by="):
        figures.trajectories(curve(fit(), "week", by="arm"), raw, x="week", y="pain")
    with pytest.raises(DataError, match=r"fit.augment\(\): no column 'fitted'"):
        figures.trajectories(line, raw, x="week", y="pain", fitted=True)
    reused = raw.assign(case=raw["patient"].str[2:])
    with pytest.raises(DataError, match=r"patient 00 has several rows at week = 0; name all columns"):
        figures.trajectories(line, reused, x="week", y="pain", patient="case")
    both = figures.patient_lines(reused, x="week", y="pain", patient=("therapist", "case"))
    assert both["line"].nunique() == 120
    with pytest.raises(DataError, match="most is 0"):
        figures.patient_lines(raw, x="week", y="pain", most=0)
    with pytest.raises(DataError, match="no row has all of patient, week, pain"):
        figures.patient_lines(raw.assign(pain=np.nan), x="week", y="pain")
    assert not plt.get_fignums()


# residuals


@pytest.mark.parametrize("n", [3, 10, 11, 60, 1000])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_envelope_holds_each_order_statistic_by_itself(n, level):
    """The i-th smallest of n lies below x exactly if i or more do: P = 1 − F(i − 1), F binomial with Φ(x)."""
    frame = figures.normal_quantiles(np.random.default_rng(n).normal(size=n), level=level, sd=2)
    rank = np.arange(1, n + 1)
    from scipy.special import ndtr

    for column, probability in (("conf_low", (1 - level) / 2), ("conf_high", (1 + level) / 2)):
        below = binom.sf(rank - 1, n, ndtr(frame[column].to_numpy() / 2))
        assert below == pytest.approx(probability, rel=1e-8)
    assert frame["conf_low"].to_numpy() == pytest.approx(-frame["conf_high"].to_numpy()[::-1], rel=1e-9)
    shift = 3 / 8 if n <= 10 else 1 / 2
    assert ndtr(frame["theoretical"].to_numpy()) == pytest.approx((rank - shift) / (n + 1 - 2 * shift), rel=1e-12)
    assert (frame["normal"] == 2 * frame["theoretical"]).all()


def test_the_envelope_covers_normal_samples_at_its_level():
    """Each of 30 places of 2000 samples; the error of a share is sqrt(.95·.05/2000), four times for 30 places."""
    samples = np.sort(np.random.default_rng(2).normal(size=(2000, 30)), axis=1)
    frame = figures.normal_quantiles(samples[0])
    covered = ((samples >= frame["conf_low"].to_numpy()) & (samples <= frame["conf_high"].to_numpy())).mean(axis=0)
    assert np.abs(covered - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_quantiles_are_sorted_keep_their_rows_and_count_the_missing():
    values = pd.Series([0.5, np.nan, -2.0, 1.0], index=list("abcd"))
    frame = figures.normal_quantiles(values)
    assert list(frame.index) == ["c", "a", "d", "b"]
    assert frame["observed"].tolist()[:3] == [-2.0, 0.5, 1.0]
    ax = figures.quantiles(frame)
    (cloud,) = clouds_in(ax)
    np.testing.assert_array_equal(cloud.get_offsets(), frame[["theoretical", "observed"]].iloc[:3])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), frame[["theoretical", "normal"]].iloc[:3])
    assert legend_of(ax) == [
        "observed (n = 3)", "pointwise 95 % envelope (0 of 3 outside)", "normal distribution",
        "1 of 4 rows incomplete, not drawn",
    ]  # fmt: skip
    for values, message in (([1.0, 2.0], "2 values"), ([1.0, np.inf, 2, 3], "infinite"), ([np.nan] * 9, "0 values")):
        with pytest.raises(DataError, match=message):
            figures.normal_quantiles(values)
    with pytest.raises(DataError, match="sd is 0"):
        figures.normal_quantiles([1.0, 2, 3], sd=0)


def test_residuals_of_a_right_model_lie_in_the_envelope_and_skewed_ones_do_not():
    good = figures.normal_quantiles(residuals(fit())["studentised"])
    share = (~good["observed"].between(good["conf_low"], good["conf_high"])).mean()
    assert share < 0.1
    skewed = course().assign(pain=np.exp(course()["pain"] / 2))
    bad = figures.normal_quantiles(residuals(MixedModel(TEXT + "(1 | patient)").fit(skewed))["studentised"])
    assert (~bad["observed"].between(bad["conf_low"], bad["conf_high"])).mean() > 0.5


def test_quantiles_of_random_effects_and_of_a_zero_variance():
    frame = standardised_random_effects(fit(), "therapist")
    for term in ("Intercept", "alliance_within"):
        values = frame.loc[frame["term"] == term, "standardised"]
        assert_readable(figures.quantiles(figures.normal_quantiles(values), ylabel=f"{term} ÷ its SD"))
    data = pd.DataFrame({"therapist": np.repeat(range(10), 6), "y": np.tile([-1.0, 1, 0, 2, -2, 0], 10)})
    zero = standardised_random_effects(MixedModel("y ~ 1 + (1 | therapist)").fit(data))
    with pytest.raises(DataError, match="a variance of zero has none"):
        figures.normal_quantiles(zero["standardised"])


def test_residuals_by_arm_each_by_its_own_sigma():
    rng = np.random.default_rng(3)
    wide = course().assign(pain=lambda d: d["pain"] + rng.normal(0, 2, len(d)) * (d["arm"] == "exercise"))
    found = MixedModel(TEXT + "(1 | patient)", residual_by="arm").fit(wide)
    frame = residuals(found)
    assert frame.groupby("arm")["sigma"].nunique().tolist() == [1, 1]
    spread = frame.groupby("arm")["studentised"].std()
    assert abs(spread["exercise"] - spread["usual care"]) < 0.1 < 0.5 < np.ptp(frame.groupby("arm")["residual"].std())
    ax = figures.residuals_fitted(frame, by="arm")
    for cloud, (arm, part) in zip(clouds_in(ax), frame.groupby("arm", sort=False), strict=True):
        np.testing.assert_array_equal(cloud.get_offsets(), part[["fitted", "studentised"]])
        assert arm in ("usual care", "exercise")
    assert len({cloud.get_paths()[0].vertices.shape for cloud in clouds_in(ax)}) == 2
    far, n = int((frame["studentised"].abs() > 1.96).sum()), len(frame)
    assert legend_of(ax)[2:] == ["running median", f"±1.96: {far} of {n} beyond (5 % expected)"]


def test_residuals_of_a_linear_model_and_missing_ones():
    frame = residuals(LinearModel("pain ~ week + arm").fit(course()))
    ax = figures.residuals_fitted(frame)
    np.testing.assert_array_equal(clouds_in(ax)[0].get_offsets(), frame[["fitted", "studentised"]])
    median = figures.running_median(frame, y="studentised")
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), median[["fitted", "median"]])
    assert ax.get_ylabel() == "residual ÷ its SD"
    raw = figures.residuals_fitted(frame, column="standardised")
    assert raw.get_ylabel() == "residual ÷ σ"
    assert "expected" not in legend_of(raw)[2]
    gaps = figures.residuals_fitted(frame.assign(studentised=frame["studentised"].where(frame["week"] > 0)))
    lost = int((frame["week"] == 0).sum())
    assert legend_of(gaps)[-1] == f"{lost} of {len(frame)} rows incomplete, not drawn"
    with pytest.raises(DataError, match="every row is incomplete"):
        figures.residuals_fitted(frame.assign(studentised=np.nan))


# slopes within and between patients


def test_within_between_draws_means_segments_and_lines():
    frame, effects = within_between(fit(), "alliance"), contextual_effect(fit(), "alliance")
    ax = figures.within_between(frame, effects, x="alliance", y="pain", most=1000)
    parts = {name: part[["alliance", "pain"]].to_numpy() for name, part in frame.groupby("part")}
    np.testing.assert_array_equal(clouds_in(ax)[0].get_offsets(), parts["patient"])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), parts["between"])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), parts["within"])
    assert sorted(map(tuple, np.vstack(lines_in(ax)).tolist())) == sorted(map(tuple, parts["segment"].tolist()))
    styles = [(line.get_color(), line.get_marker(), str(line._unscaled_dash_pattern)) for line in ax.lines]
    assert all(one != other for one, other in zip(*styles, strict=True))
    assert len(lines_in(ax)) == 120


def test_the_legend_of_within_between_has_the_numbers():
    frame, effects = within_between(fit(), "alliance"), contextual_effect(fit(), "alliance")
    ax = figures.within_between(frame, effects, x="alliance", y="pain")
    numbers = figures.forest_rows(effects)["numbers"]
    assert legend_of(ax) == [
        "average slopes (95 % intervals); contextual = between − within",
        *(f"{name}: {text}" for name, text in zip(("between", "within", "contextual"), numbers, strict=True)),
        "patient's mean (n = 120)", "patients' own slopes (60 of 120 drawn)", "adjusted for week and arm",
    ]  # fmt: skip
    assert ax.get_ylabel() == "pain (adjusted)"
    assert len(lines_in(ax)) == 60
    assert ax.get_position().height * ax.figure.get_figheight() * 25.4 > 48
    shuffled = figures.within_between(frame, effects.iloc[::-1], x="alliance", y="pain")
    assert legend_of(shuffled) == legend_of(ax)


def test_an_interval_is_never_broken():
    effects = contextual_effect(fit(), "alliance")
    for name in ("estimate", "conf_low", "conf_high"):
        effects[name] *= 1000
    ax = figures.within_between(within_between(fit(), "alliance"), effects, x="alliance", y="pain")
    assert not [text for text in ax.get_legend().get_texts() if "[" in text.get_text() and "\n" in text.get_text()]
    assert_readable(ax)


def test_within_between_without_segments_or_other_predictors():
    plain = MixedModel("pain ~ alliance_within + alliance_between + (1 | patient)").fit(course())
    frame, effects = within_between(plain, "alliance"), contextual_effect(plain, "alliance")
    ax = figures.within_between(frame[frame["part"] != "segment"], effects, x="alliance", y="pain")
    assert legend_of(ax)[-1] == "patient's mean (n = 120)"
    assert ax.get_ylabel() == "pain"
    assert not lines_in(ax)


def test_within_between_errors():
    frame, effects = within_between(fit(), "alliance"), contextual_effect(fit(), "alliance")
    with pytest.raises(DataError, match="column 'part' has no 'between'"):
        figures.within_between(frame[frame["part"] != "between"], effects, x="alliance", y="pain")
    with pytest.raises(DataError, match="effects need one row 'contextual'; terms: between, within"):
        figures.within_between(frame, effects.iloc[:2], x="alliance", y="pain")
    with pytest.raises(DataError, match="no column 'bond'"):
        figures.within_between(frame, effects, x="bond", y="pain")
    assert not plt.get_fignums()
