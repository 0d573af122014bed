"""Dense distributions over integers, against counting out, and by the laws of arithmetic."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enumeration import integers, log_shares
from sumnist.arithmetic.sums import Integers

quick = settings(deadline=None, max_examples=50)
SMALL = st.integers(-4, 4)


def shares(one: Integers) -> dict[int, float]:
    """Its probabilities, of those numbers that are possible."""
    return {number: share for number, share in enumerate(one.probabilities.tolist(), one.first) if share}


def same(one: Integers, two: Integers) -> bool:
    return shares(one) == pytest.approx(shares(two))


@quick
@given(integers(), integers(), SMALL)
def test_sums_and_products_are_those_of_all_pairs(one: Integers, two: Integers, number: int) -> None:
    added: dict[int, float] = {}
    taken: dict[int, float] = {}
    for (a, p), (b, q) in product(shares(one).items(), shares(two).items()):
        added[a + b] = added.get(a + b, 0.0) + p * q
        taken[a - b] = taken.get(a - b, 0.0) + p * q
    assert shares(one + two) == pytest.approx(added)
    assert shares(one - two) == pytest.approx(taken)
    assert shares(one + number) == pytest.approx({a + number: p for a, p in shares(one).items()})
    assert shares(number - one) == pytest.approx({number - a: p for a, p in shares(one).items()})
    expected = {a * number: p for a, p in shares(one).items()} if number else {0: 1.0}
    assert shares(number * one) == pytest.approx(expected)


@quick
@given(integers())
def test_what_is_known_of_a_distribution_is_what_its_probabilities_say(one: Integers) -> None:
    known = shares(one)
    assert one.mode == min(number for number, share in known.items() if share == pytest.approx(max(known.values())))
    assert one.mean == pytest.approx(sum(number * share for number, share in known.items()))
    assert one.variance == pytest.approx(sum((number - one.mean) ** 2 * share for number, share in known.items()))
    assert one.entropy == pytest.approx(-sum(share * log(share) for share in known.values()))
    for number in range(one.first - 2, one.last + 3):
        assert np.exp(one.log_prob(number)) == pytest.approx(known.get(number, 0.0))


@quick
@given(integers(), st.data())
def test_a_condition_leaves_the_proportions(one: Integers, data: st.DataObject) -> None:
    known = shares(one)
    allowed = {data.draw(st.sampled_from(sorted(known))), *data.draw(st.sets(st.integers(-9, 13)))}
    whole = sum(known.get(number, 0.0) for number in allowed)
    expected = {number: share / whole for number, share in known.items() if number in allowed}
    assert shares(one.condition(allowed)) == pytest.approx(expected)


def test_a_batch_is_many_distributions() -> None:
    one = Integers(log_shares([[1, 2, 3], [3, 2, 1]]), first=5)
    two = Integers(log_shares([1, 1]))
    assert one.mode.tolist() == [7, 5]
    assert one.mean == pytest.approx(np.array([5 + 4 / 3, 5 + 2 / 3]))
    assert np.exp(one.log_prob([6, 9])) == pytest.approx(np.array([1 / 3, 0]))
    assert np.exp(one.log_prob([[5], [7]])) == pytest.approx(np.array([[1 / 6, 1 / 2], [1 / 2, 1 / 6]]))
    assert np.exp((one + two).log_prob(8)) == pytest.approx(np.array([1 / 4, 1 / 12]))


def test_numbers_may_be_larger_than_any_int64() -> None:
    one = Integers(log_shares([1, 2]), first=10**30)
    assert (one.mode, (3 * one + 1).last) == (10**30 + 1, 3 * 10**30 + 4)
    assert np.exp(one.log_prob(10**30)) == pytest.approx(1 / 3)


def test_torch_gives_what_numpy_gives_with_gradients() -> None:
    x = torch.tensor([0.3, -torch.inf, -1.0], dtype=torch.float64, requires_grad=True)
    ours, theirs = Integers(torch.log_softmax(x, -1), 2), Integers(torch.log_softmax(x, -1).detach().numpy(), 2)
    for name in ("mean", "variance", "entropy"):
        found = getattr(2 * ours - ours, name)
        assert found.item() == pytest.approx(getattr(2 * theirs - theirs, name))
        (gradient,) = torch.autograd.grad(found, x, retain_graph=True)
        assert torch.isfinite(gradient).all()


def test_draws_are_as_frequent_as_they_are_probable() -> None:
    one, count = Integers(log_shares([[1, 2, 3, 0], [4, 0, 0, 1]]), first=-2), 20_000
    drawn = one.sample(count, random=7)
    assert drawn.shape == (count, 2)
    for number in range(-2, 2):
        share = one.probabilities[:, number + 2]
        assert (abs((drawn == number).mean(0) - share) <= 5 * np.sqrt(share * (1 - share) / count)).all()
    assert np.array_equal(drawn, one.sample(count, random=7))
