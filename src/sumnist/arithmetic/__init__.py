"""Distributions over numbers, and sums of them."""
