"""The report of a study, written from its rows: one Markdown text, as a page of the docs and as one HTML file."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sumnist.errors import MissingExtraError
from sumnist.evaluation.text import duration, markdown_table
from sumnist.files import make_folder, write_atomically
from sumnist.lab.study.designs import MAIN, VARIANTS, Variant
from sumnist.lab.study.figures import draw
from sumnist.lab.study.results import LEARNED, Mean, Results, compare_all
from sumnist.lab.study.rows import Row

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markdown_it import MarkdownIt
except ImportError as error:
    raise MissingExtraError(error.name or "jinja2", "study", "the study's report") from error

NONE = "–"
SPACE = "\u00a0"
"""One at which no line ends."""
OUTPUTS = "digit", "sum", "joint"
RATES = {"quarter": "a quarter", "": "the common rate", "double": "twice", "tenfold": "ten times"}
"""How variants with other learning rates are named, and the titles of their columns."""
ENCODED = "reference", "scalar", "embedding", "path", "original", "original-biases"
"""The variants whose directions of the number are told."""
COUNTED = {"sum_cut": "the value cut, not rounded", "sum_unrounded": "bits compared without a threshold"}
"""Other ways to count the right sums, by the names of their figures."""


@dataclass(frozen=True)
class Report:
    """The finished report, each file by its name: two pages in Markdown, `design-choices.md` and its appendix, the
    pictures in `images/`, and `study.html`, which holds all of it."""

    files: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write all of it into `folder`, which is made if it is not there. Raises `OutputError`."""
        make_folder(folder / "images")
        for name, text in self.files.items():
            write_atomically(folder / name, text)


def report(rows: Sequence[Row], variants: Sequence[Variant]) -> Report:
    """Write the report of a study: every figure, count and verdict comes from its rows.

    Args:
        rows: The rows, as `read_rows` gives them; those of recipes that are no longer studied are left out, and what
            no row tells is left out of the report.
        variants: The variants to report, in the order of the tables.

    Returns:
        The report, which is the same for the same rows in any order.
    """
    results = Results(rows, variants)
    pictures = draw(results)
    environment = Environment(
        loader=PackageLoader("sumnist.lab.study"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.globals.update(
        tables=Tables(results), words=Words(results), pictures=pictures,
        measured=lambda *names: all(name in results for name in names),
        any_of=lambda *groups: bool(results.group(*groups)),
    )  # fmt: skip
    files = {
        name: environment.get_template(f"{name}.j2").render() for name in ("design-choices.md", "appendix-designs.md")
    }
    body = MarkdownIt("commonmark").enable("table").render("\n".join(files.values()))
    body = re.sub(r'<a href="(?!https?:)[^"]*">(.*?)</a>', r"\1", body)  # to files that do not travel with this one
    for name, picture in pictures.items():
        files[f"images/study-{name}.svg"] = picture
        embedded = "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
        body = body.replace(f'src="images/study-{name}.svg"', f'src="{embedded}"')
    return Report(files | {"study.html": environment.get_template("study.html.j2").render(body=body)})


def with_interval(mean: Mean | None) -> str:
    """Write a mean in percent, with the half-width of its interval."""
    if mean is None:
        return NONE
    return f"{mean.value:.2f}" + (f"{SPACE}±{SPACE}{mean.high - mean.value:.2f}" if mean.n > 1 else "")


def points(effect: Mean | None) -> str:
    """Write a difference in points, with its interval."""
    if effect is None:
        return NONE
    interval = f" ({effect.low:+.2f}{SPACE}to{SPACE}{effect.high:+.2f})" if effect.n > 1 else ""
    return f"{effect.value:+.2f}{interval}"


def size(effect: Mean | None) -> str:
    """Write an effect as a multiple of its standard deviation."""
    return f"{effect.size:+.1f}" if effect and effect.n > 1 and math.isfinite(effect.size) else NONE


def probability(p: float) -> str:
    """Write a p-value."""
    return f"<{SPACE}0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def counted(numbers: Collection[int], thing: str) -> str:
    """Write `1 seed`, `3 seeds`, `2 to 5 seeds`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return (f"{low}" if low == high else f"{low} to {high}") + f" {thing}" + ("" if high == 1 else "s")


Column = Callable[[Variant], str]


class Tables:
    """The tables of the report, by name."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def table(self, head: Sequence[str], variants: Sequence[Variant], *columns: Column) -> str:
        """Write a table with a line for each of the variants, and a last column of how many seeds it has."""
        body = [[*(column(v) for column in columns), str(self.results.count(v.name))] for v in variants]
        return markdown_table([*head, "seeds"], body)

    def figure(self, figure: str) -> Column:
        """Make a column of the means of a figure."""
        return lambda v: with_interval(self.results.mean(v.name, figure))

    def title(self, v: Variant) -> str:
        """Return the title of a variant, which may be called by the name of the one that it is made of."""
        return self.results.titles.get(v.title, v.title)

    def of(self, *groups: str, against: str = "reference") -> str:
        """Set every variant of some groups beside the one they are measured against."""
        results = self.results
        variants = [v for v in results.variants if v.name == against]
        variants += [v for v in results.group(*groups) if v.name != against]

        def early(output: str) -> Column:
            return lambda v: with_interval(results.mean(v.name, output) and results.after_an_epoch(v.name, output))

        def gain(v: Variant) -> Mean | None:
            return None if v.name == against else results.effect(v.name, against, "sum")

        head = ["", "digit %", "sum %", "joint %", "after an epoch: digit %", "sum %",
                f"steps to {100 * LEARNED:.0f}{SPACE}% sums", "sum, points against the first line", "d"]  # fmt: skip
        return self.table(
            head, variants, lambda v: v.title, *map(self.figure, OUTPUTS), early("digit"), early("sum"), self.steps,
            lambda v: points(gain(v)), lambda v: size(gain(v)),
        )  # fmt: skip

    def steps(self, v: Variant) -> str:
        """Write the median step at which the sum was learned, and how many seeds never got there."""
        if self.results.mean(v.name, "sum") is None:
            return NONE
        steps = self.results.steps_to_learn(v.name)
        learned = [step for step in steps if step is not None]
        if not learned:
            return "never"
        never = len(steps) - len(learned)
        return f"{median(learned):g}" + (f" ({never} of {len(steps)} never)" if never else "")

    def published(self) -> str:
        """Set what a published design gives here beside what its authors report."""
        head = ["design", "its author: digit %", "its author: sum %", "here: digit %", "sum %", "joint %"]
        theirs: list[Column] = [lambda v: (v.published or (NONE, NONE))[0], lambda v: (v.published or (NONE, NONE))[1]]
        variants = self.results.group("published")
        return self.table(head, variants, lambda v: v.title, *theirs, *map(self.figure, OUTPUTS))

    def compared(self) -> dict[str, list[float]]:
        """Return joint accuracies of each design of the main comparison, over the seeds that all have; none if too
        few."""
        by_seed = {name: self.results.by_seed(name, "joint") for name in MAIN if name in self.results}
        seeds = sorted(set.intersection(*(set(values) for values in by_seed.values()))) if by_seed else []
        enough = len(seeds) > 1 and len(by_seed) > 1
        return {name: [values[seed] for seed in seeds] for name, values in by_seed.items()} if enough else {}

    def main(self) -> str:
        """Compare every two designs of the main comparison."""
        titles, values = self.results.titles, self.compared()
        body = [
            [titles[c.first], titles[c.second], points(c.effect), size(c.effect), probability(c.corrected),
             probability(c.signs)]
            for c in compare_all(values)
        ]  # fmt: skip
        head = ["", "against", "joint, points", "d", "p, Holm", "p of sign flips, alone"]
        return markdown_table(head, body) + f"\n\nn = {len(next(iter(values.values())))} seeds, the same for all."

    def spread(self) -> str:
        """Show how far the seeds of the main designs lie apart."""

        def extreme(choose: Callable[[Collection[float]], float]) -> Column:
            return lambda v: f"{choose(self.results.by_seed(v.name, 'joint').values()):.2f}"

        def deviation(v: Variant) -> str:
            mean = self.results.mean(v.name, "joint")
            return f"{mean.spread:.2f}" if mean and mean.n > 1 else NONE

        variants = [v for v in self.results.variants if v.name in MAIN and self.results.mean(v.name, "joint")]
        head = ["", "joint %", "standard deviation", "worst seed", "best seed"]
        return self.table(
            head, variants, lambda v: v.title, self.figure("joint"), deviation, extreme(min), extreme(max)
        )

    def beyond(self) -> str:
        """Show sums with numbers above 9."""
        body = [
            [v.title, *(self.figure(name)(v) for name in ("sum", "sum_beyond"))]
            for v in self.results.group("fusion", "number", "sum", "original", "published")
            if self.results.mean(v.name, "sum_beyond")
        ]
        return markdown_table(["", "sum %, numbers 0 to 9", "numbers 10 to 15"], body)

    def has_beyond(self) -> bool:
        """Whether any design can be asked for numbers above 9."""
        return any(self.results.mean(v.name, "sum_beyond") for v in self.results.variants)

    def rates(self) -> str:
        """Show sums of the designs that fall behind, by learning rate."""
        names = dict.fromkeys(v.name.rpartition("-rate-")[0] for v in self.results.group("rates"))
        body = [
            [self.results.titles[name],
             *(with_interval(self.results.mean(f"{name}-rate-{rate}" if rate else name, "sum")) for rate in RATES)]
            for name in names if name in self.results
        ]  # fmt: skip
        return markdown_table(["sum % at", *RATES.values()], body)

    def unseen(self) -> str:
        """Show sums of combinations that training showed, and of those that it left out."""
        head, variants = ["", "sum %, combinations seen", "never seen"], self.results.group("left-out")
        return self.table(head, variants, self.title, self.figure("sum_seen"), self.figure("sum_unseen"))

    def skewed(self) -> str:
        """Show sums by number, where large numbers were seldom drawn."""

        def with_number(number: int) -> Column:
            return lambda v: f"{self.results.sum_by_number(v.name)[number]:.2f}"

        head, variants = ["", "sum %", "… with 0", "3", "6", "9"], self.results.group("skewed")
        return self.table(head, variants, self.title, self.figure("sum"), *map(with_number, (0, 3, 6, 9)))

    def counted(self) -> str:
        """Show the same answers, counted in ways that are about."""
        body = [
            [v.title, self.figure("sum")(v), title, self.figure(figure)(v)]
            for v in self.results.group("sum", "original")
            for figure, title in COUNTED.items()
            if self.results.mean(v.name, figure)
        ]
        return markdown_table(["", "sum %", "counted otherwise", "gives"], body)

    def directions(self) -> str:
        """Show how many directions the number's encoding takes, in trained networks."""
        body = []
        for name in (name for name in ENCODED if name in self.results):
            lists = [row["number_singular_values"] for row in self.results.rows[name]]
            counts = [sum(value > 1e-3 * values[0] for value in values) for values in lists]
            low, high = min(counts), max(counts)
            body.append([self.results.titles[name], str(low) if low == high else f"{low} to {high}"])
        return markdown_table(["number given as", "directions"], body)


class Words:
    """Figures for sentences. The template asks for those of variants that have rows alone."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.rows = [row for rows in results.rows.values() for row in rows]

    def share(self, name: str, figure: str = "sum") -> str:
        """Write a mean in percent, plainly."""
        mean = self.results.mean(name, figure)
        return f"{mean.value:.2f} %" if mean else NONE

    def with_nine(self, name: str) -> str:
        """Write the share of sums right with the number 9."""
        return f"{self.results.sum_by_number(name)[9]:.2f} %"

    def against(self, name: str, other: str, figure: str = "sum") -> str:
        """Write a difference in words, and whether it is clear of zero."""
        effect = self.results.effect(name, other, figure)
        if effect is None or effect.n < 2:
            return "has not been measured with enough seeds yet to say what it does"
        if not effect.clear:
            return f"makes no difference that {effect.n} seeds could show ({points(effect)} points)"
        amount = f"{abs(effect.value):.2f} points (95 % interval {effect.low:+.2f} to {effect.high:+.2f})"
        return f"{'raises' if effect.value > 0 else 'lowers'} it by {amount}"

    def counts(self) -> str:
        """Write how many runs of how many designs there are."""
        return f"{counted([len(self.rows)], 'run')} of {counted([len(self.results.variants)], 'design')}"

    def missing(self) -> int:
        """Count the variants of the whole study that no row is of."""
        return sum(v.name not in self.results for v in VARIANTS)

    def main(self) -> str:
        """Write how many designs are compared with how many seeds."""
        counts = [self.results.count(name) for name in MAIN if name in self.results]
        return f"{counted([len(counts)], 'design')}, {counted([min(counts)], 'seed')}"

    def seeds(self, *groups: str) -> str:
        """Write how many seeds the variants of some groups have; without groups, all variants."""
        return counted([self.results.count(v.name) for v in self.results.group(*groups)], "seed")

    def epochs(self, *groups: str) -> str:
        """Write for how many epochs the variants of some groups are trained; without groups, all variants."""
        return counted([v.recipe.epochs for v in self.results.group(*groups)], "epoch")

    def machines(self) -> str:
        """Write where the rows were measured, and with which torch."""
        processors = sorted({row["machine"]["processor"] for row in self.rows})
        versions = sorted({row["machine"]["versions"]["torch"] for row in self.rows})
        return f"{'; '.join(processors)}; torch {', '.join(versions)}"

    def time(self) -> str:
        """Write what all of the training took."""
        return duration(sum(row["seconds"] for row in self.rows))
