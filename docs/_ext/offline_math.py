"""Formulas as MathML, written by pandoc while the site is built.

Browsers draw MathML themselves and screen readers read it, so that a page needs neither the network, nor LaTeX, nor a
script. pandoc comes with the extra ``report`` (pypandoc-binary).
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from docutils import nodes

MATH = re.compile(r"<math.*?</math>", re.DOTALL)
_known: dict[tuple[str, bool], str] = {}


def mathml(formulas: list[tuple[str, bool]]) -> list[str]:
    """MathML of (TeX, whether displayed) pairs; ValueError names a formula that pandoc cannot read."""
    new = [key for key in dict.fromkeys(formulas) if key not in _known]
    if new:
        found = MATH.findall(_pandoc(new))
        if len(found) != len(new):
            wrong = [tex for tex, shown in new if not MATH.search(_pandoc([(tex, shown)]))]
            raise ValueError(f"pandoc cannot read these formulas: {wrong}")
        _known.update(zip(new, found, strict=True))
    return [_known[key] for key in formulas]


def _pandoc(formulas: list[tuple[str, bool]]) -> str:
    from pypandoc import get_pandoc_path

    blocks = [
        {"t": "Para", "c": [{"t": "Math", "c": [{"t": "DisplayMath" if shown else "InlineMath"}, tex]}]}
        for tex, shown in formulas
    ]
    document = json.dumps({"pandoc-api-version": [1, 23], "meta": {}, "blocks": blocks})
    command = [get_pandoc_path(), "-f", "json", "-t", "html", "--mathml", "--wrap=none"]
    return subprocess.run(command, input=document, capture_output=True, text=True, check=True, encoding="utf-8").stdout


def _read_page(app: Any, tree: nodes.document, name: str) -> None:
    """All formulas of a page at once: one start of pandoc a page."""
    found = [(node.astext(), isinstance(node, nodes.math_block)) for node in tree.findall(_is_math)]
    mathml(found)


def _is_math(node: nodes.Node) -> bool:
    return isinstance(node, nodes.math | nodes.math_block)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml([(node.astext(), False)])[0])
    raise nodes.SkipNode


def _displayed(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml([(node.astext(), True)])[0]}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
    app.connect("doctree-resolved", _read_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
