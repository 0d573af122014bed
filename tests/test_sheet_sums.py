"""What is known of a sheet: its formulas, what its cells show, the mistakes of who adds, and the posterior."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sheet_enumeration import WEIGHTS, Form, Way, by_values, channel, forms, read, ways
from sumnist.arithmetic import sumproduct
from sumnist.arithmetic.sumproduct import LOG_SUM
from sumnist.arithmetic.sums import Integers
from sumnist.arithmetic.values import Value, Values
from sumnist.errors import EquationError, LayoutError, NumberError
from sumnist.inference.cells import CELL_CLASSES
from sumnist.sheets import check as module
from sumnist.sheets import evidence, mistakes
from sumnist.sheets.check import Check, Posterior, divided
from sumnist.sheets.evidence import Seen, Shown, in_boxes, in_strip, seen
from sumnist.sheets.formulas import Formula, in_order
from sumnist.sheets.layout import Field
from sumnist.sheets.mistakes import KINDS, UNKNOWN, Writer


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("t = a", "+a"),
        ("t=a+b", "+a+b"),
        ("t = a − b - c", "+a-b-c"),
        ("t = - a + b", "-a+b"),
        ("t = q1 + … + q4", "+q1+q2+q3+q4"),
        ("t = q1 + ... + q4 - x", "+q1+q2+q3+q4-x"),
        ("t = x - q08 - … - q11", "+x-q08-q09-q10-q11"),
        ("t = q1 + … + q2", "+q1+q2"),
        ("t = a1b2 + … + a1b4", "+a1b2+a1b3+a1b4"),
    ],
)
def test_a_formula_is_read_as_its_terms(text: str, terms: str) -> None:
    formula = Formula.of(text)
    assert formula.total == "t"
    assert "".join("+-"[sign < 0] + name for sign, name in formula.terms) == terms


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,31}", fullmatch=True)


@given(NAMES, st.lists(st.tuples(st.sampled_from((1, -1)), NAMES), min_size=1, max_size=20))
def test_every_formula_that_is_written_is_read_as_the_same(total: str, terms: list[tuple[int, str]]) -> None:
    formula = Formula(total, tuple(terms))
    assert Formula.of(formula.text) == formula


@given(st.text(max_size=60) | st.text("q12 =+-−….ab", max_size=40))
def test_whatever_is_written_as_a_formula_is_one_or_is_refused(text: str) -> None:
    try:
        formula = Formula.of(text)
    except LayoutError:
        return
    assert Formula.of(formula.text) == formula


DOTS = (
    ": its dots do not stand between two names that count up, with one sign, expected as in 'q1 + … + q12', over at "
    "most 200 fields: write the terms out"
)
NAME = "expected a name of up to 32 letters from a to z, digits and _, a letter first: correct it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("total", ": expected one = in at most 2,000 characters: write it as in 'total = q1 + q2'"),
        ("t = " + "a + " * 600 + "a", ": expected one = in at most 2,000 characters: write it as in 'total = q1 + q2'"),
        ("t =", f": '' where a field is named, {NAME}"),
        ("= a", f": '' where a field is named, {NAME}"),
        ("t = a b", f": 'a b' where a field is named, {NAME}"),
        ("t = a + + b", f": '' where a field is named, {NAME}"),
        ("t = a +", f": '' where a field is named, {NAME}"),
        ("t = 2 * a", f": '2 * a' where a field is named, {NAME}"),
        ("a = b = c", f": 'b = c' where a field is named, {NAME}"),
        ("t = Ω", f": 'Ω' where a field is named, {NAME}"),
        ("t = " + "a" * 33, f": '{'a' * 33}' where a field is named, {NAME}"),
        ("t = q1 + …", DOTS),
        ("t = … + q3", DOTS),
        ("t = …", DOTS),
        ("t = a + … + q3", DOTS),
        ("t = p1 + … + q3", DOTS),
        ("t = q3 + … + q1", DOTS),
        ("t = q1 + … - q4", DOTS),
        ("t = q1 - … + q4", DOTS),
        ("t = q1 + … + q202", DOTS),
        ("t = q1 + … + q" + "9" * 30, DOTS),
    ],
)
def test_what_is_no_formula_is_refused(text: str, message: str) -> None:
    with pytest.raises(LayoutError) as error:
        Formula.of(text)
    assert str(error.value) == f"formula {text[:80]!r}{message}"


@st.composite
def forests(draw: st.DrawFn) -> list[Formula]:
    """Formulas over n0, n1, …: each name but the last may be given to one total with a larger number."""
    count = draw(st.integers(2, 12))
    parents = {place: draw(st.integers(place + 1, count) | st.none()) for place in range(count)}
    parts = {total: [place for place, above in parents.items() if above == total] for total in range(count + 1)}
    formulas = [
        Formula(f"n{total}", tuple((1, f"n{part}") for part in below)) for total, below in parts.items() if below
    ]
    return draw(st.permutations(formulas))


@given(forests())
def test_formulas_that_are_trees_come_with_parts_before_totals(formulas: list[Formula]) -> None:
    ordered = in_order(formulas, [f"n{place}" for place in range(20)])
    assert sorted(formula.total for formula in ordered) == sorted(formula.total for formula in formulas)
    totals = {formula.total for formula in formulas}
    seen: set[str] = set()
    for formula in ordered:
        assert {name for _, name in formula.terms} & totals <= seen
        seen.add(formula.total)


@given(forests(), st.data())
def test_one_more_term_that_makes_no_tree_is_refused(formulas: list[Formula], data: st.DataObject) -> None:
    if not formulas:
        return
    where = data.draw(st.integers(0, len(formulas) - 1))
    used = [name for formula in formulas for _, name in formula.terms]
    extra = data.draw(st.sampled_from([*used, formulas[where].total, "elsewhere"]))
    worse = replace(formulas[where], terms=(*formulas[where].terms, (-1, extra)))
    with pytest.raises(LayoutError):
        in_order([*formulas[:where], worse, *formulas[where + 1 :]], [f"n{place}" for place in range(20)])


DIGITS = "0123456789"


def field_of(digits: int, largest: int | None = None, halves: bool = False, kind: str = "boxes") -> Field:
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


def likeliest_of(found: Seen) -> int:
    if isinstance(found.evidence, np.ndarray):
        return int(found.evidence.argmax())
    return int(max(found.evidence.probabilities, key=found.evidence.probabilities.__getitem__))


def likelihood(shown: tuple[str, ...], ratios: Floats) -> float:
    return float(np.prod([row[CELL_CLASSES.index(name)] for row, name in zip(ratios, shown, strict=True)]))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_numbers_in_boxes_are_as_probable_as_all_ways_to_write_them_together(n: int, halves: bool, seed: int) -> None:
    one = field_of(n, halves=halves)
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
    shown = in_boxes(field_of(n), np.log(ratios))
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
    whole = in_boxes(field_of(4, 8191), np.log(ratios))  # few enough to be looked at one by one
    assert len(whole.values) == 8192 > evidence.KEPT
    some = in_boxes(field_of(4, 9999), np.log(ratios))
    listed = np.sort(whole.at(np.arange(8192)))[::-1]
    assert len(some.values) == evidence.KEPT
    assert some.written.max() == pytest.approx(listed[0])
    assert set(some.written[some.values < 8192].round(12)) <= set(listed.round(12))
    every = in_boxes(field_of(4, 9999), np.log(ratios)).mean * 10_000
    by_hand = sum(
        share * likelihood(text, ratios) for number in range(10_000) for share, text in arrangements(number, 4)
    )
    assert every == pytest.approx(by_hand, rel=1e-9)


NOTHING = in_boxes(field_of(2), logs("empty", "empty", sure=1 - 1e-7))


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
    one = field_of(2)
    found = seen(one, in_boxes(one, logs(*main, sure=0.999)), in_boxes(one, logs(*correction, sure=0.999)), False)
    assert likeliest_of(found) == value
    assert found.how(value) == how


def test_what_is_crossed_out_without_a_correction_says_nothing() -> None:
    one = field_of(2)
    found = seen(one, in_boxes(one, logs("crossed", "crossed", sure=0.9999)), NOTHING, False)
    assert isinstance(found.evidence, np.ndarray)
    assert np.ptp(found.evidence[1:]) < 0.1
    assert found.evidence[0] - found.evidence[1] == pytest.approx(np.log(5), abs=0.1)  # 0 has a twentieth, not 1 in 100
    assert found.how(42) == "unclear"


def test_a_total_that_is_not_written_says_nothing_and_an_empty_term_is_mostly_a_zero() -> None:
    one = field_of(2)
    total, term = (seen(one, NOTHING, NOTHING, is_total).evidence for is_total in (True, False))
    assert isinstance(total, np.ndarray)
    assert isinstance(term, np.ndarray)
    assert np.ptp(total) < 0.1
    probabilities = np.exp(term) / np.exp(term).sum()
    assert 0.99 < probabilities[0] < 0.9999
    assert probabilities[1:] == pytest.approx(np.full(99, probabilities[1]), rel=0.1)


def test_no_picture_makes_a_number_impossible() -> None:
    one = field_of(1)
    ratios = np.full((1, 14), -200.0)
    ratios[0, 7] = np.log(14)
    found = seen(one, in_boxes(one, ratios), in_boxes(one, logs("empty")), False).evidence
    assert isinstance(found, np.ndarray)
    assert found.argmax() == 7
    assert np.isfinite(found).all()


# Strips.


def test_what_a_reader_of_strips_says_is_divided_by_what_it_had_learned() -> None:
    one = field_of(3, 120, kind="strip")
    even = np.full(14, 1 / 14)
    shown = in_strip(one, np.zeros(14), even, [(7, 0.5), (12, 0.3)], 0.2)
    shares = np.array([0.09, 0.16, 0.15]) / 0.4
    assert shown.at(np.array([7]))[0] == pytest.approx(0.5 / (shares[0] / 10))
    assert shown.at(np.array([12]))[0] == pytest.approx(0.3 / (shares[1] / 90))
    assert shown.at(np.array([99]))[0] == pytest.approx(0.2 / (1 - shares[0] / 10 - shares[1] / 90))


def test_a_strip_that_is_no_number_says_so() -> None:
    one = field_of(2, kind="strip")
    even = np.full(14, 1 / 14)
    for name, how in (("empty", "empty"), ("filler", "filler")):
        main = in_strip(one, logs(name, sure=0.999)[0], even, [(7, 0.5)], 0.5)
        found = seen(one, main, in_strip(one, logs("empty", sure=0.999)[0], even, [], 1.0), False)
        assert likeliest_of(found) == 0
        assert found.how(0) == how


def test_numbers_that_a_field_has_no_room_for_are_no_candidates() -> None:
    one = field_of(2, 12, kind="strip")
    shown = in_strip(one, np.zeros(14), np.full(14, 1 / 14), [(72, 0.9), (12, 0.05)], 0.05)
    assert shown.values.tolist() == [12]


def test_candidates_of_large_fields_keep_the_rest_apart() -> None:
    one = field_of(5, kind="strip")
    even = np.full(14, 1 / 14)
    main = in_strip(one, logs("number", sure=0.999)[0], even, [(48_120, 0.9), (48_170, 0.08)], 0.02)
    found = seen(one, main, in_strip(one, logs("empty", sure=0.999)[0], even, [], 1.0), False).evidence
    assert not isinstance(found, np.ndarray)
    first, second = list(found.probabilities)[:2]
    assert (first, second) == (48_120, 48_170)
    assert 0 < found.other < 0.1


def test_a_number_that_was_not_shown_has_the_likelihood_of_the_rest() -> None:
    shown = Shown(np.array([3, 5]), np.array([0.2, 0.6]), 0.01, 0.1, 0.0, 0.0, 0.0)
    assert shown.at(np.array([0, 3, 4, 5, 9])).tolist() == [0.01, 0.2, 0.01, 0.6, 0.01]


many = settings(deadline=None, max_examples=100)


def ways_to(writer: Writer, terms: tuple[int, ...]) -> NDArray[np.float64]:
    """For each total 0..largest the probability of each kind: `[largest + 1, kinds]`."""
    totals = np.arange(writer.largest + 1)
    return writer.kinds(totals, np.tile(np.array(terms), (len(totals), 1)))


def likeliest(total: int, terms: list[int], largest: int = 200, halves: bool = False) -> str:
    writer = Writer(largest, len(terms), halves)
    return KINDS[int(writer.kinds(np.array([total]), np.array([terms])).argmax())]


def test_the_weights_of_the_mixture_are_those_of_the_page_and_sum_to_one() -> None:
    named = {KINDS[kind]: share for kind, share in mistakes.WEIGHTS.items()}
    assert named == WEIGHTS
    assert sum(WEIGHTS.values()) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("largest", [1, 2, 9, 10, 23, 120])
def test_probabilities_of_all_totals_sum_to_one_and_mistakes_are_never_the_sum(largest: int, halves: bool) -> None:
    for terms in product(range(-4, 13, 2), repeat=2):
        found = ways_to(Writer(largest, 2, halves, 0.3), terms)
        assert found.sum() == pytest.approx(1, abs=1e-12)
        assert found.min() >= 0
        if 0 <= sum(terms) <= largest:
            assert found[sum(terms)].tolist() == [pytest.approx(0.7), *[0] * 6]
            assert found[:, 1:].sum() == pytest.approx(0.3, abs=1e-12)


@many
@given(
    st.lists(st.integers(-130, 130), min_size=1, max_size=5), st.integers(1, 1100), st.booleans(),
    st.sampled_from([0.0, 0.02, 1.0]),
)  # fmt: skip
def test_each_kind_is_as_probable_as_by_strings_of_digits(
    terms: list[int], largest: int, halves: bool, mistake: float
) -> None:
    found = ways_to(Writer(largest, len(terms), halves, mistake), tuple(terms))
    expected = np.zeros_like(found)
    for (total, kind), share in channel(tuple(terms), largest, mistake, halves).items():
        expected[total, list[str](KINDS).index(kind)] = share
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_a_sum_without_room_makes_every_total_possible() -> None:
    for terms in (15, 15), (3, -9):
        assert ways_to(Writer(20, 2), terms).sum(1).min() >= 0.98 / 21


def test_mistakes_are_recognised() -> None:
    terms = [17, 16, 14, 20, 9]  # 76
    assert likeliest(76, terms) == "right"
    assert likeliest(75, terms) == likeliest(77, terms) == "off by one"
    assert likeliest(66, terms) == likeliest(86, terms) == likeliest(176, terms) == "carry"
    assert likeliest(60, terms) == "skipped"
    assert likeliest(67, terms) == "swapped"  # or one certain term of five skipped, which is rarer
    assert likeliest(3, terms) == "anything"


def test_with_halves_a_half_and_a_whole_are_off_by_one_and_a_carry_is_ten_wholes() -> None:
    terms = [25, 32]  # 12½ + 16 = 28½
    assert [likeliest(57 + step, terms, 200, halves=True) for step in (1, 2, 20)] == [
        "off by one",
        "off by one",
        "carry",
    ]
    assert likeliest(2 * 82 + 1, terms, 400, halves=True) == "swapped"
    assert likeliest(57 + 10, terms, 200, halves=True) == "anything"


def test_a_term_that_is_not_known_makes_all_totals_equally_probable() -> None:
    writer = Writer(20, 2)
    found = writer.kinds(np.arange(21), np.tile([3, UNKNOWN], (21, 1)))
    assert found[:, KINDS.index("unknown")] == pytest.approx(1 / 21)
    assert found.sum() == pytest.approx(1)


@many
@given(st.integers(0, 12), st.integers(0, 12), st.sets(st.integers(0, 20), min_size=1, max_size=20))
def test_what_is_not_listed_is_as_probable_as_all_its_totals(one: int, two: int, listed: set[int]) -> None:
    writer, totals = Writer(20, 2, mistake=0.2), np.array(sorted(listed))
    all_others = np.array([total for total in range(21) if total not in listed])
    found = writer.kinds(np.array([UNKNOWN]), np.array([[one, two]]), totals)
    expected = writer.kinds(all_others, np.tile([one, two], (len(all_others), 1)))
    np.testing.assert_allclose(found[0], expected.sum(0), atol=1e-15)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ((0, 2), "A total of 0..0 was given: expected a largest one of 1 to 1000000000000000"),
        ((20, 0), "A total of no terms was given: expected one term at least"),
        ((20, 2, False, 1.5), "A probability of a mistake of 1.5 was given: expected one of 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(given_: tuple[int, int, bool, float], message: str) -> None:
    with pytest.raises(NumberError) as caught:
        Writer(*given_)
    assert str(caught.value) == message


quick = settings(deadline=None, max_examples=60)
SUM = Formula("t", ((1, "a"), (1, "b"), (1, "c")))
LARGEST = {"a": 20, "b": 20, "c": 20, "t": 60}


def posterior_of(form: Form) -> Posterior:
    return Check(form.largest, form.formulas, form.halves, form.mistake).posterior(form.evidence)


def candidates_of(form: Form) -> dict[str, Values]:
    """The same as lists of candidates, without any that cannot be."""
    return {
        name: Values({number: float(share / shares.sum()) for number, share in enumerate(shares) if share}, 0.0)
        for name, shares in form.likelihoods.items()
    }


def assert_is(found: Posterior, form: Form, counted: list[Way], scale: float = 0.0) -> None:
    """All that is found is as has been counted."""
    whole = sum(way.weight for way in counted)
    assert found.log_evidence + scale == pytest.approx(math.log(whole), abs=1e-9)
    for name, largest in form.largest.items():
        expected = np.zeros(largest + 1)
        for way in counted:
            expected[way.values[name]] += way.weight / whole
        field = found.fields[name]
        if isinstance(field, Integers):
            shares = np.asarray(field.probabilities)
        else:
            assert field.other == 0
            shares = np.array([field.probabilities.get(number, 0.0) for number in range(largest + 1)])
        np.testing.assert_allclose(shares, expected, rtol=1e-9, atol=1e-14)
    for formula in form.formulas:
        for kind in KINDS:
            share = sum(way.weight for way in counted if way.kinds[formula.total] == kind) / whole
            assert found.kinds[formula.total][kind] == pytest.approx(share, rel=1e-9, abs=1e-14)
    joint = by_values(counted)
    values, kinds, probability = found.explanation
    assert joint[tuple(values[name] or 0 for name in form.largest)] == pytest.approx(max(joint.values()), rel=1e-9)
    assert probability == pytest.approx(max(joint.values()), rel=1e-9)
    these = [way for way in counted if way.values == values]
    (chosen,) = [way.weight for way in these if way.kinds == kinds]
    assert chosen == pytest.approx(max(way.weight for way in these), rel=1e-9)


@quick
@given(forms())
def test_all_that_is_known_of_a_sheet_is_as_counted_over_all_numbers(form: Form) -> None:
    counted = list(ways(form))
    if sum(way.weight for way in counted) == 0:
        with pytest.raises(EquationError):
            posterior_of(form)
        return
    found = posterior_of(form)
    assert_is(found, form, counted)
    for values, share in list(by_values(counted).items())[:20]:
        one = {name: np.array([value]) for name, value in zip(form.largest, values, strict=True)}
        assert found.joint(one).probabilities == pytest.approx(share, rel=1e-9)


@quick
@given(forms())
def test_lists_of_candidates_give_the_same_as_all_numbers(form: Form) -> None:
    counted = list(ways(form))
    if sum(way.weight for way in counted) == 0:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", 0)
        check = Check(form.largest, form.formulas, form.halves, form.mistake)
        found = check.posterior(candidates_of(form))
    assert all(isinstance(field, Values) for field in found.fields.values())
    scale = sum(math.log(shares.sum()) for shares in form.likelihoods.values())
    assert_is(found, form, counted, scale)


@quick
@given(forms())
def test_logarithms_give_the_same_as_probabilities(form: Form) -> None:
    if sum(way.weight for way in ways(form)) == 0:
        return
    fast = posterior_of(form)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sumproduct, "PROBABILITIES", LOG_SUM)
        slow = posterior_of(form)
    assert slow.log_evidence == pytest.approx(fast.log_evidence, abs=1e-9)
    for name in form.largest:
        assert slow.numbers(name)[1] == pytest.approx(fast.numbers(name)[1], rel=1e-9, abs=1e-14)
    for total, kinds in slow.kinds.items():
        assert kinds == pytest.approx(fast.kinds[total], rel=1e-9, abs=1e-14)


@quick
@given(forms())
def test_of_too_many_combinations_the_best_alternative_is_taken(form: Form) -> None:
    counted = list(ways(form))
    if sum(way.weight for way in counted) == 0:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LISTED", 0)
        found = posterior_of(form).explanation
    joint = by_values(counted)
    share = joint[tuple(found.values[name] or 0 for name in form.largest)]
    assert found.probability == pytest.approx(share, rel=1e-9)
    # A total that is wrong comes about in a few alternatives, of which the best one counts here; a right one in one.
    assert share >= max(joint.values()) / 4 ** len(form.formulas)
    if set(found.kinds.values()) == {"right"}:
        assert share == pytest.approx(max(joint.values()), rel=0.5)


def test_what_is_as_improbable_as_1e_300_for_each_number_decides_where_nothing_else_can_be() -> None:
    largest = {**{f"x{place}": 2 for place in range(9)}, "t": 18}
    formula = Formula("t", tuple((1, name) for name in largest if name != "t"))
    evidence = {name: np.array([0.0, -700.0, -701.0]) for name in largest}
    evidence["t"] = np.where(np.arange(19) == 17, 0.0, -np.inf)
    found = Check(largest, [formula], mistake=0).posterior(evidence)
    # Eight are two and one is one: nine ways, all as probable.
    assert found.log_evidence == pytest.approx(-8 * 701 - 700 + math.log(9))
    for place in range(9):
        assert found.numbers(f"x{place}")[1] == pytest.approx([0, 1 / 9, 8 / 9])
    assert sum(value or 0 for name, value in found.explanation.values.items() if name != "t") == 17
    assert found.explanation.probability == pytest.approx(1 / 9)
    assert found.right("t") == 1


def test_numbers_that_contradict_each_other_are_an_error_if_nobody_errs() -> None:
    evidence = {name: np.where(np.arange(most + 1) == 5, 0.0, -np.inf) for name, most in LARGEST.items()}
    with pytest.raises(EquationError, match=r"^No numbers explain what is read: expected evidence under which some"):
        Check(LARGEST, [SUM], mistake=0).posterior(evidence)
    found = Check(LARGEST, [SUM]).posterior(evidence)
    assert found.explanation.values == dict.fromkeys(LARGEST, 5)
    assert found.explanation.probability == pytest.approx(1)


def strips(values: Mapping[str, Mapping[Value, float]]) -> dict[str, Values]:
    return {name: Values(shares, 0.0) for name, shares in values.items()}


WIDE = {"a": 10**12, "b": 10**12, "t": 2 * 10**12}
TWO = Formula("t", ((1, "a"), (1, "b")))


def test_numbers_of_twelve_digits_are_checked_by_their_candidates() -> None:
    evidence = strips({"a": {123456789012: 0.6, 123456789072: 0.4}, "b": {10**11: 1.0}, "t": {223456789072: 1.0}})
    found = Check(WIDE, [TWO]).posterior(evidence)
    assert found.as_read("a") == 123456789012
    assert found.explanation.values["a"] == 123456789072
    # Against the right sum at 0.98 · 0.4: 60 units away there is "anything" only.
    odds = 0.98 * 0.4 / (0.6 * 0.02 * (0.25 + 0.05 / 11 * 6) / WIDE["t"])
    assert found.fields["a"].probabilities[123456789012] == pytest.approx(1 / odds, rel=0.2)


def test_a_number_that_nobody_could_read_leaves_the_total_free_and_is_unknown() -> None:
    evidence = strips({"b": {10**11: 1.0}, "t": {223456789072: 1.0}})
    evidence["a"] = Values({}, 1.0)
    found = Check(WIDE, [TWO]).posterior(evidence)
    assert found.explanation.values == {"a": None, "b": 10**11, "t": 223456789072}
    assert found.explanation.kinds == {"t": "unknown"}
    assert found.implied("a") == 123456789072


def test_a_total_that_nobody_could_read_is_the_sum_of_its_terms() -> None:
    evidence = {**strips({"a": {123456789012: 1.0}, "b": {10**11: 1.0}}), "t": Values({}, 1.0)}
    found = Check(WIDE, [TWO]).posterior(evidence)
    assert found.explanation.values["t"] == 223456789012
    assert found.fields["t"].probabilities[223456789012] == pytest.approx(0.98)
    assert found.fields["t"].other == pytest.approx(0.02)


@pytest.mark.parametrize("other", [1e-6, 0.3])
def test_other_numbers_than_the_candidates_are_about_as_probable_as_by_all_numbers(other: float) -> None:
    largest = {"a": 400, "b": 400, "t": 800}
    evidence = {
        "a": Values({17: 0.5 * (1 - other), 11: 0.5 * (1 - other)}, other),
        "b": Values({200: 1.0}, 0.0),
        "t": Values({217: 0.7, 311: 0.3}, 0.0),
    }
    exact = Check(largest, [TWO]).posterior(evidence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", 0)
        listed = Check(largest, [TWO]).posterior(evidence)
    for number in (11, 17):
        assert listed.fields["a"].probabilities[number] == pytest.approx(exact.numbers("a")[1][number], rel=0.02)
    assert listed.fields["t"].probabilities[311] == pytest.approx(exact.numbers("t")[1][311], rel=0.4)


@quick
@given(forms(), st.floats(0.001, 0.9), st.data())
def test_numbers_that_are_no_candidates_count_as_one_more_value(form: Form, other: float, data: st.DataObject) -> None:
    """By all combinations of values, each of which `joint` looks at by itself; totals have their sums as candidates, or
    in forms with too many sums not."""
    if form.mistake == 1:
        return
    evidence = {}
    for name, shares in form.likelihoods.items():
        count = data.draw(st.integers(0, min(3, int(np.count_nonzero(shares)))))
        kept = np.argsort(-shares, kind="stable")[:count]
        left = 1 - other if count else 0.0
        values: dict[Value, float] = {int(number): left * shares[number] / shares[kept].sum() for number in kept}
        evidence[name] = Values(values, 1 - left)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", 0)
        if data.draw(st.booleans(), "too many sums"):
            patch.setattr(module, "FEWER", ())
        found = Check(form.largest, form.formulas, form.halves, form.mistake).posterior(evidence)
    names = list(form.largest)
    grid = np.meshgrid(*(found.numbers(name)[0] for name in names), indexing="ij")
    joint = found.joint({name: one.reshape(-1) for name, one in zip(names, grid, strict=True)})
    assert joint.probabilities.sum() == pytest.approx(1, abs=1e-9)
    for axis, name in enumerate(names):
        others = tuple(place for place in range(len(names)) if place != axis)
        expected = joint.probabilities.reshape(grid[0].shape).sum(others)
        np.testing.assert_allclose(found.numbers(name)[1], expected, rtol=1e-9, atol=1e-14)
    for total, ways_ in joint.ways.items():
        shares = ways_ / np.maximum(ways_.sum(1, keepdims=True), 1e-300)
        expected = (shares * joint.probabilities[:, None]).sum(0)
        np.testing.assert_allclose(list(found.kinds[total].values()), expected, rtol=1e-9, atol=1e-14)


def test_where_candidates_have_too_many_sums_the_likeliest_are_kept() -> None:
    random, names = np.random.default_rng(1), "abcdef"
    check = Check(dict.fromkeys(names, 10**11) | {"t": 10**12}, [Formula("t", tuple((1, name) for name in names))])
    meant = dict(zip(names, random.integers(1, 10**11, len(names)).tolist(), strict=True))
    meant["t"] = sum(meant.values())
    evidence = {
        name: Values(dict.fromkeys(random.integers(1, 10**11, 48).tolist(), 0.1 / 49) | {value: 0.9}, 0.1 / 49)
        for name, value in meant.items()
    }
    posterior = check.posterior(evidence)
    assert posterior.explanation.values == meant
    numbers, shares = posterior.numbers("a")
    assert 2 < len(numbers) < 48
    assert shares.sum() == pytest.approx(1)


def test_likelihoods_of_all_numbers_become_candidates_where_they_have_too_many_sums() -> None:
    largest = {"a": 999, "b": 999, "t": 9_999}
    meant = {"a": 123, "b": 456, "t": 579}
    found = Check(largest, [Formula.of("t = a + b")]).posterior(read(largest, meant, 0.1))
    assert found.explanation.values == meant
    assert isinstance(found.fields["a"], Values)
    assert found.right("t") > 0.99


def test_subtotals_that_all_contradict_their_sums_are_no_more_than_can_be_looked_at() -> None:
    """Each has two candidates, what is read and its sum; together they would have 2²⁴ sums."""
    count, largest = 24, dict[str, int]()
    formulas = [Formula("t", tuple((1, f"s{place}") for place in range(count)))]
    for place in range(count):
        largest |= {f"a{place}": 10**8, f"b{place}": 10**8, f"s{place}": 2 * 10**8}
        formulas.append(Formula.of(f"s{place} = a{place} + b{place}"))
    largest["t"] = 10**10
    read = {name: Values({7**place: 0.99}, 0.01) for place, name in enumerate(largest) if 7**place < 10**8}
    evidence = {name: read.get(name, Values({3: 0.99}, 0.01)) for name in largest}
    posterior = Check(largest, formulas).posterior(evidence)
    assert posterior.explanation.values["a20"] == 3
    assert all(shares.sum() == pytest.approx(1) for _, shares in map(posterior.numbers, largest))


def test_a_sheet_of_thirty_fields_is_solved() -> None:
    largest = {f"x{place}": 20 for place in range(27)} | {"s1": 300, "s2": 300, "t": 600}
    formulas = [
        Formula("s1", tuple((1, f"x{place}") for place in range(13))),
        Formula("s2", tuple((1, f"x{place}") for place in range(13, 27))),
        Formula("t", ((1, "s1"), (1, "s2"))),
    ]
    random = np.random.default_rng(3)
    values = {f"x{place}": int(random.integers(21)) for place in range(27)}
    values["s1"] = sum(values[f"x{place}"] for place in range(13))
    values["s2"] = sum(values[f"x{place}"] for place in range(13, 27))
    values["t"] = values["s1"] + values["s2"]
    evidence = read(largest, values)
    for name in ("x4", "s1", "x20"):  # nobody could read these
        evidence[name] = np.full(largest[name] + 1, -math.log(largest[name] + 1))
    found = Check(largest, formulas).posterior(evidence)
    assert found.explanation.values == values
    assert found.explanation.probability > 0.9
    assert min(found.right(total) for total in ("s1", "s2", "t")) > 0.9


@given(st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=3), st.lists(st.floats(1e-3, 1.0), min_size=3, max_size=3))
def test_a_prior_that_was_learned_is_divided_out(likelihoods: list[float], prior: list[float]) -> None:
    read_ = np.array(likelihoods) * prior
    found = divided(np.log(read_ / read_.sum()), np.log(prior))
    assert np.exp(found) == pytest.approx(np.array(likelihoods) / sum(likelihoods))


def test_what_was_impossible_and_is_not_read_stays_so_and_what_is_read_is_an_error() -> None:
    with np.errstate(divide="ignore"):
        assert np.exp(divided(np.log([0.5, 0.5, 0.0]), np.log([0.25, 0.75, 0.0]))) == pytest.approx([0.75, 0.25, 0])
        with pytest.raises(NumberError, match=r"^2 is read, but its prior is 0: expected a prior above 0 for all"):
            divided(np.log([0.4, 0.4, 0.2]), np.log([0.25, 0.75, 0.0]))


def sum_of(total: str, *terms: str) -> Formula:
    return Formula(total, tuple((1, term) for term in terms))


@pytest.mark.parametrize(
    ("formulas", "message"),
    [
        ([sum_of("t", "a", "z")], r"^formula 't = a \+ z': no field is named z, "),
        ([sum_of("t", "a"), sum_of("c", "a")], r"^field a: is in the formulas of t and of c, expected it once"),
        ([sum_of("t", "a"), sum_of("t", "b")], r"^field t: has two formulas, expected one"),
        ([sum_of("t", "a", "t")], r"^field t: is a part of itself, by t of t, expected no circle"),
        ([Formula("t", ((2, "a"),))], r"^formula of t: \(\(2, 'a'\),\), expected signs of 1 or -1: correct them$"),
    ],
)
def test_formulas_that_make_no_forest_are_refused(formulas: list[Formula], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        Check(LARGEST, formulas)


def test_a_form_without_fields_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"^A form without fields: expected one field at least: add some$"):
        Check({}, [])


def test_evidence_that_fits_no_field_is_refused() -> None:
    check, evidence = Check(LARGEST, [SUM]), read(LARGEST, {"a": 1, "b": 2, "c": 3, "t": 6})
    with pytest.raises(NumberError, match=r"^Field a has log-probabilities \[7\] from 0.0 to 0.0: expected \[21\]"):
        check.posterior({**evidence, "a": np.zeros(7)})
    with pytest.raises(NumberError, match=r"^Field a has log-probabilities \[21\] from -inf to -inf: expected"):
        check.posterior({**evidence, "a": np.full(21, -np.inf)})
    with pytest.raises(NumberError, match=r"^Field a has candidates \[99\] and 0.0 for all others: expected"):
        check.posterior({**evidence, "a": Values({99: 1.0}, 0.0)})
    with pytest.raises(NumberError, match=r"is of no field of the form: a, z; expected all fields$"):
        check.posterior({"z" if name == "a" else name: x for name, x in evidence.items()})
    with pytest.raises(NumberError, match=r"^Field a has numbers of 0\.\.-1: expected a largest one of 0 to"):
        Check({**LARGEST, "a": -1}, [SUM])
