"""Train, calibrate, evaluate and export networks."""
