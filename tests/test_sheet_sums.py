"""What is known of a sheet: its formulas, what its cells show, the mistakes of who adds, and the posterior."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sheet_enumeration import Form, Way, by_values, channel, forms, read, ways
from sumnist.arithmetic import relations as module
from sumnist.arithmetic.relations import KINDS, UNKNOWN, Posterior, Relations, Writer
from sumnist.arithmetic.values import Value, Values
from sumnist.errors import EquationError, LayoutError, NumberError
from sumnist.formulas import Relation, in_order
from sumnist.inference.alphabet import CELL_CLASSES
from sumnist.sheets import check, reading
from sumnist.sheets.check import SURE, Outcome, Verdict, verdict
from sumnist.sheets.layout import Field
from sumnist.sheets.reading import Seen, in_boxes, in_strip, seen

REFUSED = [
    "total", "t = " + "a + " * 600 + "a", "t =", "= a", "t = a + + b", "t = a +", "t = a b", "t = 2 * a b", "a = b = c",
    "t = Ω", "t = " + "a" * 33, "t = 0 * a", "t = a / 0", "t = 999999 * 2 * a", "t = a / 1000000", "t = q1 + …",
    "t = … + q3", "t = …", "t = a + … + q3", "t = p1 + … + q3", "t = q3 + … + q1", "t = q1 + … - q4", "t = q1 - … + q4",
    "t = q1 + … + q202", "t = q1 + … + q" + "9" * 30,
]  # fmt: skip


@given(st.sampled_from(REFUSED) | st.text(max_size=60) | st.text("q12 =+-−….ab*/()", max_size=40))
def test_whatever_is_written_as_a_formula_is_one_or_is_refused(text: str) -> None:
    try:
        formula = Relation.of(text)
    except LayoutError:
        return
    assert text not in REFUSED
    assert Relation.of(formula.text) == formula


@st.composite
def forests(draw: st.DrawFn) -> list[Relation]:
    """Formulas over n0, n1, …: each name but the last may be given to one total with a larger number."""
    count = draw(st.integers(2, 12))
    parents = {place: draw(st.integers(place + 1, count) | st.none()) for place in range(count)}
    parts = {total: [place for place, above in parents.items() if above == total] for total in range(count + 1)}
    formulas = [
        Relation(f"n{total}", tuple((1, f"n{part}") for part in below)) for total, below in parts.items() if below
    ]
    return draw(st.permutations(formulas))


@given(forests())
def test_formulas_that_are_trees_come_with_parts_before_totals(formulas: list[Relation]) -> None:
    ordered = in_order(formulas, [f"n{place}" for place in range(20)])
    assert sorted(formula.total for formula in ordered) == sorted(formula.total for formula in formulas)
    totals = {formula.total for formula in formulas}
    seen: set[str] = set()
    for formula in ordered:
        assert {name for _, name in formula.terms} & totals <= seen
        seen.add(formula.total)


def test_formulas_that_may_come_in_any_order_come_in_the_same_one_in_every_run() -> None:
    parts = "hgfedcba"  # in a set the order would be another one in most runs
    whole = Relation("t", tuple((1, one) for one in parts))
    doubles = [Relation(f"{one}2", ((2, one),)) for one in sorted(parts)]
    ordered = in_order([whole, *doubles], ["t", *parts, *(one.total for one in doubles)])
    assert [one.total for one in ordered if one is not whole] == [f"{one}2" for one in parts]


def kinds_of(posterior: Posterior) -> dict[str, dict[module.Kind, float]]:
    """By the total of each formula, the probability of each kind."""
    return {relation.total: shares for relation, shares in posterior.kinds.items()}


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
    assert len(whole.values) == 8192 > reading.LOOKS.kept
    some = in_boxes(field_of(4, 9999), np.log(ratios))
    listed = np.sort(whole.at(np.arange(8192)))[::-1]
    assert len(some.values) == reading.LOOKS.kept
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
        ("17", "  ", 17, "number"), (" 7", "  ", 7, "number"), ("7 ", "  ", 7, "number"), ("07", "  ", 7, "number"),
        ("–7", "  ", 7, "number"), (" 0", "  ", 0, "number"), ("  ", "  ", 0, "empty"), (" –", "  ", 0, "filler"),
        ("––", "  ", 0, "filler"), (" 1", "  ", 1, "number"), ("xx", "42", 42, "correction"),
        (" x", " 4", 4, "correction"), ("17", "18", 18, "correction"), ("  ", "18", 18, "correction"),
    ],
)  # fmt: skip
def test_what_people_do_with_boxes_is_understood(main: str, correction: str, value: int, how: str) -> None:
    one, names = field_of(2), {" ": "empty", "–": "filler", "x": "crossed"}
    main_, correction_ = (
        in_boxes(one, logs(*(names.get(char, char) for char in text), sure=0.999)) for text in (main, correction)
    )
    found = seen(one, main_, correction_, False)
    assert likeliest_of(found) == value
    assert found.how(value) == how


def test_a_total_that_is_not_written_says_nothing_and_an_empty_term_is_mostly_a_zero() -> None:
    one = field_of(2)
    total, term = (seen(one, NOTHING, NOTHING, is_total).evidence for is_total in (True, False))
    assert isinstance(total, np.ndarray)
    assert isinstance(term, np.ndarray)
    assert np.ptp(total) < 0.1
    probabilities = np.exp(term) / np.exp(term).sum()
    assert 0.99 < probabilities[0] < 0.9999
    assert probabilities[1:] == pytest.approx(np.full(99, probabilities[1]), rel=0.1)


# Strips.


def test_what_a_reader_of_strips_says_is_divided_by_what_it_had_learned() -> None:
    one = field_of(3, 120, kind="strip")
    even = np.full(14, 1 / 14)
    shown = in_strip(one, np.zeros(14), even, [(7, 0.5), (12, 0.3)], 0.2)
    left = one.largest + 1 - len(shown.values)
    assert shown.mean * (one.largest + 1) == pytest.approx(shown.written.sum() + left * shown.rest)
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


many = settings(deadline=None, max_examples=100)


def ways_to(writer: Writer, terms: tuple[int, ...]) -> NDArray[np.float64]:
    """For each total 0..largest the probability of each kind: `[largest + 1, kinds]`."""
    totals = np.arange(writer.largest + 1)
    return writer.kinds(totals, np.tile(np.array(terms), (len(totals), 1)))


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
    sum_of_terms = Relation("t", tuple((1, f"x{place}") for place in range(len(terms))))
    for (total, kind), share in channel(sum_of_terms, tuple(terms), range(largest + 1), mistake, halves).items():
        expected[total, list[str](KINDS).index(kind)] = share
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


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


quick = settings(deadline=None, max_examples=60)
possible = forms().filter(lambda form: any(way.weight for way in ways(form)))
SUM = Relation("t", ((1, "a"), (1, "b"), (1, "c")))
LARGEST = {"a": 20, "b": 20, "c": 20, "t": 60}


def posterior_of(form: Form) -> Posterior:
    return Relations(form.largest, form.formulas, form.halves, form.mistake).posterior(form.evidence)


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
        numbers, shares = found.numbers[name]
        np.testing.assert_allclose(shares, expected[numbers], rtol=1e-9, atol=1e-14)
        assert np.delete(expected, numbers).sum() == 0
    for formula in form.formulas:
        for kind in KINDS:
            share = sum(way.weight for way in counted if way.kinds[formula.total] == kind) / whole
            assert kinds_of(found)[formula.total][kind] == pytest.approx(share, rel=1e-9, abs=1e-14)
    joint = by_values(counted)
    values = found.values
    assert joint[tuple(values[name] or 0 for name in form.largest)] == pytest.approx(max(joint.values()), rel=1e-9)
    assert found.probability == pytest.approx(max(joint.values()), rel=1e-9)


@quick
@given(forms(), st.booleans())
def test_all_that_is_known_of_a_sheet_is_as_counted_over_all_numbers_or_lists(form: Form, listed: bool) -> None:
    counted = list(ways(form))
    if sum(way.weight for way in counted) == 0:
        with pytest.raises(EquationError):
            posterior_of(form)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", 0 if listed else module.DENSE)
        check = Relations(form.largest, form.formulas, form.halves, form.mistake)
        found = check.posterior(candidates_of(form) if listed else form.evidence)
    scale = sum(math.log(shares.sum()) for shares in form.likelihoods.values()) if listed else 0.0
    assert_is(found, form, counted, scale)
    for values, share in list(by_values(counted).items())[:20]:
        one = {name: np.array([value]) for name, value in zip(form.largest, values, strict=True)}
        assert found.joint(one).probabilities == pytest.approx(share, rel=1e-9)


@quick
@given(possible)
def test_of_too_many_combinations_the_best_alternative_is_taken(form: Form) -> None:
    counted = list(ways(form))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LISTED", 0)
        found = posterior_of(form)
    joint = by_values(counted)
    share = joint[tuple(found.values[name] or 0 for name in form.largest)]
    assert found.probability == pytest.approx(share, rel=1e-9)
    # A total that is wrong comes about in a few alternatives, of which the best one counts here; a right one in one.
    assert share >= max(joint.values()) / 4 ** len(form.formulas)
    sums = {one.total: sum(sign * (found.values[name] or 0) for sign, name in one.terms) for one in form.formulas}
    if form.mistake < 0.5 and all(found.values[total] == made for total, made in sums.items()):
        assert share == pytest.approx(max(joint.values()), rel=0.5)


def test_what_is_as_improbable_as_1e_300_for_each_number_decides_where_nothing_else_can_be() -> None:
    largest = {**{f"x{place}": 2 for place in range(9)}, "t": 18}
    formula = Relation("t", tuple((1, name) for name in largest if name != "t"))
    evidence = {name: np.array([0.0, -700.0, -701.0]) for name in largest}
    evidence["t"] = np.where(np.arange(19) == 17, 0.0, -np.inf)
    found = Relations(largest, [formula], mistake=0).posterior(evidence)
    # Eight are two and one is one: nine ways, all as probable.
    assert found.log_evidence == pytest.approx(-8 * 701 - 700 + math.log(9))
    for place in range(9):
        assert found.numbers[f"x{place}"][1] == pytest.approx([0, 1 / 9, 8 / 9])
    assert sum(value or 0 for name, value in found.values.items() if name != "t") == 17
    assert found.probability == pytest.approx(1 / 9)
    assert kinds_of(found)["t"]["right"] == 1


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
        found = Relations(form.largest, form.formulas, form.halves, form.mistake).posterior(evidence)
    names = list(form.largest)
    grid = np.meshgrid(*(found.numbers[name][0] for name in names), indexing="ij")
    joint = found.joint({name: one.reshape(-1) for name, one in zip(names, grid, strict=True)})
    assert joint.probabilities.sum() == pytest.approx(1, abs=1e-9)
    for axis, name in enumerate(names):
        others = tuple(place for place in range(len(names)) if place != axis)
        expected = joint.probabilities.reshape(grid[0].shape).sum(others)
        np.testing.assert_allclose(found.numbers[name][1], expected, rtol=1e-9, atol=1e-14)
    for total, ways_ in joint.ways.items():
        shares = ways_ / np.maximum(ways_.sum(1, keepdims=True), 1e-300)
        expected = (shares * joint.probabilities[:, None]).sum(0)
        np.testing.assert_allclose(list(found.kinds[total].values()), expected, rtol=1e-9, atol=1e-14)


def test_subtotals_that_all_contradict_their_sums_are_no_more_than_can_be_looked_at() -> None:
    """Each has two candidates, what is read and its sum; together they would have 2²⁴ sums."""
    count, largest = 24, dict[str, int]()
    formulas = [Relation("t", tuple((1, f"s{place}") for place in range(count)))]
    for place in range(count):
        largest |= {f"a{place}": 10**8, f"b{place}": 10**8, f"s{place}": 2 * 10**8}
        formulas.append(Relation.of(f"s{place} = a{place} + b{place}"))
    largest["t"] = 10**10
    read = {name: Values({7**place: 0.99}, 0.01) for place, name in enumerate(largest) if 7**place < 10**8}
    evidence = {name: read.get(name, Values({3: 0.99}, 0.01)) for name in largest}
    posterior = Relations(largest, formulas).posterior(evidence)
    assert posterior.values["a20"] == 3
    assert all(shares.sum() == pytest.approx(1) for _, shares in posterior.numbers.values())


def test_other_signs_and_what_is_no_probability_are_refused() -> None:
    for terms in (((0, "a"),), ()):
        with pytest.raises(LayoutError):
            Relations(LARGEST, [Relation("t", terms)])
    for mistake in (-0.1, 1.5):
        with pytest.raises(NumberError):
            Relations(LARGEST, [SUM], mistake=mistake)


# What is said of a sheet, and the fewest cells that settle it, against counting out all numbers and all sets.

FORM = {"a": 20, "b": 20, "s": 40, "c": 20, "d": 20, "t": 40}
SUMS = [Relation("s", ((1, "a"), (1, "b"))), Relation("t", ((1, "c"), (1, "d")))]
VALUES = {"a": 3, "b": 8, "s": 11, "c": 14, "d": 9, "t": 23}


def on(numbers: dict[int, float], largest: int = 20) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Log-probabilities of a few numbers, and a little for all others."""
    shares = np.full(largest + 1, 1e-9)
    shares[list(numbers)] = list(numbers.values())
    return np.log(shares)  # type: ignore[no-any-return]


def verdict_of(changed: dict[str, dict[int, float]], mistake: float = 0.02) -> Verdict:
    evidence = read(FORM, VALUES, 1e-9)
    evidence |= {name: on(numbers, FORM[name]) for name, numbers in changed.items()}
    return verdict(Relations(FORM, SUMS, mistake=mistake).posterior(evidence))


def cells(found: Verdict) -> set[str]:
    return {cell.field for cell in found.look}


def test_what_is_sure_adds_up_is_corrected_or_does_not_add_up() -> None:
    found = verdict_of({})
    assert (found.state, found.values, found.corrections, found.wrong, found.look) == ("adds up", VALUES, (), (), ())
    assert found.probability > 0.999
    found = verdict_of({"a": {8: 0.55, 3: 0.45}})  # a misread cell
    assert (found.state, found.values) == ("corrected", VALUES)
    (corrected,) = found.corrections
    assert corrected[:3] == ("a", 8, 3)
    assert corrected.probability == pytest.approx(found.probability)
    found = verdict_of({"t": {13: 1.0}})  # a forgotten carry
    assert (found.state, found.values) == ("does not add up", {**VALUES, "t": 13})
    assert [one[:4] for one in found.wrong] == [("t", 13, 23, "carry")]
    assert found.wrong[0].probability > 0.9
    found = verdict_of({"a": {8: 0.55, 3: 0.45}, "t": {24: 1.0}})  # a misread cell in one sum, a mistake in another
    assert found.state == "does not add up"
    assert [one.field for one in found.corrections] == ["a"]
    assert [(one.field, one.kind) for one in found.wrong] == [("t", "off by one")]


def test_a_total_that_no_doubtful_cell_can_make_right_does_not_add_up() -> None:
    found = verdict_of({"c": {14: 0.7, 15: 0.3}, "t": {1: 1.0}})
    assert found.state == "does not add up"
    assert 0.5 < found.probability < SURE
    assert [(one.field, one.written) for one in found.wrong] == [("t", 1)]
    assert cells(found) == {"c"}
    assert found.corrections == ()


def test_the_joint_probability_decides_and_less_sure_a_sheet_is_settled_by_fewer_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    largest = {f"x{place}": 9 for place in range(10)}
    posterior = Relations(largest, []).posterior(read(largest, dict.fromkeys(largest, 4), 0.0018))
    found = verdict(posterior)
    assert found.state == "doubtful"
    assert found.probability == pytest.approx(0.9982**10)
    for settled, count in ((0.995, 8), (0.99, 5), (0.985, 2)):  # 0.9982**2, **5 and **8 are above, with one more below
        monkeypatch.setattr(check, "SETTLED", settled)
        assert len(verdict(posterior).look) == count


@quick
@given(possible)
def test_the_cells_to_look_at_are_the_smallest_set_of_all(form: Form) -> None:
    joint = by_values(list(ways(form)))
    found = verdict(Relations(form.largest, form.formulas, form.halves, form.mistake).posterior(form.evidence))
    assert found.probability == pytest.approx(max(joint.values()), rel=1e-9)
    assert bool(found.look) == (found.probability < SURE)
    assert found.state in (("doubtful", "does not add up") if found.look else get_args(Outcome))

    def right(chosen: tuple[int, ...]) -> float:
        best: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for values, share in joint.items():
            seen = tuple(values[place] for place in chosen)
            best[seen] = max(best[seen], share)
        return sum(best.values())

    order = list(form.largest)
    if found.look:
        assert right(tuple(order.index(cell.field) for cell in found.look)) >= SURE
        for size in range(len(found.look)):
            assert max(right(chosen) for chosen in itertools.combinations(range(len(order)), size)) < SURE + 1e-3


def test_with_too_much_in_doubt_the_most_doubtful_cells_are_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TRIED", 0)
    found = verdict_of({"a": {3: 0.5, 8: 0.5}, "b": {3: 0.5, 8: 0.5}})
    assert (found.state, cells(found)) == ("doubtful", {"a", "b"})


def test_a_sheet_nobody_could_read_is_to_be_looked_at_in_all_cells_of_which_none_follows() -> None:
    largest = {f"x{place}": 20 for place in range(10)} | {"t": 200}
    formula = Relation("t", tuple((1, name) for name in largest if name != "t"))
    evidence = {name: np.zeros(most + 1) for name, most in largest.items()}
    found = verdict(Relations(largest, [formula]).posterior(evidence))
    assert found.state == "doubtful"
    assert cells(found) == set(largest)


def test_a_number_of_which_no_candidate_fits_is_what_the_total_implies() -> None:
    largest = {"a": 10**9, "b": 10**9, "t": 2 * 10**9}
    evidence = {"a": Values({}, 1.0), "b": Values({123_456_789: 1.0}, 0.0), "t": Values({987_654_321: 1.0}, 0.0)}
    formula = [Relation("t", ((1, "a"), (1, "b")))]
    found = verdict(Relations(largest, formula, mistake=1e-3).posterior(evidence))
    assert found.state == "corrected"
    assert found.values["a"] == 987_654_321 - 123_456_789
    assert [correction[:3] for correction in found.corrections] == [("a", None, 864_197_532)]
    assert found.corrections[0].probability == pytest.approx(0.999)
    found = verdict(Relations(largest, formula, mistake=0.02).posterior(evidence))
    assert found.state == "doubtful"
    assert found.probability == pytest.approx(0.98)
    assert cells(found) == {"a"}
