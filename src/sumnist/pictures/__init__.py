"""Any picture → images that may be its digit: `proposals.rounds` is the way in. NumPy and Pillow only."""
