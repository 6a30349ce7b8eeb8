"""Tables as html, by great-tables: escaped, with headings that name their cells, the same bytes each time."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import pandas as pd

from alliance_stats.tables.styles import runs, unmarked
from alliance_stats.tables.value import INDENT, Table

RULE = "#000000"
P_SIGN = re.compile(r"(&[lg]t;) (?=\.\d)")  # stays on one line with its number


def as_html(table: Table) -> str:
    """The table as an element to embed in a page, its style sheet bound to its id."""
    return str(great_table(table).as_raw_html())


def as_page(table: Table) -> str:
    """A page of its own."""
    title = escape(unmarked(table.headline) or "Table")
    head = f'<meta charset="utf-8"><title>{title}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{as_html(table)}\n</body></html>\n'


def great_table(table: Table) -> Any:
    """The table as a ``great_tables.GT``, for those who want to change how it looks."""
    from great_tables import GT, html

    names = [f"c{i}" for i in range(len(table.headings))]
    frame = pd.DataFrame(table.cells.map(markup).to_numpy(), columns=names, dtype=object)
    group = "group" if table.groups else None
    if table.groups:
        frame["c0"] = markup(INDENT) + frame["c0"]
        frame["group"] = [unmarked(group) for group in table.groups]
    made = GT(frame, rowname_col="c0", groupname_col=group, id=table.id).fmt_passthrough(columns=names, escape=False)
    made = made.cols_label({name: html(markup(head)) for name, head in zip(names, table.headings, strict=True)})
    made = made.tab_stubhead(html(markup(table.headings[0]))).cols_align("center", columns=names[1:])
    for i, spanner in enumerate(table.spanners):
        columns = names[spanner.first : spanner.last + 1]
        made = made.tab_spanner(label=html(markup(spanner.label)), columns=columns, id=f"s{i}", gather=False)
    return _dressed(_noted(_titled(made, table), table))


def markup(text: str) -> str:
    """Escaped text with its italics and line breaks.

    >>> markup("a < b"), markup("< .001")
    ('a &lt; b', '&lt;&nbsp;.001')
    """
    made = "".join(f"<em>{escape(part)}</em>" if slanted else escape(part) for part, slanted in runs(text))
    return P_SIGN.sub(r"\1&nbsp;", made).replace("\n", "<br>").replace(INDENT, "&emsp;")


def _titled(made: Any, table: Table) -> Any:
    from great_tables import html

    lines = [
        html(f"<strong>{markup(line)}</strong>" if bold else f"<em>{markup(line)}</em>") for line, bold in table.above
    ]
    return made.tab_header(title=lines[0], subtitle=lines[1] if len(lines) > 1 else None) if lines else made


def _noted(made: Any, table: Table) -> Any:
    from great_tables import html

    return made.tab_source_note(html(markup(table.below))) if table.below else made


def _dressed(made: Any) -> Any:
    """Three horizontal rules and no others, as in print."""
    none = dict.fromkeys(
        (
            "heading_border_bottom_style", "table_body_hlines_style", "stub_border_style", "table_border_top_style",
            "table_border_bottom_style", "row_group_border_top_style", "row_group_border_bottom_style",
            "row_group_border_right_style",
        ), "none",
    )  # fmt: skip
    rules = {
        f"{place}_{what}": value
        for place in (
            "column_labels_border_top",
            "column_labels_border_bottom",
            "table_body_border_top",
            "table_body_border_bottom",
        )
        for what, value in (("style", "solid"), ("color", RULE), ("width", "1px"))
    }
    return made.tab_options(
        **none, **rules, heading_align="left", heading_title_font_size="100%", heading_subtitle_font_size="100%",
        table_font_size="14px", table_background_color="#FFFFFF", data_row_padding="3px", row_group_padding="4px",
        row_group_font_weight="bold", source_notes_font_size="90%", table_margin_left="0",
        heading_padding="2px",
    )  # fmt: skip
