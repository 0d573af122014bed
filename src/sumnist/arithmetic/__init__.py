"""Computes exactly with distributions over numbers: their sums, batched and differentiable."""

from sumnist.arithmetic.known import numeral
from sumnist.arithmetic.sums import Digits, Integers, Sum
from sumnist.arithmetic.values import Values

__all__ = ["Digits", "Integers", "Sum", "Values", "numeral"]
