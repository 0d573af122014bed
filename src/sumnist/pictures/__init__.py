"""Any picture → image: `normalize.see` is the way in. NumPy and Pillow only."""
