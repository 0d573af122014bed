"""Measure what the docs claim: train, evaluate, and append one row per run to the committed results.

    python scripts/measure.py fast-exact reference --seeds 0 1 2 3 4 5 6 7 8 9
    python scripts/measure.py default-exact --seeds 0 1 2

Rows go to `docs/results/runs.jsonl`, the log of every evaluation on the test set behind a claim. With several plans the
seeds alternate between them, so that a noisy machine treats them alike. A configuration and seed that have a row
already are skipped: the first result after the configuration was frozen is the one that counts. Rows of configurations
that have since changed stay in the log; the pages quote the present ones. The package must be committed, and its commit
is in the row.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from recipes import Measured, example, reference
from sumnist.config import Config, preset
from sumnist.data.mnist import load_mnist
from sumnist.environment import commit, describe_machine, now
from sumnist.evaluation.metrics import Evaluation, answer_grid
from sumnist.lab.study.rows import append_jsonl, read_jsonl
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.folder import RECORD
from sumnist.training.loop import train

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/runs.jsonl"
CALIBRATIONS = RESULTS.with_name("calibration.jsonl")

Recipe = Callable[[int, int], Measured]
"""Seed and threads → the run of a recipe that is not of this package."""


PLANS: dict[str, Config | Recipe] = {
    "fast-exact": preset("fast", validation=0),
    "fast-concat": preset("fast", fusion="concat", epochs=4, validation=0),
    "default-exact": preset("default", validation=0),
    "best-exact": preset("best", validation=0),
    "default-concat": preset("default", fusion="concat", numbers_per_image=10, validation=0),
    "original": preset("original", validation=0),
    "original-as-written": preset("original-as-written", validation=0),
    "reference": reference,
    "example": example,
}
"""What can be measured."""
TRIED = "best-exact, tried"
"""The plan of rows about trainings of `best` that were measured on the test set and not installed."""


def measure(name: str, config: Config, seed: int, runs: Path, threads: int) -> Measured:
    """Train the plan, unless `runs` holds it finished from before, and evaluate the last weights."""
    config = replace(config, seed=seed, threads=threads)
    folder = runs / f"{name}-{seed}"
    record = json.loads((folder / RECORD).read_text()) if (folder / RECORD).exists() else {}
    if not record.get("finished"):
        train(config, folder, overwrite=True)
        record = json.loads((folder / RECORD).read_text())
    torch.set_num_threads(2)
    net, config = load_network(folder)
    if config.outliers:  # as the packaged network is calibrated, from predictions out of fold
        last = read_jsonl(CALIBRATIONS)[-1]
        net.calibration.set(last["temperature"], last["least_is_digit"], last["least_confidence"])
    figures = Evaluation.of(answer_grid(net, load_mnist("test")), "MNIST test").as_dict()
    figures["parameters"] = count_parameters(net)
    plain = json.loads(config.to_json())
    return Measured(plain, record["seconds"], record["cpu_seconds"], record["commit"], figures, record["precision"])


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Train, evaluate, append rows to the committed results.")
    parser.add_argument("plans", nargs="+", choices=sorted(PLANS))
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/measured"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    clean_commit("measure")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["plan"], row["seed"]) for row in current(read_jsonl(arguments.results))}
    for seed in arguments.seeds:
        for name in arguments.plans:
            if (name, seed) in done:
                print(f"{name}, seed {seed}: measured already")
                continue
            plan = PLANS[name]
            measured = (
                measure(name, plan, seed, arguments.runs, arguments.threads)
                if isinstance(plan, Config)
                else plan(seed, arguments.threads)
            )
            row = {"plan": name, "seed": seed, "date": now(), **asdict(measured), "machine": machine()}
            append_jsonl(arguments.results, row)
            figures = measured.evaluation
            shares = [f"{output} {figures[output]['value']:.2%}" for output in ("digit", "sum") if output in figures]
            print(f"{name}, seed {seed}: {measured.seconds:.2f} s, {', '.join(shares)}", flush=True)


def clean_commit(program: str) -> str:
    """The commit of the package. Raises `SystemExit` if it has changes that are not committed."""
    head = commit()
    if head is None or head.endswith("+changes"):
        raise SystemExit(f"{program}: the package is at {head}, expected a clean commit: commit src/ first")
    return head


def machine() -> dict[str, Any]:
    """What a row says of the machine; the commit has a place of its own in it."""
    return {key: value for key, value in describe_machine().items() if key != "commit"}


def current(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose configuration and network are those of a plan as it is now, whatever seed and threads."""
    return [row for row in rows if row["plan"] in PLANS and is_of(row, PLANS[row["plan"]])]


def is_of(row: dict[str, Any], plan: Config | Recipe) -> bool:
    """Whether a row is of a plan as it is now."""
    if not isinstance(plan, Config):
        return True
    measured = Config.from_json(json.dumps(row["config"]), row["plan"])
    same = replace(measured, seed=0, threads=0) == replace(plan, seed=0, threads=0)
    return same and row["evaluation"]["parameters"] == parameters_of(plan)


@cache
def parameters_of(config: Config) -> int:
    """Trainable numbers of the network that `config` describes."""
    return count_parameters(TwoInputNet.from_config(config))


if __name__ == "__main__":
    main()
