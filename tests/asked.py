"""What the tests of the API ask, and how they look at a problem."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from sumnist.data.mnist import load_mnist

PROBLEM = "application/problem+json"


def png(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def seven(side: int = 280) -> bytes:
    """A seven in pen on paper, as a PNG file."""
    picture = Image.new("L", (side, side), 250)
    strokes = [(0.3 * side, 0.2 * side), (0.7 * side, 0.2 * side), (0.45 * side, 0.8 * side)]
    ImageDraw.Draw(picture).line(strokes, fill=20, width=side // 15)
    return png(picture)


def strip(*places: int) -> bytes:
    """The MNIST test images at these places beside each other, as a PNG file: dark ink on white."""
    images = load_mnist("test").images
    return png(Image.fromarray(255 - np.concatenate([images[place] for place in places], 1)))


SEVEN = seven()
BLANK = png(Image.new("L", (50, 50), 255))


def form(*pictures: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("picture", (f"{place}.png", picture, "image/png")) for place, picture in enumerate(pictures)]


def form_of(*parts: tuple[bytes, bytes], boundary: bytes = b"b") -> bytes:
    """A form of parts, each with its header lines and its content."""
    delimiter = b"--" + boundary
    return b"".join(b"%b\r\n%b\r\n\r\n%b\r\n" % (delimiter, *part) for part in parts) + delimiter + b"--\r\n"


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def check_problem(answer: Any, status: int, slug: str, detail: str | None = None, instance: str = "/v1/read") -> None:
    """The answer is this problem, whole, and nothing else."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert (problem["type"], problem["status"], problem["instance"]) == (
        f"urn:sumnist:problem:{slug}",
        status,
        instance,
    )
    if detail is not None:
        assert problem["detail"] == detail
