"""Any picture → images that may be its digit; begin with `proposals.wholes`. NumPy and Pillow only."""
