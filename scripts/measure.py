"""Measure what the docs claim: train, evaluate, and append one row per run to the committed results.

    python scripts/measure.py fast-exact reference --seeds 0 1 2 3 4 5 6 7 8 9
    python scripts/measure.py default-exact --seeds 0 1 2
    python scripts/measure.py loss-ce loss-bits … --seeds 0 1 2

Rows go to `docs/results/runs.jsonl`, the log of every evaluation on the test set behind a claim; plans whose name
begins with `loss-` are compared on validation images only. With several plans the seeds alternate between them, so that
a noisy machine treats them alike. A configuration and seed that have a row already are skipped: the first result after
the configuration was frozen is the one that counts. Rows of configurations that have since changed stay in the log; the
pages quote the present ones. The package must be committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sumnist.config import Config, preset
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import as_image
from sumnist.devices import keep_freed_memory
from sumnist.evaluation import answer_grid, evaluate
from sumnist.model.checkpoint import load_network
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet
from sumnist.record import commit, describe_machine, now
from sumnist.run import RECORD
from sumnist.training import split, train

RESULTS = Path(__file__).resolve().parent.parent / "docs/results/runs.jsonl"


def learned(**changes: Any) -> Config:
    """The learned network whose losses are compared: trained on 55,000 images, measured on 5,000 others."""
    return preset("fast", fusion="concat", epochs=4, **changes)


PLANS: dict[str, Config | None] = {
    "fast-exact": preset("fast", validation=0),
    "fast-concat": preset("fast", fusion="concat", epochs=4, validation=0),
    "default-exact": preset("default", validation=0),
    "default-concat": preset("default", fusion="concat", validation=0),
    "original": preset("original", validation=0),
    "original-as-written": preset("original-as-written", validation=0),
    "reference": None,
    "loss-ce": learned(),
    "loss-bits": learned(sum_target="bits"),
    "loss-softmax": learned(digit_loss="softmax-then-cross-entropy"),
    "loss-digit-5": learned(digit_weight=5.0),
    "loss-sum-5": learned(sum_weight=5.0),
    "loss-no-sum": learned(sum_weight=0.0),
    "loss-no-digit": learned(digit_weight=0.0),
    "loss-scalar": learned(number_encoding="scalar"),
    "loss-scalar-bits": learned(number_encoding="scalar", sum_target="bits"),
    "loss-numbers-to-8": learned(largest_number=8),
}
"""What can be measured; None is the reference recipe below."""


@dataclass(frozen=True)
class Measured:
    """A run: its config, its record, and the figures of its network."""

    config: dict[str, Any]
    seconds: float
    cpu_seconds: float
    commit: str | None
    evaluation: dict[str, Any]


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
    if config.validation:
        digits, which = split(load_mnist("train"), config.validation)[1], "MNIST validation"
    else:
        digits, which = load_mnist("test"), "MNIST test"
    assert digits is not None
    figures = evaluate(answer_grid(net, digits), which).as_dict() | {"parameters": count_parameters(net)}
    plain = json.loads(config.to_json())
    return Measured(plain, record["seconds"], record["cpu_seconds"], record["commit"], figures)


def measure_reference(seed: int, threads: int) -> Measured:
    """A widely quoted recipe for 99 % in one epoch, digits only.

    5×5 convolution (24), pool, ReLU; 3×3 convolution (32), pool, ReLU; linear 256; Adam at 1e-2 with betas 0.7 and 0.9,
    OneCycle, batches of 256, fp32. It is given the memory format and the allocator settings of `sumnist train`.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(seed)
    data = load_mnist("train")
    net = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, betas=(0.7, 0.9), fused=True)
    began, began_cpu = time.perf_counter(), time.process_time()
    images, digits = torch.tensor(data.images), torch.tensor(data.digits)
    batches = torch.randperm(len(images)).split(256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=len(batches), cycle_momentum=False)
    for index in batches:
        loss = nn.functional.cross_entropy(net(as_image(images[index])), digits[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    test = load_mnist("test")
    with torch.inference_mode():
        answers = torch.cat([net(as_image(part)).argmax(1) for part in torch.tensor(test.images).split(500)])
    accuracy = float((answers == torch.tensor(test.digits)).float().mean())
    figures = {"data": "MNIST test", "digit": {"value": accuracy}, "parameters": count_parameters(net)}
    return Measured({"seed": seed, "threads": threads}, seconds, cpu, commit(), figures)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Train, evaluate, append rows to the committed results.")
    parser.add_argument("plans", nargs="+", choices=sorted(PLANS))
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/measured"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    head = commit()
    if head is None or head.endswith("+changes"):
        raise SystemExit(f"measure: the package is at {head}, expected a clean commit: commit src/ first")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["plan"], row["seed"]) for row in current(read_rows(arguments.results))}
    for seed in arguments.seeds:
        for name in arguments.plans:
            if (name, seed) in done:
                print(f"{name}, seed {seed}: measured already")
                continue
            config = PLANS[name]
            measured = (
                measure(name, config, seed, arguments.runs, arguments.threads)
                if config
                else measure_reference(seed, arguments.threads)
            )
            machine = {key: value for key, value in describe_machine().items() if key != "commit"}
            row = {"plan": name, "seed": seed, "date": now(), **asdict(measured), "machine": machine}
            with arguments.results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            shares = [
                f"{o} {measured.evaluation[o]['value']:.2%}" for o in ("digit", "sum") if o in measured.evaluation
            ]
            print(f"{name}, seed {seed}: {measured.seconds:.2f} s, {', '.join(shares)}", flush=True)


def current(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose configuration and network are those of the plan as it is now, whatever seed and threads."""
    found = []
    for row in rows:
        config = PLANS[row["plan"]]
        if config is None:
            found.append(row)
            continue
        measured = replace(Config.from_json(json.dumps(row["config"]), row["plan"]), seed=0, threads=0)
        if measured == replace(config, seed=0, threads=0) and row["evaluation"]["parameters"] == parameters_of(config):
            found.append(row)
    return found


@cache
def parameters_of(config: Config) -> int:
    """Trainable numbers of the network that `config` describes."""
    return count_parameters(TwoInputNet.from_config(config))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a results file; none if there is no such file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
