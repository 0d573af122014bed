"""Papers and pictures of strips: each disturbance for its share, alone; ink stays ink, and padding is ground."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sumnist.data import papers
from sumnist.data.disturb import Draw
from sumnist.data.papers import on_paper, pictured

COUNT, WIDE = 2000, 48
WIDTH = torch.full((COUNT,), WIDE)
EM = torch.full((COUNT,), 24.0)
FREE = torch.full((COUNT, 2), 12.0)


def draw(strength: float = 1.0, seed: int = 0) -> Draw:
    return Draw(COUNT, torch.Generator().manual_seed(seed), torch.device("cpu"), strength)


def ink() -> Tensor:
    """Strips `[2000, 32, 48]` with an upright stroke of half intensity in the middle, and its soft edges."""
    image = torch.zeros(COUNT, 32, WIDE)
    image[:, 6:26, 22:26] = torch.tensor([0.2, 0.5, 0.5, 0.2])
    return image


def changed(change: Callable[[Tensor], Tensor | None], image: Tensor) -> float:
    """The share of the strips that `change`, in place or not, makes different."""
    before = image.clone()
    result = change(image)
    return float(((image if result is None else result) != before).flatten(1).any(1).float().mean())


@pytest.mark.parametrize("kind", ["guilloche", "woven", "clouded", "ruled", "specked"])
def test_what_is_printed_is_on_its_share_of_the_strips(kind: str) -> None:
    share = changed(lambda image: getattr(papers, kind)(image, draw()), torch.zeros(COUNT, 32, WIDE))
    assert share == pytest.approx(getattr(papers, f"{kind.upper()}_SHARE"), abs=0.03)


def test_a_border_is_on_its_share_of_the_strips() -> None:
    share = changed(lambda image: papers.bordered(image, WIDTH, FREE, draw()), torch.zeros(COUNT, 32, WIDE))
    assert share == pytest.approx(papers.BORDERED_SHARE, abs=0.03)


@pytest.mark.parametrize(("kind", "share"), [
    ("worn", "WORN"), ("lit", "LIT"), ("sharpened", "SHARPEN"), ("noisy", "NOISE"),
])  # fmt: skip
def test_what_becomes_of_a_picture_happens_to_its_share(kind: str, share: str) -> None:
    expected = getattr(papers, f"{share}_SHARE")
    assert changed(lambda image: getattr(papers, kind)(image, draw()), ink()) == pytest.approx(expected, abs=0.03)


def test_blur_coarse_pixels_and_compression_happen_to_their_shares() -> None:
    blurred = changed(lambda image: papers.blurred(image, EM, draw()), ink())
    coarse = changed(lambda image: papers.coarse(image, EM, draw()), ink())
    compressed = changed(lambda image: papers.compressed(image, WIDTH, draw()), ink())
    assert blurred == pytest.approx(papers.BLUR_SHARE, abs=0.03)
    assert coarse == pytest.approx(papers.COARSE_SHARE, abs=0.03)
    assert compressed == pytest.approx(papers.JPEG_SHARE, abs=0.03)


def test_without_strength_the_ink_is_alone_on_the_ground() -> None:
    assert torch.equal(on_paper(ink(), WIDTH, FREE, draw(0)), ink())
    assert torch.equal(pictured(ink(), WIDTH, EM, draw(0)), ink())


def test_a_picture_stays_in_its_range_and_has_ground_behind_its_strip() -> None:
    width = torch.arange(COUNT) % 40 + 8
    image = pictured(on_paper(ink(), width, FREE, draw()), width, EM, draw())
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert torch.isfinite(image).all()
    behind = (torch.arange(WIDE) >= width[:, None])[:, None].expand_as(image)
    assert not image[behind].any()


def test_ink_on_paper_is_no_darker_than_alone_and_than_the_paper() -> None:
    paper = on_paper(torch.zeros(COUNT, 32, WIDE), WIDTH, FREE, draw())
    written = on_paper(ink(), WIDTH, FREE, draw())
    assert (written >= paper - 1e-6).all()
    worn = papers.worn(ink(), draw())
    assert (worn <= ink()).all()
    assert float((worn / ink().clamp_min(0.1))[:, 16, 23].min()) > 0.2


def test_light_keeps_the_order_of_ink_and_ground_and_enough_between_them() -> None:
    image = torch.zeros(COUNT, 32, WIDE)
    image[:, :, 24:] = 1
    papers.lit(image, draw())
    step = image[:, :, 24] - image[:, :, 23]
    assert float(step.min()) > papers.LEAST_CONTRAST - 0.1


def test_some_light_has_the_edge_of_a_shadow(monkeypatch: pytest.MonkeyPatch) -> None:
    def steep(share: float) -> float:
        """The share of strips whose ground changes by a tenth within twelve pixels along or down."""
        monkeypatch.setattr(papers, "SHADED_SHARE", share)
        image = torch.zeros(COUNT, 32, WIDE)
        papers.lit(image, draw())
        along = (image[:, :, 12:] - image[:, :, :-12]).abs().amax((1, 2))
        down = (image[:, 12:] - image[:, :-12]).abs().amax((1, 2))
        return float((torch.maximum(along, down) > 0.1).float().mean())

    assert steep(0.0) + 0.1 < steep(0.5) + 0.05 < steep(1.0)


def test_an_upright_border_keeps_clear_of_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "BORDERED_SHARE", 1.0)
    monkeypatch.setattr(papers, "TILT", 0.0)
    paper = torch.zeros(COUNT, 32, WIDE)
    papers.bordered(paper, WIDTH, FREE, draw())
    middle = paper[:, 12:20]  # away from the level sides
    assert float(middle[:, :, 12:36].max()) == 0
    assert float((middle[:, :, :12] > 0).flatten(1).any(1).float().mean()) > 0.4


def test_each_side_of_a_border_is_there_with_the_same_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "BORDERED_SHARE", 1.0)
    paper = torch.zeros(COUNT, 32, WIDE)
    papers.bordered(paper, WIDTH, FREE, draw())
    inner, outer = paper[:, 14:18], paper[:, :, 18:30]
    sides = [inner[:, :, :12], inner[:, :, 36:], outer[:, :7], outer[:, 25:]]
    seen = [float((side > 0.1).flatten(1).any(1).float().mean()) for side in sides]
    expected = 1 - (1 - papers.SIDE_SHARE) * 3 / 4  # one is always there
    assert seen == pytest.approx([expected] * 4, abs=0.05)


def test_rulings_are_dotted_in_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RULED_SHARE": 1.0, "MOST_RULINGS": 1, "TILT": 0.0, "LINE": (1.0, 1.1)}.items():
        monkeypatch.setattr(papers, name, value)
    paper = torch.zeros(COUNT, 32, WIDE)
    papers.ruled(paper, draw())
    ruling = paper.amax(1)
    assert float((ruling.amin(1) == 0).float().mean()) == pytest.approx(papers.DOTTED_SHARE, abs=0.03)


def test_rulings_lie_mostly_in_the_outer_fifths(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RULED_SHARE": 1.0, "MOST_RULINGS": 1, "TILT": 0.0, "DOTTED_SHARE": 0.0}.items():
        monkeypatch.setattr(papers, name, value)
    paper = torch.zeros(COUNT, 32, WIDE)
    papers.ruled(paper, draw())
    row = paper[:, :, 5].argmax(1)
    outer = float(((row < 6) | (row >= 26)).float().mean())
    assert outer == pytest.approx(papers.OUTER_SHARE + 0.4 * (1 - papers.OUTER_SHARE), abs=0.05)


def test_half_of_the_printed_curves_are_one_family_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "GUILLOCHE_SHARE", 1.0)
    both = torch.zeros(COUNT, 32, WIDE)
    papers.guilloche(both, draw())
    monkeypatch.setattr(papers, "FAMILIES", 1)
    first = torch.zeros(COUNT, 32, WIDE)
    papers.guilloche(first, draw())
    alone = (both == first).flatten(1).all(1).float().mean()
    assert float(alone) == pytest.approx(papers.ONE_FAMILY_SHARE, abs=0.05)


def test_small_digits_keep_their_pixels_and_are_blurred_less() -> None:
    small = torch.full((COUNT,), 12.0)
    assert changed(lambda image: papers.coarse(image, small, draw()), ink()) == 0
    large, little = ink(), ink()
    papers.blurred(large, EM, draw())
    papers.blurred(little, small, draw())
    assert float((little - ink()).abs().mean()) < float((large - ink()).abs().mean())


def test_a_blur_keeps_the_amount_of_ink() -> None:
    assert torch.allclose(papers.smooth(ink()).sum((1, 2)), ink().sum((1, 2)), rtol=1e-5)


def test_families_of_curves_rise_steeply_in_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"GUILLOCHE_SHARE": 1.0, "FAMILIES": 1, "SWING": 0.0, "ARCH": 0.0, "PITCH": (8.0, 9.0)}
    for name, value in changes.items():
        monkeypatch.setattr(papers, name, value)
    paper = torch.zeros(COUNT, 32, WIDE)
    papers.guilloche(paper, draw())
    # Of straight parallel lines the slope is how fast they change along, by how fast they change down.
    along, down = ((paper.diff(dim=axis) ** 2).mean((1, 2)).sqrt() for axis in (2, 1))
    assert float((along > 0.3 * down).float().mean()) == pytest.approx(papers.STEEP_SHARE, abs=0.04)
