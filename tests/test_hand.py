"""Hands: what a reader learns of one writer, how it is kept, and that it harms nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize
from starlette.testclient import TestClient

import simulated_sheets
from drawings import encoded as png
from drawings import line_of
from served import PROBLEM, encoded
from sumnist.batch.labels import labels_of
from sumnist.batch.score import score
from sumnist.cli import main
from sumnist.data import pen_digits
from sumnist.data.mnist import load_mnist
from sumnist.errors import HandError, briefly
from sumnist.files import NUMBERS
from sumnist.inference.adaptation import digits_of
from sumnist.inference.hand import (  # fmt: skip
    LEARNING,
    LENGTH,
    Hand,
    Rows,
    fitted,
    learned,
    tried,
)
from sumnist.inference.numbers import StripRecognizer
from sumnist.inference.reader import Reader, load
from sumnist.serve.hands import Hands
from sumnist.sheets import hand as forms
from sumnist.sheets.layout import Page
from sumnist.sheets.printing import pdf

Bytes = NDArray[np.uint8]
Examples = tuple[list[Bytes], list[int]]


def leaning(writer: int, slant: float = 1.1) -> Examples:
    """The digits of a pen writer, who now leans far to the left, as no image of MNIST does."""
    random, (paths, digits, writers) = np.random.default_rng(writer), pen_digits.pen_paths()
    matrix = np.array([[1.0, 0.0], [slant, 1.0]])
    mine = np.flatnonzero(writers == writer)
    images = [pen_digits.drawn([path @ matrix for path in paths[place]], random, 3.0) for place in mine]
    return [np.rint(255 * image).astype(np.uint8) for image in images], digits[mine].tolist()


def parted(examples: Examples, each: int) -> tuple[Examples, Examples]:
    """So many examples of each digit, and the rest."""
    images, digits = examples
    first = {place for digit in range(10) for place in np.flatnonzero(np.equal(digits, digit))[:each].tolist()}
    chosen, rest = ([i for i in range(len(digits)) if (i in first) is those] for those in (True, False))
    few, others = (([images[i] for i in some], [digits[i] for i in some]) for some in (chosen, rest))
    return few, others


def right(reader: Reader, examples: Examples) -> float:
    """The share that is read right."""
    return float(
        np.mean([one.digit == digit for one, digit in zip(reader.read(examples[0], 0), examples[1], strict=True)])
    )


@pytest.fixture(scope="module")
def writers() -> list[tuple[Examples, Examples]]:
    """Ten examples of each digit of two strange writers, and the rest of their digits."""
    return [parted(leaning(writer), 10) for writer in (4, 11)]


@pytest.fixture(scope="module")
def adapted(reader: Reader, writers: list[tuple[Examples, Examples]]) -> list[Reader]:
    return [reader.adapt(*examples) for examples, _ in writers]


@pytest.fixture(scope="module")
def my_hand(adapted: list[Reader], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a hand."""
    path = tmp_path_factory.mktemp("hands") / "my.hand"
    assert adapted[0].hand is not None
    adapted[0].hand.save(path)
    return path


# What is learned.


def rows_of(seed: int, count: int = 40) -> Rows:
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2, (count, 5))
    scores -= np.log(np.exp(scores).sum(1, keepdims=True))
    labels = np.where(random.random(count) < 0.8, scores.argmax(1), random.integers(0, 5, count))
    return Rows.of(random.gamma(1.0, size=(count, 7)), scores, labels)


def loss(rows: Rows, weights: NDArray[np.float64]) -> float:
    """Minus the logarithm of the posterior of the weights, written down once more."""
    total = float((weights**2).sum()) / 2
    for features, scores, label in zip(rows.features, rows.scores, rows.labels.tolist(), strict=True):
        logits = scores + LENGTH * features / np.sqrt((features**2).sum()) @ weights
        share = float(np.exp(logits[label]) / np.exp(logits).sum())
        total -= float(np.log((1 - LEARNING.wrong) * share + LEARNING.wrong / len(logits)))
    return total


def test_the_weights_are_as_probable_as_those_that_another_search_finds() -> None:
    rows = rows_of(1)
    best = minimize(lambda flat: loss(rows, flat.reshape(7, 5)), np.zeros(35)).fun
    assert best - 1e-6 < loss(rows, fitted(rows)) < best + 0.02 * (loss(rows, np.zeros((7, 5))) - best)


def test_weights_that_harm_others_are_made_smaller_until_they_do_not() -> None:
    others = rows_of(4)
    others = others._replace(labels=others.scores.argmax(1))
    rows = others._replace(labels=(others.labels + 1) % 5)  # the same pictures mean something else
    freely, bounded = fitted(rows), learned(rows, others)[0]
    assert np.maximum(others.right() - others.right(freely), 0).mean() > 2 * LEARNING.harm
    assert np.maximum(others.right() - others.right(bounded), 0).mean() <= 1.001 * LEARNING.harm
    assert np.abs(bounded).max() < np.abs(freely).max()


def test_cross_validation_says_that_labels_by_chance_teach_nothing() -> None:
    random, rows = np.random.default_rng(5), rows_of(5, 200)
    trial = tried(rows, rows_of(6))
    assert trial.rows == 200
    assert trial.nll[1] > trial.nll[0] - 0.05 or not trial.helps
    truth = (rows.scores + 0.4 * rows.features @ random.normal(size=(7, 5))).argmax(1)
    taught = tried(Rows.of(rows.features, rows.scores, truth), Rows.of(rows.features, rows.scores, truth))
    assert taught.helps
    assert taught.wrong[1] < taught.wrong[0]


# What it is good for.


def test_ten_examples_of_each_digit_mend_half_of_the_errors_of_strange_hands(
    reader: Reader, writers: list[tuple[Examples, Examples]], adapted: list[Reader]
) -> None:
    before = np.mean([right(reader, rest) for _, rest in writers])
    after = np.mean([right(mine, rest) for mine, (_, rest) in zip(adapted, writers, strict=True)])
    assert before < 0.97, "the hands are not strange"
    assert 1 - after < 0.5 * (1 - before)


def test_a_hand_harms_the_digits_of_nobody_else(reader: Reader, adapted: list[Reader]) -> None:
    test = load_mnist("test")
    others = [*test.images[:800]], test.digits[:800].tolist()
    plain = right(reader, others)
    assert all(right(mine, others) >= plain - 0.006 for mine in adapted)


def test_a_hand_reaches_whatever_a_reader_reads(reader: Reader, adapted: list[Reader]) -> None:
    mine, strip = adapted[0], line_of("472")
    assert mine.read_number(strip).confidence != reader.read_number(strip).confidence
    assert mine.numbers.recognizer().weights is not None
    assert mine.find(strip)[0].confidence != reader.find(strip)[0].confidence
    assert reader.hand is None
    assert getattr(reader.network, "weights", 0) is None
    assert mine.with_hand(None).read(strip, 0) == reader.read(strip, 0)


def test_numbers_teach_a_hand_too(reader: Reader) -> None:
    mine = reader.adapt([line_of("4711"), line_of("90")], ["4,711", 90])
    assert mine.hand is not None
    assert mine.hand.examples == (1, 2, 0, 0, 1, 0, 0, 1, 0, 1)
    assert sum(weights.size > 0 for weights in mine.hand.parts.values()) == 2


@pytest.mark.parametrize(
    ("pictures", "labels", "said"),
    [
        ([], [], "0 pictures and 0 labels"),
        (["examples/five.png"], [], "1 pictures and 0 labels"),
        (["examples/five.png"], ["five"], "label 'five': expected a digit"),
        (["examples/five.png"], [True], "label True: expected a digit"),
        (["examples/five.png"], [""], "expected a digit"),
        ([np.full((40, 40), 255, np.uint8)], [5], "example 1: nothing is written"),
        ([np.full((40, 90), 255, np.uint8)], ["55"], "example 1: nothing is written"),
    ],
)
def test_examples_that_teach_nothing_are_refused_in_a_line(
    reader: Reader, pictures: Sequence[Any], labels: Sequence[Any], said: str
) -> None:
    with pytest.raises(HandError, match=said):
        reader.adapt(pictures, labels)


NO_LABELS: tuple[Any, ...] = (
    -5, 5.5, np.float32(5.5), Decimal("5.5"), Fraction(1, 2), float("nan"), float("inf"), 1e300, 10**5000, True,
    np.True_, None, "", " ", "five", "1e5", "5a", "٥", "½", "1/2", b"5", [5], {}, 5j, "9" * 1001, torch.tensor(5.5),
)  # fmt: skip
LABELS: list[tuple[Any, str | None]] = [
    ("5", "5"), (" 5 ", "5"), ("007", "007"), ("1,480", "1480"), ("1 480", "1480"), ("12.50", "1250"), ("-131", "131"),
    ("5.0", "5"), (np.str_("5"), "5"), (0, "0"), (np.int64(5), "5"), (np.array(5), "5"), (torch.tensor(5), "5"),
    (-0.0, "0"), (1e5, "100000"), (np.float64(1480), "1480"), (Decimal("5.0"), "5"), (Fraction(5), "5"),
    *((label, None) for label in NO_LABELS),
]  # fmt: skip
"""Labels of every type, and the digits they mean; None for those that are errors."""


@pytest.mark.parametrize(("label", "digits"), LABELS, ids=briefly)
def test_a_label_of_any_type_means_its_digits_or_is_an_error(label: Any, digits: str | None, tmp_path: Path) -> None:
    if digits is None:
        with pytest.raises(HandError, match=r"^label .*: expected a digit, or the digits of a number"):
            digits_of(label)
    else:
        assert digits_of(label) == digits
    if isinstance(label, str) and len(label) < 600:  # a table of labels means the same
        (tmp_path / "labels.csv").write_text(f'path,text\na.png,"{label}"\n', encoding="utf-8")
        (row,) = labels_of(tmp_path / "labels.csv")
        assert (row.value, row.error is None) == (None if digits is None else int(digits), digits is not None)


# How it is kept.


def test_a_hand_comes_back_from_its_file(adapted: list[Reader], my_hand: Path, writers: Any) -> None:
    pictures = writers[0][1][0][:20]
    assert load(hand=my_hand).read(pictures, 0) == adapted[0].read(pictures, 0)
    assert my_hand.stat().st_size < 60_000
    assert b"pickle" not in my_hand.read_bytes()


def test_a_hand_of_another_network_is_refused(my_hand: Path, small_run: Path, reader: Reader) -> None:
    with pytest.raises(HandError, match="has not been exported"):
        Reader(small_run, hand=my_hand)
    hand = Hand.load(my_hand)
    stranger = Hand({"0" * 64: next(iter(hand.parts.values()))}, hand.examples)
    with pytest.raises(HandError, match="another network"):
        reader.with_hand(stranger)
    with pytest.raises(HandError, match="another network"):
        StripRecognizer(NUMBERS).with_hand(stranger)


@pytest.mark.parametrize(
    "change",
    [
        lambda text, values: text[: len(text) // 2], lambda text, values: "[]", lambda text, values: "[" * 100_000,
        lambda text, values: text + " " * 300_000, lambda text, values: json.dumps(values | {"format": 2}),
        lambda text, values: json.dumps(values | {"examples": [99] * 10}),
        *(lambda _, values, part=part: json.dumps(values | {"networks": {"a": part}}) for part in (
            {"shape": [1], "weights": ""}, {"shape": [1, 1], "weights": "=é"}, {"shape": [1, 1], "weights": "AADAfw=="},
        )),
    ],
)  # fmt: skip
def test_a_file_that_is_no_hand_any_more_is_refused(my_hand: Path, tmp_path: Path, change: Any) -> None:
    text = my_hand.read_text()
    (tmp_path / "x.hand").write_text(change(text, json.loads(text)))
    with pytest.raises(HandError, match=r"x\.hand"):
        Hand.load(tmp_path / "x.hand")


# On the command line.


@pytest.fixture(scope="module")
def folder(writers: list[tuple[Examples, Examples]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a strange writer in sub-folders 0 to 9."""
    place = tmp_path_factory.mktemp("mine")
    for number, (image, digit) in enumerate(zip(*parted(writers[0][0], 5)[0], strict=True)):
        (place / str(digit)).mkdir(exist_ok=True)
        Image.fromarray(image).save(place / str(digit) / f"{number}.png")
    return place


def test_a_folder_teaches_a_hand_that_reads(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], writers: Any, adapted: list[Reader]
) -> None:
    out, picture = tmp_path / "my.hand", tmp_path / "one.png"
    assert main(["hand", "learn", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "digits: of 50 wrong" in said
    assert f"{out}: learned of 50 digits" in said
    Image.fromarray(writers[0][1][0][0]).save(picture)
    assert main(["predict", str(picture), "--number", "1", "--hand", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["confidence"] == pytest.approx(Reader(hand=out).read(picture, 1).confidence)
    assert main(["hand", "test", str(folder)]) == 0
    assert main(["hand", "test", str(folder), "--hand", str(out)]) == 0


def test_a_review_teaches_a_hand_and_one_of_nothing_is_refused(
    writers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples, out = [*zip(*parted(writers[0][0], 5)[0], strict=True)], tmp_path / "new/a.hand"
    monkeypatch.setattr(forms, "of_review", lambda marks: iter(examples))
    assert main(["hand", "learn", "marks.jsonl", "--out", str(out)]) == 0
    assert sum(Hand.load(out).examples) == 50
    examples.clear()
    assert main(["hand", "learn", "marks.jsonl", "--out", str(out)]) == 1
    assert "0 pictures and 0 labels" in capsys.readouterr().err


def test_the_form_teaches_a_hand_from_a_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "digits.pdf"
    assert main(["hand", "new", "--out", str(out)]) == 0
    page = np.array(simulated_sheets.rendered(out.read_bytes()).convert("L"))
    for place, text in zip(Page.of(forms.layout()).places, forms.ROWS * forms.TIMES, strict=True):
        simulated_sheets.write(page, place.boxes, text)
    (tmp_path / "photo.jpg").write_bytes(simulated_sheets.jpeg_of_page(page, 2200))
    examples = forms.of_form(tmp_path / "photo.jpg")
    assert [digit for _, digit in examples] == [*range(10)] * forms.TIMES
    read = Reader().read([image for image, _ in examples], 0)
    assert np.mean([one.digit == digit for one, (_, digit) in zip(read, examples, strict=True)]) > 0.8
    Image.fromarray(np.array(simulated_sheets.rendered(pdf(forms.layout())))).save(tmp_path / "empty.png")
    assert main(["hand", "learn", str(tmp_path / "empty.png"), "--out", str(tmp_path / "x.hand")]) == 1
    assert "no box of the form is filled in" in capsys.readouterr().err


def test_a_scoring_learns_the_one_hand_of_its_pictures(tmp_path: Path) -> None:
    def scored(slant: float, **more: Any) -> tuple[int, list[float]]:
        place, out = tmp_path / str(slant), tmp_path / f"{slant}-{len(more)}.jsonl"
        place.mkdir(exist_ok=True)
        pictures, digits = leaning(22, slant)
        for number, image in enumerate(pictures[:150]):
            Image.fromarray(image).save(place / f"{number:03}.png")
        score(place, out, 0, workers=1, progress=False, **more)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        wrong = sum(row["digit"] != digit for row, digit in zip(rows, digits[:150], strict=True))
        return wrong, [row["confidence"] for row in rows]

    (with_it, sure), (without, before) = scored(0.9, same_hand=True), scored(0.9)
    assert sure != before
    assert with_it < without


# Over HTTP.


def examples_of(writer: tuple[Examples, Examples], each: int, wrong: int = 0) -> list[dict[str, str]]:
    few = parted(writer[0], each)[0]
    return [{"picture": encoded(png(Image.fromarray(image))), "text": str((digit + wrong) % 10)}
            for image, digit in zip(*few, strict=True)]  # fmt: skip


def test_a_hand_is_learned_over_http_and_read_with_and_forgotten_and_none_that_does_not_help_is_kept(
    with_settings: Callable[..., TestClient], writers: Any, tmp_path: Path
) -> None:
    keeping = with_settings(hands=tmp_path / "kept")
    useless = keeping.post("/v1/hands", json={"examples": examples_of(writers[0], 3, wrong=3)}).json()
    assert (useless["helps"], useless["name"], [*tmp_path.glob("kept/*.hand")]) == (False, None, [])
    learned = keeping.post("/v1/hands", json={"examples": examples_of(writers[0], 5)}).json()
    assert (learned["helps"], learned["trials"]["digits"]["examples"]) == (True, 50)
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.name == f"{learned['name']}.hand"
    file, picture = json.dumps(learned["hand"]).encode(), png(Image.fromarray(writers[0][1][0][3]))
    expected = Reader().with_hand(Hand.load(kept)).read(picture, 0).confidence
    asked = {"picture": encoded(picture), "number": 0}
    for hand in (learned["name"], encoded(file)):
        answer = keeping.post("/v1/read", json=asked | {"hand": hand}).json()
        assert answer["confidence"] == pytest.approx(expected)
    form = keeping.post("/v1/read", files={"picture": picture, "hand": file}, data={"number": "0"})
    assert form.json()["confidence"] == pytest.approx(expected)
    assert [keeping.delete(f"/v1/hands/{learned['name']}").status_code for _ in range(2)] == [200, 404]
    for hand, reason in ((learned["name"], "not kept"), ("%%", "not base64"), (encoded(b"[]"), "no hand"),
                         (7, "expected the file's bytes")):  # fmt: skip
        refused = keeping.post("/v1/read", json=asked | {"hand": hand})
        assert (refused.status_code, refused.headers["content-type"]) == (422, PROBLEM)
        assert reason in refused.json()["detail"]


def test_a_server_that_is_not_told_to_keeps_no_hand(client: TestClient, writers: Any) -> None:
    told = client.post("/v1/hands", json={"examples": examples_of(writers[1], 1)}).json()
    assert told["name"] is None
    refused = client.post("/v1/read", json={"picture": "", "number": 0, "hand": "0" * 32})
    assert refused.status_code == 422
    assert "keeps none" in refused.json()["detail"]


def test_hands_go_when_their_time_is_over_and_no_more_are_kept_than_allowed(my_hand: Path, tmp_path: Path) -> None:
    hand, kept = Hand.load(my_hand), Hands(tmp_path, days=1e-9, most=1)
    name = kept.add(hand)
    with pytest.raises(HandError, match="not kept"):
        kept.content(name)
    full = Hands(tmp_path, days=1, most=1)
    full.add(hand)
    with pytest.raises(HandError, match="at most 1"):
        full.add(hand)
    for name in ("../../etc/passwd", "", "0" * 32):
        with pytest.raises(HandError):
            full.content(name)
        assert not full.remove(name)
