"""The steps from a picture to what the network sees: those really taken, recorded once, and drawn as a strip."""

from __future__ import annotations

from io import BytesIO
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
from sumnist.pictures.steps import GAP, SIDE, Step, as_png, strip

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


def test_a_part_of_the_picture_is_a_step_of_its_own_with_the_part_that_was_looked_at() -> None:
    grey = (np.asarray(PAGE) / 255).astype(np.float32)
    views = {step.caption: step.values for proposal in every(PAGE, steps=True) for step in proposal.steps[1:-4]}
    assert np.array_equal(views["20% of each side cut off"], grey[60:240, 60:240])
    inner = views[GROUND][90:-90, 90:-90]
    assert np.array_equal(inner, grey)
    assert np.unique(views[GROUND][:90]).tolist() == [1]


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


def test_a_strip_shows_each_step_enlarged_and_framed() -> None:
    random = np.random.default_rng(0)
    small, wide = random.random((28, 28)), random.random((112, 448))
    drawing = strip([Step("small", small), Step("wide", wide)])
    first, second = panels(drawing)
    blocks = first.reshape(28, 8, 28, 8)
    assert np.ptp(blocks, (1, 3)).max() == 0
    assert np.array_equal(blocks[:, 0, :, 0], np.rint(small * 255))
    means = np.rint(wide * 255).reshape(56, 2, 224, 2).mean((1, 3))
    assert np.abs(second[84:140] - means).max() <= 1
    assert np.unique(second[:84]).tolist() == np.unique(second[140:]).tolist() == [160]  # the mount
    pixels = np.asarray(drawing)
    assert pixels[GAP - 1, GAP : GAP + SIDE].max() == pixels[GAP : GAP + SIDE, GAP + SIDE].max() == 0  # the frame
    assert pixels[: GAP - 1].min() == 255
    captions = pixels[GAP + SIDE + 1 :]
    assert captions[:, GAP : GAP + SIDE].min() == captions[:, SIDE + 2 * GAP :].min() == 0
    assert not np.array_equal(captions[:, GAP : GAP + 60], captions[:, SIDE + 2 * GAP : SIDE + 2 * GAP + 60])


@pytest.mark.parametrize("picture", [IMAGE, MOVED, PHOTOGRAPH])
def test_the_last_panel_is_what_the_network_sees(picture: Picture) -> None:
    proposal, _ = taken(picture)
    last = panels(strip(proposal.steps))[-1].reshape(28, SIDE // 28, 28, SIDE // 28)
    assert np.abs(last.mean((1, 3)) - proposal.image * 255).max() <= 1


def test_a_blank_picture_is_shown_as_it_was_read() -> None:
    blank = np.full((40, 60), 200, np.uint8)
    (read, seen) = Reader().read_shown(blank, 7)[1]
    assert (read.caption, seen.caption) == (READ, f"{SEEN}: blank")
    assert np.array_equal(read.values, np.full((40, 60), np.float32(200 / 255)))
    assert not seen.values.any()
    assert Reader().read_shown(blank, 7, steps=False)[1] == ()


def test_every_caption_fits_below_its_panel() -> None:
    captions = {step.caption for picture in (IMAGE, 255 - IMAGE, PAGE, PHOTOGRAPH, SHEET)
                for proposal in every(picture, steps=True) for step in proposal.steps}  # fmt: skip
    assert {READ, *FOUR, FINE, GROUND, "13% of each side cut off", f"{SEEN}, inverted"} <= captions
    for caption in {*captions, f"{SEEN}: blank"}:
        pixels = np.asarray(strip([Step(caption, IMAGE / 255)]))[GAP + SIDE + 1 :]
        assert np.flatnonzero((pixels < 255).any(0)).max() < GAP + SIDE
        assert np.flatnonzero((pixels < 255).any(1)).max() < len(pixels) - 1


def test_strips_of_any_width_go_below_each_other_into_a_png() -> None:
    narrow, wide = strip([Step("", IMAGE / 255)]), strip([Step("", IMAGE / 255)] * 3)
    with Image.open(BytesIO(as_png([narrow, wide]))) as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (wide.width, 2 * wide.height))
        assert np.array_equal(np.asarray(sheet)[narrow.height :], np.asarray(wide))
        assert np.array_equal(np.asarray(sheet)[: narrow.height, : narrow.width], np.asarray(narrow))


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


def test_the_command_prints_the_same_with_and_without_the_strips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seven.jpg").write_bytes(PHOTOGRAPH)
    words = ["predict", str(tmp_path / "seven.jpg"), "--number", "7", "--json"]
    assert main(words) == 0
    plain = capsys.readouterr().out
    assert main([*words, "--show", str(tmp_path / "steps.png")]) == 0
    assert capsys.readouterr().out == plain
