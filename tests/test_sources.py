"""Rows and where they come from: whatever a row holds is a row, and no row vanishes without a word."""

from __future__ import annotations

import gzip
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sumnist.batch.score import score
from sumnist.batch.sources import Row, pictures_in, source_of
from sumnist.data.mnist import FILES
from sumnist.errors import DataError, NumberError

Outline = Sequence[tuple[str, Any] | str]


def rows_of(path: Path, text: str | bytes, number: Any = None) -> list[Row]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    return list(source_of(path, number).rows)


def check(rows: list[Row], expected: Outline) -> None:
    """Compare path and number of each row, or the beginning of its error."""
    assert len(rows) == len(expected)
    for row, one in zip(rows, expected, strict=True):
        if isinstance(one, str):
            assert (row.error or "").startswith(one)
        else:
            assert (row.path, row.number, row.error) == (*one, None)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way_and_blank_ones_are_no_rows(tmp_path: Path, end: str, mark: str) -> None:
    table = mark + end.join(["path,number", "a.png,1", "", '"b, c.png",2', "", ""])
    check(rows_of(tmp_path / "t.csv", table), [("a.png", 1), ("b, c.png", 2)])
    lines = mark + end.join(['{"path": "a.png", "number": 1}', "", "  ", '{"path": "b.png", "number": 2}', ""])
    check(rows_of(tmp_path / "t.jsonl", lines), [("a.png", 1), ("b.png", 2)])


UNCLOSED = "a quote opens that is not closed, expected a path and a number: close it"
LONG_NUMBER = "a number of more than 600 digits, expected fewer: no sum of it can be written"
LONG = 3_000_000


def too_long(number: str) -> tuple[str, Outline]:
    return f"a.png,{number}\nb.png,{'9' * 600}", [LONG_NUMBER, ("b.png", 10**600 - 1)]


CSV: list[tuple[str, Outline]] = [
    ('"b.png,2\nc.png,3\n"d.png",4\ne.png,5', [f"line 2: {UNCLOSED}", ("c.png", 3), ("d.png", 4), ("e.png", 5)]),
    ('"b.png,2\nc.png,3\nd.png,"4"\ne.png,5', [f"line 2: {UNCLOSED}", ("c.png", 3), ("d.png", 4), ("e.png", 5)]),
    ('"b.png,2\nc.png",3', [f"line 2: {UNCLOSED}", ('c.png"', 3)]),
    ('"b.png,2\n"d, or",4\ne.png,5', [f"line 2: {UNCLOSED}", ("d, or", 4), ("e.png", 5)]),
    ('a.png,1\n"b.png,2\nc.png,3\n', [("a.png", 1), f"line 3: {UNCLOSED}", ("c.png", 3)]),
    ('a.png,1,"nice,\nbut ""old"""\nb.png,2,\n', [("a.png", 1), ("b.png", 2)]),
    ('"a"b.png,1\nc.png,2', ["line 2: not CSV (',' expected after '\"'), expected a path", ("c.png", 2)]),
    ("x" * LONG + ",1\nb.png,2\n", ["line 2: not CSV (", ("b.png", 2)]),
    ("a.png\n,5\nb.png,x", ["number None", "line 3: no path, expected the name of a picture", "number 'x'"]),
    *map(too_long, ("9" * 601, "-" + "9" * 601, "9" * 4300, "9" * 100_000)),
]  # fmt: skip
NO_OBJECT = [
    '{"path": "a.png", "number": 1, "path": "b.png"}', "null", "7", '"a.png"', "[1]", "{}", "[" * 100_000, "zero\0",
    '{"path": ["a"], "number": 1}', '{"path": null, "number": 1}', '{"path": "a.png", "number": ' + "9" * 5000 + "}",
    '{"path": "a.png", "number": 1',
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), CSV)
def test_a_bad_line_of_a_csv_costs_its_own_row_alone(tmp_path: Path, lines: str, expected: Outline) -> None:
    check(rows_of(tmp_path / "t.csv", f"path,number,remark\n{lines}"), expected)


def test_a_line_that_is_no_object_is_an_error_of_its_row(tmp_path: Path) -> None:
    for line in NO_OBJECT:
        rows = rows_of(tmp_path / "t.jsonl", f'{line}\n{{"path": "b.png", "number": 2}}\n')
        check(rows, ["line 1: ", ("b.png", 2)])
        assert str(rows[0].error).endswith('expected {"path": "five.png", "number": 7}')
    for name, number in (("x" * LONG, 1), ("a.png", 10**601)):
        error = "line 1: a path of 3,000,000 characters, expected at most" if number == 1 else LONG_NUMBER
        lines = json.dumps({"path": name, "number": number}) + '\n{"path": "b.png", "number": 2}'
        check(rows_of(tmp_path / "t.jsonl", lines), [error, ("b.png", 2)])


def test_a_number_for_all_rows_that_is_too_long_to_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path\na.png\n")
    with pytest.raises(NumberError, match=f"^{LONG_NUMBER}$"):
        score(tmp_path / "t.csv", tmp_path / "out.csv", 10**601, progress=False)
    assert not (tmp_path / "out.csv").exists()


def idx(count: int, there: int, more: bytes = b"", side: int = 28) -> bytes:
    return b"\0\0\x08\x03" + struct.pack(">III", count, side, side) + bytes(side * side * there) + more


IDX = FILES["x_train"]
PACKED = gzip.compress(idx(3, 3), mtime=0)
BAD: list[tuple[str, str | bytes | None, str]] = [
    *((name, text.encode(coding), "as UTF-16 does, expected UTF-8: save it as UTF-8")
      for name, text in (("t.csv", "path,number\na.png,1\n"), ("t.jsonl", '{"path": "a.png", "number": 1}\n'))
      for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
    *(("t.csv", f"{header},path,number\na.png,1\n", ": line 1: not CSV (")
      for header in ("x" * 200_000, '"' + "x,\n" * 200_000)),
    ("t.csv", "abc," * 20_000, "expected path and number, each once: name them so, or give --number"),
    ("t.csv", "path,number,remark,number\na.png,1,x,2\n", "expected path and number, each once: name them so"),
    ("t.csv", "file,number\n1.png,7\n", "the columns file, number, expected path and number, each once"),
    ("t.png", b"", "expected a folder of pictures or of IDX files, a .csv or a .jsonl"),
    ("none.csv", None, "does not exist, expected a folder, a .csv or a .jsonl: check the name"),
    ("folder/x.txt", "", "pictures without numbers, expected --number"),
    *((f"idx/{IDX}{end}", gzip.compress(content, mtime=0) if end else content, f"{IDX}{end}: ")
      for content in (idx(2**32 - 1, 3), idx(4, 3, b"half"), idx(1, 0), idx(2, 3), idx(3, 3, side=27))
      for end in ("", ".gz")),
    (f"idx/{IDX}.gz", PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "CRC check failed"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_what_is_no_source_is_refused_by_name_in_one_line(
    tmp_path: Path, name: str, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = path.parent if "/" in name else path
    with pytest.raises(DataError) as caught:
        source_of(source, 1 if name.startswith("idx") else None)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(source))
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_columns_that_are_not_read_may_be_missing_or_there_twice(tmp_path: Path) -> None:
    check(rows_of(tmp_path / "t.csv", "path,number,number\na.png,1,2\n", 5), [("a.png", 5)])
    check(rows_of(tmp_path / "t.jsonl", '{"path": "a.png"}\n', 5), [("a.png", 5)])
    (tmp_path / "t.csv").write_text("remark,path\nx,a.png\n")
    check(list(source_of(tmp_path / "t.csv", sums=False).rows), [("a.png", None)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no pictures in it, expected files such as"):
        source_of(tmp_path / "empty", 1)


def test_pictures_are_what_has_the_ending_of_one_and_no_dot_before_its_name(tmp_path: Path) -> None:
    names = ["b.PNG", "a/z.jpeg", "a b/1.png", "a/.hidden/c.png", "._b.png", ".d.png", "e.txt", "f", "a/._g.gif"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found = pictures_in(tmp_path)
    assert found == [os.path.join("a", "z.jpeg"), os.path.join("a b", "1.png"), "b.PNG", "gone.png"]
    assert [Path(name) for name in found] == sorted(map(Path, found))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_the_system_refuses_to_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: is no plain file, expected a folder"):
        source_of(tmp_path / "t.csv", 1)
    (tmp_path / "u.csv").write_text("path\na.png\n")
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    for path in (tmp_path / "u.csv", tmp_path):
        with pytest.raises(DataError, match=rf"^{path}: cannot be read \(permission denied\): check its permissions"):
            source_of(path, 1)
