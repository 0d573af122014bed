"""From a picture of a sheet to its parts: where each lies in it, upright and under even light, and what its code says.

1. The four corner tags are found in a small copy of the picture by the AprilTag library (J. Wang and E. Olson, AprilTag
   2, IROS 2016). Then a line is fitted to each edge of their black squares in all pixels of the picture, and the lines
   meet in the corners: an edge is where, from black inside to white outside, half of it would be reached, which blur
   does not move.
2. The corners give the perspective that takes millimetres on the page to pixels of the picture (`homography`).
3. The QR code says which layout the sheet is of, and whose it is.
4. A sheet that is not quite flat is registered locally: each group of boxes is moved over the page until its own pale
   lines lie best on what is printed. Along the lines, the median of the ink counts, so that what is written across them
   does not. Between groups, the shifts are averaged by distance.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cache
from typing import Any

import numpy as np
import pupil_apriltags
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import SheetError
from sumnist.pictures.decode import Grey, Picture
from sumnist.pictures.filters import box_mean, closing
from sumnist.sheets.layout import FORMAT, QUIET, SIZES, Layout, Page, Rectangle, tags_on
from sumnist.sheets.pictures import PdfPage, grey_of

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

UNIT = 200 / 25.4
"""Pixels of a millimetre in which errors are told: those of a page at 200 to an inch."""
LEAST_DPI = 60.0
"""Pixels to an inch: with fewer, a cell has fewer than the network that reads it takes."""
LEAST_CONTRAST = 25.0
"""From black to white, in steps of uint8: with less, pale ink is lost."""
MOST_ERROR = 3.5
"""Pixels at 200 to an inch that a tag's corner may be off: that of a sheet whose middle is 12 mm above the table."""
COARSER = 1.5
"""A picture is reduced first where it has more than so many pixels for one of a crop."""
WIDEST_INK = 13
"""Millimetres: what is darker than its surroundings and wider is a shadow. A number crossed out is 10 mm high."""
DARKEST_PAPER = 0.1
"""Ink on paper darker than this is measured against this."""


def registered(picture: Picture | PdfPage, layout: Layout, page: Page) -> tuple[Registered, int, str]:
    """The sheet in a picture, or on a page of a PDF file, the version of its layout, and whose it is.

    Args:
        picture: What `intensities_of` takes, or a page of a PDF file.
        layout: That of the sheet.
        page: The page of the layout.

    Raises:
        ImageError: The picture cannot be read: `SheetError` if no sheet of that layout can be in it.
        MissingExtraError: It is a HEIC file, and the library for those is not installed.
    """
    name = str(picture) if isinstance(picture, PdfPage | str | os.PathLike) else "picture"
    sheet = register(grey_of(picture, name), page, name)
    version, identity = code_of(sheet, layout, name)
    return settled(sheet), version, identity


def register(grey: Bytes, page: Page, name: str) -> Registered:
    """The sheet in a picture `[H, W]`.

    Raises:
        SheetError: There is none, or it is not one whole and flat sheet.
    """
    images, contrast = tags_of(grey, name)
    points, matrix, error = perspective(page.tags, images)
    dpi = float(scale_at(matrix, points).min()) * 25.4
    if dpi < LEAST_DPI:
        raise SheetError(
            f"{name}: the sheet has {dpi:.0f} pixels to an inch, expected at least {LEAST_DPI:.0f}: photograph it from "
            "nearer, or send the picture in its full size"
        )
    if contrast < LEAST_CONTRAST:
        raise SheetError(
            f"{name}: black is {contrast:.0f} steps of 255 darker than white in it, expected at least "
            f"{LEAST_CONTRAST:.0f}: photograph it in more light"
        )
    if error > MOST_ERROR:
        for paper, size in SIZES.items():
            if size != (page.width, page.height) and perspective(tags_on(paper), images)[2] <= MOST_ERROR:
                raise SheetError(
                    f"{name}: its corner tags are where those of a sheet on {paper} paper are, expected a sheet of "
                    f"this layout, on {page.width:g}×{page.height:g} mm: read it with --layout of its own TOML file, "
                    "or print this layout again"
                )
        raise SheetError(
            f"{name}: its corner tags are up to {error / UNIT:.1f} mm from where those of a flat sheet of this layout "
            f"would be, expected at most {MOST_ERROR / UNIT:.1f} mm: lay it flat, alone, and photograph it from above"
        )
    return Registered(grey, page, matrix, error, dpi)


class Registered:
    """A sheet found in a picture.

    Attributes:
        grey: The picture, uint8 `[H, W]`.
        page: What is on the sheet.
        matrix: Takes millimetres on the page to pixels of the picture, float64 `[3, 3]`; a pixel's middle is at its
            half.
        error: The largest distance of a tag's corner from where the matrix puts it, in pixels at 200 to an inch.
        dpi: Pixels of the picture for an inch of the page, where they are fewest.
        shifts: Points of the page and by how much what is printed there is moved, `[N, 4]` in millimetres.
    """

    def __init__(self, grey: Bytes, page: Page, matrix: Floats, error: float, dpi: float) -> None:
        self.grey, self.page, self.matrix, self.error, self.dpi = grey, page, matrix, error, dpi
        self.shifts = np.empty((0, 4))
        self.reduced = cache(Image.fromarray(grey).reduce)
        # The bare paper, in [0, 1], with a pixel for each millimetre: a closing, which fills whatever dark is narrower
        # than a tag, and keeps the edges of shadows.
        whole, window = Rectangle(0, 0, page.width, page.height), WIDEST_INK | 1
        small = np.asarray(self.pixels([whole], 1.0)[0], np.float32) / np.float32(255)
        padded = np.pad(box_mean(small), window, "edge")
        paper = box_mean(closing(padded, window)[window:-window, window:-window])
        self.paper = Image.fromarray(paper.astype(np.float32))

    def corners(self, rectangle: Rectangle) -> Floats:
        """Where the corners of a rectangle are in the picture, clockwise from the upper left, `[4, 2]`."""
        corners = corners_of(rectangle)
        return mapped(self.matrix, corners + averaged(self.shifts, corners[::2].mean(0)[None]))

    def pixels(self, boxes: Sequence[Rectangle], scale: float, margin: float = 0.0) -> list[Image.Image]:
        """Rectangles of the page with so many millimetres around them, upright, where they are seen on a page that is
        not quite flat, with `scale` pixels for a millimetre, in grey of 0 to 255."""
        finest = scale_at(self.matrix, np.array([self.page.width / 2, self.page.height / 2])) / scale
        factor = max(1, int(np.ceil(finest / COARSER)))
        reduced, smaller = self.reduced(factor), np.diag([1 / factor, 1 / factor, 1])
        areas = np.array([(box.x, box.y, box.width, box.height) for box in boxes])
        areas += (-margin, -margin, 2 * margin, 2 * margin)
        seen, found = areas[:, :2] + averaged(self.shifts, areas[:, :2] + areas[:, 2:] / 2), []
        for (x, y), (width, height) in zip(seen.tolist(), areas[:, 2:].tolist(), strict=True):
            way = smaller @ self.matrix @ np.array([[1 / scale, 0, x], [0, 1 / scale, y], [0, 0, 1]])
            found.append(reduced.transform(
                (round(width * scale), round(height * scale)), Image.Transform.PERSPECTIVE,
                (way / way[2, 2]).ravel()[:8].tolist(), Image.Resampling.BICUBIC, fillcolor=255,
            ))  # fmt: skip
        return found

    def ink(self, boxes: Sequence[Rectangle], scale: float, margin: float = 0.0) -> list[Grey]:
        """The same as the share of the paper's light that is missing: float32 `[h, w]`, 0 for bare paper, 1 for
        black."""
        found = []
        for box, picture in zip(boxes, self.pixels(boxes, scale, margin), strict=True):
            onto = (1 / scale, 0, box.x - margin, 0, 1 / scale, box.y - margin)
            paper = self.paper.transform(picture.size, Image.Transform.AFFINE, onto, Image.Resampling.BILINEAR)
            grey = np.asarray(picture, np.float32) / np.float32(255)
            found.append((1 - grey / np.maximum(np.asarray(paper), DARKEST_PAPER)).clip(0, 1))
        return found


def corners_of(rectangle: Rectangle) -> Floats:
    """The corners of a rectangle, clockwise from the upper left, `[4, 2]`."""
    left, top, right, low = rectangle.x, rectangle.y, rectangle.right, rectangle.bottom
    return np.array([(left, top), (right, top), (right, low), (left, low)])


# Corner tags.

CORNERS = "upper left", "upper right", "lower right", "lower left"
"""Of the sheet, by the number of the tag that is there."""
SMALL = 1_000, 2_000, 4_000
"""Tags are looked for in a picture of at most so many pixels on the longer side, and if some are missing, so many: a
sheet of 40 % of a picture has cells of 3 pixels in the first."""
CELLS = 8
"""Cells of a side of a tag's black square, of which the outer ones are black."""
REACH = 0.6
"""An edge is looked for within so many cells; on both sides of it, one cell and more are of one colour."""
ALONG = 0.1, 0.9
"""Parts of an edge between which it is looked for: at its ends, blur mixes it with another."""
SAMPLES, ACROSS = 32, 25
"""Places along an edge, and pixels at each across it."""
OUTLYING = 3.0
"""Median deviations from an edge, with more of which a place is no part of it: a hair, a stroke, a crease."""
LOCK = threading.Lock()
"""The detector is one for all threads, and made for one at a time."""
if hasattr(os, "register_at_fork"):  # a child is forked between two pictures: no thread of its own would let go
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)


class Detector(pupil_apriltags.Detector):  # type: ignore[misc]
    """A detector that is never destroyed: the library frees its family first, and then uses that once more."""

    def __del__(self) -> None: ...


@cache
def detector() -> Detector:
    """The one of this process."""
    return Detector(families="tag36h11", nthreads=1, quad_decimate=1.0)


def tags_of(grey: Bytes, name: str) -> tuple[Floats, float]:
    """The corners of the four tags of a sheet, clockwise from its upper left, `[16, 2]` in pixels; and how much darker
    black is than white at the palest, in steps of uint8. Raises `SheetError`: not each of the four is there once."""
    picture = Image.fromarray(grey)
    found: dict[int, Floats] = {}
    for most in SMALL:
        factor = max(1, -(-max(picture.size) // most))
        every = detected(picture, factor)
        found = {**found, **dict(every)}
        if (twice := len(every) > len(dict(every))) or len(found) == len(CORNERS) or factor == 1:
            break
    if twice:
        raise SheetError(f"{name}: corner tags of two sheets are in it, expected one sheet: photograph each by itself")
    if len(found) < len(CORNERS):
        raise SheetError(f"{name}: {complaint(picture, found)}")
    corners = np.array([found[number] for number in range(len(CORNERS))])
    # Twice: blur that reaches to both ends of where an edge is looked for does no harm once that is symmetric.
    corners, contrast = refined(grey, refined(grey, corners)[0])
    return corners.reshape(-1, 2), float(contrast.mean(1).min())


def detected(picture: Image.Image, factor: int) -> list[tuple[int, Floats]]:
    """The corner tags in a picture reduced by `factor`, by their numbers, with their corners `[4, 2]`, clockwise from
    the upper left, in pixels of the picture."""
    small = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    with LOCK:
        tags = detector().detect(small)
    return [(tag.tag_id, tag.corners[::-1] * factor) for tag in tags if tag.tag_id < len(CORNERS)]


def complaint(picture: Image.Image, found: dict[int, Floats]) -> str:
    """What is wrong with a picture that has not all tags."""
    if found:
        *first, last = (corner for number, corner in enumerate(CORNERS) if number not in found)
        which = f"tags at the {', '.join(first)} and {last} are" if first else f"tag at the {last} is"
        return (
            f"the {which} not found, expected one in each corner of the sheet: photograph the whole page, uncovered "
            "and sharp"
        )
    if detected(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), max(1, -(-max(picture.size) // SMALL[0]))):
        return "the sheet is mirrored, expected it as it is printed: turn mirroring off in the camera or the scanner"
    return (
        "no corner tag is found, expected a sheet of `sumnist sheet new` with four of them: photograph the whole page, "
        "sharp and in even light"
    )


def refined(grey: Bytes, corners: Floats) -> tuple[Floats, Floats]:
    """The exact corners of tags whose corners `[N, 4, 2]` are known to some pixels, and by how many steps of uint8
    white is brighter than black at each edge, `[N, 4]`.

    Each edge is sampled across at some places, in pixels interpolated linearly. With b and w the means of its dark and
    of its bright end, the edge is where a step from b to w of the same area would be.
    """
    ends = np.roll(corners, -1, 1)
    length = np.linalg.norm(ends - corners, axis=-1)
    tangent = (ends - corners) / length[..., None]
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], -1)  # outwards, where corners go round clockwise
    (a, b), (c, d) = (corners[:, 2] - corners[:, 0]).T, (corners[:, 3] - corners[:, 1]).T
    height = ((a * d - b * c) / 2)[:, None] / length  # across each edge, where a tilted tag is shorter than along it
    reach = REACH * height / CELLS
    along, across = np.linspace(*ALONG, SAMPLES), np.linspace(-1, 1, ACROSS)
    places = corners[:, :, None] + along[:, None] * (ends - corners)[:, :, None]  # [N, 4, SAMPLES, 2]
    offsets = across * reach[..., None]
    profiles = sampled(grey, places[:, :, :, None] + (offsets[..., None] * normal[:, :, None])[:, :, None])
    tail = ACROSS // 6
    black, white = profiles[..., :tail].mean(-1), profiles[..., -tail:].mean(-1)
    contrast = np.maximum(white - black, 1.0)
    share = (profiles - black[..., None]) / contrast[..., None]
    inside = (1 - share)[..., 1:-1].sum(-1) + (1 - share)[..., [0, -1]].sum(-1) / 2
    shift = (inside / (ACROSS - 1) * 2 - 1) * reach[..., None]  # [N, 4, SAMPLES]
    line = lines(along, shift)
    start, end = corners + line[..., :1] * normal, ends + line.sum(-1, keepdims=True) * normal
    exact = meeting(start, end)
    near = np.linalg.norm(exact - corners, axis=-1, keepdims=True) <= reach.max()  # not so where no edge is seen
    return np.where(near, exact, corners), np.median(contrast, -1)


def sampled(grey: Bytes, points: Floats) -> Floats:
    """The brightness at points `[..., 2]`, x and y, linearly between pixels, whose middles are at their halves."""
    height, width = grey.shape
    x, y = (np.clip(points[..., axis] - 0.5, 0, most - 1.001) for axis, most in ((0, width), (1, height)))
    left, top = x.astype(int), y.astype(int)
    x, y = x - left, y - top
    upper = grey[top, left] * (1 - x) + grey[top, left + 1] * x
    lower = grey[top + 1, left] * (1 - x) + grey[top + 1, left + 1] * x
    return np.asarray(upper * (1 - y) + lower * y)


def lines(along: Floats, shift: Floats) -> Floats:
    """Lines `a + b · along` through places `[..., SAMPLES]` but those that lie far off: `[..., 2]`."""
    kept, basis = np.ones_like(shift), np.stack([np.ones_like(along), along], -1)
    for _ in range(3):
        weighted = kept[..., None] * basis
        line = np.linalg.solve(np.swapaxes(weighted, -1, -2) @ basis, (weighted * shift[..., None]).sum(-2)[..., None])
        line = line[..., 0]
        off = np.abs(shift - line @ basis.T)
        kept = (off <= OUTLYING * np.median(off, -1, keepdims=True) + 1e-9).astype(float)
    return line


def meeting(start: Floats, end: Floats) -> Floats:
    """Where each line meets the one before it: `[N, 4, 2]` from points on the lines, each `[N, 4, 2]`."""
    ways = end - start
    before, way = np.roll(start, 1, 1), np.roll(ways, 1, 1)
    gap = start - before
    cross = way[..., 0] * ways[..., 1] - way[..., 1] * ways[..., 0]
    part = (gap[..., 0] * ways[..., 1] - gap[..., 1] * ways[..., 0]) / np.where(cross, cross, np.nan)
    return np.asarray(before + part[..., None] * way)


# The perspective.


def perspective(tags: Sequence[Rectangle], images: Floats) -> tuple[Floats, Floats, float]:
    """The corners of tags `[16, 2]`, the matrix that takes them nearest to where they are seen, and by how much, in
    pixels at 200 to an inch, the worst of them is off."""
    points = np.concatenate([corners_of(tag) for tag in tags])
    matrix = homography(points, images)
    return points, matrix, float(np.linalg.norm(mapped(np.linalg.inv(matrix), images) - points, axis=1).max()) * UNIT


def mapped(matrix: NDArray[np.floating[Any]], points: Floats) -> Floats:
    """Points `[..., 2]` where a matrix takes them."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[..., :2] / moved[..., 2:])


def scale_at(matrix: Floats, points: Floats) -> Floats:
    """By how much a matrix enlarges what is around points `[..., 2]`: the root of the area of what a unit square
    becomes."""
    return np.asarray(np.sqrt(abs(np.linalg.det(matrix) / (points @ matrix[2, :2] + matrix[2, 2]) ** 3)))


def homography(points: Floats, images: Floats) -> Floats:
    """The matrix `[3, 3]`, its last entry 1, that takes points `[N, 2]`, N ≥ 4, nearest to their images in the sense of
    least squares.

    It is found by the normalised direct linear transform and then by two steps of Gauss and Newton (R. Hartley and A.
    Zisserman, Multiple View Geometry, 2nd edition, algorithms 4.2 and 4.3).
    """
    before, after = normal(points), normal(images)
    (x, y), (u, v) = mapped(before, points).T, mapped(after, images).T
    one, zero = np.ones_like(x), np.zeros_like(x)

    def rows(p: Floats, q: Floats) -> Floats:
        right = np.stack([x, y, one, zero, zero, zero, -p * x, -p * y], -1)
        return np.concatenate([right, np.stack([zero, zero, zero, x, y, one, -q * x, -q * y], -1)])

    matrix = np.linalg.svd(np.column_stack([rows(u, v), -np.concatenate([u, v])]))[2][-1].reshape(3, 3)
    matrix /= matrix[2, 2]
    for _ in range(2):
        p, q, w = matrix @ [x, y, one]
        p, q = p / w, q / w
        slopes = rows(p, q) / np.concatenate([w, w])[:, None]
        step = np.linalg.lstsq(slopes, np.concatenate([u - p, v - q]), rcond=None)[0]
        matrix = matrix + np.append(step, 0.0).reshape(3, 3)
    matrix = np.linalg.inv(after) @ matrix @ before
    return np.asarray(matrix / matrix[2, 2])


def normal(points: Floats) -> Floats:
    """The matrix that moves points `[N, 2]` to a mean of 0 and a mean distance of √2 from it."""
    middle = points.mean(0)
    scale = np.sqrt(2) / np.linalg.norm(points - middle, axis=1).mean()
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])


# The code.

SCALES = 8.0, 5.0, 12.0
"""Pixels of a millimetre at which the code is looked for, the first that mostly does first: a cell of it has 0.6 mm."""
QR = zxingcpp.barcode_formats_from_str("QRCode")
BINARIZERS = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
"""What makes grey black and white: with the light around it, and with that of all."""


def code_of(sheet: Registered, layout: Layout, name: str) -> tuple[int, str]:
    """What the code of a sheet says that is to be one of a layout: the version of that when it was printed, and whose
    it is, "" if it is nobody's in particular.

    Raises:
        SheetError: No code can be read, it is not one of ours, or it is one of another layout.
    """
    if (data := next(texts(sheet), None)) is None:
        raise SheetError(
            f"{name}: its QR code cannot be read, expected the one that is printed on the sheet: photograph it sharp "
            "and uncovered"
        )
    try:
        program, form, of, version, identity = data.decode().split(":", 4)
        if program != "sumnist":
            raise ValueError(program)
        printed_in, printed_as = int(form), int(version)
    except ValueError as error:
        said = data[:60].decode(errors="replace")
        raise SheetError(
            f"{name}: its QR code says {said!r}, expected one of `sumnist sheet new`: cover other codes in the picture"
        ) from error
    if printed_in != FORMAT:
        raise SheetError(
            f"{name}: was printed in format {printed_in}, expected {FORMAT}: read it with the sumnist that printed it"
        )
    if of != layout.id:
        raise SheetError(f"{name}: is of layout {of}, expected {layout.id}: read it with --layout of its own TOML file")
    return printed_as, identity


def texts(sheet: Registered) -> Iterator[bytes]:
    """What QR codes say, in pictures of where the code of a sheet should be, and at last in the whole picture."""
    for scale in (*SCALES, None):
        picture = np.asarray(sheet.pixels([sheet.page.code], scale, QUIET)[0]) if scale else sheet.grey
        for binarizer in BINARIZERS:
            for code in zxingcpp.read_barcodes(picture, formats=QR, binarizer=binarizer):
                yield bytes(code.bytes)


# A sheet that is not quite flat.

LINE_SCALE = 6.0
"""Pixels of a millimetre at which lines are looked for, 0.25 wide."""
FARTHEST = 1.5
"""Millimetres by which a group may be off: boxes are 10 apart, and a row never lies on another one's lines."""
AROUND = 0.5
"""Millimetres on both sides of a line that are bare paper, as far as it goes."""
PALE = 0.3
"""Ink that counts at most: lines are paler, and what is written is darker."""
LEAST = 0.04
"""Ink of a line above that around it, on average over the lines of a group: with less, they are not seen."""
CLEAR = 0.7
"""Of the best place's ink, what any other place that is not beside it may have."""
SOLID, DASHED = 50, 80
"""Percentile of the ink along a line: half of a dashed one is bare."""
FLAT = 0.08
"""Millimetres by which half of the groups are off at least on a sheet that is not flat: two thirds of a pixel of a page
at 200 to an inch."""
APART = 0.6
"""Millimetres by which a group may differ from those around it: with more, something else was taken for its lines."""


def settled(sheet: Registered) -> Registered:
    """The sheet with its boxes where their lines are seen, by up to 1.5 mm from where its corner tags say; from where
    those around them are, if some are that far off. A flat sheet stays as it is: tags are placed better than lines."""
    shifts = shifts_of(sheet)
    if not len(shifts) or np.median(np.linalg.norm(shifts[:, 2:], axis=1)) < FLAT:
        return sheet
    sheet = copy(sheet)  # whose picture and light are the same
    sheet.shifts = shifts
    if np.abs(shifts[:, 2:]).max() > FARTHEST / 2:
        sheet.shifts = shifts_of(sheet)
    return sheet


def shifts_of(sheet: Registered) -> Floats:
    """Where lines of boxes are seen, and by how much they are off from where the corner tags say, `[N, 4]`; what is
    known already if none are. Lines that those around them do not confirm count for nothing."""
    places = (*sheet.page.places, *([sheet.page.identity] if sheet.page.identity else []))
    groups = [group for place in places for group in ((place.boxes, SOLID), (place.correction, DASHED))]
    ends = [(row[0], row[-1].x + row[-1].width) for row, _ in groups]
    areas = [Rectangle(first.x, first.y, right - first.x, first.height) for first, right in ends]
    middles = np.array([(first.x + right, first.y + (first.y + first.height)) for first, right in ends]) / 2
    known, reach, found = averaged(sheet.shifts, middles), FARTHEST + AROUND + 0.5, []
    inks = sheet.ink(areas, LINE_SCALE, reach)
    for (boxes, percentile), area, seen, middle, shift in zip(groups, areas, inks, middles, known, strict=True):
        ink = np.minimum(seen, PALE)
        # From the corner of the ink, edges in millimetres, and pixels between them, without the ends, which another
        # line crosses.
        left, top = area.x - reach, area.y - reach
        sides = [(box.x - left, box.x + box.width - left) for box in boxes]
        columns = np.concatenate([
            np.arange(round((side + 1) * LINE_SCALE), round((side + box.width - 1) * LINE_SCALE))
            for (side, _), box in zip(sides, boxes, strict=True)
        ])  # fmt: skip
        y = area.y - top
        rows = slice(round((y + 1) * LINE_SCALE), round((y + area.height - 1) * LINE_SCALE))
        right = place_of(np.percentile(ink[rows], percentile, 0), np.unique(np.round(sides, 6)))
        down = place_of(np.percentile(ink[:, columns], percentile, 1), np.array([area.y, area.y + area.height]) - top)
        if right is not None and down is not None:
            found.append([*middle, shift[0] + right, shift[1] + down])
    if not found:
        return sheet.shifts
    shifts = np.array(found)
    weights = weights_at(shifts[:, :2], shifts[:, None, :2])
    np.fill_diagonal(weights, 0.0)
    others = weights @ shifts[:, 2:] / np.maximum(weights.sum(1, keepdims=True), np.finfo(float).tiny)
    return np.asarray(shifts[np.linalg.norm(shifts[:, 2:] - others, axis=1) <= APART])


def weights_at(known: Floats, points: Floats) -> Floats:
    """How much what is known at places `[N, 2]` counts at points `[..., 1, 2]`: by the distance to the power of −4,
    which ends at 5 mm."""
    return np.asarray((((known - points) ** 2).sum(-1) + 25.0) ** -2)


def averaged(known: Floats, points: Floats) -> Floats:
    """The shifts at points `[P, 2]`, given those `[N, 4]` of others: their weighted means."""
    found = np.zeros(points.shape)
    for place, weights in enumerate(weights_at(known[:, :2], points[:, None]) if len(known) else ()):
        found[place] = weights @ known[:, 2:] / weights.sum()
    return found


def place_of(profile: Floats, lines: Floats) -> float | None:
    """By how many millimetres parallel lines are moved, given where they should be and the ink along each place; None
    if they are not clearly seen."""
    ink = np.convolve(profile, np.ones(3) / 3, "same")
    by = np.arange(-round(FARTHEST * LINE_SCALE), round(FARTHEST * LINE_SCALE) + 1) / LINE_SCALE
    at, aside = (lines[:, None] + by) * LINE_SCALE - 0.5, AROUND * LINE_SCALE
    on, before, behind = np.interp(np.stack([at, at - aside, at + aside]), np.arange(len(ink)), ink)
    score = (on - (before + behind) / 2).mean(0)
    best = int(score.argmax())
    elsewhere = score[np.abs(by - by[best]) > AROUND]
    if score[best] < LEAST or elsewhere.max(initial=0.0) > CLEAR * score[best] or best in (0, len(by) - 1):
        return None
    low, most, high = score[best - 1 : best + 2]
    return float(by[best] + (low - high) / (low - 2 * most + high) / 2 / LINE_SCALE)
