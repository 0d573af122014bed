"""The network: one contract for every encoder × fusion, what is particular to each fusion, its files, its picture."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sumnist.config import EncoderName, Fusion, Particulars, preset
from sumnist.data.mnist import load_mnist
from sumnist.data.sampling import NO_DIGIT
from sumnist.errors import ImageError, NumberError, RunError
from sumnist.files import CONFIG, WEIGHTS
from sumnist.inference.reader import Reader
from sumnist.model.checkpoint import save_network
from sumnist.model.encoders import Edges, MomentNorm
from sumnist.model.fusion import BITS, ExactFusion, Heads, OriginalFusion, unsmoothed
from sumnist.model.losses import joint_loss
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import export_run

# One contract for all.

NETWORKS = {
    f"{encoder}-{fusion}": preset("tiny", encoder=encoder, fusion=fusion)
    for encoder, fusion in product(get_args(EncoderName), get_args(Fusion))
    if (encoder == "original") == (fusion == "original")
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_with_distributions_is_the_same_after_loading_and_learns_a_batch_by_heart(
    name: str, tmp_path: Path
) -> None:
    config = NETWORKS[name]
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    image = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    number, digit = torch.tensor([0, 1, 2, 3, 9, 5, 6, 7]), torch.tensor([9, 1, 5, 0, 9, 2, 7, 3])

    save_network(net, tmp_path, config)
    (tmp_path / CONFIG).write_text(config.to_json())
    again, loaded = load_network(tmp_path)
    assert loaded == config
    outputs, alone = net.eval()(image, number), net(image[3:4], number[3:4])
    for scores, one, other, count in zip(outputs, alone, again(image, number), (10, 19), strict=True):
        assert (scores.shape, scores.dtype) == ((8, count), torch.float32)
        assert torch.allclose(scores.exp().sum(1), torch.ones(8), atol=1e-5)
        assert torch.allclose(scores[3:4], one, atol=1e-5)
        assert torch.equal(scores, other)

    optimizer = torch.optim.Adam(net.train().parameters(), 1e-3 if config.encoder == "original" else 1e-2)
    for step in range(300):
        losses = joint_loss(net.heads(image, number), digit, digit + number, config.particulars)
        optimizer.zero_grad()
        losses.total.backward()
        for parameter_name, parameter in net.named_parameters() if step == 0 else ():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name
        optimizer.step()
        if losses.total.item() < 1e-2:
            break
    outputs = net(image, number)
    assert torch.equal(outputs.digit.argmax(1), digit)
    assert torch.equal(outputs.sum.argmax(1), digit + number)


@pytest.mark.parametrize(
    ("shape", "number", "error", "message"),
    [
        ((2, 1, 28, 28), [3, -1], NumberError, "number -1: expected a whole number from 0 to 9"),
        ((2, 1, 28, 28), [3, 10], NumberError, "number 10: expected a whole number from 0 to 9"),
        ((2, 1, 28, 28), [3.0, 3.5], NumberError,
         "number of type torch.float32 and shape [2]: expected torch.int64 of shape [2]"),
        ((2, 1, 28, 28), [3], NumberError,
         "number of type torch.int64 and shape [1]: expected torch.int64 of shape [2]"),
        ((2, 28, 28), [1, 2], ImageError, "image of shape [2, 28, 28]: expected [B, 1, 28, 28]"),
    ],
)  # fmt: skip
def test_inputs_of_another_shape_type_or_range_are_errors_never_a_silent_zero(
    shape: tuple[int, ...], number: list[float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        TwoInputNet("tiny", "concat")(torch.zeros(shape), torch.tensor(number))
    assert str(caught.value) == message


def test_the_exact_sum_is_the_digit_shifted_by_the_number() -> None:
    digit = np.log(np.random.default_rng(0).dirichlet(np.ones(10), 10))
    number = np.arange(10)
    outputs = ExactFusion(4).outputs(Heads(torch.tensor(digit), None), torch.tensor(number))
    for row in range(10):
        for total in range(19):
            expected = digit[row, total - number[row]] if 0 <= total - number[row] <= 9 else -math.inf
            assert outputs.sum[row, total] == pytest.approx(expected)


def test_five_bits_become_the_product_of_bernoullis_renormalised_over_0_to_18() -> None:
    logits = torch.randn(6, BITS, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    fusion = OriginalFusion(4).double()
    outputs = fusion.outputs(Heads(torch.zeros(6, 10, dtype=torch.float64), logits), torch.zeros(6, dtype=torch.int64))
    on = torch.sigmoid(logits).numpy()
    for row in range(6):
        product = [
            math.prod(on[row, b] if total >> b & 1 else 1 - on[row, b] for b in range(BITS)) for total in range(19)
        ]
        assert outputs.sum[row].exp().numpy() == pytest.approx(np.array(product) / sum(product))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_joint_loss_is_the_weighted_mean_of_two_cross_entropies_with_targets_smoothed_evenly(
    smoothing: float,
) -> None:
    random = np.random.default_rng(0)
    logits = [random.normal(size=(5, width)) for width in (10, 19)]
    truth = np.array([0, 3, 9, 2, 2]), np.array([0, 12, 18, 4, 11])
    heads, targets = Heads(*(torch.tensor(one).float() for one in logits)), [torch.tensor(one) for one in truth]
    losses = joint_loss(heads, targets[0], targets[1], Particulars(sum_weight=3.0), smoothing)
    expected = []
    for scores, right in zip(logits, truth, strict=True):
        target = smoothing / scores.shape[1] + (1 - smoothing) * np.eye(scores.shape[1])[right]
        expected.append(-(target * np.log(np.exp(scores) / np.exp(scores).sum(1, keepdims=True))).sum(1).mean())
    assert (losses.digit.item(), losses.sum.item()) == pytest.approx(expected, rel=1e-5)
    assert losses.total.item() == pytest.approx((expected[0] + 3 * expected[1]) / 4, rel=1e-5)


def test_the_original_as_written_has_the_loss_of_five_bits_and_a_softmax_too_many() -> None:
    logits, total = np.random.default_rng(0).normal(size=(3, 5)), np.array([0, 13, 18])
    perfect = torch.full((3, 10), -100.0).index_fill(1, torch.tensor([4]), 100.0)
    heads, digit = Heads(perfect, torch.tensor(logits).float()), torch.full((3,), 4)
    losses = joint_loss(heads, digit, torch.tensor(total), preset("original-as-written").particulars)
    on, bits = 1 / (1 + np.exp(-logits)), (total[:, None] >> np.arange(5)) & 1
    assert losses.sum.item() == pytest.approx(-np.log(np.where(bits, on, 1 - on)).mean(), rel=1e-5)
    assert losses.digit.item() == pytest.approx(math.log(math.e + 9) - 1)  # 1.4612, for a certain and right answer


@pytest.mark.parametrize("width", [19, BITS])
def test_soft_labels_of_digits_are_those_of_sums_shifted_by_the_number(width: int) -> None:
    plain = Particulars()
    digit, number = torch.tensor([2, 7, NO_DIGIT]), torch.tensor([0, 9, 4])
    heads = Heads(torch.randn(3, 10), torch.randn(3, width))
    total = torch.where(digit == NO_DIGIT, NO_DIGIT, digit + number)
    sure = torch.eye(10)[[2, 7, 0]]
    hard, soft = joint_loss(heads, digit, total, plain), joint_loss(heads, digit, total, plain, soft=sure)
    assert torch.stack(soft).tolist() == pytest.approx(torch.stack(hard).tolist(), abs=1e-6)
    halves = joint_loss(heads, digit, total, plain, soft=(sure + torch.eye(10)[[5, 1, 0]]) / 2)
    others = torch.tensor([5, 1, NO_DIGIT])
    other = joint_loss(heads, others, torch.where(others == NO_DIGIT, NO_DIGIT, others + number), plain)
    assert halves.sum.item() == pytest.approx((hard.sum.item() + other.sum.item()) / 2, abs=1e-6)


def test_smoothed_targets_are_taken_back_exactly() -> None:
    random = np.random.default_rng(0)
    truth = random.dirichlet(np.ones(10), 50)
    taught = 0.9 * truth + 0.1 / 10
    found = unsmoothed(torch.tensor(np.log(taught)), 0.1).exp().numpy()
    assert np.allclose(found, np.maximum(truth, 1e-5), atol=1e-4)
    sure = torch.full((1, 10), np.log(0.01)).index_fill(1, torch.tensor([3]), np.log(0.91))
    assert float(unsmoothed(sure, 0.1).exp()[0, 3]) == pytest.approx(0.9 / (0.9 + 9e-5), abs=1e-6)  # nine at the least


# What is not learned.


def test_moment_norm_takes_back_what_shear_and_shift_do_to_a_digit() -> None:
    digits = load_mnist("test").images[:50]
    change = (1, 0.3, -5, 0, 1, 1)  # what Pillow samples for each pixel: (x + 0.3 y − 5, y + 1)
    changed = [Image.fromarray(one).transform((28, 28), Image.Transform.AFFINE, change, 2) for one in digits]
    here, there = (torch.tensor(np.array(some))[:, None] / 255 for some in (digits, changed))
    moved = (here - there).abs().mean()
    here, there = (MomentNorm(23)(some) for some in (here, there))
    assert (here - there).abs().mean() < moved / 4


def test_moment_norm_is_finite_for_any_ink_and_is_not_rounded_to_bf16() -> None:
    noise = torch.rand(3, 1, 28, 28)
    images = torch.cat([torch.zeros(1, 1, 28, 28), torch.ones(1, 1, 28, 28), noise, (noise > 0.999).float()])
    images[-1, 0] = torch.nn.functional.one_hot(torch.tensor(27), 28)  # a line at the edge
    images.requires_grad_()
    found = MomentNorm(23)(images)
    assert found.isfinite().all()
    assert torch.autograd.grad(found.sum(), images)[0].isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(MomentNorm(23)(images), found)


def test_an_edge_is_answered_by_the_filter_of_its_direction_and_even_ink_by_none() -> None:
    edges = Edges(8)
    rising = torch.arange(9.0).expand(1, 1, 9, 9) / 9
    for image, direction in ((rising, 0), (rising.mT, 2), (rising.flip(-1), 4), (rising.mT.flip(-2), 6)):
        answers = edges(image)[0, :, 1, 1]
        assert answers.argmax() == direction
        assert torch.allclose(answers, -answers.roll(4), atol=1e-6)
    assert edges(torch.ones(1, 1, 9, 9)).abs().max() < 1e-6
    assert torch.allclose(edges.weight.abs().sum((1, 2, 3)), torch.full((8,), 2.0))


# Its files.


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = preset("tiny")
    save_network(TwoInputNet.from_config(config), tmp_path)
    (tmp_path / CONFIG).write_text(config.to_json())
    return tmp_path


def message(folder: Path) -> str:
    with pytest.raises(RunError) as caught:
        load_network(folder)
    return str(caught.value)


def test_a_folder_that_is_no_run_or_has_no_weights_is_an_error(run: Path, tmp_path: Path) -> None:
    (run / WEIGHTS).unlink()
    assert message(run) == f"{run / WEIGHTS}: missing, expected the trained weights: train the run again"
    (run / CONFIG).unlink()
    for folder, kind in ((run, "no run"), (tmp_path / "none", "missing")):
        expected = f"{folder}: {kind}, expected a run folder, as `sumnist train --out {folder}` writes it"
        assert message(folder) == expected


def test_weights_of_another_network_are_an_error_that_names_the_first_difference(run: Path) -> None:
    save_network(TwoInputNet("lenet"), run)
    assert message(run) == (
        f"{run / WEIGHTS}: weights of another network: encoder.0.bias is [6], expected [8] by "
        "config.json: the two files are not of one run"
    )


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("encoder.0.weight", math.nan, "encoder.0.weight is not finite, expected numbers"),
        ("calibration.temperature", 0.0, "calibration.temperature is 0, expected a number above 0"),
        ("calibration.least_is_digit", 1.5,
         "the thresholds of calibration are 1.5 and 0, expected shares from 0 to 1"),
    ],
)  # fmt: skip
def test_numbers_with_which_no_network_can_answer_are_refused_when_loaded_exported_and_saved(
    run: Path, name: str, value: float, wrong: str
) -> None:
    net = TwoInputNet.from_config(preset("tiny"))
    net.state_dict()[name].view(-1)[0] = value
    save_network(net, run)
    expected = f"{run / WEIGHTS}: {wrong}: train the run again, with a lower --lr"
    assert message(run) == expected
    for ask in (Reader, export_run, evaluate_run):
        with pytest.raises(RunError) as caught:
            ask(run)
        assert str(caught.value) == expected
    TwoInputNet("tiny").save_pretrained(run)
    before = (run / WEIGHTS).read_bytes()
    with pytest.raises(RunError) as caught:
        net.save_pretrained(run)
    assert str(caught.value) == f"{run}: not written: {wrong}"
    assert (run / WEIGHTS).read_bytes() == before


def test_weights_cut_short_or_with_any_bit_flipped_are_an_error(run: Path) -> None:
    good, random = (run / WEIGHTS).read_bytes(), np.random.default_rng(0)
    for keep in (0, 4, 100, 5000):
        (run / WEIGHTS).write_bytes(good[:keep])
        assert message(run).startswith(f"{run / WEIGHTS}: not a whole safetensors file (")
    for place in [0, 9, len(good) - 1, *random.integers(0, len(good), 60).tolist()]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        (run / WEIGHTS).write_bytes(bytes(bad))
        assert "not a whole safetensors file" in message(run) or "weights of another network" in message(run)


def test_a_network_comes_back_with_a_checksum_or_without(tmp_path: Path) -> None:
    net = TwoInputNet("tiny", "concat").eval()
    net.calibration.set(1.5, 0.75, 0.5)
    folder, asked = tmp_path / "new folder", (torch.rand(3, 1, 28, 28), torch.tensor([0, 5, 9]))
    net.save_pretrained(folder)
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]
    for write in (lambda: None, lambda: save_file(net.state_dict(), folder / WEIGHTS)):
        write()
        again = TwoInputNet.from_pretrained(folder)
        assert again.calibration.least_is_digit.item() == 0.75
        assert all(torch.equal(one, other) for one, other in zip(net(*asked), again(*asked), strict=True))
