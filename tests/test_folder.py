"""A training that was killed goes on to the result that it would have had."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from sumnist.cli import main
from sumnist.config import Config
from sumnist.errors import ConfigError, RunError
from sumnist.training.folder import METRICS, RECORD, STATE, Progress, RunFolder
from sumnist.training.loop import train, training_step
from survival import Kill, survive

WEIGHTS = "model.safetensors"


class Killed(BaseException):
    """What no code of ours catches, like a kill."""


def kill(*_: object) -> None:
    raise Killed


@pytest.fixture
def config(small_config: Config) -> Config:
    """Everything that a state has to hold: an average, an optimizer, augmentation, a learned fusion."""
    return replace(small_config, epochs=4, ema=0.9, augment="elastic", fusion="concat", weight_decay=0.01)


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the training die at the n-th step from now; never, for 0."""

    def set_up(count: int) -> None:
        left = [count]

        def step(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return training_step(*arguments, **named)

        monkeypatch.setattr("sumnist.training.loop.training_step", step)

    return set_up


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("step", [1, 14, 27, 40])
def test_a_training_that_died_goes_on_to_the_same_weights_and_metrics(
    config: Config, tmp_path: Path, kill_at: Callable[[int], None], step: int, precision: Literal["fp32", "bf16"]
) -> None:
    config = replace(config, precision=precision)
    alone = train(config, tmp_path / "alone", progress=False)
    kill_at(step)
    with pytest.raises(Killed):
        train(config, tmp_path / "killed", progress=False)
    kill_at(0)
    resumed = train(config, tmp_path / "killed", progress=False, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    timed = ("seconds", "cpu_seconds", "images_per_second")
    rows = [[{k: v for k, v in row.items() if k not in timed} for row in run.metrics] for run in (alone, resumed)]
    assert rows[0] == rows[1]
    assert [json.loads(line) for line in (resumed.folder / METRICS).read_text().splitlines()] == resumed.metrics
    assert resumed.finished
    assert not (resumed.folder / STATE).exists()


def test_resuming_a_finished_run_changes_nothing(config: Config, tmp_path: Path) -> None:
    first = train(config, tmp_path, progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = train(config, tmp_path, progress=False, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (again.metrics, again.seconds, again.finished) == (first.metrics, first.seconds, True)


def test_a_run_that_died_after_its_last_epoch_is_finished_as_it_would_have_been(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = train(config, tmp_path / "alone", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", kill)
        with pytest.raises(Killed):
            train(config, tmp_path / "killed", progress=False)
    resumed = train(config, tmp_path / "killed", progress=False, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    records = [json.loads((run.folder / RECORD).read_text()) for run in (alone, resumed)]
    assert [record["epochs"] for record in records] == [4, 4]
    assert (resumed.steps, alone.steps) == (52, 52)


def test_measuring_counts_as_training_neither_in_the_metrics_nor_in_the_state(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Progress] = []

    def measure(*_: object) -> dict[str, float]:
        time.sleep(0.3)
        return {}

    monkeypatch.setattr("sumnist.training.loop.validation_figures", measure)
    monkeypatch.setattr(RunFolder, "save_state", lambda folder, progress, learner: saved.append(progress))
    result = train(replace(config, epochs=2), tmp_path, progress=False)
    assert [progress.seconds for progress in saved] == [row["seconds"] for row in result.metrics]
    assert result.seconds < result.metrics[-1]["seconds"] + 0.25


def test_resuming_where_nothing_is_begins_a_run(config: Config, tmp_path: Path) -> None:
    assert train(replace(config, epochs=1), tmp_path / "new", progress=False, resume=True).finished


def test_a_run_is_resumed_only_as_it_was_begun(config: Config, tmp_path: Path) -> None:
    train(config, tmp_path, progress=False)
    with pytest.raises(ConfigError) as caught:
        train(replace(config, lr=0.5), tmp_path, progress=False, resume=True)
    assert str(caught.value) == (
        f"--resume --lr 0.5: the run in {tmp_path} was begun with {config.lr}: leave the flag out, or train a new "
        "run in another --out"
    )


@pytest.mark.parametrize("damage", ["cut", "pickle", "other"])
def test_a_state_that_is_not_whole_is_an_error_that_says_what_to_do(
    config: Config, tmp_path: Path, kill_at: Callable[[int], None], damage: str
) -> None:
    kill_at(20)
    with pytest.raises(Killed):
        train(config, tmp_path / "run", progress=False)
    kill_at(0)
    state = tmp_path / "run" / STATE
    if damage == "cut":
        state.write_bytes(state.read_bytes()[:5000])
    elif damage == "pickle":
        state.write_bytes(b"\x80\x04c__main__\nboom\n.")
    else:
        kill_at(20)
        with pytest.raises(Killed):
            train(replace(config, fusion="exact"), tmp_path / "other", progress=False)
        kill_at(0)
        state.write_bytes((tmp_path / "other" / STATE).read_bytes())
    with pytest.raises(RunError) as caught:
        train(config, tmp_path / "run", progress=False, resume=True)
    assert str(caught.value).startswith(f"{state}: not a state to resume from (")
    assert str(caught.value).endswith("): delete it to train the run from its beginning")


def test_resume_needs_no_other_flag_than_the_folder(
    config: Config, tmp_path: Path, kill_at: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    kill_at(30)
    with pytest.raises(Killed):
        train(config, tmp_path, progress=False)
    kill_at(0)
    assert main(["train", "--out", str(tmp_path), "--resume"]) == 0
    assert json.loads((tmp_path / RECORD).read_text())["finished"] is True
    assert main(["train", "--out", str(tmp_path), "--resume", "--overwrite"]) == 2
    assert "one goes on with the run, the other replaces it; choose one" in capsys.readouterr().err


@pytest.mark.heavy
def test_a_training_killed_inside_its_writes_and_between_them_ends_with_the_same_weights(
    small_config: Config, tmp_path: Path
) -> None:
    arguments = ["--preset", "tiny", "--data-dir", str(small_config.data_dir), "--validation", "200", "--epochs", "5",
                 "--batch-size", "16", "--ema", "0.9", "--threads", "1", "--device", "cpu"]  # fmt: skip
    _, alone = survive(arguments, [], tmp_path / "alone")
    kills = [Kill(write=2), Kill(write=5), Kill(write=8), Kill(seconds=0.3), Kill(write=3)]
    hits, weights = survive(arguments, kills, tmp_path / "killed")
    assert hits >= 4
    assert weights == alone
    assert not list((tmp_path / "killed").glob(".*"))
