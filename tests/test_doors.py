"""What comes in at the command line, by flags, files, environment and streams: one line and an exit code, whatever it
is, and never a traceback."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import sumnist as package
from conftest import write_idx
from sumnist.cli import door, main
from sumnist.cli.commands import COMMANDS, Demo, Graph
from sumnist.cli.flags import POSITIONAL
from sumnist.config import Config, flag
from sumnist.data.mnist import FILES, DigitSet
from sumnist.errors import ConfigError, StudyError
from sumnist.evaluation.text import duration
from sumnist.files import PRETRAINED, fits, parse_json, read_whole
from sumnist.lab.study.report import Report
from sumnist.lab.study.runs import read_rows
from sumnist.serve.settings import Settings
from sumnist.training.devices import launched

FIVE = Path(__file__).parents[1] / "examples/five.png"
CODES = {0, 1, 2, 70, 130, 141}
BAD = (
    "-1", "0", "1e999", "nan", "9" * 31, "9" * 5000, "", "ä", "\udcff", ".", "/", "/dev/full", "x" * 300, "a\0b", "\n",
    "-0.5", "[",
)  # fmt: skip
"""Values that make no sense for most flags; each has broken some command once, or could."""
WORDS = {
    "train": ["--data-dir", "none", "--preset", "tiny"],
    "evaluate": ["none"],
    "predict": [str(FIVE), "--number", "7"],
    "solve": [str(FIVE), "=", "_"],
    "score": ["none.csv", "--number", "7", "--out", "scored.csv"],
    "sheet new": ["9,7", "--out", "cover.pdf"],
    "sheet read": ["none", "--layout", "none.toml", "--out", "marks.csv"],
    "sheet review": ["none", "--no-browser"],
    "serve": ["--model", "none.onnx"],
    "export": ["none"],
    "demo": ["--count", "1"],
    "graph": ["--preset", "tiny"],
    "compare": ["none"],
    "study": ["--report", "--rows", "none.jsonl", "--out", "study"],
}
"""What each command is given beside the bad value, so that it does no work."""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sumnist(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command in this process: its exit code, and its complaint without `sumnist: `. There is one line of it if
    it failed, and no traceback."""

    def run(*words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        err = capsys.readouterr().err
        assert code in CODES
        assert "Traceback" not in err
        if code:
            assert all(line.startswith("sumnist: ") for line in err.splitlines())
            assert err.count("\n") == 1 or words[0] == "predict"  # which has one for each picture
        return code, err.removeprefix("sumnist: ").rstrip("\n")

    return run


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line in which `sumnist` is this package's."""
    variables = {"PYTHONPATH": str(Path(package.__file__).parents[1])} | environment
    words = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable, "-m", "sumnist"]
    command = command.replace("sumnist ", f"{shlex.join(words)} ")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=120, check=False)
    for text in (b"Traceback", b"Exception ignored"):
        assert text not in done.stderr
    return done


def hints_of(name: str) -> dict[str, Any]:
    """The flags of a command, and those of its configuration or settings, with their types."""
    hints = get_type_hints(COMMANDS[name], include_extras=True)
    for part in (Config, Settings):
        if part in hints.values():
            hints |= get_type_hints(part, include_extras=True)
    return {key: hint for key, hint in hints.items() if key not in ("config", "settings")}


def words_with(name: str, key: str, value: str) -> list[str]:
    """A command with a value for one of its flags."""
    if key in POSITIONAL:
        return [name, value, *(word for word in WORDS[name] if word not in ("none", "none.csv", "9,7", str(FIVE)))]
    return [name, *WORDS[name], flag(key), *[value] * (2 if key == "betas" else 1)]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, mnist_train: DigitSet) -> Path:
    """A data set of three images."""
    folder = tmp_path_factory.mktemp("three")
    for split in ("train", "test"):
        write_idx(folder / FILES[f"x_{split}"], mnist_train.images[:3])
        write_idx(folder / FILES[f"y_{split}"], mnist_train.digits[:3].astype(np.uint8))
    return folder


# Flags.


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_value_of_any_flag_leads_to_a_traceback(
    sumnist: Callable[..., tuple[int, str]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.model.diagram.draw", lambda config: "<svg/>")  # these two take a second
    monkeypatch.setattr("sumnist.lab.study.report.report", lambda rows, variants: Report({}))
    hints = hints_of(name)
    assert len(hints) >= 1
    for key in set(hints) - {"repeat"}:  # which trains
        free = {str, Path} & {hints[key], *get_args(hints[key])}
        for value in BAD if free else BAD[5:9]:  # numbers have a test of their own
            code, _ = sumnist(*words_with(name, key, value))
            assert code in (0, 1, 2), (key, value)


def test_no_two_flags_together_lead_to_a_traceback(sumnist: Callable[..., tuple[int, str]]) -> None:
    chance = random.Random(1)
    for _ in range(150):
        name = chance.choice(sorted(set(COMMANDS) - {"compare"}))  # which has no flags
        words = [name, *WORDS[name]]
        for key in chance.choices(sorted(set(hints_of(name)) - {"repeat", *POSITIONAL}), k=2):
            words += [flag(key), *chance.choices(BAD, k=chance.choice((0, 1, 1, 2)))]
        code, _ = sumnist(*words)
        assert code in (0, 1, 2), words


NUMBERS = [
    (name, key)
    for name in sorted(COMMANDS)
    for key, hint in hints_of(name).items()
    if key == "betas"
    or {int, float} & {hint, *get_args(hint)}
    or any(get_origin(a) is Annotated for a in get_args(hint))
]


@pytest.mark.parametrize(("name", "key"), NUMBERS)
def test_every_number_that_is_a_flag_has_both_its_limits(
    sumnist: Callable[..., tuple[int, str]], name: str, key: str
) -> None:
    for value in ("-1", "1e999", "nan", "9" * 50, "", "ä"):
        code, message = sumnist(*words_with(name, key, value))
        assert code == 2
        assert flag(key) in message


def test_there_are_numbers_among_the_flags_of_most_commands() -> None:
    assert {name for name, _ in NUMBERS} == {
        "demo",
        "graph",
        "score",
        "serve",
        "sheet read",
        "sheet review",
        "solve",
        "study",
        "train",
    }
    assert len(NUMBERS) > 50


def test_so_many_threads_are_refused_before_anything_is_written(sumnist: Callable[..., tuple[int, str]]) -> None:
    assert sumnist("train", "--threads", 3_000_000_000) == (
        2, "--threads 3000000000: expected a whole number from 0 to 1,024"
    )  # fmt: skip
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--batch-size", "1", "--encoder", "fast"], 2),
        (["--batch-size", "2", "--encoder", "fast"], 2),  # of three images, one is left over
        (["--batch-size", "3", "--encoder", "fast"], 0),
        (["--batch-size", "1", "--encoder", "tiny"], 0),  # normalises nothing
        (["--batch-size", "9", "--encoder", "fast", "--validation", "2"], 2),
    ],
)
def test_a_batch_of_one_image_is_refused_where_it_cannot_be_normalised(
    sumnist: Callable[..., tuple[int, str]], three: Path, words: list[str], code: int
) -> None:
    common = ["train", "--preset", "tiny", "--data-dir", three, "--validation", 0, "--threads", 1, "--device", "cpu"]
    done, message = sumnist(*common, "--out", "run", *words)
    assert done == code
    assert not code or message.startswith(f"--batch-size {words[1]}: ")


@pytest.mark.parametrize("place", [".", "/", "folder", "/dev/full", "/dev/null", "none/x", "five.png/x", "x" * 300])
@pytest.mark.parametrize(
    "words",
    [["graph", "--preset", "tiny", "--out"], ["predict", FIVE, "-n", 7, "--show"], ["sheet", "new", "9,7", "--out"]],
)
def test_a_place_that_is_no_file_is_refused_and_stays(
    sumnist: Callable[..., tuple[int, str]], words: list[object], place: str
) -> None:
    Path("folder").mkdir()
    shutil.copy(FIVE, "five.png")
    before = sorted(Path().iterdir())
    code, message = sumnist(*words, place)
    assert code == 1
    assert Path(place).name in message
    assert sorted(Path().iterdir()) == before
    assert not Path("/dev/full").is_file()


@pytest.mark.parametrize("place", [".", "/dev/full", "x" * 300])
def test_what_is_no_file_is_not_read_as_one(sumnist: Callable[..., tuple[int, str]], place: str) -> None:
    for words in (["predict", FIVE, "-n", 7, "--model", place], ["study", "--report", "--rows", place],
                  ["export", place], ["compare", place], ["evaluate", place], ["predict", place, "-n", 7]):  # fmt: skip
        code, message = sumnist(*words)
        assert code == 1
        assert place in message


def test_a_name_that_would_end_the_line_or_change_the_terminal_is_written_as_escapes(
    sumnist: Callable[..., tuple[int, str]],
) -> None:
    code, message = sumnist("predict", "a\nsumnist: b\x1b[31m\u2028\udcff.png", "-n", 7)
    assert code == 1
    assert message == (r"a\nsumnist: b\x1b[31m\u2028\udcff.png: does not exist, expected a picture: check the name")


# Files.


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A folder like that of a run, to be spoilt."""
    folder = Path(shutil.copytree(PRETRAINED, tmp_path / "run"))
    (folder / "model.onnx").unlink()
    return folder


DEEP = "[" * 100_000
SPOILT = [
    DEEP,
    '{"a":' * 100_000,
    "",
    "\0",
    "{",
    "null",
    "[]",
    "{}",
    "5",
    "1e999",
    "NaN",
    '"x"',
    "\ufeff{}",
    "9" * 5000,
]
COMMANDS_OF_RUNS = ["predict {five} -n 7 --model {run}", "evaluate {run}", "export {run}", "compare {run}",
                    "train --resume --out {run}"]  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS_OF_RUNS)
def test_a_configuration_that_is_none_is_named_by_every_command_that_reads_one(
    sumnist: Callable[..., tuple[int, str]], run_folder: Path, line: str
) -> None:
    words = line.format(five=FIVE, run=run_folder).split()
    for text in (*SPOILT, '{"betas": 7}', '{"seed": []}', '{"preset": {}}', '{"data_dir": 5}', '{"device": null}'):
        if text == "{}":  # that of version 0.1 with all its defaults
            continue
        (run_folder / "config.json").write_text(text, encoding="utf-8")
        code, message = sumnist(*words)
        assert code == 1
        assert "config.json" in message
    (run_folder / "config.json").write_bytes(b"\xff\xfe")
    assert sumnist(*words)[0] == 1


def paths_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values within a JSON value; of a list the first and the last item."""
    places = [at] if at else []
    items = value.items() if isinstance(value, dict) else []
    if isinstance(value, list) and value:
        items = {0: value[0], len(value) - 1: value[-1]}.items()
    return places + [place for key, inner in items for place in paths_in(inner, (*at, key))]


def spoilt(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """A JSON value with another one at a place within it."""
    value = json.loads(json.dumps(value))
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = other
    return value


OTHERS: tuple[Any, ...] = None, "x", [], 1e999


def test_figures_that_are_none_are_named_when_runs_are_compared(
    sumnist: Callable[..., tuple[int, str]], run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.evaluation.text.count_of", lambda config: 5)  # builds a network
    path = run_folder / "evaluation.json"
    figures = json.loads(path.read_text(encoding="utf-8"))
    refused = 0
    for text in (*SPOILT, *(json.dumps(spoilt(figures, place, other)) for place in paths_in(figures)
                            for other in OTHERS)):  # fmt: skip
        path.write_text(text, encoding="utf-8")
        code, message = sumnist("compare", run_folder)
        assert code == 0 or "evaluation.json" in message
        refused += code
    assert refused > 100


def test_seconds_that_are_none_are_a_dash(sumnist: Callable[..., tuple[int, str]], run_folder: Path) -> None:
    for seconds in ("1e999", "NaN", "-1e999", '"x"', "true", "-5", "9" * 300):
        (run_folder / "record.json").write_text('{"seconds": ' + seconds + "}", encoding="utf-8")
        assert sumnist("compare", run_folder)[0] == 0
    assert [duration(seconds) for seconds in (float("nan"), float("inf"), -float("inf"))] == ["–"] * 3


def complaint_of(path: Path) -> str:
    try:
        read_rows(path)
    except StudyError as error:
        return str(error)
    return ""


def test_rows_that_are_none_are_named_with_their_line(sumnist: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = (Path(__file__).parents[1] / "docs/results/study.jsonl").read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{good}\n", encoding="utf-8")
    assert sumnist("study", "--report", "--rows", path, "--out", "report")[0] == 0
    for text in (*filter(None, SPOILT), *(json.dumps(spoilt(json.loads(good), place, other))
                                          for place in paths_in(json.loads(good)) for other in OTHERS)):  # fmt: skip
        path.write_text(f"{good}\n{text}\n", encoding="utf-8")
        assert complaint_of(path) in ("", f"{path}, line 2: not a row of a study: take it out, or choose another file")
    path.write_text(f"{good}\n{DEEP}\n", encoding="utf-8")
    code, message = sumnist("study", "--report", "--rows", path)
    assert (code, message.partition(":")[0]) == (1, f"{path}, line 2")


def test_json_that_is_nested_too_deeply_is_a_value_error() -> None:
    for text in (DEEP, DEEP.encode(), '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"^nested too deeply$"):
            parse_json(text)
    assert parse_json('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(
    ("value", "shape", "right"),
    [
        (1, int, True), (1.0, int, False), (True, int, False), (1, float, True), (0.5, float, True),
        (True, float, False), (float("inf"), float, False), (float("nan"), float, False), ("x", str, True),
        (None, None, True), (None, (float, None), True), ("x", (float, None), False), ([], [int], True),
        ([1, 2], [int], True), ([1, "x"], [int], False), ([1, 2.5], [int, float], True), ([1], [int, float], False),
        ({"a": 1, "b": 2}, {"a": int}, True), ({"b": 2}, {"a": int}, False), ([], {"a": int}, False),
        ({"a": 1}, [int], False), ({"a": [{"b": None}]}, {"a": [{"b": (int, None)}]}, True), ({}, dict, True),
        ([[1, 2], [3]], [[int]], True), ([[1, "x"]], [[int]], False),
    ],
)  # fmt: skip
def test_a_value_fits_a_shape_or_not(value: Any, shape: Any, right: bool) -> None:
    assert fits(value, shape) is right


def test_only_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert read_whole(tmp_path / "file") == b"x"
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "Is a directory"), (tmp_path / "pipe", "not a plain file"), (Path("/dev/zero"), "not a plain file"),
    ):  # fmt: skip
        with pytest.raises(OSError, match=reason):
            read_whole(path)


# The environment and the streams.


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE abc"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE 0"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE 999"),
        ({"WORLD_SIZE": "2"}, "RANK (not set)"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK 2"),
        ({"WORLD_SIZE": "2", "RANK": "abc"}, "RANK abc"),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "abc"}, "MASTER_PORT abc"),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "70000"}, "MASTER_PORT 70000"),
    ],
)
def test_variables_of_torchrun_that_are_no_numbers_are_named(
    sumnist: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError, match=f"^{re.escape(name)}"):
        launched()
    code, message = sumnist("train", "--preset", "tiny", "--out", "run")
    assert (code, message.startswith(name)) == (2, True)
    assert "torchrun" in message


def test_without_torchrun_a_rank_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched() == (0, 1)
    monkeypatch.setenv("RANK", "abc")
    monkeypatch.setenv("WORLD_SIZE", "")
    assert launched() == (0, 1)
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "2")
    assert launched() == (2, 3)


FULL = (
    b"sumnist: standard output: cannot be written (no space left on device): free some space or choose another place\n"
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--help", "--version", "train --help", "demo --count 2", f"predict {FIVE} -n 7"])
def test_output_that_cannot_be_written_is_said_with_code_1(words: str, unbuffered: str) -> None:
    done = shell(f"sumnist {words} >/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (1, FULL)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("sumnist demo --count 2 >&-", 0),
        ("sumnist demo --count 2 <&- >&- 2>&-", 0),
        ("sumnist predict none.png -n 7 2>&-", 1),
        ("sumnist predict none.png -n 7 2>/dev/full", 1),
        (f"sumnist score {FIVE.parent} -n 7 --out scored.csv --workers 1 >&- 2>&-", 0),
        ("sumnist demo --count 3000 | head -1", 141),
        ("sumnist --help | true", 141),
    ],
)
def test_streams_that_are_closed_or_full_or_read_by_nobody_change_the_code_alone(command: str, code: int) -> None:
    done = shell(command)
    assert (done.returncode, done.stderr) == (code, b"")


def test_no_file_takes_the_place_of_a_closed_stream(three: Path) -> None:
    common = f"--preset tiny --data-dir {three} --validation 0 --threads 1 --out run"
    assert shell(f"sumnist train {common} <&- >&- 2>&-").returncode == 0
    assert json.loads(Path("run/record.json").read_text(encoding="utf-8"))["finished"]
    assert len(Path("run/metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 1


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [ASCII, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "xx_YY"}])
def test_no_encoding_of_the_output_ends_a_command(environment: dict[str, str], three: Path) -> None:
    name = os.fsdecode(b"\xff\xc3\xa4.png")
    try:
        shutil.copy(FIVE, name)
    except OSError:
        pytest.skip("a file system whose names are text")
    for words in (
        r"predict $'\xff\xc3\xa4.png' -n -3",
        "demo --count 2 --seed 1",
        f"evaluate --folder {name_folder()}",
    ):
        done = shell(f"sumnist {words}", **environment)
        assert (done.returncode, done.stderr) == (0, b"")
    done = shell(r"sumnist predict $'\xff\xc3\xa4-none.png' -n 7", **environment)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


def name_folder() -> str:
    """A folder of a picture whose name has a character beyond ASCII."""
    Path("ß/5").mkdir(parents=True, exist_ok=True)
    shutil.copy(FIVE, "ß/5/five.png")
    return "ß"


@pytest.mark.parametrize(
    "environment", [{"COLUMNS": "abc"}, {"COLUMNS": "1"}, {"COLUMNS": "-5"}, {"TERM": "dumb"}, {"TMPDIR": "/none"},
                    {"HOME": "/none"}, {"OMP_NUM_THREADS": "abc"}, {"PATH": "/none"}, {"SUMNIST_X": "abc"}],
)  # fmt: skip
def test_variables_of_the_environment_that_make_no_sense_change_nothing(environment: dict[str, str]) -> None:
    for words in ("demo --count 1 --seed 1", "score --help"):
        done = shell(f"sumnist {words}", **environment)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_current_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    for words in ("compare run", "graph", "predict five.png -n 7"):
        done = shell(f"mkdir -p {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; sumnist {words}")
        assert (done.returncode, done.stderr) == (
            1, b"sumnist: the current folder is gone: change to one that is there\n"
        )  # fmt: skip


def test_a_backend_that_matplotlib_lacks_is_named(run_folder: Path, three: Path) -> None:
    done = shell(f"sumnist evaluate {run_folder} --data-dir {three}", MPLBACKEND="abc")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert done.stderr.startswith(b"sumnist: MPLBACKEND abc in the environment")


# What nobody foresaw.


def raising(error: BaseException) -> Callable[[Any], int]:
    def run(command: Any) -> int:
        raise error

    return run


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), ZeroDivisionError("a\nb"), OSError("odd"),
                                   UnicodeEncodeError("ascii", "ä", 0, 1, "no")])  # fmt: skip
def test_an_error_that_nobody_foresaw_is_one_line_with_the_place_of_its_report(
    sumnist: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException
) -> None:
    monkeypatch.setattr(Demo, "run", raising(error))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("SECRET", "ssshh")
    code, message = sumnist("demo", "--model", "two words\udcff")
    assert code == 70
    place = re.search(rf"\(.*{type(error).__name__}.*\): the report of it is in (\S+): send it", message)
    assert place is not None
    text = Path(place[1]).read_text(encoding="utf-8")
    assert f"sumnist: {package.__version__}\n" in text
    assert "command: sumnist demo --model 'two words\\udcff'\n" in text
    assert f"python: {sys.version}" in text
    assert "Traceback (most recent call last)" in text
    assert "raise error" in text
    assert "ssshh" not in text


@pytest.mark.parametrize(
    "words", [["--traceback", "demo"], ["demo", "--traceback"], ["demo", "--count", "3", "--traceback"]]
)
def test_the_traceback_is_shown_instead_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.setattr(Demo, "run", raising(KeyError("x")))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert main(words) == 70
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last)")
    assert err.splitlines()[-1].startswith("sumnist: an error that was not foreseen (KeyError: 'x'): its traceback is")


def test_a_report_that_cannot_be_written_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(Demo, "run", raising(KeyError("x")))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert main(["demo"]) == 70
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith(
        "sumnist: an error that was not foreseen (KeyError: 'x'): the report of it is above"
    )


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (MemoryError(), 1, "out of memory: "),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
            1,
            "out of memory",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xx"), 1, "xx: cannot be used (file name too long): "),
        (PermissionError(errno.EACCES, "Permission denied", b"xx"), 1, "xx: cannot be used (permission denied): "),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "the system says: no space left on device: "),
        (OSError(errno.EMFILE, "Too many open files"), 1, "the system says: too many open files: "),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_the_machine_lacks_is_said_in_one_line_without_a_report(
    sumnist: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException,
    code: int, part: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(Graph, "run", raising(error))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    done, message = sumnist("graph")
    assert (done, message.startswith(part)) == (code, True)
    assert sorted(tmp_path.iterdir()) == before


def test_the_codes_are_in_the_help_and_in_the_text_of_the_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "--traceback" in shown
    assert [int(code) for code in re.findall(r"\b(\d+) [a-z]", shown.partition("exit codes: ")[2])] == sorted(CODES)
    assert all(str(code) in (package.errors.__doc__ or "") for code in CODES - {0})
    assert {door.UNFORESEEN, door.INTERRUPTED, door.BROKEN_PIPE} < CODES
