"""Figures of digits and of sums against independent oracles: loops, closed formulas, enumeration."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sumnist.config import Config, Operation, preset
from sumnist.data.additions import SumBatches, grouped, totals
from sumnist.data.mnist import DISPUTED_TEST_LABELS, DigitSet, load_mnist
from sumnist.errors import ConfigError
from sumnist.evaluation.metrics import (
    REGROUPINGS,
    Accuracy,
    Evaluation,
    GridAnswers,
    SumAnswers,
    SumEvaluation,
    answer_grid,
    calibration_bins,
    calibration_error,
    disputed_labels,
)
from sumnist.evaluation.text import sum_table
from sumnist.model.losses import total_nll
from sumnist.model.network import TwoInputNet

Z = NormalDist().inv_cdf(0.975)


def answers_right_but(truth: list[int]) -> GridAnswers:
    """Answers to images of the digits `truth`, all right, 80 % sure, to be spoiled with `replace`."""
    digits = np.array(truth, np.int64)
    shape = (len(digits), 10)
    sure, nll = np.full(shape, 0.8, np.float32), np.full(shape, -math.log(0.8), np.float32)
    digit = np.repeat(digits[:, None], 10, 1)
    return GridAnswers(digits, digit, digit + np.arange(10), sure, sure.copy(), nll, nll.copy(), None)


def wilson_by_hand(share: float, count: int) -> tuple[float, float]:
    """The two roots p of (share − p)² = z² p (1 − p) / n, Wilson's definition, by the quadratic formula."""
    a, b, c = 1 + Z * Z / count, -(2 * share + Z * Z / count), share * share
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (0, 50), (50, 50), (37, 50), (9_931, 10_000)])
def test_wilson_is_used_and_right_where_an_image_is_right_with_all_numbers_or_none(right: int, count: int) -> None:
    outcome = np.repeat(np.arange(count)[:, None] < right, 10, 1)
    accuracy = Accuracy.of(outcome)
    low, high = wilson_by_hand(right / count, count)
    assert accuracy.method == "wilson"
    assert accuracy.value == pytest.approx(right / count)
    assert (accuracy.low, accuracy.high) == pytest.approx((low, high), abs=1e-12)
    assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1


def test_the_bootstrap_agrees_with_resampling_images_in_a_loop() -> None:
    chance = random.Random(1)
    images = [[chance.random() < quality for _ in range(10)] for quality in [0.97] * 60 + [0.3] * 20]
    accuracy = Accuracy.of(np.array(images))
    shares = []
    for _ in range(4_000):
        drawn = [images[chance.randrange(len(images))] for _ in images]
        shares.append(sum(map(sum, drawn)) / (10 * len(drawn)))
    shares.sort()
    assert accuracy.method == "bootstrap"
    assert accuracy.value == pytest.approx(sum(map(sum, images)) / 800)
    assert accuracy.low == pytest.approx(shares[100], abs=0.006)
    assert accuracy.high == pytest.approx(shares[3900], abs=0.006)
    assert accuracy == Accuracy.of(np.array(images))


def test_the_calibration_error_of_answers_made_by_hand_is_known() -> None:
    confidence = np.array([[0.5] * 8 + [1.0] * 2], np.float32)
    right = np.array([[True] * 2 + [False] * 6 + [True] * 2])
    bins = calibration_bins(confidence, right)
    assert [(b.confidence, b.accuracy, b.share) for b in bins] == [(0.5, 0.25, 0.8), (1.0, 1.0, 0.2)]
    assert calibration_error(confidence, right) == pytest.approx(0.8 * 0.25)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 1 / 15, 1.0000001])
def test_confidence_at_the_ends_falls_into_one_bin(confidence: float) -> None:
    assert len(calibration_bins(np.full((3, 10), confidence, np.float32), np.ones((3, 10), bool))) == 1


def test_every_wrong_answer_changes_the_figures_it_should_change() -> None:
    answers = answers_right_but([3, 3, 8, 9])
    digit, total, nll = answers.digit.copy(), answers.sum.copy(), answers.sum_nll.copy()
    digit[0, 7] = 5  # image 0: digit wrong with 7, sum right
    total[2, 7] = 0  # image 2: sum wrong with 7
    total[2, 1] = 0  # and with 1
    nll[2, 1] = 4.0
    spelled = answers.true_sum.copy()
    spelled[0, :5] = 31
    result = Evaluation.of(replace(answers, digit=digit, sum=total, sum_nll=nll, sum_by_bits=spelled), "made up")
    assert result.sum_by_bits is not None
    assert result.sum_by_bits.value == 35 / 40
    assert result.digit.value == pytest.approx(39 / 40)
    assert result.sum.value == pytest.approx(38 / 40)
    assert result.joint.value == pytest.approx(37 / 40)
    assert result.errors == 2
    assert result.errors_outside_disputed is None
    assert result.digit_by_digit == [None, None, None, 0.95, None, None, None, None, 1.0, 1.0]
    assert result.sum_by_digit == [None, None, None, 1.0, None, None, None, None, 0.8, 1.0]
    assert result.digit_by_number == [1, 1, 1, 1, 1, 1, 1, 0.75, 1, 1]
    assert result.sum_by_number == [1, 0.75, 1, 1, 1, 1, 1, 0.75, 1, 1]
    assert result.digit_nll == pytest.approx(-math.log(0.8))
    assert result.sum_nll == pytest.approx((39 * -math.log(0.8) + 4) / 40)
    assert result.sum_ece == pytest.approx(38 / 40 - 0.8)


def test_errors_on_disputed_labels_are_told_from_the_others_by_the_labels_not_by_a_name() -> None:
    truth = load_mnist("test").digits
    answers = answers_right_but(truth.tolist())
    digit = answers.digit.copy()
    for image in (0, 1, DISPUTED_TEST_LABELS[0], DISPUTED_TEST_LABELS[14]):
        digit[image] = 9 - digit[image]
    result = Evaluation.of(replace(answers, digit=digit), "a copy of MNIST")
    assert (result.errors, result.errors_outside_disputed) == (4, 2)
    assert disputed_labels(truth[::-1].copy()) is None
    assert Evaluation.of(answers_right_but([1, 2]), "MNIST test").errors_outside_disputed is None


def test_an_evaluation_survives_json() -> None:
    answers = answers_right_but([1, 2, 2])
    for result in (Evaluation.of(answers, "x"), Evaluation.of(replace(answers, sum_by_bits=answers.sum), "x")):
        assert Evaluation.from_dict(json.loads(json.dumps(result.as_dict())) | {"date": "today"}) == result


def seven_images() -> DigitSet:
    digits = load_mnist("train")
    return DigitSet(digits.images[:7], digits.digits[:7], "seven")


@pytest.mark.parametrize(
    "config", [preset("tiny"), preset("tiny", fusion="concat"), preset("original")], ids=lambda config: config.fusion
)
def test_the_grid_is_what_the_network_says_pair_by_pair(config: Config) -> None:
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    digits = seven_images()
    answers = answer_grid(net, digits, batch_size=4)
    assert net.training, "the network is given back as it came"
    net.eval()
    assert (answers.sum_by_bits is not None) == (config.fusion == "original")
    assert answers.sum_computed == (config.fusion == "exact")
    for image in range(7):
        picture = torch.from_numpy(digits.images[image].astype(np.float32) / 255)[None, None]
        for number in range(10):
            with torch.no_grad():
                outputs = net(picture, torch.tensor([number]))
                heads = net.heads(picture, torch.tensor([number]))
            digit, total = (output[0].double().exp().numpy() for output in outputs)
            at, true = (image, number), int(digits.digits[image])
            check_answer(digit, int(answers.digit[at]), answers.digit_confidence[at], answers.digit_nll[at], true)
            check_answer(total, int(answers.sum[at]), answers.sum_confidence[at], answers.sum_nll[at], true + number)
            if heads.sum is not None and heads.sum.shape[1] == 5:
                assert answers.sum_by_bits is not None
                bits = [int(logit > 0) for logit in heads.sum[0].tolist()]
                assert answers.sum_by_bits[at] == sum(bit * 2**place for place, bit in enumerate(bits))
            else:
                assert answers.sum_by_bits is None


def check_answer(
    probabilities: NDArray[np.float64], answer: int, confidence: np.float32, nll: np.float32, truth: int
) -> None:
    assert probabilities[answer] == pytest.approx(probabilities.max(), abs=1e-6)
    assert confidence == pytest.approx(probabilities[answer], abs=1e-5)
    assert nll == pytest.approx(-math.log(probabilities[truth]), abs=1e-4)


def test_a_computed_sum_is_right_exactly_where_the_digit_is() -> None:
    torch.manual_seed(1)
    digits = seven_images()
    result = Evaluation.of(answer_grid(TwoInputNet("tiny", "exact"), digits), digits.name)
    assert result.digit == result.sum == result.joint
    assert result.digit.method == "wilson"
    assert result.digit_nll == pytest.approx(result.sum_nll)


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
