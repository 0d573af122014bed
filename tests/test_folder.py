"""A training that was killed goes on to the result that it would have had."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from sumnist.cli import main
from sumnist.config import Config
from sumnist.errors import ConfigError, DataError, OutputError, RunError, TrainingError
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import compare_runs, evaluate_run
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


@pytest.mark.parametrize(("precision", "optimizer"), [("fp32", "adamw"), ("bf16", "adamw"), ("bf16", "muon")])
@pytest.mark.parametrize("step", [1, 14, 27, 40])
def test_a_training_that_died_goes_on_to_the_same_weights_and_metrics(
    config: Config, tmp_path: Path, kill_at: Callable[[int], None], step: int,
    precision: Literal["fp32", "bf16"], optimizer: Literal["adamw", "muon"],
) -> None:  # fmt: skip
    config = replace(config, precision=precision, optimizer=optimizer)
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

    monkeypatch.setattr("sumnist.training.tasks.DigitTask.measure", measure)
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


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith(".")}


@pytest.mark.parametrize("step", [1, 20, 52])
@pytest.mark.parametrize("how", [Killed, KeyboardInterrupt])
def test_a_run_stays_whole_until_the_one_that_replaces_it_has_finished(
    config: Config, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], step: int, how: type[BaseException],
) -> None:  # fmt: skip
    run, new = tmp_path / "run", replace(config, seed=3)
    shutil.copytree(small_run, run)
    (run / "mine.txt").write_text("mine")
    before = files_in(run)
    alone = train(new, tmp_path / "alone", progress=False)
    steps = iter(range(1, step + 1))

    def stopped(*arguments: Any, **named: Any) -> Any:
        if next(steps) == step:
            raise how
        return training_step(*arguments, **named)

    words = ["train", *words_of(new), "--out", str(run)]
    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.loop.training_step", stopped)
        if how is Killed:
            with pytest.raises(Killed):
                main([*words, "--overwrite"])
        else:
            assert main([*words, "--overwrite"]) == 130
            epoch = (step - 1) // 13 + 1
            assert capsys.readouterr().err.splitlines()[-1] == (
                f"sumnist: stopped in epoch {epoch}; the weights of this moment are in {run / '.unfinished'}; {run} "
                "holds what it held, and --resume goes on"
            )
            load_network(run / ".unfinished")
    assert visible(files_in(run)) == before
    for flag in ("--resume",) if how is KeyboardInterrupt or step > 13 else ("--overwrite",):
        assert main([*words, flag]) == 0
    after = files_in(run)
    assert after["model.safetensors"] == (alone.folder / WEIGHTS).read_bytes()
    assert set(after) == {*files_in(alone.folder), "mine.txt"}
    assert json.loads(after[RECORD])["finished"] is True


def words_of(config: Config) -> list[str]:
    """The flags of the configuration of these tests."""
    return ["--preset", "tiny", "--data-dir", str(config.data_dir), "--validation", "200", "--epochs", "4",
            "--batch-size", "64", "--threads", "1", "--device", "cpu", "--ema", "0.9", "--augment", "elastic",
            "--fusion", "concat", "--weight-decay", "0.01", "--seed", str(config.seed)]  # fmt: skip


def test_an_abandoned_run_is_no_obstacle_to_one_that_replaces_the_run_again(
    config: Config, small_run: Path, tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    kill_at(20)
    with pytest.raises(Killed):
        train(config, run, progress=False, overwrite=True)
    kill_at(0)
    assert (run / ".unfinished" / STATE).exists()
    with pytest.raises(ConfigError, match=r"the run in .*\.unfinished was begun with "):
        train(replace(config, lr=0.5), run, progress=False, resume=True)
    changed = replace(config, lr=0.02)
    result = train(changed, run, progress=False, overwrite=True)
    alone = train(changed, tmp_path / "alone", progress=False)
    assert (result.folder, [row["epoch"] for row in result.metrics]) == (run, [1, 2, 3, 4])
    assert (run / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    assert set(files_in(run)) == set(files_in(alone.folder))


def test_a_run_that_was_killed_before_it_took_its_place_takes_it_when_resumed(
    small_config: Config, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, new = tmp_path / "run", replace(small_config, seed=3)
    shutil.copytree(small_run, run)
    with monkeypatch.context() as patch:
        patch.setattr("sumnist.training.folder.take_place", kill)
        with pytest.raises(Killed):
            train(new, run, progress=False, overwrite=True)
        assert visible(files_in(run)) == files_in(small_run)
        shutil.rmtree(run / ".unfinished", ignore_errors=True)
        patch.setattr(RunFolder, "__exit__", lambda self, *_: self.hold.close())  # as after a real kill
        with pytest.raises(Killed):
            train(new, run, progress=False, overwrite=True)
    result = train(new, run, progress=False, resume=True)
    assert (result.finished, result.folder, len(result.metrics)) == (True, run, 2)
    assert load_network(run)[1].seed == 3
    assert not visible({name[1:]: b"" for name in files_in(run) if name.startswith(".")})


def test_what_save_pretrained_wrote_is_no_run_to_resume(config: Config, tmp_path: Path) -> None:
    TwoInputNet.from_config(config).save_pretrained(tmp_path)
    before = files_in(tmp_path)
    with pytest.raises(RunError) as caught:
        train(config, tmp_path, progress=False, resume=True)
    assert str(caught.value) == (
        f"--resume {tmp_path}: holds no training to go on with, neither record.json nor state.safetensors: name "
        "another --out, or give --overwrite instead to replace what is there"
    )
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("name", [WEIGHTS, "model.onnx"])
def test_weights_that_lie_in_the_folder_without_a_configuration_are_not_removed(
    config: Config, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("somebody's")
    for resume, error in ((False, OutputError), (True, RunError)):
        with pytest.raises(error):
            train(config, tmp_path, progress=False, resume=resume)
    assert files_in(tmp_path) == {name: b"somebody's"}


def test_without_its_state_a_run_begins_anew_and_its_metrics_too(
    config: Config, tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    kill_at(35)
    with pytest.raises(Killed):
        train(config, tmp_path, progress=False)
    kill_at(0)
    (tmp_path / STATE).unlink()
    result = train(config, tmp_path, progress=False, resume=True)
    written = [json.loads(line)["epoch"] for line in (tmp_path / METRICS).read_text().splitlines()]
    assert written == [row["epoch"] for row in result.metrics] == [1, 2, 3, 4]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def fire_after(count: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, which Ctrl-C interrupts at the `count`-th call."""
    left = [count]

    def run(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    return run


@pytest.mark.parametrize(
    ("place", "call"),
    [("sumnist.training.tasks.calibrate", 1), ("sumnist.training.tasks.DigitTask.calibrate", 1),
     ("sumnist.model.calibration.Calibration.set", 2), ("sumnist.training.folder.save_network", 3),
     ("sumnist.training.folder.RunFolder.finish", 1), ("sumnist.training.folder.RunFolder.write_record", 2)],
)  # fmt: skip
def test_ctrl_c_at_the_end_leaves_a_run_that_is_not_finished_and_then_ends_as_if_undisturbed(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, call: int
) -> None:
    config = replace(small_config, outliers=0.3)
    monkeypatch.setattr("sumnist.data.outliers.DRAWN", 500)
    alone = train(config, tmp_path / "alone", progress=False)
    with monkeypatch.context() as patch:
        owner, _, name = place.rpartition(".")
        real = getattr(pytest.importorskip(owner), name) if owner.islower() else None
        if real is None:
            module, _, kind = owner.rpartition(".")
            real = getattr(getattr(pytest.importorskip(module), kind), name)
        patch.setattr(place, fire_after(call, real))
        try:
            assert not train(config, tmp_path / "run", progress=False).finished
        except KeyboardInterrupt:
            assert name in ("finish", "write_record")
    assert not json.loads((tmp_path / "run" / RECORD).read_text()).get("finished")
    assert train(config, tmp_path / "run", progress=False, resume=True).finished
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (alone.folder / WEIGHTS).read_bytes()
    assert load_network(tmp_path / "run")[0].calibration.least_is_digit.item() > 0


@pytest.fixture
def half(config: Config, tmp_path: Path, kill_at: Callable[[int], None]) -> Path:
    """A run that was killed in its second epoch."""
    kill_at(20)
    with pytest.raises(Killed):
        train(config, tmp_path / "half", progress=False)
    kill_at(0)
    return tmp_path / "half"


def test_a_run_is_not_resumed_with_other_images(config: Config, half: Path, tmp_path: Path) -> None:
    assert config.data_dir is not None
    here = tmp_path / "digits"
    shutil.copytree(config.data_dir, here)
    packed = here / "train-images-idx3-ubyte"
    (here / f"{packed.name}.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    saved = Config.from_json((half / "config.json").read_text(), "config.json")
    moved = replace(saved, data_dir=here)
    (half / "config.json").write_text(moved.to_json())
    labels = here / "train-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[8] = (content[8] + 1) % 10
    good = labels.read_bytes()
    labels.write_bytes(bytes(content))
    before = files_in(half)
    with pytest.raises(RunError) as caught:
        train(moved, half, progress=False, resume=True)
    assert str(caught.value).startswith(f"--resume {half}: begun with other training images (")
    assert str(caught.value).endswith("): go on as it was begun, or train a new run in another --out")
    assert files_in(half) == before
    labels.write_bytes(good)  # the same images, in another place and packed otherwise
    assert train(moved, half, progress=False, resume=True).finished


def test_a_run_is_not_resumed_in_another_precision(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: Callable[[int], None]
) -> None:
    monkeypatch.setattr("sumnist.training.loop.choose_bf16", lambda *_: True)
    kill_at(20)
    with pytest.raises(Killed):
        train(config, tmp_path, progress=False)
    kill_at(0)
    monkeypatch.setattr("sumnist.training.loop.choose_bf16", lambda *_: False)
    with pytest.raises(RunError) as caught:
        train(config, tmp_path, progress=False, resume=True)
    assert str(caught.value) == (
        f"--resume {tmp_path}: begun with other precision (bf16, now fp32): go on as it was begun, or train a new run "
        "in another --out"
    )
    monkeypatch.setattr("sumnist.training.loop.choose_bf16", lambda *_: True)
    assert train(config, tmp_path, progress=False, resume=True).finished
    assert json.loads((tmp_path / RECORD).read_text())["precision"] == "bf16"


def test_the_record_says_where_a_run_went_on_otherwise_than_it_was_begun(
    config: Config, half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = json.loads((half / RECORD).read_text())
    other = {"versions": begun["versions"] | {"torch": "99.0"}}
    from sumnist.environment import describe_machine

    monkeypatch.setattr("sumnist.training.folder.describe_machine", lambda: describe_machine() | other)
    train(config, half, progress=False, resume=True)
    record = json.loads((half / RECORD).read_text())
    assert record["versions"] == begun["versions"]
    (resumed,) = record["resumed"]
    assert resumed.pop("date")
    assert resumed == other


def test_a_run_is_resumed_with_its_folder_of_data_as_text_or_as_a_path(config: Config, half: Path) -> None:
    result = train(replace(config, data_dir=str(config.data_dir)), half, progress=False, resume=True)  # type: ignore[arg-type]
    assert result.finished
    assert Config(data_dir="idx") == Config(data_dir=Path("idx"))  # type: ignore[arg-type]


def test_data_that_cannot_be_loaded_leave_no_run_behind(config: Config, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(replace(config, data_dir=tmp_path / "none"), tmp_path / "run", progress=False)
    assert train(replace(config, epochs=1), tmp_path / "run", progress=False).finished


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"[1]\n7\nnull\n", b'{"epoch": "x"}\n', b'{"epoch": 1}\n', b"[" * 100_000,
     b'{"epoch": 1, "train_digit": "much", "train_sum": null}\n{"epoch": 1' + b"0" * 5000 + b"}\n",
     b'{"epoch": 1, "validation_digit": NaN, "validation_sum": 1e999, "digit_loss": {}}\n{"epo'],
)  # fmt: skip
def test_metrics_that_somebody_broke_are_left_out(small_run: Path, tmp_path: Path, content: bytes) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / METRICS).write_bytes(content)
    evaluate_run(run, device="cpu")
    assert (run / "plots/mistakes.png").exists()
    assert "run" in compare_runs([run])


def test_a_record_that_somebody_broke_is_an_error_when_resumed(
    small_config: Config, small_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for content, error in (('{"finished": true}', RunError), ("[" * 100_000, RunError)):
        shutil.copytree(small_run, run, dirs_exist_ok=True)
        (run / RECORD).write_text(content)
        with pytest.raises(error):
            train(small_config, run, progress=False, resume=True)
        assert (run / WEIGHTS).read_bytes() == (small_run / WEIGHTS).read_bytes()


class Full:
    """A TensorBoard writer on a disk that is full."""

    def add_scalar(self, *_: object) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_for_tensorboard_is_an_error_of_one_line(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.training.folder.tensorboard", lambda _: Full())
    with pytest.raises(OutputError, match="cannot be written \\(no space left on device\\)"):
        train(config, tmp_path, progress=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_weights_that_are_no_numbers_after_the_very_last_update_are_not_saved(
    small_config: Config, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    run, config = tmp_path / "run", replace(small_config, seed=1, epochs=1)
    if overwrite:
        shutil.copytree(small_run, run)
    before = files_in(run)
    count = [0]

    def spoiled(net: TwoInputNet, *arguments: Any, **named: Any) -> Any:
        done = training_step(net, *arguments, **named)
        count[0] += 1
        if count[0] == 13:
            next(net.parameters()).data.view(-1)[0] = float("nan")
        return done

    monkeypatch.setattr("sumnist.training.loop.training_step", spoiled)
    with pytest.raises(TrainingError) as caught:
        train(config, run, progress=False, overwrite=overwrite)
    assert str(caught.value) == (
        "the weights are of no use (encoder.0.weight is not finite, expected numbers): try a lower --lr (it is 0.01), "
        "or --precision fp32"
    )
    assert not (run / WEIGHTS).exists() if not overwrite else files_in(run) == before


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
