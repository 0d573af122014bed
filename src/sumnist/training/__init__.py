"""Train, calibrate, evaluate and export networks; several processes can share one training."""
