"""The network of strips: its steps, what it may cost, and that nothing behind a strip counts."""

from __future__ import annotations

import math
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

from sumnist.config import Config, preset
from sumnist.errors import ConfigError, ExportError, ImageError, RunError
from sumnist.files import WEIGHTS
from sumnist.inference.ctc import is_number_probability
from sumnist.inference.recognizers import EMISSIONS, IS_NUMBER, STRIP
from sumnist.model.checkpoint import save_config
from sumnist.model.network import TwoInputNet, load_network, save_network
from sumnist.model.strip_network import CLASSES, StripNet, load_strip_network
from sumnist.training.export_strips import export_strips, in_half, strips_to_onnx

WIDTHS = (1, 2, 3, 4, 5, 30, 64, 149, 150, 151)
"""Pixels; one of each remainder of the four of a step."""


@pytest.fixture(scope="module")
def net() -> StripNet:
    """A network whose normalisations shift and scale, as those of a trained one do: zeros do not stay zeros."""
    torch.manual_seed(0)
    net = StripNet()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            nn.init.normal_(layer.bias, 0.1, 0.2)
    return net.eval()


@pytest.mark.parametrize("width", WIDTHS)
def test_there_is_a_distribution_for_every_four_pixels(net: StripNet, width: int) -> None:
    with torch.no_grad():
        emissions = net(torch.rand(2, 1, 32, width))
    assert emissions.shape == (2, -(-width // 4), CLASSES)
    assert torch.allclose(emissions.exp().sum(2), torch.ones(2, emissions.shape[1]), atol=1e-5)


def test_a_strip_in_a_batch_of_wider_ones_is_read_as_alone(net: StripNet) -> None:
    torch.manual_seed(1)
    alone = [torch.rand(1, 1, 32, width) for width in WIDTHS]
    batch = torch.rand(len(WIDTHS), 1, 32, 160)  # behind a strip there may be anything
    for place, strip in enumerate(alone):
        batch[place, :, :, : strip.shape[3]] = strip[0]
    with torch.no_grad():
        together = net(batch, torch.tensor(WIDTHS))
        for place, strip in enumerate(alone):
            expected = net(strip)[0]
            assert torch.allclose(together[place, : len(expected)], expected, atol=1e-5), WIDTHS[place]


def test_without_the_widths_what_lies_behind_a_strip_does_change_it(net: StripNet) -> None:
    strip = torch.rand(1, 1, 32, 64)
    with torch.no_grad():
        wider = net(nn.functional.pad(strip, (0, 40)))[:, :16]
        assert not torch.allclose(wider, net(strip), atol=1e-3)


def test_a_step_depends_on_ten_to_thirty_steps_around_it(net: StripNet) -> None:
    strip = torch.rand(1, 1, 32, 400, requires_grad=True)
    net(strip)[0, 50].sum().backward()
    net(strip)[0, 50].square().sum().backward()
    assert strip.grad is not None
    columns = strip.grad.abs().sum((0, 1, 2)).nonzero()[:, 0]
    before, after = (200 - int(columns.min())) / 4, (int(columns.max()) - 203) / 4
    assert 10 < before < 30
    assert 10 < after < 30


def test_the_network_keeps_its_budget(net: StripNet) -> None:
    assert len(strips_to_onnx(in_half(net), {})) <= 3_000_000


def test_emissions_are_float32_under_bf16_too(net: StripNet) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert net(torch.rand(1, 1, 32, 40)).dtype == torch.float32


@pytest.mark.parametrize("shape", [(1, 1, 28, 40), (1, 3, 32, 40), (1, 32, 40)])
def test_another_shape_is_an_error(net: StripNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError) as caught:
        net(torch.zeros(shape))
    assert str(caught.value) == f"strip of shape {list(shape)}: expected [B, 1, 32, W]"


# On disk.


def test_a_saved_network_comes_back(net: StripNet, tmp_path: Path) -> None:
    config = preset("numbers")
    save_config(config, tmp_path)
    save_network(net, tmp_path)
    loaded, found, checksum = load_strip_network(tmp_path)
    assert found == config
    assert len(checksum) == 64
    assert not loaded.training
    for name, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_networks_of_the_two_tasks_are_told_apart(net: StripNet, tmp_path: Path) -> None:
    for task, weights in (("numbers", net), ("digits", TwoInputNet())):
        save_config(preset("numbers" if task == "numbers" else "default"), tmp_path / task)
        save_network(weights, tmp_path / task)
    with pytest.raises(RunError) as caught:
        load_network(tmp_path / "numbers")
    assert (
        str(caught.value)
        == f"{tmp_path}/numbers: a network of --task numbers: expected one of --task digits or addition"
    )
    with pytest.raises(RunError) as caught:
        load_strip_network(tmp_path / "digits")
    assert str(caught.value) == f"{tmp_path}/digits: a network of --task digits: expected one of --task numbers"
    with pytest.raises(ConfigError, match="--task numbers: expected digits"):
        TwoInputNet.from_config(preset("numbers"))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    net = StripNet()
    save_config(net.config, tmp_path)
    net.character.weight.data[0] = float("nan")
    save_network(net, tmp_path)
    with pytest.raises(RunError) as caught:
        load_strip_network(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / WEIGHTS}: character.weight is not finite, expected numbers: "
        "train the run again, with a lower --lr"
    )


def test_a_config_of_before_there_were_tasks_is_of_the_digits() -> None:
    config = Config.from_json('{"preset": "default", "epochs": 3}', "config.json")
    assert (config.task, config.epochs) == ("digits", 3)


# ONNX.


def test_weights_of_half_precision_halve_the_file_and_change_no_probability(net: StripNet) -> None:
    strip = torch.rand(3, 1, 32, 120)
    session = onnxruntime.InferenceSession(strips_to_onnx(in_half(net), {}), providers=["CPUExecutionProvider"])
    (given,) = session.run([EMISSIONS], {STRIP: strip.numpy()})
    with torch.no_grad():
        exact = net(strip)
    assert len(strips_to_onnx(in_half(net), {})) < 0.55 * len(strips_to_onnx(net, {}))
    assert torch.allclose(torch.from_numpy(given).exp(), exact.exp(), atol=2e-3)


def test_a_network_that_rounding_changes_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounded = StripNet().eval()  # another network
    monkeypatch.setattr("sumnist.training.export_strips.in_half", lambda net: rounded)
    net = StripNet()
    assert net.character.bias is not None
    nn.init.zeros_(net.character.bias)
    save_network(net, tmp_path)
    save_config(net.config, tmp_path)
    with pytest.raises(ExportError, match="half precision"):
        export_strips(tmp_path, tmp_path / "numbers.onnx")
    assert not (tmp_path / "numbers.onnx").exists()


def test_onnx_gives_what_torch_gives_for_any_width_and_number_of_strips(net: StripNet) -> None:
    session = onnxruntime.InferenceSession(strips_to_onnx(net, {}), providers=["CPUExecutionProvider"])
    (given,), (answer, is_number) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == (STRIP, "tensor(float)", ["batch", 1, 32, "width"])
    assert (answer.name, answer.type, answer.shape) == (EMISSIONS, "tensor(float)", ["batch", "step", CLASSES])
    assert (is_number.name, is_number.type, is_number.shape) == (IS_NUMBER, "tensor(float)", ["batch"])
    for count in (1, 2, 5):
        for width in (*WIDTHS, 1000):
            strip = torch.rand(count, 1, 32, width)
            with torch.no_grad():
                expected = net(strip)
            emissions, there = session.run(None, {STRIP: strip.numpy()})
            assert emissions.shape == expected.shape
            assert torch.allclose(torch.from_numpy(emissions), expected, atol=1e-5)
            for said, probability in zip(emissions, there, strict=True):
                assert math.exp(probability) == pytest.approx(is_number_probability(said), abs=1e-5)
