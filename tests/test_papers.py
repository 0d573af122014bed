"""Papers and pictures of strips: each disturbance for its share, alone; ink stays ink, and padding is ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
WITH: dict[str, tuple[Any, ...]] = {
    "bordered": (WIDTH, FREE),
    "blurred": (EM,),
    "coarse": (EM,),
    "compressed": (WIDTH,),
}
"""What a disturbance is told beside the strips."""


def draw(strength: float = 1.0, seed: int = 0) -> Draw:
    return Draw(COUNT, torch.Generator().manual_seed(seed), torch.device("cpu"), strength)


def blank() -> Tensor:
    return torch.zeros(COUNT, 32, WIDE)


def ink() -> Tensor:
    """Strips `[2000, 32, 48]` with an upright stroke of half intensity in the middle, and its soft edges."""
    image = blank()
    image[:, 6:26, 22:26] = torch.tensor([0.2, 0.5, 0.5, 0.2])
    return image


def share(values: Tensor) -> float:
    return float(values.float().mean())


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tensor]:
    """Empty strips after a disturbance, with some of the module's constants changed."""

    def make(kind: str, **constants: Any) -> Tensor:
        for name, value in constants.items():
            monkeypatch.setattr(papers, name, value)
        paper = blank()
        getattr(papers, kind)(paper, *WITH.get(kind, ()), draw())
        return paper

    return make


@pytest.mark.parametrize(("kind", "name"), [
    ("guilloche", "GUILLOCHE"), ("woven", "WOVEN"), ("clouded", "CLOUDED"), ("ruled", "RULED"), ("specked", "SPECKED"),
    ("bordered", "BORDERED"), ("worn", "WORN"), ("lit", "LIT"), ("sharpened", "SHARPEN"), ("noisy", "NOISE"),
    ("blurred", "BLUR"), ("coarse", "COARSE"), ("compressed", "JPEG"),
])  # fmt: skip
def test_each_disturbance_happens_to_its_share_of_the_strips(kind: str, name: str) -> None:
    before = ink() if name in ("WORN", "LIT", "SHARPEN", "NOISE", "BLUR", "COARSE", "JPEG") else blank()
    image = before.clone()
    result = getattr(papers, kind)(image, *WITH.get(kind, ()), draw())  # in place, or not
    changed = ((image if result is None else result) != before).flatten(1).any(1)
    assert share(changed) == pytest.approx(getattr(papers, f"{name}_SHARE"), abs=0.03)


def test_without_strength_the_ink_is_alone_on_the_ground() -> None:
    assert torch.equal(on_paper(ink(), WIDTH, FREE, draw(0)), ink())
    assert torch.equal(pictured(ink(), WIDTH, EM, draw(0)), ink())


def test_a_picture_stays_in_its_range_and_has_ground_behind_its_strip() -> None:
    width = torch.arange(COUNT) % 40 + 8
    image = pictured(on_paper(ink(), width, FREE, draw()), width, EM, draw())
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert torch.isfinite(image).all()
    assert not image[(torch.arange(WIDE) >= width[:, None])[:, None].expand_as(image)].any()


def test_ink_on_paper_is_no_darker_than_alone_and_than_the_paper() -> None:
    assert (on_paper(ink(), WIDTH, FREE, draw()) >= on_paper(blank(), WIDTH, FREE, draw()) - 1e-6).all()
    worn = papers.worn(ink(), draw())
    assert (worn <= ink()).all()
    assert float((worn / ink().clamp_min(0.1))[:, 16, 23].min()) > 0.2


def test_light_keeps_the_order_of_ink_and_ground_and_enough_between_them() -> None:
    image = blank()
    image[:, :, 24:] = 1
    papers.lit(image, draw())
    assert float((image[:, :, 24] - image[:, :, 23]).min()) > papers.LEAST_CONTRAST - 0.1


def test_some_light_has_the_edge_of_a_shadow(printed: Callable[..., Tensor]) -> None:
    def steep(shaded: float) -> float:
        """The share of strips whose ground changes by a tenth within twelve pixels along or down."""
        image = printed("lit", SHADED_SHARE=shaded)
        along = (image[:, :, 12:] - image[:, :, :-12]).abs().amax((1, 2))
        down = (image[:, 12:] - image[:, :-12]).abs().amax((1, 2))
        return share(torch.maximum(along, down) > 0.1)

    assert steep(0.0) + 0.1 < steep(0.5) + 0.05 < steep(1.0)


def test_an_upright_border_keeps_clear_of_what_is_written_and_each_side_is_as_probable(
    printed: Callable[..., Tensor],
) -> None:
    paper = printed("bordered", BORDERED_SHARE=1.0, TILT=0.0)
    middle = paper[:, 12:20]  # away from the level sides
    assert float(middle[:, :, 12:36].max()) == 0
    assert share((middle[:, :, :12] > 0).flatten(1).any(1)) > 0.4
    inner, outer = paper[:, 14:18], paper[:, :, 18:30]
    sides = [inner[:, :, :12], inner[:, :, 36:], outer[:, :7], outer[:, 25:]]
    expected = 1 - (1 - papers.SIDE_SHARE) * 3 / 4  # one is always there
    assert [share((side > 0.1).flatten(1).any(1)) for side in sides] == pytest.approx([expected] * 4, abs=0.05)


def test_rulings_are_dotted_in_their_share_and_lie_mostly_in_the_outer_fifths(printed: Callable[..., Tensor]) -> None:
    ruling = printed("ruled", RULED_SHARE=1.0, MOST_RULINGS=1, TILT=0.0, LINE=(1.0, 1.1)).amax(1)
    assert share(ruling.amin(1) == 0) == pytest.approx(papers.DOTTED_SHARE, abs=0.03)
    row = printed("ruled", DOTTED_SHARE=0.0, LINE=(0.3, 1.1))[:, :, 5].argmax(1)
    expected = papers.OUTER_SHARE + 0.4 * (1 - papers.OUTER_SHARE)
    assert share((row < 6) | (row >= 26)) == pytest.approx(expected, abs=0.05)


def test_half_of_the_printed_curves_are_one_family_alone_and_some_rise_steeply(printed: Callable[..., Tensor]) -> None:
    both, first = printed("guilloche", GUILLOCHE_SHARE=1.0), printed("guilloche", FAMILIES=1)
    assert share((both == first).flatten(1).all(1)) == pytest.approx(papers.ONE_FAMILY_SHARE, abs=0.05)
    paper = printed("guilloche", SWING=0.0, ARCH=0.0, PITCH=(8.0, 9.0))
    # Of straight parallel lines the slope is how fast they change along, by how fast they change down.
    along, down = ((paper.diff(dim=axis) ** 2).mean((1, 2)).sqrt() for axis in (2, 1))
    assert share(along > 0.3 * down) == pytest.approx(papers.STEEP_SHARE, abs=0.04)


def test_small_digits_keep_their_pixels_and_are_blurred_less_and_a_blur_keeps_the_ink() -> None:
    small, (coarse, large, little) = torch.full((COUNT,), 12.0), (ink(), ink(), ink())
    papers.coarse(coarse, small, draw())
    assert torch.equal(coarse, ink())
    papers.blurred(large, EM, draw())
    papers.blurred(little, small, draw())
    assert float((little - ink()).abs().mean()) < float((large - ink()).abs().mean())
    assert torch.allclose(papers.smooth(ink()).sum((1, 2)), ink().sum((1, 2)), rtol=1e-5)
