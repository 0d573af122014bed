"""What a reader meets outside MNIST: corrupted images, other people's digits, photographs, and what is no digit."""
