"""Workbooks as their XML has them, without the library that wrote them; and their formulas, worked out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
LINKED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
PLACE = re.compile(r"\$?\b([A-Z]{1,3}\d+)\b")


@dataclass
class Sheet:
    """A sheet: values, formulas and colours by place, such as "B2"; comments and pictures, too."""

    root: ElementTree.Element
    values: dict[str, Any] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def column(self, title: str) -> str:
        """The letters of the column with a title."""
        return next(place[:-1] for place, value in self.values.items() if place.endswith("1") and value == title
                    and place[:-1].isalpha())  # fmt: skip

    def at(self, title: str, line: int) -> Any:
        """The value below a title; the header is line 1."""
        return self.values.get(f"{self.column(title)}{line}")

    def lines(self) -> list[list[Any]]:
        """The values that there are, line by line."""
        return [
            [self.values[cell.get("r", "")] for cell in row if cell.get("r") in self.values]
            for row in self.root.iter(f"{MAIN}row")
        ]


class Blank(int):
    """A cell without a value, which is zero in a sum and does not count."""


def worked_out(sheet: Sheet, formula: str) -> Any:
    """What a formula comes to by the values that are written."""

    def cell(place: str) -> Any:
        if place in sheet.formulas:
            return worked_out(sheet, sheet.formulas[place])
        return Blank(0) if sheet.values.get(place) is None else sheet.values[place]

    def count(*values: Any) -> int:
        return sum(isinstance(value, (int, float)) and not isinstance(value, Blank) for value in values)

    text = re.sub(r"(?<![<>])=", "==", PLACE.sub(r'cell("\1")', formula.removeprefix("=")))
    functions = {"COUNT": count, "INT": math.floor, "ABS": abs, "IF": lambda asked, yes, no: yes if asked else no}
    return eval(text, {"cell": cell, **functions})


def opened(path: Path) -> dict[str, Sheet]:
    """The sheets of a workbook by name; all of its XML is read."""
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        parts = {name: archive.read(name) for name in archive.namelist()}
    trees = {name: ElementTree.fromstring(data) for name, data in parts.items() if not name.endswith(".png")}
    styles = trees["xl/styles.xml"]
    shared = [plain("".join(text.itertext())) for text in trees.get("xl/sharedStrings.xml", ())]
    found = {}
    for number, entry in enumerate(trees["xl/workbook.xml"].iter(f"{MAIN}sheet"), 1):
        name = f"xl/worksheets/sheet{number}.xml"
        sheet = found[entry.get("name", "")] = Sheet(trees[name])
        read_cells(sheet, styles, shared)
        for kind, target in linked(trees, name):
            if kind == "comments":
                for comment in trees[target].iter(f"{MAIN}comment"):
                    sheet.comments[comment.get("ref", "")] = plain("".join(comment.itertext()))
            elif kind == "drawing":
                read_pictures(sheet, trees, parts, target)
            else:
                assert kind == "vmlDrawing"
    return found


def read_cells(sheet: Sheet, styles: ElementTree.Element, shared: list[str]) -> None:
    """Put what is in the cells into the sheet."""
    fills = list(styles.iterfind(f"{MAIN}fills/{MAIN}fill"))
    shapes = list(styles.iterfind(f"{MAIN}cellXfs/{MAIN}xf"))
    for cell in sheet.root.iter(f"{MAIN}c"):
        place, kind, value = cell.get("r", ""), cell.get("t"), cell.find(f"{MAIN}v")
        shape = shapes[int(cell.get("s", "0"))]
        colour = fills[int(shape.get("fillId", "0"))].find(f"*/{MAIN}fgColor")
        if colour is not None:
            sheet.colours[place] = "#" + colour.get("rgb", "")[2:]
        formula = cell.find(f"{MAIN}f")
        if formula is not None:
            sheet.formulas[place] = formula.text or ""
        if kind == "inlineStr":
            sheet.values[place] = plain("".join(cell.itertext()))
        elif kind == "str" or (formula is not None and value is not None and not value.text):
            sheet.values[place] = (value.text or "") if value is not None else ""
        elif kind == "s" and value is not None:
            sheet.values[place] = shared[int(value.text or "")]
        elif value is not None:
            assert kind in (None, "n")
            sheet.values[place] = float(value.text or "")


def read_pictures(sheet: Sheet, trees: dict[str, ElementTree.Element], parts: dict[str, bytes], drawing: str) -> None:
    """Put the pictures into the sheet, with their descriptions, by the cells in which they begin."""
    targets = dict(linked(trees, drawing, by="Id"))
    for anchor in trees[drawing]:
        assert anchor.get("editAs") is None, "a picture that stays where its line is hidden"
        column, row = (int(anchor.findtext(f"{DRAWN}from/{DRAWN}{part}") or "") for part in ("col", "row"))
        ends = int(anchor.findtext(f"{DRAWN}to/{DRAWN}row") or "")
        assert ends == row, "a picture that reaches into the next line"
        described = next(anchor.iter(f"{DRAWN}cNvPr")).get("descr", "")
        image = next(key for part in anchor.iter() if (key := part.get(f"{LINKED}embed")))
        sheet.pictures[f"{'ABCDEFGHIJ'[column]}{row + 1}"] = (parts[targets[image]], described)


def linked(trees: dict[str, ElementTree.Element], name: str, by: str = "Type") -> list[tuple[str, str]]:
    """What a part refers to: the kind or the id, and the name. None of it is outside."""
    folder, _, file = name.rpartition("/")
    relations = trees.get(f"{folder}/_rels/{file}.rels")
    found = []
    for relation in () if relations is None else relations:
        assert relation.get("TargetMode") != "External", relation.attrib
        target = relation.get("Target", "").replace("..", folder.rpartition("/")[0])
        found.append((relation.get(by, "").rpartition("/")[2], target))
    return found


def plain(text: str) -> str:
    """A text without the escapes of Excel."""
    return ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
