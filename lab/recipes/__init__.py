"""The recipes of the packaged networks: what they learn from, how they are trained, calibrated and exported."""
