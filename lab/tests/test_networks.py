"""The networks of lines of any width and of pictures of any size: what they answer, and their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from lab import __main__ as lab
from lab.recipes import export, lines
from lab.recipes.export import TRIALS
from lab.recipes.networks import CHANNELS, CLASSES, FIELDS, FinderNet, LineNet, begun
from lab.recipes.tasks import TASKS, FinderTask, LineTask, texts_read
from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError, RunError
from sumnist.files import NUMBERS
from sumnist.inference.alphabet import CHARACTERS, STEP
from sumnist.inference.finder import Finder
from sumnist.inference.numbers import StripRecognizer
from sumnist.inference.onnx import OnnxFile
from sumnist.model.checkpoint import save_config, save_network
from sumnist.model.network import TwoInputNet
from sumnist.training.export import to_onnx
from sumnist.training.loop import train

pytestmark = pytest.mark.long
WIDTHS = (1, 2, 3, 4, 5, 30, 64, 149, 150, 151)
"""Pixels of lines; one of each remainder of the four of a step."""


@pytest.fixture(scope="module")
def nets() -> dict[str, Any]:
    """Networks whose normalisations shift and scale, as those of trained ones do: zeros do not stay zeros."""
    torch.manual_seed(0)
    nets = {"lines": LineNet(), "finder": FinderNet()}
    for net in nets.values():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 2)
                nn.init.normal_(layer.bias, 0.1, 0.2)
        net.eval()
    return nets


@torch.no_grad()
def test_there_is_a_distribution_for_every_four_pixels_of_a_strip_and_maps_of_a_picture(
    nets: dict[str, Any],
) -> None:
    net, finder_net = nets.values()
    for width in WIDTHS:
        emissions = net(torch.rand(2, 1, 32, width))
        assert emissions.shape == (2, -(-width // 4), CLASSES)
        assert torch.allclose(emissions.exp().sum(2), torch.ones(2, emissions.shape[1]), atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(torch.rand(1, 1, 32, 40)).dtype == torch.float32
        maps, ink = finder_net(torch.rand(2, 1, 48, 80))
    assert (maps.shape, ink.shape) == ((2, len(FIELDS) + len(CHARACTERS), 12, 20), (2, 1, 48, 80))
    assert maps.dtype == ink.dtype == torch.float32
    shapes = {"1, 32, W": (1, 3, 32, 40), "sides multiples of 16": (1, 1, 36, 40)}
    for (expected, shape), kind in zip(shapes.items(), nets.values(), strict=True):
        with pytest.raises(ImageError, match=expected):
            kind(torch.zeros(shape))


@torch.no_grad()
def test_a_strip_in_a_batch_of_wider_ones_is_read_as_alone_if_the_widths_are_told(nets: dict[str, Any]) -> None:
    net = nets["lines"]
    alone = [torch.rand(1, 1, 32, width) for width in WIDTHS]
    batch = torch.rand(len(WIDTHS), 1, 32, 160)  # behind a strip there may be anything
    for place, strip in enumerate(alone):
        batch[place, :, :, : strip.shape[3]] = strip[0]
    together = net(batch, torch.tensor(WIDTHS))
    for place, strip in enumerate(alone):
        expected = net(strip)[0]
        assert torch.allclose(together[place, : len(expected)], expected, atol=1e-5), WIDTHS[place]
    assert not torch.allclose(net(batch)[6, :16], net(alone[6])[0], atol=1e-3)


def test_networks_of_other_tasks_are_told_apart(nets: dict[str, Any], tmp_path: Path) -> None:
    every = nets | {"digits": TwoInputNet()}
    for task, net in every.items():
        save_config(net.config, tmp_path / task)
        save_network(net, tmp_path / task)
    kinds: dict[str, Any] = {name: type(net) for name, net in every.items()}
    for task, net in every.items():
        loaded, found, checksum = kinds[task].load(tmp_path / task)
        assert (found, len(checksum), loaded.training) == (net.config, 64, False)
        assert all(torch.equal(loaded.state_dict()[name], value) for name, value in net.state_dict().items())
        for other, kind in kinds.items():
            if other != task:
                with pytest.raises(RunError, match=r"not a configuration of sumnist|of another network"):
                    kind.load(tmp_path / task)


# Their files.


@torch.no_grad()
@pytest.mark.parametrize(
    ("task", "shapes", "axes"),
    [
        ("lines", [(1, 1, 32, 1), (2, 1, 32, 5), (5, 1, 32, 151), (1, 1, 32, 1000)],
         {"emissions": ["batch", "step", CLASSES], "features": ["batch", "step", CHANNELS]}),
        pytest.param("finder", [(1, 1, 16, 16), (3, 1, 48, 80)], {}, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_a_file_gives_what_torch_gives_for_any_size_and_number_of_images(
    task: str, shapes: list[tuple[int, ...]], axes: dict[str, list[Any]], nets: dict[str, Any]
) -> None:
    """With weights of half precision, which change no probability."""
    spec = nets[task].export_spec()
    file = to_onnx(spec)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert tuple(value.name for value in session.get_outputs()) == spec.outputs
    assert not axes or {value.name: value.shape for value in session.get_outputs()} == axes
    for shape in shapes:
        image = torch.rand(shape)
        found = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        for got, want, exact in zip(found, spec.module(image), spec.exact(image), strict=True):
            assert np.allclose(got, want, atol=1e-4)
            assert np.allclose(got, exact, atol=0.1)
        (compared, *_), (exact, *_) = found, spec.exact(image)
        assert torch.allclose(spec.probability(torch.from_numpy(compared)), spec.probability(exact), atol=0.02)
    halves = [tensor for tensor in onnx.load_from_string(file).graph.initializer if tensor.name.endswith(".half")]
    size = sum(parameter.numel() for parameter in nets[task].parameters())
    assert 0.9 * size < sum(np.prod(tensor.dims) for tensor in halves) <= size
    assert len(file) < 2.6 * size


@pytest.fixture
def few(idx_folder: Path, monkeypatch: pytest.MonkeyPatch, few_scenes: Callable[[pytest.MonkeyPatch], None]) -> Path:
    """Little is drawn, and little is held out. The folder of the images."""
    few_scenes(monkeypatch)
    monkeypatch.setattr(lines, "HANDS", 20)
    for trial in TRIALS.values():
        monkeypatch.setattr(trial, "drawn", 200)
    monkeypatch.setattr(export, "RANGED", (2, 8))
    for task in (LineTask, FinderTask):
        monkeypatch.setattr(task, "held_batches", (2, 8, 1))
    monkeypatch.setattr(FinderTask, "held_drawn", 100)
    return idx_folder


@pytest.mark.parametrize(("task", "compared"), [("lines", "134 lines"), ("finder", "67 scenes")])
def test_a_run_is_exported_in_half_precision_and_in_8_bits(
    task: str, compared: str, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = TASKS[task].network.settings
    config = settings(data_dir=few, validation=200, epochs=1, strips=24, batch_size=8, device="cpu")
    run = train(config, tmp_path / "run", progress=False, task=TASKS[task]).folder
    assert lab.main(["export", task, str(run)]) == 0
    assert f"log-probabilities of {compared} differ" in capsys.readouterr().out
    file, checksum = OnnxFile(run / "model.onnx"), TRIALS[task].network.load(run)[2]
    assert file.metadata["weights"] == checksum
    assert lab.main(["export", task, str(run), "--int8"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["fp16", "int8"]
    assert (run / "model.int8.onnx").stat().st_size < 0.7 * (run / "model.onnx").stat().st_size
    small = OnnxFile(run / "model.int8.onnx")
    assert small.metadata | {"sha256": ""} == file.metadata | {"sha256": ""}
    if task == "finder":
        pictures = np.random.default_rng(0).random((2, 160, 32), np.float32)
        maps, other = (Finder(path).answer(pictures)[0] for path in (run / "model.onnx", run / "model.int8.onnx"))
        assert np.corrcoef(maps.ravel(), other.ravel())[0, 1] > 0.95
    else:
        strip = {"strip": np.full((1, 1, 32, 77), 0.3, np.float32)}
        exact, rounded = (np.exp(one.run(["emissions"], strip)[0]) for one in (file, small))
        assert np.allclose(exact, rounded, atol=0.1)


def test_a_network_that_is_begun_from_a_file_reads_as_the_file_does() -> None:
    made = lines.Lines(load_mnist("test").part(np.arange(200)), 0, count=20)
    net = begun(NUMBERS.read_bytes(), made.batch(0, 32))
    file, batch = StripRecognizer(NUMBERS), made.batch(1, 64)
    with torch.no_grad():
        said = texts_read(net(batch.image, batch.widths), batch.widths // STEP)
    alone = zip(batch.image.numpy(), batch.widths, strict=True)
    seen = [(torch.from_numpy(file.emissions(one[None, :, :, :wide])), wide[None] // STEP) for one, wide in alone]
    assert np.mean([texts_read(*one) == [text] for one, text in zip(seen, said, strict=True)]) > 0.9
    assert np.mean(list(map(str.__eq__, said, batch.texts()))) > 0.5
