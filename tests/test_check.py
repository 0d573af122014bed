"""The posterior of all numbers on a sheet, against counting out all numbers of all fields."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheet_enumeration import Form, Way, by_values, forms, read, ways
from sumnist.arithmetic.sumproduct import LOG_SUM
from sumnist.arithmetic.sums import Integers
from sumnist.arithmetic.values import Value, Values
from sumnist.errors import EquationError, LayoutError, NumberError
from sumnist.sheets import check as module
from sumnist.sheets.check import Check, Posterior, divided
from sumnist.sheets.formulas import Formula
from sumnist.sheets.mistakes import KINDS

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
        patch.setattr(module, "PROBABILITIES", LOG_SUM)
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


def formula(total: str, *terms: str) -> Formula:
    return Formula(total, tuple((1, term) for term in terms))


@pytest.mark.parametrize(
    ("formulas", "message"),
    [
        ([formula("t", "a", "z")], r"^formula 't = a \+ z': no field is named z, "),
        ([formula("t", "a"), formula("c", "a")], r"^field a: is in the formulas of t and of c, expected it once"),
        ([formula("t", "a"), formula("t", "b")], r"^field t: has two formulas, expected one"),
        ([formula("t", "a", "t")], r"^field t: is a part of itself, by t of t, expected no circle"),
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
