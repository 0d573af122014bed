"""Muon, an optimizer, for the networks of strips and scenes.

In the gradient of a layer's weights, a few directions are much stronger than the others. In Adam's steps they are, too.
Muon (Jordan and others, 2024) treats the momentum of the gradient as a matrix, with a row for each output. It steps
along the nearest orthogonal matrix, so that weak directions learn as fast as strong ones. A step has the size of one of
Adam's (Liu and others, 2025), so one learning rate serves both optimizers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sumnist.training.optimizer import UncompiledAdamW

MOMENTUM = 0.95
"""How much of the mean gradient so far each step of Muon keeps."""
LINEAR, CUBIC, QUINTIC, ROUNDS = 3.4445, -4.7750, 2.0315, (2, 3)
"""The polynomial a·s + b·s³ + c·s⁵, which in five rounds brings a singular value s from 0.01..1 to about 0.7..1.2
(Jordan and others, 2024). `ROUNDS` says how many rounds run before each multiplication with the matrix; with more,
rounding errors would grow."""
ADAM = 0.2
"""Root mean square of the changes by a usual step of Adam, at a learning rate of 1 (Liu and others, 2025)."""
LEAST = 1e-7
"""Least norm by which a matrix is divided."""


class Muon(UncompiledAdamW):
    """Muon for the weights of the inner layers of `net`, and AdamW for the other parameters: the first weights, the
    last ones, and parameters that are no matrices. The other arguments are those of AdamW."""

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
        """Take one step along the gradients, and drop the gradients of the inner layers."""
        for group in self.param_groups:
            for parameter in group["params"] if group["orthogonalised"] else ():
                if parameter.grad is not None:
                    momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                    momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                    ahead = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov momentum
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix = ahead.flatten(1)
                    step = orthogonal(matrix).mul_(ADAM * max(matrix.shape) ** 0.5)
                    parameter.add_(step.view_as(ahead), alpha=-group["lr"])
                    parameter.grad = None  # so AdamW skips it
        loss: float | None = super().step(closure)
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix `[M, N]` with the same singular vectors, and singular values of about 1.

    This is Newton's and Schulz's iteration. The rounds work on the product of the matrix with its transpose, in the
    order that gives the smaller result, and build up a polynomial of it. Only now and then, this polynomial multiplies
    the matrix itself.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / matrix.norm().clamp_min(LEAST)
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for rounds in ROUNDS:
        product, factor = matrix @ matrix.T, identity
        for _ in range(rounds):
            square = factor @ factor @ product  # has the squares of the singular values so far
            factor = factor @ (LINEAR * identity + CUBIC * square + QUINTIC * square @ square)
        matrix = factor @ matrix
    return matrix
