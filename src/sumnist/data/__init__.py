"""The data that networks are trained and measured on: images, digits, numbers and sums."""
