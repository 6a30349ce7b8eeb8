"""The documentation site: `make docs` gathers its sources in docs/_build/source and builds docs/_build/html."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "alliance_stats"
extensions = ["myst_nb", "sphinx.ext.autodoc", "offline_math", "docstrings"]
exclude_patterns = ["_extra"]
default_role = "code"
language = "en"

# Notebooks are executed and checked by `make test`; here they are shown as they are stored.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.strikethrough"]

autodoc_typehints = "none"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 90
toc_object_entries = False

# Nothing reaches the network: formulas become MathML at build time, there is no intersphinx and no web font.
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "alliance_stats"
html_static_path = [str(Path(__file__).parent / "_static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_extra_path = [str(Path(__file__).parent / "_build/source/_extra")]  # the reports, as they are
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_depth": 2,
    "show_nav_level": 1,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
}
ALONE = (
    "index",
    "quickstart",
    "limitations",
    "gallery",
    "glossary",
    "for_*",
    "validation",
    "changelog",
    "contributing",
)
html_sidebars: dict[str, list[str]] = {page: [] for page in ALONE}
pygments_style = "friendly"
