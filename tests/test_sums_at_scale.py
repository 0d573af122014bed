"""Sums in batches, of long numbers and of many, with gradients, in NumPy and torch."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enumeration import log_shares, sums, ways
from sumnist.arithmetic import equation, sumproduct
from sumnist.arithmetic.known import numeral
from sumnist.arithmetic.sums import Digits, Integers, Sum
from sumnist.arithmetic.values import Values

CLOSE = 1e-9


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def some(random: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Log-probabilities `[*batch, n]`."""
    return log_shares(random.gamma(0.5, size=shape))


# Batches.


def test_an_entry_of_a_batch_is_as_alone(random: np.random.Generator) -> None:
    one, two, three = some(random, 4, 1, 3, 10), some(random, 5, 2, 10), some(random, 4, 5, 6)
    four = Values({3: 0.5, 70: 0.5}, 0.0)
    total = Digits(one) + Digits(two) - Integers(three) + four
    known = random.integers(200, 900, size=(4, 5))
    log_prob, found = total.log_prob(known), total.posterior(known)
    best, explained, allowed = total.most_probable_total(), total.explanation(known), total.log_prob({300, 500})
    assert [one.shape for one in (log_prob, *found[:2])] == [(4, 5), (4, 5, 3, 10), (4, 5, 2, 10)]
    for entry in np.ndindex(4, 5):
        i, j = entry
        alone, at = Digits(one[i, 0]) + Digits(two[j]) - Integers(three[entry]) + four, int(known[entry])
        expected = alone.posterior(at)
        assert log_prob[entry] == pytest.approx(alone.log_prob(at))
        assert np.exp(found[0][entry]) == pytest.approx(np.exp(expected[0]))
        assert np.exp(found[1][entry]) == pytest.approx(np.exp(expected[1]))
        assert found[2].probabilities[entry] == pytest.approx(expected[2].probabilities)
        assert dict(found[3][entry].probabilities) == pytest.approx(dict(expected[3].probabilities))
        assert best.total[entry] == alone.most_probable_total().total
        assert explained.log_prob[entry] == pytest.approx(alone.explanation(at).log_prob)
        assert explained.values[0][entry].tolist() == alone.explanation(at).values[0].tolist()
        assert allowed[entry] == pytest.approx(alone.log_prob({300, 500}))
        assert total.totals().log_probs[entry] == pytest.approx(alone.totals().log_probs)


def test_a_batch_may_be_empty() -> None:
    one, nothing = Digits(np.zeros((0, 2, 10))), np.zeros(0, np.int64)
    total = one + one - Integers(np.zeros((0, 3)))
    assert total.log_prob(nothing).shape == total.log_prob(5).shape == (0,)
    shapes = [np.shape(getattr(found, "log_probs", found)) for found in total.posterior(nothing)]
    assert shapes == [(0, 2, 10), (0, 2, 10), (0, 3)]
    assert total.totals().log_probs.shape == (0, 201)
    assert total.explanation(nothing).log_prob.shape == (0,)
    assert total.sample(4, nothing).log_prob.shape == (4, 0)
    assert total.most_probable_total().log_prob.shape == (0,)


def test_known_numbers_may_differ_by_entry(random: np.random.Generator) -> None:
    number, known = Digits(some(random, 3, 2, 10)), np.array([5, -20, 40])
    for total in (known + number, number + torch.tensor(known), number - (-known)):
        assert total.log_prob(known + 37) == pytest.approx((number + 0).log_prob(37))
        assert total.most_probable_total().total.tolist() == ((number + 0).most_probable_total().total + known).tolist()


# Long numbers, and many.


def counted_by_columns(weights: list[list[list[int]]], steps: list[int], total: int, base: int) -> Fraction:
    """The probability of a total of long numbers, in whole numbers: weights of digits, the most significant first."""
    carries, whole = {0: 1}, 1
    for column in zip(*(number[::-1] for number in weights), strict=True):
        for step, one in zip(steps, column, strict=True):
            more: dict[int, int] = {}
            for known, ways_to_it in carries.items():
                for digit, weight in enumerate(one):
                    more[known + step * digit] = more.get(known + step * digit, 0) + ways_to_it * weight
            carries, whole = more, whole * sum(one)
        total, digit = divmod(total, base)
        carries = {value // base: ways_to_it for value, ways_to_it in carries.items() if value % base == digit}
    return Fraction(carries.get(total, 0), whole)


@pytest.mark.parametrize(
    ("length", "steps", "base"),
    [(40, [1, 1], 10), (25, [1, -1, 1], 10), (6, [-1, 1], 10), (12, [-1, -1, -1, 2], 3), (4, [1] * 12, 10)],
)
@pytest.mark.parametrize("paired", [0, 100])
def test_long_numbers_are_added_exactly_in_pairs_and_in_turn(
    length: int, steps: list[int], base: int, paired: int, monkeypatch: pytest.MonkeyPatch, random: np.random.Generator
) -> None:
    monkeypatch.setattr(equation, "PAIRED_CARRIES", paired)
    weights = [random.integers(1, 100, size=(length, base)).tolist() for _ in steps]
    written = [random.integers(0, base, length).tolist() for _ in steps]
    total = sum(step * int(numeral(one, base)) for step, one in zip(steps, written, strict=True))
    expected = counted_by_columns(weights, steps, total, base)
    operands = [Digits(log_shares(one)) for one in weights]
    both = Sum(list(zip(steps, operands, strict=True)))
    assert both.log_prob(total) == pytest.approx(math.log(expected), rel=CLOSE)
    assert both.log_prob(10 * len(steps) * base**length) == -np.inf
    digit = written[-1][3]
    share = Fraction(weights[-1][3][digit], sum(weights[-1][3]))
    weights[-1][3] = [int(one == digit) for one in range(base)]
    share *= counted_by_columns(weights, steps, total, base) / expected
    assert np.exp(both.posterior(total)[-1][3, digit]) == pytest.approx(float(share), rel=CLOSE)


@pytest.mark.parametrize("paired", [0, 100])
def test_a_thousand_digits_keep_their_precision_in_half_the_bits(
    paired: int, monkeypatch: pytest.MonkeyPatch, random: np.random.Generator
) -> None:
    monkeypatch.setattr(equation, "PAIRED_CARRIES", paired)
    one, two, known = some(random, 1000, 10), some(random, 1000, 10), numeral(random.integers(0, 10, 1000))
    exact = (Digits(one) + Digits(two)).posterior(known)
    rough = (Digits(torch.tensor(one).float()) + Digits(torch.tensor(two).float())).posterior(known)
    for found, expected in zip(rough, exact, strict=True):
        assert found.dtype == torch.float32
        assert found.exp().numpy() == pytest.approx(np.exp(expected), abs=1e-6)


def test_a_hundred_numbers_are_added(random: np.random.Generator) -> None:
    weights = [random.integers(1, 100, size=(3, 10)).tolist() for _ in range(100)]
    total = Sum.of(*(Digits(log_shares(one)) for one in weights))
    expected = counted_by_columns(weights, [1] * 100, 49_950, 10)
    assert total.log_prob(49_950) == pytest.approx(math.log(expected), rel=CLOSE)
    assert sum(int(numeral(one)) for one in total.explanation(49_950).values) == 49_950


def test_work_in_blocks_is_the_same_as_at_once(random: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = Sum.of(Integers(some(random, 20)), Integers(some(random, 30)), Integers(some(random, 10)))
    numbers = Sum.of(Digits(some(random, 3, 10)), Digits(some(random, 3, 10)))
    at_once = [ranges.totals().log_probs, numbers.totals().log_probs, *(one.log_probs for one in ranges.posterior(31))]
    monkeypatch.setattr(sumproduct, "BLOCK", 50)
    blocks = [ranges.totals().log_probs, numbers.totals().log_probs, *(one.log_probs for one in ranges.posterior(31))]
    for one, two in zip(at_once, blocks, strict=True):
        assert one == pytest.approx(two)


def test_sums_of_many_by_products_are_those_by_logarithms(
    random: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the digits are hardly ever 9, so that in the blocks of some partial sums products would underflow."""
    shares = random.gamma(0.5, size=(200, 1, 10)) + 1e-9
    shares[100:, :, 9] = 1e-290
    total = Sum.of(*(Digits(log_shares(one)) for one in shares))

    def found() -> list[NDArray[np.float64]]:
        return [*(np.asarray(total.log_prob(known)) for known in (0, 700, 1790)), *total.posterior(700)]

    fast = found()
    monkeypatch.setattr(sumproduct, "MANY", 10**9)
    for one, two in zip(fast, found(), strict=True):
        assert one == pytest.approx(two, rel=1e-12, abs=1e-12)


def test_of_what_cannot_be_searched_the_bound_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equation, "BEAM", 1)
    random = np.random.default_rng(3)
    total = Sum.of(*(Digits(some(random, 3, 10)) for _ in range(3)))
    best, all_of_them = total.most_probable_total(), total.totals()
    assert not best.certain
    assert best.log_prob == pytest.approx(total.log_prob(best.total))
    assert best.log_prob < all_of_them.log_probs.max() <= best.bound


@pytest.mark.parametrize(("length", "count"), [(5, 2), (4, 3), (2, 9)])
def test_the_most_probable_total_is_that_of_all_totals(length: int, count: int, random: np.random.Generator) -> None:
    total = Sum.of(*(Digits(some(random, length, 10)) for _ in range(count)))
    best = total.most_probable_total()
    assert best.certain
    assert best.total == total.totals().mode


def test_the_most_probable_total_of_long_sure_numbers_is_certain(random: np.random.Generator) -> None:
    sure = log_shares(np.eye(10)[random.integers(0, 10, (2, 300))] * 500 + random.gamma(0.5, size=(2, 300, 10)))
    best = (Digits(sure[0]) + Digits(sure[1])).most_probable_total()
    assert best.certain
    assert best.total == sum(int(one) for one in numeral(sure.argmax(-1)))


# Precision.


def test_what_is_hardly_possible_is_not_lost() -> None:
    """Of numbers that are almost surely 0, both are 9: 1e-300 each."""
    hardly = Digits(np.log([[1.0, *[1e-300] * 9]]))
    assert (hardly + hardly).log_prob(18) == pytest.approx(2 * np.log(1e-300))
    assert (hardly + hardly).totals().log_prob(17) == pytest.approx(np.log(2) + 2 * np.log(1e-300))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_may_be_as_large_as_they_like(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, *[0.0] * 8]], dtype=dtype, requires_grad=True)
    one = Digits(torch.log_softmax(logits, -1))
    for known in (0, 1, 2, 18):
        (gradient,) = torch.autograd.grad((one + one).log_prob(known), logits, retain_graph=True)
        assert torch.isfinite(gradient).all()
    assert (one + one).log_prob(2).item() == pytest.approx(math.log(2) - 1e4)
    assert (one + one).log_prob(1).item() == pytest.approx(math.log(2) - 2e4)


def test_numpy_and_torch_and_half_the_bits_agree(random: np.random.Generator) -> None:
    one, two, known = some(random, 6, 4, 10), some(random, 6, 3, 10), np.arange(6) * 1900
    ours = Digits(one) + Digits(two)
    for dtype, rounding in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        theirs = Digits(torch.tensor(one, dtype=dtype)) + Digits(torch.tensor(two, dtype=dtype))
        for found, expected in (
            (theirs.log_prob(torch.tensor(known)), ours.log_prob(known)),
            (theirs.totals().log_probs, ours.totals().log_probs),
            (theirs.posterior(known)[0], ours.posterior(known)[0]),
        ):
            assert found.dtype == dtype
            assert found.numpy() == pytest.approx(expected, rel=rounding, abs=rounding)
        assert theirs.most_probable_total().total.tolist() == ours.most_probable_total().total.tolist()


def test_what_is_turned_round_is_the_same_in_torch(random: np.random.Generator) -> None:
    one, two = some(random, 3, 2, 10), some(random, 3, 10)
    ours, theirs = (
        Sum([(-1, Digits(x)), (-2, Integers(y, -4))]) for x, y in ((one, two), map(torch.tensor, (one, two)))
    )
    pairs = [
        (made.totals().log_probs, made.log_prob(-31), *(part for part in made.posterior(-31)))
        for made in (ours, theirs)
    ]
    for expected, found in zip(*pairs, strict=True):
        found, expected = (getattr(x, "log_probs", x) for x in (found, expected))
        assert isinstance(found, torch.Tensor)
        assert found.numpy() == pytest.approx(expected, rel=1e-12)


# Gradients.


@settings(deadline=None, max_examples=50)
@given(sums(), st.data())
def test_the_posterior_is_the_gradient_of_the_log_partition(total: Sum, data: st.DataObject) -> None:
    known = data.draw(st.sampled_from([way for way in ways(total) if way.probability])).total
    leaves = [torch.tensor(one.log_probs, requires_grad=True) for one in total.operands if not isinstance(one, Values)]
    arrays, terms = iter(leaves), [(1, total.constant.numbers)]
    for step, one in zip(total.steps, total.operands, strict=True):
        if isinstance(one, Digits):
            terms.append((step, Digits(next(arrays))))
        else:
            terms.append((step, Integers(next(arrays), one.first) if isinstance(one, Integers) else one))
    if not leaves:
        return
    same = Sum(terms)
    gradients = iter(torch.autograd.grad(same.log_prob(known), leaves))
    for found in same.posterior(known):
        if not isinstance(found, Values):
            share = getattr(found, "log_probs", found).detach().exp()
            assert share.numpy() == pytest.approx(next(gradients).numpy(), rel=CLOSE, abs=1e-12)


@pytest.mark.long
def test_gradients_are_those_of_small_differences(random: np.random.Generator) -> None:
    one = torch.tensor(random.normal(size=(2, 3, 4)), requires_grad=True)
    two = torch.tensor(random.normal(size=(2, 2, 4)), requires_grad=True)
    three = torch.tensor(random.normal(size=5), requires_grad=True)

    def asked(question: Callable[[Sum], Any]) -> Callable[..., Any]:
        def answer(*logits: torch.Tensor) -> Any:
            first, second, third = (torch.log_softmax(x, -1) for x in logits)
            return question(Digits(first) - Digits(second) + Integers(third) + Values({0: 0.5, 9: 0.5}, 0.0))

        return answer

    def posterior(total: Sum) -> Any:
        number, _, integers, _ = total.posterior(7)
        return number.exp(), integers.probabilities

    for question in (lambda total: total.log_prob([7, -3]), lambda total: total.totals().probabilities, posterior):
        assert torch.autograd.gradcheck(asked(question), (one, two, three))


def test_the_gradient_of_an_impossible_total_is_zero() -> None:
    x = torch.log_softmax(torch.zeros(3, 2, 10), -1).requires_grad_()
    log_prob = (Digits(x) + Digits(x)).log_prob([100, 199, 10**30])
    assert log_prob.isinf().tolist() == [False, True, True]
    (gradient,) = torch.autograd.grad(log_prob.sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient[1:] == 0).all()


def test_gradients_are_finite_where_digits_are_impossible() -> None:
    x = torch.tensor(np.log([[0.5, 0.5, 1e-320, *[1e-320] * 7]])).masked_fill(torch.arange(10) > 2, -torch.inf)
    x.requires_grad_()
    total = Digits(x) + Digits(x) + Values({0: 0.5, 1: 0.5}, 0.0)
    for known in (2, 3, 5, 9):
        (gradient,) = torch.autograd.grad(total.log_prob(known), x)
        assert torch.isfinite(gradient).all()


# What is not needed.


def test_the_wing_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nimport numpy as np\nfrom sumnist.arithmetic import Digits\n"
        "any_digit = Digits(np.log(np.full((1, 10), 0.1)))\nprint(float((any_digit + any_digit).log_prob(18)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(result.stdout) == pytest.approx(np.log(0.01))
