"""A training that starts from the weights of another run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.errors import ConfigError, RunError
from sumnist.files import CONFIG, WEIGHTS
from sumnist.model.checkpoint import save_network
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.folder import RECORD, STATE
from sumnist.training.loop import train


@pytest.fixture
def config(small_config: Config, small_run: Path) -> Config:
    return replace(small_config, start_from=small_run, seed=1)


def test_it_begins_with_those_weights_and_names_them_by_their_checksum(
    config: Config, small_run: Path, tmp_path: Path
) -> None:
    run = train(replace(config, epochs=1, lr=1e-30), tmp_path / "run", progress=False)
    for name, value in load_file(small_run / WEIGHTS).items():
        assert torch.equal(run.net.state_dict()[name], value), name
    assert json.loads((run.folder / RECORD).read_text())["started_from"] == TwoInputNet.load(small_run)[2]
    assert json.loads((run.folder / CONFIG).read_text())["start_from"] == str(small_run)


def test_what_it_was_calibrated_to_is_not_taken_over(config: Config, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "calibrated")
    net, _ = load_network(tmp_path / "calibrated")
    net.calibration.set(2.0, 0.5, 0.25)
    save_network(net, tmp_path / "calibrated")
    nets = [train(replace(config, epochs=1, start_from=start), tmp_path / name, progress=False).net.state_dict()
            for name, start in (("one", small_run), ("other", tmp_path / "calibrated"))]  # fmt: skip
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())


def test_one_that_was_stopped_goes_on_without_the_run_that_it_started_from(
    config: Config, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shutil.copytree(small_run, tmp_path / "start")
    config = replace(config, start_from=start, ema=0.9)
    alone = train(config, tmp_path / "alone", progress=False)

    def stop(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.end_training", stop)
        with pytest.raises(MemoryError):
            train(config, tmp_path / "run", progress=False)
    assert (tmp_path / "run" / STATE).exists()
    shutil.rmtree(start)
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    assert resumed.finished


@pytest.mark.parametrize("changes", [{"encoder": "fast"}, {"fusion": "concat"}])
def test_weights_of_another_design_are_refused_before_anything_is_written(
    config: Config, small_run: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    message = f"^--start-from {small_run}: its weights do not fit .*weights of another network.*same --task"
    with pytest.raises(RunError, match=message):
        train(replace(config, **changes), tmp_path / "run", progress=False)  # type: ignore[arg-type]
    assert not [*(tmp_path / "run").glob("*.json")]
    assert train(replace(config, epochs=1), tmp_path / "run", progress=False).finished


def test_a_folder_without_weights_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--preset", "tiny", "--start-from", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"sumnist: --start-from {tmp_path / 'none'}: its weights do not fit")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["data_dir", "start_from"])
def test_a_folder_is_a_path_or_text(name: str) -> None:
    assert getattr(preset("tiny", **{name: "runs/one"}), name) == Path("runs/one")
    assert getattr(preset("tiny", **{name: ""}), name) == Path()
    with pytest.raises(ConfigError, match=r"^--(data-dir|start-from) 5: expected the path of a folder$"):
        preset("tiny", **{name: 5})
