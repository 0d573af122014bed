"""The tables and plots of docs/benchmarks.md, from the rows of docs/results/bench.jsonl and runs.jsonl."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from sumnist.evaluation.plots import as_svg

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
GREY = "#666666"
TIMES = {1: "1 s", 3: "3 s", 10: "10 s", 30: "30 s", 60: "1 min", 300: "5 min", 900: "15 min"}
SIZES = {3e5: "0.3 MB", 1e6: "1 MB", 3e6: "3 MB", 1e7: "10 MB", 3e7: "30 MB"}
LATE, LARGE = 200, 4e6
"""Seconds of training and bytes from which a label stands on the left of its point, for room."""


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table between two line ends."""
    if not body:
        return NOT_MEASURED
    lines = [head, ["---"] * len(head), *body]
    return "\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def part(rows: Rows, name: str) -> Rows:
    """The rows of one part of the benchmarks."""
    return [row for row in rows if row.get("part") == name]


def names(rows: Rows) -> list[Any]:
    """The names in the rows, in order."""
    return list(dict.fromkeys(row["name"] for row in rows))


def median(rows: Rows, key: str, **where: Any) -> float:
    """The median of a value over the rows that agree with `where`."""
    return float(
        statistics.median(row[key] for row in rows if all(row[name] == value for name, value in where.items()))
    )


def processor(rows: Rows) -> str:
    """Where the rows of the benchmarks were measured, and with what."""
    rows = [row for row in rows if "part" in row and not row["part"].startswith(("robustness", "serving-"))]
    found = sorted({f"{row['machine']['processor']}, {row['machine']['cores']} cores" for row in rows})
    versions = sorted({f"torch {row['machine']['versions']['torch']}" for row in rows})
    return f"{'; '.join(found)}; {', '.join(versions)}"


def goal(rows: Rows) -> str:
    """Recipes to 99 %, by processor: only runs of the same seeds on the same machine stand side by side."""
    runs = [row for row in rows if row.get("plan") in RECIPES and row["config"]["threads"] == 2]
    body = []
    for machine in sorted({row["machine"]["processor"] for row in runs}):
        times = {
            plan: [row["seconds"] for row in runs if row["plan"] == plan and row["machine"]["processor"] == machine]
            for plan in RECIPES
        }
        for plan, title in RECIPES.items():
            found = [row for row in runs if row["plan"] == plan and row["machine"]["processor"] == machine]
            if not found:
                continue
            ratio = (
                statistics.median(times[plan]) / statistics.median(times["fast-exact"]) if times["fast-exact"] else 0
            )
            body.append([
                title, machine, " or ".join(map(str, sorted({row["config"].get("epochs", 1) for row in found}))),
                f"{found[0]['evaluation']['parameters']:,}",
                f"{statistics.mean(100 * row['evaluation']['digit']['value'] for row in found):.2f}",
                f"{statistics.median(times[plan]):.2f} s", f"{min(times[plan]):.2f} – {max(times[plan]):.2f} s",
                f"{ratio:.1f}" if ratio else "–", str(len(found)),
            ])  # fmt: skip
    head = ["recipe", "processor", "epochs", "parameters", "digit %", "median training", "range", "times `fast`", "n"]
    return table(head, body)


def latency(rows: Rows) -> str:
    """One picture at a time, on one thread."""
    rows = part(rows, "latency")
    if not rows:
        return NOT_MEASURED
    base = median(rows, "p50", name="Reader")
    body = [
        [name, f"{1e6 * median(rows, 'p50', name=name):.0f} µs", f"{1e6 * median(rows, 'p99', name=name):.0f} µs",
         f"{median(rows, 'p50', name=name) / base:.2f}"]
        for name in names(rows)
    ]  # fmt: skip
    return table(["one array in, an answer out", "p50", "p99", "times Reader"], body)


def picture_files(rows: Rows) -> str:
    """One picture file at a time, on one thread."""
    rows = part(rows, "pictures")
    if not rows:
        return NOT_MEASURED
    body = [[name, milliseconds(median(rows, "p50", name=name))] for name in names(rows)]
    return table(["one picture in, an answer out", "median"], body)


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


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


def readings(rows: Rows) -> str:
    """Readings a second from arrays."""
    rows = part(rows, "readings")
    body = [[name, f"{median(rows, 'readings_per_second', name=name):,.0f}"] for name in names(rows)]
    return table(["10,000 arrays, two threads", "readings a second"], body)


def size(rows: Rows) -> str:
    """Bytes and accuracy of both precisions."""
    body = [
        [row["name"], f"{row['bytes']:,}", f"{100 * row['digit']:.2f}", f"{100 * row['sum']:.2f}"]
        for row in part(rows, "size")
    ]
    return table(["packaged network", "bytes", "digit %", "sum %"], body)


def cold_start(rows: Rows) -> str:
    """Commands from start to end."""
    rows = part(rows, "cold-start")
    body = [
        [f"`{name}`", f"{median(rows, 'seconds', name=name):.2f} s",
         f"{max(row['seconds'] for row in rows if row['name'] == name):.2f} s",
         f"{median(rows, 'peak_bytes', name=name) / 1e6:.0f} MB"]
        for name in names(rows)
    ]  # fmt: skip
    return table(["command", "median", "slowest of 10", "memory"], body)


def growth_images(rows: Rows) -> str:
    """`fast` on part of the training images."""
    rows = part(rows, "training-images")
    body = [
        [f"{count:,}", f"{median(rows, 'seconds', images=count):.2f} s",
         f"{100 * median(rows, 'accuracy', images=count):.2f}"]
        for count in dict.fromkeys(row["images"] for row in rows)
    ]  # fmt: skip
    return table(["training images", "training", "digit % of held-out images"], body)


def growth_rows(rows: Rows) -> str:
    """`sumnist score` on longer and longer tables."""
    body = [
        [f"{row['rows']:,}", f"{row['seconds']:.1f} s", f"{row['rows_per_second']:,.0f}",
         f"{row['middle_third_bytes'] / 1e6:.0f} MB", f"{row['last_third_bytes'] / 1e6:.0f} MB"]
        for row in part(rows, "rows")
    ]  # fmt: skip
    head = ["rows scored", "time", "rows a second", "most memory in the middle third", "… in the last third"]
    return table(head, body)


def growth_processes(rows: Rows) -> str:
    """One process with two threads, and two with one."""
    rows = part(rows, "processes")
    body = [
        [str(count), f"{median(rows, 'seconds', processes=count):.2f} s",
         f"{100 * median(rows, 'validation_digit', processes=count):.2f}"]
        for count in dict.fromkeys(row["processes"] for row in rows)
    ]  # fmt: skip
    return table(["processes", "three epochs of `fast`", "digit % of held-out images"], body)


def roofline(rows: Rows) -> str:
    """What the processor multiplies, and what `fast` makes of it."""
    rows = part(rows, "roofline")
    body = [[name, f"{median(rows, 'flops_per_second', name=name) / 1e9:,.0f}"] for name in names(rows)]
    return table(["", "10⁹ operations a second"], body)


def roofline_shares(rows: Rows) -> str:
    """Where a step's time goes."""
    rows = [row for row in part(rows, "roofline") if row["name"] == "fast"]
    if not rows:
        return NOT_MEASURED
    shares = {name: statistics.median(row["shares"][name] for row in rows) for name in rows[0]["shares"]}
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return table(["of a step of `fast`", "share"], [[name, f"{100 * share:.0f} %"] for name, share in ordered])


def roofline_share(rows: Rows) -> str:
    """`fast` as a share of the best rate of products."""
    rows = part(rows, "roofline")
    if not rows:
        return "–"
    best = max(row["flops_per_second"] for row in rows if row["name"] != "fast")
    return f"{100 * median(rows, 'flops_per_second', name='fast') / best:.0f} %"


TABLES: dict[str, Callable[[Rows], str]] = {
    "bench-processor": processor,
    "bench-goal": goal,
    "bench-latency": latency,
    "bench-pictures": picture_files,
    "bench-throughput": throughput,
    "bench-readings": readings,
    "bench-size": size,
    "bench-cold-start": cold_start,
    "bench-images": growth_images,
    "bench-rows": growth_rows,
    "bench-processes": growth_processes,
    "bench-roofline": roofline,
    "bench-shares": roofline_shares,
    "bench-share": roofline_share,
}


def figure(title: str, x: str, y: str) -> tuple[Figure, Any]:
    """An empty plot in the style of the others."""
    drawn = Figure(figsize=(7, 4), layout="constrained")
    axes = drawn.add_subplot()
    styled(axes, title, x, y)
    return drawn, axes


def styled(axes: Any, title: str, x: str, y: str) -> None:
    """The style of all plots here."""
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6")
    axes.set_axisbelow(True)


def accuracy_plot(rows: Rows) -> str:
    """Errors of each measured network against the seconds of its training, and against the bytes of its weights."""
    drawn = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True)
    styled(left, "Errors fall with the time that training takes", "seconds of training (median)", "digit errors, %")
    styled(right, "… and not with the size of the network", "bytes of weights", "")
    for plan, label in PLOTTED.items():
        colour = GREY if plan in ("reference", "example") else COLOURS[0]
        measured = [row for row in rows if row.get("plan") == plan]
        if found := timed(measured):
            seconds = statistics.median(row["seconds"] for row in found)
            labelled(left, seconds, errors_of(found), label, colour, seconds > LATE)
        if measured:
            size = 4 * measured[0]["evaluation"]["parameters"]
            labelled(right, size, errors_of(measured), label, colour, size > LARGE, plan == "default-concat")
    for row in part(rows, "size"):
        if row["name"] == "int8":
            labelled(right, row["bytes"], 100 - 100 * row["digit"], "packaged, int8", COLOURS[2], False)
    left.set_xticks(list(TIMES), list(TIMES.values()))
    right.set_xticks(list(SIZES), list(SIZES.values()))
    left.set_yticks([0.25, 0.5, 1], ["0.25", "0.5", "1"])
    for axes in (left, right):
        axes.minorticks_off()
        axes.margins(0.14, 0.2)
    return as_svg(drawn)


def timed(rows: Rows) -> Rows:
    """Those on two threads, on the processor that measured last: other times are not to be mixed."""
    found = [row for row in rows if row["config"].get("threads") == 2]
    last = max((row["date"], row["machine"]["processor"]) for row in found)[1] if found else None
    return [row for row in found if row["machine"]["processor"] == last]


def errors_of(rows: Rows) -> float:
    """The mean share of wrong digits, in percent."""
    return 100 - 100 * float(statistics.mean(row["evaluation"]["digit"]["value"] for row in rows))


def labelled(axes: Any, x: float, y: float, label: str, colour: str, late: bool, below: bool = False) -> None:
    """A point with its name; `late`: to the left of it."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(x, y, "o", ms=8, color=colour)
    axes.annotate(label, (x, y), xytext=(-7 if late else 7, -13 if late or below else 6), textcoords="offset points",
                  fontsize=8.5, color="#333333", ha="right" if late else "left")  # fmt: skip


def throughput_plot(rows: Rows) -> str:
    """Throughput against batch size, on both threads."""
    found = part(rows, "throughput")
    drawn, axes = figure("The network alone, two threads", "batch size", "images a second")
    for name, colour in zip(names(found), COLOURS, strict=False):
        batches = list(dict.fromkeys(row["batch"] for row in found))
        rates = [median(found, "images_per_second", name=name, threads=2, batch=batch) for batch in batches]
        axes.plot(batches, rates, "o-", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_yticks([3e3, 1e4, 3e4, 6e4], ["3,000", "10,000", "30,000", "60,000"])
    axes.minorticks_off()
    if found:
        axes.set_xticks(batches, [f"{batch:,}" for batch in batches])
        axes.legend(frameon=False, fontsize=9)
    return as_svg(drawn)


PLOTS: dict[str, Callable[[Rows], str]] = {"bench-accuracy": accuracy_plot, "bench-throughput": throughput_plot}
