"""The command line as a user meets it: exit status, one clear message, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from sumnist.cli import main
from sumnist.cli.commands import COMMANDS, Compare, Demo, Evaluate, Score, Serve, Study, Train
from sumnist.cli.flags import GROUPS, POSITIONAL, docs_of, parse
from sumnist.config import Config, flag, preset
from sumnist.data.mnist import DigitSet
from sumnist.inference.demo import described
from sumnist.inference.reader import ADVICE, Reader, Reading
from sumnist.model.checkpoint import load_config
from sumnist.pictures.normalize import picture_of
from sumnist.serve.settings import Settings
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
        except SystemExit as end:  # how argparse ends after --help
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
    width = max(map(len, COMMANDS))
    for name, kind in COMMANDS.items():
        assert f"\n  {name:{width}} {(kind.__doc__ or '').splitlines()[0]}\n" in result.out
    assert sumnist("--help") == (0, result.out, "")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(sumnist: Callable[..., Result], name: str) -> None:
    result = sumnist(name, "--help")
    assert result.status == 0
    assert f"sumnist {name}" in result.out
    assert "None" not in result.out
    assert "Raises" not in result.out
    assert all(len(line) <= 80 for line in result.out.splitlines())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_every_field_with_its_line_and_at_most_one_default(
    sumnist: Callable[..., Result], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")  # words with hyphens are broken at line ends
    text = " ".join(sumnist(name, "--help").out.split())
    for owner in (COMMANDS[name], *([Config] if name in ("train", "graph") else [Settings] if name == "serve" else [])):
        for field in set(owner.__dataclass_fields__) - {"config", "settings"}:
            assert POSITIONAL.get(field, flag(field)) in text, field
            doc = " ".join(docs_of(owner)[field].split())
            assert doc in text, field
            after = text.partition(doc)[2].partition(" --")[0]
            assert (doc + after).count("(default:") <= 1, field


def test_the_help_of_a_configuration_is_in_groups_and_each_setting_is_in_one_of_them(
    sumnist: Callable[..., Result],
) -> None:
    grouped = [field for fields in GROUPS.values() for field in fields.split()]
    assert sorted(grouped) == sorted({*Config.__dataclass_fields__, "out", "overwrite", "resume"})
    lines = sumnist("train", "--help").out.splitlines()
    titles = [line[:-1] for line in lines if line.endswith(":") and " " not in line]
    assert titles == ["options", "run", "data", "network", "loss", "optimiser"]
    place = ""
    group_of = {}
    for line in lines:
        if line.rstrip(":") in titles:
            place = line.rstrip(":")
        elif line.startswith("  --"):
            group_of[line.split()[0].rstrip(",")] = place
    assert (group_of["--lr"], group_of["--fusion"], group_of["--outliers"]) == ("optimiser", "network", "data")
    assert len(group_of) == len(grouped)


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
            "--preset defualt: expected one of fast, default, best, tiny, original, original-as-written, numbers, "
            "cells, addition, addition-best; "
            "did you mean default?",
        ),
        (
            ["graph", "--preset=fats"],
            "--preset fats: expected one of fast, default, best, tiny, original, original-as-written, numbers, "
            "cells, addition, addition-best; "
            "did you mean fast?",
        ),
        (["train", "--epochs", "-1"], "--epochs -1: expected a whole number from 1 to 1,000,000"),
        (["train", "--batch-size", "0"], "--batch-size 0: expected a whole number from 1 to 1,000,000"),
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
        (["train", "--epochs", "x"], "train: --epochs: invalid int value: 'x'; see `sumnist train --help`\n"),
        (["train", "--epoch", "3"], "train: --epoch: no such flag; did you mean --epochs?\n"),
        (["train", "--batch_size=3"], "train: --batch_size: no such flag; did you mean --batch-size?\n"),
        (["train", "--fusion", "exakt"], "train: --fusion: invalid choice: 'exakt' (choose from "),
        (["train", "--betas", "0.9"], "train: --betas: expected 2 arguments; see `sumnist train --help`\n"),
        (["graph", "--preset"], "graph: --preset: expected one argument; see `sumnist graph --help`\n"),
        (["evaluate"], "evaluate: no RUN, expected a run folder, --suite or --folder\n"),
        (["demo", "5"], "demo: unrecognized arguments: 5; see `sumnist demo --help`\n"),
        (["demo", "--nonsense"], "demo: --nonsense: no such flag; see `sumnist demo --help`\n"),
        (["serve", "--port", "-1"], "--port -1: expected a whole number from 0 to 65,535\n"),
        (
            ["score", "examples", "--number", "7"],
            "score: the following arguments are required: --out; see `sumnist score --help`\n",
        ),
        (
            ["predict", "--number", "7"],
            "predict: the following arguments are required: PICTURE; see `sumnist predict --help`\n",
        ),
        (["compare"], "compare: the following arguments are required: RUN; see `sumnist compare --help`\n"),
        (["predict", "five.png"], "predict: no --number, expected the whole number to add, such as --number 7\n"),
        (
            ["predict", "five.png", "7"],
            "predict: no --number, expected the whole number to add; did you mean --number 7?\n",
        ),
        (
            ["predict", "five.png", "--json", "-3"],
            "predict: no --number, expected the whole number to add; did you mean --number -3?\n",
        ),
        (["predict", "five.png", "--num", "7"], "predict: --num: no such flag; did you mean --number?\n"),
        (["predict", "five.png", "--nubmer=7"], "predict: --nubmer: no such flag; did you mean --number?\n"),
    ],
)
def test_flags_that_cannot_be_parsed_end_with_status_2_and_say_which(
    sumnist: Callable[..., Result], words: list[str], part: str
) -> None:
    result = sumnist(*words)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"sumnist: {part}")
    assert result.err.count("\n") == 1


def test_predict_prints_both_answers_with_their_probabilities(
    sumnist: Callable[..., Result], small_run: Path, five: Path
) -> None:
    result = sumnist("predict", five, "--number", 7, "--model", small_run)
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[0].startswith(f"{five} (")
    digit, total = int(lines[1].split()[1]), int(lines[2].split()[1])
    assert total == digit + 7
    assert lines[2].endswith(f"({digit} + 7)")


def test_a_name_that_is_a_number_is_a_picture_if_there_is_such_a_file(
    sumnist: Callable[..., Result], five: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(five, tmp_path / "7")
    assert sumnist("predict", "7", "-n", 1).out.startswith("7 (light ink)\n  digit    5 ")
    assert sumnist("predict", "7").err.endswith("expected the whole number to add, such as --number 7\n")
    assert sumnist("predict", "-n", 1, "--", "7").out == sumnist("predict", "7", "--number=1").out


def test_flags_may_stand_between_pictures(sumnist: Callable[..., Result], five: Path) -> None:
    result = sumnist("predict", five, "-n", 2, five, "--json", five)
    assert [json.loads(line)["sum"] for line in result.out.splitlines()] == [7, 7, 7]


def test_predict_leaves_out_what_would_be_shown_as_nothing_and_subtracts(
    sumnist: Callable[..., Result], five: Path
) -> None:
    result = sumnist("predict", five, "-n", -3)
    assert result.status == 0
    assert " 0.00%" not in result.out
    assert result.out.endswith("  (5 − 3)\n")


def reading(probabilities: dict[int, float], number: int = 0, **changes: Any) -> Reading:
    every = tuple(probabilities.get(digit, 0.0) for digit in range(10))
    best = max(probabilities, key=lambda digit: probabilities[digit])
    return Reading(best, best + number, number, every[best], every, range(number, number + 10), every, **changes)


@pytest.mark.parametrize(
    ("probabilities", "shown"),
    [
        ({5: 0.9, 3: 0.06, 8: 0.03, 1: 0.01}, "  90.00%  then 3 6.00%, 8 3.00%"),
        ({5: 0.9999, 3: 0.00005, 8: 0.000049}, "  99.99%  then 3 0.01%"),
        ({5: 0.99998, 3: 0.00002}, " 100.00%"),
        ({5: 1.0}, " 100.00%"),
    ],
)
def test_the_next_best_answers_are_shown_as_far_as_they_are_not_nothing(
    probabilities: dict[int, float], shown: str
) -> None:
    lines = described("x.png", reading(probabilities)).split("\n")
    assert lines[0] == "x.png"
    assert lines[1] == f"  digit    5 {shown}"


@pytest.mark.parametrize("reason", sorted(set(ADVICE) - {"blank"}))
def test_a_reading_that_is_not_accepted_is_printed_with_the_reason_and_what_helps(reason: str) -> None:
    text = described("x.png", reading({3: 0.6, 8: 0.4}, accepted=False, reason=reason))
    assert text.splitlines()[0] == f"x.png: not accepted, {reason}: {ADVICE[reason]}"
    assert text.splitlines()[1].startswith("  digit    3   60.00%  then 8 40.00%")


@pytest.mark.parametrize("how", [None, "as it is", "dark ink"])
def test_what_is_usually_taken_for_the_digit_is_not_said(how: str | None) -> None:
    assert described("x.png", reading({5: 1.0}, how=how)).splitlines()[0] == "x.png"


@pytest.mark.parametrize("how", ["light ink", "as it is, inverted", "dark ink, 13% of each side cut off, part 2"])
def test_what_is_not_usually_taken_for_the_digit_stands_after_the_name(how: str) -> None:
    assert described("x.png", reading({5: 1.0}, how=how)).splitlines()[0] == f"x.png ({how})"
    text = described("x.png", reading({3: 0.6, 8: 0.4}, accepted=False, reason="unsure", how=how))
    assert text.splitlines()[0] == f"x.png ({how}): not accepted, unsure: {ADVICE['unsure']}"


def test_predict_takes_the_ink_that_it_is_given(sumnist: Callable[..., Result], five: Path) -> None:
    light, told = (
        json.loads(sumnist("predict", five, "-n", 7, "--json", *ink).out) for ink in ([], ["--ink", "light"])
    )
    assert (light["digit"], light["how"]) == (told["digit"], told["how"]) == (5, "light ink")
    assert told["digit_probabilities"] == list(Reader().read(five, 7, "light").digit_probabilities)
    how = json.loads(sumnist("predict", five, "-n", 7, "--ink=dark", "--json").out)["how"]
    assert how == Reader().read(five, 7, "dark").how
    assert how.startswith("dark ink")
    result = sumnist("predict", five, "-n", 7, "--ink", "red")
    assert (result.status, result.out) == (2, "")


@pytest.mark.parametrize("model", ["exact", "learned"])
def test_of_a_blank_picture_no_digit_is_printed(
    sumnist: Callable[..., Result], learned_run: Path, tmp_path: Path, model: str
) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (200, 200), 255).save(blank)
    result = sumnist("predict", blank, "-n", 7, *(["--model", learned_run] if model == "learned" else []))
    assert (result.status, result.out) == (0, f"{blank}: not accepted, blank: {ADVICE['blank']}\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_that_lacks_a_character_ends_no_command(five: Path, encoding: str) -> None:
    strange = Path(os.fsdecode(bytes(five.parent) + b"/\xff.png"))
    try:
        shutil.copy(five, strange)
    except OSError:
        pytest.skip("a file system whose names are text")
    for words in ([strange, "-n", "-3"], ["--help"]):
        command = [sys.executable, "-m", "sumnist", "predict", *map(str, words)]
        result = subprocess.run(
            command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False
        )
        assert (result.returncode, result.stderr) == (0, b"")


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


def test_a_flag_changes_the_preset_and_a_resumed_run_goes_on_with_its_own_flags(
    sumnist: Callable[..., Result], small_run: Path, tmp_path: Path
) -> None:
    words = ["--preset", "tiny", "--betas", "0.5", "0.6", "--no-smoothing-fades", "--seed=3", "--sum-weight", "2.5"]
    command = parse("train", words)
    assert isinstance(command, Train)
    assert command.config == preset("tiny", betas=(0.5, 0.6), smoothing_fades=False, seed=3, sum_weight=2.5)
    assert (command.out, command.overwrite, command.resume) == (None, False, False)
    smoothing = parse("train", ["--preset", "tiny", "--smoothing-fades"])
    assert isinstance(smoothing, Train)
    assert smoothing.config.smoothing_fades

    begun = load_config(small_run)
    resumed = parse("train", ["--resume", "--out", str(small_run), "--epochs", "7"])
    assert isinstance(resumed, Train)
    assert resumed == Train(config=replace(begun, epochs=7), out=small_run, resume=True)
    new = parse("train", ["--resume", "--out", str(tmp_path / "none"), "--epochs", "7"])
    assert isinstance(new, Train)
    assert new.config == preset("default", epochs=7)


def test_the_values_of_every_kind_of_flag_arrive() -> None:
    assert parse("study", ["--only", "a", "b", "--quick", "--workers", "2"]) == Study(
        only=("a", "b"), quick=True, workers=2
    )
    assert parse("study", []) == Study()
    assert parse("evaluate", ["run", "--suite", "robustness", "--half=development"]) == Evaluate(
        run_folder=Path("run"), suite="robustness", half="development"
    )
    assert parse("score", ["in", "--out", "o.csv", "-n", "-7"]) == Score(
        source=Path("in"), out=Path("o.csv"), number="-7"
    )
    assert parse("serve", ["--port", "0", "--drain-seconds", "1.5"]) == Serve(
        settings=Settings(port=0, drain_seconds=1.5)
    )
    assert parse("demo", ["--seed", "4"]) == Demo(seed=4)
    assert parse("compare", ["a", "b"]) == Compare(runs=(Path("a"), Path("b")))


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
    assert sumnist("evaluate", "--folder", tmp_path, "--ink", "light").out == result.out
    wrong = json.loads(sumnist("evaluate", "--folder", tmp_path, "--ink", "dark", "--json").out)
    assert wrong["result"]["accepted"] < 0.8


def test_evaluate_needs_something_to_evaluate(sumnist: Callable[..., Result], tmp_path: Path) -> None:
    result = sumnist("evaluate")
    assert (result.status, result.err) == (
        2, "sumnist: evaluate: no RUN, expected a run folder, --suite or --folder\n"
    )  # fmt: skip
    result = sumnist("evaluate", "--folder", tmp_path, "--suite", "robustness")
    assert (result.status, result.err) == (2, "sumnist: --suite --folder: two things to measure on; choose one\n")
    result = sumnist("evaluate", tmp_path, "--ink", "dark")
    assert (result.status, result.err) == (
        2, "sumnist: --ink dark: is of the pictures of --folder; add that flag, or leave --ink out\n"
    )  # fmt: skip
    result = sumnist("evaluate", "--folder", tmp_path)
    assert result.err == (
        f"sumnist: {tmp_path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its "
        "name\n"
    )
