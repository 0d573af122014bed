"""PP-OCRv6 as a recognizer: against the package that brings its network, and on pictures whose text is known."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ctc_oracle import aligned, best_texts
from sumnist.errors import RunError
from sumnist.inference.numbers import Line, OcrRecognizer

Grey = NDArray[np.float32]

HIGH = 48
"""Pixels of the pictures' height, that which the network takes."""


@pytest.fixture(scope="session")
def recognizer() -> OcrRecognizer:
    if find_spec("rapidocr") is None:
        pytest.skip("rapidocr is not installed")
    return OcrRecognizer()


def printed(text: str, scale: int = 1) -> Grey:
    """Light print on black, `scale` times as high as the network takes it."""
    font = ImageFont.truetype(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 34 * scale)
    canvas = Image.new("L", (round(font.getlength(text)) + 16 * scale, HIGH * scale))
    ImageDraw.Draw(canvas).text((8 * scale, 3 * scale), text, 255, font)
    return (np.asarray(canvas) / 255).astype(np.float32)


def text_of(line: Line) -> str:
    """The most probable text."""
    return best_texts(line.emissions, 1, (0, None))[0][0]


AS_THE_PACKAGE_READS = """
import json, sys
import numpy as np
from rapidocr import RapidOCR

engine = RapidOCR(params={"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": 1})
read = [engine(np.load(path), use_det=False, use_cls=False, use_rec=True) for path in sys.argv[1:]]
print(json.dumps([(one.txts[0], one.scores[0]) for one in read]))
"""


def test_clean_print_is_read_as_the_package_itself_reads_it_and_as_surely(
    recognizer: OcrRecognizer, tmp_path: Path
) -> None:
    for text, parted in (("15366=", "15366-"), ("4720—", "4720-"), ("1·265", "1.265")):
        assert text_of(recognizer.line(printed(text))) == parted  # what closes or parts an amount is a separator
    texts = ["4,096.50", "1-2-3", "70", "31415926535897932384"]
    for text in texts:
        dark_on_light = np.rint(255 * (1 - printed(text))).astype(np.uint8)
        np.save(tmp_path / f"{text}.npy", np.repeat(dark_on_light[:, :, None], 3, 2))
    command = [sys.executable, "-c", AS_THE_PACKAGE_READS, *(str(tmp_path / f"{text}.npy") for text in texts)]
    expected = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for text, line, (said, score) in zip(
        texts, recognizer.lines([printed(text) for text in texts]), expected, strict=True
    ):
        most = line.emissions.argmax(1)
        assert text_of(line) == said == text
        assert np.exp(line.emissions.max(1))[most > 0].mean() == pytest.approx(score, abs=1e-3)


def test_steps_tell_where_the_digits_stand(recognizer: OcrRecognizer) -> None:
    picture = printed("2 0 4 6 8")
    ink = np.flatnonzero(np.diff((picture.max(0) > 0.5).astype(int))).reshape(-1, 2).mean(1)  # the middle of each digit
    line = recognizer.line(picture)
    middles = line.step * (np.array(list(aligned(line.emissions, "20468"))).mean(1) + 0.5)
    assert np.abs(middles - ink).max() < 12  # half the distance to the next one is 16


@pytest.mark.parametrize(
    ("text", "foreign"),
    [*((word, True) for word in ("November", "WITHOUT", "Gruß")),
     *((number, False) for number in ("", "7", "12.50", "3,000-", "SO", "B"))],
)  # fmt: skip
def test_a_word_is_foreign_and_numbers_and_what_looks_like_one_are_not(
    recognizer: OcrRecognizer, text: str, foreign: bool
) -> None:
    line = recognizer.line(printed(text))
    assert line.foreign > 0.95 if foreign else line.foreign < 0.05
    assert text or text_of(line) == ""


def test_another_version_of_the_package_and_a_damaged_file_are_errors_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rapidocr", raising=False)
    (tmp_path / "rapidocr/models").mkdir(parents=True)
    (tmp_path / "rapidocr/__init__.py").write_text("raise AssertionError('imported')")
    file = tmp_path / "rapidocr/models/PP-OCRv6_rec_small.onnx"
    message = "the installed rapidocr has another network, expected PP-OCRv6: pip install"
    with pytest.raises(RunError, match=f"^{re.escape(str(file))}: no such file: {message}"):
        OcrRecognizer()
    file.write_bytes(b"no network")
    with pytest.raises(RunError, match=r"not a whole ONNX file \(.*\): install rapidocr again, with --force-"):
        OcrRecognizer()
