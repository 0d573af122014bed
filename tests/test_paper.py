"""Sums on paper: what a text asks and answers, how probable each verdict is, and what is said of whole pages."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sumnist
from sumnist.cli import main
from sumnist.errors import ConfigError
from sumnist.inference.alphabet import WRITING
from sumnist.inference.columns import texts_of_column
from sumnist.inference.ctc import Evidence
from sumnist.inference.paper import OTHER, POWER, PaperSum, marked, posterior, texts_of
from sumnist.inference.written import STRANGE, mended, written
from sumnist.pictures.marks import Outline, ticked

PAGE = Path("examples/sums.jpg")
SUMS = re.split(
    " ", "98÷2=49 446+776=1221 735+3=738 325-77=247 77+968=1045 982-4=978 5×4=20 26-2=24 50-3=49 75×9=675 279÷9= "
    "84÷7=12 11×4=44",
)  # fmt: skip


@pytest.fixture(scope="module")
def checked() -> list[PaperSum]:
    return sumnist.load().sums(PAGE)


JUDGED = """
12+7=19 right 19; 12+7=18 wrong 19; 12+7= unanswered 19; 2+3×4=14 right 14; (2+3)×4=20 right 20; 2(2-1)=2 right 2;
7-12=-5 right -5; 0,5×3=1,5 right 3/2; 1/3=0.33 right 1/3; 1/3=0.3 wrong 1/3; 3+~=9 unanswered 6; 12÷()=4 unanswered 3;
14÷3=4..2 right 14/3; 14÷3=4..1 wrong 14/3; 53-6<49 right 47; 53-6>49 wrong 47; 319÷4≈80 right 319/4;
319÷4≈8 wrong 319/4; 3)4+5=9 right 9; 2+2=1+3 right 4; 60=2×2×3×5 right 60; 1+1=2=3 wrong 2
"""
"""Sums, with their verdicts and right answers."""


@pytest.mark.parametrize("told", [one.strip() for one in JUDGED.split(";")])
def test_a_sum_is_worked_out_exactly(told: str) -> None:
    text, verdict, answer = told.split()
    one = written(text)
    assert one is not None
    assert (one.verdict, one.answer) == (verdict, Fraction(answer))


NO_SUMS = "27/6/94;12:30;1/2;171-234-5555;6.;3:2;1480;?;;12%;(4);1÷0=;3+4=7 5+6=11;12 3+4=7"


@pytest.mark.parametrize("text", [*NO_SUMS.split(";"), "9" * 70])
def test_what_is_no_sum_is_not_judged(text: str) -> None:
    assert written(text) is None


def test_a_wrong_sum_is_mended_in_each_of_its_numbers() -> None:
    assert set(mended("12+7=18")) == {"11+7=18", "12+6=18", "12+7=19"}
    assert all(written(one).verdict == "right" for one in mended("84÷7=13"))  # type: ignore[union-attr]


def test_the_posterior_of_a_line_is_that_of_enumerating_all_paths_in_two_forms() -> None:
    random, signs, spelt = np.random.default_rng(7), "12+=", dict[str, list[int]]()
    paths = np.array(list(product(range(5), repeat=5)))
    for place, path in enumerate(paths):
        spelt.setdefault("".join(signs[one - 1] for one, _ in groupby(path) if one), []).append(place)
    for _ in range(1000):
        forms, found = np.full((2, 5, len(WRITING) + 1), 1e-300), np.zeros(len(paths))
        for form in forms:
            shares = 0.999999 * random.dirichlet(np.full(5, 0.2), 5) + 2e-7
            form[:, [0, *(WRITING.index(one) + 1 for one in signs)]] = shares
            found += shares[np.arange(5), paths].prod(1) / 2
        truth = {text: float(found[places].sum()) for text, places in spelt.items()}
        texts = texts_of([Evidence(np.log(form)) for form in forms])
        assert texts == pytest.approx({text: truth.get(text, 0.0) for text in texts}, abs=1e-9)
        weights = {text: truth.get(text, 0.0) * (STRANGE if (one := written(text)) is None else one.weight) ** POWER
                   for text in texts}  # fmt: skip
        total = math.fsum(weights.values()) + (1 - math.fsum(truth.get(text, 0.0) for text in texts)) * OTHER**POWER
        for text, (_, share) in posterior(texts).items():
            assert share == pytest.approx(weights[text] / total, abs=1e-9)


def test_more_mistakes_make_a_wrong_answer_more_probable() -> None:
    texts = {"3+4=7": 0.3, "3+4=8": 0.7}
    shares = [posterior(texts, mistakes)["3+4=8"][1] for mistakes in (0.01, 0.15, 0.6)]
    assert shares == sorted(shares)
    assert shares[0] < shares[2] - 0.1


def test_ink_that_says_otherwise_is_not_pulled_to_the_right_answer() -> None:
    assert marked({"12+7=18": 0.999, "12+7=19": 1e-5}, []).verdict == "wrong"
    assert marked({"12+7=18": 0.5, "12+7=19": 0.1}, []).verdict == "can't tell"


def test_every_sum_of_a_page_is_found_and_judged(checked: list[PaperSum]) -> None:
    for one, text in zip(checked, SUMS, strict=True):
        assert one.verdict == getattr(written(text), "verdict", None), one
        assert one.text == text or text == "279÷9="
    assert [one.slip for one in checked if one.verdict == "wrong"] == ["off by one", "off by one", "anything"]
    tops = [min(y for _, y in one.corners) for one in checked]
    assert tops == sorted(tops)


def test_the_command_marks_a_page_and_writes_a_row_for_each_sum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks, table = tmp_path / "marked.png", tmp_path / "sums.csv"
    assert main(["check", str(PAGE), "--show", str(marks), "--out", str(table)]) == 1
    said = capsys.readouterr().out
    assert "13 sums: 9 right, 3 wrong, 1 unanswered" in said
    assert "1222" not in said  # the right answer is told only if it is asked for
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + len(SUMS)
    with Image.open(marks) as drawn, Image.open(PAGE) as page:
        changed = np.abs(np.asarray(drawn.convert("RGB"), int) - np.asarray(page.convert("RGB"), int)).sum(2) > 90
        assert 0.001 < changed.mean() < 0.02
    assert main(["check", str(PAGE), "--answers", "--json"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["sums"][1]["answer"] == "1222"


def test_a_page_without_sums_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (300, 200), 255).save(blank)
    for picture in (str(blank), "examples/1480.png"):
        assert main(["check", picture]) == 1
        assert "no sum found, expected one such as 12 + 7 = 19" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="mistakes 2: expected a probability"):
        sumnist.load().sums(PAGE, mistakes=2)


def row_of(*places: str) -> list[Evidence]:
    """What a network says of a row: at each place, the first character with .6, the second one with .4."""
    steps = np.full((2 * len(places) + 1, len(WRITING) + 1), 1e-9)
    steps[::2, 0] = 1
    for place, options in enumerate(places):
        steps[2 * place + 1, [WRITING.index(one) + 1 for one in options]] = (0.6, 0.4)[: len(options)]
    return [Evidence(np.log(steps))]


def test_the_texts_of_a_column_have_the_products_of_their_rows_shares() -> None:
    texts = texts_of_column([row_of("5", "38"), row_of("+", "7"), row_of("6", "05")], is_answered=True)
    truth = {"53+7=60": 0.36, "53+7=65": 0.24, "58+7=60": 0.24, "58+7=65": 0.16}
    assert {text: texts[text] for text in truth} == pytest.approx(truth, abs=1e-4)
    assert marked(texts, []).verdict == "right"
    assert texts_of_column([row_of("×", "5"), row_of("-", "3"), row_of("2")], is_answered=True) == {}
    assert marked({}, []).verdict == "not a sum"
    assert set(texts_of_column([row_of("9"), row_of("×", "4")], is_answered=False)) == {"9×4="}


def test_a_mark_stands_before_a_sum_that_ends_at_the_border() -> None:
    column = Outline(((150, 20), (298, 20), (298, 180), (150, 180)), "right", True)
    drawn = np.asarray(ticked(Image.new("RGB", (300, 200), "white"), [column]))
    assert [bool((half < 250).any()) for half in (drawn[:, :150], drawn[:, 150:])] == [True, False]
