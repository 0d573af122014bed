"""What every public function does with values that make no sense: it reads them, or raises an error of this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sumnist
from sumnist import sheets, tables
from sumnist.errors import ImageError, SumnistError
from sumnist.inference.hand import Hand
from sumnist.inference.reader import Reader

EXAMPLES = Path(__file__).parents[1] / "examples"
FIVE, LAYOUT = EXAMPLES / "five.png", sheets.Layout.of_line("9,7")
BAD: tuple[Any, ...] = (
    None, 5, -1, 10**12, 10**5000, 1.5, float("nan"), True, 5j, "", "x", "a\0b", "x" * 5000, b"", b"x", (),
    [], [None], ["x"], [[]], (1, 2), {}, {"a": 1}, {1}, object(), np.zeros(0), np.zeros((3, 3, 9)), np.array("x"), int,
    ..., lambda: 0,
)  # fmt: skip
DOORS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "load": (sumnist.load, {}),
    "Reader": (sumnist.Reader, {}),
    "Hand.load": (Hand.load, {}),
    "Hand.of_json": (Hand.of_json, {"content": b"{}"}),
    "solve": (sumnist.solve, {"query": f"{FIVE} + _ = 12"}),
    "preset": (sumnist.preset, {"name": "tiny"}),
    "PairDataset": (sumnist.PairDataset, {"digits": "x"}),
    "TwoInputNet.load": (sumnist.TwoInputNet.load, {"folder": "none"}),
    "train": (sumnist.train, {"config": sumnist.preset("tiny", data_dir="none"), "out": "none"}),
    "evaluate": (sumnist.evaluate, {"run_folder": "none"}),
    "export": (sumnist.export, {"run_folder": "none"}),
    "sheets.read": (sheets.read, {"picture": FIVE, "layout": LAYOUT}),
    "sheets.SheetReader": (sheets.SheetReader, {"layout": LAYOUT}),
    "sheets.Layout.load": (sheets.Layout.load, {}),
    "sheets.Layout.of_line": (sheets.Layout.of_line, {"line": "9,7"}),
    "tables.read": (tables.read, {"picture": FIVE}),
    "tables.TableReader": (tables.TableReader, {}),
    "tables.TableLayout": (tables.TableLayout, {}),
    "tables.TableLayout.load": (tables.TableLayout.load, {}),
}
"""The public functions, each with arguments that it takes."""
METHODS: dict[str, dict[str, Any]] = {
    "read": {"picture": FIVE}, "read_each": {"pictures": [FIVE]}, "read_shown": {"picture": FIVE},
    "read_tried": {"picture": FIVE}, "read_number": {"picture": FIVE}, "find": {"picture": FIVE},
    "adapt": {"pictures": [FIVE], "labels": [5]}, "with_hand": {}, "numbers.read_each": {"pictures": [FIVE]},
    "numbers.find": {"picture": FIVE}, "numbers.with_hand": {}, "numbers.reader": {},
}  # fmt: skip
"""The methods of a reader, and of its reader of numbers."""


def complaints(door: Callable[..., Any], good: dict[str, Any]) -> Iterator[str]:
    """What goes wrong otherwise than it should, when each argument in turn is each of the bad values."""
    for name, parameter in inspect.signature(door).parameters.items():
        for value in BAD if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) else ():
            try:
                door(**good | {name: value})
            except SumnistError as error:
                if str(error).count("\n"):
                    yield f"{name}: several lines: {error}"
            except Exception as error:
                yield f"{name}={type(value).__name__}: {error!r:.200}"


@pytest.mark.parametrize("name", DOORS)
def test_a_public_function_raises_no_error_of_others(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(complaints(*DOORS[name])) == []


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_a_reader_raises_no_error_of_others(reader: Reader, name: str) -> None:
    owner, _, method = name.rpartition(".")
    assert list(complaints(getattr(getattr(reader, owner) if owner else reader, method), METHODS[name])) == []


def test_what_a_reader_answers_raises_no_error_of_others(reader: Reader) -> None:
    read, number = reader.read(FIVE, 7), reader.read_number(EXAMPLES / "1480.png")
    (found,) = reader.find(EXAMPLES / "1480.png")
    for answer in (read, number, found):
        assert list(complaints(answer.as_dict, {})) == []
    for answer in (number, found):
        assert list(complaints(answer.__add__, {})) == []


def test_the_message_names_the_argument_the_value_and_what_was_expected(reader: Any) -> None:
    load: Any = sumnist.load
    read: Any = sheets.read
    for call, message in (
        (lambda: load(None), "model None: expected a text or a path: give that, or leave it out"),
        (lambda: load("a\0b"), r"model 'a\x00b': expected a text or a path: give that, or leave it out"),
        (lambda: load("\ud800"), r"model '\ud800': expected a text or a path: give that, or leave it out"),
        (lambda: reader.read(FIVE, ink="red"), "ink 'red': expected auto, dark or light: give that, or leave it out"),
        (lambda: reader.read_each(5), "pictures 5: expected a list: give that"),
        (lambda: reader.read_number(FIVE, count=1.5), "count 1.5: expected a whole number: give that, or leave it out"),
        (lambda: read(FIVE, 5), "layout 5: expected Layout, a text or a path: give that"),
    ):
        with pytest.raises(sumnist.errors.ConfigError) as caught:
            call()  # type: ignore[no-untyped-call]
        assert str(caught.value) == message
    with pytest.raises(ImageError, match=r"^picture: int, expected a path, bytes, a PIL image or a numpy array$"):
        reader.read(5)
