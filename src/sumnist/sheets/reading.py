"""Reads a sheet from its picture: the numbers written on it, and whether they add up.

The corner tags locate the sheet, and it is laid flat. Its code names its layout and its person. A network looks at
every cell. The posterior of all numbers, given all sums, says which numbers to take and which cells to look at.

A cell belongs to a class: a digit, a number of several digits, empty, filler or crossed out. For each class, a reader
of cells gives a likelihood: the network's probability of the class, divided by the class's share in training. The
letters stand for likelihoods:

- w(x): x is written in the boxes. Its digits are in neighbouring boxes, mostly the last ones, and nothing is in the
  others. For a strip, w(x) comes from the reader of numbers, whose own prior is divided out as well.
- b, f, c: the cells are blank, hold a filler ("–"), or are crossed out.
- w′, b′: the same for the correction.

The likelihood that a field has the number x is the sum over five ways of showing it:

    number      HABITS.ordinary · s(x) · w(x) · b′      s: how often a zero is shown this way; 1 for all other numbers
    empty       (HABITS.ordinary · [x = 0] · s + l) · b · b′       l: how often it was forgotten, or a total left out
    filler      HABITS.ordinary · [x = 0] · s · f · b′
    correction  (HABITS.corrected · c + HABITS.written_anew · mean w) · w′(x)
    unclear     HABITS.void · c · b′ + HABITS.otherwise

The last way is equally likely for all numbers: the cells may always show something that no class describes. In a field
that is not a total, all numbers are equally probable beforehand, except 0, whose share is at least `HABITS.nothing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic.relations import DENSE, Evidence, Relations
from sumnist.arithmetic.values import ordered
from sumnist.errors import MissingExtraError
from sumnist.files import ONNX, PRETRAINED
from sumnist.formulas import MISTAKE, Relation
from sumnist.inference.alphabet import CELL_CLASSES, CELL_MARGIN, CELL_SCALE, LENGTHS
from sumnist.inference.cells import CellReader
from sumnist.inference.hand import Hand
from sumnist.inference.numbers import Numbers
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import Judge
from sumnist.pictures.decode import Grey, Intensities, Picture
from sumnist.sheets.check import Correction, Verdict, WrongTotal, verdict
from sumnist.sheets.layout import Field, Layout, Page
from sumnist.sheets.pictures import FilePage
from sumnist.typed import typed

if TYPE_CHECKING:
    from sumnist.sheets.registration import Registered

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Looks:
    """When a cell counts as empty or sure, and what of it is looked at."""

    candidates: int = 10
    """How many candidates the reader returns for each strip."""
    blank: float = 0.9
    """A strip that is empty with at least this probability is not read; if it is not empty after all, it may be any
    number. A form is blank if all its cells are empty with this probability."""
    sure_digit: float = 0.99
    """If a box's likeliest class is less probable than this, the reader of digits looks at the box, too."""
    some_digit: float = 0.02
    """The reader of digits does not look at a box in which every digit is less probable than this."""
    second: float = 0.5
    """The exponent of the probabilities of both networks, the reader of digits and the reader of cells. It was chosen
    on the development half of the simulated covers, where equal exponents were as good as any."""
    lines: int = 2
    """The width in pixels of the border of a box that contains its lines and is cut off."""
    frame: int = 3
    """The same of a strip."""
    known: float = 0.95
    """A digit of an identity is taken if it is at least this probable; otherwise a question mark takes its place."""
    kept: int = 48
    """The most candidates of a field that has too many possible numbers to look at all of them."""


LOOKS = Looks()

BOX = 0
"""The index of the network's prior for boxes."""


# From the cells of a field to the likelihoods of its numbers.

How = Literal["number", "empty", "filler", "correction", "unclear"]
"""How a field shows its number."""
HOW: tuple[How, ...] = get_args(How)

DIGITS, SEVERAL, EMPTY, FILLER, CROSSED = slice(0, 10), 10, 11, 12, 13
"""The indices of the classes in `CELL_CLASSES`."""
assert CELL_CLASSES[SEVERAL:] == ("number", "empty", "filler", "crossed")


@dataclass(frozen=True)
class Habits:
    """How often writers do what. These are judgements, not estimates: only their orders of magnitude count."""

    ordinary: float = 0.9528
    """How often a field is filled in as asked."""
    corrected: float = 0.04
    """How often it is crossed out and corrected."""
    written_anew: float = 0.005
    """How often it is corrected without being crossed out."""
    void: float = 0.002
    """How often it is crossed out and left so."""
    otherwise: float = 0.0002
    """How often it shows something that no class describes."""
    forgotten: float = 0.004
    """For each empty field that means zero, how many fields are empty because a number was forgotten."""
    left_out: float = 0.03
    """How often a total is left out."""
    nothing: float = 0.05
    """How often the number of a field is 0, at least. All other numbers share the rest, however many they are."""
    zero_written: float = 0.6
    """How often a zero is written. A total of zero is always written."""
    zero_empty: float = 0.25
    """How often a zero is left empty."""
    zero_filler: float = 0.15
    """How often a zero is replaced by a filler."""
    last: float = 0.92
    """If a number has fewer digits than there are boxes: how often its digits stand in the last boxes, …"""
    shifted: float = 0.05
    """… and how often in others, with empty boxes around them."""
    led_by_zeros: float = 0.02
    """How often the digits stand in the last boxes, with zeros in all boxes before them."""
    led_by_fillers: float = 0.01
    """The same with fillers."""
    tails: tuple[tuple[int, float], ...] = ((0, 0.47), (EMPTY, 0.5), (FILLER, 0.03))
    """What stands in the box for halves if the number is whole, and how often."""
    slash: float = 0.05
    """How often a filler is a slash that looks like a 1."""
    partly_crossed: float = 0.8
    """How often a box of a crossed-out number is crossed out. Otherwise it is empty, or shows a digit, each equally
    often."""
    partly_empty: float = 0.15
    """How often such a box is empty."""


HABITS = Habits()


@dataclass(frozen=True)
class Shown:
    """The likelihoods of what the boxes, or the strip, of a number show, relative to that of any picture.

    Attributes:
        values: Numbers in units of the field, ascending, `[k]`.
        written: The likelihood that each of these numbers is written, `[k]`.
        rest: The likelihood of each other number.
        mean: The mean likelihood over all numbers of the field.
        blank: The likelihood that the cells are blank.
        filler: The likelihood that they hold a filler.
        crossed: The likelihood that they hold something crossed out.
    """

    values: Integers
    written: Floats
    rest: float
    mean: float
    blank: float
    filler: float
    crossed: float

    def at(self, values: Integers) -> Floats:
        """The likelihoods of numbers `[n]`."""
        if not len(self.values):
            return np.full(len(values), self.rest)
        places = np.searchsorted(self.values, values).clip(max=len(self.values) - 1)
        return np.where(self.values[places] == values, self.written[places], self.rest)


@dataclass(frozen=True)
class Seen:
    """The evidence on the number of a field.

    Attributes:
        evidence: Likelihoods of its numbers, as `Relations` takes them.
        ways: The likelihoods of the ways of showing each number, in the order of `HOW`; None stands for any other
            number.
    """

    evidence: Evidence
    ways: Mapping[int | None, Floats]

    def how(self, value: int | None) -> How:
        """The most probable way in which the field shows a number."""
        return HOW[int(self.ways.get(value, self.ways[None]).argmax())]


def seen(field: Field, main: Shown, correction: Shown, is_total: bool) -> Seen:
    """The evidence on a field's number, from its cells and from those of its correction."""
    values = np.union1d(np.union1d(main.values, correction.values), [0])
    anew, zero = HABITS.corrected * main.crossed + HABITS.written_anew * main.mean, values == 0
    lacking = HABITS.left_out if is_total else HABITS.ordinary * HABITS.zero_empty * HABITS.forgotten / field.largest
    zeros = HABITS.zero_written, HABITS.zero_empty, HABITS.zero_filler
    number, empty, filler = (1.0, 0.0, 0.0) if is_total else zeros
    unclear = HABITS.void * main.crossed * correction.blank + HABITS.otherwise
    ways = np.zeros((len(values), len(HOW)))
    ways[:, 0] = HABITS.ordinary * np.where(zero, number, 1.0) * main.at(values) * correction.blank
    ways[:, 1] = (HABITS.ordinary * empty * zero + lacking) * main.blank * correction.blank
    ways[:, 2] = HABITS.ordinary * filler * zero * main.filler * correction.blank
    ways[:, 3] = anew * correction.at(values)
    ways[:, 4] = unclear
    is_number, is_blank = HABITS.ordinary * main.rest * correction.blank, lacking * main.blank * correction.blank
    other = np.array([is_number, is_blank, 0.0, anew * correction.rest, unclear])
    if not is_total:
        ways[zero] *= max(1.0, HABITS.nothing * (field.largest + 1))
    known: dict[int | None, Floats] = dict(zip(values.tolist(), ways, strict=True))
    likelihoods = ways.sum(1)
    if len(values) == field.largest + 1:
        return Seen(np.log(likelihoods), known | {None: other})
    rest = float(other.sum()) * (field.largest + 1 - len(values))
    scale = likelihoods.sum() + rest
    candidates = dict(zip(values.tolist(), (likelihoods / scale).tolist(), strict=True))
    return Seen(ordered(candidates, rest / scale), known | {None: other})


# Boxes.


def in_boxes(field: Field, logs: NDArray[Any]) -> Shown:
    """What the boxes of a number show, given log-likelihoods of the classes in each, `[boxes, 14]`."""
    ratios = np.exp(np.asarray(logs, np.float64))
    boxes, wholes, tails = ratios[: field.digits], 1 + field.halves, np.ones(1)
    if field.halves:
        tails = np.array([sum(share * ratios[-1, kind] for kind, share in HABITS.tails), ratios[-1, 5]])
    places, most = places_in(boxes), field.largest // wholes
    if field.largest < DENSE:
        whole = np.arange(most + 1, dtype=np.int64)
        found = written_in(whole, boxes, places)
    else:
        whole, found = likely(boxes, most, places)
    values: Integers = (wholes * whole[:, None] + np.arange(wholes)).reshape(-1)
    written = (found[:, None] * tails).reshape(-1)
    values, written = values[values <= field.largest], written[values <= field.largest]
    left, listed, rest = field.largest + 1 - len(values), float(written.sum()), 0.0
    if left:  # sum over all numbers that the boxes have room for
        every, digits = 0.0, boxes[:, DIGITS]
        for length, starts in enumerate(places, 1):
            for start, others in starts:
                leading = float(digits[start, 1 if length > 1 else 0 :].sum())
                every += others * leading * float(digits[start + 1 : start + length].sum(1).prod())
        rest = max(0.0, every * float(tails.sum()) - listed) / left
    # Every box has a filler sign or nothing, and at least one box has a sign.
    sign, empty = (1 - HABITS.slash) * ratios[:, FILLER] + HABITS.slash * ratios[:, 1], ratios[:, EMPTY]
    filler = (((sign + empty) / 2).prod() - (empty / 2).prod()) / (1 - 0.5 ** len(ratios))
    # At least one box is crossed out.
    crossed_out, bare = HABITS.partly_crossed, HABITS.partly_empty
    uncrossed = bare * empty + (1 - (crossed_out + bare)) * ratios[:, DIGITS].mean(1)
    crossed = (HABITS.partly_crossed * ratios[:, CROSSED] + uncrossed).prod() - uncrossed.prod()
    return Shown(
        values, written, rest, (listed + rest * left) / (field.largest + 1), float(empty.prod()), float(filler),
        float(crossed / (1 - (1 - HABITS.partly_crossed) ** len(ratios))),
    )  # fmt: skip


Places = list[list[tuple[int, float]]]
"""For numbers of 1, 2, … digits: the boxes where such a number may begin. Each has the likelihood of the boxes that
hold no digit of the number, times how often numbers begin there."""


def places_in(boxes: Floats) -> Places:
    """The places of numbers in boxes `[n, 14]`."""
    empty, places = boxes[:, EMPTY], []
    for length in range(1, len(boxes) + 1):
        free, starts = len(boxes) - length, []
        for start in range(free + 1):
            others = float(empty[:start].prod() * empty[start + length :].prod())
            how_often = 1.0 if not free else HABITS.last if start == free else HABITS.shifted / free
            starts.append((start, others * how_often))
        if free:
            zeros, fillers = (float(boxes[:free, kind].prod()) for kind in (0, FILLER))
            starts.append((free, HABITS.led_by_zeros * zeros + HABITS.led_by_fillers * fillers))
        places.append(starts)
    return places


def written_in(numbers: Integers, boxes: Floats, places: Places) -> Floats:
    """The likelihood that each number `[k]` is written in boxes `[n, 14]`."""
    found = np.zeros(len(numbers))
    for length, starts in enumerate(places, 1):
        chosen = np.flatnonzero((numbers < 10**length) & (numbers >= (10 ** (length - 1) if length > 1 else 0)))
        digits = numbers[chosen, None] // 10 ** np.arange(length)[::-1] % 10  # [c, length]
        for start, others in starts:
            found[chosen] += others * boxes[np.arange(start, start + length), digits].prod(1)
    return found


def likely(boxes: Floats, most: int, places: Places) -> tuple[Integers, Floats]:
    """The numbers up to `most` that are most probably written, ascending, and the likelihood of each."""
    count, found = len(boxes), np.zeros(1, np.int64)
    for length in range(1, count + 1):
        for start in range(count - length + 1):
            numbers, weights = np.zeros(1, np.int64), np.ones(1)
            for place in range(start, start + length):
                numbers = (10 * numbers[:, None] + np.arange(10)).reshape(-1)
                weights = (weights[:, None] * boxes[place, DIGITS]).reshape(-1)
                best = np.argsort(-weights, kind="stable")[: LOOKS.kept]
                numbers, weights = numbers[best], weights[best] / max(weights.max(), np.finfo(float).tiny)
            found = np.union1d(found, numbers)
    found = found[found <= most]
    weights = written_in(found, boxes, places)
    kept = np.sort(np.argsort(-weights, kind="stable")[: LOOKS.kept])
    return found[kept], weights[kept]


# Strips.


def in_strip(
    field: Field, logs: NDArray[Any], prior: NDArray[Any], candidates: Sequence[tuple[int, float]], other: float
) -> Shown:
    """What the strip of a number shows.

    Args:
        field: The field.
        logs: Log-likelihoods of the classes, `[14]`.
        prior: The prior of the classes, `[14]`: `logs` are logarithms of probabilities divided by it.
        candidates: Numbers in units of the field, with the probabilities that a reader gives them if there is a number.
        other: The probability of all other numbers together.
    """
    ratios, numbers = np.exp(np.asarray(logs, np.float64)), slice(0, SEVERAL + 1)
    number = float(prior[numbers] @ ratios[numbers] / prior[numbers].sum())
    shares = {value: share for value, share in candidates if 0 <= value <= field.largest}
    values = np.array(sorted(shares), np.int64)
    # The share of each among the numbers that the reader learned from and that fit into the field's digits.
    lengths = np.array([len(str(value // (1 + field.halves))) for value in sorted(shares)], np.int64)
    of_length = np.array(LENGTHS[: field.digits]) / sum(LENGTHS[: field.digits])
    learned = of_length[lengths - 1] / np.where(lengths == 1, 10.0, 9 * 10.0 ** (lengths - 1)) / (1 + field.halves)
    written = number * np.array([shares[value] for value in sorted(shares)]) / learned
    left = field.largest + 1 - len(values)
    rest = number * other / max(1 - float(learned.sum()), np.finfo(float).eps) if left else 0.0
    mean = (float(written.sum()) + rest * left) / (field.largest + 1)
    return Shown(values, written, rest, mean, *(float(ratios[place]) for place in (EMPTY, FILLER, CROSSED)))


# A sheet.


class Cells(NamedTuple):
    """The ink of a field's boxes, or of its strip, and of its correction: pictures `[36, w]` in [0, 1], light on
    dark."""

    main: Sequence[Grey]
    correction: Sequence[Grey]


@dataclass(frozen=True, kw_only=True)
class SheetReading(Verdict):
    """The reading of a sheet.

    Numbers are in units of their fields: with halves, 15 is 7½. None stands for an unknown number.

    Attributes:
        layout: The layout of the form.
        state: "adds up" as it is read; "corrected", so that it adds up; "does not add up", however its cells are read;
            "doubtful"; or "blank", with empty cells and unknown numbers.
        probability: The probability of all values together.
        values: The most probable combination of the numbers of all fields.
        read: The most probable number of each field by itself.
        how: How each field shows its number: "number", "empty", "filler", "correction" or "unclear".
        corrections: The fields whose numbers the sums change, if the numbers are sure.
        wrong: The totals that are wrong, if the sheet does not add up.
        look: The fewest fields to look at, if the numbers are not sure.
        identity: The identity on the sheet; "?" stands for a handwritten digit that is not sure.
        version: The version of the layout with which the sheet was printed.
        matrix: Maps millimetres on the page to pixels of the picture, `[3, 3]`; None without a picture.
        offset: The largest distance of a corner of a tag from where the matrix puts it, in pixels at 200 dots per inch.

    Examples:
        >>> sheet = read("docs/images/sheet-photograph.jpg", Layout.of_line("9,7,13,12"))
        >>> [(one.field, one.read, one.value) for one in sheet.corrections]
        [('q1', 0, 6)]
    """

    layout: Layout = field(repr=False)
    read: Mapping[str, int | None]
    how: Mapping[str, How]
    identity: str | None = None
    version: int | None = None
    matrix: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    offset: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The reading as types that `json` writes, its numbers as people write them: 7.5, not 15."""

        def plain(name: str, value: int | None) -> int | float | None:
            return self.layout.field(name).plain(value)

        def entry(one: Correction | WrongTotal) -> dict[str, Any]:
            values = one._asdict()
            numbers = {key: plain(one.field, value) for key, value in values.items() if not isinstance(value, str)}
            return values | numbers | {"probability": round(one.probability, 6)}

        return {
            "state": self.state, "identity": self.identity, "layout": self.layout.id, "version": self.version,
            "probability": round(self.probability, 6),
            "values": {name: plain(name, value) for name, value in self.values.items()},
            "read": {name: plain(name, value) for name, value in self.read.items()},
            "how": dict(self.how), "corrections": [*map(entry, self.corrections)], "wrong": [*map(entry, self.wrong)],
            "look": [
                {"field": cell.field, "candidates": [
                    {"value": plain(cell.field, value), "probability": round(share, 6)}
                    for value, share in cell.candidates
                ]} for cell in self.look
            ],
            "matrix": None if self.matrix is None else [float(f"{x:.9g}") for x in self.matrix.reshape(-1)],
            "offset": None if self.offset is None else round(self.offset, 3),
        }  # fmt: skip


@typed
def read(picture: Picture, layout: Layout | str | Path, mistake: float = MISTAKE) -> SheetReading:
    """Read a photographed or scanned sheet.

    Args:
        picture: A path, the bytes of a file, a PIL image or an array.
        layout: The layout of the form, or the path of its TOML file.
        mistake: The probability that the writer adds up wrongly.

    Raises:
        SheetError: The picture shows no sheet of this layout, or not well enough.
        ImageError: It cannot be read.
        LayoutError: The layout is not valid.
        MissingExtraError: The extra `sheets` is not installed.

    Examples:
        >>> sheet = read("docs/images/sheet-photograph.jpg", Layout.of_line("9,7,13,12"))
        >>> sheet.state, sheet.read["q1"], sheet.values["q1"], sheet.values["total"]
        ('corrected', 0, 6, 17)
    """
    return SheetReader(layout if isinstance(layout, Layout) else Layout.load(layout), mistake).read(picture)


def in_units(formula: Relation, layout: Layout) -> Relation:
    """A formula of numbers in the units of their fields. The factors of a product are whole numbers."""
    step, (first, *others) = layout.field(formula.total).step, formula.terms
    if formula.times:
        return replace(formula, terms=((first[0] * 2 // step, first[1]), *others))
    terms = tuple((weight * layout.field(name).step // step, name) for weight, name in formula.terms)
    return replace(formula, terms=terms)


class SheetReader:
    """Reads sheets of one layout.

    Args:
        layout: The layout of the form.
        mistake: The probability that the writer adds up wrongly, for each total.
        hand: The learned hand of the writer, if there is one.

    Raises:
        HandError: The hand was learned with other networks.
        LayoutError, NumberError, ConfigError, RunError: An argument is not valid.

    Examples:
        >>> reader = SheetReader(Layout.of_line("9,7,13,12"))
        >>> reader.read("docs/images/sheet-photograph.jpg").state
        'corrected'
    """

    @typed
    def __init__(self, layout: Layout, mistake: float = MISTAKE, hand: Hand | None = None) -> None:
        self.layout, self.page = layout, Page.of(layout)
        self.check = Relations(
            {one.name: one.largest for one in layout.fields}, [in_units(one, layout) for one in layout.formulas],
            [one.name for one in layout.totals if one.halves], mistake,
        )  # fmt: skip
        reading = Numbers().with_hand(hand)
        self.cells = CellReader(reading.recognizer())
        self.digits = Judge(OnnxNetwork(PRETRAINED / ONNX, 1).with_hand(hand), False, reading.found_on)
        strips = any(one.kind == "strip" for one in layout.fields)
        self.strips = reading.reader() if strips else None

    @typed
    def read(self, picture: Picture | FilePage, name: str | None = None) -> SheetReading:
        """Read the sheet in a picture, or on a page of a PDF file; messages call a picture without a path `name`.
        Raises `SheetError`, `ImageError`."""
        sheet, version, whose = finder()(picture, self.layout, self.page, name)
        cells, number = self.cells_on(sheet)
        reading, identity = self.of_cells(cells), self.identity_of(Cells(*number)) if number else whose or None
        return replace(reading, identity=identity, version=version, matrix=sheet.matrix, offset=sheet.error)

    def cells_on(self, sheet: Registered) -> tuple[dict[str, Cells], list[Sequence[Grey]]]:
        """The ink of the cells of each field, by its name; and that of the identity, if it is written by hand."""
        places = [*self.page.places, *([self.page.identity] if self.page.identity else [])]
        groups = [group for place in places for group in (place.boxes, place.correction)]
        inks = iter(sheet.ink([box for group in groups for box in group], CELL_SCALE, CELL_MARGIN))
        shown = iter([[next(inks) for _ in group] for group in groups])
        return {place.name: Cells(next(shown), next(shown)) for place in self.page.places}, [*shown]

    def of_cells(self, cells: Mapping[str, tuple[Sequence[Grey], Sequence[Grey]]]) -> SheetReading:
        """Read a sheet from the ink of its cells, given by the name of each field."""
        fields, names = self.layout.fields, self.layout.names
        empty, shown = self.shown_in(cells)
        if empty.min() >= LOOKS.blank:
            nothing, how = dict.fromkeys(names), dict.fromkeys(names, HOW[1])
            return SheetReading("blank", float(empty.prod()), nothing, layout=self.layout, read=nothing, how=how)
        totals, parts = self.check.totals, iter(shown)
        evidence = {one.name: seen(one, next(parts), next(parts), one.name in totals) for one in fields}
        posterior = self.check.posterior({name: one.evidence for name, one in evidence.items()})
        found = verdict(posterior)
        how = {name: one.how(found.values[name]) for name, one in evidence.items()}
        read = {name: posterior.read[name] for name in names}
        return SheetReading(**vars(found), layout=self.layout, read=read, how=how)

    def shown_in(self, cells: Mapping[str, tuple[Sequence[Grey], Sequence[Grey]]]) -> tuple[Floats, list[Shown]]:
        """How probable it is that each cell is empty; and what each field shows, and then its correction."""
        groups = [(one, group) for one in self.layout.fields for group in cells[one.name]]
        images, sizes = [image for _, group in groups for image in group], [len(group) for _, group in groups]
        logs, strips = self.cells(images), np.repeat([one.kind == "strip" for one, _ in groups], sizes)
        empty = np.exp(logs[:, EMPTY] + np.array([self.cells.log_prior(image)[EMPTY] for image in images]))
        boxes = np.flatnonzero(~strips)
        logs[boxes] = self.rescored([images[place] for place in boxes.tolist()], logs[boxes])
        parts = np.split(logs, np.cumsum(sizes)[:-1])
        return empty, [self.shown(*one, part) for one, part in zip(groups, parts, strict=True)]

    def rescored(self, images: Sequence[Grey], logs: Floats) -> Floats:
        """The log-likelihoods of boxes `[n, 14]`. If it is in doubt which digit a box shows, the reader of digits is
        asked, too."""
        rescored, prior = logs.copy(), self.cells.log_priors[BOX]
        for image, found in zip(images, rescored, strict=True):
            shares = np.exp(found + prior)
            digits = shares[DIGITS]
            if shares.max() >= LOOKS.sure_digit or digits.max() < LOOKS.some_digit:
                continue
            within = slice(LOOKS.lines, -LOOKS.lines)
            second = self.digits(Intensities(1 - image[within, within]), ink="dark")
            if second.is_digit:
                both = digits**LOOKS.second * second.digit**LOOKS.second
                with np.errstate(divide="ignore"):
                    found[DIGITS] = np.log(both * digits.sum() / both.sum()) - prior[DIGITS]
        return rescored

    def shown(self, one: Field, images: Sequence[Grey], logs: Floats) -> Shown:
        """What the boxes, or the strip, of a number show."""
        if one.kind == "boxes":
            return in_boxes(one, logs)
        prior = np.exp(self.cells.log_prior(images[0]))
        candidates: list[tuple[int, float]] = []
        other = 1.0
        if prior[EMPTY] * np.exp(logs[0, EMPTY]) < LOOKS.blank and self.strips is not None:
            candidates, other = self.numbers_in(one, images[0][LOOKS.frame : -LOOKS.frame, LOOKS.frame : -LOOKS.frame])
        return in_strip(one, logs[0], prior, candidates, other)

    def numbers_in(self, one: Field, image: Grey) -> tuple[list[tuple[int, float]], float]:
        """The candidates of a strip, in units of its field, with their probabilities; and the probability of all other
        numbers."""
        assert self.strips is not None
        shares: dict[int, float] = {}
        for decimal in (".", ",") if one.halves else (None,):
            digits = 1, one.digits + one.halves
            reading = self.strips(Intensities(1 - image), digits, decimal, "dark", LOOKS.candidates)
            for candidate in reading.candidates:
                units = candidate.value * (2 if one.halves else 1)
                if units == int(units):
                    value = int(units)
                    shares[value] = max(shares.get(value, 0.0), candidate.probability)
        total = max(1.0, sum(shares.values()))
        return [(value, share / total) for value, share in shares.items()], max(0.0, 1 - sum(shares.values()))

    def identity_of(self, cells: Cells) -> str | None:
        """The handwritten identity of a sheet; None if nothing is written."""
        main, anew = (np.exp(self.rescored(group, self.cells(group)) + self.cells.log_priors[BOX]) for group in cells)
        shares = anew if (anew.argmax(1) != EMPTY).any() else main
        digits = shares[:, DIGITS]
        signs = [
            "" if one.argmax() == EMPTY else CELL_CLASSES[ten.argmax()] if ten.max() >= LOOKS.known else "?"
            for one, ten in zip(shares, digits, strict=True)
        ]
        return "".join(signs) or None


def finder() -> Callable[..., tuple[Registered, int, str]]:
    """The function that finds a sheet in a picture. Raises `MissingExtraError`."""
    try:
        from sumnist.sheets.registration import registered
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error, "reading sheets") from error
    return registered
