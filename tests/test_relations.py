"""Relations that are no trees, weighted, divided, multiplied: against counting out all values of all numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sheet_enumeration import channel, come_to, nearest
from sumnist.arithmetic import relations as module
from sumnist.arithmetic.relations import KINDS, Relations
from sumnist.arithmetic.values import Values
from sumnist.formulas import Relation
from sumnist.sheets import check
from sumnist.tables import reading as tables

CASES: list[tuple[dict[str, range], list[str]]] = [
    ({"a": range(4), "b": range(4), "d": range(-3, 4), "m": range(4)}, ["m = (a + b) / 2", "d = a - b"]),
    ({"a": range(4), "b": range(4), "d": range(-3, 4), "t": range(7)}, ["d = a - b", "t = a + b"]),
    ({"a": range(6), "b": range(5), "t": range(21)}, ["t = a * b"]),
    ({"a": range(3), "b": range(3), "c": range(3), "t": range(9), "s": range(5)}, ["t = 2 * a * b", "s = b + c"]),
    ({"a": range(4), "b": range(5), "t": range(12), "s": range(9)}, ["t = 2 * a + b", "s = a + b"]),
    ({"a": range(10), "b": range(10), "m": range(10)}, ["m = (a + b) / 2"]),
    ({"a": range(14), "m": range(5)}, ["m = a / 3"]),
    ({"a": range(3), "b": range(3), "c": range(3), "t": range(5), "u": range(5), "v": range(5)},
     ["t = a + b", "u = b + c", "v = a + c"]),
    ({"b0": range(4), "x": range(3), "b1": range(6), "y": range(3), "b2": range(6), "s": range(5)},
     ["b1 = b0 + x", "b2 = b1 - y", "s = x + y"]),
    ({"a": range(-2, 3), "b": range(-2, 3), "t": range(-3, 4)}, ["t = a - b"]),
]  # fmt: skip


def counted(
    rooms: Mapping[str, range], relations: list[Relation], shares: Mapping[str, NDArray[np.float64]], mistake: float
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """The weight of each value of each number, and of all, by counting out."""
    names = list(rooms)
    joint = np.ones([len(room) for room in rooms.values()])  # the weight of each way to have a value for every number
    tables = [([name], shares[name]) for name in names]
    for relation in relations:
        terms = [name for _, name in relation.terms]
        ways = itertools.product(*(rooms[name] for name in terms))
        room = rooms[relation.total]
        totals = [[made.get((total, kind), 0.0) for total in room for kind in KINDS]
                  for made in (channel(relation, values, room, mistake) for values in ways)]  # fmt: skip
        of = [*terms, relation.total]
        tables.append((of, np.reshape(totals, [*(len(rooms[name]) for name in of), len(KINDS)]).sum(-1)))
    for of, table in tables:
        order = sorted(of, key=names.index)
        joint *= np.transpose(table, [of.index(name) for name in order]).reshape(
            [len(rooms[name]) if name in of else 1 for name in names]
        )
    rest = {name: tuple(axis for axis in range(len(names)) if axis != place) for place, name in enumerate(names)}
    return {name: joint.sum(rest[name]) for name in names}, float(joint.sum())


def readings(shares: Mapping[str, NDArray[np.float64]], rooms: Mapping[str, range]) -> dict[str, Values]:
    """The same as candidates."""
    return {
        name: Values(dict(zip(rooms[name], (one / one.sum()).tolist(), strict=True)), 0.0)
        for name, one in shares.items()
    }


@settings(deadline=None, max_examples=60)
@example(CASES[3], 74, 0.3, False)  # messages that stopped at 1e-9 were not exact
@given(st.sampled_from(CASES), st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.3, 1.0, 1e-9]), st.booleans())
def test_what_is_no_tree_is_exact_where_it_says_so(
    case: tuple[dict[str, range], list[str]], seed: int, mistake: float, listed: bool
) -> None:
    rooms, texts = case
    relations, random = [Relation.of(text) for text in texts], np.random.default_rng(seed)
    shares = {name: random.dirichlet(np.full(len(room), 0.3)) + 1e-9 for name, room in rooms.items()}
    weights, whole = counted(rooms, relations, shares, mistake)
    least, largest = ({name: room[place] for name, room in rooms.items()} for place in (0, -1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", 0 if listed else module.DENSE)
        found = Relations(largest, relations, (), mistake, least).posterior(readings(shares, rooms))
    assert found.exact
    scale = sum(float(np.log(one.sum())) for one in shares.values())
    assert found.log_evidence + scale == pytest.approx(np.log(whole), abs=1e-9)
    for name, (values, probabilities) in found.numbers.items():
        assert values.tolist() == list(rooms[name])
        assert probabilities == pytest.approx(weights[name] / whole, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "terms", "divisor", "times"),
    [
        ("t = 2 * a", ((2, "a"),), 1, False), ("t = a / 5", ((1, "a"),), 5, False),
        ("m = (a + b) / 2", ((1, "a"), (1, "b")), 2, False), ("t = q × p", ((1, "q"), (1, "p")), 1, True),
        ("t = 3*q*p / 100", ((3, "q"), (1, "p")), 100, True), ("t = a - 2*b", ((1, "a"), (-2, "b")), 1, False),
        ("t = (a) : 4", ((1, "a"),), 4, False), ("t = - 2 * q * p", ((-2, "q"), (1, "p")), 1, True),
        ("t = (q1 + … + q4) / 4", ((1, "q1"), (1, "q2"), (1, "q3"), (1, "q4")), 4, False),
        ("t = a − b - c", ((1, "a"), (-1, "b"), (-1, "c")), 1, False),
        ("t = x - q08 - ... - q10", ((1, "x"), (-1, "q08"), (-1, "q09"), (-1, "q10")), 1, False),
        ("t = a1b2 + … + a1b4", ((1, "a1b2"), (1, "a1b3"), (1, "a1b4")), 1, False),
    ],
)  # fmt: skip
def test_a_relation_is_read_as_it_is_written_and_written_as_it_is_read(
    text: str, terms: tuple[tuple[int, str], ...], divisor: int, times: bool
) -> None:
    relation = Relation.of(text)
    assert (relation.terms, relation.divisor, relation.times) == (terms, divisor, times)
    assert Relation.of(relation.text) == relation


def test_a_long_chain_of_balances_is_followed_to_its_end() -> None:
    count = 300
    relations = [Relation.of(f"b{place + 1} = b{place} + x{place}") for place in range(count)]
    largest = {f"b{place}": 10_000 for place in range(count + 1)} | {f"x{place}": 99 for place in range(count)}
    evidence = {name: Values({7: 1.0}, 0.0) for name in largest if name[0] == "x"}
    evidence |= {f"b{place}": Values({7 * place: 0.6, 3: 0.4}, 0.0) for place in range(count + 1)}
    found = Relations(largest, relations).posterior(evidence)
    assert found.exact
    assert found.numbers[f"b{count}"][1].max() > 0.99


FORMS = ("t = a + b", "t = a - b", "t = b - 2 * a", "t = 2 * a + b", "t = a * b", "t = 3 * a * b", "t = - 2 * a * b",
         "m = (a + b) / 2", "m = (a + b + c) / 3", "m = (a - b) / 4", "t = a / 3", "t = (- a) / 2", "t = 2 * a * b / 5",
         "t = 7 * a / 3")  # fmt: skip
"""A relation of each kind: sums, differences and products, with and without weights and divisors, even and odd."""


@pytest.mark.parametrize("text", FORMS)
def test_all_values_that_make_a_relation_true_are_implied_and_no_others(text: str) -> None:
    relation, room = Relation.of(text), range(-5, 12)
    for name in relation.names:
        others = [one for one in relation.names if one != name]
        for chosen in itertools.product(range(-3, 5), repeat=len(others)):
            known = dict(zip(others, chosen, strict=True))
            fitting = [
                value
                for value in room
                for filled in [known | {name: value}]
                if nearest(relation, come_to(relation, [filled[term] for _, term in relation.terms]))
                == filled[relation.total]
            ]
            assert list(relation.implied(name, known, room)) == fitting


def test_a_table_asks_for_all_values_that_a_rounded_mean_implies() -> None:
    cells = {(0, column): Values({value: 1.0}, 0.0) for column, value in enumerate((7, 7, 2, 7))}
    asked = tables.implied(cells, [Relation.of("D1 = (A1 + B1 + C1) / 3")])
    assert asked == {(0, 0): ("11", "12", "13"), (0, 1): ("11", "12", "13"), (0, 2): ("6", "7", "8"), (0, 3): ("5",)}


def cross() -> tuple[dict[str, range], list[Relation]]:
    names = "abcdrsuvt"
    rooms = {name: range(3) for name in "abcd"} | {name: range(5) for name in "rsuv"} | {"t": range(9)}
    texts = ["r = a + b", "s = c + d", "u = a + c", "v = b + d", "t = r + s", "t = u + v"]
    return {name: rooms[name] for name in names}, [Relation.of(text) for text in texts]


def test_rows_and_columns_that_cross_foot_are_exact_or_near() -> None:
    rooms, relations = cross()
    random = np.random.default_rng(0)
    worst = 0.0
    for _ in range(4):
        shares = {}
        for name, room in rooms.items():
            one = random.dirichlet(np.full(len(room), 0.1)) * 0.2
            one[random.integers(len(room))] += 0.8
            shares[name] = one + 1e-9
        weights, whole = counted(rooms, relations, shares, 0.02)
        found = Relations({name: room[-1] for name, room in rooms.items()}, relations).posterior(
            readings(shares, rooms)
        )
        for name, (_, probabilities) in found.numbers.items():
            worst = max(worst, float(np.abs(probabilities - weights[name] / whole).max()))
        assert not found.exact or worst < 1e-9
    assert worst < 0.1


@pytest.mark.parametrize(("formula", "value"), [("m = (a + b + c) / 3", None), ("m = a + b + c", 2)])
def test_a_number_that_is_no_candidate_is_computed_where_just_one_value_fits(formula: str, value: int | None) -> None:
    evidence = {name: Values({number: 1.0}, 0.0) for name, number in (("a", 3), ("b", 4), ("m", 9))}
    evidence["c"] = Values({99_999: 1e-9}, 1 - 1e-9)
    model = Relations(dict.fromkeys("abcm", 10**6), [Relation.of(formula)], mistake=1e-6)
    values, _ = check.solved(model.posterior(evidence))
    assert (values["m"], values["c"]) == (9, value)
