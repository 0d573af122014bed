"""Export the networks of lines and of pictures, and compare their files with torch on composed images.

The lines of a batch should have one width: if a narrower line is padded with ground, the network also reads the
ground.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lab.recipes.calibrate import answers, share
from lab.recipes.lines import LineBatch, Lines
from lab.recipes.networks import STRIDE, FinderNet, LineNet
from lab.recipes.scenes import Scenes
from lab.recipes.tasks import FinderTask
from sumnist.data.mnist import load_mnist
from sumnist.inference.alphabet import HEIGHT
from sumnist.inference.finder import PICTURE, Finder
from sumnist.inference.numbers import STRIP, StripRecognizer
from sumnist.training.export import Feed, Trial, export_run

RANGED = 8, 32
"""Number of batches of lines or scenes of training digits that set the ranges of 8 bits, and their size."""


class ComposedTrial(Trial):
    """The trial of networks that see composed images: batches of test digits, each of another width, and blanks."""

    source: ClassVar[Any]
    given: ClassVar[str]
    """The input."""
    drawn: ClassVar[int]
    """Number of digits that are drawn for these batches."""
    size: ClassVar[tuple[int, int]]
    """Number of batches, and their size."""
    blanks: ClassVar[tuple[int, tuple[int, ...]]]
    """The height of the blank images, and their widths in pixels."""

    def composed(self, part: Literal["train", "test"], count: int, size: int) -> list[Any]:
        """Batches that are composed of the digits of a part of MNIST."""
        drawn = self.source(load_mnist(part, self.config.data_dir), self.config.seed, count=self.drawn)
        return [drawn.batch(step, size) for step in range(count)]

    def cases(self) -> Iterator[Feed]:
        """Composed and blank images."""
        for batch in self.composed("test", *self.size):
            yield {self.given: batch.image.numpy()}
        height, widths = self.blanks
        yield from ({self.given: np.zeros((1, 1, height, width), np.float32)} for width in widths)

    def ranges(self) -> Iterator[Feed]:
        """Composed images of training digits."""
        return ({self.given: batch.image.numpy()} for batch in self.composed("train", *RANGED))


class LineTrial(ComposedTrial):
    """The trial of networks of lines. The accuracy is the share of numbers that are read right."""

    network, compared, source, given = LineNet, "lines", Lines, STRIP
    drawn, size, blanks = 50, (16, 8), (HEIGHT, (1, 3, 4, 31, 150, 2001))

    def accuracy(self, content: bytes) -> tuple[float]:
        """The share of numbers that the file reads right."""
        return (right_of(content, self.composed("test", *self.size)),)


class FinderTrial(ComposedTrial):
    """The trial of networks that find numbers. The accuracy is the share of characters that are found and read
    right."""

    network, compared, source, given = FinderNet, "scenes", Scenes, PICTURE
    drawn, size, blanks = 500, (8, 8), (STRIDE, (16, 48, 320))

    def accuracy(self, content: bytes) -> tuple[float]:
        """The share of characters that the file finds and reads right."""
        return (found_by(content, self.composed("test", *self.size)),)


def found_by(content: bytes | Path, batches: Sequence[Any]) -> float:
    """The share of the characters on some scenes that the network in an ONNX file finds and reads right."""
    finder = Finder(content)
    pairs = [FinderTask.kinds(torch.from_numpy(finder.answer(one.image[:, 0].numpy())[0]), one) for one in batches]
    return share(torch.cat([(there > 0) & right for there, right in pairs]).numpy())


def right_of(content: bytes | Path, batches: Sequence[LineBatch]) -> float:
    """The share of the numbers on some lines that the network in an ONNX file reads right, each line alone."""
    recognizer = StripRecognizer(content)

    def emissions(image: NDArray[np.float32], width: int) -> torch.Tensor:
        return torch.from_numpy(recognizer.emissions(image[None, :, :, :width])[0])

    logits = [list(map(emissions, lines.image.numpy(), lines.widths.tolist())) for lines in batches]
    found = answers(logits, batches)
    return share(found.right[found.number])


TRIALS: dict[str, type[Trial]] = {"lines": LineTrial, "finder": FinderTrial}
"""The trials by the task of a run."""


def main(words: Sequence[str] | None = None) -> None:
    """Write a trained network of lines or pictures as one ONNX file, after comparing it with torch on composed
    images."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=TRIALS)
    parser.add_argument("run_folder", type=Path, help="folder of a finished training")
    parser.add_argument("--out", type=Path, help="file to write (default: in the run folder)")
    parser.add_argument("--int8", action="store_true", help="8-bit weights and activations; also prints the accuracy")
    parser.add_argument("--hand", type=Path, help="hand file learned with this network, to be contained in the file")
    given = parser.parse_args(words)
    print(export_run(given.run_folder, given.out, given.int8, given.hand, TRIALS[given.what]).text())
