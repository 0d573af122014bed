"""`Reader`: a picture and a number → a reading, the digit and the sum with the probability of every answer.

Under the exact fusion the sum is computed here, outside the network: P(sum = s) = P(digit = s − number), for any whole
number. A learned fusion answers with the sums it learned, for the numbers 0..9.
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from sumnist.errors import MissingExtraError, NumberError, RunError, SumnistError
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.onnx import Answer, OnnxNetwork
from sumnist.pictures.normalize import Picture, Problem, Seen, see, see_each

__all__ = ["ADVICE", "NOT_A_DIGIT", "REASONS", "UNSURE", "Reader", "Reading", "check_number", "load", "model_file"]

DIGITS = 10
NUMBERS = 10
SUMS = 19
BATCH = 256
"""Pictures that go through the network at once."""

REASONS: dict[Problem, str] = {
    "blank": "blank",
    "several": "several digits",
    "cut off": "cut off at the border",
    "too small": "too small",
    "faint": "too little contrast",
}
"""What a reading says of each problem of a picture."""
NOT_A_DIGIT = "not a digit"
UNSURE = "unsure"
"""What it says where the picture is fine, and the network is not sure enough that it shows a digit, or of which."""
ADVICE = {
    "blank": "write something, or come nearer",
    "several digits": "one digit a picture; cut a number into its digits",
    "cut off at the border": "move the camera, so that there is paper all around the digit",
    "too small": "come nearer, or crop the picture closer to the digit",
    "too little contrast": "a darker pen, or more light",
    NOT_A_DIGIT: "a digit from 0 to 9 was expected",
    UNSURE: "write it more clearly, or ask a person",
}
"""What helps, for each reason why a reading of a photograph or scan is not accepted."""

Number = SupportsIndex
PENDING = SumnistError("not read yet")


@dataclass(frozen=True)
class Reading:
    """What a reader says of one picture and one number.

    `digit`, `sum`: the most probable ones. `digit_probabilities`: of the digits 0..9. `sums`: the possible sums,
    number..number+9 where the sum is computed and 0..18 where it was learned; `sum_probabilities`: of each of them.
    `confidence`: the probability of `digit`. `accepted`: whether the answer stands; if not, `reason` says why, and the
    rest is what the network made of the picture all the same: of a blank one, that all digits are as probable.
    `is_digit_probability`: the probability that the picture shows a digit at all, None unless the network was trained
    with outliers; all the other probabilities are those if it does.
    `image`: what the network saw, float32 `[28, 28]` in [0, 1].
    """

    digit: int
    sum: int
    number: int
    confidence: float
    digit_probabilities: tuple[float, ...]
    sums: range
    sum_probabilities: tuple[float, ...]
    accepted: bool = True
    reason: str | None = None
    is_digit_probability: float | None = None
    image: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    @property
    def sum_confidence(self) -> float:
        """The probability of `sum`; under the exact fusion the same as `confidence`."""
        return max(self.sum_probabilities)

    @property
    def advice(self) -> str | None:
        """What helps if the reading is not accepted; None if it is."""
        return None if self.reason is None else ADVICE[self.reason]

    def as_dict(self, image: bool = False) -> dict[str, Any]:
        """All fields, as types that `json` writes; with the `image`, as a list of 28 rows, only if asked for."""
        lists = {name: list(getattr(self, name)) for name in ("digit_probabilities", "sums", "sum_probabilities")}
        values = {name: value for name, value in vars(self).items() if name != "image"} | lists
        values["advice"] = self.advice
        if image:
            values["image"] = None if self.image is None else self.image.tolist()
        return values


class Reader:
    """A network, ready for pictures: the one that comes with the package, or that of an ONNX file or a run folder.

    `threads`: how many processor threads a call may use. Any number of threads may share one reader. A run folder that
    has not been exported (`sumnist export`) is read with torch. Raises `RunError` for what is no network of sumnist.
    """

    def __init__(self, model: str | Path | bytes = PRETRAINED, threads: int = 1) -> None:
        found = model if isinstance(model, bytes) else model_file(model)
        self.network: OnnxNetwork | TorchNetwork
        if isinstance(found, Path) and not found.exists():
            raise RunError(
                f"{found}: missing, expected an ONNX file, or a run folder as `sumnist train --out {found}` writes it"
            )
        if isinstance(found, bytes) or not found.is_dir():
            self.network = OnnxNetwork(found, threads)
        else:
            self.network = TorchNetwork(found)
        self.exact = self.network.exact
        """Whether the sum is computed from the digit (any number) instead of having been learned (0..9)."""

    # A str is a sequence of str too; the first signature is meant for it.
    @overload
    def read(self, picture: Picture, number: Number) -> Reading: ...  # type: ignore[overload-overlap]
    @overload
    def read(self, picture: Sequence[Picture], number: Number | Sequence[Number] | NDArray[Any]) -> list[Reading]: ...
    def read(self, picture: Any, number: Any) -> Reading | list[Reading]:
        """The reading of a picture and a number; of a list of pictures, with one number or as many, a list.

        Raises `ImageError`, which names the picture, and `NumberError`.
        """
        if not isinstance(picture, list | tuple):
            number = check_number(number, self.exact)
            return self._read_batch([see(picture)], [number])[0]
        numbers = check_numbers(number, len(picture), self.exact)
        readings: list[Reading] = []
        for one in self.read_each(picture, numbers):
            if isinstance(one, SumnistError):
                raise one
            readings.append(one)
        return readings

    def read_each(self, pictures: Sequence[Picture], numbers: Sequence[Number]) -> list[Reading | SumnistError]:
        """As `read` of a list, but a picture or number that is no good has its error in its place."""
        found: list[Reading | SumnistError] = []
        for start in range(0, len(pictures), BATCH):
            found += self._read_part(see_each(pictures[start : start + BATCH], start), numbers[start : start + BATCH])
        return found

    def _read_part(
        self, pictures: Sequence[Seen | SumnistError], numbers: Sequence[Number]
    ) -> list[Reading | SumnistError]:
        """The readings of those pictures that could be seen, with numbers that can be added."""
        found: list[Reading | SumnistError] = []
        good = []
        for seen, number in zip(pictures, numbers, strict=True):
            try:
                if isinstance(seen, SumnistError):
                    raise seen
                good.append((seen, check_number(number, self.exact)))
                found.append(PENDING)
            except SumnistError as error:
                found.append(error)
        if not good:
            return found
        readings = iter(self._read_batch([seen for seen, _ in good], [number for _, number in good]))
        return [next(readings) if one is PENDING else one for one in found]

    def _read_batch(self, pictures: Sequence[Seen], numbers: Sequence[int]) -> list[Reading]:
        """Readings of what was seen on pictures, with as many checked numbers."""
        readings = self._answers(np.stack([seen.image for seen in pictures])[:, None], numbers)
        return [self._judged(reading, seen) for reading, seen in zip(readings, pictures, strict=True)]

    def _answers(self, images: NDArray[np.float32], numbers: Sequence[int]) -> list[Reading]:
        """What the network says of images `[B, 1, 28, 28]` with as many checked numbers."""
        # Under the exact fusion the network need not know the number, which may be one that it does not take.
        answer = self.network.answer(images, None if self.exact else np.array(numbers, np.int64))
        digits = np.exp(answer.digit.astype(np.float64))  # [B, 10]
        sums = digits if answer.sum is None else np.exp(answer.sum.astype(np.float64))  # [B, 10] or [B, 19]
        there = [None] * len(images) if answer.is_digit is None else np.exp(answer.is_digit.astype(float)).tolist()
        return [
            reading_of(digit, total, range(number, number + DIGITS) if self.exact else range(SUMS), number, is_digit)
            for digit, total, number, is_digit in zip(digits, sums, numbers, there, strict=True)
        ]

    def _judged(self, reading: Reading, seen: Seen) -> Reading:
        """The reading of the image in `seen`, accepted or not: for a problem with its picture, because there is hardly
        a digit on it, or because the network is not sure which."""
        if seen.problem == "blank":
            even = np.full(DIGITS, 1 / DIGITS)
            total = np.array([1 / DIGITS if 0 <= s - reading.number < DIGITS else 0.0 for s in reading.sums])
            is_digit_probability = None if reading.is_digit_probability is None else 0.0
            reading = reading_of(even, total, reading.sums, reading.number, is_digit_probability)
        if seen.problem is not None:
            reason: str | None = REASONS[seen.problem]
        elif reading.is_digit_probability is not None and reading.is_digit_probability < self.network.least_is_digit:
            reason = NOT_A_DIGIT
        else:
            reason = UNSURE if reading.confidence < self.network.least_confidence else None
        return replace(reading, accepted=reason is None, reason=reason, image=seen.image)


def load(model: str | Path = PRETRAINED, threads: int = 1) -> Reader:
    """A reader: of the network that comes with the package, or of an ONNX file or run folder. Needs no torch."""
    return Reader(model, threads)


def model_file(model: str | Path) -> Path:
    """The ONNX file that `model` names: itself, or that of a run folder; a folder without one as it is."""
    path = Path(model)
    return path / ONNX if path.is_dir() and (path / ONNX).exists() else path


class TorchNetwork:
    """The network of a run folder that has no ONNX file, as `OnnxNetwork` answers. Raises `RunError`, and
    `MissingExtraError` where torch is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from sumnist.model.network import load_network
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "torch", "train", f"{folder} has no {ONNX}; reading it") from error
        self.net, config = load_network(folder)
        self.exact, self.has_is_digit = config.fusion == "exact", config.outliers > 0
        self.least_is_digit = self.net.calibration.least_is_digit.item()
        self.least_confidence = self.net.calibration.least_confidence.item()

    def answer(self, images: NDArray[np.float32], numbers: NDArray[np.int64] | None = None) -> Answer:
        """All there is to say of images `[B, 1, 28, 28]`; of their sums only with `numbers`, 0..9 `[B]`."""
        import torch

        number = torch.zeros(len(images), dtype=torch.int64) if numbers is None else torch.from_numpy(numbers)
        with torch.inference_mode():
            heads = self.net.heads(torch.from_numpy(images), number)
            digit, total = self.net.outputs(heads, number)
            is_digit = self.net.is_digit(heads)
        return Answer(
            digit.numpy(), None if numbers is None else total.numpy(), is_digit.numpy() if self.has_is_digit else None
        )


def reading_of(
    digit: NDArray[np.float64], total: NDArray[np.float64], sums: range, number: int, is_digit: float | None = None
) -> Reading:
    """The reading with the probabilities `digit` `[10]`, `total`, one for each of `sums`, and `is_digit`."""
    best = int(digit.argmax())
    return Reading(
        digit=best,
        sum=sums[int(total.argmax())],
        number=number,
        confidence=float(digit[best]),
        digit_probabilities=tuple(digit.tolist()),
        sums=sums,
        sum_probabilities=tuple(total.tolist()),
        is_digit_probability=is_digit,
    )


def check_numbers(numbers: Any, count: int, exact: bool) -> list[int]:
    """The numbers of `count` pictures: one for all of them, or one each. Raises `NumberError`."""
    if not isinstance(numbers, list | tuple) and not (isinstance(numbers, np.ndarray) and numbers.ndim):
        return [check_number(numbers, exact)] * count
    if len(numbers) != count:
        raise NumberError(f"{len(numbers)} numbers for {count} pictures: expected one for all of them, or one each")
    return [check_number(number, exact) for number in numbers]


def check_number(number: Any, exact: bool) -> int:
    """`number` as an int: any whole one if the fusion is `exact`, else 0..9. Raises `NumberError`."""
    expected = "a whole number" if exact else "a whole number from 0 to 9"
    try:
        if isinstance(number, bool):
            raise TypeError
        whole = operator.index(number)
    except TypeError as error:
        raise NumberError(f"number {reprlib.repr(number)}: expected {expected}, such as 7") from error
    if not exact and not 0 <= whole < NUMBERS:
        shown = whole if abs(whole) < 10**18 else "of more than 18 digits"  # Python refuses to write very long ones
        raise NumberError(
            f"number {shown}: expected {expected}: this model learned its sums, and for those numbers "
            "only; a model trained with --fusion exact adds any whole number"
        )
    return whole
