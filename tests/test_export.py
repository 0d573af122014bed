"""ONNX files: the same answers as torch, from a file that says what it is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from sumnist.cli import main
from sumnist.config import Training, preset
from sumnist.data.mnist import load_mnist
from sumnist.errors import ExportError, HandError, RunError
from sumnist.files import NUMBERS, PRETRAINED
from sumnist.inference.hand import Hand
from sumnist.inference.onnx import OnnxNetwork, with_checksum
from sumnist.inference.reader import Reader
from sumnist.model.export_spec import ExportSpec
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import DigitTrial, check_parity, export_run, grid_accuracy, to_onnx
from sumnist.training.loop import train

NETWORKS = {
    "exact": preset("fast"),
    "outliers": preset("tiny"),
    "concat": preset("tiny", fusion="concat"),
    "original": preset("original"),
}


@cache
def file_of(name: str) -> tuple[TwoInputNet, bytes]:
    """A network of each kind, whose batch statistics are not those of its start, and its file."""
    torch.manual_seed(0)
    net = TwoInputNet.from_config(NETWORKS[name]).eval()
    with torch.no_grad():
        for part, buffer in net.named_buffers():
            if part.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif part.endswith("running_mean"):
                buffer.normal_()
    net.calibration.set(1.5, 0.25 if name == "outliers" else 0.0, 0.5)
    return net, to_onnx(net.export_spec())


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return load_mnist("test").images[:50, None].astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_file_has_the_names_and_shapes_of_the_contract_and_torchs_answers_to_any_number_of_pairs(
    name: str, images: NDArray[np.float32]
) -> None:
    net, content = file_of(name)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    network = OnnxNetwork(content)
    assert (network.fusion, network.has_is_digit) == (NETWORKS[name].fusion, name == "outliers")
    assert (network.least_is_digit, network.least_confidence) == (0.25 if name == "outliers" else 0.0, 0.5)
    assert (network.metadata["temperature"], network.metadata["encoder"]) == ("1.5", NETWORKS[name].encoder)
    assert ("features" in network.outputs) == network.exact
    for size in (50, 1, 3, 0):
        image, number = images[:size], np.arange(size) % 10
        with torch.inference_mode():
            pairs = torch.from_numpy(image), torch.from_numpy(number)
            expected = [*net(*pairs), *([net.is_digit(net.heads(*pairs))] if network.has_is_digit else [])]
        answer = network.answer(image, number)
        for want, got in zip(expected, (part for part in answer if part is not None), strict=True):
            assert want.shape == got.shape
            assert np.allclose(want.numpy(), got, atol=1e-4)
        assert np.allclose(np.exp(answer.digit).sum(1), 1, atol=1e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, small_config: Training) -> Path:
    """An exported run of the learned kind."""
    folder = tmp_path_factory.mktemp("runs") / "exported"
    train(replace(small_config, fusion="concat", epochs=4), folder, progress=False)
    export_run(folder)
    return folder


def test_int8_is_small_nearly_as_accurate_and_no_two_products_overflow_the_16_bits_that_some_processors_add_in(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = export_run(exported, int8=True)
    assert done.path.name == "model.int8.onnx"
    assert done.bytes < (exported / "model.onnx").stat().st_size
    own, many = load_mnist("test", load_network(exported)[1].data_dir), load_mnist("test").part(np.arange(3000))
    exact, small = (OnnxNetwork(path) for path in (exported / "model.onnx", done.path))
    evaluation = evaluate_run(exported, plots=False)
    assert grid_accuracy(exact, own) == pytest.approx((evaluation.digit.value, evaluation.sum.value), abs=1e-9)
    assert done.accuracy == {"fp32": grid_accuracy(exact, own), "int8": grid_accuracy(small, own)}
    assert "int8 on test images: digit {:.2%}, sum {:.2%}".format(*grid_accuracy(small, own)) in done.text()
    assert grid_accuracy(small, many) == pytest.approx(grid_accuracy(exact, many), abs=0.02)
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(done.path).graph.initializer]
    weights = [array.astype(int) for array in weights if array.dtype == np.int8 and array.ndim > 1]
    assert len(weights) == 6  # two convolutions, four linear layers
    largest = max(int(np.abs(array).max()) for array in weights)
    assert 32 <= largest <= np.iinfo(np.int16).max // (2 * 255)  # vpmaddubsw clips the sum of two products with uint8
    assert main(["export", str(exported)]) == 0
    assert "log-probabilities of 200 test images differ from torch's by at most" in capsys.readouterr().out


def test_an_answer_that_changed_is_an_error_and_nothing_is_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = file_of("concat")[1]
    monkeypatch.setattr("sumnist.training.export.to_onnx", lambda spec, more: other)
    with pytest.raises(ExportError, match=r"test image \d+ with number \d: digit \d, expected \d, torch's answer"):
        export_run(exported, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_parity_is_checked_with_every_number_and_to_the_tolerance_and_no_answer_may_be_no_number(
    exported: Path,
) -> None:
    net, config = load_network(exported)
    trial, seen = DigitTrial(config), list[int]()

    class Spy(OnnxNetwork):
        def run(self, outputs: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            seen.extend(inputs["number"].tolist())
            return super().run(outputs, inputs)

    file, spec = Spy(exported / "model.onnx"), net.export_spec()
    seen.clear()
    count, largest = check_parity(spec, file, trial)
    assert count == len(seen) == 200
    assert set(seen) == set(range(10))
    assert 0 < largest < 1e-4
    strict: ExportSpec = replace(spec, tolerance=largest / 2)
    with pytest.raises(ExportError, match=r"differs from torch's by [\d.e-]+, expected rounding: nothing was written"):
        check_parity(strict, file, trial)
    torch.nn.init.constant_(next(net.parameters()), 3e38)  # finite itself, but not what comes of it
    with pytest.raises(ExportError, match="answers with what is no number: train it again, with a lower --lr"):
        check_parity(spec, file, trial)


# Files that are not what they should be.


def test_a_file_that_is_not_whole_or_has_any_bit_flipped_is_an_error(tmp_path: Path) -> None:
    good, path, random = file_of("concat")[1], tmp_path / "model.onnx", np.random.default_rng(0)
    for bad in (b"", good[: len(good) // 2], b"text", good[:-64]):
        path.write_bytes(bad)
        with pytest.raises(RunError, match="damaged, or no ONNX file of sumnist: what is in it is not what"):
            Reader(path)
    for place in [0, len(good) - 1, *random.integers(0, len(good), 100).tolist()]:
        flipped = bytearray(good)
        flipped[place] ^= 1 << int(random.integers(8))
        with pytest.raises(RunError, match="damaged"):
            OnnxNetwork(bytes(flipped))


def test_a_file_of_another_network_or_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(RunError, match=r"cannot be read \(no such file or directory\): expected an ONNX file of"):
        OnnxNetwork(path)
    with pytest.raises(RunError, match="model: not a whole ONNX file"):
        OnnxNetwork(with_checksum(b"nonsense" + b"0" * 64))
    path.write_bytes(NUMBERS.read_bytes())
    with pytest.raises(RunError, match="another network: inputs strip, outputs emissions, features"):
        Reader(path)
    old = onnx.load_from_string((PRETRAINED / "model.onnx").read_bytes())
    for node in old.graph.node:
        node.output[:] = ["known" if name == "is_digit" else name for name in node.output]
    old.graph.output[2].name = "known"  # as version 0.1 called it
    onnx.helper.set_model_props(old, {one.key: one.value for one in old.metadata_props} | {"sha256": "0" * 64})
    with pytest.raises(RunError, match="another network: inputs image, number, outputs digit, sum, known"):
        OnnxNetwork(with_checksum(old.SerializeToString()))


@pytest.mark.parametrize("value", ["much", "nan", "inf", "-0.1", "1.5"])
def test_a_file_with_thresholds_outside_0_to_1_or_answers_that_are_no_numbers_is_refused(value: str) -> None:
    model = onnx.load_from_string(file_of("exact")[1])
    facts = {entry.key: entry.value for entry in model.metadata_props} | {"sha256": "0" * 64}

    def refusal(**changed: str) -> str:
        onnx.helper.set_model_props(model, facts | changed)
        with pytest.raises(RunError) as caught:
            OnnxNetwork(with_checksum(model.SerializeToString()))
        return str(caught.value)

    for key in ("least_is_digit", "least_confidence"):
        expected = f"model: its metadata have {key} '{value}', expected a number from 0 to 1: export the run again"
        assert refusal(**{key: value}) == expected
    for tensor in model.graph.initializer:
        if tensor.name.endswith("fusion.digit.bias"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(10, np.nan, np.float32), tensor.name))
    assert refusal() == "model: answers with what is no number: train its network again, and export that"


def test_hands_that_were_learned_with_an_earlier_export_of_the_same_answers_correct_the_packaged_network() -> None:
    network, nothing = OnnxNetwork(PRETRAINED / "model.onnx"), np.zeros((0, 0), np.float32)
    assert network.checksum == network.metadata["hands"] != network.metadata["sha256"]
    network.with_hand(Hand({network.metadata["hands"]: nothing}, (0,) * 10))
    with pytest.raises(HandError, match="another network than the hand was learned with"):
        network.with_hand(Hand({network.metadata["sha256"]: nothing}, (0,) * 10))
    other = OnnxNetwork(file_of("exact")[1])
    assert other.checksum == other.metadata["sha256"]
