"""The site: built without a warning, complete in itself, with links that lead somewhere, and for everybody to read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from page_checks import need

pytestmark = [pytest.mark.heavy, pytest.mark.long]
ROOT = Path(__file__).resolve().parents[2]
LINKINATOR = ROOT / "tests/node_modules/linkinator/build/src/cli.js"
LOADED = {
    "img": ("src", "srcset"), "script": ("src",), "link": ("href",), "iframe": ("src",), "source": ("src", "srcset"),
    "video": ("src", "poster"), "audio": ("src",), "object": ("data",), "embed": ("src",), "use": ("href",),
}  # fmt: skip
"""Attributes by which a page has something loaded."""
TOLD = {"canonical", "next", "prev", "alternate", "license"}
"""Relations of a `link` that load nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it."""
    need(ROOT / "web/node_modules/onnxruntime-web", "npm ci --prefix web")
    place = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return place


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(site: Path) -> Iterator[tuple[str, str, dict[str, str | None]]]:
    """Every element of every page, with the name of the page."""
    for page in site.rglob("*.html"):
        if "try" not in page.relative_to(site).parts[0]:  # which has tests of its own
            yield from ((page.relative_to(site).as_posix(), *element) for element in Elements(page).found)


def test_every_page_of_the_docs_is_on_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert (site / name.removesuffix("index") / "index.html").exists(), name
    for name in ("changelog", "contributing", "model-cards/digits", "source/tests/test_wings"):
        assert (site / f"{name}/index.html").exists(), name
    assert (site / "try/static/model.onnx").exists()


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    count = 0
    for page, tag, attributes in elements(site):
        for name in LOADED.get(tag, ()):
            address = attributes.get(name)
            if address is not None and attributes.get("rel") not in TOLD:
                count += 1
                assert not re.search(r"^\s*(https?:)?//|,\s*(https?:)?//", address), (page, tag, address)
    assert count > 100
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), sheet.name


def links(site: Path) -> dict[str, list[str]]:
    """The links of a site, each of which is looked at once, by what became of them; other hosts are not asked."""
    need(LINKINATOR, "npm install --prefix tests")
    command = ["node", str(LINKINATOR), ".", "--recurse", "--check-fragments", "--format", "json",
               "--skip", r"^https?://(?!(localhost|127\.0\.0\.1))"]  # fmt: skip
    result = subprocess.run(command, cwd=site, capture_output=True, text=True, check=False)
    found: dict[str, list[str]] = {}
    for link in json.loads(result.stdout)["links"]:
        found.setdefault(link["state"], []).append(f"{link.get('parent')} → {link['url']}")
    return found


def test_every_link_inside_the_site_leads_to_a_page_and_to_a_place_on_it(site: Path) -> None:
    found = links(site)
    assert found.get("BROKEN", []) == []
    assert len(found["OK"]) > 60
