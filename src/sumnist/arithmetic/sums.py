"""Adds independent random numbers: how probable a total is, and how probable each number is, given the total.

    Σ sₖ · Xₖ + constant = total

Each Xₖ is given digit by digit, as dense integers or as a list of candidates; the sₖ are whole numbers. Everything is
exact and batched, and differentiable if the arrays are. A total may be known, be one of several, or be perceived
itself. A perceived total is a distribution: one more operand, on the other side.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic import sumproduct as sp
from sumnist.arithmetic.equation import Equation, MostProbable, Terms, all_totals, most_probable
from sumnist.arithmetic.known import MOST, NOTHING, SAFE, Known, bare, found, narrow, together, whole
from sumnist.errors import NumberError, briefly

Kind = Literal["digits", "ranges", "points"]
"""How an operand enters a sum: digit by digit, as dense integers, or as a list of values."""
TOLERANCE = 1e-3
"""How much more or less than one probabilities may sum to: half precision needs this."""

FACTOR = "the factor of a distribution"


class Added:
    """Gives numbers the operators `+`, `-` and `*`, which make sums."""

    __array_ufunc__ = None
    """NumPy leaves `array + digits` to this class."""

    def _added(self, *terms: tuple[int, Any]) -> Any:
        """The sum of two terms."""
        return Sum(list(terms))

    def __add__(self, other: Any) -> Any:
        return self._added((1, self), (1, other))

    def __radd__(self, other: Any) -> Any:
        return self._added((1, other), (1, self))

    def __sub__(self, other: Any) -> Any:
        return self._added((1, self), (-1, other))

    def __rsub__(self, other: Any) -> Any:
        return self._added((1, other), (-1, self))

    def __mul__(self, factor: int) -> Any:
        return Sum([(factor, self)])

    def __rmul__(self, factor: int) -> Any:
        return self * factor

    def __neg__(self) -> Any:
        return self * -1


class Operand(Added, ABC):
    """A random number that is independent of all others.

    Attributes:
        log_probs: Its log-probabilities `[*batch, n]`, for digits `[*batch, N, base]`; None if it has floats only.
        other: The probability of all values that are not listed.
    """

    log_probs: sp.Array = None
    other: float

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """How it enters a sum."""

    @property
    @abstractmethod
    def support(self) -> Known:
        """For points all values, for a range the least one, for digits zero."""

    @property
    def batch(self) -> tuple[int, ...]:
        """The shape of its batch."""
        if self.log_probs is None:
            return ()
        return tuple(self.log_probs.shape[: -2 if self.kind == "digits" else -1])

    @property
    def beside(self) -> str:
        """The shape of its batch, as `repr` shows it."""
        return f", batch {list(self.batch)}" if self.batch else ""

    @abstractmethod
    def laid(self, reference: sp.Array, rank: int, positions: int) -> sp.Array:
        """Its log-probabilities for a sum, values first: `[n, *batch]`, or `[base, positions, *batch]` for digits."""

    @abstractmethod
    def given(self, log_probs: sp.Array, other: sp.Array | float) -> Any:
        """The operand with new log-probabilities, laid out as by `laid`; `other` `[*batch]` is of unlisted values."""

    @abstractmethod
    def chosen(self, index: NDArray[np.int64]) -> Any:
        """Its values at indices into the array of `laid`."""


def checked(log_probs: sp.Array, axes: tuple[str, ...]) -> sp.Array:
    """`log_probs` `[..., *axes]`. Raises `NumberError` unless its probabilities sum to one along the last axis."""
    shape = f"[..., {', '.join(axes)}]"
    try:
        xp = sp.library(log_probs)
    except TypeError:
        given = briefly(log_probs)
        raise NumberError(f"{given} are no log-probabilities: expected an array {shape} of NumPy or torch") from None
    sizes = log_probs.shape[-len(axes) :]
    if len(sizes) < len(axes) or 0 in sizes or not xp.isdtype(log_probs.dtype, "real floating"):
        given = f"{log_probs.dtype} {list(log_probs.shape)}"
        raise NumberError(f"{given} are no log-probabilities: expected floating-point numbers {shape}")
    rounding = float(xp.finfo(log_probs.dtype).eps)
    tolerance = 4 * rounding if rounding > sp.COARSE else TOLERANCE
    sums = np.exp(np.minimum(sp.host(log_probs), 1)).sum(-1)  # so that nothing overflows
    wrong = sums[~(np.abs(sums - 1) < tolerance)]
    if wrong.size:
        raise NumberError(
            f"Log-probabilities {shape} of probabilities that sum to {wrong[0]:.6g}: expected a sum of one along the "
            "last axis; of a network's outputs, take log_softmax"
        )
    return log_probs


def generator(random: Any) -> np.random.Generator:
    """A generator of random numbers, from a seed or a generator. Raises `NumberError`."""
    if isinstance(random, np.random.Generator):
        return random
    return np.random.default_rng(None if random is None else whole(random, "a seed", 0))


def possible(log_prob: sp.Array, what: str) -> None:
    """Raises `NumberError` if a log-probability `[...]` is −inf; the message names the entry of the batch."""
    wrong = np.argwhere(sp.host(log_prob) == sp.IMPOSSIBLE)
    if len(wrong):
        where = f" in entry {wrong[0].tolist()} of the batch" if wrong.shape[1] else ""
        raise NumberError(f"{what} is impossible{where}: expected one whose log_prob is more than −inf")


class Integers(Operand):
    """A distribution over `first`, `first` + 1, …, `last`.

    `+`, `-` and `*` with whole numbers, and `+` and `-` of two `Integers`, give the distribution of the result at once.
    Operands are independent, so `a + a` is the sum of two draws, and not `2 * a`. With digits or candidates they make a
    `Sum`. `Sum.of(a, b)` keeps two ranges apart, so that a total says something about each.

    Args:
        log_probs: `[..., n]`, of NumPy or torch.
        first: The least number.

    Raises:
        NumberError: `log_probs` are not log-probabilities.

    Examples:
        >>> import numpy as np
        >>> die = Integers(np.log([1 / 6] * 6), first=1)
        >>> (die + die).mode, (2 * die).mode
        (7, 2)
        >>> float(np.exp((die + die).log_prob(3)).round(4)), float(np.exp((2 * die).log_prob(3)))
        (0.0556, 0.0)
    """

    kind: Kind = "ranges"
    other = 0.0

    def __init__(self, log_probs: sp.Array, first: int = 0) -> None:
        self.log_probs, self.first = checked(log_probs, ("n",)), whole(first, "the least number")

    @classmethod
    def made(cls, laid: sp.Array, first: int) -> Integers:
        """Make one of log-probabilities `[n, *batch]` without a check; they may be lower bounds."""
        new = cls.__new__(cls)
        new.log_probs, new.first = sp.batch_first(laid), first
        return new

    def __repr__(self) -> str:
        return f"Integers({self.first}..{self.last}{self.beside})"

    @property
    def last(self) -> int:
        """The greatest number."""
        return self.first + int(self.log_probs.shape[-1]) - 1

    # As an operand.

    @property
    def support(self) -> Known:
        """The least number."""
        return Known.of(self.first)

    def laid(self, reference: sp.Array = None, rank: int | None = None, positions: int = 0) -> sp.Array:
        """Log-probabilities `[n, *batch]`."""
        return sp.values_first(self.log_probs, len(self.batch) if rank is None else rank)

    def given(self, log_probs: sp.Array, other: sp.Array | float = 0.0) -> Integers:
        """The same numbers with log-probabilities `[n, *batch]`."""
        return Integers.made(log_probs, self.first)

    def chosen(self, index: NDArray[np.int64]) -> Any:
        """The numbers at indices."""
        return bare(narrow(np.asarray(index.astype(object) + self.first)))

    # Its properties.

    def log_prob(self, value: Any) -> sp.Array:
        """The log-probability of an integer, or of an array of them that fits the batch; −inf out of the range."""
        known = Known.of(value)
        if known.places:
            raise NumberError(f"{value} was asked for: expected whole numbers")
        index = found(range(self.first, self.last + 1), known.units)
        rank = max(index.ndim, len(self.batch))
        index = index.reshape((1,) * (rank - index.ndim + 1) + index.shape)
        return sp.picked(self.laid(rank=rank), index)[0]

    @property
    def mode(self) -> Any:
        """The most probable number `[...]`, the least of them if there are several."""
        return self.chosen(np.asarray(sp.best(sp.host(self.laid()))))

    @property
    def mean(self) -> sp.Array:
        """The mean `[...]`."""
        return sp.library(self.log_probs).sum(self.probabilities * self.steps, axis=-1) + self.first

    @property
    def variance(self) -> sp.Array:
        """The variance `[...]`."""
        away = self.steps - (self.mean - self.first)[..., None]
        return sp.library(self.log_probs).sum(self.probabilities * away * away, axis=-1)

    @property
    def entropy(self) -> sp.Array:
        """The entropy `[...]`, in nats."""
        xp, x = sp.library(self.log_probs), self.log_probs
        return -xp.sum(xp.exp(x) * xp.where(x == sp.IMPOSSIBLE, xp.zeros_like(x), x), axis=-1)

    @property
    def probabilities(self) -> sp.Array:
        """The probabilities `[..., n]`."""
        return sp.library(self.log_probs).exp(self.log_probs)

    @property
    def steps(self) -> sp.Array:
        """How far each number is from the first: `[n]`."""
        return sp.like(self.log_probs, np.arange(self.log_probs.shape[-1], dtype=np.float64))

    def sample(self, count: int, random: Any = None) -> NDArray[Any]:
        """Independent draws `[count, ...]`; `random` is a seed or a generator of NumPy."""
        return np.asarray(Sum.of(self).sample(count, random=random).values[0])

    def condition(self, allowed: Iterable[int]) -> Integers:
        """The distribution, given that the number is in `allowed`. Raises `NumberError` if that is impossible."""
        try:
            total = allowed if isinstance(allowed, range) else set(allowed)
        except TypeError:
            raise NumberError(f"{briefly(allowed)} was given as the numbers allowed: expected a set of them") from None
        possible(Sum.of(self).log_prob(total), "Each of the numbers allowed")
        conditioned: Integers = Sum.of(self).posterior(total)[0]
        return conditioned

    # Sums.

    def __mul__(self, factor: int) -> Integers:
        step, count = whole(factor, FACTOR), int(self.log_probs.shape[-1])
        if not step:
            return Integers.made(sp.log_sum(self.laid())[None], 0)
        sp.limited(1 + abs(step) * (count - 1), "Sums of digits or ranges", "multiply them by smaller numbers")
        index = np.full(1 + abs(step) * (count - 1), -1)
        index[:: abs(step)] = np.arange(count)[:: 1 if step > 0 else -1]
        return Integers.made(sp.take(self.laid(), index), min(step * self.first, step * self.last))

    def _added(self, *terms: tuple[int, Any]) -> Any:
        (sign, one), (other_sign, two) = terms if terms[0][1] is self else terms[::-1]
        if one is self and sign == 1 and isinstance(two, int | np.integer) and not isinstance(two, bool):
            return Integers.made(self.laid(), self.first + other_sign * int(two))
        total = Sum(list(terms))
        known = all(isinstance(one, Integers | int | np.integer) for _, one in terms)
        return total.totals() if known else total


# Sums.

ANY: Any = object()
"""Stands for a total about which nothing is known."""


@dataclass(frozen=True)
class Assignment:
    """A value for each operand of a sum.

    Attributes:
        values: For each operand its values `[...]`, or its digits `[..., N]`; those of a perceived total come last.
        log_prob: The log-probability of all of them together, `[...]`.
    """

    values: tuple[Any, ...]
    log_prob: NDArray[np.float64]


class Sum(Added):
    """A sum of independent operands, each times a whole number, and of known numbers.

    `a + b - 3 * c + 47` makes a sum of digits, dense integers, candidate lists and known numbers. `+` adds two ranges,
    or two candidate lists, at once; `Sum.of` keeps them apart, so that a total says something about each.

    Args:
        terms: Factors with operands, other sums, or known numbers: integers, Decimals or arrays of them. All batches
            must fit together.

    Attributes:
        operands: Its operands in their order.
        steps: The factor of each.
        constant: The known numbers, added up.

    Raises:
        NumberError: An operand is of the wrong type, or operands do not fit together.

    Examples:
        >>> import numpy as np
        >>> from sumnist.arithmetic.sums import Digits
        >>> any_digit = Digits(np.log(np.full((1, 10), 0.1)))
        >>> float(np.exp((any_digit + any_digit + 5).log_prob(23)).round(6))  # both are nine
        0.01
    """

    def __init__(self, terms: list[tuple[int, Any]]) -> None:
        self.steps: list[int] = []
        self.operands: list[Operand] = []
        self.constant = NOTHING
        try:
            pairs = [(factor, given) for factor, given in terms]
        except (TypeError, ValueError):
            raise NumberError(f"{briefly(terms)} are no terms: expected pairs of a factor and an operand") from None
        for factor, given in pairs:
            step = whole(factor, FACTOR)
            one = getattr(given, "values", given) if not isinstance(given, Operand) else given
            if isinstance(given, Sum):
                self.steps += [step * inner for inner in given.steps]
                self.operands += given.operands
                self.constant = self.constant.plus(given.constant, step)
            elif isinstance(one, Operand):
                self.steps.append(step)
                self.operands.append(one)
            else:
                self.constant = self.constant.plus(Known.of(given), step)
        if 0 in self.steps:
            raise NumberError("An operand is multiplied by 0: expected another whole number; leave the operand out")

    @classmethod
    def of(cls, *operands: Any) -> Sum:
        """The sum of operands, other sums and known numbers, each kept apart. Raises `NumberError`."""
        return cls([(1, one) for one in operands])

    def __repr__(self) -> str:
        terms = [f"{step} * {one!r}" for step, one in zip(self.steps, self.operands, strict=True)]
        known = [] if self.constant is NOTHING else [str(self.constant.numbers)]
        return f"Sum({' + '.join(terms + known)})"

    # Questions.

    def log_prob(self, total: Any) -> sp.Array:
        """The log-probability of a total.

        Args:
            total: An integer or Decimal; an array of integers of any size that fits the batch (`known.numeral` makes
                them from digits); a set or range that contains the total; or, for a perceived total, another operand
                or sum.

        Returns:
            `[...]`, −inf where the total is impossible.

        Raises:
            NumberError: The total makes no sense; or an operand has unlisted values (`Values.other`), so that only
                bounds are known; or there would be too many partial sums of candidates.
        """
        if many := transformed(self, total):
            return many[0]
        question = Question(self, total)
        question.exact()
        return question.equation(sp.LOG_SUM).log_prob()

    def log_bounds(self, total: Any) -> tuple[sp.Array, sp.Array]:
        """The least and the greatest log-probability that a total may have, whatever the unlisted values are.

        The two are equal if no operand has unlisted values. Arguments and errors are those of `log_prob`.
        """
        question = Question(self, total)
        least = question.equation(sp.LOG_SUM).log_prob()
        return least, question.with_unknown(least)

    def posterior(self, total: Any) -> tuple[Any, ...]:
        """The distribution of each operand, given the total.

        If an operand has unlisted values, all probabilities are lower bounds, with a sum below one. Each may be greater
        by the difference, which is the `other` of `Values`.

        Args:
            total: As in `log_prob`.

        Returns:
            For each operand, its distribution: log-probabilities `[..., N, base]` for digits, each digit by itself;
            `Integers` for dense integers; `Values` for candidates, in an array if there is a batch. A perceived total
            comes last.

        Raises:
            NumberError: The total is impossible, or as in `log_prob`.
        """
        if (many := transformed(self, total)) and many[1]:
            return many[1]
        question = Question(self, total)
        equation = question.equation(sp.LOG_SUM)
        least = equation.log_prob()
        most = question.with_unknown(least)
        possible(most, "The total")
        left = equation.backward()

        def of(operand: Operand, kind: Kind, index: int) -> Any:
            share = sp.normalised(getattr(question.terms, kind)[index][1] + left[kind][index])
            share = share[:, None] if question.single else share
            if not question.unknown:
                return operand.given(share, 0.0)
            unknown = 1 - sp.library(most).exp(least - most)
            return operand.given(share + (least - most), unknown)

        return tuple(of(*place) for place in question.places)

    def explanation(self, total: Any) -> Assignment:
        """The most probable values of all operands together, given the total.

        If several explanations are equally probable, the lists have the least sum. Then the digits have the least sum
        in the most significant column, then in the next one, and so on; within a column, the digit of the first operand
        is the least. Unlisted values are ignored.

        Args:
            total: As in `log_prob`.

        Raises:
            NumberError: The total is impossible, or as in `log_prob`.
        """
        question = Question(self, total)
        equation = question.equation(sp.LOG_MAX)
        possible(equation.log_prob(), "The total")
        return question.assignment(equation, sp.best, question.batch)

    def sample(self, count: int, total: Any = None, random: Any = None) -> Assignment:
        """Independent draws of all operands together.

        Args:
            count: How many.
            total: As in `log_prob`, if it is known; all draws then have this total.
            random: A seed, or a generator of NumPy.

        Returns:
            Values `[count, ...]`.

        Raises:
            NumberError: The total is impossible, or as in `log_prob`.
        """
        count, choose = whole(count, "a count of draws", 0), sp.draws(generator(random))
        question = Question(self, ANY if total is None else total, more=1)
        question.exact()
        values = count * math.prod(question.batch) * len(question.places)
        sp.limited(values, "Values that are drawn", "draw fewer at once, or in several calls")
        batch = (count, *question.batch[1:])
        if total is None:
            return question.assignment(None, choose, batch)
        equation = question.equation(sp.LOG_SUM)
        possible(equation.log_prob()[0], "The total")
        return question.assignment(equation, choose, batch)

    def totals(self) -> Integers:
        """The distribution of all totals, if they are whole numbers and not too many.

        Raises:
            NumberError: There are more than `sumproduct.STATES` totals, decimals, a known number for each entry of the
                batch, or unlisted values.
        """
        question = Question(self, ANY)
        question.exact()
        if question.decimals or question.target.size != 1:
            raise NumberError("All totals are asked for, of decimals or with an array added: expected whole numbers")
        first, x = all_totals(question.terms)
        return Integers.made(x, first - int(question.target.item()))

    def most_probable_total(self) -> MostProbable:
        """The most probable total, which need not be the sum of the most probable numbers.

        Returns:
            The total with its log-probability, and a bound. If the bound is no greater, the total is `certain`.

        Raises:
            NumberError: There are decimals beside digits, or as in `log_prob`.
        """
        question = Question(self, ANY)
        if question.decimals and question.terms.digits:
            raise NumberError("The most probable total of digits and decimals is asked for: expected whole numbers")
        found = most_probable(question.terms)
        total = Known(narrow(np.asarray(found.total - question.target)), question.decimals)
        return MostProbable(total.numbers, found.log_prob, question.with_unknown(found.bound))


def transformed(asked: Sum, total: Any) -> tuple[sp.Array, tuple[sp.Array, ...]] | None:
    """The log-probability of a known total of many single digits without a batch, and the digits given it, by
    `sumproduct.given_total`. None for other sums, or if this is not precise; no digits if only they are not."""
    count, like = len(asked.operands), asked.operands[0].log_probs if asked.operands else None
    total = total.item() if isinstance(total, np.ndarray | np.generic) and not total.ndim else total
    if type(total) is not int or asked.constant is not NOTHING:
        return None
    if count < sp.TRANSFORMED or {*asked.steps} != {1} or {type(one) for one in asked.operands} != {Digits}:
        return None
    arrays = [one.log_probs for one in asked.operands]
    (_, _, shape), *others = {(type(x), x.dtype, x.shape) for x in arrays}
    if others or len(shape) > 2 or shape[0] > 1 or not 0 <= total < count * shape[1]:
        return None
    if any(getattr(x, "requires_grad", False) for x in arrays):
        return None
    scores = np.stack([sp.host(x) for x in arrays], 1, dtype=np.float64)
    (log_prob,), (posterior,), (least,) = sp.given_total(scores, np.array([float(total)]))
    if np.isnan(log_prob):
        return None
    return sp.like(like, np.asarray(log_prob)), tuple(
        sp.like(like, posterior)[:, None]
    ) if least > sp.TRANSFORM.likely else ()


class Question:
    """A sum and the knowledge of its total, with terms on one side and known numbers on the other.

    Args:
        asked: The sum.
        total: As in `Sum.log_prob`; `ANY` if nothing is known about it.
        more: How many axes are put before the batch.

    Attributes:
        terms: All terms.
        places: Each operand with its kind and its index among the terms of that kind.
        target: The sum of the terms, `[*batch]`, in units of 10^−`decimals`.
        batch: The shape of the batch.
        unknown: The probability that an operand has an unlisted value.
        single: Whether all operands are single digits; they are then added as ranges, without carries.
    """

    def __init__(self, asked: Sum, total: Any, more: int = 0) -> None:
        if total is None:
            raise NumberError("None was asked about: expected a total, such as 12; `totals` needs none")
        allowed = allowed_of(total) if isinstance(total, set | frozenset | range) else None
        perceived = isinstance(total, Added | Operand) or isinstance(getattr(total, "values", None), Operand)
        both = Sum([(1, asked), (-1, total)]) if perceived else asked
        known = NOTHING if perceived or allowed or total is ANY else Known.of(total)
        target = known.plus(both.constant, -1)
        for step, one in zip(both.steps, both.operands, strict=True):
            target = target.plus(one.support, -step) if one.kind == "ranges" else target
        supports = [one.support for one in both.operands if one.kind == "points"] + ([allowed] if allowed else [])
        self.decimals = max([target.places, *(support.places for support in supports)])
        self.target = target.at(self.decimals)
        alone = together([both.constant.units.shape, *(one.batch for one in both.operands)])
        if known.units.shape == (*alone, 1) and math.prod(alone) > 1:
            raise NumberError(
                f"Totals {list(known.units.shape)} are asked about of a batch of {list(alone)}: expected one for each, "
                f"{list(alone)}; take totals[..., 0]"
            )
        self.batch = (1,) * more + together([self.target.shape, alone])
        rank = len(self.batch)
        self.target = self.target.reshape((1,) * (rank - self.target.ndim) + self.target.shape)
        self.terms, self.places = Terms(unit=10**self.decimals), []
        reference, positions = common(both.operands, rank)
        xp, dtype = sp.library(reference), reference.dtype
        laid = [xp.astype(one.laid(reference, rank, positions), dtype, copy=False) for one in both.operands]
        self.single = positions == 1 and not allowed and all(one.kind == "digits" for one in both.operands)
        for step, one, x in zip(both.steps, both.operands, laid, strict=True):
            kind: Kind = "ranges" if self.single else one.kind
            terms: list[Any] = getattr(self.terms, kind)
            self.places.append((one, kind, len(terms)))
            places = narrow(step * one.support.at(self.decimals)) if kind == "points" else step
            terms.append((places, x[:, 0] if self.single else x))
            self.terms.lengths += [one.log_probs.shape[-2]] if kind == "digits" else []
        if allowed:
            x = sp.like(reference, np.zeros((len(allowed.units), *(1 for _ in self.batch))))
            self.terms.points.append((narrow(-allowed.at(self.decimals)), x))
        self.unknown = 1 - math.prod(1 - one.other for one in both.operands)

    def exact(self) -> None:
        """Raises `NumberError` if an operand has unlisted values."""
        if self.unknown:
            raise NumberError(
                f"With a probability of {self.unknown:.3g} a number is none of its candidates: expected lists of all "
                "values; spread what is left over a range (`Values.spread`), or ask for bounds (`log_bounds`)"
            )

    def with_unknown(self, log_prob: sp.Array) -> sp.Array:
        """A log-probability with the probability of all unlisted values added."""
        if not self.unknown:
            return log_prob
        return sp.library(log_prob).logaddexp(log_prob, sp.like(log_prob, np.log(np.asarray(self.unknown))))

    def equation(self, ring: sp.Ring) -> Equation:
        """The equation to solve."""
        return Equation(self.terms, self.target, ring)

    def assignment(self, equation: Equation | None, choose: sp.Choose, batch: tuple[int, ...]) -> Assignment:
        """Choose a value of each operand; if there is an equation, they make it true."""
        chosen = equation.split(choose, batch) if equation else None
        values, log_prob = [], np.zeros(batch)
        for operand, kind, place in self.places:
            x = sp.host(getattr(self.terms, kind)[place][1])
            if chosen:
                index = chosen[kind][place]
            else:
                index = choose(np.broadcast_to(x, (*x.shape[: x.ndim - len(batch)], *batch)))
            found = sp.picked(x, index[None])[0]
            log_prob = log_prob + (found.sum(0) if kind == "digits" else found)
            values.append(operand.chosen(index[None] if self.single else index))
        return Assignment(tuple(values), log_prob)


def allowed_of(totals: set[Any] | frozenset[Any] | range) -> Known:
    """The allowed totals from a set or range. Raises `NumberError` for none or too many."""
    if isinstance(totals, range):
        count = max(0, -((totals.start - totals.stop) // totals.step))
        ends = [totals.start, totals.stop, totals.step]
    else:
        count, ends = len(totals), []
    if not count:
        raise NumberError("No total is allowed: expected one at least")
    sp.limited(count, "Totals that are allowed", "allow fewer", MOST)
    known = Known.of(np.arange(*ends) if ends and max(map(abs, ends)) < SAFE else list(totals))
    return Known(np.unique(known.units), known.places)


def common(operands: list[Operand], rank: int) -> tuple[sp.Array, int]:
    """An array with the library, device and type of all operands, and the number of positions of their digits.

    Raises:
        NumberError: Operands differ in library, device or base, or there are none.
    """
    arrays = [one.log_probs for one in operands if one.log_probs is not None]
    bases = sorted({one.log_probs.shape[-1] for one in operands if one.kind == "digits"})
    if not operands:
        raise NumberError("A sum of known numbers only was asked about: expected a number that is not known")
    if len(bases) > 1:
        raise NumberError(f"Digits of bases {bases} are added: expected one base")
    if not arrays:
        return np.zeros((1,) * (rank + 1)), 0
    libraries = sorted({f"{sp.library(one).__name__.rpartition('.')[2]} on {sp.device_of(one)}" for one in arrays})
    if len(libraries) > 1:
        raise NumberError(f"Arrays of {' and '.join(libraries)} are added: expected all of one library on one device")
    xp = sp.library(arrays[0])
    dtype = xp.result_type(*arrays)
    dtype = dtype if float(xp.finfo(dtype).eps) < sp.COARSE else xp.float32
    reference = xp.zeros((1,) * (rank + 1), dtype=dtype, device=sp.device_of(arrays[0]))
    return reference, max([one.log_probs.shape[-2] for one in operands if one.kind == "digits"], default=0)


class Digits(Operand):
    """A positional number of N digits, which are independent of each other.

    `+`, `-` and `*` with anything make a `Sum`. Its operands are independent draws: `a + a` adds two numbers with the
    same distribution, and is not `2 * a`.

    Args:
        log_probs: `[..., N, base]`, of NumPy or torch, the most significant digit first; any base from 2 on.

    Raises:
        NumberError: `log_probs` are not log-probabilities.

    Examples:
        >>> import numpy as np
        >>> any_digit = Digits(np.log(np.full((1, 10), 0.1)))
        >>> float(np.exp((any_digit + any_digit).log_prob(1)).round(6)), float(np.exp((2 * any_digit).log_prob(1)))
        (0.02, 0.0)
    """

    kind: Kind = "digits"
    support = NOTHING
    other = 0.0

    def __init__(self, log_probs: sp.Array) -> None:
        self.log_probs = checked(log_probs, ("N", "base"))
        if self.base < 2:
            raise NumberError(
                f"Log-probabilities {list(log_probs.shape)}: expected [..., N, base] and a base from 2 on"
            )

    def __repr__(self) -> str:
        return f"Digits({self.length} of base {self.base}{self.beside})"

    @property
    def base(self) -> int:
        """The base: how many values a digit may have."""
        return int(self.log_probs.shape[-1])

    @property
    def length(self) -> int:
        """The number of digits, N."""
        return int(self.log_probs.shape[-2])

    def laid(self, reference: sp.Array, rank: int, positions: int) -> sp.Array:
        """As an operand: `[base, positions, *batch]`, the least significant position first. Digits above the number are
        zero."""
        xp, x = sp.library(self.log_probs), self.log_probs
        x = xp.reshape(x, (*(1 for _ in range(rank - len(self.batch))), *x.shape))
        x = xp.permute_dims(xp.flip(x, axis=rank), (rank + 1, rank, *range(rank)))
        if positions > self.length:
            zero = np.where(np.arange(self.base) == 0, 0.0, sp.IMPOSSIBLE).reshape(-1, *(1 for _ in range(rank + 1)))
            above = (self.base, positions - self.length, *x.shape[2:])
            x = xp.concat([x, xp.broadcast_to(sp.like(x, zero), above)], axis=1)
        return x

    def given(self, log_probs: sp.Array, other: sp.Array | float) -> sp.Array:
        """The digits given the total, `[..., N, base]`: the distribution of each digit by itself. Together they are no
        longer independent."""
        xp = sp.library(log_probs)
        x = xp.flip(log_probs[:, : self.length], axis=1)
        return xp.permute_dims(x, (*range(2, x.ndim), 1, 0))

    def chosen(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """As an operand: digits `[..., N]`, the most significant first."""
        return np.moveaxis(index[: self.length][::-1], 0, -1)
