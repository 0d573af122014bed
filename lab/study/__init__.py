"""The study of designs: trains many networks for the same task in the same way, and compares them."""
