"""The corner tags of a sheet in a picture: which ones there are, and where their corners are, to a tenth of a pixel.

They are found in a small copy of the picture by the AprilTag library (J. Wang and E. Olson, AprilTag 2, IROS 2016).
Then a line is fitted to each edge of their black squares in all pixels of the picture, and the lines meet in the
corners: an edge is where, from black inside to white outside, half of it would be reached, which blur does not move.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cache

import numpy as np
import pupil_apriltags
from numpy.typing import NDArray
from PIL import Image

from sumnist.errors import SheetError

__all__ = ["Tags", "tags_of"]

Floats = NDArray[np.float64]

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
PASSES = 2
"""Times that edges are looked for: blur that reaches to both ends of where one is looked for does no harm once that is
symmetric."""
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


@dataclass(frozen=True)
class Tags:
    """Tags, by their edges.

    Attributes:
        corners: Where the lines along them meet, `[N, 4, 2]` in pixels.
        contrast: From black to white, in steps of uint8, `[N, 4]`.
    """

    corners: Floats
    contrast: Floats


def tags_of(grey: NDArray[np.uint8], name: str) -> Tags:
    """The four corner tags of a sheet, clockwise from its upper left, with their corners.

    Args:
        grey: uint8 `[H, W]`.
        name: What messages call the picture.

    Raises:
        SheetError: Not each of the four is there once.
    """
    picture = Image.fromarray(grey)
    found: dict[int, Floats] = {}
    for most in SMALL:
        factor = max(1, -(-max(picture.size) // most))
        every = detected(picture, factor)
        found = {**found, **dict(every)}
        if (twice := len(every) - len(dict(every))) or len(found) == len(CORNERS) or factor == 1:
            break
    if twice:
        raise SheetError(f"{name}: corner tags of two sheets are in it, expected one sheet: photograph each by itself")
    if len(found) < len(CORNERS):
        raise SheetError(f"{name}: {complaint(picture, found)}")
    corners = np.array([found[number] for number in range(len(CORNERS))])
    for _ in range(PASSES - 1):
        corners = refined(grey, corners).corners
    return refined(grey, corners)


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
        missing = [corner for number, corner in enumerate(CORNERS) if number not in found]
        which = f"tag at the {missing[0]} is" if len(missing) == 1 else f"tags at the {listed(missing)} are"
        return (
            f"the {which} not found, expected one in each corner of the sheet: photograph the whole page, uncovered "
            "and sharp"
        )
    mirror = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if detected(mirror, max(1, -(-max(picture.size) // SMALL[0]))):
        return "the sheet is mirrored, expected it as it is printed: turn mirroring off in the camera or the scanner"
    return (
        "no corner tag is found, expected a sheet of `sumnist sheet new` with four of them: photograph the whole page, "
        "sharp and in even light"
    )


def listed(words: list[str]) -> str:
    """Two or more words in a row."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def refined(grey: NDArray[np.uint8], corners: Floats) -> Tags:
    """Tags whose corners `[N, 4, 2]` are known to some pixels, exactly.

    Each edge is sampled across at some places, in pixels interpolated linearly. With b and w the means of its dark and
    of its bright end, the edge is where a step from b to w of the same area would be.
    """
    ends = np.roll(corners, -1, 1)
    length = np.linalg.norm(ends - corners, axis=-1)
    tangent = (ends - corners) / length[..., None]
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], -1)  # outwards, where corners go round clockwise
    diagonals = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    area = (diagonals[0][:, 0] * diagonals[1][:, 1] - diagonals[0][:, 1] * diagonals[1][:, 0]) / 2
    height = area[:, None] / length  # across each edge, where a tilted tag is shorter than along it
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
    return Tags(np.where(near, exact, corners), np.median(contrast, -1))


def sampled(grey: NDArray[np.uint8], points: Floats) -> Floats:
    """The brightness at points `[..., 2]`, x and y, linearly between pixels, whose middles are at their halves."""
    height, width = grey.shape
    x, y = (np.clip(points[..., axis] - 0.5, 0, most - 1.001) for axis, most in ((0, width), (1, height)))
    left, top = x.astype(int), y.astype(int)
    x, y = x - left, y - top
    corner = top * width + left
    flat = grey.ravel()
    upper = flat[corner] * (1 - x) + flat[corner + 1] * x
    lower = flat[corner + width] * (1 - x) + flat[corner + width + 1] * x
    return np.asarray(upper * (1 - y) + lower * y)


def lines(along: Floats, shift: Floats) -> Floats:
    """Lines `a + b · along` through places `[..., SAMPLES]` but those that lie far off: `[..., 2]`."""
    kept = np.ones_like(shift)
    basis = np.stack([np.ones_like(along), along], -1)
    line = np.zeros((*shift.shape[:-1], 2))
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
