"""Streams of random numbers: a function of the seed and the names, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from alliance_stats.numerics.random import stream


def draws(*arguments: object) -> list[int]:
    return stream(*arguments).integers(0, 2**62, size=4).tolist()  # type: ignore[arg-type]


def test_same_names_same_numbers() -> None:
    assert draws(1, "bootstrap", 3) == draws(1, "bootstrap", 3)
    assert draws(1, "a") != draws(1, "b") != draws(2, "a")
    assert draws(1, "a", "b") != draws(1, "b", "a")
    assert draws(1, "a", "b") != draws(1, "ab")


def test_three_kinds_of_seed_agree() -> None:
    sequence = np.random.SeedSequence(7)
    assert draws(7, "x") == draws(sequence, "x") == draws(np.random.default_rng(7), "x")


def test_a_generator_is_neither_read_nor_moved() -> None:
    generator = np.random.default_rng(7)
    before = generator.bit_generator.state
    first = draws(generator, "x")
    assert generator.bit_generator.state == before
    generator.normal(size=10)
    assert draws(generator, "x") == first


def test_spawned_seeds_give_other_streams() -> None:
    a, b = np.random.SeedSequence(7).spawn(2)
    assert draws(a, "x") != draws(b, "x") != draws(7, "x")


def test_global_state_is_left_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    draws(1, "x")
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_a_generator_without_a_seed_is_refused() -> None:
    class Unseeded:
        seed_seq = None

    class Fake(np.random.Generator):
        bit_generator = Unseeded()  # type: ignore[assignment]

    with pytest.raises(TypeError, match="pass an int or a SeedSequence"):
        stream(Fake(np.random.PCG64(1)), "x")
