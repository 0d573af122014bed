"""Write and read a run folder: the files that a training leaves, and the state from which a killed training resumes.

The files are `config.json`, `record.json` (seed, versions, processor, commit, times), `metrics.jsonl` (one line per
epoch) and `model.safetensors`, which is written at the end of every epoch. Until the run has finished there is also
`state.safetensors`: weights, their average, the optimizer, the progress and the record. All randomness is a function of
seed and epoch, so a resumed run comes to the same result. A run that is to replace another is built in the same way, in
`.unfinished` inside the folder. When it has finished, it takes the other run's place.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sumnist.config import Run, flag, shown
from sumnist.environment import describe_machine, now
from sumnist.errors import ConfigError, OutputError, RunError, TrainingError
from sumnist.files import CONFIG, ONNX, WEIGHTS, fits, make_folder, parse_json, write_atomically, writing
from sumnist.model import folder as files
from sumnist.model.checkpoint import flaw, load_tensors, read_config, save_network, save_tensors
from sumnist.model.folder import METRICS, RECORD, STATE, UNFINISHED, begun, read_record


@dataclass(frozen=True)
class Progress:
    """How far a training has come. After a restart, only the seconds include the time before it.

    Attributes:
        epochs: The number of whole epochs.
        steps: The number of steps.
        seconds: The seconds of wall-clock time.
        cpu_seconds: The seconds of processor time.
        restarts: How often the training was restarted with other weights.
        metrics: The rows of `metrics.jsonl`.
    """

    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    restarts: int = 0
    metrics: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Learner:
    """What training changes.

    Attributes:
        net: The network.
        optimizer: Its optimizer.
        average: The moving average of its weights; None if there is none.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None

    @property
    def trained(self) -> nn.Module:
        """The network that is measured and saved."""
        return self.net if self.average is None else self.average

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that training needs to go on, by name: the tensors in use, not copies."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for place, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{place}.{name}": value for name, value in values.items()}
        return tensors

    @torch.no_grad()
    def restore(self, saved: dict[str, Tensor], path: Path) -> None:
        """Copy the tensors `saved` in the state `path` into this learner. Raises `RunError` unless they fit."""
        for group in self.optimizer.param_groups:
            names = ("momentum",) if group.get("orthogonalised") else ("step", "exp_avg", "exp_avg_sq")
            for parameter in group["params"]:  # the fused optimizer needs the parameters' layout
                self.optimizer.state[parameter] = {
                    name: parameter.new_zeros(()) if name == "step" else torch.zeros_like(parameter) for name in names
                }
        tensors = self.tensors()
        for key in sorted(tensors.keys() | saved.keys()):
            given, expected = (list(of[key].shape) if key in of else "none" for of in (saved, tensors))
            if given != expected:
                raise unusable(path, f"{key} is {given}, expected {expected}")
        for key, value in tensors.items():
            value.copy_(saved[key])


class RunFolder:
    """The files of a run. One process at a time writes them. It touches no other files in the folder.

    As a context manager, it releases the folder at the end. `place` is where the run is: `path`, or `.unfinished` in
    `path` as long as the run is to replace another one there. Until then, the other run stays whole.
    """

    def __init__(self, path: Path, config: Run) -> None:
        self.path = self.place = path
        self.config, self.resumes, self.is_new = config, False, False
        self.record: dict[str, Any] = {}
        self.metrics: list[dict[str, float]] = []
        self.board: Any = None
        self.hold = ExitStack()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self.hold, suppress(OSError):
            if kind is not None and self.place != self.path and not self.resumes and not (self.place / STATE).exists():
                shutil.rmtree(self.place, ignore_errors=True)  # no state to resume from
            self.close_board()
            if kind is not None and self.is_new:
                self.path.rmdir()  # refused if there is anything in it

    def open(self, *, overwrite: bool, resume: bool) -> None:
        """Lock the folder, and find out what to do in it. With neither flag, the folder must hold no network.

        Raises `OutputError`, `ConfigError` and `RunError`.
        """
        self.is_new = not self.path.exists()
        make_folder(self.path)
        self.hold.enter_context(files.held(self.path))
        build = self.path / UNFINISHED
        if read_record(build).get("finished") and not (build / WEIGHTS).exists():
            files.publish(build, self.path)
        if begun(self.path) == self.path:
            self.remove_build()  # of a run that was stopped before it began
        holds = any((self.path / name).exists() for name in (CONFIG, WEIGHTS, ONNX))
        if resume and (holds or begun(self.path) != self.path):
            self.place, self.resumes = begun(self.path), True
            saved = read_config(self.place, type(self.config))
            for setting in fields(self.config):
                was, given = getattr(saved, setting.name), getattr(self.config, setting.name)
                if was != given:
                    raise ConfigError(
                        f"--resume {flag(setting.name)} {shown(given)}: the run in {self.place} was begun with "
                        f"{shown(was)}: leave the flag out, or train a new run in another --out"
                    )
            self.record = read_record(self.place)
            if not self.record and not (self.place / STATE).exists():
                raise RunError(
                    f"--resume {self.path}: holds no training to go on with, neither {RECORD} nor {STATE}: name "
                    "another --out, or give --overwrite instead to replace what is there"
                )
        elif holds and overwrite:
            self.place = self.path / UNFINISHED
        elif holds:
            raise OutputError(
                f"--out {self.path}: holds a run already, expected a new folder: name another, or add --resume to "
                "finish it or --overwrite to replace it"
            )

    @property
    def has_state(self) -> bool:
        """Whether there is a state to resume from."""
        return self.resumes and (self.place / STATE).exists()

    def start(self, facts: dict[str, Any]) -> tuple[Progress, dict[str, Tensor]]:
        """Begin or resume the run. Returns its progress and its `Learner`'s tensors, which are empty without a state.

        The record keeps the `facts` of this training. In a resumed run, the facts "data" and "precision" must be the
        same as at its beginning. Raises `OutputError`, and `RunError` if the state cannot be used.
        """
        self.record = {"started": now(), "seed": self.config.seed, **describe_machine(), **facts}
        progress, tensors = Progress(), dict[str, Tensor]()
        with writing(self.place):
            if self.has_state:
                progress, tensors = self.load_state()
            elif not self.resumes:
                self.remove_build()
                if self.place == self.path:
                    files.remove_run(self.path)
            self.metrics = list(progress.metrics)
            if not self.resumes:
                make_folder(self.place)
                self.write_record()
                write_atomically(self.place / CONFIG, self.config.to_json())
            self.board = tensorboard(self.place)
        return progress, tensors

    def load_state(self) -> tuple[Progress, dict[str, Tensor]]:
        """The progress and the tensors of a run that was stopped. Its record goes on, and notes what is different
        now."""
        path, given = self.place / STATE, self.record
        try:
            tensors, metadata = load_tensors(path)
            progress = Progress(**json.loads(metadata["progress"]))
            record = dict(json.loads(metadata["record"])) if "record" in metadata else read_record(self.place)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise unusable(path, str(error)) from error
        changed = {key: value for key, value in given.items() if key in record and record[key] != value}
        changed.pop("started", None)
        for key, what in (("data", "training images"), ("precision", "precision")):
            if key in changed:
                raise RunError(
                    f"--resume {self.path}: begun with other {what} ({record[key]!s:.12}, now {given[key]!s:.12}): go "
                    "on as it was begun, or train a new run in another --out"
                )
        if changed:
            record["resumed"] = [*record.get("resumed", []), {"date": now(), **changed}]
        self.record = given | record
        return progress, tensors

    def add_epoch(self, row: dict[str, float], trained: nn.Module) -> None:
        """Save the weights of `trained`, and add `row` to the metrics."""
        self.save_weights(trained)
        self.metrics.append(row)
        write_atomically(self.place / METRICS, "".join(json.dumps(row) + "\n" for row in self.metrics))
        with writing(self.place):
            for name, value in row.items():
                if self.board is not None and name not in ("epoch", "step"):
                    self.board.add_scalar(name, value, int(row["step"]))

    def save_weights(self, trained: nn.Module) -> None:
        """Write the weights of `trained`. Raises `OutputError`, and `TrainingError` if a network cannot answer with
        them."""
        if wrong := flaw(trained.state_dict()):
            raise TrainingError(f"the weights are of no use ({wrong}): {lower_lr(self.config)}")
        save_network(trained, self.place, self.config)

    def save_state(self, progress: Progress, learner: Learner) -> None:
        """Write the state that `start` resumes from, whole or not at all."""
        about = {"progress": asdict(replace(progress, metrics=self.metrics)), "record": self.record}
        save_tensors(self.place / STATE, learner.tensors(), {key: json.dumps(value) for key, value in about.items()})

    def finish(self, facts: dict[str, Any]) -> None:
        """Complete the record with `facts`. If the run is finished, delete its state and move it to `path`."""
        with writing(self.place):
            self.close_board()
            self.record |= facts | {"ended": now()}
            self.write_record()
        if facts["finished"]:
            self.settle()

    def settle(self) -> None:
        """Delete the state of a finished run, and move the run to `path`."""
        with writing(self.place):
            (self.place / STATE).unlink(missing_ok=True)
        if self.place != self.path:
            files.publish(self.place, self.path)
            self.place = self.path

    def remove_build(self) -> None:
        """Remove what is left of a run that was to replace the one in `path`. Raises `OutputError`."""
        with writing(self.path):
            if (self.path / UNFINISHED).exists():
                shutil.rmtree(self.path / UNFINISHED)

    def write_record(self) -> None:
        """Write `record` into the folder."""
        write_atomically(self.place / RECORD, json.dumps(self.record, indent=2) + "\n")

    def close_board(self) -> None:
        """Have TensorBoard write all its data."""
        board, self.board = self.board, None
        if board is not None:
            board.close()


def lower_lr(config: Run) -> str:
    """Advice for a training whose numbers grow beyond all limits."""
    return f"try a lower --lr (it is {config.lr:g})" + (", or --precision fp32" if config.precision != "fp32" else "")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.jsonl`, one per epoch. There are none if the file does not exist. Damaged lines, and
    values that are not numbers, are left out."""
    rows = []
    with suppress(OSError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):
                row = parse_json(line)
                if fits(row, {"epoch": float}):
                    rows.append({name: value for name, value in row.items() if fits(value, float)})
    return rows


def unusable(path: Path, why: str) -> RunError:
    """The error to raise for a state that is damaged, or that belongs to another run."""
    return RunError(f"{path}: not a state to resume from ({why}): delete it to train the run from its beginning")


def tensorboard(path: Path) -> Any:
    """A TensorBoard writer into `path`, or None if TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(path / "tensorboard"))
