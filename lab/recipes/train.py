"""Train one of the packaged networks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lab.recipes.networks import begun
from lab.recipes.tasks import TASKS, LineTask
from sumnist.config import preset, unknown
from sumnist.errors import ConfigError
from sumnist.model.checkpoint import save_config, save_network
from sumnist.training.loop import train


def begun_from(model: Path, settings: Any, into: Path) -> Path:
    """Write a run with the network of lines in an ONNX file, and return its folder."""
    lines = LineTask(settings, torch.device("cpu")).composed
    save_config(settings, into)
    save_network(begun(model.read_bytes(), lines[0]), into, settings)
    return into


def main(words: Sequence[str] | None = None) -> int:
    """Train one of the packaged networks. Some settings may be changed: `epochs=2 seed=1`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=TASKS)
    parser.add_argument("changes", nargs="*", metavar="NAME=VALUE", help="settings to change")
    parser.add_argument("--out", type=Path, help="folder for the run (default: runs/WHAT)")
    parser.add_argument("--on", type=Path, metavar="ONNX", help="lines: the file whose network is trained on")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out where it stopped")
    given = parser.parse_args(words)
    task = TASKS[given.what]
    settings = preset("robust") if given.what == "digits" else task.network.settings()
    values = dict(change.partition("=")[::2] for change in given.changes)
    if strange := values.keys() - settings.__dataclass_fields__.keys():
        raise ConfigError(unknown("setting", min(strange), tuple(settings.__dataclass_fields__)))
    kinds = {name: type(getattr(settings, name)) for name in values}
    changed = {name: kinds[name](value) if kinds[name] in (int, float) else value for name, value in values.items()}
    place = given.out or Path("runs") / given.what
    settings = replace(settings, **changed)
    if given.on:
        settings = replace(settings, start_from=begun_from(given.on, settings, place.with_name(f"{place.name}-begun")))
    done = train(settings, place, overwrite=given.overwrite, resume=given.resume, task=task)
    print(f"{done.folder}: {done.seconds:.1f} s of training; {done.measured}")
    return 0 if done.finished else 130
