"""The page's sums of two readings, against the package's arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from javascript import answers
from sumnist.arithmetic import Sum, Values
from sumnist.errors import NumberError
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReading
from sumnist.inference.solve import solve

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


CONTRADICTED = """(module) => ({ readings, total }) => {
  const before = [...readings.map(module.distribution), module.known(total)];
  const { numbers } = module.settled(...before);
  return numbers && numbers[0].other < 0.5 ? module.contradicted(before, numbers) : null;
}"""


def test_a_total_contradicts_clear_readings_on_the_page_by_the_rule_of_solve() -> None:
    random = np.random.default_rng(28)
    cases = []
    for _ in range(300):
        readings = []
        for _ in range(2):
            value, rest = int(random.integers(1, 8)), 10 ** random.uniform(-4, -1)
            shares = {value: 1 - rest, value + 1: 0.9 * rest, value - 1: 0.09 * rest}
            candidates = tuple(Candidate(str(one), one, share) for one, share in shares.items())
            reason, other = "unsure" if random.random() < 0.2 else None, 0.01 * rest
            readings.append(NumberReading(str(value), value, 1 - rest, candidates, other, not reason, reason, 1.0))
        cases.append((readings, sum(one.value for one in readings) + int(random.integers(-1, 2))))  # type: ignore[misc]
    found = answers("additions.js", CONTRADICTED, [
        {"readings": [one.as_dict() for one in readings], "total": str(total)} for readings, total in cases
    ])  # fmt: skip
    counts = [0, 0, 0]
    for places, ((one, two), total) in zip(found, cases, strict=True):
        solution = solve([one, "+", two, "=", total])
        denied = [place for place, answer in enumerate(solution.pictures) if answer in solution.contradicted]
        assert places == denied
        counts[len(denied)] += 1
    assert min(counts) > 10
