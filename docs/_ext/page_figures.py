"""The figures of the pages, drawn by the pages' own examples while the site is gathered.

A page marks the place of a figure below the example that makes ``ax``:

    <!-- figure: what is seen -->

or names a notebook that holds it, with its place among the pictures there:

    <!-- picture 3 of 90_gallery: what is seen -->
"""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

PIECE = re.compile(r"^```python\n(?P<code>>>>.*?)^```|^<!-- figure: (?P<alt>.+?) -->", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"^<!-- picture (?P<place>\d+) of (?P<notebook>\w+): (?P<alt>.+?) -->", re.MULTILINE)
PROMPT = re.compile(r"^(>>> |\.\.\. ?)")


def with_figures(text: str, name: str, folder: Path, back: str) -> str:
    """The page with an image at each mark; ``back`` is the way from the page to the folder that holds ``figures``."""
    if "<!-- figure: " not in text:
        return text
    scope: dict[str, Any] = {}
    drawn: list[str] = []

    def one(found: re.Match[str]) -> str:
        if found["code"]:
            _run(found["code"], scope)
            return found[0]
        drawn.append(f"{name}-{len(drawn) + 1}.svg")
        _save(scope["ax"], folder / "figures" / drawn[-1])
        return f"![{found['alt']}]({back}figures/{drawn[-1]})"

    return PIECE.sub(one, text)


def with_pictures(text: str, notebooks: Path, folder: Path, back: str) -> str:
    """The page with a notebook's stored picture at each mark."""

    def one(found: re.Match[str]) -> str:
        stored = _pictures(notebooks / f"{found['notebook']}.ipynb")
        name = f"{found['notebook']}-{found['place']}.png"
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / name).write_bytes(stored[int(found["place"]) - 1])
        return f"![{found['alt']}]({back}figures/{name})"

    return PICTURE.sub(one, text)


def _pictures(notebook: Path) -> list[bytes]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    return [b64decode("".join(data["image/png"])) for data in outputs if "image/png" in data]


def _run(block: str, scope: dict[str, Any]) -> None:
    """The lines with prompts, as one program."""
    lines = [PROMPT.sub("", line, count=1) for line in block.splitlines() if PROMPT.match(line)]
    with redirect_stdout(io.StringIO()):
        exec("\n".join(lines), scope)


def _save(ax: Any, path: Path) -> None:
    from matplotlib import pyplot

    import alliance_stats as al

    path.parent.mkdir(parents=True, exist_ok=True)
    al.save_figure(ax, path)
    pyplot.close("all")
