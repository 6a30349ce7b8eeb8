"""Tables as LaTeX, with booktabs, makecell and threeparttable."""

from __future__ import annotations

from alliance_stats.tables.styles import runs
from alliance_stats.tables.value import INDENT, Table, blocks, spanner_row

PACKAGES = "% \\usepackage{booktabs, makecell, threeparttable}  (utf8 input)"
LITERAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": "$-$", "×": r"$\times$", "χ": r"$\chi$", "²": r"$^2$", "φ": r"$\phi$", "θ": r"$\theta$", "α": r"$\alpha$",
    "Δ": r"$\Delta$",
    "½": r"$\frac{1}{2}$", "′": r"$'$", "→": r"$\to$", "≥": r"$\geq$", "≤": r"$\leq$", "√": r"$\surd$", "∞": r"$\infty$",
    "β": r"$\beta$", "σ": r"$\sigma$", INDENT: r"\quad ", "[": "{[}", "]": "{]}", "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip


def as_latex(table: Table) -> str:
    """A ``table`` environment without vertical rules; the packages it needs stand in a comment above it."""
    width = len(table.headings)
    lines = [PACKAGES, r"\begin{table}", r"\begin{threeparttable}", *_title(table)]
    lines += [rf"\begin{{tabular}}{{@{{}}l{'c' * (width - 1)}@{{}}}}", r"\toprule", *_spanners(table)]
    lines += [_row(list(table.headings)), r"\midrule"]
    for i, (group, rows) in enumerate(blocks(table)):
        if group:
            lines += [r"\addlinespace"] * bool(i) + [rf"\multicolumn{{{width}}}{{@{{}}l}}{{{latex(group)}}} \\"]
        lines += [_row([INDENT * bool(group) + row[0], *row[1:]]) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", *_notes(table), r"\end{threeparttable}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Escaped text with its italics; several lines in a cell of their own.

    >>> print(latex("5 % of a_b"))
    5 \\% of a\\_b
    """
    lines = text.split("\n")
    made = [
        "".join(rf"\textit{{{_literal(part)}}}" if it else _literal(part) for part, it in runs(line)) for line in lines
    ]
    if len(made) == 1:
        return made[0]
    stacked = r" \\ ".join(made)
    return rf"\makecell[t]{{{stacked}}}"


def _literal(text: str) -> str:
    return "".join(LITERAL.get(letter, letter) for letter in text)


def _row(cells: list[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + r" \\"


def _spanners(table: Table) -> list[str]:
    if not table.spanners:
        return []
    cells = [rf"\multicolumn{{{n}}}{{c}}{{{latex(label)}}}" if label else "" for label, n in spanner_row(table)]
    rules = [rf"\cmidrule(lr){{{s.first + 1}-{s.last + 1}}}" for s in table.spanners]
    return [" & ".join(cells) + r" \\", "".join(rules)]


def _title(table: Table) -> list[str]:
    return [
        rf"\noindent \{'textbf' if bold else 'textit'}{{{latex(line)}}}\par\smallskip" for line, bold in table.above
    ]


def _notes(table: Table) -> list[str]:
    start, end = r"\begin{tablenotes}[flushleft]\footnotesize", r"\end{tablenotes}"
    return [start, rf"\item {latex(table.below)}", end] if table.below else []
