"""What two numbers of uncertain digits add up to, asked of Sumnist and of other published packages alike.

Each gets log-probabilities of digits `[B, 2, N, 10]` of torch, the most significant digit first. The other packages are
no dependencies: what is not installed is left out. All are used as their own examples of the addition of MNIST digits
use them; KLay has a circuit besides that is written by hand for the addition, as Sumnist's code is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial, reduce
from itertools import chain, product
from operator import and_, or_
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sumnist.environment import library_version
from sumnist.model.losses import sum_of, total_nll


class System:
    """Adds two numbers of so many digits. What is done once for all queries is done when it is made."""

    def __init__(self, digits: int) -> None:
        self.digits = digits

    def of_one(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """The log-probability of one total `[B]` each, `[B]`."""
        return self.of_all(scores).gather(1, torch.from_numpy(totals)[:, None])[:, 0]

    def of_all(self, scores: Tensor) -> Tensor:
        """The log-probabilities of all totals from 0 on, `[B, 2 · 10^N − 1]`."""
        raise NotImplementedError

    def loss(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """What a training minimises where totals are told."""
        return -self.of_one(scores, totals).mean()


class Sumnist(System):
    """This package."""

    def of_one(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """As `System` says."""
        return -total_nll(scores, totals, "add")

    def of_all(self, scores: Tensor) -> Tensor:
        """As `System` says."""
        found: Tensor = sum_of(scores, "add").totals().log_probs
        return found


class KLay(System):
    """KLay with the circuit of its own experiment: all pairs of numbers, compiled by PySDD, with a root for each total.

    `torch.compile`, its default, is left out: on a processor it takes long and gains next to nothing.
    """

    def __init__(self, digits: int) -> None:
        super().__init__(digits)
        from klay import Circuit
        from pysdd.sdd import SddManager, Vtree

        manager = SddManager.from_vtree(Vtree(var_count=20 * digits, vtree_type="balanced"))
        count, circuit = 10**digits, Circuit()
        one, two = ([number(manager, start, digits, value) for value in range(count)] for start in (1, 1 + 10 * digits))
        for total in range(2 * count - 1):
            pairs = [
                one[value] & two[total - value] for value in range(max(0, total - count + 1), min(count, total + 1))
            ]
            circuit.add_sdd(in_pairs(or_, pairs))
        self.module = circuit.to_torch_module(semiring="log", compile=False)

    def of_all(self, scores: Tensor) -> Tensor:
        """As `System` says."""
        found: Tensor = self.module(scores.flatten(1), torch.zeros_like(scores).flatten(1))
        return found


def number(manager: Any, start: int, digits: int, value: int) -> Any:
    """The formula that variables from `start` on, ten a digit, say one number: its digits and no others."""
    true = {start + 10 * place + int(digit) for place, digit in enumerate(f"{value:0{digits}d}")}
    variables = range(start, start + 10 * digits)
    return in_pairs(and_, [manager.l(one) if one in true else ~manager.l(one) for one in variables])


def in_pairs(operation: Callable[[Any, Any], Any], given: Sequence[Any]) -> Any:
    """All together, by halves: formulas stay small for long. The circuit is the same as one by one."""
    if len(given) == 1:
        return given[0]
    half = len(given) // 2
    return operation(in_pairs(operation, given[:half]), in_pairs(operation, given[half:]))


class KLayCarries(System):
    """KLay with circuits of carries that are written by hand, in logarithms or with probabilities."""

    def __init__(self, digits: int, semiring: str = "log") -> None:
        super().__init__(digits)
        self.semiring = semiring

    @cached_property
    def one(self) -> Callable[[Tensor], Tensor]:
        """The circuit of any one total, whose digits it is given."""
        return self.made(one_total)

    @cached_property
    def all(self) -> Callable[[Tensor], Tensor]:
        """The circuit of all totals."""
        return self.made(all_totals)

    def made(self, write: Callable[[Any, int], None]) -> Callable[[Tensor], Tensor]:
        """A circuit as a function of log-probabilities."""
        from klay import Circuit

        circuit = Circuit()
        write(circuit, self.digits)
        module = circuit.to_torch_module(semiring=self.semiring, compile=False)

        def evaluate(x: Tensor) -> Tensor:
            if self.semiring == "log":
                return module(x, torch.zeros_like(x))  # type: ignore[no-any-return]
            return module(x.exp(), torch.ones_like(x)).log()  # type: ignore[no-any-return]

        return evaluate

    def of_one(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """As `System` says."""
        digits = torch.from_numpy(totals[:, None] // 10 ** np.arange(self.digits + 1) % 10)
        given = functional.one_hot(digits, 10).to(scores.dtype).log()
        return self.one(torch.cat([scores.flatten(1), given.flatten(1)], 1))[:, 0]

    def of_all(self, scores: Tensor) -> Tensor:
        """As `System` says."""
        return self.all(scores.flatten(1))


def column_sums(circuit: Any, digits: int) -> list[list[Any]]:
    """Nodes for the sums 0..18 of the two digits of each column, the least significant first; literals are 1..20 N."""
    columns = []
    for place in reversed(range(digits)):
        starts = 1 + 10 * place, 1 + 10 * (digits + place)
        one, two = ([circuit.literal_node(start + value) for value in range(10)] for start in starts)
        ways: list[list[Any]] = [[] for _ in range(19)]
        for a, b in product(range(10), repeat=2):
            ways[a + b].append(circuit.and_node([one[a], two[b]]))
        columns.append([circuit.or_node(nodes) for nodes in ways])
    return columns


def one_total(circuit: Any, digits: int) -> None:
    """The carries column by column, for a total whose N + 1 digits are the literals after the numbers', the least
    significant first."""
    carried, start = [circuit.true_node()], 1 + 20 * digits
    for place, sums in enumerate(column_sums(circuit, digits)):
        told = [circuit.literal_node(start + 10 * place + value) for value in range(10)]
        ways: list[list[Any]] = [[], []]
        for carry, before in enumerate(carried):
            for total, node in enumerate(sums):
                ways[(total + carry) // 10].append(circuit.and_node([before, node, told[(total + carry) % 10]]))
        carried = [circuit.or_node(nodes) for nodes in ways]
    above = [circuit.literal_node(start + 10 * digits + carry) for carry in (0, 1)]
    circuit.set_root(circuit.or_node([circuit.and_node(pair) for pair in zip(carried, above, strict=True)]))


def all_totals(circuit: Any, digits: int) -> None:
    """A root for each total, from tables of blocks of columns that are joined by halves."""
    columns = column_sums(circuit, digits)

    def table(start: int, stop: int) -> dict[tuple[int, int, int], Any]:
        """By the carry to the block, what it writes and the carry from it: its nodes, but those of the impossible."""
        if stop - start == 1:
            ways = [(carry, total) for carry in ((0, 1) if start else (0,)) for total in range(19)]
            return {
                (carry, (total + carry) % 10, (total + carry) // 10): columns[start][total] for carry, total in ways
            }
        middle = (start + stop) // 2
        low, high = table(start, middle), table(middle, stop)
        above: dict[int, list[tuple[int, int, Any]]] = {0: [], 1: []}
        for (carry, written, out), node in high.items():
            above[carry].append((written, out, node))
        joined: dict[tuple[int, int, int], list[Any]] = {}
        for (carry, written, between), node in low.items():
            for more, out, other in above[between]:
                key = carry, written + 10 ** (middle - start) * more, out
                joined.setdefault(key, []).append(circuit.and_node([node, other]))
        return {key: circuit.or_node(nodes) for key, nodes in joined.items()}

    for _, node in sorted((10**digits * out + written, node) for (_, written, out), node in table(0, digits).items()):
        circuit.set_root(node)


class DeepProbLog(System):
    """DeepProbLog with the program of its own example and its exact engine; its network gives the digits as they are.

    Circuits of queries that were asked before are kept, as its cache does.
    """

    def __init__(self, digits: int) -> None:
        super().__init__(digits)
        import deepproblog
        from deepproblog.engines import ExactEngine
        from deepproblog.model import Model
        from deepproblog.network import Network

        program = Path(deepproblog.__file__).parent / "examples/MNIST/models/addition.pl"
        self.model = Model(program, [Network(torch.nn.Identity(), "mnist_net", batching=True)])
        self.model.set_engine(ExactEngine(self.model), cache=True)

    def queries(self, scores: Tensor, totals: NDArray[np.int64]) -> Iterator[Any]:
        """A query for each entry of the batch; those of the same total have the same circuit."""
        from deepproblog.query import Query
        from problog.logic import Constant, Term, list2term

        self.model.add_tensor_source("given", {(Constant(i),): row for i, row in enumerate(scores.exp().flatten(0, 2))})
        places = [[Term(f"p{k}_{i}") for i in range(self.digits)] for k in (0, 1)]
        name, given = ("addition", [one for one, in places]) if self.digits == 1 else (
            "multi_addition", [list2term(one) for one in places])  # fmt: skip
        for entry, total in enumerate(totals):
            rows = enumerate(chain(*places), 2 * self.digits * entry)
            images = {place: Term("tensor", Term("given", Constant(row))) for row, place in rows}
            yield Query(Term(name, *given, Constant(int(total))), images)

    def of_one(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """As `System` says."""
        results = self.model.solve(list(self.queries(scores, totals)))
        return torch.stack([next(iter(result.result.values())) for result in results]).log()

    def of_all(self, scores: Tensor) -> Tensor:
        """As `System` says."""
        queries = [one.variable_output() for one in self.queries(scores, np.zeros(len(scores), np.int64))]
        rows = [{int(term.args[-1]): p for term, p in one.result.items()} for one in self.model.solve(queries)]
        return torch.stack([torch.stack([row[total] for total in sorted(row)]) for row in rows]).log()


class DeepProbLogAnew(DeepProbLog):
    """The same, with queries that were never asked: grounded and compiled each time."""

    def queries(self, scores: Tensor, totals: NDArray[np.int64]) -> Iterator[Any]:
        """As `DeepProbLog` says; what is kept is forgotten."""
        self.model.solver.cache.invalidate()
        return super().queries(scores, totals)


class LTNtorch(System):
    """Logic tensor networks, with the formula of LTNtorch's own example and its operators. They give the truth of it in
    fuzzy logic, from 0 to 1, in place of a log-probability."""

    def __init__(self, digits: int) -> None:
        super().__init__(digits)
        from ltn import Connective, Predicate, Quantifier, Variable
        from ltn.fuzzy_ops import AggregPMean, AggregPMeanError, AndProd

        self.both, self.shows = Connective(AndProd()), Predicate(func=lambda image, digit: image.gather(1, digit))
        self.exists = Quantifier(AggregPMean(p=2), quantifier="e")
        self.for_all = Quantifier(AggregPMeanError(p=2), quantifier="f")
        self.values = [Variable(f"d{place}", torch.arange(10)) for place in range(2 * digits)]

    def formula(self, scores: Tensor, totals: Tensor, paired: bool) -> tuple[list[Any], Any]:
        """The variables of the images, and of the totals if these are `paired` with them; and that there are digits
        which the images show, and which add up to the total."""
        from ltn import Variable, diag

        images = [Variable(f"x{place}", one) for place, one in enumerate(scores.exp().flatten(1, 2).unbind(1))]
        total = Variable("z", totals)
        variables = diag(*images, *([total] if paired else []))
        shown = reduce(self.both, [self.shows(*pair) for pair in zip(images, self.values, strict=True)])
        worth = [10 ** (self.digits - 1 - place % self.digits) for place in range(2 * self.digits)]

        def right(*given: Any) -> Tensor:
            parts = [step * one.value for step, one in zip(worth, given[:-1], strict=True)]
            return torch.eq(torch.stack(torch.broadcast_tensors(*parts)).sum(0), given[-1].value)

        return variables, self.exists(self.values, shown, cond_vars=[*self.values, total], cond_fn=right)

    def of_one(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """The truth of each, `[B]`."""
        found: Tensor = self.formula(scores, torch.from_numpy(totals), paired=True)[1].value
        return found

    def of_all(self, scores: Tensor) -> Tensor:
        """The truth of each total, `[B, 2 · 10^N − 1]`."""
        found: Tensor = self.formula(scores, torch.arange(2 * 10**self.digits - 1), paired=False)[1].value
        return found.T

    def loss(self, scores: Tensor, totals: NDArray[np.int64]) -> Tensor:
        """How far it is from true of all sums."""
        loss: Tensor = 1 - self.for_all(*self.formula(scores, torch.from_numpy(totals), paired=True)).value
        return loss


class Listed(NamedTuple):
    """A system that can be asked: how it is made for so many digits, and of which packages it is."""

    make: Callable[[int], System]
    packages: tuple[str, ...]

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package."""
        return {name: library_version(name) for name in self.packages}


SYSTEMS = {
    "Sumnist": Listed(Sumnist, ("sumnist",)),
    "KLay, the circuit of its experiment": Listed(KLay, ("klaycircuits", "PySDD")),
    "KLay, carries by hand": Listed(KLayCarries, ("klaycircuits",)),
    "KLay, carries by hand, no logarithms": Listed(partial(KLayCarries, semiring="real"), ("klaycircuits",)),
    "DeepProbLog, query asked before": Listed(DeepProbLog, ("deepproblog", "problog", "PySDD")),
    "DeepProbLog, new query": Listed(DeepProbLogAnew, ("deepproblog", "problog", "PySDD")),
    "LTNtorch, fuzzy": Listed(LTNtorch, ("LTNtorch",)),
}


def found() -> dict[str, Listed]:
    """The systems whose packages are installed."""
    here = {}
    for name, listed in SYSTEMS.items():
        missing = [package for package, version in listed.versions.items() if version == "not installed"]
        if missing:
            print(f"{name} is left out: pip install {' '.join(missing)}", file=sys.stderr)
        else:
            here[name] = listed
    return here
