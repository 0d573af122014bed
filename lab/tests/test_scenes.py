"""Training scenes: what is known of their characters is true, targets are those of a slow oracle, and losses tell what
is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from finding import Character, maps_of, written
from lab.recipes import scenes
from lab.recipes.networks import FIELDS, finder_losses
from lab.recipes.scenes import CELL, MOST_NEAR, NEAR, SIZES, SceneBatch, Scenes, targets
from sumnist.data.mnist import load_mnist

pytestmark = pytest.mark.long
PART = load_mnist("train").part(np.arange(1000))
Few = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def made(few_scenes: Few) -> Iterator[Scenes]:
    with pytest.MonkeyPatch.context() as patch:
        few_scenes(patch)
        patch.setattr(scenes, "SIZES", SIZES)
        yield Scenes(PART, seed=3, count=100)


@pytest.fixture(scope="module")
def batches(made: Scenes) -> list[SceneBatch]:
    return [made.batch(step, 16) for step in range(8)]


# What is composed.


def test_a_batch_is_a_function_of_the_seed_the_step_and_the_size(made: Scenes) -> None:
    def alike(one: SceneBatch, other: SceneBatch) -> bool:
        return all(map(torch.equal, vars(one).values(), vars(other).values()))

    first = [made.batch(step, 4) for step in (0, 7)]
    assert all(alike(one, made.batch(step, 4)) for one, step in zip(first[::-1], (7, 0), strict=True))
    assert alike(first[0], Scenes(PART, seed=3, count=100).batch(0, 4))
    other_seed = copy(made)
    other_seed.seed = 4
    for other in (made.batch(8, 4), made.batch(0, 5), other_seed.batch(0, 4)):
        assert not any(torch.equal(one.image[:4], other.image[:4]) for one in first)


# Targets and losses.


def random_characters(random: np.random.Generator, count: int, high: int, wide: int) -> NDArray[np.float32]:
    """Rows of characters of three scenes, some of them outside."""
    return np.stack([
        random.integers(0, 3, count), random.uniform(-10, wide + 10, count), random.uniform(-10, high + 10, count),
        random.uniform(7, 110, count), random.uniform(2, 60, count), random.uniform(-3, 3, count),
        random.integers(0, 22, count), np.full(count, -1), random.integers(0, 2, count),
    ], 1).astype(np.float32)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_targets_are_those_of_a_slow_oracle(seed: int) -> None:
    random, (high, wide) = np.random.default_rng(seed), (64, 96)
    characters = random_characters(random, 25, high, wide)
    clear = (random.random((3, high, wide)) < 0.8).astype(np.float32)
    heat, owner = (part.numpy() for part in targets(characters, clear))
    for scene in range(3):
        for row in range(high // CELL):
            for column in range(wide // CELL):
                best, most, mine = 0.0, 0.5, -1
                for place, (of, x, y, em, *_) in enumerate(characters.tolist()):
                    if of != scene or not (0 <= x < wide and 0 <= y < high) or not clear[scene, int(y), int(x)]:
                        continue
                    spread = min(max(NEAR * em / CELL, 0.6), MOST_NEAR)
                    down, across = row - y // CELL, column - x // CELL
                    if max(abs(down), abs(across)) > int(2 * spread) + 1:
                        continue
                    near = math.exp(-(down**2 + across**2) / (2 * spread**2))
                    best = max(best, near)
                    if near > most:
                        most, mine = near, place
                assert heat[scene, row, column] == pytest.approx(best, abs=1e-6)
                assert owner[scene, row, column] == mine


def perfect() -> tuple[Tensor, Tensor, SceneBatch]:
    """Maps and logits of ink that are right, and the scenes of which they are."""
    lines: list[list[Character]] = [written("12", 20, 30, 30), written("-3", 30, 40, 16, 0.3, struck=1.0)]
    second = [one._replace(following=one.following + 2 if one.following >= 0 else -1) for one in lines[1]]
    rows = np.array([(scene, *one) for scene, line in enumerate((lines[0], second)) for one in line], np.float32)
    heat, owner = targets(rows, np.ones((2, 64, 96), np.float32))
    ink = (torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    maps = np.stack([maps_of([*lines[0], *second], one.numpy()) for one in owner])
    batch = SceneBatch(torch.zeros(2, 1, 64, 96), ink, heat, owner, torch.from_numpy(rows))
    return torch.from_numpy(maps), 30 * ink - 15, batch


WRONG: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{name: ("place", lambda values: values + 0.5) for name in ("em", "width", "off_x", "off_y")},
    **{name: ("place", lambda values: -values) for name in ("cos",)},
    **{name: ("next", lambda values: values + 0.5) for name in ("next_x", "next_y")},
    **{name: (name, lambda values: -values) for name in ("heat", "linked", "struck")},
}


def test_losses_are_next_to_nothing_for_perfect_maps_and_only_the_one_that_something_is_about_grows() -> None:
    maps, ink, batch = perfect()
    good = finder_losses(maps, ink, batch)
    assert set(good) == {"heat", "place", "next", "linked", "struck", "kind", "ink"}
    assert max(map(float, good.values())) < 1e-3

    def grown(maps: Tensor, ink: Tensor) -> set[str]:
        losses = finder_losses(maps, ink, batch)
        return {name for name in good if float(losses[name]) > float(good[name]) + 0.05}

    for name, (about, change) in WRONG.items():
        wrong = maps.clone()
        wrong[:, FIELDS.index(name)] = change(wrong[:, FIELDS.index(name)])
        assert grown(wrong, ink) == {about}, name
    wrong = maps.clone()
    wrong[:, len(FIELDS) :] = wrong[:, len(FIELDS) :].roll(1, 1)
    assert grown(wrong, ink) == {"kind"}
    assert grown(maps, -ink) == {"ink"}
    unlinked = maps.clone()
    unlinked[:, FIELDS.index("next_x") : FIELDS.index("next_y") + 1, batch.owner[0] == 1] += 3  # nothing follows it
    assert grown(unlinked, ink) == set()
