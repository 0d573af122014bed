"""What is given to `sumnist.arithmetic` and `solve` is used, or refused by an error of the package: no call breaks."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from sumnist import solve
from sumnist.arithmetic import Digits, Integers, Sum, Values, numeral
from sumnist.arithmetic.solutions import Query, solution_of
from sumnist.errors import SumnistError

ANY = Digits(np.log(np.full((2, 10), 0.1)))
DIE = Integers(np.log(np.full(6, 1 / 6)), first=1)
LIST = Values({1: 0.5, Decimal("2.5"): 0.5}, 0.0)
HALF = Values({1: 0.5}, 0.5)
LOGS = np.log([0.5, 0.5])
SOLUTION = solution_of(Query([LIST, "+", "_", "=", 12]), {})

BAD: dict[str, Any] = {
    "None": None, "True": True, "a half": 0.5, "nan": np.nan, "infinity": np.inf, "a complex number": 1j, "text": "a",
    "no text": "", "bytes": b"a", "an object": object(), "a type": int, "a function": len, "minus one": -1, "zero": 0,
    "a trillion": 10**12, "a googol": 10**100, "five thousand digits": 10**5000,
    "no list": [], "a ragged list": [[1], [2, 3]], "a mixed list": [1, "a"],
    "no set": set(), "a mixed set": {1, "a"}, "halves in a set": {0.5}, "a long range": range(10**13),
    "an empty mapping": {}, "text in a mapping": {"a": 1.0}, "a mapping to text": {1: "a"}, "no axes": np.array(0.5),
    "floats": np.full((3, 4), 0.25), "no floats": np.zeros((0, 3)), "text in an array": np.array(["a", "b"]),
    "objects in an array": np.array([None, 1], object), "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "a tensor of floats": torch.full((2, 3), 0.5), "a tensor of bools": torch.ones(2, dtype=torch.bool),
    "a decimal without a value": Decimal("NaN"), "an endless decimal": Decimal("Infinity"),
    "a decimal with a million places": Decimal("1e-1000000"), "pairs": [(1, 2)], "a triple": [(1, 2, 3)],
}  # fmt: skip
"""Values of wrong types, and far too small or large ones."""

CALLS: dict[str, Callable[[Any], object]] = {
    "Digits": Digits,
    "Integers": Integers,
    "Integers first": partial(Integers, LOGS),
    "Values": lambda bad: Values(bad, 0.0),
    "Values other": lambda bad: Values({1: 1.0}, bad),
    "Values share": lambda bad: Values({1: bad}, 0.0),
    "Values value": lambda bad: Values([(bad, 1.0)], 0.0),  # type: ignore[arg-type]
    "Values.spread first": lambda bad: HALF.spread(bad, 9),
    "Values.spread last": lambda bad: HALF.spread(0, bad),
    "Sum": Sum,
    "Sum factor": lambda bad: Sum([(bad, ANY)]),
    "Sum.of": lambda bad: Sum.of(ANY, bad),
    "numeral": numeral,
    "numeral base": lambda bad: numeral([1, 0], bad),
    "Integers.log_prob": DIE.log_prob,
    "Integers.condition": DIE.condition,
    "Integers.sample": DIE.sample,
    "Integers.sample random": lambda bad: DIE.sample(2, bad),
    "Query": Query,
    "Query word": lambda bad: Query([bad, "+", "_", "=", 3]),
    "Query decimal": lambda bad: Query(["a.png", "=", 3], bad),
    "solve": solve,
    "solve word": lambda bad: solve([bad, "+", LIST, "=", "_"]),
    "solve reader": lambda bad: solve([LIST, "=", "_"], bad),
    "solve digits": lambda bad: solve([LIST, "=", "_"], digits=bad),
    "solve decimal": lambda bad: solve([LIST, "=", "_"], decimal=bad),
    "solve ink": lambda bad: solve([LIST, "=", "_"], ink=bad),
    "Solution.as_dict": SOLUTION.as_dict,
}


def turned(work: Callable[[Any, Any], Any], given: Any) -> Callable[[Any], object]:
    """The same work with its arguments exchanged."""
    return lambda bad: work(bad, given)


OPERANDS: dict[str, Any] = {"Digits": ANY, "Integers": DIE, "Values": LIST, "Sum": Sum.of(ANY, DIE, 3)}
for kind, given in OPERANDS.items():
    for work in operator.add, operator.sub, operator.mul:
        CALLS |= {f"{kind} {work.__name__}": partial(work, given), f"{work.__name__} {kind}": turned(work, given)}
for question in ("log_prob", "log_bounds", "posterior", "explanation", "sample"):
    CALLS[f"Sum.{question}"] = getattr(Sum.of(ANY, LIST), question)
CALLS["Sum.sample total"] = lambda bad: Sum.of(ANY, LIST).sample(2, bad)
CALLS["Sum.sample random"] = lambda bad: Sum.of(ANY, LIST).sample(2, random=bad)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_argument_is_refused_by_an_error_of_the_package_which_says_what_was_expected(call: str) -> None:
    broken = []
    for name, bad in BAD.items():
        try:
            CALLS[call](bad)
        except SumnistError as error:
            if "expected" not in str(error) or len(str(error)) > 500:
                broken.append(f"{name}: {str(error)[:200]}")
        except Exception as error:
            broken.append(f"{name}: {type(error).__name__}: {str(error)[:100]}")
    assert not broken
