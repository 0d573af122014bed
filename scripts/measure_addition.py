"""Measure what is learned from sums alone, for `measure.py addition`.

    python scripts/measure.py addition lenet own --digits 1 2 4 15 --seeds 0 1 2
    python scripts/measure.py addition lenet --digits 15 --seeds 0 1 2 --supervision digits
    python scripts/measure.py addition lenet --digits 15 --seeds 0 --choose --lr 0.003 --epochs 40

The rows of the first two are of networks that learned from all 60,000 images, and were measured on the test images
once, at the end. With --choose 10,000 images are held out, and the row is of these: settings are chosen by such rows,
and any flag of `sumnist train` may be given.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

from torch import nn

from evidence import Row, with_envelope
from sumnist.cli.commands import Train
from sumnist.cli.flags import parse
from sumnist.config import Config, Operation, Supervision
from sumnist.data.mnist import load_mnist
from sumnist.evaluation.metrics import SumEvaluation, answer_sums
from sumnist.lab.study.rows import read_jsonl
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS, RECORD
from sumnist.model.network import TwoInputNet
from sumnist.training.folder import read_metrics
from sumnist.training.loop import train
from sumnist.training.tasks import split

PLANS = {"lenet": "addition", "own": "addition-best"}
"""What can be measured, by the name of its preset: the encoder and the data of published systems, and our own."""
HELD_OUT = 10_000
"""Images that are held out to choose by."""


def flags(parser: argparse.ArgumentParser) -> None:
    """Which plans, of which sums, and how often."""
    parser.add_argument("plans", nargs="+", choices=sorted(PLANS))
    parser.add_argument("--digits", nargs="+", type=int, required=True, help="of each number")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--addends", type=int, default=2)
    parser.add_argument("--operation", choices=get_args(Operation), default="add")
    parser.add_argument("--supervision", choices=get_args(Supervision), default="sums")
    parser.add_argument("--choose", action="store_true", help=f"hold out {HELD_OUT:,} images, and measure on these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/addition"))


def addition(given: argparse.Namespace) -> Iterator[Row]:
    """Train networks from sums alone, and measure them on the test images, seed by seed."""
    if given.changes and not given.choose:
        raise SystemExit(f"measure: {' '.join(given.changes)}: settings are changed to choose by; add --choose")
    for name, config in wanted(given):
        if key_of(config) in {key_of(config_of(row)) for row in read_jsonl(given.rows)}:
            print(f"{name}, {config.digits} digits, seed {config.seed}: measured already", flush=True)
            continue
        row = with_envelope("addition", name=name)
        yield row | measured(config, given.runs / str(row["commit"])[:9])


def wanted(given: argparse.Namespace) -> Iterator[tuple[str, Config]]:
    """The configurations to be measured, each with its name."""
    own = {"addends": given.addends, "operation": given.operation, "supervision": given.supervision,
           "validation": HELD_OUT if given.choose else 0, "threads": given.threads}  # fmt: skip
    for seed in given.seeds:
        for digits in given.digits:
            for name in given.plans:
                command = parse("train", ["--preset", PLANS[name], *given.changes])
                assert isinstance(command, Train)
                yield name, replace(command.config, digits=digits, seed=seed, **own)


def measured(config: Config, runs: Path) -> Row:
    """Train, or finish what was begun at the same commit, and measure the last weights."""
    digest = hashlib.sha256(key_of(config).to_json().encode()).hexdigest()
    folder = runs / f"{config.preset}-{config.digits}-{config.supervision}-seed{config.seed}-{digest[:8]}"
    result = train(config, folder, resume=True)
    if not result.finished:
        raise SystemExit(f"measure: {folder}: stopped; the same command goes on")
    _, held = split(load_mnist("train", config.data_dir), config)
    images = load_mnist("test", config.data_dir) if held is None else held
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return {
        "set": "test" if held is None else "held out", "seed": config.seed,
        "config": json.loads(config.to_json()), "dropout": dropout_of(result.net),
        "parameters": count_parameters(result.net),
        **{key: record[key] for key in ("seconds", "cpu_seconds", "precision", "restarts")},
        "renamed": sum("renamed_by" in row for row in read_metrics(folder / METRICS)),
        "evaluation": SumEvaluation.of(answer_sums(result.net, images, config), images.name).as_dict(),
    }  # fmt: skip


def dropout_of(net: TwoInputNet) -> dict[str, float]:
    """The shares that an encoder drops, and where."""
    pairs = pairwise([*net.encoder, nn.Identity()])
    dropping = [(layer, following) for layer, following in pairs if isinstance(layer, nn.Dropout)]
    return {f"before {widths(following)}": layer.p for layer, following in dropping}


def widths(layer: nn.Module) -> str:
    """The features that a linear layer takes and gives; of the fusion, which follows the encoder, its name."""
    return f"{layer.in_features}→{layer.out_features}" if isinstance(layer, nn.Linear) else "the fusion"


def key_of(config: Config) -> Config:
    """What makes two measurements the same one."""
    return replace(config, threads=0)


def config_of(row: Row) -> Config:
    """The configuration in a row; what an older one lacks is as it is by default."""
    return Config.from_json(json.dumps(row["config"]), "a row")
