"""Build the page that needs no server.

    npm ci --prefix web
    python web/static_page.py OUT

Any host of static files can serve OUT, from any path: `python -m http.server --directory OUT`. The page is that of
`sumnist serve`, with the engine in `web/` in place of the server. The engine's limits and words come from the package's
modules: this program writes them to `constants.js`. `sizes.json` tells the size of each file in bytes, plain and
compressed. The same sources always give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import shutil
import sys
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import sumnist.serve
from sumnist.errors import SumnistError
from sumnist.files import FINDER, LEARNED, NUMBERS, ONNX, PRETRAINED

WEB = Path(__file__).resolve().parent
PAGE = Path(sumnist.serve.__file__).parent / "static"
PAGES = "index.html", "about.html"
SERVER_ONLY = "docs.*", "review*", "forms.js", "tables.js", "layout.js", "downloads.js", "sample-*.jpg"
"""Files of the page that only a server needs."""
UNUSED = "node_modules", "package*.json", "*.py", "__pycache__"
"""What is in `WEB` but no part of the page."""
RUNTIME = WEB / "node_modules/onnxruntime-web/dist"
ORT = "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
"""The files of onnxruntime-web that we need: its smallest build, which runs on the processor."""
MODULES = [
    *(f"pictures.{name}" for name in ("decode", "filters", "normalize", "proposals")),
    *(f"inference.{name}" for name in ("alphabet", "ctc", "finder", "inside", "meaning", "numbers", "onnx", "reader")),
]  # fmt: skip
"""Modules from which the engine takes its limits and words."""
NETWORKS = {"digits": ONNX, "finder": FINDER.name, "numbers": NUMBERS.name, "learned": LEARNED.name}
"""The package's networks by their use. The page needs the first two, and does without any other that is missing."""
DOCS = {"how": "about.html#how", "study": "about.html#study", "arithmetic": "about.html#sums",
        "sheets": "about.html#sheets", "api": "about.html#how"}  # fmt: skip
"""Where the page's links to further reading lead."""
API_LINK = re.compile(r' ?<a (?:data-docs="api"|href="docs")>API</a>')
CHARSET = '<meta charset="utf-8">'
POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src 'self'; \
script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; object-src 'none'">"""
"""What the page may load: nothing from other hosts, and WebAssembly."""
SIZES = "sizes.json"


def static(out: Path, docs: dict[str, str] = DOCS) -> dict[str, Any]:
    """Build the page in the folder `out`, whose old content is deleted; `docs`: its links to further reading. Returns
    the sizes."""
    if not RUNTIME.is_dir():
        raise SumnistError(f"{RUNTIME}: missing: run `npm ci --prefix {WEB}` first")
    if out.exists() and any(out.iterdir()) and not (out / SIZES).exists():
        raise SumnistError(f"{out}: holds other files, which would be deleted: name another folder")
    place = out / "static"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(PAGE, place, ignore=shutil.ignore_patterns(*SERVER_ONLY, *PAGES))
    shutil.copytree(WEB, place, ignore=shutil.ignore_patterns(*UNUSED), dirs_exist_ok=True)
    for name in PAGES:
        html = (PAGE / name).read_text(encoding="utf-8").replace(CHARSET, f"{CHARSET}\n    {POLICY}")
        (out / name).write_text(API_LINK.sub("", html), encoding="utf-8")
    (place / "ort").mkdir()
    for name in ORT:
        shutil.copy(RUNTIME / name, place / "ort")
    networks = {what: name if (PRETRAINED / name).exists() else None for what, name in NETWORKS.items()}
    for name in filter(None, networks.values()):
        shutil.copy(PRETRAINED / name, place)
    (place / "constants.js").write_text(constants(networks=networks, docs=docs), encoding="utf-8")
    write_worker(place / "sw.js", out)
    sizes = sizes_in(out)
    (out / SIZES).write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    return sizes


def constants(**others: Any) -> str:
    """Return a JavaScript module with the constants of each of `MODULES`, by the last part of its name, and with
    `others`."""
    values = {name.rpartition(".")[2]: constants_of(f"sumnist.{name}") for name in MODULES} | others
    lines = [f"export const {name} = {json.dumps(value)};" for name, value in values.items()]
    return "\n".join([f"// Written by {Path(__file__).name}.", *lines]) + "\n"


def constants_of(module: str) -> dict[str, Any]:
    """Return the constants of a module that JavaScript can have too: numbers, texts, lists and tables of these. Fields
    of a dataclass count as constants of their own."""
    known = {name: value for name, value in vars(import_module(module)).items() if name.isupper()}
    for group in list(known.values()):
        if is_dataclass(group) and type(group).__module__ == module:
            known |= {name.upper(): value for name, value in vars(group).items()}
    return {name: value for name, value in known.items() if is_plain(value)}


def is_plain(value: Any) -> bool:
    """Whether JSON can hold a value: a number, a text, or a list or table of these."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and is_plain(list(value.values()))
    return all(map(is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, int | float | str)


def contents_of(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder and below, by its path."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_worker(template: Path, out: Path) -> None:
    """List all files in the service worker, and put it where it can answer for all of them."""
    text = template.read_text(encoding="utf-8")
    template.unlink()
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents_of(out).items()}
    text = text.replace("const FILES = {};", f"const FILES = {json.dumps(files, indent=2)};")
    (out / template.name).write_text(text, encoding="utf-8")


def sizes_in(folder: Path) -> dict[str, Any]:
    """Return the size in bytes of each file and of all together: `raw`, and compressed with `gzip`."""
    files = {name: {"raw": len(content), "gzip": len(gzip.compress(content, 9, mtime=0))}
             for name, content in contents_of(folder).items()}  # fmt: skip
    return {"all": {kind: sum(size[kind] for size in files.values()) for kind in ("raw", "gzip")}, "files": files}


def main() -> None:
    """Build the page in the folder that the command line names, and print the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT")
    try:
        sizes = static(parser.parse_args().folder)
    except SumnistError as error:
        sys.exit(f"static_page: {error}")
    for name, size in (*sizes["files"].items(), ("all files", sizes["all"])):
        print(f"{size['raw']:>12,} {size['gzip']:>12,}  {name}")


if __name__ == "__main__":
    main()
