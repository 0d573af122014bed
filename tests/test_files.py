"""Writing files whole, and locking them; `test_faults.py` tries the writers with a fault at each of their calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sumnist.errors import OutputError
from sumnist.files import Journal, fits, lock, parse_json, read_whole, replacing, write_atomically

KILLED_IN_WRITING = """
import os, signal, sys
from pathlib import Path
from sumnist import files
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path(sys.argv[1]), "half")
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_cleared_and_what_another_still_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"
    write_atomically(path, "old")
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_WRITING, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2
    assert path.read_text() == "old"
    with (tmp_path / ".a[1].txt.partial-1").open("wb") as stream:
        assert lock(stream)
        write_atomically(path, "new")
        assert names(tmp_path) == [".a[1].txt.partial-1", "a[1].txt"]
    write_atomically(path, "new")
    assert (names(tmp_path), path.read_text()) == (["a[1].txt"], "new")


def break_off(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as stream:
        stream.write(b"half")
        raise error


def test_a_stream_replaces_what_a_link_leads_to_at_its_end_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    target, link = tmp_path / "place/file.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    for error in (KeyboardInterrupt, ValueError, OSError):
        with pytest.raises(OutputError if error is OSError else error):
            break_off(link, error)
        assert (target.read_text(), names(target.parent)) == ("old", ["file.txt"])
    with replacing(link) as stream:
        stream.write(b"new")
        assert target.read_text() == "old"
    assert (link.is_symlink(), target.read_text(), names(target.parent)) == (True, "new", ["file.txt"])


@pytest.mark.parametrize("name", ["/dev/null", "/", "."])
def test_what_is_no_file_is_refused_and_stays(name: str) -> None:
    mode = os.stat(name).st_mode
    with pytest.raises(OutputError, match=r"expected the name of a file: give another name$"):
        write_atomically(Path(name), "text")
    assert os.stat(name).st_mode == mode


def test_a_second_lock_is_refused_until_the_first_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    with (tmp_path / "file").open("wb") as first, (tmp_path / "file").open("wb") as second:
        assert lock(first)
        assert not lock(second)
        first.close()
        assert lock(second)
        monkeypatch.setattr("sumnist.files.fcntl.flock", no_locks)  # as some network file systems
        assert lock(second)


def test_a_journal_keeps_every_whole_line_and_is_of_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "rows.jsonl"
    for left, lines in ((b'{"a": 1}\n{"a": 2', [b'{"a": 1}']), (b'{"a": 1}\n{"a": 2}', [b'{"a": 1}', b'{"a": 2}'])):
        path.write_bytes(left)
        with Journal(path, "busy") as journal:
            assert list(journal.lines) == lines
            journal.add('{"a": 3}')
            with pytest.raises(OutputError, match=r"^busy$"):
                Journal(path, "busy")
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", full)
                with pytest.raises(OutputError, match="no space left on device"):
                    journal.add('{"a": 4}')
        assert path.read_bytes().split(b"\n") == [*lines, b'{"a": 3}', b""]
    path.write_bytes(b"")
    with Journal(path, "busy"):
        pass
    assert not path.exists()  # it has no lines
    path.write_text("a note without an end of its line")
    with pytest.raises(OutputError, match="its last line is no JSON, expected a JSON object on each line"):
        Journal(path, "busy")
    assert path.read_text() == "a note without an end of its line"


def test_json_that_is_nested_too_deeply_is_a_value_error() -> None:
    for text in ("[" * 100_000, b"[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"^nested too deeply$"):
            parse_json(text)
    assert parse_json('{"a": [1]}') == {"a": [1]}


def test_a_value_fits_a_shape_or_not() -> None:
    for shape, right, wrong in (
        (int, [1], [1.0, True, "1"]),
        (float, [1, 0.5], [True, float("inf"), float("nan"), "x"]),
        ((float, None), [1, None], ["x"]),
        ([int], [[], [1, 2]], [[1, "x"], {"a": 1}, 1]),
        ([int, float], [[1, 2.5]], [[1], [1.5, 1]]),
        ([[int]], [[[1, 2], [3]]], [[[1, "x"]], [1]]),
        ({"a": int}, [{"a": 1, "b": 2}], [{"b": 2}, {"a": "x"}, []]),
        ({"a": [{"b": (int, None)}]}, [{"a": [{"b": None}]}], [{"a": [{}]}]),
        (dict, [{}], [[]]),
    ):  # fmt: skip
        values: list[Any] = right + wrong
        assert [fits(value, shape) for value in values] == [True] * len(right) + [False] * len(wrong)


def test_only_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert read_whole(tmp_path / "file") == b"x"
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "Is a directory"), (tmp_path / "pipe", "not a plain file"), (Path("/dev/zero"), "not a plain file"),
    ):  # fmt: skip
        with pytest.raises(OSError, match=reason):
            read_whole(path)
