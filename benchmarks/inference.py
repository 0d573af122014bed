"""How fast the packaged network answers: as a reader (ONNX Runtime, fp32 and int8), in torch (eager and compiled)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sumnist.data.mnist import load_mnist
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import Reader
from sumnist.lab.suites.photographs import photograph
from sumnist.model.network import TwoInputNet
from sumnist.training.export import export_run, grid_accuracy

ROUNDS = 5
CALLS = 500
BATCHES = (1, 4, 16, 64, 256, 1024)
SECONDS = 0.4
"""Of each measurement of throughput."""
FIVE = Path(__file__).resolve().parent.parent / "examples/five.png"

Answer = Callable[[NDArray[np.uint8], int], object]


@cache
def int8_model() -> Path:
    """The packaged network in int8."""
    return export_run(PRETRAINED, Path(tempfile.mkdtemp()) / "model.int8.onnx", int8=True).path


def torch_network(compiled: bool) -> Any:
    """The packaged network in torch."""
    torch.set_num_threads(1)
    net = TwoInputNet.from_pretrained().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return torch.compile(net, dynamic=False) if compiled else net


def in_torch(net: Any) -> Answer:
    """What a user of torch writes to read an array."""

    def answer(pixels: NDArray[np.uint8], number: int) -> object:
        with torch.inference_mode():
            digit, total = net(torch.from_numpy(pixels)[None, None].float().div_(255), torch.tensor([number]))
            return int(digit.argmax()), int(total.argmax()), digit.exp().tolist()

    return answer


def latency() -> Iterator[dict[str, Any]]:
    """One array of 28×28 uint8 in, an answer out, on one thread: the median and the 99th percentile of each round."""
    images = load_mnist("test").images
    answers: dict[str, Answer] = {
        "Reader": Reader().read, "Reader, int8": Reader(int8_model()).read,
        "torch": in_torch(torch_network(False)), "torch.compile": in_torch(torch_network(True)),
    }  # fmt: skip
    for answer in answers.values():
        for image in images[:100]:
            answer(image, 7)
    for turn in range(ROUNDS):
        for name, answer in answers.items():
            times = timed(answer, images[turn * CALLS : (turn + 1) * CALLS])
            yield {"name": name, "round": turn, "calls": CALLS, "p50": float(np.quantile(times, 0.5)),
                   "p99": float(np.quantile(times, 0.99))}  # fmt: skip


def pictures() -> Iterator[dict[str, Any]]:
    """A picture file in, an answer out, on one thread: from a drawing to what a telephone takes."""
    ink = load_mnist("train").images[0]
    drawing = Image.fromarray(255 - np.kron(np.pad(ink, 6), np.ones((7, 7), np.uint8)))
    taken = Image.open(BytesIO(photograph(ink)))
    files = {
        "28×28 array": ink,
        "PNG of 280×280": encoded(drawing, "PNG"),
        f"JPEG of {taken.width}×{taken.height}": encoded(taken, "JPEG"),
        "JPEG of 12 megapixels": encoded(taken.resize((4000, 3000), Image.Resampling.BICUBIC), "JPEG"),
    }
    reader = Reader()
    for turn in range(ROUNDS):
        for name, picture in files.items():
            yield {"name": name, "round": turn, "p50": float(np.median(timed(reader.read, 20 * [picture])))}


def timed(answer: Callable[[Any, int], object], pictures: Iterable[Any]) -> list[float]:
    """The seconds that each picture takes, one after the other."""
    times = []
    for picture in pictures:
        began = time.perf_counter()
        answer(picture, 7)
        times.append(time.perf_counter() - began)
    return times


def encoded(picture: Image.Image, kind: str) -> bytes:
    """The picture as a file."""
    stream = BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def throughput() -> Iterator[dict[str, Any]]:
    """Images a second through the network alone, by batch size and threads."""
    images = load_mnist("test").images[: max(BATCHES), None].astype(np.float32) / np.float32(255)
    number = np.zeros(len(images), np.int64)
    onnx = {
        (name, threads): OnnxNetwork(path, threads)
        for name, path in (("ONNX Runtime", PRETRAINED / ONNX), ("ONNX Runtime, int8", int8_model()))
        for threads in (1, 2)
    }
    nets = {"torch": torch_network(False), "torch.compile": torch_network(True)}
    for batch in BATCHES:
        runs: dict[tuple[str, int], Callable[[], object]] = {}
        for key, network in onnx.items():
            runs[key] = lambda network=network, batch=batch: network(images[:batch], number[:batch])  # type: ignore[misc]
        given = torch.from_numpy(images[:batch]), torch.from_numpy(number[:batch])
        for name, net in nets.items():
            for threads in (1, 2):
                runs[name, threads] = lambda net=net, given=given: net(*given)  # type: ignore[misc]
        for turn in range(3):
            for (name, threads), run in runs.items():
                torch.set_num_threads(threads)
                yield {"name": name, "threads": threads, "batch": batch, "round": turn,
                       "images_per_second": batch * rate(run)}  # fmt: skip


@torch.inference_mode()
def rate(run: Callable[[], object]) -> float:
    """Calls a second."""
    run()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        run()
        calls += 1
    return calls / (time.perf_counter() - began)


def readings() -> Iterator[dict[str, Any]]:
    """Readings a second from a list of 10,000 arrays, on two threads."""
    images = list(load_mnist("test").images)
    numbers = list(np.arange(len(images)) % 10)
    readers = {"Reader": Reader(threads=2), "Reader, int8": Reader(int8_model(), threads=2)}
    for turn in range(ROUNDS):
        for name, reader in readers.items():
            began = time.perf_counter()
            reader.read(images, numbers)
            yield {"name": name, "round": turn, "readings_per_second": len(images) / (time.perf_counter() - began)}


def size() -> Iterator[dict[str, Any]]:
    """Bytes, and accuracy on the grid."""
    test = load_mnist("test")
    for name, path in (("fp32", PRETRAINED / ONNX), ("int8", int8_model())):
        digit, total = grid_accuracy(OnnxNetwork(path), test)
        yield {"name": name, "bytes": path.stat().st_size, "digit": digit, "sum": total}


def cold_start() -> Iterator[dict[str, Any]]:
    """A command from start to end and the most memory it held, beside Python doing nothing and importing torch."""
    python = sys.executable
    commands = {
        "sumnist predict five.png --number 7": [python, "-m", "sumnist", "predict", str(FIVE), "--number", "7"],
        "python -c pass": [python, "-c", "pass"],
        "python -c 'import torch'": [python, "-c", "import torch"],
    }
    for turn in range(10):
        for name, command in commands.items():
            began, peak = time.perf_counter(), 0
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while process.poll() is None:
                peak = max(peak, peak_of(process.pid))
                time.sleep(0.002)
            assert process.returncode == 0
            yield {"name": name, "round": turn, "seconds": time.perf_counter() - began, "peak_bytes": peak}


def peak_of(pid: int) -> int:
    """The most memory that a process has held so far; 0 once it has gone. What `wait4` tells includes its parent's."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
