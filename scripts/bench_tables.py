"""The tables and plots of docs/benchmarks.md, from the rows of docs/results/bench.jsonl and runs.jsonl."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sumnist.evaluation.plots import GREY, STYLE, as_svg, new_figure
from sumnist.evaluation.text import markdown_table

__all__ = ["PLOTS", "TABLES"]

Rows = list[dict[str, Any]]
RECIPES = {
    "fast-exact": "`fast`",
    "reference": "one-epoch reference recipe",
    "example": "the example most start from",
}
PLOTTED = {
    "fast-exact": "fast", "fast-concat": "fast, concat", "default-exact": "default",
    "default-concat": "default, concat",
    "original": "original", "reference": "reference recipe", "example": "the usual example",
}  # fmt: skip
NOT_MEASURED = "\n*Not measured yet.*\n"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
TIMES = {1: "1 s", 3: "3 s", 10: "10 s", 30: "30 s", 60: "1 min", 300: "5 min", 900: "15 min"}
SIZES = {3e5: "0.3 MB", 1e6: "1 MB", 3e6: "3 MB", 1e7: "10 MB", 3e7: "30 MB"}
LATE, LARGE = 200, 4e6
"""Seconds of training and bytes from which a label stands on the left of its point, for room."""


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table between two line ends."""
    return f"\n{markdown_table(head, body, figures=False)}\n" if body else NOT_MEASURED


def part(rows: Rows, name: str) -> Rows:
    """The rows of one part of the benchmarks."""
    return [row for row in rows if row.get("part") == name]


def names(rows: Rows) -> list[Any]:
    """The names in the rows, in order."""
    return list(dict.fromkeys(row["name"] for row in rows))


def agreeing(rows: Rows, /, **where: Any) -> Rows:
    """The rows that agree with `where`."""
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def median(rows: Rows, key: str, /, **where: Any) -> float:
    """The median of a value over the rows that agree with `where`."""
    return float(statistics.median(row[key] for row in agreeing(rows, **where)))


def spread(numbers: Sequence[float], digits: int = 2) -> str:
    """Mean ± standard deviation."""
    if not numbers:
        return "–"
    mean = f"{statistics.mean(numbers):.{digits}f}"
    return f"{mean} ± {statistics.stdev(numbers):.{digits}f}" if len(numbers) > 1 else mean


def newest(rows: Rows) -> Rows:
    """The rows of the processor that measured last: times on different ones are not to be mixed."""
    last = max(((row["date"], row["machine"]["processor"]) for row in rows), default=("", ""))[1]
    return [row for row in rows if row["machine"]["processor"] == last]


def machines(rows: Rows) -> tuple[str, str]:
    """Processors and versions of torch, in words."""
    processors = sorted({f"{row['machine']['processor']}, {row['machine']['cores']} cores" for row in rows})
    return "; ".join(processors), ", ".join(sorted({row["machine"]["versions"]["torch"] for row in rows}))


def processor(rows: Rows) -> str:
    """Where the rows of the benchmarks were measured, and with what."""
    others = (
        "robustness", "serving-", "strips", "addition", "checksum-", "queries", "sheet-", "class-of-sheets", "pile",
        "page-", "drawings",
    )  # fmt: skip
    rows = [row for row in rows if "part" in row and not row["part"].startswith(others)]
    processors, torch = machines(rows)
    return f"{processors}; torch {torch}"


def goal(rows: Rows) -> str:
    """Recipes to 99 %, by processor: only runs of the same seeds on the same machine stand side by side."""
    runs = [row for row in rows if row.get("plan") in RECIPES and row["config"]["threads"] == 2]
    body = []
    for machine in sorted({row["machine"]["processor"] for row in runs}):
        here = [row for row in runs if row["machine"]["processor"] == machine]
        fast = agreeing(here, plan="fast-exact")
        for plan, title in RECIPES.items():
            if measured := agreeing(here, plan=plan):
                times = [row["seconds"] for row in measured]
                epochs = sorted({row["config"].get("epochs", 1) for row in measured})
                body.append([
                    title, machine, " or ".join(map(str, epochs)), f"{measured[0]['evaluation']['parameters']:,}",
                    f"{statistics.mean(100 * row['evaluation']['digit']['value'] for row in measured):.2f}",
                    f"{statistics.median(times):.2f} s", f"{min(times):.2f} – {max(times):.2f} s",
                    f"{statistics.median(times) / median(fast, 'seconds'):.1f}" if fast else "–", str(len(measured)),
                ])  # fmt: skip
    head = ["recipe", "processor", "epochs", "parameters", "digit %", "median training", "range", "times `fast`", "n"]
    return table(head, body)


Cell = Callable[[Rows], str]
"""What a cell says of its rows."""


def middle(key: str, text: str, factor: float = 1) -> Cell:
    """A cell: the median of a value, times a factor, as `text` formats it."""
    return lambda rows: text.format(factor * median(rows, key))


def slowest(rows: Rows) -> str:
    """A cell: the most seconds."""
    return f"{max(row['seconds'] for row in rows):.2f} s"


def grouped(name: str, by: str, head: str, cells: dict[str, Cell], label: str = "{}") -> Callable[[Rows], str]:
    """A table of the part `name`, with a line for each value of the key `by`, as `label` formats it, and `cells` by
    the titles of their columns."""

    def written(rows: Rows) -> str:
        rows = part(rows, name)
        groups = {row[by]: agreeing(rows, **{by: row[by]}) for row in rows}
        body = [[label.format(value), *(cell(group) for cell in cells.values())] for value, group in groups.items()]
        return table([head, *cells], body)

    return written


def latency(rows: Rows) -> str:
    """One picture at a time, on one thread."""
    rows = part(rows, "latency")
    cells = {
        "p50": middle("p50", "{:.0f} µs", 1e6), "p99": middle("p99", "{:.0f} µs", 1e6),
        "times Reader": lambda here: f"{median(here, 'p50') / median(rows, 'p50', name='Reader'):.2f}",
    }  # fmt: skip
    return grouped("latency", "name", "one array in, an answer out", cells)(rows)


def beside(rows: Rows) -> str:
    """Pictures read now and by an earlier version, in turn: medians over the rounds, and the ratio."""
    rows = part(rows, "beside")
    body = []
    for name in names(rows):
        before, now = (1e3 * median(rows, "p50", name=name, which=which) for which in ("before", "now"))
        rounds = len(agreeing(rows, name=name, which="now"))
        body.append([name, f"{before:.3g} ms", f"{now:.3g} ms", f"{now / before:.2f}", str(rounds)])
    return table(["one picture", "before", "now", "now / before", "rounds"], body)


def throughput(rows: Rows) -> str:
    """Images a second, by batch size, on both threads."""
    rows = part(rows, "throughput")
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    body = [
        [name, str(threads),
         *(f"{median(rows, 'images_per_second', name=name, threads=threads, batch=batch):,.0f}" for batch in batches)]
        for name in names(rows)
        for threads in (1, 2)
    ]  # fmt: skip
    return table(["images a second, by batch", "threads", *map(str, batches)], body)


def roofline_shares(rows: Rows) -> str:
    """Where a step's time goes."""
    rows = agreeing(part(rows, "roofline"), name="fast")
    groups = list(rows[0]["shares"]) if rows else []
    shares = {group: statistics.median(row["shares"][group] for row in rows) for group in groups}
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return table(["of a step of `fast`", "share"], [[name, f"{100 * share:.0f} %"] for name, share in ordered])


def roofline_share(rows: Rows) -> str:
    """`fast` as a share of the best rate of products."""
    rows = part(rows, "roofline")
    if not rows:
        return "–"
    best = max(row["flops_per_second"] for row in rows if row["name"] != "fast")
    return f"{100 * median(rows, 'flops_per_second', name='fast') / best:.0f} %"


MEMORY = {
    "most memory in the middle third": middle("middle_third_bytes", "{:.0f} MB", 1e-6),
    "… in the last third": middle("last_third_bytes", "{:.0f} MB", 1e-6),
}
"""Cells: the memory that a scoring holds."""
TABLES: dict[str, Callable[[Rows], str]] = {
    "bench-processor": processor,
    "bench-goal": goal,
    "bench-latency": latency,
    "bench-pictures": grouped("pictures", "name", "one picture in, an answer out", {
        "median": middle("p50", "{:.3g} ms", 1e3),
    }),
    "bench-beside": beside,
    "bench-throughput": throughput,
    "bench-readings": grouped("readings", "name", "10,000 arrays, two threads", {
        "readings a second": middle("readings_per_second", "{:,.0f}"),
    }),
    "bench-size": grouped("size", "name", "packaged network", {
        "bytes": middle("bytes", "{:,.0f}"), "digit %": middle("digit", "{:.2f}", 100),
        "sum %": middle("sum", "{:.2f}", 100),
    }),
    "bench-cold-start": grouped("cold-start", "name", "command", {
        "median": middle("seconds", "{:.2f} s"), "slowest of 10": slowest,
        "memory": middle("peak_bytes", "{:.0f} MB", 1e-6),
    }, label="`{}`"),
    "bench-images": grouped("training-images", "images", "training images", {
        "training": middle("seconds", "{:.2f} s"), "digit % of held-out images": middle("accuracy", "{:.2f}", 100),
    }, label="{:,}"),
    "bench-rows": grouped("rows", "rows", "rows scored", {
        "time": middle("seconds", "{:.1f} s"), "rows a second": middle("rows_per_second", "{:,.0f}"), **MEMORY,
    }, label="{:,}"),
    "bench-processes": grouped("processes", "processes", "processes", {
        "three epochs of `fast`": middle("seconds", "{:.2f} s"),
        "digit % of held-out images": middle("validation_digit", "{:.2f}", 100),
    }),
    "bench-roofline": grouped("roofline", "name", "", {
        "10⁹ operations a second": middle("flops_per_second", "{:,.0f}", 1e-9),
    }),
    "bench-shares": roofline_shares,
    "bench-share": roofline_share,
}  # fmt: skip


def figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """An empty plot in the style of all others."""
    drawn = new_figure(9, 4.6, title)
    axes = drawn.subplots()
    axes.set(xlabel=x, ylabel=y)
    return drawn, axes


@matplotlib.rc_context(STYLE)
def accuracy_plot(rows: Rows) -> str:
    """Errors of each measured network against the seconds of its training, and against the bytes of its weights."""
    drawn = new_figure(11, 4.7, "Longer training makes fewer errors; a larger network does not")
    left, right = drawn.subplots(1, 2, sharey=True)
    left.set(xlabel="seconds of training (median)", ylabel="digit errors, %", xscale="log", yscale="log")
    right.set(xlabel="bytes of weights (blue: this package's networks)", xscale="log")
    for plan, label in PLOTTED.items():
        colour = GREY if plan in ("reference", "example") else COLOURS[0]
        measured = [row for row in rows if row.get("plan") == plan]
        if timed := newest([row for row in measured if row["config"].get("threads") == 2]):
            seconds = statistics.median(row["seconds"] for row in timed)
            labelled(left, seconds, errors_of(timed), label, colour, seconds > LATE)
        if measured:
            size = 4 * measured[0]["evaluation"]["parameters"]
            labelled(right, size, errors_of(measured), label, colour, size > LARGE, plan == "default-concat")
    for row in agreeing(part(rows, "size"), name="int8"):
        labelled(right, row["bytes"], 100 - 100 * row["digit"], "packaged, int8", COLOURS[2], False)
    left.set_xticks(list(TIMES), list(TIMES.values()))
    right.set_xticks(list(SIZES), list(SIZES.values()))
    left.set_yticks([0.25, 0.5, 1], ["0.25", "0.5", "1"])
    for axes in (left, right):
        axes.minorticks_off()
        axes.margins(0.14, 0.2)
    return as_svg(drawn)


def errors_of(rows: Rows) -> float:
    """The mean share of wrong digits, in percent."""
    return 100 - 100 * float(statistics.mean(row["evaluation"]["digit"]["value"] for row in rows))


def labelled(axes: Axes, x: float, y: float, label: str, colour: str, late: bool, below: bool = False) -> None:
    """A point with its name; `late`: to the left of it."""
    axes.plot(x, y, "o", ms=8, color=colour)
    axes.annotate(label, (x, y), xytext=(-7 if late else 7, -13 if late or below else 6), textcoords="offset points",
                  fontsize=8.5, color="#333333", ha="right" if late else "left")  # fmt: skip


@matplotlib.rc_context(STYLE)
def throughput_plot(rows: Rows) -> str:
    """Throughput against batch size, on both threads."""
    measured = agreeing(part(rows, "throughput"), threads=2)
    drawn, axes = figure(fastest(measured), "batch size (two threads, the network alone)", "images a second")
    batches = list(dict.fromkeys(row["batch"] for row in measured))
    for name, colour in zip(names(measured), COLOURS, strict=False):
        rates = [median(measured, "images_per_second", name=name, batch=batch) for batch in batches]
        axes.plot(batches, rates, "o-", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_yticks([3e3, 1e4, 3e4, 6e4], ["3,000", "10,000", "30,000", "60,000"])
    axes.minorticks_off()
    if measured:
        axes.set_xticks(batches, [f"{batch:,}" for batch in batches])
        axes.legend(fontsize=9)
    return as_svg(drawn)


def fastest(rows: Rows) -> str:
    """What answers most images a second, against torch at the same batch size, as a title."""
    if not rows:
        return "Throughput: not measured yet"
    best = max(rows, key=lambda row: median(rows, "images_per_second", name=row["name"], batch=row["batch"]))
    ours, torchs = (
        median(rows, "images_per_second", name=name, batch=best["batch"]) for name in (best["name"], "torch")
    )
    return f"{best['name']}: {ours / torchs:.1f} times torch's throughput in batches of {best['batch']}"


PLOTS: dict[str, Callable[[Rows], str]] = {"bench-accuracy": accuracy_plot, "bench-throughput": throughput_plot}
