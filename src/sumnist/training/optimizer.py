"""How the weights move: the optimizer, the learning rate of each step, and the moving average of the weights."""

from __future__ import annotations

import math
from inspect import unwrap

import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sumnist.config import Run


class UncompiledAdamW(AdamW):
    """Torch's AdamW without the wrappers that tell torch's compiler where to stop. The wrappers import the compiler,
    which takes seconds, and this package compiles no training."""

    step = torch.no_grad()(unwrap(Adam.step))
    zero_grad, add_param_group = unwrap(Adam.zero_grad), unwrap(Adam.add_param_group)
    state_dict, load_state_dict = unwrap(Adam.state_dict), unwrap(Adam.load_state_dict)


def learning_rate(progress: float, config: Run) -> float:
    """The learning rate when the share `progress` of all steps is done."""
    particulars = config.particulars
    return config.lr * (
        1 if particulars.constant_rate else one_cycle(progress, particulars.warmup, particulars.lr_floor)
    )


def one_cycle(progress: float, warmup: float, floor: float = 0.0) -> float:
    """The learning rate, as a share of its peak, when the share `progress` of all steps is done. It rises linearly
    during the share `warmup`. Then it falls along a cosine, but not below `floor`."""
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    return max(0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup or 1))), floor)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of the next steps."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def move_average(average: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move an exponential moving average of weights and batch statistics towards `net`. It moves faster in the first
    steps, when it still remembers the random start."""
    old, new = (
        [value for value in module.state_dict().values() if value.is_floating_point()] for module in (average, net)
    )
    get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(old, new, step)
