"""Build src/sumnist/lab/suites/suites.npz: scikit-learn's digits, characters of handwriting fonts, clothes.

    apt-get download fonts-bwht fonts-sjfonts fonts-breip fonts-femkeklaver fonts-rufscript fonts-kristi \
        fonts-dkg-handwriting dataset-fashion-mnist && for p in *.deb; do dpkg-deb -x $p sources; done
    for p in caveat kalam patrick-hand indie-flower; do
        npm pack @fontsource/$p && mkdir -p sources/$p && tar xzf fontsource-$p-*.tgz -C sources/$p; done
    python scripts/build_suites.py sources

Needs scikit-learn besides the package, for its digits. `NOTICE-SUITES.txt` beside the result names the licences. The
result does not depend on the clock: the same sources and libraries give the same bytes.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from build_mnist import write_npz
from sumnist.data.mnist import load_idx_folder
from sumnist.errors import SumnistError
from sumnist.lab.suites.archive import INTENSITIES, TARGET, WRITERS
from sumnist.lab.suites.chance import generator

FILES = {
    "Because We Build": ["BecauseWeBuild-Regular.otf"],
    "Because We Connect": ["BecauseWeConnect-Regular.otf"],
    "Because We Create": ["BecauseWeCreate-Regular.otf"],
    "Because We Learn": ["BecauseWeLearn-Regular.otf"],
    "Because We Mentor": ["BecauseWeMentor-Regular.otf"],
    "Because We Organize": ["BecauseWeOrganize-Regular.otf"],
    "Breip": ["Breip.ttf"],
    "Caveat": ["caveat-latin-400-normal.woff2", "caveat-latin-700-normal.woff2"],
    "Delphine": ["Delphine.ttf"],
    "dkg": ["dkg.ttf", "dkgBd.ttf"],
    "Femke Klaver": ["femkeklaver.ttf"],
    "Indie Flower": ["indie-flower-latin-400-normal.woff2"],
    "Kalam": [f"kalam-latin-{weight}-normal.woff2" for weight in (300, 400, 700)],
    "Kristi": ["Kristi.ttf"],
    "Patrick Hand": ["patrick-hand-latin-400-normal.woff2"],
    "Rufscript": ["Rufscript010.ttf"],
    "Steve Hand": ["SteveHand.ttf"],
}
"""The files of each writer's font, one for each weight."""
CAPITALS = [name for name in WRITERS if name.startswith("Because")]
"""Fonts with no small letters."""
DIGIT_PICTURES = 8
"""Pictures of each digit by each writer."""
LETTER_PICTURES = 1
FASHION = 400, 800
"""Images of the development half, out of the training images, and of the reported half, out of the test images."""
LARGE = 320
"""Pixels in which a character is drawn before it is reduced."""
SIDES = 64, 161


def build(sources: Path, target: Path) -> None:
    """Draw and gather everything and write it to `target`."""
    write_npz({**written(sources), **eight_by_eight(), **fashion(sources)}, target)


def written(sources: Path) -> dict[str, NDArray[Any]]:
    """The pictures of all characters by all writers, end to end, and what each of them is. A picture lies there column
    by column, which takes less room."""
    pictures: list[NDArray[np.uint8]] = []
    characters, writers = [], []
    for writer, name in enumerate(WRITERS):
        faces = [ImageFont.truetype(found(sources, file), LARGE // 2) for file in FILES[name]]
        letters = ascii_uppercase + ("" if name in CAPITALS else ascii_lowercase)
        for character in digits + letters:
            for _ in range(DIGIT_PICTURES if character in digits else LETTER_PICTURES):
                place = len(pictures)
                pictures.append(picture(character, faces[place % len(faces)], generator(0, "font", place)))
                characters.append(ord(character))
                writers.append(writer)
    return {
        "font_pixels": np.concatenate([image.T.ravel() for image in pictures]),
        "font_sizes": np.array([image.shape for image in pictures], np.uint16),
        "font_characters": np.array(characters, np.uint8),
        "font_hands": np.array(writers, np.uint8),
    }


def picture(character: str, face: ImageFont.FreeTypeFont, random: np.random.Generator) -> NDArray[np.uint8]:
    """`character` as dark ink on light paper, somewhere in a picture of 64 to 160 pixels a side: intensities 0..15."""
    side = int(random.integers(*SIDES))
    ink = varied(drawn(character, face), random)
    tall = side * random.uniform(0.4, 0.8)
    factor = tall / max(ink.shape)
    size = max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor))
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX)) / 255
    width = round(side * random.uniform(0.8, 1.0))
    margin = side // 20
    whole = np.zeros((side, max(width, size[0] + 2 * margin)))
    top, left = (
        int(random.integers(margin, long - short - margin + 1))
        for long, short in zip(whole.shape, small.shape, strict=True)
    )
    whole[top : top + small.shape[0], left : left + small.shape[1]] = small
    paper, pen = random.uniform(0.85, 1.0), random.uniform(0.0, 0.35)
    return np.rint((paper + (pen - paper) * whole) * (INTENSITIES - 1)).astype(np.uint8)


def drawn(character: str, face: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    """`character`, light on dark, its longer side about `LARGE` pixels long, with an empty border."""
    left, top, right, bottom = face.getbbox(character)
    scaled = face.font_variant(size=max(1, round(face.size * LARGE / max(right - left, bottom - top))))
    left, top, right, bottom = (int(edge) for edge in scaled.getbbox(character))
    border = LARGE // 6
    canvas = Image.new("L", (right - left + 2 * border, bottom - top + 2 * border))
    ImageDraw.Draw(canvas).text((border - left, border - top), character, font=scaled, fill=255)
    return np.asarray(canvas)


def varied(ink: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """As no two writings are the same: turned, slanted, bent, with a thicker or thinner pen; cut to what has ink."""
    angle, slant, wide = np.radians(random.uniform(-6, 6)), random.uniform(-0.12, 0.12), random.uniform(0.9, 1.1)
    height, width = ink.shape
    y, x = np.mgrid[:height, :width].astype(float)
    y, x = y - height / 2, (x - width / 2) / wide
    x, y = x * np.cos(angle) - y * np.sin(angle) + slant * y, x * np.sin(angle) + y * np.cos(angle)
    for _ in range(2):
        along, across = random.uniform(0, 2 * np.pi), random.uniform(0.5, 1.5) * 2 * np.pi / LARGE
        bend = random.uniform(0, 0.012) * LARGE * np.sin(across * (np.cos(along) * x + np.sin(along) * y) + 6 * along)
        x, y = x + np.sin(along) * bend, y + np.cos(along) * bend
    rows = np.rint(y + height / 2).astype(int).clip(0, height - 1)
    columns = np.rint(x + width / 2).astype(int).clip(0, width - 1)
    soft = np.asarray(Image.fromarray(ink[rows, columns]).filter(ImageFilter.GaussianBlur(LARGE / 80)), float) / 255
    ink = (((soft - random.uniform(0.35, 0.5)) * 8 + 0.5).clip(0, 1) * 255).astype(np.uint8)
    inked = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[inked[0][0] : inked[0][-1] + 1, inked[1][0] : inked[1][-1] + 1]


def eight_by_eight() -> dict[str, NDArray[Any]]:
    """scikit-learn's digits, 8×8 with intensities 0..16, in the order of its file."""
    from sklearn.datasets import load_digits  # type: ignore[import-not-found]

    data = load_digits()
    return {"digits": data.images.astype(np.uint8), "digit_labels": data.target.astype(np.uint8)}


def fashion(sources: Path) -> dict[str, NDArray[Any]]:
    """The first of the training and of the test images of Fashion-MNIST."""
    folder = Path(found(sources, "t10k-images-idx3-ubyte.gz")).parent
    return {
        "fashion_development": column(load_idx_folder(folder, "train").images[: FASHION[0]]),
        "fashion_reported": column(load_idx_folder(folder, "test").images[: FASHION[1]]),
    }


def column(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images `[N, 28, 28]` below each other as the bytes of one PNG file."""
    stream = BytesIO()
    Image.fromarray(images.reshape(-1, 28)).save(stream, "PNG", optimize=True)
    return np.frombuffer(stream.getvalue(), np.uint8)


def found(sources: Path, name: str) -> str:
    """The path of the file `name` anywhere below `sources`."""
    paths = sorted(sources.rglob(name))
    if not paths:
        raise SystemExit(f"build_suites: {sources}: no {name} in it: unpack there the packages that this script names")
    return str(paths[0])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/build_suites.py FOLDER_WITH_THE_UNPACKED_PACKAGES")
    try:
        build(Path(sys.argv[1]), TARGET)
    except SumnistError as error:
        raise SystemExit(f"build_suites: {error}") from None
