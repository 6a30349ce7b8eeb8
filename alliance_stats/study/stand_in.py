"""The synthetic stand-in of a study: written to a folder, and recognised when it comes back as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.codebook import codebook, csv_bytes, data_hash, datapackage
from alliance_stats.study.declare import Study


def write_stand_in(study: Study, folder: Path, **settings: Any) -> list[Path]:
    """Write data, truth, parameters, codebook and data package of a simulated trial; returns the files.

    Same settings, same bytes.
    """
    trial = study.simulate(**settings)
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {variable.name: variable for variable in study.variables}
    variables = [by_name[name] for name in trial.data.columns]
    drawn = f"These rows were drawn by a program (seed {trial.seed}); nobody was treated."
    heading = f"# {study.title}: simulated data\n\n{drawn}\n\n"
    package = datapackage(
        study.key.replace("_", "-"),
        f"Simulated stand-in for {study.citation}",
        f"{study.key}.csv",
        variables,
        description="Simulated: it checks the code, never the paper.",
        simulated=True,
        hash=data_hash(trial.data),
    )
    files = {
        f"{study.key}.csv": csv_bytes(trial.data),
        "truth.csv": csv_bytes(trial.truth),
        "parameters.csv": csv_bytes(trial.parameters),
        "CODEBOOK.md": (heading + codebook(variables, trial.data)).encode(),
        "datapackage.json": (json.dumps(package, indent=2, ensure_ascii=False) + "\n").encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def known_truth(study: Study, data: Any, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The truth of data that came from the generator, or None for data that did not.

    Simulated data must never pass for a trial: they are known by their content, equal to the stand-in's but for the names of
    the patients, or by the data package beside the file, which calls them simulated.
    """
    trial = study.simulate()
    keys = {variable.name for variable in study.variables if variable.key}
    content = [name for name in trial.data.columns if name in frame and name not in keys]
    if content and len(frame) == len(trial.data) and csv_bytes(frame[content]) == csv_bytes(trial.data[content]):
        return trial.truth
    package = Path(data).parent / "datapackage.json" if isinstance(data, str | Path) else None
    if package is None or not package.is_file():
        return None
    described = json.loads(package.read_text(encoding="utf-8"))
    if described.get("simulated") and Path(data).name in {resource["path"] for resource in described["resources"]}:
        return pd.read_csv(package.with_name("truth.csv"))
    return None
