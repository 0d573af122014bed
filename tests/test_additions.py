"""Sums of images: their groups, the loss of their totals against enumeration, and their figures."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sumnist.config import Config, Operation, preset
from sumnist.data.additions import SumBatches, grouped, totals
from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError
from sumnist.evaluation.additions import REGROUPINGS, SumAnswers, SumEvaluation
from sumnist.evaluation.text import sum_table
from sumnist.model.losses import total_nll

CPU = torch.device("cpu")


def config_of(digits: int, addends: int = 2, **changes: Any) -> Config:
    return preset("addition", encoder="tiny", digits=digits, addends=addends, **changes)


def marked(count: int) -> DigitSet:
    """Images that tell their own place, in two pixels, and digits."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    return DigitSet(images, np.random.default_rng(0).integers(0, 10, count), "marked")


def places(image: torch.Tensor) -> list[int]:
    """The places that images tell."""
    pixels = (image[:, 0, 0, :2] * 255).round().int()
    return (pixels @ torch.tensor([256, 1], dtype=torch.int32)).tolist()


def worked_out(digits: list[list[int]], operation: str) -> int:
    """What becomes of numbers by their digits, by Python's own integers."""
    numbers = [int("".join(map(str, number))) for number in digits]
    return sum(numbers) if operation == "add" else numbers[0] - numbers[1]


@given(st.data())
def test_totals_are_those_of_pythons_integers(data: Any) -> None:
    operation: Operation = data.draw(st.sampled_from(["add", "sub"]))
    addends = 2 if operation == "sub" else data.draw(st.integers(2, 100))
    digits = data.draw(st.sampled_from([1, 2, 15, 16, 17, 18, 19, 30]))
    seed = data.draw(st.integers(0, 2**32))
    shown = np.random.default_rng(seed).integers(data.draw(st.sampled_from([0, 9])), 10, (3, addends, digits))
    assert totals(shown, operation).tolist() == [worked_out(one, operation) for one in shown.tolist()]


def test_an_epoch_holds_each_image_once_in_groups_that_stay_the_same() -> None:
    digits, config = marked(1000), config_of(3, batch_size=64, seed=5)
    batches = SumBatches(digits, config, CPU)
    assert len(batches) == 17  # 166 sums of 6 images, at most 10 at once
    assert grouped(np.arange(17), config_of(2, 3)).tolist() == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]
    groups: list[set[tuple[int, ...]]] = []
    orders = []
    for epoch in range(2):
        seen: list[tuple[int, ...]] = []
        for batch in batches.epoch(epoch):
            assert len(batch.image) in (54, 60)
            for where, total, digit in zip(
                np.reshape(places(batch.image), (-1, 6)).tolist(), batch.total, batch.digit, strict=True
            ):
                written = digits.digits[where].reshape(2, 3)
                assert digit.tolist() == written.tolist()
                assert total == worked_out(written.tolist(), "add")
                seen.append(tuple(where))
        assert len({place for group in seen for place in group}) == 6 * len(seen) == 996
        groups.append(set(seen))
        orders.append(seen)
    assert groups[0] == groups[1]
    assert orders[0] != orders[1]
    other = SumBatches(digits, replace(config, seed=6), CPU)
    assert groups[0] != {tuple(one) for one in other.place.flatten(1).tolist()}


def test_a_batch_holds_one_sum_at_least_and_processes_share_it() -> None:
    digits = marked(1000)
    assert [len(SumBatches(digits, config_of(n, batch_size=64), CPU)) for n in (1, 32, 33, 500)] == [16, 15, 15, 1]
    config = config_of(2, batch_size=64)
    whole = [places(batch.image) for batch in SumBatches(digits, config, CPU).epoch(0)]
    shares = [[places(batch.image) for batch in SumBatches(digits, config, CPU, share=(rank, 3)).epoch(0)]
              for rank in range(3)]  # fmt: skip
    for all_of_it, *parts in zip(whole, *shares, strict=True):
        assert sorted(all_of_it) == sorted(place for part in parts for place in part)
        assert min(map(len, parts)) > 0


def random_scores(sums: int, config: Config) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sums)
    scores = torch.randn(sums, config.addends, config.digits, 10, dtype=torch.float64, generator=generator)
    return (2 * scores).log_softmax(3)


@pytest.mark.parametrize(
    ("digits", "addends", "operation"),
    [(1, 2, "add"), (2, 2, "add"), (1, 4, "add"), (1, 2, "sub"), (2, 2, "sub")],
)
def test_the_loss_is_that_of_all_digits_that_make_the_total(digits: int, addends: int, operation: Operation) -> None:
    config, count = config_of(digits, addends, operation=operation), digits * addends
    scores = random_scores(3, config)
    chances: list[dict[int, float]] = [{}, {}, {}]
    for written in product(range(10), repeat=count):
        total = worked_out(np.reshape(written, (addends, digits)).tolist(), operation)
        log_probs = scores.flatten(1, 2)[:, range(count), written].sum(1).tolist()
        for chance, log_prob in zip(chances, log_probs, strict=True):
            chance[total] = chance.get(total, 0.0) + float(np.exp(log_prob))
    for total in list(chances[0])[:: max(1, len(chances[0]) // 20)]:
        nll = total_nll(scores, np.full(3, total), operation)
        assert nll.tolist() == pytest.approx([-np.log(chance[total]) for chance in chances], rel=1e-9)
    said, certain = SumAnswers(
        scores.flatten(0, 2).numpy(), np.zeros(3 * count, np.int64), config
    ).most_probable()  # fmt: skip
    assert said.tolist() == [max(chance, key=lambda total: chance[total]) == 0 for chance in chances]
    assert certain.all()


# Figures.


def answers_of(answer: list[int], truth: list[int], config: Config) -> SumAnswers:
    """Those of a network that gives its answers nine tenths."""
    scores = np.full((len(answer), 10), 0.1 / 9)
    scores[np.arange(len(answer)), answer] = 0.9
    return SumAnswers(np.log(scores).astype(np.float32), np.array(truth), config)


def test_a_sum_is_right_if_its_digits_add_up_whatever_they_are() -> None:
    answers = answers_of([1, 9, 0, 1, 5, 5, 7], [2, 0, 0, 0, 5, 6, 7], config_of(1))
    assert answers.sums_right().tolist() == [False, False, False]
    answers = answers_of([1, 9, 3, 1, 5, 5, 7], [9, 1, 2, 2, 5, 6, 7], config_of(1))
    assert answers.sums_right().tolist() == [True, True, False]
    assert answers.digits_right.tolist() == [False, False, False, False, True, False, True]
    assert answers.sums_right(np.array([4, 6, 5, 0, 1, 2, 3])).tolist() == [True, False, False]
    assert replace(answers, config=config_of(1, operation="sub")).sums_right().tolist() == [False, False, False]


def test_the_figures_are_those_of_the_digits_and_their_sums() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 10, 600)
    answer = np.where(random.random(600) < 0.1, (truth + 1) % 10, truth)
    config = config_of(4, 3)
    answers = answers_of(answer.tolist(), truth.tolist(), config)
    found = SumEvaluation.of(answers, "made up")
    groups = zip(answer.reshape(50, 3, 4).tolist(), truth.reshape(50, 3, 4).tolist(), strict=True)
    right = [worked_out(one, "add") == worked_out(two, "add") for one, two in groups]
    assert (found.images, found.sums, found.digits, found.addends) == (600, 50, 4, 3)
    assert found.sum.value == pytest.approx(np.mean(right))
    assert found.digit.value == (answer == truth).mean()
    assert found.digit.low < found.digit.value < found.digit.high
    assert found.digit_nll == pytest.approx(-np.log(np.where(answer == truth, 0.9, 0.1 / 9)).mean(), rel=1e-5)
    assert found.sum_nll == pytest.approx(answers.nll().mean())
    assert (found.regroupings, found.total_certain) == (REGROUPINGS, 1.0)
    assert 0.1 < found.regrouped < 0.5
    assert abs(found.regrouped - found.sum.value) < 5 * found.regrouped_sd
    assert 0 < found.regrouped_sd < 0.1
    assert found == SumEvaluation.of(answers, "made up")
    assert json.loads(json.dumps(found.as_dict()))["sum"]["method"] == "wilson"


def test_the_table_says_all_of_it_in_eighty_columns() -> None:
    answers = answers_of([1, 2, 3, 4, 5], [1, 2, 3, 4, 6], config_of(1, operation="sub"))
    text = sum_table(SumEvaluation.of(answers, "made up"))
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("made up: 5 images, 2 differences of 2 numbers of 1 digit\n")
    lines = {line.split()[0]: line.split()[1] for line in text.splitlines()[3:7]}
    assert lines == {"sum": "100.00", "total": "100.00", "regrouped": lines["regrouped"], "digit": "80.00"}
    assert "1 sum of 3 numbers of 2 digits" in sum_table(
        SumEvaluation.of(answers_of([1] * 6, [1] * 6, config_of(2, 3)), "x")
    )


# Settings.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"addends": 3, "operation": "sub"}, "--addends 3: expected 2 with --operation sub"),
        ({"operation": "mul"}, "--operation mul: expected one of add, sub"),
        ({"supervision": "none"}, "--supervision none: expected one of sums, digits"),
        ({"fusion": "concat"}, "--fusion concat: expected exact with --task addition, as --preset addition has it"),
        ({"outliers": 0.5}, "--outliers 0.5: expected 0.0 with --task addition, as --preset addition has it"),
        ({"soft_labels": True}, "--soft-labels True: expected False with --task addition, as --preset addition has it"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preset("addition", **changes)
    assert str(caught.value) == message
