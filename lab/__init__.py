"""The laboratory: what only makes evidence, pages or packaged networks. It runs from a clone: `python -m lab`."""
