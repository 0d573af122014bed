"""Prints worksheets of sums, and checks their photographs.

The code in the corner of a worksheet says which sums are on it, so only the answers are read: each from its boxes, and
from the boxes beside them in which a pupil corrects it. An answer may be any number; the right one has no advantage but
that most answers are right (`inference/written`).
"""

from __future__ import annotations

import re
from hashlib import sha256

import numpy as np

from sumnist.errors import ConfigError, LayoutError, SheetError
from sumnist.inference.paper import PaperSum, marked
from sumnist.inference.written import MISTAKEN
from sumnist.pictures.decode import Picture
from sumnist.sheets.layout import Field, Layout, Page, Person
from sumnist.sheets.pictures import FilePage, grey_of
from sumnist.sheets.reading import HABITS, SheetReader, Shown

KIND = re.compile(r"([-+×÷]{1,4})([0-9]{1,3})")
MOST, DRAWS = 999, 100_000
"""`MOST`: the largest answer. `DRAWS`: how often sums are drawn, at most: a kind may have fewer than were asked for."""
LEAST = 1e-9
"""A number is a candidate if its likelihood is at least this share of that of the most likely number."""


def sums_of(kind: str, count: int, seed: int) -> list[str]:
    """Draw the sums of a worksheet, such as "12+7", all different. Equal arguments always give the same ones.

    Args:
        kind: The signs, and the largest number, such as "+-20": of sums the total, of differences the first number, of
            products each factor, and of quotients the divisor and the answer. Differences are not negative.
        count: How many.
        seed: Another seed gives other sums.

    Raises:
        ConfigError: The kind is none, or has fewer different sums.
    """
    found = KIND.fullmatch(kind.replace("x", "×").replace(":", "÷"))
    if not found or int(found[2]) < 1 or (set(found[1]) & set("×÷") and int(found[2]) ** 2 > MOST):
        expected = "signs of + - × ÷ and the largest number, such as +-20, or x10: with × or ÷ it is at most 31"
        raise ConfigError(f"--kind {kind[:40]}: expected {expected}")
    signs, most, sums = found[1], int(found[2]), dict[str, None]()
    for place in range(DRAWS):
        draw = sha256(f"{kind} {seed} {place}".encode()).digest()
        sign = signs[draw[0] % len(signs)]
        first, second = (1 + int.from_bytes(draw[at : at + 8]) % most for at in (1, 9))
        if sign == "÷":
            sums[f"{first * second}÷{second}"] = None
        elif sign == "×" or (sign == "+" and first + second <= most) or (sign == "-" and first >= second):
            sums[f"{first}{sign}{second}"] = None
        if len(sums) == count:
            return [*sums]
    raise ConfigError(f"--count {count}: {kind} has only {len(sums)} different sums: ask for fewer")


def worksheet(kind: str, count: int = 40, seed: int = 1) -> Layout:
    """The layout of a worksheet; the arguments are those of `sums_of`. Raises `ConfigError`, `LayoutError`.

    Examples:
        >>> worksheet("+-20", 2).fields[0].label
        '8 − 6 ='
    """
    asked = [re.sub("[-+×÷]", r" \g<0> ", one).replace("-", "−") + " =" for one in sums_of(kind, count, seed)]
    most = int(re.sub(r"\D", "", kind)) ** (2 if set(kind) & set("x×") else 1)
    digits = max(2, len(str(most)))  # as many boxes for each answer: their number gives nothing away
    fields = [Field(f"s{place}", label, "boxes", digits, 10**digits - 1) for place, label in enumerate(asked, 1)]
    return Layout(f"Sums: {kind.replace('-', '−')}", tuple(fields), ())


def printed(kind: str, count: int = 40, seed: int = 1) -> bytes:
    """A worksheet as a PDF. Its code, and the line of the name, say the arguments, which are those of `sums_of`. Raises
    `ConfigError`, `LayoutError`."""
    from sumnist.sheets.printing import pdf

    return pdf(worksheet(kind, count, seed), [Person(f"{kind}.{count}.{seed}", "Name " + 20 * "_")])


def sums_on_worksheet(
    picture: Picture | FilePage, name: str | None = None, mistakes: float = MISTAKEN
) -> list[PaperSum] | None:
    """The sums on a photograph of a worksheet, in the order in which they are printed; None if it is none, or without
    the extra `sheets`.

    Args:
        picture: The picture, or a page of a file.
        name: What messages call it.
        mistakes: How often an answer is wrong, before anything is read.

    Raises:
        ImageError: The picture cannot be read.
    """
    try:
        from sumnist.sheets.registration import Registered, mapped, register, settled, texts

        sheet = register(grey_of(picture, name), Page.of(worksheet("+9", 1)), name or "picture")
        kind, count, seed = next(texts(sheet), b"").decode().split(":", 4)[-1].split(".")
        layout = worksheet(kind, int(count), int(seed))
    except (ModuleNotFoundError, SheetError, ConfigError, LayoutError, ValueError):
        return None
    reader, sums = SheetReader(layout), []
    sheet = settled(Registered(sheet.grey, reader.page, sheet.matrix, sheet.error, sheet.dpi))
    shown = iter(reader.shown_in(reader.cells_on(sheet)[0])[1])
    for asked, place in zip(sums_of(kind, int(count), int(seed)), reader.page.places, strict=True):
        boxes = np.array([(box.x, box.y, box.right, box.bottom) for box in (place.label, *place.boxes)])
        (left, top), (right, bottom) = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        corners = mapped(sheet.matrix, np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))
        likely, rest = answers(asked, next(shown), next(shown), layout.fields[0].largest)
        sums.append(marked(likely, corners, mistakes, power=1.0, rest=rest))
    return sums


def answers(asked: str, main: Shown, correction: Shown, most: int) -> tuple[dict[str, float], float]:
    """The texts that the boxes of a sum and those of its correction may show, with their likelihoods in units of
    `WrittenSum.weight`; and the likelihood of something else. `most` is the largest number that fits."""
    values, anew = np.arange(most + 1), HABITS.corrected * main.crossed + HABITS.written_anew * main.mean
    found = HABITS.ordinary * correction.blank * main.at(values) + anew * correction.at(values)
    texts = {f"{asked}={value}": float(share) / 10 ** len(str(value)) for value, share in enumerate(found)
             if share >= LEAST * found.max()}  # fmt: skip
    unclear = HABITS.void * main.crossed * correction.blank + HABITS.otherwise
    return {f"{asked}=": main.blank * correction.blank} | texts, unclear
