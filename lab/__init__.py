"""The laboratory: what only makes evidence, pages or packaged networks. It runs from a clone: `python -m lab`."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(_ROOT / place) for place in ("tests", "web")]  # the drivers of pages, and the page without a server
