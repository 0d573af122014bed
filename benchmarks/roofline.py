"""How far `fast` is from what the processor can multiply, and where the rest of the time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from sumnist.config import Config, preset
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import PairBatches
from sumnist.memory import keep_freed_memory
from sumnist.model.network import TwoInputNet
from sumnist.training.devices import choose_bf16
from sumnist.training.loop import build_optimizer, training_step

SIDE = 2048
"""Of the square matrices whose product shows what the processor can do."""
STEPS = 100
GROUPS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("mkldnn_convolution", "convolution"),
    "pooling": ("max_pool",),
    "normalisation": ("batch_norm",),
    "linear layers": ("addmm", "mm"),
    "ReLU": ("threshold", "relu", "clamp_min"),
    "optimizer": ("adam",),
}
"""What a profiler's event belongs to, by a part of its name; the first that fits."""


def roofline() -> Iterator[dict[str, Any]]:
    """The rate of large matrix products, the rate of `fast`, and the shares of its step."""
    torch.set_num_threads(2)
    keep_freed_memory()
    config = preset("fast", validation=0)
    cpu = torch.device("cpu")
    bf16 = choose_bf16(config.precision, cpu)
    kinds = [torch.float32, torch.bfloat16] if bf16 else [torch.float32]
    for turn in range(3):
        for kind in kinds:
            yield {"name": f"matrix product, {str(kind).removeprefix('torch.')}", "round": turn,
                   "flops_per_second": product_rate(kind)}  # fmt: skip
        seconds, flops, shares = steps(config, cpu, bf16)
        yield {"name": "fast", "round": turn, "flops_per_second": flops / seconds, "flops_per_step": flops,
               "seconds_per_step": seconds, "precision": "bf16" if bf16 else "fp32", "shares": shares}  # fmt: skip


def product_rate(kind: torch.dtype) -> float:
    """Floating-point operations a second in the product of two large matrices."""
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    torch.mm(left, right)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(times)


def steps(config: Config, device: torch.device, bf16: bool) -> tuple[float, float, dict[str, float]]:
    """Seconds and operations of a step of training, and the share of its time that each group of operations takes."""
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(net, config)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    pairs = PairBatches(load_mnist("train"), config.batch_size, 0, device).epoch(0)
    for _ in range(20):
        training_step(net, optimizer, next(pairs), config, autocast)
    with FlopCounterMode(display=False) as counter:
        training_step(net, optimizer, next(pairs), config, autocast)
    began = time.perf_counter()
    for _ in range(STEPS):
        training_step(net, optimizer, next(pairs), config, autocast)
    seconds = (time.perf_counter() - began) / STEPS
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(20):
            training_step(net, optimizer, next(pairs), config, autocast)
    return seconds, float(counter.get_total_flops()), shares_of(profiler)


def shares_of(profiler: Any) -> dict[str, float]:
    """The share of the profiled time in each of `GROUPS`, and in the rest."""
    events = [(event.key, event.self_cpu_time_total) for event in profiler.key_averages()]
    total = sum(spent for _, spent in events)
    shares = dict.fromkeys([*GROUPS, "data, losses and the rest"], 0.0)
    for key, spent in events:
        group = next((group for group, parts in GROUPS.items() if any(part in key.lower() for part in parts)), None)
        shares[group or "data, losses and the rest"] += spent / total
    return shares
