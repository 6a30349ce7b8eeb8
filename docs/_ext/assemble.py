"""Gathers the sources of the site in one folder: the pages of docs/, the notebooks, and the pages written from the code.

python docs/_ext/assemble.py docs/_build/source
"""

from __future__ import annotations

import inspect
import shutil
import sys
from pathlib import Path

import alliance_stats as al

sys.path.insert(0, str(Path(__file__).parent))
from api_groups import GROUPS, OTHER, Group, grouped
from page_figures import with_figures, with_pictures
from study_pages import studies_index, study_page

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
SHARED = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "validation/README.md": "validation.md"}

MOVED = {**SHARED, "reports/figures/": "reports/figures/", "notebooks/": "notebooks/"}


def assemble(folder: Path) -> None:
    """Write the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("_build", "_ext", "_static", "conf.py", "__pycache__"))
    for source, name in SHARED.items():
        _write(folder / name, (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "]("))
    shutil.copytree(ROOT / "reports" / "figures", folder / "reports" / "figures")
    _figures(folder)
    _notebooks(folder / "notebooks")
    _studies(folder)
    _decisions(folder / "adr")
    for name, text in api_pages().items():
        _write(folder / "api" / f"{name}.md", text)


def api_pages() -> dict[str, str]:
    """Name of the page → its text: one page a group, and their index."""
    pages = grouped(al.__all__)
    groups = [group for group in (*GROUPS, OTHER) if group.key in pages]
    texts = {group.key: _group_page(group, pages[group.key]) for group in groups}
    return texts | {"index": _api_index(groups, pages)}


def _group_page(group: Group, names: tuple[str, ...]) -> str:
    if names == ("figures",):
        entries = [_entry(f"figures.{name}", getattr(al.figures, name)) for name in al.figures.__all__]
    else:
        entries = [_entry(name, getattr(al, name)) for name in names]
    return f"# {group.title}\n\n{group.about}\n\n" + "\n\n".join(entries) + "\n"


def _entry(name: str, value: object) -> str:
    if name == "instruments":
        return f"## instruments\n\n{_instruments()}"
    if name == "studies":
        about = 'A read-only mapping from key to `Study`: `al.studies["ferreira2013"]`.'
        return f"## studies\n\n{about} [All studies](../studies/index.md)."
    if inspect.isclass(value):
        kind, options = ("autoexception", "") if issubclass(value, Exception) else ("autoclass", "\n:members:")
    else:
        kind, options = "autofunction", ""
    return f"## {name}\n\n```{{eval-rst}}\n.. {kind}:: alliance_stats.{name}{options.replace(chr(10), chr(10) + '   ')}\n```"


def _instruments() -> str:
    rows = [f"| `{key}` | {one.name} | {one.measures} |" for key, one in al.instruments.items()]
    about = (
        'A read-only mapping from key to instrument, `al.instruments["wai_sr"]`: structure and sources only, never the '
        "wording of an item."
    )
    return "\n".join([about, "", "| key | questionnaire | measures |", "|---|---|---|", *rows])


def _api_index(groups: list[Group], pages: dict[str, tuple[str, ...]]) -> str:
    shown = []
    for group in groups:
        names = [f"figures.{name}" for name in al.figures.__all__] if group.key == "figures" else pages[group.key]
        links = ", ".join(f"[`{name}`]({group.key}.md#{_anchor(name)})" for name in names)
        shown.append(f"**[{group.title}]({group.key}.md).** {links}")
    toc = "```{toctree}\n:hidden:\n\n" + "\n".join(group.key for group in groups) + "\n```"
    about = "Every public name, by purpose. All are reached as `al.NAME` after `import alliance_stats as al`."
    return f"# Reference\n\n{about}\n\n" + "\n\n".join(shown) + f"\n\n{toc}\n"


def _anchor(name: str) -> str:
    """The anchor that MyST gives a heading, as GitHub does: lower case, without points."""
    return name.lower().replace(".", "")


def _studies(folder: Path) -> None:
    for key, study in al.studies.items():
        _write(folder / "studies" / f"{key}.md", study_page(study, report=(ROOT / "reports" / f"{key}.html").exists()))
    _write(folder / "studies" / "index.md", studies_index(list(al.studies.values())))
    shutil.copytree(ROOT / "reports", folder / "_extra" / "reports", ignore=shutil.ignore_patterns("*.md", "*.pdf"))


def _notebooks(folder: Path) -> None:
    folder.mkdir(parents=True)
    found = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for notebook in found:
        _write(folder / notebook.name, notebook.read_text(encoding="utf-8").replace("](../docs/", "](../"))
    about = "Stored with their outputs; `make test` executes them and compares every output. The data in them are simulated."
    toc = "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(notebook.stem for notebook in found) + "\n```"
    _write(folder / "index.md", f"# Notebooks\n\n{about}\n\n{toc}\n")


def _figures(folder: Path) -> None:
    """Pages that mark the place of a figure run their examples and show it; links out of docs/ lead into the site."""
    for page in sorted(folder.rglob("*.md")):
        back = "../" * (len(page.relative_to(folder).parts) - 1)
        text = with_figures(page.read_text(encoding="utf-8"), page.stem, folder, back)
        text = with_pictures(text, ROOT / "notebooks", folder, back)
        for outside, inside in MOVED.items():
            text = text.replace(f"]({back}../{outside}", f"]({back}{inside}")
        _write(page, text)


def _decisions(folder: Path) -> None:
    names = sorted(path.stem for path in folder.glob("*.md"))
    toc = "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```"
    about = "Architecture decision records: the context of a decision, what was decided, and what follows."
    _write(folder / "index.md", f"# Decisions\n\n{about}\n\n{toc}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
