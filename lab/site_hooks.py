"""Adapt the repository's pages for mkdocs: add pages from outside docs/, redirect links, and add the page without a
server.

Pages are written for the repository, where a link may lead to any file. On the site, the files of `PAGES` are pages
too, and the files of `SHOWN` are pages that show code. A link to any other file stays as it is, and fails the build.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Link, Navigation
from mkdocs.structure.pages import Page

sys.path.append(str(Path(__file__).resolve().parent.parent / "web"))
from static_page import static

__all__ = ["on_files", "on_nav", "on_page_content", "on_page_markdown"]

ROOT = Path(__file__).resolve().parent.parent
PLACE = TemporaryDirectory(prefix="sumnist-site-")
STATIC = Path(PLACE.name) / "try"
"""The folder in which the page without a server is built. Each build has its own, since two builds may run at once."""
MORE = {
    "home": "../", "how": "../your-own-pictures/", "study": "../design-choices/#pairs-that-were-never-seen",
    "arithmetic": "../arithmetic/", "sheets": "../sheets/", "api": "../serving/",
}  # fmt: skip
"""Where that page's links to further reading lead."""
ICON = "src/sumnist/serve/static/icon.svg"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "src/sumnist/pretrained/README.md": "model-cards/digits.md",
    "src/sumnist/pretrained/numbers.md": "model-cards/numbers.md",
    "src/sumnist/pretrained/finder.md": "model-cards/finder.md",
}
"""Pages from elsewhere in the repository, and their places on the site."""
SHOWN = (
    "examples/train_in_one_file.py", "examples/two-inputs-two-outputs.ipynb", "tests/test_network.py",
    "lab/tests/test_study.py", "tests/test_wings.py",
)  # fmt: skip
"""Files to which pages link; the site shows them under `source/`, and leaves them out of the search."""
PLACES = {"README.md": "index.md", **PAGES, **{path: f"source/{Path(path).with_suffix('.md')}" for path in SHOWN}}
MARK = re.compile(r"<!-- figure.*?-->(\n?)|<!-- /figure -->()", re.DOTALL)
"""A mark of `write_docs.py` for a figure. On the site, a table that begins behind one needs a blank line before it."""
LINK = re.compile(r"(\]\()([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside docs/."""
    for path, place in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text(encoding="utf-8")))
    for path in SHOWN:
        files.append(File.generated(config, PLACES[path], content=as_page(ROOT / path)))
        files.append(File.generated(config, f"source/{path}", abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "assets/icon.svg", abs_src_path=str(ROOT / ICON)))
    static(STATIC, MORE)
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            files.append(File.generated(config, f"try/{file.relative_to(STATIC).as_posix()}", abs_src_path=str(file)))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Add the page without a server to the navigation."""
    nav.items.append(Link("Try it", "try/"))
    return nav


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remove the marks of figures, and redirect links to the places of their targets on the site."""
    place = page.file.src_uri
    origin = next((path for path, uri in PLACES.items() if uri == place and path != "README.md"), f"docs/{place}")

    def led(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link[2]))
        new = PLACES.get(target, target.removeprefix("docs/"))
        if "://" in link[2] or new == target:
            return link[0]
        return link[1] + posixpath.relpath(new, posixpath.dirname(place))

    return LINK.sub(led, MARK.sub(r"\1\1", markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn empty header cells into plain cells, since a screen reader reads the header with every cell; break no line
    at a ±."""
    return re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html).replace(" ± ", "\u00a0±\u00a0")


def as_page(file: Path) -> str:
    """Return a page that shows a file: a notebook as its cells, any other file as code."""
    text, name = file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix()
    body = f"```python\n{text}```\n"
    if file.suffix == ".ipynb":
        cells = [("".join(cell["source"]), cell["cell_type"]) for cell in json.loads(text)["cells"]]
        body = "\n\n".join(source if kind == "markdown" else f"```python\n{source}\n```" for source, kind in cells)
    head = f"---\ntitle: {file.name}\nsearch:\n  exclude: true\n---\n\n"
    return f"{head}`{name}` · [download]({file.name})\n\n{body}"
