"""Muon: an optimizer whose steps change a layer in all its directions alike (Jordan and others, 2024).

The gradient of a layer's weights is mostly a few strong directions, and Adam's steps are, too. Muon takes the momentum
of the gradient as a matrix, outputs by all that feeds them, and steps along the nearest orthogonal one, so that weak
directions learn as fast. A step has the size of one of Adam's (Liu and others, 2025), so one learning rate serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

__all__ = ["Muon", "orthogonal"]

MOMENTUM = 0.95
"""How much of the mean gradient so far stays with each step."""
LINEAR, CUBIC, QUINTIC, ROUNDS = 3.4445, -4.7750, 2.0315, (2, 3)
"""The polynomial a·s + b·s³ + c·s⁵, which brings a singular value s in five rounds from 0.01..1 to about 0.7..1.2
(Jordan and others, 2024), and how many rounds are made without the matrix: with more, rounding errors would grow."""
ADAM = 0.2
"""Root of the mean square of the changes by a usual step of Adam, for a learning rate of 1 (Liu and others, 2025)."""
LEAST = 1e-7
"""Of a matrix's norm, by which it is divided."""


class Muon(AdamW):
    """Muon for the weights of the inner layers of `net`, AdamW for what is left: its first weights, its last ones, and
    what is no matrix. The other arguments are AdamW's."""

    def __init__(self, net: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
        inner = {id(parameter) for parameter in weights[1:-1]}
        groups: list[dict[str, Any]] = [
            {"params": [one for one in net.parameters() if (id(one) in inner) == orthogonalised],
             "orthogonalised": orthogonalised}
            for orthogonalised in (False, True)
        ]  # fmt: skip
        super().__init__(groups, lr, betas, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step along the gradients. Those of the inner layers are gone afterwards."""
        for group in self.param_groups:
            for parameter in group["params"] if group["orthogonalised"] else ():
                if parameter.grad is not None:
                    momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                    momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                    ahead = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov's
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(change(ahead), alpha=-group["lr"])
                    parameter.grad = None  # AdamW passes it over
        loss: float | None = super().step(closure)
        return loss


def change(gradient: Tensor) -> Tensor:
    """The step along a gradient `[outputs, ...]` for a learning rate of 1, of the size of one of Adam's."""
    matrix = gradient.flatten(1)
    return orthogonal(matrix).mul_(ADAM * max(matrix.shape) ** 0.5).view_as(gradient)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix `[M, N]` with singular values of about 1, and the same singular vectors.

    Newton's and Schulz's iteration, on the product of the matrix with itself, its smaller one: what is multiplied round
    by round is a polynomial of that, and the matrix only now and then.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / matrix.norm().clamp_min(LEAST)
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for rounds in ROUNDS:
        product, factor = matrix @ matrix.T, identity
        for _ in range(rounds):
            square = factor @ factor @ product  # of the singular values so far
            factor = factor @ (LINEAR * identity + CUBIC * square + QUINTIC * square @ square)
        matrix = factor @ matrix
    return matrix
