"""One contract for every encoder × fusion, and what is particular to each fusion."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sumnist.config import Config, Fusion, preset
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import as_image
from sumnist.errors import ImageError, NumberError, RunError
from sumnist.files import CONFIG, PRETRAINED, WEIGHTS
from sumnist.inference.reader import Reader
from sumnist.model.checkpoint import save_tensors
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import BITS, ExactFusion, Heads, OriginalFusion, unsmoothed
from sumnist.model.losses import joint_loss
from sumnist.model.network import TwoInputNet, load_network, save_network
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


def test_outputs_are_distributions_over_10_digits_and_19_sums(
    net: TwoInputNet, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    digit, total = net.eval()(*batch[:2])
    assert digit.shape == (8, 10)
    assert total.shape == (8, 19)
    for scores in (digit, total):
        assert scores.dtype == torch.float32
        assert torch.allclose(scores.exp().sum(1), torch.ones(8), atol=1e-5)


def test_both_answers_learn_one_batch_by_heart(
    net: TwoInputNet, config: Config, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    image, number, digit = batch
    optimizer = torch.optim.Adam(net.parameters(), 1e-3 if config.encoder == "original" else 1e-2)
    for _ in range(300):
        losses = joint_loss(net.heads(image, number), digit, digit + number, config)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        if losses.total.item() < 1e-3:
            break
    outputs = net(image, number)
    assert torch.equal(outputs.digit.argmax(1), digit)
    assert torch.equal(outputs.sum.argmax(1), digit + number)


def test_the_loss_reaches_every_parameter(
    net: TwoInputNet, config: Config, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    image, number, digit = batch
    joint_loss(net.heads(image, number), digit, digit + number, config).total.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_saved_network_answers_the_same_after_loading(
    net: TwoInputNet, config: Config, batch: tuple[Tensor, Tensor, Tensor], tmp_path: Path
) -> None:
    save_network(net, tmp_path)
    (tmp_path / CONFIG).write_text(config.to_json())
    again, loaded = load_network(tmp_path)
    assert loaded == config
    for one, other in zip(net.eval()(*batch[:2]), again(*batch[:2]), strict=True):
        assert torch.equal(one, other)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(
    net: TwoInputNet, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    image, number, _ = batch
    together = net.eval()(image, number)
    alone = net(image[3:4], number[3:4])
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one[3:4], other, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 10, 255])
def test_a_number_outside_0_to_9_is_an_error_never_a_silent_zero(net: TwoInputNet, wrong: int) -> None:
    with pytest.raises(NumberError) as caught:
        net(torch.zeros(2, 1, 28, 28), torch.tensor([3, wrong]))
    assert str(caught.value) == f"number {wrong}: expected a whole number from 0 to 9"


def test_numbers_that_are_not_whole_or_not_as_many_are_an_error(net: TwoInputNet) -> None:
    with pytest.raises(NumberError) as caught:
        net(torch.zeros(2, 1, 28, 28), torch.tensor([3.0, 3.5]))
    assert str(caught.value) == "number of type torch.float32 and shape [2]: expected torch.int64 of shape [2]"
    with pytest.raises(NumberError) as caught:
        net(torch.zeros(2, 1, 28, 28), torch.tensor([3]))
    assert str(caught.value) == "number of type torch.int64 and shape [1]: expected torch.int64 of shape [2]"


def test_an_image_of_another_shape_is_an_error(net: TwoInputNet) -> None:
    with pytest.raises(ImageError) as caught:
        net(torch.zeros(2, 28, 28), torch.tensor([1, 2]))
    assert str(caught.value) == "image of shape [2, 28, 28]: expected [B, 1, 28, 28]"


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


def test_the_original_has_the_parameters_that_its_layers_add_up_to() -> None:
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    image = convolutions + 64 * 20 * 20 * 256
    number = 1 * 16 + 16 * 32 + 32 * 64
    joined = (256 + 64) * 256 + 256 * 256 + 256 * 10 + 256 * 5
    assert (
        count_parameters(TwoInputNet("original", "original", sum_target="bits")) == image + number + joined == 6_772_272
    )


def test_without_biases_the_originals_number_path_is_one_scalar_in_disguise() -> None:
    fusion = OriginalFusion(256)
    one = fusion.number(torch.ones(1, 1))
    for number in range(10):
        assert torch.allclose(fusion.number(torch.full((1, 1), float(number))), number * one, atol=1e-5)


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


def test_the_loss_of_five_bits_is_their_mean_binary_cross_entropy() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 5))
    total = np.array([0, 13, 18])
    heads = Heads(torch.zeros(3, 10), torch.tensor(logits).float())
    losses = joint_loss(heads, torch.zeros(3, dtype=torch.int64), torch.tensor(total), preset("original"))
    on = 1 / (1 + np.exp(-logits))
    bits = (total[:, None] >> np.arange(5)) & 1
    assert losses.sum.item() == pytest.approx(-np.log(np.where(bits, on, 1 - on)).mean(), rel=1e-5)


def test_a_softmax_before_the_cross_entropy_cannot_bring_the_loss_below_its_floor() -> None:
    perfect = torch.full((1, 10), -100.0)
    perfect[0, 4] = 100.0
    heads = Heads(perfect, torch.zeros(1, 5))
    losses = joint_loss(heads, torch.tensor([4]), torch.tensor([4]), preset("original-as-written"))
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


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    assert message(tmp_path) == (
        f"{tmp_path}: no run, expected a run folder, as `sumnist train --out {tmp_path}` writes it"
    )
    missing = tmp_path / "none"
    assert message(missing) == (
        f"{missing}: missing, expected a run folder, as `sumnist train --out {missing}` writes it"
    )


def test_a_run_without_weights_is_an_error(run: Path) -> None:
    (run / WEIGHTS).unlink()
    assert message(run) == f"{run / WEIGHTS}: missing, expected the trained weights: train the run again"


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_weights_cut_short_are_an_error(run: Path, keep: int) -> None:
    (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:keep])
    assert message(run).startswith(f"{run / WEIGHTS}: not a whole safetensors file (")
    assert message(run).endswith("): train the run again, or copy it again")


def test_weights_of_another_network_are_an_error_that_names_the_first_difference(run: Path) -> None:
    save_network(TwoInputNet("fast"), run)
    assert message(run) == (
        f"{run / WEIGHTS}: weights of another network: encoder.2.0.weight is [16, 8, 3, 3], expected none "
        "by config.json: the two files are not of one run"
    )


def test_weights_of_another_fusion_are_an_error_that_names_the_first_difference(run: Path) -> None:
    save_network(TwoInputNet("tiny", "concat"), run)
    assert message(run) == (
        f"{run / WEIGHTS}: weights of another network: fusion.hidden.bias is [128], expected none by config.json: "
        "the two files are not of one run"
    )


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("encoder.0.weight", math.nan, "encoder.0.weight is not finite, expected numbers"),
        ("fusion.digit.bias", math.inf, "fusion.digit.bias is not finite, expected numbers"),
        ("calibration.least_confidence", math.nan, "calibration.least_confidence is not finite, expected numbers"),
        ("calibration.temperature", 0.0, "calibration.temperature is 0, expected a number above 0"),
        ("calibration.temperature", -1.0, "calibration.temperature is -1, expected a number above 0"),
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


def test_any_flipped_bit_of_the_weights_is_noticed(tmp_path: Path) -> None:
    net = TwoInputNet("tiny", "concat")
    net.save_pretrained(tmp_path)
    path = tmp_path / WEIGHTS
    good = path.read_bytes()
    random = np.random.default_rng(0)
    for place in [0, 9, len(good) - 1, *random.integers(0, len(good), 200).tolist()]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(bad))
        with pytest.raises(RunError, match=r"not a whole safetensors file|weights of another network"):
            load_network(tmp_path)


def test_a_network_comes_back_from_what_save_pretrained_wrote(tmp_path: Path) -> None:
    net = TwoInputNet("tiny", "concat", "scalar", "bits").eval()
    net.save_pretrained(tmp_path / "new folder")
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == ["config.json", "model.safetensors"]
    again = TwoInputNet.from_pretrained(tmp_path / "new folder")
    image, number = torch.rand(3, 1, 28, 28), torch.tensor([0, 5, 9])
    for one, two in zip(net(image, number), again(image, number), strict=True):
        assert torch.equal(one, two)


def test_weights_without_a_checksum_are_read_too(tmp_path: Path) -> None:
    net = TwoInputNet("tiny")
    net.save_pretrained(tmp_path)
    save_file(net.state_dict(), tmp_path / WEIGHTS)
    assert torch.equal(TwoInputNet.from_pretrained(tmp_path).fusion.digit.weight, net.fusion.digit.weight)


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


@pytest.mark.parametrize("fusion", ["exact", "concat"])
def test_outputs_of_a_network_taught_with_smoothed_targets_are_distributions(fusion: Fusion) -> None:
    net = TwoInputNet("tiny", fusion, smoothing=0.1).eval()
    for logs in net(torch.rand(20, 1, 28, 28), torch.arange(20) % 10):
        assert torch.allclose(logs.exp().sum(1), torch.ones(20), atol=1e-5)
    assert TwoInputNet.from_config(preset("default")).fusion.smoothing == pytest.approx(0.1 * 0.08)
    assert TwoInputNet.from_config(preset("fast")).fusion.smoothing == 0


class Bomb:
    """What a pickle could do to whoever loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_under_the_name_of_the_weights_is_refused_and_not_executed(tmp_path: Path, zipped: bool) -> None:
    TwoInputNet("tiny").save_pretrained(tmp_path)
    bomb = Bomb(tmp_path / "executed")
    if zipped:
        torch.save({"weights": bomb}, tmp_path / WEIGHTS)
    else:
        (tmp_path / WEIGHTS).write_bytes(pickle.dumps(bomb))
    with pytest.raises(RunError, match="not a whole safetensors file"):
        load_network(tmp_path)
    assert not bomb.path.exists()


def test_the_originals_fusion_is_computed_in_float32_also_where_the_rest_is_in_bf16() -> None:
    torch.manual_seed(0)
    fusion = OriginalFusion(256)
    features, number = torch.randn(20, 256), torch.arange(20) % 10
    plain = fusion(features, number)
    with torch.autocast("cpu", torch.bfloat16):
        inside = fusion(features, number)
    assert inside.sum is not None
    assert plain.sum is not None
    assert torch.equal(inside.digit, plain.digit)
    assert torch.equal(inside.sum, plain.sum)


def test_without_biases_an_image_with_more_light_has_more_of_the_same_features_and_the_number_does_not_follow() -> None:
    torch.manual_seed(0)
    net = TwoInputNet.from_config(preset("original")).eval()
    image = torch.rand(3, 1, 28, 28)
    assert torch.allclose(net.encoder(image * 0.5), net.encoder(image) * 0.5, atol=1e-6)
    number = torch.tensor([3, 5, 9])
    dimmed, halved = net.heads(image * 0.5, number), net.heads(image, number)
    assert not torch.allclose(dimmed.digit, halved.digit * 0.5, atol=1e-6)
