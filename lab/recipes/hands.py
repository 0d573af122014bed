"""Hands: how people write each character, as strokes of a pen or as MNIST's images, parted by writer.

The strokes come from three places: pens of 30 writers (`data/pen_digits`, packaged), the drawn ways of `glyphs.json`
and `numerals.json`, and the file `pen-writers.jsonl`, whose path the recipe is given. The file has digits of 327
writers, signs of 209, whole strings of 234 and letters of 245: UNIPEN train_r01_v07 (I. Guyon, L. Schomaker, R.
Plamondon, M. Liberman and S. Janet; Zenodo 1195803) and UJIpenchars2 (F. Prat, M. J. Castro, D. Llorens, A. Marzal and
J. M. Vilar; UCI data set 177). Networks may learn from it; its strokes are not part of this project.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lab.recipes.glyphs import NUMERALS, SIGNS, bent
from sumnist.data.pen_digits import pen_paths

Points = NDArray[np.float32]
"""Points (x, y) `[N, 2]`, y downwards."""
Strokes = list[Points]
Random = np.random.Generator
Part = Literal["training", "choices", "report"]

SIZES = {
    ".": (0.02, 0.16), ",": (0.15, 0.5), "'": (0.15, 0.4), "-": (0.25, 0.9), "+": (0.4, 0.95), "×": (0.35, 0.85),
    "÷": (0.45, 0.9), "/": (1.05, 1.7), ":": (0.35, 0.75), "=": (0.4, 0.9), "%": (0.75, 1.2), "(": (1.0, 1.6),
    ")": (1.0, 1.6), "<": (0.4, 1.1), ">": (0.4, 1.1), "≈": (0.4, 0.9), "¤": (0.9, 1.4), "?": (0.6, 1.3),
}  # fmt: skip
"""The least and the greatest longer side of each sign, in heights of a digit. `?` is a letter."""
HEIGHTS = {",": 0.1, ".": -0.04, "'": -0.95}
"""Where the middle of a sign stands below the line on which digits stand, in heights of a digit. Others stand at the
middle of the digits."""
SPELT = {"*": "×", "$": "¤"}
"""The characters of the file that have other names in our alphabet."""
COARSE = "apa", "apb", "app"
"""Sources whose points are as coarse as a screen's pixels."""


@dataclass
class Hand:
    """How one writer writes: for each character some ways, each a list of strokes, a digit about 1 high. `strings` are
    whole texts with their strokes."""

    ways: dict[str, list[Strokes]] = field(default_factory=lambda: defaultdict(list))
    strings: list[tuple[str, Strokes]] = field(default_factory=list)


def part_of(writers: Collection[str]) -> dict[str, Part]:
    """Which part each writer belongs to. Of the writers of each source, in alphabetical order, one in five is for
    choices and one in five for the report, if there are five."""
    sources = defaultdict(list)
    for writer in sorted(writers):
        sources[writer.partition(":")[0]].append(writer)
    parts: dict[str, Part] = {}
    for same in sources.values():
        for place, writer in enumerate(same):
            kept = len(same) >= 5 and place % 5 >= 3
            parts[writer] = "training" if not kept else "choices" if place % 5 == 3 else "report"
    return parts


def hands_in(file: Path, part: Part) -> dict[str, Hand]:
    """The writers of one part in `pen-writers.jsonl`, by name."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    parts = part_of({row["writer"] for row in rows})
    hands: dict[str, Hand] = defaultdict(Hand)
    heights: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["kind"] == "digit" and parts[row["writer"]] == part:
            heights[row["writer"]].append(np.ptp(np.concatenate(row["strokes"]), 0)[1])
    for row in rows:
        writer = row["writer"]
        if parts[writer] != part:
            continue
        strokes = [np.asarray(stroke, np.float32) for stroke in row["strokes"]]
        if writer.startswith(COARSE):
            strokes = [smoothed(stroke) for stroke in strokes]
        if row["kind"] == "string":
            text = "".join(SPELT.get(character, character) for character in row["label"])
            hands[writer].strings.append((text, strokes))
            continue
        label = "?" if row["kind"] == "letter" else SPELT.get(row["label"], row["label"])
        em = float(np.median(heights[writer])) if heights[writer] else 0.0
        way = fitted(strokes, label, em)
        hands[writer].ways[label].append(way)
        if row["kind"] == "letter" and row["label"] in "xX":
            hands[writer].ways["~" if row["label"] == "X" else "×"].append(way)
    return dict(hands)


def pen_hands(writers: Collection[int]) -> dict[str, Hand]:
    """The writers of the packaged pen digits, by name."""
    hands: dict[str, Hand] = defaultdict(Hand)
    for paths, digit, writer in zip(*pen_paths(), strict=True):
        if writer in writers:
            strokes = [np.asarray(path, np.float32) for path in paths]
            hands[f"pen:{writer}"].ways[str(digit)].append(fitted(strokes, str(digit), 0.0))
    return dict(hands)


def drawn_hand(random: Random) -> Hand:
    """A hand that writes each character in one of the drawn ways, each time a little differently."""

    def some(ways: list[str], character: str, count: int) -> list[Strokes]:
        likely = np.linspace(2.5, 1, len(ways))  # the first way is the commonest
        chosen = random.choice(len(ways), count, p=likely / likely.sum())
        paths = (bent(ways[place], random) for place in (chosen if character == "?" else chosen[:1].repeat(count)))
        return [fitted([np.asarray(path, np.float32) for path in one], character, 0.0) for one in paths]

    hand = Hand()
    for sign, drawn in [*lined(random).items(), *lined(random).items()]:
        hand.ways[sign] += drawn
    for digit, ways in NUMERALS.items():
        hand.ways[digit] = some(ways, digit, 3)
    for sign, names in {"+": "+", "=": "=", "%": "%", "¤": ("$", "euro", "pound", "yen")}.items():
        hand.ways[sign] = some([way for name in names for way in SIGNS[name]], sign, 2)
    letters = [way for name, ways in SIGNS.items() if name.isalpha() and len(name) == 1 for way in ways]
    hand.ways["?"] = some(letters, "?", 8)
    return hand


def lined(random: Random) -> dict[str, list[Strokes]]:
    """Signs of straight and waved lines, in many proportions."""

    def line(*points: tuple[float, float]) -> Points:
        return (np.array(points) + random.normal(0, 0.04, (len(points), 2))).astype(np.float32)

    def dot(x: float, y: float) -> Points:
        return line((x, y), (x + random.uniform(0, 0.06), y + random.uniform(0, 0.08)))

    wide, high = random.uniform(0.4, 0.9, 2)
    wave, apart, tip = np.linspace(0, 1, 12), random.uniform(0.15, 0.45), random.uniform(0.35, 0.65)
    ways: dict[str, Strokes] = {
        ".": [dot(0, 0)], ",": [line((0.08, 0), (0.08, 0.1), (0, random.uniform(0.2, 0.4)))],
        "'": [line((0.04, 0), (0, random.uniform(0.15, 0.35)))], "-": [line((0, 0), (wide, 0))],
        "+": [line((0, 0.4), (wide, 0.4)), line((wide / 2, 0.4 - wide / 2), (wide / 2, 0.4 + wide / 2))],
        "×": [line((0, 0), (wide, wide)), line((wide, 0), (0, wide))],
        "÷": [line((0, 0.4), (wide, 0.4)), *(dot(wide * tip, 0.4 + sign * apart) for sign in (-1, 1))],
        "/": [line((random.uniform(0.2, 0.8), 0), (0, 1.2))], ":": [dot(0, 0), dot(0, random.uniform(0.3, 0.6))],
        "=": [line((0, 0), (wide, 0)), line((0, apart), (wide, apart))],
        "(": [line((0.25, 0), (0.05, 0.35), (0.03, 0.8), (0.25, 1.2))],
        ")": [line((0, 0), (0.2, 0.35), (0.22, 0.8), (0, 1.2))],
        "<": [line((wide, 0), (0, high * tip), (wide, high))], ">": [line((0, 0), (wide, high * tip), (0, high))],
        "≈": [np.stack([wave * wide, y + apart / 3 * np.sin(wave * 6.3)], 1).astype(np.float32) for y in (0.0, apart)],
        "%": [line((0.7, 0), (0, 1)), circle(0.12, 0.2, 0.13), circle(0.6, 0.8, 0.13)],
        "~": [[line((0, 0), (0.9, 1)), line((0.9, 0), (0, 1))], [line((0, 0.5), (random.uniform(0.5, 2), 0.5))],
              [line((0, 1), (random.uniform(0.3, 1.2), 0))]][random.integers(3)],
    }  # fmt: skip
    return {sign: [fitted(strokes, sign, random.uniform(0.8, 1.25))] for sign, strokes in ways.items()}


def circle(x: float, y: float, radius: float) -> Points:
    """A closed curve."""
    angle = np.linspace(0, 6.5, 14)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1).astype(np.float32)


def smoothed(stroke: Points) -> Points:
    """A stroke whose inner points are means of three."""
    for _ in range(2 if len(stroke) > 4 else 0):
        stroke = np.concatenate([stroke[:1], (stroke[:-2] + 2 * stroke[1:-1] + stroke[2:]) / 4, stroke[-1:]])
    return stroke


def fitted(strokes: Sequence[Points], character: str, em: float) -> Strokes:
    """Strokes in heights of a digit, from x = 0 on, on the line y = 0. A digit is 1 high. A sign keeps its size beside
    the writer's digits of height `em`, within `SIZES`."""
    points = np.concatenate(strokes)
    low, size = points.min(0), np.maximum(np.ptp(points, 0), 1e-3)
    if character.isdigit():
        scale = 1 / max(size[1], 0.4 * size[0])
        middle = -size[1] * scale / 2
    else:
        least, most = SIZES.get(character, (0.7, 1.3))
        longer = float(size.max())
        scale = float(np.clip(longer / em if em else (least + most) / 2, least, most)) / longer
        middle = HEIGHTS.get(character, -0.5)
    shift = np.array([0, middle], np.float32)
    return [((stroke - low - (0, size[1] / 2)) * scale + shift).astype(np.float32) for stroke in strokes]
