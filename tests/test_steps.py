"""The strip of what was done to a picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sumnist.cli import main
from sumnist.data.mnist import load_mnist
from sumnist.errors import ImageError
from sumnist.pictures.normalize import see
from sumnist.pictures.steps import GAP, SIDE, as_png, steps
from sumnist.suites.photographs import photograph

IMAGE = load_mnist("test").images[0]


def test_the_last_panel_is_what_the_network_sees() -> None:
    picture = photograph(IMAGE, seed=3)
    strip = np.asarray(steps(picture))
    left = GAP + 4 * (SIDE + GAP)
    last = strip[GAP : GAP + SIDE, left : left + SIDE].reshape(28, SIDE // 28, 28, SIDE // 28)
    assert np.abs(last.mean((1, 3)) - see(picture).image * 255).max() <= 1


@pytest.mark.parametrize("picture", [IMAGE, np.full((50, 80), 200, np.uint8), photograph(None, 1)])
def test_every_picture_has_a_strip(picture: np.ndarray | bytes) -> None:
    assert steps(picture).size == (GAP + 5 * (SIDE + GAP), SIDE + 2 * GAP + 16)
    with pytest.raises(ImageError):
        steps(b"none")


def test_strips_go_below_each_other_into_a_png() -> None:
    strip = steps(IMAGE)
    sheet = Image.open(BytesIO(as_png([strip, strip])))
    assert (sheet.format, sheet.size) == ("PNG", (strip.width, 2 * strip.height))


def test_the_command_writes_the_strips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "seven.jpg").write_bytes(photograph(IMAGE, seed=3))
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    out = tmp_path / "steps.png"
    words = [str(tmp_path / "seven.jpg"), str(tmp_path / "blank.png"), "--number", "7", "--show", str(out)]
    assert main(["predict", *words]) == 0
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'blank.png'}: not accepted, blank" in printed
    with Image.open(out) as sheet:
        assert sheet.height == 2 * steps(IMAGE).height
