"""Test pictures from outside MNIST: corrupted images, other people's digits, photographs, and pictures of no digit."""
