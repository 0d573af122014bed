"""Draw a network as an SVG picture, from the network itself: both inputs, every layer with its shape and size, both
outputs.

`boxes_of` runs the network layer by layer. It merges layers that belong together: a convolution with its normalisation
and activation, or the arithmetic between the heads and an output. A layer that `words` does not know gets the name of
its class. `draw_network` lays out the boxes and writes the SVG. The encoder is at the top. Below it are a lane for the
digit and a lane for the sum, in which the number joins.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from functools import lru_cache
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

MARGIN, PAD, GAP, LEAST_WIDTH = 28, 12, 14, 1000
BAND_TOP, BAND_GAP = 84, 26  # top of the first band; space between two bands
HEADROOM, LANE_HEIGHT, ROW_GAP = 26, 104, 30
WORDS, LINE = 110, 16  # in a card of the encoder: where the text begins, and the height of a line
TILE, OUTPUT_WIDTH = 96, 222
EXAMPLE_DIGIT, EXAMPLE_NUMBER = 5, 7
EXAMPLE_DIGITS = (0.01, 0.01, 0.02, 0.16, 0.01, 0.72, 0.02, 0.01, 0.03, 0.01)
"""Probabilities that a network might give the five in the picture; an example, not computed."""

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


def draw(config: Training) -> str:
    """Draw the network that a configuration describes.

    Args:
        config: The configuration. The picture shows its encoder and fusion, with fresh weights.

    Returns:
        The text of an SVG file, for light and dark pages; the same configuration gives the same text.
    """
    return draw_network(TwoInputNet.from_config(config), f"encoder {config.encoder} · fusion {config.fusion}")


class Spot(NamedTuple):
    """Where a box or an output lies. Its `row` counts from the top. The last two rows are the lanes of digit and
    sum."""

    x: float
    y: float
    width: float
    height: float
    row: int

    @property
    def middle(self) -> float:
        """The x in the middle."""
        return self.x + self.width / 2

    @property
    def level(self) -> float:
        """The y at which the arrows of its row run."""
        return self.y + min(self.height / 2, 54)


def draw_network(net: TwoInputNet, title: str) -> str:
    """Draw `net` as the text of an SVG file. The `title` stands at the top, with the number of parameters."""
    boxes, ends = boxes_of(net)
    total = f"{sum(box.parameters for box in boxes):,} parameters"
    spots, bands, width = place(boxes, ends)
    height = bands[-1][2] + 46
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
        *(
            rect("band", MARGIN - PAD, top, width - 2 * (MARGIN - PAD), bottom - top, 10)
            + text(MARGIN, top + 18, label, 12, "muted", bold=True)
            for label, top, bottom in bands
        ),
        *(edge(spots[j], spots[i], spots) for j, i in arrows),
        image_tile(spots[0]),
        number_tile(spots[1]),
        *(card(box, spot) for box, spot in zip(boxes[2:], spots[2:-2], strict=True)),
        output_tile(spots[-2], "digit", boxes[ends["digit"]].shape[0], EXAMPLE_DIGIT),
        output_tile(spots[-1], "sum", boxes[ends["sum"]].shape[0], EXAMPLE_DIGIT + EXAMPLE_NUMBER),
        legend(height - 18, width, {box.kind for box in boxes}),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def place(boxes: list[Box], ends: dict[str, int]) -> tuple[list[Spot], list[tuple[str, float, float]], float]:
    """Lay out the boxes on the page.

    The encoder has rows of its own, and so has the number if its path is long. All other boxes stand in two lanes, in
    columns that end with the outputs. A box stands as far right as the boxes that need its result allow, so that arrows
    seldom cross.

    Returns:
        A spot for each box, then one for the output digit and one for the output sum. The label, top and bottom of each
        group of rows. The width of the page.
    """
    chain = [i for i, box in enumerate(boxes) if box.in_encoder]
    seen: list[set[int]] = []  # the boxes that each box needs, itself included
    for i, box in enumerate(boxes):
        seen.append({i}.union(*(seen[j] for j in box.inputs)))
    alone = [i for i in range(len(boxes)) if 0 not in seen[i]]
    alone = alone if len(alone) > 2 else []
    steps_left = {i: 1 for i in range(1, len(boxes)) if i not in chain and i not in alone}
    for i in reversed(steps_left):
        for j in steps_left.keys() & boxes[i].inputs:
            steps_left[j] = max(steps_left[j], steps_left[i] + 1)
    columns = [[i for i in steps_left if steps_left[i] == k] for k in range(max(steps_left.values()), 0, -1)]
    columns.append([len(boxes), len(boxes) + 1])

    wide = [max(TILE, *(text_width(words, size, bold) + 12 for words, size, _, bold in lines(box))) for box in boxes]
    wide += [OUTPUT_WIDTH, OUTPUT_WIDTH]
    widths = [max(wide[i] for i in column) for column in columns]
    width = max(LEAST_WIDTH, sum(widths) + GAP * (len(widths) - 1) + 2 * MARGIN)
    rows = max(1, math.ceil(sum(wide[i] + GAP for i in chain) / (width - 2 * MARGIN + GAP)))
    each = math.ceil(len(chain) / rows)
    encoder = [chain[k : k + each] for k in range(0, len(chain), each)]
    left: dict[int, tuple[float, float]] = {}
    for members, total in (*((row, width) for row in encoder), (alone, 0)):
        left |= zip(members, across([wide[i] for i in members], total), strict=True)
    for column, at in zip(columns, across(widths, width), strict=True):
        left |= dict.fromkeys(column, at)

    of_sum = {1, len(boxes) + 1, *(i for i in seen[ends["sum"]] if 1 in seen[i])}
    lanes = [[i for column in columns for i in column if (i in of_sum) == lane] for lane in (False, True)]
    encoder_height = WORDS + LINE * max(3, *(len(lines(boxes[i])) for i in chain)) + PAD / 2
    groups = [("encoder", encoder, encoder_height), ("number", [alone], LANE_HEIGHT), ("fusion", lanes, LANE_HEIGHT)]
    spots, bands, top, row = dict[int, Spot](), list[tuple[str, float, float]](), float(BAND_TOP), 0
    for label, group, height in groups if alone else (groups[0], groups[2]):
        y = top + HEADROOM
        for members in group:
            spots |= {i: Spot(left[i][0], y, left[i][1], height, row) for i in members}
            y, row = y + height + ROW_GAP, row + 1
        bands.append((label, top, y - ROW_GAP + PAD))
        top = bands[-1][2] + BAND_GAP
    return [spots[i] for i in range(len(spots))], bands, width


def across(widths: list[float], total: float) -> list[tuple[float, float]]:
    """The left edge and width of each card in a row. The row is spread over a page `total` wide; with 0, the cards
    stand close together."""
    gap = (total - 2 * MARGIN - sum(widths)) / max(1, len(widths) - 1) if total else 2.5 * GAP
    return [(MARGIN + sum(widths[:k]) + k * gap, wide) for k, wide in enumerate(widths)]


Line = tuple[str, int, str, bool]
"""A line of text: words, size, class, bold."""


def lines(box: Box) -> list[Line]:
    """The text of a box, line by line."""
    details: list[str] = []
    for word in box.details:
        packed = f"{details[-1]} · {word}" if details else word
        if details and not box.computed and text_width(packed, 12) < (90 if box.in_encoder else 160):
            details[-1] = packed
        else:
            details.append(word)
    rows = [(box.title, 13, "", True), *((line, 12, "muted", False) for line in details)]
    rows.append((shape_text(box.shape), 12, "", False))
    if not box.in_encoder and box.kind != "fixed":
        rows.insert(0, (box.kind, 11, box.kind, True))
    if box.parameters:
        rows.append((f"{box.parameters:,} param{'s' * (box.parameters > 1)}", 12, "learned", False))
    return rows


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape with the batch in front: `[B, 10]`."""
    return f"[{', '.join(['B', *map(str, shape)])}]"


def card(box: Box, spot: Spot) -> str:
    """A box as SVG; in the encoder, with a drawing of its result above the text."""
    style = 'card dashed" stroke-dasharray="5 3' if box.computed else "card"
    tip, rows = "\n".join(str(module) for module in box.modules) or box.title, lines(box)
    top = spot.y + (WORDS if box.in_encoder else (spot.height - LINE * len(rows)) / 2) + 12
    drawing = slab(box, spot.middle, spot.level) if box.in_encoder else ""
    return tile(spot, drawing, stacked(spot.middle, top, rows), style=style, tip=f"<title>{escape(tip)}</title>")


def stacked(x: float, y: float, rows: list[Line]) -> str:
    """Lines of text below each other, centred on `x`."""
    return "".join(text(x, y + LINE * k, *row, "middle") for k, row in enumerate(rows))


def slab(box: Box, x: float, y: float) -> str:
    """The result of a box as a solid around (x, y). Its height and width show those of the maps, its depth shows the
    channels. Features without positions are a bar."""
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
    return "".join(f'<path class="{box.kind}" fill-opacity="{o:g}" d="{d}"/>' for o, d in faces)


def edge(start: Spot, end: Spot, spots: list[Spot]) -> str:
    """An arrow from `start` to `end`: straight in a row, with corners between rows."""
    x, to, below = start.middle, end.middle, start.y + start.height
    sum_lane = spots[-1].row
    if start.row == end.row:
        return arrow([(start.x + start.width, start.level), (end.x, end.level)])
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
    """A card with any content."""
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


def legend(y: float, width: float, kinds: set[str]) -> str:
    """The meaning of the colours, of B, and of the bars."""
    labels = {"learned": "learned", "fixed": "no parameters", "computed": "computed, not learned"}
    parts, x = "", float(MARGIN)
    for style in (name for name in labels if name in kinds):
        parts += rect(style, x, y - 10, 11, 11, 2) + text(x + 17, y, labels[style], 12, "muted")
        x += text_width(labels[style], 12) + 36
    words = "B: pairs in a batch · bars: probabilities, an example"
    return parts + text(width - MARGIN, y, words, 12, "muted", anchor="end")


def describe(boxes: list[Box], ends: dict[str, int], total: str) -> str:
    """The picture in words, for people who cannot see it."""
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

    @property
    def kind(self) -> str:
        """`learned`, `computed`, or `fixed` for a box whose layers only reshape or pool."""
        return "computed" if self.computed else "learned" if self.parameters else "fixed"


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
            compute(name, "Bits → sum", SUMS, ["product of its bits,", "normalised over 0..18"], end)
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
