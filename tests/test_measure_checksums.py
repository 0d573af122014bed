"""What a total does for reading numbers: triples, against all pairs of numbers there are; sums; and the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import checksum_tables
import measure_checksums
from checksum_tables import KINDS, TABLES
from measure_checksums import PLACES, Read, answer_to, drawn, sums, triple_figures
from sumnist.arithmetic import Values
from sumnist.arithmetic.values import Value
from sumnist.data.mnist import DigitSet
from sumnist.errors import DataError, ImageError
from sumnist.inference.ctc import Candidate
from sumnist.inference.numbers import NumberReader, NumberReading
from sumnist.inference.reader import Reader
from tables import cells
from write_docs import filled

HEAD = "c" * 40
PAGE = (Path(__file__).resolve().parent.parent / "docs/arithmetic.md").read_text(encoding="utf-8")
LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(10), np.arange(12, 22)))
"""Of made-up images: from 12 of the digit 0 to 21 of the digit 9."""

Row = dict[str, Any]
Run = Callable[..., list[Row]]


# Triples.


def test_triples_add_up_and_are_shown_by_images_of_their_digits_none_of_them_twice() -> None:
    digits, shown = drawn(LABELS, 500, np.random.default_rng(0))
    one, other, total = (digits[:, place] @ 10 ** np.arange(place.stop - place.start)[::-1] for place in PLACES)
    assert (one + other == total).all()
    assert digits.shape == (500, 10)
    assert one.min() < 20
    assert one.max() > 980
    assert (LABELS[shown] == digits).all()
    assert all(len(set(row)) == 10 for row in shown.tolist())
    assert len(np.unique(shown)) == len(LABELS)


def test_the_seed_says_which_triples_are_drawn() -> None:
    same, again, other = (drawn(LABELS, 20, np.random.default_rng(seed))[1] for seed in (3, 3, 4))
    assert (same == again).all()
    assert (same != other).any()


def by_listing(log_probs: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Of a triple with log-probabilities `[10, 10]` the most probable digits together, and one by one, by going through
    all pairs of numbers."""
    of_number = [np.array([sum(one) for one in product(*log_probs[place])]) for place in PLACES]
    total = np.add.outer(np.arange(1000), np.arange(1000))
    weights = of_number[0][:, None] + of_number[1] + of_number[2][total]
    one, other = divmod(int(weights.argmax()), 1000)
    together = [int(digit) for digit in f"{one:03}{other:03}{one + other:04}"]
    shares = np.exp(weights - weights.max())
    totals = np.bincount(total.ravel(), shares.ravel(), minlength=10**4)
    marginals = [(shares.sum(1), 3), (shares.sum(0), 3), (totals, 4)]
    alone = [int(marginal.reshape([10] * n).sum(tuple({*range(n)} - {place})).argmax())
             for marginal, n in marginals for place in range(n)]  # fmt: skip
    return together, alone


def test_what_triples_become_agrees_with_going_through_all_pairs_of_numbers() -> None:
    random = np.random.default_rng(5)
    digits, _ = drawn(LABELS, 12, random)
    log_probs = random.normal(size=(12, 10, 10)) + 2.5 * (digits[..., None] == np.arange(10))
    log_probs -= np.log(np.exp(log_probs).sum(-1, keepdims=True))
    together, alone = (np.array(found) for found in zip(*map(by_listing, log_probs), strict=True))
    assert (together != alone).any()
    wrong = {"before": log_probs.argmax(-1) != digits, "after": together != digits, "by_digit": alone != digits}
    expected = {f"wrong_{name}": found.any(1).mean() for name, found in wrong.items()}
    expected |= {f"digits_wrong_{name}": found.mean() for name, found in wrong.items()}
    assert triple_figures(log_probs, digits) == pytest.approx({"triples": 12} | expected)
    assert 0 < expected["digits_wrong_after"] < expected["digits_wrong_before"]


def test_one_misread_digit_is_mended_and_two_that_agree_are_not() -> None:
    digits = np.array([[1, 2, 3, 4, 5, 6, 0, 5, 7, 9]] * 3)
    seen = digits.copy()
    seen[1, 2] = 8  # 128 + 456 = 579
    seen[2, 2], seen[2, 9] = 2, 8  # 122 + 456 = 578
    log_probs = np.log(np.where(seen[..., None] == np.arange(10), 0.91, 0.01))
    figures = triple_figures(log_probs, digits)
    assert (figures["wrong_before"], figures["wrong_after"]) == pytest.approx((2 / 3, 1 / 3))
    assert (figures["digits_wrong_before"], figures["digits_wrong_after"]) == pytest.approx((3 / 30, 2 / 30))


# Sums.


def read_as(truth: int, **shares: float) -> Read:
    """A picture of `truth`, with the probabilities of values `_12=0.9`; what is left is of no candidate."""
    known: dict[Value, float] = {int(name[1:]): share for name, share in shares.items()}
    return Read(truth, Values(known, 1 - sum(known.values())))


NINE = [read_as(number, **{f"_{number}": 1.0}) for number in range(21, 30)]


def test_a_sum_of_ten_with_one_wrong_number_is_settled_by_its_total() -> None:
    answer = answer_to([*NINE, read_as(14, _19=0.75, _14=0.25)])
    assert (answer.wrong_before, answer.wrong_after, answer.settled, answer.accepted) == (1, 0, True, True)


def test_two_explanations_of_a_total_settle_it_and_are_not_accepted() -> None:
    doubtful = [read_as(14, _19=0.75, _14=0.25), read_as(37, _37=0.75, _32=0.25)]
    answer = answer_to([*NINE[:8], *doubtful])  # 14 + 37 = 19 + 32
    assert (answer.wrong_before, answer.wrong_after, answer.settled, answer.accepted) == (1, 0, True, False)
    swapped = answer_to([*NINE[:8], read_as(14, _19=0.75, _14=0.25), read_as(37, _37=0.6, _32=0.4)])
    assert (swapped.wrong_before, swapped.wrong_after) == (1, 2)


def test_a_total_that_no_candidates_make_is_not_settled() -> None:
    answer = answer_to([*NINE, read_as(14, _19=0.7, _11=0.3)])
    assert (answer.wrong_before, answer.wrong_after, answer.settled, answer.accepted) == (1, 1, False, False)
    unread = answer_to([*NINE, Read(14, Values({}, 1.0))])
    assert (unread.wrong_before, unread.wrong_after, unread.settled) == (1, 1, False)


@pytest.mark.parametrize(
    ("other", "settled", "accepted"),
    [(0.009, True, True), (0.02, True, False), (0.45, True, False), (0.55, False, False)],
)
def test_how_sure_a_sum_is_counts_that_a_picture_shows_none_of_its_candidates(
    other: float, settled: bool, accepted: bool
) -> None:
    answer = answer_to([*NINE, read_as(14, _14=1 - other)])
    assert (answer.settled, answer.accepted, answer.wrong_after) == (settled, accepted, 0)


def test_the_rows_of_sums_tell_of_all_of_the_settled_and_of_the_accepted() -> None:
    pictures = [*NINE, read_as(14, _19=0.7, _14=0.3)]  # the only sum of ten
    rows = list(sums(pictures, np.random.default_rng(0), 3))
    shares = {"share": 1.0, "numbers_wrong_before": 0.1, "numbers_wrong_after": 0.0, "sums_wrong_before": 1.0,
              "sums_wrong_after": 0.0}  # fmt: skip
    assert rows == [pytest.approx({"kind": kind, "sums": 3, **shares}) for kind in KINDS]
    *_, accepted = sums([*NINE, read_as(14, _19=1.0)], np.random.default_rng(0), 3)
    assert (accepted["sums"], accepted["share"], accepted["numbers_wrong_after"]) == (0, 0.0, None)
    with pytest.raises(DataError, match="9 pictures of whole numbers in a half, expected 10 at least"):
        list(sums(NINE, np.random.default_rng(0), 3))


# The script.


class Fake:
    """A reader that reads every 14 as a 19, or perhaps a 14, any other number as it is named, and 99 not at all."""

    def of(self, engine: str) -> list[Any]:
        return [self] * (2 if engine == "both" else 1)

    def reader(self, engine: str) -> NumberReader:
        return NumberReader(self.of(engine))

    content = b"network"

    def read_each(self, pictures: list[Path], engine: str, count: int) -> list[NumberReading | ImageError]:
        (picture,) = pictures
        name = int(picture.stem.partition("-")[0])
        if name == 99:
            return [ImageError("99: cannot be read")]
        shares = {19: 0.75, 14: 0.25} if name == 14 else {name: 1.0}
        found = tuple(Candidate(str(value), value, share) for value, share in shares.items())
        return [NumberReading(str(name), name, 0.75, found, 0.0, True, None, 1.0)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The rows that there are after the script has run with these words."""
    monkeypatch.setattr(measure_checksums, "clean_commit", lambda program: HEAD)
    monkeypatch.setattr(measure_checksums, "Numbers", Fake)
    monkeypatch.setattr(measure_checksums, "SUMS", 5)
    rows = tmp_path / "rows.jsonl"

    def measured(*words: object) -> list[Row]:
        monkeypatch.setattr(sys, "argv", ["measure_checksums", "--rows", str(rows), *map(str, words)])
        measure_checksums.main()
        return [json.loads(line) for line in rows.read_text().splitlines()]

    return measured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Labels of eleven pictures with even numbers, of which one is a fraction, and as many with odd ones."""
    texts = ["14", *map(str, range(21, 30))]
    rows = [f"{text}-{2 * place + odd}.png,{text}" for odd in (0, 1) for place, text in enumerate(texts)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,text", *rows, "7-100.png,7.5", "99-101.png,99"]))
    return tmp_path


def test_sums_of_a_folder_are_measured_by_half_and_engine(run: Run, folder: Path) -> None:
    rows = run("--folder", f"cells={folder}", "--engines", "ours", "both", "--seed", "3")
    assert [(row["engine"], row["kind"]) for row in rows] == [(one, kind) for one in ("ours", "both") for kind in KINDS]
    first = rows[0]
    assert (first["part"], first["set"], first["half"], first["commit"]) == (
        "checksum-sums", "cells", "development", HEAD,
    )  # fmt: skip
    assert (first["seed"], first["pictures"], first["left_out"], first["sums"]) == (3, 10, 1, 5)
    assert (first["sums_wrong_before"], first["sums_wrong_after"]) == (1.0, 0.0)
    assert first["machine"]["processor"]
    assert first["model_sha256"].startswith("3009be769fb8f956")  # printf network | sha256sum
    assert first["model_sha256"] != rows[-1]["model_sha256"]


def test_the_reported_half_is_looked_at_once_and_what_cannot_be_read_is_in_it(run: Run, folder: Path) -> None:
    words = "--folder", f"cells={folder}", "--half", "odd"
    rows = run(*words)
    assert {(row["half"], row["pictures"], row["left_out"]) for row in rows} == {("reported", 11, 0)}
    assert rows[0]["share"] > rows[1]["share"]
    with pytest.raises(SystemExit, match="the reported half of cells is measured already with ours"):
        run(*words)
    assert len(run(*words, "--engines", "ocr")) == 6
    assert len(run("--folder", f"cells={folder}")) == 9
    assert len(run("--folder", f"cells={folder}")) == 12


def test_triples_are_read_as_the_package_reads_images(
    run: Run, monkeypatch: pytest.MonkeyPatch, mnist_train: DigitSet, reader: Reader
) -> None:
    images = mnist_train.part(np.arange(300))
    seen: list[Any] = []

    def noted(*given: Any) -> Row:
        seen.append(given)
        return triple_figures(*given)

    monkeypatch.setattr(measure_checksums, "TRIPLES", 50)
    monkeypatch.setattr(measure_checksums, "load_mnist", lambda split: images)
    monkeypatch.setattr(measure_checksums, "triple_figures", noted)
    (row,) = run("--triples")
    ((log_probs, digits),) = seen
    assert (row["part"], row["triples"], row["images"], row["seed"]) == ("checksum-triples", 50, 300, 0)
    read = np.array([reading.digit for reading in reader.read(list(images.images), 0)])
    assert row["images_wrong"] == (read != images.digits).mean()
    assert row["wrong_before"] == pytest.approx((log_probs.argmax(-1) != digits).any(1).mean())
    assert np.exp(log_probs).sum(-1) == pytest.approx(1)


def test_what_makes_no_sense_is_refused(run: Run, folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"^measure_checksums: nothing to measure, expected --triples or --folder$"):
        run()
    (folder / "labels.csv").write_text("path,text\n1.png,12\n")
    with pytest.raises(SystemExit, match=r"^measure_checksums: no pictures with even numbers in labels\.csv$"):
        run("--folder", f"cells={folder}")


# The tables.


def page_rows() -> list[Row]:
    about = {"date": "2026-12-01", "commit": "0123456789abcdef", "machine": {"processor": "made up"}, "seed": 0,
             "model_sha256": "a" * 64}  # fmt: skip
    triples = {"part": "checksum-triples", "images": 10_000, "images_wrong": 0.0031, "triples": 10_000,
               "wrong_before": 0.03, "wrong_after": 0.0004, "wrong_by_digit": 0.0005}  # fmt: skip
    cells_ = {"part": "checksum-sums", "set": "cells", "half": "reported", "engine": "ours", "path": 3,
              "pictures": 504, "left_out": 0}  # fmt: skip
    made = {"all": (1.0, 0.04, 0.32, 0.01, 0.08), "settled": (0.9, 0.03, 0.28, 0.005, 0.02),
            "accepted": (0.0, None, None, None, None)}  # fmt: skip
    keys = "share", "numbers_wrong_before", "sums_wrong_before", "numbers_wrong_after", "sums_wrong_after"
    rows = [about | cells_ | {"kind": kind, "sums": round(2000 * figures[0])} | dict(zip(keys, figures, strict=True))
            for kind, figures in made.items()]  # fmt: skip
    return [about | triples, *rows]


def test_without_rows_everything_says_that_it_was_not_measured() -> None:
    for name, make in TABLES.items():
        assert make([]).strip() == "*Not measured yet.*", name


def test_triples_are_counted_before_and_after() -> None:
    text = TABLES["checksum-triples"](page_rows())
    assert cells(text, "10,000") == ["31 of 10,000", "300", "4", "75", "5"]
    none = [row | {"wrong_after": 0.0} if "triples" in row else row for row in page_rows()]
    assert cells(TABLES["checksum-triples"](none), "10,000")[2:4] == ["0", "none is left"]


def test_sums_are_told_by_what_came_of_them() -> None:
    text = TABLES["checksum-sums"](page_rows())
    first = "cells", "reported", "ours", "504"
    assert cells(text, *first, KINDS["all"]) == ["2,000", "100.00", "4.00", "1.00", "640", "160"]
    assert cells(text, *first, KINDS["settled"]) == ["1,800", "90.00", "3.00", "0.50", "504", "36"]
    assert cells(text, *first, KINDS["accepted"]) == ["0", "0.00", "–", "–", "–", "–"]


def test_of_two_measurements_the_last_one_is_quoted() -> None:
    older = [row | {"date": "2026-11-01", "wrong_before": 0.5, "sums_wrong_before": 0.5} for row in page_rows()]
    for name, make in TABLES.items():
        assert make([*page_rows(), *older]) == make([*older, *page_rows()]), name
        assert len(make([*page_rows(), *older]).splitlines()) == len(make(page_rows()).splitlines()), name


def test_a_changed_row_changes_the_page() -> None:
    rows = page_rows()
    written = filled(PAGE, rows)
    for name, make in TABLES.items():
        assert make(rows) in written, name
    for place, row in enumerate(rows):
        for key in ("images_wrong", "wrong_before", "wrong_after", "sums_wrong_after", "numbers_wrong_before"):
            if row.get(key):
                other = row | {key: row[key] * 3}
                assert filled(PAGE, [*rows[:place], other, *rows[place + 1 :]]) != written, (place, key)


def test_it_is_said_where_and_with_what_it_was_measured() -> None:
    assert checksum_tables.measured(page_rows()) == (
        "Measured on 2026-12-01 at commit 012345678 on made up: triples (SHA-256 of its networks: aaaaaaaaaaaa…), "
        "cells read with ours (SHA-256 of its networks: aaaaaaaaaaaa…)."
    )
