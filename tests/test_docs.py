"""The documentation: every reference is found, every link leads somewhere, its code runs, and a browser shows it."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
HOW_TO = sorted((ROOT / "notebooks" / "docs" / "how_to").glob("[!i]*.md"))
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Where a page leads, and what of it can be led to."""

    def __init__(self, path):
        super().__init__()
        self.leads, self.names = set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.names.add(value)
            if name in ("href", "src") and value:
                self.leads.add(value)


@pytest.mark.slow
@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_code_of_the_pages_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)
    plt.close("all")


@pytest.mark.slow
def test_built_without_warnings_and_no_link_is_broken(tmp_path):
    pytest.importorskip("sphinx", reason="the extra docs")
    sources, built = tmp_path / "notebooks", tmp_path / "docs"  # pages that are made stay out of the repository
    shutil.copytree(ROOT / "notebooks", sources, ignore=shutil.ignore_patterns("reference", "gallery"))
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-c", str(sources / "docs")]
    done = subprocess.run([*command, str(sources), str(built)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    own = [path for path in built.rglob("*.html") if "_static" not in path.parts]  # the theme has templates there
    pages = {path.resolve(): Page(path) for path in own}
    assert len(pages) > 150
    broken = []
    for path, page in pages.items():
        for lead in page.leads:
            parts = urlsplit(lead)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].names if target in pages else {"", parts.fragment}
            if not target.exists() or parts.fragment not in known:
                broken.append((path.name, lead))
    assert not broken
    if BROWSER:
        look(built)


def look(built):
    """A real browser sees the title, the figures and what a function takes."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
    for page, words in {
        "index.html": ("tsode", "Gallery", "Reference"),
        "docs/reference/tsode.simulate.html": ("Parameters", "strictly increasing"),
        "docs/gallery/index.html": ("loss_curve", "img"),
    }.items():
        profile = f"--user-data-dir={built / 'profile'}"
        command = [BROWSER, *options, profile, "--dump-dom", (built / page).as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        assert all(word in shown for word in words)
