"""alliance_stats: does the working alliance predict pain, disability, adherence and dropout?

The public names stand in ``__init__.pyi``, where editors and type checkers read them too. A module is imported when one of
its names is first used (PEP 562), so that ``import alliance_stats`` costs next to nothing.
"""

from __future__ import annotations

import ast
import sys
from importlib.resources import files
from types import ModuleType
from typing import Any

__version__ = "0.1.0"


def _listed() -> dict[str, tuple[str, str]]:
    """Public name → module and the name it has there."""
    stub = ast.parse((files(__name__) / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [line for line in stub.body if isinstance(line, ast.ImportFrom)]
    places = {a.asname or a.name: (str(line.module), a.name) for line in imports for a in line.names}
    renamed = [line for line in stub.body if isinstance(line, ast.Assign)]
    return places | {ast.unparse(line.targets[0]): places.pop(ast.unparse(line.value)) for line in renamed}


_PLACES = _listed()
__all__ = sorted(_PLACES)


class _Package(ModuleType):
    """The package as a module: importing the folder ``studies`` must not hide the public mapping ``studies``."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType) and value.__name__ == f"{__name__}.{name}"):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _PLACES[name]
    value = getattr(__import__(module, fromlist=[there]), there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


sys.modules[__name__].__class__ = _Package
