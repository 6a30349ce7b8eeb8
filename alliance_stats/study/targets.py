"""Printed numbers from their csv files, each with its source."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, get_args

import pandas as pd

from alliance_stats.errors import TargetError
from alliance_stats.study.declare import Kind, Target

COLUMNS = ("analysis", "term", "column", "printed", "decimals", "kind", "low", "high", "source", "note")


def load_targets(key: str) -> tuple[Target, ...]:
    """The targets of a study from ``studies/targets/<key>.csv``.

    Raises TargetError for a row without a source or number, or of an unknown kind.
    """
    return tuple(_target(row, line, key) for line, row in enumerate(_rows(f"{key}.csv"), start=2))


def load_table(name: str) -> pd.DataFrame:
    """A table of printed numbers from ``studies/targets/<name>.csv``."""
    with files("alliance_stats.studies").joinpath(f"targets/{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


def _rows(name: str) -> list[dict[str, str]]:
    with files("alliance_stats.studies").joinpath(f"targets/{name}").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if tuple(frame.columns) != COLUMNS:
        raise TargetError(
            f"targets/{name}: columns are {', '.join(map(str, frame))}; they must be {', '.join(COLUMNS)}"
        )
    return [{str(k): str(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _target(row: dict[str, str], line: int, key: str) -> Target:
    where = f"targets/{key}.csv line {line}"
    if row["kind"] not in get_args(Kind):
        raise TargetError(f"{where}: kind is '{row['kind']}'; use one of {', '.join(get_args(Kind))}")
    if not row["source"]:
        raise TargetError(f"{where}: a printed number needs its source")
    if row["kind"] in ("value", "size", "direction") and not row["printed"]:
        raise TargetError(f"{where}: a {row['kind']} needs the printed number")
    if row["kind"] == "not recoverable" and not row["note"]:
        raise TargetError(f"{where}: say in note why the number is not recoverable")
    kind: Any = row["kind"]
    if kind == "truth" and row["printed"]:
        raise TargetError(f"{where}: a truth is printed nowhere; leave printed empty, the simulation knows it")
    return Target(
        row["analysis"], row["term"], row["column"], _number(row["printed"]), int(row["decimals"] or 0), kind,
        row["source"], _number(row["low"]), _number(row["high"]), row["note"],
    )  # fmt: skip


def _number(text: str) -> float | None:
    return float(text) if text else None
