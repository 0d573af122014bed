"""The calibration of a trained network: the temperature of its probabilities, and which answers are accepted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Calibration"]


class Calibration(nn.Module):
    """Three numbers, saved with the weights; `sumnist.training.calibrate` determines them.

    The digit's logits are divided by `temperature` (Guo, Pleiss, Sun and Weinberger, 2017). An answer is accepted if
    the probability that the image shows a digit is at least `least_is_digit`, and that of the most probable digit at
    least `least_confidence`. A network that was not calibrated has temperature 1 and accepts every answer.
    """

    NAMES = ("temperature", "least_is_digit", "least_confidence")

    temperature: Tensor
    least_is_digit: Tensor
    least_confidence: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, value in zip(self.NAMES, (1.0, 0.0, 0.0), strict=True):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, logits: Tensor) -> Tensor:
        """The digit's logits `[B, 10]`, temperature-scaled."""
        return logits / self.temperature

    @torch.no_grad()
    def set(self, temperature: float = 1.0, least_is_digit: float = 0.0, least_confidence: float = 0.0) -> None:
        """Replace all three."""
        self.temperature.fill_(temperature)
        self.least_is_digit.fill_(least_is_digit)
        self.least_confidence.fill_(least_confidence)
