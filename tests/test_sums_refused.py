"""What cannot be added, or be asked of a sum, and what is said then, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest
import torch

from sumnist.arithmetic import sumproduct
from sumnist.arithmetic.equation import BEAM
from sumnist.arithmetic.known import numeral
from sumnist.arithmetic.sumproduct import STATES
from sumnist.arithmetic.sums import Digits, Integers, Sum
from sumnist.arithmetic.values import Values
from sumnist.errors import NumberError

ANY = Digits(np.log(np.full((2, 10), 0.1)))
BINARY = Digits(np.log(np.full((2, 2), 0.5)))
LONG = Digits(np.log(np.full((9, 10), 0.1)))
BATCH = Digits(np.log(np.full((3, 2, 10), 0.1)))
DIE = Integers(np.log(np.full(6, 1 / 6)), first=1)
HALF = Values({1: 0.5}, 0.5)
TENTH = Values({Decimal("0.1"): 1.0}, 0.0)

NO_NUMBER = "cannot be added: expected a whole number, a Decimal or another reading"
FLOATS = "are no log-probabilities: expected floating-point numbers [..., N, base]"
NOT_ONE = "expected a sum of one along the last axis; of a network's outputs, take log_softmax"
NOT_KNOWN = (
    "With a probability of 0.5 a number is none of its candidates: expected lists of all values; "
    "spread what is left over a range (`Values.spread`), or ask for bounds (`log_bounds`)"
)
IMPOSSIBLE = "expected one whose log_prob is more than −inf"

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: Digits([[0.1, 0.9]]),
        "[[0.1, 0.9]] are no log-probabilities: expected an array [..., N, base] of NumPy or torch",
    ),
    (lambda: Digits(np.zeros(10)), f"float64 [10] {FLOATS}"),
    (lambda: Digits(np.zeros((2, 10), int)), f"int64 [2, 10] {FLOATS}"),
    (lambda: Digits(np.zeros((0, 10))), f"float64 [0, 10] {FLOATS}"),
    (lambda: Digits(np.zeros((2, 1))), "Log-probabilities [2, 1]: expected [..., N, base] and a base from 2 on"),
    (
        lambda: Digits(np.full((2, 10), 0.1)),
        f"Log-probabilities [..., N, base] of probabilities that sum to 11.0517: {NOT_ONE}",
    ),
    (
        lambda: Digits(torch.full((2, 10), torch.nan)),
        f"Log-probabilities [..., N, base] of probabilities that sum to nan: {NOT_ONE}",
    ),
    (lambda: Integers(np.zeros(3)), f"Log-probabilities [..., n] of probabilities that sum to 3: {NOT_ONE}"),
    (lambda: DIE.log_prob(Decimal("1.5")), "1.5 was asked for: expected whole numbers"),
    (lambda: DIE.condition({7}), f"Each of the numbers allowed is impossible: {IMPOSSIBLE}"),
    (lambda: DIE * True, "A distribution cannot be multiplied by True: expected a whole number"),
    (lambda: HALF * cast(int, 0.5), "A distribution cannot be multiplied by 0.5: expected a whole number"),
    (lambda: ANY * cast(int, 1.5), "A distribution cannot be multiplied by 1.5: expected a whole number"),
    (lambda: ANY * 0, "An operand is multiplied by 0: expected another whole number; leave the operand out"),
    (lambda: ANY + "7", f"'7' {NO_NUMBER}"),
    (lambda: ANY + 1.5, f"1.5 {NO_NUMBER}"),
    (lambda: Sum.of(ANY, [[1], [2, 3]]), f"[1] {NO_NUMBER}"),
    (lambda: ANY + Decimal("NaN"), f"Decimal('NaN') {NO_NUMBER}"),
    (lambda: ANY + np.array([True]), f"True {NO_NUMBER}"),
    (lambda: ANY + torch.tensor([0.5]), f"0.5 {NO_NUMBER}"),
    (lambda: (ANY + 1).log_prob(7.0), f"7.0 {NO_NUMBER}"),
    (lambda: (ANY + 1).log_prob(set()), "No total is allowed: expected one at least"),
    (
        lambda: Sum.of(3, 4).log_prob(7),
        "A sum of known numbers only was asked about: expected a number that is not known",
    ),
    (lambda: (ANY + BINARY).log_prob(3), "Digits of bases [2, 10] are added: expected one base"),
    (
        lambda: (ANY + Digits(torch.tensor(ANY.log_probs))).log_prob(7),
        "Arrays of numpy on cpu and torch on cpu are added: expected all of one library on one device",
    ),
    (
        lambda: (ANY + np.arange(3)).log_prob([1, 2]),
        "Batches of [2] and [3] do not fit together: expected equal shapes, or lengths of one",
    ),
    (lambda: (ANY + 0).posterior(100), f"The total is impossible: {IMPOSSIBLE}"),
    (
        lambda: (ANY + 0).posterior([[7, 8], [9, -1]]),
        f"The total is impossible in entry [1, 1] of the batch: {IMPOSSIBLE}",
    ),
    (lambda: (ANY + 0).explanation(100), f"The total is impossible: {IMPOSSIBLE}"),
    (lambda: (ANY + 0).sample(2, [3, 100]), f"The total is impossible in entry [1] of the batch: {IMPOSSIBLE}"),
    (lambda: (ANY + HALF).log_prob(3), NOT_KNOWN),
    (lambda: (ANY + 0).log_prob(HALF), NOT_KNOWN),
    (lambda: (ANY + HALF).totals(), NOT_KNOWN),
    (lambda: (ANY + HALF).sample(2), NOT_KNOWN),
    (
        lambda: (ANY + Values({1: 0.5}, 0.1)).log_prob(3),
        "{1: 0.5}, and 0.1 for all others: expected probabilities that sum to one",
    ),
    (
        lambda: (ANY + Values({1: 2.0, 2: -1.0}, 0.0)).log_prob(3),
        "{1: 2.0, 2: -1.0}, and 0.0 for all others: expected probabilities that sum to one",
    ),
    (
        lambda: (LONG + 0).totals(),
        f"All totals would be 1,000,000,000: expected at most {STATES:,}; ask log_prob of single totals, or "
        "most_probable_total",
    ),
    (
        lambda: (LONG + Integers(np.log(np.full(10_000, 1e-4)))).most_probable_total(),
        f"States of the search would be {BEAM * 10 * 4 * 10_000:,}: expected at most {STATES:,}; give fewer candidates "
        "or operands",
    ),
    (
        lambda: (ANY + np.arange(3)).totals(),
        "All totals are asked for, of decimals or with an array added: expected whole numbers",
    ),
    (
        lambda: (ANY + TENTH).totals(),
        "All totals are asked for, of decimals or with an array added: expected whole numbers",
    ),
    (
        lambda: (ANY + TENTH).most_probable_total(),
        "The most probable total of digits and decimals is asked for: expected whole numbers",
    ),
    (lambda: HALF.spread(1, 1), "No value is left in 1..1: expected a range of more than the candidates"),
    (lambda: HALF.spread(0, 10**9), f"Values would be 1,000,000,001: expected at most {STATES:,}; spread over fewer"),
    *(
        (
            lambda value=value: Values(cast(Any, {value: 1.0}), 0.0),
            f"{value!r} is a value of a distribution: expected whole numbers and Decimals",
        )
        for value in (4.0, "4", True, Decimal("NaN"))
    ),
    *(
        (
            lambda ask=ask: getattr(ANY + ANY, ask)(None),
            "None was asked about: expected a total, such as 12; `totals` needs none",
        )
        for ask in ("log_prob", "log_bounds", "posterior", "explanation")
    ),
    (
        lambda: (ANY + ANY).log_prob(range(10**9)),
        "Totals that are allowed would be 1,000,000,000: expected at most 4,194,304; allow fewer",
    ),
    (
        lambda: 10**20 * DIE,
        f"Sums of digits or ranges would be {5 * 10**20 + 1:,}: expected at most {STATES:,}; multiply them by smaller "
        "numbers",
    ),
    (
        lambda: (10**20 * ANY + ANY).log_prob(3),
        f"Sums of digits or ranges would be {9 * (10**20 + 1) + 1:,}: expected at most {STATES:,}; multiply them by "
        "smaller numbers",
    ),
    (
        lambda: (129_900 * ANY + 49_999 * ANY).log_prob(3),
        f"Partial sums of candidates, times the positions and the pairs of carries, would be 64,727,300,402: expected "
        f"at most {STATES:,}; add fewer numbers, or multiply them by smaller ones",
    ),
    (
        lambda: (BATCH + BATCH).log_prob([[3], [4], [5]]),
        "Totals [3, 1] are asked about of a batch of [3]: expected one for each, [3]; take totals[..., 0]",
    ),
    (lambda: numeral([3, 10]), "[3, 10] are not digits: expected 0..9 in an array [..., L]"),
    (lambda: numeral(7), "7 are not digits: expected 0..9 in an array [..., L]"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_makes_no_sense_is_said(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(NumberError, match=f"^{re.escape(message)}$"):
        make()


def test_too_many_partial_sums_beside_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sumproduct, "STATES", 1_000)
    total = LONG + Sum.of(*[Values({0: 0.5, 7: 0.25, 90: 0.25}, 0.0)] * 4)
    message = (
        "Partial sums of candidates, times the positions and the sums of digits at each, would be 1,350: "
        "expected at most 1,000; give fewer candidates for each number"
    )
    with pytest.raises(NumberError, match=f"^{re.escape(message)}$"):
        total.log_prob(7)
