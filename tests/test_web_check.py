"""The page's check of a sheet, against the package's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from build import LAYOUT, SAMPLE, rule_of
from javascript import answers
from sumnist.sheets.check import Check, Posterior
from sumnist.sheets.formulas import Formula
from sumnist.sheets.mistakes import KINDS
from sumnist.sheets.verdict import Verdict, verdict

Logs = Sequence[Sequence[float]]

ANSWER = """(module) => ({ rule, logs }) => {
  const known = module.posterior(rule, logs);
  const said = module.verdict(rule, known);
  const marginals = known.marginals.map((one) => [...one]);
  return { ...said, marginals, kinds: [...known.kinds], log: known.logEvidence };
}"""


def rule(largest: Mapping[str, int], signs: Sequence[int], mistake: float) -> dict[str, Any]:
    made = {"fields": [*largest], "signs": [*signs], "largest": [*largest.values()], "mistake": mistake}
    return {**rule_of(LAYOUT.fields), **made}


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
        np.testing.assert_allclose(shares, posterior.numbers(name)[1], atol=1e-9)
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
        shares = posterior.numbers(names[cell["field"]])[1]
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
    assert sample["rule"] == json.loads(json.dumps(rule_of(LAYOUT.fields)))
    assert SAMPLE.stat().st_size < 20_000
