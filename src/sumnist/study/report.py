"""The report of a study, written from its rows: one Markdown text, as a page of the docs and as one HTML file."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sumnist.errors import MissingExtraError
from sumnist.files import make_folder, write_atomically
from sumnist.study.figures import draw
from sumnist.study.results import LEARNED, Results
from sumnist.study.statistics import Effect, Mean, compare_all
from sumnist.study.variants import MAIN, Variant

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markdown_it import MarkdownIt
except ImportError as error:
    raise MissingExtraError(error.name or "jinja2", "study", "the study's report") from error

__all__ = ["Report", "report"]

Table = tuple[list[str], list[list[str]]]
NONE = "–"
SPACE = "\u00a0"
"""One at which no line ends."""


@dataclass(frozen=True)
class Report:
    """The finished report: Markdown that looks for its pictures in a folder `images`, the pictures as SVG by name, and
    a self-contained HTML page."""

    markdown: str
    pictures: dict[str, str]
    html: str

    def write(self, markdown: Path, images: Path, html: Path) -> None:
        """Write all of it. Raises `OutputError`."""
        for folder in (markdown.parent, images, html.parent):
            make_folder(folder)
        write_atomically(markdown, self.markdown)
        write_atomically(html, self.html)
        for name, picture in self.pictures.items():
            write_atomically(images / f"study-{name}.svg", picture)


def report(rows: Sequence[dict[str, Any]], variants: Sequence[Variant]) -> Report:
    """The report of `rows`; those of recipes that are no longer studied are left out."""
    results = Results(rows, variants)
    pictures = draw(results)
    environment = Environment(
        loader=PackageLoader("sumnist.study"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    words = Words(results)
    environment.globals.update(
        results=results, words=words, tables=Tables(results), learned=f"{LEARNED:.0%}", **words.machine()
    )
    markdown = environment.get_template("design-choices.md.j2").render()
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    for name, picture in pictures.items():
        body = body.replace(f'src="images/study-{name}.svg"', f'src="{embedded(picture)}"')
    return Report(markdown, pictures, environment.get_template("study.html.j2").render(body=body))


def embedded(picture: str) -> str:
    """An SVG as an address that holds all of it."""
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()


def markdown(table: Table) -> str:
    """A table in Markdown."""
    head, body = table
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(mean: Mean | None) -> str:
    """A mean with the half-width of its interval."""
    if mean is None:
        return NONE
    half = f"{SPACE}±{SPACE}{mean.high - mean.value:.2f}" if mean.n > 1 else ""
    return f"{mean.value:.2f}{half}"


def points(effect: Effect | None, spaces: int = 2) -> str:
    """A difference with its interval."""
    if effect is None:
        return NONE
    interval = f" ({effect.low:+.{spaces}f}{SPACE}to{SPACE}{effect.high:+.{spaces}f})" if effect.n > 1 else ""
    return f"{effect.difference:+.{spaces}f}{interval}"


def size(effect: Effect | None) -> str:
    """An effect as a multiple of its spread."""
    if effect is None or effect.n < 2:
        return NONE
    return f"{effect.size:+.1f}" if math.isfinite(effect.size) else NONE


class Tables:
    """The tables of the report, by name."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def of(self, *groups: str, against: str = "reference") -> str:
        """Every variant of some groups beside the one they are measured against."""
        ask = self.results
        found = ask.group(*groups)
        if against in ask and all(v.name != against for v in found):
            found = [next(v for v in ask.variants if v.name == against), *found]
        head = ["", "digit %", "sum %", "joint %", "after an epoch: digit %", "sum %", f"steps to {LEARNED:.0%} sums",
                "sum, points against the first line", "d", "seeds"]  # fmt: skip
        body = []
        for v in sorted(found, key=lambda v: v.name != against):
            difference = None if v.name == against else ask.effect(v.name, against, "test.sum")
            silent = ask.mean(v.name, "test.sum") is None
            body.append([
                v.title, *(percent(ask.mean(v.name, f"test.{name}")) for name in ("digit", "sum", "joint")),
                percent(ask.after_an_epoch(v.name, "digit")) if v.recipe.learns_digit else NONE,
                NONE if silent else percent(ask.after_an_epoch(v.name, "sum")), NONE if silent else self.steps(v.name),
                points(difference), size(difference), str(len(ask.rows[v.name])),
            ])  # fmt: skip
        return markdown((head, body))

    def steps(self, name: str) -> str:
        """The median step at which the sum was learned; how many seeds never got there."""
        found = self.results.steps_to_learn(name)
        never = sum(step is None for step in found)
        if never == len(found):
            return "never"
        middle = median([step for step in found if step is not None])
        return f"{middle:g}" + (f" ({never} of {len(found)} never)" if never else "")

    def published(self) -> str:
        """Published designs, rebuilt: what their authors report, and what the design gives here."""
        body = [
            [v.title, *(v.published or (NONE, NONE)),
             *(percent(self.results.mean(v.name, f"test.{name}")) for name in ("digit", "sum", "joint")),
             str(len(self.results.rows[v.name]))]
            for v in self.results.group("published")
        ]  # fmt: skip
        head = ["design", "its author: digit %", "its author: sum %", "here: digit %", "sum %", "joint %", "seeds"]
        return markdown((head, body))

    def main(self) -> str:
        """Every two designs of the main comparison."""
        names = [name for name in MAIN if name in self.results]
        by_seed = {name: self.results.by_seed(name, "test.joint") for name in names}
        seeds = sorted(set.intersection(*(set(values) for values in by_seed.values()))) if names else []
        titles = {v.name: v.title for v in self.results.variants}
        if len(seeds) < 2 or len(names) < 2:
            return "*Not enough seeds yet.*"
        compared = compare_all({name: [values[s] for s in seeds] for name, values in by_seed.items()})
        body = [
            [titles[c.first], titles[c.second], points(c.effect), size(c.effect), probability(c.corrected),
             probability(c.signs)]
            for c in compared
        ]  # fmt: skip
        head = ["", "against", "joint, points", "d", "p, Holm", "p of sign flips, alone"]
        return markdown((head, body)) + f"\n\nn = {len(seeds)} seeds, the same for all."

    def spread(self) -> str:
        """How far the seeds of the main designs lie apart."""
        body = []
        for v in self.results.variants:
            mean = self.results.mean(v.name, "test.joint")
            if v.name in MAIN and mean is not None:
                values = self.results.values(v.name, "test.joint")
                spread = f"{mean.spread:.2f}" if mean.n > 1 else NONE
                extremes = (f"{value:.2f}" for value in (min(values), max(values)))
                body.append([v.title, percent(mean), spread, *extremes, str(mean.n)])
        return markdown((["", "joint %", "standard deviation", "worst seed", "best seed", "seeds"], body))

    def beyond(self) -> str:
        """Sums with numbers above 9."""
        body = []
        for v in self.results.group("fusion", "number", "sum", "original", "published"):
            found = self.results.mean(v.name, "test.sum_beyond")
            if found is not None:
                body.append([v.title, percent(self.results.mean(v.name, "test.sum")), percent(found)])
        return markdown((["", "sum %, numbers 0 to 9", "numbers 10 to 15"], body))

    def rates(self) -> str:
        """Sums of the designs that fall behind, by learning rate."""
        labels = {"quarter": "a quarter", None: "the common rate", "double": "twice", "tenfold": "ten times"}
        names = dict.fromkeys(v.name.rpartition("-rate-")[0] for v in self.results.group("rates"))
        titles = {v.name: v.title for v in self.results.variants}
        body = [
            [titles[name], *(percent(self.results.mean(f"{name}-rate-{label}" if label else name, "test.sum"))
                             for label in labels)]
            for name in names if name in titles
        ]  # fmt: skip
        return markdown((["sum % at", *labels.values()], body))

    def unseen(self) -> str:
        """Sums of combinations that training showed, and of those that it left out."""
        titles = {v.name: v.title for v in self.results.variants}
        body = [
            [titles.get(v.title, v.title), percent(self.results.mean(v.name, "test.sum_seen")),
             percent(self.results.mean(v.name, "test.sum_unseen")), str(len(self.results.rows[v.name]))]
            for v in self.results.group("left-out")
        ]  # fmt: skip
        return markdown((["", "sum %, combinations seen", "never seen", "seeds"], body))

    def skewed(self) -> str:
        """Sums by number, where large numbers were seldom drawn."""
        titles = {v.name: v.title for v in self.results.variants}
        body = []
        for v in self.results.group("skewed"):
            by_number = self.results.sum_by_number(v.name)
            body.append([titles.get(v.title, v.title), percent(self.results.mean(v.name, "test.sum")),
                         *(f"{by_number[number]:.2f}" for number in (0, 3, 6, 9)),
                         str(len(self.results.rows[v.name]))])  # fmt: skip
        return markdown((["", "sum %", "… with 0", "3", "6", "9", "seeds"], body))

    def counted(self) -> str:
        """The same answers, counted in ways that are about."""
        body = []
        for v in self.results.variants:
            for name, title in (("sum_cut", "the value cut, not rounded"),
                                ("sum_unrounded", "bits compared without a threshold")):  # fmt: skip
                found = self.results.mean(v.name, f"test.{name}")
                if found is not None and v.group in ("sum", "original"):
                    body.append([v.title, percent(self.results.mean(v.name, "test.sum")), title, percent(found)])
        return markdown((["", "sum %", "counted otherwise", "gives"], body))

    def directions(self) -> str:
        """How many directions the number's encoding takes, in trained networks."""
        body = []
        for name in ("reference", "scalar", "embedding", "path", "original", "original-biases"):
            lists = [row["number_singular_values"] for row in self.results.rows.get(name, [])]
            if lists:
                counts = [sum(value > 1e-3 * found[0] for value in found) for found in lists]
                title = next(v.title for v in self.results.variants if v.name == name)
                low, high = min(counts), max(counts)
                body.append([title, str(low) if low == high else f"{low} to {high}"])
        return markdown((["number given as", "directions"], body))


def probability(p: float) -> str:
    """A p-value."""
    return f"<{SPACE}0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


class Words:
    """Figures for sentences."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def share(self, name: str, figure: str = "sum", split: str = "test") -> str:
        """A mean in percent, plainly."""
        mean = self.results.mean(name, f"{split}.{figure}")
        return f"{mean.value:.2f} %" if mean else NONE

    def with_nine(self, name: str) -> str:
        """The sums right with the number 9."""
        return f"{self.results.sum_by_number(name)[9]:.2f} %" if name in self.results else NONE

    def against(self, name: str, other: str, figure: str = "sum") -> str:
        """A difference in words, and whether it is clear of zero."""
        effect = self.results.effect(name, other, f"test.{figure}")
        if effect is None or effect.n < 2:
            return "has not been measured with enough seeds yet to say what it does"
        amount = f"{abs(effect.difference):.2f} points (95 % interval {effect.low:+.2f} to {effect.high:+.2f})"
        if not effect.clear:
            return f"makes no difference that {effect.n} seeds could show ({points(effect)} points)"
        return f"{'raises' if effect.difference > 0 else 'lowers'} it by {amount}"

    def steps(self, name: str) -> str:
        """Steps until the sum is learned."""
        return Tables(self.results).steps(name) if name in self.results else NONE

    def best_of(self, *names: str, figure: str = "sum") -> str:
        """The best mean among some variants."""
        means = [mean.value for name in names if (mean := self.results.mean(name, f"test.{figure}"))]
        return f"{max(means):.2f} %" if means else NONE

    def main(self) -> str:
        """How many designs are compared with how many seeds."""
        counts = [len(self.results.rows[name]) for name in MAIN if name in self.results]
        return f"{len(counts)} designs, {min(counts, default=0)} seeds"

    def machine(self) -> dict[str, Any]:
        """Where and from what the rows come."""
        rows = [row for found in self.results.rows.values() for row in found]
        each: Callable[[str], list[str]] = lambda key: sorted({row["machine"][key] for row in rows})  # noqa: E731
        return {
            "count": len(rows), "variants": len(self.results.variants),
            "processors": "; ".join(each("processor")) if rows else NONE,
            "torch": ", ".join(sorted({row["machine"]["versions"]["torch"] for row in rows})) or NONE,
            "hours": f"{sum(row['seconds'] for row in rows) / 3600:.1f}",
        }  # fmt: skip
