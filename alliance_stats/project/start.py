"""The folder of a new study: a dictionary to fill, a declaration, a notebook and the command of the report."""

from __future__ import annotations

import os
import shutil
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from alliance_stats.data.dictionary import draft_dictionary, write_dictionary
from alliance_stats.errors import AllianceError

TEMPLATE = "template"


def new_project(folder: str | os.PathLike[str], data: pd.DataFrame | None = None) -> list[Path]:
    """Write a folder that a study of one's own can start from, and that runs as it is, on dummy data.

    Parameters
    ----------
    folder : str or path
        A folder that does not exist yet or is empty.
    data : DataFrame, optional
        A frame as `read_table` returns it, from which the dictionary is drafted (its values are not written). The example's
        dictionary is kept beside it as ``dictionary_example.csv``.

    Returns
    -------
    list of Path
        ``README.md``, ``dictionary.csv``, ``study.toml``, ``analysis.ipynb``, ``Makefile`` and ``data/README.md``.

    Raises
    ------
    AllianceError
        If the folder holds files: nothing is ever replaced.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = new_project(Path(folder) / "trial")
    >>> sorted(file.name for file in written)
    ['Makefile', 'README.md', 'README.md', 'analysis.ipynb', 'dictionary.csv', 'study.toml']
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AllianceError(f"{target} exists and is not an empty folder; give the name of a new one")
    with as_file(files("alliance_stats.project") / TEMPLATE) as template:
        shutil.copytree(template, target, dirs_exist_ok=True)
    if data is not None:
        (target / "dictionary.csv").rename(target / "dictionary_example.csv")
        write_dictionary(draft_dictionary(data), target / "dictionary.csv")
    return sorted(path for path in target.rglob("*") if path.is_file())
