"""The pinned files are whole, say where they come from, and no part of them is forgotten."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from golden import test_inference_golden, test_linear_golden, test_robust_golden
from golden.pinned import VALIDATION, golden, leaves, pinned

FILES = {  # numbers, texts and nulls in each file: it may grow, not shrink
    "linear_model": 843,
    "robust": 1249,
    "inference_linear": 812,
    "summaries": 296,
}


@pytest.mark.parametrize("name", FILES)
def test_files_hold_their_provenance(name: str) -> None:
    file = golden(name)
    assert file["name"] == name
    assert file["r_version"]
    assert file["packages"]
    for path in file["data"].values():
        assert (VALIDATION / path).is_file()


@pytest.mark.parametrize(("name", "size"), FILES.items())
def test_files_do_not_shrink(name: str, size: int) -> None:
    assert len(list(leaves(golden(name)["results"]))) >= size


def keys(*path: str, without: Iterable[str] = ()) -> set[str]:
    return set(pinned(*path)) - set(without)


def test_every_linear_case_is_used() -> None:
    assert keys("linear_model") == {*test_linear_golden.CASES, "spline", "prediction"}


def test_every_robust_case_is_used() -> None:
    assert keys("robust") == {*test_robust_golden.CASES, "vcov_cl_hc1", "wald", "contrast", "singular"}
    assert keys("robust", "wald") == set(test_robust_golden.WALD)
    assert keys("robust", "singular") == {*test_robust_golden.SINGULAR, "formula", "spoilt"}
    for name in test_robust_golden.CASES:
        assert keys("robust", name, "cluster", "vcov", without=["CR0"]) == set(test_robust_golden.VCOV)


def test_every_inference_case_is_used() -> None:
    assert keys("inference_linear") == {
        "compare", "marginal", "two_by_two", "johnson_neyman", "standardised", "p_adjust",
    }  # fmt: skip
    assert keys("inference_linear", "compare") == {
        "f_two_models", "f_three_models", "lr", "interaction_2df", "interaction_2df_hc3",
    }  # fmt: skip
    assert keys("inference_linear", "marginal") == {
        "covariate_means", "arm", "arm_at_alliance_45_baseline_60", "arm_pairs", "arm_custom", "by_sex", "by_sex_pairs",
        "slopes", "slope_pairs",
    }  # fmt: skip
    assert len(pinned("inference_linear", "johnson_neyman", "boundaries")) == 4
    assert keys("summaries", "pairs") == set(test_inference_golden.PAIRS)
