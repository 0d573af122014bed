"""Figures against independent oracles: explicit loops, closed formulas, a brute-force bootstrap."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sumnist.config import Config, preset
from sumnist.data.mnist import DISPUTED_TEST_LABELS, DigitSet, load_mnist
from sumnist.evaluation.metrics import (
    Accuracy,
    Evaluation,
    GridAnswers,
    answer_grid,
    calibration_bins,
    calibration_error,
    disputed_labels,
)
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
