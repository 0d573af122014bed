"""Benchmarks of speed, memory and growth."""
