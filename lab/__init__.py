"""The laboratory: what only makes evidence, pages or packaged networks. It runs from a clone: `python -m lab`."""

import sys
from pathlib import Path

_PLACES = ("tests", "web")  # the drivers of pages, and the page without a server
sys.path += [str(Path(__file__).resolve().parents[1] / place) for place in _PLACES]
