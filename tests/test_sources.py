"""Rows and where they come from: whatever a row holds is a row, and no row vanishes without a word."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from sumnist.batch.score import score
from sumnist.batch.sources import Row, pictures_in, source_of
from sumnist.data.mnist import FILES
from sumnist.errors import DataError, NumberError

EXPECTED_JSON = 'expected {"path": "five.png", "number": 7}'
LONG_NUMBER = "a number of more than 600 digits, expected fewer: no sum of it can be written"


def rows_of(path: Path, text: str | bytes, number: Any = None) -> list[Row]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    return list(source_of(path, number).rows)


def outline(rows: list[Row]) -> list[tuple[str, Any] | str]:
    """Path and number of each row, or its error."""
    return [row.error or (row.path, row.number) for row in rows]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way_blank_ones_are_no_rows_and_a_mark_of_utf_8_is_no_part_of_the_first(
    tmp_path: Path, end: str, mark: str
) -> None:
    table = mark + end.join(["path,number", "a.png,1", "", '"b, c.png",2', "", ""])
    assert outline(rows_of(tmp_path / "t.csv", table)) == [("a.png", 1), ("b, c.png", 2)]
    lines = mark + end.join(['{"path": "a.png", "number": 1}', "", "  ", '{"path": "b.png", "number": 2}', ""])
    assert outline(rows_of(tmp_path / "t.jsonl", lines)) == [("a.png", 1), ("b.png", 2)]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_utf_16_is_refused_in_a_line_that_names_it(tmp_path: Path, coding: str, name: str) -> None:
    text = {"t.csv": "path,number\na.png,1\n", "t.jsonl": '{"path": "a.png", "number": 1}\n'}[name]
    with pytest.raises(DataError, match=r"as UTF-16 does, expected UTF-8: save it as UTF-8$"):
        rows_of(tmp_path / name, text.encode(coding))


@pytest.mark.parametrize("later", ['"d.png",4', 'd.png,"4"', '"d.png, or so",4'])
def test_a_quote_that_a_later_row_seems_to_close_swallows_nothing(tmp_path: Path, later: str) -> None:
    table = f'path,number\n"b.png,2\nc.png,3\n{later}\ne.png,5\n'
    found = outline(rows_of(tmp_path / "t.csv", table))
    assert found[0] == f"line 2: {UNCLOSED}"
    assert [row[1] for row in found[1:]] == [3, 4, 5]


UNCLOSED = "a quote opens that is not closed, expected a path and a number: close it"


@pytest.mark.parametrize(
    ("table", "expected"),
    [('path,number\na.png,1\n"b.png,2\nc.png,3\n', [("a.png", 1), f"line 3: {UNCLOSED}", ("c.png", 3)]),
     ('path,remark,number\na.png,"nice,\nbut ""old""",1\nb.png,,2\n', [("a.png", 1), ("b.png", 2)]),
     ('path,number\n"a"b.png,1\nc.png,2\n',
      ["line 2: not CSV (',' expected after '\"'), expected a path and a number", ("c.png", 2)])],
)  # fmt: skip
def test_quotes_are_those_of_csv_and_a_wrong_one_costs_its_own_row_alone(
    tmp_path: Path, table: str, expected: list[Any]
) -> None:
    assert outline(rows_of(tmp_path / "t.csv", table)) == expected


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_row_of_any_length_is_an_error_or_a_row_and_the_next_is_read(tmp_path: Path, size: int) -> None:
    found = rows_of(tmp_path / "t.csv", "path,number\n" + "x" * size + ",1\nb.png,2\n")
    assert len(found) == 2
    assert "line 2: not CSV (" in str(found[0].error)
    assert found[1][:2] == ("b.png", 2)
    lines = json.dumps({"path": "x" * size, "number": 1}) + "\n" + json.dumps({"path": "b.png", "number": 2})
    found = rows_of(tmp_path / "t.jsonl", lines)
    assert len(found) == 2
    assert str(found[0].error).startswith("line 1: a path of ")
    assert found[1][:2] == ("b.png", 2)


def test_a_header_of_any_length_is_refused_in_one_line(tmp_path: Path) -> None:
    for header in ("x" * 200_000, '"' + "x,\n" * 200_000, "x" * 2_000_000):
        with pytest.raises(DataError, match=r"t\.csv: line 1: not CSV \(.*\), expected the names of the columns$"):
            rows_of(tmp_path / "t.csv", f"{header},path,number\na.png,1\n")
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path / "t.csv", "abc," * 20_000)
    assert len(str(caught.value)) < 500


def test_a_column_that_is_there_twice_is_refused_by_name_if_it_is_read(tmp_path: Path) -> None:
    table = "path,number,remark,number,remark\na.png,1,x,2,y\n"
    with pytest.raises(DataError, match=r"has the column number twice, expected it once: rename the other$"):
        rows_of(tmp_path / "t.csv", table)
    assert outline(rows_of(tmp_path / "t.csv", table, 5)) == [("a.png", 5)]


@pytest.mark.parametrize(
    "line",
    ['{"path": "a.png", "number": 1, "path": "b.png"}',
     "null", "7", '"a.png"', "[1]", "{}", '{"path": ["a"], "number": 1}', '{"path": null, "number": 1}', "[" * 100_000,
     '{"path": "a.png", "number": ' + "9" * 5000 + "}", '{"path": "a.png", "number": 1', "\0"],
)  # fmt: skip
def test_a_line_that_is_no_object_with_a_path_is_an_error_of_its_row(tmp_path: Path, line: str) -> None:
    found = rows_of(tmp_path / "t.jsonl", '{"path": "b.png", "number": 2}\n' + line + "\n")
    assert found[0].error is None
    assert str(found[1].error).startswith("line 2: ")
    assert str(found[1].error).endswith(EXPECTED_JSON)


@pytest.mark.parametrize("digits", [601, 4300, 100_000])
def test_a_number_too_long_to_be_written_is_an_error_of_its_row(tmp_path: Path, digits: int) -> None:
    for number in ("9" * digits, "-" + "9" * digits):
        found = rows_of(tmp_path / "t.csv", f"path,number\na.png,{number}\nb.png,{'9' * 600}\n")
        assert outline(found) == [LONG_NUMBER, ("b.png", 10**600 - 1)]
        found = rows_of(tmp_path / "t.jsonl", f'{{"path": "a.png", "number": {number}}}\n')
        assert found[0].error is not None
    with pytest.raises(NumberError, match=f"^{LONG_NUMBER}$"):
        score(tmp_path / "t.csv", tmp_path / "out.csv", int("9" * min(digits, 4300)), progress=False)
    assert not (tmp_path / "out.csv").exists()


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


def test_a_folder_that_cannot_be_listed_is_said_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=rf"^{tmp_path}: cannot be read \(permission denied\)"):
        pictures_in(tmp_path)


def idx(count: int, there: int, more: bytes = b"", side: int = 28) -> bytes:
    return b"\0\0\x08\x03" + struct.pack(">III", count, side, side) + bytes(side * side * there) + more


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("content", [idx(2**32 - 1, 3), idx(4, 3, b"half"), idx(1, 0), idx(2, 3), idx(3, 3, side=27)])
def test_an_idx_file_that_is_not_whole_or_not_of_digits_is_refused(
    tmp_path: Path, zipped: bool, content: bytes
) -> None:
    path = tmp_path / (FILES["x_train"] + (".gz" if zipped else ""))
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=re.escape(f"{path}: ")):
        source_of(tmp_path, 1)
    if zipped:
        packed = gzip.compress(idx(3, 3))
        path.write_bytes(packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:])
        with pytest.raises(DataError, match="CRC check failed"):
            source_of(tmp_path, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_source_that_is_a_pipe_or_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: is a device or a pipe, expected a folder"):
        source_of(tmp_path / "t.csv", 1)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "u.csv").write_text("path\na.png\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"u\.csv: cannot be read \(permission denied\): check its permissions"):
        source_of(tmp_path / "u.csv", 1)
