"""Pictures of networks: every layer is there, connected as in the network, and no text leaves its box."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, nn

from sumnist.config import PRESETS, preset
from sumnist.model.diagram import boxes_of, draw, draw_network
from sumnist.model.network import TwoInputNet

SVG = "{http://www.w3.org/2000/svg}"


def words_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def check_counts(svg: str, net: nn.Module) -> None:
    """Each parameter is counted on one box."""
    found = (re.search(r" · ([\d,]+) params?$", word) for word in words_of(svg))
    total = sum(parameter.numel() for parameter in net.parameters())
    assert sum(int(match[1].replace(",", "")) for match in found if match) == total
    assert words_of(svg)[1].endswith(f" · {total:,} parameters")


@pytest.mark.parametrize(
    ("name", "changes"), [*((name, {}) for name in PRESETS), ("tiny", {"label_smoothing": 0.1, "fusion": "concat"})]
)
def test_every_network_is_drawn_whole_as_it_is_wired_and_the_same_every_time(
    name: Any, changes: dict[str, Any]
) -> None:
    config = preset(name, **changes)
    net = TwoInputNet.from_config(config).eval()
    svg = draw(config)
    assert draw(config) == svg
    check_counts(svg, net)

    words = words_of(svg)
    for word in ("image", "input [B, 1, 28, 28]", "number", "input [B]", "output [B, 10]", "output [B, 19]"):
        assert words.count(word) == 1
    assert ("P(sum = s) = · P(digit = s − number)" in words) == (config.fusion == "exact")
    assert "two inputs, image and number" in (ElementTree.fromstring(svg).findtext(f"{SVG}desc") or "")
    boxes, ends = boxes_of(net)  # an output is behind the number, and behind the other head, only if it is so
    outputs = net(torch.rand(1, 1, 28, 28).expand(2, 1, 28, 28), torch.tensor([2, 5]))
    for end, output in zip(ends, outputs, strict=True):
        behind, waiting = {ends[end]}, [ends[end]]
        while waiting:
            new = set(boxes[waiting.pop()].inputs) - behind
            behind |= new
            waiting += new
        assert 0 in behind
        assert (1 in behind) == (not torch.allclose(output[0], output[1]))
        titles = {boxes[i].title for i in behind}
        assert ("Digit head" in titles) == (end == "digit" or config.fusion == "exact")
        assert ("Sum head" in titles) == (end == "sum" and config.fusion != "exact")
        assert boxes[ends[end]].shape == output.shape[1:]


def test_unknown_layers_are_drawn_too_one_used_twice_is_counted_once_and_the_network_stays_as_it_was() -> None:
    class Residual(nn.Conv2d):
        """A layer that no word in the package was written for."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + super().forward(x))

    net, shared = TwoInputNet("tiny", "concat").train(), nn.Linear(32, 32)
    net.encoder = nn.Sequential(
        nn.Conv2d(1, 24, 3), nn.BatchNorm2d(24), nn.GELU(),
        nn.Sequential(Residual(24, 24, 3, padding=1), nn.AvgPool2d(2)), nn.Dropout(),
        nn.PixelUnshuffle(1), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(384, 32), nn.Softsign(),
        nn.LayerNorm(32), shared, nn.ReLU(), shared,
    )  # fmt: skip
    before = {name: value.clone() for name, value in net.state_dict().items()}
    svg = draw_network(net, "strange")
    check_counts(svg, net)

    assert {"PixelUnshuffle", "norm · GELU", "Mean-pool", "Max-pool", "[B, 42]"} <= set(words_of(svg))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
