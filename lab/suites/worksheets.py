"""Draw photographs of pages of sums, printed or written, with answers by hand, some of them wrong or missing.

The writers are those of `pages`: MNIST's test digits, or the 14 writers of `pendigits-orig.tes`. A page depends only on
its half, its ink and its place. Nothing here is used in training.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lab.suites import pages, sheets
from lab.suites.digits import HALVES, Half, Random, check_half, generator
from lab.suites.found import FOUND, Points, There, overlap
from lab.suites.pages import TALL, Writers, Written, laid, photographed, resized, tight, written
from lab.suites.sheet_truth import CORRECTED, Entry, Manner, Truth
from lab.suites.sheets import Cover, Ink, stroke
from sumnist.inference.paper import MARKED, UNSURE, PaperSum
from sumnist.inference.reader import Reader
from sumnist.inference.written import NO_SUM, RIGHT, UNANSWERED, WRONG, value_of
from sumnist.sheets.layout import Page
from sumnist.sheets.worksheet import sums_of, sums_on_worksheet, worksheet

FONTS = "DejaVuSans", "DejaVuSerif", "STIXGeneral", "DejaVuSansMono"
"""Fonts of matplotlib; the 1st, 3rd, … are for development, the others for the report."""
WRONG_ANSWERS, EMPTY, BY_HAND = 0.12, 0.08, 0.5
"""The shares of wrong answers, of sums without an answer, and of pages that are wholly by hand."""
HEIGHTS = 26.0, 44.0
"""The range of a digit's height, in pixels."""


@dataclass(frozen=True)
class PageSum:
    """A sum on a page: what is written, and the verdict that it deserves."""

    text: str
    verdict: str


def sum_at(random: Random) -> PageSum:
    """Choose a sum and an answer."""
    first, second = (int(random.integers(1, 10 ** random.integers(1, 4))) for _ in range(2))
    kind = random.integers(5)
    if kind == 1:
        first, second = max(first, second), min(first, second)
    elif kind == 2:
        first, second = first % 90 + 2, second % 9 + 2
    elif kind == 3:
        second = second % 9 + 2
        first = second * (first % 99 + 1)
    asked = f"{first}{'+-×÷+'[kind]}{second}"
    known = [first + second, first - second, first * second, first // second, first + second][kind]
    if kind == 4:
        third = int(random.integers(1, 50))
        asked, known = f"{asked}+{third}", known + third
    chance = random.random()
    if chance < EMPTY:
        return PageSum(f"{asked}=", UNANSWERED)
    if chance < EMPTY + WRONG_ANSWERS:
        slips = [known + step for step in (1, -1, 10, -10, 2) if known + step >= 0]
        return PageSum(f"{asked}={random.choice(slips)}", WRONG)
    return PageSum(f"{asked}={known}", RIGHT)


def replaced_at(random: Random) -> PageSum:
    """Choose a sum, and any other answer than the right one."""
    one = sum_at(random)
    asked, _, known = one.text.partition("=")
    answer = str(random.integers(10 ** max(1, len(known))))
    return replaced_at(random) if not known or one.verdict == WRONG or answer == known else PageSum(
        f"{asked}={answer}", WRONG)  # fmt: skip


def no_sum_at(random: Random) -> PageSum:
    """Choose what looks like a sum, but is none: a date, a telephone number, an item, a score, a time, or a number."""
    forms = "{}/{}/{}", "{}-{}-{}", "0{}{}-{}{}", "{}.", "{}:{}", "{}.{}.{}", "{}", "{}/{}", "{} {} {}"
    return PageSum(forms[random.integers(len(forms))].format(*random.integers(1, 99, 4)), NO_SUM)


@cache
def font(half: Half, place: int) -> ImageFont.FreeTypeFont:
    """A font of a half."""
    names = FONTS[HALVES.index(half) :: 2]
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / f"fonts/ttf/{names[place % len(names)]}.ttf", 64)


def printed(text: str, half: Half, place: int) -> Cover:
    """A text in print, with gaps around its signs, cropped to its ink."""
    spaced = "".join(f" {one} " if one in "+-×÷=" else one for one in text).replace("-", "−").strip()
    box = font(half, place).getbbox(spaced)
    canvas = Image.new("L", (int(box[2]) + 8, int(box[3]) + 8))
    ImageDraw.Draw(canvas).text((4, 4), spaced, 255, font(half, place))
    return tight(pages.covered(canvas))


def page(
    half: Half, writers: Writers, place: int, choose: Callable[[Random], PageSum] = sum_at, extra: str = ""
) -> tuple[bytes, list[tuple[PageSum, There]]]:
    """The photograph of a page of 6 to 40 sums in one to three columns, and the sums on it. `extra`: answers stand over
    others ("overwritten"), have a tick at them ("ticked"), or small numbers above them ("worked")."""
    random = generator(HALVES.index(check_half(half)), f"sums of {writers.name}", place)
    across, rows = int(random.integers(1, 4)), int(random.integers(6, 14))
    height, by_hand, numbered = random.uniform(*HEIGHTS), random.random() < BY_HAND, random.random() < 0.3
    cell = np.array([height * ((14.0 if by_hand else 18.0) + 2.5 * numbered), height * random.uniform(2.0, 2.8)])
    seen = (cell * (across, rows) + height * random.uniform(1.5, 3)).astype(int)
    pen, print_layer = np.zeros((2, *(1.25 * seen[::-1]).astype(int)), np.float32)
    start = (np.array(pen.shape[::-1]) - cell * (across, rows)) / 2
    sums, there, slope = [], [], math.radians(random.normal(0, 0.8))
    for at in range(across * rows):
        one = choose(random)
        asked, equals, answer = one.text.partition("=")
        asked += equals
        number = f"{at + 1}) " if numbered else ""
        corner = start + cell * (at % across, at // across) + (0.3 * height, cell[1] / 2)
        if by_hand:
            parts = [(pen, written(number + one.text, writers, random), height / TALL)]
        else:
            parts = [(print_layer, printed(text, half, place), height / 46.0) for text in (number, asked) if text]
            parts += [(pen, written(answer, writers, random), height / TALL)] if answer else []
        corners, other = [], str(random.integers(10 ** max(1, len(answer))))
        for layer, drawn, factor in parts:
            cover = resized(drawn, factor)
            corners.append(laid(layer, cover, corner + np.array([cover.shape[1] / 2, 0]), slope))
            corner[0] += cover.shape[1] + height * (0.35 if len(parts) > 1 else 0)
        if extra == "ticked":
            end = corner + height * np.array([(-0.4, 0.1), (-0.1, 0.4), (0.7, -0.6)])
            stroke(pen, [(float(x), float(y)) for x, y in end], max(1.5, 0.07 * height))
        elif extra and answer:
            size, up = (1.0, 0.0) if extra == "overwritten" else (0.4, 0.85)
            cover = resized(written(other, writers, random), size * height / TALL)
            laid(pen, cover, corner - (cover.shape[1] / 2 + 0.2 * height, up * height), slope)
        whole = np.concatenate(corners)
        low, high = whole.min(0), whole.max(0)
        sums.append(one)
        there.append(There(one.text, None, np.array([low, (high[0], low[1]), high, (low[0], high[1])])))
    paper = Written(there, pen, print_layer, (int(seen[0]), int(seen[1])), height)
    picture, moved = photographed(half, paper, 0, random, pages.DARK)
    return picture, list(zip(sums, moved, strict=True))


# Sums in columns.

CARRIED, SQUARED, WIDE, ALONE, UNRULED, ZEROS = 0.6, 0.25, 0.4, 0.25, 0.08, 0.3
"""The shares of columns with their carries, of pages by hand on squared paper, of pages by hand with wide gaps between
digits and rows, of pictures of one column, of those without a rule, and of differences with zeros before them."""


def column_at(random: Random) -> tuple[list[str], PageSum, list[str]]:
    """Choose the rows of a sum in a column, the sum, and the small numbers above its first row, from the right."""
    sign = str(random.choice(["+", "-", "×"]))
    long = int(random.integers(2, 5))
    first, second = (int(random.integers(10 ** (size - 1), 10**size)) for size in (long, random.integers(1, long + 1)))
    if sign == "×":
        second = int(random.integers(2, 10))
    first, second = (max(first, second), min(first, second)) if sign == "-" else (first, second)
    known = {"+": first + second, "-": first - second, "×": first * second}[sign]
    chance, answer, verdict = random.random(), known, RIGHT
    if chance < EMPTY + WRONG_ANSWERS:
        answer, verdict = known + int(random.choice([1, -1, 10, -10, 2])), WRONG
    answered = "" if chance < EMPTY or answer < 0 else str(answer)
    if sign == "-" and answered and random.random() < ZEROS:
        answered = answered.zfill(len(f"{first}"))
    above, carry = [], 0
    for one, other in zip(f"{first}"[::-1], f"{second}".rjust(long + 1, "0")[::-1], strict=False):
        above.append("" if not carry else str((int(one) - 1) % 10 if sign == "-" else carry))
        carry = {"+": int(one) + int(other) + carry, "×": int(one) * second + carry}.get(sign, 0) // 10
        carry = carry if sign != "-" else int(int(one) - bool(above[-1]) < int(other))
    text = f"{first}{sign}{second}={answered}"
    return [str(first), sign, str(second), answered], PageSum(text, verdict if answered else UNANSWERED), above


@dataclass(frozen=True)
class Cells:
    """Places for the digits of a sum in a column, and how they are filled: `start` is the middle of the last digit of
    the first row, `cell` the width and height of a place."""

    layers: tuple[Cover, Cover]
    start: Points
    cell: Points
    height: float
    slope: float
    fills: tuple[Callable[[str], Cover], Callable[[str], Cover]]
    random: Random

    def put(self, text: str, row: float, column: float, by_hand: bool, size: float = 1.0) -> Points:
        """Lay a digit or a sign onto a layer, `column` places from the right; returns two of its corners."""
        cover = resized(self.fills[by_hand](text), size * self.height / (TALL if by_hand else 46.0))
        middle = self.start + self.cell * (-column, row) + self.random.normal(0, 0.04 * self.height, 2)
        laid(self.layers[by_hand], cover, middle, self.slope)
        return np.array([(-self.cell[0], -self.height), (self.cell[0], self.height)]) / 2 + middle

    def fill(self, rows: list[str], above: list[str], by_hand: bool, is_ruled: bool = True) -> Points:
        """Write a sum: its rows, small numbers above the first one, and perhaps a rule. Returns its corners."""
        first, sign, second, answered = rows
        longest, corners = max(map(len, rows)), []
        for row, text in ((0, first), (1, second), (2.15, answered)):
            corners += [self.put(digit, row, at, by_hand or row > 1) for at, digit in enumerate(text[::-1])]
        place = longest + self.random.uniform(0, 1.2) * (self.random.random() < 0.3)
        corners.append(self.put(sign, 1, place if self.random.random() < 0.7 else len(second), by_hand))
        for at, digit in enumerate(above):
            if digit:
                self.put(
                    digit, -0.42 - 0.3 * self.height / self.cell[1], at + 0.1, True, self.random.uniform(0.4, 0.65)
                )
        ends = self.start + self.cell * ((-longest - 0.6, 1.55), (0.7, 1.55))
        if is_ruled:
            stroke(self.layers[by_hand], [(float(x), float(y)) for x, y in ends], max(1.5, 0.06 * self.height))
        low, high = np.concatenate(corners).min(0), np.concatenate(corners).max(0)
        return np.array([low, (high[0], low[1]), high, (low[0], high[1])])


def columns(half: Half, writers: Writers, place: int) -> tuple[bytes, list[tuple[PageSum, There]]]:
    """The photograph of a page of 1 to 12 sums in columns, each with its sign and a rule, and most with carries."""
    random = generator(HALVES.index(check_half(half)), f"columns of {writers.name}", place)
    counts = int(random.integers(1, 5)), int(random.integers(1, 4))
    height, by_hand = random.uniform(*HEIGHTS), random.random() < BY_HAND
    is_alone, is_wide, is_ruled = random.random(3) < (ALONE, WIDE * by_hand, 1 - UNRULED)
    cell = height * np.array([random.uniform(0.85, 1.2), random.uniform(1.35, 1.8)]) * random.uniform(1, 1 + is_wide, 2)
    counts, height, cell = ((1, 1), 2 * height, 2 * cell) if is_alone else (counts, height, cell)
    pitch = cell * (7.5, 5.2) + (height, 0)
    seen = (pitch * counts + height * random.uniform(1, 2)).astype(int)
    pen, print_layer = np.zeros((2, *(1.25 * seen[::-1]).astype(int)), np.float32)
    start = (np.array(pen.shape[::-1]) - pitch * counts) / 2
    if by_hand and random.random() < SQUARED:
        small = cell * (1, 0.5)
        across, rows = (pitch * counts / small).astype(int).tolist()
        pages.rules(print_layer, start, small, (across, rows), True, 1)
        print_layer *= 0.4
    sums, there, slope = [], [], math.radians(random.normal(0, 0.8))
    for at in range(counts[0] * counts[1]):
        rows_of_it, one, above = column_at(random)
        draw = writers.number(random)

        def by_pen(text: str, draw: Callable[[str], Cover] = draw) -> Cover:
            """A digit by the writer of the sum, or a sign."""
            return tight(draw(text)) if text.isdecimal() else written(text, writers, random)

        first = start + pitch * (at % counts[0], at // counts[0]) + cell * (6.5, 1.1)
        fills = partial(printed, half=half, place=place), by_pen
        cells = Cells((print_layer, pen), first, cell, height, slope, fills, random)
        corners = cells.fill(rows_of_it, above if random.random() < CARRIED else [], by_hand, bool(is_ruled))
        sums.append(one)
        there.append(There(one.text, None, corners))
    paper = Written(there, pen, print_layer, (int(seen[0]), int(seen[1])), height)
    picture, moved = photographed(half, paper, 0, random, pages.DARK)
    return picture, list(zip(sums, moved, strict=True))


# Worksheets of `sumnist check new`.

SHEETS = "+-20", "+-100", "x10", "x:12", "+-x:10"
"""The kinds of their sums."""


def worksheet_at(half: Half, writers: Writers, place: int) -> tuple[bytes, list[tuple[PageSum, There]]]:
    """The photograph of a worksheet of 30 sums that one writer filled in, some of the answers corrected."""
    random = generator(HALVES.index(check_half(half)), f"worksheets of {writers.name}", place)
    kind, seed, draw = SHEETS[random.integers(len(SHEETS))], int(random.integers(10**6)), writers.number(random)
    layout, entries, sums = worksheet(kind, 30, seed), dict[str, Entry](), []
    ink = Ink("", tuple(tuple((255 * draw(str(one))).astype(np.uint8) for _ in range(6)) for one in range(10)))
    for field, asked in zip(layout.fields, sums_of(kind, 30, seed), strict=True):
        known, chance = int(value_of(asked)), random.random()
        slips = [one for one in (known + 1, known - 1, known + 10, known - 10, known + 2) if 0 <= one <= field.largest]
        answer = "" if chance < EMPTY else str(random.choice(slips) if chance < EMPTY + WRONG_ANSWERS else known)
        sums.append(
            PageSum(f"{asked}={answer}", UNANSWERED if not answer else RIGHT if answer == str(known) else WRONG)
        )
        cells, none = ("",) * (field.digits - len(answer)) + tuple(answer), ("",) * field.digits
        struck = tuple(str(random.integers(10 ** (field.digits - 1), 10**field.digits)))
        manner: Manner = "corrected" if answer and random.random() < CORRECTED else "number" if answer else "empty"
        pair = (struck, cells) if manner == "corrected" else (cells, none)
        entries[field.name] = Entry(int(answer or 0), manner, *pair)
    truth = Truth(layout, f"{kind}.30.{seed}", entries, None)
    seen = sheets.photographed(sheets.filled(layout, truth.identity, sheets.marks(layout, truth, ink, random)), random)
    boxes = [(one.label.x, one.label.y, one.boxes[-1].right, one.label.bottom) for one in Page.of(layout).places]
    at = [seen.view.seen(np.array([(x, y), (right, y), (right, low), (x, low)])) for x, y, right, low in boxes]
    return seen.data, [(one, There(one.text, None, corners)) for one, corners in zip(sums, at, strict=True)]


# What a reader makes of sums.

KINDS = "worksheet", "ink", "photo", "column"
"""Printed homework with answers by hand, lines by pen, photographed lines, and columns; not every half has each."""
TRUTHS = {"right": RIGHT, "wrong": WRONG, "open": UNANSWERED, "approx": RIGHT}
"""The verdicts that the labels of real lines stand for."""


def alike(text: str) -> str:
    """A text in which signs with the same meaning are the same one."""
    return text.replace(" ", "").replace(":", "÷").replace("/", "÷").replace(",", ".")


def tallied(pairs: Iterable[tuple[str, str | None, PaperSum | None]]) -> dict[str, Any]:
    """Counts of sums: how many are read to the letter, are judged, and are judged rightly. `pairs` are the text and the
    verdict that are true, and what was found; a verdict is None if nobody said it."""
    counts: dict[str, Any] = dict.fromkeys(
        (
            "sums",
            "found",
            "text",
            "judged",
            "given",
            "given_right",
            "right",
            "marked_wrong",
            "wrong",
            "marked_right",
            "strange",
        ),
        0,
    )
    for text, verdict, one in pairs:
        counts["sums"] += 1
        counts["found"] += one is not None
        counts["text"] += one is not None and alike(one.text) == alike(text)
        said = UNSURE if one is None else one.verdict
        counts["strange"] += verdict == NO_SUM and said in MARKED
        if verdict in (None, NO_SUM):
            continue
        counts["judged"] += 1
        counts["given"] += said != UNSURE
        counts["given_right"] += said == verdict
        counts["right"] += verdict == RIGHT
        counts["marked_wrong"] += verdict == RIGHT and said == WRONG
        counts["wrong"] += verdict == WRONG
        counts["marked_right"] += verdict == WRONG and said == RIGHT
    return counts


def real_lines(reader: Reader, folder: Path, kind: str, half: Half) -> dict[str, Any]:
    """Check the real lines of a kind in a folder with `labels.csv`; files with even numbers are for development."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["kind"] == kind]
    pairs, parity, began = [], HALVES.index(check_half(half)), time.perf_counter()
    for row in rows:
        if int(Path(row["path"]).stem) % 2 == parity:
            found = reader.sums(folder / row["path"])
            truth = TRUTHS.get(row["verdict"]) if row["verdict"] else None
            told = [one for one in found if one.verdict != NO_SUM] if len(found) > 1 else found
            pairs.append((row["text"], truth, told[0] if len(told) == 1 else None))
    return tallied(pairs) | {"seconds": time.perf_counter() - began}


PAGES: dict[str, tuple[Callable[[Half, Writers, int], tuple[bytes, list[tuple[PageSum, There]]]], float]] = {
    "lines": (page, 1), "columns": (columns, 1), "worksheets": (worksheet_at, 0.4),
    "answers replaced": (partial(page, choose=replaced_at), 3), "no sums": (partial(page, choose=no_sum_at), 0.6),
    **{extra: (partial(page, extra=extra), 0.08) for extra in ("overwritten", "ticked", "worked")},
}  # fmt: skip
"""How pages of each kind are composed, and how many, relative to those of lines."""


def pages_of_sums(reader: Reader, half: Half, writers: Writers, kind: str, count: int) -> dict[str, Any]:
    """Check composed pages of a kind."""
    pairs: list[tuple[str, str | None, PaperSum | None]] = []
    seconds, false = 0.0, 0
    for place in range(count):
        picture, sums = PAGES[kind][0](half, writers, place)
        began = time.perf_counter()
        found = sums_on_worksheet(picture) or reader.sums(picture)
        seconds += time.perf_counter() - began
        shares = np.array(
            [[overlap(np.array(one.corners), np.array(there.corners)) for one in found] for _, there in sums]
        )
        for (one, _), near in zip(sums, shares, strict=True):
            best = int(near.argmax()) if len(near) else 0
            pairs.append((one.text, one.verdict, found[best] if len(near) and near[best] >= FOUND else None))
        marked = np.array([one.verdict in MARKED for one in found], bool)
        false += int((marked & (shares.max(0, initial=0) < FOUND / 2)).sum())
    return tallied(pairs) | {"pages": count, "false": false, "seconds": seconds}
