"""Sheets as reading leaves them, for the tests of their review: photographs of filled forms, and the rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from PIL import Image

from photographs import seen_by_camera
from simulated_sheets import EXAM, SCALE, printed, write
from sumnist.serve import review
from sumnist.serve.app import TellingServer
from sumnist.sheets.layout import Layout, Page
from sumnist.sheets.review import Corrections, beside


def photographed_as(path: Path, *digits: str) -> list[float]:
    """Photograph a form with these digits in the boxes of its fields; its matrix."""
    page = printed(EXAM).copy()
    for place, written in zip(Page.of(EXAM).places, digits, strict=True):
        write(page, place.boxes, written)
    taken = seen_by_camera(page, SCALE, (2100, 1600), 3)
    path.write_bytes(taken.data)
    return [float(number) for number in taken.matrix.ravel()]


def row_of(number: int = 0, layout: Layout = EXAM, folder: Path = Path(), **changes: Any) -> dict[str, Any]:
    """A row of `marks.jsonl` of a sheet that adds up, or of what the changes say."""
    values = {"q1": 9, "q2": 7.5, "q3": 4, "total": 20.5} if layout is EXAM else dict.fromkeys(layout.names, 0)
    path = f"IMG_{number}.jpg"
    return {
        "row": number, "path": path, "file": str(folder / path), "state": "adds up", "identity": f"Person {number}",
        "layout": layout.id, "version": layout.version, "probability": 0.9993, "values": values, "read": values,
        "how": dict.fromkeys(values, "number"), "corrections": [], "wrong": [], "look": [], "matrix": [1.0] * 9,
        "offset": 0.2, "error": None, **changes,
    }  # fmt: skip


def doubtful(folder: Path, number: int) -> dict[str, Any]:
    """A sheet of which question 2 may be 1 or 7: the photograph has 7."""
    matrix = photographed_as(folder / f"IMG_{number}.jpg", "9", "7", " 4", "200")
    shares = {1: 0.62, 7: 0.375, None: 0.005}
    look = {"field": "q2", "candidates": [{"value": value, "probability": share} for value, share in shares.items()]}
    values = {"q1": 9, "q2": 1, "q3": 4, "total": 20}
    return row_of(number, folder=folder, state="doubtful", values=values, matrix=matrix, look=[look])


def wrong(folder: Path, number: int) -> dict[str, Any]:
    """A sheet whose total should be 20½, and is 21½."""
    matrix = photographed_as(folder / f"IMG_{number}.jpg", "9", "75", " 4", "215")
    mistake = {"field": "total", "written": 21.5, "sum": 20.5, "kind": "off by one", "probability": 0.9}
    values = {"q1": 9, "q2": 7.5, "q3": 4, "total": 21.5}
    return row_of(number, folder=folder, state="does not add up", values=values, matrix=matrix, wrong=[mistake])


def unreadable(folder: Path, number: int) -> dict[str, Any]:
    """A sheet without its corner tags."""
    path = folder / f"IMG_{number}.jpg"
    photographed_as(path, "3", "2", "11", "160")
    with Image.open(path) as picture:
        cut = picture.crop((0, 500, 1600, 1700))
    cut.save(path)
    nothing = dict.fromkeys(("state", "identity", "layout", "values", "look", "matrix"))
    return {"row": number, "path": path.name, "file": str(path), **nothing, "error": "no corner tag was found"}


def certain(folder: Path, number: int) -> dict[str, Any]:
    """A sheet that needs nobody, and whose picture nobody asks for."""
    return row_of(number, folder=folder, values={"q1": 1, "q2": 2, "q3": 3, "total": 6})


def write_marks(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The file of these rows, and the layout beside it."""
    (folder / "marks.toml").write_text(EXAM.to_toml())
    marks = folder / "marks.jsonl"
    marks.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return marks


def said(marks: Path) -> Corrections:
    """What people said of these sheets by now."""
    path = beside(marks)
    return Corrections(path.read_bytes().split(b"\n")[:-1] if path.exists() else (), path)


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, start: Callable[[Callable[[str, int], None]], bool]) -> Iterator[str]:
    """The address of a review in a thread of this process, which `start` begins with what is to be told of it."""
    servers: list[TellingServer] = []

    class Kept(TellingServer):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            servers.append(self)

    monkeypatch.setattr(review, "TellingServer", Kept)
    told: SimpleQueue[str] = SimpleQueue()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(start, lambda url, _: told.put(url))
        yield told.get(timeout=20)
        servers[0].should_exit = True
        assert done.result()
