"""The studies, by key: ``studies["ferreira2013"]``. A study is built when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.study.declare import Study

KEYS = (
    "biomarker_mediation", "chen2019", "critschristoph2011", "ferreira2013", "fuentes2014", "huppert2014", "kaptchuk2008",
    "keller2010", "lonsdale2017", "sharf2010",
)  # fmt: skip


class Studies(Mapping[str, Study]):
    """A read-only mapping from key to Study."""

    def __getitem__(self, key: str) -> Study:
        if key not in KEYS:
            raise AllianceError(f"no study '{key}'; studies: {', '.join(KEYS)}")
        return _load(key)

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __len__(self) -> int:
        return len(KEYS)

    def __contains__(self, key: object) -> bool:
        return key in KEYS

    def __repr__(self) -> str:
        return "\n".join(f"{key}: {self[key].title}" for key in self)


@cache
def _load(key: str) -> Study:
    study = import_module(f"alliance_stats.studies.{key}").STUDY
    assert isinstance(study, Study)
    return study


REGISTRY = Studies()


def load_synthetic(key: str) -> pd.DataFrame:
    """The synthetic stand-in of a study, drawn anew from its seed; equal to ``data/synthetic/<key>/<key>.csv``.

    >>> load_synthetic("fuentes2014").shape
    (117, 9)
    """
    return REGISTRY[key].simulate().data
