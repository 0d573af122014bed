"""One contract for every encoder × fusion, and what is particular to each fusion."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sumnist.config import Config, preset
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import as_image
from sumnist.errors import ImageError, NumberError, RunError
from sumnist.files import CONFIG, PRETRAINED, WEIGHTS
from sumnist.inference.reader import Reader
from sumnist.model.checkpoint import save_network, save_tensors
from sumnist.model.fusion import BITS, ExactFusion, Heads, OriginalFusion, unsmoothed
from sumnist.model.losses import joint_loss
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import export_run

VARIANTS = {
    f"{encoder}-{fusion}-{encoding}": preset("tiny", encoder=encoder, fusion=fusion, number_encoding=encoding)
    for encoder in ("tiny", "fast", "default")
    for fusion, encoding in (("exact", "one-hot"), ("concat", "one-hot"), ("concat", "scalar"))
} | {
    "original": preset("original"),
    "original-classes": preset("original", sum_target="classes"),
    "tiny-concat-bits": preset("tiny", fusion="concat", sum_target="bits"),
}


@pytest.fixture(params=sorted(VARIANTS))
def config(request: pytest.FixtureRequest) -> Config:
    return VARIANTS[request.param]


@pytest.fixture
def net(config: Config) -> TwoInputNet:
    torch.manual_seed(0)
    return TwoInputNet.from_config(config)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Images, numbers, digits: 8 pairs."""
    generator = torch.Generator().manual_seed(1)
    return (
        torch.rand(8, 1, 28, 28, generator=generator),
        torch.tensor([0, 1, 2, 3, 9, 5, 6, 7]),
        torch.tensor([9, 1, 5, 0, 9, 2, 7, 3]),
    )


def test_outputs_are_distributions_whatever_else_is_in_the_batch_and_the_same_after_loading(
    net: TwoInputNet, config: Config, batch: tuple[Tensor, Tensor, Tensor], tmp_path: Path
) -> None:
    image, number, _ = batch
    save_network(net, tmp_path)
    (tmp_path / CONFIG).write_text(config.to_json())
    again, loaded = load_network(tmp_path)
    assert loaded == config
    outputs, alone = net.eval()(image, number), net(image[3:4], number[3:4])
    for scores, one, other, count in zip(outputs, alone, again(image, number), (10, 19), strict=True):
        assert (scores.shape, scores.dtype) == ((8, count), torch.float32)
        assert torch.allclose(scores.exp().sum(1), torch.ones(8), atol=1e-5)
        assert torch.allclose(scores[3:4], one, atol=1e-5)
        assert torch.equal(scores, other)


def test_the_loss_reaches_every_parameter_and_both_answers_learn_one_batch_by_heart(
    net: TwoInputNet, config: Config, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    image, number, digit = batch
    optimizer = torch.optim.Adam(net.parameters(), 1e-3 if config.encoder == "original" else 1e-2)
    for step in range(300):
        losses = joint_loss(net.heads(image, number), digit, digit + number, config)
        optimizer.zero_grad()
        losses.total.backward()
        for name, parameter in net.named_parameters() if step == 0 else ():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
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


def test_the_joint_loss_is_the_weighted_mean_of_two_cross_entropies() -> None:
    random = np.random.default_rng(0)
    digit_logits, sum_logits = random.normal(size=(5, 10)), random.normal(size=(5, 19))
    digit, total = np.array([0, 3, 9, 2, 2]), np.array([0, 12, 18, 4, 11])
    config = preset("tiny", fusion="concat", digit_weight=1.0, sum_weight=3.0)
    heads = Heads(torch.tensor(digit_logits).float(), torch.tensor(sum_logits).float())
    losses = joint_loss(heads, torch.tensor(digit), torch.tensor(total), config)

    def cross_entropy(logits: np.ndarray, target: np.ndarray) -> float:
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return float(-np.log(chances[np.arange(5), target]).mean())

    expected = (cross_entropy(digit_logits, digit), cross_entropy(sum_logits, total))
    assert losses.digit.item() == pytest.approx(expected[0], rel=1e-5)
    assert losses.sum.item() == pytest.approx(expected[1], rel=1e-5)
    assert losses.total.item() == pytest.approx((expected[0] + 3 * expected[1]) / 4, rel=1e-5)


def test_label_smoothing_spreads_that_share_of_the_target_evenly() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 10))
    digit = np.array([1, 9, 0, 3])
    heads = Heads(torch.tensor(logits).float(), None)
    losses = joint_loss(heads, torch.tensor(digit), torch.tensor(digit), preset("tiny"), smoothing=0.2)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = 0.2 / 10 + 0.8 * np.eye(10)[digit]
    assert losses.total.item() == pytest.approx(-(target * logs).sum(1).mean(), rel=1e-5)


def test_the_original_as_written_has_the_loss_of_five_bits_and_a_softmax_too_many() -> None:
    logits, total = np.random.default_rng(0).normal(size=(3, 5)), np.array([0, 13, 18])
    perfect = torch.full((3, 10), -100.0).index_fill(1, torch.tensor([4]), 100.0)
    heads, digit = Heads(perfect, torch.tensor(logits).float()), torch.full((3,), 4)
    losses = joint_loss(heads, digit, torch.tensor(total), preset("original-as-written"))
    on, bits = 1 / (1 + np.exp(-logits)), (total[:, None] >> np.arange(5)) & 1
    assert losses.sum.item() == pytest.approx(-np.log(np.where(bits, on, 1 - on)).mean(), rel=1e-5)
    assert losses.digit.item() == pytest.approx(math.log(math.e + 9) - 1)  # 1.4612, for a certain and right answer


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


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_weights_cut_short_are_an_error(run: Path, keep: int) -> None:
    (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:keep])
    assert message(run).startswith(f"{run / WEIGHTS}: not a whole safetensors file (")


def test_weights_of_another_network_are_an_error_that_names_the_first_difference(run: Path) -> None:
    save_network(TwoInputNet("fast"), run)
    assert message(run) == (
        f"{run / WEIGHTS}: weights of another network: encoder.2.0.weight is [16, 8, 3, 3], expected none "
        "by config.json: the two files are not of one run"
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


def test_any_flipped_bit_of_the_weights_is_noticed(run: Path) -> None:
    good, random = (run / WEIGHTS).read_bytes(), np.random.default_rng(0)
    for place in [0, 9, len(good) - 1, *random.integers(0, len(good), 60).tolist()]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        (run / WEIGHTS).write_bytes(bytes(bad))
        assert "not a whole safetensors file" in message(run) or "weights of another network" in message(run)


def test_a_network_comes_back_from_what_save_pretrained_wrote_with_a_checksum_or_without(tmp_path: Path) -> None:
    net = TwoInputNet("tiny", "concat", "scalar", "bits").eval()
    net.save_pretrained(tmp_path / "new folder")
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == [CONFIG, WEIGHTS]
    image, number = torch.rand(3, 1, 28, 28), torch.tensor([0, 5, 9])
    for _ in range(2):
        again = TwoInputNet.from_pretrained(tmp_path / "new folder")
        for one, two in zip(net(image, number), again(image, number), strict=True):
            assert torch.equal(one, two)
        save_file(net.state_dict(), tmp_path / "new folder" / WEIGHTS)


def test_a_run_of_version_0_1_answers_the_same(tmp_path: Path) -> None:
    net = TwoInputNet("tiny", "concat").eval()
    net.calibration.set(1.5, 0.75, 0.5)
    net.save_pretrained(tmp_path)
    old = {name.replace("least_is_digit", "least_known"): value for name, value in net.state_dict().items()}
    assert "calibration.least_known" in old
    save_tensors(tmp_path / WEIGHTS, old)  # its checksum is of the old names
    again = TwoInputNet.from_pretrained(tmp_path)
    assert again.calibration.least_is_digit.item() == 0.75
    image, number = torch.rand(3, 1, 28, 28), torch.tensor([0, 5, 9])
    for one, other in zip(net(image, number), again(image, number), strict=True):
        assert torch.equal(one, other)


@pytest.mark.long
def test_the_packaged_network_reads_as_its_card_says() -> None:
    net = TwoInputNet.from_pretrained()
    figures = json.loads((PRETRAINED / "evaluation.json").read_text())
    test = load_mnist("test")
    with torch.inference_mode():
        parts = torch.tensor(test.images).split(500)
        answers = torch.cat([net.fusion(net.encoder(as_image(part)), None).digit.argmax(1) for part in parts])
    right = int((answers == torch.tensor(test.digits)).sum())
    assert right == pytest.approx(figures["digit"]["value"] * 10_000, abs=2)  # another processor rounds otherwise
    assert f"{figures['digit']['value']:.2%}" in (PRETRAINED / "README.md").read_text()
    assert (PRETRAINED / "model.onnx").stat().st_size <= 2_000_000


def test_smoothed_targets_are_taken_back_exactly() -> None:
    random = np.random.default_rng(0)
    truth = random.dirichlet(np.ones(10), 50)
    taught = 0.9 * truth + 0.1 / 10
    found = unsmoothed(torch.tensor(np.log(taught)), 0.1).exp().numpy()
    assert np.allclose(found, np.maximum(truth, 1e-5), atol=1e-4)
    sure = torch.full((1, 10), np.log(0.01)).index_fill(1, torch.tensor([3]), np.log(0.91))
    assert float(unsmoothed(sure, 0.1).exp()[0, 3]) == pytest.approx(0.9 / (0.9 + 9e-5), abs=1e-6)  # nine at the least


def test_the_originals_number_is_one_scalar_in_disguise_and_its_fusion_is_computed_in_float32() -> None:
    torch.manual_seed(0)
    fusion = OriginalFusion(256)
    features, number = torch.randn(20, 256), torch.arange(20) % 10
    for value in range(10):
        alone = fusion.number(torch.full((1, 1), float(value)))
        assert torch.allclose(alone, value * fusion.number(torch.ones(1, 1)), atol=1e-5)
    plain = fusion(features, number)
    with torch.autocast("cpu", torch.bfloat16):
        inside = fusion(features, number)
    assert all(torch.equal(one, other) for one, other in zip(plain, inside, strict=True))
