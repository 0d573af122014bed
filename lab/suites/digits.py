"""Labelled pictures of digits in two halves: MNIST's, and other people's digits, which train no network.

We make choices on the development half, and look at the reported half once the choices are made. The halves were fixed
before anything was measured. MNIST: held-out training images, and the test images. scikit-learn's digits: the first and
the second half of the file. Writers: every other one, in alphabetical order. Fashion-MNIST: some of its training
images, and some of its test images.

scikit-learn's digits are 1,797 of the 5,620 by Alpaydin and Kaynak (1998, UCI), from 43 writers, reduced to 8×8 pixels
with intensities 0..16. The digits of handwriting fonts are by 17 writers, with 8 pictures of each digit by each writer,
which vary as handwriting does. A font is a person's writing made regular, so its digits are easier than people's. They
are stored in `suites.npz`, and printed letters in `words.npz`. `scripts/build_suites.py` and `build_words.py` of commit
9b2db9d made both files once, and they are not redrawn, so that figures stay comparable. `NOTICE-SUITES.txt` names their
authors and licences.

MNIST's digits also come as people crop them: cut to their ink, and in the printed cells of forms. A cell has lines
along one to four of its sides, from grey to black, perhaps some way inside the cell; paper of some brightness; darker
ink; blur and noise. The digit touches no line. Real forms also have print that shows through, corrections, and digits
across a line; these cells do not.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.errors import ConfigError, DataError

Half = Literal["development", "reported"]
HALVES: tuple[Half, ...] = get_args(Half)
Random = np.random.Generator

WRITERS = (
    "Because We Build", "Because We Connect", "Because We Create", "Because We Learn", "Because We Mentor",
    "Because We Organize", "Breip", "Caveat", "Delphine", "dkg", "Femke Klaver", "Indie Flower", "Kalam", "Kristi",
    "Patrick Hand", "Rufscript", "Steve Hand",
)  # fmt: skip
"""The writers of the handwriting fonts, in alphabetical order; all weights of a font count as one writer."""
INTENSITIES = 16
"""Number of different intensities in the pictures of characters."""


def writers_of(half: Half) -> tuple[str, ...]:
    """Return the writers of one half: the 1st, 3rd, … for development, the 2nd, 4th, … for the report."""
    return WRITERS[HALVES.index(check_half(half)) :: 2]


def check_half(half: Half) -> Half:
    """Return `half` if it is a known half. Raises `ConfigError` otherwise."""
    if half not in HALVES:
        raise ConfigError(f"half {half!r}: unknown, expected development (to choose by) or reported (looked at once)")
    return half


def generator(seed: int, name: str, index: int) -> Random:
    """Return the random generator of one picture, for pictures that are drawn one at a time."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), index])


def stored_images(key: str) -> NDArray[np.uint8]:
    """Return images `[N, 28, 28]` that the archive holds one below the other in a PNG file, to save room."""
    with Image.open(BytesIO(stored(key).tobytes())) as column:
        return np.asarray(column).reshape(-1, 28, 28)


@cache
def stored(key: str, name: str = "suites.npz") -> NDArray[np.uint8]:
    """Return the read-only array `key` of an archive. Raises `DataError` if the file is missing or damaged."""
    try:
        with files("lab.suites").joinpath(name).open("rb") as stream, np.load(stream) as archive:
            array: NDArray[np.uint8] = archive[key]
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        raise DataError(f"the packaged suites cannot be read ({error}): reinstall sumnist") from error
    array.setflags(write=False)
    return array


HELD_OUT = 5_000
"""Training images that replace the test images in the development half; `--validation 5000` holds out the same ones."""
DARKEST = 16
"""The intensity of full ink in scikit-learn's digits."""


@dataclass(frozen=True)
class DigitPictures:
    """Pictures of one digit each.

    Attributes:
        name: What tables call them.
        pictures: The pictures: uint8 `[H, W]` each, of any size and polarity, or the bytes of a picture file.
        digits: The digit on each picture, int64 `[N]`.
        writers: Who wrote each digit; empty if that is not known.
    """

    name: str
    pictures: tuple[NDArray[np.uint8] | bytes, ...]
    digits: NDArray[np.int64]
    writers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)


def mnist_half(half: Half, images: int | None = None) -> DigitSet:
    """Return the first `images` MNIST images of a half: held-out training images, or test images."""
    if check_half(half) == HALVES[1]:
        test = load_mnist("test")
        return DigitSet(test.images[:images], test.digits[:images], "MNIST test images")
    train = load_mnist("train")
    held_out = hold_out(train.digits, HELD_OUT)[1][:images]
    return DigitSet(train.images[held_out], train.digits[held_out], "MNIST training images")


def small_digits(half: Half) -> DigitPictures:
    """Return one half of scikit-learn's digits, 898 or 899 pictures: 8×8 pixels, light ink on black."""
    images, digits = stored("digits"), stored("digit_labels").astype(np.int64)
    middle = len(images) // 2
    part = slice(0, middle) if check_half(half) == HALVES[0] else slice(middle, None)
    pictures = np.rint(images[part] * (255 / DARKEST)).astype(np.uint8)
    return DigitPictures("scikit-learn's digits", tuple(pictures), digits[part])


def font_digits(half: Half) -> DigitPictures:
    """Return the digits by the writers of one half: dark ink on light paper, 64 to 160 pixels a side, not centred."""
    pictures, digits, writers = characters(half, "0123456789")
    return DigitPictures("handwriting fonts", pictures, np.array([int(digit) for digit in digits]), writers)


def characters(half: Half, wanted: str) -> tuple[tuple[NDArray[np.uint8], ...], str, tuple[str, ...]]:
    """Return the pictures of the `wanted` characters by the writers of one half, with the character and the writer of
    each."""
    sizes = stored("font_sizes").astype(int)  # [N, 2]: height and width
    ends = sizes.prod(1).cumsum()
    writers = [WRITERS[place] for place in stored("font_hands")]
    shown = [chr(code) for code in stored("font_characters")]
    names = writers_of(half)
    kept = [i for i in range(len(sizes)) if writers[i] in names and shown[i] in wanted]
    pixels = stored("font_pixels") * np.uint8(255 // (INTENSITIES - 1))
    columns = (pixels[ends[i] - sizes[i].prod() : ends[i]].reshape(sizes[i, ::-1]) for i in kept)
    pictures = tuple(np.ascontiguousarray(one.T) for one in columns)
    return pictures, "".join(shown[i] for i in kept), tuple(writers[i] for i in kept)


def ink_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the ink of a picture of this module, light on 0, as `photographs` takes it."""
    border = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]))
    away = np.abs(picture.astype(float) - border)
    ink: NDArray[np.uint8] = np.rint(away / max(away.max(), 1) * 255).astype(np.uint8)
    return ink


INK = 64
"""Least intensity of a pixel that counts as ink."""
HEIGHTS = 40, 120
"""Height of a cell in pixels: the least, and the end of the range (exclusive)."""
WIDE = 0.8, 1.5
"""Width of a cell divided by its height: least and most."""
TALL = 0.45, 0.75
"""Longer side of the digit divided by the cell's height: least and most."""
INSET = 0.09
"""Lines lie inside the cell by at most this share of its shorter side."""
THICKEST = 16
"""Lines are at most as thick as the cell's height divided by this."""

Picture = NDArray[np.uint8]
BICUBIC = Image.Resampling.BICUBIC


def tight_crops(images: NDArray[np.uint8], scale: int = 1, dark: bool = False) -> list[Picture]:
    """Crop each of `images` `[N, 28, 28]` to its ink, and enlarge it `scale` times, with light or `dark` ink."""
    pictures = []
    for image in images:
        ink = cropped(image)
        ink = np.asarray(Image.fromarray(ink).resize((ink.shape[1] * scale, ink.shape[0] * scale), BICUBIC))
        pictures.append(255 - ink if dark else ink)
    return pictures


def drawn_cells(images: NDArray[np.uint8], seed: int = 0) -> list[Picture]:
    """Draw each of `images` `[N, 28, 28]` in a printed cell. A picture depends only on its image, `seed` and its
    place."""
    return [cell(image, generator(seed, "cell", place)) for place, image in enumerate(images)]


def cropped(image: NDArray[np.uint8], least: int = INK, margin: int = 0) -> NDArray[np.uint8]:
    """Crop an image to its pixels of intensity `least` or more, and add a margin."""
    rows, columns = (np.flatnonzero((image >= least).any(axis)) for axis in (1, 0))
    return np.pad(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], margin)


def cell(image: NDArray[np.uint8], random: Random) -> Picture:
    """Draw an image in one printed cell."""
    high = int(random.integers(*HEIGHTS))
    wide = int(high * random.uniform(*WIDE))
    values = np.full((high, wide), random.uniform(190, 255))
    # Lines along one to four sides, perhaps some way inside the cell.
    thick, ink = int(random.integers(1, max(1, high // THICKEST) + 1)), random.uniform(0, 170)
    most = int(INSET * min(high, wide))
    for side in random.permutation(4)[: random.integers(1, 5)]:
        inset = int(random.integers(0, max(1, most)))
        np.rot90(values, side)[inset : inset + thick] = ink
    edge = most + thick + 1  # the lines reach at most this far
    # The digit, in a random size or as large as fits.
    shape = cropped(image)
    tall, broad = shape.shape
    factor = min(random.uniform(*TALL) * high / max(tall, broad), (high - 2 * edge - 1) / tall,
                 (wide - 2 * edge - 1) / broad)  # fmt: skip
    size = max(1, round(broad * factor)), max(1, round(tall * factor))
    digit = np.asarray(Image.fromarray(shape).resize(size, BICUBIC), np.float64) / 255
    top, left = (int(random.integers(edge, most - side - edge + 1)) for most, side in
                 zip(values.shape, digit.shape, strict=True))  # fmt: skip
    place = values[top : top + len(digit), left : left + digit.shape[1]]
    place += (random.uniform(0, 110) - place) * digit
    blurred = Image.fromarray(values.clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(random.uniform(0, 1.2) * high / 80)
    )
    noisy = np.asarray(blurred) + random.normal(0, random.uniform(0, 10), values.shape)
    return noisy.clip(0, 255).astype(np.uint8)
