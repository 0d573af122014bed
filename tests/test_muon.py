"""Muon, beside the singular value decomposition and AdamW."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sumnist.training.muon import Muon, orthogonal

LR, BETAS, DECAY = 1e-2, (0.9, 0.99), 0.1


def small_net() -> nn.Sequential:
    """First weights, inner ones of both shapes, last ones, and what is no matrix."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 40, 1), nn.Flatten(), nn.Linear(640, 3),
    )  # fmt: skip


def weight_of(net: nn.Sequential) -> nn.Parameter:
    """Of an inner layer."""
    weight = net[2].weight
    assert isinstance(weight, nn.Parameter)
    return weight


def gradients(net: nn.Module) -> list[Tensor]:
    """What one backward pass leaves, of every parameter."""
    net(torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))).square().mean().backward()
    return [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("shape", [(30, 70), (70, 30), (40, 40), (1, 9)])
def test_an_orthogonal_matrix_keeps_the_singular_vectors_and_loses_the_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonal(matrix) @ right.T
    assert torch.allclose(found, torch.diag(found.diagonal()), atol=1e-9)
    strong = values > 0.02 * matrix.norm()
    assert (found.diagonal()[strong] > 0.65).all()
    assert (found.diagonal() < 1.25).all()
    assert not orthogonal(torch.zeros(3, 5)).any()


@pytest.mark.parametrize("weakest", [1e-1, 1e-2, 1e-3])
def test_rounding_errors_of_a_matrix_with_weak_directions_do_not_grow(weakest: float) -> None:
    scales = torch.logspace(0, torch.tensor(weakest).log10().item(), 100)
    matrix = torch.randn(300, 100, generator=torch.Generator().manual_seed(3)) * scales
    exact = orthogonal(matrix.double())
    assert (orthogonal(matrix) - exact).abs().max() < 1e-3
    assert torch.linalg.matrix_norm(exact, 2) < 1.25


def test_first_and_last_weights_and_what_is_no_matrix_are_stepped_by_adamw() -> None:
    once, twin = small_net(), small_net()
    gradients(once), gradients(twin)
    Muon(once, LR, BETAS, DECAY).step()
    torch.optim.AdamW(twin.parameters(), LR, BETAS, weight_decay=DECAY).step()
    alike = {
        name: torch.allclose(mine, theirs, atol=1e-6)
        for (name, mine), theirs in zip(once.named_parameters(), twin.parameters(), strict=True)
    }
    assert {name for name, same in alike.items() if not same} == {"2.weight", "4.weight"}


def test_a_step_of_an_inner_layer_follows_the_singular_vectors_of_its_gradient_and_has_the_size_of_adams() -> None:
    net = small_net()
    before = weight_of(net).detach().clone()
    gradient = gradients(net)[4].flatten(1)
    Muon(net, LR, BETAS, 0.0).step()
    step = (before - weight_of(net).detach()).flatten(1)
    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    along = (left.T @ step @ right.T).diagonal()
    assert (along > 0).all()
    assert along.max() / along.min() < 2
    assert step.square().mean().sqrt() == pytest.approx(0.2 * LR, rel=0.3)


def test_weights_decay_by_the_learning_rate_times_the_decay() -> None:
    net = small_net()
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    Muon(net, LR, BETAS, DECAY).step()
    for old, new in zip(before, net.parameters(), strict=True):
        assert torch.allclose(new, old * (1 - LR * DECAY))
