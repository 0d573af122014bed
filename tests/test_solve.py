"""Equations of pictures, in Python and on the command line: what is read, what is printed, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

import sumnist
from drawings import line_of
from sumnist.arithmetic.queries import LONGEST
from sumnist.arithmetic.solutions import Answer, Solution
from sumnist.arithmetic.values import Values
from sumnist.cli import main
from sumnist.cli.words import solution_described
from sumnist.errors import ConfigError, ImageError, NumberError
from sumnist.inference.numbers import NUMBER_ADVICE, Numbers
from sumnist.inference.reader import Reader
from sumnist.inference.solve import CANDIDATES, COMBINATIONS, TERMS, solve, words_in

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NO_FILE = "check its name, there is no such file; what is unknown is written _"


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a few pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("five.png", "1480.png"):
        shutil.copy(EXAMPLES / name, tmp_path)
    shutil.copy("five.png", "a five.png")
    shutil.copy("five.png", "12")
    Image.fromarray(line_of("1037")).save("1037.png")
    Image.new("L", (200, 60), 255).save("blank.png")
    Path("text.png").write_text("no picture")
    Path("folder").mkdir()
    return tmp_path


@pytest.fixture
def command(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `sumnist solve` in this process, there."""

    def run(*words: str) -> Result:
        status = main(["solve", *words])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


# In Python.


def test_an_unknown_number_is_what_the_picture_leaves(place: Path, reader: Reader) -> None:
    solution = sumnist.solve("five.png + _ = 12", reader)
    assert solution.solved == "5 + 7 = 12"
    (unknown,), (five,) = solution.unknowns, solution.pictures
    assert (unknown.term, unknown.value, five.term, five.value) == ("_", 7, "five.png", 5)
    read = reader.read_number("five.png", count=CANDIDATES)
    assert five.before == read.values
    assert dict(unknown.after.probabilities) == pytest.approx(
        {12 - value: share / (1 - read.other) for value, share in read.values.probabilities.items()}
    )


def test_without_a_reader_the_packaged_networks_read(place: Path, reader: Reader) -> None:
    assert solve("1480.png - five.png = _") == solve("1480.png - five.png = _", reader)
    assert solve("1480.png - five.png = _", Numbers()).unknowns[0].value == 1475


def test_a_list_has_readings_of_both_kinds_paths_pictures_and_numbers(place: Path, reader: Reader) -> None:
    digit, number = reader.read("five.png", 0), reader.read_number("1480.png")
    with Image.open("1037.png") as picture:
        solution = solve([number, "+", digit, "+", picture, "+", Path("a five.png"), "=", "_"], reader)
    assert solution.query == 'reading 1 + reading 3 + picture 5 + "a five.png" = _'
    assert solution.solved == "1480 + 5 + 1037 + 5 = 2527"
    assert solution.pictures[1].before == Values(dict(enumerate(digit.digit_probabilities)), 0.0)
    assert solve([digit, "+", 7, "=", "1_"], reader).unknowns[0].value == 12
    assert solve([Path("five.png").read_bytes(), "+", 7, "=", "_"], reader).unknowns[0].value == 12


def test_the_same_picture_twice_is_read_once_and_counts_twice(
    place: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def counted(self: Numbers, pictures: Any, *more: Any) -> Any:
        asked.extend(pictures)
        return each(self, pictures, *more)

    each = Numbers.read_each
    monkeypatch.setattr(Numbers, "read_each", counted)
    solution = solve(["five.png", "+", Path("./five.png"), "=", 10], reader)
    assert asked == ["five.png"]
    assert solution.is_true == pytest.approx([solution.pictures[0].before.probabilities[5]] * 2)  # type: ignore[union-attr]
    assert solve("five.png + 'a five.png' = 10", reader).is_true != solution.is_true


@pytest.mark.parametrize(("pictures", "count"), [(1, 100), (4, 100), (8, 22), (12, 7), (40, 2)])
def test_of_many_pictures_each_has_fewer_candidates(
    pictures: int, count: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def stopped(self: Numbers, given: Any, *more: Any) -> Any:
        asked.append(more[-1])
        return [ImageError("stop")]

    monkeypatch.setattr(Numbers, "read_each", stopped)
    for name in range(pictures):
        Path(f"{name}.png").touch()
    with pytest.raises(ImageError, match="stop"):
        solve(" + ".join(f"{name}.png" for name in range(pictures)) + " = _")
    assert asked == [count]
    assert count == 2 or count ** -(-pictures // 2) <= COMBINATIONS


# Words.


def test_words_are_given_as_one_text_or_as_many(place: Path) -> None:
    words = ["five.png", "+", "_", "=", "12"]
    assert words_in("five.png + _ = 12") == words_in(*words) == words_in("five.png + _", "=", "12") == words
    spaced = [Path("a five.png"), "+", "_", "=", "12"]
    assert words_in("a five.png", "+", "_", "=", "12") == words_in("'a five.png' + _ = 12") == spaced
    assert words_in("none of these.png", "=", "5")[0] == Path("none of these.png")
    shutil.copy("five.png", "a + b.png")
    assert words_in("a + b.png", "=", "5") == [Path("a + b.png"), "=", "5"]
    assert words_in("a - b.png", "=", "5") == ["a", "-", "b.png", "=", "5"]
    assert words_in("five.png", "", "=") == ["five.png", "="]


# What is printed.


def answer(term: str, before: dict[Any, float] | None, after: dict[Any, float], reason: str | None = None) -> Answer:
    return Answer(term, Values(before, 1 - sum(before.values())) if before else None, Values(after, 0.0), reason)


SOLUTION = Solution(
    "a.png - b.png = _4", "107 - 53 = 54", 0.9,
    (answer("_4", None, {54: 0.9, 4: 0.09, 94: 0.01}),),
    (answer("a.png", {101: 0.7, 107: 0.2, 57: 0.09, 1: 0.005}, {107: 0.9, 57: 0.1}, "unsure"),
     answer("b.png", {53: 0.999, 5: 0.00001}, {53: 1.0})),
    0.98765, None,
)  # fmt: skip


def test_a_solution_is_told_in_columns() -> None:
    assert solution_described(SOLUTION) == (
        "a.png - b.png = _4\n"
        "107 - 53 = 54  90.00%\n"
        "  _4      54   90.00%                  then 4 9.00%, 94 1.00%\n"
        "  a.png  107   90.00%  before  20.00%  then 57 10.00%; not 101 (70.00%), 1 (0.50%); "
        "alone not accepted, unsure\n"
        "  b.png   53  100.00%  before  99.90%\n"
        "  with at least 98.77% each picture shows one of its candidates, as is assumed here"
    )
    assert "then 4 9.00%\n" in solution_described(SOLUTION, 2)
    assert "then" not in solution_described(SOLUTION, 1)


def test_where_nothing_is_unknown_it_is_told_how_probable_the_equation_is(place: Path, reader: Reader) -> None:
    true = solve("five.png + 1480.png = 1485", reader)
    assert true.is_true is not None
    line = solution_described(true).splitlines()[-1]
    assert line == f"  by the pictures alone, the probability that it is true is {true.is_true[0]:.2%}"
    interval = Solution("a = 5", "5 = 5", 1.0, (), SOLUTION.pictures, 1.0, (0.00001, 0.25))
    assert solution_described(interval).splitlines()[-1].endswith("is from <0.01% to 25.00%")


def test_the_command_prints_what_is_told_and_the_same_of_one_word_or_many(
    command: Callable[..., Result], reader: Reader
) -> None:
    expected = solution_described(solve("five.png + _ = 12", reader)) + "\n"
    assert command("five.png + _ = 12") == command("five.png", "+", "_", "=", "12") == (0, expected, "")
    few = command("--count", "1", "five.png", "+", "_", "=", "12")
    assert few == (0, solution_described(solve("five.png + _ = 12", reader), 1) + "\n", "")
    assert command("a five.png", "-", "-5", "=", "_").out.splitlines()[1].startswith("5 - -5 = 10 ")
    assert command("-", "12", "+", "five.png", "=", "_").out.splitlines()[1].startswith("- 12 + 5 = -7 ")
    assert command("./12", "+", "12", "=", "_").out.splitlines()[1].startswith("5 + 12 = 17 ")


def test_a_line_of_json_is_the_solution(command: Callable[..., Result], reader: Reader) -> None:
    words = ["1480.png", "-", "five.png", "=", "147_"]
    status, out, err = command(*words, "--json", "--count", "2", "--digits", "1-4")
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert json.loads(out) == solve(words, reader, digits=(1, 4)).as_dict(2)


def test_the_flags_reach_the_reader(command: Callable[..., Result], reader: Reader) -> None:
    words = ["1480.png", "=", "_", "+", "0,5"]
    out = command(*words, "--json", "--digits", "2-3", "--decimal", ",", "--ink", "light").out
    assert json.loads(out) == solve(words, reader, "ours", (2, 3), ",", "light").as_dict()


# What is refused.


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("", 2, 'an empty query: expected an equation, such as "five.png + _ = 12": write one'),
        ("none.png + _ = 3", 1, f"none.png + _ = 3: word 1, none.png: expected {TERMS}: {NO_FILE}"),
        ("five.png + x = 3", 1, f"five.png + x = 3: word 3, x: expected {TERMS}: {NO_FILE}"),
        ("folder + _ = 3", 1, "folder + _ = 3: word 1, folder: is a folder, expected a picture: name a file in it"),
        ("_ = blank.png", 1, "_ = blank.png: word 3, blank.png: expected a number on it, not accepted: blank: "
         f"{NUMBER_ADVICE['blank']}"),
        ("five.png + 5.5 = _", 2, f"five.png + 5.5 = _: word 3, 5.5: expected {TERMS}: leave separators out; for "
         "decimals, say which sign is before them, as in --decimal ."),
        ("1,480 = five.png", 2, f"1,480 = five.png: word 1, 1,480: expected {TERMS}: leave separators out; for "
         "decimals, say which sign is before them, as in --decimal ."),
        ("five.png+3 = _", 2, f"five.png+3 = _: word 1, five.png+3: expected {TERMS}: put spaces around +, - and =, "
         "which are all the signs there are"),
        ("5x3 = five.png", 2, f"5x3 = five.png: word 1, 5x3: expected {TERMS}: put spaces around +, - and =, which are "
         "all the signs there are"),
        ("five.png 1480.png = 3", 2, "five.png 1480.png = 3: word 2, 1480.png: expected +, - or = between two terms: "
         "write one, or quote a path with spaces"),
        ("five.png + 7 = 13 =", 2, "five.png + 7 = 13 =: word 6, =: expected one = alone: leave out what is from the "
         "second one on"),
        ("'five.png + 7 = 13", 2, "'five.png + 7 = 13: expected a second ' at the end of the path: write it, then a "
         "space"),
        ("five.png = \0", 2, "five.png = \\x00: word 3, \\x00: expected a picture, a number or _: leave the character "
         "NUL out"),
    ],
)  # fmt: skip
def test_a_wrong_query_is_one_line_that_names_the_word(
    command: Callable[..., Result], text: str, status: int, message: str
) -> None:
    assert command(text) == (status, "", f"sumnist: {message}\n")


def test_a_picture_that_cannot_be_decoded_is_named_with_its_word(command: Callable[..., Result]) -> None:
    status, out, err = command("five.png", "+", "text.png", "=", "_")
    assert (status, out) == (1, "")
    assert err.startswith("sumnist: five.png + text.png = _: word 3, text.png: ")
    assert err.count("\n") == 1


def test_what_no_reading_makes_true_fails_with_what_was_looked_for(command: Callable[..., Result]) -> None:
    status, out, err = command("five.png + 7 = 1000000")
    assert (status, out) == (1, "")
    assert err == (
        "sumnist: five.png + 7 = 1000000: no reading of five.png makes it true, it would have to be 999993: check the "
        "equation and the pictures\n"
    )


def test_flags_that_make_no_sense_are_refused_as_everywhere(
    command: Callable[..., Result], small_run: Path, place: Path
) -> None:
    words = ["five.png", "+", "_", "=", "12"]
    assert command(*words, "--digits", "6-1").err.startswith("sumnist: --digits 6-1: expected how many there are")
    assert command(*words, "--count", "0").err == "sumnist: --count 0: expected a whole number from 1 to 1,000\n"
    assert command(*words, "--model", str(small_run)).err == (
        f"sumnist: --model {small_run}: a run that is not exported, expected an ONNX file for solve: run `sumnist "
        f"export {small_run}` first\n"
    )
    assert command().err.startswith("sumnist: solve: the following arguments are required: WORD; see ")


def test_in_python_arguments_and_numbers_that_make_no_sense_are_refused(place: Path, reader: Reader) -> None:
    for changed in ({"decimal": ";"}, {"engine": "theirs"}, {"digits": 0}, {"ink": "red"}):
        with pytest.raises(ConfigError):
            solve("five.png + _ = 12", reader, **changed)
    with pytest.raises(NumberError, match=f"word 3, a longer number: expected at most {LONGEST} digits"):
        solve(["five.png", "+", 10**5000, "=", "_"], reader)
    with pytest.raises(ImageError, match=r"^picture 1 = _: word 1, picture: NoneType, expected a path"):
        solve([None, "=", "_"], reader)
    with pytest.raises(ImageError, match=r"word 3, picture: NoneType, expected a path"):
        solve(["five.png", "+", None, "=", "_"], reader)


def test_what_contradicts_a_clear_picture_is_said_first_and_fails(command: Callable[..., Result]) -> None:
    status, out, _ = command("five.png + 7 = 13")
    assert status == 1
    assert out.startswith("contradicted: by itself, five.png is 5 (100.00%)\n")
    assert "only if that is misread, 6 + 7 = 13" in out
    status, out, _ = command("five.png + 7 = 13", "--json")
    assert status == 1
    (one,) = json.loads(out)["contradicted"]
    assert (one["term"], one["read"]) == ("five.png", 5)


def test_a_number_that_by_itself_is_another_is_said_below_the_equation() -> None:
    unknown = Answer("_", None, Values({11: 0.6, 0: 0.4}, 0.0), together=0)
    lines = solution_described(Solution("a + b = _", "0 + 0 = 0", 0.4, (unknown,), (), 1.0, None)).splitlines()
    assert lines[1:3] == ["0 + 0 = 0  40.00%", "  by itself, _ is most probably 11 (60.00%)"]
