"""Put a trained network of cells into the package: calibrated, verified, exported, measured, with its model card.

    python scripts/ship_cells.py               train the preset `cells`, calibrate, verify, measure, install
    python scripts/ship_cells.py --run FOLDER  the same with the run there; goes on with an unfinished one

The run leaves out 5,000 images of the training set; cells composed of these calibrate it, and must be read as well as
`LEAST` says. The file must keep within its size and give torch's answers. Otherwise nothing is installed. Then it reads
cells composed of MNIST's test images, once for each network: the row is in docs/results/cells.jsonl.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import StrictUndefined, Template

from measure import RESULTS
from sumnist.config import Config, preset
from sumnist.data.cells import Cells
from sumnist.data.mnist import load_mnist
from sumnist.environment import commit, now
from sumnist.files import CELLS, write_atomically
from sumnist.inference.cells import CellReader
from sumnist.lab.study.rows import Row, append_jsonl, read_jsonl
from sumnist.model.cell_network import load_cell_network
from sumnist.model.checkpoint import load_config
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS
from sumnist.model.network import save_network
from sumnist.training.cells import HELD_DRAWN, CalibratedCells, CellTask, calibrate_cells, figures_of
from sumnist.training.devices import Team
from sumnist.training.export_cells import export_cells
from sumnist.training.folder import RECORD
from sumnist.training.loop import train

CARD_TEMPLATE = Path(__file__).with_name("cell-card.md.j2")
ROWS = RESULTS.with_name("cells.jsonl")
LARGEST = 450_000
"""Bytes of the file that ships, at most."""
LEAST = {"box": 0.95, "digit": 0.95, "strip": 0.95}
"""Shares of the held-out cells that must be read rightly: a little less than the first network that shipped did."""
TEST_SEED, TEST_BATCHES, TEST_BATCH = 0x7E57, 64, 128
"""Of the cells of test images: another seed than any training's."""
DARK = 0.8
"""Ink of the test images that stand in blank boxes."""


def main() -> None:
    """Train what is missing, calibrate, verify, measure, install."""
    parser = argparse.ArgumentParser(description="Install a trained network of cells in the package.")
    parser.add_argument("--run", type=Path, help="folder of the run (default: a temporary one)")
    parser.add_argument("--into", type=Path, default=CELLS, help="the ONNX file to write")
    parser.add_argument("--rows", type=Path, default=ROWS, help="the file of the row that says what was measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = given.run or Path(place) / "run"
        train(preset("cells", threads=1), run, resume=True)
        install(run, given.into, given.rows)


def install(run: Path, into: Path, rows: Path) -> None:
    """Calibrate and verify a run, measure and install it. Raises `SystemExit` if it is not fit to be shipped."""
    config = load_config(run)
    record = json.loads((run / RECORD).read_text(encoding="utf-8"))
    if config.task != "cells" or not config.validation or config.data_dir or not record.get("finished"):
        raise SystemExit(f"{run}: expected a finished run with --task cells and held-out images, on MNIST")
    net, _, _ = load_cell_network(run)
    fitted = calibrated(config, net)
    save_network(net, run)
    for name, least in LEAST.items():
        if getattr(fitted, name) < least:
            raise SystemExit(f"{run}: {name} {getattr(fitted, name):.2%} right, expected at least {least:.2%}")
    exported = export_cells(run)
    if exported.bytes > LARGEST:
        raise SystemExit(f"{exported.path}: {exported.bytes:,} bytes, expected at most {LARGEST:,}")
    content = exported.path.read_bytes()
    row = test_row(content, rows)
    facts: dict[str, Any] = {
        "date": now(), "commit": commit(), "config": json.loads(config.to_json()), "record": record,
        "parameters": count_parameters(net), "bytes": exported.bytes, "calibration": fitted.as_dict(),
        "test": row["figures"], "last_epoch": read_jsonl(run / METRICS)[-1],
    }  # fmt: skip
    write_atomically(into, content)
    write_atomically(into.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    write_atomically(into.with_suffix(".md"), card(facts))
    print(f"{into}: {fitted.box:.2%} of held-out boxes, {fitted.strip:.2%} of strips, {exported.bytes:,} bytes of ONNX")


def calibrated(config: Config, net: Any) -> CalibratedCells:
    """The temperature of a run, fitted to the held-out cells."""
    return calibrate_cells(net, CellTask(config, torch.device("cpu"), Team()).held_cells)


def test_row(content: bytes, rows: Path) -> Row:
    """What is measured on cells of test images: the row of this network if there is one, for it is looked at once."""
    checksum = hashlib.sha256(content).hexdigest()
    for row in read_jsonl(rows) if rows.exists() else []:
        if row["model_sha256"] == checksum:
            return row
    row = {"date": now(), "commit": commit(), "model_sha256": checksum, "bytes": len(content),
           "figures": test_figures(CellReader(content))}  # fmt: skip
    append_jsonl(rows, row)
    return row


def test_figures(reader: CellReader) -> dict[str, float]:
    """The figures of cells composed of test images, and of blank boxes with one of them each, as it is."""
    test = load_mnist("test")
    cells = Cells(test, TEST_SEED, count=HELD_DRAWN)
    batches = [cells.batch(step, TEST_BATCH) for step in range(TEST_BATCHES)]
    said = np.concatenate(
        [reader.posteriors(part.numpy()) for batch in batches for part in (batch.boxes, batch.strips)]
    )
    target = torch.cat([batch.target for batch in batches])
    boxes = torch.cat([torch.arange(len(batch.target)) < len(batch.boxes) for batch in batches])
    clean = np.pad(test.images * np.float32(DARK / 255), ((0, 0), (4, 4), (1, 1)))  # N, 36, 30
    right = reader([*clean]).argmax(1) == test.digits
    figures = figures_of(torch.from_numpy(said), target, boxes)
    return {"cells": len(target), **figures, "clean": float(right.mean())}


def card(facts: dict[str, Any]) -> str:
    """The model card."""
    template = Template(
        CARD_TEMPLATE.read_text(encoding="utf-8"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    text: str = template.render(**facts)
    return text


if __name__ == "__main__":
    main()
