"""The command line as a user meets it: exit status, one clear message, no traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from sumnist.cli import COMMANDS, main
from sumnist.config import Config
from sumnist.data.mnist import DigitSet
from sumnist.pictures.normalize import picture_of
from sumnist.training.loop import train


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def sumnist(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process: `sumnist("predict", path, "--number", 7)`."""

    def run(*words: object) -> Result:
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:  # how tyro ends, after --help or for flags that cannot be parsed
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture
def five(tmp_path: Path, mnist_train: DigitSet) -> Path:
    path = tmp_path / "five.png"
    picture_of(mnist_train.images[0]).save(path)
    return path


@pytest.fixture(scope="session")
def learned_run(tmp_path_factory: pytest.TempPathFactory, small_config: Config) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "learned"
    train(replace(small_config, fusion="concat", epochs=1), folder, progress=False)
    return folder


def test_without_a_command_the_usage_lists_every_command(sumnist: Callable[..., Result]) -> None:
    result = sumnist()
    assert result.status == 2
    for name in COMMANDS:
        assert f"\n  {name} " in result.out
    assert sumnist("--help") == (0, result.out, "")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(sumnist: Callable[..., Result], name: str) -> None:
    result = sumnist(name, "--help")
    assert result.status == 0
    assert f"sumnist {name}" in result.out


def test_the_version_is_that_of_the_package(sumnist: Callable[..., Result]) -> None:
    from importlib.metadata import version

    assert sumnist("--version") == (0, f"sumnist {version('sumnist')}\n", "")


def test_every_setting_is_a_flag_and_shows_the_presets_value(sumnist: Callable[..., Result]) -> None:
    text = sumnist("train", "--preset", "original", "--help").out
    for name in Config.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in text, name
    assert "(default: bits)" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["trian"],
            f"command trian: expected one of {', '.join(COMMANDS)}; did you mean train?",
        ),
        (
            ["train", "--preset", "defualt"],
            "--preset defualt: expected one of fast, default, best, tiny, original, original-as-written; "
            "did you mean default?",
        ),
        (
            ["graph", "--preset=fats"],
            "--preset fats: expected one of fast, default, best, tiny, original, original-as-written; "
            "did you mean fast?",
        ),
        (["train", "--epochs", "-1"], "--epochs -1: expected a whole number of at least 1"),
        (["train", "--batch-size", "0"], "--batch-size 0: expected a whole number of at least 1"),
        (["train", "--lr", "nan"], "--lr nan: expected a number above 0, at most 100, such as 0.003"),
        (["demo", "--count", "0", "--model", "RUN"], "--count 0: expected a whole number from 1 to 10,000"),
        (["predict", "FIVE", "--number", "3.5", "--model", "RUN"], "number '3.5': expected a whole number, such as 7"),
        (["predict", "FIVE", "--number", "x", "--model", "RUN"], "number 'x': expected a whole number, such as 7"),
        (
            ["predict", "FIVE", "--number", "-1", "--model", "LEARNED"],
            "number -1: expected a whole number from 0 to 9: this model learned its sums, and for those numbers only; "
            "a model trained with --fusion exact adds any whole number",
        ),
        (
            ["predict", "FIVE", "--number", "10", "--model", "LEARNED"],
            "number 10: expected a whole number from 0 to 9: this model learned its sums, and for those numbers only; "
            "a model trained with --fusion exact adds any whole number",
        ),
        (
            ["predict", "FIVE", "--number", "3.5", "--model", "LEARNED"],
            "number '3.5': expected a whole number from 0 to 9, such as 7",
        ),
    ],
)
def test_nonsense_is_answered_with_one_message_and_status_2(
    sumnist: Callable[..., Result], small_run: Path, learned_run: Path, five: Path, words: list[str], message: str
) -> None:
    places = {"RUN": small_run, "LEARNED": learned_run, "FIVE": five}
    assert sumnist(*(places.get(word, word) for word in words)) == (2, "", f"sumnist: {message}\n")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train", "--epochs", "x"], "Error parsing --epochs: invalid literal for int() with base 10: 'x'"),
        (["train", "--epoch", "3"], "Unrecognized options: --epoch"),
        (["train", "--fusion", "exakt"], "invalid choice 'exakt' for argument '--fusion'"),
        (["train", "--betas", "0.9"], "Missing value for argument '--betas'. Expected 2 values."),
        (["predict", "five.png"], "--number STR"),
        (["evaluate"], "evaluate: no RUN, expected a run folder"),
    ],
)
def test_flags_that_cannot_be_parsed_end_with_status_2_and_say_which(
    sumnist: Callable[..., Result], words: list[str], part: str
) -> None:
    result = sumnist(*words)
    assert result.status == 2
    assert part in result.err + result.out
    assert "Traceback" not in result.err


def test_predict_prints_both_answers_with_their_probabilities(
    sumnist: Callable[..., Result], small_run: Path, five: Path
) -> None:
    result = sumnist("predict", five, "--number", 7, "--model", small_run)
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[0] == str(five)
    digit, total = int(lines[1].split()[1]), int(lines[2].split()[1])
    assert total == digit + 7
    assert lines[2].endswith(f"({digit} + 7)")


def test_predict_prints_a_line_of_json_for_each_picture(
    sumnist: Callable[..., Result], small_run: Path, five: Path
) -> None:
    result = sumnist("predict", five, five, "--number", 1000, "--json", "--model", small_run)
    readings = [json.loads(line) for line in result.out.splitlines()]
    assert [reading["picture"] for reading in readings] == [str(five)] * 2
    assert readings[0] == readings[1]
    assert readings[0]["sum"] == readings[0]["digit"] + 1000
    assert sum(readings[0]["sum_probabilities"]) == pytest.approx(1)


def test_one_bad_picture_among_several_is_named_and_the_others_are_read(
    sumnist: Callable[..., Result], small_run: Path, five: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    result = sumnist("predict", five, tmp_path / "empty.png", five, "--number", 1, "--json", "--model", small_run)
    assert result.status == 1
    assert len(result.out.splitlines()) == 2
    assert result.err.count("\n") == 1
    assert result.err.startswith(f"sumnist: {tmp_path / 'empty.png'}: ")


def test_without_a_model_the_packaged_network_answers(sumnist: Callable[..., Result], five: Path) -> None:
    result = sumnist("predict", five, "--number", 1000, "--json")
    reading = json.loads(result.out)
    assert (reading["digit"], reading["sum"]) == (5, 1005)
    assert reading["confidence"] > 0.9


def test_evaluate_prints_a_table_or_json_and_leaves_plots(
    sumnist: Callable[..., Result], small_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    text = sumnist("evaluate", run).out
    assert "95 % interval" in text
    figures = json.loads(sumnist("evaluate", run, "--json").out)
    assert f"{100 * figures['digit']['value']:.2f} %" in text
    assert figures["images"] == 200
    assert (run / "plots/mistakes.png").exists()
    assert "Sum computed from the digit: run." in sumnist("compare", run).out


def test_evaluate_of_a_folder_that_is_no_run_is_an_error(sumnist: Callable[..., Result], tmp_path: Path) -> None:
    assert sumnist("evaluate", tmp_path) == (
        1, "", f"sumnist: {tmp_path}: no run, expected a run folder, as `sumnist train --out {tmp_path}` writes it\n",
    )  # fmt: skip


def test_train_reports_the_run_and_where_it_is(
    sumnist: Callable[..., Result], idx_folder: Path, tmp_path: Path
) -> None:
    result = sumnist("train", "--preset", "tiny", "--data-dir", idx_folder, "--validation", 100, "--threads", 1,
                     "--device", "cpu", "--out", tmp_path / "run")  # fmt: skip
    assert result.status == 0
    assert result.out.startswith(f"{tmp_path / 'run'}: ")
    assert "on the held-out images: digit " in result.out


def test_training_into_a_folder_that_holds_a_run_is_an_error_that_leaves_it(
    sumnist: Callable[..., Result], small_run: Path
) -> None:
    before = {path.name: path.read_bytes() for path in small_run.iterdir() if path.is_file()}
    result = sumnist("train", "--preset", "tiny", "--out", small_run)
    assert result.status == 1
    assert result.err == (
        f"sumnist: --out {small_run}: holds a run already, expected a new folder: name another, or add "
        "--resume to finish it or --overwrite to replace it\n"
    )
    assert {path.name: path.read_bytes() for path in small_run.iterdir() if path.is_file()} == before


def test_bad_data_leave_a_good_run_alone_even_with_overwrite(
    sumnist: Callable[..., Result], small_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    result = sumnist("train", "--preset", "tiny", "--data-dir", tmp_path / "none", "--out", run, "--overwrite")
    assert result.status == 1
    assert result.err.startswith(f"sumnist: --data-dir {tmp_path / 'none'}: does not exist")
    assert (run / "model.safetensors").read_bytes() == (small_run / "model.safetensors").read_bytes()


def test_demo_draws_pairs_and_counts_them(sumnist: Callable[..., Result], small_run: Path) -> None:
    result = sumnist("demo", "--count", 3, "--seed", 1, "--model", small_run)
    assert result.status == 0
    assert "3 pairs: " in result.out.splitlines()[-1]


def test_graph_writes_the_picture_or_prints_it(sumnist: Callable[..., Result], tmp_path: Path) -> None:
    printed = sumnist("graph", "--preset", "tiny").out
    assert printed.lstrip().startswith(("<svg", "<?xml"))
    assert sumnist("graph", "--preset", "tiny", "--out", tmp_path / "tiny.svg").status == 0
    assert (tmp_path / "tiny.svg").read_text(encoding="utf-8").strip() == printed.strip()


def test_without_torch_a_command_that_needs_it_prints_the_install_line(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from sumnist.cli import main; sys.exit(main(sys.argv[1:]))"
    for words in (["train"], ["evaluate", "x"], ["graph"], ["predict", "x", "--number", "1", "--model", "."]):
        result = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True,
                                check=False)  # fmt: skip
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        assert 'needs torch, which is not installed; install it with: pip install "sumnist[train]"' in result.stderr


def test_output_that_nobody_reads_to_the_end_is_no_error(small_run: Path) -> None:
    command = f"{sys.executable} -m sumnist demo --count 60 --seed 1 --model {small_run} | head -1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    assert "Error" not in result.stderr


def test_a_folder_of_ones_own_pictures_is_measured(
    sumnist: Callable[..., Result], tmp_path: Path, mnist_train: DigitSet
) -> None:
    for place in range(4):
        digit = int(mnist_train.digits[place])
        (tmp_path / str(digit)).mkdir(exist_ok=True)
        picture_of(mnist_train.images[place]).save(tmp_path / str(digit) / f"{place}.png")
    (tmp_path / "7").mkdir()
    picture_of(mnist_train.images[0]).save(tmp_path / "7" / "a-five.png")
    result = sumnist("evaluate", "--folder", tmp_path)
    assert result.status == 0
    assert result.out.splitlines()[1].split()[-4:] == ["80.00", "100.00", "80.00", "0.00"]
    assert result.out.splitlines()[2] == f"{tmp_path / '7' / 'a-five.png'}: 7 read as 5"
    assert json.loads(sumnist("evaluate", "--folder", tmp_path, "--json").out)["errors"][0]["said"] == 5


def test_evaluate_needs_something_to_evaluate(sumnist: Callable[..., Result], tmp_path: Path) -> None:
    result = sumnist("evaluate")
    assert (result.status, result.err) == (
        2, "sumnist: evaluate: no RUN, expected a run folder, --suite or --folder\n"
    )  # fmt: skip
    result = sumnist("evaluate", "--folder", tmp_path, "--suite", "robustness")
    assert (result.status, result.err) == (2, "sumnist: --suite --folder: two things to measure on; choose one\n")
    result = sumnist("evaluate", "--folder", tmp_path)
    assert result.err == (
        f"sumnist: {tmp_path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its "
        "name\n"
    )
