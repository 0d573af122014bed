"""Measure how fast pictures of digits are read by the packaged network: as a reader (ONNX Runtime, fp32 and int8), in
torch (eager and compiled), and as a command. torch is imported late, because its memory would count as that of the
reader.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import sumnist
from lab.benchmarks.timing import SUMNIST, Row, alternating, seconds_each, status_of
from lab.suites.photographs import photograph
from sumnist.data.mnist import load_mnist
from sumnist.files import PRETRAINED
from sumnist.inference.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, CALLS = 5, 500
LARGE = 4000, 3000
"""Pixels of a picture of twelve megapixels."""

Answer = Callable[[NDArray[np.uint8]], object]


@cache
def int8_model() -> Path:
    """Export the packaged network in int8, and return its path."""
    return sumnist.export(PRETRAINED, Path(tempfile.mkdtemp()) / "model.int8.onnx", int8=True).path


def torch_network(compiled: bool) -> Any:
    """Load the packaged network in torch, and compile it if `compiled`."""
    import torch

    torch.set_num_threads(1)
    net = sumnist.TwoInputNet.from_pretrained().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return torch.compile(net, dynamic=False) if compiled else net


def in_torch(net: Any) -> Answer:
    """Return a function that reads an array, as a user of torch would write it."""
    import torch

    def answer(pixels: NDArray[np.uint8]) -> object:
        with torch.inference_mode():
            digit, total = net(torch.from_numpy(pixels)[None, None].float().div_(255), torch.tensor([7]))
            return int(digit.argmax()), int(total.argmax()), digit.exp().tolist()

    return answer


def latency() -> Iterator[Row]:
    """Read one 28×28 uint8 array at a time, on one thread: the median and the 99th percentile of each round."""
    images = load_mnist("test").images

    def case(answer: Answer, turn: int) -> Row:
        times = seconds_each(answer, images[turn * CALLS : (turn + 1) * CALLS] if turn >= 0 else images[:100])
        return {"calls": CALLS, "p50": float(np.quantile(times, 0.5)), "p99": float(np.quantile(times, 0.99))}

    answers: dict[str, Answer] = {
        "Reader": partial(Reader().read, number=7), "Reader, int8": partial(Reader(int8_model()).read, number=7),
        "torch": in_torch(torch_network(False)), "torch.compile": in_torch(torch_network(True)),
    }  # fmt: skip
    return alternating({name: partial(case, answer) for name, answer in answers.items()}, ROUNDS, warm=1)


def encoded(picture: Image.Image, kind: str) -> bytes:
    """Encode a picture as a file."""
    stream = BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def pictures() -> Iterator[Row]:
    """Read one picture file at a time, on one thread: from a drawing to what a telephone takes."""
    ink, reader = load_mnist("train").images[0], Reader()
    taken = Image.open(BytesIO(photograph(ink)))
    drawing = Image.fromarray(255 - np.kron(np.pad(ink, 6), np.ones((7, 7), np.uint8)))
    files: dict[str, Any] = {
        "28×28 array": ink, "PNG of 280×280": encoded(drawing, "PNG"),
        f"JPEG of {taken.width}×{taken.height}": encoded(taken, "JPEG"),
        "JPEG of 12 megapixels": encoded(taken.resize(LARGE, Image.Resampling.BICUBIC), "JPEG"),
    }  # fmt: skip
    read = partial(reader.read, number=7)
    cases = {name: lambda _, file=file: {"p50": float(np.median(seconds_each(read, 20 * [file])))}
             for name, file in files.items()}  # fmt: skip
    return alternating(cases, ROUNDS)


def cold_start() -> Iterator[Row]:
    """Time commands from start to end, with the most memory that they held; also Python doing nothing, and importing
    torch."""

    def case(command: list[str], _: int) -> Row:
        began, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, status_of(process.pid, "VmHWM"))  # `wait4` would include the memory of its parent
            time.sleep(0.002)
        assert process.returncode == 0
        return {"seconds": time.perf_counter() - began, "peak_bytes": peak}

    with tempfile.TemporaryDirectory() as place:
        training = [*SUMNIST, "train", "--preset", "fast", "--validation", "0", "--overwrite", "--out", f"{place}/run"]
        yield from alternating({
            "sumnist predict five.png --number 7":
                partial(case, [*SUMNIST, "predict", str(ROOT / "examples/five.png"), "--number", "7"]),
            "sumnist train --preset fast --validation 0": partial(case, training),
            "python -c pass": partial(case, [sys.executable, "-c", "pass"]),
            "python -c 'import torch'": partial(case, [sys.executable, "-c", "import torch"]),
        }, 10)  # fmt: skip
