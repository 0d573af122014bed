"""The picture of the network says what the network is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from xml.etree import ElementTree

import matplotlib.font_manager
import pytest
import torch
from PIL import ImageFont
from torch import Tensor, nn

from sumnist.config import PRESETS, Config, preset
from sumnist.model.diagram import boxes_of, draw, draw_network
from sumnist.model.network import TwoInputNet

SVG = "{http://www.w3.org/2000/svg}"
CONFIGS = {
    **{name: config for name, config in PRESETS.items() if config.task not in ("numbers", "cells")},
    "default, concat": preset("default", fusion="concat"),
    "fast, concat, scalar": preset("fast", fusion="concat", number_encoding="scalar"),
    "tiny, concat": preset("tiny", fusion="concat"),
}


@pytest.fixture(params=list(CONFIGS.values()), ids=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> Config:
    assert isinstance(request.param, Config)
    return request.param


@lru_cache
def drawn(config: Config) -> str:
    """What most tests look at; tracing a network takes a moment."""
    return draw(config)


def words_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def size_of(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def parameters_on_boxes(svg: str) -> int:
    found = (re.fullmatch(r"([\d,]+) params?", word) for word in words_of(svg))
    return sum(int(match[1].replace(",", "")) for match in found if match)


def boxes_with_text(svg: str) -> Iterator[tuple[tuple[float, float, float, float], list[ElementTree.Element]]]:
    """Each card as (left, top, right, bottom), with the lines of text on it; and the page, with all of them."""
    root = ElementTree.fromstring(svg)
    for owner in (root, *root.iter(f"{SVG}g")):
        card = owner.find(f"{SVG}rect")
        texts = list(owner.iter(f"{SVG}text"))
        if card is not None and texts:
            x, y, width, height = (float(card.get(name, "nan")) for name in ("x", "y", "width", "height"))
            yield (x, y, x + width, y + height), texts


def extent(text: ElementTree.Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a line of text, in DejaVu Sans, wider than the fonts that are asked for."""
    bold = text.get("font-weight") is not None
    path = matplotlib.font_manager.findfont(
        matplotlib.font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    )
    size = float(text.get("font-size", "nan"))
    width = ImageFont.truetype(path, 100).getlength(text.text or "") * size / 100
    x, y = float(text.get("x", "nan")), float(text.get("y", "nan"))
    left = x - width * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor", "start")]
    return left, y - 0.76 * size, left + width, y + 0.24 * size


def test_every_network_is_drawn_whole_and_the_same_every_time(config: Config) -> None:
    torch.manual_seed(1)
    svg, total = drawn(config), size_of(TwoInputNet.from_config(config))
    words, root = words_of(svg), ElementTree.fromstring(svg)
    assert "number" in words
    for word in ("image", "[B, 1, 28, 28]", "input [B]", "digit", "output [B, 10]", "sum", "output [B, 19]"):
        assert words.count(word) == 1
    assert {"7", "5", "12"} <= set(words)
    assert parameters_on_boxes(svg) == total
    assert any(word.endswith(f" · {total:,} parameters") for word in words)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert root.find(f"{SVG}title") is not None
    assert "two inputs, image and number" in (root.findtext(f"{SVG}desc") or "")
    assert_text_fits(svg)
    extents = [extent(text) for text in root.iter(f"{SVG}text")]
    for i, (x0, y0, x1, y1) in enumerate(extents):
        for a0, b0, a1, b1 in extents[:i]:
            assert x1 <= a0 or a1 <= x0 or y1 <= b0 + 1 or b1 <= y0 + 1


def test_the_picture_of_a_configuration_is_always_the_same() -> None:
    torch.manual_seed(2)
    assert draw(preset("fast")) == drawn(preset("fast"))


def test_every_shape_and_layer_of_the_fast_network_is_on_its_picture() -> None:
    words = words_of(drawn(preset("fast")))
    at = words.index("Conv 5×5")
    assert words[at : at + 5] == ["Conv 5×5", "stride 2", "ReLU", "[B, 8, 12, 12]", "208 params"]
    at = words.index("Max-pool")
    assert words[at : at + 4] == ["Max-pool", "2×2 · norm", "ReLU", "[B, 16, 5, 5]"]
    at = words.index("Linear 128")
    assert words[at : at + 4] == ["Linear 128", "norm · ReLU", "[B, 128]", "73,984 params"]


def test_computed_sums_are_told_from_learned_ones_and_by_what_they_are_computed() -> None:
    exact, concat = words_of(drawn(preset("fast"))), words_of(drawn(preset("fast", fusion="concat")))
    at = exact.index("Shift by the number")
    assert exact[at - 1 : at + 3] == ["computed", "Shift by the number", "P(sum = s) =", "P(digit = s − number)"]
    assert "Sum head" not in exact
    assert concat[concat.index("Sum head") - 1] == "learned"
    assert "computed" not in concat
    assert "encoder original · fusion original · 6,772,272 parameters" in words_of(drawn(preset("original")))
    boxes, ends = boxes_of(TwoInputNet("tiny", "exact"))
    assert not boxes[ends["digit"]].needs_number
    assert boxes[ends["sum"]].inputs == [1, ends["digit"]]


def test_the_original_computes_its_sum_from_bits_and_reads_both_answers_from_one_trunk() -> None:
    boxes, ends = boxes_of(TwoInputNet.from_config(preset("original")))
    bits = boxes[ends["sum"]]
    (sum_head,) = bits.inputs
    assert (bits.title, bits.computed, bits.shape) == ("Bits → sum", True, (19,))
    assert boxes[sum_head].shape == (5,)
    assert boxes[sum_head].inputs == boxes[ends["digit"]].inputs
    assert boxes[ends["digit"]].needs_number


def assert_text_fits(svg: str) -> None:
    seen = 0
    for (left, top, right, bottom), texts in boxes_with_text(svg):
        for text in texts:
            x0, y0, x1, y1 = extent(text)
            assert left <= x0 <= x1 <= right, text.text
            assert top <= y0 <= y1 <= bottom, text.text
            seen += 1
    assert seen > 40


class Residual(nn.Module):
    """A layer that no word in the package was written for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.scale * self.conv(x))


def strange_network() -> TwoInputNet:
    net = TwoInputNet("tiny", "concat")
    net.encoder = nn.Sequential(
        nn.Conv2d(1, 24, 3), nn.BatchNorm2d(24), nn.GELU(), Residual(24), nn.AvgPool2d(2), nn.Dropout(),
        nn.Conv2d(24, 64, 3), nn.ReLU(inplace=True), nn.PixelUnshuffle(1), Residual(64), nn.Conv2d(64, 128, 3),
        nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(1152, 32), nn.Softsign(), nn.LayerNorm(32),
    )  # fmt: skip
    return net


def test_an_encoder_with_unknown_layers_branches_and_many_of_them_is_drawn_whole() -> None:
    net = strange_network()
    svg = draw_network(net, "strange")
    assert parameters_on_boxes(svg) == size_of(net)
    assert {"PixelUnshuffle", "Add", "Multiply", "1 param", "Mean-pool", "depthwise", "[B, 42]"} <= set(words_of(svg))
    assert_text_fits(svg)
    assert [len(box.inputs) for box in boxes_of(net)[0] if box.title == "Add"] == [2, 2]


def test_a_network_with_many_branches_is_drawn_at_once() -> None:
    net = TwoInputNet("tiny", "exact")
    net.encoder = nn.Sequential(nn.Conv2d(1, 2, 15, padding=0), *(Residual(2) for _ in range(40)), nn.Flatten(),
                                nn.Linear(392, 32))  # fmt: skip
    boxes, _ = boxes_of(net)  # 2 ** 40 ways lead from its image to its digit
    assert [box.title for box in boxes].count("Add") == 40


def test_a_layer_used_twice_is_counted_once_and_drawing_leaves_the_network_as_it_was() -> None:
    net, shared = TwoInputNet("tiny", "concat").train(), nn.Linear(32, 32)
    net.encoder.extend([shared, nn.ReLU(), shared])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert parameters_on_boxes(draw_network(net, "shared")) == size_of(net)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
