"""Any picture → images that may be its digit: `proposals.wholes` is the way in. NumPy and Pillow only."""
