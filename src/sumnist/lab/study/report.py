"""The report of a study, written from its rows: one Markdown text, as a page of the docs and as one HTML file."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sumnist.errors import MissingExtraError
from sumnist.evaluation.text import duration, markdown_table
from sumnist.files import make_folder, write_atomically
from sumnist.lab.study.figures import draw
from sumnist.lab.study.results import LEARNED, Results
from sumnist.lab.study.rows import Row
from sumnist.lab.study.statistics import Effect, Mean, compare_all
from sumnist.lab.study.variants import MAIN, VARIANTS, Variant

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markdown_it import MarkdownIt
except ImportError as error:
    raise MissingExtraError(error.name or "jinja2", "study", "the study's report") from error

__all__ = ["Report", "points", "report", "with_interval"]

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
        body = body.replace(f'src="images/study-{name}.svg"', f'src="{embedded(picture)}"')
    return Report(files | {"study.html": environment.get_template("study.html.j2").render(body=body)})


def embedded(picture: str) -> str:
    """An SVG as an address that holds all of it."""
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()


def with_interval(mean: Mean | None) -> str:
    """A mean in percent, with the half-width of its interval."""
    if mean is None:
        return NONE
    half = f"{SPACE}±{SPACE}{mean.high - mean.value:.2f}" if mean.n > 1 else ""
    return f"{mean.value:.2f}{half}"


def points(effect: Effect | None) -> str:
    """A difference in points, with its interval."""
    if effect is None:
        return NONE
    interval = f" ({effect.low:+.2f}{SPACE}to{SPACE}{effect.high:+.2f})" if effect.n > 1 else ""
    return f"{effect.difference:+.2f}{interval}"


def size(effect: Effect | None) -> str:
    """An effect as a multiple of its spread."""
    return f"{effect.size:+.1f}" if effect and effect.n > 1 and math.isfinite(effect.size) else NONE


def probability(p: float) -> str:
    """A p-value."""
    return f"<{SPACE}0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def counted(numbers: Collection[int], thing: str) -> str:
    """`1 seed`, `3 seeds`, `2 to 5 seeds`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return (f"{low}" if low == high else f"{low} to {high}") + f" {thing}" + ("" if high == 1 else "s")


class Tables:
    """The tables of the report, by name."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def means(self, name: str, *figures: str) -> list[str]:
        """The cells of some figures of a variant."""
        return [with_interval(self.results.mean(name, figure)) for figure in figures]

    def of(self, *groups: str, against: str = "reference") -> str:
        """Every variant of some groups beside the one they are measured against."""
        results = self.results
        group = results.group(*groups)
        first = [v for v in results.variants if v.name == against]
        head = ["", "digit %", "sum %", "joint %", "after an epoch: digit %", "sum %",
                f"steps to {100 * LEARNED:.0f}{SPACE}% sums", "sum, points against the first line", "d",
                "seeds"]  # fmt: skip
        body = []
        for v in first + [v for v in group if v.name != against]:
            difference = None if v.name == against else results.effect(v.name, against, "sum")
            digit, total = (with_interval(results.after_an_epoch(v.name, output)) for output in ("digit", "sum"))
            has_digit, has_sum = (results.mean(v.name, output) is not None for output in ("digit", "sum"))
            body.append([
                v.title, *self.means(v.name, *OUTPUTS), digit if has_digit else NONE, total if has_sum else NONE,
                self.steps(v.name) if has_sum else NONE, points(difference), size(difference),
                str(results.count(v.name)),
            ])  # fmt: skip
        return markdown_table(head, body)

    def steps(self, name: str) -> str:
        """The median step at which the sum was learned; how many seeds never got there."""
        steps = self.results.steps_to_learn(name)
        learned = [step for step in steps if step is not None]
        if not learned:
            return "never"
        never = len(steps) - len(learned)
        return f"{median(learned):g}" + (f" ({never} of {len(steps)} never)" if never else "")

    def published(self) -> str:
        """Published designs, rebuilt: what their authors report, and what the design gives here."""
        body = [
            [v.title, *(v.published or (NONE, NONE)), *self.means(v.name, *OUTPUTS), str(self.results.count(v.name))]
            for v in self.results.group("published")
        ]
        head = ["design", "its author: digit %", "its author: sum %", "here: digit %", "sum %", "joint %", "seeds"]
        return markdown_table(head, body)

    def compared(self) -> dict[str, list[float]]:
        """Joint accuracy of each design of the main comparison, over the seeds that all have; none if too few."""
        by_seed = {name: self.results.by_seed(name, "joint") for name in MAIN if name in self.results}
        seeds = sorted(set.intersection(*(set(values) for values in by_seed.values()))) if by_seed else []
        enough = len(seeds) > 1 and len(by_seed) > 1
        return {name: [values[seed] for seed in seeds] for name, values in by_seed.items()} if enough else {}

    def main(self) -> str:
        """Every two designs of the main comparison."""
        titles, values = self.results.titles, self.compared()
        body = [
            [titles[c.first], titles[c.second], points(c.effect), size(c.effect), probability(c.corrected),
             probability(c.signs)]
            for c in compare_all(values)
        ]  # fmt: skip
        head = ["", "against", "joint, points", "d", "p, Holm", "p of sign flips, alone"]
        return markdown_table(head, body) + f"\n\nn = {len(next(iter(values.values())))} seeds, the same for all."

    def spread(self) -> str:
        """How far the seeds of the main designs lie apart."""
        body = []
        for v in self.results.variants:
            mean = self.results.mean(v.name, "joint")
            if v.name in MAIN and mean is not None:
                values = self.results.values(v.name, "joint")
                spread = f"{mean.spread:.2f}" if mean.n > 1 else NONE
                extremes = (f"{value:.2f}" for value in (min(values), max(values)))
                body.append([v.title, with_interval(mean), spread, *extremes, str(mean.n)])
        return markdown_table(["", "joint %", "standard deviation", "worst seed", "best seed", "seeds"], body)

    def beyond(self) -> str:
        """Sums with numbers above 9."""
        body = [
            [v.title, *self.means(v.name, "sum", "sum_beyond")]
            for v in self.results.group("fusion", "number", "sum", "original", "published")
            if self.results.mean(v.name, "sum_beyond")
        ]
        return markdown_table(["", "sum %, numbers 0 to 9", "numbers 10 to 15"], body)

    def has_beyond(self) -> bool:
        """Whether any design can be asked for numbers above 9."""
        return any(self.results.mean(v.name, "sum_beyond") for v in self.results.variants)

    def rates(self) -> str:
        """Sums of the designs that fall behind, by learning rate."""
        names = dict.fromkeys(v.name.rpartition("-rate-")[0] for v in self.results.group("rates"))
        body = [
            [self.results.titles[name],
             *(with_interval(self.results.mean(f"{name}-rate-{rate}" if rate else name, "sum")) for rate in RATES)]
            for name in names if name in self.results
        ]  # fmt: skip
        return markdown_table(["sum % at", *RATES.values()], body)

    def unseen(self) -> str:
        """Sums of combinations that training showed, and of those that it left out."""
        body = [
            [self.title(v), *self.means(v.name, "sum_seen", "sum_unseen"), str(self.results.count(v.name))]
            for v in self.results.group("left-out")
        ]
        return markdown_table(["", "sum %, combinations seen", "never seen", "seeds"], body)

    def skewed(self) -> str:
        """Sums by number, where large numbers were seldom drawn."""
        shown = (0, 3, 6, 9)
        body = []
        for v in self.results.group("skewed"):
            by_number = self.results.sum_by_number(v.name)
            body.append([self.title(v), *self.means(v.name, "sum"), *(f"{by_number[number]:.2f}" for number in shown),
                         str(self.results.count(v.name))])  # fmt: skip
        return markdown_table(["", "sum %", "… with 0", "3", "6", "9", "seeds"], body)

    def title(self, v: Variant) -> str:
        """The title of a variant that is called by the name of the one that it is made of."""
        return self.results.titles.get(v.title, v.title)

    def counted(self) -> str:
        """The same answers, counted in ways that are about."""
        body = [
            [v.title, *self.means(v.name, "sum"), title, *self.means(v.name, figure)]
            for v in self.results.group("sum", "original")
            for figure, title in COUNTED.items()
            if self.results.mean(v.name, figure)
        ]
        return markdown_table(["", "sum %", "counted otherwise", "gives"], body)

    def directions(self) -> str:
        """How many directions the number's encoding takes, in trained networks."""
        body = []
        for name in ENCODED:
            if name in self.results:
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
        """A mean in percent, plainly."""
        mean = self.results.mean(name, figure)
        return f"{mean.value:.2f} %" if mean else NONE

    def with_nine(self, name: str) -> str:
        """The sums right with the number 9."""
        return f"{self.results.sum_by_number(name)[9]:.2f} %"

    def against(self, name: str, other: str, figure: str = "sum") -> str:
        """A difference in words, and whether it is clear of zero."""
        effect = self.results.effect(name, other, figure)
        if effect is None or effect.n < 2:
            return "has not been measured with enough seeds yet to say what it does"
        amount = f"{abs(effect.difference):.2f} points (95 % interval {effect.low:+.2f} to {effect.high:+.2f})"
        if not effect.clear:
            return f"makes no difference that {effect.n} seeds could show ({points(effect)} points)"
        return f"{'raises' if effect.difference > 0 else 'lowers'} it by {amount}"

    def counts(self) -> str:
        """How many runs of how many designs there are."""
        return f"{counted([len(self.rows)], 'run')} of {counted([len(self.results.variants)], 'design')}"

    def missing(self) -> int:
        """How many variants of the whole study there is no row of."""
        return sum(v.name not in self.results for v in VARIANTS)

    def main(self) -> str:
        """How many designs are compared with how many seeds."""
        counts = [self.results.count(name) for name in MAIN if name in self.results]
        return f"{counted([len(counts)], 'design')}, {counted([min(counts)], 'seed')}"

    def seeds(self, *groups: str) -> str:
        """How many seeds the variants of some groups have; without groups, all variants."""
        variants = self.results.group(*groups) if groups else self.results.variants
        return counted([self.results.count(v.name) for v in variants], "seed")

    def epochs(self, *groups: str) -> str:
        """For how many epochs the variants of some groups are trained; without groups, all variants."""
        variants = self.results.group(*groups) if groups else self.results.variants
        return counted([v.recipe.epochs for v in variants], "epoch")

    def machines(self) -> str:
        """Where the rows were measured, and with which torch."""
        processors = sorted({row["machine"]["processor"] for row in self.rows})
        versions = sorted({row["machine"]["versions"]["torch"] for row in self.rows})
        return f"{'; '.join(processors)}; torch {', '.join(versions)}"

    def time(self) -> str:
        """What all of the training took."""
        return duration(sum(row["seconds"] for row in self.rows))
