"""Writing files whole, and locking them."""

from __future__ import annotations

import errno
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
from typing import Any
from sumnist import files
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path(sys.argv[1]), "half")
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_cleared_by_the_next_that_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"
    write_atomically(path, "old")
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_WRITING, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert names(tmp_path) == ["a[1].txt"]
    assert path.read_text() == "new"


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    partial = tmp_path / ".a.txt.partial-1"
    with partial.open("wb") as stream:
        assert lock(stream)
        write_atomically(tmp_path / "a.txt", "new")
        assert partial.exists()
    write_atomically(tmp_path / "a.txt", "newer")
    assert not partial.exists()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    target, link = tmp_path / "place/file.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def break_off(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as stream:
        stream.write(b"half")
        raise error


def test_a_stream_that_is_broken_off_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "old")
    for error in (KeyboardInterrupt, ValueError, OSError):
        with pytest.raises(OutputError if error is OSError else error):
            break_off(path, error)
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"
    with replacing(path) as stream:
        stream.write(b"n")
        assert path.read_text() == "old"
        stream.write(b"ew")
    assert path.read_text() == "new"


@pytest.mark.parametrize("name", ["/dev/null", "/", "."])
def test_what_is_no_file_is_refused_and_stays(name: str) -> None:
    mode = os.stat(name).st_mode
    with pytest.raises(OutputError, match=r"expected the name of a file: give another name$"):
        write_atomically(Path(name), "text")
    assert os.stat(name).st_mode == mode


def test_a_second_lock_is_refused_until_the_first_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as first, path.open("wb") as second:
        assert lock(first)
        assert not lock(second)
        first.close()
        assert lock(second)


def test_a_file_system_without_locks_lets_everyone_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("sumnist.files.fcntl.flock", no_locks)
    with (tmp_path / "file").open("wb") as stream:
        assert lock(stream)


def test_a_line_of_a_journal_that_was_cut_short_is_cut_off_and_one_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for left, lines in ((b'{"a": 1}\n{"a": 2', [b'{"a": 1}']), (b'{"a": 1}\n{"a": 2}', [b'{"a": 1}', b'{"a": 2}'])):
        path.write_bytes(left)
        with Journal(path, "busy") as journal:
            assert list(journal.lines) == lines
            journal.add('{"a": 3}')
        assert path.read_bytes().split(b"\n") == [*lines, b'{"a": 3}', b""]


def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("a note without an end of its line")
    with pytest.raises(OutputError, match="its last line is no JSON, expected a JSON object on each line"):
        Journal(path, "busy")
    assert path.read_text() == "a note without an end of its line"


def test_a_journal_is_of_one_process_at_a_time_and_leaves_no_file_without_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Journal(path, "busy"), pytest.raises(OutputError, match=r"^busy$"):
        Journal(path, "busy")
    assert not path.exists()


def test_a_line_for_which_the_disk_has_no_room_leaves_a_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    with Journal(path, "busy") as journal:
        journal.add('{"a": 1}')
        with monkeypatch.context() as patch:

            def full(_: int) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(os, "fsync", full)
            with pytest.raises(OutputError, match="no space left on device"):
                journal.add('{"a": 2}')
        assert path.read_bytes() == b'{"a": 1}\n'
        journal.add('{"a": 3}')
    assert path.read_bytes() == b'{"a": 1}\n{"a": 3}\n'


def test_json_that_is_nested_too_deeply_is_a_value_error() -> None:
    for text in ("[" * 100_000, b"[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"^nested too deeply$"):
            parse_json(text)
    assert parse_json('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(
    ("shape", "right", "wrong"),
    [
        (int, [1], [1.0, True, "1"]),
        (float, [1, 0.5], [True, float("inf"), float("nan"), "x"]),
        ((float, None), [1, None], ["x"]),
        ([int], [[], [1, 2]], [[1, "x"], {"a": 1}, 1]),
        ([int, float], [[1, 2.5]], [[1], [1.5, 1]]),
        ([[int]], [[[1, 2], [3]]], [[[1, "x"]], [1]]),
        ({"a": int}, [{"a": 1, "b": 2}], [{"b": 2}, {"a": "x"}, []]),
        ({"a": [{"b": (int, None)}]}, [{"a": [{"b": None}]}], [{"a": [{}]}]),
        (dict, [{}], [[]]),
    ],
)  # fmt: skip
def test_a_value_fits_a_shape_or_not(shape: Any, right: list[Any], wrong: list[Any]) -> None:
    assert [fits(value, shape) for value in right + wrong] == [True] * len(right) + [False] * len(wrong)


def test_only_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert read_whole(tmp_path / "file") == b"x"
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "Is a directory"), (tmp_path / "pipe", "not a plain file"), (Path("/dev/zero"), "not a plain file"),
    ):  # fmt: skip
        with pytest.raises(OSError, match=reason):
            read_whole(path)
