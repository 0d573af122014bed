"""The network of two inputs and two outputs, its loss, and its file."""
