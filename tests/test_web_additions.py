"""The page's sums of two readings, against the package's arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from javascript import answers
from sumnist.arithmetic import Sum, Values
from sumnist.errors import NumberError

ANSWER = """(module) => ({ one, two, total }) => {
  const distribution = ({ shares, other }) => module.distribution({
    candidates: Object.entries(shares).map(([text, probability]) => ({ text, probability })), other,
  });
  const plain = ({ shares, other }) => ({ shares: Object.fromEntries(shares), other });
  const [first, second, third] = [distribution(one), distribution(two), distribution(total)];
  const { least, most, numbers } = module.settled(first, second, third);
  return { sum: plain(module.sum(first, second)), bounds: [least, most], numbers: numbers && numbers.map(plain) };
}"""
"""What a sum of two is, and what a total says of all three."""


def drawn(random: np.random.Generator, most: int) -> Values:
    """A distribution over some numbers from 0 to `most`, mostly one, with probabilities of all sizes."""
    count = int(random.integers(1, 13))
    values = random.choice(most + 1, count, replace=False).tolist()
    weights, other = np.exp(random.normal(0, 4, count)), float(random.choice([0, 1e-6, 0.05]))
    return Values(dict(zip(values, (weights * (1 - other) / weights.sum()).tolist(), strict=True)), other)


def asked(values: Values) -> dict[str, Any]:
    return {"shares": {str(value): share for value, share in values.probabilities.items()}, "other": values.other}


def assert_same(found: dict[str, Any], expected: Values) -> None:
    shares = {int(value): share for value, share in found["shares"].items()}
    likely = {int(value): share for value, share in expected.probabilities.items() if share}
    assert shares == pytest.approx(likely, abs=1e-9) if likely else not any(shares.values())
    assert found["other"] == pytest.approx(expected.other, abs=1e-9)


def known(answer: dict[str, Any]) -> dict[str, Any]:
    """A distribution, with those numbers only that are possible."""
    return {**answer, "shares": {value: share for value, share in answer["shares"].items() if share}}


def test_sums_and_what_totals_say_are_those_of_the_package() -> None:
    random = np.random.default_rng(25)
    triples = []
    for _ in range(200):
        one, two = drawn(random, 30), drawn(random, 30)
        total = Values({int(random.integers(60)): 1.0}, 0.0) if random.random() < 0.5 else drawn(random, 60)
        triples.append((one, two, total))
    found = answers("additions.js", ANSWER, [
        {"one": asked(one), "two": asked(two), "total": asked(total)} for one, two, total in triples
    ])  # fmt: skip
    fitting = 0
    for answer, (one, two, total) in zip(found, triples, strict=True):
        assert_same(answer["sum"], one + two)
        asked_of = Sum.of(one, two)
        assert answer["bounds"] == pytest.approx(np.exp(asked_of.log_bounds(total)).tolist(), rel=1e-9, abs=1e-15)
        if answer["numbers"] is None:
            with pytest.raises(NumberError, match="impossible"):
                asked_of.posterior(total)
            continue
        fitting += 1
        for posterior, expected in zip(answer["numbers"], asked_of.posterior(total), strict=True):
            assert_same(known(posterior), expected)
    assert 100 < fitting < 200


def test_numbers_longer_than_those_of_javascript_are_added_exactly() -> None:
    long = "9007199254740993"  # 2 ** 53 + 1
    one, two = {"shares": {long: 1.0}, "other": 0}, {"shares": {"1": 1.0}, "other": 0}
    (answer,) = answers("additions.js", ANSWER, [{"one": one, "two": two, "total": one}])
    assert answer["sum"]["shares"] == {"9007199254740994": 1.0}
    assert answer["numbers"] is None
