"""Every page, as a browser shows it, checked by axe-core: nothing serious or critical on a phone and on a desk."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import alliance_stats as al
from alliance_stats.report.claims import report_claims
from alliance_stats.report.index import write_index

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZES = {"phone": (400, 800), "desk": (1100, 900)}
GRAVE = ("serious", "critical")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = ("index", "claims", *al.studies)
CHECK = (
    "async () => { document.querySelectorAll('details').forEach(d => { d.open = true; });"
    f"const run = await axe.run(document, {{runOnly: {json.dumps(TAGS)}, resultTypes: ['violations']}});"
    "return {rules: run.passes.length, found: run.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html])}; }"
)
WIDE = 1  # pixels by which rounding may make a page wider than the window


@cache
def axe() -> str:
    """The source of axe-core, from the package that carries it; neither it nor playwright is run."""
    try:
        return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError:
        return ""


REQUIRED = "ALLIANCE_STATS_BROWSER" in os.environ  # continuous integration sets it, so that nothing is skipped there
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="no chromium on this machine to show the pages"
)
needs_axe = pytest.mark.skipif(
    not axe() and not REQUIRED,
    reason="the development package axe-playwright-python, which carries axe-core, is absent",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    runs = [al.studies[key].run() for key in al.studies]
    for run in runs:
        run.report(folder / f"{run.study.key}.html")
    report_claims(folder / "claims.html", runs)
    write_index(runs, folder / "index.html", claims=True)
    return folder


def shown(page: Path, size: tuple[int, int], script: str) -> Any:
    """What a script, run in the page by a browser, resolves to."""
    end = (
        f"<script>({script})().then(found => {{ const out = document.createElement('pre'); out.id = 'found';"
        "out.textContent = JSON.stringify(found); document.body.append(out); }).catch(problem => {"
        "const out = document.createElement('pre'); out.id = 'found'; out.textContent = JSON.stringify(String(problem));"
        "document.body.append(out); });</script></body>"
    )
    text = page.read_text(encoding="utf-8")
    copy = page.with_name(f"{page.stem}-{size[0]}-checked.html")
    copy.write_text(text.replace("</body>", f"<script>{axe()}</script>{end}"), encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--window-size={size[0]},{size[1]}",
        "--virtual-time-budget=60000", f"--user-data-dir={page.parent / 'profile'}", "--dump-dom", copy.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found, f"{page.name}: the browser ran no script"
    return json.loads(html.unescape(found[1]))


@needs_browser
@needs_axe
@pytest.mark.parametrize(
    ("name", "size"), [*((name, "phone") for name in PAGES), ("claims", "desk"), ("fuentes2014", "desk")]
)
def test_axe_finds_nothing_serious(folder, name, size):
    report = shown(folder / f"{name}.html", SIZES[size], CHECK)
    assert report["rules"] > 15, report
    assert [finding for finding in report["found"] if finding[0] in GRAVE] == []


@needs_browser
@needs_axe
def test_axe_finds_what_is_spoiled(folder):
    """The check can fail: pale text, a picture without words, and a table cell that heads nothing it names."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    spoiled = folder / "spoiled.html"
    pale = (
        '<p style="color: #bbb">pale</p><img src="data:,"><table><tr><td headers="nowhere">1</td></tr></table></main>'
    )
    spoiled.write_text(page.replace("</main>", pale), encoding="utf-8")
    found = {rule for impact, rule, *_ in shown(spoiled, SIZES["phone"], CHECK)["found"] if impact in GRAVE}
    assert {"color-contrast", "image-alt", "td-headers-attr"} <= found


@needs_browser
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_no_wider_than_a_phone(folder, name):
    """Wide tables scroll in their own regions; the page itself does not."""
    script = "async () => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    across, window = shown(folder / f"{name}.html", SIZES["phone"], script)
    assert across <= window + WIDE


@pytest.mark.parametrize("name", PAGES)
def test_structure_without_a_browser(folder, name):
    """Language, one h1, headings in order, landmarks, a way past the contents; tables, regions and figures named."""
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", page)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.index('class="skip" href="#content"') < page.index("<header>")
    assert '<main id="content"' in page
    tables = re.findall(r"<table.*?</table>", page, flags=re.DOTALL)
    for table in tables:
        assert re.search(r"<caption>[^<]+</caption>", table), table[:200]
        assert re.search(r'<th scope="col"', table)
        assert all("scope=" in head for head in re.findall(r"<th\b[^>]*>", table))
    regions = re.findall(r'<div class="scroll" ([^>]*)>', page)
    assert len(regions) == len(tables) + page.count("<figure>")
    for region in regions:
        assert 'role="region"' in region
        assert 'tabindex="0"' in region
        assert re.search(r'aria-label="[^"]+"', region)
    for svg in re.findall(r"<svg\b.*?</svg>", page, flags=re.DOTALL):
        assert 'role="img"' in svg[:300]
        assert re.search(r"<title id=[^>]+>[^<]+</title>", svg)
        assert re.search(r"<desc id=[^>]+>[^<]+</desc>", svg)
