"""The layers of a network in an ONNX file: their answers beside torch's, what their places see, and files without."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drawings import AS_FLOAT
from sumnist.config import Training, preset
from sumnist.data.mnist import load_mnist
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.inside import Layer, layers_of, with_layers
from sumnist.inference.onnx import FEATURES, OnnxNetwork
from sumnist.inference.reader import TorchNetwork
from sumnist.model.network import TwoInputNet
from sumnist.training.export import feeds, quantized, to_onnx

NETWORKS = {
    "packaged": None,
    "edges": preset("fast"),
    "default": preset("default"),
    "concat": preset("tiny", fusion="concat"),
    "original": preset("original"),
    "lenet": preset("fast", encoder="lenet"),
}
"""Networks by name; None is the packaged one."""


def made(config: Training | None) -> tuple[TwoInputNet, OnnxNetwork]:
    """A network in torch and from an ONNX file."""
    if config is None:
        return TwoInputNet.from_pretrained(), OnnxNetwork(PRETRAINED / ONNX)
    torch.manual_seed(0)
    net = TwoInputNet.from_config(config).eval()
    return net, OnnxNetwork(to_onnx(net.export_spec()))


def heard(net: TwoInputNet, image: Tensor) -> list[NDArray[np.float32]]:
    """What the activations of the encoder answer to an image `[1, 1, 28, 28]`, by hooks of torch; in float64, for which
    it has no fast convolutions that spread what is no number."""
    answers: list[NDArray[np.float32]] = []
    some = [module for module in net.encoder.modules() if isinstance(module, nn.ReLU | nn.GELU)]
    hooks = [one.register_forward_hook(lambda _, __, output: answers.append(output.clone().numpy())) for one in some]
    with torch.inference_mode():
        net.encoder.double()(image.double())
    for hook in hooks:
        hook.remove()
    return answers


def check_fields(net: TwoInputNet, layers: tuple[Layer, ...]) -> None:
    """A pixel that is no number makes those places no numbers that see it, and no others."""
    for pixel in range(28):
        image = torch.zeros(1, 1, 28, 28)
        image[..., pixel, pixel] = torch.nan
        for layer, answer in zip(layers, heard(net, image), strict=True):
            if layer.field is None:
                assert answer.ndim == 2 or np.isnan(answer).all()  # what normalises an image sees all of it
                continue
            start, step, size = layer.field
            seeing = [start + i * step <= pixel < start + i * step + size for i in range(answer.shape[2])]
            assert np.array_equal(np.isnan(answer[0]).any((0, 2)), seeing), (layer.name, pixel)
            assert np.array_equal(np.isnan(answer[0]).all(0), np.outer(seeing, seeing)), (layer.name, pixel)


@pytest.mark.parametrize("name", [*list(NETWORKS)[:-1], pytest.param("lenet", marks=pytest.mark.long)])
def test_the_layers_are_the_activations_of_the_encoder_as_in_torch_and_see_what_their_fields_say(name: str) -> None:
    net, network = made(NETWORKS[name])
    layers = layers_of(network, AS_FLOAT)
    expected = heard(net, torch.from_numpy(AS_FLOAT)[None, None])
    assert len(layers) == len(expected) >= 3
    for layer, want in zip(layers, expected, strict=True):
        assert layer.values.shape == (want.shape[1], *(want.shape[2:] or (1, 1)))
        assert np.allclose(layer.values.ravel(), want.ravel(), atol=1e-4)
    check_fields(net, layers)


def test_the_layers_are_those_of_a_file_to_which_the_onnx_library_gives_outputs() -> None:
    network = OnnxNetwork(PRETRAINED / ONNX)
    assert isinstance(network.content, bytes)
    model = onnx.load_from_string(network.content)
    names = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != FEATURES)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(names, {"image": AS_FLOAT[None, None], "number": np.zeros(1, np.int64)})
    layers = layers_of(network, AS_FLOAT)
    assert [layer.name for layer in layers] == names
    for layer, want in zip(layers, wanted, strict=True):
        assert np.array_equal(layer.values.ravel(), want.ravel())
    parsed = onnx.load_from_string(with_layers(network.content, 1)[1].content)  # type: ignore[union-attr]
    assert [value.name for value in parsed.graph.output] == ["digit", "sum", "is_digit", FEATURES, *names[:-1]]
    assert names[-1] == FEATURES
    assert parsed.graph.node == model.graph.node


def test_the_second_network_is_made_once() -> None:
    network = OnnxNetwork(PRETRAINED / ONNX)
    assert isinstance(network.content, bytes)
    layers_of(network, AS_FLOAT)
    assert with_layers(network.content, 1)[1] is with_layers(network.content, 1)[1]


def test_a_run_that_torch_reads_has_no_layers() -> None:
    assert layers_of(TorchNetwork(PRETRAINED), AS_FLOAT) == ()


def test_a_file_whose_relus_are_gone_in_rounding_has_no_layers_and_answers_all_the_same() -> None:
    net, _ = made(preset("tiny"))
    ranges = feeds(load_mnist("train").part(np.arange(100)))
    network = OnnxNetwork(quantized(to_onnx(net.export_spec()), ranges))
    assert layers_of(network, AS_FLOAT) == ()
    assert network.answer(AS_FLOAT[None, None]).digit.shape == (1, 10)
