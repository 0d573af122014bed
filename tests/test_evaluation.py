"""Figures of digits and sums against independent oracles: loops, formulas, enumeration; their plots and their texts."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from sumnist.config import Training, preset
from sumnist.data.additions import SumBatches, grouped, totals
from sumnist.data.mnist import DISPUTED_TEST_LABELS, DigitSet, load_mnist
from sumnist.errors import DataError, OutputError, RunError
from sumnist.evaluation import metrics, plots
from sumnist.evaluation.metrics import Accuracy, Evaluation, GridAnswers, SumAnswers, SumEvaluation, answer_grid
from sumnist.evaluation.text import comparison, duration, sum_table
from sumnist.model.checkpoint import save_network
from sumnist.model.losses import sum_of, total_nll
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import evaluate_run, side_by_side

# Figures.


def answers_right_but(truth: list[int]) -> GridAnswers:
    """Answers to images of the digits `truth`, all right, 80 % sure, to be spoiled with `replace`."""
    digits = np.array(truth, np.int64)
    shape = (len(digits), 10)
    sure, nll = np.full(shape, 0.8, np.float32), np.full(shape, -math.log(0.8), np.float32)
    digit = np.repeat(digits[:, None], 10, 1)
    return GridAnswers(digits, digit, digit + np.arange(10), sure, sure.copy(), nll, nll.copy(), None)


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (50, 50), (37, 50), (9_931, 10_000)])
def test_wilson_is_used_and_right_where_an_image_is_right_with_all_numbers_or_none(right: int, count: int) -> None:
    accuracy = Accuracy.of(np.repeat(np.arange(count)[:, None] < right, 10, 1))
    # The two roots p of (share − p)² = z² p (1 − p) / n, Wilson's definition.
    z, share = NormalDist().inv_cdf(0.975) ** 2 / count, right / count
    a, b = 1 + z, -(2 * share + z)
    low, high = ((-b + sign * math.sqrt(max(0.0, b * b - 4 * a * share * share))) / (2 * a) for sign in (-1, 1))
    assert accuracy.method == "wilson"
    assert (accuracy.low, accuracy.value, accuracy.high) == pytest.approx((low, share, high), abs=1e-12)
    assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1


def test_the_bootstrap_agrees_with_resampling_images_in_a_loop() -> None:
    chance = random.Random(1)
    images = [[chance.random() < quality for _ in range(10)] for quality in [0.97] * 60 + [0.3] * 20]
    accuracy = Accuracy.of(np.array(images))
    draws = (chance.choices(images, k=len(images)) for _ in range(4_000))
    shares = sorted(sum(map(sum, drawn)) / (10 * len(drawn)) for drawn in draws)
    assert accuracy.method == "bootstrap"
    assert accuracy.value == pytest.approx(sum(map(sum, images)) / 800)
    assert (accuracy.low, accuracy.high) == pytest.approx((shares[100], shares[3900]), abs=0.006)
    assert accuracy == Accuracy.of(np.array(images))


def test_the_calibration_error_of_answers_made_by_hand_is_known() -> None:
    confidence = np.array([[0.5] * 8 + [1.0] * 2], np.float32)
    right = np.array([[True] * 2 + [False] * 6 + [True] * 2])
    assert metrics.calibration_bins(confidence, right) == [(0.5, 0.25, 0.8), (1.0, 1.0, 0.2)]
    assert metrics.calibration_error(confidence, right) == pytest.approx(0.8 * 0.25)
    for end in (0.0, 1.0, 1 / 15, 1.0000001):
        assert len(metrics.calibration_bins(np.full((3, 10), end, np.float32), np.ones((3, 10), bool))) == 1


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
    shares = [one.value for one in (result.sum_by_bits, result.digit, result.sum, result.joint)]
    assert shares == pytest.approx([35 / 40, 39 / 40, 38 / 40, 37 / 40])
    assert (result.errors, result.errors_outside_disputed) == (2, None)
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
    assert metrics.disputed_labels(truth[::-1].copy()) is None
    assert Evaluation.of(answers_right_but([1, 2]), "MNIST test").errors_outside_disputed is None


@pytest.mark.parametrize(
    "config", [preset("tiny"), preset("tiny", fusion="concat"), preset("original")], ids=lambda config: config.fusion
)
def test_the_grid_is_what_the_network_says_pair_by_pair(config: Training) -> None:
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    digits = load_mnist("train").part(np.arange(7))
    answers = answer_grid(net, digits, batch_size=4)
    assert net.training, "the network is given back as it came"
    net.eval()
    assert (answers.sum_by_bits is not None) == (config.fusion == "original")
    assert answers.sum_computed == (config.fusion == "exact")
    for image, number in product(range(7), range(10)):
        picture = torch.from_numpy(digits.images[image].astype(np.float32) / 255)[None, None]
        with torch.no_grad():
            heads = net.heads(picture, torch.tensor([number]))
            outputs = net.outputs(heads, torch.tensor([number]))
        at, true = (image, number), int(digits.digits[image])
        for name, scores, truth in (("digit", outputs.digit, true), ("sum", outputs.sum, true + number)):
            answer, confidence, nll = (getattr(answers, name + part)[at] for part in ("", "_confidence", "_nll"))
            chances = scores[0].double().exp().numpy()
            assert chances[answer] == pytest.approx(chances.max(), abs=1e-6)
            assert confidence == pytest.approx(chances[answer], abs=1e-5)
            assert nll == pytest.approx(-math.log(chances[truth]), abs=1e-4)
        if answers.sum_by_bits is not None and heads.sum is not None:
            bits = [int(logit > 0) for logit in heads.sum[0].tolist()]
            assert answers.sum_by_bits[at] == sum(bit * 2**place for place, bit in enumerate(bits))
    result = Evaluation.of(answers, digits.name)
    if config.fusion == "exact":  # a computed sum is right exactly where the digit is
        assert result.digit == result.sum == result.joint
        assert result.digit.method == "wilson"
        assert result.digit_nll == pytest.approx(result.sum_nll)


CPU = torch.device("cpu")


def config_of(digits: int, addends: int = 2, **changes: Any) -> Training:
    return preset("addition", encoder="tiny", digits=digits, addends=addends, **changes)


def worked_out(digits: list[list[int]]) -> int:
    """The sum of numbers by their digits, by Python's own integers."""
    return sum(int("".join(map(str, number))) for number in digits)


@given(st.data())
def test_totals_are_those_of_pythons_integers(data: Any) -> None:
    addends = data.draw(st.integers(2, 100))
    digits = data.draw(st.sampled_from([1, 2, 15, 16, 17, 18, 19, 30]))
    seed = data.draw(st.integers(0, 2**32))
    shown = np.random.default_rng(seed).integers(data.draw(st.sampled_from([0, 9])), 10, (3, addends, digits))
    assert totals(shown).tolist() == [worked_out(one) for one in shown.tolist()]


def test_an_epoch_holds_each_image_once_in_groups_that_stay_the_same() -> None:
    images = np.zeros((1000, 28, 28), np.uint8)  # which tell their own place, in two pixels
    images[:, 0, 0], images[:, 0, 1] = np.arange(1000) // 256, np.arange(1000) % 256
    digits, config = (
        DigitSet(images, np.random.default_rng(0).integers(0, 10, 1000), "marked"),
        config_of(3, batch_size=64, seed=5),
    )

    def places(batch: Any) -> Any:
        pixels = (batch.image[:, 0, 0, :2] * 255).round().int()
        return (pixels @ torch.tensor([256, 1], dtype=torch.int32)).view(-1, 6).tolist()

    batches = SumBatches(digits, config, CPU)
    assert len(batches) == 17  # 166 sums of 6 images, at most 10 at once
    assert grouped(np.arange(17), config_of(2, 3)).tolist() == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]
    orders = []
    for epoch in range(2):
        seen: list[tuple[int, ...]] = []
        for batch in batches.epoch(epoch):
            assert len(batch.image) in (54, 60)
            for where, total, digit in zip(places(batch), batch.total, batch.digit.tolist(), strict=True):
                assert digit == digits.digits[where].reshape(2, 3).tolist()
                assert total == worked_out(digit)
                seen.append(tuple(where))
        assert len({place for group in seen for place in group}) == 6 * len(seen) == 996
        orders.append(seen)
    assert set(orders[0]) == set(orders[1])
    assert orders[0] != orders[1]
    other = SumBatches(digits, replace(config, seed=6), CPU)
    assert set(orders[0]) != {tuple(one) for one in other.place.flatten(1).tolist()}
    assert [len(SumBatches(digits, config_of(n, batch_size=64), CPU)) for n in (1, 32, 33, 500)] == [16, 15, 15, 1]


@pytest.mark.parametrize(("digits", "addends"), [(2, 2), (1, 4)])
def test_the_loss_is_that_of_all_digits_that_make_the_total(digits: int, addends: int) -> None:
    config, count = config_of(digits, addends), digits * addends
    generator = torch.Generator().manual_seed(3)
    scores = (2 * torch.randn(3, addends, digits, 10, dtype=torch.float64, generator=generator)).log_softmax(3)
    chances: list[dict[int, float]] = [{}, {}, {}]
    for written in product(range(10), repeat=count):
        total = worked_out(np.reshape(written, (addends, digits)).tolist())
        log_probs = scores.flatten(1, 2)[:, range(count), written].sum(1).tolist()
        for chance, log_prob in zip(chances, log_probs, strict=True):
            chance[total] = chance.get(total, 0.0) + float(np.exp(log_prob))
    for total in list(chances[0])[:: max(1, len(chances[0]) // 20)]:
        nll = total_nll(scores, np.full(3, total))
        assert nll.tolist() == pytest.approx([-np.log(chance[total]) for chance in chances], rel=1e-9)
    said, certain = SumAnswers(scores.flatten(0, 2).numpy(), np.zeros(3 * count, np.int64), config).most_probable()
    assert said.tolist() == [max(chance, key=lambda total: chance[total]) == 0 for chance in chances]
    assert certain.all()


@pytest.mark.parametrize("sharp", [0.01, 1.0, 8.0])
def test_the_loss_and_the_gradient_of_many_digits_are_those_of_their_exact_sum(sharp: float) -> None:
    generator = torch.Generator().manual_seed(3)
    made, total = sharp * torch.randn(2, 40, 1, 10, dtype=torch.float64, generator=generator), np.array([180, 150])
    found = []
    for nll in (total_nll, lambda scores, total: -sum_of(scores).log_prob(total)):
        scores = made.log_softmax(3).requires_grad_()
        loss = nll(scores, total)
        found.append((loss, *torch.autograd.grad(loss.sum(), scores)))
    (loss, gradient), (expected, slope) = found
    assert torch.allclose(loss, expected, rtol=1e-10)
    assert torch.allclose(gradient, slope, atol=1e-10)


# Figures.


def answers_of(answer: list[int], truth: list[int], config: Training) -> SumAnswers:
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


def test_the_figures_are_those_of_the_digits_and_their_sums() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 10, 600)
    answer = np.where(random.random(600) < 0.1, (truth + 1) % 10, truth)
    config = config_of(4, 3)
    answers = answers_of(answer.tolist(), truth.tolist(), config)
    found = SumEvaluation.of(answers, "made up")
    groups = zip(answer.reshape(50, 3, 4).tolist(), truth.reshape(50, 3, 4).tolist(), strict=True)
    right = [worked_out(one) == worked_out(two) for one, two in groups]
    assert (found.images, found.sums, found.digits, found.addends) == (600, 50, 4, 3)
    assert found.sum.value == pytest.approx(np.mean(right))
    assert found.digit.value == (answer == truth).mean()
    assert found.digit.low < found.digit.value < found.digit.high
    assert found.digit_nll == pytest.approx(-np.log(np.where(answer == truth, 0.9, 0.1 / 9)).mean(), rel=1e-5)
    assert found.sum_nll == pytest.approx(answers.nll().mean())
    assert (found.regroupings, found.total_certain) == (100, 1.0)
    assert 0.1 < found.regrouped < 0.5
    assert abs(found.regrouped - found.sum.value) < 5 * found.regrouped_sd
    assert 0 < found.regrouped_sd < 0.1
    assert found == SumEvaluation.of(answers, "made up")
    assert json.loads(json.dumps(found.as_dict()))["sum"]["method"] == "wilson"
    assert f"{100 * found.regrouped:.2f}" in sum_table(found)


# Plots.


def noise_read(count: int = 30, wrong: int = 0, seed: int = 0) -> tuple[GridAnswers, DigitSet]:
    """Answers to `count` pictures of noise, the first `wrong` of them with a wrong digit and sum, surer and surer."""
    random = np.random.default_rng(seed)
    truth = np.arange(count, dtype=np.int64) % 9  # never a nine
    digit = np.repeat(truth[:, None], 10, 1)
    digit[:wrong] = (digit[:wrong] + 1) % 9
    sure = np.full((count, 10), 0.99, np.float32)
    sure[:wrong] = np.linspace(0.5, 0.9, wrong, dtype=np.float32)[:, None]
    nll = -np.log(sure)
    images = random.integers(0, 256, (count, 28, 28), np.uint8)
    answers = GridAnswers(truth, digit, digit + np.arange(10), sure, sure, nll, nll, None)
    return answers, DigitSet(images, truth, "made up")


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]  # the title is one of them
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]
        if axes.get_legend():
            found += [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    return "\n".join(found)


def row_of(number: int, validation: bool = True, apart: float = 0.0) -> dict[str, float]:
    row = {"epoch": number, "digit_loss": 1 / number, "sum_loss": 1 / number + apart,
           "train_digit": 1 - 0.1 / number, "train_sum": 1 - 0.1 / number - apart / 10}  # fmt: skip
    if validation:
        row |= {"validation_digit": 1 - 0.05 / number, "validation_sum": 1 - 0.05 / number - apart / 10,
                "validation_digit_nll": 0.5 / number, "validation_sum_nll": 0.5 / number + apart}  # fmt: skip
    return row


@pytest.mark.parametrize("wrong", [0, 4])
def test_all_plots_are_pictures_with_any_number_of_mistakes_and_leave_the_style_of_others_alone(
    tmp_path: Path, wrong: int
) -> None:
    before, made = dict(matplotlib.rcParams), noise_read(wrong=wrong)
    plots.draw_plots(tmp_path, *made, [row_of(1)] if wrong else [], "")
    names = {"confusion-digit.png", "confusion-sum.png", "reliability.png", "mistakes.png"}
    assert {path.name for path in tmp_path.iterdir()} == names | ({"training.png"} if wrong else set())
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert picture.width >= 500
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(OutputError, match="cannot be written"):
        plots.draw_plots(tmp_path / "missing", *made, [], "")


def test_a_matrix_counts_images_or_pairs_and_names_the_most_frequent_confusion() -> None:
    answers, _ = noise_read(count=18)
    digit = answers.digit.copy()
    digit[[4, 13]], digit[5] = 8, 6  # both fours read as eights, one five as a six
    shown = texts(plots.confusion(replace(answers, digit=digit), "digit"))
    assert "3 of 18 images get a wrong digit" in shown
    assert "most often 4 is taken for 8: 2 images" in shown
    digit = answers.digit.copy()
    digit[4, :3] = 8
    assert "3 of 180 pairs get a wrong digit" in texts(plots.confusion(replace(answers, digit=digit), "digit"))
    answers, _ = noise_read(count=20, wrong=7)
    found = plots.confusion(answers, "sum").axes[0].texts
    cells = {tuple(map(int, text.get_position()[::-1])): int(text.get_text()) for text in found}
    assert cells == Counter(
        (int(answers.truth[image]) + number, int(answers.sum[image, number]))
        for image in range(20) for number in range(10)
    )  # fmt: skip


def test_the_most_confident_mistakes_come_first_one_for_each_image_with_the_number_they_are_surest_of() -> None:
    answers, _ = noise_read(wrong=6)
    assert np.array(plots.most_confident_mistakes(answers, 4)) == pytest.approx(
        np.array([(5, 5, 0.9), (4, 4, 0.82), (3, 3, 0.74), (2, 2, 0.66)])
    )
    answers, _ = noise_read()  # above, all numbers tie, and take turns
    total, sure = answers.sum.copy(), answers.sum_confidence.copy()
    total[7, [2, 6]], sure[7, 2], sure[7, 6] = 0, 0.6, 0.7
    (one,) = plots.most_confident_mistakes(replace(answers, sum=total, sum_confidence=sure))
    assert one == pytest.approx((7, 6, 0.7))


# Texts.


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    return shutil.copytree(small_run, tmp_path / "run")


def test_evaluating_a_run_gives_the_figures_of_its_network_on_its_own_test_images_or_on_others(
    run: Path, small_config: Training
) -> None:
    digits = load_mnist("test", small_config.data_dir)
    expected = Evaluation.of(answer_grid(load_network(run)[0], digits), digits.name)
    assert evaluate_run(run, device="cpu", plots=False) == expected
    written = json.loads((run / "evaluation.json").read_text())
    assert json.loads(json.dumps(expected.as_dict())).items() <= written.items()
    assert datetime.fromisoformat(written["date"]).utcoffset() is not None
    assert "commit" in written
    assert not (run / "plots").exists()
    moved = shutil.copytree(str(small_config.data_dir), run.parent / "moved")
    assert evaluate_run(run, data_dir=moved, device="cpu").data == f"{moved} test"
    drawn = {path.name for path in (run / "plots").iterdir()}
    assert drawn == {"confusion-digit.png", "confusion-sum.png", "reliability.png", "mistakes.png", "training.png"}


def test_data_that_are_gone_and_answers_that_are_no_numbers_are_errors_that_name_what_to_do(
    run: Path, small_config: Training, tmp_path: Path
) -> None:
    net, gone = TwoInputNet("tiny", "exact"), tmp_path / "gone"
    save_network(net, run, replace(small_config, data_dir=gone))
    with pytest.raises(DataError) as caught:
        evaluate_run(run, plots=False)
    start = f"{run} was trained on data of its own, which cannot be loaded: --data-dir {gone}: does not exist"
    assert str(caught.value).startswith(start)
    torch.nn.init.constant_(next(net.parameters()), 3e38)  # finite itself, but not what comes of it
    save_network(net, run, small_config)
    with pytest.raises(RunError, match=r"model\.safetensors: its answers are not numbers: train the run again"):
        evaluate_run(run, plots=False)
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize("blocked", ["evaluation.json", "plots"])
def test_a_place_that_cannot_be_written_is_an_output_error(run: Path, blocked: str) -> None:
    if blocked == "plots":
        (run / blocked).write_text("a file where the folder should be")
    else:
        (run / blocked).mkdir()
    with pytest.raises(OutputError, match=blocked):
        evaluate_run(run, device="cpu", plots=blocked == "plots")


def test_durations_read_as_people_say_them() -> None:
    said = {0.04: "0.0 s", 59.94: "59.9 s", 59.96: "1 min 0 s", 3599.4: "59 min 59 s", 3600.0: "1 h 0 min",
            9000.0: "2 h 30 min", math.nan: "–"}  # fmt: skip
    assert list(map(duration, said)) == list(said.values())


def test_runs_stand_side_by_side_with_their_seconds(run: Path, small_config: Training) -> None:
    evaluation = evaluate_run(run, device="cpu", plots=False)
    seconds, other = json.loads((run / "record.json").read_text())["seconds"], run.parent / "other" / "run"
    shutil.copytree(run, other)
    assert side_by_side(dict.fromkeys((run, other), evaluation)) == comparison(
        [(str(folder), small_config, evaluation, seconds) for folder in (run, other)]
    )
    assert side_by_side({run: evaluation}) == comparison([("run", small_config, evaluation, seconds)])
    for broken in ("1e999", "NaN", '"x"', "true"):
        (run / "record.json").write_text('{"seconds": ' + broken + "}")
        assert side_by_side({run: evaluation})
