"""The study: its designs, its draws, its runs, its rows and its statistics."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.study import report, runs
from lab.study.designs import VARIANTS, Recipe, Variant, variant
from lab.study.network import ENCODINGS, TARGETS, JoinFusion, StudyNet
from lab.study.report import Mean, Results, holm, sign_flips
from lab.study.rows import Row, StudyError
from lab.study.runs import LEFT_OUT, JointLoss, conduct, draw_for, jobs_of, measure, read_rows
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import Pairs
from sumnist.inference.onnx import FUSION, OnnxNetwork
from sumnist.model.fusion import Heads
from sumnist.training.export import to_onnx

pytestmark = pytest.mark.long
DIGITS = np.arange(10).repeat(200)
DESIGNS = {v.name: v.recipe for v in VARIANTS if v.group in ("fusion", "number", "sum", "details", "published", "full")}
IMAGES = torch.tensor(load_mnist("train").images[:8, None]) / 255


def recipes(**fixed: Any) -> st.SearchStrategy[Recipe]:
    """Any design of a small network, most of which nobody has studied."""
    sampled: dict[str, list[Any]] = {
        "join": ["features", "logits", "probabilities", "argmax", "answer", "outer", "film", "plane", "nothing",
                 "computed"],
        "hidden": [(), (16,), (12, 9)], "rectified": [False, True], "normalised": [False, True], "bottleneck": [0, 15],
        "encoding": list(ENCODINGS), "target": list(TARGETS), "biases": [False, True],
    }  # fmt: skip
    choices = {name: st.just(fixed[name]) if name in fixed else st.sampled_from(sampled[name]) for name in sampled}
    return st.builds(Recipe, **choices)


def build(recipe: Recipe) -> StudyNet:
    torch.manual_seed(0)
    return StudyNet(recipe)


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_a_design_says_distributions_over_10_digits_and_19_sums_and_so_does_its_export(name: str) -> None:
    net, number = build(DESIGNS[name]).eval(), torch.arange(8)
    network = OnnxNetwork(to_onnx(net.spec({FUSION: net.recipe.join, "encoder": net.recipe.encoder})))
    with torch.inference_mode():
        expected = net(IMAGES, number)
    for scores, exported, width in zip(expected, network(IMAGES.numpy(), number.numpy()), (10, 19), strict=True):
        assert scores.shape == (8, width)
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(8), rtol=0, atol=1e-4)
        np.testing.assert_allclose(exported, scores.numpy(), atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(recipe=recipes())
def test_the_number_changes_the_sum_and_the_digit_only_where_it_comes_before_it(recipe: Recipe) -> None:
    net = build(recipe).eval()
    one, other = (net(IMAGES, torch.full((8,), number)) for number in (2, 7))
    assert not torch.equal(one.sum, other.sum)
    assert torch.equal(one.digit, other.digit) == (recipe.join != "plane")


@settings(max_examples=60, deadline=None)
@given(recipe=recipes(rectified=False, normalised=False))
def test_the_sums_loss_reaches_number_and_image_unless_the_join_is_known_to_block_it(recipe: Recipe) -> None:
    pairs = Pairs(IMAGES[:4], torch.arange(4), torch.arange(4) + 2, 2 * torch.arange(4) + 2)
    recipe = replace(recipe, digit_loss="none")
    net = build(recipe)
    JointLoss(net, recipe)(pairs).backward()
    first = next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d)).weight
    reached = first.grad is not None and bool(first.grad.abs().sum() > 0)
    assert reached == (recipe.join not in ("argmax", "answer", "nothing"))
    if isinstance(net.fusion, JoinFusion) and recipe.join != "plane":
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.fusion.number.parameters())


# Draws.


def drawn(recipe: Recipe, epoch: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    return draw_for(recipe, 1, DIGITS)(epoch)


def test_numbers_are_drawn_anew_once_for_all_or_without_some() -> None:
    assert not np.array_equal(drawn(Recipe()), drawn(Recipe(), 1))
    assert np.array_equal(drawn(Recipe(numbers="fixed")), drawn(Recipe(numbers="fixed"), 1))
    assert set(drawn(Recipe(largest_number=8)).tolist()) == set(range(9))
    left_out = [zip(DIGITS.tolist(), drawn(Recipe(numbers="left-out"), epoch).tolist(), strict=True)
                for epoch in range(5)]  # fmt: skip
    assert set().union(*left_out) == {(d, n) for d, n in product(range(10), repeat=2) if n != LEFT_OUT[d]}


# Measuring.


class Oracle(StudyNet):
    """A network that knows every answer to the images whose first pixel is their digit / 255."""

    def __init__(self, recipe: Recipe, wrong: int | None = None, off: float = 0.0) -> None:
        super().__init__(recipe)
        self.encoder = torch.nn.Flatten()
        self.wrong, self.off = wrong, off
        self.fusion.forward = self.answers  # type: ignore[method-assign]

    def answers(self, features: torch.Tensor, number: torch.Tensor) -> Any:
        digit = (features[:, 0] * 255).round().long()
        total = digit + number + (number == self.wrong) if self.wrong is not None else digit + number
        raw = total[:, None] + self.off if self.recipe.target == "value" else 20 * torch.eye(19)[total.clamp(0, 18)]
        return Heads(20 * torch.eye(10)[digit], raw)


def known(digits: Any = (*range(10), *range(10))) -> DigitSet:
    images = np.zeros((len(digits), 28, 28), np.uint8)
    images[:, 0, 0] = digits
    return DigitSet(images, np.array(digits, np.int64), "known")


def test_a_network_that_knows_every_answer_is_perfect_and_a_number_that_is_added_wrongly_is_seen() -> None:
    figures = measure(Oracle(Recipe()), known())
    assert {figures[name] for name in ("digit", "sum", "joint", "sum_seen", "sum_unseen")} == {1.0}
    figures = measure(Oracle(Recipe(), wrong=4), known())
    assert figures["sum_by_number"] == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    figures = measure(Oracle(Recipe(), wrong=int(LEFT_OUT[3])), known([3] * 20))
    assert (figures["sum_seen"], figures["sum_unseen"], figures["sum"]) == (1.0, 0.0, pytest.approx(0.9))
    figures = measure(Oracle(Recipe(target="value", encoding="scalar"), off=-0.3), known())
    assert figures["sum"] == 1.0  # 6.7 is a 7


# Rows.


def fake_run(name: str, recipe: Recipe, seed: int) -> Row:
    """A row as a run would give it, from nothing but the job."""
    level = 0.9 + 0.1 * float(np.random.default_rng([*name.encode(), seed]).random())
    figures = dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen"), level)
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": "2026-01-01", "commit": "c",
        "machine": {"processor": "p", "versions": {"torch": "2"}}, "seconds": 1.0, "parameters": 10, "weights": "w",
        "test": figures | {"sum_by_number": [level] * 10},
    }  # fmt: skip


def test_runs_go_seed_by_seed_and_what_has_a_whole_row_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "run", fake_run)
    jobs = jobs_of([Variant("a", "A", "fusion", Recipe(), 3), Variant("b", "B", "fusion", Recipe(hidden=()), 2)])
    path = tmp_path / "rows.jsonl"
    assert conduct(jobs[:2], path, workers=1, progress=False) == 2
    assert conduct(jobs, path, workers=1, progress=False) == 3
    rows = [(row["variant"], row["seed"]) for row in read_rows(path)]
    assert rows == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert conduct(jobs, path, workers=1, progress=False) == 1
    assert path.read_bytes() == whole
    assert conduct([("a", Recipe(lr=1e-3), 0)], path, workers=1, progress=False) == 1
    path.write_text('{"variant": 1}\n')
    with pytest.raises(StudyError, match=r"line 1: not a row of a study: take it out, or choose another file$"):
        read_rows(path)


# Statistics.

T_OF_4 = 2.7764
"""Student's t, two-sided 95 %, four degrees of freedom, by table."""


def test_a_mean_has_students_interval_and_an_effect_is_paired_by_seed() -> None:
    mean = Mean.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean.value == 3
    assert mean.high - 3 == pytest.approx(T_OF_4 * math.sqrt(2.5) / math.sqrt(5), rel=1e-4)
    assert Mean.effect([1.0, 2.0, 3.0], [0.9, 1.9, 2.9]).clear
    assert not Mean.effect([2.0], [1.0]).clear


def test_holms_correction_by_hand_and_sign_flips_by_counting_all_ways() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    ours, theirs = [3.0, 1.0, 2.5, 0.5], [1.0, 2.0, 1.0, 0.0]
    d = np.subtract(ours, theirs)
    every = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=4)]
    assert sign_flips(ours, theirs) == np.mean(np.array(every) >= abs(d.sum()) - 1e-12)


def test_figures_are_those_of_the_rows_in_any_order_and_rows_of_other_recipes_do_not_count() -> None:
    rows = [fake_run(*job) for job in jobs_of(VARIANTS)]
    film = [100 * row["test"]["sum"] for row in rows if row["variant"] == "film"]
    old = fake_run("film", Recipe(join="film", lr=1.0), 0)
    for some in (rows, [old, *rows[::-1]]):
        results = Results(some, VARIANTS)
        assert report.share(results, "film") == f"{np.mean(film):.2f} %"
        assert f"| {variant('film').title} | " in report.all_designs(results)
        assert all(make(results) for make in report.PLOTS.values())
    assert report.runs(Results([], VARIANTS)) == "0 runs of 0 designs"
