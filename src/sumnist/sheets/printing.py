"""Prints a form as a PDF, with one page for each person."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from itertools import accumulate, pairwise, product
from pathlib import Path

import segno
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.units import mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from sumnist.errors import LayoutError
from sumnist.files import read_whole
from sumnist.sheets.layout import MM, Field, Layout, Page, Person, Place, Rectangle

FONT = Path(__file__).parent / "DejaVuSans.ttf.gz"
"""The font of all text, compressed: Latin, Greek, Cyrillic, Armenian and Georgian letters (made by `scripts/build.py
font` of commit 922c2e2)."""
TAGS = (0xD5D628584, 0xD97F18B49, 0xDD280910E, 0xE479E9C98)
"""The first four codes of the family tag36h11 (E. Olson, AprilTag, ICRA 2011; tag36h11.c of AprilTag 2, BSD licence). A
tag has 6×6 cells, row by row, white where a bit is set, inside a border of black cells."""


PALE, PALER = HexColor("#B4CBE2"), HexColor("#DEE3E8")
"""Colours of the lines of boxes, and of the lines between rows: their grey is 0.78 and 0.89 of white. Ink is darker
than 0.5, so a threshold in between removes the lines and keeps the digits. People still see the lines."""
GREY, BLACK = HexColor("#666666"), HexColor("#000000")


@dataclass(frozen=True)
class Style:
    """How a form looks, and what is printed on it. Sizes of text are in points, lengths in millimetres."""

    line: float = 0.25 * mm
    """Width of the lines of boxes, in points; a thinner one breaks up in a photocopy."""
    title: float = 17.0
    """Size of the title."""
    person: float = 11.0
    """Size of the name."""
    total: float = 13.0
    """Size of the label of a total."""
    instruct: float = 9.5
    """Size of the instruction and of the example."""
    ruled: float = 10.5
    """Size of the note and of the labels of lines to write on."""
    small: float = 7.5
    """Size of small print."""
    labels: tuple[tuple[float, int], ...] = ((10.5, 1), (9.0, 1), (9.0, 2), (8.5, 3), (7.0, 4))
    """Sizes of labels in points, each with the most lines of a label. A label takes the first size at which it fits
    beside its boxes."""
    common: float = 8.5
    """One long label may shrink all other labels to this size, but no further."""
    least: float = 7.0
    """The smallest size that text shrinks to."""
    bold: float = 0.035
    """Width of the outline that makes letters bold, as a share of their size: the font has only one weight."""
    cap: float = 0.73
    """Height of a capital letter, as a share of the size."""
    example_box: float = 3.5
    """Width of a box of an example."""
    most_boxes: int = 3
    """The most boxes of a number in an example."""
    rule: float = 18.0
    """The least length of a line to write on."""
    row: tuple[float, float] = (9.5, 14.0)
    """The least and the most height of its row."""
    apart: float = 4.0
    """The space between columns of lines."""
    boxes: str = "Write one digit in each box."
    """What to do on a form with boxes."""
    frames: str = "Write each number inside its frame."
    """What to do on a form without."""
    anew: str = 'Cross out a mistake, and write the number again under "correction".'
    """What to do on a form without."""
    halves: str = "A half is a 5 behind the point."
    """How to write a half."""
    example: str = "Write 7 as |{0:{1}}| or |{0:0{1}}|, 12 as |{2:{1}}|"
    """Worked examples. Each character between bars is drawn in a small box; a point has none."""
    halved: str = ", 7½ as |{0:{1}}.5|"
    """A worked example of a half."""


STYLE = Style()

JOINED = {"Mn", "Mc"}
"""Unicode categories of signs that combine with a letter. A text keeps them only where no single character has both the
letter and the sign."""


def pdf(layout: Layout, people: Sequence[Person] = (), font: Path | None = None) -> bytes:
    """The form as a PDF, with a page for each person, or one blank page. Equal input gives equal bytes.

    Args:
        layout: The layout of the form.
        people: The people who get a page; the layout's identity must be printed.
        font: A TrueType file, for letters that the packaged font lacks.

    Raises:
        LayoutError: The form does not fit on a page, a character cannot be printed, or the layout's identity is not
            printed although there are people.
    """
    if people and layout.identity.kind != "printed":
        raise LayoutError(f"identity {layout.identity.kind!r}, and people to print, expected 'printed': drop --people")
    page = Page.of(layout)
    texts = [layout.title, layout.note, *layout.lines, *(field.label for field in layout.fields)]
    texts += [*(person.text for person in people), "Name, Number, version · 0123456789½…"]
    texts += [STYLE.boxes, STYLE.frames, STYLE.anew, STYLE.halves]
    name = registered(font or FONT, texts)
    canvas = Canvas(data := BytesIO(), (page.width * mm, page.height * mm), invariant=True)
    canvas.setTitle(layout.title)
    canvas.setCreator("sumnist")
    sheet = Sheet(canvas, page, name)
    canvas.beginForm("layout")
    sheet.draw(layout)
    canvas.endForm()
    for person in people or (None,):
        canvas.doForm("layout")
        sheet.draw_person(layout, person)
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def composed(text: str) -> str:
    """The text with each letter and its accent in one character, if there is one."""
    return unicodedata.normalize("NFC", text)


def told(char: str, text: str) -> str:
    """A character of a text, as messages describe it."""
    return f"{char} (U+{ord(char):04X}, {unicodedata.name(char, 'without a name').lower()}) in {text[:60]!r}"


def registered(path: Path, texts: Iterable[str]) -> str:
    """Register a font, and return its name in reportlab. Raises `LayoutError` if the file is no font, or if a character
    of `texts` cannot be printed with it."""
    try:
        data = gzip.decompress(read_whole(path)) if path == FONT else read_whole(path)
        name = f"text-{sha256(data).hexdigest()[:8]}"
        font = TTFont(name, BytesIO(data))
    except Exception as error:  # damaged tables raise errors of any kind
        raise LayoutError(f"--font {path}: {error}, expected a font in a TrueType file: choose another one") from error
    used = {char: text for text in texts for char in composed(text)}
    for char, text in used.items():
        if unicodedata.bidirectional(char) in {"R", "AL"} or unicodedata.category(char) in JOINED:
            raise LayoutError(f"{told(char, text)}: is joined or right to left, expected neither: use another script")
    if missing := next((char for char in used if ord(char) not in font.face.charToGlyph), None):
        raise LayoutError(f"{told(missing, used[missing])}: is not in {font.face.name.decode()}: name another --font")
    try:
        font.face.makeSubset([*map(ord, used)])
    except Exception as error:
        raise LayoutError(f"--font {path}: is damaged ({error}), expected a whole one: copy it again") from error
    font.face.name = name.encode()  # if two fonts have one name, reportlab takes the first for both
    pdfmetrics.registerFont(font)
    return name


class Sheet:
    """Draws a page on a canvas, in millimetres from its top left corner."""

    def __init__(self, canvas: Canvas, page: Page, font: str) -> None:
        self.canvas, self.page, self.font = canvas, page, font

    def draw(self, layout: Layout) -> None:
        """Draw the parts that all pages share."""
        page, fields = self.page, layout.fields
        for tag, code in zip(page.tags, TAGS, strict=True):
            self.cells(tag, tag_cells(code))
        self.text(page.title, layout.title, STYLE.title, bold=True)
        kinds = {field.kind for field in fields}
        instruction = f"{STYLE.boxes if 'boxes' in kinds else STYLE.frames} {STYLE.anew}"
        self.text(page.instruction, instruction, STYLE.instruct)
        self.example(layout)
        if self.width(layout.note, STYLE.least) <= page.note.width * mm:
            self.text(page.note, layout.note, STYLE.ruled, bold=True)
        self.rules(layout.lines)
        self.text(page.footer, f"{layout.id} · version {layout.version}", STYLE.small, GREY, at=0.5)
        for heading in page.headings:
            self.text(heading, "correction", STYLE.small, GREY, at=1.0)
        ends: dict[float, float] = {}
        for place in page.places:
            ends[place.label.x] = max(place.boxes[-1].right, place.correction[-1].right, ends.get(place.label.x, 0.0))
        for above, place in pairwise(page.places):
            if above.label.x == place.label.x and not place.frame:
                y = (above.correction[-1].bottom + place.label.y) / 2
                self.line(place.label.x, y, ends[place.label.x], PALER)
        for field, place in zip(fields, page.places, strict=True):
            self.boxes(place, field.halves and field.kind == "boxes")
        if page.identity:
            self.boxes(page.identity, pointed=False)
        self.labels(layout)

    def boxes(self, place: Place, pointed: bool) -> None:
        """Draw the boxes of a field; if `pointed`, with a point before the last box."""
        if place.frame:
            self.outline(place.frame, BLACK, 0.5 * mm)
        for boxes in (place.boxes, place.correction):
            for box in boxes:
                self.outline(box, PALE, STYLE.line, dashed=boxes is place.correction)
            if pointed:
                x = (boxes[-2].right + boxes[-1].x) / 2
                self.canvas.setFillColor(BLACK)
                self.canvas.circle(x * mm, self.up(boxes[-1].bottom - 1), 0.5 * mm, stroke=0, fill=1)

    def example(self, layout: Layout) -> None:
        """Draw how to write small numbers and halves, or as much of it as there is room for."""
        boxed = [field for field in layout.fields if field.kind == "boxes"]
        most = min((field.digits for field in boxed if field.digits > 1), default=STYLE.most_boxes + 1)
        halves, row = STYLE.halves * any(field.halves for field in layout.fields), self.page.example
        worked = (STYLE.example + STYLE.halved * any(field.halves for field in boxed) + ". ").format(7, most, 12)
        worked *= most <= STYLE.most_boxes
        for text in (worked + halves, worked or halves, halves):
            pieces = [one for place, part in enumerate(text.split("|")) for one in (part if place % 2 else [part])]
            wide = [self.width(piece, STYLE.instruct) / mm for piece in pieces]
            widths = [STYLE.example_box if len(piece) == 1 else w for piece, w in zip(pieces, wide, strict=True)]
            if sum(widths) <= row.width:
                break
        for piece, width, x in zip(pieces, widths, accumulate(widths, initial=row.x), strict=False):
            box = Rectangle(x, row.y, width, row.height)
            if len(piece) == 1 and piece != ".":
                self.outline(box, PALE, STYLE.line)
            self.text(box, piece, STYLE.instruct, at=0.5)

    def rules(self, labels: Sequence[str]) -> None:
        """Draw lines to write on, in one of the free areas and in as few columns as possible. If there is no room for
        all of them, draw the first ones, as many as possible."""
        for count, area, across in product(range(len(labels), 0, -1), self.page.free, range(1, len(labels) + 1)):
            rows = -(-count // across)
            columns = [labels[start : min(start + rows, count)] for start in range(0, count, rows)]
            widths = [max(self.width(label, STYLE.ruled) for label in column) / mm + MM.gap for column in columns]
            rule = (area.width - sum(widths) - STYLE.apart * (len(columns) - 1)) / len(columns)
            high = min(area.height / rows, STYLE.row[1])
            if rule >= STYLE.rule and high >= STYLE.row[0]:
                break
        else:
            return
        x = area.x
        for column, width in zip(columns, widths, strict=True):
            for row, label in enumerate(column, 1):
                y = area.y + row * high - 1
                self.text(Rectangle(x, y - MM.heading, width, MM.heading), label, STYLE.ruled)
                self.line(x + width, y, x + width + rule, GREY)
            x += width + rule + STYLE.apart

    def labels(self, layout: Layout) -> None:
        """Draw all labels. The fields' labels share one size, except those that need smaller print."""
        pairs = zip(layout.fields, self.page.places, strict=True)
        labels = [(place, field.label, limit(field)) for field, place in pairs]
        labels += [(self.page.identity, "Number", "")] if self.page.identity else []
        sizes = [STYLE.total if place.frame else self.size(place.label, label, most) for place, label, most in labels]
        common = max(min(sizes), STYLE.common)
        for (place, label, most), fitting in zip(labels, sizes, strict=True):
            size = fitting if place.frame else min(fitting, common)
            parts = self.lines(place.label, label, most, size)
            pitch = min(place.label.height / len(parts), 1.25 * size / mm)
            top = place.label.y + (place.label.height - pitch * len(parts)) / 2
            for row, part in enumerate(parts):
                line = Rectangle(place.label.x, top + row * pitch, place.label.width, pitch)
                self.text(line, part, size, bold=place.frame is not None)

    def draw_person(self, layout: Layout, person: Person | None) -> None:
        """Draw the parts for one person, or for nobody in particular."""
        code = segno.make(layout.code(person.identity if person else ""), error="m", micro=False, encoding="utf-8")
        self.cells(self.page.code, [[cell > 0 for cell in row] for row in code.matrix])
        place = self.page.person
        if person:
            self.text(place, person.text, STYLE.person, cut=True)
        elif layout.identity.kind != "none":
            width = self.text(place, "Name", STYLE.person, GREY)
            self.line(place.x + width / mm + 3, place.bottom - 1.5, place.right, GREY)

    def up(self, y: float) -> float:
        """Convert millimetres below the upper edge to points above the lower edge, from which PDF counts."""
        return float((self.page.height - y) * mm)

    def line(self, x: float, y: float, right: float, colour: Color) -> None:
        """Draw a horizontal line."""
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(STYLE.line)
        self.canvas.line(x * mm, self.up(y), right * mm, self.up(y))

    def outline(self, box: Rectangle, colour: Color, width: float, dashed: bool = False) -> None:
        """Draw the lines around a rectangle."""
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(width)
        self.canvas.setDash([1.5, 1.5] if dashed else [])
        self.canvas.rect(box.x * mm, self.up(box.bottom), box.width * mm, box.height * mm)
        self.canvas.setDash([])

    def cells(self, box: Rectangle, rows: Sequence[Sequence[bool]]) -> None:
        """Fill a square with cells, black where they are true. They are one path, so no seam shows between them."""
        side, path = box.width / len(rows), self.canvas.beginPath()
        for row, cells in enumerate(rows):
            edges = [place for place, (before, after) in enumerate(pairwise([False, *cells, False])) if before != after]
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                x, low = (box.x + start * side) * mm, self.up(box.y + (row + 1) * side)
                path.rect(x, low, (end - start) * side * mm, side * mm)
        self.canvas.setFillColor(BLACK)
        self.canvas.drawPath(path, stroke=0, fill=1)

    def text(
        self, box: Rectangle, text: str, size: float, colour: Color = BLACK, bold: bool = False, at: float = 0.0,
        cut: bool = False,
    ) -> float:  # fmt: skip
        """Draw a line of text at half the height of a rectangle; `at` is 0.0 for its left edge, 1.0 for its right edge.

        Text that is too wide shrinks. If it is too wide even at the smallest size, it is shortened if `cut`; otherwise
        `LayoutError` is raised. Returns the width in points.
        """
        text = composed(text)
        size = max(STYLE.least, min(size, size * box.width * mm / max(1.0, self.width(text, size))))
        while (width := self.width(text, size)) > box.width * mm + 0.01:
            if not cut:
                raise LayoutError(f"{text[:60]!r}: is wider than the {box.width:.0f} mm for it: make it shorter")
            text = text.rstrip("…")[:-1] + "…"
        x, y = box.x * mm + at * (box.width * mm - width), self.up(box.y + box.height / 2) - STYLE.cap * size / 2
        self.canvas.setFont(self.font, size)
        self.canvas.setFillColor(colour)
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(STYLE.bold * size)
        self.canvas.drawString(x, y, text, mode=2 if bold else 0)
        return width

    def width(self, text: str, size: float) -> float:
        """The width of a text, in points."""
        return float(pdfmetrics.stringWidth(text, self.font, size))

    def lines(self, box: Rectangle, label: str, most: str, size: float) -> list[str]:
        """A label and the note on its largest value: one line if both fit into the width of a rectangle, or else
        several."""
        whole = composed(" · ".join(filter(None, (label, most))))
        if self.width(whole, size) <= box.width * mm:
            return [whole]
        return [*simpleSplit(composed(label), self.font, size, box.width * mm), *[most] * bool(most)]

    def size(self, box: Rectangle, label: str, most: str) -> float:
        """The size at which a label fits. Raises `LayoutError` if it fits at none."""
        for size, lines in STYLE.labels:
            parts = self.lines(box, label, most, size)
            if len(parts) <= lines and all(self.width(part, size) <= box.width * mm for part in parts):
                return size
        raise LayoutError(f"label {label[:60]!r}: does not fit into {box.width:.0f} mm beside its boxes: shorten it")


def limit(field: Field) -> str:
    """The printed note on the largest value, such as "of 7½". It is empty for 999, 9999 and so on, which only repeat
    the number of boxes."""
    is_told = (field.digits < 3 or set(str(field.largest)) != {"9"}) and not field.label.endswith("=")
    return f"of {field.shown(field.largest)}" if is_told else ""


def tag_cells(code: int) -> list[list[bool]]:
    """The 8×8 cells of a tag with its border; True is black."""
    inner = [[not code >> (35 - 6 * row - column) & 1 for column in range(6)] for row in range(6)]
    return [[True] * 8, *([True, *row, True] for row in inner), [True] * 8]
