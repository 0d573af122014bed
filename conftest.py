"""What the tests share: small data sets in IDX folders, a small run on disk, the API in this process, the page."""

from __future__ import annotations

import os
import random
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that wait for each other turn on cores that others need
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from numpy.typing import NDArray

from sumnist.config import Training, preset
from sumnist.data.mnist import FILES, DigitSet, load_mnist

if TYPE_CHECKING:  # the tests of other things do without these, and so does the process that only hands out tests
    from playwright.sync_api import Browser, ConsoleMessage, Page
    from starlette.testclient import TestClient

    from served import Server
    from sumnist.inference.reader import Reader
    from sumnist.serve.reading import Load


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every", type=int, default=1, help="run every so many-th test only: a sample")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = items[:: config.getoption("--every")]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore it


@pytest.fixture(autouse=True)
def _chance_begins_anew(_one_thread: None) -> None:
    """What a test draws without a generator of its own does not depend on the tests before it."""
    import torch

    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write `array` as the IDX format has it, independently of the package's own reader."""
    header = b"\0\0\x08" + bytes([array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture(scope="session")
def mnist_train() -> DigitSet:
    return load_mnist("train")


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory: pytest.TempPathFactory, mnist_train: DigitSet) -> Path:
    """1,000 training and 200 test images, all out of MNIST's training set, as the four files of an IDX folder."""
    folder = tmp_path_factory.mktemp("idx")
    for split, part in (("train", slice(0, 1000)), ("test", slice(1000, 1200))):
        write_idx(folder / FILES[f"x_{split}"], mnist_train.images[part])
        write_idx(folder / FILES[f"y_{split}"], mnist_train.digits[part].astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def small_config(idx_folder: Path) -> Training:
    """A training of a second: the tiny network on `idx_folder`, with validation."""
    return preset("tiny", data_dir=idx_folder, validation=200, epochs=2, batch_size=64, threads=1, device="cpu")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, small_config: Training) -> Path:
    """The folder of a finished run; not to be changed."""
    from sumnist.training.loop import train

    folder = tmp_path_factory.mktemp("runs") / "small"
    train(small_config, folder, progress=False)
    return folder


# The API.


@pytest.fixture(scope="session")
def reader() -> Reader:
    from sumnist.inference.reader import Reader

    return Reader()


@pytest.fixture(scope="module")
def with_settings() -> Iterator[Callable[..., TestClient]]:
    """A client of a server with these settings and one process that reads, with the readers that `load` gives. One for
    all tests of a module that ask for the same readers by the same name."""
    from starlette.testclient import TestClient

    from sumnist.serve.app import create_app
    from sumnist.serve.settings import Settings

    with ExitStack() as clients:

        @cache
        def make(load: Load | None = None, **changed: Any) -> TestClient:
            return clients.enter_context(TestClient(create_app(Settings(**{"workers": 1} | changed), load)))

        yield make


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    from starlette.testclient import TestClient

    from sumnist.serve.app import create_app
    from sumnist.serve.settings import Settings

    with TestClient(create_app(Settings())) as found:
        yield found


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    """A real server, with one process that reads."""
    from served import Server

    found = Server("--workers", "1", "--receive-seconds", "5", "--reading-seconds", "60")
    yield found
    assert found.end() == (0, "")  # and nothing is logged


# The page.


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server that may take its time."""
    from page_driver import served

    with served("serve", "--port", "0", "--workers", "1", "--reading-seconds", "60") as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect

    from page_checks import need
    from page_driver import CHROMIUM, chromium

    need(CHROMIUM, "apt-get install chromium")
    expect.set_options(timeout=20_000)  # a busy machine takes its time
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, server: str) -> Iterator[Page]:
    """The page, in a browser with the settings in the parameter, if there is one. In the end nothing was requested of
    any other host, no script had failed, and nothing was refused by the content security policy."""
    requested: list[str] = []
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    settings = {"viewport": {"width": 1280, "height": 800}} | getattr(request, "param", {})
    with browser.new_context(**settings) as context:
        context.on("request", lambda request: requested.append(request.url))
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server)
        yield page
    assert requested
    assert [url for url in requested if not url.startswith(f"{server.removesuffix('/')}/")] == []
    assert wrong == []
