"""The page's sums of two readings and its check of a sheet, against the package's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from build import PAGE
from javascript import answers
from sumnist.arithmetic import Sum, Values
from sumnist.errors import NumberError
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReading
from sumnist.inference.solve import solve
from sumnist.sheets import check
from sumnist.sheets.check import KINDS, MISTAKE, WEIGHTS, Check, Posterior, Verdict, verdict
from sumnist.sheets.layout import Formula, Layout

SAMPLE = PAGE / "sample-sheet.json"
LAYOUT = Layout.of_line("9,7,13,12", "Mathematics")
"""Of the sample."""
RULE = {
    "fields": list(LAYOUT.names), "signs": [sign for sign, _ in LAYOUT.formulas[0].terms],
    "largest": [field.largest for field in LAYOUT.fields], "mistake": MISTAKE,
    "slips": {KINDS[kind]: weight for kind, weight in WEIGHTS.items()},
    "sure": check.SURE, "wrong": check.WRONG, "settled": check.SETTLED, "rare": check.RARE,
    "left": check.LEFT, "shown": check.SHOWN, "listed": check.LISTED,
}  # fmt: skip
"""What the check on the page goes by: the formula, and the constants of the package."""

ADD = """(module) => ({ one, two, total }) => {
  const distribution = ({ shares, other }) => module.distribution({
    candidates: Object.entries(shares).map(([text, probability]) => ({ text, probability })), other,
  });
  const plain = ({ shares, other }) => ({ shares: Object.fromEntries(shares), other });
  const [first, second, third] = [distribution(one), distribution(two), distribution(total)];
  const { least, most, numbers } = module.settled(first, second, third);
  return { sum: plain(module.sum(first, second)), bounds: [least, most], numbers: numbers && numbers.map(plain) };
}"""
"""What a sum of two is, and what a total says of all three."""


def drawn_values(random: np.random.Generator, most: int) -> Values:
    """A distribution over some numbers from 0 to `most`, mostly one, with probabilities of all sizes."""
    count = int(random.integers(1, 13))
    values = random.choice(most + 1, count, replace=False).tolist()
    weights, other = np.exp(random.normal(0, 4, count)), float(random.choice([0, 1e-6, 0.05]))
    return Values(dict(zip(values, (weights * (1 - other) / weights.sum()).tolist(), strict=True)), other)


def plain_of(values: Values) -> dict[str, Any]:
    return {"shares": {str(value): share for value, share in values.probabilities.items()}, "other": values.other}


def assert_same_values(found: dict[str, Any], expected: Values) -> None:
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
        one, two = drawn_values(random, 30), drawn_values(random, 30)
        total = Values({int(random.integers(60)): 1.0}, 0.0) if random.random() < 0.5 else drawn_values(random, 60)
        triples.append((one, two, total))
    found = answers("additions.js", ADD, [
        {"one": plain_of(one), "two": plain_of(two), "total": plain_of(total)} for one, two, total in triples
    ])  # fmt: skip
    fitting = 0
    for answer, (one, two, total) in zip(found, triples, strict=True):
        assert_same_values(answer["sum"], one + two)
        whole = Sum.of(one, two)
        assert answer["bounds"] == pytest.approx(np.exp(whole.log_bounds(total)).tolist(), rel=1e-9, abs=1e-15)
        if answer["numbers"] is None:
            with pytest.raises(NumberError, match="impossible"):
                whole.posterior(total)
            continue
        fitting += 1
        for posterior, expected in zip(answer["numbers"], whole.posterior(total), strict=True):
            assert_same_values(known(posterior), expected)
    assert 100 < fitting < 200


def test_numbers_longer_than_those_of_javascript_are_added_exactly() -> None:
    long = "9007199254740993"  # 2 ** 53 + 1
    one, two = {"shares": {long: 1.0}, "other": 0}, {"shares": {"1": 1.0}, "other": 0}
    (answer,) = answers("additions.js", ADD, [{"one": one, "two": two, "total": one}])
    assert answer["sum"]["shares"] == {"9007199254740994": 1.0}
    assert answer["numbers"] is None


Logs = Sequence[Sequence[float]]

ANSWER = """(module) => ({ rule, logs }) => {
  const known = module.posterior(rule, logs);
  const said = module.verdict(rule, known);
  const marginals = known.marginals.map((one) => [...one]);
  return { ...said, marginals, kinds: [...known.kinds], log: known.logEvidence };
}"""


def rule(largest: Mapping[str, int], signs: Sequence[int], mistake: float) -> dict[str, Any]:
    made = {"fields": [*largest], "signs": [*signs], "largest": [*largest.values()], "mistake": mistake}
    return {**RULE, **made}


def posterior_of(asked: Mapping[str, Any]) -> Posterior:
    """What the package says of the same."""
    made = asked["rule"]
    *terms, total = made["fields"]
    formula = Formula(total, tuple(zip(made["signs"], terms, strict=True)))
    check = Check(dict(zip(made["fields"], made["largest"], strict=True)), [formula], mistake=made["mistake"])
    return check.posterior({name: np.array(logs) for name, logs in zip(made["fields"], asked["logs"], strict=True)})


def settled(posterior: Posterior, fields: Sequence[str]) -> float:
    """The probability that the most probable numbers are right once those of some fields are known: counted out."""
    names = [*posterior.check.largest]
    grid = np.array([*product(*(range(most + 1) for most in posterior.check.largest.values()))])
    shares = posterior.joint({name: grid[:, place] for place, name in enumerate(names)}).probabilities
    best: defaultdict[tuple[int, ...], float] = defaultdict(float)
    chosen = grid[:, [names.index(name) for name in fields]]
    for seen, share in zip(map(tuple, chosen.tolist()), shares.tolist(), strict=True):
        best[seen] = max(best[seen], share)
    return sum(best.values())


def assert_same(found: dict[str, Any], posterior: Posterior) -> Verdict:
    names, expected = [*posterior.check.largest], verdict(posterior)
    for name, shares in zip(names, found["marginals"], strict=True):
        np.testing.assert_allclose(shares, posterior.numbers[name][1], atol=1e-9)
    (kinds,) = posterior.kinds.values()
    assert found["kinds"] == pytest.approx([kinds[kind] for kind in KINDS[:-1]], abs=1e-9)
    assert found["log"] == pytest.approx(posterior.log_evidence, abs=1e-9)
    assert found["outcome"] == expected.outcome
    assert found["probability"] == pytest.approx(expected.probability, abs=1e-9)
    assert dict(zip(names, found["values"], strict=True)) == expected.values
    assert [names[one["field"]] for one in found["corrections"]] == [one.field for one in expected.corrections]
    for correction, other in zip(found["corrections"], expected.corrections, strict=True):
        assert (correction["read"], correction["value"]) == (other.read, other.value)
        assert correction["probability"] == pytest.approx(other.probability, abs=1e-9)
    for wrong in expected.wrong:
        assert [found["wrong"][key] for key in ("written", "sum", "kind")] == [wrong.written, wrong.sum, wrong.kind]
        assert found["wrong"]["probability"] == pytest.approx(wrong.probability, abs=1e-9)
    assert (found["wrong"] is None) == (not expected.wrong)
    looked = [names[cell["field"]] for cell in found["look"]]
    if looked != [cell.field for cell in expected.look]:  # as few that settle it as well, by another order of rounding
        assert len(looked) == len(expected.look)
        same = settled(posterior, [cell.field for cell in expected.look])
        assert settled(posterior, looked) == pytest.approx(same, abs=1e-6)
    for cell in found["look"]:
        shares = posterior.numbers[names[cell["field"]]][1]
        told = [one["share"] for one in cell["candidates"]]
        assert told == pytest.approx(np.sort(shares)[::-1][: len(told)].tolist(), abs=1e-9)
    return expected


def likelihoods(random: np.random.Generator, most: int, value: int) -> NDArray[np.float64]:
    """What is read of a number: it, mostly, with others at all sizes; in doubt sometimes, or another."""
    logs = random.normal(-12, 3, most + 1)
    logs[value] = 0
    if random.random() < 0.3:
        logs[random.integers(most + 1)] = random.normal(0, 1.5)
    return logs


def sheets(count: int) -> list[dict[str, Any]]:
    """Sheets with one formula of all kinds."""
    random, made = np.random.default_rng(7), []
    for _ in range(count):
        terms = int(random.integers(1, 4))
        signs = [1, *random.choice([1, 1, 1, -1], terms - 1).tolist()]
        largest = random.integers(3, 16, terms).tolist()
        room = sum(most for sign, most in zip(signs, largest, strict=True) if sign > 0)
        largest.append(max(1, room + int(random.choice([0, 0, 0, 5, -3]))))
        values = [int(random.integers(most + 1)) for most in largest[:-1]]
        total = sum(sign * value for sign, value in zip(signs, values, strict=True))
        if random.random() < 0.4:
            total += int(random.choice([1, -1, 10, -values[0], 3]))
        values.append(int(np.clip(total, 0, largest[-1])))
        logs = [likelihoods(random, most, value).tolist() for most, value in zip(largest, values, strict=True)]
        names = [*(f"q{place}" for place in range(terms)), "total"]
        mistake = float(random.choice([0.02, 0.02, 0.3, 1e-4]))
        made.append({"rule": rule(dict(zip(names, largest, strict=True)), signs, mistake), "logs": logs})
    return made


def test_posterior_and_verdict_are_those_of_the_package() -> None:
    asked = sheets(200)
    found = answers("check.js", ANSWER, asked)
    outcomes = [assert_same(answer, posterior_of(one)).outcome for answer, one in zip(found, asked, strict=True)]
    assert {outcome: outcomes.count(outcome) > 10 for outcome in set(outcomes)} == {
        "adds up": True, "corrected": True, "does not add up": True, "doubtful": True,
    }  # fmt: skip


def test_what_is_said_of_the_sample_is_what_the_package_says() -> None:
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    asked = []
    for total in sample["totals"]:
        for changed, one in enumerate([*sample["marks"], total]):
            for state in range(len(one["states"])):
                fields = [*sample["marks"], total]
                chosen = [field["states"][state if place == changed else 0] for place, field in enumerate(fields)]
                logs = [
                    [one["logs"]["told"].get(str(value), one["logs"]["rest"]) for value in range(most + 1)]
                    for one, most in zip(chosen, sample["rule"]["largest"], strict=True)
                ]
                asked.append({"rule": sample["rule"], "logs": logs})
    found = answers("check.js", ANSWER, asked)
    outcomes = {assert_same(answer, posterior_of(one)).outcome for answer, one in zip(found, asked, strict=True)}
    assert outcomes == {"adds up", "corrected", "does not add up", "doubtful"}


def test_the_sample_has_the_constants_of_the_package_and_is_small() -> None:
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    assert sample["rule"] == json.loads(json.dumps(RULE))
    assert SAMPLE.stat().st_size < 20_000


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
