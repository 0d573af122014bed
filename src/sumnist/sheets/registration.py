"""Locates a sheet in a picture, cuts out its parts upright and evenly lit, and reads its QR code.

1. The AprilTag library finds the four corner tags in a small copy of the picture (J. Wang and E. Olson, AprilTag 2,
   IROS 2016). Then a line is fitted to each edge of their black squares in all pixels of the picture, and the lines
   meet in the corners. An edge lies where a sharp step from black to white would have the same area. Blur does not move
   this place.
2. The corners give the perspective that maps millimetres on the page to pixels of the picture (`homography`).
3. The QR code says which layout the sheet has, and whose sheet it is.
4. A sheet that is not quite flat is registered locally: each group of boxes is moved over the page until its own pale
   lines fit best to the print. Along a line, the median of the ink counts, so strokes across the line do not matter.
   Between groups, the shifts are averaged by distance.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
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
from sumnist.sheets.layout import FORMAT, MM, SIZES, Layout, Page, Rectangle, tags_on
from sumnist.sheets.pictures import FilePage, grey_of

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

UNIT = 200 / 25.4
"""Pixels per millimetre of a page at 200 pixels per inch: errors are given in these pixels."""


@dataclass(frozen=True)
class Demands:
    """What a picture must have, and how its light is measured."""

    dpi: float = 60.0
    """The fewest pixels per inch: with fewer, a cell has fewer pixels than the network takes."""
    contrast: float = 25.0
    """The least contrast of black and white, in steps of uint8: with less, pale ink is lost."""
    error: float = 3.5
    """The most pixels, at 200 per inch, that a tag's corner may be off: as on a sheet whose middle is 12 mm above the
    table."""
    coarser: float = 1.5
    """A picture is reduced first if it has more than this many pixels for each pixel of a crop."""
    widest_ink: int = 13
    """A dark area wider than this, in millimetres, is a shadow. A crossed-out number is 10 mm high."""
    darkest_paper: float = 0.1
    """The darkest paper that ink is compared with: darker paper counts as this dark."""


DEMANDS = Demands()


def registered(
    picture: Picture | FilePage, layout: Layout, page: Page, name: str | None = None
) -> tuple[Registered, int, str]:
    """Find the sheet in a picture, or on a page of a PDF file, and read its code.

    Args:
        picture: A picture as `intensities_of` takes it, or a page of a PDF file.
        layout: The layout of the sheet.
        page: The page of the layout.
        name: The name of the picture in messages, if it has no path.

    Returns:
        The sheet, the version of its layout, and its identity.

    Raises:
        ImageError: The picture cannot be read; `SheetError` if it shows no sheet of that layout.
        MissingExtraError: It is a HEIC file, and the library for those is not installed.
    """
    name = str(picture) if isinstance(picture, FilePage | str | os.PathLike) else name or "picture"
    sheet = register(grey_of(picture, name), page, name)
    version, identity = code_of(sheet, layout, name)
    return settled(sheet), version, identity


def register(grey: Bytes, page: Page, name: str) -> Registered:
    """Find the sheet in a picture `[H, W]`, by its corner tags alone.

    Raises:
        SheetError: There is no sheet, or not exactly one that is whole, flat and clear enough.
    """
    images, contrast = tags_of(grey, name)
    points, matrix, error = perspective(page.tags, images)
    dpi = float(scale_at(matrix, points).min()) * 25.4
    if dpi < DEMANDS.dpi:
        raise SheetError(f"{name}: the sheet has {dpi:.0f} pixels to an inch, expected {DEMANDS.dpi:.0f}: come nearer")
    if contrast < DEMANDS.contrast:
        raise SheetError(f"{name}: black is {contrast:.0f} below white, expected {DEMANDS.contrast:.0f}: add light")
    if error > DEMANDS.error:
        found = f"{name}: its corner tags are up to {error / UNIT:.1f} mm off, expected"
        for paper, size in SIZES.items():
            if size != (page.width, page.height) and perspective(tags_on(paper), images)[2] <= DEMANDS.error:
                raise SheetError(f"{found} those of this layout, not of {paper}: read it with --layout of its own file")
        raise SheetError(f"{found} at most {DEMANDS.error / UNIT:.1f} mm: lay it flat, and photograph it from above")
    return Registered(grey, page, matrix, error, dpi)


class Registered:
    """A sheet found in a picture.

    Attributes:
        grey: The picture, uint8 `[H, W]`.
        page: The page of its layout.
        matrix: Maps millimetres on the page to pixels of the picture, float64 `[3, 3]`; the middle of the first pixel
            is at 0.5.
        error: The largest distance of a tag's corner from where the matrix puts it, in pixels at 200 per inch.
        dpi: Pixels of the picture per inch of the page, where they are fewest.
        shifts: N points of the page, and how far the print at each is moved: x, y, right and down, `[N, 4]`, in
            millimetres.
    """

    def __init__(self, grey: Bytes, page: Page, matrix: Floats, error: float, dpi: float) -> None:
        self.grey, self.page, self.matrix, self.error, self.dpi = grey, page, matrix, error, dpi
        self.shifts = np.empty((0, 4))
        self.reduced = cache(Image.fromarray(grey).reduce)
        # The bare paper, in [0, 1], with a pixel for each millimetre. A closing fills dark areas that are narrower than
        # a tag, and keeps the edges of shadows.
        whole, window = Rectangle(0, 0, page.width, page.height), DEMANDS.widest_ink | 1
        small = np.asarray(self.pixels([whole], 1.0)[0], np.float32) / np.float32(255)
        padded = np.pad(box_mean(small), window, "edge")
        paper = box_mean(closing(padded, window)[window:-window, window:-window])
        self.paper = Image.fromarray(paper.astype(np.float32))

    def pixels(self, boxes: Sequence[Rectangle], scale: float, margin: float = 0.0) -> list[Image.Image]:
        """Rectangles of the page with `margin` millimetres around them, upright, with `scale` pixels per millimetre, in
        grey of 0 to 255. On a page that is not quite flat, they are cut out where the print is seen (`shifts`)."""
        finest = scale_at(self.matrix, np.array([self.page.width / 2, self.page.height / 2])) / scale
        factor = max(1, int(np.ceil(finest / DEMANDS.coarser)))
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
        """The ink in rectangles, cut out as by `pixels`: the share of the paper's light that is missing, float32
        `[h, w]`, 0 for bare paper, 1 for black."""
        found = []
        for box, picture in zip(boxes, self.pixels(boxes, scale, margin), strict=True):
            onto = (1 / scale, 0, box.x - margin, 0, 1 / scale, box.y - margin)
            paper = self.paper.transform(picture.size, Image.Transform.AFFINE, onto, Image.Resampling.BILINEAR)
            grey = np.asarray(picture, np.float32) / np.float32(255)
            found.append((1 - grey / np.maximum(np.asarray(paper), DEMANDS.darkest_paper)).clip(0, 1))
        return found


def corners_of(rectangle: Rectangle) -> Floats:
    """The corners of a rectangle, clockwise from the upper left, `[4, 2]`."""
    left, top, right, low = rectangle.x, rectangle.y, rectangle.right, rectangle.bottom
    return np.array([(left, top), (right, top), (right, low), (left, low)])


# Corner tags.

CORNERS = "upper left", "upper right", "lower right", "lower left"
"""The corners of the sheet, in the order of their tags' numbers."""


@dataclass(frozen=True)
class Edges:
    """How the corner tags are looked for, and how their edges are measured."""

    small: tuple[int, ...] = (1_000, 2_000, 4_000)
    """The most pixels on the longer side of the picture in which tags are looked for; the next size is tried if tags
    are missing. In the first, a sheet of 40 % of a picture has cells of 3 pixels."""
    cells: int = 8
    """Cells along a side of a tag's black square; the outer cells are black."""
    reach: float = 0.6
    """An edge is looked for within this many cells of its expected place. The picture has a single colour for at least
    one cell on each side of an edge."""
    along: tuple[float, float] = (0.1, 0.9)
    """The part of an edge that is sampled, from and to, as shares of its length: at its ends, blur mixes it with the
    next edge."""
    samples: int = 32
    """How many places along an edge are sampled."""
    across: int = 25
    """How many samples go across an edge at each place."""
    outlying: float = 3.0
    """A place that is more than this many median deviations off an edge is not part of it: a hair, a stroke, a
    crease."""


EDGES = Edges()

LOCK = threading.Lock()
"""All threads share one detector, which works for one thread at a time."""
if hasattr(os, "register_at_fork"):  # fork between two pictures: a child has no thread to release the lock
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)


class Detector(pupil_apriltags.Detector):  # type: ignore[misc]
    """A detector that is never destroyed: the library's destructor frees the tag family, and then uses it once more."""

    def __del__(self) -> None: ...


@cache
def detector() -> Detector:
    """The detector of this process."""
    return Detector(families="tag36h11", nthreads=1, quad_decimate=1.0)


def tags_of(grey: Bytes, name: str) -> tuple[Floats, float]:
    """The corners of the four tags of a sheet, clockwise from its upper left, `[16, 2]` in pixels; and the contrast of
    black and white at the palest tag, in steps of uint8. Raises `SheetError` unless each tag is there exactly once."""
    picture = Image.fromarray(grey)
    found: dict[int, Floats] = {}
    for most in EDGES.small:
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
    # Twice: blur that reaches both ends of the searched range does no harm once the edge is in its middle.
    corners, contrast = refined(grey, refined(grey, corners)[0])
    return corners.reshape(-1, 2), float(contrast.mean(1).min())


def detected(picture: Image.Image, factor: int) -> list[tuple[int, Floats]]:
    """The corner tags found in a picture reduced by `factor`: their numbers, and their corners `[4, 2]`, clockwise from
    the upper left, in pixels of the picture itself."""
    small = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    with LOCK:
        tags = detector().detect(small)
    return [(tag.tag_id, tag.corners[::-1] * factor) for tag in tags if tag.tag_id < len(CORNERS)]


def complaint(picture: Image.Image, found: dict[int, Floats]) -> str:
    """The message for a picture in which tags are missing."""
    if found:
        missing = " and the ".join(corner for number, corner in enumerate(CORNERS) if number not in found)
        return f"no tag at the {missing}, expected one in each corner: photograph the whole page, uncovered and sharp"
    if detected(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), max(1, -(-max(picture.size) // EDGES.small[0]))):
        return "the sheet is mirrored, expected it as it is printed: turn mirroring off in the camera or the scanner"
    return "no corner tag is found, expected a sheet of `sumnist sheet new` with four: photograph the whole page"


def refined(grey: Bytes, corners: Floats) -> tuple[Floats, Floats]:
    """The exact corners of tags whose corners `[N, 4, 2]` are known to some pixels, and how much brighter white is than
    black at each edge, in steps of uint8, `[N, 4]`.

    Each edge is sampled across at several places, with linear interpolation between pixels. With b and w the means of
    the dark and of the bright end, the edge is where a step from b to w of the same area would be.
    """
    ends = np.roll(corners, -1, 1)
    length = np.linalg.norm(ends - corners, axis=-1)
    tangent = (ends - corners) / length[..., None]
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], -1)  # outwards, since corners go round clockwise
    (a, b), (c, d) = (corners[:, 2] - corners[:, 0]).T, (corners[:, 3] - corners[:, 1]).T
    height = ((a * d - b * c) / 2)[:, None] / length  # across each edge; a tilt makes it shorter than along the edge
    reach = EDGES.reach * height / EDGES.cells
    along, across = np.linspace(*EDGES.along, EDGES.samples), np.linspace(-1, 1, EDGES.across)
    places = corners[:, :, None] + along[:, None] * (ends - corners)[:, :, None]  # [N, 4, EDGES.samples, 2]
    offsets = across * reach[..., None]
    profiles = sampled(grey, places[:, :, :, None] + (offsets[..., None] * normal[:, :, None])[:, :, None])
    tail = EDGES.across // 6
    black, white = profiles[..., :tail].mean(-1), profiles[..., -tail:].mean(-1)
    contrast = np.maximum(white - black, 1.0)
    share = (profiles - black[..., None]) / contrast[..., None]
    inside = (1 - share)[..., 1:-1].sum(-1) + (1 - share)[..., [0, -1]].sum(-1) / 2
    shift = (inside / (EDGES.across - 1) * 2 - 1) * reach[..., None]  # [N, 4, EDGES.samples]
    line = lines(along, shift)
    start, end = corners + line[..., :1] * normal, ends + line.sum(-1, keepdims=True) * normal
    exact = meeting(start, end)
    near = np.linalg.norm(exact - corners, axis=-1, keepdims=True) <= reach.max()  # far off if no edge is seen
    return np.where(near, exact, corners), np.median(contrast, -1)


def sampled(grey: Bytes, points: Floats) -> Floats:
    """The brightness at points `[..., 2]`, x and y, interpolated linearly; the middle of the first pixel is at 0.5."""
    height, width = grey.shape
    x, y = (np.clip(points[..., axis] - 0.5, 0, most - 1.001) for axis, most in ((0, width), (1, height)))
    left, top = x.astype(int), y.astype(int)
    x, y = x - left, y - top
    upper = grey[top, left] * (1 - x) + grey[top, left + 1] * x
    lower = grey[top + 1, left] * (1 - x) + grey[top + 1, left + 1] * x
    return np.asarray(upper * (1 - y) + lower * y)


def lines(along: Floats, shift: Floats) -> Floats:
    """Lines `a + b · along` fitted to places `[..., EDGES.samples]` without outliers: a and b, `[..., 2]`."""
    kept, basis = np.ones_like(shift), np.stack([np.ones_like(along), along], -1)
    for _ in range(3):
        weighted = kept[..., None] * basis
        line = np.linalg.solve(np.swapaxes(weighted, -1, -2) @ basis, (weighted * shift[..., None]).sum(-2)[..., None])
        line = line[..., 0]
        off = np.abs(shift - line @ basis.T)
        kept = (off <= EDGES.outlying * np.median(off, -1, keepdims=True) + 1e-9).astype(float)
    return line


def meeting(start: Floats, end: Floats) -> Floats:
    """Where each line meets the line before it, `[N, 4, 2]`, given two points on each line, `[N, 4, 2]`."""
    ways = end - start
    before, way = np.roll(start, 1, 1), np.roll(ways, 1, 1)
    gap = start - before
    cross = way[..., 0] * ways[..., 1] - way[..., 1] * ways[..., 0]
    part = (gap[..., 0] * ways[..., 1] - gap[..., 1] * ways[..., 0]) / np.where(cross, cross, np.nan)
    return np.asarray(before + part[..., None] * way)


# The perspective.


def perspective(tags: Sequence[Rectangle], images: Floats) -> tuple[Floats, Floats, float]:
    """The corners of tags on the page, `[16, 2]`; the matrix that maps them nearest to where they are seen; and the
    largest error of a corner, in pixels at 200 per inch."""
    points = np.concatenate([corners_of(tag) for tag in tags])
    matrix = homography(points, images)
    return points, matrix, float(np.linalg.norm(mapped(np.linalg.inv(matrix), images) - points, axis=1).max()) * UNIT


def mapped(matrix: NDArray[np.floating[Any]], points: Floats) -> Floats:
    """Points `[..., 2]`, mapped by a matrix."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[..., :2] / moved[..., 2:])


def scale_at(matrix: Floats, points: Floats) -> Floats:
    """How much a matrix enlarges the surroundings of points `[..., 2]`: the root of the area that it gives a unit
    square."""
    return np.asarray(np.sqrt(abs(np.linalg.det(matrix) / (points @ matrix[2, :2] + matrix[2, 2]) ** 3)))


def homography(points: Floats, images: Floats) -> Floats:
    """The matrix `[3, 3]`, its last entry 1, that maps points `[N, 2]`, N ≥ 4, nearest to their images by least
    squares.

    It is found by the normalised direct linear transform and then by two Gauss–Newton steps (R. Hartley and A.
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
"""Pixels per millimetre at which the code is looked for; the first mostly works. A cell of the code has 0.6 mm."""
QR = zxingcpp.barcode_formats_from_str("QRCode")
BINARIZERS = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
"""Two ways to make grey black and white: by the light around each pixel, and by the light of the whole picture."""


def code_of(sheet: Registered, layout: Layout, name: str) -> tuple[int, str]:
    """Read the QR code of a sheet that should have this layout: the version of the layout when the sheet was printed,
    and the identity, "" if the sheet is for nobody in particular.

    Raises:
        SheetError: No code can be read, or it is not one of ours, or of another format or layout.
    """
    if (data := next(texts(sheet), None)) is None:
        raise SheetError(f"{name}: its QR code cannot be read, expected the printed one: photograph it sharp and bare")
    try:
        program, form, of, version, identity = data.decode().split(":", 4)
        if program != "sumnist":
            raise ValueError(program)
        printed_in, printed_as = int(form), int(version)
    except ValueError as error:
        content = data[:60].decode(errors="replace")
        raise SheetError(f"{name}: its QR code says {content!r}, expected one of a sheet: cover other codes") from error
    if printed_in != FORMAT:
        raise SheetError(f"{name}: is of format {printed_in}, expected {FORMAT}: read it with the sumnist that made it")
    if of != layout.id:
        raise SheetError(f"{name}: is of layout {of}, expected {layout.id}: read it with --layout of its own TOML file")
    return printed_as, identity


def texts(sheet: Registered) -> Iterator[bytes]:
    """The contents of QR codes in pictures of the place where the sheet's code should be, and at last in the whole
    picture."""
    for scale in (*SCALES, None):
        picture = np.asarray(sheet.pixels([sheet.page.code], scale, MM.quiet)[0]) if scale else sheet.grey
        for binarizer in BINARIZERS:
            for code in zxingcpp.read_barcodes(picture, formats=QR, binarizer=binarizer):
                yield bytes(code.bytes)


# A sheet that is not quite flat.


@dataclass(frozen=True)
class BoxLines:
    """How the printed lines of boxes are looked for on a sheet that is not quite flat."""

    scale: float = 6.0
    """Pixels per millimetre at which lines are looked for; a line is 0.25 mm wide."""
    farthest: float = 1.5
    """How many millimetres a group of boxes may be off: so few that a row never matches the lines of another row."""
    around: float = 0.5
    """Millimetres on both sides of a line that are mostly bare paper."""
    pale: float = 0.3
    """Ink counts at most this much: lines are paler, and handwriting is darker."""
    least: float = 0.04
    """The least difference of ink between a line and its surroundings, averaged over the lines of a group: with less,
    the lines are not seen."""
    clear: float = 0.7
    """Lines are clearly seen if no place away from the best one has more than this share of the ink at the best one."""
    solid: int = 50
    """Which percentile of the ink along a solid line counts."""
    dashed: int = 80
    """The same of a dashed line, half of which is bare."""
    flat: float = 0.08
    """A sheet is not flat if half of its groups are off by at least this many millimetres: two thirds of a pixel at 200
    pixels per inch."""
    apart: float = 0.6
    """How many millimetres a group's shift may differ from those around it: with more, something else was taken for its
    lines."""


BOX_LINES = BoxLines()


def settled(sheet: Registered) -> Registered:
    """The sheet with its boxes moved to where their lines are seen, up to 1.5 mm from where the corner tags put them.
    If some boxes are far off, the search starts once more from the shifts of the boxes around them. A flat sheet stays
    as it is: tags locate it better than lines."""
    shifts = shifts_of(sheet)
    if not len(shifts) or np.median(np.linalg.norm(shifts[:, 2:], axis=1)) < BOX_LINES.flat:
        return sheet
    sheet = copy(sheet)  # the copy shares the picture and the light
    sheet.shifts = shifts
    if np.abs(shifts[:, 2:]).max() > BOX_LINES.farthest / 2:
        sheet.shifts = shifts_of(sheet)
    return sheet


def shifts_of(sheet: Registered) -> Floats:
    """For each group of boxes whose lines are seen: its middle on the page, and how far the lines are from where the
    corner tags put them, `[N, 4]` in millimetres. If no lines are seen, the known shifts. Groups that differ much from
    those around them are left out."""
    places = (*sheet.page.places, *([sheet.page.identity] if sheet.page.identity else []))
    solid, dashed = BOX_LINES.solid, BOX_LINES.dashed
    groups = [group for place in places for group in ((place.boxes, solid), (place.correction, dashed))]
    ends = [(row[0], row[-1].x + row[-1].width) for row, _ in groups]
    areas = [Rectangle(first.x, first.y, right - first.x, first.height) for first, right in ends]
    middles = np.array([(first.x + right, first.y + (first.y + first.height)) for first, right in ends]) / 2
    known, reach, found = averaged(sheet.shifts, middles), BOX_LINES.farthest + BOX_LINES.around + 0.5, []
    inks = sheet.ink(areas, BOX_LINES.scale, reach)
    for (boxes, percentile), area, seen, middle, shift in zip(groups, areas, inks, middles, known, strict=True):
        ink = np.minimum(seen, BOX_LINES.pale)
        # Measured from the corner of the ink: edges in millimetres, and the pixels between them without the ends, where
        # other lines cross.
        left, top = area.x - reach, area.y - reach
        sides = [(box.x - left, box.x + box.width - left) for box in boxes]
        columns = np.concatenate([
            np.arange(round((side + 1) * BOX_LINES.scale), round((side + box.width - 1) * BOX_LINES.scale))
            for (side, _), box in zip(sides, boxes, strict=True)
        ])  # fmt: skip
        y = area.y - top
        rows = slice(round((y + 1) * BOX_LINES.scale), round((y + area.height - 1) * BOX_LINES.scale))
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
    return np.asarray(shifts[np.linalg.norm(shifts[:, 2:] - others, axis=1) <= BOX_LINES.apart])


def weights_at(known: Floats, points: Floats) -> Floats:
    """The weights of known places `[N, 2]` at points `[..., 1, 2]`: they fall with the fourth power of the distance,
    and level off below 5 mm."""
    return np.asarray((((known - points) ** 2).sum(-1) + 25.0) ** -2)


def averaged(known: Floats, points: Floats) -> Floats:
    """The shifts at points `[P, 2]`: weighted means of the known shifts `[N, 4]`."""
    found = np.zeros(points.shape)
    for place, weights in enumerate(weights_at(known[:, :2], points[:, None]) if len(known) else ()):
        found[place] = weights @ known[:, 2:] / weights.sum()
    return found


def place_of(profile: Floats, lines: Floats) -> float | None:
    """How many millimetres parallel lines are moved, given where they should be and a profile of the ink across them;
    None if they are not clearly seen."""
    ink = np.convolve(profile, np.ones(3) / 3, "same")
    farthest = round(BOX_LINES.farthest * BOX_LINES.scale)
    by = np.arange(-farthest, farthest + 1) / BOX_LINES.scale
    at, aside = (lines[:, None] + by) * BOX_LINES.scale - 0.5, BOX_LINES.around * BOX_LINES.scale
    on, before, behind = np.interp(np.stack([at, at - aside, at + aside]), np.arange(len(ink)), ink)
    score = (on - (before + behind) / 2).mean(0)
    best = int(score.argmax())
    elsewhere = score[np.abs(by - by[best]) > BOX_LINES.around]
    is_clear = elsewhere.max(initial=0.0) <= BOX_LINES.clear * score[best]
    if score[best] < BOX_LINES.least or not is_clear or best in (0, len(by) - 1):
        return None
    low, most, high = score[best - 1 : best + 2]
    return float(by[best] + (low - high) / (low - 2 * most + high) / 2 / BOX_LINES.scale)
