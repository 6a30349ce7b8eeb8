"""The project's own promises: quick import, lists in step, nothing that speaks of where it was made."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alliance_stats as al

ROOT = Path(__file__).parents[2]
HEAVY = (
    "pandas",
    "scipy",
    "matplotlib",
    "seaborn",
    "statsmodels",
    "pingouin",
    "pandera",
    "great_tables",
    "jinja2",
    "scipy.stats",
    "formulaic",
)


def test_import_leaves_heavy_packages_alone():
    """These cost the seconds; a module is imported when one of its names is first used."""
    code = f"import sys, alliance_stats; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_environment_yml_installs_the_package_with_known_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if "-e ." in line)
    extras = line.split("[")[1].rstrip("]").split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert f"python{project['requires-python']}" in text
    assert "pandas" not in text


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert project["version"] == al.__version__
    assert f"version: {al.__version__}" in citation


def test_public_names_exist_and_are_documented():
    for name in al.__all__:
        thing = getattr(al, name)
        assert name in ("studies", "instruments") or thing.__doc__, name
    assert set(al.__all__) < set(dir(al))
    with pytest.raises(AttributeError, match="'missing_name'"):
        al.missing_name  # noqa: B018


def test_modules_never_shadow_public_functions():
    """Importing every submodule must leave al.simulate the function and al.studies the mapping."""
    code = (
        "import alliance_stats as al, pkgutil, importlib\n"
        "for m in pkgutil.walk_packages(al.__path__, 'alliance_stats.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "print('wai_sr' in al.instruments, 'fuentes2014' in al.studies, callable(al.contrast), callable(al.simulate))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True"] * 4


def test_notebooks_are_short_and_plain():
    import json

    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
        assert len(cells) <= 12, path.name
        assert all(len(cell.strip().splitlines()) <= 5 for cell in cells), path.name
        assert not any("def " in cell or "lambda" in cell for cell in cells), path.name
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"
        assert all(c["outputs"] or c["execution_count"] for c in notebook["cells"] if c["cell_type"] == "code"), (
            path.name
        )
