"""Docstrings of the package as reStructuredText.

They are plain text with backticks and numpydoc's headings, and a parameter may have its meaning on its own line
(``level : confidence level``). numpydoc would take that for a type and the paragraph after the parameters for one more
parameter, so they are read here.
"""

from __future__ import annotations

import re
from typing import Any

SECTION = re.compile(r"^(Parameters|Attributes|Returns|Raises|Notes|Examples)$")
ENTRY = re.compile(r"^\*{0,2}\w[\w*, ]* : \S")
LITERAL = re.compile(r"(``.+?``|`[^`]+?`)")
FIELD_SECTIONS = ("Parameters", "Attributes")
TYPE = re.compile(r"^(str|bool|int|float|mapping|sequence|path|DataFrame|\(|\{)")


def as_rst(lines: list[str]) -> list[str]:
    """The docstring's lines as reStructuredText.

    >>> as_rst(["Scores.", "", "Parameters", "----------", "by : the patient", "", "It *is* so."])
    ['Scores.', '', '.. rubric:: Parameters', '', '**by**', '    the patient', '', 'It \\\\*is\\\\* so.']
    """
    out: list[str] = []
    section = ""
    position = 0
    while position < len(lines):
        line = lines[position]
        underlined = position + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[position + 1].strip() or " ")
        if SECTION.match(line) and underlined:
            section = line
            out += [f".. rubric:: {line}", ""]
            position += 2
        elif line.startswith(">>>"):
            position = _example(lines, position, out)
        elif section in FIELD_SECTIONS and ENTRY.match(line):
            position = _entry(lines, position, out)
        else:
            out.append(_plain(line))
            position += 1
    return out


def _example(lines: list[str], position: int, out: list[str]) -> int:
    """Doctests are copied as they are, up to the next empty line."""
    if out and out[-1]:
        out.append("")
    while position < len(lines) and lines[position].strip():
        out.append(lines[position])
        position += 1
    return position


def _entry(lines: list[str], position: int, out: list[str]) -> int:
    """One parameter: its name in bold, and its meaning, whether that begins on the same line or below a type."""
    names, _, rest = lines[position].partition(" : ")
    position += 1
    body = []
    while position < len(lines) and (lines[position].startswith("    ") or _blank_inside(lines, position)):
        body.append(lines[position])
        position += 1
    typed = bool(TYPE.match(rest)) and bool(body) and body[0].strip()[:1].isupper()
    if out and out[-1]:
        out.append("")
    out.append(f"**{names.replace('*', chr(92) + '*')}**" + (f" ({_plain(rest)})" if typed else ""))
    out += [] if typed else [f"    {_plain(rest)}"]
    out += [_plain(line) for line in body]
    return position


def _blank_inside(lines: list[str], position: int) -> bool:
    following = lines[position + 1] if position + 1 < len(lines) else ""
    return not lines[position].strip() and following.startswith("    ")


def _plain(line: str) -> str:
    """Text outside backticks holds no markup: stars, bars and trailing underscores are what they are."""
    parts = LITERAL.split(line)
    return "".join(part if LITERAL.fullmatch(part) else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"[*|\\]|(?<=\w)_(?=\W|$)", lambda found: "\\" + found.group(), text)


def _replace(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _replace)
    return {"parallel_read_safe": True}
