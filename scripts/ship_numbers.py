"""Put a trained network of strips into the package: calibrated, verified, exported, with its model card.

    python scripts/ship_numbers.py               train the preset `numbers`, calibrate, verify, install
    python scripts/ship_numbers.py --run FOLDER  the same with the run there; goes on with an unfinished one

The run leaves out 5,000 images of the training set. Strips composed of these calibrate it, as every training of the
task does at its end. In 8 bits it must be no worse on them than the one that it replaces, give or take what two seeds
differ by, its file must keep within its size, and before it is rounded must give torch's answers. Otherwise nothing is
installed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from jinja2 import StrictUndefined, Template

from sumnist.config import preset
from sumnist.environment import commit, now
from sumnist.files import NUMBERS, write_atomically
from sumnist.lab.study.rows import read_jsonl
from sumnist.model.checkpoint import load_config
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS
from sumnist.model.network import save_network
from sumnist.model.strip_network import load_strip_network
from sumnist.training.devices import Team
from sumnist.training.export_strips import export_strips, right_of
from sumnist.training.folder import RECORD
from sumnist.training.loop import train
from sumnist.training.numbers import NumberTask, calibrate_on

CARD_TEMPLATE = Path(__file__).with_name("number-card.md.j2")
LARGEST = 3_000_000
"""Bytes of the file that ships, at most."""
MAY_LOSE = 0.005
"""How much less accurate on held-out strips than the packaged network a new one may be."""


def main() -> None:
    """Train what is missing, calibrate, verify, install."""
    parser = argparse.ArgumentParser(description="Install a trained network of strips in the package.")
    parser.add_argument("--run", type=Path, help="folder of the run (default: a temporary one)")
    parser.add_argument("--into", type=Path, default=NUMBERS, help="the ONNX file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = given.run or Path(place) / "run"
        train(preset("numbers", threads=2), run, resume=True)
        install(run, given.into)


def install(run: Path, into: Path) -> None:
    """Calibrate and verify a run, and install it. Raises `SystemExit` if it is not fit to be shipped."""
    config = load_config(run)
    record = json.loads((run / RECORD).read_text(encoding="utf-8"))
    if config.task != "numbers" or not config.validation or config.data_dir or not record.get("finished"):
        raise SystemExit(f"{run}: expected a finished run with --task numbers and held-out images, on MNIST")
    net, _, _ = load_strip_network(run)
    task = NumberTask(config, torch.device("cpu"), Team())
    fitted = calibrate_on(task.held_strips, net)
    save_network(net, run)
    exported = export_strips(run, int8=True)
    right, before = (right_of(file, task.held_strips) if file.exists() else 0.0 for file in (exported.path, into))
    if right < before - MAY_LOSE:
        raise SystemExit(f"{run}: {right:.2%} right, expected at least {before - MAY_LOSE:.2%}")
    if exported.bytes > LARGEST:
        raise SystemExit(f"{exported.path}: {exported.bytes:,} bytes, expected at most {LARGEST:,}")
    facts: dict[str, Any] = {
        "date": now(), "commit": commit(), "config": json.loads(config.to_json()), "record": record,
        "parameters": count_parameters(net), "bytes": exported.bytes, "calibration": fitted.as_dict(),
        "right_in_eight_bits": right, "last_epoch": read_jsonl(run / METRICS)[-1],
    }  # fmt: skip
    write_atomically(into, exported.path.read_bytes())
    write_atomically(into.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    write_atomically(into.with_suffix(".md"), card(facts))
    print(f"{into}: {right:.2%} of held-out strips, {exported.bytes:,} bytes of ONNX")


def card(facts: dict[str, Any]) -> str:
    """The model card."""
    template = Template(
        CARD_TEMPLATE.read_text(encoding="utf-8"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    text: str = template.render(**facts)
    return text


if __name__ == "__main__":
    main()
