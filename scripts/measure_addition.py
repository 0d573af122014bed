"""Measure what is learned from sums alone, and append rows to docs/results/addition.jsonl.

    python scripts/measure_addition.py lenet own --digits 1 2 4 15 --seeds 0 1 2
    python scripts/measure_addition.py lenet --digits 15 --seeds 0 1 2 --supervision digits
    python scripts/measure_addition.py lenet --digits 15 --seeds 0 --choose --lr 0.003 --epochs 40

The rows of the first two are of networks that learned from all 60,000 images, and were measured on the test images
once, at the end. With --choose 10,000 images are held out, and the row is of these: settings are chosen by such rows,
and any flag of `sumnist train` may be given. What has a row already is not measured again. The package must be
committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from torch import nn

from measure import RESULTS, clean_commit, machine
from sumnist.cli.commands import Train
from sumnist.cli.flags import parse
from sumnist.config import Config, Operation, Supervision
from sumnist.data.mnist import load_mnist
from sumnist.environment import now
from sumnist.errors import SumnistError
from sumnist.evaluation.additions import SumEvaluation, answer_sums
from sumnist.lab.study.rows import Row, append_jsonl, read_jsonl
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet
from sumnist.training.addition import split_unseen
from sumnist.training.folder import METRICS, RECORD, read_metrics
from sumnist.training.loop import train

ROWS = RESULTS.with_name("addition.jsonl")
PLANS = {"lenet": "addition", "own": "addition-best"}
"""What can be measured, by the name of its preset: the encoder and the data of published systems, and our own."""
HELD_OUT = 10_000
"""Images that are held out to choose by."""


def main() -> None:
    """Measure what the command line names, seed by seed."""
    parser = argparse.ArgumentParser(description="Measure what is learned from sums alone.")
    parser.add_argument("plans", nargs="+", choices=sorted(PLANS))
    parser.add_argument("--digits", nargs="+", type=int, required=True, help="of each number")
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--addends", type=int, default=2)
    parser.add_argument("--operation", choices=get_args(Operation), default="add")
    parser.add_argument("--supervision", choices=get_args(Supervision), default="sums")
    parser.add_argument("--choose", action="store_true", help=f"hold out {HELD_OUT:,} images, and measure on these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/addition"))
    parser.add_argument("--rows", type=Path, default=ROWS)
    given, changes = parser.parse_known_args()
    if changes and not given.choose:
        raise SystemExit(f"measure_addition: {' '.join(changes)}: settings are changed to choose by; add --choose")
    head = clean_commit("measure_addition")
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    try:
        for name, config in wanted(given, changes):
            title = f"{name}, {config.digits} digits, seed {config.seed}"
            if key_of(config) in {key_of(config_of(row)) for row in read_jsonl(given.rows)}:
                print(f"{title}: measured already", flush=True)
                continue
            row: Row = {"part": "addition", "name": name, "commit": head} | measure(config, given.runs / head[:9])
            append_jsonl(given.rows, row)
            print(f"{title}: {row['seconds']:.0f} s, {told(row['evaluation'])}", flush=True)
    except SumnistError as error:
        raise SystemExit(f"measure_addition: {error}") from None


def wanted(given: argparse.Namespace, changes: list[str]) -> Iterator[tuple[str, Config]]:
    """The configurations to be measured, each with its name."""
    own = {"addends": given.addends, "operation": given.operation, "supervision": given.supervision,
           "validation": HELD_OUT if given.choose else 0, "threads": given.threads}  # fmt: skip
    for seed in given.seeds:
        for digits in given.digits:
            for name in given.plans:
                command = parse("train", ["--preset", PLANS[name], *changes])
                assert isinstance(command, Train)
                yield name, replace(command.config, digits=digits, seed=seed, **own)


def measure(config: Config, runs: Path) -> Row:
    """Train, or finish what was begun at the same commit, and measure the last weights."""
    digest = hashlib.sha256(key_of(config).to_json().encode()).hexdigest()
    folder = runs / f"{config.preset}-{config.digits}-{config.supervision}-seed{config.seed}-{digest[:8]}"
    result = train(config, folder, resume=True)
    if not result.finished:
        raise SystemExit(f"measure_addition: {folder}: stopped; the same command goes on")
    _, held = split_unseen(load_mnist("train", config.data_dir), config)
    images = load_mnist("test", config.data_dir) if held is None else held
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return {
        "date": now(), "set": "test" if held is None else "held out", "seed": config.seed,
        "config": json.loads(config.to_json()), "dropout": dropout_of(result.net),
        "parameters": count_parameters(result.net),
        **{key: record[key] for key in ("seconds", "cpu_seconds", "precision", "restarts")},
        "renamed": sum("renamed_by" in row for row in read_metrics(folder / METRICS)),
        "evaluation": SumEvaluation.of(answer_sums(result.net, images, config), images.name).as_dict(),
        "machine": machine(),
    }  # fmt: skip


def dropout_of(net: TwoInputNet) -> dict[str, float]:
    """The shares that an encoder drops, and where."""
    pairs = pairwise([*net.encoder, nn.Identity()])
    dropping = [(layer, following) for layer, following in pairs if isinstance(layer, nn.Dropout)]
    return {f"before {widths(following)}": layer.p for layer, following in dropping}


def widths(layer: nn.Module) -> str:
    """The features that a linear layer takes and gives; of the fusion, which follows the encoder, its name."""
    return f"{layer.in_features}→{layer.out_features}" if isinstance(layer, nn.Linear) else "the fusion"


def told(figures: dict[str, Any]) -> str:
    """The main figures of an evaluation."""
    return f"sums {figures['sum']['value']:.2%}, digits {figures['digit']['value']:.2%} of {figures['data']}"


def key_of(config: Config) -> Config:
    """What makes two measurements the same one."""
    return replace(config, threads=0)


def config_of(row: Row) -> Config:
    """The configuration in a row; what an older one lacks is as it is by default."""
    return Config.from_json(json.dumps(row["config"]), "a row")


if __name__ == "__main__":
    main()
