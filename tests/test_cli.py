"""The command line, in this process: exit codes, one clear message whatever comes in by flags, files, environment and
streams, and never a traceback."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from PIL import Image

import sumnist as package
from conftest import write_idx
from drawings import line_of
from sumnist.cli import GROUPS, POSITIONAL, completions, docs_of, main, parse
from sumnist.cli.commands import COMMANDS, Evaluate, Graph, Score, Serve, Train
from sumnist.config import Training, flag, preset
from sumnist.data.mnist import FILES, DigitSet
from sumnist.files import PRETRAINED
from sumnist.inference.reader import Reader
from sumnist.model.checkpoint import load_config
from sumnist.pictures.normalize import picture_of
from sumnist.serve.settings import Settings

FIVE = Path(__file__).parents[1] / "examples/five.png"
CODES = {0, 1, 2, 70, 130, 141}
TRAINED = ["train", "--preset", "tiny", "--validation", "0", "--threads", "1", "--device", "cpu"]


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sumnist(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process. If it fails it says so in one line, without a traceback."""

    def run(*words: object) -> Result:
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:  # how argparse ends after --help
            status = int(end.code or 0)
        result = Result(status, *capsys.readouterr())
        assert status in CODES
        assert "Traceback" not in result.err
        if status and words:
            assert all(line.startswith("sumnist: ") for line in result.err.splitlines())
            assert result.err.count("\n") == 1 or words[0] in (
                "predict",
                "find",
                "add",
                "check",
            )  # one for each picture
        return result

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


@pytest.fixture
def five(tmp_path: Path, mnist_train: DigitSet) -> Path:
    path = tmp_path / "five.png"
    picture_of(mnist_train.images[0]).save(path)
    return path


# Help, and what is asked wrongly.


def test_without_a_command_the_usage_lists_every_command_and_every_code(sumnist: Run) -> None:
    result = sumnist()
    assert result.status == 2
    for name, kind in COMMANDS.items():
        assert re.search(rf"\n  {name} +{re.escape((kind.__doc__ or '').splitlines()[0])}\n", result.out)
    assert sumnist("--help") == (0, result.out, "")
    codes = re.findall(r"\b(\d+) [a-z]", result.out.partition("exit codes: ")[2])
    assert [int(code) for code in codes] == sorted(CODES)
    assert all(str(code) in (package.errors.__doc__ or "") for code in CODES - {0})
    grouped = [field for fields in GROUPS.values() for field in fields.split()]
    assert sorted(grouped) == sorted({*Training.__dataclass_fields__, "out", "overwrite", "resume"})
    assert sumnist("--version") == (0, f"sumnist {package.__version__}\n", "")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_every_field_with_its_line_and_at_most_one_default(
    sumnist: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")  # words with hyphens are broken at line ends
    text = " ".join(sumnist(name, "--help").out.split())
    assert f"sumnist {name}" in text
    assert "None" not in text
    parts: dict[str, list[Any]] = {"train": [Training], "graph": [Training], "serve": [Settings]}
    for owner in (COMMANDS[name], *parts.get(name, [])):
        for field in set(owner.__dataclass_fields__) - {"config", "settings"}:
            doc = " ".join(docs_of(owner)[field].split())
            assert POSITIONAL.get(field, flag(field)) in text, field
            assert doc in text, field
            assert (doc + text.partition(doc)[2].partition(" --")[0]).count("(default:") <= 1, field


BAD = (
    "-1", "0", "1e999", "nan", "9" * 31, "9" * 5000, "", "ä", "\udcff", ".", "/", "/dev/full", "x" * 300, "a\0b", "\n",
    "-0.5", "[",
)  # fmt: skip
"""Values that make no sense for most flags; each has broken some command once, or could."""
WORDS = {
    "train": ["--data-dir", "none", "--preset", "tiny"],
    "evaluate": ["none"],
    "predict": ["none.png", "--number", "7"],
    "find": ["none.png"],
    "add": ["none.png"],
    "check": ["none.png"],
    "check new": ["--count", "2", "--out", "sums.pdf"],
    "solve": ["none.png", "=", "_"],
    "score": ["none.csv", "--number", "7", "--out", "scored.csv"],
    "sheet new": ["9,7", "--out", "cover.pdf"],
    "sheet read": ["none", "--layout", "none.toml", "--out", "marks.csv"],
    "sheet review": ["none", "--no-browser"],
    "table read": ["none", "--out", "tables.csv"],
    "table relations": ["none.jsonl"],
    "table review": ["none.jsonl", "--no-browser"],
    "hand new": ["--out", "digits.pdf"],
    "hand learn": ["none", "--out", "ada.hand"],
    "hand test": ["none"],
    "serve": ["--model", "none.onnx"],
    "export": ["none"],
    "graph": ["--preset", "tiny"],
}
"""What each command is given beside the bad value, so that it does no work."""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_value_of_any_flag_leads_to_a_traceback_and_every_number_has_both_its_limits(
    sumnist: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.model.diagram.draw", lambda config: "<svg/>")  # these two take a second
    hints = get_type_hints(COMMANDS[name], include_extras=True)
    for part in (Training, Settings):
        if part in hints.values():
            hints |= get_type_hints(part, include_extras=True)
    for key in hints.keys() - {"config", "settings"}:
        parts = {hints[key], *get_args(hints[key])}
        number = {int, float} & parts or any(get_origin(part) is Annotated for part in parts)
        for value in BAD if {str, Path} & parts else BAD[:1] + BAD[2:4] + BAD[5:8]:
            words = [*WORDS[name], flag(key), value]
            if key in POSITIONAL:
                words = [value, *(word for word in WORDS[name] if word not in ("none", "none.csv", "9,7", "none.png"))]
            result = sumnist(*name.split(), *words)
            assert result.status in (0, 1, 2), (key, value)
            if number:
                assert result.status == 2, (key, value)
                assert flag(key) in result.err


def test_the_values_of_every_kind_of_flag_arrive(small_run: Path, tmp_path: Path) -> None:
    for line, expected in (
        ("evaluate a b --data-dir=c", Evaluate(runs=(Path("a"), Path("b")), data_dir=Path("c"))),
        ("score in --out o.csv -n -7", Score(source=Path("in"), out=Path("o.csv"), number="-7")),
        ("serve --port 0 --drain-seconds 1.5", Serve(settings=Settings(port=0, drain_seconds=1.5))),
        ("train --preset tiny --no-soft-labels --seed=3 --ema 0.5",
         Train(config=preset("tiny", soft_labels=False, seed=3, ema=0.5))),
        ("train --preset tiny --soft-labels", Train(config=preset("tiny", soft_labels=True))),
        (f"train --resume --out {small_run} --epochs 7",
         Train(config=replace(load_config(small_run), epochs=7), out=small_run, resume=True)),
        (f"train --resume --out {tmp_path / 'none'} --epochs 7",
         Train(config=preset("default", epochs=7), out=tmp_path / "none", resume=True)),
    ):  # fmt: skip
        name, *words = line.split()
        assert parse(name, words) == expected


# Places and files.


@pytest.mark.parametrize("line", ["graph --preset tiny --out", f"predict {FIVE} -n 7 --show", "sheet new 9,7 --out"])
def test_a_place_that_is_no_file_is_refused_and_stays_and_missing_folders_are_made(
    sumnist: Run, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("sumnist.model.diagram.draw", lambda config: "<svg/>")
    Path("folder").mkdir()
    shutil.copy(FIVE, "five.png")
    before = sorted(Path().iterdir())
    for place in (".", "/", "folder", "/dev/full", "/dev/null", "five.png/x", "x" * 300):
        result = sumnist(*line.split(), place)
        assert (result.status, place.removesuffix("/x") in result.err) == (1, True)
        assert sorted(Path().iterdir()) == before
    new = Path("new/folder", {"graph": "a.svg", "sheet": "a.pdf"}.get(line.split()[0], "a.png"))
    assert sumnist(*line.split(), new).status == 0
    assert new.stat().st_size > 0


def test_a_name_that_would_end_the_line_or_change_the_terminal_is_written_as_escapes(sumnist: Run) -> None:
    assert sumnist("predict", "a\nsumnist: b\x1b[31m\u2028\udcff.png", "-n", 7) == (
        1, "", "sumnist: " r"a\nsumnist: b\x1b[31m\u2028\udcff.png: does not exist, expected a picture: check the name"
        "\n",
    )  # fmt: skip


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A folder like that of a run, to be spoilt."""
    folder = Path(shutil.copytree(PRETRAINED, tmp_path / "run"))
    (folder / "model.onnx").unlink()
    return folder


def test_a_configuration_that_is_none_is_named_by_every_command_that_reads_one(sumnist: Run, run_folder: Path) -> None:
    for text in ("[" * 100_000, "", "{", "null", "NaN", '{"lr": "x"}', '{"seed": []}', '{"data_dir": 5}', "\udcff"):
        (run_folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
        for line in (f"predict {FIVE} -n 7 --model", "evaluate", "export", "train --resume --out"):
            result = sumnist(*line.split(), run_folder)
            assert (result.status, "config.json" in result.err) == (1, True)


# The environment and the streams.


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_output_that_cannot_be_written_is_said_with_code_1(sumnist: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "(no space left on device): free some space or choose another place"
    for line in ("--help", "--version", "train --help", "graph", f"predict {FIVE} -n 7"):
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            monkeypatch.setattr(sys, "stdout", full)
            said = sumnist(*line.split())
        assert said == (1, "", f"sumnist: standard output: cannot be written {reason}\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"sumnist score {FIVE.parent} -n 7 --out scored.csv --workers 1 <&- >&- 2>&-", 0),
        ("sumnist predict none.png -n 7 2>/dev/full", 1),
        ("sumnist --help | true", 141),
    ],
)
def test_streams_that_are_closed_or_full_or_read_by_nobody_change_the_code_alone(command: str, code: int) -> None:
    done = shell(command)
    assert (done.returncode, done.stderr) == (code, b"")


def test_an_environment_that_makes_no_sense_changes_nothing() -> None:
    shutil.copy(FIVE, os.fsdecode(b"\xc3\xa4.png"))
    odd = {"COLUMNS": "abc", "TERM": "dumb", "TMPDIR": "/none", "HOME": "/none", "OMP_NUM_THREADS": "abc",
           "PATH": "/none", "SUMNIST_X": "abc"}  # fmt: skip
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for environment in (odd, ascii_only):
        done = shell(r"sumnist predict $'\xc3\xa4.png' -n -3", **environment)
        assert (done.returncode, done.stderr) == (0, b"")


# What nobody foresaw.


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[BaseException], None]:
    """Have `graph` raise an error; reports go into a folder."""
    (tmp_path / "reports").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "reports"))

    def set_up(error: BaseException) -> None:
        def run(command: Any) -> int:
            raise error

        monkeypatch.setattr(Graph, "run", run)

    return set_up


@pytest.mark.parametrize("error", [RecursionError(), ZeroDivisionError("a\nb"), OSError("odd")])
def test_an_error_that_nobody_foresaw_is_one_line_with_the_place_of_its_report(
    sumnist: Run, monkeypatch: pytest.MonkeyPatch, raising: Callable[[BaseException], None], error: BaseException
) -> None:
    raising(error)
    monkeypatch.setenv("SECRET", "ssshh")
    result = sumnist("graph", "--out", "two words\udcff")
    assert result.status == 70
    place = re.search(rf"\(.*{type(error).__name__}.*\): the report of it is in (\S+): send it", result.err)
    assert place is not None
    text = Path(place[1]).read_text(encoding="utf-8")
    for part in (f"sumnist: {package.__version__}\n", "command: sumnist graph --out 'two words\\udcff'\n",
                 f"python: {sys.version}", "Traceback (most recent call last)", "raise error"):  # fmt: skip
        assert part in text
    assert "ssshh" not in text


def test_the_traceback_is_shown_where_it_is_asked_for_or_no_report_can_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raising: Callable[[BaseException], None]
) -> None:
    raising(KeyError("x"))
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    for line in ("--traceback graph", "graph --out a.svg --traceback", "graph"):
        assert main(line.split()) == 70
        err, what = capsys.readouterr().err, "its traceback" if "--traceback" in line else "the report of it"
        assert "Traceback (most recent call last)" in err
        last = f"sumnist: an error that was not foreseen (KeyError: 'x'): {what} is above"
        assert err.splitlines()[-1].startswith(last)


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (MemoryError(), 1, "out of memory: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "out of memory"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xx"), 1, "xx: cannot be used (file name too long): "),
        (PermissionError(errno.EACCES, "Permission denied", b"xx"), 1, "xx: cannot be used (permission denied): "),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "the system says: no space left on device: "),
        (OSError(errno.EMFILE, "Too many open files"), 1, "the system says: too many open files: "),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_the_machine_lacks_is_said_in_one_line_without_a_report(
    sumnist: Run, raising: Callable[[BaseException], None], tmp_path: Path, error: BaseException, code: int, part: str
) -> None:
    raising(error)
    result = sumnist("graph")
    assert (result.status, result.err.startswith(f"sumnist: {part}")) == (code, True)
    assert list((tmp_path / "reports").iterdir()) == []


# Predict and graph.


def test_flags_reach_the_reader_of_numbers_and_a_name_that_is_a_number_may_be_a_picture(
    sumnist: Run, reader: Reader, five: Path
) -> None:
    Image.fromarray(line_of("1480")).save("7", "PNG")
    flags = "--numbers", "--digits", "2-3", "--decimal", ",", "--ink", "light", "--json"
    printed = json.loads(sumnist("predict", "7", *flags).out)
    assert printed == {"picture": "7", **reader.read_number("7", (2, 3), ",", "light").as_dict()}
    assert "did you mean --number 8?" in sumnist("predict", five, "8").err


def test_a_number_its_sum_and_what_is_unknown_are_said(sumnist: Run, five: Path) -> None:
    Image.fromarray(line_of("1480")).save("7.png")
    printed = sumnist("predict", "7.png", "--numbers", "-n", 5).out + sumnist("solve", five, "+", "_", "=", "12").out
    assert re.search(r"number 1480 .*\n  sum +1485 .*\(1480 \+ 5\)\n.*\n.*5 \+ 7 = 12 .*\n  _ +7 .*\n.*before", printed)


def test_flags_may_stand_between_pictures_and_a_bad_one_is_named(sumnist: Run, five: Path) -> None:
    Path("empty.png").write_bytes(b"")
    result = sumnist("predict", five, "-n", 1000, "empty.png", "--json", five)
    readings = [json.loads(line) for line in result.out.splitlines()]
    assert [(one["picture"], one["digit"], one["sum"]) for one in readings] == [(str(five), 5, 1005)] * 2
    assert sum(readings[0]["sum_probabilities"]) == pytest.approx(1)
    assert (result.status, result.err.count("\n"), result.err[:20]) == (1, 1, "sumnist: empty.png: ")


# Train and evaluate.


def test_train_reports_the_run_and_where_it_is_and_leaves_one_that_is_there(sumnist: Run, idx_folder: Path) -> None:
    words = [*TRAINED, "--data-dir", str(idx_folder), "--validation", "100", "--out", "run"]
    result = sumnist(*words)
    assert result.status == 0
    assert result.out.startswith("run: ")
    assert "on the held-out images: digit " in result.out
    before = {path.name: path.read_bytes() for path in Path("run").iterdir() if path.is_file()}
    assert sumnist(*words) == (
        1, "", "sumnist: --out run: holds a run already, expected a new folder: name another, or add --resume to "
        "finish it or --overwrite to replace it\n",
    )  # fmt: skip
    result = sumnist(*TRAINED, "--data-dir", "none", "--out", "failed")
    assert (result.status, Path("failed").exists()) == (1, False)
    result = sumnist(*TRAINED, "--data-dir", "none", "--out", "run", "--overwrite")
    assert (result.status, result.err.startswith("sumnist: --data-dir none: does not exist")) == (1, True)
    assert {path.name: path.read_bytes() for path in Path("run").iterdir() if path.is_file()} == before


def test_a_batch_of_one_image_is_refused_where_it_cannot_be_normalised(sumnist: Run, mnist_train: DigitSet) -> None:
    for split in ("train", "test"):
        write_idx(Path(FILES[f"x_{split}"]), mnist_train.images[:3])
        write_idx(Path(FILES[f"y_{split}"]), mnist_train.digits[:3].astype(np.uint8))
    for words, code in (
        ("--batch-size 1 --encoder edges", 2),
        ("--batch-size 2 --encoder edges", 2),  # of three images, one is left over
        ("--batch-size 1 --encoder tiny", 0),  # normalises nothing
    ):
        result = sumnist(*TRAINED, "--data-dir", ".", "--out", "run", "--overwrite", *words.split())
        assert result.status == code
        assert not code or result.err.startswith(f"sumnist: --batch-size {words.split()[1]}: ")


def test_evaluate_prints_a_table_or_json(sumnist: Run, monkeypatch: pytest.MonkeyPatch, small_run: Path) -> None:
    shutil.copytree(small_run, "run")
    monkeypatch.setattr("sumnist.evaluation.plots.draw_plots", lambda *_: None)  # takes longest
    text = sumnist("evaluate", "run").out
    figures = json.loads(sumnist("evaluate", "run", "--json").out)
    assert "95 % interval" in text
    assert f"{100 * figures['digit']['value']:.2f} %" in text
    assert figures["images"] == 200
    shutil.copytree("run", "other")
    assert "Sum computed from the digit: run and other." in sumnist("evaluate", "run", "other").out
    assert sumnist("evaluate", ".").err == (
        "sumnist: .: no run, expected a run folder, as `sumnist train --out .` writes it\n"
    )


# The terminal.


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_their_flags_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion"]) == 0
    (tmp_path / "completion.sh").write_text(capsys.readouterr().out)
    ask = 'sumnist() { echo "$@" >> asked; echo one two; }; source completion.sh; COMP_WORDS=("$@"); COMP_CWORD=2'
    script = ["bash", "-c", f'{ask}; _sumnist; echo "${{COMPREPLY[@]}}"', "bash", "sumnist", "sheet", "r", "more"]
    assert subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "one two\n"
    assert (tmp_path / "asked").read_text() == "--complete sheet r\n"
    for words, offered in (
        (["pre"], ["predict"]), (["sheet", ""], ["new", "read", "review"]), (["sheet", "r"], ["read", "review"]),
        (["sheet", "new", "--ou"], ["--out"]), (["predict", "--num"], ["--number", "--numbers"]),
        (["predict", "fi"], []), (["sheet", "read", "fi"], []),  # then bash itself completes files
    ):  # fmt: skip
        assert completions(words).split() == offered
    assert {"train", "sheet", "--version"} < {*completions([""]).split()}
