"""The digits of a half: MNIST's, and those of other people, which were not written for it and train no network.

scikit-learn's digits: 1,797 of the 5,620 of Alpaydin and Kaynak (1998, UCI), by 43 writers, reduced to 8×8 pixels with
intensities 0..16. Digits of handwriting fonts: 17 writers, 8 pictures of each digit by each, with the natural variation
that `scripts/build_suites.py` of commit 9b2db9d drew; a font is a person's writing made regular, so they are easier
than people. Who made them and under which licence: `NOTICE-SUITES.txt`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.lab.suites.archive import HALVES, INTENSITIES, WRITERS, Half, check_half, stored, writers_of

__all__ = ["DigitPictures", "characters", "font_digits", "ink_of", "mnist_half", "small_digits"]

HELD_OUT = 5_000
"""Training images that stand in for the test images in the development half; as `--validation 5000` holds out."""
DARKEST = 16
"""The intensity of full ink in scikit-learn's digits."""


@dataclass(frozen=True)
class DigitPictures:
    """Pictures of one digit each.

    `pictures`: uint8 `[H, W]` each, of any size and polarity, or the bytes of picture files. `digits`: int64 `[N]`.
    `writers`: who wrote each, where that is known.
    """

    name: str
    pictures: tuple[NDArray[np.uint8] | bytes, ...]
    digits: NDArray[np.int64]
    writers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)


def mnist_half(half: Half, images: int | None = None) -> DigitSet:
    """The MNIST images of a half, the first `images` of them: held-out training images, or the test images."""
    if check_half(half) == HALVES[1]:
        test = load_mnist("test")
        return DigitSet(test.images[:images], test.digits[:images], "MNIST test images")
    train = load_mnist("train")
    held_out = hold_out(train.digits, HELD_OUT)[1][:images]
    return DigitSet(train.images[held_out], train.digits[held_out], "MNIST training images")


def small_digits(half: Half) -> DigitPictures:
    """One half of scikit-learn's digits, 898 or 899: 8×8 pixels, light ink on black."""
    images, digits = stored("digits"), stored("digit_labels").astype(np.int64)
    middle = len(images) // 2
    part = slice(0, middle) if check_half(half) == HALVES[0] else slice(middle, None)
    pictures = np.rint(images[part] * (255 / DARKEST)).astype(np.uint8)
    return DigitPictures("scikit-learn's digits", tuple(pictures), digits[part])


def font_digits(half: Half) -> DigitPictures:
    """The digits by the writers of one half: dark ink on light paper, 64 to 160 pixels a side, not centred."""
    pictures, digits, writers = characters(half, "0123456789")
    return DigitPictures("handwriting fonts", pictures, np.array([int(digit) for digit in digits]), writers)


def characters(half: Half, wanted: str) -> tuple[tuple[NDArray[np.uint8], ...], str, tuple[str, ...]]:
    """The pictures of the `wanted` characters by the writers of one half, the character on each, and its writer."""
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
    """The ink of a picture of this module, light on 0: as `photographs` takes it."""
    border = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]))
    away = np.abs(picture.astype(float) - border)
    ink: NDArray[np.uint8] = np.rint(away / max(away.max(), 1) * 255).astype(np.uint8)
    return ink
