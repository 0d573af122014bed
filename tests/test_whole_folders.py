"""A folder holds one network, whole: the old one or the new one, and nothing that was made from another is used."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import sumnist
from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data.mnist import load_mnist
from sumnist.errors import OutputError, RunError
from sumnist.files import PRETRAINED
from sumnist.inference.onnx import OnnxNetwork, with_checksum
from sumnist.inference.reader import Reader, TorchNetwork
from sumnist.model.checkpoint import save_network
from sumnist.model.folder import held, replaced, settle
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import compare_runs, evaluate_run
from sumnist.training.export import export_run
from sumnist.training.loop import train


class Killed(BaseException):
    """What no code of ours catches, like a kill."""


def network(seed: int) -> TwoInputNet:
    """An untrained network whose configuration and weights both tell its seed."""
    torch.manual_seed(seed)
    return TwoInputNet.from_config(preset("tiny", seed=seed))


def seed_of(folder: Path) -> int:
    """The seed of the network in the folder, which configuration and weights must agree on."""
    net, config = load_network(folder)
    assert torch.equal(net.fusion.digit.weight, network(config.seed).fusion.digit.weight)
    return config.seed


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Have this process die before the n-th call that changes the names of files; never, for 0."""
    left = [0]

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return call(*arguments, **named)

        return run

    for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    yield lambda count: left.__setitem__(0, count)
    left[0] = 0


def test_whoever_is_killed_while_a_network_takes_its_place_leaves_the_old_one_or_the_new_one(
    tmp_path: Path, killed_at: Callable[[int], None]
) -> None:
    folder = tmp_path / "run"
    network(1).save_pretrained(folder)
    for name in ("record.json", "metrics.jsonl", "model.onnx", "plots/mistakes.png", "mine.txt", "plots/mine.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("of the old one, or of the user")
    shutil.copytree(folder, tmp_path / "old")
    found = []
    for count in range(1, 100):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "old", folder)
        killed_at(count)
        try:
            network(2).save_pretrained(folder)
            break
        except Killed:
            killed_at(0)
        found.append(seed_of(folder))
        settle(folder)
        assert seed_of(folder) == found[-1]
        network(2).save_pretrained(folder)
        assert seed_of(folder) == 2
        assert not [name for name in files_in(folder) if name.startswith(".")]
    assert found == sorted(found)
    assert set(found) == {1, 2}
    assert set(files_in(folder)) == {"config.json", "model.safetensors", "mine.txt", "plots/mine.png"}


def test_who_reads_while_networks_replace_each_other_finds_one_whole_at_every_moment(tmp_path: Path) -> None:
    networks = [network(seed) for seed in (1, 2)]
    networks[0].save_pretrained(tmp_path)
    done = threading.Event()

    def write() -> None:
        for turn in range(60):
            networks[turn % 2].save_pretrained(tmp_path)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = set()
    while not done.is_set():
        found.add(seed_of(tmp_path))
    writer.join()
    assert found <= {1, 2}
    assert found


def test_a_network_that_is_replaced_each_time_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(1).save_pretrained(tmp_path)
    versions = itertools.count()
    monkeypatch.setattr("sumnist.model.folder.version", lambda folder: next(versions))
    monkeypatch.setattr("sumnist.model.folder.TRIES", 3)
    with pytest.raises(RunError, match="another network took its place 3 times while it was read: wait, and try again"):
        load_network(tmp_path)
    assert next(versions) == 6


def test_a_network_that_was_stopped_on_its_way_is_found_by_every_reader_and_settled_by_the_next_writer(
    small_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    network(1).save_pretrained(folder)
    shutil.copytree(small_run, folder / ".complete")
    expected = Reader(small_run).read(np.eye(28), 3)
    assert Reader(folder).read(np.eye(28), 3) == expected
    (folder / ".complete").rename(folder / ".arriving")
    (folder / ".arriving/config.json").replace(folder / "config.json")
    assert Reader(folder).read(np.eye(28), 3) == expected
    evaluate_run(folder, device="cpu", plots=False)
    assert set(files_in(folder)) == {*files_in(small_run), "evaluation.json"}


def test_one_process_at_a_time_writes_into_a_folder(small_config: Config, small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    before = files_in(run)
    with held(run) as free:
        assert free
        for resume in (True, False):
            with pytest.raises(OutputError) as caught:
                train(small_config, run, progress=False, resume=resume, overwrite=not resume)
            assert str(caught.value) == (
                f"{run}: another process writes a run there: wait until it has ended, or name another folder"
            )
        with pytest.raises(OutputError, match="another process writes a run there"):
            network(1).save_pretrained(run)
        evaluate_run(run, device="cpu", plots=False)  # reads, and writes what carries a checksum
    (run / "evaluation.json").unlink()
    assert files_in(run) == before
    assert train(small_config, run, progress=False, resume=True).finished


@pytest.mark.skipif(os.name == "nt", reason="no locks there")
def test_a_process_that_is_killed_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom sumnist.model.folder import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with held(tmp_path) as free:
        assert not free
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with held(tmp_path) as free:
        assert free


def test_save_pretrained_leaves_an_unfinished_training_alone(tmp_path: Path) -> None:
    network(1).save_pretrained(tmp_path)
    (tmp_path / "state.safetensors").write_text("what a training goes on from")
    before = files_in(tmp_path)
    with pytest.raises(OutputError) as caught:
        network(2).save_pretrained(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: holds a training that is not finished: name another folder, or finish it with --resume"
    )
    assert files_in(tmp_path) == before


def test_a_build_that_fails_leaves_what_is_there(tmp_path: Path) -> None:
    network(1).save_pretrained(tmp_path)
    before = files_in(tmp_path)
    build = replaced(tmp_path)
    (build.__enter__() / "config.json").write_text("half")
    assert not build.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("way", ["a link", "the current folder"])
def test_a_run_is_replaced_behind_a_link_and_in_the_current_folder(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    real = tmp_path / "real"
    train(small_config, real, progress=False)
    (real / "mine.txt").write_text("mine")
    out = tmp_path / "link"
    if way == "a link":
        out.symlink_to(real)
    else:
        monkeypatch.chdir(real)
        out = Path()
    result = train(replace(small_config, seed=1), out, progress=False, overwrite=True)
    assert result.folder == out
    assert load_network(real)[1].seed == 1
    assert (real / "mine.txt").read_text() == "mine"
    assert not [name for name in os.listdir(real) if name.startswith(".")]


# What was made from the weights.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_config: Config) -> Path:
    """A run, exported and evaluated; not to be changed."""
    run = tmp_path_factory.mktemp("whole")
    train(small_config, run, progress=False)
    export_run(run)
    export_run(run, int8=True)
    evaluate_run(run, device="cpu")
    return run


@pytest.fixture
def exported(whole: Path, tmp_path: Path) -> Path:
    """A run, exported and evaluated."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def put_other_weights(run: Path) -> None:
    """As anyone may who copies files."""
    kept = files_in(run)
    torch.manual_seed(7)
    save_network(TwoInputNet.from_config(load_network(run)[1]), run)
    for name, content in kept.items():
        if name not in ("model.safetensors", "config.json"):
            (run / name).write_bytes(content)


def test_an_onnx_file_of_other_weights_is_never_used(exported: Path, tmp_path: Path) -> None:
    images = list(load_mnist("test").images[:5])
    assert isinstance(Reader(exported).network, OnnxNetwork)
    put_other_weights(exported)
    (tmp_path / "plain").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(exported / name, tmp_path / "plain")
    reader = sumnist.load(exported)
    assert isinstance(reader.network, TorchNetwork)
    assert reader.read(images, 3) == Reader(tmp_path / "plain").read(images, 3)
    for name in ("model.onnx", "model.int8.onnx"):
        with pytest.raises(RunError) as caught:
            Reader(exported / name)
        assert str(caught.value) == (
            f"{exported / name}: not made from the weights beside it: run `sumnist export {exported}`, "
            "or take it elsewhere"
        )
    shutil.copy(exported / "model.onnx", tmp_path / "elsewhere.onnx")
    assert isinstance(Reader(tmp_path / "elsewhere.onnx").network, OnnxNetwork)
    (exported / "model.safetensors").unlink()
    assert isinstance(Reader(exported).network, OnnxNetwork)


def test_without_torch_an_onnx_file_of_other_weights_is_refused_with_the_mend(exported: Path) -> None:
    put_other_weights(exported)
    code = (
        "import sys; sys.modules['torch'] = None\nimport sumnist\n"
        f"try: sumnist.load({str(exported)!r})\n"
        "except ImportError as error: print(error)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == (
        f"{exported} has a model.onnx of other weights, which `sumnist export {exported}` makes anew; reading it "
        'needs torch, which is not installed; install it with: pip install "sumnist[train]"\n'
    )


def test_an_evaluation_of_other_weights_is_not_compared(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "run" in compare_runs([exported])
    put_other_weights(exported)
    assert main(["compare", str(exported)]) == 1
    assert capsys.readouterr().err == (
        f"sumnist: {exported / 'evaluation.json'}: not of the weights that the run has now: "
        f"run `sumnist evaluate {exported}` again\n"
    )
    evaluate_run(exported, device="cpu", plots=False)
    compare_runs([exported])
    assert list((exported / "plots").iterdir()) == []  # they were of the other weights


def test_everything_made_from_the_weights_carries_their_checksum_and_goes_with_them(exported: Path) -> None:
    with (exported / "model.safetensors").open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    checksum = header["__metadata__"]["sha256"]
    derived = ["evaluation.json", "model.int8.onnx", "model.onnx", *sorted(
        f"plots/{name}.png" for name in ("confusion-digit", "confusion-sum", "mistakes", "reliability", "training")
    )]  # fmt: skip
    assert sorted(name for name, content in files_in(exported).items() if checksum.encode() in content) == sorted(
        [*derived, "model.safetensors"]
    )
    save_network(network(3), exported)
    assert set(files_in(exported)) == {"config.json", "metrics.jsonl", "model.safetensors", "record.json"}


def test_resuming_an_interrupted_run_removes_what_was_made_from_its_weights_of_then(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sumnist.training import loop

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "end_training", interrupt)
        assert not train(replace(small_config, epochs=1), tmp_path, progress=False).finished
    save_network(network(0), tmp_path)  # the weights that a Ctrl-C in the middle would have left
    export_run(tmp_path)
    evaluate_run(tmp_path, device="cpu", plots=False)
    assert train(replace(small_config, epochs=1), tmp_path, progress=False, resume=True).finished
    assert not (tmp_path / "model.onnx").exists()
    assert not (tmp_path / "evaluation.json").exists()


def test_save_pretrained_over_an_exported_run_leaves_nothing_of_it(exported: Path) -> None:
    (exported / "mine.txt").write_text("mine")
    network(3).save_pretrained(exported)
    assert set(files_in(exported)) == {"config.json", "model.safetensors", "mine.txt"}
    assert seed_of(exported) == 3


def test_an_onnx_file_from_before_there_were_checksums_works_where_no_weights_are(
    exported: Path, tmp_path: Path
) -> None:
    model = onnx.load(exported / "model.onnx")
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in ("weights", "sha256")]
    onnx.helper.set_model_props(model, {**dict(kept), "sha256": "0" * 64})
    old = tmp_path / "old"
    old.mkdir()
    (old / "model.onnx").write_bytes(with_checksum(model.SerializeToString()))
    assert isinstance(Reader(old).network, OnnxNetwork)
    assert isinstance(Reader(old / "model.onnx").network, OnnxNetwork)
    shutil.copy(old / "model.onnx", exported)
    assert isinstance(Reader(exported).network, TorchNetwork)


def test_weights_of_others_that_have_no_checksum_are_told_apart_by_their_bytes(exported: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file(load_file(exported / "model.safetensors"), exported / "model.safetensors")
    assert isinstance(Reader(exported).network, TorchNetwork)
    export_run(exported)
    assert isinstance(Reader(exported).network, OnnxNetwork)
    evaluate_run(exported, device="cpu", plots=False)
    compare_runs([exported])


def test_the_packaged_network_is_read_without_torch_and_is_of_the_packaged_weights() -> None:
    code = "import sys, sumnist; sumnist.load(); print({'torch', 'safetensors'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"
    assert isinstance(Reader(PRETRAINED).network, OnnxNetwork)
    assert compare_runs([PRETRAINED])
