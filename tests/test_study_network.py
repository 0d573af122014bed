"""One contract for every design of the study, and what is particular to some."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import Pairs, as_image
from sumnist.errors import StudyError
from sumnist.inference.onnx import FUSION, OnnxNetwork
from sumnist.lab.study.network import JoinFusion, StudyNet, build_encoding
from sumnist.lab.study.recipe import Recipe
from sumnist.lab.study.runs import JointLoss
from sumnist.lab.study.targets import build_target
from sumnist.lab.study.variants import ORIGINAL, VARIANTS, Variant, variant
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import ExactFusion, OriginalFusion
from sumnist.training.export import to_onnx


def design(recipe: Recipe) -> Recipe:
    """The recipe without what is not in the network itself."""
    return replace(
        Recipe(), **{name: getattr(recipe, name) for name in (
            "encoder", "join", "hidden", "rectified", "normalised", "bottleneck", "trunk", "encoding", "target",
            "activation", "biases",
        )},
    )  # fmt: skip


def losses(recipe: Recipe) -> Recipe:
    """The recipe without what neither its network nor its loss depends on."""
    return replace(design(recipe), digit_loss=recipe.digit_loss, sum_loss=recipe.sum_loss, weighting=recipe.weighting)


def first_of_each(kind: Callable[[Recipe], Recipe]) -> dict[str, Recipe]:
    """By name, the recipe of the first variant of each kind."""
    found: dict[Recipe, Variant] = {}
    for v in VARIANTS:
        found.setdefault(kind(v.recipe), v)
    return {v.name: v.recipe for v in found.values()}


DESIGNS = first_of_each(design)
"""A variant for each network there is."""
TRAINED = first_of_each(losses)
"""A variant for each network with each loss."""


def build(recipe: Recipe) -> StudyNet:
    torch.manual_seed(0)
    return StudyNet(recipe)


@pytest.fixture(scope="module")
def batch() -> Pairs:
    """Eight pairs of eight different digits and eight different numbers."""
    digits = load_mnist("train")
    where = [int(np.flatnonzero(digits.digits == d)[0]) for d in (9, 1, 5, 0, 8, 2, 7, 3)]
    digit, number = torch.tensor(digits.digits[where]), torch.tensor([0, 1, 2, 3, 9, 5, 6, 7])
    return Pairs(as_image(torch.tensor(digits.images[where])), number, digit, digit + number)


@pytest.mark.parametrize("name", sorted(v.name for v in VARIANTS))
def test_outputs_are_distributions_over_10_digits_and_19_sums(name: str, batch: Pairs) -> None:
    digit, total = build(variant(name).recipe).eval()(batch.image, batch.number)
    assert digit.shape == (8, 10)
    assert total.shape == (8, 19)
    for scores in (digit, total):
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(8), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_the_sums_loss_reaches_the_image_unless_the_join_is_known_to_block_it(name: str, batch: Pairs) -> None:
    recipe = replace(DESIGNS[name], digit_loss="none", activation="none", sum_weight=1.0)
    net = build(recipe)
    JointLoss(net, recipe)(batch).backward()
    first = next(net.parameters())  # of the first convolution, behind the join for `plane`
    reached = first.grad is not None and bool(first.grad.abs().sum() > 0)
    assert reached == (recipe.join not in ("argmax", "answer", "nothing"))


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_the_sums_loss_reaches_what_the_number_passes_first(name: str, batch: Pairs) -> None:
    recipe = replace(DESIGNS[name], activation="none", sum_weight=1.0)
    net = build(recipe)
    if isinstance(net.fusion, ExactFusion):
        assert not list(net.fusion.digit.children())  # nothing about the number can be learned
        return
    JointLoss(net, recipe)(batch).backward()
    path = [*net.fusion.number.parameters(), *net.fusion.layers.parameters(), *net.fusion.sum.parameters()]
    assert path[0].grad is not None
    assert path[0].grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_the_number_changes_the_sum_and_the_digit_only_where_it_comes_before_it(name: str, batch: Pairs) -> None:
    net = build(DESIGNS[name]).eval()
    one, other = (net(batch.image, torch.full((8,), number)) for number in (2, 7))
    assert not torch.equal(one.sum, other.sum) or DESIGNS[name].activation in ("sum", "both")
    assert torch.equal(one.digit, other.digit) == (not DESIGNS[name].trunk and DESIGNS[name].join != "plane")


@pytest.mark.parametrize("name", sorted(TRAINED))
def test_eight_pairs_can_be_learned_by_heart(name: str, batch: Pairs) -> None:
    recipe = replace(TRAINED[name], digit_weight=1.0, sum_weight=1.0, numbers_per_image=1)
    net = build(recipe)
    loss = JointLoss(net, recipe)
    optimizer = torch.optim.Adam(loss.parameters(), 3e-3)
    before = loss(batch).item()
    for _ in range(150):
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
    least = {"softmax-then-cross-entropy": 1.4}.get(recipe.digit_loss, 0) + 2 * (recipe.sum_loss.startswith("softmax"))
    assert loss(batch).item() - least / 2 < 0.5 * (before - least / 2)


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_a_network_comes_back_from_its_file_as_it_was(name: str, batch: Pairs, tmp_path: Path) -> None:
    net = build(DESIGNS[name]).eval()
    net.save(tmp_path / "net.safetensors")
    again = StudyNet.load(tmp_path / "net.safetensors")
    assert again.recipe == net.recipe
    for one, other in zip(net(batch.image, batch.number), again(batch.image, batch.number), strict=True):
        assert torch.equal(one, other)


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_a_network_exports_and_answers_alike(name: str, batch: Pairs) -> None:
    net = build(DESIGNS[name]).eval()
    network = OnnxNetwork(to_onnx(net, {FUSION: net.recipe.join, "encoder": net.recipe.encoder}))
    with torch.inference_mode():
        expected = net(batch.image, batch.number)
    for want, got in zip(expected, network(batch.image.numpy(), batch.number.numpy()), strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


def test_a_file_that_is_no_network_of_a_study_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(
        StudyError, match=r"^.*net\.safetensors: not a network of a study \('recipe'\): train it again$"
    ):
        StudyNet.load(path)


def test_a_recipe_of_another_version_is_refused() -> None:
    values = Recipe().as_dict()
    del values["join"]
    with pytest.raises(StudyError, match="a row's recipe differs in join: it is of another version of sumnist"):
        Recipe.from_dict(values | {"hidden": [1]})


def test_a_recipe_survives_json_and_its_key_changes_with_every_field() -> None:
    recipe = Recipe(hidden=(64, 32), normalised=True)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
    assert len({v.recipe.key for v in VARIANTS}) == len({v.recipe for v in VARIANTS})


@pytest.mark.parametrize("biases", [False, True])
def test_without_biases_the_originals_path_is_the_number_times_its_value_at_one(biases: bool) -> None:
    net = build(ORIGINAL.with_(biases=biases))
    assert isinstance(net.fusion, JoinFusion)
    with torch.inference_mode():
        encoded = net.fusion.number(torch.arange(10))  # [10, 64]
    straight = torch.allclose(encoded, torch.arange(10)[:, None] * encoded[1], atol=1e-5)
    assert straight != biases
    assert (int(torch.linalg.matrix_rank(encoded, atol=1e-4)) == 1) != biases


def test_the_originals_design_here_is_the_one_of_the_preset() -> None:
    full = build(variant("original-full").recipe)
    ours = OriginalFusion(256, "bits")
    assert isinstance(full.fusion, JoinFusion)
    assert count_parameters(full.fusion) == count_parameters(ours)
    assert 6_770_000 < count_parameters(full) < 6_780_000  # 6.77 M, as its author counts


def test_the_full_published_designs_have_the_size_that_their_authors_report() -> None:
    table = build(variant("table-full").recipe)
    statistics = sum(b.numel() for name, b in table.named_buffers() if "running" in name)
    assert count_parameters(table) + statistics == 347_277  # Keras counts the batch statistics too


def test_one_linear_layer_on_two_one_hots_can_add() -> None:
    """Of all sums s, 2 s (d + n) − s² is largest at s = d + n, and it is linear in the one-hots of d and n."""
    net = build(Recipe(join="argmax", hidden=()))
    assert isinstance(net.fusion, JoinFusion)
    s = torch.arange(19.0)
    with torch.no_grad():
        net.fusion.sum.weight.copy_(2 * s[:, None] * torch.arange(10.0).repeat(2))
        net.fusion.sum.bias.copy_(-s * s)
        digits = torch.arange(10).repeat_interleave(10)
        joined = torch.cat([torch.eye(10)[digits], net.fusion.number(torch.arange(10).repeat(10))], 1)
        assert torch.equal(net.fusion.sum(joined).argmax(1), digits + torch.arange(10).repeat(10))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one-hot", [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), ("scalar", [5]), ("scaled", [5 / 9]), ("bits", [1, 0, 1, 0]),
    ],
)  # fmt: skip
def test_how_the_number_five_is_given(name: str, expected: list[float]) -> None:
    encoded = build_encoding(name)(torch.tensor([5]))  # type: ignore[arg-type]
    np.testing.assert_allclose(encoded[0].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["classes", "bits", "value", "ordinal"])
def test_every_target_means_each_sum_where_its_outputs_say_so(name: str) -> None:
    target, total = build_target(name), torch.arange(19)  # type: ignore[arg-type]
    raw = {
        "classes": 20 * torch.eye(19),
        "bits": torch.tensor([[20.0 if s >> b & 1 else -20.0 for b in range(5)] for s in range(19)]),
        "value": total[:, None] + 0.3,
        "ordinal": torch.tensor([[20.0 if s > k else -20.0 for k in range(18)] for s in range(19)]),
    }[name]
    assert torch.equal(target.value(raw), total)
    assert torch.equal(target.scores(raw).argmax(1), total)
    assert float(target.loss(raw, total)) < float(target.loss(raw, (total + 1) % 19))


def test_ordinal_scores_are_the_product_of_the_answers_to_all_eighteen_questions() -> None:
    raw = torch.randn(5, 18, generator=torch.Generator().manual_seed(3))
    yes = raw.sigmoid().double()
    wanted = torch.stack([yes[:, :s].prod(1) * (1 - yes[:, s:]).prod(1) for s in range(19)], 1)
    wanted = wanted / wanted.sum(1, keepdim=True)
    torch.testing.assert_close(build_target("ordinal").scores(raw).exp().double(), wanted, rtol=1e-4, atol=1e-6)
