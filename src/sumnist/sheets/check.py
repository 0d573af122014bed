"""The exact posterior of all numbers on a sheet, from what a reader says of each and from its sums.

A sheet has fields x₁ … x_m and formulas: a total is the sum of some other fields, with signs. Each field is a term of
at most one formula and the total of at most one, so formulas and fields make a forest. With

- λ(x), the reader's likelihood of a number: its probability, divided by the prior that the reader had learned;
- no preference among the numbers of a field that is no total;
- P(t | terms), the writer's channel (`sheets/mistakes`), for each total,

the joint posterior is ∝ Π λ(x) · Π P(t | terms). In a forest sums over all but one field are done exactly, formula by
formula. From the leaves to the roots, what the terms say of a total is the convolution of their messages, put through
the channel; back from the roots, what a total says of a term is the correlation with the messages of the others. A
skipped term needs the convolution without each term, which is made of running sums from both ends (`leave_one_out`).

The most probable numbers of all fields together are found by bounds: numbers that are together as probable as some that
are known have each a marginal as probable, and likelihoods that are as probable. If that leaves more than `LISTED`
combinations, the same messages with the best alternative instead of the sum of all give a better start; if there are
still more, what they gave is taken.

Sheets of small numbers are worked out over all numbers of each range. Where there are too many, each field has a list
of candidates, equal partial sums are merged, and one more value stands for all other numbers, equally probable. The
lists are as long as leaves these sums few enough (`FEWER`). A total has the sums of its terms' candidates among its
own, unless that is too much even for one candidate of each field. With a term that is none of its candidates every
total is equally probable: the term may be what is lacking. Such a term is solved from the total when all else is known
(`implied`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sumnist.arithmetic import sumproduct as sp
from sumnist.arithmetic.known import Support, points_of
from sumnist.arithmetic.known import found as places
from sumnist.arithmetic.sums import Integers
from sumnist.arithmetic.values import Values, ordered
from sumnist.errors import EquationError, LayoutError, NumberError
from sumnist.sheets.formulas import Formula, in_order
from sumnist.sheets.messages import Down, Messages, Up, chain_of
from sumnist.sheets.mistakes import KINDS, MISTAKE, MOST, UNKNOWN, Kind, Writer

Evidence = NDArray[Any] | Values
"""Of a field: log-probabilities of 0..largest `[largest + 1]`, −∞ allowed, or candidates; normalised or not."""


class Reading(NamedTuple):
    """What a reader says of a field: numbers, the logarithm of λ of each, and how many numbers each stands for."""

    support: Support
    log_likelihoods: sp.Weights
    counts: NDArray[np.float64]


def divided(log_probs: NDArray[Any], log_prior: NDArray[Any]) -> NDArray[np.float64]:
    """A reader's log-probabilities without the prior that it had learned, normalised: `[n]`.

    Raises:
        NumberError: A number is possible that was not so before.
    """
    log_probs, log_prior = np.broadcast_arrays(np.asarray(log_probs, np.float64), np.asarray(log_prior, np.float64))
    possible = log_probs > sp.IMPOSSIBLE
    if (log_prior[possible] == sp.IMPOSSIBLE).any():
        number = int(np.flatnonzero(possible & (log_prior == sp.IMPOSSIBLE))[0])
        raise NumberError(f"{number} is read, but its prior is 0: expected a prior above 0 for all that may be read")
    found = np.full(log_probs.shape, sp.IMPOSSIBLE)
    found[possible] = log_probs[possible] - log_prior[possible]
    return np.asarray(found - sp.log_sum(found)) if possible.any() else found


def dense_reading(name: str, evidence: Evidence, largest: int) -> Reading:
    """A reading of all numbers of a field. Raises `NumberError`."""
    if isinstance(evidence, Values):
        listed, other = candidates(name, evidence, largest)
        likelihoods = np.full(largest + 1, other / max(1, largest + 1 - len(listed)))
        likelihoods[list(listed)] = list(listed.values())
        with np.errstate(divide="ignore"):
            found = np.log(likelihoods)
    else:
        found = checked(name, evidence, largest)
    return Reading(range(largest + 1), found, np.ones(largest + 1))


def checked(name: str, evidence: NDArray[Any], largest: int) -> NDArray[np.float64]:
    """Log-probabilities, if they fit a field. Raises `NumberError`."""
    found = np.asarray(evidence, np.float64)
    if found.shape != (largest + 1,) or np.isnan(found).any() or not sp.IMPOSSIBLE < found.max() < np.inf:
        raise NumberError(
            f"Field {name} has log-probabilities {list(found.shape)} from {found.min(initial=0)} to "
            f"{found.max(initial=sp.IMPOSSIBLE)}: expected [{largest + 1}], for 0..{largest}, some above −inf, no NaN"
        )
    return found


def candidates(name: str, evidence: Evidence, largest: int, count: int | None = None) -> tuple[dict[int, float], float]:
    """The candidates of a field with their likelihoods, and that of all other numbers together.

    With a `count` the least probable of more candidates become others. Raises `NumberError`.
    """
    if isinstance(evidence, Values):
        numbers = evidence.probabilities.items()
        kept = {int(value): share for value, share in numbers if value == int(value) and 0 <= value <= largest}
        other = evidence.other if len(kept) <= largest else 0.0
        if not (min([other, *kept.values()]) >= 0 and 0 < other + sum(kept.values()) < np.inf):
            raise NumberError(
                f"Field {name} has candidates {list(evidence.probabilities)[:5]} and {evidence.other} for all others: "
                f"expected probabilities, some of them of numbers 0..{largest}"
            )
    else:
        found, other = checked(name, evidence, largest), 0.0
        listed = np.flatnonzero(found > sp.IMPOSSIBLE)
        kept = dict(zip(listed.tolist(), np.exp(found[listed] - found.max()).tolist(), strict=True))
    if count is None or len(kept) <= count:
        return kept, other
    best = sorted(kept.items(), key=lambda one: -one[1])
    return dict(best[:count]), other + sum(share for _, share in best[count:])


def listed_reading(listed: Mapping[int, float], other: float, largest: int) -> Reading:
    """A reading of candidates, and of all other numbers as one."""
    support, shares = sorted(listed), [listed[value] for value in sorted(listed)]
    counts, rest = [1.0] * len(support), largest + 1 - len(listed)
    if other > 0 and rest > 0:
        support, shares, counts = [*support, UNKNOWN], [*shares, other / rest], [*counts, float(rest)]
    with np.errstate(divide="ignore"):
        return Reading(np.array(support, np.int64), np.log(shares), np.array(counts))


DENSE = 2**13
"""Numbers of a range, at most, of which all are looked at: with more, lists of candidates are faster."""
FEWER = (None, 48, 16, 8, 5, 3, 2, 1)
"""Candidates of each field, at most, that are tried in turn until there are few enough partial sums; None is all."""
LISTED = 2**15
"""Combinations of numbers that are looked at one by one: some ten milliseconds."""
PAIRS = 2**21
"""Combinations, times numbers of the next field, that are looked at on the way."""


class Explanation(NamedTuple):
    """The most probable values of all fields together.

    Attributes:
        values: None for a number that is none of the candidates.
        kinds: By the total of each formula, how the writer most probably came to it if these are the values.
        probability: Of these values, whatever the writer did.
    """

    values: Mapping[str, int | None]
    kinds: Mapping[str, Kind]
    probability: float


class Joint(NamedTuple):
    """The probabilities of some numbers of all fields, `[N]`, and by total of the ways to it, `[N, kinds]`."""

    probabilities: NDArray[np.float64]
    ways: Mapping[str, NDArray[np.float64]]


class Check:
    """The sums of a form; made once, and asked for each sheet.

    Args:
        largest: Of each field the largest number; the least is 0.
        formulas: Each field is a term of at most one of them, and the total of at most one.
        halves: The totals in units of ½.
        mistake: The probability that the writer adds up wrongly, for each formula.

    Raises:
        LayoutError: The formulas make no forest, or name a field that there is not.
        NumberError: A number makes no sense.

    Examples:
        >>> check = Check({"a": 9, "b": 9, "sum": 18}, [Formula.of("sum = a + b")])
        >>> sure = {"a": Values({4: 0.6, 9: 0.4}, 0.0), "b": Values({5: 1.0}, 0.0), "sum": Values({14: 1.0}, 0.0)}
        >>> check.posterior(sure).explanation.values
        {'a': 9, 'b': 5, 'sum': 14}
    """

    def __init__(
        self, largest: Mapping[str, int], formulas: Sequence[Formula], halves: Collection[str] = (),
        mistake: float = MISTAKE,
    ) -> None:  # fmt: skip
        if not largest:
            raise LayoutError("A form without fields: expected one field at least: add some")
        self.largest, self.formulas = dict(largest), {one.total: one for one in in_order(formulas, largest)}
        self.order = [*(name for name in largest if name not in self.formulas), *self.formulas]
        for name, most in self.largest.items():
            if not 0 <= most <= MOST:
                raise NumberError(f"Field {name} has numbers of 0..{most}: expected a largest one of 0 to {MOST}")
        self.writers = {
            total: Writer(self.largest[total], len(formula.terms), total in halves, mistake)
            for total, formula in self.formulas.items()
        }
        self.parents = {name: formula.total for formula in formulas for _, name in formula.terms}
        self.dense = self.dense_fields()
        self.ranges = {name: range(self.largest[name] + 1) for name in self.dense}
        self._messages = {
            total: Messages(
                self.writers[total],
                [(sign, self.ranges[name]) for sign, name in formula.terms],
                self.ranges[total],
                np.ones(self.largest[total] + 1),
            )
            for total, formula in self.formulas.items()
            if total in self.dense
        }

    def dense_fields(self) -> set[str]:
        """The fields of which all numbers are looked at: of trees whose ranges are all small."""
        small: dict[str, bool] = {}
        for name in self.order:
            terms = self.formulas[name].terms if name in self.formulas else ()
            spans = [self.largest[name], sum(self.largest[term] for _, term in terms)]
            small[name] = max(spans) < DENSE and all(small[term] for _, term in terms)
        for name in reversed(self.order):
            small[name] = small[self.parents.get(name, name)]
        return {name for name in self.order if small[name]}

    def posterior(self, evidence: Mapping[str, Evidence]) -> Posterior:
        """What is known of all fields, by what is read in each.

        Args:
            evidence: For each field.

        Returns:
            The posterior.

        Raises:
            EquationError: No numbers explain what is read.
            NumberError: Log-probabilities do not fit a field.
        """
        if evidence.keys() != self.largest.keys():
            wrong = ", ".join(sorted(evidence.keys() ^ self.largest.keys()))
            raise NumberError(f"What is read is lacking, or is of no field of the form: {wrong}; expected all fields")
        readings, messages = self.prepared(evidence)
        try:
            passed = Passed(self, sp.PROBABILITIES, readings, messages)
        except sp.Underflow:
            try:
                passed = Passed(self, sp.LOG_SUM, readings, messages)
            except sp.Underflow:
                raise EquationError(
                    "No numbers explain what is read: expected evidence under which some are possible; give every "
                    "number a probability above 0, or the writer a probability of a mistake"
                ) from None
        return Posterior(self, readings, messages, passed)

    def prepared(self, evidence: Mapping[str, Evidence]) -> tuple[dict[str, Reading], dict[str, Messages]]:
        """The reading of each field, and the messages of each formula, with as many candidates as can be."""
        for count in FEWER:
            with suppress(sp.TooManyError):
                return self.prepared_with(evidence, count)
        return self.prepared_with(evidence, 1, sums=False)

    def prepared_with(
        self, evidence: Mapping[str, Evidence], count: int | None, sums: bool = True
    ) -> tuple[dict[str, Reading], dict[str, Messages]]:
        """The same with `count` candidates of each field; of a total also those that are sums, or not.

        Raises `TooManyError` with too many partial sums: never if there is one candidate of each field, without sums.
        """
        readings: dict[str, Reading] = {}
        messages = dict(self._messages)
        for name in self.order:
            if name in self.dense:
                readings[name] = dense_reading(name, evidence[name], self.largest[name])
                continue
            listed, other = candidates(name, evidence[name], self.largest[name], count)
            formula = self.formulas.get(name)
            if formula is None:
                readings[name] = listed_reading(listed, other, self.largest[name])
                continue
            terms = [(sign, readings[term].support) for sign, term in formula.terms]
            chain, writer = chain_of(terms), self.writers[name]
            if other and sums:
                made, rest = points_of(chain.support), self.largest[name] + 1 - len(listed)
                new = set(made[writer.has_room(made)].tolist()) - set(listed)
                listed |= dict.fromkeys(new, other / rest)
                other *= 1 - len(new) / rest
            reading = readings[name] = listed_reading(listed, other, self.largest[name])
            messages[name] = Messages(writer, terms, reading.support, reading.counts, chain)
        return readings, messages


class Passed:
    """Messages through the forest, up and down, in a ring.

    Attributes:
        logs: For each field the log-weights of its numbers `[G]`, normalised by the best or by all.
        kinds: By total, the probability of each kind; with sums only.
        log_evidence: The logarithm of the weight of all that may be, or of the best of it.

    Raises:
        sp.Underflow: Nothing is possible, or all is too improbable for the ring.
    """

    def __init__(
        self, check: Check, ring: sp.Ring, readings: Mapping[str, Reading], messages: Mapping[str, Messages]
    ) -> None:
        likelihoods: dict[str, sp.Weights] = {}
        up: dict[str, Up] = {}
        ups: dict[str, sp.Weights] = {}
        self.log_evidence = 0.0
        for name in check.order:
            reading = readings[name]
            level = float(reading.log_likelihoods.max())
            likelihoods[name] = ring.weights(reading.log_likelihoods - level)
            if name in messages:
                terms = [ups[term] for _, term in check.formulas[name].terms]
                up[name] = messages[name].upward(ring, terms)
                message, more = ring.normalised(up[name].message)
            else:
                message, more = ring.normalised(ring.weights(np.log(reading.counts)))
            ups[name], most = ring.normalised(ring.times(likelihoods[name], message))
            self.log_evidence += level + more + most
        left: dict[str, sp.Weights] = {}
        self.logs: dict[str, sp.Weights] = {}
        self.kinds: dict[str, sp.Weights] = {}
        for name in reversed(check.order):
            if name in left:
                found, _ = ring.normalised(ring.times(ups[name], left[name]))
                total, _ = ring.normalised(ring.times(likelihoods[name], left[name]))
            else:
                found, total = ups[name], likelihoods[name]
                self.log_evidence += float(ring.logs(np.asarray(ring.total(found))))
            self.logs[name] = ring.logs(found) - float(ring.logs(np.asarray(ring.total(found))))
            if name in messages:
                down: Down = messages[name].downward(ring, up[name], total)
                self.kinds[name] = np.exp(ring.logs(ring.normalised(down.kinds)[0]))
                self.kinds[name] /= self.kinds[name].sum()
                for (_, term), message in zip(check.formulas[name].terms, down.messages, strict=True):
                    left[term], _ = ring.normalised(message)


class Posterior:
    """What is known of all fields of a sheet.

    Attributes:
        check: The form.
        log_evidence: log Σ Π λ · Π P(total | terms), over all numbers of all fields.
        fields: Of each field the distribution of its number: `Integers` over its range, or `Values`.
        kinds: By the total of each formula, the probability that the writer came to it in each way.
        explanation: The most probable numbers of all fields together.
    """

    def __init__(
        self, check: Check, readings: Mapping[str, Reading], messages: Mapping[str, Messages], passed: Passed
    ) -> None:
        self.check, self.log_evidence = check, passed.log_evidence
        self._readings, self._messages = readings, messages
        self._numbers = {name: (points_of(readings[name].support), np.exp(passed.logs[name])) for name in check.largest}
        self.fields = {name: self._field(name, passed.logs[name]) for name in check.largest}
        self.kinds: dict[str, dict[Kind, float]] = {
            total: dict(zip(KINDS, shares.tolist(), strict=True)) for total, shares in passed.kinds.items()
        }
        self.explanation = self._explanation()

    def _field(self, name: str, logs: sp.Weights) -> Integers | Values:
        """The distribution of a field's number."""
        numbers, shares = self._numbers[name]
        if isinstance(self._readings[name].support, range):
            return Integers.made(logs, 0)
        listed = dict(zip(numbers.tolist(), shares.tolist(), strict=True))
        other = listed.pop(UNKNOWN, 0.0)
        return ordered(listed, other)

    def numbers(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The numbers that a field may have, and their probabilities; `UNKNOWN`, the last one, is any other."""
        return self._numbers[name]

    def as_read(self, name: str) -> int | None:
        """The most probable number of a field by itself; None if it is none of the candidates."""
        reading = self._readings[name]
        index = int(np.argmax(reading.log_likelihoods + np.log(reading.counts)))
        return plain(int(points_of(reading.support)[index]))

    def right(self, total: str) -> float:
        """The probability that the writer added up rightly."""
        return self.kinds[total]["right"]

    def implied(self, name: str) -> int | None:
        """The number of a field that makes its formula right, with all others as in the explanation.

        None if the field is no term, another number of the formula is not known either, or there is no room for it.
        """
        total = self.check.parents.get(name)
        if total is None:
            return None
        values, terms = self.explanation.values, self.check.formulas[total].terms
        known = [(sign, values[other]) for sign, other in terms if other != name]
        written = values[total]
        if written is None or any(value is None for _, value in known):
            return None
        (own,) = [sign for sign, other in terms if other == name]
        found = own * (written - sum(sign * (value or 0) for sign, value in known))
        return found if 0 <= found <= self.check.largest[name] else None

    def ways(self, total: str, values: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float64]:
        """The probability that the writer comes to a total in each way, given numbers `[N]`: `[N, kinds]`."""
        terms = [
            np.where(values[name] == UNKNOWN, UNKNOWN, sign * values[name])
            for sign, name in self.check.formulas[total].terms
        ]
        listed = points_of(self._readings[total].support)
        return self.check.writers[total].kinds(values[total], np.stack(terms, 1), listed[listed != UNKNOWN])

    def joint(self, values: Mapping[str, NDArray[np.int64]]) -> Joint:
        """The probability that all fields together have certain numbers, `[N]` for each; `UNKNOWN` is any other one."""
        found, ways = np.full(len(next(iter(values.values()))), -self.log_evidence), {}
        for name, reading in self._readings.items():
            index = places(reading.support, values[name])
            found += np.append(reading.log_likelihoods, sp.IMPOSSIBLE)[index]
            if name in self.check.formulas:
                ways[name] = self.ways(name, values)
                with np.errstate(divide="ignore"):
                    found += np.log(ways[name].sum(1))
            else:
                found += np.log(reading.counts[index])
        return Joint(np.exp(found), ways)

    def listed(self, least: float) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.float64]] | None:
        """Numbers of all fields together: all that are at least so probable, and some more.

        They have a bound as probable: what is read of them, as if the writer could not but come to these totals; and
        each of them is as probable by itself.

        Returns:
            For each field its numbers `[N]`, and the probabilities `[N]`; None if there are more than `LISTED`.
        """
        least *= 1 - sp.ROUNDING * np.sqrt(np.finfo(np.float64).eps)
        fields = []
        for name, reading in self._readings.items():
            _, shares = self._numbers[name]
            likely = np.flatnonzero(shares >= min(least, shares.max()))
            fields.append((len(likely), name, likely, (reading.log_likelihoods + np.log(reading.counts))[likely]))
        bound = np.full(1, sum(logs.max() for *_, logs in fields) - self.log_evidence)
        values: dict[str, NDArray[np.int64]] = {}
        with np.errstate(divide="ignore"):
            log_least = np.log(least)
        for _, name, likely, logs in sorted(fields, key=lambda one: one[:2]):
            if len(bound) * len(logs) > PAIRS:
                return None
            both = bound[:, None] + (logs - logs.max())
            before, chosen = np.nonzero(both >= log_least)
            if len(before) > LISTED:
                return None
            bound = both[before, chosen]
            values = {other: numbers[before] for other, numbers in values.items()}
            values[name] = self._numbers[name][0][likely[chosen]]
        return values, self.joint(values).probabilities

    def _explanation(self) -> Explanation:
        """The most probable numbers of all fields together: none are that have one of a lower probability by itself."""
        best = {name: numbers[[shares.argmax()]] for name, (numbers, shares) in self._numbers.items()}
        joint = self.joint(best)
        if joint.probabilities[0] < 0.5:  # else no other number is as probable, even by itself
            listed = self.listed(joint.probabilities[0])
            if listed is None:
                best = self._best_alternatives()
                joint = self.joint(best)
                listed = self.listed(joint.probabilities[0])
            if listed is not None:
                place = int(listed[1].argmax())
                best = {name: numbers[place : place + 1] for name, numbers in listed[0].items()}
                joint = self.joint(best)
        values = {name: plain(int(number[0])) for name, number in best.items()}
        kinds = {total: KINDS[int(ways[0].argmax())] for total, ways in joint.ways.items()}
        return Explanation(values, kinds, float(joint.probabilities[0]))

    def _best_alternatives(self) -> dict[str, NDArray[np.int64]]:
        """The numbers of the most probable alternative; of equally probable ones the least number of each field."""
        readings, values = dict(self._readings), dict[str, NDArray[np.int64]]()
        margin = sp.ROUNDING * np.finfo(np.float64).eps * max(1, abs(self.log_evidence))
        while True:
            tied = None
            for name, logs in Passed(self.check, sp.LOG_MAX, readings, self._messages).logs.items():
                best = np.flatnonzero(logs >= -margin)
                values[name] = points_of(readings[name].support)[best[:1]]
                tied = name if len(best) > 1 and tied is None else tied
            if tied is None:
                return values
            chosen = points_of(readings[tied].support) == values[tied]
            kept = np.where(chosen, readings[tied].log_likelihoods, sp.IMPOSSIBLE)
            readings[tied] = readings[tied]._replace(log_likelihoods=kept)


def plain(value: int) -> int | None:
    """A number; None if it is not known."""
    return None if value == UNKNOWN else value
