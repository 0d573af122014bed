"""The plots: what they show, and that they can be drawn from whatever a run may leave."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sumnist.data.mnist import DISPUTED_TEST_LABELS, DigitSet, load_mnist
from sumnist.errors import MissingExtraError, OutputError
from sumnist.evaluation import plots
from sumnist.evaluation.metrics import GridAnswers
from sumnist.evaluation.plots import (
    confusion,
    draw_plots,
    mistakes,
    most_confident_mistakes,
    reliability,
    save,
    training_curves,
)


def made_up(count: int = 30, wrong: int = 0, seed: int = 0) -> tuple[GridAnswers, DigitSet]:
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


def epoch(number: int, validation: bool = True, apart: float = 0.0) -> dict[str, float]:
    row = {"epoch": number, "digit_loss": 1 / number, "sum_loss": 1 / number + apart,
           "train_digit": 1 - 0.1 / number, "train_sum": 1 - 0.1 / number - apart / 10}  # fmt: skip
    if validation:
        row |= {"validation_digit": 1 - 0.05 / number, "validation_sum": 1 - 0.05 / number - apart / 10,
                "validation_digit_nll": 0.5 / number, "validation_sum_nll": 0.5 / number + apart}  # fmt: skip
    return row


@pytest.mark.parametrize("wrong", [0, 4])
def test_all_plots_are_pictures_with_any_number_of_mistakes(tmp_path: Path, wrong: int) -> None:
    paths = draw_plots(tmp_path, *made_up(wrong=wrong), metrics=[epoch(1)] if wrong else [])
    names = {"confusion-digit.png", "confusion-sum.png", "reliability.png", "mistakes.png"}
    assert {path.name for path in paths} == names | ({"training.png"} if wrong else set())
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for path in paths:
        with Image.open(path) as picture:
            picture.load()
            assert picture.width >= 500


def test_drawing_leaves_the_style_of_others_alone_and_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    before, (answers, digits) = dict(matplotlib.rcParams), made_up(count=1, wrong=1)
    for figure in (mistakes(answers, digits), confusion(answers, "sum"), reliability(answers)):
        save(figure, tmp_path / "plot.png")
    assert dict(matplotlib.rcParams) == before
    assert "pyplot" not in Path(plots.__file__).read_text(encoding="utf-8"), "pyplot keeps figures alive"
    with pytest.raises(OutputError, match="cannot be written"):
        save(figure, tmp_path / "missing" / "plot.png")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "sumnist.evaluation.plots")
    with pytest.raises(MissingExtraError) as caught:
        importlib.import_module("sumnist.evaluation.plots")
    expected = 'drawing plots needs matplotlib, which is not installed; install it with: pip install "sumnist[train]"'
    assert str(caught.value) == expected


def test_the_digit_matrix_counts_images_or_pairs_and_names_the_most_frequent_confusion() -> None:
    answers, _ = made_up(count=18)
    digit = answers.digit.copy()
    digit[[4, 13]], digit[5] = 8, 6  # both fours read as eights, one five as a six
    shown = texts(confusion(replace(answers, digit=digit), "digit"))
    assert "3 of 18 images get a wrong digit" in shown
    assert "most often 4 is taken for 8: 2 images" in shown
    digit = answers.digit.copy()
    digit[4, :3] = 8
    assert "3 of 180 pairs get a wrong digit" in texts(confusion(replace(answers, digit=digit), "digit"))


def test_the_cells_of_a_matrix_are_the_counts_of_a_loop() -> None:
    answers, _ = made_up(count=20, wrong=7)
    axes = confusion(answers, "sum").axes[0]
    cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    counts: dict[tuple[int, int], int] = {}
    for image in range(20):
        for number in range(10):
            cell = int(answers.truth[image]) + number, int(answers.sum[image, number])
            counts[cell] = counts.get(cell, 0) + 1
    assert cells == {cell: str(count) for cell, count in counts.items()}


def test_a_reliability_point_stands_at_confidence_and_accuracy_and_a_computed_sum_has_no_diagram_of_its_own() -> None:
    answers, _ = made_up(count=40, wrong=10)
    sure = np.full((40, 10), 0.9, np.float32)
    answers = replace(answers, digit_confidence=sure, sum_confidence=sure)
    figure, alone = reliability(answers), reliability(replace(answers, sum_computed=True))
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert np.ravel(points[0].get_data()).tolist() == pytest.approx([0.9, 0.75])
    assert "digit 15.00 %, sum 15.00 %" in texts(figure)
    assert "Calibration error: digit and sum 15.00 %" in texts(alone)
    assert (len(figure.axes), len(alone.axes)) == (4, 2)


def test_the_most_confident_mistakes_come_first_one_for_each_image_with_the_number_they_are_surest_of() -> None:
    answers, _ = made_up(wrong=6)
    found = [(mistake.image, mistake.number, mistake.confidence) for mistake in most_confident_mistakes(answers, 4)]
    assert np.array(found) == pytest.approx(np.array([(5, 5, 0.9), (4, 4, 0.82), (3, 3, 0.74), (2, 2, 0.66)]))
    answers, _ = made_up()  # above, all numbers tie, and take turns
    total, sure = answers.sum.copy(), answers.sum_confidence.copy()
    total[7, [2, 6]], sure[7, 2], sure[7, 6] = 0, 0.6, 0.7
    (one,) = most_confident_mistakes(replace(answers, sum=total, sum_confidence=sure))
    assert (one.image, one.number, one.confidence) == (7, 6, pytest.approx(0.7))


def test_mistakes_show_truth_answer_and_confidence() -> None:
    answers, digits = made_up(count=4, wrong=1)
    sure = answers.digit_confidence.copy()
    sure[0] = 0.99999
    shown = texts(mistakes(replace(answers, digit_confidence=sure), digits)).splitlines()
    assert "1 of 4 images has a wrong answer" in shown[0]
    caption = ["+ 0", "", "digit", "sum", "truth", "0", "0", "answer", "1", "1", "sure", "> 99.9 %", "50.0 %"]
    assert shown[1:] == caption


def test_a_disputed_label_is_marked() -> None:
    digits = load_mnist("test")
    digit = np.repeat(digits.digits[:, None], 10, 1)
    digit[DISPUTED_TEST_LABELS[0]] = 0
    sure = np.full(digit.shape, 0.9, np.float32)
    right = digits.digits[:, None] + np.arange(10)
    answers = GridAnswers(digits.digits, digit, right, sure, sure, sure, sure, None)
    assert "(label disputed)" in texts(mistakes(answers, digits))


@pytest.mark.parametrize("epochs", [1, 15])
@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("apart", [0.0, 0.2])
def test_training_curves_show_what_there_is(epochs: int, validation: bool, apart: float) -> None:
    figure = training_curves([epoch(i + 1, validation, apart) for i in range(epochs)])
    figure.canvas.draw()
    curves = (1 if apart == 0 else 2) * (2 if validation else 1)
    for axes in figure.axes:
        lengths = [len(line.get_xdata()) for line in axes.lines]  # type: ignore[arg-type]
        assert lengths == ([] if epochs == 1 else [epochs] * curves), "no curve of a single point"
        assert len(axes.containers) == (1 if epochs == 1 else 0)
        assert sum(len(bars) for bars in axes.containers) == (curves if epochs == 1 else 0)
    labels = texts(figure) + "".join(tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels())
    assert ("held out" in labels) == validation
    assert ("digit = sum" in labels) == (apart == 0)
    assert f"After {epochs} epoch" in texts(figure)


@pytest.mark.parametrize(
    "rows",
    [
        *([epoch(1) | dict.fromkeys(("train_digit", "train_sum", "validation_digit", "validation_sum"), value)]
          for value in (0.0, 1.0)),
        [epoch(1) | {"digit_loss": 0.0, "validation_digit_nll": 0.0}],
        [epoch(1, validation=False), epoch(2)],
    ],
)  # fmt: skip
def test_training_curves_take_full_accuracy_none_no_loss_and_a_validation_that_began_late(rows: Any) -> None:
    training_curves(rows).canvas.draw()


@pytest.mark.parametrize("draw", ["curves", "reliability"])
def test_no_legend_lies_on_what_is_drawn(draw: str) -> None:
    figure = (
        training_curves([epoch(i + 1, apart=0.2) for i in range(4)])
        if draw == "curves"
        else reliability(made_up(count=60, wrong=20)[0])
    )
    figure.canvas.draw()
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert len(legends) == 2
    for legend in legends:
        assert legend is not None
        assert not any(legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)
