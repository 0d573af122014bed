"""Draw a network as an SVG picture, from the network itself: both inputs, every layer with its shape and size, both
outputs.

`boxes_of` runs the network layer by layer. It merges layers that belong together: a convolution with its normalisation
and activation, or the arithmetic between the heads and an output. A layer that `words` does not know gets the name of
its class. `draw_network` writes the SVG. Each box stands above those that take its result: in the left column are the
encoder and what leads to the digit alone, in the right one are the number and all that the sum needs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sumnist.config import Training
from sumnist.data.mnist import load_mnist
from sumnist.data.sampling import NUMBERS, SUMS
from sumnist.model.encoders import Edges, MomentNorm
from sumnist.model.fusion import BITS, ExactFusion, OriginalFusion
from sumnist.model.network import TwoInputNet

MARGIN, TOP, PAD, LINE, GAP, HEIGHT, LEAST_WIDTH = 28, 92, 14, 18, 30, 70, 660
EXAMPLE = {"image": "", "number": "7", "digit": "5", "sum": "12"}
"""What is shown of the inputs and outputs: an example, not computed."""
KINDS = {"learned": "learned", "fixed": "no parameters", "computed": "computed, not learned"}
"""The kinds of boxes, in words."""
STYLE = """
text { font-family: -apple-system, BlinkMacSystemFont, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d1d9e0 } .card { fill: #f6f8fa; stroke: #c3ccd5 } .muted { fill: #59636e }
.edge { fill: none; stroke: #6e7781; stroke-width: 1.6 } .head { fill: #6e7781 }
.learned { fill: #1f6feb } .fixed { fill: #818b98 } .computed { fill: #b35900 }
.ground { fill: #0d1117 } .ink { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117; stroke: #30363d } .card { fill: #151b23; stroke: #3d444d } .muted { fill: #9198a1 }
.edge { stroke: #8b949e } .head { fill: #8b949e }
.learned { fill: #4493f8 } .fixed { fill: #7d8590 } .computed { fill: #e09b3d } .ground { fill: #000000 }
}
"""


def draw(config: Training) -> str:
    """Draw the network that a configuration describes.

    Args:
        config: The configuration. The picture shows its encoder and fusion, with fresh weights.

    Returns:
        The text of an SVG file, for light and dark pages; the same configuration gives the same text.
    """
    return draw_network(TwoInputNet.from_config(config), f"encoder {config.encoder} · fusion {config.fusion}")


class Card(NamedTuple):
    """Where a box lies: the left edge and the top, and the size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The x in the middle."""
        return self.x + self.width / 2


def draw_network(net: TwoInputNet, title: str) -> str:
    """Draw `net` as the text of an SVG file. The `title` stands at the top, with the number of parameters."""
    boxes, ends = boxes_of(net)
    total = f"{sum(box.parameters for box in boxes):,} parameters"
    sentences = [described(box, boxes) for box in boxes[2:]]
    for name, end in ends.items():
        boxes.append(Box(name, boxes[end].result, [end], [f"output {shape_text(boxes[end].shape)}"]))
    for box in boxes[:2]:
        box.details = [f"input {shape_text(box.shape) if box.shape != (1,) else '[B]'}"]
    cards = placed(boxes)
    width, height = cards[-1].x + cards[-1].width + MARGIN, cards[-1].y + cards[-1].height + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {num(width)} {num(height)}" width="{num(width)}" '
        f'height="{num(height)}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(f"Sumnist: {title}")}</title>',
        f'<desc id="desc">A network of {total}: two inputs, image and number. {escape(" ".join(sentences))}</desc>',
        f"<style>{STYLE}</style>",
        rect("page", 0.5, 0.5, width - 1, height - 1, 14),
        text(MARGIN, 42, "Sumnist: an image and a number in, a digit and a sum out", 22, bold=True),
        text(MARGIN, 67, f"{title} · {total}", 15, "muted"),
        *(arrow(cards[j], card) for box, card in zip(boxes, cards, strict=True) for j in box.inputs),
        *(drawn(box, card) for box, card in zip(boxes, cards, strict=True)),
        legend(height - 20),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def placed(boxes: list[Box]) -> list[Card]:
    """Where each box lies. The last two are the outputs."""
    needs_number: list[bool] = []
    for i, box in enumerate(boxes):
        needs_number.append(i == 1 or any(needs_number[j] for j in box.inputs))
    to_sum, row = {len(boxes) - 1}, [0] * len(boxes)  # the row from below, as far down as what takes its result allows
    for i in reversed(range(len(boxes))):
        to_sum.update(boxes[i].inputs if i in to_sum else ())
        for j in boxes[i].inputs:
            row[j] = max(row[j], row[i] + 1)
    is_left = [i not in to_sum or not needs_number[i] for i in range(len(boxes))]
    wide = {side: max(width_of(box) for box, left in zip(boxes, is_left, strict=True) if left == side)
            for side in (True, False)}  # fmt: skip
    right = max(LEAST_WIDTH - MARGIN - wide[False], MARGIN + wide[True] + 2 * GAP)
    return [
        Card(MARGIN if left else right, TOP + (max(row) - above) * (HEIGHT + GAP), wide[left], HEIGHT)
        for left, above in zip(is_left, row, strict=True)
    ]


Line = tuple[str, int, bool, str]
"""A line of text: words, size, bold, class."""


def lines(box: Box) -> list[Line]:
    """The text of a box, line by line."""
    count = f" · {box.parameters:,} param{'s' * (box.parameters > 1)}" if box.parameters else ""
    shape = "" if box.title in EXAMPLE else shape_text(box.shape) + count
    rows = [(box.title, 14, True, ""), (" · ".join(box.details), 12, False, "muted"), (shape, 12, False, "")]
    return [row for row in rows if row[0]]


def width_of(box: Box) -> float:
    """The width that the text of a box needs, and an example beside it."""
    return max(text_width(*line[:3]) for line in lines(box)) + 2 * PAD + (HEIGHT if box.title in EXAMPLE else 0)


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape with the batch in front: `[B, 10]`."""
    return f"[{', '.join(['B', *map(str, shape)])}]"


def described(box: Box, boxes: list[Box]) -> str:
    """A box in words, for people who cannot see the picture."""
    sources, count = " and ".join(boxes[j].title for j in box.inputs), f"{box.parameters:,}" if box.parameters else "no"
    return f"{' '.join([box.title, *box.details])}, from {sources}, gives {shape_text(box.shape)}, {count} parameters."


def drawn(box: Box, card: Card) -> str:
    """A box as SVG: its kind as a colour, its text, and the example of an input or output."""
    tip = escape("\n".join(str(module) for module in box.modules) or box.title)
    style = "computed" if box.computed else "learned" if box.parameters else "fixed"
    x, parts = card.x + PAD, [rect("card", *card, 8), rect(style, card.x, card.y + 8, 5, card.height - 16, 2)]
    if box.title == "image":
        parts += [rect("ground", x, card.y + 7, 56, 56, 4), f'<g transform="translate({num(x)} {num(card.y + 7)})">']
        parts += [f'<path class="ink" fill-opacity="{grey / 8:g}" d="{path}"/>' for grey, path in five()] + ["</g>"]
    elif box.title in EXAMPLE:
        parts.append(text(x + 28, card.y + 47, EXAMPLE[box.title], 34, bold=True, anchor="middle"))
    x += HEIGHT if box.title in EXAMPLE else 0
    y = card.y + (card.height - LINE * len(lines(box))) / 2 + 13
    parts += [
        text(x, y + LINE * k, words, size, style, bold) for k, (words, size, bold, style) in enumerate(lines(box))
    ]
    return f"<g><title>{tip}</title>{''.join(parts)}</g>"


def five() -> list[tuple[int, str]]:
    """The first training image of MNIST, a five: for each of eight levels of grey, the path of its pixels."""
    image = (load_mnist("train").images[0].astype(int) + 31) // 32  # [28, 28], 0..8
    return [(grey, "".join(f"M{2 * x} {2 * y}h2v2h-2z" for y, x in np.argwhere(image == grey))) for grey in range(1, 9)]


def arrow(start: Card, end: Card) -> str:
    """An arrow down from one box to another."""
    turn = f"V{num(start.y + start.height + GAP / 2)}H{num(end.middle)}" if start.x != end.x else ""
    path = f"M{num(start.middle)} {num(start.y + start.height)}{turn}V{num(end.y - 6)}"
    head = f"M{num(end.middle)} {num(end.y)}l-4 -8h8z"
    return f'<path class="edge" d="{path}"/><path class="head" d="{head}"/>'


def legend(y: float) -> str:
    """The meaning of the colours, and of B."""
    parts, x = "", float(MARGIN)
    for style, words in KINDS.items():
        parts += rect(style, x, y - 10, 11, 11, 2) + text(x + 17, y, words, 12, "muted")
        x += text_width(words, 12) + 36
    return parts + text(x, y, "B: pairs in a batch", 12, "muted")


def rect(style: str, x: float, y: float, width: float, height: float, radius: int) -> str:
    """A rectangle with rounded corners."""
    size = f'width="{num(width)}" height="{num(height)}" rx="{radius}"'
    return f'<rect class="{style}" x="{num(x)}" y="{num(y)}" {size}/>'


def text(x: float, y: float, words: str, size: int, style: str = "", bold: bool = False, anchor: str = "start") -> str:
    """A line of text, at an explicit size."""
    extras = f' class="{style}"' * bool(style) + ' font-weight="600"' * bold
    extras += f' text-anchor="{anchor}"' * (anchor != "start")
    return f'<text x="{num(x)}" y="{num(y)}" font-size="{size}"{extras}>{escape(words)}</text>'


def text_width(words: str, size: float, bold: bool = False) -> float:
    """An upper bound for the width of a line: its width in DejaVu Sans, the widest of the usual fonts."""
    narrow, wide = set(" ,.:;()[]ijlftr|·"), set("mwMW@%÷×=−→")
    em = sum(0.4 if c in narrow else 0.86 if c in wide else 0.72 if c.isupper() else 0.636 for c in words)
    return em * size * (1.1 if bold else 1)


def num(value: float) -> str:
    """A coordinate as text. The text is the same on every machine."""
    return f"{round(value, 1):g}"


# From the network to the boxes that are drawn.


@dataclass
class Box:
    """One box of the picture.

    Attributes:
        title: The first line of its text.
        result: What the layers of the box give for a batch of two.
        inputs: The indices of the boxes whose results it takes.
        details: The other words of its text.
        in_encoder: Whether it belongs to the encoder.
        computed: Whether its result is computed without learned weights.
        parameters: The number of its parameters.
        modules: The layers of the box.
        shape: The shape of the result without the batch. After a flattening it is the shape from before, which says
            more.
    """

    title: str
    result: Tensor
    inputs: list[int] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    in_encoder: bool = False
    computed: bool = False
    parameters: int = 0
    modules: list[nn.Module] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.shape = tuple(self.result.shape[1:])


@torch.no_grad()
def boxes_of(net: TwoInputNet) -> tuple[list[Box], dict[str, int]]:
    """The boxes of the picture: first image and number, then each box after its inputs. Also the index of the box that
    gives each output."""
    net = copy.deepcopy(net).cpu().eval()
    fusion = net.fusion
    boxes = [Box("image", torch.zeros(2, 1, 28, 28), in_encoder=True), Box("number", torch.zeros(2, 1))]
    encoded = layers(boxes, net.encoder, 0, in_encoder=True)
    heads: dict[str, tuple[int, nn.Module]] = {"digit": (encoded, fusion.digit)}
    if not isinstance(fusion, ExactFusion):
        if isinstance(fusion, OriginalFusion):
            layers(boxes, fusion.number, 1)
        else:
            boxes.append(Box("One-hot", torch.zeros(2, NUMBERS), [1]))
        given = len(boxes) - 1
        boxes.append(Box("Join", torch.cat([boxes[encoded].result, boxes[given].result], 1), [encoded, given]))
        if isinstance(fusion, OriginalFusion):
            trunk = layers(boxes, fusion.trunk, given + 1)
            heads = {"digit": (trunk, fusion.digit), "sum": (trunk, fusion.sum)}
        else:
            heads["sum"] = given + 1, nn.Sequential(fusion.hidden, nn.ReLU(), fusion.sum)

    ends: dict[str, int] = {}
    for name, (source, head) in heads.items():
        ends[name] = layers(boxes, head, source)
        box = boxes[-1]
        box.title, box.details = f"{name.capitalize()} head", [box.title]

    def compute(name: str, title: str, size: int, details: list[str], *sources: int) -> None:
        ends[name] = len(boxes)
        boxes.append(Box(title, torch.zeros(2, size), [*sources], details, computed=True))

    for name, end in list(ends.items()):
        if boxes[end].shape == (BITS,):
            compute(name, "Bits → sum", SUMS, ["product of its bits", "normalised over 0..18"], end)
            continue
        boxes[end].details.append("softmax" if fusion.smoothing else "log-softmax")
        if fusion.smoothing:
            told = ["label smoothing", "taken back"]
            compute(name, f"{name.capitalize()} probabilities", boxes[end].shape[0], told, end)
    if "sum" not in ends:
        compute("sum", "Shift by the number", SUMS, ["P(sum = s) =", "P(digit = s − number)"], 1, ends["digit"])
    return boxes, ends


def layers(boxes: list[Box], module: nn.Module, source: int, in_encoder: bool = False) -> int:
    """Append the boxes of a module that takes the result of the box `source`. Returns the index of the last one."""
    if isinstance(module, nn.Sequential):
        for part in module:
            source = layers(boxes, part, source, in_encoder)
        return source
    box, kind = boxes[source], type(module).__name__
    result = module(box.result)
    is_activation = type(module).__module__ == "torch.nn.modules.activation"
    word = "" if kind in QUIET else "norm" if "Norm" in kind else kind if is_activation else None
    if word is None or (word and source < 2):
        title, details = words(module)
        boxes.append(Box(title, result, [source], details, in_encoder))
        source, box = len(boxes) - 1, boxes[-1]
    elif word:
        box.details.append(word)
    counted = {id(parameter) for one in boxes for part in one.modules for parameter in part.parameters()}
    if word != "":
        box.modules.append(module)
    if word or [n for n in box.shape if n > 1] == [n for n in result.shape[1:] if n > 1]:
        box.shape = tuple(result.shape[1:])
    box.result = result
    box.parameters += sum(parameter.numel() for parameter in module.parameters() if id(parameter) not in counted)
    return source


QUIET = {"Flatten", "Unflatten", "Identity", "Dropout"}
"""Layers that the picture does not mention: they change the form of their input, not its content."""


def words(module: nn.Module) -> tuple[str, list[str]]:
    """Title and details for the box of a layer."""
    if isinstance(module, nn.Conv2d):
        details = [f"stride {times(module.stride)}"] if set(module.stride) != {1} else []
        details += ["by channel"] if module.groups > 1 else []
        return f"Conv {times(module.kernel_size, always=True)}", details
    if isinstance(module, Edges):
        return f"Edges {times(module.weight.shape[2:], always=True)}", ["stride 2", "not learned"]
    if isinstance(module, MomentNorm):
        return "Moment norm", ["not learned"]
    if isinstance(module, nn.Linear):
        return f"Linear {module.out_features}", []
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        pooling = "Max-pool" if isinstance(module, nn.MaxPool2d) else "Mean-pool"
        return pooling, [times(module.kernel_size, always=True)]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return "Mean-pool", ["all places"]
    return type(module).__name__, []


def times(size: object, always: bool = False) -> str:
    """`3×3`, or `2` for a size that is the same in both directions."""
    pair = [str(n) for n in size] if isinstance(size, tuple) else [str(size)] * 2
    return "×".join(pair) if always or len(set(pair)) > 1 else pair[0]
