"""The audit finds what published tables hold, and is silent on tables that are merely rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alliance_stats.errors import DataError
from alliance_stats.models.audit import ORDER, audit, audit_cells, audit_tests, audit_totals
from alliance_stats.models.audit.printed import Range, read_printed
from alliance_stats.models.summary import SummaryStatistics

GROUPS = ["AL", "SL", "AE", "SE"]
BY_LIMITS = SummaryStatistics(low="low", high="high")


def fuentes(means: list[float], low: list[float], high: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"group": GROUPS, "n": [30, 29, 29, 29], "mean": means, "low": low, "high": high})


PAIN = fuentes([18.3, 10.3, 31.4, 22.2], [14.3, 6.6, 27.2, 18.9], [20.3, 12.7, 33.3, 25.0])
PPT = fuentes([1.2, 0.3, 2.0, 1.7], [0.7, 0.2, 1.6, 1.3], [1.6, 0.8, 2.5, 2.1])
CHEN = pd.DataFrame(
    {
        "group": ["telehealth", "in person"],
        "n": [54, 73],
        "mean": ["5.13", "4.89"],
        "sd": [".71", ".64"],
        "low": ["4.96", "4.73"],
        "high": ["5.30", "5.05"],
    }
)


def findings(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    wrong = frame[frame["verdict"] == "inconsistent"]
    return list(wrong[["check", "item", "detail"]].itertuples(index=False, name=None))


def one(**row: Any) -> dict[str, str]:
    """The only row of the audit of one declared test."""
    frame = audit_tests([{"item": "test", **row}])
    assert len(frame) == 1
    return frame.iloc[0].to_dict()


# ---- published tables ----------------------------------------------------------------------------------------------


def test_fuentes_2014_pain_intervals_are_off_their_means_and_share_one_error_term():
    frame = BY_LIMITS.audit(PAIN, totals=[{"item": "patients", "parts": "30 + 29 + 29 + 29", "printed": 117}])
    assert findings(frame) == [
        ("interval centre", "group=AL", "the centre is 1.00 below the mean"),
        ("interval centre", "group=SL", "the centre is 0.65 below the mean"),
        ("interval centre", "group=AE", "the centre is 1.15 below the mean"),
        ("interval centre", "group=SE", "the centre is 0.25 below the mean"),
    ]
    centres = frame[frame["check"] == "interval centre"]
    assert centres["recomputed"].to_list() == ["17.30", "9.65", "30.25", "21.95"]
    widths = frame[frame["check"] == "half-widths"].iloc[0]
    assert widths["verdict"] == "consistent"
    assert widths["detail"] == "intervals look made with one pooled error term, SD about 8.29"
    assert frame[frame["check"] == "sum"]["verdict"].to_list() == ["consistent"]


def test_fuentes_2014_pressure_pain_interval_of_the_smallest_group_lost_a_minus_sign():
    frame = BY_LIMITS.audit(PPT)
    assert findings(frame) == [
        ("interval centre", "group=SL", "the centre is 0.20 above the mean; with low = −0.2 it is at the mean"),
        (
            "half-widths",
            "group=SL",
            "narrower than the others, which agree on one pooled error term, and off its mean; with low = −0.2 the "
            "interval is centred at the printed mean and as wide as the others: a lost minus sign is likely",
        ),
    ]
    assert findings(BY_LIMITS.audit(PPT.assign(low=[0.7, -0.2, 1.6, 1.3]))) == []


def test_fuentes_2014_abstract_copy_mixes_centimetres_and_millimetres():
    frame = BY_LIMITS.audit(PAIN.assign(mean=[1.83, 1.03, 3.13, 2.22]))
    slips = [(item, detail) for check, item, detail in findings(frame) if check == "mean inside interval"]
    expected = dict(zip(GROUPS, ["18.3", "10.3", "31.3", "22.2"], strict=True))
    assert slips == [
        (f"group={g}", f"the mean lies outside its own interval, but {m} (× 10) in its middle: units are mixed")
        for g, m in expected.items()
    ]


def test_chen_2019_total_and_one_interval_do_not_fit_but_the_difference_does():
    frame = SummaryStatistics(sd="sd", low="low", high="high").audit(
        CHEN,
        tests=[
            {"item": "HAQ-II", "kind": "difference", "n": 54, "mean": "5.13", "sd": ".71", "n2": 73, "mean2": "4.89",
             "sd2": ".64", "printed": ".23", "low": "-.01", "high": ".48"},
        ],
        totals=[
            {"item": "patients", "parts": "54 + 73", "printed": 117},
            {"item": "difference", "parts": "5.13 - 4.89", "printed": ".23"},
        ],
    )  # fmt: skip
    assert [(check, item) for check, item, _ in findings(frame)] == [
        ("sd against interval", "group=telehealth"),
        ("sum", "patients"),
    ]
    # 1.9736 · .6656 / √54 = .1788 is the least a pooled SD gives; printed is .165 to .175.
    interval = frame[frame["item"] == "group=telehealth"].set_index("check").loc["sd against interval"]
    assert "pooled SD, z: 0.178 to 0.180" in interval["recomputed"]
    total = frame[frame["item"] == "patients"].iloc[0]
    assert (total["printed"], total["recomputed"]) == ("117", "54 + 73 = 127")
    difference = frame[frame["item"] == "difference"].iloc[0]
    assert difference["verdict"] == "consistent"
    assert difference["detail"] == "differs from the rounded numbers by 0.01, within rounding"
    rows = frame[frame["item"] == "HAQ-II"].set_index("check")
    assert rows["verdict"].to_dict() == {"difference": "consistent", "half-width of a difference": "consistent"}
    assert rows.loc["half-width of a difference", "detail"] == "reached with separate SDs, Welch"


def test_cheing_2014_fit_belongs_to_five_degrees_of_freedom():
    frame = audit_tests(
        [
            {"item": "path model", "kind": "chi2", "statistic": 3.86, "df": 3, "p": ".57"},
            {"item": "RMSEA", "kind": "rmsea", "statistic": 3.86, "df": 3, "n": 76, "printed": "0.00"},
        ]
    )
    assert frame["verdict"].to_list() == ["inconsistent", "inconsistent"]
    assert frame["recomputed"].to_list() == [".276 to .278", "0.061 to 0.062"]
    assert frame["detail"].to_list() == [
        "the statistic gives p .276 to .278; df = 5 would give the printed p",
        "an RMSEA of 0 needs χ² ≤ df, so df of 4 or more",
    ]
    fitting = {"statistic": 3.86, "df": 5, "n": 76}
    assert one(kind="chi2", p=".57", **fitting)["verdict"] == "consistent"
    assert one(kind="rmsea", printed="0.00", **fitting)["verdict"] == "consistent"


def test_bliss_2009_interference_change_is_not_ns():
    row = one(kind="paired mean", mean=4.95, sd=13.8, n=59, p="(ns)")
    assert row["verdict"] == "inconsistent"
    assert row["recomputed"] == ".008"
    assert row["detail"] == "t(58) = 2.74 to 2.77; the verdict at .05 changes"
    assert one(kind="paired mean", mean=4.21, sd=9.3, n=59, p="*")["verdict"] == "consistent"
    assert one(kind="r", statistic=".29", n=59, p="*")["verdict"] == "consistent"


def test_lawford_2021_one_odds_ratio_is_not_symmetric():
    row = one(kind="ratio", printed="1.26", low="1.04", high="1.39")
    assert row["verdict"] == "inconsistent"
    assert row["recomputed"] == "1.197 to 1.207"
    assert row["detail"].endswith("it would be with low = 1.14 or high = 1.53")
    assert one(kind="ratio", printed="1.26", low="1.06", high="1.51")["verdict"] == "consistent"
    for printed, low, high in (("-.10", "-.16", "-.03"), ("0.16", "0.04", "0.28"), ("-.13", "-.23", "-.04")):
        assert one(kind="estimate", printed=printed, low=low, high=high)["verdict"] == "consistent"


def test_other_published_results_are_consistent():
    rows = [
        {"kind": "chi2", "statistic": "2.69", "df": 2, "p": ".26"},
        {"kind": "chi2", "statistic": ".57", "df": 2, "p": ".75"},
        {"kind": "z", "statistic": "3.06", "p": ".002"},
        {"kind": "estimate", "printed": "-1.27", "low": "-2.44", "high": "-.10"},
        {"kind": "estimate", "printed": ".41", "low": ".10", "high": ".72", "p": ".01"},
    ]
    frame = audit_tests([{"item": str(i)} | row for i, row in enumerate(rows)])
    assert set(frame["verdict"]) == {"consistent"}


def test_kaptchuk_2008_without_group_sizes_is_not_reproducible():
    row = one(kind="difference", mean="5.0", sd=1.3, mean2=4.3, sd2=1.4, p="< .001")
    assert row["verdict"] == "no power"
    assert row["detail"] == "not reproducible from what is printed: n, n2 missing"


# ---- single checks -------------------------------------------------------------------------------------------------


def test_whole_number_items_have_no_power_at_thirty_patients_and_one_decimal():
    frame = audit_cells(PAIN, low="low", high="high", items=1)
    rows = frame[frame["check"] == "whole-number items"]
    assert rows["verdict"].to_list() == ["no power"] * 4


@pytest.mark.parametrize(
    ("mean", "n", "items", "verdict"),
    [
        ("5.19", 28, 1, "inconsistent"),  # 145/28 = 5.1786, 146/28 = 5.2143
        ("5.18", 28, 1, "consistent"),
        ("5.19", 28, 2, "inconsistent"),  # 290/56 = 5.1786, 291/56 = 5.1964
        ("5.20", 28, 2, "consistent"),
        ("5.19", 28, 12, "no power"),
        ("3.475", 40, 1, "consistent"),
        ("3.5", 10, 1, "no power"),
        ("3.45", 10, 1, "inconsistent"),
    ],
)
def test_means_of_whole_numbers(mean, n, items, verdict):
    table = pd.DataFrame({"group": ["a"], "n": [n], "mean": [mean], "items": [items]})
    assert audit_cells(table, items="items")["verdict"].to_list() == [verdict]
    assert audit_cells(table, items=items)["verdict"].to_list() == [verdict]


def test_a_standard_error_printed_as_sd_is_said():
    table = pd.DataFrame({"group": ["a", "b"], "n": [40, 40], "mean": [10.0, 12.0], "sd": [1.31, 1.26]})
    table = table.assign(low=[7.35, 9.45], high=[12.65, 14.55])
    details = [detail for _, _, detail in findings(audit_cells(table, sd="sd", low="low", high="high"))]
    assert details == ["no SD gives this interval; the number printed as SD looks like a standard error"] * 2


def test_reversed_limits_are_found_with_the_minus_sign_that_cures_them():
    table = fuentes([0.1, 0.3, 2.0, 1.7], [0.4, -0.2, 1.6, 1.3], [0.5, 0.8, 2.5, 2.1])
    table.loc[0, ["mean", "low", "high"]] = [-0.1, 0.6, 0.4]
    found = [detail for check, _, detail in findings(BY_LIMITS.audit(table)) if check == "interval centre"]
    assert found == ["the lower limit is above the upper one; with low = −0.6 it is at the mean"]


def test_unequal_half_widths_alone_are_no_error():
    table = fuentes([10.0, 12.0, 14.0, 16.0], [8.0, 10.0, 12.0, 11.0], [12.0, 14.0, 16.0, 21.0])
    frame = BY_LIMITS.audit(table.assign(n=29), decimals={"mean": 1, "low": 1, "high": 1})
    assert findings(frame) == []
    assert "SDs of the cells themselves" in frame[frame["check"] == "half-widths"]["detail"].item()


@pytest.mark.parametrize(
    ("row", "verdict", "part"),
    [
        ({"kind": "t", "statistic": "2.20", "df": 58, "p": ".03"}, "consistent", ""),
        ({"kind": "t", "statistic": "2.20", "df": 58, "p": ".016"}, "inconsistent", "a one-sided test would give"),
        ({"kind": "t", "statistic": "2.20", "df": 58, "p": ".016", "sided": 1}, "consistent", ""),
        ({"kind": "t", "statistic": "-1.20", "df": 58, "p": "< .05"}, "inconsistent", "verdict at .05 changes"),
        ({"kind": "t", "statistic": "2.20", "df": 58, "p": 0.05, "p_relation": "<"}, "consistent", ""),
        ({"kind": "F", "statistic": "4.84", "df": 1, "df2": 58, "p": ".032"}, "consistent", ""),
        ({"kind": "F", "statistic": "4.84", "df": 3, "df2": 58, "p": ".032"}, "inconsistent", "df = 1 would give"),
        ({"kind": "r", "statistic": ".32", "df": 50, "p": ".05"}, "inconsistent", "p .019 to .023"),
        ({"kind": "z", "statistic": "2.10", "p": ">.20"}, "inconsistent", "verdict at .05 changes"),
        ({"kind": "z", "statistic": "1.96", "p": "n.s."}, "consistent", ""),
        ({"kind": "chi2", "statistic": "3.86", "p": ".57"}, "no power", "df missing"),
        ({"kind": "estimate", "printed": ".41", "low": ".10", "high": ".72", "p": ".20"}, "inconsistent", "disagree"),
    ],
)
def test_p_against_its_statistic(row, verdict, part):
    frame = audit_tests([{"item": "test"} | row])
    p_row = frame[frame["check"].str.startswith("p of")].iloc[0]
    assert p_row["verdict"] == verdict
    assert part in p_row["detail"]


@pytest.mark.parametrize(
    ("parts", "printed", "kind", "verdict"),
    [
        ("30 + 29 + 29 + 29", 117, None, "consistent"),
        ((54, 73), 117, None, "inconsistent"),
        ((54, 73), 127, None, "consistent"),
        ((54, 73), 128, None, "inconsistent"),
        ("33 + 33 + 33", 100, "rounded", "consistent"),
        ("33 + 33 + 33", 100, None, "inconsistent"),
        ("5.13 \N{MINUS SIGN} 4.89", ".26", None, "inconsistent"),
        ((5.13, -4.89), 0.25, None, "consistent"),
    ],
)
def test_sums_and_differences(parts, printed, kind, verdict):
    assert audit_totals([{"item": "x", "parts": parts, "printed": printed, "kind": kind}])["verdict"].item() == verdict


def test_missing_numbers_leave_a_row_without_power():
    table = PAIN.assign(low=[14.3, np.nan, 27.2, 18.9])
    frame = BY_LIMITS.audit(table, totals=[{"item": "n", "parts": (30, None), "printed": 59}])
    silent = frame[frame["verdict"] == "no power"]
    assert silent["detail"].to_list() == [
        "not printed: low",
        "not reproducible from what is printed: the total or its parts are missing",
    ]


def test_findings_come_first():
    verdicts = BY_LIMITS.audit(PPT, items=1)["verdict"].map(ORDER)
    assert verdicts.is_monotonic_increasing
    assert verdicts.nunique() == 3


# ---- rounding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "low", "high"),
    [("10.0", 9.95, 10.05), (".71", 0.705, 0.715), (10.0, 9.5, 10.5), (0.3, 0.25, 0.35), (30, 29.5, 30.5),
     ("\N{MINUS SIGN}0.20", -0.205, -0.195), (1e-05, 0.5e-5, 1.5e-5)],
)  # fmt: skip
def test_a_printed_number_stands_for_all_that_round_to_it(cell, low, high):
    printed = read_printed(cell, "here")
    assert (printed.range.low, printed.range.high) == pytest.approx((low, high), rel=1e-12)


@given(st.floats(-1000, 1000), st.integers(0, 4))
def test_the_number_itself_is_always_in_the_range_of_its_rounding(value, decimals):
    printed = read_printed(f"{value:.{decimals}f}", "here")
    assert printed.range.meets(Range(value, value))


def test_a_column_of_floats_shares_its_decimals_and_text_speaks_for_itself():
    table = pd.DataFrame({"group": ["a", "b"], "n": [30, 30], "mean": [10.0, 12.25]})
    table = table.assign(low=[8.0, 10.25], high=[12.3, 14.25])
    # With two decimals the centre 10.15 is not 10.00; as whole numbers the same limits would fit.
    assert [item for _, item, _ in findings(BY_LIMITS.audit(table))] == ["group=a"]
    coarse = table.assign(mean=["10", "12.25"])
    assert findings(BY_LIMITS.audit(coarse)) == []
    assert findings(BY_LIMITS.audit(table, decimals={"mean": 0})) == []


# ---- silence on consistent papers ----------------------------------------------------------------------------------


def as_printed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"


def printed_table(rng: np.random.Generator, decimals: int) -> dict[str, Any]:
    """Cells whose intervals were made in one of the usual ways, before and after rounding."""
    k = int(rng.integers(2, 6))
    n = rng.integers(3, 150, k)
    means = rng.normal(0, 20, k)
    sds = np.exp(rng.uniform(np.log(0.5), np.log(30), k)) if rng.random() < 0.5 else np.full(k, rng.uniform(1, 20))
    pooled = np.sqrt(((n - 1) * sds**2).sum() / (n.sum() - k))
    df = [n.sum() - k, n - 1, np.inf][rng.integers(3)]
    half = stats.t.ppf(0.975, df) * (pooled if rng.random() < 0.5 else sds) / np.sqrt(n)
    columns = {"mean": means, "sd": sds, "low": means - half, "high": means + half}
    places = {name: int(rng.integers(max(0, decimals - 1), decimals + 2)) for name in columns}
    places["high"] = places["low"]
    return {
        "n": n, "means": means, "sds": sds, "pooled": pooled,
        "table": pd.DataFrame({"group": [f"g{i}" for i in range(k)], "n": n})
        .assign(**{name: [as_printed(v, places[name]) for v in values] for name, values in columns.items()}),
    }  # fmt: skip


def printed_tests(rng: np.random.Generator, paper: dict[str, Any], d: int) -> list[dict[str, Any]]:
    """Results that follow from true numbers, each rounded on its own."""
    p_places = int(rng.integers(2, 5))
    (n, n2), (m, m2), (s, s2) = (paper[key][:2] for key in ("n", "means", "sds"))
    df, df2 = int(rng.integers(1, 6)), int(rng.integers(2, 120))
    t, f, chi, z = rng.standard_t(df2), rng.f(df, df2), rng.chisquare(df) + 2, rng.normal()
    r = np.tanh(rng.normal(0, 0.4))
    t_r = r * np.sqrt(df2 / (1 - r**2))
    equal = bool(rng.random() < 0.5)
    two = stats.ttest_ind_from_stats(m, s, n, m2, s2, n2, equal_var=equal)
    se = (m - m2) / two.statistic
    welch = se**4 / ((s**2 / n) ** 2 / (n - 1) + (s2**2 / n2) ** 2 / (n2 - 1))
    half = stats.t.ppf(0.975, n + n2 - 2 if equal else welch) * se
    log_or, log_se = rng.normal(0, 0.7), rng.uniform(0.05, 0.6)
    df_est = rng.choice([4, 9, 30, 250, np.inf])
    reach = stats.t.ppf(0.975, df_est) * log_se
    big = int(rng.integers(40, 600))
    half_t = stats.t.ppf(0.975, df2) * 2.0
    p_text = [
        f"{v:.{p_places}f}" for v in (2 * stats.t.sf(abs(t), df2), stats.f.sf(f, df, df2), stats.chi2.sf(chi, df))
    ]
    number = as_printed
    return [
        {"kind": "t", "statistic": number(t, d), "df": df2, "p": p_text[0]},
        {"kind": "F", "statistic": number(f, d), "df": df, "df2": df2, "p": p_text[1]},
        {"kind": "chi2", "statistic": number(chi, d), "df": df, "p": p_text[2]},
        {"kind": "chi2", "statistic": number(chi, d), "df": df, "p": "ns" if stats.chi2.sf(chi, df) > 0.05 else "*"},
        {"kind": "z", "statistic": number(z, d), "p": number(stats.norm.sf(abs(z)), p_places), "sided": 1},
        {"kind": "r", "statistic": number(r, d), "n": df2 + 2, "p": number(2 * stats.t.sf(abs(t_r), df2), p_places)},
        {"kind": "paired mean", "mean": number(m, d), "sd": number(s, d), "n": int(n),
         "p": number(2 * stats.t.sf(abs(m / (s / np.sqrt(n))), n - 1), p_places)},
        {"kind": "rmsea", "statistic": number(chi, d), "df": df, "n": big,
         "printed": number(np.sqrt(max(0, chi - df) / (df * (big - rng.integers(2)))), d)},
        {"kind": "difference", "n": int(n), "mean": number(m, d), "sd": number(s, d), "n2": int(n2),
         "mean2": number(m2, d), "sd2": number(s2, d), "printed": number(m - m2, d),
         "low": number(m - m2 - half, d), "high": number(m - m2 + half, d), "p": number(two.pvalue, p_places)},
        {"kind": "ratio", "printed": number(np.exp(log_or), d), "low": number(np.exp(log_or - reach), d),
         "high": number(np.exp(log_or + reach), d),
         "p": number(2 * stats.t.sf(abs(log_or) / log_se, df_est), p_places)},
        {"kind": "estimate", "printed": number(m, d), "low": number(m - half_t, d), "high": number(m + half_t, d),
         "df": df2, "p": number(2 * stats.t.sf(abs(m) / 2.0, df2), p_places)},
    ]  # fmt: skip


def printed_totals(rng: np.random.Generator, paper: dict[str, Any], decimals: int) -> list[dict[str, Any]]:
    shares = rng.dirichlet(np.ones(4)) * 100
    m, m2 = paper["means"][:2]
    rounded = [as_printed(v, decimals) for v in (m, -m2)]
    return [
        {"item": "patients", "parts": tuple(map(int, paper["n"])), "printed": int(paper["n"].sum())},
        {"item": "shares", "parts": tuple(round(s) for s in shares), "printed": 100, "kind": "rounded"},
        {"item": "difference", "parts": tuple(rounded), "printed": as_printed(m - m2, decimals), "kind": "rounded"},
    ]


@pytest.mark.parametrize("seed", range(400))
def test_nothing_is_found_in_a_consistent_paper(seed):
    rng = np.random.default_rng(seed)
    decimals = int(rng.integers(1, 4))
    paper = printed_table(rng, decimals)
    tests = [{"item": str(i)} | row for i, row in enumerate(printed_tests(rng, paper, decimals))]
    model = SummaryStatistics(sd="sd", low="low", high="high")
    frame = model.audit(paper["table"], tests=tests, totals=printed_totals(rng, paper, decimals))
    assert findings(frame) == []
    as_floats = paper["table"].astype(dict.fromkeys(("mean", "sd", "low", "high"), float))
    assert findings(model.audit(as_floats)) == []


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_found_in_means_of_whole_numbers(seed):
    rng = np.random.default_rng(seed)
    n, items, decimals = int(rng.integers(5, 60)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    mean = rng.integers(1, 8, (n, items)).mean()
    table = pd.DataFrame({"group": ["a"], "n": [n], "mean": [as_printed(mean, decimals)]})
    assert findings(audit_cells(table, items=items)) == []


@given(st.integers(0, 3), st.floats(0.5, 20), st.integers(5, 100), st.sampled_from([-1, 1]), st.integers(3, 9))
@settings(deadline=None)
def test_a_limit_that_is_off_by_more_than_rounding_is_found(decimals, sd, n, sign, units):
    half = stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n)
    numbers = {"mean": 20.0, "low": 20 - half, "high": 20 + half + sign * units * 10.0**-decimals}
    table = pd.DataFrame([{"group": "a", "n": n} | {k: as_printed(v, decimals) for k, v in numbers.items()}])
    found = findings(BY_LIMITS.audit(table))
    # The mean is off the centre by half of what the limit is off; rounding hides at most 2 of the last digit.
    hidden = abs((float(table["low"][0]) + float(table["high"][0])) / 2 - 20) <= 10.0**-decimals * (1 + 1e-9)
    assert bool([f for f in found if f[0] == "interval centre"]) == (not hidden)


# ---- invariances ---------------------------------------------------------------------------------------------------


@given(st.permutations(range(4)))
@settings(deadline=None)
def test_the_order_of_cells_changes_no_verdict(order):
    def rows(frame: pd.DataFrame) -> list[tuple[str, ...]]:
        per_cell = frame[frame["item"] != "all cells"]
        return sorted(per_cell[["check", "item", "verdict", "detail"]].itertuples(index=False, name=None))

    assert rows(BY_LIMITS.audit(PPT.iloc[order])) == rows(BY_LIMITS.audit(PPT))


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"item": "a", "kind": "tau", "p": 0.2}], "kind 'tau' is unknown; use one of t, z, chi2"),
        ([{"kind": "t"}], "no column 'item'"),
        ([{"item": "a", "kind": "t", "stat": 2.0}], "columns stat are not used"),
        ([{"item": "a", "kind": "z", "statistic": 2.0, "p": "small"}], "p is 'small'; write it as"),
        ([{"item": "a", "kind": "z", "statistic": 2.0, "p": 5}], "it must lie between 0 and 1"),
        ([{"item": "a", "kind": "z", "statistic": 2.0, "p": 0.05, "p_relation": "~"}], "p_relation is '~'"),
        ([{"item": "a", "kind": "z", "statistic": 2.0, "p": 0.05, "sided": 3}], "sided is 3"),
        ([{"item": "a", "kind": "t", "statistic": 2.0, "df": 0, "p": 0.05}], "df is 0; it must be at least"),
        ([{"item": "a", "kind": "chi2", "statistic": -2.0, "df": 1, "p": 0.05}], "statistic is −2; it must be"),
        ([{"item": "a", "kind": "r", "statistic": 0.2, "n": 2, "p": 0.05}], "at least 3 patients"),
        ([{"item": "a", "kind": "z", "statistic": "2,1", "p": 0.05}], "'2,1' is not a number"),
    ],
)
def test_tests_that_cannot_be_read_are_refused(rows, message):
    with pytest.raises(DataError, match=message):
        audit_tests(rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"item": "x", "parts": "54 73", "printed": 127}, "write numbers with"),
        ({"item": "x", "parts": "n = 54 + 73", "printed": 127}, "write numbers with"),
        ({"item": "x", "parts": 54, "printed": 127}, "give a tuple of numbers"),
        ({"item": "x", "parts": (54, 73), "printed": 127, "kind": "percent"}, "use 'counts' or 'rounded'"),
        ({"item": "x", "parts": (54, 73)}, "no column 'printed'"),
    ],
)
def test_totals_that_cannot_be_read_are_refused(row, message):
    with pytest.raises(DataError, match=message):
        audit_totals([row])


def test_tables_that_cannot_be_read_are_refused():
    with pytest.raises(DataError, match="no column 'lower'"):
        audit_cells(PAIN, low="lower", high="high")
    with pytest.raises(DataError, match="group=AL: n is 1; a cell needs"):
        audit_cells(PAIN.assign(n=[1, 29, 29, 29]))
    with pytest.raises(DataError, match="items is 0"):
        audit_cells(PAIN, items=0)
    with pytest.raises(DataError, match="decimals: no column 'meen'"):
        audit(PAIN, decimals={"meen": 1})
