"""How a reading came about: what was tried, the steps, the layers, and which places speak for the digit."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from drawings import AS_FLOAT, SEVEN, TEST, drawing, encoded
from sumnist.config import preset
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.inside import FLOOR, evidence_of, layers_of, read_inside
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import Reader
from sumnist.model.network import TwoInputNet
from sumnist.training.export import to_onnx

DOUBTFUL = 255 - np.kron(np.pad(TEST.images[8], 4), np.ones((3, 3), np.uint8)) // 6
"""Faint ink on plain ground."""


def pixels(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(text), np.uint8)


@pytest.mark.parametrize("picture", [encoded(drawing()), DOUBTFUL, encoded(Image.new("L", (90, 60), 200))])
def test_the_reading_and_its_steps_are_those_that_are_given_without(reader: Reader, picture: bytes) -> None:
    reading, inside = read_inside(reader, picture, 7)
    expected, steps = reader.read_shown(picture, 7)
    assert json.loads(json.dumps(inside.as_dict(), allow_nan=False)) == inside.as_dict()
    assert reading == expected == reader.read(picture, 7)
    assert np.array_equal(reading.image, expected.image)  # type: ignore[arg-type]
    assert [step.caption for step in inside.steps] == [step.caption for step in steps]
    for shown, step in zip(inside.as_dict()["steps"], steps, strict=True):
        assert max(shown["width"], shown["height"]) == min(160, max(step.values.shape))
        assert len(pixels(shown["pixels"])) == shown["width"] * shown["height"]
        mean = 255 * step.values.clip(0, 1).mean()
        assert pixels(shown["pixels"]).mean() == pytest.approx(mean, abs=1)
    last = np.rint(255 * reading.image).astype(np.uint8)  # type: ignore[operator]
    assert np.array_equal(pixels(inside.as_dict()["steps"][-1]["pixels"]), last.ravel())


def test_a_change_is_that_of_torchs_answer_to_the_image_with_the_patch_blanked_by_hand(reader: Reader) -> None:
    reading = reader.read(SEVEN, 3)
    evidence = evidence_of(reader, reading)
    assert evidence is not None
    assert evidence.patch + evidence.stride * (evidence.side - 1) == 28
    blanked = []
    for top in range(0, 28 - evidence.patch + 1, evidence.stride):
        for left in range(0, 28 - evidence.patch + 1, evidence.stride):
            blanked.append(AS_FLOAT.copy())
            blanked[-1][top : top + evidence.patch, left : left + evidence.patch] = 0
    images = torch.from_numpy(np.stack([AS_FLOAT, *blanked]))[:, None]
    with torch.inference_mode():
        logs = TwoInputNet.from_pretrained()(images, torch.zeros(len(images), dtype=torch.int64))[0].clip(FLOOR).numpy()
    assert np.allclose(evidence.changes, logs[1:] - logs[0], atol=1e-3)
    assert evidence.probabilities == pytest.approx(np.array(reading.digit_probabilities))
    untouched = np.array([np.array_equal(one, AS_FLOAT) for one in blanked])
    assert 0 < untouched.sum() < len(blanked)
    assert (evidence.changes[untouched] == 0).all()
    sent: dict[str, Any] = json.loads(json.dumps(evidence.as_dict(), allow_nan=False))
    assert np.allclose(sent["changes"], evidence.changes.ravel(), atol=5.1e-4)


# The layers.


def made(name: str) -> tuple[TwoInputNet, OnnxNetwork]:
    """A network in torch and from an ONNX file."""
    if name == "packaged":
        return TwoInputNet.from_pretrained(), OnnxNetwork(PRETRAINED / ONNX)
    torch.manual_seed(0)
    net = TwoInputNet.from_config(preset(name, **({"fusion": "concat"} if name == "tiny" else {}))).eval()
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


@pytest.mark.parametrize("name", ["packaged", "tiny"])
def test_the_layers_are_the_activations_of_the_encoder_as_in_torch_and_see_what_their_fields_say(name: str) -> None:
    """A pixel that is no number makes those places no numbers that see it, and no others."""
    net, network = made(name)
    layers = layers_of(network, AS_FLOAT)
    expected = heard(net, torch.from_numpy(AS_FLOAT)[None, None])
    assert len(layers) == len(expected) >= 3
    for layer, want in zip(layers, expected, strict=True):
        assert layer.values.shape == (want.shape[1], *(want.shape[2:] or (1, 1)))
        assert np.allclose(layer.values.ravel(), want.ravel(), atol=1e-4)
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
