"""Proposals: which come in which round, where they lie on the picture, and that no picture is too strange for them."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from drawings import SEVEN, encoded, every, proposed
from sumnist.config import InkColour
from sumnist.pictures.decode import Intensities, intensities_of
from sumnist.pictures.proposals import TRIMS, Proposal, rounds

FINE, GROUND = "narrow strokes", "more ground around it"
CUT = tuple(f"{share:.0%} of each side cut off" for share in TRIMS)
LARGE = np.kron(SEVEN, np.ones((4, 4), np.uint8))
PAGE = 255 - np.pad(LARGE, 20)
"""Dark ink in the middle of a page of 152×152."""


def desk(ground: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    """A desk of 200×260 with a grain."""
    return np.random.default_rng(seed).normal(ground, 4, (200, 260)).clip(0, 255).astype(np.uint8)


def on_desk(ground: int = 60, sheet: int = 220, pen: int = 30) -> NDArray[np.uint8]:
    """A stroke of ink on a sheet on a desk."""
    picture = desk(ground)
    picture[20:170, 40:210] = desk(sheet, seed=1)[20:170, 40:210]
    picture[75:115, 100:112] = pen
    return picture


def hows(proposals: list[Proposal]) -> list[str]:
    return [proposal.how for proposal in proposals]


def near(box: tuple[int, int, int, int], expected: tuple[int, int, int, int], within: int = 1) -> bool:
    return max(abs(a - b) for a, b in zip(box, expected, strict=True)) <= within


# Rounds.


def test_the_picture_whole_comes_first_then_the_other_polarity_the_trims_and_more_ground() -> None:
    first, later = proposed(PAGE)
    assert hows(first) == ["dark ink"]
    order = ["light ink", *(f"dark ink, {view}" for view in (*CUT, GROUND)),
             *(f"light ink, {view}" for view in (*CUT, GROUND))]  # fmt: skip
    found = list(dict.fromkeys(proposal.view for proposal in later))
    assert found == [view for view in order if view in found]
    assert {"light ink", f"dark ink, {CUT[0]}", f"dark ink, {GROUND}", f"light ink, {GROUND}"} <= set(found)


def test_on_a_photograph_narrow_strokes_come_first() -> None:
    first, *later = proposed(on_desk())
    assert hows(first) == [f"dark ink, {FINE}"]  # not the sheet's edge
    assert all(FINE not in how for found in later for how in hows(found))
    assert all(FINE not in proposal.how for proposal in every(on_desk()[:, 50:210]))  # too small for a photograph
    assert all(FINE not in proposal.how for proposal in every(np.pad(PAGE, 100, constant_values=255)))


@pytest.mark.parametrize("inverted", [False, True])
def test_an_image_that_is_ready_has_one_proposal_whoever_hands_it_over(inverted: bool) -> None:
    image = 255 - SEVEN if inverted else SEVEN
    for picture in (image, image / 255, encoded(Image.fromarray(image))):
        ((proposal,),) = proposed(picture)
        assert proposal.how == "as it is" + (", inverted" if inverted else "")
        assert np.array_equal(proposal.image, SEVEN / np.float32(255))
        assert (proposal.weight, proposal.dark, proposal.problem) == (1, inverted, None)


@pytest.mark.parametrize("ink", ["dark", "light"])
@pytest.mark.parametrize("name", ["page", "desk", "bright desk", "inverted", "moved", "noise"])
def test_if_the_ink_is_known_nothing_of_the_other_polarity_is_proposed(ink: InkColour, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 70), np.uint8)
    picture = {
        "page": PAGE, "inverted page": 255 - PAGE, "desk": on_desk(), "bright desk": 255 - on_desk(), "ready": SEVEN,
        "inverted": 255 - SEVEN, "moved": np.roll(SEVEN, 3, 1), "noise": noise,
    }[name]  # fmt: skip
    assert {proposal.dark for proposal in every(picture)} <= {True, False}
    known = every(picture, ink)
    assert known
    assert {proposal.dark for proposal in known} == {ink == "dark"}
    on_sheet = (name, ink) in (("desk", "dark"), ("bright desk", "light"))
    assert any(FINE in proposal.how for proposal in known) == on_sheet


@pytest.mark.parametrize("shape", [(26_000, 1), (1, 65_000), (3, 4_000), (30_000, 40)])
def test_a_sliver_takes_no_more_memory_than_it_has_pixels(shape: tuple[int, int]) -> None:
    picture = Intensities(np.random.default_rng(0).random(shape, dtype=np.float32))
    tracemalloc.start()
    found = [proposal for found in rounds(picture) for proposal in found]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(GROUND not in proposal.how for proposal in found)
    assert peak < 60e6 + 60 * np.prod(shape)


# Where they lie.


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("box", [(30, 70, 40, 60), (25, 80, 60, 110), (50, 62, 30, 95)])
def test_boxes_are_those_of_a_drawn_rectangle_in_every_view(box: tuple[int, int, int, int], dark: bool) -> None:
    top, bottom, left, right = box
    picture = np.full((110, 140), 230 if dark else 20, np.uint8)
    picture[top:bottom, left:right] = 40 if dark else 200
    found = every(picture, "dark" if dark else "light")
    views = {proposal.how.partition(", ")[2] for proposal in found}
    assert {"", CUT[0], GROUND} <= views
    for proposal in found:
        assert near(proposal.box, box, 2 if GROUND in proposal.how else 0), proposal.how
        assert proposal.size == max(bottom - top, right - left)  # in pixels of the picture
        assert proposal.problem is None


@pytest.mark.parametrize("shape", [(1024, 300), (1500, 2000)])
def test_boxes_on_a_large_picture_are_in_its_pixels(shape: tuple[int, int]) -> None:
    height, width = shape
    picture = np.full(shape, 255, np.uint8)
    box = height // 3, height // 3 + height // 4, width // 2, width // 2 + width // 5
    picture[box[0] : box[1], box[2] : box[3]] = 0
    found = every(picture, "dark")
    assert {f"dark ink, {view}" if view else "dark ink" for view in ("", *CUT, GROUND)} >= {p.how for p in found}
    assert len(found) >= 4
    for proposal in found:
        assert near(proposal.box, box, 1 + 2 * max(shape) // 120), (proposal.how, proposal.box, box)


# Weights and steps.


def test_steps_come_only_if_they_are_wanted() -> None:
    for picture in (PAGE, on_desk(), SEVEN):
        assert all(proposal.steps == () for proposal in every(picture))
        for proposal in every(picture, steps=True):
            captions = [step.caption for step in proposal.steps]
            assert captions[0] == "as read"
            assert captions[-1].startswith("what the network sees")
            part = proposal.view.partition(", ")[2]
            if not proposal.how.startswith("as it is"):
                assert captions[1:-1] == [*([part] if part else []), "light evened", "ink found", "the digit"]


# Any picture.


def strange(kind: str, height: int, width: int, random: np.random.Generator) -> NDArray[np.float64]:
    if kind == "noise":
        return random.random((height, width))
    if kind == "dots":
        return (random.random((height, width)) < random.random() / 2) * random.random((height, width))
    if kind == "one grey":
        return np.full((height, width), random.random())
    if kind == "slope":
        slope = np.linspace(0, random.random(), height)[:, None] * np.ones(width)
        return (slope + 0.05 * random.random((height, width))).clip(0, 1)
    rows, columns = (np.arange(side) % random.integers(1, 9) == 0 for side in (height, width))
    return np.where(rows[:, None] | columns, random.random(), random.random())


def check(values: NDArray[np.float64], ink: InkColour = "auto") -> None:
    height, width = values.shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [p for proposals in rounds(Intensities(values.astype(np.float32)), ink) for p in proposals]
    for proposal in found:
        assert proposal.image.dtype == np.float32
        assert proposal.image.shape == (28, 28)
        assert np.isfinite(proposal.image).all()
        assert proposal.image.min() >= 0
        assert proposal.image.max() <= 1
        assert 0 < proposal.weight <= 1
        top, bottom, left, right = proposal.box
        assert 0 <= top < bottom <= height
        assert 0 <= left < right <= width


KINDS = ("noise", "dots", "one grey", "slope", "lines")


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(KINDS), st.integers(1, 45), st.integers(1, 45), st.integers(0, 2**32 - 1),
       st.sampled_from(["auto", "dark", "light"]))  # fmt: skip
def test_any_small_picture_is_looked_at(kind: str, height: int, width: int, seed: int, ink: InkColour) -> None:
    check(strange(kind, max(height, 8) if width < 8 else height, width, np.random.default_rng(seed)), ink)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(1, 6), st.integers(8, 1024), st.integers(0, 2**32 - 1), st.booleans())
def test_any_thin_picture_is_looked_at(kind: str, narrow: int, long: int, seed: int, upright: bool) -> None:
    values = strange(kind, narrow, long, np.random.default_rng(seed))
    check(values.T if upright else values)


@pytest.mark.parametrize("seed", range(12))
def test_a_box_on_a_picture_of_one_row_holds_that_row(seed: int) -> None:
    values = np.random.default_rng(seed).random((1, 598)).astype(np.float32)
    found = [p for proposals in rounds(Intensities(values)) for p in proposals]
    assert found
    assert {proposal.box[:2] for proposal in found} == {(0, 1)}


def test_the_smallest_picture_with_something_on_it_is_looked_at() -> None:
    column = np.full((8, 1), 255, np.uint8)
    column[3:6] = 0
    assert intensities_of(column).grey.shape == (8, 1)
    assert every(column)
    assert {proposal.problem for proposal in every(column)} == {"too small"}
