"""What cells show becomes likelihoods of numbers: against all that boxes may show, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.inference.cells import CELL_CLASSES
from sumnist.sheets import evidence
from sumnist.sheets.evidence import Seen, Shown, in_boxes, in_strip, seen
from sumnist.sheets.layout import Field

DIGITS = "0123456789"


def field(digits: int, largest: int | None = None, halves: bool = False, kind: str = "boxes") -> Field:
    most = 10**digits * (2 if halves else 1) - 1
    return Field("q", "Question", kind, digits, most if largest is None else largest, halves)  # type: ignore[arg-type]


Floats = NDArray[np.float64]


def logs(*boxes: str, sure: float = 0.97) -> Floats:
    """Log-likelihoods of boxes that show these classes rather surely, with an even prior."""
    found = np.full((len(boxes), len(CELL_CLASSES)), (1 - sure) / (len(CELL_CLASSES) - 1))
    for row, name in zip(found, boxes, strict=True):
        row[CELL_CLASSES.index(name)] = sure
    return np.asarray(np.log(found * len(CELL_CLASSES)))


def arrangements(number: int, boxes: int) -> Iterator[tuple[float, tuple[str, ...]]]:
    """How often a number is written how, in words."""
    text = str(number)
    free = boxes - len(text)
    if free == 0:
        yield 1.0, tuple(text)
        return
    yield 0.92, ("empty",) * free + tuple(text)
    yield 0.02, ("0",) * free + tuple(text)
    yield 0.01, ("filler",) * free + tuple(text)
    for before in range(free):
        yield 0.05 / free, ("empty",) * before + tuple(text) + ("empty",) * (free - before)


def best(found: Seen) -> int:
    if isinstance(found.evidence, np.ndarray):
        return int(found.evidence.argmax())
    return int(max(found.evidence.probabilities, key=found.evidence.probabilities.__getitem__))


def likelihood(shown: tuple[str, ...], ratios: Floats) -> float:
    return float(np.prod([row[CELL_CLASSES.index(name)] for row, name in zip(ratios, shown, strict=True)]))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_numbers_in_boxes_are_as_probable_as_all_ways_to_write_them_together(n: int, halves: bool, seed: int) -> None:
    one = field(n, halves=halves)
    ratios = np.random.default_rng(seed).gamma(0.3, size=(n + halves, 14)) + 1e-9
    shown = in_boxes(one, np.log(ratios))
    for value, found in zip(shown.values.tolist(), shown.written.tolist(), strict=True):
        whole, half = divmod(value, 2) if halves else (value, 0)
        ends = (
            [(1.0, ("5",))]
            if half
            else [(0.47, ("0",)), (0.5, ("empty",)), (0.03, ("filler",))]
            if halves
            else [(1.0, ())]
        )
        expected = sum(
            share * other * likelihood((*text, *end), ratios)
            for share, text in arrangements(whole, n)
            for other, end in ends
        )
        assert found == pytest.approx(expected, rel=1e-9)
    assert shown.values.tolist() == list(range(one.largest + 1))
    assert shown.rest == 0
    assert shown.mean == pytest.approx(shown.written.mean())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_filler_and_crossing_out_are_summed_over_all_boxes(n: int, seed: int) -> None:
    ratios = np.random.default_rng(seed).gamma(0.3, size=(n, 14)) + 1e-9
    shown = in_boxes(field(n), np.log(ratios))
    signs = ratios.copy()
    signs[:, CELL_CLASSES.index("filler")] *= 0.95  # one sign in twenty looks like a 1
    signs[:, CELL_CLASSES.index("filler")] += 0.05 * ratios[:, CELL_CLASSES.index("1")]
    filled = [one for one in product(("filler", "empty"), repeat=n) if "filler" in one]
    assert shown.filler == pytest.approx(np.mean([likelihood(one, signs) for one in filled]), rel=1e-6)
    shares = {"crossed": 0.8, "empty": 0.15} | dict.fromkeys(DIGITS, 0.005)
    crossed = [one for one in product(shares, repeat=n) if "crossed" in one]
    weights = np.array([np.prod([shares[name] for name in one]) for one in crossed])
    found = [likelihood(one, ratios) for one in crossed]
    assert shown.crossed == pytest.approx(weights @ found / weights.sum(), rel=1e-6)


def test_of_a_long_number_the_candidates_are_the_most_probable_ones_and_the_rest_is_what_is_left() -> None:
    random = np.random.default_rng(5)
    ratios = random.gamma(0.3, size=(4, 14)) + 1e-9
    whole = in_boxes(field(4, 8191), np.log(ratios))  # few enough to be looked at one by one
    assert len(whole.values) == 8192 > evidence.KEPT
    some = in_boxes(field(4, 9999), np.log(ratios))
    listed = np.sort(whole.at(np.arange(8192)))[::-1]
    assert len(some.values) == evidence.KEPT
    assert some.written.max() == pytest.approx(listed[0])
    assert set(some.written[some.values < 8192].round(12)) <= set(listed.round(12))
    every = in_boxes(field(4, 9999), np.log(ratios)).mean * 10_000
    by_hand = sum(
        share * likelihood(text, ratios) for number in range(10_000) for share, text in arrangements(number, 4)
    )
    assert every == pytest.approx(by_hand, rel=1e-9)


NOTHING = in_boxes(field(2), logs("empty", "empty", sure=1 - 1e-7))


@pytest.mark.parametrize(
    ("main", "correction", "value", "how"),
    [
        (("1", "7"), ("empty", "empty"), 17, "number"),
        (("empty", "7"), ("empty", "empty"), 7, "number"),
        (("7", "empty"), ("empty", "empty"), 7, "number"),
        (("0", "7"), ("empty", "empty"), 7, "number"),
        (("filler", "7"), ("empty", "empty"), 7, "number"),
        (("empty", "0"), ("empty", "empty"), 0, "number"),
        (("empty", "empty"), ("empty", "empty"), 0, "empty"),
        (("empty", "filler"), ("empty", "empty"), 0, "filler"),
        (("filler", "filler"), ("empty", "empty"), 0, "filler"),
        (("empty", "1"), ("empty", "empty"), 1, "number"),
        (("crossed", "crossed"), ("4", "2"), 42, "correction"),
        (("empty", "crossed"), ("empty", "4"), 4, "correction"),
        (("1", "7"), ("1", "8"), 18, "correction"),
        (("empty", "empty"), ("1", "8"), 18, "correction"),
    ],
)
def test_what_people_do_with_boxes_is_understood(
    main: tuple[str, ...], correction: tuple[str, ...], value: int, how: str
) -> None:
    one = field(2)
    found = seen(one, in_boxes(one, logs(*main, sure=0.999)), in_boxes(one, logs(*correction, sure=0.999)), False)
    assert best(found) == value
    assert found.how(value) == how


def test_what_is_crossed_out_without_a_correction_says_nothing() -> None:
    one = field(2)
    found = seen(one, in_boxes(one, logs("crossed", "crossed", sure=0.9999)), NOTHING, False)
    assert isinstance(found.evidence, np.ndarray)
    assert np.ptp(found.evidence[1:]) < 0.1
    assert found.evidence[0] - found.evidence[1] == pytest.approx(np.log(5), abs=0.1)  # 0 has a twentieth, not 1 in 100
    assert found.how(42) == "unclear"


def test_a_total_that_is_not_written_says_nothing_and_an_empty_term_is_mostly_a_zero() -> None:
    one = field(2)
    total, term = (seen(one, NOTHING, NOTHING, is_total).evidence for is_total in (True, False))
    assert isinstance(total, np.ndarray)
    assert isinstance(term, np.ndarray)
    assert np.ptp(total) < 0.1
    probabilities = np.exp(term) / np.exp(term).sum()
    assert 0.99 < probabilities[0] < 0.9999
    assert probabilities[1:] == pytest.approx(np.full(99, probabilities[1]), rel=0.1)


def test_no_picture_makes_a_number_impossible() -> None:
    one = field(1)
    ratios = np.full((1, 14), -200.0)
    ratios[0, 7] = np.log(14)
    found = seen(one, in_boxes(one, ratios), in_boxes(one, logs("empty")), False).evidence
    assert isinstance(found, np.ndarray)
    assert found.argmax() == 7
    assert np.isfinite(found).all()


# Strips.


def test_what_a_reader_of_strips_says_is_divided_by_what_it_had_learned() -> None:
    one = field(3, 120, kind="strip")
    even = np.full(14, 1 / 14)
    shown = in_strip(one, np.zeros(14), even, [(7, 0.5), (12, 0.3)], 0.2)
    shares = np.array([0.09, 0.16, 0.15]) / 0.4
    assert shown.at(np.array([7]))[0] == pytest.approx(0.5 / (shares[0] / 10))
    assert shown.at(np.array([12]))[0] == pytest.approx(0.3 / (shares[1] / 90))
    assert shown.at(np.array([99]))[0] == pytest.approx(0.2 / (1 - shares[0] / 10 - shares[1] / 90))


def test_a_strip_that_is_no_number_says_so() -> None:
    one = field(2, kind="strip")
    even = np.full(14, 1 / 14)
    for name, how in (("empty", "empty"), ("filler", "filler")):
        main = in_strip(one, logs(name, sure=0.999)[0], even, [(7, 0.5)], 0.5)
        found = seen(one, main, in_strip(one, logs("empty", sure=0.999)[0], even, [], 1.0), False)
        assert best(found) == 0
        assert found.how(0) == how


def test_numbers_that_a_field_has_no_room_for_are_no_candidates() -> None:
    one = field(2, 12, kind="strip")
    shown = in_strip(one, np.zeros(14), np.full(14, 1 / 14), [(72, 0.9), (12, 0.05)], 0.05)
    assert shown.values.tolist() == [12]


def test_candidates_of_large_fields_keep_the_rest_apart() -> None:
    one = field(5, kind="strip")
    even = np.full(14, 1 / 14)
    main = in_strip(one, logs("number", sure=0.999)[0], even, [(48_120, 0.9), (48_170, 0.08)], 0.02)
    found = seen(one, main, in_strip(one, logs("empty", sure=0.999)[0], even, [], 1.0), False).evidence
    assert not isinstance(found, np.ndarray)
    best, second = list(found.probabilities)[:2]
    assert (best, second) == (48_120, 48_170)
    assert 0 < found.other < 0.1


def test_a_number_that_was_not_shown_has_the_likelihood_of_the_rest() -> None:
    shown = Shown(np.array([3, 5]), np.array([0.2, 0.6]), 0.01, 0.1, 0.0, 0.0, 0.0)
    assert shown.at(np.array([0, 3, 4, 5, 9])).tolist() == [0.01, 0.2, 0.01, 0.6, 0.01]
