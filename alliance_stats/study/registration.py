"""What a study declared before its data came: exported with a hash, and compared with what it declares now."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.study.declare import Study

DECLARED = (
    "title",
    "question",
    "design",
    "arm",
    "waves",
    "outcomes",
    "variables",
    "prepare",
    "estimands",
    "analyses",
    "targets",
)
REGISTRATION = "registration.json"
NAMED = ("variables", "analyses")  # told apart by name, so that an added one does not seem to change those after it
COLUMNS = ("part", "item", "declares", "registered", "now")


def declaration(study: Study) -> dict[str, Any]:
    """What a study declares, as plain texts, numbers, lists and mappings: variables, steps, estimands, analyses, targets.

    >>> from alliance_stats.studies import REGISTRY
    >>> declaration(REGISTRY["fuentes2014"])["analyses"]["pain"]["model"]["type"]
    'LinearModel'
    """
    named = {name: {part.name: part for part in getattr(study, name)} for name in NAMED}
    return {name: _plain(named.get(name, getattr(study, name))) for name in DECLARED}


def declaration_hash(declared: Mapping[str, Any]) -> str:
    """The SHA-256 of a declaration, whatever the order of its entries."""
    text = json.dumps(declared, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def register(study: Study, path: str | os.PathLike[str]) -> Path:
    """Write the declaration and its hash, for a preregistration made before the data come.

    The json file holds the declaration, its SHA-256 and the version of the package, and no date: where it is deposited says
    when. Raises AllianceError where the file exists and holds another declaration; a registration is never replaced.
    """
    from importlib.metadata import version

    file, declared = Path(path), declaration(study)
    content = {
        "sha256": declaration_hash(declared),
        "alliance_stats": version("alliance_stats"),
        "declaration": declared,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if file.exists() and registered(file) != declared:
        raise AllianceError(
            f"{file} holds another declaration and is not replaced; keep it, and let the report list the deviations"
        )
    file.write_text(text, encoding="utf-8")
    return file


def registered(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The declaration in a file that `register` wrote; AllianceError where it is not one, or was changed afterwards."""
    file = Path(path)
    if not file.is_file():
        raise AllianceError(f"{file}: no such file; give the path of a registration, as register() writes it")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        declared, written = content["declaration"], content["sha256"]
    except (ValueError, KeyError, TypeError):
        raise AllianceError(f"{file} is not a registration; give a file that register() wrote") from None
    if declaration_hash(declared) != written:
        raise AllianceError(
            f"{file} was changed after it was written: its declaration does not have the hash {written}"
        )
    return dict(declared)


def deviations(study: Study, path: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Where a study departs from its registration (``study.registration``, or the file given), one row a difference.

    Columns: ``part`` (variables, analyses, …), ``item`` (its name), ``declares`` (which entry of it), ``registered``, ``now``;
    an entry that one of the two does not have is empty there. No rows mean that nothing was changed. Raises AllianceError
    where there is no registration.
    """
    then = study.registration if path is None else registered(path)
    if then is None:
        raise AllianceError(f"study '{study.key}' has no registration; give the path of the file that register() wrote")
    before, now = _flat(then), _flat(declaration(study))
    names = [*before, *(key for key in now if key not in before)]
    rows = [(*key, before.get(key, ""), now.get(key, "")) for key in names if before.get(key) != now.get(key)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        shown = {f.name: getattr(value, f.name) for f in fields(value) if f.compare}
        return {"type": type(value).__name__} | {name: _plain(v) for name, v in shown.items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    if callable(value):
        return _called(value)
    return value if value is None or isinstance(value, bool | int | str) else _number(value)


def _number(value: Any) -> float | str:
    """A finite number; json knows no others, and they are written as words."""
    number = float(value)
    return number if abs(number) < float("inf") else str(number)


def _called(function: Any) -> Any:
    """A function by its name, with the arguments it was given."""
    if isinstance(function, partial):
        arguments = dict(enumerate(function.args)) | function.keywords
        return {"function": function.func.__name__} | {str(name): _plain(v) for name, v in arguments.items()}
    return {"function": function.__name__}


def _flat(declared: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
    return {key: _text(value) for part, inner in declared.items() for key, value in _entries(part, inner)}


def _entries(part: str, inner: Any) -> Iterator[tuple[tuple[str, str, str], Any]]:
    """The smallest entries of a part, each with the item it belongs to."""
    if not isinstance(inner, Mapping):
        yield (part, "", ""), inner
        return
    for item, value in inner.items():
        if not isinstance(value, Mapping):
            yield (part, item, ""), value
            continue
        for name, entry in value.items():
            if isinstance(entry, Mapping):
                yield from (((part, item, f"{name} {deeper}"), found) for deeper, found in entry.items())
            else:
                yield (part, item, name), entry


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
