"""A run folder: what training leaves, and what it needs to go on after it was killed.

`config.json`, `record.json` (seed, versions, processor, commit, times), `metrics.jsonl` (a line an epoch),
`model.safetensors`, written at the end of every epoch; until the run has finished also `state.safetensors`: weights,
their average, the optimizer, and the progress. All randomness is a function of seed and epoch, so a run resumed from
these comes to the same result.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sumnist.config import Config, flag, shown
from sumnist.environment import describe_machine, now
from sumnist.errors import ConfigError, OutputError, RunError
from sumnist.files import CONFIG, ONNX, WEIGHTS, cannot_write, make_folder, write_atomically
from sumnist.model.checkpoint import load_config, load_tensors, save_tensors
from sumnist.model.network import TwoInputNet, save_network

__all__ = [
    "EVALUATION", "METRICS", "PLOTS", "RECORD", "STATE", "Learner", "Progress", "RunFolder", "read_metrics",
    "read_record",
]  # fmt: skip

METRICS = "metrics.jsonl"
RECORD = "record.json"
EVALUATION = "evaluation.json"
PLOTS = "plots"
STATE = "state.safetensors"


@dataclass(frozen=True)
class Progress:
    """How far a training has come: whole epochs, steps, seconds by the clock and of processor time, and the rows of
    `metrics.jsonl`."""

    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    metrics: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Learner:
    """What training changes: a network, its optimizer, and the moving average of its weights, if it keeps one."""

    net: TwoInputNet
    optimizer: torch.optim.Optimizer
    average: TwoInputNet | None

    @property
    def trained(self) -> TwoInputNet:
        """The network that is measured and saved."""
        return self.net if self.average is None else self.average

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that training goes on from, by name: the ones in use, not copies."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for place, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{place}.{name}": value for name, value in values.items()}
        return tensors

    @torch.no_grad()
    def restore(self, saved: dict[str, Tensor], path: Path) -> None:
        """Take over the tensors `saved` in the state `path`. Raises `RunError` unless they fit."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:  # as the parameters lie in memory, which the fused optimizer relies on
                self.optimizer.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter),
                }  # fmt: skip
        tensors = self.tensors()
        for key in sorted(tensors.keys() | saved.keys()):
            given, expected = (list(of[key].shape) if key in of else "none" for of in (saved, tensors))
            if given != expected:
                raise unusable(path, f"{key} is {given}, expected {expected}")
        for key, value in tensors.items():
            value.copy_(saved[key])


class RunFolder:
    """The files of a run; nothing else in the folder is touched.

    With `overwrite` an earlier run there is replaced, once this one has weights; if it never has, nothing is lost. With
    `resume` an unfinished run there goes on. Unless `writes`, nothing is written at all.
    """

    def __init__(self, path: Path, config: Config, *, overwrite: bool, resume: bool, writes: bool) -> None:
        self.path, self.config, self.writes = path, config, writes
        self.metrics: list[dict[str, float]] = []
        self.record: dict[str, Any] = {"started": now(), "seed": config.seed, **describe_machine()}
        self.replaces, self.board = False, None
        if not writes:
            return
        make_folder(path)
        exists = (path / CONFIG).exists()
        if resume and exists:
            self.check_same(load_config(path))
            self.record["started"] = read_record(path).get("started", now())
            for half_written in path.glob(".*.partial-*"):
                half_written.unlink()
        elif exists and not overwrite:
            raise OutputError(
                f"--out {path}: holds a run already, expected a new folder: name another, or add --resume to finish it "
                "or --overwrite to replace it"
            )
        elif exists:  # a place that cannot be written is better known now than after an epoch
            self.replaces = True
            write_atomically(path / ".writable", "")
            (path / ".writable").unlink()
        else:
            self.begin()
        self.board = tensorboard(path)

    @property
    def finished(self) -> bool:
        """Whether the folder holds a run that came to its end, and is not to be replaced."""
        return not self.replaces and bool(read_record(self.path).get("finished"))

    def check_same(self, saved: Config) -> None:
        """Raise `ConfigError`, naming the flag, unless `saved` is the configuration of this run."""
        for setting in fields(Config):
            was, given = getattr(saved, setting.name), getattr(self.config, setting.name)
            if was != given:
                raise ConfigError(
                    f"--resume {flag(setting.name)} {shown(given)}: the run in {self.path} was begun with "
                    f"{shown(was)}: leave the flag out, or train a new run in another --out"
                )

    def begin(self) -> None:
        """Clear away what an earlier run left, and say what this one is."""
        for name in (STATE, WEIGHTS, ONNX, CONFIG, METRICS, RECORD, EVALUATION):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / PLOTS, ignore_errors=True)
        self.write_record()
        write_atomically(self.path / CONFIG, self.config.to_json())
        self.replaces = False

    def add_epoch(self, row: dict[str, float], trained: TwoInputNet) -> None:
        """Append `row` to the metrics, if it is not empty, and save the weights of `trained`."""
        if not self.writes:
            return
        if self.replaces:
            self.begin()
        if row:
            self.metrics.append(row)
            try:
                with (self.path / METRICS).open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
            except OSError as error:
                raise cannot_write(self.path / METRICS, error) from error
            for name, value in row.items():
                if self.board is not None and name not in ("epoch", "step"):
                    self.board.add_scalar(name, value, int(row["step"]))
        save_network(trained, self.path)

    def save_state(self, progress: Progress, learner: Learner) -> None:
        """Write what `load_state` needs, whole or not at all."""
        if self.writes:
            progress = replace(progress, metrics=self.metrics)
            save_tensors(self.path / STATE, learner.tensors(), {"progress": json.dumps(asdict(progress))})

    def load_state(self) -> tuple[Progress, dict[str, Tensor]]:
        """How far the run in the folder came, and its `Learner`'s tensors; none for a run that has no state yet.

        The metrics are cut back to that moment. Raises `RunError` for a state that is not whole.
        """
        path = self.path / STATE
        if self.replaces or not self.writes or not path.exists():
            return Progress(), {}
        try:
            tensors, metadata = load_tensors(path)
            progress = Progress(**json.loads(metadata["progress"]))
        except (ValueError, KeyError, TypeError) as error:
            raise unusable(path, str(error)) from error
        self.metrics = list(progress.metrics)
        write_atomically(self.path / METRICS, "".join(json.dumps(row) + "\n" for row in self.metrics))
        return progress, tensors

    def finish(self, facts: dict[str, Any]) -> None:
        """Complete the record with `facts`; a run that finished needs its state no longer."""
        if not self.writes:
            return
        self.record |= facts | {"ended": now()}
        self.write_record()
        if facts["finished"]:
            (self.path / STATE).unlink(missing_ok=True)
        if self.board is not None:
            self.board.close()

    def write_record(self) -> None:
        """Write `record` into the folder."""
        write_atomically(self.path / RECORD, json.dumps(self.record, indent=2) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the run `folder`; empty if there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.jsonl`, one an epoch; none if there is no such file. A line that a crash cut short is left
    out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "epoch" in row:
            rows.append(row)
    return rows


def unusable(path: Path, why: str) -> RunError:
    return RunError(f"{path}: not a state to resume from ({why}): delete it to train the run from its beginning")


def tensorboard(path: Path) -> Any:
    """A TensorBoard writer into `path`, or None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(path / "tensorboard"))
