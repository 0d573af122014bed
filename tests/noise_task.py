"""A task with outliers that are plain noise."""

from __future__ import annotations

import torch
from torch import Tensor

from sumnist.data.pairs import Outliers
from sumnist.data.sampling import NO_DIGIT
from sumnist.training.tasks import DigitTask


class NoiseTask(DigitTask):
    """Half as many images of noise as digits in each batch."""

    calibrates = True

    def outliers(self, progress: bool) -> Outliers:
        def made(image: Tensor, digit: Tensor, generator: torch.Generator, intensity: float) -> tuple[Tensor, Tensor]:
            count = len(image) // 2
            noise = torch.rand(count, 1, 28, 28, generator=generator, device=image.device)
            return noise, torch.full((count,), NO_DIGIT, device=image.device)

        return made
