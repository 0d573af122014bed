"""Papers and pictures of strips: each disturbance for its share, alone; ink stays ink, and padding is ground."""

from __future__ import annotations

import torch
from torch import Tensor

from sumnist.data import papers
from sumnist.data.augment import Draw
from sumnist.data.papers import on_paper, pictured

COUNT, WIDE = 2000, 48
WIDTH = torch.full((COUNT,), WIDE)
EM = torch.full((COUNT,), 24.0)
FREE = torch.full((COUNT, 2), 12.0)


def draw(strength: float = 1.0, seed: int = 0) -> Draw:
    return Draw(COUNT, torch.Generator().manual_seed(seed), torch.device("cpu"), strength)


def blank() -> Tensor:
    return torch.zeros(COUNT, 32, WIDE)


def ink() -> Tensor:
    """Strips `[2000, 32, 48]` with an upright stroke of half intensity in the middle, and its soft edges."""
    image = blank()
    image[:, 6:26, 22:26] = torch.tensor([0.2, 0.5, 0.5, 0.2])
    return image


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
