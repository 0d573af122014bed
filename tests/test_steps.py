"""The steps from a picture to what the network sees: those really taken, recorded once, and drawn as a strip."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from drawings import every, proposed
from sumnist.cli import main
from sumnist.data.mnist import load_mnist
from sumnist.inference.reader import Reader
from sumnist.lab.suites.photographs import photograph
from sumnist.pictures import decode
from sumnist.pictures.decode import Picture
from sumnist.pictures.proposals import Proposal
from sumnist.pictures.steps import GAP, SIDE, as_png, strip

IMAGE = load_mnist("test").images[0]
MOVED = np.roll(IMAGE, 3, 1)
"""Not centred as MNIST has it, so that it must be put into its place."""
PAGE = Image.fromarray(255 - np.pad(np.kron(IMAGE, np.ones((5, 5), np.uint8)), 80))
"""A digit on a page of 300×300."""
SHEET = np.random.default_rng(0).normal(60, 5, (220, 260)).clip(0, 255).astype(np.uint8)
"""A digit on a sheet on a dark desk."""
SHEET[20:190, 30:200] = 220
SHEET[50:162, 60:172] -= np.kron(IMAGE // 4 * 3, np.ones((4, 4), np.uint8))
PHOTOGRAPH = photograph(IMAGE, seed=3)
EMPTY = photograph(None, seed=1)


def taken(picture: Picture) -> tuple[Proposal, dict[str, NDArray[Any]]]:
    """What comes first to mind of a picture, and the steps to it."""
    proposal = next(proposal for proposals in proposed(picture, steps=True) for proposal in proposals)
    return proposal, dict(proposal.steps)


def panels(drawing: Image.Image) -> list[NDArray[np.uint8]]:
    """The panels of a strip, `[SIDE, SIDE]` each."""
    pixels = np.asarray(drawing)
    return [pixels[GAP : GAP + SIDE, left : left + SIDE] for left in range(GAP, drawing.width, SIDE + GAP)]


READ, EVENED, FOUND, DIGIT, SEEN = "as read", "light evened", "ink found", "the digit", "what the network sees"
FOUR = [EVENED, FOUND, DIGIT, SEEN]
FINE, GROUND = "narrow strokes", "more ground around it"


@pytest.mark.parametrize(
    ("picture", "captions"),
    [
        (IMAGE, [READ, SEEN]),
        (IMAGE / 255, [READ, SEEN]),
        (255 - IMAGE, [READ, f"{SEEN}, inverted"]),
        (MOVED, [READ, SEEN]),
        (PAGE, [READ, *FOUR]),
        (PHOTOGRAPH, [READ, FINE, *FOUR]),
    ],
    ids=["ready", "ready floats", "inverted", "moved", "page", "photograph"],
)
def test_the_steps_are_those_that_were_taken(picture: Picture, captions: list[str]) -> None:
    proposal, steps = taken(picture)
    assert list(steps) == captions
    assert np.array_equal(list(steps.values())[-1], proposal.image)


@pytest.mark.parametrize("picture", [IMAGE, 255 - IMAGE, MOVED, PAGE, PHOTOGRAPH, EMPTY])
def test_what_is_proposed_is_the_same_whether_the_steps_are_recorded_or_not(picture: Picture) -> None:
    recorded, plain = every(picture, steps=True), every(picture)
    assert recorded == plain
    for one, other in zip(recorded, plain, strict=True):
        assert other.steps == ()
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.steps[-1].values, one.image)


def test_each_step_shows_its_result() -> None:
    page = np.full((160, 190), 255, np.uint8)
    page[20:132, 60:172] -= np.kron(IMAGE, np.ones((4, 4), np.uint8))
    shade = np.linspace(0.45, 0.95, 190)
    page[140:144, 20:24] = 0  # a speck
    proposal, steps = taken((page * shade).astype(np.uint8))
    ink, around = page < 100, page == 255
    ink[140:144, 20:24] = around[136:148, 16:28] = False
    assert np.array_equal(steps[READ], np.float32((page * shade).astype(np.uint8) / 255))
    assert np.ptp(np.median(steps[READ], 0)) > 0.4  # the light falls off
    assert steps[EVENED].max() == pytest.approx(1)
    assert steps[EVENED][around].mean() < 0.02
    assert steps[EVENED][ink].mean() > 0.7
    assert steps[FOUND][ink].min() == 1
    assert steps[FOUND][around].mean() < 0.02
    assert 0.2 < steps[FOUND][141:143, 21:23].mean() < 0.4  # seen, but not the digit's
    top, bottom, left, right = proposal.box
    assert np.abs(np.array(steps[DIGIT].shape) - (bottom - top, right - left)).max() <= 10
    assert steps[DIGIT].mean() > steps[FOUND].mean()


def test_a_blank_picture_is_shown_as_it_was_read() -> None:
    blank = np.full((40, 60), 200, np.uint8)
    (read, seen) = Reader().read_shown(blank, 7)[1]
    assert (read.caption, seen.caption) == (READ, f"{SEEN}: blank")
    assert np.array_equal(read.values, np.full((40, 60), np.float32(200 / 255)))
    assert not seen.values.any()
    assert Reader().read_shown(blank, 7, steps=False)[1] == ()


def test_the_command_writes_the_strips_and_reads_every_picture_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def watch(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def counted(*given: Any) -> Any:
            calls.append(name)
            return function(*given)

        monkeypatch.setattr(module, name, counted)

    watch(decode, "decoded")
    (tmp_path / "seven.jpg").write_bytes(PHOTOGRAPH)
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    out = tmp_path / "steps.png"
    words = [str(tmp_path / "seven.jpg"), str(tmp_path / "blank.png"), "--number", "7", "--show", str(out)]
    assert main(["predict", *words]) == 0
    assert calls == ["decoded"] * 2
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'blank.png'}: not accepted, blank" in printed
    expected = [strip(Reader().read_shown(tmp_path / name, 7)[1]) for name in ("seven.jpg", "blank.png")]
    assert out.read_bytes() == as_png(expected)
