"""Readings: exact sums of any whole number, learned sums of 0..9, lists, and what happens to everything else."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sumnist.config import Fusion, preset
from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError, NumberError, RunError
from sumnist.files import PRETRAINED
from sumnist.inference.onnx import OnnxNetwork
from sumnist.inference.reader import Reader, Reading
from sumnist.model.checkpoint import save_network
from sumnist.model.network import TwoInputNet, load_network

PIXELS = load_mnist("test").images[:300]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[Fusion, Path]:
    """Run folders with untrained networks."""
    folders: dict[Fusion, Path] = {}
    for fusion in ("exact", "concat"):
        folders[fusion] = tmp_path_factory.mktemp(fusion)
        config = preset("tiny", fusion=fusion)
        (folders[fusion] / "config.json").write_text(config.to_json())
        torch.manual_seed(0)
        save_network(TwoInputNet.from_config(config), folders[fusion])
    return folders


@pytest.fixture(scope="module")
def exact(runs: dict[Fusion, Path]) -> Reader:
    return Reader(runs["exact"])


@pytest.fixture(scope="module")
def learned(runs: dict[Fusion, Path]) -> Reader:
    return Reader(str(runs["concat"]))


def network_says(folder: Path, pixels: Any, number: int) -> tuple[list[float], list[float]]:
    """Probabilities of digit and sum, straight from the network."""
    net, _ = load_network(folder)
    with torch.no_grad():
        digit, total = net(torch.tensor(pixels / 255, dtype=torch.float32)[None, None], torch.tensor([number]))
    return digit[0].double().exp().tolist(), total[0].double().exp().tolist()


@pytest.mark.parametrize("number", range(0, 10, 3))
def test_the_exact_reading_agrees_with_the_networks_own_sums_and_the_learned_one_is_its_answer(
    exact: Reader, learned: Reader, runs: dict[Fusion, Path], number: int
) -> None:
    exact_sums, learned_sums = range(number, number + 10), range(19)
    for reader, run, sums in ((exact, runs["exact"], exact_sums), (learned, runs["concat"], learned_sums)):
        digit, total = network_says(run, PIXELS[1], number)
        reading = reader.read(PIXELS[1], number)
        assert (reading.sums, reading.accepted, reading.reason) == (sums, True, None)
        assert reading.digit_probabilities == pytest.approx(digit)
        assert reading.sum_probabilities == pytest.approx([total[one] for one in sums])
        assert (reading.digit, reading.sum) == (int(np.argmax(digit)), int(np.argmax(total)))
        assert (reading.confidence, reading.sum_confidence) == pytest.approx((max(digit), max(total)))


@pytest.mark.parametrize("number", [1000, -7, 0, 10**30, np.int64(12), np.uint8(255), np.array(5)])
def test_an_exact_reading_adds_any_whole_number(exact: Reader, number: Any) -> None:
    reading = exact.read(PIXELS[0], number)
    whole = int(number)
    assert type(reading.number) is int
    assert reading.number == whole
    assert list(reading.sums) == [whole + digit for digit in range(10)]
    assert reading.sum == reading.digit + whole
    assert reading.sum_probabilities == reading.digit_probabilities == exact.read(PIXELS[0], 3).digit_probabilities
    assert reading.sum_confidence == reading.confidence == max(reading.digit_probabilities)


def test_lists_give_lists_equal_to_single_readings(learned: Reader, exact: Reader) -> None:
    pictures, numbers = list(PIXELS[:5]), [3, 0, 9, 9, 1]
    for reader in (learned, exact):
        alone = [reader.read(picture, number) for picture, number in zip(pictures, numbers, strict=True)]
        for together in (reader.read(pictures, numbers), reader.read(tuple(pictures), np.array(numbers))):
            assert [(r.digit, r.sum, r.number) for r in together] == [(r.digit, r.sum, r.number) for r in alone]
            for one, other in zip(together, alone, strict=True):
                assert one.sum_probabilities == pytest.approx(other.sum_probabilities, abs=1e-6)
    assert exact.read([], 3) == []
    assert exact.read([], []) == []
    assert [reading.number for reading in exact.read(pictures, 77)] == [77] * 5


@pytest.mark.parametrize("number", [7.0, "7", None, True, [1], np.bool_(True), np.float32(2)])
def test_what_is_no_whole_number_is_refused_and_by_a_learned_fusion_what_it_did_not_learn(
    exact: Reader, learned: Reader, number: Any
) -> None:
    for reader, expected in ((exact, "a whole number"), (learned, "a whole number from 0 to 9")):
        with pytest.raises(NumberError) as caught:
            reader.read(PIXELS[0], number)
        assert str(caught.value) == f"number {number!r}: expected {expected}, such as 7"
    for unknown in (10, -1):
        with pytest.raises(NumberError, match=rf"^number {unknown}: expected a whole number from 0 to 9: this model"):
            learned.read([PIXELS[0], PIXELS[1]], [3, unknown])


def test_a_list_with_a_bad_picture_has_no_readings_but_read_each_has_those_of_the_others(exact: Reader) -> None:
    pictures, numbers = [PIXELS[0], np.zeros((28, 28), bool), PIXELS[1], PIXELS[2]], [1, 2, 3, "x"]
    with pytest.raises(ImageError, match=r"^picture 2: "):
        exact.read(pictures, 1)
    results = exact.read_each(pictures, numbers)  # type: ignore[arg-type]  # x is the bad number
    assert [type(result) for result in results] == [Reading, ImageError, Reading, NumberError]
    assert [str(result).partition(":")[0] for result in results[1::2]] == ["picture 2", "number 'x'"]
    for result, place in ((results[0], 0), (results[2], 2)):
        assert isinstance(result, Reading)
        single = exact.read(pictures[place], result.number)
        assert (result.digit, result.sum, result.number) == (single.digit, single.sum, numbers[place])
        assert result.digit_probabilities == pytest.approx(single.digit_probabilities, abs=1e-6)


def test_known_ink_is_looked_for_in_every_picture_be_it_an_image_already(exact: Reader) -> None:
    for pixels in PIXELS[:5]:
        light = exact.read(pixels, 3)
        assert exact.read(pixels, 3, "light") == light
        assert exact.read(255 - pixels, 3, "dark").digit_probabilities == pytest.approx(light.digit_probabilities)
        wrong = [exact.read(pixels, 3, "dark"), *exact.read([pixels], 3, "dark"), exact.read(255 - pixels, 3, "light")]
        assert [(reading.accepted, reading.how) for reading in wrong] == [(False, None)] * 3


def test_an_answer_that_is_no_number_is_an_error_and_never_accepted(
    runs: dict[Fusion, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reader in (Reader(runs["exact"]), Reader(runs["concat"])):
        spoiled = reader.network.answer(np.zeros((1, 1, 28, 28), np.float32), np.array([3]))
        (spoiled.digit if spoiled.sum is None else spoiled.sum)[:, 1] = np.nan
        monkeypatch.setattr(reader.network, "answer", lambda *_, said=spoiled: said)
        with pytest.raises(RunError, match=r"^the network answers with what is no number: train it again"):
            reader.read(PIXELS[0], 3)


def test_a_blank_picture_is_not_accepted_and_every_digit_is_as_probable(exact: Reader, learned: Reader) -> None:
    for reader in (exact, learned):
        for reading in (reader.read(np.full((50, 60), 255, np.uint8), 4), reader.read([np.zeros((28, 28))], 4)[0]):
            assert (reading.accepted, reading.reason) == (False, "blank")
            assert reading.digit_probabilities == pytest.approx([0.1] * 10)
            assert dict(zip(reading.sums, reading.sum_probabilities, strict=True)) == pytest.approx(
                {s: 0.1 if 4 <= s <= 13 else 0.0 for s in reading.sums}
            )
            assert reading.image is not None
            assert not reading.image.any()


FORKS = """
import os, signal, sys
from sumnist.inference.reader import load

reader, picture = load(sys.argv[1], int(sys.argv[2])), sys.argv[3]
expected = reader.read(picture, 7)
children = []
for _ in range(int(sys.argv[4])):
    children.append(os.fork())
    if children[-1] == 0:
        signal.alarm(60)  # a child that hangs is ended by this, with a status that is not 0
        sys.exit(0 if reader.read(picture, 7).digit == expected.digit else 3)
    assert reader.read(picture, 7).digit == expected.digit
print(*{os.waitpid(child, 0)[1] for child in children})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize(
    ("model", "threads", "forks"),
    [("packaged", 2, 3), pytest.param("run", 2, 3, marks=pytest.mark.long)],
)  # fmt: skip
def test_forked_children_can_read_and_end(
    runs: dict[Fusion, Path], tmp_path: Path, model: str, threads: int, forks: int
) -> None:
    picture = tmp_path / "seven.png"
    Image.fromarray(255 - np.pad(np.kron(PIXELS[0], np.ones((20, 20), np.uint8)), 100)).save(picture)
    place = PRETRAINED if model == "packaged" else runs["exact"]
    command = [sys.executable, "-c", FORKS, str(place), str(threads), str(picture), str(forks)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split() == ["0"]


def test_a_pickled_reader_answers_alike_when_the_file_of_the_original_is_gone(
    runs: dict[Fusion, Path], tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes((PRETRAINED / "model.onnx").read_bytes())
    packaged = Reader(model, threads=2)
    model.unlink()
    for reader in (packaged, Reader(runs["exact"]), Reader(runs["concat"])):
        again = pickle.loads(pickle.dumps(reader))
        assert again.network is not reader.network
        assert again.read(list(PIXELS[:5]), 3) == reader.read(list(PIXELS[:5]), 3)
        assert (again.exact, again.network.least_confidence) == (reader.exact, reader.network.least_confidence)
    assert isinstance(packaged.network, OnnxNetwork)
    assert pickle.loads(pickle.dumps(packaged)).network.threads == 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="a system that does not tell its threads")
def test_a_reader_has_no_thread_of_its_own_that_reports_to_anybody() -> None:
    code = "import os, sumnist; sumnist.load(); print(len(os.listdir('/proc/self/task')))"
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout == "1\n"
