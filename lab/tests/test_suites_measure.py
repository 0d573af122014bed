"""What readers are measured by: every figure against a count by hand, with a reader whose answers are known; and the
command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sumnist
from lab.__main__ import main
from lab.suites import digits, measure, photographs
from lab.suites.corruptions import CORRUPTIONS
from lab.suites.measure import answers_of
from lab.suites.strips import NO_NUMBERS, SPACINGS, strings
from sumnist.data.mnist import DigitSet
from sumnist.errors import ConfigError, ImageError
from sumnist.inference.numbers import Numbers
from sumnist.inference.reader import Reader
from test_labelled import Result, read_as, scripted


def test_measuring_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import lab.suites.measure"
    subprocess.run([sys.executable, "-c", code], check=True)


# Digits.


@pytest.fixture(scope="module")
def reader() -> Reader:
    return sumnist.load()


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_the_area_under_the_roc_curve_is_the_share_of_pairs_in_order(inside: list[int], outside: list[int]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert measure.area_under_roc(np.array(inside, float), np.array(outside, float)) == pytest.approx(np.mean(pairs))


def test_the_network_alone_sees_the_image_as_it_is(reader: Reader, mnist_train: DigitSet) -> None:
    images = mnist_train.images[:40]
    assert (measure.network_digits(reader, images) == mnist_train.digits[:40]).mean() > 0.9
    aside = np.pad(images, ((0, 0), (0, 0), (0, 12)))[:, :, 8:36]
    # The reader puts them into their place again, the network alone does not.
    whole, alone = answers_of(reader, list(aside)).digits, measure.network_digits(reader, aside)
    assert (whole == mnist_train.digits[:40]).mean() > (alone == mnist_train.digits[:40]).mean()


def test_robustness_has_a_figure_for_everything_and_its_table_the_same_ones(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs.inks_of("development")  # before there are few
    for name in ("small_digits", "font_digits"):
        whole = getattr(digits, name)("development")
        few = type(whole)(whole.name, whole.pictures[:10], whole.digits[:10], whole.writers[:10])
        monkeypatch.setattr(digits, name, lambda half, few=few: few)
    monkeypatch.setattr(measure, "SCENES", 1)
    grey = {"grey": lambda half: [np.full((30, 30), 99, np.uint8)] * 3}
    monkeypatch.setattr(measure, "OUT_OF_DISTRIBUTION", grey)
    found = measure.robustness(reader, images=6)
    table, values = found.table(), found.as_dict()
    assert [(one["name"], one["images"]) for one in values["corruptions"]] == [(name, 6) for name in CORRUPTIONS]
    assert [one["name"] for one in values["digits"]] == [
        "scikit-learn's digits", "handwriting fonts", "tight crops, 1×, light ink", "tight crops, 1×, dark ink",
        "tight crops, 6×, light ink", "tight crops, 6×, dark ink", "drawn cells",
        "photographs of MNIST training images", "photographs of scikit-learn's digits",
        "photographs of handwriting fonts", "scenes: desk along an edge", "scenes: corner", "scenes: all round",
        "scenes: note", "scenes: card",
    ]  # fmt: skip
    assert [one["pictures"] for one in values["digits"]] == [10, 10, *[6] * 8, *[1] * 5]
    assert values["mnist"]["pictures"] == 6
    assert values["out_of_distribution"] == [{"name": "grey", "pictures": 3, "accepted": 0.0, "auroc": 1.0}]
    for one in values["corruptions"]:
        line = next(line for line in table.splitlines() if line.startswith(one["name"].replace("_", " ")))
        assert line.split()[-4:] == ["(seen)", *(f"{100 * one[key]:.2f}" for key in ("network", "reader", "accepted"))]
    for of in ("network", "reader"):
        assert values[f"{of}_mean"] == pytest.approx(sum(one[of] for one in values["corruptions"]) / 15)
        assert values[f"{of}_mean_unseen"] is None
    assert f"{100 * values['network_mean']:.2f}" in table
    for one in values["digits"]:
        line = next(line for line in table.splitlines() if line.startswith(f"{one['name']}  "))
        assert line.split()[-4:-2] == [f"{100 * one['accuracy']:.2f}", f"{100 * one['accepted']:.2f}"]
    assert max(map(len, table.splitlines())) <= 120


def test_an_unknown_half_is_an_error(reader: Reader) -> None:
    with pytest.raises(ConfigError, match=r"^half 'test': unknown"):
        measure.robustness(reader, "test")  # type: ignore[arg-type]


# The suite of numbers.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of few strings."""
    monkeypatch.setattr(measure, "STRINGS", {1: 3, 2: 3, 5: 2})
    monkeypatch.setattr(measure, "COUNTS", dict.fromkeys(NO_NUMBERS, 2))


def test_the_suite_has_a_figure_for_every_length_and_spacing_and_its_table_the_same_ones(small: None) -> None:
    def answers() -> Iterator[Result]:
        """Every other number is read right, and those are accepted."""
        yield from (read_as((text, 0.75)) for text in strings("development", 1, "spaced", 3).texts)
        for length, count in ((2, 3), (5, 2)):
            for spacing in SPACINGS:
                for place, text in enumerate(strings("development", length, spacing, count).texts):
                    yield read_as(("9" + text if place % 2 else text, 0.75), accepted=place % 2 == 0)
        yield read_as(("7", 0.5))
        yield ImageError("x")
        yield read_as(("7", 0.5), accepted=False)

    script = scripted(*answers())
    found = measure.numbers(script, "development", "both")
    values = found.values
    assert (values["half"], values["engine"]) == ("development", "both")
    assert [(one["name"], one["pictures"], one["digits"], one["spacing"]) for one in values["strings"]] == [
        ("1 digit", 3, 1, "spaced"),
        *((f"2 digits, {spacing}", 3, 2, spacing) for spacing in SPACINGS),
        *((f"5 digits, {spacing}", 2, 5, spacing) for spacing in SPACINGS),
        *((f"2 to 12 digits, {spacing}", 5, None, spacing) for spacing in SPACINGS),
    ]
    right = [one["accuracy"] for one in values["strings"]]
    assert right == pytest.approx([1, *[2 / 3] * 3, *[1 / 2] * 3, *[3 / 5] * 3])
    assert all(one["accuracy_accepted"] == 1 for one in values["strings"])
    assert {engine for _, engine, _ in script.asked} == {"both"}
    assert [(one["name"], one["pictures"], one["accepted"]) for one in values["no_numbers"]] == [
        ("words", 2, 0.5), ("scribbles", 2, 0.0), ("struck-out numbers", 2, 0.0), ("blank", 2, 0.0)
    ]  # fmt: skip
    for one in values["strings"]:
        line = next(line for line in found.lines if line.startswith(f"{one['name']}  "))
        shares = [one[key] for key in ("accuracy", "accepted", "accuracy_accepted", "in_candidates")]
        cells = [str(one["pictures"]), *(f"{100 * share:.2f}" for share in shares), f"{one['nll']:.3f}"]
        assert line.removeprefix(one["name"]).split() == [*cells, f"{100 * one['ece']:.2f}"]
    assert "words                                2     50.00" in found.table()
    assert max(map(len, found.lines)) <= 120


def test_a_count_limits_every_set_and_an_unknown_half_or_engine_is_an_error(small: None) -> None:
    found = measure.numbers(scripted(read_as(("7", 0.5))), "reported", count=1).values
    assert [one["pictures"] for one in (*found["strings"][:7], *found["no_numbers"])] == [1] * 11
    with pytest.raises(ConfigError, match=r"^half 'test': unknown"):
        measure.numbers(Numbers(), "test")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^engine 'none': expected ours, ocr or both"):
        measure.numbers(Numbers(), engine="none")  # type: ignore[arg-type]


def test_the_suite_is_measured_on_the_command_line(small: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suites", "numbers", "--half", "development"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("numbers, development half, read with ours\n\nMNIST's test digits ")
    assert all(name in out for name in NO_NUMBERS)
