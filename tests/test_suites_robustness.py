"""`robustness` and `folder`: every figure against a count by hand, with a reader whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

import sumnist
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import hold_out
from sumnist.errors import ConfigError, DataError, ImageError, SumnistError
from sumnist.inference.reader import Reader, Reading
from sumnist.lab.suites import robustness as suite
from sumnist.lab.suites.answers import answers_of, area_under_roc, network_digits
from sumnist.lab.suites.corruptions import CORRUPTIONS
from sumnist.lab.suites.digits import font_digits, small_digits
from sumnist.lab.suites.robustness import Robustness, folder, mnist_half, robustness
from sumnist.pictures.decode import Picture
from sumnist.pictures.normalize import picture_of


def reading(digit: int, confidence: float = 0.9, accepted: bool = True, reason: str | None = None) -> Reading:
    return Reading(digit, digit, 0, confidence, (0.1,) * 10, range(10), (0.1,) * 10, accepted, reason)


class Scripted:
    """A reader that gives the answers it was given, in turn."""

    def __init__(self, answers: Sequence[Reading | SumnistError]) -> None:
        self.answers = list(answers)

    def read_each(self, pictures: Sequence[Picture], numbers: Sequence[int], ink: str) -> list[Reading | SumnistError]:
        assert len(pictures) == len(numbers)
        given, self.answers = self.answers[: len(pictures)], self.answers[len(pictures) :]
        return given


def scripted(*answers: Reading | SumnistError) -> Reader:
    return cast("Reader", Scripted(answers))


@pytest.fixture(scope="module")
def reader() -> Reader:
    return sumnist.load()


@pytest.fixture(scope="module")
def result(reader: Reader) -> Robustness:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("small_digits", "font_digits"):
            whole = getattr(suite, name)("development")
            few = type(whole)(whole.name, whole.pictures[:30], whole.digits[:30], whole.writers[:30])
            patch.setattr(suite, name, lambda half, few=few: few)
        patch.setattr(suite, "SCENES", 2)
        patch.setattr(suite, "out_of_distribution", lambda half: {"grey": [np.full((30, 30), 99, np.uint8)] * 3})
        return robustness(reader, seen=["rotate", "scale"], images=20)


def test_answers_tell_readings_from_errors_and_refusals() -> None:
    given = scripted(
        reading(3), reading(4, 0.2, False, "unsure"), ImageError("x: blank"), reading(5, 0.5, False, "several digits")
    )
    answers = answers_of(given, [b""] * 4)
    assert answers.digits.tolist() == [3, 4, -1, 5]
    assert answers.accepted.tolist() == [True, False, False, False]
    assert answers.several.tolist() == [False, False, False, True]
    assert answers.scores.tolist() == [0.9, 0.2, -1.0, -1.0]  # least of all where the picture itself was refused
    assert answers.reasons == ("", "unsure", "x: blank", "several digits")


def test_the_score_of_a_network_that_tells_is_how_sure_it_is_that_there_is_a_digit() -> None:
    given = scripted(
        replace(reading(3), is_digit_probability=0.25),
        replace(reading(4, 0.2, False, "not a digit"), is_digit_probability=0.01),
    )
    assert answers_of(given, [b""] * 2).scores.tolist() == [0.25, 0.01]


def test_the_score_may_be_another_than_the_confidence() -> None:
    assert answers_of(scripted(reading(3)), [b""], lambda one: 7.0).scores.tolist() == [7.0]


def test_digit_results_count_what_was_refused_as_it_was_answered() -> None:
    answers = answers_of(
        scripted(reading(1), reading(2), reading(3, accepted=False), ImageError("blank"), reading(9)), [b""] * 5
    )
    found = suite.digit_result("set", answers, np.array([1, 7, 3, 4, 9]), ("a", "a", "b", "b", "b"))
    assert found.accuracy == pytest.approx(3 / 5)  # 1, 3 and 9 are right, accepted or not
    assert found.accepted == pytest.approx(3 / 5)
    assert found.accuracy_accepted == pytest.approx(2 / 3)
    assert found.by_writer == {"a": 0.5, "b": pytest.approx(2 / 3)}


def test_where_nothing_is_accepted_there_is_no_accuracy_of_it() -> None:
    answers = answers_of(scripted(reading(1, accepted=False)), [b""])
    assert suite.digit_result("set", answers, np.array([1])).accuracy_accepted is None


def test_the_area_under_the_roc_curve_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(0)
    inside, outside = random.integers(0, 9, 40) / 8, random.integers(0, 6, 30) / 8
    pairs = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert area_under_roc(inside, outside) == pytest.approx(np.mean(pairs))
    assert area_under_roc(np.ones(3), np.zeros(2)) == 1
    assert area_under_roc(np.ones(3), np.ones(2)) == 0.5


def test_the_network_alone_sees_the_image_as_it_is(reader: Reader, mnist_train: DigitSet) -> None:
    images = mnist_train.images[:40]
    assert (network_digits(reader, images) == mnist_train.digits[:40]).mean() > 0.9
    aside = np.zeros((40, 28, 40), np.uint8)
    aside[:, :, :28] = images
    aside = aside[:, :, 8:36]  # the reader puts them into their place again, the network alone does not
    whole, alone = answers_of(reader, list(aside)).digits, network_digits(reader, aside)
    assert (whole == mnist_train.digits[:40]).mean() > (alone == mnist_train.digits[:40]).mean()


def test_the_development_half_is_held_out_of_training_images_and_the_reported_half_is_the_test_set() -> None:
    train, test = load_mnist("train"), load_mnist("test")
    held_out = hold_out(train.digits, 5000)[1]
    np.testing.assert_array_equal(mnist_half("development", 50).images, train.images[held_out[:50]])
    np.testing.assert_array_equal(mnist_half("reported", 50).images, test.images[:50])
    assert len(mnist_half("development")) == 5000
    assert len(mnist_half("reported")) == 10_000


def test_robustness_has_a_figure_for_everything(result: Robustness) -> None:
    assert [one.name for one in result.corruptions] == list(CORRUPTIONS)
    assert {one.name for one in result.corruptions if one.seen} == {"rotate", "scale"}
    assert {one.images for one in result.corruptions} == {20}
    assert [one.name for one in result.digits] == [
        "scikit-learn's digits",
        "handwriting fonts",
        "tight crops, 1×, light ink",
        "tight crops, 1×, dark ink",
        "tight crops, 6×, light ink",
        "tight crops, 6×, dark ink",
        "drawn cells",
        "photographs of MNIST training images",
        "photographs of scikit-learn's digits",
        "photographs of handwriting fonts",
        "scenes: desk along an edge",
        "scenes: corner",
        "scenes: all round",
        "scenes: note",
        "scenes: card",
    ]
    assert [one.pictures for one in result.digits] == [30, 30, *[20] * 8, 2, 2, 2, 2, 2]
    assert [(one.name, one.pictures, one.accepted, one.auroc) for one in result.out_of_distribution] == [
        ("grey", 3, 0.0, 1.0)
    ]


def test_the_means_are_those_of_the_rows(result: Robustness) -> None:
    values = {one.name: one.network for one in result.corruptions}
    assert result.mean("network") == pytest.approx(sum(values.values()) / 15)
    unseen = [value for name, value in values.items() if name not in ("rotate", "scale")]
    assert result.mean("network", unseen=True) == pytest.approx(sum(unseen) / 13)


def test_the_table_and_the_json_hold_the_same_figures(result: Robustness) -> None:
    table, values = result.table(), json.loads(json.dumps(result.as_dict()))
    for one in values["corruptions"]:
        line = next(line for line in table.splitlines() if line.startswith(one["name"].replace("_", " ")))
        assert f"{100 * one['network']:.2f}" in line
        assert ("(seen)" in line) == one["seen"]
    assert f"{100 * values['network_mean']:.2f}" in table
    for one in values["digits"]:
        line = next(line for line in table.splitlines() if line.startswith(f"{one['name']}  "))
        assert line.split()[-4:-2] == [f"{100 * one['accuracy']:.2f}", f"{100 * one['accepted']:.2f}"]
    assert "synthetic" in table
    assert max(map(len, table.splitlines())) <= 120


def test_an_unknown_corruption_or_half_is_an_error(reader: Reader) -> None:
    with pytest.raises(ConfigError, match=r"^seen frost, snow: unknown, expected some of shot_noise, "):
        robustness(reader, seen=["snow", "frost", "fog"])
    with pytest.raises(ConfigError, match=r"^half 'test': unknown"):
        robustness(reader, "test")  # type: ignore[arg-type]


def test_a_folder_is_read_by_the_names_of_its_folders(reader: Reader, mnist_train: DigitSet, tmp_path: Path) -> None:
    for i in range(12):
        place = tmp_path / str(mnist_train.digits[i])
        place.mkdir(exist_ok=True)
        picture_of(mnist_train.images[i]).save(place / f"{i}.png")
    wrong = (int(mnist_train.digits[0]) + 1) % 10
    (tmp_path / str(wrong)).mkdir(exist_ok=True)
    picture_of(mnist_train.images[0]).save(tmp_path / str(wrong) / "wrong.png")
    Image.new("L", (50, 50), 255).save(tmp_path / str(wrong) / "blank.png")
    (tmp_path / str(wrong) / ".hidden").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not a digit")
    found = folder(reader, tmp_path)
    assert found.result.pictures == 14
    assert found.result.accuracy == pytest.approx(12 / 14)
    assert [(Path(one.path).name, one.digit) for one in found.errors] == [("blank.png", wrong), ("wrong.png", wrong)]
    assert found.errors[0].said is None
    assert "blank" in found.errors[0].reason
    assert found.errors[1].said == mnist_train.digits[0]
    json.dumps(found.as_dict())


def test_a_folder_without_pictures_is_an_error(reader: Reader, tmp_path: Path) -> None:
    message = f"{tmp_path}: no pictures in sub-folders 0 to 9, expected those of each digit in a folder of its name"
    with pytest.raises(DataError) as caught:
        folder(reader, tmp_path)
    assert str(caught.value) == message
    with pytest.raises(DataError):
        folder(reader, tmp_path / "absent")


def test_nothing_is_written_to_the_archive() -> None:
    for make in (small_digits, font_digits):
        levels = make("development").pictures[0]
        assert isinstance(levels, np.ndarray)
        before = levels.copy()
        levels[:] = 7  # a copy, not the archive
        np.testing.assert_array_equal(np.asarray(make("development").pictures[0]), before)
