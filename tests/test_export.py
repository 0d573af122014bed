"""ONNX files: the same answers as torch, from a file that says what it is."""

from __future__ import annotations

import hashlib
import logging
import math
import warnings
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from sumnist.cli import main
from sumnist.config import Config, preset
from sumnist.data.mnist import load_mnist
from sumnist.errors import ExportError, RunError
from sumnist.files import NUMBERS, PRETRAINED
from sumnist.inference.onnx import OnnxNetwork, with_checksum
from sumnist.inference.reader import Reader
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import (
    check_parity,
    export_run,
    grid_accuracy,
    metadata_of,
    quiet,
    smallest,
    to_onnx,
)
from sumnist.training.loop import round_weights, train

NETWORKS = {
    "exact": preset("fast"),
    "nano": preset("nano"),
    "micro": preset("micro"),
    "small": preset("small"),
    "concat": preset("tiny", fusion="concat"),
    "scalar-bits": preset("tiny", fusion="concat", number_encoding="scalar", sum_target="bits"),
    "original": preset("original"),
}


def trained_looking(config: Config) -> TwoInputNet:
    """A network whose weights and batch statistics are not those of its start."""
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config)
    with torch.no_grad():
        for name, buffer in net.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif name.endswith("running_mean"):
                buffer.normal_()
    return net.eval()


@cache
def file_of(name: str) -> tuple[TwoInputNet, bytes]:
    """A network of each kind, and its file."""
    net = trained_looking(NETWORKS[name])
    round_weights(net, NETWORKS[name].weight_bits)
    return net, to_onnx(net, metadata_of(net))


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return load_mnist("test").images[:50, None].astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("name", ["exact", "concat", "original", pytest.param("scalar-bits", marks=pytest.mark.long)])
def test_every_fusion_gives_torchs_answers_to_any_number_of_pairs(name: str, images: NDArray[np.float32]) -> None:
    net, content = file_of(name)
    network = OnnxNetwork(content)
    assert network.fusion == NETWORKS[name].fusion
    for size in (50, 1, 3, 0):
        image, number = images[:size], np.arange(size) % 10
        with torch.inference_mode():
            expected = net(torch.from_numpy(image), torch.from_numpy(number))
        for want, got in zip(expected, network(image, number), strict=True):
            assert want.shape == got.shape
            assert np.allclose(want.numpy(), got, atol=1e-4)
            assert np.allclose(np.exp(got).sum(1), 1, atol=1e-5)


def test_the_file_has_the_names_and_shapes_of_the_contract() -> None:
    model = onnx.load_from_string(file_of("concat")[1])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("image", "tensor(float)", ["batch", 1, 28, 28]), ("number", "tensor(int64)", ["batch"])
    ]  # fmt: skip
    assert [(one.name, one.type, one.shape) for one in session.get_outputs()] == [
        ("digit", "tensor(float)", ["batch", 10]), ("sum", "tensor(float)", ["batch", 19])
    ]  # fmt: skip


def test_the_file_of_micro_has_no_more_numbers_than_its_weights_biases_places_of_pixels_and_a_few_others() -> None:
    """Batch normalisation leaves a bias for each channel, and nothing else."""
    kernels = 6 * 25 + 12 * 6 * 9 + 12 * 9 + 27 * 12 + 27 * 9 + 27 * 27 + 27 * (5 + 5) + 10 * 27
    biases = 6 + 12 + 27 + 27 + 10
    numbers = [math.prod(tensor.dims) for tensor in onnx.load_from_string(file_of("micro")[1]).graph.initializer]
    places = 28 + 27 + 19  # of the image, of the normalised one, and of the sums
    assert kernels + biases <= sum(numbers) <= kernels + biases + places + 15


def test_the_file_of_nano_has_repeated_weights_once_and_fewer_than_700_numbers_in_all() -> None:
    kernels = 3 * 9 + 8 * 3 + 2 * (8 * 9 + 8 * 8) + 8 * 16 + 10 * 8
    norms = 2 * 8 + 8 + 4 * 2 * 8  # a scale and a shift; a shift alone where the convolution has the scale
    numbers = [math.prod(tensor.dims) for tensor in onnx.load_from_string(file_of("nano")[1]).graph.initializer]
    places = 28 + 19  # of the image, and of the sums
    assert kernels + norms + 10 + places <= sum(numbers) < 700


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, small_config: Config) -> Path:
    """An exported run of the learned kind."""
    folder = tmp_path_factory.mktemp("runs") / "exported"
    train(replace(small_config, fusion="concat", epochs=4), folder, progress=False)
    export_run(folder)
    return folder


def test_int8_is_small_nearly_as_accurate_and_no_two_products_overflow_the_16_bits_that_some_processors_add_in(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.training.export.to_onnx", lambda *_: (exported / "model.onnx").read_bytes())
    done = export_run(exported, int8=True)
    assert done.path.name == "model.int8.onnx"
    assert done.bytes < (exported / "model.onnx").stat().st_size
    own, many = load_mnist("test", load_network(exported)[1].data_dir), load_mnist("test").part(np.arange(3000))
    exact, small = (OnnxNetwork(path) for path in (exported / "model.onnx", done.path))
    assert done.accuracy == {"fp32": grid_accuracy(exact, own), "int8": grid_accuracy(small, own)}
    assert grid_accuracy(small, many) == pytest.approx(grid_accuracy(exact, many), abs=0.02)
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(done.path).graph.initializer]
    weights = [array.astype(int) for array in weights if array.dtype == np.int8 and array.ndim > 1]
    assert len(weights) == 6  # two convolutions, four linear layers
    largest = max(int(np.abs(array).max()) for array in weights)
    assert 32 <= largest <= np.iinfo(np.int16).max // (2 * 255)  # vpmaddubsw clips the sum of two products with uint8


@pytest.mark.parametrize(
    "name", ["nano", "micro", "small", "concat", "original", pytest.param("scalar-bits", marks=pytest.mark.long)]
)
def test_a_small_file_answers_as_a_file_whose_weights_are_rounded_to_127_steps_from_zero_to_the_largest_of_an_output(
    name: str, images: NDArray[np.float32]
) -> None:
    """The weights that have few steps already, as those of `small`, keep them, and have 4 bits."""
    content = file_of(name)[1]
    model, small = onnx.load_from_string(content), smallest(content)
    weights = {node.input[1] for node in model.graph.node if node.op_type in ("Conv", "Gemm")}
    for tensor in model.graph.initializer:
        if tensor.name in weights and not (name == "small" and math.prod(tensor.dims) >= 1000):
            rows = onnx.numpy_helper.to_array(tensor)
            steps = [row / (np.abs(row).max() / 127) for row in rows]
            rounded = np.stack([row.round() * (np.abs(old).max() / 127) for row, old in zip(steps, rows, strict=True)])
            tensor.CopyFrom(onnx.numpy_helper.from_array(rounded.astype(np.float32), tensor.name))
    for entry in model.metadata_props:
        entry.value = "0" * 64 if entry.key == "sha256" else entry.value
    expected, found = OnnxNetwork(with_checksum(model.SerializeToString())), OnnxNetwork(small)
    assert {**found.metadata, "sha256": ""} == {**expected.metadata, "sha256": ""}
    for want, got in zip(expected(images, np.arange(50) % 10), found(images, np.arange(50) % 10), strict=True):
        assert np.allclose(want, got, atol=1e-4)
    assert len(small) < (0.22 if name == "small" else 0.35) * len(content)
    onnx.checker.check_model(onnx.load_from_string(small), full_check=True)


def test_a_weight_that_is_zero_for_all_inputs_of_an_output_stays_zero_in_a_small_file() -> None:
    net = deepcopy(file_of("concat")[0])
    with torch.no_grad():
        next(net.parameters())[0] = 0
    file = onnx.load_from_string(smallest(to_onnx(net, metadata_of(net))))
    first = [
        onnx.numpy_helper.to_array(one) for one in file.graph.initializer if one.data_type == onnx.TensorProto.INT8
    ]
    assert np.array_equal(first[0][0], np.zeros_like(first[0][0]))
    assert OnnxNetwork(file.SerializeToString()).fusion == "concat"


def test_a_small_file_is_written_beside_the_others_and_says_how_accurate_it_is(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.training.export.to_onnx", lambda *_: (exported / "model.onnx").read_bytes())
    done = export_run(exported, small=True)
    assert (done.path.name, done.bytes) == ("model.small.onnx", done.path.stat().st_size)
    own = load_mnist("test", load_network(exported)[1].data_dir)
    exact, small = (OnnxNetwork(path) for path in (exported / "model.onnx", done.path))
    assert done.accuracy == {"fp32": grid_accuracy(exact, own), "small": grid_accuracy(small, own)}
    assert main(["export", str(exported), "--small"]) == 0
    digit, total = done.accuracy["small"]
    assert f"small on the grid: digit {digit:.2%}, sum {total:.2%}\n" in capsys.readouterr().out
    assert main(["export", str(exported), "--small", "--int8"]) == 2
    assert capsys.readouterr().err.startswith("sumnist: --small --int8: two kinds of files")


def test_the_accuracy_of_an_onnx_file_is_that_of_the_evaluation(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(exported)]) == 0
    assert "every answer to 200 test images is that of torch" in capsys.readouterr().out
    evaluation, (_, config) = evaluate_run(exported, plots=False), load_network(exported)
    found = grid_accuracy(OnnxNetwork(exported / "model.onnx"), load_mnist("test", config.data_dir))
    assert found == pytest.approx((evaluation.digit.value, evaluation.sum.value), abs=1e-9)


def test_an_answer_that_changed_is_an_error_and_nothing_is_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = file_of("concat")[1]
    monkeypatch.setattr("sumnist.training.export.to_onnx", lambda net, metadata: other)
    with pytest.raises(ExportError, match=r"test image \d+ with number \d: digit \d, expected \d, torch's answer"):
        export_run(exported, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_parity_is_checked_with_every_number(exported: Path) -> None:
    net, config = load_network(exported)
    seen: list[int] = []

    class Spy(OnnxNetwork):
        def __call__(self, images: NDArray[np.float32], numbers: NDArray[np.int64]) -> tuple[NDArray[np.float32], ...]:  # type: ignore[override]
            seen.extend(numbers.tolist())
            return super().__call__(images, numbers)

    test = load_mnist("test", config.data_dir)
    assert check_parity(net, Spy(exported / "model.onnx"), test) < 1e-4
    assert len(seen) == len(test)
    assert set(seen) == set(range(10))


def test_only_what_the_exporter_says_of_itself_is_kept_quiet(caplog: pytest.LogCaptureFixture) -> None:
    exporter, levels = logging.getLogger("torch.onnx"), (logging.root.level, logging.getLogger("torch.onnx").level)
    with quiet():
        logging.getLogger("torch.onnx._internal").warning("from the exporter")
        logging.getLogger("elsewhere").warning("from elsewhere")
        logging.warning("from the root")  # as the quantizer does
        with pytest.warns(UserWarning, match="of others"):
            warnings.warn("of others", stacklevel=1)
    assert [record.message for record in caplog.records] == ["from elsewhere", "from the root"]
    assert (logging.root.level, exporter.level) == levels
    assert logging.root.filters == []


def test_a_file_that_is_not_whole_or_has_any_bit_flipped_is_an_error(tmp_path: Path) -> None:
    good, path, random = file_of("concat")[1], tmp_path / "model.onnx", np.random.default_rng(0)
    for bad in (b"", good[: len(good) // 2], b"\x80\x04cposix\nsystem\n(X\x04\x00\x00\x00exittR.", b"text", good[:-64]):
        path.write_bytes(bad)
        with pytest.raises(RunError) as caught:
            Reader(path)
        assert str(caught.value) == (
            f"{path}: damaged, or no ONNX file of sumnist: what is in it is not what `sumnist export` wrote: export "
            "the run again, or copy the file again"
        )
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
    with pytest.raises(RunError) as caught:
        Reader(path)
    assert str(caught.value) == (
        f"{path}: an ONNX file of another network: inputs strip, outputs emissions, is_number, features, expected one "
        "that `sumnist export` wrote of a run of --task digits: name that, or export the run again"
    )


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


def test_a_network_whose_answers_are_no_numbers_is_not_exported(exported: Path) -> None:
    net, config = load_network(exported)
    network = OnnxNetwork(exported / "model.onnx")
    torch.nn.init.constant_(next(net.parameters()), 3e38)  # finite itself, but not what comes of it
    with pytest.raises(ExportError) as caught:
        check_parity(net, network, load_mnist("test", config.data_dir))
    assert str(caught.value) == "the network answers with what is no number: train it again, with a lower --lr"


def with_old_names(content: bytes) -> bytes:
    """The ONNX file as version 0.1 wrote it: with its names, and a checksum of its own making."""
    model = onnx.load_from_string(content)
    for node in model.graph.node:
        node.output[:] = ["known" if name == "is_digit" else name for name in node.output]
    assert model.graph.output[2].name == "is_digit"
    model.graph.output[2].name = "known"
    for entry in model.metadata_props:
        entry.key = "least_known" if entry.key == "least_is_digit" else entry.key
        entry.value = "0" * 64 if entry.key == "sha256" else entry.value
    old: bytes = model.SerializeToString()
    return old.replace(b"0" * 64, hashlib.sha256(old).hexdigest().encode())


def test_an_export_of_version_0_1_answers_the_same(images: NDArray[np.float32]) -> None:
    content = (PRETRAINED / "model.onnx").read_bytes()
    new, old = OnnxNetwork(content), OnnxNetwork(with_old_names(content))
    assert b"least_known" in with_old_names(content)
    assert new.least_is_digit == old.least_is_digit > 0
    assert (old.least_confidence, old.fusion) == (new.least_confidence, new.fusion)
    numbers = np.arange(50) % 10
    for one, other in zip(new.answer(images, numbers), old.answer(images, numbers), strict=True):
        assert isinstance(one, np.ndarray)
        assert isinstance(other, np.ndarray)
        assert np.array_equal(one, other)
