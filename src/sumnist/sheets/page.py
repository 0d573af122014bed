"""Where everything lies on a page: what printing draws, and where reading looks for it.

It follows from what `Layout.id` tells and from nothing else, so not from titles and labels: a form that was printed
long ago is found by its layout. What changes the geometry here raises `layout.FORMAT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil

from sumnist.errors import LayoutError
from sumnist.sheets.layout import Field, Layout, Paper

__all__ = ["SIZES", "Page", "Place", "Rectangle", "tags_on"]

SIZES: dict[Paper, tuple[float, float]] = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}
"""Width and height of each paper."""
MARGIN = 10.0
"""From the edge to the tags: twice what most printers leave white."""
TAG = 13.0
"""Side of a corner tag's black square: its cells are 5 pixels wide where a page is 650 pixels wide."""
CODE = 20.0
"""Side of the QR code: cells of about 0.6 mm, which a telephone resolves from where it sees all of an A4 page."""
QUIET = 4.0
"""White around tags and code: more than one cell of a tag and four of the code, as their standards ask."""
BOX = (8.0, 10.0)
"""Width and height of a box for a digit."""
POINT = 3.0
"""Width of the space for a printed point."""
BETWEEN = 4.0
"""From the boxes to those of the correction."""
LABEL = 20.0
"""Least width of a label: the words "Question 12" in small print."""
BENEATH = 2.0
"""From the boxes to those of a correction beneath them."""
GAP = 2.0
"""From a label to the boxes."""
GUTTER = 8.0
"""Between columns."""
SPACING = (2.5, 6.0)
"""The least and the most between rows; the boxes above must not catch the tails of digits."""
HEADING = 5.0
"""Height of the words above the corrections."""
FRAME = 2.5
"""From the boxes of a total to the frame around it: so far off that no digit touches it."""
MOST_COLUMNS = 4


@dataclass(frozen=True)
class Rectangle:
    """A part of a page, in millimetres from its top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    def below(self, height: float) -> Rectangle:
        """What is left of it without so much at its top."""
        return Rectangle(self.x, self.y + height, self.width, self.height - height)

    def grown(self, by: float) -> Rectangle:
        """The rectangle with so much more on each side."""
        return Rectangle(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)


@dataclass(frozen=True)
class Place:
    """Where a field lies.

    Attributes:
        name: The name of the field; "" for the identity.
        label: For its label.
        boxes: One for each digit, from left to right, the one for halves last; or the one strip.
        correction: The same for what is written instead.
        frame: Around all of it, if it is a total.
    """

    name: str
    label: Rectangle
    boxes: tuple[Rectangle, ...]
    correction: tuple[Rectangle, ...]
    frame: Rectangle | None = None


@dataclass(frozen=True)
class Page:
    """Where everything lies on a page, in millimetres from its top left corner.

    Attributes:
        width: Of the paper.
        height: Of the paper.
        tags: The black squares of the corner tags, clockwise from the top left.
        code: The QR code, without the white around it.
        title: For the title.
        person: For who it is.
        instruction: For the line that says how to fill it in.
        footer: For what the layout is.
        identity: Where a number is written that says who it is, if one is.
        places: Where each field lies, in the order of the layout.
        headings: For the word above, or beside, the corrections.
    """

    width: float
    height: float
    tags: tuple[Rectangle, Rectangle, Rectangle, Rectangle]
    code: Rectangle
    title: Rectangle
    person: Rectangle
    instruction: Rectangle
    footer: Rectangle
    identity: Place | None
    places: tuple[Place, ...]
    headings: tuple[Rectangle, ...]

    @classmethod
    def of(cls, layout: Layout) -> Page:
        """The page of a layout. Raises `LayoutError` if it is too small for it."""
        width, height = SIZES[layout.paper]
        tags = near, _, far, _ = tags_on(layout.paper)
        right, low = far.x, far.y
        code = Rectangle(right - QUIET - CODE, MARGIN, CODE, CODE)
        left, y = near.right + QUIET, code.bottom + QUIET
        beside = code.x - QUIET - left
        line = Rectangle(MARGIN + FRAME, y, width - 2 * (MARGIN + FRAME), HEADING)
        body = Rectangle(line.x, line.bottom + HEADING, line.width, low - QUIET - line.bottom - HEADING)
        identity: Place | None = None
        headings: tuple[Rectangle, ...] = ()
        if layout.identity.kind == "digits":
            number = Field("identity", "Number", "boxes", layout.identity.digits, 1)
            column = Column.of([number], body, [number])
            ((identity,), headings) = column.places(0.0), column.headings(0.0)
            body = body.below(column.height(0.0) + QUIET + HEADING)
        places, more = arranged(layout, body)
        return cls(
            width, height, tags, code,
            title=Rectangle(left, MARGIN, beside, 9.0), person=Rectangle(left, MARGIN + 11, beside, 9.0),
            instruction=line, footer=Rectangle(left, far.bottom - HEADING, far.x - QUIET - left, HEADING),
            identity=identity, places=places, headings=(*headings, *more),
        )  # fmt: skip


def tags_on(paper: Paper) -> tuple[Rectangle, Rectangle, Rectangle, Rectangle]:
    """The black squares of the corner tags on a paper, clockwise from the top left."""
    right, low = (side - MARGIN - TAG for side in SIZES[paper])
    return (
        Rectangle(MARGIN, MARGIN, TAG, TAG), Rectangle(right, MARGIN, TAG, TAG), Rectangle(right, low, TAG, TAG),
        Rectangle(MARGIN, low, TAG, TAG),
    )  # fmt: skip


@dataclass(frozen=True)
class Column:
    """Fields below each other.

    Attributes:
        fields: From top to bottom.
        area: Where they go; they may end above its end.
        whole: The width of the widest correction that is beside its field, up to the point.
        tail: What that has behind the point.
        framed: Whether there are frames around them, which reach to the left and the right of the area.
    """

    fields: Sequence[Field]
    area: Rectangle
    whole: float
    tail: float
    framed: bool = False

    @classmethod
    def of(cls, fields: Sequence[Field], area: Rectangle, peers: Sequence[Field], framed: bool = False) -> Column:
        """A column whose boxes stand below those of its `peers`."""
        end = max(map(tail, peers), default=0.0)
        fitting = [whole(field) for field in peers if LABEL + 2 * (whole(field) + end) + BETWEEN <= area.width]
        return cls(fields, area, max(fitting, default=0.0), end, framed)

    @property
    def fits(self) -> bool:
        """Whether it is wide enough, and high enough."""
        wide = all(LABEL + whole(field) + self.tail <= self.area.width for field in self.fields)
        return wide and self.height(SPACING[0]) <= self.area.height

    @property
    def spacing(self) -> float:
        """As much between its rows as there is room for, within limits."""
        room = (self.area.height - self.height(0.0)) / max(1, len(self.fields) - 1)
        return min(max(room, SPACING[0]), SPACING[1])

    def height(self, spacing: float) -> float:
        """How high it is with so much between its rows."""
        return sum(map(self.row, self.fields)) + spacing * (len(self.fields) - 1)

    def is_beside(self, field: Field) -> bool:
        """Whether the correction of a field is beside it, not beneath."""
        return whole(field) <= self.whole

    def row(self, field: Field) -> float:
        """How high the row of a field is."""
        return BOX[1] + (0.0 if self.is_beside(field) else BENEATH + BOX[1]) + 2 * FRAME * self.framed

    def tops(self, spacing: float) -> list[float]:
        """Where the boxes of each row begin."""
        heights = [self.row(field) + spacing for field in self.fields]
        return [self.area.y + FRAME * self.framed + before for before in accumulate(heights[:-1], initial=0.0)]

    def places(self, spacing: float) -> tuple[Place, ...]:
        """Where each field lies."""
        return tuple(self.place(field, y) for field, y in zip(self.fields, self.tops(spacing), strict=True))

    def place(self, field: Field, y: float) -> Place:
        """Where a field lies whose boxes begin at `y`."""
        point, x = self.area.right - self.tail, self.area.x
        if self.is_beside(field):
            boxes, correction = boxes_of(field, point - self.whole - self.tail - BETWEEN, y), boxes_of(field, point, y)
        else:
            boxes, correction = boxes_of(field, point, y), boxes_of(field, point, y + BOX[1] + BENEATH)
        frame = Rectangle(x - FRAME, y - FRAME, self.area.width + 2 * FRAME, self.row(field)) if self.framed else None
        label = Rectangle(x, y, boxes[0].x - GAP - x, BOX[1])
        return Place(field.name, label, boxes, correction, frame)

    def headings(self, spacing: float) -> tuple[Rectangle, ...]:
        """Where the word "correction" goes: above those beside their fields, and before each of those beneath."""
        found = [
            Rectangle(self.area.x, place.correction[0].y, place.correction[0].x - GAP - self.area.x, BOX[1])
            for field, place in zip(self.fields, self.places(spacing), strict=True)
            if not self.is_beside(field)
        ]
        if self.framed or not any(map(self.is_beside, self.fields)):
            return tuple(found)
        return (Rectangle(self.area.right - LABEL, self.area.y - HEADING, LABEL, HEADING), *found)


def whole(field: Field) -> float:
    """The width of the boxes of a field up to its point."""
    return field.digits * BOX[0]


def tail(field: Field) -> float:
    """The width of what a field has behind its last whole digit."""
    return POINT + BOX[0] if field.halves else 0.0


def boxes_of(field: Field, point: float, y: float) -> tuple[Rectangle, ...]:
    """The boxes of a field, or its strip, whose last whole digit ends at `point`."""
    left = point - whole(field)
    if field.kind == "strip":
        return (Rectangle(left, y, whole(field) + tail(field), BOX[1]),)
    edges = [left + place * BOX[0] for place in range(field.digits)] + [point + POINT] * field.halves
    return tuple(Rectangle(x, y, *BOX) for x in edges)


def arranged(layout: Layout, body: Rectangle) -> tuple[tuple[Place, ...], tuple[Rectangle, ...]]:
    """The places and headings of a layout's fields, in as few columns as will do, and of its totals below them. Raises
    `LayoutError`."""
    totals = layout.totals
    ordinary = layout.fields[: len(layout.fields) - len(totals)]
    for across in range(1, MOST_COLUMNS + 1):
        for below in range(1, across + 1 if totals else 2):
            peers = layout.fields if across == below else totals
            last = columns(totals, below, body, peers, framed=True)
            high = max((column.height(SPACING[0]) for column in last), default=-QUIET) + QUIET
            upper = replace(body, height=body.height - high)
            first = columns(ordinary, across, upper, layout.fields if across == below else ordinary)
            if not all(column.fits for column in (*first, *last)):
                continue
            spacing = min((column.spacing for column in first), default=0.0)
            used = max((column.height(spacing) for column in first), default=-QUIET) + QUIET
            last = columns(totals, below, body.below(used), peers, framed=True)
            placed = [(column, spacing) for column in first] + [(column, SPACING[0]) for column in last]
            return (
                tuple(place for column, spacing in placed for place in column.places(spacing)),
                tuple(heading for column, spacing in placed for heading in column.headings(spacing)),
            )
    width, height = SIZES[layout.paper]
    digits = max(field.digits for field in layout.fields)
    raise LayoutError(
        f"{len(layout.fields)} fields, totals among them, of up to {digits} digits do not fit on {layout.paper}, "
        f"{width:g}×{height:g} mm, expected at most about 40 fields of two digits: make two layouts of it"
    )


def columns(
    fields: Sequence[Field], count: int, area: Rectangle, peers: Sequence[Field], framed: bool = False
) -> list[Column]:
    """Fields in up to `count` columns of one width, the first ones in the first."""
    width = (area.width - (count - 1) * GUTTER) / count
    rows = max(1, ceil(len(fields) / count))
    return [
        Column.of(
            fields[start : start + rows], replace(area, x=area.x + place * (width + GUTTER), width=width), peers, framed
        )
        for place, start in enumerate(range(0, len(fields), rows))
    ]
