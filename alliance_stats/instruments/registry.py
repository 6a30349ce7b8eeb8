"""The instruments, by key: ``instruments["wai_sr"]``. A key is read when it is first asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from alliance_stats.errors import AllianceError, suggestion
from alliance_stats.instruments.instrument import Instrument, read_instrument

KEYS = (
    "wai_sr", "wai_s", "watoci", "haq_ii", "care", "ears", "siras", "rmdq", "odi", "psfs", "nprs", "tsk_17", "pseq",
    "pcs", "hads", "gpe",
)  # fmt: skip


class Instruments(Mapping[str, Instrument]):
    """A read-only mapping from key to Instrument."""

    def __getitem__(self, key: str) -> Instrument:
        return instrument(key)

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __len__(self) -> int:
        return len(KEYS)

    def __contains__(self, key: object) -> bool:
        return key in KEYS

    def __repr__(self) -> str:
        return "\n".join(f"{key}: {self[key].name}" for key in self)


def instrument(key: str | Instrument) -> Instrument:
    """The key of a questionnaire: items, options, reversals, subscales, rules and printed facts, each with its source.

    ``key`` is one of ``instruments`` (an Instrument is returned as it is). Raises AllianceError, with the nearest name, for
    an unknown one.

    >>> instrument("nprs").better
    'lower'
    >>> instrument("wai-sr")
    Traceback (most recent call last):
    alliance_stats.errors.AllianceError: no instrument 'wai-sr' (did you mean 'wai_sr'?); instruments: wai_sr, wai_s, \
watoci, haq_ii, care, ears, siras, rmdq, odi, psfs, nprs, tsk_17, pseq, pcs, hads, gpe
    """
    if isinstance(key, Instrument):
        return key
    if key not in KEYS:
        raise AllianceError(f"no instrument {key!r}{suggestion(str(key), KEYS)}; instruments: {', '.join(KEYS)}")
    return _load(key)


@cache
def _load(key: str) -> Instrument:
    text = files("alliance_stats.instruments").joinpath("keys", f"{key}.toml").read_text(encoding="utf-8")
    return read_instrument(tomllib.loads(text))


INSTRUMENTS = Instruments()
