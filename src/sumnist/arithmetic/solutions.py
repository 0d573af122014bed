"""Parses equations with pictures and unknowns, and finds which numbers make them true, with exact probabilities.

    a.png + "another one.png" - 47 = 1_3

An equation has terms with + or - between them, and one =, all separated by spaces. A term is one of

    47      a whole number, perhaps with a sign before it;
    1_3     a pattern: each `_` is one unknown digit, and a leading one may be zero;
    _       one unknown number, perhaps negative;
    a.png   a picture: every word that has other characters than digits and `_`, and everything in quotes.

If a decimal sign is given, numbers and patterns may have decimals. The same picture twice is the same number, counted
twice. Every `_` is an unknown of its own.

Without the equation, all digits are equally probable in the place of a `_`, and so are all numbers in the place of a
`_` alone. The numbers on pictures are independent draws from the distributions that were read. The step s_k of a number
is how often it counts, with all terms on the left side. P(x | Σ s_k x_k = 0) is then exact, given that each picture
shows one of its candidates.

Combinations in which each picture shows a candidate have the weight

    L = Σ P(x), over all x of candidates, and of fillings of the patterns, with Σ s_k x_k = 0,

and all other combinations that make the equation true have at most the weight

    X = Σ_k o_k min(M R_k, N R_k − S_k) + M P(two or more show no candidate).

o_k is `other` of picture k. R_k is the probability that all other pictures show candidates. N is the number of ways to
fill the patterns, and at most M of these make the same sum. S_k is the weight of the combinations of the others for
which a candidate of k makes the equation true, so that k can show nothing else. (A picture with the step zero adds o_k
times the weight of the others.) Given the equation, each picture shows one of its candidates with a probability of at
least L / (L + X).

The terms are dealt to two sides. The program matches partial sums of both sides that together make the total, and
weighs each side's sums by the other's. On the way back, every term gets its posterior. So the number of states is about
the square root of the number of combinations. A term that is alone on its side is looked up, not listed: a pattern may
have hundreds of unknown digits.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Number
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic import sumproduct as sp
from sumnist.arithmetic.equation import Equation, Terms
from sumnist.arithmetic.known import narrow, points_of, whole
from sumnist.arithmetic.values import Value, Values, plain
from sumnist.errors import ConfigError, EquationError, NumberError, SumnistError, briefly

SIGNS = {"+": 1, "-": -1, "−": -1, "=": 0}
"""The factor of the term that follows each sign."""
LONGEST = 600
"""The most digits of a number before, and behind, the decimal sign: sums stay within the 4,300 digits that Python
writes and reads."""
TERM = "a picture, a number or _"
EXAMPLE = '"five.png + _ = 12"'
FILLINGS = 10**5
"""The most numbers of a pattern that are listed: less than a second of work."""
FORMAT = 1
"""The version of the form of `Solution.as_dict`."""
LEAST_OTHER = 1e-6
"""A message does not mention an `other` that is smaller: nobody would believe it, or it is a rounding error."""
CLEAR = 0.99
"""A picture clearly shows a number if the reading is accepted and at least this probable."""
CONTRADICTED = 0.5
"""An equation contradicts clear numbers if at least this many of them, on average, would have to be misread."""
MANY = 1e300
"""The limit of counts of possibilities."""


@dataclass(frozen=True)
class Anything:
    """Every whole number; each has the weight one."""

    size = math.inf

    def weight(self, value: int) -> float:
        """The log-weight of a value."""
        return 0.0

    def values(self) -> NDArray[Any]:
        """Raise `NumberError`: all whole numbers cannot be listed."""
        raise NumberError("two numbers that may be anything, expected at most one in an equation: give the other one")


class Blanks(NamedTuple):
    """All numbers that fit the pattern `text`, with a digit for each `_`; the last `places` digits are decimals. Each
    number has the weight one."""

    text: str
    places: int

    @property
    def size(self) -> float:
        """How many numbers fit the pattern."""
        return int(10 ** self.text.count("_"))

    def weight(self, value: int) -> float:
        """The log-weight of a value in units of the last place, −∞ if it does not fit the pattern."""
        fits = re.fullmatch(self.text.replace("_", "[0-9]"), f"{value:0{len(self.text)}}")
        return 0.0 if fits else sp.IMPOSSIBLE

    def values(self) -> NDArray[Any]:
        """All numbers that fit, ascending. Raises `NumberError` if there are more than `FILLINGS`."""
        if self.size > FILLINGS:
            raise NumberError(
                f"a pattern would be filled in more than {FILLINGS:,} ways, expected fewer unknown digits beside other "
                "unknowns: write more of the digits that are known"
            )
        values = np.array([int(self.text.replace("_", "0"))], object)
        for place, character in enumerate(reversed(self.text)):
            if character == "_":
                values = np.add.outer(np.array([digit * 10**place for digit in range(10)], object), values).ravel()
        return narrow(values)


class Listed(NamedTuple):
    """A few values with their log-weights."""

    weights: Mapping[int, float]

    @property
    def size(self) -> float:
        """How many values are listed."""
        return len(self.weights)

    def weight(self, value: int) -> float:
        """The log-weight of a value, −∞ if it is not listed."""
        return self.weights.get(value, sp.IMPOSSIBLE)

    def values(self) -> NDArray[Any]:
        """All listed values, ascending."""
        return narrow(np.array(sorted(self.weights), object))


class Unread(NamedTuple):
    """A picture of a number that is not read yet."""

    picture: Any


class Term(NamedTuple):
    """A term of a query.

    Attributes:
        place: Which word of the query it is, from 1 on.
        text: How it is written.
        step: The factor of the term when all terms are brought to the left side: 1 or −1.
        content: What the term stands for: a whole number or `Decimal`; `Blanks`; `Anything`; `Values`, or a reading
            with `values`; or `Unread`.
        key: Terms with equal keys are the same number.
    """

    place: int
    text: str
    step: int
    content: Any
    key: Hashable


class Query:
    """An equation, whose pictures have yet to be read.

    Args:
        words: The words of the equation. Text is a sign (`+`, `-` or `=`), a number, a pattern, `_` or a path. Other
            words are whole numbers, `Decimal`, readings or `Values`. Any other object counts as a picture.
        decimal: The decimal sign of numbers that are text, "." or ","; None if they are whole.

    Attributes:
        text: The equation as text.
        terms: Its terms.

    Raises:
        ConfigError: The words are not an equation, or leave nothing to solve.
        NumberError: A number is too long, or of a kind that cannot be added.
    """

    def __init__(self, words: Sequence[Any], decimal: str | None = None) -> None:
        if not isinstance(words, Sequence) or isinstance(words, str | bytes | range):
            raise ConfigError(f"{briefly(words)} is no query: expected a list of words, such as {EXAMPLE}: write one")
        if not words:
            raise ConfigError(f"an empty query: expected an equation, such as {EXAMPLE}: write one")
        if not (decimal is None or (isinstance(decimal, str) and len(decimal) == 1)):
            raise ConfigError(f"{briefly(decimal)} is no decimal sign: expected . or , or None: write one of them")
        self.decimal = decimal
        self.shown = [shown(word, place, self) for place, word in enumerate(words, 1)]
        self.text = " ".join(self.shown)
        self.terms = tuple(self.parsed(words))
        bare = [term for term in self.terms if isinstance(term.content, Anything)]
        if len(bare) > 1:
            raise self.wrong(
                bare[1].place, "one _ alone at most", "write a _ for each digit, such as __, or 0_ for one digit"
            )
        if all(isinstance(term.content, Value) for term in self.terms):
            verdict = "false" if sum(term.step * Fraction(term.content) for term in self.terms) else "true"
            raise self.wrong(None, "a picture or a _ in it", f"it is {verdict}, and there is nothing to solve")

    @property
    def pictures(self) -> dict[Hashable, Term]:
        """The terms with pictures that have to be read, each picture once, by their keys."""
        found: dict[Hashable, Term] = {}
        for term in self.terms:
            if isinstance(term.content, Unread):
                found.setdefault(term.key, term)
        return found

    def parsed(self, words: Iterable[Any]) -> list[Term]:
        """Parse the words into terms."""
        terms: list[Term] = []
        side = sign = 1
        begins = expects = True  # a side begins; a term is expected
        for place, word in enumerate(words, 1):
            given = word if isinstance(word, str) else ""
            if given == "=":
                if expects:
                    raise self.wrong(place, f"{TERM} before it", "write what is equal")
                if side < 0:
                    raise self.wrong(place, "one = alone", "leave out what is from the second one on")
                side, sign, begins, expects = -1, 1, True, True
            elif given in SIGNS:
                if expects and not (begins and SIGNS[given] < 0):
                    raise self.wrong(place, TERM, "leave this sign out")
                sign, begins, expects = SIGNS[given], False, True
            elif not expects:
                raise self.wrong(place, "+, - or = between two terms", "write one, or quote a path with spaces")
            else:
                key: Hashable = id(word)
                content = self.content(place, word)
                if isinstance(content, Value | Blanks | Anything):
                    key = "word", place
                elif isinstance(word, str | os.PathLike):
                    key = os.path.realpath(word)
                terms.append(Term(place, self.shown[place - 1], side * sign, content, key))
                begins = expects = False
        if expects:
            raise self.wrong(len(self.shown), f"{TERM} after it", "write what is equal")
        if side > 0:
            glued = [place for place, word in enumerate(self.shown, 1) if "=" in word]
            if glued:
                raise self.wrong(glued[0], "a space on each side of the =", "write them")
            raise self.wrong(None, "one = in it", f"write what is equal, such as {EXAMPLE}")
        return terms

    def content(self, place: int, word: Any) -> Any:
        """The content of the term for a word."""
        if "\0" in self.shown[place - 1]:
            raise self.wrong(place, TERM, "leave the character NUL out")
        if isinstance(word, str):
            return self.written(place, word)
        if isinstance(values := getattr(word, "values", word), Values):
            for value in values.probabilities:
                self.check_length(place, value)
            return word
        if isinstance(word, Number):
            number = word if isinstance(word, Decimal) else integer_of(word)
            if number is not None:
                return self.check_length(place, number)
            raise self.wrong(place, "a whole number or a Decimal", "write 5, or Decimal('5.5')", NumberError)
        return Unread(word)

    def written(self, place: int, word: str) -> Any:
        """The content of the term for a word that is text."""
        if word == "_":
            return Anything()
        if (parts := self.parts(word)) is None:
            return Unread(word)
        sign, digits, decimals = parts
        if max(len(digits), len(decimals)) > LONGEST:
            raise self.too_long(place)
        if "_" not in digits + decimals:
            return Decimal(f"{sign}{digits}.{decimals}") if decimals else int(sign + digits)
        if sign:
            raise self.wrong(place, "a space between the sign and unknown digits", "write one")
        return Blanks(digits + decimals, len(decimals))

    def parts(self, word: str) -> tuple[str, str, str] | None:
        """The sign, the digits and the decimals of a number or pattern; None if the word is neither."""
        decimals = rf"(?:{re.escape(self.decimal)}([0-9_]+))?" if self.decimal else "()"
        found = re.fullmatch(rf"([+-]?)([0-9_]+){decimals}", word)
        return found and (found[1], found[2], found[3] or "")

    def check_length(self, place: int, number: Value) -> Value:
        """The number itself. Raises `NumberError` if it is too long."""
        if isinstance(number, int):
            if abs(number) < 10**LONGEST:
                return number
        elif number.is_finite() and number.adjusted() < LONGEST and int(number.as_tuple().exponent) >= -LONGEST:
            return number
        raise self.too_long(place)

    def too_long(self, place: int) -> SumnistError:
        """The error to raise for a number that is too long."""
        expected = f"at most {LONGEST} digits before and behind the decimal sign"
        return self.wrong(place, expected, "shorten the number", NumberError)

    def wrong(
        self, place: int | None, expected: str, mend: str, kind: type[SumnistError] = ConfigError
    ) -> SumnistError:
        """The error to raise for the query, or for the word at a place."""
        where = "" if place is None else f": word {place}, {brief(self.shown[place - 1])}"
        return kind(f"{self.near(place or 1)}{where}: expected {expected}: {mend}")

    def near(self, place: int = 1, reach: int = 5) -> str:
        """The words around the one at a place, `reach` on each side."""
        start, end = max(0, place - 1 - reach), place + reach
        words = " ".join(brief(word) for word in self.shown[start:end])
        return f"{'… ' if start else ''}{words}{' …' if end < len(self.shown) else ''}"

    def filled(self, values: Mapping[Hashable, int | str | None]) -> str:
        """The equation as text, with `values` in place of its terms. The values are given by the terms' keys."""
        words = self.shown.copy()
        for term in self.terms:
            words[term.place - 1] = str(values.get(term.key, term.text))
        return " ".join(words)


def words_of(text: str) -> list[Any]:
    """Split a query into words; quoted text becomes a path. Raises `ConfigError` for a quote that is not closed."""
    words: list[Any] = []
    for found in re.finditer(r"""(["'])(.*?)\1(?=\s|$)|(\S+)""", text):
        if found[3] and found[3][0] in "\"'":
            quote = found[3][0]
            raise ConfigError(
                f"{brief(text)}: expected a second {quote} at the end of the path: write it, then a space"
            )
        words.append(found[3] or Path(found[2]))
    return words


def shown(word: Any, place: int, query: Query) -> str:
    """A word in the form in which the text of the query shows it."""
    if isinstance(word, str | Path):
        text = str(word)
        is_path = isinstance(word, Path) and (text in {*SIGNS, "_"} or query.parts(text) is not None)
        quote = "'" if '"' in text else '"'
        return f"{quote}{text}{quote}" if is_path or not text or re.search(r"\s", text) else text
    if isinstance(getattr(word, "values", word), Values):
        return f"reading {place}"
    if isinstance(word, Number):
        number = integer_of(word)
        return "a longer number" if number is not None and abs(number) >= 10**LONGEST else str(word)
    return f"picture {place}"


def integer_of(number: Any) -> int | None:
    """A whole number as Python's integer; None if it is not a whole number."""
    try:
        return None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        return None


def brief(word: str, most: int = 60) -> str:
    """A word, without its middle if it has more than `most` characters."""
    return word if len(word) <= most else f"{word[: most // 2]}…{word[-most // 2 :]}"


Domain = Listed | Blanks | Anything


class Solved:
    """The posterior of independent numbers with a known sum.

    Args:
        terms: For each number, its factor, which may be zero, and the values that it may have.
        total: The sum.

    Attributes:
        log_weight: The log-weight of all combinations that make the total; −∞ if there are none.
        best: The log-weight of the most probable of these combinations.

    Raises:
        NumberError: There are too many partial sums.
    """

    def __init__(self, terms: Sequence[tuple[int, Domain]], total: int) -> None:
        first, second = dealt([domain.size for _, domain in terms])
        self.order, self.values, self.terms = [*first, *second], list[NDArray[Any]](), Terms()
        points = self.terms.points
        for place in self.order:
            step, domain = terms[place]
            if second == [place] and step:  # alone on its side: only the values that complete the total
                rests = total - points_of(sp.Chain([moves for moves, _ in points[::-1]]).support).astype(object)
                fitting = rests[(rests % step == 0).astype(bool)] // step
                values = narrow(fitting if len(fitting) else np.zeros(1, object))
            else:
                values = domain.values()
            self.values.append(values)
            own = np.array([domain.weight(value) for value in values.tolist()])
            points.append((narrow(np.asarray(step * values.astype(object))), own))
        target = narrow(np.array(total, object))
        self.all, self.most = (Equation(self.terms, target, ring, len(first)) for ring in (sp.LOG_SUM, sp.LOG_MAX))
        self.log_weight, self.best = float(self.all.log_prob()), float(self.most.log_prob())

    def posterior(self) -> list[dict[int, float]]:
        """For each term, its values that can make the total, each with the log-weight of all combinations with it."""
        found: dict[int, dict[int, float]] = {}
        for index, left in enumerate(self.all.backward()["points"]):
            weights = sp.normalised(self.terms.points[index][1] + left) + self.log_weight
            pairs = zip(self.values[index].tolist(), weights.tolist(), strict=True)
            found[self.order[index]] = {value: weight for value, weight in pairs if weight > sp.IMPOSSIBLE}
        return [found[place] for place in range(len(found))]

    def most_probable(self) -> list[int]:
        """The most probable combination that makes the total: a value of each term."""
        chosen = zip(self.order, self.values, self.most.split(sp.best, ())["points"], strict=True)
        return [value for _, value in sorted((place, int(values[index])) for place, values, index in chosen)]


def dealt(sizes: Sequence[float]) -> tuple[list[int], list[int]]:
    """Deal terms, by their places, to two sides with about equally many combinations. The largest term is on the second
    side."""
    sides: tuple[list[int], list[int]] = [], []
    loads = [0.0, 0.0]
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        side = 1 if not sides[1] or loads[1] < loads[0] else 0
        sides[side].append(place)
        loads[side] += math.log(sizes[place])
    return sides


@dataclass(frozen=True)
class Answer:
    """What the equation says about one of its numbers.

    Attributes:
        term: The term of the query, as text.
        before: The probabilities from the picture alone; None for an unknown.
        after: The probabilities given the equation, and given that each picture shows one of its candidates.
        reason: Why the reading of the picture alone is not accepted; None if it is accepted, and for an unknown.
        together: The value in `Solution.solved`, the most probable combination of all numbers.
    """

    term: str
    before: Values | None
    after: Values
    reason: str | None = None
    together: Value | None = None

    @property
    def read(self) -> Value | None:
        """The most probable value by the picture alone; None for an unknown."""
        return self.before.mode if self.before else None

    @property
    def kept(self) -> float:
        """The probability, given the equation, of the number that the picture alone clearly shows. 1 if it clearly
        shows none."""
        if not self.before or self.read is None or self.reason or self.before.probabilities[self.read] < CLEAR:
            return 1.0
        return self.after.probabilities.get(self.read, 0.0)

    @property
    def value(self) -> Value:
        """The most probable value, given the equation."""
        return next(iter(self.after.probabilities))

    @property
    def probability(self) -> float:
        """The probability of `value`, given the equation."""
        return self.after.probabilities[self.value]

    @property
    def impossible(self) -> tuple[Value, ...]:
        """The candidates that the equation excludes. The most probable one by the picture alone comes first."""
        read = self.before.probabilities if self.before else {}
        none = [value for value in read if value not in self.after.probabilities]
        return tuple(sorted(none, key=lambda value: -read[value]))

    def as_dict(self, count: int = 3) -> dict[str, Any]:
        """The answer as types that `json` writes, with up to `count` values, and up to `count` impossible ones. Raises
        `NumberError` if `count` is no count."""
        count = whole(count, "the most values", 0)
        before = self.before.probabilities if self.before else {}
        after = list(self.after.probabilities.items())[:count]
        values = [{"value": plain(value), "before": before.get(value), "after": share} for value, share in after]
        return {
            "term": self.term, "value": plain(self.value), "probability": self.probability, "values": values,
            "impossible": [plain(value) for value in self.impossible[:count]],
            "other": self.before.other if self.before else None, "reason": self.reason,
            "together": plain(self.together),
        }  # fmt: skip


@dataclass(frozen=True)
class Solution:
    """The numbers that make an equation true. Unless stated otherwise, probabilities are conditional: the equation is
    true, and each picture shows one of its candidates.

    Attributes:
        query: The equation as text.
        solved: The equation with the most probable combination of numbers.
        probability: The probability of this combination.
        unknowns: The patterns, and `_`, in the order of the query.
        pictures: The pictures, each once, in the order of the query.
        at_least: The least probability, given the equation, that each picture shows one of its candidates. Without this
            condition, a probability p becomes at least p · `at_least` and at most 1 − (1 − p) · `at_least`.
        is_true: The least and the greatest probability that the equation is true, by the pictures alone; None if the
            equation has an unknown.

    Examples:
        >>> from sumnist import solve
        >>> solve("examples/five.png + _ = 12").solved
        '5 + 7 = 12'
    """

    query: str
    solved: str
    probability: float
    unknowns: tuple[Answer, ...]
    pictures: tuple[Answer, ...]
    at_least: float
    is_true: tuple[float, float] | None

    @property
    def contradicted(self) -> tuple[Answer, ...]:
        """The pictures that clearly show numbers which the equation contradicts. Empty unless at least `CONTRADICTED`
        of them, on average, would have to be misread."""
        doubtful = tuple(answer for answer in self.pictures if answer.kept < CLEAR)
        return doubtful if sum(1 - answer.kept for answer in doubtful) >= CONTRADICTED else ()

    def as_dict(self, count: int = 3) -> dict[str, Any]:
        """The solution as types that `json` writes; a value with decimals is a string.

        Args:
            count: The most values of each number.

        Returns:
            `format`, the version of this form, which is 1, and every field by its name. Each of `unknowns` and
            `pictures` has the fields of an `Answer`: `term`; `value` and its `probability`; `reason`; `together`; and
            the candidates that are `impossible`. Its `values` are the most probable ones, each with its probabilities
            `before` (null for an unknown) and `after`. Its `other` is the probability, by the picture alone, of all
            values that are not candidates (null for an unknown). Each of `contradicted` has the `term` of a picture,
            the number that was `read` clearly on it, and the `probability` of that number by the picture alone.

        Raises:
            NumberError: `count` is no count.
        """
        count = whole(count, "the most values", 0)
        return {
            "format": FORMAT, "query": self.query, "solved": self.solved, "probability": self.probability,
            "unknowns": [answer.as_dict(count) for answer in self.unknowns],
            "pictures": [answer.as_dict(count) for answer in self.pictures],
            "at_least": self.at_least, "is_true": None if self.is_true is None else list(self.is_true),
            "contradicted": [
                {"term": one.term, "read": plain(one.read), "probability": one.before.probabilities[one.read]}
                for one in self.contradicted if one.before and one.read is not None
            ],
        }  # fmt: skip


class Quantity:
    """A number of an equation whose value is not known.

    Args:
        term: The first term with this number.
        content: `Blanks`, `Anything`, or an object with `values`.
        places: The decimal places of the equation. Everything is counted in units of the last place.
        usual: The decimal places of the equation's most probable numbers. A value is shown with so many places if they
            are enough.

    Attributes:
        step: How often the number counts, with all terms on the left side.
        domain: The values that the number may have.
        before: The distribution of the number, if it was read.
    """

    def __init__(self, term: Term, content: Any, places: int, usual: int) -> None:
        self.term, self.step, self.places, self.usual = term, 0, places, usual
        self.before: Values | None = None
        self.reason: str | None = None
        self.listed: dict[int, Value] = {}
        self.domain: Domain = Anything()
        if isinstance(content, Blanks):
            self.usual = content.places
            self.domain = content._replace(text=content.text + "0" * (places - content.places))
        elif not isinstance(content, Anything):
            self.before, self.reason = getattr(content, "values", content), getattr(content, "reason", None)
            shares = {value: share for value, share in self.before.probabilities.items() if share > 0}
            if not shares:
                raise NumberError(f"{term.text}: no candidates, expected one at least: give all that are probable")
            self.listed = {scaled(value, places): value for value in shares}
            self.domain = Listed({scaled(value, places): math.log(share) for value, share in shares.items()})

    def value(self, units: int) -> Value:
        """The value of so many `units` of the last decimal place."""
        if units in self.listed:
            return self.listed[units]
        number, rest = divmod(units, 10 ** (self.places - self.usual))
        if rest:
            return Decimal(f"{units}E-{self.places}")
        return Decimal(f"{number}E-{self.usual}") if self.usual else number

    def answer(self, weights: Mapping[int, float], together: int) -> Answer:
        """The answer for this number.

        Args:
            weights: The log-weights of its values; not all are −∞.
            together: Its value in the most probable combination.
        """
        total = float(np.logaddexp.reduce(list(weights.values())))
        ranked = sorted(weights.items(), key=lambda one: (-one[1], one[0]))
        shares = {self.value(units): math.exp(min(0.0, weight - total)) for units, weight in ranked}
        return Answer(self.term.text, self.before, Values(shares, 0.0), self.reason, self.value(together))


def solution_of(query: Query, readings: Mapping[Hashable, Any]) -> Solution:
    """Find the numbers that make the equation of a query true.

    Args:
        query: The equation.
        readings: For each key of `query.pictures`, an object with `values`.

    Raises:
        EquationError: No candidates make the equation true.
        NumberError: There are too many possibilities, or a number has no candidate.
    """
    contents = [readings.get(term.key, term.content) for term in query.terms]
    places, usual = (max(places_of(content, best) for content in contents) for best in (False, True))
    total = 0
    quantities: dict[Hashable, Quantity] = {}
    for term, content in zip(query.terms, contents, strict=True):
        if isinstance(content, Value):
            total -= term.step * scaled(content, places)
            continue
        if term.key not in quantities:
            quantities[term.key] = Quantity(term, content, places, usual)
        quantities[term.key].step += term.step
    sought = list(quantities.values())
    try:
        solved = Solved([(one.step, one.domain) for one in sought], total)
    except NumberError as error:
        raise NumberError(f"{query.near()}: {error}") from error
    weight = solved.log_weight
    if weight == -math.inf:
        raise impossible(query, sought, total)
    after = solved.posterior()
    answers = [
        one.answer(*two) for one, two in zip(sought, zip(after, solved.most_probable(), strict=True), strict=True)
    ]
    unknowns = tuple(answer for answer in answers if answer.before is None)
    doubt = foreign(sought, after)
    return Solution(
        query.text,
        query.filled({key: plain(answer.together) for key, answer in zip(quantities, answers, strict=True)}),
        math.exp(min(0.0, solved.best - weight)),
        unknowns,
        tuple(answer for answer in answers if answer.before is not None),
        math.exp(-np.logaddexp(0.0, math.log(doubt) - weight)) if doubt else 1.0,
        None if unknowns else (min(1.0, math.exp(weight)), min(1.0, math.exp(weight) + doubt)),
    )


def foreign(quantities: list[Quantity], after: Sequence[Mapping[int, float]]) -> float:
    """X: an upper bound on the weight of the combinations that make the equation true although a picture shows no
    candidate."""
    sizes = [min(one.domain.size, MANY) for one in quantities if one.before is None]
    ways, same = (float(min(math.prod(some), MANY)) for some in (sizes, sorted(sizes)[:-1]))
    read = [(one, one.before, mine) for one, mine in zip(quantities, after, strict=True) if one.before is not None]
    none, one_alone, more = 1.0, 0.0, 0.0  # probabilities that this many pictures show no candidate
    for _, before, _ in read:
        more += one_alone * before.other
        one_alone = one_alone * (1 - before.other) + none * before.other
        none *= 1 - before.other
    found = more * same
    for quantity, before, weights in read:
        rest = math.prod(1 - other.other for one, other, _ in read if one is not quantity)
        fits = sum(math.exp(weight - quantity.domain.weight(value)) for value, weight in weights.items())
        others = fits / len(weights) if quantity.step == 0 else max(0.0, min(same * rest, ways * rest - fits))
        found += before.other * others
    return found


def impossible(query: Query, quantities: list[Quantity], total: int) -> EquationError:
    """The error for an equation that nothing makes true."""
    read = [one for one in quantities if one.before is not None]
    named = " and ".join(one.term.text for one in read)
    what = f"no reading{'s' * (len(read) > 1)} of {named} make{'s' * (len(read) == 1)}" if read else "no digits make"
    what += " it true"
    if len(quantities) == len(read) == 1 and read[0].step:
        what += f", it would have to be {Fraction(total, read[0].step * 10 ** read[0].places)}"
    elif 0 < len(read) < len(quantities):
        what += ", whatever the digits are"
    other = 1 - math.prod(1 - one.before.other for one in read if one.before is not None)
    what += f"; what else may be there has a probability of {other:.2g}" if other > LEAST_OTHER else ""
    return EquationError(f"{query.near()}: {what}: check the equation{' and the pictures' if read else ''}")


def places_of(content: Any, best: bool = False) -> int:
    """The most decimals of a content's values. With `best`, the decimals of its most probable value."""
    if isinstance(content, Blanks):
        return content.places
    if isinstance(content, Decimal):
        return max(0, -int(content.as_tuple().exponent))
    if isinstance(content, int | Anything):
        return 0
    values: Values = getattr(content, "values", content)
    return max(map(places_of, [values.mode or 0] if best else values.probabilities), default=0)


def scaled(value: Value, places: int) -> int:
    """A value in units of the last of `places` decimals."""
    return int(Fraction(value) * 10**places)
