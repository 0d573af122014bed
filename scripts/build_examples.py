"""Write the examples that the page offers to try, src/sumnist/serve/static/examples.js.

    python scripts/build_examples.py

Digits of MNIST's training images, each by another hand, as PNG files, and one of which the packaged network is unsure
whether it is a 4 or a 9; and traps that are drawn: a letter, two digits, digits as other countries write them.
"""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sumnist.data.mnist import load_mnist
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.onnx import OnnxNetwork

TARGET = Path(__file__).resolve().parent.parent / "src/sumnist/serve/static/examples.js"
FIRST = 40_000
"""The images are looked for from here on, so that they are none of the first ones that everybody has seen."""
EVERY = 1_237
"""Images between the place where one digit and the next is looked for: they come from different writers."""
DRAWN = {
    "a one with a long upstroke": "36,42 54,20 / 54,20 54,80",
    "a seven with a bar": "32,22 68,22 48,80 / 38,50 64,50",
    "a letter": "30,80 50,20 70,80 / 38,58 62,58",
    "two digits": "24,30 24,70 / 56,30 78,30 64,70",
}
"""Strokes in hundredths of the pad's side, a slash between two."""
HEAD = """// Written by scripts/build_examples.py: PNG files in base64, and strokes in hundredths of the pad's side.
export const EXAMPLES = """


def main() -> None:
    """Choose and write them."""
    digits = load_mnist("train")
    examples: list[dict[str, str]] = []
    for digit in range(10):
        start = FIRST + EVERY * digit
        place = start + int(np.flatnonzero(digits.digits[start:] == digit)[0])
        examples.append({"name": f"a {digit}", "png": png(digits.images[place])})
    answers = OnnxNetwork(PRETRAINED / ONNX).answer(as_floats(digits.images)).digit
    doubtful = int(answers[:, [4, 9]].min(1).argmax())
    examples.append({"name": "a 4 or a 9", "png": png(digits.images[doubtful])})
    examples += [{"name": name, "strokes": strokes} for name, strokes in DRAWN.items()]
    TARGET.write_text(HEAD + json.dumps(examples, indent=1) + ";\n", encoding="utf-8")
    print(f"{TARGET}: {len(examples)} examples, {TARGET.stat().st_size:,} bytes")


def as_floats(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images `[N, 28, 28]` as the network takes them."""
    return (images[:, None] / 255).astype(np.float32)


def png(image: NDArray[np.uint8]) -> str:
    """An image `[28, 28]` as the text of a PNG file, dark ink on white, as paper is."""
    stream = BytesIO()
    Image.fromarray(255 - image).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


if __name__ == "__main__":
    main()
