"""Sheets as reading leaves them, for the tests of their review: photographs of filled forms, and the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw

from page_driver import DIGITS
from sumnist.sheets.layout import Layout, Page, Rectangle
from sumnist.sheets.printing import pdf
from sumnist.sheets.registration import homography
from sumnist.sheets.review import Corrections, beside

EXAM = Layout.of_line("9,7.5,13", "Mathematics")
PIXELS = 6.0
"""Of a millimetre, of the form before it is photographed."""
SIZE = 1600, 2100
"""Of the photographs."""
CORNERS = np.array([[110.0, 140.0], [1480.0, 90.0], [1540.0, 1990.0], [60.0, 1950.0]])
"""Where the corners of the paper are on them, clockwise from the top left."""
INK = (30, 40, 90)


def written(picture: Image.Image, box: Rectangle, digit: str) -> None:
    """Write a digit into a box."""
    draw = ImageDraw.Draw(picture)
    for stroke in DIGITS[int(digit)].split("/"):
        points = [[float(share) / 100 for share in point.split(",")] for point in stroke.split()]
        line = [(PIXELS * (box.x + x * box.width), PIXELS * (box.y + y * box.height)) for x, y in points]
        draw.line(line, fill=INK, width=5, joint="curve")


def photograph(path: Path, values: dict[str, str], layout: Layout = EXAM) -> list[float]:
    """Photograph a form with these digits in its boxes, "" for an empty one; its matrix."""
    page = Page.of(layout)
    with closing(pypdfium2.PdfDocument(pdf(layout))) as document:
        form = document[0].render(scale=PIXELS * 25.4 / 72).to_pil().convert("RGB")
    for place in page.places:
        for box, digit in zip(place.boxes, values.get(place.name, ""), strict=False):
            if digit.strip():
                written(form, box, digit)
    millimetres = np.array([[0, 0], [page.width, 0], [page.width, page.height], [0, page.height]])
    matrix = homography(millimetres, CORNERS)
    back = np.linalg.inv(matrix @ np.diag([1 / PIXELS, 1 / PIXELS, 1]))
    back = (back / back[2, 2]).ravel()[:8].tolist()
    desk = (96, 82, 70)
    form.transform(SIZE, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC, fillcolor=desk).save(path)
    return [float(number) for number in matrix.ravel()]


def row_of(path: Path, number: int, state: str, values: Mapping[str, float | None], **more: Any) -> dict[str, Any]:
    """A row of `marks.jsonl`."""
    return {
        "row": number, "path": path.name, "file": str(path), "state": state, "identity": f"Person {number}",
        "layout": EXAM.id, "version": 1, "probability": 0.7, "values": values, "read": values,
        "how": dict.fromkeys(values, "number"), "corrections": [], "wrong": [], "look": [], "offset": 0.2,
        "error": None, **more,
    }  # fmt: skip


def doubtful(folder: Path, number: int) -> dict[str, Any]:
    """A sheet of which question 2 may be 1 or 7: the photograph has 7."""
    path = folder / f"IMG_{number}.jpg"
    matrix = photograph(path, {"q1": "9", "q2": "7", "q3": " 4", "total": "200"})
    candidates = [{"value": 1, "probability": 0.62}, {"value": 7, "probability": 0.375},
                  {"value": None, "probability": 0.005}]  # fmt: skip
    values = {"q1": 9, "q2": 1, "q3": 4, "total": 20}
    return row_of(path, number, "doubtful", values, matrix=matrix, look=[{"field": "q2", "candidates": candidates}])


def wrong(folder: Path, number: int) -> dict[str, Any]:
    """A sheet whose total should be 20½, and is 21½."""
    path = folder / f"IMG_{number}.jpg"
    matrix = photograph(path, {"q1": "9", "q2": "75", "q3": " 4", "total": "215"})
    mistake = {"field": "total", "written": 21.5, "sum": 20.5, "kind": "off by one", "probability": 0.9}
    values = {"q1": 9, "q2": 7.5, "q3": 4, "total": 21.5}
    return row_of(path, number, "does not add up", values, matrix=matrix, wrong=[mistake])


def unreadable(folder: Path, number: int) -> dict[str, Any]:
    """A sheet without its corner tags."""
    path = folder / f"IMG_{number}.jpg"
    photograph(path, {"q1": "3", "q2": "2", "q3": "11", "total": "160"})
    with Image.open(path) as picture:
        cut = picture.crop((0, 500, 1600, 1700))
    cut.save(path)
    nothing = dict.fromkeys(("state", "identity", "layout", "values", "look", "matrix"))
    return {"row": number, "path": path.name, "file": str(path), **nothing, "error": "no corner tag was found"}


def certain(folder: Path, number: int) -> dict[str, Any]:
    """A sheet that needs nobody, and whose picture nobody asks for."""
    values = {"q1": 1, "q2": 2, "q3": 3, "total": 6}
    return row_of(folder / f"IMG_{number}.jpg", number, "adds up", values, matrix=[1.0] * 9)


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
