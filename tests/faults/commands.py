"""Every command that writes files, described in a few lines each: what was there before, its words, what counts.

A new command needs a line in `COMMANDS`; `test_faults.py` fails for one that has none.
"""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.data.mnist import FILES, load_mnist
from sumnist.sheets.layout import Layout


@dataclass(frozen=True)
class Step:
    """One thing that happens before: a command, or Python. `stopped`: it is killed at the so-manieth call whose text
    begins so, and if that is a write, in the middle of it."""

    words: str = ""
    code: str = ""
    stopped: tuple[str, int] | None = None


@dataclass(frozen=True)
class Command:
    """A command under test.

    Attributes:
        name: What the tables call it.
        words: Those of the command line. `INPUTS` stands for the folder of `make_inputs`.
        code: Python to run, where it is no command.
        steps: What happens before.
        keeps: Whether what is there before is complete, and may be replaced by something complete alone.
        run: The run to look at as a user would, None for no run.
    """

    name: str
    words: str = ""
    code: str = ""
    steps: tuple[Step, ...] = ()
    keeps: bool = True
    run: str | None = None


TRAIN = (
    "train --preset tiny --data-dir INPUTS/digits --validation 100 --epochs 3 --batch-size 50 --device cpu --threads 1 "
    "--out run"
)
OLD = Step(f"{TRAIN} --seed 5 --lr 0.02")
"""An older run, in the place of the new one."""
EXPORTED, EVALUATED = Step("export run"), Step("evaluate run")
HALF_TRAINED = Step(TRAIN, stopped=("rename run/.model", 2))
SAVE = """
import sys
from sumnist import TwoInputNet
from sumnist.errors import SumnistError
try:
    TwoInputNet.from_pretrained("INPUTS/other").save_pretrained("run")
except SumnistError as error:
    sys.exit(f"sumnist: {error}")
"""

BLANK_PLOTS = """
import io
from matplotlib.figure import Figure
from sumnist.evaluation import plots
for name in ("confusion", "reliability", "mistakes", "training_curves"):
    assert callable(getattr(plots, name)), name
    setattr(plots, name, lambda *_, **__: Figure((1, 1), dpi=20))
"""
"""Drawing takes ten times as long as everything else that `evaluate` does."""
REMEMBERED = """
import hashlib
from pathlib import Path
from sumnist.training import export
make = export.to_onnx
def remembered(spec, more):
    told = repr(sorted({**spec.metadata, **more}.items())).encode()
    told += b"".join(v.numpy().tobytes() for v in spec.module.state_dict().values())
    path = Path("INPUTS", hashlib.sha256(told).hexdigest())
    if not path.exists():
        path.write_bytes(make(spec, more))
    return path.read_bytes()
export.to_onnx = remembered
"""
"""Each network is translated once: that takes ten times as long as everything else that `export` does, and writes no
file."""
SMALL_CHUNKS = """
from sumnist.batch import score as table
from sumnist.batch.score import DigitTask, NumberTask
assert DigitTask.chunk > 0 and NumberTask.chunk > 0 and table.SAVE_EVERY > 0
DigitTask.chunk = NumberTask.chunk = 4
table.SAVE_EVERY = 0.0
"""
"""A note of how far a scoring is after every four rows, as in one of a million rows."""
SMALL_STUDY = """
from dataclasses import replace
from types import SimpleNamespace
import numpy as np
from sumnist.data.mnist import DigitSet, load_mnist
from lab.study import designs, report, runs
digits = load_mnist("train", "INPUTS/digits")
runs.load_mnist = lambda split: digits
runs.HELD_OUT, runs.LOOKED_AT = 100, 50
runs.time = SimpleNamespace(perf_counter=lambda: 0.0)
report.draw = lambda results: dict.fromkeys(list(report.FIGURES)[:2], "<svg/>")
chosen = [designs.variant(name) for name in ("reference", "exact")]
designs.quick = lambda: [replace(v, recipe=replace(v.recipe, epochs=1), seeds=1) for v in chosen]
"""
"""Two designs, on some hundred images, in no time, and two empty pictures."""
SMALL_PILE = """
from sumnist.batch import score as table
from sumnist.sheets import batch
assert batch.SheetTask.chunk > 0 and table.SAVE_EVERY > 0 and callable(batch.read_one)
batch.SheetTask.chunk, table.SAVE_EVERY = 1, 0.0
LOOK = {"field": "q1", "candidates": [{"value": 1, "probability": 0.6}, {"value": 7, "probability": 0.4}]}
READ = {"state": "doubtful", "identity": "Ada", "version": 1, "probability": 0.6, "wrong": [], "corrections": [],
        "values": {"q1": 1, "q2": 2, "total": 3}, "look": [LOOK], "matrix": [0.25, 0, 0, 0, 0.2, 0, 0, 0, 1]}
def read_one(reader, picture):
    return READ | {"file": picture, "layout": reader.layout.id, "identity": picture[-6:-4]}
batch.read_one = read_one
"""
"""A note after each sheet, and the same numbers on all: reading takes ten times as long as everything else that `sheet
read` does, and writes no file."""
SMALL_TABLES = """
from sumnist.batch import score as table
from sumnist.tables import batch
assert table.SAVE_EVERY > 0 and callable(batch.read_one)
table.SAVE_EVERY = 0.0
CELL = {"cell": "A1", "row": 1, "column": 1, "value": 7, "probability": 0.9, "state": "doubtful", "read": "7",
        "candidates": [{"value": 7, "probability": 0.9}], "corners": [[0, 0], [9, 0], [9, 9], [0, 9]],
        "seen": [[7, 0.9]]}
READ = {"rows": 28, "columns": 1, "cells": [CELL], "rules": [], "broken": [], "exact": True, "beside": 0,
        "learned": False}
def read_one(reader, picture):
    return READ | {"file": picture}
batch.read_one = read_one
"""
"""A note after each page, and the same number on all, as above."""
SHORTER = {"evaluate": BLANK_PLOTS, "export": REMEMBERED, "score": SMALL_CHUNKS, "sheet read": SMALL_PILE,
           "table read": SMALL_TABLES, "study": SMALL_STUDY}  # fmt: skip
"""What the process of a command runs first, to make it short."""

SCORE = "score INPUTS/table.csv --out table.csv --workers 1"
HALF_SCORED = Step(SCORE, stopped=("", 20))
SCORE_NUMBERS = SCORE.replace("score", "score --numbers --digits 1-6")
SCORE_FOLDER = "score INPUTS/pictures --number 7 --out table.csv --workers 1"
STUDY = "study --quick --workers 1 --rows rows.jsonl --out report"
SHEET = "sheet new 9,7 --out cover.pdf"
HAND = "hand learn INPUTS/hand --out my.hand"
READ = (
    "sheet read INPUTS/pictures/1.png INPUTS/pictures/2.png INPUTS/pictures/3.png --layout INPUTS/cover.toml "
    "--out marks.xlsx --workers 1"
)
TABLES = "table read INPUTS/pictures/1.png INPUTS/pictures/2.png --out tables.csv --workers 1"
STATION = "table read INPUTS/1969-02.png --layout INPUTS/station.toml --out station.zip --workers 1"
RELATIONS = "table relations INPUTS/tables.jsonl --out station.toml"
HALF_READ = Step(READ, stopped=("", 12))
ONE_ROW = Step(STUDY, stopped=("write rows.jsonl", 2))

COMMANDS = (
    Command("train", TRAIN, keeps=False, run="run"),
    Command("train --resume", f"{TRAIN} --resume", steps=(HALF_TRAINED,), keeps=False, run="run"),
    Command(
        "train --resume, exported and evaluated in between", f"{TRAIN} --resume",
        steps=(HALF_TRAINED, EXPORTED, EVALUATED), keeps=False, run="run",
    ),
    Command("train --overwrite", f"{TRAIN} --overwrite", steps=(OLD, EXPORTED, EVALUATED), run="run"),
    Command("export", "export run", steps=(OLD, EVALUATED), run="run"),
    Command("export, over an older file", "export run", steps=(OLD, EXPORTED), run="run"),
    Command("export --int8", "export run --int8", steps=(OLD,), run="run"),
    Command("evaluate", "evaluate run", steps=(OLD,), run="run"),
    Command("evaluate, again", "evaluate run", steps=(OLD, EXPORTED, EVALUATED), run="run"),
    Command("save_pretrained", code=SAVE, keeps=False, run="run"),
    Command("save_pretrained, over an older run", code=SAVE, steps=(OLD, EXPORTED, EVALUATED), run="run"),
    Command("score, CSV", SCORE, keeps=False),
    Command("score, JSONL", SCORE.replace("csv", "jsonl"), keeps=False),
    Command("score, folder", SCORE_FOLDER, keeps=False),
    Command("score, two workers", SCORE.replace("1", "2"), keeps=False),
    Command("score, killed before", SCORE, steps=(HALF_SCORED,), keeps=False),
    Command("score --numbers", SCORE_NUMBERS, keeps=False),
    Command(
        "score --numbers, killed before", SCORE_NUMBERS, steps=(Step(SCORE_NUMBERS, stopped=("", 20)),), keeps=False,
    ),
    Command("score --overwrite", f"{SCORE} --overwrite", steps=(Step(SCORE_FOLDER),)),
    Command("study", STUDY, keeps=False),
    Command("study, killed before", STUDY, steps=(ONE_ROW,), keeps=False),
    Command("study --report, over an older one", f"{STUDY} --report", steps=(Step(STUDY),)),
    Command("predict --show", "predict INPUTS/pictures/3.png --number 7 --show steps.png"),
    Command("predict --numbers --show", "predict --numbers INPUTS/pictures/3.png --show line.png"),
    Command("find --show", "find INPUTS/pictures/3.png --show page.png"),
    Command("sheet new", SHEET, keeps=False),
    Command("sheet new, again", SHEET, steps=(Step(SHEET),)),
    Command("sheet read", READ, keeps=False),
    Command("sheet read, CSV", READ.replace("xlsx", "csv"), keeps=False),
    Command("sheet read, killed before", READ, steps=(HALF_READ,), keeps=False),
    Command("sheet read --overwrite", f"{READ} --overwrite", steps=(Step(f"{READ} --mistakes 0.1"),)),
    Command("table read", TABLES, keeps=False),
    Command("table read, killed before", TABLES, steps=(Step(TABLES, stopped=("", 12)),), keeps=False),
    Command("table read, station", f"{STATION} --overwrite", steps=(Step(STATION),), keeps=False),
    Command("table relations", f"{RELATIONS} --overwrite", steps=(Step(RELATIONS),)),
    Command("hand new", "hand new --out form.pdf", keeps=False),
    Command("hand learn", HAND, steps=(Step(HAND),)),
    Command("graph --out", "graph --preset tiny --out graph.svg", steps=(Step("graph --preset fast --out graph.svg"),)),
)  # fmt: skip

READ_ONLY = {"demo": "demo --count 1 --seed 1", "compare": "compare run", "serve": None, "sheet review": None,
             "table review": None,
             "hand test": "hand test INPUTS/hand", "solve": "solve INPUTS/pictures/3.png + _ = 12",
             "add": "add INPUTS/pictures/3.png"}  # fmt: skip
"""The commands that write no files, and how to see that; the servers go on for ever, and have tests of their own."""


def make_inputs(folder: Path) -> None:
    """Write what the commands read: a data set in IDX files, twelve pictures, and tables of them in which one is
    missing."""
    digits = load_mnist("train")
    (folder / "digits").mkdir(parents=True)
    for split, part in (("train", slice(0, 500)), ("test", slice(500, 600))):
        write_idx(folder / "digits" / FILES[f"x_{split}"], digits.images[part])
        write_idx(folder / "digits" / FILES[f"y_{split}"], digits.digits[part].astype(np.uint8))
    (folder / "pictures").mkdir()
    for place in range(12):
        Image.fromarray(digits.images[place]).resize((56, 56)).save(folder / "pictures" / f"{place}.png")
    for place in range(200, 260):  # turned a little, as one person writes
        where = folder / "hand" / str(digits.digits[place])
        where.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[place]).rotate(45).save(where / f"{place}.png")
    rows = [(f"pictures/{place}.png", place % 10) for place in range(11)] + [("pictures/none.png", 3)]
    (folder / "table.csv").write_text("path,number\n" + "".join(f"{path},{number}\n" for path, number in rows))
    lines = (f'{{"path": "{path}", "number": {number}}}\n' for path, number in rows)
    (folder / "table.jsonl").write_text("".join(lines))
    (folder / "tables.jsonl").write_text(
        json.dumps({"path": "a.png", "rows": 3, "columns": 2, "cells": [], "broken": [], "beside": 0,
                    "rules": [{"formula": "r3 = r1 + r2", "places": None, "held": 2, "seen": 2}]}) + "\n"
    )  # fmt: skip
    shutil.copy(folder / "pictures" / "1.png", folder / "1969-02.png")
    (folder / "station.toml").write_text(
        '[station]\nid = "9"\nname = "Here"\nlat = 1\nlon = 2\n'
        '[columns.A]\nvariable = "Tx"\nstatistic = "mean"\nunit = "C"\n'
    )
    (folder / "cover.toml").write_text(Layout.of_line("9,7").to_toml())


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write an array of bytes as the IDX format has it."""
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())
