"""The demo: a pure function of model, count and seed, that fits a terminal and counts honestly."""

from __future__ import annotations

import re
from io import BytesIO, TextIOWrapper
from typing import Any

import numpy as np
import pytest

from sumnist.cli.words import Style, demo, drawing
from sumnist.config import preset
from sumnist.data.mnist import load_mnist
from sumnist.data.sampling import draw_numbers
from sumnist.errors import ConfigError
from sumnist.inference.reader import Reader
from sumnist.model.checkpoint import save_network
from sumnist.model.network import TwoInputNet

TEST = load_mnist("test")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """An untrained network with the learned fusion: nearly always wrong."""
    folder = tmp_path_factory.mktemp("run")
    config = preset("tiny", fusion="concat")
    (folder / "config.json").write_text(config.to_json())
    save_network(TwoInputNet.from_config(config), folder)
    return Reader(folder)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_it_fits_eighty_columns_and_the_last_line_counts(reader: Reader, count: int) -> None:
    lines = demo(reader, count, 5).split("\n")
    assert max(map(len, lines)) <= 76
    assert sum(line.count("digit +") for line in lines) == count
    assert all(line == line.rstrip() for line in lines)

    index = np.random.default_rng(5).choice(10_000, count, replace=False)
    readings = reader.read(list(TEST.images[index]), draw_numbers(5, 0, index))
    digits = sum(r.digit == TEST.digits[i] for r, i in zip(readings, index, strict=True))
    sums = sum(r.sum == TEST.digits[i] + r.number for r, i in zip(readings, index, strict=True))
    pairs = "1 pair" if count == 1 else f"{count} pairs"
    assert lines[-1] == f"{pairs}: digit right in {digits}, sum right in {sums}"
    text = "\n".join(lines[:-1])
    assert len(re.findall("✓ right", text)) == digits + sums
    assert len(re.findall("✗ wrong", text)) == 2 * count - digits - sums
    for i, r in zip(index, readings, strict=True):
        digit = int(TEST.digits[i])
        assert r.sum == digit + r.number or f"truth: {digit} + {r.number} = {digit + r.number}" in text


def test_ascii_and_colour(reader: Reader) -> None:
    plain = demo(reader, 4, 1, Style(unicode=False))
    assert plain.isascii()
    assert "\x1b" not in plain
    coloured = demo(reader, 4, 1, Style(colour=True))
    assert coloured.count("\x1b[0m") == 8
    assert re.sub(r"\x1b\[\d+m", "", coloured) == demo(reader, 4, 1)


def test_half_blocks_show_the_pixels() -> None:
    for pixels in TEST.images[:200]:
        lines = drawing(pixels, Style())
        assert len(lines) == 10
        assert {len(line) for line in lines} == {24}
        halves = {" ": (0, 0), "▄": (0, 1), "▀": (1, 0), "█": (1, 1)}
        shown = np.array([[halves[c] for c in line] for line in lines])  # [10, 24, 2]
        shown = shown.transpose(0, 2, 1).reshape(20, 24)
        where = np.argwhere(shown)
        ink = np.argwhere(pixels >= 128)
        assert np.array_equal(where - where[0], ink - ink[0])


@pytest.mark.parametrize(
    ("encoding", "terminal", "no_colour", "expected"),
    [("utf-8", True, "", Style(True, True)), ("UTF8", False, "", Style(True, False)),
     ("utf-8", True, "1", Style(True, False)), ("ascii", True, "", Style(False, True)),
     ("cp1252", False, "", Style(False, False))],
)  # fmt: skip
def test_the_look_suits_the_stream(
    encoding: str, terminal: bool, no_colour: str, expected: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    stream = TextIOWrapper(BytesIO(), encoding=encoding)
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    assert Style.of(stream) == expected


@pytest.mark.parametrize("given", [{"count": 0}, {"count": 10_001}, {"seed": -1}])
def test_counts_and_seeds_that_make_no_sense(reader: Reader, given: dict[str, Any]) -> None:
    ((name, value),) = given.items()
    with pytest.raises(ConfigError, match=f"^--{name} {value}: expected a whole number from "):
        demo(reader, **given)
