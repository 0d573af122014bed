"""Whether two generated pages say the same.

Text is compared letter by letter. Where a library draws, the last digits of coordinates differ from build to build, and
with them the names that are made of them: of an SVG, text, elements and attributes must be the same, and every number
the same within `NEAR`. An HTML page is compared with the drawings in it.
"""

from __future__ import annotations

import base64
import math
import re
from itertools import zip_longest
from xml.etree import ElementTree

__all__ = ["say_the_same"]

NEAR = 0.1
"""How far apart two coordinates of the same drawing may be, in points."""
INSIDE = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)")
NUMBER = re.compile(r"(?<![#\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")
"""A number by itself: none of the digits of a colour or a name."""
GENERATED = re.compile(r"(?<=[#\"])[a-z]{1,2}[0-9a-f]{10}(?=[\")]|$)")
"""A name that matplotlib makes of what it names."""


def say_the_same(page: str, other: str) -> bool:
    """Whether two pages, or two SVG drawings, say the same."""
    if page == other:
        return True
    if page.lstrip().startswith("<?xml") and other.lstrip().startswith("<?xml"):
        return same_drawing(page, other)
    drawings, others = INSIDE.findall(page), INSIDE.findall(other)
    return (
        len(drawings) == len(others)
        and INSIDE.sub("", page) == INSIDE.sub("", other)
        and all(map(say_the_same, map(unpacked, drawings), map(unpacked, others)))
    )


def unpacked(drawing: str) -> str:
    return base64.b64decode(drawing).decode()


def same_drawing(drawing: str, other: str) -> bool:
    """Whether two SVG drawings have the same elements, in the same places."""
    pairs = zip_longest(*(ElementTree.fromstring(named_anew(svg)).iter() for svg in (drawing, other)))
    return all(ours is not None and theirs is not None and same_element(ours, theirs) for ours, theirs in pairs)


def named_anew(drawing: str) -> str:
    """The drawing with generated names replaced by their order."""
    order: dict[str, str] = {}
    return GENERATED.sub(lambda name: order.setdefault(name[0], f"name-{len(order)}"), drawing)


def same_element(ours: ElementTree.Element, theirs: ElementTree.Element) -> bool:
    """Whether two elements agree: all words, all of the text, and the numbers of attributes nearly."""
    words = [(e.tag, (e.text or "").strip(), len(e), [*e.attrib]) for e in (ours, theirs)]
    return words[0] == words[1] and all(map(same_attribute, ours.attrib.values(), theirs.attrib.values()))


def same_attribute(ours: str, theirs: str) -> bool:
    numbers, others = (list(map(float, NUMBER.findall(text))) for text in (ours, theirs))
    return (
        NUMBER.sub("", ours) == NUMBER.sub("", theirs)
        and len(numbers) == len(others)
        and all(math.isclose(a, b, abs_tol=NEAR, rel_tol=0) for a, b in zip(numbers, others, strict=True))
    )
