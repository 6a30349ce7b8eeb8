"""The command line: alliance-stats list | describe | simulate | run | report | new | register."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from alliance_stats.errors import AllianceError
from alliance_stats.studies import REGISTRY
from alliance_stats.study.declare import Study

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Key = Annotated[str, typer.Argument(help="key of a study, see `list`, or a study file such as study.toml")]
Folder = Annotated[Path, typer.Option(help="folder to write into")]
Pairs = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, may be given several times")]


@app.command("list")
def list_studies() -> None:
    """List the studies."""
    for key, study in REGISTRY.items():
        typer.echo(f"{key:<18} {study.title}\n{'':<18} {study.citation}")


@app.command()
def describe(key: Key) -> None:
    """Question, columns and analyses of a study: what a data file must hold."""
    from alliance_stats.data.codebook import codebook

    study = _study(key)
    typer.echo(f"{study!r}\n\n{study.design}\n\nColumns\n{codebook(study.variables)}\nAnalyses")
    for analysis in study.analyses:
        on = f"printed table '{analysis.table}'" if analysis.table else getattr(analysis.model, "formula", "")
        typer.echo(f"  {analysis.name} ({analysis.role}): {on}")
    for option in study.options:
        typer.echo(f"\nOption {option.name}: {option.meaning}")
        for choice, text in option.choices.items():
            typer.echo(f"  {option.name}={choice}: {text}")


@app.command()
def simulate(
    key: Annotated[str | None, typer.Argument(help="key of a study; all studies where none is given")] = None,
    out: Folder = Path("data/synthetic"),
    seed: Annotated[int | None, typer.Option(help="seed; the stand-in's own where none is given")] = None,
) -> None:
    """Write simulated data with their truth, codebook and data package."""
    from alliance_stats.study.stand_in import write_stand_in

    for study in [_study(key)] if key else list(REGISTRY.values()):
        settings = {} if seed is None else {"rng": seed}
        for file in write_stand_in(study, out / study.key, **settings):
            typer.echo(str(file))


@app.command()
def run(
    key: Key,
    data: Annotated[Path | None, typer.Argument(help="data file; the synthetic stand-in where none is given")] = None,
    rename: Pairs = None,
    option: Pairs = None,
    scale: Annotated[list[str] | None, typer.Option(help="COLUMN=LOW:HIGH, range of another form of a scale")] = None,
    decimal: Annotated[str | None, typer.Option(help="decimal mark of a text file, e.g. ,")] = None,
    encoding: Annotated[str | None, typer.Option(help="encoding of a text file, e.g. cp1252")] = None,
    out: Annotated[Path | None, typer.Option(help="report to write, e.g. report.html")] = None,
) -> None:
    """Rerun a study and print published beside rerun; --rename file_column=study_column."""
    from alliance_stats.render.table import as_text
    from alliance_stats.report.sections import published_beside_rerun

    options: dict[str, Any] = dict(_pairs(option, "option"))
    done = _study(key).run(
        data, rename=_pairs(rename, "rename"), ranges=_ranges(scale), decimal=decimal, encoding=encoding, **options
    )
    typer.echo(f"{done!r}\n")
    if done.study.targets:
        typer.echo(as_text(published_beside_rerun(done.comparison(), done.label).drop(columns=["source", "note"])))
    else:
        typer.echo("\n\n".join(f"{done.label(name)}\n{result!r}" for name, result in done.results.items()))
    if out is not None:
        typer.echo(f"\nReport: {done.report(out)}")


@app.command()
def report(
    keys: Annotated[list[str] | None, typer.Argument(help="studies; all where none is given")] = None,
    out: Folder = Path("reports"),
) -> None:
    """Rerun studies on their stand-ins; write reports, figures (svg and pdf), the index and, with all studies, the claims."""
    from alliance_stats.progress import bar
    from alliance_stats.report import write_figures, write_index, write_report
    from alliance_stats.report.claims import report_claims

    out.mkdir(parents=True, exist_ok=True)
    chosen: Sequence[Study] = [REGISTRY[key] for key in (keys or REGISTRY)]
    runs = [study.run(progress=False) for study in bar(chosen, "studies", "study", shown=True)]
    for done in runs:
        write_report(done, out / f"{done.study.key}.html")
        write_figures(done, out / "figures")
    if not keys:
        report_claims(out / "claims.html", runs)
    typer.echo(f"{len(runs)} reports and {write_index(runs, out / 'index.html', claims=not keys)}")


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="folder to make")],
    data: Annotated[
        Path | None, typer.Option(help="data file from which the dictionary is drafted; it is only read")
    ] = None,
) -> None:
    """Make a folder for a study of your own: dictionary, declaration, notebook; it runs on dummy data as it is."""
    from alliance_stats.data.reading import read_table
    from alliance_stats.project import new_project

    for file in new_project(folder, None if data is None else read_table(data)):
        typer.echo(str(file))


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="study file, such as study.toml")],
    out: Annotated[
        Path | None, typer.Option(help="file to write; registration.json beside the study where none is given")
    ] = None,
) -> None:
    """Write the declaration of a study and its hash, to be deposited before the data come."""
    from alliance_stats.study.file import read_study
    from alliance_stats.study.registration import REGISTRATION, declaration, declaration_hash
    from alliance_stats.study.registration import register as write_registration

    study = read_study(file)
    written = write_registration(study, out or file.parent / REGISTRATION)
    typer.echo(f"{written}\nSHA-256 of the declaration: {declaration_hash(declaration(study))}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: an error made on purpose ends with its message and exit code 1, not with a traceback."""
    try:
        app(arguments)
    except AllianceError as problem:
        typer.echo(f"Error: {problem}", err=True)
        raise SystemExit(1) from None


def _study(key: str) -> Study:
    """A study of the package, or the one that a file declares."""
    from alliance_stats.study.file import read_study

    return read_study(key) if key.endswith(".toml") else REGISTRY[key]


def _pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise AllianceError(f"--{option} {text}: write it as NAME=VALUE")
        pairs[name] = value
    return pairs


def _ranges(given: Sequence[str] | None) -> dict[str, tuple[float, float]]:
    ranges = {}
    for name, text in _pairs(given, "scale").items():
        low, _, high = text.partition(":")
        try:
            ranges[name] = (float(low), float(high))
        except ValueError:
            raise AllianceError(f"--scale {name}={text}: write it as COLUMN=LOW:HIGH, e.g. alliance=12:84") from None
    return ranges


if __name__ == "__main__":
    main()
