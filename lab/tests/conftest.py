"""What the laboratory's tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lab.recipes import glyphs, pens, scenes
from sumnist.data.pen_digits import pen_paths


@pytest.fixture(scope="session")
def few_scenes() -> Callable[[pytest.MonkeyPatch], None]:
    """Has few characters drawn for training scenes, and these be small."""
    every, known, _ = pen_paths()
    some = np.concatenate([np.flatnonzero(known == digit)[:10] for digit in range(10)])
    few = [every[place] for place in some], known[some], np.tile(np.arange(10), 10)  # one of each by each of ten

    def patched(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(glyphs, "pen_paths", lambda: few)
        patch.setattr(scenes, "DRAWN_DIGITS", 100)
        patch.setattr(scenes, "SIZES", (((64, 96), 0.5), ((48, 64), 0.5)))
        patch.setattr(pens, "SIGN_COUNTS", dict.fromkeys(pens.SIGN_COUNTS, 5))

    return patched
