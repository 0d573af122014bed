"""Make the figures of the pages that a query cannot express: tables whose columns depend on each other, sentences,
plots.

A mark `<!-- figure:NAME -->` in a page names one of `FIGURES`. Each is a function of all rows, as `evidence.py` reads
them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from lab.evidence import (
    FORMATS,
    PICKS,
    Row,
    Rows,
    agreeing,
    answered,
    by_date,
    first_of,
    grouped,
    last_of,
    median,
    newest,
    part,
    table,
    value_of,
)  # fmt: skip
from lab.records import SUMS, same, settings_of
from lab.rendering import as_svg
from lab.study import report
from sumnist.arithmetic.relations import KINDS, WEIGHTS, Kind, Posterior, Relations, Writer
from sumnist.arithmetic.values import Values
from sumnist.config import PRESETS
from sumnist.evaluation.plots import GREY, STYLE, new_figure
from sumnist.evaluation.text import percent
from sumnist.formulas import MISTAKE, Relation
from sumnist.sheets.check import SURE, WRONG, verdict

__all__ = ["FIGURES", "PLOTS"]

Figure = Callable[..., str]
FIGURES: dict[str, Figure] = {}
PLOTS: dict[str, Figure] = {}


Made = TypeVar("Made", bound=Callable[..., Any])


def entered(where: dict[str, Any], name: str) -> Callable[[Made], Made]:
    """Return a decorator that enters a function in `FIGURES`, `PLOTS` or `PICKS`."""

    def enter(make: Made) -> Made:
        where[name] = make
        return make

    return enter


# Queries of several pages, or of the README, which has little room for them.

SECONDS = """
from = "run"
where = {{plan = "{plan}", "config.threads" = 2}}
newest = "machine.processor"
text = "{{median seconds:seconds}}"
"""
COMMAND = """
from = "commands"
where = {{command = "{command}"}}
text = "{{seconds:duration}} on {{machine.cores}} cores of {{machine.processor}}{more}"
"""
QUERIES = {
    "fast-seconds": SECONDS.format(plan="fast-exact"),
    "fast-concat-time": SECONDS.format(plan="fast-concat"),
    "make": COMMAND.format(command="make", more=""),
    "make-test": COMMAND.format(command="make test", more=", {passed:,} tests"),
    "packaged-per-mille": """
        from = "run"
        where = {plan = "packaged", seed = 0}
        text = "{evaluation.joint.value * 1000:.0f}"
    """,
}
FIGURES |= {name: partial(answered, query) for name, query in QUERIES.items()}
FIGURES["original-epochs"] = lambda _: str(PRESETS["original"].epochs)
for _name, _share in (("mistake", MISTAKE), ("sure", SURE), ("wrong", WRONG)):
    FIGURES[f"sheet-{_name}"] = lambda _, share=_share: f"{100 * share:g} %"


# Runs and the study.


def of_study(make: Callable[..., str]) -> Figure:
    """Return the figure that makes its text from the results of the study."""
    return lambda rows, *words: make(report.results_of(part(rows, "study")), *words)


FIGURES |= {name: of_study(make) for name, make in report.FIGURES.items()}
PLOTS |= {name: of_study(partial(report.plotted, name)) for name in report.PLOTS}


@entered(PICKS, "recipes")
def recipes(rows: Rows) -> Rows:
    """Return the runs with two threads; a run without a setting for epochs gets one epoch."""
    return [row | {"config": {"epochs": 1} | row["config"]} for row in rows if row["config"]["threads"] == 2]


# Learning from sums.


@entered(PICKS, "planned")
def planned(rows: Rows) -> Rows:
    """Return the rows of test images whose settings are those of their current plan; the kind of sums and of labels,
    the seed and the threads do not matter. `told` says what the sums are."""
    found = []
    for row in agreeing(rows, set="test"):
        given = settings_of(row)
        if same(given, SUMS[row["name"]], {"digits", "addends", "operation", "supervision", "seed", "threads"}):
            subtracted = given["operation"] == "sub"
            told = "the difference of 2 numbers" if subtracted else f"{given['addends']:,} numbers added"
            found.append(row | {"told": told})
    return found


FORMATS |= {
    "computed": lambda is_so: "computed" if is_so else "learned",
    "kind": lambda part: part.partition("-")[2],
}


@entered(FIGURES, "arithmetic-slope")
def slope(rows: Rows, least: int = 100) -> str:
    """Write with which power of the number of digits the time of exact sums grows: the slope of the logarithms, from
    `least` digits on. With fewer digits, most of the time is the fixed cost of a call."""
    here = part(rows, "addition-growth")
    here = agreeing(here, addends=2)
    sizes = [size for size in sorted({row["digits"] for row in here}) if size >= least]
    told = []
    for question in ("log_prob", "posterior"):
        times = [median(here, "seconds", question=question, digits=size) for size in sizes]
        told.append(f"{np.polyfit(np.log(sizes), np.log(times), 1)[0]:.2f} (`{question}`)")
    return f"{' and '.join(told)} from {sizes[0]:,} to {sizes[-1]:,} digits"


# Numbers.

ENGINES = "ours", "ocr", "ocr alone", "both"
"""Only `ours` can still be measured; the others can be at commit 25bc3df2."""


def reader_of(row: Row) -> tuple[str, int]:
    """Return the digest of a row's networks, and the generation of its path from the picture."""
    return row["model_sha256"], row.get("path", 1)


@entered(PICKS, "quoted")
def quoted(rows: Rows) -> Rows:
    """Return, for the newest network of each engine, the first measurement of the reported half and the last of the
    development half."""
    now = {row["engine"]: reader_of(row) for row in first_of(rows, "engine", "model_sha256", "path")}
    found = [row for row in rows if reader_of(row) == now[row["engine"]]]
    groups = grouped(by_date(found), "engine", "kind", "set", "half", "name")
    quoted = [group[-1 if group[0]["half"] == "development" else 0] for group in groups.values()]
    return sorted(quoted, key=lambda row: ENGINES.index(row["engine"]))


# Pictures.

SURE_SHARE = 0.99
"""The coverage at which the tables give the risk."""
LEAST_COVERAGE = 0.9
"""The coverage at which the plot of risk against coverage begins."""


@entered(PICKS, "reported")
def reported(rows: Rows) -> Rows:
    """Return the first measurement of the reported half by the newest reader: the one whose first measurement is
    latest."""
    firsts = by_date(first_of(rows, "model_sha256", "path"))
    found = [row for row in agreeing(rows, half="reported") if reader_of(row) == reader_of(firsts[-1])]
    return by_date(found)[:1]


def curve(figures: Row) -> list[tuple[float, float]]:
    """Return the risk–coverage curve of an evaluation or a calibration, if it has one."""
    return [(coverage, risk) for coverage, risk in figures.get("digit_risk") or figures.get("risk_coverage") or []]


def risk_at(figures: Row, share: float = SURE_SHARE) -> float | None:
    """Return the share of wrong answers among the `share` that the network is surest of, None if it is unknown."""
    return next((risk for coverage, risk in curve(figures) if math.isclose(coverage, share)), None)


# The server.


@entered(PICKS, "both")
def now_and_before(rows: Rows) -> Rows:
    """Return the rows of the last run of a part: `now` for this checkout, `before` for the one beside it."""
    return [row | {"which": "now" if row["of"] == row["commit"] else "before",
                   "refusals": row["not_200"] / row["seconds"] if "not_200" in row else None}
            for row in newest(rows, "date")]  # fmt: skip


# Filled forms. Rows that differ only in their seed are added up.

SOURCES = {"cells": "cells", "photographed": "photographs", "scanned": "scans"}


@entered(PICKS, "sheets")
def sheets(rows: Rows) -> Rows:
    """Return the rows of each part that agree with its last row in path, half, networks and probability of mistakes;
    each measurement once, the last one.

    Outcomes get two keys: `as`, how the sheets came to the reader, and `added`, whether all totals are right.
    """
    found = []
    for here in grouped(rows, "part").values():
        ordered = by_date(here)
        same = {key: ordered[-1][key] for key in ("path", "half", "model_sha256", "mistakes")}
        found += last_of(agreeing(ordered, **same), "layout", "source", "ink", "seed", "wrong")
    return [row | {"outcomes": [one | {"as": SOURCES[row["source"]], "added": one["mistake"] is None}
                                for one in row["outcomes"]]} for row in found]  # fmt: skip


# A small sheet as a worked example, and the model of slips.

LARGEST = {"q1": 9, "q2": 9, "q3": 9, "total": 27}
FORMULA = Relation.of("total = q1 + q2 + q3")
FIRST, LAST = 4, 8
"""Numbers of the first and the last cell, which are read beyond doubt."""
MIDDLE: dict[int | Decimal, float] = {1: 0.55, 7: 0.45}
"""What the reader says about the middle cell."""
TOTALS = 19, 13, 18, 16
"""Totals that may be written: right if the cell is a 7, right if it is a 1, nearly right for a 7, right for neither."""
TERMS = 8, 12, 7
SLIPS: dict[Kind, tuple[int, str]] = {
    "off by one": (26, "a slip of counting: one more or one less; with halves, also a half"),
    "carry": (17, "a carry was lost, or counted twice: ten, or a hundred, more or less"),
    "skipped": (20, "one of the numbers was left out, each as probable"),
    "swapped": (72, "two neighbouring digits of the total changed places"),
    "anything": (33, "any other total, each as probable; also what the kinds above cannot be on that sheet"),
}
"""For each kind, the total that is written instead of the sum of `TERMS`, and what happened."""


def posterior(total: int) -> Posterior:
    """Return the posterior of the small sheet if this total is written."""
    read: dict[str, dict[int | Decimal, float]] = {
        "q1": {FIRST: 1.0}, "q2": MIDDLE, "q3": {LAST: 1.0}, "total": {total: 1.0},
    }  # fmt: skip
    return Relations(LARGEST, [FORMULA]).posterior({name: Values(values, 0.0) for name, values in read.items()})


def chance(probability: float) -> str:
    """Write a probability in percent."""
    is_near = 0 < probability < 0.0005 or 0.9995 < probability < 1
    return f"{100 * probability:.{2 if is_near else 1}f} %"


@entered(FIGURES, "sheet-example")
def example(_: Rows) -> str:
    """Write the probabilities of the middle cell before and after each total."""
    body = [["none yet", *map(chance, MIDDLE.values()), "", ""]]
    for total in TOTALS:
        found = posterior(total)
        numbers, probabilities = found.numbers["q2"]
        told = [chance(float(probabilities[numbers == value].sum())) for value in MIDDLE]
        body.append(
            [
                f"{FIRST} + ? + {LAST} = {total}",
                *told,
                chance(next(iter(found.kinds.values()))["right"]),
                verdict(found).state,
            ]
        )
    return table(["what is written", *(f"the cell is a {value}" for value in MIDDLE), "the total is added up right",
                  "the sheet"], body)  # fmt: skip


@entered(FIGURES, "sheet-example-steps")
def steps(_: Rows) -> str:
    """Write how the first total of that table is computed by hand."""
    total, writer = TOTALS[0], Writer(LARGEST["total"], len(FORMULA.terms))
    text, weights = "\n", {}
    for value, read in MIDDLE.items():
        terms = np.array([[FIRST, value, LAST]])
        written = float(writer.kinds(np.array([total]), terms).sum())
        weights[value] = read * written
        text += (
            f"- a {value}: read with {read:g}; the sum is {terms.sum()}, and who has that sum writes {total} with "
            f"{written:.3g}; together {read:g} × {written:.3g} = {weights[value]:.3g}\n"
        )
    value, weight = max(weights.items(), key=lambda one: one[1])
    whole = sum(weights.values())
    return f"{text}- so it is a {value} with {weight:.4g} / {whole:.4g} = {chance(weight / whole)}\n"


@entered(FIGURES, "sheet-channel")
def channel(_: Rows) -> str:
    """Write the kinds of wrong totals, how frequent they are, and an example of each."""
    weights = {KINDS[kind]: f"{100 * weight:g} %" for kind, weight in WEIGHTS.items()}
    body = [[name, meaning, str(written), weights[name]] for name, (written, meaning) in SLIPS.items()]
    terms = " + ".join(map(str, TERMS))
    return table(["kind", "what happened", f"such as, for {terms} = {sum(TERMS)}", "share of wrong totals"], body)


# Plots.

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
PLOTTED = {
    "nano-exact": "nano", "micro-exact": "micro", "small-exact": "small", "fast-exact": "fast",
    "fast-concat": "fast, concat", "default-exact": "default", "default-concat": "default, concat",
    "robust-exact": "robust", "original": "original", "reference": "reference recipe",
    "example": "the usual example",
}  # fmt: skip
TIMES = {1: "1 s", 3: "3 s", 10: "10 s", 30: "30 s", 60: "1 min", 300: "5 min", 900: "15 min"}
SIZES = {1e3: "1,000", 1e4: "10,000", 1e5: "100,000", 1e6: "1 million", 1e7: ""}
BEST_OF_700 = "697: best of ~700"
LATE, LARGE = 200, 2e6
LEFT, BELOW = ("micro", "reference recipe", "robust", "default"), ("default, concat", BEST_OF_700)
"""Beyond these seconds of training, or parameters, a label stands on the left of its point, where there is room. So do
the labels of some networks beside others with as many parameters; other such labels stand below."""
PUBLISHED = {BEST_OF_700: (697, 99.03), "7,070": (7_070, 99.4), "4.7 million": (4.73e6, 99.738)}
"""Published networks, with their parameters and the share of the test images that they read right, in percent. The page
names their sources."""


@entered(PLOTS, "bench-accuracy")
@matplotlib.rc_context(STYLE)
def accuracy_plot(rows: Rows) -> str:
    """Plot the errors of each measured network against the seconds of its training, and against its parameters, beside
    published networks."""
    drawn = new_figure(11, 4.7, "Longer training makes fewer errors; more parameters do not by themselves")
    left, right = drawn.subplots(1, 2, sharey=True)
    left.set(xlabel="seconds of training (median)", ylabel="digit errors, %", xscale="log", yscale="log")
    right.set(xlabel="parameters (blue: this package, means over seeds; grey: others)", xscale="log")

    def errors_of(here: Rows) -> float:
        return 100 - float(statistics.mean(100 * value_of(row, "evaluation.digit.value") for row in here))

    def labelled(axes: Axes, x: float, y: float, label: str, colour: str, late: bool) -> None:
        axes.plot(x, y, "o", ms=8, color=colour)
        axes.annotate(label, (x, y), xytext=(-7 if late else 7, -13 if late or label in BELOW else 6),
                      textcoords="offset points", fontsize=8.5, color="#333333",
                      ha="right" if late else "left")  # fmt: skip

    for plan, label in PLOTTED.items():
        colour = GREY if plan in ("reference", "example") else COLOURS[0]
        measured = agreeing(part(rows, "run"), plan=plan)
        if timed := newest(agreeing(measured, **{"config.threads": 2})):
            spent = median(timed, "seconds")
            labelled(left, spent, errors_of(timed), label, colour, spent > LATE)
        if measured:
            size = measured[0]["evaluation"]["parameters"]
            labelled(right, size, errors_of(measured), label, colour, size > LARGE or label in LEFT)
    for label, (size, share) in PUBLISHED.items():
        labelled(right, size, 100 - share, label, GREY, size > LARGE)
    left.set_xticks(list(TIMES), list(TIMES.values()))
    right.set_xticks(list(SIZES), list(SIZES.values()))
    left.set_yticks([0.25, 0.5, 1], ["0.25", "0.5", "1"])
    for axes in (left, right):
        axes.minorticks_off()
        axes.margins(0.14, 0.2)
    return as_svg(drawn)


@entered(PLOTS, "risk-coverage")
@matplotlib.rc_context(STYLE)
def risk_plot(rows: Rows) -> str:
    """Plot risk against coverage: for the training images, each out of fold, and for the test images, the mean over
    seeds."""
    tested = [run["evaluation"] for run in agreeing(part(rows, "run"), plan="packaged") if curve(run["evaluation"])]
    (row,) = part(rows, "calibration")[-1:]
    title = (f"Without the least sure {percent(1 - SURE_SHARE, 0)} %, {percent(risk_at(row))} % are wrong instead "
             f"of {percent(risk_at(row, 1.0))} %")  # fmt: skip
    drawn = new_figure(9, 4.6, title)
    axes = drawn.subplots()
    axes.set(xlabel="share of the images answered, the surest first", ylabel="wrong answers among them, %")
    seeds = f"mean of {len(tested)} seeds" if len(tested) > 1 else "one seed"
    lines = [(f"{row['images']:,} training images, out of fold", curve(row)),
             (f"{tested[0]['images']:,} test images, {seeds}", mean_curve([curve(e) for e in tested]))]  # fmt: skip
    axes.axvline(row["accepted"], color=GREY, lw=1, ls=(0, (4, 2)), label="share that the thresholds accept")
    for (label, ends), colour in zip(lines, COLOURS, strict=False):
        x, y = zip(*(end for end in ends if end[0] >= LEAST_COVERAGE), strict=True)
        axes.plot(x, [100 * risk for risk in y], "o-", ms=3, color=colour, label=label, clip_on=False)
    axes.set_xlim(LEAST_COVERAGE, 1.001)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=9, loc="upper left")
    return as_svg(drawn)


def mean_curve(curves: Sequence[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Return the mean risk at each coverage that all of `curves` have."""
    known = [dict(ends) for ends in curves]
    common = [coverage for coverage, _ in curves[0] if all(coverage in risks for risks in known)]
    return [(coverage, statistics.fmean(risks[coverage] for risks in known)) for coverage in common]
