"""What is written on a line, and what it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from drawings import line_of
from finding import Finding
from sumnist.cli import main
from sumnist.inference.meaning import BLANK, FRACTION, NUMBER
from sumnist.inference.numbers import NumberReader, Numbers
from sumnist.inference.reader import Reader
from sumnist.inference.text import read_line
from sumnist.pictures.decode import Grey, Intensities
from test_number_reader import Saying, inked, saying


def sixth(before: str = "5", after: str = "6") -> Image.Image:
    """A fraction: test images beside each other, with a stroke of a pen between them."""
    digits = Image.fromarray(line_of(before + after, gap=40)).resize((368, 208))
    ImageDraw.Draw(digits).line((208, 30, 160, 180), fill=30, width=11)
    return digits


def test_a_fraction_is_read_as_a_fraction_and_not_taken_for_a_number() -> None:
    reader = Reader()
    reading = reader.read_text(sixth())
    assert (reading.text, reading.kind, reading.accepted, reading.reason) == ("5/6", FRACTION, True, None)
    assert reader.read_number(sixth()).reason == FRACTION
    top, bottom, left, right = reading.box or (0, 0, 0, 0)
    assert 0 <= top < 60 < 150 < bottom <= 208
    assert 0 <= left < 140 < 230 < right <= 368


def test_a_number_is_not_the_text_of_a_sum_with_much_room_beside_its_sign() -> None:
    sum_ = Image.fromarray(line_of("56", gap=100)).resize((304, 104))
    ImageDraw.Draw(sum_).line((134, 52, 170, 52), fill=30, width=7)
    ImageDraw.Draw(sum_).line((152, 34, 152, 70), fill=30, width=7)
    reading = Reader().read_text(sum_)
    assert (reading.text[0], reading.text[-1]) == ("5", "6")
    assert reading.kind != NUMBER


def test_texts_with_the_same_meaning_are_one_candidate_with_the_sum_of_their_probabilities() -> None:
    said = saying(("12.50", 0.5), ("12,50", 0.3), ("12/50", 0.2))
    reading = read_line(NumberReader(Saying(said), Finding()), inked())
    (number, fraction), shares = reading.candidates[:2], [one.probability for one in reading.candidates]
    assert (number.text, number.kind, fraction.kind) == ("12.50", NUMBER, FRACTION)
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert (reading.accepted, reading.confidence) == (number.probability >= 0.6, number.probability)
    assert reading.as_dict()["candidates"][0] == {"text": "12.50", "kind": NUMBER, "probability": number.probability}


@pytest.mark.parametrize("grey", [np.ones((40, 120), np.float32), np.full((40, 120), 0.5, np.float32)])
def test_on_a_blank_picture_nothing_is_written(grey: Grey) -> None:
    reading = read_line(Numbers().reader(), Intensities(grey))
    assert (reading.text, reading.kind, reading.accepted, reading.reason) == ("", BLANK, False, BLANK)
    assert reading.box is None


def test_the_command_says_what_is_written_and_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sixth.png"
    sixth().save(path)
    assert main(["predict", "--text", str(path)]) == 0
    text = capsys.readouterr().out.splitlines()[1]
    assert text.split()[:2] == ["text", "5/6"]
    assert text.endswith("(a fraction)")
    assert main(["predict", "--text", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == FRACTION
    assert main(["predict", "--text", "--number", "7", str(path)]) == 2
