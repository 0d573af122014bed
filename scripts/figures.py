"""The figures of the pages that are more than a query: tables whose columns depend on each other, sentences, plots.

A mark `<!-- figure:NAME -->` in a page names one of `FIGURES`. Each takes all rows, as `evidence.py` has them.
"""

from __future__ import annotations

import ast
import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from evidence import (
    FORMATS,
    NOT_MEASURED,
    PICKS,
    ROOT,
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
    spread,
    table,
)  # fmt: skip
from measure_addition import PLANS, config_of
from measure_sheets import UNIT
from sumnist.arithmetic.values import Values
from sumnist.config import PRESETS, Config, preset
from sumnist.evaluation.plots import GREY, STYLE, as_svg, new_figure
from sumnist.evaluation.text import percent
from sumnist.files import CONFIG, PRETRAINED
from sumnist.inference.numbers import TRUST
from sumnist.lab.study.designs import VARIANTS
from sumnist.lab.study.report import Results, points, with_interval
from sumnist.sheets.check import KINDS, MISTAKE, SURE, WEIGHTS, WRONG, Check, Kind, Posterior, Writer, verdict
from sumnist.sheets.layout import Formula

__all__ = ["FIGURES", "PLOTS"]

Figure = Callable[[Rows], str]
FIGURES: dict[str, Figure] = {}
PLOTS: dict[str, Figure] = {}


def named(name: str, *given: Any) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Enter a function in `FIGURES`, which gives it the rows and what is `given`."""

    def enter(make: Callable[..., str]) -> Callable[..., str]:
        FIGURES[name] = lambda rows: make(rows, *given)
        return make

    return enter


def picks(name: str) -> Callable[[Callable[[Rows], Rows]], Callable[[Rows], Rows]]:
    """Enter a rule in `PICKS`."""

    def enter(rule: Callable[[Rows], Rows]) -> Callable[[Rows], Rows]:
        PICKS[name] = rule
        return rule

    return enter


# Runs and the study.

PLANS_SHOWN = {
    "fast-exact": "`fast`, exact fusion", "fast-concat": "`fast`, concat fusion, 4 epochs",
    "default-exact": "`default`, exact fusion", "packaged": "the packaged network, exact fusion",
    "best-exact": "`best`, exact fusion", "default-concat": "`default`, concat fusion, ten numbers an image",
    "original": "`original`, its learned fusion and bits", "original-as-written": "`original-as-written`",
}  # fmt: skip
LOSSES = ("reference", "ten-numbers", "bits", "ordinal", "value", "softmax", "weights-5-1", "weights-1-5", "digit-only",
          "sum-only", "scalar", "scalar-bits", "to-8")  # fmt: skip
"""Variants of the study that answer which loss, on the page about the task."""
FUSIONS = ("exact", "reference", "deep", "logits", "argmax", "outer", "film", "plane", "linear-logits", "original")
"""Those that answer how the inputs are combined."""


def runs_of(rows: Rows, plan: str) -> Rows:
    """The runs of a plan, by seed."""
    return sorted((row for row in part(rows, "run") if row["plan"] == plan), key=lambda row: row["seed"])


def shares(rows: Rows, output: str) -> list[float]:
    """The accuracies of one output, in percent."""
    return [100 * row["evaluation"][output]["value"] for row in rows]


def seconds(number: float) -> str:
    """Seconds below a minute, minutes above."""
    return f"{number:.1f} s" if number < 60 else f"{number / 60:.1f} min"


@named("headline")
def headline(rows: Rows) -> str:
    """Every plan measured on the test grid, on the processor that measured it last."""
    body = []
    for plan, title in PLANS_SHOWN.items():
        if here := newest(runs_of(rows, plan)):
            alone = all(row["config"]["threads"] == 2 for row in here)
            spent = [row["cpu_seconds"] for row in here if row.get("cpu_seconds") is not None]
            evaluation = here[0]["evaluation"]
            body.append([
                title, "computed" if evaluation["sum_computed"] else "learned", f"{evaluation['parameters']:,}",
                *(spread(shares(here, output)) for output in ("digit", "sum", "joint")), str(len(here)),
                seconds(median(here, "seconds")) if alone else "–",
                seconds(statistics.median(spent)) if spent else "–",
            ])  # fmt: skip
    head = ["network", "the sum is", "parameters", "digit %", "sum %", "joint %", "seeds", "training, two threads",
            "processor time"]  # fmt: skip
    note = "\n–: not measured. Of a training on one thread beside another the time that passed tells nothing.\n"
    return table(head, body) + (note if any("–" in cells[-2:] for cells in body) else "")


@named("study-losses", LOSSES)
@named("study-fusions", FUSIONS)
def study(rows: Rows, names: tuple[str, ...]) -> str:
    """Some variants of the study."""
    results = Results(part(rows, "study"), VARIANTS)
    body = [[results.titles[name], *(with_interval(results.mean(name, o)) for o in ("digit", "sum", "joint")),
             points(results.effect(name, "reference", "sum")) if name != "reference" else "",
             str(results.count(name))] for name in names if name in results]  # fmt: skip
    return table(["design", "digit %", "sum %", "joint %", "sum, points against the reference", "seeds"], body)


def races(rows: Rows) -> dict[str, dict[int, float]]:
    """By processor and seed, how many times as long as `fast` the reference recipe took."""
    ratios: dict[str, dict[int, float]] = {}
    fast = {(row["machine"]["processor"], row["seed"]): row["seconds"] for row in runs_of(rows, "fast-exact")}
    for row in runs_of(rows, "reference"):
        key = row["machine"]["processor"], row["seed"]
        if key in fast:
            ratios.setdefault(key[0], {})[key[1]] = row["seconds"] / fast[key]
    return dict(sorted(ratios.items()))


@named("race")
def race(rows: Rows) -> str:
    """`fast` against the reference recipe, measured in turn, seed by seed, on each machine that measured both."""
    body = []
    for processor, ratios in races(rows).items():
        for plan, title in (("fast-exact", "`fast`"), ("reference", "the reference recipe")):
            runs = [row for row in runs_of(rows, plan) if row["machine"]["processor"] == processor]
            runs = [row for row in runs if row["seed"] in ratios]
            body.append([title, processor, f"{runs[0]['evaluation']['parameters']:,}", spread(shares(runs, "digit")),
                         *times_of(runs), "" if plan == "fast-exact" else f"{statistics.median(ratios.values()):.2f}",
                         str(len(runs))])  # fmt: skip
    head = ["recipe, one epoch", "processor", "parameters", "digit %", "median training", "range", "times `fast`",
            "seeds"]  # fmt: skip
    return table(head, body)


def times_of(runs: Rows) -> tuple[str, str]:
    """The median time of training, and the range."""
    times = [row["seconds"] for row in runs]
    return f"{statistics.median(times):.2f} s", f"{min(times):.2f} – {max(times):.2f} s"


@named("ratio")
def ratio(rows: Rows) -> str:
    """How much longer the reference recipe takes: the median of the ratios, seed by seed, by processor."""
    medians = [f"{statistics.median(ratios.values()):.1f}" for ratios in races(rows).values()]
    return " and ".join(dict.fromkeys(medians)) or "–"


@picks("recipes")
def recipes(rows: Rows) -> Rows:
    """The runs with two threads, with the epochs that are none of their settings."""
    return [row | {"config": {"epochs": 1} | row["config"]} for row in rows if row["config"]["threads"] == 2]


@named("packaged-per-mille")
def packaged_per_mille(rows: Rows) -> str:
    """Of 1,000 test digits, how many the network of the package reads and adds right: the run with its settings."""
    seed = json.loads((PRETRAINED / CONFIG).read_text(encoding="utf-8"))["seed"]
    right = shares([row for row in runs_of(rows, "packaged") if row["seed"] == seed], "joint")
    return f"{10 * right[-1]:.0f}" if right else "–"


@named("modules")
def modules(_: Rows) -> str:
    """Every module of the package by wing, with the first paragraph of its docstring."""
    source = ROOT / "src/sumnist"
    body = []
    for path in sorted(source.rglob("*.py"), key=lambda path: (len(path.relative_to(source).parts) > 1, path)):
        text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].split())
        body.append([f"`{path.relative_to(source).with_suffix('').as_posix()}`", text.rstrip(".").replace("|", "\\|")])
    return table(["module", "what lives there"], [row for row in body if "__" not in row[0]])


FIGURES["original-epochs"] = lambda _: str(PRESETS["original"].epochs)
QUERIES = {
    name: f'from = "run"\nwhere = {{plan = "{plan}", "config.threads" = 2}}\nnewest = "machine.processor"\n'
    'text = "{median seconds:seconds}"'
    for name, plan in (("fast-seconds", "fast-exact"), ("fast-concat-time", "fast-concat"))
} | {
    "make": 'from = "commands"\nwhere = {command = "make"}\ntext = "{seconds:duration} on {machine.cores} cores"',
    "make-test": 'from = "commands"\nwhere = {command = "make test"}\n'
    'text = "{seconds:duration} on {machine.cores} cores, {passed:,} tests"',
}
"""Queries that several pages make, or the README, which has little room."""
FIGURES |= {name: partial(answered, query) for name, query in QUERIES.items()}


# Benchmarks.


# Exact sums.

QUESTIONS = {"log_prob": "`log_prob`", "posterior": "`posterior`"}
SLOPE_FROM = 100
"""Digits from which on time is a power of them: with fewer, what a call costs in any case is most of it."""


@named("arithmetic-slope")
def slope(rows: Rows) -> str:
    """By which power of the digits the times grow, from so many on: the slope of the logarithms."""
    here = part(rows, "addition-growth")
    here = agreeing(here, addends=min((row["addends"] for row in here), default=0))
    digits = [size for size in sorted({row["digits"] for row in here}) if size >= SLOPE_FROM]
    if len(digits) < 2:
        return NOT_MEASURED

    def power(question: str) -> float:
        times = [median(here, "seconds", question=question, digits=size) for size in digits]
        return float(np.polyfit(np.log(digits), np.log(times), 1)[0])

    powers = " and ".join(f"{power(question):.2f} ({name})" for question, name in QUESTIONS.items())
    return f"{powers} from {digits[0]:,} to {digits[-1]:,} digits"


# Learning from sums.

TITLES = {"lenet": "Sumnist, LeNet of the protocol", "own": "Sumnist, its encoder and augmentation"}
PUBLISHED_SUMS: dict[str, dict[int, str]] = {
    "DeepProofLog (2026), exact": {4: "94.0 ± 0.3", 15: "80.8 ± 1.1", 100: "37.8 ± 2.9", 200: "23.2", 500: "6.0"},
    "DeepSoftLog": {4: "93.5", 15: "77.1"},
    "PLIA": {4: "91.8", 15: "79.0"},
    "A-NeSI": {1: "97.7", 2: "96.0", 4: "92.6", 15: "76.8"},
    "NeSyDM": {4: "92.5", 15: "77.3"},
    "DeepStochLog": {1: "97.9", 2: "96.4", 4: "92.7"},
    "ABLkit": {1: "98.0"},
}
"""The percent of sums of two numbers that published systems get right, by the digits of a number, as their papers and
the comparison in that of DeepProofLog give them."""
CHANGED = "lr", "epochs", "batch_size", "weight_decay", "warmup", "lr_floor", "ema", "schedule", "augment", "precision"
"""Settings that are chosen by rows of held-out images."""


def as_planned(rows: Rows, /, **where: Any) -> Rows:
    """The rows of test images whose settings are those of their plan as it is now, whatever is measured with them, and
    agree with `where`."""
    found = []
    for row in agreeing(part(rows, "addition"), set="test"):
        given = config_of(row)
        asked = ("digits", "addends", "operation", "supervision", "seed", "threads")
        planned: Config = preset(PLANS[row["name"]], validation=0, **{key: getattr(given, key) for key in asked})
        if given == planned and all(row["config"][key] == value for key, value in where.items()):
            found.append(row)
    return found


def learned_pairs(rows: Rows, **where: Any) -> Rows:
    """Those of sums of two numbers, learned from their totals, or `where` it is something else."""
    return as_planned(rows, **({"addends": 2, "operation": "add", "supervision": "sums"} | where))


def by_plan(rows: Rows) -> list[tuple[str, int, Rows]]:
    """The rows by plan and digits."""
    groups = grouped(rows, "name", "config.digits")
    return [(*key, groups[key]) for key in sorted(groups, key=lambda key: ([*PLANS].index(key[0]), key[1]))]


def in_percent(rows: Iterable[Row], key: str) -> list[float]:
    """A share of the evaluations."""
    found = (row["evaluation"][key] for row in rows)
    return [100 * (value["value"] if isinstance(value, dict) else value) for value in found]


def mean_of(rows: Rows, key: str, digits: int = 3) -> str:
    """The mean of a figure of the evaluations."""
    return f"{statistics.fmean(row['evaluation'][key] for row in rows):.{digits}f}"


def minutes(rows: Rows) -> str:
    """The mean time of training."""
    return f"{statistics.fmean(row['seconds'] for row in rows) / 60:.1f}"


@named("addition-beside")
def addition_beside(rows: Rows) -> str:
    """Sums of two numbers that are right, by the digits of a number, beside what is published."""
    ours: dict[str, dict[int, str]] = {}
    for name, digits, here in by_plan(learned_pairs(rows)):
        ours.setdefault(TITLES[name], {})[digits] = spread(in_percent(here, "sum"))
    systems = PUBLISHED_SUMS | ours
    columns = sorted({digits for system in systems.values() for digits in system})
    body = [[title, *(system.get(digits, "–") for digits in columns)] for title, system in systems.items()]
    return table(["sums right, %; digits of a number", *map(str, columns)], body if ours else [])


@named("addition-twins")
def twins(rows: Rows) -> str:
    """Networks that learned from sums beside the same ones that were told every digit, of the seeds that have both."""
    body = []
    for name, digits, here in by_plan(learned_pairs(rows)):
        told = {row["seed"]: row for row in learned_pairs(rows, supervision="digits", digits=digits)
                if row["name"] == name}  # fmt: skip
        pairs = [(row, told[row["seed"]]) for row in here if row["seed"] in told]
        if pairs:
            sums, others = (in_percent(column, "digit") for column in zip(*pairs, strict=True))
            apart = [one - two for one, two in zip(sums, others, strict=True)]
            sign = "+" if statistics.fmean(apart) > 0 else ""
            body.append([TITLES[name], str(digits), spread(sums), spread(others),
                         sign + spread(apart).replace("-", "−"), str(len(pairs))])  # fmt: skip
    head = ["network", "digits of a number", "digits right, from sums, %", "from digits, %", "difference, points",
            "seeds"]  # fmt: skip
    return table(head, body)


@named("addition-chosen")
def addition_chosen(rows: Rows) -> str:
    """What was tried on held-out images, best first by digits within plan and length."""
    body = []
    for name, digits, here in by_plan(agreeing(part(rows, "addition"), set="held out")):
        groups: dict[tuple[Config, str], Rows] = {}
        for row in here:
            dropped = ", ".join(f"dropout {share:g} {where}" for where, share in row.get("dropout", {}).items())
            groups.setdefault((replace(config_of(row), seed=0, threads=0), dropped or "no dropout"), []).append(row)
        best_first = sorted(groups.items(), key=lambda pair: -statistics.fmean(in_percent(pair[1], "digit")))
        for (config, dropped), group in best_first:
            settings = ", ".join([*(f"{key} {getattr(config, key)}" for key in CHANGED), dropped])
            body.append([TITLES[name], str(digits), settings, config.supervision, spread(in_percent(group, "digit")),
                         spread(in_percent(group, "sum")), mean_of(group, "sum_nll"), str(len(group))])  # fmt: skip
    head = ["network", "digits of a number", "settings", "told", "digits right, %", "sums right, %",
            "NLL of a total, nats", "seeds"]  # fmt: skip
    return table(head, body)


def measured(found: Iterable[tuple[str, Row]]) -> str:
    """When and where what the names say was measured."""
    where: dict[str, dict[str, None]] = {}
    for name, row in found:
        where.setdefault(when_and_where(row), {})[name] = None
    told = [f"{place}: {', '.join(names)}" for place, names in where.items()]
    return f"Measured {'; '.join(told)}."


@named("checksum-measured")
def checksum_measured(rows: Rows) -> str:
    """When, where and with what the checks by totals were measured."""
    found = [("triples", row) for row in last_of(part(rows, "checksum-triples"), "seed")]
    found += [(f"{row['set']} read with {row['engine']}", row)
              for row in last_of(part(rows, "checksum-sums"), "set", "half", "engine")]  # fmt: skip
    networks = ((f"{name} (SHA-256 of its networks: {row['model_sha256'][:12]}…)", row) for name, row in found)
    return measured(networks) if found else NOT_MEASURED


def when_and_where(row: Row) -> str:
    """When, at which commit and on which processor."""
    return f"on {row['date'][:10]} at commit {row['commit'][:9]} on {row['machine']['processor']}"


# Numbers.

ENGINES = "ours", "ocr", "ocr alone", "both"


def reader_of(row: Row) -> tuple[str, int]:
    """The digest of the networks and the generation of the path from the picture of a row."""
    return row["model_sha256"], row.get("path", 1)


@picks("quoted")
def quoted(rows: Rows) -> Rows:
    """Of the newest network of each engine the reported half as first measured, and development as last measured."""
    ordered = by_date(rows)
    firsts = list(dict.fromkeys((row["engine"], reader_of(row)) for row in ordered))
    now = dict(firsts)
    found = [row for row in ordered if reader_of(row) == now[row["engine"]]]
    keys = "engine", "kind", "set", "half", "name"
    choices = {tuple(row[key] for key in keys): row for row in last_of(found, *keys)}
    for row in first_of(found, *keys):
        if row["half"] != "development":
            choices[tuple(row[key] for key in keys)] = row
    return sorted(choices.values(), key=lambda row: ENGINES.index(row["engine"]))


@picks("longer")
def longer(rows: Rows) -> Rows:
    """What became of the weights after the training, and the packaged ones as they are used."""
    used = agreeing(part(rows, "strips-closer"), engine="ours", trust=TRUST)
    return [*(row | {"weights": "packaged"} for row in used), *part(rows, "strips-longer")]


FORMATS["trust"] = lambda trust: f"{trust:g}{', used' * (trust == TRUST)}"


@named("numbers-labels")
def relabelled(rows: Rows) -> str:
    """Real strips without those that count as misread only because their label is wrong, as a person saw: by engine."""
    body = []
    for row in sorted(quoted(part(rows, "strips")), key=lambda row: (row["name"], row["half"])):
        wrong = {one["picture"] for one in agreeing(part(rows, "strips-labels"), set=row["set"], half=row["half"])}
        if row["kind"] == "real" and wrong and row["accuracy_accepted"] is not None:
            out = [one for one in row.get("misread", ()) if one["picture"] in wrong]
            count, left = row["pictures"], row["pictures"] - len(out)
            accepted = row["accepted"] * count
            kept = accepted - sum(one["accepted"] for one in out)
            right = (
                row["accuracy"] * count / left,
                row["accuracy_accepted"] * accepted / kept if kept else None,
                (row["in_candidates"] * count - sum(one["in_candidates"] for one in out)) / left,
            )
            body.append([row["name"], row["half"], row["engine"], str(len(out)), *map(percent, right)])
    head = ["right, %", "right of the accepted, %", "truth among the candidates, %"]
    return table(["real strips", "half", "read with", "left out", *head], body)


@named("numbers-causes")
def causes(rows: Rows) -> str:
    """Why numbers of the development half of real strips were misread, as a person sorted them: how many, by set."""
    why = {(row["set"], row["picture"]): row["cause"] for row in part(rows, "strips-misses")}
    ours = agreeing(quoted(part(rows, "strips")), kind="real", half="development", engine="ours")
    ours = [row for row in ours if row["set"] in {name for name, _ in why}]
    found = [(row["set"], why.get((row["set"], one["picture"]), "nobody has looked at it yet"))
             for row in ours for one in row["misread"]]  # fmt: skip
    sets, kinds = (list(dict.fromkeys(column)) for column in zip(*found, strict=True)) if found else ([], [])
    body = [[kind, *(str(found.count((name, kind))) for name in sets)] for kind in kinds]
    body.sort(key=lambda row: -sum(map(int, row[1:])))
    return table(["why ours misread it", *sets], body)


@named("numbers-measured")
def numbers_measured(rows: Rows) -> str:
    """What the figures of the reported half were measured with, and when."""
    found = grouped(agreeing(quoted(part(rows, "strips")), half="reported"), "engine")
    told = [f"{engine} {when_and_where(here[0])} (SHA-256 of its networks: {here[0]['model_sha256'][:12]}…)"
            for (engine,), here in found.items()]  # fmt: skip
    return f"Measured: {'; '.join(told)}." if told else NOT_MEASURED


@named("numbers-times")
def numbers_times(rows: Rows) -> str:
    """How many times as fast as a general reader the package's own network is, round by round, and where."""
    told = []
    for (kind,), here in grouped(part(rows, "numbers-latency"), "kind").items():
        ours, ocr = ({row["round"]: row["p50"] for row in agreeing(here, name=name)} for name in ("ours", "ocr"))
        ratios = [ocr[turn] / ours[turn] for turn in sorted(ours.keys() & ocr.keys())]
        if ratios:
            least, most = min(ratios), max(ratios)
            told.append(f"{statistics.median(ratios):.1f} times as fast ({kind}: {least:.1f} to {most:.1f})")
    if not told:
        return NOT_MEASURED
    row = part(rows, "numbers-latency")[0]
    return (
        f"Beside `ocr`, `ours` is {', '.join(told)}: medians of rounds in turn, and their range, measured on "
        f"{row['date'][:10]} with one thread of {row['machine']['processor']}."
    )


# Pictures.

SURE_SHARE = 0.99
"""The coverage at which the tables tell the risk."""
LEAST_COVERAGE = 0.9
"""Where the plot of risk and coverage begins."""


@picks("packaged")
def packaged(rows: Rows) -> Rows:
    """The runs of the packaged network, with the risk at `SURE_SHARE`."""
    return [row | {"risk": risk_at(row["evaluation"])} for row in runs_of(rows, "packaged")]


@picks("reported")
def reported(rows: Rows) -> Rows:
    """The reported half of the reader that was measured last for the first time, as it was first measured."""
    firsts = by_date(first_of(rows, "model_sha256", "path"))
    found = [row for row in agreeing(rows, half="reported") if reader_of(row) == reader_of(firsts[-1])]
    return by_date(found)[:1]


def half(rows: Rows, name: str) -> Row | None:
    """A half of the pictures as it is quoted: the reported one as first measured, development as last measured."""
    rows = part(rows, "robustness")
    found = reported(rows) if name == "reported" else last_of(agreeing(rows, half=name))
    return found[0] if found else None


def calibration(rows: Rows) -> Row | None:
    """The last calibration."""
    return part(rows, "calibration")[-1] if part(rows, "calibration") else None


def curve(figures: Row) -> list[tuple[float, float]]:
    """The risk–coverage curve of an evaluation or a calibration, if it has one."""
    found = figures.get("digit_risk") or figures.get("risk_coverage") or []
    return [(coverage, risk) for coverage, risk in found]


def risk_at(figures: Row, share: float = SURE_SHARE) -> float | None:
    """The share of wrong answers among the `share` that the network is surest of, if it is known."""
    if share == SURE_SHARE and figures.get("risk_at_99") is not None:
        return float(figures["risk_at_99"])
    return next((risk for coverage, risk in curve(figures) if math.isclose(coverage, share)), None)


@named("pictures-halves")
def halves_table(rows: Rows) -> str:
    """The half that choices were made on, beside the one that was looked at once."""

    def summary(row: Row | None) -> dict[str, str]:
        if row is None:
            return {}
        figures = {
            f"{title}, {answering}, right %": percent(row[f"{answering}_{key}"])
            for title, key in (("corruptions", "mean"), ("unseen corruptions", "mean_unseen"))
            for answering in ("network", "reader")
        }
        for digits in (row["mnist"], *row["digits"]):
            name = re.sub("MNIST (training|test) images", "MNIST images", digits["name"])
            figures[f"{name}, right %"] = percent(digits["accuracy"])
        return figures | {f"{kind['name']}, AUROC": f"{kind['auroc']:.4f}" for kind in row["out_of_distribution"]}

    halves = {name: summary(half(rows, name)) for name in ("development", "reported")}
    lines = dict.fromkeys(line for one in halves.values() for line in one)
    return table(["", *halves], [[line, *(one.get(line, "–") for one in halves.values())] for line in lines])


@picks("calibrated")
def calibrated(rows: Rows) -> Rows:
    """The last calibration, with the risk of each fold and of all at `SURE_SHARE`."""
    return [row | {"risk": risk_at(row), "folds": [fold | {"risk": risk_at(fold)} for fold in row["folds"]]}
            for row in rows[-1:]]  # fmt: skip


# The server.


@picks("planned")
def planned(rows: Rows) -> Rows:
    """The rows of test images whose settings are those of their plan as it is now; with what was `told` in training."""
    return [row | {"told": "the difference of 2 numbers" if row["config"]["operation"] == "sub"
                   else f"{row['config']['addends']} numbers added"} for row in as_planned(rows)]  # fmt: skip


@picks("both")
def now_and_before(rows: Rows) -> Rows:
    """The rows of the last run of a part: of this checkout, now, and of the one beside it, before."""
    return [row | {"which": "now" if row["of"] == row["commit"] else "before",
                   "refusals": row["not_200"] / row["seconds"] if "not_200" in row else None}
            for row in newest(rows, "date")]  # fmt: skip


@picks("sheets")
def measured_sheets(rows: Rows) -> Rows:
    """The rows of parts, each measurement once, of the path, half, networks and writer that were measured last; `as`:
    how the sheets came to the reader, of an outcome whether its total is `added` right."""
    found = []
    for (name,), here in grouped(rows, "part").items():
        found += sheets(here, name.removeprefix("sheet-"))
    return [row | {key: [one | {"as": SOURCES[row["source"]], "added": one.get("mistake") is None} for one in row[key]]
                   for key in ("outcomes", "fields") if key in row} for row in found]  # fmt: skip


# Filled forms. The rows of all seeds are added up that agree in everything else.

SOURCES = {"cells": "cells", "photographed": "photographs", "scanned": "scans"}
BANDS = {
    "longer side, pixels": ("longer", (0, 1500, 2300, 5000)),
    "seen from aside, degrees": ("tilt", (0, 10, 20, 31)),
    "blur, mm": ("blur", (0, 0.1, 0.16, 1)),
    "shaken, mm": ("motion", (0, 0.01, 0.3, 1)),
    "bent, mm": ("bend", (0, 0.01, 1, 2, 4.1)),
}
"""By what photographs are told apart, and the edges of the groups."""


def sheets(rows: Rows, *names: str) -> Rows:
    """The rows of parts, each measurement once, of the path, half, networks and writer that were measured last."""
    found = []
    for name in names:
        ordered = by_date(part(rows, f"sheet-{name}"))
        same = {key: ordered[-1][key] for key in ("path", "half", "model_sha256", "mistakes")} if ordered else {}
        found += last_of(agreeing(ordered, **same), "layout", "source", "ink", "engine", "seed", "wrong", "factor")
    return found


@named("sheet-registration")
def registration(rows: Rows) -> str:
    """By how much boxes are off, and how many photographs are refused, by what these are like. A pixel is one of a page
    at 200 to an inch."""
    found = [one for row in sheets(rows, "registration") for one in row["photographs"]]
    groups = [("all", "", found)]
    for name, (key, edges) in BANDS.items():
        for least, most in pairwise(edges):
            ones = [one for one in found if least <= one[key] < most]
            ends = [f"{end:.2g}" if end < 100 else f"{end:.0f}" for end in sorted(one[key] for one in ones)]
            groups.append((name, " – ".join(dict.fromkeys(ends[:1] + ends[-1:])), ones))
    body = []
    for name, between, ones in groups:
        if ones:
            errors = [one["error"] for one in ones if one["error"] is not None]
            sizes = [f"{size:.2f}" for size in np.quantile(errors, (0.5, 0.95, 1.0))] if errors else ["–"] * 3
            body.append([name, between, f"{len(ones):,}", percent(1 - len(errors) / len(ones)), *sizes])
    head = ["photographs by", "from – to", "photographs", "refused, %", "error, median, px", "95 %, px", "largest, px"]
    return table(head, body)


@named("sheet-measured")
def sheet_measured(rows: Rows) -> str:
    """When, where and with what the rows were measured."""
    parts = dict.fromkeys(row["part"].removeprefix("sheet-") for row in rows if row["part"].startswith("sheet-"))
    found = [(f"{name} of the {row['half']} half", row) for name in parts for row in sheets(rows, name)]
    scale = f"A pixel of an error is one of a page at 200 to an inch: {1 / UNIT:.3f} mm."
    return f"{measured(found)} {scale}" if found else NOT_MEASURED


# One small sheet, worked out, and what the package believes of people.

LARGEST = {"q1": 9, "q2": 9, "q3": 9, "total": 27}
FORMULA = Formula.of("total = q1 + q2 + q3")
FIRST, LAST = 4, 8
"""What is read in the first and in the last cell, beyond doubt."""
MIDDLE: dict[int | Decimal, float] = {1: 0.55, 7: 0.45}
"""What the reader says of the middle cell."""
TOTALS = 19, 13, 18, 16
"""Totals that may be written: right if the cell is a 7, right if it is a 1, nearly right for one, and for neither."""
TERMS = 8, 12, 7
SLIPS: dict[Kind, tuple[int, str]] = {
    "off by one": (26, "a slip of counting: one more or one less; with halves, also a half"),
    "carry": (17, "a carry was lost, or counted twice: ten, or a hundred, more or less"),
    "skipped": (20, "one of the numbers was left out, each as probable"),
    "swapped": (72, "two neighbouring digits of the total changed places"),
    "anything": (33, "any other total, each as probable; also what the kinds above cannot be on that sheet"),
}
"""By kind, what is written instead of the sum of `TERMS`, and what happened."""


def sure(value: int) -> Values:
    """What is read beyond doubt."""
    return Values({value: 1.0}, 0.0)


def posterior(total: int) -> Posterior:
    """What is known of the small sheet if this total is written."""
    return Check(LARGEST, [FORMULA]).posterior(
        {"q1": sure(FIRST), "q2": Values(MIDDLE, 0.0), "q3": sure(LAST), "total": sure(total)}
    )


def chance(probability: float) -> str:
    """A probability, in percent."""
    is_near = 0 < probability < 0.0005 or 0.9995 < probability < 1
    return f"{100 * probability:.{2 if is_near else 1}f} %"


@named("sheet-example")
def example(_: Rows) -> str:
    """The middle cell before and after each total."""
    body = [["none yet", *map(chance, MIDDLE.values()), "", ""]]
    for total in TOTALS:
        found = posterior(total)
        numbers, probabilities = found.numbers["q2"]
        told = [chance(float(probabilities[numbers == value].sum())) for value in MIDDLE]
        body.append(
            [f"{FIRST} + ? + {LAST} = {total}", *told, chance(found.kinds["total"]["right"]), verdict(found).outcome]
        )
    return table(["what is written", *(f"the cell is a {value}" for value in MIDDLE), "the total is added up right",
                  "the sheet"], body)  # fmt: skip


@named("sheet-example-steps")
def steps(_: Rows) -> str:
    """The first total of that table, by hand."""
    total, writer = TOTALS[0], Writer(LARGEST["total"], len(FORMULA.terms))
    lines, weights = [], {}
    for value, read in MIDDLE.items():
        terms = np.array([[FIRST, value, LAST]])
        written = float(writer.kinds(np.array([total]), terms).sum())
        weights[value] = read * written
        lines.append(
            f"- a {value}: read with {read:g}; the sum is {terms.sum()}, and who has that sum writes {total} with "
            f"{written:.3g}; together {read:g} × {written:.3g} = {weights[value]:.3g}"
        )
    value, weight = max(weights.items(), key=lambda one: one[1])
    whole = sum(weights.values())
    lines.append(f"- so it is a {value} with {weight:.4g} / {whole:.4g} = {chance(weight / whole)}")
    return "\n" + "\n".join(lines) + "\n"


@named("sheet-channel")
def channel(_: Rows) -> str:
    """The kinds of wrong totals, how frequent they are, and an example of each."""
    weights = {KINDS[kind]: f"{100 * weight:g} %" for kind, weight in WEIGHTS.items()}
    body = [[name, meaning, str(written), weights[name]] for name, (written, meaning) in SLIPS.items()]
    terms = " + ".join(map(str, TERMS))
    return table(["kind", "what happened", f"such as, for {terms} = {sum(TERMS)}", "share of wrong totals"], body)


for _name, _probability in (("mistake", MISTAKE), ("sure", SURE), ("wrong", WRONG)):
    FIGURES[f"sheet-{_name}"] = lambda _, probability=_probability: f"{100 * probability:g} %"  # type: ignore[misc]


# Plots.

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
PLOTTED = {
    "fast-exact": "fast", "fast-concat": "fast, concat", "default-exact": "default",
    "default-concat": "default, concat", "original": "original", "reference": "reference recipe",
    "example": "the usual example",
}  # fmt: skip
TIMES = {1: "1 s", 3: "3 s", 10: "10 s", 30: "30 s", 60: "1 min", 300: "5 min", 900: "15 min"}
SIZES = {3e5: "0.3 MB", 1e6: "1 MB", 3e6: "3 MB", 1e7: "10 MB", 3e7: "30 MB"}
LATE, LARGE = 200, 4e6
"""Seconds of training and bytes from which a label stands on the left of its point, for room."""


def plot(name: str) -> Callable[[Figure], Figure]:
    """Enter a function in `PLOTS`, which draws in the style of all others."""

    def enter(draw: Figure) -> Figure:
        PLOTS[name] = matplotlib.rc_context(STYLE)(draw)
        return draw

    return enter


@plot("bench-accuracy")
def accuracy_plot(rows: Rows) -> str:
    """Errors of each measured network against the seconds of its training, and against the bytes of its weights."""
    drawn = new_figure(11, 4.7, "Longer training makes fewer errors; a larger network does not")
    left, right = drawn.subplots(1, 2, sharey=True)
    left.set(xlabel="seconds of training (median)", ylabel="digit errors, %", xscale="log", yscale="log")
    right.set(xlabel="bytes of weights (blue: this package's networks)", xscale="log")

    def errors_of(here: Rows) -> float:
        return 100 - float(statistics.mean(shares(here, "digit")))

    def labelled(axes: Axes, x: float, y: float, label: str, colour: str, late: bool, below: bool = False) -> None:
        axes.plot(x, y, "o", ms=8, color=colour)
        axes.annotate(label, (x, y), xytext=(-7 if late else 7, -13 if late or below else 6),
                      textcoords="offset points", fontsize=8.5, color="#333333",
                      ha="right" if late else "left")  # fmt: skip

    for plan, label in PLOTTED.items():
        colour = GREY if plan in ("reference", "example") else COLOURS[0]
        measured = [row for row in part(rows, "run") if row["plan"] == plan]
        if timed := newest([row for row in measured if row["config"].get("threads") == 2]):
            spent = median(timed, "seconds")
            labelled(left, spent, errors_of(timed), label, colour, spent > LATE)
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


@plot("bench-throughput")
def throughput_plot(rows: Rows) -> str:
    """Throughput against batch size, on both threads; the title says how far ours is ahead of torch."""
    measured = agreeing(part(rows, "throughput"), threads=2)
    rates = {key: median(group, "images_per_second") for key, group in grouped(measured, "name", "batch").items()}
    title = "Throughput: not measured yet"
    if rates:
        name, batch = max(rates, key=lambda key: rates[key])
        ahead = rates[name, batch] / rates["torch", batch]
        title = f"{name}: {ahead:.1f} times torch's throughput in batches of {batch}"
    drawn = new_figure(9, 4.6, title)
    axes = drawn.subplots()
    axes.set(xlabel="batch size (two threads, the network alone)", ylabel="images a second")
    batches = list(dict.fromkeys(batch for _, batch in rates))
    for name, colour in zip(dict.fromkeys(name for name, _ in rates), COLOURS, strict=False):
        axes.plot(batches, [rates[name, batch] for batch in batches], "o-", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_yticks([3e3, 1e4, 3e4, 6e4], ["3,000", "10,000", "30,000", "60,000"])
    axes.minorticks_off()
    if rates:
        axes.set_xticks(batches, [f"{batch:,}" for batch in batches])
        axes.legend(fontsize=9)
    return as_svg(drawn)


@plot("risk-coverage")
def risk_plot(rows: Rows) -> str:
    """Risk against coverage: the training images, each out of fold, and the test images, the mean over seeds."""
    row = calibration(rows)
    tested = [run["evaluation"] for run in runs_of(rows, "packaged") if curve(run["evaluation"])]
    every, surest = (risk_at(row, coverage) if row else None for coverage in (1.0, SURE_SHARE))
    title = "Risk and coverage"
    if every is not None and surest is not None:
        title = (f"Without the least sure {percent(1 - SURE_SHARE, 0)} %, {percent(surest)} % are wrong instead of "
                 f"{percent(every)} %")  # fmt: skip
    drawn = new_figure(9, 4.6, title)
    axes = drawn.subplots()
    axes.set(xlabel="share of the images answered, the surest first", ylabel="wrong answers among them, %")
    lines = []
    if row is not None and curve(row):
        lines.append((f"{row['images']:,} training images, out of fold", curve(row)))
        axes.axvline(row["accepted"], color=GREY, lw=1, ls=(0, (4, 2)), label="share that the thresholds accept")
    if tested:
        seeds = f"mean of {len(tested)} seeds" if len(tested) > 1 else "one seed"
        lines.append((f"{tested[0]['images']:,} test images, {seeds}", mean_curve([curve(e) for e in tested])))
    for (label, ends), colour in zip(lines, COLOURS, strict=False):
        x, y = zip(*(end for end in ends if end[0] >= LEAST_COVERAGE), strict=True)
        axes.plot(x, [100 * risk for risk in y], "o-", ms=3, color=colour, label=label, clip_on=False)
    axes.set_xlim(LEAST_COVERAGE, 1.001)
    axes.set_ylim(bottom=0)
    if lines:
        axes.legend(fontsize=9, loc="upper left")
    else:
        axes.text(0.5, 0.5, NOT_MEASURED.strip("*"), transform=axes.transAxes, ha="center", color=GREY)
    return as_svg(drawn)


def mean_curve(curves: Sequence[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean risk at each coverage that all of `curves` have."""
    known = [dict(ends) for ends in curves]
    common = [coverage for coverage, _ in curves[0] if all(coverage in risks for risks in known)]
    return [(coverage, statistics.fmean(risks[coverage] for risks in known)) for coverage in common]
