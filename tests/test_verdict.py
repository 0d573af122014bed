"""What is said of a sheet, and the fewest cells that settle it, against counting out all numbers and all sets."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings

from sheet_enumeration import Form, by_values, forms, read, ways
from sumnist.arithmetic.values import Values
from sumnist.errors import ConfigError
from sumnist.sheets import verdict as module
from sumnist.sheets.check import Check
from sumnist.sheets.formulas import Formula
from sumnist.sheets.verdict import SURE, Outcome, Verdict, verdict

quick = settings(deadline=None, max_examples=60)
FORM = {"a": 20, "b": 20, "s": 40, "c": 20, "d": 20, "t": 40}
TWO = [Formula("s", ((1, "a"), (1, "b"))), Formula("t", ((1, "c"), (1, "d")))]
VALUES = {"a": 3, "b": 8, "s": 11, "c": 14, "d": 9, "t": 23}


def on(numbers: dict[int, float], largest: int = 20) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Log-probabilities of a few numbers, and a little for all others."""
    shares = np.full(largest + 1, 1e-9)
    shares[list(numbers)] = list(numbers.values())
    return np.log(shares)  # type: ignore[no-any-return]


def verdict_of(changed: dict[str, dict[int, float]], mistake: float = 0.02, sure: float = SURE) -> Verdict:
    evidence = read(FORM, VALUES, 1e-9)
    evidence |= {name: on(numbers, FORM[name]) for name, numbers in changed.items()}
    return verdict(Check(FORM, TWO, mistake=mistake).posterior(evidence), sure)


def names(found: Verdict) -> set[str]:
    return {cell.field for cell in found.look}


def test_what_is_sure_adds_up_is_corrected_or_does_not_add_up() -> None:
    found = verdict_of({})
    assert (found.outcome, found.values, found.corrections, found.wrong, found.look) == ("adds up", VALUES, (), (), ())
    assert found.probability > 0.999
    found = verdict_of({"a": {8: 0.55, 3: 0.45}})  # a misread cell
    assert (found.outcome, found.values) == ("corrected", VALUES)
    (corrected,) = found.corrections
    assert corrected[:3] == ("a", 8, 3)
    assert corrected.probability == pytest.approx(found.probability)
    found = verdict_of({"t": {13: 1.0}})  # a forgotten carry
    assert (found.outcome, found.values) == ("does not add up", {**VALUES, "t": 13})
    assert [one[:4] for one in found.wrong] == [("t", 13, 23, "carry")]
    assert found.wrong[0].probability > 0.9
    found = verdict_of({"a": {8: 0.55, 3: 0.45}, "t": {24: 1.0}})  # a misread cell in one sum, a mistake in another
    assert found.outcome == "does not add up"
    assert [one.field for one in found.corrections] == ["a"]
    assert [(one.field, one.kind) for one in found.wrong] == [("t", "off by one")]


def test_a_total_that_no_doubtful_cell_can_make_right_does_not_add_up() -> None:
    found = verdict_of({"c": {14: 0.7, 15: 0.3}, "t": {1: 1.0}})
    assert found.outcome == "does not add up"
    assert 0.5 < found.probability < SURE
    assert [(one.field, one.written) for one in found.wrong] == [("t", 1)]
    assert names(found) == {"c"}
    assert found.corrections == ()


def test_a_total_that_a_doubtful_cell_can_make_right_leaves_the_sheet_in_doubt() -> None:
    found = verdict_of({"c": {14: 0.999, 18: 0.001}, "t": {27: 1.0}})
    assert found.outcome == "doubtful"
    assert names(found) & {"c", "t"}


def test_one_of_two_cells_that_may_be_swapped_settles_both() -> None:
    found = verdict_of({"a": {3: 0.5, 8: 0.5}, "b": {3: 0.5, 8: 0.5}})
    assert found.outcome == "doubtful"
    assert names(found) < {"a", "b"}
    assert len(found.look) == 1
    assert {number for number, _ in found.look[0].candidates} == {3, 8}
    assert [share for _, share in found.look[0].candidates] == pytest.approx([0.5, 0.5], abs=1e-3)


def test_two_sums_in_doubt_need_exactly_two_cells() -> None:
    tie = {3: 0.5, 8: 0.5}
    found = verdict_of({"a": tie, "b": tie, "c": {14: 0.5, 9: 0.5}, "d": {9: 0.5, 14: 0.5}})
    assert found.outcome == "doubtful"
    assert len(found.look) == 2
    assert len(names(found) & {"a", "b"}) == len(names(found) & {"c", "d"}) == 1


def test_the_joint_probability_decides_and_less_sure_a_sheet_is_settled_by_fewer_cells() -> None:
    largest = {f"x{place}": 9 for place in range(10)}
    posterior = Check(largest, []).posterior(read(largest, dict.fromkeys(largest, 4), 0.0018))
    found = verdict(posterior)
    assert found.outcome == "doubtful"
    assert found.probability == pytest.approx(0.9982**10)
    counts = [len(verdict(posterior, settled=settled).look) for settled in (0.995, 0.99, 0.985)]
    assert counts == [8, 5, 2]  # 0.9982**2, **5 and **8 are above them, and with one more below


@quick
@given(forms())
def test_the_cells_to_look_at_are_the_smallest_set_of_all(form: Form) -> None:
    counted = list(ways(form))
    assume(sum(way.weight for way in counted) > 0)
    joint = by_values(counted)
    found = verdict(Check(form.largest, form.formulas, form.halves, form.mistake).posterior(form.evidence))
    assert found.probability == pytest.approx(max(joint.values()), rel=1e-9)
    assert bool(found.look) == (found.probability < SURE)
    assert found.outcome in (("doubtful", "does not add up") if found.look else get_args(Outcome))

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
    monkeypatch.setattr(module, "TRIED", 0)
    found = verdict_of({"a": {3: 0.5, 8: 0.5}, "b": {3: 0.5, 8: 0.5}})
    assert (found.outcome, names(found)) == ("doubtful", {"a", "b"})


def test_a_sheet_nobody_could_read_is_to_be_looked_at_in_all_cells_of_which_none_follows() -> None:
    largest = {f"x{place}": 20 for place in range(10)} | {"t": 200}
    formula = Formula("t", tuple((1, name) for name in largest if name != "t"))
    evidence = {name: np.zeros(most + 1) for name, most in largest.items()}
    found = verdict(Check(largest, [formula]).posterior(evidence))
    assert found.outcome == "doubtful"
    assert names(found) == set(largest)


def test_a_number_of_which_no_candidate_fits_is_what_the_total_implies() -> None:
    largest = {"a": 10**9, "b": 10**9, "t": 2 * 10**9}
    evidence = {
        "a": Values({}, 1.0),
        "b": Values({123_456_789: 1.0}, 0.0),
        "t": Values({987_654_321: 1.0}, 0.0),
    }
    formula = [Formula("t", ((1, "a"), (1, "b")))]
    found = verdict(Check(largest, formula, mistake=1e-3).posterior(evidence))
    assert found.outcome == "corrected"
    assert found.values["a"] == 987_654_321 - 123_456_789
    assert [correction[:3] for correction in found.corrections] == [("a", None, 864_197_532)]
    assert found.corrections[0].probability == pytest.approx(0.999)
    found = verdict(Check(largest, formula, mistake=0.02).posterior(evidence))
    assert found.outcome == "doubtful"
    assert found.probability == pytest.approx(0.98)
    assert names(found) == {"a"}


@pytest.mark.parametrize("sure", [0.5, 1.0, -1.0])
def test_a_threshold_that_makes_no_sense_is_refused(sure: float) -> None:
    with pytest.raises(ConfigError, match=rf"^sure is {sure}: expected a probability above 0.5 and below 1$"):
        verdict_of({}, sure=sure)
