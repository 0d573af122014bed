"""A training that was killed goes on to the result that it would have had; and a folder holds one network, whole: the
old one or the new one, and nothing that was made from another is used."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sumnist
from noise_task import NoiseTask
from sumnist.cli import main
from sumnist.config import Training, preset
from sumnist.data.mnist import load_mnist
from sumnist.environment import describe_machine
from sumnist.errors import ConfigError, DataError, OutputError, RunError, TrainingError
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import Reader, TorchNetwork
from sumnist.model.checkpoint import load_config, save_network
from sumnist.model.folder import METRICS, RECORD, STATE
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training import folder as folder_of_run
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import export_run
from sumnist.training.folder import Learner, RunFolder
from sumnist.training.loop import train, training_step

WEIGHTS = "model.safetensors"


class Killed(BaseException):
    """What no code of ours catches, like a kill."""


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith(".")}


def after(count: int, error: type[BaseException], real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, which at the `count`-th call raises an error instead."""
    left = [count]

    def run(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise error
        return real(*arguments, **named)

    return run


Stop = Callable[..., Path]


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Train, and die at the n-th step."""

    def run(config: Training, folder: Path, step: int, **named: Any) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr("sumnist.training.loop.training_step", after(step, Killed, training_step))
            with pytest.raises(Killed):
                train(config, folder, progress=False, **named)
        return folder

    return run


@pytest.fixture(scope="session")
def config(small_config: Training) -> Training:
    """Everything that a state has to hold: an average, an optimizer, augmentation, a learned fusion."""
    return replace(small_config, epochs=4, ema=0.9, augment="elastic", fusion="concat")


@pytest.fixture(scope="session")
def alone(config: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That training, undisturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    train(config, folder, progress=False)
    return folder


@pytest.fixture
def half(config: Training, tmp_path: Path, stopped: Stop) -> Path:
    """That training, killed in its second epoch."""
    return stopped(config, tmp_path / "half", 20)


def rows_of(folder: Path) -> list[dict[str, float]]:
    """The metrics without what depends on the clock."""
    timed = ("seconds", "cpu_seconds", "images_per_second")
    rows = map(json.loads, (folder / METRICS).read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


def refusal(error: type[Exception], config: Training, folder: Path, **named: Any) -> str:
    """What is said when a training is refused, which changes nothing in the folder."""
    before = files_in(folder)
    with pytest.raises(error) as caught:
        train(config, folder, progress=False, **named)
    assert files_in(folder) == before
    return str(caught.value)


# A training goes on.


@pytest.mark.parametrize(("precision", "step"), [("auto", 14), ("bf16", 27), ("auto", 40)])
def test_a_training_that_died_goes_on_to_the_same_weights(
    config: Training, alone: Path, tmp_path: Path, stopped: Stop, precision: Any, step: int
) -> None:
    if precision != "auto":
        config = replace(config, precision=precision)
        alone = train(config, tmp_path / "alone", progress=False).folder
    stopped(config, tmp_path / "run", step)
    resumed = train(config, tmp_path / "run", progress=False, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (alone / WEIGHTS).read_bytes()
    assert rows_of(resumed.folder) == rows_of(alone)
    assert [json.loads(line) for line in (resumed.folder / METRICS).read_text().splitlines()] == resumed.metrics
    assert (resumed.finished, resumed.steps) == (True, 52)
    assert not (resumed.folder / STATE).exists()


def test_resuming_a_finished_run_changes_nothing_and_needs_no_other_flag(config: Training, alone: Path) -> None:
    before, record = files_in(alone), json.loads((alone / RECORD).read_text())
    again = train(config, alone, progress=False, resume=True)
    assert (again.seconds, again.steps, again.finished) == (record["seconds"], record["steps"], True)
    assert main(["train", "--out", str(alone), "--resume"]) == 0
    assert files_in(alone) == before


def test_without_a_run_or_without_its_state_a_resume_begins_anew(config: Training, alone: Path, half: Path) -> None:
    (half / STATE).unlink()
    assert train(config, half, progress=False, resume=True).finished
    assert rows_of(half) == rows_of(alone)
    assert train(replace(config, epochs=1), half / "new", progress=False, resume=True).finished


def test_a_state_that_is_not_whole_is_refused(config: Training, half: Path, tmp_path: Path, stopped: Stop) -> None:
    state, other = half / STATE, stopped(replace(config, fusion="exact"), tmp_path / "other", 20) / STATE
    for damaged in (state.read_bytes()[:5000], b"\x80\x04c__main__\nboom\n.", other.read_bytes()):
        state.write_bytes(damaged)
        said = refusal(RunError, config, half, resume=True)
        assert said.startswith(f"{state}: not a state to resume from (")
        assert said.endswith("): delete it to train the run from its beginning")


def test_a_run_is_resumed_only_as_it_was_begun(
    config: Training, half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal(ConfigError, replace(config, lr=0.5), half, resume=True)
    assert said.startswith(f"--resume --lr 0.5: the run in {half} was begun with {config.lr}: leave the flag out")
    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.choose_bf16", lambda *_: True)
        if json.loads((half / RECORD).read_text())["precision"] == "fp32":
            said = refusal(RunError, config, half, resume=True)
            assert said.startswith(f"--resume {half}: begun with other precision (fp32, now bf16): go on as it was")
    assert config.data_dir is not None
    here = Path(shutil.copytree(config.data_dir, tmp_path / "digits"))
    images, labels = here / "train-images-idx3-ubyte", here / "train-labels-idx1-ubyte"
    (here / f"{images.name}.gz").write_bytes(gzip.compress(images.read_bytes()))
    images.unlink()
    moved = replace(config, data_dir=here)
    (half / "config.json").write_text(moved.to_json())  # as anyone may who has moved them
    good = labels.read_bytes()
    labels.write_bytes(good[:8] + bytes([(good[8] + 1) % 10]) + good[9:])
    said = refusal(RunError, moved, half, resume=True)
    assert said.startswith(f"--resume {half}: begun with other training images (")
    labels.write_bytes(good)  # the same images, in another place and packed otherwise
    as_text = replace(config, data_dir=str(here))  # type: ignore[arg-type]
    assert train(as_text, half, progress=False, resume=True).finished


def test_the_record_says_what_a_resume_changed(config: Training, half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = json.loads((half / RECORD).read_text())
    other = {"versions": begun["versions"] | {"torch": "99.0"}}
    monkeypatch.setattr("sumnist.training.folder.describe_machine", lambda: describe_machine() | other)
    train(config, half, progress=False, resume=True)
    record = json.loads((half / RECORD).read_text())
    assert record["versions"] == begun["versions"]
    (resumed,) = record["resumed"]
    assert resumed.pop("date")
    assert resumed == other


@pytest.fixture(scope="session")
def noisy_run(small_config: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that ends with a calibration, undisturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("noisy") / "run"
    train(small_config, folder, progress=False, task=NoiseTask)
    return folder


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [(NoiseTask, "calibrate", 1), (folder_of_run, "save_network", 3), (RunFolder, "write_record", 2),
     pytest.param(RunFolder, "finish", 1, marks=pytest.mark.long)],
)  # fmt: skip
def test_ctrl_c_at_the_end_leaves_a_run_that_can_be_finished(
    small_config: Training, noisy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str,
    call: int,
) -> None:  # fmt: skip
    run = tmp_path / "run"
    noisy: dict[str, Any] = {"progress": False, "task": NoiseTask}
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, after(call, KeyboardInterrupt, getattr(owner, name)))
        try:
            assert not train(small_config, run, **noisy).finished
        except KeyboardInterrupt:
            assert name in ("finish", "write_record")
    assert not json.loads((run / RECORD).read_text()).get("finished")
    assert train(small_config, run, resume=True, **noisy).finished
    assert (run / WEIGHTS).read_bytes() == (noisy_run / WEIGHTS).read_bytes()
    assert load_network(run)[0].calibration.least_is_digit.item() > 0


def test_a_training_that_an_earlier_version_began_is_not_continued(config: Training, half: Path) -> None:
    values = json.loads((half / "config.json").read_text())
    (half / "config.json").write_text(json.dumps(values | {"format": 1}))
    with pytest.raises(RunError, match=r"of format 1, expected 2: .* 1e09899"):
        train(config, half, progress=False, resume=True)


# What is in the way, or broken.


def test_what_is_no_run_is_neither_resumed_nor_removed(config: Training, alone: Path, tmp_path: Path) -> None:
    TwoInputNet.from_config(config).save_pretrained(tmp_path / "saved")
    said = refusal(RunError, config, tmp_path / "saved", resume=True)
    assert said.startswith(f"--resume {tmp_path / 'saved'}: holds no training to go on with")
    for name in (WEIGHTS, "model.onnx"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("somebody's")
        assert "holds a run already, expected a new folder" in refusal(OutputError, config, tmp_path / name)
        refusal(RunError, config, tmp_path / name, resume=True)
    with pytest.raises(DataError):
        train(replace(config, data_dir=tmp_path / "none"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    run = Path(shutil.copytree(alone, tmp_path / "broken"))
    for content in ('{"finished": true}', "[" * 100_000):
        (run / RECORD).write_text(content)
        refusal(RunError, config, run, resume=True)


BROKEN = (
    b'\xff\xfe\x00\n[1]\n7\nnull\n{"epoch": "x"}\n' + b"[" * 100_000 + b'\n{"epoch": 1' + b"0" * 5000 + b"}\n"
    b'{"epoch": 1, "train_digit": "much", "train_sum": null}\n'
    b'{"epoch": 2, "validation_digit": NaN, "validation_sum": 1e999, "digit_loss": {}, "lr": 1}\n{"epo'
)
"""Metrics that somebody broke; an evaluation of `whole` meets them."""


def test_metrics_that_somebody_broke_are_left_out(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_bytes(BROKEN)
    assert folder_of_run.read_metrics(tmp_path / METRICS) == [{"epoch": 1}, {"epoch": 2, "lr": 1}]
    assert folder_of_run.read_metrics(tmp_path / "none") == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_weights_that_are_no_numbers_are_not_saved(
    small_config: Training, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    run, config = tmp_path / "run", replace(small_config, seed=1, epochs=1)
    if overwrite:
        shutil.copytree(small_run, run)
    before = files_in(run)
    count = iter(range(13, 0, -1))

    def spoiled(task: Any, learner: Learner, *rest: Any) -> Any:
        done = training_step(task, learner, *rest)
        if next(count) == 1:
            next(learner.net.parameters()).data.view(-1)[0] = float("nan")
        return done

    monkeypatch.setattr("sumnist.training.loop.training_step", spoiled)
    with pytest.raises(TrainingError, match=r"^the weights are of no use \(encoder.0.weight is not finite, .*--lr"):
        train(config, run, progress=False, overwrite=overwrite)
    assert not (run / WEIGHTS).exists() if not overwrite else files_in(run) == before


# One network takes the place of another.


def network(seed: int) -> TwoInputNet:
    """An untrained network whose configuration and weights both tell its seed."""
    torch.manual_seed(seed)
    return TwoInputNet.from_config(preset("tiny", seed=seed))


def seed_of(folder: Path) -> int:
    """The seed of the network in the folder, which configuration and weights must agree on."""
    net, config = load_network(folder)
    assert torch.equal(net.fusion.digit.weight, network(config.seed).fusion.digit.weight)
    return config.seed


def test_who_reads_while_networks_replace_each_other_finds_one_whole(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("moved", [1, 2, 4])
def test_a_run_that_was_stopped_on_its_way_is_found_and_settled(
    small_config: Training, small_run: Path, tmp_path: Path, moved: int
) -> None:
    folder = tmp_path / "run"
    network(1).save_pretrained(folder)
    shutil.copytree(small_run, folder / ".unfinished")
    for name in (WEIGHTS, "config.json", METRICS, RECORD)[:moved]:
        (folder / ".unfinished" / name).replace(folder / name)
    assert Reader(folder).read(np.eye(28), 3) == Reader(small_run).read(np.eye(28), 3)
    assert load_config(folder) == load_config(small_run)
    assert train(small_config, folder, progress=False, resume=True).finished
    assert files_in(folder) == files_in(small_run)


def test_weights_tell_what_they_are_of_whatever_the_file_beside_them_says(tmp_path: Path) -> None:
    network(1).save_pretrained(tmp_path)
    network(2).save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other/config.json", tmp_path)
    assert (seed_of(tmp_path), load_config(tmp_path).seed) == (1, 1)
    save_network(network(1), tmp_path)  # those of an older version do not
    assert (load_network(tmp_path)[1].seed, load_config(tmp_path).seed) == (2, 2)


@pytest.mark.parametrize(("how", "step"), [(Killed, 1), (Killed, 20), (KeyboardInterrupt, 20)])
def test_a_run_stays_whole_until_the_one_that_replaces_it_has_finished(
    config: Training, alone: Path, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: Stop,
    how: type[BaseException], step: int,
) -> None:  # fmt: skip
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    (run / "mine.txt").write_text("mine")
    before = files_in(run)
    if how is Killed:
        stopped(config, run, step, overwrite=True)
    else:
        with monkeypatch.context() as patch:
            patch.setattr("sumnist.training.loop.training_step", after(step, how, training_step))
            result = train(config, run, progress=False, overwrite=True)
        assert (result.finished, result.folder) == (False, run / ".unfinished")
        load_network(result.folder)
    assert visible(files_in(run)) == before
    again: dict[str, Any] = {"overwrite": True} if step == 1 else {"resume": True}
    assert train(config, run, progress=False, **again).finished
    found = files_in(run)
    assert found[WEIGHTS] == (alone / WEIGHTS).read_bytes()
    assert set(found) == {*files_in(alone), "mine.txt"}
    assert json.loads(found[RECORD])["finished"] is True


def test_one_process_at_a_time_writes_into_a_folder(small_config: Training, small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    before = files_in(run)
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom sumnist.model.folder import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    for flags in ({"resume": True}, {"overwrite": True}):
        assert "another process writes a run there: wait until" in refusal(OutputError, small_config, run, **flags)
    with pytest.raises(OutputError, match="another process writes a run there"):
        network(1).save_pretrained(run)
    evaluate_run(run, device="cpu", plots=False)  # reads, and writes what carries a checksum
    (run / "evaluation.json").unlink()
    assert files_in(run) == before
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert train(small_config, run, progress=False, resume=True).finished


@pytest.mark.parametrize("name", [STATE, ".unfinished/config.json"])
def test_save_pretrained_leaves_an_unfinished_training_alone(tmp_path: Path, name: str) -> None:
    network(1).save_pretrained(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("what a training goes on from")
    before = files_in(tmp_path)
    with pytest.raises(OutputError, match=f"^{tmp_path}: holds a training that is not finished: name another folder"):
        network(2).save_pretrained(tmp_path)
    assert files_in(tmp_path) == before


def test_a_run_is_replaced_behind_a_link_and_in_the_current_folder(
    small_config: Training, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link = Path(shutil.copytree(small_run, tmp_path / "real")), tmp_path / "link"
    (real / "mine.txt").write_text("mine")
    link.symlink_to(real)
    monkeypatch.chdir(real)
    for seed, out in ((1, link), (2, Path())):
        assert train(replace(small_config, seed=seed), out, progress=False, overwrite=True).folder == out
        assert load_network(real)[1].seed == seed
        assert (real / "mine.txt").read_text() == "mine"
        assert visible(files_in(real)) == files_in(real)


# What was made from the weights.


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Path:
    """A run, exported and evaluated; not to be changed."""
    run = Path(shutil.copytree(small_run, tmp_path_factory.mktemp("whole") / "run"))
    export_run(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sumnist.training.export.to_onnx", lambda *_: (run / "model.onnx").read_bytes())  # in no time
        export_run(run, int8=True)
    with (run / METRICS).open("ab") as stream:
        stream.write(BROKEN)
    evaluate_run(run, device="cpu")
    return run


@pytest.fixture
def exported(whole: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def put_other_weights(run: Path) -> None:
    """As anyone may who copies files."""
    kept = files_in(run)
    torch.manual_seed(7)
    save_network(TwoInputNet.from_config(load_network(run)[1]), run)
    for name, content in kept.items():
        if name not in (WEIGHTS, "config.json"):
            (run / name).write_bytes(content)


def test_an_onnx_file_of_other_weights_is_never_used(exported: Path, tmp_path: Path) -> None:
    images = list(load_mnist("test").images[:5])
    assert isinstance(Reader(exported).network, OnnxNetwork)
    put_other_weights(exported)
    (tmp_path / "plain").mkdir()
    for name in ("config.json", WEIGHTS):
        shutil.copy(exported / name, tmp_path / "plain")
    reader = sumnist.load(exported)
    assert isinstance(reader.network, TorchNetwork)
    assert reader.read(images, 3) == Reader(tmp_path / "plain").read(images, 3)
    for name in ("model.onnx", "model.int8.onnx"):
        with pytest.raises(RunError, match=f"^{exported / name}: not made from the weights beside it: run `sumnist ex"):
            Reader(exported / name)
    shutil.copy(exported / "model.onnx", tmp_path / "elsewhere.onnx")
    assert isinstance(Reader(tmp_path / "elsewhere.onnx").network, OnnxNetwork)
    (exported / WEIGHTS).unlink()
    assert isinstance(Reader(exported).network, OnnxNetwork)


def test_everything_made_from_the_weights_carries_their_checksum_and_goes_with_them(exported: Path) -> None:
    with (exported / WEIGHTS).open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    checksum = header["__metadata__"]["sha256"]
    plots = ("confusion-digit", "confusion-sum", "mistakes", "reliability", "training")
    derived = {"evaluation.json", *(f"model{kind}.onnx" for kind in ("", ".int8"))}
    derived |= {f"plots/{name}.png" for name in plots}
    assert {name for name, content in files_in(exported).items() if checksum.encode() in content} == {*derived, WEIGHTS}
    put_other_weights(exported)
    evaluate_run(exported, device="cpu", plots=False)
    assert list((exported / "plots").iterdir()) == []  # those of other weights
    save_network(network(3), exported)
    assert set(files_in(exported)) == {"config.json", METRICS, WEIGHTS, RECORD}
