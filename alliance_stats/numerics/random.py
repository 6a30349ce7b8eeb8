"""Seeds: one way in, and named streams so that adding one analysis leaves the draws of the others unchanged."""

from __future__ import annotations

import zlib

import numpy as np

Seed = int | np.random.Generator | np.random.SeedSequence


def stream(rng: Seed, *names: str | int) -> np.random.Generator:
    """A generator for the named purpose, a function of the seed and the names alone.

    A Generator stands for the seed it was made from: its own state is neither read nor moved.

    >>> int(stream(1, "bootstrap").integers(100)) == int(stream(1, "bootstrap").integers(100))
    True
    """
    sequence = _sequence(rng)
    keys = tuple(zlib.crc32(str(name).encode()) for name in names)
    return np.random.default_rng(np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, *keys)))


def _sequence(rng: Seed) -> np.random.SeedSequence:
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        found = rng.bit_generator.seed_seq
        if isinstance(found, np.random.SeedSequence):
            return found
        raise TypeError("rng: this Generator does not know its seed; pass an int or a SeedSequence")
    return np.random.SeedSequence(rng)
