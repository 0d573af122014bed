"""Distributions over numbers, and sums of them: exact, batched, differentiable."""

from sumnist.arithmetic.known import numeral
from sumnist.arithmetic.operands import Integers
from sumnist.arithmetic.sums import Digits, Sum
from sumnist.arithmetic.values import Values

__all__ = ["Digits", "Integers", "Sum", "Values", "numeral"]
