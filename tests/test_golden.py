"""Some forty pictures that everything is read on, and what is read there, to the bit: `golden/readings.json`.

The pictures are simulated by seed, or drawn from MNIST's test images: digits, lines with one number, pages, columns
with a total, forms and tables. `python tests/test_golden.py` writes the readings anew; the difference then shows in the
commit. On another kind of processor, or with other libraries, floats may differ in their last digits.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import PIL
import pytest
from PIL import Image

import sumnist.sheets
import sumnist.tables
from sumnist.cli import main
from sumnist.environment import cpuinfo, processor_name
from sumnist.files import LEARNED

FOLDER = Path(__file__).parent / "golden"
COMMANDS = {
    "digits": ("predict", "--number", "7"),
    "numbers": ("predict", "--numbers", "--number", "5"),
    "pages": ("find",),
    "columns": ("add",),
}
"""The command that reads the pictures of a folder."""
EQUATIONS = (
    "digits/image.png + _ = 12",
    "numbers/minus.png + numbers/point.png = _",
    "numbers/6-touching.png - digits/tight.png - digits/tight.png = ______",
    "digits/scribble.png + digits/cell.png = 9",
)
PRINTED = (
    "predict --number -3 digits/image.png digits/letter.png digits/several.png digits/corner.png digits/blank.png",
    "predict digits/cell.png", "predict --number 5 --model LEARNED digits/doubtful.png",
    "predict --numbers --number -1000 numbers/minus.png numbers/point.png numbers/date.png numbers/word.png",
    "predict --numbers numbers/6-touching.png --digits 5", "find pages/columns.png pages/table-turned.png",
    "add columns/agrees.png columns/disagrees.png", "add columns/agrees.png --total none",
    "add columns/agrees.png --total 485", "add numbers/two-lines.png",
    "solve digits/scribble.png + digits/cell.png = 9", "solve digits/letter.png + 1_ = _ --count 5",
    "solve digits/letter.png + digits/clothes.png = 3", "solve numbers/struck-out.png = numbers/word.png - _",
    "solve digits/image.png = 1",
)  # fmt: skip
"""Commands whose printed text is kept."""
DRAWN = (
    "predict digits/note.png digits/blank.png",
    "predict --numbers numbers/point.png numbers/minus.png",
    "predict --numbers numbers/point.png",
    "find pages/columns.png",
)
"""Commands whose drawings are kept, as checksums of their pixels."""
HAND = {"digits/doubtful.png": 8, "digits/corner.png": 9, "digits/cell.png": 1, "numbers/12-spaced.png": "123456789012"}
"""Examples, with labels that need not be right, for a reader that learns from them."""


def readings() -> Iterator[tuple[str, Any]]:
    """What each picture and each equation is read as. The current folder is that of the pictures."""
    for folder, command in COMMANDS.items():
        for picture in sorted(Path(folder).glob("*.png")):
            yield str(picture), json_of(*command, str(picture))
    for equation in EQUATIONS:
        yield equation, json_of("solve", equation)
    for line in PRINTED:
        yield line, printed_by(*line.replace("LEARNED", str(LEARNED)).split())
    for line in DRAWN:
        with TemporaryDirectory() as folder:
            printed_by(*line.split(), "--show", f"{folder}/drawing.png")
            with Image.open(f"{folder}/drawing.png") as drawing:
                yield f"{line} --show", hashlib.sha256(drawing.convert("RGB").tobytes()).hexdigest()
    for picture in sorted(Path("sheets").glob("*.png")):
        yield str(picture), sumnist.sheets.read(picture, "sheets/exam.toml").as_dict()
    for picture in sorted(Path("tables").glob("*.png")):
        yield str(picture), sumnist.tables.read(picture).as_dict()
    adapted = sumnist.load().adapt([*HAND], [*HAND.values()])
    yield "digits by a hand", [one.as_dict() for one in adapted.read(sorted(map(str, Path("digits").glob("*.png"))))]
    yield "a number by a hand", adapted.read_number("numbers/6-touching.png").as_dict()


def printed_by(*words: str) -> list[str]:
    with redirect_stdout(io.StringIO()) as printed:
        main([*words])
    return printed.getvalue().splitlines()


def json_of(*words: str) -> Any:
    (line,) = printed_by(*words, "--json")
    return json.loads(line)


def made_with() -> list[str]:
    sums = "plain" if sys.version_info < (3, 12) else "compensated"  # as Python's own sum rounds
    return [f"numpy {np.__version__}", f"onnxruntime {onnxruntime.__version__}", f"Pillow {PIL.__version__}",
            f"sums {sums}", f"{processor_name()} {cpuinfo().get('cpu family')}/{cpuinfo().get('model')}"]  # fmt: skip


def loosely(value: Any) -> Any:
    """A value whose floats may be a little different."""
    if isinstance(value, dict):
        return {key: loosely(one) for key, one in value.items()}
    if isinstance(value, list):
        return [loosely(one) for one in value]
    return pytest.approx(value, rel=1e-3, abs=1e-4) if isinstance(value, float) else value


def test_everything_is_read_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = json.loads((FOLDER / "readings.json").read_text())
    monkeypatch.chdir(FOLDER)
    found = json.loads(json.dumps(dict(readings())))
    assert [*found] == [*kept["readings"]]
    alike = kept["made with"] == made_with()
    for name, read in kept["readings"].items():
        if alike or not name.endswith("--show"):  # fonts differ from version to version
            assert found[name] == (read if alike else loosely(read)), name


if __name__ == "__main__":
    with chdir(FOLDER):
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(read)}" for name, read in readings())
        Path("readings.json").write_text(f'{{"made with": {json.dumps(made_with())}, "readings": {{\n{rows}\n}}}}\n')
