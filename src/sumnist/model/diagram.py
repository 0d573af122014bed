"""A picture of the network, drawn from the network: both inputs, every layer with its shape and size, both outputs.

What it does is read off the graph that `torch.export` makes of it: every tensor operation that the outputs depend on,
and the module that each belongs to. `boxes_of` merges what belongs together: a convolution with its normalisation and
activation, the arithmetic between the heads and an output. No layer of ours is named here: one that has no words below
gets the name of its class. `draw_network` lays the boxes out and writes the SVG: the encoder above, then a lane for
what makes the digit, then a lane that the number enters and that makes the sum.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

from sumnist.config import Config
from sumnist.data.mnist import load_mnist
from sumnist.model.fusion import ExactFusion, LearnedFusion
from sumnist.model.network import TwoInputNet

__all__ = ["Box", "boxes_of", "draw", "draw_network"]

MARGIN, PAD, GAP, LEAST_WIDTH = 28, 12, 14, 1000
BAND_TOP, BAND_GAP = 84, 26  # of the first band; between two
HEADROOM, LANE_HEIGHT, ROW_GAP = 26, 104, 30
WORDS, LINE = 110, 16  # in a card of the encoder: where its words begin, and how far apart they are
TILE, OUTPUT_WIDTH = 96, 222
EXAMPLE_DIGIT, EXAMPLE_NUMBER = 5, 7
EXAMPLE_DIGITS = (0.01, 0.01, 0.02, 0.16, 0.01, 0.72, 0.02, 0.01, 0.03, 0.01)
"""The probabilities that a network might give the five in the picture: an example, not computed."""

STYLE = """
text { font-family: -apple-system, BlinkMacSystemFont, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d1d9e0 } .band { fill: #f3f6f9 } .card { fill: #ffffff; stroke: #c3ccd5 }
.muted { fill: #59636e } .edge { fill: none; stroke: #6e7781; stroke-width: 1.6 } .head { fill: #6e7781 }
.learned { fill: #1f6feb } .fixed { fill: #818b98 } .computed { fill: #b35900 } .dashed { stroke: #b35900 }
.bar { fill: #aab4c0 } .hit { fill: #1a7f37 } .ground { fill: #0d1117 } .ink, text.ink { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117; stroke: #30363d } .band { fill: #151b23 } .card { fill: #0d1117; stroke: #3d444d }
.muted { fill: #9198a1 } .edge { stroke: #8b949e } .head { fill: #8b949e }
.learned { fill: #4493f8 } .fixed { fill: #7d8590 } .computed { fill: #e09b3d } .dashed { stroke: #e09b3d }
.bar { fill: #4b5563 } .hit { fill: #3fb950 } .ground { fill: #000000 }
}
"""


def draw(config: Config) -> str:
    """A picture of the network that a configuration describes.

    Args:
        config: Its encoder, fusion and number encoding are what is drawn; the weights are fresh ones.

    Returns:
        The text of an SVG file, for light and dark pages; the same text for the same configuration.
    """
    encoding = f" ({config.number_encoding} number)" if config.fusion == "concat" else ""
    net = TwoInputNet.from_config(config)
    return draw_network(net, f"encoder {config.encoder} · fusion {config.fusion}{encoding}")


class Spot(NamedTuple):
    """Where a box, or an output, lies. `row` counts from the top; the last two are the lanes of digit and sum."""

    x: float
    y: float
    width: float
    height: float
    row: int

    @property
    def middle(self) -> float:
        """Halfway across."""
        return self.x + self.width / 2

    @property
    def level(self) -> float:
        """Where the arrows of its row run."""
        return self.y + min(self.height / 2, 54)


def draw_network(net: TwoInputNet, title: str) -> str:
    """`net` as the text of an SVG file. `title` stands above it, beside its number of parameters."""
    boxes, ends = boxes_of(net)
    total = f"{sum(box.parameters for box in boxes):,} parameters"
    spots, bands, width = place(boxes)
    ordered, bottom = [spots[i] for i in range(len(spots))], bands[-1][2]
    height = bottom + 46
    arrows = [(j, i) for i, box in enumerate(boxes) for j in box.inputs]
    arrows += [(ends["digit"], len(boxes)), (ends["sum"], len(boxes) + 1)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {num(width)} {num(height)}" width="{num(width)}" '
        f'height="{num(height)}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(f"Sumnist: {title}")}</title>',
        f'<desc id="desc">{escape(describe(boxes, ends, total))}</desc>',
        f"<style>{STYLE}</style>",
        rect("page", 0.5, 0.5, width - 1, height - 1, 14),
        text(MARGIN, 42, "Sumnist: an image and a number in, a digit and a sum out", 22, bold=True),
        text(MARGIN, 67, f"{title} · {total}", 15, "muted"),
        *(band(label, top, end, width) for label, top, end in bands),
        *(edge(spots[j], spots[i], ordered) for j, i in arrows),
        image_tile(spots[0]),
        number_tile(spots[1]),
        *(card(box, spot) for box, spot in zip(boxes[2:], ordered[2:-2], strict=True)),
        output_tile(ordered[-2], "digit", boxes[ends["digit"]].shape[0], EXAMPLE_DIGIT),
        output_tile(ordered[-1], "sum", boxes[ends["sum"]].shape[0], EXAMPLE_DIGIT + EXAMPLE_NUMBER),
        legend(bottom + 28, width, {kind(box) for box in boxes}),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def place(boxes: list[Box]) -> tuple[dict[int, Spot], list[tuple[str, float, float]], float]:
    """A spot for each box and for the outputs digit and sum, which count on; label, top and bottom of each group of
    rows; and the width of the page. The encoder has rows, the number one if it has far to go, the rest two lanes."""
    chain = [i for i, box in enumerate(boxes) if box.part == "encoder"]
    alone = [i for i, box in enumerate(boxes) if is_of_number_alone(boxes, i)]
    alone = alone if len(alone) > 2 else []
    columns = columns_of(boxes, [i for i in range(1, len(boxes)) if i not in chain and i not in alone])
    widths = [max(card_width(boxes, i) for i in column) for column in columns]
    width = max(LEAST_WIDTH, sum(widths) + GAP * (len(widths) - 1) + 2 * MARGIN)

    encoder = wrapped(boxes, chain, width - 2 * MARGIN)
    lanes = [[i for column in columns for i in column if is_in_sum_lane(boxes, i) == lane] for lane in (False, True)]
    left = {
        i: (x, wide) for column, x, wide in zip(columns, across(widths, width), widths, strict=True) for i in column
    }
    for members, total in (*((row, width) for row in encoder), (alone, 0)):
        cards = [card_width(boxes, i) for i in members]
        left |= zip(members, zip(across(cards, total), cards, strict=True), strict=True)

    encoder_height = WORDS + LINE * max(3, *(len(lines(boxes[i])) for i in chain)) + PAD / 2
    groups = [("encoder", encoder, encoder_height), ("number", [alone], LANE_HEIGHT), ("fusion", lanes, LANE_HEIGHT)]
    spots, bands, top = dict[int, Spot](), list[tuple[str, float, float]](), float(BAND_TOP)
    row = 0
    for label, rows, height in groups if alone else (groups[0], groups[2]):
        y = top + HEADROOM
        for members in rows:
            spots |= {i: Spot(left[i][0], y, left[i][1], height, row) for i in members}
            y, row = y + height + ROW_GAP, row + 1
        bands.append((label, top, y - ROW_GAP + PAD))
        top = bands[-1][2] + BAND_GAP
    return spots, bands, width


def is_of_number_alone(boxes: list[Box], i: int) -> bool:
    """Whether box `i` sees the number and not the image."""
    return i == 1 or (i > 1 and bool(boxes[i].inputs) and all(is_of_number_alone(boxes, j) for j in boxes[i].inputs))


def is_in_sum_lane(boxes: list[Box], i: int) -> bool:
    """Whether box or output `i` lies on the number's way to the sum."""
    if i >= len(boxes):
        return i > len(boxes)
    return i == 1 or (boxes[i].needs_number and boxes[i].makes_sum)


def columns_of(boxes: list[Box], members: list[int]) -> list[list[int]]:
    """The boxes `members` and the two outputs in columns from left to right, each as late as what needs it allows, so
    that arrows seldom cross."""
    steps_left = dict.fromkeys(members, 1)
    for i in reversed(members):
        for j in boxes[i].inputs:
            if j in steps_left:
                steps_left[j] = max(steps_left[j], steps_left[i] + 1)
    last = max(steps_left.values())
    columns = [[i for i in members if steps_left[i] == k] for k in range(last, 0, -1)]
    return [*columns, [len(boxes), len(boxes) + 1]]


def wrapped(boxes: list[Box], chain: list[int], width: float) -> list[list[int]]:
    """`chain` in as few rows as fit into `width`, of about the same length."""
    needed = sum(card_width(boxes, i) + GAP for i in chain)
    size = math.ceil(len(chain) / max(1, math.ceil(needed / (width + GAP))))
    return [chain[k : k + size] for k in range(0, len(chain), size)]


def across(widths: list[float], total: float) -> list[float]:
    """The left edge of each card of a row that is spread over a page `total` wide; close together where that is 0."""
    gap = (total - 2 * MARGIN - sum(widths)) / max(1, len(widths) - 1) if total else 2.5 * GAP
    return [MARGIN + sum(widths[:k]) + k * gap for k in range(len(widths))]


Line = tuple[str, int, str, bool]
"""A line of text: words, size, class, bold."""


def lines(box: Box) -> list[Line]:
    """The text of a box, line by line."""
    in_encoder = box.part == "encoder"
    tag = [] if in_encoder or kind(box) == "fixed" else [(kind(box), 11, kind(box), True)]
    details: list[str] = []
    for word in box.details:
        packed = f"{details[-1]} · {word}" if details else word
        if details and not box.computed and text_width(packed, 12) < (90 if in_encoder else 160):
            details[-1] = packed
        else:
            details.append(word)
    count = [(f"{box.parameters:,} param{'s' * (box.parameters > 1)}", 12, "learned", False)] if box.parameters else []
    plain = [(line, 12, "muted", False) for line in details]
    return [*tag, (box.title, 13, "", True), *plain, (shape_text(box.shape), 12, "", False), *count]


def kind(box: Box) -> str:
    """`learned`, `computed`, or `fixed` for what only reshapes or pools."""
    return "computed" if box.computed else "learned" if box.parameters else "fixed"


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape with the batch in front: `[B, 10]`."""
    return f"[{', '.join(['B', *map(str, shape)])}]"


def card_width(boxes: list[Box], i: int) -> float:
    """The width that box or output `i` needs for its text."""
    if i >= len(boxes):
        return OUTPUT_WIDTH
    return max(TILE, *(text_width(line, size, bold) + 12 for line, size, _, bold in lines(boxes[i])))


def card(box: Box, spot: Spot) -> str:
    """A box: in the encoder, with a drawing of its result above the words."""
    style = 'card dashed" stroke-dasharray="5 3' if box.computed else "card"
    tip, rows = "\n".join(str(module) for module in box.modules) or box.title, lines(box)
    in_encoder = box.part == "encoder"
    top = spot.y + (WORDS if in_encoder else (spot.height - LINE * len(rows)) / 2) + 12
    drawing = slab(box, spot.middle, spot.level) if in_encoder else ""
    return tile(spot, drawing, stacked(spot.middle, top, rows), style=style, tip=f"<title>{escape(tip)}</title>")


def stacked(x: float, y: float, rows: list[Line]) -> str:
    """Lines of text below each other, centred on `x`."""
    return "".join(text(x, y + LINE * k, *row, "middle") for k, row in enumerate(rows))


def slab(box: Box, x: float, y: float) -> str:
    """The result of a box as a solid around (x, y): as high and wide as its maps, as deep as it has channels; a bar for
    features without positions."""
    if len(box.shape) == 3:
        high, wide, deep = box.shape[1] * 2.4, box.shape[2] * 2.4, min(24, 4 + box.shape[0] / 6)
    else:
        high, wide, deep = min(76.0, 5 * math.sqrt(math.prod(box.shape))), 8, 4
    left, top, rise = x - (wide + deep) / 2, y - (high - deep * 0.6) / 2, deep * 0.6
    faces = (
        (1.0, f"M{num(left)} {num(top)}h{num(wide)}v{num(high)}h{num(-wide)}z"),
        (0.5, f"M{num(left)} {num(top)}l{num(deep)} {num(-rise)}h{num(wide)}l{num(-deep)} {num(rise)}z"),
        (0.7, f"M{num(left + wide)} {num(top)}l{num(deep)} {num(-rise)}v{num(high)}l{num(-deep)} {num(rise)}z"),
    )
    return "".join(f'<path class="{kind(box)}" fill-opacity="{o:g}" d="{d}"/>' for o, d in faces)


def edge(start: Spot, end: Spot, spots: list[Spot]) -> str:
    """An arrow from `start` to `end`: straight in a row, or around what stands between; with corners between rows."""
    x, to, below = start.middle, end.middle, start.y + start.height
    sum_lane = spots[-1].row
    if start.row == end.row:
        if not any(spot.row == start.row and start.x < spot.x < end.x for spot in spots):
            return arrow([(start.x + start.width, start.level), (end.x, end.level)])
        side, rim = (below, below + 10) if start.row == sum_lane else (start.y, start.y - 10)
        return arrow([(x, side), (x, rim), (to, rim), (to, side)])
    if start.row > end.row:
        return arrow([(x, start.y), (x, end.level), (end.x, end.level)])
    if start.row == sum_lane - 1:
        return arrow([(start.x + start.width, start.level), (to, start.level), (to, end.y)])
    channel = spots[-2].y - HEADROOM - BAND_GAP / 2 if end.row >= sum_lane - 1 else end.y - ROW_GAP / 2
    return arrow([(x, below), (x, channel), (to, channel), (to, end.y)])


def arrow(points: list[tuple[float, float]]) -> str:
    """A line through `points` with rounded corners and a head at its end."""
    (x0, y0), (x1, y1) = points[-2:]
    along, down = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
    path = f"M{num(points[0][0])} {num(points[0][1])}"
    for (ax, ay), (bx, by), (cx, cy) in zip(points, points[1:], points[2:], strict=False):
        near, far = max(1.0, math.dist((ax, ay), (bx, by))), max(1.0, math.dist((bx, by), (cx, cy)))
        r = min(8.0, near / 2, far / 2)
        path += f"L{num(bx + (ax - bx) / near * r)} {num(by + (ay - by) / near * r)}"
        path += f"Q{num(bx)} {num(by)} {num(bx + (cx - bx) / far * r)} {num(by + (cy - by) / far * r)}"
    path += f"L{num(x1 - 6 * along)} {num(y1 - 6 * down)}"
    head = f"M{num(x1)} {num(y1)}l{num(-8 * along - 4 * down)} {num(-8 * down - 4 * along)}"
    return f'<path class="edge" d="{path}"/><path class="head" d="{head}l{num(8 * down)} {num(8 * along)}z"/>'


def tile(spot: Spot, *inside: str, style: str = "card", tip: str = "") -> str:
    """A card with anything on it."""
    return "".join([f"<g>{tip}", rect(style, spot.x, spot.y, spot.width, spot.height, 8), *inside, "</g>"])


def image_tile(spot: Spot) -> str:
    """The input image, with the first five of MNIST as the example."""
    x, y = spot.middle - 42, spot.y + 12
    pixels = "".join(f'<path class="ink" fill-opacity="{grey / 8:g}" d="{path}"/>' for grey, path in five())
    told = [("image", 13, "", True), ("input", 12, "muted", False), (shape_text((1, 28, 28)), 12, "", False)]
    return tile(
        spot,
        rect("ground", x, y, 84, 84, 4),
        f'<g transform="translate({num(x)} {num(y)}) scale(3)" shape-rendering="crispEdges">{pixels}</g>',
        stacked(spot.middle, spot.y + WORDS + 12, told),
    )


@lru_cache(maxsize=1)
def five() -> list[tuple[int, str]]:
    """The first training image of MNIST, a five: for each of eight levels of grey, the path of its pixels."""
    image = (load_mnist("train").images[0].astype(int) + 31) // 32  # [28, 28], 0..8
    return [(grey, "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(image == grey))) for grey in range(1, 9)]


def number_tile(spot: Spot) -> str:
    """The input number."""
    told = [("number", 13, "", True), ("input [B]", 12, "muted", False)]
    return tile(
        spot,
        text(spot.middle, spot.y + 48, str(EXAMPLE_NUMBER), 40, "", True, "middle"),
        stacked(spot.middle, spot.y + 72, told),
    )


def output_tile(spot: Spot, name: str, count: int, answer: int) -> str:
    """An output: its shape, its most probable value for the example, and a bar for the probability of each value."""
    x, step, floor = spot.x + 102, 108 / count, spot.y + 80
    told = [(name, 13, "", True), (f"output {shape_text((count,))}", 11, "muted", False)]
    parts = [
        text(spot.x + 50, spot.y + 48, str(answer), 40, "hit", True, "middle"), stacked(spot.x + 50, spot.y + 72, told)
    ]  # fmt: skip
    for value in range(count):
        source = value - answer + EXAMPLE_DIGIT
        high = max(1.0, 84 * EXAMPLE_DIGITS[source]) if 0 <= source < len(EXAMPLE_DIGITS) else 1.0
        style = "hit" if value == answer else "bar"
        parts.append(rect(style, x + step * value + 0.8, floor - high, step - 1.6, high))
    named = (text(x + step * (value + 0.5), floor + 14, str(value), 11, "muted", False, "middle")
             for value in (0, answer, count - 1))  # fmt: skip
    return tile(spot, *parts, *named)


def band(label: str, top: float, bottom: float, width: float) -> str:
    """The ground under a group of rows."""
    ground = rect("band", MARGIN - PAD, top, width - 2 * (MARGIN - PAD), bottom - top, 10)
    return ground + text(MARGIN, top + 18, label, 12, "muted", bold=True)


def legend(y: float, width: float, kinds: set[str]) -> str:
    """The meaning of the colours, of B, and of the bars."""
    labels = {"learned": "learned", "fixed": "no parameters", "computed": "computed, not learned"}
    parts, x = [], float(MARGIN)
    for style in (name for name in labels if name in kinds):
        parts.append(rect(style, x, y - 10, 11, 11, 2))
        parts.append(text(x + 17, y, labels[style], 12, "muted"))
        x += text_width(labels[style], 12) + 36
    parts.append(
        text(width - MARGIN, y, "B: pairs in a batch · bars: probabilities, an example", 12, "muted", False, "end")
    )
    return "".join(parts)


def describe(boxes: list[Box], ends: dict[str, int], total: str) -> str:
    """The picture in words, for those who do not see it."""
    sentences = []
    for box in boxes[2:]:
        sources = " and ".join(boxes[j].title for j in box.inputs)
        count = f"{box.parameters:,} parameters" if box.parameters else "no parameters"
        sentences.append(
            f"{' '.join([box.title, *box.details])}, from {sources}, gives {shape_text(box.shape)}, {count}."
        )
    tail = f"Output digit from {boxes[ends['digit']].title}, output sum from {boxes[ends['sum']].title}."
    return " ".join([f"A network of {total}: two inputs, image and number.", *sentences, tail])


def rect(style: str, x: float, y: float, width: float, height: float, radius: int = 0) -> str:
    """A rectangle with rounded corners."""
    rounded = f' rx="{radius}"' * bool(radius)
    return f'<rect class="{style}" x="{num(x)}" y="{num(y)}" width="{num(width)}" height="{num(height)}"{rounded}/>'


def text(
    x: float, y: float, words: str, size: int, style: str = "", bold: bool = False, anchor: str = "start"
) -> str:  # fmt: skip
    """A line of text, at an explicit size."""
    extras = f' class="{style}"' * bool(style) + ' font-weight="600"' * bold
    extras += f' text-anchor="{anchor}"' * (anchor != "start")
    return f'<text x="{num(x)}" y="{num(y)}" font-size="{size}"{extras}>{escape(words)}</text>'


def text_width(words: str, size: float, bold: bool = False) -> float:
    """An upper bound for the width of a line: that of DejaVu Sans, the widest of the usual fonts."""
    narrow, wide = set(" ,.:;()[]ijlftr|·"), set("mwMW@%÷×=−→")
    em = sum(0.4 if c in narrow else 0.86 if c in wide else 0.72 if c.isupper() else 0.636 for c in words)
    return em * size * (1.1 if bold else 1)


def num(value: float) -> str:
    """A coordinate, the same text on every machine."""
    return f"{round(value, 1):g}"


# What is drawn: the boxes, from the graph.

Part = Literal["encoder", "fusion", "outputs"]


def exported(net: TwoInputNet) -> ExportedProgram:
    """The graph of `net` in evaluation mode, without contexts such as autocast around parts of it."""
    device, training = next(net.parameters()).device, net.training
    example = torch.zeros(2, 1, 28, 28, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")  # of torch, to torch
            program: ExportedProgram = torch.export.export(net.eval(), example, strict=False).run_decompositions({})
            return program
    finally:
        net.train(training)


def part_of(node: Node) -> Part:
    """The part of the network that an operation belongs to."""
    paths = [path for path, _ in node.meta["nn_module_stack"].values()]
    return "encoder" if "encoder" in paths else "fusion" if "fusion" in paths else "outputs"


def layer_of(net: TwoInputNet, node: Node, own: Iterable[str]) -> tuple[str | None, nn.Module | None]:
    """The module of `torch.nn` that an operation belongs to, or whose parameters `own` it takes, and a name for this
    call of it; None for an operation outside of any."""
    calls = [(call, path) for call, (path, _) in node.meta["nn_module_stack"].items()]
    owners = [(node.name, name.rpartition(".")[0]) for name in own]  # where autocast changes, the calls are not kept
    for call, path in calls + owners:
        module = net.get_submodule(path)
        if type(module).__module__.startswith("torch.nn.") and not isinstance(module, nn.Sequential):
            return call, module
    return None, None


@dataclass
class Box:
    """One box of the picture. `inputs` are indices of other boxes; `shape` goes without the batch."""

    title: str
    part: Part
    shape: tuple[int, ...]
    details: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    parameters: int = 0
    computed: bool = False
    needs_number: bool = False
    makes_sum: bool = False
    modules: list[nn.Module] = field(default_factory=list)


QUIET = {
    "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "select", "slice", "getitem", "_to_copy", "clone",
    "detach", "alias",
}  # fmt: skip
"""Operations that change a tensor's form and not what it says: they go unmentioned."""

FOLLOWERS = {
    "relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "sigmoid": "sigmoid", "tanh": "tanh", "leaky_relu": "LeakyReLU",
    "softmax": "softmax", "log_softmax": "log-softmax", "layer_norm": "norm",
    "_native_batch_norm_legit_no_training": "norm",
}  # fmt: skip
"""Operations drawn as a word in the box that they follow."""

TITLES = {
    "cat": "Join", "add": "Add", "one_hot": "One-hot", "mean": "Mean", "matmul": "Product", "mul": "Multiply",
    "div": "Divide", "max_pool2d": "Max-pool", "avg_pool2d": "Mean-pool",
}  # fmt: skip


def boxes_of(net: TwoInputNet) -> tuple[list[Box], dict[str, int]]:
    """The boxes of the picture, each after its inputs, image and number first; and which of them give the outputs."""
    builder = Builder(net, exported(net))
    for node in builder.layers:
        builder.take(node)
    return builder.boxes, {name: builder.place[end] for name, end in builder.ends.items()}


class Builder:
    """Turns the operations of a network into boxes, one at a time."""

    def __init__(self, net: TwoInputNet, program: ExportedProgram) -> None:
        self.net, self.parameters = net, program.graph_signature.inputs_to_parameters
        self.heads = {child: name for name, child in net.fusion.named_children() if name in ("digit", "sum")}
        self.boxes = [Box("image", "encoder", (1, 28, 28)), Box("number", "fusion", (), needs_number=True)]
        inputs = (node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
        self.place = {node: i for i, node in enumerate(inputs)}  # operation → box
        self.calls: dict[str, int] = {}  # call of a module of torch.nn → box
        self.collapsed: dict[str, int] = {}  # output → the box of what is computed for it
        self.counted: set[str] = set()
        self.loose: dict[Node, dict[str, int]] = {}  # parameters of operations that no input enters
        operations = [
            node for node in program.graph.nodes if node.op == "call_function" and node.meta.get("val") is not None
        ]
        self.layers = {node: layer_of(net, node, self.own(node)) for node in operations}
        self.ends = dict(zip(("digit", "sum"), program.graph.output_node().args[0], strict=True))
        self.digit, self.sum = (upstream(end) for end in self.ends.values())

    def own(self, node: Node) -> dict[str, int]:
        """The parameters that an operation takes: name → size."""
        taken = [source for source in node.all_input_nodes if source.name in self.parameters]
        return {self.parameters[source.name]: source.meta["val"].numel() for source in taken}

    def take(self, node: Node) -> None:
        """Put an operation into a box of its own or one that is there."""
        parameters = self.own(node)
        for source in node.all_input_nodes:
            parameters |= self.loose.get(source, {})
        inputs = [source for source in node.all_input_nodes if source in self.place]
        sources = list(dict.fromkeys(self.place[source] for source in inputs))
        if not sources:
            self.loose[node] = parameters
            return
        (call, module), part, word = self.layers[node], part_of(node), None
        if call in self.calls:
            self.place[node] = self.calls[call]
            self.boxes[self.calls[call]].shape = shape_of(node)
        elif len(sources) == 1 and self.follows(inputs[-1], word := follower(node, module, part)):
            self.place[node] = sources[0]
            merge(self.boxes[sources[0]], node, module, word)
        elif part == "outputs":
            self.place[node] = self.collapse("digit" if node in self.digit else "sum", shape_of(node))
        else:
            self.place[node] = self.open(node, module, part)
        if call and word != "":
            self.calls[call] = self.place[node]
        box = self.boxes[self.place[node]]
        box.inputs += [j for j in sources if j != self.place[node] and j not in box.inputs]
        box.parameters += sum(size for name, size in parameters.items() if name not in self.counted)
        box.needs_number = box.needs_number or any(self.boxes[j].needs_number for j in sources)
        box.makes_sum = box.makes_sum or node in self.sum
        self.counted.update(parameters)

    def follows(self, source: Node, word: str | None) -> bool:
        """Whether an operation with this `word` is drawn in the box of its `source`, which no other needs."""
        users = {self.layers[user][0] or user.name for user in source.users if user in self.layers}
        return word == "" or (word is not None and self.place[source] > 1 and len(users) == 1)

    def collapse(self, output: str, shape: tuple[int, ...]) -> int:
        """The one box for all that is computed between the heads and `output`, with `shape` as the latest of it."""
        if output not in self.collapsed:
            self.collapsed[output] = len(self.boxes)
            self.boxes.append(computed_box(self.net, output))
        self.boxes[self.collapsed[output]].shape = shape
        return self.collapsed[output]

    def open(self, node: Node, module: nn.Module | None, part: Part) -> int:
        """A new box for an operation."""
        title, details = words(node, module)
        if module in self.heads:
            title, details = f"{self.heads[module].capitalize()} head", [title, *details]
        self.boxes.append(Box(title, part, shape_of(node), details, modules=[module] if module else []))
        return len(self.boxes) - 1


def upstream(end: Node) -> set[Node]:
    """The operations that `end` depends on, itself included."""
    needed, waiting = {end}, [end]
    while waiting:
        new = set(waiting.pop().all_input_nodes) - needed
        needed |= new
        waiting += new
    return needed


def op_of(node: Node) -> str:
    """The name of an ATen operation."""
    return str(node.target.__name__).split(".")[0]  # type: ignore[union-attr]


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of the result, or of the first one, without the batch."""
    value = node.meta["val"]
    return tuple((value[0] if isinstance(value, (tuple, list)) else value).shape[1:])


def follower(node: Node, module: nn.Module | None, part: Part) -> str | None:
    """The word for an operation in the box that it follows, empty where it needs none; None if it has its own box."""
    op, kind = op_of(node), type(module).__name__
    if op in QUIET or (part == "outputs" and op == "div"):  # the temperature
        return ""
    if module is None:
        return FOLLOWERS.get(op)
    if "Norm" in kind:
        return "norm"
    is_activation = type(module).__module__ == "torch.nn.modules.activation" and not list(module.parameters())
    return kind if is_activation or kind == "PReLU" else None


def merge(box: Box, node: Node, module: nn.Module | None, word: str | None) -> None:
    """Let `box` swallow an operation."""
    if word and not box.computed:
        box.details.append(word)
    if module and word:
        box.modules.append(module)
    shape = shape_of(node)
    ones_dropped = [n for n in shape if n > 1] == [n for n in box.shape if n > 1]
    if box.title != "number" and (word or ones_dropped):  # the shape before a flattening says more than the one after
        box.shape = shape


def words(node: Node, module: nn.Module | None) -> tuple[str, list[str]]:
    """Title and details for the box of an operation, or of the module that it begins."""
    op, kind = op_of(node), type(module).__name__
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        details = [f"stride {times(module.stride)}"] if set(module.stride) != {1} else []
        depthwise = module.groups == module.in_channels > 1
        details += ["depthwise"] if depthwise else [f"{module.groups} groups"] if module.groups > 1 else []
        return f"Conv {times(module.kernel_size, always=True)}", details
    if isinstance(module, nn.Linear):
        return f"Linear {module.out_features}", []
    if "Pool" in kind:
        pooling, adaptive = "max" if "Max" in kind else "mean", kind.startswith("Adaptive")
        if adaptive and math.prod(shape_of(node)[1:]) == 1:
            return f"Global {pooling}", []
        size = [] if adaptive or module is None else [times(module.kernel_size, always=True)]
        return f"{pooling.capitalize()}-pool", size
    if module is not None:
        return kind, []
    operators, numbers = {"div": "÷", "mul": "×"}, [value for value in node.args if isinstance(value, (int, float))]
    if op in operators and numbers:
        return f"{operators[op]} {numbers[0]:g}", []
    return TITLES.get(op, op.strip("_")), []


def times(size: object, always: bool = False) -> str:
    """`3×3`, or `2` for a size that is the same both ways."""
    pair = [str(n) for n in size] if isinstance(size, tuple) else [str(size)] * 2
    return "×".join(pair) if always or len(set(pair)) > 1 else pair[0]


def computed_box(net: TwoInputNet, output: str) -> Box:
    """The one box for everything between the heads and `output` that nothing is learned in."""
    if isinstance(net.fusion, ExactFusion) and output == "sum":
        return Box("Shift by the number", "outputs", (), ["P(sum = s) =", "P(digit = s − number)"], computed=True)
    if isinstance(net.fusion, LearnedFusion) and net.fusion.sum_target == "bits" and output == "sum":
        return Box("Bits → sum", "outputs", (), ["product of its bits,", "normalised over 0..18"], computed=True)
    back = ["label smoothing", "taken back"] if net.fusion.smoothing else []
    return Box(f"{output.capitalize()} probabilities", "outputs", (), back, computed=True)
