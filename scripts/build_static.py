"""Build the page that needs no server: its files, the networks, and ONNX Runtime for browsers, in one folder.

    npm ci --prefix web
    python scripts/build_static.py OUT

Any host of static files can serve OUT, from any path: `python -m http.server --directory OUT`. The page is that of
`sumnist serve`, with the engine in `web/` instead of its own. Limits and words stand in the package's modules alone:
they are written to `constants.js`. `sizes.json` says how many bytes each file has, as it is and compressed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import sumnist.serve
from sumnist.errors import SumnistError
from sumnist.files import LEARNED, NUMBERS, ONNX, PRETRAINED

__all__ = ["SIZES", "build"]

WEB = Path(__file__).resolve().parent.parent / "web"
PAGE = Path(sumnist.serve.__file__).parent / "static"
PAGES = "index.html", "about.html"
ENGINE = "engine.js"
"""The one file of the page that `web/` has too."""
SERVER_ONLY = "docs.*", "review*"
"""Files of the page that are of use with a server only."""
ORT = "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
"""Of onnxruntime-web: its smallest build, for processors."""
MODULES = [
    *(f"pictures.{name}" for name in ("apart", "background", "decode", "ink", "lines", "normalize", "proposals")),
    *(f"inference.{name}" for name in ("closer", "ctc", "inside", "judge", "layers", "numbers", "onnx", "prefixes",
                                       "reader", "recognizers")),
]  # fmt: skip
"""Modules whose limits and words the engine has from them."""
NETWORKS = {"digits": ONNX, "numbers": NUMBERS.name, "learned": LEARNED.name}
"""The networks of the package by what they are for; the page does without one that is missing, but for the first."""
DOCS = {"how": "about.html#how", "study": "about.html#study", "arithmetic": "about.html#sums",
        "sheets": "about.html#sheets", "api": "about.html#how"}  # fmt: skip
"""Where the page says that there is more to read."""
API_LINK = re.compile(r' ?<a (?:data-docs="api"|href="docs")>API</a>')
CHARSET = '<meta charset="utf-8">'
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; object-src 'none'"
"""What the page may load: nothing of another host, and WebAssembly."""
SIZES = "sizes.json"


def build(out: Path, docs: dict[str, str] = DOCS) -> dict[str, Any]:
    """Build the page in the folder `out`, which is made anew; `docs`: its links to more. Returns the sizes."""
    runtime = WEB / "node_modules" / "onnxruntime-web" / "dist"
    if not runtime.is_dir():
        raise SumnistError(f"{runtime}: missing: run `npm ci --prefix {WEB}` first")
    if out.exists() and any(out.iterdir()) and not (out / SIZES).exists():
        raise SumnistError(f"{out}: holds other files, which would be deleted: name another folder")
    static = out / "static"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(PAGE, static, ignore=shutil.ignore_patterns(*SERVER_ONLY, *PAGES))
    shutil.copytree(WEB, static, ignore=shutil.ignore_patterns("node_modules", "package*.json"), dirs_exist_ok=True)
    for name in PAGES:
        (out / name).write_text(page_of((PAGE / name).read_text(encoding="utf-8")), encoding="utf-8")
    (static / "ort").mkdir()
    for name in ORT:
        shutil.copy(runtime / name, static / "ort")
    networks = {what: name if (PRETRAINED / name).exists() else None for what, name in NETWORKS.items()}
    for name in filter(None, networks.values()):
        shutil.copy(PRETRAINED / name, static)
    (static / "constants.js").write_text(constants(networks=networks, docs=docs), encoding="utf-8")
    write_worker(static / "sw.js", out)
    sizes = sizes_in(out)
    (out / SIZES).write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    return sizes


def page_of(html: str) -> str:
    """A page, with what it may load, and without what only a server has."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return API_LINK.sub("", html.replace(CHARSET, f"{CHARSET}\n    {policy}"))


def constants(names: Iterable[str] = MODULES, **others: Any) -> str:
    """The module of JavaScript that has, by the last part of their names, the constants of modules; and `others`."""
    lines = [f"// Written by {Path(__file__).name}."]
    modules = {name.rpartition(".")[2]: import_module(f"sumnist.{name}") for name in names}
    values = {name: constants_of(module) for name, module in modules.items()}
    return (
        "\n".join(lines + [f"export const {name} = {json.dumps(value)};" for name, value in (values | others).items()])
        + "\n"
    )


def constants_of(module: ModuleType) -> dict[str, Any]:
    """Its constants that JavaScript can have too: numbers, texts, and what is made of those."""
    return {name: value for name, value in vars(module).items() if name.isupper() and is_plain(value)}


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and is_plain(list(value.values()))
    return all(map(is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, int | float | str)


def write_worker(template: Path, out: Path) -> None:
    """Tell the service worker which files there are, and put it where it may answer for all of them."""
    paths = [path for path in sorted(out.rglob("*")) if path.is_file() and path != template]
    files = {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    text = template.read_text(encoding="utf-8").replace(
        "const FILES = {};", f"const FILES = {json.dumps(files, indent=2)};"
    )
    (out / template.name).write_text(text, encoding="utf-8")
    template.unlink()


def sizes_in(folder: Path) -> dict[str, Any]:
    """Bytes of each file and of all, `raw` and as `gzip` makes them."""
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    files = {
        name: {"raw": len(content), "gzip": len(gzip.compress(content, 9, mtime=0))}
        for name, content in contents.items()
    }
    return {"all": {kind: sum(size[kind] for size in files.values()) for kind in ("raw", "gzip")}, "files": files}


def main() -> None:
    """Build the page, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to build in; what is in it is deleted")
    try:
        sizes = build(parser.parse_args().out)
    except SumnistError as error:
        sys.exit(f"build_static: {error}")
    for name, size in (*sizes["files"].items(), ("all files", sizes["all"])):
        print(f"{size['raw']:>12,} {size['gzip']:>12,}  {name}")


if __name__ == "__main__":
    main()
